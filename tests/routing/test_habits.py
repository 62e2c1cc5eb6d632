"""How an agent ends his replies: his signature by repetition, and never a customer's letter made shorter."""

from __future__ import annotations

import time

import pytest

from routing.habits import MAX_TAILS, Tail, read, repeated, signature_start, tail_of, written

KEY = b"k"
SIGNATURE = ("陳怡君", "誠信財稅 稅務部", "0937-865-201")


def signs(line: str) -> bool:
    return "陳怡君" in line or "0937" in line


def tails(*replies: str) -> tuple[Tail, ...]:
    return tuple(tail_of(reply.split("\n"), KEY) for reply in replies)


def kept(reply: str, *earlier: str, may_be_all: bool = False) -> str:
    lines = reply.split("\n")
    return "\n".join(lines[: signature_start(lines, tails(*earlier), KEY, signs, may_be_all=may_be_all)]).rstrip()


def signed(words: str) -> str:
    return "\n".join((words, "", *SIGNATURE))


def test_what_ended_two_replies_is_cut_from_the_third() -> None:
    assert kept(signed("已更正。"), signed("收到。"), signed("好的。")) == "已更正。"


@pytest.mark.parametrize("earlier", [(), (signed("收到。"),), (signed("收到。"), "好的。"), ("收到。", "好的。")])
def test_what_ended_fewer_is_not(earlier: tuple[str, ...]) -> None:
    assert kept(signed("已更正。"), *earlier) == signed("已更正。")


def test_two_programs_with_two_signatures_are_both_known() -> None:
    phone = "好\n\n陳怡君\n寄自公司"
    earlier = (signed("一"), phone, signed("二"), phone, signed("三"))

    assert kept(signed("已更正。"), *earlier) == "已更正。"
    assert kept("已更正。\n\n陳怡君\n寄自公司", *earlier) == "已更正。"


def test_one_line_with_his_name_is_enough() -> None:
    assert kept("已更正。\n陳怡君", "收到。\n陳怡君", "好的。\n陳怡君") == "已更正。"


WORDS_THAT_REPEAT = {
    "a closing": ("如有問題歡迎來信。", "謝謝您。"),
    "a list that is pasted": ("請準備下列文件：", "發票", "申報書", "印章"),
    "a list with his name in front": ("承辦人 陳怡君", "請您準備：", "發票", "印章"),
    "a sentence with his name": ("我是陳怡君，為您說明。", "發票", "印章"),
    "his name in a sentence at the end": ("有問題請洽陳怡君 0937-865-201。",),
    "a deadline and a place": ("期限 11/15", "地點 台北國稅局"),
    "his words below his name": ("陳怡君", "另外請補發票。"),
}


@pytest.mark.parametrize("ending", WORDS_THAT_REPEAT.values(), ids=WORDS_THAT_REPEAT)
def test_words_that_he_repeats_are_words(ending: tuple[str, ...]) -> None:
    said = "\n".join(ending)

    assert kept(f"王小姐您好：\n{said}", f"李先生您好：\n{said}", f"張經理您好：\n{said}") == f"王小姐您好：\n{said}"
    assert kept(f"可以。\n{said}", f"收到。\n{said}", f"好的。\n{said}") == f"可以。\n{said}"


def test_a_pasted_answer_loses_its_signature_alone() -> None:
    said = "\n".join(("請準備下列文件：", "發票", "申報書", "", *SIGNATURE))

    found = kept(f"王小姐您好：\n{said}", f"李先生您好：\n{said}", f"張經理您好：\n{said}")

    assert found == "王小姐您好：\n請準備下列文件：\n發票\n申報書"


def test_a_disclaimer_speaks_to_everybody() -> None:
    below = "\n".join((*SIGNATURE, "本郵件含機密資料，若您誤收，", "請刪除並通知我們。"))

    assert kept(f"已更正。\n{below}", f"收到。\n{below}", f"好的。\n{below}") == "已更正。"


def test_the_only_words_of_a_reply_are_never_taken_but_below_a_command() -> None:
    alone = "\n".join(SIGNATURE)

    assert kept(alone, signed("收到。"), signed("好的。")) == alone
    assert kept(f"王小姐您好：\n{alone}", signed("收到。"), signed("好的。")) == f"王小姐您好：\n{alone}"
    assert kept(alone, signed("收到。"), signed("好的。"), may_be_all=True) == ""


def test_a_line_that_differs_stays_with_all_above_it() -> None:
    changed = "\n".join(("已更正。", "", "陳怡君", "誠信財稅 審計部", "0937-865-201"))

    assert kept(changed, signed("收到。"), signed("好的。")).endswith("誠信財稅 審計部")


def test_a_quoted_line_is_no_signature() -> None:
    assert kept("好。\n> 陳怡君", "收到。\n> 陳怡君", "是。\n> 陳怡君") == "好。\n> 陳怡君"


def test_wrapping_and_marks_of_bold_make_no_other_line() -> None:
    plain = ("收到。\n*陳怡君*\n 誠信財稅  稅務部\n０937-865-201", "好的。\n陳怡君\n誠信財稅 稅務部\n0937-865-201")

    assert kept(signed("已更正。"), *plain) == "已更正。"


def test_the_store_keeps_hashes_of_the_last_replies_and_no_word() -> None:
    stored = ""
    for number in range(MAX_TAILS + 3):
        stored = written(stored, tail_of(signed(f"第 {number} 封").split("\n"), KEY))

    assert len(read(stored)) == MAX_TAILS
    assert stored.isascii()
    assert "0937" not in stored
    assert repeated(read(stored), tail_of(list(SIGNATURE), KEY)) == len(SIGNATURE)
    assert tail_of(list(SIGNATURE), KEY) != tail_of(list(SIGNATURE), b"another")


@pytest.mark.parametrize("broken", ["", "{", "null", "3", '{"a":1}', '["x"]', "[[1,null]]"])
def test_what_the_store_should_not_hold_does_no_harm(broken: str) -> None:
    assert kept(signed("已更正。")) == signed("已更正。")
    assert len(read(written(broken, ("a",)))) <= 2


def test_g9_a_long_reply_costs_little() -> None:
    lines = ["陳怡君"] * 60_000
    began = time.process_time()

    signature_start(lines, (tail_of(lines, KEY),) * 5, KEY, signs)

    assert time.process_time() - began < 2
