"""Sooner: a promise that was made gets an earlier deadline, never a later one.

What became known late is not broken before it was known: where the earlier deadline has passed already, the shorter
budget counts from now. What is breached stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from routing.desk import Desk
from routing.records import Target
from routing.sla import TargetPlan, times_of


def bring_forward(desk: Desk, target: Target, plan_from: Callable[[datetime], TargetPlan], why: str) -> bool:
    """Move an open target to what the plan says, if that is earlier; True if it was moved. One that stands is not."""
    if (
        not target.is_open
        or target.breached_at is not None
        or target.due_at <= desk.now
        or target.paused_at is not None
    ):
        return False
    plan = plan_from(target.started_at)
    if plan.due_at <= desk.now:
        plan = plan_from(desk.now)
    if plan.due_at >= target.due_at:
        return False
    moved = replace(
        target,
        policy_key=plan.key,
        budget=str(plan.budget),
        calendar=plan.calendar,
        calendar_version=plan.calendar_version,
        policy_version=plan.policy_version,
        **times_of(plan),  # type: ignore[arg-type]
    )
    desk.move_target(target, replace(moved, next_at=moved.next_after(desk.now)), why)
    return True
