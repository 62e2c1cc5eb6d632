"""Parsing workers: a bomb costs a worker and itself, nothing else; cancelling and closing leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channels import mime, normal_json
from channels.parsing import MEMORY, ParseJob, ParserPool, worker_command

MAILS = Path(__file__).parent / "mails"

#: A parser that these mails are bombs for.
BOMBS = """
import os, signal, time
from channels import mime, parsing_worker
whole, heads = mime.parse, mime.headers_only
def parse(raw, **options):
    if b"X-Bomb: spin" in raw:
        while True: pass
    if b"X-Bomb: die" in raw: os.kill(os.getpid(), signal.SIGKILL)
    if b"X-Bomb: memory" in raw: return bytearray(1 << 40)
    if b"X-Bomb: sleep" in raw: time.sleep(600)
    if b"X-Bomb: once" in raw and not os.path.exists({marker!r}):
        open({marker!r}, "w").close(); os.kill(os.getpid(), signal.SIGKILL)
    return whole(raw, **options)
def headers_only(raw):
    if b"X-Headers: die" in raw: os.kill(os.getpid(), signal.SIGKILL)
    return heads(raw)
mime.parse, mime.headers_only = parse, headers_only
parsing_worker.main({memory})
"""


def mail(number: int, *headers: str) -> ParseJob:
    lines = [f"Subject: {number}", f"Message-ID: <{number}@x.example>", *headers, "", "words"]
    return ParseJob("\n".join(lines).encode())


Pools = Callable[..., ParserPool]


@pytest.fixture
async def bombable(tmp_path: Path) -> AsyncIterator[Pools]:
    made: list[ParserPool] = []

    def make(workers: int = 1, **limits: float) -> ParserPool:
        python, *options, program = worker_command(MEMORY)
        setup = program.split("from channels")[0]
        bombs = BOMBS.format(marker=str(tmp_path / "died"), memory=MEMORY)
        pool = ParserPool(workers, command=(python, *options, setup + "\n" + bombs), **limits)
        made.append(pool)
        return pool

    yield make
    for pool in made:
        await pool.close()


@asynccontextmanager
async def pool_of(workers: int) -> AsyncIterator[ParserPool]:
    pool = ParserPool(workers)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return {int(pid) for pid in path.read_text().split()}


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_answers_are_those_of_the_parser_in_order(workers: int) -> None:
    raws = [path.read_bytes() for path in sorted(MAILS.glob("*.eml"))] * 5

    async with pool_of(workers) as pool:
        answers = await pool.parse([ParseJob(raw) for raw in raws])

    assert [a.message for a in answers] == [mime.parse(raw) for raw in raws]
    assert [normal_json.loads(a.normal) for a in answers] == [a.message for a in answers]
    assert {a.failure for a in answers} == {""}


async def test_truncated_mail_is_told_of() -> None:
    async with pool_of(1) as pool:
        [answer] = await pool.parse([ParseJob(b"Subject: x\n\nwords", is_truncated=True)])

    assert answer.message.is_stub


async def test_nothing_to_do_is_done() -> None:
    async with pool_of(1) as pool:
        assert await pool.parse([]) == []


async def test_it_works_from_another_folder_and_with_a_bare_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", ".")])

    async with pool_of(1) as pool:
        [answer] = await pool.parse([mail(1)])

    assert answer.message.subject == "1"


async def test_calls_at_the_same_time_get_their_own_answers() -> None:
    async with pool_of(2) as pool:
        batches = await asyncio.gather(*(pool.parse([mail(n), mail(n + 1)]) for n in range(0, 40, 2)))

    assert [a.message.subject for batch in batches for a in batch] == [str(n) for n in range(40)]


@pytest.mark.parametrize(
    ("bomb", "words"),
    [("spin", "CPU time"), ("die", "died"), ("memory", "MemoryError"), ("sleep", "no answer")],
)
@pytest.mark.parametrize("workers", [1, 2])
async def test_only_the_bomb_is_lost(bombable: Pools, workers: int, bomb: str, words: str) -> None:
    pool = bombable(workers, cpu_seconds=0.3, wall_seconds=1.0)
    jobs = [mail(n) for n in range(30)]
    jobs[11] = mail(11, f"X-Bomb: {bomb}")

    answers = await pool.parse(jobs)

    assert [a.message.subject for a in answers] == [str(n) for n in range(30)]
    assert [n for n, a in enumerate(answers) if a.failure] == [11]
    assert words in answers[11].failure
    assert answers[11].message.is_stub
    assert [a.message.text for n, a in enumerate(answers) if n != 11] == ["words"] * 29


async def test_two_bombs_in_one_batch(bombable: Pools) -> None:
    pool = bombable(2, cpu_seconds=0.3)
    jobs = [mail(0, "X-Bomb: spin"), mail(1), mail(2, "X-Bomb: die"), mail(3, "X-Bomb: spin"), mail(4)]

    answers = await pool.parse(jobs)

    assert [bool(a.failure) for a in answers] == [True, False, True, True, False]


async def test_a_mail_whose_headers_kill_too_still_gives_a_stub(bombable: Pools) -> None:
    pool = bombable(1, cpu_seconds=0.3)

    bomb, after = await pool.parse([mail(0, "X-Bomb: spin", "X-Headers: die"), mail(1)])

    assert (bomb.message.is_stub, bomb.message.from_count, bomb.message.subject) == (True, 0, "")
    assert "CPU time" in bomb.failure
    assert normal_json.loads(bomb.normal) == bomb.message
    assert after.failure == ""


async def test_a_worker_that_died_for_a_reason_of_its_own_costs_nothing(bombable: Pools) -> None:
    pool = bombable(1)

    answers = await pool.parse([mail(0), mail(1, "X-Bomb: once"), mail(2)])

    assert [a.failure for a in answers] == ["", "", ""]
    assert answers[1].message.text == "words"


async def test_time_adds_up_for_a_mail_and_not_over_a_batch(bombable: Pools) -> None:
    # One mail takes some 30 ms; on a busy machine its answer may be read late, so there is room for ten of them.
    pool = bombable(1, cpu_seconds=1.0)
    jobs = [ParseJob(b"Subject: x\n\n" + b"> quoted words that go on\n" * 20_000)] * 120

    started = time.monotonic()
    answers = await pool.parse(jobs)

    assert time.monotonic() - started > 1.0, "too little work to tell anything"
    assert {a.failure for a in answers} == {""}


async def test_a_cancelled_call_frees_its_worker_for_the_next(bombable: Pools) -> None:
    pool = bombable(1, wall_seconds=600)
    call = asyncio.create_task(pool.parse([mail(0, "X-Bomb: sleep")]))
    await asyncio.sleep(0.3)
    stuck = children()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    [answer] = await pool.parse([mail(1)])

    assert answer.message.subject == "1"
    assert not stuck & children()


async def test_an_idle_worker_that_was_killed_is_replaced() -> None:
    before = children()
    async with pool_of(1) as pool:
        [pid] = children() - before
        os.kill(pid, signal.SIGKILL)

        [answer] = await pool.parse([mail(1)])

    assert answer.failure == ""


async def test_closing_ends_every_process_and_refuses_more() -> None:
    before = children()
    pool = ParserPool(2)
    await pool.start()

    await pool.close()

    assert children() == before
    with pytest.raises(RuntimeError):
        await pool.parse([mail(1)])


async def test_a_worker_that_cannot_start_is_told_at_the_start() -> None:
    pool = ParserPool(1, command=(sys.executable, "-I", "-c", "raise SystemExit(1)"))

    with pytest.raises(OSError, match="no worker"):
        await pool.start()
    await pool.close()


async def test_a_worker_knows_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/secret")
    before = children()

    async with pool_of(1):
        [pid] = children() - before
        environment = Path(f"/proc/{pid}/environ").read_bytes()

    assert b"secret" not in environment
