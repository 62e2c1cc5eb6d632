"""Shifts: when somebody's working day begins and ends by his calendar; holidays, make-up days and half days are days
like any other that has open hours, or has not.

Pure. What is sent at a beginning or an end is sent late rather than not, but not when it is of no use any more. Where
the desk goes on over midnight nothing begins or ends: one that never closes has no shifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from routing.calendars import windows
from routing.policy import CalendarSpec

NOON = time(12)
AFTER_OPENING = timedelta(hours=3)  # of a day that begins at noon or later; any other day until noon
AFTER_CLOSING = timedelta(hours=3)
MAX_DAYS_OFF = 31  # days without open hours that are looked over for the one before
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Closing:
    """The end of a working day."""

    day: date
    at: datetime  # UTC
    before: datetime  # UTC: when the working day before it ended


def opening_day(spec: CalendarSpec, now: datetime) -> date | None:
    """The day whose first hour has struck, not too long ago: before noon, or in the first three hours."""
    for day in _near(spec, now):
        spans = windows(spec, day)
        if spans and spans[0][0] <= now < _no_more(spec, day, spans[0][0]) and _end(spec, day - DAY) != spans[0][0]:
            return day
    return None


def _no_more(spec: CalendarSpec, day: date, opens: datetime) -> datetime:
    noon = datetime.combine(day, NOON, ZoneInfo(spec.timezone)).astimezone(UTC)
    return noon if opens < noon else opens + AFTER_OPENING


def closing(spec: CalendarSpec, now: datetime) -> Closing | None:
    """The day whose last hour has struck, in the three hours after."""
    for day in _near(spec, now):
        end = _end(spec, day)
        if end is not None and end <= now < end + AFTER_CLOSING and _begin(spec, day + DAY) != end:
            return Closing(day, end, _end_before(spec, day, end))
    return None


def _near(spec: CalendarSpec, now: datetime) -> tuple[date, date]:
    today = now.astimezone(ZoneInfo(spec.timezone)).date()
    return today, today - DAY  # yesterday's night shift may still be on


def _end(spec: CalendarSpec, day: date) -> datetime | None:
    spans = windows(spec, day)
    return spans[-1][1] if spans else None


def _begin(spec: CalendarSpec, day: date) -> datetime | None:
    spans = windows(spec, day)
    return spans[0][0] if spans else None


def _end_before(spec: CalendarSpec, day: date, end: datetime) -> datetime:
    for number in range(1, MAX_DAYS_OFF + 1):
        before = _end(spec, day - number * DAY)
        if before is not None:
            return before
    return end - MAX_DAYS_OFF * DAY
