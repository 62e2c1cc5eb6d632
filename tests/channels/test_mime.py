"""Mail to the normal form: people, words, files, and what servers say; one own mail for each trap."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from channels import mime
from channels.message import Bounce, BounceKind, Medium, Message, Role

MAILS = Path(__file__).parent / "mails"


def read(name: str) -> Message:
    return mime.parse((MAILS / f"{name}.eml").read_bytes())


def test_a_plain_mail_gives_people_words_and_keys() -> None:
    message = read("raw-8bit-headers")

    assert message.medium is Medium.EMAIL
    assert (message.sender.value, message.sender.display_name) == ("ming@customer.example", "王小明（財務）")
    assert [(r.role, r.address.value, r.address.display_name) for r in message.recipients] == [
        (Role.TO, "desk@firm.example", "客服"),
        (Role.TO, "lin@firm.example", "林, 主任"),
    ]
    assert message.subject == "退稅進度"
    assert message.message_id == "<raw8@customer.example>"
    assert message.date_header == datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
    assert message.defects == ()
    assert not message.is_stub


@pytest.mark.parametrize(
    ("name", "subject", "text", "language"),
    [
        (
            "gb2312-mislabelled",
            "朱镕基路的發票",
            "您好，请问镕基路分店的退税什么时候到账？\n㐀𠮷野家",
            "zh-Hans",
        ),
        ("big5-hkscs", "報稅問題", "唔該，我哋想問報稅嘅期限。", "zh-Hant"),
        ("raw-8bit-headers", "退稅進度", "請問退稅進度如何？", "zh-Hant"),
        ("word-cut-in-character", "退稅進度 € end", "hello", "en"),
        ("missing-boundary", "no boundary", "The words are here all the same.", "en"),
        ("without-end", "cut", "plain words", ""),
        ("nul-bytes", "nul byte", "beforeafter\n[31mred", ""),
        ("lines-of-old-macs", "old", "first\nsecond", ""),
        ("forwarded-as-file", "see attached", "please read", "en"),
    ],
)
def test_words_are_read_whatever_the_label_says(name: str, subject: str, text: str, language: str) -> None:
    message = read(name)

    assert (message.subject, message.text, message.language) == (subject, text, language)


def test_flowed_paragraphs_are_joined_and_signatures_stay() -> None:
    message = read("format-flowed")

    assert message.text_full == (
        "這是一個很長的段落，分成兩行。\n\nStuffed line\n> quoted paragraph that goes on\n-- \nMei"
    )


def test_html_alone_becomes_text_and_its_quote_is_found() -> None:
    message = read("html-only")

    assert message.text == "您好, Mei\n\n- one\n- two <https://a.example/x>\n\n2025 | 100"
    assert message.quoted == "On Mon, Jan 6, 2025 at 9:00 AM Desk <desk@firm.example> wrote:\n\n> old words"
    assert "alert" not in message.text_full
    assert "<script>" in message.html


def test_file_names_are_read_in_every_form_and_are_safe() -> None:
    raw = (MAILS / "file-names.eml").read_bytes()

    message = mime.parse(raw)

    assert [(a.path, a.name, a.media_type, a.size) for a in message.attachments] == [
        ("2", "營業稅.pdf", "application/pdf", 14),
        ("3", "發票.pdf", "application/pdf", 14),
        ("4", "纳税申报表.pdf", "application/pdf", 14),
        ("5", "gpj.sh", "application/x-sh", 10),
        ("6", "fullwidth.txt", "application/octet-stream", 1),
        ("7", "image.png", "image/png", 4),
    ]
    assert (message.attachments[5].content_id, message.attachments[5].is_inline) == ("logo@x", True)
    assert mime.part_bytes(raw, "2") == b"%PDF-1.4 test\n"


def test_a_path_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(mime.NoSuchPart):
        mime.part_bytes((MAILS / "file-names.eml").read_bytes(), "2.1")


def test_an_attached_mail_is_one_file_and_its_words_are_not_ours() -> None:
    message = read("forwarded-as-file")

    assert [(a.path, a.name, a.media_type) for a in message.attachments] == [("2", "稅_單.eml", "message/rfc822")]
    assert "words within" not in message.text_full


def test_a_name_that_looks_like_an_address_is_only_a_name() -> None:
    message = read("name-that-is-an-address")

    assert message.sender.value == "attacker@evil.example"
    assert message.sender.display_name == "agent@firm.example"
    assert [a.value for a in message.reply_to] == ["elsewhere@evil.example"]


@pytest.mark.parametrize(
    ("line", "count", "first"),
    [
        ("From: a@x.example", 1, "a@x.example"),
        ("From: agent@firm.example <b@evil.example>", 1, "b@evil.example"),
        ("From: <agent@firm.example> <b@evil.example>", 2, "agent@firm.example"),
        ("From: a@x.example, b@x.example", 2, "a@x.example"),
        ("From: (agent@firm.example) B <b@x.example>", 1, "b@x.example"),
        ("From: Group: a@x.example, b@x.example;", 2, "a@x.example"),
        ("From: =?utf-8?Q?Mei_=3Cagent=40firm.example=3E?=", 0, "agent@firm.example"),
        ("From: 張三 <zhang＠x．example>", 1, "zhang@x.example"),
        ('From: "open quote <a@x.example>', 1, "a@x.example"),
        ("From: undisclosed", 0, ""),
        ("X-From: a@x.example", 0, ""),
        ("From: a@x.example\nFrom: b@x.example", 2, "a@x.example"),
    ],
)
def test_from_addresses_are_counted(line: str, count: int, first: str) -> None:
    message = mime.parse(f"{line}\nSubject: x\n\nhello\n".encode())

    assert (message.from_count, message.sender.value) == (count, first)


def test_keys_verdicts_and_marks_are_read_from_folded_headers() -> None:
    message = read("folded-references")

    assert message.in_reply_to == ("<r2@b.example>",)
    assert message.references == ("<r0@b.example>", "<r1@b.example>", "<r2@b.example>")
    assert [(v.by, v.method, v.result, v.domain) for v in message.authentication] == [
        ("mx.firm.example", "dmarc", "pass", "b.example"),
        ("mx.firm.example", "dkim", "pass", "b.example"),
        ("mx.firm.example", "spf", "fail", "evil.example"),
        ("mx.firm.example", "auth", "pass", "agent"),
    ]
    assert message.loop_marks == ("desk-1",)
    assert message.spam == "YES"
    assert (message.automatic_id, message.auto_submitted) == ("All", "")
    assert [name for name, _ in message.source_headers] == [
        "From",
        "Authentication-Results",
        "Authentication-Results",
        "Received",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "mx.firm.example; none (dmarc=pass header.from=firm.example; spf=pass)",
        'mx.firm.example; x="; dmarc=pass header.from=firm.example"',
        "mx.firm.example; none (open ; dmarc=pass header.from=firm.example",
        'mx.firm.example; none "open ; dmarc=pass header.from=firm.example',
    ],
)
def test_a_verdict_within_a_comment_or_a_quote_is_none(line: str) -> None:
    message = mime.parse(f"From: a@b.example\nAuthentication-Results: {line}\n\nhello\n".encode())

    assert [v for v in message.authentication if v.method == "dmarc"] == []


@pytest.mark.parametrize(
    ("header", "subject", "expected"),
    [
        ("Auto-Submitted: auto-replied (vacation)", "x", "auto-replied"),
        ("Auto-Submitted: no", "x", ""),
        ("Precedence: bulk", "x", "bulk"),
        ("Precedence: first-class", "x", ""),
        ("List-Id: <news.example>", "x", "list"),
        ("Return-Path: <>", "x", "auto-generated"),
        ("X-Auto-Response-Suppress: All", "x", ""),
        ("X-Autoreply: yes", "x", "auto-replied"),
        # By its words alone, and the subject goes on: the chain asks whether it answers a mail of ours.
        ("X-A: b", "自动回复:退税", "perhaps-replied"),
        ("X-A: b", "自動回覆：退稅", "perhaps-replied"),
        ("X-A: b", "Automatic reply: tax", "perhaps-replied"),
        ("X-A: b", "Out of Office", "auto-replied"),
        ("X-A: b", "Out of office hours: when do you open?", ""),
        ("X-A: b", "自动回复功能怎么用", ""),
        ("X-A: b", "Automatic reply does not work", ""),
    ],
)
def test_machines_are_told_from_people(header: str, subject: str, expected: str) -> None:
    message = mime.parse(f"From: a@b.example\n{header}\nSubject: {subject}\n\nhello\n".encode())

    assert message.auto_submitted == expected


def test_the_content_key_joins_copies_and_nothing_else() -> None:
    raw = (MAILS / "raw-8bit-headers.eml").read_bytes()
    copy = b"Received: by another.example\r\nDelivered-To: lin@firm.example\r\n" + raw
    other = raw.replace("如何".encode(), "怎樣".encode())

    assert mime.parse(copy).content_key == mime.parse(raw).content_key
    assert mime.parse(other).content_key != mime.parse(raw).content_key
    assert mime.headers_only(raw).content_key == mime.parse(raw).content_key
    assert mime.parse(b"From: a@b.example\n\nhello\n").content_key == ""


def test_headers_alone_give_a_stub_with_everything_that_headers_tell() -> None:
    stub = mime.headers_only((MAILS / "folded-references.eml").read_bytes())

    assert stub.is_stub
    assert (stub.subject, stub.text_full, stub.attachments) == ("Re: x", "", ())
    assert stub.references[-1] == "<r2@b.example>"


def test_a_truncated_mail_is_a_stub_with_the_words_that_came() -> None:
    raw = (MAILS / "file-names.eml").read_bytes()
    cut = raw.index(b"JVBERi0xLjQ") + 6

    message = mime.parse(raw[:cut], is_truncated=True)

    assert message.is_stub
    assert (message.text, message.attachments) == ("見附件", ())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "delivery-status",
            Bounce(
                kind=BounceKind.FAILED,
                recipient="nobody@customer.example",
                status="5.1.1",
                reason="550 5.1.1 <nobody@customer.example>: user unknown",
                original_message_id="<t1.abc@firm.example>",
            ),
        ),
        (
            "complaint-arf",
            Bounce(
                kind=BounceKind.COMPLAINT,
                recipient="mei@customer.example",
                reason="abuse",
                original_message_id="<t2.abc@firm.example>",
            ),
        ),
        (
            "bounce-of-no-standard",
            Bounce(
                kind=BounceKind.FAILED,
                recipient="nobody@customer.example",
                status="5.7.1",
                reason="Remote host said: 550 5.7.1 relaying denied",
                original_message_id="<t3.abc@firm.example>",
            ),
        ),
        ("away-without-header", None),
        ("forwarded-as-file", None),
    ],
)
def test_reports_name_the_mail_they_are_about(name: str, expected: Bounce | None) -> None:
    assert read(name).bounce == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("fold", ["", "\n folded", "\n\tfolded\n twice"])
def test_a_body_without_a_blank_line_before_it_is_kept_to_the_letter(end: str, fold: str) -> None:
    words = "dear all\nthese are the words\n" + "and many more\n" * 10_000
    raw = f"From: a@b.example\nSubject: x{fold}\n{words}".replace("\n", end).encode()

    assert mime.parse(raw).text_full.strip() == words.strip()
