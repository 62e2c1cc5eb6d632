"""What an IMAP server says, as values: answers parsed, names and sets of UIDs written (RFC 3501). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from channels.adapter import TemporaryFailure

#: Response codes and words that say: not now. RFC 5530 §3, RFC 9208 §4.2; Microsoft's servers use plain words.
_NOT_NOW = re.compile(
    r"\[(?:UNAVAILABLE|INUSE|LIMIT|OVERQUOTA)\b|throttl|authenticated but not connected|backoff",
    re.IGNORECASE,
)


class RefusedByServer(TemporaryFailure):
    """The server answered NO or BAD; the connection is still good."""

    def __init__(self, verb: str, result: str, lines: Sequence[bytes]) -> None:
        words = bytes(lines[-1]).decode("utf-8", "replace")[:200] if lines else ""
        super().__init__(f"{verb} refused: {result} {words}".strip())
        self.is_passing = bool(_NOT_NOW.search(words))  # nothing is wrong with what was asked for: ask later


class FolderRefused(TemporaryFailure):
    """A folder cannot be opened: deleted, renamed, or not ours. The others may be read all the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """A folder as SELECT shows it."""

    uid_validity: int
    uid_next: int | None  # None where the server does not tell
    exists: int
    is_read_only: bool
    permanent_flags: frozenset[str] | None = None  # in lower case; None where the server does not tell

    def keeps(self, flag: str) -> bool:
        """True where mails may be flagged so for good."""
        known = self.permanent_flags
        return not self.is_read_only and (known is None or flag.lower() in known or "\\*" in known)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What is known of a mail before it is fetched."""

    uid: int
    size: int | None  # octets, as the server says; None where it does not
    received_at: datetime  # INTERNALDATE, aware UTC


_CODE = re.compile(rb"\[(UIDVALIDITY|UIDNEXT) (\d+)\]", re.IGNORECASE)
_PERMANENT = re.compile(rb"\[PERMANENTFLAGS \(([^)]*)\)\]", re.IGNORECASE)
_EXISTS = re.compile(rb"^(\d+) EXISTS$")
_FETCH = re.compile(rb"^\d+ FETCH \(")
_UID = re.compile(rb"[( ]UID (\d+)")
_SIZE = re.compile(rb"[( ]RFC822\.SIZE (\d+)")
_DATE = re.compile(rb'[( ]INTERNALDATE "([^"]{20,32})"')
_SHORT = re.compile(rb'[( ]BODY\[(?:HEADER)?\](?:<\d+>)? (?:NIL|"((?:[^"\\]|\\.)*)")')
_MONTHS = {name: number for number, name in enumerate(
    (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), start=1
)}  # fmt: skip
MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def quoted(text: str) -> str:
    """A quoted string (RFC 3501 §9)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def uid_set(uids: Sequence[int]) -> str:
    """`[3, 4, 5, 9]` as "3:5,9". UIDs ascend."""
    runs: list[list[int]] = []
    for uid in uids:
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in runs)


def since_date(moment: datetime) -> str:
    """A date for SEARCH SINCE: "3-Nov-2026" (RFC 3501 §6.4.4, `date-text`)."""
    return f"{moment.day}-{MONTH_NAMES[moment.month - 1]}-{moment.year}"


def internal_date(text: bytes) -> datetime:
    """INTERNALDATE (`date-time`, "17-Jul-1996 02:44:25 -0700", the day may begin with a space) in UTC.

    Raises ValueError when it is none.
    """
    day, month, rest = text.split(b"-", 2)
    year, clock, zone = rest.split(b" ")
    hour, minute, second = clock.split(b":")
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    local = timezone(-offset if zone[:1] == b"-" else offset)
    if month.lower() not in _MONTHS:
        raise ValueError(f"no month: {month!r}")
    # A leap second is no time that Python knows.
    when = (int(year), _MONTHS[month.lower()], int(day), int(hour), int(minute), min(int(second), 59))
    return datetime(*when, tzinfo=local).astimezone(UTC)


def numbers(lines: Sequence[bytes]) -> list[int]:
    """The UIDs of a SEARCH answer, ascending, each once."""
    return sorted({int(token) for line in lines for token in line.split() if token.isdigit()})


def folder_of(result: str, lines: Sequence[bytes]) -> Folder:
    """What SELECT told. Raises RefusedByServer without a UIDVALIDITY: nothing could be remembered."""
    codes = {name.upper(): int(value) for line in lines for name, value in _CODE.findall(line)}
    if b"UIDVALIDITY" not in codes:
        raise RefusedByServer("SELECT", result, [b"no UIDVALIDITY was told"])
    sizes = [int(found.group(1)) for line in lines if (found := _EXISTS.match(line))]
    flags = [found[1].decode("ascii", "replace").lower() for line in lines if (found := _PERMANENT.search(line))]
    return Folder(
        uid_validity=codes[b"UIDVALIDITY"],
        uid_next=codes.get(b"UIDNEXT"),
        exists=sizes[-1] if sizes else 0,
        is_read_only=lines[-1].upper().startswith(b"[READ-ONLY]"),
        permanent_flags=frozenset(flags[-1].split()) if flags else None,
    )


def _answers(lines: Sequence[bytes | bytearray]) -> Iterator[tuple[bytes, bytes | None]]:
    """Each FETCH answer: its text, its literal. The library gives literals as bytearray, text as bytes."""
    text, literal = b"", None
    for line in lines:
        if isinstance(line, bytearray):
            literal = bytes(line)
        elif _FETCH.match(line):
            if text:
                yield text, literal
            text, literal = line, None
        else:
            text += line
    if text:
        yield text, literal


#: The date of a mail of which the server tells none that makes sense. It is read all the same, and came just now:
#: a promise that ran from here would be broken before anybody could keep it.
UNDATED = datetime(1970, 1, 1, tzinfo=UTC)


def unmarked(uid: int) -> Mark:
    """A mail of which the server tells neither size nor date."""
    return Mark(uid=uid, size=None, received_at=UNDATED)


def marks(lines: Sequence[bytes | bytearray]) -> list[Mark]:
    """Size and date of each mail. Answers without both (flags that others changed) are passed over."""
    found: list[Mark] = []
    for text, _ in _answers(lines):
        uid, size, date = _UID.search(text), _SIZE.search(text), _DATE.search(text)
        if uid and (size or date):
            received_at = _date_if_possible(date[1]) if date else UNDATED
            # No mail has 0 octets: that is a server which does not know.
            found.append(Mark(uid=int(uid[1]), size=(int(size[1]) or None) if size else None, received_at=received_at))
    return found


def _date_if_possible(text: bytes) -> datetime:
    """The date of a mail; UNDATED where a server tells an impossible one: the mail itself is good."""
    try:
        return max(UNDATED, internal_date(text))
    except (ValueError, OverflowError):
        return UNDATED


def literals(lines: Sequence[bytes | bytearray]) -> dict[int, bytes]:
    """UID -> octets. An empty or very short mail may come as NIL or as a quoted string."""
    found: dict[int, bytes] = {}
    for text, literal in _answers(lines):
        octets = literal
        if octets is None and (short := _SHORT.search(text)):
            octets = re.sub(rb"\\(.)", rb"\1", short[1] or b"")
            text = text.replace(short[0], b" ", 1)
        uid = _UID.search(text)
        if uid and octets is not None:
            found[int(uid[1])] = octets
    return found
