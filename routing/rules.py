"""Rules: kind, topic, urgency and team of a message.

The rules of config.toml are asked first, and the first that matches wins; what it does not say is told by the
evidence of the taxonomy: words that count for a topic, cues for a kind, cues for urgency. Too little evidence for
a topic is said so, and the message goes to a generalist. Every condition and word that counted is a reason.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from channels.message import Message
from routing.folding import fold
from routing.policy import ChannelPolicy, Policy, Rule
from routing.reasons import Reason, because
from routing.words import Kind

MAX_EVIDENCE_LATIN = 4_000  # characters that are evidence, a page or so: what is asked stands there
MAX_EVIDENCE = 1_000  # the same where there is Chinese, which says more in a character
MAX_RULE_TEXT = 64 * 1024  # characters in which a rule's words are looked for
MIN_TOPIC_POINTS = 2  # one strong word, or two weak ones; fewer count only where no other topic has any
STRONG, WEAK = 2, 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    kind: Kind
    topic: str  # key of Policy.topics; "" for a generalist
    urgent: bool
    language: str  # of the message, the desk's if nothing could be told
    team: str
    agent: str = ""  # named by a rule; "" to choose
    confidence: float = 0.0  # 0..1: of the topic, the share of the points that the best topic has; 1 by rule
    reasons: tuple[Reason, ...] = ()


# --- finding words --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lexicon:
    """Evidence words, arranged so that a text is scanned once, however many words there are.

    English words are looked up among the text's words with their common endings. Chinese has no word borders:
    the text's pairs of neighbouring characters, as 32-bit numbers, are intersected with the pairs of the words;
    only a word all of whose pairs occur is searched for (4 times as fast as searching for each word).
    """

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


# --- evidence -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """What each word of a policy's taxonomy counts for."""

    lexicon: Lexicon
    topics: Mapping[str, tuple[tuple[str, int], ...]]  # word -> (topic, points)
    cues: Mapping[str, tuple[str, ...]]  # word -> kinds, "urgent", "not_complaint"

    @classmethod
    def of(cls, policy: Policy) -> Evidence:
        topics: dict[str, dict[str, int]] = defaultdict(dict)
        for key, topic in policy.topics.items():
            for points, words in ((WEAK, topic.weak), (STRONG, topic.strong)):
                for word in words:
                    topics[fold(word)][key] = points
        cues: dict[str, list[str]] = defaultdict(list)
        for name, words in policy.cues.items():
            # The same word in both scripts counts once.
            for word in dict.fromkeys(fold(word) for word in words):
                cues[word].append(name)
        return cls(
            Lexicon.of((*topics, *cues)),
            {word: tuple(points.items()) for word, points in topics.items()},
            _frozen(cues),
        )


#: The last policy's evidence. One snapshot serves thousands of messages; making it anew takes milliseconds.
_last: tuple[Policy, Evidence] | None = None


def _evidence_of(policy: Policy) -> Evidence:
    global _last  # a memo of a pure function; one assignment, so threads may race harmlessly
    if _last is None or _last[0] is not policy:
        _last = (policy, Evidence.of(policy))
    return _last[1]


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
    return best, confidence, because("topic", topic=best, points=points[best], words=_few(words[best]))


def _kind(cues: Mapping[str, list[str]]) -> tuple[Kind, Reason]:
    """The kind that the cues tell. A complaint weighs most: taken for a question, it would wait too long."""
    complaint = cues.get("complaint", [])
    if complaint and not cues.get("not_complaint"):
        return Kind.COMPLAINT, because("kind", kind=Kind.COMPLAINT.value, words=_few(complaint))
    counts = {kind: len(cues.get(kind.value, ())) for kind in _BY_WEIGHT}
    best = max(_BY_WEIGHT, key=lambda kind: counts[kind])
    if not counts[best]:
        return Kind.CONSULTATION, because("kind_default")
    return best, because("kind", kind=best.value, words=_few(cues[best.value]))


_BY_WEIGHT = (Kind.FEEDBACK, Kind.BUSINESS, Kind.CONSULTATION)  # of two equal ones the first


def _few(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)[:8])


# --- rules of the configuration -------------------------------------------------------------------------------------


def _first_rule(
    message: Message, written: str, policy: Policy, channel: ChannelPolicy
) -> tuple[Rule | None, tuple[Reason, ...]]:
    text = fold(written) if any(rule.words for rule in policy.rules) else ""
    for rule in policy.rules:
        reasons = _conditions(rule, message, text, channel)
        if reasons is not None:
            return rule, (because("rule", rule=rule.name), *reasons)
    return None, ()


def _conditions(rule: Rule, message: Message, text: str, channel: ChannelPolicy) -> tuple[Reason, ...] | None:
    """What made the rule match, None if one of its conditions does not hold."""
    met: list[Reason] = []
    if rule.channels:
        if channel.name not in rule.channels and message.medium.value not in rule.channels:
            return None
        met.append(because("rule_channel", value=channel.name))
    if rule.senders:
        sender = message.sender.value.lower()
        of_domain = "@" + sender.rpartition("@")[2]
        if not any(written.lower() in (sender, of_domain) for written in rule.senders):
            return None
        met.append(because("rule_sender", value=of_domain if "@" in sender else message.sender.scheme.value))
    if rule.words:
        word = next((word for word in rule.words if fold(word) in text), None)
        if word is None:
            return None
        met.append(because("rule_word", value=word))
    return tuple(met)


# --- the whole ------------------------------------------------------------------------------------------------------


def classify(message: Message, policy: Policy, channel: ChannelPolicy) -> Classification:
    """What the message asks of the firm, and which team takes it. Cheap: it runs for every message."""
    written = f"{message.subject}\n{message.text}"[:MAX_RULE_TEXT]
    rule, reasons = _first_rule(message, written, policy, channel)
    evidence = _evidence_of(policy)
    page = written[:MAX_EVIDENCE_LATIN]
    found = evidence.lexicon.found_in(fold(page if page.isascii() else page[:MAX_EVIDENCE]))
    cues: dict[str, list[str]] = defaultdict(list)
    for word in found:
        for cue in evidence.cues.get(word, ()):
            cues[cue].append(word)
    topic, confidence, why_topic = _topic(evidence, found, policy)
    kind, why_kind = _kind(cues)
    urgent = bool(cues.get("urgent"))
    why_urgent = (because("urgent", words=_few(cues["urgent"])),) if urgent else ()
    if rule is not None:
        if rule.topic is not None:
            topic, confidence, why_topic = rule.topic, 1.0, because("rule", rule=rule.name)
        if rule.kind is not None:
            kind, why_kind = rule.kind, because("rule", rule=rule.name)
        if rule.urgent is not None:
            urgent, why_urgent = rule.urgent, (because("rule", rule=rule.name),) if rule.urgent else ()
    team, why_team = _team(rule, policy, channel)
    told = (*reasons, why_kind, why_topic, *why_urgent, why_team)
    return Classification(
        kind=kind,
        topic=topic,
        urgent=urgent,
        language=message.language or policy.language,
        team=team,
        agent=rule.agent or "" if rule is not None else "",
        confidence=confidence,
        reasons=tuple(dict.fromkeys(told)),
    )


def _team(rule: Rule | None, policy: Policy, channel: ChannelPolicy) -> tuple[str, Reason]:
    if rule is not None and rule.team is not None:
        return rule.team, because("team", team=rule.team, why=rule.name)
    if channel.team:
        return channel.team, because("team", team=channel.team, why=channel.name)
    return policy.default_team, because("team", team=policy.default_team, why="default")
