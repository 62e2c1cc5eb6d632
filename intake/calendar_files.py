"""Days of a calendar from a file of their own: an official notice typed off once, a list of closures, a feed.

TOML: a table `[days]` as `exceptions` is written, and `complete = [2027]` once a year's notice is all in it. CSV: a
first row `date,what,note`. iCalendar: whole days; one whose SUMMARY speaks of work (班, workday) is worked, every other
is closed. Nothing is guessed: what cannot be read is refused with its place, and the calendar is not used without it.
"""

from __future__ import annotations

import csv
import io
import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from intake import ical

MAX_FILE = 1024 * 1024  # octets
FIRST_YEAR, LAST_YEAR = 1970, 2100
MAX_LENGTH = 366  # days of one event
COLUMNS = ("date", "what", "note")
DAY = timedelta(days=1)
#: A SUMMARY with 班 means work, but for these: 停班停課 is a typhoon, (休) a day of rest.
_NO_WORK = ("停班", "不上班", "免上班", "休")


@dataclass(frozen=True, slots=True)
class Found:
    """What a file says of a day: "closed", "workday" or stretches of hours, and where it says so."""

    where: str  # "row 3"
    said: str | tuple[str, ...]


@dataclass
class Days:
    """What was read of one file, and what could not be: (where, message, mend)."""

    days: dict[date, Found] = field(default_factory=dict)
    complete: frozenset[int] = frozenset()  # years of which the file has every day
    problems: list[tuple[str, str, str]] = field(default_factory=list)

    def wrong(self, where: str, message: str, mend: str) -> None:
        self.problems.append((where, message, mend))

    def put(self, day: date, where: str, said: str | tuple[str, ...]) -> None:
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            self.wrong(where, f"{day} is out of range", f"write a year from {FIRST_YEAR} to {LAST_YEAR}")
            return
        before = self.days.get(day)
        if before is not None and before.said != said:
            self.wrong(where, f"{day} stands in {before.where} already, otherwise", "let each day stand once")
            return
        self.days.setdefault(day, Found(where, said))


def read(path: Path, timezone: str) -> Days:
    """Read one file. What is wrong stands in `problems`."""
    found = Days()
    text = _text(path, found)
    if text is None:
        return found
    match path.suffix.lower():
        case ".toml":
            _from_toml(text, found)
        case ".csv":
            _from_csv(text, found)
        case ".ics":
            _from_ical(text, found, ZoneInfo(timezone))
        case _:
            found.wrong("", "this is neither .toml, .csv nor .ics", "name it after what it is")
    if not found.problems and not found.days and not found.complete:
        found.wrong("", "there is no day in it", "take it out of files, or write days into it")
    return found


def _text(path: Path, found: Days) -> str | None:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE + 1)
        if len(octets) > MAX_FILE:
            found.wrong("", "this is larger than 1 MiB", "leave out what is past")
            return None
        return octets.decode("utf-8-sig")
    except OSError as error:
        found.wrong("", f"it cannot be read: {error.strerror}", "make it readable for the daemon's user")
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        found.wrong(f"line {line}", "this is no UTF-8", "save it as UTF-8")
    return None


# ---- TOML


def _from_toml(text: str, found: Days) -> None:
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found.wrong("", f"this is no TOML: {error}", 'write for example [days] and 2027-02-13 = "workday"')
        return
    for key in table.keys() - {"days", "complete"}:
        found.wrong(key, f'unknown key "{key}"', "there are days and complete")
    years = table.get("complete", [])
    if isinstance(years, list) and all(type(y) is int and FIRST_YEAR <= y <= LAST_YEAR for y in years):
        found.complete = frozenset(years)
    else:
        found.wrong("complete", "this must be a list of years", "write complete = [2027]")
    days = table.get("days", {})
    if not isinstance(days, dict):
        found.wrong("days", "this must be a table", 'write [days] and below it 2027-02-13 = "workday"')
        return
    for key, said in days.items():
        day = _day(key)
        if day is None:
            found.wrong(f"days.{key}", f'"{key}" is no date', "write for example 2027-02-13")
        elif isinstance(said, list) and all(isinstance(one, str) for one in said):
            found.put(day, f"days.{key}", tuple(said))
        elif isinstance(said, str):
            found.put(day, f"days.{key}", said)
        else:
            found.wrong(f"days.{key}", "this is no exception", 'write "closed", "workday" or ["09:00-12:00"]')


# ---- CSV


def _from_csv(text: str, found: Days) -> None:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    is_begun = False
    try:
        for row in rows:
            where, cells = f"row {rows.line_num}", [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if not is_begun:
                is_begun = True
                if tuple(cell.lower() for cell in cells) not in (COLUMNS, COLUMNS[:2]):
                    found.wrong(where, "this is not the header", f"the first row is {','.join(COLUMNS)}")
                    return
                continue
            day = _day(cells[0])
            if day is None:
                found.wrong(where, f'"{cells[0]}" is no date', "write for example 2027-02-13")
            elif len(cells) not in (2, 3) or not cells[1]:
                found.wrong(where, "it does not say what the day is", "write 2027-02-13,closed,a note")
            else:
                found.put(day, where, _said(cells[1]))
    except csv.Error as error:
        found.wrong(f"row {rows.line_num}", f"this is no CSV: {error}", "put text that has a comma into double quotes")


def _said(cell: str) -> str | tuple[str, ...]:
    """ "closed", "workday", or "09:00-12:00;13:30-15:00"."""
    if cell.lower() in ("closed", "workday"):
        return cell.lower()
    return tuple(part.strip() for part in cell.split(";") if part.strip())


# ---- iCalendar


def _from_ical(text: str, found: Days, zone: ZoneInfo) -> None:
    try:
        events = ical.events(text)
    except ical.BadEvent as bad:
        found.wrong("line 1", str(bad), bad.mend)
        return
    for event in events:
        where = f"line {event.line}"
        try:
            first, last = event.moment("DTSTART", zone), event.moment("DTEND", zone)
        except ical.BadEvent as bad:
            found.wrong(where, str(bad), bad.mend)
            continue
        if first is None:
            found.wrong(where, "DTSTART is missing", "write the day")
        elif isinstance(first, datetime) or isinstance(last, datetime):
            mend = "write whole days here, and the hours of a day into a .toml or .csv file"
            found.wrong(where, "this is a part of a day", mend)
        elif event.text("RRULE"):
            found.wrong(where, "a day off does not repeat by rule", "write an event for each")
        else:
            _event_days(event, first, last or first + DAY, where, found)


def _event_days(event: ical.Event, first: date, end: date, where: str, found: Days) -> None:
    if not first < end <= first + MAX_LENGTH * DAY:
        found.wrong(where, f"it runs from {first} to {end}", "let it end after it begins, within a year")
        return
    said = "workday" if _is_work(event.text("SUMMARY")) else "closed"
    for number in range((end - first).days):
        found.put(first + number * DAY, where, said)


def _is_work(summary: str) -> bool:
    return "workday" in summary.lower() or ("班" in summary and not any(word in summary for word in _NO_WORK))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
