"""A forward in words: what an agent is asked about the mail that he passed on."""

from __future__ import annotations

from datetime import datetime

from intake.cards import Stationery
from routing.records import Question


def asked_sender(question: Question, with_: Stationery, language: str, now: datetime) -> tuple[str, str]:
    """(why it is asked, and how to answer; the forwarded words)."""
    say = with_.texts.say
    guess = str(question.data.get("guess", ""))
    asked = say(
        "passed.asked",
        language,
        subject=str(question.data.get("asked", "")) or say("passed.no_subject", language),
        why=say(f"passed.why.{question.data['why']}", language),
        guess=say("passed.guess", language, address=guess) if guess else "",
    )
    return asked, str(question.data.get("preview", ""))


def caption(with_: Stationery, language: str) -> str:
    """What stands over the forwarded words."""
    return with_.texts.say("passed.shown", language)
