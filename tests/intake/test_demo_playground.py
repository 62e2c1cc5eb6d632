"""The playground over HTTP: with the real mail server and telephone channel, and an event log that the test writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from support.needs import needs, program

from channels.http import Listener
from intake.demo import news
from intake.demo.client import Account
from intake.demo.letters import read
from intake.demo.mailserver import DemoMailServer
from intake.demo.people import prepare
from intake.demo.playground import Playground

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


@dataclass
class Daemon:
    """What the playground meets in place of the daemon."""

    url: str
    folder: Path
    mail: DemoMailServer
    events: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    listener: Listener | None = None
    fails: int = 0

    async def events_after(self, seq: int) -> Sequence[Mapping[str, Any]]:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the store is down")
        return self.events[seq : seq + 100]

    def happened(self, kind: str, **rest: Any) -> None:
        self.events.append({"seq": len(self.events) + 1, "at": NOON, "kind": kind, "data": {}, **rest})

    async def called(self, request: web.Request) -> web.Response:
        self.secrets.append(request.match_info["secret"])
        self.calls.append(await request.json())
        return web.json_response({"status": "ok"})

    def account(self, key: str, domain: str = "firm.example") -> Account:
        return Account(
            address=f"{key}@{domain}",
            password=self.folder / f"{key}.password",
            host=self.mail.host,
            imap_port=self.mail.imap_port,
            smtp_port=self.mail.smtp_port,
        )


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    mail = DemoMailServer(prepare(tmp_path), 0, 0, now=lambda: NOON)
    await mail.start()
    listener = Listener("127.0.0.1", 0, handler_grace=0.5)
    running = Daemon(url="", folder=tmp_path / "demo", mail=mail, listener=listener)
    playground = Playground(
        host="127.0.0.1",
        events_after=running.events_after,
        mail=mail,
        folder=running.folder,
        now=lambda: NOON,
        channels={"support-mail": "email", "website": "chat", "hotline": "phone"},
        phone_users={"chen": "201"},
        hotline="+886 2 2345 0000",
    )
    listener.mount(playground.routes)
    listener.mount(lambda app: app.router.add_post("/phone/{secret}", running.called))
    listener.mount(lambda app: app.router.add_get("/chat", _chat))
    await listener.start()
    running.url = f"http://127.0.0.1:{listener.port}"
    yield running
    await listener.stop()
    await mail.stop()


async def _chat(request: web.Request) -> web.Response:
    headers = {"Content-Security-Policy": "frame-ancestors 'self'"}
    return web.Response(text="<!doctype html><title>chat</title>", content_type="text/html", headers=headers)


@pytest.fixture
async def http(daemon: Daemon) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Origin": daemon.url}
    async with aiohttp.ClientSession(daemon.url, headers=headers, timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


async def test_the_page_and_all_it_loads_is_here_and_nothing_comes_from_elsewhere(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as answer:
        page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
    loaded = {}
    for path in ("/demo/page.css", "/demo/words.js", "/demo/page.js"):
        assert path in page
        async with http.get(path) as answer:
            loaded[path] = (answer.status, answer.content_type)

    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert {status for status, _ in loaded.values()} == {200}
    assert "//" not in page.replace("<!--", "")


async def test_a_customers_mail_reaches_the_desk_in_his_name(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    posted = {"subject": "營業稅申報", "text": "請問截止日？"}
    async with http.post("/demo/mail/meiling", json=posted) as answer:
        assert answer.status == 201

    (one,) = await daemon.account("support").listed()
    letter = read(one.head)
    assert letter.sender == ("王美玲", "meiling@customer.example")
    assert (letter.subject, letter.text) == ("營業稅申報", "請問截止日？")
    assert b"auth=pass smtp.auth=meiling@customer.example; dmarc=pass" in one.head


async def test_an_agent_reads_his_mail_and_answers_it(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    work = (
        b"From: desk <support@firm.example>\r\nReply-To: support+TOKEN@firm.example\r\nSubject: [#7] tax\r\n"
        b"Message-ID: <w@firm.example>\r\n\r\nwhen?\r\n"
    )
    await daemon.mail.put("chen@firm.example", work)

    async with http.get("/demo/mail/chen") as answer:
        (line,) = await answer.json()
    async with http.get(f"/demo/mail/chen/{line['uid']}") as answer:
        letter = await answer.json()
    async with http.post("/demo/mail/chen", json={"reply": line["uid"], "text": "on the 15th"}) as answer:
        assert answer.status == 201
    async with http.get("/demo/mail/chen") as answer:
        (after,) = await answer.json()

    assert (line["subject"], line["preview"], line["is_seen"]) == ("[#7] tax", "when?", False)
    assert (letter["text"], letter["has_html"]) == ("when?", False)
    assert after["is_seen"] is True
    (one,) = await daemon.account("support").listed()
    reply = read(one.head)
    assert reply.to == (("", "support+token@firm.example"),)
    assert reply.text.startswith("on the 15th\n\nOn ")
    assert b"In-Reply-To: <w@firm.example>" in one.head
    assert b"smtp.auth=chen@firm.example; dmarc=pass" in one.head


async def test_the_html_of_a_mail_is_shown_in_a_sandbox(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    evil = b"From: x@y.example\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script><img src=//x.example/a>"
    await daemon.mail.put("chen@firm.example", evil)
    async with http.get("/demo/mail/chen") as answer:
        (line,) = await answer.json()

    async with http.get(f"/demo/mail/chen/{line['uid']}/html") as answer:
        policy = answer.headers["Content-Security-Policy"]

    assert policy.startswith("sandbox; default-src 'none';")
    assert "img-src data:;" in policy


async def test_the_exchange_posts_to_the_webhook_and_the_page_never_sees_the_secret(
    daemon: Daemon, http: aiohttp.ClientSession
) -> None:
    ring = {"event": "newCall", "call_id": "c1", "from": "+886912345678"}
    answered = {**ring, "event": "answer", "agent": "chen"}
    async with http.post("/demo/call", json=ring) as first, http.post("/demo/call", json=answered) as second:
        assert (first.status, second.status) == (200, 200)
    async with http.get("/demo/setup") as setup:
        told = await setup.text()

    secret = (daemon.folder / "hotline.secret").read_text().strip()
    assert daemon.secrets == [secret, secret]
    assert daemon.calls[0] == {
        "event": "newCall",
        "direction": "in",
        "callId": "c1",
        "from": "+886912345678",
        "to": "+886 2 2345 0000",
    }
    assert daemon.calls[1]["user"] == "201"
    assert secret not in told
    assert not [word for path in daemon.folder.glob("*.password") if (word := path.read_text().strip()) in told]


async def test_a_callback_goes_out_from_the_hotline(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    ring = {"event": "newCall", "call_id": "c2", "direction": "out", "to": "+886223456789", "agent": "chen"}
    async with http.post("/demo/call", json=ring) as answer:
        assert answer.status == 200

    [call] = daemon.calls
    assert (call["direction"], call["from"], call["to"]) == ("out", "+886 2 2345 0000", "+886223456789")
    assert call["user"] == "201"


async def test_a_caller_may_withhold_his_number(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    async with http.post("/demo/call", json={"event": "newCall", "call_id": "c3", "from": ""}) as answer:
        assert answer.status == 200

    assert daemon.calls[0]["from"] == "anonymous"


async def states(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


async def test_the_stream_tells_dots_and_mail_as_they_come(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    daemon.fails = 1  # one failed look at the store is not the end
    async with http.get("/demo/events") as answer:
        stream = states(answer)
        first = await anext(stream)
        daemon.happened("message_accepted", message=1, data={"channel": "website"})
        second = await anext(stream)
        await daemon.mail.put("chen@firm.example", b"Subject: x\r\n\r\n")
        third = await anext(stream)

    assert (first["dots"], first["mail"]) == ([], {})
    assert [(dot["channel"], dot["stage"]) for dot in second["dots"]] == [("website", "accepted")]
    assert third["mail"] == {"chen": 1}


async def test_the_event_log_is_read_only_while_somebody_watches(
    daemon: Daemon, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "HEARTBEAT", 0.05)

    async with http.get("/demo/events") as answer:
        await anext(states(answer))
        assert "playground" in {task.get_name() for task in asyncio.all_tasks()}
    async with asyncio.timeout(5):
        while "playground" in {task.get_name() for task in asyncio.all_tasks()}:
            await asyncio.sleep(0.01)


async def test_an_open_stream_does_not_hold_up_the_end(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    assert daemon.listener is not None
    async with http.get("/demo/events") as answer:
        await anext(states(answer))
        began = asyncio.get_running_loop().time()
        await daemon.listener.stop()

    assert asyncio.get_running_loop().time() - began < 0.4  # less than the grace for handlers


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {"Host": "evil.example"}, 403),  # DNS rebinding: its name points here
        ("GET", "/demo/setup", {"Host": "evil.example:80"}, 403),
        ("GET", "/demo/setup", {"Host": "127.0.0.1.evil.example:8080"}, 403),
        ("GET", "/demo/mail/chen", {"Host": "evil.example"}, 403),
        ("POST", "/demo/mail/chen", {"Origin": "http://evil.example"}, 403),
        ("POST", "/demo/mail/chen", {"Origin": "null"}, 403),
        ("POST", "/demo/call", {"Origin": "http://127.0.0.1:1"}, 403),  # another program of this machine
        ("POST", "/demo/call", {"Content-Type": "text/plain"}, 403),  # what a form of another site may send
        ("GET", "/demo/mail/support", {}, 404),  # the daemon's own mailbox
        ("GET", "/demo/mail/..%2Ftoken", {}, 404),
        ("GET", "/demo/mail/chen/999", {}, 404),
        ("POST", "/demo/mail/meiling", {}, 400),  # no text
    ],
)
async def test_who_and_what_is_refused(
    http: aiohttp.ClientSession, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    headers = {"Content-Type": "application/json", **headers}

    async with http.request(method, path, data="{}" if method == "POST" else None, headers=headers) as answer:
        assert answer.status == status


async def test_a_post_without_origin_is_refused(daemon: Daemon) -> None:
    async with aiohttp.ClientSession(daemon.url) as plain, plain.post("/demo/call", json={}) as answer:
        assert answer.status == 403


async def test_everybody_comes_by_the_same_name(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    host = daemon.url.replace("http://127.0.0.1", "localhost")

    async with http.get("/", headers={"Host": host}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, f"{daemon.url}/")


async def test_a_mail_server_that_is_gone_is_said_in_a_sentence(daemon: Daemon, http: aiohttp.ClientSession) -> None:
    await daemon.mail.stop()

    async with http.get("/demo/mail/chen") as answer:
        told = await answer.json()

    assert answer.status == 502
    assert str(daemon.mail.imap_port) in told["error"]


async def test_it_refuses_to_be_reached_from_outside(daemon: Daemon) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Playground(
            host="0.0.0.0",
            events_after=daemon.events_after,
            mail=daemon.mail,
            folder=daemon.folder,
            now=lambda: NOON,
            channels={},
        )


@pytest.mark.system
async def test_the_circle_is_seen_in_a_browser(daemon: Daemon) -> None:
    needs("chromium")
    from playwright.async_api import async_playwright, expect

    problems: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        page = await browser.new_page(locale="zh-TW", viewport={"width": 1440, "height": 900})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        await page.goto(daemon.url)

        await page.click("#customers .compose .plain")
        await page.click("#customers .compose .do")
        await expect(page.locator("#customers .said")).to_have_text("已寄出")
        daemon.happened("message_accepted", message=1, data={"channel": "support-mail"})
        daemon.happened("ticket_opened", message=1, ticket=1042)
        daemon.happened("assigned", message=1, ticket=1042, agent="lin")
        await expect(page.locator("[data-stage=assigned] .dot.email b")).to_have_text("#1042")
        await daemon.mail.put(
            "lin@firm.example",
            b"From: desk <support@firm.example>\r\nSubject: [#1042] tax\r\nMessage-ID: <w@firm.example>\r\n\r\n?\r\n",
        )
        # The column turns to the agent who got it.
        await page.click("#agents .list .unseen")
        await page.fill("#agents textarea", "十五日。")
        await page.click("#agents form .do")
        await expect(page.locator("#agents .said")).to_have_text("已寄出")

        await page.click("#ring")
        await expect(page.locator("#told")).to_have_text("第 1 聲")
        await page.click("#answerers button >> nth=0")
        await page.click("#hangup")
        await expect(page.locator("#calls li")).to_contain_text("陳怡君接聽，第 1 聲")

        daemon.happened("delivered", ticket=1042, data={"purpose": "answer"})
        await expect(page.locator("[data-stage=delivered] .dot.done")).to_have_count(1)
        await page.set_viewport_size({"width": 390, "height": 844})
        wide = await page.evaluate("document.documentElement.scrollWidth")
        words = await page.evaluate("WORDS")
        await browser.close()

    assert problems == []
    assert wide <= 390
    assert set(words) == {"zh-Hant", "zh-Hans", "en"}
    assert {frozenset(one) for one in words.values()} == {frozenset(words["en"])}
    assert [call["event"] for call in daemon.calls] == ["newCall", "answer", "hangup"]
    subjects = [read(one.head).subject for one in await daemon.account("support").listed()]
    assert sorted(subjects) == ["Re: [#1042] tax", "營業稅申報"]
