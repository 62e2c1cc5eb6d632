"""Obstacles: why an agent's good answer waits for one more word of his.

His evidence, his token and his words are right, and still it may be wrong to send it: somebody has answered already,
the ticket is a colleague's by now, it is closed, the customer has written again. He is asked once about each; whoever
says `!send` then has thought of it. The first valid answer needs no word at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from routing.desk import Desk
from routing.policy import Agent
from routing.records import NewOutbox, Ticket
from routing.words import TicketState

NO_REFERENCE, LIKE_A_NOTE, LIKE_ABSENCE = "no_reference", "looks_like_note", "looks_absent"
MERGED_ON, AFTER_ADVICE, FILES_UNSENT = "merged_on", "after_advice", "files_unsent"
BY_PROGRAM = "by_program"


@dataclass(frozen=True, kw_only=True, slots=True)
class Obstacle:
    """One thing to ask about."""

    code: str  # key of a `told.*` text
    key: str = ""  # what exactly he is asked about: asked once, it is in the way no longer; "" for `code`
    by: str = ""  # agent who has answered, or has the ticket
    at: datetime | None = None  # since when
    newer: int | None = None  # the customer's message that he may not have seen

    @property
    def asked(self) -> str:
        return self.key or self.code

    def facts(self) -> dict[str, Any]:
        """What the mail to the agent is made from."""
        found = {"by": self.by, "at": self.at.isoformat() if self.at else "", "newer": self.newer}
        return {name: value for name, value in found.items() if value}


def holder_of(desk: Desk, ticket: Ticket) -> Agent | None:
    """Whose ticket it is; None where nobody has it, or who had it has left."""
    return desk.policy.agents.get(ticket.agent or "")


def may_act(desk: Desk, ticket: Ticket, agent: Agent) -> bool:
    """Whether it is his to decide on: nobody else has it, or he supervises its team."""
    holder, team = holder_of(desk, ticket), desk.policy.teams.get(ticket.team)
    return holder is None or holder.name == agent.name or (team is not None and agent.name in team.supervisors)


def in_the_way(
    desk: Desk, ticket: Ticket, agent: Agent, *, opens: bool = False, waited: NewOutbox | None = None
) -> tuple[Obstacle, ...]:
    """What an answer of his must be asked about now. `opens`: his commands open the ticket. `waited`: it waited."""
    found = (
        None if opens else _closed(ticket),
        _answered(desk, ticket, agent),
        _not_his(desk, ticket, agent),
        _newer_words(desk, ticket, waited) if waited is not None else None,
    )
    return tuple(one for one in found if one is not None)


def not_asked(obstacles: Iterable[Obstacle], waited: NewOutbox) -> tuple[Obstacle, ...]:
    """Those that its author was not asked about while it waited."""
    asked = waited.recipe.get("asked", ())
    return tuple(one for one in obstacles if one.asked not in asked)


def _closed(ticket: Ticket) -> Obstacle | None:
    if ticket.state is not TicketState.CLOSED:
        return None
    at = ticket.closed_at.isoformat() if ticket.closed_at else ""
    return Obstacle(code="closed_ticket", key=f"closed_ticket:{at}", at=ticket.closed_at)


def _answered(desk: Desk, ticket: Ticket, agent: Agent) -> Obstacle | None:
    """Somebody else has answered since the customer's last words: they open the ticket again."""
    if ticket.answered_by in (None, agent.name) or ticket.answered_at is None:
        return None
    heard = desk.spoken.get(ticket.id)
    since = ticket.state is TicketState.ANSWERED or (
        ticket.state is TicketState.WAITING and (heard is None or heard[1] <= ticket.answered_at)
    )
    if not since:
        return None
    key = f"already_answered:{ticket.answered_by}:{ticket.answered_at.isoformat()}"
    return Obstacle(code="already_answered", key=key, by=ticket.answered_by, at=ticket.answered_at)


def _not_his(desk: Desk, ticket: Ticket, agent: Agent) -> Obstacle | None:
    holder = holder_of(desk, ticket)
    if holder is None or may_act(desk, ticket, agent):
        return None
    return Obstacle(code="not_holder", key=f"not_holder:{holder.name}", by=holder.name, at=ticket.assigned_at)


def _newer_words(desk: Desk, ticket: Ticket, waited: NewOutbox) -> Obstacle | None:
    """The customer has written since the answer came in."""
    last = desk.spoken.get(ticket.id)
    if last is None or waited.source is None or last[0] < waited.source:
        return None
    return Obstacle(code="customer_wrote", key=f"customer_wrote:{last[0]}", newer=last[0], at=last[1])
