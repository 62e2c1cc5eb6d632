"""Targets and notices: what was promised stays, what was told is told once, and no breach is hidden."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from support.databases import Postgres
from support.storefacts import MINUTE, NOW, target

from routing.records import Target
from routing.words import NoticeKind, TargetKind
from store import deadlines
from store.engine import Database

DUE = NOW + 60 * MINUTE
ONE = target()


async def the_one(db: Database) -> Target:
    async with db.reading() as tx:
        [found] = (await deadlines.of_tickets(tx, [1001]))[1001]
    return found


@pytest.fixture
async def with_one(db: Database) -> Database:
    """A store with a single target, due in an hour."""
    async with db.transaction() as tx:
        await deadlines.add(tx, [ONE])
    return db


async def test_targets_come_back_as_they_were_written_by_due_time(db: Database) -> None:
    later = target(kind=TargetKind.RESOLUTION, due_at=DUE + MINUTE, warn_50_at=None, next_at=None)
    closed = target(kind=TargetKind.CALLBACK, withdrawn_at=NOW)
    async with db.transaction() as tx:
        await deadlines.add(tx, [later, ONE, closed, target(1002)])
        everything = await deadlines.of_tickets(tx, [1001, 1003])
        still_open = await deadlines.of_tickets(tx, [1001], only_open=True)

    assert set(everything) == {1001}
    assert set(everything[1001]) == {ONE, later, closed}
    assert still_open == {1001: [ONE, later]}


async def test_met_in_time(with_one: Database) -> None:
    async with with_one.transaction() as tx:
        was_open = await deadlines.record_met(tx, ONE, NOW + MINUTE, DUE)

    found = await the_one(with_one)
    assert (was_open, found.answered_at, found.met_at, found.breached_at, found.next_at) == (
        True,
        NOW + MINUTE,
        DUE,
        None,
        None,
    )


async def test_g6_delivered_late_is_a_breach_as_of_its_due_time_though_it_was_answered_in_time(
    with_one: Database,
) -> None:
    async with with_one.transaction() as tx:
        await deadlines.record_met(tx, ONE, NOW, DUE + MINUTE)

    found = await the_one(with_one)
    assert (found.met_at, found.breached_at) == (DUE + MINUTE, DUE)


async def test_met_once(with_one: Database) -> None:
    async with with_one.transaction() as tx:
        await deadlines.record_met(tx, ONE, NOW, NOW)
        again = await deadlines.record_met(tx, ONE, NOW, DUE + MINUTE)

    assert (again, (await the_one(with_one)).met_at) == (False, NOW)


async def test_an_act_that_was_in_time_and_told_late_was_no_breach(with_one: Database) -> None:
    async with with_one.transaction() as tx:
        await deadlines.record_breach(tx, [ONE])
        await deadlines.record_met(tx, ONE, DUE - MINUTE, DUE - MINUTE)

    assert (await the_one(with_one)).breached_at is None


async def test_g6_a_breach_noticed_late_is_of_its_due_time_and_is_written_once(with_one: Database) -> None:
    async with with_one.transaction() as tx:
        await deadlines.record_breach(tx, [ONE])
        await deadlines.record_breach(tx, [replace(ONE, due_at=DUE + MINUTE)])

    assert (await the_one(with_one)).breached_at == DUE


async def test_withdrawn_before_its_time_it_is_no_breach_and_after_it_stays_one(db: Database) -> None:
    early, late = target(1001), target(1002)
    async with db.transaction() as tx:
        await deadlines.add(tx, [early, late])
        await deadlines.withdraw(tx, early, DUE)
        await deadlines.withdraw(tx, late, DUE + MINUTE)
        found = await deadlines.of_tickets(tx, [1001, 1002])

    [one], [two] = found[1001], found[1002]
    assert (one.withdrawn_at, one.breached_at, one.next_at) == (DUE, None, None)
    assert (two.withdrawn_at, two.breached_at, two.next_at) == (DUE + MINUTE, DUE, None)


async def test_what_was_met_cannot_be_withdrawn_nor_what_was_withdrawn_be_met(db: Database) -> None:
    met, withdrawn = target(1001), target(1002)
    async with db.transaction() as tx:
        await deadlines.add(tx, [met, withdrawn])
        await deadlines.record_met(tx, met, NOW, NOW)
        await deadlines.withdraw(tx, met, DUE + MINUTE)
        await deadlines.withdraw(tx, withdrawn, NOW)
        was_open = await deadlines.record_met(tx, withdrawn, NOW, NOW)
        found = await deadlines.of_tickets(tx, [1001, 1002])

    assert not was_open
    assert (found[1001][0].withdrawn_at, found[1001][0].breached_at) == (None, None)
    assert found[1002][0].met_at is None


async def test_a_bounce_reopens_with_the_old_due_time(with_one: Database) -> None:
    async with with_one.transaction() as tx:
        await deadlines.record_met(tx, ONE, NOW, NOW + MINUTE)
        await deadlines.reopen(tx, ONE, NOW + 48 * MINUTE)

    found = await the_one(with_one)
    assert (found.is_open, found.answered_at, found.due_at, found.next_at) == (True, None, DUE, NOW + 48 * MINUTE)


async def test_g6_each_notice_is_told_once_ever(with_one: Database) -> None:
    half, breach = (ONE, NoticeKind.WARN_50), (ONE, NoticeKind.BREACH)
    other = (target(ordinal=2), NoticeKind.WARN_50)
    async with with_one.transaction() as tx:
        first = await deadlines.record_told(tx, [half, half], NOW)
    async with with_one.transaction() as tx:
        second = await deadlines.record_told(tx, [half, breach, other], NOW)

    assert (first, second) == ([half], [breach, other])


async def test_a_notice_that_was_not_committed_is_told_again(with_one: Database) -> None:
    half = (ONE, NoticeKind.WARN_50)
    with pytest.raises(LookupError):  # noqa: PT012  # the end of the transaction is what raises
        async with with_one.transaction() as tx:
            await deadlines.record_told(tx, [half], NOW)
            raise LookupError
    async with with_one.transaction() as tx:
        assert await deadlines.record_told(tx, [half], NOW) == [half]


async def test_the_watcher_is_told_when_to_look_and_at_what(db: Database) -> None:
    soon, later = target(1001, next_at=NOW), target(1002, next_at=NOW + MINUTE, due_at=DUE + MINUTE)
    never = target(1003, next_at=None)
    async with db.transaction() as tx:
        assert await deadlines.next_at(tx) is None
        await deadlines.add(tx, [later, soon, never])
        assert await deadlines.next_at(tx) == NOW
        assert [t.ticket for t in await deadlines.ripe(tx, NOW - MINUTE)] == []
        assert [t.ticket for t in await deadlines.ripe(tx, NOW)] == [1001]
        assert [t.ticket for t in await deadlines.ripe(tx, NOW + MINUTE)] == [1001, 1002]
        assert [t.ticket for t in await deadlines.upcoming(tx, 10)] == [1001, 1002]
        await deadlines.look_again(tx, [(soon, NOW + 9 * MINUTE), (later, None)])
        assert await deadlines.next_at(tx) == NOW + 9 * MINUTE
        assert await deadlines.open_count(tx) == 1


@pytest.mark.parametrize("how", ["met", "withdrawn"])
async def test_what_ended_after_the_watchers_look_is_neither_breached_nor_armed_again(
    with_one: Database, how: str
) -> None:
    async with with_one.transaction() as tx:
        [seen] = await deadlines.ripe(tx, DUE)
    async with with_one.transaction() as tx:
        if how == "met":
            await deadlines.record_met(tx, ONE, NOW, DUE)
        else:
            await deadlines.withdraw(tx, ONE, NOW)
    async with with_one.transaction() as tx:
        await deadlines.record_breach(tx, [seen])
        await deadlines.look_again(tx, [(seen, DUE + MINUTE)])
        waits = await deadlines.next_at(tx)

    assert ((await the_one(with_one)).breached_at, waits) == (None, None)


async def test_g13_what_one_node_is_writing_about_another_does_not_look_at(postgres: Postgres) -> None:
    db = await postgres.migrated_database()
    async with db.transaction() as tx:
        await deadlines.add(tx, [ONE, target(1002)])

    async with asyncio.timeout(5), db.transaction() as tx:
        mine = await deadlines.ripe(tx, DUE, 1)
        async with db.transaction() as other:
            theirs = await deadlines.ripe(other, DUE)
    await db.close()

    assert sorted(t.ticket for t in mine + theirs) == [1001, 1002]
    assert len(mine) == 1
