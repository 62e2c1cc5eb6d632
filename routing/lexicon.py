"""The lexicon: which of a list of words occur in a text, however many there are.

English words are looked up among the text's words with their common endings. Chinese has no word borders: the text's
pairs of neighbouring characters, as 32-bit numbers, are intersected with the pairs of the words; only a word all of
whose pairs occur is searched for (4 times as fast as searching for each word). Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True)
class Lexicon:
    """Words, arranged so that a text is scanned once."""

    by_token: Mapping[str, tuple[str, ...]]  # form -> words it is a form of
    phrases: Mapping[str, tuple[str, ...]]  # first token -> ASCII phrases
    singles: tuple[str, ...]  # of one character, or ASCII with marks in it ("hello?"): few, each searched for
    by_pair: Mapping[int, tuple[tuple[frozenset[int], str], ...]]  # first pair -> (all pairs, word)
    pairs: frozenset[int]

    @classmethod
    def of(cls, words: Iterable[str]) -> Lexicon:
        """From words already folded."""
        by_token: dict[str, list[str]] = defaultdict(list)
        phrases: dict[str, list[str]] = defaultdict(list)
        singles: list[str] = []
        by_pair: dict[int, list[tuple[frozenset[int], str]]] = defaultdict(list)
        for word in sorted({word for word in words if word}):
            if word.isascii() and word.isalnum():
                for form in _forms(word):
                    by_token[form].append(word)
            elif word.isascii() and word.replace(" ", "").isalnum():
                phrases[word.split()[0]].append(word)
            elif word.isascii() or len(_units(word)) < 4:
                singles.append(word)
            else:
                first = _pairs(_units(word[:2]), frozenset())
                by_pair[next(iter(first))].append((_pairs(_units(word), frozenset()), word))
        pairs = frozenset(pair for entries in by_pair.values() for entry in entries for pair in entry[0])
        return cls(_frozen(by_token), _frozen(phrases), tuple(singles), _frozen(by_pair), pairs)

    def found_in(self, text: str) -> set[str]:
        """The words that occur in a folded text."""
        is_ascii = text.isascii()
        tokens = set(text.translate(_MARKS_TO_BLANKS).split() if is_ascii else _TOKENS.findall(text))
        found = {word for word in self.singles if word in text}
        for token in tokens & self.by_token.keys():
            found.update(self.by_token[token])
        for token in tokens & self.phrases.keys():
            found.update(phrase for phrase in self.phrases[token] if phrase in text)
        if not is_ascii:
            present = _pairs(_units(text), self.pairs)
            for pair in present & self.by_pair.keys():
                for all_pairs, word in self.by_pair[pair]:
                    # A word that is one pair has been found already; of longer ones the order is open.
                    if len(all_pairs) == 1 or (all_pairs <= present and word in text):
                        found.add(word)
        return found


def _units(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _pairs(units: bytes, among: frozenset[int]) -> frozenset[int]:
    """Every two neighbouring UTF-16 units as one number; only those of `among`, unless that is empty."""
    even = memoryview(units[: len(units) & ~3]).cast("I")
    odd = memoryview(units[2 : 2 + (len(units) - 2 & ~3)]).cast("I")
    if not among:
        return frozenset(even).union(odd)
    return among.intersection(even) | among.intersection(odd)


_TOKENS = re.compile("[a-z0-9]+")
_MARKS_TO_BLANKS = {code: " " for code in range(128) if not chr(code).isalnum()}


def _forms(word: str) -> set[str]:
    """An English word and its common endings: file, files, filed, filing."""
    if not word.isalpha() or len(word) < 3:
        return {word}
    stem = word.removesuffix("e")
    return {word, word + "s", word + "es", stem + "ed", stem + "ing"}


_K = TypeVar("_K")
_T = TypeVar("_T")


def _frozen(lists: Mapping[_K, list[_T]]) -> dict[_K, tuple[_T, ...]]:
    return {key: tuple(values) for key, values in lists.items()}
