"""Rewording: a supervisor replaces one of the texts that customers read, and sees it before it counts.

`!text ack.email en` with the new words below. The preview shows them filled in; at his `!ok` they count from the next
mail on. `!text ack.email en` with `reset` as words brings the program's own text back. Only what customers read can
be replaced, and only with the placeholders that the text has.
"""

from __future__ import annotations

import re
from string import Formatter

from routing.confirming import ask
from routing.deed import Act
from routing.desk import Desk, Incoming
from routing.folding import fold
from routing.holding import tell_plainly
from routing.overlaying import TEXT
from routing.own_words import own_words
from routing.policy import Agent
from routing.records import Overlay, Question
from routing.words import QuestionKind

MAX_TEXT = 4000  # characters
LANGUAGES = {
    **dict.fromkeys(("zh-hant", "zh-tw", "zh-hk", "繁體", "繁体", "繁中"), "zh-Hant"),
    **dict.fromkeys(("zh-hans", "zh-cn", "簡體", "简体", "簡中", "简中"), "zh-Hans"),
    **dict.fromkeys(("en", "english", "英文", "英語", "英语"), "en"),
}
#: What a placeholder is filled with in the preview: nobody's name, nobody's number.
SAMPLES = {
    "greeting": "Wang Mei-ling",
    "name": "Wang Mei-ling",
    "ref": "#1042",
    "deadline": "15:30",
    "opens_at": "9:00",
    "firm": "…",
    "hotline": "02-2345-6789",
}
_RESET = re.compile(r"\s*[!！]?\s*(?:reset|還原|还原|恢復|恢复)\s*\Z", re.IGNORECASE)


def asked_text(act: Act) -> tuple[str, str] | None:
    """(key, language) that `!text` names; without a language the agent's own. None where there is no such text."""
    key, _, language = act.argument.strip().partition(" ")
    spoken = LANGUAGES.get(fold(language.strip()), "") if language.strip() else act.agent.language
    return (key, spoken) if key in act.desk.policy.rewordable and spoken else None


def wrong_text(act: Act) -> str:
    """Why these words cannot be that text; "" if they can."""
    asked = asked_text(act)
    if asked is None:
        return "no_such_text"
    words = _words(act)
    if _RESET.match(words):
        return ""
    if not words or len(words) > MAX_TEXT:
        return "no_words_for_text"
    try:
        fields = [field for field in Formatter().parse(words) if field[1] is not None]
    except ValueError:
        return "bad_placeholder"
    # A format behind the name, as in {ref:>999999999}, makes a text as long as it likes.
    is_plain = all(not spec and not conversion for _, _, spec, conversion in fields)
    names = {name for _, name, _, _ in fields}
    return "" if is_plain and names <= act.desk.policy.rewordable[asked[0]] else "bad_placeholder"


def _words(act: Act) -> str:
    """What he wrote below; his own signature is none of a customer's text."""
    return own_words(act.words, act.incoming, act.desk, act.agent)


def shows_text(act: Act) -> str:
    """Ask back with what customers would read."""
    asked = asked_text(act)
    assert asked is not None, "asked before"
    key, language = asked
    words = _words(act)
    words = "" if _RESET.match(words) else words
    ask(
        act.incoming,
        act.desk,
        act.agent,
        QuestionKind.TEXT,
        {"key": key, "language": language, "text": words},
        preview=words.format_map({n: SAMPLES.get(n, f"[{n}]") for n in act.desk.policy.rewordable[key]}),
        detail=f"{key} ({language})",
    )
    return ""


def confirmed_text(incoming: Incoming, desk: Desk, agent: Agent, question: Question) -> None:
    """It is said so from now on."""
    number = desk.new_overlay_number()
    desk.changes.overlays.append(
        Overlay(
            id=number,
            kind=TEXT,
            key=str(question.data["key"]),
            language=str(question.data["language"]),
            value={"text": str(question.data["text"])},
            agent=agent.name,
            at=desk.now,
        )
    )
    desk.tell(
        "text_replaced",
        message=incoming.id,
        agent=agent.name,
        overlay=number,
        text=str(question.data["key"]),
        language=str(question.data["language"]),
    )
    tell_plainly(incoming, desk, agent, "text_done", detail=f"{question.data['key']} ({question.data['language']})")
