"""What is late: an agent answers the reminder, a supervisor takes the ticket or gives it to somebody who is there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from support.attackdesk import AttackedDesk, Letter, reply
from support.deskrun import call, mail
from support.handdesk import stationery, store

from intake.watch import Watcher
from routing.records import Presence
from store import agents
from store.outbox import OutboxItem

DAYS = timedelta(days=2)  # after which everything is late


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


async def late(desk: AttackedDesk) -> tuple[OutboxItem, list[Letter]]:
    """A ticket that nobody has answered in time: (its assignment, what leaves then)."""
    item = await desk.opened()
    desk.clock.at += DAYS
    return item, await breaches(desk)


async def breaches(desk: AttackedDesk) -> list[Letter]:
    watcher = Watcher(
        desk.db, desk.clock, lambda: stationery(desk.policy), lambda note, within: None, on_outbox=lambda: None
    )
    await watcher.tick()
    return [letter for letter in await desk.leaves() if letter.purpose == "breach"]


def links(letter: Letter) -> dict[str, tuple[str, str]]:
    """{typed: (address, subject)} of the links in a mail of ours."""
    found = re.findall(r'<a href="(mailto:[^"]*)"><b>([^<]*)</b></a>', letter.html)
    urls = {typed: urlsplit(unescape(href)) for href, typed in found}
    return {typed: (unquote(url.path), parse_qs(url.query)["subject"][0]) for typed, url in urls.items()}


def followed(link: tuple[str, str], who: str, n: int = 0, **headers: str) -> bytes:
    return mail("", From=f"{who}@firm.example", To=link[0], Subject=link[1], Message_ID=f"<{n}@f>", **headers)


def to(letters: list[Letter], who: str) -> Letter:
    [one] = [letter for letter in letters if letter.to == f"{who}@firm.example"]
    return one


async def codes(desk: AttackedDesk) -> list[str]:
    return [item.recipe["code"] for item in await desk.outbox("told")]


async def test_a_supervisor_takes_what_is_late_by_a_link(desk: AttackedDesk) -> None:
    item, letters = await late(desk)
    offered = links(to(letters, "boss"))

    await desk.takes(followed(offered["！轉給 Boss"], "boss"))

    assert (await desk.ticket()).agent == "boss"
    assert [(i.agent, i.recipe["code"]) for i in await desk.outbox("told")] == [(item.agent, "moved")]
    assert [i.agent for i in await desk.outbox("assignment")] == [item.agent, "boss"]


async def test_or_gives_it_to_a_colleague_who_is_there(desk: AttackedDesk) -> None:
    item, letters = await late(desk)
    other = {"chen": "lin", "lin": "chen"}[str(item.agent)]
    offered = links(to(letters, "boss"))

    await desk.takes(followed(offered[f"！轉給 {other.capitalize()}"], "boss"))

    assert set(offered) == {"！轉給 Boss", f"！轉給 {other.capitalize()}"}
    assert (await desk.ticket()).agent == other


async def test_who_is_away_is_not_offered(desk: AttackedDesk) -> None:
    async with desk.db.transaction() as tx:
        off = Presence(state="off", since=desk.clock.at, until=desk.clock.at + 2 * DAYS)
        await agents.present(tx, {"chen": off, "lin": off})

    _, letters = await late(desk)

    assert set(links(to(letters, "boss"))) == {"！轉給 Boss"}


async def test_g8_of_these_links_one_works_once(desk: AttackedDesk) -> None:
    item, letters = await late(desk)
    other = {"chen": "lin", "lin": "chen"}[str(item.agent)]
    offered = links(to(letters, "boss"))

    await desk.takes(followed(offered["！轉給 Boss"], "boss", 1))
    await desk.takes(
        followed(offered["！轉給 Boss"], "boss", 2), followed(offered[f"！轉給 {other.capitalize()}"], "boss", 3)
    )

    assert (await desk.ticket()).agent == "boss"
    assert (await codes(desk)).count("link_used") == 2


async def test_g8_nobody_else_can_follow_them(desk: AttackedDesk) -> None:
    item, letters = await late(desk)
    other = {"chen": "lin", "lin": "chen"}[str(item.agent)]
    link = links(to(letters, "boss"))["！轉給 Boss"]

    await desk.takes(followed(link, other, 1), followed(link, "boss", 2, vouched=False))  # type: ignore[arg-type]

    assert (await desk.ticket()).agent == item.agent
    assert sorted(await codes(desk)) == ["no_evidence", "not_your_ticket"]


async def test_what_was_closed_meanwhile_stays_closed(desk: AttackedDesk) -> None:
    item, letters = await late(desk)
    await desk.takes(reply(item, "！結案"))
    await desk.leaves()
    before = len(await desk.outbox())

    await desk.takes(followed(links(to(letters, "boss"))["！轉給 Boss"], "boss"))

    assert (await desk.ticket()).state == "closed"
    assert [i.agent for i in (await desk.outbox())[before:]] == ["boss"]  # he is told why


async def test_a_reminder_stands_in_the_conversation_and_can_be_answered(desk: AttackedDesk) -> None:
    item, letters = await late(desk)
    row = next(i for i in await desk.outbox("breach") if i.agent == item.agent)
    letter = to(letters, str(item.agent))

    await desk.takes(reply(row, "抱歉讓您久等，可以更正。"))

    [answer] = await desk.outbox("answer")
    assert (answer.address, answer.state) == ("mailto:mei@example.com", "pending")
    assert "內容會寄給客戶" in letter.plain
    assert links(letter) == {}


@pytest.mark.parametrize("shape", ["quoted", "outlook"])
async def test_of_the_reminder_itself_nothing_leaves_with_the_answer(desk: AttackedDesk, shape: str) -> None:
    item, letters = await late(desk)
    row, letter = next(i for i in await desk.outbox("breach") if i.agent == item.agent), to(letters, str(item.agent))
    plain = letter.plain.replace("\r\n", "\n")
    if shape == "quoted":
        below = "2026年11月25日 14:10，客服 <support@firm.example> 寫道：\n" + "".join(
            f"> {x}\n" for x in plain.split("\n")
        )
    else:
        head = f"寄件者: 客服 <{letter.mail['Reply-To']}>\n寄件日期: 2026年11月25日 14:10\n收件者: {letter.to}"
        head += f"\n主旨: {letter.mail['Subject']}"
        below = f"________________________________\n{head}\n\n{plain}"

    await desk.takes(reply(row, f"抱歉讓您久等，可以更正。\n\n{below}"))

    [answer] = await desk.outbox("answer")
    assert (answer.recipe["words"], answer.state) == ("抱歉讓您久等，可以更正。", "pending")


async def test_the_customers_number_is_there_to_be_called(desk: AttackedDesk) -> None:
    await desk.takes(desk.arrival(call("hangup", cause="noAnswer"), "hotline"))
    desk.clock.at += DAYS

    letter = to(await breaches(desk), "boss")

    assert '<a href="tel:+886912345678"><b>+886912345678</b></a>' in letter.html
    assert "+886912345678" in letter.plain
