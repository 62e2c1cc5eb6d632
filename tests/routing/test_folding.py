"""Folding: twins of a character become it, and what is no twin is left alone."""

from __future__ import annotations

import time

import pytest

from routing.folding import fold


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("ＩＮＶＯＩＣＥ　＃１２", "invoice　#12"),
        ("\u2f08\u4e8b", "\u4eba\u4e8b"),  # a Kangxi radical for the character "person"
        ("\uf9fb", "\u7099"),  # a compatibility ideograph
        ("\uf900", "\u8c48"),
        ("報稅退貨", "報稅退貨"),
        ("①㈱", "①㈱"),
    ],
)
def test_twins_are_made_plain(written: str, expected: str) -> None:
    assert expected == fold(written)


def test_ordinary_words_cost_no_more_than_their_length() -> None:
    began = time.process_time()
    fold("請問這個訂單的物流還沒有更新，麻煩協助處理" * 5000)

    assert time.process_time() - began < 0.2
