"""Signing a channel in, once, with a person's help: by a code that he types in, or by an address that he brings back.

Raises LoginRefused with the server's words where it will not, ChannelAway where it cannot be reached.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from channels.adapter import ChannelAway, LoginRefused
from channels.oauth import (
    DeviceCode,
    Granted,
    NotGranted,
    code_form,
    device_code,
    device_form,
    device_poll_form,
    endpoints,
    granted,
    login_address,
)
from channels.oauth_account import post
from channels.oauth_file import SavedLogin, locked, write_login
from channels.settings import OAuthSettings

SLOWER = 5.0  # seconds between two looks that are added when the server says so (RFC 8628 §3.5)


def secret_of(settings: OAuthSettings) -> str:
    """The application's secret, "" where it has none. Raises OSError, ValueError."""
    return settings.client_secret.read() if settings.client_secret else ""


async def ask_device_code(settings: OAuthSettings) -> DeviceCode:
    """What the person is shown."""
    status, body, _ = await post(endpoints(settings).device_url, device_form(settings), settings)
    code = device_code(status, body)
    if isinstance(code, NotGranted):
        raise refusal(code)
    return code


async def await_consent(settings: OAuthSettings, code: DeviceCode, tick: Callable[[float], None]) -> Granted:
    """Return once the person has typed the code in; `tick` hears before each look how many seconds are left."""
    secret, clock = secret_of(settings), asyncio.get_running_loop()
    form = device_poll_form(settings, secret, code.device_code)
    interval, until = code.interval, clock.time() + code.expires_in
    while (left := until - clock.time()) > 0:
        tick(left)
        await asyncio.sleep(min(interval, left))
        try:
            status, body, _ = await post(endpoints(settings).token_url, form, settings)
        except ChannelAway:
            interval = min(interval * 2, 60.0)  # a line that broke for a moment (RFC 8628 §3.5)
            continue
        answer = granted(status, body, (secret, code.device_code))
        if isinstance(answer, Granted):
            return answer
        if answer.error == "slow_down":
            interval += SLOWER
        elif answer.error != "authorization_pending" and not answer.is_passing:
            raise refusal(answer)
    raise LoginRefused("the code has expired; nobody had typed it in")


@dataclass(frozen=True, kw_only=True)
class Browser:
    """One sign-in by browser; the address that comes back must be an answer to it."""

    settings: OAuthSettings
    username: str
    redirect: str  # "http://127.0.0.1:PORT/", where nobody else can listen
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def address(self) -> str:
        """What the person opens."""
        return login_address(self.settings, self.redirect, self.state, self.verifier, self.username)

    def code_in(self, brought: str) -> str:
        """The code in the address that the browser was sent to. Raises ValueError for any other address."""
        asked = parse_qs(urlsplit(brought.strip()).query)
        if not secrets.compare_digest(asked.get("state", [""])[0].encode(), self.state.encode()):
            raise ValueError("this is not the address that answers this sign-in: copy it whole, from http:// on")
        if "code" not in asked:
            raise LoginRefused(f"the provider said no: {asked.get('error', ['no code'])[0][:100]}")
        return asked["code"][0]

    async def exchange(self, code: str) -> Granted:
        secret = secret_of(self.settings)
        form = code_form(self.settings, secret, code, self.redirect, self.verifier)
        status, body, _ = await post(endpoints(self.settings).token_url, form, self.settings)
        answer = granted(status, body, (secret, code, self.verifier))
        if isinstance(answer, NotGranted):
            raise refusal(answer)
        return answer


async def save(path: Path, settings: OAuthSettings, fresh: Granted, now: datetime) -> None:
    """Keep the login for the daemon. Raises OSError, and LoginRefused where there is nothing to be kept."""
    if not fresh.refresh_token:
        raise LoginRefused("the server gave no refresh token: the login would end within the hour (oauth.scope?)")
    login = SavedLogin(client_id=settings.client_id, refresh_token=fresh.refresh_token, obtained_at=now, used_at=now)
    async with locked(path):
        write_login(path, login.after(fresh, now))


def refusal(answer: NotGranted) -> ChannelAway:
    """A refusal as it is raised."""
    words = ": ".join(filter(None, (answer.error, answer.words)))
    return ChannelAway(words) if answer.is_passing else LoginRefused(words)
