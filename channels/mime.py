"""Mail: RFC 5322 octets to the normal form. Pure, linear, and for any octets whatever.

`parse` raises nothing for a bad mail: what is odd is named in `Message.defects`, what cannot be read is left in
the raw bytes. `headers_only` is for mail that a worker died of: it never looks at the body's structure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from channels import automatic, bounces, names, quotes
from channels.authentication import MAX_LINES, verdicts
from channels.charsets import decode
from channels.flowed import tidy, unflow
from channels.headers import Headers, address_within, addresses, date, message_ids, one_line, text
from channels.htmltext import to_text
from channels.language import guess
from channels.message import Address, Attachment, Medium, Message, Recipient, Role, Scheme, Verdict
from channels.parts import Part, Tree, cut, head

PARSER_VERSION = 2  # raised whenever the same octets would give another normal form

MAX_TEXT = 1024 * 1024  # characters of text_full; the rest stays in the raw bytes
MAX_HTML = 2 * 1024 * 1024  # characters
MAX_PART_TEXT = 4 * 1024 * 1024  # octets of one text part that are read
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
}
_META_CHARSET = re.compile(rb"""<meta[^>]{1,200}?charset\s*=\s*["']?([a-zA-Z0-9_.:-]{2,40})""", re.I)
_BODY_TYPES = frozenset({"text/plain", "text/html"})


class NoSuchPart(LookupError):
    """A path that leads to no part of these octets."""


def parse(raw: bytes, *, is_truncated: bool = False) -> Message:
    """The normal form of a mail. `is_truncated`: only its beginning was fetched, so that it becomes a stub."""
    tree = cut(raw)
    body = _Body(tree)
    html = tidy(body.html())[:MAX_HTML]
    words = body.words(tree)
    full = tidy(words)
    defects = [*tree.defects]
    if len(full) > MAX_TEXT:
        defects.append(f"text of {len(full)} characters: only the first {MAX_TEXT} were kept")
        full = full[:MAX_TEXT]
    files = _files(tree, body.files, is_truncated=is_truncated)
    if is_truncated:
        defects.append("larger than the limit: only the beginning was fetched")
    return _message(tree, defects, full=full, html=html, files=files, charset=body.charset, is_stub=is_truncated)


def headers_only(raw: bytes) -> Message:
    """A stub from the headers alone, whatever the rest is."""
    tree = head(raw)
    return _message(tree, [*tree.defects, "only the headers were read"], is_stub=True)


def part_bytes(raw: bytes, path: str) -> bytes:
    """The decoded octets of an attachment. Raises NoSuchPart for a path that `parse` did not give."""
    return parts_bytes(raw, [path])[path]


def parts_bytes(raw: bytes, paths: Iterable[str]) -> dict[str, bytes]:
    """The decoded octets of attachments by path; the mail is cut once for all of them. Raises NoSuchPart."""
    tree = cut(raw)
    parts = {part.path: part for part in tree.parts}
    try:
        return {path: tree.payload(parts[path]) for path in paths}
    except KeyError as error:
        raise NoSuchPart(*error.args) from None


def _message(
    tree: Tree,
    defects: list[str],
    *,
    full: str = "",
    html: str = "",
    files: tuple[Attachment, ...] = (),
    charset: str = "",
    is_stub: bool,
) -> Message:
    headers = tree.headers
    senders = [pair for value in headers.all(b"from") for pair in addresses(value)]
    sender = _sender(headers, senders, defects)
    subject = text(headers.first(b"subject"))[:MAX_SUBJECT]
    split = quotes.split(full, sender.value)
    report_type = tree.root_params.get("report-type", "").lower()
    ids = message_ids(headers.first(b"message-id"))
    return Message(
        medium=Medium.EMAIL,
        sender=sender,
        recipients=_recipients(headers),
        reply_to=tuple(_mail(pair) for value in headers.all(b"reply-to") for pair in addresses(value)),
        subject=subject,
        text=split.new,
        quoted=split.quoted,
        text_full=full,
        html=html,
        attachments=files,
        message_id=ids[0] if ids else "",
        in_reply_to=message_ids(b" ".join(headers.all(b"in-reply-to"))),
        references=message_ids(b" ".join(headers.all(b"references"))),
        date_header=date(headers.first(b"date")),
        language=guess(split.new, charset) or guess(subject, charset),
        content_key=_content_key(tree),
        auto_submitted=automatic.why(headers, tree.root_type, report_type, sender.value, subject, full),
        bounce=bounces.find(tree, sender.value, sender.display_name, subject, full),
        spam=_spam(headers),
        authentication=_authentication(headers),
        from_count=len(senders),
        loop_marks=tuple(text(value)[:200] for value in headers.all(b"x-intake-loop")[:20]),
        automatic_id=text(headers.first(b"x-auto-response-suppress"))[:200],
        defects=tuple(dict.fromkeys(defects))[:MAX_DEFECTS],
        is_stub=is_stub,
        source_headers=_source_headers(headers),
    )


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


# --- words and files ------------------------------------------------------------------------------------------


class _Body:
    """Which leaves are words and which are files; the words, decoded."""

    def __init__(self, tree: Tree) -> None:
        self.files: list[Part] = []
        self.charset = ""  # of the first text part, as labelled
        self._plain: dict[str, list[str]] = {}  # by alternative, or by part outside of one; in order
        self._html: dict[str, list[str]] = {}
        for number, part in enumerate(tree.parts):
            if _is_words(part, is_first=number == 0, is_only=len(tree.parts) == 1):
                self._take(tree, part)
            elif not _is_other_wording(part):
                self.files.append(part)

    def _take(self, tree: Tree, part: Part) -> None:
        words, label = _text_of(tree, part)
        self.charset = self.charset or label
        key = _alternative_of(part)
        self._plain.setdefault(key, [])
        self._html.setdefault(key, [])
        (self._html if part.media_type == "text/html" else self._plain)[key].append(words)

    def html(self) -> str:
        return "\n".join(page for pages in self._html.values() for page in pages)

    def words(self, tree: Tree) -> str:
        """Plain text where there is some, else the HTML's; one after another where there are several."""
        pieces = []
        for key, plain in self._plain.items():
            written = "\n\n".join(p.strip("\r\n") for p in plain if p.strip())
            if not written:
                written = "\n\n".join(map(to_text, self._html[key]))
            if written:
                pieces.append(written)
        return "\n\n".join(pieces)


def _alternative_of(part: Part) -> str:
    """The path of the outermost multipart/alternative around a part; its own path if there is none."""
    if "alternative" not in part.parents:
        return part.path
    steps = part.path.split(".")[: part.parents.index("alternative")]
    return ".".join(steps) + "/"


def _is_words(part: Part, *, is_first: bool, is_only: bool) -> bool:
    if part.media_type not in _BODY_TYPES:
        return part.media_type in ("text/enriched", "text/richtext", "text/rfc822-headers") and is_only
    is_named = bool(part.file_name)
    if part.disposition == "attachment":
        return is_only and not is_named
    return not is_named or is_first


def _is_other_wording(part: Part) -> bool:
    """A form of the same words that nobody asks for (AMP), or the fields of a report: no file of a person."""
    if part.file_name:
        return False
    if part.media_type in bounces.REPORT_TYPES:
        return True
    is_alternative = bool(part.parents) and part.parents[-1] == "alternative"
    return is_alternative and part.media_type.startswith("text/") and part.media_type != "text/calendar"


def _text_of(tree: Tree, part: Part) -> tuple[str, str]:
    """The words of a part, and the charset it is labelled with."""
    octets = tree.payload(part)
    if len(octets) > MAX_PART_TEXT:
        end = octets.rfind(b"\n", 0, MAX_PART_TEXT)
        octets = octets[: end if end > 0 else MAX_PART_TEXT]
        tree.defects.append(f"text part {part.path} is longer than {MAX_PART_TEXT} octets: the rest was not read")
    label = part.params.get("charset", "")
    if part.media_type == "text/html":
        if not label and (meta := _META_CHARSET.search(octets[:2048])):
            label = meta[1].decode("ascii")
        return decode(octets, label), label
    words = decode(octets, label)
    if part.params.get("format", "").lower() == "flowed":
        words = unflow(words, is_delsp=part.params.get("delsp", "").lower() == "yes")
    return words, label


def _files(tree: Tree, parts: list[Part], *, is_truncated: bool) -> tuple[Attachment, ...]:
    if is_truncated:  # the part that was cut off would be listed with a wrong size and sum
        parts = [part for part in parts if part.end < len(tree.octets)]
    return tuple(_attachment(tree, part) for part in parts)


def _attachment(tree: Tree, part: Part) -> Attachment:
    octets = tree.payload(part)
    name = part.file_name
    if not name and part.media_type in ("message/rfc822", "message/global"):
        name = _subject_of(octets)
    content_id = text(part.headers.first(b"content-id")).strip("<> ")[:300]
    return Attachment(
        path=part.path,
        name=names.safe(name, part.media_type),
        media_type=part.media_type[:120],
        size=len(octets),
        sha256=hashlib.sha256(octets).hexdigest(),
        content_id=content_id,
        is_inline=part.disposition == "inline" or (bool(content_id) and part.disposition != "attachment"),
    )


def _subject_of(octets: bytes) -> str:
    """A file name for an attached mail: its subject."""
    subject = text(head(octets[: 128 * 1024]).headers.first(b"subject"))
    return re.sub(r"[/\\]", "_", subject)[:120] + ".eml" if subject else ""


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


def _spam(headers: Headers) -> str:
    """The provider's own verdict."""
    for name in (b"x-spam-flag", b"x-spam-status", b"x-spam"):
        value = text(headers.first(name))
        if value.lower().startswith("yes"):
            return value[:200]
    return ""


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
