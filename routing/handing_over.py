"""Handing over: an agent gives a ticket to a colleague, with a note if he likes.

His own reply addresses live on: what he still sends by them waits for a word of his, and of his commands none is
carried out there any more (`routing/obstacles.py`).
"""

from __future__ import annotations

from dataclasses import replace

from routing.deed import Act
from routing.desk import Desk, Incoming, reason_data
from routing.holding import tell_plainly
from routing.policy import Agent, ChannelPolicy
from routing.reasons import because
from routing.records import Ticket
from routing.words import Purpose, TicketState
from routing.writing import send_to_agent


def colleague(desk: Desk, name: str) -> Agent | None:
    """Whom `!to` names: by his name, as he is shown, or by an address."""
    wanted = name.strip().lower()
    everybody = desk.policy.agents.values()
    return next((a for a in everybody if wanted in (a.name.lower(), a.display_name.lower(), *a.addresses)), None)


def unknown_colleague(act: Act) -> str:
    is_there = colleague(act.desk, act.argument) is not None and act.desk.mail_channel_of(act.ticket) is not None
    return "" if is_there else "unknown_agent"


def hands_over(act: Act) -> str:
    other, channel = colleague(act.desk, act.argument), act.desk.mail_channel_of(act.ticket)
    assert other is not None, "asked before"
    assert channel is not None, "asked before"
    hand_over(act.incoming, act.desk, act.agent, act.ticket, other, channel, act.words)
    return ""


def hand_over(
    incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, other: Agent, channel: ChannelPolicy, words: str
) -> None:
    """Let another agent have it. `channel`: the mail channel by which he hears of it, with these words as a note."""
    by = because("handed_over", agent=agent.name)
    desk.put_ticket(
        replace(ticket, agent=other.name, assigned_at=desk.now, updated_at=desk.now, state=TicketState.OPEN)
    )
    desk.note_assigned(other.name)
    desk.tell(
        "assigned",
        ticket=ticket.id,
        message=incoming.id,
        agent=other.name,
        by=agent.name,
        reasons=reason_data((by,)),
    )
    if other.name != agent.name:
        tell_plainly(incoming, desk, agent, "moved", ticket=ticket.id, detail=other.display_name)
    send_to_agent(
        desk,
        desk.tickets[ticket.id],
        other,
        channel,
        Purpose.ASSIGNMENT,
        message=ticket.opened_by,
        reasons=(by,),
        note=words[:4000],
    )
