"""Called out: what is urgent while the desk is closed goes to who is on call, though he is not on duty.

By the roster, where it says who is on call at this moment; else by `[assignment] on_call`, those of them who have not
said that they are away. Who cannot take it (topic, language, certificate, capacity) is passed over as at any time.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from routing.assignment import Assignment, assign
from routing.calendars import is_open
from routing.crowd import AgentSnapshot
from routing.desk import Desk
from routing.needs import need_of
from routing.reasons import because
from routing.records import Ticket


def called_out(desk: Desk, ticket: Ticket, due_at: datetime | None = None) -> Assignment | None:
    """Who is called out for it; None where it can wait, the desk is open, or nobody is on call who can take it."""
    if not ticket.is_urgent or is_open(desk.policy.calendar_of(ticket.channel, ticket.team), desk.now):
        return None
    called = [replace(one, is_on_duty=True, on_until=None) for one in _on_call(desk)]
    if not called:
        return None
    need = need_of(desk, ticket, due_at=due_at, members=frozenset(one.agent.name for one in called))
    found = assign(called, need, desk.now, desk.policy.assigning)
    return replace(found, reasons=(because("on_call"), *found.reasons)) if found.agent is not None else None


def _on_call(desk: Desk) -> list[AgentSnapshot]:
    everybody = desk.snapshot().people(list(desk.policy.agents))
    rostered = [one for one in everybody if one.is_on_call]
    listed = desk.policy.assigning.on_call
    return rostered or [one for one in everybody if one.agent.name in listed and desk.is_present(one.agent.name)]
