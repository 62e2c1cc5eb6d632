"""Rich text of Outlook: compressed octets, the HTML or the plain words that they carry. Linear, and for any octets.

Outlook hides the HTML it was given in rich text ([MS-OXRTFEX]); what it wrote itself is told as plain words, without
its looks. Sources: [MS-OXRTFCP] (compression), [MS-OXRTFEX] (HTML within), the RTF specification 1.9.
"""

from __future__ import annotations

import re
import struct

from channels.charsets import decode

MAX_OUT = 4 * 1024 * 1024  # octets of rich text that are looked at
MAX_GROUPS = 200  # groups within groups

_HEADER = struct.Struct("<IIII")  # compressed size, raw size, kind, checksum
_COMPRESSED, _PLAIN = b"LZFu", b"MELA"
#: What every dictionary begins with ([MS-OXRTFCP] §2.1.2.1).
_START = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_SIZE = 4096  # octets of the dictionary


def rtf_octets(octets: bytes) -> bytes:
    """The rich text, unpacked; b"" for what is none."""
    if len(octets) < _HEADER.size:
        return b""
    kind = octets[8:12]
    if kind == _PLAIN:
        return octets[_HEADER.size :][:MAX_OUT]
    if kind != _COMPRESSED:
        return b""
    book = bytearray(_START.ljust(_SIZE, b" "))
    write = len(_START)
    out = bytearray()
    position = _HEADER.size
    while position < len(octets) and len(out) < MAX_OUT:
        flags = octets[position]
        position += 1
        for bit in range(8):
            if position >= len(octets):
                break
            if not flags >> bit & 1:
                out.append(octets[position])
                book[write] = octets[position]
                write = (write + 1) % _SIZE
                position += 1
                continue
            token = int.from_bytes(octets[position : position + 2], "big")
            position += 2
            read, length = token >> 4, (token & 15) + 2
            if read == write:
                return bytes(out)  # the end is a reference to itself
            for _ in range(length):
                octet = book[read]
                out.append(octet)
                book[write] = octet
                read, write = (read + 1) % _SIZE, (write + 1) % _SIZE
    return bytes(out)


_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z'])|([{}])|[\r\n]+|([^\\{}\r\n]+)|(\\)", re.S
)
_UNSEEN = frozenset(b"fonttbl colortbl stylesheet info pict object header footer listtable revtbl themedata".split())
_SIGNS = {b"par": "\n", b"line": "\n", b"tab": "\t", b"cell": " | ", b"row": "\n", b"lquote": "‘", b"rquote": "’"}
_SIGNS |= {b"ldblquote": "“", b"rdblquote": "”", b"bullet": "•", b"endash": "–", b"emdash": "—"}


class _Group:
    """What holds until the group ends."""

    __slots__ = ("is_hidden", "is_star", "is_tag")

    def __init__(self, outer: _Group | None = None) -> None:
        self.is_hidden: bool = outer is not None and outer.is_hidden
        self.is_tag: bool = outer is not None and outer.is_tag
        self.is_star: bool = False


def rtf_html(rtf: bytes) -> str:
    """The HTML that the rich text was made from; "" if it was made from none."""
    return _read(rtf, is_html=True) if b"\\fromhtml" in rtf[:2000] else ""


def rtf_text(rtf: bytes) -> str:
    """The words of rich text."""
    return _read(rtf, is_html=False) if rtf.startswith(b"{\\rtf") else ""


def _read(rtf: bytes, *, is_html: bool) -> str:
    out: list[str] = []
    pending = bytearray()  # octets of a code page: a character may take two of them
    groups = [_Group()]
    label = "windows-1252"
    is_off = False  # between \htmlrtf and \htmlrtf0: only for readers of rich text
    skip = 0  # what stands in for a \u that was understood

    def flush() -> None:
        if pending:
            out.append(decode(bytes(pending), label))
            pending.clear()

    for token in _TOKEN.finditer(rtf[:MAX_OUT]):
        word, number, octet, sign, brace, plain, _ = token.groups()
        group = groups[-1]
        is_shown = not group.is_hidden and not (is_off and not group.is_tag)
        if brace == b"{":
            if len(groups) >= MAX_GROUPS:
                break
            groups.append(_Group(group))
        elif brace == b"}":
            if len(groups) > 1:
                groups.pop()
        elif octet is not None:
            if skip:
                skip -= 1
            elif is_shown:
                pending.append(int(octet, 16))
        elif plain is not None:
            plain, skip = plain[skip:], max(0, skip - len(plain))
            if is_shown:
                pending += plain
        elif sign is not None:
            if sign == b"*":
                group.is_star = True
            elif is_shown and sign in b"\\{}":
                pending += sign
            elif is_shown and sign == b"~":
                flush()
                out.append("\u00a0")
        elif word is not None:
            if word == b"htmlrtf":
                is_off = number != b"0"
            elif word == b"htmltag":
                group.is_tag, group.is_star = True, False
                group.is_hidden = group.is_hidden or not is_html
            elif word == b"ansicpg" and number:
                label = f"windows-{int(number)}"
            elif word in _UNSEEN or (group.is_star and word != b"htmltag"):
                group.is_hidden, group.is_star = True, False
            elif word == b"u" and number and is_shown:
                flush()
                out.append(chr(int(number) & 0xFFFF))
                skip = 1
            elif word in _SIGNS and is_shown:
                flush()
                out.append(_SIGNS[word])
    flush()
    return "".join(out).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
