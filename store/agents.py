"""What the file cannot know of an agent: presence, and when he last got work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from store.engine import Transaction
from store.schema import AgentRow

AGENT = AgentRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentState:
    name: str
    presence: str  # on | off | break
    since: datetime
    last_assigned_at: datetime | None


async def states(tx: Transaction) -> dict[str, AgentState]:
    """Everybody of whom anything is known; who is not here is on duty by default."""
    return {r["name"]: AgentState(**r) for r in await tx.rows(select(AGENT))}


async def assigned(tx: Transaction, last: Mapping[str, datetime]) -> None:
    """Remember when agents last got work: {agent: moment}."""
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    statement = dialect.insert(AGENT)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={"last_assigned_at": statement.excluded.last_assigned_at}
    )
    await tx.many(
        statement,
        [{"name": n, "presence": "on", "since": at, "last_assigned_at": at} for n, at in last.items()],
    )
