"""The roster: who works when, who is on call, on leave, and what he may do until when.

Pure. Somebody with shifts works in them and nowhere else; somebody without any works by his team's calendar. Leave is
stronger than both. Times are kept as they were written where they repeat (a weekly shift stays at nine over a change
of the clock), and in UTC where they do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
LOOK_AHEAD = 15  # days in which the next change is searched: later, it is looked for again then


class Stretch(NamedTuple):
    """From `start` to `end`, UTC, the end not within."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Weekly:
    """The same hours every week; an end that is not after the start is on the next day."""

    days: frozenset[int]  # 0 = Monday
    start: time
    end: time
    first: date | None = None  # None: since ever
    last: date | None = None  # None: for ever

    def on(self, day: date, zone: ZoneInfo) -> Stretch | None:
        """Its hours that begin on a day."""
        if day.weekday() not in self.days or (self.first and day < self.first) or (self.last and day > self.last):
            return None
        end_day = day if self.end > self.start else day + DAY
        return Stretch(_instant(day, self.start, zone), _instant(end_day, self.end, zone))


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """What the roster says of one agent."""

    shifts: tuple[Stretch, ...] = ()
    weekly: tuple[Weekly, ...] = ()
    on_call: tuple[Stretch, ...] = ()
    weekly_on_call: tuple[Weekly, ...] = ()
    leave: tuple[Stretch, ...] = ()
    certificates: Mapping[str, tuple[datetime | None, datetime | None]] = field(default_factory=dict)  # from, until
    languages: frozenset[str] = frozenset()

    @property
    def has_shifts(self) -> bool:
        return bool(self.shifts or self.weekly)

    def held(self, now: datetime) -> frozenset[str]:
        """Certificates that have begun; those that have ended among them, so that one can say so."""
        return frozenset(name for name, (start, _) in self.certificates.items() if start is None or start <= now)

    def ends(self) -> Mapping[str, datetime]:
        """Certificate -> when it ends, of those that do."""
        return {name: end for name, (_, end) in self.certificates.items() if end is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Roster:
    """Everybody of whom it says anything."""

    timezone: str = "UTC"  # of the weekly hours
    people: Mapping[str, Person] = field(default_factory=dict)

    def person(self, name: str) -> Person | None:
        return self.people.get(name)

    def has_shifts(self, name: str) -> bool:
        person = self.people.get(name)
        return person is not None and person.has_shifts

    def duty(self, name: str, now: datetime, by_calendar: Iterable[Stretch] | None = None) -> Duty:
        """Whether it is his time, until when that holds, and whether he is on call.

        `by_calendar`: the open hours around now of who has no shifts; None: such a one is always on.
        """
        person = self.people.get(name)
        if person is None:
            return _duty(by_calendar, (), (), now)
        zone = ZoneInfo(self.timezone)
        spans = _all(person.shifts, person.weekly, zone, now) if person.has_shifts else by_calendar
        on_call = _all(person.on_call, person.weekly_on_call, zone, now)
        return _duty(spans, on_call, person.leave, now)


class Duty(NamedTuple):
    is_on: bool
    until: datetime | None  # this holds until then at least; None: for ever
    ends_at: datetime | None  # his time on duty ends, where it is on
    is_on_call: bool = False


def _duty(spans: Iterable[Stretch] | None, on_call: Iterable[Stretch], leave: Iterable[Stretch], now: datetime) -> Duty:
    away = next((one for one in leave if one.start <= now < one.end), None)
    ahead = [one.start for one in leave if one.start > now]
    called = [one for one in on_call if one.end > now]
    if away is not None:
        return Duty(False, away.end, None)
    is_called = any(one.start <= now for one in called)
    changes = [*ahead, *(at for one in called for at in one if at > now)]
    if spans is None:
        return Duty(True, min(changes, default=None), min(ahead, default=None), is_called)
    joined = [one for one in _joined(spans) if one.end > now]
    here = next((one for one in joined if one.start <= now), None)
    if here is None:
        changes += [one.start for one in joined]
        return Duty(False, min(changes, default=now + (LOOK_AHEAD - 1) * DAY), None, is_called)
    ends = min([here.end, *ahead])
    return Duty(True, min([ends, *changes]), ends, is_called)


def _all(dated: Iterable[Stretch], weekly: Iterable[Weekly], zone: ZoneInfo, now: datetime) -> list[Stretch]:
    """Every stretch from yesterday on, as far as one looks ahead."""
    today = now.astimezone(zone).date()
    found = [one for one in dated if one.end > now]
    for rule in weekly:
        days = (today + number * DAY for number in range(-1, LOOK_AHEAD))
        found += [one for day in days if (one := rule.on(day, zone)) is not None and one.end > now]
    return found


def _joined(spans: Iterable[Stretch]) -> list[Stretch]:
    """In order, those that meet made one: who goes on working does not leave between two shifts."""
    found: list[Stretch] = []
    for one in sorted(spans):
        if found and one.start <= found[-1].end:
            found[-1] = Stretch(found[-1].start, max(found[-1].end, one.end))
        else:
            found.append(one)
    return found


def overlapping(spans: Iterable[Stretch]) -> tuple[Stretch, Stretch] | None:
    """Two that overlap; None where none do."""
    last: Stretch | None = None
    for one in sorted(spans):
        if last is not None and one.start < last.end:
            return last, one
        last = one
    return None


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)
