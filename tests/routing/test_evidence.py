"""Evidence: with the shipped weights, what customers' messages are about, how surely, and what is never assumed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from benchmarks import classify as bench
from benchmarks.weights import WEIGHTS, all_examples, read_examples, version_of
from routing.evidence import Strength
from routing.learned import Learned, Lesson, learned_from
from routing.policy import Rule
from routing.records import Correction
from routing.weighing import MOST_ADDED, WeightsWrong, parsed, written
from routing.words import Kind

POLICY = bench.shipped_policy()
NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def test_the_shipped_weights_are_learned_from_the_shipped_examples_and_words() -> None:
    assert parsed(WEIGHTS.read_text("utf-8")).version == version_of(
        all_examples()
    )  # else: python -m benchmarks.weights


@pytest.mark.parametrize(
    ("figure", "least"),
    [
        ("topic", 0.92),
        ("kind", 0.90),
        ("complaint_recall", 0.85),
        ("complaint_precision", 0.85),
        ("urgent_f1", 0.80),
    ],
)
def test_messages_that_were_never_learned_from_are_told_right(figure: str, least: float) -> None:
    held_out = read_examples(bench.HELD_OUT.read_text("utf-8"))

    assert len(held_out) >= 150
    assert bench.figures(bench.answers(held_out, POLICY))[figure] >= least


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("我要投訴！你們經理在哪裡？這種服務太離譜了，一個禮拜沒人回，請給我一個交代", Strength.STRONG),
        ("你们太不负责任了，催了三次没人理，要求赔偿", Strength.STRONG),
        ("This is unacceptable. Nobody replies to my emails and I want to make a complaint.", Strength.STRONG),
        ("我不是要投訴，只是建議中午可以有人接電話", Strength.NONE),
        *((short, Strength.NONE) for short in ("第一句", "第二句", "12345", "嗯", "ok", "收到", "好的")),
        ("請問國稅局的投訴電話是幾號？", Strength.NONE),
        ("We received a complaint about the tax office from our staff, can you advise?", Strength.NONE),
        ("請問營業稅什麼時候要繳", Strength.NONE),
        ("附件是十一月的銀行對帳單，請查收", Strength.NONE),
        ("謝謝你們的幫忙，服務很好", Strength.NONE),
        ("", Strength.NONE),
    ],
)
def test_how_surely_it_complains(text: str, strength: Strength) -> None:
    found = bench.told(text, POLICY)

    assert found.complaint_strength is strength
    assert (found.kind is Kind.COMPLAINT) == (strength is not Strength.NONE)
    assert [r.code for r in found.reasons if r.code.startswith("complaint_")] == (
        [] if strength is Strength.NONE else [f"complaint_{strength}"]
    )


@pytest.mark.parametrize(
    ("text", "urgent"),
    [
        ("今天最後一天報稅，系統送不出去，快幫我看", True),
        ("税务局的人现在在公司要调账，马上回电话", True),
        ("Tax officers are at our door right now, call me immediately", True),
        ("不急，有空再幫我看今天寄的資料就好", False),
        ("No rush at all, whenever you have time today.", False),
        ("合約已用印，今天掛號寄出", False),
        ("請問統一發票怎麼開", False),
    ],
)
def test_what_is_urgent_and_what_only_says_today(text: str, urgent: bool) -> None:
    assert bench.told(text, POLICY).urgent is urgent


@pytest.mark.parametrize(
    "pair",
    [
        ("發票開錯了要怎麼作廢", "发票开错了要怎么作废"),
        ("請幫我申報４０１", "请帮我申报401"),
        ("ＭＰＦ要幾時供", "mpf要几时供"),
    ],
)
def test_scripts_and_widths_are_told_alike(pair: tuple[str, str]) -> None:
    one, other = (bench.told(text, POLICY) for text in pair)

    assert (one.kind, one.topic, one.urgent, one.confidence) == (
        other.kind,
        other.topic,
        other.urgent,
        other.confidence,
    )


@pytest.mark.parametrize("text", ["", "。。。", "🙂", "qwxz vbnmk", "ขอบคุณ"])
def test_what_says_nothing_goes_to_a_generalist_and_says_so(text: str) -> None:
    found = bench.told(text, POLICY)

    assert (found.topic, found.urgent, found.complaint_strength) == ("", False, Strength.NONE)
    assert "topic_weak" in [reason.code for reason in found.reasons]


def test_the_words_that_counted_are_named_as_the_customer_wrote_them() -> None:
    found = bench.told("請問發票抬頭開錯，可以作廢重開嗎？", POLICY)

    told = {reason.code: reason.data for reason in found.reasons}
    words = str(told["topic_weighed"]["words"]).split(", ")
    assert all(word in "請問發票抬頭開錯，可以作廢重開嗎？" for word in words)
    assert any(word in ("發票", "作廢", "抬頭", "開發票", "發票抬", "票抬頭") for word in words)


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("請問要怎麼投訴國稅局", Strength.WEAK),
        ("我要投訴！一個禮拜沒人回，太離譜了，請給我一個交代", Strength.STRONG),
        ("請問統一發票怎麼開", Strength.NONE),
    ],
)
def test_a_rule_s_word_brings_a_certified_colleague_and_no_apology_by_itself(text: str, strength: Strength) -> None:
    ruled = replace(POLICY, rules=(Rule(name="care", words=("投訴",), kind=Kind.COMPLAINT),))

    found = bench.told(text, ruled)

    assert found.complaint_strength is strength
    assert (found.kind is Kind.COMPLAINT) == (strength is not Strength.NONE)


# ---- learning


def lesson(text: str, field: str, was: str, became: str, number: int = 1) -> Lesson:
    made = Correction(message=number, field=field, ticket=1000 + number, was=was, became=became, agent="chen", at=NOW)
    return Lesson(made, text)


def test_what_agents_put_right_counts_for_the_next_one_and_says_on_whose_word() -> None:
    words = "想問一下凱旋方案的事"
    before = bench.told(words, POLICY)
    taught = learned_from([lesson("凱旋方案要怎麼弄", "topic", before.topic, "payroll_social", n) for n in (1, 2, 3)])

    after = bench.told("關於凱旋方案", replace(POLICY, learned=taught))

    assert before.topic != "payroll_social"
    assert after.topic == "payroll_social"
    [told] = [r.data["tickets"] for r in after.reasons if r.code == "learned_from"]
    assert told == "#1001, #1002, #1003"


def test_learning_can_be_switched_off_and_a_lesson_that_is_gone_teaches_nothing() -> None:
    taught = learned_from([lesson("凱旋方案要怎麼弄", "topic", "", "payroll_social", n) for n in (1, 2, 3)])
    text = "關於凱旋方案"

    assert bench.told(text, replace(POLICY, learned=taught, is_learning=False)) == bench.told(text, POLICY)
    assert bench.told(text, replace(POLICY, learned=learned_from([]))) == bench.told(text, POLICY)


def test_no_number_of_corrections_moves_a_word_further_than_so_far() -> None:
    many = learned_from([lesson("發票", "topic", "invoice", "service", n) for n in range(500)])
    score = POLICY.weights.score({"发票", "发", "票"}, many.weights) if POLICY.weights else None

    assert score is not None
    assert (score.added["service"], score.added["invoice"]) == (0.5, -0.5)
    assert max(map(abs, score.added.values())) <= MOST_ADDED


def test_what_agents_put_right_makes_nobody_apologise() -> None:
    text = "還沒收到"
    taught = learned_from([lesson(text, "kind", "business", "complaint", n) for n in range(50)])

    found = bench.told(text, replace(POLICY, learned=taught))

    assert (found.kind, found.complaint_strength) == (Kind.COMPLAINT, Strength.WEAK)


def test_urgent_is_learned_both_ways() -> None:
    text = "合約要用印"
    as_urgent = learned_from([lesson(text, "urgent", "no", "yes", n) for n in range(9)])
    text_urgent = "今天可以處理嗎"
    as_calm = learned_from([lesson(text_urgent, "urgent", "yes", "no", n) for n in range(9)])

    assert (bench.told(text, POLICY).urgent, bench.told(text_urgent, POLICY).urgent) == (False, True)
    assert bench.told(text, replace(POLICY, learned=as_urgent)).urgent
    assert not bench.told(text_urgent, replace(POLICY, learned=as_calm)).urgent


def test_learned_is_the_same_in_whatever_order_it_is_read() -> None:
    some = [lesson("甲乙丙", "topic", "invoice", "service", 1), lesson("乙丙丁", "kind", "business", "complaint", 2)]

    one, other = learned_from(some), learned_from(reversed(some))

    assert isinstance(one, Learned)
    assert (one.weights, one.taught) == (other.weights, other.taught)


# ---- weights as a file


def test_a_file_of_weights_is_read_as_it_was_written() -> None:
    text = written({"發": [120, -33, 0, 400], " tax": [-7, 0, 12, 900]}, ("a", "b", "c"), (1, -2, 3), "v1")

    weights = parsed(text)

    assert (weights.version, weights.labels, weights.bias) == ("v1", ("a", "b", "c"), (0.01, -0.02, 0.03))
    assert weights.speaking_for("a", frozenset(weights.packed)) == ["發"]
    assert weights.score({"發", "nothing"}).of == pytest.approx({"a": 0.61, "b": -0.185, "c": 0.03})


@pytest.mark.parametrize("text", ["", "version\tv\nlabels\ta\nbias\t1\t2\n", "a\nb\nc\n"])
def test_a_broken_file_of_weights_is_refused(text: str) -> None:
    with pytest.raises(WeightsWrong):
        parsed(text)


def test_telling_a_message_costs_little() -> None:
    assert bench.cost(POLICY) < 1.5  # ms; 0.3 on a quiet machine: see docs/performance.md
