"""iCalendar files as far as a roster or a calendar needs them: events, with their lines, times and weekly rules.

Pure. RFC 5545: lines are unfolded (§3.1), a value's time zone is its TZID (§3.2.19); of recurrences (§3.3.10) only
`FREQ=WEEKLY` with BYDAY and UNTIL is read, every other one is refused, for half a rule would be a wrong roster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}


class BadEvent(ValueError):  # reads as what it is: raise BadEvent
    """What cannot be read, and what to write instead."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Property:
    value: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One VEVENT: where it begins in the file, and its properties, the first of each name."""

    line: int
    properties: dict[str, Property]

    def text(self, name: str) -> str:
        found = self.properties.get(name)
        return _plain(found.value) if found is not None else ""

    def moment(self, name: str, zone: ZoneInfo) -> datetime | date | None:
        """DTSTART or DTEND: a day, or a moment in its own zone, else in `zone`. Raises `BadEvent`."""
        found = self.properties.get(name)
        if found is None:
            return None
        value = found.value.strip()
        try:
            if len(value) == 8:
                return datetime.strptime(value, "%Y%m%d").date()  # noqa: DTZ007  # a day has no zone
            if value.endswith("Z"):
                return datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            named = found.parameters.get("TZID", "").strip('"')
            local = ZoneInfo(named) if named else zone
            return datetime.strptime(value, "%Y%m%dT%H%M%S").replace(tzinfo=local)
        except (ValueError, ZoneInfoNotFoundError):
            raise BadEvent(f'{name} "{value}" is no time', "write 20261124T090000, or 20261124") from None

    def weekly(self, zone: ZoneInfo) -> tuple[frozenset[int], date | None] | None:
        """The weekdays of its RRULE, and its last day; None where it does not repeat. Raises `BadEvent`."""
        rule = self.text("RRULE")
        if not rule:
            return None
        parts = dict(part.partition("=")[::2] for part in rule.upper().split(";"))
        if parts.get("FREQ") != "WEEKLY" or parts.keys() - {"FREQ", "BYDAY", "UNTIL", "WKST"}:
            raise BadEvent(f'the rule "{rule}" is not read', "write FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR, or single events")
        days = parts.get("BYDAY", "").split(",") if parts.get("BYDAY") else []
        if unknown := [day for day in days if day not in DAYS]:
            raise BadEvent(f'"{unknown[0]}" is no weekday', "one of MO TU WE TH FR SA SU")
        until = (
            Event(self.line, {"UNTIL": Property(parts["UNTIL"])}).moment("UNTIL", zone) if "UNTIL" in parts else None
        )
        last = until.astimezone(zone).date() if isinstance(until, datetime) else until
        return frozenset(DAYS[day] for day in days), last


def events(text: str) -> list[Event]:
    """Every VEVENT. Raises `BadEvent` where the file is no calendar."""
    if not text.lstrip("\ufeff").lstrip().upper().startswith("BEGIN:VCALENDAR"):
        raise BadEvent("this is no iCalendar file", "its first line is BEGIN:VCALENDAR")
    found: list[Event] = []
    inside: Event | None = None
    for number, line in _unfolded(text):
        upper = line.upper()
        if upper == "BEGIN:VEVENT":
            inside = Event(number, {})
        elif upper == "END:VEVENT" and inside is not None:
            found.append(inside)
            inside = None
        elif inside is not None and (read := _property(line)) is not None:
            inside.properties.setdefault(read[0], read[1])
    return found


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Whole lines, each with its number in the file."""
    whole, begun = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line[:1] in (" ", "\t") and begun:
            whole += line[1:]
            continue
        if begun:
            yield begun, whole.strip()
        whole, begun = line, number
    if begun:
        yield begun, whole.strip()


def _property(line: str) -> tuple[str, Property] | None:
    head, colon, value = line.partition(":")
    if not colon:
        return None
    name, *parameters = head.split(";")
    return name.upper(), Property(value, {p.partition("=")[0].upper(): p.partition("=")[2] for p in parameters})


def _plain(value: str) -> str:
    return value.replace("\\n", " ").replace("\\,", ",").replace("\\;", ";").replace("\\\\", "\\").strip()
