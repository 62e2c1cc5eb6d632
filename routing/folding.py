"""Folding: two ways of writing the same word become one, at a bounded price.

`unicodedata.normalize("NFKC", …)` over a whole Chinese mail costs 0.1 ms per thousand characters, and is quadratic
over long runs of combining marks. So only the characters that matter here are normalised, run by run, and each of
them alone is bounded: full-width letters and digits, Kangxi radicals and compatibility ideographs.
"""

from __future__ import annotations

import re
import unicodedata

#: By number where an editor would make other characters of them: in U+2F00 and U+F900 stand twins of common ones.
_COMPATIBLE = re.compile("[０-９Ａ-Ｚａ-ｚ＠＋＃－．\u2f00-\u2fd5\uf900-\ufad9]+")

#: What mail clients put between two characters without anybody seeing it: soft hyphen, zero-width and
#: directional marks, variation selectors, word joiner, byte order mark.
UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
)
_BETWEEN = re.compile(rf"[\s>|*_=\\{UNSEEN}]+")  # `>` and `|` stand before quoted lines, `*` and `_` round bold text
_HYPHENS = re.compile("[\u2010-\u2015\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d]")


def fold(text: str) -> str:
    """Lower case, full-width letters made plain. Linear; the length may change."""
    if text.isascii():
        return text.lower()
    return _COMPATIBLE.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text).lower()


def squeeze(text: str) -> str:
    """Only what survives any line wrapping: folded, without white space, quote marks and invisible characters.

    Two texts that a reader would take for the same words are equal after this, however a client wrapped,
    quoted or hyphenated them.
    """
    return _BETWEEN.sub("", _HYPHENS.sub("-", fold(text)))
