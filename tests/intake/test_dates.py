"""Times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from intake import dates

NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)  # Monday 14:10 in Taipei
TAIPEI = "Asia/Taipei"
TODAY = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "language", "expected"),
    [
        (TODAY, "zh-Hant", "11月23日（週一）15:30"),
        (TODAY, "zh-Hans", "11月23日（周一）15:30"),
        (TODAY, "en", "Mon 23 Nov, 15:30"),
        (datetime(2027, 1, 4, 1, 0, tzinfo=UTC), "zh-Hant", "2027年1月4日（週一）09:00"),
        (datetime(2027, 1, 4, 1, 0, tzinfo=UTC), "en", "Mon 4 Jan 2027, 09:00"),
        # The year changes at the reader's midnight, not in UTC.
        (datetime(2026, 12, 31, 16, 5, tzinfo=UTC), "en", "Fri 1 Jan 2027, 00:05"),
        # A time that comes in another zone is the same moment.
        (TODAY.astimezone(dates.zone("America/New_York")), "zh-Hant", "11月23日（週一）15:30"),
    ],
)
def test_mail_says_a_time_in_full(when: datetime, language: str, expected: str) -> None:
    assert dates.moment(when, TAIPEI, language, NOW) == expected


@pytest.mark.parametrize(
    ("hours", "language", "expected"),
    [
        (1, "zh-Hant", "今天 15:10"),
        (20, "zh-Hant", "明天 10:10"),
        (-20, "zh-Hans", "昨天 18:10"),
        (20, "en", "tomorrow 10:10"),
        (48, "zh-Hans", "11月25日（周三）14:10"),
    ],
)
def test_chat_and_notices_say_near_days_by_name(hours: int, language: str, expected: str) -> None:
    assert dates.near(NOW + timedelta(hours=hours), TAIPEI, language, NOW) == expected


def test_the_reader_decides_which_day_is_today() -> None:
    late = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)

    assert dates.near(late, TAIPEI, "en", NOW) == "tomorrow 07:00"
    assert dates.near(late, "UTC", "en", NOW) == "today 23:00"


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (TODAY, "15:30"),
        (TODAY + timedelta(days=1), "11月24日（週二）15:30"),
    ],
)
def test_a_first_line_is_as_short_as_can_be(when: datetime, expected: str) -> None:
    assert dates.deadline_clock(when, TAIPEI, "zh-Hant", NOW) == expected


def test_a_deadline_at_midnight_belongs_to_the_day_it_ends() -> None:
    midnight = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)

    assert dates.deadline(midnight, TAIPEI, "zh-Hant", NOW) == "11月23日（週一）24:00"
    assert dates.deadline(midnight, TAIPEI, "en", NOW) == "the end of Mon 23 Nov"
    assert dates.deadline_near(midnight, TAIPEI, "zh-Hans", NOW) == "今天 24:00"
    assert dates.deadline_clock(midnight, TAIPEI, "en", NOW) == "the end of today"
    assert dates.moment(midnight, TAIPEI, "zh-Hant", NOW) == "11月24日（週二）00:00"


@pytest.mark.parametrize(
    ("length", "hant", "english"),
    [
        (timedelta(seconds=40), "40 秒", "40 s"),
        (timedelta(minutes=4, seconds=59), "4 分", "4 min"),
        (timedelta(hours=1, minutes=20), "1 小時 20 分", "1 h 20 min"),
        (timedelta(hours=2), "2 小時", "2 h"),
        (timedelta(days=2, hours=3, minutes=9), "2 天 3 小時", "2 d 3 h"),
        (timedelta(days=1, minutes=9), "1 天", "1 d"),
        (timedelta(0), "0 秒", "0 s"),
        (-timedelta(minutes=4), "4 分", "4 min"),
    ],
)
def test_a_span_has_at_most_two_units(length: timedelta, hant: str, english: str) -> None:
    assert (dates.span(length, "zh-Hant"), dates.span(length, "en")) == (hant, english)


def test_a_naive_time_and_an_unknown_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="says nothing"):
        dates.moment(datetime(2026, 11, 23), TAIPEI, "en", NOW)  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        dates.moment(NOW, "Asia/Atlantis", "en", NOW)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        *[("zh-TW", "zh-Hant"), ("zh_HK", "zh-Hant"), ("zh-Hant", "zh-Hant"), ("zh", "zh-Hans"), ("zh-CN", "zh-Hans")],
        *[("en-GB", "en"), ("de", "en"), ("", "en")],
    ],
)
def test_the_nearest_language_that_is_written(tag: str, expected: str) -> None:
    assert dates.language_of(tag) == expected
