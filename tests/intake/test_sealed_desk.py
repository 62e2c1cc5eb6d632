"""One message that nobody can open holds up no other, and an erased one takes nothing else along."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from support.attackdesk import AttackedDesk, reply
from support.deskrun import chat, mail
from support.handdesk import store

from channels.adapter import Arrival, Envelope
from channels.message import Medium
from intake.transcript import transcript
from routing.words import Purpose
from store.seal import Seal

OURS, LOST = Seal(["k" * 43]), Seal(["o" * 43])
PDF = (
    "--b\r\nContent-Type: text/plain\r\n\r\nhere\r\n--b\r\nContent-Type: application/pdf\r\n"
    'Content-Disposition: attachment; filename="a.pdf"\r\n\r\nKINGFISHER\r\n--b--'
)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        db.seal = OURS
        yield AttackedDesk(db)


async def arrives(desk: AttackedDesk, name: str, raw: bytes, medium: Medium = Medium.EMAIL) -> None:
    one = Arrival(
        channel={Medium.EMAIL: "mail", Medium.CHAT: "website"}[medium],
        medium=medium,
        external_id=name,
        received_at=desk.clock.at,
        raw=raw,
        envelope=Envelope(),
    )
    await desk.accept([one])


async def erase(desk: AttackedDesk, message: int) -> None:
    async with desk.db.transaction() as tx:
        await tx.execute(text("UPDATE raw_key SET sealed_key = NULL WHERE message = :m"), {"m": message})


async def damage(desk: AttackedDesk, message: int) -> None:
    async with desk.db.transaction() as tx:
        await tx.execute(text("UPDATE raw SET data = substr(data, 1, 40) WHERE message = :m"), {"m": message})


@pytest.mark.parametrize("fault", ["lost key", "damaged", "erased"])
@pytest.mark.parametrize("medium", [Medium.EMAIL, Medium.CHAT])
async def test_what_cannot_be_opened_is_parked_with_a_ticket_and_the_others_go_on(
    desk: AttackedDesk, fault: str, medium: Medium
) -> None:
    desk.db.seal = LOST if fault == "lost key" else OURS
    await arrives(desk, "s1:bad", mail("closed"), medium)
    desk.db.seal = OURS
    await arrives(desk, "good", mail("open"))
    if fault != "lost key":
        await (damage if fault == "damaged" else erase)(desk, 1)

    await desk.settle()
    bad, good = await desk.rows("SELECT state, reason, ticket, outcome FROM message ORDER BY id")
    assert (bad["state"], bad["outcome"], bad["ticket"] is not None) == ("parked", "opened", True)
    assert bad["reason"].startswith("could not be opened: ")
    assert (good["state"], good["outcome"]) == ("done", "opened")
    assert await desk.why("message_parked") == [{"reason": bad["reason"]}]


async def test_an_agent_is_told_of_a_message_that_nobody_can_open(desk: AttackedDesk) -> None:
    await arrives(desk, "bad", mail("closed"))
    await damage(desk, 1)

    await desk.settle()
    (letter,) = [one for one in await desk.leaves() if one.purpose == "assignment"]
    assert letter.ticket is not None


async def test_an_answer_leaves_though_the_question_was_erased(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await erase(desk, 1)

    await desk.takes(reply(item, "您好，可以更正。"))
    (letter,) = [one for one in await desk.leaves() if one.purpose == "answer"]
    assert "您好，可以更正。" in letter.plain


async def test_an_erased_message_stands_in_the_history_as_one_that_is_gone(desk: AttackedDesk) -> None:
    await desk.opened()
    await erase(desk, 1)

    await desk.opened(
        "From: 王美玲 <mei@example.com>",
        "Message-ID: <b@example.com>",
        "In-Reply-To: <a@example.com>",
        "Subject: Re: 營業稅",
        body="再請問",
    )
    words = [one for one in desk.keeper.kept if b"support" in one.body][-1]
    assert "（內容已不在這裡）" in (await desk._letter(words)).plain


async def test_a_mail_that_was_erased_before_it_was_sent_on_says_so(desk: AttackedDesk) -> None:
    await desk.takes(mail("KINGFISHER"))
    await erase(desk, 1)

    (letter,) = [one for one in await desk.leaves() if one.purpose == "assignment"]
    assert "（內容已不在這裡）" in letter.plain


async def test_an_answer_whose_files_nobody_can_open_does_not_leave_without_them(desk: AttackedDesk) -> None:
    item = await desk.opened()
    raw = reply(item, PDF, kind='multipart/mixed; boundary="b"')
    await desk.takes(raw)
    (number,) = [i.source for i in await desk.outbox("answer")]
    assert number is not None
    await erase(desk, number)

    assert [one for one in await desk.leaves() if one.purpose == Purpose.ANSWER] == []
    (row,) = await desk.outbox("answer")
    assert row.state.value == "failed"


async def test_a_chat_goes_on_after_one_of_its_lines_was_erased(desk: AttackedDesk) -> None:

    for n in (1, 2):
        await arrives(desk, f"s:{n}", chat("s", str(n), f"line {n}"), Medium.CHAT)
    await erase(desk, 1)

    lines = await transcript(desk.db, desk.policy, "website", "s", "")
    assert [line.text for line in lines] == ["line 2"]
