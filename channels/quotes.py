"""Quotes: what a mail says anew, apart from what it repeats.

Line by line, linear, no expression that can backtrack far. When in doubt everything is new: words between quotes
are answers to them, what somebody passes on is as new as what he writes above it, and a mail of which nothing would
be left is kept whole. `quoted` holds all that `new` does not, so nothing is thrown away. Signatures stay where they
are: a name, a number and a firm are words too. Knows Gmail, Outlook, Apple Mail, Thunderbird, QQ, 163, Foxmail, Yahoo
and their kin in Chinese (both scripts), English, Japanese, German, and the common words of French, Spanish,
Portuguese and Italian.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from channels import quote_heads
from channels.quote_heads import MAX_LINE, Head, is_quoted
from channels.quote_words import BELOW, DEVICE, FORWARD_SUBJECT, GREETING, SENT_FROM, SENTENCE

MAX_HINT = 20  # lines of new words in which a hint at answers further down is looked for
MAX_FOOTER = 12  # lines of a signature or of a list's footer beneath a quote

_DATE = re.compile(r"\d{1,4}[./年-]\s?\d{1,2}|\d{1,2}[:：]\d\d")
_RULE = re.compile(r"[\s>]*[_\-—=*]{5,200}\s*")
_LIST_FOOTER = re.compile(r"https?://|unsubscribe|mailing list|@|退订|取消訂閱|退訂", re.I)


@dataclass(frozen=True, slots=True)
class Split:
    """A text in two."""

    new: str
    quoted: str


@dataclass(frozen=True, slots=True)
class _Quote:
    """Lines `start` to `end` are a quote."""

    start: int
    end: int


def split(text: str, sender: str = "", subject: str = "") -> Split:
    """The new words of a mail's text and the rest of it.

    Foxmail writes the `sender`'s address above the quote. By the `subject` a mail is known that passes another on.
    """
    lines = text.split("\n")
    seen = quote_heads.visible(text)
    found = _find(seen, is_forward=FORWARD_SUBJECT.match(subject) is not None)
    if found is None:
        return Split(text.strip("\n"), "")
    end = _end_of_words(seen[: found.start], sender, is_before_quote=found.start < len(seen))
    footer = [line for line in lines[end : found.start] if line.strip()]
    new, tail = lines[:end], lines[found.end :]
    if not any(map(_is_word, seen[:end])):
        if not any(map(_is_word, seen[found.end :])):
            return Split(text.strip("\n"), "")
        footer = [*new, *footer]
        new = []
    quoted = footer + lines[found.start : found.end]
    return Split("\n".join(new + tail).strip("\n"), "\n".join(quoted).strip("\n"))


def _find(lines: list[str], *, is_forward: bool) -> _Quote | None:
    """The quote; None to keep everything."""
    head = quote_heads.find(lines)
    if head is None:
        return _trailing_quote(lines)
    if head.is_forward or is_forward:
        return None
    first = next((n for n in range(head.body, len(lines)) if lines[n].strip()), None)
    if is_quoted(lines[head.start]):
        start = _start_of_marks(lines, head.start)
        return _marked(lines, start, start)
    if first is None:
        return None if head.is_attribution else _Quote(head.start, len(lines))
    if is_quoted(lines[first]):
        return _marked(lines, head.start, first)
    return _unmarked(lines, head)


def _is_word(line: str) -> bool:
    return bool(line.strip()) and not is_quoted(line)


def _start_of_marks(lines: list[str], start: int) -> int:
    """The first of the marked lines that `start` is one of."""
    first = start
    while start and (is_quoted(lines[start - 1]) or not lines[start - 1].strip()):
        start -= 1
        if is_quoted(lines[start]):
            first = start
    return first


def _unmarked(lines: list[str], head: Head) -> _Quote | None:
    """The rest is quoted, unless the words above say that answers stand in it, or greet and say nothing."""
    words = [line for line in lines[: head.start] if _is_word(line)]
    if len(words) == 1 and len(words[0]) <= 60 and GREETING.fullmatch(words[0]):
        return None
    if any(BELOW.search(line[:MAX_LINE]) for line in words[:MAX_HINT]):
        return None
    return _Quote(head.start, len(lines))


def _marked(lines: list[str], start: int, body: int) -> _Quote | None:
    """Marked lines from `body` on, introduced at `start`: a quote, unless somebody answered between them."""
    last = max(n for n in range(body, len(lines)) if is_quoted(lines[n]))
    if any(map(_is_word, lines[body:last])):
        return None
    tail = lines[last + 1 :]
    if not any(map(_is_word, tail)) or _is_footer(tail):
        return _Quote(start, len(lines))
    if any(map(_is_word, lines[:start])):
        return None
    return _Quote(start, last + 1)  # answered beneath


def _is_footer(lines: list[str]) -> bool:
    """Only a signature, a list's footer or "sent from my …" follows."""
    words = [line for line in lines if line.strip()]
    if words[0].rstrip() == "--":
        return len(words) <= MAX_FOOTER
    if _RULE.fullmatch(words[0]):
        return len(words) <= MAX_FOOTER and any(_LIST_FOOTER.search(line[:MAX_LINE]) for line in words)
    return all(map(_is_sent_from, words))


def _is_sent_from(line: str) -> bool:
    """Sent from my iPhone"""
    return len(line) < 120 and bool(SENT_FROM.match(line) and DEVICE.search(line)) and not SENTENCE.search(line)


def _trailing_quote(lines: list[str]) -> _Quote | None:
    """Marked lines that end the mail, together with what introduces them; where there are none, its footer."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    if not any(map(is_quoted, lines)):
        return _Quote(len(lines), len(lines))
    if not is_quoted(lines[end - 1]):
        return None
    start = _start_of_marks(lines, end - 1)
    if any(map(is_quoted, lines[:start])):
        return None
    above = next((n for n in range(start - 1, -1, -1) if lines[n].strip()), None)
    if above is not None and lines[above].rstrip().endswith((":", "：")):
        introduction = lines[above]
        if len(introduction) > MAX_LINE or not ("@" in introduction or _DATE.search(introduction)):
            return None  # what he announces himself is his own list
        start = above
    return _Quote(start, len(lines))


def _end_of_words(lines: list[str], sender: str, *, is_before_quote: bool) -> int:
    """Where the words end before a quote: rules, "sent from my phone" and the like belong to nobody's words."""
    end = len(lines)
    while end:
        line = lines[end - 1]
        is_rule = is_before_quote and _RULE.fullmatch(line) and line.strip() != "--"
        is_address = is_before_quote and sender and line.strip(" <>\t").lower() == sender
        is_separator = is_before_quote and quote_heads.is_bare_separator(line)
        if line.strip() and not (is_rule or is_address or is_separator or _is_sent_from(line)):
            break
        end -= 1
    return end
