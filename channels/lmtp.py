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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from channels.adapter import Accept, Arrival, Clock, Fatal, StoreUnavailable, TemporaryFailure, Tools
from channels.adapter import Envelope as Told
from channels.http import is_within, parse_networks
from channels.message import Medium
from channels.settings import LmtpSettings

MAX_LINE = 256 * 1024  # octets; real mail breaks the 998 of RFC 5322 §2.1.1
MAX_RECIPIENTS = 100  # of one mail
MAX_HEAD = 32 * 1024  # octets looked at for who had signed in; a filter's findings above it may be long
GRACE = 2.0  # seconds a mail that is being taken may need at the end
TURN = 3600.0  # seconds: it waits to be called, and says so once an hour
SOCKET_MODE = 0o660  # of a socket in the file system: its group is the mail server's

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
            receipts = await self._accept([self._arrival(session, envelope)])
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


class _Guarded(SMTP):
    """A connection that is refused at once where it may not be."""

    line_length_limit = MAX_LINE
    command_size_limit = 4096

    def __init__(self, door: _Door, settings: LmtpSettings) -> None:
        self._door = door
        super().__init__(
            door,
            data_size_limit=settings.max_size,
            enable_SMTPUTF8=True,
            ident="intake",
            hostname="intake",
            timeout=settings.timeout.total_seconds(),
            loop=asyncio.get_running_loop(),
        )

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
