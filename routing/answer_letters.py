"""An answer's letters: by which way an agent's words reach the customer, and the same mail to each who gets a copy.

Who that is, is decided when the words leave. While they wait for a word of their author, there is one row of them, and
no recipient is settled. Mails may wait a little more, so that their author can call them back (`undo_seconds`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from channels.message import Medium, Scheme, mailable
from routing.addressing import contact_after
from routing.commands import Command
from routing.desk import Desk
from routing.policy import Agent, ChannelPolicy
from routing.recipients import answer_address, copies
from routing.records import NewOutbox, Participant, Ticket
from routing.words import Purpose

Way = tuple[ChannelPolicy, str]  # channel, address ("mailto:…")


def way_to_customer(desk: Desk, ticket: Ticket, commands: Iterable[Command] = ()) -> Way | None:
    """By which channel and to which address words reach the customer, once these commands are carried out."""
    own = desk.channel(ticket.channel)
    is_mailed = own.medium != Medium.EMAIL or ticket.contact.startswith(f"{Scheme.MAIL.value}:")
    if own.medium != Medium.PHONE and is_mailed:  # what was recorded of a call has a number on a mail channel
        contact = contact_after(desk.contacts.get(ticket.contact), commands, desk.policy)
        address = answer_address(ticket, contact)
        scheme, _, value = address.partition(":")
        return (own, address) if scheme != Scheme.MAIL or mailable(value) else None
    mail = desk.mail_channel_of(ticket)
    known = desk.contacts_of.get(ticket.customer, ())
    mails = (c.address for c in known if c.address.startswith(f"{Scheme.MAIL.value}:"))
    first = next((a for a in mails if mailable(a.partition(":")[2])), None)
    return (mail, first) if mail is not None and first else None


def send_words(desk: Desk, ticket: Ticket, words: NewOutbox, way: Way) -> None:
    """Let an agent's words leave: to the customer, and the same to each who gets a copy now.

    A mail that may be called back remembers how the ticket stood before it.
    """
    channel, address = way
    is_mail = channel.medium == Medium.EMAIL
    others = who_else(desk, ticket, way)
    recipe = {name: value for name, value in words.recipe.items() if name not in _OF_WAITING}
    if others:
        recipe |= {"to": address, "cc": [[p.name, p.address] for p in others]}
    not_before = None
    if is_mail and desk.policy.undo_seconds:
        not_before = desk.now + timedelta(seconds=desk.policy.undo_seconds)
        recipe["was"] = {
            "state": ticket.state.value,
            "answered_by": ticket.answered_by,
            "answered_at": ticket.answered_at.isoformat() if ticket.answered_at else None,
        }
    his = replace(words, channel=channel.name, address=address, recipe=recipe, held_reason=None, not_before=not_before)
    desk.send(his)
    for one in others:
        desk.send(replace(his, address=one.address, recipe={**recipe, "copy": True}))


def who_else(desk: Desk, ticket: Ticket, way: Way) -> tuple[Participant, ...]:
    """Who gets a copy of words that go this way."""
    channel, address = way
    people = desk.participants.get(ticket.id, {})
    return copies(people, address, ticket.contact) if channel.medium == Medium.EMAIL else ()


#: What a recipe holds only until the words leave, or anew each time that they do.
_OF_WAITING = ("to", "cc", "copy", "asked", "was")


# ---- while they wait


def hold_words(
    desk: Desk, ticket: Ticket, agent: Agent, words: NewOutbox, reason: str, asked: Iterable[str] = ()
) -> None:
    """Keep an answer until its author says that it may leave. `asked`: what he is being asked about."""
    recipe = {name: value for name, value in words.recipe.items() if name not in _OF_WAITING}
    held = replace(words, held_reason=reason, not_before=None, recipe={**recipe, "asked": sorted(set(asked))})
    desk.send(held)
    desk.held[ticket.id, agent.name] = held


def held_words(desk: Desk, ticket: Ticket, agent: Agent) -> NewOutbox | None:
    """The agent's latest answer that waits, of this batch or of an earlier one."""
    return desk.held.get((ticket.id, agent.name))


def drop_held(desk: Desk, ticket: Ticket, agent: Agent) -> bool:
    """Nothing lets it go any more: a later `!send` must not mean what its author has thought better of.

    True if there was one.
    """
    desk.changes.outbox = [
        item
        for item in desk.changes.outbox
        if item.held_reason is None
        or item.purpose is not Purpose.ANSWER
        or (item.ticket, item.agent) != (ticket.id, agent.name)
    ]
    waited = desk.held.pop((ticket.id, agent.name), None) is not None
    if waited:
        desk.changes.dropped.append((ticket.id, agent.name))
    return waited
