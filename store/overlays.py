"""Overlays: what supervisors have said on top of the file. Rows are added and withdrawn, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select, update

from routing.records import Overlay, as_row
from store.engine import Transaction
from store.schema import OverlayRow

OVERLAY = OverlayRow.__table__  # type: ignore[attr-defined]


def _overlay(row: Mapping[str, Any]) -> Overlay:
    return Overlay(**{**row, "value": orjson.loads(row["value"])})


async def current(tx: Transaction) -> list[Overlay]:
    """Those that count, in the order in which they were said: of two about one thing the later one counts."""
    statement = select(OVERLAY).where(OVERLAY.c.withdrawn_at.is_(None)).order_by(OVERLAY.c.id)
    return [_overlay(r) for r in await tx.rows(statement)]


async def add(tx: Transaction, overlays: Sequence[Overlay]) -> None:
    await tx.insert(OVERLAY, [{**as_row(o), "value": orjson.dumps(o.value).decode()} for o in overlays])


async def withdraw(tx: Transaction, number: int, now: datetime) -> bool:
    """Take one back; False if that was done before, or there is none."""
    done = await tx.execute(
        update(OVERLAY).where(OVERLAY.c.id == number, OVERLAY.c.withdrawn_at.is_(None)).values(withdrawn_at=now)
    )
    return done.rowcount == 1
