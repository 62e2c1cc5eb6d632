"""Accept: on the disk before anybody is told, one commit for many, and the same answer for all of them."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections import namedtuple
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from support.needs import find, needs
from support.storefacts import HandClock, arrival, with_cursor

from channels.adapter import Accepted, Decided, StoreUnavailable
from intake import accept
from intake.accept import Acceptor, DecisionBoard, SpaceGate
from store import cursors, messages
from store.engine import Database, Transaction
from store.upgrade import upgrade

ROOT = Path(__file__).parents[2]
Usage = namedtuple("Usage", "total used free")
OPEN_GATE = SpaceGate(None, 0, 0)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(database)
    yield database
    await database.close()


def acceptor(db: Database, gate: SpaceGate = OPEN_GATE, wake: Callable[[], None] = lambda: None) -> Acceptor:
    return Acceptor(db, HandClock(), DecisionBoard(), gate, wake)


def commits(db: Database) -> list[int]:
    """Grows by one with every commit of what is written in one errand, from now on."""
    seen: list[int] = []
    real = db.write

    async def write(work: Any) -> Any:
        result = await real(work)
        seen.append(1)
        return result

    db.write = write  # type: ignore[method-assign]
    return seen


async def kept(db: Database) -> list[str]:
    async with db.reading() as tx:
        return [r["external_id"] for r in await tx.rows(messages.MESSAGE.select().order_by(messages.MESSAGE.c.id))]


async def test_nobody_is_told_before_it_is_committed(db: Database) -> None:
    seen = commits(db)
    accept_ = acceptor(db)

    [receipt] = await accept_([arrival("a")])
    assert (len(seen), receipt.id, receipt.is_duplicate, await kept(db)) == (1, 1, False, ["a"])


async def test_nothing_costs_nothing(db: Database) -> None:
    seen = commits(db)

    assert await acceptor(db)([]) == []
    assert seen == []


async def test_many_callers_share_few_commits_and_each_hears_of_his_own(db: Database) -> None:
    seen, accept_ = commits(db), acceptor(db)

    receipts = await asyncio.gather(*(accept_([arrival(f"{n}a"), arrival(f"{n}b")]) for n in range(50)))
    assert len(seen) <= 3
    ids = {e: n for n, e in enumerate(await kept(db), 1)}
    assert [[r.id for r in mine] for mine in receipts] == [[ids[f"{n}a"], ids[f"{n}b"]] for n in range(50)]


async def test_the_same_message_from_two_callers_at_once_is_one_with_one_id(db: Database) -> None:
    accept_ = acceptor(db)

    receipts = await asyncio.gather(*(accept_([arrival("a")]) for _ in range(5)))
    assert [(r.id, r.is_duplicate) for [r] in receipts] == [(1, False)] + [(1, True)] * 4


async def test_a_group_is_bounded_and_a_larger_call_is_still_one_commit(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "MAX_GROUP", 4)
    monkeypatch.setattr(accept, "MAX_GROUP_BYTES", 1000)
    seen, accept_ = commits(db), acceptor(db)
    await accept_([arrival(f"n{n}") for n in range(9)])
    alone = len(seen)
    await asyncio.gather(*(accept_([arrival(f"m{n}")]) for n in range(9)))
    by_count = len(seen) - alone
    await asyncio.gather(*(accept_([arrival(f"h{n}", raw=b"x" * 900)]) for n in range(3)))

    assert (alone, by_count, len(seen) - alone - by_count) == (1, 3, 3)


async def test_the_decider_is_woken_once_it_is_there(db: Database) -> None:
    woken: list[int] = []
    accept_ = acceptor(db, wake=lambda: woken.append(1))
    await accept_([arrival("a")])

    assert woken == [1]


# ---- when it does not work


class Broken:
    """Lets `messages.accept` fail for a batch that holds a certain message."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.real = messages.accept

    async def __call__(self, tx: Transaction, arrivals: Any, *more: Any) -> Any:
        done = await self.real(tx, arrivals, *more)
        if self.error and any(a.external_id == "bad" for a in arrivals):
            raise self.error
        return done


@pytest.mark.parametrize("error", [StoreUnavailable("disk is full"), LookupError("nobody foresaw")])
async def test_g1_if_the_commit_fails_everybody_in_it_is_refused_and_nothing_is_kept(
    db: Database, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    broken = Broken(error)
    monkeypatch.setattr(accept.messages, "accept", broken)
    accept_ = acceptor(db)

    ends = await asyncio.gather(*(accept_([with_cursor(e, e)]) for e in ("a", "bad", "b")), return_exceptions=True)
    assert [type(e) for e in ends] == [StoreUnavailable] * 3
    assert (await kept(db), accept_.refused is None) == ([], isinstance(error, LookupError))
    async with db.reading() as tx:
        assert await cursors.read(tx, "mail", "INBOX") is None
    broken.error = None
    await asyncio.gather(*(accept_([with_cursor(e, e)]) for e in ("a", "bad", "b")))
    assert (await kept(db), accept_.refused) == (["a", "bad", "b"], None)


async def test_all_of_a_call_or_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept.messages, "accept", Broken(LookupError()))

    with pytest.raises(StoreUnavailable):
        await acceptor(db)([arrival("a"), arrival("bad"), arrival("b")])
    assert await kept(db) == []


async def test_who_is_cancelled_while_he_waits_changes_nothing_for_the_others(db: Database) -> None:
    accept_ = acceptor(db)
    tasks = [asyncio.create_task(accept_([arrival(str(n))])) for n in range(6)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.sleep(0)
    tasks[4].cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(e, asyncio.CancelledError) for e in ends] == [n in (2, 4) for n in range(6)]
    names = await kept(db)
    assert {"0", "1", "3", "5"} <= set(names)
    again = await accept_([arrival("2")])
    assert again[0].is_duplicate == ("2" in names)


async def test_who_comes_during_a_commit_is_in_the_next(db: Database) -> None:
    accept_ = acceptor(db)
    async with db.transaction():  # the writer is busy
        first = asyncio.create_task(accept_([arrival("a")]))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(accept_([arrival("b")]))
        await asyncio.sleep(0.01)
    [one], [two] = await asyncio.gather(first, second)

    assert (one.id, two.id) == (1, 2)


# ---- the free-space gate


async def test_g10_when_the_disk_is_nearly_full_nothing_is_taken_in_until_there_is_room(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mib = 2**20
    free = 40 * mib
    monkeypatch.setattr(accept.shutil, "disk_usage", lambda _: Usage(1000 * mib, 0, free))
    monkeypatch.setattr(accept, "SPACE_CHECK_EVERY", 0.0)
    accept_ = acceptor(db, SpaceGate(tmp_path, 1024 * mib, 0.05))

    with pytest.raises(StoreUnavailable, match=r"40 MiB free .* 50 MiB wanted"):
        await accept_([arrival("a")])
    assert (await kept(db), accept_.refused is not None) == ([], True)
    free = 60 * mib
    await accept_([arrival("a")])
    assert accept_.refused is None


async def test_the_disk_is_not_asked_for_every_message(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def usage(folder: Any) -> Usage:
        asked.append(folder)
        return Usage(10**9, 0, 10**9)

    monkeypatch.setattr(accept.shutil, "disk_usage", usage)
    accept_ = acceptor(db, SpaceGate(tmp_path, 10, 0.05))
    for number in range(20):
        await accept_([arrival(str(number))])

    assert asked == [tmp_path]


async def test_a_folder_that_has_gone_is_a_store_that_is_not_there(db: Database, tmp_path: Path) -> None:
    accept_ = acceptor(db, SpaceGate(tmp_path / "gone", 10, 0.05))

    with pytest.raises(StoreUnavailable, match="gone"):
        await accept_([arrival("a")])


# ---- who waits for the decision


def decided(receipt: Accepted) -> Decided:
    return Decided(message_id=receipt.id, ticket=1001, agent="chen")


async def test_the_decision_is_heard_by_who_waits_and_by_who_asks_a_moment_late(db: Database) -> None:
    board = DecisionBoard()
    accept_ = Acceptor(db, HandClock(), board, OPEN_GATE, lambda: None)
    [receipt] = await accept_([arrival("a")])
    waiting = asyncio.ensure_future(receipt.decided)
    await asyncio.sleep(0)
    board.tell(decided(receipt))
    [again] = await accept_([arrival("a")])

    assert await waiting == await receipt.decided == await again.decided == decided(receipt)


async def test_one_who_waits_no_longer_does_not_end_the_waiting_of_another(db: Database) -> None:
    board = DecisionBoard()
    accept_ = Acceptor(db, HandClock(), board, OPEN_GATE, lambda: None)
    [first], [second] = await accept_([arrival("a")]), await accept_([arrival("a")])
    patient = asyncio.ensure_future(second.decided)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await first.decided
    board.tell(decided(first))

    assert await patient == decided(first)


async def test_nothing_is_kept_for_those_who_never_ask(db: Database) -> None:
    board = DecisionBoard()
    accept_ = Acceptor(db, HandClock(), board, OPEN_GATE, lambda: None)
    for number in range(10):
        await accept_([arrival(str(number))])

    assert board._waiting == {}


async def test_only_the_latest_decisions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept, "RECENT_DECISIONS", 3)
    board = DecisionBoard()
    for number in range(10):
        board.tell(Decided(message_id=number, ticket=None, agent=None))

    assert list(board._recent) == [7, 8, 9]


# ---- power loss

_ACCEPT_ONE = """
import asyncio, os, sys
from support.storefacts import HandClock, with_cursor
from intake.accept import Acceptor, DecisionBoard, SpaceGate
from store.engine import Database
from store.upgrade import upgrade

async def main(path):
    db = Database(f"sqlite:///{path}")
    await upgrade(db)
    accept = Acceptor(db, HandClock(), DecisionBoard(), SpaceGate(None, 0, 0), lambda: None)
    await accept([with_cursor("warm", "1")])
    os.write(1, b"BEGIN\\n")
    await accept([with_cursor("a", "2", raw=b"the octets of one mail, to be found in the log")])
    os.write(1, b"TOLD\\n")
    await db.close()

asyncio.run(main(sys.argv[1]))
"""


def test_g1_the_log_is_on_the_disk_before_the_source_is_told(tmp_path: Path) -> None:
    needs("strace")
    trace = tmp_path / "trace"
    done = subprocess.run(
        [
            *(find("strace") or "strace", "-f", "-y", "-s", "9000", "-o", str(trace)),
            *("-e", "trace=write,pwrite64,pwritev,pwritev2,fsync,fdatasync"),
            *(sys.executable, "-c", _ACCEPT_ONE, str(tmp_path / "intake.db")),
        ],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT}/tests", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "ptrace" in done.stderr.lower() and done.returncode:
        pytest.skip("tracing a process is not allowed here")
    assert done.returncode == 0, done.stderr
    calls = trace.read_text("utf-8", "replace").splitlines()
    [begun] = [n for n, c in enumerate(calls) if '"BEGIN\\n"' in c]
    [told] = [n for n, c in enumerate(calls) if '"TOLD\\n"' in c]
    between = calls[begun:told]
    # strace splits a call that another thread interrupts: the line that resumes it names no file.
    written = [n for n, c in enumerate(between) if re.search(r"pwrite.*intake\.db-wal>", c)]
    octets = [n for n, c in enumerate(between) if "the octets of one mail" in c and "intake.db-wal>" in c]
    synced = [n for n, c in enumerate(between) if re.search(r"f(data)?sync\(\d+<[^>]*intake\.db-wal>", c)]

    assert octets
    assert synced, between
    assert synced[-1] > written[-1]
    assert len(synced) == 1  # one for all of it
