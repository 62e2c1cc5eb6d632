"""The date in the headers of a mail that was passed on, as its program and language write it.

`23/11/2026` and `11/23/2026` look alike: every reading comes back, and whoever knows when the mail was passed on
chooses. Mostly no time zone is told. Linear: the text is short, and no expression can backtrack far.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_DATE = 120  # characters that are looked at

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_CHINESE_MONTH_FIRST = re.compile(r"(\d{1,2})月\s?(\d{1,2}),?\s?(\d{4})")
_YEAR_FIRST = re.compile(r"(\d{4})\s?[年./-]\s?(\d{1,2})\s?[月./-]\s?(\d{1,2})")
_MONTH_FIRST = re.compile(r"([a-z]{3})[a-z]{0,6}\.?\s{1,2}(\d{1,2})(?:st|nd|rd|th)?,?\s{1,2}(\d{4})")
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[\s.-]{1,2}([a-z]{3})[a-z]{0,6}\.?,?[\s-]{1,2}(\d{4})")
_NUMBERS = re.compile(r"(?<!\d)(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})(?!\d)")
_TIME = re.compile(r"(?<![\d+-])(\d{1,2})\s?[:點点时時]\s?(\d{2})(?:\s?[:分]\s?(\d{2}))?(?!\d)")
_EARLY = ("上午", "凌晨", "早上", "清晨")
_LATE = ("下午", "晚上", "傍晚", "晚間", "晚间")
_HALF_DAY = re.compile("|".join((*_EARLY, *_LATE, "中午")))
_AM_PM = re.compile(r"\s?([ap])\.?m\b\.?")
_NAMED_ZONE = re.compile(r"(?:gmt|utc)\s?([+-])\s?(\d{1,2}):?(\d{2})?(?!\d)")
_ZONE_BEHIND = re.compile(r"\s?(?:[ap]\.?m\.?)?\s?([+-])(\d{1,2}):?(\d{2})?(?!\d)")
_ZERO_ZONE = re.compile(r"\b(?:gmt|utc)\b(?!\s?[+-]\s?\d)")


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a date: the time on the clock, and how far that clock is from UTC, None if it is not told."""

    local: datetime  # naive
    offset: timedelta | None


def readings(value: str) -> tuple[Reading, ...]:
    """Every way to read the value of Date, Sent, 寄件日期, 发送时间; none where it is no date with a time."""
    told = unicodedata.normalize("NFKC", value[:MAX_DATE]).lower()
    clock = _clock(told)
    if clock is None:
        return ()
    hour, minute, second, offset = clock
    found: dict[datetime, Reading] = {}
    for year, month, day in _days(told):
        try:
            local = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # the zone is a thing of its own
        except ValueError:
            continue
        found.setdefault(local, Reading(local, offset))
    return tuple(found.values())


def _days(told: str) -> Iterator[tuple[int, int, int]]:
    if found := _YEAR_FIRST.search(told):
        yield int(found[1]), int(found[2]), int(found[3])
    elif found := _CHINESE_MONTH_FIRST.search(told):
        yield int(found[3]), int(found[1]), int(found[2])
    elif (found := _MONTH_FIRST.search(told)) and found[1] in _MONTHS:
        yield int(found[3]), _MONTHS[found[1]], int(found[2])
    elif (found := _DAY_FIRST.search(told)) and found[2] in _MONTHS:
        yield int(found[3]), _MONTHS[found[2]], int(found[1])
    elif found := _NUMBERS.search(told):
        year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
        yield year, int(found[1]), int(found[2])
        yield year, int(found[2]), int(found[1])


def _clock(told: str) -> tuple[int, int, int, timedelta | None] | None:
    """Hour, minute, second, and how far from UTC. None without a time, or with one that no clock shows."""
    found = _TIME.search(told)
    if found is None:
        return None
    hour, minute, second = int(found[1]), int(found[2]), min(int(found[3] or 0), 59)
    half = _HALF_DAY.search(told[: found.start()]) or _HALF_DAY.search(told, found.end(), found.end() + 4)
    behind = _AM_PM.match(told, found.end())
    is_late = (half is not None and half[0] in _LATE) or (behind is not None and behind[1] == "p")
    is_early = (half is not None and half[0] in _EARLY) or (behind is not None and behind[1] == "a")
    if half is not None and half[0].startswith("晚") and hour == 12:
        return None  # midnight of which day?
    if (is_late and hour < 12) or (half is not None and half[0] == "中午" and hour < 3):
        hour += 12
    elif is_early and hour == 12:
        hour = 0
    if hour > 23 or minute > 59:
        return None
    return hour, minute, second, _offset(told, found.end())


def _offset(told: str, behind: int) -> timedelta | None:
    """CST is China's or Chicago's: a zone counts where it is told in numbers, or is none."""
    found = _NAMED_ZONE.search(told) or _ZONE_BEHIND.match(told, behind)
    if found is None:
        return timedelta(0) if _ZERO_ZONE.search(told) else None
    hours, minutes = int(found[2]), int(found[3] or 0)
    if hours > 14 or minutes > 59:
        return None
    return timedelta(hours=hours, minutes=minutes) * (-1 if found[1] == "-" else 1)
