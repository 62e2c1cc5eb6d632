"""Against an independent reader: what the standard library makes of well-formed mail is what we make of it."""

from __future__ import annotations

import base64
import email
import hashlib
import quopri
import random
from email import policy
from email.header import Header
from email.message import Message as StdlibMessage

import pytest

from channels import mime

#: What customers write, by charset.
_WORDS = {
    "utf-8": "您好 請問 退稅 什麼時候 到帳 €100 謝謝",
    "gb18030": "您好 请问 退税 什么时候 到账 镕 㐀 谢谢",
    "big5": "您好 請問 退稅 什麼時候 入帳 發票 謝謝",
    "us-ascii": "hello when will the refund be paid = equals thanks",
}
_LINE_ENDS = ("\r\n", "\n")


def _body(chance: random.Random, words: list[str], charset: str, subtype: str, line_end: str) -> bytes:
    """The headers and the octets of one text part."""
    lines = [" ".join(chance.choices(words, k=chance.randint(1, 12))) for _ in range(chance.randint(1, 20))]
    text = line_end.join(f"<p>{line}</p>" if subtype == "html" else line for line in lines)
    octets = text.encode(charset)
    encoding = chance.choice(["base64", "quoted-printable", "8bit"])
    if encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", line_end.encode())
    elif encoding == "quoted-printable":
        octets = quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", line_end.encode())
    head = f'Content-Type: text/{subtype}; charset="{charset}"\nContent-Transfer-Encoding: {encoding}\n\n'
    return head.replace("\n", line_end).encode() + octets + line_end.encode()


def _multipart(subtype: str, boundary: str, parts: list[bytes], line_end: str) -> bytes:
    end = line_end.encode()
    mark = b"--" + boundary.encode()
    head = f'Content-Type: multipart/{subtype};\n\tboundary="{boundary}"\n\n'.replace("\n", line_end).encode()
    return head + b"".join(mark + end + part + end for part in parts) + mark + b"--" + end


def generate(seed: int) -> bytes:
    """One well-formed customer's mail."""
    chance = random.Random(seed)
    charset = chance.choice(list(_WORDS))
    line_end = chance.choice(_LINE_ENDS)
    words = _WORDS[charset].split()
    content = _body(chance, words, charset, "plain", line_end)
    if chance.random() < 0.5:
        html = _body(chance, words, charset, "html", line_end)
        content = _multipart("alternative", f"=_a{seed}", [content, html], line_end)
    if chance.random() < 0.5:
        blob = base64.encodebytes(chance.randbytes(chance.randint(0, 5000))).replace(b"\n", line_end.encode())
        head = 'Content-Type: application/pdf\nContent-Disposition: attachment; filename="a b.pdf"\n'
        head += "Content-Transfer-Encoding: base64\n\n"
        content = _multipart("mixed", f"=_m{seed}", [content, head.replace("\n", line_end).encode() + blob], line_end)
    subject = Header(" ".join(chance.choices(words, k=9)), charset).encode(linesep=line_end)
    lines = [f"From: Wang <w{seed}@customer.example>", f"Subject: {subject}", f"Message-ID: <{seed}@x>", ""]
    return line_end.join(lines).encode() + content


def _decoded(part: StdlibMessage) -> bytes:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


@pytest.mark.parametrize("seed", range(60))
def test_words_and_files_equal_those_of_the_standard_library(seed: int) -> None:
    raw = generate(seed)
    peer = email.message_from_bytes(raw, policy=policy.compat32)
    leaves = [part for part in peer.walk() if not part.is_multipart()]
    plain = next(part for part in leaves if part.get_content_type() == "text/plain")
    files = [_decoded(part) for part in leaves if part.get_content_disposition() == "attachment"]

    message = mime.parse(raw)

    expected = _decoded(plain).decode(str(plain.get_content_charset())).replace("\r\n", "\n")
    assert message.text_full == expected.strip("\n").rstrip()
    assert [a.sha256 for a in message.attachments] == [hashlib.sha256(octets).hexdigest() for octets in files]
    assert [mime.part_bytes(raw, a.path) for a in message.attachments] == files
    assert message.defects == ()
