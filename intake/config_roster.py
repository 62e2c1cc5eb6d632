"""The roster file: who works when, is on call or on leave, and what he may do until when; CSV or iCalendar.

What is wrong is collected, never raised: with the file, the row and what to write instead. A roster of which anything
is wrong is refused whole: a shift that is silently left out is a promise that nobody keeps.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from intake import ical
from intake.config_words import Problem, closest
from routing.roster import DAY, Person, Roster, Stretch, Weekly, overlapping

MAX_FILE = 8 * 1024 * 1024  # octets
MAX_PROBLEMS = 20  # of one file: who reads on mends those first
COLUMNS = ("agent", "what", "from", "until", "name")
SORTS = ("shift", "on_call", "leave", "certificate", "language")
LANGUAGES = ("zh-Hant", "zh-Hans", "en")
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EXAMPLE = "write 2026-11-24 09:00, or mon-fri 09:00"


@dataclass
class _Entry:
    """What one agent's rows say, with the row of each shift."""

    shifts: dict[Stretch, int] = field(default_factory=dict)
    weekly: dict[Weekly, int] = field(default_factory=dict)
    on_call: list[Stretch] = field(default_factory=list)
    weekly_on_call: list[Weekly] = field(default_factory=list)
    leave: list[Stretch] = field(default_factory=list)
    certificates: dict[str, tuple[datetime | None, datetime | None]] = field(default_factory=dict)
    languages: set[str] = field(default_factory=set)


class _Bad(ValueError):
    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.mend = mend


@dataclass
class _Reading:
    """One file being read."""

    name: str  # as people write it
    row_word: str  # "row" or "line"
    zone: ZoneInfo
    agents: Collection[str]
    problems: list[Problem]
    found: dict[str, _Entry] = field(default_factory=dict)
    count: int = 0

    def wrong(self, row: int, message: str, mend: str = "") -> None:
        self.count += 1
        if self.count <= MAX_PROBLEMS:
            self.problems.append(Problem(f"roster.file: {self.name}, {self.row_word} {row}", message, mend))

    def entry(self, row: int, agent: str) -> _Entry | None:
        if agent not in self.agents:
            self.wrong(row, f'there is no agent "{agent}"', closest(agent, self.agents))
            return None
        return self.found.setdefault(agent, _Entry())


def roster(path: Path | None, zone: str, agents: Collection[str], problems: list[Problem]) -> Roster:
    """The roster of a file; an empty one where there is none, or anything is wrong."""
    if path is None:
        return Roster(timezone=zone)
    reading = _Reading(path.name, "row", ZoneInfo(zone), agents, problems)
    before = len(problems)
    text = _text(path, problems)
    if text is not None:
        if path.suffix.lower() == ".ics":
            reading.row_word = "line"
            _from_ical(text, reading)
        elif path.suffix.lower() == ".csv":
            _from_csv(text, reading)
        else:
            problems.append(Problem("roster.file", f"{path.name} is neither .csv nor .ics", "name one of these"))
    for agent, entry in reading.found.items():
        _overlaps(agent, entry, reading)
    if len(problems) > before:
        return Roster(timezone=zone)
    return Roster(timezone=zone, people={agent: _person(entry) for agent, entry in reading.found.items()})


def _text(path: Path, problems: list[Problem]) -> str | None:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE + 1)
        if len(octets) > MAX_FILE:
            problems.append(Problem("roster.file", f"{path.name} is larger than 8 MiB", "leave out what is past"))
            return None
        return octets.decode("utf-8-sig")
    except OSError as error:
        mend = "make it readable for the daemon's user, or take [roster] out"
        problems.append(Problem("roster.file", f"cannot read {path}: {error.strerror}", mend))
    except UnicodeDecodeError as error:
        row = octets[: error.start].count(b"\n") + 1
        problems.append(Problem(f"roster.file: {path.name}, row {row}", "this is no UTF-8", "save it as UTF-8"))
    return None


def _person(entry: _Entry) -> Person:
    return Person(
        shifts=tuple(sorted(entry.shifts)),
        weekly=tuple(entry.weekly),
        on_call=tuple(sorted(entry.on_call)),
        weekly_on_call=tuple(entry.weekly_on_call),
        leave=tuple(sorted(entry.leave)),
        certificates=dict(entry.certificates),
        languages=frozenset(entry.languages),
    )


# ---- CSV


def _from_csv(text: str, reading: _Reading) -> None:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for row in rows:
            number = rows.line_num
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if header is None:
                header = [cell.lower() for cell in cells]
                if header != list(COLUMNS):
                    reading.wrong(number, "this is not the header", f"the first row is {','.join(COLUMNS)}")
                    return
                continue
            if len(cells) > len(COLUMNS):
                reading.wrong(number, f"this row has {len(cells)} columns", f"there are {len(COLUMNS)}")
                continue
            _csv_row(number, [*cells, *([""] * (len(COLUMNS) - len(cells)))], reading)
    except csv.Error as error:
        reading.wrong(rows.line_num, f"this is no CSV: {error}", "put text that has a comma into double quotes")
        return
    if header is None:
        reading.wrong(1, "the file is empty", f"the first row is {','.join(COLUMNS)}")


def _csv_row(number: int, cells: list[str], reading: _Reading) -> None:
    agent, what, start, end, name = cells
    what = what.lower()
    if what not in SORTS:
        reading.wrong(number, f'"{what}" is nothing that a roster says', closest(what, SORTS))
        return
    entry = reading.entry(number, agent)
    if entry is None:
        return
    try:
        if what == "certificate":
            _certificate(entry, start, end, name, reading.zone)
        elif what == "language":
            _language(entry, name)
        elif what == "leave":
            entry.leave.append(_leave(start, end, reading.zone))
        else:
            _put(entry, what, _stretch(start, end, reading.zone), number)
    except _Bad as bad:
        reading.wrong(number, str(bad), bad.mend)


def _put(entry: _Entry, what: str, one: Stretch | Weekly, row: int) -> None:
    if isinstance(one, Weekly):
        if what == "on_call":
            entry.weekly_on_call.append(one)
        elif one in entry.weekly:
            raise _Bad(f"this shift stands in row {entry.weekly[one]} already", "take one out")
        else:
            entry.weekly[one] = row
    elif what == "on_call":
        entry.on_call.append(one)
    elif one in entry.shifts:
        raise _Bad(f"this shift stands in row {entry.shifts[one]} already", "take one out")
    else:
        entry.shifts[one] = row


def _stretch(start: str, end: str, zone: ZoneInfo) -> Stretch | Weekly:
    """ "2026-11-24 09:00" to "2026-11-24 18:00" or "18:00"; "mon-fri 09:00" to "18:00"."""
    if start[:1].isalpha():
        days, _, clock = start.partition(" ")
        weekly = Weekly(_days(days), _clock(clock), _clock(end))
        if weekly.start == weekly.end:
            raise _Bad("it ends when it begins", "write when it ends")
        return weekly
    begins = _moment(start)
    if re.fullmatch(r"\d{1,2}:\d{2}", end):
        ends = datetime.combine(begins.date(), _clock(end))
        ends += DAY if ends <= begins else timedelta()
    else:
        ends = _moment(end)
    found = Stretch(_utc(begins, zone), _utc(ends, zone))
    if found.end <= found.start:
        raise _Bad("it ends before it begins", "write an end that is later")
    if found.end - found.start > 2 * DAY:
        raise _Bad("it is longer than two days", "write one row for each shift")
    return found


def _leave(start: str, end: str, zone: ZoneInfo) -> Stretch:
    """Days, both of them away, or moments."""
    if not end:
        raise _Bad('"until" is missing', "write the last day of the leave")
    begins = _moment(start) if ":" in start else datetime.combine(_day(start), time())
    ends = _moment(end) if ":" in end else datetime.combine(_day(end) + DAY, time())
    if ends <= begins:
        raise _Bad("it ends before it begins", "write an end that is later")
    return Stretch(_utc(begins, zone), _utc(ends, zone))


def _certificate(entry: _Entry, start: str, end: str, name: str, zone: ZoneInfo) -> None:
    if not name:
        raise _Bad("the certificate has no name", "write it into the last column, for example complaints")
    first = _utc(datetime.combine(_day(start), time()), zone) if start else None
    last = _utc(datetime.combine(_day(end) + DAY, time()), zone) if end else None
    if first is not None and last is not None and last <= first:
        raise _Bad("it ends before it begins", "write an end that is later")
    entry.certificates[name] = (first, last)


def _language(entry: _Entry, name: str) -> None:
    if name not in LANGUAGES:
        raise _Bad(f'"{name}" is no language of the desk', f"one of {', '.join(LANGUAGES)}")
    entry.languages.add(name)


def _days(written: str) -> frozenset[int]:
    found: set[int] = set()
    for part in written.lower().split("+"):
        first, dash, last = part.partition("-")
        if first not in _WEEK or (dash and last not in _WEEK):
            raise _Bad(f'"{written}" are no weekdays', "write mon, mon-fri or mon+wed")
        start, end = _WEEK.index(first), _WEEK.index(last if dash else first)
        found.update(number % 7 for number in range(start, end + 1 if end >= start else end + 8))
    return frozenset(found)


def _clock(written: str) -> time:
    try:
        return time.fromisoformat(written.strip().zfill(5))
    except ValueError:
        raise _Bad(f'"{written}" is no time of day', "write 09:00") from None


def _moment(written: str) -> datetime:
    """Local, as it is written."""
    try:
        found = datetime.fromisoformat(written).replace(tzinfo=None) if ":" in written else None
    except ValueError:
        found = None
    if found is None:
        raise _Bad(f'"{written}" is no time', _EXAMPLE)
    return found


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise _Bad(f'"{written}" is no day', "write 2026-11-24") from None


def _utc(local: datetime, zone: ZoneInfo) -> datetime:
    return local.replace(tzinfo=zone).astimezone(UTC)


# ---- iCalendar


def _from_ical(text: str, reading: _Reading) -> None:
    """SUMMARY says who and what: "chen shift", "chen on_call", "chen leave"."""
    try:
        found = ical.events(text)
    except ical.BadEvent as bad:
        reading.wrong(1, str(bad), bad.mend)
        return
    for event in found:
        agent, _, what = event.text("SUMMARY").partition(" ")
        what = what.strip().lower() or "shift"
        if what not in ("shift", "on_call", "leave"):
            mend = "SUMMARY is an agent's name, then shift, on_call or leave"
            reading.wrong(event.line, f'"{what}" is nothing that a roster says', mend)
            continue
        entry = reading.entry(event.line, agent)
        if entry is None:
            continue
        try:
            _ical_event(event, entry, what, reading.zone)
        except (_Bad, ical.BadEvent) as bad:
            reading.wrong(event.line, str(bad), bad.mend)


def _ical_event(event: ical.Event, entry: _Entry, what: str, zone: ZoneInfo) -> None:
    begins, ends = event.moment("DTSTART", zone), event.moment("DTEND", zone)
    if begins is None:
        raise _Bad("DTSTART is missing", "write when it begins")
    if ends is None and not isinstance(begins, datetime):
        ends = begins + DAY
    if ends is None:
        raise _Bad("DTEND is missing", "write when it ends")
    rule = event.weekly(zone)
    if rule is not None and what != "leave":
        if not (isinstance(begins, datetime) and isinstance(ends, datetime)):
            raise _Bad("a shift has no times", "write DTSTART and DTEND with their times")
        days, last = rule
        local = begins.astimezone(zone)
        _put(
            entry,
            what,
            Weekly(
                days or frozenset({local.weekday()}),
                local.time(),
                ends.astimezone(zone).time(),
                first=local.date(),
                last=last,
            ),
            event.line,
        )
        return
    if rule is not None:
        raise _Bad("leave does not repeat", "write an event for each")
    stretch = Stretch(_at(begins, zone), _at(ends, zone))
    if stretch.end <= stretch.start:
        raise _Bad("it ends before it begins", "write an end that is later")
    if what == "leave":
        entry.leave.append(stretch)
    else:
        _put(entry, what, stretch, event.line)


def _at(moment: datetime | date, zone: ZoneInfo) -> datetime:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return _utc(datetime.combine(moment, time()), zone)


# ---- what does not go together


def _overlaps(agent: str, entry: _Entry, reading: _Reading) -> None:
    """Two shifts of one agent at one time: one of them is a mistake, and which one only a person knows."""
    everything = dict(entry.shifts)
    days = {one.start.astimezone(reading.zone).date() for one in entry.shifts} or {date(2026, 1, 5)}
    near = {day + number * DAY for day in days for number in range(-1, 8)}
    weekly = [(found, row) for rule, row in entry.weekly.items() for found in _on(rule, near, reading.zone)]
    both = overlapping([*everything, *(found for found, _ in weekly)])
    if both is None:
        return
    rows = {**dict(weekly), **everything}
    first, second = (rows[one] for one in both)
    local = both[1].start.astimezone(reading.zone)
    said = f"two shifts of {agent} overlap, the other is in {reading.row_word} {first}: {local:%a %Y-%m-%d %H:%M}"
    reading.wrong(second, said, "make one end before the other begins, or take one out")


def _on(rule: Weekly, days: Iterable[date], zone: ZoneInfo) -> list[Stretch]:
    return [found for day in sorted(days) if (found := rule.on(day, zone)) is not None]
