"""The mails of a day: at the opening what waits for an agent, at the closing what of his was delivered.

Each once a day, ever: the day is kept in the transaction that puts the mail into the outbox, so that neither a restart
nor another node sends it again. What is in it is looked up when it leaves. A day without anything to say has no mail.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from channels.message import Medium
from intake.cards import Stationery
from intake.lists import CODE
from routing.desk import domain_of, mail_id
from routing.policy import Agent
from routing.presence import ON, calendar_of
from routing.records import Event, NewOutbox
from routing.shifts import closing, opening_day
from routing.words import Purpose
from store import agents, answers, listing
from store.agents import AgentState
from store.engine import Transaction
from store.numbers import advance

OPENING, CLOSING = "day", "delivered"  # names of lists


@dataclass(frozen=True, slots=True)
class DayMail:
    """A mail whose time has come, unless it was sent already."""

    name: str  # OPENING | CLOSING
    agent: str
    day: int  # ordinal
    since: datetime | None = None  # of a closing: when the working day before it ended

    @property
    def counter(self) -> str:
        """Where the last day is kept for which it was sent."""
        return f"{self.name}_mail:{self.agent}"


def mails_due(with_: Stationery, now: datetime) -> list[DayMail]:
    """Whose day has just begun or ended, by his calendar."""
    policy = with_.policy
    found = []
    for name in policy.agents:
        spec = calendar_of(policy, name)
        if policy.day_mail and (day := opening_day(spec, now)) is not None:
            found.append(DayMail(OPENING, name, day.toordinal()))
        if policy.delivered_mail and (end := closing(spec, now)) is not None:
            found.append(DayMail(CLOSING, name, end.day.toordinal(), end.before))
    return found


async def of_who_is_there(tx: Transaction, due: Collection[DayMail], now: datetime) -> list[DayMail]:
    """Without the openings of those who are away: who comes before noon gets his then."""
    states = await agents.states(tx)
    return [one for one in due if one.name != OPENING or _is_there(states.get(one.agent), now)]


def _is_there(state: AgentState | None, now: datetime) -> bool:
    if state is None or state.presence == ON:
        return True
    return state.until is not None and state.until <= now


async def day_mails(
    tx: Transaction, with_: Stationery, due: Collection[DayMail], now: datetime
) -> tuple[Sequence[Event], Sequence[NewOutbox]]:
    """What is to be sent now, and has not been: (events, mails). The caller owns the transaction."""
    written: list[Event] = []
    rows: list[NewOutbox] = []
    channel = next((c for c in with_.policy.channels.values() if c.medium == Medium.EMAIL), None)
    for one in due:
        if channel is None or not await advance(tx, one.counter, one.day) or not await _has_anything(tx, one):
            continue
        agent: Agent = with_.policy.agents[one.agent]
        rows.append(
            NewOutbox(
                ticket=None,
                source=None,
                channel=channel.name,
                address=f"mailto:{agent.addresses[0]}",
                purpose=Purpose.TOLD,
                agent=agent.name,
                recipe={"code": CODE, "list": one.name, "since": one.since.isoformat() if one.since else None},
                mail_id=mail_id(with_.keyring, domain_of(channel), CODE, one.name, agent.name, one.day),
            )
        )
        written.append(Event(at=now, kind="day_told", agent=agent.name, data={"list": one.name}))
    return written, rows


async def _has_anything(tx: Transaction, one: DayMail) -> bool:
    if one.name == OPENING:
        return bool(await listing.open_of_agent(tx, one.agent, limit=1))
    assert one.since is not None
    return await answers.wrote_since(tx, one.agent, one.since)
