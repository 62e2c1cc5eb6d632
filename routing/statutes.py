"""Statutory dates: until when a return must be filed, by rules written as data and a country's working days.

Pure: it is given the parsed table (`intake/texts/filings.toml`) and the built-in calendar that a rule names. A date
lasts until the local midnight that closes its day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby
from typing import Any

from routing.days import DAY, MIDNIGHT, Clockwork, Why, clockwork, is_provisional
from routing.policy import CalendarSpec, Filing, Policy
from routing.records import Ticket

MAX_MOVED = 60  # days a date may be moved by rest; no country rests for longer

#: Days on which nobody files. A firm's own exceptions are none of the law's: built-in calendars have none.
_REST = frozenset({Why.HOLIDAY, Why.REST_DAY})


class BadFiling(ValueError):  # reads as what it is: raise BadFiling
    """A rule that gives no date. `path` says where it stands, `mend` what to write instead."""

    def __init__(self, path: str, message: str, mend: str) -> None:
        super().__init__(message)
        self.path = path
        self.mend = mend


@dataclass(frozen=True, kw_only=True, slots=True)
class Statute:
    """One date of a filing."""

    key: str  # "CN/filing/2026-11"
    day: date  # the last on which it may be filed
    at: datetime  # UTC, the midnight that closes that day
    is_provisional: bool  # the year's make-up workdays are not published yet


def filings(table: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> tuple[Filing, ...]:
    """`[REGION.NAME]` tables in the order of the file. Raises BadFiling."""
    return tuple(_filing(region, name, entry) for region, of in table.items() for name, entry in of.items())


def _filing(region: str, name: str, entry: Mapping[str, Any]) -> Filing:
    path = f"{region}.{name}"
    found = {}
    for key, kind in (("calendar", str), ("topics", list), ("months", list), ("day", int), ("breaks", int)):
        if not isinstance(entry.get(key), kind):
            raise BadFiling(
                f"{path}.{key}", f'"{key}" is missing, or no {kind.__name__}', "write it as [CN.filing] does"
            )
        found[key] = entry[key]
    months = tuple(found["months"])
    if not months or not all(isinstance(month, int) and 1 <= month <= 12 for month in months):
        raise BadFiling(f"{path}.months", "these are no months", "give numbers from 1 to 12")
    if not 1 <= found["day"] <= 28:
        raise BadFiling(f"{path}.day", f"not every month has a day {found['day']}", "give 1 to 28")
    return Filing(
        key=f"{region}/{name}",
        region=region,
        calendar=found["calendar"],
        topics=tuple(found["topics"]),
        months=tuple(sorted(set(months))),
        day=found["day"],
        breaks=found["breaks"],
    )


def filing_of(known: tuple[Filing, ...], region: str, topic: str) -> Filing | None:
    """What a ticket of this topic is tied to in this region."""
    return next((one for one in known if one.region == region and topic in one.topics), None)


def tied(policy: Policy, ticket: Ticket, at: datetime) -> Ticket:
    """The ticket with the filing that its topic and its channel's region tie it to, next after a moment."""
    channel = policy.channels.get(ticket.channel)
    region = (channel.region if channel is not None else "") or policy.region
    filing = filing_of(policy.filings, region, ticket.topic)
    spec = policy.filing_calendars.get(filing.calendar) if filing is not None else None
    if filing is None or spec is None:
        return replace(ticket, statute=None, statutory_at=None)
    found = next_statute(filing, spec, at)
    return replace(ticket, statute=found.key, statutory_at=found.at)


def statute(filing: Filing, spec: CalendarSpec, year: int, month: int) -> Statute:
    """The date of one month, moved by rest as the rule says. `month` need not be one of the rule's."""
    clock = clockwork(spec)
    day = _moved(clock, date(year, month, filing.day), filing.breaks)
    return Statute(
        key=f"{filing.key}/{year}-{month:02}",
        day=day,
        at=clock.instant(day + DAY, MIDNIGHT),
        is_provisional=is_provisional(spec, year),
    )


def next_statute(filing: Filing, spec: CalendarSpec, at: datetime) -> Statute:
    """The first date that is not over at a moment."""
    today = clockwork(spec).local_day(at)
    months = ((year, month) for year in range(today.year - 1, today.year + 3) for month in filing.months)
    return next(one for one in (statute(filing, spec, *when) for when in months) if one.at > at)


def _moved(clock: Clockwork, last: date, breaks: int) -> date:
    """China counts on by the days of every long break within the period; else rest on the last day alone moves it."""
    left = _days_of_breaks(clock, last, breaks) if breaks else 0
    day = last
    for _ in range(MAX_MOVED):
        if clock.kind_of_day(day) not in _REST:
            left -= day > last
            if left <= 0:
                return day
        day += DAY
    raise AssertionError(f"calendar {clock.spec.name} rests for {MAX_MOVED} days")


def _days_of_breaks(clock: Clockwork, last: date, least: int) -> int:
    days = [last.replace(day=number) for number in range(1, last.day + 1)]
    runs = (list(run) for rests, run in groupby(days, lambda d: clock.kind_of_day(d) in _REST) if rests)
    return sum(len(run) for run in runs if len(run) >= least)
