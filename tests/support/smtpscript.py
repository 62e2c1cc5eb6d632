"""A small SMTP server that does what a test tells it to, at each verb: refuse, fall silent, cut.

    async with ScriptedSmtp({"RCPT": ["550 5.1.1 unknown"]}) as server:
        connect to 127.0.0.1:server.port

The script maps a verb to what is done the first time, the second time …; afterwards all is well. A step is a reply
("451 4.3.0 later"), CUT (close without a word), SILENT (never answer) or, at ".", TAKE_AND_CUT (keep the mail, then
close). Verbs: GREETING, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BODY (while octets come), ".", RSET, NOOP, QUIT.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from dataclasses import dataclass, field
from types import TracebackType

CUT = "cut"
SILENT = "silent"
TAKE_AND_CUT = "take and cut"
BODY_CUT_AFTER = 64 * 1024  # octets of a message that are read before a step for BODY is done


@dataclass
class Mail:
    """What a transaction brought."""

    mail_from: str = ""
    rcpt_to: str = ""
    octets: bytes = b""


@dataclass
class ScriptedSmtp:
    script: dict[str, list[str]] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES")
    passwords: dict[str, str] | None = None  # with these, AUTH PLAIN is offered
    tokens: dict[str, str] | None = None  # token -> user: with these, AUTH is offered by `token_ways`
    token_ways: str = "XOAUTH2"
    tls: ssl.SSLContext | None = None  # from the first octet
    starttls: ssl.SSLContext | None = None  # with this, STARTTLS is offered
    mails: list[Mail] = field(default_factory=list)  # what the server has taken
    verbs: list[str] = field(default_factory=list)  # every line it was told, in order
    connections: int = 0
    at_once: int = 0  # connections that are open
    most_at_once: int = 0

    async def __aenter__(self) -> ScriptedSmtp:
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.drop_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop_all(self) -> None:
        """Close every connection, as a relay does with idle ones."""
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        self.connections += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError, _Cut):
            pass
        finally:
            self.at_once -= 1
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _step(self, verb: str, writer: asyncio.StreamWriter, usual: str) -> bool:
        """Do what the script says, or answer as usual; True when all is well."""
        steps = self.script.get(verb, [])
        step = steps.pop(0) if steps else usual
        if step == CUT:
            raise _Cut
        if step == SILENT:
            await asyncio.sleep(3600)
        writer.write(step.encode("utf-8", "surrogateescape") + b"\r\n")  # a step may hold any octets
        await writer.drain()
        return step[:1] in "23"

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._step("GREETING", writer, "220 relay.example ESMTP")
        mail = Mail()
        while line := await reader.readline():
            words = line.decode("utf-8", "replace").strip()
            verb = words.split(" ", 1)[0].upper()
            self.verbs.append(words)
            if verb == "EHLO":
                offered = ["relay.example", *self.extensions]
                if self.starttls and writer.get_extra_info("ssl_object") is None:
                    offered.append("STARTTLS")
                if self.passwords:
                    offered.append("AUTH PLAIN")
                if self.tokens is not None:
                    offered.append(f"AUTH {self.token_ways}")
                lines = [f"250-{one}" for one in offered[:-1]] + [f"250 {offered[-1]}"]
                await self._step("EHLO", writer, "\r\n".join(lines))
            elif verb == "STARTTLS" and self.starttls:
                if await self._step("STARTTLS", writer, "220 2.0.0 go ahead"):
                    await writer.start_tls(self.starttls)
            elif verb == "AUTH":
                is_known = self._knows(words)
                usual = "235 2.7.0 welcome" if is_known else "535 5.7.8 wrong password"
                if not is_known and " PLAIN " not in words:  # a question comes before the refusal of a token
                    writer.write(b"334 eyJzdGF0dXMiOiI0MDAifQ==\r\n")
                    self.verbs.append((await reader.readline()).decode().strip())
                await self._step("AUTH", writer, usual)
            elif verb == "MAIL":
                if await self._step("MAIL", writer, "250 2.1.0 ok"):
                    mail = Mail(mail_from=words.split("<", 1)[1].split(">")[0])
            elif verb == "RCPT":
                if await self._step("RCPT", writer, "250 2.1.5 ok"):
                    mail.rcpt_to = words.split("<", 1)[1].split(">")[0]
            elif verb == "DATA":
                if await self._step("DATA", writer, "354 go on"):
                    await self._body(reader, writer, mail)
            elif verb == "QUIT":
                await self._step("QUIT", writer, "221 2.0.0 bye")
                return
            else:
                await self._step(verb, writer, "250 2.0.0 ok")

    def _knows(self, words: str) -> bool:
        from base64 import b64decode

        if " PLAIN " not in words:
            shown = b64decode(words.rsplit(" ", 1)[1]).decode()
            token = shown.partition("auth=Bearer ")[2].rstrip("\x01")
            return (self.tokens or {}).get(token, "nobody") in shown
        _, user, password = b64decode(words.rsplit(" ", 1)[1]).decode().split("\0")
        return (self.passwords or {}).get(user) == password

    async def _body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mail: Mail) -> None:
        lines: list[bytes] = []
        octets = 0
        while (line := await reader.readuntil(b"\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
            octets += len(line)
            if self.script.get("BODY") and octets > BODY_CUT_AFTER:
                # With a reset, so that what is still on the way is lost, as when a line breaks.
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                await self._step("BODY", writer, "")
                raise _Cut
        mail.octets = b"".join(lines)
        if self.script.get(".", [])[:1] == [TAKE_AND_CUT]:
            self.script["."].pop(0)
            self.mails.append(mail)
            raise _Cut
        if await self._step(".", writer, f"250 2.0.0 queued as {len(self.mails) + 1}"):
            self.mails.append(mail)


class _Cut(Exception):
    pass
