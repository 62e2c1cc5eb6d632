"""Does it keep deadlines? Days of a desk with 20 and with 2,000 agents, worked by `routing/` itself and by others.

    python -m benchmarks routing_sim            20 agents, a few seeds: about a minute
    python -m benchmarks routing_sim --full     more seeds, the parts of ours by themselves, a morning of 2,000 agents;
                                                the picture in docs/pictures is drawn anew: an hour

Every way of giving out work meets the same days (routing_world.py): two in a row, so that what is put off must be
paid for; of 2,000 agents the first hour and a half of one. Counted are the contacts whose deadline fell in them; a
call that nobody took in time is one that was not answered in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import mean, stdev
from time import perf_counter, process_time
from typing import Any

from benchmarks.routing_day import Day, Decider
from benchmarks.routing_ours import Ours
from benchmarks.routing_plot import draw
from benchmarks.routing_rivals import KnowsAll, LeastLoaded, LongestIdle, RoundRobin
from benchmarks.routing_world import DAYS, HOUR, OPENS, SPEC, TARGETS, Contact, World, made, moment
from routing.assignment import Need, assign
from routing.calendars import elapsed

SEEDS, FULL_SEEDS = 3, 6
HALF_PAST_TEN = 10.5 * HOUR  # of 2,000 agents; the peak has begun by then
RIVALS: tuple[Callable[[], Decider], ...] = (RoundRobin, LeastLoaded, LongestIdle, Ours, KnowsAll)
PARTS: tuple[Callable[[], Decider], ...] = (
    lambda: Ours(name="ours, no rescue", with_rescue=False),
    lambda: Ours(name="ours, no queue", with_queue=False),
    lambda: Ours(name="ours, own agent not preferred", with_own=False),
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one way of giving out work made of one world."""

    on_time: float  # share of first responses
    by_medium: dict[str, float]
    p95: float  # minutes of open time until the first response, chat and messaging
    p95_all: float  # … of everything but calls
    gini: float  # of the work done, in what each sort is reckoned at, among those who were there
    gini_worked: float  # of the minutes that it took them: who is slow works longer for the same
    most: float  # the most work that one of them did, as a multiple of the mean
    unanswered: int  # at the end
    seconds: float  # of this machine's time


def measured(world: World, decider: Decider) -> Result:
    """Run it, and count."""
    began = perf_counter()
    day = Day(world, decider)
    day.run()
    took = perf_counter() - began
    end = world.ends
    counted = [one for one in world.contacts if one.is_missed or one.due <= end]
    media = {name: [one for one in counted if one.medium == name] for name in TARGETS}
    quick = [_waited(one, end) for one in counted if one.medium in ("chat", "telegram")]
    rest = [_waited(one, end) for one in counted if one.medium != "phone"]
    there = [seat for seat in day.seats if seat.worker.says_off is None and seat.count]
    done = sorted(seat.done for seat in there)
    return Result(
        on_time=mean(map(_is_on_time, counted)),
        by_medium={name: mean(map(_is_on_time, some)) for name, some in media.items() if some},
        p95=_part(quick, 0.95) / 60,
        p95_all=_part(rest, 0.95) / 60,
        gini=gini(done),
        gini_worked=gini(sorted(seat.minutes for seat in there)),
        most=done[-1] / mean(done),
        unanswered=sum(one.answered is None for one in world.contacts),
        seconds=took,
    )


def _is_on_time(one: Contact) -> bool:
    return one.answered is not None and not one.is_missed and one.answered <= one.due


def _waited(one: Contact, end: float) -> float:
    """Seconds of open time; of what is unanswered, until the end."""
    until = one.answered if one.answered is not None else end
    if one.at % (24 * HOUR) >= OPENS and until // (24 * HOUR) == one.at // (24 * HOUR):
        return until - one.at
    return elapsed(SPEC, moment(one.at), moment(until)).total_seconds()


def _part(some: list[float], share: float) -> float:
    return sorted(some)[min(len(some) - 1, int(share * len(some)))]


def gini(worked: list[float]) -> float:
    """0: everybody the same. `worked` in ascending order."""
    count = len(worked)
    return sum((2 * place - count + 1) * one for place, one in enumerate(worked)) / (count * sum(worked))


def run(*, full: bool = False) -> Iterator[dict[str, Any]]:
    """How long a decision takes; then one row for each firm, day and way."""
    yield from decisions()
    shown: dict[tuple[int, str], dict[str, list[float]]] = {}
    for agents, seeds in ((20, FULL_SEEDS), (2000, 1)) if full else ((20, SEEDS),):
        for day in (day for day in DAYS if agents == 20 or "burst" not in day):
            ways = (*RIVALS, *PARTS) if full and agents == 20 else RIVALS if agents == 20 else RIVALS[:-1]
            for make in ways:
                results = [measured(_world(agents, day, seed), make()) for seed in range(seeds)]
                shown.setdefault((agents, day), {})[make().name] = [one.on_time for one in results]
                yield row(agents, day, make().name, results)
    if full:
        draw(shown)


def decisions(count: int = 300) -> Iterator[dict[str, Any]]:
    """How long choosing among 2,000 agents takes, all of them there and able: the most there is to look at."""
    ours = Ours()
    day = Day(made(2000, "normal", 0, until=0.0), ours)
    ours.begin(day)
    now = moment(10 * HOUR)
    for one in list(ours.crowd):
        ours.crowd.put(replace(one, is_on_duty=True, last_act_at=now, on_until=None, last_assigned_at=now))
    usual = Need(members=ours.members, language="zh-Hant", due_at=now + timedelta(minutes=3), minutes=0.6)
    worst = replace(usual, preferred="a1999", had_it=frozenset({"a0001"}), excluded=frozenset({"a0002"}))
    for what, need in (("usual", usual), ("own agent, two excluded", worst)):
        took = []
        for _ in range(count):
            began = process_time()
            assign(ours.crowd, need, now)
            took.append((process_time() - began) * 1e3)
        yield {
            "a decision among 2,000": what,
            "p50 CPU ms": f"{_part(took, 0.5):.2f}",
            "p95 CPU ms": f"{_part(took, 0.95):.2f}",
            "worst CPU ms": f"{max(took):.2f}",
        }


def _world(agents: int, day: str, seed: int) -> World:
    return made(agents, day, seed, days=2) if agents < 2000 else made(agents, day, seed, until=HALF_PAST_TEN)


def row(agents: int, day: str, name: str, results: list[Result]) -> dict[str, Any]:
    def spread(values: list[float], digits: int, factor: float = 1.0) -> str:
        middle = mean(values) * factor
        return (
            f"{middle:.{digits}f} ± {stdev(values) * factor:.{digits}f}" if len(values) > 1 else f"{middle:.{digits}f}"
        )

    return {
        "agents": agents,
        "day": day,
        "way": name,
        "on time %": spread([one.on_time for one in results], 1, 100),
        **{f"{m} %": f"{mean(one.by_medium[m] for one in results) * 100:.0f}" for m in TARGETS},
        "p95 wait min": spread([one.p95 for one in results], 1),
        "p95 with mail min": spread([one.p95_all for one in results], 0),
        "gini": spread([one.gini for one in results], 3),
        "gini of time": spread([one.gini_worked for one in results], 3),
        "most/mean": f"{mean(one.most for one in results):.2f}",
        "unanswered": round(mean(one.unanswered for one in results)),
        "seeds": len(results),
        "s": f"{mean(one.seconds for one in results):.1f}",
    }
