"""Rescues: what a supervisor may do about a ticket that is late: take it, give it to somebody who is there, call."""

from __future__ import annotations

from collections.abc import Iterable

from channels.message import Scheme
from intake.action_links import mailto
from intake.cards import Stationery, value_of
from intake.compose_facts import Action
from routing.commands import CommandName
from routing.policy import Agent, ChannelPolicy
from routing.records import Ticket
from routing.tokens import reply_address
from store import agents, customers, tickets
from store.engine import Transaction
from store.outbox import OutboxItem

MAX_COLLEAGUES = 3  # who are offered: those who have least to do


async def rescues(
    tx: Transaction, item: OutboxItem, ticket: Ticket, with_: Stationery, channel: ChannelPolicy, language: str
) -> tuple[Action, ...]:
    """None where the mail's address cannot vary, or for who may not."""
    reader, token = with_.policy.agents[item.agent or ""], item.recipe.get("acts", {}).get(CommandName.TO.value)
    if not token:
        return ()

    def gives(agent: Agent) -> Action:
        typed = with_.texts.say("notice.typed_to", language, who=agent.display_name)
        does = with_.texts.say("notice.take" if agent is reader else "notice.give", language)
        link = mailto(reply_address(channel, token), f"!to {agent.name} [#{ticket.id}]")
        return Action(typed=typed, does=does, mailto=link)

    others = await _who_is_there(tx, ticket, with_, without={reader.name, ticket.agent})
    call = with_.texts.say("notice.call", language)
    found = [gives(one) for one in ([reader] if ticket.agent != reader.name else []) + others]
    return (*found, *(Action(typed=n, does=call, mailto=f"tel:{n}") for n in await _telephones(tx, ticket)))


async def _who_is_there(
    tx: Transaction, ticket: Ticket, with_: Stationery, without: Iterable[str | None]
) -> list[Agent]:
    """The team's members who are at work, the least busy first."""
    team, states, loads = with_.policy.teams.get(ticket.team), await agents.states(tx), await tickets.open_loads(tx)
    left_out = set(without)
    there = [
        with_.policy.agents[name]
        for name in (team.members if team else ())
        if name in with_.policy.agents and name not in left_out and _is_on(states, name)
    ]
    return sorted(there, key=lambda one: (loads.get(one.name, 0), one.name))[:MAX_COLLEAGUES]


def _is_on(states: dict[str, agents.AgentState], name: str) -> bool:
    return name not in states or states[name].presence == "on"


async def _telephones(tx: Transaction, ticket: Ticket) -> list[str]:
    """The customer's number, where we know one."""
    known = (await customers.contacts_of(tx, [ticket.customer])).get(ticket.customer, [])
    return [value_of(c.address) for c in known if c.address.startswith(f"{Scheme.PHONE.value}:")][:1]
