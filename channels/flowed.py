"""Plain text as it was written: line ends, format=flowed (RFC 3676), no control characters."""

from __future__ import annotations

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ufeff]")


def tidy(text: str) -> str:
    """LF line ends, without control characters, byte order marks and blank space at either end."""
    text = line_ends(text)
    if "\x0c" in text or "\x0b" in text:
        text = text.replace("\x0c", "\n").replace("\x0b", "\n")
    if "\x85" in text or "\u2028" in text or "\u2029" in text:
        text = text.replace("\x85", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    if _CONTROLS.search(text):
        text = _CONTROLS.sub("", text)
    return text.lstrip("\n").rstrip()


def line_ends(text: str) -> str:
    """LF line ends. CR CR LF is one: a gateway wrote it in place of CR LF."""
    if "\r" not in text:
        return text
    return text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n")


def unflow(text: str, *, is_delsp: bool) -> str:
    """The paragraphs of a flowed text, each on one line; quote marks stand as "> "."""
    out: list[str] = []
    pieces: list[str] = []  # of the paragraph that is open
    open_depth = -1  # its depth of quoting; -1 if none is open
    for line in line_ends(text).split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        bare = bare.removeprefix(" ")  # §4.4: stuffed
        is_signature = bare == "-- "
        if open_depth >= 0 and (depth != open_depth or is_signature):
            out.append("".join(pieces))
            open_depth = -1
        if open_depth < 0:
            pieces = ["> " * depth]
        if bare.endswith(" ") and not is_signature:
            pieces.append(bare[:-1] if is_delsp else bare)
            open_depth = depth
        else:
            pieces.append(bare)
            out.append("".join(pieces))
            open_depth = -1
    if open_depth >= 0:
        out.append("".join(pieces))
    return "\n".join(out)
