"""The one HTTP listener: limits, refusals as sentences, and an end that is bounded.

Adapters mount their routes on it; it knows none of them. What cannot be served is refused at once and in
plain words: too many connections, a body too large or too slow, a route whose receiver does not run (503 and
Retry-After). Paths may hold secrets, so requests are never logged. Nothing is kept here: if the power goes,
only what an adapter's ``accept`` had committed was ever answered with 2xx.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from weakref import WeakSet

import orjson
from aiohttp import WSCloseCode, hdrs, web
from aiohttp.http import HttpProcessingError

MAX_LINE = 4 * 1024  # bytes of the request line
MAX_HEADER = 8 * 1024  # bytes of one header
MAX_HEADERS = 64  # headers of a request
IDLE_TIMEOUT = 20.0  # s, for the headers of a request to be complete, and between requests of a connection
LINGER = 5.0  # s, a refused body is read on and thrown away, so that the refusal can be read
BACKLOG = 1024  # connections waiting to be taken
HANDLER_GRACE = 5.0  # s, a request under way may take to finish at the end
SOCKET_GRACE = 2.0  # s, a websocket may take to say goodbye
RETRY_AFTER = 5  # s

Health = Callable[[], Mapping[str, Any]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_log = logging.getLogger(__name__)
_PROXIES = web.AppKey("proxies", tuple[Network, ...])
_JSON = "application/json"
_FULL = b'{"error":"Too many connections; try again in a few seconds."}'
_FULL_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: %d\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (RETRY_AFTER, len(_FULL), _FULL)
)


class Refusal(web.HTTPException):
    """Raised by a handler to answer with `status` and `{"error": sentence}`."""

    def __init__(self, status: int, sentence: str, *, retry_after: int | None = None) -> None:
        self.status_code = status  # read by the base class
        super().__init__(
            headers=None if retry_after is None else {hdrs.RETRY_AFTER: str(retry_after)},
            text=orjson.dumps({"error": sentence}).decode(),
            content_type=_JSON,
        )


def not_found() -> Refusal:
    """The same answer for a path nobody serves and for one whose secret is wrong."""
    return Refusal(404, "There is nothing here.")


def unavailable(sentence: str) -> Refusal:
    """Come back in a few seconds: the store is down, or the receiver does not run."""
    return Refusal(503, sentence, retry_after=RETRY_AFTER)


def json_response(data: Any, status: int = 200) -> web.Response:
    """`data` as JSON."""
    return web.Response(body=orjson.dumps(data), status=status, content_type=_JSON)


async def read_body(request: web.Request, limit: int, timeout: float) -> bytes:
    """The body, at most `limit` octets, complete within `timeout` seconds.

    Raises Refusal: 413 too large, 408 too slow, 415 compressed, 400 broken off.
    """
    if (request.content_length or 0) > limit:
        raise _closing(413, f"The body is larger than {limit} bytes.")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise _closing(415, "Send the body uncompressed.")
    try:
        if request.content.is_eof():  # nearly always: it came in the same packet as the headers
            body = request.content.read_nowait()
        else:
            body = await _gather(request, limit, timeout)
    except TimeoutError:
        raise _closing(408, f"The body was not complete after {timeout:g} seconds.") from None
    except (web.RequestPayloadError, ConnectionError):
        raise _closing(400, "The body broke off.") from None
    if len(body) > limit:
        raise _closing(413, f"The body is larger than {limit} bytes.")
    return body


async def _gather(request: web.Request, limit: int, timeout: float) -> bytes:
    """Chunks until the end or until there are more than `limit` octets."""
    body = bytearray()
    async with asyncio.timeout(timeout):
        while len(body) <= limit and (chunk := await request.content.readany()):
            body += chunk
    return bytes(body)


def _closing(status: int, sentence: str) -> Refusal:
    """A refusal after which the connection cannot be used any more: the rest of the body is still in it."""
    refusal = Refusal(status, sentence)
    refusal.force_close()
    return refusal


def parse_networks(networks: Sequence[str]) -> tuple[Network, ...]:
    """`"192.0.2.0/24"`, `"2001:db8::1"`. Raises ValueError with a sentence."""
    found: list[Network] = []
    for text in networks:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ValueError(f'"{text}" is no network: write for example "192.0.2.0/24"') from None
    return tuple(found)


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """True if the address lies in one of the networks; an IPv4 address seen through IPv6 counts as itself."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return any((mapped or ip) in network for network in networks)


def peer(request: web.Request) -> str:
    """Who is at the other end. X-Forwarded-For counts only as far as configured proxies wrote it."""
    address = request.remote or ""
    proxies = request.config_dict.get(_PROXIES, ())
    if not proxies:
        return address
    hops = [h.strip() for h in ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, [])).split(",") if h.strip()]
    while hops and is_within(address, proxies):
        address = hops.pop()
    return address


def _is_ours(record: logging.LogRecord) -> bool:
    """False for what aiohttp could not parse: it quotes the line, which may be a path with its secret.

    Whoever sent it has read the 400; anybody could fill the log with it.
    """
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


_log.addFilter(_is_ours)


class _Full(asyncio.Protocol):
    """What a connection beyond the limit meets: one sentence, then the end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.WriteTransport, transport).write(_FULL_ANSWER)
        transport.close()


class Listener:
    """One address, all routes.

    `frame_ancestors` is who may show our pages in a frame; a handler that sets Content-Security-Policy itself
    is left alone. `proxies` are networks whose X-Forwarded-For is believed (see `peer`).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        max_connections: int = 12_000,
        idle_timeout: float = IDLE_TIMEOUT,
        handler_grace: float = HANDLER_GRACE,
        socket_grace: float = SOCKET_GRACE,
        frame_ancestors: str = "'none'",
        proxies: Sequence[str] = (),
    ) -> None:
        self._host = host
        self._port = port
        self._max_connections = max_connections
        self._idle_timeout = idle_timeout
        self._handler_grace = handler_grace
        self._socket_grace = socket_grace
        self._frames = f"frame-ancestors {frame_ancestors}"
        self._sockets: WeakSet[web.WebSocketResponse] = WeakSet()
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._app = web.Application()
        self._app[_PROXIES] = parse_networks(proxies)
        self._app.on_response_prepare.append(self._prepare)
        self._app.on_shutdown.append(self._close_sockets)

    @property
    def port(self) -> int:
        """The port that is bound; the configured one until `start`."""
        if self._server is None or not self._server.sockets:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    def mount(self, routes: Callable[[Any], None] | None) -> None:
        """Let an adapter add its handlers; before `start`."""
        if routes is not None:
            routes(self._app)

    def serve_health(self, health: Health) -> None:
        """GET /healthz: what `health()` says, 200 if its `"ok"` is true, else 503; before `start`."""

        async def healthz(_: web.Request) -> web.Response:
            told = health()
            response = json_response(told, 200 if told.get("ok") else 503)
            response.headers[hdrs.CACHE_CONTROL] = "no-store"
            return response

        self._app.router.add_get("/healthz", healthz)

    async def start(self) -> None:
        """Bind and serve. Raises OSError when the address cannot be had."""
        self._app.router.add_route("*", "/{anything:.*}", _nothing_here)
        self._runner = web.AppRunner(
            self._app,
            access_log=None,
            logger=_log,
            auto_decompress=False,  # nobody compresses 64 KiB for good
            keepalive_timeout=self._idle_timeout,
            lingering_time=LINGER,
            max_line_size=MAX_LINE,
            max_field_size=MAX_HEADER,
            max_headers=MAX_HEADERS,
            shutdown_timeout=self._handler_grace,
        )
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._take, self._host, self._port, backlog=BACKLOG
            )
        except BaseException:
            await self._runner.cleanup()
            raise

    async def stop(self) -> None:
        """Take no more connections, say goodbye to websockets, let requests under way finish; bounded."""
        if self._server is not None:
            self._server.close()
            self._server = None
        runner, self._runner = self._runner, None
        if runner is not None and runner.server is not None:
            connections = list(runner.server.connections)
            try:
                # aiohttp waits once for handlers, and once more after cancelling them.
                async with asyncio.timeout(self._socket_grace + 2 * self._handler_grace + 1):
                    await runner.cleanup()
            except TimeoutError:
                for connection in connections:
                    connection.force_close()

    def _take(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        server = self._runner.server if self._runner is not None else None
        if server is None or len(server.connections) >= self._max_connections:
            return _Full()
        return server()

    async def _prepare(self, _: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers[hdrs.SERVER] = "intake"
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("Content-Security-Policy", self._frames)
        if isinstance(response, web.WebSocketResponse):
            self._sockets.add(response)

    async def _close_sockets(self, _: web.Application) -> None:
        """Without this, aiohttp waits over 80 s for a websocket on which nobody speaks."""
        goodbyes = [
            asyncio.ensure_future(socket.close(code=WSCloseCode.GOING_AWAY, message=b"restarting"))
            for socket in self._sockets
        ]
        if not goodbyes:
            return
        done, silent = await asyncio.wait(goodbyes, timeout=self._socket_grace)
        for goodbye in silent:
            goodbye.cancel()
        await asyncio.gather(*done, *silent, return_exceptions=True)


async def _nothing_here(_: web.Request) -> web.StreamResponse:
    raise not_found()
