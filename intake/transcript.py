"""The transcript of a chat: what the visitor's page shows, also after he was away.

Line ids are `m<message>` (the visitor's) and `o<outbox row>` (ours). What the page has not confirmed is always among
the lines, wherever it stands: a line that was written late must not be skipped by a page that is past it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select

from channels.adapter import TranscriptLine
from channels.message import Scheme
from routing.policy import Policy
from routing.words import OutboxState, Purpose
from store import outbox, sealed
from store.engine import Database, Transaction
from store.messages import MESSAGE
from store.outbox import OutboxItem

MAX_LINES = 200


async def transcript(db: Database, policy: Policy, channel: str, session: str, after: str) -> list[TranscriptLine]:
    """The lines of a session after a line id ("" for all), oldest first; at most 200, the latest."""
    async with db.reading() as tx:
        said = await _visitor_lines(tx, channel, session)
        ours = await outbox.to_address(
            tx, f"{Scheme.WEB.value}:{session}", [Purpose.ANSWER, Purpose.ACKNOWLEDGEMENT], MAX_LINES
        )
        stored = await outbox.stored_bytes(tx, [i.id for i in ours])
    lines = [(line.at, line, True) for line in said]
    for item in ours:
        line = _our_line(item, stored.get(item.id), policy)
        if line is not None:
            lines.append((item.created_at, line, item.state is OutboxState.DELIVERED))
    lines.sort(key=lambda entry: _place(entry[1]))
    ids = [line.id for _, line, _ in lines]
    start = ids.index(after) + 1 if after in ids else 0
    kept = [line for n, (_, line, is_confirmed) in enumerate(lines) if n >= start or not is_confirmed]
    return kept[-MAX_LINES:]


def _place(line: TranscriptLine) -> tuple[datetime, bool, int]:
    """Where a line stands: by time; of what was committed together, the visitor first, then by number."""
    return line.at, not line.is_from_visitor, int(line.id[1:])


async def _visitor_lines(tx: Transaction, channel: str, session: str) -> list[TranscriptLine]:
    # By octets: a collation for people would sort punctuation elsewhere, and the range would miss.
    external_id = MESSAGE.c.external_id if tx.dialect == "sqlite" else MESSAGE.c.external_id.collate("C")
    rows = await tx.rows(
        select(MESSAGE.c.id, MESSAGE.c.accepted_at)
        .where(
            MESSAGE.c.channel == channel,
            external_id > f"{session}:",
            external_id < f"{session};",  # ";" follows ":"
        )
        .order_by(MESSAGE.c.id.desc())
        .limit(MAX_LINES)
    )
    octets, _ = await sealed.raws_or_why(tx, [row["id"] for row in rows])  # an erased line is not shown
    return [_visitor_line(row, octets[row["id"]]) for row in reversed(rows) if row["id"] in octets]


def _visitor_line(row: dict[str, Any], octets: bytes) -> TranscriptLine:
    said = orjson.loads(octets)
    return TranscriptLine(
        id=f"m{row['id']}",
        is_from_visitor=True,
        text=str(said.get("text", "")),
        at=row["accepted_at"],
        client_id=str(said.get("client_id", "")),
    )


def _our_line(item: OutboxItem, stored: bytes | None, policy: Policy) -> TranscriptLine | None:
    """A line of ours, once it has been worded; what is held or failed is none."""
    if item.state not in _SHOWN:
        return None
    text = stored.decode() if stored is not None else str(item.recipe.get("words", ""))
    if not text:
        return None
    agent = policy.agents.get(item.agent or "")
    author = agent.display_name if agent and item.purpose is Purpose.ANSWER else policy.firm
    return TranscriptLine(id=f"o{item.id}", is_from_visitor=False, text=text, at=item.created_at, author=author)


_SHOWN = (OutboxState.ATTEMPTING, OutboxState.DELIVERED, OutboxState.STORED, OutboxState.UNKNOWN)
