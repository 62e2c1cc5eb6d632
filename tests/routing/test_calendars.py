"""Business time: hand-computed deadlines, and laws that hold over zones, clock changes and holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from routing.budgets import BadBudget, parse_budget
from routing.calendars import (
    NoOpenHours,
    Why,
    due_at,
    elapsed,
    intervals,
    is_open,
    is_provisional,
    next_opening,
    share_of,
    split_point,
    windows,
)
from routing.policy import Budget, BudgetUnit, CalendarSpec, Window

OFFICE = (Window(time(9), time(12)), Window(time(13, 30), time(18)))  # 7.5 h


def calendar(zone: str, hours: tuple[Window, ...] = OFFICE, days: range = range(5), **more: object) -> CalendarSpec:
    week = dict.fromkeys(days, hours)
    return CalendarSpec(name=zone, timezone=zone, week=week, **more)  # type: ignore[arg-type]


CN = calendar("Asia/Shanghai", country="CN")
HK = calendar("Asia/Hong_Kong", country="HK", holiday_categories=("public", "optional"))
TW = calendar("Asia/Taipei", (Window(time(9), time(12)), Window(time(13), time(18))), country="TW")
BERLIN = calendar("Europe/Berlin", country="DE")
BERLIN_NIGHTS = calendar("Europe/Berlin", (Window(time(0), time(6)),), range(7))
NEW_YORK_SHIFT = calendar("America/New_York", (Window(time(22), time(6)),), range(5), country="US")
ROUND_THE_CLOCK = calendar("Europe/London", (Window(time(0), time(0)),), range(7))


def local(spec: CalendarSpec, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(spec.timezone))


def shown(spec: CalendarSpec, at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(spec.timezone)):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("start", "budget", "expected"),
    [
        # An ordinary Thursday, 2026-11-19.
        ("2026-11-19 09:00", "8wh", "2026-11-20 09:30"),
        ("2026-11-19 09:00", "3wh", "2026-11-19 12:00"),  # as one window closes, not as the next opens
        ("2026-11-19 12:30", "1wh", "2026-11-19 14:30"),
        ("2026-11-19 17:59", "3min in hours", "2026-11-20 09:02"),
        ("2026-11-19 03:00", "3wd", "2026-11-24 18:00"),
        ("2026-11-19 12:30", "1wd", "2026-11-20 18:00"),
        ("2026-11-19 18:00", "1wd", "2026-11-23 18:00"),  # closed: counts as received on Friday
        ("2026-11-21 10:00", "1wd", "2026-11-24 18:00"),  # Saturday: counts as received on Monday
        ("2026-11-19 23:59", "15d", "2026-12-05 00:00"),
        ("2026-11-19 17:00", "24h", "2026-11-20 17:00"),
        # Spring Festival 2026: rest from 15 to 23 February, work on Saturdays 14 and 28.
        ("2026-02-13 17:00", "8wh", "2026-02-14 17:30"),
        ("2026-02-14 17:00", "8wh", "2026-02-24 17:30"),
        ("2026-02-14 10:00", "1wd", "2026-02-24 18:00"),
        ("2026-02-14 10:00", "5wd", "2026-02-28 18:00"),
        ("2026-02-16 10:00", "1wd", "2026-02-25 18:00"),  # a holiday: counts as received on the 24th
        ("2026-02-13 10:00", "10wd", "2026-03-05 18:00"),  # 14, 24 to 28 February, 2 to 5 March
        # National Day 2026: rest from 1 to 7 October, work on Sunday 20 September and Saturday 10 October.
        ("2026-09-30 17:00", "8wh", "2026-10-08 17:30"),
        ("2026-09-30 10:00", "3wd", "2026-10-10 18:00"),
        ("2026-09-19 12:00", "1wd", "2026-09-21 18:00"),
        ("2026-09-19 12:00", "2wh", "2026-09-20 11:00"),
        ("2026-09-30 10:00", "15d", "2026-10-16 00:00"),
    ],
)
def test_deadline_in_china(start: str, budget: str, expected: str) -> None:
    assert shown(CN, due_at(CN, local(CN, start), parse_budget(budget))) == expected


@pytest.mark.parametrize(
    ("spec", "start", "budget", "expected"),
    [
        (
            TW,
            "2026-10-08 17:00",
            "8wh",
            "2026-10-12 17:00",
        ),  # National Day, a Saturday, is taken on Friday the 9th
        (HK, "2026-04-02 17:00", "2wh", "2026-04-08 10:00"),  # Good Friday to the Tuesday after Ching Ming
        (BERLIN, "2026-12-24 17:00", "2wh", "2026-12-28 10:00"),
        (BERLIN_NIGHTS, "2026-03-29 00:00", "5wh", "2026-03-29 06:00"),  # 02:00 becomes 03:00
        (BERLIN_NIGHTS, "2026-10-25 00:00", "7wh", "2026-10-25 06:00"),  # 03:00 becomes 02:00
        (BERLIN, "2026-03-28 12:00", "24h", "2026-03-29 13:00"),
        (BERLIN, "2026-03-28 12:00", "1d", "2026-03-30 00:00"),
        (BERLIN, "2026-10-24 12:00", "24h", "2026-10-25 11:00"),
        (
            NEW_YORK_SHIFT,
            "2026-11-20 23:00",
            "8wh",
            "2026-11-23 23:00",
        ),  # Friday's shift ends on Saturday at six
        (NEW_YORK_SHIFT, "2026-11-21 03:00", "1wd", "2026-11-24 06:00"),  # still Friday's shift
        (NEW_YORK_SHIFT, "2026-11-25 23:00", "8wh", "2026-11-27 23:00"),  # Thanksgiving opens no shift
        (ROUND_THE_CLOCK, "2026-03-28 12:00", "24wh", "2026-03-29 13:00"),
    ],
)
def test_deadline_elsewhere(spec: CalendarSpec, start: str, budget: str, expected: str) -> None:
    assert shown(spec, due_at(spec, local(spec, start), parse_budget(budget))) == expected


def test_an_opening_inside_the_skipped_hour_opens_when_the_clock_changes() -> None:
    early = calendar("Europe/Berlin", (Window(time(2, 30), time(4)),), range(7))

    assert windows(early, date(2026, 3, 29)) == (
        (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 3, 29, 2, tzinfo=UTC)),
    )


def test_a_window_wholly_inside_the_skipped_hour_does_not_exist() -> None:
    early = calendar("Europe/Berlin", (Window(time(2, 10), time(2, 50)),), range(7))

    assert windows(early, date(2026, 3, 29)) == ()


def test_a_midnight_that_does_not_exist_ends_the_day_all_the_same() -> None:
    cairo = calendar("Africa/Cairo")  # on 2026-04-24 the day begins at 01:00

    assert due_at(cairo, local(cairo, "2026-04-22 10:00"), parse_budget("1d")) == datetime(2026, 4, 23, 22, tzinfo=UTC)


def test_exceptions_come_before_holidays_and_weekdays() -> None:
    spec = calendar(
        "Asia/Shanghai",
        country="CN",
        exceptions={date(2026, 10, 1): (Window(time(10), time(11)),), date(2026, 10, 9): ()},
    )

    assert shown(spec, due_at(spec, local(spec, "2026-09-30 18:00"), parse_budget("1wh"))) == "2026-10-01 11:00"
    assert shown(spec, due_at(spec, local(spec, "2026-10-08 17:30"), parse_budget("1wh"))) == "2026-10-10 09:30"


def test_a_saturday_that_is_open_anyway_keeps_its_own_hours_on_a_make_up_day() -> None:
    spec = CalendarSpec(
        name="sat",
        timezone="Asia/Shanghai",
        week={**dict.fromkeys(range(5), OFFICE), 5: (Window(time(10), time(12)),)},
        country="CN",
    )

    assert shown(spec, windows(spec, date(2026, 10, 10))[0][0]) == "2026-10-10 10:00"


def test_two_calendars_of_one_name_do_not_share_their_days() -> None:
    first = calendar("Asia/Taipei", (Window(time(9), time(10)),))
    second = calendar("Asia/Taipei", (Window(time(14), time(15)),))

    assert windows(first, date(2026, 11, 19)) != windows(second, date(2026, 11, 19))


def test_open_and_next_opening() -> None:
    assert is_open(CN, local(CN, "2026-11-19 09:00"))
    assert not is_open(CN, local(CN, "2026-11-19 12:00"))
    assert is_open(NEW_YORK_SHIFT, local(NEW_YORK_SHIFT, "2026-11-21 05:59"))
    assert shown(CN, next_opening(CN, local(CN, "2026-11-20 18:00"))) == "2026-11-23 09:00"
    assert shown(CN, next_opening(CN, local(CN, "2026-11-20 17:00"))) == "2026-11-20 17:00"


def test_a_calendar_that_never_opens_says_so() -> None:
    closed = CalendarSpec(name="never", timezone="Asia/Taipei", week={})
    start = datetime(2026, 1, 1, tzinfo=UTC)

    for budget in ("1wh", "1wd"):
        with pytest.raises(NoOpenHours, match="never"):
            due_at(closed, start, parse_budget(budget))
    assert elapsed(closed, start, start + timedelta(days=9)) == timedelta()


def test_a_chinese_year_is_provisional_until_its_make_up_days_are_known() -> None:
    closed_only = calendar("Asia/Shanghai", country="CN", exceptions={date(2027, 2, 11): ()})
    known = calendar("Asia/Shanghai", country="CN", exceptions={date(2027, 2, 13): OFFICE})

    assert [is_provisional(CN, year) for year in (2025, 2026, 2027)] == [False, False, True]
    assert is_provisional(closed_only, 2027)
    assert not is_provisional(known, 2027)
    assert not is_provisional(TW, 2027)


def test_the_sum_can_be_checked_with_a_pencil() -> None:
    lines = intervals(CN, local(CN, "2026-09-30 17:00"), parse_budget("8wh"), "zh-Hant")

    assert [(shown(CN, i.start)[5:], shown(CN, i.end)[5:], i.counted, i.why, i.name) for i in lines] == [
        ("09-30 17:00", "09-30 18:00", timedelta(hours=1), Why.OPEN, ""),
        ("10-01 00:00", "10-02 00:00", timedelta(), Why.HOLIDAY, "國慶節"),
        ("10-02 00:00", "10-03 00:00", timedelta(), Why.HOLIDAY, "國慶節"),
        ("10-03 00:00", "10-04 00:00", timedelta(), Why.HOLIDAY, "國慶節"),
        ("10-04 00:00", "10-05 00:00", timedelta(), Why.REST_DAY, ""),
        ("10-05 00:00", "10-06 00:00", timedelta(), Why.HOLIDAY, "國慶節（補假）"),
        ("10-06 00:00", "10-07 00:00", timedelta(), Why.HOLIDAY, "放假日（2026-09-20 補班）"),
        ("10-07 00:00", "10-08 00:00", timedelta(), Why.HOLIDAY, "放假日（2026-10-10 補班）"),
        ("10-08 09:00", "10-08 12:00", timedelta(hours=3), Why.OPEN, ""),
        ("10-08 13:30", "10-08 17:30", timedelta(hours=4), Why.OPEN, ""),
    ]


def test_a_make_up_day_is_named_in_the_sum() -> None:
    lines = intervals(CN, local(CN, "2026-10-10 09:00"), parse_budget("1wh"))

    assert [line.why for line in lines] == [Why.MAKE_UP_DAY]


@pytest.mark.parametrize(
    ("budget", "share", "expected"),
    [
        ("8wh", 0.5, "2026-11-19 14:30"),
        ("24h", 0.5, "2026-11-19 21:00"),
        (
            "1wd",
            0.5,
            "2026-11-19 18:00",
        ),  # 15 open hours stand for it; half of them end as the first day does
        ("1d", 0.5, "2026-11-20 04:30"),
    ],
)
def test_half_a_budget_in_its_own_counting(budget: str, share: float, expected: str) -> None:
    start = local(CN, "2026-11-19 09:00")
    moment = split_point(CN, start, parse_budget(budget), share)

    if budget == "1wd":  # received at opening on the 19th, due at closing on the 20th
        assert elapsed(CN, start, moment) == timedelta(hours=7.5)
    assert shown(CN, moment) == expected


def test_half_a_budget_says_of_what() -> None:
    assert str(share_of(CN, local(CN, "2026-11-19 09:00"), parse_budget("8wh"), 0.5)) == "half of 8wh"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45s", Budget(BudgetUnit.WALL, timedelta(seconds=45), written="45s")),
        ("3min", Budget(BudgetUnit.WALL, timedelta(minutes=3), written="3min")),
        ("24h", Budget(BudgetUnit.WALL, timedelta(hours=24), written="24h")),
        ("1.5wh", Budget(BudgetUnit.WORKING_HOURS, timedelta(hours=1.5), written="1.5wh")),
        ("3wd", Budget(BudgetUnit.WORKING_DAYS, timedelta(), 3, "3wd")),
        ("15d", Budget(BudgetUnit.CALENDAR_DAYS, timedelta(), 15, "15d")),
        (" 3min in hours", Budget(BudgetUnit.WORKING_HOURS, timedelta(minutes=3), written="3min in hours")),
    ],
)
def test_budgets_are_read(text: str, expected: Budget) -> None:
    assert parse_budget(text) == expected


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("3m", 'did you mean "3min"'),
        ("8 wh", 'did you mean "8wh"'),
        ("2hours", 'did you mean "2h"'),
        ("8WH", 'did you mean "8wh"'),
        ("soon", "write for example"),
        ("", "write for example"),
        ("wh", "write for example"),
        ("-3h", "write for example"),
        ("1e9h", "write for example"),
        ("0min", "more than 0"),
        ("99999h", "at most 400 days"),
        ("1.5wd", "give 1 to 400"),
        ("0wd", "give 1 to 400"),
        ("401d", "give 1 to 400"),
        ("3wd in hours", 'write "3wd"'),
        ("٣h", "write for example"),
        ("9" * 5000 + "h", "write for example"),
    ],
)
def test_a_budget_nobody_can_count_is_refused_with_a_mend(text: str, mend: str) -> None:
    with pytest.raises(BadBudget) as caught:
        parse_budget(text)

    assert mend in caught.value.mend


# --- laws ---

ZONES = (
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # changes by half an hour
    "Africa/Cairo",  # changes at midnight
    "Pacific/Apia",  # left out a whole day in 2011
    "Asia/Kathmandu",
)


@st.composite
def specs(draw: st.DrawFn) -> CalendarSpec:
    """Calendars with windows of any shape that do not overlap; the last of a day may run past midnight."""
    cuts = sorted(draw(st.sets(st.integers(0, 95), min_size=2, max_size=6)))
    quarters = [time(cut // 4, cut % 4 * 15) for cut in cuts]
    hours = tuple(Window(a, b) for a, b in zip(quarters[::2], quarters[1::2], strict=False))
    days = draw(st.sets(st.integers(0, 6), min_size=1))
    if draw(st.booleans()):
        hours = (*hours[:-1], Window(hours[-1].start, quarters[0]))  # round to the first opening
    country = draw(st.sampled_from(("", "CN", "DE", "US")))
    zone = draw(st.sampled_from(ZONES))
    return CalendarSpec(name="drawn", timezone=zone, week=dict.fromkeys(days, hours), country=country)


#: Around changes of the clock, Spring Festival and Samoa's missing day, and anywhere.
moments = st.one_of(
    *(
        st.integers(-72 * 60, 72 * 60).map(lambda minutes, at=at: at + timedelta(minutes=minutes))
        for at in (
            datetime(2026, 3, 29, 1, tzinfo=UTC),
            datetime(2026, 10, 25, 1, tzinfo=UTC),
            datetime(2026, 11, 1, 6, tzinfo=UTC),
            datetime(2026, 4, 4, 15, tzinfo=UTC),
            datetime(2026, 2, 16, tzinfo=UTC),
            datetime(2011, 12, 30, 10, tzinfo=UTC),
        )
    ),
    st.integers(1_325_376_000, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)
amounts = st.integers(1, 60 * 60 * 60).map(lambda s: timedelta(seconds=s))  # up to 60 h
budgets = st.one_of(
    amounts.map(lambda a: Budget(BudgetUnit.WORKING_HOURS, a)),
    amounts.map(lambda a: Budget(BudgetUnit.WALL, a)),
    st.integers(1, 12).map(lambda n: Budget(BudgetUnit.WORKING_DAYS, timedelta(), n)),
    st.integers(1, 40).map(lambda n: Budget(BudgetUnit.CALENDAR_DAYS, timedelta(), n)),
)
quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(specs(), moments, amounts)
def test_the_open_time_up_to_a_deadline_is_the_budget(spec: CalendarSpec, start: datetime, amount: timedelta) -> None:
    due = due_at(spec, start, Budget(BudgetUnit.WORKING_HOURS, amount))

    assert elapsed(spec, start, due) == amount
    assert elapsed(spec, start, due - timedelta(microseconds=1)) < amount


@quick
@given(specs(), moments, amounts)
def test_counting_every_minute_gives_the_same(spec: CalendarSpec, start: datetime, amount: timedelta) -> None:
    start = start.replace(second=0, microsecond=0)
    minutes = int(amount.total_seconds()) // 600 + 1
    zone = ZoneInfo(spec.timezone)
    step, at, counted = timedelta(minutes=1), start, 0
    for _ in range(20 * 24 * 60):
        if counted == minutes:
            break
        assume(not at.astimezone(zone).fold)  # which of two equal times counts is a choice, tested elsewhere
        counted += is_open(spec, at)
        at += step
    assume(counted == minutes)

    assert due_at(spec, start, Budget(BudgetUnit.WORKING_HOURS, minutes * step)) == at


@quick
@given(specs(), moments, budgets, st.integers(0, 10**6))
def test_a_later_start_is_never_due_earlier(spec: CalendarSpec, start: datetime, budget: Budget, more: int) -> None:
    later = start + timedelta(seconds=more)

    assert start < due_at(spec, start, budget) <= due_at(spec, later, budget)


@quick
@given(specs(), moments, amounts, amounts, st.integers(1, 9), st.integers(1, 9))
def test_more_time_is_never_due_earlier(
    spec: CalendarSpec, start: datetime, a: timedelta, b: timedelta, m: int, n: int
) -> None:
    for unit in (BudgetUnit.WALL, BudgetUnit.WORKING_HOURS):
        assert due_at(spec, start, Budget(unit, a)) < due_at(spec, start, Budget(unit, a + b))
    for unit in (BudgetUnit.WORKING_DAYS, BudgetUnit.CALENDAR_DAYS):
        less, more = Budget(unit, timedelta(), m), Budget(unit, timedelta(), m + n)
        assert due_at(spec, start, less) < due_at(spec, start, more)


@quick
@given(specs(), moments, budgets)
def test_the_lines_of_a_sum_are_in_order_and_end_at_the_deadline(
    spec: CalendarSpec, start: datetime, budget: Budget
) -> None:
    lines = intervals(spec, start, budget)

    assert lines[-1].end == due_at(spec, start, budget)
    assert all(line.start < line.end for line in lines)
    assert all(a.end <= b.start for a, b in pairwise(lines))
    if budget.unit is BudgetUnit.WORKING_HOURS:
        assert sum((line.counted for line in lines), timedelta()) == budget.amount


@quick
@given(specs(), moments, budgets)
def test_half_comes_before_eighty_percent_before_the_end(spec: CalendarSpec, start: datetime, budget: Budget) -> None:
    half, short = (split_point(spec, start, budget, share) for share in (0.5, 0.8))

    assert start <= half <= short <= due_at(spec, start, budget)


def test_a_day_that_a_zone_has_left_out_is_no_calendar_day() -> None:
    samoa = CalendarSpec(name="apia", timezone="Pacific/Apia", week={}, version="1")
    received = datetime(2011, 12, 29, 9, 0, tzinfo=UTC)  # 28 December there; the 30th did not happen

    ends = [due_at(samoa, received, Budget(BudgetUnit.CALENDAR_DAYS, timedelta(), n)) for n in (1, 2)]
    assert ends == [datetime(2011, 12, 30, 10, 0, tzinfo=UTC), datetime(2011, 12, 31, 10, 0, tzinfo=UTC)]
