"""Overlaying: what supervisors have said on top of the file, put into the policy of the desk.

A calendar that is touched gets a version of its own, so that every promise can tell by which one it was counted. Of two
words about one day the later one counts. Pure: rows in, a policy out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time

from routing.days import hours
from routing.policy import CalendarSpec, Policy, Window
from routing.records import Overlay

HOLIDAY = "holiday"
TEXT = "text"


@dataclass(frozen=True, slots=True)
class DayOff:
    """A day on which the desk is closed, or closes early."""

    day: date
    place: str  # country of calendars ("TW"), or the name of one
    closes: time | None = None  # None: closed all day

    def key(self) -> str:
        return f"{self.place}/{self.day.isoformat()}"

    def value(self) -> Mapping[str, str]:
        return {"closes": self.closes.isoformat("minutes")} if self.closes else {}


def day_off(overlay: Overlay) -> DayOff:
    """Read back what `DayOff.key` and `.value` wrote."""
    place, _, day = overlay.key.rpartition("/")
    closes = overlay.value.get("closes")
    return DayOff(date.fromisoformat(day), place, time.fromisoformat(closes) if closes else None)


def calendars_at(policy: Policy, place: str) -> list[str]:
    """The calendars that a place means: those of a country, or the one of that name."""
    return [name for name, spec in policy.calendars.items() if place in (spec.country, name)]


def days_off(overlays: Sequence[Overlay]) -> list[DayOff]:
    """Those that count, of rows in the order in which they were said."""
    said: dict[str, DayOff] = {}
    for overlay in overlays:
        if overlay.kind == HOLIDAY:
            said.pop(overlay.key, None)
            if not overlay.value.get("is_off"):  # called off: the file alone counts for that day
                said[overlay.key] = day_off(overlay)
    return list(said.values())


def with_days_off(policy: Policy, overlays: Sequence[Overlay]) -> Policy:
    """The policy with these days off; the same one where none of them concerns it."""
    said = {off.key(): off for off in days_off(overlays)}
    changed: dict[str, CalendarSpec] = {}
    for off in said.values():
        for name in calendars_at(policy, off.place):
            spec = changed.get(name, policy.calendars[name])
            changed[name] = replace(spec, exceptions={**spec.exceptions, off.day: _open_still(spec, off)})
    if not changed:
        return policy
    versioned = {name: replace(spec, version=_version(policy.calendars[name], spec)) for name, spec in changed.items()}
    version = hashlib.sha256(repr((policy.version, sorted(said))).encode() + _values(said)).hexdigest()[:16]
    return replace(policy, calendars={**policy.calendars, **versioned}, version=version)


def _values(said: Mapping[str, DayOff]) -> bytes:
    return repr([said[key].value() for key in sorted(said)]).encode()


def _version(before: CalendarSpec, spec: CalendarSpec) -> str:
    return hashlib.sha256(repr((before.version, sorted(spec.exceptions.items()))).encode()).hexdigest()[:12]


def _open_still(spec: CalendarSpec, off: DayOff) -> tuple[Window, ...]:
    """What is left of the day's hours."""
    if off.closes is None:
        return ()
    # A window that ends at midnight has `end` 00:00, which is before every start.
    ends = [(w, w.end if w.end > w.start else time.max) for w in hours(spec, off.day)]
    return tuple(Window(w.start, w.end if end <= off.closes else off.closes) for w, end in ends if w.start < off.closes)
