"""Threads: which ticket a message belongs to.

What joins is something an outsider cannot know or guess: a token, the Message-ID of a mail he was sent, his own
chat session, his own call. And the sender must belong to the ticket: who does not is a stranger, gets a ticket of
his own that points at the other, and waits for an agent's word (PROMISES.md, "Attacks": ticket read by CC or guess,
customer swap). A number alone is never authority and never a join. Who writes on long after closing gets a new
ticket that points at the old one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from channels.message import Message
from routing.folding import fold
from routing.reasons import Reason, because
from routing.tokens import find_canaries
from routing.words import Standing, TicketState

MAX_REFERENCES = 50  # Message-IDs of one mail that are looked up, the nearest first
MAX_NUMBERS = 3  # ticket numbers of one subject that are looked up


class ThreadKey(StrEnum):
    """What a message was matched by."""

    TOKEN = "token"  # noqa: S105
    IN_REPLY_TO = "in_reply_to"
    REFERENCES = "references"
    SUBJECT_NUMBER = "subject_number"
    SESSION = "session"
    CALL = "call"
    CALLER = "caller"
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class TicketFacts:
    """A ticket that the message may belong to."""

    ticket: int
    customer: int | None  # id; None while nobody knows whose it is
    participants: frozenset[tuple[str, str]]  # Address.key() of everybody who was let in
    state: TicketState = TicketState.OPEN
    closed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadFacts:
    """What the store found under the keys of `lookup`. Every ticket named here has its facts in `tickets`."""

    now: datetime
    closed_days: int  # Policy.closed_token_days
    tickets: Mapping[int, TicketFacts] = field(default_factory=dict)
    by_message_id: Mapping[str, int] = field(default_factory=dict)  # Message-ID with brackets -> ticket
    by_token: int | None = None  # ticket of a token that `tokens.judge` has found good
    by_session: int | None = None  # the chat's latest ticket
    by_call: int | None = None  # ticket of this call id
    by_caller: int | None = None  # latest ticket of this number
    sender_customer: int | None = None  # id of the customer whose known contact the sender is
    standing: Standing = Standing.UNVERIFIED


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the store should be asked for."""

    message_ids: tuple[str, ...]  # nearest first
    numbers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadMatch:
    """`ticket` None: open a new one, which points at `points_at` if that is given."""

    ticket: int | None = None
    by: ThreadKey = ThreadKey.NONE
    is_certain: bool = False  # False where the sender's address may be borrowed
    is_stranger: bool = False  # knows a reference but does not belong: an agent decides
    points_at: int | None = None
    reasons: tuple[Reason, ...] = ()


_NUMBER = re.compile(r"#(\d{1,9})(?!\d)")


def lookup(message: Message) -> Lookup:
    """The keys by which a message may be found to belong somewhere, bounded."""
    nearest_first = (*message.in_reply_to, *reversed(message.references))
    ids = tuple(dict.fromkeys(i for i in nearest_first if i))[:MAX_REFERENCES]
    subject = message.subject[:998]
    is_numbered = "#" in subject or "＃" in subject  # hardly any is
    numbers = dict.fromkeys(map(int, _NUMBER.findall(fold(subject)))) if is_numbered else ()
    return Lookup(ids, tuple(numbers)[:MAX_NUMBERS])


def match(message: Message, facts: ThreadFacts) -> ThreadMatch:
    """The ticket a message belongs to, or why it opens its own."""
    if facts.by_token is not None:
        return _joined(facts.by_token, ThreadKey.TOKEN, is_certain=True)
    if facts.by_call is not None:
        # Events of one call are one thing, even where the ticket was closed between them.
        return _joined(facts.by_call, ThreadKey.CALL, is_certain=True)
    if facts.by_session is not None:
        return _by_session(facts.by_session, facts)
    if (found := _by_reference(message, facts)) is not None:
        return found
    if facts.by_caller is not None and (found := _by_caller(facts.by_caller, facts)) is not None:
        return found
    return _by_number(message, facts)


def refers_to(
    message: Message, ticket: int, by_message_id: Mapping[str, int], is_canary: Callable[[str], bool]
) -> bool:
    """Whether the message refers to that ticket: In-Reply-To, References, or a quoted canary (G8).

    The nearest mail that is known decides: an answer to one ticket is no answer to another, whatever else it names.
    `is_canary` tells whether a found canary marks that ticket (`tokens.is_canary_of`).
    """
    answered = next((by_message_id[i] for i in lookup(message).message_ids if i in by_message_id), None)
    if answered is not None:
        return answered == ticket
    return any(is_canary(found) for found in find_canaries("\n".join((message.quoted, message.text_full))))


def _joined(ticket: int, by: ThreadKey, *, is_certain: bool) -> ThreadMatch:
    reason = because(f"joined_{by.value}", ticket=ticket)
    return ThreadMatch(ticket=ticket, by=by, is_certain=is_certain, reasons=(reason,))


def _closed_too_long(ticket: TicketFacts, by: ThreadKey, facts: ThreadFacts) -> ThreadMatch | None:
    if ticket.state is not TicketState.CLOSED or ticket.closed_at is None:
        return None
    since = facts.now - ticket.closed_at
    if since <= timedelta(days=facts.closed_days):
        return None
    reason = because("long_closed", ticket=ticket.ticket, days=since.days)
    return ThreadMatch(by=by, points_at=ticket.ticket, reasons=(reason,))


def _by_session(number: int, facts: ThreadFacts) -> ThreadMatch:
    ticket = facts.tickets[number]
    too_long = _closed_too_long(ticket, ThreadKey.SESSION, facts)
    return too_long or _joined(number, ThreadKey.SESSION, is_certain=True)


def _by_reference(message: Message, facts: ThreadFacts) -> ThreadMatch | None:
    for message_id in lookup(message).message_ids:
        number = facts.by_message_id.get(message_id)
        if number is None:
            continue
        by = ThreadKey.IN_REPLY_TO if message_id in message.in_reply_to else ThreadKey.REFERENCES
        ticket = facts.tickets[number]
        if not _belongs(message, ticket, facts):
            reason = because("stranger", ticket=number)
            return ThreadMatch(by=by, is_stranger=True, points_at=number, reasons=(reason,))
        too_long = _closed_too_long(ticket, by, facts)
        return too_long or _joined(number, by, is_certain=facts.standing is Standing.VERIFIED)
    return None


def _by_caller(number: int, facts: ThreadFacts) -> ThreadMatch | None:
    # A caller's number can be shown falsely, and people call about new things: only what is still open goes on.
    if facts.tickets[number].state is TicketState.CLOSED:
        return None
    return _joined(number, ThreadKey.CALLER, is_certain=False)


def _by_number(message: Message, facts: ThreadFacts) -> ThreadMatch:
    for number in lookup(message).numbers:
        ticket = facts.tickets.get(number)
        if ticket is None:
            continue
        if facts.standing is not Standing.VERIFIED or not _belongs(message, ticket, facts):
            # Nothing of that ticket is told to anybody: the pointer is for the agent's card.
            return ThreadMatch(points_at=number, reasons=(because("number_alone", ticket=number),))
        too_long = _closed_too_long(ticket, ThreadKey.SUBJECT_NUMBER, facts)
        return too_long or _joined(number, ThreadKey.SUBJECT_NUMBER, is_certain=False)
    return ThreadMatch(reasons=(because("nothing_to_join"),))


def _belongs(message: Message, ticket: TicketFacts, facts: ThreadFacts) -> bool:
    """The sender was let into the ticket, or is a known contact of its customer, and resembles nobody else."""
    if facts.standing is Standing.LOOKALIKE or message.from_count != 1:
        return False
    if message.sender.key() in ticket.participants:
        return True
    return ticket.customer is not None and ticket.customer == facts.sender_customer
