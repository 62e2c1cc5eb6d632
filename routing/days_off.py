"""Days off: a supervisor says that the desk is closed tomorrow (a typhoon), and every promise moves with it.

`!holiday tomorrow TW`, `！放假 明天 台灣`, `!holiday 2026-11-25 from 12:00`, `!holiday no 2026-11-25`. He is asked
back with what it means, and it is done at his `!ok`; the calendar has a new version then, open promises are counted
again, and customers who were told another time are told once.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from unicodedata import normalize
from zoneinfo import ZoneInfo

from routing.confirming import ask
from routing.deed import Act
from routing.desk import Desk, Incoming
from routing.folding import fold
from routing.holding import tell_plainly
from routing.overlaying import HOLIDAY, DayOff, calendars_at
from routing.policy import Agent, Policy
from routing.records import Overlay, Question
from routing.words import QuestionKind

MAX_AHEAD = timedelta(days=400)

_TODAY = frozenset({"today", "今天", "今日"})
_TOMORROW = frozenset({"tomorrow", "明天", "明日"})
_AFTER_TOMORROW = frozenset({"後天", "后天"})
_NO = frozenset({"no", "not", "取消", "不放", "照常"})
_AFTERNOON = frozenset({"afternoon", "pm", "下午"})
_PLACES = {
    **dict.fromkeys(("taiwan", "台灣", "臺灣", "台湾", "臺湾"), "TW"),
    **dict.fromkeys(("china", "中國", "中国", "大陸", "大陆", "內地", "内地"), "CN"),
    **dict.fromkeys(("hong kong", "hongkong", "香港"), "HK"),
    **dict.fromkeys(("macau", "澳門", "澳门"), "MO"),
    **dict.fromkeys(("singapore", "新加坡"), "SG"),
}
_DATE = re.compile(r"(?:(\d{4})[-/.年])?(\d{1,2})[-/.月](\d{1,2})[日號号]?\Z")
_TIME = re.compile(r"(\d{1,2})[:：](\d{2})\Z")
_IGNORED = frozenset({"from", "at", "in", "起", "自", "從", "从"})


def asked_day(argument: str, policy: Policy, now: datetime) -> tuple[DayOff, bool] | None:
    """(the day off, whether it is called off instead) that `!holiday` names; None where it names none.

    Without a place it is the desk's own calendar's. A date without its year is the next such day.
    """
    desk = policy.calendars[policy.calendar]
    today = now.astimezone(ZoneInfo(desk.timezone)).date()
    day: date | None = None
    closes: time | None = None
    place, is_off = desk.country or desk.name, False
    for word in fold(normalize("NFKC", argument)).replace("hong kong", "hongkong").split():
        named = _PLACES.get(word) or next((n for n in _names(policy) if fold(n) == word), "")
        found = _day(word, today)
        at = _TIME.match(word)
        if word in _NO:
            is_off = True
        elif word in _AFTERNOON:
            closes = time(12)
        elif at is not None and int(at[1]) < 24 and int(at[2]) < 60:
            closes = time(int(at[1]), int(at[2]))
        elif named:
            place = named
        elif found is not None and day is None:
            day = found
        elif word not in _IGNORED:
            return None
    if day is None or not today <= day <= today + MAX_AHEAD or not calendars_at(policy, place):
        return None
    return DayOff(day, place, closes), is_off


def _names(policy: Policy) -> list[str]:
    """Countries first: one calendar may bear the name of its country in small letters."""
    return [*(spec.country for spec in policy.calendars.values() if spec.country), *policy.calendars]


def _day(word: str, today: date) -> date | None:
    for words, ahead in ((_TODAY, 0), (_TOMORROW, 1), (_AFTER_TOMORROW, 2)):
        if word in words:
            return today + timedelta(days=ahead)
    found = _DATE.match(word)
    if found is None:
        return None
    year, month, day = (int(part) if part else 0 for part in found.groups())
    for candidate in (year,) if year else (today.year, today.year + 1):
        try:
            said = date(candidate, month, day)
        except ValueError:
            continue
        if year or said >= today:
            return said
    return None


# ---- as a deed


def no_such_day(act: Act) -> str:
    return "bad_holiday" if asked_day(act.argument, act.desk.policy, act.desk.now) is None else ""


def asks_for_day(act: Act) -> str:
    """Ask back with what it means."""
    asked = asked_day(act.argument, act.desk.policy, act.desk.now)
    assert asked is not None, "asked before"
    off, is_off = asked
    ask(
        act.incoming,
        act.desk,
        act.agent,
        QuestionKind.HOLIDAY,
        {"key": off.key(), "value": dict(off.value()), "is_off": is_off},
    )
    return ""


def confirmed_day(incoming: Incoming, desk: Desk, agent: Agent, question: Question) -> None:
    """It is so from now on. The snapshot is made anew after the commit; promises are counted again then."""
    key, closes = str(question.data["key"]), str(question.data["value"].get("closes", ""))
    is_off = bool(question.data.get("is_off"))
    number = desk.new_overlay_number()
    desk.changes.overlays.append(
        Overlay(
            id=number,
            kind=HOLIDAY,
            key=key,
            value={**question.data["value"], **({"is_off": True} if is_off else {})},
            agent=agent.name,
            at=desk.now,
        )
    )
    desk.tell(
        "holiday_said",
        message=incoming.id,
        agent=agent.name,
        overlay=number,
        day=key,
        closes=closes,
        called_off=is_off,
    )
    tell_plainly(incoming, desk, agent, "holiday_done", detail="|".join((key, closes, "off" if is_off else "")))
