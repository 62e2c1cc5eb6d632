"""Until when: a span, a day or a date as an agent types it, and the open hour that it means.

`3d 3wd 8wh 2h`, `3天 3個工作日 8工時 兩週`, `2026-12-01 12/1 12月1日`, `fri 週五 下週一 明天`. What is over while the
desk is closed is looked at when it opens next: nobody is told at midnight.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from routing.budgets import MAX_BUDGET_DAYS, BadBudget, parse_budget
from routing.calendars import NoOpenHours, due_at, next_opening
from routing.folding import fold
from routing.policy import Budget, BudgetUnit, CalendarSpec

MAX_WRITTEN = 40  # characters
MAX_AHEAD = timedelta(days=270)  # a date without its year that is further ahead is a past one, mistyped

DEFAULT = Budget(BudgetUnit.WORKING_DAYS, timedelta(), 3, "3wd")

_NUMBERS = {"一": 1, "二": 2, "兩": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10}
#: How a unit may be written -> how a budget has it; weeks and months are days.
_UNITS = {
    **dict.fromkeys(("d", "day", "days", "天", "日"), "d"),
    **dict.fromkeys(
        (
            *("wd", "working day", "working days", "workday", "workdays", "business day", "business days"),
            *("工作日", "個工作日", "个工作日", "工作天", "個工作天", "个工作天"),
        ),
        "wd",
    ),
    **dict.fromkeys(("wh", "working hour", "working hours", "工時", "工时", "個工時", "个工时"), "wh"),
    **dict.fromkeys(("h", "hour", "hours", "hr", "hrs", "小時", "小时", "個小時", "个小时", "鐘頭", "钟头"), "h"),
    **dict.fromkeys(("min", "minutes", "分鐘", "分钟"), "min"),
    **dict.fromkeys(
        ("w", "week", "weeks", "週", "周", "星期", "個星期", "个星期", "禮拜", "礼拜", "個禮拜", "个礼拜"), "w"
    ),
    **dict.fromkeys(("month", "months", "個月", "个月"), "month"),
}
_DAYS_OF = {"w": 7, "month": 30}

_SPAN = re.compile(r"(\d{1,4}(?:\.\d)?|[一二兩两三四五六七八九十])\s*([a-z]+(?: [a-z]+)?|[\u4e00-\u9fff]{1,5})")
_FULL_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*[日號号]?")
_SHORT_DATE = re.compile(r"(\d{1,2})\s*[-/月]\s*(\d{1,2})\s*[日號号]?")
_WEEKDAY = re.compile(
    r"(下下|下|next )?\s*(?:(?:個|个)?(?:週|周|星期|禮拜|礼拜)([一二三四五六日天])"
    r"|(mon|tue|wed|thu|fri|sat|sun)(?:day|sday|nesday|rsday|urday)?)"
)
_CHINESE_DAYS = "一二三四五六日"
_ENGLISH_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NEAR = {
    **dict.fromkeys(("明天", "明日", "tomorrow"), 1),
    **dict.fromkeys(("後天", "后天", "day after tomorrow"), 2),
}
_AROUND = re.compile(r"\A(?:until |till |for |to |等到|到|等)\s*|\s*(?:後|后|before|再說|再说)\Z")


def until(spec: CalendarSpec, written: str, at: datetime) -> datetime | None:
    """The moment (UTC) until which somebody waits who writes this `at` that time; "" is three working days.

    None where it says no time, one that is not ahead, or one more than `MAX_BUDGET_DAYS` away.
    """
    if len(written) > MAX_WRITTEN:
        return None
    said = _AROUND.sub("", fold(written).strip())
    try:
        span = _span(said)
        moment = due_at(spec, at, span) if span is not None else _on(spec, said, at)
        if moment is None or not at < moment <= at + timedelta(days=MAX_BUDGET_DAYS):
            return None
        return next_opening(spec, moment)
    except (NoOpenHours, OverflowError, ValueError):  # 30 February; a calendar that never opens
        return None


def _span(said: str) -> Budget | None:
    """A length of time; None if it is none."""
    if not said:
        return DEFAULT
    found = _SPAN.fullmatch(said)
    unit = _UNITS.get(found[2]) if found else None
    if found is None or unit is None:
        return None
    number = str(_NUMBERS[found[1]]) if found[1] in _NUMBERS else found[1]
    if unit in _DAYS_OF:
        number, unit = (str(int(number) * _DAYS_OF[unit]) if number.isdecimal() else "0"), "d"
    try:
        return parse_budget(f"{number}{unit}")
    except BadBudget:
        return None


def _on(spec: CalendarSpec, said: str, at: datetime) -> datetime | None:
    """The beginning of a day."""
    zone = ZoneInfo(spec.timezone)
    today = at.astimezone(zone).date()
    readers: tuple[Callable[[str, date], date | None], ...] = (_near, _weekday, _date)
    day = next((found for read in readers if (found := read(said, today)) is not None), None)
    return None if day is None else datetime.combine(day, time(), zone)


def _near(said: str, today: date) -> date | None:
    return today + timedelta(days=_NEAR[said]) if said in _NEAR else None


def _weekday(said: str, today: date) -> date | None:
    """The next such day; with `下` or `next` that of the next week."""
    found = _WEEKDAY.fullmatch(said)
    if found is None:
        return None
    wanted = _CHINESE_DAYS.index(found[2].replace("天", "日")) if found[2] else _ENGLISH_DAYS.index(found[3])
    if found[1]:
        weeks = 2 if found[1] == "下下" else 1
        return today + timedelta(days=7 * weeks - today.weekday() + wanted)
    return today + timedelta(days=(wanted - today.weekday() - 1) % 7 + 1)


def _date(said: str, today: date) -> date | None:
    """A date; without a year the next one."""
    if (found := _FULL_DATE.fullmatch(said)) is not None:
        return date(int(found[1]), int(found[2]), int(found[3]))
    if (found := _SHORT_DATE.fullmatch(said)) is None:
        return None
    month, day = int(found[1]), int(found[2])
    ahead = date(today.year + ((month, day) <= (today.month, today.day)), month, day)
    return ahead if ahead - today <= MAX_AHEAD else None
