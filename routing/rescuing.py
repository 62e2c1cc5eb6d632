"""Rescuing: an assignment that will miss its deadline goes to somebody who can still make it.

Pure. It is looked at when a share of the time that was left at the handing out is over. It is taken from who shows no
sign of life, or has too much before it; given only to somebody who can be in time; never back to one who had it; and
not more often than the rules say. Who loses it is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from routing.assigning_rules import AssigningRules
from routing.assignment import Assignment, Need, assign
from routing.calendars import due_at, elapsed
from routing.crowd import AgentSnapshot, Crowd
from routing.policy import Budget, BudgetUnit, CalendarSpec
from routing.reasons import because

#: Less time than this leaves nobody anything to rescue.
SHORTEST = timedelta(seconds=20)

_DEFAULTS = AssigningRules()


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """An assignment as it stands: who has it, since when, who had it before."""

    agent: str
    assigned_at: datetime
    seen_at: datetime | None = None  # his last sign of life on this very ticket
    had_it: tuple[str, ...] = ()  # from whom it was taken, for this target


def rescue_at(
    spec: CalendarSpec, unit: BudgetUnit, assigned_at: datetime, due: datetime, rules: AssigningRules = _DEFAULTS
) -> datetime | None:
    """When to look whether it must be rescued, in the counting of its budget; None where there is no time for that."""
    if due - assigned_at < SHORTEST:
        return None
    if unit in (BudgetUnit.WALL, BudgetUnit.CALENDAR_DAYS):
        return assigned_at + (due - assigned_at) * rules.rescue_share
    left = elapsed(spec, assigned_at, due)
    if left < SHORTEST:
        return None
    return due_at(spec, assigned_at, Budget(BudgetUnit.WORKING_HOURS, left * rules.rescue_share))


def is_lost(holder: AgentSnapshot | None, held: Held, need: Need, now: datetime) -> str:
    """Why who has it will not make it: gone, silent, busy; "" where he may."""
    if held.seen_at is not None and held.seen_at >= held.assigned_at:
        return ""  # he is at it
    if holder is None or not holder.is_on_duty:
        return "gone"
    if holder.doubted_from <= now.timestamp():
        return "silent"  # for longer than what he has to do explains
    before = max(0.0, holder.expected_minutes - need.load.minutes)  # his work includes this ticket
    if need.due_at is not None and now + timedelta(minutes=before + need.minutes) > need.due_at and before > 0:
        return "busy"
    return ""


def rescue(
    snapshot: Crowd, need: Need, held: Held, now: datetime, rules: AssigningRules = _DEFAULTS
) -> Assignment | None:
    """Who takes it over; None: it stays where it is. `need.due_at` must be given."""
    why = is_lost(snapshot.get(held.agent), held, need, now)
    if not why or need.due_at is None or len(held.had_it) >= rules.max_rescues:
        return None
    others = frozenset({held.agent, *held.had_it})
    preferred = "" if need.preferred in others else need.preferred
    found = assign(snapshot, replace(need, had_it=others, preferred=preferred, may_wait=False), now, rules)
    if found.agent is None or found.is_late:
        return None  # nobody could do better: moving it would only lose what has been begun
    taken = because("rescued", agent=held.agent, why=why)
    return replace(found, reasons=(taken, *found.reasons))
