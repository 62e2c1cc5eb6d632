"""What a mail carries within: attached mails, signed and encrypted ones, invitations."""

from __future__ import annotations

import base64
import textwrap

import pytest

from channels import mime
from channels.message import Message
from channels.signed import signed_content


def read(text: str) -> Message:
    return mime.parse(textwrap.dedent(text).lstrip("\n").encode())


FORWARDED = """
From: mei@customer.example
Message-ID: <2@customer.example>
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

please see below
--b
Content-Type: message/rfc822

From: =?utf-8?B?5Zu956iO5bGA?= <office@tax.example>
To: mei@customer.example
Date: Mon, 23 Nov 2026 09:00:00 +0800
Subject: =?utf-8?B?5YCZ6KOc6YCa55+l?=
Message-ID: <1@tax.example>
References: <0@tax.example>
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: text/plain; charset=utf-8

請於期限內補繳 [#42] ~ik1-abc
--c
Content-Type: application/pdf; name=bill.pdf

x
--c--
--b--
"""


def test_an_attached_mail_is_told_to_people_and_joins_nothing() -> None:
    message = read(FORWARDED)

    assert message.enclosed == (
        "From: 国税局 <office@tax.example>\n"
        "To: mei@customer.example\n"
        "Date: Mon, 23 Nov 2026 09:00:00 +0800\n"
        "Subject: 候補通知\n\n"
        "請於期限內補繳 [#42] ~ik1-abc"
    )
    assert [(a.path, a.name) for a in message.attachments] == [("2", "候補通知.eml")]
    assert (message.text, message.quoted, message.text_full) == ("please see below", "", "please see below")
    assert (message.message_id, message.references) == ("<2@customer.example>", ())


def test_every_mail_of_a_digest_is_told() -> None:
    message = read("""
        From: list@lists.example
        Content-Type: multipart/digest; boundary=d

        --d

        From: a@x.example
        Subject: first

        one
        --d

        From: b@x.example
        Subject: second

        two
        --d--
        """)

    assert [a.name for a in message.attachments] == ["first.eml", "second.eml"]
    assert message.enclosed == "From: a@x.example\nSubject: first\n\none\n\nFrom: b@x.example\nSubject: second\n\ntwo"


def test_the_words_of_attached_mails_have_an_end() -> None:
    one = "--b\nContent-Type: message/rfc822\n\nSubject: x\n\n" + "words " * 5000 + "\n"
    message = mime.parse(b"Content-Type: multipart/mixed; boundary=b\n\n" + one.encode() * 60 + b"--b--\n")

    assert len(message.enclosed) <= 40_000
    assert len(message.attachments) == 60


def test_what_came_back_in_a_report_was_forwarded_by_nobody() -> None:
    message = read("""
        From: MAILER-DAEMON@x.example
        Content-Type: multipart/report; report-type=delivery-status; boundary=b

        --b

        It came back.
        --b
        Content-Type: message/rfc822

        Subject: ours

        secret words
        --b--
        """)

    assert message.enclosed == ""


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ("Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\nMIAG", "(S/MIME)"),
        ("Content-Type: application/x-pkcs7-mime; name=smime.p7m\n\nMIAG", "(S/MIME)"),
        (
            "Content-Type: multipart/encrypted; protocol=application/pgp-encrypted; boundary=b\n\n--b\n"
            "Content-Type: application/pgp-encrypted\n\nVersion: 1\n--b\n"
            'Content-Type: application/octet-stream; name="encrypted.asc"\n\n-----BEGIN PGP MESSAGE-----\n--b--\n',
            "(PGP)",
        ),
        ("Content-Type: text/plain\n\n-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n", "(PGP)"),
    ],
)
def test_what_is_encrypted_is_named_and_passed_on_whole(text: str, defect: str) -> None:
    message = mime.parse(f"From: a@b.example\nSubject: x\n{text}".encode())

    assert message.defects == (f"encrypted {defect}: it cannot be read here",)
    assert message.is_cut
    assert len(message.attachments) == 1 + text.count("octet-stream") or "BEGIN PGP MESSAGE" in message.text


def test_a_detached_signature_leaves_the_words_to_be_read() -> None:
    message = read("""
        From: a@b.example
        Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=s

        --s
        Content-Type: text/plain; charset=utf-8

        請問退稅
        --s
        Content-Type: application/pkcs7-signature; name=smime.p7s
        Content-Transfer-Encoding: base64

        MIAGCSqG
        --s--
        """)

    assert (message.text, [a.name for a in message.attachments]) == ("請問退稅", ["smime.p7s"])
    assert message.defects == ()


def _der(tag: int, content: bytes) -> bytes:
    size = len(content).to_bytes(4, "big")
    return bytes([tag, 0x84]) + size + content


def _open_ended(tag: int, content: bytes) -> bytes:
    return bytes([tag, 0x80]) + content + b"\0\0"


SIGNED_DATA, DATA = bytes.fromhex("06092a864886f70d010702"), bytes.fromhex("06092a864886f70d010701")
HEAD = b"\x02\x01\x01\x31\x00"
INNER = (
    b"Content-Type: multipart/mixed; boundary=i\n\n--i\nContent-Type: text/plain; charset=utf-8\n\n"
    + "簽過名的話".encode()
    + b"\n--i\nContent-Type: application/pdf; name=bill.pdf\n\n%PDF\n--i--\n"
)


def _cms(content: bytes) -> bytes:
    within = _der(0x30, DATA + _der(0xA0, _der(0x04, content)))
    return _der(0x30, SIGNED_DATA + _der(0xA0, _der(0x30, HEAD + within)))


def _cms_in_pieces(content: bytes) -> bytes:
    pieces = b"".join(_der(0x04, content[n : n + 50]) for n in range(0, len(content), 50))
    within = _open_ended(0x30, DATA + _open_ended(0xA0, _open_ended(0x24, pieces)))
    return _open_ended(0x30, SIGNED_DATA + _open_ended(0xA0, _open_ended(0x30, HEAD + within)))


@pytest.mark.parametrize("cms", [_cms, _cms_in_pieces])
def test_a_mail_signed_in_one_piece_is_read(cms: object) -> None:
    assert callable(cms)
    head = b"From: a@b.example\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n"
    raw = head + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(cms(INNER))

    message = mime.parse(raw)

    assert (message.text, message.language, message.defects) == ("簽過名的話", "zh-Hant", ())
    assert [(a.path, a.name, a.size) for a in message.attachments] == [("1/2", "bill.pdf", 4)]
    assert mime.part_bytes(raw, "1/2") == b"%PDF"
    with pytest.raises(mime.NoSuchPart):
        mime.part_bytes(raw, "1/3")


def test_no_cut_of_a_signed_mail_raises() -> None:
    whole = _cms_in_pieces(INNER)

    found = {signed_content(whole[:n]) for n in range(len(whole) + 1)}

    assert INNER in found
    assert all(INNER.startswith(one) for one in found)


ICS = """\
BEGIN:VCALENDAR
METHOD:{method}
BEGIN:VEVENT
ORGANIZER;CN="Wang, Mei":mailto:mei@customer.example
ATTENDEE;CN=Desk;PARTSTAT={answer}:mailto:desk@firm.example
SUMMARY:{what}
DTSTART;TZID=Asia/Taipei:20261125T140000
DTEND;TZID=Asia/Taipei:20261125T150000
LOCATION:{where}
BEGIN:VALARM
DESCRIPTION:Reminder
END:VALARM
END:VEVENT
END:VCALENDAR
"""


def invitation(words: str = "hello there", **told: str) -> Message:
    ics = ICS.format(**{"method": "REQUEST", "answer": "NEEDS-ACTION", "what": "x", "where": "Room 3", **told})
    return mime.parse(
        (
            "From: mei@customer.example\nContent-Type: multipart/alternative; boundary=b\n\n"
            f"--b\nContent-Type: text/plain; charset=utf-8\n\n{words}\n"
            f"--b\nContent-Type: text/calendar; charset=utf-8; method=REQUEST\n\n{ics}\n--b--\n"
        ).encode()
    )


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        (
            {"what": "Tax talk"},
            "[Invitation] Tax talk\nWhen: 2026-11-25 14:00 – 15:00 (Asia/Taipei)\nWhere: Room 3\n"
            "Organiser: Wang, Mei <mei@customer.example>\nWith: Desk <desk@firm.example>",
        ),
        (
            {"what": "退稅諮詢", "where": "台北\\, 信義路", "method": "CANCEL"},
            "[已取消] 退稅諮詢\n時間：2026-11-25 14:00 – 15:00 (Asia/Taipei)\n地點：台北, 信義路\n"
            "召集人：Wang, Mei <mei@customer.example>\n與會者：Desk <desk@firm.example>",
        ),
        (
            {"what": "个税咨询", "method": "REPLY", "answer": "ACCEPTED"},
            "[邀请的答复] 个税咨询\n时间：2026-11-25 14:00 – 15:00 (Asia/Taipei)\n地点：Room 3\n"
            "组织者：Wang, Mei <mei@customer.example>\n参加者：Desk <desk@firm.example> (接受)",
        ),
    ],
)
def test_an_invitation_is_told_beneath_the_words_and_stays_a_file(told: dict[str, str], lines: str) -> None:
    message = invitation(**told)

    assert message.text == message.text_full == f"hello there\n\n{lines}"
    assert [(a.media_type, a.name.endswith(".ics")) for a in message.attachments] == [("text/calendar", True)]


def test_an_invitation_is_no_part_of_a_quote() -> None:
    message = invitation("New.\n\nOn Mon, 23 Nov 2026, Desk <d@firm.example> wrote:\n> old", what="Talk")

    assert message.text.startswith("New.\n\n[Invitation] Talk\n")
    assert message.quoted.endswith("> old")
