"""The parts of a mail: cut on octets, by position, without copying; which are words and which are files.

Any octets are taken and nothing is raised; what is odd is named in `Tree.defects`. Cutting by the outer boundary
first means that an inner multipart without its end cannot swallow what follows it. At most 30 levels and
500 parts are looked at: what lies beyond stays in the raw bytes and is named as a defect.
Sources: RFC 2045, RFC 2046 §5.1.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

from channels.headers import Headers, base64_octets, parameters, read_block, split_head

MAX_DEPTH = 30  # multiparts within multiparts
MAX_PARTS = 500  # leaves of one mail

_OLD_MAC_LINE = re.compile(rb"\r(?!\n)")
_HEADER_BEHIND = re.compile(rb"\r[!-9;-~]{1,100}:")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}")  # RFC 6838 §4.2


@dataclass(slots=True)
class Part:
    """One leaf of a mail. Positions are of `Tree.octets`."""

    path: str  # from the root, IMAP style: "1", "2.1"
    headers: Headers
    media_type: str  # lower case; as declared, "text/plain" where nothing is
    params: dict[str, str]
    start: int
    end: int
    parents: tuple[str, ...]  # subtypes of the multiparts around it, outermost first
    position: int = 0  # among its brothers, from 0

    @property
    def disposition(self) -> str:
        return parameters(self.headers.first(b"content-disposition"))[0]

    @property
    def file_name(self) -> str:
        """As the sender wrote it: not safe yet. "" if none. Of two, the one that is readable."""
        value = self.headers.first(b"content-disposition")
        name = parameters(value)[1].get("filename", "") if value else ""
        other = self.params.get("name", "")
        if name and other and name != other and _is_garbled(name) and not _is_garbled(other):
            return other
        return name or other


def _is_garbled(name: str) -> bool:
    """Characters were lost on the way: U+FFFD, or question marks in place of letters."""
    return "\ufffd" in name or "??" in name or "=?" in name


@dataclass(slots=True)
class Tree:
    """A mail, cut up."""

    octets: bytes  # what the positions refer to: the raw bytes, unless their lines ended in CR alone or in CR CR LF
    headers: Headers
    body_start: int
    root_type: str
    root_params: dict[str, str]
    parts: list[Part] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)

    def payload(self, part: Part) -> bytes:
        """The decoded octets of a part."""
        return decode_transfer(self.octets[part.start : part.end], part.headers.first(b"content-transfer-encoding"))


@dataclass(slots=True)
class _Open:
    """A stretch of octets that is still to be cut."""

    path: str
    headers: Headers
    start: int
    end: int
    parents: tuple[str, ...]
    position: int
    default_type: str


def cut(raw: bytes) -> Tree:
    """The parts of a mail, in order. A single-part mail has one, with path "1"."""
    tree, root = _open_root(_with_line_ends(raw))
    waiting = [root]
    while waiting:
        piece = waiting.pop()
        media_type, params = _type_of(piece)
        inner = _cut_multipart(tree, piece, media_type, params) if media_type.startswith("multipart/") else None
        if inner is None:
            if media_type.startswith("multipart/"):
                media_type = "text/plain"  # RFC 2046 §5.1.1 says nothing; people wrote words there
            tree.parts.append(
                Part(
                    piece.path or "1",
                    piece.headers,
                    media_type,
                    params,
                    piece.start,
                    piece.end,
                    piece.parents,
                    piece.position,
                )
            )
        else:
            waiting.extend(reversed(inner))
        if len(tree.parts) + len(waiting) > MAX_PARTS:
            tree.defects.append(f"more than {MAX_PARTS} parts: the rest was not looked at")
            del waiting[: len(tree.parts) + len(waiting) - MAX_PARTS]
            if len(tree.parts) >= MAX_PARTS:
                break
    return tree


def head(raw: bytes) -> Tree:
    """The headers alone: the body is not looked at."""
    beginning = raw[: 1024 * 1024]
    mended = _with_line_ends(beginning)
    return _open_root(raw if mended is beginning else mended)[0]


def _with_line_ends(raw: bytes) -> bytes:
    """The same octets with lines that end as lines do, where the headers show that a gateway or an old Mac wrote them.

    Lines of the body alone are mended when they are decoded: a part of binary octets must stay as it is.
    """
    first = raw.find(b"\n")
    if first < 0:
        return _OLD_MAC_LINE.sub(b"\n", raw) if b"\r" in raw else raw
    if raw.endswith(b"\r\r", 0, first):
        return raw.replace(b"\r\r\n", b"\r\n")
    if (lone := raw.find(b"\r", 0, max(0, first - 1))) >= 0 and _HEADER_BEHIND.match(raw, lone):
        return _OLD_MAC_LINE.sub(b"\n", raw)
    return raw


def _open_root(raw: bytes) -> tuple[Tree, _Open]:
    start = 0
    while raw.startswith((b"\n", b"\r\n"), start) and start < 64:  # blank lines before the first header
        start += 1 if raw[start] == 0x0A else 2
    head_end, body = split_head(raw, start, len(raw))
    headers, rest = read_block(raw[start:head_end])
    tree = Tree(raw, headers, body, "", {}, [], list(headers.defects))
    if rest >= 0:
        body = tree.body_start = start + rest
        tree.defects.append("no blank line between headers and body")
    if b"\r" in raw[body : body + 1024] and raw.find(b"\n", body) < 0:
        tree.octets = raw[:body] + _OLD_MAC_LINE.sub(b"\n", raw[body:])
    if not raw or raw.isspace():
        tree.defects.append("the mail is empty")
    root = _Open("", headers, body, len(raw), (), 0, "text/plain")
    tree.root_type, tree.root_params = _type_of(root)
    return tree, root


def _type_of(piece: _Open) -> tuple[str, dict[str, str]]:
    value = piece.headers.first(b"content-type")
    if not value:
        return piece.default_type, {}
    media_type, params = parameters(value)
    if not _MEDIA_TYPE.fullmatch(media_type):
        # RFC 2045 §5.2: what makes no sense is text/plain; a lone "text" says as much.
        if media_type.split("/")[0] == "multipart" and "boundary" in params:
            return "multipart/mixed", params
        if media_type in ("", "text", "plain", "text/") or not params.get("name"):
            return "text/plain", params
        return "application/octet-stream", params
    return media_type, params


def _cut_multipart(tree: Tree, piece: _Open, media_type: str, params: dict[str, str]) -> list[_Open] | None:
    """The pieces of a multipart; None if it is to be read as text after all."""
    boundary = params.get("boundary", "").encode("utf-8", "replace")
    if not boundary:
        tree.defects.append(f"{media_type} without a boundary")
        return None
    if len(piece.parents) >= MAX_DEPTH:
        tree.defects.append(f"more than {MAX_DEPTH} levels of parts: the rest was not looked at")
        return []
    spans, is_closed, is_cut = _spans(tree.octets, boundary, piece.start, piece.end)
    if not spans:
        tree.defects.append(f"{media_type} whose boundary never comes")
        return None
    if not is_closed:
        tree.defects.append(f"{media_type} without its end")
    if is_cut:
        tree.defects.append(f"more than {MAX_PARTS} parts: the rest was not looked at")
    subtype = media_type.partition("/")[2]
    default = "message/rfc822" if subtype == "digest" else "text/plain"  # RFC 2046 §5.1.5
    inner = []
    for number, (start, end) in enumerate(spans):
        head_end, body = split_head(tree.octets, start, end)
        headers, rest = read_block(tree.octets[start:head_end])
        if rest >= 0:
            body = start + rest
        path = f"{piece.path}.{number + 1}" if piece.path else str(number + 1)
        inner.append(_Open(path, headers, body, end, (*piece.parents, subtype), number, default))
    return inner


def _spans(octets: bytes, boundary: bytes, start: int, end: int) -> tuple[list[tuple[int, int]], bool, bool]:
    """(begin, end) of what lies between the delimiter lines; whether the closing one came; whether it was cut."""
    spans: list[tuple[int, int]] = []
    mark = b"--" + boundary
    begin = -1
    position = start
    while True:
        position = octets.find(mark, position, end)
        if position < 0:
            break
        after = position + len(mark)
        if position > start and octets[position - 1] != 0x0A:
            position = after
            continue
        line_end = octets.find(b"\n", after, min(end, after + 1000))
        tail = octets[after : line_end if line_end >= 0 else min(end, after + 1000)].rstrip(b" \t\r")
        is_last = tail.startswith(b"--")
        if tail and not is_last:
            position = after  # a longer boundary that begins alike
            continue
        if begin >= 0:
            spans.append((begin, max(begin, _before_line_end(octets, position))))
        if is_last:
            return spans, True, False
        if len(spans) >= MAX_PARTS:
            return spans, True, True
        begin = line_end + 1 if line_end >= 0 else end
        position = begin
    if begin >= 0 and begin < end:
        spans.append((begin, end))
    return spans, False, False


def _before_line_end(octets: bytes, position: int) -> int:
    """The line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1)."""
    return position - 2 if octets[position - 2 : position] == b"\r\n" else position - 1


def decode_transfer(octets: bytes, encoding: bytes) -> bytes:
    """Octets freed of their Content-Transfer-Encoding; as they are if it is unknown."""
    name = encoding.strip().lower()
    if name == b"base64":
        return base64_octets(octets)
    if name in (b"quoted-printable", b"quoted_printable", b"qp"):
        return binascii.a2b_qp(octets)
    if name in (b"x-uuencode", b"uuencode", b"uue", b"x-uue"):
        return _uudecode(octets)
    return octets


def _uudecode(octets: bytes) -> bytes:
    out = []
    has_begun = False
    for line in octets.splitlines():
        if not has_begun:
            has_begun = line.startswith(b"begin ")
        elif line.strip() == b"end":
            break
        else:
            try:
                out.append(binascii.a2b_uu(line))
            except binascii.Error:  # a line that pads wrongly: as many octets as its length tells
                wanted = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
                try:
                    out.append(binascii.a2b_uu(line[:wanted]))
                except binascii.Error:
                    continue
    return b"".join(out) if has_begun else octets
