"""Tickets and the keys by which a message finds its ticket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from routing.records import Ticket, as_row
from routing.words import Kind, TicketState
from store.engine import WANTED, Transaction
from store.schema import CustomerRow, ThreadKeyRow, TicketRow

TICKET = TicketRow.__table__  # type: ignore[attr-defined]
THREAD_KEY = ThreadKeyRow.__table__  # type: ignore[attr-defined]
CUSTOMER = CustomerRow.__table__  # type: ignore[attr-defined]


MAX_OPEN = 500  # open tickets that are looked at for who is at work for a customer: the newest


def _ticket(row: Mapping[str, Any]) -> Ticket:
    return Ticket(
        **{
            **row,
            "state": TicketState(row["state"]),
            "kind": Kind(row["kind"]),
            "is_urgent": bool(row["is_urgent"]),
        }
    )


_BY_IDS = select(TICKET).where(TICKET.c.id.in_(WANTED))
_OPEN_OF_CUSTOMERS = (
    select(TICKET)
    .where(TICKET.c.customer.in_(WANTED), TICKET.c.state != TicketState.CLOSED.value)
    .order_by(TICKET.c.id.desc())
    .limit(MAX_OPEN)
)
_BY_KEYS = select(THREAD_KEY).where(THREAD_KEY.c.key.in_(WANTED))


async def by_ids(tx: Transaction, ids: Iterable[int]) -> dict[int, Ticket]:
    """Tickets by number; unknown numbers are left out."""

    async def read(wanted: list[int]) -> dict[int, Ticket]:
        return {r["id"]: _ticket(r) for r in await tx.rows(_BY_IDS, {"wanted": wanted})}

    return await tx.once("ticket", ids, read)


async def open_of_customers(tx: Transaction, customers: Iterable[int]) -> dict[int, list[Ticket]]:
    """The open tickets of customers, newest first."""
    wanted = list(set(customers))
    if not wanted:
        return {}
    found: dict[int, list[Ticket]] = {}
    for row in await tx.rows(_OPEN_OF_CUSTOMERS, {"wanted": wanted}):
        found.setdefault(row["customer"], []).append(_ticket(row))
    return found


_UNASSIGNED = (
    select(TICKET)
    .where(TICKET.c.agent.is_(None), TICKET.c.state == TicketState.OPEN.value)
    .order_by(TICKET.c.id)
    .limit(bindparam("the_limit"))
)


async def unassigned(tx: Transaction, limit: int = 500) -> list[Ticket]:
    """Open tickets that nobody has, the oldest first."""
    return [_ticket(r) for r in await tx.rows(_UNASSIGNED, {"the_limit": limit})]


async def of_matter(tx: Transaction, matter: int) -> list[Ticket]:
    """The open tickets of a matter, in order of number."""
    statement = select(TICKET).where(TICKET.c.matter == matter, TICKET.c.state != TicketState.CLOSED.value)
    return [_ticket(r) for r in await tx.rows(statement.order_by(TICKET.c.id).limit(MAX_OPEN))]


async def listed(tx: Transaction, *, only_open: bool = True, limit: int = 200) -> list[Ticket]:
    """Tickets for people to look at, newest first."""
    statement = select(TICKET).order_by(TICKET.c.id.desc()).limit(limit)
    if only_open:
        statement = statement.where(TICKET.c.state != TicketState.CLOSED.value)
    return [_ticket(r) for r in await tx.rows(statement)]


async def count(tx: Transaction) -> int:
    return int(await tx.scalar(select(func.count()).select_from(TICKET)))


async def open_work(tx: Transaction) -> list[tuple[str, str, str, int]]:
    """What waits for whom: (agent, medium, kind, how many tickets)."""
    sort = (TICKET.c.agent, TICKET.c.medium, TICKET.c.kind)
    rows = await tx.rows(
        select(*sort, func.count().label("count"))
        .where(TICKET.c.state == TicketState.OPEN.value, TICKET.c.agent.is_not(None))
        .group_by(*sort)
    )
    return [(r["agent"], r["medium"], r["kind"], r["count"]) for r in rows]


async def open_loads(tx: Transaction) -> dict[str, int]:
    """How many tickets each agent has that wait for him: {agent: count}."""
    rows = await tx.rows(
        select(TICKET.c.agent, func.count().label("count"))
        .where(TICKET.c.state == TicketState.OPEN.value, TICKET.c.agent.is_not(None))
        .group_by(TICKET.c.agent)
    )
    return {r["agent"]: r["count"] for r in rows}


async def add(tx: Transaction, tickets: Sequence[Ticket]) -> None:
    await tx.insert(
        TICKET,
        [{**as_row(t), "state": t.state.value, "kind": t.kind.value} for t in tickets],
    )


_CHANGE = (
    update(TICKET)
    .where(TICKET.c.id == bindparam("the_id"))
    .values(
        state=bindparam("the_state"),
        agent=bindparam("the_agent"),
        team=bindparam("the_team"),
        kind=bindparam("the_kind"),
        topic=bindparam("the_topic"),
        is_urgent=bindparam("the_urgency"),
        updated_at=bindparam("the_time"),
        closed_at=bindparam("the_closing"),
        closed_reason=bindparam("the_closed_reason"),
        standing=bindparam("the_standing"),
        token_serial=bindparam("the_serial"),
        assigned_at=bindparam("the_assignment"),
        answered_by=bindparam("the_answerer"),
        answered_at=bindparam("the_answer"),
        waits_until=bindparam("the_wait"),
        matter=bindparam("the_matter"),
        statute=bindparam("the_statute"),
        statutory_at=bindparam("the_filing"),
        accused=bindparam("the_accused"),
    )
)


async def change(tx: Transaction, tickets: Sequence[Ticket]) -> None:
    """Write back tickets that were changed (everything but what is frozen at opening)."""
    await tx.repeat(
        _CHANGE,
        [
            {
                "the_id": t.id,
                "the_state": t.state.value,
                "the_agent": t.agent,
                "the_team": t.team,
                "the_kind": t.kind.value,
                "the_topic": t.topic,
                "the_urgency": t.is_urgent,
                "the_time": t.updated_at,
                "the_closing": t.closed_at,
                "the_closed_reason": t.closed_reason,
                "the_standing": t.standing,
                "the_serial": t.token_serial,
                "the_assignment": t.assigned_at,
                "the_answerer": t.answered_by,
                "the_answer": t.answered_at,
                "the_wait": t.waits_until,
                "the_matter": t.matter,
                "the_statute": t.statute,
                "the_filing": t.statutory_at,
                "the_accused": t.accused,
            }
            for t in tickets
        ],
    )


async def name(tx: Transaction, tickets: Sequence[Ticket]) -> None:
    """Write down whose tickets these are: nobody had known."""
    await tx.many(
        update(TICKET)
        .where(TICKET.c.id == bindparam("the_id"))
        .values(
            customer=bindparam("the_customer"),
            contact=bindparam("the_contact"),
            contact_name=bindparam("the_name"),
            language=bindparam("the_language"),
        ),
        [
            {
                "the_id": t.id,
                "the_customer": t.customer,
                "the_contact": t.contact,
                "the_name": t.contact_name,
                "the_language": t.language,
            }
            for t in tickets
        ],
    )


async def reopen(tx: Transaction, number: int, now: Any) -> bool:
    """A ticket whose answer never arrived waits for its agent again; False if it did already."""
    done = await tx.execute(
        update(TICKET)
        .where(TICKET.c.id == number, TICKET.c.state != TicketState.OPEN.value)
        .values(state=TicketState.OPEN.value, updated_at=now, closed_at=None, closed_reason=None, waits_until=None)
    )
    return done.rowcount == 1


async def end_waiting(tx: Transaction, number: int, until: datetime, now: datetime) -> bool:
    """A ticket that waits until just that moment is open; False if it waits no longer, or until another."""
    done = await tx.execute(
        update(TICKET)
        .where(TICKET.c.id == number, TICKET.c.state == TicketState.WAITING.value, TICKET.c.waits_until == until)
        .values(state=TicketState.OPEN.value, waits_until=None, updated_at=now)
    )
    return done.rowcount == 1


async def add_keys(tx: Transaction, keys: Iterable[tuple[str, int, bool]]) -> None:
    """Remember that messages with these ids belong to these tickets: (Message-ID, ticket, is_ours). First one stays."""
    rows = [{"key": k, "ticket": t, "is_ours": o} for k, t, o in keys]
    await tx.insert(THREAD_KEY, rows, keep_first=True)


async def move_keys(tx: Transaction, keys: Iterable[tuple[str, int]]) -> None:
    """Let keys that stand for the latest ticket of a caller or a chat point at another one: (key, ticket)."""
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    statement = dialect.insert(THREAD_KEY)
    statement = statement.on_conflict_do_update(index_elements=["key"], set_={"ticket": statement.excluded.ticket})
    rows = [{"key": k, "ticket": t, "is_ours": False} for k, t in dict(keys).items()]
    await tx.many(statement, rows)


async def by_keys(tx: Transaction, keys: Iterable[str]) -> dict[str, tuple[int, bool]]:
    """Which ticket each known Message-ID belongs to, and whether it is one of ours."""
    wanted = list(set(keys))
    found: dict[str, tuple[int, bool]] = {}
    for start in range(0, len(wanted), 500):
        rows = await tx.rows(_BY_KEYS, {"wanted": wanted[start : start + 500]})
        found.update({r["key"]: (r["ticket"], bool(r["is_ours"])) for r in rows})
    return found


async def keys_of(tx: Transaction, ticket: int) -> list[str]:
    rows = await tx.rows(select(THREAD_KEY.c.key).where(THREAD_KEY.c.ticket == ticket))
    return [r["key"] for r in rows]


async def found(tx: Transaction, *, only_open: bool, agent: str = "", channel: str = "", limit: int) -> list[Ticket]:
    """Tickets of an agent, of a channel, or all; newest first."""
    statement = select(TICKET).order_by(TICKET.c.id.desc()).limit(limit)
    if only_open:
        statement = statement.where(TICKET.c.state != TicketState.CLOSED.value)
    if agent:
        statement = statement.where(TICKET.c.agent == agent)
    if channel:
        statement = statement.where(TICKET.c.channel == channel)
    return [_ticket(r) for r in await tx.rows(statement)]
