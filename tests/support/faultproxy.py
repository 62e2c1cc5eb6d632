"""A TCP proxy that fails on demand: cut after so many octets, stall, half-open.

    async with FaultProxy(("127.0.0.1", server_port)) as proxy:
        connect to 127.0.0.1:proxy.port
        proxy.cut_after = 100_000      # octets from the server, over each new connection; then a reset
        proxy.cut()                    # reset everything that is open now
        proxy.stall()                  # forward nothing, in either direction, and say nothing: a dead line
        proxy.resume()
        proxy.stall_after = 100_000    # octets from the server, over each new connection; then silence, for ever
        proxy.refuse()                 # new connections are accepted and reset

A stalled proxy is what half-open looks like: each side believes the other is there, and nothing ever comes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from types import TracebackType

CHUNK = 64 * 1024


class FaultProxy:
    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.cut_after: int | None = None  # octets from the server on each connection made from now on
        self.stall_after: int | None = None  # likewise, and then nothing comes any more
        self.connections = 0
        self.port = 0
        self._refuses = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            _reset(writer)

    def stall(self) -> None:
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    def refuse(self, refuses: bool = True) -> None:
        self._refuses = refuses

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            if not self._refuses:
                await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either side going away is what this is for
        finally:
            _reset(writer)
            self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        self._writers |= {writer, far_writer}
        ways = [
            asyncio.ensure_future(self._pump(reader, far_writer)),
            asyncio.ensure_future(self._pump(far_reader, writer, self.cut_after, self.stall_after)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers -= {writer, far_writer}
            _reset(far_writer)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        limit: int | None = None,
        silent_after: int | None = None,
    ) -> None:
        passed = 0
        while data := await source.read(CHUNK):
            await self._flows.wait()
            if limit is not None and passed + len(data) >= limit:
                sink.write(data[: limit - passed])
                await sink.drain()
                return
            if silent_after is not None and passed + len(data) >= silent_after:
                sink.write(data[: silent_after - passed])
                await asyncio.Event().wait()  # until the connection is cut
            sink.write(data)
            passed += len(data)
            await sink.drain()
        await self._flows.wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a line that breaks; what was not yet sent is lost."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() != -1:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
