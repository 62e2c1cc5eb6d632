"""Service targets: what was promised for a ticket, until when, and how it stands at a moment.

Pure. Budgets come from the policy by key (`first_response.email`, `complaint.resolution` …); each is counted
in the calendar of the channel, else the team's, else the desk's. A target says under which key, policy and
calendar it was computed, so that it can be explained, and recomputed when a calendar's data comes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from channels.message import MESSAGING, Medium
from routing.budgets import parse_budget
from routing.calendars import due_at, share_of, split_point
from routing.calls import ring_cycle
from routing.policy import Budget, BudgetUnit, CalendarSpec, ChannelPolicy, Policy
from routing.target_rules import Case, given
from routing.words import Kind, TargetKind

WARN_FROM = timedelta(minutes=10)  # shorter budgets leave nobody time to read a warning

#: What a firm that writes no [targets] promises. Phone has no entry: rings times the country's cycle.
DEFAULT_TARGETS = {
    key: parse_budget(text)
    for key, text in {
        "first_response.email": "8wh",
        "first_response.chat": "60s",
        "first_response.messaging": "3min in hours",
        "first_response.default": "4wh",
        "phone.callback": "30min in hours",
        "feedback.forward": "4wh",
        "feedback.report_back": "5wd",
        "complaint.ack": "60s",
        "complaint.answer": "2wh",
        "complaint.initial_opinion": "1wd",
        "complaint.initial_opinion_urgent": "4wh",
        "complaint.resolution": "10wd",
        "complaint.resolution_tw": "15d",  # Taiwan's Consumer Protection Act, art. 43: whatever comes first
        "complaint.legal_notice": "1wd",
        "complaint.progress_every": "3wd",
        "consult.answer": "4wh",
    }.items()
}
#: Until when a senior who was asked by `!consult` should have answered; who asked is told if he has not.
CONSULT_ANSWER = "consult.answer"

#: Every key that [targets] may name.
TARGET_KEYS = frozenset(DEFAULT_TARGETS) | {"first_response.phone"}

_LEAST_FOR_MANAGERS = parse_budget("30min")

DEFAULT_SUPERVISOR_AFTER = {"first_response.chat": parse_budget("180s")}

#: Wall clock written under these keys runs in open hours only: nobody calls back at night.
_IN_HOURS = frozenset({"first_response.messaging", "phone.callback"})
_NEVER_HALVED = frozenset({"first_response.phone", "first_response.chat"})


class TargetState(StrEnum):
    """How a target stands; the first three are also the colours of a deadline."""

    CALM = "calm"
    HALF = "half"  # 50 % used up
    SHORT = "short"  # 80 % used up
    OVERDUE = "overdue"  # not met, and its time is over
    MET = "met"
    MET_LATE = "met_late"


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetPlan:
    """One promise and its clock. All times are UTC."""

    kind: TargetKind
    key: str  # of the policy, which gave the budget
    budget: Budget
    calendar: str  # name
    calendar_version: str
    policy_version: str
    started_at: datetime
    due_at: datetime
    warn_50_at: datetime | None  # None for budgets under `WARN_FROM`
    warn_80_at: datetime | None
    supervisor_at: datetime  # due_at, unless the policy says later or sooner
    manager_at: datetime | None = None  # as much later again; None where the team has no manager


def targets_for(
    policy: Policy,
    *,
    channel: str,
    medium: Medium,
    kind: Kind,
    urgent: bool,
    at: datetime,
    team: str = "",
    topic: str = "",
    grade: str = "",
    missed_call: bool = False,
    spec: CalendarSpec | None = None,
) -> tuple[TargetPlan, ...]:
    """The targets of a ticket that begins `at` (aware), the first response or callback first.

    A channel that the policy does not know (`due --channel email`) gets the desk's calendar and region.
    `grade`: the class of its customer. `spec`: the calendar to count in, where it is not that of channel and team.
    """
    spec = spec or policy.calendar_of(channel, team)
    known = policy.channels.get(channel)
    has_managers = team in policy.teams and bool(policy.teams[team].managers)
    case = Case(channel=channel, medium=medium.value, kind=kind, topic=topic, grade=grade, team=team, urgent=urgent)
    region = (known.region if known else "") or policy.region
    desk = _Desk(policy, spec, at.astimezone(UTC), region, has_managers, case)
    if missed_call:
        first = desk.ruled(TargetKind.CALLBACK, "phone.callback") or desk.plan(TargetKind.CALLBACK, "phone.callback")
    else:
        key, budget = _first_response(policy, known, medium, desk.region)
        halve = urgent and key not in _NEVER_HALVED
        first = desk.ruled(TargetKind.FIRST_RESPONSE, key, halve=halve) or desk.plan(
            TargetKind.FIRST_RESPONSE, key, budget, halve=halve
        )
    if kind is Kind.COMPLAINT:
        answer = desk.plan(first.kind, "complaint.answer")
        first = min(first, answer, key=lambda plan: plan.due_at)
        return (first, _initial_opinion(desk, urgent=urgent), _resolution(desk))
    solved = desk.ruled(TargetKind.RESOLUTION)
    rest = (solved,) if solved is not None else ()
    if kind is Kind.FEEDBACK:
        back = desk.ruled(TargetKind.REPORT_BACK) or desk.plan(TargetKind.REPORT_BACK, "feedback.report_back")
        return (first, back, *rest)
    return (first, *rest)


def next_response_for(
    policy: Policy,
    *,
    channel: str,
    medium: Medium,
    urgent: bool,
    at: datetime,
    team: str = "",
    kind: Kind = Kind.CONSULTATION,
    topic: str = "",
    grade: str = "",
    spec: CalendarSpec | None = None,
) -> TargetPlan:
    """The clock that a customer's further words start: as long as the first response's, unless a rule says otherwise.

    A complaint's shorter time for a first answer is for the first one.
    """
    case = Case(channel=channel, medium=medium.value, kind=kind, topic=topic, grade=grade, team=team, urgent=urgent)
    plain = Kind.CONSULTATION if kind is Kind.COMPLAINT else kind
    first = targets_for(
        policy,
        channel=channel,
        medium=medium,
        kind=plain,
        urgent=urgent,
        at=at,
        team=team,
        topic=topic,
        grade=grade,
        spec=spec,
    )[0]
    if given(policy.target_rules, case, TargetKind.NEXT_RESPONSE) is None:
        return replace(first, kind=TargetKind.NEXT_RESPONSE)
    known = policy.channels.get(channel)
    key, _ = _first_response(policy, known, medium, policy.region)
    has_managers = team in policy.teams and bool(policy.teams[team].managers)
    spec = spec or policy.calendar_of(channel, team)
    desk = _Desk(policy, spec, at.astimezone(UTC), policy.region, has_managers, case)
    ruled = desk.ruled(TargetKind.NEXT_RESPONSE, key, halve=urgent and key not in _NEVER_HALVED)
    assert ruled is not None, "looked up above"
    return ruled


def times_of(plan: TargetPlan) -> dict[str, datetime | None]:
    """The moments of a plan by the names that a stored target has for them."""
    return {
        "due_at": plan.due_at,
        "warn_50_at": plan.warn_50_at,
        "warn_80_at": plan.warn_80_at,
        "supervisor_at": plan.supervisor_at,
        "manager_at": plan.manager_at,
    }


def state(target: TargetPlan, now: datetime, met_at: datetime | None = None) -> TargetState:
    """How a target stands at a moment; at `due_at` itself it is still kept."""
    if met_at is not None and met_at <= now:
        return TargetState.MET if met_at <= target.due_at else TargetState.MET_LATE
    if now > target.due_at:
        return TargetState.OVERDUE
    if target.warn_80_at is not None and now >= target.warn_80_at:
        return TargetState.SHORT
    if target.warn_50_at is not None and now >= target.warn_50_at:
        return TargetState.HALF
    return TargetState.CALM


@dataclass(frozen=True, slots=True)
class _Desk:
    """What all targets of one ticket have in common."""

    policy: Policy
    spec: CalendarSpec
    at: datetime
    region: str
    has_managers: bool  # of the team
    case: Case

    def ruled(self, kind: TargetKind, key: str = "", *, halve: bool = False) -> TargetPlan | None:
        """The plan by the first [[target_rules]] that has a time for it. `key`: what [targets] calls the same."""
        found = given(self.policy.target_rules, self.case, kind)
        if found is None:
            return None
        halve = halve and not found.is_for_urgent
        return replace(self.plan(kind, key, found.budget, halve=halve, is_ruled=True), key=found.key)

    def plan(
        self, kind: TargetKind, key: str, budget: Budget | None = None, *, halve: bool = False, is_ruled: bool = False
    ) -> TargetPlan:
        whole = _counted(key, budget or budget_of(self.policy, key))
        given = share_of(self.spec, self.at, whole, 0.5) if halve else whole
        due = due_at(self.spec, self.at, given)
        supervisor = self._supervisor_at(key, given, due, halve=halve)
        if is_ruled:  # when they hear of it was said of another time: never before this one is over
            supervisor = max(supervisor, due)
        warns = _is_long_enough(given)
        return TargetPlan(
            kind=kind,
            key=key,
            budget=given,
            calendar=self.spec.name,
            calendar_version=self.spec.version,
            policy_version=self.policy.version,
            started_at=self.at,
            due_at=due,
            warn_50_at=split_point(self.spec, self.at, given, 0.5) if warns else None,
            warn_80_at=split_point(self.spec, self.at, given, 0.8) if warns else None,
            supervisor_at=supervisor,
            manager_at=self._manager_at(key, given, supervisor),
        )

    def _supervisor_at(self, key: str, budget: Budget, due: datetime, *, halve: bool) -> datetime:
        after = self.policy.supervisor_after.get(key)
        if after is None:
            return due
        counted = _counted(key, after)
        if budget.unit is BudgetUnit.WORKING_HOURS and counted.unit is BudgetUnit.WALL:
            # The promise's clock stands still at night, and so does the supervisor's.
            counted = replace(counted, unit=BudgetUnit.WORKING_HOURS)
        given = share_of(self.spec, self.at, counted, 0.5) if halve else counted
        return due_at(self.spec, self.at, given)

    def _manager_at(self, key: str, budget: Budget, supervisor: datetime) -> datetime | None:
        """The policy's time after the supervisor heard of it, else the budget once more, but half an hour at least."""
        if not self.has_managers:
            return None
        after = self.policy.manager_after.get(key) or max(budget, _LEAST_FOR_MANAGERS, key=_length)
        in_hours = budget.unit is BudgetUnit.WORKING_HOURS and after.unit is BudgetUnit.WALL
        return due_at(self.spec, supervisor, replace(after, unit=BudgetUnit.WORKING_HOURS) if in_hours else after)


def _length(budget: Budget) -> tuple[int, timedelta]:
    return (budget.days, budget.amount)


def budget_of(policy: Policy, key: str) -> Budget:
    """How long the firm gives for this, or what is usual."""
    return policy.targets.get(key) or DEFAULT_TARGETS[key]


def _counted(key: str, budget: Budget) -> Budget:
    """Under some keys the wall clock stands still while the desk is closed."""
    if key in _IN_HOURS and budget.unit is BudgetUnit.WALL:
        return replace(budget, unit=BudgetUnit.WORKING_HOURS, written=f"{budget.written} in hours")
    return budget


def _is_long_enough(budget: Budget) -> bool:
    return bool(budget.days) or budget.amount >= WARN_FROM


def _first_response(policy: Policy, channel: ChannelPolicy | None, medium: Medium, region: str) -> tuple[str, Budget]:
    if medium is Medium.PHONE:
        return "first_response.phone", _ringing(policy, channel, region)
    if medium is Medium.EMAIL:
        key = "first_response.email"
    elif medium is Medium.CHAT:
        key = "first_response.chat"
    else:
        key = "first_response.messaging" if medium in MESSAGING else "first_response.default"
    return key, budget_of(policy, key)


def _ringing(policy: Policy, channel: ChannelPolicy | None, region: str) -> Budget:
    """Until the last ring that counts is over: by the channel's cycle, else [targets], else the country's."""
    written = policy.targets.get("first_response.phone")
    cycle = channel.ring_cycle if channel else None
    if written is not None and cycle is None:
        return written
    rings = channel.rings if channel else 3
    cycle = ring_cycle(region, cycle)
    return Budget(BudgetUnit.WALL, rings * cycle, written=f"{rings} rings x {cycle.total_seconds():g}s")


def _is_for_urgent(desk: _Desk) -> bool:
    """Whether the rule that gives the time for a first opinion asks for urgency itself."""
    found = given(desk.policy.target_rules, desk.case, TargetKind.INITIAL_OPINION)
    return found is not None and found.is_for_urgent


def _initial_opinion(desk: _Desk, *, urgent: bool) -> TargetPlan:
    """An urgent complaint has a budget of its own, which never gives more time than the ordinary one."""
    ruled = desk.ruled(TargetKind.INITIAL_OPINION)
    if ruled is not None and _is_for_urgent(desk):
        return ruled
    plan = ruled or desk.plan(TargetKind.INITIAL_OPINION, "complaint.initial_opinion")
    if not urgent:
        return plan
    soon = desk.plan(TargetKind.INITIAL_OPINION, "complaint.initial_opinion_urgent")
    return min(soon, plan, key=lambda p: p.due_at)


def _resolution(desk: _Desk) -> TargetPlan:
    """Ten working days may be longer than the fifteen days that the law gives in Taiwan."""
    plan = desk.ruled(TargetKind.RESOLUTION) or desk.plan(TargetKind.RESOLUTION, "complaint.resolution")
    if desk.region != "TW":
        return plan
    return min(plan, desk.plan(TargetKind.RESOLUTION, "complaint.resolution_tw"), key=lambda p: p.due_at)
