"""Reminding: what is to be done at a moment that is no promise to a customer: a wait is over, advice has not come.

Each is done once, in the transaction that marks it as done. One that has lost its reason since (the customer wrote, the
senior answered) does nothing. Written here is what the watcher may: that a ticket waits no longer, that somebody is
back; everything else is the decider's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from channels.message import Medium
from intake.cards import Stationery
from intake.pauses import run_on
from routing.desk import domain_of, mail_id
from routing.policy import Agent, ChannelPolicy
from routing.records import Event, NewOutbox, Presence, Reminder, Ticket
from routing.tokens import REPLY, issue, reference_message_id
from routing.words import Purpose, ReminderKind
from store import agents, tickets, tokens
from store.engine import Transaction


@dataclass
class Reminded:
    """What came of a round of reminders."""

    events: list[Event] = field(default_factory=list)
    rows: list[NewOutbox] = field(default_factory=list)
    is_counted_anew: bool = False  # whose turn it is has changed, or who is there


async def remind(tx: Transaction, ripe: Sequence[Reminder], with_: Stationery, now: datetime) -> Reminded:
    """Do what these are for. The caller marks them as done, sends the rows and appends the events."""
    done = Reminded()
    for one in ripe:
        does = _DOES.get(one.kind)
        if does is not None:
            await does(tx, one, with_, now, done)
    return done


async def _wait_over(tx: Transaction, one: Reminder, with_: Stationery, now: datetime, done: Reminded) -> None:
    """The customer has not written: his agent is told, and the ticket is open."""
    if one.ticket is None or not await tickets.end_waiting(tx, one.ticket, one.at, now):
        return  # he wrote, or the agent has thought of another day
    ticket = (await tickets.by_ids(tx, [one.ticket]))[one.ticket]
    done.is_counted_anew = True
    done.events += await run_on(tx, ticket, with_.policy, one.at, now)
    readers = _readers(ticket, one.agent, with_)
    done.events.append(
        Event(at=now, kind="wait_over", ticket=ticket.id, agent=ticket.agent, data={"told": len(readers)})
    )
    since = str(one.data.get("since", one.at.isoformat()))
    for reader in readers:
        row = await _told(tx, one, ticket, reader, with_, now, code="wait_over", since=since)
        done.rows += [row] if row is not None else []


async def _no_advice(tx: Transaction, one: Reminder, with_: Stationery, now: datetime, done: Reminded) -> None:
    """The senior has not answered: who asked is told."""
    token, senior = str(one.data.get("token", "")), with_.policy.agents.get(str(one.data.get("senior", "")))
    record = (await tokens.by_tokens(tx, [token])).get(token)
    asker = with_.policy.agents.get(one.agent or "")
    if one.ticket is None or asker is None or record is None or record.used_at is not None:
        return
    ticket = (await tickets.by_ids(tx, [one.ticket])).get(one.ticket)
    if ticket is None or ticket.closed_at is not None:
        return
    name = senior.display_name if senior is not None else str(one.data.get("senior", ""))
    done.events.append(
        Event(
            at=now, kind="advice_missing", ticket=ticket.id, agent=asker.name, data={"senior": one.data.get("senior")}
        )
    )
    row = await _told(tx, one, ticket, asker, with_, now, code="no_advice", detail=name)
    done.rows += [row] if row is not None else []


async def _back_on(tx: Transaction, one: Reminder, with_: Stationery, now: datetime, done: Reminded) -> None:
    """Somebody's absence ends, unless he has said something else since."""
    name = one.agent or ""
    state = (await agents.states(tx)).get(name)
    if state is None or state.presence == "on" or state.until != one.at:
        return
    await agents.present(tx, {name: Presence(state="on", since=now)})
    done.is_counted_anew = True
    done.events.append(
        Event(at=now, kind="presence_changed", agent=name, data={"state": "on", "until_at": None, "by": "clock"})
    )


_Does = Callable[[Transaction, Reminder, Stationery, datetime, Reminded], Awaitable[None]]
_DOES: Mapping[str, _Does] = {
    ReminderKind.WAIT_OVER.value: _wait_over,
    ReminderKind.CONSULT.value: _no_advice,
    ReminderKind.BACK_ON.value: _back_on,
}


def _readers(ticket: Ticket, asked_by: str | None, with_: Stationery) -> list[Agent]:
    """Who has the ticket; else who asked to be reminded; else the team's supervisors."""
    policy = with_.policy
    for name in (ticket.agent, asked_by):
        if name in policy.agents:
            return [policy.agents[name or ""]]
    team = policy.teams.get(ticket.team)
    return [policy.agents[n] for n in (team.supervisors if team else ()) if n in policy.agents]


async def _told(
    tx: Transaction, one: Reminder, ticket: Ticket, agent: Agent, with_: Stationery, now: datetime, **facts: Any
) -> NewOutbox | None:
    """The mail to an agent; with an address to answer by where the ticket is his. None without a mail channel."""
    channel = _mail_channel(ticket, with_)
    if channel is None:
        return None
    domain = domain_of(channel)
    this_id = mail_id(with_.keyring, domain, "reminder", one.id, agent.name)
    recipe: dict[str, Any] = {"message": None, **facts}
    if ticket.agent in (agent.name, None):
        # Below zero: the decider counts a ticket's serials up, and does not see this one.
        serial = -int(one.id or 0)
        record = issue(with_.keyring, ticket=ticket.id, agent=agent.name, purpose=REPLY, serial=serial, now=now)
        await tokens.add(tx, [record])
        recipe["token"] = record.token
        if channel.token_in == "references":  # noqa: S105
            this_id = reference_message_id(record.token, domain)
    await tickets.add_keys(tx, [(this_id, ticket.id, True)])
    return NewOutbox(
        ticket=ticket.id,
        source=None,
        channel=channel.name,
        address=f"mailto:{agent.addresses[0]}",
        purpose=Purpose.TOLD,
        agent=agent.name,
        recipe=recipe,
        mail_id=this_id,
    )


def _mail_channel(ticket: Ticket, with_: Stationery) -> ChannelPolicy | None:
    """The mail channel by which the ticket's agent hears of it."""
    channels = with_.policy.channels
    own = channels.get(ticket.channel)
    if own is not None and own.medium == Medium.EMAIL:
        return own
    named = channels.get(own.reply_channel) if own is not None else None
    return named or next((c for c in channels.values() if c.medium == Medium.EMAIL), None)
