"""Quotes: the new words of a reply, by mail program and language; what must be kept whole; linear time."""

from __future__ import annotations

import time

import pytest

from channels.quotes import split

NEW = "好的，已補充材料。\n\n謝謝"
OLD = "\n請補充材料。\n"

QUOTES = {
    "gmail zh-Hans": "客服 <kefu@firm.example> 于2025年1月6日周一 09:00写道：\n\n> 请补充材料。",
    "gmail zh-Hans, wrapped": "客服部门 <kefu@firm.example> 于2025年1月6日周一\n09:00写道：\n\n> 请补充材料。",
    "gmail zh-Hans, no name": "<kefu@firm.example> 于2025年1月6日周一 09:00写道：\n\n> 请补充材料。",
    "gmail zh-Hant": "客服 <kefu@firm.example> 於 2025年1月6日 週一 上午9:00寫道：\n\n> 請補充材料。",
    "gmail en": "On Mon, Jan 6, 2025 at 9:00 AM Desk <kefu@firm.example> wrote:\n\n> please add",
    "gmail en, wrapped": "On Mon, Jan 6, 2025 at 9:00 AM Customer Service Desk\n<kefu@firm.example> wrote:\n\n> please",
    "gmail ja": "2025年1月6日(月) 9:00 客服 <kefu@firm.example>:\n\n> 材料をお願いします",
    "gmail de": "Am Mo., 6. Jan. 2025 um 09:00 Uhr schrieb Desk <kefu@firm.example>:\n\n> bitte",
    "gmail fr": "Le lun. 6 janv. 2025 à 09:00, Desk <kefu@firm.example> a écrit :\n\n> merci",
    "outlook zh-Hans": "发件人: 客服 <k@f.example>\n发送时间: 2025年1月6日 9:00\n收件人: 张三\n主题: 答复: 退税\n"
    + OLD,
    "outlook zh-Hant": "________________________________\n寄件者: 客服\n寄件日期: 2025年1月6日 上午 09:00\n"
    "收件者: 王\n主旨: 回覆: 退稅\n" + OLD,
    "outlook en": "-----Original Message-----\nFrom: Desk\nSent: Monday, January 6, 2025 9:00 AM\nTo: Wang\n" + OLD,
    "outlook en, no rule": "From: Desk <kefu@firm.example>\nSent: Monday, January 6, 2025\nTo: Wang\nSubject: tax\n"
    + OLD,
    "outlook en, starred": "*From:* Desk <kefu@firm.example>\n*Sent:* Monday\n*To:* Wang\n*Subject:* tax\n" + OLD,
    "outlook ja": "差出人: 客服\n送信日時: 2025年1月6日 9:00\n宛先: 王\n件名: Re: 税\n" + OLD,
    "outlook de": "Von: Desk\nGesendet: Montag, 6. Januar 2025\nAn: Wang\nBetreff: Steuer\n" + OLD,
    "outlook de, rule": "-----Ursprüngliche Nachricht-----\nVon: Desk\n" + OLD,
    "apple zh-Hans": "> 在 2025年1月6日，09:00，客服 <kefu@firm.example> 写道：\n> \n> 请补充材料。",
    "apple zh-Hant": "> 客服 <kefu@firm.example> 於 2025年1月6日 上午9:00 寫道：\n> \n> 請補充材料。",
    "apple zh-Hant, unmarked": "在 2025年1月6日 上午9:00，客服 <kefu@firm.example> 寫道：\n\n請補充材料。",
    "apple en": "> On 6 Jan 2025, at 09:00, Desk <kefu@firm.example> wrote:\n> \n> please",
    "apple ja": "> 2025/01/06 9:00、客服 <kefu@firm.example>のメール:\n> \n> 材料",
    "apple de": "> Am 06.01.2025 um 09:00 schrieb Desk <kefu@firm.example>:\n> \n> bitte",
    "thunderbird zh-Hans": "在 2025/1/6 9:00, 客服 写道:\n> 请补充材料。",
    "thunderbird zh-Hant": "客服 於 2025/1/6 上午 09:00 寫道:\n> 請補充材料。",
    "thunderbird en": "On 1/6/25 9:00 AM, Desk wrote:\n> please",
    "thunderbird de": "Am 06.01.25 um 09:00 schrieb Desk:\n> bitte",
    "qq": '------------------ 原始邮件 ------------------\n发件人: "客服" <kefu@firm.example>;\n' + OLD,
    "qq, nbsp": "------------------\u00a0原始邮件\u00a0------------------\n" + OLD,
    "qq app": "---原始邮件---\n发件人: 客服\n" + OLD,
    "qq en": '------------------ Original ------------------\nFrom: "Desk"\n' + OLD,
    "163": '在 2025-01-06 09:00:00，"客服" <kefu@firm.example> 写道：\n' + OLD,
    "163 en": 'At 2025-01-06 09:00:00, "Desk" <kefu@firm.example> wrote:\n' + OLD,
    "163 new": "---- 回复的原邮件 ----\n| 发件人 | 客服<kefu@firm.example> |\n| 发送日期 | 2025年01月06日 09:00 |\n"
    + OLD,
    "163 new en": "---- Replied Message ----\n| From | Desk<kefu@firm.example> |\n" + OLD,
    "foxmail": "wang@customer.example\n \n发件人： 客服\n发送时间： 2025-01-06 09:00\n收件人： wang\n主题： 退税\n"
    + OLD,
    "foxmail zh-Hant": "寄件者： 客服\n傳送時間： 2025-01-06 09:00\n收件者： wang\n主旨： 退稅\n" + OLD,
    "coremail": '-----原始邮件-----\n发件人:"客服" <kefu@firm.example>\n' + OLD,
    "alimail": "-" * 66
    + "\n发件人：客服 <kefu@firm.example>\n发送时间：2025年1月6日\n收件人：王\n主　题：退税\n"
    + OLD,
    "yahoo zh-Hant": "於 2025年1月6日 星期一 上午09:00:00 [GMT+8]，客服 <kefu@firm.example> 寫道：\n" + OLD,
    "phone, zh-Hans": "发自我的 iPhone\n\n> 在 2025年1月6日，09:00，客服 <kefu@firm.example> 写道：\n> 请",
    "phone, zh-Hant": "從我的 iPhone 傳送\n\n> 客服 <kefu@firm.example> 於 2025年1月6日 寫道：\n> 請",
    "outlook phone, zh-Hans": "获取 Outlook\n________________\n发件人: 客\n发送时间: 一\n收件人: 王\n主题: 税\n",
    "outlook phone, zh-Hant": "取得 iOS 版 Outlook\n________________\n寄件者: 客\n寄件日期: 一\n收件者: 王\n主旨: 稅\n",
    "zoho": "---- On Mon, 06 Jan 2025 09:00:00 +0800 Desk <kefu@firm.example> wrote ----\n" + OLD,
    "marks alone": "> 請補充材料。\n>\n> 客服",
}


@pytest.mark.parametrize("program", QUOTES)
def test_the_new_words_are_found(program: str) -> None:
    found = split(f"{NEW}\n\n{QUOTES[program]}\n", "wang@customer.example")

    assert found.new == NEW


@pytest.mark.parametrize("program", QUOTES)
def test_nothing_is_thrown_away(program: str) -> None:
    text = f"{NEW}\n\n{QUOTES[program]}\n"

    found = split(text)

    assert sorted("".join((found.new + found.quoted).split())) == sorted("".join(text.split()))


@pytest.mark.parametrize(
    "text",
    [
        # answers between the quotes
        "On Mon, Jan 6, 2025 at 9:00 AM Desk <d@f.example> wrote:\n> first?\nyes\n> second?\nno",
        "您好\n\n客服 <d@f.example> 于2025年1月6日周一 09:00写道：\n> 第一？\n是\n\n> 第二？\n否",
        "> first?\nyes\n\n> second?\nno",
        "> 請問多久？\n\n三週。",
        # an answer above and one beneath
        "see below\n\nOn Mon, Jan 6, 2025 at 9:00 AM Desk <d@f.example> wrote:\n> when?\n\ntomorrow",
        # nothing would be left
        "---------- Forwarded message ---------\nFrom: Desk <d@f.example>\nSubject: tax\n\nwords",
        "> only\n> quoted",
        "发自我的 iPhone",
        "",
        # people's own words
        "From: Taipei\nTo: Shanghai\nDate: 2025-01-06\nplease book",
        "主題：退稅\n日期：2025-01-06\n請處理",
        "昨天经理写道：\n请处理",
        "On the form I wrote:\n100 in field 3",
        "時間：9:30\n地點：台北\n說明：請確認",
        "Dear desk,\n-- \nMei",
        "金額如下：\n----------\n100",
        "謝謝您\n發自我內心的感謝，祝好。",
    ],
)
def test_in_doubt_everything_is_new(text: str) -> None:
    found = split(text)

    assert (found.new, found.quoted) == (text, "")


def test_an_answer_beneath_the_quote_is_the_new_part() -> None:
    found = split("On Mon, Jan 6, 2025 at 9:00 AM Desk <d@f.example> wrote:\n> when?\n> Desk\n\ntomorrow\n")

    assert found.new == "tomorrow"
    assert found.quoted == "On Mon, Jan 6, 2025 at 9:00 AM Desk <d@f.example> wrote:\n> when?\n> Desk"


def test_a_signature_above_the_quote_stays_with_the_new_words() -> None:
    found = split("好的\n\n-- \n王美玲\n> 舊的")

    assert (found.new, found.quoted) == ("好的\n\n-- \n王美玲", "> 舊的")


def test_a_footer_beneath_the_quote_is_no_answer() -> None:
    found = split("ok\n\nOn 1/6/25 9:00 AM, Desk wrote:\n> when?\n\n-- \nMei")

    assert found.new == "ok"


@pytest.mark.parametrize(
    "text",
    [
        "On " * 100_000,
        "On x\n" * 60_000,
        "\n" * 300_000,
        "From: \n" * 50_000,
        "> " * 150_000,
        ">\n" * 150_000,
        "-" * 300_000,
        "---- \n" * 50_000,
        "在2025年1月6日" * 30_000,
        "2025年1月6日 <a@b> 写道\n" * 15_000,
        "<" * 300_000,
        "a: " * 100_000,
    ],
    ids=lambda text: text[:8],
)
def test_crafted_text_costs_no_more_than_its_length(text: str) -> None:
    start = time.process_time()

    split(text)

    assert time.process_time() - start < 2.0
