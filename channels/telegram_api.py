"""The line to Telegram: one bot's connections, and what its refusals mean to a desk.

Updates are asked for as JSON, not as the library's objects: one that it cannot read must not stand before all others,
and what is kept is what came. The token stands in every address that is asked; no failure and no log shows it.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlencode

import httpx
from telegram import Bot
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest

from channels.adapter import (
    ChannelAway,
    ChannelSlowed,
    Fatal,
    LoginRefused,
    PermanentFailure,
    TemporaryFailure,
    UnknownDelivery,
)
from channels.settings import TelegramSettings
from channels.telegram_reading import MAX_FILE, Fetched, Wanted

# What a wait is told as: the library asks to be told that its coming form is wished for.
os.environ.setdefault("PTB_TIMEDELTA", "1")

ALLOWED = ("message", "edited_message", "callback_query")  # kinds of updates that Telegram is asked for
BATCH = 100  # updates at one time, the most that it gives
PATIENCE = 15.0  # seconds an answer may take
DOWNLOAD = 60.0  # seconds without an octet of a file
TRIES = 3  # of a file, before the message goes on without it


class Api:
    """One bot. Built without input or output; `open` reads the token."""

    def __init__(self, name: str, settings: TelegramSettings) -> None:
        self._name = name
        self._settings = settings
        self._token = ""
        self._bot: Bot | None = None
        self._polls: HTTPXRequest | None = None

    def open(self) -> Bot:
        """The library's bot. Raises Fatal where the token cannot be read."""
        if self._bot is not None:
            return self._bot
        try:
            self._token = self._settings.token.read()
        except (OSError, ValueError) as wrong:
            raise Fatal(f"{self._name}: the token cannot be read: {wrong}") from wrong
        number, colon, secret = self._token.partition(":")
        if not (number.isdigit() and colon and secret) or not self._token.isprintable():
            raise Fatal(f'{self._name}: this is no token of a bot: @BotFather writes one as "123456:ABC…"')
        api = self._settings.api_url.rstrip("/")
        self._bot = Bot(
            self._token,
            base_url=f"{api}/bot",
            base_file_url=f"{api}/file/bot",
            request=self._connections(16),
            get_updates_request=self._connections(1),
        )
        return self._bot

    def _connections(self, many: int) -> HTTPXRequest:
        return HTTPXRequest(
            connection_pool_size=many,
            read_timeout=PATIENCE,
            write_timeout=PATIENCE,
            connect_timeout=PATIENCE,
            pool_timeout=60.0,
            proxy=self._settings.proxy,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self.stop_asking()
        bot, self._bot = self._bot, None
        if bot is not None:
            await bot.request.shutdown()

    async def stop_asking(self) -> None:
        """Let go of the connection on which updates are asked for; messages may go on being sent."""
        polls, self._polls = self._polls, None
        if polls is not None:
            await polls.shutdown()

    async def updates(self, offset: int, wait: int) -> list[dict[str, Any]]:
        """What waits from an offset on, as it came, after at most `wait` seconds. Raises as `failure`."""
        self.open()
        if self._polls is None:
            self._polls = self._connections(1)
        asked = {"timeout": wait, "limit": BATCH, "allowed_updates": json.dumps(ALLOWED)}
        if offset:
            asked["offset"] = offset
        url = f"{self._settings.api_url.rstrip('/')}/bot{self._token}/getUpdates?{urlencode(asked)}"
        try:
            found = await self._polls.post(url, read_timeout=wait + PATIENCE)
        except TelegramError as error:
            raise self.failure(error) from None
        if not isinstance(found, list):
            raise TemporaryFailure("Telegram's answer to getUpdates is no list")
        return [one for one in found if isinstance(one, dict) and isinstance(one.get("update_id"), int)]

    async def fetch(self, wanted: Wanted) -> Fetched:
        """One file; what cannot be had after some tries is said, so that the message is taken without it."""
        bot = self.open()
        if wanted.size > MAX_FILE:
            return Fetched(wanted=wanted, content=None, problem="too_large")
        problem = ""
        for _ in range(TRIES):
            try:
                file = await bot.get_file(wanted.file_id)
                content = await file.download_as_bytearray(read_timeout=DOWNLOAD)
                return Fetched(wanted=wanted, content=bytes(content))
            except BadRequest as error:
                is_large = "too big" in error.message.lower()
                return Fetched(wanted=wanted, content=None, problem="too_large" if is_large else "refused")
            except RetryAfter as error:
                raise self.failure(error) from None  # nothing is confirmed: it comes again
            except TelegramError as error:
                problem = type(error).__name__
        return Fetched(wanted=wanted, content=None, problem=f"unreachable: {problem}")

    def failure(self, error: TelegramError, *, handed_over: bool = False) -> Exception:
        """What an error means; `handed_over`: a message was on its way, it may have arrived."""
        reason = self._shown(error)
        match error:
            case InvalidToken():
                return LoginRefused(f"Telegram does not know the token: {reason}")
            case Conflict():
                return ChannelAway(f"another program reads this bot too, or a webhook is set: {reason}")
            case RetryAfter():
                wait = error.retry_after
                return ChannelSlowed(reason, wait if isinstance(wait, int) else wait.total_seconds())
            case Forbidden() | ChatMigrated():
                return PermanentFailure(reason)
            case BadRequest():
                return PermanentFailure(reason)
            case TimedOut() | NetworkError():
                if isinstance(error.__cause__, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
                    return ChannelAway(reason)
                if handed_over and isinstance(error.__cause__, httpx.HTTPError):
                    return UnknownDelivery(reason)
                return TemporaryFailure(reason)
        return TemporaryFailure(reason)

    def _shown(self, error: TelegramError) -> str:
        words = " ".join(error.message.split())[:300]
        return words.replace(self._token, "…") if self._token else words
