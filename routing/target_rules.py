"""Target rules: which tickets are promised other times than the rest, read from top to bottom like [[rules]].

Of several rules the first that matches *and* has the budget asked for gives it: a rule for urgent mail that says only
how soon it is answered leaves the time for solving to the rules below it, and at last to [targets]. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from routing.policy import Budget, CustomerClass, TargetRule
from routing.words import Kind, Standing, TargetKind

#: Keys of budgets that a rule gave begin with it.
RULED = "target_rules."
#: What a rule may give a time for: the kinds of targets.
BUDGETS = tuple(kind.value for kind in TargetKind)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What the conditions of a rule ask about a ticket."""

    channel: str
    medium: str
    kind: Kind
    topic: str = ""
    grade: str = ""  # class of the customer
    team: str = ""
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """A budget that a rule gives."""

    key: str  # names the rule: "target_rules.big customers/first_response"
    budget: Budget
    is_for_urgent: bool  # the rule asks for urgency itself: it is not halved once more


def given(rules: tuple[TargetRule, ...], case: Case, kind: TargetKind) -> Given | None:
    """The budget that the first matching rule gives for this kind of promise; None where none does."""
    for rule in rules:
        budget = rule.budgets.get(kind.value)
        if budget is not None and matches(rule, case):
            return Given(f"{RULED}{rule.name}/{kind.value}", budget, rule.urgent is True)
    return None


def matches(rule: TargetRule, case: Case) -> bool:
    asked = (
        (rule.channels, (case.channel, case.medium)),
        (rule.kinds, (case.kind,)),
        (rule.topics, (case.topic,)),
        (rule.classes, (case.grade,)),
        (rule.teams, (case.team,)),
    )
    if rule.urgent is not None and rule.urgent is not case.urgent:
        return False
    return all(not wanted or any(value in wanted for value in values) for wanted, values in asked)


def covers(first: TargetRule, later: TargetRule) -> bool:
    """Whether whatever matches the later rule matches the first, which has every budget of it: it never counts."""
    pairs = (
        (first.channels, later.channels),
        (first.kinds, later.kinds),
        (first.topics, later.topics),
        (first.classes, later.classes),
        (first.teams, later.teams),
    )
    if first.urgent is not None and first.urgent is not later.urgent:
        return False
    if not all(not mine or (theirs and set(theirs) <= set(mine)) for mine, theirs in pairs):
        return False
    return later.budgets.keys() <= first.budgets.keys()


def class_of(classes: tuple[CustomerClass, ...], sender: str, standing: Standing) -> str:
    """The class of a mail's sender, "" for everybody's. Anybody can write any address: only verified ones count."""
    if standing is not Standing.VERIFIED:
        return ""
    address = sender.lower()
    domain = f"@{address.rpartition('@')[2]}"
    return next((one.name for one in classes if address in one.senders or domain in one.senders), "")
