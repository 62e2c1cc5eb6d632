"""Handing over: the ticket is the colleague's; its former holder speaks for it no longer; words beside stay inside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.deskrun import RunningDesk, deliver, mail
from support.storefacts import NOW

from routing.words import Outcome, TargetKind
from store.engine import Database
from store.upgrade import upgrade


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    db = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(db)
    yield RunningDesk(db)
    await db.close()


async def test_a_ticket_that_was_handed_over_is_the_colleagues(desk: RunningDesk) -> None:
    await desk.takes(mail())
    [first] = await desk.outbox("assignment")
    other = "lin" if first.agent == "chen" else "chen"

    await desk.takes(await desk.reply_to(first, f"！轉給 {other}\n\n請您接手，客戶很急。"))

    [_, second] = await desk.outbox("assignment")
    assert (second.agent, second.recipe["note"]) == (other, "請您接手，客戶很急。")
    assert (await desk.ticket()).agent == other
    assert await desk.outbox("answer") == []


async def test_g8_the_former_holder_can_no_longer_answer_or_close(desk: RunningDesk) -> None:
    await desk.takes(mail())
    [first] = await desk.outbox("assignment")
    other = "lin" if first.agent == "chen" else "chen"
    await desk.takes(await desk.reply_to(first, f"！轉給 {other}"))

    await desk.takes(await desk.reply_to(first, "您好，可以更正。"), await desk.reply_to(first, "！結案"))

    assert [answer.state.value for answer in await desk.outbox("answer")] == ["held"]  # it leaves at his `!send` only
    assert (await desk.ticket()).closed_at is None
    assert (await desk.messages("outcome"))[-2:] == [Outcome.HELD.value] * 2
    assert [item.recipe["code"] for item in await desk.outbox("told")] == ["moved", "not_holder", "not_yours_now"]


async def test_the_mail_about_a_hand_over_carries_no_address_to_answer_by(desk: RunningDesk) -> None:
    await desk.takes(mail())
    [first] = await desk.outbox("assignment")
    other = "lin" if first.agent == "chen" else "chen"

    await desk.takes(await desk.reply_to(first, f"！轉給 {other}"))

    [moved] = await desk.outbox("told")
    assert "token" not in moved.recipe


@pytest.mark.parametrize(("words", "state"), [("！轉給 lin", "closed"), ("！重開\n！轉給 lin", "open")])
async def test_a_closed_ticket_is_handed_over_by_who_opens_it(desk: RunningDesk, words: str, state: str) -> None:
    """Opened by the way, it would owe nothing any more, and nobody would have said so."""
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [item] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(item, "！結案"))
    codes = [i.recipe["code"] for i in await desk.outbox("told")]

    await desk.takes(await desk.reply_to(item, words, Message_ID="<to@firm.example>"))

    assert (await desk.ticket()).state == state
    assert ([i.recipe["code"] for i in await desk.outbox("told")][len(codes) :] == ["to_closed"]) == (state == "closed")


async def test_an_unknown_colleague_changes_nothing_and_gives_the_words_back(desk: RunningDesk) -> None:
    await desk.takes(mail())
    [first] = await desk.outbox("assignment")

    await desk.takes(await desk.reply_to(first, "！轉給 nobody\n\n請您接手。"))

    [told] = await desk.outbox("told")
    assert (told.recipe["code"], told.recipe["would_have_left"]) == ("unknown_agent", "請您接手。")
    assert (await desk.ticket()).agent == first.agent


@pytest.mark.parametrize("writes_at_once", [True, False])
async def test_a_customer_who_writes_after_his_answered_ticket_was_handed_over_is_owed_an_answer(
    desk: RunningDesk, writes_at_once: bool
) -> None:
    """The ticket is open again, and no promise runs: the next words of his must start one."""
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [first] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(first, "您好，可以更正。"))
    [answer] = await desk.outbox("answer")
    await deliver(desk.db, answer, NOW)
    other = "lin" if first.agent == "chen" else "chen"
    await desk.takes(await desk.reply_to(first, f"！轉給 {other}"))
    before = [t.kind for t in await desk.targets(1001) if t.is_open]

    again = [mail(words, In_Reply_To="<a@example.com>") for words in ("那明年呢？", "還有一件事。")]
    if writes_at_once:
        await desk.takes(*again)
    else:
        for one in again:
            await desk.takes(one)

    assert before == []
    assert [t.kind for t in await desk.targets(1001) if t.is_open] == [TargetKind.NEXT_RESPONSE]
