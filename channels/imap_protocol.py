"""aioimaplib, hardened: the library's IMAP state machine without its ways to hang, to recurse or to tell secrets.

Version 2.0.3 recurses once per line, never wakes a command whose connection has died, waits for ever on BYE,
writes every octet to its debug log, has no STARTTLS and loses an EXISTS that comes outside IDLE. All of that is
mended here and nowhere else. A connection that has failed once is unusable: `abort()` it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from aioimaplib import aioimaplib as lib

MAX_LINE = 32 * 1024 * 1024  # bytes; the answer to UID SEARCH is one line of all UIDs
MAX_LINES_A_SLICE = 400  # the library recurses once per line

# Below WARNING the library logs message bodies and passwords.
logging.getLogger(lib.__name__).setLevel(logging.WARNING)


class Protocol(lib.IMAP4ClientProtocol):  # type: ignore[misc]
    """The library's state machine with bounded recursion and memory; no command outlives its connection."""

    state: str
    current_command: Any
    pending_sync_command: Any
    incomplete_line: bytes

    def __init__(self, loop: asyncio.AbstractEventLoop, max_literal: int) -> None:
        super().__init__(loop, None)
        self.greeting: asyncio.Future[bytes] = loop.create_future()
        self.greeting.add_done_callback(retrieve)
        self.news = asyncio.Event()  # mail may have come, or the server is leaving
        self.farewell = ""  # what the server said with BYE, or how the connection broke
        self.answered = 0  # octets since the last command was sent
        self._max_literal = max_literal
        self._replies: list[bytes] = []  # what is said next when the server asks during a login
        self._last_reply = b""

    async def ask_in_turns(self, command: Any, replies: Sequence[bytes], last: bytes = b"") -> Any:
        """A command during which the server asks again: each time the next reply, and `last` when they are used up.

        The library leaves the question that precedes a refused token unanswered, and waits for ever.
        """
        self._replies, self._last_reply = list(replies), last
        try:
            return await self.execute(command)
        finally:
            self._replies = []

    def _continuation(self, line: bytes) -> None:
        command = self.pending_sync_command
        if command is None or command.name not in ("AUTHENTICATE", "LOGIN"):
            super()._continuation(line)
            return
        # Written as octets: the library's `send` logs what it sends.
        self.transport.write((self._replies.pop(0) if self._replies else self._last_reply) + b"\r\n")

    def data_received(self, data: bytes) -> None:
        self.answered += len(data)
        try:
            self._feed(data)
        # Whatever a confused or hostile server makes the library raise: this connection is over.
        except (lib.AioImapException, ValueError, LookupError, AttributeError, RecursionError) as error:
            self.farewell = self.farewell or f"unreadable answer: {error!r}"[:200]
            self.transport.abort()

    def _feed(self, data: bytes) -> None:
        """As the library's `data_received`, without its debug line (a repr of every octet) and in slices."""
        while data:
            command = self.current_command
            if command is not None and command.wait_literal_data() and not self.incomplete_line:
                data = command.append_literal_data(data)  # the bulk of all octets takes this short way
                continue
            step = 4096 if data.count(b"\n", 0, 4096) <= MAX_LINES_A_SLICE else 512
            part, data = data[:step], data[step:]
            try:
                self._handle_responses(self.incomplete_line + part, self._handle_line, command)
                self.incomplete_line, self.current_command = b"", None
            except lib.IncompleteRead as incomplete:
                self.current_command, self.incomplete_line = incomplete.cmd, incomplete.data
            self._refuse_excess()

    def _refuse_excess(self) -> None:
        if self.answered > self._max_literal + MAX_LINE and self.pending_sync_command is None:
            # Sizes were told wrong: fetched one by one, each of these mails still comes, or its head does.
            raise ValueError(f"an answer of more than {self.answered} octets")
        if len(self.incomplete_line) > MAX_LINE:
            raise ValueError("a line without end")
        command = self.current_command
        if command is not None and command._expected_size > self._max_literal:
            raise ValueError(f"a literal of {command._expected_size} octets that nobody asked for")

    def _handle_line(self, line: bytes, current_cmd: Any) -> Any:
        if line and self.state == lib.CONNECTED:
            # Not the library's `welcome`: it runs in a task that nobody awaits and hangs on BYE.
            self.state = lib.AUTH if line.startswith(b"* PREAUTH") else lib.NONAUTH
            if not self.greeting.done():
                self.greeting.set_result(line)
            return None
        return super()._handle_line(line, current_cmd)

    def _untagged_response(self, line: bytes) -> Any:
        if line.endswith(b" EXISTS"):
            # It may come with the answer to any command, and IDLE does not repeat it.
            self.news.set()
        elif line.startswith(b"* BYE"):
            self.farewell = line[5:].strip().decode("utf-8", "replace")[:200] or "BYE"
            self.news.set()
        return super()._untagged_response(line)

    def connection_lost(self, exc: Exception | None) -> None:
        self.farewell = self.farewell or (str(exc) if exc else "the server closed the connection")
        error = ConnectionResetError(self.farewell)
        waiting = [*self.pending_async_commands.values()]
        if self.pending_sync_command is not None:
            waiting.append(self.pending_sync_command)
        for command in waiting:
            command._exception = error
            command._timer.cancel()
            command._event.set()
        self.pending_async_commands.clear()
        self.pending_sync_command = None
        self.state = lib.LOGOUT
        if not self.greeting.done():
            self.greeting.set_exception(error)
        self.news.set()
        super().connection_lost(exc)


class Client(lib.IMAP4):  # type: ignore[misc]
    """The library's client over the hardened protocol; works for TLS too, which its IMAP4_SSL does not."""

    def __init__(self, host: str, port: int, timeout: float, tls: ssl.SSLContext | None, max_literal: int) -> None:
        self._max_literal = max_literal
        super().__init__(host, port, timeout=timeout, ssl_context=tls)

    def create_client(self, host: str, port: int, loop: Any, conn_lost_cb: Any = None, ssl_context: Any = None) -> None:
        running = asyncio.get_running_loop()
        self.protocol = Protocol(running, self._max_literal)
        self._client_task = running.create_task(
            running.create_connection(lambda: self.protocol, host, port, ssl=ssl_context, happy_eyeballs_delay=0.25)
        )

    async def hello(self) -> None:
        """Return once the server has greeted us. Raises OSError where it has not, or not us."""
        await self._client_task
        raw_socket = self.protocol.transport.get_extra_info("socket")
        if raw_socket is not None:
            raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        greeting = await self.protocol.greeting
        if not greeting.startswith((b"* OK", b"* PREAUTH")):
            raise ConnectionRefusedError(greeting[:200].decode("utf-8", "replace"))
        await self.protocol.capability()

    async def starttls(self, tls: ssl.SSLContext) -> None:
        """Encrypt from here on. Raises OSError where the server will not, or where somebody meddles."""
        protocol = self.protocol
        # PREAUTH before encryption, or no STARTTLS on offer, is what somebody in between would send.
        if protocol.state != lib.NONAUTH or "STARTTLS" not in protocol.capabilities:
            raise ConnectionRefusedError("the server does not offer STARTTLS")
        answer = await protocol.execute(lib.Command("STARTTLS", protocol.new_tag(), loop=protocol.loop))
        if answer.result != "OK" or protocol.incomplete_line:
            # RFC 3501 §6.2.1; octets behind the OK were injected in plain text (CVE-2011-0411).
            raise ConnectionRefusedError("the server refused STARTTLS")
        protocol.transport = await protocol.loop.start_tls(protocol.transport, protocol, tls, server_hostname=self.host)
        await protocol.capability()

    def abort(self) -> None:
        """Cut the connection; safe at any time, any number of times."""
        self._client_task.cancel()
        self._client_task.add_done_callback(retrieve)
        if self.protocol.transport is not None:
            self.protocol.transport.abort()


def retrieve(future: asyncio.Future[Any]) -> None:
    """Nobody may be waiting any more: take the exception, so that it is not reported as forgotten."""
    if not future.cancelled():
        future.exception()
