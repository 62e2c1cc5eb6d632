"""A letter to an agent, as his chat shows it."""

from __future__ import annotations

import pytest
from support.letters import CANARY, agent_facts, told_facts

from intake import compose, dates
from intake.compose_chat import MAX_LETTER, buttons_in_chat, letter_in_chat, notice_in_chat
from intake.compose_words import unfolded
from intake.texts_loader import load
from routing.commands import parse

TEXTS = load()


def shown(mail: bytes, language: str = "zh-Hant") -> str:
    return letter_in_chat(mail, language, TEXTS).decode()


def test_it_says_what_the_mail_says_and_how_to_answer_here() -> None:
    with unfolded():
        text = shown(compose.agent_mail(agent_facts(), TEXTS))
    assert text.startswith("[#1042] 王美玲 · ")
    assert "銷項金額好像少算了一張發票" in text
    assert "對這則訊息按「回覆」" in text
    assert "本信" not in text
    assert "mailto:" not in text
    assert CANARY in text  # the guard knows it by that


def test_lines_are_not_folded_for_a_mail_program() -> None:
    folded = shown(compose.told_mail(told_facts(), TEXTS))
    with unfolded():
        text = shown(compose.told_mail(told_facts(), TEXTS))
    assert "".join(text.split()) == "".join(folded.split())
    assert len(text.splitlines()) < len(folded.splitlines())


def test_it_is_one_message_however_long_the_mail_is() -> None:
    with unfolded():
        text = shown(compose.agent_mail(agent_facts(words="一段話\n" * 3000), TEXTS))
    assert len(text) <= MAX_LETTER + 2
    assert text.endswith("…")


@pytest.mark.parametrize("language", dates.LANGUAGES)
def test_each_button_says_a_command(language: str) -> None:
    buttons = buttons_in_chat(language, TEXTS)
    assert all(len(parse(says).commands) == 1 and not parse(says).rest for _, says in buttons)
    assert all(len(says.encode()) <= 64 for _, says in buttons)  # core.telegram.org/bots/api#inlinekeyboardbutton


@pytest.mark.parametrize("language", dates.LANGUAGES)
def test_a_notice_names_the_number_and_nothing_else(language: str) -> None:
    said = notice_in_chat(1042, language, TEXTS).decode()
    assert "#1042" in said
    assert len(said) < 80
