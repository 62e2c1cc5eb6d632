"""The tokens of one mail account: fetched when they are needed, kept in memory, renewed before they end.

* However many ask, one request is under way (IMAP and SMTP share an account); it is finished even where all who asked
  have gone, for its answer may replace the saved login.
* A replaced refresh token is on the disk before anything that came with it is used.
* LoginRefused where a person must act, with what he must do; ChannelAway for everything that may pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from channels.adapter import ChannelAway, Clock, LoginRefused
from channels.oauth import Granted, NotGranted, app_form, endpoints, granted, refresh_form
from channels.oauth_file import SavedLogin, locked, read_login, write_login
from channels.settings import OAuthSettings, is_loopback_url
from channels.tls import client_context

REQUEST_WITHIN = 30.0  # seconds
MAX_ANSWER = 256 * 1024  # octets
FIRST_REST, LONGEST_REST = 1.0, 300.0  # seconds before a server that failed is asked again; doubled each time
REFUSED_REST = 60.0  # seconds before one that refused is asked again with the same login
YOUNG = 60.0  # seconds; a younger token that a mail server refuses was not just too old

Asked = ChannelAway  # LoginRefused is one


@dataclass
class _Token:
    text: str = field(repr=False)
    minted_at: float  # loop time
    renew_at: float  # loop time: a wall clock that is set changes nothing


@dataclass
class _Failure:
    error: Asked
    refresh_token: str = field(repr=False)  # that it was about
    until: float  # loop time


class OAuthAccount:
    """One account's tokens; safe for concurrent use."""

    def __init__(self, channel: str, settings: OAuthSettings, username: str, path: Path, clock: Clock) -> None:
        self.channel = channel
        self.settings = settings
        self.username = username
        self.path = path
        self._clock = clock
        self._token: _Token | None = None
        self._failure: _Failure | None = None
        self._failures = 0  # in a row, passing ones
        self._unsaved: SavedLogin | None = None  # a replaced login that the disk has not taken yet
        self._asking: asyncio.Task[str] | None = None

    async def token(self) -> str:
        """An access token that is good for a while. Raises LoginRefused, ChannelAway."""
        token = self._token
        if token is not None and asyncio.get_running_loop().time() < token.renew_at:
            return token.text
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._renewed())
            self._asking.add_done_callback(_seen)
        # Whoever waits may be cancelled; the answer must be saved all the same.
        return await asyncio.shield(self._asking)

    def refused(self, token: str) -> bool:
        """A mail server refused it: True where a newer one may help, which is asked for the next time."""
        kept = self._token
        if kept is None or kept.text != token:
            return True
        self._token = None
        return asyncio.get_running_loop().time() - kept.minted_at > YOUNG

    async def close(self) -> None:
        """Return once nothing is under way; at most as long as a request may take."""
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=REQUEST_WITHIN)

    async def _renewed(self) -> str:
        try:
            fresh = await (self._by_itself() if self.settings.way == "app-only" else self._by_saved_login())
        except Asked:
            raise
        except (OSError, ValueError) as error:  # of the login's file, the secret, or the lock
            raise ChannelAway(f"the login of {self.channel} cannot be used: {error}") from error
        self._failures, self._failure = 0, None
        now = asyncio.get_running_loop().time()
        self._token = _Token(fresh.access_token, now, now + fresh.usable_for)
        return fresh.access_token

    async def _by_itself(self) -> Granted:
        """For an application: its own secret is all there is."""
        self._rest("")
        secret = self._secret()
        form = app_form(self.settings, secret, self.username, self._clock.now())
        return await self._exchange(form, (secret, *form.values()), "")

    async def _by_saved_login(self) -> Granted:
        async with locked(self.path):
            login = self._unsaved or await asyncio.to_thread(read_login, self.path)
            if login is None:
                raise LoginRefused(f"nobody has signed {self.channel} in yet: intake login {self.channel}")
            if login.client_id != self.settings.client_id:
                words = f"the saved login of {self.channel} is another client_id's"
                raise LoginRefused(f"{words}: intake login {self.channel}")
            if self._unsaved is not None:
                await self._save(login)
            self._rest(login.refresh_token)
            secret = self._secret()
            form = refresh_form(self.settings, secret, login.refresh_token)
            fresh = await self._exchange(form, (secret, login.refresh_token), login.refresh_token)
            await self._save(login.after(fresh, self._clock.now()))
            return fresh

    async def _save(self, login: SavedLogin) -> None:
        """Onto the disk, before what came with it is used. It is kept in memory until the disk takes it."""
        self._unsaved = login
        try:
            await asyncio.to_thread(write_login, self.path, login)
        except OSError as error:
            words = f"the renewed login of {self.channel} cannot be saved: {error.strerror or error}"
            raise ChannelAway(f"{words} ({self.path})", retry_after=FIRST_REST) from error
        self._unsaved = None

    def _secret(self) -> str:
        return self.settings.client_secret.read() if self.settings.client_secret else ""

    def _rest(self, refresh_token: str) -> None:
        """Say again what failed a moment ago, instead of asking again; a new login is tried at once."""
        failure = self._failure
        if failure is None or failure.refresh_token != refresh_token:
            return
        if asyncio.get_running_loop().time() < failure.until:
            raise type(failure.error)(failure.error.reason, failure.error.retry_after)

    async def _exchange(self, form: Mapping[str, str], secrets: Iterable[str], refresh_token: str) -> Granted:
        url = endpoints(self.settings).token_url
        try:
            status, body, after = await post(url, form, self.settings)
            answer = granted(status, body, secrets)
            if isinstance(answer, Granted):
                return answer
            error = self._refusal(answer, url, after)
        except ChannelAway as away:
            error = away
        error.retry_after = self._failed(error, refresh_token)
        raise error

    def _failed(self, error: Asked, refresh_token: str) -> float | None:
        """Remember a failure: how long to rest, in seconds; None where the supervisor's long wait holds."""
        if isinstance(error, LoginRefused):
            rest = REFUSED_REST
        else:
            rest = error.retry_after or min(LONGEST_REST, FIRST_REST * 2**self._failures)
            self._failures = min(self._failures + 1, 10)
        until = asyncio.get_running_loop().time() + rest
        self._failure = _Failure(error, refresh_token, until)
        return None if isinstance(error, LoginRefused) else rest

    def _refusal(self, answer: NotGranted, url: str, after: float | None) -> Asked:
        said = ": ".join(filter(None, (answer.error, answer.words)))
        host = urlsplit(url).hostname
        if answer.is_passing:
            return ChannelAway(f"{host} gives out no tokens now: {said}", after)
        mend = f"intake login {self.channel}"
        return LoginRefused(f"{host} does not take the login of {self.channel} any more ({said}): {mend}")


async def post(url: str, form: Mapping[str, str], settings: OAuthSettings) -> tuple[int, bytes, float | None]:
    """Ask a token server: status, body, and the seconds it asks to wait. Raises ChannelAway."""
    host = urlsplit(url).hostname
    try:
        tls = await client_context(settings.ca_file) if url.startswith("https:") else False
        limit = aiohttp.ClientTimeout(total=REQUEST_WITHIN)
        # A firm's proxy is believed where there is one (HTTPS_PROXY), but never on the way to this machine.
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=not is_loopback_url(url)) as session,
            session.post(url, data=dict(form), ssl=tls, allow_redirects=False) as answer,
        ):
            return answer.status, await _body(answer), _retry_after(answer.headers.get("Retry-After", ""))
    except TimeoutError as error:
        raise ChannelAway(f"{host}: no answer within {REQUEST_WITHIN:g} s") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise ChannelAway(f"{host}: {error.certificate_error}") from error.certificate_error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ChannelAway(f"{host}: {error or type(error).__name__}") from error


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for chunk in answer.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise ValueError("an answer without end")
    return body


def _retry_after(text: str) -> float | None:
    """Seconds, at most an hour; dates are not read."""
    return min(float(text), 3600.0) if text.isascii() and text.isdigit() and len(text) < 7 else None


def _seen(task: asyncio.Task[str]) -> None:
    """Nobody may be waiting any more: take the exception, so that it is not reported as forgotten."""
    if not task.cancelled():
        task.exception()
