"""Mail by push: the firm's own server hands each mail over by LMTP (RFC 2033) or SMTP, and hears 250 when it is kept.

* 250 is said only after `accept` has returned. A mail that is cut off before, or whose 250 is lost, is handed over
  again by the server that still has it; the same octets for the same recipients are the same message.
* The store is full or down: 451, and the server keeps the mail in its own queue. Whatever else goes wrong here is
  451 too: a mail is never refused for a fault of ours. Over the size limit: 552, and the sender hears of it.
* Who may connect is a matter of addresses: a path in the file system, or `sources`. Nothing is relayed: what comes
  in here ends here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from channels.adapter import Accept, Arrival, Clock, Fatal, StoreUnavailable, TemporaryFailure, Tools
from channels.adapter import Envelope as Told
from channels.http import is_within, parse_networks
from channels.message import Medium
from channels.settings import LmtpSettings

MAX_LINE = 64 * 1024  # octets read ahead of a connection; of a command far fewer are allowed
CHUNK = 64 * 1024  # octets of a mail read at a time
LARGE = 512 * 1024  # octets: of larger mails …
LARGE_AT_ONCE = 4  # … so many are in memory at one time; the next is read no further meanwhile
MAX_RECIPIENTS = 100  # of one mail
MAX_HEAD = 32 * 1024  # octets looked at for who had signed in; a filter's findings above it may be long
GRACE = 2.0  # seconds a mail that is being taken may need at the end
TURN = 3600.0  # seconds: it waits to be called, and says so once an hour
SOCKET_MODE = 0o660  # of a socket in the file system: its group is the mail server's

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Postfix writes it on a line of its own (smtpd_sasl_authenticated_header); a HELO cannot hold a line end.
_SIGNED_IN = re.compile(rb"\n[ \t]+\(Authenticated sender: ([^\s()<>,;]{1,254})\)\r?\n")
_WITH_AUTH = re.compile(rb"\swith\s+(?:ESMTP|UTF8SMTP)S?A\s", re.I)  # RFC 3848


class LmtpReceiver:
    """One address at which the firm's mail server hands mail over."""

    def __init__(self, channel: str, settings: LmtpSettings, tools: Tools) -> None:
        self._channel = channel
        self._settings = settings
        self._clock: Clock = tools.clock
        self._progress = tools.progress

    async def receive(self, accept: Accept) -> None:
        door = _Door(self._channel, self._settings, self._clock, accept)
        try:
            server = await self._listen(door)
        except PermissionError as error:
            raise Fatal(f"lmtp: {self._settings.place} may not be opened: {error.strerror}") from error
        except OSError as error:
            raise TemporaryFailure(f"lmtp: {self._settings.place}: {error.strerror or error}") from error
        try:
            while True:
                self._progress(f"listening at {self._settings.place}", TURN + 60)
                await asyncio.sleep(TURN)
        finally:
            server.close()
            await door.close()

    async def _listen(self, door: _Door) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if self._settings.path is None:
            return await loop.create_server(door.protocol, self._settings.host, self._settings.port)
        _clear(self._settings.path)
        server = await loop.create_unix_server(door.protocol, str(self._settings.path))
        os.chmod(self._settings.path, SOCKET_MODE)
        return server


def _clear(path: Path) -> None:
    """Take away the socket that an earlier life left. Raises FileExistsError for anything else in its place."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(17, "something that is no socket lies there")
        path.unlink()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)


class _Door:
    """What every connection of one receiver shares."""

    def __init__(self, channel: str, settings: LmtpSettings, clock: Clock, accept: Accept) -> None:
        self._channel = channel
        self._settings = settings
        self._clock = clock
        self._accept = accept
        self._sources = parse_networks(settings.sources)
        self.room = asyncio.Semaphore(LARGE_AT_ONCE)
        self._open: set[Any] = set()
        self._taking: set[asyncio.Future[None]] = set()  # done once the answer can be said

    def protocol(self) -> Any:
        """A new connection's protocol."""
        kind = _Lmtp if self._settings.protocol == "lmtp" else _Smtp
        return kind(self, self._settings)

    def lets_in(self, connection: Any, peer: Any) -> bool:
        """Whether this one may talk to us; then it is counted."""
        is_known = self._settings.path is not None or (
            isinstance(peer, tuple) and bool(peer) and is_within(str(peer[0]), self._sources)
        )
        if not is_known or len(self._open) >= self._settings.max_connections:
            return False
        self._open.add(connection)
        return True

    def gone(self, connection: Any) -> None:
        self._open.discard(connection)

    async def close(self) -> None:
        """What is being taken may end; then every connection does."""
        if self._taking:
            await asyncio.wait(self._taking, timeout=GRACE)
        for connection in list(self._open):
            if connection.transport is not None:
                connection.transport.close()

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802  # the library's
        """One whole mail: the answer to its final dot."""
        answered = asyncio.get_running_loop().create_future()
        self._taking.add(answered)
        try:
            size = len(envelope.original_content or b"")
            arrival = await _beside(size, lambda: self._arrival(session, envelope))
            receipts = await self._accept([arrival])
        except StoreUnavailable as error:
            return f"451 4.3.1 the store cannot take it now, try again later: {_plain(str(error))}"
        except Exception:  # noqa: BLE001  # unknown is temporary: the server that has it keeps it (G4)
            _log.exception("lmtp: a mail could not be taken in")
            return "451 4.3.0 it could not be taken in, try again later"
        else:
            return f"250 2.0.0 kept as {receipts[0].id}"
        finally:
            self._taking.discard(answered)
            answered.set_result(None)

    async def handle_RCPT(  # noqa: N802  # the library's
        self, server: Any, session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    def _arrival(self, session: Session, envelope: Envelope) -> Arrival:
        content = envelope.original_content
        raw = content if isinstance(content, bytes) else b""
        sender, recipients = envelope.mail_from or "", tuple(str(one) for one in envelope.rcpt_tos)
        peer = session.peer
        return Arrival(
            channel=self._channel,
            medium=Medium.EMAIL,
            external_id=external_id(sender, recipients, raw),
            received_at=self._clock.now(),
            raw=raw,
            envelope=Told(
                mail_from=sender,
                rcpt_to=recipients,
                authenticated_as=signed_in(raw),
                peer=str(peer[0]) if isinstance(peer, tuple) and peer else "local",
                source_size=len(raw),
            ),
        )


def external_id(sender: str, recipients: Sequence[str], raw: bytes) -> str:
    """The same for the same mail handed over again: "lmtp;" and 40 hex digits."""
    digest = hashlib.sha256("\0".join([sender, *sorted(recipients)]).encode("utf-8", "surrogateescape") + b"\0")
    digest.update(raw)
    return f"lmtp;{digest.hexdigest()[:40]}"


def signed_in(raw: bytes) -> str:
    """The login that the mail server itself had verified, "" if none; from the topmost Received line alone.

    That line is written by the server that hands the mail over, above everything that a sender can have written. What
    stands above it is the same server's: Return-Path, what its filters found, the signature that it put there.
    """
    start, end = _topmost(raw[:MAX_HEAD], b"received:")
    top = raw[start:end]
    found = _SIGNED_IN.search(top)
    if found is None or not _WITH_AUTH.search(top):
        return ""
    return found[1].decode("ascii", "replace").lower()


def _topmost(head: bytes, name: bytes) -> tuple[int, int]:
    """Where the first header field of that name begins and ends; (0, 0) if there is none."""
    position = 0
    while position < len(head) and head[position : position + 1] not in (b"\r", b"\n"):  # the blank line ends them
        end = position
        while True:
            line_end = head.find(b"\n", end)
            end = len(head) if line_end < 0 else line_end + 1
            if end >= len(head) or head[end : end + 1] not in (b" ", b"\t"):
                break
        if head[position : position + len(name)].lower() == name:
            return position, end
        position = end
    return 0, 0


def _plain(words: str) -> str:
    return re.sub(r"[^ -~]+", " ", words)[:200]


_END = b"\r\n.\r\n"


def _undotted(octets: bytes) -> bytes:
    """The mail as it was before its dots were doubled (RFC 5321 §4.5.2)."""
    if octets.startswith(b"."):
        octets = octets[1:]
    return octets.replace(b"\r\n.", b"\r\n")


async def _beside(octets: int, work: Callable[[], T]) -> T:
    """In a thread where it is about many octets, so that nobody waits for it."""
    return work() if octets < LARGE else await asyncio.to_thread(work)


class _Guarded(SMTP):
    """A connection that is refused at once where it may not be."""

    line_length_limit = MAX_LINE
    command_size_limit = 4096

    def __init__(self, door: _Door, settings: LmtpSettings) -> None:
        self._door = door
        self._limit = settings.max_size
        super().__init__(
            door,
            data_size_limit=settings.max_size,
            enable_SMTPUTF8=True,
            ident="intake",
            hostname="intake",
            timeout=settings.timeout.total_seconds(),
            loop=asyncio.get_running_loop(),
        )

    _is_hasty = False  # something stood behind the final dot

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._door.lets_in(self, transport.get_extra_info("peername")):
            super().connection_made(transport)
            return
        writer = transport
        assert isinstance(writer, asyncio.WriteTransport)
        writer.write(b"421 4.7.0 not from there, or too many connections\r\n")
        writer.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._door.gone(self)
        if self.session is not None:
            super().connection_lost(error)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  # the library's
        """Take one mail in. The library keeps every line by itself: of blank lines that is a hundred times their size.

        It also never lets others run while lines are there to be read, and refuses long ones for good.
        """
        if await self.check_helo_needed():
            return
        assert self.session is not None
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 need RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no word")
            return
        await self.push("354 go on, and end with a dot")
        async with AsyncExitStack() as room:
            octets = await self._octets(room)
            if octets is None:
                answer = "552 5.3.4 larger than this desk takes in"
            else:
                self.envelope.original_content = self.envelope.content = octets
                answer = await self._door.handle_DATA(self, self.session, self.envelope)
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(answer)
        if self._is_hasty:  # what was sent before the answer could be another's words smuggled in
            assert self.transport is not None
            self.transport.close()

    async def _octets(self, room: AsyncExitStack) -> bytes | None:
        """The mail, up to its final dot; None where it is too large. Raises ConnectionError when it is cut off."""
        body = bytearray(b"\r\n")  # so that the dot of an empty mail stands behind a line end too
        seen, is_large, is_too_large = 0, False, False
        while (end := body.find(_END, max(0, seen - len(_END)))) < 0:
            seen = len(body)
            if seen > self._limit + 2:
                is_too_large = True
                del body[: -len(_END)]
                seen = 0
            elif seen > LARGE and not is_large:
                is_large = True
                await room.enter_async_context(self._door.room)
            chunk = await self._reader.read(CHUNK)
            if not chunk:
                raise ConnectionResetError("cut off within a mail")
            self._reset_timeout()
            body += chunk
            await asyncio.sleep(0)  # what lies ready is read without a pause: others must have their turn
        self._is_hasty = end + len(_END) < len(body)
        if is_too_large or end > self._limit:
            return None
        return await _beside(end, lambda: _undotted(bytes(memoryview(body)[2 : end + 2])))


class _Smtp(_Guarded):
    """SMTP: one answer to a mail."""


class _Lmtp(_Guarded, LMTP):
    """LMTP: an answer for each recipient, and every one is the same, since a mail is kept once (RFC 2033 §4.2)."""

    _answers = 1

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  # the library's
        self._answers = len(self.envelope.rcpt_tos) if self.envelope is not None and not arg else 1
        try:
            await super().smtp_DATA(arg)
        finally:
            self._answers = 1

    async def push(self, status: Any) -> None:
        if self._answers > 1 and isinstance(status, str) and not status.startswith("354"):
            status = "\r\n".join([status] * self._answers)
        await super().push(status)
