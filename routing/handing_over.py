"""Handing over: an agent gives a ticket to a colleague, with a note if he likes.

His own reply addresses live on: what he still sends by them waits for a word of his, and of his commands none is
carried out there any more (`routing/obstacles.py`).
"""

from __future__ import annotations

from dataclasses import replace

from routing.commands import CommandName, parse
from routing.deed import Act
from routing.desk import Desk, Incoming, reason_data
from routing.holding import tell_plainly
from routing.joining import MERGED
from routing.policy import Agent, ChannelPolicy
from routing.reasons import Reason, because
from routing.records import Ticket
from routing.words import Purpose, TicketState
from routing.writing import send_to_agent


def colleague(desk: Desk, name: str) -> Agent | None:
    """Whom `!to` names: by his name or an address, or as he is shown, where nobody else is shown so."""
    wanted = name.strip().lower()
    everybody = desk.policy.agents.values()
    named = [a for a in everybody if wanted in (a.name.lower(), *a.addresses)]
    found = named or [a for a in everybody if wanted == a.display_name.lower()]
    return found[0] if len(found) == 1 else None


def cannot_hand_over(act: Act) -> str:
    """A closed ticket is opened by who says so, and by nothing else: what it owed would be forgotten."""
    opens = any(c.name is CommandName.REOPEN for c in parse(act.incoming.message.text).commands)
    if act.ticket.state is TicketState.CLOSED and not opens:
        return "to_closed"
    other = colleague(act.desk, act.argument)
    if other is None or act.desk.mail_channel_of(act.ticket) is None:
        return "unknown_agent"
    return "to_accused" if other.name == act.ticket.accused else ""


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
    give(incoming, desk, agent, ticket, other, by)
    taken_away(incoming, desk, ticket, agent)
    send_to_agent(
        desk,
        desk.tickets[ticket.id],
        other,
        channel,
        Purpose.ASSIGNMENT,
        message=desk.latest_of(ticket),
        reasons=(by,),
        note=words[:4000],
    )


def give(incoming: Incoming, desk: Desk, by: Agent, ticket: Ticket, other: Agent, why: Reason) -> None:
    """The ticket is another agent's from now on. Who had it and who gets it are told by the caller."""
    desk.put_ticket(
        replace(ticket, agent=other.name, assigned_at=desk.now, updated_at=desk.now, state=TicketState.OPEN)
    )
    desk.note_assigned(other.name)
    desk.tell(
        "assigned",
        ticket=ticket.id,
        message=incoming.id,
        agent=other.name,
        by=by.name,
        reasons=reason_data((why,)),
    )


def taken_away(incoming: Incoming, desk: Desk, before: Ticket, by: Agent | None = None) -> None:
    """Tell who had an open ticket that it is not his to answer any more, once: another has it, or somebody ended it.

    `before`: the ticket as it was; it is changed already. `by`: who did it; who ended his own is told nothing. What
    moves many tickets at once tells of them in one mail instead (`routing/absences.py`).
    """
    holder, now = desk.policy.agents.get(before.agent or ""), desk.tickets[before.id]
    if holder is None or before.state is TicketState.CLOSED:
        return
    if now.state is TicketState.CLOSED:
        if by is None or by.name == holder.name:
            return
        joined = (now.closed_reason or "").removeprefix(MERGED)
        if joined == now.closed_reason:
            tell_plainly(incoming, desk, holder, "ended", ticket=before.id, detail=by.display_name)
        elif joined.isdecimal() and desk.tickets[int(joined)].agent != holder.name:
            tell_plainly(incoming, desk, holder, "merged_away", ticket=before.id, detail=f"#{joined}")
    elif now.agent != holder.name and (other := desk.policy.agents.get(now.agent or "")) is not None:
        tell_plainly(incoming, desk, holder, "moved", ticket=before.id, detail=other.display_name)
