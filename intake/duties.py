"""Duties: what the decider does between messages, because nobody else may change whose turn a ticket is.

A matter that was answered on one channel is answered on the others. Each look costs a read or two; a transaction is
written only where there is something to do, under the decider's lease like a batch of decisions. Done twice it changes
nothing: what was settled is not found again, so dying in between loses nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from intake.gather import gather
from routing.desk import Desk
from routing.matters import Elsewhere, settle
from routing.policy import Policy
from routing.records import Target
from routing.tokens import Keyring
from store import deadlines, tickets
from store.engine import Transaction

Fill = Callable[[Transaction, Desk], Awaitable[None]]


async def look(tx: Transaction, policy: Policy, keyring: Keyring, now: datetime, fill: Fill) -> Desk | None:
    """A desk on which everything that is due now has been decided; None where nothing is.

    `fill` lets a desk know how busy and how present everybody is.
    """
    answered = await deadlines.answered_elsewhere(tx)
    if not answered:
        return None
    desk = await gather(tx, [], policy, keyring, now)
    await fill(tx, desk)
    numbers = {target.ticket for pair in answered for target in pair}
    desk.tickets.update(await tickets.by_ids(tx, numbers))
    desk.targets.update(await deadlines.of_tickets(tx, numbers))
    settle(desk, [Elsewhere(owed=_on(desk, owed), by=by) for owed, by in answered])
    return desk


def _on(desk: Desk, target: Target) -> Target:
    """The desk's own record of a target: it is replaced by identity."""
    return next(t for t in desk.targets[target.ticket] if (t.kind, t.ordinal) == (target.kind, target.ordinal))
