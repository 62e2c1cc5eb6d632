"""Agents' replies with a table and a picture in their words, as Outlook and Gmail write them.

    raw = RICH["outlook"](mail, "陳怡君", "chen@firm.example", words)      # octets, CRLF; TABLE and PNG below the words

They are the replies of `mailclients`, with everything quoted below, and each client's own markup put in.
"""

from __future__ import annotations

import email
import struct
import zlib
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP, default

from support.mailclients import REPLIES, Reply

TABLE = (("項目", "金額"), ("營業稅", "1,200"), ("滯納金", "36"))


def _png(width: int, height: int) -> bytes:
    """A picture of one colour (RFC 2083)."""

    def chunk(kind: bytes, octets: bytes) -> bytes:
        return struct.pack(">I", len(octets)) + kind + octets + struct.pack(">I", zlib.crc32(kind + octets))

    rows = (b"\0" + b"\x1f\x5f\xbf" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PNG = _png(40, 20)


def _outlook(client: str) -> Reply:
    cells = "".join(
        "<tr>"
        + "".join(f'<td style="border:solid windowtext 1.0pt"><p class=MsoNormal>{c}</p></td>' for c in row)
        + "</tr>"
        for row in TABLE
    )
    html = (
        '<table class=MsoTableGrid border=1 cellspacing=0 cellpadding=0 style="border-collapse:collapse;border:none">'
        f"{cells}</table><p class=MsoNormal><o:p>&nbsp;</o:p></p>"
        '<p class=MsoNormal><img width=40 height=20 id="Picture_1" src="cid:image001.png@01DC5C4D.E713A740"></p>'
    )
    plain = "\n\n".join(cell for row in TABLE for cell in row) + "\n\n \n\n[cid:image001.png@01DC5C4D.E713A740]\n"
    return _with(client, html, plain, "image001.png", "image001.png@01DC5C4D.E713A740")


def _gmail(client: str) -> Reply:
    cells = "".join("<tr>" + "".join(f"<td>{c}<br></td>" for c in row) + "</tr>" for row in TABLE)
    html = (
        f'<div><br></div><table border="1" style="border-collapse:collapse"><tbody>{cells}</tbody></table>'
        '<div><img src="cid:ii_mi8x3k2y0" alt="receipt.png" width="40" height="20"><br></div>'
    )
    plain = "\n" + "\n".join(" ".join(row) for row in TABLE) + "\n[image: receipt.png]"
    return _with(client, html, plain, "receipt.png", "ii_mi8x3k2y0")


def _with(client: str, html: str, plain: str, name: str, content_id: str) -> Reply:
    """That client's reply with this put below the last of the words."""

    def reply(mail: EmailMessage, who: str, address: str, words: str) -> bytes:
        written = email.message_from_bytes(REPLIES[client](mail, who, address, words), policy=default)
        last = words.rsplit("\n", 1)[-1]
        shown = _content(written, "html").replace(f"<div>{last}</div>", f"<div>{last}</div>{html}", 1)
        read = _content(written, "plain").replace(last, f"{last}\n{plain}", 1)
        assert html in shown
        assert plain in read
        picture = MIMEImage(PNG, "png", name=name)
        picture["Content-ID"] = f"<{content_id}>"
        picture["Content-Disposition"] = f'inline; filename="{name}"'
        both = MIMEMultipart(
            "alternative", _subparts=[MIMEText(read, "plain", "utf-8"), MIMEText(shown, "html", "utf-8")]
        )
        whole: MIMEBase = MIMEMultipart("related", _subparts=[both, picture])
        for header, value in written.raw_items():
            if not header.lower().startswith(("content-", "mime-")):
                whole[header] = value
        return whole.as_bytes(policy=SMTP)

    return reply


def _content(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


RICH: Mapping[str, Callable[[EmailMessage, str, str, str], bytes]] = {
    "outlook": _outlook("outlook"),
    "outlook-en": _outlook("outlook-en"),
    "gmail": _gmail("gmail"),
    "apple": _gmail("apple"),
}
