"""Signatures: what an agent's program puts below his words. The customer gets the firm's instead.

Cut is only what is known to be one: what stands below `-- ` (RFC 3676 §4.3, also where a program dropped the blank), if
it is as short as a signature and quotes nobody, and what the configuration says he signs with. In doubt it stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from routing.folding import squeeze

MAX_LINES = 12  # below `-- `, blank ones not counted: more than that are words
MAX_CHARACTERS = 800


def without_signature(lines: Sequence[str], known: Sequence[str] = ()) -> tuple[list[str], int]:
    """The lines above the signature, and how many (blank ones not counted) were cut. `known`: lines he signs with."""
    kept = list(lines)
    for cut in (_below_mark, _as_configured):
        kept = kept[: cut(kept, known)]
    return kept, _said(lines) - _said(kept)


def _said(lines: Sequence[str]) -> int:
    return sum(1 for line in lines if line.strip())


def _below_mark(lines: Sequence[str], _: Sequence[str]) -> int:
    """Where the last `-- ` stands; the end if what is below is none."""
    mark = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].rstrip() == "--"), len(lines))
    below = [line for line in lines[mark + 1 :] if line.strip()]
    is_one = len(below) <= MAX_LINES and sum(map(len, below)) <= MAX_CHARACTERS
    return mark if is_one and not any(line.lstrip().startswith((">", "＞")) for line in below) else len(lines)


def _as_configured(lines: Sequence[str], known: Sequence[str]) -> int:
    """Where the lines begin that he is known to sign with; the end if the words do not end in them."""
    wanted = [squeezed for line in known if (squeezed := squeeze(line))]
    index = len(lines)
    while wanted and index:
        index -= 1
        found = squeeze(lines[index])
        if found and found != wanted.pop():
            return len(lines)
    return index if not wanted else len(lines)
