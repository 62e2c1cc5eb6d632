"""What of a customer's mail is not in the agent's, and where he finds it: nothing is left out without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from channels.message import Medium, Message
from intake import dates
from intake.cards import Stationery
from intake.mailbytes import File
from routing.writing import FETCH_FOR
from store.engine import WANTED, Transaction
from store.messages import MESSAGE
from store.outbox import OutboxItem

MAX_NAMED = 5  # files
FILES_PATH = "/files"  # where the page with a message's files lies, below [http] public_url


async def arrived_of(tx: Transaction, number: int | None) -> Mapping[str, Any]:
    """How a message came: channel, received_at, size, is_truncated; {} for none."""
    return (await all_arrived(tx, [number])).get(number, {}) if number is not None else {}


async def all_arrived(tx: Transaction, numbers: Iterable[int]) -> dict[int, Mapping[str, Any]]:
    """The same of several messages, by number."""

    async def read(wanted: list[int]) -> dict[int, Mapping[str, Any]]:
        return {r["id"]: r for r in await tx.rows(_ARRIVED, {"wanted": wanted})}

    return await tx.once("arrived", numbers, read)


_ARRIVED = select(MESSAGE.c.id, MESSAGE.c.channel, MESSAGE.c.received_at, MESSAGE.c.size, MESSAGE.c.is_truncated).where(
    MESSAGE.c.id.in_(WANTED)
)


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


def link_to_files(item: OutboxItem, with_: Stationery, language: str, now: datetime) -> tuple[str, str]:
    """The words before the link, and the link; two empty ones where there is none, or nobody could follow it."""
    token = str(item.recipe.get("files", ""))
    if not token or not with_.links:
        return "", ""
    until = dates.moment(item.created_at + FETCH_FOR, with_.policy.timezone, language, now)
    return with_.texts.say("agent.left_out.link", language, until=until), f"{with_.links}{FILES_PATH}/{token}"
