"""Targets and notices: what was promised until when, what was told about it, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, literal, not_, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from routing.records import Target, as_row
from routing.words import NoticeKind, TargetKind, TicketState
from store.engine import WANTED, Transaction
from store.schema import NoticeRow, TargetRow, TicketRow

TARGET = TargetRow.__table__  # type: ignore[attr-defined]
TICKET = TicketRow.__table__  # type: ignore[attr-defined]
NOTICE = NoticeRow.__table__  # type: ignore[attr-defined]


def _target(row: Mapping[str, Any]) -> Target:
    return Target(**{**row, "kind": TargetKind(row["kind"])})


_AND_OPEN = (TARGET.c.met_at.is_(None), TARGET.c.withdrawn_at.is_(None))


async def add(tx: Transaction, targets: Sequence[Target]) -> None:
    await tx.insert(TARGET, [{**as_row(t), "kind": t.kind.value} for t in targets])


_OF_TICKETS = select(TARGET).where(TARGET.c.ticket.in_(WANTED)).order_by(TARGET.c.due_at)
_OPEN_OF_TICKETS = _OF_TICKETS.where(*_AND_OPEN)
_NEXT_AT = select(TARGET.c.next_at).where(TARGET.c.next_at.is_not(None)).order_by(TARGET.c.next_at).limit(1)


async def of_tickets(tx: Transaction, tickets: Iterable[int], *, only_open: bool = False) -> dict[int, list[Target]]:
    """Targets by ticket, by due time."""

    async def read(wanted: list[int]) -> dict[int, list[Target]]:
        found: dict[int, list[Target]] = {}
        for row in await tx.rows(_OPEN_OF_TICKETS if only_open else _OF_TICKETS, {"wanted": wanted}):
            found.setdefault(row["ticket"], []).append(_target(row))
        return found

    what = "open targets" if only_open else "targets"
    return {number: list(theirs) for number, theirs in (await tx.once(what, tickets, read)).items()}


async def upcoming(tx: Transaction, limit: int) -> list[Target]:
    """Open targets, the next due first."""
    rows = await tx.rows(
        select(TARGET)
        .where(TARGET.c.next_at.is_not(None), TARGET.c.met_at.is_(None), TARGET.c.withdrawn_at.is_(None))
        .order_by(TARGET.c.due_at)
        .limit(limit)
    )
    return [_target(r) for r in rows]


async def next_at(tx: Transaction) -> datetime | None:
    """When the watcher must look again."""
    rows = await tx.rows(_NEXT_AT)
    return rows[0]["next_at"] if rows else None


async def ripe(tx: Transaction, now: datetime, limit: int = 500) -> list[Target]:
    """Targets about which something is to be told by now, the longest overdue first."""
    rows = await tx.rows(
        select(TARGET)
        .where(TARGET.c.next_at <= now, *_AND_OPEN)
        .order_by(TARGET.c.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_target(r) for r in rows]


_ARMED = (TARGET.c.rescue_at.is_not(None), *_AND_OPEN, TARGET.c.breached_at.is_(None))


async def to_relieve(tx: Transaction, now: datetime, limit: int = 200) -> list[Target]:
    """Open promises at which somebody must look by now, whether another agent should keep them."""
    statement = select(TARGET).where(*_ARMED, TARGET.c.rescue_at <= now).order_by(TARGET.c.rescue_at).limit(limit)
    return [_target(r) for r in await tx.rows(statement)]


async def relieve_at(tx: Transaction) -> datetime | None:
    """When the next of those is to be looked at."""
    rows = await tx.rows(select(TARGET.c.rescue_at).where(*_ARMED).order_by(TARGET.c.rescue_at).limit(1))
    return rows[0]["rescue_at"] if rows else None


async def told(tx: Transaction, tickets: Iterable[int], kind: NoticeKind) -> set[int]:
    """Of these tickets those about a promise of which this was told."""
    wanted = list(set(tickets))
    statement = select(NOTICE.c.ticket).where(NOTICE.c.ticket.in_(WANTED), NOTICE.c.kind == kind.value)
    return {r["ticket"] for r in await tx.rows(statement, {"wanted": wanted})} if wanted else set()


_THIS = (
    TARGET.c.ticket == bindparam("the_ticket"),
    TARGET.c.kind == bindparam("the_kind"),
    TARGET.c.ordinal == bindparam("the_ordinal"),
)


def _key(target: Target) -> dict[str, Any]:
    return {"the_ticket": target.ticket, "the_kind": target.kind.value, "the_ordinal": target.ordinal}


async def record_told(
    tx: Transaction, told: Sequence[tuple[Target, NoticeKind]], now: datetime
) -> list[tuple[Target, NoticeKind]]:
    """Write notices that were not told before; only those come back."""
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    fresh = []
    for target, kind in told:
        row = {
            "ticket": target.ticket,
            "target": target.kind.value,
            "ordinal": target.ordinal,
            "kind": kind.value,
            "at": now,
        }
        done = await tx.execute(dialect.insert(NOTICE).on_conflict_do_nothing(), row)
        if done.rowcount == 1:
            fresh.append((target, kind))
    return fresh


async def look_again(tx: Transaction, targets: Sequence[tuple[Target, datetime | None]]) -> None:
    """Set when the watcher next looks at each target."""
    await tx.many(
        update(TARGET).where(*_THIS, *_AND_OPEN).values(next_at=bindparam("the_next")),
        [{**_key(t), "the_next": at} for t, at in targets],
    )


async def record_breach(tx: Transaction, targets: Sequence[Target]) -> None:
    """A breach happens at due_at, however late it was noticed."""
    await tx.many(
        update(TARGET)
        .where(*_THIS, *_AND_OPEN, TARGET.c.breached_at.is_(None))
        .values(breached_at=bindparam("the_breach")),
        [{**_key(t), "the_breach": t.due_at} for t in targets],
    )


async def record_met(tx: Transaction, target: Target, answered_at: datetime, met_at: datetime) -> bool:
    """Stamp a target as met, once. Delivered after due_at it is a breach as well. False if it was met or withdrawn."""
    values: dict[str, Any] = {"answered_at": answered_at, "met_at": met_at, "next_at": None}
    # An act that is told late (a call's answer) may have been in time after all: then there was no breach.
    # While its clock stood, nothing could be late.
    values["breached_at"] = target.due_at if met_at > target.due_at and target.paused_at is None else None
    done = await tx.execute(update(TARGET).where(*_THIS, *_AND_OPEN).values(**values), _key(target))
    return done.rowcount == 1


async def reopen(tx: Transaction, target: Target, next_at: datetime | None) -> None:
    """Undo `met` after a bounce, or a withdrawal that turned out to be wrong; the old due_at stands."""
    values = {"answered_at": None, "met_at": None, "withdrawn_at": None, "next_at": next_at}
    await tx.execute(update(TARGET).where(*_THIS).values(**values), _key(target))


async def withdraw(tx: Transaction, target: Target, at: datetime) -> None:
    """End an open target without meeting it. What was overdue by then stays a breach."""
    values: dict[str, Any] = {"withdrawn_at": at, "next_at": None}
    if target.due_at < at and target.paused_at is None:
        values["breached_at"] = target.due_at
    await tx.execute(update(TARGET).where(*_THIS, *_AND_OPEN).values(**values), _key(target))


async def move(tx: Transaction, moved: Sequence[tuple[Target, Target]]) -> None:
    """Give open targets other times: (as it was, as it is). What was met, withdrawn or breached before stays."""
    await tx.many(
        update(TARGET)
        .where(*_THIS, *_AND_OPEN, TARGET.c.breached_at.is_(None))
        .values({name: bindparam(f"the_{name}") for name in _MOVABLE}),
        [{**_key(new), **{f"the_{name}": getattr(new, name) for name in _MOVABLE}} for _, new in moved],
    )


async def counted_otherwise(
    tx: Transaction, versions: Mapping[str, str], after: tuple[int, str, int], limit: int
) -> list[Target]:
    """Open promises, not yet broken, that another version of their calendar has counted, in order of ticket.

    `versions`: calendar -> its version now. `after`: (ticket, kind, ordinal) of the last one that was looked at.
    """
    same = or_(*(and_(TARGET.c.calendar == n, TARGET.c.calendar_version == v) for n, v in versions.items()))
    key = tuple_(TARGET.c.ticket, TARGET.c.kind, TARGET.c.ordinal)
    rows = await tx.rows(
        select(TARGET)
        .where(*_AND_OPEN, TARGET.c.breached_at.is_(None), TARGET.c.calendar.in_(list(versions)))
        .where(TARGET.c.paused_at.is_(None))  # counted again when its clock runs on
        .where(not_(same), key > tuple_(*(literal(part) for part in after)))
        .order_by(TARGET.c.ticket, TARGET.c.kind, TARGET.c.ordinal)
        .limit(limit)
    )
    return [_target(r) for r in rows]


async def running(tx: Transaction, after: tuple[int, str, int], limit: int) -> list[Target]:
    """Open promises, not yet broken, whose clock runs, in order of ticket. `after`: the last one that was looked at."""
    key = tuple_(TARGET.c.ticket, TARGET.c.kind, TARGET.c.ordinal)
    rows = await tx.rows(
        select(TARGET)
        .where(*_AND_OPEN, TARGET.c.breached_at.is_(None), TARGET.c.paused_at.is_(None))
        .where(key > tuple_(*(literal(part) for part in after)))
        .order_by(TARGET.c.ticket, TARGET.c.kind, TARGET.c.ordinal)
        .limit(limit)
    )
    return [_target(r) for r in rows]


#: What another calendar, policy or urgency changes of a promise that is open.
_MOVABLE = (
    *("started_at", "due_at", "warn_50_at", "warn_80_at", "supervisor_at", "rescue_at", "manager_at", "paused_at"),
    *("next_at", "policy_key", "budget", "calendar", "calendar_version", "policy_version"),
)


async def open_count(tx: Transaction) -> int:
    return int(await tx.scalar(select(func.count()).select_from(TARGET).where(TARGET.c.next_at.is_not(None))))


async def open_by_due(tx: Transaction, limit: int) -> list[Target]:
    """Open targets that run, the longest overdue first, whether or not there is anything left to tell about them."""
    rows = await tx.rows(
        select(TARGET)
        .where(*_AND_OPEN, TARGET.c.paused_at.is_(None))
        .order_by(TARGET.c.due_at, TARGET.c.ticket)
        .limit(limit)
    )
    return [_target(r) for r in rows]


async def answered_elsewhere(tx: Transaction, limit: int = 200) -> list[tuple[Target, Target]]:
    """Promises of words that wait, each with the one of its matter that a person has kept since: (waits, kept)."""
    owed, kept = TARGET.alias("owed"), TARGET.alias("kept")
    here, there = TICKET.alias("here"), TICKET.alias("there")
    words = [TargetKind.FIRST_RESPONSE.value, TargetKind.NEXT_RESPONSE.value]
    rows = await tx.rows(
        select(
            *(owed.c[c.name].label(f"owed_{c.name}") for c in TARGET.c),
            *(kept.c[c.name].label(f"kept_{c.name}") for c in TARGET.c),
        )
        .join_from(here, there, and_(there.c.matter == here.c.matter, there.c.id != here.c.id))
        .join(owed, owed.c.ticket == here.c.id)
        .join(kept, kept.c.ticket == there.c.id)
        .where(here.c.matter.is_not(None), here.c.state != TicketState.CLOSED.value)
        .where(owed.c.met_at.is_(None), owed.c.withdrawn_at.is_(None), owed.c.kind.in_(words))
        .where(kept.c.met_at.is_not(None), kept.c.kind.in_(words), kept.c.answered_at >= owed.c.started_at)
        .order_by(owed.c.ticket, owed.c.ordinal, kept.c.answered_at)
        .limit(limit)
    )
    found: dict[tuple[int, str, int], tuple[Target, Target]] = {}
    for row in rows:
        waits, met = (_target({c.name: row[f"{side}_{c.name}"] for c in TARGET.c}) for side in ("owed", "kept"))
        found.setdefault((waits.ticket, waits.kind.value, waits.ordinal), (waits, met))
    return list(found.values())
