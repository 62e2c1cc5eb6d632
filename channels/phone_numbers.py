"""Telephone numbers: one spelling for each, whoever sent it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    format_number,
    is_possible_number,
    is_valid_number,
    parse,
)

MAX_NUMBER = 64  # characters kept of what an exchange sends as a number
CACHE_SIZE = 8192  # spellings remembered; a parse costs 30 µs, a hotline is asked for with every event
#: A national number this long is no short code, even where the library's tables do not know its range (yet).
MIN_SUBSCRIBER = 9  # digits

#: How exchanges say that the caller withheld his number (RFC 3323 §4.1 and habit); compared case-folded.
WITHHELD = frozenset(
    {
        *("anonymous", "anonym", "unknown", "withheld", "private", "restricted", "unavailable", "blocked"),
        *("hidden", "null", "none", "undefined", "nocallerid", "no-caller-id", "callerid-withheld", "clir"),
        *("匿名", "未知", "未知號碼", "未知号码", "隱藏號碼", "隐藏号码", "未顯示號碼", "未显示号码"),
    }
)
_SPACES = re.compile(r"\s+")


def is_region(region: str) -> bool:
    """True for an ISO 3166-1 code whose numbering plan is known."""
    return region in SUPPORTED_REGIONS


@lru_cache(maxsize=CACHE_SIZE)
def canonical(number: str, region: str) -> str:
    """E.164 where the number is one, without its extension; else as sent (NFKC); `""` where it is withheld.

    Hotlines and extensions such as 95588 or 801 parse, but cannot be dialled from elsewhere: they stay as
    sent. `region` (ISO 3166-1) says how a number without a country code is read.
    """
    text = _bare(unicodedata.normalize("NFKC", number[:MAX_NUMBER]))
    if _SPACES.sub("", text).casefold() in WITHHELD or not text:
        return ""
    return next((e164 for e164 in (_e164(t, region, strict) for t, strict in _readings(text)) if e164), text)


def spellings(numbers: Iterable[str], region: str) -> frozenset[str]:
    """The numbers as written and in canonical form: a person's spelling, comparable with a call's."""
    written = [n.strip() for n in numbers if n.strip()]
    return frozenset(written) | {c for c in (canonical(n, region) for n in written) if c}


def _bare(text: str) -> str:
    """Without what SIP puts round a number: `"Wang" <sip:+886…@host;user=phone>`."""
    text = text.strip()
    if text.endswith(">") and "<" in text:
        text = text[text.rindex("<") + 1 : -1].strip()
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in ("sip", "sips", "tel"):
        text = rest.partition("@")[0].partition(";")[0]
    return text.strip()


def _readings(text: str) -> Iterable[tuple[str, bool]]:
    """How the number may be meant, most likely first; whether only a valid number may be meant so."""
    if text.startswith("00"):
        yield "+" + text[2:], False  # most countries' international prefix, whatever the region's own is
    yield text, False
    if text.isascii() and text.isdigit() and len(text) > MIN_SUBSCRIBER:
        yield "+" + text, True  # E.164 without its plus, as sipgate and Zammad write it


def _e164(text: str, region: str, must_be_valid: bool) -> str:
    """E.164, or `""` when this is no number that could be dialled from anywhere."""
    try:
        number = parse(text, region)
    except NumberParseException:
        return ""
    if is_valid_number(number) or (not must_be_valid and _is_likely(number, text)):
        return format_number(number, PhoneNumberFormat.E164)
    return ""


def _is_likely(number: PhoneNumber, text: str) -> bool:
    """True for a number written in full, of the right length, in a range that the library does not list."""
    is_long = len(str(number.national_number)) >= MIN_SUBSCRIBER
    return is_possible_number(number) and (text.startswith("+") or (is_long and text.startswith(("0", "(0"))))
