"""Header fields: octets to names and values, encoded words, parameters, addresses, dates.

Everything here is linear in its input, takes any octets and raises nothing. Values stay octets until somebody
asks for them as text. Sources: RFC 5322 (syntax), RFC 2047 (encoded words), RFC 2231 (parameters).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from channels.charsets import decode

MAX_BLOCK = 64 * 1024  # octets of all headers of one part
MAX_HEADER = 8 * 1024  # octets of one header, unfolded
MAX_ADDRESSES = 200  # of one header
MAX_SPEC = 320  # characters of one address

_FOLD = re.compile(rb"(?<!\n)\n+(?=[ \t])")  # tried once a run: else 60,000 line feeds take 10 seconds
_NAME = re.compile(rb"[!-9;-~]{1,100}[ \t]*:")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


class Headers:
    """The header fields of one part, in order: (lower-case name, unfolded value)."""

    __slots__ = ("_index", "defects", "fields")

    def __init__(self, fields: tuple[tuple[bytes, bytes], ...], defects: tuple[str, ...] = ()) -> None:
        self.fields = fields
        self.defects = defects
        self._index: dict[bytes, list[bytes]] = {}
        for name, value in fields:
            self._index.setdefault(name, []).append(value)

    def first(self, name: bytes) -> bytes:
        """The topmost value of a header (lower-case name), b"" if there is none."""
        values = self._index.get(name)
        return values[0] if values else b""

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header, topmost first."""
        return self._index.get(name, [])

    def has(self, name: bytes) -> bool:
        return name in self._index


def split_head(octets: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the header block of a part ends and where its body begins. Both are `end` without a blank line."""
    if octets.startswith(b"\n", start, end):
        return start, start + 1
    if octets.startswith(b"\r\n", start, end):
        return start, start + 2
    # The form that the first line has is looked for first: the other search then ends where this one found.
    first = octets.find(b"\n", start, end)
    if first > start and octets[first - 1] == 0x0D:
        long = octets.find(b"\n\r\n", first, end)
        short = octets.find(b"\n\n", first, end if long < 0 else long + 1)
        long = long if short < 0 else -1
    else:
        short = octets.find(b"\n\n", start, end)
        long = octets.find(b"\n\r\n", start, end if short < 0 else short)
    if long >= 0:
        return long + 1, long + 3
    if short >= 0:
        return short + 1, short + 2
    return end, end


def read_block(block: bytes) -> tuple[Headers, int]:
    """The fields of a header block, and where in it something begins that is no header: a body without a blank line.

    The place is an offset into the octets as they were given; -1 where all of them are headers.
    """
    defects: list[str] = []
    given = block
    if len(block) > MAX_BLOCK:
        defects.append(f"headers of {len(block)} octets: only the first {MAX_BLOCK} were read")
        block = block[:MAX_BLOCK]
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = _FOLD.sub(b"", block).split(b"\n")
    fields: list[tuple[bytes, bytes]] = []
    stray: list[int] = []
    for number, line in enumerate(lines):
        if _NAME.match(line):
            name, _, value = line.partition(b":")
            if len(value) > MAX_HEADER:
                defects.append(f"header {name[:40].decode('ascii', 'replace')} of {len(value)} octets was cut")
                value = value[:MAX_HEADER]
            fields.append((name.rstrip().lower(), value.strip()))
            last = number
        elif line.strip() and not (number == 0 and line.startswith((b"From ", b">From "))):
            stray.append(number)
    rest = -1
    if stray:
        defects.append("a line among the headers is no header")
        after = [n for n in stray if not fields or n > last]
        if after:
            rest = _start_of_line(given, after[0])
    return Headers(tuple(fields), tuple(defects)), rest


_LINE_ENDS = re.compile(rb"(?:\r\n|\r|\n)+")


def _start_of_line(block: bytes, number: int) -> int:
    """Where the unfolded line of that number begins, whatever ends the lines."""
    seen = 0
    for ends in _LINE_ENDS.finditer(block):
        if block[ends.end() : ends.end() + 1] in (b" ", b"\t"):
            continue  # folded
        here = [one.end() for one in re.finditer(rb"\r\n|\r|\n", ends[0])]
        if seen + len(here) >= number > 0:
            return ends.start() + here[number - seen - 1]
        seen += len(here)
    return 0 if number == 0 else len(block)


# --- text -----------------------------------------------------------------------------------------------------

# The charset, an optional language (RFC 2231 §5), the encoding, the octets. Spaces within are wrong but common.
# A question mark within, and an end that was cut off, are wrong too.
_WORD = re.compile(rb"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,20})?\?([bBqQ])\?([^?]*(?:\?(?!=)[^?]*)*)(?:\?=|\Z)")


@lru_cache(maxsize=64)  # of one mail: From, Date and the ids are asked for several times
def text(value: bytes) -> str:
    """A header value as people read it, on one line."""
    if b"=?" not in value:
        if value.isascii() and b"\x1b" not in value:
            return one_line(value.decode("ascii"))
        return one_line(decode(value))
    out: list[str] = []
    pending: list[tuple[bytes, bytes]] = []
    label, position = b"", 0
    for word in _WORD.finditer(value):
        between = value[position : word.start()]
        if not word[0].endswith(b"?=") and len(word[3].split()) != 1:
            break  # not cut off: never begun
        charset = word[1].lower()
        # RFC 2047 §6.2: white space between two words is not shown. Words of one charset are joined before
        # decoding, because webmailers cut in the middle of a character.
        if position == 0 or between.strip() or charset != label:
            if pending:
                out.append(_joined_words(pending, label))
                pending = []
            if position == 0 or between.strip():
                out.append(decode(between))
        pending.append((word[2].lower(), word[3]))
        label, position = charset, word.end()
    if pending:
        out.append(_joined_words(pending, label))
    out.append(decode(value[position:]))
    return one_line("".join(out))


def _joined_words(words: list[tuple[bytes, bytes]], label: bytes) -> str:
    """Encoded words that follow each other: (encoding, body) of each, and the charset of all."""
    charset = label.decode("ascii", "replace")
    shown = decode(b"".join(_word_octets(*word) for word in words), charset)
    if len(words) > 1 and "\ufffd" in shown and all(encoding == b"b" for encoding, _ in words):
        # Some cut the base64 itself, wherever the line was full.
        joined = decode(base64_octets(b"".join(body for _, body in words)), charset)
        return shown if "\ufffd" in joined else joined
    return shown


def _word_octets(encoding: bytes, body: bytes) -> bytes:
    if encoding == b"b":
        return base64_octets(body)
    return binascii.a2b_qp(body.replace(b"_", b" "))


_BLANK = b" \t\r\n"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FOREIGN = bytes(set(range(256)) - set(_BASE64) - set(b"="))
STEP = 1024 * 1024  # octets of base64 decoded at a time
MAX_STRETCHES = 100  # of base64 that a gateway joined


def base64_octets(body: bytes) -> bytes:
    """Decoded base64, as much of it as is whole; foreign octets are passed over."""
    padding = body.find(b"=")
    if padding < 0 or not body[padding:].strip(b"= \t\r\n"):
        return _base64(body)
    # The codec stops behind the first padding. What follows it may be a further stretch, or anybody's footer.
    stretches = [one for one in body.translate(None, _BLANK).split(b"=") if one]
    if len(stretches) > MAX_STRETCHES or any(one.translate(None, _BASE64) for one in stretches):
        return _base64(body)
    return b"".join(map(_base64, stretches))


def _base64(body: bytes) -> bytes:
    if len(body) > STEP:
        return _base64_by_steps(body)
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        pass
    for padding in (b"==", b"A=="):  # a cut quantum: two characters, or one that tells nothing
        try:
            octets = binascii.a2b_base64(body + padding)
        except binascii.Error:
            continue
        return octets if padding == b"==" else octets[:-1]
    return b""


def _base64_by_steps(body: bytes) -> bytes:
    """The same for a large file: no step holds the interpreter's lock for long, so that others run in between."""
    out, rest = [], b""
    for start in range(0, len(body), STEP):
        quanta = rest + body[start : start + STEP].translate(None, _FOREIGN)
        whole = len(quanta) & ~3
        out.append(_base64(quanta[:whole]))
        rest = quanta[whole:]
    return b"".join((*out, _base64(rest)))


def one_line(value: str) -> str:
    """A value without control characters and line ends."""
    if value.isascii() and value.isprintable():
        return value.strip()
    return _CONTROLS.sub(lambda run: " " if set(run[0]) & set("\t\n\r") else "", value).strip()


# --- parameters -----------------------------------------------------------------------------------------------

_PARAMETER = re.compile(rb';\s*([^\s=;"*]{1,60})(\*\d{1,3})?(\*)?\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))', re.S)
_ESCAPED = re.compile(rb"\\(.)", re.S)
MAX_PARAMETERS = 100


@lru_cache(maxsize=512)
def parameters(value: bytes) -> tuple[str, dict[str, str]]:
    """A value such as `text/plain; charset=utf-8` as its lower-case head and its parameters, decoded."""
    head, _, _ = value.partition(b";")
    if b"=" in head and len(words := head.split(None, 1)) == 2:  # the first semicolon was forgotten
        head = words[0]
        value = b"%b;%b" % (head, value.lstrip()[len(head) :])
    pieces: dict[str, list[tuple[int, bool, bytes]]] = {}
    for count, match in enumerate(_PARAMETER.finditer(value)):
        if count >= MAX_PARAMETERS:
            break
        name = match[1].decode("ascii", "replace").lower()
        body = _ESCAPED.sub(rb"\1", match[4]) if match[4] is not None else match[5].strip()
        if match[4] is not None and b"\\" in match[4] and b"\\\\" not in match[4] and b'\\"' not in match[4]:
            body = match[4]  # a Windows path, not an escape
        number = int(match[2][1:]) if match[2] else -1
        pieces.setdefault(name, []).append((number, bool(match[3]), body))
    return one_line(head.strip().lower().decode("ascii", "replace")), {n: _join(p) for n, p in pieces.items()}


def _join(pieces: list[tuple[int, bool, bytes]]) -> str:
    """One parameter: the RFC 2231 forms before the plain one, which older readers were meant to take."""
    extended = [(max(number, 0), is_encoded, body) for number, is_encoded, body in pieces if number >= 0 or is_encoded]
    if not extended:
        return _plain_parameter(pieces[0][2])
    extended.sort(key=lambda piece: piece[0])
    label, octets = "", b""
    for number, is_encoded, body in extended:
        if is_encoded:
            if number == 0 and body.count(b"'") >= 2:
                charset, _, body = body.split(b"'", 2)
                label = charset.decode("ascii", "replace")
            body = unquote_to_bytes(body)
        octets += body
    if not label and b"=?" in octets:  # both ways at once: seen from Chinese webmailers
        return text(octets)
    return one_line(decode(octets, label))


_PERCENT = re.compile(rb"%[89A-Fa-f][0-9A-Fa-f]")
_LABELLED = re.compile(rb"([A-Za-z0-9_-]{3,20})'[A-Za-z-]{0,10}'(.*%.*)", re.S)


def _plain_parameter(body: bytes) -> str:
    """A parameter without a star, which some write as if it had one (`filename=utf-8''%E7%A8%85.pdf`)."""
    if _PERCENT.search(body):
        labelled = _LABELLED.fullmatch(body)
        octets = unquote_to_bytes(labelled[2] if labelled else body)
        words = one_line(decode(octets, labelled[1].decode("ascii") if labelled else ""))
        # Unlabelled Latin is as likely a percent sign that was meant.
        if "\ufffd" not in words and (labelled or any(c > "\u02ff" for c in words)):
            return words
    return text(body)


# --- addresses ------------------------------------------------------------------------------------------------

_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|<([^<>]*)>?|([,;:()])|([^"<,;:()]+)|(.)', re.S)
# Once a quote has been found open, none is looked for again: looking at each would be quadratic.
_TOKEN_UNQUOTED = re.compile(rb'(?!)()|<([^<>]*)>?|([,;:()])|([^"<,;:()]+)|(.)', re.S)
_SPEC = re.compile(r"(?<![^\s@<>,;:\"()])[^\s@<>,;:\"()]+@[^\s@<>,;:\"()]+")  # tried once a word
_WIDE_ASCII = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3002: 0x2E}


@dataclass(slots=True)
class _Mailbox:
    """One mailbox while it is being read."""

    words: list[bytes]
    comments: list[bytes]
    specs: list[bytes]  # what stood between angle brackets


def addresses(value: bytes) -> list[tuple[str, str]]:
    """(display name, lower-case address) of each mailbox of a header; groups are opened.

    The address is the one in angle brackets, never one that the display name contains. Two pairs of angle
    brackets, or two addresses without a comma between, give two, so that whoever counts them is warned.
    """
    found: list[tuple[str, str]] = []
    for box in _mailboxes(value):
        if box.specs:
            name = text(b" ".join(box.words))
            found.extend((name, spec) for spec in map(_address, box.specs) if spec)
        elif box.words:
            specs, rest = _bare(b" ".join(box.words))
            name = text(b" ".join(box.comments)) if box.comments else rest
            found.extend((name, spec) for spec in specs)
        if len(found) >= MAX_ADDRESSES:
            break
    return found


def _tokens(value: bytes) -> Iterator[re.Match[bytes]]:
    pattern, position = _TOKEN, 0
    while token := pattern.match(value, position):
        position = token.end()
        if token[5] == b'"':
            pattern = _TOKEN_UNQUOTED
        yield token


def _mailboxes(value: bytes) -> Iterator[_Mailbox]:
    box = _Mailbox([], [], [])
    depth = 0
    for token in _tokens(value):
        quoted, angle, mark, plain, _ = token.groups()
        if depth and mark is not None and value.endswith(b"\\", 0, token.start()):
            box.comments.append(mark)  # RFC 5322 §3.2.1: a quoted pair
        elif depth or mark in (b"(", b")"):
            depth = max(0, depth + (mark == b"(") - (mark == b")"))
            if mark not in (b"(", b")"):
                box.comments.append(token[0].strip())
        elif quoted is not None:
            is_local_part = value.startswith(b"@", token.end())
            box.words.append(token[0] if is_local_part else _ESCAPED.sub(rb"\1", quoted))
        elif angle is not None:
            box.specs.append(angle)
        elif mark == b":":
            # The name of a group (RFC 5322 §3.4) goes; a colon elsewhere is a wrong address and goes too.
            box = _Mailbox([], [], [])
        elif mark is not None:
            yield box
            box = _Mailbox([], [], [])
        elif plain is not None and (word := plain.strip()):
            box.words.append(word)
    yield box


_COMMENT = re.compile(r"\([^()]*\)")
_AROUND = re.compile(r" ?([.@]) ?")
_USUAL = re.compile(rb"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,255}")
_QUOTED_LOCAL = re.compile(r'("(?:[^"\\]|\\.)*")\s*@\s*([^\s"<>]+)', re.S)
_PLAIN_LOCAL = re.compile(r'"([A-Za-z0-9!#$%&\'*+/=?^_`{|}~.-]+)"@', re.S)


def _address(octets: bytes) -> str:
    """The address between angle brackets in canonical form: half-width, lower case, no route; "" if there is none."""
    specs, _ = _bare(octets)
    return specs[-1] if specs else ""


def _bare(octets: bytes) -> tuple[list[str], str]:
    """The addresses in what has no angle brackets (or stood between them), and the other words.

    RFC 5322 §4.4 lets comments and white space stand around the dots and the at sign.
    """
    if _USUAL.fullmatch(octets):
        return [octets.decode("ascii").lower()], ""
    line = decode(octets).translate(_WIDE_ASCII)
    if "@" not in line:
        return [], ""
    if '"' in line and (quoted := _QUOTED_LOCAL.search(line)):
        whole = _PLAIN_LOCAL.sub(r"\1@", f"{quoted[1]}@{quoted[2]}")
        return ([one_line(whole).lower()] if len(whole) <= MAX_SPEC else []), ""
    for _ in range(4):  # comments within comments
        if "(" not in line:
            break
        line = _COMMENT.sub(" ", line)
    words = _AROUND.sub(r"\1", " ".join(line.split())).split()
    specs = [spec for spec in map(_canonical, words) if spec]
    rest = b"" if len(words) == len(specs) else b" ".join(w for w in octets.split() if b"@" not in w)
    return specs, text(rest)


def _canonical(spec: str) -> str:
    """One word as an address; "" if it is none."""
    if "@" not in spec:
        return ""
    spec = spec.strip("<>[]'").rpartition(":")[2]  # a source route, or a stray "mailto:"
    spec = _CONTROLS.sub("", spec).lower()
    local, _, domain = spec.rpartition("@")
    return spec if local and domain and len(spec) <= MAX_SPEC else ""


def address_within(value: str) -> str:
    """The first thing in a text that looks like an address, lower case; "" if nothing does."""
    match = _SPEC.search(value.translate(_WIDE_ASCII))
    return match[0].strip("'.").lower() if match else ""


_MESSAGE_ID = re.compile(r"<[^<>\s]{1,500}>")
MAX_REFERENCES = 200


def message_ids(value: bytes) -> tuple[str, ...]:
    """The ids of Message-ID, In-Reply-To or References, with angle brackets, each once, the newest 200."""
    if not value:
        return ()
    line = one_line(decode(value))
    ids = _MESSAGE_ID.findall(line) or _MESSAGE_ID.findall(re.sub(r"\s+", "", _COMMENT.sub("", line)))
    if not ids and (bare := address_within(line)):
        ids = [f"<{line.strip()}>"] if _MESSAGE_ID.fullmatch(f"<{line.strip()}>") else [f"<{bare}>"]
    return tuple(dict.fromkeys(ids))[-MAX_REFERENCES:]


# --- dates ----------------------------------------------------------------------------------------------------

_DATE = re.compile(
    r"(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]*\.?[\s-]+(\d{2,4})[\s,]+(\d{1,2})\s?:\s?(\d{1,2})(?:\s?:\s?(\d{1,2}))?"
    r"(?:\.\d+)?\s*(?:([+-])\s?(\d{2}):?(\d{2})|([A-Za-z]{1,4}))?"
)
#: As programs write it that know no RFC: ISO 8601, and C's asctime. Turned into the usual order.
_ISO = re.compile(r"\s*(\d{4})-(\d\d)-(\d\d)[T ]+(\d\d:\d\d.*)", re.S)
_ASCTIME = re.compile(
    r"(?:[A-Za-z]{3},? +)?([A-Za-z]{3}) +(\d{1,2}),? +(\d\d:\d\d(?::\d\d)?) +(?:([A-Z]{3,4}) +)?(\d{4})"
)
_MONTH_NAMES = "jan feb mar apr may jun jul aug sep oct nov dec"
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES.split(), 1)}
_ZONES = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "jst": 9, "hkt": 8}


def _usual_order(line: str) -> str:
    if iso := _ISO.match(line):
        month = _MONTH_NAMES.split()[(int(iso[2]) - 1) % 12]
        return f"{iso[3]} {month} {iso[1]} {iso[4]}"
    if asctime := _ASCTIME.match(line.strip()):
        return f"{asctime[2]} {asctime[1]} {asctime[5]} {asctime[3]} {asctime[4] or ''}"
    return line


def date(value: bytes) -> datetime | None:
    """A Date header as an aware moment in UTC; None if it tells none. Obsolete zones as RFC 5322 §4.3 says."""
    line = value[:200].decode("ascii", "replace")
    match = _DATE.search(_usual_order(" ".join(_COMMENT.sub(" ", line).split()) if b"(" in value[:200] else line))
    if match is None or (month := _MONTHS.get(match[2].lower())) is None:
        return None
    year = int(match[3])
    if len(match[3]) < 4:
        year += 2000 if year < 50 else 1900
    if match[7]:
        offset = timedelta(hours=int(match[8]), minutes=int(match[9])) * (-1 if match[7] == "-" else 1)
    else:
        offset = timedelta(hours=_ZONES.get((match[10] or "").lower(), 0))
    try:
        moment = datetime(
            year,
            month,
            int(match[1]),
            int(match[4]),
            int(match[5]),
            min(int(match[6] or 0), 59),  # a leap second
            tzinfo=timezone(offset),
        )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
