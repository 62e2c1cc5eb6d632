"""What an adapter promises: the roles Receiver and Sender, and the words they share with the rest.

Failure semantics, once for all adapters:

* A receiver tells its source nothing before ``accept`` has returned. If ``accept`` raises, nothing is
  acknowledged and the same message will be seen again.
* ``receive`` raises when the connection is lost; the supervisor alone decides when to try again.
* Errors at the border are temporary or permanent; what is unknown is temporary. Only a connection that
  was lost after the message had been handed over is *unknown*, and that is said with ``UnknownDelivery``.
* Building an adapter does no input or output.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from channels.message import Address, Medium
from channels.pacing import Pace


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """What the transport said about a message, apart from the message itself."""

    mail_from: str = ""
    rcpt_to: tuple[str, ...] = ()
    authenticated_as: str = ""  # login that the source itself had verified, "" if none
    peer: str = ""  # network address of the other side, for the audit only
    source_size: int = 0  # octets at the source; larger than len(raw) when truncated
    is_truncated: bool = False  # only headers and the first octets were fetched; the rest stays at the source
    is_backlog: bool = False  # it lay there before the channel first looked: no acknowledgement, its clock begins now
    is_junk: bool = False  # it lay in the folder where the provider puts what it takes for junk
    is_sent: bool = False  # it lay in the folder where the account's own sent mail is kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """How far a source has been read; committed together with the arrivals it covers."""

    name: str  # unique within the channel: "INBOX", "updates"
    value: str  # whatever the adapter needs to go on from here


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One message as it stood at the source, before anybody has read it."""

    channel: str  # name in config.toml
    medium: Medium
    external_id: str  # id in the source; (channel, external_id) is unique for ever
    received_at: datetime  # aware UTC; when the source took it in, never later than acceptance
    raw: bytes  # the octets; push channels put their canonical JSON here
    cursor: Cursor | None = None
    envelope: Envelope = field(default_factory=Envelope)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """What became of a message: enough for a push adapter to answer its caller."""

    message_id: int
    ticket: int | None
    agent: str | None  # name in config.toml of whoever should take it


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receipt: raw bytes, cursor and event are on the disk."""

    id: int  # of the message in the store; the same id for a duplicate
    is_duplicate: bool
    decided: Awaitable[Decided]  # may be awaited, briefly, by who needs the decision; never raises but CancelledError


class Accept(Protocol):
    """Commits arrivals, all or nothing, in order. Raises `StoreUnavailable` when they cannot be kept."""

    async def __call__(self, arrivals: Sequence[Arrival]) -> list[Accepted]: ...


class StoreUnavailable(Exception):
    """The store is full, locked or down: stop reading, tell the source to come back later."""


class TemporaryFailure(Exception):
    """Trying again later may help. `retry_after` is in seconds, None for the usual back-off."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class PermanentFailure(Exception):
    """Trying again cannot help: a refused recipient, a deleted account."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownDelivery(Exception):
    """The message was handed over and no answer came: it may or may not have arrived."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Fatal(Exception):
    """The configuration must change before this can work; the supervisor gives up and the program ends."""


class ChannelAway(TemporaryFailure):
    """The other side cannot be reached at all: no message of this channel need be tried for a moment."""


class LoginRefused(ChannelAway):
    """The other side knows us not: wait long (15 min), or an account is locked."""


class ChannelSlowed(ChannelAway):
    """The other side says that we are too fast: rest, longer each time it says so again."""


class AccountRefused(ChannelAway):
    """The other side refuses our account, whatever the message: no message may fail for that."""


class DeliveryState(StrEnum):
    DELIVERED = "delivered"  # the other side has it
    STORED = "stored"  # kept for a visitor who is away: his return, or a mail, delivers it


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """How a hand-over ended."""

    state: DeliveryState
    remote_id: str = ""  # what the other side calls it
    remote_mail_id: str = ""  # mail: the Message-ID that the provider put for ours, with angle brackets


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboundMessage:
    """One thing to hand over to one recipient; the bytes are composed and stored before this exists."""

    id: int  # outbox row
    recipient: Address
    body: bytes  # mail: RFC 5322 octets with CRLF; chat and the like: UTF-8 text
    message_id: str = ""  # mail: the stable Message-ID, with angle brackets
    envelope_from: str = ""  # mail: return path; "" is the null path
    author: str = ""  # chat: name to show
    sent_at: datetime | None = None  # chat: when the desk took it in, by the clock that dates the visitor's lines
    ticket: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()  # chat: (name, octets), beside the words; mail has them in its body
    buttons: tuple[tuple[str, str], ...] = ()  # chat: (what stands on it, what a press of it says)


class Receiver(Protocol):
    async def receive(self, accept: Accept) -> None:
        """Run until cancelled, acknowledging to the source only after accept."""


class Sender(Protocol):
    async def send(self, message: OutboundMessage) -> Delivery:
        """Hand over one message, or raise TemporaryFailure, PermanentFailure or UnknownDelivery."""


class CheckState(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckLine:
    """One line of `intake check`: what was tried, how it went, what to do."""

    subject: str  # "mail", "phone", "chat" …
    name: str  # channel
    found: str  # "imap mail.firm.example:993 (TLS 1.3, IDLE, 3 new)"
    state: CheckState
    problem: str = ""
    mend: str = ""  # what to do about it, as an instruction


class Checker(Protocol):
    async def check(self) -> list[CheckLine]:
        """Really connect and look; raise nothing."""


class Clock(Protocol):
    """The only way to ask the time; tests hand over one they can move."""

    def now(self) -> datetime:
        """Aware UTC."""

    async def sleep_until(self, when: datetime) -> None:
        """Return when the clock shows `when` or later."""


class ProgressNote(Protocol):
    """A loop says that it turns, and when it will turn next at the latest (for /healthz and the watchdog)."""

    def __call__(self, note: str, next_turn_within: float) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """One channel, built: what it can do. Any role may be absent."""

    channel: str
    medium: Medium
    receiver: Receiver | None = None
    door: Receiver | None = None  # a second way in, kept running by itself: each goes on while the other is down
    sender: Sender | None = None
    checker: Checker | None = None
    routes: Callable[[Any], None] | None = None  # mounts handlers on the shared aiohttp application
    close: Callable[[], Awaitable[None]] | None = None  # frees kept connections
    parallel: int = 16  # messages that its sender is handed at one time
    pace: Pace | None = None  # how fast it may send; None: as fast as it can
    account: str = ""  # channels that name the same one share its pace; "": one of its own


@dataclass(frozen=True, kw_only=True)
class TranscriptLine:
    """One line of a chat as the visitor sees it."""

    id: str  # sortable within a session: an opaque position for "after"
    is_from_visitor: bool
    text: str
    at: datetime
    author: str = ""
    client_id: str = ""  # the page's own id of a visitor's line


class Transcript(Protocol):
    async def __call__(self, session: str, after: str) -> list[TranscriptLine]:
        """The lines of a chat session after a position ("" for all), oldest first; at most 200."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What every builder is handed, beside its own table of config.toml."""

    clock: Clock
    progress: ProgressNote
    read_cursor: Callable[[str, str], Awaitable[str | None]]  # (channel, cursor name) -> value
    #: (channel, cursor): for a cursor that no arrival carries, such as "from now on" at the first start
    save_cursor: Callable[[str, Cursor], Awaitable[None]]
    transcript: Transcript
    state_dir: str = ""
    #: (way in) -> a note-taker of its own, for a channel that has a second one
    progress_of: Callable[[str], ProgressNote] | None = None
    #: (channel, outbox row): the visitor has come back and his page has shown what was STORED. Called at least once a
    #: row, perhaps again, perhaps before the row says STORED. Raises StoreUnavailable: then the page will say it again.
    on_delivered: Callable[[str, int], Awaitable[None]] | None = None
    #: (channel, language) -> what may be promised right now, "answers within 1 minute", "" for nothing
    chat_promise: Callable[[str, str], Awaitable[str]] | None = None
    #: what channels of one account share, such as its connections: (kind, host, …) -> whatever the builder keeps there
    shared: dict[tuple[Any, ...], Any] = field(default_factory=dict)
