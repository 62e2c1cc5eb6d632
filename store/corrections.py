"""Corrections: what agents say messages really were about, after they were taken for something else.

Ids and labels, never words: those stay with the message, and go with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from routing.records import Correction, as_row
from store.engine import Transaction
from store.schema import CorrectionRow

CORRECTION = CorrectionRow.__table__  # type: ignore[attr-defined]


async def put(tx: Transaction, corrections: Sequence[Correction]) -> None:
    """Write them. Corrected again, the last word counts, against what it was taken for at first."""
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    statement = dialect.insert(CORRECTION)
    said = {name: statement.excluded[name] for name in ("ticket", "became", "agent", "at")}
    statement = statement.on_conflict_do_update(index_elements=["message", "field"], set_=said)
    for one in corrections:
        await tx.execute(statement, as_row(one))


async def latest(tx: Transaction, limit: int) -> list[Correction]:
    """The last ones, latest first."""
    statement = select(CORRECTION).order_by(CORRECTION.c.at.desc(), CORRECTION.c.message.desc()).limit(limit)
    return [Correction(**r) for r in await tx.rows(statement)]
