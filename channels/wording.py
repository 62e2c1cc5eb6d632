"""The words of a mail: which parts are words rather than files, and what they say, decoded."""

from __future__ import annotations

import re

from channels import bounces
from channels.charsets import decode
from channels.flowed import unflow
from channels.htmltext import to_text
from channels.parts import Part, Tree

MAX_PART_TEXT = 4 * 1024 * 1024  # octets of one text part that are read

_META_CHARSET = re.compile(rb"""<meta[^>]{1,200}?charset\s*=\s*["']?([a-zA-Z0-9_.:-]{2,40})""", re.I)
_BODY_TYPES = frozenset({"text/plain", "text/html"})


class Words:
    """The text parts, by the alternative they stand in, or by part outside of one; in order."""

    def __init__(self) -> None:
        self.charset = ""
        self._plain: dict[str, list[str]] = {}
        self._html: dict[str, list[str]] = {}

    def take(self, tree: Tree, part: Part) -> None:
        words, label = _text_of(tree, part)
        self.charset = self.charset or label
        key = _alternative_of(part)
        self._plain.setdefault(key, [])
        self._html.setdefault(key, [])
        (self._html if part.media_type == "text/html" else self._plain)[key].append(words)

    def take_told(self, part: Part, words: str, html: str, charset: str) -> None:
        """The words of a mail that stands in place of a part."""
        self.charset = self.charset or charset
        self._plain[part.path] = [words]
        self._html[part.path] = [html] if html else []

    def html(self) -> str:
        return "\n".join(page for pages in self._html.values() for page in pages)

    def told(self) -> str:
        pieces = []
        for key, plain in self._plain.items():
            written = "\n\n".join(p.strip("\r\n") for p in plain if p.strip())
            if not written:
                written = "\n\n".join(map(to_text, self._html[key]))
            if written:
                pieces.append(written)
        return "\n\n".join(pieces)


def _alternative_of(part: Part) -> str:
    """The path of the outermost multipart/alternative around a part; its own path if there is none."""
    if "alternative" not in part.parents:
        return part.path
    steps = part.path.split(".")[: part.parents.index("alternative")]
    return ".".join(steps) + "/"


def is_words(part: Part, *, is_first: bool, is_only: bool) -> bool:
    if part.media_type not in _BODY_TYPES:
        return part.media_type in ("text/enriched", "text/richtext", "text/rfc822-headers") and is_only
    is_named = bool(part.file_name)
    if part.disposition == "attachment":
        return is_only and not is_named
    return not is_named or is_first


def is_other_wording(part: Part) -> bool:
    """A form of the same words that nobody asks for (AMP), or the fields of a report: no file of a person."""
    if part.file_name:
        return False
    if part.media_type in bounces.REPORT_TYPES:
        return True
    is_alternative = bool(part.parents) and part.parents[-1] == "alternative"
    return is_alternative and part.media_type.startswith("text/") and part.media_type != "text/calendar"


def _text_of(tree: Tree, part: Part) -> tuple[str, str]:
    """The words of a part, and the charset it is labelled with."""
    octets = tree.payload(part)
    if len(octets) > MAX_PART_TEXT:
        end = octets.rfind(b"\n", 0, MAX_PART_TEXT)
        octets = octets[: end if end > 0 else MAX_PART_TEXT]
        tree.defects.append(f"text part {part.path} is longer than {MAX_PART_TEXT} octets: the rest was not read")
    label = part.params.get("charset", "")
    if part.media_type == "text/html":
        if not label and (meta := _META_CHARSET.search(octets[:2048])):
            label = meta[1].decode("ascii")
        return decode(octets, label), label
    words = decode(octets, label)
    if part.params.get("format", "").lower() == "flowed":
        words = unflow(words, is_delsp=part.params.get("delsp", "").lower() == "yes")
    return words, label
