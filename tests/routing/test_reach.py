"""Reach: what is promised is never sooner than half of the answers came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.deskrun import policy

from routing.reach import ENOUGH, in_hours, likely, promised_by

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)  # in Taipei
NIGHT = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([360] * ENOUGH, 360),
        ([10] * ENOUGH, 30),
        ([197] * ENOUGH, 210),
        ([30] * 5 + [3600] * 6, 3600),
        ([360] * (ENOUGH - 1), None),
        ([], None),
    ],
)
def test_half_of_the_answers_had_come_by_then_in_half_minutes(seconds: list[int], expected: int | None) -> None:
    found = likely([timedelta(seconds=s) for s in seconds])

    assert found == (None if expected is None else timedelta(seconds=expected))


def test_what_came_while_the_desk_was_closed_tells_nothing() -> None:
    spec = policy().calendars["desk"]

    assert in_hours(spec, [(NOON, NOON + MINUTE), (NIGHT, NIGHT + 600 * MINUTE)]) == [MINUTE]


@pytest.mark.parametrize(
    ("reach", "expected"), [(None, MINUTE), (MINUTE / 2, MINUTE), (MINUTE, MINUTE), (6 * MINUTE, 6 * MINUTE)]
)
def test_the_later_of_the_target_and_what_is_likely(reach: timedelta | None, expected: timedelta) -> None:
    assert promised_by(NOON + MINUTE, NOON, reach) == NOON + expected
