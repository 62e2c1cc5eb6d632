"""Urgency: an agent says that a ticket cannot wait, or that it can.

Urgent halves the time for the first response and for the next one, but by telephone and chat, where it is short
already; an urgent complaint has an initial opinion of its own (POLICY.md, Clocks). That it can wait takes back the
mark alone: what was promised stays promised.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

from channels.message import Medium
from routing.deed import Act
from routing.desk import Desk
from routing.folding import fold
from routing.learned import NO, URGENT, YES
from routing.once import asked_once, done_once
from routing.records import Ticket
from routing.sla import TargetPlan, next_response_for, targets_for
from routing.sooner import bring_forward
from routing.words import TargetKind

_YES = frozenset({"", "yes", "on", "是", "好", "急"})
_NO = frozenset({"no", "off", "not", "不", "不急", "否", "取消", "非急件", "解除"})


def asked_urgency(argument: str) -> bool | None:
    """What stands behind `!urgent`; None if it is neither yes nor no."""
    said = fold(argument.strip())
    return True if said in _YES else False if said in _NO else None


@asked_once
def unclear_urgency(act: Act) -> str:
    return "bad_urgent" if asked_urgency(act.argument) is None else ""


@done_once
def urges(act: Act) -> str:
    is_urgent = asked_urgency(act.argument)
    assert is_urgent is not None, "asked before"
    if act.ticket.is_urgent == is_urgent:
        return ""
    desk = act.desk
    desk.put_ticket(replace(act.ticket, is_urgent=is_urgent, updated_at=desk.now))
    desk.tell("urgency_changed", ticket=act.ticket.id, message=act.incoming.id, agent=act.agent.name, urgent=is_urgent)
    desk.correct(act.ticket, URGENT, *((NO, YES) if is_urgent else (YES, NO)), act.agent.name)
    if is_urgent:
        hasten(desk, act.ticket)
    return ""


def hasten(desk: Desk, ticket: Ticket) -> None:
    """Give what is promised on an urgent ticket its shorter times."""
    promised = {plan.kind for plan in plans(desk, ticket, desk.now)} | {TargetKind.NEXT_RESPONSE}
    for target in list(desk.open_targets(ticket.id)):
        if target.kind in promised and target.kind is not TargetKind.CALLBACK:
            bring_forward(desk, target, partial(plan_of, desk, ticket, target.kind), "urgent")


def plan_of(desk: Desk, ticket: Ticket, kind: TargetKind, at: datetime) -> TargetPlan:
    """What the policy promises of a kind on this ticket as it is now, from a moment on. One of `plans`, or the next."""
    if kind is TargetKind.NEXT_RESPONSE:
        return next_response_for(
            desk.policy,
            channel=ticket.channel,
            medium=Medium(ticket.medium),
            urgent=ticket.is_urgent,
            at=at,
            team=ticket.team,
            kind=ticket.kind,
            topic=ticket.topic,
            grade=desk.grade_of(ticket),
        )
    return next(plan for plan in plans(desk, ticket, at) if plan.kind is kind)


def plans(desk: Desk, ticket: Ticket, at: datetime) -> tuple[TargetPlan, ...]:
    """Everything that the policy promises on a ticket as it is now, if it began at a moment."""
    kinds = {target.kind for target in desk.targets.get(ticket.id, ())}
    return targets_for(
        desk.policy,
        channel=ticket.channel,
        medium=Medium(ticket.medium),
        kind=ticket.kind,
        urgent=ticket.is_urgent,
        at=at,
        team=ticket.team,
        topic=ticket.topic,
        grade=desk.grade_of(ticket),
        missed_call=TargetKind.CALLBACK in kinds and TargetKind.FIRST_RESPONSE not in kinds,
    )
