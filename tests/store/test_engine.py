"""Transactions: what leaves the block is kept, anything else is not, and nothing stays locked."""

# ruff: noqa: PT012  # what raises is the end of a transaction, so the block holds all of it

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import subprocess
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from support.databases import Postgres, private_postgres
from support.needs import needs

from channels.adapter import StoreUnavailable
from store import cursors, engine
from store.engine import Database, Transaction
from store.upgrade import upgrade

KEY = ("mail", "INBOX")


async def write(db: Database, value: str, key: tuple[str, str] = KEY) -> None:
    async with db.transaction() as tx:
        await cursors.write(tx, {key: value})


async def read(db: Database, key: tuple[str, str] = KEY) -> str | None:
    async with db.reading() as tx:
        return await cursors.read(tx, *key)


# ---- kept or not


async def test_what_leaves_the_block_is_there_for_another_process(db: Database) -> None:
    await write(db, "7")
    again = Database(db.url.render_as_string(hide_password=False))

    assert await read(again) == "7"
    await again.close()


async def test_an_exception_in_the_block_undoes_all_of_it(db: Database) -> None:
    await write(db, "7")

    with pytest.raises(LookupError):
        async with db.transaction() as tx:
            await cursors.write(tx, {KEY: "8"})
            raise LookupError
    assert await read(db) == "7"


async def test_a_failed_statement_undoes_what_stood_before_it(db: Database) -> None:
    with pytest.raises(Exception, match="nonsense"):
        async with db.transaction() as tx:
            await cursors.write(tx, {KEY: "8"})
            await tx.execute(text("SELECT * FROM nonsense"))
    assert await read(db) is None
    await write(db, "9")


async def test_concurrent_read_modify_write_loses_no_increment(db: Database) -> None:
    await write(db, "0")
    lock = text("SELECT value FROM cursor WHERE name = 'INBOX'" + ("" if db.is_sqlite else " FOR UPDATE"))

    async def increment() -> None:
        for _ in range(5):
            async with db.transaction() as tx:
                value = int(await tx.scalar(lock))
                await asyncio.sleep(0)
                await cursors.write(tx, {KEY: str(value + 1)})

    await asyncio.gather(*(increment() for _ in range(8)))
    assert await read(db) == "40"


async def test_readers_do_not_wait_for_the_writer_and_see_only_what_is_committed(db: Database) -> None:
    await write(db, "7")

    async with db.transaction() as tx:
        await cursors.write(tx, {KEY: "8"})
        async with asyncio.timeout(2):
            seen = await read(db)
    assert (seen, await read(db)) == ("7", "8")


async def test_the_writer_does_not_wait_for_readers(db: Database) -> None:
    await write(db, "7")

    async with db.reading() as tx:
        before = await cursors.read(tx, *KEY)
        async with asyncio.timeout(2):
            await write(db, "8")
    assert (before, await read(db)) == ("7", "8")


async def test_more_readers_than_connections_take_turns(db: Database) -> None:
    await write(db, "7")

    assert await asyncio.gather(*(read(db) for _ in range(40))) == ["7"] * 40


async def test_a_reader_cannot_write_on_sqlite(sqlite: Database) -> None:
    with pytest.raises(Exception, match="readonly"):
        async with sqlite.reading() as tx:
            await cursors.write(tx, {KEY: "8"})
    assert await read(sqlite) is None


# ---- cancelled


async def test_cancelled_while_waiting_for_its_turn_leaves_nothing_locked(db: Database) -> None:
    async with contextlib.AsyncExitStack() as turns:
        for _ in range(1 if db.is_sqlite else engine.CONNECTIONS):
            await turns.enter_async_context(db.transaction())
        waiting = asyncio.create_task(write(db, "8"))
        await asyncio.sleep(0.02)
        waiting.cancel()
        async with asyncio.timeout(2):
            await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(5):
        await write(db, "9")
    assert await read(db) == "9"


async def test_cancelled_in_the_body_undoes_it(db: Database) -> None:
    started = asyncio.Event()

    async def slow() -> None:
        async with db.transaction() as tx:
            await cursors.write(tx, {KEY: "8"})
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(slow())
    await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert await read(db) is None
    async with asyncio.timeout(5):
        await write(db, "9")


async def test_cancelled_again_while_it_cleans_up_leaves_nothing_locked(db: Database) -> None:
    started = asyncio.Event()

    async def slow() -> None:
        async with db.transaction() as tx:
            await cursors.write(tx, {KEY: "8"})
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(slow())
    await started.wait()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)

    assert await read(db) is None
    async with asyncio.timeout(5):
        await write(db, "9")


async def test_cancelled_again_and_again_in_the_middle_of_a_statement_leaves_nothing_locked(db: Database) -> None:
    slow = (
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) SELECT count(*) FROM c"
        if db.is_sqlite
        else "SELECT pg_sleep(0.2)"
    )
    for patience in (0.001, 0.01):

        async def work() -> None:
            async with db.transaction() as tx:
                await cursors.write(tx, {KEY: "8"})
                await tx.execute(text(slow))

        task = asyncio.create_task(work())
        await asyncio.sleep(0.02)
        while not task.done():
            task.cancel()
            await asyncio.sleep(patience)
        async with asyncio.timeout(5):
            await write(db, "9", ("other", "key"))
        assert await read(db) is None


async def test_random_cancellations_leave_nothing_locked_and_lose_nothing_that_was_committed(db: Database) -> None:
    dice = random.Random(7)
    committed = 0
    await write(db, "0")
    lock = text("SELECT value FROM cursor WHERE name = 'INBOX'" + ("" if db.is_sqlite else " FOR UPDATE"))

    async def increment() -> None:
        nonlocal committed
        async with db.transaction() as tx:
            value = int(await tx.scalar(lock))
            await cursors.write(tx, {KEY: str(value + 1)})
        committed += 1

    async def look() -> None:
        async with db.reading() as tx:
            await cursors.read(tx, *KEY)

    for _ in range(60):
        tasks = [asyncio.create_task(dice.choice((increment, increment, look))()) for _ in range(12)]
        for task in tasks:
            await asyncio.sleep(dice.choice((0, 0, 0, 0.0003, 0.001)))
            if dice.random() < 0.6:
                dice.choice(tasks).cancel()
            if dice.random() < 0.2:
                task.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks, return_exceptions=True)

    async with asyncio.timeout(5):
        value = int(await read(db) or 0)
    # A commit that was under way when its caller was cancelled may have been kept.
    assert committed <= value <= 60 * 12
    assert committed > 0
    async with asyncio.timeout(5):
        await write(db, "done")


# ---- out of order


async def test_a_commit_that_fails_leaves_nothing_locked_and_nothing_kept(sqlite: Database) -> None:
    def refuse(_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = 10
        raise DBAPIError.instance("COMMIT", None, error, sqlite3.Error)  # type: ignore[arg-type]

    event.listen(sqlite._writer.sync_engine, "commit", refuse)
    with pytest.raises(StoreUnavailable):
        await write(sqlite, "8")
    event.remove(sqlite._writer.sync_engine, "commit", refuse)
    assert sqlite.path is not None
    other = sqlite3.connect(sqlite.path, isolation_level=None, timeout=0.1)
    other.execute("BEGIN IMMEDIATE")
    other.close()

    assert await read(sqlite) is None
    await write(sqlite, "9")


async def test_two_processes_that_read_and_then_write_lose_no_increment(sqlite: Database) -> None:
    # Such as the daemon and the command line: only who takes the lock before he reads may write what follows from it.
    other = Database(sqlite.url.render_as_string())
    await write(sqlite, "0")

    async def increment(db: Database) -> None:
        for _ in range(20):
            async with db.transaction() as tx:
                value = int(await cursors.read(tx, *KEY) or 0)
                await asyncio.sleep(0)
                await cursors.write(tx, {KEY: str(value + 1)})

    await asyncio.gather(increment(sqlite), increment(other))
    await other.close()
    assert await read(sqlite) == "40"


async def test_a_locked_file_is_unavailable_and_later_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 50)
    db = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(db)
    other = sqlite3.connect(tmp_path / "intake.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match="locked"):
        await write(db, "8")
    other.execute("ROLLBACK")
    other.close()
    await write(db, "9")
    assert await read(db) == "9"
    await db.close()


async def pages(db: Database, limit: int) -> None:
    """Let the database grow to so many pages and no further; 0 for as far as it likes."""
    async with db.transaction() as tx:
        await tx.execute(text(f"PRAGMA max_page_count={limit or 1073741823}"))


async def test_a_full_disk_is_unavailable_keeps_nothing_and_later_works_again(sqlite: Database) -> None:
    await write(sqlite, "7")
    await pages(sqlite, 1)  # it cannot shrink below what it has

    with pytest.raises(StoreUnavailable, match="full"):
        async with sqlite.transaction() as tx:
            await cursors.write(tx, {KEY: "8"})
            for number in range(50):
                await cursors.write(tx, {("mail", str(number)): "x" * 4000})
    assert await read(sqlite) == "7"
    await pages(sqlite, 0)
    await write(sqlite, "9")
    assert await read(sqlite) == "9"


async def test_a_full_file_system_is_unavailable_keeps_nothing_and_later_works_again(tmp_path: Path) -> None:
    needs("root", "mount")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        db = Database(f"sqlite:///{tmp_path}/intake.db")
        await upgrade(db)
        await write(db, "7")
        ballast = tmp_path / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()

        with pytest.raises(StoreUnavailable):
            async with db.transaction() as tx:
                for number in range(200):
                    await cursors.write(tx, {("mail", str(number)): "x" * 4000})
        kept = await read(db)
        ballast.unlink()
        await write(db, "9")
        assert (kept, await read(db)) == ("7", "9")
        await db.close()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=False)


async def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/nowhere/intake.db")

    with pytest.raises(StoreUnavailable):
        await read(db)
    await db.close()
    await asyncio.sleep(0.05)  # the driver's thread says good-bye to the loop


async def test_words_of_a_customer_do_not_make_an_error_look_like_a_lost_server(db: Database) -> None:
    # A poisonous row must be blamed and parked; taken for a passing trouble it would be tried for ever.
    with pytest.raises(Exception) as caught:
        async with db.transaction() as tx:
            await tx.execute(
                text("INSERT INTO cursor (channel, name, value) VALUES (:c, :n, :v)"),
                {"c": "connection shutting down: disk is full", "n": "database is locked", "v": None},
            )
    assert not isinstance(caught.value, StoreUnavailable)
    if not db.is_sqlite:
        with pytest.raises(Exception) as caught:
            async with db.transaction() as tx:
                await tx.execute(
                    text("INSERT INTO counter (name, value) VALUES ('x', CAST(:v AS INTEGER))"),
                    {"v": "connection shutting down"},
                )
        assert not isinstance(caught.value, StoreUnavailable)


async def test_what_the_store_says_of_a_failure_repeats_no_words_of_a_customer(db: Database) -> None:
    """It goes into the log, and people's words do not belong there."""
    secret = "my password is 1234"
    for value in (None, "\udcd3 " + secret):  # refused by the engine, and by its driver
        with pytest.raises(Exception) as caught:
            async with db.transaction() as tx:
                await tx.execute(
                    text("INSERT INTO cursor (channel, name, value) VALUES (:c, :n, :v)"),
                    {"c": secret, "n": "INBOX", "v": value},
                )
        assert secret not in "".join(traceback.format_exception(caught.value))


@pytest.fixture(scope="module")
def mortal() -> AsyncIterator[Postgres]:
    """A server that may be stopped."""
    with private_postgres() as server:
        yield server


@pytest.mark.parametrize("mode", ["immediate", "fast"])
async def test_a_stopped_server_is_unavailable_and_started_again_works(mortal: Postgres, mode: str) -> None:
    mortal.stop()
    mortal.start()
    db = await mortal.migrated_database()
    await write(db, "7")

    with pytest.raises(StoreUnavailable):
        async with db.transaction() as tx:
            await cursors.write(tx, {KEY: "8"})
            await asyncio.to_thread(mortal.stop, mode)
            await cursors.write(tx, {KEY: "8"})
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await write(db, "8")
        with pytest.raises(StoreUnavailable):
            await read(db)
    mortal.start()
    await write(db, "9")
    assert await read(db) == "9"
    await db.close()


async def test_a_server_that_stops_before_the_commit_is_unavailable(mortal: Postgres) -> None:
    mortal.start_if_stopped()
    db = await mortal.migrated_database()

    with pytest.raises(StoreUnavailable):
        async with db.transaction() as tx:
            await cursors.write(tx, {KEY: "8"})
            await asyncio.to_thread(mortal.stop)
    mortal.start()
    assert await read(db) is None
    await db.close()


async def test_two_that_wait_for_each_other_on_postgresql_are_a_passing_trouble(postgres: Postgres) -> None:
    db = await postgres.migrated_database()
    one, two = ("mail", "one"), ("mail", "two")
    await write(db, "0", one)
    await write(db, "0", two)
    both = asyncio.Barrier(2)

    async def cross(first: tuple[str, str], second: tuple[str, str]) -> None:
        async with db.transaction() as tx:
            await cursors.write(tx, {first: "1"})
            await both.wait()
            await cursors.write(tx, {second: "1"})

    ends = await asyncio.gather(cross(one, two), cross(two, one), return_exceptions=True)
    assert sorted(type(e).__name__ for e in ends) == ["NoneType", "StoreUnavailable"]
    await db.close()


# ---- how SQLite is set


async def pragmas(tx: Transaction, *names: str) -> list[object]:
    return [await tx.scalar(text(f"PRAGMA {name}")) for name in names]


async def test_the_writer_waits_for_the_disk_and_readers_never_write_or_checkpoint(sqlite: Database) -> None:
    async with sqlite.transaction() as tx:
        writer = await pragmas(tx, "journal_mode", "synchronous", "wal_autocheckpoint", "query_only")
    readers = []
    async with contextlib.AsyncExitStack() as turns:
        for _ in range(engine.READERS):
            tx = await turns.enter_async_context(sqlite.reading())
            readers.append(await pragmas(tx, "wal_autocheckpoint", "query_only"))

    assert writer == ["wal", 2, engine.CHECKPOINT_PAGES, 0]  # 2 is FULL
    assert readers == [[0, 1]] * engine.READERS


async def test_closing_folds_the_log_into_the_file(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(db)
    await write(db, "7")
    await read(db)
    await db.close()

    assert sorted(p.name for p in tmp_path.iterdir()) == ["intake.db"]


async def test_one_statement_for_many_rows_and_none_for_none(db: Database) -> None:
    seen: list[str] = []
    event.listen(db._writer.sync_engine, "before_cursor_execute", lambda *a: seen.append(a[2]))
    async with db.transaction() as tx:
        await cursors.write(tx, {})
        await cursors.write(tx, {("mail", str(n)): "1" for n in range(3)})

    assert len([s for s in seen if s.startswith("INSERT")]) == 1
