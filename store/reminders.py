"""Reminders: what is to be done at a moment that is no promise to a customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import bindparam, select, update

from routing.records import Reminder
from store.engine import Transaction
from store.schema import ReminderRow

REMINDER = ReminderRow.__table__  # type: ignore[attr-defined]


def _reminder(row: Mapping[str, Any]) -> Reminder:
    fields = {name: row[name] for name in ("id", "at", "kind", "ticket", "agent")}
    return Reminder(**fields, data=orjson.loads(row["data"]))


async def add(tx: Transaction, reminders: Sequence[Reminder]) -> None:
    rows = [
        {"at": r.at, "kind": r.kind, "ticket": r.ticket, "agent": r.agent, "data": orjson.dumps(r.data).decode()}
        for r in reminders
    ]
    await tx.insert(REMINDER, rows)


async def next_at(tx: Transaction) -> datetime | None:
    """When the watcher must look at them again."""
    statement = select(REMINDER.c.at).where(REMINDER.c.done_at.is_(None)).order_by(REMINDER.c.at).limit(1)
    rows = await tx.rows(statement)
    return rows[0]["at"] if rows else None


async def ripe(tx: Transaction, now: datetime, limit: int = 200) -> list[Reminder]:
    """Those whose moment has come, the oldest first."""
    statement = select(REMINDER).where(REMINDER.c.done_at.is_(None), REMINDER.c.at <= now)
    rows = await tx.rows(statement.order_by(REMINDER.c.at).limit(limit).with_for_update(skip_locked=True))
    return [_reminder(r) for r in rows]


async def done(tx: Transaction, reminders: Sequence[Reminder], now: datetime) -> None:
    """They are not looked at again."""
    await tx.many(
        update(REMINDER).where(REMINDER.c.id == bindparam("the_id")).values(done_at=bindparam("the_time")),
        [{"the_id": r.id, "the_time": now} for r in reminders],
    )
