"""Addressing: an agent says who gets copies, and where a customer's answers go.

`!cc lee@example.com -old@example.com` lets in and takes out; `!replyto` confirms where a customer asked to be
answered, `!replyto no` refuses it, `!replyto ADDRESS` names the place. Outsiders in the agent's own To and Cc are not
added: a mail program fills those in by itself. Nobody of the desk is ever shown to a customer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from channels.message import MESSAGING, Medium, Scheme, mailable
from routing.commands import Command, CommandName, bare, parse
from routing.deed import Act
from routing.desk import Desk, Incoming
from routing.folding import fold
from routing.holding import tell_agent
from routing.policy import Agent, Policy
from routing.recipients import (
    MAX_COPIES,
    MAX_LISTED,
    answer_address,
    copies,
    is_inside,
    named_in,
    participant,
)
from routing.records import Contact, NewOutbox, Ticket
from routing.words import ParticipantRole, ReplyToState

_ADDRESS = re.compile(r"([-−－–]?)[\s<]*([A-Za-z0-9_][A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{0,63}@[A-Za-z0-9.-]{1,255})")
_NO = frozenset({"no", "不", "不要", "否", "拒絕", "拒绝", "不用"})


@dataclass(frozen=True, slots=True)
class Copies:
    """Whom `!cc` names."""

    added: tuple[str, ...] = ()  # "mailto:…"
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def asked_copies(argument: str, policy: Policy) -> Copies | None:
    """What the argument of `!cc` asks for; None if it names nobody, or somebody who cannot get a copy."""
    added: dict[str, None] = {}
    removed: dict[str, None] = {}
    for sign, written in _ADDRESS.findall(argument):
        value = written.lower().rstrip(".")
        if not mailable(value) or (not sign and is_inside(value, policy)):
            return None
        (removed if sign else added)[f"{Scheme.MAIL.value}:{value}"] = None
    # A mail program that makes links writes each address twice: `-a@b<mailto:a@b>` takes out.
    asked = Copies(tuple(a for a in added if a not in removed), tuple(removed))
    return asked if asked and len(asked.added) <= MAX_COPIES else None


def change_copies(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, asked: Copies) -> None:
    """Let people into a ticket, and take people out: what has not left does not go to those any more."""
    people = desk.participants.get(ticket.id, {})
    before = dict(people)
    to = answer_address(ticket, desk.contacts.get(ticket.contact))
    for address, role in (
        *((a, ParticipantRole.CC) for a in asked.added),
        *((a, ParticipantRole.REMOVED) for a in asked.removed),
    ):
        known = before.get(address)
        if address in (ticket.contact, to):
            continue  # the customer himself is no copy
        name = known.name if known else ""
        desk.put_participant(participant(ticket.id, address, name, role, at=desk.now, agent=agent.name))
        if role is ParticipantRole.REMOVED:
            _leave_out(desk, ticket, address)
    desk.tell(
        "copies_changed",
        ticket=ticket.id,
        message=incoming.id,
        agent=agent.name,
        added=len(asked.added),
        removed=len(asked.removed),
    )


def _leave_out(desk: Desk, ticket: Ticket, address: str) -> None:
    """Nothing that waits goes to him any more, or names him."""
    desk.changes.uncopied.append((ticket.id, address))
    desk.changes.outbox = [
        _without(item, address) if item.ticket == ticket.id and "cc" in item.recipe else item
        for item in desk.changes.outbox
        if (item.ticket, item.address) != (ticket.id, address) or "copy" not in item.recipe
    ]


def _without(item: NewOutbox, address: str) -> NewOutbox:
    named = [one for one in item.recipe["cc"] if one[1] != address]
    return replace(item, recipe={**item.recipe, "cc": named})


def tell_recipients(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> None:
    """Show the agent who gets the answer now."""
    to = answer_address(ticket, desk.contacts.get(ticket.contact))
    others = copies(desk.participants.get(ticket.id, {}), to, ticket.contact)
    shown = ", ".join(address.partition(":")[2] for address in (to, *(p.address for p in others)))
    tell_agent(incoming, desk, agent, ticket, "recipients", detail=shown)


def note_outsiders(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> None:
    """Whom an agent named beside the desk gets nothing from us: he is listed, and the agent hears it."""
    to = answer_address(ticket, desk.contacts.get(ticket.contact))
    people = desk.participants.setdefault(ticket.id, {})
    known = {ticket.contact, to, *(p.address for p in copies(people))}
    outsiders = {str(a): a for a in named_in(incoming.message, desk.policy) if str(a) not in known}
    if not outsiders:
        return
    for address, person in outsiders.items():
        if address not in people and len(people) < MAX_LISTED:
            desk.put_participant(
                participant(ticket.id, address, person.display_name, ParticipantRole.LISTED, at=desk.now)
            )
    desk.tell("participants_noted", ticket=ticket.id, message=incoming.id, copied=0, listed=len(outsiders))
    shown = ", ".join(a.value for a in outsiders.values())
    tell_agent(incoming, desk, agent, ticket, "not_copied", detail=shown[:200])


# ---- where a customer's answers go


def asked_address(argument: str, contact: Contact | None, policy: Policy) -> str | None:
    """The address that `!replyto` is about, "" to refuse; None if there is nothing to confirm or no such address."""
    if contact is None or not contact.address.startswith(f"{Scheme.MAIL.value}:"):
        return None
    if fold(argument.strip()) in _NO:
        return "" if contact.reply_to else None
    if not argument.strip():
        return contact.reply_to
    found = _ADDRESS.search(argument)
    value = found[2].lower().rstrip(".") if found else ""
    return f"{Scheme.MAIL.value}:{value}" if mailable(value) and not is_inside(value, policy) else None


def change_reply_to(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, address: str) -> None:
    """Let a contact's answers go to an address from now on; "" refuses what he asked for."""
    contact = _answered_at(desk.contacts[ticket.contact], address)
    desk.put_contact(contact)
    if contact.reply_to_state == ReplyToState.REFUSED:
        desk.tell(
            "reply_to_refused", ticket=ticket.id, message=incoming.id, agent=agent.name, customer=contact.customer
        )
        return
    if address not in desk.contacts:
        # He answers from where he reads: he must not be a stranger there.
        desk.new_contact(
            Contact(
                address=address,
                customer=contact.customer,
                name=contact.name,
                source=f"agent:{agent.name}",
                first_seen_at=desk.now,
            )
        )
    desk.tell("reply_to_confirmed", ticket=ticket.id, message=incoming.id, agent=agent.name, customer=contact.customer)


def _answered_at(contact: Contact, address: str) -> Contact:
    """The contact once an agent has said where its answers go; "" and its own address end what was asked for."""
    if not address or address == contact.address:
        return replace(contact, reply_to_state=ReplyToState.REFUSED.value)
    return replace(contact, reply_to=address, reply_to_state=ReplyToState.CONFIRMED.value)


def contact_after(contact: Contact | None, commands: Iterable[Command], policy: Policy) -> Contact | None:
    """The contact as these commands will leave it."""
    for command in commands:
        if contact is not None and command.name is CommandName.REPLY_TO:
            address = asked_address(command.argument, contact, policy)
            contact = contact if address is None else _answered_at(contact, address)
    return contact


# ---- as deeds


def no_address(act: Act) -> str:
    if act.desk.channel(act.ticket.channel).medium in (Medium.CHAT, *MESSAGING):
        return "cc_no_mail"
    return "bad_address" if asked_copies(act.argument, act.desk.policy) is None else ""


def copies_to(act: Act) -> str:
    asked = asked_copies(act.argument, act.desk.policy)
    assert asked is not None, "asked before"
    change_copies(act.incoming, act.desk, act.agent, act.ticket, asked)
    return ""


def no_reply_to(act: Act) -> str:
    contact = act.desk.contacts.get(act.ticket.contact)
    return "no_reply_to" if asked_address(act.argument, contact, act.desk.policy) is None else ""


def replies_to(act: Act) -> str:
    address = asked_address(act.argument, act.desk.contacts.get(act.ticket.contact), act.desk.policy)
    assert address is not None, "asked before"
    change_reply_to(act.incoming, act.desk, act.agent, act.ticket, address)
    return ""


def shows_recipients(act: Act) -> str:
    """Without words to send he is shown who would get them."""
    if not act.words:
        tell_recipients(act.incoming, act.desk, act.agent, act.ticket)
    return ""


_NAMING = (CommandName.CC, CommandName.REPLY_TO, CommandName.OK)


def named_in_commands(text: str) -> set[str]:
    """The addresses ("mailto:…") that the commands at the top of a mail name: what is known of them is asked first."""
    if not bare(text).startswith(("!", "！")):
        return set()
    named = (c.argument for c in parse(text).commands if c.name in _NAMING)
    found = {value.lower().rstrip(".") for argument in named for _, value in _ADDRESS.findall(argument)}
    return {f"{Scheme.MAIL.value}:{value}" for value in found if mailable(value)}
