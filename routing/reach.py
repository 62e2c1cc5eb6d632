"""Reach: how soon agents answer by the way in which they are reached now, as it was measured.

Pure. What is promised to people is never sooner than that: half of those who were told an earlier time would wait in
vain. The target itself does not move: it stays what the firm owes, and is measured against.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from statistics import median

from routing.calendars import is_open
from routing.policy import CalendarSpec

ENOUGH = 10  # answers, before their median is believed
STEP = timedelta(seconds=30)  # nobody is promised "within 3 min 17 s"


def likely(times: Sequence[timedelta]) -> timedelta | None:
    """Within how long half of these answers had come, in whole half minutes; None where they are too few."""
    if len(times) < ENOUGH:
        return None
    middle = timedelta(seconds=median(one.total_seconds() for one in times))
    return -(-middle // STEP) * STEP


def in_hours(spec: CalendarSpec, answered: Iterable[tuple[datetime, datetime]]) -> list[timedelta]:
    """How long answers took of what came while the desk was open: (came, answered)."""
    return [end - start for start, end in answered if is_open(spec, start)]


def promised_by(due_at: datetime, since: datetime, reach: timedelta | None) -> datetime:
    """The time that a person is told."""
    return due_at if reach is None else max(due_at, since + reach)
