"""Which hours of a day are open: weekly windows, public holidays, make-up workdays, exceptions.

Windows are half-open and belong to the local day they start on (a night shift goes on into a holiday); one
whose end is not after its start ends on the following day. Where a clock is set forward over an opening or
closing time, that moment is the instant of the change; where it is set back, the first of the two counts. So
adjoining windows never leave a gap or count a minute twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import holidays

from routing.policy import CalendarSpec, Window

MAX_CLOCKS = 64  # calendars kept prepared
MAX_CACHED_DAYS = 4000  # days of one calendar kept prepared

DAY = timedelta(days=1)
MIDNIGHT = time()

Span = tuple[datetime, datetime]  # UTC, start < end


class Why(StrEnum):
    """Why an interval counts, or does not."""

    WALL_CLOCK = "wall clock"
    CALENDAR_DAYS = "calendar days"
    OPEN = "open hours"
    MAKE_UP_DAY = "make-up workday"  # 調休: open although the weekday is not
    EXCEPTION = "exception"  # of the configuration; what it counts is zero where it closes the day
    HOLIDAY = "public holiday"
    REST_DAY = "rest day"


def windows(spec: CalendarSpec, day: date) -> tuple[Span, ...]:
    """The open windows that start on a local day, in order, as UTC; empty on a day of rest."""
    return clockwork(spec).windows(day)


def hours(spec: CalendarSpec, day: date) -> tuple[Window, ...]:
    """The open hours of a day by the local clock, make-up days and holidays considered."""
    return clockwork(spec).hours(day)


def kind_of_day(spec: CalendarSpec, day: date) -> Why:
    """Why the desk is open or closed on a local day."""
    return clockwork(spec).kind_of_day(day)


def holiday_name(spec: CalendarSpec, day: date, language: str = "en") -> str:
    """The public holiday's name in zh-Hant, zh-Hans or English where the tables have it; "" on other days."""
    table = _named_holidays(spec, language)
    return str(table.get(day) or "") if table is not None else ""


def is_provisional(spec: CalendarSpec, year: int) -> bool:
    """True while a Chinese year's make-up workdays are unknown to the tables and to the exceptions.

    The State Council publishes them in autumn for the following year; until then `holidays` silently guesses.
    """
    if year in spec.complete:
        return False
    table = clockwork(spec).holidays
    if spec.country != "CN" or table is None:
        return False
    date(year, 1, 1) in table  # noqa: B015  # the library fills a year when it is first asked about it
    if any(day.year == year for day in table.weekend_workdays):
        return False
    opened = (day for day, hours in spec.exceptions.items() if hours and day.year == year)
    return not any(day.weekday() >= 5 for day in opened)


class Clockwork:
    """A calendar prepared for counting: its zone, its holidays and the days already worked out."""

    def __init__(self, spec: CalendarSpec) -> None:
        self.spec = spec
        self.zone = ZoneInfo(spec.timezone)
        self.holidays = _holidays(spec)
        self._days: dict[date, tuple[Span, ...]] = {}

    def windows(self, day: date) -> tuple[Span, ...]:
        known = self._days.get(day)
        if known is None:
            if len(self._days) >= MAX_CACHED_DAYS:
                self._days.clear()
            known = self._days[day] = tuple(self._spans(day))
        return known

    def kind_of_day(self, day: date) -> Why:
        if day in self.spec.exceptions:
            return Why.EXCEPTION
        if self.holidays is not None:
            if day in self.holidays:
                return Why.HOLIDAY
            if day in self.holidays.weekend_workdays and not self.spec.week.get(day.weekday()):
                return Why.MAKE_UP_DAY
        return Why.OPEN if self.spec.week.get(day.weekday()) else Why.REST_DAY

    def hours(self, day: date) -> tuple[Window, ...]:
        kind = self.kind_of_day(day)
        if kind is Why.EXCEPTION:
            return self.spec.exceptions[day]
        if kind is Why.HOLIDAY:
            return ()
        if kind is Why.MAKE_UP_DAY:
            # The notices name the day that is worked, not whose hours it has: the first working weekday's.
            return next((hours for _, hours in sorted(self.spec.week.items()) if hours), ())
        return self.spec.week.get(day.weekday(), ())

    def _spans(self, day: date) -> Iterator[Span]:
        for window in sorted(self.hours(day), key=lambda w: w.start):
            last = day if window.end > window.start else day + DAY
            start, end = self.instant(day, window.start), self.instant(last, window.end)
            if start < end:  # a window wholly inside the hour that a clock skips does not exist
                yield start, end

    def local_day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def instant(self, day: date, wall: time) -> datetime:
        """The first instant at which the local clock shows that time or a later one."""
        early = datetime.combine(day, wall, self.zone).astimezone(UTC)
        if early.astimezone(self.zone).replace(tzinfo=None) == datetime.combine(day, wall):
            return early
        # PEP 495: in a gap, fold=1 lies before the change of the clock and fold=0 after it.
        low = datetime.combine(day, wall.replace(fold=1), self.zone).astimezone(UTC)
        before = low.astimezone(self.zone).utcoffset()
        while early - low > timedelta(seconds=1):
            middle = low + timedelta(seconds=(early - low) // timedelta(seconds=2))
            if middle.astimezone(self.zone).utcoffset() == before:
                low = middle
            else:
                early = middle
        return early


# Keyed by identity: a clock holds its spec, so that the id cannot be given to another while it is in here.
_clocks: dict[int, Clockwork] = {}


def clockwork(spec: CalendarSpec) -> Clockwork:
    clock = _clocks.get(id(spec))
    if clock is None:
        if len(_clocks) >= MAX_CLOCKS:
            _clocks.clear()
        clock = _clocks[id(spec)] = Clockwork(spec)
    return clock


def _holidays(spec: CalendarSpec, language: str | None = None) -> holidays.HolidayBase | None:
    if not spec.country:
        return None
    country, _, subdivision = spec.country.partition("-")
    return holidays.country_holidays(
        country,
        subdiv=subdivision or None,
        categories=spec.holiday_categories or None,
        language=language,
    )


_LANGUAGES = {"zh-Hant": ("zh_TW", "zh_HK"), "zh-Hans": ("zh_CN",), "en": ("en_US",)}
_named: dict[tuple[str, tuple[str, ...], str], holidays.HolidayBase | None] = {}


def _named_holidays(spec: CalendarSpec, language: str) -> holidays.HolidayBase | None:
    key = (spec.country, spec.holiday_categories, language)
    if key not in _named:
        if len(_named) >= MAX_CLOCKS:
            _named.clear()
        plain = _holidays(spec)
        offered = plain.supported_languages if plain is not None else ()
        chosen = next((code for code in _LANGUAGES.get(language, ()) if code in offered), None)
        _named[key] = _holidays(spec, chosen)
    return _named[key]
