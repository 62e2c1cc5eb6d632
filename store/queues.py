"""Queues: what waits to leave and for how long, what left of late, and what waits behind what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import func, or_, select, update

from routing.words import OutboxState, Purpose
from store.engine import Transaction
from store.outbox import CHANNEL_REMOVED, COLUMNS, OUTBOX, OutboxItem, item_of, lane_of
from store.schema import EventRow

EVENT = EventRow.__table__  # type: ignore[attr-defined]

MAX_BEHIND = 50  # rows of one lane that are looked at together
_LEFT = ("delivered", "delivery_unknown")  # events of what the other side may have taken
_STUCK = (OutboxState.FAILED, OutboxState.UNKNOWN)  # no further try is made


async def waiting(tx: Transaction) -> list[dict[str, Any]]:
    """What is still to leave: [{channel, purpose, count, oldest, next_at}], in the order in which it leaves."""
    return await tx.rows(
        select(
            OUTBOX.c.channel,
            OUTBOX.c.purpose,
            func.count().label("count"),
            func.min(OUTBOX.c.created_at).label("oldest"),
            func.min(OUTBOX.c.next_attempt_at).label("next_at"),
        )
        .where(OUTBOX.c.next_attempt_at.is_not(None))
        .group_by(OUTBOX.c.channel, OUTBOX.c.purpose, OUTBOX.c.priority)
        .order_by(OUTBOX.c.channel, OUTBOX.c.priority)
    )


async def refused(tx: Transaction, limit: int) -> list[dict[str, Any]]:
    """What did not leave, with the server's words: [{ticket, channel, purpose, state, error}], the latest first."""
    return await tx.rows(
        select(OUTBOX.c.ticket, OUTBOX.c.channel, OUTBOX.c.purpose, OUTBOX.c.state, OUTBOX.c.error)
        .where(OUTBOX.c.error.is_not(None), or_(OUTBOX.c.next_attempt_at.is_not(None), OUTBOX.c.state.in_(_STUCK)))
        .order_by(OUTBOX.c.id.desc())
        .limit(limit)
    )


async def left_since(tx: Transaction, channels: Sequence[str], since: datetime, limit: int) -> list[datetime]:
    """When each recipient of these channels was sent to since a moment, the latest first, at most so many.

    Read from the events, which are in order of time: the outbox has no index that would help.
    """
    rows = await tx.rows(
        select(EVENT.c.at)
        .join(OUTBOX, OUTBOX.c.id == EVENT.c.outbox)
        .where(EVENT.c.at >= since, EVENT.c.kind.in_(_LEFT), OUTBOX.c.channel.in_(channels))
        .order_by(EVENT.c.at.desc())
        .limit(limit)
    )
    return [row["at"] for row in rows]


async def behind(tx: Transaction, item: OutboxItem, now: datetime) -> list[OutboxItem]:
    """What may leave by now in the lane of a row, for the same purpose and never tried: the row itself first."""
    rows = await tx.rows(
        select(*COLUMNS)
        .where(
            OUTBOX.c.lane == lane_of(item),
            OUTBOX.c.id >= item.id,
            OUTBOX.c.purpose == item.purpose.value,
            OUTBOX.c.state == OutboxState.PENDING.value,
            OUTBOX.c.attempts == 0,
            OUTBOX.c.next_attempt_at <= now,
        )
        .order_by(OUTBOX.c.id)
        .limit(MAX_BEHIND)
    )
    return [item_of(row) for row in rows]


async def merge(tx: Transaction, into: OutboxItem, merged: Sequence[OutboxItem]) -> bool:
    """Let one row stand for others, with its recipe as it is given here. False if one of them has moved meanwhile."""
    done = await tx.execute(
        update(OUTBOX)
        .where(
            OUTBOX.c.id.in_([item.id for item in merged]),
            OUTBOX.c.state == OutboxState.PENDING.value,
            OUTBOX.c.attempts == 0,
        )
        .values(state=OutboxState.CANCELLED.value, next_attempt_at=None, error=f"bundled into {into.id}")
    )
    if done.rowcount != len(merged):
        return False
    await tx.execute(
        update(OUTBOX).where(OUTBOX.c.id == into.id).values(recipe=orjson.dumps(into.recipe, default=str).decode())
    )
    return True


async def lately(tx: Transaction, address: str, purposes: Sequence[Purpose], since: datetime) -> list[OutboxItem]:
    """What was written to somebody since a moment, oldest first."""
    rows = await tx.rows(
        select(*COLUMNS)
        .where(OUTBOX.c.address == address, OUTBOX.c.created_at >= since)
        .where(OUTBOX.c.purpose.in_([purpose.value for purpose in purposes]))
        .order_by(OUTBOX.c.id)
    )
    return [item_of(row) for row in rows]


async def take_back(tx: Transaction, item: OutboxItem) -> bool:
    """Let a row that waits and was never tried not leave, because another takes its place. False: it is being sent.

    It is not deleted: what was composed from it a moment ago must not find another row under its number.
    """
    gone = await tx.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id == item.id, OUTBOX.c.state == OutboxState.PENDING.value, OUTBOX.c.attempts == 0)
        .values(state=OutboxState.CANCELLED.value, next_attempt_at=None, error="another row says it")
    )
    return gone.rowcount == 1


async def drop(tx: Transaction, items: Sequence[OutboxItem]) -> list[OutboxItem]:
    """Rows that there is nothing left to say with: they do not leave. Those that nobody has begun meanwhile."""
    dropped = []
    for item in items:
        done = await tx.execute(
            update(OUTBOX)
            .where(OUTBOX.c.id == item.id, OUTBOX.c.state == item.state.value, OUTBOX.c.attempts == item.attempts)
            .values(state=OutboxState.CANCELLED.value, next_attempt_at=None)
        )
        if done.rowcount == 1:
            dropped.append(item)
    return dropped


async def defer(tx: Transaction, items: Sequence[OutboxItem], until: datetime) -> None:
    """Let rows that were never tried wait a little."""
    await tx.execute(
        update(OUTBOX)
        .where(
            OUTBOX.c.id.in_([item.id for item in items]),
            OUTBOX.c.state == OutboxState.PENDING.value,
            OUTBOX.c.attempts == 0,
        )
        .values(next_attempt_at=until)
    )


async def hold_for_channel(tx: Transaction, items: Sequence[OutboxItem], reason: str) -> None:
    """Rows whose channel is gone wait until it is back."""
    await tx.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id.in_([item.id for item in items]))
        .values(state=OutboxState.HELD.value, held_reason=CHANNEL_REMOVED, error=reason, next_attempt_at=None)
    )


async def channel_is_back(tx: Transaction, channels: Sequence[str], now: datetime) -> list[OutboxItem]:
    """Let go what waited for these channels: the rows."""
    where = (
        OUTBOX.c.state == OutboxState.HELD.value,
        OUTBOX.c.held_reason == CHANNEL_REMOVED,
        OUTBOX.c.channel.in_(channels),
    )
    rows = [item_of(row) for row in await tx.rows(select(*COLUMNS).where(*where).order_by(OUTBOX.c.id))]
    if rows:
        await tx.execute(
            update(OUTBOX)
            .where(*where)
            .values(state=OutboxState.PENDING.value, held_reason=None, error=None, next_attempt_at=now)
        )
    return rows
