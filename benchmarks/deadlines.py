"""A million open deadlines: what a look costs that finds nothing, and one that tells one; and how much memory.

The watcher is the daemon's own, over a SQLite store of its own; the clock is set, so that nothing is due but what is
said to be.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from support.handdesk import keep, stationery, store
from support.storefacts import NOW, HandClock, target, ticket

from intake.watch import Watcher
from store import deadlines

SIZE = 1_000_000
PIECE = 20_000  # written at a time
TICKS = 50


def run() -> Iterator[dict[str, Any]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as name:
        yield asyncio.run(_measured(Path(name)))


async def _measured(folder: Path) -> dict[str, Any]:
    async with store(folder) as db:
        due = NOW + timedelta(days=30)
        for start in range(0, SIZE, PIECE):
            numbers = range(2000 + start, 2000 + start + PIECE)
            later = [
                target(n, due_at=due, supervisor_at=due, warn_50_at=None, warn_80_at=None, next_at=due) for n in numbers
            ]
            await keep(db, targets=later)
            print(f"\r   {start + PIECE:,} deadlines", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        clock = HandClock(NOW)
        watcher = Watcher(db, clock, stationery, lambda note, within: None, lambda: None)
        await watcher.tick()
        before, tasks = _resident(), len(asyncio.all_tasks())
        idle = [await _tick(watcher) for _ in range(TICKS)]
        telling = []
        for number in range(TICKS):
            moment = NOW + timedelta(minutes=1 + number)
            facts = {"warn_50_at": None, "warn_80_at": None, "supervisor_at": None}
            await keep(db, ticket(100 + number), targets=[target(100 + number, due_at=moment, next_at=moment, **facts)])
            clock.at = moment
            telling.append(await _tick(watcher))
        async with db.reading() as tx:
            open_count = await deadlines.open_count(tx)
        return {
            "open deadlines": f"{open_count:,}",
            "tick, nothing due": f"{statistics.median(idle) * 1000:.2f} ms (slowest {max(idle) * 1000:.1f})",
            "tick that tells one": f"{statistics.median(telling) * 1000:.1f} ms (slowest {max(telling) * 1000:.1f})",
            "memory grown": f"{(_resident() - before) / 1024:.1f} MiB",
            "tasks grown": len(asyncio.all_tasks()) - tasks,
        }


async def _tick(watcher: Watcher) -> float:
    began = time.perf_counter()
    await watcher.tick()
    return time.perf_counter() - began


def _resident() -> float:
    """KiB."""
    pages = int(Path(f"/proc/{os.getpid()}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024
