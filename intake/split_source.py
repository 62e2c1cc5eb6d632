"""Split source: the customer's message that an agent's reply answers, found by the mail of ours that he replied to."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import func, select

from channels.adapter import Envelope
from channels.message import Medium
from intake.cards import messages_of
from intake.shown import standing_of
from routing.desk import Incoming, Source
from routing.threads import MAX_REFERENCES
from routing.words import Purpose, Speaker
from store import sent, tickets
from store.engine import Transaction
from store.messages import MESSAGE
from store.outbox import OutboxItem

#: What shows an agent a customer's words.
_SHOWS = frozenset({Purpose.ASSIGNMENT, Purpose.UPDATE})


async def source_of(tx: Transaction, reply: Incoming) -> Source | None:
    """What this mail answers; None where it answers no mail that shows one message of a customer."""
    item = await _answered(tx, reply)
    if item is None:
        return None
    shown = item.recipe.get("messages") or (item.source,)
    if len(shown) != 1 or shown[0] is None:  # several in one mail: which of them is meant?
        return None
    number = int(shown[0])
    columns = [MESSAGE.c[n] for n in ("id", "channel", "medium", "received_at", "ticket", "speaker")]
    rows = await tx.rows(select(*columns).where(MESSAGE.c.id == number))
    message = (await messages_of(tx, [number])).get(number)
    if not rows or message is None or rows[0]["speaker"] != Speaker.CUSTOMER.value or rows[0]["ticket"] is None:
        return None
    row = rows[0]
    last = select(func.max(MESSAGE.c.id)).where(
        MESSAGE.c.ticket == row["ticket"], MESSAGE.c.speaker == Speaker.CUSTOMER.value
    )
    ticket = (await tickets.by_ids(tx, [row["ticket"]]))[row["ticket"]]
    return Source(
        message=Incoming(
            id=number,
            channel=row["channel"],
            medium=Medium(row["medium"]),
            received_at=row["received_at"],
            message=message,
            envelope=Envelope(),
        ),
        ticket=row["ticket"],
        standing=await standing_of(tx, replace(item, source=number), ticket),
        is_latest=await tx.scalar(last) == number,
    )


async def _answered(tx: Transaction, reply: Incoming) -> OutboxItem | None:
    """The mail of ours that it answers: the nearest that it names."""
    named = (*reply.message.in_reply_to, *reversed(reply.message.references))[:MAX_REFERENCES]
    found = await sent.of_mail_ids(tx, named)
    rows = (item for one in named for item in found.get(one, ()))
    return next((item for item in rows if item.purpose in _SHOWS), None)
