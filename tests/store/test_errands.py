"""Errands: a transaction that is handed over whole keeps all or nothing, and asks as any other does."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, func, select, text, update

from channels.adapter import StoreUnavailable
from store import cursors, engine, outbox
from store.engine import WANTED, Database, Transaction
from store.errand import Errands, WaitsForOthers, plan_of
from store.schema import CursorRow, OutboxRow
from store.upgrade import upgrade

CURSOR = CursorRow.__table__  # type: ignore[attr-defined]
OUTBOX = OutboxRow.__table__  # type: ignore[attr-defined]
KEY = ("mail", "INBOX")
SLOW = text("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000000) SELECT count(*) FROM c")


async def write(db: Database, value: str) -> None:
    await db.write(lambda tx: cursors.write(tx, {KEY: value}))


async def read(db: Database) -> str | None:
    return await db.read(lambda tx: cursors.read(tx, *KEY))


async def test_what_an_errand_wrote_is_there_and_what_it_read_comes_back(db: Database) -> None:
    await write(db, "7")

    assert await read(db) == "7"


async def test_an_exception_in_an_errand_undoes_all_of_it_and_comes_through(db: Database) -> None:
    async def fail(tx: Transaction) -> None:
        await cursors.write(tx, {KEY: "8"})
        raise LookupError

    with pytest.raises(LookupError):
        await db.write(fail)
    await write(db, "9")
    assert await read(db) == "9"


async def test_an_errand_and_a_transaction_see_what_the_other_has_committed(db: Database) -> None:
    await write(db, "7")
    async with db.transaction() as tx:
        before = await cursors.read(tx, *KEY)
        await cursors.write(tx, {KEY: "8"})

    assert (before, await read(db)) == ("7", "8")


async def test_many_errands_that_read_and_then_write_lose_no_increment(db: Database) -> None:
    await write(db, "0")
    lock = text("SELECT value FROM cursor WHERE name = 'INBOX'" + ("" if db.is_sqlite else " FOR UPDATE"))

    async def increment(tx: Transaction) -> None:
        await cursors.write(tx, {KEY: str(int(await tx.scalar(lock)) + 1)})

    await asyncio.gather(*(db.write(increment) for _ in range(40)))
    assert await read(db) == "40"


async def test_who_waits_for_something_else_is_told_so_and_has_written_nothing(sqlite: Database) -> None:
    async def waits(tx: Transaction) -> None:
        await cursors.write(tx, {KEY: "8"})
        await asyncio.sleep(0)

    with pytest.raises(WaitsForOthers):
        await sqlite.write(waits)
    assert await read(sqlite) is None


@pytest.mark.parametrize("how_often", [1, 20])
async def test_cancelled_before_its_commit_an_errand_has_written_nothing_and_leaves_nothing_locked(
    sqlite: Database, how_often: int
) -> None:
    is_inside = threading.Event()

    async def slow(tx: Transaction) -> None:
        await cursors.write(tx, {KEY: "8"})
        is_inside.set()
        await tx.execute(SLOW)

    task = asyncio.create_task(sqlite.write(slow))
    await asyncio.to_thread(is_inside.wait, 5)
    for _ in range(how_often):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert await read(sqlite) is None
    async with asyncio.timeout(5):
        await write(sqlite, "9")


async def test_a_commit_that_fails_leaves_nothing_locked_and_nothing_kept(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Errands) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = 10
        raise engine.DBAPIError.instance("COMMIT", None, error, sqlite3.Error)

    with monkeypatch.context() as broken:
        broken.setattr(Errands, "commit", refuse)
        with pytest.raises(StoreUnavailable):
            await write(sqlite, "8")
    assert await read(sqlite) is None
    await write(sqlite, "9")
    assert await read(sqlite) == "9"


async def test_what_can_neither_be_committed_nor_undone_costs_the_connection(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Errands) -> None:
        raise engine.DBAPIError.instance("COMMIT", None, sqlite3.OperationalError("no"), sqlite3.Error)

    with monkeypatch.context() as broken:
        broken.setattr(Errands, "commit", refuse)
        broken.setattr(Errands, "rollback", refuse)
        with pytest.raises(Exception, match="no"):
            await write(sqlite, "8")
    async with asyncio.timeout(5):
        await write(sqlite, "9")
    assert await read(sqlite) == "9"


async def test_a_locked_file_is_unavailable(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 50)
    db = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(db)
    other = sqlite3.connect(f"{tmp_path}/intake.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match="locked"):
        await write(db, "8")
    other.close()
    await write(db, "9")
    await db.close()


async def test_an_errand_that_only_reads_cannot_write(sqlite: Database) -> None:
    with pytest.raises(Exception, match="readonly"):
        await sqlite.read(lambda tx: cursors.write(tx, {KEY: "8"}))


async def test_what_an_errand_says_of_a_failure_repeats_no_words_of_a_customer(db: Database) -> None:
    planned = update(CURSOR).where(CURSOR.c.name == bindparam("the_name")).values(value=bindparam("the_value"))
    await write(db, "7")
    for _ in range(3):  # the first by the layers, the others planned
        with pytest.raises(Exception) as caught:
            await db.write(lambda tx: tx.changed(planned, {"the_name": "INBOX", "the_value": None}))
        assert not isinstance(caught.value, StoreUnavailable)
        assert "INBOX" not in str(caught.value)


# ---- statements that are made once

_MOMENT = datetime(2026, 11, 24, 4, 5, 6, 789, tzinfo=UTC)
_SOME = select(CURSOR.c.name, CURSOR.c.value).where(CURSOR.c.name.in_(WANTED)).order_by(CURSOR.c.name)
_COUNTED = select(func.count().label("count"), func.max(CURSOR.c.value).label("last")).where(
    CURSOR.c.channel.in_(["mail", "tg"]), CURSOR.c.name.in_(WANTED), CURSOR.c.value != bindparam("not_this")
)
_LIMITED = select(CURSOR).order_by(CURSOR.c.name.desc()).limit(bindparam("how_many"))
_CHANGED = update(CURSOR).where(CURSOR.c.name == bindparam("the_name")).values(value=bindparam("the_value"))


@pytest.mark.parametrize(
    ("statement", "params"),
    [
        (_SOME, {"wanted": ["a", "c"]}),
        (_SOME, {"wanted": {"b"}}),
        (_SOME, {"wanted": []}),
        (_SOME, {"wanted": ["nobody"]}),
        (_COUNTED, {"wanted": ["a", "b", "c"], "not_this": "1"}),
        (_LIMITED, {"how_many": 2}),
        (select(CURSOR.c.value).where(CURSOR.c.name == "b"), None),
    ],
)
async def test_a_statement_says_the_same_however_often_it_was_asked(
    db: Database, statement: object, params: object
) -> None:
    await db.write(lambda tx: cursors.write(tx, {("mail", name): str(n) for n, name in enumerate("abc")}))
    async with db.reading() as tx:
        expected = await tx.rows(statement, params)

    async def asked(tx: Transaction) -> list[object]:
        return [await tx.rows(statement, params) for _ in range(4)]

    assert await db.read(asked) == [expected] * 4


async def test_an_update_that_is_made_once_tells_how_many_rows_it_changed(db: Database) -> None:
    await write(db, "7")

    async def change(tx: Transaction) -> list[int]:
        given = [("INBOX", "8"), ("nobody", "9"), ("INBOX", "10"), ("INBOX", "11")]
        return [await tx.changed(_CHANGED, {"the_name": n, "the_value": v}) for n, v in given]

    assert await db.write(change) == [1, 0, 1, 1]
    assert await read(db) == "11"


async def test_moments_come_out_of_a_planned_statement_as_they_went_in(db: Database) -> None:
    row = dict.fromkeys(("channel", "address", "lane", "purpose", "state", "recipe", "mail_id"), "x")
    when = {"created_at": _MOMENT, "answered_at": None}
    numbers = {"priority": 0, "attempts": 0, "unknowns": 0}
    await db.write(lambda tx: tx.insert(OUTBOX, [{**row, **when, **numbers}]))
    asked = select(OUTBOX.c.created_at, OUTBOX.c.answered_at).where(OUTBOX.c.created_at <= bindparam("moment"))

    async def ask(tx: Transaction) -> list[object]:
        return [await tx.rows(asked, {"moment": _MOMENT}) for _ in range(3)]

    assert await db.read(ask) == [[when]] * 3


def test_what_the_hot_path_asks_is_planned() -> None:
    dialect = Errands(sqlite3.connect(":memory:")).dialect

    plans = [plan_of(s, tuple(c.name for c in s.selected_columns), dialect) for s in (outbox._DUE, _SOME, _COUNTED)]
    assert None not in plans
    assert plan_of(_CHANGED, (), dialect) is not None


def test_who_leaves_a_value_out_is_told() -> None:
    plan = plan_of(_CHANGED, (), Errands(sqlite3.connect(":memory:")).dialect)

    assert plan is not None
    with pytest.raises(KeyError):
        plan.filled({"the_name": "INBOX"})
