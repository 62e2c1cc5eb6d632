"""One IMAP connection: aioimaplib, hardened, and the few commands a mailbox reader needs.

The library (2.0.3) recurses once per line, never wakes a command whose connection has died, quotes neither
folders nor user names, writes bodies to its debug log and loses an EXISTS that comes outside IDLE; all of
that is mended here and nowhere else. Failure semantics: every failure is a `TemporaryFailure` with a
sentence (`LoginRefused` for a refused password) and leaves the connection unusable: `abort()` it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from aioimaplib import aioimaplib as lib

from channels.adapter import LoginRefused, TemporaryFailure
from channels.imap_words import (
    Folder,
    Mark,
    RefusedByServer,
    encode_folder,
    folder_of,
    listed_folders,
    literals,
    marks,
    numbers,
    quoted,
    uid_set,
)
from channels.settings import ImapSettings
from channels.tls import client_context

MAX_LINE = 32 * 1024 * 1024  # bytes; the answer to UID SEARCH is one line of all UIDs
LITERAL_SLACK = 1024 * 1024  # bytes a literal may be larger than the largest mail that is asked for
MAX_LINES_A_SLICE = 400  # the library recurses once per line
MAX_UIDS_A_COMMAND = 200  # its parser takes time in the square of the lines of one answer
TRANSFER_TIMES = 20  # a whole FETCH may take this many command timeouts, as long as octets keep coming

# Below WARNING the library logs message bodies and passwords.
logging.getLogger(lib.__name__).setLevel(logging.WARNING)

T = TypeVar("T")


class _Protocol(lib.IMAP4ClientProtocol):  # type: ignore[misc]
    """The library's state machine with bounded recursion and memory; no command outlives its connection."""

    state: str
    current_command: Any
    pending_sync_command: Any
    incomplete_line: bytes

    def __init__(self, loop: asyncio.AbstractEventLoop, max_literal: int) -> None:
        super().__init__(loop, None)
        self.greeting: asyncio.Future[bytes] = loop.create_future()
        self.greeting.add_done_callback(_retrieve)
        self.news = asyncio.Event()  # mail may have come, or the server is leaving
        self.farewell = ""  # what the server said with BYE, or how the connection broke
        self._max_literal = max_literal

    def data_received(self, data: bytes) -> None:
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


class _Client(lib.IMAP4):  # type: ignore[misc]
    """The library's client over the hardened protocol; works for TLS too, which its IMAP4_SSL does not."""

    def __init__(
        self, host: str, port: int, timeout: float, tls: ssl.SSLContext | None, max_literal: int
    ) -> None:
        self._max_literal = max_literal
        super().__init__(host, port, timeout=timeout, ssl_context=tls)

    def create_client(
        self, host: str, port: int, loop: Any, conn_lost_cb: Any = None, ssl_context: Any = None
    ) -> None:
        running = asyncio.get_running_loop()
        self.protocol = _Protocol(running, self._max_literal)
        self._client_task = running.create_task(
            running.create_connection(
                lambda: self.protocol, host, port, ssl=ssl_context, happy_eyeballs_delay=0.25
            )
        )


class Imap:
    """A logged-in connection. One command at a time; any failure means `abort()` and a new one."""

    def __init__(self, client: _Client, settings: ImapSettings) -> None:
        self._client = client
        self._settings = settings
        self._seconds = settings.command_timeout.total_seconds()
        self._turn = asyncio.Lock()  # two commands of one kind at once make the library lose one of them

    @property
    def has_idle(self) -> bool:
        return "IDLE" in self._client.protocol.capabilities

    @property
    def tls_version(self) -> str:
        """ "TLSv1.3", or "" in plain text."""
        wrapped = self._client.protocol.transport.get_extra_info("ssl_object")
        return "" if wrapped is None else str(wrapped.version())

    async def select(self, name: str) -> Folder:
        """Open a folder. Raises RefusedByServer when it is not there or not ours."""
        answer = await self._ask("SELECT", lambda: self._client.select(quoted(encode_folder(name))))
        self._client.protocol.news.clear()
        return folder_of(answer.result, answer.lines)

    async def search(self, *criteria: str) -> list[int]:
        """The UIDs that match, ascending. News that come later are left for `idle`."""
        self._client.protocol.news.clear()
        # Without a charset: several servers refuse the library's default.
        answer = await self._ask("UID SEARCH", lambda: self._client.uid_search(*criteria, charset=None))
        return numbers(answer.lines[:-1])

    async def marks(self, uids: list[int]) -> list[Mark]:
        """Size and date of at most MAX_UIDS_A_COMMAND mails, by UID; vanished ones are left out."""
        answer = await self._fetch(uids, "(UID RFC822.SIZE INTERNALDATE)")
        return sorted(marks(answer.lines[:-1]), key=lambda mark: mark.uid)

    async def bodies(self, uids: list[int], first: int | None = None) -> dict[int, bytes]:
        """The octets of each mail, or its `first` octets; mails that have vanished are left out."""
        part = "BODY.PEEK[]" if first is None else f"BODY.PEEK[]<0.{first}>"
        answer = await self._fetch(uids, f"(UID {part})")
        return literals(answer.lines[:-1])

    async def _fetch(self, uids: list[int], items: str) -> Any:
        assert len(uids) <= MAX_UIDS_A_COMMAND
        wanted = uid_set(uids)
        seconds = self._seconds * TRANSFER_TIMES
        return await self._ask("UID FETCH", lambda: self._client.uid("fetch", wanted, items), seconds)

    async def mark_seen(self, uids: list[int]) -> None:
        """Flag mails as read. Raises RefusedByServer where the folder is read-only."""
        change = (uid_set(uids), "+FLAGS.SILENT", r"(\Seen)")
        await self._ask("UID STORE", lambda: self._client.protocol.store(*change, by_uid=True))

    async def noop(self) -> None:
        await self._ask("NOOP", self._client.noop)

    async def folder_names(self) -> list[str]:
        """Every folder of the account, decoded."""
        answer = await self._ask("LIST", lambda: self._client.list('""', '"*"'))
        return listed_folders(answer.lines[:-1])

    async def idle(self, seconds: float) -> bool:
        """Wait until mail may have come (True) or the time is over; raise when the server is gone."""
        protocol = self._client.protocol
        while not protocol.idle_queue.empty():
            protocol.idle_queue.get_nowait()
        if protocol.news.is_set() and not protocol.farewell:
            return True
        async with self._turn:
            idling = asyncio.ensure_future(protocol.idle())
            idling.add_done_callback(_retrieve)
            try:
                await self._until_idle(idling)
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await protocol.news.wait()
                if protocol.farewell:
                    raise TemporaryFailure(f"IDLE ended: {protocol.farewell}")
                protocol.idle_done()
                await self._guard("IDLE", idling, self._seconds)
            finally:
                idling.cancel()
        return protocol.news.is_set()

    async def _until_idle(self, idling: asyncio.Future[Any]) -> None:
        """Return once the server has said that it idles."""
        acknowledged = asyncio.ensure_future(self._client.protocol.wait_for_idle_response())
        try:
            await asyncio.wait(
                {idling, acknowledged}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not acknowledged.done():
                raise TemporaryFailure(self._client.protocol.farewell or "the server did not begin to IDLE")
        finally:
            acknowledged.cancel()

    def abort(self) -> None:
        """Cut the connection; safe at any time, any number of times."""
        _abort(self._client)

    async def _ask(self, verb: str, ask: Callable[[], Awaitable[Any]], seconds: float | None = None) -> Any:
        """The server's OK. Raises RefusedByServer for NO and BAD, TemporaryFailure for anything else."""
        async with self._turn:
            answer = await self._guard(verb, ask(), seconds or self._seconds)
        if answer.result != "OK":
            raise RefusedByServer(verb, answer.result, answer.lines)
        return answer

    async def _guard(self, verb: str, asking: Awaitable[T], seconds: float) -> T:
        return await _within(seconds, asking, f"{self._settings.host}: {verb}")


async def open_imap(settings: ImapSettings) -> Imap:
    """Connect, secure, log in, introduce ourselves.

    Raises LoginRefused when the password is not taken, TemporaryFailure for anything else; where the
    network or the certificate was to blame, that error is its `__cause__`.
    """
    seconds = settings.command_timeout.total_seconds()
    where = f"{settings.host}:{settings.port}"
    try:
        password = settings.password.read()
        tls = None if settings.security == "none" else await client_context(settings.ca_file)
    except (OSError, ValueError) as error:
        raise TemporaryFailure(f"{where}: {error}") from error
    at_once = tls if settings.security == "tls" else None
    client = _Client(settings.host, settings.port, seconds, at_once, settings.max_size + LITERAL_SLACK)
    try:
        await _within(seconds, _hello(client), where)
        if settings.security == "starttls":
            assert tls is not None
            await _within(seconds, _starttls(client, tls, settings.host), where)
        await _log_in(client, settings.username, password, seconds, where)
        await _introduce(client, seconds, where)
    except BaseException:
        _abort(client)
        raise
    return Imap(client, settings)


async def _hello(client: _Client) -> None:
    await client._client_task
    raw_socket = client.protocol.transport.get_extra_info("socket")
    if raw_socket is not None:
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    greeting = await client.protocol.greeting
    if not greeting.startswith((b"* OK", b"* PREAUTH")):
        raise ConnectionRefusedError(greeting[:200].decode("utf-8", "replace"))
    await client.protocol.capability()


async def _starttls(client: _Client, tls: ssl.SSLContext, host: str) -> None:
    protocol = client.protocol
    # PREAUTH before encryption, or no STARTTLS on offer, is what somebody in between would send.
    if protocol.state != lib.NONAUTH or "STARTTLS" not in protocol.capabilities:
        raise ConnectionRefusedError("the server does not offer STARTTLS")
    answer = await protocol.execute(lib.Command("STARTTLS", protocol.new_tag(), loop=protocol.loop))
    if answer.result != "OK" or protocol.incomplete_line:
        # RFC 3501 §6.2.1; octets behind the OK were injected in plain text (CVE-2011-0411).
        raise ConnectionRefusedError("the server refused STARTTLS")
    protocol.transport = await protocol.loop.start_tls(
        protocol.transport, protocol, tls, server_hostname=host
    )
    await protocol.capability()


async def _log_in(client: _Client, username: str, password: str, seconds: float, where: str) -> None:
    if client.protocol.state == lib.AUTH:
        return
    if "LOGINDISABLED" in client.protocol.capabilities:
        raise TemporaryFailure(f"{where}: the server takes no password in plain text; use tls or starttls")
    answer = await _within(seconds, client.login(quoted(username), password), where)
    if answer.result == "OK":
        return
    words = answer.lines[-1].decode("utf-8", "replace")[:200] if answer.lines else ""
    if words.startswith(("[UNAVAILABLE]", "[INUSE]", "[LIMIT]")):  # RFC 5530 §3: not about the password
        raise TemporaryFailure(f"{where}: login is not possible now: {words}")
    raise LoginRefused(f"{where} refused the login of {username}: {words}")


async def _introduce(client: _Client, seconds: float, where: str) -> None:
    await _within(seconds, client.protocol.capability(), where)
    if "ID" in client.protocol.capabilities:
        # RFC 2971; mailboxes of 163, 126 and 188 refuse SELECT to whom has not said who he is.
        await _within(seconds, client.id(name="intake", vendor="intake", version="1"), where)


async def _within(seconds: float, asking: Awaitable[T], where: str) -> T:
    """What was asked for; any way of failing becomes a TemporaryFailure with its cause."""
    try:
        async with asyncio.timeout(seconds):
            return await asking
    except (TimeoutError, lib.CommandTimeout) as error:
        raise TemporaryFailure(f"{where}: no answer within {seconds:g} s") from error
    except (OSError, EOFError, lib.AioImapException) as error:
        raise TemporaryFailure(f"{where}: {error}") from error


def _abort(client: _Client) -> None:
    client._client_task.cancel()
    client._client_task.add_done_callback(_retrieve)
    if client.protocol.transport is not None:
        client.protocol.transport.abort()


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Nobody may be waiting any more: take the exception, so that it is not reported as forgotten."""
    if not future.cancelled():
        future.exception()


def every(uids: list[int], size: int) -> Iterable[list[int]]:
    """Runs of at most `size`."""
    return (uids[start : start + size] for start in range(0, len(uids), size))
