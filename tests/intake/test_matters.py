"""One customer, several channels: the same matter is answered once, and whoever waits elsewhere is told where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from support import handdesk
from support.attackdesk import RECEIVED, AttackedDesk, octets, reply, vouched
from support.deskrun import chat, policy

from channels.adapter import StoreUnavailable
from routing.policy import Topic
from routing.records import Ticket
from routing.words import TargetKind, TicketState
from store.crashpoint import crashpoint
from store.outbox import OutboxItem

TOPICS = {
    "tax_filing": Topic(key="tax_filing", names={"zh-Hant": "納稅申報", "en": "Tax filing"}, strong=("營業稅", "申報")),
    "invoice": Topic(key="invoice", names={"zh-Hant": "發票", "en": "Invoices"}, strong=("發票", "統編")),
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with handdesk.store(tmp_path) as db:
        yield AttackedDesk(db, policy=policy(topics=TOPICS))


async def writes(desk: AttackedDesk, channel: str, words: str, *, sure: bool = True, after: int = 0) -> Ticket:
    """The customer writes a new mail to one of the firm's addresses."""
    desk.clock.at += timedelta(minutes=after)
    number = len(await desk.tickets())
    evidence = [vouched("example.com"), RECEIVED] if sure else [RECEIVED]
    headers = ["From: 王美玲 <mei@example.com>", f"Message-ID: <{number}@example.com>", f"Subject: {words[:6]}"]
    await desk.takes(desk.arrival(octets(*evidence, *headers, f"To: {channel}@firm.example", body=words), channel))
    await desk.leaves()
    return (await desk.tickets())[-1]


async def work_of(desk: AttackedDesk, ticket: Ticket) -> OutboxItem:
    return next(i for i in await desk.outbox("assignment") if i.ticket == ticket.id)


async def again(desk: AttackedDesk, ticket: Ticket) -> Ticket:
    return next(t for t in await desk.tickets() if t.id == ticket.id)


async def test_the_same_question_on_two_channels_is_one_matter_with_one_agent_and_one_acknowledgement(
    desk: AttackedDesk,
) -> None:
    first = await writes(desk, "mail", "請問營業稅怎麼申報？")
    second = await writes(desk, "second", "營業稅申報的期限是哪一天？", after=30)

    first = await again(desk, first)
    assert (first.matter, second.matter) == (first.id, first.id)
    assert first.agent == second.agent
    assert [i.ticket for i in await desk.outbox("acknowledgement")] == [first.id]
    assert [r["code"] for e in await desk.why("acknowledgement_withheld") for r in e["reasons"]] == ["ack_same_matter"]


@pytest.mark.parametrize(
    ("words", "sure", "after"),
    [("發票上的統編打錯了", True, 30), ("請問營業稅怎麼申報？", False, 30), ("請問營業稅怎麼申報？", True, 25 * 60)],
    ids=["another topic", "nobody vouches for him", "a day later"],
)
async def test_weak_evidence_joins_nothing(desk: AttackedDesk, words: str, sure: bool, after: int) -> None:
    first = await writes(desk, "mail", "請問營業稅怎麼申報？")

    second = await writes(desk, "second", words, sure=sure, after=after)

    assert (await again(desk, first)).matter is None
    assert second.matter is None


async def test_an_answer_on_one_keeps_the_promise_on_the_other_and_says_where_once(desk: AttackedDesk) -> None:
    first = await writes(desk, "mail", "請問營業稅怎麼申報？")
    second = await writes(desk, "second", "營業稅申報的期限是哪一天？", after=30)
    await desk.takes(reply(await work_of(desk, second), "您好，期限是 15 日。"))
    await desk.leaves()

    await desk.does_duties()
    told = await desk.leaves()
    await desk.does_duties()

    [letter] = told
    assert (letter.to, letter.ticket, letter.envelope_from) == ("mei@example.com", first.id, letter.envelope_from)
    assert "電子郵件" in letter.plain
    assert "期限是 15 日" not in letter.plain
    assert await desk.leaves() == []
    one = await again(desk, first)
    assert one.state is TicketState.ANSWERED
    [kept] = await desk.targets(first.id)
    [answered] = await desk.targets(second.id)
    assert (kept.answered_at, kept.met_at) == (answered.answered_at, answered.met_at)
    by = [e["by_ticket"] for e in await desk.why("first_response_recorded") if "by_ticket" in e]
    assert by == [second.id]


async def test_what_was_asked_after_the_answer_waits_on(desk: AttackedDesk) -> None:
    first = await writes(desk, "mail", "請問營業稅怎麼申報？")
    await desk.takes(reply(await work_of(desk, first), "您好，期限是 15 日。"))
    await desk.leaves()
    second = await writes(desk, "second", "那營業稅申報可以延期嗎？", after=30)
    assert second.matter == first.id

    await desk.does_duties()

    assert [t.is_open for t in await desk.targets(second.id)] == [True]


async def test_the_card_tells_of_it_and_apart_takes_it_out(desk: AttackedDesk) -> None:
    first = await writes(desk, "mail", "請問營業稅怎麼申報？")
    second = await writes(desk, "second", "營業稅申報的期限是哪一天？", after=30)
    work = await work_of(desk, second)
    [shown] = [await desk._letter(k) for k in desk.keeper.kept if k.id == work.id]
    assert f"#{first.id} 郵件：回覆任一邊" in " ".join(shown.plain.split())

    await desk.takes(reply(work, "！不同件\n\n這件我另外查。"))
    await desk.leaves()
    await desk.does_duties()

    assert (await again(desk, second)).matter is None
    assert [t.is_open for t in await desk.targets(first.id)] == [True]
    assert "matter_left" in await desk.told()


async def test_an_agent_says_that_a_chat_is_the_same_as_a_mail(desk: AttackedDesk) -> None:
    first = await writes(desk, "mail", "請問營業稅怎麼申報？")
    await desk.takes(desk.arrival(chat("s1", "m1", "我剛剛寄了信，請幫我看一下"), "website"))
    await desk.leaves()
    visit = (await desk.tickets())[-1]
    await desk.takes(reply(await work_of(desk, visit), f"！同一件 {first.id}\n\n您好，看到了，期限是 15 日。"))
    await desk.leaves()

    await desk.does_duties()
    told = await desk.leaves()

    assert [t.matter for t in await desk.tickets()] == [first.id, first.id]
    assert [(letter.ticket, letter.to) for letter in told] == [(first.id, "mei@example.com")]
    assert "網頁對話" in told[0].plain


async def test_the_visitor_of_a_chat_is_told_in_the_chat(desk: AttackedDesk) -> None:
    first = await writes(desk, "mail", "請問營業稅怎麼申報？")
    await desk.takes(desk.arrival(chat("s1", "m1", "我剛剛寄了信，請幫我看一下"), "website"))
    await desk.leaves()
    visit = (await desk.tickets())[-1]
    await desk.takes(reply(await work_of(desk, visit), f"！同一件 #{first.id}\n！備註"))
    await desk.takes(reply(await work_of(desk, first), "您好，期限是 15 日。"))
    await desk.leaves()

    await desk.does_duties()
    told = await desk.leaves()

    assert [(letter.ticket, letter.channel) for letter in told] == [(visit.id, "website")]
    assert told[0].body.decode() == "您的問題已於電子郵件回覆您。若還有不清楚的地方，在這裡告訴我們即可。"


@pytest.mark.parametrize("said", ["！同一件 9999", "！同一件", "！同一件 它", "!same {own}"])
async def test_a_number_that_leads_nowhere_sends_nothing_and_is_told(desk: AttackedDesk, said: str) -> None:
    first = await writes(desk, "mail", "請問營業稅怎麼申報？")

    await desk.takes(reply(await work_of(desk, first), said.format(own=first.id) + "\n\n您好"))

    assert [i.recipe["code"] for i in await desk.outbox("told")] == ["same_which"]
    assert await desk.outbox("answer") == []


async def test_a_commit_that_fails_settles_nothing_and_the_next_look_does(
    desk: AttackedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await writes(desk, "mail", "請問營業稅怎麼申報？")
    second = await writes(desk, "second", "營業稅申報的期限是哪一天？", after=30)
    await desk.takes(reply(await work_of(desk, second), "您好，期限是 15 日。"))
    await desk.leaves()

    def dies(name: str) -> None:
        if name == "duties.before_commit":
            raise StoreUnavailable(name)
        crashpoint(name)

    monkeypatch.setattr("intake.decide.crashpoint", dies)
    with pytest.raises(StoreUnavailable):
        await desk.does_duties()
    monkeypatch.undo()
    assert [t.is_open for t in await desk.targets(first.id)] == [True]

    await desk.does_duties()

    assert [t.is_open for t in await desk.targets(first.id)] == [False]
    assert [t.kind for t in await desk.targets(first.id)] == [TargetKind.FIRST_RESPONSE]
    assert len(await desk.leaves()) == 1
