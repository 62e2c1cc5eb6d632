"""`intake login CHANNEL`: sign a mail channel in without a password, then really go to its servers.

By a code that a person types in, by an address that his browser is sent to, or with an administrator's leave, whose
commands are printed ready to be copied. What is saved is the daemon's alone; nothing secret is shown.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass

from channels.adapter import ChannelAway, CheckState, Clock
from channels.mail import token_file
from channels.oauth import Granted
from channels.oauth_file import locked
from channels.oauth_login import Browser, ask_device_code, await_consent, save
from channels.settings import MailSettings, OAuthSettings
from channels.signin_words import Login, advice
from intake.command.admin_commands import admin_commands
from intake.command.brought import brought_address
from intake.command.check import channels, show_lines
from intake.command.failure import Exit, Failure
from intake.command.setting import configuration
from intake.command.terminal import Screen
from intake.config import Config

WHEN = "A running daemon takes the new login within 15 minutes, or at once after a restart."


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    config = configuration(args.config)
    settings, oauth = _settings(config, args.channel)
    signing = SigningIn(args.channel, settings, oauth, screen, clock)
    try:
        if oauth.way == "app-only":
            signing.tell_administrator()
        else:
            path = token_file(args.channel, settings, config.store.state_dir)
            async with locked(path):
                pass  # it can be saved there: said before anybody signs in, not after
            fresh = await (signing.by_code() if oauth.way == "device" else signing.by_browser())
            await save(path, oauth, fresh, clock.now())
            signing.tell({"saved": str(path)}, f"The login is saved in {path}. {WHEN}")
    except ChannelAway as refused:
        raise signing.failure(refused.reason) from refused
    except OSError as error:
        raise Failure(Exit.WRONG, f"the login cannot be saved: {error}", "run it as root") from error
    except ValueError as error:
        raise Failure(Exit.WRONG, str(error), "see docs/mail-servers.md") from error
    return await _tried(config, args.channel, screen, clock)


def _settings(config: Config, name: str) -> tuple[MailSettings, OAuthSettings]:
    """The channel that is to be signed in. Raises Failure."""
    settings = config.channels.get(name)
    if settings is None:
        raise Failure(Exit.NOT_FOUND, f'there is no channel "{name}"', f"there is: {', '.join(config.channels)}")
    if not isinstance(settings, MailSettings):
        raise Failure(Exit.USAGE, f"{name} is no mail channel: nobody signs it in")
    if settings.oauth is None:
        mend = f"for Google, Microsoft 365 and the like write [channels.{name}.oauth]; else intake check tries it"
        raise Failure(Exit.USAGE, f"{name} signs in with a password", mend)
    return settings, settings.oauth


async def _tried(config: Config, name: str, screen: Screen, clock: Clock) -> Exit:
    """What the mail servers say now: the lines of `intake check` for this channel."""
    lines = [line for line in await channels(config, clock, None, only=name) if line.subject == "mail"]
    show_lines(screen, lines)
    return Exit.WRONG if any(line.state is CheckState.BAD for line in lines) else Exit.OK


@dataclass(frozen=True)
class SigningIn:
    """One channel being signed in, and where it is told."""

    channel: str
    settings: MailSettings
    oauth: OAuthSettings
    screen: Screen
    clock: Clock

    def tell(self, facts: Mapping[str, object], *sentences: str) -> None:
        """Facts for programs, sentences for people; at once, for somebody waits for them."""
        if self.screen.is_json:
            self.screen.json(facts)
        for sentence in () if self.screen.is_json else sentences:
            self.screen.line(sentence)
        self.screen.out.flush()

    async def by_code(self) -> Granted:
        code = await ask_device_code(self.oauth)
        facts = {"open": code.url, "code": code.user_code, "expires_in_s": code.expires_in}
        self.tell(facts, f"Open {code.url}", f"and enter   {code.user_code}", f"as {self.settings.login_name}.", "")
        try:
            return await await_consent(self.oauth, code, self._waiting)
        finally:
            self._progress("")

    async def by_browser(self) -> Granted:
        async with brought_address(sys.stdin) as (redirect, bring):
            browser = Browser(settings=self.oauth, username=self.settings.login_name, redirect=redirect)
            self.tell(
                {"open": browser.address},
                "Open this in a browser and sign in as " + self.settings.login_name + ":",
                "",
                browser.address,
                "",
                "If the browser then shows an error, for it runs on another machine, copy the address that it was sent",
                "to (it begins with http://127.0.0.1) and paste it here:",
            )
            while True:
                try:
                    code = browser.code_in(await bring())
                    break
                except ValueError as error:
                    self.tell({"problem": str(error)}, str(error))
            return await browser.exchange(code)

    def tell_administrator(self) -> None:
        title, commands = admin_commands(self.settings, self.oauth)
        self.tell({"administrator": commands}, title, "", *(f"    {line}" if line else "" for line in commands), "")

    def failure(self, words: str) -> Failure:
        """The server's no, with what helps where that is known."""
        login = Login(
            channel=self.channel,
            host=self.oauth.provider,
            username=self.settings.login_name,
            client_id=self.oauth.client_id,
            tenant=self.oauth.tenant,
            is_app_only=self.oauth.way == "app-only",
            by_token=True,
        )
        known = advice(words, login)
        if known is None:
            return Failure(Exit.WRONG, f"{self.channel} is not signed in: {words}", "see docs/mail-servers.md")
        return Failure(Exit.WRONG, f"{self.channel} is not signed in: {known.problem} ({words})", known.mend)

    def _waiting(self, left: float) -> None:
        minutes = max(1, round(left / 60))
        self._progress(
            f"waiting; the code is good for {minutes} more minute{'' if minutes == 1 else 's'} (Ctrl-C ends)"
        )

    def _progress(self, text: str) -> None:
        """One line on a terminal that is written over again."""
        if self.screen.is_terminal and not self.screen.is_json:
            self.screen.out.write(f"\r\x1b[K{text}")
            self.screen.out.flush()
