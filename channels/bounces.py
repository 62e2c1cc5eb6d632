"""Bounces: reports about mail that we, or somebody in our name, had sent.

RFC 3464 (delivery status) and RFC 5965 (abuse) reports by their fields; the servers that follow no standard
by sender and wording together. A person who forwards or quotes a report is not taken for one: the words of a report
count only in a mail that shows signs of a machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from channels import bounce_ses, returned
from channels.automatic import is_null_path
from channels.bounce_words import (
    DELAYED,
    FAILED,
    STATUS,
    has_code,
    is_caretaker,
    is_daemon,
    is_no_reply,
    is_passed_on,
    names_a_delay,
    names_a_failure,
)
from channels.headers import address_within, addresses, read_block, text
from channels.message import Bounce, BounceKind
from channels.parts import Part, Tree
from channels.returned import Returned

MAX_REASON = 500  # characters
_LOOKED_AT = 64 * 1024  # characters of text, octets of a report's fields
_TOP = 4_000  # characters in which a report says what it is

REPORT_TYPES = frozenset(
    {
        "message/delivery-status",
        "message/global-delivery-status",
        "message/feedback-report",
        "message/disposition-notification",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global-headers",
    }
)
_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_ACTIONS = {
    "failed": BounceKind.FAILED,
    "failure": BounceKind.FAILED,
    "delayed": BounceKind.DELAYED,
    "delivered": BounceKind.DELIVERED,
    "relayed": BounceKind.DELIVERED,
    "expanded": BounceKind.DELIVERED,
}
_NAMED = re.compile(r"(?:final|original)-recipient\s*:\s*rfc822\s*;\s*<?([^\s<>;,]{1,320})", re.I)
_ANGLED = re.compile(r"<((?:\"[^\"\n<>]{1,100}\"|[^\s<>@]{1,100})@[^\s<>]{1,200})>")


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who wrote it, and what shows that it was a machine."""

    address: str
    is_daemon: bool
    is_caretaker: bool
    is_null: bool  # empty return path
    is_automatic: bool  # it says so itself
    is_report: bool  # multipart/report
    is_passed_on: bool  # Re:, Fwd:

    @property
    def is_machine(self) -> bool:
        # A client that forwards a report may keep its parts, and even their frame.
        may_be_one = (self.is_report or self.is_caretaker) and not self.is_passed_on
        return self.is_daemon or self.is_null or self.is_automatic or may_be_one

    @property
    def may_report(self) -> bool:
        """Whether its words alone may make a report of it, by who wrote it: see `_is_report`."""
        return self.is_daemon or self.is_caretaker or self.is_null or is_no_reply(self.address)


def find(tree: Tree, sender: str, sender_name: str, subject: str, words: str) -> Bounce | None:
    """What a mail reports about one of ours; None if it is no report."""
    by = _sender(tree, sender, sender_name, subject)
    words = words[:_LOOKED_AT]
    for part in tree.parts:
        if part.media_type in _STATUS_TYPES and by.is_machine and (bounce := _from_status(tree, part, words)):
            return bounce
        # RFC 5965 §2: its subject is that of the mail complained about, with "FW:" before it.
        if part.media_type == "message/feedback-report" and (by.is_machine or by.is_report):
            return _from_complaint(tree, part, words)
    return (
        _complaint_without_fields(tree, sender, subject, words)
        or bounce_ses.find(tree.headers, words)
        or _from_wording(tree, by, subject, words)
    )


def _sender(tree: Tree, sender: str, name: str, subject: str) -> _Sender:
    headers = tree.headers
    declared = headers.first(b"auto-submitted").strip().lower()
    return _Sender(
        address=sender,
        is_daemon=is_daemon(sender, name)
        or headers.has(b"x-ms-exchange-message-is-ndr")
        or headers.has(b"x-failed-recipients")  # Exim
        or headers.first(b"from").replace(b" ", b"") == b"<>"
        or is_daemon(text(headers.first(b"return-path")).strip("<> "), ""),
        is_caretaker=is_caretaker(sender),
        is_null=is_null_path(headers),
        is_automatic=bool(declared) and not declared.startswith(b"no"),
        is_report=tree.root_type == "multipart/report",
        is_passed_on=is_passed_on(subject),
    )


# ---- reports by the book


def _from_status(tree: Tree, part: Part, words: str) -> Bounce | None:
    """The first recipient that failed, else the first one told of (RFC 3464 §2.3)."""
    told: list[Bounce] = []
    about = returned.find(tree, words)
    octets = tree.payload(part)[:_LOOKED_AT].replace(b"\r\n", b"\n")
    for block in octets.split(b"\n\n"):
        fields, _ = read_block(block.strip(b"\n"))
        kind = _ACTIONS.get(text(fields.first(b"action")).partition(" ")[0].lower())
        status = STATUS.search(text(fields.first(b"status")))
        if kind is None and status:
            kind = {"2": BounceKind.DELIVERED, "4": BounceKind.DELAYED}.get(status[1][0], BounceKind.FAILED)
        if kind is None:
            continue
        recipient = (
            _typed(fields.first(b"original-recipient")),
            _typed(fields.first(b"final-recipient")),
            address_within(text(tree.headers.first(b"x-failed-recipients"))),
            about.to,
        )
        reason = text(fields.first(b"diagnostic-code"))
        told.append(
            Bounce(
                kind=kind,
                recipient=next(filter(None, recipient), ""),
                status=status[1] if status else "",
                reason=_reason(reason.partition(";")[2] or reason),
                original_message_id=about.message_id,
                loop_mark=about.loop_mark,
            )
        )
    return next((b for b in told if b.kind is BounceKind.FAILED), told[0] if told else None)


def _typed(value: bytes) -> str:
    """The address of "rfc822; someone@example.com"; "" where it is no mail address."""
    line = text(value)
    kind, mark, rest = line.partition(";")
    if mark and kind.strip().lower() not in ("rfc822", "utf-8"):
        return ""
    return _address(rest if mark else line)


def _address(line: str) -> str:
    """An address, also one with a quoted local part; without the quotes where they change nothing (RFC 5321 §4.1.2)."""
    line = line.strip().strip("<>")
    if line.startswith('"') and (end := line.rfind('"@')) > 0:
        local, host = line[1:end].replace("\\", ""), line[end + 2 :].split(">")[0].strip()
        return f"{local}@{host}".lower() if local and host and " " not in local + host else ""
    return address_within(line)


def _from_complaint(tree: Tree, part: Part, words: str) -> Bounce:
    fields, _ = read_block(tree.payload(part)[:_LOOKED_AT].strip(b"\r\n"))
    about = returned.find(tree, words)
    named = fields.first(b"original-rcpt-to") or fields.first(b"removal-recipient")
    return Bounce(
        kind=BounceKind.COMPLAINT,
        recipient=address_within(text(named)) or about.to,
        reason=_reason(text(fields.first(b"feedback-type"))),
        original_message_id=about.message_id,
        loop_mark=about.loop_mark,
    )


def _complaint_without_fields(tree: Tree, sender: str, subject: str, words: str) -> Bounce | None:
    """Outlook.com's junk mail reports, and the word that Apple Mail sends for a person who leaves a list."""
    if tree.headers.has(b"x-apple-unsubscribe"):
        return Bounce(kind=BounceKind.COMPLAINT, recipient=sender, reason="opt-out")
    if not _COMPLAINT.match(subject):
        return None
    for part in tree.parts:
        if part.media_type == "message/rfc822":
            fields, _ = read_block(tree.payload(part)[:_LOOKED_AT].replace(b"\r\n", b"\n").partition(b"\n\n")[0])
            if named := fields.first(b"x-hmxmroriginalrecipient"):
                about = returned.find(tree, words)
                return Bounce(
                    kind=BounceKind.COMPLAINT,
                    recipient=address_within(text(named)),
                    reason="abuse",
                    original_message_id=about.message_id,
                    loop_mark=about.loop_mark,
                )
    return None


_COMPLAINT = re.compile(r"\s{0,3}complaint about message from\b", re.I)


# ---- reports by their words


def _from_wording(tree: Tree, by: _Sender, subject: str, words: str) -> Bounce | None:
    """A report that follows no standard: a machine's sender, and words of failure."""
    if not by.may_report:  # a person's words, and most machines', are not looked through
        return None
    top = words[:_TOP]
    about = returned.find(tree, words)
    if not _is_report(by, subject, top, about):
        return None
    failed = text(tree.headers.first(b"x-failed-recipients"))
    is_delayed = names_a_delay(subject) or (
        not failed and not names_a_failure(subject) and bool(DELAYED.search(words[:1500]))
    )
    status = STATUS.search(words[:8000])
    return Bounce(
        kind=BounceKind.DELAYED if is_delayed else BounceKind.FAILED,
        recipient=address_within(failed)
        or _recipient(_before_the_copy(words[:8000]), by.address, tree)
        or about.to
        or _recipient(words[:8000], by.address, tree),
        status=status[1] if status else "",
        reason=_reason(_line_around(words, status.start()) if status else _failing_line(words)),
        original_message_id=about.message_id,
        loop_mark=about.loop_mark,
    )


def _is_report(by: _Sender, subject: str, top: str, about: Returned) -> bool:
    """How much must speak for a report, by who wrote it."""
    subject_says, top_says = names_a_failure(subject), bool(FAILED.search(top))
    if by.is_daemon:
        return subject_says or top_says or bool(DELAYED.search(subject))
    proof = has_code(top) or bool(about.message_id)
    if by.is_caretaker:
        if by.is_passed_on:  # a gateway answers "Re: …"; a person's quoted lines are not his own
            own = "\n".join(line for line in top[:1000].split("\n") if not line.lstrip().startswith((">", "|")))
            return not _FORWARD.match(subject) and has_code(own) and bool(FAILED.search(own))
        return (subject_says and (proof or by.is_null or (top_says and "@" in top))) or (top_says and proof)
    if by.is_null:
        # The empty return path alone says only "automatic": a parcel that could not be delivered is no bounce.
        return not by.is_passed_on and proof and (subject_says or (top_says and about.is_part))
    return about.is_part and bool(FAILED.search(top[:800]))  # a "no-reply" address


_FORWARD = re.compile(r"\s{0,3}(?:fwd?|wg|转发|轉寄|轉發|转寄)\s{0,3}[:：]", re.I)


def _recipient(words: str, sender: str, tree: Tree) -> str:
    """The address that a report speaks of: not its sender, not the desk it was sent to, where another is named."""
    if named := _NAMED.search(words):
        return address_within(named[1])
    ours = {sender, *(address for _, address in addresses(tree.headers.first(b"to")))}
    candidates = [_address(match[1]) for match in _ANGLED.finditer(words)]
    candidates += [address_within(line[:400]) for line in words.split("\n")[:60] if "@" in line]
    known = [one for one in candidates if one]
    return next((one for one in known if one not in ours), known[0] if known and known[0] != sender else "")


_COPY = re.compile(r"^[ \t>|]{0,8}(?:received|return-path|message-id|from|x-intake-loop)[ \t]*:", re.I | re.M)


def _before_the_copy(words: str) -> str:
    """What the report says itself: the headers of our mail name many others."""
    copy = _COPY.search(words)
    return words[: copy.start()] if copy else words


def _line_around(words: str, position: int) -> str:
    start = words.rfind("\n", 0, position) + 1
    end = words.find("\n", position)
    return words[start : end if end >= 0 else len(words)]


def _failing_line(words: str) -> str:
    match = FAILED.search(words)
    return _line_around(words, match.start()) if match else ""


def _reason(words: str) -> str:
    return " ".join(words.split())[:MAX_REASON]
