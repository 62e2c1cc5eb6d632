"""One spelling for each telephone number, and none for a number that is withheld."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.phone_numbers import MAX_NUMBER, canonical, is_region, spellings


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("0912-345-678", "TW", "+886912345678"),
        ("０９１２３４５６７８", "TW", "+886912345678"),
        ("+886 2 2345 6789", "TW", "+886223456789"),
        ("（02）2345-6789", "TW", "+886223456789"),
        ("02-1234-5678", "TW", "+886212345678"),  # in a range that the library does not list
        ("886912345678", "TW", "+886912345678"),
        ("493055571600", "TW", "+493055571600"),  # as sipgate sends it
        ("13800138000", "CN", "+8613800138000"),
        ("0086 138 0013 8000", "TW", "+8613800138000"),
        ("0086-13800138000", "US", "+8613800138000"),
        ("00886223456789", "TW", "+886223456789"),
        ("002886223456789", "TW", "+886223456789"),  # Taiwan's own international prefix
        ("2345 6789", "HK", "+85223456789"),
        ("400-812-3123", "CN", "+864008123123"),
        ("+886 2 2345 6789 ext. 12", "TW", "+886223456789"),
        ("02-2345-6789#123", "TW", "+886223456789"),
        ("+39 06 6982 0000", "TW", "+390669820000"),  # Italy keeps its leading zero
        ("sip:+886223456789@pbx.firm.example;user=phone", "TW", "+886223456789"),
        ("tel:+886-2-2345-6789;ext=9", "TW", "+886223456789"),
        ('"Wang" <sip:0912345678@192.0.2.1>', "TW", "+886912345678"),
        ("0800-080-123", "TW", "+886800080123"),
    ],
)
def test_a_number_has_one_spelling(number: str, region: str, expected: str) -> None:
    assert canonical(number, region) == expected


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("95588", "CN"),
        ("12366", "CN"),
        ("1999", "TW"),
        ("110", "TW"),
        ("801", "TW"),
        ("*97", "TW"),
        ("reception", "TW"),
        ("13800138000", "TW"),  # a Chinese mobile seen from Taiwan: without its country code it is anybody's
        ("0000000000", "TW"),
        ("+" + "9" * 40, "TW"),
    ],
)
def test_what_cannot_be_dialled_from_elsewhere_stays_as_sent(number: str, region: str) -> None:
    assert canonical(number, region) == number


@pytest.mark.parametrize(
    "number",
    [
        "",
        "  ",
        "anonymous",
        "Anonymous",
        "ＡＮＯＮＹＭＯＵＳ",
        "Private",
        "No Caller ID",
        "unknown",
        "<unknown>",
        '"Anonymous" <sip:anonymous@anonymous.invalid>',
        "未知號碼",
        "隐藏号码",
    ],
)
def test_a_withheld_number_is_none(number: str) -> None:
    assert canonical(number, "TW") == ""


@given(st.text(max_size=100), st.sampled_from(["TW", "CN", "HK", "US", "XX"]))
def test_a_second_look_changes_nothing_and_no_text_breaks_it(number: str, region: str) -> None:
    once = canonical(number, region)

    assert canonical(once, region) == once or not once.startswith("+")
    assert len(once) <= 20 * MAX_NUMBER  # NFKC makes eighteen characters of one, at most


def test_spellings_hold_the_number_as_written_and_as_calls_bring_it() -> None:
    assert spellings(["02-2345-6789", " voicemail ", ""], "TW") == {
        "02-2345-6789",
        "+886223456789",
        "voicemail",
    }


def test_regions_are_iso_codes() -> None:
    assert (is_region("TW"), is_region("Taiwan"), is_region("")) == (True, False, False)
