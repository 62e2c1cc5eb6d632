"""Automatic mail: what says that a machine wrote it, and the people who write about machines."""

from __future__ import annotations

import pytest

from channels import mime


def said(*headers: str, subject: str = "營業稅", body: str = "words") -> str:
    head = "\n".join(["From: mei@customer.example", "To: desk@firm.example", f"Subject: {subject}", *headers])
    return mime.parse(f"{head}\n\n{body}\n".encode()).auto_submitted


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["Auto-Submitted: auto-generated"], "auto-generated"),
        (["Auto-Submitted: auto-notified; owner-email=a@b"], "auto-notified"),
        (["Auto-Submitted: No"], ""),
        (["Precedence: auto_reply"], "auto-replied"),
        (["Precedence: junk"], "junk"),
        (["Precedence: bulk"], "bulk"),
        (["X-Autorespond: vacation"], "auto-replied"),
        (["X-Autoresponse: yes"], "auto-replied"),
        (["X-AutoReply: no"], ""),
        (["X-FC-MachineGenerated: true"], "auto-replied"),
        (["X-POST-MessageClass: 9; Autoresponder"], "auto-replied"),
        (["Delivered-To: Autoresponder"], "auto-replied"),
        (["X-MS-Exchange-Generated-Message-Source: Mailbox Rules Agent"], "auto-replied"),
        # A list that people write to, and what is only sent out.
        (["List-Id: <tax.example>", "List-Post: <mailto:tax@example>", "List-Unsubscribe: <mailto:x>"], "list"),
        (["List-Id: <tax.example>"], "list"),
        (["List-Id: <news.example>", "List-Unsubscribe: <https://x>"], "newsletter"),
        (["List-Id: <news.example>", "List-Post: NO"], "newsletter"),
        (["List-Unsubscribe: <https://x>", "Feedback-ID: 1:2:3:4"], "newsletter"),
        (["Feedback-ID: 1:2:3:4"], ""),
        (["X-Loop: a@b"], ""),
    ],
)
def test_what_headers_say(headers: list[str], expected: str) -> None:
    assert said(*headers) == expected


@pytest.mark.parametrize(
    "subject",
    [
        *("自动回复", "【自动回复】", "系統自動回覆：", "自動應答", "不在办公室", "外出中", "請假中", "出差中!"),
        *("自動返信", "不在通知", "不在のお知らせ", "休暇中のお知らせ", "Abwesenheitsnotiz", "Nicht im Büro"),
        *("Out of Office", "I am out of the office", "Automatic reply: "),
    ],
)
def test_an_absence_note_that_no_header_names(subject: str) -> None:
    message = mime.parse(f"From: a@b.example\nSubject: {subject}\n\nwords\n".encode())

    assert (message.auto_submitted, message.is_absent_by_words) == ("auto-replied", True)


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "自動回覆：退稅",
            "【自动回复】您的邮件",
            "自动答复: x",
            "暫時不在辦公室：x",
            "休假中：11/24 回",
            "出差中：請協助申報",
        ),
        *(
            "自動返信メール: x",
            "自動応答：x",
            "Automatische Antwort: Steuer",
            "Abwesend: x",
            "Automatic reply: tax",
            "Auto: tax",
        ),
        "Out of office - please call me",
    ],
)
def test_what_goes_on_after_the_words_of_absence_may_be_a_persons(subject: str) -> None:
    message = mime.parse(f"From: a@b.example\nSubject: {subject}\n\nwords\n".encode())

    assert (message.auto_submitted, message.is_absent_by_words) == ("perhaps-replied", True)


def test_a_providers_own_words_of_absence_are_a_machines_whatever_the_subject() -> None:
    assert said(subject="自动回复: 退税", body="这是来自QQ邮箱的假期自动回复邮件。您好") == "auto-replied"


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "出差中，請協助處理營業稅申報",
            "請假中, 請改寄發票到公司",
            "Out of office, please call me about the tax notice",
        ),
        *("Re: 自動回覆設定問題", "自動回覆怎麼設定", "回复: 自动回复", "外出經營證明", "休假的薪水怎麼算", "請假單"),
        *("出差費用", "不在籍証明", "Re: Out of Office", "Abwesenheit wegen Krankheit abrechnen", "自動車税について"),
    ],
)
def test_who_writes_about_absence_is_a_person(subject: str) -> None:
    assert said(subject=subject) == ""


def test_an_absence_note_that_says_so_is_not_known_by_its_words_alone() -> None:
    raw = b"From: a@b.example\nAuto-Submitted: auto-replied\nSubject: Automatic reply: x\n\nwords\n"

    assert mime.parse(raw).is_absent_by_words is False


@pytest.mark.parametrize(
    ("header", "asked"),
    [("X-Auto-Response-Suppress: OOF, AutoReply", "OOF, AutoReply"), ("X-Loop: desk@x.example", "desk@x.example")],
)
def test_what_asks_for_silence_is_kept_and_proves_no_machine(header: str, asked: str) -> None:
    message = mime.parse(f"From: a@b.example\n{header}\n\nwords\n".encode())

    assert (message.auto_submitted, message.automatic_id) == ("", asked)
