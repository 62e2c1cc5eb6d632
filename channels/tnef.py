"""TNEF (winmail.dat): the words and files of a mail that Outlook wrapped up in a format of its own.

Any octets are taken, nothing is raised, and the cost is linear: a length is checked before it is believed, and what
lies beyond a limit leaves the wrapping to be passed on whole. The library for this format is only the oracle of the
tests: it copies what is left at each record (2,000 small ones before 20 MB cost 3 s), raises on unknown code pages
and leaves compressed text closed. Sources: [MS-OXTNEF], [MS-OXCMSG], [MS-OXPROPS].
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from channels.charsets import decode
from channels.rtf import rtf_html, rtf_octets, rtf_text

MEDIA_TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
MAX_RECORDS = 5000
MAX_FILES = 200
MAX_PROPERTIES = 5000  # of one record
MAX_DEPTH = 3  # mails within mails

_SIGNATURE = struct.pack("<I", 0x223E9F78)
_RECORD = struct.Struct("<BHHI")  # level, attribute, type, length
_BODY, _MAPI, _CODE_PAGE = 0x800C, 0x9003, 0x9007  # of the mail
_BEGIN, _TITLE, _DATA, _ATTACHMENT = 0x9002, 0x8010, 0x800F, 0x9005  # of a file

_FIXED = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}  # octets of a property's type
_VARIABLE = frozenset({13, 30, 31, 258})  # object, octets of text, UTF-16, octets
_UNICODE = 31
_MULTIPLE, _NAMED = 0x1000, 0x8000
_P_SUBJECT, _P_BODY, _P_RTF, _P_HTML, _P_CODE_PAGE = 0x0037, 0x1000, 0x1009, 0x1013, 0x3FDE
_P_DISPLAY_NAME, _P_OBJECT, _P_NAME, _P_LONG_NAME = 0x3001, 0x3701, 0x3704, 0x3707
_P_MEDIA_TYPE, _P_CONTENT_ID = 0x370E, 0x3712
_IMESSAGE = bytes.fromhex("0703020000000000c000000000000046")  # the object is a mail


@dataclass(slots=True)
class Inner:
    """One file, or a mail attached as an object."""

    name: str = ""
    octets: bytes = b""
    media_type: str = ""
    content_id: str = ""
    mail: Opened | None = None


@dataclass(slots=True)
class Opened:
    """What was wrapped up."""

    subject: str = ""
    text: str = ""
    html: str = ""
    inner: list[Inner] = field(default_factory=list)
    is_whole: bool = True  # nothing was left closed: the wrapping need not be shown as well

    def files(self, path: str, depth: int = 0) -> Iterator[tuple[str, Inner]]:
        """Every file with its path: "2/1" is the first of part 2, "2/3/1" the first of the mail attached third."""
        for number, one in enumerate(self.inner, 1):
            if one.mail is None:
                yield f"{path}/{number}", one
            elif depth < MAX_DEPTH:
                yield from one.mail.files(f"{path}/{number}", depth + 1)

    def mails(self, depth: int = 0) -> Iterator[Opened]:
        """The mails attached to it, and those attached to them."""
        for one in self.inner:
            if one.mail is not None and depth < MAX_DEPTH:
                yield one.mail
                yield from one.mail.mails(depth + 1)


def unwrap(octets: bytes, depth: int = 0) -> Opened | None:
    """The contents; None for what is no TNEF."""
    if not octets.startswith(_SIGNATURE):
        return None
    opened = Opened()
    code_page, rtf = 0, b""
    for attribute, data in _records(octets, opened):
        if attribute == _CODE_PAGE and len(data) >= 4:
            code_page = int.from_bytes(data[:4], "little")
        elif attribute == _BODY:
            opened.text = opened.text or _text(data, code_page)
        elif attribute == _MAPI:
            rtf = _of_mail(opened, data, code_page) or rtf
        elif attribute == _BEGIN:
            if len(opened.inner) >= MAX_FILES:
                opened.is_whole = False
                break
            opened.inner.append(Inner())
        elif opened.inner:
            _of_file(opened, opened.inner[-1], attribute, data, code_page, depth)
    if rtf and not opened.html and (plain := rtf_octets(rtf)):
        opened.html = rtf_html(plain)
        opened.text = opened.text or ("" if opened.html else rtf_text(plain))
    opened.inner = [one for one in opened.inner if one.octets or one.mail or one.name]
    return opened


def _records(octets: bytes, opened: Opened) -> Iterator[tuple[int, bytes]]:
    """Each attribute and its data; where a length lies beyond the end, what is there, and no more."""
    position = 6  # the signature and a key that nothing needs
    for _ in range(MAX_RECORDS):
        if position + _RECORD.size > len(octets):
            return
        _, attribute, _, length = _RECORD.unpack_from(octets, position)
        start = position + _RECORD.size
        if start + length > len(octets):
            opened.is_whole = False
        yield attribute, octets[start : start + length]
        position = start + length + 2  # a checksum
    opened.is_whole = False


def _of_mail(opened: Opened, data: bytes, code_page: int) -> bytes:
    """Take up the mail's properties; its compressed rich text is returned."""
    found = {name: (kind, values[0]) for name, kind, values in _properties(data) if values}
    page = code_page
    if (internet := found.get(_P_CODE_PAGE)) is not None:
        page = int.from_bytes(internet[1], "little")
    if (subject := found.get(_P_SUBJECT)) is not None:
        opened.subject = _string(*subject, code_page)
    if (body := found.get(_P_BODY)) is not None:
        opened.text = _string(*body, code_page)
    if (html := found.get(_P_HTML)) is not None:
        opened.html = _string(*html, page)
    return found.get(_P_RTF, (0, b""))[1]


def _of_file(opened: Opened, inner: Inner, attribute: int, data: bytes, code_page: int, depth: int) -> None:
    if attribute == _DATA:
        inner.octets = data
    elif attribute == _TITLE:
        inner.name = inner.name or _text(data, code_page)
    elif attribute == _ATTACHMENT:
        found = {name: (kind, values[0]) for name, kind, values in _properties(data) if values}
        for name in (_P_LONG_NAME, _P_NAME, _P_DISPLAY_NAME):
            if name in found and (written := _string(*found[name], code_page)):
                inner.name = written
                break
        if _P_MEDIA_TYPE in found:
            inner.media_type = _string(*found[_P_MEDIA_TYPE], code_page).lower()
        if _P_CONTENT_ID in found:
            inner.content_id = _string(*found[_P_CONTENT_ID], code_page).strip("<> ")
        if (thing := found.get(_P_OBJECT, (0, b""))[1]) and not inner.octets:
            if thing.startswith(_IMESSAGE) and depth < MAX_DEPTH:
                inner.mail = unwrap(thing[len(_IMESSAGE) :], depth + 1)
            if inner.mail is None:
                inner.octets = thing[16:]  # behind the interface's identity
                opened.is_whole = opened.is_whole and not thing.startswith(_IMESSAGE)
            else:
                opened.is_whole = opened.is_whole and inner.mail.is_whole


def _properties(data: bytes) -> Iterator[tuple[int, int, list[bytes]]]:
    """(identity, type, values) of each MAPI property; ends at the first that makes no sense."""
    count = min(_number(data, 0), MAX_PROPERTIES)
    position = 4
    for _ in range(count):
        if position + 4 > len(data):
            return
        kind, name = struct.unpack_from("<HH", data, position)
        position += 4
        if name & _NAMED:
            is_string = _number(data, position + 16) != 0
            length = _padded(_number(data, position + 20)) if is_string else 0
            position += 24 + length
        is_multiple, kind = bool(kind & _MULTIPLE), kind & ~_MULTIPLE
        amount = 1
        if is_multiple or kind in _VARIABLE:
            amount = _number(data, position)
            position += 4
        if kind in _FIXED:
            size = _FIXED[kind]
            yield name, kind, [data[position : position + size]] if amount else []
            position += size * amount
        elif kind in _VARIABLE:
            values: list[bytes] = []
            for _ in range(min(amount, MAX_PROPERTIES)):
                if position + 4 > len(data):
                    break
                length = _number(data, position)
                values.append(data[position + 4 : position + 4 + length])
                position += 4 + _padded(length)
            yield name, kind, values
        else:
            return


def _number(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 4], "little")


def _padded(length: int) -> int:
    return (length + 3) & ~3


def _string(kind: int, data: bytes, code_page: int) -> str:
    if kind == _UNICODE:
        return data.decode("utf-16-le", "replace").rstrip("\0")
    return _text(data, code_page)


def _text(data: bytes, code_page: int) -> str:
    return decode(data.rstrip(b"\0"), code_page_label(code_page))


def code_page_label(number: int) -> str:
    """The charset of a code page of Windows; "" for none."""
    if number in (0, 20127):
        return ""
    named = {65001: "utf-8", 54936: "gb18030", 932: "windows-31j", 949: "cp949", 50220: "iso-2022-jp", 28591: "latin1"}
    return named.get(number) or f"windows-{number}"
