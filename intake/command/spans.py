"""How long, in the narrow space of a terminal: `12 min`, `-4 min`, `+00:12`, `2 d 3 h`."""

from __future__ import annotations

from datetime import datetime, timedelta

from intake import dates

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def margin(difference: timedelta) -> str:
    """For the margin of a story, six columns: `+00:12` (minutes, seconds), `+5h03m`, `+2d04h`."""
    seconds = round(difference.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    if seconds < _HOUR:
        return f"{sign}{seconds // _MINUTE:02}:{seconds % _MINUTE:02}"
    if seconds < _DAY:
        return f"{sign}{seconds // _HOUR}h{seconds % _HOUR // _MINUTE:02}m"
    return f"{sign}{seconds // _DAY}d{seconds % _DAY // _HOUR:02}h"


def left(until: datetime, now: datetime) -> str:
    """`12 min`, `2 d 3 h`; `4 min late` once it is over."""
    said = dates.span(until - now, dates.EN)
    return f"{said} late" if until < now else said


def minutes_left(until: datetime, now: datetime) -> float:
    """For programs: negative once it is over."""
    return round((until - now).total_seconds() / _MINUTE, 1)
