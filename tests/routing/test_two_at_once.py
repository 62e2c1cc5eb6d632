"""Two at once: of two agents who answer the same words, one leaves unasked; the other is held and told of the first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.attackdesk import AttackedDesk
from support.deskrun import RunningDesk, agent, bounce, mail, policy
from support.storefacts import MINUTE

from channels.adapter import PermanentFailure
from routing.policy import Team
from routing.records import Presence
from routing.words import OutboxState, TicketState
from store import agents
from store.engine import Database
from store.outbox import OutboxItem
from store.upgrade import upgrade


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    db = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(db)
    yield AttackedDesk(db)
    await db.close()


Pair = tuple[OutboxItem, OutboxItem]


async def both_were_given_it(desk: RunningDesk) -> Pair:
    """A ticket that went from one to the other and back: (the holder's mail, that of the one before)."""
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [first] = await desk.outbox("assignment")
    other = "lin" if first.agent == "chen" else "chen"
    await desk.takes(await desk.reply_to(first, f"！轉給 {other}"))
    [_, second] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(second, f"！轉給 {first.agent}"))
    return (await desk.outbox("assignment"))[-1], second


async def nobody_has_it(desk: RunningDesk) -> Pair:
    """A ticket that waits for a holder: the mails of two supervisors."""
    everybody = {name: agent(name, is_supervisor=name != "chen") for name in ("chen", "boss", "vice")}
    team = Team(name="desk", display_name="客服", members=("chen",), supervisors=("boss", "vice"))
    desk.policy = policy(agents=everybody, teams={"desk": team})
    async with desk.db.transaction() as tx:
        await agents.present(tx, {"chen": Presence(state="off", since=desk.clock.at)})
    await desk.takes(mail(Message_ID="<a@example.com>"))
    first, second = await desk.outbox("assignment")
    return first, second


async def answers(desk: RunningDesk) -> list[tuple[str | None, str]]:
    """Who answered, and what became of it."""
    return [(a.agent, a.state.value) for a in await desk.outbox("answer")]


async def codes(desk: RunningDesk) -> list[tuple[str | None, str]]:
    return [(t.agent, t.recipe["code"]) for t in await desk.outbox("told") if t.recipe["code"] != "moved"]


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
async def test_the_first_claims_a_ticket_that_nobody_has_and_the_second_is_held(
    desk: AttackedDesk, together: bool
) -> None:
    first, second = await nobody_has_it(desk)
    mails = [await desk.reply_to(first, "可以更正。"), await desk.reply_to(second, "不能更正。")]

    for some in [mails] if together else [[one] for one in mails]:
        await desk.takes(*some)

    ticket = await desk.ticket()
    assert (ticket.agent, ticket.answered_by, ticket.state) == (first.agent, first.agent, TicketState.ANSWERED)
    assert await answers(desk) == [(first.agent, "pending"), (second.agent, "held")]
    assert await codes(desk) == [(second.agent, "already_answered")]
    assert "ticket_claimed" in await desk.told()


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
@pytest.mark.parametrize("holder_first", [True, False])
async def test_in_either_order_the_holders_leaves_and_the_others_waits(
    desk: AttackedDesk, holder_first: bool, together: bool
) -> None:
    holders, others = await both_were_given_it(desk)
    mails = [await desk.reply_to(holders, "可以更正。"), await desk.reply_to(others, "不能更正。")]
    mails = mails if holder_first else mails[::-1]

    for some in [mails] if together else [[one] for one in mails]:
        await desk.takes(*some)

    assert sorted(await answers(desk), key=str) == sorted([(holders.agent, "pending"), (others.agent, "held")], key=str)
    assert await codes(desk) == [(others.agent, "already_answered" if holder_first else "not_holder")]


async def test_the_source_s_time_of_the_act_is_kept_with_the_ticket(desk: AttackedDesk) -> None:
    holders, _ = await both_were_given_it(desk)
    await desk.takes(await desk.reply_to(holders, "可以更正。"))

    ticket = await desk.ticket()
    assert (ticket.answered_by, ticket.answered_at) == (holders.agent, desk.clock.at - MINUTE)


async def test_he_is_shown_who_when_to_whom_and_the_words_whole(desk: AttackedDesk) -> None:
    holders, others = await both_were_given_it(desk)
    words = "不能更正。\n" + "\n".join(f"第 {n} 點說明。" for n in range(900)) + "\n最後一句。"
    await desk.takes(await desk.reply_to(holders, "可以更正。"), await desk.reply_to(others, words))

    told = next(letter for letter in await desk.leaves() if letter.agent == others.agent and "已在" in letter.plain)
    assert f"{str(holders.agent).capitalize()} 已在 14:09 回覆" in told.plain
    assert "會寄給：王美玲 <mei@example.com>" in told.plain
    assert "> 最後一句。" in told.plain
    assert "最後一句。" in told.html
    assert "！寄出" in told.plain


async def test_send_lets_the_second_go_and_the_holder_hears_of_it_once(desk: AttackedDesk) -> None:
    holders, others = await both_were_given_it(desk)
    await desk.takes(await desk.reply_to(holders, "可以更正。"), await desk.reply_to(others, "不能更正。"))
    asked = (await desk.outbox("told"))[-1]

    await desk.takes(await desk.reply_to(asked, "！寄出"))
    await desk.takes(await desk.reply_to(asked, "還有一點。"))

    assert (await answers(desk))[2:] == [(others.agent, "pending"), (others.agent, "held")]
    assert [code for code in await codes(desk) if code[1] == "answered_by"] == [(holders.agent, "answered_by")]
    letter = next(one for one in await desk.leaves() if "這件仍由您負責" in one.plain)
    assert (letter.agent, "不能更正。" in letter.plain) == (holders.agent, True)
    assert (await desk.ticket()).agent == holders.agent


async def test_send_with_words_below_leaves_at_once(desk: AttackedDesk) -> None:
    holders, others = await both_were_given_it(desk)
    await desk.takes(await desk.reply_to(holders, "可以更正。"), await desk.reply_to(others, "！寄出\n\n再補充一點。"))

    assert await answers(desk) == [(holders.agent, "pending"), (others.agent, "pending")]


async def test_what_he_was_not_asked_about_he_is_asked_about_once_more(desk: AttackedDesk) -> None:
    """Held because it is a colleague's; then the colleague answers: `!send` was no word on that."""
    holders, others = await both_were_given_it(desk)
    await desk.takes(await desk.reply_to(others, "不能更正。"))
    first_asked = (await desk.outbox("told"))[-1]
    await desk.takes(await desk.reply_to(holders, "可以更正。"))

    await desk.takes(await desk.reply_to(first_asked, "！寄出"))
    asked_again = (await desk.outbox("told"))[-1]
    left_early = [a.agent for a in await desk.outbox("answer") if a.state is OutboxState.PENDING]
    await desk.takes(await desk.reply_to(asked_again, "！send"))

    assert (first_asked.recipe["code"], asked_again.recipe["code"]) == ("not_holder", "already_answered")
    assert left_early == [holders.agent]
    assert [a.agent for a in await desk.outbox("answer") if a.state is OutboxState.PENDING] == [
        holders.agent,
        others.agent,
    ]


async def test_once_the_customer_has_written_again_anybody_who_may_answers_unasked(desk: AttackedDesk) -> None:
    first, second = await nobody_has_it(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"))
    await desk.takes(mail("那明年呢？", In_Reply_To="<a@example.com>"))

    await desk.takes(await desk.reply_to(second, "明年也可以。"))

    assert await answers(desk) == [(first.agent, "pending"), (second.agent, "pending")]


async def test_an_answer_that_came_back_blocks_nobody(desk: AttackedDesk) -> None:
    first, second = await nobody_has_it(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"))
    await desk.leaves()
    [answer] = await desk.outbox("answer")
    await desk.takes(bounce(answer.mail_id))

    await desk.takes(await desk.reply_to(second, "可以更正。"))

    assert (await answers(desk))[-1] == (second.agent, "pending")


async def test_an_answer_that_was_refused_for_good_blocks_nobody(desk: AttackedDesk) -> None:
    first, second = await nobody_has_it(desk)
    await desk.leaves()
    await desk.takes(await desk.reply_to(first, "可以更正。"))
    desk.keeper.failing = PermanentFailure("550 no such user")
    await desk.leaves()
    desk.keeper.failing = None

    await desk.takes(await desk.reply_to(second, "可以更正。"))

    assert (await answers(desk))[-1] == (second.agent, "pending")


async def test_a_note_is_no_second_answer(desk: AttackedDesk) -> None:
    holders, others = await both_were_given_it(desk)
    await desk.takes(
        await desk.reply_to(holders, "可以更正。"), await desk.reply_to(others, "！備註\n\n客戶來過電話。")
    )

    assert await answers(desk) == [(holders.agent, "pending")]
    assert await codes(desk) == []


REFUSED = ["！結案", "！轉給 boss", "！垃圾", "！急件", "！副本 lee@example.com", "！主題 vat", "！合併 1", "！等 3天"]


@pytest.mark.parametrize("command", REFUSED)
@pytest.mark.parametrize("words", ["", "請看。"])
async def test_who_gave_it_away_decides_on_it_no_longer(desk: AttackedDesk, command: str, words: str) -> None:
    holders, others = await both_were_given_it(desk)
    before = await desk.ticket()

    await desk.takes(await desk.reply_to(others, f"{command}\n\n{words}".strip()))

    after = await desk.ticket()
    assert (after.state, after.agent, after.is_urgent) == (before.state, holders.agent, False)
    assert await answers(desk) == []
    assert len(await codes(desk)) == 1


async def test_several_languages_and_zones_say_the_same_moment(desk: AttackedDesk) -> None:
    people: dict[str, Any] = dict(desk.policy.agents)
    people["lin"] = agent("lin", language="en")
    people["chen"] = agent("chen", language="en")
    desk.policy = policy(agents=people, timezone="Asia/Tokyo")
    holders, others = await both_were_given_it(desk)
    await desk.takes(await desk.reply_to(holders, "Yes."), await desk.reply_to(others, "No."))

    told = next(one for one in await desk.leaves() if "already answered" in one.plain)
    assert f"Held: {str(holders.agent).capitalize()} already answered, 15:09" in told.plain
