"""Promises counted again after a day off was said: moved once, told once, and nothing that is past is touched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.deskrun import policy
from support.handdesk import keep, put, rows, stationery, store, story, target_of
from support.storefacts import MINUTE, NOW, HandClock, outgoing, target, ticket

from channels.message import Medium
from intake.recompute import recompute
from routing.overlaying import DayOff, with_days_off
from routing.records import Overlay, Target
from routing.sla import targets_for
from routing.words import Kind, OutboxState, Purpose
from store import outbox
from store.engine import Database

DUE = datetime(2026, 11, 24, 5, 10, tzinfo=UTC)  # 8wh from Monday 14:10, nine to six
LATER = DUE + timedelta(days=1)
CLOSED = Overlay(id=1, kind="holiday", key=DayOff(date(2026, 11, 24), "desk").key(), value={}, agent="boss", at=NOW)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        yield db


def snapshot(*overlays: Overlay) -> Any:
    plain = policy()
    return SimpleNamespace(stationery=stationery(with_days_off(plain, overlays)), config=SimpleNamespace(policy=plain))


def promised(**changes: Any) -> Target:
    """What the desk promises for a mail that came at NOW."""
    [plan] = targets_for(
        policy(), channel="mail", medium=Medium.EMAIL, kind=Kind.CONSULTATION, urgent=False, at=NOW, team="desk"
    )
    facts = {
        "budget": str(plan.budget), "due_at": plan.due_at, "warn_50_at": plan.warn_50_at, "warn_80_at": plan.warn_80_at,
        "supervisor_at": plan.supervisor_at, "next_at": plan.warn_50_at,
    }  # fmt: skip
    return target(**(facts | changes))


async def acknowledged(db: Database) -> None:
    """The customer was told when he would hear."""
    item = outgoing(
        purpose=Purpose.ACKNOWLEDGEMENT,
        agent=None,
        recipe={"message": 1, "due_at": DUE.isoformat(), "is_open": True, "calendar": "desk"},
    )
    [number] = await put(db, NOW, item)
    async with db.transaction() as tx:
        await tx.execute(
            outbox.OUTBOX.update()
            .where(outbox.OUTBOX.c.id == number)
            .values(state=OutboxState.DELIVERED.value, next_attempt_at=None)
        )


async def test_a_promise_moves_with_the_day_off_and_the_customer_is_told_once(db: Database) -> None:
    await keep(db, ticket(), targets=[promised()])
    await acknowledged(db)
    clock = HandClock(NOW + MINUTE)

    moved = [await recompute(db, clock, snapshot(CLOSED)) for _ in range(3)]

    assert moved == [1, 0, 0]
    now = await target_of(db, 1001)
    assert (now.due_at, now.next_at == now.warn_50_at, now.breached_at) == (LATER, True, None)
    letters = [r for r in await rows(db) if r.recipe.get("postponed")]
    assert [(r.address, r.recipe["due_at"]) for r in letters] == [("mailto:mei@example.com", LATER.isoformat())]
    [event] = [e for e in await story(db) if e.kind == "target_moved"]
    assert (event.data["was_due_at"], event.data["due_at"]) == (DUE.isoformat(), LATER.isoformat())


async def test_who_was_told_no_time_is_told_no_other(db: Database) -> None:
    await keep(db, ticket(), targets=[promised()])

    assert await recompute(db, HandClock(NOW + MINUTE), snapshot(CLOSED)) == 1
    assert await rows(db) == []


async def test_called_off_in_time_the_promise_is_the_old_one_and_nobody_is_written_to_again(db: Database) -> None:
    await keep(db, ticket(), targets=[promised()])
    await acknowledged(db)
    clock = HandClock(NOW + MINUTE)
    await recompute(db, clock, snapshot(CLOSED))

    assert await recompute(db, clock, snapshot()) == 1

    assert (await target_of(db, 1001)).due_at == DUE
    assert len([r for r in await rows(db) if r.recipe.get("postponed")]) == 1


async def test_g6_called_off_too_late_no_promise_is_moved_into_the_past(db: Database) -> None:
    await keep(db, ticket(), targets=[promised()])
    clock = HandClock(NOW + MINUTE)
    await recompute(db, clock, snapshot(CLOSED))
    clock.at = DUE + MINUTE

    assert await recompute(db, clock, snapshot()) == 0
    assert (await target_of(db, 1001)).due_at == LATER


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"met_at": NOW + MINUTE, "answered_at": NOW, "next_at": None}, NOW + 2 * MINUTE),
        ({"withdrawn_at": NOW + MINUTE, "next_at": None}, NOW + 2 * MINUTE),
        ({"breached_at": DUE}, DUE + MINUTE),
        ({}, DUE + MINUTE),  # late, though nobody has looked yet
    ],
)
async def test_g6_what_is_past_is_never_rewritten(db: Database, changes: dict[str, Any], at: datetime) -> None:
    await keep(db, ticket(), targets=[promised(**changes)])

    assert await recompute(db, HandClock(at), snapshot(CLOSED)) == 0
    assert (await target_of(db, 1001)).due_at == DUE
    assert [e.kind for e in await story(db)] == []


async def test_a_thousand_promises_are_counted_again_in_steps(db: Database) -> None:
    numbers = range(1001, 2001)
    await keep(db, *(ticket(n) for n in numbers), targets=[promised(ticket=n) for n in numbers])

    assert await recompute(db, HandClock(NOW + MINUTE), snapshot(CLOSED)) == 1000
