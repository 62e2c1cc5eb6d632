"""Covering: what waits for an agent, and who could take it while he is away.

The desk must hold all that waits for him (`intake/asked_about.py` reads it where a command needs it).
"""

from __future__ import annotations

from datetime import UTC, datetime

from routing.assignment import Assignment, Need, assign, with_more
from routing.desk import Desk
from routing.records import Ticket
from routing.words import Kind, TicketState

_FAR = datetime.max.replace(tzinfo=UTC)


def waiting_for(desk: Desk, name: str, by: datetime | None = None) -> list[Ticket]:
    """The tickets that wait for an agent, the nearest deadline first; with `by`, those owed until then."""
    his = [t for t in desk.tickets.values() if t.agent == name and t.state is TicketState.OPEN]
    if by is not None:
        his = [t for t in his if (due := next_due(desk, t.id)) is not None and due <= by]
    return sorted(his, key=lambda t: (next_due(desk, t.id) or _FAR, t.id))


def next_due(desk: Desk, ticket: int) -> datetime | None:
    """When the next promise of a ticket falls due; None where nothing is owed."""
    return min((t.due_at for t in desk.open_targets(ticket)), default=None)


def could_take(desk: Desk, ticket: Ticket, without: str) -> list[str]:
    """Who of those who are there could take it now, the best first."""
    found = assign(desk.snapshot(), _need(desk, ticket, without), desk.now, desk.policy.assigning)
    return [candidate.agent for candidate in found.candidates if not candidate.why_not]


def shared_out(desk: Desk, tickets: list[Ticket], without: str) -> list[tuple[Ticket, Assignment]]:
    """Who would get each of these, one after the other: who gets one has more to do when the next is given."""
    people = desk.snapshot().copy()
    given: list[tuple[Ticket, Assignment]] = []
    for ticket in tickets:
        need = _need(desk, ticket, without)
        found = assign(people, need, desk.now, desk.policy.assigning)
        given.append((ticket, found))
        if found.agent is not None:
            people.put(with_more(people[found.agent.name], need, desk.now))
    return given


def _need(desk: Desk, ticket: Ticket, without: str) -> Need:
    team = desk.policy.teams.get(ticket.team) or desk.policy.teams[desk.policy.default_team]
    return Need(
        members=frozenset(team.members),
        topic=ticket.topic,
        language=ticket.language,
        is_complaint=ticket.kind is Kind.COMPLAINT,
        excluded=frozenset({without, ticket.accused or without}),
        load=desk.policy.assigning.loads.of(ticket.medium, ticket.kind.value),
    )
