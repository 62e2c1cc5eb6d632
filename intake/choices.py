"""Choices: what an agent may write behind a command, in his language; and who has not written, for how long."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from intake import dates
from intake.cards import Stationery, customer_name, matter_of
from routing.words import Kind
from store.engine import Transaction
from store.outbox import OutboxItem


def _topics(with_: Stationery, language: str) -> str:
    names = (topic.names.get(language, key) for key, topic in with_.policy.topics.items())
    return with_.texts.say("word.list_comma", language).join(names)


def _kinds(with_: Stationery, language: str) -> str:
    names = (with_.texts.say(f"word.kind.{kind}", language) for kind in Kind)
    return with_.texts.say("word.list_comma", language).join(names)


def _texts(with_: Stationery, language: str) -> str:
    return with_.texts.say("word.list_comma", language).join(sorted(with_.policy.rewordable))


#: Code of a told mail -> what he may write.
CHOICES: Mapping[str, Callable[[Stationery, str], str]] = {
    "no_such_text": _texts,
    "unknown_topic": _topics,
    "unknown_senior": _topics,
    "unknown_kind": _kinds,
}


_TYPED = re.compile(r"[!！]\S+\s+(\S+)")


def in_braces(typed: str, with_: Stationery, language: str) -> str:
    """What may stand in braces in the text that `!text ack.email en` names; "" where it may hold none."""
    named = _TYPED.match(typed)
    names = with_.policy.rewordable.get(named[1], frozenset()) if named else frozenset[str]()
    return with_.texts.say("word.list_comma", language).join(f"{{{name}}}" for name in sorted(names))


async def who_was_silent(tx: Transaction, item: OutboxItem, with_: Stationery, language: str) -> str:
    """`王美玲 3 天`: the customer that was waited for, and how long."""
    matter = await matter_of(tx, item.ticket) if item.ticket is not None else None
    if matter is None:
        return ""
    since = datetime.fromisoformat(str(item.recipe["since"]))
    length = dates.span(item.created_at - since, language)
    return f"{customer_name(matter, with_, language)} {length}"
