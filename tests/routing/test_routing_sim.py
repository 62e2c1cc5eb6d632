"""Days of a small desk, worked by the real routing and by others: ours keeps more deadlines, and shares work fairly."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

import pytest

from benchmarks.routing_day import Decider
from benchmarks.routing_ours import Ours
from benchmarks.routing_plot import drawn
from benchmarks.routing_rivals import LeastLoaded, LongestIdle, RoundRobin
from benchmarks.routing_sim import Result, gini, measured
from benchmarks.routing_world import HOUR, made

SEEDS = 1
RIVALS = (RoundRobin, LeastLoaded, LongestIdle)


def worked(day: str, make: Callable[[], Decider]) -> list[Result]:
    return [measured(made(20, day, seed, days=2), make()) for seed in range(SEEDS)]


@pytest.fixture(scope="module")
def filing() -> dict[str, list[Result]]:
    return {make().name: worked("filing", make) for make in (*RIVALS, Ours)}


@pytest.mark.parametrize("rival", [make.name for make in RIVALS])
def test_on_filing_day_ours_keeps_more_deadlines_than(rival: str, filing: dict[str, list[Result]]) -> None:
    theirs = mean(one.on_time for one in filing[rival])
    ours = mean(one.on_time for one in filing["ours"])

    assert ours > theirs + 0.03


def test_no_mail_is_late_because_it_gave_way_to_chats(filing: dict[str, list[Result]]) -> None:
    assert min(one.by_medium["email"] for one in filing["ours"]) > 0.97


def test_nobody_waits_longer_for_it_and_nobody_works_more(filing: dict[str, list[Result]]) -> None:
    ours, others = filing["ours"], [one for name in ("round robin", "longest idle") for one in filing[name]]

    assert max(one.p95 for one in ours) < mean(one.p95 for one in others)
    assert max(one.most for one in ours) < 1.5


def test_the_same_seed_is_the_same_day_and_the_same_answer() -> None:
    first, again = (measured(made(20, "normal", 3, until=11 * HOUR), Ours()) for _ in range(2))

    assert (first.on_time, first.p95, first.gini) == (again.on_time, again.p95, again.gini)


def test_equal_shares_are_zero_and_all_with_one_is_nearly_one() -> None:
    assert gini([1.0, 1.0, 1.0]) == 0
    assert gini([0.0, 0.0, 0.0, 4.0]) == 0.75


def test_the_picture_has_every_figure_in_words() -> None:
    picture = drawn({(20, "filing"): {"ours": [0.9, 0.8], "oracle": [0.95, 0.95]}})

    assert "85.0 %" in picture
    assert "20 agents, filing: intake 85.0%, one who knows everything 95.0%" in picture
    assert picture.count("<svg") == picture.count("</svg>") == 1
