"""Every code that a decision gives has a sentence, and every sentence is given by some decision."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from routing.reasons import SENTENCES, Reason, because, sentence
from routing.threads import ThreadKey

ROUTING = Path(__file__).parents[2] / "routing"


def _codes_given() -> set[str]:
    codes: set[str] = set()
    for path in ROUTING.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "because":
                found = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
                codes.update(str(code) for code in found if code != "joined_")
    return codes | {f"joined_{key.value}" for key in ThreadKey if key is not ThreadKey.NONE}


def test_every_code_has_a_sentence_and_every_sentence_a_code() -> None:
    assert _codes_given() == set(SENTENCES)


@pytest.mark.parametrize("code", SENTENCES)
def test_the_three_languages_tell_the_same_facts(code: str) -> None:
    told = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in SENTENCES[code]]

    assert told[1] == told[2]
    assert told[1] <= told[0] | {"ticket"}


def test_a_sentence_is_filled_in_each_language() -> None:
    reason = because("peer_cap", count=21, cap=20)

    assert sentence(reason) == (
        "21 messages came from this sender within an hour; more than 20 get no automatic answer."
    )
    assert sentence(reason, "zh-Hant") == "一小時內來了 21 封，超過 20 封就不自動回覆。"
    assert sentence(reason, "zh-Hans") == "一小时内来了 21 封，超过 20 封就不自动回复。"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason("stranger"), "It refers to #ticket, but the sender does not belong to it: an agent decides."),
        (Reason("from_the_future"), "from_the_future"),
        (Reason("from_the_future", "Somebody wrote this."), "Somebody wrote this."),
        (Reason("person", "Really."), "A person wrote it. Really."),
        (because("report", kind="{0.__class__}"), "It reports on a mail of ours ({0.__class__})."),
    ],
)
def test_a_reason_of_another_version_still_reads(reason: Reason, said: str) -> None:
    assert sentence(reason) == said
