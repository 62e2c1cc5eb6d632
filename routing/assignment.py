"""Assignment: which agent takes a ticket, from a snapshot of who is there, certified and how loaded.

First what must hold: never the agent complained about, a certificate that is valid at this moment, the language, room
for what it weighs, on duty long enough. Of those who are left, whoever can still make the deadline; of these the
customer's own agent; then who is free first; then, for fairness, who had the least work lately and whose last lies
longest back; then by name, so that the same snapshot always gives the same answer. Where a queue is kept, a ticket
that all would begin too late waits in it. Nobody: the ticket waits, and its team's supervisor is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nsmallest
from operator import attrgetter
from typing import NamedTuple

from routing.assigning_rules import AssigningRules
from routing.crowd import MAX_CANDIDATES, AgentSnapshot, Crowd, Fit
from routing.loads import ONE, Load
from routing.policy import Agent
from routing.reasons import Reason, because

__all__ = ["MAX_CANDIDATES", "AgentSnapshot", "Assignment", "Candidate", "Crowd", "Need", "assign"]

_DEFAULTS = AssigningRules()
_RANK = attrgetter("rank")
_FAR = float("inf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What the ticket asks of an agent."""

    members: frozenset[str]  # agent names of the team
    topic: str = ""  # "" any
    language: str = ""  # "" any
    is_complaint: bool = False  # only a certified handler
    certificates: frozenset[str] = frozenset()  # others that it needs
    excluded: frozenset[str] = frozenset()  # agent names: whom the complaint is about, who declined
    had_it: frozenset[str] = frozenset()  # agent names: it was taken from them, and never goes back
    preferred: str = ""  # the customer's own agent; he need not be of the team
    due_at: datetime | None = None  # of its next promise; None: nothing is promised
    minutes: float = 0.0  # until a first answer has left, of somebody who has nothing else to do
    load: Load = ONE  # what it adds to his work
    may_wait: bool = False  # there is a queue: rather that than behind much other work


class Candidate(NamedTuple):
    """One of those who were looked at.

    `why_not` is "" for who could take it: excluded, had_it, not_in_team, certificate, expired, language, topic,
    off_duty, leaves_soon, full, silent, unseen, busy, too_late. `why` is how such a one compares: taken, later,
    fairness, not_own.
    """

    agent: str
    why_not: str
    why: str = ""
    minutes: int = 0  # of other work before he would begin


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    agent: Agent | None
    candidates: tuple[Candidate, ...] = ()  # at most MAX_CANDIDATES of either sort, in the order of choice
    reasons: tuple[Reason, ...] = ()
    waits: bool = False  # nobody has it because it waits in the queue, not because nobody could
    is_late: bool = False  # whoever has it will hardly make the deadline


def assign(
    snapshot: Crowd | Iterable[AgentSnapshot],
    need: Need,
    now: datetime | None = None,
    rules: AssigningRules = _DEFAULTS,
) -> Assignment:
    """Whom to give it to. A topic that nobody free knows is dropped from the need; a certificate never is.

    `now` (aware) None: neither deadlines nor expiries nor silence are looked at.
    """
    crowd = snapshot if isinstance(snapshot, Crowd) else Crowd(snapshot)
    fit = crowd.fit(need.members, need.topic, need.language, need.is_complaint, need.certificates, need.preferred)
    sieve = _Sieve(need, now, rules)
    sieve.through(crowd.people(fit.names))
    able, reasons = sieve.best()
    if not able and fit.topic:
        sieve.through(crowd.people(fit.topic))
        able, reasons = sieve.best()
        if able:
            reasons = (because("topic_relaxed", topic=need.topic), *reasons)
    is_relaxed = any(reason.code == "topic_relaxed" for reason in reasons)
    lasting = [Candidate(name, why) for name, why in fit.refused if not (is_relaxed and why == "topic")]
    refused = [*sieve.refused(), *lasting][:MAX_CANDIDATES]
    if not able:
        return Assignment(agent=None, candidates=tuple(refused), reasons=(_nobody(sieve, fit),))
    return _chosen(able, refused, reasons, need, now, rules)


def _chosen(
    able: list[AgentSnapshot],
    refused: list[Candidate],
    reasons: tuple[Reason, ...],
    need: Need,
    now: datetime | None,
    rules: AssigningRules,
) -> Assignment:
    """The best of those who can, or the queue."""
    first = nsmallest(MAX_CANDIDATES, able, key=_RANK)
    slack = _slack(need, now)
    best = first[0]
    own = next((one for one in able if one.agent.name == need.preferred), None) if need.preferred else None
    chosen = best
    if own is not None and (_makes(own, need, slack) or not _makes(best, need, slack)):
        chosen = own
    if need.may_wait and chosen.expected_minutes * 60 > rules.start_within.total_seconds():
        first = [own, *first][:MAX_CANDIDATES] if own is not None and own not in first else first
        told = [Candidate(one.agent.name, "busy", "", round(one.expected_minutes)) for one in first]
        why = because("all_busy", minutes=round(best.expected_minutes))
        return Assignment(agent=None, candidates=(*told, *refused), reasons=(*reasons, why), waits=True)
    if chosen not in first:
        first = [chosen, *first[: MAX_CANDIDATES - 1]]
    else:
        first = [chosen, *(one for one in first if one is not chosen)]
    told = [_compared(one, chosen, need, slack) for one in first]
    is_late = not _makes(chosen, need, slack)
    if is_late:
        reasons = (*reasons, because("too_late_for_all"))
    return Assignment(
        agent=chosen.agent,
        candidates=(*told, *refused),
        reasons=(*reasons, _why(chosen, own, need)),
        is_late=is_late,
    )


def _slack(need: Need, now: datetime | None) -> float:
    """Minutes until it is due."""
    if now is None or need.due_at is None:
        return _FAR
    return (need.due_at - now).total_seconds() / 60


def _makes(one: AgentSnapshot, need: Need, slack: float) -> bool:
    return one.expected_minutes + need.minutes <= slack


def _compared(one: AgentSnapshot, chosen: AgentSnapshot, need: Need, slack: float) -> Candidate:
    minutes = round(one.expected_minutes)
    name = one.agent.name
    if one is chosen:
        return Candidate(name, "", "taken", minutes)
    if not _makes(one, need, slack) and _makes(chosen, need, slack):
        return Candidate(name, "too_late", "", minutes)
    if one.rank < chosen.rank:
        return Candidate(name, "", "not_own", minutes)
    return Candidate(name, "", "later" if one.expected_minutes > chosen.expected_minutes else "fairness", minutes)


class _Sieve:
    """What passes: presence, room, time. Each agent once, in as few steps as there may be."""

    def __init__(self, need: Need, now: datetime | None, rules: AssigningRules) -> None:
        self._need = need
        self._now = now
        self._rules = rules
        self._able: list[AgentSnapshot] = []
        self._unseen: list[AgentSnapshot] = []  # able; but nothing was heard of them for a while
        self._silent: list[AgentSnapshot] = []
        self._leaving: list[AgentSnapshot] = []
        self._off: list[AgentSnapshot] = []
        self._full: list[AgentSnapshot] = []
        self._barred: list[tuple[AgentSnapshot, str]] = []

    def through(self, people: Sequence[AgentSnapshot]) -> None:
        """Put each where he belongs."""
        need = self._need
        if need.excluded or need.had_it or need.is_complaint or need.certificates:
            people = self._without_barred(people)
        able, off, full, weight = self._able.append, self._off.append, self._full.append, need.load.weight
        if self._now is None:
            for one in people:
                if not one.is_on_duty:
                    off(one)
                elif one.used + weight > one.capacity:
                    full(one)
                else:
                    able(one)
            return
        now, lasts = self._now.timestamp(), need.minutes
        left = need.due_at.timestamp() - now if need.due_at is not None else _FAR
        # Who is doubted gets work that has time: else nobody would find out that he is back.
        doubts_count = left < self._rules.long_time.total_seconds()
        seen_since = now - self._rules.seen_within.total_seconds()
        is_hurried = left < self._rules.hurry_time.total_seconds()
        unseen, silent, leaving = self._unseen.append, self._silent.append, self._leaving.append
        for one in people:
            if not one.is_on_duty:
                off(one)
            elif one.used + weight > one.capacity:
                full(one)
            elif one.leaves_at < now + 60 * (one.expected_minutes + lasts):
                leaving(one)
            elif doubts_count and one.doubted_from < now < one.doubted_to:
                silent(one)
            elif is_hurried and one.seen < seen_since:
                unseen(one)
            else:
                able(one)

    def best(self) -> tuple[list[AgentSnapshot], tuple[Reason, ...]]:
        """Those who come first; who comes after them only counts where they cannot begin at once."""
        if self._unseen and not any(one.is_free for one in self._able):
            self._able += self._unseen
            self._unseen = []
        if self._able:
            return self._able, ()
        if self._leaving and _is_due_before_others_come(self._leaving, self._need):
            self._able, self._leaving = self._leaving, []
            return self._able, (because("leaving_relaxed"),)
        if self._silent:
            self._able, self._silent = self._silent, []
            return self._able, (because("silent_relaxed"),)
        return [], ()

    def _without_barred(self, people: Sequence[AgentSnapshot]) -> Sequence[AgentSnapshot]:
        need, now = self._need, self._now
        if barred := need.excluded | need.had_it:
            out = [one for one in people if one.agent.name in barred]
            self._barred += [(one, "excluded" if one.agent.name in need.excluded else "had_it") for one in out]
            people = [one for one in people if one.agent.name not in barred] if out else people
        wanted = {*need.certificates, *(("complaints",) if need.is_complaint else ())}
        if now is not None and wanted:
            ended = [one for one in people if one.expiry and any(one.has_expired(name, now) for name in wanted)]
            self._barred += [(one, "expired") for one in ended]
            people = [one for one in people if one not in ended] if ended else people
        return people

    def refused(self) -> list[Candidate]:
        """A few of each sort, what lasts before what passes."""
        told = [Candidate(one.agent.name, why) for one, why in self._barred[:MAX_CANDIDATES]]
        for why, some in self._passing():
            told += [Candidate(one.agent.name, why, "", round(one.expected_minutes)) for one in some[:MAX_CANDIDATES]]
        return told

    def _passing(self) -> tuple[tuple[str, list[AgentSnapshot]], ...]:
        return (
            ("leaves_soon", self._leaving),
            ("silent", self._silent),
            ("unseen", self._unseen),
            ("full", self._full),
            ("off_duty", self._off),
        )

    def counts(self) -> dict[str, int]:
        """Why not -> how many."""
        found = Counter(why for _, why in self._barred)
        found.update({why: len(some) for why, some in self._passing() if some})
        return dict(found)


def _is_due_before_others_come(leaving: Sequence[AgentSnapshot], need: Need) -> bool:
    """Whether it cannot wait for the next who come: somebody should at least begin before he goes."""
    return need.due_at is None or need.due_at.timestamp() <= max(one.leaves_at for one in leaving) + SOON


#: Seconds after a shift within which something falls due that nobody can be expected to begin after it.
SOON = 3600.0


def _lasting(fit: Fit, *, is_relaxed: bool) -> list[Candidate]:
    return [Candidate(name, why) for name, why in fit.refused if not (is_relaxed and why == "topic")]


def _why(chosen: AgentSnapshot, own: AgentSnapshot | None, need: Need) -> Reason:
    name = chosen.agent.name
    if name == need.preferred:
        return because("preferred", agent=name)
    if own is not None:
        return because("own_too_late", agent=name, own=own.agent.name, minutes=round(own.expected_minutes))
    return because("least_loaded", agent=name, open_tickets=chosen.open_tickets, minutes=round(chosen.expected_minutes))


def _nobody(sieve: _Sieve, fit: Fit) -> Reason:
    counts = sieve.counts()
    for why, count in fit.counts.items():
        if why != "not_in_team":
            counts[why] = counts.get(why, 0) + count
    return because(
        "nobody", why=", ".join(f"{code} {count}" for code, count in sorted(counts.items())) or "the team is empty"
    )


def with_more(one: AgentSnapshot, need: Need, now: datetime) -> AgentSnapshot:
    """As he stands once he has been given it."""
    return replace(
        one,
        open_tickets=one.open_tickets + 1,
        weight=one.used + need.load.weight,
        expected_minutes=one.expected_minutes + need.load.minutes,
        share_minutes=one.share_minutes + need.load.minutes,
        last_assigned_at=now,
        silent_since=one.silent_since or now,
    )
