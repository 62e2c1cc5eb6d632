"""Whatever we write to an agent is known again: none of it reaches a customer by his pasting it into an answer."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.attackdesk import RECEIVED, AttackedDesk, Letter, octets, reply, vouched
from support.deskrun import mail
from support.handdesk import stationery, store

from intake.watch import Watcher
from routing.tokens import find_canaries


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    """Six tickets of six customers, all of chen's."""
    async with store(tmp_path) as db:
        desk = AttackedDesk(db)
        for n in range(6):
            top = [
                vouched(f"c{n}.example"),
                RECEIVED,
                f"From: 客戶{n} <a@c{n}.example>",
                f"Message-ID: <{n}@c.example>",
            ]
            await desk.takes(octets(*top, "Subject: 稅務", "To: support@firm.example", body=f"第{n}個問題"))
        await desk.leaves()
        yield desk


async def says(desk: AttackedDesk, words: str, who: str = "boss") -> list[Letter]:
    await desk.takes(mail(words, From=f"{who}@firm.example", Subject="x", Message_ID=f"<{who}.{abs(hash(words))}@f>"))
    return await desk.leaves()


async def breaches(desk: AttackedDesk) -> list[Letter]:
    """What everybody is told when all of them are late at once: tables of several customers' tickets."""
    desk.clock.at += timedelta(days=2)
    await Watcher(
        desk.db, desk.clock, lambda: stationery(desk.policy), lambda note, within: None, on_outbox=lambda: None
    ).tick()
    return await desk.leaves()


WRITTEN = [
    "!mine",
    "!find 客戶",
    "!held",
    "!report",
    "!show 1001",
    "!off",
    "!break",
    "!away chen 12/31",
    "!help",
    "!shwo",
    "",
]


async def _letters(desk: AttackedDesk, words: str) -> list[Letter]:
    return (
        await says(desk, words, "boss" if "away" in words or "report" in words else "chen")
        if words
        else await breaches(desk)
    )


@pytest.mark.parametrize("words", WRITTEN)
async def test_g15_every_block_of_every_mail_to_an_agent_is_marked(desk: AttackedDesk, words: str) -> None:
    letters = await _letters(desk, words)

    assert letters
    for letter in letters:
        _, _, below = letter.plain.partition("以下僅供內部")
        captions = re.findall(r"^【.*$", below, re.MULTILINE)
        assert [line for line in captions if not find_canaries(line)] == []
        assert find_canaries(letter.plain)
        assert find_canaries(letter.html)


@pytest.mark.parametrize("words", WRITTEN)
async def test_g15_what_is_pasted_into_an_answer_does_not_leave(desk: AttackedDesk, words: str) -> None:
    item = (await desk.outbox("assignment"))[0]
    letters = await _letters(desk, words)

    for n, letter in enumerate(letters):
        _, _, below = letter.plain.partition("以下僅供內部")
        if "【" not in below:
            continue  # nothing of anybody stands in it
        pasted = reply(item, f"您好，請看：\n\n{below.partition(chr(10))[2]}", Message_ID=f"<pasted{n}@firm.example>")
        await desk.takes(pasted)

    assert [i.state for i in await desk.outbox("answer") if i.state == "pending"] == []
