"""Agents' replies to a mail of ours as mail programs write them, after documented markup: no program made these.

    raw = written(SHAPES["gmail"], mail, "zh-Hant", Where.ABOVE, letter())       # octets, CRLF

Each shape is that of one program: how it wraps a line, what it puts round a signature, what it says above a quote, and
whether its plain part marks the quoted lines. The reply stands above our mail, below it, or between its lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from enum import StrEnum
from html import escape

from support.mailclients import _html_of as html_of
from support.mailclients import _shown as shown
from support.mailclients import _text_of as text_of
from support.mailclients import _to as to
from support.richreplies import PNG

AGENT = ("陳怡君", "chen@firm.example")
PICTURE = "image001.png@01DC5C4D.E713A740"
TABLE = (("項目", "金額"), ("營業稅", "1,200"), ("滯納金", "36"))


class Where(StrEnum):
    """Where the reply stands."""

    ABOVE = "above"
    BELOW = "below"
    BETWEEN = "between"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What an agent writes, and what his program adds."""

    words: tuple[str, ...]  # lines; "" between paragraphs
    signature: tuple[str, ...]
    has_table: bool = False  # a table and a picture below the words
    first: str = ""  # a command above them


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One mail program. Of the patterns `page` has {own}, {signature}, {head}, {quote}."""

    page: str
    line: str = "<div>{line}</div>"
    signature_html: str = "{lines}"
    signature_plain: str = "{lines}"
    #: above a quote: language -> sentence or labels, with {who} {to} {subject}
    heads: Mapping[str, str]
    marks: bool = False  # quoted lines begin with "> " in the plain part
    marks_head: bool = False  # so does what stands above them
    finds_signature: bool = True  # by what the program writes, without knowing how he ends his replies
    has_plain: bool = True


ZH, CN, EN = "zh-Hant", "zh-Hans", "en"
_WROTE = {
    ZH: "{who} 於 2026年11月23日 週一 下午2:10寫道：",
    CN: "{who} 于2026年11月23日周一 14:10写道：",
    EN: "On Mon, Nov 23, 2026 at 2:10 PM {who} wrote:",
}
_APPLE = {
    ZH: "{who} 於 2026年11月23日 下午2:10 寫道：",
    CN: "在 2026年11月23日，14:10，{who} 写道：",
    EN: "On Nov 23, 2026, at 2:10 PM, {who} wrote:",
}
_BIRD = {
    ZH: "{who} 於 2026/11/23 14:10 寫道:",
    CN: "在 2026/11/23 14:10, {who} 写道:",
    EN: "On 11/23/26 2:10 PM, {who} wrote:",
}
_LABELS = {
    ZH: "寄件者: {who}\n寄件日期: 2026年11月23日 下午 02:10\n收件者: {to}\n主旨: {subject}",
    CN: "发件人: {who}\n发送时间: 2026年11月23日 14:10\n收件人: {to}\n主题: {subject}",
    EN: "From: {who}\nSent: Monday, November 23, 2026 2:10 PM\nTo: {to}\nSubject: {subject}",
}
_RULED = {language: "_" * 32 + "\n" + labels for language, labels in _LABELS.items()}
_QQ = {
    language: f"------------------ {rule} ------------------\n{_LABELS[language]}"
    for language, rule in ((ZH, "原始郵件"), (CN, "原始邮件"), (EN, "Original"))
}
_MASTER = {
    language: f"---- {rule} ----\n| {a} | {{who}} |\n| {b} | 2026-11-23 |\n| {c} | {{to}} |\n| {d} | {{subject}} |"
    for language, rule, a, b, c, d in (
        (ZH, "回覆的原郵件", "寄件者", "日期", "收件者", "主旨"),
        (CN, "回复的原邮件", "发件人", "发送日期", "收件人", "主题"),
        (EN, "Replied Message", "From", "Date", "To", "Subject"),
    )
}
_GMAIL_QUOTE = (
    '<div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">{head}<br></div>'
    '<blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204)">'
    "{quote}</blockquote></div>"
)
_MSO = '<p class=MsoNormal><span lang=ZH-TW style="font-size:11.0pt">{line}<o:p></o:p></span></p>'
_WORD = (
    '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style><!-- p.MsoNormal {{margin:0cm}} --></style>'
    '</head><body lang=ZH-TW link="#0563C1"><div class=WordSection1>{own}<p class=MsoNormal><o:p>&nbsp;</o:p></p>'
    '{signature}<p class=MsoNormal><o:p>&nbsp;</o:p></p><div><div style="border:none;border-top:solid #E1E1E1 1.0pt">'
    "<p class=MsoNormal>{head}</p></div></div>{quote}</div></body></html>"
)
_REPLY_BLOCK = '<div id="divRplyFwdMsg" dir="ltr"><font face="Calibri, sans-serif">{head}</font><div>&nbsp;</div></div>'

SHAPES: Mapping[str, Shape] = {
    "gmail": Shape(
        page='<div dir="ltr">{own}<div><br></div>{signature}</div><br>' + _GMAIL_QUOTE,
        signature_html=(
            '<span class="gmail_signature_prefix">-- </span><br><div dir="ltr" class="gmail_signature" '
            'data-smartmail="gmail_signature"><div dir="ltr">{lines}</div></div>'
        ),
        signature_plain="-- \n{lines}",
        heads=_WROTE,
        marks=True,
    ),
    "gmail app": Shape(
        page='<div dir="auto">{own}</div><br>{signature}<br>' + _GMAIL_QUOTE,
        line='<div dir="auto">{line}</div>',
        signature_html='<div data-smartmail="gmail_signature" dir="auto">{lines}</div>',
        heads=_WROTE,
        marks=True,
    ),
    "outlook": Shape(page=_WORD, line=_MSO, heads=_LABELS, finds_signature=False),
    "outlook, bookmarked": Shape(
        page=_WORD,
        line=_MSO,
        signature_html=(
            '<p class=MsoNormal><a name="_MailAutoSig"><span>{first}</span></a><o:p></o:p></p>'
            "<p class=MsoNormal><span style='mso-bookmark:_MailAutoSig'><span>{rest}</span></span></p>"
        ),
        heads=_LABELS,
    ),
    "outlook web": Shape(
        page=(
            '<html><head><style type="text/css" style="display:none;">P {{margin-top:0}}</style></head><body dir="ltr">'
            '{own}{signature}<div id="appendonsend"></div>'
            '<hr style="display:inline-block;width:98%" tabindex="-1">' + _REPLY_BLOCK + "{quote}</body></html>"
        ),
        line='<div class="elementToProof" style="font-size: 12pt; color: rgb(0, 0, 0);">{line}</div>',
        signature_html='<div id="Signature" class="elementToProof"><div>{lines}</div></div>',
        heads=_RULED,
    ),
    "outlook mobile": Shape(
        page=(
            '<html><body><div dir="auto">{own}</div>{signature}<div id="mail-editor-reference-message-container" '
            'class="ms-outlook-mobile-reference-message"><hr style="display: inline-block; width: 98%;" tabindex="-1">'
            + _REPLY_BLOCK
            + "{quote}</div></body></html>"
        ),
        line='<div dir="auto">{line}</div>',
        signature_html='<div id="ms-outlook-mobile-signature" dir="auto"><div><br></div>{lines}</div>',
        heads=_RULED,
    ),
    "apple mac": Shape(
        page=(
            '<html><head></head><body style="overflow-wrap: break-word; -webkit-nbsp-mode: space;">{own}'
            '<br id="lineBreakAtBeginningOfMessage"><div>{signature}</div><div><br><blockquote type="cite">'
            '<div>{head}</div><br class="Apple-interchange-newline"><div>{quote}</div></blockquote></div></body></html>'
        ),
        signature_html='<div><meta charset="UTF-8"><div style="color: rgb(0, 0, 0);">{lines}</div></div>',
        heads=_APPLE,
        marks=True,
        marks_head=True,
        finds_signature=False,
    ),
    "apple ios": Shape(
        page=(
            '<html><body dir="auto">{own}{signature}<div dir="ltr"><br>'
            '<blockquote type="cite">{head}<br><br></blockquote></div><blockquote type="cite"><div dir="ltr">{quote}'
            "</div></blockquote></body></html>"
        ),
        line='<div dir="ltr">{line}</div>',
        signature_html='<br id="lineBreakAtBeginningOfSignature"><div dir="ltr">{lines}</div>',
        heads=_APPLE,
        marks=True,
        marks_head=True,
    ),
    "apple ios, older": Shape(
        page=(
            '<html><body dir="auto">{own}<div><br>{signature}<div dir="ltr"><br>{head}<br><br></div>'
            '<blockquote type="cite"><div dir="ltr">{quote}</div></blockquote></div></body></html>'
        ),
        signature_html='<div id="AppleMailSignature" dir="ltr">{lines}</div>',
        heads=_APPLE,
        marks=True,
    ),
    "thunderbird": Shape(
        page=(
            '<!DOCTYPE html><html><body>{own}<div class="moz-cite-prefix">{head}<br></div>'
            '<blockquote type="cite" cite="mid:t.1042.a.1@firm.example">{quote}</blockquote>{signature}</body></html>'
        ),
        line="<p>{line}</p>",
        signature_html='<div class="moz-signature">-- <br>{lines}</div>',
        signature_plain="-- \n{lines}",
        heads=_BIRD,
        marks=True,
    ),
    "qq": Shape(
        page=(
            "<div>{own}</div><div><br></div><div>{signature}</div><div>&nbsp;</div><div><includetail><!--<![endif]-->"
            '<div style="font-size: 12px;background:#efefef;padding:8px;">{head}</div>{quote}</includetail></div>'
        ),
        signature_html='<sign signid="0"><div style="font-size:14px;color:#000;">{lines}</div></sign>',
        heads=_QQ,
    ),
    "qq web": Shape(
        page='<div>{own}</div>{signature}<br><div style="background:#efefef">{head}</div>{quote}',
        signature_html=(
            '<div class="qqmail_sign" id="wemailsigcontent" signid="200"><div class="rich_custom_signature">{lines}'
            "</div></div>"
        ),
        heads=_QQ,
    ),
    "foxmail": Shape(
        page=(
            "<html><head><style>body {{ line-height: 1.5; }}</style></head><body>{own}<div><br></div>"
            '<hr id="FMSigSeperator" style="width: 210px; height: 1px;" color="#b5c4df" size="1" align="left">'
            '{signature}<blockquote style="margin-top: 0px; margin-left: 0.5em;"><div>&nbsp;</div>'
            '<div style="border:none;border-top:solid #B5C4DF 1.0pt"><div style="COLOR: #000">{head}</div></div>'
            '<div class="FoxDiv20261123141000" id="FMOriginalContent">{quote}</div></blockquote></body></html>'
        ),
        signature_html=(
            '<div><span id="_FoxFROMNAME"><div style="MARGIN: 10px; FONT-FAMILY: verdana">{lines}</div></span></div>'
        ),
        heads=_LABELS,
    ),
    "163": Shape(
        page=(
            '<div style="line-height:1.7;color:#000000;font-size:14px">{own}<br>{signature}<br><br>'
            '<div>{head}</div><blockquote id="isReplyContent" style="PADDING-LEFT: 1ex;BORDER-LEFT: #ccc 1px solid">'
            "{quote}</blockquote></div>"
        ),
        signature_html='<div class="ntes-signature">--<br>{lines}</div>',
        signature_plain="--\n{lines}",
        heads={
            ZH: "在 2026-11-23 14:10:00，{who} 寫道：",
            CN: "在 2026-11-23 14:10:00，{who} 写道：",
            EN: "At 2026-11-23 14:10:00, {who} wrote:",
        },
    ),
    "163 mail master": Shape(
        page=(
            '<div>{own}</div><div id="imail_signature" class="ntes-signature">{signature}</div>'
            '<div class="ntes-mailmaster-quote" style="padding-top: 1px"><div style="margin-top: 2em">{head}</div>'
            "{quote}</div>"
        ),
        heads=_MASTER,
    ),
}
SHAPES = {**SHAPES, "html alone": replace(SHAPES["outlook web"], has_plain=False)}


def written(shape: Shape, mail: EmailMessage, language: str, where: Where, letter: Letter, after: str = "") -> bytes:
    """The reply to `mail`. BETWEEN puts the words under the line `after` of our plain text."""
    head = shape.heads[language].format(
        who=shown(mail), to=f"{AGENT[0]} <{AGENT[1]}>", subject=str(mail["Subject"]).replace("\n", "")
    )
    page = _page(shape, mail, head, where, letter, after)
    plain = _plain(shape, mail, head, where, letter, after)
    kinds = ([MIMEText(plain, "plain", "utf-8")] if shape.has_plain else []) + [MIMEText(page, "html", "utf-8")]
    whole: MIMEBase = MIMEMultipart("alternative", _subparts=kinds) if len(kinds) > 1 else kinds[0]
    if letter.has_table:
        picture = MIMEImage(PNG, "png", name="image001.png")
        picture["Content-ID"] = f"<{PICTURE}>"
        picture["Content-Disposition"] = 'inline; filename="image001.png"'
        whole = MIMEMultipart("related", _subparts=[whole, picture])
    for name, value in (
        ("From", f"=?utf-8?B?6Zmz5oCh5ZCb?= <{AGENT[1]}>"),
        ("To", to(mail).replace("\r\n", "")),
        ("Subject", "Re: x"),
        ("Message-ID", "<r.1@firm.example>"),
        ("In-Reply-To", str(mail["Message-ID"])),
        ("Date", "Mon, 23 Nov 2026 14:20:00 +0800"),
    ):
        whole[name] = value
    return whole.as_bytes(policy=SMTP)


# ---- the page


def _page(shape: Shape, mail: EmailMessage, head: str, where: Where, letter: Letter, after: str) -> str:
    quote = html_of(mail)
    own = "".join(_lines(shape, [letter.first] if letter.first else [], ""))
    words = "".join(_lines(shape, letter.words, "<br>")) + (_table() if letter.has_table else "")
    lines = "".join(f"<div>{escape(line)}</div>" for line in letter.signature)
    signature = shape.signature_html.format(
        lines=lines, first=escape(letter.signature[0]), rest="<br>".join(map(escape, letter.signature[1:]))
    )
    if where is Where.BETWEEN:
        quote = quote.replace(escape(after, quote=False), f"{escape(after, quote=False)}</div>{words}<div>", 1)
        words = ""
    parts = {"head": escape(head).replace("\n", "<br>"), "quote": quote}
    if where is Where.BELOW:
        return shape.page.format(own=own, signature="", **parts) + words + signature
    return shape.page.format(own=own + words, signature=signature, **parts)


def _lines(shape: Shape, lines: list[str] | tuple[str, ...], blank: str) -> list[str]:
    return [shape.line.format(line=escape(line, quote=False) or blank) for line in lines]


def _table() -> str:
    rows = "".join(
        "<tr>" + "".join(f"<td><p class=MsoNormal>{cell}</p></td>" for cell in row) + "</tr>" for row in TABLE
    )
    return f'<table border=1 style="border-collapse:collapse">{rows}</table><p><img width=40 src="cid:{PICTURE}"></p>'


# ---- the plain part


def _plain(shape: Shape, mail: EmailMessage, head: str, where: Where, letter: Letter, after: str) -> str:
    words = [*letter.words]
    if letter.has_table:
        words += ["", *("\t".join(row) for row in TABLE), "", f"[cid:{PICTURE}]"]
    first = [letter.first, ""] if letter.first else []
    signature = shape.signature_plain.format(lines="\n".join(letter.signature)).split("\n")
    quoted = _quoted(shape, text_of(mail), [] if where is not Where.BETWEEN else words, after)
    heading = head.split("\n")
    if shape.marks_head:
        heading = [f"> {line}" for line in heading] + [">"]
    elif shape.marks:
        heading.append("")
    else:
        heading = ["", *heading, ""]
    if where is Where.ABOVE:
        lines = [*first, *words, "", *signature, "", *heading, *quoted]
    elif where is Where.BELOW:
        lines = [*first, *heading, *quoted, "", *words, "", *signature]
    else:
        lines = [*first, *heading, *quoted, "", *signature]
    return "\n".join(lines) + "\n"


def _quoted(shape: Shape, text: str, words: list[str], after: str) -> list[str]:
    lines: list[str] = []
    for line in text.split("\n"):
        lines.append((f"> {line}" if line else ">") if shape.marks else line)
        if words and line == after:
            lines += ["", *words, ""]
    return lines
