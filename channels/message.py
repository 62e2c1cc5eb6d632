"""The normal form: what a message is, whichever channel it came by.

Frozen values of the standard library only. An adapter or a parser builds them, routing decides over them,
the store keeps them. A fact that two channels share is a field here; there is no bag of extras.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Medium(StrEnum):
    """What kind of conversation a channel carries; deadlines and claim order go by it."""

    EMAIL = "email"
    CHAT = "chat"
    PHONE = "phone"
    TELEGRAM = "telegram"
    LINE = "line"
    WECOM = "wecom"
    WHATSAPP = "whatsapp"


#: Media whose deadline key is ``messaging`` (POLICY.md, Clocks).
MESSAGING = frozenset({Medium.TELEGRAM, Medium.LINE, Medium.WECOM, Medium.WHATSAPP})


class Scheme(StrEnum):
    """How an address is written."""

    MAIL = "mailto"
    WEB = "web"
    PHONE = "tel"
    TELEGRAM = "tg"


class Role(StrEnum):
    """Where a recipient stood."""

    TO = "to"
    CC = "cc"
    ENVELOPE = "envelope"


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Somebody who can be reached: ``mailto:wang@example.com``, ``tel:+886212345678``, ``web:…``."""

    scheme: Scheme
    value: str  # canonical: mail lower-cased domain and local part, phone E.164 where it parses, else as sent
    display_name: str = ""  # as the sender wrote it: never evidence of anything

    def key(self) -> tuple[str, str]:
        """What two addresses of one person have in common."""
        return (self.scheme.value, self.value)

    def __str__(self) -> str:
        return f"{self.scheme.value}:{self.value}"


MAX_ADDRESS = 320  # characters: 64 before the @, 255 behind it (RFC 5321 §4.5.3.1)
_LOCAL = r'[^\x00-\x20\x7f<>"(),:;\\\[\]@]+|"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"'
_MAILABLE = re.compile(rf"(?:{_LOCAL})@(?:[A-Za-z0-9._-]+|\[[A-Za-z0-9.:]+\])")


def mailable(address: str) -> str:
    """The address as a mail's header can name it, its domain in ASCII; "" if no mail can be written to it.

    What stands in From may be empty, cut off, or dressed up (`wang@example.com&gt`): such a sender cannot be answered.
    """
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        try:
            address = f"{local}@{domain.encode('idna').decode()}"
        except UnicodeError:
            return ""
    is_good = address.isascii() and len(address) <= MAX_ADDRESS and _MAILABLE.fullmatch(address)
    return address if is_good else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipient:
    """Whom a message was addressed to, and where it said so."""

    role: Role
    address: Address


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """A part of the raw bytes that is a file; found again by its path, never copied."""

    path: str  # part path from the root, IMAP style: "2", "1.3"
    name: str  # safe to show and to write: NFKC, no control, bidi, zero-width or path characters
    media_type: str  # lower case "application/pdf"
    size: int  # bytes, decoded
    sha256: str  # hex, of the decoded bytes
    md5: str = ""  # hex, of the decoded bytes; only `intake explain` fills it in, for comparing with other systems
    content_id: str = ""  # without the angle brackets; not empty for inline pictures
    is_inline: bool = False


class BounceKind(StrEnum):
    """What a report of non-delivery says of the mail it is about."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    COMPLAINT = "complaint"  # an abuse report (ARF)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounce:
    """A report about a mail that we, or somebody in our name, had sent (RFC 3464, RFC 5965)."""

    kind: BounceKind
    recipient: str = ""  # the address that could not be reached, lower case, "" if not told
    status: str = ""  # RFC 3463, "5.1.1", "" if not told
    reason: str = ""  # the remote server's words, at most 500 characters
    original_message_id: str = ""  # with angle brackets, "" if not told
    loop_mark: str = ""  # the X-Intake-Loop of the mail that came back, "" if not told


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """One line of somebody's opinion on where a message came from."""

    by: str  # authserv-id, or the name of the adapter that checked
    method: str  # "dmarc", "dkim", "spf", "auth", "signature", "token"
    result: str  # "pass", "fail", "none" …
    domain: str = ""  # the domain or login the result is about, lower case
    is_trusted_position: bool = False  # above the topmost Received line that the border host wrote


class CallEvent(StrEnum):
    """What a telephone exchange says happened."""

    NEW = "newCall"
    ANSWER = "answer"
    HANGUP = "hangup"


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One event of one telephone call."""

    call_id: str
    event: CallEvent
    is_inbound: bool
    from_number: str  # E.164 where it parses, else as sent; "" if withheld
    to_number: str
    users: tuple[str, ...] = ()  # who answered or was rung, as the exchange names them
    cause: str = ""  # of a hangup: "normalClearing", "busy", "noAnswer", "cancel" …
    has_source_time: bool = False  # the exchange sent the time itself


@dataclass(frozen=True, kw_only=True, slots=True)
class PassedOn:
    """A mail that another one passes on, as its block of headers or its own octets tell it: proof of nothing."""

    original: Message  # its sender's value is "" and its date_header None where they could not be read
    note: str = ""  # what stands above it: words of whoever passes it on
    local_time: str = ""  # ISO 8601, when it was written, where no time zone is told
    count: int = 1  # mails that are passed on together; `original` is the first of them
    is_attached: bool = False  # as octets of its own, not as words


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message in normal form."""

    medium: Medium
    sender: Address
    recipients: tuple[Recipient, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str = ""
    text: str = ""  # the new words
    quoted: str = ""  # what was quoted beneath or between; nothing is thrown away
    text_full: str = ""  # everything, as a person would have read it
    enclosed: str = ""  # the words of mails attached to it: for people to read, evidence of nothing
    html: str = ""  # unsafe: never shown without sanitising
    attachments: tuple[Attachment, ...] = ()
    message_id: str = ""  # with angle brackets for mail
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    date_header: datetime | None = None  # what the sender claims; never decides a deadline
    language: str = ""  # "zh-Hant", "zh-Hans", "en", "" if nothing could be told
    content_key: str = ""  # joins copies over folders and mailboxes; hex
    auto_submitted: str = ""  # why it is machine-made: "auto-replied", "auto-generated", "list", "bulk" …; "" if not
    is_absent_by_words: bool = False  # `auto_submitted` says so for its words alone: a person's might look the same
    bounce: Bounce | None = None
    spam: str = ""  # the provider's verdict, "" if none or clean
    authentication: tuple[Verdict, ...] = ()
    from_count: int = 1  # how many From addresses there were; anything but one is suspicious
    loop_marks: tuple[str, ...] = ()  # values of X-Intake-Loop headers: our own mail coming home
    automatic_id: str = ""  # X-Auto-Response-Suppress and the like, verbatim, capped
    call: Call | None = None
    passed_on: PassedOn | None = None  # it looks as if somebody passed a mail on
    defects: tuple[str, ...] = ()  # what was wrong with the bytes, in words; empty when nothing was
    is_stub: bool = False  # only headers, or nothing, could be read
    source_headers: tuple[tuple[str, str], ...] = field(default=())  # decoded, capped; for `show` and `explain`

    @property
    def is_cut(self) -> bool:
        """A limit left some of its words or files unread; `defects` say which. The raw bytes have them all."""
        return self.is_stub or any(said.endswith(_LEFT_OUT) for said in self.defects)


_LEFT_OUT = ("the rest was not looked at", "the rest was not read", "were kept", "cannot be read here")  # how it ends
