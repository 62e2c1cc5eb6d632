"""A note of absence is known by its words where nothing else tells it; an answer about a journey is not held."""

from __future__ import annotations

import pytest

from routing.away_words import read_like_absence

NOTES = [
    "您好，我目前休假中，將於 11/25 返回辦公室，急事請聯絡林小姐。",
    "感謝您的來信。本人 11/23 至 11/25 出差，無法即時回覆，緊急事項請撥打分機 102。",
    "我不在办公室，如有急事请联系同事。",
    "本人正在请假，将于周三恢复上班。",
    "這是自動回覆，我會盡快回信。",
    "Hello, I am out of the office until 25 November and will reply on my return.",
    "Thank you for your email. I am currently on annual leave and will be back on Monday.",
    "I will be away from my desk with limited access to email. For urgent matters please contact Lin.",
    "I'm on vacation until Nov 30. Please contact lin@firm.example in my absence.",
    "ＩＡｍ Ｏｕｔ Ｏｆ Ｏｆｆｉｃｅ, returning 11/25",
]
ANSWERS = [
    "您好，出差旅費可以列報，請附上收據。",
    "請假扣款的算法如下：日薪乘以天數。",
    "外出用餐的發票可以報。",
    "林小姐今天休假，我代她回覆：這一筆可以更正。",
    "Business travel can be claimed; please send the receipts.",
    "The office is closed on Friday. The return is due on Monday.",
    "產假期間的薪資照常申報，不受影響。",
    "可以更正。",
    "",
    "您好，" + "說明如下。" * 200 + "我出差中，將於週三返回。",
]


@pytest.mark.parametrize("words", NOTES)
def test_a_note_of_absence(words: str) -> None:
    assert read_like_absence(words)


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer(words: str) -> None:
    assert not read_like_absence(words)
