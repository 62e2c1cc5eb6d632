"""Who is away and what is asked to be seen, from an agent's mail to what he reads: octets in, letters out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.attackdesk import AttackedDesk, Letter, reply
from support.deskrun import mail
from support.handdesk import stationery, store

from intake.watch import Watcher

MACHINE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


async def says(desk: AttackedDesk, words: str, who: str) -> list[Letter]:
    """What leaves when somebody mails a command to the desk."""
    await desk.takes(mail(words, From=f"{who}@firm.example", Subject="x", Message_ID=f"<{who}.{abs(hash(words))}@f>"))
    return await desk.leaves()


async def question(desk: AttackedDesk) -> Any:
    return [i for i in await desk.outbox("told") if i.recipe["code"] == "question"][-1]


@pytest.mark.parametrize(("words", "until"), [("！下線", "明天 09:00"), ("!break 30min", "今天 14:40")])
async def test_who_goes_is_told_until_when_and_what_waits_for_him(desk: AttackedDesk, words: str, until: str) -> None:
    item = await desk.opened()

    [letter] = await says(desk, words, str(item.agent))

    assert f"到 {until} 為止" in letter.plain
    assert "【正在等您的案件，依期限】" in letter.plain
    assert re.search(r"#1001 王美玲 · .+ · 可以接手：(Chen|Lin)", letter.plain)
    assert not MACHINE_TIME.search(letter.text)


async def test_a_supervisor_is_asked_with_what_becomes_of_each_ticket_before_it_does(desk: AttackedDesk) -> None:
    item = await desk.opened()
    holder, other = str(item.agent), {"chen": "lin", "lin": "chen"}[str(item.agent)]

    [letter] = await says(desk, f"！不在 {holder} 到 12/31", "boss")

    assert f"設為不在：{holder.capitalize()}" in letter.plain
    assert f"#1001 王美玲 · 明天 13:09 前 · 轉給 {other.capitalize()}" in letter.plain
    assert (await desk.ticket()).agent == holder
    await desk.takes(reply(await question(desk), "！好"))
    assert (await desk.ticket()).agent == other
    letters = {letter.to.partition("@")[0]: letter for letter in await desk.leaves()}
    assert "已設為不在" in letters["boss"].plain
    assert "#1001 王美玲" in letters["boss"].plain
    assert "主管已把您設為不在" in letters[holder].plain
    assert "請問營業稅怎麼申報？" in letters[other].plain
    assert not any(MACHINE_TIME.search(letter.plain) for letter in letters.values())


async def test_a_ticket_is_shown_with_the_customers_words_and_its_story(desk: AttackedDesk) -> None:
    await desk.opened()

    [letter] = await says(desk, "！看 1001", "boss")

    assert "請問營業稅怎麼申報？" in letter.plain
    assert "！看" not in letter.plain.partition("以下僅供內部")[0]
    assert "【經過】" in letter.plain
    assert "立案" in letter.plain
    assert letter.mail["Reply-To"] is not None


async def test_a_ticket_that_is_none_of_his_business_is_not_there(desk: AttackedDesk) -> None:
    item = await desk.opened()
    team = replace(desk.policy.teams["desk"], members=(str(item.agent),), supervisors=())
    desk.policy = replace(desk.policy, teams={"desk": team})

    said = [await says(desk, f"！看 {number}", "boss") for number in ("1001", "4711")]

    assert [letter.plain.partition(" · ")[0] for [letter] in said] == ["沒有您可以看的這個案件"] * 2
    assert "王美玲" not in said[0][0].text


async def set_away(desk: AttackedDesk, who: str, until: str = "12/31") -> None:
    await says(desk, f"！不在 {who} 到 {until}", "boss")
    await desk.takes(reply(await question(desk), "！好"))


async def test_who_is_set_away_gets_nothing_new_and_his_addresses_end(desk: AttackedDesk) -> None:
    item = await desk.opened()
    holder, other = str(item.agent), {"chen": "lin", "lin": "chen"}[str(item.agent)]

    await set_away(desk, holder)
    await desk.opened("From: 李 <li@example.com>", "Message-ID: <b@example.com>", "Subject: 勞保")
    await desk.takes(reply(item, "您好，可以。"))

    assert [ticket.agent for ticket in await desk.tickets()] == [other, other]
    assert [e["state"] for e in await desk.why("presence_changed")] == ["off"]
    assert await desk.outbox("answer") == []
    assert (await desk.outbox("told"))[-1].recipe["code"] == "revoked"


async def test_what_nobody_can_take_stays_his_and_is_named(desk: AttackedDesk) -> None:
    item = await desk.opened()
    holder, other = str(item.agent), {"chen": "lin", "lin": "chen"}[str(item.agent)]
    await says(desk, "！下線", other)

    await set_away(desk, holder)

    assert (await desk.ticket()).agent == holder
    told = {letter.to.partition("@")[0]: letter.plain for letter in await desk.leaves()}
    assert "#1001 王美玲" in told["boss"]
    assert "沒有人" in told["boss"]
    assert "#1001" not in told[holder]


async def test_a_yes_that_comes_when_he_is_back_already_does_nothing(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await says(desk, f"！不在 {item.agent} 今天", "boss")  # Monday: back on Tuesday at nine
    asked = await question(desk)
    desk.clock.at += timedelta(hours=20)

    await desk.takes(reply(asked, "！好"))

    assert await desk.why("presence_changed") == []
    assert (await desk.outbox("told"))[-1].recipe["code"] == "question_expired"


async def ticks(desk: AttackedDesk, later: timedelta) -> None:
    desk.clock.at += later
    await Watcher(
        desk.db, desk.clock, lambda: stationery(desk.policy), lambda note, within: None, on_outbox=lambda: None
    ).tick()


@pytest.mark.parametrize(
    ("words", "early", "late"),
    [
        ("！下線", timedelta(hours=18), timedelta(hours=1)),
        ("!break 30min", timedelta(minutes=29), timedelta(minutes=2)),
    ],
)
async def test_who_went_is_back_by_himself_at_his_time(
    desk: AttackedDesk, words: str, early: timedelta, late: timedelta
) -> None:
    await says(desk, words, "chen")

    await ticks(desk, early)
    before = [e["state"] for e in await desk.why("presence_changed")]
    await ticks(desk, late)

    assert len(before) == 1
    assert [(e["state"], e["by"]) for e in await desk.why("presence_changed")][1:] == [("on", "clock")]


async def test_who_said_something_else_since_is_not_fetched_back(desk: AttackedDesk) -> None:
    await says(desk, "!break 30min", "chen")
    await says(desk, "！下線", "chen")

    await ticks(desk, timedelta(hours=1))

    assert [e["state"] for e in await desk.why("presence_changed")] == ["break", "off"]
