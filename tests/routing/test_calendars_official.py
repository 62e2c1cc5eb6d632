"""Working days agree with what the governments announced, day by day.

CN: chinesecalendar, which follows the State Council's notices, as an oracle. TW: the office calendar of 2026 of the
Directorate-General of Personnel Administration, after the holiday act of 28 May 2025. HK: general holidays for 2026
under the General Holidays Ordinance (Cap. 149). Both entered by hand on 24 November 2026.
"""

from __future__ import annotations

from datetime import date, time, timedelta

import chinese_calendar
import pytest

from intake.config_calendars import built_in
from routing.calendars import windows
from routing.days import hours
from routing.policy import Window

CALENDARS = built_in()

TW_2026 = (  # on weekdays
    *("01-01", "02-16", "02-17", "02-18", "02-19", "02-20", "02-27", "04-03", "04-06"),
    *("05-01", "06-19", "09-25", "09-28", "10-09", "10-26", "12-25"),
)
HK_2026 = (
    *("01-01", "02-17", "02-18", "02-19", "04-03", "04-06", "04-07", "05-01", "05-25", "06-19"),
    *("07-01", "10-01", "10-19", "12-25"),
)


def days_of(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + timedelta(n) for n in range((date(year + 1, 1, 1) - first).days)]


@pytest.mark.parametrize("year", range(2012, 2027))
def test_china_works_when_the_state_council_says(year: int) -> None:
    ours = [day for day in days_of(year) if windows(CALENDARS["CN"], day)]

    assert [day for day in days_of(year) if chinese_calendar.is_workday(day)] == ours


def test_the_shipped_chinese_hours_hold_on_make_up_days_too() -> None:
    open_hours = {hours(CALENDARS["CN"], day) for day in days_of(2026)}

    nine_to_six = tuple(Window(*map(time.fromisoformat, pair)) for pair in (("09:00", "12:00"), ("13:30", "18:00")))
    assert open_hours == {(), nine_to_six}


@pytest.mark.parametrize(("name", "closed"), [("TW", TW_2026), ("HK", HK_2026)])
def test_days_off_of_2026(name: str, closed: tuple[str, ...]) -> None:
    weekdays = [day for day in days_of(2026) if day.weekday() < 5]

    ours = [f"{day:%m-%d}" for day in weekdays if not windows(CALENDARS[name], day)]

    assert list(closed) == ours
    assert not any(windows(CALENDARS[name], day) for day in days_of(2026) if day.weekday() >= 5)
