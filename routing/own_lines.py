"""The agent's own lines: his reply without what is ours, wherever his mail program put it.

All from our mark down goes, and the headings with which programs introduce what they quote. Where a program marks each
quoted line with `>`, of our mail only the customer's words stay, and what stands below all of it is the agent's. What
may be his and would be lost, or may be ours and would leave, is counted: the guard holds the reply. Linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from routing.folding import squeeze
from routing.quote_headings import HEADER, MAX_HEADING, headings
from routing.signatures import is_quoted
from routing.tokens import find_canaries

MAX_WORDS = 200_000  # characters of the customer's that are looked at
MIN_WITHIN = 8  # squeezed characters: a shorter internal line counts only where it is a whole line

#: The line above everything internal in our mails to agents; it is recognised by its words and its rule.
MARK = "──────── 以下僅供內部 · internal ────────"
_RULES = re.compile("[─━—–-]+")
_MARK = _RULES.sub("", squeeze(MARK))


@dataclass(frozen=True)
class Known:
    """What the agent was sent, squeezed for comparing."""

    lines: frozenset[str]  # of ours and of the customer's
    internal: frozenset[str]  # those that must not leave
    everything: str  # all that he was sent, end to end
    customer: str  # the customer's, end to end

    @classmethod
    def of(cls, internal_lines: Iterable[str], shown_lines: Iterable[str], customer_words: Iterable[str]) -> Known:
        customer = squeeze("\n".join(words := tuple(customer_words))[:MAX_WORDS])
        # A line of the card that the customer wrote himself tells him nothing; a rule of dashes tells nobody.
        lines = [squeeze(line) for line in internal_lines]
        internal = frozenset(line for line in lines if says_something(line) and line not in customer)
        shown = [squeeze(line) for line in shown_lines]
        every_line = frozenset((*lines, *shown, *map(squeeze, words)))
        return cls(every_line, internal, "".join((*lines, "\n", *shown, "\n", customer)), customer)

    def holds(self, line: str) -> bool:
        """Whether the line stood in what the agent was sent, wrapped as it may be."""
        squeezed = squeeze(line)
        # "好" stands in "您好", and is an answer all the same: short lines must be whole ones of ours.
        is_ours = squeezed in self.lines or (len(squeezed) >= MIN_WITHIN and squeezed in self.everything)
        return is_ours or bool(find_canaries(line))


def says_something(squeezed: str) -> bool:
    return sum(map(str.isalnum, squeezed)) >= 2


def own_lines(lines: list[str], known: Known) -> tuple[list[str], int]:
    """(the agent's lines, how many lines of his would be lost, or may be ours)."""
    mark = next((i for i, line in enumerate(lines) if is_mark(line)), len(lines))
    above, below = lines[:mark], lines[mark:]
    beneath, lost = _beneath(below, known)
    kept = _without_headings(above, known, beneath)
    kept, doubtful = _without_ours(kept, known, is_ours=_quotes_us(lines), is_all=not beneath)
    return [*kept, *beneath], lost + doubtful


def _without_headings(above: list[str], known: Known, beneath: list[str]) -> list[str]:
    """What stands above our mark, without headings of quotes, and without the quote below which he wrote nothing."""
    last_own = len(above) if beneath else _last_own_line(above, known)
    kept: list[str] = []
    position = 0
    for start, end in headings(above):
        if start < position:
            continue
        if end > last_own:
            # Nothing of his stands below this heading: what follows is what his client quoted.
            return _without_rule([*kept, *above[position:start]])
        if _introduces_quote(above, end):
            kept.extend(above[position:start])
            position = end
        # Any other heading stays, and is found by the search: below it may stand anybody's mail.
    return [*kept, *above[position:]]


def is_mark(line: str) -> bool:
    # A customer's imitation reaches the agent with plain hyphens: only the drawn rule is ours.
    return "──" in line and _MARK in _RULES.sub("", squeeze(line[:MAX_HEADING]))


def _quotes_us(lines: list[str]) -> bool:
    """Whether the lines that are marked as quoted are those of a mail of ours."""
    quoted = [line for line in lines if is_quoted(line)]
    return any(map(is_mark, quoted)) or bool(find_canaries("\n".join(quoted)))


def _without_ours(lines: list[str], known: Known, *, is_ours: bool, is_all: bool) -> tuple[list[str], int]:
    """The lines without quoted ones of ours that are not the customer's; and how many stand where these may go on.

    Where a program folds a quoted line without marking its second half, that half follows at once: nobody can tell it
    from an answer. The customer's words lose nothing by that. `is_all`: nothing of his stands below these lines, so
    that a quote of our mail at their end answers nothing.
    """
    kept: list[str] = []
    doubtful = 0
    is_below_ours = False
    for line in lines:
        if is_quoted(line):
            squeezed = squeeze(line)
            is_blank = not says_something(squeezed)
            is_below_ours = is_ours and not is_blank and squeezed not in known.customer
            if not is_below_ours and not (is_ours and is_blank and _ends_blank(kept)):
                kept.append(line)
            continue
        doubtful += is_below_ours and bool(line.strip())
        is_below_ours = False
        kept.append(line)
    while is_ours and kept and (_ends_blank(kept) or (is_all and is_quoted(kept[-1]))):
        kept.pop()
    return kept, doubtful


def _ends_blank(lines: list[str]) -> bool:
    """Whether nothing stands there, or nothing in the last line."""
    return not lines or not lines[-1].strip("> ＞\t")


_DRAWN = re.compile(r"\s*[_=─*—-]{5,}\s*$")


def _without_rule(lines: list[str]) -> list[str]:
    """The lines without the rule that Outlook draws above its heading."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return lines[: end - 1] if end and _DRAWN.match(lines[end - 1]) else lines


def _introduces_quote(lines: list[str], end: int) -> bool:
    """Whether `>` lines follow at once, so that nothing but the heading itself is not marked as quoted."""
    following = next((line for line in lines[end:] if line.strip()), "")
    return is_quoted(following)


def _last_own_line(lines: list[str], known: Known) -> int:
    """Index of the last line that the agent wrote himself, -1 if none: neither quoted nor sent to him."""
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index]
        if line.strip() and not is_quoted(line) and not HEADER.match(line) and not known.holds(line):
            return index
    return -1


def _beneath(below: list[str], known: Known) -> tuple[list[str], int]:
    """(what the agent wrote below all that was quoted, how many lines he wrote between the quoted ones below our mark).

    Told only where his client marks quotes: without `>` nobody can tell his words from re-wrapped ones of ours.
    """
    if sum(map(is_quoted, below)) < 2:
        return [], 0
    last = max(number for number, line in enumerate(below) if is_quoted(line))
    between = [line for line in below[1:last] if _is_his(line, known)]
    beneath = below[last + 1 :]
    if not any(map(str.strip, beneath)):
        return [], len(between)
    signature = next((i for i, line in enumerate(beneath) if line.rstrip() == "--"), len(beneath))
    # What follows a quoted line at once may be its second half, what we sent him is not his.
    is_apart = signature == 0 or not beneath[0].strip()
    ours = [line for line in beneath[:signature] if says_something(squeeze(line)) and known.holds(line)]
    if not is_apart or ours:
        return [], len(between) + sum(1 for line in beneath[:signature] if _is_his(line, known))
    return beneath, len(between)


def _is_his(line: str, known: Known) -> bool:
    return says_something(line) and not is_quoted(line) and not known.holds(line)
