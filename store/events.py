"""The event log: what happened, written with the change it reports; and the seal that makes it tamper-evident.

Events name people by id and never by value. They are appended in the transaction of the change. After the commit one
sealer chains them: `event_seal(seq, event, prev_hash, hash)`. Followers go by `seq`, because on PostgreSQL a row with a
lower id may be committed after one with a higher.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import func, select

from routing.records import Event
from store.engine import WANTED, Transaction
from store.schema import EventRow, EventSealRow

EVENT = EventRow.__table__  # type: ignore[attr-defined]
SEAL = EventSealRow.__table__  # type: ignore[attr-defined]

GENESIS = "0" * 64


def _dumps(value: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()


async def append(tx: Transaction, events: Sequence[Event]) -> None:
    """Write events, in order."""
    await tx.insert(
        EVENT,
        [
            {
                "at": e.at,
                "kind": e.kind,
                "ticket": e.ticket,
                "message": e.message,
                "customer": e.customer,
                "agent": e.agent,
                "outbox": e.outbox,
                "data": _dumps(e.data),
            }
            for e in events
        ],
    )


def _event(row: Mapping[str, Any]) -> Event:
    return Event(
        id=row["id"],
        at=row["at"],
        kind=row["kind"],
        ticket=row["ticket"],
        message=row["message"],
        customer=row["customer"],
        agent=row["agent"],
        outbox=row["outbox"],
        data=orjson.loads(row["data"]),
    )


async def of_ticket(tx: Transaction, ticket: int) -> list[Event]:
    """The story of a ticket, oldest first; unsealed events too."""
    rows = await tx.rows(select(EVENT).where(EVENT.c.ticket == ticket).order_by(EVENT.c.id))
    return [_event(r) for r in rows]


async def of_kind(tx: Transaction, tickets: Iterable[int], kind: str) -> list[Event]:
    """What of one kind was told of tickets, oldest first."""
    wanted = list(set(tickets))
    statement = select(EVENT).where(EVENT.c.ticket.in_(WANTED), EVENT.c.kind == kind).order_by(EVENT.c.id)
    return [_event(r) for r in await tx.rows(statement, {"wanted": wanted})] if wanted else []


async def of_message(tx: Transaction, message: int) -> list[Event]:
    """The story of a message, oldest first."""
    rows = await tx.rows(select(EVENT).where(EVENT.c.message == message).order_by(EVENT.c.id))
    return [_event(r) for r in rows]


async def after(tx: Transaction, event_id: int, limit: int = 500) -> list[Event]:
    """Events with a higher id, in order of id; for a live view that may miss a late commit on PostgreSQL."""
    rows = await tx.rows(select(EVENT).where(EVENT.c.id > event_id).order_by(EVENT.c.id).limit(limit))
    return [_event(r) for r in rows]


async def latest(tx: Transaction, limit: int) -> list[Event]:
    """The newest events, oldest first."""
    rows = await tx.rows(select(EVENT).order_by(EVENT.c.id.desc()).limit(limit))
    return [_event(r) for r in reversed(rows)]


async def unsealed(tx: Transaction) -> bool:
    """Whether there is something to seal."""
    last = int(await tx.scalar(select(func.max(SEAL.c.event))) or 0)
    is_behind = await latest_id(tx) > last
    if is_behind or tx.dialect == "sqlite":
        return is_behind
    late = select(EVENT.c.id).where(EVENT.c.id > last - IDLE_WINDOW, ~_IS_SEALED).limit(1)
    return await tx.scalar(late) is not None


async def latest_id(tx: Transaction) -> int:
    return int(await tx.scalar(select(func.coalesce(func.max(EVENT.c.id), 0))))


def digest(prev_hash: str, event_id: int, row: Mapping[str, Any]) -> str:
    """SHA-256 over the previous hash and every column of the event, hexadecimal."""
    fields = (
        event_id,
        row["at"].isoformat(),
        row["kind"],
        row["ticket"],
        row["message"],
        row["customer"],
        row["agent"],
        row["outbox"],
        row["data"],
    )
    return hashlib.sha256(prev_hash.encode() + b"\n" + _dumps(fields).encode()).hexdigest()


#: How far behind the last sealed id a late commit is still looked for (PostgreSQL), in ids.
LATE_WINDOW = 100_000
IDLE_WINDOW = 10_000  # the same while nothing happens and this is asked every second

_IS_SEALED = select(SEAL.c.event).where(SEAL.c.event == EVENT.c.id).exists()


async def seal(tx: Transaction, limit: int = 1_000) -> int:
    """Chain up to `limit` unsealed events; the number that was sealed."""
    last = await tx.rows(select(SEAL.c.seq, SEAL.c.hash, SEAL.c.event).order_by(SEAL.c.seq.desc()).limit(1))
    seq, prev, last_id = (last[0]["seq"], last[0]["hash"], last[0]["event"]) if last else (0, GENESIS, 0)
    unsealed = select(EVENT).order_by(EVENT.c.id).limit(limit)
    if tx.dialect == "sqlite":
        unsealed = unsealed.where(EVENT.c.id > last_id)  # one writer: ids are committed in order
    else:
        unsealed = unsealed.where(EVENT.c.id > last_id - LATE_WINDOW, ~_IS_SEALED)
    rows = await tx.rows(unsealed)
    chain = []
    for row in rows:
        seq += 1
        this = digest(prev, row["id"], row)
        chain.append({"seq": seq, "event": row["id"], "prev_hash": prev, "hash": this})
        prev = this
    await tx.insert(SEAL, chain)
    return len(chain)


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first place where the log does not agree with its seal."""

    seq: int
    event: int
    words: str


async def verify(
    tx: Transaction, batch: int = 5_000, progress: Callable[[int], None] | None = None
) -> tuple[int, ChainFault | None]:
    """Recompute the chain: (number of seals that hold, first fault or None). `progress` hears how many held so far."""
    prev, seq, held = GENESIS, 0, 0
    while True:
        rows = await tx.rows(
            select(EVENT, SEAL.c.seq, SEAL.c.prev_hash, SEAL.c.hash, SEAL.c.event)
            .select_from(SEAL.outerjoin(EVENT, EVENT.c.id == SEAL.c.event))
            .where(SEAL.c.seq > seq)
            .order_by(SEAL.c.seq)
            .limit(batch)
        )
        if not rows:
            return held, None
        for row in rows:
            fault = _fault(row, seq, prev)
            if fault:
                return held, ChainFault(row["seq"], row["event"], fault)
            seq, prev, held = row["seq"], row["hash"], held + 1
        if progress is not None:
            progress(held)


def _fault(row: Mapping[str, Any], seq: int, prev: str) -> str | None:
    if row["seq"] != seq + 1:
        return f"seal {seq + 1} is missing"
    if row["id"] is None:
        return "the event was deleted"
    if row["prev_hash"] != prev:
        return "the chain was cut"
    if row["hash"] != digest(prev, row["id"], row):
        return "the event was changed"
    return None


def kinds(events: Iterable[Event]) -> list[str]:
    """Only the kinds, in order."""
    return [e.kind for e in events]


async def of_messages(tx: Transaction, messages: Sequence[int]) -> list[Event]:
    """What is told of messages and of no ticket: their arrival, before anybody knew where they belong."""
    statement = select(EVENT).where(EVENT.c.message.in_(messages), EVENT.c.ticket.is_(None)).order_by(EVENT.c.id)
    return [_event(r) for r in await tx.rows(statement)]


async def counts(tx: Transaction) -> tuple[int, int]:
    """How many events there are, and how many of them are sealed."""
    written = await tx.scalar(select(func.count()).select_from(EVENT))
    sealed = await tx.scalar(select(func.count()).select_from(SEAL))
    return int(written), int(sealed)
