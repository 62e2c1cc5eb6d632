"""Recipients: who gets an answer, who is only named, and where a customer asks for his answers.

The answer goes to the stored address, or to the one that was confirmed for it. A copy goes to those whom the customer
names beside it in verified mail and who are known contacts of his, and to those whom an agent lets in. Everybody else
is listed, for the agent to see: mail that comes in adds nobody (PROMISES.md, "Attacks": ticket read by CC). An agent's
word stands, whatever a later mail says. Of mail that is not verified nothing changes where anything goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from channels.message import Address, Medium, Message, Role, Scheme, mailable
from routing.desk import Desk, Incoming
from routing.policy import Policy
from routing.records import Contact, Participant, Ticket
from routing.words import ParticipantRole, ReplyToState, Standing

MAX_NAMED = 50  # people of one mail who are looked at
MAX_LISTED = 100  # people of one ticket who are remembered
MAX_COPIES = 20  # of one answer

BY_MAIL, BY_AGENT = "mail", "agent"  # whose word made somebody a participant


# ---- who is meant


def is_inside(value: str, policy: Policy) -> bool:
    """Whether a mail address is the desk's or an agent's, with whatever stands behind a plus sign."""
    local, _, domain = value.lower().rpartition("@")
    bare = f"{local.partition('+')[0]}@{domain}"
    if any(policy.agent_by_address(one) for one in (value, bare)):
        return True
    return any(
        c.address.lower() in (value.lower(), bare) or (c.token_domain and c.token_domain.lower() == domain)
        for c in policy.channels.values()
        if c.address
    )


def named_in(message: Message, policy: Policy) -> tuple[Address, ...]:
    """Those whom a mail names in To and Cc, each once; not its sender, not us, and nobody who cannot be written to."""
    found: dict[str, Address] = {}
    for recipient in message.recipients[: MAX_NAMED * 2]:
        one = recipient.address
        if recipient.role is Role.ENVELOPE or one.scheme is not Scheme.MAIL or one.key() == message.sender.key():
            continue
        if mailable(one.value) and not is_inside(one.value, policy):
            found.setdefault(str(one), one)
    return tuple(found.values())[:MAX_NAMED]


def asked_reply_to(message: Message, policy: Policy) -> Address | None:
    """Where a mail asks for its answer, if that is somewhere else than where it came from."""
    if message.medium is not Medium.EMAIL or any(a.key() == message.sender.key() for a in message.reply_to):
        return None
    others = (a for a in message.reply_to[:MAX_NAMED] if mailable(a.value) and not is_inside(a.value, policy))
    return next(others, None)


# ---- who gets an answer


def answer_address(ticket: Ticket, contact: Contact | None) -> str:
    """Where words to the customer go: the stored address, or the one that was confirmed for it."""
    if contact is None or contact.reply_to_state != ReplyToState.CONFIRMED or not contact.reply_to:
        return ticket.contact
    return contact.reply_to if mailable(contact.reply_to.partition(":")[2]) else ticket.contact


def copies(people: Mapping[str, Participant], *but: str) -> tuple[Participant, ...]:
    """Who gets a copy of an answer; `but` are addresses that get it anyway."""
    found = (p for p in people.values() if p.role == ParticipantRole.CC and p.address not in but)
    return tuple(p for p in found if mailable(p.address.partition(":")[2]))[:MAX_COPIES]


def listed(people: Mapping[str, Participant], *but: str) -> tuple[Participant, ...]:
    """Who was named and gets nothing."""
    return tuple(p for p in people.values() if p.role == ParticipantRole.LISTED and p.address not in but)


# ---- what a customer's mail says of it


def note_people(incoming: Incoming, desk: Desk, ticket: Ticket, standing: Standing) -> None:
    """Take note of everybody whom a customer's mail names, and of who wrote it."""
    if incoming.medium is not Medium.EMAIL:
        return
    named = {str(a): a for a in named_in(incoming.message, desk.policy)}
    if incoming.sender != ticket.contact and mailable(incoming.message.sender.value):
        named[incoming.sender] = incoming.message.sender
    named.pop(answer_address(ticket, desk.contacts.get(ticket.contact)), None)
    named.pop(ticket.contact, None)
    before = dict(desk.participants.get(ticket.id, {}))
    is_verified = standing is Standing.VERIFIED
    for address, person in named.items():
        is_theirs = is_verified and _is_contact_of(desk, address, ticket.customer)
        _note(desk, ticket, address, person.display_name, ParticipantRole.CC if is_theirs else ParticipantRole.LISTED)
    if is_verified and incoming.sender == ticket.contact:
        # He left them out himself, perhaps because it is not for them.
        for one in before.values():
            if one.role == ParticipantRole.CC and one.source == BY_MAIL and one.address not in named:
                desk.put_participant(replace(one, role=ParticipantRole.LISTED.value))
    _tell(incoming, desk, ticket, before)


def _is_contact_of(desk: Desk, address: str, customer: int) -> bool:
    contact = desk.contacts.get(address)
    return contact is not None and contact.customer == customer


def _note(desk: Desk, ticket: Ticket, address: str, name: str, role: ParticipantRole) -> None:
    known = desk.participants.get(ticket.id, {})
    before = known.get(address)
    if before is not None and (before.source == BY_AGENT or role is ParticipantRole.LISTED or before.role == role):
        return
    if before is None and len(known) >= MAX_LISTED:
        return
    desk.put_participant(participant(ticket.id, address, name, role, at=desk.now))


def _tell(incoming: Incoming, desk: Desk, ticket: Ticket, before: Mapping[str, Participant]) -> None:
    after = desk.participants.get(ticket.id, {})
    changed = [p for address, p in after.items() if before.get(address) != p]
    if changed:
        desk.tell(
            "participants_noted",
            ticket=ticket.id,
            message=incoming.id,
            copied=sum(p.role == ParticipantRole.CC for p in changed),
            listed=sum(p.role == ParticipantRole.LISTED for p in changed),
        )


def participant(
    ticket: int, address: str, name: str, role: ParticipantRole, *, at: datetime, agent: str | None = None
) -> Participant:
    """Somebody of a ticket, by an agent's word or, without one, by mail."""
    return Participant(
        ticket=ticket,
        address=address,
        name=name[:200],
        role=role.value,
        source=BY_AGENT if agent else BY_MAIL,
        added_at=at,
        added_by=agent,
    )


def note_reply_to(incoming: Incoming, desk: Desk, standing: Standing) -> None:
    """Take note that a customer asks for his answers elsewhere. Only verified mail may ask, and only once."""
    contact = desk.contacts.get(incoming.sender)
    asked = asked_reply_to(incoming.message, desk.policy)
    if contact is None or asked is None or standing is not Standing.VERIFIED:
        return
    if contact.reply_to == str(asked) or contact.reply_to_state == ReplyToState.CONFIRMED:
        return
    is_his = _is_contact_of(desk, str(asked), contact.customer)
    state = ReplyToState.CONFIRMED if is_his else ReplyToState.ASKED
    desk.put_contact(replace(contact, reply_to=str(asked), reply_to_state=state.value))
    desk.tell("reply_to_confirmed" if is_his else "reply_to_asked", message=incoming.id, customer=contact.customer)
