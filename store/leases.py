"""Leases: what only one node may do at a time, and the fencing token that refuses the stale.

A lease is a row (name, owner, until, epoch). The epoch grows whenever the owner changes or a lapsed lease is taken
again; whoever writes under a lease writes `fence` in the same transaction, so that a paused node's late write fails.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, case, or_, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from store.engine import Transaction
from store.schema import LeaseRow

LEASE = LeaseRow.__table__  # type: ignore[attr-defined]

TERM = timedelta(seconds=60)


class LeaseLost(Exception):
    """Somebody else has taken over: what was about to be written is refused."""


async def acquire(
    tx: Transaction, name: str, owner: str, now: datetime, term: timedelta = TERM, *, is_alone: bool = False
) -> int | None:
    """Take or renew a lease: its epoch, or None while another owner holds it.

    `is_alone`: no other node can live, so whoever holds it was killed, and nobody need wait for the term to end.
    """
    first = {"name": name, "owner": "", "until": now - term, "epoch": 0}
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    await tx.execute(dialect.insert(LEASE).on_conflict_do_nothing(), first)
    is_mine = and_(LEASE.c.owner == owner, LEASE.c.until >= now)
    taken = await tx.execute(
        update(LEASE)
        .where(LEASE.c.name == name, true() if is_alone else or_(LEASE.c.owner.in_(["", owner]), LEASE.c.until < now))
        .values(owner=owner, until=now + term, epoch=LEASE.c.epoch + case((is_mine, 0), else_=1))
        .returning(LEASE.c.epoch)
    )
    row = taken.first()
    return None if row is None else int(row[0])


_FENCE = (
    update(LEASE)
    .where(
        LEASE.c.name == bindparam("the_name"),
        LEASE.c.owner == bindparam("the_owner"),
        LEASE.c.epoch == bindparam("the_epoch"),
    )
    .values(until=bindparam("the_end"))
)


async def fence(tx: Transaction, name: str, owner: str, epoch: int, now: datetime, term: timedelta = TERM) -> None:
    """Renew while writing. Raises LeaseLost, and with it rolls back, if the lease went to somebody else."""
    mine = {"the_name": name, "the_owner": owner, "the_epoch": epoch, "the_end": now + term}
    if await tx.changed(_FENCE, mine) != 1:
        raise LeaseLost(name)


async def release(tx: Transaction, name: str, owner: str, now: datetime) -> None:
    """Give it back, so that a successor need not wait for the term to end."""
    await tx.execute(update(LEASE).where(LEASE.c.name == name, LEASE.c.owner == owner).values(owner="", until=now))


async def holder(tx: Transaction, name: str) -> tuple[str, datetime] | None:
    rows = await tx.rows(select(LEASE.c.owner, LEASE.c.until).where(LEASE.c.name == name))
    return (rows[0]["owner"], rows[0]["until"]) if rows else None
