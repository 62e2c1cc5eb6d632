"""Rules: kind, topic, urgency and team of a message.

The rules of config.toml are asked first, and the first that matches wins; what it does not say is told by what
stands in the message (`routing/evidence.py`). Every condition and word that counted is a reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from channels.message import Message
from routing.evidence import GRADES, Strength, graded, judge
from routing.folding import fold
from routing.policy import ChannelPolicy, Policy, Rule
from routing.reasons import Reason, because
from routing.words import Kind

MAX_EVIDENCE_LATIN = 4_000  # characters that are evidence, a page or so: what is asked stands there
MAX_EVIDENCE = 1_000  # the same where there is Chinese, which says more in a character
MAX_RULE_TEXT = 64 * 1024  # characters in which a rule's words are looked for


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    kind: Kind
    topic: str  # key of Policy.topics; "" for a generalist
    urgent: bool
    language: str  # of the message, the desk's if nothing could be told
    team: str
    agent: str = ""  # named by a rule; "" to choose
    confidence: float = 0.0  # 0..1: how far the topic is ahead of the others; 1 by rule
    complaint_strength: Strength = Strength.NONE  # how surely it complains: no apology by machine for less than STRONG
    reasons: tuple[Reason, ...] = ()


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


def evidence_in(message: Message) -> str:
    """What of a message is weighed: a page, subject first."""
    page = f"{message.subject}\n{message.text}"[:MAX_EVIDENCE_LATIN]
    return page if page.isascii() else page[:MAX_EVIDENCE]


def classify(message: Message, policy: Policy, channel: ChannelPolicy) -> Classification:
    """What the message asks of the firm, and which team takes it. Cheap: it runs for every message."""
    written = f"{message.subject}\n{message.text}"[:MAX_RULE_TEXT]
    rule, reasons = _first_rule(message, written, policy, channel)
    said = judge(evidence_in(message), policy)
    kind, why_kind, strength = said.kind, said.why_kind, said.complaint
    topic, confidence, why_topic = said.topic, said.confidence, said.why_topic
    urgent, why_urgent = said.urgent, said.why_urgent
    if rule is not None:
        by_rule = (because("rule", rule=rule.name),)
        if rule.topic is not None:
            topic, confidence, why_topic = rule.topic, 1.0, by_rule
        if rule.kind is not None:
            kind = rule.kind
            # A rule's word may be said of anything: it brings a certified colleague, never an apology by itself.
            strength = Strength.NONE if kind is not Kind.COMPLAINT else max(strength, Strength.WEAK, key=GRADES.index)
            why_kind = (*by_rule, *graded(strength))
        if rule.urgent is not None:
            urgent, why_urgent = rule.urgent, by_rule if rule.urgent else ()
    team, why_team = _team(rule, policy, channel)
    told = (*reasons, *why_kind, *why_topic, *why_urgent, why_team)
    return Classification(
        kind=kind,
        topic=topic,
        urgent=urgent,
        language=message.language or policy.language,
        team=team,
        agent=rule.agent or "" if rule is not None else "",
        confidence=confidence,
        complaint_strength=strength,
        reasons=tuple(dict.fromkeys(told)),
    )


def _team(rule: Rule | None, policy: Policy, channel: ChannelPolicy) -> tuple[str, Reason]:
    if rule is not None and rule.team is not None:
        return rule.team, because("team", team=rule.team, why=rule.name)
    if channel.team:
        return channel.team, because("team", team=channel.team, why=channel.name)
    return policy.default_team, because("team", team=policy.default_team, why="default")
