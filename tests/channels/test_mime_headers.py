"""Headers as they really are: comments, percent signs, encoded words cut anywhere, lines of gateways and old Macs."""

from __future__ import annotations

import base64
import random
import time
from datetime import UTC, datetime

import pytest

from channels import mime
from channels.headers import STEP, addresses, base64_octets, date, message_ids, parameters, text


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (r"Pete(A wonderful \) chap) <pete(his account)@silly.test(his host)>", [("Pete", "pete@silly.test")]),
        ("Chris Jones <c@(Chris's (own) host.)public.example>", [("Chris Jones", "c@public.example")]),
        ("John Doe <jdoe@machine(comment).  example>", [("John Doe", "jdoe@machine.example")]),
        ("jdoe @ one . test", [("", "jdoe@one.test")]),
        ("a@x.example b@x.example", [("", "a@x.example"), ("", "b@x.example")]),
        ("a@x.example www.x.example", [("www.x.example", "a@x.example")]),
        ("Mei Wang mei@x.example", [("Mei Wang", "mei@x.example")]),
        ("=?utf-8?B?546L576O?= mei@x.example", [("王美", "mei@x.example")]),
        ('"john doe"@x.example', [("", '"john doe"@x.example')]),
        ('John <"john doe"@x.example>', [("John", '"john doe"@x.example')]),
        ('"mei"@x.example', [("", "mei@x.example")]),
        ('"agent@firm.example"@evil.example', [("", '"agent@firm.example"@evil.example')]),
        ("<agent@firm.example(x)@evil.example>", [("", "agent@firm.example@evil.example")]),
        ("attacker@evil.example (agent@firm.example)", [("agent@firm.example", "attacker@evil.example")]),
        ("Empty group(of nobody):;", []),
        ("undisclosed-recipients:;", []),
        ("Team: a@x.example, b@x.example;, c@x.example", [("", f"{n}@x.example") for n in "abc"]),
        ("王小明 <ming@客戶.example>", [("王小明", "ming@客戶.example")]),
        ("mailto:a@x.example", [("", "a@x.example")]),
    ],
)
def test_addresses_are_read_with_comments_and_without_commas(line: str, found: list[tuple[str, str]]) -> None:
    names = [(name.replace(" chap", ""), address) for name, address in addresses(line.encode())]

    assert names == found


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("=?utf-8?Q?what=3F?now?=", "what??now"),
        ("=?utf-8?Q?cut=20o", "cut o"),
        ("=?utf-8?B?56iF", "稅"),
        ("=?utf-8?Q?never begun", "=?utf-8?Q?never begun"),
        ("=?utf-8?B?56i?= =?utf-8?B?FIGVuZA==?=", "稅 end"),
        ("=?GB2312?B?y7A=?= =?gb2312?B?tQ==?=\n =?gb2312?B?pQ==?=", "税单"),
        ("=?utf-7?Q?+kAB6BQ-?=", "退稅"),
        ("=?x-unknown?B?y7C1pQ==?=", "税单"),
        ("=?big5?Q?=B0h=B5|?=", "退稅"),
        ("=?utf-8*zh-TW?B?56iF?=", "稅"),
    ],
)
def test_encoded_words_are_read_however_they_were_cut(line: str, shown: str) -> None:
    assert text(line.encode()) == shown


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (b'filename="=?utf-8?B?56iF5Zau?=.pdf"', "稅單.pdf"),  # RFC 2047 in quotes
        (b"filename*=UTF-8''%E7%A8%85%E5%96%AE.pdf", "稅單.pdf"),  # RFC 2231
        (b"filename*0*=gb18030''%CB%B0; filename*1=a; filename*2*=%B5%A5.pdf", "税a单.pdf"),  # in pieces
        (b'filename*0="tax "; filename*1="list.pdf"', "tax list.pdf"),
        ('filename="稅單.pdf"'.encode(), "稅單.pdf"),  # raw
        ('filename="税单税单.pdf"'.encode("gbk"), "税单税单.pdf"),
        ('filename="發票發票.pdf"'.encode("big5"), "發票發票.pdf"),
        (b'filename="%E7%A8%85%E5%96%AE.pdf"', "稅單.pdf"),  # in percent, without a star
        (b"filename=utf-8''%E7%A8%85%E5%96%AE.pdf", "稅單.pdf"),
        (b'filename*0="=?utf-8?B?56iF"; filename*1="5Zau?=.pdf"', "稅單.pdf"),  # both at once
        (b'filename="100%.pdf"', "100%.pdf"),
        (b'filename="50%e8 net.pdf"', "50%e8 net.pdf"),
        (b"filename=a tax list.pdf", "a tax list.pdf"),
        (b'filename="C:\\tmp\\list.pdf"', "C:\\tmp\\list.pdf"),
    ],
)
def test_file_names_are_read_in_every_way_they_are_written(written: bytes, name: str) -> None:
    assert parameters(b"attachment; " + written)[1]["filename"] == name


def test_of_two_names_the_readable_one_is_taken() -> None:
    part = '--b\nContent-Type: text/x; name="稅單.txt"\nContent-Disposition: attachment; filename="????.txt"\n\nx\n'
    only = '--b\nContent-Type: application/pdf; name="發票.pdf"\n\nx\n--b--\n'

    message = mime.parse(("Content-Type: multipart/mixed; boundary=b\n\n" + part + only).encode())

    assert [a.name for a in message.attachments] == ["稅單.txt", "發票.pdf"]


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", datetime(1997, 11, 21, 15, 55, 6, tzinfo=UTC)),
        ("2026-11-23T17:40:00+08:00", datetime(2026, 11, 23, 9, 40, tzinfo=UTC)),
        ("Mon Jan  6 09:00:00 2025", datetime(2025, 1, 6, 9, 0, tzinfo=UTC)),
        ("Thu, 13 Feb 1969 23:32 -0330 (Newfoundland Time)", datetime(1969, 2, 14, 3, 2, tzinfo=UTC)),
        ("2026-13-23T17:40:00+08:00", datetime(2026, 1, 23, 9, 40, tzinfo=UTC)),
        ("tomorrow", None),
    ],
)
def test_dates_are_read_as_programs_write_them(line: str, at: datetime | None) -> None:
    assert date(line.encode()) == at


def test_of_doubled_headers_the_first_that_makes_sense_counts() -> None:
    message = mime.parse(
        b"From: a@b.example\nSubject: one\nSubject: two\nDate: ?\nDate: Mon, 23 Nov 2026 09:00:00 +0000\n"
        b"Message-ID: \nMessage-ID: <1@b.example>\n\nx"
    )

    assert (message.subject, message.message_id) == ("one", "<1@b.example>")
    assert message.date_header == datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_comments_are_no_part_of_an_id() -> None:
    assert message_ids(b"<1234   @   local(blah)  .machine .example>") == ("<1234@local.machine.example>",)


MAIL = (
    "From: a@b.example\nSubject: 稅\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\ntwo\n--b\n"
    "Content-Type: application/pdf\nContent-Disposition: attachment; filename=a.pdf\n\nx\n--b--\n"
)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n", "\r"])
def test_lines_end_as_gateways_and_old_macs_let_them(end: str) -> None:
    raw = MAIL.replace("\n", end).encode()

    message = mime.parse(raw)

    assert (message.subject, message.text_full, message.defects) == ("稅", "one\ntwo", ())
    assert [(a.name, mime.part_bytes(raw, a.path)) for a in message.attachments] == [("a.pdf", b"x")]
    assert mime.headers_only(raw).subject == "稅"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n", "\r"])
def test_a_body_may_end_its_lines_in_another_way_than_the_headers(end: str) -> None:
    head, _, body = MAIL.partition("\n\n")
    plain = "From: a@b.example\r\n\r\n" + "one\ntwo\n\nthree".replace("\n", end)

    assert mime.parse(plain.encode()).text_full == "one\ntwo\n\nthree"
    assert mime.parse(f"{head}\n\n{body.replace(chr(10), end)}".encode()).text_full == "one\ntwo"


def test_a_binary_part_keeps_its_octets_whatever_they_look_like() -> None:
    octets = b"a\r\r\nb\rc\r\nd\0e"
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: x/y\r\n\r\n" + octets + b"\r\n--b--"

    assert mime.part_bytes(raw, "1") == octets


def test_base64_that_was_joined_by_a_gateway_is_read_to_its_end() -> None:
    assert base64_octets(b"SGVsbG8=\nV29ybGQ=\n") == b"HelloWorld"
    assert base64_octets(b"SGVsbG8=\n____\nlist footer") == b"Hello"


@pytest.mark.parametrize(
    "octets",
    [
        b"=?a?Q?" * 1400,
        b" " * 8000 + b"@",
        b"a@b " * 2000,
        b"(" * 8000,
        b'"' * 8000 + b"@x",
        b".@" * 4000,
        b'" ' * 4000,
    ],
)
def test_no_header_costs_more_than_its_length(octets: bytes) -> None:
    start = time.process_time()

    for read in (text, addresses, message_ids, date, parameters):
        read(octets)
    parameters(b'x; a="' + octets + b'"')

    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("octets", [STEP * 3 // 4 - 1, STEP * 3 // 4 + 1, 3 * STEP + 7])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("after", [b"", b"\r\n-- \r\nSent by a gateway\r\n"])
def test_a_large_file_is_decoded_by_steps_to_the_octet(octets: int, line_end: bytes, after: bytes) -> None:
    content = random.Random(octets).randbytes(octets)
    written = base64.encodebytes(content).replace(b"\n", line_end)

    assert base64_octets(written + after)[:octets] == content
