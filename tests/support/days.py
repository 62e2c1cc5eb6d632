"""Days of a desk on a clock that jumps: from one moment at which something is due to the next, however long that is.

The loops are the daemon's own: watcher, decider, outbox. Nothing sleeps; a fortnight lasts as long as its work.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from support import handdesk
from support.attackdesk import AttackedDesk, Letter

from intake.watch import Watcher
from store import deadlines, reminders
from store.outbox import OUTBOX


@dataclass
class Days(AttackedDesk):
    """`until(moment)` lets everything happen that is due by then, each at its time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.jumps = 0

    async def until(self, moment: datetime) -> list[Letter]:
        """What leaves meanwhile."""
        left: list[Letter] = []
        while True:
            at = await self._next()
            is_last = at is None or at > moment
            self.clock.at = moment if is_last or at is None else max(at, self.clock.at)
            left += await self._happens()
            if is_last:
                return left

    async def _happens(self) -> list[Letter]:
        self.jumps += 1
        watcher = Watcher(
            self.db, self.clock, lambda: handdesk.stationery(self.policy), lambda note, within: None, lambda: None
        )
        await watcher.tick()
        await self.does_duties()
        waits = await self._first_attempt()
        return await self.leaves() if waits is not None and waits <= self.clock.at else []

    async def _first_attempt(self) -> datetime | None:
        async with self.db.reading() as tx:
            found = select(func.min(OUTBOX.c.next_attempt_at)).where(OUTBOX.c.next_attempt_at.is_not(None))
            first: datetime | None = await tx.scalar(found)
            return first

    async def _next(self) -> datetime | None:
        """The next moment after now at which somebody would wake up."""
        now = self.clock.at
        async with self.db.reading() as tx:
            found = [await deadlines.next_at(tx), await reminders.next_at(tx), await deadlines.relieve_at(tx)]
        found.append(await self._first_attempt())
        return min((at for at in found if at is not None and at > now), default=None)
