"""How far each source has been read."""

from __future__ import annotations

from sqlalchemy import select

from store.engine import Transaction
from store.schema import CursorRow

CURSOR = CursorRow.__table__  # type: ignore[attr-defined]


async def read(tx: Transaction, channel: str, name: str) -> str | None:
    """The stored position, or None before the first."""
    value = await tx.scalar(select(CURSOR.c.value).where(CURSOR.c.channel == channel, CURSOR.c.name == name))
    return None if value is None else str(value)


async def write(tx: Transaction, positions: dict[tuple[str, str], str]) -> None:
    """Advance cursors: {(channel, name): value}."""
    rows = [{"channel": c, "name": n, "value": v} for (c, n), v in positions.items()]
    await tx.insert(CURSOR, rows, replace_at=("channel", "name"))
