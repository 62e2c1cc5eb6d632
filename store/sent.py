"""What was sent, as far as reports about it and limits on it concern it: read by Message-ID, by address, by time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import func, select, update

from routing.filters import digest_of
from routing.words import Purpose
from store.engine import WANTED, Transaction
from store.outbox import COLUMNS, OUTBOX, OutboxItem, item_of
from store.schema import ContactRow

CONTACT = ContactRow.__table__  # type: ignore[attr-defined]

COMPLAINT = "complaint: "  # how the words of a row begin whose reader reported it as abuse
MAX_BY_ADDRESS = 100  # latest rows to one address among which a mark is looked for
LOOKED_BACK = 200_000  # rows of the outbox in which the acknowledgements of a day are looked for


async def of_mail_ids(tx: Transaction, mail_ids: Iterable[str]) -> dict[str, list[OutboxItem]]:
    """Every row of a Message-ID, the oldest first: ours, or the one that the provider put for it."""
    wanted = set(mail_ids)
    found: dict[str, list[OutboxItem]] = {}
    if not wanted:
        return found
    # Two questions, each by its own index; ours comes last and wins.
    for column in (OUTBOX.c.remote_mail_id, OUTBOX.c.mail_id):
        rows = await tx.rows(select(*COLUMNS).where(column.in_(wanted)).order_by(OUTBOX.c.id))
        fresh: dict[str, list[OutboxItem]] = {}
        for row in rows:
            fresh.setdefault(row[column.name], []).append(item_of(row))
        found.update(fresh)
    return found


async def of_marks(tx: Transaction, marks: Mapping[str, str]) -> dict[str, str]:
    """The Message-IDs that marks are about: {digest: address it went to} -> {digest: Message-ID}."""
    found: dict[str, str] = {}
    for digest, address in marks.items():
        rows = await tx.rows(
            select(OUTBOX.c.mail_id)
            .where(OUTBOX.c.address == address, OUTBOX.c.mail_id != "")
            .order_by(OUTBOX.c.created_at.desc())
            .limit(MAX_BY_ADDRESS)
        )
        about = next((r["mail_id"] for r in rows if digest_of(r["mail_id"]) == digest), None)
        if about is not None:
            found[digest] = about
    return found


async def acknowledged_since(tx: Transaction, since: datetime) -> list[tuple[datetime, str, bool]]:
    """Acknowledgements since a moment, oldest first: (when, address, whether nobody knows or vouches for it)."""
    last = int(await tx.scalar(select(func.coalesce(func.max(OUTBOX.c.id), 0))))
    rows = await tx.rows(
        select(OUTBOX.c.created_at, OUTBOX.c.address, CONTACT.c.first_seen_at, CONTACT.c.is_verified)
        .outerjoin(CONTACT, CONTACT.c.address == OUTBOX.c.address)
        .where(
            OUTBOX.c.id > last - LOOKED_BACK,
            OUTBOX.c.created_at > since,
            OUTBOX.c.purpose == Purpose.ACKNOWLEDGEMENT.value,
        )
        .order_by(OUTBOX.c.id)
    )
    return [
        (
            r["created_at"],
            r["address"],
            not r["is_verified"] and (r["first_seen_at"] is None or r["first_seen_at"] > since),
        )
        for r in rows
    ]


async def complained(tx: Transaction, addresses: Iterable[str]) -> set[str]:
    """Which of these addresses have reported a mail of ours as abuse."""
    wanted = list(set(addresses))
    if not wanted:
        return set()
    rows = [r for one in (_COMPLAINED, _COMPLAINED_OF) for r in await tx.rows(one, {"wanted": wanted})]
    return {r["address"] for r in rows}


_COMPLAINED = select(CONTACT.c.address).where(CONTACT.c.address.in_(WANTED), CONTACT.c.complained_at.is_not(None))
#: Who got a copy may be no contact of ours: of him nothing but the row tells. What befalls the row later, it forgets.
_COMPLAINED_OF = (
    select(OUTBOX.c.address).where(OUTBOX.c.address.in_(WANTED), OUTBOX.c.error.startswith(COMPLAINT)).distinct()
)


async def record_complaint(tx: Transaction, number: int, words: str) -> None:
    """Whom a row was for reports it as abuse. It has arrived all the same."""
    await tx.execute(update(OUTBOX).where(OUTBOX.c.id == number).values(error=f"{COMPLAINT}{words}"[:500]))
