"""The outbox: one row for each thing that leaves, for each recipient.

pending -> attempting -> delivered | stored | pending (again, later) | unknown | failed; `held` waits for a person.
The attempt and the bytes are committed before a socket is opened. A row found `attempting` by nobody was cut off in
the middle: whether it arrived is unknown, and it is treated so. Order is kept within a lane (ticket and recipient);
a held or finally unknown row blocks nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, delete, func, insert, literal_column, null, or_, select, update

from routing.records import NewOutbox
from routing.words import URGENT, OutboxState, Purpose, Speaker
from store.engine import WANTED, Transaction
from store.schema import MessageRow, OutboxBytesRow, OutboxRow

OUTBOX = OutboxRow.__table__  # type: ignore[attr-defined]
MESSAGE = MessageRow.__table__  # type: ignore[attr-defined]
BYTES = OutboxBytesRow.__table__  # type: ignore[attr-defined]

#: States of what may have arrived: a report that it did not is news.
HAVE_LEFT = frozenset({OutboxState.ATTEMPTING, OutboxState.DELIVERED, OutboxState.STORED, OutboxState.UNKNOWN})

PRIORITY = {purpose: number for number, purpose in enumerate(Purpose)}

#: Why a row is held whose channel is no longer in the configuration: no person lets it go, but the channel's return.
CHANNEL_REMOVED = "channel_removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxItem:
    """A row of the outbox."""

    id: int
    ticket: int | None
    source: int | None
    channel: str
    address: str
    purpose: Purpose
    agent: str | None
    state: OutboxState
    recipe: Mapping[str, Any]
    mail_id: str
    created_at: datetime
    answered_at: datetime | None
    attempts: int
    unknowns: int
    first_attempt_at: datetime | None
    next_attempt_at: datetime | None
    error: str | None
    held_reason: str | None
    delivered_at: datetime | None
    remote_id: str | None
    remote_mail_id: str | None


COLUMNS = [OUTBOX.c[name] for name in OutboxItem.__dataclass_fields__]


def item_of(row: Mapping[str, Any]) -> OutboxItem:
    return OutboxItem(
        **{
            **row,
            "purpose": Purpose(row["purpose"]),
            "state": OutboxState(row["state"]),
            "recipe": orjson.loads(row["recipe"]),
        }
    )


async def add(tx: Transaction, items: Sequence[NewOutbox], now: datetime) -> None:
    """Put things into the outbox. Held ones wait for a person."""
    await tx.insert(OUTBOX, [_values(i, now) for i in items])


async def add_one(tx: Transaction, item: NewOutbox, now: datetime) -> int:
    """Like add, for one thing: its number."""
    return int(await tx.scalar(insert(OUTBOX).returning(OUTBOX.c.id), _values(item, now)))


def lane_of(item: NewOutbox | OutboxItem) -> str:
    """What is kept in order: a ticket's words to one recipient. What has no ticket waits for nothing but itself."""
    return f"{item.ticket if item.ticket is not None else item.mail_id}|{item.address}"


def _values(item: NewOutbox, now: datetime) -> dict[str, Any]:
    is_held = item.held_reason is not None
    return {
        "ticket": item.ticket,
        "source": item.source,
        "channel": item.channel,
        "address": item.address,
        "lane": lane_of(item),
        "purpose": item.purpose.value,
        "priority": PRIORITY[item.purpose],
        "agent": item.agent,
        "state": (OutboxState.HELD if is_held else OutboxState.PENDING).value,
        "recipe": orjson.dumps(item.recipe, default=str).decode(),
        "mail_id": item.mail_id,
        "created_at": now,
        "answered_at": item.answered_at,
        "attempts": 0,
        "unknowns": 0,
        "next_attempt_at": None if is_held else (item.not_before or now),
        "held_reason": item.held_reason,
    }


_EARLIER = OUTBOX.alias("earlier")
_MAY_LEAVE = (
    OUTBOX.c.state.in_([OutboxState.PENDING.value, OutboxState.UNKNOWN.value]),
    ~select(_EARLIER.c.id)
    .where(
        _EARLIER.c.lane == OUTBOX.c.lane,
        _EARLIER.c.id < OUTBOX.c.id,
        _EARLIER.c.next_attempt_at.is_not(None),
        # An acknowledgement that cannot leave must not hold back the answer.
        _EARLIER.c.priority <= OUTBOX.c.priority,
    )
    .exists(),
)
_DUE = (
    select(*COLUMNS)
    .where(OUTBOX.c.next_attempt_at <= bindparam("moment"), *_MAY_LEAVE)
    .order_by(OUTBOX.c.priority, OUTBOX.c.id)
    .limit(bindparam("how_many"))
)
_NEXT = (
    select(OUTBOX.c.next_attempt_at)
    .where(OUTBOX.c.next_attempt_at.is_not(None), *_MAY_LEAVE)
    .order_by(OUTBOX.c.next_attempt_at)
    .limit(1)
)


async def due(
    tx: Transaction, now: datetime, limit: int, not_by: Iterable[str] = (), urgent_by: Iterable[str] = ()
) -> list[OutboxItem]:
    """What may be attempted now, at most one row a lane.

    `not_by`: channels that nothing may leave by; `urgent_by`: those by which only what cannot wait may.
    """
    statement = _only(_DUE, not_by, urgent_by)
    return [item_of(r) for r in await tx.rows(statement, {"moment": now, "how_many": limit})]


async def next_at(tx: Transaction, not_by: Iterable[str] = (), urgent_by: Iterable[str] = ()) -> datetime | None:
    """When the next row may be attempted; None if none may. What waits for another of its lane counts with that one."""
    rows = await tx.rows(_only(_NEXT, not_by, urgent_by))
    return rows[0]["next_attempt_at"] if rows else None


_URGENT = [PRIORITY[purpose] for purpose in URGENT]


def _only(statement: Select[Any], not_by: Iterable[str], urgent_by: Iterable[str]) -> Select[Any]:
    closed = set(not_by)
    kept = set(urgent_by) - closed
    if closed:
        statement = statement.where(OUTBOX.c.channel.not_in(sorted(closed)))
    if kept:
        statement = statement.where(or_(OUTBOX.c.channel.not_in(sorted(kept)), OUTBOX.c.priority.in_(_URGENT)))
    return statement


async def stored_bytes(tx: Transaction, ids: Sequence[int]) -> dict[int, bytes]:
    """Bytes that were composed for an earlier attempt."""
    rows = await tx.rows(select(BYTES).where(BYTES.c.outbox.in_(ids))) if ids else []
    return {r["outbox"]: r["data"] for r in rows}


async def begin_attempts(
    tx: Transaction, attempts: Sequence[tuple[OutboxItem, bytes]], now: datetime, lease_until: datetime
) -> set[int]:
    """Write down that rows are being attempted, with their bytes; the ids that are really ours to attempt."""
    alike: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for item, _ in attempts:
        alike[item.state.value, item.attempts].append(item.id)
    ours: set[int] = set()
    for (state, times), ids in alike.items():
        begun = await tx.execute(
            update(OUTBOX)
            .where(OUTBOX.c.id.in_(ids), OUTBOX.c.state == state, OUTBOX.c.attempts == times)
            .values(
                state=OutboxState.ATTEMPTING.value,
                attempts=times + 1,
                first_attempt_at=func.coalesce(OUTBOX.c.first_attempt_at, now),
                next_attempt_at=lease_until,
            )
            .returning(OUTBOX.c.id)
        )
        ours.update(row.id for row in begun)
    await tx.insert(
        BYTES,
        [{"outbox": item.id, "data": data} for item, data in attempts if item.id in ours],
        keep_first=True,
    )
    return ours


async def record_delivered(
    tx: Transaction,
    ids: Mapping[int, str],
    now: datetime,
    *,
    stored: bool = False,
    keep_bytes: bool = False,
    remote_mail_id: str | None = None,
) -> None:
    """Done: {id: what the other side calls it}. `stored` means kept for a visitor who is away.

    `remote_mail_id`: the Message-ID that the provider put for ours.

    A chat's lines keep their bytes: they are its transcript.
    """
    await record_handed_over(
        tx,
        [
            HandedOver(
                id=n, at=now, remote_id=r, remote_mail_id=remote_mail_id, is_stored=stored, keeps_bytes=keep_bytes
            )
            for n, r in ids.items()
        ],
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class HandedOver:
    """One row that reached the other side."""

    id: int
    at: datetime
    remote_id: str  # what the other side calls it
    remote_mail_id: str | None = None  # the Message-ID that the provider put for ours
    is_stored: bool = False  # kept for a visitor who is away
    keeps_bytes: bool = False  # a chat's lines are its transcript


_HANDED_OVER = (
    update(OUTBOX)
    .where(OUTBOX.c.id == bindparam("the_id"), OUTBOX.c.state != literal_column(f"'{OutboxState.DELIVERED.value}'"))
    .values(
        state=bindparam("the_state"),
        delivered_at=bindparam("the_time"),
        next_attempt_at=null(),
        remote_id=bindparam("the_remote_id"),
        remote_mail_id=bindparam("the_remote_mail_id"),
        error=null(),
    )
)


_SPENT = delete(BYTES).where(BYTES.c.outbox.in_(WANTED))


async def record_handed_over(tx: Transaction, rows: Sequence[HandedOver]) -> None:
    """Done: all of them with one statement."""
    await tx.repeat(
        _HANDED_OVER,
        [
            {
                "the_id": row.id,
                "the_state": (OutboxState.STORED if row.is_stored else OutboxState.DELIVERED).value,
                "the_time": row.at,
                "the_remote_id": row.remote_id[:500],
                "the_remote_mail_id": row.remote_mail_id,
            }
            for row in rows
        ],
    )
    spent = [row.id for row in rows if not (row.is_stored or row.keeps_bytes)]
    if spent:
        await tx.changed(_SPENT, {"wanted": spent})


async def record_seen(tx: Transaction, number: int, channel: str, now: datetime) -> None:
    """What was kept for a visitor has been shown to him."""
    await tx.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id == number, OUTBOX.c.channel == channel, OUTBOX.c.state != OutboxState.DELIVERED.value)
        .values(state=OutboxState.DELIVERED.value, next_attempt_at=None)
    )


async def put_back(tx: Transaction, item: OutboxItem, now: datetime) -> None:
    """Undo the beginning of an attempt that was handed to nobody. `item` is the row as it was before."""
    await tx.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id == item.id, OUTBOX.c.state == OutboxState.ATTEMPTING.value)
        .values(state=item.state.value, attempts=item.attempts, next_attempt_at=now)
    )


async def record_failure(
    tx: Transaction, number: int, state: OutboxState, error: str, next_attempt_at: datetime | None
) -> None:
    """It did not work: try again at a time, or never (failed, unknown for good)."""
    values: dict[str, Any] = {"state": state.value, "error": error[:500], "next_attempt_at": next_attempt_at}
    if state is OutboxState.UNKNOWN:
        values["unknowns"] = OUTBOX.c.unknowns + 1
    await tx.execute(update(OUTBOX).where(OUTBOX.c.id == number).values(**values))


async def record_bounce(tx: Transaction, number: int, words: str) -> None:
    """What had been delivered came back after all. What has not left cannot have: whoever says so must not stop it."""
    await tx.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id == number, OUTBOX.c.state.in_([state.value for state in HAVE_LEFT]))
        .values(state=OutboxState.FAILED.value, error=words[:500], delivered_at=None, next_attempt_at=None)
    )


async def cut_off(tx: Transaction, now: datetime, *, everybody: bool) -> list[OutboxItem]:
    """Rows that were being attempted when the program died. `everybody`: no other node can be attempting them."""
    statement = select(*COLUMNS).where(OUTBOX.c.state == OutboxState.ATTEMPTING.value)
    if not everybody:
        statement = statement.where(OUTBOX.c.next_attempt_at <= now)
    return [item_of(r) for r in await tx.rows(statement)]


#: Waits for the word of a person.
_HELD = (OUTBOX.c.state == OutboxState.HELD.value, OUTBOX.c.held_reason != CHANNEL_REMOVED)


async def leave_out(tx: Transaction, ticket: int, address: str, now: datetime) -> None:
    """Who was taken out of a ticket gets no copy that still waits, and is named in no answer that nobody has got yet.

    An answer of which something has left, or may have, stays as it is for the others: its copies are the same octets.
    """
    answers: dict[str, list[OutboxItem]] = {}
    for item in await of_ticket(tx, ticket):
        if item.purpose is Purpose.ANSWER and item.mail_id and item.state is not OutboxState.CANCELLED:
            answers.setdefault(item.mail_id, []).append(item)
    for group in answers.values():
        his = [i for i in group if i.address == address and i.recipe.get("copy") and i.state in _WAITING]
        is_named = any(other == address for item in group for _, other in item.recipe.get("cc", ()))
        if is_named and all(i.state in _WAITING and not i.attempts for i in group):
            # New rows: what was composed from the old ones a moment ago finds them gone, and does not leave.
            await _cancel(tx, group)
            await add(tx, [_without(address, item) for item in group if item not in his], now)
        else:
            await _cancel(tx, his)


_WAITING = frozenset({OutboxState.PENDING, OutboxState.HELD})


async def _cancel(tx: Transaction, items: Iterable[OutboxItem]) -> None:
    await tx.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id.in_([item.id for item in items]))
        .values(state=OutboxState.CANCELLED.value, next_attempt_at=None)
    )


def _without(address: str, item: OutboxItem) -> NewOutbox:
    named = [one for one in item.recipe.get("cc", ()) if one[1] != address]
    return _anew(item, recipe={**item.recipe, "cc": named})


def _anew(item: OutboxItem, recipe: Mapping[str, Any]) -> NewOutbox:
    return NewOutbox(
        ticket=item.ticket,
        source=item.source,
        channel=item.channel,
        address=item.address,
        purpose=item.purpose,
        agent=item.agent,
        recipe=recipe,
        mail_id=item.mail_id,
        answered_at=item.answered_at,
        held_reason=item.held_reason,
        not_before=item.next_attempt_at,
    )


async def drop_held(tx: Transaction, ticket: int, agent: str) -> None:
    """Nothing that an agent's answers on a ticket were held for will let them go any more."""
    await tx.execute(
        update(OUTBOX)
        .where(OUTBOX.c.ticket == ticket, OUTBOX.c.agent == agent, *_HELD)
        .values(state=OutboxState.CANCELLED.value)
    )


class LeftMeanwhile(Exception):
    """What was to be called back is not all here any more: what was decided on that is not so."""


async def call_back(tx: Transaction, ticket: int, agent: str, rows: int, now: datetime) -> None:
    """An agent's answers on a ticket that were to wait a little, and still do, are not sent; nor is what tells of them.

    Raises LeftMeanwhile unless they are as many rows as that.
    """
    waiting = (OUTBOX.c.state == OutboxState.PENDING.value, OUTBOX.c.attempts == 0, OUTBOX.c.next_attempt_at > now)
    his = (OUTBOX.c.agent == agent, OUTBOX.c.purpose == Purpose.ANSWER.value)
    back = {"state": OutboxState.CANCELLED.value, "next_attempt_at": None}
    done = await tx.execute(
        update(OUTBOX).where(OUTBOX.c.ticket == ticket, *his, *waiting).values(**back).returning(OUTBOX.c.source)
    )
    sources = [row.source for row in done]
    if len(sources) != rows:
        raise LeftMeanwhile(f"{len(sources)} of {rows} answers on ticket {ticket} were still here")
    told = (OUTBOX.c.ticket == ticket, OUTBOX.c.source.in_(sources), OUTBOX.c.purpose == Purpose.TOLD.value)
    await tx.execute(update(OUTBOX).where(*told, *waiting).values(**back))


async def answers(tx: Transaction, tickets: Iterable[int]) -> list[OutboxItem]:
    """The answers of agents on these tickets, one row a recipient, that have left or will; the oldest first."""
    wanted = list(set(tickets))
    if not wanted:
        return []
    states = [state.value for state in OutboxState if state not in (OutboxState.HELD, OutboxState.CANCELLED)]
    his = (OUTBOX.c.purpose == Purpose.ANSWER.value, OUTBOX.c.agent.is_not(None), OUTBOX.c.state.in_(states))
    rows = await tx.rows(select(*COLUMNS).where(OUTBOX.c.ticket.in_(wanted), *his).order_by(OUTBOX.c.id))
    return [item_of(r) for r in rows]


def as_new(item: OutboxItem) -> NewOutbox:
    """A row as it was put here."""
    return _anew(item, item.recipe)


async def held(tx: Transaction, tickets: Iterable[int]) -> dict[tuple[int, str], NewOutbox]:
    """The latest answer that waits for a word of its author, as it was put here: {(ticket, agent): answer}."""
    wanted = list(set(tickets))
    if not wanted:
        return {}
    his = (OUTBOX.c.ticket.in_(wanted), OUTBOX.c.agent.is_not(None), OUTBOX.c.purpose == Purpose.ANSWER.value)
    items = map(item_of, await tx.rows(select(*COLUMNS).where(*his, *_HELD).order_by(OUTBOX.c.id)))
    return {
        (item.ticket, item.agent): _anew(item, item.recipe)
        for item in items
        if item.ticket is not None and item.agent is not None and not item.recipe.get("copy")
    }


async def of_ticket(tx: Transaction, ticket: int) -> list[OutboxItem]:
    rows = await tx.rows(select(*COLUMNS).where(OUTBOX.c.ticket == ticket).order_by(OUTBOX.c.id))
    return [item_of(r) for r in rows]


async def by_id(tx: Transaction, number: int) -> OutboxItem | None:
    rows = await tx.rows(select(*COLUMNS).where(OUTBOX.c.id == number))
    return item_of(rows[0]) if rows else None


async def to_address(tx: Transaction, address: str, purposes: Sequence[Purpose], limit: int = 200) -> list[OutboxItem]:
    """What was or is being sent to somebody, oldest first: for a chat's transcript."""
    rows = await tx.rows(
        select(*COLUMNS)
        .where(OUTBOX.c.address == address, OUTBOX.c.purpose.in_([p.value for p in purposes]))
        .order_by(OUTBOX.c.created_at.desc(), OUTBOX.c.id.desc())
        .limit(limit)
    )
    return [item_of(r) for r in reversed(rows)]


async def told_since(tx: Transaction, agents: Iterable[str], since: datetime) -> dict[str, int]:
    """How often each agent was told what became of a mail of his (or in his name) since a moment."""
    wanted = list(set(agents))
    if not wanted:
        return {}
    rows = await tx.rows(
        select(OUTBOX.c.agent, func.count().label("count"))
        .join(MESSAGE, MESSAGE.c.id == OUTBOX.c.source)
        .where(
            OUTBOX.c.agent.in_(wanted),
            OUTBOX.c.created_at >= since,
            OUTBOX.c.purpose == Purpose.TOLD.value,
            MESSAGE.c.speaker == Speaker.AGENT.value,
        )
        .group_by(OUTBOX.c.agent)
    )
    return {r["agent"]: r["count"] for r in rows}


async def summary(tx: Transaction) -> list[dict[str, Any]]:
    """What is not delivered, by state: [{state, count, oldest}]."""
    return await tx.rows(
        select(OUTBOX.c.state, func.count().label("count"), func.min(OUTBOX.c.created_at).label("oldest"))
        .where(or_(OUTBOX.c.next_attempt_at.is_not(None), OUTBOX.c.state.in_(["held", "failed", "unknown"])))
        .group_by(OUTBOX.c.state)
        .order_by(OUTBOX.c.state)
    )
