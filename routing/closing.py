"""Closing: an agent says that a ticket is done. He is told only what may surprise him: that nobody had answered."""

from __future__ import annotations

from dataclasses import replace

from routing.deed import Act
from routing.desk import Desk, Incoming
from routing.handing_over import taken_away
from routing.holding import tell_agent
from routing.policy import Agent
from routing.records import Ticket
from routing.words import TargetKind, TicketState


def closes(act: Act) -> str:
    if act.ticket.state is TicketState.CLOSED:
        return ""  # what was owed when it was closed is found by that moment, should it be opened again
    was_answered = _is_answered(act.desk, act.ticket)
    close(act.incoming, act.desk, act.agent, act.ticket)
    if not was_answered:
        tell_agent(act.incoming, act.desk, act.agent, act.ticket, "closed_unanswered")
    return ""


def _is_answered(desk: Desk, ticket: Ticket) -> bool:
    """Whether the customer has ever had an answer: words, or a call."""
    if ticket.state in (TicketState.ANSWERED, TicketState.CLOSED) or ticket.answered_at is not None:
        return True
    return any(t.met_at is not None for t in desk.targets.get(ticket.id, ()))


def close(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> None:
    """Close it. Promises of words end with it, unless an answer is on its way and will meet them."""
    closed = replace(
        ticket,
        state=TicketState.CLOSED,
        closed_at=desk.now,
        closed_reason=f"closed by {agent.name}",
        updated_at=desk.now,
    )
    desk.put_ticket(closed)
    is_answered = ticket.state is TicketState.ANSWERED
    for target in desk.open_targets(ticket.id):
        if target.kind is TargetKind.RESOLUTION:
            desk.meet(target, desk.now, desk.now)
        elif not is_answered or target.kind.value not in ("first_response", "next_response"):
            desk.withdraw(target, desk.now)
    desk.tell("ticket_closed", ticket=ticket.id, message=incoming.id, agent=agent.name, reason="closed by agent")
    taken_away(incoming, desk, ticket, agent)
