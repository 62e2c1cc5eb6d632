"""What a customer gets: the agent's words and the firm's name, in his own thread, and nothing of ours."""

from __future__ import annotations

import email
import re
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest
from support.letters import CANARY, NOW, ack_facts, customer_facts

from channels.message import Medium
from intake import texts_loader
from intake.compose import (
    MARK,
    Carried,
    acknowledgement,
    acknowledgement_text,
    customer_answer,
    customer_text,
    greeted_name,
    reply_subject,
)
from intake.mailbytes import File
from routing.words import Kind, Standing

TEXTS = texts_loader.load()


def _read(raw: bytes) -> EmailMessage:
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = email.message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def _answer(**changes: Any) -> EmailMessage:
    return _read(customer_answer(customer_facts(**changes), TEXTS))


def _ack(**changes: Any) -> EmailMessage:
    return _read(acknowledgement(ack_facts(**changes), TEXTS))


def _body(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


# ---------- answers ----------


def test_an_answer_has_the_headers_of_a_mail_from_the_firm_and_no_others() -> None:
    message = _answer(loop="desk-7f")

    assert dict(message.items()) == {
        "From": "誠信財稅客服 <service@firm.example>",
        "To": "王美玲 <mei@example.com>",
        "Subject": "Re: 營業稅申報書少算一張發票",
        "Date": "Mon, 23 Nov 2026 06:10:00 +0000",
        "Message-ID": "<o.77@firm.example>",
        "In-Reply-To": "<c2@example.com>",
        "References": "<c1@example.com> <c2@example.com>",
        "X-Intake-Loop": "desk-7f",
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "base64",
    }


def test_an_answer_is_the_agents_words_and_the_firms_signature() -> None:
    message = _answer()

    assert message.get_content_type() == "text/plain"  # he wrote plain text
    assert _body(message) == (
        "王小姐您好：\n\n可以更正，請把發票影本寄給我們。\n說明見 https://www.example.com/vat?a=1&b=2 。\n\n"
        "-- \n陳怡君\n誠信財稅 客服\n"
    )
    for internal in (MARK, CANARY, "1042", "客服 #", "chen@"):
        assert internal not in message.as_string() + _body(message)


@pytest.mark.parametrize(
    ("language", "firm"),
    [("zh-Hant", "誠信財稅 客服"), ("zh-Hans", "誠信財稅 客服"), ("en", "誠信財稅 Client Service")],
)
def test_the_signature_is_in_the_customers_language_unless_the_firm_wrote_its_own(language: str, firm: str) -> None:
    assert _body(_answer(language=language, author="")).endswith(f"-- \n{firm}\n")
    assert _body(_answer(language=language, author="", signature="A\nB")).endswith("-- \nA\nB\n")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("報表", "Re: 報表"),
        ("Re: 報表", "Re: 報表"),
        ("RE: 回覆：Re : 答复: 報表", "Re: 報表"),
        ("AW: Bericht", "Re: Bericht"),
        ("Re[2]: RE(3): 返信: 回复：Antwort: x", "Re: x"),
        ("Fwd: 報表", "Re: Fwd: 報表"),
        ("R: preventivo", "Re: preventivo"),
        ("Reform: 報表", "Re: Reform: 報表"),
        ("a\r\nBcc: x@evil.example", "Re: a Bcc: x@evil.example"),
    ],
)
def test_re_stands_once(subject: str, expected: str) -> None:
    message = _answer(customer_subject=subject)

    assert message["Subject"] == reply_subject(subject) == expected
    assert message["Bcc"] is None


def test_the_number_is_in_the_subject_only_if_the_firm_wants_it_there() -> None:
    assert _answer(ticket_in_subject=1042)["Subject"] == "Re: 營業稅申報書少算一張發票 [#1042]"
    assert _answer(ticket_in_subject=1042, customer_subject="Re: X [#1042]")["Subject"] == "Re: X [#1042]"


def test_a_first_mail_begins_a_thread_of_its_own() -> None:
    message = _answer(in_reply_to="", references=(), customer_subject="")

    assert (message["In-Reply-To"], message["References"]) == (None, None)
    assert message["Subject"] == "關於您的來訊"


def test_references_end_with_the_mail_that_is_answered() -> None:
    assert _answer(references=("<c1@example.com>",))["References"] == "<c1@example.com> <c2@example.com>"
    assert _answer(references=("broken", "<c2@example.com>"))["References"] == "<c2@example.com>"


def test_files_and_copies_go_along() -> None:
    message = _answer(
        files=(File(name="更正.pdf", media_type="application/pdf", content=b"%PDF"),), cc=(("李", "li@example.com"),)
    )

    assert [a.get_payload(decode=True) for a in message.iter_attachments()] == [b"%PDF"]
    assert message["Cc"] == "李 <li@example.com>"


def test_an_answer_in_a_chat_is_its_words_alone() -> None:
    assert customer_text("  您好\r\n\r\n可以。\u202e\x00\n\n") == "您好\n\n可以。".encode()


# ---------- acknowledgements ----------


@pytest.mark.parametrize("language", ["zh-Hant", "zh-Hans", "en"])
@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("closed", [True, False])
def test_an_acknowledgement_has_three_sentences(language: str, kind: Kind, closed: bool) -> None:
    message = _ack(language=language, kind=kind, opens_at=NOW + timedelta(hours=18) if closed else None)

    words = _body(message).split("\n\n")[1]
    assert len(re.findall(r"。|[.](?=\s|$)", words)) == 3
    assert "#1042" in words
    assert ("15:30" in words, "{" in words) == (True, False)
    assert message.get_content_type() == "text/plain"


def test_an_acknowledgement_says_that_it_is_one() -> None:
    message = _ack(loop="desk-7f")

    assert message["Auto-Submitted"] == "auto-replied"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["X-Intake-Loop"] == "desk-7f"
    assert message["Subject"] == "Re: 營業稅申報書少算一張發票"
    assert message["In-Reply-To"] == "<c2@example.com>"
    assert _body(message) == (
        "王美玲您好：\n\n我們已收到您的來信，編號 #1042。承辦同仁會在 11月23日（週一）15:30 前回覆您。"
        "若要補充資料，請直接回覆本信。\n\n誠信財稅 客服\n"
    )


def test_out_of_hours_it_says_when_the_desk_opens_and_whom_to_call() -> None:
    opens_at, due_at = NOW + timedelta(hours=18, minutes=50), NOW + timedelta(hours=22, minutes=50)

    body = _body(_ack(opens_at=opens_at, due_at=due_at, hotline="02-2345-6789"))

    assert "我們將於 11月24日（週二）09:00 開始服務，並於 11月24日（週二）13:00 前回覆您" in body
    assert "請撥 02-2345-6789" in body


@pytest.mark.parametrize("standing", [Standing.UNVERIFIED, Standing.LOOKALIKE])
def test_nothing_a_forger_wrote_reaches_his_victim(standing: Standing) -> None:
    message = _ack(
        standing=standing,
        customer_subject="買 http://evil.example",
        to=("點 http://evil.example", "victim@example.com"),
    )

    assert "evil" not in message.as_string() + _body(message)
    assert message["Subject"] == "已收到您的來信（#1042）"
    assert _body(message).startswith("您好：")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("王美玲", "王美玲"),
        ("Mary-Jane O'Neil Jr.", "Mary-Jane O'Neil Jr."),
        ("J. Smith", "J. Smith"),
        ("  王  美玲 ", "王 美玲"),
        ("evil.example", ""),
        ("call 0900", ""),
        ("mei@example.com", ""),
        ("http://x", ""),
        ("a\nb c", "a b c"),
        ("王" * 41, ""),
        ("- .", ""),
        ("", ""),
        ("王\u202e美", ""),
    ],
)
def test_only_what_can_be_nothing_but_a_name_is_greeted(name: str, expected: str) -> None:
    assert greeted_name(name) == expected


@pytest.mark.parametrize(
    ("medium", "closed", "expected"),
    [
        (Medium.CHAT, False, "您好，已收到您的訊息（編號 #1042），同仁會在 今天 15:30 前在這裡回覆您。"),
        (Medium.TELEGRAM, False, "已收到，編號 #1042，今天 15:30 前回覆您。"),
        (
            Medium.LINE,
            True,
            "已收到，編號 #1042。現在是非服務時間，我們將於 明天 09:00 開始服務，今天 15:30 前回覆您。",
        ),
    ],
)
def test_chat_and_messengers_hear_it_in_a_line(medium: Medium, closed: bool, expected: str) -> None:
    opens_at = NOW + timedelta(hours=18, minutes=50) if closed else None

    assert acknowledgement_text(ack_facts(medium=medium, opens_at=opens_at), TEXTS).decode() == expected


@pytest.mark.parametrize("medium", list(Medium))
@pytest.mark.parametrize("language", ["zh-Hant", "zh-Hans", "en"])
@pytest.mark.parametrize("closed", [True, False])
def test_every_acknowledgement_can_be_written(medium: Medium, language: str, closed: bool) -> None:
    text = acknowledgement_text(
        ack_facts(medium=medium, language=language, opens_at=NOW if closed else None), TEXTS
    ).decode()

    assert "1042" in text
    assert "{" not in text


# ---------- an answer with HTML ----------

CARRIED = Carried(
    html='<p><b>可以</b></p><img src="cid:n@picture" alt="">',
    plain="可以\n\n[圖.png]",
    pictures=(File(name="圖.png", media_type="image/png", content=b"\x89PNG", content_id="n@picture"),),
    left_out=frozenset({"logo@x"}),
)
FILES = (
    File(name="圖.png", media_type="image/png", content=b"\x89PNG", content_id="i@x"),
    File(name="logo.png", media_type="image/png", content=b"logo", content_id="logo@x"),
    File(name="更正.pdf", media_type="application/pdf", content=b"%PDF"),
)


def test_a_mail_with_everything_is_built_as_outlook_and_gmail_build_it() -> None:
    raw = customer_answer(customer_facts(carried=CARRIED, files=FILES), TEXTS)
    message = _read(raw)

    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/related",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    related = list(message.walk())[1]
    assert related.get_param("type") == "multipart/alternative"  # RFC 2387
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw == customer_answer(customer_facts(carried=CARRIED, files=FILES), TEXTS)


def test_both_parts_end_in_the_firms_signature() -> None:
    message = _answer(carried=CARRIED, signature="誠信財稅\n02-2345-6789", author="陳怡君")

    assert _body(message) == "可以\n\n[圖.png]\n\n-- \n陳怡君\n誠信財稅\n02-2345-6789\n"
    assert "陳怡君<br>\n誠信財稅<br>\n02-2345-6789" in _body(message, "html")


@pytest.mark.parametrize(("length", "shown"), [(100, 1), (1000, 1), (5000, 1)])
def test_lines_without_end_travel_in_short_ones(length: int, shown: int) -> None:
    raw = customer_answer(customer_facts(words="好" * length + " " + "x" * length), TEXTS)

    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert _body(_read(raw)).count("好" * length + " " + "x" * length) == shown  # and are not wrapped for the reader


# ---------- Outlook's conversation ----------

THEIRS = "AdxZ2mQ1u7o2gYy8Qk2s0m0b1Jw9Vg=="


def test_an_answer_stands_in_the_customers_outlook_conversation() -> None:
    message = _answer(thread_index=THEIRS, customer_subject="RE: 回覆：營業稅")

    assert message["Thread-Topic"] == "營業稅"
    assert message["Thread-Index"].startswith(THEIRS[:28])
    assert message["Subject"] == "Re: 營業稅"


def test_without_a_thread_index_of_his_there_is_none() -> None:
    for message in (_answer(), _answer(thread_index="nonsense"), _answer(thread_index=THEIRS, in_reply_to="")):
        assert (message["Thread-Index"], message["Thread-Topic"]) == (None, None)


def test_a_forgers_conversation_is_not_carried_to_his_victim() -> None:
    message = _ack(thread_index=THEIRS, standing=Standing.UNVERIFIED)

    assert (message["Thread-Index"], message["Thread-Topic"]) == (None, None)


# ---------- what a machine wrote says so, in octets ----------


def test_headers_of_an_acknowledgement_and_of_an_answer_as_octets() -> None:
    ack = acknowledgement(ack_facts(loop="desk-7f"), TEXTS).split(b"\r\n\r\n")[0].split(b"\r\n")
    answer = customer_answer(customer_facts(loop="desk-7f"), TEXTS).split(b"\r\n\r\n")[0].split(b"\r\n")

    for line in (b"Auto-Submitted: auto-replied", b"X-Auto-Response-Suppress: All"):
        assert ack.count(line) == 1
        assert line not in answer  # a person wrote it
    assert ack.count(b"X-Intake-Loop: desk-7f") == answer.count(b"X-Intake-Loop: desk-7f") == 1
    assert sum(line.lower().startswith(b"message-id:") for line in answer) == 1
