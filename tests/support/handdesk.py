"""A desk whose loops a test turns by hand: a real store, a clock that is set, senders that do what they are told."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import text
from support.deskrun import KEYRING, policy

from channels.adapter import Delivery, DeliveryState, OutboundMessage
from intake import texts_loader
from intake.cards import Stationery
from routing.policy import Policy
from routing.records import Event, NewOutbox, Target, Ticket
from store import deadlines, events, outbox, tickets
from store.engine import Database
from store.outbox import OutboxItem
from store.upgrade import upgrade


@cache
def _texts() -> Any:
    return texts_loader.load()


def stationery(of: Policy | None = None) -> Stationery:
    return Stationery(policy=of or policy(), keyring=KEYRING, texts=_texts())


@asynccontextmanager
async def store(folder: Path) -> AsyncIterator[Database]:
    """An empty store of this version in a file of its own: copied, because that is faster than migrating."""
    path = folder / "intake.db"
    if not _template.exists():
        first = Database(f"sqlite:///{_template}")
        await upgrade(first)
        await first.close()
    shutil.copy(_template, path)
    db = Database(f"sqlite:///{path}")
    try:
        yield db
    finally:
        await db.close()


_template = Path(tempfile.mkdtemp(prefix="intake-template-")) / "intake.db"
atexit.register(shutil.rmtree, _template.parent, ignore_errors=True)


async def keep(db: Database, *matters: Ticket, targets: Iterable[Target] = ()) -> None:
    """Write tickets and targets as they are."""
    async with db.transaction() as tx:
        await tickets.add(tx, list(matters))
        await deadlines.add(tx, list(targets))


async def put(db: Database, now: datetime, *items: NewOutbox) -> list[int]:
    """Put things into the outbox: their numbers."""
    async with db.transaction() as tx:
        return [await outbox.add_one(tx, item, now) for item in items]


async def row(db: Database, number: int) -> OutboxItem:
    async with db.reading() as tx:
        found = await outbox.by_id(tx, number)
    assert found is not None
    return found


async def rows(db: Database) -> list[OutboxItem]:
    """The whole outbox, in order."""
    async with db.reading() as tx:
        numbers = [r["id"] for r in await tx.rows(text("SELECT id FROM outbox ORDER BY id"))]
        found = [await outbox.by_id(tx, number) for number in numbers]
    return [item for item in found if item is not None]


async def moves(db: Database) -> list[tuple[int, str, int]]:
    """(row, state, attempts) of the whole outbox: what changes while something moves."""
    async with db.reading() as tx:
        found = await tx.rows(text("SELECT id, state, attempts FROM outbox ORDER BY id"))
    return [(r["id"], r["state"], r["attempts"]) for r in found]


async def target_of(db: Database, number: int) -> Target:
    """The only target of a ticket."""
    async with db.reading() as tx:
        [found] = (await deadlines.of_tickets(tx, [number]))[number]
    return found


async def story(db: Database) -> list[Event]:
    async with db.reading() as tx:
        return await events.after(tx, 0, 10_000)


class HandSender:
    """Hands over what it is given, or does what `next` says: an exception to raise, or a state to end in."""

    def __init__(self) -> None:
        self.sent: list[OutboundMessage] = []  # every attempt, in order
        self.next: list[Exception | DeliveryState] = []
        self.always: Exception | None = None
        self.waits: asyncio.Event | None = None  # an attempt ends once this is set
        self.at_once = 0
        self.most_at_once = 0

    async def send(self, message: OutboundMessage) -> Delivery:
        self.sent.append(message)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.waits is not None:
                await self.waits.wait()
        finally:
            self.at_once -= 1
        does = self.next.pop(0) if self.next else self.always or DeliveryState.DELIVERED
        if isinstance(does, Exception):
            raise does
        return Delivery(state=does, remote_id=f"250 queued as {len(self.sent)}")

    @property
    def recipients(self) -> list[str]:
        return [message.recipient.value for message in self.sent]
