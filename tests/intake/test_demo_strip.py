"""The playground's strip: where a message stands, by the events that the daemon writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from intake.demo.strip import MAX_DOTS, Stage, Strip

START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def told(*events: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Events, a second apart."""
    return [
        {"seq": n, "at": START + timedelta(seconds=n), "kind": kind, "data": {}, **rest}
        for n, (kind, rest) in enumerate(events)
    ]


def accepted(message: int, channel: str = "support-mail") -> tuple[str, dict[str, Any]]:
    return ("message_accepted", {"message": message, "data": {"channel": channel}})


def stages(*events: tuple[str, dict[str, Any]]) -> dict[int, Stage]:
    """Message -> where it stands after these events."""
    strip = Strip()
    strip.feed(told(*events))
    return {dot.message: dot.stage for dot in strip.dots}


MAIL = (
    accepted(1),
    ("ticket_opened", {"message": 1, "ticket": 7}),
    ("assigned", {"message": 1, "ticket": 7, "agent": "chen"}),
    accepted(2),
    ("answer_queued", {"message": 2, "ticket": 7, "agent": "chen"}),
    ("first_response_recorded", {"ticket": 7, "data": {"target": "first_response", "purpose": "answer"}}),
)
CALL = (
    accepted(1, "hotline"),
    ("call_event_recorded", {"message": 1, "ticket": None}),
    ("ticket_opened", {"message": 1, "ticket": 7}),
    ("assigned", {"message": 1, "ticket": 7, "agent": "lin"}),
    accepted(2, "hotline"),
    ("call_event_recorded", {"message": 2, "ticket": 7}),
    ("first_response_recorded", {"message": 2, "ticket": 7, "data": {"target": "first_response"}}),
    ("call_answered", {"message": 2, "ticket": 7}),
    accepted(3, "hotline"),
    ("call_event_recorded", {"message": 3, "ticket": 7}),
)


MISSED = (
    *CALL[:4],
    accepted(2, "hotline"),
    ("call_event_recorded", {"message": 2, "ticket": 7, "data": {"inbound": True}}),
    ("call_missed", {"message": 2, "ticket": 7}),
    accepted(3, "hotline"),
    ("call_event_recorded", {"message": 3, "ticket": None, "data": {"inbound": False}}),
    accepted(4, "hotline"),
    ("call_event_recorded", {"message": 4, "ticket": 7, "data": {"inbound": False}}),
    ("target_met", {"message": 4, "ticket": 7, "data": {"target": "callback"}}),
)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (MAIL[:1], {1: Stage.ACCEPTED}),
        (MAIL[:2], {1: Stage.CLAIMED}),
        (MISSED[:9], {1: Stage.ASSIGNED}),
        (MISSED, {1: Stage.DELIVERED}),
        (MAIL[:3], {1: Stage.ASSIGNED}),
        (MAIL[:4], {1: Stage.ASSIGNED, 2: Stage.ACCEPTED}),
        (MAIL[:5], {1: Stage.ANSWERED}),
        (MAIL, {1: Stage.DELIVERED}),
        (CALL[:5], {1: Stage.ASSIGNED, 2: Stage.ACCEPTED}),
        (CALL, {1: Stage.DELIVERED}),
    ],
)
def test_a_message_moves_along(events: tuple[tuple[str, dict[str, Any]], ...], expected: dict[int, Stage]) -> None:
    assert stages(*events) == expected


@pytest.mark.parametrize(
    "kind", ["message_copied", "message_ignored", "report_received", "note_recorded", "reply_held"]
)
def test_what_is_no_question_goes(kind: str) -> None:
    assert stages(*MAIL[:4], (kind, {"message": 2, "ticket": 7})) == {1: Stage.ASSIGNED}


def test_the_word_that_made_a_note_of_a_held_reply_goes_with_it() -> None:
    held = (("reply_held", {"message": 2, "ticket": 7}), accepted(3))
    noted = ("note_recorded", {"message": 2, "ticket": 7, "agent": "chen", "data": {"asked_by": 3}})

    assert stages(*MAIL[:4], *held) == {1: Stage.ASSIGNED, 3: Stage.ACCEPTED}
    assert stages(*MAIL[:4], *held, noted) == {1: Stage.ASSIGNED}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("copies_changed", {}),
        ("reply_to_refused", {}),
        ("marked_not_spam", {}),
        ("delivered", {"data": {"purpose": "told"}}),
        ("assigned", {"data": {"by": "chen"}}),
    ],
)
def test_an_agents_word_that_is_no_answer_goes_and_the_question_stays(kind: str, more: dict[str, Any]) -> None:
    assert stages(*MAIL[:4], (kind, {"message": 2, "ticket": 7, "agent": "lin", **more})) == {1: Stage.ASSIGNED}


def test_junk_is_nobodys_work_any_more() -> None:
    assert stages(*MAIL[:4], ("marked_spam", {"message": 2, "ticket": 7, "agent": "chen"})) == {}


def test_what_was_asked_on_a_joined_ticket_is_answered_on_the_other() -> None:
    joined = (
        ("ticket_opened", {"message": 2, "ticket": 8}),
        accepted(3),
        ("ticket_merged", {"message": 3, "ticket": 8, "agent": "chen", "data": {"into": 7}}),
        ("ticket_joined", {"message": 3, "ticket": 7, "agent": "chen", "data": {"joined": 8}}),
        accepted(4),
        ("answer_queued", {"message": 4, "ticket": 7, "agent": "chen"}),
    )

    assert stages(*MAIL[:4], *joined) == {1: Stage.ANSWERED, 2: Stage.ANSWERED}


def test_a_parked_mail_that_got_a_ticket_stays() -> None:
    parked = ("message_parked", {"message": 1})

    assert stages(*MAIL[:3], parked) == {1: Stage.ASSIGNED}
    assert stages(MAIL[0], parked) == {}


def test_what_is_added_to_somebodys_ticket_is_his_at_once() -> None:
    strip = Strip()
    strip.feed(told(*MAIL, accepted(3), ("message_added", {"message": 3, "ticket": 7})))

    assert {dot.message: (dot.stage, dot.agent) for dot in strip.dots} == {
        1: (Stage.DELIVERED, "chen"),
        3: (Stage.ASSIGNED, "chen"),
    }


def test_a_second_answer_moves_what_the_first_left_open() -> None:
    more = (
        accepted(3),
        ("message_added", {"message": 3, "ticket": 7}),
        ("target_met", {"ticket": 7, "data": {"target": "resolution"}}),
    )

    assert stages(*MAIL, *more)[3] is Stage.ASSIGNED
    assert (
        stages(*MAIL, *more, ("target_met", {"ticket": 7, "data": {"target": "next_response"}}))[3] is Stage.DELIVERED
    )


def test_an_answer_that_meets_no_promise_is_delivered_all_the_same() -> None:
    assert stages(*MAIL[:5], ("delivered", {"ticket": 7, "data": {"purpose": "answer"}})) == {1: Stage.DELIVERED}


@pytest.mark.parametrize("purpose", ["assignment", "update", "acknowledgement", "warning"])
def test_what_reaches_an_agent_or_was_written_by_machine_is_no_answer(purpose: str) -> None:
    sent = ("delivered", {"ticket": 7, "data": {"purpose": purpose}})

    assert stages(*MAIL[:3], sent) == {1: Stage.ASSIGNED}


def test_the_clock_runs_from_acceptance_to_delivery() -> None:
    strip = Strip()
    strip.feed(told(*MAIL))

    (dot,) = strip.dots
    assert dot.accepted_at == START
    assert dot.delivered_at == START + timedelta(seconds=5)


def test_the_order_within_a_commit_does_not_matter() -> None:
    assert stages(MAIL[0], MAIL[2], MAIL[1]) == {1: Stage.ASSIGNED}


def test_what_is_closed_without_an_answer_goes() -> None:
    closed = ("ticket_closed", {"message": 2, "ticket": 7})

    assert stages(*MAIL[:4], closed) == {}
    assert stages(*MAIL, closed) == {1: Stage.DELIVERED}


def test_events_of_other_tickets_and_unknown_kinds_change_nothing() -> None:
    strip = Strip()
    strip.feed(told(*MAIL[:3]))

    others = told(
        ("assigned", {"ticket": 8, "agent": "lin"}), ("target_set", {"ticket": 7}), ("agent_registered", {"agent": "x"})
    )

    assert strip.feed(others) is False


def test_the_strip_is_bounded_and_finished_dots_go_first() -> None:
    strip = Strip()
    strip.feed(told(*MAIL))

    strip.feed(told(*(accepted(100 + n) for n in range(MAX_DOTS))))

    assert [dot.message for dot in strip.dots] == [100 + n for n in range(MAX_DOTS)]
