"""G7: a machine is never answered by a machine, and nothing is dropped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from channels.message import Address, Bounce, BounceKind, Medium, Message, Scheme
from routing.filters import ScreenFacts, ScreenVerdict, is_own_mark, loop_mark, screen

KEY = b"0123456789abcdef"
OTHER = b"fedcba9876543210"
MARK = loop_mark(KEY, "<1@d>")


def mail(sender: str = "wang@customer.example", **fields: object) -> Message:
    plain = Message(
        medium=Medium.EMAIL, sender=Address(scheme=Scheme.MAIL, value=sender), subject="營業稅", text="請問…"
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def codes(message: Message, facts: ScreenFacts) -> tuple[str, bool, list[str]]:
    told = screen(message, facts)
    return told.verdict.value, told.may_acknowledge, [reason.code for reason in told.reasons]


CASES = [
    ("a person", mail(), {}, ("person", True, ["person"])),
    ("a person by LMTP", mail(), {"envelope_from": "wang@customer.example"}, ("person", True, ["person"])),
    ("own mark", mail(message_id="<1@d>", loop_marks=(MARK,)), {}, ("own", False, ["own_mark"])),
    ("own mark, id by a relay", mail("support@firm.example", loop_marks=(MARK,)), {}, ("own", False, ["own_mark"])),
    ("own mark, sent on anew", mail(loop_marks=(MARK,)), {"goes_with_ours": True}, ("own", False, ["own_mark"])),
    ("own mark, again and again", mail(loop_marks=(MARK,)), {"peer_messages": 4}, ("own", False, ["own_mark"])),
    ("copied mark", mail(message_id="<2@d>", loop_marks=(MARK,)), {}, ("person", False, ["forged_mark"])),
    (
        "copied mark under an answer",
        mail(loop_marks=(MARK,), in_reply_to=("<1@d>",)),
        {"goes_with_ours": True},
        ("person", False, ["forged_mark"]),
    ),
    ("own id", mail(), {"is_own_message_id": True}, ("own", False, ["own_message_id"])),
    ("foreign mark", mail(loop_marks=(loop_mark(OTHER, "<1@d>"),)), {}, ("person", False, ["forged_mark"])),
    ("invented mark", mail(loop_marks=("yes",)), {}, ("person", False, ["forged_mark"])),
    ("report", mail(bounce=Bounce(kind=BounceKind.FAILED)), {}, ("bounce", False, ["report"])),
    ("auto-replied", mail(auto_submitted="auto-replied"), {}, ("automatic", False, ["auto_submitted"])),
    ("list", mail(auto_submitted="list"), {}, ("automatic", False, ["auto_submitted"])),
    ("null sender", mail(), {"envelope_from": ""}, ("automatic", False, ["null_sender"])),
    ("null sender written out", mail(), {"envelope_from": "<>"}, ("automatic", False, ["null_sender"])),
    ("daemon", mail("MAILER-DAEMON@mx.example"), {}, ("automatic", False, ["mailer_daemon"])),
    ("spam", mail(spam="YES"), {}, ("spam", False, ["spam"])),
    ("spam, and an agent says it is none", mail(spam="YES"), {"is_trusted": True}, ("person", True, ["person"])),
    (
        "an absence marked as spam",
        mail(spam="YES", auto_submitted="auto-replied"),
        {},
        ("automatic", False, ["auto_submitted"]),
    ),
    ("at the cap", mail(), {"peer_messages": 20}, ("person", True, ["person"])),
    ("above the cap", mail(), {"peer_messages": 21}, ("person", False, ["peer_cap"])),
    ("asked for silence", mail(automatic_id="All"), {}, ("person", False, ["asked_no_reply"])),
    ("no-reply", mail("no-reply@tax.example"), {}, ("person", False, ["no_reply_address"])),
    ("our own address", mail("Support@firm.example"), {}, ("person", False, ["own_address"])),
]


@pytest.mark.parametrize(("name", "message", "given", "expected"), CASES, ids=[case[0] for case in CASES])
def test_g7_what_a_message_is(
    name: str, message: Message, given: dict[str, object], expected: tuple[str, bool, list[str]]
) -> None:
    facts = ScreenFacts(loop_keys=(KEY,), own_addresses=frozenset({"support@firm.example"}), **given)  # type: ignore[arg-type]

    assert codes(message, facts) == expected


@pytest.mark.parametrize(
    "subject",
    [
        "自動回覆: 營業稅",
        "自动回复：Re: 发票",
        "【自動回覆】",
        "Automatic reply: invoice",
        "Out of Office: x",
        "休假通知",
        "外出中：11/24 回",
        "系统自动回复",
        "Auto-Reply: x",
        "請假中",
    ],
)
def test_an_absence_note_without_a_header_is_known_by_its_subject(subject: str) -> None:
    assert screen(mail(subject=subject), ScreenFacts()).verdict is ScreenVerdict.AUTOMATIC


@pytest.mark.parametrize(
    "text",
    [
        "您好，這是系統自動回覆，我 11/27 回來。",
        "此邮件为系统自动回复，请勿直接回复",
        "這是一封自動回覆郵件",
        "This is an automated reply from x",
    ],
)
def test_an_absence_note_without_a_header_is_known_by_its_words(text: str) -> None:
    assert screen(mail(text=text), ScreenFacts()).verdict is ScreenVerdict.AUTOMATIC


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("自動回覆怎麼設定？", "想請教"),
        ("休假的薪水怎麼算", "員工休假"),
        ("外出經營證明", "需要"),
        ("出差費用", "可以報帳嗎"),
        ("問題", "這是自動回覆嗎？我要找真人"),
        ("客訴", "你們系統自動回覆根本沒用"),
        ("營業稅", "這是系統自動回覆，" + "我說的是你們寄來的那封。" * 60),
    ],
)
def test_g5_who_writes_about_absence_is_a_person(subject: str, text: str) -> None:
    assert screen(mail(subject=subject, text=text), ScreenFacts()).may_acknowledge is True


def test_a_chat_is_never_taken_for_automatic_mail() -> None:
    said = Message(medium=Medium.CHAT, sender=Address(scheme=Scheme.WEB, value="v1"), text="這是自動回覆，")

    assert screen(said, ScreenFacts(envelope_from="")).verdict is ScreenVerdict.PERSON


def test_a_mark_counts_only_whole_and_with_a_key_of_ours() -> None:
    mark = loop_mark(KEY, "<1@firm.example>")

    assert is_own_mark((OTHER, KEY), mark.upper()) is True
    assert is_own_mark((OTHER,), mark) is False
    assert is_own_mark((), mark) is False
    assert is_own_mark((KEY,), mark[:-1]) is False
    assert is_own_mark((KEY,), loop_mark(KEY, "<2@firm.example>")[:16] + mark[16:]) is False
    assert "1@firm" not in mark
