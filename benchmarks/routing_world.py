"""A day at the desk, made up from a seed: who writes when, who works when, and how people really behave.

Everything random is drawn here, before anything is decided: every way of giving out work meets the very same day.
Seconds count from local midnight. The loads are those of load_profiles.json; how long people take, and how they fail,
is written below, and is the same for everybody.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from routing.calendars import due_at
from routing.loads import LoadRules
from routing.policy import Budget, BudgetUnit, CalendarSpec, Window

PROFILES = Path(__file__).with_name("load_profiles.json")
FIRMS = {20: "small_firm", 2000: "national_chain"}
DAYS = {"normal": "normal_day", "filing": "filing_day", "filing with a burst": "filing_day"}
BURST = 5 * 60  # seconds; of load_profiles.json, once a day between ten and four
HOUR = 3600
OPENS, CLOSES = 9 * HOUR, 18 * HOUR
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)  # a Tuesday; the desk lives in UTC, which is as good a zone as any
SPEC = CalendarSpec(
    name="nine to six", timezone="UTC", week=dict.fromkeys(range(5), (Window(time(9), time(18)),)), version="1"
)

#: medium -> the promise of a first response (docs/configuration.md), in hours; a call: before the fourth ring
TARGETS = {
    "chat": Budget(BudgetUnit.WORKING_HOURS, timedelta(seconds=60), written="60s in hours"),
    "telegram": Budget(BudgetUnit.WORKING_HOURS, timedelta(minutes=3), written="3min in hours"),
    "email": Budget(BudgetUnit.WORKING_HOURS, timedelta(hours=8), written="8wh"),
    "phone": Budget(BudgetUnit.WALL, timedelta(seconds=15), written="3 rings"),
}
COMPLAINT = Budget(BudgetUnit.WORKING_HOURS, timedelta(hours=2), written="2wh")
CALLBACK = 30 * 60  # seconds
RINGS_FOR = 40  # seconds until a caller gives up

#: What people need, in seconds of their attention (medians; each draw is log-normal) and how it varies.
FIRST_LINE, TURN, EMAIL, CALL = 20, 100, 540, 300
SIGMA = 0.5
TURNS = (1, 2, 3, 3, 4)  # further turns of a conversation
THINKS = 90  # seconds until the customer writes again, median
SEES, PICKS_UP = 8, 5  # seconds until somebody with nothing to do sees what has come, or takes a call, medians
PIECE = 180  # seconds of a mail that are written without looking up

#: How people fail. None of it is told to anybody but by its effects, unless it says so.
ILL = 0.05  # goes home in the course of the day; half of them say so
NEVER_COMES = 0.02  # a supervisor notices after two hours
IGNORES = 1.2  # spells a day in which somebody looks at nothing new
IGNORES_FOR = (8 * 60, 35 * 60)  # seconds
LATE_FROM_LUNCH = 15 * 60  # seconds, at most
AFTERNOON = 1.2  # times as long, from two o'clock


@dataclass(slots=True)
class Contact:
    """One customer who wants something. What happens to it is written into it."""

    number: int
    at: float  # it came
    medium: str  # chat telegram email phone
    kind: str
    language: str
    topic: str
    own: str  # the customer's agent; "" none
    due: float
    work: list[float]  # seconds of attention of each turn
    thinks: list[float]  # seconds between them
    sees: float
    answered: float | None = None  # the first response
    answered_by: int | None = None
    turn: int = 0  # of `work`, the one that waits
    ready: float = 0.0  # since when that turn waits
    left: float = 0.0  # of it, once begun
    holder: int | None = None
    given: float = 0.0
    had_it: list[str] = field(default_factory=list)
    is_missed: bool = False  # a call that nobody took
    is_done: bool = False

    @property
    def sort(self) -> str:
        return "callback" if self.is_missed else self.medium


@dataclass(slots=True)
class Worker:
    """One agent as he really is."""

    number: int
    name: str
    languages: tuple[str, ...]
    topics: tuple[str, ...]
    complaints: bool
    pace: float  # times as long as the median
    lunch: tuple[float, float]  # as the roster has it
    away: list[tuple[float, float]]  # as he really is away, in order
    says_off: float | None = None  # when the desk hears that he is gone


@dataclass(frozen=True, slots=True)
class World:
    contacts: list[Contact]
    workers: list[Worker]
    days: int
    ends: float  # nobody looks any further


@dataclass(frozen=True, slots=True)
class Profile:
    agents: int
    contacts: int  # a day
    burst: int  # of these, in the five minutes of a burst
    hours: dict[str, float]  # "09" or "18-24" -> share
    channels: dict[str, float]  # im, phone, email -> share


def profile(agents: int, day: str) -> Profile:
    """What load_profiles.json says of such a day."""
    data = json.loads(PROFILES.read_text("utf-8"))
    one, channels = data[FIRMS[agents]], data["assumptions"]["channel_share"]
    messages = sum(share * data["assumptions"]["events_per_contact"][sort] for sort, share in channels.items())
    burst = round(one["burst_5min_per_s"] * BURST / messages) if "burst" in day else 0
    return Profile(one["agents"], one[DAYS[day]]["contacts_per_day"], burst, data["hour_shape"], channels)


def made(agents: int, day: str, seed: int, *, days: int = 1, until: float = CLOSES) -> World:
    """One world: a firm of so many agents, on such days one after the other, the last of them `until` a time."""
    told = profile(agents, day)
    dice = random.Random(f"{agents} {day} {seed}")
    workers = [_worker(dice, number, days) for number in range(told.agents)]
    contacts: list[Contact] = []
    for n in range(days):
        contacts += _contacts(dice, told, workers, n * 24 * HOUR)
    ends = (days - 1) * 24 * HOUR + until
    contacts = sorted((one for one in contacts if one.at < ends), key=lambda one: one.at)
    for number, one in enumerate(contacts):
        one.number = number
    return World(contacts, workers, days, ends)


def moment(seconds: float) -> datetime:
    return MIDNIGHT + timedelta(seconds=seconds)


def _worker(dice: random.Random, number: int, days: int) -> Worker:
    eats = 11.5 * HOUR if number % 2 else 12.5 * HOUR  # in two shifts
    away: list[tuple[float, float]] = []
    says_off = None
    for day in range(days):
        midnight = day * 24 * HOUR
        away.append((midnight, midnight + OPENS))
        away.append((midnight + CLOSES, midnight + 24 * HOUR))
        away.append((midnight + eats, midnight + eats + HOUR + dice.uniform(0, LATE_FROM_LUNCH)))
        at = OPENS + dice.expovariate(IGNORES / (CLOSES - OPENS))
        while at < CLOSES:
            length = dice.uniform(*IGNORES_FOR)
            away.append((midnight + at, midnight + at + length))
            at += length + dice.expovariate(IGNORES / (CLOSES - OPENS))
    whether, when, tells = dice.random(), dice.uniform(OPENS, CLOSES), dice.random()
    if whether < NEVER_COMES:
        away = [(0.0, days * 24.0 * HOUR)]
        says_off = OPENS + 2 * HOUR
    elif whether < NEVER_COMES + ILL:
        away.append((when, days * 24.0 * HOUR))
        says_off = when if tells < 0.5 else None
    return Worker(
        number=number,
        name=f"a{number:04}",
        languages=("zh-Hant", "en") if number % 5 < 2 else ("zh-Hant",),
        topics=("tax_filing", "invoice") if number % 2 else ("tax_filing", "bookkeeping"),
        complaints=number % 5 == 0,
        pace=dice.lognormvariate(0, 0.2),
        lunch=(eats, eats + HOUR),
        away=_joined(away),
        says_off=says_off,
    )


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _contacts(dice: random.Random, told: Profile, workers: list[Worker], midnight: float) -> Iterator[Contact]:
    bursts_at = dice.uniform(10 * HOUR, 16 * HOUR)
    for number in range(told.contacts):
        name = dice.choices(list(told.hours), list(told.hours.values()))[0]
        first, _, last = name.partition("-")
        start, end = int(first) * HOUR, (int(last) if last else int(first) + 1) * HOUR
        at = dice.uniform(start, end)
        if number < told.burst:
            at = bursts_at + dice.uniform(0, BURST)
        sort = dice.choices(list(told.channels), list(told.channels.values()))[0]
        medium = dice.choice(("chat", "telegram")) if sort == "im" else sort
        if medium == "phone" and not OPENS <= at < CLOSES:
            continue  # the announcement tells the hours
        yield _contact(dice, midnight + at, medium, workers)


def _contact(dice: random.Random, at: float, medium: str, workers: list[Worker]) -> Contact:
    def seconds(middle: float) -> float:
        return middle * dice.lognormvariate(0, SIGMA)

    kind = "complaint" if dice.random() < 0.03 else "consultation"
    if medium in ("chat", "telegram"):
        work = [seconds(FIRST_LINE), *(seconds(TURN) for _ in range(dice.choice(TURNS)))]
    else:
        work = [seconds(EMAIL if medium == "email" else CALL)]
    due = (due_at(SPEC, moment(at), TARGETS[medium]) - MIDNIGHT).total_seconds()
    if kind == "complaint" and medium != "phone":
        due = min(due, (due_at(SPEC, moment(at), COMPLAINT) - MIDNIGHT).total_seconds())
    return Contact(
        number=0,
        at=at,
        medium=medium,
        kind=kind,
        language="en" if dice.random() < 0.12 else "zh-Hant",
        topic=dice.choice(("tax_filing", "tax_filing", "invoice", "bookkeeping")),
        own=dice.choice(workers).name if dice.random() < 0.5 else "",
        due=due,
        work=work,
        thinks=[seconds(THINKS) for _ in work[1:]],
        sees=seconds(PICKS_UP if medium == "phone" else SEES),
    )


#: What the desk expects; it does not know what was drawn.
LOADS = LoadRules()


def slowness(worker: Worker, at: float) -> float:
    return worker.pace * (AFTERNOON if at % (24 * HOUR) >= 14 * HOUR else 1.0)
