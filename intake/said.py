"""What was said: the message that a mail to an agent is about, or the several that were bundled into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels.message import Message
from intake import dates
from intake.cards import Stationery, files_of, message_of
from intake.left_out import arrived_of, left_out
from intake.mailbytes import File
from routing.writing import MAX_FILES
from store.engine import Transaction
from store.outbox import OutboxItem

MAX_WORDS = 200_000  # characters of one message shown to an agent


@dataclass(frozen=True, kw_only=True)
class Said:
    """One or several messages of a customer, as their agent is shown them."""

    source: Message | None  # the latest; None where there is none
    words: str
    html: str  # of one message; several are shown as text
    arrived: Mapping[str, Any]  # how the latest came; see `arrived_of`
    files: tuple[File, ...]
    left_out: str
    first: int | None  # the number of the first: what was said before it is shown as the exchange


async def said_by(
    tx: Transaction, item: OutboxItem, with_: Stationery, timezone: str, language: str, now: datetime
) -> Said:
    """Read what a row of the outbox is about."""
    numbers = [int(number) for number in item.recipe.get("messages", ())]
    if len(numbers) < 2:
        source, arrived = await message_of(tx, item.source), await arrived_of(tx, item.source)
        files = await files_of(tx, item.source, limit=MAX_FILES)
        return Said(
            source=source,
            words=_shown(source, item.source, with_, language),
            html=source.html if source else "",
            arrived=arrived,
            files=tuple(files),
            left_out=left_out(source, arrived, files, with_, language),
            first=item.source,
        )
    words: list[str] = []
    missing: list[str] = []
    all_files: list[File] = []
    room = MAX_FILES
    for number in numbers:
        source, arrived = await message_of(tx, number), await arrived_of(tx, number)
        files = await files_of(tx, number, limit=room)
        room -= sum(len(file.content) for file in files)
        all_files += files
        missing.append(left_out(source, arrived, files, with_, language))
        at, shown = arrived.get("received_at"), _shown(source, number, with_, language)
        words.append(f"{dates.near(at, timezone, language, now)}\n{shown}" if at else shown)
    return Said(
        source=source,
        words="\n\n".join(words)[:MAX_WORDS],
        html="",
        arrived=arrived,
        files=tuple(all_files),
        left_out="\n".join(dict.fromkeys(one for one in missing if one)),
        first=numbers[0],
    )


def _shown(source: Message | None, number: int | None, with_: Stationery, language: str) -> str:
    """The words; of a message that was erased, or that nobody can open, that they are not here."""
    if source is None and number is not None:
        return with_.texts.say("card.gone", language)
    return words_of(source)


def words_of(source: Message | None) -> str:
    """The words to show; none for a call."""
    if source is None or source.call is not None:
        return ""
    # Mails attached to it stand beneath, for the agent to read: nothing is decided by them.
    return "\n\n".join(filter(None, (source.text or source.text_full, source.enclosed)))[:MAX_WORDS]
