"""What the playground's page is told as it happens: the strip's dots, and which mailboxes got mail.

A stream of whole states, so that one that was missed is no loss. The event log is looked at only while a page is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

import orjson
import structlog
from aiohttp import hdrs, web

from channels.http import Refusal
from intake.demo.strip import Strip

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.25  # seconds between two looks at the event log
HEARTBEAT = 15.0  # seconds without news
MAX_WATCHERS = 20  # pages


class EventsAfter(Protocol):
    async def __call__(self, seq: int) -> Sequence[Mapping[str, Any]]:
        """Events with a higher `seq`, oldest first, at most some hundred; each with at least `seq`, `at` (aware),
        `kind`, and `message`, `ticket`, `agent` (None where it has none) and `data`."""


class News:
    """What a page is told as it happens: the dots, and a number for each mailbox that grows with each mail."""

    def __init__(self, events_after: EventsAfter) -> None:
        self._events_after = events_after
        self._strip = Strip()
        self._seq = 0
        self._mail: dict[str, int] = {}
        self._changed = asyncio.Event()  # set once, then replaced: whoever waits holds his own
        self._watchers = 0
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False

    def mail_came(self, key: str) -> None:
        self._mail[key] = self._mail.get(key, 0) + 1
        self._tell()

    async def close(self, app: web.Application) -> None:
        """End every stream: a listener waits for its handlers."""
        self._is_closed = True
        self._tell()

    async def stream(self, request: web.Request, now: Callable[[], datetime]) -> web.StreamResponse:
        """Server-sent events (WHATWG HTML §9.2): the whole state, whenever it has changed."""
        if self._watchers >= MAX_WATCHERS:
            raise Refusal(503, "Too many pages are open.", retry_after=5)
        headers = {hdrs.CONTENT_TYPE: "text/event-stream", hdrs.CACHE_CONTROL: "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        self._watchers += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="playground")
        try:
            while not self._is_closed:
                changed = self._changed
                await response.write(b"data: %b\n\n" % self._state(now()))
                # Without news the same state is said again: a dead connection is noticed, a live one kept open.
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT):
                        await changed.wait()
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._watchers -= 1
            if not self._watchers and self._looking is not None:
                self._looking.cancel()
                self._looking = None
        return response

    def _state(self, now: datetime) -> bytes:
        return orjson.dumps({"now": now, "mail": self._mail, "dots": [asdict(dot) for dot in self._strip.dots]})

    async def _look(self) -> None:
        """Follow the event log while somebody watches."""
        while True:
            try:
                events = await self._events_after(self._seq)
            except Exception as error:  # noqa: BLE001  # the strip stands still; the daemon must not
                log.warning("playground_cannot_read_events", error=repr(error))
                events = ()
            if events:
                self._seq = events[-1]["seq"]
                if self._strip.feed(events):
                    self._tell()
            else:
                await asyncio.sleep(LOOK_EVERY)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
