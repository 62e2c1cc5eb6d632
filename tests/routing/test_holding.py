"""Held: an answer that waits for a word of its author keeps his words, is shown whole, and leaves at `!send` alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.attackdesk import AttackedDesk
from support.deskrun import RunningDesk, mail
from support.storefacts import MINUTE

from routing.words import OutboxState, TargetKind, TicketState
from store.engine import Database
from store.outbox import OutboxItem
from store.upgrade import upgrade


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    db = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(db)
    yield AttackedDesk(db)
    await db.close()


async def opened(desk: RunningDesk) -> OutboxItem:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [first] = await desk.outbox("assignment")
    return first


async def answers(desk: RunningDesk) -> list[tuple[str, str]]:
    return [(str(a.recipe["words"]), a.state.value) for a in await desk.outbox("answer")]


async def asked(desk: RunningDesk) -> OutboxItem:
    """The mail that he was told last."""
    return (await desk.outbox("told"))[-1]


# ---- the wrong ticket


async def from_the_address_book(desk: RunningDesk, item: OutboxItem, words: str = "您好，報價如附。") -> bytes:
    return await desk.reply_to(item, words, In_Reply_To="", Subject="報價")


async def test_a_new_mail_to_a_remembered_address_is_held_and_asked(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await from_the_address_book(desk, first))

    told = await asked(desk)
    assert (await answers(desk), told.recipe["code"]) == ([("您好，報價如附。", "held")], "no_reference")
    letter = next(one for one in await desk.leaves() if one.purpose == "told")
    assert "這是要給 #1001 王美玲 的嗎？" in letter.plain

    await desk.takes(await desk.reply_to(told, "！寄出"))
    assert (await answers(desk))[-1] == ("您好，報價如附。", "pending")


async def test_send_above_the_words_is_no_reference(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await from_the_address_book(desk, first, "！寄出\n\n您好，報價如附。"))

    assert (await answers(desk), (await asked(desk)).recipe["code"]) == (
        [("您好，報價如附。", "held")],
        "no_reference",
    )


async def test_send_by_a_remembered_address_releases_nothing(desk: AttackedDesk) -> None:
    """The word must answer a mail of the ticket as well: an address book may have chosen this one."""
    first = await opened(desk)
    await desk.takes(await from_the_address_book(desk, first))
    await desk.takes(await from_the_address_book(desk, first, "！寄出"))

    assert await answers(desk) == [("您好，報價如附。", "held")]


@pytest.mark.parametrize("words", ["！結案", "！備註\n\n請看", "！clsoe\n\n請看", "！轉給 lin\n\n您好"])
async def test_no_command_is_carried_out_by_a_remembered_address(desk: AttackedDesk, words: str) -> None:
    first = await opened(desk)
    await desk.takes(await from_the_address_book(desk, first, words))

    ticket = await desk.ticket()
    assert (await answers(desk), ticket.state, ticket.agent) == ([], TicketState.OPEN, first.agent)
    assert (await asked(desk)).recipe["code"] == "no_reference_here"


async def test_a_reply_to_another_ticket_by_this_ones_address_is_asked_about(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(mail("另一件", From="李經理 <lee@example.org>", Message_ID="<b@example.org>"))
    other = (await desk.outbox("assignment"))[-1]

    await desk.takes(await desk.reply_to(first, "您好。", In_Reply_To=other.mail_id))

    assert (await answers(desk), (await asked(desk)).recipe["code"]) == ([("您好。", "held")], "no_reference")


# ---- closed


async def test_a_closed_ticket_is_opened_by_a_word_only(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "可以更正。\n"))
    await desk.takes(await desk.reply_to(first, "！結案"))
    await desk.takes(await desk.reply_to(first, "還有一點。"))
    still = await desk.ticket()

    await desk.takes(await desk.reply_to(await asked(desk), "！寄出"))

    ticket = await desk.ticket()
    assert (still.state, ticket.state, ticket.closed_at) == (TicketState.CLOSED, TicketState.ANSWERED, None)
    assert (await answers(desk))[-1] == ("還有一點。", "pending")
    assert "ticket_opened_again" in await desk.told()


@pytest.mark.parametrize("word", ["！重開", "!reopen", "！寄出", "!send\n!reopen"])
async def test_either_word_opens_and_sends_what_waited_for_it(desk: AttackedDesk, word: str) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "！結案"))
    await desk.takes(await desk.reply_to(first, "還有一點。"))

    await desk.takes(await desk.reply_to(await asked(desk), word))

    assert (await answers(desk))[-1] == ("還有一點。", "pending")


async def test_reopen_with_words_sends_them_at_once(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "！結案"))
    await desk.takes(await desk.reply_to(first, "！重開\n\n還有一點。"))

    assert await answers(desk) == [("還有一點。", "pending")]


@pytest.mark.parametrize("together", [True, False])
async def test_what_was_owed_when_it_was_closed_is_owed_again(desk: AttackedDesk, together: bool) -> None:
    first = await opened(desk)
    before = [(t.kind, t.due_at) for t in await desk.targets(1001) if t.is_open]
    mails = [await desk.reply_to(first, "！結案"), await desk.reply_to(first, "！重開")]

    for some in [mails] if together else [[one] for one in mails]:
        await desk.takes(*some)

    assert [(t.kind, t.due_at) for t in await desk.targets(1001) if t.is_open] == before
    assert before[0][0] is TargetKind.FIRST_RESPONSE
    assert (await desk.ticket()).state is TicketState.OPEN


async def test_reopening_what_is_open_does_nothing_and_sends_nothing(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "！重開\n\n您好。"))

    assert (await answers(desk), (await asked(desk)).recipe["code"]) == ([], "not_closed")


async def test_after_so_many_days_no_word_opens_it(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "！結案"))
    desk.clock.at += timedelta(days=31)
    await desk.takes(await desk.reply_to(first, "！寄出\n\n還有一點。"))

    assert (await answers(desk), (await asked(desk)).recipe["code"]) == ([], "closed_long")


# ---- a note, or to the customer?


async def test_note_answers_the_question_too(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "內部：先查帳"))
    await desk.takes(await desk.reply_to(await asked(desk), "！備註"))
    await desk.takes(await desk.reply_to(await asked(desk), "！寄出"))

    assert await answers(desk) == [("內部：先查帳", "cancelled")]
    [noted] = [e for e in await desk.events() if e.kind == "note_recorded"]
    [held] = [e for e in await desk.events() if e.kind == "reply_held" and e.data["why"] == "looks_like_note"]
    assert noted.message == held.message
    assert noted.data["asked_by"] == held.message + 1  # the mail with the mark is told of, too
    assert (await asked(desk)).recipe["code"] == "nothing_held"


async def test_a_telephone_that_signs_a_bare_send_sends_what_waits(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "FYI 已經更正了"))
    await desk.takes(await desk.reply_to(await asked(desk), "！寄出\n\n從我的 iPhone 傳送"))

    assert [one for one in await answers(desk) if one[1] == "pending"] == [("FYI 已經更正了", "pending")]


# ---- one of each, and not for ever


@pytest.mark.parametrize("together", [True, False])
async def test_a_newer_answer_takes_the_place_of_the_one_that_waits_and_he_is_told(
    desk: AttackedDesk, together: bool
) -> None:
    first = await opened(desk)
    mails = [await desk.reply_to(first, "內部：先查帳"), await desk.reply_to(first, "內部：已查帳")]
    for some in [mails] if together else [[one] for one in mails]:
        await desk.takes(*some)
    told = await asked(desk)

    await desk.takes(await desk.reply_to(told, "！寄出"))

    assert [one for one in await answers(desk) if one[1] != "cancelled"] == [("內部：已查帳", "pending")]
    assert told.recipe["replaced"] is True


async def test_a_newer_answer_that_leaves_drops_the_one_that_waits_and_he_is_told(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "內部：先查帳"))
    await desk.takes(await desk.reply_to(first, "已經查過了。"))

    assert await answers(desk) == [("內部：先查帳", "cancelled"), ("已經查過了。", "pending")]
    assert (await asked(desk)).recipe["code"] == "replaced"


@pytest.mark.parametrize("together", [True, False])
async def test_once_the_customer_wrote_again_send_is_asked_once_more_with_his_words(
    desk: AttackedDesk, together: bool
) -> None:
    first = await opened(desk)
    mails = [
        await desk.reply_to(first, "內部：先查帳"),
        mail("我自己找到了，不用查。", In_Reply_To="<a@example.com>"),
        await desk.reply_to(first, "！寄出"),
    ]
    for some in [mails] if together else [[one] for one in mails]:
        await desk.takes(*some)
    told = await asked(desk)
    before = [state for _, state in await answers(desk) if state != "cancelled"]
    letter = next(one for one in await desk.leaves() if "又寫來了" in one.plain)

    await desk.takes(await desk.reply_to(told, "！寄出"))

    assert (told.recipe["code"], before) == ("customer_wrote", ["held"])
    assert "我自己找到了" in letter.plain.split("──")[-1]
    assert "我自己找到了" in letter.html
    assert (await answers(desk))[-1] == ("內部：先查帳", "pending")


async def test_a_released_answer_was_given_when_it_was_released(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "內部：先查帳"))
    desk.clock.at += 30 * MINUTE
    await desk.takes(await desk.reply_to(first, "！寄出"))

    answer = (await desk.outbox("answer"))[-1]
    assert answer.answered_at == (await desk.ticket()).answered_at == desk.clock.at - MINUTE


async def test_commands_beside_words_that_wait_wait_too_and_he_is_told(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "！結案"))
    await desk.takes(await desk.reply_to(first, "！急件\n\n還有一點。"))

    told = await asked(desk)
    assert (told.recipe["code"], told.recipe["undone"]) == ("closed_ticket", ["！急件"])
    assert (await desk.ticket()).is_urgent is False


# ---- never kept


async def test_what_the_guard_found_is_never_kept(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, f"內部：請看 {first.recipe['token']}"))
    await desk.takes(await desk.reply_to(await asked(desk), "！寄出"))

    assert await answers(desk) == []
    assert [t.recipe["code"] for t in await desk.outbox("told")] == ["internal_survived", "nothing_held"]


async def test_what_nothing_proves_is_never_kept(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "內部：先查帳", vouched="no"))
    await desk.takes(await desk.reply_to(first, "！寄出"))

    assert await answers(desk) == []


async def test_the_held_rows_leave_by_nothing_but_a_word(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "內部：先查帳"))
    desk.clock.at += timedelta(days=3)

    assert [one.purpose for one in await desk.leaves() if one.purpose == "answer"] == []
    assert [a.state for a in await desk.outbox("answer")] == [OutboxState.HELD]


# ---- closing


@pytest.mark.parametrize(("words", "told"), [("！結案", ["closed_unanswered"]), ("！結案\n\n可以更正。", [])])
async def test_he_is_told_of_a_closing_only_if_nobody_ever_answered(
    desk: AttackedDesk, words: str, told: list[str]
) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, words))

    assert [t.recipe["code"] for t in await desk.outbox("told")] == told
    assert (await desk.ticket()).state is TicketState.CLOSED
