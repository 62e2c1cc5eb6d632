"""The strip on top of the playground: where each message stands in the queue, told by the event log; pure.

accepted -> claimed -> assigned -> answered -> delivered. A customer's message is a dot from its acceptance until the
answer has reached him. What an agent writes is no dot of its own for long: it moves the dots of its ticket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

MAX_DOTS = 40  # the oldest finished one goes first
MAX_TICKETS = 1_000  # whose agent is remembered


class Stage(StrEnum):
    """A station of the strip; the order is the order of the stations."""

    ACCEPTED = "accepted"
    CLAIMED = "claimed"
    ASSIGNED = "assigned"
    ANSWERED = "answered"
    DELIVERED = "delivered"


ORDER = {stage: position for position, stage in enumerate(Stage)}

#: Events that say which ticket a message belongs to.
TAKEN = frozenset({"ticket_opened", "message_added", "call_joined"})
#: Events about a message that is no question: a copy, a machine's, an agent's note.
SET_ASIDE = frozenset(
    {"message_copied", "message_ignored", "message_parked", "report_received"}
    | {"note_recorded", "reply_held", "held_released", "junk_seen", "complaint_received"}
)
#: An agent's word about his ticket that carries no answer.
BY_AGENTS = frozenset({"copies_changed", "reply_to_confirmed", "reply_to_refused", "marked_not_spam", "ticket_joined"})
ANSWERED = frozenset({"answer_queued", "call_answered"})
#: Promises that are met by words which have reached the customer; a resolution, for one, is met without.
MET_BY_WORDS = frozenset({"first_response", "next_response", "callback"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """One message on its way."""

    message: int
    channel: str
    stage: Stage
    accepted_at: datetime
    ticket: int | None = None
    agent: str = ""
    delivered_at: datetime | None = None  # stops its clock


class Strip:
    """The dots, as of the events seen so far. Feeding it is the only way to change it."""

    def __init__(self) -> None:
        self._dots: dict[int, Dot] = {}
        self._agents: dict[int, str] = {}  # ticket -> who has it

    @property
    def dots(self) -> list[Dot]:
        """Oldest first."""
        return [*self._dots.values()]

    def feed(self, events: Iterable[Mapping[str, Any]]) -> bool:
        """Take in events, oldest first; True if a dot came, moved or went."""
        before = dict(self._dots)
        for event in events:
            self._take(event)
        while len(self._dots) > MAX_DOTS:
            done = (number for number, dot in self._dots.items() if dot.delivered_at)
            self._dots.pop(next(done, next(iter(self._dots))))
        while len(self._agents) > MAX_TICKETS:
            self._agents.pop(next(iter(self._agents)))
        return before != self._dots

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, ticket = event["kind"], event.get("ticket")
        message = event.get("message") or 0  # ids begin at 1
        if kind == "message_accepted":
            channel = str(event.get("data", {}).get("channel", ""))
            self._dots[message] = Dot(message=message, channel=channel, stage=Stage.ACCEPTED, accepted_at=event["at"])
        elif kind in SET_ASIDE or (kind == "call_event_recorded" and (ticket is not None or _is_ours(event))):
            self._set_aside(message)  # a call is one dot: its first ring
            self._set_aside(event.get("data", {}).get("asked_by") or 0)  # the word that made a note of a held reply
        elif kind in BY_AGENTS or _is_told(kind, event["data"]):
            if event.get("agent"):
                self._set_aside(message)
        elif kind in ("ticket_closed", "marked_spam"):
            self._closed(message, ticket)
        elif kind == "ticket_merged":
            self._merged(ticket, event["data"].get("into"))
        elif kind in TAKEN:
            self._taken(message, ticket)
        elif kind == "assigned" and ticket is not None:
            self._agents[ticket] = str(event.get("agent") or "")
            if event["data"].get("by"):
                self._set_aside(message)
            self._move_ticket(ticket, Stage.ASSIGNED, agent=self._agents[ticket])
        elif kind in ANSWERED:
            if self._is_answer(message, ticket):
                self._dots.pop(message)
            self._move_ticket(ticket, Stage.ANSWERED)
        elif _has_reached_the_customer(kind, event["data"]):
            self._move_ticket(ticket, Stage.DELIVERED, delivered_at=event["at"])

    def _set_aside(self, message: int) -> None:
        """It goes, unless somebody works on it: a mail that was parked may have got its ticket."""
        dot = self._dots.get(message)
        if dot is not None and dot.ticket is None:
            self._dots.pop(message)

    def _closed(self, message: int, ticket: int | None) -> None:
        """What was closed without an answer is nobody's work any more."""
        self._set_aside(message)
        for number in [n for n, dot in self._dots.items() if dot.ticket == ticket and not dot.delivered_at]:
            self._dots.pop(number)

    def _merged(self, ticket: int | None, into: int | None) -> None:
        """What was asked there is asked here now."""
        agent = self._agents.get(into or 0, "")
        for number in [n for n, dot in self._dots.items() if dot.ticket == ticket and ticket is not None]:
            self._move(number, Stage.ASSIGNED, ticket=into, agent=agent)

    def _taken(self, message: int, ticket: int | None) -> None:
        if message not in self._dots:
            return
        agent = self._agents.get(ticket or 0, "")
        # What is added to somebody's ticket is his at once.
        self._move(message, Stage.ASSIGNED if agent else Stage.CLAIMED, ticket=ticket, agent=agent)

    def _is_answer(self, message: int, ticket: int | None) -> bool:
        """Whether a message is the answer itself: an answered call is question and answer in one."""
        dot = self._dots.get(message)
        return dot is not None and (dot.ticket is None or dot.ticket != ticket)

    def _move_ticket(self, ticket: int | None, stage: Stage, **changes: Any) -> None:
        for number, dot in self._dots.items():
            if ticket is not None and dot.ticket == ticket and not dot.delivered_at:
                self._move(number, stage, **changes)

    def _move(self, number: int, stage: Stage, **changes: Any) -> None:
        dot = self._dots[number]
        # Never back: events of one commit may tell of the assignment before the opening.
        forward = max(dot.stage, stage, key=ORDER.__getitem__)
        self._dots[number] = replace(dot, stage=forward, **changes)


def _is_ours(event: Mapping[str, Any]) -> bool:
    """An outgoing call is nobody's question; answered, it moves the missed one that it answers."""
    return event["data"].get("inbound") is False


def _is_told(kind: str, data: Mapping[str, Any]) -> bool:
    """The agent was written what became of his mail."""
    return kind == "delivered" and data.get("purpose") == "told"


def _has_reached_the_customer(kind: str, data: Mapping[str, Any]) -> bool:
    """What is sent to agents is delivered, too, and moves nothing."""
    if kind == "delivered":
        return data.get("purpose") == "answer"
    return kind in ("first_response_recorded", "target_met") and data.get("target") in MET_BY_WORDS
