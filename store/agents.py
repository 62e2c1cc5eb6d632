"""What the file cannot know of an agent: presence, and when he last got work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from routing.records import Presence
from store.engine import WANTED, Transaction
from store.schema import AgentRow

AGENT = AgentRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentState:
    name: str
    presence: str  # on | off | break
    since: datetime
    last_assigned_at: datetime | None
    until: datetime | None = None  # when he counts as present again; None: when he says so
    absence_hinted_at: datetime | None = None  # a machine last answered for him
    tails: str | None = None  # JSON: how his last replies ended, as hashes
    last_act_at: datetime | None = None  # when he last did anything


async def states(tx: Transaction) -> dict[str, AgentState]:
    """Everybody of whom anything is known; who is not here is on duty by default."""
    return {r["name"]: AgentState(**r) for r in await tx.rows(select(AGENT))}


async def tails(tx: Transaction, names: Iterable[str]) -> dict[str, str]:
    """How the last replies of these agents ended; who is not here never answered."""
    rows = await tx.rows(select(AGENT.c.name, AGENT.c.tails).where(AGENT.c.name.in_(WANTED)), {"wanted": list(names)})
    return {r["name"]: r["tails"] for r in rows if r["tails"]}


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


async def present(tx: Transaction, changed: Mapping[str, Presence]) -> None:
    """Remember who is at work: {agent: as he is now}."""
    await _keep(tx, {name: {"presence": p.state, "since": p.since, "until": p.until} for name, p in changed.items()})


async def acted(tx: Transaction, last: Mapping[str, datetime]) -> None:
    """Remember agents' last signs of life: {agent: moment}."""
    for name, at in last.items():
        await _keep(tx, {name: {"last_act_at": at}}, since=at)


async def hinted(tx: Transaction, names: Iterable[str], now: datetime) -> None:
    """A machine answered for these agents."""
    await _keep(tx, {name: {"absence_hinted_at": now} for name in names}, since=now)


async def last_hints(tx: Transaction, names: Iterable[str]) -> dict[str, datetime]:
    """When a machine last answered for these agents; who is not here was never away."""
    found = select(AGENT.c.name, AGENT.c.absence_hinted_at).where(AGENT.c.name.in_(WANTED))
    rows = await tx.rows(found, {"wanted": list(names)})
    return {r["name"]: r["absence_hinted_at"] for r in rows if r["absence_hinted_at"] is not None}


async def hinted_since(tx: Transaction, since: datetime) -> dict[str, datetime]:
    """For whom a machine answered since a moment, and when: {agent: moment}, the latest first."""
    found = select(AGENT.c.name, AGENT.c.absence_hinted_at).where(AGENT.c.absence_hinted_at >= since)
    rows = await tx.rows(found.order_by(AGENT.c.absence_hinted_at.desc()))
    return {r["name"]: r["absence_hinted_at"] for r in rows}


async def signed(tx: Transaction, tails: Mapping[str, str], now: datetime) -> None:
    """Remember how agents' last replies ended."""
    await _keep(tx, {name: {"tails": ended} for name, ended in tails.items()}, since=now)


async def _keep(tx: Transaction, changed: Mapping[str, Mapping[str, Any]], since: datetime | None = None) -> None:
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    for name, values in changed.items():
        row = {"name": name, "presence": "on", "since": since, **values}
        statement = dialect.insert(AGENT).on_conflict_do_update(index_elements=["name"], set_=dict(values))
        await tx.execute(statement, row)
