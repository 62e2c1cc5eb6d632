"""Undone: within `undo_seconds` an answer is called back and nothing has left; later he hears that it is too late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.attackdesk import AttackedDesk
from support.deskrun import RunningDesk, chat, mail, policy
from support.storefacts import MINUTE

from intake import decide
from routing.words import OutboxState, TargetKind, TicketState
from store import outbox
from store.engine import Database
from store.outbox import OutboxItem
from store.upgrade import upgrade


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    db = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(db)
    yield AttackedDesk(db, policy=policy(undo_seconds=30))
    await db.close()


async def opened(desk: AttackedDesk) -> OutboxItem:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    await desk.leaves()
    [first] = await desk.outbox("assignment")
    return first


async def to_customer(desk: AttackedDesk) -> list[str]:
    return [one.plain.splitlines()[0] for one in await desk.leaves() if one.purpose == "answer"]


async def codes(desk: RunningDesk) -> list[str]:
    return [t.recipe["code"] for t in await desk.outbox("told")]


async def test_an_answer_waits_and_then_leaves_by_itself(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"))
    at_once = await to_customer(desk)
    desk.clock.at += timedelta(seconds=30)

    assert (at_once, await to_customer(desk)) == ([], ["可以更正。"])


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("word", ["！撤回", "!undo", "! Undo", "！收回\n\n從我的 iPhone 傳送"])
async def test_undo_calls_back_everything_that_still_waits(desk: AttackedDesk, together: bool, word: str) -> None:
    first = await opened(desk)
    before = await desk.ticket()
    mails = [await desk.reply_to(first, words) for words in ("可以更正。", "還有一點。", word)]
    for some in [mails] if together else [[one] for one in mails]:
        await desk.takes(*some)
        desk.clock.at += timedelta(seconds=5)
    desk.clock.at += MINUTE

    after = await desk.ticket()
    assert await to_customer(desk) == []
    assert await codes(desk) == ["called_back"]
    assert (after.state, after.answered_by, after.answered_at) == (before.state, None, None)
    assert next(t.kind for t in await desk.targets(1001) if t.is_open) is TargetKind.FIRST_RESPONSE
    assert "answer_called_back" in await desk.told()


async def test_he_is_shown_what_did_not_leave(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"), await desk.reply_to(first, "！撤回"))

    [letter] = await desk.leaves()
    assert "已撤回，什麼都沒有寄出" in letter.plain
    assert "> 可以更正。" in letter.plain


async def test_of_two_answers_the_one_that_has_left_stays(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"))
    desk.clock.at += timedelta(seconds=31)
    await desk.leaves()
    answered = await desk.ticket()
    await desk.takes(await desk.reply_to(first, "還有一點。"), await desk.reply_to(first, "！撤回"))

    after = await desk.ticket()
    assert [a.state for a in await desk.outbox("answer")] == [OutboxState.DELIVERED]
    assert (after.state, after.answered_at) == (TicketState.ANSWERED, answered.answered_at)


async def test_copies_are_called_back_with_it(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "！副本 lee@example.org\n\n可以更正。"))
    await desk.takes(await desk.reply_to(first, "！撤回"))
    desk.clock.at += MINUTE

    assert [a.state for a in await desk.outbox("answer")] == [OutboxState.CANCELLED] * 2
    assert await to_customer(desk) == []


@pytest.mark.parametrize("seconds", [30, 31, 3600])
async def test_too_late_is_said_with_the_time_and_undoes_nothing(desk: AttackedDesk, seconds: int) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"))
    desk.clock.at += timedelta(seconds=seconds)
    await desk.takes(await desk.reply_to(first, "！撤回"))

    assert await codes(desk) == ["undo_late"]
    assert (await desk.ticket()).state is TicketState.ANSWERED
    letters = await desk.leaves()
    assert [one.plain.splitlines()[0] for one in letters if one.purpose == "answer"] == ["可以更正。"]
    assert any("來不及撤回：14:10 已寄出" in one.plain for one in letters)


async def test_nothing_to_call_back(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "！撤回"))

    assert await codes(desk) == ["undo_nothing"]


async def test_where_nothing_waits_undo_says_so(desk: AttackedDesk) -> None:
    desk.policy = policy()
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"), await desk.reply_to(first, "！撤回"))

    assert await codes(desk) == ["undo_off"]
    assert await to_customer(desk) == ["可以更正。"]


async def test_what_waits_when_the_setting_goes_can_still_be_called_back(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"))
    desk.policy = policy()
    await desk.takes(await desk.reply_to(first, "！撤回"))

    assert await codes(desk) == ["called_back"]


async def test_a_colleagues_answer_is_not_his_to_call_back(desk: AttackedDesk) -> None:
    first = await opened(desk)
    other = "lin" if first.agent == "chen" else "chen"
    await desk.takes(await desk.reply_to(first, f"！轉給 {other}"))
    second = (await desk.outbox("assignment"))[-1]
    await desk.takes(await desk.reply_to(second, "可以更正。"), await desk.reply_to(first, "！撤回"))

    assert [(a.agent, a.state) for a in await desk.outbox("answer")] == [(other, OutboxState.PENDING)]
    assert (await desk.ticket()).answered_by == other


async def test_the_holder_hears_nothing_of_an_answer_that_was_called_back(desk: AttackedDesk) -> None:
    first = await opened(desk)
    other = "lin" if first.agent == "chen" else "chen"
    await desk.takes(await desk.reply_to(first, f"！轉給 {other}"))
    await desk.takes(await desk.reply_to(first, "！寄出\n\n可以更正。"))
    await desk.takes(await desk.reply_to(first, "！撤回"))
    desk.clock.at += MINUTE

    heard = [one for one in await desk.leaves() if one.agent == other and "已在" in one.plain]
    assert heard == []


async def test_a_ticket_closed_with_the_answer_is_open_again_and_owes_what_it_owed(desk: AttackedDesk) -> None:
    first = await opened(desk)
    before = {(t.kind, t.due_at) for t in await desk.targets(1001) if t.is_open}
    await desk.takes(await desk.reply_to(first, "！結案\n\n可以更正。"))
    await desk.takes(await desk.reply_to(first, "！撤回"))

    assert (await desk.ticket()).state is TicketState.OPEN
    assert {(t.kind, t.due_at) for t in await desk.targets(1001) if t.is_open} == before


async def test_what_the_customer_wrote_meanwhile_keeps_the_ticket_open(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"))
    await desk.takes(mail("那明年呢？", In_Reply_To="<a@example.com>"))
    await desk.takes(await desk.reply_to(first, "！撤回"))

    ticket = await desk.ticket()
    assert (ticket.state, ticket.answered_by) == (TicketState.OPEN, None)


@pytest.mark.parametrize("word", ["！撤回\n！結案", "！撤回\n！備註"])
async def test_undo_stands_alone(desk: AttackedDesk, word: str) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"), await desk.reply_to(first, word))

    assert await codes(desk) == ["not_together"]
    assert [a.state for a in await desk.outbox("answer")] == [OutboxState.PENDING]


async def test_words_below_undo_go_to_nobody(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(
        await desk.reply_to(first, "可以更正。"), await desk.reply_to(first, "！撤回\n\n這樣寫不對，我再想想。")
    )
    desk.clock.at += MINUTE

    assert await to_customer(desk) == []


async def test_what_was_held_waits_again_once_it_is_released(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "內部：先查帳"))
    await desk.takes(await desk.reply_to(first, "！寄出"))
    await desk.takes(await desk.reply_to(first, "！撤回"))
    desk.clock.at += MINUTE

    assert await to_customer(desk) == []


async def test_an_answer_in_a_chat_leaves_at_once(desk: AttackedDesk) -> None:
    await desk.takes(desk.arrival(chat("s1", "c1", "您好，請問"), "website"))
    [first] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(first, "您好。"), await desk.reply_to(first, "！撤回"))

    [answer] = await desk.outbox("answer")
    assert (answer.channel, answer.state) == ("website", OutboxState.PENDING)
    assert answer.next_attempt_at == desk.clock.at


async def test_what_left_while_it_was_being_called_back_is_told_so(
    desk: AttackedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker took it between reading and writing: nothing is promised, and he is told the truth."""
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。"))
    [answer] = await desk.outbox("answer")
    real, calls = decide.write, []

    async def write(tx: Any, changes: Any, now: Any, policy: Any) -> None:
        if changes.cancelled and not calls:
            calls.append(now)
            desk.clock.at += timedelta(seconds=31)
            await outbox.begin_attempts(tx, [(answer, b"octets")], now, now + MINUTE)
        await real(tx, changes, now, policy)

    monkeypatch.setattr(decide, "write", write)
    await desk.takes(await desk.reply_to(first, "！撤回"))

    assert len(calls) == 1
    assert await codes(desk) == ["undo_late"]
    assert "answer_called_back" not in await desk.told()
    assert (await desk.ticket()).state is TicketState.ANSWERED
