"""Other times in the file: what runs is counted again, what was told to a customer comes sooner and never later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.deskrun import policy
from support.handdesk import stationery, store, story, target_of
from support.storefacts import HandClock, target, ticket

from channels.message import Medium
from intake.recompute import recompute, times_version
from routing.budgets import parse_budget
from routing.policy import Policy, TargetRule
from routing.records import Target
from routing.sla import targets_for
from routing.words import Kind, TargetKind
from store import deadlines, tickets
from store.engine import Database

TAIPEI = ZoneInfo("Asia/Taipei")
MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=TAIPEI)  # nine to six, Monday to Friday


def at(day: int, hour: int) -> datetime:
    return MONDAY.replace(day=day, hour=hour)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        yield db


def snapshot(changed: Policy) -> Any:
    return SimpleNamespace(stationery=stationery(changed), config=SimpleNamespace(policy=changed))


def budgets(**written: str) -> Policy:
    plain = policy()
    return replace(
        plain, targets={**plain.targets, **{k.replace("__", "."): parse_budget(b) for k, b in written.items()}}
    )


def promised(ticket: int, kind: TargetKind, of: Kind = Kind.COMPLAINT, **changes: Any) -> Target:
    plans = targets_for(policy(), channel="mail", medium=Medium.EMAIL, kind=of, urgent=False, at=MONDAY, team="desk")
    [plan] = [plan for plan in plans if plan.kind is kind]
    facts = {
        "ticket": ticket, "kind": kind, "policy_key": plan.key, "budget": str(plan.budget),
        "started_at": plan.started_at, "due_at": plan.due_at, "warn_50_at": plan.warn_50_at,
        "warn_80_at": plan.warn_80_at,
        "supervisor_at": plan.supervisor_at, "next_at": plan.warn_50_at, "calendar": plan.calendar,
        "calendar_version": plan.calendar_version,
    }  # fmt: skip
    return target(**(facts | changes))


async def put(db: Database, kind: Kind, *targets: Target) -> None:
    async with db.transaction() as tx:
        await tickets.add(tx, [ticket(id=number, kind=kind) for number in {t.ticket for t in targets}])
        await deadlines.add(tx, targets)


MAIL = (1001, TargetKind.FIRST_RESPONSE, Kind.CONSULTATION)


@pytest.mark.parametrize(
    ("written", "due"),
    [("4wh", at(23, 14)), ("8wh", at(23, 18)), ("20wh", at(23, 18)), ("30min", at(23, 18))],
    ids=["sooner", "as it was", "not later", "not into the past"],
)
async def test_g6_promised_words_come_sooner_and_never_later(db: Database, written: str, due: datetime) -> None:
    await put(db, Kind.CONSULTATION, promised(*MAIL))
    changed, clock = snapshot(budgets(first_response__email=written)), HandClock(at(23, 11))

    moved = [await recompute(db, clock, changed) for _ in range(3)]

    after = await target_of(db, 1001)
    assert after.due_at == due
    assert moved == [1 if due == at(23, 14) else 0, 0, 0]


@pytest.mark.parametrize(
    ("written", "due", "budget"),
    # Twenty working days are more than the law gives in Taiwan.
    [("2wd", at(25, 18), "2wd"), ("20wd", MONDAY.replace(month=12, day=9, hour=0), "15d")],
)
async def test_what_is_promised_for_the_inside_moves_both_ways_and_the_log_keeps_the_old_one(
    db: Database, written: str, due: datetime, budget: str
) -> None:
    before = promised(1001, TargetKind.RESOLUTION)
    await put(db, Kind.COMPLAINT, before)

    await recompute(db, HandClock(at(23, 11)), snapshot(budgets(complaint__resolution=written)))

    after = await target_of(db, 1001)
    [event] = [e for e in await story(db) if e.kind == "target_moved"]
    assert (after.due_at, after.budget) == (due, budget)
    assert after.next_at == after.warn_50_at
    assert (event.data["why"], event.data["was_due_at"]) == ("policy", before.due_at.isoformat())


async def test_g6_what_is_past_or_stands_is_not_touched(db: Database) -> None:
    late = promised(*MAIL, due_at=at(23, 10).replace(minute=30))
    broken = promised(1002, TargetKind.RESOLUTION, breached_at=at(23, 10))
    stands = promised(1003, TargetKind.RESOLUTION, paused_at=at(23, 10), next_at=None)
    await put(db, Kind.COMPLAINT, late, broken, stands)
    changed = snapshot(budgets(first_response__email="2wh", complaint__resolution="1wd"))

    assert await recompute(db, HandClock(at(23, 11)), changed) == 0
    assert [await target_of(db, n) for n in (1001, 1002, 1003)] == [late, broken, stands]


async def test_a_new_rule_counts_for_what_is_open(db: Database) -> None:
    await put(db, Kind.CONSULTATION, promised(*MAIL))
    rule = TargetRule(name="mail", channels=("email",), budgets={"first_response": parse_budget("3wh")})

    await recompute(db, HandClock(at(23, 11)), snapshot(replace(policy(), target_rules=(rule,))))

    after = await target_of(db, 1001)
    assert (after.due_at, after.policy_key) == (at(23, 13), "target_rules.mail/first_response")


async def test_a_promise_keeps_its_calendar_whoever_has_the_ticket_now(db: Database) -> None:
    plain = policy()
    night = replace(plain.calendars["desk"], name="night", week={6: plain.calendars["desk"].week[0]}, version="n1")
    moved_team = replace(plain.teams["desk"], calendar="night")
    changed = budgets(complaint__resolution="2wd")
    changed = replace(changed, calendars={**plain.calendars, "night": night}, teams={"desk": moved_team})
    await put(db, Kind.COMPLAINT, promised(1001, TargetKind.RESOLUTION))

    await recompute(db, HandClock(at(23, 11)), snapshot(changed))

    assert (await target_of(db, 1001)).due_at == at(25, 18)


async def test_thousands_are_counted_again_once_and_an_unrelated_change_costs_nothing(db: Database) -> None:
    await put(db, Kind.COMPLAINT, *(promised(1001 + n, TargetKind.RESOLUTION) for n in range(450)))
    changed, clock = budgets(complaint__resolution="2wd"), HandClock(at(23, 11))

    assert await recompute(db, clock, snapshot(changed)) == 450
    assert await recompute(db, clock, snapshot(changed)) == 0
    assert times_version(replace(changed, firm="Other", version="p9")) == times_version(changed)
    assert times_version(policy()) != times_version(changed)
