"""Joining: an agent lets a stranger into the thread that he wrote to.

Who refers to a ticket without belonging to it has got a ticket of his own that points at the other, and nothing of the
other's history. `!join` closes his as merged, lets him into the other, and moves what he wrote there; from then on he
gets copies. The clock goes on from when his words came. Without that word an answer goes to him alone.
"""

from __future__ import annotations

from dataclasses import replace

from channels.message import Medium, Scheme
from routing.answer_letters import drop_held, held_words, hold_words
from routing.deed import Act
from routing.desk import Desk, Incoming
from routing.holding import tell_agent
from routing.opening import add_target
from routing.policy import Agent
from routing.recipients import answer_address, participant
from routing.records import Target, Ticket
from routing.sla import next_response_for
from routing.words import ParticipantRole, Purpose, Standing, TargetKind, TicketState
from routing.writing import write_to_holder

MERGED = "merged into #"  # how the reason of such a closing begins
MAX_JOINED = 20  # times in a row that a ticket went on as another
_WORDS = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE)


def joined_to(ticket: Ticket) -> int | None:
    """The number of the ticket that this one goes on as; None where it is one of its own."""
    why = ticket.closed_reason or ""
    number = why.removeprefix(MERGED)
    is_joined = ticket.state is TicketState.CLOSED and number != why and number.isdecimal()
    return int(number) if is_joined else None


def goes_on_as(desk: Desk, ticket: Ticket) -> Ticket:
    """The ticket that one goes on as, however often it was joined to another; itself where it was not."""
    for _ in range(MAX_JOINED):
        number = joined_to(ticket)
        following = desk.tickets.get(number) if number is not None else None
        if following is None:
            break
        ticket = following
    return ticket


def other_of(desk: Desk, ticket: Ticket, argument: str) -> Ticket | None:
    """The ticket to join: the one that this one points at. A number is only taken if it is that one's."""
    number = argument.strip().lstrip("#＃")
    if ticket.follows is None or (number and number != str(ticket.follows)):
        return None
    return desk.tickets.get(ticket.follows)


def nothing_to_join(act: Act) -> str:
    return "no_other" if other_of(act.desk, act.ticket, act.argument) is None else ""


def joins(act: Act) -> str:
    other = other_of(act.desk, act.ticket, act.argument)
    assert other is not None, "asked before"
    join(act.incoming, act.desk, act.agent, act.ticket, other)
    return "joined_words"


def join(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, other: Ticket) -> None:
    """Let the sender of a ticket into another, with everything that he wrote."""
    waits = ticket.state is TicketState.OPEN
    to = answer_address(other, desk.contacts.get(other.contact))
    if ticket.contact.startswith(f"{Scheme.MAIL.value}:") and ticket.contact not in (other.contact, to):
        desk.put_participant(
            participant(
                other.id, ticket.contact, ticket.contact_name, ParticipantRole.CC, at=desk.now, agent=agent.name
            )
        )
        desk.tell("copies_changed", ticket=other.id, message=incoming.id, agent=agent.name, added=1, removed=0)
    _close(incoming, desk, agent, ticket, other)
    take_along(incoming, desk, ticket, other)
    desk.merge(ticket.id, other.id)
    current = desk.tickets[other.id]
    if waits:
        desk.put_ticket(replace(current, state=TicketState.OPEN, updated_at=desk.now))
        _promise(desk, desk.tickets[other.id], ticket)
    write_to_holder(
        desk,
        desk.tickets[other.id],
        ticket.opened_by,
        Purpose.UPDATE,
        standing=Standing(ticket.standing),
    )


def take_along(incoming: Incoming, desk: Desk, ticket: Ticket, other: Ticket) -> None:
    """Answers that wait for a word of their authors wait on the ticket that it goes on as.

    Whose answers wait on both gets them back: his next `!send` could mean either.
    """
    waiting = {name: words for (number, name), words in desk.held.items() if number == ticket.id}
    for name, words in waiting.items():
        author = desk.policy.agents.get(name)
        if author is None:
            continue
        drop_held(desk, ticket, author)
        theirs = held_words(desk, other, author)
        if theirs is None:
            asked = words.recipe.get("asked", ())
            hold_words(desk, other, author, replace(words, ticket=other.id), words.held_reason or "merged", asked)
            continue
        drop_held(desk, other, author)
        for one in (words, theirs):
            tell_agent(
                incoming, desk, author, other, "merged", detail=str(other.id), would_have_left=str(one.recipe["words"])
            )


def _close(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, other: Ticket) -> None:
    for target in desk.open_targets(ticket.id):
        desk.withdraw(target, desk.now)
    desk.put_ticket(
        replace(
            desk.tickets[ticket.id],
            state=TicketState.CLOSED,
            closed_at=desk.now,
            closed_reason=f"{MERGED}{other.id}",
            updated_at=desk.now,
        )
    )
    desk.tell("ticket_merged", ticket=ticket.id, message=incoming.id, agent=agent.name, into=other.id)
    desk.tell("ticket_joined", ticket=other.id, message=incoming.id, agent=agent.name, joined=ticket.id)


def _promise(desk: Desk, other: Ticket, ticket: Ticket) -> Target | None:
    """His words wait for an answer there, from when they came; a promise that is there already covers them."""
    if any(t.kind in _WORDS for t in desk.open_targets(other.id)):
        return None
    plan = next_response_for(
        desk.policy,
        channel=other.channel,
        medium=Medium(other.medium),
        urgent=other.is_urgent or ticket.is_urgent,
        at=ticket.opened_at,
        team=other.team,
        kind=other.kind,
        topic=other.topic,
        grade=desk.grade_of(other),
    )
    return add_target(desk, other, plan, ticket.opened_by)
