"""Learned: what agents' corrections have taught, as small weights on the words of the messages they were about.

An agent says that a ticket was about something else (`!topic`, `!kind`, `!urgent`): the words of its message count a
little for what it is and a little against what it was taken for. Never much: a word may gain or lose so much and no
more, however often it was put right. Nothing is copied: only the weights are kept, in memory, and they are made again
from the corrections and the messages that are still there, so that erasing a message takes its lesson back. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from routing.grams import comparable, grams
from routing.records import Correction

LESSON = 1.0  # what a message would gain if just this one came again
MOST = 0.5  # that a gram may gain or lose for a label
MAX_LESSONS = 2_000  # corrections, the latest: years of a desk
MAX_TOLD = 5  # tickets that a reason names
MAX_TEXT = 1_000  # characters of a message that teach

URGENT = "urgent"
YES, NO = "yes", "no"  # of an urgent one, as corrections have them


@dataclass(frozen=True, slots=True)
class Lesson:
    """A correction with the words that it is about."""

    correction: Correction
    text: str  # of the message, subject first


@dataclass(frozen=True, eq=False)
class Learned:
    """Everything that was learned."""

    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # label -> gram -> more or less
    taught: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)  # label -> gram -> tickets

    def for_label(self, label: str, found: set[str]) -> tuple[int, ...]:
        """The tickets on which it was learned that these grams speak for a label."""
        taught = self.taught.get(label)
        if not taught:
            return ()
        count: dict[int, float] = defaultdict(float)
        for gram in found & taught.keys():
            for ticket in taught[gram]:
                count[ticket] += self.weights[label][gram]
        told = [ticket for ticket in sorted(count, key=lambda t: (-count[t], t)) if count[ticket] >= LESSON / 5]
        return tuple(told[:MAX_TOLD])


NOTHING = Learned()


def learned_from(lessons: Iterable[Lesson]) -> Learned:
    """What these corrections teach; of more than `MAX_LESSONS` the latest."""
    latest = sorted(lessons, key=lambda one: (one.correction.at, one.correction.message))[-MAX_LESSONS:]
    weights: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    taught: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for lesson in latest:
        telling = _telling(lesson.text)
        for label, sign in _labels(lesson.correction):
            for gram in telling:
                new = weights[label][gram] + sign * LESSON / len(telling)
                weights[label][gram] = max(-MOST, min(MOST, new))
                if sign > 0 and lesson.correction.ticket not in taught[label][gram]:
                    taught[label][gram].append(lesson.correction.ticket)
    return Learned(
        {label: dict(some) for label, some in weights.items()},
        {label: {gram: tuple(of) for gram, of in some.items()} for label, some in taught.items()},
    )


def _labels(correction: Correction) -> list[tuple[str, int]]:
    """(label, +1 or -1): what the words speak for, and what they do not."""
    if correction.field == URGENT:
        return [(URGENT, 1 if correction.became == YES else -1)]
    return [(label, sign) for label, sign in ((correction.became, 1), (correction.was, -1)) if label]


def _telling(text: str) -> set[str]:
    """The grams that can teach: a single character or a mark says too little."""
    return {g for g in grams(comparable(text[:MAX_TEXT])) if len(g.strip()) > 1 and g[0] != "$"}
