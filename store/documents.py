"""Documents: which papers of a ticket have come, as agents say."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from routing.records import Document, as_row
from store.engine import Transaction
from store.schema import DocumentRow

DOCUMENT = DocumentRow.__table__  # type: ignore[attr-defined]


async def of_ticket(tx: Transaction, ticket: int) -> list[Document]:
    """Those that have come, in that order."""
    statement = select(DOCUMENT).where(DOCUMENT.c.ticket == ticket).order_by(DOCUMENT.c.at, DOCUMENT.c.item)
    return [Document(**r) for r in await tx.rows(statement)]


async def add(tx: Transaction, documents: Sequence[Document]) -> None:
    """Note that they came; said twice, the first time stays."""
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    statement = dialect.insert(DOCUMENT).on_conflict_do_nothing()
    for one in documents:
        await tx.execute(statement, as_row(one))
