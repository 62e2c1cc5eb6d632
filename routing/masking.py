"""Masking: what of an agent's own reaches no customer, and what stands in its place.

His addresses become the desk's, his telephone numbers the firm's hotline, in whichever spelling they stand: with
blanks, hyphens and brackets, with or without the country's code, in full-width digits. Only what can be replaced
exactly is; what is broken over lines or has invisible characters in it stays, and the guard, which sees through that,
holds the reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from phonenumbers import NumberParseException, parse

MIN_DIGITS = 8  # of a number; fewer would be found in every amount
_SEPARATOR = r"[ \t\u00a0\u3000().（）．·/‐‑–—－-]{0,3}"
_BEFORE_ADDRESS = r"(?<![A-Za-z0-9０-９Ａ-Ｚａ-ｚ._+-])"
_BEHIND_ADDRESS = r"(?![A-Za-z0-9０-９Ａ-Ｚａ-ｚ-]|[.．][A-Za-z0-9])"
_BEFORE_NUMBER = r"(?<![\d+＋])"


@dataclass(frozen=True, slots=True)
class Masks:
    """One agent's masks on one channel."""

    addresses: tuple[str, ...] = ()  # his mailboxes
    numbers: tuple[str, ...] = ()  # his telephones: "+886912345678", or as he writes them
    address_as: str = ""  # the desk's address; "" where there is none: then nothing is replaced
    number_as: str = ""  # the firm's hotline
    _found: tuple[tuple[re.Pattern[str], str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        number_as = self.number_as or self.address_as
        pairs = [(_address(a), self.address_as) for a in self.addresses if a and a != self.address_as]
        pairs += [(pattern, number_as) for n in self.numbers if (pattern := _number(n)) is not None]
        object.__setattr__(self, "_found", tuple(pairs))

    def put_on(self, text: str) -> tuple[str, int]:
        """The text with everything replaced, and how much was. Linear."""
        count = 0
        for pattern, instead in self._found:
            if instead:
                text, many = pattern.subn(instead.replace("\\", r"\\"), text)
                count += many
        return text, count

    def shows(self, text: str) -> bool:
        """Whether anything of his stands in the text, as it may be replaced."""
        return any(pattern.search(text) for pattern, _ in self._found)


def masks_of(addresses: Iterable[str], numbers: Iterable[str], desk: str, hotline: str) -> Masks:
    """An agent's masks. A number that is the hotline itself is the firm's, not his."""
    firm = _digits(hotline)
    own = tuple(n for n in numbers if not firm or _core(n) not in (_core(hotline), firm))
    return Masks(tuple(addresses), own, desk, hotline)


def _digits(number: str) -> str:
    return "".join(str(int(c)) for c in number if c.isdecimal())


def _core(number: str) -> str:
    """The digits that every spelling has: without country code and trunk zero."""
    try:
        return str(parse(number, None).national_number)
    except NumberParseException:
        return _digits(number).lstrip("0")


def _country(number: str) -> str:
    try:
        return str(parse(number, None).country_code)
    except NumberParseException:
        return ""


def _number(number: str) -> re.Pattern[str] | None:
    if len(_digits(number)) < MIN_DIGITS:
        return None
    country, core = _country(number), _core(number)
    abroad = rf"(?:[+＋]|[0０]{{2}}\d?)?{_SEPARATOR}{_spaced(country)}{_SEPARATOR}" if country else r"(?:[+＋])?"
    return re.compile(rf"{_BEFORE_NUMBER}(?:{abroad})?{_zero()}{_spaced(core)}(?!\d)")


def _zero() -> str:
    return rf"(?:[(（]?[0０][)）]?{_SEPARATOR})?[(（]?"


def _spaced(digits: str) -> str:
    return _SEPARATOR.join(f"[{d}{chr(0xFF10 + int(d))}]" for d in digits)


def _address(address: str) -> re.Pattern[str]:
    return re.compile(_BEFORE_ADDRESS + "".join(map(_either_case, address)) + _BEHIND_ADDRESS)


def _either_case(character: str) -> str:
    forms = {character, character.lower(), character.upper()}
    forms |= {chr(ord(c) + 0xFEE0) for c in forms if "!" <= c <= "~"}
    return "[" + "".join(sorted(map(re.escape, forms))) + "]"
