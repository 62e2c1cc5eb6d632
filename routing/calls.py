"""Calls: what became of one, folded from its events in any order.

An exchange sends its events over several connections, repeats them and lets them overtake one another. Each
fact is therefore the least of what the events say of it, so that every order, with any repetitions, ends in the
same facts; a newCall that comes after its hangup reopens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from channels.message import Call, CallEvent

#: From the start of one ring to the start of the next, by country (POLICY.md, Clocks: three of them).
RING_CYCLES: Mapping[str, timedelta] = {
    "CN": timedelta(seconds=5),
    "HK": timedelta(seconds=4),
    "TW": timedelta(seconds=3),
    "US": timedelta(seconds=6),
    "GB": timedelta(seconds=3),
    "SG": timedelta(seconds=3),
    "JP": timedelta(seconds=3),
    "DE": timedelta(seconds=5),
    "FR": timedelta(seconds=5),
}
DEFAULT_RING_CYCLE = timedelta(seconds=5)  # one second of tone and four of silence, the most common one

#: Which event describes a call best: later ones may name whom it was handed on to.
_RANK = {CallEvent.NEW: 0, CallEvent.ANSWER: 1, CallEvent.HANGUP: 2}
_FORWARDED = "forwarded"
_BUSY = frozenset({"busy", "congestion"})
_CANCELLED = frozenset({"cancel", "cancelled", "originatorcancel"})
_UNREACHABLE = frozenset({"notfound"})


class CallOutcome(StrEnum):
    """What became of a call."""

    RINGING = "ringing"  # nobody has answered and nobody has hung up; a queue's music counts as ringing
    ANSWERED = "answered"  # a person did; stays so when it is over
    MISSED = "missed"  # over, and no person of the called side was on the line
    ABANDONED = "abandoned"  # missed, because the caller gave up
    BUSY = "busy"  # missed, because every line was taken
    UNREACHABLE = "unreachable"  # there is no such number, or its telephone is off


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFacts:
    """What is known of one call. Times are aware UTC, None while the event is not known."""

    call_id: str
    is_inbound: bool
    from_number: str  # "" if withheld
    to_number: str
    described_by: CallEvent  # the event the three above are taken from …
    described_at: datetime  # … and its time
    rang_at: datetime | None = None  # the caller first heard ringing
    rung_users: tuple[str, ...] = ()  # whose telephones rang, sorted
    first_human_answer_at: datetime | None = None
    answered_by: tuple[str, ...] = ()  # as the exchange names who answered first
    machine_answer_at: datetime | None = None  # a queue, a menu or a voicemail took it
    hung_up_at: datetime | None = None
    cause: str = ""  # of the hangup, as sent

    @property
    def customer_number(self) -> str:
        """The number of the party that is not ours."""
        return self.from_number if self.is_inbound else self.to_number

    @property
    def is_over(self) -> bool:
        """True once somebody has hung up; a call that was forwarded goes on elsewhere, and is over here."""
        return self.hung_up_at is not None

    @property
    def rang_for(self) -> timedelta | None:
        """How long the caller heard ringing before a person answered, or until the end.

        None while that is unknown: no newCall, or one that is told later than the answer (never negative).
        """
        until = self.first_human_answer_at or self.hung_up_at
        if self.rang_at is None or until is None or until < self.rang_at:
            return None
        return until - self.rang_at


def apply(
    facts: CallFacts | None, call: Call, received_at: datetime, machine_numbers: Set[str] = frozenset()
) -> CallFacts:
    """The facts with one more event. `None` for the first one that is heard of a call.

    `machine_numbers` are users and numbers that answer without being human, as the exchange names them and in
    canonical form. Raises ValueError for an event of another call.
    """
    found = _described(facts, call, received_at)
    if call.event is CallEvent.NEW:
        rung = tuple(sorted({*found.rung_users, *call.users}))
        return replace(found, rang_at=_earlier(found.rang_at, received_at), rung_users=rung)
    if call.event is CallEvent.HANGUP:
        return _hung_up(found, call, received_at)
    if is_machine(call, machine_numbers):
        return replace(found, machine_answer_at=_earlier(found.machine_answer_at, received_at))
    first = _human_key(found)
    if first is not None and first <= (received_at, call.users):
        return found
    return replace(found, first_human_answer_at=received_at, answered_by=call.users)


def fold(events: Iterable[tuple[Call, datetime]], machine_numbers: Set[str] = frozenset()) -> CallFacts | None:
    """The facts of one call from its events and their times, in any order; None if there are none."""
    facts: CallFacts | None = None
    for call, received_at in events:
        facts = apply(facts, call, received_at, machine_numbers)
    return facts


def is_machine(call: Call, machine_numbers: Set[str]) -> bool:
    """True if who answered is a queue, a menu or a voicemail."""
    known = {name.casefold() for name in machine_numbers}
    return any(user.casefold() in known for user in call.users) or (
        call.is_inbound and not call.users and call.to_number.casefold() in known
    )


def outcome(facts: CallFacts) -> CallOutcome:
    """What became of a call, as far as it is known."""
    if facts.first_human_answer_at is not None:
        return CallOutcome.ANSWERED
    if not facts.is_over:
        return CallOutcome.RINGING
    cause = facts.cause.casefold()
    if cause in _CANCELLED:
        return CallOutcome.ABANDONED
    if cause in _BUSY:
        return CallOutcome.BUSY
    if cause in _UNREACHABLE:
        return CallOutcome.UNREACHABLE
    return CallOutcome.MISSED


def needs_callback(facts: CallFacts) -> bool:
    """True for an incoming call that is over without a person having answered, whyever."""
    return facts.is_inbound and facts.is_over and facts.first_human_answer_at is None


def ring_cycle(region: str, override: timedelta | None = None) -> timedelta:
    """From the start of one ring to the start of the next, in a country (ISO 3166-1)."""
    return override or RING_CYCLES.get(region.upper(), DEFAULT_RING_CYCLE)


def ring_deadline(rang_at: datetime, rings: int, cycle: timedelta) -> datetime:
    """When the ring after the last permitted one begins: rings count from when the caller first hears one."""
    return rang_at + rings * cycle


def answered_within(facts: CallFacts, rings: int, cycle: timedelta) -> bool | None:
    """Whether a person answered before the ring after the last permitted one (POLICY.md, Clocks).

    None when that cannot be told: the call still rings, or how long it rang is unknown.
    """
    if facts.first_human_answer_at is None:
        return False if facts.is_over else None
    if facts.rang_for is None or facts.rang_at is None:
        return None
    return facts.first_human_answer_at < ring_deadline(facts.rang_at, rings, cycle)


def _described(facts: CallFacts | None, call: Call, at: datetime) -> CallFacts:
    """The facts with direction and numbers from whichever event describes the call best."""
    if facts is None:
        return CallFacts(
            call_id=call.call_id,
            is_inbound=call.is_inbound,
            from_number=call.from_number,
            to_number=call.to_number,
            described_by=call.event,
            described_at=at,
        )
    if facts.call_id != call.call_id:
        raise ValueError(f"an event of call {call.call_id!r} is none of {facts.call_id!r}")
    known = _description(facts.described_by, facts.described_at, facts)
    if known <= _description(call.event, at, call):
        return facts
    return replace(
        facts,
        is_inbound=call.is_inbound,
        from_number=call.from_number,
        to_number=call.to_number,
        described_by=call.event,
        described_at=at,
    )


def _description(event: CallEvent, at: datetime, source: CallFacts | Call) -> tuple[int, datetime, bool, str, str]:
    """Orders what events say of a call; the least is believed."""
    return (_RANK[event], at, source.is_inbound, source.from_number, source.to_number)


def _hung_up(facts: CallFacts, call: Call, at: datetime) -> CallFacts:
    """The first hangup counts, but any other before one that says the call was forwarded."""
    if facts.hung_up_at is not None:
        known = (facts.cause.casefold() == _FORWARDED, facts.hung_up_at, facts.cause)
        if known <= (call.cause.casefold() == _FORWARDED, at, call.cause):
            return facts
    return replace(facts, hung_up_at=at, cause=call.cause)


def _human_key(facts: CallFacts) -> tuple[datetime, tuple[str, ...]] | None:
    """Orders answers by people: the earliest counts, of two at one moment the lesser name."""
    if facts.first_human_answer_at is None:
        return None
    return (facts.first_human_answer_at, facts.answered_by)


def _earlier(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else min(known, at)
