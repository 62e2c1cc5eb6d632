"""Told of what waits: who has answered or has the ticket by now, to whom the words would go, what has come since.

A mail of `told.*` says these beside the sentences of its code. Names, times and the customer's newest words are looked
up when it leaves: the row holds ids alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from intake import dates
from intake.cards import Stationery, customer_name, matter_of, messages_of
from routing.words import TicketState
from store import deadlines, tickets
from store.engine import Transaction
from store.outbox import OutboxItem
from store.seal import SealBroken

MAX_PEOPLE = 6  # recipients who are named; the rest are counted
MAX_COMMANDS = 5  # commands that are named
MAX_LOOKED_AT = 500  # open tickets of one agent


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What is said of a row beside the sentences of its code."""

    values: Mapping[str, str] = field(default_factory=dict)  # by, at: what the sentences are filled in with
    also: tuple[str, ...] = ()  # sentences of their own, behind why
    newer: str = ""  # the customer's words that came meanwhile, shown below the mark


async def holding_of(tx: Transaction, item: OutboxItem, with_: Stationery, language: str, now: datetime) -> Holding:
    """Everything that the recipe of a told mail asks for."""
    recipe = item.recipe
    values = {"by": _name(str(recipe.get("by", "")), with_), "at": "", "since": "", "who": ""}
    if recipe.get("at"):
        at = datetime.fromisoformat(str(recipe["at"]))
        values["at"] = dates.clock(at, with_.policy.timezone, language, now)
        values["since"] = with_.texts.say("told.since", language, at=values["at"])
    if item.ticket is not None and (matter := await matter_of(tx, item.ticket)) is not None:
        values["who"] = f"#{item.ticket} {customer_name(matter, with_, language)}".strip()
    also = [*_meant(recipe, with_, language), *_goes(recipe, with_, language)]
    if recipe.get("about"):
        also += await _load(tx, str(recipe["about"]), with_, language, now)
    newer = await _words(tx, int(recipe["newer"])) if recipe.get("newer") else ""
    return Holding(values=values, also=tuple(also), newer=newer)


def _name(agent: str, with_: Stationery) -> str:
    known = with_.policy.agents.get(agent)
    return known.display_name if known is not None else agent


def _meant(recipe: Mapping[str, object], with_: Stationery, language: str) -> list[str]:
    return [with_.texts.say("told.meant", language, meant=str(recipe["meant"]))] if recipe.get("meant") else []


def _goes(recipe: Mapping[str, object], with_: Stationery, language: str) -> list[str]:
    """To whom it would go, and what belongs to it."""
    say, found = with_.texts.say, []
    people = recipe.get("goes_to")
    if isinstance(people, list) and people:
        shown = [_person(str(name), str(address)) for name, address in people[:MAX_PEOPLE]]
        more = len(people) - MAX_PEOPLE
        joined = say("word.list_comma", language).join(shown) + (f" +{more}" if more > 0 else "")
        found.append(say("told.goes_to", language, people=joined))
    if files := recipe.get("with_files"):
        found.append(say("told.with_files", language, count=str(files)))
    if isinstance(undone := recipe.get("undone"), list) and undone:
        lines = say("word.list_comma", language).join(str(line) for line in undone[:MAX_COMMANDS])
        found.append(say("told.undone", language, commands=lines))
    if recipe.get("replaced"):
        found.append(say("told.replaced_before", language))
    return found


def _person(name: str, address: str) -> str:
    scheme, _, value = address.partition(":")
    shown = value if scheme in ("mailto", "tel") else ""
    return f"{name} <{shown}>" if name and shown else name or shown or address


async def _load(tx: Transaction, agent: str, with_: Stationery, language: str, now: datetime) -> list[str]:
    """How many tickets wait for an agent, and until when the first of them."""
    theirs = await tickets.found(tx, only_open=True, agent=agent, limit=MAX_LOOKED_AT)
    waiting = [t.id for t in theirs if t.state is TicketState.OPEN]
    targets = await deadlines.of_tickets(tx, waiting, only_open=True)
    due = sorted(target.due_at for some in targets.values() for target in some)
    if not waiting:
        return [with_.texts.say("told.absent_idle", language)]
    if not due:
        return [with_.texts.say("told.absent_load", language, count=str(len(waiting)))]
    first = dates.deadline_near(due[0], with_.policy.timezone, language, now)
    return [with_.texts.say("told.absent_due", language, count=str(len(waiting)), deadline=first)]


async def _words(tx: Transaction, message: int) -> str:
    try:
        found = (await messages_of(tx, [message])).get(message)
    except SealBroken:
        return ""
    return found.text if found is not None else ""
