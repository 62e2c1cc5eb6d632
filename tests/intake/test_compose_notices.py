"""Notices and told mails: one line each, a table for several, and always what to do now."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest
from support.letters import CANARY, NOW, agent_facts, notice_facts, notice_lines, told_facts

from intake import texts_loader
from intake.compose import MARK, Told, agent_mail, notice_mail, told_mail
from intake.texts_loader import Texts, TextsWrong
from routing.commands import parse
from routing.deeds import DEEDS
from routing.words import NoticeKind

TEXTS = texts_loader.load()
LANGUAGES = ("zh-Hant", "zh-Hans", "en")


def _read(raw: bytes) -> tuple[EmailMessage, str, str]:
    message = email.message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return message, str(plain.get_content()).replace("\r\n", "\n"), str(html.get_content())


def _notices(**changes: Any) -> tuple[EmailMessage, str, str]:
    return _read(notice_mail(notice_facts(**changes), TEXTS))


def _told(**changes: Any) -> tuple[EmailMessage, str, str]:
    return _read(told_mail(told_facts(**changes), TEXTS))


def test_a_breach_is_one_line() -> None:
    message, plain, html = _notices(lines=notice_lines()[:1])

    line = "#1042 王美玲 郵件 · 逾時 4 分 · 陳 · 原因：午休無人接手"
    assert message["Subject"] == line
    assert plain.split("\n\n")[0] == f"{line} · {CANARY}"
    assert line in html
    assert "11月23日（週一）14:06 前回覆 · 營業稅申報" in plain
    assert message["Auto-Submitted"] == "auto-generated"


def test_a_notice_about_one_ticket_may_stand_in_its_conversation() -> None:
    message, _, _ = _notices(
        lines=notice_lines()[:1],
        subject_name="王美玲",
        customer_subject="營業稅申報書少算一張發票",
        thread_index=b"x" * 22,
    )

    ticket = email.message_from_bytes(agent_mail(agent_facts(), TEXTS), policy=policy.default)
    assert message["Subject"] == ticket["Subject"]
    assert message["Thread-Topic"] == ticket["Thread-Topic"]


def test_several_notices_are_a_table_in_order_of_deadline() -> None:
    early = replace(notice_lines()[1], ticket=9, due_at=NOW - timedelta(hours=2), notice=NoticeKind.BREACH)

    message, plain, html = _notices(lines=(*notice_lines(), early))

    assert message["Subject"] == "3 件要處理：2 件已逾時、1 件快到期"
    assert re.findall(r"^#(\d+)", plain, flags=re.M) == ["9", "1042", "1050"]
    assert re.findall(r"<b>#(\d+)</b>", html) == ["9", "1042", "1050"]
    assert "#1050 Acme Ltd. 網頁對話 · 剩 12 分 · 無人" in plain
    assert message["From"] == "誠信財稅 客服 <service@firm.example>"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_digest_has_the_canary_in_both_of_its_blocks(language: str) -> None:
    _, plain, html = _notices(language=language)

    assert plain.count(CANARY) == html.count(CANARY) == 2
    assert plain.count(MARK) == html.count(MARK) == 1
    assert "{" not in plain


def test_a_hundred_strange_names_neither_break_a_row_nor_a_line() -> None:
    lines = tuple(
        replace(notice_lines()[0], ticket=n, customer_name="<b>\r\nx\u202e" * 50, reason="長" * 500) for n in range(300)
    )

    _, plain, html = _notices(lines=lines)

    assert len(html.encode()) < 100_000
    assert "<b>\r" not in html
    assert "另有 240 件未列出" in plain
    assert "另有 240 件未列出" in html
    assert "\u202e" not in plain


# ---------- told ----------


FILLED_IN = {"detail": "550 no such user", "by": "林小姐", "at": "10:02", "since": "", "who": "#1042 王美玲"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("told", list(Told))
def test_every_reason_can_be_told_with_what_to_do_now(told: Told, language: str) -> None:
    message, plain, html = _told(told=told, language=language, detail="550 no such user", values=FILLED_IN)

    above = plain.split(MARK)[0]
    # Why, what now, and the detail, which for some, as a hand-over, stands within the head or the why.
    written = [TEXTS.say(f"told.{told}.{part}", language, **FILLED_IN) for part in ("head", "why")]
    assert len(above.strip().split("\n\n")) == (3 if "550 no such user" in " ".join(written) else 4)
    assert "550 no such user" in above
    assert not re.search(r"\{(?:detail|by|at|since|who)\}", plain)
    assert message["Subject"] == "[#1042] 王美玲 · 營業稅申報書少算一張發票"
    assert f'<html lang="{language}">' in html


@pytest.mark.parametrize(("language", "last"), [("zh-Hant", "！非垃圾"), ("zh-Hans", "！非垃圾"), ("en", "!notspam")])
def test_help_lists_every_command_as_it_is_typed(language: str, last: str) -> None:
    _, plain, page = _told(told=Told.HELP, language=language, is_supervisor=True)

    typed = [parse(line.strip().partition("  ")[0]) for line in plain.splitlines() if line.startswith(("  !", "  ！"))]
    assert [parsed.unknown for parsed in typed if parsed.unknown] == []
    assert {parsed.commands[0].name for parsed in typed} == set(DEEDS)
    assert last in page


@pytest.mark.parametrize("language", ["zh-Hant", "zh-Hans", "en"])
def test_help_offers_nobody_what_he_may_not_do(language: str) -> None:
    _, plain, page = _told(told=Told.HELP, language=language)

    for name in (name for name, deed in DEEDS.items() if deed.for_supervisors):
        assert TEXTS.say(f"action.typed_{name}", language) not in plain + page


def test_what_would_have_left_is_quoted_below_the_mark_with_the_canary() -> None:
    _, plain, html = _told()

    above, below = plain.split(MARK)
    assert "您好，可以更正" not in above
    assert f"【原本會寄出的內容】 {CANARY}\n> 您好，可以更正。\n> 統一編號 2468" in below
    assert CANARY in above
    assert html.index(MARK) < html.index("您好，可以更正") < len(html)
    assert html.count(CANARY) == 2


def test_who_may_not_see_the_ticket_is_told_no_more_than_its_number() -> None:
    message, plain, html = _told(told=Told.NOT_YOUR_TICKET, subject_name="王美玲", customer_subject=None)

    assert message["Subject"] == "[#1042] 沒有寄給客戶：這件不是您負責"
    assert "王美玲" not in plain + html


def test_a_told_mail_may_know_no_ticket() -> None:
    message, plain, _ = _told(told=Told.NO_TOKEN, ticket=None, customer_subject=None, reply_to="")

    assert message["Subject"] == "沒有寄給客戶"
    assert message["Reply-To"] is None
    assert message["From"] == "誠信財稅 客服 <service@firm.example>"
    assert "#" not in plain.split(MARK)[0]


def test_a_forged_reply_is_quoted_as_text() -> None:
    _, plain, html = _told(would_have_left=f"<img src=x>\n{'x' * 100_000}", detail="\r\nBcc: x\u2028y")

    assert "&lt;img src=x&gt;" in html
    assert len(html.encode()) < 100_000
    assert "Bcc: x y" in plain


# ---------- texts ----------


def test_every_text_exists_in_three_languages_and_reads_like_its_own() -> None:
    assert len(TEXTS.keys()) > 100
    for key in sorted(TEXTS.keys()):
        hant, hans, english = (TEXTS._texts[key, language] for language in LANGUAGES)
        assert hant.strip(), key
        assert not re.search("[\u4e00-\u9fff]", english), key
        assert not re.search("[这这发时业务员见开关电话问题们说请过还没报书应为给]", hant), key
        assert not re.search("[這發時業務員見開關電話問題們說請過還沒報書應為給]", hans), key


@pytest.mark.parametrize("key", [f"told.{told}.{part}" for told in Told for part in ("head", "why", "todo")])
def test_no_text_promises_soon(key: str) -> None:
    for language in LANGUAGES:
        assert not re.search("盡快|尽快|shortly|as soon as possible", TEXTS.say(key, language, **FILLED_IN))


@pytest.mark.parametrize(
    ("versions", "match"),
    [
        ({"zh-Hant": "a", "en": "a"}, "has no zh-Hans"),
        ({"zh-Hant": "{a}", "zh-Hans": "{a}", "en": "{b}"}, "same placeholders"),
        ({"zh-Hant": "{a.b}", "zh-Hans": "{a.b}", "en": "{a.b}"}, "plain names"),
        ({"zh-Hant": "{", "zh-Hans": "x", "en": "x"}, "texts: k"),
    ],
)
def test_texts_that_cannot_be_used_are_refused_when_loaded(versions: dict[str, str], match: str) -> None:
    with pytest.raises(TextsWrong, match=match):
        Texts({"k": versions})


def test_a_firm_may_word_a_text_its_own_way() -> None:
    own = TEXTS.with_overrides({"ack.messaging": {"zh-Hant": "收到囉，{deadline} 前回您"}})

    assert own.say("ack.messaging", "zh-Hant", deadline="15:30", ref="#1") == "收到囉，15:30 前回您"
    assert own.say("ack.messaging", "en", deadline="15:30", ref="#1") == "Received (ref #1). We will reply by 15:30."
    for wrong in ({"no.such": {"en": "x"}}, {"ack.messaging": {"en": "{secret}"}}, {"ack.messaging": {"de": "x"}}):
        with pytest.raises(TextsWrong):
            TEXTS.with_overrides(wrong)


def test_what_is_filled_in_is_not_read_again() -> None:
    assert "{ref}" in TEXTS.say("ack.messaging", "en", deadline="{ref}", ref="#1")
