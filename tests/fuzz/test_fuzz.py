"""Fuzzing: parser, quote finder and threading over made-up mails, damaged; `make fuzz` does it for longer."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fuzz_check import check
from support.fuzz_mail import make

from channels import mime
from channels.quotes import split
from routing import tokens

SEED = 2026  # fixed: a build server finds the same every time
COUNT = 2000
SLICES = 8
BEFORE = b"From: a@b.example\nTo: c@d.example\nSubject: x\n"

SMALL, LARGE = 32 * 1024, 256 * 1024  # octets
#: A growth by 8 that costs up to this many times as much is linear with noise; quadratic would be 64.
MOST = 20
FREE = 0.15  # seconds of CPU that need no explanation


@pytest.mark.parametrize("part", range(SLICES))
def test_no_made_up_mail_raises_or_costs_more_than_its_length(part: int) -> None:
    for number in range(part, COUNT, SLICES):
        try:
            check(make(SEED, number))
        except Exception as error:
            raise AssertionError(f"seed {SEED}, number {number}: {error!r}") from error


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (BEFORE + b"X: y" + b"\r" * 60_000 + b"z", "60,000 line feeds among the headers: quadratic when it was found"),
        (BEFORE + b"References: " + b"?=" * 30_000, "a word without an at sign: quadratic when it was found"),
        (
            b"From: MAILER-DAEMON@x.example\nContent-Type: multipart/report; boundary=b\n\n"
            b"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n"
            b"Final-Recipient: rfc822; d@f.example\n"
            b"Action: failed\nStatus: 5.1.1\n\n"
            b"--b\nContent-Type: text/plain; name=a.txt\n\nMessage-ID: <\x00@b>\n--b--\n",
            "a NUL in the id of a mail that came back, quoted in the report's words",
        ),
    ],
    ids=["line feeds", "no at sign", "nul"],
)
def test_what_was_found_stays_mended(raw: bytes, what: str) -> None:
    assert check(raw) < 1, what


def test_the_same_numbers_are_the_same_mail() -> None:
    assert [make(7, n) for n in range(50)] == [make(7, n) for n in range(50)]
    assert len({make(7, n) for n in range(50)}) == 50


#: What is repeated, and what stands before it.
BOMBS = {
    "parameters": (BEFORE + b"Content-Type: text/plain", b"; a=b"),
    "semicolons": (BEFORE + b"Content-Type: text/plain", b";"),
    "comments": (BEFORE + b"Cc: ", b"("),
    "addresses": (BEFORE + b"Cc: ", b"a@b, "),
    "quotes in addresses": (BEFORE + b"Cc: ", b'"'),
    "encoded words": (BEFORE + b"X-Y: y\nSubject: ", b"=?utf-8?B?4pi6?= "),
    "open encoded words": (BEFORE + b"Subject: ", b"=?utf-8?B?"),
    "headers": (BEFORE, b"A: b\n"),
    "folds": (BEFORE + b"X: ", b"\n "),
    "references": (BEFORE + b"References: ", b"<a@b> "),
    "results": (BEFORE + b"Authentication-Results: mx; ", b"dkim=pass (a) "),
    "received": (BEFORE, b"Received: from a by b; x\n"),
    "boundaries": (BEFORE + b"Content-Type: multipart/mixed; boundary=b\n\n", b"--b\n"),
    "boundaries that are none": (BEFORE + b"Content-Type: multipart/mixed; boundary=b\n\n", b"--bb\n"),
    "nesting": (BEFORE, b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"),
    "mails in mails": (BEFORE, b"Content-Type: message/rfc822\n\n"),
    "name continuations": (BEFORE + b"Content-Type: a/b", b"; name*0*=utf-8''a"),
    "base64": (BEFORE + b"Content-Transfer-Encoding: base64\n\n", b"QUJD=\n"),
    "quoted-printable": (BEFORE + b"Content-Transfer-Encoding: quoted-printable\n\n", b"=\n"),
    "flowed": (BEFORE + b"Content-Type: text/plain; format=flowed\n\n", b"> > a \n"),
    "iso-2022": (BEFORE + b"Content-Type: text/plain; charset=iso-2022-jp\n\n", b"\x1b$B\x1b(B"),
    "utf-7": (BEFORE + b"Content-Type: text/plain; charset=utf-7\n\n", b"+2AA-"),
    "tags": (BEFORE + b"Content-Type: text/html\n\n", b"<div>"),
    "open tags": (BEFORE + b"Content-Type: text/html\n\n", b"<"),
    "cells": (BEFORE + b"Content-Type: text/html\n\n", b"<table><tr><td>"),
    "cited": (BEFORE + b"Content-Type: text/html\n\n", b"<blockquote>a"),
    "entities": (BEFORE + b"Content-Type: text/html\n\n", b"&amp"),
    "comments in html": (BEFORE + b"Content-Type: text/html\n\n", b"<!--"),
    "nulls": (BEFORE + b"\n", b"\x00"),
    "canaries": (BEFORE + b"\n", b"ikc-"),
    "tokens": (BEFORE + b"\n", b"ikt"),
    "uuencode": (BEFORE + b"\n", b"begin 644 a\n"),
    "attributions": (BEFORE + b"\n", b"On 1/2/2026 <a@b>\n"),
    "labels": (BEFORE + b"\n", b"From:\n"),
    "marks": (BEFORE + b"\n", b">"),
    "marked lines": (BEFORE + b"\n", b">\na\n"),
    "one line": (BEFORE + b"\n", b"On "),
}


@pytest.mark.parametrize("name", BOMBS)
def test_time_grows_with_length_and_no_faster(name: str) -> None:
    before, piece = BOMBS[name]

    small = _seconds(before + piece * (SMALL // len(piece)))
    large = _seconds(before + piece * (LARGE // len(piece)))

    assert large < max(FREE, small * MOST), (small, large)


def _seconds(raw: bytes) -> float:
    taken = []
    for _ in range(5):  # the best of them: the others were disturbed
        start = time.process_time()
        message = mime.parse(raw)
        tokens.find_canaries(message.text_full)
        taken.append(time.process_time() - start)
    return min(taken)


HEADINGS = st.sampled_from(
    [
        "On Mon, Nov 23, 2026 at 9:15 AM Desk <d@f.example> wrote:",
        "客服 <d@f.example> 于2026年11月23日周一 09:15写道：",
        "-----Original Message-----",
        "---------- Forwarded message ---------",
        "From: Desk <d@f.example>",
        "To: Mei",
        "Sent: Monday",
        "Subject: x",
        "原始邮件",
        "-- ",
        "______________",
        "Sent from my iPhone",
        "<d@f.example> wrote:",
    ]
)
LINES = st.builds(
    "{}{}".format,
    st.sampled_from(["", "", "> ", ">> ", "＞", " ", "| "]),
    st.one_of(HEADINGS, st.sampled_from(["yes", "您好", "", "a" * 90]), st.text(max_size=30)),
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(lines=st.lists(LINES, max_size=25), subject=st.sampled_from(["", "FW: x", "Re: x"]))
def test_new_and_quoted_words_are_all_the_words_there_are(lines: list[str], subject: str) -> None:
    text = "\n".join(lines)

    found = split(text, "mei@customer.example", subject)

    assert sorted(_said(found.new) + _said(found.quoted)) == sorted(_said(text))
    assert found.new.strip() or not text.strip()


def _said(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


MARKS = st.sampled_from(["> ", ">", "> > ", "＞"])
QUOTED = st.builds("{}{}".format, MARKS, st.one_of(HEADINGS, st.text(alphabet="ab 您好?.", max_size=80)))
ANSWERS = st.sampled_from(["yes", "no.", "是的", "12-345", "Ja, gern", "はい"])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    heading=st.sampled_from(
        ["", "On Mon, Nov 23, 2026 at 9:15 AM Desk <d@f.example> wrote:", "-----Original Message-----"]
    ),
    blocks=st.lists(st.tuples(st.lists(QUOTED, min_size=1, max_size=4), ANSWERS), min_size=2, max_size=5),
)
def test_an_answer_between_marked_lines_is_never_cut_away(heading: str, blocks: list[tuple[list[str], str]]) -> None:
    lines = [line for quoted, answer in blocks for line in (*quoted, answer)]

    found = split("\n".join(["Hello", heading, *lines]))

    new = found.new.split("\n")
    assert all(answer in new for _, answer in blocks)
