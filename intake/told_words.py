"""Told words: what a mail that tells an agent something says beside the sentences of its code.

Most say what the decision wrote down. What a question asks, a list of tickets, a time: these are worded here, from the
store and in his language, when the mail leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from intake import covering_words, dates, forward_words, holiday_words
from intake.cards import Stationery
from intake.choices import CHOICES, in_braces, who_was_silent
from routing.confirming import CODE, first_mail_id, mark_of
from routing.policy import ChannelPolicy
from routing.records import Question
from routing.tokens import canary
from routing.words import QuestionKind
from store import questions
from store.engine import Transaction
from store.outbox import OutboxItem

#: Codes whose detail is a moment.
_MOMENTS = frozenset({"question_done", "question_dropped_before"})


#: Codes of mails that show a colleague's words: of advice the detail is his name.
_THEIRS = frozenset({"advice", "recorded_by"})


@dataclass(frozen=True, kw_only=True)
class ToldWords:
    """`desk` takes the place of what every mail to an agent begins with (`ToAgent`)."""

    detail: str
    quoted: str  # shown below the mark
    caption: str = ""  # over it; "" for the usual one
    desk: Mapping[str, Any] = field(default_factory=dict)


async def told_words(
    tx: Transaction, item: OutboxItem, with_: Stationery, channel: ChannelPolicy, language: str, now: datetime
) -> ToldWords:
    """What stands in the sentences of this row, and below them."""
    recipe = item.recipe
    if recipe["code"] == CODE:
        return await _question(tx, item, with_, channel, language, now)
    if (caption := covering_words.CAPTIONS.get(str(recipe["code"]))) is not None:
        detail, quoted = await covering_words.told(tx, recipe, with_, language, now)
        return ToldWords(detail=detail, quoted=quoted, caption=with_.texts.say(caption, language))
    detail, quoted = str(recipe.get("detail", "")), str(recipe.get("would_have_left", ""))
    if recipe["code"] in _MOMENTS and detail:
        detail = dates.near(datetime.fromisoformat(detail), with_.policy.timezone, language, now)
    if recipe["code"] in CHOICES:
        detail = CHOICES[recipe["code"]](with_, language)
    if recipe["code"] == "bad_placeholder":
        detail = in_braces(detail, with_, language) or with_.texts.say("told.bad_placeholder.none", language)
    if recipe["code"] == "wait_over":
        detail = await who_was_silent(tx, item, with_, language)
    if recipe["code"] == "holiday_done":
        detail = holiday_words.done(detail, with_, language, now)
    return ToldWords(detail=detail, quoted=quoted, caption=_whose(recipe, with_, language))


def _whose(recipe: Mapping[str, Any], with_: Stationery, language: str) -> str:
    """What stands over words that a colleague wrote; "" where they are the reader's own."""
    if recipe["code"] not in _THEIRS:
        return ""
    by = with_.policy.agents.get(str(recipe.get("by", "")))
    return with_.texts.say("told.their_words", language, by=by.display_name if by else str(recipe.get("detail", "")))


async def _question(
    tx: Transaction, item: OutboxItem, with_: Stationery, channel: ChannelPolicy, language: str, now: datetime
) -> ToldWords:
    number = int(item.recipe["question"])
    question = (await questions.by_ids(tx, [number])).get(number)
    if question is None:
        raise LookupError(f"there is no question {number}")
    asked, preview = _asked(question, with_, language, now)
    kind = QuestionKind(question.kind)
    if kind is QuestionKind.AWAY:
        preview = await covering_words.shared_out(tx, question, with_, language, now)
    first = first_mail_id(with_.keyring, channel, str(item.recipe["token"]), number)
    return ToldWords(
        detail=with_.texts.say(f"question.{question.kind}", language, detail=asked),
        quoted=preview,
        caption=_CAPTIONS[kind](with_, language) if kind in _CAPTIONS else "",
        desk={
            "canary": canary(with_.keyring, mark_of(number)),
            **({"references": (first,)} if item.mail_id != first else {}),
        },
    )


def asks(question: Question, with_: Stationery, language: str, now: datetime) -> str:
    """What a question asks, as a sentence without an end."""
    asked, _ = _asked(question, with_, language, now)
    return with_.texts.say(f"question.{question.kind}", language, detail=asked)


def _asked(question: Question, with_: Stationery, language: str, now: datetime) -> tuple[str, str]:
    """(what goes into the sentence of its kind, what is shown below)."""
    word = _WORDED.get(QuestionKind(question.kind))
    if word is not None:
        return word(question, with_, language, now)
    return str(question.data.get("asked", "")), str(question.data.get("preview", ""))


_Wording = Callable[[Question, Stationery, str, datetime], tuple[str, str]]
#: Kinds of question that are worded from what will be done.
_WORDED: Mapping[QuestionKind, _Wording] = {
    QuestionKind.AWAY: covering_words.asked_away,
    QuestionKind.FORWARD: forward_words.asked_sender,
    QuestionKind.HOLIDAY: holiday_words.asked_day_off,
}
#: What stands over the words that a question shows, where that is not what will be done.
_CAPTIONS: Mapping[QuestionKind, Callable[[Stationery, str], str]] = {QuestionKind.FORWARD: forward_words.caption}
