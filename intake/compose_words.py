"""Other people's words, made safe to write on: cleaned, cut, escaped, wrapped. Nothing here raises on input."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

COLUMNS = 75  # of our own plain lines: quoted once ("> ") they still fit 78
_columns_now: ContextVar[int] = ContextVar("columns", default=COLUMNS)

_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = "\u00ad\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\ufff9\ufffa\ufffb"
_CONTROL = [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0))]
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")

#: For one line: controls and separators become spaces; what turns or hides text falls out.
_LINE_TABLE = (
    str.maketrans(
        dict.fromkeys(_CONTROL, " ") | dict.fromkeys("\u2028\u2029", " ") | dict.fromkeys(_BIDI + _INVISIBLE, "")
    )
    | _SURROGATES
)
#: For many lines: line ends and tabs stay, and joiners, which some scripts and emoji need.
TEXT_TABLE = (
    str.maketrans(
        dict.fromkeys([c for c in _CONTROL if c not in "\n\t"], "")
        | dict.fromkeys("\u2028\u2029", "\n")
        | dict.fromkeys(_BIDI, "")
    )
    | _SURROGATES
)


def clean_line(text: str, limit: int = 200) -> str:
    """One line that is safe in a header and in a sentence, at most `limit` characters ("…" where cut)."""
    line = " ".join(text[: limit * 8].translate(_LINE_TABLE).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def clean_text(text: str) -> str:
    """Words of several lines: \\n ends, no controls, nothing that turns the direction of reading."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(TEXT_TABLE).rstrip()


def clean_file_name(name: str) -> str:
    """A name to show and to save under: no path, no control, at least one character."""
    line = clean_line(unicodedata.normalize("NFKC", name[:1000]), 200).translate(_NOT_IN_NAMES).strip(". ")
    return line or "file"


_NOT_IN_NAMES = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))  # paths, and what Windows refuses


def cut_text(text: str, limit: int) -> tuple[str, bool]:
    """At most `limit` octets of UTF-8, whole characters, at a line end if one is near; and whether it was cut."""
    data = text[:limit].encode("utf-8", "replace")
    if len(data) <= limit and len(text) <= limit:
        return text, False
    kept = data[:limit].decode("utf-8", "ignore")
    line_end = kept.rfind("\n", len(kept) * 3 // 4)
    return (kept[:line_end] if line_end > 0 else kept), True


def escape(text: str) -> str:
    """Text for an HTML body or a double-quoted attribute."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


_LINK = re.compile(r"(?:https?://|mailto:)[!-;=?-~]{1,2000}")  # printable ASCII but < and >


def text_as_html(text: str) -> str:
    """Plain words as HTML: escaped, lines kept, web addresses made links."""
    pieces, position = [], 0
    for match in _LINK.finditer(text):
        url = match.group().rstrip(".,;:!?)]}'\"")
        if not url or url.endswith("//"):
            continue
        pieces.append(escape(text[position : match.start()]))
        pieces.append(f'<a href="{escape(url)}" rel="noopener noreferrer">{escape(url)}</a>')
        position = match.start() + len(url)
    pieces.append(escape(text[position:]))
    return "".join(pieces).replace("\n", "<br>\n").replace("  ", "&nbsp; ")


_TYPED = re.compile("「！[^「」\\s]{1,10}(?: [^「」\\s]{1,10})?」|“！[^“”\\s]{1,10}(?: [^“”\\s]{1,10})?”")
_NO_START = frozenset("，。、；：！？）」』】》〕…,.;:!?)]}%")


def columns(text: str) -> int:
    """How many columns a terminal gives it: Chinese characters two."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, width: int) -> str:
    """Filled with spaces to `width` columns."""
    return text + " " * max(0, width - columns(text))


@contextmanager
def unfolded() -> Iterator[None]:
    """What is composed herein has lines as long as they are: who shows it folds them himself, as a chat does."""
    token = _columns_now.set(10**9)
    try:
        yield
    finally:
        _columns_now.reset(token)


def wrap(text: str, first: str = "", rest: str = "") -> str:
    """Our own plain lines, folded at COLUMNS, with what begins the first line and the others. \\n between."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        begin = first if not lines else rest
        if len(begin) + 2 * len(paragraph) <= _columns_now.get():  # cannot be too wide
            lines.append((begin + paragraph).rstrip())
        else:
            lines.extend(_folded(paragraph, begin, rest))
    return "\n".join(lines)


def _folded(paragraph: str, first: str, rest: str) -> Iterator[str]:
    line, width = first, columns(first)
    is_empty = True
    for piece in _pieces(paragraph):
        size = columns(piece)
        # A closing mark never begins a line; a line that is too long by one of them is not.
        if width + columns(piece.rstrip()) > _columns_now.get() - 2 and not is_empty and piece[0] not in _NO_START:
            yield line.rstrip()
            line, width = rest, columns(rest)
        line, width, is_empty = line + piece, width + size, False
    yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """What a line may not be broken inside of: a quoted command, a word with the spaces behind it, a wide one."""
    position = 0
    for match in _TYPED.finditer(text):
        yield from _words(text[position : match.start()])
        yield match.group()
        position = match.end()
    yield from _words(text[position:])


def _words(text: str) -> Iterator[str]:
    word = ""
    for character in text:
        if unicodedata.east_asian_width(character) in "WF":
            if word:
                yield word
                word = ""
            yield character
        else:
            word += character
            if character == " ":
                yield word
                word = ""
    if word:
        yield word
