"""Accidents: what an agent does twice, by mistake or by an old mail, costs no customer anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support import handdesk
from support.attackdesk import RECEIVED, AttackedDesk, octets, reply, vouched
from support.deskrun import agent, chat, mail, policy
from support.storefacts import NOW

from routing.policy import Team, Topic
from routing.records import Ticket
from routing.words import TargetKind, TicketState
from store import tickets
from store.outbox import OutboxItem

AGENTS = {
    "chen": agent("chen", display_name="陳怡君"),
    "lin": agent("lin", display_name="林志豪", topics=("tax_filing",)),
    "boss": agent("boss", display_name="主管", is_supervisor=True),
    "chief": agent("chief", display_name="經理", is_supervisor=True),
}
TEAMS = {"desk": Team(name="desk", display_name="客服", members=("chen",), supervisors=("boss",))}
TOPICS = {"tax_filing": Topic(key="tax_filing", names={"zh-Hant": "納稅申報", "en": "Tax filing"}, strong=("營業稅",))}
CUSTOMER = "mei@example.com"
PDF = b"%PDF-1.4 the senior's table"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with handdesk.store(tmp_path) as db:
        yield AttackedDesk(db, policy=policy(agents=AGENTS, teams=TEAMS, topics=TOPICS))


async def ticket_of(desk: AttackedDesk, number: int = 1001) -> Ticket:
    return next(t for t in await desk.tickets() if t.id == number)


async def codes(desk: AttackedDesk) -> list[str]:
    return [str(item.recipe["code"]) for item in await desk.outbox("told")]


async def open_kinds(desk: AttackedDesk, number: int = 1001) -> list[TargetKind]:
    return sorted(t.kind for t in await desk.targets(number) if t.is_open)


def with_pdf(item: OutboxItem, words: str) -> bytes:
    """A reply with a file."""
    return reply(
        item,
        f"--b\nContent-Type: text/plain; charset=utf-8\n\n{words}\n--b\n"
        'Content-Type: application/pdf; name="table.pdf"\n'
        'Content-Disposition: attachment; filename="table.pdf"\n\n'
        f"{PDF.decode()}\n--b--",
        kind='multipart/mixed; boundary="b"',
    )


async def test_closing_twice_forgets_nothing_that_is_owed_when_it_is_opened_again(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, "!close"))
    first = (await ticket_of(desk)).closed_at
    desk.clock.at = NOW + timedelta(minutes=3)

    await desk.takes(reply(item, "!close\n", Message_ID="<again@firm.example>"))
    assert (await ticket_of(desk)).closed_at == first
    await desk.takes(reply(item, "!reopen"))

    assert await open_kinds(desk) == [TargetKind.FIRST_RESPONSE]


async def test_junk_that_was_closed_before_is_owed_again_when_it_is_none(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, "!close"))
    desk.clock.at = NOW + timedelta(minutes=3)

    await desk.takes(reply(item, "!spam"))
    desk.clock.at = NOW + timedelta(minutes=4)
    await desk.takes(reply(item, "!notspam"))
    await desk.takes(reply(item, "!reopen"))

    assert await open_kinds(desk) == [TargetKind.FIRST_RESPONSE]


async def test_what_an_agent_wrote_down_for_himself_is_no_subject_that_a_customer_reads(desk: AttackedDesk) -> None:
    raw = octets(
        vouched("firm.example"),
        RECEIVED,
        "From: chen@firm.example",
        "To: support@firm.example",
        "Subject: x",
        "Message-ID: <rec@firm.example>",
        body="!record call mei@example.com\n\n客戶很生氣，欠三期費用，先不要退。",
    )
    await desk.takes(raw)
    await desk.leaves()
    [told] = await desk.outbox("told")
    assert told.recipe["code"] == "recorded"

    await desk.takes(reply(told, "您好，明天再與您聯絡。"))
    [letter] = [one for one in await desk.leaves() if one.to == CUSTOMER]

    assert "生氣" not in letter.text
    assert "生氣" not in str(letter.mail["Subject"])


async def test_a_file_that_a_chat_cannot_carry_is_not_lost_in_silence(desk: AttackedDesk) -> None:
    await desk.takes(desk.arrival(chat("s1", "c1", "請問營業稅怎麼申報？"), channel="website", external_id="s1:c1"))
    item = (await desk.outbox("assignment"))[-1]

    await desk.takes(with_pdf(item, "您好，請看附件。"))

    assert "files_unsent" in await codes(desk)


async def test_of_two_colleagues_with_one_name_neither_is_taken_for_the_other(desk: AttackedDesk) -> None:
    desk.policy = replace(
        desk.policy, agents={**AGENTS, "lin2": agent("lin2", display_name="林志豪", addresses=("lin2@firm.example",))}
    )
    item = await desk.opened()

    await desk.takes(reply(item, "!to 林志豪"))

    assert (await ticket_of(desk)).agent == "chen"
    assert await codes(desk) == ["unknown_agent"]
    await desk.takes(reply(item, "!to lin2"))
    assert (await ticket_of(desk)).agent == "lin2"


async def test_who_has_the_ticket_hears_that_a_colleague_spoke_to_its_customer(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, "!to lin"))
    await desk.leaves()

    await desk.takes(reply(item, "!record call\n\n他說下週會補件。"))

    row = (await desk.outbox("told"))[-1]
    assert (row.agent, row.recipe["code"], row.recipe["by"]) == ("lin", "recorded_by", "chen")
    assert "他說下週會補件。" in row.recipe["would_have_left"]


async def test_a_merge_is_not_confirmed_by_who_has_the_ticket_no_longer(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(mail("另一件", Message_ID="<s@example.com>", From="李大華 <lee@example.com>", Subject="另一件"))
    await desk.takes(reply(item, "!merge 1002"))
    [question] = await desk.outbox("told")
    await desk.takes(reply(item, "!to lin"))

    await desk.takes(reply(question, "!ok"))

    assert (await ticket_of(desk)).state is TicketState.OPEN
    assert (await codes(desk))[-1] == "not_yours_now"


async def test_a_complaint_about_the_only_supervisor_reaches_another_one(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, "!to boss"))
    given = (await desk.outbox("assignment"))[-1]

    await desk.takes(reply(given, "!complaint boss"))

    assert (await ticket_of(desk)).agent is None
    assert (await desk.outbox("assignment"))[-1].agent == "chief"
    assert "assignment_failed" in await desk.told()


async def asked(desk: AttackedDesk) -> tuple[OutboxItem, OutboxItem]:
    item = await desk.opened()
    await desk.takes(reply(item, "！請教 lin\n\n免稅和零稅率怎麼分？"))
    await desk.leaves()
    return item, (await desk.outbox("assignment"))[-1]


async def test_a_seniors_file_comes_with_his_advice_and_reaches_no_customer(desk: AttackedDesk) -> None:
    _, row = await asked(desk)

    await desk.takes(with_pdf(row, "看附件的表。"))
    letters = await desk.leaves()

    [advice] = [one for one in letters if one.agent == "chen"]
    assert "【林志豪 寫的內容】" in advice.plain
    assert [(name, kind) for name, kind, _ in advice.files] == [("table.pdf", "application/pdf")]
    assert [one for one in letters if one.to == CUSTOMER] == []


async def test_a_seniors_file_alone_is_advice(desk: AttackedDesk) -> None:
    _, row = await asked(desk)

    await desk.takes(with_pdf(row, ""))
    letters = await desk.leaves()

    [advice] = [one for one in letters if one.agent == "chen"]
    assert [name for name, _, _ in advice.files] == ["table.pdf"]


async def test_a_seniors_file_sent_back_by_who_asked_him_is_kept_from_the_customer(desk: AttackedDesk) -> None:
    _, row = await asked(desk)
    await desk.takes(with_pdf(row, "看附件的表。"))
    advice = next(one for one in await desk.outbox("told") if one.recipe["code"] == "advice")

    await desk.takes(with_pdf(advice, "您好，請看附件。"))

    [held] = await desk.outbox("answer")
    assert (held.held_reason, len(held.recipe["files"])) == ("after_advice", 1)


async def test_advice_reaches_who_asked_however_often_he_was_told_something(desk: AttackedDesk) -> None:
    item, row = await asked(desk)
    for number in range(desk.policy.peer_cap + 1):
        await desk.takes(reply(item, f"!bogus {number}"))

    await desk.takes(reply(row, "零稅率可以退稅。"))

    assert "advice" in await codes(desk)


async def test_advice_for_somebody_who_has_left_reaches_the_supervisors(desk: AttackedDesk) -> None:
    _, row = await asked(desk)
    desk.policy = replace(desk.policy, agents={n: a for n, a in AGENTS.items() if n != "chen"})

    await desk.takes(reply(row, "零稅率可以退稅。"))

    assert [one.agent for one in await desk.outbox("told") if one.recipe["code"] == "advice"] == ["boss"]


@pytest.mark.parametrize(
    "words",
    [
        'Chen would like to recall the message, "Re: [#1001]".',
        "👍\n\nChen reacted via Gmail",
        "陳怡君 想要回收郵件「Re:」。",
    ],
)
async def test_what_a_mail_program_says_in_his_name_reaches_no_customer(desk: AttackedDesk, words: str) -> None:
    item = await desk.opened()

    await desk.takes(reply(item, words))

    assert [one.held_reason for one in await desk.outbox("answer")] == ["by_program"]
    assert [one.to for one in await desk.leaves() if one.to == CUSTOMER] == []


async def test_what_is_split_off_is_another_matter(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, "可以更正。"))
    await desk.leaves()
    async with desk.db.transaction() as tx:
        await tickets.change(tx, [replace(await ticket_of(desk), matter=1001)])
    desk.clock.at = NOW + timedelta(minutes=30)
    await desk.takes(mail("另外，發票遺失怎麼辦？", In_Reply_To="<a@example.com>", Message_ID="<b@example.com>"))
    await desk.leaves()

    await desk.takes(reply((await desk.outbox("update"))[-1], "!split"))

    assert [(t.id, t.matter) for t in await desk.tickets()] == [(1001, 1001), (1002, None)]


async def test_a_card_with_his_mobile_on_it_stays_with_him_by_whatever_type(desk: AttackedDesk) -> None:
    item = await desk.opened()
    raw = with_pdf(item, "您好，可以更正。").replace(b"application/pdf", b"application/octet-stream")

    await desk.takes(raw.replace(b"table.pdf", b"chen.vcf"))

    [answer] = await desk.outbox("answer")
    assert (answer.recipe["files"], answer.held_reason) == ([], None)


@pytest.mark.parametrize("name", ["Re: card.EML ", "card.emlx", "card.mbox", "Card.msg."])
async def test_a_mail_of_ours_as_a_file_is_held_by_whatever_name(desk: AttackedDesk, name: str) -> None:
    item = await desk.opened()
    raw = with_pdf(item, "您好，可以更正。").replace(b"application/pdf", b"application/octet-stream")

    await desk.takes(raw.replace(b"table.pdf", name.encode()))

    assert await desk.outbox("answer") == []
    assert "internal_survived" in await codes(desk)


@pytest.mark.parametrize(
    "line", ["!close 您好，已經辦妥。", "！結案 謝謝您的來信", "!send 您好", "!undo 那封寫錯了", "!split 這一封"]
)
async def test_words_behind_a_command_are_not_lost_with_it(desk: AttackedDesk, line: str) -> None:
    item = await desk.opened()

    await desk.takes(reply(item, line))

    [told] = [one for one in await desk.leaves() if one.agent == "chen"]
    assert await codes(desk) == ["words_behind"]
    assert line in told.plain
    assert (await ticket_of(desk)).state is TicketState.OPEN


async def test_a_question_below_help_reaches_no_customer(desk: AttackedDesk) -> None:
    item = await desk.opened()

    await desk.takes(reply(item, "!help\n\n怎麼把這封轉給志豪？"))

    assert await desk.outbox("answer") == []
    assert await codes(desk) == ["help", "words_unused"]


AWAY = "您好，我目前休假中，將於 11/30 回來。急事請聯絡代理人。"


async def test_an_absence_note_takes_no_place_of_what_waits_for_a_word(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, "內部：您好，可以更正。"))
    [told] = await desk.outbox("told")

    await desk.takes(reply(told, AWAY))
    await desk.takes(reply(told, "!send"))

    assert [one.plain.splitlines()[0] for one in await desk.leaves() if one.to == CUSTOMER] == [
        "內部：您好，可以更正。"
    ]


async def test_a_machine_that_answers_whatever_it_is_told_is_told_once(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, AWAY))
    [told] = await desk.outbox("told")

    for number in range(3):
        await desk.takes(reply(told, AWAY, Message_ID=f"<away{number}@firm.example>"))

    assert await codes(desk) == ["looks_absent"]
    assert (await desk.messages("outcome"))[1:] == ["held"] * 4


async def test_who_was_taken_off_a_complaint_calls_back_what_he_said_and_no_more(tmp_path: Path) -> None:
    async with handdesk.store(tmp_path) as db:
        desk = AttackedDesk(db, policy=policy(agents=AGENTS, teams=TEAMS, undo_seconds=60))
        item = await desk.opened()
        await desk.takes(reply(item, "!complaint chen\n\n您好，是您弄錯了。"))

        await desk.takes(reply(item, "!undo"))

        assert (await codes(desk))[-1] == "called_back"
        told = (await desk.outbox("told"))[-1]
        await desk.takes(reply(told, "您好，抱歉。"))
        assert (await codes(desk))[-1] == "revoked"
        desk.clock.at += timedelta(minutes=5)
        assert [one.to for one in await desk.leaves() if one.to == CUSTOMER] == []


async def test_a_file_of_the_customers_that_is_not_sent_back_is_named(desk: AttackedDesk) -> None:
    theirs = octets(
        vouched("example.com"),
        RECEIVED,
        "From: 王美玲 <mei@example.com>",
        "To: support@firm.example",
        "Message-ID: <a@example.com>",
        "Subject: 營業稅",
        body="--b\nContent-Type: text/plain; charset=utf-8\n\n請看附件。\n--b\n"
        'Content-Type: application/pdf; name="table.pdf"\n'
        'Content-Disposition: attachment; filename="table.pdf"\n\n'
        f"{PDF.decode()}\n--b--",
        kind='multipart/mixed; boundary="b"',
    )
    await desk.takes(theirs)
    await desk.leaves()

    await desk.takes(with_pdf((await desk.outbox("assignment"))[-1], "您好，請看附件。"))
    letters = await desk.leaves()

    [told] = [one for one in letters if one.purpose == "told"]
    assert "沒有附上 table.pdf" in told.plain
    assert [one.files for one in letters if one.to == CUSTOMER and one.purpose == "answer"] == [[]]


async def test_nobody_is_promised_copies_of_a_chat(desk: AttackedDesk) -> None:
    await desk.takes(desk.arrival(chat("s1", "c1", "請問營業稅怎麼申報？"), channel="website", external_id="s1:c1"))
    item = (await desk.outbox("assignment"))[-1]

    await desk.takes(reply(item, "!cc lee@example.org"))

    assert await codes(desk) == ["cc_no_mail"]
