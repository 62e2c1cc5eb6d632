"""Linking: an agent says that his ticket is the same matter as one on another channel, or that it is not."""

from __future__ import annotations

from dataclasses import replace

from routing.deed import Act
from routing.joining import MERGED
from routing.matters import join_matter, number_of
from routing.merging import number_in
from routing.records import Ticket


def _named(act: Act) -> Ticket | None:
    """The ticket that `!same` names."""
    number = number_in(act.argument)
    return act.desk.tickets.get(number) if number is not None else None


def cannot_be_same(act: Act) -> str:
    other = _named(act)
    if other is None or other.id == act.ticket.id:
        return "same_which"
    is_merged = any((t.closed_reason or "").startswith(MERGED) and t.closed_at for t in (act.ticket, other))
    return "same_which" if is_merged else ""


def is_same(act: Act) -> str:
    """The agent says that both are one matter."""
    other = _named(act)
    assert other is not None, "asked before"
    if number_of(other) != number_of(act.ticket):
        act.desk.put_ticket(join_matter(act.desk, act.ticket, other))
        matter = act.ticket.matter
        act.desk.tell(
            "matter_joined", ticket=act.ticket.id, message=act.incoming.id, agent=act.agent.name, matter=matter
        )
    return ""


def in_no_matter(act: Act) -> str:
    return "" if act.ticket.matter is not None else "apart_alone"


def is_apart(act: Act) -> str:
    """The agent says that this is another matter."""
    was = act.ticket.matter
    act.desk.put_ticket(replace(act.ticket, matter=None))
    act.desk.tell("matter_left", ticket=act.ticket.id, message=act.incoming.id, agent=act.agent.name, matter=was)
    return ""
