"""Pauses that end without a message: a wait is over, an answer never arrived; the clocks run on in the store.

In the transaction that opens the ticket again: there is no moment at which it is open and its clocks stand.
"""

from __future__ import annotations

from datetime import datetime

from routing.pausing import calendar_of, ran_on, resumed
from routing.policy import Policy
from routing.records import Event, Ticket
from store import deadlines
from store.engine import Transaction


async def run_on(tx: Transaction, ticket: Ticket, policy: Policy, at: datetime, now: datetime) -> list[Event]:
    """Let what stands of a ticket run on from `at`; what is to be told of it. The caller wakes the watcher."""
    written, moved = [], []
    for target in (await deadlines.of_tickets(tx, [ticket.id], only_open=True)).get(ticket.id, []):
        if target.paused_at is None:
            continue
        after = resumed(target, calendar_of(policy, target, ticket.channel, ticket.team), at, now)
        moved.append((target, after))
        written.append(ran_on(target, after, now))
    await deadlines.move(tx, moved)
    return written
