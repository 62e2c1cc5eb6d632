"""One IMAP connection, logged in: the few commands that a mailbox reader needs.

Failure semantics: every failure is a `TemporaryFailure` with a sentence. `LoginRefused` is a password that is not
taken; `RefusedByServer` a NO after which the connection is still good; any other leaves it unusable: `abort()` it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from aioimaplib import aioimaplib as lib

from channels.adapter import LoginRefused, TemporaryFailure
from channels.imap_protocol import Client, retrieve
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
    unmarked,
)
from channels.settings import ImapSettings
from channels.tls import client_context

LITERAL_SLACK = 1024 * 1024  # bytes a literal may be larger than the largest mail that is asked for
MAX_UIDS_A_COMMAND = 200  # its parser takes time in the square of the lines of one answer
TRANSFER_TIMES = 20  # a whole FETCH may take this many command timeouts, as long as octets keep coming

T = TypeVar("T")


class Imap:
    """A logged-in connection. One command at a time; any failure means `abort()` and a new one."""

    def __init__(self, client: Client, settings: ImapSettings) -> None:
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
        """Size and date of at most MAX_UIDS_A_COMMAND mails, by UID."""
        answer = await self._fetch(uids, "(UID RFC822.SIZE INTERNALDATE)")
        found = {mark.uid: mark for mark in marks(answer.lines[:-1])}
        # One without size or date is asked for all the same; if it has vanished, no octets will come.
        return [found.get(uid) or unmarked(uid) for uid in sorted(uids)]

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
            idling.add_done_callback(retrieve)
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
            await asyncio.wait({idling, acknowledged}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if not acknowledged.done():
                raise TemporaryFailure(self._client.protocol.farewell or "the server did not begin to IDLE")
        finally:
            acknowledged.cancel()

    def abort(self) -> None:
        """Cut the connection; safe at any time, any number of times."""
        self._client.abort()

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
    client = Client(settings.host, settings.port, seconds, at_once, settings.max_size + LITERAL_SLACK)
    try:
        await _within(seconds, client.hello(), where)
        if settings.security == "starttls":
            assert tls is not None
            await _within(seconds, client.starttls(tls), where)
        await _log_in(client, settings.username, password, seconds, where)
        await _introduce(client, seconds, where)
    except BaseException:
        client.abort()
        raise
    return Imap(client, settings)


async def _log_in(client: Client, username: str, password: str, seconds: float, where: str) -> None:
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


async def _introduce(client: Client, seconds: float, where: str) -> None:
    await _within(seconds, client.protocol.capability(), where)
    if "ID" in client.protocol.capabilities:
        # RFC 2971; mailboxes of 163, 126 and 188 refuse SELECT to whom has not said who he is.
        await _within(seconds, client.id(name="intake", vendor="intake", version="1"), where)


async def _within(seconds: float, asking: Awaitable[T], where: str) -> T:
    """What was asked for; any way of failing becomes a TemporaryFailure with its cause."""
    us = asyncio.current_task()
    assert us is not None
    cancelled = us.cancelling()
    try:
        async with asyncio.timeout(seconds):
            answer = await asking
        if us.cancelling() > cancelled:
            # The library's wait_for swallows a cancellation that meets the answer (Python 3.11, python/cpython#86296).
            raise asyncio.CancelledError
        return answer
    except (TimeoutError, lib.CommandTimeout) as error:
        raise TemporaryFailure(f"{where}: no answer within {seconds:g} s") from error
    except (OSError, EOFError, lib.AioImapException) as error:
        raise TemporaryFailure(f"{where}: {error}") from error


def every(uids: list[int], size: int) -> Iterable[list[int]]:
    """Runs of at most `size`."""
    return (uids[start : start + size] for start in range(0, len(uids), size))
