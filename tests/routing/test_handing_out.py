"""What waits: in which order, how it is spread, and that it is not forgotten."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from routing.assigning_rules import AssigningRules
from routing.assignment import AgentSnapshot, Need
from routing.crowd import Crowd
from routing.handing_out import MAX_OVERTAKEN, Waiting, hand_out, queue_order
from routing.loads import Load
from routing.policy import Agent

NINE = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
RULES = AssigningRules(reserve=0.0)
NAMES = [f"a{number}" for number in range(20)]


def there(name: str, busy: float = 0, *, is_on_duty: bool = True, **of_agent: object) -> AgentSnapshot:
    agent = Agent(name=name, display_name=name, addresses=(f"{name}@firm.example",), evidence=frozenset())
    return AgentSnapshot(
        agent=replace(agent, **of_agent),  # type: ignore[arg-type]
        is_on_duty=is_on_duty,
        expected_minutes=busy,
        open_tickets=int(busy > 0),
        last_act_at=NINE,
    )


def waits(number: int, minutes: float | None, *, length: float = 10.0, **need: object) -> Waiting:
    """Ticket `number`, due so many minutes after nine."""
    due = None if minutes is None else NINE + timedelta(minutes=minutes)
    wanted = Need(members=frozenset(NAMES), due_at=due, minutes=min(length, 10.0), load=Load(1, length, 1))
    return Waiting(ticket=number, need=replace(wanted, **need), since=NINE - timedelta(hours=1))  # type: ignore[arg-type]


def test_the_nearest_deadline_goes_first_among_what_can_be_in_time() -> None:
    late, long_late = waits(1, -5), waits(2, -40)
    tomorrow, soon, hopeless = waits(3, 600), waits(4, 30), waits(5, 4)

    order = [one.ticket for one in queue_order([tomorrow, late, hopeless, soon, long_late], NINE)]

    assert timedelta(minutes=40) > MAX_OVERTAKEN
    assert order == [2, 4, 3, 1, 5]


def test_what_nobody_promised_goes_by_its_age() -> None:
    order = queue_order([waits(1, 600), waits(2, None), waits(3, None)], NINE)

    assert [one.ticket for one in order] == [2, 3, 1]


def test_a_nights_mail_is_spread_at_nine_and_nobody_gets_forty() -> None:
    night = [waits(number, 480 + number) for number in range(200)]

    at_nine = hand_out([there(name) for name in NAMES], night, NINE, RULES)

    assert Counter(found.agent.name for _, found in at_nine.given if found.agent) == dict.fromkeys(NAMES, 1)
    assert [one.ticket for one, _ in at_nine.given] == [*range(20)]
    assert [one.ticket for one in at_nine.kept] == [*range(20, 200)]
    assert at_nine.next_at == NINE + timedelta(minutes=480 + 20 - 10 - 60)


def test_short_work_is_given_until_somebody_would_begin_it_too_late() -> None:
    lines = [waits(number, 30, length=1.5) for number in range(9)]

    done = hand_out([there("a0"), there("a1")], lines, NINE, AssigningRules(reserve=0.0))

    assert len(done.given) == 4  # two each: the second begins within two minutes, a third would not
    assert len(done.kept) == 5


def test_who_has_become_free_gets_the_next_and_nobody_else_is_looked_at() -> None:
    crowd = Crowd([there("a0"), there("a1")])

    done = hand_out(crowd, [waits(1, 300), waits(2, 200)], NINE, RULES, among=["a1"])

    assert [(one.ticket, found.agent.name) for one, found in done.given if found.agent] == [(2, "a1")]
    assert crowd["a1"].open_tickets == 0  # what was passed in stays as it was


def test_what_has_time_gives_way_while_few_are_free() -> None:
    people = [there("a0"), *(there(name, 20) for name in NAMES[1:4])]
    mail, line = waits(1, 480), waits(2, 5, length=1.5)

    kept = hand_out(people, [mail], NINE, AssigningRules(reserve=0.4))
    given = hand_out(people, [mail, line], NINE, AssigningRules(reserve=0.4))
    soon = hand_out(people, [waits(1, 60)], NINE, AssigningRules(reserve=0.4))

    assert ([one.ticket for one in kept.kept], kept.next_at) == ([1], NINE + timedelta(minutes=480 - 10 - 60))
    assert [one.ticket for one, _ in given.given] == [2]
    assert [one.ticket for one, _ in soon.given] == [1]


def test_it_is_never_given_to_who_would_be_too_late_but_after_half_an_hour_to_the_first_who_is_free() -> None:
    busy = [there("a0", 30), there("a1", 45)]

    at_its_last_moment = hand_out(busy, [waits(1, 10)], NINE, RULES)
    long_late = hand_out(busy, [waits(1, -30)], NINE, RULES)

    assert [one.ticket for one in at_its_last_moment.kept] == [1]
    assert [found.agent.name for _, found in long_late.given if found.agent] == ["a0"]


def test_what_nobody_free_may_take_does_not_hold_up_the_rest() -> None:
    complaint = waits(1, 20, is_complaint=True)

    done = hand_out([there("a0")], [complaint, waits(2, 300)], NINE, RULES)

    assert [one.ticket for one, _ in done.given] == [2]
    assert [one.ticket for one in done.kept] == [1]


WAITING = st.lists(
    st.builds(
        waits,
        st.integers(1, 10_000),
        st.one_of(st.none(), st.integers(-90, 600)),
        length=st.sampled_from([1.5, 5.0, 10.0]),
        is_complaint=st.booleans(),
        excluded=st.frozensets(st.sampled_from(NAMES[:3])),
    ),
    max_size=30,
    unique_by=lambda one: one.ticket,
)
PEOPLE = st.lists(
    st.builds(
        there,
        st.sampled_from(NAMES[:6]),
        st.sampled_from([0.0, 0.0, 3.0, 40.0]),
        is_on_duty=st.booleans(),
        complaints=st.booleans(),
        capacity=st.integers(1, 4),
    ),
    max_size=6,
    unique_by=lambda one: one.agent.name,
)


@settings(max_examples=200, deadline=None)
@given(PEOPLE, WAITING, st.sampled_from([0.0, 0.4]))
def test_each_is_given_once_or_kept_and_nobody_beyond_his_capacity(
    people: list[AgentSnapshot], waiting: list[Waiting], reserve: float
) -> None:
    rules = AssigningRules(reserve=reserve)

    done = hand_out(people, waiting, NINE, rules)

    assert sorted([one.ticket for one, _ in done.given] + [one.ticket for one in done.kept]) == sorted(
        one.ticket for one in waiting
    )
    again = hand_out(people[::-1], waiting[::-1], NINE, rules)
    assert [(one.ticket, found.agent) for one, found in done.given] == [(o.ticket, f.agent) for o, f in again.given]
    assert (done.kept, done.next_at) == (again.kept, again.next_at)
    by_name = {one.agent.name: one for one in people}
    got = Counter(found.agent.name for _, found in done.given if found.agent)
    for name, count in got.items():
        assert by_name[name].is_on_duty
        assert by_name[name].open_tickets + count <= by_name[name].agent.capacity
    for one, found in done.given:
        assert found.agent is not None
        assert found.agent.name not in one.need.excluded
        assert found.agent.complaints or not one.need.is_complaint
    assert done.next_at is None or done.next_at > NINE
