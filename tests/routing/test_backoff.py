"""Back-off: the outbox's five days, and reconnecting without a stampede."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from routing.backoff import RetrySchedule, next_attempt, reconnect_delay

START = datetime(2026, 11, 23, 9, tzinfo=UTC)


def minutes_waited(schedule: RetrySchedule) -> list[float]:
    """The waits between attempts when every attempt fails at once."""
    waits, now, attempts = [], START, 1
    while (again := next_attempt(attempts, START, now, schedule)) is not None:
        waits.append((again - now) / timedelta(minutes=1))
        now, attempts = again, attempts + 1
    return waits


def test_retries_come_after_1_5_15_60_minutes_then_every_4_hours_for_5_days() -> None:
    waits = minutes_waited(RetrySchedule())

    assert waits[:6] == [1, 5, 15, 60, 240, 240]
    assert set(waits[4:]) == {240}
    assert timedelta(days=5) - timedelta(hours=4) < timedelta(minutes=sum(waits)) <= timedelta(days=5)


def test_the_wait_counts_from_now_not_from_when_it_should_have_been() -> None:
    # The daemon was down for a day after the first attempt.
    now = START + timedelta(days=1)

    assert next_attempt(2, START, now) == now + timedelta(minutes=5)


def test_a_short_schedule_gives_up_at_once() -> None:
    assert next_attempt(1, START, START, RetrySchedule(give_up_after=timedelta(seconds=59))) is None
    assert next_attempt(1, START, START, RetrySchedule(give_up_after=timedelta(seconds=60))) is not None


def test_chance_only_ever_lengthens_a_wait_and_by_a_tenth_at_most() -> None:
    for chance in (0.0, 0.5, 0.999):
        again = next_attempt(3, START, START, chance=lambda chance=chance: chance)

        assert again is not None
        assert timedelta(minutes=15) <= again - START < timedelta(minutes=16.5)


def test_nothing_is_tried_again_before_it_was_tried() -> None:
    with pytest.raises(ValueError, match="0 attempts"):
        next_attempt(0, START, START)


@pytest.mark.parametrize(
    ("failures", "most"), [(0, 1), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (11, 300), (10**9, 300)]
)
def test_reconnecting_waits_anything_up_to_a_doubling_cap(failures: int, most: float) -> None:
    assert reconnect_delay(failures, lambda: 0.0) == 0.1
    assert reconnect_delay(failures, lambda: 0.5) == most / 2
    assert reconnect_delay(failures, lambda: 1.0) == most
