"""Weighing: what the pieces of a text count for, as weights that were learned from example sentences.

Linear and explainable: every gram has a weight for each label, a text's score for a label is the sum of the weights of
its grams, divided by how much the text has to say. The weights of all labels of a gram stand side by side in one
integer, a lane for each, so that a text is summed up in one go: 0.05 ms for an ordinary mail, however many labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

MOST_ADDED = 1.5  # to a score, by what was learned since: about what tells a clear case from an open one
SCALE = 100  # of the stored weights, which are whole numbers
_LANE = 32  # bits: millions of grams fit
_HALF = 1 << (_LANE - 1)
_MASK = (1 << _LANE) - 1
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of labels, in the file


class WeightsWrong(ValueError):
    """The file of weights does not have the form that `parsed` reads."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a text says for each label; positive where it speaks for it."""

    of: Mapping[str, float]
    added: Mapping[str, float]  # what of that was learned since
    known: frozenset[str]  # its grams that count for anything


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of grams for labels."""

    version: str  # a hash of the sentences that they were learned from
    labels: tuple[str, ...]
    bias: tuple[float, ...]  # of each label
    lines: tuple[str, ...]  # of the file, a gram each

    def score(self, grams: set[str], more: Mapping[str, Mapping[str, float]] | None = None) -> Score:
        """What a text says. `more`: label -> gram -> what was learned since, added as it is."""
        known = grams & self.packed.keys()
        lanes = self._lanes(sum(map(self.packed.__getitem__, known)))
        size = sqrt(max(lanes[-1], 1) / SCALE) * SCALE
        of = {name: lane / size + bias for name, lane, bias in zip(self.labels, lanes, self.bias, strict=False)}
        added: dict[str, float] = {}
        for label, learned in (more or {}).items():
            if label in of and (shared := grams & learned.keys()):
                added[label] = max(-MOST_ADDED, min(MOST_ADDED, sum(map(learned.__getitem__, shared))))
                of[label] += added[label]
        return Score(of, added, frozenset(known))

    def speaking_for(self, label: str, grams: frozenset[str]) -> list[str]:
        """Those grams that count for a label, what counts most first."""
        rank = self._read[1][self.labels.index(label)]
        return sorted(grams & rank.keys(), key=rank.__getitem__)

    @property
    def packed(self) -> Mapping[str, int]:
        """Gram -> its weights, lane by lane; the lane behind the labels has its size squared."""
        return self._read[0]

    @cached_property
    def _read(self) -> tuple[dict[str, int], list[dict[str, int]]]:
        """The lines, read when first asked for: gram -> packed weights, and what counts for each label, ranked."""
        packed: dict[str, int] = {}
        speaking: list[dict[str, int]] = [{} for _ in range(len(self.labels) + 1)]
        for line in self.lines:
            gram, _, weights = line.partition("\t")
            total = 0
            for letter, digits in _WEIGHT.findall(weights):
                at, weight = _PLACES[letter], int(digits)
                total += weight << _LANE * at
                if weight > 0:
                    speaking[at][gram] = weight
            packed[gram] = total
        return packed, [_ranked(weights) for weights in speaking]

    def _lanes(self, packed: int) -> list[int]:
        """The numbers side by side in one: each was added as it is, so a negative one has borrowed from the next."""
        lifted = packed + self._lift
        return [(lifted >> shift & _MASK) - _HALF for shift in range(0, _LANE * (len(self.labels) + 1), _LANE)]

    @cached_property
    def _lift(self) -> int:
        return sum(_HALF << (_LANE * at) for at in range(len(self.labels) + 1))


def _ranked(weights: Mapping[str, int]) -> dict[str, int]:
    """Gram -> its place, what counts most first."""
    return {gram: place for place, gram in enumerate(sorted(weights, key=lambda gram: (-weights[gram], gram)))}


def parsed(text: str) -> Weights:
    """Read a file of weights: its version, labels and biases, then a line for each gram. Raises `WeightsWrong`.

    `發票<TAB>a120b-33` says that the gram counts 1.20 for the first label and 0.33 against the second; what is not
    named counts nothing. The letter behind those of the labels is that of its size squared.
    """
    lines = text.rstrip("\n").split("\n")
    heads = [line.split("\t") for line in lines[:3]]
    if [head[0] for head in heads] != ["version", "labels", "bias"] or len(heads[1]) != len(heads[2]):
        raise WeightsWrong("version, labels and biases are not as they should be")
    bias = tuple(int(written) / SCALE for written in heads[2][1:])
    return Weights(heads[0][1], tuple(heads[1][1:]), bias, tuple(lines[3:]))


_WEIGHT = re.compile("([a-zA-Z])(-?[0-9]+)")
_PLACES = {letter: at for at, letter in enumerate(LETTERS)}


def written(weights: Mapping[str, Iterable[int]], labels: Iterable[str], bias: Iterable[int], version: str) -> str:
    """A file that `parsed` reads. Raises IndexError for more labels than there are letters."""
    head = ["\t".join(("version", version)), "\t".join(("labels", *labels)), "\t".join(("bias", *map(str, bias)))]
    grams = [
        gram + "\t" + "".join(f"{LETTERS[at]}{weight}" for at, weight in enumerate(some) if weight)
        for gram, some in sorted(weights.items())
    ]
    return "\n".join([*head, *grams]) + "\n"
