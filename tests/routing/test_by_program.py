"""What a mail program says in its user's name is told apart from what he writes."""

from __future__ import annotations

import pytest

from channels.message import Attachment
from routing.by_program import MAX_WORDS, written_by_program

PROGRAMS = [
    'Chen, Yi-Chun would like to recall the message, "Re: [#1001] VAT".',
    "陳怡君 想要回收郵件「Re: [#1001] 王美玲」。",
    "陈怡君 将撤回邮件“Re: [#1001]”。",
    "👍\n\nChen reacted via Gmail\n<https://www.google.com/gmail/about/?utm_source=gmail-in-product>",
    "[Like] 陳怡君 reacted to your message:",
    "👍 陳怡君 透過 Gmail 做出回應",
]
PEOPLE = [
    "您好，可以更正。",
    "👍",
    "收到，謝謝。",
    "您好，若要撤回申請，請在月底前來電。",
    "您好，您的更正申報可以撤回，郵件請寄到國稅局。",
    "Hello, the message that you sent us on Monday has arrived.",
    "You can recall the declaration until 31 May.",
    "您可以透過 Gmail 寄給我們。",
]


@pytest.mark.parametrize("words", PROGRAMS)
def test_a_recall_and_a_reaction_are_no_answers(words: str) -> None:
    assert written_by_program(words)


@pytest.mark.parametrize("words", PEOPLE)
def test_what_people_write_is_theirs(words: str) -> None:
    assert not written_by_program(words)


def test_a_reaction_is_known_by_its_part_in_any_language() -> None:
    part = Attachment(path="2", name="", media_type="text/vnd.google.email-reaction+json", size=40, sha256="0" * 64)

    assert written_by_program("🎉 Chen hat reagiert", [part])


def test_a_letter_that_speaks_of_a_recall_is_a_letter() -> None:
    assert not written_by_program("Chen would like to recall the message, says his program. " + "x" * MAX_WORDS)
