"""A mail channel: a mailbox in, or a door, or both; one relay out; and a look at each for `intake check`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from channels.adapter import Accept, Adapter, Clock, Receiver, Tools
from channels.imap import ImapReceiver
from channels.mail_check import MailChecker
from channels.message import Medium
from channels.oauth_account import OAuthAccount
from channels.settings import MailSettings
from channels.smtp import Connections, SmtpSender


def build(name: str, settings: MailSettings, tools: Tools) -> Adapter:
    """The channel called `name` in config.toml. Does no input or output."""
    oauth = account_of(name, settings, Path(tools.state_dir), tools.clock)
    smtp, by_token = settings.signed_in_smtp, settings.oauth.signs_in if settings.oauth else ()
    pace, account = smtp.pace, smtp.account
    # Two channels of one account share its connections, or together they would open twice what it allows.
    line = tools.shared.setdefault(("smtp", account), Connections(pace.connections))
    sender = SmtpSender(smtp, settings.address, line, oauth if "smtp" in by_token else None)

    async def close() -> None:
        await sender.close()
        if oauth is not None:
            await oauth.close()

    return Adapter(
        channel=name,
        medium=Medium.EMAIL,
        receiver=_receiver(name, settings, tools, oauth if "imap" in by_token else None),
        sender=sender,
        checker=MailChecker(name, settings, tools.read_cursor, oauth, tools.clock),
        close=close,
        parallel=pace.connections + 2,  # some being sent, two ready behind them
        pace=pace,
        account=f"smtp {account}",
    )


def _receiver(name: str, settings: MailSettings, tools: Tools, account: OAuthAccount | None) -> Receiver:
    """The mailbox's reader, the door, or both."""
    ways: list[Receiver] = []
    if settings.imap is not None:
        ways.append(ImapReceiver(name, settings.imap, tools, account))
    if settings.lmtp is not None:
        from channels.lmtp import LmtpReceiver  # needs the extra "lmtp"

        ways.append(LmtpReceiver(name, settings.lmtp, tools))
    return ways[0] if len(ways) == 1 else SeveralWays(ways)


class SeveralWays:
    """Receives by each of them; the first that fails ends all, as a channel is healthy or it is not."""

    def __init__(self, ways: Sequence[Receiver]) -> None:
        self._ways = ways

    async def receive(self, accept: Accept) -> None:
        # No TaskGroup: nested in the daemon's it can swallow a cancellation (python/cpython#116720).
        tasks = [asyncio.create_task(way.receive(accept)) for way in self._ways]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def account_of(name: str, settings: MailSettings, state_dir: Path, clock: Clock) -> OAuthAccount | None:
    """Whose tokens sign the channel in; None where a password does. Does no input or output."""
    oauth = settings.oauth
    if oauth is None:
        return None
    path = token_file(name, settings, state_dir)
    return OAuthAccount(name, oauth, settings.login_name, path, clock)


def token_file(name: str, settings: MailSettings, state_dir: Path) -> Path:
    """Where the login of a channel is saved."""
    written = settings.oauth.token_file if settings.oauth else None
    return written or state_dir / "oauth" / f"{name}.json"
