"""The desk as a batch of decisions sees it: facts read once, kept up to date as the fold goes on.

Each decision sees what those before it in the batch have done: two mails of one thread fall into one ticket, and the
second of two new tickets finds the first one's agent busier. Nothing here reads or writes: the caller fills a
`Desk` from the store, folds the batch over it, and writes `changes` in one transaction.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from channels.adapter import Envelope
from channels.message import Medium, Message
from routing.crowd import AgentSnapshot, Crowd
from routing.days import windows
from routing.identity import KnownDomains
from routing.loads import NOTHING, Load, added
from routing.loops import Ledger
from routing.pausing import calendar_of, may_pause, paused, ran_on, resumed
from routing.policy import ChannelPolicy, Policy
from routing.reasons import Reason
from routing.records import (
    Contact,
    Correction,
    Customer,
    Document,
    Enrolment,
    Event,
    NewOutbox,
    Overlay,
    Participant,
    Presence,
    Probe,
    Question,
    Reminder,
    StoredCall,
    Target,
    Ticket,
)
from routing.roster import DAY, Duty, Stretch
from routing.tokens import Keyring, TokenRecord
from routing.words import Evidence, NoticeKind, Outcome, Purpose, Speaker, Standing

LOOK_AHEAD = 15  # days of open hours that are looked up


@dataclass(frozen=True, kw_only=True, slots=True)
class Incoming:
    """One claimed message, parsed."""

    id: int
    channel: str
    medium: Medium
    received_at: datetime
    message: Message
    envelope: Envelope = field(default_factory=Envelope)
    known_ticket: int | None = None  # it was decided before and put back by an operator
    failure: str = ""  # why it could not be parsed; then `message` is a stub
    proven: Evidence | None = None  # who it is was shown beside the message: an agent's own Telegram account
    told_off: str = ""  # why his words are none that can be acted on: "edited", "forwarded"
    via_form: str = ""  # the firm's own web form that wrote it: then `message.sender` is whoever filled it in

    @property
    def sender(self) -> str:
        return str(self.message.sender)


@dataclass(frozen=True, kw_only=True, slots=True)
class SentMail:
    """A row of the outbox as far as a report of non-delivery concerns it."""

    id: int
    ticket: int | None
    purpose: Purpose
    agent: str | None
    address: str
    mail_id: str
    has_left: bool = True  # it may have arrived: only then can it come back, and only once
    is_copy: bool = False  # to somebody beside the customer
    answered_at: datetime | None = None  # the source's time of the agent's act, of an answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What became of one message."""

    outcome: Outcome
    speaker: Speaker
    ticket: int | None = None
    customer: int | None = None
    agent: str | None = None  # who spoke, if an agent did
    copy_of: int | None = None
    reasons: tuple[Reason, ...] = ()
    stands_for: Message | None = None  # what is kept as this message, where it passed another on


@dataclass(frozen=True, kw_only=True, slots=True)
class Internal:
    """What an agent was sent about a ticket: his answer is searched for it."""

    lines: tuple[str, ...] = ()  # of cards
    shown: tuple[str, ...] = ()  # what else stood in his mails: no secret, but nothing that he wrote
    customer_words: tuple[str, ...] = ()  # line by line: these he may quote
    files: frozenset[str] = frozenset()  # sha256 of the customer's files, which his client may send back


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The customer's message that an agent's mail answers, where that is asked for."""

    message: Incoming
    ticket: int  # it belongs to now
    standing: Standing | None = None  # its sender's, where that was noted
    is_latest: bool = False  # nothing of the customer came after it on that ticket


@dataclass
class Changes:
    """Everything a batch of decisions writes."""

    customers: list[Customer] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    opened: dict[int, Ticket] = field(default_factory=dict)
    changed: dict[int, Ticket] = field(default_factory=dict)
    named: dict[int, Ticket] = field(default_factory=dict)  # whose customer nobody had known
    targets: list[Target] = field(default_factory=list)
    met: list[tuple[Target, datetime, datetime]] = field(default_factory=list)  # (target, answered, delivered)
    reopened: list[Target] = field(default_factory=list)
    withdrawn_targets: list[tuple[Target, datetime]] = field(default_factory=list)
    outbox: list[NewOutbox] = field(default_factory=list)
    dropped: list[tuple[int, str]] = field(default_factory=list)  # (ticket, agent): what was held waits no more
    bounced: list[tuple[int, str]] = field(default_factory=list)  # (outbox row, the remote server's words)
    complaints: list[tuple[int, str]] = field(default_factory=list)  # (outbox row, of what kind)
    counters: dict[str, int] = field(default_factory=dict)  # values to keep by name
    tokens: list[TokenRecord] = field(default_factory=list)
    revoked: list[tuple[int, str]] = field(default_factory=list)  # (ticket, agent): his reply addresses end
    keys: list[tuple[str, int, bool]] = field(default_factory=list)  # (Message-ID, ticket, we sent it)
    moved_keys: dict[str, int] = field(default_factory=dict)  # key of a caller or a chat -> its latest ticket
    calls: dict[tuple[str, str], StoredCall] = field(default_factory=dict)
    assigned: dict[str, datetime] = field(default_factory=dict)  # agent -> when he last got work
    acted: dict[str, datetime] = field(default_factory=dict)  # agent -> his last sign of life
    graded: dict[int, str] = field(default_factory=dict)  # customer -> the class that he is of now
    verified: set[str] = field(default_factory=set)  # contacts that somebody vouched for
    changed_contacts: dict[str, Contact] = field(default_factory=dict)
    participants: dict[tuple[int, str], Participant] = field(default_factory=dict)  # (ticket, address)
    uncopied: list[tuple[int, str]] = field(default_factory=list)  # (ticket, address): what waits does not go there
    merged: list[tuple[int, int]] = field(default_factory=list)  # (ticket, the one that its messages now belong to)
    #: (as it was, with its clock stopped or running on), in order; before it is met or withdrawn
    clocked: list[tuple[Target, Target]] = field(default_factory=list)
    moved_targets: list[tuple[Target, Target]] = field(default_factory=list)  # (as it was, with its new times)
    moved_messages: list[tuple[int, int]] = field(default_factory=list)  # (message, ticket that it now belongs to)
    #: (ticket, agent, rows): so many rows of his answers that wait do not go, or nothing of the batch is written
    cancelled: list[tuple[int, str, int]] = field(default_factory=list)
    noticed: list[tuple[Target, NoticeKind]] = field(default_factory=list)  # told now, and never again
    used_tokens: list[str] = field(default_factory=list)  # single-use ones
    presence: dict[str, Presence] = field(default_factory=dict)  # agent -> as he is now
    absence_hints: set[str] = field(default_factory=set)  # agents for whom a machine answered
    tails: dict[str, str] = field(default_factory=dict)  # agent -> how his last replies ended
    questions: list[Question] = field(default_factory=list)
    answered: list[Question] = field(default_factory=list)  # with their answers
    reminders: list[Reminder] = field(default_factory=list)
    overlays: list[Overlay] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    complained: set[str] = field(default_factory=set)  # contacts who reported a mail of ours as abuse
    enrolments: dict[tuple[str, str, str, str], Enrolment] = field(default_factory=dict)
    probes: dict[str, Probe] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


@dataclass
class Desk:
    """Facts for one batch. Every mapping is complete for the keys that the batch asks for."""

    policy: Policy
    keyring: Keyring
    now: datetime
    next_ticket: int
    next_customer: int
    came_at: datetime | None = None  # of the message that is being decided on
    next_question: int = 1
    next_overlay: int = 1
    contacts: dict[str, Contact] = field(default_factory=dict)
    contacts_of: dict[int, list[Contact]] = field(default_factory=dict)
    customers: dict[int, Customer] = field(default_factory=dict)
    tickets: dict[int, Ticket] = field(default_factory=dict)
    open_of: dict[int, list[int]] = field(default_factory=dict)  # customer -> open tickets
    participants: dict[int, dict[str, Participant]] = field(default_factory=dict)  # ticket -> address -> who
    keys: dict[str, tuple[int, bool]] = field(default_factory=dict)
    tokens: dict[str, TokenRecord] = field(default_factory=dict)
    content: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    targets: dict[int, list[Target]] = field(default_factory=dict)
    peers: dict[str, int] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)  # what left by machine lately, over the batches
    complained: set[str] = field(default_factory=set)  # contacts who reported a mail of ours as abuse
    #: Message-ID, or the digest of a mark, of what is reported on -> its rows, one a recipient
    sent: dict[str, tuple[SentMail, ...]] = field(default_factory=dict)
    held: dict[tuple[int, str], NewOutbox] = field(default_factory=dict)  # (ticket, agent) -> his answer that waits
    waiting: dict[tuple[int, str], list[NewOutbox]] = field(default_factory=dict)  # his that may be called back, by row
    left: dict[tuple[int, str], datetime] = field(default_factory=dict)  # when the last of his answers left
    spoken: dict[int, tuple[int, datetime]] = field(default_factory=dict)  # ticket -> its customer's last message, when
    asked: dict[int, tuple[datetime, ...]] = field(default_factory=dict)  # ticket -> when its customer wrote lately
    hinted: dict[str, datetime] = field(default_factory=dict)  # agent -> when a machine last answered for him
    calls: dict[tuple[str, str], StoredCall] = field(default_factory=dict)
    loads: dict[str, Load] = field(default_factory=dict)  # agent -> what waits for him
    presence: dict[str, bool] = field(default_factory=dict)  # absent: on duty
    last_assigned: dict[str, datetime] = field(default_factory=dict)
    last_act: dict[str, datetime] = field(default_factory=dict)  # agent -> his last sign of life
    done: dict[str, float] = field(default_factory=dict)  # agent -> minutes of work that he did today
    silent: dict[str, datetime] = field(default_factory=dict)  # agent -> when he was first given something after that
    internal: dict[int, Internal] = field(default_factory=dict)  # by ticket, of those that agents answer now
    marked: dict[int, frozenset[str]] = field(default_factory=dict)  # message -> its files that hold something of ours
    questions: dict[int, Question] = field(default_factory=dict)  # those that tokens of the batch confirm
    sources: dict[int, Source] = field(default_factory=dict)  # an agent's mail that splits -> what it answers
    tails: dict[str, str] = field(default_factory=dict)  # agent -> how his last replies ended
    enrolments: dict[str, list[Enrolment]] = field(default_factory=dict)  # of the agents who speak in this batch
    probes: dict[str, Probe] = field(default_factory=dict)  # by channel, where this batch may depend on them
    told: dict[str, int] = field(default_factory=dict)  # agent -> how often his own mails had him told something lately
    people: Crowd = field(default_factory=Crowd)  # made when first asked for, then kept up to date
    open_hours: dict[str, list[Stretch]] = field(default_factory=dict)  # calendar -> its next days, once asked for
    reach: Mapping[str, timedelta] = field(default_factory=dict)  # channel -> how soon agents answer there now
    known_domains: KnownDomains = field(default_factory=lambda: KnownDomains.of(()))
    newly_held: set[int] = field(default_factory=set)  # tickets that somebody was given, or owes more on, just now
    changes: Changes = field(default_factory=Changes)

    # ---- reading

    def channel(self, name: str) -> ChannelPolicy:
        return self.policy.channels.get(name) or ChannelPolicy(name=name, medium="")

    def open_targets(self, ticket: int) -> list[Target]:
        return [t for t in self.targets.get(ticket, ()) if t.is_open]

    def is_present(self, name: str) -> bool:
        """Whether he has not said that he is away."""
        return self.presence.get(name, True)

    def snapshot(self) -> Crowd:
        """Everybody, as he stands after the decisions made so far; whose shift has begun or ended meanwhile, anew."""
        for name in self.people.outdated(self.now) if len(self.people) else self.policy.agents:
            self.people.put(self._as_he_stands(name))
        return self.people

    def _as_he_stands(self, name: str) -> AgentSnapshot:
        load, rules, duty = self.loads.get(name, NOTHING), self.policy.assigning, self._duty(name)
        person = self.policy.roster.person(name)
        return AgentSnapshot(
            agent=self.policy.agents[name],
            is_on_duty=duty.is_on and self.presence.get(name, True),
            is_on_call=duty.is_on_call and self.presence.get(name, True),
            open_tickets=load.tickets,
            expected_minutes=load.minutes,
            weight=load.weight,
            last_assigned_at=self.last_assigned.get(name),
            last_act_at=self.last_act.get(name),
            silent_since=self.silent.get(name),
            share_minutes=self.done.get(name, 0.0),
            doubt_after=rules.doubt_after.total_seconds(),
            doubt_for=rules.doubt_for.total_seconds(),
            on_until=duty.ends_at,
            holds_until=duty.until,
            certificates=person.held(self.now) if person is not None else frozenset(),
            expiry=person.ends() if person is not None else {},
            languages=person.languages if person is not None else frozenset(),
        )

    def _duty(self, name: str) -> Duty:
        """By the roster; without shifts in it by his calendar, where what comes at night waits for the opening."""
        roster, calendar = self.policy.roster, None
        if self.policy.assigning.queues_out_of_hours and not roster.has_shifts(name):
            calendar = self._hours(self.policy.agent_calendars.get(name, self.policy.calendar))
        return roster.duty(name, self.now, calendar)

    def _hours(self, calendar: str) -> list[Stretch]:
        if calendar not in self.open_hours:
            spec, day = self.policy.calendars[calendar], self.now.date()
            days = (day + number * DAY for number in range(-2, LOOK_AHEAD))
            self.open_hours[calendar] = [Stretch(*span) for one in days for span in windows(spec, one)]
        return self.open_hours[calendar]

    def note_assigned(self, name: str) -> None:
        """An agent got work just now."""
        self.last_assigned[name] = self.now
        self.changes.assigned[name] = self.now
        self.silent.setdefault(name, self.now)
        self._refresh(name)

    def note_act(self, name: str) -> None:
        """An agent has done something: a reply, a note, a command, a call."""
        self.last_act[name] = self.now
        self.changes.acted[name] = self.now
        self.silent.pop(name, None)
        self._refresh(name)

    def _refresh(self, name: str) -> None:
        if name in self.people:
            self.people.put(self._as_he_stands(name))

    def latest_of(self, ticket: Ticket) -> int:
        """The customer's last message on a ticket, where the batch asks for it; else the one that opened it."""
        message, _ = self.spoken.get(ticket.id, (ticket.opened_by, self.now))
        return message

    def mail_channel_of(self, ticket: Ticket) -> ChannelPolicy | None:
        """The mail channel by which agents hear of a ticket: its own, the one named for it, else the desk's first."""
        own = self.channel(ticket.channel)
        if own.medium == Medium.EMAIL:
            return own
        named = self.policy.channels.get(own.reply_channel)
        if named is not None:
            return named
        return next((c for c in self.policy.channels.values() if c.medium == Medium.EMAIL), None)

    # ---- writing

    def tell(self, kind: str, **facts: Any) -> None:
        """Report one fact. `ticket`, `message`, `customer`, `agent`, `outbox` are columns, the rest is data."""
        columns = {n: facts.pop(n) for n in ("ticket", "message", "customer", "agent", "outbox") if n in facts}
        self.changes.events.append(Event(at=self.now, kind=kind, data=facts, **columns))

    def put_ticket(self, ticket: Ticket) -> None:
        """Change a ticket, or add one."""
        if ticket.state != "closed" and ticket.closed_at is not None:
            ticket = replace(ticket, closed_at=None, closed_reason=None)
        if ticket.state != "waiting" and ticket.waits_until is not None:
            ticket = replace(ticket, waits_until=None)  # whatever ended the waiting
        before = self.tickets.get(ticket.id)
        if ticket.agent is not None and (before is None or before.agent != ticket.agent):
            self.newly_held.add(ticket.id)
        self._note_done(before, ticket)
        self._count_load(before, -1)
        self._count_load(ticket, +1)
        self.tickets[ticket.id] = ticket
        self._clocks(before, ticket)
        if before is None:
            self.changes.opened[ticket.id] = ticket
            self.open_of.setdefault(ticket.customer, []).insert(0, ticket.id)
        elif ticket.id in self.changes.opened:
            self.changes.opened[ticket.id] = ticket
        else:
            self.changes.changed[ticket.id] = ticket

    def _clocks(self, before: Ticket | None, ticket: Ticket) -> None:
        """While the customer owes us something, the clocks stand of what cannot go on without it."""
        was_waiting = before is not None and before.state == "waiting"
        if ticket.state == "waiting" and not was_waiting:
            for target in self.open_targets(ticket.id):
                if may_pause(target, self.at):
                    self._clock(target, paused(target, self.at))
                    self.tell("target_paused", ticket=ticket.id, target=target.kind.value, ordinal=target.ordinal)
        elif was_waiting and ticket.state != "waiting":
            for target in self.open_targets(ticket.id):
                self.running(target)

    def running(self, target: Target) -> Target:
        """The promise with its clock running, from when what is being decided on came."""
        if target.paused_at is None:
            return target
        ticket = self.tickets[target.ticket]
        moved = resumed(target, calendar_of(self.policy, target, ticket.channel, ticket.team), self.at, self.now)
        self._clock(target, moved)
        self.newly_held.add(ticket.id)
        self.changes.events.append(ran_on(target, moved, self.now))
        return moved

    def _clock(self, old: Target, new: Target) -> None:
        if any(t is old for t in self.changes.targets):
            self.changes.targets = [new if t is old else t for t in self.changes.targets]
        else:
            self.changes.moved_targets = [(o, n) for o, n in self.changes.moved_targets if n is not old]
            self.changes.clocked.append((old, new))
        self.replace_target(old, new)

    @property
    def at(self) -> datetime:
        """When what is being decided on came to its source; now, between messages."""
        return min(self.came_at or self.now, self.now)

    def _note_done(self, before: Ticket | None, ticket: Ticket) -> None:
        """What no longer waits for its agent he has done, as far as shares of the work are counted."""
        if before is None or not before.agent or before.agent != ticket.agent or before.state != "open":
            return
        if ticket.state != "open":
            load = self.policy.assigning.loads.of(before.medium, before.kind.value)
            self.done[before.agent] = self.done.get(before.agent, 0.0) + load.minutes

    def _count_load(self, ticket: Ticket | None, by: int) -> None:
        if ticket is not None and ticket.agent and ticket.state == "open":
            more = self.policy.assigning.loads.of(ticket.medium, ticket.kind.value)
            self.loads[ticket.agent] = added(self.loads.get(ticket.agent, NOTHING), more, by)
            self._refresh(ticket.agent)

    def put_target(self, target: Target) -> None:
        self.newly_held.add(target.ticket)
        self.targets.setdefault(target.ticket, []).append(target)
        self.changes.targets.append(target)

    def replace_target(self, old: Target, new: Target) -> None:
        """Keep the view right after a target was met, reopened or withdrawn."""
        mine = self.targets.get(old.ticket, [])
        self.targets[old.ticket] = [new if t is old else t for t in mine]

    def move_target(self, old: Target, new: Target, why: str) -> None:
        """Give a promise other times; the old ones stay in the log."""
        self.tell(
            "target_moved",
            ticket=old.ticket,
            target=old.kind.value,
            ordinal=old.ordinal,
            was_due_at=old.due_at.isoformat(),
            due_at=new.due_at.isoformat(),
            why=why,
        )
        self.changes.moved_targets.append((old, new))
        self.replace_target(old, new)

    def rearm(self, old: Target, new: Target) -> None:
        """Change when to look at a promise; nothing that anybody was told."""
        if any(t is old for t in self.changes.targets):
            self.changes.targets = [new if t is old else t for t in self.changes.targets]
        else:
            self.changes.moved_targets.append((old, new))
        self.replace_target(old, new)

    def correct(self, ticket: Ticket, field: str, was: str, became: str, agent: str) -> None:
        """An agent says what the message that opened a ticket was really about ("topic", "kind" or "urgent")."""
        if ticket.opened_by is not None:
            self.changes.corrections.append(
                Correction(
                    message=ticket.opened_by,
                    field=field,
                    ticket=ticket.id,
                    was=was,
                    became=became,
                    agent=agent,
                    at=self.now,
                )
            )

    def meet(self, target: Target, answered_at: datetime, delivered_at: datetime) -> None:
        self.changes.met.append((target, answered_at, delivered_at))
        self.replace_target(target, replace(target, answered_at=answered_at, met_at=delivered_at, next_at=None))

    def withdraw(self, target: Target, at: datetime) -> None:
        """End a target without meeting it, as of a moment; what was overdue by then stays a breach."""
        if target.due_at < at and target.breached_at is None and target.paused_at is None:
            self.tell(
                "target_breached",
                ticket=target.ticket,
                target=target.kind.value,
                ordinal=target.ordinal,
                due_at=target.due_at.isoformat(),
            )
        self.tell("target_withdrawn", ticket=target.ticket, target=target.kind.value, ordinal=target.ordinal)
        self.changes.withdrawn_targets.append((target, at))
        self.replace_target(target, replace(target, withdrawn_at=at, next_at=None))

    def restore(self, target: Target) -> Target:
        """Take back a withdrawal: what it was withdrawn for turned out otherwise."""
        restored = replace(target, withdrawn_at=None)
        self.changes.reopened.append(restored)
        self.replace_target(target, restored)
        return restored

    def put_key(self, key: str, ticket: int, *, is_ours: bool) -> None:
        if key and key not in self.keys:
            self.keys[key] = (ticket, is_ours)
            self.changes.keys.append((key, ticket, is_ours))

    def move_key(self, key: str, ticket: int) -> None:
        """Let the key of a caller or a chat point at his latest ticket."""
        if key and self.keys.get(key, (None,))[0] != ticket:
            self.keys[key] = (ticket, False)
            self.changes.moved_keys[key] = ticket

    def revoke(self, ticket: int, agent: str) -> None:
        """End every reply address that an agent has for a ticket, those of this batch too."""
        self.changes.revoked.append((ticket, agent))
        self.changes.tokens = [self._ended(r, ticket, agent) for r in self.changes.tokens]
        self.tokens = {token: self._ended(r, ticket, agent) for token, r in self.tokens.items()}

    def _ended(self, record: TokenRecord, ticket: int, agent: str) -> TokenRecord:
        is_his = (record.ticket, record.agent) == (ticket, agent) and record.revoked_at is None
        return replace(record, revoked_at=self.now) if is_his else record

    def put_presence(self, name: str, presence: Presence) -> None:
        """An agent is at work, or is not, from now on."""
        self.presence[name] = presence.state == "on"
        self.changes.presence[name] = presence
        self._refresh(name)

    def put_enrolment(self, row: Enrolment) -> None:
        """Remember what an agent's mail has shown."""
        mine = self.enrolments.setdefault(row.agent, [])
        place = (row.agent, row.address, row.channel, row.evidence)
        mine[:] = [r for r in mine if (r.agent, r.address, r.channel, r.evidence) != place] + [row]
        self.changes.enrolments[place] = row

    def put_probe(self, probe: Probe) -> None:
        """A probe of ours has come in."""
        self.probes[probe.channel] = probe
        self.changes.probes[probe.channel] = probe

    def ask(self, question: Question) -> None:
        """Keep what waits for an agent's word."""
        self.questions[question.id] = question
        self.changes.questions.append(question)

    def numbers(self) -> dict[str, int]:
        """The next free number of each sequence."""
        return {
            "ticket": self.next_ticket,
            "customer": self.next_customer,
            "question": self.next_question,
            "overlay": self.next_overlay,
        }

    def new_question_number(self) -> int:
        number = self.next_question
        self.next_question += 1
        return number

    def new_overlay_number(self) -> int:
        number = self.next_overlay
        self.next_overlay += 1
        return number

    def put_call(self, call: StoredCall) -> None:
        self.calls[(call.channel, call.call_id)] = call
        self.changes.calls[(call.channel, call.call_id)] = call

    def send(self, item: NewOutbox) -> None:
        self.changes.outbox.append(item)
        if item.mail_id and item.ticket is not None:
            self.put_key(item.mail_id, item.ticket, is_ours=True)

    def new_ticket_number(self) -> int:
        number = self.next_ticket
        self.next_ticket += 1
        return number

    def new_customer(self, name: str, language: str, agent: str | None = None) -> Customer:
        customer = Customer(id=self.next_customer, name=name, language=language, created_at=self.now, agent=agent)
        self.next_customer += 1
        self.customers[customer.id] = customer
        self.changes.customers.append(customer)
        return customer

    def grade_of(self, ticket: Ticket) -> str:
        """The class of a ticket's customer, "" for everybody's."""
        customer = self.customers.get(ticket.customer)
        return customer.grade if customer is not None else ""

    def grade(self, customer: Customer, grade: str) -> Customer:
        """Let a customer be of a class."""
        graded = replace(customer, grade=grade)
        self.customers[customer.id] = graded
        if any(c.id == customer.id for c in self.changes.customers):
            self.changes.customers = [graded if c.id == customer.id else c for c in self.changes.customers]
        else:
            self.changes.graded[customer.id] = grade
        return graded

    def new_contact(self, contact: Contact) -> None:
        self.contacts[contact.address] = contact
        self.contacts_of.setdefault(contact.customer, []).append(contact)
        self.changes.contacts.append(contact)

    def put_contact(self, contact: Contact) -> None:
        """Change a contact that is there."""
        self.contacts[contact.address] = contact
        if contact.customer in self.contacts_of:
            theirs = self.contacts_of[contact.customer]
            self.contacts_of[contact.customer] = [contact if c.address == contact.address else c for c in theirs]
        self.changes.changed_contacts[contact.address] = contact

    def put_participant(self, participant: Participant) -> None:
        """Let somebody into a ticket, list him, or take him out."""
        self.participants.setdefault(participant.ticket, {})[participant.address] = participant
        self.changes.participants[participant.ticket, participant.address] = participant

    def merge(self, ticket: int, into: int) -> None:
        """Let everything that was written on a ticket belong to another."""
        self.changes.merged.append((ticket, into))
        moved = {key: (into, ours) for key, (number, ours) in self.keys.items() if number == ticket}
        self.keys.update(moved)
        self.changes.keys = [(k, into if n == ticket else n, ours) for k, n, ours in self.changes.keys]
        self.changes.moved_keys = {k: into if n == ticket else n for k, n in self.changes.moved_keys.items()}


def mail_id(keyring: Keyring, domain: str, *facts: object) -> str:
    """A Message-ID for these facts: always the same one, so that deciding again gives the same mail."""
    words = "\0".join(str(f) for f in ("mail-id", *facts)).encode()
    mac = hmac.digest(keyring.current.secret, words, "sha256")[:15]
    return f"<{b32encode(mac).decode().lower()}@{domain}>"


def domain_of(channel: ChannelPolicy) -> str:
    return channel.address.rpartition("@")[2] or "intake.invalid"


#: Facts of a reason that name a person or his file: the log names people by id.
_PERSONAL = frozenset({"name", "address"})


def reason_data(reasons: Sequence[Reason]) -> list[Mapping[str, Any]]:
    """Reasons as an event keeps them."""
    return [{"code": r.code, "words": r.words, **({"data": _impersonal(r)} if r.data else {})} for r in reasons]


def _impersonal(reason: Reason) -> dict[str, Any]:
    return {name: "…" if name in _PERSONAL else value for name, value in reason.data.items()}


def fingerprint(text: str) -> str:
    """A short name for a value that must not stand in the log itself."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
