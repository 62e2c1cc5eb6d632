"""Mail: RFC 5322 octets to the normal form. Pure, linear, and for any octets whatever.

`parse` raises nothing for a bad mail: what is odd is named in `Message.defects`, what cannot be read is left in
the raw bytes. `headers_only` is for mail that a worker died of: it never looks at the body's structure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from channels import automatic, body, bounces, passed_on, quotes, spam
from channels.authentication import MAX_LINES, verdicts
from channels.body import Body, NoSuchPart
from channels.charsets import decode
from channels.flowed import tidy
from channels.headers import Headers, address_within, addresses, date, message_ids, one_line, text
from channels.language import guess
from channels.message import Address, Medium, Message, Recipient, Role, Scheme, Verdict
from channels.parts import Tree, cut, head

__all__ = ["PARSER_VERSION", "NoSuchPart", "headers_only", "parse", "part_bytes", "parts_bytes"]

PARSER_VERSION = 3  # raised whenever the same octets would give another normal form

MAX_TEXT = 1024 * 1024  # characters of text_full; the rest stays in the raw bytes
MAX_HTML = 2 * 1024 * 1024  # characters
MAX_SUBJECT = 1000  # characters
MAX_NAME = 200  # characters of a display name
MAX_SOURCE_HEADER = 2 * 1024  # characters
MAX_SOURCE_HEADERS = 50  # trace headers
MAX_DEFECTS = 20

_TRACE = frozenset({b"received", b"authentication-results"})
_KEPT = {
    b"received": "Received",
    b"authentication-results": "Authentication-Results",
    b"from": "From",
    b"sender": "Sender",
    b"return-path": "Return-Path",
    b"delivered-to": "Delivered-To",
    b"x-original-to": "X-Original-To",
    b"thread-index": "Thread-Index",
    b"x-mailer": "X-Mailer",
    b"user-agent": "User-Agent",
    b"x-ms-exchange-organization-authas": "X-MS-Exchange-Organization-AuthAs",
}


def parse(raw: bytes, *, is_truncated: bool = False) -> Message:
    """The normal form of a mail. `is_truncated`: only its beginning was fetched, so that it becomes a stub."""
    tree = cut(raw)
    message = _parsed(tree, is_truncated=is_truncated)
    found = passed_on.find(tree, message, lambda octets: _parsed(cut(octets)))
    return message if found is None else replace(message, passed_on=found)


def _parsed(tree: Tree, *, is_truncated: bool = False) -> Message:
    found = body.read(tree, is_truncated=is_truncated)
    found.html = tidy(found.html)[:MAX_HTML]
    found.words = tidy(found.words)
    defects = [*tree.defects, *found.defects]
    if len(found.words) > MAX_TEXT:
        defects.append(f"text of {len(found.words)} characters: only the first {MAX_TEXT} were kept")
        found.words = found.words[:MAX_TEXT]
    if is_truncated:
        defects.append("larger than the limit: only the beginning was fetched")
    return _message(tree, found, defects, is_stub=is_truncated)


def headers_only(raw: bytes) -> Message:
    """A stub from the headers alone, whatever the rest is."""
    tree = head(raw)
    return _message(tree, Body(), [*tree.defects, "only the headers were read"], is_stub=True)


def part_bytes(raw: bytes, path: str) -> bytes:
    """The decoded octets of an attachment. Raises NoSuchPart for a path that `parse` did not give."""
    return parts_bytes(raw, [path])[path]


def parts_bytes(raw: bytes, paths: Iterable[str]) -> dict[str, bytes]:
    """The decoded octets of attachments by path; the mail is cut once for all of them. Raises NoSuchPart."""
    return body.octets_at(cut(raw), list(paths))


def _message(tree: Tree, found: Body, defects: list[str], *, is_stub: bool) -> Message:
    headers = tree.headers
    senders = [pair for value in headers.all(b"from") for pair in addresses(value)]
    sender = _sender(headers, senders, defects)
    subject = text(headers.first(b"subject"))[:MAX_SUBJECT]
    full = found.words
    split = quotes.split(full, sender.value, subject)
    report_type = tree.root_params.get("report-type", "").lower()
    ids = next(filter(None, map(message_ids, headers.all(b"message-id"))), ())
    return Message(
        medium=Medium.EMAIL,
        sender=sender,
        recipients=_recipients(headers),
        reply_to=tuple(_mail(pair) for value in headers.all(b"reply-to") for pair in addresses(value)),
        subject=subject,
        text=_joined(split.new, found.invitation),
        quoted=split.quoted,
        text_full=_joined(full, found.invitation),
        html=found.html,
        attachments=found.files,
        enclosed=found.enclosed,
        message_id=ids[0] if ids else "",
        in_reply_to=message_ids(b" ".join(headers.all(b"in-reply-to"))),
        references=message_ids(b" ".join(headers.all(b"references"))),
        date_header=next(filter(None, map(date, headers.all(b"date"))), None),
        language=guess(split.new, found.charset) or guess(subject, found.charset),
        content_key=_content_key(tree),
        auto_submitted=automatic.why(headers, tree.root_type, report_type, sender.value, subject, full),
        is_absent_by_words=automatic.reads_as_absence(subject, full) and not automatic.says_so(headers, tree.root_type),
        bounce=bounces.find(tree, sender.value, sender.display_name, subject, full),
        spam=spam.verdict(headers),
        authentication=_authentication(headers),
        from_count=len(senders),
        loop_marks=tuple(text(value)[:200] for value in headers.all(b"x-intake-loop")[:20]),
        automatic_id=automatic.asks_for_silence(headers)[:200],
        defects=tuple(dict.fromkeys(defects))[:MAX_DEFECTS],
        is_stub=is_stub,
        source_headers=_source_headers(headers),
    )


def _joined(words: str, invitation: str) -> str:
    """An invitation's lines stand beneath the words, where no quote is looked for and no command."""
    return "\n\n".join(filter(None, (words, invitation)))


# --- people ---------------------------------------------------------------------------------------------------


def _mail(pair: tuple[str, str]) -> Address:
    return Address(scheme=Scheme.MAIL, value=pair[1], display_name=pair[0][:MAX_NAME])


def _sender(headers: Headers, senders: list[tuple[str, str]], defects: list[str]) -> Address:
    if senders:
        if len(senders) > 1:
            defects.append(f"{len(senders)} From addresses")
        return _mail(senders[0])
    # Some programs encode name and address together. It is shown, but from_count stays 0: it proves nothing.
    line = text(headers.first(b"from"))
    defects.append("no From address" if line else "no From header")
    return Address(scheme=Scheme.MAIL, value=address_within(line), display_name=line[:MAX_NAME])


def _recipients(headers: Headers) -> tuple[Recipient, ...]:
    return tuple(
        Recipient(role=role, address=_mail(pair))
        for name, role in ((b"to", Role.TO), (b"cc", Role.CC))
        for value in headers.all(name)
        for pair in addresses(value)
    )


# --- what servers say -----------------------------------------------------------------------------------------


def _content_key(tree: Tree) -> str:
    """Joins copies of one mail. Without Message-ID and Date there is nothing that would tell two mails apart."""
    headers = tree.headers
    ids, date_line = text(headers.first(b"message-id")), text(headers.first(b"date"))
    if not ids and not date_line:
        return ""
    digest = hashlib.sha256()
    for value in (ids, text(headers.first(b"from")), date_line):
        digest.update(value.encode("utf-8", "replace") + b"\n")
    digest.update(memoryview(tree.octets)[tree.body_start :])
    return digest.hexdigest()


def _authentication(headers: Headers) -> tuple[Verdict, ...]:
    lines = headers.all(b"authentication-results")[:MAX_LINES]
    return tuple(verdict for line in lines for verdict in verdicts(_plain(line)))


def _source_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    """The headers that tell a mail's way, topmost first, as many and as long as the limits allow."""
    kept: list[tuple[str, str]] = []
    traces = others = 0
    for name, value in headers.fields:
        shown = _KEPT.get(name)
        if shown is None:
            continue
        if name in _TRACE:
            traces += 1
            if traces <= MAX_SOURCE_HEADERS:
                kept.append((shown, _plain(value)[:MAX_SOURCE_HEADER]))
        else:
            others += 1
            if others <= MAX_SOURCE_HEADERS:
                kept.append((shown, text(value)[:MAX_SOURCE_HEADER]))
    return tuple(kept)


def _plain(value: bytes) -> str:
    """A structured value: encoded words have no meaning in it, so none is opened."""
    return one_line(decode(value))
