"""A bot on the Bot API server of our own, and a channel that reads it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from channels.settings import TelegramSettings
from intake.demo.botapi import BotApi
from intake.demo.botapi_chats import Person

T = TypeVar("T")

TOKEN = "4242:AAcanary-that-no-log-may-show-0123456789"
WANG = Person(id=7001, first_name="美玲", last_name="王", language_code="zh-hant")
LEE = Person(id=7002, first_name="Ann", last_name="Lee", language_code="en-GB")


@asynccontextmanager
async def bot_api(**more: Any) -> AsyncIterator[BotApi]:
    async with BotApi(TOKEN, **{"seconds": time.time} | more) as server:
        yield server


def token_file(folder: Path, token: str = TOKEN) -> Path:
    path = folder / "bot-token"
    path.write_text(token + "\n")
    path.chmod(0o600)
    return path


def telegram_settings(folder: Path, server: BotApi, **changes: Any) -> TelegramSettings:
    usual = {"token": {"file": str(token_file(folder))}, "api_url": server.base_url, "poll_wait": "1s"}
    return TelegramSettings.model_validate(usual | changes)


class Telegram:
    """The server in a thread of its own, for tests that wait for a daemon; what people do is `does`."""

    def __init__(self, port: int = 0) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bot-api", daemon=True)
        self._thread.start()
        self.api = self._run(self._started(port))

    async def _started(self, port: int) -> BotApi:
        api = BotApi(TOKEN, seconds=time.time)
        await api.start(port)
        return api

    async def _ended(self) -> None:
        await self.api.stop()
        others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def does(self, what: Callable[[BotApi], T]) -> T:
        """Do it on the server's own thread."""

        async def do() -> T:
            return what(self.api)

        result: T = self._run(do())
        return result

    def says(self, person: Person, text: str = "", **more: Any) -> dict[str, Any]:
        return self.does(lambda api: api.chats.says(person, text, **more))

    def reads(self, person: Person) -> list[str]:
        """What a person has of the bot."""
        return self.does(lambda api: api.chats.from_bot(person))

    def stop(self) -> None:
        self._run(self._ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def telegram_server() -> Iterator[Telegram]:
    server = Telegram()
    try:
        yield server
    finally:
        server.stop()
