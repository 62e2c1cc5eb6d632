"""Mails for fuzzing: put together as real programs do, then damaged as real networks and attackers do.

The same seed and number give the same octets on every machine, so that a failure is a pair of numbers.
"""

from __future__ import annotations

import base64
import quopri
from collections.abc import Callable
from random import Random

MAX_BOMB = 64 * 1024  # octets that one repeated piece is blown up to

_CHARSETS = (
    "utf-8", "UTF-8", "gb2312", "gbk", "gb18030", "big5", "big5-hkscs", "iso-2022-jp", "shift_jis", "euc-kr", "utf-7",
    "us-ascii", "iso-8859-1", "windows-1252", "utf-16", "unknown-8bit", "x-gbk", "cp950", "", "idna",
    "unicode_escape", "base64", "hz-gb-2312", "iso-2022-cn", '"utf-8"', "utf-8; x", "\x00",
)  # fmt: skip
_WORDS = (
    "您好，請問退稅大約何時入帳？", "材料已经补交，谢谢", "When will I get the refund?", "Wann kommt die Erstattung?",
    "還付はいつ頃になりますか。", "㐀𠮷野家 €", "ikc-abcdefghij234567", "ikt" + "a" * 27 + "q", "-- ", "\u202e\u200b",
    "", "a" * 300, "From here on", "#1001 #999999999999", "\ud7ff\ufffe", "e\u0301" * 20, "-----", "____________",
    "| 甲 | 乙 |", "發自我的 iPhone", "自动回复：我在休假", "550 5.1.1 User unknown",
    "http://a.example/?q=" + "%41" * 20,
)  # fmt: skip
_HEADINGS = (
    "On Mon, Nov 23, 2026 at 9:15 AM Desk <d@f.example> wrote:",
    "客服 <d@f.example> 于2026年11月23日周一 09:15写道：", "Am 23.11.2026 um 09:15 schrieb Desk <d@f.example>:",
    "2026年11月23日(月) 9:15 デスク <d@f.example>:", "-----Original Message-----",
    "------------------ 原始邮件 ------------------", "发件人: 客服 <d@f.example>", "寄件者: 客服",
    "寄件日期: 2026年11月23日", "收件者: 王", "主旨: 退稅", "From: a@b", "To: c", "Subject: d", "Sent: e",
    "---------- Forwarded message ---------", "Begin forwarded message:",
    "在 2026-11-23 09:15:00，\"客\" <d@f.example> 写道：", "On 2026", "<d@f.example> wrote:", "wrote:", "写道：",
)  # fmt: skip
_ADDRESSES = (
    "Mei <mei@customer.example>", '"王, 美玲" <mei@customer.example>', "mei@customer.example", "<>",
    "undisclosed-recipients:;", "a@b@c", '"agent@f.example" <evil@x.example>',
    "=?utf-8?B?546L?= <mei@customer.example>", "mei＠customer.example", "(comment (nested)) x@y.example (z)",
    "group: a@b.example, c@d.example;", "desk+ikt" + "a" * 27 + "q@f.example", "王@台灣.example",
    '"unclosed <x@y.example>', "MAILER-DAEMON", "x" * 80 + "@" + "y" * 80 + ".example", "@,;:<>()[]\\\"",
)  # fmt: skip
_IDS = (
    "<a@b.example>",
    "<a b@c>",
    "<>",
    "a@b",
    "<" + "x" * 300 + "@y>",
    "<a@b><c@d>",
    "<=?utf-8?q?a?=@b>",
    "<ä@b>",
    "<\x00@b>",
)
_TYPES = (
    "text/plain", "text/html", "text/plain; format=flowed; delsp=yes", "text/calendar; method=REQUEST", "image/png",
    "application/pdf", "application/ms-tnef", "message/rfc822", "message/delivery-status", "text/rfc822-headers",
    "application/pkcs7-mime", "application/octet-stream", "text/enriched", "message/partial; id=x; number=1", "text",
    "/", "multipart/", "a/b;;;;;=", "message/external-body; access-type=URL", "multipart/mixed", "text/x-amp-html",
)  # fmt: skip
_NAMES = (
    'name="a.pdf"', "filename*=utf-8''%E9%80%80%E7%A8%85.pdf", 'filename="=?gb2312?B?zcvLsA==?=.pdf"',
    "filename*0*=utf-8''a; filename*1*=%41", 'filename="../../etc/passwd"', "filename*=''", "name=退稅.pdf",
    'filename="a\x00b"', "filename*9999999999999=x", "name*=bogus'x'%ZZ",
)  # fmt: skip
_MACHINE = (
    "Auto-Submitted: auto-replied", "Precedence: bulk", "List-Id: <l.example>", "X-Spam-Flag: YES",
    "X-Intake-Loop: x",
    "Authentication-Results: mx.example; dkim=pass header.d=c.example; spf=fail (a(b)) smtp.mailfrom=x",
    "Received: from a by b with c; Mon, 23 Nov 2026 09:15:00 +0800", "Return-Path: <>", "Thread-Index: AQHX",
    "Reply-To: x@y.example", "Date: Mon, 23 Nov 2026 09:15:00 +0800", "Date: 99 Feb 99999 99:99:99 +9999",
    "Date: Mon, 31 Dec 9999 23:59:59 -2359", "Date:", ": no name", "Broken header", " folded from nowhere",
    "X" * 100 + ": y", "Content-Disposition: attachment; " + "a=b; " * 50,
)  # fmt: skip
#: Pieces that mean something to a reader of mail: put in anywhere, or repeated by the thousand.
_TOKENS = (
    b"\n", b"\r\n", b"\r", b"\n\n", b"--b1", b"\n--b1\n", b"--b1--", b":", b";", b'"', b"<", b">", b"(", b")", b"\\",
    b"=?utf-8?B?", b"?=", b"=?x?q?=?= ", b"=", b"=0A", b"=?", b"\x00", b"\xff", b"\x1b$B", b"~{", b"+2AA-", b"%",
    b"*0*=", b"<a>", b"<div>", b"</", b"<table><tr><td>", b"<blockquote>", b"&#x110000;", b"&#55296;", b"&amp",
    b"<!--", b"> ", b">", b"\n>", b"On ", b"From: \n", b"\n: ", b"a: b\n", b"\n ", b"\t", b"\xe2\x80\xa8",
    b"\xed\xa0\x80", b"\xe2\x80\xae", b"#1 ", b"<a@b> ", b"begin 644 x\n",
    b"Content-Type: multipart/mixed; boundary=b1\n\n--b1\n", "写道：\n".encode(), "在2026年1月6日".encode(), b"a@b, ",
    b"@", b"ikc-", b"a: b; ", b"=\n", b"--\n", b"| ",
)  # fmt: skip


def make(seed: int, number: int) -> bytes:
    """The octets of one mail, 0 to about 100 KiB."""
    random = Random(f"{seed}:{number}")
    raw = _mail(random, depth=0)
    for _ in range(random.choice((0, 0, 1, 1, 2, 4, 8))):
        raw = random.choice(_DAMAGES)(random, raw)
    return raw


# --- whole mails ----------------------------------------------------------------------------------------------------


def _mail(random: Random, depth: int) -> bytes:
    lines = [
        f"From: {_folded(random, _address(random))}".encode(),
        f"To: {', '.join(_address(random) for _ in range(random.randrange(4)))}".encode(),
        b"Subject: " + _subject(random),
        f"Message-ID: {random.choice(_IDS)}".encode(),
    ]
    if random.random() < 0.6:
        lines.append(f"In-Reply-To: {random.choice(_IDS)}".encode())
    if random.random() < 0.6:
        lines.append(b"References: " + b"\n ".join(random.choice(_IDS).encode() for _ in range(random.randrange(60))))
    lines += [random.choice(_MACHINE).encode() for _ in range(random.randrange(6))]
    random.shuffle(lines)
    return b"\n".join(lines) + b"\n" + _part(random, depth)


def _address(random: Random) -> str:
    return random.choice(_ADDRESSES)


def _folded(random: Random, value: str) -> str:
    return value.replace(" ", "\n ", 1) if random.random() < 0.2 else value


def _subject(random: Random) -> bytes:
    words = random.choice(("Re: ", "Fwd: ", "轉寄: ", "", "AW: ")) + random.choice(_WORDS)
    way = random.randrange(4)
    charset = random.choice(_CHARSETS)
    octets = _encoded(words, charset)
    if way == 0:
        return octets.replace(b"\n", b" ")
    if way == 1:  # as Chinese programs do it: cut in the middle of a character
        middle = random.randrange(len(octets) + 1)
        halves = [base64.b64encode(half) for half in (octets[:middle], octets[middle:])]
        return b"\n ".join(b"=?%s?B?%s?=" % (charset.encode(), half) for half in halves)
    if way == 2:
        return b"=?%s?Q?%s?=" % (charset.encode(), quopri.encodestring(octets, header=True).replace(b"=\n", b""))
    return words.encode()


def _encoded(words: str, charset: str) -> bytes:
    try:
        return words.encode(charset or "utf-8", "replace")
    except (LookupError, ValueError, UnicodeError):
        return words.encode("utf-8", "surrogatepass")


def _part(random: Random, depth: int) -> bytes:
    """The headers of a part from Content-Type on, a blank line, its body."""
    choice = random.random()
    if depth < 5 and choice < 0.4:
        return _multipart(random, depth)
    if depth < 5 and choice < 0.48:
        return b"Content-Type: message/rfc822\n\n" + _mail(random, depth + 1)
    charset = random.choice(_CHARSETS)
    kind = random.choice(_TYPES if random.random() < 0.4 else _TYPES[:2])
    if charset:
        kind += f"; charset={charset}"
    headers = [b"Content-Type: " + kind.encode()]
    if random.random() < 0.3:
        disposition = random.choice(("attachment", "inline", "x"))
        headers.append(f"Content-Disposition: {disposition}; {random.choice(_NAMES)}".encode())
    if random.random() < 0.2:
        headers.append(b"Content-ID: <i@x>")
    body = _encoded(_html(random) if "html" in kind else _words(random), charset)
    way = random.choice(("", "", "base64", "quoted-printable", "8bit", "x-uuencode", "BASE64 ", "7bit; x"))
    if way:
        headers.append(b"Content-Transfer-Encoding: " + way.encode())
    if way == "base64":
        body = base64.encodebytes(body)
    elif way == "quoted-printable":
        body = quopri.encodestring(body)
    return b"\n".join(headers) + b"\n\n" + body


def _multipart(random: Random, depth: int) -> bytes:
    boundary = random.choice(("b1", "b1", f"b{depth}", "=_mixed (x)", "b1 ", "", "x" * 90)).encode()
    kind = random.choice(
        ("mixed", "alternative", "related", "report; report-type=delivery-status", "signed", "digest", "x")
    )
    parts = [_part(random, depth + 1) for _ in range(random.choice((0, 1, 2, 2, 3, 6)))]
    inner = b"".join(b"--" + boundary + b"\n" + part + b"\n" for part in parts)
    closing = b"--" + boundary + b"--\n" if random.random() < 0.8 else b""
    return b'Content-Type: multipart/%s; boundary="%s"\n\n' % (kind.encode(), boundary) + inner + closing


def _words(random: Random) -> str:
    lines = []
    depth = 0
    for _ in range(random.choice((0, 1, 3, 10, 30))):
        depth = max(0, depth + random.choice((0, 0, 0, 1, -1)))
        line = random.choice(_HEADINGS if random.random() < 0.3 else _WORDS)
        lines.append(random.choice(("> ", ">", "＞", "| ")) * depth + line + random.choice(("", "", " ", "\u00a0")))
    return "\n".join(lines)


def _html(random: Random) -> str:
    pieces = []
    for _ in range(random.choice((0, 1, 5, 20))):
        tag = random.choice(
            (
                "p",
                "div",
                "blockquote",
                "table",
                "tr",
                "td",
                "a href='http://x.example'",
                "li",
                "pre",
                "style",
                "br",
                "b",
                "x:y",
            )
        )
        pieces.append(f"<{tag}>{random.choice(_HEADINGS if random.random() < 0.3 else _WORDS)}")
        if random.random() < 0.7:
            pieces.append(f"</{tag.split()[0]}>")
    return "".join(pieces)


# --- damage ---------------------------------------------------------------------------------------------------------


def _flip(random: Random, raw: bytes) -> bytes:
    octets = bytearray(raw)
    for _ in range(min(len(octets), random.choice((1, 3, 20)))):
        octets[random.randrange(len(octets))] = random.randrange(256)
    return bytes(octets)


def _cut(random: Random, raw: bytes) -> bytes:
    return raw[: random.randrange(len(raw) + 1)]


def _lose(random: Random, raw: bytes) -> bytes:
    start = random.randrange(len(raw) + 1)
    return raw[:start] + raw[start + random.randrange(80) :]


def _double(random: Random, raw: bytes) -> bytes:
    start = random.randrange(len(raw) + 1)
    piece = raw[start : start + random.choice((20, 200, 2000))]
    return raw[:start] + piece * random.choice((2, 2, 5)) + raw[start:]


def _sow(random: Random, raw: bytes) -> bytes:
    for _ in range(random.choice((1, 3, 10))):
        at = random.randrange(len(raw) + 1)
        raw = raw[:at] + random.choice(_TOKENS) + raw[at:]
    return raw


def _blow_up(random: Random, raw: bytes) -> bytes:
    if random.random() < 0.7:  # seldom: it takes as long as a hundred others
        return raw
    at = random.randrange(len(raw) + 1)
    token = random.choice(_TOKENS)
    return raw[:at] + token * (random.choice((1000, 8 * 1024, MAX_BOMB)) // len(token)) + raw[at:]


def _other_line_ends(random: Random, raw: bytes) -> bytes:
    return raw.replace(b"\n", random.choice((b"\r\n", b"\r\n", b"\r", b"\r\r\n", b"\n\r")))


def _splice(random: Random, raw: bytes) -> bytes:
    other = _mail(random, depth=3)
    return raw[: random.randrange(len(raw) + 1)] + other[random.randrange(len(other) + 1) :]


_DAMAGES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip, _cut, _lose, _double, _sow, _sow, _blow_up, _other_line_ends, _splice,
)  # fmt: skip
