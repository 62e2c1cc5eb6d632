"""A store with no room left: nothing half kept, the sources told to wait, and all is well once there is room.

The disk is SQLite's own limit of pages here; a real full disk is in tests/system/test_bad_input.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from support.deskrun import RunningDesk, mail
from support.handdesk import store

from channels.adapter import StoreUnavailable
from store.engine import Database

ROOM = 20  # pages of 4 KiB
LARGE = 200_000  # octets


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        yield db


async def limit(db: Database, *, pages: int | None) -> None:
    """Leave room for so many pages more; None for as many as there may ever be."""
    async with db.transaction() as tx:
        now = int(await tx.scalar(text("PRAGMA page_count")))
        await tx.execute(text(f"PRAGMA max_page_count = {now + pages if pages is not None else 2**30}"))


async def test_g10_what_does_not_fit_is_refused_whole_and_accepted_once_there_is_room(db: Database) -> None:
    desk = RunningDesk(db)
    await limit(db, pages=ROOM)
    small, large = desk.arrival(mail("小")), desk.arrival(mail("大" * LARGE))

    with pytest.raises(StoreUnavailable, match="database or disk is full"):
        await desk.accept([small, large])
    refused, kept = desk.accept.refused, await desk.messages("id")
    await limit(db, pages=None)
    receipts = await desk.accept([small, large])
    await desk.settle()

    assert (refused, kept) == ("database or disk is full", [])
    assert desk.accept.refused is None
    assert [receipt.is_duplicate for receipt in receipts] == [False, False]
    assert await desk.messages("state") == ["done", "done"]
    assert (await desk.rows("SELECT count(*) AS n FROM raw"))[0]["n"] == 2


async def test_g10_whoever_shares_a_commit_with_what_does_not_fit_is_told_the_same(db: Database) -> None:
    desk = RunningDesk(db)
    await limit(db, pages=ROOM)

    ended = await asyncio.gather(
        desk.accept([desk.arrival(mail("小"))]),
        desk.accept([desk.arrival(mail("大" * LARGE))]),
        return_exceptions=True,
    )

    assert [type(end) for end in ended] == [StoreUnavailable, StoreUnavailable]
    assert await desk.messages("id") == []


async def test_g1_what_was_accepted_before_is_decided_once_there_is_room(db: Database) -> None:
    """The decision does not fit any more: it is taken back whole, and made again."""
    desk = RunningDesk(db)
    await desk.accept([desk.arrival(mail("請問" * 20_000))])
    await limit(db, pages=0)

    with pytest.raises(StoreUnavailable, match="full"):
        await desk.settle()
    undecided = await desk.rows("SELECT (SELECT count(*) FROM ticket) AS t, (SELECT count(*) FROM outbox) AS o")
    await limit(db, pages=None)
    await desk.settle()

    assert undecided == [{"t": 0, "o": 0}]
    assert await desk.messages("state", "outcome") == [("done", "opened")]
    assert len(await desk.tickets()) == 1
