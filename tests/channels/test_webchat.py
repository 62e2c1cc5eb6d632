"""The web chat over real sockets: acknowledged after the commit, delivered when the page says so."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from support.webchat_desk import Desk, open_desk

from channels.adapter import CheckState, DeliveryState, Fatal, OutboundMessage, PermanentFailure
from channels.message import Address, Medium, Scheme
from channels.settings import Secret, WebchatSettings
from channels.webchat import Chat, build, read

CLIENT = "c0ffee00c0ffee00"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as it:
        yield it


class Page:
    """A page without a screen: says hello, and keeps what it is told."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.welcome: dict[str, Any] = {}

    async def say(self, type_: str, **fields: object) -> None:
        await self.ws.send_str(orjson.dumps({"type": type_, **fields}).decode())

    async def hear(self, type_: str = "") -> dict[str, Any]:
        """The next frame; it must be of that type."""
        message = await self.ws.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.ws.close_code)
        frame: dict[str, Any] = orjson.loads(message.data)
        assert not type_ or frame["type"] == type_
        return frame

    async def ended(self) -> int:
        """The code of the close frame that comes next."""
        message = await self.ws.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        assert isinstance(message.data, int)
        return message.data

    async def write(self, text: str, client_id: str = CLIENT) -> dict[str, Any]:
        await self.say("msg", id=client_id, text=text)
        return await self.hear("ack")


@contextlib.asynccontextmanager
async def connected(desk: Desk, origin: str | None = None) -> AsyncIterator[Page]:
    headers = {"Origin": origin or desk.url}
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{desk.url}/chat/ws", headers=headers) as ws:
        yield Page(ws)


@contextlib.asynccontextmanager
async def visiting(desk: Desk, **hello: object) -> AsyncIterator[Page]:
    async with connected(desk) as page:
        await page.say("hello", **hello)
        page.welcome = await page.hear("welcome")
        yield page


async def refusal(desk: Desk, **headers: str) -> int:
    """The status that answers a request for a websocket."""
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(f"{desk.url}/chat/ws", headers=headers)
    return caught.value.status


# --- who may come in --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "http://127.0.0.1", "HTTP://127.0.0.1:{port}"]
)
async def test_a_site_that_is_not_listed_is_refused(desk: Desk, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin.format(port=desk.port)}

    assert await refusal(desk, **headers) == 403


async def test_the_listener_s_own_origin_counts_only_if_listed(tmp_path: Path) -> None:
    async with open_desk(tmp_path, origins=("https://www.firm.example",)) as desk:
        assert await refusal(desk, Origin=desk.url) == 403
        async with connected(desk, "https://www.firm.example") as page:
            await page.say("hello")
            assert (await page.hear())["type"] == "welcome"


async def test_nobody_is_let_in_before_the_receiver_runs(tmp_path: Path) -> None:
    async with open_desk(tmp_path, is_receiving=False) as desk:
        assert await refusal(desk, Origin=desk.url) == 503


async def test_one_too_many_is_told_to_come_later(tmp_path: Path) -> None:
    async with open_desk(tmp_path, max_sockets=1) as desk, visiting(desk), connected(desk) as second:
        assert await second.ended() == 1013


async def test_a_page_is_told_when_the_receiver_stops_and_finds_it_closed_then(desk: Desk) -> None:
    async with visiting(desk) as page:
        stopping = asyncio.create_task(desk.stop_receiving())

        assert await page.ended() == 1012
    await stopping
    assert await refusal(desk, Origin=desk.url) == 503
    await desk.start_receiving()
    async with visiting(desk) as page:
        assert page.welcome["lines"] == []


async def test_binary_and_broken_frames_end_the_socket(desk: Desk) -> None:
    async with visiting(desk) as page:
        await page.ws.send_bytes(b"x")
        assert await page.ended() == 1003
    async with visiting(desk) as page:
        await page.ws.send_str("{")
        assert await page.ended() == 1007


async def test_a_frame_over_the_limit_ends_the_socket(tmp_path: Path) -> None:
    async with open_desk(tmp_path, max_frame=2048) as desk, visiting(desk) as page:
        await page.ws.send_str("x" * 2049)

        assert await page.ended() == 1009
        assert desk.arrivals == []


async def test_who_says_nothing_is_sent_away(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.webchat.HELLO_TIMEOUT", 0.05)
    async with connected(desk) as page:
        assert await page.ended() == 1008


# --- a visitor's line -------------------------------------------------------------------------------------


async def test_a_line_is_acknowledged_only_after_it_is_kept(desk: Desk) -> None:
    desk.gate.clear()
    async with visiting(desk, language="en") as page:
        await page.say("msg", id=CLIENT, text="hello")
        with pytest.raises(TimeoutError):
            await page.ws.receive(timeout=0.1)
        desk.gate.set()

        assert await page.hear() == {"type": "ack", "id": CLIENT, "line": "m1"}
    [arrival] = desk.arrivals
    assert (arrival.channel, arrival.medium, arrival.envelope.peer) == ("website", Medium.CHAT, "127.0.0.1")
    assert read(arrival.raw).text == "hello"


async def test_the_same_line_twice_is_kept_once_with_one_ack(desk: Desk) -> None:
    async with visiting(desk) as page:
        acks = [await page.write("hello"), await page.write("hello")]
    async with visiting(desk, token=page.welcome["token"]) as page:
        acks.append(await page.write("hello"))

    assert acks == [acks[0]] * 3
    assert len(desk.arrivals) == 1


async def test_a_full_store_says_busy_and_loses_nothing(desk: Desk) -> None:
    async with visiting(desk) as page:
        desk.is_down = True
        await page.say("msg", id=CLIENT, text="hello")
        assert await page.hear() == {"type": "busy", "id": CLIENT, "retry_ms": 5000}
        desk.is_down = False

        assert (await page.write("hello"))["line"] == "m1"


async def test_a_store_that_hangs_says_busy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.webchat.ACCEPT_TIMEOUT", 0.05)
    desk.gate.clear()
    async with visiting(desk) as page:
        await page.say("msg", id=CLIENT, text="hello")

        assert (await page.hear())["type"] == "busy"
        desk.gate.set()


async def test_a_visitor_without_transcript_is_told_and_sent_away(desk: Desk) -> None:
    async with visiting(desk) as page:
        pass
    desk.is_down = True
    async with connected(desk) as again:
        await again.say("hello", token=page.welcome["token"])

        assert (await again.hear())["type"] == "busy"
        assert await again.ended() == 1013


async def test_all_tabs_of_a_visitor_see_his_line_and_nobody_else(desk: Desk) -> None:
    async with visiting(desk) as one, visiting(desk, token=one.welcome["token"]) as two, visiting(desk) as other:
        await one.write("hello")

        line = await two.hear("line")
        assert (line["id"], line["client"], line["text"]) == ("m1", CLIENT, "hello")
        with pytest.raises(TimeoutError):
            await other.ws.receive(timeout=0.1)


# --- a line of ours ---------------------------------------------------------------------------------------


async def test_delivered_is_what_the_page_says_it_shows(desk: Desk) -> None:
    async with visiting(desk) as page:
        await page.write("hello")
        sending = asyncio.create_task(desk.say(desk.session(), "good day", author="Chen"))
        line = await page.hear("line")
        assert not sending.done()
        await page.say("got", ids=[line["id"]])
        delivery = await sending

        assert (line["text"], line["author"]) == ("good day", "Chen")
        assert (delivery.state, delivery.remote_id) == (DeliveryState.DELIVERED, line["id"])
        assert await page.hear() == {"type": "seen", "ids": ["o1"]}
    # The sender knows it already: nobody else need be told.
    assert desk.delivered == []


async def test_with_nobody_there_a_line_is_stored(desk: Desk) -> None:
    delivery = await desk.say("f" * 32, "good day")

    assert (delivery.state, delivery.remote_id) == (DeliveryState.STORED, "o1")


async def test_a_page_that_does_not_answer_leaves_it_stored(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.webchat.GOT_TIMEOUT", 0.05)
    async with visiting(desk) as page:
        await page.write("hello")

        assert (await desk.say(desk.session(), "good day")).state is DeliveryState.STORED
        # Better late than never: the page's word is passed on.
        await page.say("got", ids=[(await page.hear("line"))["id"]])
        assert await page.hear() == {"type": "seen", "ids": ["o1"]}
    assert desk.delivered == [("website", 1)]


async def test_a_visitor_who_leaves_meanwhile_is_not_waited_for(desk: Desk) -> None:
    async with visiting(desk) as page:
        await page.write("hello")
        sending = asyncio.create_task(desk.say(desk.session(), "good day"))
        await page.hear("line")

    async with asyncio.timeout(5):  # less than GOT_TIMEOUT
        assert (await sending).state is DeliveryState.STORED


async def test_who_returns_is_shown_what_he_missed_and_that_delivers_it(desk: Desk) -> None:
    async with visiting(desk) as page:
        await page.write("hello")
    await desk.say(desk.session(), "one")
    await desk.say(desk.session(), "two")

    async with visiting(desk, token=page.welcome["token"], after="m1") as page:
        assert [line["text"] for line in page.welcome["lines"]] == ["one", "two"]
        await page.say("got", ids=["o1", "o2"])
        assert await page.hear() == {"type": "seen", "ids": ["o1", "o2"]}

    assert desk.delivered == [("website", 1), ("website", 2)]


async def test_a_confirmation_that_could_not_be_recorded_is_not_called_seen(desk: Desk) -> None:
    async with visiting(desk) as page:
        await page.write("hello")
    await desk.say(desk.session(), "one")
    async with visiting(desk, token=page.welcome["token"]) as page:
        desk.is_down = True
        await page.say("got", ids=["o1"])
        await page.say("msg", id=CLIENT, text="x")
        assert (await page.hear())["type"] == "busy"
        desk.is_down = False
        await page.say("got", ids=["o1"])

        assert await page.hear() == {"type": "seen", "ids": ["o1"]}


async def test_nobody_confirms_somebody_else_s_line(desk: Desk) -> None:
    async with visiting(desk) as page:
        await page.write("hello")
        session = desk.session()
    await desk.say(session, "for him alone")

    async with visiting(desk) as stranger:
        assert stranger.welcome["lines"] == []
        await stranger.say("got", ids=["o1"])
        await stranger.say("since", after="")
        assert await stranger.hear() == {"type": "lines", "lines": [], "more": False}
    assert desk.delivered == []


async def test_a_long_transcript_comes_in_stretches(desk: Desk) -> None:
    async with visiting(desk) as page:
        await page.write("hello")
    for number in range(250):
        desk.write(desk.session(), f"line {number}")

    async with visiting(desk, token=page.welcome["token"], after="m1") as page:
        assert page.welcome["more"] is True
        await page.say("since", after=page.welcome["lines"][-1]["id"])
        rest = await page.hear("lines")

    texts = [line["text"] for line in page.welcome["lines"] + rest["lines"]]
    assert (texts, rest["more"]) == ([f"line {n}" for n in range(250)], False)


async def test_the_header_promises_only_what_it_is_told(desk: Desk) -> None:
    async with visiting(desk) as page:
        assert (page.welcome["firm"], page.welcome["promise"]) == ("Jade & Lin", "")
    desk.promise = "answers within 1 minute"
    async with visiting(desk) as page:
        assert page.welcome["promise"] == "answers within 1 minute"


async def test_only_visitors_can_be_written_to(desk: Desk) -> None:
    assert desk.adapter.sender is not None
    mail = Address(scheme=Scheme.MAIL, value="a@b.example")

    with pytest.raises(PermanentFailure):
        await desk.adapter.sender.send(OutboundMessage(id=1, recipient=mail, body=b"x"))


# --- the key and the check --------------------------------------------------------------------------------


async def test_the_key_is_made_once_and_ours_alone(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, visiting(desk) as page:
        await page.write("hello")
        token = page.welcome["token"]
    [file] = tmp_path.iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("webchat-website.key", 0o600)

    async with open_desk(tmp_path) as desk, visiting(desk, token=token) as page:
        assert page.welcome["token"] == token


@pytest.mark.parametrize("content", [None, "", "too short"])
async def test_without_a_good_key_it_does_not_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "session.key"
    if content is not None:
        file.write_text(content)
    settings = WebchatSettings(origins=("https://f.example",), session_key=Secret(file=file))
    chat = Chat("website", settings, Desk(tmp_path).tools())

    with pytest.raises(Fatal, match="session key"):
        await chat.receive(Desk(tmp_path).accept)


@pytest.mark.parametrize(
    ("origins", "state", "word"),
    [
        (("https://www.firm.example", "http://127.0.0.1:8080"), CheckState.OK, ""),
        (("https://www.firm.example/",), CheckState.BAD, "no browser sends"),
        (("www.firm.example",), CheckState.BAD, "no browser sends"),
        ((), CheckState.BAD, "no site may open"),
        (("http://www.firm.example",), CheckState.WARNING, "not encrypted"),
    ],
)
async def test_check_reads_the_origins(tmp_path: Path, origins: tuple[str, ...], state: CheckState, word: str) -> None:
    adapter = build("website", WebchatSettings(origins=origins), Desk(tmp_path).tools())
    assert adapter.checker is not None

    [line] = await adapter.checker.check()

    assert (line.subject, line.name, line.state) == ("chat", "website", state)
    assert word in line.problem
    assert bool(line.mend) == (state is not CheckState.OK)


async def test_check_sees_a_key_that_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / "session.key"
    file.write_text("0123456789abcdef")
    file.chmod(0o644)
    settings = WebchatSettings(origins=("https://f.example",), session_key=Secret(file=file))
    adapter = build("website", settings, Desk(tmp_path).tools())
    assert adapter.checker is not None

    [line] = await adapter.checker.check()

    assert (line.state, line.mend) == (CheckState.BAD, f"chmod o-r {file}")


# --- the files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/chat", "/chat/panel", "/chat/panel.css", "/chat/panel.js", "/chat/widget.js"])
async def test_every_file_is_framed_by_listed_sites_alone_and_loads_nothing_foreign(desk: Desk, address: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(desk.url + address) as answer:
        body = await answer.text()

        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:;" in policy
        assert policy.endswith(f"frame-ancestors {desk.url}")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "{{" not in body
    async with (
        aiohttp.ClientSession() as http,
        http.get(desk.url + address, headers={"If-None-Match": answer.headers["ETag"]}) as again,
    ):
        assert again.status == 304


async def test_a_firm_s_name_cannot_be_markup(tmp_path: Path) -> None:
    async with (
        open_desk(tmp_path, firm='<img src=x onerror="alert(1)">{{base}}') as desk,
        aiohttp.ClientSession() as http,
        http.get(f"{desk.url}/chat") as answer,
    ):
        assert "<img" not in await answer.text()


async def test_the_whole_is_small(desk: Desk) -> None:
    sizes = []
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        for name in ("panel", "panel.css", "panel.js", "widget.js"):
            async with http.get(f"{desk.url}/chat/{name}") as answer:
                sizes.append(len(await answer.read()))

    assert sum(sizes) < 15_000  # octets on the wire
