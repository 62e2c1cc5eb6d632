"""Charsets: octets to text, whatever label they carry; never an error, never a lone surrogate.

Labels lie: gb2312 means gb18030, big5 means Big5-HKSCS or cp950, and utf-8 is written over GBK. A label is
tried first, then utf-8, then a guess between the two Chinese encodings by how common their characters are.
Only codecs of plain character sets are used: `punycode`, `unicode_escape` and the like are no charsets of mail.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

#: What a label really means; "" means: look at the octets.
_MEANT = {
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gb2312-80": "gb18030",
    "csgb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "ms936": "gb18030",
    "windows-936": "gb18030",
    "euc-cn": "gb18030",
    "x-euc-cn": "gb18030",
    "chinese": "gb18030",
    "gb18030-2000": "gb18030",
    "gb18030-2005": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "big5-eten": "big5hkscs",
    "x-big5": "big5hkscs",
    "x-x-big5": "big5hkscs",
    "csbig5": "big5hkscs",
    "cn-big5": "big5hkscs",
    "windows-950": "cp950",
    "ms950": "cp950",
    "x-windows-950": "cp950",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "utf8": "utf-8",
    "utf8mb4": "utf-8",
    "utf-8-sig": "utf-8",
    "unicode": "utf-8",
    "us-ascii": "",
    "ascii": "",
    "ansi_x3.4-1968": "",
    "unknown-8bit": "",
    "x-unknown": "",
    "unknown": "",
    "8bit": "",
    "7bit": "",
    "binary": "",
    "default": "",
    "default_charset": "",
}
#: Families of codecs that are character sets; anything else a label names is not used.
_CHARSET = re.compile(r"utf|iso|cp\d|windows|koi8|mac|big5|gb|euc|shift|hz|tis|johab|kz1048|ptcp|hp", re.ASCII)
_HIGH_RUNS = re.compile(rb"[\x80-\xff]+")
_SAMPLE = 4096  # octets that a guess looks at
_TRADITIONAL = ("big5hkscs", "cp950")
_NEXT_OF_KIN = {"big5hkscs": ("cp950",), "cp950": ("big5hkscs",)}


@lru_cache(maxsize=256)
def codec_of(label: str) -> str:
    """The codec to read a labelled text with; "" if the label tells nothing."""
    name = label.strip().strip("'\"").lower()[:40]
    meant = _MEANT.get(name)
    if meant is not None:
        return meant
    if not _CHARSET.match(name):
        return ""
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return ""


def decode(octets: bytes, label: str = "") -> str:
    """The text of some octets; what cannot be read becomes U+FFFD."""
    codec = codec_of(label) if label else ""
    if octets.isascii() and codec in _ASCII_SAFE:
        return octets.decode("ascii")
    if codec == "cp1252" and (better := _chinese_in_latin(octets)):
        codec = better
    for name in (codec, *_NEXT_OF_KIN.get(codec, ())):
        if name:
            try:
                words = octets.decode(name)
            except (UnicodeError, ValueError):
                continue
            if name == "gb18030" and _is_unlikely_gb(words) and guess(octets) == "big5hkscs":
                words = octets.decode("big5hkscs", "replace")
            return without_surrogates(words)
    return _repair(octets, codec)


#: Codecs in which octets below 128 are ASCII; the others (hz, utf-7, utf-16, iso-2022) must be asked.
_ASCII_SAFE = frozenset({"", "utf-8", "gb18030", "big5hkscs", "cp950", "cp1252", "cp949", "iso8859-15"})


def _repair(octets: bytes, codec: str) -> str:
    """The label was absent or wrong: the likeliest reading."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if codec in _TRADITIONAL and guess(octets) == "gb18030":
        codec = "gb18030"
    elif codec in ("", "utf-8"):
        as_utf8 = octets.decode("utf-8", "replace")
        damaged = as_utf8.count("\ufffd")
        # A cut or broken character in what is otherwise utf-8 does not make it another charset.
        if damaged * 4 <= len(as_utf8) - len(as_utf8.encode("ascii", "ignore")) - damaged:
            return as_utf8
        codec = guess(octets)
    return without_surrogates(octets.decode(codec, "replace"))


def guess(octets: bytes) -> str:
    """The likeliest codec of octets that are not utf-8: gb18030, big5hkscs or cp1252."""
    sample = octets[:_SAMPLE]
    gb = _share_of_common(sample, "gb18030", "gb2312", 0xD8)
    big5 = _share_of_common(sample, "big5hkscs", "big5", 0xC7)
    if max(gb, big5) < 0.5:
        return "cp1252"
    return "gb18030" if gb >= big5 else "big5hkscs"


def _share_of_common(sample: bytes, codec: str, core: str, rare_from: int) -> float:
    """How much of a sample, read with a codec, is of its core set's common first level (0 to 1)."""
    text = sample.decode(codec, "replace")
    foreign = [c for c in text if c > "\x7f"]
    if not foreign:
        return 0.0
    encoded = (c.encode(core, "ignore") for c in foreign)
    common = sum(1 for pair in encoded if len(pair) == 2 and pair[0] < rare_from)
    return common / len(foreign)


def _is_unlikely_gb(words: str) -> bool:
    """Big5 under a GB label decodes without an error, but mostly into characters that GB 2312 has not."""
    sample = words[:_SAMPLE]
    plain = len(sample.encode("ascii", "ignore"))
    foreign = len(sample) - plain
    usual = (len(sample.encode("gb2312", "ignore")) - plain) // 2
    return foreign > 4 and usual < foreign * 0.5


def _chinese_in_latin(octets: bytes) -> str:
    """Chinese mailers write iso-8859-1 over anything: a codec if these are clearly double octets, else ""."""
    runs = _HIGH_RUNS.findall(octets[:_SAMPLE])
    if sum(map(len, runs)) < 4:
        return ""
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    if any(len(run) % 2 for run in runs):
        return ""
    try:
        octets.decode("gb2312")
    except UnicodeDecodeError:
        return ""
    return "gb18030"


def without_surrogates(text: str) -> str:
    """The same text, with U+FFFD where a lone surrogate stood (utf-7 and utf-16 can make them)."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text
