"""Pausing: the clock of a promise stands while the customer owes us something, and runs on with what was left.

Only what waits for him stands still: solving, reporting back, a first opinion. An answer that was promised is owed
whatever he owes, and a date of the law waits for nobody. Nothing that is late already becomes less late by a pause.

What is left is counted as the promise itself is: working hours that are left are left to the minute; of working days
and calendar days as many closings (midnights) are still to come as were to come when it stopped. Its start moves along,
so that it may be counted again from there without losing the pause. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from routing.budgets import parse_budget
from routing.calendars import due_at, elapsed
from routing.policy import Budget, BudgetUnit, CalendarSpec, Policy
from routing.records import Event, Target
from routing.words import TargetKind

#: What cannot go on without what the customer owes.
PAUSABLE = frozenset({TargetKind.RESOLUTION, TargetKind.REPORT_BACK, TargetKind.INITIAL_OPINION})
#: Dates of the law (Taiwan's Consumer Protection Act, art. 43) wait for nobody.
STATUTORY = frozenset({"complaint.resolution_tw"})
MAX_DAYS_LEFT = 3 * 366  # of a budget in days
_MICROSECOND = timedelta(microseconds=1)


def may_pause(target: Target, at: datetime) -> bool:
    """Whether its clock can be stopped at that moment."""
    if target.kind not in PAUSABLE or target.policy_key in STATUTORY or not target.is_open:
        return False
    return target.paused_at is None and target.breached_at is None and target.due_at > at


def paused(target: Target, at: datetime) -> Target:
    """As it stands from then on: nobody is warned, nothing is late."""
    return replace(target, paused_at=at, next_at=None, rescue_at=None)


def resumed(target: Target, spec: CalendarSpec, at: datetime, now: datetime) -> Target:
    """As it runs on from `at`, which may lie before `now`. `spec`: the target's own calendar, as it counts today.

    Raises NoOpenHours where that calendar has none.
    """
    stopped = target.paused_at
    assert stopped is not None, "only what stands can run on"
    at = max(at, stopped)
    unit = _unit(target)
    due = _due_after(spec, unit, stopped, target.due_at, at)
    measure, advance = _rule(spec, unit)
    before, after = measure(stopped, target.due_at), measure(at, due)

    def ahead(moment: datetime | None) -> datetime | None:
        """A moment of the old clock by the new one."""
        if moment is None or moment <= stopped:
            return moment
        if moment >= target.due_at:
            return advance(due, measure(target.due_at, moment))
        return advance(at, measure(stopped, moment) * (after / before)) if before else due

    moved = replace(
        target,
        started_at=_start_for(spec, target, due, at),
        due_at=due,
        warn_50_at=ahead(target.warn_50_at),
        warn_80_at=ahead(target.warn_80_at),
        supervisor_at=ahead(target.supervisor_at),
        manager_at=ahead(target.manager_at),
        calendar_version=spec.version,
        paused_at=None,
    )
    # What was to be told before it stopped was told then; what fell due between `at` and now is told at once.
    return replace(moved, next_at=moved.next_after(min(at, now)))


def ran_on(old: Target, new: Target, now: datetime) -> Event:
    """What is told of a clock that runs on."""
    data = {
        "target": old.kind.value,
        "ordinal": old.ordinal,
        "was_due_at": old.due_at.isoformat(),
        "due_at": new.due_at.isoformat(),
        "stood_from": old.paused_at.isoformat() if old.paused_at else "",
    }
    return Event(at=now, kind="target_resumed", ticket=old.ticket, data=data)


def calendar_of(policy: Policy, target: Target, channel: str, team: str) -> CalendarSpec:
    """The calendar that a promise was counted in; the ticket's where that is no more."""
    return policy.calendars.get(target.calendar) or policy.calendar_of(channel, team)


def _start_for(spec: CalendarSpec, target: Target, due: datetime, latest: datetime) -> datetime:
    """The latest start from which the whole budget ends at `due`: counted again from it, the pause is not lost.

    The start as it was, where there is none, or the budget cannot be read any more.
    """
    try:
        budget = parse_budget(target.budget)
    except ValueError:
        return target.started_at
    first, steps = target.started_at, (latest - target.started_at) // _MICROSECOND
    low, high = 0, steps  # a later start is never due sooner
    while low < high:
        middle = (low + high + 1) // 2
        if due_at(spec, first + middle * _MICROSECOND, budget) <= due:
            low = middle
        else:
            high = middle - 1
    found = first + low * _MICROSECOND
    return found if due_at(spec, found, budget) == due else target.started_at


def _unit(target: Target) -> BudgetUnit:
    """How its time is counted. A budget that cannot be read any more is counted in working hours."""
    try:
        return parse_budget(target.budget).unit
    except ValueError:
        return BudgetUnit.WORKING_HOURS


def _due_after(spec: CalendarSpec, unit: BudgetUnit, stopped: datetime, due: datetime, at: datetime) -> datetime:
    if unit is BudgetUnit.WALL:
        return at + (due - stopped)
    if at == stopped:
        return due
    if unit is BudgetUnit.WORKING_HOURS:
        return due_at(spec, at, Budget(unit, elapsed(spec, stopped, due)))
    return due_at(spec, at, Budget(unit, timedelta(), _ends_left(spec, unit, stopped, due)))


def _ends_left(spec: CalendarSpec, unit: BudgetUnit, stopped: datetime, due: datetime) -> int:
    """How many days end between, beside that of the first moment: 0 where it is due when this day ends."""
    for days in range(MAX_DAYS_LEFT):
        if due_at(spec, stopped, Budget(unit, timedelta(), days)) >= due:
            return days
    return MAX_DAYS_LEFT


def _rule(
    spec: CalendarSpec, unit: BudgetUnit
) -> tuple[Callable[[datetime, datetime], timedelta], Callable[[datetime, timedelta], datetime]]:
    """How the time between two moments is measured, and how one goes on from a moment."""
    if unit in (BudgetUnit.WALL, BudgetUnit.CALENDAR_DAYS):
        return (lambda one, other: other - one), (lambda moment, span: moment + span)
    return (
        lambda one, other: elapsed(spec, one, other),
        # No time at all after closing is closing, and not the next opening.
        lambda moment, span: due_at(spec, moment, Budget(BudgetUnit.WORKING_HOURS, span)) if span else moment,
    )
