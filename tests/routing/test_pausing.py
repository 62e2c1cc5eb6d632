"""Pausing: what was left when a clock stopped is left when it runs on, whatever stands between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intake.config_calendars import built_in
from routing.budgets import parse_budget
from routing.calendars import due_at, elapsed, split_point
from routing.pausing import may_pause, paused, resumed
from routing.policy import BudgetUnit, CalendarSpec
from routing.records import Target
from routing.words import TargetKind

CALENDARS = built_in()
TAIPEI = ZoneInfo("Asia/Taipei")


def promise(spec: CalendarSpec, start: datetime, written: str, **changes: object) -> Target:
    budget = parse_budget(written)
    due = due_at(spec, start, budget)
    facts: dict[str, object] = {
        "ticket": 1001,
        "kind": TargetKind.REPORT_BACK,
        "ordinal": 1,
        "policy_key": "feedback.report_back",
        "budget": written,
        "calendar": spec.name,
        "calendar_version": spec.version,
        "policy_version": "p",
        "started_at": start,
        "due_at": due,
        "warn_50_at": split_point(spec, start, budget, 0.5),
        "warn_80_at": split_point(spec, start, budget, 0.8),
        "supervisor_at": due,
        "next_at": due,
    }
    return Target(**{**facts, **changes})  # type: ignore[arg-type]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TAIPEI).astimezone(UTC)


@pytest.mark.parametrize(
    ("written", "start", "stops", "goes_on", "due"),
    [
        # 2026-11-23 is a Monday; Taiwan's office is open 09:00-12:00 and 13:00-18:00.
        ("5wd", "2026-11-23T10:00", "2026-11-24T10:00", "2026-11-26T10:00", "2026-12-02T18:00"),
        ("5wd", "2026-11-23T10:00", "2026-11-24T10:00", "2026-11-24T17:00", "2026-11-30T18:00"),  # the same day
        ("5wd", "2026-11-23T10:00", "2026-11-24T10:00", "2026-11-24T19:00", "2026-12-01T18:00"),  # after closing
        ("5wd", "2026-11-23T10:00", "2026-11-27T19:00", "2026-11-30T08:00", "2026-11-30T18:00"),  # over a weekend
        ("5wd", "2026-11-23T10:00", "2026-11-27T17:00", "2026-11-29T08:00", "2026-12-01T18:00"),
        ("8wh", "2026-11-23T10:00", "2026-11-23T11:00", "2026-11-25T09:30", "2026-11-25T17:30"),
        ("8wh", "2026-11-23T10:00", "2026-11-23T11:00", "2026-11-28T09:30", "2026-11-30T17:00"),
        ("24h", "2026-11-23T10:00", "2026-11-23T20:00", "2026-11-25T03:00", "2026-11-25T17:00"),
        ("15d", "2026-11-23T10:00", "2026-11-25T10:00", "2026-11-30T23:00", "2026-12-14T00:00"),
    ],
)
def test_it_runs_on_with_what_was_left(written: str, start: str, stops: str, goes_on: str, due: str) -> None:
    spec = CALENDARS["TW"]
    stopped = paused(promise(spec, at(start), written), at(stops))

    after = resumed(stopped, spec, at(goes_on), at(goes_on))

    assert after.due_at == at(due)
    assert (after.paused_at, after.supervisor_at) == (None, at(due))
    assert stopped.next_at is None


def test_what_is_late_already_a_date_of_the_law_and_an_answer_do_not_stand() -> None:
    spec = CALENDARS["TW"]
    start, later = at("2026-11-23T10:00"), at("2026-11-24T10:00")

    assert may_pause(promise(spec, start, "5wd"), later)
    assert not may_pause(promise(spec, start, "1wh"), later)
    assert not may_pause(promise(spec, start, "5wd", kind=TargetKind.FIRST_RESPONSE), later)
    assert not may_pause(promise(spec, start, "5wd", kind=TargetKind.NEXT_RESPONSE), later)
    assert not may_pause(promise(spec, start, "5wd", kind=TargetKind.CALLBACK), later)
    law = {"kind": TargetKind.RESOLUTION, "policy_key": "complaint.resolution_tw"}
    assert not may_pause(promise(spec, start, "15d", **law), later)
    assert not may_pause(promise(spec, start, "5wd", breached_at=start), later)
    assert not may_pause(promise(spec, start, "5wd", met_at=later), later)


def test_what_came_due_between_the_customers_words_and_now_is_told_at_once() -> None:
    """The desk was down when he answered: its clock ran on from his answer, not from the start of the program."""
    spec = CALENDARS["TW"]
    stopped = paused(promise(spec, at("2026-11-23T10:00"), "2wh"), at("2026-11-23T11:00"))

    after = resumed(stopped, spec, at("2026-11-24T09:00"), at("2026-11-24T16:00"))

    assert after.due_at == at("2026-11-24T10:00")
    assert after.next_at is not None
    assert after.next_at <= at("2026-11-24T10:00")


def test_a_moment_before_it_stopped_counts_as_that_moment() -> None:
    spec = CALENDARS["TW"]
    before = promise(spec, at("2026-11-23T10:00"), "5wd")

    after = resumed(paused(before, at("2026-11-24T10:00")), spec, at("2026-11-24T09:00"), at("2026-11-24T10:00"))

    assert after.due_at == before.due_at


BUDGETS = st.sampled_from(("1wh", "4wh", "8wh", "20wh", "45min", "24h", "3wd", "10wd", "1wd", "15d", "1d"))
MOMENTS = st.integers(1_735_689_600, 1_798_761_600).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(CALENDARS)), MOMENTS, BUDGETS, st.floats(0, 1), st.integers(0, 20 * 24 * 60))
def test_before_and_after_the_pause_make_the_budget(
    name: str, start: datetime, written: str, share: float, minutes: int
) -> None:
    spec, budget = CALENDARS[name], parse_budget(written)
    target = promise(spec, start, written)
    stop = start + (target.due_at - start) * share * 0.999
    go = stop + timedelta(minutes=minutes)

    after = resumed(paused(target, stop), spec, go, go)

    if budget.unit is BudgetUnit.WORKING_HOURS:
        assert elapsed(spec, start, stop) + elapsed(spec, go, after.due_at) == budget.amount
    elif budget.unit is BudgetUnit.WALL:
        assert (stop - start) + (after.due_at - go) == budget.amount
    assert after.due_at >= max(target.due_at, go)
    assert due_at(spec, after.started_at, budget) == after.due_at, "counted again, the pause is lost"
    assert start <= after.started_at <= max(go, start)
    told = [m for m in (after.warn_50_at, after.warn_80_at, after.due_at) if m is not None]
    assert told == sorted(told)
    assert after.supervisor_at == after.due_at


@settings(max_examples=200, deadline=None)
@given(MOMENTS, BUDGETS, st.integers(0, 20_000), st.integers(0, 20_000))
def test_a_longer_pause_never_makes_it_due_sooner(start: datetime, written: str, one: int, more: int) -> None:
    spec = CALENDARS["CN"]
    target = promise(spec, start, written)
    stopped = paused(target, start + (target.due_at - start) / 3)
    assert stopped.paused_at is not None
    first, second = (stopped.paused_at + timedelta(minutes=m) for m in (one, one + more))

    assert resumed(stopped, spec, first, first).due_at <= resumed(stopped, spec, second, second).due_at
