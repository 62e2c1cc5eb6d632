"""What is said of those who were looked at."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from routing.candidates import SENTENCES, told

ROUTING = Path(__file__).parents[2] / "routing"


def codes_given() -> set[str]:
    """Every code that assigning writes into a candidate, or into what is counted as one."""
    found = {""}
    for name in ("assignment.py", "crowd.py"):
        for node in ast.walk(ast.parse((ROUTING / name).read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                found.add(node.value)
    return found


def test_every_sentence_is_of_a_code_that_is_given() -> None:
    assert set(SENTENCES) <= codes_given()


@pytest.mark.parametrize("code", SENTENCES)
def test_the_three_languages_tell_the_same_facts(code: str) -> None:
    facts = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in SENTENCES[code]]

    assert facts[0] == facts[1] == facts[2]
    assert "agent" in facts[0]


@pytest.mark.parametrize(
    ("candidate", "language", "said"),
    [
        (["chen", ""], "en", "chen could take it."),
        (["chen", "off_duty"], "en", "chen is off duty."),
        (["chen", "", "taken", 0], "en", "chen was taken."),
        (["chen", "", "later", 12], "zh-Hant", "chen 可以接，但要晚一點才有空（手上還要約 12 分鐘）。"),
        (["chen", "too_late", "", 40], "zh-Hans", "chen 会来不及（手上还要约 40 分钟）。"),
        (["chen", "moonstruck", "", 0], "en", "chen moonstruck."),
    ],
)
def test_a_candidate_as_a_sentence(candidate: list[object], language: str, said: str) -> None:
    assert told(candidate, language) == said
