"""What an agent adds to his replies, from his mail to the customer's, over a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.attackdesk import AttackedDesk, reply
from support.deskrun import agent, policy
from support.handdesk import store

from routing.habits import MAX_TAILS, read
from store import agents

MEI = "mei@example.com"
SIGNATURE = "陳怡君 Yi-Chun Chen\n誠信財稅 稅務部\n手機 0937-865-201"
HOTLINE = "02-2345-0000"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        found = AttackedDesk(db)
        one = agent("chen", display_name="陳怡君", phones=("+886937865201",))
        found.policy = policy(
            agents=dict(policy().agents) | {"chen": one, "lin": agent("lin", capacity=0)}, hotline=HOTLINE
        )
        yield found


async def plain(desk: AttackedDesk, raw: bytes) -> str:
    await desk.takes(raw)
    [letter] = await desk.leaves()
    assert (letter.to, letter.purpose) == (MEI, "answer")
    return letter.plain.replace("\r\n", "\n")


async def test_the_third_reply_leaves_without_the_signature_of_the_first_two(desk: AttackedDesk) -> None:
    item = await desk.opened()

    first = await plain(desk, reply(item, f"收到。\n\n{SIGNATURE}"))
    await plain(desk, reply(item, f"明天回覆。\n\n{SIGNATURE}"))
    third = await plain(desk, reply(item, f"可以更正。\n\n{SIGNATURE}"))

    assert f"手機 {HOTLINE}" in first  # not known yet, and masked all the same
    assert third.startswith("可以更正。\n\n-- \n陳怡君\n")
    assert "稅務部" not in third
    codes = [[r["code"] for r in e["reasons"]] for e in await desk.why("answer_queued")]
    assert ["masked_contacts" in one for one in codes] == [True, True, False]
    assert ["signature_cut" in one for one in codes] == [False, False, True]


async def test_of_how_he_ends_his_replies_only_hashes_are_kept(desk: AttackedDesk) -> None:
    item = await desk.opened()
    for number in range(MAX_TAILS + 1):
        await desk.takes(reply(item, f"第 {number} 封\n\n{SIGNATURE}"))

    async with desk.db.reading() as tx:
        kept = (await agents.tails(tx, ["chen", "lin"]))["chen"]

    assert len(read(kept)) == MAX_TAILS
    assert kept.isascii()
    assert "0937" not in kept


async def test_several_replies_of_one_batch_know_of_each_other(desk: AttackedDesk) -> None:
    item = await desk.opened()

    await desk.takes(*(reply(item, f"{words}\n\n{SIGNATURE}") for words in ("收到。", "明天回覆。", "可以更正。")))

    assert ["稅務部" in letter.plain for letter in await desk.leaves()] == [True, True, False]


async def test_a_command_above_a_known_signature_reaches_no_customer(desk: AttackedDesk) -> None:
    item = await desk.opened()
    for words in ("收到。", "明天回覆。"):
        await plain(desk, reply(item, f"{words}\n\n{SIGNATURE}"))

    await desk.takes(reply(item, f"！結案\n\n{SIGNATURE}"))

    assert [letter for letter in await desk.leaves() if letter.to == MEI] == []
    assert [t.state for t in await desk.tickets()] == ["closed"]


async def test_his_number_is_masked_in_the_page_too(desk: AttackedDesk) -> None:
    item = await desk.opened()
    page = '<p>請<b>盡快</b>打 0937 865 201 或寄 <a href="mailto:chen@firm.example">chen@firm.example</a></p>'

    await desk.takes(reply(item, page, kind="text/html; charset=utf-8"))
    [letter] = await desk.leaves()

    assert f"<b>盡快</b>打 {HOTLINE} 或寄" in letter.html
    assert 'href="mailto:support@firm.example"' in letter.html
    assert "865" not in letter.text
    assert "chen@" not in letter.text
    [event] = await desk.why("answer_queued")
    assert [r["data"]["count"] for r in event["reasons"] if r["code"] == "masked_contacts"] == [2]
