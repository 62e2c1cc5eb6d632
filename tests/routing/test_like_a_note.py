"""A first line that reads like a note is asked about, however it is dressed; what customers are told is not."""

from __future__ import annotations

import time

import pytest

from routing.commands import parse
from routing.like_a_note import reads_like_a_note

NOTES = [
    *(
        "備註：客戶怕罰款",
        "備註",
        "備註 客戶怕罰款",
        "備註，先別回",
        "备注：客户怕罚款",
        "备注",
        "備註給陳經理：客戶很急",
    ),
    *(
        "內部：先別回",
        "【內部】先別回",
        "[內部] 先查帳",
        "（內部）",
        "内部讨论：先不要回",
        "內部討論結果如下，先不要回客戶",
    ),
    *("僅供內部參考", "仅供内部参考", "僅限內部", "仅限内部使用", "內部備註", "内部备注", "內用", "※內部※", "**內部**"),
    *("給同事：這件交給你", "给同事", "給主管看", "同仁們，這位客戶之前投訴過", "各位同事：", "註：客戶怕罰款", "备忘"),
    *("不要寄給客戶", "别发给客户", "請勿寄出", "先不要回客戶", "勿外傳", "別寄", "不要发", "請勿轉寄", "先別回客戶"),
    *("note", "Note:", "NOTE - he is angry", "note to self", "Notes", "[Note] he is angry", "**Note:** he is angry"),
    *(
        "Note that he is angry",
        "ＮＯＴＥ：he",
        "FYI",
        "fyi the client called and he was very angry about the late filing",
    ),
    *("FYI, see below", "For your information: he called", "internal", "Internal only", "INTERNAL NOTE", "🔒 internal"),
    *(
        "Private",
        "private: do not tell",
        "Confidential",
        "Memo",
        "for internal use only",
        "Do not send",
        "Don't send this",
    ),
    *("not for the customer", "Staff only", "team only: he is angry", "Between us", "off the record", "For colleagues"),
    *("@陳 請看一下", "@lin please have a look", "\u200b內部", "　備註：", "--- internal ---", "# Note", "> note: x"),
]
ANSWERS = [
    *(
        "您好，備註欄請填統編",
        "備註欄請填統一編號",
        "備註處請寫公司名稱",
        "备注栏请填写税号",
        "備註說明如附件",
        "備忘錄已附上",
    ),
    *("內部稽核報告要在五月前完成", "内部控制制度需要备查", "內部人員的名單請提供", "内部培训费用可以列支"),
    *(
        "Noted, thank you",
        "noteworthy",
        "internally we agreed",
        "Internationally",
        "Privately held companies file later.",
    ),
    "Note that the deadline for the annual return is 31 May 2027.",
    "Note the new filing address on page two of the attached form.",
    "Internal audits must be completed before the end of the quarter.",
    "Private companies file their annual return within 42 days.",
    *(
        "Please note that the deadline is near",
        "您好，可以更正。",
        "註銷登記要附身分證",
        "注意：五月底前申報",
        "",
        "   ",
        "客戶您好",
    ),
    *(
        "同事務所的規定",
        "發票請勿遺失",
        "請勿忘記申報",
        "不用回信",
        "別擔心，可以更正",
        "a@b.example 已收到",
        "附件是私下交易的說明",
    ),
]


@pytest.mark.parametrize("line", NOTES)
def test_a_note(line: str) -> None:
    assert reads_like_a_note(line)
    assert parse(f"\n{line}\n\n客戶很急。").looks_like_note


@pytest.mark.parametrize("line", ANSWERS)
def test_an_answer(line: str) -> None:
    assert not reads_like_a_note(line)


@pytest.mark.parametrize("line", ["！備註 客戶", "!note he is angry"])
def test_what_bears_the_mark_needs_no_question(line: str) -> None:
    assert not parse(line).looks_like_note


@pytest.mark.parametrize(
    "line", ["【" * 100_000, "\u200b" * 100_000 + "x", "note " * 50_000, "*_" * 100_000, "僅" * 9**5]
)
def test_a_long_line_costs_nothing(line: str) -> None:
    began = time.perf_counter()
    reads_like_a_note(line)

    assert time.perf_counter() - began < 0.05
