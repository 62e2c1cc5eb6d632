"""Grams: what a text is made of, as far as it tells what is asked: pieces of Chinese, words of English.

Chinese has no word borders: of every run of characters each one, each two and each three neighbours count. Of Latin
letters the words count, without their common endings, and each two neighbours; of numbers the short ones, which name
forms and laws (401, 403). A question mark, an exclamation mark and the last character count too. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise, starmap
from operator import add

from routing.folding import fold
from routing.one_script import simplified

MAX_NUMBER = 4  # digits; longer ones are amounts and telephone numbers, which tell nothing
NUMBER = "#"  # what stands for those
_CHINESE = re.compile("[\u3400-\u9fff]+")
_LATIN = re.compile("[a-z]+(?:'[a-z]+)?|[0-9]+")
_MARKS = (("?", "?"), ("？", "?"), ("!", "!"), ("！", "!"))
_ENDINGS = ("ing", "ed", "es", "s")


def comparable(text: str) -> str:
    """The text in lower case, in one width and in one script. Linear."""
    return simplified(fold(text))


def grams(text: str) -> set[str]:
    """Everything that counts in a comparable text. A Latin word begins with a blank: no Chinese piece does."""
    found: set[str] = set()
    if not text.isascii():
        for run in _CHINESE.findall(text):
            pairs = list(map(add, run, run[1:]))
            found.update(run, pairs, map(add, pairs, run[2:]))
    words = [f" {_stem(word)}" for word in _LATIN.findall(text)]
    found.update(words, starmap(add, pairwise(words)))
    found.update(gram for mark, gram in _MARKS if mark in text)
    if last := _last(text):
        found.add(f"${last}")
    return found


def _last(text: str) -> str:
    """How it ends, but for marks: 嗎, 呢, 好."""
    for character in reversed(text[-40:]):
        if character.isalnum():
            return character
    return ""


@lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    """A word without its common endings: file, files, filed and filing are one."""
    if word[0].isdigit():
        return word if len(word) <= MAX_NUMBER else NUMBER
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending).rstrip("e")
    return word.rstrip("e") if len(word) > 3 else word


def as_written(gram: str, folded: str, compared: str) -> str:
    """The gram as a folded text has it. `compared`: the text made comparable; "" if it is not a piece of it."""
    if gram[0] in "$?!":
        return gram[1:] if gram[0] == "$" else gram
    if gram[0] != " ":
        at = compared.find(gram)
        return folded[at : at + len(gram)] if at >= 0 else ""
    wanted = gram.split()
    words = _LATIN.findall(compared)
    for at in range(len(words) - len(wanted) + 1):
        if [_stem(word) for word in words[at : at + len(wanted)]] == wanted:
            return " ".join(words[at : at + len(wanted)])
    return ""


def distinct(pieces: Iterable[str], most: int) -> list[str]:
    """The first pieces, without those that are part of one before, or have one before as a part."""
    kept: list[str] = []
    for piece in pieces:
        if piece and not any(piece in other or other in piece for other in kept):
            kept.append(piece)
            if len(kept) == most:
                break
    return kept
