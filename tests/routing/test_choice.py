"""Who can still make the deadline, who is doubted, who waits: the choice with a clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.assigning_rules import AssigningRules
from routing.assignment import AgentSnapshot, Need, assign, with_more
from routing.crowd import Crowd
from routing.loads import DEFAULT_MINUTES, Load, LoadRules, added
from routing.policy import Agent

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
ALL = frozenset({"chen", "lin", "wu"})
RULES = AssigningRules()


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def there(name: str, busy: float = 0, **facts: object) -> AgentSnapshot:
    """Somebody on duty who was heard of a moment ago; `busy`: minutes of other work. Facts of his or of the agent."""
    of_agent = {key: facts.pop(key) for key in ("complaints", "languages", "topics", "capacity") if key in facts}
    agent = Agent(name=name, display_name=name, addresses=(f"{name}@firm.example",), evidence=frozenset())
    usual = {"is_on_duty": True, "expected_minutes": busy, "open_tickets": int(busy > 0), "last_act_at": NOW}
    return AgentSnapshot(agent=replace(agent, **of_agent), **(usual | facts))  # type: ignore[arg-type]


def due_in(count: float, **more: object) -> Need:
    return Need(members=ALL, due_at=NOW + minutes(count), minutes=0.6, load=Load(1, 1.5, 1), **more)  # type: ignore[arg-type]


QUICK, SLOW = due_in(3), due_in(300)

ENGLISH = there("chen", languages=("en",))

#: name, who is there, the need, who takes it, the first reason
CASES = [
    ("who is free first", [there("chen", 9), there("lin", 2)], SLOW, "lin", "least_loaded"),
    ("his own agent, in time", [there("chen"), there("lin", 2)], replace(QUICK, preferred="lin"), "lin", "preferred"),
    ("his own, too late", [there("chen"), there("lin", 9)], replace(QUICK, preferred="lin"), "chen", "own_too_late"),
    (
        "all too late: his own",
        [there("chen", 8), there("lin", 9)],
        replace(QUICK, preferred="lin"),
        "lin",
        "too_late_for_all",
    ),
    (
        "of two who are free, who had less of late",
        [there("chen", share_minutes=50.0), there("lin", share_minutes=10.0)],
        SLOW,
        "lin",
        "least_loaded",
    ),
    (
        "his shift is over too soon",
        [there("chen", on_until=NOW + minutes(0.5)), there("lin", 1, on_until=NOW + minutes(60))],
        SLOW,
        "lin",
        "least_loaded",
    ),
    (
        "everybody goes soon, and it cannot wait",
        [there("chen", on_until=NOW + timedelta(seconds=10))],
        QUICK,
        "chen",
        "leaving_relaxed",
    ),
    ("everybody goes soon, and it can wait", [there("chen", on_until=NOW)], due_in(9 * 60), None, "nobody"),
    (
        "given something long ago, and not a word since",
        [there("chen", silent_since=NOW - minutes(5)), there("lin", 1)],
        QUICK,
        "lin",
        "least_loaded",
    ),
    (
        "what he has to do explains it",
        [there("chen", 10, silent_since=NOW - minutes(5)), there("lin", 11)],
        due_in(30),
        "chen",
        "least_loaded",
    ),
    (
        "work that has time goes to him all the same",
        [there("chen", silent_since=NOW - minutes(5)), there("lin", 1)],
        SLOW,
        "chen",
        "least_loaded",
    ),
    (
        "after half an hour he is tried again",
        [there("chen", silent_since=NOW - minutes(31)), there("lin", 1)],
        QUICK,
        "chen",
        "least_loaded",
    ),
    ("only silent ones are left", [there("chen", silent_since=NOW - minutes(5))], QUICK, "chen", "silent_relaxed"),
    (
        "in a hurry to whom was heard of",
        [there("chen", last_act_at=NOW - minutes(45)), there("lin", share_minutes=99.0)],
        QUICK,
        "lin",
        "least_loaded",
    ),
    (
        "but not behind other work",
        [there("chen", last_act_at=NOW - minutes(45)), there("lin", 2)],
        QUICK,
        "chen",
        "least_loaded",
    ),
    (
        "a certificate that is valid",
        [there("chen", 5, certificates=frozenset({"complaints"}), expiry={"complaints": NOW + minutes(1)})],
        replace(SLOW, is_complaint=True),
        "chen",
        "least_loaded",
    ),
    (
        "a certificate that has ended",
        [there("chen", complaints=True, expiry={"complaints": NOW})],
        replace(SLOW, is_complaint=True),
        None,
        "nobody",
    ),
    (
        "another certificate",
        [there("chen"), there("lin", 9, certificates=frozenset({"audit"}))],
        replace(SLOW, certificates=frozenset({"audit"})),
        "lin",
        "least_loaded",
    ),
    (
        "a language of the roster",
        [
            there("chen", languages=("en",)),
            replace(there("lin", 9, languages=("en",)), languages=frozenset({"zh-Hans"})),
        ],
        replace(SLOW, language="zh-Hans"),
        "lin",
        "least_loaded",
    ),
    (
        "what it weighs",
        [there("chen", weight=18), there("lin", 9, weight=3)],
        replace(SLOW, load=Load(1, 10.0, 3)),
        "lin",
        "least_loaded",
    ),
    (
        "it never goes back",
        [there("chen"), there("lin", 9)],
        replace(SLOW, had_it=frozenset({"chen"})),
        "lin",
        "least_loaded",
    ),
    ("it waits in the queue", [there("chen", 9), there("lin", 5)], replace(SLOW, may_wait=True), None, "all_busy"),
]


@pytest.mark.parametrize(("name", "people", "need", "chosen", "why"), CASES, ids=[case[0] for case in CASES])
def test_who_takes_it(name: str, people: list[AgentSnapshot], need: Need, chosen: str | None, why: str) -> None:
    found, backwards = assign(people, need, NOW), assign(people[::-1], need, NOW)

    assert (found.agent.name if found.agent else None) == chosen
    assert why in [reason.code for reason in found.reasons]
    assert backwards.agent == found.agent


def test_every_candidate_says_why_it_was_not_he() -> None:
    people = [
        there("chen", 2),
        there("lin", 8),
        there("wu", complaints=True),
        there("ho", is_on_duty=False),
        there("mei", silent_since=NOW - minutes(9)),
        there("su", on_until=NOW),
    ]
    need = due_in(4, excluded=frozenset({"wu"}))
    need = replace(need, members=frozenset(one.agent.name for one in people))

    found = assign(people, need, NOW)

    assert {(one.agent, one.why_not or one.why) for one in found.candidates} == {
        ("chen", "taken"),
        ("lin", "too_late"),
        ("wu", "excluded"),
        ("ho", "off_duty"),
        ("mei", "silent"),
        ("su", "leaves_soon"),
    }


PEOPLE = st.lists(
    st.builds(
        there,
        st.sampled_from(["chen", "lin", "wu", "ho", "mei"]),
        st.sampled_from([0, 0, 1, 5, 30]),
        is_on_duty=st.booleans(),
        weight=st.integers(0, 21),
        complaints=st.booleans(),
        languages=st.sampled_from([("en",), ("zh-Hant", "en")]),
        on_until=st.sampled_from([None, NOW, NOW + minutes(5), NOW + minutes(500)]),
        silent_since=st.sampled_from([None, NOW - minutes(3), NOW - minutes(90)]),
        last_act_at=st.sampled_from([None, NOW, NOW - minutes(90)]),
        expiry=st.sampled_from([{}, {"complaints": NOW}, {"complaints": NOW + minutes(9)}]),
    ),
    max_size=5,
    unique_by=lambda one: one.agent.name,
)
NAMES = st.frozensets(st.sampled_from(["chen", "lin", "wu", "ho", "mei"]))
NEEDS = st.builds(
    Need,
    members=NAMES,
    excluded=NAMES,
    had_it=NAMES,
    preferred=st.sampled_from(["", "chen", "ho"]),
    language=st.sampled_from(["", "en", "zh-Hant"]),
    is_complaint=st.booleans(),
    due_at=st.sampled_from([None, NOW, NOW + minutes(2), NOW + minutes(400)]),
    minutes=st.just(0.6),
    load=st.sampled_from([Load(1, 1.5, 1), Load(1, 10.0, 3)]),
    may_wait=st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(PEOPLE, NEEDS)
def test_never_who_must_not_have_it_and_always_the_same(people: list[AgentSnapshot], need: Need) -> None:
    found = assign(people, need, NOW)

    assert assign(people[::-1], need, NOW).agent == found.agent
    assert found.agent is None or not found.waits
    if found.agent is not None:
        one = next(p for p in people if p.agent is found.agent)
        assert one.agent.name not in need.excluded | need.had_it
        assert one.agent.name in need.members | {need.preferred}
        assert one.is_on_duty
        assert one.used + need.load.weight <= one.agent.capacity
        assert not need.language or need.language in one.agent.languages
        assert not need.is_complaint or (one.agent.complaints and one.expiry.get("complaints") != NOW)
        assert found.candidates[0][:3] == (one.agent.name, "", "taken")
    named = {candidate.agent for candidate in found.candidates}
    assert named >= {p.agent.name for p in people if p.agent.name in need.members}


def test_a_crowd_names_whose_shift_has_changed_once() -> None:
    crowd = Crowd([there("chen", holds_until=NOW), there("lin", holds_until=NOW + minutes(1)), there("wu")])

    first, again, later = crowd.outdated(NOW), crowd.outdated(NOW), crowd.outdated(NOW + minutes(1))

    assert (first, again, later) == (["chen"], [], ["lin"])


def test_a_crowd_counts_who_is_there_and_who_is_free() -> None:
    crowd = Crowd([there("chen"), there("lin", 5), there("wu", is_on_duty=False)])
    copy = crowd.copy()

    copy.put(with_more(copy["chen"], QUICK, NOW))

    assert (crowd.on_duty, crowd.free, copy.on_duty, copy.free) == (2, 1, 2, 0)
    assert copy["chen"].silent_since == NOW
    assert crowd["chen"].open_tickets == 0


def test_what_a_ticket_weighs_and_costs() -> None:
    rules = LoadRules(weights={"chat": 2, "complaint": 3})

    assert rules.of("chat", "consultation") == Load(1, DEFAULT_MINUTES["chat"], 2)
    assert rules.of("chat", "complaint") == Load(1, DEFAULT_MINUTES["complaint"], 3)
    assert rules.of("pigeon", "business") == Load(1, 10.0, 1)
    assert (rules.first_of("chat", "complaint"), rules.first_of("email", "business")) == (0.6, 10.0)
    assert added(Load(1, 5.0, 2), Load(1, 7.0, 1), -1) == Load(0, 0.0, 1)
