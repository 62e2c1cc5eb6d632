"""Matters: one customer asks the same thing on several channels, and is answered once.

Tickets of one matter stay apart, each on its channel; the first of them gives the matter its number. What an agent
answers on one meets the promises of words that wait on the others, each counted on its own ticket with the times of
that answer, and whoever waits there is told where he was answered. A ticket joins by itself on strong evidence only:
the same customer, vouched for on both channels, the same topic and kind, within a day. Anything weaker is a question on
the card, and an agent's `!same 1042` is the answer; `!apart` takes a ticket out again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from channels.message import Medium
from routing.desk import Desk, domain_of, mail_id
from routing.records import NewOutbox, Target, Ticket
from routing.words import Purpose, Standing, TargetKind, TicketState

SAME_WITHIN = timedelta(days=1)  # between the openings of two tickets that join by themselves, or are asked about
#: Promises that a person's words keep, on whatever channel.
WORDS = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE)


def same_matter(desk: Desk, ticket: Ticket) -> Ticket | None:
    """The latest open ticket that a new one is about as well, by strong evidence."""
    if not ticket.topic or ticket.standing != Standing.VERIFIED:
        return None
    theirs = (desk.tickets[n] for n in desk.open_of.get(ticket.customer, ()) if n in desk.tickets)
    return next((other for other in theirs if _is_same(ticket, other)), None)


def _is_same(ticket: Ticket, other: Ticket) -> bool:
    return (
        may_be_same(ticket, other)
        and other.standing == Standing.VERIFIED
        and (other.topic, other.kind) == (ticket.topic, ticket.kind)
    )


def may_be_same(ticket: Ticket, other: Ticket) -> bool:
    """Whether it is worth asking: another channel, the same customer, about the same time, and still open."""
    return (
        other.id != ticket.id
        and other.channel != ticket.channel
        and other.customer == ticket.customer
        and other.state is not TicketState.CLOSED
        and abs(ticket.opened_at - other.opened_at) <= SAME_WITHIN
    )


def number_of(ticket: Ticket) -> int:
    """The matter of a ticket."""
    return ticket.matter or ticket.id


def join_matter(desk: Desk, ticket: Ticket, other: Ticket) -> Ticket:
    """The ticket as one of the other's matter; the other is marked as its beginning. The caller puts the ticket."""
    if other.matter is None:
        desk.put_ticket(replace(other, matter=other.id))
    return replace(ticket, matter=number_of(other))


# ---- answered elsewhere


@dataclass(frozen=True, kw_only=True, slots=True)
class Elsewhere:
    """A promise that waits, and the one of its matter that a person's words have kept since it began."""

    owed: Target
    by: Target  # met; `answered_at` is not before `owed.started_at`


def settle(desk: Desk, found: Iterable[Elsewhere]) -> None:
    """Let an answer on one channel keep the promises of its matter on the others, and say so there, once a ticket."""
    told: set[int] = set()
    for one in found:
        ticket, other = desk.tickets.get(one.owed.ticket), desk.tickets.get(one.by.ticket)
        if ticket is None or other is None or ticket.state is TicketState.CLOSED:
            continue
        answered_at, met_at = one.by.answered_at, one.by.met_at
        assert answered_at is not None, "what is not met keeps nothing"
        assert met_at is not None, "what is not met keeps nothing"
        desk.meet(one.owed, answered_at, met_at)
        is_first = one.owed.kind is TargetKind.FIRST_RESPONSE
        desk.tell(
            "first_response_recorded" if is_first else "target_met",
            ticket=ticket.id,
            agent=other.answered_by,
            target=one.owed.kind.value,
            ordinal=one.owed.ordinal,
            due_at=one.owed.due_at.isoformat(),
            answered_at=answered_at.isoformat(),
            delivered_at=met_at.isoformat(),
            margin_s=round((one.owed.due_at - met_at).total_seconds(), 3),
            channel=ticket.channel,
            by_ticket=other.id,
        )
        if ticket.state is TicketState.OPEN:
            desk.put_ticket(replace(ticket, state=TicketState.ANSWERED, updated_at=desk.now))
        if ticket.id not in told:
            told.add(ticket.id)
            _say_where(desk, ticket, other)


def _say_where(desk: Desk, ticket: Ticket, other: Ticket) -> None:
    """`已於 Email 回覆您`, on the channel where he waits; a telephone carries no words."""
    channel = desk.channel(ticket.channel)
    if ticket.medium == Medium.PHONE or ticket.standing == Standing.LOOKALIKE or not channel.medium:
        return
    is_mail = ticket.medium == Medium.EMAIL
    this_id = mail_id(desk.keyring, domain_of(channel), "elsewhere", ticket.id, other.id) if is_mail else ""
    desk.send(
        NewOutbox(
            ticket=ticket.id,
            source=ticket.opened_by,
            channel=channel.name,
            address=ticket.contact,
            purpose=Purpose.ACKNOWLEDGEMENT,
            agent=None,
            recipe={
                "message": ticket.opened_by,
                "due_at": desk.now.isoformat(),
                "is_open": True,
                "calendar": desk.policy.calendar_of(ticket.channel, ticket.team).name,
                "elsewhere": other.medium,
            },
            mail_id=this_id,
        )
    )
