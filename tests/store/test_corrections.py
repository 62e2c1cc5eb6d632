"""Corrections: one row a message and field, the last word against the first guess; the latest are read first."""

from __future__ import annotations

from datetime import timedelta

from support.storefacts import NOW

from routing.records import Correction
from store import askings, corrections
from store.engine import Database

FIRST = Correction(message=1, field="topic", ticket=1001, was="invoice", became="service", agent="chen", at=NOW)
AGAIN = Correction(
    message=1, field="topic", ticket=1001, was="service", became="general", agent="lin", at=NOW + timedelta(hours=1)
)
OTHER = Correction(
    message=2, field="kind", ticket=1002, was="business", became="complaint", agent="wu", at=NOW + timedelta(hours=2)
)


async def test_the_last_word_counts_against_the_first_guess(db: Database) -> None:
    async with db.transaction() as tx:
        await corrections.put(tx, [FIRST, OTHER])
    async with db.transaction() as tx:
        await corrections.put(tx, [AGAIN])
    async with db.reading() as tx:
        found = await corrections.latest(tx, 10)
        newest = await corrections.latest(tx, 1)

    assert [(c.message, c.was, c.became, c.agent) for c in found] == [
        (2, "business", "complaint", "wu"),
        (1, "invoice", "general", "lin"),
    ]
    assert newest == [OTHER]


async def test_nothing_was_asked_on_a_ticket_that_has_no_messages(db: Database) -> None:
    async with db.reading() as tx:
        assert await askings.lately(tx, [1001], NOW) == {}
        assert await askings.lately(tx, [], NOW) == {}
