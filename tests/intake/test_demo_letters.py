"""What the playground's mail client reads and writes."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from intake.demo import letters
from intake.demo.letters import Writer

CHEN = Writer(
    name="陳怡君",
    address="chen@firm.example",
    at=datetime(2026, 11, 23, 4, 0, tzinfo=UTC),
    message_id="<r1@firm.example>",
)
WORK = (
    "From: =?utf-8?b?546L576O546yIOWuouacjSAjMTA0Mg==?= <support@firm.example>\r\n"
    "Reply-To: support+TOKEN@firm.example\r\nTo: chen@firm.example\r\nSubject: [#1042] VAT\r\n"
    "Message-ID: <w1@firm.example>\r\nReferences: <c1@customer.example>\r\nDate: Mon, 23 Nov 2026 11:00:00 +0800\r\n"
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n請問 期限？\r\n第二行\r\n"
    "--b\r\nContent-Type: text/html\r\n\r\n<p>請問</p>\r\n"
    "--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=form.pdf\r\n\r\nPDF\r\n--b--\r\n"
).encode()


def test_a_mail_is_taken_apart() -> None:
    letter = letters.read(WORK)

    assert letter.sender == ("王美玲 客服 #1042", "support@firm.example")
    assert letter.subject == "[#1042] VAT"
    assert letter.text == "請問 期限？\n第二行"
    assert letter.preview == "請問 期限？ 第二行"
    assert "<p>請問</p>" in letter.html
    assert letter.files == (("form.pdf", 3),)
    assert letter.at == datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n\r\n", b"no header at all", b"From: \xff\xfe\r\nContent-Type: ;;;\r\n\r\nx"]
)
def test_whatever_comes_is_shown_somehow(raw: bytes) -> None:
    assert letters.read(raw).message_id == ""


def test_a_reply_goes_where_the_mail_asks_and_says_what_it_answers() -> None:
    reply = message_from_bytes(letters.reply(CHEN, letters.read(WORK), "截止日是 15 日。").as_bytes(), policy=default)

    assert reply["To"] == "support+TOKEN@firm.example"
    assert reply["From"] == "陳怡君 <chen@firm.example>"
    assert reply["Subject"] == "Re: [#1042] VAT"
    assert reply["In-Reply-To"] == "<w1@firm.example>"
    assert reply["References"] == "<c1@customer.example> <w1@firm.example>"
    body = reply.get_content().replace("\r\n", "\n")
    assert body.startswith("截止日是 15 日。\n\nOn 2026-11-23 03:00, 王美玲 客服 #1042 <support@firm.example> wrote:\n")
    assert "> 請問 期限？\n> 第二行" in body


def test_a_second_reply_says_re_once() -> None:
    first = letters.read(letters.reply(CHEN, letters.read(WORK), "a").as_bytes())

    assert letters.reply(CHEN, first, "b")["Subject"] == "Re: [#1042] VAT"


def test_a_new_mail_cannot_be_given_further_headers() -> None:
    mail = letters.new(CHEN, "support@firm.example", "hello\r\nBcc: evil@x.example", "words")

    assert mail["Bcc"] is None
    assert mail["Subject"] == "hello Bcc: evil@x.example"


def test_a_new_mail_names_who_gets_a_copy_and_no_other_header() -> None:
    mail = letters.new(CHEN, "support@firm.example", "hello", "words", "Emma <emma@customer.example>, lee@b.example")

    assert mail["Cc"] == "Emma <emma@customer.example>, lee@b.example"
    assert letters.new(CHEN, "support@firm.example", "hello", "words")["Cc"] is None
    with pytest.raises(ValueError, match="linefeed"):
        letters.new(CHEN, "support@firm.example", "hello", "words", "a@b.example\r\nBcc: evil@x.example")
