"""Beside the loop: work on many octets is done in a thread, so that nobody else waits for it.

The interpreter's lock is handed over between the steps of such work, so each single step on octets must be short: a
long one (25 MB of base64 in one go) would stop the loop from its thread as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE = 512 * 1024  # octets; below, a thread costs more than it spares


async def beside(octets: int, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """What `work` gives; done in a thread where it is about so many octets.

    Whoever asks from within an errand of the store is in a thread already, and waits for nothing but the store.
    """
    if octets < LARGE or not _is_on_a_loop():
        return work(*args, **named)
    return await asyncio.to_thread(work, *args, **named)


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
