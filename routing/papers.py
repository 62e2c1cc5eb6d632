"""Papers: an agent ticks off what a customer was asked for and has brought. `!got ID card, bank book`."""

from __future__ import annotations

import re

from routing.deed import Act
from routing.once import asked_once, done_once
from routing.records import Document

MAX_ITEMS = 20  # of one command
MAX_ITEM = 80  # characters of what one is called

_BETWEEN = re.compile(r"[,，、;；]+")


def items_named(argument: str) -> tuple[str, ...] | None:
    """What has come, each once; None if nothing is named, or more than can be."""
    named = tuple(dict.fromkeys(" ".join(item.split()) for item in _BETWEEN.split(argument) if item.strip()))
    return named if 0 < len(named) <= MAX_ITEMS and all(len(item) <= MAX_ITEM for item in named) else None


@asked_once
def names_nothing(act: Act) -> str:
    return "bad_got" if items_named(act.argument) is None else ""


@done_once
def ticks_off(act: Act) -> str:
    items = items_named(act.argument)
    assert items is not None, "asked before"
    desk = act.desk
    desk.changes.documents += [
        Document(
            ticket=act.ticket.id, item=item, agent=act.agent.name, message=act.incoming.id, at=act.incoming.received_at
        )
        for item in items
    ]
    desk.tell(
        "document_received", ticket=act.ticket.id, message=act.incoming.id, agent=act.agent.name, count=len(items)
    )
    return ""
