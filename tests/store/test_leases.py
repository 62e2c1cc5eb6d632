"""Leases: never two owners at once, and the stale one's writes are refused."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta

import pytest
from support.storefacts import NOW

from store import cursors, leases
from store.engine import Database
from store.leases import TERM, LeaseLost

SECOND = timedelta(seconds=1)
NAME = "decider"


async def acquire(db: Database, owner: str, now: datetime = NOW, *, is_alone: bool = False) -> int | None:
    async with db.transaction() as tx:
        return await leases.acquire(tx, NAME, owner, now, is_alone=is_alone)


async def fence(db: Database, owner: str, epoch: int, now: datetime = NOW) -> None:
    async with db.transaction() as tx:
        await cursors.write(tx, {("by", owner): str(epoch)})
        await leases.fence(tx, NAME, owner, epoch, now)


async def test_while_it_lasts_nobody_else_gets_it_and_the_owner_keeps_his_epoch(db: Database) -> None:
    assert [
        await acquire(db, "a"),
        await acquire(db, "b", NOW + TERM),
        await acquire(db, "a", NOW + TERM),
        await acquire(db, "b", NOW + TERM + SECOND),
    ] == [1, None, 1, None]


async def test_the_epoch_grows_with_every_new_owner_and_when_a_lapsed_one_is_taken_again(db: Database) -> None:
    late = NOW + 2 * TERM

    assert [
        await acquire(db, "a"),
        await acquire(db, "b", late),
        await acquire(db, "b", late + 2 * TERM),
        await acquire(db, "a", late + 4 * TERM),
    ] == [1, 2, 3, 4]


async def test_writing_renews(db: Database) -> None:
    await acquire(db, "a")
    await fence(db, "a", 1, NOW + TERM)

    assert await acquire(db, "b", NOW + TERM + SECOND) is None


async def test_whoever_lapsed_and_was_not_replaced_may_go_on(db: Database) -> None:
    await acquire(db, "a")

    await fence(db, "a", 1, NOW + 10 * TERM)


async def test_g13_the_stale_owner_is_refused_and_what_he_wrote_with_it(db: Database) -> None:
    await acquire(db, "a")
    await acquire(db, "b", NOW + 2 * TERM)

    with pytest.raises(LeaseLost):
        await fence(db, "a", 1, NOW + 2 * TERM)
    async with db.reading() as tx:
        assert await cursors.read(tx, "by", "a") is None
    await fence(db, "b", 2, NOW + 2 * TERM)


async def test_an_owner_that_lost_it_to_himself_is_refused_under_his_old_epoch(db: Database) -> None:
    await acquire(db, "a")
    await acquire(db, "a", NOW + 2 * TERM)

    with pytest.raises(LeaseLost):
        await fence(db, "a", 1, NOW + 2 * TERM)


async def test_given_back_it_is_free_at_once_and_the_giver_is_refused(db: Database) -> None:
    await acquire(db, "a")
    async with db.transaction() as tx:
        await leases.release(tx, NAME, "b", NOW)  # not his to give
        held = await leases.holder(tx, NAME)
        await leases.release(tx, NAME, "a", NOW)

    assert held == ("a", NOW + TERM)
    assert await acquire(db, "b", NOW - SECOND) == 2  # even by a node whose clock is behind
    with pytest.raises(LeaseLost):
        await fence(db, "a", 1)


async def test_where_no_other_node_can_live_a_killed_owner_is_replaced_at_once(db: Database) -> None:
    await acquire(db, "a")

    assert await acquire(db, "b", is_alone=True) == 2
    with pytest.raises(LeaseLost):
        await fence(db, "a", 1)


async def test_g13_of_many_who_try_at_once_one_gets_it_and_no_epoch_is_given_twice(db: Database) -> None:
    dice, now, given = random.Random(3), NOW, []
    for _ in range(12):
        now += dice.choice((SECOND, TERM / 2, 2 * TERM))
        owners = [f"node{n}" for n in range(6)]
        dice.shuffle(owners)
        epochs = await asyncio.gather(*(acquire(db, o, now) for o in owners))
        winners = [(o, e) for o, e in zip(owners, epochs, strict=True) if e is not None]
        assert len(winners) <= 1
        given += winners

        refused = await asyncio.gather(*(fence(db, o, e, now) for o, e in set(given)), return_exceptions=True)
        assert refused.count(None) == 1
    by_epoch: dict[int, str] = {}
    for owner, epoch in given:
        assert by_epoch.setdefault(epoch, owner) == owner
    assert list(by_epoch) == sorted(by_epoch)
    assert len(by_epoch) > 2
