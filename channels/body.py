"""The body of a mail: which parts are words and which are files; the words decoded, wrappings opened.

Nothing raises for a bad part: what cannot be read is named in `Body.defects`, and the part stays a file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from channels import invitations, names, sealed, tnef
from channels.charsets import decode
from channels.flowed import tidy
from channels.headers import text
from channels.htmltext import to_text
from channels.message import Attachment
from channels.parts import Part, Tree, cut, head
from channels.signed import signed_content
from channels.wording import Words, is_other_wording, is_words

MAX_SIGNED = 3  # signatures around signatures
MAX_INVITATIONS = 3
MAX_ENCLOSED = 10  # attached mails whose words are read
MAX_ENCLOSED_OCTETS = 256 * 1024  # of one attached mail
MAX_ENCLOSED_WORDS = 8000  # characters of one attached mail
MAX_ENCLOSED_ALL = 40_000  # characters of all of them

_MAIL_TYPES = frozenset({"message/rfc822", "message/global"})
_FILE_TYPES = frozenset({"application/octet-stream", "application/x-eml", "application/eml", "text/plain"})
_CALENDAR_FOLD = re.compile(rb"\r?\n[ \t]")
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


def read(tree: Tree, *, is_truncated: bool = False, is_enclosed: bool = False, depth: int = 0) -> Body:
    """The body. `is_truncated`: its last part was cut off; `is_enclosed`: of an attached mail, only its words count."""
    body = Body()
    words = Words()
    files: list[Part] = []
    wrappings: list[tuple[Part, tnef.Opened]] = []
    signed: list[tuple[Part, Body]] = []
    for number, part in enumerate(tree.parts):
        if is_words(part, is_first=number == 0, is_only=len(tree.parts) == 1):
            words.take(tree, part)
        elif _is_wrapping(part) and (opened := tnef.unwrap(tree.payload(part))) is not None:
            wrappings.append((part, opened))
            if not opened.is_whole:
                files.append(part)
                body.defects.append(f"part {part.path} is TNEF that could not be opened whole")
        elif depth < MAX_SIGNED and (within := _signed(tree, part)):
            inner = read(cut(within), is_truncated=is_truncated, is_enclosed=is_enclosed, depth=depth + 1)
            words.take_told(part, inner.words, inner.html, inner.charset)
            body.defects += inner.defects
            signed.append((part, inner))
        elif not is_other_wording(part):
            files.append(part)
            body.defects += sealed.notices(part)
    body.words, body.html, body.charset = words.told(), words.html(), words.charset
    _take_wrapped(body, wrappings)
    body.defects += sealed.armour(body.words)
    if is_enclosed:
        return body
    if is_truncated:  # the part that was cut off would be listed with a wrong size and sum
        files = [part for part in files if part.end < len(tree.octets)]
    body.files = tuple(_files(tree, files, wrappings))
    body.invitation = _invitations(tree, body.words)
    body.enclosed = "\n\n".join(_enclosed(tree, files, wrappings))
    for part, inner in signed:
        body.files += tuple(replace(file, path=f"{part.path}/{file.path}") for file in inner.files)
        body.invitation = body.invitation or inner.invitation
        body.enclosed = "\n\n".join(filter(None, (body.enclosed, inner.enclosed)))
    body.enclosed = body.enclosed[:MAX_ENCLOSED_ALL]
    return body


def _signed(tree: Tree, part: Part) -> bytes:
    """The mail within a part that was signed in one piece; b"" for any other part."""
    return signed_content(tree.payload(part)) if part.media_type in sealed.PKCS7 else b""


def octets_at(tree: Tree, paths: list[str]) -> dict[str, bytes]:
    """The decoded octets of files by path; each wrapping is opened once. Raises NoSuchPart."""
    parts = {part.path: part for part in tree.parts}
    found: dict[str, bytes] = {}
    within: dict[str, list[str]] = {}
    for path in paths:
        outer, is_inner, _ = path.partition("/")
        if outer not in parts:
            raise NoSuchPart(path)
        if is_inner:
            within.setdefault(outer, []).append(path)
        else:
            found[path] = tree.payload(parts[outer])
    for outer, inner_paths in within.items():
        found.update(_octets_within(tree, parts[outer], inner_paths))
    return found


def _octets_within(tree: Tree, part: Part, paths: list[str]) -> dict[str, bytes]:
    """Of files that lie in a wrapping, in an attached mail, or in one that was signed in one piece."""
    if content := _signed(tree, part):
        steps = [path.partition("/")[2] for path in paths]
        found = octets_at(cut(content), steps)
        return {path: found[step] for path, step in zip(paths, steps, strict=True)}
    if is_mail(part):
        steps = [path.partition("/")[2] for path in paths]
        found = octets_at(cut(tree.payload(part)), steps)
        return {path: found[step] for path, step in zip(paths, steps, strict=True)}
    opened = tnef.unwrap(tree.payload(part)) if _is_wrapping(part) else None
    files = dict(opened.files(part.path)) if opened else {}
    if missing := [path for path in paths if path not in files]:
        raise NoSuchPart(missing[0])
    return {path: files[path].octets for path in paths}


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


def is_mail(part: Part) -> bool:
    """An attached mail: declared as one, or a file that is one by its name."""
    return part.media_type in _MAIL_TYPES or (
        part.media_type in _FILE_TYPES and part.file_name.lower().endswith(".eml")
    )


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
            octets = tree.payload(part)[: invitations.MAX_INPUT * 2].replace(b"\r\r\n", b"\n")
            octets = _CALENDAR_FOLD.sub(b"", octets)  # before it is decoded: lines are folded within characters
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
