"""Attacks on the doors: the chat's socket, the telephone's webhook, and the log that everybody may read."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import structlog
from support.attackdesk import RECEIVED, AttackedDesk, Keeper, octets, reply, vouched
from support.deskrun import KEYRING, bounce
from support.handdesk import store

from channels import telephony, webchat
from channels.adapter import PermanentFailure, Tools, TranscriptLine, UnknownDelivery
from channels.http import Listener
from channels.settings import TelephonySettings, WebchatSettings
from channels.webchat_tokens import new_session, sign
from intake import logs
from intake.transcript import transcript
from routing.tokens import canary

SECRET = "abcdefghijklmnopqrstuvwxyz012345"
SITE = "https://www.firm.example"
OUTBOX_PATIENCE = 10.0  # seconds
EVENT = {"event": "newCall", "direction": "in", "from": "0912345678", "to": "0223456789", "callId": "c1"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


@dataclass
class Doors:
    """The listener with chat and telephone, before the real queue."""

    desk: AttackedDesk
    http: aiohttp.ClientSession
    port: int
    key: bytes

    async def post(self, secret: str = SECRET, **fields: str) -> int:
        url = f"http://127.0.0.1:{self.port}/phone/{secret}"
        async with self.http.post(url, data=orjson.dumps(EVENT | fields)) as answer:
            await answer.read()
            return answer.status

    @contextlib.asynccontextmanager
    async def chat(self, token: str = "", origin: str = SITE) -> AsyncIterator[Chat]:
        url = f"http://127.0.0.1:{self.port}/chat/ws"
        async with self.http.ws_connect(url, headers={"Origin": origin}) as ws:
            page = Chat(ws)
            await page.say("hello", **({"token": token} if token else {}))
            yield page


@dataclass
class Chat:
    """A page without a screen."""

    ws: aiohttp.ClientWebSocketResponse

    async def say(self, kind: str, **fields: object) -> None:
        await self.ws.send_str(orjson.dumps({"type": kind, **fields}).decode())

    async def hear(self) -> dict[str, Any]:
        message = await self.ws.receive(timeout=OUTBOX_PATIENCE)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        heard: dict[str, Any] = orjson.loads(message.data)
        return heard

    async def write(self, words: str, number: int = 1) -> dict[str, Any]:
        await self.say("msg", id=f"{number:016x}", text=words)
        return await self.hear()


@pytest.fixture
async def doors(desk: AttackedDesk, tmp_path: Path) -> AsyncIterator[Doors]:
    secret, key = tmp_path / "hotline.secret", tmp_path / "chat.key"
    for path, text in ((secret, SECRET), (key, "a key for the sessions of a chat")):
        path.write_text(text)
        path.chmod(0o600)

    async def lines(session: str, after: str) -> list[TranscriptLine]:
        return await transcript(desk.db, desk.policy, "website", session, after)

    async def nothing(*_: object) -> None:
        return None

    tools = Tools(
        clock=desk.clock,
        progress=lambda note, within: None,
        read_cursor=nothing,
        save_cursor=nothing,
        transcript=lines,
        state_dir=str(tmp_path),
    )
    adapters = [
        telephony.build("hotline", TelephonySettings.model_validate({"secret": {"file": secret}}), tools),
        webchat.build(
            "website", WebchatSettings.model_validate({"origins": [SITE], "session_key": {"file": key}}), tools
        ),
    ]
    listener = Listener("127.0.0.1", 0)
    for adapter in adapters:
        listener.mount(adapter.routes)
    await listener.start()
    receiving = [asyncio.create_task(a.receiver.receive(desk.accept)) for a in adapters if a.receiver]
    await asyncio.sleep(0)
    async with aiohttp.ClientSession() as http:
        yield Doors(desk, http, listener.port, key.read_bytes())
    for task in receiving:
        task.cancel()
    await asyncio.gather(*receiving, return_exceptions=True)
    await listener.stop()


# ---- the chat


async def test_a_chat_session_cannot_be_forged_or_borrowed(doors: Doors) -> None:
    async with doors.chat() as hers:
        token = (await hers.hear())["token"]
        await hers.write("我的統一編號是 12345675")
    await doors.desk.settle()
    session = token.partition(".")[0]
    forged = [
        *(session, f"{session}.", f"{session}.{'A' * 43}", f"{session}.{token.partition('.')[2][:-2]}AA"),
        sign(b"another key of another desk", "website", session),
        sign(doors.key, "another-chat", session),
        f"{new_session()}.{token.partition('.')[2]}",
        token.upper(),
        f" {token}",
        f"{token}\x00",
        "x" * 5000,
    ]
    for one in forged:
        async with doors.chat(one) as page:
            heard = await page.hear()
            assert heard["type"] == "welcome"
            assert heard["token"] != token, one
            assert heard["lines"] == [], one
            await page.write("給我看她的案件")
    await doors.desk.settle()

    assert len(await doors.desk.tickets()) == 1 + len(forged)
    assert {t.contact for t in await doors.desk.tickets() if t.id == 1001} == {f"web:{session}"}


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "", "http://www.firm.example", "https://www.firm.example.evil.example"),
        *(
            "https://www.firm.example:444",
            "https://WWW.firm.example",
            "https://www.firm.example/",
            "https://firm.example",
        ),
    ],
)
async def test_a_page_of_another_site_opens_no_socket(doors: Doors, origin: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with doors.chat(origin=origin):
            pass

    assert refused.value.status == 403
    assert await doors.desk.counted("1 = 1") == 0


async def test_what_a_visitor_writes_commands_nothing_and_breaks_no_line(doors: Doors) -> None:
    words = "！結案\n\u202e\u2028<script>alert(1)</script>\x00\x1b[2J"
    async with doors.chat() as page:
        await page.hear()
        await page.say("msg", id="1" * 16, text=words, name="客服\r\nBcc: eve@evil.example\u202e")
        await page.hear()
    await doors.desk.settle()
    [assignment] = [letter for letter in await doors.desk.leaves() if letter.purpose == "assignment"]

    assert (await doors.desk.ticket()).state == "open"
    assert "Bcc" not in assignment.mail
    assert "<script" not in assignment.html
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u2028\u202e]", assignment.text)


async def test_a_mail_reply_to_a_chat_leaves_into_the_chat_alone_and_guarded(doors: Doors) -> None:
    desk = doors.desk
    async with doors.chat() as page:
        await page.hear()
        await page.write("你好")
    await desk.settle()
    await desk.leaves()
    [item] = await desk.outbox("assignment")
    await desk.takes(reply(item, f"請寫到 {item.agent}@firm.example {canary(KEYRING, 1001)}"))
    assert [letter.purpose for letter in await desk.leaves()] == ["told"]
    await desk.takes(reply(item, "您好", Cc="eve@evil.example", Message_ID="<second@firm.example>"))

    letters = await desk.leaves()

    assert [one.to for one in letters if one.purpose == "told"] == [f"{item.agent}@firm.example"]
    assert [(one.channel, one.to[:3], one.body.decode()) for one in letters if one.purpose != "told"] == [
        ("website", (await desk.ticket()).contact[4:7], "您好")
    ]


# ---- the telephone


@pytest.mark.parametrize(
    "secret", ["", "x", SECRET[:-1], SECRET + "x", SECRET.upper(), SECRET[::-1], "%00" + SECRET, SECRET + "%2f.."]
)
async def test_a_wrong_secret_is_a_path_that_nobody_serves(doors: Doors, secret: str) -> None:
    assert await doors.post(secret) == 404
    assert await doors.desk.counted("1 = 1") == 0


async def test_a_call_that_is_posted_again_and_backwards_is_one_call(doors: Doors) -> None:
    desk = doors.desk
    events = [{"event": "hangup", "cause": "cancel"}, {"event": "newCall"}]
    for _ in range(20):
        for event in events:
            assert await doors.post(**event) == 200
    await desk.settle()

    assert await desk.counted("1 = 1") == 2
    assert len(await desk.tickets()) == 1
    assert [t.kind.value for t in await desk.targets(1001) if t.is_open] == ["callback"]
    assert [letter.purpose for letter in await desk.leaves()] == ["assignment"]


async def test_what_an_exchange_calls_a_caller_breaks_no_header(doors: Doors) -> None:
    hostile = "<script>\r\nBcc: eve@evil.example\u202e"
    assert await doors.post(**{"from": hostile, "to": hostile, "cause": hostile}) == 200
    assert await doors.post(**{"event": "hangup", "from": hostile, "cause": "cancel"}) == 200
    await doors.desk.settle()
    letters = await doors.desk.leaves()

    assert [letter.purpose for letter in letters] == ["assignment"]
    assert [letter for letter in letters if "Bcc" in letter.mail or "<script" in letter.html] == []
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202e]", letters[0].text)


# ---- the log


@contextlib.contextmanager
def logged(monkeypatch: pytest.MonkeyPatch, style: str = "json") -> Iterator[io.StringIO]:
    """What the daemon writes at INFO while the block lasts; whole once it has ended."""
    out = io.StringIO()
    real, root = structlog.configure, logging.getLogger()
    handlers, level = root.handlers, root.level
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        # A logger that is kept would go on writing into this test's stream in the next.
        patched.setattr(structlog, "configure", lambda **how: real(**{**how, "cache_logger_on_first_use": False}))
        logs.setup("info", style)
        try:
            yield out
        finally:
            logs.stop()
            root.handlers = handlers
            root.setLevel(level)
            structlog.reset_defaults()


#: Each stands in something that comes in, once.
CANARIES = {
    "address": "goldfinch", "name": "Nightingale", "subject": "albatross", "words": "cormorant", "file": "pelican",
    "domain-literal": "kingfisher", "Reply-To": "sandpiper", "Cc": "oystercatcher", "reply": "woodpecker",
    "held words": "hummingbird", "forged words": "nuthatch", "bounce": "flycatcher", "chat": "lapwing",
    "relayed words": "spoonbill", "defect": "shearwater", "command": "treecreeper",
}  # fmt: skip


async def everything_happens(doors: Doors) -> list[str]:
    """Customers, agents, forgers, reports, a chat, a call, relays that refuse: the secrets that were in use."""
    desk, c = doors.desk, CANARIES
    item = await desk.opened(
        f'From: "{c["name"]}" <{c["address"]}@example.com>',
        f"Message-ID: <{c['domain-literal']}@example.com>",
        f"Reply-To: {c['Reply-To']}@example.com",
        f"Cc: {c['Cc']}@example.com",
        f"Subject: {c['subject']}",
        f'Content-Disposition: inline; filename="{c["file"]}.txt"',
        body=f"{c['words']} 0912345678",
    )
    await desk.takes(reply(item, c["reply"]))
    [answer] = await desk.leaves()
    await desk.takes(
        reply(item, f"{c['held words']} {item.recipe['token']}", Message_ID="<h1@firm.example>"),
        reply(item, f"！{c['command']}", Message_ID="<h2@firm.example>"),
        reply(item, c["forged words"], evidence=(), Message_ID="<h3@firm.example>"),
        bounce(str(answer.mail["Message-ID"])).replace(b"no such user", c["bounce"].encode()),
        octets(RECEIVED, "From: eve@evil.example", f"To: support+{item.recipe['token']}@firm.example", body="x"),
        octets(f"{c['defect']} no header", RECEIVED, "From", f"Content-Type: {c['defect']}", body=b"\xff\xfe"),
        desk.arrival(f'{{"{c["defect"]}": 1}}'.encode(), "website"),
    )
    for failure in (
        PermanentFailure(f"RCPT: 550 <{c['address']}@example.com> is unknown to {c['relayed words']}@relay.example"),
        UnknownDelivery(f"lost while sending to {c['address']}@example.com"),
        ValueError(f"{c['address']}@example.com"),
    ):
        desk.keeper.failing = failure
        await desk.takes(octets(vouched("evil.example"), RECEIVED, "From: a@evil.example", body=str(failure)))
        await desk.leaves()
    desk.keeper.failing = None
    async with doors.chat() as page:
        token = str((await page.hear())["token"])
        await page.write(c["chat"])
    await doors.post()
    await doors.post("wrong" + SECRET)
    await desk.settle()
    await desk.leaves()
    return [SECRET, item.recipe["token"], token, canary(KEYRING, 1001), KEYRING.current.secret.decode()]


async def test_no_word_address_or_secret_is_in_the_log_at_info(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    with logged(monkeypatch) as log:
        secrets = await everything_happens(doors)
    text = log.getvalue()

    for event in ("message_accepted", "ticket_opened", "reply_held", "delivered", "delivery_failed", "token_misused"):
        assert f'"{event}"' in text, "the log says too little for this test to prove anything"
    for what, word in CANARIES.items():
        assert word not in text, what
    for secret in secrets:
        assert secret not in text
        assert secret.partition(".")[0] not in text
    for address in ("@example.com", "chen@", "lin@", "912345678"):
        assert address not in text, [line for line in text.splitlines() if address in line]


async def test_events_name_people_by_id_and_never_by_value(doors: Doors) -> None:
    """So that erasing somebody leaves the log of events whole."""
    secrets = await everything_happens(doors)
    told = orjson.dumps([[e.kind, e.data] for e in await doors.desk.events()]).decode()

    for what, word in CANARIES.items():
        assert word not in told, what
    for secret in (*secrets, "@example.com", "912345678"):
        assert secret not in told, re.findall(f".{{200}}{re.escape(secret)}", told)[:1]


HOSTILE = '\n{"event":"delivered","level":"info"}\r\n\x1b[31m\x1b]0;x\x07\u2028\u2029\u0085\u202e' + "A" * 100_000


async def hostile_things_happen(doors: Doors) -> None:
    desk = doors.desk
    await desk.takes(
        octets(RECEIVED, f"From: {HOSTILE} <a@b>", f"Subject: {HOSTILE}", f"Message-ID: <{HOSTILE}@b>", body=HOSTILE),
        desk.arrival(HOSTILE.encode(), "website"),
        desk.arrival(b"[]", "hotline"),
        bounce("<x@y>", HOSTILE[:500]),
    )
    for failure in (PermanentFailure(f"550 {HOSTILE}"), UnknownDelivery(HOSTILE), ValueError(HOSTILE)):
        desk.keeper.failing = failure
        await desk.takes(octets(RECEIVED, "From: c@d.example", body=type(failure).__name__))
        await desk.leaves()
    await doors.post(**{"from": HOSTILE[:500], "cause": HOSTILE[:200]})
    async with doors.chat() as page:
        await page.hear()
        await page.write(HOSTILE[:4000])
    await desk.settle()
    structlog.get_logger("any").info("said", words=HOSTILE, short="\x1b[2J\u202e")
    logging.getLogger("any").warning("by a library: %s", HOSTILE)


@pytest.mark.parametrize("style", ["json", "console"])
async def test_whatever_is_sent_a_line_of_the_log_stays_one_line(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    began = time.process_time()
    with logged(monkeypatch, style) as log:
        await hostile_things_happen(doors)
    text = log.getvalue()

    assert text.endswith("\n")
    assert "sending_failed" in text
    assert "Traceback" in text, "an operator must see where a program failed"
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", text)
    assert '\n{"event":"delivered","level":"info"}' not in text
    for line in text[:-1].split("\n"):
        assert len(line) < 20_000
        assert style == "console" or "event" in orjson.loads(line)
    assert time.process_time() - began < 10


async def test_a_failing_relay_is_told_without_the_address_and_the_row_keeps_the_words(desk: AttackedDesk) -> None:
    desk.keeper = Keeper(failing=PermanentFailure("550 5.1.1 <mei@example.com>: Recipient address rejected"))
    await desk.takes(octets(vouched("example.com"), RECEIVED, "From: mei@example.com"))
    await desk.leaves()

    assert all("mei" not in str(e) and "550 5.1.1" in str(e["error"]) for e in await desk.why("delivery_failed"))
    assert [i.error for i in await desk.outbox("acknowledgement")] == [
        "550 5.1.1 <mei@example.com>: Recipient address rejected"
    ]
