"""Mail as bytes: the one place that writes a header, and refuses whatever could break out of it.

Assembled by hand, because the standard library's writer costs several times as much. Every header passes `_line`,
which raises `HeaderRefused` for control characters, line and paragraph separators and lone surrogates; text from
people is to be cleaned (`compose_words.clean_line`) before, so that a refusal means a mistake of ours.
Text parts are quoted-printable or base64, never bare: a line of any length, "From " and "." travel unchanged.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

from channels.message import mailable

STEP = 57 * 4096  # octets of a file encoded at a time: whole lines of base64
CRLF = b"\r\n"
MAX_LINE = 76  # octets, RFC 5322 §2.1.1 asks for at most 78
MAX_NAME = 180  # octets of a file name in UTF-8: three times that, percent-encoded, stays under the 998 of a line
MAX_REFERENCES = 21  # the first, which names the thread, and the last twenty

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")
_MESSAGE_ID = re.compile(r"<[^\s<>]{1,900}>\Z")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}\Z")
_HIGH = bytes(range(0x80, 0x100))
_WORD_BYTES = 42  # of UTF-8 in one encoded word: 56 characters of base64 and 12 round them


class HeaderRefused(ValueError):
    """Something was to be written into a header that could break out of it, or is no address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file of a mail."""

    name: str
    media_type: str  # "application/pdf"; anything that is not one becomes application/octet-stream
    content: bytes
    content_id: str = ""  # without angle brackets
    is_inline: bool = False


def header(name: str, value: str) -> bytes:
    """One unstructured header (Subject, Thread-Topic), folded, encoded where it is not ASCII."""
    words = [word for word in value.split(" ") if word]
    if not value.isascii() or "=?" in value or any(len(word) > MAX_LINE - len(name) - 2 for word in words):
        _refuse_control(name, value)
        words = encoded_words(value)
    return _line(name, words)


def mailboxes(name: str, people: Iterable[tuple[str, str]]) -> bytes:
    """An address header from (display name, address) pairs."""
    words: list[str] = []
    pairs = list(people)
    for position, (display, address) in enumerate(pairs):
        comma = "," if position < len(pairs) - 1 else ""
        _refuse_control(name, display)
        words += [*_phrase(display), f"<{_address(address)}>{comma}"]
    return _line(name, words)


def ids(name: str, values: Iterable[str]) -> bytes:
    """References, In-Reply-To: what is no message id is left out, long threads keep both ends; b"" if none is left."""
    kept = [value for value in values if _MESSAGE_ID.match(value) and value.isascii()]
    if len(kept) > MAX_REFERENCES:
        kept = [kept[0], *kept[1 - MAX_REFERENCES :]]
    return _line(name, kept) if kept else b""


def message_id(value: str) -> bytes:
    """The Message-ID header. Raises HeaderRefused for anything but `<…@…>`."""
    if not _MESSAGE_ID.match(value):
        raise HeaderRefused(f"{value!r} is no Message-ID")
    return _line("Message-ID", [value])


def date(when: datetime) -> bytes:
    """The Date header of an aware time, in its own zone."""
    if when.tzinfo is None:
        raise HeaderRefused("a Date needs a time zone")
    return _line("Date", [format_datetime(when)])


def text_part(subtype: str, text: str) -> bytes:
    """A text/SUBTYPE entity in UTF-8. `text` has \\n line ends."""
    data = text.encode("utf-8", "replace")
    if len(data.translate(None, _HIGH)) * 5 > len(data) * 4:  # mostly ASCII: shorter so, and readable as it is
        encoding, body = b"quoted-printable", binascii.b2a_qp(data, istext=True).replace(b"\n", CRLF)
    else:
        encoding, body = b"base64", _base64(data.replace(b"\n", CRLF))
    head = b"Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n"
    return head % (subtype.encode("ascii"), encoding) + body


def file_part(file: File, *, is_related: bool = False) -> bytes:
    """A file as an entity: for download, or, `is_related`, for an `<img src="cid:…">` beside it."""
    kind = file.media_type.lower()
    # RFC 2046 §5.2.1 and §5.1: these may not be base64, and nobody needs them opened in place.
    if not _MEDIA_TYPE.match(kind) or kind.startswith(("message/", "multipart/")):
        kind = "application/octet-stream"
    name = _short_name(file.name)
    head = _line("Content-Type", [f"{kind};", *_in_quotes("name", name)])
    head += _line("Content-Transfer-Encoding", ["base64"])
    if is_related:
        _refuse_control("Content-ID", file.content_id)
        head += _line("Content-ID", [f"<{file.content_id}>"])
    disposition = "inline;" if is_related else "attachment;"
    words = [disposition, *_in_quotes("filename", name)]
    if not _is_as_written(name):
        # QQ and 163 read the encoded word in quotes, everybody else RFC 2231: both are sent.
        words[-1] += ";"
        words.append(f"filename*=UTF-8''{quote(name, safe='')}")
    return head + _line("Content-Disposition", words) + CRLF + _base64(file.content)


def multipart(subtype: str, parts: Sequence[bytes], seed: str, *, root_type: str = "") -> bytes:
    """An entity of entities. The same `seed` gives the same boundary, so that composing twice gives equal bytes.

    `root_type`: the media type of the first part, which RFC 2387 §3.1 wants told of a multipart/related.
    """
    # "=_" occurs in neither quoted-printable nor base64 (RFC 2045 §6.7), so no part can contain the boundary.
    boundary = b"=_" + hashlib.sha256(f"{subtype}\0{seed}".encode()).hexdigest()[:32].encode()
    told = b'\r\n type="%s";' % root_type.encode("ascii") if root_type else b""
    head = b'Content-Type: multipart/%s;%s\r\n boundary="%s"\r\n\r\n' % (subtype.encode("ascii"), told, boundary)
    opened = b"--" + boundary + CRLF
    return head + b"".join(opened + part + CRLF for part in parts) + b"--" + boundary + b"--" + CRLF


def message(headers: Sequence[bytes], entity: bytes) -> bytes:
    """The whole mail: headers in the order given (empty ones fall out), then the entity."""
    return b"".join(headers) + b"MIME-Version: 1.0\r\n" + entity


def thread_index(opened_at: datetime, desk: str, ticket: int) -> bytes:
    """The 22 octets that Outlook groups a conversation by ([MS-OXOMSG] 2.2.1.3): time of opening, then a GUID.

    Made from the ticket alone, so that every mail about it, after any restart, has the same.
    """
    # The six upper octets of the time stand first (the uppermost is 1 until 2057).
    guid = hashlib.sha256(f"{desk}\0{ticket}".encode()).digest()[:16]
    return _filetime(opened_at).to_bytes(8, "big")[:6] + guid


MAX_THREAD_INDEX = 22 + 5 * 200  # octets; Outlook adds five with each answer


def thread_index_reply(theirs: str, when: datetime, seed: str) -> str:
    """A customer's Thread-Index with the five octets of an answer behind it; "" if his is none.

    [MS-OXOMSG] 2.2.1.3: one bit for the unit, 31 for the time since the conversation began, one octet that makes two
    answers of the same moment differ (made from `seed`, so that composing twice gives equal bytes).
    """
    try:
        header = base64.b64decode("".join(theirs.split()), validate=True)
    except ValueError:
        return ""
    if not 22 <= len(header) <= MAX_THREAD_INDEX or (len(header) - 22) % 5:
        return ""
    begun = int.from_bytes(header[:6], "big") << 16
    passed = max(0, _filetime(when) - begun)
    is_long = passed >= 1 << 49  # 1.7 years: then the unit is coarser
    span = (passed >> (23 if is_long else 18)) & 0x7FFF_FFFF
    child = (is_long << 31 | span).to_bytes(4, "big") + hashlib.sha256(seed.encode()).digest()[:1]
    return base64.b64encode(header + child).decode()


def _filetime(when: datetime) -> int:
    """Units of 100 ns since 1601."""
    return int((when - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000


def encoded_words(text: str) -> list[str]:
    """RFC 2047 encoded words in UTF-8, each at most 75 characters, none cutting a character."""
    words: list[str] = []
    chunk = b""
    for character in text:
        octets = character.encode()
        if len(chunk) + len(octets) > _WORD_BYTES:
            words.append(f"=?utf-8?B?{binascii.b2a_base64(chunk, newline=False).decode()}?=")
            chunk = b""
        chunk += octets
    words.append(f"=?utf-8?B?{binascii.b2a_base64(chunk, newline=False).decode()}?=")
    return words


def _line(name: str, words: Sequence[str]) -> bytes:
    """The one function that writes a header line: folds between words, refuses what is not printable ASCII."""
    if not _HEADER_NAME.match(name):
        raise HeaderRefused(f"{name!r} is no header name")
    lines, line = [], f"{name}:"
    for word in words:
        _refuse_control(name, word)
        if len(line) + 1 + len(word) > MAX_LINE and not line.endswith(":"):
            lines.append(line)
            line = ""
        line += f" {word}"
    lines.append(line)
    try:
        return "\r\n".join(lines).encode("ascii") + CRLF
    except UnicodeEncodeError as error:
        raise HeaderRefused(f"{name}: only ASCII may stand here") from error


def _refuse_control(name: str, value: str) -> None:
    if _FORBIDDEN.search(value):
        raise HeaderRefused(f"{name}: control characters or line separators in {value[:60]!r}")


def _address(value: str) -> str:
    written = mailable(value)
    if not written:
        raise HeaderRefused(f"{value!r} is no mail address")
    return written


def _phrase(display: str) -> list[str]:
    """A display name as words of a header (RFC 5322 §3.2.5)."""
    if not display.strip():
        return []
    if not display.isascii() or "=?" in display:
        return encoded_words(display)
    if _PLAIN_PHRASE.match(display):
        return display.split()
    escaped = display.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']


def _in_quotes(parameter: str, name: str) -> list[str]:
    """`parameter="name"` as words, encoded inside the quotes where the name is not ASCII."""
    _refuse_control(parameter, name)
    if _is_as_written(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return [f'{parameter}="{escaped}"']
    words = encoded_words(name)
    words[0] = f'{parameter}="{words[0]}'
    words[-1] += '"'
    return words


def _is_as_written(name: str) -> bool:
    """ASCII, and nothing in it that a reader would take for an encoded word."""
    return name.isascii() and "=?" not in name


def _short_name(name: str) -> str:
    """A file name of at most MAX_NAME octets that keeps its ending."""
    if len(name.encode("utf-8", "replace")) <= MAX_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 12 or not ending.isascii():
        stem, ending = name, ""
    keep = MAX_NAME - len(ending) - 4
    return stem.encode("utf-8", "replace")[:keep].decode("utf-8", "ignore") + "…" + (f".{ending}" if ending else "")


def _base64(data: bytes) -> bytes:
    # 57 octets make a line of 76; one call a block keeps ten megabytes under a tenth of a second.
    # Step by step, each of whole lines: a step holds the interpreter's lock, and others run in between.
    steps = range(0, len(data), STEP)
    return b"".join(base64.encodebytes(data[start : start + STEP]).replace(b"\n", CRLF) for start in steps)
