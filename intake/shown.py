"""Shown: a ticket as an agent asked to see it: the customer's last words, the card, and its story in his language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, select

from intake import dates
from intake.cards import Stationery
from routing.looking import SHOWN
from routing.records import Event, Ticket
from routing.words import Speaker, Standing, TicketState
from store import events
from store.engine import Transaction
from store.messages import MESSAGE
from store.outbox import OutboxItem

MAX_STORY = 40  # lines: the latest

#: Kinds of event that are told: `story.KIND` of the texts, and which agent of the event stands in its sentence.
TOLD = frozenset(
    {
        *("ticket_opened", "message_added", "assigned", "assignment_failed", "answer_queued", "note_recorded"),
        *("reply_held", "ticket_closed", "ticket_reopened", "target_breached", "delivery_failed", "delivery_bounced"),
        *("first_response_recorded", "marked_spam", "marked_not_spam", "ticket_merged"),
        *("ticket_rescued", "ticket_opened_again"),
    }
)


async def standing_of(tx: Transaction, item: OutboxItem, ticket: Ticket) -> Standing:
    """How far the writer of what this row shows may be believed. A thread that began with a verified mail may be gone
    on with by a forged one: what the log does not say of a later message is not verified."""
    if told := item.recipe.get("standing"):
        return Standing(told)
    if item.source is None or item.source == ticket.opened_by:
        return Standing(ticket.standing)
    said = [e.data["standing"] for e in await events.of_message(tx, item.source) if e.data.get("standing")]
    return Standing(said[-1]) if said else Standing.UNVERIFIED


def is_shown(item: OutboxItem) -> bool:
    """Whether this mail shows a ticket that somebody asked to see."""
    return item.recipe.get("code") == SHOWN


def stands(item: OutboxItem, ticket: Ticket, with_: Stationery, language: str) -> tuple[str, str]:
    """Of a ticket that somebody asked to see: (how it stands, "" while it is open; who has it). "" for other mails."""
    if not is_shown(item):
        return "", ""
    holder = with_.policy.agents.get(ticket.agent or "")
    who = with_.texts.say("shown.holder", language, who=holder.display_name) if holder else ""
    state = "" if ticket.state is TicketState.OPEN else with_.texts.say(f"list.state.{ticket.state}", language)
    return state, who or with_.texts.say("shown.nobody", language)


_LAST_WORDS = (
    select(MESSAGE.c.id)
    .where(MESSAGE.c.ticket == bindparam("the_ticket"), MESSAGE.c.speaker == Speaker.CUSTOMER.value)
    .order_by(MESSAGE.c.id.desc())
    .limit(1)
)


async def about_last_words(tx: Transaction, item: OutboxItem) -> OutboxItem:
    """The row as if it brought the customer's last message: what asked to see the ticket is the agent's own mail."""
    last = await tx.scalar(_LAST_WORDS, {"the_ticket": item.ticket})
    return replace(item, source=int(last) if last is not None else None)


async def story_of(
    tx: Transaction, item: OutboxItem, with_: Stationery, language: str, now: datetime
) -> tuple[tuple[str, str], ...]:
    """(when, what) of what has happened on the ticket, oldest first; nothing for a mail that shows none."""
    if not is_shown(item) or item.ticket is None:
        return ()
    told = [event for event in await events.of_ticket(tx, item.ticket) if event.kind in TOLD]
    return tuple(
        (
            dates.near(event.at, with_.policy.timezone, language, now),
            with_.texts.say(f"story.{event.kind}", language, **_facts(event, with_, language)),
        )
        for event in told[-MAX_STORY:]
    )


def _facts(event: Event, with_: Stationery, language: str) -> Mapping[str, str]:
    agent = with_.policy.agents.get(event.agent or "")
    return {"agent": agent.display_name if agent else event.agent or with_.texts.say("word.nobody", language)}
