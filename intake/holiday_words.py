"""A day off in words: what a supervisor asked for, as he reads it in the question and when it is done."""

from __future__ import annotations

from datetime import date, datetime, time

from intake import dates
from intake.cards import Stationery
from routing.overlaying import DayOff, calendars_at
from routing.records import Question


def asked_day_off(question: Question, with_: Stationery, language: str, now: datetime) -> tuple[str, str]:
    """(the day and the place in one sentence, what it means for calendars and promises)."""
    key, closes = str(question.data["key"]), str(question.data["value"].get("closes", ""))
    said = day_off_said(key, closes, with_, language, now, is_off=bool(question.data.get("is_off")))
    place, _, _ = key.rpartition("/")
    names = with_.texts.say("word.list_comma", language).join(calendars_at(with_.policy, place))
    return said, with_.texts.say("holiday.calendars", language, names=names)


def day_off_said(key: str, closes: str, with_: Stationery, language: str, now: datetime, *, is_off: bool) -> str:
    """`台灣 11月24日（週二）全天放假`."""
    place, _, day = key.rpartition("/")
    off = DayOff(date.fromisoformat(day), place, time.fromisoformat(closes) if closes else None)
    kind = "off" if is_off else "early" if closes else "closed"
    shown = dates.day(off.day, language, now)
    known = f"holiday.place.{place}"
    named = with_.texts.say(known, language) if with_.texts.has(known) else place
    values = {"place": named, "day": shown} | ({"closes": closes} if kind == "early" else {})
    return with_.texts.say(f"holiday.{kind}", language, **values)


def done(detail: str, with_: Stationery, language: str, now: datetime) -> str:
    """The same where it is done: `detail` is "KEY|CLOSES|off"."""
    key, closes, off = (*detail.split("|"), "", "")[:3]
    return day_off_said(key, closes, with_, language, now, is_off=bool(off))
