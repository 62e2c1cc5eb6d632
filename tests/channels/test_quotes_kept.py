"""Quotes: what must never be cut away: answers between, what is passed on, people's own lists and sentences."""

from __future__ import annotations

import pytest

from channels.quotes import split

KEEP = {
    "unmarked after long marked line": (
        "Hi,\n\nOn Mon, Nov 23, 2026 at 9:15 AM Desk <d@f.example> wrote:\n"
        "> Could you please tell us whether you have received the withholding form?\nyes\n"
        "> And your account number?\n12-345\n"
    ),
    "original message marked, interleaved": (
        "see mine\n\n-----Original Message-----\nFrom: Desk <d@f.example>\nSent: Monday\nTo: Mei\n"
        "Subject: tax\n\n> first question\nmy first answer\n> second question\nmy second answer\n"
    ),
    "nested heads marked, interleaved": (
        "> a question\nmy answer\n> -----Original Message-----\n> From: Mei\n> old words\nanother answer\n"
    ),
    "hint hant": (
        "陳小姐：回覆如下，紅字是我的答案。\n\n寄件者: 客服 <d@f.example>\n寄件日期: 2026年11月23日\n"
        "收件者: 王\n主旨: 退稅\n\n請問公司名稱？\n大同公司\n請問年度？\n114\n"
    ),
    "hint hans": (
        "见下面红字\n\n发件人: 客服 <d@f.example>\n发送时间: 2026年11月23日\n收件人: 张\n主题: 退税\n\n公司名？\n华兴\n"
    ),
    "hint en": (
        "Please see my answers in red below.\n\nFrom: Desk <d@f.example>\nSent: Monday\nTo: Mei\n"
        "Subject: tax\n\nname?\nMei Ltd\n"
    ),
    "hint de": (
        "Meine Antworten finden Sie unten im Text.\n\nVon: Büro <d@f.example>\nGesendet: Montag\n"
        "An: Jana\nBetreff: Steuer\n\nName?\nJana GmbH\n"
    ),
    "hint ja": (
        "下記のとおり回答いたします。\n\n差出人: デスク <d@f.example>\n送信日時: 2026年\n宛先: 山田\n"
        "件名: 還付\n\n会社名？\n山田商事\n"
    ),
    "fyi gmail forward": (
        "FYI\n\n---------- Forwarded message ---------\n寄件者： 國稅局 <tax@gov.example>\n"
        "Date: 2026年11月23日 週一 上午9:15\nSubject: 補稅通知\nTo: <w@c.example>\n\n請於期限內補稅。\n"
    ),
    "apple forward hans": (
        "请看一下\n\n> 开始转发的邮件：\n> \n> 发件人: 税务局 <t@gov.example>\n> 主题: 通知\n> \n> 请补税。\n"
    ),
    "thunderbird forward": (
        "\n\n-------- 轉寄郵件 --------\n主旨: 通知\n日期: Mon, 23 Nov 2026\n"
        "寄件者: 國稅局 <t@gov.example>\n收件者: w@c.example\n\n請補稅。\n"
    ),
    "greeting alone": '您好，\n\n在 2026-11-23 09:15:00，"客服" <d@f.example> 写道：\n请问公司名？\n\n华兴公司\n',
    "web form": (
        "網站表單通知\n\n寄件人: 王美玲 <m@c.example>\n主題: 退稅\n日期: 2026-11-23\n電話: 0912\n\n我想詢問退稅進度\n"
    ),
    "answer below rule": (
        "Hello\n\nOn Mon, Nov 23, 2026 at 9:15 AM Desk <d@f.example> wrote:\n> your name?\n\n-----\nMy name is Mei\n"
    ),
    "own list marked": "請問下列哪一個對：\n> 甲案\n> 乙案\n",
    "i wrote": "Hello\n\nOn 23/11/2026 I wrote:\nplease refund me\nNobody answered.\n",
    "sentence before colon": "您好\n我在2026年11月23日的信中寫道：\n請退稅\n至今沒有回音。\n",
    "boss wrote": "我於2026年11月23日收到貴所來信。經理也寫道：\n儘快處理\n謝謝\n",
}


@pytest.mark.parametrize("name", KEEP)
def test_in_doubt_the_whole_is_new(name: str) -> None:
    found = split(KEEP[name])

    assert (found.new, found.quoted) == (KEEP[name].strip("\n"), "")


OUTLOOK = "寄件者: 國稅局 <t@gov.example>\n寄件日期: 2026年11月23日\n收件者: 王\n主旨: 補稅通知\n\n請於期限內補稅。"


@pytest.mark.parametrize(
    "subject", ["FW: 補稅通知", "Fwd: x", "轉寄: 補稅通知", "转发：补税", "WG: Steuer", "TR : impôts"]
)
def test_what_is_passed_on_is_kept_however_the_program_marks_it(subject: str) -> None:
    text = f"請幫我看看這封信\n\n{OUTLOOK}"

    assert split(text, subject=subject).new == text


@pytest.mark.parametrize("subject", ["RE: FW: 補稅通知", "回覆: 轉寄: 補稅通知", "Fwiw: x", ""])
def test_an_answer_to_what_was_passed_on_is_an_answer(subject: str) -> None:
    assert split(f"收到，謝謝\n\n{OUTLOOK}", subject=subject).new == "收到，謝謝"


def test_a_mail_greets_above_a_marked_quote_and_answers_beneath() -> None:
    text = "Hi,\n\nOn Mon, Nov 23, 2026 at 9:15 AM Desk <d@f.example> wrote:\n> your name?\n\nMei"

    assert split(text).new == text


def test_the_footer_of_a_list_beneath_the_quote_is_no_answer() -> None:
    quote = "On Mon, Nov 23, 2026 at 9:15 AM Desk <d@f.example> wrote:\n> your name?\n\n"
    footer = "_______________\nTax mailing list\nhttps://lists.example/tax"

    assert split(f"Mei\n\n{quote}{footer}").new == "Mei"
