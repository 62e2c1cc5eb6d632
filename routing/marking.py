"""Marking: an agent says that a ticket is junk, or that it is none after all.

`!spam` closes it: nothing is owed, its figures stand apart (`closed_reason`), and its sender is remembered. `!notspam`
takes the mark back, opens what was closed by it, and what was owed is owed again with its old deadline.
"""

from __future__ import annotations

from dataclasses import replace

from routing.desk import Desk, Incoming
from routing.policy import Agent
from routing.records import Ticket
from routing.words import SpamMark, TicketState

SPAM = "spam"  # the reason of such a closing


def mark_spam(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> None:
    """Close it as junk, and remember its sender."""
    for target in desk.open_targets(ticket.id):
        desk.withdraw(target, desk.now)
    current = desk.tickets[ticket.id]
    desk.put_ticket(
        replace(current, state=TicketState.CLOSED, closed_at=desk.now, closed_reason=SPAM, updated_at=desk.now)
    )
    _mark(desk, ticket, SpamMark.SPAM)
    desk.tell("marked_spam", ticket=ticket.id, message=incoming.id, agent=agent.name, customer=ticket.customer)


def mark_not_spam(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> None:
    """Take the mark back; what was closed by it is open again."""
    _mark(desk, ticket, SpamMark.NOT_SPAM)
    was_spam = ticket.state is TicketState.CLOSED and ticket.closed_reason == SPAM
    if was_spam:
        for target in list(desk.targets.get(ticket.id, ())):
            if target.withdrawn_at is not None and target.withdrawn_at == ticket.closed_at:
                restored = desk.restore(target)
                desk.tell(
                    "target_restored",
                    ticket=ticket.id,
                    target=restored.kind.value,
                    ordinal=restored.ordinal,
                    due_at=restored.due_at.isoformat(),
                )
        desk.put_ticket(replace(desk.tickets[ticket.id], state=TicketState.OPEN, updated_at=desk.now))
    desk.tell(
        "marked_not_spam",
        ticket=ticket.id,
        message=incoming.id,
        agent=agent.name,
        customer=ticket.customer,
        reopened=was_spam,
    )


def _mark(desk: Desk, ticket: Ticket, mark: SpamMark) -> None:
    contact = desk.contacts.get(ticket.contact)
    if contact is not None:
        desk.put_contact(replace(contact, spam_mark=mark.value))
