"""Mail as bytes: what a header holds after reading it back, and what never gets into one."""

from __future__ import annotations

import base64
import email
import re
from datetime import UTC, datetime, timedelta
from email import policy
from email.header import decode_header, make_header
from urllib.parse import unquote

import pytest

from channels import mime, names
from intake import mailbytes
from intake.mailbytes import File, HeaderRefused


def _read(header: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(header + b"\r\n", policy=policy.default)


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        "[#1042] 王美玲 · 營業稅申報書少算一張發票，請問還能更正嗎？需要我補什麼資料，什麼時候要給您？",
        "=?utf-8?B?ZXZpbA==?= looks encoded",
        "a" * 200,
        "emoji 🙋🏽‍♀️ and Ünicode",
        "long " * 40,
    ],
)
def test_a_subject_reads_back_as_it_was_and_is_folded(text: str) -> None:
    line = mailbytes.header("Subject", text)

    assert _read(line)["Subject"].rstrip() == text.rstrip()
    assert max(len(part) for part in line.split(b"\r\n")) <= 78


@pytest.mark.parametrize("bad", ["\r\nBcc: x@evil.example", "\n", "\x00", "\x7f", "\u2028", "\u2029", "\x85", "\ud800"])
def test_no_header_takes_what_could_break_out_of_it(bad: str) -> None:
    value = f"a{bad}b"

    for write in (
        lambda: mailbytes.header("Subject", value),
        lambda: mailbytes.header(f"X{bad}", "x"),
        lambda: mailbytes.mailboxes("To", [(value, "a@b.example")]),
        lambda: mailbytes.mailboxes("To", [("", f"a{bad}@b.example")]),
        lambda: mailbytes.message_id(f"<{value}@b.example>"),
        lambda: mailbytes.file_part(File(name=value, media_type="a/b", content=b"")),
        lambda: mailbytes.file_part(File(name="a", media_type="a/b", content=b"", content_id=value), is_related=True),
    ):
        with pytest.raises(HeaderRefused):
            write()


@pytest.mark.parametrize(
    "bad", ["no-at", "a b@c.example", "a@b@c.example", "a,b@c.example", "<a@b.example>", "王@b.example"]
)
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(HeaderRefused):
        mailbytes.mailboxes("To", [("", bad)])


@pytest.mark.parametrize(
    "name",
    [
        "王美玲",
        'O"Brien, "Pat"',
        "Smith, John",
        "back\\slash",
        "a@evil.example",
        "=?utf-8?q?x?=",
        "王 " * 30,
        "Dr. No",
        "(x)",
    ],
)
def test_display_names_read_back_and_never_become_an_address(name: str) -> None:
    line = mailbytes.mailboxes("To", [(name, "mei@example.com"), ("", "li@example.com")])

    addresses = _read(line)["To"].addresses
    assert [a.addr_spec for a in addresses] == ["mei@example.com", "li@example.com"]
    assert addresses[0].display_name.split() == name.split()


def test_a_chinese_domain_travels_as_punycode() -> None:
    assert b"<a@xn--fiqs8s.example>" in mailbytes.mailboxes("To", [("", "a@中国.example")])


def test_references_leave_out_what_is_no_id_and_keep_both_ends() -> None:
    many = [f"<{n}@example.com>" for n in range(100)]

    line = mailbytes.ids("References", ["broken", "<a b@c>", *many, "<x@y>\r\nBcc: z"]).decode()

    assert re.findall(r"<[^>]+>", line) == [many[0], *many[-20:]]
    assert mailbytes.ids("References", ["broken"]) == b""


@pytest.mark.parametrize(
    "name", ["發票影本.pdf", "a b.pdf", 'qu"ote.pdf', "長" * 120 + ".xlsx", "naïve.txt", "x" * 300 + ".pdf"]
)
def test_a_file_name_can_be_read_in_both_forms(name: str) -> None:
    part = mailbytes.file_part(File(name=name, media_type="application/pdf", content=b"abc"))

    head = part.split(b"\r\n\r\n")[0].decode("ascii").replace("\r\n ", " ")
    message = email.message_from_bytes(part, policy=policy.compat32)
    of_qq = str(make_header(decode_header(message.get_param("name"))))
    assert of_qq == name or (of_qq.endswith(name[-4:]) and len(of_qq.encode()) <= mailbytes.MAX_NAME + 2)
    assert ("filename*=UTF-8''" in head) == (not of_qq.isascii())
    if not of_qq.isascii():
        encoded = re.search(r"filename\*=UTF-8''(\S+)", head)
        assert encoded
        assert unquote(encoded[1]) == of_qq
    assert max(len(line) for line in part.split(b"\r\n")) < 998
    assert message.get_payload(decode=True) == b"abc"


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/pdf", "application/pdf"),
        ("TEXT/HTML", "text/html"),
        ("message/rfc822", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"),
        ("evil; name=x\r\nX: y", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_a_file_is_always_a_download_of_a_type_that_may_be_base64(media_type: str, expected: str) -> None:
    part = email.message_from_bytes(mailbytes.file_part(File(name="a", media_type=media_type, content=b"x")))

    assert (part.get_content_type(), part.get_content_disposition()) == (expected, "attachment")


@pytest.mark.parametrize(
    "text", ["hello\nFrom me\n.\n", "王美玲\n\n好\n", "x" * 5000, "trailing  \n\ttab", "=3D 100%", "a\n" * 500 + "漢"]
)
def test_text_travels_unchanged_in_short_lines(text: str) -> None:
    part = mailbytes.text_part("plain", text)

    read = email.message_from_bytes(part).get_payload(decode=True)
    assert read.decode().replace("\r\n", "\n") == text
    assert max(len(line) for line in part.split(b"\r\n")) <= 78
    assert b"\n" not in part.replace(b"\r\n", b"")


def test_the_same_seed_gives_the_same_bytes() -> None:
    parts = [mailbytes.text_part("plain", "a"), mailbytes.text_part("html", "b")]

    assert mailbytes.multipart("mixed", parts, "<1@x>") == mailbytes.multipart("mixed", parts, "<1@x>")
    assert mailbytes.multipart("mixed", parts, "<1@x>") != mailbytes.multipart("mixed", parts, "<2@x>")


def test_the_thread_index_is_22_octets_made_of_the_ticket_alone() -> None:
    opened = datetime(2026, 11, 23, 6, 2, tzinfo=UTC)

    index = mailbytes.thread_index(opened, "service@firm.example", 1042)

    assert len(index) == 22
    filetime = int.from_bytes(index[:6] + b"\0\0", "big")
    assert abs(filetime / 1e7 - 11_644_473_600 - opened.timestamp()) < 0.01
    assert index == mailbytes.thread_index(opened, "service@firm.example", 1042)
    assert index[6:] != mailbytes.thread_index(opened, "service@firm.example", 1043)[6:]


@pytest.mark.parametrize(
    "name",
    [
        "更正申報書.pdf",
        "繁體 簡体 與空白 (1).xlsx",
        "長" * 80 + ".docx",
        'quote".txt',
        "a=?utf-8?B?eA==?=.txt",
        "emoji🙋🏽.png",
        "plain.pdf",
    ],
)
def test_a_file_name_reads_back_in_every_way_that_it_is_written(name: str) -> None:
    """RFC 2231 for most, the encoded word in quotes for QQ, 163 and Outlook; in both headers."""
    part = mailbytes.file_part(File(name=name, media_type="application/pdf", content=b"x"))
    head = part.partition(b"\r\n\r\n")[0].decode()
    shown = mailbytes._short_name(name)

    [ours] = mime.parse(b"From: a@b.example\r\nMIME-Version: 1.0\r\n" + part).attachments
    assert ours.name == names.safe(shown, "application/pdf")
    for how in (policy.compat32, policy.default):
        read = str(email.message_from_bytes(part, policy=how).get_filename())
        assert shown in (read, str(make_header(decode_header(read))))
    for parameter in ("name", "filename"):
        quoted = re.search(rf'\b{parameter}="((?:[^"\\]|\\.)*)"', head.replace("\r\n ", " "))
        assert quoted is not None
        if '"' not in name:
            assert str(make_header(decode_header(quoted[1]))) == shown
    assert max(map(len, part.split(b"\r\n"))) <= 998


# ---- Outlook's conversations: [MS-OXOMSG] 2.2.1.3

THEIRS = "AdxZ2mQ1u7o2gYy8Qk2s0m0b1Jw9Vg=="  # 22 octets, as Outlook writes it


def test_an_answer_adds_five_octets_to_the_customers_thread_index() -> None:
    begun = int.from_bytes(base64.b64decode(THEIRS)[:6], "big") << 16
    when = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=begun // 10 + 3_600_000_000)

    ours = base64.b64decode(mailbytes.thread_index_reply(THEIRS, when, "<a@b>"))

    assert ours[:22] == base64.b64decode(THEIRS)
    assert len(ours) == 27
    # An hour in units of 2**18 of 100 ns; whole seconds are all that our clock gives here.
    assert abs(int.from_bytes(ours[22:26], "big") - (3600 * 10**7 >> 18)) <= 40
    assert mailbytes.thread_index_reply(THEIRS, when, "<a@b>") == base64.b64encode(ours).decode()
    assert mailbytes.thread_index_reply(THEIRS, when, "<c@d>") != base64.b64encode(ours).decode()


def test_after_two_years_the_unit_is_coarser_and_before_the_beginning_no_time_has_passed() -> None:
    late = base64.b64decode(mailbytes.thread_index_reply(THEIRS, datetime(2040, 1, 1, tzinfo=UTC), "x"))
    early = base64.b64decode(mailbytes.thread_index_reply(THEIRS, datetime(2001, 1, 1, tzinfo=UTC), "x"))

    assert late[22] & 0x80
    assert early[22:26] == b"\0\0\0\0"


@pytest.mark.parametrize(
    "theirs", ["", "x", "AdxZ2mQ1", THEIRS[:-4], "Adx\u2028", base64.b64encode(b"x" * 23).decode()]
)
def test_what_is_no_thread_index_begins_none(theirs: str) -> None:
    assert mailbytes.thread_index_reply(theirs, datetime(2026, 1, 1, tzinfo=UTC), "x") == ""


def test_a_thread_index_that_has_grown_without_end_is_not_carried_on() -> None:
    grown = base64.b64encode(b"\1" * (22 + 5 * 300)).decode()

    assert mailbytes.thread_index_reply(grown, datetime(2026, 1, 1, tzinfo=UTC), "x") == ""
