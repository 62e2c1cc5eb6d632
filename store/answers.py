"""An agent's answers: what waits for his word, what nothing came of, and what has left. Every list is bounded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import case, func, or_, select

from routing.records import Target, Ticket
from routing.words import OutboxState, Outcome, Purpose, TicketState
from store import deadlines, tickets
from store.engine import Transaction
from store.events import EVENT
from store.outbox import CHANNEL_REMOVED, COLUMNS, OUTBOX, OutboxItem, item_of
from store.schema import MessageRow
from store.tickets import TICKET

MESSAGE = MessageRow.__table__  # type: ignore[attr-defined]

MAX_READ = 500  # events that are looked through
UNPROVEN = "no_evidence"  # why a mail was held that anybody may have written


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldMail:
    """A mail of an agent of which nothing left."""

    message: int
    ticket: int | None
    at: datetime
    why: str  # code of what he was told
    words: str = ""  # those that wait for his `!send`
    is_waiting: bool = False  # `!send` lets it go
    count: int = 1  # how many of one kind are told as one


async def waiting(tx: Transaction, agent: str, limit: int) -> list[HeldMail]:
    """His answers that leave at his `!send`, oldest first."""
    rows = await tx.rows(
        select(*COLUMNS)
        .join(TICKET, TICKET.c.id == OUTBOX.c.ticket)
        .where(
            TICKET.c.state != TicketState.CLOSED.value,
            OUTBOX.c.agent == agent,
            OUTBOX.c.purpose == Purpose.ANSWER.value,
            OUTBOX.c.state == OutboxState.HELD.value,
            OUTBOX.c.held_reason != CHANNEL_REMOVED,
        )
        .order_by(OUTBOX.c.id)
        .limit(limit)
    )
    return [
        HeldMail(
            message=item.source or 0,
            ticket=item.ticket,
            at=item.answered_at or item.created_at,
            why=item.held_reason or "",
            words=str(item.recipe.get("words", "")),
            is_waiting=True,
        )
        for item in map(item_of, rows)
        if not item.recipe.get("copy")
    ]


async def refused(tx: Transaction, agent: str, since: datetime, limit: int) -> list[HeldMail]:
    """His mails of which nothing left since a moment, and which he has not followed by an answer there; oldest first.

    Those that nothing proves to be his are told as one: whoever forges many must not hide the others.
    """
    rows = await tx.rows(
        select(EVENT.c.message, EVENT.c.ticket, EVENT.c.at, EVENT.c.data)
        .where(EVENT.c.at >= since, EVENT.c.kind == "reply_held", EVENT.c.agent == agent)
        .order_by(EVENT.c.id.desc())
        .limit(MAX_READ)
    )
    answered = await _answered_after(tx, agent, {r["ticket"] for r in rows if r["ticket"] is not None})
    mails = [
        HeldMail(message=r["message"], ticket=r["ticket"], at=r["at"], why=str(orjson.loads(r["data"]).get("why", "")))
        for r in rows
    ]
    real = [m for m in mails if m.why != UNPROVEN and answered.get(m.ticket or 0, 0) < m.message]
    forged = [m for m in mails if m.why == UNPROVEN]
    one = [HeldMail(message=m.message, ticket=None, at=m.at, why=UNPROVEN, count=len(forged)) for m in forged[:1]]
    return [*reversed(real[:limit]), *one]


async def _answered_after(tx: Transaction, agent: str, numbers: set[int]) -> dict[int, int]:
    """{ticket: the agent's latest mail on it that left}."""
    if not numbers:
        return {}
    rows = await tx.rows(
        select(MESSAGE.c.ticket, func.max(MESSAGE.c.id).label("latest"))
        .where(MESSAGE.c.ticket.in_(sorted(numbers)), MESSAGE.c.agent == agent)
        .where(MESSAGE.c.outcome == Outcome.ANSWERED.value)
        .group_by(MESSAGE.c.ticket)
    )
    return {r["ticket"]: r["latest"] for r in rows}


# ---- what has left


@dataclass(frozen=True, kw_only=True, slots=True)
class SentAnswer:
    """An answer, to one recipient, and what became of it."""

    item: OutboxItem
    ticket: Ticket | None
    is_late: bool | None  # None: no promise was waiting for it


async def sent(tx: Transaction, agent: str, since: datetime, limit: int) -> tuple[list[SentAnswer], bool]:
    """(his answers since a moment; whether there are more): what did not arrive first, then in order of time.

    A copy is named only where it did not arrive: the customer's own letter says the rest.
    """
    touched = select(EVENT.c.ticket).where(EVENT.c.at >= since, EVENT.c.agent == agent, EVENT.c.ticket.is_not(None))
    rows = await tx.rows(
        select(*COLUMNS)
        .where(OUTBOX.c.ticket.in_(touched), OUTBOX.c.agent == agent, OUTBOX.c.purpose == Purpose.ANSWER.value)
        .where(or_(OUTBOX.c.created_at >= since, OUTBOX.c.delivered_at >= since))
        .where(OUTBOX.c.state.not_in([OutboxState.CANCELLED.value, OutboxState.HELD.value]))
        .order_by(case((OUTBOX.c.state.in_(_ARRIVED), 1), else_=0), OUTBOX.c.id)
        .limit(limit + 1)
    )
    items = [i for i in map(item_of, rows[:limit]) if not i.recipe.get("copy") or i.state.value not in _ARRIVED]
    numbers = {i.ticket for i in items if i.ticket is not None}
    about = await tickets.by_ids(tx, numbers)
    promises = await deadlines.of_tickets(tx, numbers)
    answers = [
        SentAnswer(item=i, ticket=about.get(i.ticket or 0), is_late=_late(i, promises.get(i.ticket or 0, ())))
        for i in items
    ]
    return sorted(answers, key=_what_failed_first), len(rows) > limit


_ARRIVED = (OutboxState.DELIVERED.value, OutboxState.STORED.value)
_FIRST = {OutboxState.FAILED: 0, OutboxState.UNKNOWN: 1, OutboxState.PENDING: 2, OutboxState.ATTEMPTING: 2}


def _what_failed_first(one: SentAnswer) -> tuple[int, datetime, int]:
    return (_FIRST.get(one.item.state, 3), one.item.delivered_at or one.item.created_at, one.item.id)


def _late(item: OutboxItem, targets: Iterable[Target]) -> bool | None:
    """Whether the promise that this answer kept was kept too late."""
    met = [t for t in targets if t.met_at is not None and t.answered_at == item.answered_at]
    return any(t.met_at is not None and t.met_at > t.due_at for t in met) if met else None


async def wrote_since(tx: Transaction, agent: str, since: datetime) -> bool:
    """Whether an answer of his was put on its way since a moment."""
    kinds = ("answer_queued", "held_released")
    one = select(EVENT.c.id).where(EVENT.c.at >= since, EVENT.c.agent == agent, EVENT.c.kind.in_(kinds)).limit(1)
    return await tx.scalar(one) is not None
