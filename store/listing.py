"""Listing: tickets as people ask for them. Every list is bounded, and read by an index or over a bounded stretch."""

from __future__ import annotations

import re
from collections.abc import Collection

from sqlalchemy import ColumnElement, String, and_, case, cast, func, or_, select

from routing.records import Ticket
from routing.words import TicketState
from store import tickets
from store.deadlines import TARGET
from store.engine import Transaction
from store.schema import ContactRow, CustomerRow
from store.tickets import TICKET

MAX_LISTED = 50  # tickets of one list
MAX_OF_AGENT = 500  # tickets of one agent that are counted
MAX_SEARCHED = 20_000  # tickets that words are looked for in: the newest
MAX_WORDS = 5  # of one search
MIN_DIGITS = 7  # of a telephone number: fewer are a ticket's, or stand in a subject
_LIKE_A_TELEPHONE = re.compile(r"[+(]?\d[\d\s()./-]{5,40}")
CONTACT = ContactRow.__table__  # type: ignore[attr-defined]
CUSTOMER = CustomerRow.__table__  # type: ignore[attr-defined]


_NEXT_DUE = (
    select(func.min(TARGET.c.due_at))
    .where(TARGET.c.ticket == TICKET.c.id, TARGET.c.met_at.is_(None), TARGET.c.withdrawn_at.is_(None))
    .where(TARGET.c.paused_at.is_(None))
    .correlate(TICKET)
    .scalar_subquery()
)


#: A date of the law brings a ticket forward as a promise does.
_FILED_BY = TICKET.c.statutory_at
_BY = case((and_(_FILED_BY.is_not(None), or_(_NEXT_DUE.is_(None), _FILED_BY < _NEXT_DUE)), _FILED_BY), else_=_NEXT_DUE)


async def open_of_agent(tx: Transaction, agent: str, limit: int = MAX_LISTED) -> list[Ticket]:
    """The tickets that wait for an agent, the nearest deadline or date of the law first; those with none come last."""
    statement = (
        select(TICKET.c.id, _BY.label("due_at"))
        .where(TICKET.c.agent == agent, TICKET.c.state == TicketState.OPEN.value)
        .order_by(_BY.is_(None), _BY, TICKET.c.id)
        .limit(limit)
    )
    return await _in_order(tx, [row["id"] for row in await tx.rows(statement)])


async def of_agent(tx: Transaction, agent: str, limit: int = MAX_OF_AGENT) -> list[Ticket]:
    """An agent's tickets that are not closed: those that wait for him first, then as `open_of_agent`."""
    is_other = TICKET.c.state != TicketState.OPEN.value
    statement = (
        select(TICKET.c.id, _BY.label("due_at"))
        .where(TICKET.c.agent == agent, TICKET.c.state != TicketState.CLOSED.value)
        .order_by(is_other, _BY.is_(None), _BY, TICKET.c.id)
        .limit(limit)
    )
    return await _in_order(tx, [row["id"] for row in await tx.rows(statement)])


async def find(
    tx: Transaction, words: str, *, agent: str, teams: Collection[str], limit: int = MAX_LISTED
) -> list[Ticket]:
    """Tickets that these words are about, newest first: number, subject, customer, contact. All words must be found.

    Only of this agent and of these teams: others are none of his business. Letters of either case are the same where
    the database thinks so.
    """
    telephone = _telephone(words)
    wanted = [telephone] if telephone else words.split()[:MAX_WORDS]
    if not wanted:
        return []
    newest = select(TICKET.c.id).order_by(TICKET.c.id.desc()).limit(MAX_SEARCHED).subquery()
    statement = (
        select(TICKET.c.id)
        .where(TICKET.c.id.in_(select(newest.c.id)), or_(TICKET.c.agent == agent, TICKET.c.team.in_(sorted(teams))))
        .where(*(_says(word) for word in wanted))
        .order_by(TICKET.c.id.desc())
        .limit(limit)
    )
    return await _in_order(tx, [row["id"] for row in await tx.rows(statement)])


def _telephone(words: str) -> str:
    """The digits by which a telephone number is found, however it is written; "" if it is none."""
    if not _LIKE_A_TELEPHONE.fullmatch(words.strip()):
        return ""
    # +886 2 2345 6789 is 02-2345-6789 at home: the zero in front of the area is not kept.
    digits = re.sub(r"\D", "", words).lstrip("0")
    return digits if len(digits) >= MIN_DIGITS else ""


def _says(word: str) -> ColumnElement[bool]:
    """Whether a ticket is about this word."""
    number = word.lstrip("#＃")
    of_name = select(CUSTOMER.c.id).where(CUSTOMER.c.name.icontains(word, autoescape=True))
    of_contact = select(CONTACT.c.customer).where(
        or_(CONTACT.c.name.icontains(word, autoescape=True), CONTACT.c.address.icontains(word, autoescape=True))
    )
    return or_(
        TICKET.c.subject.icontains(word, autoescape=True),
        TICKET.c.contact_name.icontains(word, autoescape=True),
        TICKET.c.contact.icontains(word, autoescape=True),
        TICKET.c.customer.in_(of_name),
        TICKET.c.customer.in_(of_contact),
        *([cast(TICKET.c.id, String) == number] if number.isdecimal() else []),
    )


async def _in_order(tx: Transaction, numbers: list[int]) -> list[Ticket]:
    found = await tickets.by_ids(tx, numbers)
    return [found[number] for number in numbers if number in found]
