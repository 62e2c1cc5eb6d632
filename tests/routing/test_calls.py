"""What became of a call does not depend on the order in which its events are heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.message import Call, CallEvent
from routing.calls import (
    DEFAULT_RING_CYCLE,
    CallFacts,
    CallOutcome,
    answered_within,
    apply,
    fold,
    needs_callback,
    outcome,
    ring_cycle,
    ring_deadline,
)

START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
MACHINES = frozenset({"queue", "voicemail", "+886223456780"})


def event(
    kind: CallEvent,
    *users: str,
    cause: str = "",
    call_id: str = "c1",
    is_inbound: bool = True,
    from_number: str = "+886912345678",
    to_number: str = "+886223456789",
) -> Call:
    return Call(
        call_id=call_id,
        event=kind,
        is_inbound=is_inbound,
        from_number=from_number,
        to_number=to_number,
        users=users,
        cause=cause,
    )


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


NEW = event(CallEvent.NEW, "chen", "lin")
CHEN = event(CallEvent.ANSWER, "chen")
LIN = event(CallEvent.ANSWER, "lin")
QUEUE = event(CallEvent.ANSWER, "Queue")


def hangup(cause: str = "normalClearing") -> Call:
    return event(CallEvent.HANGUP, cause=cause)


def folded(*events: tuple[Call, float]) -> CallFacts:
    facts = fold(((call, at(seconds)) for call, seconds in events), MACHINES)
    assert facts is not None
    return facts


calls = st.builds(
    event,
    st.sampled_from(CallEvent),
    st.sampled_from(["chen", "lin", "queue", "voicemail"]),
    cause=st.sampled_from(["", "busy", "cancel", "forwarded", "Forwarded", "normalClearing"]),
    is_inbound=st.booleans(),
    from_number=st.sampled_from(["", "+886912345678", "801"]),
    to_number=st.sampled_from(["+886223456789", "+886223456780"]),
)
heard = st.lists(st.tuples(calls, st.integers(0, 1).map(at)), min_size=1, max_size=8)


@settings(max_examples=500)  # few times and few names, so that events often collide
@given(heard, st.data())
def test_any_order_with_any_repetitions_ends_in_the_same_facts(
    events: list[tuple[Call, datetime]], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=6))
    shuffled = data.draw(st.permutations(events + repeated))

    assert fold(shuffled, MACHINES) == fold(events, MACHINES)


STORIES = {
    "answered": ([NEW, CHEN, hangup()], CallOutcome.ANSWERED),
    "answered after the queue": ([NEW, QUEUE, CHEN, hangup()], CallOutcome.ANSWERED),
    "handed on": ([NEW, CHEN, LIN, hangup()], CallOutcome.ANSWERED),
    "only the queue answered": ([NEW, QUEUE, hangup()], CallOutcome.MISSED),
    "nobody answered": ([NEW, hangup("noAnswer")], CallOutcome.MISSED),
    "the answer's event was lost": ([NEW, hangup("normalClearing")], CallOutcome.MISSED),
    "forwarded away": ([NEW, hangup("forwarded")], CallOutcome.MISSED),
    "forwarded, then busy": ([NEW, hangup("forwarded"), hangup("busy")], CallOutcome.BUSY),
    "gave up": ([NEW, hangup("cancel")], CallOutcome.ABANDONED),
    "gave up in the queue": ([NEW, QUEUE, hangup("cancel")], CallOutcome.ABANDONED),
    "busy": ([NEW, hangup("busy")], CallOutcome.BUSY),
    "no line": ([NEW, hangup("congestion")], CallOutcome.BUSY),
    "telephone off": ([NEW, hangup("notFound")], CallOutcome.UNREACHABLE),
    "cause unknown": ([NEW, hangup("Q.850;cause=31")], CallOutcome.MISSED),
}


@pytest.mark.parametrize(("events", "expected"), STORIES.values(), ids=STORIES.keys())
def test_the_outcome_is_the_same_in_whatever_order_the_events_arrive(events: list[Call], expected: CallOutcome) -> None:
    for order in permutations(events):
        facts = folded(*((call, float(second)) for second, call in enumerate(order)))

        assert outcome(facts) == expected
        assert needs_callback(facts) == (expected is not CallOutcome.ANSWERED)


def test_a_call_rings_until_somebody_answers_or_hangs_up() -> None:
    assert outcome(folded((NEW, 0))) == CallOutcome.RINGING
    assert outcome(folded((NEW, 0), (QUEUE, 1))) == CallOutcome.RINGING
    assert not needs_callback(folded((NEW, 0), (QUEUE, 1)))


def test_a_new_call_after_its_hangup_reopens_nothing() -> None:
    facts = folded((hangup("cancel"), 4), (NEW, 5))

    assert outcome(facts) == CallOutcome.ABANDONED
    assert facts.is_over


def test_a_missed_outgoing_call_needs_no_callback() -> None:
    facts = folded(
        (event(CallEvent.NEW, is_inbound=False), 0),
        (event(CallEvent.HANGUP, is_inbound=False, cause="noAnswer"), 20),
    )

    assert not needs_callback(facts)
    assert facts.customer_number == "+886223456789"


def test_the_first_person_to_answer_is_who_answered() -> None:
    facts = folded((NEW, 0), (LIN, 30), (QUEUE, 1), (CHEN, 7))

    assert facts.answered_by == ("chen",)
    assert facts.first_human_answer_at == at(7)
    assert facts.machine_answer_at == at(1)
    assert facts.rang_for == timedelta(seconds=7)
    assert facts.rung_users == ("chen", "lin")


def test_an_answer_at_the_number_of_a_voicemail_is_no_persons() -> None:
    voicemail = event(CallEvent.ANSWER, to_number="+886223456780")

    assert outcome(folded((NEW, 0), (voicemail, 9))) == CallOutcome.RINGING


def test_a_person_answering_at_the_queues_number_is_a_person() -> None:
    person = event(CallEvent.ANSWER, "chen", to_number="+886223456780")

    assert outcome(folded((NEW, 0), (person, 9))) == CallOutcome.ANSWERED


def test_numbers_are_taken_from_the_new_call_not_from_where_it_was_handed_on() -> None:
    handed_on = event(CallEvent.ANSWER, "lin", from_number="801", to_number="802", is_inbound=False)

    facts = folded((handed_on, 3), (NEW, 5), (hangup(), 1))

    assert (facts.from_number, facts.to_number, facts.is_inbound) == ("+886912345678", "+886223456789", True)


def test_how_long_it_rang_is_unknown_when_the_answer_came_first_and_never_negative() -> None:
    reordered = folded((CHEN, 3), (NEW, 5))
    unannounced = folded((CHEN, 3))

    assert reordered.rang_for is None
    assert unannounced.rang_for is None
    assert answered_within(reordered, 3, ring_cycle("TW")) is None
    assert answered_within(unannounced, 3, ring_cycle("TW")) is None


@pytest.mark.parametrize(
    ("region", "seconds"),
    [
        ("CN", 15),
        ("HK", 12),
        ("TW", 9),
        ("US", 18),
        ("GB", 9),
        ("SG", 9),
        ("JP", 9),
        ("DE", 15),
        ("FR", 15),
        ("tw", 9),
    ],
)
def test_three_rings_end_when_the_fourth_would_begin(region: str, seconds: int) -> None:
    cycle = ring_cycle(region)
    just_before = folded((NEW, 0), (CHEN, seconds - 0.001))
    with_the_fourth_ring = folded((NEW, 0), (CHEN, seconds))

    assert ring_deadline(START, 3, cycle) == at(seconds)
    assert answered_within(just_before, 3, cycle) is True
    assert answered_within(with_the_fourth_ring, 3, cycle) is False


def test_a_setting_overrides_the_countrys_ring_and_unknown_countries_have_one() -> None:
    assert ring_cycle("CN", timedelta(seconds=4)) == timedelta(seconds=4)
    assert ring_cycle("XX") == DEFAULT_RING_CYCLE


def test_a_queue_does_not_stop_the_rings() -> None:
    facts = folded((NEW, 0), (QUEUE, 1), (CHEN, 40))

    assert answered_within(facts, 3, ring_cycle("CN")) is False


def test_whether_it_was_in_time_is_open_while_it_rings_and_settled_by_the_hangup() -> None:
    assert answered_within(folded((NEW, 0)), 3, ring_cycle("CN")) is None
    assert answered_within(folded((NEW, 0), (hangup("cancel"), 2)), 3, ring_cycle("CN")) is False


def test_an_event_of_another_call_is_refused() -> None:
    with pytest.raises(ValueError, match="c2"):
        apply(folded((NEW, 0)), event(CallEvent.HANGUP, call_id="c2"), START)
