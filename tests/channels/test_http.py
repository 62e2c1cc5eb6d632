"""The listener refuses in words, keeps its limits and ends in time."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, WSMsgType, web

from channels.http import Listener, Refusal, is_within, parse_networks, peer, read_body, unavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[..., Awaitable[Listener]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a listener with handlers by "METHOD /path"; stops it at the end."""
    started: list[Listener] = []

    async def start(handlers: dict[str, Handler] | None = None, **limits: Any) -> Listener:
        listener = Listener("127.0.0.1", 0, **limits)

        def routes(app: web.Application) -> None:
            for name, handler in (handlers or {}).items():
                method, path = name.split()
                app.router.add_route(method, path, handler)

        listener.mount(routes)
        listener.mount(None)
        started.append(listener)
        await listener.start()
        return listener

    yield start
    for listener in started:
        await listener.stop()


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def url(listener: Listener, path: str) -> str:
    return f"http://127.0.0.1:{listener.port}{path}"


async def exchange(listener: Listener, request: bytes) -> bytes:
    """The answer to octets on a connection of their own, or what came until the server closed it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(request)
    answer = b""
    try:
        async with asyncio.timeout(10):
            while chunk := await reader.read(65536):
                answer += chunk
                head, blank, body = answer.partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                if blank and length is not None and len(body) >= int(length[1]):
                    break
    finally:
        writer.close()
    return answer


async def small_body(request: web.Request) -> web.Response:
    return web.Response(body=await read_body(request, 100, 0.2))


async def test_what_nobody_serves_is_refused_in_a_sentence(start: Start, client: ClientSession) -> None:
    listener = await start({"POST /known": small_body})

    for method, path in (("GET", "/"), ("GET", "/known"), ("DELETE", "/known"), ("POST", "/known/more")):
        async with client.request(method, url(listener, path)) as response:
            assert (response.status, await response.json()) == (404, {"error": "There is nothing here."})


async def test_a_refusal_is_json_and_says_when_to_come_back(start: Start, client: ClientSession) -> None:
    async def down(_: web.Request) -> web.Response:
        raise unavailable("The store is down.")

    listener = await start({"GET /": down})

    async with client.get(url(listener, "/")) as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "5"
        assert response.content_type == "application/json"
        assert await response.json() == {"error": "The store is down."}


async def test_every_answer_carries_the_security_headers(start: Start, client: ClientSession) -> None:
    listener = await start({"POST /known": small_body}, frame_ancestors="https://www.firm.example")

    for path in ("/known", "/unknown"):
        async with client.post(url(listener, path), data=b"x") as response:
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["Content-Security-Policy"] == "frame-ancestors https://www.firm.example"
            assert response.headers["Server"] == "intake"


async def test_a_page_may_have_a_frame_policy_of_its_own(start: Start, client: ClientSession) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(headers={"Content-Security-Policy": "frame-ancestors 'self'"})

    listener = await start({"GET /": page})

    async with client.get(url(listener, "/")) as response:
        assert response.headers.getall("Content-Security-Policy") == ["frame-ancestors 'self'"]


@pytest.mark.parametrize("size", [0, 1, 100])
async def test_a_body_up_to_the_limit_is_read(start: Start, client: ClientSession, size: int) -> None:
    listener = await start({"POST /": small_body})

    async with client.post(url(listener, "/"), data=b"x" * size) as response:
        assert (response.status, await response.read()) == (200, b"x" * size)


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_body_over_the_limit_is_refused(start: Start, client: ClientSession, is_announced: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(101):
            yield b"x"

    listener = await start({"POST /": small_body})

    async with client.post(url(listener, "/"), data=b"x" * 101 if is_announced else chunks()) as response:
        assert response.status == 413
        assert await response.json() == {"error": "The body is larger than 100 bytes."}


async def test_a_large_body_is_refused_before_it_has_come(start: Start) -> None:
    listener = await start({"POST /": small_body})
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"

    answer = await exchange(listener, head)

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_dribbles_is_refused_in_time(start: Start) -> None:
    listener = await start({"POST /": small_body})
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)

    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nx")
    async with asyncio.timeout(5):
        answer = await reader.readuntil(b"}")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b'{"error":"The body was not complete after 0.2 seconds."}')
    writer.close()


async def test_a_compressed_body_is_refused_and_not_unpacked(start: Start, client: ClientSession) -> None:
    listener = await start({"POST /": small_body})

    async with client.post(url(listener, "/"), data=b"{}", headers={"Content-Encoding": "gzip"}) as response:
        assert response.status == 415


async def test_a_broken_chunk_is_a_bad_request(start: Start) -> None:
    listener = await start({"POST /": small_body})
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    answer = await exchange(listener, head + b"zz\r\nx\r\n")

    assert answer.startswith(b"HTTP/1.0 400 ")


async def test_headers_have_limits(start: Start) -> None:
    listener = await start({"POST /": small_body})
    many = b"".join(b"X-%d: 1\r\n" % n for n in range(100))

    for headers in (b"X: " + b"x" * 10_000 + b"\r\n", many):
        answer = await exchange(listener, b"POST / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")

        assert answer.startswith(b"HTTP/1.0 400 ")


async def test_headers_that_never_end_cost_a_connection_only_for_a_while(start: Start) -> None:
    listener = await start(idle_timeout=0.2)
    began = time.monotonic()

    answer = await exchange(listener, b"GET / HTTP/1.1\r\nHost:")

    assert answer == b""
    assert time.monotonic() - began < 5


async def test_connections_beyond_the_limit_are_told_so(start: Start, client: ClientSession) -> None:
    listener = await start({"POST /": small_body}, max_connections=2)
    first, second = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(2)]
    await asyncio.sleep(0.05)  # until the server has taken both

    answer = await exchange(listener, b"")

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 5\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"].startswith("Too many connections")

    first[1].close()
    await asyncio.sleep(0.05)
    async with client.post(url(listener, "/"), data=b"x") as response:
        assert response.status == 200
    second[1].close()


async def test_the_stop_says_goodbye_to_idle_websockets_at_once(start: Start, client: ClientSession) -> None:
    async def chat(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket

    listener = await start({"GET /ws": chat})
    socket = await client.ws_connect(url(listener, "/ws"))
    began = time.monotonic()

    stopping = asyncio.create_task(listener.stop())
    said = await socket.receive()
    await stopping

    assert (said.type, said.data) == (WSMsgType.CLOSE, 1001)
    assert time.monotonic() - began < 2


async def test_the_stop_does_not_wait_for_a_visitor_who_is_gone_silent(start: Start) -> None:
    async def chat(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket

    listener = await start({"GET /ws": chat}, handler_grace=0.2, socket_grace=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    began = time.monotonic()

    await listener.stop()

    assert time.monotonic() - began < 2
    writer.close()


async def test_the_stop_lets_a_request_under_way_finish(start: Start, client: ClientSession) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        entered.set()
        await leave.wait()
        return web.Response(text="done")

    listener = await start({"GET /": slow})
    asking = asyncio.create_task(client.get(url(listener, "/")))
    await entered.wait()

    stopping = asyncio.create_task(listener.stop())
    await asyncio.sleep(0.05)
    leave.set()

    assert await (await asking).text() == "done"
    await stopping


async def test_the_stop_is_bounded_for_a_request_that_never_ends(start: Start, client: ClientSession) -> None:
    entered = asyncio.Event()

    async def stuck(_: web.Request) -> web.Response:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError

    listener = await start({"GET /": stuck}, handler_grace=0.1)
    asking = asyncio.create_task(client.get(url(listener, "/")))
    await entered.wait()
    began = time.monotonic()

    await listener.stop()

    assert time.monotonic() - began < 2
    with pytest.raises(ClientConnectionError):
        await asking


async def test_a_stopped_listener_takes_no_connection_and_stops_twice(start: Start) -> None:
    listener = await start()
    port = listener.port

    await listener.stop()
    await listener.stop()

    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_port_that_is_taken_is_an_error_at_once(start: Start) -> None:
    listener = await start()
    other = Listener("127.0.0.1", listener.port)

    with pytest.raises(OSError):
        await other.start()

    await other.stop()


@pytest.mark.parametrize(("is_ok", "status"), [(True, 200), (False, 503)])
async def test_healthz_says_what_the_daemon_knows(client: ClientSession, is_ok: bool, status: int) -> None:
    listener = Listener("127.0.0.1", 0)
    listener.serve_health(lambda: {"ok": is_ok, "channels": {"hotline": "waiting"}})
    await listener.start()

    async with client.get(url(listener, "/healthz")) as response:
        assert response.status == status
        assert response.headers["Cache-Control"] == "no-store"
        assert await response.json() == {"ok": is_ok, "channels": {"hotline": "waiting"}}

    await listener.stop()


async def test_no_request_is_logged(start: Start, client: ClientSession, caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(_: web.Request) -> web.Response:
        raise Refusal(400, "no")

    async def break_down(_: web.Request) -> web.Response:
        raise RuntimeError("a bug")

    caplog.set_level(logging.DEBUG)
    listener = await start({"GET /s3cret/refused": refuse, "GET /s3cret/broken": break_down})

    for path, status in (("/s3cret/refused", 400), ("/s3cret/broken", 500), ("/s3cret/none", 404)):
        async with client.get(url(listener, path)) as response:
            assert response.status == status

    unreadable = await exchange(listener, b"POST /s3cret/\x01 HTTP/1.1\r\nHost: x\r\n\r\n")

    assert unreadable.startswith(b"HTTP/1.0 400 ")
    assert "a bug" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        ((), "203.0.113.9", "127.0.0.1"),
        (("127.0.0.0/8",), None, "127.0.0.1"),
        (("127.0.0.0/8",), "203.0.113.9", "203.0.113.9"),
        (("127.0.0.0/8",), "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the first is the caller's own claim
        (("127.0.0.0/8", "203.0.113.9"), "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (("192.0.2.0/24",), "203.0.113.9", "127.0.0.1"),
    ],
)
async def test_forwarded_addresses_count_only_from_configured_proxies(
    start: Start, client: ClientSession, proxies: tuple[str, ...], forwarded: str | None, expected: str
) -> None:
    async def who(request: web.Request) -> web.Response:
        return web.Response(text=peer(request))

    listener = await start({"GET /": who}, proxies=proxies)
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}

    async with client.get(url(listener, "/"), headers=headers) as response:
        assert await response.text() == expected


def test_networks_are_addresses_or_ranges_and_ipv4_through_ipv6_is_ipv4() -> None:
    networks = parse_networks(["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"])

    assert [
        is_within(a, networks)
        for a in ("192.0.2.9", "198.51.100.7", "198.51.100.8", "2001:db8::1", "::ffff:192.0.2.9", "", "x")
    ] == [True, True, False, True, True, False, False]
    with pytest.raises(ValueError, match=r"192\.0\.2\.300.* is no network"):
        parse_networks(["192.0.2.300"])
