"""Loads: what open work weighs against an agent's capacity, and how many minutes it will probably cost him.

Pure. A ticket that waits for its agent costs what its medium or its kind costs, whichever is more; once he has
answered it costs nothing until the customer speaks again. The firm may write other minutes into [assignment].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

#: Minutes of an agent's attention until he has answered, where nothing is configured.
DEFAULT_MINUTES: Mapping[str, float] = {
    "chat": 1.5,  # one turn of a conversation
    "telegram": 1.5,
    "line": 1.5,
    "wecom": 1.5,
    "whatsapp": 1.5,
    "phone": 5.0,
    "email": 10.0,
    "complaint": 15.0,
}
#: Minutes from the handing out until a first answer has left, of somebody who has nothing else to do.
DEFAULT_FIRST: Mapping[str, float] = {
    "chat": 0.6,  # seen after some seconds, a line typed
    "telegram": 0.6,
    "line": 0.6,
    "wecom": 0.6,
    "whatsapp": 0.6,
    "phone": 0.1,
}
OTHER_MINUTES = 10.0  # of a medium that is not in the table


class Load(NamedTuple):
    """Some open work."""

    tickets: int = 0
    minutes: float = 0.0  # of attention until all of it is answered
    weight: int = 0  # against `Agent.capacity`


NOTHING = Load()
ONE = Load(1, 0.0, 1)


@dataclass(frozen=True, kw_only=True)
class LoadRules:
    """What one ticket weighs and costs, by medium ("chat") and by kind ("complaint")."""

    weights: Mapping[str, int] = field(default_factory=dict)  # 1 for what is not here
    minutes: Mapping[str, float] = field(default_factory=lambda: DEFAULT_MINUTES)
    first: Mapping[str, float] = field(default_factory=lambda: DEFAULT_FIRST)  # for what is not here, `minutes`

    def of(self, medium: str, kind: str) -> Load:
        """One ticket's load."""
        cost = max(self.minutes.get(medium, OTHER_MINUTES), self.minutes.get(kind, 0.0))
        return Load(1, cost, max(self.weights.get(medium, 1), self.weights.get(kind, 1)))

    def first_of(self, medium: str, kind: str) -> float:
        """Minutes until a first answer to such a ticket has left."""
        found = self.first.get(medium)
        return found if found is not None else self.of(medium, kind).minutes


def added(load: Load, more: Load, times: int = 1) -> Load:
    """Both together; with `times=-1` less, and never less than nothing."""
    return Load(
        max(0, load.tickets + times * more.tickets),
        max(0.0, load.minutes + times * more.minutes),
        max(0, load.weight + times * more.weight),
    )
