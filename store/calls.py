"""Telephone calls: the story so far, and when to look at it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from routing.records import StoredCall
from store.engine import Transaction
from store.schema import CallRow

CALL = CallRow.__table__  # type: ignore[attr-defined]


def _call(row: Mapping[str, Any]) -> StoredCall:
    return StoredCall(**row)


async def by_ids(tx: Transaction, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], StoredCall]:
    """Known calls: {(channel, call id): call}."""
    wanted = set(keys)
    if not wanted:
        return {}
    rows = await tx.rows(
        select(CALL).where(
            CALL.c.channel.in_({channel for channel, _ in wanted}),
            CALL.c.call_id.in_({call_id for _, call_id in wanted}),
        )
    )
    return {(r["channel"], r["call_id"]): _call(r) for r in rows if (r["channel"], r["call_id"]) in wanted}


async def write(tx: Transaction, calls: Sequence[StoredCall]) -> None:
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    statement = dialect.insert(CALL)
    statement = statement.on_conflict_do_update(
        index_elements=["channel", "call_id"],
        set_={n: statement.excluded[n] for n in ("ticket", "facts", "next_at")},
    )
    await tx.many(
        statement,
        [
            {
                "channel": c.channel,
                "call_id": c.call_id,
                "ticket": c.ticket,
                "facts": c.facts,
                "next_at": c.next_at,
            }
            for c in calls
        ],
    )


async def ripe(tx: Transaction, now: datetime, limit: int = 200) -> list[StoredCall]:
    rows = await tx.rows(select(CALL).where(CALL.c.next_at <= now).order_by(CALL.c.next_at).limit(limit))
    return [_call(r) for r in rows]


async def next_at(tx: Transaction) -> datetime | None:
    rows = await tx.rows(select(CALL.c.next_at).where(CALL.c.next_at.is_not(None)).order_by(CALL.c.next_at).limit(1))
    return rows[0]["next_at"] if rows else None


async def settle(tx: Transaction, call: StoredCall) -> None:
    """Nothing more to look at."""
    await tx.execute(
        update(CALL).where(CALL.c.channel == call.channel, CALL.c.call_id == call.call_id).values(next_at=None)
    )
