"""Days off: what a supervisor's words name, and what a calendar is with them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from support.deskrun import policy
from support.storefacts import NOW

from routing.budgets import parse_budget
from routing.calendars import due_at, is_open
from routing.days_off import asked_day
from routing.overlaying import DayOff, with_days_off
from routing.policy import CalendarSpec, Policy, Window
from routing.records import Overlay

TAIWAN = CalendarSpec(
    name="tw", timezone="Asia/Taipei", week=dict.fromkeys(range(5), (Window(time(9), time(18)),)), country="TW",
    version="t1",
)  # fmt: skip
TUESDAY = date(2026, 11, 24)  # NOW is Monday 14:10 in Taipei


def firm() -> Policy:
    return policy(calendars={**policy().calendars, "tw": TAIWAN}, calendar="tw")


def said(off: DayOff, number: int = 1, **more: Any) -> Overlay:
    return Overlay(id=number, kind="holiday", key=off.key(), value={**off.value(), **more}, agent="boss", at=NOW)


@pytest.mark.parametrize(
    ("words", "day", "place", "closes", "is_off"),
    [
        ("tomorrow TW", TUESDAY, "TW", None, False),
        ("tomorrow", TUESDAY, "TW", None, False),
        ("明天 台灣", TUESDAY, "TW", None, False),
        ("今日 臺灣", date(2026, 11, 23), "TW", None, False),
        ("后天", date(2026, 11, 25), "TW", None, False),
        ("2026-11-24 tw", TUESDAY, "TW", None, False),
        ("11/24", TUESDAY, "TW", None, False),
        ("11月24日 下午", TUESDAY, "TW", time(12), False),
        ("11-24 from 15:30", TUESDAY, "TW", time(15, 30), False),
        ("１１／２４ １５：３０", TUESDAY, "TW", time(15, 30), False),
        ("１１/２４", TUESDAY, "TW", None, False),
        ("1/2", date(2027, 1, 2), "TW", None, False),
        ("no 11/24", TUESDAY, "TW", None, True),
        ("照常 11/24 台灣", TUESDAY, "TW", None, True),
        ("tomorrow desk", TUESDAY, "desk", None, False),
    ],
)
def test_a_day_is_named_as_people_name_it(words: str, day: date, place: str, closes: time | None, is_off: bool) -> None:
    assert asked_day(words, firm(), NOW) == (DayOff(day, place, closes), is_off)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "TW",
        "yesterday",
        "2026-11-22",
        "2026-02-30",
        "13/45",
        "2030-01-01",
        "tomorrow JP",
        "tomorrow maybe",
        "25:00",
    ],
)
def test_what_names_no_day_is_none(words: str) -> None:
    assert asked_day(words, firm(), NOW) is None


def test_a_day_off_moves_a_promise_by_a_day_and_gives_the_calendar_another_version() -> None:
    budget = parse_budget("8wh")
    before = firm()

    after = with_days_off(before, [said(DayOff(TUESDAY, "TW"))])

    assert due_at(before.calendars["tw"], NOW, budget) == datetime(2026, 11, 24, 5, 10, tzinfo=UTC)
    assert due_at(after.calendars["tw"], NOW, budget) == datetime(2026, 11, 25, 5, 10, tzinfo=UTC)
    assert after.calendars["tw"].version != before.calendars["tw"].version
    assert after.calendars["desk"] == before.calendars["desk"]
    assert after.version != before.version


def test_closing_at_noon_leaves_the_morning() -> None:
    spec = with_days_off(firm(), [said(DayOff(TUESDAY, "TW", time(12)))]).calendars["tw"]

    hours = [is_open(spec, datetime(2026, 11, 24, hour - 8, 30, tzinfo=UTC)) for hour in (9, 11, 12, 15)]

    assert hours == [True, True, False, False]


def test_what_is_called_off_counts_for_nothing_and_said_again_it_counts() -> None:
    off, before = DayOff(TUESDAY, "TW"), firm()

    assert with_days_off(before, [said(off), said(off, 2, is_off=True)]) == before
    again = with_days_off(before, [said(off), said(off, 2, is_off=True), said(off, 3)])
    assert again == with_days_off(before, [said(off)])


def test_a_night_shift_that_begins_before_the_closing_ends_with_it() -> None:
    night = CalendarSpec(
        name="night", timezone="Asia/Taipei", week=dict.fromkeys(range(7), (Window(time(20), time(0)),)), version="n1"
    )
    spec = with_days_off(
        policy(calendars={**policy().calendars, "night": night}), [said(DayOff(TUESDAY, "night", time(22)))]
    ).calendars["night"]

    assert spec.exceptions[TUESDAY] == (Window(time(20), time(22)),)
