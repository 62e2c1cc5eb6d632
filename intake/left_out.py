"""What of a customer's mail is not in the agent's, and where he finds it: nothing is left out without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from channels.message import Medium, Message
from intake.cards import Stationery
from intake.mailbytes import File
from store.engine import Transaction
from store.messages import MESSAGE

MAX_NAMED = 5  # files


async def arrived_of(tx: Transaction, number: int | None) -> Mapping[str, Any]:
    """How a message came: channel, received_at, size, is_truncated; {} for none."""
    columns = (MESSAGE.c.channel, MESSAGE.c.received_at, MESSAGE.c.size, MESSAGE.c.is_truncated)
    rows = await tx.rows(select(*columns).where(MESSAGE.c.id == number)) if number is not None else []
    return rows[0] if rows else {}


def left_out(
    source: Message | None, arrived: Mapping[str, Any], files: Sequence[File], with_: Stationery, language: str
) -> str:
    """The sentence; "" if all of it is here. `files` is what the agent is sent."""
    if source is None or source.medium is not Medium.EMAIL:
        return ""
    channel = with_.policy.channels.get(str(arrived.get("channel")))
    mailbox = channel.address if channel else ""
    say = with_.texts.say
    if arrived.get("is_truncated"):
        size = f"{arrived['size'] / 1_000_000:.0f}\u00a0MB"
        return say("agent.left_out.large", language, size=size, mailbox=mailbox)
    if len(files) < len(source.attachments):
        missing = Counter(a.name for a in source.attachments) - Counter(f.name for f in files)
        names = say("word.list_comma", language).join([*missing][:MAX_NAMED])
        return say("agent.left_out.files", language, names=names, mailbox=mailbox)
    return say("agent.left_out.parts", language, mailbox=mailbox) if source.is_cut else ""
