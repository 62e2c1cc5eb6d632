"""Evidence: what the words of a text tell of its topic and kind, whether it is urgent, and how surely it complains.

Two ways. With the weights that were learned from example sentences (`routing/weighing.py`), everything that stands in
the text is weighed; without them (a policy that brings its own words alone), the words of its taxonomy are counted.
Either way the words that counted are the reasons. Too little evidence for a topic is said so: a generalist gets it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import exp

from routing.folding import fold
from routing.grams import as_written, comparable, distinct, grams
from routing.learned import NOTHING
from routing.lexicon import Lexicon
from routing.one_script import simplified
from routing.policy import Policy
from routing.reasons import Reason, because
from routing.weighing import Score, Weights
from routing.words import Kind

MIN_TOPIC_POINTS = 2  # one strong word, or two weak ones; fewer count only where no other topic has any
STRONG, WEAK = 2, 1
MAX_SHOWN = 6  # words that a reason names
MAX_CONFIDENT = 0.99  # of what was weighed: only a rule is certain
#: Scores are about 1 where a text speaks clearly for a label, -1 where it does not: measured on messages held out.
MIN_TOPIC_SCORE = -0.75  # below that nothing speaks for any topic
CLEAR_COMPLAINT = 0.3  # from here on, and with a word that says so, a complaint is certain enough for an apology
LITTLE = 6  # known pieces of a text; with fewer only a word that says so makes it a complaint
IN_DOUBT = 0.15  # that a complaint may be behind another kind: taken for a question, it would wait too long
TAKEN_BACK = 0.6  # what "I am not complaining" takes off
URGENT_SCORE = -0.1
STEEPNESS = 3.0  # of the confidence: how fast a lead in score becomes certainty


class Strength(StrEnum):
    """How surely a message is a complaint."""

    STRONG = "strong"  # it may be apologised for by machine
    WEAK = "weak"  # a certified person looks at it first
    NONE = "none"


GRADES = (Strength.NONE, Strength.WEAK, Strength.STRONG)  # in order


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What the words tell."""

    kind: Kind
    topic: str  # "" for a generalist
    urgent: bool
    confidence: float  # 0..1, of the topic
    complaint: Strength
    why_kind: tuple[Reason, ...]
    why_topic: tuple[Reason, ...]
    why_urgent: tuple[Reason, ...]  # () where it is not


@dataclass(frozen=True)
class Evidence:
    """What each word of a policy's taxonomy counts for; where it has weights, only of complaining and not."""

    lexicon: Lexicon
    topics: Mapping[str, tuple[tuple[str, int], ...]]  # word -> (topic, points)
    cues: Mapping[str, tuple[str, ...]]  # word -> kinds, "urgent", "not_urgent", "not_complaint"
    shown: Mapping[str, str]  # word -> as the taxonomy writes it

    @classmethod
    def of(cls, policy: Policy) -> Evidence:
        topics: dict[str, dict[str, int]] = defaultdict(dict)
        cues: dict[str, list[str]] = defaultdict(list)
        shown: dict[str, str] = {}
        for key, topic in policy.topics.items() if policy.weights is None else ():
            for points, words in ((WEAK, topic.weak), (STRONG, topic.strong)):
                for word in words:
                    topics[comparable(word)][key] = points
                    shown.setdefault(comparable(word), word)
        for name, words in policy.cues.items():
            if policy.weights is not None and not name.startswith("not_") and name != Kind.COMPLAINT:
                continue
            # The same word in both scripts counts once.
            for word in dict.fromkeys(comparable(word) for word in words):
                cues[word].append(name)
            shown.update({comparable(word): word for word in reversed(words)})
        return cls(
            Lexicon.of((*topics, *cues)),
            {word: tuple(points.items()) for word, points in topics.items()},
            {word: tuple(names) for word, names in cues.items()},
            shown,
        )

    def written(self, words: Iterable[str]) -> list[str]:
        return [self.shown[word] for word in words]


#: The last policy's evidence. One snapshot serves thousands of messages; making it anew takes milliseconds.
_last: tuple[Policy, Evidence] | None = None


def _evidence_of(policy: Policy) -> Evidence:
    global _last  # a memo of a pure function; one assignment, so threads may race harmlessly
    if _last is None or _last[0] is not policy:
        _last = (policy, Evidence.of(policy))
    return _last[1]


def judge(text: str, policy: Policy) -> Judged:
    """What a text tells."""
    evidence = _evidence_of(policy)
    folded = fold(text)
    compared = simplified(folded)
    found = evidence.lexicon.found_in(compared)
    cues: dict[str, list[str]] = defaultdict(list)
    for word in sorted(found):
        for cue in evidence.cues.get(word, ()):
            cues[cue].append(word)
    if policy.weights is None:
        return _counted(evidence, found, cues, policy)
    return _Weighing(folded, compared, policy, policy.weights).judged(cues)


# ---- weighed


class _Weighing:
    """One text on the scales."""

    def __init__(self, folded: str, compared: str, policy: Policy, weights: Weights) -> None:
        self._folded = folded
        self._compared = compared
        self._policy = policy
        self._weights = weights
        self._grams = grams(compared)
        self._learned = policy.learned if policy.is_learning else NOTHING
        self._score: Score = weights.score(self._grams, self._learned.weights)

    @property
    def _says_something(self) -> bool:
        """Whether it has anything but marks and an ending that count."""
        return any(gram[0] not in "$?!" for gram in self._score.known)

    def judged(self, cues: Mapping[str, list[str]]) -> Judged:
        of = self._score.of
        kinds = {kind: of[kind.value] for kind in Kind}
        if cues.get("not_complaint"):
            kinds[Kind.COMPLAINT] -= TAKEN_BACK
        is_learned = any(self._score.added.values())
        if len(self._score.known) < LITTLE and not cues.get(Kind.COMPLAINT.value) and not is_learned:
            kinds[Kind.COMPLAINT] = -math.inf  # "12345", "第一句": two syllables accuse nobody
        kind = max(kinds, key=lambda kind: kinds[kind] + (IN_DOUBT if kind is Kind.COMPLAINT else 0.0))
        why_kind = because("kind_default")
        strength = Strength.NONE
        if not self._says_something and not self._learned.for_label(kind.value, self._grams):
            kind = Kind.CONSULTATION
        else:
            why_kind = because("kind", kind=kind.value, words=self._words(kind.value))
        if kind is Kind.COMPLAINT:
            # What agents have put right may calm it; it makes nobody apologise.
            score = kinds[kind] - max(self._score.added.get(kind.value, 0.0), 0.0)
            is_clear = score >= CLEAR_COMPLAINT and cues.get(kind.value) and not cues.get("not_complaint")
            strength = Strength.STRONG if is_clear else Strength.WEAK
        urgent = of["urgent"] >= URGENT_SCORE and not cues.get("not_urgent")
        topic, confidence, why_topic = self._topic()
        return Judged(
            kind=kind,
            topic=topic,
            urgent=urgent,
            confidence=confidence,
            complaint=strength,
            why_kind=(why_kind, *self._from(kind.value), *graded(strength)),
            why_topic=(why_topic, *self._from(topic)),
            why_urgent=(because("urgent", words=self._words("urgent")), *self._from("urgent")) if urgent else (),
        )

    def _topic(self) -> tuple[str, float, Reason]:
        of = {topic: self._score.of[topic] for topic in self._policy.topics if topic in self._score.of}
        best = max(of, key=lambda topic: of[topic])
        confidence = _confidence(of, best)
        if of[best] < MIN_TOPIC_SCORE or not (self._says_something or self._learned.for_label(best, self._grams)):
            return "", confidence, because("topic_weak")
        return best, confidence, because("topic_weighed", topic=best, confidence=confidence, words=self._words(best))

    def _words(self, label: str) -> str:
        """What counted for a label, as the customer wrote it."""
        counted = self._weights.speaking_for(label, self._score.known)[: MAX_SHOWN * 5]
        pieces = (as_written(gram, self._folded, self._compared) for gram in counted)
        return ", ".join(distinct(pieces, MAX_SHOWN))

    def _from(self, label: str) -> tuple[Reason, ...]:
        """On whose word a label was learned, if on anybody's."""
        tickets = self._learned.for_label(label, self._grams)
        return (because("learned_from", tickets=", ".join(f"#{number}" for number in tickets)),) if tickets else ()


def graded(strength: Strength) -> tuple[Reason, ...]:
    """What is told of how surely it complains."""
    if strength is Strength.NONE:
        return ()
    return (because("complaint_strong") if strength is Strength.STRONG else because("complaint_weak"),)


def _confidence(scores: Mapping[str, float], best: str) -> float:
    total = sum(exp(STEEPNESS * (score - scores[best])) for score in scores.values())
    return min(round(1 / total, 2), MAX_CONFIDENT)


# ---- counted


def _counted(evidence: Evidence, found: set[str], cues: Mapping[str, list[str]], policy: Policy) -> Judged:
    topic, confidence, why_topic = _topic(evidence, found, policy)
    kind, why_kind = _kind(evidence, cues)
    urgent = cues.get("urgent", []) if not cues.get("not_urgent") else []
    strength = Strength.NONE
    if kind is Kind.COMPLAINT:  # one word may be said of anything
        strength = Strength.STRONG if len(cues["complaint"]) > 1 else Strength.WEAK
    return Judged(
        kind=kind,
        topic=topic,
        urgent=bool(urgent),
        confidence=confidence,
        complaint=strength,
        why_kind=(why_kind, *graded(strength)),
        why_topic=(why_topic,),
        why_urgent=(because("urgent", words=_few(evidence.written(urgent))),) if urgent else (),
    )


def _topic(evidence: Evidence, found: Iterable[str], policy: Policy) -> tuple[str, float, Reason]:
    """(topic or "", confidence, reason). Of two equal topics the one that the taxonomy names first."""
    points: dict[str, int] = defaultdict(int)
    words: dict[str, list[str]] = defaultdict(list)
    for word in sorted(found):
        for topic, count in evidence.topics.get(word, ()):
            points[topic] += count
            words[topic].append(word)
    if not points:
        return "", 0.0, because("topic_weak")
    order = {key: index for index, key in enumerate(policy.topics)}
    best = min(points, key=lambda topic: (-points[topic], order[topic]))
    confidence = round(points[best] / max(sum(points.values()), MIN_TOPIC_POINTS), 2)
    if points[best] < MIN_TOPIC_POINTS and len(points) > 1:
        return "", confidence, because("topic_weak")
    shown = _few(evidence.written(words[best]))
    return best, confidence, because("topic", topic=best, points=points[best], words=shown)


def _kind(evidence: Evidence, cues: Mapping[str, list[str]]) -> tuple[Kind, Reason]:
    """The kind that the cues tell. A complaint weighs most: taken for a question, it would wait too long."""
    complaint = cues.get("complaint", [])
    if complaint and not cues.get("not_complaint"):
        shown = _few(evidence.written(complaint))
        return Kind.COMPLAINT, because("kind", kind=Kind.COMPLAINT.value, words=shown)
    counts = {kind: len(cues.get(kind.value, ())) for kind in _BY_WEIGHT}
    best = max(_BY_WEIGHT, key=lambda kind: counts[kind])
    if not counts[best]:
        return Kind.CONSULTATION, because("kind_default")
    return best, because("kind", kind=best.value, words=_few(evidence.written(cues[best.value])))


_BY_WEIGHT = (Kind.FEEDBACK, Kind.BUSINESS, Kind.CONSULTATION)  # of two equal ones the first


def _few(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)[:8])
