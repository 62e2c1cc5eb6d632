"""Calendars as config.toml writes them, and those that need no writing.

What is wrong is collected, never raised: the caller shows everything at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, time
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import holidays

from intake import calendar_files
from intake.config_tables import CalendarTable
from intake.config_words import Problem, closest
from routing.policy import CalendarSpec, Window

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = 7 * 24 * 60  # minutes


def built_in() -> dict[str, CalendarSpec]:
    """Usual office hours by country code; CN works its make-up Saturdays and Sundays (調休)."""
    table = {
        "CN": ("Asia/Shanghai", "CN", ("09:00-12:00", "13:30-18:00")),
        "TW": ("Asia/Taipei", "TW", ("09:00-12:00", "13:00-18:00")),
        "HK": ("Asia/Hong_Kong", "HK", ("09:00-13:00", "14:00-18:00")),
        "SG": ("Asia/Singapore", "SG", ("09:00-12:30", "13:30-18:00")),
        "JP": ("Asia/Tokyo", "JP", ("09:00-12:00", "13:00-18:00")),
        "US": ("America/New_York", "US", ("09:00-17:00",)),
        "GB": ("Europe/London", "GB-ENG", ("09:00-17:30",)),
        "DE": ("Europe/Berlin", "DE", ("09:00-12:00", "13:00-17:00")),
    }
    found = {}
    for name, (zone, country, hours) in table.items():
        windows = tuple(_window(text) for text in hours)
        spec = CalendarSpec(
            name=name,
            timezone=zone,
            week=dict.fromkeys(range(5), windows),
            country=country,
            holiday_categories=_usual_categories(country),
        )
        found[name] = versioned(spec)
    return found


def versioned(spec: CalendarSpec) -> CalendarSpec:
    """The calendar with a version that changes whenever anything else of it does."""
    parts = (
        spec.name,
        spec.timezone,
        sorted(spec.week.items()),
        spec.country,
        spec.holiday_categories,
        sorted(spec.exceptions.items()),
        version("holidays") if spec.country else "",  # new tables are new days off
        *([sorted(spec.complete)] if spec.complete else []),
    )
    return replace(spec, version=hashlib.sha256(repr(parts).encode()).hexdigest()[:12])


def specs(tables: Mapping[str, CalendarTable], problems: list[Problem]) -> dict[str, CalendarSpec]:
    """Built-in and written calendars by name. What cannot be read is reported and left out."""
    ready = built_in()
    waiting = dict(tables)
    while waiting:
        turn = [name for name, table in waiting.items() if table.like not in waiting or table.like == name]
        if not turn:
            problems += [
                Problem(f"calendars.{name}.like", "these calendars lean on each other in a ring", "break the ring")
                for name in sorted(waiting)
            ]
            return ready
        for name in turn:
            table = waiting.pop(name)
            base = ready.get(table.like or name)
            if table.like and (base is None or table.like == name) and table.like not in tables:
                problems.append(
                    Problem(
                        f"calendars.{name}.like",
                        f'there is no calendar "{table.like}"',
                        closest(table.like, {*ready, *tables} - {name}),
                    )
                )
            reading = _Reading(f"calendars.{name}", table, base, problems)
            ready[name] = versioned(reading.spec(name))
    return ready


@dataclass(frozen=True)
class _Reading:
    """One calendar being read."""

    path: str
    table: CalendarTable
    base: CalendarSpec | None
    problems: list[Problem]

    def wrong(self, key: str, message: str, mend: str = "") -> None:
        self.problems.append(Problem(f"{self.path}.{key}" if key else self.path, message, mend))

    def spec(self, name: str) -> CalendarSpec:
        zone, country = self._zone(), self._country()
        week = self._week()
        usual = next((hours for _, hours in sorted(week.items()) if hours), ())
        exceptions = dict(self.base.exceptions) if self.base else {}
        complete = self.base.complete if self.base else frozenset[int]()
        for file in self.table.files:
            days, years = self._file(file, zone, usual)
            exceptions |= days
            complete |= years
        exceptions |= self._exceptions(usual)
        if not any(week.values()) and not any(exceptions.values()) and self._may_judge():
            self.wrong("", "this calendar has no open hour", 'write hours = { mon-fri = ["09:00-18:00"] }')
        return CalendarSpec(
            name=name,
            timezone=zone,
            week=week,
            country=country,
            holiday_categories=self._categories(country),
            exceptions=exceptions,
            complete=complete,
        )

    def _file(
        self, path: Path, zone: str, usual: tuple[Window, ...]
    ) -> tuple[dict[date, tuple[Window, ...]], frozenset[int]]:
        """The days of a file, and the years that it has whole."""
        read = calendar_files.read(path, zone)
        for where, message, mend in read.problems:
            self.wrong(f"files: {path.name}{', ' if where else ''}{where}", message, mend)
        days = {
            day: hours
            for day, found in read.days.items()
            if (hours := self._day(f"files: {path.name}, {found.where}", day, found.said, usual)) is not None
        }
        return days, read.complete

    def _may_judge(self) -> bool:
        """False where hours were reported already."""
        return not any(problem.path.startswith(f"{self.path}.") for problem in self.problems)

    def _zone(self) -> str:
        zone = self.table.timezone
        if not zone:
            if self.base is None:
                self.wrong("timezone", '"timezone" is missing', 'write for example "Asia/Taipei"')
            return self.base.timezone if self.base else "UTC"
        if not is_zone(zone):
            self.wrong("timezone", f'"{zone}" is no time zone', closest_zone(zone))
            return "UTC"
        return zone

    def _country(self) -> str:
        country = self.table.country
        if country is None:
            return self.base.country if self.base else ""
        if not country:
            return ""
        offered = holidays.list_supported_countries()
        code, dash, subdivision = country.partition("-")
        if code not in offered:
            self.wrong("country", f'no public holidays are known of "{code}"', 'write "" to do without')
            return ""
        if dash and subdivision not in offered[code]:
            self.wrong("country", f'"{country}" is no part of {code}', closest(subdivision, offered[code]))
            return code
        return country

    def _categories(self, country: str) -> tuple[str, ...]:
        chosen = self.table.holiday_categories
        if chosen is None:
            same = self.base is not None and self.base.country == country
            return self.base.holiday_categories if same and self.base else _usual_categories(country)
        if not country:
            return ()
        offered = holidays.country_holidays(country.partition("-")[0]).supported_categories
        for category in chosen:
            if category not in offered:
                self.wrong("holiday_categories", f'"{category}" is none of {country}', closest(category, offered))
        return tuple(category for category in chosen if category in offered)

    def _week(self) -> dict[int, tuple[Window, ...]]:
        if self.table.hours is None:
            if self.base is None:
                self.wrong("hours", '"hours" is missing', 'write hours = { mon-fri = ["09:00-18:00"] }')
            return dict(self.base.week) if self.base else {}
        week: dict[int, tuple[Window, ...]] = {}
        for days, texts in self.table.hours.items():
            numbers = _day_numbers(days)
            if not numbers:
                self.wrong(f"hours.{days}", f'"{days}" names no days', 'write "mon", "mon-fri" or "sat,sun"')
            hours = self._windows(f"hours.{days}", texts)
            for number in numbers:
                if number in week:
                    self.wrong(f"hours.{days}", f"{_DAYS[number]} is written twice", "name each day once")
                week[number] = hours
        self._refuse_overlap("hours", week)
        return week

    def _windows(self, key: str, texts: Iterable[str]) -> tuple[Window, ...]:
        found = []
        for text in texts:
            try:
                found.append(_window(text))
            except ValueError:
                self.wrong(key, f'"{text}" is no stretch of hours', 'write for example "09:00-12:00"')
        return tuple(sorted(found, key=lambda window: window.start))

    def _refuse_overlap(self, key: str, week: Mapping[int, tuple[Window, ...]]) -> None:
        """Stretches of one day, or of a night and the next morning, must not share a minute."""
        stretches = [(day * 24 * 60 + _minute(w.start), day, w) for day, hours in week.items() for w in hours]
        stretches.sort(key=lambda stretch: stretch[0])
        around = [*stretches, *((start + _WEEK, day, window) for start, day, window in stretches[:1])]
        found: dict[str, list[str]] = {}
        for (start, day, window), (next_start, next_day, following) in pairwise(around):
            if start + _length(window) > next_start:
                into = "" if day == next_day else "the next day's "
                found.setdefault(f"{_said(window)} and {into}{_said(following)}", []).append(_DAYS[day])
        for said, days in found.items():
            mend = "end one where the other begins, or make one of both"
            self.wrong(key, f"hours overlap on {', '.join(days)}: {said}", mend)

    def _exceptions(self, usual: tuple[Window, ...]) -> dict[date, tuple[Window, ...]]:
        found = {}
        for text, value in self.table.exceptions.items():
            key = f"exceptions.{text}"
            try:
                day = date.fromisoformat(text)
            except ValueError:
                self.wrong(key, f'"{text}" is no date', "write for example 2027-02-13")
                continue
            hours = self._day(key, day, value, usual)
            if hours is not None:
                found[day] = hours
        return found

    def _day(
        self, key: str, day: date, said: str | tuple[str, ...], usual: tuple[Window, ...]
    ) -> tuple[Window, ...] | None:
        """The hours of an exceptional day; None where they cannot be read."""
        if isinstance(said, tuple):
            hours = self._windows(key, said)
            self._refuse_overlap(key, {day.weekday(): hours})
            return hours
        if said in ("closed", "workday"):
            return usual if said == "workday" else ()
        self.wrong(key, f'"{said}" is no exception', 'write "closed", "workday" or ["09:00-12:00"]')
        return None


def is_zone(name: str) -> bool:
    """True if the tz database has it."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, "Asia"
        return False
    return True


def closest_zone(name: str) -> str:
    """What may have been meant; the whole list would help nobody."""
    guess = closest(name, available_timezones())
    return guess if guess.startswith("did") else 'write for example "Asia/Taipei" or "Europe/Berlin"'


def _usual_categories(country: str) -> tuple[str, ...]:
    # Hong Kong's general holidays, on which offices are closed, are spread over two categories of the library.
    return ("public", "optional") if country == "HK" else ()


def _day_numbers(text: str) -> tuple[int, ...]:
    """`"mon-fri"`, `"sat,sun"` as 0 = Monday; () where it is neither."""
    found: list[int] = []
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            return ()
        start = _DAYS.index(first)
        end = _DAYS.index(last) if dash else start
        found += [(start + step) % 7 for step in range((end - start) % 7 + 1)]
    return tuple(dict.fromkeys(found))


def _window(text: str) -> Window:
    """`"09:00-12:00"`, to `"24:00"`, or past midnight. Raises ValueError."""
    start, dash, end = text.replace("–", "-").replace(" ", "").partition("-")
    if not dash:
        raise ValueError(text)
    return Window(_time(start), _time("00:00" if end == "24:00" else end))


def _time(text: str) -> time:
    hour, colon, minute = text.partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and len(minute) == 2 and len(hour) <= 2):
        raise ValueError(text)
    return time(int(hour), int(minute))


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute


def _length(window: Window) -> int:
    """Minutes; a window whose end is not after its start ends on the following day."""
    return (_minute(window.end) - _minute(window.start) - 1) % (24 * 60) + 1


def _said(window: Window) -> str:
    return f"{window.start:%H:%M}-{window.end:%H:%M}"
