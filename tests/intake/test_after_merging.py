"""After a merge: what agents still write on the ticket that ended goes on in the one it was joined to, or is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from support import handdesk
from support.attackdesk import AttackedDesk, reply
from support.deskrun import agent, bounce, mail, policy
from support.storefacts import NOW

from routing.policy import Team
from routing.records import Ticket
from routing.words import TargetKind, TicketState
from store.outbox import OutboxItem

AGENTS = {
    "chen": agent("chen", display_name="陳怡君"),
    "lin": agent("lin", display_name="林志豪"),
    "boss": agent("boss", display_name="主管", is_supervisor=True),
}
TEAMS = {"desk": Team(name="desk", display_name="客服", members=("chen",), supervisors=("boss",))}
CUSTOMER = "mei@example.com"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with handdesk.store(tmp_path) as db:
        yield AttackedDesk(db, policy=policy(agents=AGENTS, teams=TEAMS))


async def second_ticket(desk: AttackedDesk, **headers: str) -> OutboxItem:
    facts = {"Message_ID": "<second@example.com>", "Subject": "另外一封"} | headers
    await desk.takes(mail("還是同一件事。", **facts))
    await desk.leaves()
    return (await desk.outbox("assignment"))[-1]


async def ticket_of(desk: AttackedDesk, number: int) -> Ticket:
    return next(t for t in await desk.tickets() if t.id == number)


async def codes(desk: AttackedDesk) -> list[str]:
    return [str(item.recipe["code"]) for item in await desk.outbox("told")]


async def merged(desk: AttackedDesk) -> OutboxItem:
    """#1001 goes on as #1002; both are chen's. The row of #1001's mail to him."""
    first = await desk.opened()
    desk.clock.at = NOW + timedelta(minutes=5)
    await second_ticket(desk)
    await desk.takes(reply(first, "!merge 1002"))
    await desk.leaves()
    return first


async def test_an_answer_by_the_old_mail_reaches_the_customer_in_the_ticket_it_goes_on_as(desk: AttackedDesk) -> None:
    first = await merged(desk)

    await desk.takes(reply(first, "您好，可以更正。"))
    letters = await desk.leaves()

    [answer] = await desk.outbox("answer")
    assert (answer.ticket, answer.address, answer.recipe["words"]) == (1002, f"mailto:{CUSTOMER}", "您好，可以更正。")
    assert [one.to for one in letters if one.purpose == "answer"] == [CUSTOMER]
    assert (await ticket_of(desk, 1002)).state is TicketState.ANSWERED
    assert (await ticket_of(desk, 1001)).closed_reason == "merged into #1002"
    assert [t.kind for t in await desk.targets(1002) if t.is_open] == []


@pytest.mark.parametrize(
    "command", ["!close", "！結案\n\n您好，可以更正。", "!to lin", "!wait 3d", "!merge 1003", "!spam"]
)
async def test_what_ends_or_moves_a_ticket_is_not_done_to_the_one_it_goes_on_as(
    desk: AttackedDesk, command: str
) -> None:
    first = await merged(desk)
    before = await ticket_of(desk, 1002)

    await desk.takes(reply(first, command))

    after = await ticket_of(desk, 1002)
    assert (after.state, after.agent) == (before.state, before.agent)
    assert (await ticket_of(desk, 1001)).closed_reason == "merged into #1002"
    assert (await codes(desk))[-1] == "merged"
    assert await desk.outbox("answer") == []


async def test_what_waited_before_the_merge_leaves_after_it_at_a_word(desk: AttackedDesk) -> None:
    first = await desk.opened()
    await second_ticket(desk)
    await desk.takes(reply(first, "內部：您好，可以更正。"))
    [held] = await desk.outbox("told")
    assert held.recipe["code"] == "looks_like_note"
    await desk.takes(reply(first, "!merge 1002"))

    await desk.takes(reply(held, "!send"))
    letters = await desk.leaves()

    assert [one.to for one in letters if one.purpose == "answer"] == [CUSTOMER]
    assert "nothing_held" not in await codes(desk)
    [answer] = [one for one in await desk.outbox("answer") if one.held_reason is None]
    assert answer.ticket == 1002


async def test_through_two_merges_an_answer_arrives_in_the_last(desk: AttackedDesk) -> None:
    first = await merged(desk)
    await desk.takes(mail("又一封。", Message_ID="<third@example.com>", Subject="第三封"))
    second = next(one for one in await desk.outbox("assignment") if one.ticket == 1002)
    await desk.takes(reply(second, "!merge 1003"))

    await desk.takes(reply(first, "您好，可以更正。"))

    assert [one.ticket for one in await desk.outbox("answer")] == [1003]


async def test_words_for_one_customer_are_asked_about_where_the_other_ticket_is_anothers(desk: AttackedDesk) -> None:
    first = await desk.opened()
    await second_ticket(desk, From="李大華 <lee@example.com>")
    await desk.takes(reply(first, "!merge 1002"))
    [question] = await desk.outbox("told")
    await desk.takes(reply(question, "!ok"))
    await desk.leaves()

    await desk.takes(reply(first, "您好，可以更正。"))
    [told] = [one for one in await desk.leaves() if one.purpose == "told"]

    assert [one.held_reason for one in await desk.outbox("answer")] == ["merged_on"]
    assert "lee@example.com" in told.plain
    row = (await desk.outbox("told"))[-1]
    await desk.takes(reply(row, "!send"))
    assert {one.to for one in await desk.leaves() if one.purpose == "answer"} == {"lee@example.com", CUSTOMER}


async def test_a_colleagues_ticket_is_not_answered_by_the_old_mail_without_a_word(desk: AttackedDesk) -> None:
    first = await merged(desk)
    second = next(one for one in await desk.outbox("assignment") if one.ticket == 1002)
    await desk.takes(reply(second, "!to lin"))

    await desk.takes(reply(first, "您好，可以更正。"))

    assert [one.held_reason for one in await desk.outbox("answer")] == ["not_holder"]
    await desk.takes(reply(first, "!urgent"))
    assert (await codes(desk))[-1] == "not_yours_now"


async def test_the_card_of_the_old_ticket_does_not_leave_by_the_new_one(desk: AttackedDesk) -> None:
    first = await desk.opened()
    await second_ticket(desk)
    await desk.takes(reply(first, "!to boss\n\n他欠我們三期的費用"))
    given = (await desk.outbox("assignment"))[-1]
    await desk.takes(reply(given, "!merge 1002"))
    await desk.leaves()

    await desk.takes(reply(given, "您好，可以更正。\n\n他欠我們三期的費用"))

    assert await desk.outbox("answer") == []
    assert "internal_survived" in await codes(desk)


async def test_an_answer_that_comes_back_after_the_merge_is_owed_where_it_goes_on(desk: AttackedDesk) -> None:
    first = await desk.opened()
    await second_ticket(desk)
    await desk.takes(reply(first, "您好，可以更正。"))
    await desk.leaves()
    [answer] = await desk.outbox("answer")
    await desk.takes(reply(first, "!merge 1002"))
    await desk.takes(reply(await _mail_of(desk, 1002), "已經回覆了。"))
    await desk.leaves()
    assert (await ticket_of(desk, 1002)).state is TicketState.ANSWERED

    await desk.takes(bounce(answer.mail_id))

    assert (await ticket_of(desk, 1001)).closed_reason == "merged into #1002"
    assert (await ticket_of(desk, 1002)).state is TicketState.OPEN
    row = next(one for one in await desk.outbox("told") if one.recipe["code"] == "delivery_failed")
    assert row.ticket == 1002


async def _mail_of(desk: AttackedDesk, number: int) -> OutboxItem:
    return next(one for one in await desk.outbox("assignment") if one.ticket == number)


async def test_undo_by_the_old_mail_calls_back_what_was_said_there(tmp_path: Path) -> None:
    async with handdesk.store(tmp_path) as db:
        desk = AttackedDesk(db, policy=policy(agents=AGENTS, teams=TEAMS, undo_seconds=60))
        first = await desk.opened()
        await second_ticket(desk)
        await desk.takes(reply(first, "您好，可以更正。"))
        await desk.takes(reply(first, "!merge 1002"))

        await desk.takes(reply(first, "!undo"))

        assert "called_back" in await codes(desk)
        assert [one.state.value for one in await desk.outbox("answer")] == ["cancelled"]


async def test_what_is_called_back_after_the_merge_is_owed_where_it_goes_on(tmp_path: Path) -> None:
    async with handdesk.store(tmp_path) as db:
        desk = AttackedDesk(db, policy=policy(agents=AGENTS, teams=TEAMS, undo_seconds=60))
        first = await desk.opened()
        await second_ticket(desk)
        await desk.takes(reply(first, "您好，可以更正。"))
        await desk.takes(reply(await _mail_of(desk, 1002), "!merge 1001"))

        await desk.takes(reply(first, "!undo"))

        assert [t.kind for t in await desk.targets(1001) if t.is_open] == [TargetKind.FIRST_RESPONSE]
        assert (await ticket_of(desk, 1001)).state is TicketState.OPEN


async def test_a_promise_that_went_along_is_broken_once(desk: AttackedDesk) -> None:
    first = await desk.opened()
    await second_ticket(desk, From="李大華 <lee@example.com>", Message_ID="<lee@example.com>")
    await desk.takes(mail("等等", In_Reply_To="<a@example.com>", Message_ID="<a2@example.com>"))
    due = next(t.due_at for t in await desk.targets(1001) if t.is_open)
    await desk.takes(reply(await _mail_of(desk, 1002), "您好。"))
    await desk.leaves()
    desk.clock.at = due + timedelta(minutes=1)

    await desk.takes(reply(first, "!merge 1002"))
    await desk.takes(reply((await desk.outbox("told"))[-1], "!ok"))

    assert (await ticket_of(desk, 1001)).closed_reason == "merged into #1002"
    assert [t.breached_at for t in await desk.targets(1001)] == [None]
    assert [t.due_at for t in await desk.targets(1002) if t.is_open] == [due]


async def test_what_waits_for_a_stranger_is_asked_about_once_he_is_let_in(desk: AttackedDesk) -> None:
    await desk.opened()
    await desk.takes(
        mail(
            "我是她的會計。", From="會計 <acc@example.net>", In_Reply_To="<a@example.com>", Message_ID="<s@example.net>"
        )
    )
    item = await _mail_of(desk, 1002)
    await desk.takes(reply(item, "內部：您好。"))
    held = (await desk.outbox("told"))[-1]
    await desk.takes(reply(item, "!join"))

    await desk.takes(reply(held, "!send"))

    assert (await codes(desk))[-1] == "merged_on"
    assert [one.to for one in await desk.leaves() if one.purpose == "answer"] == []
