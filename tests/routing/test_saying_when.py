"""What agents write of when and whom, as they write it: breaks, absences, numbers of tickets, spans of reports."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from routing.absences import day_in
from routing.looking import number_in, span_of
from routing.policy import CalendarSpec, Window
from routing.presence import back_after, back_at, break_until

TAIPEI, BERLIN = ZoneInfo("Asia/Taipei"), ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)  # Monday 14:10 in Taipei
TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("written", "clock"),
    [
        ("", "15:10"),
        ("30", "14:40"),
        ("30min", "14:40"),
        ("30 minutes", "14:40"),
        ("３０分", "14:40"),
        ("30分鐘", "14:40"),
        ("30分钟。", "14:40"),
        ("半小時", "14:40"),
        ("半个小时", "14:40"),
        ("1h", "15:10"),
        ("2 hours", "16:10"),
        ("1小時", "15:10"),
        ("一小时", "15:10"),
        ("兩個小時", "16:10"),
        ("16:00", "16:00"),
        ("１６：００", "16:00"),
        ("16點30分", "16:30"),
        ("16點", "16:00"),
        ("16点半", "16:30"),
        ("到 16:00", "16:00"),
        ("until 16:00", "16:00"),
        ("12h", "02:10"),
        ("00:30", "00:30"),  # tonight
    ],
)
def test_a_break_ends_when_it_is_said_to(written: str, clock: str) -> None:
    found = break_until(written, NOW, TAIPEI)

    assert found is not None
    assert (found.astimezone(TAIPEI).strftime("%H:%M"), found > NOW) == (clock, True)


@pytest.mark.parametrize(
    "written", ["14:10", "13:00", "25:00", "12:60", "0", "0min", "13h", "721min", "soon", "-30", "明天"]
)
def test_what_is_no_time_for_a_break_is_none(written: str) -> None:
    assert break_until(written, NOW, TAIPEI) is None


@pytest.mark.parametrize(
    ("now", "written", "until"),
    [
        (
            "2026-10-25T00:30+00:00",
            "3h",
            "2026-10-25T03:30+00:00",
        ),  # the clock goes back at 01:00 UTC: three hours are three
        ("2026-10-24T23:50+00:00", "04:00", "2026-10-25T03:00+00:00"),  # 01:50 there, and four by the new clock
    ],
)
def test_a_break_in_the_night_of_the_clocks(now: str, written: str, until: str) -> None:
    assert break_until(written, datetime.fromisoformat(now), BERLIN) == datetime.fromisoformat(until)


@pytest.mark.parametrize(
    ("word", "day"),
    [
        ("今天", "2026-11-23"),
        ("tomorrow", "2026-11-24"),
        ("到明天", "2026-11-24"),
        ("2026-12-31", "2026-12-31"),
        ("2026/12/31", "2026-12-31"),
        ("12/31", "2026-12-31"),
        ("１２／３１", "2026-12-31"),
        ("12月31日", "2026-12-31"),
        ("到12/31", "2026-12-31"),
        ("11/23", "2026-11-23"),
        ("11/22", "2027-11-22"),  # the next one to come
        ("1/4", "2027-01-04"),
    ],
)
def test_the_last_day_of_an_absence(word: str, day: str) -> None:
    assert day_in(word, TODAY) == date.fromisoformat(day)


@pytest.mark.parametrize("word", ["11/31", "2027-02-29", "13/1", "陳", "lin", "", "12", "1/2/3/4"])
def test_what_is_no_day_is_part_of_a_name(word: str) -> None:
    assert day_in(word, TODAY) is None


@pytest.mark.parametrize(
    ("argument", "number"),
    [
        ("1042", 1042),
        ("#1042", 1042),
        ("＃１０４２", 1042),
        (" # 1042 ", 1042),
        ("1042 please", None),
        ("", None),
        ("-1", None),
        ("1" * 10, None),
    ],
)
def test_the_number_of_a_ticket(argument: str, number: int | None) -> None:
    assert number_in(argument) == number


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("", "today"),
        ("今天", "today"),
        ("Yesterday", "yesterday"),
        ("this week", "week"),
        ("本 週", "week"),
        ("这周", "week"),
        ("本月", "month"),
        ("ＭＯＮＴＨ", "month"),
        ("year", ""),
        ("上週", ""),
    ],
)
def test_the_span_of_a_report(written: str, span: str) -> None:
    assert span_of(written) == span


# ---- when somebody is there again

OFFICE = CalendarSpec(
    name="desk",
    timezone="Asia/Taipei",
    week={day: (Window(time(9), time(18)),) for day in range(5)},
    exceptions={date(2026, 11, 25): ()},
)
NIGHTS = CalendarSpec(name="n", timezone="Asia/Taipei", week={day: (Window(time(22), time(6)),) for day in range(7)})

ALWAYS = CalendarSpec(name="a", timezone="Asia/Taipei", week={day: (Window(time(0), time(0)),) for day in range(7)})


def at(written: str) -> datetime:
    return datetime.fromisoformat(f"2026-{written}+08:00")


@pytest.mark.parametrize(
    ("spec", "now", "back"),
    [
        (OFFICE, "11-23T14:10", "11-24T09:00"),
        (OFFICE, "11-23T08:00", "11-23T09:00"),  # he goes before his day has begun
        (OFFICE, "11-23T19:00", "11-24T09:00"),
        (OFFICE, "11-24T10:00", "11-26T09:00"),  # a day off lies between
        (OFFICE, "11-27T10:00", "11-30T09:00"),  # and a weekend
        (NIGHTS, "11-23T23:00", "11-24T22:00"),
        (NIGHTS, "11-24T05:00", "11-24T22:00"),  # in the night that began yesterday
        (ALWAYS, "11-23T18:00", "11-24T06:00"),
        (CalendarSpec(name="never", timezone="Asia/Taipei", week={}), "11-23T14:10", "11-24T00:00"),
    ],
)
def test_who_goes_is_back_at_the_next_opening_of_another_day(spec: CalendarSpec, now: str, back: str) -> None:
    assert back_at(spec, at(now)) == at(back)


def test_who_is_away_until_a_day_is_back_on_the_next_open_one() -> None:
    assert back_after(OFFICE, date(2026, 11, 24)) == at("11-26T09:00")
