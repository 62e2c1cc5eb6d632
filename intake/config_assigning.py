"""[assignment] of config.toml: what work weighs, when it waits, when it is taken back, who is asked next.

What is wrong is collected, never raised: the caller shows everything at once.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from channels.message import Medium
from channels.settings import Duration, Strict
from intake.config_words import Problem, closest
from routing.assigning_rules import DEFAULT_STEPS, AssigningRules, OverflowStep
from routing.loads import DEFAULT_FIRST, DEFAULT_MINUTES, LoadRules
from routing.words import Kind

_USUAL = AssigningRules()
#: What a weight or a length may be given for.
SORTS = frozenset({*(medium.value for medium in Medium), *(kind.value for kind in Kind)})

Share = Annotated[float, Field(ge=0, le=1)]


class RosterTable(Strict):
    """[roster]"""

    file: Path | None = None  # .csv, or .ics


class AssignmentTable(Strict):
    """[assignment]"""

    weights: dict[str, Annotated[int, Field(ge=1, le=100)]] = Field(default_factory=dict)
    minutes: dict[str, Annotated[float, Field(gt=0, le=480)]] = Field(default_factory=dict)
    first_answer: dict[str, Annotated[float, Field(gt=0, le=480)]] = Field(default_factory=dict)
    start_within: Duration = _USUAL.start_within
    reserve: Share = _USUAL.reserve
    long_time: Duration = _USUAL.long_time
    rescue_at: Annotated[float, Field(ge=0.1, le=0.9)] = _USUAL.rescue_share
    max_rescues: int = Field(default=_USUAL.max_rescues, ge=0, le=10)
    out_of_hours: Literal["assign", "queue"] = "queue" if _USUAL.queues_out_of_hours else "assign"
    on_call: tuple[str, ...] = ()
    overflow: dict[Literal["own_agent", "team", "other_team", "supervisor"], Share] = Field(default_factory=dict)


def rules(table: AssignmentTable, agents: Collection[str], problems: list[Problem]) -> AssigningRules:
    """The numbers of giving out work."""
    for key in ("weights", "minutes", "first_answer"):
        for sort in getattr(table, key):
            if sort not in SORTS:
                mend = closest(sort, SORTS)
                problems.append(Problem(f"assignment.{key}.{sort}", f'"{sort}" is neither a medium nor a kind', mend))
    strangers = [name for name in table.on_call if name not in agents]
    problems += [Problem("assignment.on_call", f'there is no agent "{n}"', closest(n, agents)) for n in strangers]
    steps = _steps(table, problems)
    return AssigningRules(
        loads=LoadRules(
            weights=table.weights,
            minutes={**DEFAULT_MINUTES, **table.minutes},
            first={**DEFAULT_FIRST, **table.first_answer},
        ),
        start_within=table.start_within,
        reserve=table.reserve,
        long_time=table.long_time,
        rescue_share=table.rescue_at,
        max_rescues=table.max_rescues,
        queues_out_of_hours=table.out_of_hours == "queue",
        on_call=table.on_call,
        steps=steps,
    )


def _steps(table: AssignmentTable, problems: list[Problem]) -> tuple[OverflowStep, ...]:
    """In their one order; what is written moves a step, it does not take one out."""
    written = {str(step): share for step, share in table.overflow.items()}
    steps = tuple(OverflowStep(written.get(step.whom.value, step.share), step.whom) for step in DEFAULT_STEPS)
    for before, after in pairwise(steps):
        if after.share < before.share:
            message = (
                f"{after.whom.value} ({after.share:g}) would be asked before {before.whom.value} ({before.share:g})"
            )
            mend = f"write at least {before.share:g} for {after.whom.value}, or less for {before.whom.value}"
            problems.append(Problem(f"assignment.overflow.{after.whom.value}", message, mend))
    return steps
