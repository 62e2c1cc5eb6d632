"""The outbox worker at work by hand: a store, a clock that is set, two senders, and letters to send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from support.deskrun import policy
from support.handdesk import HandSender, moves, rows, stationery
from support.storefacts import MINUTE, NOW, HandClock, outgoing

from intake.deliver import Deliverer
from routing.backoff import RetrySchedule
from routing.records import NewOutbox
from routing.words import OutboxState, Purpose
from store.engine import Database

CHEN = "mailto:chen@firm.example"
SESSION = "0123456789abcdef"


class Post:
    """A store, a clock, two senders, and a worker that may be a new one at any time."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.clock = HandClock(NOW)
        self.mail, self.chat = HandSender(), HandSender()
        self.policy = policy()
        self.turns = 0  # of the loop
        self.ahead = 0.0  # seconds by which the clock was set back

    def worker(self, **changes: Any) -> Deliverer:
        facts: dict[str, Any] = {
            "ticks": self.ticks,
            "schedule": RetrySchedule(),
            "unknown_retry_after": 15 * MINUTE,
            "drain": timedelta(seconds=0.2),
        }
        senders = {"mail": self.mail, "website": self.chat}
        with_ = lambda: stationery(self.policy)  # noqa: E731
        return Deliverer(self.db, self.clock, senders, with_, self._turn, **(facts | changes))

    def ticks(self) -> float:
        """The clock that is never set goes with the one that a test sets, unless it says otherwise."""
        return (self.clock.at - NOW).total_seconds() + self.ahead

    @asynccontextmanager
    async def working(self, worker: Deliverer | None = None) -> AsyncIterator[Deliverer]:
        """A worker at work, as long as the block lasts."""
        worker = worker or self.worker()
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _turn(self, note: str, within: float) -> None:
        self.turns += 1

    async def idle(self, worker: Deliverer) -> None:
        """Return once whole turns of the loop have changed nothing; several, while something is being handed over."""
        was, same = None, 0
        async with asyncio.timeout(20):
            while same < 1 or (same < 6 and any(state == OutboxState.ATTEMPTING for _, state, _ in was or ())):
                for _ in range(2):  # the first may have been under way
                    before = self.turns
                    while self.turns == before:
                        worker.wake()
                        await asyncio.sleep(0.005)
                now = await moves(self.db)
                same = same + 1 if now == was else 0
                was = now

    async def at(self, moment: datetime, worker: Deliverer | None = None) -> None:
        """Let a worker, by itself a fresh one, do all there is to do at that moment."""
        self.clock.at = moment
        async with self.working(worker) as working:
            await self.idle(working)

    async def told(self) -> list[tuple[str | None, str]]:
        """(who, what) of the mails that tell an agent what became of his words."""
        return [(i.agent, i.recipe["code"]) for i in await rows(self.db) if i.purpose is Purpose.TOLD]


def answer(**changes: Any) -> NewOutbox:
    return outgoing(**({"source": None, "answered_at": NOW - MINUTE} | changes))


def to_agent(**changes: Any) -> NewOutbox:
    facts = {
        "address": CHEN,
        "purpose": Purpose.ASSIGNMENT,
        "source": None,
        "mail_id": "<b@firm.example>",
        "recipe": {"token": "", "message": None, "why": []},
    }
    return outgoing(**(facts | changes))


def chat_answer(**changes: Any) -> NewOutbox:
    return answer(**({"channel": "website", "address": f"web:{SESSION}", "mail_id": ""} | changes))
