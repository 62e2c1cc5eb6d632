"""Filters: is this a person, a machine, a report, or our own mail coming home?

Single questions, asked in order; the first that knows the answer gives the verdict. Nothing is dropped here: a
verdict says what a message is, the caller records it. A machine is never answered by a machine (PROMISES.md, G7);
when in doubt a person sees the message (G5), and only the acknowledgement is left out.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from channels.message import Medium, Message
from routing.reasons import Reason, because

MAX_ABSENCE_TEXT = 600  # characters: a note of absence is short
MAX_MARKS = 10  # loop marks looked at in one mail
MAX_COPIED = 3  # mails an hour of one sender in which our mark may be a copy; more are a loop


class ScreenVerdict(StrEnum):
    OWN = "own"  # our own mail coming home
    BOUNCE = "bounce"  # a report about one of our mails
    AUTOMATIC = "automatic"  # machine-made: recorded, never answered
    SPAM = "spam"  # a person may have to look; never acknowledged
    PERSON = "person"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreenFacts:
    """What the filters must know beside the message."""

    envelope_from: str | None = None  # None: the transport told none; "" or "<>": the null sender
    peer_messages: int = 0  # messages of this sender in the last hour, this one included
    peer_cap: int = 20
    loop_keys: tuple[bytes, ...] = ()  # secrets whose loop marks are ours
    is_own_message_id: bool = False  # the store says we issued this Message-ID
    own_addresses: frozenset[str] = frozenset()  # the desk's mailboxes, lower case
    goes_with_ours: bool = False  # it names mails of our tickets, and answers none that we sent
    is_trusted: bool = False  # an agent said that this sender is no junk


@dataclass(frozen=True, kw_only=True, slots=True)
class Screen:
    verdict: ScreenVerdict
    may_acknowledge: bool  # anything automatic may be sent back
    reasons: tuple[Reason, ...]


def screen(message: Message, facts: ScreenFacts) -> Screen:
    """What the message is. Only mail can be automatic: other media have no such marks."""
    for question in _VERDICTS:
        found = question(message, facts)
        if found is not None:
            return Screen(verdict=found[0], may_acknowledge=False, reasons=(found[1],))
    doubts = tuple(reason for doubt in _DOUBTS if (reason := doubt(message, facts)) is not None)
    return Screen(verdict=ScreenVerdict.PERSON, may_acknowledge=not doubts, reasons=doubts or (because("person"),))


def loop_mark(key: bytes, message_id: str) -> str:
    """The value of X-Intake-Loop for a mail of ours: `<digest of its Message-ID>.<HMAC>`, 49 characters."""
    about = digest_of(message_id)
    return f"{about}.{_mark_mac(key, about)}"


def digest_of(message_id: str) -> str:
    """The first half of a mark: which Message-ID it is about."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:16]


def is_own_mark(keys: Iterable[bytes], value: str) -> bool:
    """Whether one of these keys made the mark. Constant time a key."""
    about, _, mac = value.strip().lower().partition(".")
    if len(about) != 16 or len(mac) != 32:
        return False
    return any(hmac.compare_digest(_mark_mac(key, about).encode(), mac.encode()) for key in keys)


def _mark_mac(key: bytes, about: str) -> str:
    return hmac.new(key, f"loop\0{about}".encode(), "sha256").hexdigest()[:32]


_Found = tuple[ScreenVerdict, Reason] | None


def _own(message: Message, facts: ScreenFacts) -> _Found:
    marks = [mark for mark in message.loop_marks[:MAX_MARKS] if is_own_mark(facts.loop_keys, mark)]
    if marks and _came_home(message, facts, {mark.strip().lower().partition(".")[0] for mark in marks}):
        return ScreenVerdict.OWN, because("own_mark")
    if facts.is_own_message_id:
        return ScreenVerdict.OWN, because("own_message_id")
    return None


def _came_home(message: Message, facts: ScreenFacts, about: set[str]) -> bool:
    """Whether a mail under our mark is ours. Redirecting keeps mark and id; a provider may put an id of its own.

    Under any other mail the mark was copied: that mail is somebody's own, and must not vanish. What refers to none of
    our threads is such a one, until it comes again and again.
    """
    if digest_of(message.message_id) in about or message.sender.value.lower() in facts.own_addresses:
        return True
    if any(digest_of(one) in about for one in (*message.in_reply_to, *message.references)):
        return False  # it answers the mail whose mark it bears: no mail answers itself
    return facts.goes_with_ours or facts.peer_messages > MAX_COPIED


def _bounce(message: Message, _: ScreenFacts) -> _Found:
    if message.bounce is None:
        return None
    return ScreenVerdict.BOUNCE, because("report", kind=message.bounce.kind.value)


def _auto_submitted(message: Message, _: ScreenFacts) -> _Found:
    # RFC 3834 §5, and what lists and newsletters say of themselves; the parser has read the header fields.
    if not message.auto_submitted:
        return None
    return ScreenVerdict.AUTOMATIC, because("auto_submitted", why=message.auto_submitted)


def _null_sender(message: Message, facts: ScreenFacts) -> _Found:
    # RFC 5321 §4.5.5: reports travel with an empty return path and must not be answered.
    if message.medium is not Medium.EMAIL or facts.envelope_from is None:
        return None
    if facts.envelope_from.strip() not in ("", "<>"):
        return None
    return ScreenVerdict.AUTOMATIC, because("null_sender")


_DAEMON = re.compile(r"(?:mailer-daemon|mail-daemon|postmaster)@")


def _mailer_daemon(message: Message, _: ScreenFacts) -> _Found:
    if message.medium is not Medium.EMAIL or not _DAEMON.match(message.sender.value.lower()):
        return None
    return ScreenVerdict.AUTOMATIC, because("mailer_daemon")


# A subject is an absence note's only when it *begins* so and goes on with a colon or ends: customers do ask
# "自動回覆怎麼設定？".
_AUTO_SUBJECT = re.compile(
    r"\s*[\[【(（]?\s*"
    r"(?:(?:系統|系统)?(?:自動|自动)(?:回覆|回复|回復|答覆|答复|應答|应答|回信)"
    r"|(?:外出|休假|請假|请假|出差|不在辦公室|不在办公室)(?:中|通知|期間|期间|自動回覆|自动回复)*"
    r"|auto(?:matic)?[ -]?(?:reply|response)|out of (?:the )?office|abwesenheitsnotiz)"
    r"\s*[\]】)）]?\s*(?:[:：]|[-–—]|$)",
    re.IGNORECASE,
)
_AUTO_TEXT = re.compile(
    r"(?:這|这|此|本)(?:是|為|为|封|一|郵件|邮件|信件|信|係|系){0,4}(?:由)?(?:系統|系统)?(?:自動|自动)"
    r"(?:回覆|回复|回復|發送|发送|發出|发出)(?:的)?(?:郵件|邮件|信件|信)?\s*(?:[,，。.!！;；\n]|$)"
    r"|(?:this|the) is an auto(?:matic|mated|-?generated)? (?:reply|response|message)\b",
    re.IGNORECASE,
)


def _out_of_office(message: Message, _: ScreenFacts) -> _Found:
    # QQ, 163 and many company servers send absence notes without any header field that says so.
    if message.medium is not Medium.EMAIL:
        return None
    is_absence = _AUTO_SUBJECT.match(message.subject[:200]) or (
        len(message.text) <= MAX_ABSENCE_TEXT and _AUTO_TEXT.search(message.text)
    )
    return (ScreenVerdict.AUTOMATIC, because("out_of_office")) if is_absence else None


def _spam(message: Message, facts: ScreenFacts) -> _Found:
    if not message.spam or facts.is_trusted:
        return None
    return ScreenVerdict.SPAM, because("spam", verdict=message.spam[:80])


def _peer_cap(_: Message, facts: ScreenFacts) -> Reason | None:
    if facts.peer_messages <= facts.peer_cap:
        return None
    return because("peer_cap", count=facts.peer_messages, cap=facts.peer_cap)


def _asked_no_reply(message: Message, _: ScreenFacts) -> Reason | None:
    # X-Auto-Response-Suppress stands in people's mail too: it asks for silence, it does not prove a machine.
    return because("asked_no_reply") if message.automatic_id else None


_NO_REPLY = re.compile(r"(?:no[-_.]?reply|do[-_.]?not[-_.]?reply|noresponse)[^@]{0,64}@")


def _no_reply_address(message: Message, _: ScreenFacts) -> Reason | None:
    # A tax office's notice comes from such an address: somebody must read it, nobody can be answered.
    return because("no_reply_address") if _NO_REPLY.match(message.sender.value.lower()) else None


def _own_address(message: Message, facts: ScreenFacts) -> Reason | None:
    return because("own_address") if message.sender.value.lower() in facts.own_addresses else None


def _forged_mark(message: Message, _: ScreenFacts) -> Reason | None:
    # Asked after `_own`: a mark that is left is another desk's, invented, or copied from a mail of ours.
    return because("forged_mark") if message.loop_marks else None


_VERDICTS: tuple[Callable[[Message, ScreenFacts], _Found], ...] = (
    _own,
    _bounce,
    _auto_submitted,
    _null_sender,
    _mailer_daemon,
    _out_of_office,
    _spam,
)
_DOUBTS: tuple[Callable[[Message, ScreenFacts], Reason | None], ...] = (
    _peer_cap,
    _asked_no_reply,
    _no_reply_address,
    _own_address,
    _forged_mark,
)
