"""The address that a browser is sent to after a sign-in: caught where it runs here, or pasted by whoever runs it.

async with brought_address(sys.stdin) as (redirect, bring):
    show a person where to sign in, with this redirect
    address = await bring()            # again, where it was not the right one
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TextIO

from intake.command.failure import Exit, Failure

MAX_ADDRESS = 8 * 1024  # octets
PAGE = "You are signed in; this window may be closed. Go back to the terminal."
_ANSWER = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nReferrer-Policy: no-referrer\r\n"
    f"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: {len(PAGE)}\r\n\r\n{PAGE}"
)


@asynccontextmanager
async def brought_address(typed: TextIO) -> AsyncIterator[tuple[str, Callable[[], Awaitable[str]]]]:
    """(redirect address, how to wait for the next one that is brought). Raises Failure when the input ends."""
    brought: asyncio.Queue[str | None] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, TimeoutError, asyncio.LimitOverrunError):
            async with asyncio.timeout(10):
                words = (await reader.readline()).decode("ascii", "replace").split()
                if len(words) == 3 and words[0] == "GET" and "?" in words[1]:
                    brought.put_nowait(f"{redirect.rstrip('/')}{words[1]}")
                writer.write(_ANSWER.encode())
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=MAX_ADDRESS)
    redirect = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    stop = _read_lines(typed, brought)

    async def bring() -> str:
        address = await brought.get()
        if address is None:
            raise Failure(Exit.WRONG, "no address was brought", "run it on a terminal, or where the browser runs")
        return address

    try:
        yield redirect, bring
    finally:
        stop()
        server.close()


def _read_lines(typed: TextIO, brought: asyncio.Queue[str | None]) -> Callable[[], None]:
    """Put typed lines into the queue, None at their end; returns how to stop. Not in a thread: Ctrl-C must end it."""
    loop = asyncio.get_running_loop()
    rest = b""

    def something_is_there() -> None:
        nonlocal rest
        octets = os.read(typed.fileno(), MAX_ADDRESS)
        *lines, rest = (rest + octets).split(b"\n")
        rest = rest[-MAX_ADDRESS:]
        for line in lines if octets else [rest]:
            if line.strip():
                brought.put_nowait(line.decode("utf-8", "replace").strip())
        if not octets:
            stop()
            brought.put_nowait(None)

    def stop() -> None:
        loop.remove_reader(typed.fileno())

    try:
        loop.add_reader(typed.fileno(), something_is_there)
    except (OSError, ValueError):  # a file, or no standard input at all: the browser may still come
        return lambda: None
    return stop
