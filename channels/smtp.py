"""The way out by mail: one relay, a few kept connections, one recipient a transaction.

Failure semantics, by the verb at which it happened:

* no connection, no greeting, no TLS, any 4xx: TemporaryFailure; a refused password: LoginRefused.
* Any refusal that is about us and not about the mail (`smtp_words`): ChannelSlowed or AccountRefused.
* 5xx to MAIL, RCPT, DATA or the message: PermanentFailure, unless it asks for a login.
* Lost before the final dot was written: TemporaryFailure, for no server may take such a mail
  (RFC 5321 §4.1.1.4). The dot is written by itself, once everything before it has left, so that this is known.
* Lost, silent or garbled after the final dot: UnknownDelivery. Cancelled there: the caller must think the same.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast

import aiosmtplib
from aiosmtplib.protocol import normalize_message_line_endings

from channels.adapter import (
    AccountRefused,
    ChannelSlowed,
    Delivery,
    DeliveryState,
    LoginRefused,
    OutboundMessage,
    PermanentFailure,
    TemporaryFailure,
    UnknownDelivery,
)
from channels.learned_ids import learned_id
from channels.oauth_account import OAuthAccount
from channels.settings import SmtpSettings
from channels.smtp_connect import MAX_REPLY, connect
from channels.smtp_words import About, about

PIECE = 256 * 1024  # octets of a message worked on at a time
IDLE_LIMIT = 60.0  # seconds a connection is kept without work

_LOGIN_WANTED = frozenset({530, 534, 535, 538})  # RFC 4954 §6: about us, not about the mail
_LOST = (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, OSError)

Failure = TemporaryFailure | PermanentFailure


def plain(words: str) -> str:
    """A server's words as text. The library keeps octets that are no UTF-8 as surrogates, which nothing can store."""
    return words.encode("utf-8", "replace").decode()


def failure_of(code: int, words: str, verb: str) -> Failure:
    """What a refusal means: 4xx and the odd may pass, 5xx will not (RFC 5321 §4.2.1)."""
    reason = plain(f"{verb}: {code} {words}")[:MAX_REPLY]
    if code in _LOGIN_WANTED:
        return LoginRefused(reason)
    whom = about(words)
    if whom is About.PACE:
        return ChannelSlowed(reason)
    if whom is About.ACCOUNT:
        return AccountRefused(reason)
    if 500 <= code <= 599:
        return PermanentFailure(reason)
    return TemporaryFailure(reason)


def stuffed(octets: bytes) -> bytes:
    """The message as it goes over the wire, without the final dot (RFC 5321 §4.5.2).

    Octets with CRLF line ends pass as they are. A bare CR or LF becomes CRLF: relays disagree on what they
    end, and a mail that says `LF . LF` could smuggle in another.
    """
    ends = octets.count(b"\r\n")
    if octets.count(b"\n") != ends or octets.count(b"\r") != ends or not octets.endswith(b"\r\n"):
        octets = normalize_message_line_endings(octets)
    if octets.startswith(b"."):
        octets = b"." + octets
    return octets.replace(b"\r\n.", b"\r\n..")


def pieces(octets: bytes) -> Iterator[bytes]:
    """The message in pieces of whole lines, about `PIECE` octets each: a large one is never worked on as a whole."""
    start = 0
    while len(octets) - start > PIECE and (end := octets.find(b"\r\n", start + PIECE)) >= 0:
        yield octets[start : end + 2]
        start = end + 2
    if start < len(octets) or not octets:
        yield octets[start:]


@dataclass
class _Kept:
    client: aiosmtplib.SMTP
    closing: asyncio.TimerHandle


class Connections:
    """An account's connections: so many at one time, whichever channel uses them, and some kept for the next mail."""

    def __init__(self, at_once: int) -> None:
        self.free = asyncio.Semaphore(at_once)
        self._kept: list[_Kept] = []

    def take(self) -> aiosmtplib.SMTP | None:
        """One that was kept and still stands."""
        while self._kept:
            kept = self._kept.pop()
            kept.closing.cancel()
            if kept.client.is_connected:
                return kept.client
        return None

    def keep(self, client: aiosmtplib.SMTP) -> None:
        closing = asyncio.get_running_loop().call_later(IDLE_LIMIT, self._let_go, client)
        self._kept.append(_Kept(client, closing))

    def _let_go(self, client: aiosmtplib.SMTP) -> None:
        self._kept = [kept for kept in self._kept if kept.client is not client]
        client.close()


class SmtpSender:
    """Sends through one relay; safe for concurrent use."""

    def __init__(
        self,
        settings: SmtpSettings,
        desk: str,
        connections: Connections | None = None,
        account: OAuthAccount | None = None,
    ) -> None:
        """`desk` is the address that stands in where the relay refuses the null return path.

        `connections`: those of the account, where another channel has the same. `account`: whose token signs in,
        in place of a password.
        """
        self._settings = settings
        self._desk = desk
        self._account = account
        self._connections = connections or Connections(settings.pace.connections)

    async def send(self, message: OutboundMessage) -> Delivery:
        async with self._connections.free:
            client = self._connections.take()
            if client is not None:
                with suppress(_Stale):
                    return await self._send(client, message, is_kept=True)
            return await self._send(await connect(self._settings, self._desk, self._account), message)

    async def close(self) -> None:
        """Let the kept connections go, politely if that is quick."""
        while (client := self._connections.take()) is not None:
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=1.0)
            client.close()

    async def _send(self, client: aiosmtplib.SMTP, message: OutboundMessage, is_kept: bool = False) -> Delivery:
        """One transaction; the connection is kept where it may be used again."""
        is_good = False
        try:
            reply = plain(await _Transaction(client, self._settings, self._desk, is_kept).run(message))
            is_good = True
            return Delivery(
                state=DeliveryState.DELIVERED,
                remote_id=reply[:MAX_REPLY],
                remote_mail_id=learned_id(reply, self._settings.host),
            )
        except (TemporaryFailure, PermanentFailure):
            is_good = await _is_reset(client)
            raise
        finally:
            if is_good and client.is_connected:
                self._connections.keep(client)
            else:
                client.close()


class _Stale(Exception):
    """A kept connection turned out to be dead before the message was begun: a new one may take it."""


class _Transaction:
    """One mail over one connection: MAIL, RCPT, DATA, the octets, the dot."""

    def __init__(self, client: aiosmtplib.SMTP, settings: SmtpSettings, desk: str, is_kept: bool) -> None:
        self._client = client
        self._desk = desk
        self._is_kept = is_kept
        self._seconds: Final = settings.command_timeout.total_seconds()
        self._data_seconds: Final = settings.data_timeout.total_seconds()

    async def run(self, message: OutboundMessage) -> str:
        """The relay's words on taking it."""
        await self._mail(message)
        recipient = self._address(message.recipient.value)
        await self._verb("RCPT TO", b"RCPT", b"TO:<" + recipient + b">")
        await self._verb("DATA", b"DATA", expected=(354,))
        return await self._octets(message.body)

    async def _mail(self, message: OutboundMessage) -> None:
        options = self._options(message)
        sender = self._address(message.envelope_from)
        try:
            await self._verb("MAIL FROM", b"MAIL", b"FROM:<" + sender + b">", *options, may_be_stale=True)
        except (PermanentFailure, AccountRefused):
            if sender or not self._client.is_connected:
                raise
            # Some relays take no null return path from their own users (Microsoft 365, QQ): the desk's, then.
            desk = self._address(self._desk)
            await self._verb("MAIL FROM", b"MAIL", b"FROM:<" + desk + b">", *options)

    def _options(self, message: OutboundMessage) -> list[bytes]:
        options = []
        if self._client.supports_extension("size"):
            options.append(b"SIZE=%d" % len(message.body))  # RFC 1870 §3: doubled dots are not counted
        if not message.body.isascii() and self._client.supports_extension("8bitmime"):
            options.append(b"BODY=8BITMIME")
        if not (message.recipient.value + message.envelope_from).isascii() and self._takes_utf8():
            options.append(b"SMTPUTF8")
        return options

    def _takes_utf8(self) -> bool:
        return self._client.supports_extension("smtputf8")

    def _address(self, address: str) -> bytes:
        """As it stands between the angle brackets. Raises PermanentFailure for what cannot stand there."""
        if _UNSAFE.search(address) or len(address) > 320:
            raise PermanentFailure(f"no mail address: {address[:80]!r}")
        if address.isascii():
            return address.encode("ascii")
        if self._takes_utf8():
            return address.encode("utf-8")
        local, _, domain = address.rpartition("@")
        try:
            return local.encode("ascii") + b"@" + domain.encode("idna")
        except UnicodeError:
            raise PermanentFailure(f"the relay does not take addresses like {address}") from None

    async def _verb(
        self, verb: str, *words: bytes, expected: tuple[int, ...] = (250, 251), may_be_stale: bool = False
    ) -> None:
        try:
            answer = await self._client.execute_command(*words, timeout=self._seconds)
        except _LOST as error:
            if may_be_stale and self._is_kept:
                raise _Stale from error
            raise TemporaryFailure(plain(f"{verb}: {error}")) from error
        except aiosmtplib.SMTPResponseException as error:
            self._client.close()
            raise TemporaryFailure(plain(f"{verb}: {error.message}")) from error
        if answer.code == 421 and may_be_stale and self._is_kept:
            raise _Stale
        if answer.code not in expected:
            raise failure_of(answer.code, answer.message, verb)

    async def _octets(self, octets: bytes) -> str:
        protocol, transport = self._client.protocol, self._client.transport
        if protocol is None or transport is None:
            raise TemporaryFailure("DATA: the connection was lost")
        # Listening begins before writing: a relay may refuse, or leave, in the midst of it.
        answering = asyncio.ensure_future(protocol.read_response())
        try:
            await self._write_before_dot(octets, answering, cast(asyncio.Transport, transport))
            self._write_dot()
            return await self._answer_to_dot(answering)
        except BaseException:
            # An answer that is still to come would be taken for that of the next command.
            self._client.close()
            raise
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def _write_before_dot(
        self, octets: bytes, answering: asyncio.Future[Any], transport: asyncio.Transport
    ) -> None:
        """Return once all octets have left and nothing was said against them."""
        protocol = self._client.protocol
        assert protocol is not None
        transport.set_write_buffer_limits(high=0)  # "drained" shall mean that nothing is left
        try:
            async with asyncio.timeout(self._data_seconds):
                for piece in pieces(octets):
                    protocol.write(stuffed(piece))
                    if transport.get_write_buffer_size():
                        await self._drain(protocol, answering)
                    if answering.done():
                        break
        except (*_LOST, TimeoutError) as error:
            raise TemporaryFailure(f"the connection was lost within the message: {error}") from error
        if not answering.done():
            return
        try:
            early = answering.result()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise TemporaryFailure(f"the connection was lost within the message: {error}") from error
        # RFC 5321 has no answer here; whatever it says, the mail was not taken.
        raise failure_of(early.code, early.message, "within the message")

    def _write_dot(self) -> None:
        try:
            if self._client.protocol is None:
                raise ConnectionResetError("closed")
            self._client.protocol.write(b".\r\n")
        except _LOST as error:
            raise TemporaryFailure(f"the connection was lost before the final dot: {error}") from error

    async def _drain(self, protocol: Any, answering: asyncio.Future[Any]) -> None:
        draining = asyncio.ensure_future(protocol._drain_helper())
        try:
            await asyncio.wait({draining, answering}, return_when=asyncio.FIRST_COMPLETED)
            if draining.done():
                draining.result()
        finally:
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)

    async def _answer_to_dot(self, answering: asyncio.Future[Any]) -> str:
        try:
            async with asyncio.timeout(self._data_seconds):
                answer = await answering
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            reason = str(error) or f"no answer within {self._data_seconds:g} s"
            raise UnknownDelivery(plain(f"after the final dot: {reason}")) from error
        if 200 <= answer.code <= 299:
            return f"{answer.code} {answer.message}"
        if 400 <= answer.code <= 599:
            raise failure_of(answer.code, answer.message, "message")
        raise UnknownDelivery(plain(f"after the final dot: {answer.code} {answer.message}")[:MAX_REPLY])


_UNSAFE = re.compile(r"[\x00-\x20\x7f<>]")


async def _is_reset(client: aiosmtplib.SMTP) -> bool:
    """True when the connection is ready for another transaction."""
    if not client.is_connected:
        return False
    try:
        await client.rset(timeout=5.0)
    except (aiosmtplib.SMTPException, OSError):
        return False
    return True
