"""Enrolled: how far an agent's enrolment has come, from what his mails have shown so far. Pure.

Nothing that is missing is made up for: what counts is what the configuration names, and no evidence is said as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from channels.message import Scheme
from routing.policy import Agent
from routing.programs import UNNAMED, Device, device_of
from routing.records import Enrolment
from routing.words import Evidence

NONE = "none"  # evidence of a mail that carried none


class Stage(StrEnum):
    """What is to be said of an agent."""

    UNSEEN = "unseen"  # no mail of his has shown anything, with or without evidence
    PROVEN = "proven"  # his mails carry what is configured
    OTHER = "other"  # they carry evidence of another kind
    UNPROBED = "unprobed"  # they carry what is configured, and no probe has shown that it means anything
    BARE = "bare"  # they carry none
    BY_TOKEN = "by_token"  # noqa: S105  # the configuration asks for none


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolled:
    """One agent, as far as his own mails have shown him."""

    agent: str
    stage: Stage
    seen: tuple[str, ...]  # kinds that his mails carry, whether they count or not
    counted: tuple[str, ...]  # those of them that count for him
    configured: tuple[str, ...]
    missing: tuple[str, ...]  # devices from which nothing that counts has come: "desktop", "phone"
    programs: tuple[str, ...]
    rows: tuple[Enrolment, ...]  # from his own addresses, the latest first
    elsewhere: tuple[Enrolment, ...]  # from addresses that are not his, the latest first

    @property
    def other_addresses(self) -> tuple[str, ...]:
        """From where somebody answered his welcome, without the scheme."""
        return tuple(dict.fromkeys(row.address.partition(":")[2] for row in self.elsewhere))


def enrolled(agent: Agent, rows: Iterable[Enrolment], is_stripped: Callable[[str], bool]) -> Enrolled:
    """Where he stands. `is_stripped`: whether a channel's probe was passed (`probing.passed`)."""
    mine = sorted((r for r in rows if r.agent == agent.name), key=lambda r: r.last_seen_at, reverse=True)
    own = {f"{Scheme.MAIL.value}:{address}" for address in agent.addresses}
    his = tuple(r for r in mine if r.address in own)
    counting = [r for r in his if _counts(r, agent, is_stripped)]
    seen = _kinds(his)
    return Enrolled(
        agent=agent.name,
        stage=_stage(agent, his, counting, seen),
        seen=seen,
        counted=_kinds(counting),
        configured=tuple(sorted(kind.value for kind in agent.evidence)),
        missing=_missing(counting),
        programs=tuple(dict.fromkeys(name for r in his for name in programs_in(r))),
        rows=his,
        elsewhere=tuple(r for r in mine if r.address not in own),
    )


def programs_in(row: Enrolment) -> list[str]:
    """The mail programs that a row names."""
    return [name for name in row.client.split("; ") if name]


def _counts(row: Enrolment, agent: Agent, is_stripped: Callable[[str], bool]) -> bool:
    if row.evidence not in {kind.value for kind in agent.evidence}:
        return False
    return row.evidence != Evidence.EXCHANGE_INTERNAL or is_stripped(row.channel)


def _kinds(rows: Sequence[Enrolment]) -> tuple[str, ...]:
    return tuple(sorted({row.evidence for row in rows} - {NONE}))


def _stage(agent: Agent, his: Sequence[Enrolment], counting: Sequence[Enrolment], seen: tuple[str, ...]) -> Stage:
    if Evidence.TOKEN_ONLY in agent.evidence:
        return Stage.BY_TOKEN
    if counting:
        return Stage.PROVEN
    if not his:
        return Stage.UNSEEN
    if Evidence.EXCHANGE_INTERNAL in agent.evidence and Evidence.EXCHANGE_INTERNAL.value in seen:
        return Stage.UNPROBED
    return Stage.OTHER if seen else Stage.BARE


def _missing(counting: Sequence[Enrolment]) -> tuple[str, ...]:
    """The devices he has not shown. A program that does not name itself may be either of them."""
    names = {name for row in counting for name in programs_in(row)}
    missing = [d.value for d in (Device.DESKTOP, Device.PHONE) if d not in {device_of(name) for name in names}]
    return () if UNNAMED in names and len(missing) == 1 else tuple(missing)
