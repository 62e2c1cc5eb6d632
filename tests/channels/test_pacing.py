"""Pacing: never more than so many in any minute and any day, and a share kept for what cannot wait."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from channels.pacing import DAY, MINUTE, Pace, Sent, Window, preset, provider_of
from channels.settings import SmtpSettings


def moments(sent: Sent, seconds: float, *, is_urgent: bool, step: float = 0.25) -> list[float]:
    """When those leave that always have somebody behind them."""
    left, now = [], 0.0
    while now < seconds:
        while sent.room(now, is_urgent=is_urgent, most=1):
            sent = sent.counted(now, now)
            left.append(now)
        now += max(step, sent.wait(now, is_urgent=is_urgent))
    return left


def most_within(left: list[float], span: float) -> int:
    return max(sum(1 for other in left if at <= other < at + span) for at in left)


@pytest.mark.parametrize("limit", [1, 4, 5, 30, 61])
def test_in_no_minute_leave_more_than_are_allowed_and_hardly_fewer(limit: int) -> None:
    left = moments(Sent.at(Pace(per_minute=limit)), 600, is_urgent=True)

    assert most_within(left, MINUTE) == limit
    assert len(left) >= 9 * limit


def test_whatever_the_times_at_which_they_come_the_limit_holds() -> None:
    dice = random.Random(7)
    sent, left, now = Sent.at(Pace(per_minute=10)), [], 0.0
    for _ in range(2000):
        now += dice.choice([0.01, 0.5, 3.0, 20.0])
        if sent.room(now, is_urgent=True, most=1):
            sent = sent.counted(now, now)
            left.append(now)

    assert most_within(left, MINUTE) == 10


def test_the_time_that_is_named_is_the_time_at_which_there_is_room() -> None:
    sent = Sent.at(Pace(per_minute=3))
    for at in (0.0, 10.0, 20.0):
        sent = sent.counted(at, at)
    wait = sent.wait(21.0, is_urgent=True)

    assert 39.0 <= wait <= 40.0
    assert sent.room(21.0 + wait - 0.001, is_urgent=True, most=9) == 0
    assert sent.room(21.0 + wait, is_urgent=True, most=9) == 1


def test_a_fifth_is_kept_for_what_cannot_wait() -> None:
    sent = Sent.at(Pace(per_minute=30))
    for _ in range(24):
        sent = sent.counted(0.0, 0.0)

    assert (sent.room(1.0, is_urgent=False, most=99), sent.room(1.0, is_urgent=True, most=99)) == (0, 6)
    assert sent.wait(1.0, is_urgent=True) == 0.0
    assert sent.wait(1.0, is_urgent=False) > 0.0


def test_a_day_is_any_24_hours_and_goes_on_after_a_restart() -> None:
    half_a_day_ago = [DAY / 2] * 100
    sent = Sent.at(Pace(per_day=100), half_a_day_ago, now=5.0)

    assert sent.room(5.0, is_urgent=True, most=9) == 0
    assert DAY / 2 <= sent.wait(5.0, is_urgent=True) <= DAY / 2 + DAY / 60
    assert sent.room(5.0 + DAY / 2 + DAY / 60, is_urgent=True, most=9) == 9
    assert sent.why(5.0, is_urgent=True) == "100 in 24 hours is this account's pace"


def test_what_was_older_than_a_day_at_the_start_is_not_counted() -> None:
    sent = Sent.at(Pace(per_day=2), [DAY + DAY / 60 + 1, 30.0], now=0.0)

    assert sent.room(0.0, is_urgent=True, most=9) == 1


def test_what_the_other_side_refused_is_no_recipient_of_the_day_and_yet_an_attempt() -> None:
    sent = Sent.at(Pace(per_minute=10, per_day=10))
    sent = sent.counted(0.0, 0.0).counted(1.0, 1.0).not_taken(1.0)

    assert (sent.day.used(1.0), sent.minute.used(1.0)) == (1, 2)


def test_without_a_limit_nothing_waits_and_nothing_is_counted() -> None:
    sent = Sent.at(Pace())
    for _ in range(1000):
        sent = sent.counted(0.0, 0.0)

    assert (sent.room(0.0, is_urgent=False, most=48), sent.wait(0.0, is_urgent=False), sent.minute.slots) == (48, 0, ())


def test_however_many_leave_counting_them_stays_small() -> None:
    window = Window(DAY, 1_000_000)
    for second in range(0, 3 * int(DAY), 60):
        window = window.counted(float(second), float(second), many=5)

    assert len(window.slots) <= 62
    assert all(a < b for (a, _), (b, _) in pairwise(window.slots))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("smtp.office365.com", Pace(30, 10_000, 3)),
        ("SMTP.Office365.com.", Pace(30, 10_000, 3)),
        ("smtp.gmail.com", Pace(60, 2_000, 3)),
        ("smtp.163.com", Pace(10, 300, 1)),
        ("smtp.qiye.163.com", Pace(20, 1_000, 2)),
        ("smtp.exmail.qq.com", Pace(20, 1_000, 2)),
        ("smtp.qq.com", Pace(15, 400, 2)),
        ("mail.firm.example", Pace()),
        ("notsmtp.qq.com.evil.example", Pace()),
    ],
)
def test_what_an_account_may_follows_from_its_relay(host: str, expected: Pace) -> None:
    assert preset(host) == expected


def test_what_is_written_comes_before_what_is_known() -> None:
    settings = SmtpSettings(host="smtp.office365.com", per_minute=100, per_day=0)

    assert settings.pace == Pace(100, 0, 3)


def test_one_account_is_one_host_port_and_user_however_written() -> None:
    one = SmtpSettings(host="Smtp.Office365.com", username="Desk@firm.example", password={"file": "x"})
    same = SmtpSettings(host="smtp.office365.com", username="desk@firm.example", password={"file": "y"})
    other = SmtpSettings(host="smtp.office365.com", username="tax@firm.example", password={"file": "x"})

    assert one.account == same.account != other.account
    assert provider_of("smtp.office365.com") == "microsoft"
