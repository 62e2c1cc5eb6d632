"""Wrappings: winmail.dat is opened in the mail's own place, within limits, and never stands in a mail's way."""

from __future__ import annotations

import base64
import hashlib
import logging
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.wrappings import BINARY, IMESSAGE, LONG, OBJECT, UNICODE, attachment, packed, properties, record, winmail
from tnefparse import TNEF

from channels import mime, tnef
from channels.message import Message
from channels.rtf import rtf_html, rtf_octets, rtf_text

PDF = b"%PDF-1.4 tax\n"
RTF_HTML = (
    b"{\\rtf1\\ansi\\ansicpg936\\fromhtml1 \\deff0{\\fonttbl{\\f0 Arial;}}"
    b"{\\*\\htmltag64 <p>}\\htmlrtf {\\htmlrtf0 \\'c4\\'fa\\'ba\\'c3 \\u-28650 ?"
    b"{\\*\\htmltag84 &nbsp;}\\htmlrtf  x\\htmlrtf0"
    b"\\htmlrtf }\\htmlrtf0 {\\*\\htmltag72 </p>}}"
)


def mail(wrapped: bytes, words: str = "", name: str = "winmail.dat", media_type: str = "application/ms-tnef") -> bytes:
    text = f"--b\nContent-Type: text/plain; charset=utf-8\n\n{words}\n" if words else ""
    return (
        b"From: a@b.example\nMessage-ID: <1@b.example>\nContent-Type: multipart/mixed; boundary=b\n\n"
        + text.encode()
        + f'--b\nContent-Type: {media_type}; name="{name}"\nContent-Transfer-Encoding: base64\n\n'.encode()
        + base64.encodebytes(wrapped)
        + b"--b--\n"
    )


def test_its_files_are_files_of_the_mail_and_are_found_again() -> None:
    wrapped = winmail(
        files=attachment(b"A.PDF", PDF, (0x3707, UNICODE, "營業稅申報.pdf\0".encode("utf-16-le")))
        + attachment("发票.txt".encode("gbk"), b"fa piao", (0x370E, BINARY, b"text/plain\0")),
        code_page=936,
    )
    raw = mail(wrapped, "請看附件")

    message = mime.parse(raw)

    assert message.text == "請看附件"
    assert [(a.path, a.name, a.media_type, a.size) for a in message.attachments] == [
        ("2/1", "營業稅申報.pdf", "application/octet-stream", len(PDF)),
        ("2/2", "发票.txt", "text/plain", 7),
    ]
    assert mime.parts_bytes(raw, ["2/1", "2/2"]) == {"2/1": PDF, "2/2": b"fa piao"}
    assert message.attachments[0].sha256 == hashlib.sha256(PDF).hexdigest()
    assert message.defects == ()


@pytest.mark.parametrize("path", ["2/3", "2/0", "2/1/1", "1/1", "3/1", "2/", "2/x"])
def test_a_path_into_a_wrapping_that_leads_nowhere_is_refused(path: str) -> None:
    raw = mail(winmail(files=attachment(b"a.pdf", PDF) + attachment(b"b.pdf", PDF)), "words")

    with pytest.raises(mime.NoSuchPart):
        mime.part_bytes(raw, path)


@pytest.mark.parametrize(
    ("wrapped", "text"),
    [
        (winmail((0x1000, UNICODE, "您好，請問退稅\0".encode("utf-16-le"))), "您好，請問退稅"),
        (winmail(body="請問退稅".encode("big5"), code_page=950), "請問退稅"),
        (winmail(body="税单".encode("gbk"), code_page=54936), "税单"),
        (
            winmail((0x1013, BINARY, "<p>退稅 <b>進度</b></p>".encode()), (0x3FDE, LONG, struct.pack("<I", 65001))),
            "退稅 進度",
        ),
        (winmail((0x1009, BINARY, packed(RTF_HTML))), "您好 逖"),
        (
            winmail((0x1009, BINARY, packed(b"{\\rtf1\\ansi{\\fonttbl{\\f0 X;}}one\\par two \\{x\\}\\par }"))),
            "one\ntwo {x}",
        ),
    ],
    ids=["unicode", "big5 body", "unknown page", "html", "html in rich text", "rich text"],
)
def test_its_words_are_the_mails_where_that_has_none(wrapped: bytes, text: str) -> None:
    message = mime.parse(mail(wrapped))

    assert message.text == text
    assert mime.parse(mail(wrapped, "own words")).text == "own words"


def test_a_mail_attached_within_is_told_and_its_files_are_there() -> None:
    inner = winmail(
        (0x0037, UNICODE, "舊信\0".encode("utf-16-le")),
        (0x1000, UNICODE, "old words\0".encode("utf-16-le")),
        files=attachment(b"deep.pdf", PDF),
    )
    raw = mail(winmail(files=attachment(b"Old", b"", (0x3701, OBJECT, IMESSAGE + inner))), "see below")

    message = mime.parse(raw)

    assert [(a.path, a.name) for a in message.attachments] == [("2/1/1", "deep.pdf")]
    assert message.enclosed == "Subject: 舊信\n\nold words"
    assert "old words" not in message.text_full
    assert mime.part_bytes(raw, "2/1/1") == PDF


def test_it_is_known_by_its_name_and_its_first_octets() -> None:
    wrapped = winmail(files=attachment(b"a.pdf", PDF))

    assert _names(mime.parse(mail(wrapped, "x", "WINMAIL.DAT", "application/octet-stream"))) == ["a.pdf"]
    assert _names(mime.parse(mail(b"no such thing", "x"))) == ["winmail.dat"]
    assert _names(mime.parse(mail(wrapped, "x", "other.dat", "application/octet-stream"))) == ["other.dat"]


def test_what_is_cut_off_is_passed_on_as_well() -> None:
    wrapped = winmail(files=attachment(b"a.pdf", PDF) + attachment(b"b.pdf", b"x" * 1000))[:-500]

    message = mime.parse(mail(wrapped, "x"))

    assert _names(message) == ["winmail.dat", "a.pdf", "b.pdf"]
    assert message.defects == ("part 2 is TNEF that could not be opened whole",)


def _names(message: Message) -> list[str]:
    return [a.name for a in message.attachments]


BOMBS = {
    "records": winmail() + record(1, 0x8010, b"xx") * 400_000,
    "files": winmail(files=attachment(b"a", b"x") * 20_000),
    "properties": winmail() + record(1, 0x9003, struct.pack("<I", 0xFFFFFFFF) + b"\0" * 4_000_000),
    "values": winmail() + record(1, 0x9003, struct.pack("<IHHI", 1, 0x1102, 0x1000, 0xFFFFFFFF) + b"\0" * 4_000_000),
    "fixed values": winmail() + record(1, 0x9003, struct.pack("<IHHI", 9, 0x1003, 0x1000, 0xFFFFFFFF)),
    "records before much": winmail() + record(1, 0x8010, b"xx") * 4000 + record(1, 0x8010, b"x" * 20_000_000),
    "groups": winmail((0x1009, BINARY, packed(b"{\\rtf1" + b"{" * 2_000_000))),
    "words of rich text": winmail((0x1009, BINARY, packed(b"{\\rtf1" + b"\\u1 ?" * 400_000))),
    "references": winmail((0x1009, BINARY, struct.pack("<II4sI", 9, 9, b"LZFu", 0) + b"\xff\x00\x0f" * 1_000_000)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_wrapping_costs_more_than_its_length(name: str) -> None:
    raw = mail(BOMBS[name], "words")
    start = time.process_time()

    message = mime.parse(raw)

    assert time.process_time() - start < 2.5, "the limit of a worker is 5 s"
    assert message.text == "words"


def test_mails_within_mails_end_somewhere() -> None:
    inner = winmail(files=attachment(b"deep.pdf", PDF))
    for _ in range(50):
        inner = winmail(files=attachment(b"x", b"", (0x3701, OBJECT, IMESSAGE + inner)))

    message = mime.parse(mail(inner, "words"))

    assert "winmail.dat" in _names(message)
    assert all(a.path.count("/") <= tnef.MAX_DEPTH + 1 for a in message.attachments)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_octets_raise_and_every_path_leads_back(data: st.DataObject) -> None:
    wrapped = bytearray(
        winmail(
            (0x1000, UNICODE, "a\0".encode("utf-16-le")),
            (0x1009, BINARY, packed(RTF_HTML)),
            files=attachment(b"a", PDF, (0x3701, OBJECT, IMESSAGE + winmail(files=attachment(b"b", PDF)))),
        )
    )
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(6, len(wrapped)))
        wrapped[start : start + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
    raw = mail(bytes(wrapped), "words")

    message = mime.parse(raw)

    paths = [a.path for a in message.attachments]
    assert {p: len(o) for p, o in mime.parts_bytes(raw, paths).items()} == {a.path: a.size for a in message.attachments}


def test_the_library_for_this_format_reads_the_same() -> None:
    logging.getLogger("tnefparse").setLevel(logging.CRITICAL)
    many = attachment(b"one.pdf", PDF, (0x3707, UNICODE, "一.pdf\0".encode("utf-16-le"))) + attachment(
        b"two.txt", b"22"
    )
    wrapped = winmail((0x1000, UNICODE, "words\0".encode("utf-16-le")), files=many)
    peer = TNEF(wrapped)

    opened = tnef.unwrap(wrapped)

    assert opened is not None
    assert opened.text == str(peer.body).strip("\0")
    assert [(i.name, i.octets) for i in opened.inner] == [
        (str(a.long_filename()).strip("\0"), a.data) for a in peer.attachments
    ]


def test_rich_text_is_unpacked_with_its_dictionary() -> None:
    # [MS-OXRTFCP] §3.1.1: the specification's own example.
    octets = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )

    assert rtf_octets(octets) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert rtf_text(rtf_octets(octets)) == "hello world"
    assert rtf_octets(b"x" * 40) == b""
    assert rtf_html(b"{\\rtf1 x}") == ""
    assert properties((1, BINARY, b"x"))[:4] == struct.pack("<I", 1)
