"""The adapters that the contract is held against: a table. Add a channel by writing its source and one line.

A *source* is the other side of a receiver, driven by the suite: a server that a receiver polls, or a caller that
pushes to it. `put(n)` offers n more messages, `told()` counts those of which the source was told that they are
taken (a flag, a 2xx, an ack), `receiver()` is a fresh adapter against it, as after a restart. `rewind()` makes
the source offer everything once more. `put_malformed()` offers something that is no message; whether a receiver
keeps it (`keeps_malformed`: a pull source, from which it could not be refused) or refuses it is in the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from support.imapscript import ScriptedImap
from support.lmtpclient import handed_over
from support.mailbox import Ledger, imap_settings, tools_for
from support.ports import free_ports
from support.telegram import WANG, bot_api, telegram_settings

from channels import telegram
from channels.adapter import Receiver
from channels.imap import ImapReceiver
from channels.lmtp import LmtpReceiver
from channels.settings import LmtpSettings
from intake.demo.botapi import BotApi


class Source(Protocol):
    def receiver(self) -> Receiver: ...

    async def put(self, count: int) -> None: ...

    async def put_malformed(self) -> None: ...

    async def rewind(self) -> None: ...

    def told(self) -> int: ...


@dataclass(frozen=True)
class Case:
    name: str
    source: Callable[[Path, Ledger], AbstractAsyncContextManager[Source]]
    keeps_malformed: bool


class Mailbox:
    """An IMAP folder: the reader comes and asks."""

    def __init__(self, folder: Path, ledger: Ledger, server: ScriptedImap) -> None:
        self._folder, self._ledger, self._server = folder, ledger, server

    def receiver(self) -> Receiver:
        settings = imap_settings(self._folder, self._server.port)
        return ImapReceiver("case", settings, tools_for(self._ledger))

    async def put(self, count: int) -> None:
        for _ in range(count):
            self._server.put(b"Subject: mail %d\r\n\r\nhello\r\n" % len(self._server.mails))

    async def put_malformed(self) -> None:
        self._server.put(b"\x00\xff no header at all")

    async def rewind(self) -> None:
        self._ledger.cursors.clear()

    def told(self) -> int:
        return len(self._server.seen)


@asynccontextmanager
async def mailbox(folder: Path, ledger: Ledger) -> AsyncIterator[Source]:
    async with ScriptedImap() as server:
        yield Mailbox(folder, ledger, server)


class MailServer:
    """A mail server with a queue: it hands over by LMTP, and keeps what was not answered with 250."""

    def __init__(self, ledger: Ledger, port: int) -> None:
        self._ledger, self._port = ledger, port
        self._mails: list[bytes] = []
        self._taken: set[int] = set()

    def receiver(self) -> Receiver:
        settings = LmtpSettings(port=self._port)
        return LmtpReceiver("case", settings, tools_for(self._ledger))

    async def put(self, count: int) -> None:
        for _ in range(count):
            self._mails.append(b"Subject: mail %d\r\n\r\nhello\r\n" % len(self._mails))

    async def put_malformed(self) -> None:
        self._mails.append(b"\x00\xff no header at all\r\n")

    async def rewind(self) -> None:
        self._taken.clear()

    def told(self) -> int:
        return len(self._taken)

    async def deliver(self) -> None:
        """Try again and again, as a queue does, until cancelled."""
        while True:
            for number, raw in enumerate(list(self._mails)):
                if number not in self._taken and await self._is_kept(raw):
                    self._taken.add(number)
            await asyncio.sleep(0.01)

    async def _is_kept(self, raw: bytes) -> bool:
        try:
            answers = await handed_over(self._port, raw)
        except (OSError, EOFError):
            return False
        return answers[-1].startswith("250")


@asynccontextmanager
async def mail_server(_: Path, ledger: Ledger) -> AsyncIterator[Source]:
    (port,) = free_ports(1)
    server = MailServer(ledger, port)
    delivering = asyncio.create_task(server.deliver())
    try:
        yield server
    finally:
        delivering.cancel()
        await asyncio.gather(delivering, return_exceptions=True)


class Bot:
    """A Telegram bot: the reader asks for updates, and what it asks behind is told to be taken."""

    def __init__(self, folder: Path, ledger: Ledger, server: BotApi) -> None:
        self._folder, self._ledger, self._server = folder, ledger, server
        self._offered: list[dict[str, Any]] = []
        self._numbers: set[int] = set()

    def receiver(self) -> Receiver:
        settings = telegram_settings(self._folder, self._server)
        return telegram.build("case", settings, tools_for(self._ledger)).receiver or pytest.fail("it receives")

    async def put(self, count: int) -> None:
        for _ in range(count):
            self._offer({"message": self._server.chats.message(WANG, text="hello")})

    async def put_malformed(self) -> None:
        self._offer({"message": {"chat": {"id": "no number"}, "text": ["no text"]}})

    def _offer(self, update: dict[str, Any]) -> None:
        self._offered.append(update)
        self._numbers.add(self._server.chats.add_update(**update))

    async def rewind(self) -> None:
        """Telegram's own memory of what we confirmed is lost, and ours."""
        self._ledger.cursors.clear()
        for update in self._offered:
            self._server.chats.add_update(**update)

    def told(self) -> int:
        return sum(1 for number in self._numbers if number < self._server.confirmed)


@asynccontextmanager
async def bot(folder: Path, ledger: Ledger) -> AsyncIterator[Source]:
    async with bot_api() as server:
        yield Bot(folder, ledger, server)


CASES = [
    Case(name="mail", source=mailbox, keeps_malformed=True),
    Case(name="lmtp", source=mail_server, keeps_malformed=True),
    Case(name="telegram", source=bot, keeps_malformed=True),
]
