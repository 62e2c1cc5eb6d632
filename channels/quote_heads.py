"""What stands above a quote: "On … wrote:", "-----Original Message-----", the headers of the quoted mail.

Every question looks at a bounded number of lines of bounded length, so that the whole is linear. Nothing here decides
what becomes of the words: that is `quotes`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from channels.quote_words import CLOSERS, ENDS, FORWARDED, FORWARDS, INNER, LABELS, OPENERS, SEPARATORS

MAX_LINE = 400  # characters; an attribution or a header line is not longer
MAX_ATTRIBUTION = 4  # lines that one attribution may be wrapped into, blank ones apart
_SPAN = 7  # lines that it may take with the blank ones
_BLOCK = 12  # lines within which the headers of a quoted mail must stand
MAX_SEPARATOR = 60  # characters between its rules
MAX_LABEL = 24  # characters of "Sent:" and the like, with its colon

_QUOTE_MARKS = (">", "＞")
_MARKS_ABOVE = (*_QUOTE_MARKS, "| ")
_BEFORE_WORDS = "> ＞\t*|"
_RULE_CHARACTERS = "-—–_=*－─"
_SEPARATOR_ENDS = (*_RULE_CHARACTERS, ":", "：")
_DATE = re.compile(
    r"(?:19|20)\d\d\s?[年./-]\s?\d|\d{1,2}[./-]\s?\d{1,2}[./-]\s?\d{2,4}|\d{1,2}[:：]\d\d|\b(?:19|20)\d\d\b|\d月\s?\d{1,2}日"
)
#: No verb: Gmail in Japanese, and of old in every language.
_DATED_SENDER = re.compile(r"\d{4}[-/年].{4,60}[<＜(][^<>＜＞@]{1,100}@[^<>＜＞]{1,200}[>＞)]")
#: The attribution of a person's own words, or a sentence: names hold no such sign.
_SENTENCE = re.compile(r"[。？！]|[?!] |^我|\bI wrote$")
_LABEL_END = re.compile(r"[:：|]")
_NO_LABEL = ("", "")
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_BLANKS = "\u00a0\u202f\u2007\u3000"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a quote is introduced."""

    start: int  # its first line
    body: int  # the first line beneath it
    is_forward: bool = False  # what follows is passed on, not answered
    is_attribution: bool = False  # a sentence, so that it says nothing where nothing follows


def visible(text: str) -> list[str]:
    """The lines for looking at: no invisible characters, every blank a space. As many lines as the text has."""
    if not text.isascii():
        text = _UNSEEN.sub("", text)
        for blank in _BLANKS:  # one by one: four times as fast as `translate`
            text = text.replace(blank, " ")
    return text.split("\n")


def is_quoted(line: str) -> bool:
    return line.lstrip(" ").startswith(_QUOTE_MARKS)


def find(lines: list[str]) -> Head | None:
    """The first place where a quote is introduced, in the lines that `visible` gave."""
    above_quote = _above_quotes(lines)
    labels = [label(line) if ":" in line or "：" in line or "|" in line else _NO_LABEL for line in lines]
    closer = _next_closers(lines)
    for number, line in enumerate(lines):
        if len(line) > MAX_LINE or not line.strip():
            continue
        if kind := separator(line):
            below = _below_headers(lines, number + 1, is_marked=is_quoted(line))
            return Head(number, below, is_forward=kind == "forward")
        if _is_header_block(lines, labels, number):
            return Head(number, _below_headers(lines, number, is_marked=is_quoted(line)))
        if closer[number] - number < _SPAN and (length := _attribution(lines, number, above_quote)):
            return Head(number, number + length, is_attribution=True)
        if above_quote[number] and _DATED_SENDER.fullmatch(line.lstrip(_BEFORE_WORDS).rstrip()):
            return Head(number, number + 1, is_attribution=True)
    return None


def is_bare_separator(line: str) -> bool:
    """True for "原始邮件" alone on its line: some programs draw the rules around it as a picture."""
    return len(line) <= MAX_SEPARATOR and line.strip(" \t*").rstrip(":： ").lower() in SEPARATORS


def _next_closers(lines: list[str]) -> list[int]:
    """For each line, the first one from it on with which an attribution may end."""
    found = [0] * len(lines)
    closer = len(lines) + _SPAN
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].rstrip(" \t*").endswith(CLOSERS):
            closer = number
        found[number] = closer
    return found


def _above_quotes(lines: list[str]) -> list[bool]:
    """For each line, whether the next one that is not blank bears a mark of quoting."""
    found = [False] * len(lines)
    bare = [line.lstrip() for line in lines]
    for number in [number for number, line in enumerate(bare) if line.startswith(_MARKS_ABOVE)]:
        above = number - 1
        while above > 0 and not bare[above]:
            found[above] = True
            above -= 1
        if above >= 0:
            found[above] = True
    return found


def separator(line: str) -> str:
    """ "original" or "forward" for "-----Original Message-----" and its kin, "---- On …, … wrote ----" too; else ""."""
    bare = line.strip(" \t>＞*")
    if not bare.endswith(_SEPARATOR_ENDS):
        return ""
    lower = bare.lower()
    if lower.startswith(FORWARDED) and bare.endswith((":", "：")):
        return "forward"
    right = bare.lstrip(_RULE_CHARACTERS)
    words = right.rstrip(_RULE_CHARACTERS)
    if len(bare) - len(right) < 2 or len(right) - len(words) < 2:
        return ""
    words = words.strip()
    if _says_who_wrote(words + ":") and right is not bare:
        return "original"
    lower = words.rstrip(":： ").lower()
    if lower.startswith("forwarded message from "):  # mutt: who it is from stands in the line itself
        return "forward"
    if len(lower) > MAX_SEPARATOR:
        return ""
    if lower in FORWARDS or (not lower.isascii() and any(w in lower for w in FORWARDS if not w.isascii())):
        return "forward"
    if lower in SEPARATORS or (not lower.isascii() and any(w in lower for w in SEPARATORS if not w.isascii())):
        return "original"
    return ""


# --- the headers of the quoted mail -----------------------------------------------------------------------------


def label(line: str) -> tuple[str, str]:
    """The kind of a header line of a quoted mail and its value; ("", "") for other lines."""
    bare = line[:MAX_LINE].lstrip(_BEFORE_WORDS)
    end = _LABEL_END.search(bare, 0, MAX_LABEL)
    if end is None:
        return _NO_LABEL
    name = "".join(bare[: end.start()].split()).replace("*", "").lower()
    kind = LABELS.get(name if name.isascii() else unicodedata.normalize("NFC", name), "")  # Apple decomposes
    return (kind, bare[end.end() :]) if kind else _NO_LABEL


def _is_header_block(lines: list[str], labels: list[tuple[str, str]], start: int) -> bool:
    """True where the headers of a quoted mail begin: from whom, to whom, and a date or a subject."""
    if labels[start][0] in ("", "cc"):
        return False
    kinds = set()
    has_address = False
    gap = 0
    for number in range(start, min(start + _BLOCK, len(lines))):
        kind, value = labels[number]
        if kind:
            kinds.add(kind)
            has_address = has_address or "@" in value
            gap = 0
        elif lines[number].strip():
            gap += 1  # a wrapped list of recipients
        if gap > 2:
            break
    # A customer's own list ("From: Taipei, To: Shanghai, Date: …") has neither subject nor address; the mail of a
    # form on a website ("Subject: …, From: …") is addressed to nobody.
    return len(kinds) >= 3 and {"from", "to"} <= kinds and ("subject" in kinds or has_address)


def _below_headers(lines: list[str], start: int, *, is_marked: bool) -> int:
    """The first line after the headers that stand from `start` on, quoted as these are; `start` if there are none."""
    first = start
    while first < len(lines) and not lines[first].strip():
        first += 1
    if first == len(lines) or not label(lines[first])[0]:
        return start
    end = first
    while end < min(first + _BLOCK, len(lines)) and lines[end].strip(" \t>＞") and is_quoted(lines[end]) is is_marked:
        end += 1
    return end if end > first else start


# --- attributions ---------------------------------------------------------------------------------------------------


def _attribution(lines: list[str], start: int, above_quote: list[bool]) -> int:
    """How many lines the attribution that starts here takes ("On …, … wrote:"); 0 if none does."""
    joined = ""
    pieces = 0
    for number in range(start, min(start + _SPAN, len(lines))):
        line = lines[number].lstrip(_BEFORE_WORDS).strip()
        if not line:
            if not joined:
                return 0
            continue
        pieces += 1
        is_split = number - start >= pieces  # over blank lines, as a page turned into text has it
        if pieces > MAX_ATTRIBUTION or len(joined) + len(line) > MAX_LINE:
            return 0
        if pieces > 1 and _is_whole_attribution(line):
            return 0  # it begins further down
        joined = f"{joined} {line}".strip()
        if _says_who_wrote(joined, is_above_quote=above_quote[number] and pieces == 1):
            return number - start + 1 if not is_split or _is_sure(joined) else 0
        if pieces == 1 and not _may_open(joined):
            return 0
    return 0


def _is_sure(joined: str) -> bool:
    return joined.lower().startswith(OPENERS) and "@" in joined and _DATE.search(joined) is not None


def _is_whole_attribution(line: str) -> bool:
    """Not only the wrapped end of one: it says when as well as who, or begins like one."""
    if not _says_who_wrote(line):
        return False
    return line.lower().startswith(OPENERS) or ("@" in line and _DATE.search(line) is not None)


def _may_open(line: str) -> bool:
    return line.lower().startswith(OPENERS) or "<" in line or _DATE.search(line) is not None


def _says_who_wrote(line: str, *, is_above_quote: bool = False) -> bool:
    """Whether a line is an attribution. Above marked lines a name and a verb are enough; else when, or an address."""
    bare = line.rstrip(" \t*")
    has_colon = bare.endswith((":", "："))
    if not has_colon and not bare.endswith(CLOSERS):
        return False
    bare = bare.rstrip(":： *")
    if _SENTENCE.search(bare):
        return False
    if has_colon and _DATED_SENDER.match(bare):
        return True
    lower = bare.lower()
    if lower.endswith(ENDS):
        if is_above_quote and len(bare) <= 80:
            return True
    elif not (has_colon and any(verb in lower for verb in INNER) and (lower.startswith(OPENERS) or "<" in lower)):
        return False
    return _DATE.search(bare) is not None or ("@" in bare and ("<" in bare or "(" in bare or "[" in bare))
