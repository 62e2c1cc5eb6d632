"""Habits: how an agent ends his replies. What stood below several of them, word for word, is his signature.

Of each reply the hashes of its last lines are kept, never their words. A customer's letter is not made shorter by a
guess: cut is only from a line that signs (it bears his name, his number or his address and is no sentence), with all
below it the same as before and none of it spoken to the customer; something of his own must stand above. Answers that
are pasted again and again are the same for many lines, and stay.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence

from routing.folding import fold, squeeze

MAX_TAILS = 5  # replies that are remembered
MAX_LINES = 15  # of each, blank ones not counted
NEEDED = 2  # earlier replies that must end alike
MAX_SIGNING = 80  # characters of a line that signs
_DIGEST = 6  # octets of a line's hash

Tail = tuple[str, ...]  # hashes of the last lines, in order

_SPEAKS = re.compile(r"[。！？；?!]|您|你|請|请|我|\b(?:i|you|your|yours|please|we|us|kindly)\b")
_GOES_ON = re.compile(r"[:：，,、]\s*$")
_DISCLAIMER = re.compile(
    r"本(?:電子)?(?:郵件|邮件|信件|訊息|讯息)|機密|机密|保密|免責|免责|請考慮環保|confidential|disclaimer"
    r"|privileged|intended (?:only|recipient|solely)|this (?:e-?mail|message)|the environment"
)
_GREETS = re.compile(
    r"\s*(?:(?:hi|hello|hey|dear)\b.{0,60}|.{0,30}(?:您好|你好|鈞鑒|钧鉴|台鑒|台鉴).{0,10}|(?:親愛的|亲爱的|尊敬的).{0,30})\s*",
    re.IGNORECASE,
)


def tail_of(lines: Sequence[str], key: bytes) -> Tail:
    """What is remembered of the lines of a reply."""
    return tuple(_hash(line, key) for line in [one for one in lines if squeeze(one)][-MAX_LINES:])


def repeated(tails: Sequence[Tail], tail: Tail) -> int:
    """How many of the last lines stood below at least NEEDED of the earlier replies."""
    same = sorted((_common_end(earlier, tail) for earlier in tails), reverse=True)
    return same[NEEDED - 1] if len(same) >= NEEDED else 0


def signature_start(
    lines: Sequence[str], tails: Sequence[Tail], key: bytes, signs: Callable[[str], bool], *, may_be_all: bool = False
) -> int:
    """Where in the lines the signature begins that his replies end with; their number if none does.

    `signs` tells whether a line bears his name, number or address; `may_be_all`: commands stand above.
    """
    written = [number for number, line in enumerate(lines) if squeeze(line)]
    count = repeated(tails, tail_of(lines, key))
    for position in range(len(written) - count, len(written)):
        line = lines[written[position]]
        if is_signing(line, signs) and not _speaks([lines[n] for n in written[position + 1 :]]):
            has_words = may_be_all or any(_is_word(lines[n]) for n in written[:position])
            return written[position] if has_words else len(lines)
    return len(lines)


def is_signing(line: str, signs: Callable[[str], bool]) -> bool:
    """Whether a line can be the first of a signature."""
    folded = fold(line)
    return (
        len(line.strip()) <= MAX_SIGNING
        and not _SPEAKS.search(folded)
        and not _GOES_ON.search(folded)
        and not _is_quoted(line)
        and signs(line)
    )


def _speaks(lines: Sequence[str]) -> bool:
    """Whether any of these says something to somebody; what stands from a disclaimer on, says it to everybody."""
    for line in lines:
        folded = fold(line)
        if _DISCLAIMER.search(folded):
            return False
        if _SPEAKS.search(folded) or _is_quoted(line):
            return True
    return False


def _is_word(line: str) -> bool:
    return not _is_quoted(line) and _GREETS.fullmatch(line[:200]) is None


def _is_quoted(line: str) -> bool:
    return line.lstrip().startswith((">", "＞"))


def _common_end(earlier: Tail, tail: Tail) -> int:
    count = 0
    for one, other in zip(reversed(earlier), reversed(tail), strict=False):
        if one != other:
            break
        count += 1
    return count


def _hash(line: str, key: bytes) -> str:
    return hashlib.blake2b(squeeze(line).encode("utf-8", "replace"), key=key[:64], digest_size=_DIGEST).hexdigest()


# ---- remembering


def read(stored: str) -> tuple[Tail, ...]:
    """The tails as the store keeps them; none where that is not what it keeps."""
    try:
        found = json.loads(stored) if stored else []
    except ValueError:
        return ()
    return tuple(tuple(map(str, one)) for one in found if isinstance(one, list)) if isinstance(found, list) else ()


def written(stored: str, tail: Tail) -> str:
    """The stored tails with one more; the oldest goes."""
    return json.dumps([*read(stored), tail][-MAX_TAILS:], separators=(",", ":"))
