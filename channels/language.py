"""Language: which script of Chinese a text is in, or English; "" where nothing can be told."""

from __future__ import annotations

import re

_SAMPLE = 4000  # characters looked at
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
_KANA_OR_HANGUL = re.compile(r"[\u3041-\u30fa\uac00-\ud7a3]")
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_OTHER_LETTERS = re.compile(r"[\u00c0-\u024f\u0370-\u06ff\u0900-\u0eff]")
_NOISE = re.compile(r"https?://\S+|(?<!\S)\S+@\S+")  # tried once a run: Chinese has no blanks
_COMMON_WORDS = """
a about all am an and any are as at be been but by can could dear did do for from get had has have
hello help hi how i if in is it me my need no not of on or our please regarding regards so thank
thanks that the there this to us was we what when where which why will with would yes you your
"""
_ENGLISH = frozenset(_COMMON_WORDS.split())


def guess(text: str, charset: str = "") -> str:
    """ "zh-Hant", "zh-Hans", "en" or "". `charset` is the mail's label: it decides where the characters cannot."""
    sample = text[:_SAMPLE]
    han = "".join(_HAN.findall(sample))
    letters = _WORD.findall(_NOISE.sub(" ", sample)) if len(han) < 200 else []
    if han and len(han) * 3 >= len(letters):
        kana = len(_KANA_OR_HANGUL.findall(sample))
        return "" if kana * 5 > len(han) else _script(han, charset)
    if len(_OTHER_LETTERS.findall(sample)) * 20 > sum(map(len, letters)):
        return ""
    common = sum(1 for word in letters if word.lower() in _ENGLISH)
    return "en" if common and common * 12 >= len(letters) else ""


def _script(han: str, charset: str) -> str:
    """Characters that only one of the two national sets has tell the script."""
    not_simplified = len(han) - len(han.encode("gb2312", "ignore")) // 2
    not_traditional = len(han) - len(han.encode("big5", "ignore")) // 2
    if not_simplified != not_traditional:
        return "zh-Hant" if not_simplified > not_traditional else "zh-Hans"
    label = charset.lower()
    if "big5" in label or "950" in label:
        return "zh-Hant"
    return "zh-Hans" if "gb" in label or "936" in label else ""
