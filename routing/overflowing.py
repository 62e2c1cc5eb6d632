"""Overflow: who is asked next for a ticket that nobody has, and when.

Pure. In hours by timed steps, each a share of the promised time: the customer's own agent, his team, another team,
and at last a supervisor, who is told. Out of hours what is urgent goes to the on-call list, and everything else to
the queue of the next opening. Nothing is ever left without a next step, but what the supervisor has been told of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from routing.assigning_rules import DEFAULT_STEPS, AssigningRules, OverflowStep, Whom

#: Where nothing is promised, a supervisor hears of a ticket that nobody has after so long, all told.
WITHOUT_PROMISE = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unassigned:
    """A ticket that nobody has."""

    started_at: datetime  # its promise began to run
    due_at: datetime | None
    own_agent: str = ""  # "": the customer has none
    is_urgent: bool = False
    is_open: bool = True  # the desk, for this ticket
    opens_at: datetime | None = None  # next, where it is closed
    taken: tuple[Whom, ...] = ()  # the steps that were taken


@dataclass(frozen=True, slots=True)
class Next:
    """From `at` on, `whom` is asked as well."""

    at: datetime
    whom: Whom
    team: str = ""


def next_step(
    facts: Unassigned, now: datetime, rules: AssigningRules | None = None, steps: Sequence[OverflowStep] | None = None
) -> Next | None:
    """The next step, and when: at once where its time has come. None: the supervisor knows, there is nobody else."""
    rules = rules or AssigningRules()
    if not facts.is_open:
        if facts.is_urgent and rules.on_call and Whom.ON_CALL not in facts.taken:
            return Next(now, Whom.ON_CALL)
        if facts.is_urgent and Whom.SUPERVISOR not in facts.taken:
            return Next(now, Whom.SUPERVISOR)  # nobody is on call, or none of them is there
        if Whom.OPENING not in facts.taken:
            return Next(facts.opens_at or now, Whom.OPENING)
        return None
    for step in _after(facts.taken, rules.steps if steps is None else steps):
        if step.whom is Whom.OWN_AGENT and not facts.own_agent:
            continue
        return Next(max(now, _at(facts, step)), step.whom, step.team)
    return None


def _after(taken: Sequence[Whom], steps: Sequence[OverflowStep]) -> Sequence[OverflowStep]:
    """The steps behind the last that was taken: one that was left out is not gone back to."""
    places = [place for place, step in enumerate(steps) if step.whom in taken]
    return steps[max(places) + 1 :] if places else steps


def _at(facts: Unassigned, step: OverflowStep) -> datetime:
    whole = (facts.due_at - facts.started_at) if facts.due_at is not None else WITHOUT_PROMISE
    return facts.started_at + whole * step.share


def asked(facts: Unassigned, now: datetime, rules: AssigningRules | None = None) -> frozenset[Whom]:
    """Everybody who may be given it by now."""
    rules = rules or AssigningRules()
    if not facts.is_open:
        return frozenset({Whom.ON_CALL}) if facts.is_urgent else frozenset()
    reached = {step.whom for step in rules.steps if _at(facts, step) <= now}
    if not facts.own_agent:
        reached.add(Whom.TEAM)  # there is nobody to wait for
    return frozenset(reached - {Whom.SUPERVISOR})


__all__ = ["DEFAULT_STEPS", "Next", "Unassigned", "Whom", "asked", "next_step"]
