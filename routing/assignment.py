"""Assignment: which agent takes a ticket, from a snapshot of who is there, certified and how loaded.

The customer's own agent first; else the one with the least to do, then the one whose last assignment lies longest
back, then by name, so that the same snapshot always gives the same answer. Nobody: the ticket waits, and its team's
supervisor is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from routing.policy import Agent
from routing.reasons import Reason, because

MAX_CANDIDATES = 10  # written into a decision, of those who could and of those who could not
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentSnapshot:
    """One agent as he stands at this moment."""

    agent: Agent
    is_on_duty: bool
    open_tickets: int = 0
    expected_minutes: float = 0.0  # of work still to do on them
    last_assigned_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What the ticket asks of an agent."""

    members: frozenset[str]  # agent names of the team
    topic: str = ""  # "" any
    language: str = ""  # "" any
    is_complaint: bool = False  # only a certified handler
    excluded: frozenset[str] = frozenset()  # agent names: whom the complaint is about, who declined
    preferred: str = ""  # the customer's own agent; he need not be of the team


class Candidate(NamedTuple):
    """`why_not` is "" for who could take it: excluded, not_in_team, certificate, language, topic, off_duty, full."""

    agent: str
    why_not: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    agent: Agent | None
    candidates: tuple[Candidate, ...] = ()  # at most MAX_CANDIDATES of either sort, in the order of choice
    reasons: tuple[Reason, ...] = ()


def assign(snapshot: Iterable[AgentSnapshot], need: Need) -> Assignment:
    """Whom to give it to. A topic that nobody free knows is dropped from the need; a certificate never is."""
    able: list[AgentSnapshot] = []
    other_topic: list[AgentSnapshot] = []
    refused: list[Candidate] = []
    for one in snapshot:
        why_not = _why_not(one, need)
        if not why_not:
            able.append(one)
            continue
        refused.append(Candidate(one.agent.name, why_not))
        if why_not == "topic":
            other_topic.append(one)
    reasons: tuple[Reason, ...] = ()
    if not able and other_topic:
        able = other_topic
        refused = [candidate for candidate in refused if candidate.why_not != "topic"]
        reasons = (because("topic_relaxed", topic=need.topic),)
    if not able:
        return Assignment(agent=None, candidates=_shown((), refused), reasons=(_nobody(refused),))
    able.sort(key=_order)
    chosen = next((one for one in able if one.agent.name == need.preferred), able[0])
    return Assignment(agent=chosen.agent, candidates=_shown(able, refused), reasons=(*reasons, _why(chosen, need)))


def _why_not(one: AgentSnapshot, need: Need) -> str:
    """Why this agent cannot take it, "" if he can; what lasts is asked before what passes."""
    agent = one.agent
    name = agent.name
    if name in need.excluded:
        return "excluded"
    if name not in need.members and name != need.preferred:
        return "not_in_team"
    if need.is_complaint and not agent.complaints:
        return "certificate"
    if need.language and need.language not in agent.languages:
        return "language"
    if not one.is_on_duty:
        return "off_duty"
    if one.open_tickets >= agent.capacity:
        return "full"
    # Last, so that everybody who fails by the topic alone could take it if nobody else can.
    if need.topic and agent.topics and need.topic not in agent.topics and name != need.preferred:
        return "topic"
    return ""


def _order(one: AgentSnapshot) -> tuple[float, int, datetime, str]:
    return (one.expected_minutes, one.open_tickets, one.last_assigned_at or _NEVER, one.agent.name)


def _why(chosen: AgentSnapshot, need: Need) -> Reason:
    if chosen.agent.name == need.preferred:
        return because("preferred", agent=chosen.agent.name)
    return because(
        "least_loaded",
        agent=chosen.agent.name,
        open_tickets=chosen.open_tickets,
        minutes=round(chosen.expected_minutes),
    )


def _shown(able: Iterable[AgentSnapshot], refused: list[Candidate]) -> tuple[Candidate, ...]:
    """Both ends of the choice, bounded: a decision of a desk with 2,000 agents is still a short record."""
    could = [Candidate(one.agent.name, "") for one, _ in zip(able, range(MAX_CANDIDATES), strict=False)]
    # Of the team first: that somebody of another team cannot take it tells nothing.
    near = [candidate for candidate in refused if candidate.why_not != "not_in_team"]
    return (*could, *near[:MAX_CANDIDATES])


def _nobody(refused: list[Candidate]) -> Reason:
    counts = Counter(candidate.why_not for candidate in refused if candidate.why_not != "not_in_team")
    why = ", ".join(f"{code} {count}" for code, count in sorted(counts.items())) or "the team is empty"
    return because("nobody", why=why)
