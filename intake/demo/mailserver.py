"""The playground's mail server: mailboxes in memory, IMAP and SMTP on the loopback, in the daemon's own loop.

It behaves as a firm's border server does: it takes mail for its users from anybody, says who logged in, and
removes what others say in its name. It needs the extra `demo`; production never imports it.

Failure semantics: a mail is in the mailbox when the client reads 250. An unknown user is refused for good
(550), a full mailbox for now (452), anything unforeseen for now (451). When the daemon ends, the mailboxes
end with it: the daemon's own store is what lasts.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import secrets
import weakref
from argparse import Namespace
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from intake.demo.border import Hop, stamped

MAX_MAIL = 32 * 1024 * 1024  # octets
MAX_MAILBOX = 128 * 1024 * 1024  # octets
MAX_MAILS = 2_000  # in one mailbox
MAX_CONNECTIONS = 200  # of either protocol
SMTP_IDLE = 120.0  # seconds
STOP_WAIT = 2.0  # seconds for connections to say good-bye

MISSING = 'the playground needs the extra "demo": pip install "intake-desk[demo]", or `make run` from a checkout'


class DemoUnavailable(Exception):
    """The libraries of the extra `demo` are not installed."""


class PortRefused(OSError):
    """A port cannot be listened on. `side` is "imap" or "smtp"."""

    def __init__(self, side: str, port: int, error: OSError) -> None:
        super().__init__(error.errno, error.strerror)
        self.side = side
        self.port = port


class DemoMailServer:
    """IMAP and SMTP for a handful of users; listens on the loopback only.

    `users` is address -> password, `now` tells the time (aware UTC), `delivered` is told each mailbox that
    got a mail. Ports may be 0. Raises ValueError for a host that others could reach.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        imap_port: int = 1143,
        smtp_port: int = 1025,
        authserv_id: str = "mail.firm.example",
        host: str = "127.0.0.1",
        *,
        now: Callable[[], datetime],
        delivered: Callable[[str], None] | None = None,
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"{host} can be reached from outside: the playground's mail server stays on the loopback")
        self.host = host
        self.imap_port = imap_port
        self.smtp_port = smtp_port
        self.authserv_id = authserv_id
        self.home = frozenset({authserv_id.partition(".")[2]})
        self.now = now
        self._passwords = {address.lower(): password for address, password in users.items()}
        self.delivered = delivered or (lambda address: None)
        self._sizes: dict[str, dict[int, int]] = {address: {} for address in self._passwords}
        self._login: Any = None
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._smtp_sessions: weakref.WeakSet[Any] = weakref.WeakSet()

    async def start(self) -> None:
        """Listen. Raises DemoUnavailable without the extra `demo`, PortRefused when a port is taken."""
        for side, port, begin in (
            ("imap", self.imap_port, self._start_imap),
            ("smtp", self.smtp_port, self._start_smtp),
        ):
            try:
                await begin()
            except ModuleNotFoundError as error:
                await self.stop()
                raise DemoUnavailable(MISSING) from error
            except OSError as error:
                await self.stop()
                raise PortRefused(side, port, error) from error

    async def stop(self) -> None:
        """Close everything; safe to call twice."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        for session in [*self._smtp_sessions]:
            if session.transport is not None:
                session.transport.close()
        for task in [*self._connections]:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=STOP_WAIT)
        for server in servers:
            await server.wait_closed()

    # --- who has a mailbox --------------------------------------------------------------------------------

    def user_of(self, address: str) -> str | None:
        """The user whom an address reaches, its plus part set aside; None if it is nobody's."""
        local, at, domain = address.lower().rpartition("@")
        user = f"{local.partition('+')[0]}{at}{domain}"
        return user if user in self._passwords else None

    def knows(self, login: str, password: str) -> bool:
        kept = self._passwords.get(login.lower(), "")
        return bool(kept) and hmac.compare_digest(kept.encode(), password.encode())

    # --- IMAP ---------------------------------------------------------------------------------------------

    async def _start_imap(self) -> None:
        from proxyprotocol.sock import SocketInfoLocal
        from pymap.backend.dict import Config, Login
        from pymap.imap import IMAPServer
        from pymap.user import Passwords, UserMetadata
        from pysasl.hashing import BuiltinHash

        config = Config(
            Namespace(passlib_cfg=None, proxy_protocol=None),
            host=self.host,
            port=self.imap_port,
            demo_data=False,
            demo_user="",
            demo_password="",
            tls_enabled=False,  # nothing leaves this machine
            secure_auth=False,
            invalid_user_sleep=0,
            max_append_len=MAX_MAIL,
            hash_context=BuiltinHash(rounds=1),  # the passwords lie beside it in plain text
        )
        config.apply_context()
        self._login = login = Login(config)
        for user, password in self._passwords.items():
            hashed = await Passwords(config).hash_password(password)
            login.users_dict[user] = UserMetadata(config, user, password=hashed)
        speak = IMAPServer(login, config)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            if len(self._connections) >= MAX_CONNECTIONS:
                writer.close()
                return
            self._connections.add(task)
            try:
                await speak(reader, writer, SocketInfoLocal(writer.transport))
            except asyncio.CancelledError:
                pass  # we are stopping; the library has said BYE
            except Exception as error:  # noqa: BLE001  # one confused client must not be reported as our crash
                logging.getLogger(__name__).warning("demo_imap_connection_failed: %r", error)
            finally:
                self._connections.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, self.host, self.imap_port)
        self._servers.append(server)
        self.imap_port = server.sockets[0].getsockname()[1]

    async def has_room(self, user: str, octets: int = 0) -> bool:
        """Whether that much more fits into a user's INBOX."""
        sizes = await self._sizes_of(await self._inbox(user), user)
        return len(sizes) < MAX_MAILS and sum(sizes.values()) + octets <= MAX_MAILBOX

    async def put(self, user: str, raw: bytes) -> None:
        """Append to a user's INBOX."""
        from pymap.parsing.message import AppendMessage

        inbox = await self._inbox(user)
        message = await inbox.append(AppendMessage(raw, self.now(), frozenset()), recent=True)
        self._sizes[user][message.uid] = len(raw)
        self.delivered(user)

    async def _inbox(self, user: str) -> Any:
        from pymap.backend.dict import Identity

        async with Identity(user, self._login, None, frozenset()).new_session() as session:
            return await session.mailbox_set.get_mailbox("INBOX")

    async def _sizes_of(self, inbox: Any, user: str) -> dict[int, int]:
        """UID -> octets of what is still there: mail clients delete, too."""
        there = {message.uid async for message in inbox.messages()}
        self._sizes[user] = {uid: size for uid, size in self._sizes[user].items() if uid in there}
        return self._sizes[user]

    # --- SMTP ---------------------------------------------------------------------------------------------

    async def _start_smtp(self) -> None:
        from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

        # It logs envelopes, and at WARNING its own deprecations.
        logging.getLogger("mail.log").setLevel(logging.ERROR)

        def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
            known = isinstance(data, LoginPassword) and self.knows(
                data.login.decode("utf-8", "replace"), data.password.decode("utf-8", "replace")
            )
            if not known:
                # handled=False: else the library answers nothing and the client waits for ever.
                return AuthResult(success=False, handled=False)
            return AuthResult(success=True, auth_data=data.login.decode().lower())

        def session() -> Any:
            if len(self._smtp_sessions) >= MAX_CONNECTIONS:
                return _TooMany()
            session = SMTP(
                _Deliveries(self),
                loop=asyncio.get_running_loop(),
                hostname=self.authserv_id,
                ident="intake playground",
                data_size_limit=MAX_MAIL,
                enable_SMTPUTF8=True,
                timeout=SMTP_IDLE,
                auth_require_tls=False,
                authenticator=authenticate,
            )
            self._smtp_sessions.add(session)
            return session

        server = await asyncio.get_running_loop().create_server(session, self.host, self.smtp_port)
        self._servers.append(server)
        self.smtp_port = server.sockets[0].getsockname()[1]

    def hop(self, session: Any, envelope: Any, recipient: str) -> Hop:
        peer = session.peer[0] if isinstance(session.peer, tuple) else ""
        return Hop(
            host=self.authserv_id,
            home=self.home,
            login=session.auth_data or "" if session.authenticated else "",
            mail_from=envelope.mail_from or "",
            recipient=recipient,
            helo=session.host_name or "",
            peer=peer,
            id=secrets.token_hex(6),
            at=self.now(),
        )


class _TooMany(asyncio.Protocol):
    """What one connection too many meets."""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"421 4.3.2 too many connections\r\n")
        transport.close()


class _Deliveries:
    """aiosmtpd's handler: what is answered to RCPT and after the final dot."""

    def __init__(self, server: DemoMailServer) -> None:
        self._server = server

    async def handle_RCPT(  # noqa: N802  # the library's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        user = self._server.user_of(address)
        if user is None:
            return "550 5.1.1 nobody here has that address"
        if not await self._server.has_room(user):
            return "452 4.2.2 the mailbox is full"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # the library's name
        by_user = {self._server.user_of(address) or "": address for address in envelope.rcpt_tos}
        # SMTP has one answer for all recipients: all get it or none.
        for user in by_user:
            if not await self._server.has_room(user, len(envelope.content)):
                return "452 4.2.2 the mailbox is full"
        for user, recipient in by_user.items():
            await self._server.put(user, stamped(envelope.content, self._server.hop(session, envelope, recipient)))
        return "250 2.0.0 delivered"

    async def handle_exception(self, error: Exception) -> str:
        logging.getLogger(__name__).warning("demo_smtp_failed: %r", error)
        return "451 4.3.0 try again later"
