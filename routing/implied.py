"""Implied complaints: what a customer does not say, but what has happened to him does.

He asks for the third time, he writes again while we are late, what we promised was not kept, a matter that we called
done comes back: then a ticket is a complaint by weak evidence. A certified colleague gets it, with the promises that a
complaint has; the reasons are recorded, nothing is said to the customer by machine, and an agent can say otherwise
(`!kind`). Words count as well: a customer may begin to complain in the middle of a ticket.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from routing.desk import Decision, Desk, Incoming, reason_data
from routing.evidence import Strength
from routing.reasons import Reason, because
from routing.reclassifying import give_to_certified, promise_as
from routing.records import Target
from routing.rules import classify
from routing.words import Kind, Outcome, TargetKind, TicketState

ONE_ASKING = timedelta(hours=1)  # what is written within that is asked once
ASKED_AGAIN, ASKED_OFTEN = 2, 3  # times without an answer
ENOUGH = 2  # points
_WORDS = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What has happened to a customer by the time he writes again."""

    at: datetime  # when he wrote
    asked_at: tuple[datetime, ...] = ()  # his messages since anybody last answered, this one among them
    targets: tuple[Target, ...] = ()  # what is still owed him
    was_closed: bool = False  # we had called it done
    kind: Kind = Kind.CONSULTATION  # what this message is by its words
    strength: Strength = Strength.NONE


def implied(facts: Facts) -> tuple[Reason, ...]:
    """Why it is a complaint now; () if it is none. Two points: what weighs less than that needs a second reason."""
    if facts.kind is Kind.FEEDBACK:
        return ()  # whoever thanks us does not complain
    found: list[tuple[int, Reason]] = []
    if facts.strength is not Strength.NONE:
        found.append((2, because("implied_words")))
    late = [t for t in facts.targets if t.is_open and t.paused_at is None and t.due_at <= facts.at]
    if any(t.kind in _WORDS for t in late):
        found.append((2, because("implied_late")))
    if any(t.kind not in _WORDS for t in late):
        found.append((2, because("implied_promise")))
    times = _askings(facts.asked_at)
    if times >= ASKED_AGAIN:
        found.append((2 if times >= ASKED_OFTEN else 1, because("implied_asked", times=times)))
    if facts.was_closed:
        found.append((1, because("implied_reopened")))
    if sum(points for points, _ in found) < ENOUGH:
        return ()
    return tuple(reason for _, reason in found)


def _askings(times: Iterable[datetime]) -> int:
    """How often he asked: lines that follow one another closely are one question."""
    count = 0
    last: datetime | None = None
    for at in sorted(times):
        if last is None or at - last >= ONE_ASKING:
            count += 1
            last = at
    return count


def note_implied(incoming: Incoming, desk: Desk, decision: Decision) -> None:
    """Let the ticket that a message was added to be a complaint, where that is implied."""
    ticket = desk.tickets.get(decision.ticket or 0)
    if ticket is None:
        return
    desk.asked[ticket.id] = (*desk.asked.get(ticket.id, ()), incoming.received_at)
    if decision.outcome is not Outcome.ADDED or ticket.kind is Kind.COMPLAINT:
        return
    if incoming.message.auto_submitted or incoming.failure or ticket.state is TicketState.CLOSED:
        return
    about = classify(incoming.message, desk.policy, desk.channel(incoming.channel))
    answered = max((t.met_at for t in desk.targets.get(ticket.id, ()) if t.met_at is not None), default=None)
    asked = [at for at in desk.asked[ticket.id] if answered is None or at > answered]
    owed = [t for t in desk.targets.get(ticket.id, ()) if t.started_at < incoming.received_at]
    reasons = implied(
        Facts(
            at=incoming.received_at,
            asked_at=tuple(asked),
            targets=tuple(owed),
            was_closed=_was_closed(incoming, desk),
            kind=about.kind,
            strength=about.complaint_strength,
        )
    )
    if not reasons:
        return
    desk.put_ticket(replace(ticket, kind=Kind.COMPLAINT, updated_at=desk.now))
    desk.tell(
        "complaint_implied",
        ticket=ticket.id,
        message=incoming.id,
        was_kind=ticket.kind.value,
        reasons=reason_data(reasons),
    )
    promise_as(incoming, desk, desk.tickets[ticket.id])
    give_to_certified(incoming, desk, desk.tickets[ticket.id], reasons=reasons)


def _was_closed(incoming: Incoming, desk: Desk) -> bool:
    """Whether this message opened a ticket again."""
    added = (e for e in desk.changes.events if e.kind == "message_added" and e.message == incoming.id)
    return any(bool(e.data.get("reopened")) for e in added)
