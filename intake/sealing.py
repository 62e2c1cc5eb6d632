"""Sealing: the events that were committed are chained, soon after and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from channels.adapter import ProgressNote
from store import events
from store.engine import Database

EVERY = 1.0  # seconds; an event may stand unsealed that long
WHILE_BUSY = 5.0  # seconds: seals give way to messages, but never for long
AT_ONCE = 1_000  # events in one transaction
BETWEEN = 0.05  # seconds, where more wait than fit into one


async def keep_sealed(db: Database, progress: ProgressNote, is_busy: Callable[[], bool]) -> None:
    """Seal what is there, for ever; while messages wait, a little now and then."""
    while True:
        progress("sealing", 60.0)
        if is_busy():
            await asyncio.sleep(WHILE_BUSY)
        if not await db.read(events.unsealed):
            await asyncio.sleep(EVERY)
            continue
        sealed = await db.write(lambda tx: events.seal(tx, AT_ONCE))
        # Each look costs as much for one event as for many.
        await asyncio.sleep(EVERY if sealed < AT_ONCE else BETWEEN)
