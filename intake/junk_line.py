"""The junk of a day: one line to the supervisors when the desk opens, and nothing where there was none.

Told once a day, ever: the day is kept in the transaction that puts the mail into the outbox. Subjects are strangers'
words: a line each, short, without links.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from channels.normal_json import loads
from intake.cards import Stationery
from intake.compose_words import clean_line
from routing.bulletins import bulletin
from routing.calendars import is_open
from routing.records import Event, NewOutbox
from routing.words import Outcome
from store import sealed
from store.engine import Transaction
from store.messages import MESSAGE
from store.numbers import advance, kept

TOLD_ON = "junk_told_on"  # counter: the day (ordinal) that was told last
TOLD_UP_TO = "junk_told_up_to"  # counter: the last message that was counted
MAX_SENDERS = 10
MAX_SUBJECT = 60  # characters
_LINK = re.compile(r"\S{0,200}(?://|www\.)\S{0,200}", re.I)


def day_to_tell(with_: Stationery, now: datetime) -> int | None:
    """The day (ordinal, in the desk's time) whose line is due; None while the desk is closed."""
    policy = with_.policy
    if not is_open(policy.calendars[policy.calendar], now):
        return None
    return now.astimezone(ZoneInfo(policy.timezone)).toordinal()


async def junk_line(
    tx: Transaction, with_: Stationery, day: int, now: datetime
) -> tuple[Sequence[Event], Sequence[NewOutbox]]:
    """What is to be told for a day, once: (events, mails). The caller owns the transaction."""
    if not await advance(tx, TOLD_ON, day):
        return [], []
    where = (MESSAGE.c.id > await kept(tx, TOLD_UP_TO), MESSAGE.c.outcome == Outcome.JUNK.value)
    found = await tx.rows(
        select(MESSAGE.c.sender, func.count().label("count"), func.max(MESSAGE.c.id).label("latest"))
        .where(*where)
        .group_by(MESSAGE.c.sender)
        .order_by(func.count().desc(), MESSAGE.c.sender)
    )
    if not found:
        return [], []
    await advance(tx, TOLD_UP_TO, max(row["latest"] for row in found))
    count = sum(row["count"] for row in found)
    shown = found[:MAX_SENDERS]
    normals = (await sealed.normals_or_why(tx, [row["latest"] for row in shown]))[0]
    lines = [
        _line(
            row["sender"] or "", row["count"], loads(normals[row["latest"]]).subject if row["latest"] in normals else ""
        )
        for row in shown
    ]
    if len(found) > MAX_SENDERS:
        lines.append("…")
    recipe = {"code": "junk_seen", "detail": str(count), "would_have_left": "\n".join(lines)}
    mails = bulletin(with_.policy, with_.keyring, recipe, day)
    told = [mail.agent for mail in mails]
    return [Event(at=now, kind="junk_told", data={"count": count, "senders": len(found), "told": told})], mails


def _line(sender: str, count: int, subject: str) -> str:
    who = clean_line(sender.partition(":")[2], 120) or "?"
    about = clean_line(_LINK.sub("…", subject), MAX_SUBJECT)
    return f"{who} ({count})" + (f" · {about}" if about else "")
