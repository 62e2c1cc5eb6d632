"""Implied: what has happened to a customer makes a complaint, one small thing alone does not, thanks never do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from routing.evidence import Strength
from routing.implied import Facts, implied
from routing.records import Target
from routing.words import Kind, TargetKind

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def owed(kind: TargetKind, due_at: datetime, *, paused: bool = False, met: bool = False) -> Target:
    return Target(
        ticket=1001,
        kind=kind,
        ordinal=1,
        policy_key="k",
        budget="8wh",
        calendar="TW",
        calendar_version="1",
        policy_version="1",
        started_at=due_at - DAY,
        due_at=due_at,
        warn_50_at=None,
        warn_80_at=None,
        supervisor_at=None,
        next_at=None,
        met_at=due_at if met else None,
        paused_at=due_at - HOUR if paused else None,
    )


LATE = owed(TargetKind.FIRST_RESPONSE, NOW - HOUR)
PROMISE = owed(TargetKind.CALLBACK, NOW - HOUR)
THRICE = (NOW - 2 * DAY, NOW - DAY, NOW)
TWICE = (NOW - DAY, NOW)


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        (Facts(at=NOW), []),
        (Facts(at=NOW, strength=Strength.WEAK), ["implied_words"]),
        (Facts(at=NOW, targets=(LATE,)), ["implied_late"]),
        (Facts(at=LATE.due_at, targets=(LATE,)), ["implied_late"]),
        (Facts(at=LATE.due_at - timedelta(seconds=1), targets=(LATE,)), []),
        (Facts(at=NOW, targets=(owed(TargetKind.FIRST_RESPONSE, NOW - HOUR, paused=True),)), []),
        (Facts(at=NOW, targets=(owed(TargetKind.FIRST_RESPONSE, NOW - HOUR, met=True),)), []),
        (Facts(at=NOW, targets=(PROMISE,)), ["implied_promise"]),
        (Facts(at=NOW, targets=(LATE, PROMISE)), ["implied_late", "implied_promise"]),
        (Facts(at=NOW, asked_at=TWICE), []),
        (Facts(at=NOW, asked_at=THRICE), ["implied_asked"]),
        (Facts(at=NOW, asked_at=(NOW - timedelta(minutes=2), NOW - timedelta(minutes=1), NOW)), []),
        (Facts(at=NOW, was_closed=True), []),
        (Facts(at=NOW, was_closed=True, asked_at=TWICE), ["implied_asked", "implied_reopened"]),
        (Facts(at=NOW, kind=Kind.FEEDBACK, targets=(LATE, PROMISE), asked_at=THRICE, was_closed=True), []),
    ],
)
def test_what_implies_a_complaint(facts: Facts, codes: list[str]) -> None:
    assert [reason.code for reason in implied(facts)] == codes


def test_the_order_in_which_messages_are_read_makes_no_difference() -> None:
    one = implied(Facts(at=NOW, asked_at=THRICE))

    assert implied(Facts(at=NOW, asked_at=tuple(reversed(THRICE)))) == one
    assert [dict(reason.data) for reason in one] == [{"times": 3}]
