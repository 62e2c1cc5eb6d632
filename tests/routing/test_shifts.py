"""When a working day begins and ends: holidays, make-up days, half days, nights, and desks that never close."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from routing.policy import CalendarSpec, Window
from routing.shifts import closing, opening_day

TAIPEI = ZoneInfo("Asia/Taipei")
OFFICE = (Window(time(9), time(12)), Window(time(13), time(18)))
DESK = CalendarSpec(name="desk", timezone="Asia/Taipei", week=dict.fromkeys(range(5), OFFICE), version="c1")
CHINA = CalendarSpec(
    name="cn", timezone="Asia/Shanghai", week=dict.fromkeys(range(5), OFFICE), country="CN", version="c2"
)
NIGHT = replace(DESK, week=dict.fromkeys(range(5), (Window(time(22), time(6)),)))
ALWAYS = replace(DESK, week=dict.fromkeys(range(7), (Window(time(0), time(0)),)))
AFTERNOON = replace(DESK, week={0: (Window(time(13), time(18)),)})
HALF = replace(DESK, exceptions={date(2026, 11, 24): (Window(time(9), time(12)),), date(2026, 11, 25): ()})


def at(day: date, clock: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), TAIPEI).astimezone(UTC)


MONDAY, TUESDAY, WEDNESDAY, SATURDAY = (date(2026, 11, d) for d in (23, 24, 25, 28))


@pytest.mark.parametrize(
    ("spec", "day", "clock", "begun"),
    [
        (DESK, MONDAY, "08:59:59", None),
        (DESK, MONDAY, "09:00", MONDAY),
        (DESK, MONDAY, "10:30", MONDAY),
        (DESK, MONDAY, "11:59:59", MONDAY),
        (DESK, MONDAY, "12:00", None),  # too late to be of use
        (DESK, MONDAY, "14:00", None),  # the second window is no other day
        (DESK, SATURDAY, "10:00", None),
        (CHINA, date(2026, 10, 1), "10:00", None),  # a holiday
        (CHINA, date(2026, 10, 10), "10:00", date(2026, 10, 10)),  # a make-up Saturday
        (HALF, TUESDAY, "09:30", TUESDAY),
        (HALF, WEDNESDAY, "09:30", None),
        (AFTERNOON, MONDAY, "13:00", MONDAY),
        (AFTERNOON, MONDAY, "15:59", MONDAY),
        (AFTERNOON, MONDAY, "16:00", None),
        (NIGHT, MONDAY, "22:30", MONDAY),
        (NIGHT, TUESDAY, "00:30", MONDAY),  # of the shift that began yesterday
        (NIGHT, TUESDAY, "01:00", None),
        (ALWAYS, MONDAY, "00:00", None),
        (ALWAYS, MONDAY, "09:00", None),
    ],
)
def test_a_day_begins_with_its_first_hour(spec: CalendarSpec, day: date, clock: str, begun: date | None) -> None:
    assert opening_day(spec, at(day, clock)) == begun


@pytest.mark.parametrize(
    ("spec", "day", "clock", "ended"),
    [
        (DESK, MONDAY, "12:30", None),  # lunch ends no day
        (DESK, MONDAY, "17:59:59", None),
        (DESK, MONDAY, "18:00", (MONDAY, at(date(2026, 11, 20), "18:00"))),  # since Friday
        (DESK, MONDAY, "20:59", (MONDAY, at(date(2026, 11, 20), "18:00"))),
        (DESK, MONDAY, "21:00", None),
        (DESK, SATURDAY, "18:30", None),
        (HALF, TUESDAY, "12:00", (TUESDAY, at(MONDAY, "18:00"))),
        (NIGHT, TUESDAY, "06:10", (MONDAY, at(SATURDAY.replace(day=21), "06:00"))),
        (ALWAYS, TUESDAY, "00:10", None),
    ],
)
def test_a_day_ends_with_its_last_hour(
    spec: CalendarSpec, day: date, clock: str, ended: tuple[date, datetime] | None
) -> None:
    found = closing(spec, at(day, clock))

    assert (found and (found.day, found.before)) == ended
