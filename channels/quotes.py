"""Quotes: what a mail says anew, apart from what it repeats.

Line by line, linear, no expression that can backtrack far. When in doubt everything is new: words between quotes
are answers to them, and a mail of which nothing would be left is kept whole. `quoted` holds all that `new` does
not, so nothing is thrown away. Knows Gmail, Outlook, Apple Mail, Thunderbird, QQ, 163, Foxmail and their kin in
Chinese (both scripts), English, Japanese, German, and the common words of French, Spanish and Italian.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from channels.quote_words import (
    CLOSERS,
    DEVICE,
    ENDS,
    FORWARDED,
    INNER,
    LABELS,
    OPENERS,
    SENT_FROM,
    SENTENCE,
    SEPARATORS,
)

MAX_LINE = 400  # characters; an attribution or a header line is not longer
MAX_ATTRIBUTION = 4  # lines that one attribution may be wrapped into
_BLOCK = 10  # lines within which the headers of a quoted mail must stand

_QUOTE_MARKS = ("> ", ">", "＞")
_DATE = re.compile(
    r"(?:19|20)\d\d\s?[年./-]\s?\d|\d{1,2}[./-]\s?\d{1,2}[./-]\s?\d{2,4}|\d{1,2}[:：]\d\d|\b(?:19|20)\d\d\b|\d月\s?\d{1,2}日"
)
_SEPARATOR = re.compile(r"[>\s*]*[-—_=*－]{2,60}\s*([^-—_=*－]{2,40}(?:-[^-—_=*－]{2,20})?)\s*[-—_=*－]{2,60}\s*", re.I)
_DATED_SENDER = re.compile(
    r"\d{4}[-/年].{4,60}[<＜][^<>＜＞@]{1,100}@[^<>＜＞]{1,200}[>＞]"
)  # no verb: old and Japanese Gmail
_LABEL = re.compile(r"[>\s*|]*([^:：|<>@]{2,16}?)[\s*]*(?:[:：]|\|)(.*)", re.S)
_FOREIGN_SEPARATORS = tuple(words for words in SEPARATORS if not words.isascii())
_RULE = re.compile(r"[\s>]*[_\-—=*]{5,200}\s*")


@dataclass(frozen=True, slots=True)
class Split:
    """A text in two."""

    new: str
    quoted: str


def split(text: str, sender: str = "") -> Split:
    """The new words of a mail's text and the rest of it. Foxmail writes the `sender`'s address above the quote."""
    lines = text.split("\n")
    cut, after = _find(lines)
    if after is None:
        return Split(text.strip("\n"), "")
    new, footer = _without_footer(lines[:cut], sender, is_before_quote=cut < len(lines))
    tail = lines[after:]
    if not any(map(_is_word, new)):
        if not any(map(_is_word, tail)):
            return Split(text.strip("\n"), "")
        new = []
    quoted = footer + lines[cut:after]
    return Split("\n".join(new + tail).strip("\n"), "\n".join(quoted).strip("\n"))


def _find(lines: list[str]) -> tuple[int, int | None]:
    """Where the quote begins and where it ends; (0, None) to keep everything."""
    near_closer: set[int] = set()  # lines at which an attribution may begin that ends at most three lines on
    for number, line in enumerate(lines):
        if line.rstrip(" \t*\u3000").endswith(CLOSERS):
            near_closer.update(range(number - MAX_ATTRIBUTION + 1, number + 1))
    for number, line in enumerate(lines):
        if len(line) > MAX_LINE or not line.strip():
            continue
        if _is_separator(line) or _is_header_block(lines, number):
            return number, len(lines)
        if number in near_closer and (length := _attribution(lines, number)):
            if not any(map(str.strip, lines[number + length :])):
                break
            return _end_of_quote(lines, number, number + length)
    return _trailing_quote(lines)


def _is_word(line: str) -> bool:
    return bool(line.strip()) and not _is_quoted(line)


def _is_quoted(line: str) -> bool:
    return line.lstrip(" ").startswith(_QUOTE_MARKS)


def _is_separator(line: str) -> bool:
    """True for "-----Original Message-----", "---- On …, … wrote ----", "Begin forwarded message:"."""
    if line.lstrip("> ").lower().startswith(FORWARDED) and line.rstrip().endswith((":", "：")):
        return True
    if "-" not in line and "—" not in line and "_" not in line and "=" not in line and "－" not in line:
        return False
    match = _SEPARATOR.fullmatch(line)
    if match is None:
        inner = line.strip("> -")
        return line.lstrip("> ").startswith("--") and line.rstrip().endswith("--") and _says_who_wrote(inner + ":")
    words = match[1].strip().rstrip(":：").strip().lower()
    return words in SEPARATORS or any(w in words for w in _FOREIGN_SEPARATORS)


def _label(line: str) -> tuple[str, str]:
    """The kind of a header line of a quoted mail and its value; ("", "") for other lines."""
    if ":" not in line and "：" not in line and "|" not in line:
        return "", ""
    match = _LABEL.fullmatch(line[:MAX_LINE])
    if match is None:
        return "", ""
    name = "".join(match[1].split()).replace("*", "").lower()
    for kind, names in LABELS.items():
        if name in names:
            return kind, match[2]
    return "", ""


def _is_header_block(lines: list[str], start: int) -> bool:
    """True where the headers of a quoted mail begin: a sender, a subject or an address, three kinds in all."""
    kind, value = _label(lines[start])
    if not kind or kind == "cc":
        return False
    kinds = {kind}
    has_address = "@" in value
    gap = 0
    for line in lines[start + 1 : start + _BLOCK]:
        kind, value = _label(line)
        if kind:
            kinds.add(kind)
            has_address = has_address or "@" in value
            gap = 0
        elif line.strip():
            gap += 1  # a wrapped list of recipients
        if gap > 2:
            break
    # A customer's own list ("From: Taipei, To: Shanghai, Date: …") has neither subject nor address.
    return len(kinds) >= 3 and "from" in kinds and ("subject" in kinds or has_address)


def _attribution(lines: list[str], start: int) -> int:
    """How many lines the attribution that starts here takes ("On …, … wrote:"); 0 if none does."""
    joined = ""
    for number in range(start, min(start + MAX_ATTRIBUTION, len(lines))):
        line = lines[number].lstrip("> ＞\t").strip()
        if not line or len(joined) + len(line) > MAX_LINE:
            return 0
        if number > start and _is_whole_attribution(line):
            return 0  # it begins further down
        joined = f"{joined} {line}".strip()
        if _says_who_wrote(joined):
            return number - start + 1
        if number == start and not _may_open(joined):
            return 0
    return 0


def _is_whole_attribution(line: str) -> bool:
    """Not only the wrapped end of one: it says when as well as who, or begins like one."""
    if not _says_who_wrote(line):
        return False
    return line.lower().startswith(OPENERS) or ("@" in line and _DATE.search(line) is not None)


def _may_open(line: str) -> bool:
    return line.lower().startswith(OPENERS) or "<" in line or _DATE.search(line) is not None


def _says_who_wrote(line: str) -> bool:
    bare = line.rstrip(" \t*")
    has_colon = bare.endswith((":", "："))
    bare = bare.rstrip(":： *")
    if has_colon and _DATED_SENDER.match(bare):
        return True
    lower = bare.lower()
    if lower.endswith(ENDS):
        if not has_colon and not lower.endswith(("写道", "寫道")):
            return False
    elif not (has_colon and any(verb in lower for verb in INNER) and (lower.startswith(OPENERS) or "<" in lower)):
        return False
    return _DATE.search(bare) is not None or ("@" in bare and ("<" in bare or "(" in bare or "[" in bare))


def _end_of_quote(lines: list[str], start: int, body: int) -> tuple[int, int | None]:
    """After an attribution: the rest is quoted, unless somebody answered between or beneath the quotes."""
    quoted = [n for n in range(body, len(lines)) if _is_quoted(lines[n])]
    if not quoted or any(map(_is_word, lines[body : quoted[0]])):
        return start, len(lines)  # quoted without marks
    last = quoted[-1]
    if any(_is_answer(lines, n) for n in range(quoted[0], last)):
        return 0, None
    tail = lines[last + 1 :]
    if not any(map(str.strip, tail)) or _is_footer(tail):
        return start, len(lines)
    if any(map(_is_word, lines[:start])):
        return 0, None
    return start, last + 1  # answered beneath


def _is_answer(lines: list[str], number: int) -> bool:
    """An unmarked line between quotes; but the wrapped end of a long quoted line is none."""
    if not _is_word(lines[number]):
        return False
    before, after = lines[number - 1], lines[number + 1]
    is_wrapped = _is_quoted(before) and _is_quoted(after) and len(before) >= 60 and len(lines[number]) <= 30
    return not is_wrapped


def _is_footer(lines: list[str]) -> bool:
    """Only a signature, a list's footer or "sent from my …" follows."""
    first = next(line for line in lines if line.strip())
    return first.rstrip() == "--" or _is_sent_from(first) or _RULE.fullmatch(first) is not None


def _is_sent_from(line: str) -> bool:
    """Sent from my iPhone"""
    return len(line) < 80 and bool(SENT_FROM.match(line) and DEVICE.search(line)) and not SENTENCE.search(line)


def _trailing_quote(lines: list[str]) -> tuple[int, int | None]:
    """Marked lines that end the mail, together with what introduces them."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    start = end
    while start and (_is_quoted(lines[start - 1]) or not lines[start - 1].strip()):
        start -= 1
    quotes = [n for n in range(end) if _is_quoted(lines[n])]
    if not quotes or quotes[0] < start:
        return (len(lines), len(lines)) if not quotes else (0, None)
    if start and lines[start - 1].rstrip().endswith((":", "：")):
        introduction = lines[start - 1]
        if len(introduction) <= MAX_LINE and ("@" in introduction or _DATE.search(introduction)):
            start -= 1
    return start, len(lines)


def _without_footer(lines: list[str], sender: str, *, is_before_quote: bool) -> tuple[list[str], list[str]]:
    """The lines before a quote, and what at their end belongs to nobody's words: rules, "sent from my phone"."""
    end = len(lines)
    while end:
        line = lines[end - 1]
        is_rule = is_before_quote and _RULE.fullmatch(line) and line.strip() != "--"
        is_address = is_before_quote and sender and line.strip(" <>\t").lower() == sender
        if line.strip() and not is_rule and not is_address and not _is_sent_from(line):
            break
        end -= 1
    return lines[:end], [line for line in lines[end:] if line.strip()]
