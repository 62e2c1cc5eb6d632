"""Gathered notices: several for one person within ten minutes are one mail, not many.

Pure: from what was sent to him lately and what is to be told now to what leaves at once, and what waits a little. A
warning leaves at once in its ticket's conversation; one of another ticket within ten minutes waits for the others, and
what leaves then is a list of them all. It never waits for longer than half of the time that is left. A breach leaves at
once, to supervisors one mail a ticket; above five in ten minutes they are a table.

What waits is a row of the outbox with a moment before which it does not leave: nothing is lost with the program. It is
taken back and put there anew with each notice that joins it, and nothing joins a row that is being sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from routing.words import NoticeKind, OutboxState, Purpose
from store.outbox import OutboxItem

WINDOW = timedelta(minutes=10)
AT_ONCE = 5  # breaches in that time that are told one by one
UNTIL = "gathers_until"  # in a recipe: when it leaves at the latest

Notice = Mapping[str, Any]  # as a recipe holds it: ticket, notice, target, ordinal, due_at


class Sort(StrEnum):
    """What is gathered together."""

    WARNING = "warning"  # to the agent
    BREACH = "breach"  # to the agent
    SUPERVISOR = "supervisor"
    MANAGER = "manager"

    @property
    def purpose(self) -> Purpose:
        return Purpose.WARNING if self is Sort.WARNING else Purpose.BREACH


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    """One mail to one person: what it tells, and when it may leave (None: now)."""

    notices: tuple[Notice, ...]
    until: datetime | None = None  # it gathers until then
    not_before: datetime | None = None

    @property
    def ticket(self) -> int | None:
        """The ticket in whose conversation it stands; None for a list of several."""
        numbers = {n["ticket"] for n in self.notices}
        return numbers.pop() if len(numbers) == 1 else None


def sort_of(kind: NoticeKind) -> Sort:
    match kind:
        case NoticeKind.SUPERVISOR:
            return Sort.SUPERVISOR
        case NoticeKind.MANAGER:
            return Sort.MANAGER
        case NoticeKind.BREACH:
            return Sort.BREACH
    return Sort.WARNING


def lately(rows: Iterable[OutboxItem], sort: Sort, now: datetime) -> list[OutboxItem]:
    """Of the mails to somebody those of one sort that were written in the last ten minutes, or still gather."""
    return [
        row
        for row in rows
        if row.created_at > now - WINDOW
        and row.state is not OutboxState.CANCELLED
        and any(sort_of(NoticeKind(n["notice"])) is sort for n in row.recipe.get("notices", ()))
    ]


def gathering(rows: Iterable[OutboxItem], now: datetime) -> OutboxItem | None:
    """The row that others may still join."""
    for row in rows:
        until = row.recipe.get(UNTIL)
        if until and row.state is OutboxState.PENDING and not row.attempts and datetime.fromisoformat(until) > now:
            return row
    return None


def mails_for(
    sort: Sort, fresh: Sequence[Notice], recent: Sequence[OutboxItem], joined: OutboxItem | None, now: datetime
) -> list[Mail]:
    """What is written to somebody for these notices.

    `recent`: what `lately` found, without `joined`, which gathered and was taken back: its notices leave with these.
    """
    if sort is Sort.WARNING:
        return _warnings(fresh, recent, joined, now)
    return _breaches(sort, fresh, recent, joined, now)


def _warnings(
    fresh: Sequence[Notice], recent: Sequence[OutboxItem], joined: OutboxItem | None, now: datetime
) -> list[Mail]:
    if joined is not None:
        return [_gathers(_latest(_told([joined]), fresh), datetime.fromisoformat(joined.recipe[UNTIL]), fresh, now)]
    numbers = {n["ticket"] for n in (*_told(recent), *fresh)}
    if not recent or len(numbers) == 1:
        return [Mail(notices=tuple(fresh))]
    return [_gathers(_latest(_told(recent), fresh), _first(recent) + WINDOW, fresh, now)]


def _gathers(notices: Sequence[Notice], until: datetime, fresh: Sequence[Notice], now: datetime) -> Mail:
    """A list of warnings that waits, but leaves him at least half of the time that is left for what is new in it."""
    halves = [now + (datetime.fromisoformat(n["due_at"]) - now) / 2 for n in fresh]
    leaves = max(min([until, *halves]), now)
    return Mail(notices=tuple(notices), until=leaves, not_before=leaves)


def _breaches(
    sort: Sort, fresh: Sequence[Notice], recent: Sequence[OutboxItem], joined: OutboxItem | None, now: datetime
) -> list[Mail]:
    if joined is not None:
        until = datetime.fromisoformat(joined.recipe[UNTIL])
        return [Mail(notices=(*_told([joined]), *fresh), until=until, not_before=until)]
    told = {n["ticket"] for n in _told(recent)}
    new = {n["ticket"] for n in fresh}
    if len(told) + len(new) <= AT_ONCE:
        if sort is Sort.BREACH:
            return [Mail(notices=tuple(fresh))]
        return [Mail(notices=tuple(n for n in fresh if n["ticket"] == number)) for number in sorted(new)]
    if not recent:
        return [Mail(notices=tuple(fresh))]
    until = max(_first(recent) + WINDOW, now)
    return [Mail(notices=tuple(fresh), until=until, not_before=until)]


def _first(rows: Sequence[OutboxItem]) -> datetime:
    return min(row.created_at for row in rows)


def _told(rows: Iterable[OutboxItem]) -> list[Notice]:
    return [notice for row in rows for notice in row.recipe.get("notices", ())]


_ORDER = {kind.value: number for number, kind in enumerate(NoticeKind)}


def _latest(told: Iterable[Notice], fresh: Iterable[Notice]) -> list[Notice]:
    """Each promise once, with the latest word on it."""
    found: dict[tuple[Any, ...], Notice] = {}
    for notice in (*told, *fresh):
        key = (notice["ticket"], notice["target"], notice.get("ordinal"))
        if key not in found or _ORDER[notice["notice"]] >= _ORDER[found[key]["notice"]]:
            found[key] = notice
    return list(found.values())
