"""Covering words: what waits for somebody who is away, and who takes it, a line for each ticket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from intake import dates
from intake.cards import Stationery, customer_name, matter_of
from intake.compose_words import clean_line
from routing.records import Question
from store import tickets
from store.engine import Transaction

MAX_ROWS = 50  # tickets shown; the rest are counted
MAX_NAME = 40  # characters of a customer's name


async def rows_as_text(
    tx: Transaction, rows: Sequence[Sequence[Any]], who: str, with_: Stationery, language: str, now: datetime
) -> str:
    """A line for each [ticket, due_at or "", [agents]]; `who`: the text that says what the agents are to it."""
    say = with_.texts.say
    await tickets.by_ids(tx, [int(row[0]) for row in rows[:MAX_ROWS]])
    lines = []
    for number, due, names in rows[:MAX_ROWS]:
        matter = await matter_of(tx, int(number))
        if matter is None:
            continue
        shown = [_called(name, with_) for name in names]
        near = dates.deadline_near(datetime.fromisoformat(due), with_.policy.timezone, language, now) if due else ""
        lines.append(
            say(
                "cover.line",
                language,
                ticket=str(number),
                name=clean_line(customer_name(matter, with_, language), MAX_NAME),
                due=say("cover.due", language, when=near) if near else say("cover.no_deadline", language),
                who=say(who, language, who=say("word.list_comma", language).join(shown))
                if shown
                else say("cover.nobody", language),
            )
        )
    if len(rows) > MAX_ROWS:
        lines.append(say("cover.more", language, count=str(len(rows) - MAX_ROWS)))
    return "\n".join(lines) or say("cover.none", language)


#: Code of a told mail -> the text over its tickets.
CAPTIONS: Mapping[str, str] = {
    "presence_off": "told.presence_list",
    "presence_break": "told.presence_list",
    "away_done": "told.away_list",
    "away_you": "told.away_list",
}


def asked_away(question: Question, with_: Stationery, language: str, now: datetime) -> tuple[str, str]:
    """Of a question whether somebody is away: (who, and when he is back; nothing: see `shared_out`)."""
    return _back(str(question.data["agent"]), str(question.data["back_at"]), with_, language, now), ""


async def shared_out(tx: Transaction, question: Question, with_: Stationery, language: str, now: datetime) -> str:
    """What would become of his tickets, a line for each."""
    return await rows_as_text(tx, question.data["rows"], "cover.gets", with_, language, now)


async def told(
    tx: Transaction, recipe: Mapping[str, Any], with_: Stationery, language: str, now: datetime
) -> tuple[str, str]:
    """Of a mail that tells who is away: (until when, for `away_done` of whom; the tickets)."""
    back_at = str(recipe["detail"])
    if recipe["code"] == "away_done":
        detail = _back(str(recipe["who"]), back_at, with_, language, now)
    else:
        detail = dates.near(datetime.fromisoformat(back_at), with_.policy.timezone, language, now)
    who = "cover.gets" if str(recipe["code"]).startswith("away") else "cover.could"
    return detail, await rows_as_text(tx, recipe["rows"], who, with_, language, now)


def _back(name: str, back_at: str, with_: Stationery, language: str, now: datetime) -> str:
    when = dates.near(datetime.fromisoformat(back_at), with_.policy.timezone, language, now)
    return with_.texts.say("cover.back", language, who=_called(name, with_), when=when)


def _called(name: str, with_: Stationery) -> str:
    agent = with_.policy.agents.get(name)
    return agent.display_name if agent else name
