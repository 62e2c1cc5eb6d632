"""Commands that change a ticket, from an agent's mail to what is written: and that none of them reaches a customer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support import handdesk
from support.attackdesk import AttackedDesk, Letter, reply
from support.deskrun import agent, call, mail, policy
from support.storefacts import NOW

from channels.adapter import PermanentFailure
from intake.config_calendars import built_in
from intake.watch import Watcher
from routing.policy import Filing, Team, Topic
from routing.records import Target, Ticket
from routing.words import Kind, OutboxState, TargetKind, TicketState
from store import documents, messages
from store.outbox import OutboxItem

TOPICS = {
    "tax_filing": Topic(
        key="tax_filing", names={"zh-Hant": "納稅申報", "zh-Hans": "纳税申报", "en": "Tax filing"}, strong=("營業稅",)
    ),
    "invoice": Topic(key="invoice", names={"zh-Hant": "發票", "zh-Hans": "发票", "en": "Invoices"}, strong=("發票",)),
}
AGENTS = {
    "chen": agent("chen", display_name="陳怡君"),
    "lin": agent("lin", display_name="林志豪", topics=("invoice", "tax_filing"), complaints=True),
    "wu": agent("wu", display_name="吳淑芬", complaints=True, topics=("tax_filing",)),
    "boss": agent("boss", display_name="主管", is_supervisor=True),
}
TEAMS = {"desk": Team(name="desk", display_name="客服", members=("chen", "lin", "wu"), supervisors=("boss",))}
AT = NOW - timedelta(minutes=1)  # when the source took a mail in
CUSTOMER = "mei@example.com"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with handdesk.store(tmp_path) as db:
        yield AttackedDesk(db, policy=policy(agents=AGENTS, teams=TEAMS, topics=TOPICS))


async def opened(desk: AttackedDesk, holder: str = "chen") -> OutboxItem:
    """A customer's ticket that this agent has: the row of its mail to him."""
    wanted = desk.policy
    desk.policy = replace(wanted, teams={"desk": replace(TEAMS["desk"], members=(holder,))})
    item = await desk.opened()
    desk.policy = wanted
    assert item.agent == holder
    return item


async def codes(desk: AttackedDesk) -> list[str]:
    return [str(item.recipe["code"]) for item in await desk.outbox("told")]


async def ticket_of(desk: AttackedDesk, number: int = 1001) -> Ticket:
    return next(t for t in await desk.tickets() if t.id == number)


async def open_kinds(desk: AttackedDesk, number: int = 1001) -> list[TargetKind]:
    return sorted(t.kind for t in await desk.targets(number) if t.is_open)


async def first_of(desk: AttackedDesk, kind: TargetKind, number: int = 1001) -> Target:
    return next(t for t in await desk.targets(number) if t.kind is kind)


async def later(desk: AttackedDesk, moment: datetime) -> list[Letter]:
    """What leaves once the watcher has looked at that moment."""
    desk.clock.at = moment
    watcher = Watcher(
        desk.db, desk.clock, lambda: handdesk.stationery(desk.policy), lambda note, within: None, lambda: None
    )
    await watcher.tick()
    return await desk.leaves()


# ---- waiting


async def test_wait_with_words_sends_them_and_waits_until_the_desk_opens_after_three_days(desk: AttackedDesk) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, "！等3天\n\n您好，請補寄存摺影本。"))

    one = await ticket_of(desk)
    assert (one.state, one.waits_until) == (TicketState.WAITING, datetime(2026, 11, 27, 1, tzinfo=UTC))
    assert [a.recipe["words"] for a in await desk.outbox("answer")] == ["您好，請補寄存摺影本。"]


async def test_a_first_answer_that_is_owed_is_not_waived_by_waiting(desk: AttackedDesk) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, "!wait 3d"))

    assert await codes(desk) == ["owes_answer"]
    assert (await ticket_of(desk)).state is TicketState.OPEN
    assert await open_kinds(desk) == [TargetKind.FIRST_RESPONSE]


async def test_words_that_stay_inside_are_no_answer_either(desk: AttackedDesk) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, "!note\n!wait 3d\n\n他說下週再寄。"))

    assert await codes(desk) == ["owes_answer"]
    assert "note_recorded" not in await desk.told()


async def test_when_the_time_is_over_the_agent_is_told_once_and_may_answer_by_that_mail(desk: AttackedDesk) -> None:
    item = await opened(desk)
    await desk.takes(reply(item, "!wait 3d\n\n請補寄存摺影本。"))
    await desk.leaves()

    early = await later(desk, datetime(2026, 11, 27, 0, 59, tzinfo=UTC))
    [told] = [one for one in await later(desk, datetime(2026, 11, 27, 1, tzinfo=UTC)) if one.purpose == "told"]
    again = await later(desk, datetime(2026, 11, 28, 1, tzinfo=UTC))

    assert [one for one in early + again if one.purpose == "told"] == []
    assert (told.agent, told.ticket) == ("chen", 1001)
    assert "王美玲 3 天 18 小時 沒有回覆" in told.plain
    one = await ticket_of(desk)
    assert (one.state, one.waits_until) == (TicketState.OPEN, None)
    [row] = [r for r in await desk.outbox("told") if r.recipe["code"] == "wait_over"]
    await desk.takes(reply(row, "請問存摺影本寄出了嗎？"))
    assert [a.recipe["words"] for a in await desk.outbox("answer")][1:] == ["請問存摺影本寄出了嗎？"]


async def test_the_customers_word_ends_the_waiting_and_nobody_is_reminded(desk: AttackedDesk) -> None:
    item = await opened(desk)
    await desk.takes(reply(item, "!wait 3d\n\n請補寄存摺影本。"))
    await desk.leaves()

    await desk.takes(mail("已經寄了。", In_Reply_To="<a@example.com>", Message_ID="<b@example.com>"))
    one = await ticket_of(desk)
    assert (one.state, one.waits_until) == (TicketState.OPEN, None)
    told = await later(desk, datetime(2026, 11, 27, 1, tzinfo=UTC))

    assert [t for t in told if "沒有回覆" in t.plain] == []
    assert "wait_over" not in await desk.told()


@pytest.mark.parametrize("argument", ["soon", "2026-11-01", "0d", "4000d", "明天再說吧好了"])
async def test_a_time_nobody_can_read_or_that_is_past_changes_nothing(desk: AttackedDesk, argument: str) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, f"!wait {argument}\n\n您好。"))

    assert await codes(desk) == ["bad_wait"]
    assert (await desk.outbox("answer"), (await ticket_of(desk)).state) == ([], TicketState.OPEN)


async def test_an_answer_that_never_arrived_ends_the_waiting(desk: AttackedDesk) -> None:
    item = await opened(desk)
    await desk.takes(reply(item, "!wait 3d\n\n請補寄存摺影本。"))
    desk.keeper.failing = PermanentFailure("550 no such user")
    await desk.leaves()

    one = await ticket_of(desk)
    assert (one.state, one.waits_until) == (TicketState.OPEN, None)


# ---- urgent


async def test_urgent_halves_the_first_response_from_its_beginning(desk: AttackedDesk) -> None:
    item = await opened(desk)
    before = await first_of(desk, TargetKind.FIRST_RESPONSE)

    await desk.takes(reply(item, "！急件"))

    after = await first_of(desk, TargetKind.FIRST_RESPONSE)
    assert (await ticket_of(desk)).is_urgent
    assert (before.due_at, after.due_at) == (
        datetime(2026, 11, 24, 5, 9, tzinfo=UTC),  # 8 open hours after 14:09
        datetime(2026, 11, 24, 1, 9, tzinfo=UTC),  # 4
    )
    assert after.next_at == after.warn_50_at
    assert after.started_at == before.started_at


async def test_that_it_can_wait_takes_back_the_mark_and_no_promise(desk: AttackedDesk) -> None:
    item = await opened(desk)
    await desk.takes(reply(item, "!urgent"))
    hastened = await first_of(desk, TargetKind.FIRST_RESPONSE)

    await desk.takes(reply(item, "!urgent no"))

    assert not (await ticket_of(desk)).is_urgent
    assert await first_of(desk, TargetKind.FIRST_RESPONSE) == hastened


async def test_urgency_that_comes_late_breaks_no_promise_before_it_was_made(desk: AttackedDesk) -> None:
    item = await opened(desk)
    desk.clock.at = datetime(2026, 11, 24, 3, tzinfo=UTC)  # 11:00: half the time is over

    await desk.takes(reply(item, "!urgent"))

    due = (await first_of(desk, TargetKind.FIRST_RESPONSE)).due_at
    assert due > desk.clock.at
    assert due <= datetime(2026, 11, 24, 5, 9, tzinfo=UTC)


async def test_what_is_breached_stays_so(desk: AttackedDesk) -> None:
    item = await opened(desk)
    await later(desk, datetime(2026, 11, 25, 3, tzinfo=UTC))
    breached = await first_of(desk, TargetKind.FIRST_RESPONSE)

    await desk.takes(reply(item, "!urgent"))

    assert await first_of(desk, TargetKind.FIRST_RESPONSE) == breached
    assert breached.breached_at is not None


async def test_words_on_the_line_of_urgent_are_refused(desk: AttackedDesk) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, "!urgent please call him back"))

    assert await codes(desk) == ["bad_urgent"]
    assert not (await ticket_of(desk)).is_urgent


# ---- topic, kind, complaint


@pytest.mark.parametrize("name", ["invoice", "發票", "发票", "Invoices", "INVOICES"])
async def test_a_topic_goes_by_key_or_by_its_name_in_three_languages(desk: AttackedDesk, name: str) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, f"!topic {name}"))

    assert (await ticket_of(desk)).topic == "invoice"
    [event] = await desk.why("reclassified")
    assert (event["was_topic"], event["topic"]) == ("tax_filing", "invoice")


async def test_an_unknown_topic_is_told_with_the_list(desk: AttackedDesk) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, "!topic 天氣"))
    [letter] = [one for one in await desk.leaves() if one.purpose == "told"]

    assert "納稅申報、發票" in letter.plain
    assert (await ticket_of(desk)).topic == "tax_filing"


async def test_a_kind_brings_its_promises_from_the_beginning_and_takes_the_old_ones(desk: AttackedDesk) -> None:
    item = await opened(desk, "lin")

    await desk.takes(reply(item, "!kind 意見回饋"))
    feedback = await open_kinds(desk)
    await desk.takes(reply(item, "!kind complaint"))

    assert feedback == sorted([TargetKind.FIRST_RESPONSE, TargetKind.REPORT_BACK])
    assert await open_kinds(desk) == sorted(
        [TargetKind.FIRST_RESPONSE, TargetKind.INITIAL_OPINION, TargetKind.RESOLUTION]
    )
    first = await first_of(desk, TargetKind.FIRST_RESPONSE)
    opinion = await first_of(desk, TargetKind.INITIAL_OPINION)
    assert first.due_at == datetime(2026, 11, 23, 8, 9, tzinfo=UTC)  # two open hours
    assert opinion.started_at == first.started_at == AT
    assert (await ticket_of(desk)).agent == "lin"  # he is certified


async def test_a_complaint_leaves_who_is_not_certified(desk: AttackedDesk) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, "！客訴"))
    letters = await desk.leaves()

    one = await ticket_of(desk)
    assert (one.kind, one.agent) == (Kind.COMPLAINT, "wu") or (one.kind, one.agent) == (Kind.COMPLAINT, "lin")
    assert await codes(desk) == ["moved"]
    assert [x for x in letters if x.to == CUSTOMER] == []
    await desk.takes(reply(item, "我來處理。"))
    assert await desk.outbox("answer") == []


async def test_a_complaint_leaves_whom_it_is_about_certified_or_not(desk: AttackedDesk) -> None:
    item = await opened(desk, "lin")

    await desk.takes(reply(item, "!complaint lin"))

    assert (await ticket_of(desk)).agent == "wu"
    [event] = await desk.why("reclassified")
    assert event["about"] == "lin"


async def test_where_nobody_may_handle_it_the_supervisors_get_it_and_not_the_accused(desk: AttackedDesk) -> None:
    item = await opened(desk)
    desk.policy = replace(
        desk.policy,
        agents={name: replace(one, complaints=False) for name, one in AGENTS.items()},
        teams={"desk": replace(TEAMS["desk"], supervisors=("boss", "chen"))},
    )

    await desk.takes(reply(item, "!complaint chen"))

    assert (await ticket_of(desk)).agent is None
    assert [r.agent for r in await desk.outbox("assignment")][1:] == ["boss"]


# ---- papers


async def test_papers_that_came_stand_on_the_card(desk: AttackedDesk) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, "！收到 身分證影本、存摺封面, 身分證影本"))
    await desk.takes(mail("還有嗎？", In_Reply_To="<a@example.com>", Message_ID="<b@example.com>"))
    [update] = [one for one in await desk.leaves() if one.purpose == "update"]

    assert "已收到    存摺封面、身分證影本" in update.plain
    async with desk.db.reading() as tx:
        assert [d.item for d in await documents.of_ticket(tx, 1001)] == ["存摺封面", "身分證影本"]


# ---- merging


async def second_ticket(desk: AttackedDesk, **headers: str) -> OutboxItem:
    facts = {"Message_ID": "<second@example.com>", "Subject": "另外一封"} | headers
    await desk.takes(mail("還是同一件事。", **facts))
    await desk.leaves()
    return (await desk.outbox("assignment"))[-1]


async def test_two_tickets_of_one_customer_go_on_as_one_with_the_earlier_promise(desk: AttackedDesk) -> None:
    first = await opened(desk)
    desk.clock.at = NOW + timedelta(hours=1)
    second = await second_ticket(desk)
    early = await first_of(desk, TargetKind.FIRST_RESPONSE)

    await desk.takes(reply(first, "!merge 1002", From=f"{first.agent}@firm.example"))

    one, two = await ticket_of(desk), await ticket_of(desk, 1002)
    assert (one.state, one.closed_reason) == (TicketState.CLOSED, "merged into #1002")
    assert two.state is TicketState.OPEN
    assert [t.due_at for t in await desk.targets(1002) if t.is_open] == [early.due_at]
    async with desk.db.reading() as tx:
        assert await messages.of_ticket(tx, 1002) == [1, 2]
    await desk.takes(mail("再問一次", In_Reply_To="<a@example.com>", Message_ID="<c@example.com>"))
    assert (await desk.messages("ticket"))[-1] == 1002
    assert second.ticket == 1002


async def test_tickets_of_two_customers_are_asked_about_and_joined_by_ok(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await second_ticket(desk, From="李大華 <lee@example.com>")

    await desk.takes(reply(first, "!merge 1002"))
    [question] = [one for one in await desk.leaves() if one.purpose == "told"]
    assert "#1001 王美玲 → #1002 李大華" in question.plain
    assert (await ticket_of(desk)).state is TicketState.OPEN

    [row] = await desk.outbox("told")
    await desk.takes(reply(row, "!ok"))

    assert (await ticket_of(desk)).closed_reason == "merged into #1002"


@pytest.mark.parametrize(
    ("argument", "code"),
    [("1001", "merge_self"), ("1999", "merge_unknown"), ("", "merge_unknown"), ("mei", "merge_unknown")],
)
async def test_a_merge_that_makes_no_sense_is_told(desk: AttackedDesk, argument: str, code: str) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, f"!merge {argument}"))

    assert await codes(desk) == [code]
    assert (await ticket_of(desk)).state is TicketState.OPEN


async def test_merges_cannot_go_round(desk: AttackedDesk) -> None:
    first = await opened(desk)
    second = await second_ticket(desk)
    await desk.takes(reply(first, "!merge 1002"))

    await desk.takes(reply(second, "!merge 1001"))

    assert (await codes(desk))[-1] == "merge_merged"
    assert (await ticket_of(desk, 1002)).state is TicketState.OPEN


# ---- splitting


async def test_a_later_message_becomes_a_ticket_of_its_own(desk: AttackedDesk) -> None:
    item = await opened(desk)
    await desk.takes(reply(item, "可以更正。"))
    await desk.leaves()
    desk.clock.at = NOW + timedelta(minutes=30)
    await desk.takes(mail("另外，發票遺失怎麼辦？", In_Reply_To="<a@example.com>", Message_ID="<b@example.com>"))
    [update] = await desk.outbox("update")

    await desk.takes(reply(update, "！分案\n\n請洽開立人。"))

    old, new = await ticket_of(desk), await ticket_of(desk, 1002)
    assert (new.origin, new.follows, new.customer, new.agent) == ("split", 1001, old.customer, item.agent)
    assert (new.topic, new.opened_at) == ("invoice", desk.clock.at - timedelta(minutes=1))
    assert old.state is TicketState.ANSWERED
    assert await open_kinds(desk) == []
    assert [t.started_at for t in await desk.targets(1002)] == [new.opened_at]
    async with desk.db.reading() as tx:
        assert await messages.of_ticket(tx, 1002) == [new.opened_by]
    [told] = await desk.outbox("told")
    assert (told.recipe["code"], told.recipe["would_have_left"]) == ("split_words", "請洽開立人。")
    assert (await desk.outbox("assignment"))[-1].ticket == 1002
    assert len(await desk.outbox("answer")) == 1


async def test_the_message_that_began_a_ticket_stays(desk: AttackedDesk) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, "!split"))

    assert await codes(desk) == ["split_opening"]
    assert len(await desk.tickets()) == 1


async def test_what_was_split_off_is_not_split_off_again(desk: AttackedDesk) -> None:
    await opened(desk)
    await desk.takes(mail("發票遺失怎麼辦？", In_Reply_To="<a@example.com>", Message_ID="<b@example.com>"))
    [update] = await desk.outbox("update")

    await desk.takes(reply(update, "!split"), reply(update, "！分案"))
    await desk.takes(reply(update, "！拆分"))

    assert await codes(desk) == ["split_gone", "split_gone"]
    assert len(await desk.tickets()) == 2


# ---- recording


async def test_what_was_said_by_telephone_counts_as_the_answer_and_stays_inside(desk: AttackedDesk) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, "！記錄 電話\n\n他同意月底補件。"))
    letters = await desk.leaves()

    first = await first_of(desk, TargetKind.FIRST_RESPONSE)
    assert (first.answered_at, first.met_at) == (AT, AT)
    one = await ticket_of(desk)
    assert (one.state, one.answered_by) == (TicketState.ANSWERED, item.agent)
    assert [x for x in letters if x.to == CUSTOMER] == []
    [event] = await desk.why("answer_recorded")
    assert event["way"] == "phone"


def alone(words: str, **headers: str) -> bytes:
    """A mail of chen's own, in answer to nothing."""
    facts = {"From": "chen@firm.example", "Message_ID": f"<own.{abs(hash(words))}@firm.example>", "Subject": "record"}
    return mail(words, **(facts | headers))


@pytest.mark.parametrize("who", ["0912 345 678", "+886912345678", "lee@customer.example", "李大華"])
async def test_a_record_without_a_ticket_opens_one_that_is_answered(desk: AttackedDesk, who: str) -> None:
    await desk.takes(alone(f"!record call {who}\n\n問發票遺失，已說明。"))

    one = await desk.ticket()
    assert (one.origin, one.state, one.agent, one.topic) == ("recorded", TicketState.ANSWERED, "chen", "invoice")
    assert await open_kinds(desk) == []
    assert await codes(desk) == ["recorded"]
    assert {letter.to for letter in await desk.leaves()} == {"chen@firm.example"}
    assert await desk.messages("ticket") == [one.id]


async def test_a_known_customer_is_found_and_several_of_a_name_are_not_chosen_from(desk: AttackedDesk) -> None:
    await opened(desk)

    await desk.takes(alone("!record LINE mei@example.com open\n\n再問一次。"))
    await desk.takes(alone("!record LINE 王美玲\n\n又問一次。"))
    await desk.takes(mail("您好", From="王美玲 <other@example.com>", Message_ID="<o@example.com>"))
    await desk.takes(alone("!record LINE 王美玲\n\n第三次。"))

    first, by_mail, by_name, other = await desk.tickets()
    assert first.customer == by_mail.customer == by_name.customer != other.customer
    assert (by_mail.state, by_name.state) == (TicketState.OPEN, TicketState.ANSWERED)
    assert (await codes(desk))[-1] == "record_several"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("!record call\n\n說了。", "record_who"),
        ("!record call 李大華", "record_empty"),
        ("!record call x@firm.example\n\n說了。", "record_who"),
    ],
)
async def test_a_record_of_nothing_or_of_nobody_opens_nothing(desk: AttackedDesk, words: str, code: str) -> None:
    desk.policy = replace(desk.policy, agents=AGENTS | {"x": agent("x")})

    await desk.takes(alone(words))

    assert (await codes(desk), await desk.tickets()) == ([code], [])


async def test_words_to_whom_was_only_spoken_to_have_no_way(desk: AttackedDesk) -> None:
    await desk.takes(alone("!record call 0912345678\n\n問發票遺失。"))
    [row] = await desk.outbox("told")

    await desk.takes(reply(row, "您好，請補件。"))

    assert await desk.outbox("answer") == []
    assert (await codes(desk))[-1] == "no_way"


# ---- consulting


async def asked(desk: AttackedDesk, about: str = "納稅申報") -> tuple[OutboxItem, OutboxItem]:
    """chen asks: (her own mail about the ticket, the mail of who is asked)."""
    item = await opened(desk)
    await desk.takes(reply(item, f"！請教 {about}\n\n免稅和零稅率怎麼分？"))
    return item, (await desk.outbox("assignment"))[-1]


async def test_the_least_busy_who_knows_the_topic_gets_the_question_on_top(desk: AttackedDesk) -> None:
    _, row = await asked(desk)
    letters = await desk.leaves()

    [letter] = [one for one in letters if one.agent == row.agent and one.purpose == "assignment"]
    assert row.agent in ("lin", "wu")
    above, _, _ = letter.plain.partition("請問營業稅怎麼申報")
    assert "陳怡君 請教您：免稅和零稅率怎麼分？" in above
    assert "客戶看不到" in above
    assert [one for one in letters if one.to == CUSTOMER] == []
    assert (await ticket_of(desk)).agent == "chen"


@pytest.mark.parametrize(
    "words",
    [
        "零稅率可以退稅。",
        "!send\n\n零稅率可以退稅。",
        "！結案",
        "!to chen",
        "!cc eve@evil.example\n\n您好",
        "!bogus",
        "!spam",
    ],
)
async def test_whatever_a_senior_writes_is_advice_and_reaches_no_customer(desk: AttackedDesk, words: str) -> None:
    _, row = await asked(desk)
    await desk.leaves()
    before = await ticket_of(desk)

    await desk.takes(reply(row, words))
    letters = await desk.leaves()

    assert {one.to for one in letters} == {"chen@firm.example"}
    [advice] = [one for one in await desk.outbox("told") if one.recipe["code"] == "advice"]
    assert advice.recipe["would_have_left"] == words
    after = await ticket_of(desk)
    assert replace(after, token_serial=0, updated_at=NOW) == replace(before, token_serial=0, updated_at=NOW)
    assert await desk.outbox("answer") == []


async def test_who_answers_advice_is_asked_whether_he_means_the_customer(desk: AttackedDesk) -> None:
    _, row = await asked(desk)
    await desk.takes(reply(row, "零稅率可以退稅。"))
    [advice] = [one for one in await desk.outbox("told") if one.recipe["code"] == "advice"]

    await desk.takes(reply(advice, "謝謝學姐！"))
    letters = await desk.leaves()

    assert [one.to for one in letters if one.to == CUSTOMER] == []
    assert (await codes(desk))[-1] == "after_advice"
    assert "是要給 #1001 王美玲 的嗎？" in letters[-1].plain


async def test_who_asked_may_answer_the_customer_by_the_advice_and_its_words_do_not_leave(desk: AttackedDesk) -> None:
    _, row = await asked(desk)
    await desk.takes(reply(row, "零稅率可以退稅。"))
    [advice] = [one for one in await desk.outbox("told") if one.recipe["code"] == "advice"]
    await desk.takes(reply(advice, "您好，可以退稅。"))

    await desk.takes(reply((await desk.outbox("told"))[-1], "!send"))

    left = [one for one in await desk.outbox("answer") if one.state is not OutboxState.CANCELLED]
    assert [(one.recipe["words"], one.held_reason) for one in left] == [("您好，可以退稅。", None)]


async def test_advice_gives_nobody_back_a_ticket_that_is_a_colleagues_by_now(desk: AttackedDesk) -> None:
    item, row = await asked(desk)
    await desk.takes(reply(item, "!to boss"))

    await desk.takes(reply(row, "零稅率可以退稅。"))

    [advice] = [one for one in await desk.outbox("told") if one.recipe["code"] == "advice"]
    assert (advice.agent, "token" in advice.recipe) == ("chen", False)


async def test_who_asked_is_told_if_no_advice_comes_and_not_if_it_came(desk: AttackedDesk) -> None:
    _, row = await asked(desk)
    await desk.leaves()
    due = datetime(2026, 11, 24, 1, 9, tzinfo=UTC)  # four open hours

    early = await later(desk, due - timedelta(seconds=1))
    late = await later(desk, due)

    assert "no_advice" not in [one.recipe["code"] for one in await desk.outbox("told") if one.created_at < due]
    assert [one.agent for one in late if "還沒有回答您的問題" in one.plain] == ["chen"]
    assert [one for one in early if "還沒有回答" in one.plain] == []
    assert row.agent is not None


async def test_advice_that_came_in_time_is_not_asked_for(desk: AttackedDesk) -> None:
    _, row = await asked(desk)
    await desk.takes(reply(row, "零稅率可以退稅。"))

    await later(desk, datetime(2026, 11, 24, 1, 9, tzinfo=UTC))

    assert "no_advice" not in await codes(desk)


@pytest.mark.parametrize(
    ("about", "code"), [("陳怡君", "consult_self"), ("天氣", "unknown_senior"), ("", "unknown_senior")]
)
async def test_a_question_to_nobody_is_told(desk: AttackedDesk, about: str, code: str) -> None:
    item = await opened(desk)

    await desk.takes(reply(item, f"!consult {about}\n\n怎麼分？"))

    assert await codes(desk) == [code]
    assert len(await desk.outbox("assignment")) == 1


async def test_without_anybody_who_knows_it_a_supervisor_is_asked(desk: AttackedDesk) -> None:
    desk.policy = replace(desk.policy, agents={n: replace(a, topics=()) for n, a in AGENTS.items()})

    _, row = await asked(desk)

    assert row.agent == "boss"


async def test_a_recorded_call_meets_the_callback_that_was_owed(desk: AttackedDesk) -> None:
    await desk.takes(
        desk.arrival(call("newCall"), "hotline"), desk.arrival(call("hangup", cause="noAnswer"), "hotline")
    )
    [item] = await desk.outbox("assignment")
    assert TargetKind.CALLBACK in await open_kinds(desk)

    await desk.takes(reply(item, "!record call\n\n已回電，說明了申報期限。"))

    assert TargetKind.CALLBACK not in await open_kinds(desk)
    assert (await ticket_of(desk)).state is TicketState.ANSWERED


async def test_papers_go_along_with_a_merge(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await second_ticket(desk)
    await desk.takes(reply(first, "!got 存摺"))

    await desk.takes(reply(first, "!merge 1002"))

    async with desk.db.reading() as tx:
        assert [d.item for d in await documents.of_ticket(tx, 1002)] == ["存摺"]


# ---- the law's dates


async def test_the_card_says_until_when_the_return_is_due_and_another_topic_takes_it_off(desk: AttackedDesk) -> None:
    known = built_in()
    filing = Filing(
        key="TW/filing", region="TW", calendar="TW", topics=("tax_filing",), months=(1, 11), day=15, breaks=0
    )
    desk.policy = replace(desk.policy, filings=(filing,), filing_calendars={"TW": known["TW"]})
    item = await opened(desk)
    [shown] = [await desk._letter(k) for k in desk.keeper.kept if k.id == item.id]

    await desk.takes(reply(item, "！主題 發票\n！備註"))

    assert (await desk.why("ticket_opened"))[0]["statute"] == "TW/filing/2027-01"
    assert "申報截止" in shown.plain
    assert (await ticket_of(desk)).statutory_at is None
