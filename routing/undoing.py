"""Undoing: `!undo` calls back an agent's answers on a ticket that wait a little before they leave (`undo_seconds`).

Granted only while they are certain to be here: `changes.cancelled` names how many rows that is, and where fewer are
found when it is written, nothing of the batch is, and the mail is decided anew with the time that it is then. The
ticket stands as it did before them. Answers in a chat leave at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from routing.commands import CommandName, parse
from routing.deed import Act
from routing.desk import Desk
from routing.holding import tell_agent
from routing.joining import joined_to
from routing.merging import owe_there
from routing.policy import Agent
from routing.records import NewOutbox, Ticket
from routing.reopening import is_closed_by, owe_again
from routing.words import Purpose, TicketState


def asks_for_undo(text: str) -> bool:
    """Whether a mail may call back answers: only then it is looked up which of them wait."""
    return any(command.name is CommandName.UNDO for command in parse(text).commands)


def undoes(act: Act) -> str:
    """Call back what waits, and tell him what became of it. Words beside it go to nobody."""
    desk, ticket, agent = act.desk, act.ticket, act.agent
    his = [one for one in _waiting(desk, ticket, agent) if not one.recipe.get("copy")]
    if not his:
        _refuse(act)
        return ""
    _take_back(desk, ticket, agent)
    _stands_as_before(desk, ticket, agent, his)
    desk.tell("answer_called_back", ticket=ticket.id, message=act.incoming.id, agent=agent.name, answers=len(his))
    words = "\n\n".join(str(one.recipe.get("words", "")) for one in his)
    tell_agent(act.incoming, desk, agent, ticket, "called_back", would_have_left=words)
    return ""


def _refuse(act: Act) -> None:
    left = act.desk.left.get((act.ticket.id, act.agent.name))
    code = "undo_nothing" if left is None else "undo_late"
    if not act.desk.policy.undo_seconds:
        code = "undo_off"
    at = left.isoformat() if left is not None else ""
    tell_agent(act.incoming, act.desk, act.agent, act.ticket, code, would_have_left=act.words[:4000], at=at)


def _waiting(desk: Desk, ticket: Ticket, agent: Agent) -> list[NewOutbox]:
    """The rows of his answers that have not left and cannot leave yet, those of this batch too; the oldest first."""
    before = desk.waiting.get((ticket.id, agent.name), [])
    return [*before, *(one for one in desk.changes.outbox if _is_his(one, desk.now, ticket, agent))]


def _is_his(one: NewOutbox, now: datetime, ticket: Ticket, agent: Agent) -> bool:
    is_answer = one.purpose is Purpose.ANSWER and one.held_reason is None
    return is_answer and (one.ticket, one.agent) == (ticket.id, agent.name) and _waits(one, now)


def _waits(one: NewOutbox, now: datetime) -> bool:
    return one.not_before is not None and one.not_before > now


def _take_back(desk: Desk, ticket: Ticket, agent: Agent) -> None:
    """Neither they nor what tells others of them leaves."""
    stored = desk.waiting.pop((ticket.id, agent.name), [])
    if stored:
        desk.changes.cancelled.append((ticket.id, agent.name, len(stored)))
    sources = {one.source for one in desk.changes.outbox if _is_his(one, desk.now, ticket, agent)}
    desk.changes.outbox = [one for one in desk.changes.outbox if not (one.source in sources and _waits(one, desk.now))]


def _stands_as_before(desk: Desk, ticket: Ticket, agent: Agent, his: list[NewOutbox]) -> None:
    """As before the first of them, unless somebody has spoken or acted since."""
    now = desk.tickets[ticket.id]
    if joined_to(now) is not None:
        owe_there(desk, now)
        return
    if now.answered_by != agent.name or now.answered_at not in [one.answered_at for one in his]:
        return
    was = his[0].recipe.get("was", {})
    at = was.get("answered_at")
    before = replace(
        now,
        answered_by=was.get("answered_by"),
        answered_at=datetime.fromisoformat(at) if at else None,
        updated_at=desk.now,
    )
    state = TicketState(was.get("state", TicketState.OPEN))
    if state is not TicketState.WAITING:
        before = replace(before, waits_until=None)
    if is_closed_by(now, agent):
        owe_again(desk, now)
    elif now.state not in (TicketState.ANSWERED, TicketState.WAITING):
        desk.put_ticket(before)
        return
    # A closed ticket that his answer opened stays open: nobody has said that it is done again.
    desk.put_ticket(replace(before, state=TicketState.OPEN if state is TicketState.CLOSED else state))
