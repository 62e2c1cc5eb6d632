"""Who gets it: what an agent's mail says of who will get his answer, who will not, and what he may do about it."""

from __future__ import annotations

from typing import Any

from channels.message import Medium, Message
from intake.cards import Matter, Stationery, customer_name, shown_contact, value_of
from intake.compose_facts import Person
from routing.recipients import answer_address, asked_reply_to, copies, listed
from routing.records import Contact, Participant
from routing.words import ReplyToState, Standing
from store import customers, participants
from store.engine import Transaction
from store.outbox import OutboxItem


async def recipients_of(
    tx: Transaction, item: OutboxItem, matter: Matter, source: Message | None, with_: Stationery, language: str
) -> dict[str, Any]:
    """Those fields of `compose.AgentMail` that say who gets the answer, who spoke, and what this ticket points at."""
    ticket = matter.ticket
    contact = (await customers.contacts(tx, [ticket.contact])).get(ticket.contact)
    people = (await participants.of_tickets(tx, [ticket.id])).get(ticket.id, {})
    to = answer_address(ticket, contact)
    name = customer_name(matter, with_, language)
    shown = shown_contact(ticket) if to == ticket.contact else value_of(to)
    is_mail = ticket.medium == Medium.EMAIL
    via_form = bool(item.recipe.get("via_form"))
    found: dict[str, Any] = {
        "answer_goes_to": () if ticket.medium == Medium.PHONE or (is_mail and not shown) else ((name, shown),),
        "cc": _persons(copies(people, to, ticket.contact)) if is_mail else (),
        "listed": _persons(listed(people, to, ticket.contact)) if is_mail else (),
        "via_form": via_form,
        "lay_in_junk": bool(item.recipe.get("lay_in_junk")),
        "called_spam": bool(item.recipe.get("called_spam")),
        "points_at": ticket.follows,
        "points": str(item.recipe.get("points", "")),
    }
    if source is None or via_form or source.medium is not Medium.EMAIL:
        return found
    if source.sender.value and str(source.sender) != ticket.contact:
        found["speaker"] = (source.sender.display_name, source.sender.value)
    asked = asked_reply_to(source, with_.policy)
    standing = item.recipe.get("standing", ticket.standing)
    if asked is not None and str(asked) != to and str(source.sender) == ticket.contact:
        found["reply_to_asked"] = asked.value
        found["reply_to_how"] = _how(contact, str(asked), source.sender.value, standing)
    return found


def _how(contact: Contact | None, asked: str, sender: str, standing: str) -> str:
    """What the agent may do about where a mail asks for its answer."""
    if standing != Standing.VERIFIED:
        return "unproven"
    if contact is None or contact.reply_to != asked or contact.reply_to_state != ReplyToState.ASKED:
        return "explicit"  # another one was confirmed, or this one refused: only an address in full changes that
    is_same_domain = asked.rpartition("@")[2].lower() == sender.rpartition("@")[2].lower()
    return "asked" if is_same_domain else "doubtful"


def _persons(people: tuple[Participant, ...]) -> tuple[Person, ...]:
    return tuple((p.name, value_of(p.address)) for p in people)
