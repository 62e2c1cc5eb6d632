"""Marking: an agent says that a ticket is junk, or that it is none after all.

`!spam` closes it: nothing is owed, its figures stand apart (`closed_reason`), and its sender is remembered. `!notspam`
takes the mark back, opens what was closed by it, and what was owed is owed again with its old deadline.

Whose name stands on a mail that nobody vouched for may know nothing of it: a forged mail that is called junk must not
silence the customer whose name it bears. There only a sender of whom nothing else is known is remembered.
"""

from __future__ import annotations

from dataclasses import replace

from routing.deed import Act
from routing.desk import Desk, Incoming
from routing.handing_over import taken_away
from routing.policy import Agent
from routing.records import Contact, Ticket
from routing.words import SpamMark, Standing, TicketState

SPAM = "spam"  # the reason of such a closing


def is_junk(act: Act) -> str:
    return "spam_words" if mark_spam(act.incoming, act.desk, act.agent, act.ticket) else "spam_words_here"


def is_no_junk(act: Act) -> str:
    mark_not_spam(act.incoming, act.desk, act.agent, act.ticket)
    return ""


def mark_spam(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> bool:
    """Close it as junk, and remember its sender where it is his own; True if he is remembered."""
    for target in desk.open_targets(ticket.id):
        desk.withdraw(target, desk.now)
    current = desk.tickets[ticket.id]
    desk.put_ticket(
        replace(
            current,
            state=TicketState.CLOSED,
            closed_at=current.closed_at or desk.now,  # what was owed then is found by that moment
            closed_reason=SPAM,
            updated_at=desk.now,
        )
    )
    mark = _mark_of(ticket, desk.contacts.get(ticket.contact))
    if mark is not None:
        _mark(desk, ticket, mark)
    desk.tell(
        "marked_spam",
        ticket=ticket.id,
        message=incoming.id,
        agent=agent.name,
        customer=ticket.customer,
        remembered=mark.value if mark else "",
    )
    taken_away(incoming, desk, ticket, agent)
    return mark is not None


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


def _mark_of(ticket: Ticket, contact: Contact | None) -> SpamMark | None:
    """How its sender is remembered; None for whoever was known before a mail that may be forged."""
    if contact is None:
        return None
    if ticket.standing == Standing.VERIFIED or contact.spam_mark == SpamMark.SPAM:
        return SpamMark.SPAM
    # A contact is registered while his first message is decided, so after that came in.
    is_new = not contact.is_verified and contact.first_seen_at >= ticket.opened_at
    return SpamMark.SPAM_UNPROVEN if is_new or contact.spam_mark == SpamMark.SPAM_UNPROVEN else None


def _mark(desk: Desk, ticket: Ticket, mark: SpamMark) -> None:
    contact = desk.contacts.get(ticket.contact)
    if contact is not None:
        desk.put_contact(replace(contact, spam_mark=mark.value))
