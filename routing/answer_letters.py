"""An answer's letters: by which way an agent's words reach the customer, and the same mail to each who gets a copy.

Who that is, is decided when the words leave. While they wait for a word of their author, there is one row of them, and
no recipient is settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from channels.message import Medium, Scheme, mailable
from routing.addressing import contact_after
from routing.commands import Command
from routing.desk import Desk
from routing.policy import Agent, ChannelPolicy
from routing.recipients import answer_address, copies
from routing.records import NewOutbox, Ticket

LIKE_A_NOTE = "looks_like_note"  # why an answer waits

Way = tuple[ChannelPolicy, str]  # channel, address ("mailto:…")


def way_to_customer(desk: Desk, ticket: Ticket, commands: Iterable[Command] = ()) -> Way | None:
    """By which channel and to which address words reach the customer, once these commands are carried out."""
    own = desk.channel(ticket.channel)
    if own.medium != Medium.PHONE:
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
    """Let an agent's words leave: to the customer, and the same to each who gets a copy now."""
    channel, address = way
    is_mail = channel.medium == Medium.EMAIL
    others = copies(desk.participants.get(ticket.id, {}), address, ticket.contact) if is_mail else ()
    recipe = {name: value for name, value in words.recipe.items() if name not in ("to", "cc", "copy")}
    if others:
        recipe |= {"to": address, "cc": [[p.name, p.address] for p in others]}
    his = replace(words, channel=channel.name, address=address, recipe=recipe, held_reason=None)
    desk.send(his)
    for one in others:
        desk.send(replace(his, address=one.address, recipe={**recipe, "copy": True}))


# ---- while they wait


def hold_words(desk: Desk, ticket: Ticket, agent: Agent, words: NewOutbox) -> None:
    """Keep an answer until its author says whether it is for the customer."""
    held = replace(words, held_reason=LIKE_A_NOTE)
    desk.send(held)
    desk.held[ticket.id, agent.name] = held


def held_words(desk: Desk, ticket: Ticket, agent: Agent) -> NewOutbox | None:
    """The agent's latest answer that waits, of this batch or of an earlier one."""
    return desk.held.get((ticket.id, agent.name))


def drop_held(desk: Desk, ticket: Ticket, agent: Agent) -> None:
    """Nothing lets it go any more: a later `!send` must not mean what its author has thought better of."""
    desk.changes.outbox = [
        item
        for item in desk.changes.outbox
        if item.held_reason != LIKE_A_NOTE or (item.ticket, item.agent) != (ticket.id, agent.name)
    ]
    if desk.held.pop((ticket.id, agent.name), None) is not None:
        desk.changes.dropped.append((ticket.id, agent.name))
