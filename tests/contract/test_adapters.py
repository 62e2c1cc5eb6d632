"""What every receiver promises, held against each adapter of the table in cases.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from contract.cases import CASES, Case, Source
from support.mailbox import Ledger, running

from channels.adapter import StoreUnavailable


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def source(case: Case, ledger: Ledger, tmp_path: Path) -> AsyncIterator[Source]:
    async with case.source(tmp_path, ledger) as made:
        yield made


async def until_told(source: Source, count: int) -> None:
    async with asyncio.timeout(10):
        while source.told() < count:
            await asyncio.sleep(0.005)


async def test_what_is_accepted_is_told_to_the_source(source: Source, ledger: Ledger) -> None:
    await source.put(3)
    async with running(source.receiver(), ledger.accept):
        await until_told(source, 3)

    assert len(ledger.arrivals) == 3


async def test_when_accept_raises_nothing_is_told_and_nothing_is_lost(source: Source, ledger: Ledger) -> None:
    ledger.fails = StoreUnavailable("full")
    await source.put(3)
    async with running(source.receiver(), ledger.accept):
        await ledger.until(lambda seen: len(seen.calls) > 0)
        await asyncio.sleep(0.05)
        assert source.told() == 0

    ledger.fails = None
    async with running(source.receiver(), ledger.accept):
        await until_told(source, 3)
    assert len(ledger.arrivals) == 3


async def test_the_same_message_has_the_same_id(source: Source, ledger: Ledger) -> None:
    await source.put(3)
    async with running(source.receiver(), ledger.accept):
        await until_told(source, 3)
    await source.rewind()
    async with running(source.receiver(), ledger.accept):
        await ledger.until(lambda seen: sum(len(call) for call in seen.calls) >= 6)

    assert len(ledger.arrivals) == 3


async def test_cancelled_while_it_is_being_accepted_nothing_is_lost(source: Source, ledger: Ledger) -> None:
    ledger.delay = 30
    await source.put(3)
    async with running(source.receiver(), ledger.accept):
        await ledger.until(lambda seen: len(seen.calls) > 0)
    assert source.told() == 0

    ledger.delay = 0
    async with running(source.receiver(), ledger.accept):
        await until_told(source, 3)
    assert len(ledger.arrivals) == 3


async def test_cancelling_ends_it_at_once(source: Source, ledger: Ledger) -> None:
    await source.put(1)
    task = asyncio.create_task(source.receiver().receive(ledger.accept))
    await until_told(source, 1)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 2)


async def test_what_is_malformed_never_blocks_the_next(case: Case, source: Source, ledger: Ledger) -> None:
    await source.put_malformed()
    await source.put(1)
    expected = 2 if case.keeps_malformed else 1
    async with running(source.receiver(), ledger.accept) as task:
        await until_told(source, expected)

        assert (len(ledger.arrivals), task.done()) == (expected, False)


async def test_what_arrives_says_where_it_came_from_and_when(source: Source, ledger: Ledger) -> None:
    await source.put(2)
    async with running(source.receiver(), ledger.accept):
        await ledger.holds(2)

    arrivals = list(ledger.arrivals.values())
    assert len({arrival.external_id for arrival in arrivals}) == 2
    assert {arrival.channel for arrival in arrivals} == {"case"}
    assert all(arrival.received_at.utcoffset() is not None for arrival in arrivals)
    assert all(arrival.raw for arrival in arrivals)
