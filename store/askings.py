"""Askings: when customers have written on their tickets lately."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select

from store.engine import Transaction
from store.schema import MessageRow

MESSAGE = MessageRow.__table__  # type: ignore[attr-defined]
MOST = 200  # messages that are looked at, the latest


async def lately(tx: Transaction, tickets: Iterable[int], since: datetime) -> dict[int, tuple[datetime, ...]]:
    """Ticket -> when its customer's messages came, latest first; those that were decided."""
    wanted = list(set(tickets))
    if not wanted:
        return {}
    statement = (
        select(MESSAGE.c.ticket, MESSAGE.c.received_at)
        .where(MESSAGE.c.ticket.in_(wanted), MESSAGE.c.speaker == "customer", MESSAGE.c.received_at > since)
        .order_by(MESSAGE.c.id.desc())
        .limit(MOST)
    )
    found: dict[int, list[datetime]] = defaultdict(list)
    for row in await tx.rows(statement):
        found[row["ticket"]].append(row["received_at"])
    return {ticket: tuple(times) for ticket, times in found.items()}
