"""Back-off: when to try again, and when to stop.

Pure. Whoever asks brings the time and the chance (`random.random`); nothing here sleeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

Chance = Callable[[], float]  # uniform over [0, 1)

RECONNECT_FIRST = 1.0  # seconds, the longest first wait
RECONNECT_CAP = 300.0  # seconds
RECONNECT_LEAST = 0.1  # seconds: full jitter may come out at nothing, and a refused connection costs both sides


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """When a delivery that failed for a while is tried again."""

    first: tuple[timedelta, ...] = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60))  # after 1, 2, 3, 4 attempts
    then_every: timedelta = timedelta(hours=4)
    give_up_after: timedelta = timedelta(days=5)  # since the first attempt; RFC 5321 §4.5.4.1 asks for 4-5 days
    spread: float = 0.1  # share of the wait added by chance, so that a dead relay's mails do not return in step


DEFAULT = RetrySchedule()


def next_attempt(
    attempts: int,
    first_attempt_at: datetime,
    now: datetime,
    schedule: RetrySchedule = DEFAULT,
    *,
    chance: Chance = lambda: 0.0,
) -> datetime | None:
    """When to try again after `attempts` (>= 1) have failed, the last of them now; None: give up.

    A wait is never cut short: the last attempt is the last one that falls within `give_up_after`.
    """
    if attempts < 1:
        raise ValueError(f"{attempts} attempts have not failed")
    wait = schedule.first[attempts - 1] if attempts <= len(schedule.first) else schedule.then_every
    if now + wait > first_attempt_at + schedule.give_up_after:
        return None
    return now + wait * (1.0 + schedule.spread * chance())


def reconnect_delay(failures: int, chance: Chance) -> float:
    """Seconds to wait after so many failures in a row (>= 1): full jitter below 1, 2, 4 … 300 s."""
    doublings = min(max(failures, 1) - 1, 16)  # 2**16 s is far above the cap, and no float overflows
    return max(RECONNECT_LEAST, chance() * min(RECONNECT_CAP, RECONNECT_FIRST * 2.0**doublings))


def growing(times: int, first: timedelta, longest: timedelta) -> timedelta:
    """How long to rest after the same word for so many times (>= 1) in a row: twice as long each time."""
    return min(longest, first * float(2 ** min(max(times, 1) - 1, 16)))
