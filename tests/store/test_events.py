"""The event log and its seal: nothing is changed, taken out or cut off unseen."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from support.databases import Postgres
from support.storefacts import MINUTE, NOW

from routing.records import Event
from store import events
from store.engine import Database
from store.events import ChainFault


def event(kind: str = "ticket_opened", **changes: object) -> Event:
    facts: dict[str, object] = {"at": NOW, "kind": kind, "ticket": 1001, "message": 7}
    return Event(**{**facts, **changes})  # type: ignore[arg-type]


async def append(db: Database, *some: Event) -> None:
    async with db.transaction() as tx:
        await events.append(tx, some)


async def seal(db: Database, limit: int = 1_000) -> int:
    async with db.transaction() as tx:
        return await events.seal(tx, limit)


async def verify(db: Database, batch: int = 5_000) -> tuple[int, ChainFault | None]:
    async with db.reading() as tx:
        return await events.verify(tx, batch)


async def tamper(db: Database, statement: str) -> None:
    async with db.transaction() as tx:
        await tx.execute(text(statement))


@pytest.fixture
async def sealed(db: Database) -> Database:
    """Five events, all sealed."""
    await append(db, *(event(data={"n": n}) for n in range(5)))
    await seal(db)
    return db


async def test_events_come_back_in_order_as_they_were_written(db: Database) -> None:
    full = event(
        "assigned", customer=2, agent="chen", outbox=5, data={"到": "王", "when": NOW, "n": [1, None, True], "f": 0.5}
    )
    await append(db, full, event(ticket=1002), event("later", at=NOW + MINUTE))
    async with db.reading() as tx:
        story = await events.of_ticket(tx, 1001)
        of_message = await events.of_message(tx, 7)
        newer = await events.after(tx, story[0].id or 0, 1)

    assert [(e.kind, e.at, e.customer, e.agent, e.outbox) for e in story] == [
        ("assigned", NOW, 2, "chen", 5),
        ("later", NOW + MINUTE, None, None, None),
    ]
    assert story[0].data == {"到": "王", "when": "2026-11-23T06:10:00+00:00", "n": [1, None, True], "f": 0.5}
    assert events.kinds(of_message) == ["assigned", "ticket_opened", "later"]
    assert [e.ticket for e in newer] == [1002]


async def test_what_is_not_committed_was_not_told(db: Database) -> None:
    with pytest.raises(LookupError):  # noqa: PT012  # the end of the transaction is what raises
        async with db.transaction() as tx:
            await events.append(tx, [event()])
            raise LookupError
    async with db.reading() as tx:
        assert await events.latest_id(tx) == 0


async def test_sealing_goes_on_where_it_stopped_and_verifies(db: Database) -> None:
    await append(db, *(event(data={"n": n}) for n in range(5)))
    sealed = [await seal(db, 2), await seal(db, 2)]
    await append(db, event())
    sealed += [await seal(db), await seal(db)]

    assert (sealed, await verify(db), await verify(db, batch=2)) == ([2, 2, 2, 0], (6, None), (6, None))
    async with db.reading() as tx:
        assert await events.counts(tx) == (6, 6)
        assert await events.unsealed(tx) is False


async def test_an_empty_log_verifies(db: Database) -> None:
    assert (await verify(db), await seal(db)) == ((0, None), 0)


async def test_whether_there_is_something_to_seal(sealed: Database) -> None:
    async with sealed.reading() as tx:
        before = await events.unsealed(tx)
    await append(sealed, event())
    async with sealed.reading() as tx:
        assert (before, await events.unsealed(tx)) == (False, True)


@pytest.mark.parametrize(
    "changed",
    [
        "kind = 'other'",
        "data = '{}'",
        "agent = 'lin'",
        "ticket = NULL",
        "message = 8",
        "customer = 0",
        "outbox = 1",
        "at = '2026-11-23 06:10:00.000001'",
    ],
)
async def test_g14_a_changed_event_is_found(sealed: Database, changed: str) -> None:
    if not sealed.is_sqlite:
        changed = changed.replace("000001'", "000001+00'")
    await tamper(sealed, f"UPDATE event SET {changed} WHERE id = 3")

    assert await verify(sealed) == (2, ChainFault(3, 3, "the event was changed"))


async def test_g14_a_deleted_event_is_found(sealed: Database) -> None:
    await tamper(sealed, "DELETE FROM event WHERE id = 4")

    assert await verify(sealed) == (3, ChainFault(4, 4, "the event was deleted"))


async def test_g14_an_event_cut_out_with_its_seal_is_found(sealed: Database) -> None:
    await tamper(sealed, "DELETE FROM event WHERE id = 2")
    await tamper(sealed, "DELETE FROM event_seal WHERE seq = 2")

    assert await verify(sealed) == (1, ChainFault(3, 3, "seal 2 is missing"))


async def test_g14_a_chain_that_was_closed_up_after_a_cut_is_found(sealed: Database) -> None:
    await tamper(sealed, "DELETE FROM event WHERE id = 2")
    await tamper(sealed, "DELETE FROM event_seal WHERE seq = 2")
    for seq in (3, 4, 5):
        await tamper(sealed, f"UPDATE event_seal SET seq = {seq - 1} WHERE seq = {seq}")

    assert await verify(sealed) == (1, ChainFault(2, 3, "the chain was cut"))


async def test_g14_two_events_that_changed_places_are_found(sealed: Database) -> None:
    await tamper(sealed, "UPDATE event_seal SET event = 99 WHERE seq = 2")
    await tamper(sealed, "UPDATE event_seal SET event = 2 WHERE seq = 3")
    await tamper(sealed, "UPDATE event_seal SET event = 3 WHERE seq = 2")

    assert (await verify(sealed))[1] == ChainFault(2, 3, "the event was changed")


async def test_on_postgresql_an_event_with_a_lower_number_that_is_committed_later_is_sealed_too(
    postgres: Postgres,
) -> None:
    db = await postgres.migrated_database()
    has_written, may_commit = asyncio.Event(), asyncio.Event()

    async def late() -> None:
        async with db.transaction() as tx:
            await events.append(tx, [event("late")])
            has_written.set()
            await may_commit.wait()

    task = asyncio.create_task(late())
    await has_written.wait()
    await append(db, event("early"))
    first = await seal(db)
    may_commit.set()
    await task
    async with db.reading() as tx:
        is_behind = await events.unsealed(tx)

    assert (first, is_behind, await seal(db), await verify(db)) == (1, True, 1, (2, None))
    await db.close()
