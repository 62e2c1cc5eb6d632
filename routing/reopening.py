"""Reopening: an agent says that a closed ticket is not done. What was owed when it was closed is owed again."""

from __future__ import annotations

from dataclasses import replace

from routing.deed import Act
from routing.desk import Desk, Incoming
from routing.joining import MERGED
from routing.policy import Agent
from routing.records import Target, Ticket
from routing.words import TargetKind, TicketState


def not_closed(act: Act) -> str:
    if act.ticket.state is not TicketState.CLOSED:
        return "not_closed"
    return "merged" if (act.ticket.closed_reason or "").startswith(MERGED) else ""


def reopens(act: Act) -> str:
    reopen(act.incoming, act.desk, act.agent, act.ticket)
    return ""


def reopen(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> None:
    """Open it; promises that ended with it go on with their old deadlines."""
    owe_again(desk, ticket)
    desk.put_ticket(replace(desk.tickets[ticket.id], state=TicketState.OPEN, updated_at=desk.now))
    desk.tell("ticket_opened_again", ticket=ticket.id, message=incoming.id, agent=agent.name)


def is_closed_by(ticket: Ticket, agent: Agent) -> bool:
    return ticket.state is TicketState.CLOSED and ticket.closed_reason == f"closed by {agent.name}"


def owe_again(desk: Desk, ticket: Ticket) -> None:
    """Take back what closing it did to its promises."""
    for target in list(desk.targets.get(ticket.id, ())):
        was_withdrawn = target.withdrawn_at is not None and target.withdrawn_at == ticket.closed_at
        was_met = (
            target.kind is TargetKind.RESOLUTION and target.met_at is not None and target.met_at == ticket.closed_at
        )
        if was_withdrawn or was_met:
            _owe(desk, target)


def _owe(desk: Desk, target: Target) -> None:
    owed = replace(target, withdrawn_at=None, met_at=None, answered_at=None)
    if not _forgotten(desk, target):
        desk.changes.reopened.append(owed)
    desk.replace_target(target, replace(owed, next_at=owed.next_after(desk.now)))
    desk.tell(
        "target_restored",
        ticket=owed.ticket,
        target=owed.kind.value,
        ordinal=owed.ordinal,
        due_at=owed.due_at.isoformat(),
    )


def _forgotten(desk: Desk, target: Target) -> bool:
    """Whether it ended in this very batch: then that is not written at all."""
    one = (target.ticket, target.kind, target.ordinal)
    met = [m for m in desk.changes.met if (m[0].ticket, m[0].kind, m[0].ordinal) != one]
    withdrawn = [w for w in desk.changes.withdrawn_targets if (w[0].ticket, w[0].kind, w[0].ordinal) != one]
    is_new = (len(met), len(withdrawn)) != (len(desk.changes.met), len(desk.changes.withdrawn_targets))
    desk.changes.met, desk.changes.withdrawn_targets = met, withdrawn
    return is_new
