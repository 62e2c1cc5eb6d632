"""Until when: what an agent types behind `!wait`, in three languages, is the opening that he means, or nothing."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.policy import CalendarSpec, Window
from routing.until import until

TAIPEI = ZoneInfo("Asia/Taipei")
OFFICE = CalendarSpec(name="desk", timezone="Asia/Taipei", week=dict.fromkeys(range(5), (Window(time(9), time(18)),)))
MONDAY = datetime(2026, 11, 23, 14, 10, tzinfo=TAIPEI)


@pytest.mark.parametrize(
    ("written", "opens"),
    [
        ("", "11-27 09:00"),  # three working days
        ("3d", "11-27 09:00"),
        ("3 days", "11-27 09:00"),
        ("３天", "11-27 09:00"),
        ("三天", "11-27 09:00"),
        ("2日", "11-26 09:00"),
        ("3wd", "11-27 09:00"),
        ("3個工作日", "11-27 09:00"),
        ("3个工作日", "11-27 09:00"),
        ("2 working days", "11-26 09:00"),
        ("2wh", "11-23 16:10"),
        ("8 工時", "11-24 13:10"),
        ("2h", "11-23 16:10"),
        ("6小時", "11-24 09:00"),  # 20:10, when the desk is closed
        ("兩週", "12-08 09:00"),
        ("2 weeks", "12-08 09:00"),
        ("1個月", "12-24 09:00"),
        ("2026-12-01", "12-01 09:00"),
        ("2026/12/1", "12-01 09:00"),
        ("2026年12月1日", "12-01 09:00"),
        ("12/5", "12-07 09:00"),  # a Saturday
        ("12月1日", "12-01 09:00"),
        ("1/4", "01-04 09:00"),  # of the next year
        ("fri", "11-27 09:00"),
        ("Friday", "11-27 09:00"),
        ("until friday", "11-27 09:00"),
        ("週五", "11-27 09:00"),
        ("周五", "11-27 09:00"),
        ("星期五", "11-27 09:00"),
        ("禮拜五", "11-27 09:00"),
        ("週一", "11-30 09:00"),  # not today
        ("下週三", "12-02 09:00"),
        ("下下周一", "12-07 09:00"),
        ("next wed", "12-02 09:00"),
        ("明天", "11-24 09:00"),
        ("tomorrow", "11-24 09:00"),
        ("後天", "11-25 09:00"),
    ],
)
def test_a_time_is_the_opening_that_it_means(written: str, opens: str) -> None:
    moment = until(OFFICE, written, MONDAY)

    assert moment is not None
    assert moment.astimezone(TAIPEI).strftime("%m-%d %H:%M") == opens


@pytest.mark.parametrize(
    "written",
    [
        *("soon", "3", "d", "0d", "-1d", "401d", "1.5d", "3wd in hours", "99999999d", "1e3d"),
        *("2026-11-22", "2026-11-23", "2026-02-30", "13/1", "11/1", "0/0", "2030-01-01"),
        *("下次", "週八", "someday", "等一下", "3 天後再看看好不好", "nan d", "x" * 500),
    ],
)
def test_anything_else_is_no_time(written: str) -> None:
    assert until(OFFICE, written, MONDAY) is None


def test_a_desk_that_never_opens_waits_for_nothing() -> None:
    never = CalendarSpec(name="never", timezone="Asia/Taipei", week={})

    assert until(never, "3d", MONDAY) is None
    assert until(never, "3wd", MONDAY) is None


@given(st.text(max_size=60), st.integers(0, 500_000))
def test_whatever_is_written_is_a_time_ahead_or_none(written: str, minutes: int) -> None:
    at = MONDAY + timedelta(minutes=minutes)
    moment = until(OFFICE, written, at)

    assert moment is None or moment > at
