"""The terminal: what is printed for people, and what is printed for programs.

People get sentences and tables of at most 100 columns, in which a Chinese character takes two; programs get JSON, one
object, or one a line. Whatever strangers wrote is cleaned before it is shown: a subject must not move the cursor.
"""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import orjson

from intake.compose_words import clean_line

MAX_COLUMNS = 100
MIN_COLUMNS = 40
GAP = "  "  # between two columns of a table

_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}


@dataclass(frozen=True)
class Screen:
    """Where output goes, and in which form."""

    out: TextIO
    is_json: bool
    has_colour: bool = False
    columns: int = MAX_COLUMNS
    is_terminal: bool = False

    @classmethod
    def of(cls, out: TextIO, *, wants: str = "") -> Screen:
        """For a stream. `wants` is "json" or "text" where that was asked for; "" goes by whether it is a terminal."""
        is_terminal = out.isatty()
        columns = shutil.get_terminal_size((MAX_COLUMNS, 24)).columns if is_terminal else MAX_COLUMNS
        return cls(
            out,
            is_json=wants == "json" or (not wants and not is_terminal),
            # https://no-color.org: present and not empty, whatever its value.
            has_colour=is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
            columns=max(MIN_COLUMNS, min(MAX_COLUMNS, columns)),
            is_terminal=is_terminal,
        )

    def line(self, text: str = "") -> None:
        self.out.write(text + "\n")

    def json(self, value: Any) -> None:
        """One object, on one line."""
        option = orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
        self.out.write(orjson.dumps(_writable(value), default=str, option=option).decode())

    def paint(self, colour: str, text: str) -> str:
        """`text` in red, green, yellow, dim or bold, where there are colours."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.has_colour and text else text

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]], *, flexible: int, indent: str = "") -> None:
        """Aligned columns; the `flexible` one gives way where the whole would be too wide."""
        cleaned = [[clean_line(cell, 400) for cell in row] for row in rows]
        for number, row in enumerate(aligned([list(heads), *cleaned], flexible, self.columns - len(indent))):
            self.line(indent + (self.paint("dim", row) if number == 0 else row))

    def wrapped(self, text: str, *, first: str = "", then: str = "") -> None:
        """A paragraph within the columns; `first` before its first line, `then` before the others."""
        for line in wrap(clean_line(text, 2_000), self.columns, first, then):
            self.line(line)


def _writable(value: Any) -> Any:
    """Without lone surrogates, which UTF-8 cannot hold and a file name may."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if not value.isascii() else value
    if isinstance(value, Mapping):
        return {_writable(key): _writable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(inner) for inner in value]
    return value


def width(text: str) -> int:
    """How many columns a terminal gives the text: two for wide characters, none for combining ones and colours."""
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    if text.isascii():
        return len(text)
    return sum(_width_of(c) for c in text)


def _width_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """The text in at most so many columns; what is left out is said with "…"."""
    if width(text) <= columns:
        return text
    kept, used = [], 1  # of the ellipsis
    for character in text:
        used += _width_of(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def padded(text: str, columns: int) -> str:
    return text + " " * max(0, columns - width(text))


def aligned(rows: Sequence[Sequence[str]], flexible: int, columns: int) -> list[str]:
    """Rows as lines with their columns under one another, within `columns`."""
    widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - columns
    if excess > 0:
        widths[flexible] = max(8, widths[flexible] - excess)
    return [
        GAP.join(padded(fit(cell, size), size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def wrap(text: str, columns: int, first: str = "", then: str = "") -> list[str]:
    """Lines of at most `columns`, broken at spaces and beside wide characters."""
    lines, line = [], first
    is_empty = True
    for piece in _pieces(text):
        word = piece.strip()
        space = " " if piece.startswith(" ") and not is_empty else ""
        if not is_empty and width(line) + len(space) + width(word) > columns:
            lines.append(line)
            line, space = then, ""
        while width(line) + width(word) > columns and len(word) > 1:
            room = max(1, columns - width(line))
            head = _head(word, room)
            lines.append(line + head)
            line, word = then, word[len(head) :]
        line += space + word
        is_empty = False
    return [*lines, line]


def _head(word: str, columns: int) -> str:
    """As much of an unbreakable word as fits; at least one character."""
    used, count = 0, 0
    for character in word:
        used += _width_of(character)
        if used > columns and count:
            break
        count += 1
    return word[:count]


_CLINGS = frozenset("，。、；：！？）」』】》〕…,.;:!?)]}%")  # never begins a line


def _pieces(text: str) -> list[str]:
    """What a line may be broken between: words with the space before them, single wide characters."""
    pieces: list[str] = []
    is_open = False  # the last piece may still grow
    for character in text:
        is_wide = _width_of(character) == 2
        if character == " ":
            pieces.append(" ")
            is_open = True
        elif pieces and (character in _CLINGS or pieces[-1] == " " or (is_open and not is_wide)):
            pieces[-1] += character
            is_open = not is_wide
        else:
            pieces.append(character)
            is_open = not is_wide
    return pieces
