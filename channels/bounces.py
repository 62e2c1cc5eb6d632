"""Bounces: reports about mail that we, or somebody in our name, had sent.

RFC 3464 (delivery status) and RFC 5965 (abuse) reports by their fields; the servers that follow no standard
by sender and wording together. A person who forwards or quotes a report is not taken for one.
"""

from __future__ import annotations

import re

from channels.automatic import is_null_path
from channels.headers import Headers, address_within, addresses, message_ids, read_block, text
from channels.message import Bounce, BounceKind
from channels.parts import Part, Tree

MAX_REASON = 500  # characters
_LOOKED_AT = 64 * 1024  # characters of text, octets of a returned mail

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
_RETURNED_TYPES = ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers")
_ACTIONS = {
    "failed": BounceKind.FAILED,
    "failure": BounceKind.FAILED,
    "delayed": BounceKind.DELAYED,
    "delivered": BounceKind.DELIVERED,
    "relayed": BounceKind.DELIVERED,
    "expanded": BounceKind.DELIVERED,
}
_MACHINE = re.compile(
    r"(?:mailer[-_.]?daemon|mail[-_.]?daemon|postmaster|mdaemon|daemon|mailadmin|mail-?admin|mailsystem|"
    r"mail[-_.]?delivery[-_.]?(?:sub)?system)[\w.+=-]*@|(?:mailer-daemon|postmaster)$",
    re.I,
)
_MACHINE_NAME = re.compile(
    r"mail delivery (?:sub)?system|mail administrator|postmaster|系统退信|退信|mailer-daemon", re.I
)
_FAILED = re.compile(
    r"undeliver|delivery (?:status notification|(?:has |to .{1,100} )?fail|error|problem|report|incomplete)"
    r"|fail(?:ed|ure) (?:notice|delivery|to deliver)|returned mail|returned to sender|bounced"
    r"|mail (?:could not|delivery|system error|error|failure)|(?:could|can)(?: ?not|n't) be (?:delivered|sent)"
    r"|not (?:be )?delivered|unable to deliver|non[- ]?deliver"
    r"|message (?:delivery|not delivered|undelivered|could)"
    r"|unknown user|user unknown|no such user|permanent (?:fatal )?error"
    r"|退信|无法(?:投递|送达|发送)|投递失败|发送失败|未能(?:投递|送达)"
    r"|無法(?:投遞|傳送|送達|寄達|遞送)|投遞失敗|傳送失敗|寄送失敗|未送達"
    r"|配信(?:不能|できません|エラー)|unzustellbar|nicht zugestellt|non remis|no se ha podido entregar",
    re.I,
)
_DELAYED = re.compile(
    r"delay|still (?:being retried|undelivered|trying)|will (?:be retried|keep trying|continue to)"
    r"|not yet been delivered|延[迟遲]|暂未|仍在(?:尝试|嘗試)",
    re.I,
)
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_NAMED = re.compile(r"(?:final|original)-recipient\s*:\s*rfc822\s*;\s*<?([^\s<>;,]{1,320})", re.I)
_ANGLED = re.compile(r"<([^\s<>@]{1,100}@[^\s<>]{1,200})>")
_ORIGINAL_ID = re.compile(r"^[ \t>]{0,8}message-id[ \t]*:[ \t]*(<[^<>\s]{1,500}>)", re.I | re.M)


def find(tree: Tree, sender: str, sender_name: str, subject: str, words: str) -> Bounce | None:
    """What a mail reports about one of ours; None if it is no report."""
    for part in tree.parts:
        if part.media_type in _STATUS_TYPES and (bounce := _from_status(tree, part)):
            return bounce
        if part.media_type == "message/feedback-report":
            return _from_complaint(tree, part)
    return _from_wording(tree, sender, sender_name, subject, words[:_LOOKED_AT])


def _from_status(tree: Tree, part: Part) -> Bounce | None:
    """The first recipient that failed, else the first one told of (RFC 3464 §2.3)."""
    told: list[Bounce] = []
    octets = tree.payload(part)[:_LOOKED_AT].replace(b"\r\n", b"\n")
    for block in octets.split(b"\n\n"):
        fields, _ = read_block(block.strip(b"\n"))
        kind = _ACTIONS.get(text(fields.first(b"action")).partition(" ")[0].lower())
        recipient = _typed(fields.first(b"final-recipient")) or _typed(fields.first(b"original-recipient"))
        status = _STATUS.search(text(fields.first(b"status")))
        if kind is None and status:
            kind = {"2": BounceKind.DELIVERED, "4": BounceKind.DELAYED}.get(status[1][0], BounceKind.FAILED)
        if kind is None:
            continue
        reason = text(fields.first(b"diagnostic-code"))
        told.append(
            Bounce(
                kind=kind,
                recipient=address_within(recipient),
                status=status[1] if status else "",
                reason=_reason(reason.partition(";")[2] or reason),
                original_message_id=_returned_id(tree),
            )
        )
    return next((b for b in told if b.kind is BounceKind.FAILED), told[0] if told else None)


def _typed(value: bytes) -> str:
    """The address of "rfc822; someone@example.com"."""
    line = text(value)
    return line.partition(";")[2] or line


def _from_complaint(tree: Tree, part: Part) -> Bounce:
    fields, _ = read_block(tree.payload(part)[:_LOOKED_AT].strip(b"\r\n"))
    recipient = fields.first(b"original-rcpt-to") or fields.first(b"removal-recipient")
    return Bounce(
        kind=BounceKind.COMPLAINT,
        recipient=address_within(text(recipient)),
        reason=_reason(text(fields.first(b"feedback-type"))),
        original_message_id=_returned_id(tree),
    )


def _from_wording(tree: Tree, sender: str, sender_name: str, subject: str, words: str) -> Bounce | None:
    """A report that follows no standard: a machine's sender, and words of failure."""
    headers = tree.headers
    failed = text(headers.first(b"x-failed-recipients"))  # Exim
    is_daemon = bool(_MACHINE.match(sender) or _MACHINE_NAME.search(sender_name))
    first_words = words[:8000]
    status = _STATUS.search(first_words)
    if not failed and not is_daemon:
        # The empty return path alone says only "automatic": a parcel that could not be delivered is no bounce.
        has_proof = status is not None or bool(_returned_id(tree))
        if not (is_null_path(headers) and has_proof and _FAILED.search(subject)):
            return None
    is_answer = headers.first(b"auto-submitted").lower().startswith(b"auto-replied")
    if not failed and not _FAILED.search(subject) and (is_answer or not _FAILED.search(words[:4000])):
        return None
    is_delayed = bool(_DELAYED.search(subject)) or (
        not failed and not _FAILED.search(subject) and bool(_DELAYED.search(words[:1500]))
    )
    return Bounce(
        kind=BounceKind.DELAYED if is_delayed else BounceKind.FAILED,
        recipient=address_within(failed) or _recipient(first_words, sender, headers),
        status=status[1] if status else "",
        reason=_reason(_line_around(first_words, status.start()) if status else _failing_line(first_words)),
        original_message_id=_returned_id(tree) or _id_in_words(words, headers),
    )


def _recipient(words: str, sender: str, headers: Headers) -> str:
    """The address that a report speaks of: not its sender, not the desk it was sent to."""
    if named := _NAMED.search(words):
        return address_within(named[1])
    ours = {sender, *(address for _, address in addresses(headers.first(b"to")))}
    for match in _ANGLED.finditer(words):
        if (found := address_within(match[1])) and found not in ours:
            return found
    for line in words.split("\n")[:60]:
        found = address_within(line[:400]) if "@" in line else ""
        if found and found not in ours:
            return found
    return ""


def _returned_id(tree: Tree) -> str:
    """The Message-ID of the mail that came back with the report."""
    for part in tree.parts:
        if part.media_type in _RETURNED_TYPES:
            octets = tree.payload(part)[:_LOOKED_AT].lstrip(b"\r\n").replace(b"\r\n", b"\n")
            fields, _ = read_block(octets.partition(b"\n\n")[0])
            if ids := message_ids(fields.first(b"message-id")):
                return ids[0]
    return ""


def _id_in_words(words: str, headers: Headers) -> str:
    own = message_ids(headers.first(b"message-id"))
    found = [match[1] for match in _ORIGINAL_ID.finditer(words)]
    return next((i for i in reversed(found) if i not in own), "")


def _line_around(words: str, position: int) -> str:
    start = words.rfind("\n", 0, position) + 1
    end = words.find("\n", position)
    return words[start : end if end >= 0 else len(words)]


def _failing_line(words: str) -> str:
    match = _FAILED.search(words)
    return _line_around(words, match.start()) if match else ""


def _reason(words: str) -> str:
    return " ".join(words.split())[:MAX_REASON]
