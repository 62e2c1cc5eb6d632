"""The tables. Rows stay inside this package: callers give and get frozen values.

Times are aware UTC. JSON columns are text made by `orjson`, read as a whole and never searched. People are named by
id; what they wrote stands in `raw`, `normal` and `outbox_bytes` only, so that erasing those leaves the log whole.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(SQLModel):
    metadata = MetaData(naming_convention=NAMING)


def _id() -> Column[int]:
    """A 64-bit number given by the database; plain INTEGER on SQLite, where only that is a rowid."""
    return Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _text(*, nullable: bool = False) -> Column[str]:
    return Column(Text, nullable=nullable)


class MessageRow(Base, table=True):
    """The durable queue: one row for every message that was ever accepted."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("channel", "external_id"),
        Index(
            "ix_message_waiting",
            "priority",
            "id",
            sqlite_where=text("state IN ('accepted', 'claimed')"),
            postgresql_where=text("state IN ('accepted', 'claimed')"),
        ),
        Index(
            "ix_message_parked",
            "state",
            sqlite_where=text("state = 'parked'"),
            postgresql_where=text("state = 'parked'"),
        ),
        Index(
            "uq_message_content_key",
            "content_key",
            unique=True,
            sqlite_where=text("content_key IS NOT NULL"),
            postgresql_where=text("content_key IS NOT NULL"),
        ),
        Index("ix_message_sender_received_at", "sender", "received_at"),
        Index("ix_message_ticket", "ticket"),
        Index("ix_message_customer", "customer"),
    )
    id: int | None = Field(default=None, sa_column=_id())
    channel: str
    medium: str
    external_id: str = Field(sa_column=_text())
    received_at: datetime
    accepted_at: datetime
    priority: int  # order of claiming: phone 0, chat 1, messaging 2, mail 3
    state: str  # routing.words.MessageState
    epoch: int = 0  # fencing token of the decider that claimed it
    is_alone: bool = False  # its batch died: it is tried by itself
    attempts: int = 0  # made alone
    reason: str | None = None  # why it is parked
    size: int = 0  # octets at the source
    is_truncated: bool = False
    envelope: str = Field(sa_column=_text())  # JSON of channels.adapter.Envelope
    # Written by the decision:
    decided_at: datetime | None = None
    outcome: str | None = None  # routing.words.Outcome
    speaker: str | None = None  # routing.words.Speaker
    ticket: int | None = Field(default=None, sa_type=BigInteger)
    customer: int | None = Field(default=None, sa_type=BigInteger)
    agent: str | None = None  # who spoke, if an agent did
    sender: str | None = Field(default=None, sa_column=_text(nullable=True))  # "mailto:wang@example.com"
    content_key: str | None = None
    copy_of: int | None = Field(default=None, sa_type=BigInteger)
    policy_version: str | None = None


class RawRow(Base, table=True):
    """The octets as the source gave them."""

    __tablename__ = "raw"
    message: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # sealed where `raw_key` has a row


class RawKeyRow(Base, table=True):
    """The key of a sealed message. Not beside its octets: a key is read without walking through those."""

    __tablename__ = "raw_key"
    message: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    key_id: str  # which of the desk's keys wraps it
    sealed_key: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))  # None: erased


class NormalRow(Base, table=True):
    """What the parser made of the octets; can be made again."""

    __tablename__ = "normal"
    message: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    parser_version: int
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # JSON, channels.normal_json


class CursorRow(Base, table=True):
    """How far each source has been read."""

    __tablename__ = "cursor"
    channel: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: str


class TicketRow(Base, table=True):
    __tablename__ = "ticket"
    __table_args__ = (
        Index(
            "ix_ticket_open",
            "agent",
            "state",
            sqlite_where=text("state <> 'closed'"),
            postgresql_where=text("state <> 'closed'"),
        ),
        Index("ix_ticket_customer", "customer", "state"),
        Index(
            "ix_ticket_matter",
            "matter",
            sqlite_where=text("matter IS NOT NULL"),
            postgresql_where=text("matter IS NOT NULL"),
        ),
    )
    id: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    state: str
    kind: str
    topic: str
    is_urgent: bool
    channel: str
    medium: str
    customer: int = Field(sa_type=BigInteger)
    contact: str = Field(sa_column=_text())  # "mailto:…": where the answer goes
    contact_name: str
    standing: str
    subject: str = Field(sa_column=_text())  # frozen when it was opened
    language: str
    team: str
    agent: str | None = None
    opened_by: int  # message
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    closed_reason: str | None = None
    follows: int | None = None  # the older ticket this one points at
    token_serial: int = 0
    assigned_at: datetime | None = None  # when its agent got it
    answered_by: str | None = None  # agent of the latest answer; None where nobody is known to have written it
    answered_at: datetime | None = None  # the source's time of that answer
    waits_until: datetime | None = None  # the customer owes us something until then
    origin: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))  # routing.words.Origin
    matter: int | None = Field(default=None, sa_type=BigInteger)  # the first ticket of the same matter
    statute: str | None = Field(default=None, sa_column=_text(nullable=True))  # "CN/filing/2026-11"
    statutory_at: datetime | None = None  # when that filing is due
    accused: str | None = Field(default=None, sa_column=_text(nullable=True))  # agent whom the complaint is about


class ThreadKeyRow(Base, table=True):
    """Message-IDs, sent and received, and the ticket each belongs to."""

    __tablename__ = "thread_key"
    __table_args__ = (Index("ix_thread_key_ticket", "ticket"),)
    key: str = Field(sa_column=Column(Text, primary_key=True))
    ticket: int = Field(sa_type=BigInteger)
    is_ours: bool  # we sent it


class TargetRow(Base, table=True):
    """One promise about one ticket."""

    __tablename__ = "target"
    __table_args__ = (
        Index(
            "ix_target_next_at",
            "next_at",
            sqlite_where=text("next_at IS NOT NULL"),
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        Index(
            "ix_target_rescue_at",
            "rescue_at",
            sqlite_where=text("rescue_at IS NOT NULL"),
            postgresql_where=text("rescue_at IS NOT NULL"),
        ),
    )
    ticket: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    kind: str = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    policy_key: str
    budget: str
    calendar: str
    calendar_version: str
    policy_version: str
    started_at: datetime
    due_at: datetime
    warn_50_at: datetime | None = None
    warn_80_at: datetime | None = None
    supervisor_at: datetime | None = None
    rescue_at: datetime | None = None  # without a sign of life by then somebody else gets the ticket
    manager_at: datetime | None = None
    paused_at: datetime | None = None  # since then its clock stands: the customer owes something
    next_at: datetime | None = None  # when the watcher must look again; empty when there is nothing left to tell
    answered_at: datetime | None = None  # the source's time of the act that met it
    met_at: datetime | None = None  # delivered
    breached_at: datetime | None = None
    withdrawn_at: datetime | None = None


class NoticeRow(Base, table=True):
    """What has been told about a target: once each, for ever."""

    __tablename__ = "notice"
    ticket: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    target: str = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    at: datetime


class OutboxRow(Base, table=True):
    """What is to be sent, one row a recipient."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_due",
            "next_attempt_at",
            sqlite_where=text("next_attempt_at IS NOT NULL"),
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
        Index(
            "ix_outbox_lane",
            "lane",
            "id",
            sqlite_where=text("next_attempt_at IS NOT NULL"),
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
        Index("ix_outbox_address_created_at", "address", "created_at"),
        Index("ix_outbox_ticket", "ticket"),
        Index("ix_outbox_mail_id", "mail_id"),
        Index(
            "ix_outbox_remote_mail_id",
            "remote_mail_id",
            sqlite_where=text("remote_mail_id IS NOT NULL"),
            postgresql_where=text("remote_mail_id IS NOT NULL"),
        ),
        Index(
            "ix_outbox_attempting",
            "state",
            sqlite_where=text("state = 'attempting'"),
            postgresql_where=text("state = 'attempting'"),
        ),
    )
    id: int | None = Field(default=None, sa_column=_id())
    ticket: int | None = Field(default=None, sa_type=BigInteger)
    source: int | None = None  # the message that caused it
    channel: str  # it leaves by
    address: str = Field(sa_column=_text())  # "mailto:…"
    lane: str = Field(sa_column=_text())  # ticket and recipient: what is kept in order
    purpose: str
    priority: int
    agent: str | None = None  # author of an answer, addressee of the rest
    state: str
    recipe: str = Field(sa_column=_text())  # JSON: what to compose it from
    mail_id: str = ""  # the stable Message-ID
    created_at: datetime
    answered_at: datetime | None = None  # the source's time of the agent's act
    attempts: int = 0
    first_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None  # empty when no further attempt is planned
    unknowns: int = 0  # attempts that ended without an answer
    error: str | None = None
    held_reason: str | None = None
    delivered_at: datetime | None = None
    remote_id: str | None = None
    remote_mail_id: str | None = Field(default=None, sa_column=_text(nullable=True))  # the provider put it for ours


class OutboxBytesRow(Base, table=True):
    """What is being sent, octet for octet; dropped once it is delivered."""

    __tablename__ = "outbox_bytes"
    outbox: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class TokenRow(Base, table=True):
    """Reply tokens that were given out (PROMISES G8)."""

    __tablename__ = "token"
    __table_args__ = (Index("ix_token_ticket_agent", "ticket", "agent"),)
    token: str = Field(primary_key=True)
    ticket: int = Field(sa_type=BigInteger)
    agent: str
    purpose: str
    serial: int
    issued_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None


class CustomerRow(Base, table=True):
    __tablename__ = "customer"
    id: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    name: str
    language: str
    created_at: datetime
    agent: str | None = None  # who knows him
    grade: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))  # customer class


class ContactRow(Base, table=True):
    """One address or number of a customer."""

    __tablename__ = "contact"
    __table_args__ = (Index("ix_contact_customer", "customer"),)
    address: str = Field(sa_column=Column(Text, primary_key=True))  # "mailto:…"
    customer: int = Field(sa_type=BigInteger)
    name: str
    source: str  # where the value came from: "mail", "chat", "phone", "import"
    first_seen_at: datetime
    is_verified: bool = False  # somebody vouched for it at least once
    reply_to: str | None = Field(default=None, sa_column=_text(nullable=True))  # where he asks for answers: "mailto:…"
    reply_to_state: str | None = None  # asked | confirmed | refused
    spam_mark: str | None = None  # an agent's word on this sender: spam | not_spam
    complained_at: datetime | None = None  # he reported a mail of ours as abuse


class ParticipantRow(Base, table=True):
    """Who else belongs to a ticket, or was named in it: by mail he is only listed, an agent lets him in."""

    __tablename__ = "participant"
    ticket: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    address: str = Field(sa_column=Column(Text, primary_key=True))  # "mailto:…"
    name: str
    role: str  # cc | listed | removed
    source: str  # mail | agent
    added_by: str | None = None  # agent
    added_at: datetime


class AgentRow(Base, table=True):
    """What the file cannot know of an agent."""

    __tablename__ = "agent"
    name: str = Field(primary_key=True)
    presence: str  # on | off | break
    since: datetime
    last_assigned_at: datetime | None = None
    until: datetime | None = None  # when he counts as present again; None: when he says so
    absence_hinted_at: datetime | None = None  # a machine last answered for him
    tails: str | None = Field(default=None, sa_column=_text(nullable=True))  # JSON: his last replies end so
    last_act_at: datetime | None = None  # when he last did anything: a reply, a note, a command


class CorrectionRow(Base, table=True):
    """What an agent says a message really was about, after it was taken for something else."""

    __tablename__ = "correction"
    __table_args__ = (Index("ix_correction_at", "at"),)
    message: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    field: str = Field(primary_key=True)  # "topic" | "kind" | "urgent"
    ticket: int = Field(sa_type=BigInteger)
    was: str
    became: str
    agent: str
    at: datetime


class EnrolmentRow(Base, table=True):
    """What an agent's own mails have shown: from which address, with which evidence."""

    __tablename__ = "enrolment"
    agent: str = Field(primary_key=True)
    address: str = Field(sa_column=Column(Text, primary_key=True))  # "mailto:…"
    channel: str = Field(primary_key=True)
    evidence: str = Field(primary_key=True)  # routing.words.Evidence, or "none"
    client: str  # the mail program, as its headers name it; "" if they do not
    first_seen_at: datetime
    last_seen_at: datetime
    message: int | None = Field(default=None, sa_type=BigInteger)  # the last one that showed it


class ProbeRow(Base, table=True):
    """A question to a mail server that only a mail sent through it can answer."""

    __tablename__ = "probe"
    __table_args__ = (UniqueConstraint("nonce"),)
    channel: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)  # "exchange-internal"
    nonce: str
    sent_at: datetime
    seen_at: datetime | None = None
    result: str | None = None  # "stripped" | "kept"


class QuestionRow(Base, table=True):
    """What an agent asked for and must confirm, or is asked about, before anything is done."""

    __tablename__ = "question"
    __table_args__ = (Index("ix_question_agent_answered_at", "agent", "answered_at"),)
    id: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    agent: str
    kind: str  # routing.words.QuestionKind
    ticket: int | None = Field(default=None, sa_type=BigInteger)
    message: int = Field(sa_type=BigInteger)  # the mail that asked for it
    data: str = Field(sa_column=_text())  # JSON
    asked_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None
    answer: str | None = None  # "ok" | "no" | "lapsed"


class ReminderRow(Base, table=True):
    """Something to be done at a moment that is no promise to a customer."""

    __tablename__ = "reminder"
    __table_args__ = (
        Index(
            "ix_reminder_at",
            "at",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
        Index("ix_reminder_ticket", "ticket"),
    )
    id: int | None = Field(default=None, sa_column=_id())
    at: datetime
    kind: str  # routing.words.ReminderKind
    ticket: int | None = Field(default=None, sa_type=BigInteger)
    agent: str | None = None
    data: str = Field(default="{}", sa_column=_text())  # JSON
    done_at: datetime | None = None


class OverlayRow(Base, table=True):
    """What a supervisor has said on top of the file: a holiday, a text. Withdrawn, never changed."""

    __tablename__ = "overlay"
    id: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    kind: str  # "holiday" | "text"
    key: str  # "TW/2026-11-24", "ack.received"
    language: str = ""
    value: str = Field(sa_column=_text())  # JSON
    agent: str  # who said it
    at: datetime
    withdrawn_at: datetime | None = None


class DocumentRow(Base, table=True):
    """A document that an agent says has come, on a ticket."""

    __tablename__ = "document"
    ticket: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    item: str = Field(sa_column=Column(Text, primary_key=True))
    agent: str
    message: int = Field(sa_type=BigInteger)
    at: datetime


class CallRow(Base, table=True):
    """The story of one telephone call so far."""

    __tablename__ = "call"
    __table_args__ = (
        Index(
            "ix_call_next_at",
            "next_at",
            sqlite_where=text("next_at IS NOT NULL"),
            postgresql_where=text("next_at IS NOT NULL"),
        ),
    )
    channel: str = Field(primary_key=True)
    call_id: str = Field(sa_column=Column(Text, primary_key=True))
    ticket: int | None = Field(default=None, sa_type=BigInteger)
    facts: str = Field(sa_column=_text())  # JSON of routing.calls.CallFacts
    next_at: datetime | None = None


class EventRow(Base, table=True):
    """What happened, in the past tense; written in the transaction of the change, never changed."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_ticket", "ticket", "id"),
        Index("ix_event_message", "message"),
        Index("ix_event_at", "at"),
    )
    id: int | None = Field(default=None, sa_column=_id())
    at: datetime
    kind: str
    ticket: int | None = Field(default=None, sa_type=BigInteger)
    message: int | None = Field(default=None, sa_type=BigInteger)
    customer: int | None = Field(default=None, sa_type=BigInteger)
    agent: str | None = None
    outbox: int | None = Field(default=None, sa_type=BigInteger)
    data: str = Field(sa_column=_text())  # JSON


class EventSealRow(Base, table=True):
    """The hash chain over the events, in the order in which followers read them."""

    __tablename__ = "event_seal"
    __table_args__ = (UniqueConstraint("event"),)
    seq: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False)
    )
    event: int = Field(sa_type=BigInteger)
    prev_hash: str
    hash: str


class LeaseRow(Base, table=True):
    """Who may do what only one may do at a time; the epoch is the fencing token."""

    __tablename__ = "lease"
    name: str = Field(primary_key=True)
    owner: str
    until: datetime
    epoch: int = Field(sa_type=BigInteger)


class CounterRow(Base, table=True):
    """Numbers given out in a transaction; gaps are allowed."""

    __tablename__ = "counter"
    name: str = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)
