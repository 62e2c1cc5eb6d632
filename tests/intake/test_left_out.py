"""Nothing is left out of a mail without a word: to the agent of the customer's mail, and of his own."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.deskrun import RunningDesk, mail
from support.handdesk import stationery, store
from support.storefacts import NOW

from channels.adapter import Envelope
from channels.parts import MAX_PARTS
from intake.letters import outbound
from routing.writing import MAX_FILES
from store.engine import Database

MIB = 1024 * 1024


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        yield db


@pytest.fixture
def desk(db: Database) -> RunningDesk:
    return RunningDesk(db)


def with_files(*sizes: int) -> bytes:
    """A customer's mail with files of so many octets: 1.bin, 2.bin …"""
    head, _, words = mail("請看附件").partition(b"\r\n\r\n")
    head = head.replace(b"Content-Type: text/plain; charset=utf-8", b'Content-Type: multipart/mixed; boundary="b"')
    head = head.replace(b"Content-Transfer-Encoding: 8bit\r\n", b"").replace(b"Content-Transfer-Encoding: 8bit", b"")
    parts = [b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + words]
    for number, size in enumerate(sizes, 1):
        named = b'--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="%d.bin"'
        parts.append(named % number + b"\r\n\r\n" + b"x" * size + b"\r\n")
    return head.rstrip(b"\r\n") + b"\r\n\r\n" + b"".join(parts) + b"--b--\r\n"


async def letter(desk: RunningDesk) -> email.message.EmailMessage:
    """What the agent is sent about the only ticket."""
    [assignment] = await desk.outbox("assignment")
    async with desk.db.reading() as tx:
        made = await outbound(tx, assignment, stationery(desk.policy), NOW, None)
    return email.message_from_bytes(made.body, policy=email.policy.default)  # type: ignore[return-value]


def words(found: email.message.EmailMessage) -> str:
    """The plain text without its spaces, which lines are broken at."""
    body = found.get_body(("plain",))
    assert body is not None
    return "".join(str(body.get_content()).split())


def names(found: email.message.EmailMessage) -> list[str | None]:
    return [part.get_filename() for part in found.walk() if part.get_filename()]


async def test_a_mail_of_which_only_the_beginning_came_says_so_and_where_the_rest_is(desk: RunningDesk) -> None:
    whole = with_files(100_000)
    cut = Envelope(source_size=42_000_000, is_truncated=True)
    await desk.takes(desk.arrival(whole[:65_536], envelope=cut))

    found = await letter(desk)

    assert "⚠這封信太大（42MB），這裡只有開頭；完整的信在support@firm.example信箱裡" in words(found)
    assert "請看附件" in words(found)
    assert names(found) == []


async def test_a_file_that_is_too_large_is_named_and_the_small_one_behind_it_comes(desk: RunningDesk) -> None:
    await desk.takes(with_files(1000, MAX_FILES, 2000))

    found = await letter(desk)

    assert "⚠附件太大，這裡少了2.bin；完整的信在support@firm.example信箱裡" in words(found)
    assert names(found) == ["1.bin", "3.bin"]


async def test_more_parts_than_are_looked_at_are_told(desk: RunningDesk) -> None:
    await desk.takes(with_files(*[1] * (MAX_PARTS + 10)))

    assert "⚠這封信無法完整讀取；完整的信在support@firm.example信箱裡" in words(await letter(desk))


async def test_of_a_whole_mail_nothing_is_said(desk: RunningDesk) -> None:
    await desk.takes(with_files(1000))

    assert "完整的信" not in words(await letter(desk))


async def test_an_agents_reply_that_came_in_part_is_held_and_he_is_told(desk: RunningDesk) -> None:
    """Its words would go out and its files would not."""
    await desk.takes(mail())
    [assignment] = await desk.outbox("assignment")
    reply = await desk.reply_to(assignment, "請看附件。")
    cut = Envelope(source_size=42_000_000, is_truncated=True)

    await desk.takes(desk.arrival(reply, envelope=cut))

    [told] = await desk.outbox("told")
    assert await desk.outbox("answer") == []
    assert (told.agent, told.recipe["code"], told.recipe["would_have_left"]) == (
        assignment.agent,
        "incomplete",
        "請看附件。",
    )
    assert (await desk.ticket()).state == "open"


async def test_a_large_file_of_an_agent_goes_to_the_customer_all_the_same(desk: RunningDesk) -> None:
    """The customer's server may refuse it, and then he is told; a file that vanishes tells nobody."""
    await desk.takes(mail())
    [assignment] = await desk.outbox("assignment")
    head, _, said = (await desk.reply_to(assignment, "請看附件。")).partition(b"\r\n\r\n")
    large = with_files(MAX_FILES + 1000)
    kept = [line for line in head.split(b"\r\n") if not line.startswith((b"Content-", b"MIME-"))]
    body = large.partition(b"\r\n\r\n")[2].replace("請看附件".encode(), said.strip())
    types = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"'
    await desk.takes(b"\r\n".join([*kept, types]) + b"\r\n\r\n" + body)

    [answer] = await desk.outbox("answer")
    async with desk.db.reading() as tx:
        made = await outbound(tx, replace(answer), stationery(desk.policy), NOW, None)
    found = email.message_from_bytes(made.body, policy=email.policy.default)
    assert names(found) == ["1.bin"]  # type: ignore[arg-type]
