"""Charsets: what labels of the Chinese world really mean, and what is done where they lie."""

from __future__ import annotations

import pytest

from channels.charsets import decode

HANS = "您好，我想咨询个人所得税年度汇算清缴的退税问题。"
HANT = "您好，我想諮詢綜合所得稅的退稅問題，謝謝。"


@pytest.mark.parametrize(
    ("label", "written_as", "text"),
    [
        ("gb2312", "gbk", "朱镕基路"),
        ("GB_2312-80", "gb18030", "㐀𠮷野家"),
        ("x-gbk", "gbk", HANS),
        ("hz-gb-2312", "hz", HANS),
        ("big5", "big5hkscs", "唔該，我哋想問報稅嘅期限"),
        ("cp950", "cp950", "費用 €100"),
        ("'UTF-8'", "utf-8", HANT),
        ("utf8mb4", "utf-8", HANT),
        ("utf-16", "utf-16", HANT),
        ("iso-2022-jp", "iso-2022-jp", "税金"),
        ("ks_c_5601-1987", "cp949", "세금"),
        ("iso-8859-1", "cp1252", "Größe – 5 €"),
        ("windows-1251", "cp1251", "налог"),
        ("big5", "cp950", "費用 €100‧￥5"),
        ("big5", "big5hkscs", "①②③ 唔該"),
        ("big5", "cp950", "１～３月"),
        ("x-windows-950", "cp950", "碁粧裏"),
        ("cp50220", "iso-2022-jp", "税金"),
        ("iso-2022-jp", "iso2022_jp_2004", "①税金"),
        ("iso-2022-kr", "iso2022_kr", "세금"),
        ("utf-7", "utf-7", HANT),
        ("unicode-1-1-utf-7", "utf-7", "A+B 退稅"),
        ("charset=utf-8", "utf-8", HANT),
        ("utf-8; format=flowed", "utf-8", HANT),
        ("iso-8859-8-i", "iso8859-8", "מס"),
        ("macintosh", "mac_roman", "Größe"),
        # labels that lie
        ("utf-8", "gbk", HANS),
        ("utf-8", "big5", HANT),
        ("gb2312", "utf-8", HANS),
        ("big5", "utf-8", HANT),
        ("gbk", "big5", HANT),
        ("big5", "gbk", HANS),
        ("iso-8859-1", "gbk", HANS),
        ("windows-1252", "utf-8", HANS),
        ("us-ascii", "big5", HANT),
        ("gbk", "gbk", "請問綜合所得稅的申報期限與補稅辦法"),
        ("gbk", "gbk", "联通"),  # two octets a character: valid utf-8 by chance
        ("big5", "utf-8", "退稅"),
        ("euc-kr", "utf-8", HANT),
        ("shift_jis", "utf-8", HANT),
        ("iso-2022-jp", "utf-8", HANT),
        # no label, or none that is a charset
        ("", "utf-8", HANT),
        ("", "gbk", HANS),
        ("", "big5", HANT),
        ("", "cp1252", "été à Zürich"),
        ("", "iso-2022-jp", "税金の還付"),
        ("us-ascii", "iso-2022-jp", "税金"),
        ("x-unknown", "gbk", HANS),
        ("unicode_escape", "utf-8", "a\\u0041"),
        ("punycode", "ascii", "bcher-kva"),
        ("rot13", "ascii", "plain"),
    ],
)
def test_text_is_read_as_it_was_meant(label: str, written_as: str, text: str) -> None:
    assert decode(text.encode(written_as), label) == text


def test_a_cut_character_does_not_change_the_charset() -> None:
    assert decode(HANT.encode()[:-1], "utf-8") == HANT[:-1] + "\ufffd"
    assert decode(HANT.encode()[1:], "") == "\ufffd\ufffd" + HANT[1:]


def test_no_lone_surrogate_comes_out() -> None:
    assert decode(b"+2AA-x", "utf-7").encode("utf-8")


def test_iso_2022_cn_is_read() -> None:
    assert (
        decode(b"a \x1b$)A\x0e" + bytes(o & 0x7F for o in "退税".encode("gb2312")) + b"\x0f b", "iso-2022-cn")
        == "a 退税 b"
    )
