"""Times as people say them: 「11月23日（週一）15:30」, `今天 15:30`, `Mon 23 Nov, 15:30`.

Every function takes an aware time, the reader's time zone (IANA name) and his language, and returns words without
前 or "by": the texts put those themselves. The year is said only where it is not the year of `now`.
A deadline at local midnight belongs to the day it ends: 「11月23日（週一）24:00」, `the end of Mon 23 Nov`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HANT, HANS, EN = "zh-Hant", "zh-Hans", "en"
LANGUAGES = (HANT, HANS, EN)

_WEEKDAY = {
    HANT: ("週一", "週二", "週三", "週四", "週五", "週六", "週日"),
    HANS: ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    EN: ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
_MONTH = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NEAR = {  # days from today -> word
    HANT: {-1: "昨天", 0: "今天", 1: "明天"},
    HANS: {-1: "昨天", 0: "今天", 1: "明天"},
    EN: {-1: "yesterday", 0: "today", 1: "tomorrow"},
}
_UNITS = {  # days, hours, minutes, seconds
    HANT: ("{} 天", "{} 小時", "{} 分", "{} 秒"),
    HANS: ("{} 天", "{} 小时", "{} 分钟", "{} 秒"),
    EN: ("{} d", "{} h", "{} min", "{} s"),
}


def language_of(tag: str) -> str:
    """The language we write nearest to a tag: `zh-TW` -> zh-Hant, `zh` and `zh-CN` -> zh-Hans, anything else -> en."""
    lower = tag.replace("_", "-").lower()
    if not lower.startswith("zh"):
        return EN
    return HANT if any(mark in lower for mark in ("hant", "-tw", "-hk", "-mo")) else HANS


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name. Raises ValueError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'"{name}" is no time zone: write for example "Asia/Taipei"') from error


def moment(when: datetime, timezone: str, language: str, now: datetime) -> str:
    """For mail, in full: 「11月23日（週一）15:30」, `Mon 23 Nov, 15:30`."""
    local = _local(when, timezone)
    clock = f"{local:%H:%M}"
    day = _day(local, language, _local(now, timezone).year)
    return f"{day}, {clock}" if language == EN else f"{day}{clock}"


def near(when: datetime, timezone: str, language: str, now: datetime) -> str:
    """For chat and notices: `今天 15:30`, `tomorrow 10:00`; farther away as `moment`."""
    local = _local(when, timezone)
    word = _NEAR[language].get(_days_between(_local(now, timezone), local))
    return f"{word} {local:%H:%M}" if word else moment(when, timezone, language, now)


def clock(when: datetime, timezone: str, language: str, now: datetime) -> str:
    """As short as can be: `10:02` where it is today, else as `moment`."""
    local = _local(when, timezone)
    is_today = local.date() == _local(now, timezone).date()
    return f"{local:%H:%M}" if is_today else moment(when, timezone, language, now)


def deadline(when: datetime, timezone: str, language: str, now: datetime) -> str:
    """As `moment`, for the end of a span: midnight is said as the end of the day before."""
    local = _local(when, timezone)
    if not _is_midnight(local):
        return moment(when, timezone, language, now)
    day = _day(local - timedelta(days=1), language, _local(now, timezone).year)
    return f"the end of {day}" if language == EN else f"{day}24:00"


def deadline_near(when: datetime, timezone: str, language: str, now: datetime) -> str:
    """As `near`, for the end of a span."""
    local = _local(when, timezone)
    if not _is_midnight(local):
        return near(when, timezone, language, now)
    word = _NEAR[language].get(_days_between(_local(now, timezone), local) - 1)
    if word is None:
        return deadline(when, timezone, language, now)
    return f"the end of {word}" if language == EN else f"{word} 24:00"


def deadline_clock(when: datetime, timezone: str, language: str, now: datetime) -> str:
    """As short as can be for a first line: `15:30` where it is today's, else as `deadline`."""
    local, today = _local(when, timezone), _local(now, timezone)
    if _is_midnight(local):
        return deadline_near(when, timezone, language, now)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    return deadline(when, timezone, language, now)


def span(length: timedelta, language: str) -> str:
    """How long, in at most two units, rounded down: `1 小時 20 分`, `2 d 3 h`, `40 s`. The sign is not said."""
    seconds = int(abs(length.total_seconds()))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    amounts = (days, hours, minutes, seconds)
    first = next((i for i, amount in enumerate(amounts) if amount), 3)
    # Seconds beside minutes say nothing to a person.
    last = min(first + 1, 2) if first < 3 else 3
    units = _UNITS[language]
    said = [units[i].format(amounts[i]) for i in range(first, last + 1) if amounts[i] or i == first]
    return " ".join(said)


def _local(when: datetime, timezone: str) -> datetime:
    if when.tzinfo is None:
        raise ValueError("a time without a time zone says nothing")
    return when.astimezone(zone(timezone))


def _days_between(today: datetime, then: datetime) -> int:
    return (then.date() - today.date()).days


def _is_midnight(local: datetime) -> bool:
    return local.hour == 0 and local.minute == 0


def day(when: date, language: str, now: datetime) -> str:
    """`11月24日（週二）`, `Tue 24 Nov`; with its year where that is another one."""
    return _day(datetime.combine(when, time(), UTC), language, now.year)


def _day(local: datetime, language: str, year_now: int) -> str:
    weekday = _WEEKDAY[language][local.weekday()]
    is_other_year = local.year != year_now
    if language == EN:
        year = f" {local.year}" if is_other_year else ""
        return f"{weekday} {local.day} {_MONTH[local.month - 1]}{year}"
    year = f"{local.year}年" if is_other_year else ""
    return f"{year}{local.month}月{local.day}日（{weekday}）"
