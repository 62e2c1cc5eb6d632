"""Hostile mail: no octets raise, none cost more than their length, no limit is passed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels import mime, names, normal_json
from channels.htmltext import to_text
from channels.parts import MAX_PARTS

MAILS = [path.read_bytes() for path in sorted((Path(__file__).parent / "mails").glob("*.eml"))]

#: Octets that mean something to a reader of mail.
TOKENS = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"--=_mixed_1",
        b"--r--",
        b":",
        b";",
        b'"',
        b"<",
        b">",
        b"=?utf-8?B?",
        b"?=",
        b"=?",
        b"Content-Type: multipart/mixed; boundary=r\n",
        b"Content-Transfer-Encoding: base64\n",
        b"\x00",
        b"\xff",
        b"(",
        b"Content-Type: text/plain; charset=utf-7\n\n+2AA-",
        b"charset=unicode_escape",
        b"charset=idna",
        b"*0*=",
        b"\\",
        b"charset=utf-16\n\n\x00\xd8",
        b"=D8",
        b"\xe2\x80\xae",
        b"Date: 99 Feb 99999 99:99:99 +9999\n",
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """One of our own mails, cut, glued and sown with octets that mean something."""
    raw = bytearray(draw(st.sampled_from(MAILS)))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 40)))
        raw[start:end] = draw(st.one_of(TOKENS, st.binary(max_size=20)))
    return bytes(raw)


@settings(max_examples=300, deadline=None)
@given(raw=mutated())
def test_no_mutated_mail_raises_and_all_of_them_can_be_stored(raw: bytes) -> None:
    message = mime.parse(raw)

    stored = normal_json.dumps(message)  # refuses lone surrogates
    assert normal_json.loads(stored) == message
    assert "\x00" not in stored.decode()
    assert b"\\u0000" not in stored
    assert mime.headers_only(raw).sender == message.sender
    for attachment in message.attachments:
        assert len(mime.part_bytes(raw, attachment.path)) == attachment.size


def test_a_nul_in_a_type_or_an_id_reaches_no_field() -> None:
    message = mime.parse(
        b"Message-ID: <a\0b@x>\nReferences: <c\0@x>\nContent-Type: multipart/mixed; boundary=r\n\n"
        b"--r\nContent-Type:\0image/png\nContent-ID: <d\0@x>\n\nx\n--r--\n"
    )

    assert message.message_id == "<ab@x>"
    assert b"\\u0000" not in normal_json.dumps(message)


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=300))
def test_no_octets_raise(raw: bytes) -> None:
    assert normal_json.loads(normal_json.dumps(mime.parse(raw))) == mime.parse(raw)


@settings(max_examples=300, deadline=None)
@given(name=st.text(max_size=300))
def test_every_file_name_is_safe(name: str) -> None:
    safe = names.safe(name, "application/pdf")

    assert safe
    assert safe not in (".", "..")
    assert not set(safe) & set('/\\\x00\n\r\t\x7f\u200b\u200e\u202e\u2066\ufeff:*?"<>|')
    assert len(safe.encode()) <= 240


MIB = 1024 * 1024
BOMBS = {
    "semicolons": b"Content-Type: text/plain" + b";" * 39_000 + b"\n\nx",
    "subject": b"Subject: " + b"x" * MIB + b"\n\nx",
    "encoded words": b"Subject: " + b"=?utf-8?B?eA==?= " * 60_000 + b"\n\nx",
    "open encoded words": b"Subject: " + b"=?utf-8?B?" * 100_000 + b"\n\nx",
    "addresses": b"To: " + b"a@b.example," * 80_000 + b"\n\nx",
    "open quotes": b"To: " + b'"\\' * 500_000 + b"\n\nx",
    "comments": b"From: " + b"(" * MIB + b"\n\nx",
    "headers": b"X: y\n" * 200_000 + b"\nx",
    "folds": b"Subject: x\n" + b" \n" * 500_000 + b"\nx",
    "parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 500_000,
    "boundaries alike": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--bb\n" * 500_000,
    "levels": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(20_000)),
    "no blank line": b"x" * (8 * MIB),
    "blank lines": b"\n" * (4 * MIB),
    "html tags": b"Content-Type: text/html\n\n" + b"<a " * 600_000,
    "html quotes": b"Content-Type: text/html\n\n" + b'<a b="' * 300_000,
    "html comments": b"Content-Type: text/html\n\n" + b"<!--" * 500_000,
    "html scripts": b"Content-Type: text/html\n\n" + b"<script>" * 200_000,
    "html hidden": b"Content-Type: text/html\n\n" + b'<p style="display:none">' * 80_000,
    "html padding": b"Content-Type: text/html; charset=utf-8\n\n" + "\u200c \u200c\u200cx".encode() * 200_000,
    "html depth": b"Content-Type: text/html\n\n" + b"<blockquote>" * 150_000 + b"x",
    "html entities": b"Content-Type: text/html\n\n" + b"&" * (2 * MIB),
    "html lists": b"Content-Type: text/html\n\n" + b"<ul><li>" * 200_000,
    "parameters": b"Content-Type: text/plain" + b'; a*0*="' * 100_000 + b"\n\nx",
    "base64": b"Content-Transfer-Encoding: base64\n\n" + b"!" * (8 * MIB),
    "base64 without padding": b"Content-Transfer-Encoding: base64\n\nYQ==" + b"YWFh" * 400_000 + b"!",
    "base64 in stretches": b"Content-Transfer-Encoding: base64\n\n" + b"YQ==" * 400_000,
    "carriage returns": b"A: b\r\r\n\r\r\n" + b"\r" * (8 * MIB),
    "carriage returns in html": b"Content-Type: text/html\n\n" + b"\r" * (4 * MIB),
    "calendar": b"Content-Type: text/calendar\n\nBEGIN:VEVENT\nA:" + b"\r" * MIB + b"\nX;a=" + b'"' * MIB,
    "calendar events": b"Content-Type: text/calendar\n\n" + b"BEGIN:VEVENT\nSUMMARY:x\n" * 100_000,
    "attached mails": b"Content-Type: multipart/mixed; boundary=b\n\n"
    + (b"--b\nContent-Type: message/rfc822\n\nContent-Type: text/html\n\n" + b"<td>" * 65_000 + b"\n") * 60,
    "shifted": b"Content-Type: text/plain; charset=iso-2022-cn\n\n\x1b$)A" + b"\x0e" * (4 * MIB),
    "verdicts": b"Authentication-Results: x" + b"; a=b (" * 200_000 + b"\n\nx",
    "report": b"From: mailer-daemon@x\nSubject: failure\n\n" + b"delivery to " * 200_000,
    "message ids": b"References: " + b"<a" * 500_000 + b"\n\nx",
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_bomb_costs_more_than_its_length(name: str) -> None:
    start = time.process_time()

    mime.parse(BOMBS[name])

    assert time.process_time() - start < 2.5, "the limit of a worker is 5 s"


def test_limits_are_kept_and_named() -> None:
    message = mime.parse(BOMBS["parts"])

    assert len(message.attachments) <= MAX_PARTS
    assert any("parts" in defect for defect in message.defects)
    assert any("levels" in defect for defect in mime.parse(BOMBS["levels"]).defects)
    assert any("headers of" in defect for defect in mime.parse(BOMBS["headers"]).defects)
    assert len(mime.parse(BOMBS["subject"]).subject) <= mime.MAX_SUBJECT


def test_a_long_text_is_kept_up_to_its_limit() -> None:
    message = mime.parse(b"Subject: x\n\n" + b"words and words\n" * 200_000)

    assert len(message.text_full) == mime.MAX_TEXT
    assert any("characters" in defect for defect in message.defects)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a<p>b", "a\n\nb"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("a &lt;b&gt; &amp; c&nbsp;d", "a <b> & c d"),
        ('<a href="https://x.example/">https://x.example</a>', "https://x.example"),
        ('<a href="mailto:a@b.example">a@b.example</a>', "a@b.example"),
        ('<a href="https://x.example/a?b=1&amp;c=2">here</a>', "here <https://x.example/a?b=1&c=2>"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("<ul><li>a<ul><li>b</li></ul></li></ul>", "- a\n  - b"),
        ("<ul><li><p>a</p></li><li></li><li><p>b</p></li></ul>", "- a\n\n-\n- b"),
        ("<table><tr><th>年</th><th>額</th></tr><tr><td>2025</td><td>100</td></tr></table>", "年 | 額\n2025 | 100"),
        ("<blockquote>a<blockquote>b</blockquote></blockquote>c", "> a\n>\n> > b\n\nc"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<style>p{}</style><SCRIPT>x</script>a<!-- b -->c", "ac"),
        ('<img alt="收據" src="cid:x">', "[收據]"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ('<p title="a>b">c</p>', "c"),
        ("<!doctype html><html><head><title>t</title></head><body>a</body></html>", "a"),
        ("<p>unclosed <b", "unclosed"),
        ('<div style="display:none">Preview<div>x</div></div>Dear Mei', "Dear Mei"),
        ('<span style="mso-hide: all; font-size:0">Preview</span>Dear', "Dear"),
        ('<div style="display: none">never closed <p>Dear Mei', "never closed\n\nDear Mei"),
        ('<div style="display:none">' + "the whole letter " * 600 + "</div>", ("the whole letter " * 600).strip()),
        ('<p title="display:none">shown</p>', "shown"),
        ('<img style="display:none" alt="pixel">a', "a"),
        ("News" + "&zwnj;&nbsp;" * 50 + "x", "News x"),
        ("👩\u200d👩\u200d👧 家", "👩\u200d👩\u200d👧 家"),
    ],
)
def test_html_is_told_as_a_person_would(html: str, text: str) -> None:
    assert to_text(html) == text
