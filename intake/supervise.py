"""Supervision: every loop is kept running, alone, and says when it will turn next.

A loop that ends, by returning or by raising, is started again after a wait: full jitter up to a cap, back to the
shortest after a healthy minute. `Fatal` ends the program. One that is overdue starves the watchdog; one that waits to
try again is not overdue, so one dead server never restarts the others.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from channels.adapter import Fatal, LoginRefused, ProgressNote, StoreUnavailable, TemporaryFailure
from routing.backoff import reconnect_delay

log = structlog.get_logger(__name__)

HEALTHY_AFTER = 60.0  # seconds of work after which the next failure counts as the first
LOGIN_REFUSED_WAIT = 15 * 60.0  # seconds; trying a wrong password again locks accounts
GRACE = 30.0  # seconds a loop may be late before it counts as overdue


@dataclass
class Progress:
    """What one loop last said, for /healthz and the watchdog."""

    name: str
    note: str = "starting"
    overdue_at: float = 0.0  # loop time
    failures: int = 0  # in a row
    last_error: str = ""
    is_waiting: bool = False  # between two tries


@dataclass
class Supervisor:
    """Runs loops by name, and knows how each of them is."""

    chance: Callable[[], float] = random.random
    loops: dict[str, Progress] = field(default_factory=dict)

    def progress(self, name: str) -> ProgressNote:
        """The note-taker that a loop is handed."""
        self.loops.setdefault(name, Progress(name=name))

        def say(note: str, next_turn_within: float) -> None:
            here = self.loops[name]
            here.note, here.is_waiting = note, False
            here.overdue_at = asyncio.get_running_loop().time() + next_turn_within + GRACE

        return say

    def overdue(self) -> list[str]:
        """Loops that should have turned by now."""
        now = asyncio.get_running_loop().time()
        return [p.name for p in self.loops.values() if p.overdue_at and now > p.overdue_at]

    async def keep(self, name: str, run: Callable[[], Awaitable[Any]]) -> None:
        """Run a loop for ever. Raises Fatal, and CancelledError when the program ends."""
        here = self.loops.setdefault(name, Progress(name=name))
        clock = asyncio.get_running_loop()
        while True:
            began = clock.time()
            wait: float | None = None
            try:
                await run()
                error = "it ended by itself"
            except (asyncio.CancelledError, Fatal):
                raise
            except LoginRefused as refused:
                error, wait = str(refused), LOGIN_REFUSED_WAIT
            except TemporaryFailure as away:  # the adapter's own sentence; where the server named a time, that
                error, wait = str(away), away.retry_after
            except StoreUnavailable as away:
                error = f"the store is not there: {away}"
            except ExceptionGroup as group:
                error = "; ".join(f"{type(e).__name__}: {e}" for e in group.exceptions)
            except Exception as failure:  # the one broad catch of every loop: logged by name, tried again
                error = f"{type(failure).__name__}: {failure}".strip().rstrip(":")
                log.debug("loop_failed_with", loop=name, exc_info=failure)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # It was told to end, and its cleaning up failed: that is a reason for a line, not to begin again.
                log.warning("loop_ended_badly", loop=name, error=error[:500])
                raise asyncio.CancelledError
            if clock.time() - began >= HEALTHY_AFTER:
                here.failures = 0
            here.failures += 1
            if wait is None:
                wait = reconnect_delay(here.failures, self.chance)
            here.last_error, here.is_waiting = error[:500], True
            here.note = f"tries again in {wait:.0f} s: {error[:200]}"
            here.overdue_at = clock.time() + wait + GRACE
            # The first failure and then ever more rarely: a server that is down for a night must not fill the log.
            if here.failures & (here.failures - 1) == 0:
                log.warning(
                    "loop_failed", loop=name, error=error[:500], failures=here.failures, again_in_s=round(wait, 1)
                )
            await asyncio.sleep(wait)
