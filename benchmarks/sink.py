"""An SMTP server, as a process, that takes everything and keeps nothing: where the benches' mails end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import TracebackType

ROOM = 4 * 1024 * 1024  # octets read at a time


class Sink:
    """Listens on a port that it tells."""

    def __enter__(self) -> Sink:
        self._process = subprocess.Popen([sys.executable, "-m", "benchmarks.sink"], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)


class _Session(asyncio.Protocol):
    """Just enough of RFC 5321 for a client that asks nothing unusual."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._out = transport
        self._buffer = b""
        self._is_data = False
        self._out.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        if self._is_data:
            # Only the end is looked at: octets of a mail are thrown away as they come.
            self._buffer = (self._buffer + data[-5:])[-5:] if len(data) < 5 else data[-5:]
            if self._buffer.endswith(b"\r\n.\r\n"):
                self._is_data, self._buffer = False, b""
                self._out.write(b"250 taken\r\n")
            return
        self._buffer += data
        while not self._is_data and b"\r\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\r\n")
            self._answer(line[:4].upper())

    def _answer(self, verb: bytes) -> None:
        if verb == b"EHLO":
            self._out.write(b"250-sink\r\n250-SIZE 100000000\r\n250 8BITMIME\r\n")
        elif verb == b"DATA":
            self._is_data, self._buffer = True, b""
            self._out.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            self._out.write(b"221 bye\r\n")
            self._out.close()
        else:
            self._out.write(b"250 ok\r\n")


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
