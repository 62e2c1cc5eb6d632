"""Business calendars: when a deadline falls, and how much open time has gone by.

Pure: everything follows from the calendar's definition, the `holidays` tables and the tz database. Moments
are aware; what is returned is UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from routing.budgets import BadBudget, parse_budget
from routing.days import (
    DAY,
    MIDNIGHT,
    Clockwork,
    Span,
    Why,
    clockwork,
    holiday_name,
    is_provisional,
    kind_of_day,
    windows,
)
from routing.policy import Budget, BudgetUnit, CalendarSpec

__all__ = [
    "BadBudget",
    "Interval",
    "NoOpenHours",
    "Why",
    "due_at",
    "elapsed",
    "holiday_name",
    "intervals",
    "is_open",
    "is_provisional",
    "kind_of_day",
    "next_opening",
    "parse_budget",
    "share_of",
    "split_point",
    "windows",
]

MAX_DAYS = 3 * 366  # days walked in search of open hours before giving up

_ZERO = timedelta()


class NoOpenHours(ValueError):  # reads as what it is: raise NoOpenHours
    """The calendar has no open hour within `MAX_DAYS`."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One line of a deadline's sum. For working days `counted` is the open time that went by."""

    start: datetime  # UTC
    end: datetime  # UTC
    counted: timedelta  # zero where the desk is closed
    why: Why
    name: str = ""  # of the holiday, in the language asked for


def due_at(spec: CalendarSpec, start: datetime, budget: Budget) -> datetime:
    """The moment (UTC) at which the budget is used up. `start` is aware. Raises `NoOpenHours`."""
    if budget.unit is BudgetUnit.WALL:
        return start.astimezone(UTC) + budget.amount
    if budget.unit is BudgetUnit.WORKING_HOURS:
        return _after_open_time(clockwork(spec), start, budget.amount)
    if budget.unit is BudgetUnit.WORKING_DAYS:
        return _closing_of_nth(clockwork(spec), start, budget.days)
    return _end_of_nth_day(clockwork(spec), start, budget.days)


def elapsed(spec: CalendarSpec, start: datetime, end: datetime) -> timedelta:
    """Open time between two moments; zero if `end` is not after `start`."""
    total = _ZERO
    if end <= start:
        return total
    for opened, closed in _spans_from(clockwork(spec), start, until=end):
        total += min(closed, end) - opened
    return total


def is_open(spec: CalendarSpec, at: datetime) -> bool:
    """True within a window; its last moment is not within."""
    clock = clockwork(spec)
    day = clock.local_day(at)
    return any(start <= at < end for d in (day - DAY, day) for start, end in clock.windows(d))


def next_opening(spec: CalendarSpec, at: datetime) -> datetime:
    """`at` itself while open, else the next opening, in UTC. Raises `NoOpenHours`."""
    return next(_spans_from(clockwork(spec), at))[0]


def split_point(spec: CalendarSpec, start: datetime, budget: Budget, share: float) -> datetime:
    """The moment at which a share (0.5, 0.8) of the budget is used up, in the budget's own counting."""
    if budget.unit is BudgetUnit.WALL:
        return start.astimezone(UTC) + budget.amount * share
    if budget.unit is BudgetUnit.CALENDAR_DAYS:
        begin = start.astimezone(UTC)
        return begin + (due_at(spec, start, budget) - begin) * share
    return due_at(spec, start, share_of(spec, start, budget, share))


def share_of(spec: CalendarSpec, start: datetime, budget: Budget, share: float) -> Budget:
    """A part of a budget; days become the open, or for calendar days the wall-clock, time they stand for."""
    if budget.unit in (BudgetUnit.WALL, BudgetUnit.WORKING_HOURS):
        return _share_of_time(budget, share)
    end, written = due_at(spec, start, budget), _share_written(budget, share)
    if budget.unit is BudgetUnit.WORKING_DAYS:
        return Budget(BudgetUnit.WORKING_HOURS, elapsed(spec, start, end) * share, written=written)
    return Budget(BudgetUnit.WALL, (end - start) * share, written=written)


@lru_cache(maxsize=200)  # a policy has few budgets, and every ticket asks for shares of them
def _share_of_time(budget: Budget, share: float) -> Budget:
    return replace(budget, amount=budget.amount * share, written=_share_written(budget, share))


def _share_written(budget: Budget, share: float) -> str:
    return f"half of {budget.written}" if share == 0.5 else f"{share:.0%} of {budget.written}"


def intervals(spec: CalendarSpec, start: datetime, budget: Budget, language: str = "en") -> list[Interval]:
    """How a deadline comes about, to be checked with a pencil: every stretch counted, every day skipped.

    In order; the last ends at `due_at`. For working hours the counted ones add up to the budget.
    """
    begin, end = start.astimezone(UTC), due_at(spec, start, budget)
    if budget.unit is BudgetUnit.WALL:
        return [Interval(begin, end, end - begin, Why.WALL_CLOCK)]
    if budget.unit is BudgetUnit.CALENDAR_DAYS:
        return [Interval(begin, end, end - begin, Why.CALENDAR_DAYS)]
    return list(_lines(clockwork(spec), begin, end, language))


def _lines(clock: Clockwork, begin: datetime, end: datetime, language: str) -> Iterator[Interval]:
    day, last = clock.local_day(begin), clock.local_day(end)
    seen = begin
    for number in range(-1, (last - day).days + 1):
        today = day + number * DAY
        kind = clock.kind_of_day(today)
        name = holiday_name(clock.spec, today, language) if kind is Why.HOLIDAY else ""
        stretches = clock.windows(today)
        if is_closed := not stretches:
            stretches = ((clock.instant(today, MIDNIGHT), clock.instant(today + DAY, MIDNIGHT)),)
        for opened, closed in stretches:
            first, final = max(opened, seen), min(closed, end)
            if first < final:
                seen = final
                yield Interval(first, final, _ZERO if is_closed else final - first, kind, name)


def _spans_from(clock: Clockwork, start: datetime, until: datetime | None = None) -> Iterator[Span]:
    """Open spans from `start` on, none overlapping another. Raises `NoOpenHours` unless `until` is given."""
    seen = start.astimezone(UTC)
    day = clock.local_day(start) - DAY  # yesterday's night shift may still be on
    closed_days = 0
    while closed_days < MAX_DAYS:
        closed_days += 1
        for opened, closed in clock.windows(day):
            if until is not None and opened >= until:
                return
            if closed > seen:
                closed_days = 0
                yield max(opened, seen), closed
                seen = closed
        if until is not None and datetime.combine(day - DAY, MIDNIGHT, UTC) > until:
            return
        day += DAY
    if until is None:
        raise NoOpenHours(f"calendar {clock.spec.name} has no open hour in {MAX_DAYS} days")


def _end_of_nth_day(clock: Clockwork, start: datetime, days: int) -> datetime:
    """Midnight that ends the Nth day after that of receipt. A day that a zone has left out (Samoa, 2011) is none."""
    day = clock.local_day(start)
    ends = clock.instant(day + DAY, MIDNIGHT)
    left = days
    while left:
        day += DAY
        began, ends = ends, clock.instant(day + DAY, MIDNIGHT)
        left -= began < ends
    return ends


def _after_open_time(clock: Clockwork, start: datetime, amount: timedelta) -> datetime:
    left = amount
    for opened, closed in _spans_from(clock, start):
        length = closed - opened
        if length >= left:
            return opened + left
        left -= length
    raise AssertionError("an endless walk ended")  # _spans_from without `until` yields or raises


def _closing_of_nth(clock: Clockwork, start: datetime, days: int) -> datetime:
    """Closing of the Nth working day after that of receipt, which is the first to close after `start`."""
    day = clock.local_day(start) - DAY
    closed_days = 0
    left = days + 1  # the day of receipt, then N more
    while closed_days < MAX_DAYS:
        closed_days += 1
        spans = clock.windows(day)
        if spans and spans[-1][1] > start:
            closed_days = 0
            left -= 1
            if not left:
                return spans[-1][1]
        day += DAY
    raise NoOpenHours(f"calendar {clock.spec.name} has no working day in {MAX_DAYS} days")
