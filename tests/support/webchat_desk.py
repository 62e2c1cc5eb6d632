"""A desk for one web chat, without the rest of the daemon: a ledger instead of a store, on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from channels.adapter import (
    Accepted,
    Arrival,
    Decided,
    Delivery,
    OutboundMessage,
    StoreUnavailable,
    Tools,
    TranscriptLine,
)
from channels.message import Address, Scheme
from channels.settings import WebchatSettings
from channels.webchat import build

HOST_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The firm</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
* { color: #334 !important; font-family: serif !important; }
body { margin: 0; display: grid; gap: 24px; background: #fbf9f4; }
header { padding: 40px 8vw 0; } h1 { font-size: 40px; margin: 0; }
p { padding: 0 8vw; max-width: 640px; line-height: 1.7; font-size: 18px; margin: 0; }
@media (prefers-color-scheme: dark) {
body { background: #191b1f; } * { color: #cdd2da !important; } }
</style></head><body><header><h1>Jade &amp; Lin Tax</h1></header>
<p id="words">Bookkeeping, tax filing and company registration for firms of every size, since 1998.</p>
<p>Our office is open from Monday to Friday. Write to us, ring us, or ask in the chat.</p>
<script src="/chat/widget.js"%s async></script></body></html>"""


class WallClock:
    """The real time: pages in a real browser are compared with it."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, when: datetime) -> None:
        await asyncio.sleep(max(0.0, (when - self.now()).total_seconds()))


class Desk:
    """Keeps what is accepted in order, gives it back as transcript, and can be told to fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = WallClock()
        self.arrivals: list[Arrival] = []
        self.ledger: list[tuple[str, TranscriptLine]] = []  # (session, line) in the order of commits
        self.delivered: list[tuple[str, int]] = []
        self.recalled: list[tuple[str, str]] = []
        self.is_down = False
        self.gate = asyncio.Event()  # accept waits here
        self.gate.set()
        self.promise = ""
        self.url = ""
        self._rows = 0
        self._waits = asyncio.Condition()

    async def accept(self, arrivals: Sequence[Arrival]) -> list[Accepted]:
        await self.gate.wait()
        if self.is_down:
            raise StoreUnavailable("the disk is full")
        done = []
        for arrival in arrivals:
            ids = [a.external_id for a in self.arrivals]
            is_duplicate = arrival.external_id in ids
            if not is_duplicate:
                self.arrivals.append(arrival)
                raw = orjson.loads(arrival.raw)
                number = len(self.arrivals)
                line = TranscriptLine(
                    id=f"m{number}",
                    is_from_visitor=True,
                    text=raw["text"],
                    at=arrival.received_at,
                    client_id=raw["client_id"],
                )
                self.ledger.append((raw["session"], line))
            number = ids.index(arrival.external_id) + 1 if is_duplicate else len(self.arrivals)
            decided: asyncio.Future[Decided] = asyncio.get_running_loop().create_future()
            done.append(Accepted(number, is_duplicate, decided))
        async with self._waits:
            self._waits.notify_all()
        return done

    async def accepted(self, count: int) -> list[Arrival]:
        """Wait until so many lines are kept."""
        async with asyncio.timeout(15), self._waits:
            await self._waits.wait_for(lambda: len(self.arrivals) >= count)
        return self.arrivals

    async def transcript(self, session: str, after: str) -> list[TranscriptLine]:
        self.recalled.append((session, after))
        if self.is_down:
            raise StoreUnavailable("the disk is full")
        lines = [line for of, line in self.ledger if of == session]
        ids = [line.id for line in lines]
        start = ids.index(after) + 1 if after in ids else 0
        return lines[start : start + 200]

    async def on_delivered(self, channel: str, outbox_id: int) -> None:
        if self.is_down:
            raise StoreUnavailable("the disk is full")
        self.delivered.append((channel, outbox_id))

    async def promised(self, _: str, language: str) -> str:
        return self.promise

    def session(self) -> str:
        """The only visitor's session."""
        [session] = {orjson.loads(a.raw)["session"] for a in self.arrivals}
        return session

    def tools(self) -> Tools:
        async def no_cursor(*_: object) -> Any:
            return None

        return Tools(
            clock=self.clock,
            progress=lambda note, within: None,
            read_cursor=no_cursor,
            save_cursor=no_cursor,
            transcript=self.transcript,
            state_dir=str(self.folder),
            on_delivered=self.on_delivered,
            chat_promise=self.promised,
        )

    def write(self, session: str, text: str, author: str = "陳小姐", ago: float = 0.0) -> OutboundMessage:
        """A line of ours, committed to the transcript and not yet sent. `ago` in seconds."""
        self._rows += 1
        at = self.clock.now() - timedelta(seconds=ago)
        line = TranscriptLine(id=f"o{self._rows}", is_from_visitor=False, text=text, at=at, author=author)
        self.ledger.append((session, line))
        return OutboundMessage(
            id=self._rows,
            recipient=Address(scheme=Scheme.WEB, value=session),
            body=text.encode(),
            author=author,
            sent_at=at,
        )

    async def say(self, session: str, text: str, author: str = "陳小姐") -> Delivery:
        """Write a line of ours and send it."""
        assert self.adapter.sender is not None
        return await self.adapter.sender.send(self.write(session, text, author))

    async def start_receiving(self) -> None:
        assert self.adapter.receiver is not None
        self._receiving = asyncio.create_task(self.adapter.receiver.receive(self.accept))
        await asyncio.sleep(0)

    async def stop_receiving(self) -> None:
        self._receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._receiving

    async def serve(self, port: int, **settings: Any) -> web.AppRunner:
        """Build the adapter and listen."""
        self.script_data = ""

        async def host_page(_: web.Request) -> web.Response:
            return web.Response(text=HOST_PAGE % self.script_data, content_type="text/html")

        app = web.Application()
        app.router.add_get("/", host_page)
        runner = web.AppRunner(app, handle_signals=False)
        # The port must be known before the origins are: bind first.
        listener = await asyncio.get_running_loop().run_in_executor(None, _bound, port)
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        model = WebchatSettings(**{"origins": (self.url,), "firm": "Jade & Lin", **settings})
        self.adapter = build("website", model, self.tools())
        assert self.adapter.routes is not None
        self.adapter.routes(app)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        return runner


def _bound(port: int) -> Any:
    import socket

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


@contextlib.asynccontextmanager
async def open_desk(folder: Path, *, is_receiving: bool = True, **settings: Any) -> AsyncIterator[Desk]:
    """A desk that listens and receives until the block ends."""
    desk = Desk(folder)
    runner = await desk.serve(0, **settings)
    if is_receiving:
        await desk.start_receiving()
    try:
        yield desk
    finally:
        if is_receiving:
            await desk.stop_receiving()
        await runner.cleanup()
