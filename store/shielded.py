"""Shielded: what must not be left half done is awaited to its end, whoever is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


async def to_the_end(work: Awaitable[T], on_cancelled: Callable[[], None] = lambda: None) -> T:
    """Await `work` to its end even when cancelled meanwhile; then let the cancellation through.

    Half a BEGIN or half a COMMIT would leave the lock of the database held by nobody. `on_cancelled` is called at the
    first cancellation, while the work goes on.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise
        on_cancelled()
        await patiently(task)
        if not task.cancelled() and task.exception() is None:
            undoing = asyncio.ensure_future(_undo(task.result()))
            await patiently(undoing)
            undoing.exception()
        raise


async def patiently(task: asyncio.Future[Any]) -> None:
    """Return when it is done, however often this is cancelled meanwhile."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(asyncio.wait([task]))


async def _undo(result: Any) -> None:
    """Give back what a cancelled caller will never see: a connection, or a begun transaction."""
    if isinstance(result, AsyncConnection):
        await result.close()
    elif hasattr(result, "rollback"):
        await result.rollback()
