"""Target rules: other times for some tickets, the first rule that holds and has a time for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st
from support.deskrun import policy

from channels.message import Medium
from routing.budgets import parse_budget
from routing.policy import CustomerClass, Policy, TargetRule
from routing.sla import TargetPlan, next_response_for, targets_for
from routing.target_rules import BUDGETS, Case, class_of, covers, given, matches
from routing.words import Kind, Standing, TargetKind

MONDAY = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # 10:00 in Taipei
VIP = CustomerClass(name="vip", senders=("@big.example", "cfo@lotus.example"))


def rule(name: str, **facts: object) -> TargetRule:
    budgets = {key: parse_budget(str(facts.pop(key))) for key in BUDGETS if key in facts}
    return TargetRule(name=name, budgets=budgets, **facts)  # type: ignore[arg-type]


RULES = (
    rule("vip mail", classes=("vip",), channels=("email",), first_response="2wh"),
    rule("urgent tax", topics=("vat",), urgent=True, first_response="1wh", resolution="1wd"),
    rule("complaints of vips", kinds=(Kind.COMPLAINT,), classes=("vip",), initial_opinion="3wh", resolution="5wd"),
    rule("business", kinds=(Kind.BUSINESS,), resolution="10wd", next_response="6wh"),
    rule("feedback", kinds=(Kind.FEEDBACK,), report_back="2wd"),
    rule("all", callback="10min"),
)


def desk(*rules: TargetRule) -> Policy:
    return replace(policy(), target_rules=rules)


def plans(ruled: Policy, **facts: object) -> dict[TargetKind, TargetPlan]:
    case = {"channel": "mail", "medium": Medium.EMAIL, "kind": Kind.CONSULTATION, "urgent": False, "at": MONDAY}
    found = targets_for(ruled, **{**case, **facts})  # type: ignore[arg-type]
    return {plan.kind: plan for plan in found}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, {TargetKind.FIRST_RESPONSE: ("first_response.email", "8wh")}),
        ({"grade": "vip"}, {TargetKind.FIRST_RESPONSE: ("target_rules.vip mail/first_response", "2wh")}),
        # Urgent halves what no rule gave for urgent ones.
        (
            {"grade": "vip", "urgent": True},
            {TargetKind.FIRST_RESPONSE: ("target_rules.vip mail/first_response", "half of 2wh")},
        ),
        (
            {"topic": "vat", "urgent": True},
            {
                TargetKind.FIRST_RESPONSE: ("target_rules.urgent tax/first_response", "1wh"),
                TargetKind.RESOLUTION: ("target_rules.urgent tax/resolution", "1wd"),
            },
        ),
        # The first rule has no time for solving: the second has.
        (
            {"grade": "vip", "topic": "vat", "urgent": True},
            {
                TargetKind.FIRST_RESPONSE: ("target_rules.vip mail/first_response", "half of 2wh"),
                TargetKind.RESOLUTION: ("target_rules.urgent tax/resolution", "1wd"),
            },
        ),
        (
            {"kind": Kind.BUSINESS},
            {
                TargetKind.FIRST_RESPONSE: ("first_response.email", "8wh"),
                TargetKind.RESOLUTION: ("target_rules.business/resolution", "10wd"),
            },
        ),
        (
            {"kind": Kind.FEEDBACK},
            {
                TargetKind.FIRST_RESPONSE: ("first_response.email", "8wh"),
                TargetKind.REPORT_BACK: ("target_rules.feedback/report_back", "2wd"),
            },
        ),
        (
            {"kind": Kind.COMPLAINT, "grade": "vip"},
            {
                TargetKind.FIRST_RESPONSE: ("target_rules.vip mail/first_response", "2wh"),
                TargetKind.INITIAL_OPINION: ("target_rules.complaints of vips/initial_opinion", "3wh"),
                TargetKind.RESOLUTION: ("target_rules.complaints of vips/resolution", "5wd"),
            },
        ),
        (
            {"missed_call": True, "medium": Medium.PHONE},
            {TargetKind.CALLBACK: ("target_rules.all/callback", "10min in hours")},
        ),
    ],
)
def test_the_first_rule_that_holds_and_has_a_time(facts: dict[str, object], expected: dict[TargetKind, object]) -> None:
    found = plans(desk(*RULES), **facts)

    assert {kind: (plan.key, plan.budget.written) for kind, plan in found.items()} == expected


def test_the_law_and_the_complaints_answer_stay_whatever_a_rule_allows() -> None:
    slow = rule("slow", kinds=(Kind.COMPLAINT,), first_response="20wd", resolution="90wd")

    found = plans(replace(desk(slow), region="TW"), kind=Kind.COMPLAINT)

    assert found[TargetKind.FIRST_RESPONSE].key == "complaint.answer"
    assert found[TargetKind.RESOLUTION].key == "complaint.resolution_tw"


def test_supervisors_and_managers_hear_of_a_ruled_promise_when_it_is_broken() -> None:
    ruled = replace(desk(rule("slow chat", channels=("chat",), first_response="10min")))

    found = plans(ruled, channel="website", medium=Medium.CHAT)[TargetKind.FIRST_RESPONSE]

    assert found.supervisor_at == found.due_at


@pytest.mark.parametrize(
    ("facts", "key"),
    [
        ({"kind": Kind.BUSINESS}, "target_rules.business/next_response"),
        ({"grade": "vip"}, "target_rules.vip mail/first_response"),
        ({}, "first_response.email"),
        ({"kind": Kind.COMPLAINT}, "first_response.email"),
    ],
)
def test_further_words_have_the_time_that_a_rule_gives_them_else_that_of_the_first(
    facts: dict[str, object], key: str
) -> None:
    case = {"channel": "mail", "medium": Medium.EMAIL, "urgent": False, "at": MONDAY}
    found = next_response_for(desk(*RULES), **{**case, **facts})  # type: ignore[arg-type]

    assert (found.kind, found.key) == (TargetKind.NEXT_RESPONSE, key)


@pytest.mark.parametrize(
    ("sender", "standing", "grade"),
    [
        ("mei@big.example", Standing.VERIFIED, "vip"),
        ("CFO@Lotus.example", Standing.VERIFIED, "vip"),
        ("clerk@lotus.example", Standing.VERIFIED, ""),
        ("mei@big.example.evil.example", Standing.VERIFIED, ""),
        ("mei@notbig.example", Standing.VERIFIED, ""),
        ("mei@big.example", Standing.UNVERIFIED, ""),
        ("mei@big.example", Standing.LOOKALIKE, ""),
        ("", Standing.VERIFIED, ""),
    ],
)
def test_only_who_is_vouched_for_is_of_a_class(sender: str, standing: Standing, grade: str) -> None:
    assert class_of((VIP,), sender, standing) == grade


NAMES = st.lists(st.sampled_from(("a", "b")), max_size=2, unique=True).map(tuple)
MADE = st.builds(
    TargetRule,
    name=st.just("r"),
    channels=NAMES,
    kinds=st.lists(st.sampled_from(list(Kind)), max_size=2, unique=True).map(tuple),
    topics=NAMES,
    classes=NAMES,
    teams=NAMES,
    urgent=st.sampled_from((None, True, False)),
    budgets=st.dictionaries(st.sampled_from(BUDGETS), st.just(parse_budget("1wh")), min_size=1, max_size=3),
)
CASES = st.builds(
    Case,
    channel=st.sampled_from("abc"),
    medium=st.just("email"),
    kind=st.sampled_from(list(Kind)),
    topic=st.sampled_from("abc"),
    grade=st.sampled_from("abc"),
    team=st.sampled_from("abc"),
    urgent=st.booleans(),
)


@settings(max_examples=500, deadline=None)
@for_any(MADE, MADE, CASES, st.sampled_from(list(TargetKind)))
def test_what_is_called_unreachable_is_and_what_does_not_match_changes_nothing(
    first: TargetRule, later: TargetRule, case: Case, kind: TargetKind
) -> None:
    if covers(first, later):
        assert given((first, later), case, kind) == given((first,), case, kind)
    if not matches(first, case):
        assert given((first, later), case, kind) == given((later,), case, kind)
