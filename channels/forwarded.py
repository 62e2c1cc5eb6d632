"""Forwarded: what a mail passes on, read from the block of headers that its program writes above the other's words.

Evidence of nothing: anybody can type such a block. It is read for agents, whose own mail is proven; what is doubtful
in it is left empty, and they are asked. Line by line, linear, bounded; the words of `quote_words` in every language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from channels import quote_heads
from channels.block_dates import Reading, readings
from channels.flowed import tidy
from channels.headers import one_line
from channels.message import mailable
from channels.quote_heads import MAX_LINE, Head, is_quoted
from channels.quote_words import FORWARD_SUBJECT

MAX_HEADERS = 24  # lines that the headers of one block may take
MAX_VALUE = 2000  # characters of one of them, unwrapped
MAX_WRAPPED = 8  # lines that one may be wrapped into
MAX_NAME = 200  # characters
MAX_PEOPLE = 50  # of To and of Cc
MAX_BLOCKS = 20  # that are counted
MAX_AGE = timedelta(days=60)  # an older reading of a date is not thought of where there is a newer one
AHEAD = timedelta(days=1)  # that much later than the mail around it a mail may seem to be: clocks and zones differ

_ADDRESS = re.compile(r"(?<![\w.+%=&'-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w.-]{1,253}")
_BEFORE_ADDRESS = re.compile(r"[<\[(（＜]")
_AROUND = " \t*\"'“”|;；,，:"
#: Further headers, which tell nothing that counts.
_OTHER_LABELS = frozenset(
    {"reply-to", "bcc", "attachments", "attachment", "importance", "priority", "sensitivity", "resent-from", "sender"}
    | {"附件", "密件副本", "密送", "暗送", "重要性", "優先順序", "优先级", "敏感度", "message-id"}
    | {"回复", "回覆", "答复", "答覆", "答覆至", "回复至", "答覆地址", "回覆地址", "回复地址"}
)
_LABEL = re.compile(r"[\s>*|]*([^:：|\s][^:：|]{0,22}?)[\s*]*[:：|]")
#: One of these stands in every line that says that a mail is passed on.
_HINTS = (
    *("orward", "ORWARD", "转发", "轉寄", "轉發", "転送", "eitergeleitet", "début du message", "ransféré"),
    *("ncaminhad", "reenviado", "Reenviado", "noltrat"),
)
_RULE = re.compile(r"\s*[_\-—=*]{3,200}\s*")
_UNMARK = re.compile(r" ?> ?")
_OFFSET = re.compile(rb"([+-])(\d\d)(\d\d)\s*(?:\(|$)")


@dataclass(frozen=True, slots=True)
class Block:
    """A mail that was passed on as words."""

    above: str  # words of whoever passes it on
    name: str  # of its sender, as it was shown
    sender: str  # his address, lower case; "" if there is none, or not just one
    to: tuple[tuple[str, str], ...]  # (name, address)
    cc: tuple[tuple[str, str], ...]
    subject: str
    date: str  # as it was written
    text: str
    count: int  # mails passed on


def says_forwarded(subject: str) -> bool:
    """Whether a subject says that its mail passes another on."""
    return FORWARD_SUBJECT.match(subject) is not None


def read(text: str, subject: str) -> Block | None:
    """The first mail that this text passes on; None where it looks like no forward.

    A forward whose subject alone says so has no sender, and all of its words.
    """
    is_told = says_forwarded(subject)
    if not is_told and not any(hint in text for hint in _HINTS):
        return None  # hardly any mail goes further: looking for heads costs
    seen = quote_heads.visible(text)
    head = quote_heads.find(seen)
    if head is None or head.is_attribution or not (head.is_forward or is_told):
        if not is_told:
            return None
        return Block("", "", "", (), (), _bare_subject(subject), "", text.strip("\n"), count=1)
    return _block(text.split("\n"), seen, head, subject)


def _block(lines: list[str], seen: list[str], head: Head, subject: str) -> Block:
    above = _above(lines, seen, head.start)
    lines, seen, below = _unmarked(lines, seen, head.start)
    start = head.start
    while start < len(seen) and quote_heads.separator(seen[start][: MAX_LINE + 1]):
        start += 1
    found, end = _headers(seen, start)
    name, sender = _person(found.get("from", ""))
    words = "\n".join(lines[end:]).strip("\n")
    others = sum(map(_is_forward, seen[end:]))
    return Block(
        above="\n\n".join(filter(None, (above, below))),
        name=name,
        sender=sender,
        to=_people(found.get("to", "")),
        cc=_people(found.get("cc", "")),
        subject=one_line(found.get("subject", "").strip(" *|\t")) or _bare_subject(subject),
        date=found.get("date", ""),
        text=tidy(words),
        count=min(1 + others, MAX_BLOCKS),
    )


def _above(lines: list[str], seen: list[str], start: int) -> str:
    """The words above, without the line that some programs draw there as a picture."""
    end = start
    while end and (
        not seen[end - 1].strip() or quote_heads.is_bare_separator(seen[end - 1]) or _RULE.fullmatch(seen[end - 1])
    ):
        end -= 1
    return "\n".join(lines[:end]).strip()


def _is_forward(line: str) -> bool:
    return len(line) <= MAX_LINE and quote_heads.separator(line) == "forward"


def _unmarked(lines: list[str], seen: list[str], start: int) -> tuple[list[str], list[str], str]:
    """The lines without the marks of quoting that some programs put before a mail passed on; and what stands below."""
    if not is_quoted(next((line for line in seen[start:] if line.strip()), "")) and not _is_marked_below(seen, start):
        return lines, seen, ""
    end = max((n for n in range(start, len(seen)) if is_quoted(seen[n])), default=start) + 1
    below = "\n".join(lines[end:]).strip()
    lines = [*lines[:start], *(_UNMARK.sub("", line, count=1) for line in lines[start:end])]
    seen = [*seen[:start], *(_UNMARK.sub("", line, count=1) for line in seen[start:end])]
    return lines, seen, below


def _is_marked_below(seen: list[str], start: int) -> bool:
    """Apple's "Begin forwarded message:" stands before marked lines without a mark of its own."""
    following = next((line for line in seen[start + 1 :] if line.strip()), "")
    return is_quoted(following)


# --- headers --------------------------------------------------------------------------------------------------------


def _headers(seen: list[str], start: int) -> tuple[dict[str, str], int]:
    """The headers that stand from a line on, by kind, unwrapped; and the first line of what was written below them."""
    found: dict[str, str] = {}
    number = end = start
    latest = ""
    wrapped = 0
    while number < len(seen) and number - start < MAX_HEADERS:
        line = seen[number]
        kind, value = quote_heads.label(line)
        if not line.strip():
            if found and not _goes_on(seen, number, found):
                break
        elif kind and kind not in found:
            found[kind] = value[:MAX_VALUE].strip()
            latest, wrapped, end = kind, 0, number + 1
        elif _is_other(line) and found:
            latest, end = "", number + 1
        elif latest and wrapped < MAX_WRAPPED and _is_wrapped(seen, number, latest, found):
            found[latest] = f"{found[latest]} {line.strip()}"[:MAX_VALUE]
            wrapped, end = wrapped + 1, number + 1
        else:
            break
        number += 1
    return found, end


def _is_other(line: str) -> bool:
    name = _LABEL.match(line[:MAX_LINE])
    return name is not None and "".join(name[1].split()).lower() in _OTHER_LABELS


def _goes_on(seen: list[str], blank: int, found: dict[str, str]) -> bool:
    """A page turned into text may have a blank line between two headers; the words below begin after one as well."""
    if {"from", "date", "to", "subject"} <= {*found}:
        return False
    below = next((line for line in seen[blank : blank + 3] if line.strip()), "")
    kind, _ = quote_heads.label(below)
    return bool(kind) and kind not in found


def _is_wrapped(seen: list[str], number: int, latest: str, found: dict[str, str]) -> bool:
    """Whether a line goes on with the header above: a list of people does, or another header comes soon after it."""
    line = seen[number]
    if latest in ("to", "cc") and ("@" in line or line[:1].isspace()):
        return len(line) <= MAX_LINE
    for following in seen[number + 1 : number + 3]:
        if not following.strip():
            return False
        kind, _ = quote_heads.label(following)
        if kind and kind not in found:
            return len(line) <= MAX_LINE
    return False


def _bare_subject(subject: str) -> str:
    """The subject without what says that it is passed on, however often."""
    for _ in range(5):
        found = FORWARD_SUBJECT.match(subject)
        if found is None:
            break
        subject = subject[found.end() :].lstrip()
    return subject.strip()


# --- people ---------------------------------------------------------------------------------------------------------


def _person(value: str) -> tuple[str, str]:
    """(name, address) of the sender. Two different addresses are none: one of them may stand in the name."""
    addresses = _addresses(value)
    before = _BEFORE_ADDRESS.split(value[:MAX_LINE], maxsplit=1)[0]
    name = one_line(before).strip(_AROUND)[:MAX_NAME]
    if len(addresses) != 1:
        return ("" if "@" in name else name), ""
    return ("" if "@" in name else name), addresses[0]


def _people(value: str) -> tuple[tuple[str, str], ...]:
    """Those of a list. Names are left out: where one ends and the next begins is written in too many ways."""
    return tuple(("", one) for one in _addresses(value))[:MAX_PEOPLE]


def _addresses(value: str) -> list[str]:
    found = (one[0].strip("'.").lower() for one in _ADDRESS.finditer(value[:MAX_VALUE]))
    return list(dict.fromkeys(one for one in found if mailable(one)))


# --- time -----------------------------------------------------------------------------------------------------------


def zone_of(date_header: bytes) -> timedelta | None:
    """How far from UTC the clock of whoever wrote this Date is; None where it is written in UTC, as servers do."""
    found = _OFFSET.search(date_header[:100].rstrip())
    if found is None or found[2] + found[3] == b"0000" or int(found[2]) > 14:
        return None
    return timedelta(hours=int(found[2]), minutes=int(found[3])) * (-1 if found[1] == b"-" else 1)


def when(date: str, around: datetime | None, zone: timedelta | None) -> tuple[datetime | None, str]:
    """(moment, ""); with no time zone known (None, the time on the clock in ISO 8601); (None, "") if unreadable.

    `around` is when the mail around it was written, which decides between two readings; `zone` that writer's clock,
    for he is shown times of his own.
    """
    likely = readings(date)
    if len(likely) > 1 and around is not None:
        likely = tuple(one for one in likely if _is_likely(one, around, zone))
    if len(likely) != 1:
        return None, ""
    [one] = likely
    offset = zone if one.offset is None else one.offset
    if offset is None:
        return None, one.local.isoformat()
    try:
        return one.local.replace(tzinfo=timezone(offset)).astimezone(timezone.utc), ""  # noqa: UP017
    except OverflowError:
        return None, ""


def _is_likely(one: Reading, around: datetime, zone: timedelta | None) -> bool:
    moment = one.local.replace(tzinfo=timezone(one.offset or zone or timedelta(0)))
    return timedelta(0) - AHEAD <= around - moment <= MAX_AGE
