"""Duties: what the decider does between messages, because nobody else may change whose turn a ticket is.

A matter that was answered on one channel is answered on the others; what will be late with one agent goes to another
who can make it; what nobody has is given to whoever is free. Each look costs a few reads; a transaction is written only
where there is something to do, under the decider's lease like a batch of decisions. Done twice it changes nothing: what
was done is not found again, so dying in between loses nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from intake.gather import gather
from routing.desk import Desk
from routing.matters import Elsewhere, settle
from routing.policy import Policy
from routing.records import Event, Target
from routing.relief import arm, hand_out_all, relieve
from routing.tokens import Keyring
from routing.words import NoticeKind
from store import customers, deadlines, events, messages, tickets
from store.engine import Transaction

RESCUED = "ticket_rescued"

Fill = Callable[[Transaction, Desk], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Due:
    """What a look has found."""

    desk: Desk | None = None  # on which everything that is due has been decided; None where nothing is
    next_at: datetime | None = None  # when to look again, if nothing happens before


async def look(tx: Transaction, policy: Policy, keyring: Keyring, now: datetime, fill: Fill) -> Due:
    """Decide everything that is due now. `fill` lets a desk know how busy and how present everybody is."""
    answered = await deadlines.answered_elsewhere(tx)
    late = await deadlines.to_relieve(tx, now)
    nobodys = await tickets.unassigned(tx)
    next_at = await deadlines.relieve_at(tx)
    if not answered and not late and not nobodys:
        return Due(None, next_at)
    desk = await gather(tx, [], policy, keyring, now)
    await fill(tx, desk)
    numbers = {t.ticket for t in late} | {t.id for t in nobodys} | {t.ticket for pair in answered for t in pair}
    await _read(tx, desk, numbers)
    settle(desk, [Elsewhere(owed=_on(desk, owed), by=by) for owed, by in answered])
    rescued = await events.of_kind(tx, numbers, RESCUED) if late else []
    seen = await messages.last_acts(tx, [t.ticket for t in late])
    relieve(desk, [_on(desk, t) for t in late if _is_there(desk, t)], seen, _had(rescued))
    handed = hand_out_all(desk, nobodys, await deadlines.told(tx, [t.id for t in nobodys], NoticeKind.OVERFLOW))
    arm(desk)
    moments = [at for at in (next_at, handed.next_at) if at is not None and at > now]
    return Due(desk if _has_changed(desk) else None, min(moments, default=None))


async def _read(tx: Transaction, desk: Desk, numbers: Iterable[int]) -> None:
    found = await tickets.by_ids(tx, numbers)
    desk.tickets.update(found)
    desk.targets.update(await deadlines.of_tickets(tx, found))
    desk.spoken.update(await messages.last_words(tx, found))  # what whoever gets it must answer
    known = {t.customer for t in found.values()}
    desk.customers.update(await customers.by_ids(tx, known))
    for customer, theirs in (await tickets.open_of_customers(tx, known)).items():
        desk.open_of[customer] = [t.id for t in theirs]
        desk.tickets.update({t.id: t for t in theirs})


def _on(desk: Desk, target: Target) -> Target:
    """The desk's own record of a target: it is replaced by identity."""
    return next(t for t in desk.targets[target.ticket] if (t.kind, t.ordinal) == (target.kind, target.ordinal))


def _is_there(desk: Desk, target: Target) -> bool:
    return target.ticket in desk.targets and _on(desk, target).is_open


def _had(rescued: Iterable[Event]) -> dict[int, tuple[str, ...]]:
    """From whom each ticket was taken."""
    found: dict[int, list[str]] = defaultdict(list)
    for event in rescued:
        if event.ticket is not None and event.data.get("taken_from"):
            found[event.ticket].append(str(event.data["taken_from"]))
    return {ticket: tuple(names) for ticket, names in found.items()}


def _has_changed(desk: Desk) -> bool:
    changes = desk.changes
    return bool(changes.events or changes.outbox or changes.moved_targets or changes.noticed)
