"""Needs: what a ticket asks of whoever takes it, from what the desk knows of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from routing.assignment import Need
from routing.desk import Desk
from routing.records import Ticket
from routing.words import Kind, TicketState


def need_of(desk: Desk, ticket: Ticket, *, due_at: datetime | None = None, **more: Any) -> Need:
    """The need of a ticket; `due_at` where its promises are not on the desk yet, `more` as `Need` names it."""
    team = desk.policy.teams.get(ticket.team) or desk.policy.teams[desk.policy.default_team]
    load = desk.policy.assigning.loads.of(ticket.medium, ticket.kind.value)
    facts: dict[str, Any] = {
        "members": _as_set(team.members),
        "topic": ticket.topic,
        "language": ticket.language,
        "is_complaint": ticket.kind is Kind.COMPLAINT,
        "excluded": frozenset({ticket.accused} - {None}),
        "preferred": own_agent(desk, ticket),
        "due_at": due_at or next_date(desk, ticket),
        "minutes": desk.policy.assigning.loads.first_of(ticket.medium, ticket.kind.value),
        "load": load,
    }
    return Need(**(facts | more))


def next_date(desk: Desk, ticket: Ticket) -> datetime | None:
    """The next moment by which something of a ticket must be done: a promise of ours, or a date of the law.

    So a return that is due comes up the queue as its date nears, and before mail that was promised for later.
    """
    dates = [t.due_at for t in desk.open_targets(ticket.id) if t.paused_at is None]
    if ticket.statutory_at is not None and ticket.statutory_at > desk.now:
        dates.append(ticket.statutory_at)
    return min(dates, default=None)


@lru_cache(maxsize=256)
def _as_set(members: tuple[str, ...]) -> frozenset[str]:
    return frozenset(members)  # of a large team it is made once, not for every ticket


def own_agent(desk: Desk, ticket: Ticket) -> str:
    """Who has the matter, else the ticket that this one points at, else who is at work for the customer, else whose
    he is; "" for nobody."""
    begun = desk.tickets.get(ticket.matter) if ticket.matter is not None else None
    followed = desk.tickets.get(ticket.follows) if ticket.follows is not None else None
    theirs = (desk.tickets.get(number) for number in desk.open_of.get(ticket.customer, ()))
    at_work = (t for t in theirs if t is not None and t.state is not TicketState.CLOSED)
    customer = desk.customers.get(ticket.customer)
    return _first(
        desk,
        (
            begun.agent if begun is not None else None,
            followed.agent if followed is not None else None,
            next((t.agent for t in at_work if t.agent and t.id != ticket.id), None),
            customer.agent if customer is not None else None,
        ),
    )


def _first(desk: Desk, names: Iterable[str | None]) -> str:
    return next((name for name in names if name and name in desk.policy.agents), "")
