"""Mails as real clients write them: customers' first mails, and agents' replies with everything quoted below.

    raw = CUSTOMERS["qq"](sender, "王美玲", desk, subject, words)           # octets, CRLF
    raw = REPLIES["outlook"](mail, "陳怡君", "chen@firm.example", words)    # to the Reply-To of `mail`, an EmailMessage

The shapes follow mails as they are met: names of headers and their order, encodings, boundaries, where and how the
client quotes. Nothing in them is anybody's.
"""

from __future__ import annotations

import itertools
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import formatdate
from html import escape

Customer = Callable[[str, str, str, str, str], bytes]
Reply = Callable[[EmailMessage, str, str, str], bytes]

_NUMBERS = itertools.count(1)


def _unique() -> str:
    return f"{time.time_ns():x}.{next(_NUMBERS)}"


def _word(text: str, charset: str = "utf-8") -> str:
    """An encoded word, folded where it would be too long."""
    pieces = [text[i : i + 12] for i in range(0, len(text), 12)] or [""]
    return "\r\n ".join(f"=?{charset}?B?{b64encode(p.encode(charset)).decode()}?=" for p in pieces)


def _base64(text: str, charset: str = "utf-8") -> str:
    encoded = b64encode(text.replace("\n", "\r\n").encode(charset)).decode()
    return "\r\n".join(encoded[i : i + 76] for i in range(0, len(encoded), 76))


def _paragraphs(text: str) -> str:
    return "".join(f"<div>{escape(line) or '<br>'}</div>" for line in text.split("\n"))


def _alternative(boundary: str, plain: str, html: str, charset: str = "utf-8") -> str:
    """Both texts in base64, as most clients of Chinese mail send them."""
    parts = [
        f'--{boundary}\r\nContent-Type: text/{kind}; charset="{charset}"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{_base64(text, charset)}\r\n"
        for kind, text in (("plain", plain), ("html", html))
    ]
    return "\r\n".join(parts) + f"\r\n--{boundary}--\r\n"


def _mail(headers: list[str], body: str) -> bytes:
    return ("\r\n".join(headers) + "\r\n\r\n" + body).encode()


# ---- customers


def _qq(sender: str, name: str, desk: str, subject: str, words: str) -> bytes:
    number = _unique()
    boundary = f"----=_NextPart_{number.replace('.', '_')}"
    return _mail(
        [
            "X-QQ-mid: xmseza27-1t1763880000t9f4c1aab",
            "X-QQ-XMAILINFO: OIS4fh8Hl0q9JwX2m",
            f'From: "{_word(name, "gb18030")}" <{sender}>',
            f"To: =?gb18030?B?{b64encode('客服'.encode('gb18030')).decode()}?= <{desk}>",
            f"Subject: {_word(subject, 'gb18030')}",
            "Mime-Version: 1.0",
            f'Content-Type: multipart/alternative;\r\n\tboundary="{boundary}"',
            "Content-Transfer-Encoding: 8Bit",
            f"Date: {formatdate(localtime=False)}",
            "X-Priority: 3",
            f"Message-ID: <tencent_{number.upper()}@qq.example>",
            "X-QQ-MIME: TCMime 1.0 by Tencent",
            "X-Mailer: QQMail 2.x",
        ],
        "This is a multi-part message in MIME format.\r\n\r\n"
        + _alternative(boundary, words, _paragraphs(words), "gb18030"),
    )


def _gmail(sender: str, name: str, desk: str, subject: str, words: str) -> bytes:
    number = _unique()
    boundary = f"000000000000{number.replace('.', '')}"
    return _mail(
        [
            "MIME-Version: 1.0",
            f"From: {_word(name)} <{sender}>",
            f"Date: {formatdate(localtime=False)}",
            "X-Gm-Features: AWmQ_bk",
            f"Message-ID: <CAF{number}+3uQ@mail.gmail.example>",
            f"Subject: {_word(subject)}",
            f"To: {desk}",
            f'Content-Type: multipart/alternative; boundary="{boundary}"',
        ],
        _alternative(boundary, words, f'<div dir="ltr">{_paragraphs(words)}</div>'),
    )


def _outlook(sender: str, name: str, desk: str, subject: str, words: str) -> bytes:
    number = _unique()
    boundary = f"_000_TYZPR01MB{number.replace('.', '')}_"
    return _mail(
        [
            f"From: {_word(name)} <{sender}>",
            f'To: "{desk}" <{desk}>',
            f"Subject: {_word(subject)}",
            f"Thread-Topic: {_word(subject)}",
            "Thread-Index: AdxZ2mQ1u7o2gYy8Qk2s0m0b1Jw9Vg==",
            f"Date: {formatdate(localtime=False)}",
            f"Message-ID: <TYZPR01MB{number}@TYZPR01MB.apcprd01.prod.outlook.example>",
            "Accept-Language: zh-TW, en-US",
            "Content-Language: zh-TW",
            "X-MS-Has-Attach:",
            "X-MS-TNEF-Correlator:",
            f'Content-Type: multipart/alternative;\r\n\tboundary="{boundary}"',
            "MIME-Version: 1.0",
        ],
        _alternative(boundary, words, f'<html><body lang="ZH-TW">{_paragraphs(words)}</body></html>'),
    )


CUSTOMERS: Mapping[str, Customer] = {"qq": _qq, "gmail": _gmail, "outlook": _outlook}


# ---- agents' replies


def _text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n").rstrip("\n")


def _html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    return str(body.get_content()) if body is not None else f"<pre>{escape(_text_of(mail))}</pre>"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" if line else ">" for line in text.split("\n"))


def _subject(mail: EmailMessage, prefix: str = "Re: ") -> str:
    subject = str(mail["Subject"])
    return subject if subject.lower().startswith(prefix.strip().lower()) else prefix + subject


def _thread(mail: EmailMessage) -> list[str]:
    known = " ".join(filter(None, (str(mail["References"] or ""), str(mail["Message-ID"]))))
    return [f"In-Reply-To: {mail['Message-ID']}", "References: " + "\r\n ".join(known.split())]


def answer_address(mail: EmailMessage) -> str:
    """Where a client's Reply button goes."""
    header = mail["Reply-To"] or mail["From"]
    return str(header.addresses[0].addr_spec)


def _to(mail: EmailMessage) -> str:
    header = mail["Reply-To"] or mail["From"]
    one = header.addresses[0]
    return f"{_word(one.display_name)} <{one.addr_spec}>" if one.display_name else one.addr_spec


def _shown(mail: EmailMessage) -> str:
    one = (mail["Reply-To"] or mail["From"]).addresses[0]
    return f"{one.display_name} <{one.addr_spec}>"


def _outlook_reply(mail: EmailMessage, name: str, address: str, words: str) -> bytes:
    """Outlook 2021 for Windows, Chinese (Taiwan): nothing is marked as quoted, a block of labels stands above."""
    number = _unique()
    boundary = f"----=_NextPart_000_{number.replace('.', '_')}"
    block = (
        f"寄件者: {_shown(mail)} \n寄件日期: 2026年11月23日 下午 02:10\n"
        f"收件者: {name} <{address}>\n主旨: {mail['Subject']}\n"
    )
    html = (
        f'<html xmlns:o="urn:schemas-microsoft-com:office:office"><body lang="ZH-TW"><div class="WordSection1">'
        f'{_paragraphs(words)}<div style="border-top:solid #E1E1E1 1.0pt">'
        f'<p class="MsoNormal">{escape(block).replace(chr(10), "<br>")}</p></div>{_html_of(mail)}</div></body></html>'
    )
    return _mail(
        [
            f"From: {_word(name)} <{address}>",
            f"To: {_to(mail)}",
            *_thread(mail),
            f"Subject: {_word(_subject(mail, 'RE: '))}",
            f"Date: {formatdate(localtime=False)}",
            f"Message-ID: <{number}$0a1b2c3d@firm.example>",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/alternative;\r\n\tboundary="{boundary}"',
            "X-Mailer: Microsoft Outlook 16.0",
            "Thread-Index: AQHcXE1uE6d0m3jz0Eq3v0i3l0mH2g==",
            "Content-Language: zh-tw",
        ],
        "This is a multipart message in MIME format.\r\n\r\n"
        + _alternative(boundary, f"{words}\n\n \n\n{block}\n{_text_of(mail)}\n", html),
    )


def _outlook_en_reply(mail: EmailMessage, name: str, address: str, words: str) -> bytes:
    """Outlook on the web and Exchange, English labels: a drawn rule, then From, Sent, To, Subject."""
    number = _unique()
    boundary = f"_000_SEYPR02MB{number.replace('.', '')}_"
    block = (
        f"{'_' * 32}\nFrom: {_shown(mail)}\nSent: Monday, November 23, 2026 2:10 PM\n"
        f"To: {name} <{address}>\nSubject: {mail['Subject']}\n"
    )
    html = (
        f'<html><body dir="ltr">{_paragraphs(words)}<hr style="display:inline-block;width:98%">'
        f'<div id="divRplyFwdMsg">{escape(block).replace(chr(10), "<br>")}</div>{_html_of(mail)}</body></html>'
    )
    return _mail(
        [
            f"From: {_word(name)} <{address}>",
            f"To: {_to(mail)}",
            f"Subject: {_word(_subject(mail))}",
            f"Thread-Topic: {_word(str(mail['Subject']))}",
            f"Date: {formatdate(localtime=False)}",
            f"Message-ID: <SEYPR02MB{number}@SEYPR02MB.apcprd02.prod.outlook.example>",
            *_thread(mail),
            "Accept-Language: zh-TW, en-US",
            "X-MS-Has-Attach:",
            f'Content-Type: multipart/alternative;\r\n\tboundary="{boundary}"',
            "MIME-Version: 1.0",
        ],
        _alternative(boundary, f"{words}\n\n{block}\n{_text_of(mail)}\n", html),
    )


def _gmail_reply(mail: EmailMessage, name: str, address: str, words: str) -> bytes:
    number = _unique()
    boundary = f"0000000000{number.replace('.', '')}"
    heading = f"{_shown(mail)} 於 2026年11月23日 週一 下午2:10寫道："
    html = (
        f'<div dir="ltr">{_paragraphs(words)}</div><br><div class="gmail_quote gmail_quote_container">'
        f'<div dir="ltr" class="gmail_attr">{escape(heading)}<br></div>'
        f'<blockquote class="gmail_quote">{_html_of(mail)}</blockquote></div>'
    )
    return _mail(
        [
            "MIME-Version: 1.0",
            *reversed(_thread(mail)),
            f"From: {_word(name)} <{address}>",
            f"Date: {formatdate(localtime=False)}",
            f"Message-ID: <CAD{number}=7w@mail.gmail.example>",
            f"Subject: {_word(_subject(mail))}",
            f"To: {_to(mail)}",
            f'Content-Type: multipart/alternative; boundary="{boundary}"',
        ],
        _alternative(boundary, f"{words}\n\n{heading}\n\n{_quoted(_text_of(mail))}\n", html),
    )


def _apple_reply(mail: EmailMessage, name: str, address: str, words: str) -> bytes:
    """Mail on macOS, Chinese: heading and text are both marked as quoted."""
    number = _unique()
    boundary = f"Apple-Mail=_{number.upper().replace('.', '-')}"
    heading = f"{_shown(mail)} 於 2026年11月23日 下午2:10 寫道："
    html = (
        f'<html><body style="overflow-wrap: break-word;">{_paragraphs(words)}<div><br><blockquote type="cite">'
        f"<div>{escape(heading)}</div><br><div>{_html_of(mail)}</div></blockquote></div></body></html>"
    )
    return _mail(
        [
            f"From: {_word(name)} <{address}>",
            f'Content-Type: multipart/alternative;\r\n\tboundary="{boundary}"',
            "Mime-Version: 1.0 (Mac OS X Mail 16.0 \\(3826.700.81\\))",
            f"Subject: {_word(_subject(mail))}",
            f"Date: {formatdate(localtime=False)}",
            *reversed(_thread(mail)),
            f"To: {_to(mail)}",
            f"Message-Id: <{number.upper()}@firm.example>",
            "X-Mailer: Apple Mail (2.3826.700.81)",
        ],
        _alternative(boundary, f"{words}\n\n{_quoted(heading + chr(10) * 2 + _text_of(mail))}\n", html),
    )


def _thunderbird_reply(mail: EmailMessage, name: str, address: str, words: str) -> bytes:
    """Plain text, format=flowed, 8 bit."""
    lines = "\r\n".join([*words.split("\n"), "", "安信財稅客服 於 2026/11/23 14:10 寫道:"])
    return _mail(
        [
            f"Message-ID: <{_unique()}@firm.example>",
            f"Date: {formatdate(localtime=False)}",
            "MIME-Version: 1.0",
            "User-Agent: Mozilla Thunderbird",
            f"Subject: {_word(_subject(mail))}",
            "Content-Language: zh-TW",
            f"To: {_to(mail)}",
            *reversed(_thread(mail)),
            f"From: {_word(name)} <{address}>",
            "Content-Type: text/plain; charset=UTF-8; format=flowed",
            "Content-Transfer-Encoding: 8bit",
        ],
        lines + "\r\n" + _quoted(_text_of(mail)).replace("\n", "\r\n") + "\r\n",
    )


REPLIES: Mapping[str, Reply] = {
    "outlook": _outlook_reply,
    "outlook-en": _outlook_en_reply,
    "gmail": _gmail_reply,
    "apple": _apple_reply,
    "thunderbird": _thunderbird_reply,
}
