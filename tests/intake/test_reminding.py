"""Reminders: each is done once, at its time, with everything that belongs to it; one without a reason does nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.deskrun import policy
from support.handdesk import keep, rows, stationery, store, story
from support.storefacts import MINUTE, NOW, HandClock, ticket

from channels.adapter import StoreUnavailable
from intake.watch import Watcher
from routing.policy import Policy
from routing.records import Presence, Reminder, Ticket
from routing.words import ReminderKind, TicketState
from store import agents, outbox, reminders, tickets
from store.engine import Database

UNTIL = NOW + 60 * MINUTE


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        yield db


def waiting(**changes: Any) -> Ticket:
    return replace(ticket(), **({"state": TicketState.WAITING, "waits_until": UNTIL} | changes))


async def remember(db: Database, *some: Reminder) -> None:
    async with db.transaction() as tx:
        await reminders.add(tx, some)


def wait_over(**changes: Any) -> Reminder:
    return replace(Reminder(at=UNTIL, kind=ReminderKind.WAIT_OVER.value, ticket=1001, agent="chen"), **changes)


class Watched:
    def __init__(self, db: Database, of: Policy | None = None) -> None:
        self.db, self.policy, self.counted = db, of, 0

    def _recount(self) -> None:
        self.counted += 1

    async def at(self, moment: datetime) -> list[str]:
        """The events of a tick at that moment, by a watcher that was started just now."""
        before = len(await story(self.db))
        await Watcher(
            self.db,
            HandClock(moment),
            lambda: stationery(self.policy or policy()),
            lambda note, within: None,
            lambda: None,
            self._recount,
        ).tick()
        return [event.kind for event in (await story(self.db))[before:]]

    async def ticket(self) -> Ticket:
        async with self.db.reading() as tx:
            return (await tickets.by_ids(tx, [1001]))[1001]


async def test_a_wait_is_over_at_its_time_and_once_across_restarts(db: Database) -> None:
    await keep(db, waiting())
    await remember(db, wait_over(), wait_over())  # decided twice
    watched = Watched(db)

    told = [await watched.at(moment) for moment in (UNTIL - timedelta(seconds=1), UNTIL, UNTIL, UNTIL + 60 * MINUTE)]

    assert told == [[], ["wait_over"], [], []]
    assert [(r.agent, r.recipe["code"]) for r in await rows(db)] == [("chen", "wait_over")]
    assert ((await watched.ticket()).state, watched.counted) == (TicketState.OPEN, 1)


@pytest.mark.parametrize(
    "changes",
    [{"state": TicketState.OPEN, "waits_until": None}, {"waits_until": UNTIL + MINUTE}, {"state": TicketState.CLOSED}],
)
async def test_one_that_has_lost_its_reason_does_nothing(db: Database, changes: dict[str, Any]) -> None:
    await keep(db, waiting(**changes))
    await remember(db, wait_over())
    watched = Watched(db)

    assert await watched.at(UNTIL) == []
    assert (await rows(db), (await watched.ticket()).state) == ([], waiting(**changes).state)


async def test_the_supervisors_are_told_where_who_had_it_has_left(db: Database) -> None:
    await keep(db, waiting(agent="gone", team="desk"))
    await remember(db, wait_over(agent="gone"))

    await Watched(db).at(UNTIL)

    assert [r.agent for r in await rows(db)] == ["boss"]


async def test_what_cannot_be_written_whole_is_not_written_at_all(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(db, waiting())
    await remember(db, wait_over())
    watched = Watched(db)

    async def full(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(outbox, "add", full)
        with pytest.raises(StoreUnavailable, match="disk full"):
            await watched.at(UNTIL)
    assert (await watched.ticket()).state is TicketState.WAITING

    assert await watched.at(UNTIL) == ["wait_over"]


async def test_somebody_is_back_when_his_absence_ends_unless_he_said_otherwise(db: Database) -> None:
    async with db.transaction() as tx:
        await agents.present(
            tx,
            {
                "chen": Presence(state="break", since=NOW, until=UNTIL),
                "lin": Presence(state="off", since=NOW, until=UNTIL + MINUTE),  # longer than he had first said
            },
        )
    await remember(db, *(Reminder(at=UNTIL, kind=ReminderKind.BACK_ON.value, agent=name) for name in ("chen", "lin")))
    watched = Watched(db)

    assert await watched.at(UNTIL) == ["presence_changed"]
    async with db.reading() as tx:
        states = await agents.states(tx)
    assert (states["chen"].presence, states["lin"].presence, watched.counted) == ("on", "off", 1)


async def test_the_loop_sleeps_until_the_next_reminder(db: Database) -> None:
    await keep(db, waiting())
    await remember(db, wait_over())
    watcher = Watcher(db, HandClock(NOW), lambda: stationery(policy()), lambda note, within: None, lambda: None)

    await watcher.tick()

    assert watcher._remind_at == UNTIL
