"""Bundling: what waits for one agent about one ticket leaves as one mail.

A visitor writes in lines, one seconds after the other, and customers write again while a slow account still waits to
send. Only what differs in nothing but its words is bundled: a message of another standing, or with a link to its files,
stays apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from routing.words import OutboxState, Purpose
from store.outbox import OutboxItem

_OWN = frozenset({"token", "acts", "message", "messages", "why"})  # what each has of its own in its recipe


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Rows that become one."""

    into: OutboxItem  # the newest, with its token, and a recipe that names all the messages
    merged: tuple[OutboxItem, ...]  # the others, oldest first


def may_be_bundled(item: OutboxItem) -> bool:
    """Whether more may be put to it, or it to more: never tried, and about a message."""
    return (
        item.purpose is Purpose.UPDATE
        and item.ticket is not None
        and item.state is OutboxState.PENDING
        and item.attempts == 0
        and item.recipe.get("message") is not None
    )


def bundle_of(waiting: Sequence[OutboxItem]) -> Bundle | None:
    """`waiting`: rows of one lane, oldest first. None where nothing behind the first may join it."""
    alike = list(takewhile(lambda item: may_be_bundled(item) and _is_like(item, waiting[0]), waiting))
    if len(alike) < 2:
        return None
    *merged, newest = alike
    messages = [number for item in alike for number in item.recipe.get("messages", [item.recipe["message"]])]
    return Bundle(into=replace(newest, recipe={**newest.recipe, "messages": messages}), merged=tuple(merged))


def _is_like(one: OutboxItem, other: OutboxItem) -> bool:
    return (one.channel, one.agent, _rest(one)) == (other.channel, other.agent, _rest(other))


def _rest(item: OutboxItem) -> dict[str, Any]:
    return {name: value for name, value in item.recipe.items() if name not in _OWN}
