"""The body of a mail: which parts are words and which are files; the words decoded, wrappings opened.

Nothing raises for a bad part: what cannot be read is named in `Body.defects`, and the part stays a file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from channels import bounces, invitations, names, sealed, tnef
from channels.charsets import decode
from channels.flowed import tidy, unflow
from channels.headers import text
from channels.htmltext import to_text
from channels.message import Attachment
from channels.parts import Part, Tree, cut, head

MAX_PART_TEXT = 4 * 1024 * 1024  # octets of one text part that are read
MAX_INVITATIONS = 3
MAX_ENCLOSED = 20  # attached mails whose words are read
MAX_ENCLOSED_OCTETS = 1024 * 1024  # of one attached mail
MAX_ENCLOSED_WORDS = 8000  # characters of one attached mail
MAX_ENCLOSED_ALL = 40_000  # characters of all of them

_META_CHARSET = re.compile(rb"""<meta[^>]{1,200}?charset\s*=\s*["']?([a-zA-Z0-9_.:-]{2,40})""", re.I)
_BODY_TYPES = frozenset({"text/plain", "text/html"})
_MAIL_TYPES = frozenset({"message/rfc822", "message/global"})
_CALENDAR_FOLD = re.compile(rb"\r*\n[ \t]")
_WRAPPING_NAME = re.compile(r"(?i)winmail\d{0,3}\.dat")


class NoSuchPart(LookupError):
    """A path that leads to no part of these octets."""


@dataclass(slots=True)
class Body:
    """What the parts of a mail say."""

    words: str = ""  # plain text where there is some, else the HTML's; one after another where there are several
    html: str = ""
    charset: str = ""  # of the first text part, as labelled
    files: tuple[Attachment, ...] = ()
    invitation: str = ""  # what calendar parts say, in lines for people
    enclosed: str = ""  # the words of attached mails: for people, evidence of nothing
    defects: list[str] = field(default_factory=list)


def read(tree: Tree, *, is_truncated: bool = False, is_enclosed: bool = False) -> Body:
    """The body. `is_truncated`: its last part was cut off; `is_enclosed`: of an attached mail, only its words count."""
    body = Body()
    words = _Words()
    files: list[Part] = []
    wrappings: list[tuple[Part, tnef.Opened]] = []
    for number, part in enumerate(tree.parts):
        if _is_words(part, is_first=number == 0, is_only=len(tree.parts) == 1):
            words.take(tree, part)
        elif _is_wrapping(part) and (opened := tnef.unwrap(tree.payload(part))) is not None:
            wrappings.append((part, opened))
            if not opened.is_whole:
                files.append(part)
                body.defects.append(f"part {part.path} is TNEF that could not be opened whole")
        elif not _is_other_wording(part):
            files.append(part)
    body.words, body.html, body.charset = words.told(), words.html(), words.charset
    _take_wrapped(body, wrappings)
    body.defects += sealed.notices(tree, body.words)
    if is_enclosed:
        return body
    if is_truncated:  # the part that was cut off would be listed with a wrong size and sum
        files = [part for part in files if part.end < len(tree.octets)]
    body.files = tuple(_files(tree, files, wrappings))
    body.invitation = _invitations(tree, body.words)
    body.enclosed = "\n\n".join(_enclosed(tree, files, wrappings))[:MAX_ENCLOSED_ALL]
    return body


def octets_at(tree: Tree, paths: list[str]) -> dict[str, bytes]:
    """The decoded octets of files by path; each wrapping is opened once. Raises NoSuchPart."""
    parts = {part.path: part for part in tree.parts}
    opened: dict[str, dict[str, tnef.Inner]] = {}
    found: dict[str, bytes] = {}
    for path in paths:
        outer, is_inner, _ = path.partition("/")
        if outer not in parts:
            raise NoSuchPart(path)
        if not is_inner:
            found[path] = tree.payload(parts[outer])
            continue
        if outer not in opened:
            wrapping = tnef.unwrap(tree.payload(parts[outer])) if _is_wrapping(parts[outer]) else None
            opened[outer] = dict(wrapping.files(outer)) if wrapping else {}
        if path not in opened[outer]:
            raise NoSuchPart(path)
        found[path] = opened[outer][path].octets
    return found


# --- words ----------------------------------------------------------------------------------------------------


class _Words:
    """The text parts, by the alternative they stand in, or by part outside of one; in order."""

    def __init__(self) -> None:
        self.charset = ""
        self._plain: dict[str, list[str]] = {}
        self._html: dict[str, list[str]] = {}

    def take(self, tree: Tree, part: Part) -> None:
        words, label = _text_of(tree, part)
        self.charset = self.charset or label
        key = _alternative_of(part)
        self._plain.setdefault(key, [])
        self._html.setdefault(key, [])
        (self._html if part.media_type == "text/html" else self._plain)[key].append(words)

    def html(self) -> str:
        return "\n".join(page for pages in self._html.values() for page in pages)

    def told(self) -> str:
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


# --- files ----------------------------------------------------------------------------------------------------


def _files(tree: Tree, parts: list[Part], wrappings: list[tuple[Part, tnef.Opened]]) -> Iterator[Attachment]:
    yield from (_attachment(tree, part) for part in parts)
    for part, opened in wrappings:
        for path, inner in opened.files(part.path):
            yield _file(
                path,
                inner.name,
                inner.media_type if "/" in inner.media_type else "application/octet-stream",
                inner.octets,
                inner.content_id[:300],
                is_inline=bool(inner.content_id) and inner.content_id in opened.html,
            )


def _attachment(tree: Tree, part: Part) -> Attachment:
    octets = tree.payload(part)
    name = part.file_name
    if not name and part.media_type in _MAIL_TYPES:
        name = _subject_of(octets)
    content_id = text(part.headers.first(b"content-id")).strip("<> ")[:300]
    is_inline = part.disposition == "inline" or (bool(content_id) and part.disposition != "attachment")
    return _file(part.path, name, part.media_type, octets, content_id, is_inline=is_inline)


def _file(path: str, name: str, media_type: str, octets: bytes, content_id: str, *, is_inline: bool) -> Attachment:
    return Attachment(
        path=path,
        name=names.safe(name, media_type),
        media_type=media_type[:120],
        size=len(octets),
        sha256=hashlib.sha256(octets).hexdigest(),
        content_id=content_id,
        is_inline=is_inline,
    )


def _subject_of(octets: bytes) -> str:
    """A file name for an attached mail: its subject."""
    subject = text(head(octets[: 128 * 1024]).headers.first(b"subject"))
    return re.sub(r"[/\\]", "_", subject)[:120] + ".eml" if subject else ""


# --- wrappings, invitations, attached mails -------------------------------------------------------------------


def _is_wrapping(part: Part) -> bool:
    return part.media_type in tnef.MEDIA_TYPES or bool(_WRAPPING_NAME.fullmatch(part.file_name))


def _take_wrapped(body: Body, wrappings: list[tuple[Part, tnef.Opened]]) -> None:
    """The words within, where the mail has none of its own."""
    for _, opened in wrappings:
        if not body.words.strip():
            body.words = opened.text.strip() or to_text(opened.html)
            body.html = body.html or opened.html


def _invitations(tree: Tree, beside: str) -> str:
    found: list[str] = []
    for part in tree.parts:
        if part.media_type in invitations.MEDIA_TYPES and len(found) < MAX_INVITATIONS:
            octets = _CALENDAR_FOLD.sub(b"", tree.payload(part)[: invitations.MAX_INPUT * 2])
            found.append(tidy(invitations.told(decode(octets, part.params.get("charset", "utf-8")), beside)))
    return "\n\n".join(dict.fromkeys(filter(None, found)))  # the same stands in the alternative and in the file


def _enclosed(tree: Tree, parts: list[Part], wrappings: list[tuple[Part, tnef.Opened]]) -> Iterator[str]:
    """Who wrote what in each attached mail. One that came back in a report is not told: nobody forwarded it."""
    mails = [part for part in parts if part.media_type in _MAIL_TYPES and "report" not in part.parents]
    for part in mails[:MAX_ENCLOSED]:
        inner = cut(tree.payload(part)[:MAX_ENCLOSED_OCTETS])
        words = tidy(read(inner, is_enclosed=True).words)
        lines = [
            f"{name}: {value[:500]}"
            for name in ("From", "To", "Date", "Subject")
            if (value := text(inner.headers.first(name.lower().encode())))
        ]
        if lines or words:
            yield "\n".join(lines) + "\n\n" + _capped(words)
    for _, opened in wrappings:
        for mail in opened.mails():
            words = tidy(mail.text.strip() or to_text(mail.html))
            if words or mail.subject:
                yield (f"Subject: {tidy(mail.subject)[:500]}\n\n" if mail.subject else "") + _capped(words)


def _capped(words: str) -> str:
    return words if len(words) <= MAX_ENCLOSED_WORDS else words[:MAX_ENCLOSED_WORDS] + " …"
