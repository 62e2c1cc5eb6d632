"""Merging: everything that was written on one ticket belongs to another from now on."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import update

from routing.joining import MAX_JOINED, joined_to
from routing.words import Speaker
from store import documents, tickets
from store.engine import Transaction
from store.messages import MESSAGE
from store.tickets import THREAD_KEY


async def merge(tx: Transaction, ticket: int, into: int) -> None:
    """Let a ticket's messages and every key of it lead to another one, and its papers count there.

    What agents wrote on it stays where it is.
    """
    await tx.execute(update(THREAD_KEY).where(THREAD_KEY.c.ticket == ticket).values(ticket=into))
    of_customer = (MESSAGE.c.ticket == ticket, MESSAGE.c.speaker == Speaker.CUSTOMER.value)
    await tx.execute(update(MESSAGE).where(*of_customer).values(ticket=into))
    papers = await documents.of_ticket(tx, ticket)
    await documents.add(tx, [replace(one, ticket=into) for one in papers])


async def goes_on_as(tx: Transaction, number: int) -> int:
    """The number of the ticket that one goes on as, however often it was joined; else its own."""
    for _ in range(MAX_JOINED):
        ticket = (await tickets.by_ids(tx, [number])).get(number)
        following = joined_to(ticket) if ticket is not None else None
        if following is None:
            break
        number = following
    return number
