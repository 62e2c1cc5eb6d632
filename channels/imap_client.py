"""One IMAP connection, logged in: the few commands that a mailbox reader needs.

Failure semantics: every failure is a `TemporaryFailure` with a sentence. `LoginRefused` is a password that is not
taken; `RefusedByServer` a NO after which the connection is still good; any other leaves it unusable: `abort()` it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar, cast

from aioimaplib import aioimaplib as lib

from channels.adapter import LoginRefused, TemporaryFailure
from channels.imap_names import Listed, encode_folder, listed
from channels.imap_protocol import Client, retrieve
from channels.imap_signin import PASSING, secret_of, sign_in
from channels.imap_words import (
    Folder,
    Mark,
    RefusedByServer,
    folder_of,
    literals,
    marks,
    numbers,
    quoted,
    uid_set,
    unmarked,
)
from channels.oauth_account import OAuthAccount
from channels.settings import ImapSettings
from channels.tls import client_context

LITERAL_SLACK = 1024 * 1024  # bytes a literal may be larger than the largest mail that is asked for
SELECT_TIMES = 4  # opening or searching a folder may take this many command timeouts: of 200,000 mails it may
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

    async def select(self, name: str, *, read_only: bool = False) -> Folder:
        """Open a folder, so that nothing in it can change if `read_only`.

        Raises RefusedByServer when it is not there or not ours.
        """
        verb = "EXAMINE" if read_only else "SELECT"
        answer = await self._do(verb, quoted(encode_folder(name)), seconds=self._seconds * SELECT_TIMES)
        self._client.protocol.state = lib.SELECTED
        self._client.protocol.news.clear()
        return folder_of(answer.result, answer.lines)

    async def search(self, *criteria: str) -> list[int]:
        """The UIDs that match, ascending. News that come later are left for `idle`."""
        self._client.protocol.news.clear()
        # Without a charset: several servers refuse the library's default.
        answer = await self._do("SEARCH", *criteria, by_uid=True, seconds=self._seconds * SELECT_TIMES)
        return numbers(answer.lines[:-1])

    async def marks(self, uids: list[int]) -> list[Mark]:
        """Size and date of at most MAX_UIDS_A_COMMAND mails, by UID."""
        answer = await self._fetch(uids, "(UID RFC822.SIZE INTERNALDATE)")
        found = {mark.uid: mark for mark in marks(answer.lines[:-1])}
        # One without size or date is asked for all the same; if it has vanished, no octets will come.
        return [found.get(uid) or unmarked(uid) for uid in sorted(uids)]

    async def bodies(self, uids: list[int], first: int | None = None, part: str = "") -> dict[int, bytes]:
        """The octets of each mail, or its `first` octets, or those of its `part` "HEADER".

        Mails that have vanished are left out, and those of which the server knows nothing more than that they exist.
        """
        partial = "" if first is None else f"<0.{first}>"
        answer = await self._fetch(uids, f"(UID BODY.PEEK[{part}]{partial})")
        return literals(answer.lines[:-1])

    async def _fetch(self, uids: list[int], items: str) -> Any:
        assert len(uids) <= MAX_UIDS_A_COMMAND
        wanted = uid_set(uids)
        seconds = self._seconds * TRANSFER_TIMES
        return await self._ask("UID FETCH", lambda: self._client.uid("fetch", wanted, items), seconds)

    async def mark_seen(self, uids: list[int]) -> None:
        """Flag mails as read. Raises RefusedByServer where the folder is read-only."""
        await self.add_flag(uids, r"\Seen")

    async def add_flag(self, uids: list[int], flag: str) -> None:
        """Flag mails. Raises RefusedByServer where the folder is read-only, or knows no such flag."""
        change = (uid_set(uids), "+FLAGS.SILENT", f"({flag})")
        await self._ask("UID STORE", lambda: self._client.protocol.store(*change, by_uid=True))

    async def move(self, uids: list[int], name: str) -> bool:
        """Put mails into another folder; False where copies are left behind, flagged as deleted.

        Raises RefusedByServer where that folder is not there. The other mails that somebody has flagged as deleted
        stay: without UIDPLUS nothing is expunged (RFC 4315 §2.1).
        """
        wanted, folder = uid_set(uids), quoted(encode_folder(name))
        known = self._client.protocol.capabilities
        seconds = self._seconds * SELECT_TIMES
        if "MOVE" in known:
            await self._do("MOVE", wanted, folder, by_uid=True, seconds=seconds)
            return True
        await self._do("COPY", wanted, folder, by_uid=True, seconds=seconds)
        await self.add_flag(uids, r"\Deleted")
        if "UIDPLUS" not in known:
            return False
        await self._do("EXPUNGE", wanted, by_uid=True)
        return True

    async def create(self, name: str) -> None:
        """Make a folder. Raises RefusedByServer, also where it is there already."""
        await self._do("CREATE", quoted(encode_folder(name)))

    async def noop(self) -> None:
        await self._ask("NOOP", self._client.noop)

    async def folders(self) -> list[Listed]:
        """Every folder of the account that holds mail, with what it is for where the server tells (RFC 6154)."""
        known = self._client.protocol.capabilities
        more = ("RETURN", "(SPECIAL-USE)") if {"SPECIAL-USE", "LIST-EXTENDED"} <= known else ()
        answer = await self._do("LIST", '""', '"*"', *more)
        return listed(answer.lines[:-1])

    async def folder_names(self) -> list[str]:
        """Every folder of the account that holds mail, decoded, sorted."""
        return [folder.name for folder in await self.folders()]

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

    async def _do(self, name: str, *words: str, by_uid: bool = False, seconds: float | None = None) -> Any:
        """A plain command of one line. Fails as `_ask` does."""
        protocol = self._client.protocol
        prefix = "UID" if by_uid else ""

        def ask() -> Awaitable[Any]:
            command = lib.Command(name, protocol.new_tag(), *words, prefix=prefix, loop=protocol.loop)
            return cast("Awaitable[Any]", protocol.execute(command))

        return await self._ask(f"{prefix} {name}".strip(), ask, seconds)

    async def _ask(self, verb: str, ask: Callable[[], Awaitable[Any]], seconds: float | None = None) -> Any:
        """The server's OK. Raises RefusedByServer for NO and BAD, TemporaryFailure for anything else."""
        async with self._turn:
            self._client.protocol.answered = 0
            answer = await self._guard(verb, ask(), seconds or self._seconds)
        if answer.result != "OK":
            raise RefusedByServer(verb, answer.result, answer.lines)
        return answer

    async def _guard(self, verb: str, asking: Awaitable[T], seconds: float) -> T:
        return await _within(seconds, asking, f"{self._settings.host}: {verb}")


async def open_imap(settings: ImapSettings, account: OAuthAccount | None = None) -> Imap:
    """Connect, secure, log in, introduce ourselves. With an account its token signs in, else the password.

    Raises LoginRefused when the password or token is not taken, TemporaryFailure for anything else; where the
    network or the certificate was to blame, that error is its `__cause__`.
    """
    seconds = settings.command_timeout.total_seconds()
    where = f"{settings.host}:{settings.port}"
    try:
        secret = await secret_of(settings, account)
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
        await _log_in(client, settings, secret, account, seconds, where)
        await _introduce(client, seconds, where)
    except BaseException:
        client.abort()
        raise
    return Imap(client, settings)


async def _log_in(
    client: Client, settings: ImapSettings, secret: str, account: OAuthAccount | None, seconds: float, where: str
) -> None:
    if client.protocol.state == lib.AUTH:
        return  # the server knows us already (PREAUTH)
    by_token = account is not None
    words = await _within(seconds, sign_in(client, settings.username, secret, where, by_token=by_token), where)
    if not words:
        return
    if words.startswith(PASSING):
        raise TemporaryFailure(f"{where}: login is not possible now: {words}")
    if account is not None and account.refused(secret):
        raise TemporaryFailure(f"{where} takes the token no more, a new one is fetched: {words}")
    raise LoginRefused(f"{where} refused the login of {settings.username}: {words}")


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
