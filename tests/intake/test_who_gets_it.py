"""Who gets an answer, from a customer's octets to those that leave; and the attacks on it (PROMISES.md, "Attacks")."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from support.attackdesk import ATTACKER, RECEIVED, AttackedDesk, Keeper, Letter, octets, reply, vouched
from support.handdesk import store

from channels.adapter import Delivery, OutboundMessage, PermanentFailure, TemporaryFailure
from routing.recipients import MAX_LISTED
from routing.records import Contact, Customer
from store import customers
from store.engine import Transaction
from store.outbox import OutboxItem

MEI = "mei@example.com"
LEE = "lee@example.com"
TO = "To: support@firm.example"
HERS = "In-Reply-To: <a@example.com>"
FROM = f"From: 王美玲 <{MEI}>"
FIRST = [FROM, "Message-ID: <a@example.com>", "Subject: VAT"]
PROVEN = [vouched("example.com"), RECEIVED]
FORM = "form@www.firm.example"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


def more(*headers: str, proven: bool = True, number: int = 2, body: str = "還有一件事") -> bytes:
    """Her next mail in the thread."""
    evidence = PROVEN if proven else [RECEIVED]
    return octets(*evidence, FROM, TO, HERS, f"Message-ID: <m{number}@example.com>", *headers, body=body)


async def knows_lee(desk: AttackedDesk, address: str = LEE) -> None:
    """Lee is a known contact of Mei's, the first customer."""
    [row] = await desk.rows("SELECT customer FROM contact WHERE address = :a", a=f"mailto:{MEI}")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    known = Contact(
        address=f"mailto:{address}", customer=row["customer"], name="李經理", source="import", first_seen_at=at
    )
    async with desk.db.transaction() as tx:
        await customers.add(tx, [], [known])


async def answers(desk: AttackedDesk) -> list[Letter]:
    return [letter for letter in await desk.leaves() if letter.purpose == "answer"]


async def newest(desk: AttackedDesk, ticket: int = 1001) -> OutboxItem:
    """The latest mail about a ticket that an agent can answer."""
    return [i for i in await desk.outbox() if i.ticket == ticket and "token" in i.recipe][-1]


async def plain_of(desk: AttackedDesk, item: OutboxItem) -> str:
    await desk.leaves()
    [sent] = [m for m in desk.keeper.kept if m.message_id == item.mail_id]
    return unwrapped((await desk._letter(sent)).plain)


def unwrapped(text: str) -> str:
    """Without white space: lines of Chinese are wrapped anywhere."""
    return "".join(text.split())


async def roles(desk: AttackedDesk, ticket: int = 1001) -> dict[str, str]:
    rows = await desk.rows("SELECT address, role FROM participant WHERE ticket = :t ORDER BY address", t=ticket)
    return {r["address"].removeprefix("mailto:"): r["role"] for r in rows}


# ---- copies


async def test_a_known_contact_in_her_verified_copy_line_gets_the_same_octets(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST)
    await knows_lee(desk)
    await desk.takes(more(f"Cc: 李經理 <{LEE}>, {ATTACKER}, lin@firm.example"))
    shown = await plain_of(desk, await newest(desk))
    await desk.takes(reply(await newest(desk)))
    left = await answers(desk)

    assert sorted(letter.to for letter in left) == [LEE, MEI]
    assert len({letter.body for letter in left}) == 1
    assert (left[0].mail["To"], left[0].mail["Cc"]) == (f"王美玲 <{MEI}>", f"李經理 <{LEE}>")
    assert unwrapped(f"回覆將寄給 王美玲 <{MEI}>；副本 李經理 <{LEE}>") in shown
    assert unwrapped(f"未列入：{ATTACKER}（第一行寫「！副本 地址」可加入）") in shown
    assert await roles(desk) == {LEE: "cc", ATTACKER: "listed"}


async def test_the_promise_is_kept_by_the_customers_own_mail_not_by_a_copy(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST)
    await desk.takes(reply(await newest(desk), f"！副本 {LEE}\n您好，可以更正。"))
    await desk.leaves()

    [first] = [e for e in await desk.events() if e.kind == "first_response_recorded"]
    [his] = [i for i in await desk.outbox("answer") if i.address == f"mailto:{MEI}"]
    assert first.outbox == his.id
    assert [e.outbox for e in await desk.events() if e.kind == "target_met"] == []


class HerServerIsAway(Keeper):
    async def send(self, message: OutboundMessage) -> Delivery:
        if message.recipient.value == MEI:
            raise TemporaryFailure("450 try later")
        return await super().send(message)


async def test_no_promise_is_kept_while_only_a_copy_has_arrived(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST)
    desk.keeper = HerServerIsAway()
    await desk.takes(reply(await newest(desk), f"！副本 {LEE}\n您好，可以更正。"))

    assert [letter.to for letter in await answers(desk)] == [LEE]
    assert "first_response_recorded" not in await desk.told()


async def test_a_copy_that_is_refused_is_told_as_one_and_the_promise_stays_kept(desk: AttackedDesk) -> None:
    class LeeIsGone(Keeper):
        async def send(self, message: OutboundMessage) -> Delivery:
            if message.recipient.value == LEE:
                raise PermanentFailure("550 no such user")
            return await super().send(message)

    await desk.opened(*FIRST)
    desk.keeper = LeeIsGone()
    await desk.takes(reply(await newest(desk), f"！副本 {LEE}\n您好，可以更正。"))
    await desk.leaves()

    assert [i.recipe["code"] for i in await desk.outbox("told")] == ["copy_undelivered"]
    assert "first_response_recorded" in await desk.told()
    assert (await desk.ticket()).state == "answered"


@pytest.mark.parametrize(
    "evidence",
    [
        [RECEIVED],
        [vouched("example.com", by="mx.evil.example"), RECEIVED],
        [vouched("example.com", result="fail"), RECEIVED],
    ],
    ids=["none", "another's", "failed"],
)
async def test_a_forged_mail_with_a_copy_line_adds_nobody(desk: AttackedDesk, evidence: list[str]) -> None:
    await desk.opened(*FIRST)
    await knows_lee(desk)
    await desk.takes(octets(*evidence, FROM, TO, HERS, f"Cc: {LEE}, {ATTACKER}", "Message-ID: <f@evil.example>"))
    await desk.takes(reply(await newest(desk)))

    assert [letter.to for letter in await answers(desk)] == [MEI]
    assert set((await roles(desk)).values()) == {"listed"}


async def test_a_known_contact_of_another_customer_is_only_listed(desk: AttackedDesk) -> None:
    await desk.opened("From: Lee <lee@example.com>", "Message-ID: <l@example.com>", "Subject: his own")
    await desk.takes(octets(*PROVEN, *FIRST, TO, f"Cc: {LEE}"))
    item = await newest(desk, 1002)
    await desk.takes(reply(item))

    assert [letter.to for letter in await answers(desk)] == [MEI]
    assert await roles(desk, 1002) == {LEE: "listed"}


async def test_whom_she_leaves_out_gets_no_more_copies(desk: AttackedDesk) -> None:
    """What she says then may not be for him."""
    await desk.opened(*FIRST)
    await knows_lee(desk)
    await desk.takes(more(f"Cc: {LEE}"), more(number=3, body="這件事請不要讓李經理知道"))
    await desk.takes(reply(await newest(desk)))

    assert [letter.to for letter in await answers(desk)] == [MEI]
    assert await roles(desk) == {LEE: "listed"}


async def test_an_agent_adds_and_takes_out_and_is_shown_who_gets_it(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST, f"Cc: {LEE}")
    await desk.takes(reply(await newest(desk), f"！副本 {LEE}"))
    assert await desk.outbox("answer") == []
    told = await plain_of(desk, await newest(desk))
    await desk.takes(reply(await newest(desk), "第一封"))
    first = await answers(desk)
    await desk.takes(reply(await newest(desk), f"!cc -{LEE}\n第二封"))
    second = await answers(desk)

    assert unwrapped(f"之後的回覆將寄給 {MEI}, {LEE}") in told
    assert sorted(letter.to for letter in first) == [LEE, MEI]
    assert [letter.to for letter in second] == [MEI]
    assert second[0].mail.get("Cc") is None


async def test_who_was_taken_out_stays_out_whatever_her_mails_say(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST)
    await knows_lee(desk)
    await desk.takes(reply(await newest(desk), f"！副本 -{LEE}"))
    await desk.takes(more(f"Cc: {LEE}"))

    assert await roles(desk) == {LEE: "removed"}


async def test_a_command_that_names_nobody_stops_the_whole_mail(desk: AttackedDesk) -> None:
    item = await desk.opened(*FIRST)
    await desk.takes(reply(item, "！副本 李經理\n您好"), reply(item, "！副本 lin@firm.example\n您好", Subject="2"))

    assert await desk.outbox("answer") == []
    assert await roles(desk) == {}
    assert [i.recipe["code"] for i in await desk.outbox("told")] == ["bad_address"] * 2


async def test_a_held_answer_takes_its_copies_along_and_not_to_whom_was_taken_out(desk: AttackedDesk) -> None:
    item = await desk.opened(*FIRST)
    await desk.takes(reply(item, f"！副本 {LEE} wu@example.com"))
    await desk.takes(reply(item, "備註：客戶很急"))
    assert await answers(desk) == []
    await desk.takes(reply(item, "！副本 -wu@example.com"))
    await desk.takes(reply(item, "！寄出"))

    assert sorted(letter.to for letter in await answers(desk)) == [LEE, MEI]


@pytest.mark.parametrize(
    ("commands", "to", "named"),
    [
        ([f"！副本 {LEE}\n！寄出"], [LEE, MEI], LEE),
        ([f"！副本 {LEE}", "！寄出"], [LEE, MEI], LEE),
        (["！回覆到 new@example.com\n！寄出"], ["new@example.com"], None),
        (["！回覆到 new@example.com", "！寄出"], ["new@example.com"], None),
        ([f"！副本 {LEE} wu@example.com", "！副本 -wu@example.com", "！寄出"], [LEE, MEI], LEE),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
async def test_what_was_held_goes_to_whom_it_concerns_when_it_leaves(
    desk: AttackedDesk, commands: list[str], to: list[str], named: str | None, at_once: bool
) -> None:
    item = await desk.opened(*FIRST)
    mails = [reply(item, words) for words in ("備註：客戶很急", *commands)]
    for batch in [mails] if at_once else [[mail] for mail in mails]:
        await desk.takes(*batch)
    held = (await desk.outbox("answer"))[0]
    left = await answers(desk)

    assert sorted(letter.to for letter in left) == to
    assert len({letter.body for letter in left}) == 1
    assert left[0].mail["Cc"] == named
    assert left[0].plain.startswith("備註：客戶很急")
    assert {letter.mail["Message-ID"] for letter in left} == {held.mail_id}
    assert (await desk.ticket()).state == "answered"


@pytest.mark.parametrize("at_once", [False, True])
async def test_who_is_taken_out_before_it_leaves_is_not_named_in_it(desk: AttackedDesk, at_once: bool) -> None:
    item = await desk.opened(*FIRST)
    mails = [reply(item, f"！副本 {LEE} wu@example.com\n您好"), reply(item, "！副本 -wu@example.com")]
    for batch in [mails] if at_once else [[mail] for mail in mails]:
        await desk.takes(*batch)
    left = await answers(desk)

    assert sorted(letter.to for letter in left) == [LEE, MEI]
    assert len({letter.body for letter in left}) == 1
    assert left[0].mail["Cc"] == LEE


@pytest.mark.parametrize("command", [f"！副本 {LEE}", "！回覆到 new@example.com"])
@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("！寄出", "nothing_held"),
        ("客戶編號 ik1_aaaaaaaaaaaaaaaaaaaaaaaaaa", None),
        ("！轉給 沒有這個人", "unknown_agent"),
        ("！說什麼", "unknown_command"),
    ],
)
async def test_of_a_mail_that_is_held_no_command_is_carried_out(
    desk: AttackedDesk, command: str, words: str, why: str | None
) -> None:
    item = await desk.opened(*FIRST)
    words = f"support+{item.recipe['token']}@firm.example" if why is None else words
    await desk.takes(reply(item, f"{command}\n{words}"))

    assert [i.recipe["code"] for i in await desk.outbox("told")] == [why or "internal_survived"]
    assert await roles(desk) == {}
    assert [r["reply_to"] for r in await desk.rows("SELECT reply_to FROM contact")] == [None]


@pytest.mark.parametrize("command", [f"！副本 {LEE}", "！回覆到 new@example.com"])
async def test_on_a_closed_ticket_no_command_beside_words_is_carried_out(desk: AttackedDesk, command: str) -> None:
    item = await desk.opened(*FIRST)
    await desk.takes(reply(item, "！結案"))
    await desk.takes(reply(item, f"{command}\n您好"))

    assert [i.recipe["code"] for i in await desk.outbox("told")] == ["closed_unanswered", "closed_ticket"]
    assert await roles(desk) == {}
    assert [r["reply_to"] for r in await desk.rows("SELECT reply_to FROM contact")] == [None]


# ---- what an agent's own mail program fills in


async def test_however_many_an_agent_names_no_more_are_remembered_than_of_a_customer(desk: AttackedDesk) -> None:
    item = await desk.opened(*FIRST)
    for batch in range(3):
        crowd = ", ".join(f"p{batch}.{n}@outside.example" for n in range(48))
        await desk.takes(reply(item, f"第 {batch} 封", Cc=crowd))

    assert len(await roles(desk)) == MAX_LISTED


async def test_an_agents_copy_line_never_leaves_and_an_outsider_in_it_gets_nothing(desk: AttackedDesk) -> None:
    item = await desk.opened(*FIRST)
    await desk.takes(
        reply(item, Cc="Lin <lin@firm.example>, boss@firm.example, Wu <wu@outside.example>", Bcc="lin@firm.example")
    )
    left = await desk.leaves()
    [answer] = [letter for letter in left if letter.purpose == "answer"]
    [told] = await desk.outbox("told")

    assert answer.to == MEI
    assert "Cc" not in answer.mail
    for inside in ("lin@firm.example", "boss@firm.example", "chen@firm.example", "wu@outside.example"):
        assert inside not in answer.body.decode()
    assert {letter.to for letter in left} <= {MEI, f"{item.agent}@firm.example"}
    assert (told.recipe["code"], told.recipe["detail"]) == ("not_copied", "wu@outside.example")
    assert await roles(desk) == {"wu@outside.example": "listed"}


# ---- where a customer asks for his answers


async def test_attack_reply_to_swap_nothing_goes_there_until_an_agent_says_so(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST, f"Reply-To: {ATTACKER}")
    shown = await plain_of(desk, await newest(desk))
    await desk.takes(reply(await newest(desk)))
    [before] = await answers(desk)
    await desk.takes(reply(await newest(desk), "！回覆到"))
    await desk.takes(reply(await newest(desk), "第二封"))
    [after] = await answers(desk)

    assert unwrapped(f"⚠ 客戶要求回覆到 {ATTACKER}") in shown
    assert (before.to, after.to) == (MEI, ATTACKER)


async def test_it_is_asked_once_and_holds_for_later_tickets(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST, "Reply-To: office@example.com")
    await desk.takes(reply(await newest(desk), "！回覆到"))
    await desk.takes(
        octets(*PROVEN, FROM, TO, "Message-ID: <n@example.com>", "Reply-To: office@example.com", "Subject: y")
    )
    shown = await plain_of(desk, await newest(desk, 1002))
    await desk.takes(reply(await newest(desk, 1002)))
    [answer] = await answers(desk)
    await desk.takes(
        octets(
            *PROVEN,
            "From: office@example.com",
            TO,
            f"In-Reply-To: {answer.mail['Message-ID']}",
            "Message-ID: <o@x.example>",
        )
    )

    assert answer.to == "office@example.com"
    assert "要求回覆到" not in shown
    assert (await desk.messages("ticket"))[-1] == 1002, "he who reads the answers is no stranger there"


async def test_a_refusal_ends_the_question(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST, f"Reply-To: {ATTACKER}")
    await desk.takes(reply(await newest(desk), "!replyto no\n您好"))
    await desk.takes(more(f"Reply-To: {ATTACKER}"))

    assert [letter.to for letter in await answers(desk)] == [MEI]
    [contact] = await desk.rows("SELECT reply_to_state FROM contact WHERE address = :a", a=f"mailto:{MEI}")
    assert contact["reply_to_state"] == "refused"


async def test_of_forged_mail_no_reply_to_is_remembered(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST)
    await desk.takes(more(f"Reply-To: {ATTACKER}", proven=False))
    shown = await plain_of(desk, await newest(desk))
    await desk.takes(reply(await newest(desk), "！回覆到\n您好"))

    assert unwrapped(f"⚠ 這封未驗證的信要求回覆到 {ATTACKER}：不會照辦") in shown
    assert await answers(desk) == []
    assert [i.recipe["code"] for i in await desk.outbox("told")] == ["no_reply_to"]


async def test_a_known_address_of_hers_needs_no_question(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST)
    await knows_lee(desk)
    await desk.takes(more(f"Reply-To: {LEE}"))
    await desk.takes(reply(await newest(desk)))

    assert [letter.to for letter in await answers(desk)] == [LEE]


async def test_a_later_wish_does_not_undo_what_was_confirmed(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST, "Reply-To: office@example.com")
    await desk.takes(reply(await newest(desk), "！回覆到"))
    await desk.takes(more(f"Reply-To: {ATTACKER}"))
    shown = await plain_of(desk, await newest(desk))
    await desk.takes(reply(await newest(desk)))

    assert [letter.to for letter in await answers(desk)] == ["office@example.com"]
    assert unwrapped(f"「！回覆到 {ATTACKER}」") in shown


async def test_attack_another_customers_address_is_not_taken_over_where_an_agent_names_it(
    desk: AttackedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.opened("From: Lee <lee@example.com>", "Message-ID: <l@example.com>", "Subject: his own")
    await desk.takes(octets(*PROVEN, *FIRST, TO))
    added: list[Contact] = []
    add = customers.add

    async def noting(tx: Transaction, people: Sequence[Customer], contacts: Sequence[Contact]) -> None:
        added.extend(contacts)
        await add(tx, people, contacts)

    monkeypatch.setattr(customers, "add", noting)
    await desk.takes(reply(await newest(desk, 1002), f"！回覆到 {LEE}"))

    assert added == []
    assert "reply_to_confirmed" in await desk.told()


# ---- web forms


def with_form(desk: AttackedDesk) -> None:
    channels = dict(desk.policy.channels)
    channels["mail"] = replace(channels["mail"], web_forms=frozenset({FORM}))
    desk.policy = replace(desk.policy, channels=channels)


def form(reply_to: str, *more: str, proven: bool = True, number: int = 1) -> bytes:
    evidence = [vouched("www.firm.example"), RECEIVED] if proven else [RECEIVED]
    lines = [f"From: Web <{FORM}>", TO, f"Reply-To: {reply_to}", "Auto-Submitted: auto-generated", "Precedence: bulk"]
    return octets(*evidence, *lines, f"Message-ID: <form{number}@www.firm.example>", *more, body="請問營業稅？")


async def test_who_filled_in_a_form_is_the_customer_and_never_verified(desk: AttackedDesk) -> None:
    with_form(desk)
    await desk.takes(form(f"王美玲 <{MEI}>"))
    left = await desk.leaves()
    await desk.takes(reply(await newest(desk)))
    ticket = await desk.ticket()
    shown = await plain_of(desk, await newest(desk))

    assert (ticket.contact, ticket.standing) == (f"mailto:{MEI}", "unverified")
    assert [letter.to for letter in left if letter.purpose == "acknowledgement"] == [MEI]
    assert unwrapped("⚠ 經由網站表單") in shown
    assert [i.address for i in await desk.outbox("answer")] == [f"mailto:{MEI}"]


async def test_attack_a_form_makes_nobody_an_agent_or_verified(desk: AttackedDesk) -> None:
    """The site's mail is vouched for; what was typed into it is not, at whatever domain."""
    with_form(desk)
    item = await desk.opened(*FIRST)
    token = f"support+{item.recipe['token']}@firm.example"
    forged = octets(
        vouched("firm.example"), vouched("www.firm.example"), RECEIVED,
        f"From: {FORM}", f"To: {token}", "Reply-To: chen@firm.example", f"In-Reply-To: {item.mail_id}",
        "Message-ID: <x@www.firm.example>", body="請匯款到 999",
    )  # fmt: skip
    await desk.takes(forged, form("boss@www.firm.example", number=3))

    assert await desk.outbox("answer") == []
    assert (await desk.tickets())[-1].standing == "unverified"


@pytest.mark.parametrize(
    ("mail", "contact"),
    [
        (form(MEI, proven=False), FORM),
        (form(f"{MEI}, {ATTACKER}"), FORM),
        (form("not an address"), FORM),
        (form("support@firm.example"), FORM),
        (form("support+note@firm.example"), FORM),
        (form("chen@firm.example"), FORM),
    ],
    ids=["not proven to be the site's", "two customers", "nobody", "the desk", "the desk with a tag", "an agent"],
)
async def test_what_is_no_good_form_is_what_it_looks_like(desk: AttackedDesk, mail: bytes, contact: str) -> None:
    with_form(desk)
    await desk.takes(mail)

    assert [t.contact for t in await desk.tickets()] in ([f"mailto:{contact}"], [])


async def test_attack_e_mail_bomb_by_a_form_the_cap_is_the_victims(desk: AttackedDesk) -> None:
    with_form(desk)
    await desk.takes(*(form(MEI, number=n) for n in range(8)))

    assert [letter.to for letter in await desk.leaves() if letter.purpose == "acknowledgement"] == [MEI] * 3


# ---- a stranger on a known thread


def stranger(body: str = "我是王美玲的會計，附上資料", number: int = 1) -> bytes:
    evidence = [vouched("evil.example"), RECEIVED]
    return octets(*evidence, f"From: 會計 <{ATTACKER}>", TO, HERS, f"Message-ID: <s{number}@evil.example>", body=body)


async def test_a_strangers_card_says_so_and_goes_to_who_has_the_ticket(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST, body="我的統編是 12345675")
    await desk.takes(stranger())
    item = await newest(desk, 1002)
    shown = await plain_of(desk, item)
    [mine, his] = await desk.tickets()

    assert (his.follows, his.agent) == (1001, mine.agent)
    assert unwrapped("⚠ 這封信接在 #1001 的往來裡，但寄件者不是該案的人") in shown
    assert "12345675" not in shown


async def test_joined_by_the_agents_word_he_is_in_the_thread_and_his_own_ticket_is_merged(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST, body="我的統編是 12345675")
    await desk.takes(stranger())
    await desk.takes(reply(await newest(desk, 1002), "！併入"))
    update = await newest(desk, 1001)
    shown = await plain_of(desk, update)
    await desk.takes(reply(update))
    left = await answers(desk)
    await desk.takes(stranger("還有一件事", number=2))
    again = octets(vouched("evil.example"), RECEIVED, f"From: {ATTACKER}", TO, "In-Reply-To: <s1@evil.example>")
    await desk.takes(again)
    [hers, his] = await desk.tickets()

    assert (his.state, his.closed_reason) == ("closed", "merged into #1001")
    assert update.purpose == "update"
    assert unwrapped("我是王美玲的會計，附上資料") in shown
    assert unwrapped(f"客戶原文 · 會計 <{ATTACKER}>") in shown
    assert sorted(letter.to for letter in left) == [ATTACKER, MEI]
    assert all("12345675" not in letter.text for letter in left), "nothing of the thread goes along"
    assert await desk.counted("ticket = 1001 AND speaker = 'customer'") == 4
    assert hers.state == "open"
    assert all(not t.is_open for t in await desk.targets(1002))
    assert any(t.is_open for t in await desk.targets(1001))


async def test_without_that_word_an_answer_goes_to_him_alone(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST)
    await desk.takes(stranger())
    await desk.takes(reply(await newest(desk, 1002), "請問您是哪一位？"))

    assert [letter.to for letter in await answers(desk)] == [ATTACKER]
    assert await roles(desk, 1001) == {}


async def test_what_he_wrote_waits_there_from_when_it_came(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST)
    await desk.takes(reply(await newest(desk)))
    await desk.leaves()
    await desk.takes(stranger())
    began = (await desk.targets(1002))[0].started_at
    await desk.takes(reply(await newest(desk, 1002), "！併入"))

    assert [t.started_at for t in await desk.targets(1001) if t.is_open] == [began]


@pytest.mark.parametrize(("ticket", "words"), [(1001, "！併入"), (1002, "！併入 #999")])
async def test_there_must_be_a_ticket_to_join(desk: AttackedDesk, ticket: int, words: str) -> None:
    await desk.opened(*FIRST)
    await desk.takes(stranger())
    await desk.takes(reply(await newest(desk, ticket), words))

    assert [i.recipe["code"] for i in await desk.outbox("told")] == ["no_other"]
    assert [t.state for t in await desk.tickets()] == ["open", "open"]


@pytest.mark.parametrize(
    "words",
    [
        "！併入\n！結案",
        f"！副本 {LEE}\n！併入",
        "！垃圾\n！併入",
        "！垃圾\n！轉給 lin",
        "！備註\n！垃圾",
        "！轉給 lin\n！結案",
    ],
)
async def test_commands_that_do_not_go_together_are_refused_with_a_word(desk: AttackedDesk, words: str) -> None:
    await desk.opened(*FIRST)
    await desk.takes(stranger())
    before = await desk.tickets()
    await desk.takes(reply(await newest(desk, 1002), words))
    after = await desk.tickets()
    [told] = await desk.outbox("told")

    assert told.recipe["code"] == "not_together"
    assert unwrapped("這些指令不能寫在同一封信") in await plain_of(desk, told)
    assert [(t.state, t.agent, t.standing) for t in after] == [(t.state, t.agent, t.standing) for t in before]
    assert await roles(desk, 1002) == {}


async def test_joining_sees_where_the_other_customer_is_answered(desk: AttackedDesk) -> None:
    """He writes from where she has her answers sent: he gets them already, and no copy beside."""
    await desk.opened(*FIRST)
    await desk.takes(stranger())
    contact = await desk.rows("SELECT address FROM contact WHERE address = :a", a=f"mailto:{MEI}")
    assert len(contact) == 1
    async with desk.db.transaction() as tx:
        await tx.execute(
            text("UPDATE contact SET reply_to = :r, reply_to_state = 'confirmed' WHERE address = :a"),
            {"r": f"mailto:{ATTACKER}", "a": f"mailto:{MEI}"},
        )
    await desk.takes(reply(await newest(desk, 1002), "！併入"))

    assert await roles(desk, 1001) == {}


async def test_words_beside_joining_come_back_to_their_author(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST)
    await desk.takes(stranger())
    await desk.takes(reply(await newest(desk, 1002), "！併入\n歡迎加入"))

    assert await desk.outbox("answer") == []
    assert [(i.recipe["code"], i.recipe["would_have_left"]) for i in await desk.outbox("told")] == [
        ("joined_words", "歡迎加入")
    ]


async def test_a_follow_up_to_a_long_closed_ticket_shows_what_was_said_there(desk: AttackedDesk) -> None:
    await desk.opened(*FIRST, body="第一次的問題")
    await desk.takes(reply(await newest(desk), "第一次的回答"))
    await desk.leaves()
    await desk.takes(reply(await newest(desk), "！結案"))
    desk.clock.at += timedelta(days=40)
    await desk.takes(more(body="又有問題"))
    shown = await plain_of(desk, await newest(desk, 1002))

    assert unwrapped("接續已結案的 #1001") in shown
    assert "第一次的問題" in shown
    assert "第一次的回答" in shown


# ---- junk


async def test_junk_is_closed_nothing_is_owed_and_its_sender_is_remembered(desk: AttackedDesk) -> None:
    item = await desk.opened(*FIRST)
    await desk.takes(reply(item, "！垃圾信\n-- \n陳怡君"))
    ticket = await desk.ticket()
    [contact] = await desk.rows("SELECT spam_mark FROM contact")

    assert (ticket.state, ticket.closed_reason, contact["spam_mark"]) == ("closed", "spam", "spam")
    assert all(t.withdrawn_at for t in await desk.targets(1001))
    assert await desk.outbox("answer", "told") == []


async def test_no_junk_after_all_it_is_owed_again_with_its_old_deadline_and_answered(desk: AttackedDesk) -> None:
    item = await desk.opened(*FIRST)
    before = [(t.kind, t.due_at) for t in await desk.targets(1001) if t.is_open]
    await desk.takes(reply(item, "！垃圾信"))
    desk.clock.at += timedelta(minutes=30)
    await desk.takes(reply(item, "！非垃圾\n您好，可以更正。"))
    [contact] = await desk.rows("SELECT spam_mark FROM contact")
    after = [(t.kind, t.due_at) for t in await desk.targets(1001) if t.is_open]

    assert after == before
    assert contact["spam_mark"] == "not_spam"
    assert [letter.to for letter in await answers(desk)] == [MEI]
