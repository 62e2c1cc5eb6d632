"""What agents pass on, begin, or answer past us: raw octets in, tickets and letters out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from pathlib import Path
from typing import Any

import pytest
from support.attackdesk import RECEIVED, AttackedDesk, octets, reply, vouched
from support.deskrun import DESK, KEYRING, deliver
from support.handdesk import store
from support.storefacts import NOW

from channels.adapter import Envelope
from routing.filters import loop_mark
from routing.words import Origin, Outcome, TargetKind, TicketState

EVIDENCE = (vouched("firm.example"), RECEIVED)
WORDS = "請問營業稅怎麼申報？"
BLOCK = (
    "---------- Forwarded message ---------\n寄件者： 王美玲 <mei@example.com>\n"
    "Date: 2026年11月23日 週一 下午1:05\nSubject: 營業稅\nTo: <chen@firm.example>\nCc: <li@example.com>\n\n\n" + WORDS
)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


def forward(body: str = BLOCK, *, evidence: tuple[str, ...] = EVIDENCE, **headers: str | None) -> bytes:
    """What an agent's program sends when he forwards; the clock stands at NOW, 14:10 in Taipei."""
    named: dict[str, str | None] = {
        "From": "Chen <chen@firm.example>",
        "To": DESK,
        "Subject": "Fwd: 營業稅",
        "Date": "Mon, 23 Nov 2026 14:08:00 +0800",
        "Message-ID": "<fwd.1@firm.example>",
    }
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return octets(*evidence, *(f"{n}: {v}" for n, v in named.items() if v is not None), body=body)


def attached(*changes: tuple[str, str]) -> bytes:
    """The same with the mail attached."""
    inner = EmailMessage()
    facts = {
        "From": "王美玲 <mei@example.com>",
        "To": "chen@firm.example",
        "Subject": "營業稅",
        "Date": "Mon, 23 Nov 2026 13:05:00 +0800",
        "Message-ID": "<orig@example.com>",
    }
    for name, value in (facts | dict(changes)).items():
        inner[name] = value
    inner.set_content(WORDS + "\n")
    inner.add_attachment(b"%PDF-1 invoice", maintype="application", subtype="pdf", filename="發票.pdf")
    outer = EmailMessage()
    outer["From"], outer["To"], outer["Subject"] = "chen@firm.example", DESK, "轉寄: 營業稅"
    outer["Date"], outer["Message-ID"] = "Mon, 23 Nov 2026 14:08:00 +0800", "<fwd.2@firm.example>"
    outer.set_content("請處理\n")
    outer.add_attachment(inner)
    return "\r\n".join([*EVIDENCE, ""]).encode() + outer.as_bytes(policy=SMTP)


def customers(words: str, **headers: str) -> bytes:
    named = {"From": "王美玲 <mei@example.com>", "To": DESK, "Subject": "Re: 營業稅"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return octets(vouched("example.com"), RECEIVED, *(f"{n}: {v}" for n, v in named.items()), body=words)


def to_customer(words: str = "王小姐您好，資料已收到。", **headers: str | None) -> bytes:
    """An agent writes to a customer, with the desk in Cc."""
    named: dict[str, str | None] = {"To": "王美玲 <mei@example.com>", "Cc": DESK, "Subject": "營業稅"}
    return forward(words, **(named | headers))


# --- passing on -----------------------------------------------------------------------------------------------------


async def test_a_forwarded_mail_opens_a_ticket_for_its_writer_with_his_clock(desk: AttackedDesk) -> None:
    await desk.takes(forward("請盡快處理，客戶很急。\n\n" + BLOCK))

    ticket = await desk.ticket()
    assert (ticket.contact, ticket.contact_name, ticket.subject) == ("mailto:mei@example.com", "王美玲", "營業稅")
    assert (ticket.origin, ticket.standing, ticket.agent) == (Origin.FORWARDED, "unverified", "chen")
    assert ticket.opened_at == NOW.replace(hour=5, minute=5, second=0)
    [target] = await desk.targets(ticket.id)
    assert target.started_at == ticket.opened_at
    [late] = await desk.why("mail_passed_on")
    assert late["late_by_us_s"] == 64 * 60
    [mail] = [letter for letter in await desk.leaves() if letter.purpose == "assignment"]
    assert WORDS in mail.plain
    assert "請盡快處理，客戶很急。" in mail.plain
    assert "13:05" in mail.plain  # when he wrote it
    assert "這封信是您轉來的" in mail.plain
    assert mail.to == "chen@firm.example"


async def test_the_agents_own_words_reach_no_customer(desk: AttackedDesk) -> None:
    await desk.takes(forward("這客戶很難搞，小心回。\n\n" + BLOCK))
    [item] = await desk.outbox("assignment")

    await desk.takes(reply(item, "您好，可以更正。"))

    outside = [letter for letter in await desk.leaves() if letter.to == "mei@example.com"]
    assert [letter.purpose for letter in outside] == ["answer", "acknowledgement"]
    assert all("難搞" not in letter.text for letter in outside)


async def test_an_answer_to_a_forwarded_mail_goes_into_the_writers_thread(desk: AttackedDesk) -> None:
    await desk.takes(forward(In_Reply_To="<orig@example.com>", References="<orig@example.com>"))
    [item] = await desk.outbox("assignment")
    await desk.takes(reply(item, "您好，可以更正。"))

    [answer] = [letter for letter in await desk.leaves() if letter.purpose == "answer"]
    assert (answer.mail["To"], answer.mail["Subject"]) == ("王美玲 <mei@example.com>", "Re: 營業稅")
    assert answer.mail["In-Reply-To"] == "<orig@example.com>"


@pytest.mark.parametrize("raw", [attached(), forward(In_Reply_To="<orig@example.com>")], ids=["attached", "words"])
async def test_what_the_customer_writes_next_joins(desk: AttackedDesk, raw: bytes) -> None:
    await desk.takes(raw)

    await desk.takes(customers("還有一件事。", In_Reply_To="<orig@example.com>", Message_ID="<next@example.com>"))

    assert len(await desk.tickets()) == 1
    assert await desk.messages("outcome") == [Outcome.OPENED, Outcome.ADDED]


async def test_an_attached_mail_brings_its_files(desk: AttackedDesk) -> None:
    await desk.takes(attached())

    [mail] = [letter for letter in await desk.leaves() if letter.purpose == "assignment"]
    assert WORDS in mail.plain
    assert "請處理" in mail.plain
    assert [name for name, _, _ in mail.files] == ["發票.pdf"]


async def test_the_mail_that_came_by_itself_is_not_opened_twice(desk: AttackedDesk) -> None:
    await desk.takes(customers(WORDS, Subject="營業稅", Message_ID="<orig@example.com>"))
    before = await desk.ticket()
    other = "lin" if before.agent == "chen" else "chen"
    note = "他昨天也打過電話。"

    await desk.takes(forward(f"{note}\n\n{BLOCK}", From=f"{other}@firm.example", In_Reply_To="<orig@example.com>"))

    assert len(await desk.tickets()) == 1
    assert (await desk.messages("outcome"))[-1] == Outcome.NOTED
    told = await desk.outbox("told")
    assert [(t.agent, t.recipe["code"]) for t in told] == [(other, "already_here"), (before.agent, "passed_note")]
    letters = [letter for letter in await desk.leaves() if letter.purpose == "told"]
    assert f"#{before.id}" in letters[0].text
    assert note in letters[1].plain


async def test_the_same_mail_that_comes_by_itself_later_joins(desk: AttackedDesk) -> None:
    await desk.takes(attached())

    await desk.takes(customers(WORDS, Subject="營業稅", Message_ID="<orig@example.com>"))

    assert await desk.messages("outcome") == [Outcome.OPENED, Outcome.ADDED]


async def test_g8_who_knows_the_id_of_a_forwarded_mail_does_not_get_in_by_it(desk: AttackedDesk) -> None:
    await desk.takes(attached())

    await desk.takes(
        octets(vouched("evil.example"), RECEIVED, "From: eve@evil.example", "Message-ID: <orig@example.com>")
    )

    assert [t.contact for t in await desk.tickets()] == ["mailto:mei@example.com", "mailto:eve@evil.example"]


async def test_words_that_went_past_us_join_the_ticket_that_they_answer(desk: AttackedDesk) -> None:
    """The customer answered our mail, but to the agent's own address; he passes it on."""
    item = await desk.opened()
    await desk.takes(reply(item))
    [answer] = await desk.outbox("answer")
    await deliver(desk.db, answer, NOW)

    await desk.takes(attached(("In-Reply-To", answer.mail_id), ("Subject", "Re: 營業稅")))

    ticket = await desk.ticket()
    assert (await desk.messages("outcome"))[-1] == Outcome.ADDED
    assert ticket.state is TicketState.OPEN
    [again] = [t for t in await desk.targets(ticket.id) if t.is_open]
    assert (again.kind, again.started_at) == (TargetKind.NEXT_RESPONSE, NOW.replace(hour=5, minute=5, second=0))


async def test_the_writer_is_told_once_that_it_came_and_only_what_can_be_kept(desk: AttackedDesk) -> None:
    await desk.takes(forward())
    [first] = await desk.outbox("acknowledgement")
    old = BLOCK.replace("11月23日 週一 下午1:05", "11月20日 週五 下午1:05").replace("mei@", "wu@")
    await desk.takes(forward(old, Message_ID="<fwd.3@firm.example>", Subject="Fwd: 退稅"))

    assert first.address == "mailto:mei@example.com"
    assert first.recipe["due_at"] > NOW.isoformat()
    assert len(await desk.outbox("acknowledgement")) == 1
    [withheld] = await desk.why("acknowledgement_withheld")
    assert withheld["reasons"][0]["code"] == "ack_too_old"


async def test_a_promise_that_is_broken_already_is_made_to_nobody(desk: AttackedDesk) -> None:
    desk.clock.at += timedelta(hours=3, minutes=40)

    await desk.takes(forward(BLOCK.replace("下午1:05", "上午9:05")))

    [target] = await desk.targets(1001)
    assert target.due_at < desk.clock.at
    assert await desk.outbox("acknowledgement") == []
    [withheld] = await desk.why("acknowledgement_withheld")
    assert withheld["reasons"][0]["code"] == "ack_too_late"


DOUBTFUL = {
    "nobody's address": (BLOCK.replace(" <mei@example.com>", ""), "no_sender"),
    "no block at all": (WORDS, "no_sender"),
    "the firm's own": (BLOCK.replace("mei@example.com", DESK), "ours"),
    "an agent's": (BLOCK.replace("mei@example.com", "lin@firm.example"), "ours"),
    "a colleague's": (BLOCK.replace("mei@example.com", "accounts@firm.example"), "ours"),
    "several": (f"{BLOCK}\n\n{BLOCK}", "several"),
    "no time": (BLOCK.replace("2026年11月23日 週一 下午1:05", "昨天"), "no_time"),
    "from tomorrow": (BLOCK.replace("11月23日", "11月24日"), "no_time"),
    "from last year": (BLOCK.replace("2026年", "2025年"), "no_time"),
}


@pytest.mark.parametrize("name", DOUBTFUL)
async def test_a_doubtful_forward_is_seen_and_asked_about(desk: AttackedDesk, name: str) -> None:
    body, why = DOUBTFUL[name]
    await desk.takes(forward(body))

    ticket = await desk.ticket()
    assert (ticket.contact, ticket.agent, ticket.origin) == ("mailto:", "chen", Origin.FORWARDED)
    assert [e["why"] for e in await desk.why("passed_on_in_doubt")] == [why]
    assert [t.kind for t in await desk.targets(ticket.id)] == [TargetKind.FIRST_RESPONSE]
    letters = await desk.leaves()
    assert [(letter.to, letter.purpose) for letter in letters] == [
        ("chen@firm.example", "assignment"),
        ("chen@firm.example", "told"),
    ]
    assert all(WORDS in letter.plain for letter in letters)
    assert "回覆本信不會寄給任何人" in letters[0].plain
    assert "！好 name@example.com" in letters[1].plain


async def asked(desk: AttackedDesk) -> Any:
    [question] = [t for t in await desk.outbox("told") if t.recipe["code"] == "question"]
    return question


async def test_the_agent_says_whose_it_is_and_it_is_that_customers(desk: AttackedDesk) -> None:
    await desk.takes(forward(DOUBTFUL["nobody's address"][0]))

    await desk.takes(reply(await asked(desk), "!ok mei@example.com"))

    ticket = await desk.ticket()
    assert (ticket.contact, ticket.contact_name) == ("mailto:mei@example.com", "王美玲")
    latest = (await desk.outbox("assignment"))[-1]
    [*_, card] = [letter for letter in await desk.leaves() if letter.purpose == "assignment"]
    assert "mei@example.com" in card.plain
    assert WORDS in card.plain
    await desk.takes(reply(latest, "您好，可以更正。"))
    assert [letter.to for letter in await desk.leaves() if letter.purpose == "answer"] == ["mei@example.com"]


async def test_the_sender_of_several_is_guessed_and_a_word_accepts_it(desk: AttackedDesk) -> None:
    await desk.takes(forward(DOUBTFUL["several"][0]))

    await desk.takes(reply(await asked(desk), "！好"))

    assert (await desk.ticket()).contact == "mailto:mei@example.com"


@pytest.mark.parametrize("answer", ["!ok", "!ok 王美玲", f"!ok {DESK}", "!ok lin@firm.example", "!ok a@b@c"])
async def test_what_names_no_customer_is_asked_again(desk: AttackedDesk, answer: str) -> None:
    await desk.takes(forward(DOUBTFUL["nobody's address"][0]))

    await desk.takes(reply(await asked(desk), answer))

    assert (await desk.ticket()).contact == "mailto:"
    assert [t.recipe["code"] for t in await desk.outbox("told")] == ["question", "question"]


async def test_a_known_customer_is_not_registered_twice(desk: AttackedDesk) -> None:
    await desk.takes(customers("上次的事", Subject="舊事", Message_ID="<old@example.com>"))
    known = await desk.ticket()

    await desk.takes(forward())

    assert {t.customer for t in await desk.tickets()} == {known.customer}


async def test_a_closed_stub_that_is_named_later_opens_nothing(desk: AttackedDesk) -> None:
    await desk.takes(forward(DOUBTFUL["nobody's address"][0]))
    question = await asked(desk)
    await desk.takes(reply((await desk.outbox("assignment"))[0], "!close"))

    await desk.takes(reply(question, "!ok mei@example.com"))

    assert (await desk.ticket()).state is TicketState.CLOSED
    assert len(await desk.outbox("assignment")) == 1


# --- who may not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "evidence",
    [(RECEIVED,), (vouched("firm.example", result="fail"), RECEIVED), (RECEIVED, vouched("firm.example"))],
    ids=["none", "failed", "below the border"],
)
async def test_g8_without_evidence_no_forward_opens_a_ticket(desk: AttackedDesk, evidence: tuple[str, ...]) -> None:
    await desk.takes(forward(evidence=evidence), forward(evidence=evidence, To="mei@example.com", Cc=DESK))

    assert await desk.tickets() == []
    assert (await desk.messages("outcome"))[0] == Outcome.HELD
    assert [letter.to for letter in await desk.leaves() if "mei" in letter.to] == []


async def test_g8_a_customers_forward_is_the_customers(desk: AttackedDesk) -> None:
    eve = octets(
        vouched("evil.example"), RECEIVED, "From: eve@evil.example", f"To: {DESK}", "Subject: Fwd: 營業稅", body=BLOCK
    )

    await desk.takes(eve)

    ticket = await desk.ticket()
    assert (ticket.contact, ticket.origin) == ("mailto:eve@evil.example", "")
    assert [letter.to for letter in await desk.leaves() if "mei" in letter.to] == []


async def test_a_block_injects_no_header(desk: AttackedDesk) -> None:
    block = BLOCK.replace("王美玲", "王\u2028Bcc: x@evil.example\u2028美玲").replace(
        "Subject: 營業稅", "Subject: 營業稅\u2028Bcc: y@evil.example"
    )
    await desk.takes(forward(block))
    [item] = await desk.outbox("assignment")
    await desk.takes(reply(item))

    letters = await desk.leaves()
    assert letters
    assert all(letter.mail["Bcc"] is None for letter in letters)
    assert all("evil" not in letter.to for letter in letters)


async def test_a_look_alike_is_nobodys_twin(desk: AttackedDesk) -> None:
    await desk.takes(customers("上次的事", Subject="舊事", Message_ID="<old@example.com>"))

    await desk.takes(forward(BLOCK.replace("mei@example.com", "mei@f1rm.example")))

    known, new = await desk.tickets()
    assert new.customer != known.customer
    assert new.standing == "lookalike"


async def test_g15_a_card_of_ours_is_no_customers_mail(desk: AttackedDesk) -> None:
    await desk.opened()
    card = next(letter for letter in map(_plain, (m.body for m in desk.keeper.kept)) if "ikc-" in letter)
    body = "---------- Forwarded message ---------\nFrom: mei@example.com\nDate: 2026-11-23 13:05\nSubject: x\n\n"

    await desk.takes(forward(body + card))

    assert len(await desk.tickets()) == 1
    assert (await desk.messages("outcome"))[-1] == Outcome.HELD


def _plain(body: bytes) -> str:
    return str(message_from_bytes(body, policy=default).get_body(("plain",)).get_content())  # type: ignore[attr-defined]


# --- beginning ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [{}, {"Cc": None, "Delivered_To": DESK}, {"To": f"{DESK}, 王美玲 <mei@example.com>", "Cc": None}],
    ids=["Cc", "Bcc", "To"],
)
async def test_a_mail_to_a_customer_opens_a_ticket_whose_last_word_is_ours(
    desk: AttackedDesk, headers: dict[str, str | None]
) -> None:
    await desk.takes(to_customer(**headers))

    ticket = await desk.ticket()
    assert (ticket.contact, ticket.agent, ticket.answered_by) == ("mailto:mei@example.com", "chen", "chen")
    assert (ticket.state, ticket.origin) == (TicketState.ANSWERED, Origin.STARTED)
    assert await desk.targets(ticket.id) == []
    assert await desk.leaves() == []


async def test_the_customers_answer_joins_what_the_agent_began(desk: AttackedDesk) -> None:
    await desk.takes(to_customer())

    await desk.takes(customers("謝謝，那什麼時候好？", In_Reply_To="<fwd.1@firm.example>"))

    ticket = await desk.ticket()
    assert ticket.state is TicketState.OPEN
    assert [t.kind for t in await desk.targets(ticket.id)] == [TargetKind.NEXT_RESPONSE]
    [card] = await desk.leaves()
    assert card.to == "chen@firm.example"
    assert "王小姐您好，資料已收到。" in card.plain


async def test_the_customers_boss_is_no_stranger(desk: AttackedDesk) -> None:
    await desk.takes(to_customer(Cc=f"總經理 <boss@example.com>, lin@firm.example, {DESK}"))

    await desk.takes(customers("我來回覆。", From="總經理 <boss@example.com>", In_Reply_To="<fwd.1@firm.example>"))

    ticket = await desk.ticket()
    rows = await desk.rows("SELECT address, role, added_by FROM participant")
    assert [tuple(r.values()) for r in rows] == [("mailto:boss@example.com", "cc", "chen")]
    assert ticket.state is TicketState.OPEN


async def test_a_mail_to_colleagues_begins_nothing(desk: AttackedDesk) -> None:
    await desk.takes(to_customer(To="accounts@firm.example, lin@firm.example"))

    assert await desk.tickets() == []
    assert await desk.messages("outcome") == [Outcome.HELD]


async def test_whom_we_know_is_the_customer_of_several(desk: AttackedDesk) -> None:
    await desk.takes(customers("上次的事", Subject="舊事", Message_ID="<old@example.com>"))

    await desk.takes(to_customer(To="bank@other.example, mei@example.com", Subject="新的事"))

    assert (await desk.tickets())[-1].contact == "mailto:mei@example.com"


# --- answering past us ----------------------------------------------------------------------------------------------


async def test_an_answer_past_us_keeps_the_promise_as_of_when_it_came(desk: AttackedDesk) -> None:
    item = await desk.opened()

    await desk.takes(
        to_customer(From=f"{item.agent}@firm.example", Subject="Re: 營業稅", In_Reply_To="<a@example.com>", Cc=None)
    )

    ticket = await desk.ticket()
    [target] = await desk.targets(ticket.id)
    assert (ticket.state, ticket.answered_by) == (TicketState.ANSWERED, item.agent)
    assert (target.met_at, target.answered_at) == (NOW - timedelta(minutes=1), target.answered_at)
    assert target.breached_at is None
    [recorded] = await desk.why("answer_recorded")
    assert recorded["how"] == "copy"
    assert (await desk.told()).count("first_response_recorded") == 1
    assert await desk.outbox("answer") == []


async def test_an_answer_past_us_that_comes_late_is_late(desk: AttackedDesk) -> None:
    item = await desk.opened()
    desk.clock.at += timedelta(days=2)

    await desk.takes(to_customer(From=f"{item.agent}@firm.example", Subject="Re: 營業稅"))

    [target] = await desk.targets(1001)
    assert target.breached_at == target.due_at
    assert target.answered_at == target.met_at == desk.clock.at - timedelta(minutes=1)  # its Date is two days old


async def test_by_subject_it_joins_only_where_one_ticket_is_open(desk: AttackedDesk) -> None:
    await desk.opened()
    await desk.takes(customers(WORDS, Subject="營業稅", Message_ID="<b@example.com>"))

    await desk.takes(to_customer(Subject="Re: 營業稅"))

    assert [t.origin for t in await desk.tickets()] == ["", "", Origin.STARTED]


async def test_a_colleagues_answer_past_us_is_told_to_whoever_has_the_ticket(desk: AttackedDesk) -> None:
    item = await desk.opened()
    other = "lin" if item.agent == "chen" else "chen"

    await desk.takes(to_customer(From=f"{other}@firm.example", In_Reply_To="<a@example.com>"))

    [told] = await desk.outbox("told")
    assert (told.agent, told.recipe["code"], told.recipe["by"]) == (item.agent, "answered_by", other)


async def test_words_for_one_customer_are_no_answer_to_another(desk: AttackedDesk) -> None:
    await desk.opened()

    await desk.takes(to_customer(To="wu@other.example", Subject="Re: 營業稅", In_Reply_To="<a@example.com>"))

    first, second = await desk.tickets()
    assert (first.state, second.contact) == (TicketState.OPEN, "mailto:wu@other.example")
    assert [t.met_at for t in await desk.targets(first.id)] == [None]


@pytest.mark.parametrize(
    "header", ["Auto-Submitted: auto-replied", "Precedence: bulk", "X-Autoreply: yes", "Return-Path: <>"]
)
async def test_an_absence_note_to_a_customer_is_no_answer(desk: AttackedDesk, header: str) -> None:
    item = await desk.opened()
    name, _, value = header.partition(": ")

    await desk.takes(
        to_customer(From=f"{item.agent}@firm.example", In_Reply_To="<a@example.com>", **{name.replace("-", "_"): value})
    )

    [target] = await desk.targets(1001)
    assert target.met_at is None


async def test_g8_an_answer_past_us_without_evidence_counts_for_nothing(desk: AttackedDesk) -> None:
    item = await desk.opened()

    await desk.takes(
        to_customer(From=f"{item.agent}@firm.example", In_Reply_To="<a@example.com>", evidence=(RECEIVED,))
    )

    [target] = await desk.targets(1001)
    assert target.met_at is None
    assert (await desk.messages("outcome"))[-1] == Outcome.HELD


async def test_an_earlier_answer_does_not_answer_what_came_after(desk: AttackedDesk) -> None:
    await desk.opened()
    raw = to_customer(In_Reply_To="<a@example.com>")

    await desk.takes(desk.arrival(raw, received_at=NOW - timedelta(hours=1)))

    [target] = await desk.targets(1001)
    assert target.met_at is None


# --- the Sent folder ------------------------------------------------------------------------------------------------


def sent(words: str = "您好，可以更正。", **headers: str | None) -> bytes:
    named: dict[str, str | None] = {
        "From": f"客服 <{DESK}>",
        "To": "mei@example.com",
        "Subject": "Re: 營業稅",
        "In-Reply-To": "<a@example.com>",
        "Message-ID": "<web.1@provider.example>",
        "Date": "Mon, 23 Nov 2026 14:09:00 +0800",
    }
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return octets(*(f"{n}: {v}" for n, v in named.items() if v is not None), body=words)


async def takes_sent(desk: AttackedDesk, raw: bytes) -> None:
    await desk.takes(desk.arrival(raw, envelope=Envelope(is_sent=True)))


@pytest.mark.parametrize(
    ("headers", "agent"),
    [
        ({}, None),
        ({"From": f"Chen <{DESK}>"}, "chen"),
        ({"Sender": "lin@firm.example"}, "lin"),
        ({"From": "lin@firm.example"}, "lin"),
    ],
)
async def test_what_a_person_sent_in_the_desks_name_counts(
    desk: AttackedDesk, headers: dict[str, str], agent: str | None
) -> None:
    await desk.opened()

    await takes_sent(desk, sent(**headers))

    ticket = await desk.ticket()
    [target] = await desk.targets(ticket.id)
    assert (ticket.state, ticket.answered_by) == (TicketState.ANSWERED, agent)
    assert target.met_at == NOW - timedelta(minutes=1)
    [recorded] = await desk.why("answer_recorded")
    assert recorded["how"] == "sent_folder"


async def test_g7_our_own_mail_in_the_sent_folder_is_no_answer_whatever_its_id(desk: AttackedDesk) -> None:
    await desk.takes(customers(WORDS, Subject="營業稅", Message_ID="<a@example.com>"))
    letters = {letter.purpose: letter for letter in await desk.leaves()}
    for number, letter in enumerate(letters.values()):
        await takes_sent(desk, letter.body)
        mine = letter.mail["Message-ID"].encode()
        await takes_sent(desk, letter.body.replace(mine, b"<other.%d@provider.example>" % number, 1))

    [target] = await desk.targets(1001)
    assert "acknowledgement" in letters
    assert target.met_at is None
    assert (await desk.messages("outcome"))[1:] == [Outcome.IGNORED] * (2 * len(letters))


async def test_g8_the_same_in_the_inbox_is_no_answer(desk: AttackedDesk) -> None:
    await desk.opened()

    await desk.takes(sent())

    [target] = await desk.targets(1001)
    assert target.met_at is None
    assert (await desk.told()).count("answer_recorded") == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"From": "eve@evil.example"},
        {"From": f"{DESK}, eve@evil.example"},
        {"Auto-Submitted": "auto-replied"},
        {"To": "wu@other.example"},
        {"X_Intake_Loop": loop_mark(KEYRING.current.secret, "<whatever@firm.example>")},
    ],
)
async def test_what_else_lies_there_counts_for_nothing(desk: AttackedDesk, headers: dict[str, str]) -> None:
    await desk.opened()

    await takes_sent(desk, sent(**headers))

    [target] = await desk.targets(1001)
    assert target.met_at is None
    assert len(await desk.tickets()) == 1
