"""Who is asked next for what nobody has, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from routing.assigning_rules import AssigningRules, Whom
from routing.overflowing import Next, Unassigned, asked, next_step

NINE = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
OPEN = Unassigned(started_at=NINE, due_at=NINE + 10 * HOUR, own_agent="chen")
CLOSED = replace(OPEN, is_open=False, opens_at=NINE + 15 * HOUR)
RULES = AssigningRules(on_call=("wu",))
OWN, TEAM, OTHER, BOSS = Whom.OWN_AGENT, Whom.TEAM, Whom.OTHER_TEAM, Whom.SUPERVISOR


@pytest.mark.parametrize(
    ("name", "facts", "after", "step"),
    [
        ("first the customer's own", OPEN, 0 * HOUR, Next(NINE, OWN)),
        ("then his team", replace(OPEN, taken=(OWN,)), 0 * HOUR, Next(NINE + 1.5 * HOUR, TEAM)),
        ("another team", replace(OPEN, taken=(OWN, TEAM)), 2 * HOUR, Next(NINE + 5 * HOUR, OTHER)),
        ("a supervisor", replace(OPEN, taken=(OWN, TEAM, OTHER)), 6 * HOUR, Next(NINE + 7 * HOUR, BOSS)),
        ("who knows", replace(OPEN, taken=(OWN, TEAM, OTHER, BOSS)), 8 * HOUR, None),
        ("a step whose time is over is taken now", replace(OPEN, taken=(OWN,)), 4 * HOUR, Next(NINE + 4 * HOUR, TEAM)),
        ("a customer of nobody's", replace(OPEN, own_agent=""), 0 * HOUR, Next(NINE + 1.5 * HOUR, TEAM)),
        ("nothing promised", replace(OPEN, due_at=None, taken=(OWN, TEAM)), 0 * HOUR, Next(NINE + HOUR / 2, OTHER)),
        ("at night, urgent", replace(CLOSED, is_urgent=True), 0 * HOUR, Next(NINE, Whom.ON_CALL)),
        (
            "at night, urgent, none of them there",
            replace(CLOSED, is_urgent=True, taken=(Whom.ON_CALL,)),
            0 * HOUR,
            Next(NINE, BOSS),
        ),
        ("at night", CLOSED, 0 * HOUR, Next(NINE + 15 * HOUR, Whom.OPENING)),
        ("at night, queued", replace(CLOSED, taken=(Whom.OPENING,)), 0 * HOUR, None),
    ],
)
def test_the_next_step(name: str, facts: Unassigned, after: timedelta, step: Next | None) -> None:
    assert next_step(facts, NINE + after, RULES) == step


def test_urgent_at_night_with_nobody_on_call_is_a_supervisors() -> None:
    assert next_step(replace(CLOSED, is_urgent=True), NINE, AssigningRules()) == Next(NINE, BOSS)


def test_the_steps_lead_from_one_to_the_next_and_end() -> None:
    facts, now, seen = OPEN, NINE, []
    while (step := next_step(facts, now, RULES)) is not None:
        assert step.at >= now
        seen.append(step.whom)
        facts, now = replace(facts, taken=(*facts.taken, step.whom)), step.at

    assert seen == [OWN, TEAM, OTHER, BOSS]


@pytest.mark.parametrize(
    ("facts", "hours", "whom"),
    [
        (OPEN, 0, {OWN}),
        (OPEN, 2, {OWN, TEAM}),
        (OPEN, 9, {OWN, TEAM, OTHER}),
        (replace(OPEN, own_agent=""), 0, {OWN, TEAM}),
        (CLOSED, 9, set()),
        (replace(CLOSED, is_urgent=True), 0, {Whom.ON_CALL}),
    ],
)
def test_who_may_be_given_it_by_now(facts: Unassigned, hours: int, whom: set[Whom]) -> None:
    assert asked(facts, NINE + hours * HOUR, RULES) == whom
