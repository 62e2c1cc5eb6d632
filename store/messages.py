"""The durable queue: accept, claim, finish, park, requeue.

accepted -> claimed -> done | parked. What was claimed by a decider that died goes back to accepted and is then tried
alone, so that one poisonous message cannot take its batch with it for ever; only attempts made alone count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, case, func, literal_column, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from channels.adapter import Arrival, Envelope
from channels.message import MESSAGING, Medium
from routing.records import Event, as_row
from routing.words import MessageState, Speaker
from store import cursors, events, sealed
from store.engine import WANTED, Transaction
from store.schema import MessageRow

MESSAGE = MessageRow.__table__  # type: ignore[attr-defined]

MAX_ATTEMPTS = 3  # made alone
MAX_BATCH_BYTES = 6 * 1024 * 1024  # octets of raw bytes claimed together, unless one alone is larger

#: A ringing phone before chat before messaging before mail.
PRIORITY = {Medium.PHONE: 0, Medium.CHAT: 1, **dict.fromkeys(MESSAGING, 2), Medium.EMAIL: 3}


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """A message that this decider, and nobody else, is deciding."""

    id: int
    channel: str
    medium: Medium
    external_id: str
    received_at: datetime
    accepted_at: datetime
    envelope: Envelope
    is_truncated: bool
    is_alone: bool
    attempts: int
    size: int
    ticket: int | None = None  # of an earlier decision, for what was put back by an operator


@dataclass(frozen=True, kw_only=True, slots=True)
class Parked:
    """A message that waits for an operator."""

    id: int
    channel: str
    received_at: datetime
    reason: str
    ticket: int | None


# ---- accept


async def accept(tx: Transaction, arrivals: Sequence[Arrival], now: datetime) -> list[tuple[int, bool]]:
    """Keep arrivals with their raw bytes, cursors and events: (message id, is_duplicate) for each, in order."""
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    statement = (
        dialect.insert(MESSAGE)
        .on_conflict_do_nothing(index_elements=["channel", "external_id"])
        .returning(MESSAGE.c.id, MESSAGE.c.channel, MESSAGE.c.external_id)
    )
    fresh: dict[tuple[str, str], Arrival] = {}
    for arrival in arrivals:
        fresh.setdefault((arrival.channel, arrival.external_id), arrival)
    made = await tx.execute(statement, [_message_row(a, now) for a in fresh.values()])
    ids = {(row.channel, row.external_id): int(row.id) for row in made}
    new = dict(ids)
    missing = [key for key in fresh if key not in ids]
    if missing:
        ids.update(await _known(tx, missing))
    ordered = sorted(((number, fresh[key]) for key, number in new.items()), key=lambda pair: pair[0])
    await sealed.keep_raws(tx, [(number, a.raw) for number, a in ordered])
    await events.append(tx, [accepted(number, a, now) for number, a in ordered])
    positions = {(a.channel, a.cursor.name): a.cursor.value for a in arrivals if a.cursor}
    if positions:
        await cursors.write(tx, positions)
    seen: set[tuple[str, str]] = set()
    receipts = []
    for arrival in arrivals:
        key = (arrival.channel, arrival.external_id)
        receipts.append((ids[key], key not in new or key in seen))
        seen.add(key)
    return receipts


def _message_row(arrival: Arrival, now: datetime) -> dict[str, Any]:
    envelope = arrival.envelope
    return {
        "channel": arrival.channel,
        "medium": arrival.medium.value,
        "external_id": arrival.external_id,
        "received_at": min(arrival.received_at, now),
        "accepted_at": now,
        "priority": PRIORITY[arrival.medium],
        "state": MessageState.ACCEPTED.value,
        "epoch": 0,
        "is_alone": False,
        "attempts": 0,
        "size": envelope.source_size or len(arrival.raw),
        "is_truncated": envelope.is_truncated,
        "envelope": orjson.dumps(as_row(envelope)).decode(),
    }


def accepted(number: int, arrival: Arrival, now: datetime) -> Event:
    """The event of an arrival that was kept."""
    late = (now - arrival.received_at).total_seconds()
    data = {
        "channel": arrival.channel,
        "octets": len(arrival.raw),
        "behind_source_s": round(max(late, 0.0), 3),
    }
    return Event(at=now, kind="message_accepted", message=number, data=data)


async def _known(tx: Transaction, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for start in range(0, len(keys), 200):
        some = keys[start : start + 200]
        where = or_(*(and_(MESSAGE.c.channel == c, MESSAGE.c.external_id == e) for c, e in some))
        rows = await tx.rows(select(MESSAGE.c.id, MESSAGE.c.channel, MESSAGE.c.external_id).where(where))
        found.update({(r["channel"], r["external_id"]): int(r["id"]) for r in rows})
    return found


# ---- claim

_CLAIMED_COLUMNS = (
    MESSAGE.c.id,
    MESSAGE.c.channel,
    MESSAGE.c.medium,
    MESSAGE.c.external_id,
    MESSAGE.c.received_at,
    MESSAGE.c.accepted_at,
    MESSAGE.c.envelope,
    MESSAGE.c.is_truncated,
    MESSAGE.c.is_alone,
    MESSAGE.c.attempts,
    MESSAGE.c.size,
    MESSAGE.c.ticket,
)
_WAITING = (
    select(*_CLAIMED_COLUMNS)
    # Written out, word for word as in the index: SQLite chooses no partial index for a value it will learn later.
    .where(text("message.state IN ('accepted', 'claimed')"), MESSAGE.c.state == literal_column("'accepted'"))
    .order_by(MESSAGE.c.priority, MESSAGE.c.id)
    .limit(bindparam("how_many"))
)


_IS_CLAIMED = and_(text("message.state IN ('accepted', 'claimed')"), MESSAGE.c.state == literal_column("'claimed'"))


_CLAIM = (
    update(MESSAGE)
    .where(MESSAGE.c.id.in_(WANTED))
    .values(
        state=literal_column("'claimed'"),
        epoch=bindparam("the_epoch"),
        attempts=MESSAGE.c.attempts + bindparam("more", type_=MESSAGE.c.attempts.type),
    )
)


async def claim(tx: Transaction, epoch: int, limit: int) -> list[Claimed]:
    """Take what waits, most urgent channel first, oldest first. A message to be tried alone comes alone."""
    rows = await tx.rows(_WAITING, {"how_many": limit})
    if not rows:
        return []
    chosen = rows[:1] if rows[0]["is_alone"] else [r for r in rows if not r["is_alone"]]
    taken: list[dict[str, Any]] = []
    octets = 0
    for row in chosen:
        octets += row["size"]
        if taken and octets > MAX_BATCH_BYTES:
            break
        taken.append(row)
    alone = bool(taken[0]["is_alone"])  # then it is the only one: only attempts made alone count
    mine = {"wanted": [r["id"] for r in taken], "the_epoch": epoch, "more": int(alone)}
    await tx.changed(_CLAIM, mine)
    return [_claimed(r) for r in taken]


def _claimed(row: Mapping[str, Any]) -> Claimed:
    envelope = orjson.loads(row["envelope"])
    envelope["rcpt_to"] = tuple(envelope["rcpt_to"])
    return Claimed(
        id=row["id"],
        channel=row["channel"],
        medium=Medium(row["medium"]),
        external_id=row["external_id"],
        received_at=row["received_at"],
        accepted_at=row["accepted_at"],
        envelope=Envelope(**envelope),
        is_truncated=bool(row["is_truncated"]),
        is_alone=bool(row["is_alone"]),
        attempts=row["attempts"] + bool(row["is_alone"]),
        size=row["size"],
        ticket=row["ticket"],
    )


async def give_back(tx: Transaction, ids: Sequence[int], *, epoch: int, alone: bool) -> None:
    """Return what this decider had claimed to the queue: `alone` after the batch failed, else as it was."""
    values: dict[str, Any] = {"state": MessageState.ACCEPTED.value}
    if alone:
        values["is_alone"] = True
    await tx.execute(
        update(MESSAGE)
        .where(MESSAGE.c.id.in_(ids), MESSAGE.c.state == MessageState.CLAIMED.value, MESSAGE.c.epoch == epoch)
        .values(**values)
    )


async def give_back_all(tx: Transaction, epoch: int) -> int:
    """Return everything that this decider had claimed and not decided, as it was. The number of them."""
    done = await tx.execute(
        update(MESSAGE)
        .where(_IS_CLAIMED, MESSAGE.c.epoch == epoch)
        # Nobody failed: stopping while a message was being tried alone is no attempt of it.
        .values(state=MessageState.ACCEPTED.value, attempts=MESSAGE.c.attempts - case((MESSAGE.c.is_alone, 1), else_=0))
    )
    return int(done.rowcount)


async def any_waiting(tx: Transaction) -> bool:
    """Whether there is something to claim."""
    return await tx.scalar(_WAITING, {"how_many": 1}) is not None


async def recover(tx: Transaction) -> int:
    """Return what a dead decider had claimed; each is then tried alone. The number of them."""
    done = await tx.execute(update(MESSAGE).where(_IS_CLAIMED).values(state=MessageState.ACCEPTED.value, is_alone=True))
    return int(done.rowcount)


# ---- finish


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """What was decided about one message, for its row."""

    id: int
    outcome: str
    speaker: str
    ticket: int | None
    customer: int | None
    agent: str | None
    sender: str
    content_key: str | None
    copy_of: int | None
    policy_version: str
    normal: bytes
    parser_version: int
    parked: str | None = None  # a reason: decided as far as possible, but an operator must look


_IS_PARKED = MESSAGE.c.state == literal_column("'parked'")
_FINISH = (
    update(MESSAGE)
    .where(MESSAGE.c.id == bindparam("the_id"), MESSAGE.c.epoch == bindparam("the_epoch"))
    .values(
        # An operator may have parked it meanwhile: his word stands.
        state=case((_IS_PARKED, MESSAGE.c.state), else_=bindparam("the_state")),
        reason=case((_IS_PARKED, MESSAGE.c.reason), else_=bindparam("the_reason")),
        decided_at=bindparam("the_time"),
        outcome=bindparam("the_outcome"),
        speaker=bindparam("the_speaker"),
        ticket=bindparam("the_ticket"),
        customer=bindparam("the_customer"),
        agent=bindparam("the_agent"),
        sender=bindparam("the_sender"),
        content_key=bindparam("the_content_key"),
        copy_of=bindparam("the_copy_of"),
        policy_version=bindparam("the_policy"),
    )
)


async def finish(tx: Transaction, finished: Sequence[Finished], epoch: int, now: datetime) -> None:
    """Write decisions to their messages, with the normal form they were made from."""
    await tx.repeat(
        _FINISH,
        [
            {
                "the_id": f.id,
                "the_epoch": epoch,
                "the_state": MessageState.PARKED.value if f.parked else MessageState.DONE.value,
                "the_reason": f.parked,
                "the_time": now,
                "the_outcome": f.outcome,
                "the_speaker": f.speaker,
                "the_ticket": f.ticket,
                "the_customer": f.customer,
                "the_agent": f.agent,
                "the_sender": f.sender,
                "the_content_key": f.content_key,
                "the_copy_of": f.copy_of,
                "the_policy": f.policy_version,
            }
            for f in finished
        ],
    )
    await sealed.keep_normals(tx, [(f.id, f.parser_version, f.normal) for f in finished])


async def park(tx: Transaction, message: int, reason: str) -> bool:
    """Set a message aside for an operator; False if there is no such message."""
    done = await tx.execute(
        update(MESSAGE).where(MESSAGE.c.id == message).values(state=MessageState.PARKED.value, reason=reason[:500])
    )
    return done.rowcount == 1


async def requeue(tx: Transaction, message: int) -> bool:
    """Put a parked message back, to be tried alone and from scratch; False if it is not parked."""
    done = await tx.execute(
        update(MESSAGE)
        .where(MESSAGE.c.id == message, MESSAGE.c.state == MessageState.PARKED.value)
        .values(state=MessageState.ACCEPTED.value, reason=None, attempts=0, is_alone=True)
    )
    return done.rowcount == 1


async def parked(tx: Transaction, limit: int = 1_000) -> list[Parked]:
    """What waits for an operator, oldest first."""
    rows = await tx.rows(
        select(MESSAGE.c.id, MESSAGE.c.channel, MESSAGE.c.received_at, MESSAGE.c.reason, MESSAGE.c.ticket)
        .where(_IS_PARKED)
        .order_by(MESSAGE.c.id)
        .limit(limit)
    )
    return [
        Parked(
            id=r["id"],
            channel=r["channel"],
            received_at=r["received_at"],
            reason=r["reason"] or "",
            ticket=r["ticket"],
        )
        for r in rows
    ]


async def waiting(tx: Transaction) -> list[dict[str, Any]]:
    """What waits, by channel and state: [{channel, state, count, oldest}]."""
    return await tx.rows(
        select(
            MESSAGE.c.channel,
            MESSAGE.c.state,
            func.count().label("count"),
            func.min(MESSAGE.c.accepted_at).label("oldest"),
        )
        .where(
            MESSAGE.c.state.in_([MessageState.ACCEPTED.value, MessageState.CLAIMED.value, MessageState.PARKED.value])
        )
        .group_by(MESSAGE.c.channel, MESSAGE.c.state)
        .order_by(MESSAGE.c.channel, MESSAGE.c.state)
    )


_BY_CONTENT_KEY = select(MESSAGE.c.content_key, MESSAGE.c.id, MESSAGE.c.ticket).where(MESSAGE.c.content_key.in_(WANTED))
_RECENT_BY_SENDER = (
    select(MESSAGE.c.sender, func.count().label("count"))
    .where(MESSAGE.c.sender.in_(WANTED), MESSAGE.c.received_at >= bindparam("since"))
    .group_by(MESSAGE.c.sender)
)


async def by_content_key(tx: Transaction, keys: Sequence[str]) -> dict[str, tuple[int, int | None]]:
    """Messages that carry the same words already: {content key: (message id, ticket)}."""
    if not keys:
        return {}
    rows = await tx.rows(_BY_CONTENT_KEY, {"wanted": keys})
    return {r["content_key"]: (r["id"], r["ticket"]) for r in rows}


async def recent_by_sender(tx: Transaction, senders: Sequence[str], since: datetime) -> dict[str, int]:
    """How many messages each peer has sent since a moment: {sender: count}."""
    if not senders:
        return {}
    rows = await tx.rows(_RECENT_BY_SENDER, {"wanted": senders, "since": since})
    return {r["sender"]: r["count"] for r in rows}


_LAST_WORDS = select(MESSAGE.c.ticket, MESSAGE.c.id, MESSAGE.c.received_at).where(
    MESSAGE.c.id.in_(
        select(func.max(MESSAGE.c.id))
        .where(MESSAGE.c.ticket.in_(WANTED), MESSAGE.c.speaker == Speaker.CUSTOMER.value)
        .group_by(MESSAGE.c.ticket)
    )
)


_LAST_ACTS = (
    select(MESSAGE.c.ticket, MESSAGE.c.agent, func.max(MESSAGE.c.received_at).label("at"))
    .where(MESSAGE.c.ticket.in_(WANTED), MESSAGE.c.agent.is_not(None), MESSAGE.c.speaker == Speaker.AGENT.value)
    .group_by(MESSAGE.c.ticket, MESSAGE.c.agent)
)


async def last_words(tx: Transaction, tickets: Iterable[int]) -> dict[int, tuple[int, datetime]]:
    """The last message of its customer on each ticket, and when it came: {ticket: (message, received_at)}."""
    wanted = list(set(tickets))
    rows = await tx.rows(_LAST_WORDS, {"wanted": wanted}) if wanted else []
    return {r["ticket"]: (r["id"], r["received_at"]) for r in rows}


async def last_acts(tx: Transaction, tickets: Iterable[int]) -> dict[tuple[int, str], datetime]:
    """When each agent last did anything on each ticket: {(ticket, agent): received_at}."""
    wanted = list(set(tickets))
    rows = await tx.rows(_LAST_ACTS, {"wanted": wanted}) if wanted else []
    return {(r["ticket"], r["agent"]): r["at"] for r in rows}


async def state_of(tx: Transaction, message: int) -> MessageState | None:
    """Where a message stands; None if there is no such message."""
    state = await tx.scalar(select(MESSAGE.c.state).where(MESSAGE.c.id == message))
    return None if state is None else MessageState(state)


async def of_ticket(tx: Transaction, ticket: int) -> list[int]:
    """The messages that a ticket was made of, oldest first."""
    rows = await tx.rows(select(MESSAGE.c.id).where(MESSAGE.c.ticket == ticket).order_by(MESSAGE.c.id))
    return [r["id"] for r in rows]


async def speaker_of(tx: Transaction, message: int) -> str | None:
    """Who a decided message was from, as `routing.words.Speaker`; None before it is decided."""
    found = await tx.scalar(select(MESSAGE.c.speaker).where(MESSAGE.c.id == message))
    return None if found is None else str(found)


async def move(tx: Transaction, moved: Sequence[tuple[int, int]]) -> None:
    """Let messages belong to other tickets: (message, ticket)."""
    await tx.many(
        update(MESSAGE).where(MESSAGE.c.id == bindparam("the_id")).values(ticket=bindparam("the_ticket")),
        [{"the_id": number, "the_ticket": ticket} for number, ticket in moved],
    )
