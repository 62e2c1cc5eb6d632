"""Charsets: octets to text, whatever label they carry; never an error, never a lone surrogate.

Labels lie: gb2312 means gb18030, big5 means cp950 or Big5-HKSCS (whichever reads it), and utf-8 is written over GBK
and GBK over utf-8. A label is tried first, then utf-8, then a guess between the two Chinese encodings by how common
their characters are. Only codecs of plain character sets are used: `punycode`, `unicode_escape` and the like are no
charsets of mail.
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
    "cp936": "gb18030",
    "ms936": "gb18030",
    "windows-936": "gb18030",
    "euc-cn": "gb18030",
    "chinese": "gb18030",
    "gb18030-2000": "gb18030",
    "gb18030-2005": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "cp950",
    "big5-hkscs": "big5hkscs",
    "big5-eten": "cp950",
    "x-x-big5": "cp950",
    "csbig5": "cp950",
    "cn-big5": "cp950",
    "windows-950": "cp950",
    "ms950": "cp950",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "windows-31j": "cp932",
    "ms932": "cp932",
    "cp50220": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-2022-jp-ms": "iso2022_jp_ext",
    "iso-2022-cn": "iso-2022-cn",
    "iso-2022-cn-ext": "iso-2022-cn",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "windows-874": "cp874",
    "tis-620": "cp874",
    "iso-8859-9": "cp1254",
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
_JUNK_BEHIND = re.compile(r"[^a-z0-9_.:-].*", re.S)
_HIGH_RUNS = re.compile(rb"[\x80-\xff]+")
_SAMPLE = 4096  # octets that a guess looks at
_TRADITIONAL = ("big5hkscs", "cp950")
_NEXT_OF_KIN = {"iso2022_jp_ext": ("iso2022_jp_2", "iso2022_jp_2004")}


@lru_cache(maxsize=256)
def codec_of(label: str) -> str:
    """The codec to read a labelled text with; "" if the label tells nothing."""
    name = label.strip().strip("'\"").lower()[:40].removeprefix("charset=").strip("'\";, ")
    for form in (name, name.removeprefix("x-"), _JUNK_BEHIND.sub("", name)):
        if (meant := _MEANT.get(form)) is not None:
            return meant
        if not _CHARSET.match(form):
            continue
        try:
            return codecs.lookup(form).name
        except (LookupError, ValueError):
            continue
    return ""


def decode(octets: bytes, label: str = "") -> str:
    """The text of some octets; what cannot be read becomes U+FFFD."""
    codec = codec_of(label) if label else ""
    if codec in _ASCII_SAFE and octets.isascii():
        if not codec and b"\x1b$" in octets:  # ISO 2022, written without a label: Japanese nearly always
            return _escaped(octets, "iso2022_jp_ext")
        return octets.decode("ascii")
    if codec in _DOUBLE and (better := _utf8_under(octets)):
        return better
    if codec in _TRADITIONAL:
        return _big5(octets)
    if "2022" in codec:
        return _escaped(octets, codec)
    if codec == "cp1252" and (better := _chinese_in_latin(octets)):
        codec = better
    if codec:
        try:
            words = octets.decode(codec)
        except (UnicodeError, ValueError):
            return _repair(octets, codec)
        if codec == "gb18030" and _is_unlikely_gb(words) and guess(octets) == "cp950":
            return _big5(octets)
        return without_surrogates(words)
    return _repair(octets, codec)


#: Codecs in which octets below 128 are ASCII; the others (hz, utf-7, utf-16, iso-2022) must be asked.
_ASCII_SAFE = frozenset({"", "utf-8", "gb18030", "big5hkscs", "cp950", "cp1252", "cp949", "iso8859-15"})
#: Codecs of double octets, which utf-8 may pass for by chance.
_DOUBLE = frozenset({"gb18030", "big5hkscs", "cp950", "cp949", "cp932"})
_KANA = re.compile("[\u3041-\u30fe々ヾ]")


def _utf8_under(octets: bytes) -> str:
    """The text if it is utf-8 after all: at least two characters of three octets, and no broken one; else ""."""
    try:
        words = octets.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    # Two octets a character are as likely GBK: 2 % of words of two characters are valid utf-8 by chance.
    wide = len(octets) - len(words.encode("ascii", "ignore"))
    return words if wide >= 6 and any(c > "\u07ff" for c in words[:_SAMPLE]) else ""


def _big5(octets: bytes) -> str:
    """Big5 of Windows (cp950) or of Hong Kong (HKSCS): whichever reads it; where both do, Windows' own signs.

    Python's cp950 has kana at C6A1-C7F2, where what is written today are the circled digits of HKSCS and ETEN.
    """
    windows, hongkong = _strictly(octets, "cp950"), _strictly(octets, "big5hkscs")
    if windows and (not hongkong or windows == hongkong):
        return windows
    if windows and hongkong:
        return hongkong if len(_KANA.findall(windows)) > len(_KANA.findall(hongkong)) else windows
    return hongkong or _repair(octets, "cp950")


def _strictly(octets: bytes, codec: str) -> str:
    try:
        return octets.decode(codec)
    except (UnicodeError, ValueError):
        return ""


_SHIFTED = re.compile(rb"\x0e([^\x0f\n]*)\x0f?")


def _escaped(octets: bytes, codec: str) -> str:
    """ISO 2022: characters behind escape sequences; what no codec reads is U+FFFD, and the rest is kept."""
    if codec == "iso-2022-cn":  # RFC 1922; of its character sets the one that was used, GB 2312
        if b"\x1b$)A" not in octets:
            return without_surrogates(octets.decode("iso2022_kr", "replace"))
        octets = _SHIFTED.sub(lambda run: bytes(o | 0x80 for o in run[1]), octets.replace(b"\x1b$)A", b""))
        return octets.decode("gb2312", "replace")
    for one in (codec, *_NEXT_OF_KIN.get(codec, ())):
        if words := _strictly(octets, one):
            return words
    if not octets.isascii():  # the label lies
        return _repair(octets, "")
    return without_surrogates(octets.decode(codec, "replace"))


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
    if codec in _TRADITIONAL:
        words = _strictly(octets, "cp950") or _strictly(octets, "big5hkscs")
        return words or octets.decode("big5hkscs", "replace")
    return without_surrogates(octets.decode(codec, "replace"))


def guess(octets: bytes) -> str:
    """The likeliest codec of octets that are not utf-8: gb18030, cp950 (for either Big5) or cp1252."""
    sample = octets[:_SAMPLE]
    gb = _share_of_common(sample, "gb18030", "gb2312", 0xD8)
    big5 = _share_of_common(sample, "big5hkscs", "big5", 0xC7)
    if max(gb, big5) < 0.5:
        return "cp1252"
    return "gb18030" if gb >= big5 else "cp950"


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
