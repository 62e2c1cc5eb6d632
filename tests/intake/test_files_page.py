"""The link to files that were too large to mail: for its agent, for a week, and for nobody by guessing."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from support.deskrun import KEYRING, RunningDesk, mail
from support.handdesk import stationery, store
from support.storefacts import NOW

from channels.http import Listener
from intake import files_page
from intake.cards import Stationery
from intake.files_page import FilesPage, size_words
from intake.letters import outbound
from routing import writing
from routing.records import Event
from routing.tokens import TokenRecord, judge, message_of_files, purpose_of_files
from routing.words import Purpose
from store import outbox, tokens
from store.seal import Seal

NAME = "帳冊 & 2026.html"
FILE = b"<script>alert(1)</script>" * 2_000
LINKS = "https://desk.firm.example"


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningDesk]:
    """A desk to which a customer has sent a file that is too large for a mail."""
    monkeypatch.setattr(writing, "MAX_FILES", 10_000)
    async with store(tmp_path) as db:
        desk = RunningDesk(db)
        await desk.takes(with_file(NAME, FILE))
        yield desk


def with_file(name: str, content: bytes, **headers: str) -> bytes:
    """A mail with a few words and one file."""
    body = (
        "--b\nContent-Type: text/plain; charset=utf-8\n\n請查收\n--b\nContent-Type: text/html\n"
        f"Content-Disposition: attachment; filename*=UTF-8''{quote(name)}\n\n{content.decode()}\n--b--\n"
    )
    one, several = (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Tr",
        b'Content-Type: multipart/mixed; boundary="b"\r\nX-Tr',
    )
    return mail(body, **headers).replace(one, several, 1)


@pytest.fixture
async def url(desk: RunningDesk) -> AsyncIterator[str]:
    listener = Listener("127.0.0.1", 0)
    listener.mount(FilesPage(desk.db, desk.clock, lambda: stationery(desk.policy)).routes)
    await listener.start()
    yield f"http://127.0.0.1:{listener.port}/files"
    await listener.stop()


async def assignment(desk: RunningDesk) -> Any:
    async with desk.db.reading() as tx:
        (item,) = [i for i in await outbox.due(tx, desk.clock.at, 10) if i.purpose is Purpose.ASSIGNMENT]
    return item


async def token(desk: RunningDesk) -> str:
    return str((await assignment(desk)).recipe["files"])


async def answer(method: str, url: str) -> tuple[int, bytes, dict[str, str]]:
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return response.status, await response.read(), dict(response.headers)


async def fetched(desk: RunningDesk) -> list[Event]:
    return [e for e in await desk.events() if e.kind == "file_fetched"]


async def letter(desk: RunningDesk, links: str) -> str:
    item = await assignment(desk)
    with_ = Stationery(policy=desk.policy, keyring=KEYRING, texts=stationery().texts, links=links)
    async with desk.db.reading() as tx:
        sent = await outbound(tx, item, with_, desk.clock.at, None)
    part = message_from_bytes(sent.body, policy=policy.default).get_body(("plain",))
    return str(part.get_content())  # type: ignore[union-attr]


async def test_the_agents_mail_links_to_what_it_has_no_room_for(desk: RunningDesk) -> None:
    words = await letter(desk, LINKS)

    assert f"{LINKS}/files/{await token(desk)}" in words
    assert "由此下載" in words


async def test_without_a_public_address_no_link_is_promised(desk: RunningDesk) -> None:
    assert "/files/" not in await letter(desk, "")


async def test_a_mail_whose_files_fit_makes_no_link(desk: RunningDesk) -> None:
    await desk.takes(mail("hello", From="lee@customer.example"))

    async with desk.db.reading() as tx:
        made = [
            i.recipe.get("files") for i in await outbox.due(tx, desk.clock.at, 10) if i.purpose is Purpose.ASSIGNMENT
        ]
    assert [bool(token) for token in made] == [True, False]


async def test_the_page_names_the_files_and_hands_over_none(desk: RunningDesk, url: str) -> None:
    status, page, headers = await answer("GET", f"{url}/{await token(desk)}")

    assert status == 200
    assert "帳冊 &amp; 2026.html" in page.decode()
    assert b"<script" not in page
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert await fetched(desk) == []


async def test_a_file_leaves_whole_as_a_download_and_is_recorded(desk: RunningDesk, url: str) -> None:
    status, octets, headers = await answer("POST", f"{url}/{await token(desk)}/0")

    assert (status, octets) == (200, FILE)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment; filename=\"?? & 2026.html\"; filename*=UTF-8''%E5")
    (event,) = await fetched(desk)
    assert (event.agent, event.data["octets"]) == ("chen", len(FILE))
    assert event.data["sha256"] == hashlib.sha256(FILE).hexdigest()


async def test_a_sealed_mail_gives_its_files_as_well(desk: RunningDesk, url: str) -> None:
    desk.db.seal = Seal(["k" * 43])
    await desk.takes(with_file("a.pdf", b"y" * 20_000, From="li@other.example"))

    async with desk.db.reading() as tx:
        latest = [i for i in await outbox.due(tx, desk.clock.at, 10) if i.recipe.get("files")][-1]
    status, octets, _ = await answer("POST", f"{url}/{latest.recipe['files']}/0")
    assert (status, octets) == (200, b"y" * 20_000)


async def a_slow_reader(url: str, path: str) -> asyncio.StreamWriter:
    """Somebody who presses the button, and takes in nothing of the file but its headers."""
    host, port = url.removeprefix("http://").removesuffix("/files").split(":")
    line = socket.create_connection((host, int(port)))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader, writer = await asyncio.open_connection(sock=line, limit=1024)
    writer.write(f"POST /files/{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return writer


async def test_who_takes_a_file_in_too_slowly_is_cut_off_and_makes_room(
    desk: RunningDesk, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As many as may fetch at one time, with a file that no buffer on the way swallows; one more is put off first."""
    large = b"y" * 12_000_000
    await desk.takes(with_file("a.pdf", large, From="li@other.example"))
    async with desk.db.reading() as tx:
        latest = [i for i in await outbox.due(tx, desk.clock.at, 10) if i.recipe.get("files")][-1]
    path = f"{latest.recipe['files']}/0"
    monkeypatch.setattr(files_page, "WAIT", 0.05)
    monkeypatch.setattr(files_page, "SENDING", 2.0)
    with capture_logs() as lines:
        slow = [await a_slow_reader(url, path) for _ in range(files_page.DOWNLOADS)]
        put_off, _, headers = await answer("POST", f"{url}/{path}")
        monkeypatch.setattr(files_page, "WAIT", 10.0)
        status, octets, _ = await answer("POST", f"{url}/{path}")
        async with asyncio.timeout(20):
            while [line["event"] for line in lines].count("file_too_slow") < files_page.DOWNLOADS:
                await asyncio.sleep(0.05)
        left = await a_slow_reader(url, path)
        for writer in (*slow, left):
            writer.transport.abort()
        await asyncio.sleep(0.3)

    assert (put_off, "Retry-After" in headers) == (503, True)
    assert (status, octets) == (200, large)
    assert {line["event"] for line in lines} == {"file_too_slow"}
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []  # who left is no error


async def test_the_files_of_an_erased_mail_are_no_longer_there_and_a_missing_key_may_come_back(
    desk: RunningDesk, url: str
) -> None:
    desk.db.seal = ours = Seal(["k" * 43])
    await desk.takes(with_file("a.pdf", b"y" * 20_000, From="li@other.example"))
    async with desk.db.reading() as tx:
        latest = [i for i in await outbox.due(tx, desk.clock.at, 10) if i.recipe.get("files")][-1]
    link = f"{url}/{latest.recipe['files']}"

    desk.db.seal = Seal(["n" * 43])
    without_key = {(await answer("GET", link))[0], (await answer("POST", f"{link}/0"))[0]}
    desk.db.seal = ours
    async with desk.db.transaction() as tx:
        await tx.execute(text("UPDATE raw_key SET sealed_key = NULL"))
    erased = {(await answer("GET", link))[0], (await answer("POST", f"{link}/0"))[0]}
    assert (without_key, erased) == ({503}, {404})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/nothing",
        "/{token}x",
        "/{token}/1",
        "/{token}/99999",
        "/{reply}",
        "/{reply}/0",
        "/../etc/passwd",
        "/{forged}/0",
    ],
)
async def test_a_wrong_link_leads_nowhere(desk: RunningDesk, url: str, path: str) -> None:
    mine, reply = await token(desk), (await assignment(desk)).recipe["token"]
    forged = mine[:-1] + ("a" if mine[-1] != "a" else "b")
    where = f"{url}{path.format(token=mine, reply=reply, forged=forged)}"

    assert {(await answer("GET", where))[0], (await answer("POST", where))[0]} == {404}
    assert await fetched(desk) == []


async def test_a_link_ends_after_its_week(desk: RunningDesk, url: str) -> None:
    link = f"{url}/{await token(desk)}"
    desk.clock.at += timedelta(days=7, seconds=-1)
    in_time = (await answer("GET", link))[0]
    desk.clock.at += timedelta(seconds=2)

    assert (in_time, (await answer("GET", link))[0], (await answer("POST", f"{link}/0"))[0]) == (200, 404, 404)


async def test_a_link_ends_with_its_agent_and_with_a_hand_over(desk: RunningDesk, url: str) -> None:
    link = f"{url}/{await token(desk)}"
    everybody = desk.policy
    desk.policy = replace(everybody, agents={n: a for n, a in everybody.agents.items() if n != "chen"})
    gone = (await answer("GET", link))[0]
    desk.policy = everybody
    async with desk.db.transaction() as tx:
        await tokens.revoke(tx, (await assignment(desk)).ticket, "chen", desk.clock.at)

    assert (gone, (await answer("GET", link))[0]) == (404, 404)


async def test_a_link_lets_nobody_write_to_the_customer(desk: RunningDesk) -> None:
    async with desk.db.reading() as tx:
        mine = await token(desk)
        record = (await tokens.by_tokens(tx, [mine]))[mine]
    facts = {"speaker_agent": "chen", "ticket_closed_at": None, "now": desk.clock.at, "closed_days": 30}

    assert judge(KEYRING, record, **facts).reason == "no_token"
    assert judge(KEYRING, record, purposes=frozenset({"files"}), **facts).ok


def test_a_purpose_names_its_message() -> None:
    assert purpose_of_files(42) == "files:42"
    assert (
        message_of_files(TokenRecord(token="", ticket=1, agent="chen", purpose="files:42", serial=1, issued_at=NOW))
        == 42
    )


@pytest.mark.parametrize(("octets", "words"), [(0, "1\u00a0kB"), (40_400, "40\u00a0kB"), (23_456_789, "23.5\u00a0MB")])
def test_a_size_is_said_as_people_say_it(octets: int, words: str) -> None:
    assert size_words(octets) == words
