"""Participants: who else belongs to a ticket beside its customer, or was named in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from routing.records import Participant, as_row
from store.engine import WANTED, Transaction
from store.schema import ParticipantRow

PARTICIPANT = ParticipantRow.__table__  # type: ignore[attr-defined]


_OF_TICKETS = (
    select(PARTICIPANT).where(PARTICIPANT.c.ticket.in_(WANTED)).order_by(PARTICIPANT.c.added_at, PARTICIPANT.c.address)
)


async def of_tickets(tx: Transaction, tickets: Iterable[int]) -> dict[int, dict[str, Participant]]:
    """Everybody named in these tickets, {ticket: {address: participant}}, in the order in which they came."""

    async def read(wanted: list[int]) -> dict[int, dict[str, Participant]]:
        found: dict[int, dict[str, Participant]] = {}
        for row in await tx.rows(_OF_TICKETS, {"wanted": wanted}):
            found.setdefault(row["ticket"], {})[row["address"]] = Participant(**row)
        return found

    return {number: dict(theirs) for number, theirs in (await tx.once("participants", tickets, read)).items()}


async def put(tx: Transaction, participants: Sequence[Participant]) -> None:
    """Write them as they are now; an earlier word on the same address in the same ticket is replaced."""
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    statement = dialect.insert(PARTICIPANT)
    changed = {name: statement.excluded[name] for name in ("name", "role", "source", "added_by")}
    statement = statement.on_conflict_do_update(index_elements=["ticket", "address"], set_=changed)
    await tx.many(statement, [as_row(p) for p in participants])
