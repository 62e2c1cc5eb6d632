"""What the mail adapters' tests share: a ledger in place of the store, and settings for a test's own servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from channels.adapter import Accept, Accepted, Arrival, Cursor, Decided, Receiver, Tools
from channels.settings import ImapSettings, MailSettings


class StandingClock:
    """Shows what it was set to; the real time when nothing was set."""

    def __init__(self, shows: datetime | None = None) -> None:
        self.shows = shows

    def now(self) -> datetime:
        return self.shows or datetime.now(UTC)

    async def sleep_until(self, when: datetime) -> None:
        raise NotImplementedError


PATIENCE = 60.0  # seconds: a machine that does everything at once still gets there


class Ledger:
    """Accepts as the store does: all or nothing, cursors with arrivals, an id for each key. Fails on demand."""

    def __init__(self) -> None:
        self.arrivals: dict[tuple[str, str], Arrival] = {}
        self.calls: list[list[Arrival]] = []  # everything that was offered, also what was refused
        self.cursors: dict[tuple[str, str], str] = {}
        self.notes: list[tuple[str, float]] = []
        self.fails: Exception | None = None
        self.delay = 0.0  # seconds an accept takes
        self.changed = asyncio.Event()

    async def accept(self, arrivals: Sequence[Arrival]) -> list[Accepted]:
        self.calls.append(list(arrivals))
        self.changed.set()
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.fails is not None:
            raise self.fails
        receipts = []
        for arrival in arrivals:
            key = (arrival.channel, arrival.external_id)
            is_duplicate = key in self.arrivals
            self.arrivals.setdefault(key, arrival)
            if arrival.cursor is not None:
                self.cursors[arrival.channel, arrival.cursor.name] = arrival.cursor.value
            number = list(self.arrivals).index(key) + 1 if len(self.arrivals) < 100 else len(self.arrivals)
            receipts.append(Accepted(number, is_duplicate, _never_decided()))
        self.changed.set()
        return receipts

    async def read_cursor(self, channel: str, name: str) -> str | None:
        return self.cursors.get((channel, name))

    async def save_cursor(self, channel: str, cursor: Cursor) -> None:
        self.cursors[channel, cursor.name] = cursor.value
        self.changed.set()

    def progress(self, note: str, next_turn_within: float) -> None:
        self.notes.append((note, next_turn_within))
        self.changed.set()

    @property
    def raw(self) -> list[bytes]:
        return [arrival.raw for arrival in self.arrivals.values()]

    async def until(self, holds: Callable[[Ledger], bool], seconds: float = PATIENCE) -> None:
        """Return once it holds. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not holds(self):
                self.changed.clear()
                await self.changed.wait()

    async def holds(self, count: int, seconds: float = PATIENCE) -> None:
        await self.until(lambda ledger: len(ledger.arrivals) >= count, seconds)

    async def waits(self, seconds: float = PATIENCE) -> None:
        """Return once the reader has read all there is and waits for more."""
        await self.until(lambda ledger: any("waiting" in note for note, _ in ledger.notes), seconds)


def _never_decided() -> asyncio.Future[Decided]:
    return asyncio.get_running_loop().create_future()


def tools_for(ledger: Ledger, clock: StandingClock | None = None) -> Tools:
    async def no_transcript(session: str, after: str) -> list[Any]:
        return []

    return Tools(
        clock=clock or StandingClock(),
        progress=ledger.progress,
        read_cursor=ledger.read_cursor,
        save_cursor=ledger.save_cursor,
        transcript=no_transcript,
    )


def secret_file(folder: Path, value: str = "secret") -> Path:
    path = folder / f"password-{value}"
    path.write_text(value + "\n")
    path.chmod(0o600)
    return path


def imap_settings(folder: Path, port: int, **changes: Any) -> ImapSettings:
    """A mailbox desk@firm.example on the loopback in plain text, with short patience."""
    usual = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "username": "desk@firm.example",
        "password": {"file": str(secret_file(folder))},
        "since": "all",
        "command_timeout": timedelta(seconds=10),
        "idle_renew_every": timedelta(minutes=4),
    }
    return ImapSettings.model_validate(usual | changes)


def mail_settings(folder: Path, imap: dict[str, Any], smtp: dict[str, Any]) -> MailSettings:
    """A whole channel: `imap` and `smtp` over the usual values of the tests."""
    usual_smtp = {"host": "127.0.0.1", "security": "none"}
    box = imap_settings(folder, **imap)
    return MailSettings.model_validate({"address": "desk@firm.example", "imap": box, "smtp": usual_smtp | smtp})


@asynccontextmanager
async def running(receiver: Receiver, accept: Accept) -> AsyncIterator[asyncio.Task[None]]:
    """The receiver at work in the background; cancelled at the end. Its own failure comes out here."""
    task = asyncio.create_task(receiver.receive(accept))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
