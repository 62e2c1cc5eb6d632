"""Work that is taken away: who had it is told exactly once that he need not answer, and who took it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.deskrun import KEYRING, RunningDesk, mail
from support.handdesk import store
from support.storefacts import NOW

from routing.tokens import REPLY, TokenRecord, mint
from store import tokens
from store.outbox import OutboxItem


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    async with store(tmp_path) as db:
        yield RunningDesk(db)


TAKEN = {"moved", "ended", "merged_away"}


async def told(desk: RunningDesk) -> list[tuple[str | None, str, str]]:
    """(to whom, code, detail) of what was said of work that was taken away."""
    return [
        (i.agent, i.recipe["code"], i.recipe["detail"]) for i in await desk.outbox("told") if i.recipe["code"] in TAKEN
    ]


async def seen_by(desk: RunningDesk, who: str, number: int = 1001) -> OutboxItem:
    """The mail by which somebody who may see a ticket is shown it: its token, and what it refers to."""
    token = mint(KEYRING, ticket=number, agent=who, purpose=REPLY, serial=90)
    record = TokenRecord(token=token, ticket=number, agent=who, purpose=REPLY, serial=90, issued_at=NOW)
    async with desk.db.transaction() as tx:
        await tokens.add(tx, [record])
    of_it = next(i for i in await desk.outbox("assignment") if i.ticket == number)
    return replace(of_it, agent=who, recipe={**of_it.recipe, "token": token})


async def opened(desk: RunningDesk, number: int = 1001) -> OutboxItem:
    """A customer's mail, on its way to its agent."""
    await desk.takes(mail(Message_ID=f"<c{number}@example.com>", Subject=f"營業稅 {number}"))
    return (await desk.outbox("assignment"))[-1]


def other_than(who: str | None) -> str:
    return "lin" if who == "chen" else "chen"


async def test_who_hands_over_his_own_hears_where_it_went(desk: RunningDesk) -> None:
    first = await opened(desk)
    other = other_than(first.agent)

    await desk.takes(await desk.reply_to(first, f"！轉給 {other}"))

    assert await told(desk) == [(first.agent, "moved", other.capitalize())]


async def test_when_a_supervisor_hands_over_the_holder_is_told_and_the_supervisor_is_not(desk: RunningDesk) -> None:
    first = await opened(desk)
    other = other_than(first.agent)

    await desk.takes(await desk.reply_to(await seen_by(desk, "boss"), f"！轉給 {other}"))

    assert await told(desk) == [(first.agent, "moved", other.capitalize())]


@pytest.mark.parametrize("command", ["！結案", "！垃圾"])
async def test_when_a_supervisor_ends_it_the_holder_is_told(desk: RunningDesk, command: str) -> None:
    first = await opened(desk)

    await desk.takes(await desk.reply_to(await seen_by(desk, "boss"), command))

    assert await told(desk) == [(first.agent, "ended", "Boss")]


@pytest.mark.parametrize("command", ["！結案", "！垃圾"])
async def test_who_ends_his_own_is_told_nothing_of_that(desk: RunningDesk, command: str) -> None:
    first = await opened(desk)

    await desk.takes(await desk.reply_to(first, command))

    assert await told(desk) == []


async def test_one_that_is_closed_already_is_nobodys_loss(desk: RunningDesk) -> None:
    first = await opened(desk)
    boss = await seen_by(desk, "boss")
    await desk.takes(await desk.reply_to(first, "！結案"))

    await desk.takes(await desk.reply_to(boss, "！結案"))

    assert await told(desk) == []


async def test_a_mail_decided_a_second_time_tells_nobody_twice(desk: RunningDesk) -> None:
    first = await opened(desk)
    other = other_than(first.agent)
    again = await desk.reply_to(first, f"！轉給 {other}")

    await desk.takes(again)
    await desk.takes(again)

    assert await told(desk) == [(first.agent, "moved", other.capitalize())]


async def test_when_it_is_joined_to_a_colleagues_the_holder_is_told(desk: RunningDesk) -> None:
    one = await opened(desk)
    two = await opened(desk, 1002)
    if two.agent == one.agent:
        await desk.takes(await desk.reply_to(two, f"！轉給 {other_than(two.agent)}"))
    before = await told(desk)

    await desk.takes(await desk.reply_to(await seen_by(desk, "boss"), "！合併 1002"))

    assert (await told(desk))[len(before) :] == [(one.agent, "merged_away", "#1002")]
