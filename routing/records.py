"""The records of the desk as frozen values: what deciding reads and writes. The store keeps them, row for row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from routing.words import Kind, NoticeKind, Purpose, TargetKind, TicketState


def as_row(record: Any) -> dict[str, Any]:
    """The fields of a flat record by name: `dataclasses.asdict` without its deep copies, five times as fast."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One fact. `kind` is a past tense listed in docs/events.md; people are named by id, never by value."""

    at: datetime
    kind: str
    ticket: int | None = None
    message: int | None = None
    customer: int | None = None
    agent: str | None = None
    outbox: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None  # given by the store


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """One matter of one customer."""

    id: int  # the #N that people see; never authority
    state: TicketState
    kind: Kind
    topic: str  # key of the taxonomy, "" when nothing could be told
    is_urgent: bool
    channel: str
    medium: str
    customer: int
    contact: str  # "mailto:…": where the answer goes
    contact_name: str
    standing: str  # routing.words.Standing of the sender who opened it
    subject: str  # frozen at opening
    language: str
    team: str
    agent: str | None
    opened_by: int  # message
    opened_at: datetime  # when the source took that message in
    updated_at: datetime
    closed_at: datetime | None = None
    closed_reason: str | None = None
    follows: int | None = None  # the older ticket this one points at
    token_serial: int = 0
    assigned_at: datetime | None = None  # when its agent got it
    answered_by: str | None = None  # agent of the latest answer; None where nobody is known to have written it
    answered_at: datetime | None = None  # the source's time of that answer
    waits_until: datetime | None = None  # the customer owes us something until then
    origin: str = ""  # routing.words.Origin
    matter: int | None = None  # the first ticket of the same matter, on whatever channel; None: its own
    statute: str | None = None  # the filing it is tied to, "CN/filing/2026-11"
    statutory_at: datetime | None = None  # when that filing is due
    accused: str | None = None  # agent whom the complaint is about: he never gets it, and does not see it


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One promise about one ticket. Open until met or withdrawn; a breach does not end it."""

    ticket: int
    kind: TargetKind
    ordinal: int  # 1 for the first of its kind on the ticket
    policy_key: str  # "first_response.email"
    budget: str  # as the policy writes it
    calendar: str
    calendar_version: str
    policy_version: str
    started_at: datetime
    due_at: datetime
    warn_50_at: datetime | None
    warn_80_at: datetime | None
    supervisor_at: datetime | None
    next_at: datetime | None  # when the watcher must look; None when there is nothing left to tell
    answered_at: datetime | None = None  # the source's time of the act that met it
    met_at: datetime | None = None  # when that act had reached the customer
    breached_at: datetime | None = None
    withdrawn_at: datetime | None = None
    rescue_at: datetime | None = None  # without a sign of life by then somebody else gets the ticket
    manager_at: datetime | None = None  # when the supervisors' own superior hears of it
    paused_at: datetime | None = None  # since then its clock stands: the customer owes something

    @property
    def is_open(self) -> bool:
        return self.met_at is None and self.withdrawn_at is None

    def notices(self) -> list[tuple[datetime, NoticeKind]]:
        """What is to be told about it, in order of time."""
        times = [
            (self.warn_50_at, NoticeKind.WARN_50),
            (self.warn_80_at, NoticeKind.WARN_80),
            (self.due_at, NoticeKind.BREACH),
            (self.supervisor_at, NoticeKind.SUPERVISOR),
            (self.manager_at, NoticeKind.MANAGER),
        ]
        return sorted(((at, kind) for at, kind in times if at is not None), key=lambda pair: pair[0])

    def next_after(self, moment: datetime) -> datetime | None:
        """When there is something to tell after a moment; None when all has been told."""
        return next((at for at, _ in self.notices() if at > moment), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Customer:
    id: int
    name: str
    language: str
    created_at: datetime
    agent: str | None = None  # who knows him
    grade: str = ""  # customer class of the policy; "" for everybody's


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """One address or number of a customer, with where it came from."""

    address: str  # "mailto:wang@example.com"
    customer: int
    name: str
    source: str
    first_seen_at: datetime
    is_verified: bool = False
    reply_to: str | None = None  # where he asks for answers, if not to `address`: "mailto:…"
    reply_to_state: str | None = None  # asked | confirmed | refused
    spam_mark: str | None = None  # an agent's word on this sender: spam | spam_unproven | not_spam
    complained_at: datetime | None = None  # he reported a mail of ours as abuse


@dataclass(frozen=True, kw_only=True, slots=True)
class Participant:
    """Somebody beside the customer who belongs to a ticket, or was named in it."""

    ticket: int
    address: str  # "mailto:…"
    name: str
    role: str  # cc: gets every answer | listed: named in a mail, gets nothing | removed: an agent took him out
    source: str  # mail | agent
    added_at: datetime
    added_by: str | None = None  # agent


@dataclass(frozen=True, kw_only=True, slots=True)
class NewOutbox:
    """Something to send, to one recipient."""

    ticket: int | None
    source: int | None  # the message that caused it
    channel: str
    address: str  # "mailto:…"
    purpose: Purpose
    agent: str | None  # author of an answer, addressee of the rest
    recipe: Mapping[str, Any]  # what to compose it from; ids, never words of people
    mail_id: str = ""  # the stable Message-ID
    answered_at: datetime | None = None  # the source's time of the agent's act
    held_reason: str | None = None  # not None: it waits for a person
    not_before: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredCall:
    """A telephone call so far."""

    channel: str
    call_id: str
    ticket: int | None
    facts: str  # JSON of routing.calls.CallFacts
    next_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What an agent asked for and must confirm, or is asked about, before anything is done."""

    id: int
    agent: str  # who must answer it
    kind: str  # routing.words.QuestionKind
    message: int  # the mail that asked for it
    data: Mapping[str, Any]  # what will be done
    asked_at: datetime
    expires_at: datetime
    ticket: int | None = None
    answered_at: datetime | None = None
    answer: str | None = None  # "ok" | "no" | "lapsed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reminder:
    """Something to be done at a moment that is no promise to a customer."""

    at: datetime
    kind: str  # routing.words.ReminderKind
    ticket: int | None = None
    agent: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None  # given by the store


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlay:
    """What a supervisor has said on top of the file."""

    id: int
    kind: str  # "holiday" | "text"
    key: str  # "TW/2026-11-24", "ack.received"
    value: Mapping[str, Any]
    agent: str  # who said it
    at: datetime
    language: str = ""
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A document that an agent says has come."""

    ticket: int
    item: str  # as the agent names it
    agent: str
    message: int  # the mail that says so
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """What an agent says a message really was about."""

    message: int
    field: str  # "topic" | "kind" | "urgent"
    ticket: int
    was: str
    became: str
    agent: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolment:
    """What mails of an agent have shown, from one address by one channel."""

    agent: str
    address: str  # "mailto:…": one of his, or one from which somebody answered his welcome
    channel: str
    evidence: str  # routing.words.Evidence, or "none"
    client: str  # the mail programs, "; " between them, the latest last
    first_seen_at: datetime
    last_seen_at: datetime
    message: int | None = None  # the last one that was noted


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A mail that we sent ourselves as an outsider, with a header that our own server is to take out."""

    channel: str
    kind: str  # routing.words.Evidence that hangs on it
    nonce: str
    sent_at: datetime
    seen_at: datetime | None = None  # when one last came in
    result: str | None = None  # "stripped" | "kept"


@dataclass(frozen=True, kw_only=True, slots=True)
class Presence:
    """Whether an agent is at work, as he or his supervisor says."""

    state: str  # on | off | break
    since: datetime
    until: datetime | None = None  # when he counts as present again; None: when he says so
