"""Mail that is passed on: the other's words are found under the block of headers, whatever program wrote it.

The shapes are documented markup and what the programs are known to write; none is the recording of a session.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from channels import mime
from channels.block_dates import readings
from channels.flowed import tidy
from channels.forwarded import MAX_PEOPLE, Block, read, when, zone_of

WORDS = "您好，\n\n請問營業稅怎麼申報？\n\n王美玲"
AROUND = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TAIPEI = timedelta(hours=8)


@dataclass(frozen=True)
class Shape:
    """How one program forwards: what it writes above the words, the subject it gives, and how the words stand there."""

    block: str
    subject: str = "Fwd: 營業稅"
    marked: bool = False
    has_address: bool = True


SHAPES = {
    "outlook hant": Shape(
        "________________________________\n"
        "寄件者: 王美玲 <mei@example.com>\n寄件日期: 2026年11月23日 星期一 下午 02:05\n"
        "收件者: 陳 <chen@firm.example>\n副本: 李經理 <li@example.com>\n主旨: 營業稅",
        "轉寄: 營業稅",
    ),
    "outlook hant, english time": Shape(
        "寄件者: 王美玲 <mei@example.com>\n"
        "寄件日期: Monday, November 23, 2026 2:05 PM\n收件者: 陳 <chen@firm.example>\n"
        "副本: 李經理 <li@example.com>\n主旨: 營業稅",
        "轉寄: 營業稅",
    ),
    "outlook hans": Shape(
        "发件人: 王美玲 <mei@example.com>\n发送时间: 2026年11月23日 14:05\n收件人: 陈 <chen@firm.example>\n"
        "抄送: 李经理 <li@example.com>\n主题: 營業稅",
        "转发: 營業稅",
    ),
    "outlook en": Shape(
        "________________________________\nFrom: 王美玲 <mei@example.com>\nSent: Monday, November 23, 2026 2:05 PM\n"
        "To: Chen <chen@firm.example>\nCc: Li <li@example.com>\nSubject: 營業稅",
        "FW: 營業稅",
    ),
    "outlook en, long list and attachments": Shape(
        "From: 王美玲 <mei@example.com>\nSent: 23 November 2026 14:05\nTo: Chen <chen@firm.example>;\n"
        " Lin <lin@firm.example>\nCc: Li <li@example.com>\nSubject: 營業稅\nAttachments: a.pdf\nImportance: High",
        "FW: 營業稅",
    ),
    "outlook classic, mailto": Shape(
        "From: 王美玲 [mailto:mei@example.com] \nSent: Monday, November 23, 2026 2:05 PM\n"
        "To: chen@firm.example<mailto:chen@firm.example>\nCc: li@example.com\nSubject: 營業稅",
        "FW: 營業稅",
    ),
    "outlook mobile": Shape(
        "取得 Outlook for iOS\n________________________________\n寄件者: 王美玲 <mei@example.com>\n"
        "寄件日期: 星期一, 11月 23, 2026 2:05 下午\n收件者: 陳 <chen@firm.example>\n副本: li@example.com\n主旨: 營業稅",
        "轉寄: 營業稅",
    ),
    "outlook, bold as text": Shape(
        "*From:* 王美玲 <mei@example.com>\n*Sent:* Monday, November 23, 2026 2:05 PM\n*To:* Chen <chen@firm.example>\n"
        "*Cc:* Li <li@example.com>\n*Subject:* 營業稅",
        "Fw: 營業稅",
    ),
    "gmail en": Shape(
        "---------- Forwarded message ---------\nFrom: 王美玲 <mei@example.com>\n"
        "Date: Mon, Nov 23, 2026 at 2:05\u202fPM\nSubject: 營業稅\nTo: <chen@firm.example>\nCc: Li <li@example.com>\n",
    ),
    "gmail hant": Shape(
        "---------- Forwarded message ---------\n寄件者： 王美玲 <mei@example.com>\n"
        "Date: 2026年11月23日 週一 下午2:05\nSubject: 營業稅\nTo: <chen@firm.example>\nCc: <li@example.com>\n",
    ),
    "gmail hans": Shape(
        "---------- Forwarded message ---------\n发件人： 王美玲 <mei@example.com>\n"
        "Date: 2026年11月23日周一 14:05\nSubject: 營業稅\nTo: <chen@firm.example>\nCc: <li@example.com>\n",
    ),
    "apple en": Shape(
        "Begin forwarded message:\n\nFrom: 王美玲 <mei@example.com>\nSubject: 營業稅\n"
        "Date: 23 November 2026 at 14:05:12 GMT+8\nTo: Chen <chen@firm.example>\nCc: Li <li@example.com>",
    ),
    "apple en, marked": Shape(
        "> Begin forwarded message:\n>\n> From: 王美玲 <mei@example.com>\n> Subject: 營業稅\n"
        "> Date: November 23, 2026 at 2:05:12 PM GMT+8\n> To: Chen <chen@firm.example>\n> Cc: Li <li@example.com>\n>",
        marked=True,
    ),
    "apple hant": Shape(
        "開始轉寄郵件：\n\n寄件人: 王美玲 <mei@example.com>\n主旨: 營業稅\n日期: 2026年11月23日 GMT+8 下午2:05:12\n"
        "收件人: 陳 <chen@firm.example>\n副本: li@example.com",
    ),
    "apple hant, phone": Shape(
        "從我的 iPhone 傳送\n\n開始轉寄的郵件：\n\n> 寄件人: 王美玲 <mei@example.com>\n"
        "> 日期: 2026年11月23日 下午2:05:12 [GMT+8]\n"
        "> 收件人: 陳 <chen@firm.example>\n> 副本: li@example.com\n> 主旨: 營業稅\n>",
        marked=True,
    ),
    "apple hans": Shape(
        "开始转发的邮件：\n\n发件人: 王美玲 <mei@example.com>\n主题: 營業稅\n日期: 2026年11月23日 GMT+8 14:05:12\n"
        "收件人: 陈 <chen@firm.example>\n抄送: li@example.com",
    ),
    "qq": Shape(
        '------------------ 原始邮件 ------------------\n发件人: "王美玲" <mei@example.com>;\n'
        '发送时间: 2026年11月23日(星期一) 下午2:05\n收件人: "陈"<chen@firm.example>;\n抄送: "李"<li@example.com>;\n'
        "主题: 營業稅\n\n",
        "转发：營業稅",
    ),
    "qq, blanks of its own": Shape(
        '------------------\u00a0原始邮件\u00a0------------------\n发件人:\u00a0"王美玲"\u00a0<mei@example.com>;\n'
        "发送时间:\u00a02026年11月23日(星期一) 下午2:05\n"
        '收件人:\u00a0"陈"<chen@firm.example>;\n抄送:\u00a0<li@example.com>;\n'
        "主题:\u00a0營業稅\n",
        "转发：營業稅",
    ),
    "qq, rules as a picture": Shape(
        "原始邮件\n\n发件人：王美玲 <mei@example.com>\n发件时间：2026年11月23日 14:05\n收件人：陈 <chen@firm.example>\n"
        "抄送：li@example.com\n主题：營業稅",
        "转发：營業稅",
    ),
    "163": Shape(
        '-------- 转发邮件信息 --------\n发件人："王美玲" <mei@example.com>\n发送日期：2026-11-23 14:05:12\n'
        "收件人：chen@firm.example\n抄送：li@example.com\n主题：營業稅",
        "转发:營業稅",
    ),
    "163, new": Shape(
        "---- 转发的邮件 ----\n| 发件人 | 王美玲<mei@example.com> |\n| 发送日期 | 2026年11月23日 14:05 |\n"
        "| 收件人 | 陈<chen@firm.example> |\n| 抄送 | li@example.com |\n| 主题 | 營業稅 |",
        "Fw:營業稅",
    ),
    "thunderbird en": Shape(
        "-------- Forwarded Message --------\nSubject: \t營業稅\nDate: \tMon, 23 Nov 2026 14:05:12 +0800\n"
        "From: \t王美玲 <mei@example.com>\nTo: \tchen@firm.example\nCC: \tli@example.com\n\n",
    ),
    "thunderbird hant": Shape(
        "-------- 轉寄訊息 --------\n主旨: \t營業稅\n日期: \tMon, 23 Nov 2026 14:05:12 +0800\n"
        "寄件者: \t王美玲 <mei@example.com>\n收件者: \tchen@firm.example\n副本: \tli@example.com\n\n",
    ),
    "thunderbird hans": Shape(
        "-------- 转发的消息 --------\n主题: \t營業稅\n日期: \tMon, 23 Nov 2026 14:05:12 +0800\n"
        "发件人: \t王美玲 <mei@example.com>\n收件人: \tchen@firm.example\n抄送: \tli@example.com\n\n",
    ),
    "foxmail": Shape(
        "发件人： 王美玲 <mei@example.com>\n发送时间： 2026-11-23 14:05\n"
        "收件人： chen\n抄送： li@example.com\n主题： 營業稅",
        "转发: 營業稅",
    ),
    "foxmail, names alone": Shape(
        "发件人： 王美玲\n发送时间： 2026-11-23 14:05\n收件人： chen\n抄送： li@example.com\n主题： 營業稅",
        "转发: 營業稅",
        has_address=False,
    ),
    "yahoo hant": Shape(
        "----- 轉寄的郵件 -----\n寄件人： 王美玲 <mei@example.com>\n收件者： chen@firm.example <chen@firm.example>\n"
        "副本： li@example.com\n寄件日期： 2026年11月23日 星期一 下午02:05:12 [GMT+8]\n主旨： 營業稅",
        "轉寄： 營業稅",
    ),
    "page turned into text, with blank lines": Shape(
        "---------- Forwarded message ---------\n\n"
        "From: 王美玲 <mei@example.com>\n\nDate: Mon, Nov 23, 2026 at 2:05 PM\n\n"
        "Subject: 營業稅\n\nTo: <chen@firm.example>",
    ),
}


def shown(shape: Shape, note: str = "") -> str:
    words = "\n".join(f"> {line}".rstrip() for line in WORDS.split("\n")) if shape.marked else WORDS
    return f"{note}\n\n{shape.block}\n\n{words}\n" if note else f"{shape.block}\n\n{words}\n"


@pytest.mark.parametrize("note", ["", "請盡快處理，客戶很急。\n陳"], ids=["bare", "with a note"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_originals_sender_words_and_time_are_read(name: str, note: str) -> None:
    shape = SHAPES[name]

    found = read(shown(shape, note), shape.subject)

    assert found is not None
    assert (found.name, found.sender) == ("王美玲", "mei@example.com" if shape.has_address else "")
    assert (found.subject, found.text, found.count) == ("營業稅", WORDS, 1)
    assert note in found.above
    assert "王美玲" not in found.above
    moment, local = when(found.date, AROUND, TAIPEI)
    assert moment is not None
    assert moment.replace(second=0) == datetime(2026, 11, 23, 6, 5, tzinfo=UTC), local
    if "blank lines" not in name:
        assert [address for _, address in found.cc] == ["li@example.com"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Mon, 23 Nov 2026 14:05:12 +0800", ["2026-11-23T14:05:12+8"]),
        ("Mon, 23 Nov 2026 06:05:12 GMT", ["2026-11-23T06:05:12+0"]),
        ("Mon, 23 Nov 2026 06:05:12 +0000 (UTC)", ["2026-11-23T06:05:12+0"]),
        ("2026年11月23日 GMT+8 14:05:12", ["2026-11-23T14:05:12+8"]),
        ("2026-11-23 14:05", ["2026-11-23T14:05:00"]),
        ("2026-11-23T14:05:12+08:00", ["2026-11-23T14:05:12+8"]),
        ("２０２６年１１月２３日　１４：０５", ["2026-11-23T14:05:00"]),
        ("2026年11月23日 上午12:05", ["2026-11-23T00:05:00"]),
        ("2026年11月23日 下午12:05", ["2026-11-23T12:05:00"]),
        ("2026年11月23日 中午12:05", ["2026-11-23T12:05:00"]),
        ("2026年11月23日 晚上8:05", ["2026-11-23T20:05:00"]),
        ("2026年11月23日 晚上12:05", []),
        ("November 23rd, 2026 at 12:05 a.m.", ["2026-11-23T00:05:00"]),
        ("23/11/2026 14:05", ["2026-11-23T14:05:00"]),
        ("11/23/2026 2:05 PM", ["2026-11-23T14:05:00"]),
        ("10/11/2026 14:05", ["2026-10-11T14:05:00", "2026-11-10T14:05:00"]),
        ("23.11.26, 14:05", ["2026-11-23T14:05:00"]),
        ("Mon, 23 Nov 2026 14:05 CST", ["2026-11-23T14:05:00"]),  # China's, or Chicago's
        ("yesterday at 14:05", []),
        ("2026-11-23", []),
        ("2026-13-45 14:05", []),
        ("2026-11-23 25:05", []),
        ("", []),
    ],
)
def test_dates_are_read_as_they_are_written(written: str, expected: list[str]) -> None:
    found = [
        r.local.isoformat() + (f"+{r.offset.total_seconds() / 3600:.0f}" if r.offset is not None else "")
        for r in readings(written)
    ]

    assert found == expected


def test_of_two_readings_the_likely_one_counts_and_of_two_likely_ones_none() -> None:
    early, late = datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)

    assert when("10/11/2026 14:05", early, None) == (None, "2026-10-11T14:05:00")
    assert when("10/11/2026 14:05", late, None) == (None, "")


def test_the_zone_is_the_forwarders_unless_his_server_wrote_the_date() -> None:
    assert zone_of(b"Mon, 23 Nov 2026 16:00:00 +0800") == TAIPEI
    assert zone_of(b"Mon, 23 Nov 2026 16:00:00 -0530 (x)") == -timedelta(hours=5, minutes=30)
    assert zone_of(b"Mon, 23 Nov 2026 08:00:00 +0000") is None
    assert zone_of(b"") is None
    assert when("2026-11-23 14:05", AROUND, None) == (None, "2026-11-23T14:05:00")


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("請問營業稅怎麼申報？", "營業稅"),
        (
            "好的。\n\n寄件者: 客服 <d@firm.example>\n寄件日期: 2026年11月23日 14:05\n收件者: 王\n主旨: 營業稅\n\n舊文",
            "回覆: 營業稅",
        ),
        ("I forwarded it to my accountant.", "tax"),
        ("請轉寄給李經理。", "營業稅"),
    ],
)
def test_an_answer_or_a_mail_is_no_forward(text: str, subject: str) -> None:
    assert read(text, subject) is None


def test_a_forward_without_a_block_has_no_sender_and_loses_no_word() -> None:
    found = read("王小姐說她的發票有問題。", "轉寄: Fwd: 發票")

    assert found == Block("", "", "", (), (), "發票", "", "王小姐說她的發票有問題。", count=1)


@pytest.mark.parametrize(
    "sender",
    [
        "王美玲",
        "chen@firm.example <mei@example.com>",
        "a@b.example, c@d.example",
        "王 <mei@>",
        "boss@firm.example [mailto:boss@firm.example] On Behalf Of mei@example.com",
    ],
)
def test_who_is_not_named_by_one_address_is_nobody(sender: str) -> None:
    found = read(f"---------- Forwarded message ---------\nFrom: {sender}\nSubject: x\n\nwords", "Fwd: x")

    assert found is not None
    assert found.sender == ""


def test_several_blocks_are_counted() -> None:
    one = shown(SHAPES["gmail en"])

    found = read(one + "\n" + one, "Fwd: 營業稅")

    assert found is not None
    assert (found.count, found.sender) == (2, "mei@example.com")


def test_what_the_original_quotes_is_no_second_mail() -> None:
    quote = (
        "\n\n寄件者: 客服 <support@firm.example>\n寄件日期: 2026年11月20日 09:05\n"
        "收件者: 王\n主旨: 營業稅\n\n上次的回覆"
    )

    found = read(shown(SHAPES["outlook hant"]).rstrip() + quote, "轉寄: 營業稅")

    assert found is not None
    assert (found.count, found.text) == (1, WORDS + quote)


def test_a_value_carries_no_line_end_and_no_invisible_character() -> None:
    block = (
        "---------- Forwarded message ---------\nFrom: 王\u202e美玲\x07 <mei@example.com>\r\nBcc: x@evil.example\n"
        "Subject: 稅\u2028Bcc: y@evil.example\nTo: z@example.com\n\nwords"
    )

    found = read(tidy(block), "Fwd: x")

    assert found is not None
    assert all(c not in found.name + found.subject for c in "\r\n\u2028\u202e\x07")


@pytest.mark.parametrize(
    "text",
    [
        "---------- Forwarded message ---------\n" * 30_000,
        "Fwd\n" + "From: a@b.example\n" * 60_000,
        "---------- Forwarded message ---------\nFrom: " + "a@b.example," * 80_000 + "\n\nx",
        "---------- Forwarded message ---------\nFrom: " + "@" * 500_000,
        "---------- Forwarded message ---------\nDate: " + "1" * 500_000,
        "---------- Forwarded message ---------\nTo: " + "\n a@b.example" * 60_000,
        "> " * 300_000 + "Begin forwarded message:",
        "> Begin forwarded message:\n" + "> From: a@b.example\n>\n" * 40_000,
        "Begin forwarded message:\n" * 20_000 + "\n" * 400_000 + "From: a@b.example\n",
    ],
    ids=range(9),
)
def test_g9_blocks_without_end_cost_little(text: str) -> None:
    began = time.process_time()

    found = read(text, "Fwd: x")

    assert time.process_time() - began < 2.5
    assert found is None or len(found.to) <= MAX_PEOPLE


def test_twice_the_octets_cost_twice_the_time() -> None:
    def cost(times: int) -> float:
        text = "\n".join([shown(SHAPES["gmail hant"])] * times)
        began = time.process_time()
        read(text, "Fwd: x")
        return time.process_time() - began

    cost(100)

    assert cost(4000) < 12 * max(cost(1000), 0.005)


# --- attached -------------------------------------------------------------------------------------------------------


def original(**headers: str) -> EmailMessage:
    mail = EmailMessage()
    facts = {
        "From": "王美玲 <mei@example.com>",
        "To": "chen@firm.example",
        "Subject": "營業稅",
        "Date": "Mon, 23 Nov 2026 14:05:00 +0800",
        "Message-ID": "<orig@example.com>",
    }
    for name, value in (facts | headers).items():
        mail[name] = value
    mail.set_content(WORDS)
    mail.add_attachment(b"%PDF-1", maintype="application", subtype="pdf", filename="發票.pdf")
    return mail


def forward(*mails: EmailMessage, words: str = "請看附件") -> bytes:
    outer = EmailMessage()
    outer["From"], outer["To"], outer["Subject"] = "chen@firm.example", "support@firm.example", "轉寄: 營業稅"
    outer.set_content(words)
    for mail in mails:
        outer.add_attachment(mail)
    return outer.as_bytes()


def test_an_attached_mail_is_read_whole() -> None:
    raw = forward(original())

    passed = mime.parse(raw).passed_on

    assert passed is not None
    mail = passed.original
    assert (str(mail.sender), mail.subject, mail.text) == ("mailto:mei@example.com", "營業稅", WORDS)
    assert (mail.message_id, mail.date_header) == ("<orig@example.com>", datetime(2026, 11, 23, 6, 5, tzinfo=UTC))
    assert (passed.note, passed.count, passed.is_attached) == ("請看附件", 1, True)
    assert [(a.name, mime.part_bytes(raw, a.path)) for a in mail.attachments] == [("發票.pdf", b"%PDF-1")]


def test_a_mail_attached_as_a_file_by_name_is_one_too() -> None:
    outer = EmailMessage()
    outer["From"], outer["Subject"] = "chen@firm.example", "转发：營業稅"
    outer.set_content("请看")
    outer.add_attachment(original().as_bytes(), maintype="application", subtype="octet-stream", filename="營業稅.eml")

    passed = mime.parse(outer.as_bytes()).passed_on

    assert passed is not None
    assert (passed.original.sender.value, passed.original.text) == ("mei@example.com", WORDS)
    assert [mime.part_bytes(outer.as_bytes(), a.path) for a in passed.original.attachments] == [b"%PDF-1"]


def test_several_attached_mails_are_counted() -> None:
    passed = mime.parse(forward(original(), original(Subject="退稅"))).passed_on

    assert passed is not None
    assert passed.count == 2


def test_a_mail_within_a_mail_within_is_not_opened_again_and_again() -> None:
    mail = original()
    for _ in range(40):
        outer = EmailMessage()
        outer["From"], outer["Subject"] = "x@example.com", "Fwd: y"
        outer.set_content("x")
        outer.add_attachment(mail)
        mail = outer

    passed = mime.parse(mail.as_bytes()).passed_on

    assert passed is not None
    assert passed.original.passed_on is None


def test_a_report_about_a_mail_passes_nothing_on() -> None:
    mail = (Path(__file__).parent / "mails").glob("*.eml")
    reports = [m for m in (mime.parse(path.read_bytes()) for path in mail) if m.bounce is not None]

    assert [r.passed_on for r in reports if r.passed_on is not None and r.passed_on.is_attached] == []


def test_the_mail_that_a_program_answers_when_it_forwards_is_the_original() -> None:
    raw = (
        b"From: chen@firm.example\r\nSubject: Fwd: x\r\nIn-Reply-To: <orig@example.com>\r\n"
        b"Date: Mon, 23 Nov 2026 16:00:00 +0800\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + shown(SHAPES["gmail hant"]).encode()
    )

    passed = mime.parse(raw).passed_on

    assert passed is not None
    assert passed.original.message_id == "<orig@example.com>"
    assert passed.original.date_header == datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
