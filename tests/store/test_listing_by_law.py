"""A return that is due comes forward in an agent's list as its date nears."""

from __future__ import annotations

from datetime import timedelta

from support.storefacts import NOW, target, ticket

from store import deadlines, listing, tickets
from store.engine import Database

DAY = timedelta(days=1)


async def test_a_date_of_the_law_stands_among_promises(db: Database) -> None:
    async with db.transaction() as tx:
        await tickets.add(
            tx,
            [
                ticket(id=1001),
                ticket(id=1002, statutory_at=NOW + 3 * DAY),
                ticket(id=1003, statutory_at=NOW + 9 * DAY),
                ticket(id=1004),
                ticket(id=1005, statutory_at=NOW + DAY),
            ],
        )
        await deadlines.add(
            tx,
            [
                target(ticket=1001, due_at=NOW + 5 * DAY),
                target(ticket=1003, due_at=NOW + 2 * DAY),
                target(ticket=1005, due_at=NOW + 6 * DAY),
            ],
        )

    async with db.reading() as tx:
        found = await listing.open_of_agent(tx, "chen")

    assert [t.id for t in found] == [1005, 1003, 1002, 1001, 1004]
