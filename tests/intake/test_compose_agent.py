"""The agent's mail, read back as his mail client would."""

from __future__ import annotations

import base64
import email
import re
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest
from support.letters import ACTIONS, CANARY, DUE, NOW, OPENED, WORDS, agent_facts

from channels.message import Medium
from intake import texts_loader
from intake.compose import MARK, MailKind, agent_mail, agent_subject, desk_display_name, thread_index
from intake.compose_words import columns, wrap
from intake.mailbytes import File
from routing.words import Kind, Standing, TargetKind

TEXTS = texts_loader.load()
LANGUAGES = ("zh-Hant", "zh-Hans", "en")
HOW = ("asked", "doubtful", "unproven", "explicit")  # a wish to be answered elsewhere


def _mail(**changes: Any) -> EmailMessage:
    raw = agent_mail(agent_facts(**changes), TEXTS)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = email.message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def _plain(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def _html(message: EmailMessage) -> str:
    body = message.get_body(("html",))
    if body is not None and body.get_content_type() == "multipart/related":
        body = next(iter(body.iter_parts()))
    assert body is not None
    return str(body.get_content())


def _seen(html: str) -> str:
    """The text of a page, as a reader sees it."""
    return re.sub(r"<[^>]+>", " ", re.sub(r"<head>.*?</head>|<!--.*?-->", "", html, flags=re.S))


def test_the_headers_say_who_writes_and_where_the_answer_goes() -> None:
    message = _mail()

    assert message["From"] == "誠信財稅 客服 #1042 <service@firm.example>"
    assert message["To"] == "陳怡君 <chen@firm.example>"
    assert message["Reply-To"].addresses[0].addr_spec == "service+k1abcdefghijklmnopqrstuvwxyz234567@firm.example"
    assert message["Subject"] == "[#1042] 王美玲 · 營業稅申報書少算一張發票"
    assert message["Message-ID"] == "<t.1042.a.1@firm.example>"
    assert message["References"] == "<t.1042@firm.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Intake-Loop"] == "desk-7f"
    assert message["Date"].datetime == NOW
    assert message["Thread-Topic"] == message["Subject"]
    assert base64.b64decode(message["Thread-Index"]) == thread_index(OPENED, "service@firm.example", 1042)


def test_every_mail_about_a_ticket_has_the_same_subject_whatever_it_says() -> None:
    mails = [
        _mail(mail_kind=kind, now=DUE + timedelta(minutes=after), customer_name=name, subject_name="王美玲")
        for kind, after, name in [
            (MailKind.ASSIGNMENT, -80, "王美玲"),
            (MailKind.WARNING, -10, "王美玲（已改名）"),
            (MailKind.SUPERVISOR, 4, "王美玲"),
        ]
    ]

    assert {m["Subject"] for m in mails} == {"[#1042] 王美玲 · 營業稅申報書少算一張發票"}
    assert len({m["Thread-Index"] for m in mails}) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "15:30 前回覆 · 營業稅申報 · 王美玲"),
        ({"language": "zh-Hans"}, "15:30 前回复 · 營業稅申報 · 王美玲"),
        ({"language": "en", "topic": "VAT filing"}, "Answer by 15:30 · VAT filing · 王美玲"),
        ({"is_urgent": True, "kind": Kind.COMPLAINT}, "15:30 前回覆 · 急件 · 客訴 · 營業稅申報 · 王美玲"),
        ({"mail_kind": MailKind.UPDATE}, "15:30 前回覆 · 客戶補充 · 營業稅申報 · 王美玲"),
        (
            {"mail_kind": MailKind.WARNING, "now": DUE - timedelta(minutes=24)},
            "15:30 前回覆，剩 24 分 · 營業稅申報 · 王美玲",
        ),
        (
            {"mail_kind": MailKind.BREACH, "now": DUE + timedelta(minutes=4)},
            "逾時 4 分，原訂 15:30 前回覆 · 營業稅申報 · 王美玲",
        ),
        ({"mail_kind": MailKind.BREACH, "now": DUE}, "剛逾時，原訂 15:30 前回覆 · 營業稅申報 · 王美玲"),
        (
            {
                "mail_kind": MailKind.SUPERVISOR,
                "now": DUE + timedelta(minutes=4),
                "holder": "陳",
                "reason": "午休無人接手。",
            },
            "#1042 王美玲 郵件 · 逾時 4 分 · 陳 · 原因：午休無人接手",
        ),
        ({"due_at": DUE + timedelta(days=1)}, "11月24日（週二）15:30 前回覆 · 營業稅申報 · 王美玲"),
        ({"due_at": None, "topic": ""}, "待回覆 · 王美玲"),
        ({"target": TargetKind.CALLBACK, "medium": Medium.PHONE}, "15:30 前回撥 · 營業稅申報 · 王美玲"),
    ],
)
def test_the_first_line_is_the_deadline(changes: dict[str, Any], expected: str) -> None:
    message = _mail(**changes)

    assert " ".join(_plain(message).split("\n\n")[0].split("\n")) == expected
    assert " ".join(_seen(_html(message)).split()).startswith(f"{expected} ")


def test_the_lines_above_the_words_say_what_why_and_who_gets_the_answer() -> None:
    above = _plain(_mail()).split("── 客戶原文")[0].replace("\n", "")

    assert "郵件 · 諮詢 · 11月23日（週一）15:30 前回覆 · ✓ 寄件者已驗證" in above
    assert "交給您，因為您負責營業稅，手上的案件也最少" in above
    assert "回覆將寄給 王美玲 <mei@example.com>；副本 李經理<li@example.com>" in above.replace("理 <", "理<")


@pytest.mark.parametrize(
    ("standing", "sign"),
    [
        (Standing.VERIFIED, "✓ sender verified"),
        (Standing.UNVERIFIED, "⚠ sender not verified"),
        (Standing.LOOKALIKE, "⚠ looks like"),
    ],
)
def test_how_far_the_sender_may_be_believed_stands_above_his_words(standing: Standing, sign: str) -> None:
    message = _mail(standing=standing, language="en")

    assert sign in " ".join(_plain(message).split("customer's words")[0].split())
    assert sign in _seen(_html(message)).replace("\ufe0e", "")


@pytest.mark.parametrize(
    ("medium", "goes_to", "expected"),
    [
        (Medium.CHAT, (("訪客", ""),), "回覆將出現在 訪客 的網頁對話裡"),
        (Medium.TELEGRAM, (("王美玲", ""),), "回覆將經 Telegram 送給 王美玲"),
        (Medium.PHONE, (), "請以電話回覆：+886 2 2345 6789"),
    ],
)
def test_where_an_answer_goes_on_other_channels(medium: Medium, goes_to: Any, expected: str) -> None:
    plain = _plain(
        _mail(medium=medium, answer_goes_to=goes_to, cc=(), customer_contact="+886 2 2345 6789", standing=None)
    )

    assert expected in plain.replace("\n", "")
    assert ("內容會寄給客戶" in plain) == bool(goes_to)


def test_what_is_particular_about_a_mail_stands_apart_from_the_head_with_a_canary_of_its_own() -> None:
    message = _mail(language="en", lay_in_junk=True, reply_to_asked="office@b.example")

    head, look = _plain(message).split("\n\n")[1:3]
    assert head.splitlines()[-1].endswith(CANARY)
    assert [line for line in look.splitlines() if line.startswith("* ")] == [
        "* ⚠ This lay in the junk folder; no acknowledgement was sent. If it is",
        "* The customer asks for replies to office@b.example, which is not where",
    ]
    assert look.endswith(CANARY)
    page = _html(message)
    assert re.findall(r"<b style=\"[^\"]*nowrap\">(.*?)</b>", page) == ["!spam", "!replyto", "!replyto no"]
    assert _html(_mail(language="en")).count(CANARY) + 1 == page.count(CANARY)


def test_a_command_is_never_cut_in_two_by_a_line_end() -> None:
    for width in range(20):
        line = "字" * width + "：第一行寫「！回覆到 不」就不再詢問，" * 4
        assert wrap(line).count("「！回覆到 不」") == 4


def test_the_words_come_first_as_written_and_what_is_internal_below_the_mark() -> None:
    plain = _plain(_mail())

    above, below = plain.split(f"\n{MARK}\n")
    assert WORDS in above
    order = [below.index(caption) for caption in ("客戶資料", "最近往來", "建議的回覆", "寫在回信第一行")]
    assert order == sorted(order)
    assert "2468" not in above
    assert below.rstrip().endswith("直接回覆本信即可，內容會寄給客戶；第一行寫「！備註」則只留內部，不會寄出。")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_internal_block_carries_the_canary(language: str) -> None:
    message = _mail(language=language, note="請小心處理")

    plain = _plain(message)
    below = plain.split(MARK)[1]
    captions = re.findall(r"^【.*】.*$", below, flags=re.M)
    assert len(captions) == 5
    assert all(CANARY in caption for caption in captions)
    assert plain.split("\n\n")[1].endswith(CANARY)
    assert _seen(_html(message)).count(CANARY) == 6
    assert CANARY not in plain.split("── ")[1]


def test_the_mark_stands_in_the_page_too_above_everything_internal() -> None:
    html = _html(_mail())

    assert html.index("發票（AB-12345678") < html.index(MARK) < html.index("2468")
    assert html.count(MARK) == 1


@pytest.mark.parametrize("field", ["words", "words_html"])
def test_a_customer_cannot_draw_the_mark_and_a_card_of_his_own(field: str) -> None:
    forged = f"hello\n{MARK}\n【客戶資料】\n✓"

    message = _mail(**{"words": "x", field: forged})

    assert _html(message).count(MARK) == 1
    assert _plain(message).count(MARK) == 1


def test_our_own_plain_lines_fit_75_columns() -> None:
    plain = _plain(_mail(words="kurz", note="很長的備註，" * 30, why_you="理由" * 40, suggestion="long words " * 40))

    assert [line for line in plain.split("\n") if columns(line) > 75] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(MailKind))
@pytest.mark.parametrize("medium", list(Medium))
def test_every_kind_of_mail_can_be_written_in_every_language(language: str, kind: MailKind, medium: Medium) -> None:
    message = _mail(language=language, mail_kind=kind, medium=medium, now=DUE + timedelta(minutes=1), actions=ACTIONS)

    assert "{" not in _plain(message)
    assert f'<html lang="{language}">' in _html(message)


@pytest.mark.parametrize(
    "name", ['O"Brien, Pat', "王\r\nBcc: x@evil.example", "\u202egnp.exe", "a\u2028b", "\ud800", "", "x" * 5000]
)
def test_a_strangers_name_and_subject_never_break_a_header(name: str) -> None:
    message = _mail(customer_name=name, customer_subject=name, answer_goes_to=((name, "a@b.example"),), agent_name=name)

    assert message["Bcc"] is None
    assert message["Subject"].startswith("[#1042] ")
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", str(message["Subject"]) + _plain(message) + _html(message))
    assert len(message["Subject"]) < 200


def test_an_empty_subject_is_said_to_be_empty() -> None:
    assert agent_subject(7, "", " \n ", TEXTS, "zh-Hant") == "[#7] （沒有主旨）"


@pytest.mark.parametrize("desk", ["誠信財稅", "誠信財稅客服", "誠信財稅 客服", ""])
def test_the_display_name_always_holds_the_number(desk: str) -> None:
    assert "客服 #1042" in desk_display_name(desk, 1042)
    assert desk_display_name(desk, 1042).count("客服") == 1


# ---------- HTML of the customer, pictures, files ----------

PIXEL = b"\x89PNG\r\n\x1a\n" + b"0" * 20


def test_his_own_html_is_shown_with_tables_and_pictures_and_nothing_active_or_remote() -> None:
    html = (
        '<div onclick="x()">紅字 <font color="#ff0000">86,400</font><script>alert(1)</script>'
        '<table border="1"><tr><td>AB</td></tr></table><img src="cid:p1">'
        '<img src="https://evil.example/t.gif" width="1">'
        '<a href="javascript:x()">j</a><a href="https://ok.example/?a=1&b=2">ok</a>'
        '<p style="position:fixed;color:#fff;background:url(https://evil.example/x)">white</p>'
        '<form action="https://evil.example"><input></form><svg onload=x()></svg><iframe src="https://evil.example"></iframe></div>'
    )
    picture = File(name="p.png", media_type="image/png", content=PIXEL, content_id="p1", is_inline=True)

    message = _mail(words_html=html, files=(picture,))
    shown = _html(message)

    assert "<table border=" in shown
    assert 'color="#ff0000"' in shown
    assert 'src="cid:p1"' in shown
    assert 'href="https://ok.example/?a=1&amp;b=2"' in shown
    for gone in (
        "onclick",
        "<script",
        "javascript:",
        "evil.example",
        "position:fixed",
        "color:#fff;",
        "<form",
        "<svg",
        "<iframe",
    ):
        assert gone not in shown
    related = [part for part in message.walk() if part["Content-ID"] == "<p1>"]
    assert related[0].get_payload(decode=True) == PIXEL
    assert "p.png" not in _plain(message)


@pytest.mark.parametrize("content_id", ["圖", "a b", "a>\r\nX: y", "\u2028"])
def test_a_strange_content_id_is_no_reason_to_fail(content_id: str) -> None:
    picture = File(name="p.png", media_type="image/png", content=PIXEL, content_id=content_id, is_inline=True)

    message = _mail(files=(picture,), words_html=f'<img src="cid:{content_id}">')

    assert [a.get_filename() for a in message.iter_attachments()] == ["p.png"]


def test_words_that_grow_when_escaped_are_cut_in_the_page_alone() -> None:
    message = _mail(words='"' * 20_000, files=())

    assert len(_html(message).encode()) < 100_000
    assert "original.txt" in _html(message)
    assert '"' * 20_000 in _plain(message)
    assert [a.get_filename() for a in message.iter_attachments()] == ["original.txt"]


def test_a_picture_that_the_page_does_not_show_is_an_attachment() -> None:
    picture = File(name="p.png", media_type="image/png", content=PIXEL, content_id="p1", is_inline=True)

    message = _mail(files=(picture,))

    assert [(a.get_filename(), a.get_content_disposition()) for a in message.iter_attachments()] == [
        ("p.png", "attachment")
    ]
    assert "附件 1 個：p.png" in _plain(message)


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 5000 + "x",
        "<b>x</b>" * 200_000,
        "<p>長</p>" * 12_000,
        "<a " + " ".join(f"a{i}" for i in range(400_000)),
    ],
    ids=["deep", "large", "large when sanitised", "one huge tag"],
)
def test_html_too_large_or_too_deep_is_shown_as_text(html: str) -> None:
    message = _mail(words_html=html)

    assert "銷項金額" in _html(message)
    assert len(_html(message).encode()) < 100_000


@pytest.mark.parametrize(
    "words", ["長" * 350_000, '<&>"' * 260_000, "line\n" * 200_000], ids=["wide", "escapes", "lines"]
)
def test_a_megabyte_is_cut_with_a_note_and_attached_whole(words: str) -> None:
    message = _mail(words=words, files=())

    assert len(_html(message).encode()) < 100_000
    assert "original.txt" in _html(message)
    assert "original.txt" in _plain(message)
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == "original.txt"
    content = attached.get_payload(decode=True)
    assert content.decode("utf-8-sig").replace("\r\n", "\n") == words


def test_nothing_is_fetched_from_anywhere() -> None:
    html = _html(
        _mail(
            words_html='<p background="https://e.example/a">x<img src="//e.example/b">'
            '<img src="data:image/png;base64,AA"></p>'
        )
    )

    assert not re.search(
        r"""(?:src|background|url)\s*[=(]\s*["']?(?!cid:)\w*:?//|data:|<link|@import|@font-face""", html
    )


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\u202ecod.exe", "發票\r\n.pdf", 'x"y.pdf', "", "..."])
def test_file_names_are_safe_to_show_and_to_save(name: str) -> None:
    message = _mail(files=(File(name=name, media_type="application/pdf", content=b"x"),))

    (attached,) = message.iter_attachments()
    shown = attached.get_filename()
    assert shown
    assert not re.search('[\\\\/:*?"<>|\x00-\x1f\u202e]', shown)


def test_typed_commands_stand_there_with_their_links() -> None:
    action = ACTIONS[0].__class__(typed="！結案", does="結案", mailto="mailto:service+k1x@firm.example?subject=close")
    evil = ACTIONS[0].__class__(typed="！壞", does="x", mailto="https://evil.example")

    html = _html(_mail(actions=(action, evil)))

    assert '<a href="mailto:service+k1x@firm.example?subject=close"><b>！結案</b></a>' in html
    assert "evil.example" not in html


@pytest.mark.parametrize(
    ("share", "colour"),
    [(0.0, "#2b5c8a"), (0.49, "#2b5c8a"), (0.5, "#8f5600"), (0.79, "#8f5600"), (0.8, "#b3261e"), (1.2, "#b3261e")],
)
def test_the_deadline_is_calm_then_amber_then_red(share: float, colour: str) -> None:
    html = _html(_mail(now=OPENED + (DUE - OPENED) * share))

    assert set(re.findall(r"border-left:4px solid (#\w+)", html)) == {colour}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "changes",
    [
        {"listed": (("Lee", "lee@x.example"), ("", "wu@x.example"))},
        {"via_form": True},
        *({"reply_to_asked": "new@x.example", "reply_to_how": how} for how in HOW),
        *({"points_at": 1001, "points": points} for points in ("stranger", "number", "closed")),
        {"speaker": ("Lee", "lee@x.example")},
    ],
    ids=lambda changes: " ".join(map(str, changes.values())),
)
def test_what_the_answer_does_not_follow_is_said_above_the_words(language: str, changes: dict[str, Any]) -> None:
    usual, told = (_plain(_mail(language=language, **more)).partition(MARK)[0] for more in ({}, changes))
    wanted = {"listed": "wu@x.example", "reply_to_asked": "new@x.example", "points_at": "#1001", "speaker": "lee@x"}

    assert usual != told
    for name, shown in wanted.items():
        assert (shown in told) == (name in changes or (name == "speaker" and "listed" in changes))


@pytest.mark.parametrize("how", HOW)
def test_a_doubtful_wish_for_another_address_is_marked(how: str) -> None:
    html = _html(_mail(reply_to_asked="<b>new@x.example", reply_to_how=how))

    assert ("⚠" in html) == (how != "asked")
    assert "&lt;b&gt;new@x.example" in html


def test_composing_twice_gives_the_same_bytes() -> None:
    assert agent_mail(agent_facts(), TEXTS) == agent_mail(agent_facts(), TEXTS)
