"""Gathering: which of what is due leaves as one mail, and which waits some seconds for more of its kind.

The first line of a chat leaves at once. What follows within the pause waits until the pause is over, and then leaves as
one (`bundle`). A line is only put off once: what was put off and is due leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from channels.message import Medium
from intake.bundle import Bundle, bundle_of, may_be_bundled
from routing.words import Purpose
from store import queues, tickets
from store.engine import Transaction
from store.outbox import OutboxItem, lane_of

MAX_LANES = 10_000  # chats whose last mail to the agent is remembered

LEAST = 0.05  # seconds that are worth waiting for

Later = Mapping[datetime, Sequence[OutboxItem]]


class Gathering:
    """Remembers when a chat's agent was last written to. Reads; writes nothing."""

    def __init__(self, pause: timedelta, ticks: Callable[[], float]) -> None:
        self._pause = pause.total_seconds()
        self._ticks = ticks
        self._last: dict[str, float] = {}  # lane -> when its last mail was begun

    async def look(
        self, tx: Transaction, items: Sequence[OutboxItem], now: datetime
    ) -> tuple[list[OutboxItem], list[Bundle], Later]:
        """What leaves now (of a bundle the one row), the bundles, and what is put off until when."""
        of_chats = await self._chats(tx, items)
        leaving: list[OutboxItem] = []
        bundles: list[Bundle] = []
        later: defaultdict[datetime, list[OutboxItem]] = defaultdict(list)
        for item in items:
            left = self._left(item) if item.id in of_chats and may_be_bundled(item) else 0.0
            if left > LEAST:
                later[now + timedelta(seconds=left)].append(item)
                continue
            bundle = bundle_of(await queues.behind(tx, item, now)) if may_be_bundled(item) else None
            if bundle is not None:
                bundles.append(bundle)
            leaving.append(bundle.into if bundle is not None else item)
            if item.id in of_chats:
                self._note(item)
        return leaving, bundles, later

    async def _chats(self, tx: Transaction, items: Sequence[OutboxItem]) -> set[int]:
        """The rows that tell an agent what was said in a chat."""
        to_agents = [i for i in items if i.purpose in (Purpose.ASSIGNMENT, Purpose.UPDATE) and i.ticket is not None]
        if not to_agents or self._pause <= 0:
            return set()
        found = await tickets.by_ids(tx, {i.ticket for i in to_agents if i.ticket is not None})
        return {i.id for i in to_agents if i.ticket in found and found[i.ticket].medium == Medium.CHAT}

    def _left(self, item: OutboxItem) -> float:
        """Seconds until the pause after the last mail of its lane is over."""
        last = self._last.get(lane_of(item))
        return 0.0 if last is None else last + self._pause - self._ticks()

    def _note(self, item: OutboxItem) -> None:
        if len(self._last) >= MAX_LANES:
            self._last = {lane: at for lane, at in self._last.items() if at + self._pause > self._ticks()}
        self._last[lane_of(item)] = self._ticks()
