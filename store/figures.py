"""Figures of a span of time: how many first responses fell due by channel, and what became of them.

Everything follows from the targets: counts, from which whoever shows them makes rates.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, select

from routing.words import TargetKind
from store.deadlines import TARGET
from store.engine import Transaction
from store.tickets import TICKET


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Of one channel. due = on_time + late."""

    channel: str
    due: int
    on_time: int
    late: int
    is_open: int  # unanswered, with a deadline in the span that has not come


async def first_responses(
    tx: Transaction, since: datetime, until: datetime, now: datetime, teams: Collection[str] | None = None
) -> list[Figures]:
    """By channel, for since <= due_at < until. What was withdrawn is left out. `teams`: None for every team."""
    in_time = and_(TARGET.c.met_at.is_not(None), TARGET.c.met_at <= TARGET.c.due_at)
    waits = and_(TARGET.c.met_at.is_(None), TARGET.c.due_at > now)
    statement = (
        select(
            TICKET.c.channel,
            func.count().label("every"),
            _count(in_time).label("in_time"),
            _count(waits).label("waits"),
        )
        .join(TICKET, TICKET.c.id == TARGET.c.ticket)
        .where(TARGET.c.kind == TargetKind.FIRST_RESPONSE.value, TARGET.c.withdrawn_at.is_(None))
        .where(TARGET.c.due_at >= since, TARGET.c.due_at < until)
        .group_by(TICKET.c.channel)
        .order_by(TICKET.c.channel)
    )
    if teams is not None:
        statement = statement.where(TICKET.c.team.in_(sorted(teams)))
    found = []
    for row in await tx.rows(statement):
        every, on_time, is_open = int(row["every"]), int(row["in_time"]), int(row["waits"])
        found.append(
            Figures(
                channel=row["channel"],
                due=every - is_open,
                on_time=on_time,
                late=every - is_open - on_time,
                is_open=is_open,
            )
        )
    return found


def _count(of: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((of, 1), else_=0))


LATEST = 2_000  # tickets back: older answers tell little of today
MAX_TIMES = 50  # answers of each channel, the latest


async def answered_lately(tx: Transaction, media: Collection[str]) -> dict[str, list[tuple[datetime, datetime]]]:
    """The latest first answers by channel, of these media: when it came, when the answer was delivered."""
    newest = await tx.scalar(select(func.max(TICKET.c.id)))
    rows = await tx.rows(
        select(TICKET.c.channel, TARGET.c.started_at, TARGET.c.met_at)
        .join(TICKET, TICKET.c.id == TARGET.c.ticket)
        .where(TARGET.c.ticket > (newest or 0) - LATEST, TARGET.c.kind == TargetKind.FIRST_RESPONSE.value)
        .where(TARGET.c.met_at.is_not(None), TICKET.c.medium.in_(sorted(media)))
        .order_by(TARGET.c.ticket.desc())
    )
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for row in rows:
        times = found.setdefault(row["channel"], [])
        if len(times) < MAX_TIMES:
            times.append((row["started_at"], row["met_at"]))
    return found
