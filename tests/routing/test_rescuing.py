"""What will be late with one goes to another, in time, once, and never back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.assigning_rules import AssigningRules
from routing.assignment import AgentSnapshot, Need
from routing.crowd import Crowd
from routing.loads import Load
from routing.policy import Agent, BudgetUnit, CalendarSpec, Window
from routing.rescuing import Held, is_lost, rescue, rescue_at

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
SPEC = CalendarSpec(
    name="office", timezone="UTC", week=dict.fromkeys(range(5), (Window(time(1), time(10)),)), version="1"
)
RULES = AssigningRules()
ALL = frozenset({"chen", "lin", "wu", "ho"})


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def there(name: str, busy: float = 0, **facts: object) -> AgentSnapshot:
    agent = Agent(name=name, display_name=name, addresses=(f"{name}@firm.example",), evidence=frozenset())
    usual = {"is_on_duty": True, "expected_minutes": busy, "open_tickets": int(busy > 0), "last_act_at": NOW}
    return AgentSnapshot(agent=agent, **(usual | facts))  # type: ignore[arg-type]


def due_in(count: float) -> Need:
    return Need(members=ALL, due_at=NOW + minutes(count), minutes=0.6, load=Load(1, 1.5, 1))


SILENT = there("chen", 1.5, silent_since=NOW - minutes(5))
HELD = Held(agent="chen", assigned_at=NOW - minutes(5))


@pytest.mark.parametrize(
    ("unit", "assigned", "due", "at"),
    [
        (BudgetUnit.WALL, NOW, NOW + minutes(3), NOW + minutes(1.5)),
        (BudgetUnit.WORKING_HOURS, NOW, NOW + minutes(240), NOW + minutes(120)),
        # four hours of today and four of tomorrow, the night not counted: half is today's closing
        (BudgetUnit.WORKING_HOURS, NOW + minutes(240), NOW + minutes(23 * 60 + 240), NOW + minutes(480)),
        (BudgetUnit.WORKING_DAYS, NOW, NOW + minutes(480 + 24 * 60), NOW + minutes(24 * 60 - 30)),
        (BudgetUnit.WALL, NOW, NOW + timedelta(seconds=19), None),
        (BudgetUnit.WORKING_HOURS, NOW + minutes(500), NOW + minutes(900), None),  # all of it closed
    ],
)
def test_when_to_look(unit: BudgetUnit, assigned: datetime, due: datetime, at: datetime | None) -> None:
    assert rescue_at(SPEC, unit, assigned, due, RULES) == at


@pytest.mark.parametrize(
    ("holder", "held", "why"),
    [
        (SILENT, HELD, "silent"),
        (SILENT, replace(HELD, seen_at=NOW - minutes(1)), ""),  # he is at it
        (SILENT, replace(HELD, seen_at=NOW - minutes(6)), "silent"),  # that was before he got it
        (there("chen", 10, silent_since=NOW - minutes(5)), HELD, "busy"),  # his work explains it, and is too much
        (there("chen", 2, silent_since=NOW - minutes(1)), HELD, ""),
        (there("chen", 1.5, silent_since=None), HELD, ""),
        (there("chen", is_on_duty=False), HELD, "gone"),
        (None, HELD, "gone"),
    ],
)
def test_whether_it_is_lost(holder: AgentSnapshot | None, held: Held, why: str) -> None:
    assert is_lost(holder, held, due_in(3), NOW) == why


def test_it_goes_to_who_can_still_make_it_and_says_from_whom() -> None:
    found = rescue(Crowd([SILENT, there("lin", 9), there("wu", 1)]), due_in(3), HELD, NOW)

    assert found is not None
    assert found.agent is not None
    assert found.agent.name == "wu"
    assert (found.reasons[0].code, found.reasons[0].data) == ("rescued", {"agent": "chen", "why": "silent"})
    assert ("chen", "had_it") in {candidate[:2] for candidate in found.candidates}


@pytest.mark.parametrize(
    ("name", "people", "held"),
    [
        ("nobody could make it", [SILENT, there("lin", 9)], HELD),
        ("nobody else is there", [SILENT, there("lin", is_on_duty=False)], HELD),
        ("who can make it had it before", [SILENT, there("lin")], replace(HELD, had_it=("lin",))),
        ("it was taken from two already", [SILENT, there("lin")], replace(HELD, had_it=("wu", "ho"))),
    ],
)
def test_it_stays(name: str, people: list[AgentSnapshot], held: Held) -> None:
    assert rescue(Crowd(people), due_in(3), held, NOW) is None


def test_without_a_deadline_nothing_is_taken_from_anybody() -> None:
    need = replace(due_in(3), due_at=None)

    assert rescue(Crowd([SILENT, there("lin")]), need, HELD, NOW) is None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, 9.0]), min_size=4, max_size=4),
    st.integers(1, 20),
    st.integers(0, 4),
)
def test_it_is_never_passed_to_and_fro(busy: list[float], left: int, most: int) -> None:
    """Everybody falls silent, one after the other: it goes on `most` times at most, each time to somebody new."""
    rules = AssigningRules(max_rescues=most)
    loads = zip(sorted(ALL), busy, strict=True)
    crowd = Crowd(there(name, load, silent_since=NOW - minutes(40)) for name, load in loads)
    need, held = due_in(left), HELD
    holders = [held.agent]
    for _ in range(10):
        found = rescue(crowd, need, held, NOW, rules)
        if found is None or found.agent is None:
            break
        assert not found.is_late
        holders.append(found.agent.name)
        held = Held(agent=found.agent.name, assigned_at=NOW - minutes(5), had_it=(*held.had_it, held.agent))

    assert len(holders) <= most + 1
    assert len(set(holders)) == len(holders)
