"""The crowd: everybody as he stands at this moment, and who of them may take what at all.

What lasts (team, language, topic, certificate) is looked up once for each sort of need and kept until people change;
what passes is looked at for each ticket. So that choosing among 2,000 agents takes less than a millisecond.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from routing.policy import Agent

MAX_CANDIDATES = 10  # written into a decision, of those who could and of those who could not
#: Minutes of work that count as the same share: finer, and whoever is away unseen would always come first.
SHARE_STEP = 30.0
MAX_KEPT = 500  # sorts of needs that are remembered

_NO_EXPIRY: Mapping[str, datetime] = {}
_FAR = float("inf")

#: What orders those who can take it: who is free first, has the least open, had the least lately, waits longest.
Rank = tuple[int, int, float, float, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentSnapshot:
    """One agent as he stands at this moment."""

    agent: Agent
    is_on_duty: bool  # present, and it is his time
    open_tickets: int = 0
    expected_minutes: float = 0.0  # of work still to do on them
    last_assigned_at: datetime | None = None
    weight: int | None = None  # of his open tickets against `agent.capacity`; None: one each
    on_until: datetime | None = None  # his time on duty ends; None: no end is known
    last_act_at: datetime | None = None  # his last sign of life
    silent_since: datetime | None = None  # when he was first given something after his last sign of life
    doubt_after: float = 30.0  # seconds of silence, beyond what his work explains, that make one wonder
    doubt_for: float = 1800.0  # seconds: with nothing open he is tried again after that
    share_minutes: float = 0.0  # of work given to him in this period
    expiry: Mapping[str, datetime] = field(default_factory=lambda: _NO_EXPIRY)  # certificate -> its end
    certificates: frozenset[str] = frozenset()  # beside `agent.complaints`
    languages: frozenset[str] = frozenset()  # beside `agent.languages`
    holds_until: datetime | None = None  # `is_on_duty` may change then
    is_on_call: bool = False  # out of hours, for what is urgent

    used: int = field(init=False, default=0)
    capacity: int = field(init=False, default=0)
    rank: Rank = field(init=False, default=(0, 0, 0.0, 0.0, ""))
    leaves_at: float = field(init=False, default=_FAR)  # seconds since the epoch
    seen: float = field(init=False, default=0.0)
    doubted_from: float = field(init=False, default=_FAR)
    doubted_to: float = field(init=False, default=_FAR)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "used", self.open_tickets if self.weight is None else self.weight)
        put(self, "capacity", self.agent.capacity)
        idle = self.last_assigned_at.timestamp() if self.last_assigned_at is not None else 0.0
        minutes = round(self.expected_minutes)
        share = self.share_minutes // SHARE_STEP
        put(self, "rank", (minutes, self.open_tickets, share, idle, self.agent.name))
        if self.on_until is not None:
            put(self, "leaves_at", self.on_until.timestamp())
        if self.last_act_at is not None:
            put(self, "seen", self.last_act_at.timestamp())
        if self.silent_since is not None:
            since = self.silent_since.timestamp()
            put(self, "doubted_from", since + self.doubt_after + 60 * self.expected_minutes)
            put(self, "doubted_to", since + self.doubt_for if not self.open_tickets else _FAR)

    @property
    def is_free(self) -> bool:
        """There, with nothing to do that is known of."""
        return self.is_on_duty and not self.open_tickets

    def has_expired(self, certificate: str, at: datetime) -> bool:
        """True where he had it, and has it no more."""
        end = self.expiry.get(certificate)
        return end is not None and end <= at


class Fit(NamedTuple):
    """Who may take one sort of ticket, whatever he has to do."""

    names: tuple[str, ...]
    topic: tuple[str, ...]  # who fail by the topic alone
    refused: tuple[tuple[str, str], ...]  # (agent, why not), a few
    counts: Mapping[str, int]  # why not -> how many


class Crowd:
    """Everybody by name. Put people in as they change; iterate over them."""

    def __init__(self, people: Iterable[AgentSnapshot] = ()) -> None:
        self._people: dict[str, AgentSnapshot] = {one.agent.name: one for one in people}
        self._fits: dict[object, Fit] = {}
        self._until: list[tuple[datetime, str]] = [
            (one.holds_until, name) for name, one in self._people.items() if one.holds_until is not None
        ]
        heapq.heapify(self._until)
        self.on_duty = sum(one.is_on_duty for one in self._people.values())
        self.free = sum(one.is_free for one in self._people.values())

    def __iter__(self) -> Iterator[AgentSnapshot]:
        return iter(self._people.values())

    def __len__(self) -> int:
        return len(self._people)

    def __contains__(self, name: object) -> bool:
        return name in self._people

    def __getitem__(self, name: str) -> AgentSnapshot:
        return self._people[name]

    def get(self, name: str) -> AgentSnapshot | None:
        return self._people.get(name)

    def put(self, one: AgentSnapshot) -> None:
        """As he stands now."""
        name = one.agent.name
        was = self._people.get(name)
        if was is None:
            self._fits = {}  # a copy may still have the other
        else:
            self.on_duty -= was.is_on_duty
            self.free -= was.is_free
        self.on_duty += one.is_on_duty
        self.free += one.is_free
        self._people[name] = one
        if one.holds_until is not None and (was is None or was.holds_until != one.holds_until):
            heapq.heappush(self._until, (one.holds_until, name))

    def clear(self) -> None:
        """Other people, or the same with other skills."""
        self._people, self._fits, self._until = {}, {}, []
        self.on_duty = self.free = 0

    def copy(self) -> Crowd:
        """To try something on: what is looked up of needs is shared, for skills stay as they are."""
        other = Crowd()
        other._people, other._fits, other._until = dict(self._people), self._fits, list(self._until)
        other.on_duty, other.free = self.on_duty, self.free
        return other

    def outdated(self, now: datetime) -> list[str]:
        """Whose time on duty has begun or ended since he was put in; each is named once."""
        found = []
        while self._until and self._until[0][0] <= now:
            until, name = heapq.heappop(self._until)
            one = self._people.get(name)
            if one is not None and one.holds_until == until:
                found.append(name)
        return list(dict.fromkeys(found))

    # ---- what lasts

    def people(self, names: Sequence[str]) -> list[AgentSnapshot]:
        return list(map(self._people.__getitem__, names))

    def fit(
        self,
        members: frozenset[str],
        topic: str,
        language: str,
        is_complaint: bool,
        certificates: frozenset[str],
        preferred: str,
    ) -> Fit:
        """Who may take such a ticket. The customer's own agent need be neither of the team nor know the topic."""
        key = (members, topic, language, is_complaint, certificates)
        found = self._fits.get(key)
        if found is None:
            if len(self._fits) >= MAX_KEPT:
                self._fits.clear()
            found = self._fits[key] = self._looked_up(members, topic, language, is_complaint, certificates)
        if preferred and preferred in self._people:
            return self._with(found, self._people[preferred], language, is_complaint, certificates)
        return found

    def _looked_up(
        self, members: frozenset[str], topic: str, language: str, is_complaint: bool, certificates: frozenset[str]
    ) -> Fit:
        names: list[str] = []
        others: list[str] = []
        refused: list[tuple[str, str]] = []
        counts: Counter[str] = Counter()
        for name, one in self._people.items():
            why = "not_in_team" if name not in members else _lacks(one, language, is_complaint, certificates)
            if not why and topic and one.agent.topics and topic not in one.agent.topics:
                why = "topic"
                others.append(name)
            if not why:
                names.append(name)
                continue
            counts[why] += 1
            # Of the team first: that somebody of another team cannot take it tells nothing.
            if why != "not_in_team" and len(refused) < MAX_CANDIDATES:
                refused.append((name, why))
        return Fit(tuple(names), tuple(others), tuple(refused), counts)

    def _with(
        self, fit: Fit, own: AgentSnapshot, language: str, is_complaint: bool, certificates: frozenset[str]
    ) -> Fit:
        name = own.agent.name
        if name in fit.names or _lacks(own, language, is_complaint, certificates):
            return fit
        others = tuple(n for n in fit.topic if n != name)
        refused = tuple(pair for pair in fit.refused if pair[0] != name)
        return Fit((name, *fit.names), others, refused, fit.counts)


def _lacks(one: AgentSnapshot, language: str, is_complaint: bool, certificates: frozenset[str]) -> str:
    """The certificate or the language that he has not; "" where he has all."""
    if is_complaint and not one.agent.complaints and "complaints" not in one.certificates:
        return "certificate"
    if certificates and not certificates <= one.certificates:
        return "certificate"
    if language and language not in one.agent.languages and language not in one.languages:
        return "language"
    return ""
