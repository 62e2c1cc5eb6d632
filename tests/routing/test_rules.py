"""Kind, topic, urgency and team: by the first rule that matches, else by what the words tell."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from channels.message import Address, Medium, Message, Scheme
from routing.lexicon import Lexicon
from routing.policy import ChannelPolicy, Policy, Rule, Topic
from routing.rules import MAX_EVIDENCE, classify
from routing.words import Kind

CHANNEL = ChannelPolicy(name="support-mail", medium="email")
POLICY = Policy(
    version="1", firm="f", language="zh-Hant", region="TW", hotline="", calendar="c", timezone="Asia/Taipei",
    agents={}, teams={}, default_team="desk", calendars={}, targets={}, supervisor_after={}, rules=(), channels={},
    topics={
        "tax_filing": Topic(key="tax_filing", names={}, strong=("營業稅", "vat return", "file", "401"), weak=("期限",)),
        "invoice": Topic(key="invoice", names={}, strong=("發票", "发票", "invoice"), weak=("期限", "開錯")),
        "payroll": Topic(key="payroll", names={}, strong=("社保",), weak=("增",)),
    },
    cues={
        "complaint": ("投訴", "太差", "unacceptable"),
        "not_complaint": ("不是要投訴",),
        "feedback": ("建議", "👍"),
        "business": ("附件", "請協助", "please"),
        "consultation": ("請問", "嗎", "?", "how"),
        "urgent": ("今天", "急", "asap", "24小时内"),
    },
)  # fmt: skip


def mail(text: str, subject: str = "", sender: str = "wang@customer.example", **fields: object) -> Message:
    plain = Message(medium=Medium.EMAIL, sender=Address(scheme=Scheme.MAIL, value=sender), subject=subject, text=text)
    return replace(plain, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "kind", "topic", "urgent"),
    [
        ("請問營業稅什麼時候繳", Kind.CONSULTATION, "tax_filing", False),
        ("附件是發票，請協助作廢", Kind.BUSINESS, "invoice", False),
        ("附件的發票可以嗎", Kind.BUSINESS, "invoice", False),
        ("建議你們寄發票時附說明 👍", Kind.FEEDBACK, "invoice", False),
        ("發票又錯，服務太差，建議改善，附件請協助", Kind.COMPLAINT, "invoice", False),
        ("我不是要投訴，只是想建議", Kind.FEEDBACK, "", False),
        ("今天要交 ４０１", Kind.CONSULTATION, "tax_filing", True),
        ("Please INVOICE us ASAP", Kind.BUSINESS, "invoice", True),
        ("how do I get the invoices?", Kind.CONSULTATION, "invoice", False),
        ("we filed the VAT  return", Kind.CONSULTATION, "tax_filing", False),
        ("the profile showed 1401 unpleasant people", Kind.CONSULTATION, "", False),
        ("24小时内", Kind.CONSULTATION, "", True),
        ("24小时外", Kind.CONSULTATION, "", False),
        ("期限", Kind.CONSULTATION, "", False),  # weak, and for two topics
        ("增一個", Kind.CONSULTATION, "payroll", False),  # weak, and nothing speaks against it
        ("開錯了，期限", Kind.CONSULTATION, "invoice", False),
        ("發票 營業稅", Kind.CONSULTATION, "tax_filing", False),  # equal: as the taxonomy orders them
        ("", Kind.CONSULTATION, "", False),
    ],
)
def test_what_the_words_tell(text: str, kind: Kind, topic: str, urgent: bool) -> None:
    found = classify(mail(text), POLICY, CHANNEL)

    assert (found.kind, found.topic, found.urgent) == (kind, topic, urgent)
    assert (found.team, found.agent, found.language) == ("desk", "", "zh-Hant")


def test_every_word_that_counted_is_a_reason() -> None:
    found = classify(mail("今天要開發票", "營業稅的發票開錯"), POLICY, CHANNEL)

    told = {reason.code: dict(reason.data) for reason in found.reasons}
    assert told["topic"] == {"topic": "invoice", "points": 3, "words": "發票, 開錯"}
    assert told["urgent"] == {"words": "今天"}
    assert found.confidence == 0.6
    assert "kind_default" in told


def test_too_little_evidence_says_so() -> None:
    found = classify(mail("期限"), POLICY, CHANNEL)

    assert found.topic == ""
    assert "topic_weak" in [reason.code for reason in found.reasons]


RULES = (
    Rule(name="vip", senders=("boss@customer.example",), team="seniors", urgent=True),
    Rule(name="bank", senders=("@Bank.example",), agent="chen", kind=Kind.BUSINESS),
    Rule(name="chat-pay", channels=("chat",), words=("社保",), topic="payroll"),
    Rule(name="mail-pay", channels=("support-mail",), words=("工傷", "ＳＯＣＩＡＬ"), topic="payroll", team="pay"),
    Rule(name="calm", words=("急診",), urgent=False),
)


@pytest.mark.parametrize(
    ("message", "rule", "expected"),
    [
        (mail("發票", sender="Boss@customer.example"), "vip", (Kind.CONSULTATION, "invoice", True, "seniors", "")),
        (mail("請問", sender="a@bank.example"), "bank", (Kind.BUSINESS, "", False, "desk", "chen")),
        (mail("請問", sender="a@notbank.example"), None, (Kind.CONSULTATION, "", False, "desk", "")),
        (mail("Social insurance"), "mail-pay", (Kind.CONSULTATION, "payroll", False, "pay", "")),
        (mail("x", subject="工傷"), "mail-pay", (Kind.CONSULTATION, "payroll", False, "pay", "")),
        (mail("急診收據的發票"), "calm", (Kind.CONSULTATION, "invoice", False, "desk", "")),
        (mail("發票 工傷", sender="boss@customer.example"), "vip", (Kind.CONSULTATION, "invoice", True, "seniors", "")),
        (mail("社保", medium=Medium.CHAT), "chat-pay", (Kind.CONSULTATION, "payroll", False, "desk", "")),
        (mail("社保", sender=""), None, (Kind.CONSULTATION, "payroll", False, "desk", "")),
    ],
)
def test_the_first_rule_that_matches_wins(
    message: Message, rule: str | None, expected: tuple[Kind, str, bool, str, str]
) -> None:
    found = classify(message, replace(POLICY, rules=RULES), CHANNEL)

    assert (found.kind, found.topic, found.urgent, found.team, found.agent) == expected
    assert next((r.data["rule"] for r in found.reasons if r.code == "rule"), None) == rule


def test_each_condition_of_a_rule_is_recorded() -> None:
    found = classify(mail("工傷"), replace(POLICY, rules=RULES), CHANNEL)

    assert [(r.code, r.data.get("value")) for r in found.reasons if r.code.startswith("rule")] == [
        ("rule", None), ("rule_channel", "support-mail"), ("rule_word", "工傷"),
    ]  # fmt: skip


def test_language_and_team_come_from_the_message_and_the_channel() -> None:
    found = classify(mail("hello", language="en"), POLICY, replace(CHANNEL, team="mailers"))

    assert (found.language, found.team) == ("en", "mailers")


def test_another_policy_brings_its_own_words() -> None:
    other = replace(POLICY, topics={"pets": Topic(key="pets", names={}, strong=("發票",))})

    assert classify(mail("發票"), POLICY, CHANNEL).topic == "invoice"
    assert classify(mail("發票"), other, CHANNEL).topic == "pets"
    assert classify(mail("發票"), POLICY, CHANNEL).topic == "invoice"


def test_what_stands_pages_below_is_no_evidence() -> None:
    assert classify(mail("好" * MAX_EVIDENCE + "發票"), POLICY, CHANNEL).topic == ""


WORDS = ["甲乙", "乙丙丁", "甲", "👍", "👍🏽", "a1", "tax id", "c++", "丁甲乙丙", "24小时"]


@pytest.mark.parametrize(
    "text",
    [
        "甲乙丙丁",
        "x甲乙",
        "乙 丙丁",
        "丁甲乙丙丁",
        "👍🏽",
        "A1 tax id c++",
        "乙丙丙丁",
        "24小时",
        "\ud800甲乙",
        "乙",
        "",
    ],
)
def test_the_lexicon_finds_what_searching_for_each_word_finds(text: str) -> None:
    lower = text.lower()

    assert Lexicon.of(WORDS).found_in(lower) == {word for word in WORDS if word in lower}


@pytest.mark.parametrize("piece", ["發票", "a ", "Ａ", "a\u0301\u0327", "file ", "\ud800", "發", "社\n"])
def test_g9_a_long_message_costs_no_more_than_a_page(piece: str) -> None:
    message = mail(piece * 500_000)
    ruled = replace(POLICY, rules=RULES)
    classify(message, ruled, CHANNEL)

    started = time.process_time()
    classify(message, ruled, CHANNEL)

    assert time.process_time() - started < 0.1
