"""Who reads a list, and how a ticket stands in it: its number leads to the ticket by a mail that asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from channels.message import Medium
from intake import dates
from intake.action_links import mailto
from intake.cards import Stationery, topic_name
from intake.compose_lists import ListGroup, ListRow
from intake.compose_words import clean_line
from routing.commands import CommandName
from routing.deeds import DEEDS
from routing.policy import Agent, ChannelPolicy, Policy
from routing.records import Ticket
from routing.words import Kind
from store.engine import Transaction

MAX_ROWS = 50  # of one group; the rest are counted
MAX_SUBJECT = 60  # characters of a subject in a list


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One agent, and what his list is read and worded with."""

    tx: Transaction
    with_: Stationery
    agent: Agent
    channel: ChannelPolicy  # the desk that he writes to
    language: str
    now: datetime

    @property
    def policy(self) -> Policy:
        return self.with_.policy

    @property
    def timezone(self) -> str:
        return self.with_.policy.timezone

    def say(self, key: str, **values: str) -> str:
        return self.with_.texts.say(key, self.language, **values)

    def say_joined(self, parts: list[str]) -> str:
        return self.say("list.comma").join(parts)

    def near(self, when: datetime) -> str:
        return dates.near(when, self.timezone, self.language, self.now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Worded:
    """What a list says."""

    first: str
    groups: tuple[ListGroup, ...] = ()
    colour: str = "calm"
    under: str = ""
    offers: tuple[CommandName, ...] = ()  # what he may do from here


def teams_of(policy: Policy, agent: Agent) -> frozenset[str]:
    """The teams whose tickets an agent may see: those that he works in or supervises."""
    return frozenset(name for name, team in policy.teams.items() if agent.name in (*team.members, *team.supervisors))


def show_link(channel: ChannelPolicy, number: int) -> str:
    """A mail that asks for a ticket."""
    return mailto(channel.address, f"!show {number}") if CommandName.SHOW in DEEDS else ""


def about(reader: Reader, ticket: Ticket, *more: str) -> str:
    """`郵件 · 營業稅申報 · 急件 · 等客戶`: the medium, the topic or else the subject, what is special, and `more`."""
    topic = topic_name(reader.policy, ticket.topic, reader.language)
    parts = [
        reader.say(f"word.medium.{ticket.medium}"),
        topic or ("" if ticket.medium == Medium.PHONE else clean_line(ticket.subject, MAX_SUBJECT)),
        reader.say("word.kind.complaint") if ticket.kind is Kind.COMPLAINT else "",
        reader.say("word.urgent") if ticket.is_urgent else "",
        *more,
    ]
    return " · ".join(part for part in parts if part)


def ticket_row(reader: Reader, ticket: Ticket, *, lead: str, lead_under: str = "", colour: str = "") -> ListRow:
    """The row of a ticket, without what stands under its name."""
    return ListRow(
        lead=lead,
        lead_under=lead_under,
        colour=colour,
        ticket=ticket.id,
        show=show_link(reader.channel, ticket.id),
        name=called(reader, ticket),
    )


def called(reader: Reader, ticket: Ticket) -> str:
    return ticket.contact_name or reader.say("card.visitor")


def not_shown(reader: Reader, count: int) -> str:
    return reader.say("list.more", count=str(count)) if count > 0 else ""


def ticket_names(reader: Reader, known: Mapping[int, Ticket], number: int | None) -> tuple[int | None, str, str]:
    """(number, link, name) of a ticket that may not be there any more, or not his to see."""
    ticket = known.get(number) if number is not None else None
    if ticket is None:
        return None, "", ""
    return ticket.id, show_link(reader.channel, ticket.id), called(reader, ticket)
