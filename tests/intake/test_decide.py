"""Decide, over a real store: what becomes of a message is committed whole, once, and nothing holds up the next."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.deskrun import RunningDesk, bounce, call, chat, deliver, mail
from support.storefacts import MINUTE, NOW

from channels.adapter import Envelope
from channels.message import Medium
from intake import decide, writing
from intake.decide import Decider
from routing.policy import Team
from routing.words import TargetKind, TicketState
from store import leases, messages, outbox
from store.engine import Database
from store.leases import LeaseLost
from store.upgrade import upgrade


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    db = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(db)
    yield RunningDesk(db)
    await db.close()


# ---- customers' mail


async def test_a_new_mail_becomes_a_ticket_with_all_that_belongs_to_it(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))

    ticket = await desk.ticket()
    assert (ticket.id, ticket.state, ticket.contact, ticket.contact_name, ticket.standing) == (
        1001,
        TicketState.OPEN,
        "mailto:mei@example.com",
        "王美玲",
        "verified",
    )
    [target] = await desk.targets(1001)
    assert (target.kind, target.started_at, target.is_open) == (TargetKind.FIRST_RESPONSE, NOW - MINUTE, True)
    [assignment, acknowledgement] = await desk.outbox()
    assert (assignment.purpose.value, assignment.address, assignment.agent) == (
        "assignment",
        f"mailto:{ticket.agent}@firm.example",
        ticket.agent,
    )
    assert (acknowledgement.purpose.value, acknowledgement.address) == ("acknowledgement", "mailto:mei@example.com")
    assert await desk.told() == [
        *("message_accepted", "customer_registered", "ticket_opened", "assigned", "target_set")
    ]
    assert await desk.messages("state", "outcome", "speaker", "ticket", "policy_version") == [
        ("done", "opened", "customer", 1001, "p1")
    ]
    assert desk.woken == {"outbox": 1, "targets": 1}


async def test_mail_from_before_the_first_start_is_not_acknowledged_and_not_late_at_birth(desk: RunningDesk) -> None:
    old = {"received_at": NOW - timedelta(days=900), "envelope": Envelope(is_backlog=True)}
    first = desk.arrival(mail(Message_ID="<a@example.com>"), **old)
    second = desk.arrival(mail(Message_ID="<b@example.com>", In_Reply_To="<a@example.com>"), **old)
    await desk.takes(first, second)

    targets = await desk.targets(1001)
    assert [(t.started_at, t.due_at > NOW, t.is_open) for t in targets] == [(NOW, True, True)]
    assert {row.purpose.value for row in await desk.outbox()} == {"assignment", "update"}
    assert (await desk.ticket()).opened_at == NOW - timedelta(days=900)


async def test_two_mails_that_the_server_does_not_give_are_two_tickets(desk: RunningDesk) -> None:
    nothing = {"raw": b"", "envelope": Envelope(is_truncated=True)}
    await desk.takes(*(desk.arrival(**nothing) for _ in range(2)))

    assert await desk.messages("outcome") == ["opened", "opened"]


async def test_all_of_a_decision_is_committed_or_nothing(desk: RunningDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(name: str) -> None:
        if name == "decide.before_commit":
            raise Killed

    monkeypatch.setattr(decide, "crashpoint", die)
    await desk.accept([desk.arrival(mail())])
    with pytest.raises(Killed):  # noqa: PT012  # what ends the loop is what raises
        async with desk.deciding() as loop:
            await asyncio.wait([loop])
            loop.result()
    monkeypatch.undo()

    assert (await desk.tickets(), await desk.outbox(), await desk.told()) == ([], [], ["message_accepted"])
    assert await desk.rows("SELECT * FROM counter") == []
    await desk.settle()
    assert (await desk.ticket()).id == 1001


async def test_a_reply_joins_its_ticket(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    await desk.takes(mail("還有一件事", In_Reply_To="<a@example.com>", Message_ID="<b@example.com>"))

    assert await desk.messages("outcome", "ticket") == [("opened", 1001), ("added", 1001)]
    assert [i.purpose.value for i in await desk.outbox()] == ["assignment", "acknowledgement", "update"]


async def test_two_mails_of_one_thread_in_one_batch_are_one_ticket(desk: RunningDesk) -> None:
    await desk.takes(
        mail(Message_ID="<a@example.com>"),
        mail("還有", In_Reply_To="<a@example.com>", Message_ID="<b@example.com>"),
        mail("最後", In_Reply_To="<b@example.com>", Message_ID="<c@example.com>"),
    )

    assert await desk.messages("outcome", "ticket") == [("opened", 1001), ("added", 1001), ("added", 1001)]


async def test_g2_the_same_mail_in_two_mailboxes_is_one_ticket_and_a_copy(desk: RunningDesk) -> None:
    one = mail(Message_ID="<a@example.com>")
    [first, second] = await desk.takes(desk.arrival(one), desk.arrival(one, "second"))
    await desk.takes(desk.arrival(one, "second"))

    assert first.id != second.id
    assert await desk.messages("state", "outcome", "ticket", "copy_of") == [
        ("done", "opened", 1001, None),
        ("done", "copy", 1001, first.id),
        ("done", "copy", 1001, first.id),
    ]
    assert len(await desk.outbox("acknowledgement")) == 1
    assert await desk.messages("is_alone") == [0, 0, 0]  # found within the batch: nothing had to be tried again


async def test_g2_without_a_message_id_it_is_a_message_and_with_a_known_one_and_other_words_too(
    desk: RunningDesk,
) -> None:
    await desk.takes(
        mail("一", From="a@one.example"),
        mail("二", From="b@two.example"),
        mail("三", From="c@three.example", Message_ID="<x@y>"),
        mail("四", From="c@three.example", Message_ID="<x@y>"),
    )

    assert await desk.messages("outcome") == ["opened", "opened", "opened", "opened"]


async def test_g2_two_large_mails_of_which_only_equal_heads_were_fetched_are_two_messages(desk: RunningDesk) -> None:
    """Without a Message-ID the head is all there is to tell them by, and their sizes."""
    head = mail(Message_ID="<a@example.com>")
    sizes = [42_000_000, 43_000_000, 42_000_000]
    arrivals = [
        desk.arrival(head, channel, envelope=Envelope(source_size=size, is_truncated=True))
        for size, channel in zip(sizes, ("mail", "mail", "second"), strict=True)
    ]

    await desk.takes(*arrivals)

    outcomes = await desk.messages("outcome")
    assert (outcomes[0], outcomes[1] == "copy", outcomes[2]) == ("opened", False, "copy")


async def test_g7_an_absence_note_is_recorded_and_causes_nothing(desk: RunningDesk) -> None:
    await desk.takes(mail("I am away", Subject="Out of office: x", Auto_Submitted="auto-replied"))

    assert await desk.messages("outcome", "speaker", "ticket") == [("ignored", "machine", None)]
    assert await desk.outbox() == []
    assert await desk.told() == ["message_accepted", "message_ignored"]


async def test_new_tickets_go_to_whoever_has_fewer_also_within_a_batch_and_after_a_restart(desk: RunningDesk) -> None:
    await desk.takes(*(mail(f"問題{n}", From=f"c{n}@example{n}.com") for n in range(4)))
    await desk.takes(*(mail(f"問題{n}", From=f"c{n}@example{n}.com") for n in range(4, 6)))

    assert sorted(t.agent or "" for t in await desk.tickets()) == ["chen"] * 3 + ["lin"] * 3


async def test_the_fourth_ticket_of_a_day_is_not_acknowledged(desk: RunningDesk) -> None:
    for n in range(2):
        await desk.takes(*(mail(f"問題{n}{m}") for m in range(2)))

    assert len(await desk.tickets()) == 4
    assert len(await desk.outbox("acknowledgement")) == 3
    assert (await desk.told()).count("acknowledgement_withheld") == 1


async def test_a_stranger_who_knows_a_number_gets_his_own_ticket(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    await desk.takes(mail("Ticket Trick", From="eve@evil.example", Subject="Re: #1001", In_Reply_To="<a@example.com>"))

    assert await desk.messages("ticket") == [1001, 1002]
    assert {i.address for i in await desk.outbox() if i.ticket == 1001 and i.agent is None} == {
        "mailto:mei@example.com"
    }


async def test_when_the_agent_of_a_ticket_has_left_somebody_else_gets_it(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    leaver = (await desk.ticket()).agent
    remaining = {n: a for n, a in desk.policy.agents.items() if n != leaver}
    team = Team(name="desk", display_name="d", members=tuple(n for n in remaining if n != "boss"))
    desk.policy = replace(desk.policy, agents=remaining, teams={"desk": team}, version="p2")
    await desk.takes(mail("還有", In_Reply_To="<a@example.com>"))

    assert (await desk.ticket()).agent in remaining
    assert (await desk.outbox())[-1].agent == (await desk.ticket()).agent


# ---- agents' mail


async def test_an_agents_reply_goes_to_the_customer(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(assignment, "您好，可以更正。"))

    [answer] = await desk.outbox("answer")
    assert (answer.address, answer.recipe["words"], answer.held_reason, answer.answered_at, answer.state.value) == (
        "mailto:mei@example.com",
        "您好，可以更正。",
        None,
        NOW - MINUTE,
        "pending",
    )
    assert (await desk.ticket()).state is TicketState.ANSWERED
    assert (await desk.messages("outcome", "agent"))[-1] == ("answered", assignment.agent)


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ({"To": "support@firm.example"}, "no_token"),
        ({"In_Reply_To": ""}, "no_reference"),
        ({"vouched": "no"}, "no_evidence"),
        ({"To": "support+ikta" + "a" * 27 + "@firm.example"}, "no_token"),
        ({"From": "boss@firm.example"}, "not_your_ticket"),
    ],
)
async def test_g8_each_of_the_three_missing_holds_it_and_tells_the_agent_and_nobody_else(
    desk: RunningDesk, missing: dict[str, str], why: str
) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(assignment, "您好，可以更正。", **missing))

    # From the address book, perhaps for somebody else: his words wait for his `!send`. Without proof nothing is kept.
    waiting = ["held"] if why == "no_reference" else []
    assert [answer.state.value for answer in await desk.outbox("answer")] == waiting
    assert (await desk.messages("outcome"))[-1] == "held"
    [told] = await desk.outbox("told")
    assert (told.recipe["code"], told.address) == (why, f"mailto:{told.agent}@firm.example")
    assert (await desk.ticket()).state is TicketState.OPEN
    [held] = [e for e in await desk.events() if e.kind == "reply_held"]
    assert held.data["why"] == why


async def test_g8_a_stranger_with_the_token_is_a_stranger(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(assignment, "pay to this account", From="eve@evil.example"))

    assert await desk.outbox("answer") == []
    assert "token_misused" in await desk.told()
    assert await desk.messages("ticket") == [1001, 1002]


async def test_g15_a_reply_with_something_internal_in_it_is_held_and_shown(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [assignment] = await desk.outbox("assignment")
    words = f"您好，請回信到 support+{assignment.recipe['token']}@firm.example"
    await desk.takes(await desk.reply_to(assignment, words))

    [told] = await desk.outbox("told")
    assert (await desk.outbox("answer"), told.recipe["code"]) == ([], "internal_survived")


async def test_events_name_no_file_and_no_address(desk: RunningDesk) -> None:
    """The log names people by id; names and addresses are in the rows that it points to."""
    await desk.takes(mail(From='"boss@firm.example" <mallory@evil.example>', Message_ID="<a@evil.example>"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(with_file(await desk.reply_to(assignment, "您好，附上檔案。"), "王美玲-薪資.eml"))

    reasons = [r for e in await desk.events() for r in e.data.get("reasons", ())]
    shown = {r["code"]: r["data"] for r in reasons if "data" in r}
    assert shown["name_claims"] == {"address": "…"}
    assert shown["attachment_unsafe"] == {"name": "…"}
    text = str([e.data for e in await desk.events()])
    assert [word for word in ("薪資", "boss@", "mallory@") if word in text] == []


def with_file(raw: bytes, name: str) -> bytes:
    """A mail with a file beside its words."""
    head, _, words = raw.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.startswith((b"Content-", b"MIME"))]
    lines = [
        *kept,
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/mixed; boundary="b"',
        b"",
        b"--b",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding: 8bit",
        b"",
        words.rstrip(),
        b"--b",
        f'Content-Type: application/octet-stream; name="{name}"'.encode(),
        f'Content-Disposition: attachment; filename="{name}"'.encode(),
        b"",
        b"MZ",
        b"--b--",
        b"",
    ]
    return b"\r\n".join(lines)


async def test_what_looks_like_a_note_is_held_until_the_agent_says_send(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(assignment, "內部：這位客戶要先查帳"))
    [held] = await desk.outbox("answer")
    state = (await desk.ticket()).state
    await desk.takes(await desk.reply_to(assignment, "！寄出"))
    old, released = await desk.outbox("answer")

    assert (held.state.value, held.held_reason, state) == ("held", "looks_like_note", TicketState.OPEN)
    assert (old.id, old.state.value, released.state.value) == (held.id, "cancelled", "pending")
    assert (released.mail_id, released.recipe["words"]) == (held.mail_id, held.recipe["words"])
    assert (await desk.ticket()).state is TicketState.ANSWERED


async def test_send_in_the_same_batch_as_what_was_held_releases_it(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(
        await desk.reply_to(assignment, "內部：這位客戶要先查帳"), await desk.reply_to(assignment, "！寄出")
    )

    [answer] = await desk.outbox("answer")
    assert (answer.state.value, answer.held_reason) == ("pending", None)


async def test_send_with_nothing_held_changes_nothing_and_says_so(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(assignment, "！寄出"))

    assert await desk.outbox("answer") == []
    assert (await desk.ticket()).state is TicketState.OPEN
    assert "held_released" not in await desk.told()
    [told] = await desk.outbox("told")
    assert told.recipe["code"] == "nothing_held"


async def test_closing_and_a_customer_who_writes_again(desk: RunningDesk) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(assignment, "！結案\n\n已處理完畢。"))
    closed = await desk.ticket()
    [answer] = await desk.outbox("answer")
    await deliver(desk.db, answer, NOW)
    await desk.takes(mail("謝謝，還有", In_Reply_To="<a@example.com>"))
    again = await desk.ticket()

    assert (closed.state, closed.closed_at) == (TicketState.CLOSED, NOW)
    assert (again.state, again.closed_at, again.closed_reason) == (TicketState.OPEN, None, None)
    assert [t.kind.value for t in await desk.targets(1001)] == ["first_response", "next_response"]


# ---- reports


async def answered(desk: RunningDesk, words: str = "您好，可以更正。") -> Any:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(assignment, words))
    [answer] = await desk.outbox("answer")
    await deliver(desk.db, answer, NOW)
    return answer


async def test_a_bounce_of_an_answer_reopens_its_promise_with_the_old_due_time(desk: RunningDesk) -> None:
    answer = await answered(desk)
    [met] = await desk.targets(1001)
    await desk.takes(bounce(answer.mail_id))

    [reopened] = await desk.targets(1001)
    assert met.met_at == NOW
    assert (reopened.met_at, reopened.answered_at, reopened.due_at, reopened.is_open) == (None, None, met.due_at, True)
    assert (await desk.ticket()).state is TicketState.OPEN
    assert (await desk.outbox("answer"))[0].state.value == "failed"
    assert [i.recipe["code"] for i in await desk.outbox("told")] == ["delivery_failed"]
    assert (await desk.messages("outcome", "ticket"))[-1] == ("bounced", 1001)


async def test_g6_a_bounce_after_the_due_time_is_a_breach_that_the_watcher_sees_at_once(desk: RunningDesk) -> None:
    answer = await answered(desk)
    [met] = await desk.targets(1001)
    desk.clock.at = met.due_at + 5 * MINUTE
    await desk.takes(bounce(answer.mail_id))

    [reopened] = await desk.targets(1001)
    assert reopened.next_at is not None
    assert reopened.next_at <= desk.clock.at


async def test_a_bounce_opens_a_closed_ticket_again_for_good(desk: RunningDesk) -> None:
    answer = await answered(desk, "！結案\n\n已處理完畢。")
    await desk.takes(bounce(answer.mail_id))

    ticket = await desk.ticket()
    assert (ticket.state, ticket.closed_at, ticket.closed_reason) == (TicketState.OPEN, None, None)


async def test_the_same_bounce_twice_reopens_once(desk: RunningDesk) -> None:
    answer = await answered(desk)
    await desk.takes(bounce(answer.mail_id), bounce(answer.mail_id, "5.2.2"))

    assert (await desk.told()).count("target_reopened") == 1


@pytest.mark.parametrize("purpose", ["assignment", "update"])
async def test_g5_work_that_came_back_from_its_agents_mailbox_is_put_before_the_supervisors(
    desk: RunningDesk, purpose: str
) -> None:
    await desk.takes(mail(Message_ID="<a@example.com>"), mail("還有", In_Reply_To="<a@example.com>"))
    [work] = await desk.outbox(purpose)
    async with desk.db.transaction() as tx:
        await outbox.record_delivered(tx, {work.id: "250 ok"}, NOW)
    was = len(await desk.outbox())

    await desk.takes(bounce(work.mail_id), bounce(work.mail_id, "5.2.2"))

    more = (await desk.outbox())[was:]
    assert [(i.agent, i.address, i.purpose.value, i.ticket) for i in more] == [
        ("boss", "mailto:boss@firm.example", "assignment", 1001)
    ]
    unreachable = [e for e in await desk.events() if e.kind == "agent_unreachable"]
    assert [(e.ticket, e.agent) for e in unreachable] == [(1001, work.agent)]


async def test_a_report_about_nobody_knows_what_is_recorded(desk: RunningDesk) -> None:
    await desk.takes(bounce("<nothing@of.ours>"))

    assert await desk.messages("outcome", "ticket") == [("bounced", None)]
    assert (await desk.tickets(), await desk.outbox()) == ([], [])


# ---- chat


async def test_a_chat_is_one_ticket_and_a_visitor_who_comes_back_goes_on(desk: RunningDesk) -> None:
    lines = [desk.arrival(chat("v1", str(n), f"第{n}句"), "website") for n in range(3)]
    await desk.takes(lines[0], lines[1])
    await desk.takes(lines[2], desk.arrival(chat("v2", "1", "我是別人"), "website"))

    assert await desk.messages("ticket") == [1001, 1001, 1001, 1002]
    assert [t.contact for t in await desk.tickets()] == ["web:v1", "web:v2"]
    [assignment] = [i for i in await desk.outbox("assignment") if i.ticket == 1001]
    await desk.takes(await desk.reply_to(assignment, "您好"))
    [answer] = await desk.outbox("answer")
    assert (answer.channel, answer.address, answer.mail_id) == ("website", "web:v1", "")


async def test_a_chat_long_closed_opens_one_new_ticket_and_goes_on_there(desk: RunningDesk) -> None:
    await desk.takes(desk.arrival(chat("v1", "1", "你好"), "website"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(assignment, "！結案"))
    desk.clock.at += timedelta(days=40)
    for number in (2, 3, 4):
        await desk.takes(desk.arrival(chat("v1", str(number), "又是我"), "website"))

    assert await desk.messages("ticket") == [1001, 1001, 1002, 1002, 1002]


# ---- calls


def ring(desk: RunningDesk, event: str, second: float, **changes: Any) -> Any:
    at = NOW + timedelta(seconds=second)
    return desk.arrival(call(event, **changes), "hotline", received_at=at)


ANSWERED = (("newCall", 0, {}), ("answer", 4, {"users": ["101"]}), ("hangup", 60, {"cause": "normalClearing"}))
MISSED = (("newCall", 0, {}), ("hangup", 20, {"cause": "cancel"}))
BY_MACHINE = (("newCall", 0, {}), ("answer", 2, {"users": ["queue"]}), ("hangup", 40, {"cause": "cancel"}))


async def story(desk: RunningDesk) -> Any:
    """What is left of a call when all is said: the ticket, and what became of every promise that was not called off."""
    ticket = await desk.ticket()
    kept = [
        (t.kind.value, t.started_at, t.due_at, t.met_at, t.breached_at)
        for t in await desk.targets(ticket.id)
        if t.withdrawn_at is None or t.breached_at is not None
    ]
    return ticket.state, ticket.agent if ticket.state is TicketState.ANSWERED else "", sorted(kept)


@pytest.mark.parametrize("events", [ANSWERED, MISSED, BY_MACHINE], ids=["answered", "missed", "by a machine"])
@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_the_events_of_a_call_end_in_the_same_whatever_their_order(
    tmp_path: Path, events: tuple[tuple[str, float, dict[str, Any]], ...], is_one_batch: bool
) -> None:
    ends = []
    for number, order in enumerate(itertools.permutations(events)):
        db = Database(f"sqlite:///{tmp_path}/{number}.db")
        await upgrade(db)
        desk = RunningDesk(db)
        desk.clock.at = NOW + 2 * MINUTE
        arrivals = [ring(desk, name, at, **more) for name, at, more in (*order, order[0])]
        if is_one_batch:
            await desk.takes(*arrivals)
        else:
            for one in arrivals:
                await desk.takes(one)
        ends.append(await story(desk))
        await db.close()

    assert ends == [ends[0]] * len(ends)


async def test_a_call_that_a_person_answers_keeps_the_promise_of_three_rings(desk: RunningDesk) -> None:
    desk.clock.at = NOW + 2 * MINUTE
    await desk.takes(*(ring(desk, name, at, **more) for name, at, more in ANSWERED))

    ticket = await desk.ticket()
    [target] = await desk.targets(ticket.id)
    assert (ticket.state, ticket.agent, target.kind.value, target.met_at, target.breached_at) == (
        TicketState.ANSWERED,
        "chen",
        "first_response",
        NOW + timedelta(seconds=4),
        None,
    )
    assert await desk.outbox() == []
    assert await desk.messages("outcome") == ["call"] * 3


async def test_a_missed_call_owes_a_callback_and_is_told_to_whoever_shall_call(desk: RunningDesk) -> None:
    desk.clock.at = NOW + 2 * MINUTE
    await desk.takes(*(ring(desk, name, at, **more) for name, at, more in MISSED))

    ticket = await desk.ticket()
    owed = [t for t in await desk.targets(ticket.id) if t.is_open]
    assert [(t.kind.value, t.started_at) for t in owed] == [("callback", NOW + timedelta(seconds=20))]
    assert [(i.purpose.value, i.agent) for i in await desk.outbox()] == [("assignment", ticket.agent)]


async def test_the_callback_is_met_by_our_call_to_that_number(desk: RunningDesk) -> None:
    desk.clock.at = NOW + 10 * MINUTE
    await desk.takes(*(ring(desk, name, at, **more) for name, at, more in MISSED))
    ours = {"call_id": "c2", "direction": "out", "from": "+886223456789", "to": "+886912345678"}
    await desk.takes(ring(desk, "newCall", 300, **ours), ring(desk, "answer", 310, **ours))

    met = [t.met_at for t in await desk.targets(1001) if t.kind is TargetKind.CALLBACK]
    assert met == [NOW + timedelta(seconds=310)]


async def test_a_caller_is_joined_to_his_latest_ticket_and_not_to_his_first(desk: RunningDesk) -> None:
    desk.clock.at = NOW + 20 * MINUTE
    await desk.takes(ring(desk, "newCall", 0), ring(desk, "hangup", 20, cause="cancel"))
    [assignment] = await desk.outbox("assignment")
    await desk.takes(await desk.reply_to(assignment, "！結案"))
    await desk.takes(ring(desk, "newCall", 100, call_id="c2"), ring(desk, "hangup", 120, call_id="c2", cause="cancel"))
    await desk.takes(ring(desk, "newCall", 200, call_id="c3"))
    ours = {"call_id": "c4", "direction": "out", "from": "+886223456789", "to": "+886912345678"}
    await desk.takes(ring(desk, "answer", 310, **ours))

    assert [t.id for t in await desk.tickets()] == [1001, 1002]
    assert [t.met_at for t in await desk.targets(1002) if t.kind is TargetKind.CALLBACK] == [
        NOW + timedelta(seconds=310)
    ]


async def test_a_late_hangup_of_an_answered_call_does_not_end_the_callback_of_the_next_one(desk: RunningDesk) -> None:
    """Call A is answered; call B of the same number is missed while A's hangup is still on its way."""
    desk.clock.at = NOW + 10 * MINUTE
    one, other = {"call_id": "a"}, {"call_id": "b"}
    await desk.takes(ring(desk, "newCall", 0, **one), ring(desk, "answer", 4, users=["101"], **one))
    await desk.takes(ring(desk, "newCall", 30, **other), ring(desk, "hangup", 50, cause="cancel", **other))
    before = (await desk.ticket()).state
    await desk.takes(ring(desk, "hangup", 60, cause="normalClearing", **one))

    owed = [(t.kind, t.started_at) for t in await desk.targets(1001) if t.is_open]
    assert owed == [(TargetKind.CALLBACK, NOW + timedelta(seconds=50))]
    assert (before, (await desk.ticket()).state) == (TicketState.OPEN, TicketState.OPEN)


async def test_an_answer_told_late_ends_the_callback_of_its_own_call_and_of_no_other(desk: RunningDesk) -> None:
    desk.clock.at = NOW + 10 * MINUTE
    one, other = {"call_id": "a"}, {"call_id": "b"}
    await desk.takes(ring(desk, "newCall", 30, **other), ring(desk, "hangup", 50, cause="cancel", **other))
    await desk.takes(ring(desk, "newCall", 0, **one), ring(desk, "answer", 4, users=["101"], **one))

    owed = [(t.kind, t.started_at) for t in await desk.targets(1001) if t.is_open]
    assert owed == [(TargetKind.CALLBACK, NOW + timedelta(seconds=50))]


async def test_a_caller_whose_mail_is_known_can_be_answered_by_mail(desk: RunningDesk) -> None:
    desk.clock.at = NOW + 2 * MINUTE
    await desk.takes(mail(From="mei@example.com"))
    async with desk.db.transaction() as tx:
        await tx.execute(
            writing.customers.CONTACT.insert(),
            {
                "address": "tel:+886912345678",
                "customer": 1,
                "name": "王",
                "source": "import",
                "first_seen_at": NOW,
                "is_verified": False,
            },
        )
    await desk.takes(ring(desk, "newCall", 0), ring(desk, "hangup", 20, cause="cancel"))
    [assignment] = [i for i in await desk.outbox("assignment") if i.ticket == 1002]
    await desk.takes(await desk.reply_to(assignment, "您好，剛才沒接到您的電話。"))

    assert [(i.channel, i.address) for i in await desk.outbox("answer")] == [("mail", "mailto:mei@example.com")]


async def test_withheld_numbers_are_not_one_person(desk: RunningDesk) -> None:
    desk.clock.at = NOW + 2 * MINUTE
    hidden = {"from": "", "from_raw": "anonymous"}
    await desk.takes(ring(desk, "newCall", 0, **hidden), ring(desk, "newCall", 5, call_id="c2", **hidden))

    assert [t.customer for t in await desk.tickets()] == [1, 2]


# ---- poison


def failing_for(marker: str, real: Any = decide.decide) -> Any:
    def maybe(incoming: Any, desk: Any) -> Any:
        if incoming.message.text.startswith(marker):
            raise LookupError("poison")
        return real(incoming, desk)

    return maybe


async def test_g4_a_poisonous_message_is_parked_with_a_stub_and_its_mates_are_decided(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    poisonous = failing_for("poison")

    def counted(incoming: Any, view: Any) -> Any:
        if incoming.message.text.startswith("poison"):
            tried.append(incoming.id)
        return poisonous(incoming, view)

    monkeypatch.setattr(decide, "decide", counted)
    names = ["一", "poison", "三", "四"]
    receipts = await desk.takes(*(mail(w, From=f"c{n}@example{n}.com") for n, w in enumerate(names)))

    assert await desk.messages("state", "outcome", "attempts") == [
        *(("done", "opened", 1), ("parked", "opened", 3), ("done", "opened", 1), ("done", "opened", 1))
    ]
    assert len(tried) == 1 + messages.MAX_ATTEMPTS  # with its batch, and three times alone
    assert await desk.messages("reason") == [None, "LookupError: poison", None, None]
    assert len(await desk.tickets()) == 4
    assert (await receipts[1].decided).ticket is not None
    [parked] = [e for e in await desk.events() if e.kind == "message_parked"]
    assert (parked.message, parked.ticket) == (receipts[1].id, (await receipts[1].decided).ticket)


async def test_g4_where_even_the_stub_fails_it_is_parked_all_the_same(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(incoming: Any, view: Any) -> Any:
        if incoming.sender.endswith("@evil.example"):
            raise LookupError("poison")
        return real(incoming, view)

    real = decide.decide
    monkeypatch.setattr(decide, "decide", never)
    receipts = await desk.takes(mail(From="x@evil.example"), mail())

    assert await desk.messages("state") == ["parked", "done"]
    assert "message_parked" in await desk.told()
    async with asyncio.timeout(1):
        assert (await receipts[0].decided).ticket is None
    assert [t.id for t in await desk.tickets()] == [1001]


async def test_a_parked_message_that_is_put_back_is_decided_into_its_ticket(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "decide", failing_for("poison"))
    [receipt] = await desk.takes(mail("poison"))
    monkeypatch.undo()
    async with desk.db.transaction() as tx:
        await messages.requeue(tx, receipt.id)
    await desk.settle()

    assert await desk.messages("state", "outcome", "ticket") == [("done", "added", 1001)]
    assert len(await desk.tickets()) == 1


async def test_g4_octets_that_no_reader_understands_are_parked_with_a_ticket_and_hold_up_nobody(
    desk: RunningDesk,
) -> None:
    await desk.takes(
        desk.arrival(b"\xff\x00 no json", "website"),
        desk.arrival(b"{}", "hotline"),
        desk.arrival(b"[]", "website"),
        desk.arrival(chat("v1", "1", "你好"), "website"),
        mail(),
    )

    assert sorted(await desk.messages("state")) == ["done", "done", "parked", "parked", "parked"]
    assert len(await desk.tickets()) == 5


async def test_g4_a_medium_that_nobody_reads_is_parked(desk: RunningDesk) -> None:
    await desk.takes(desk.arrival(b"{}", "website", medium=Medium.LINE), mail())

    assert sorted(await desk.messages("state")) == ["done", "parked"]


async def test_g4_a_message_that_kills_the_program_every_time_is_parked_in_the_end(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As kill -9 would: nobody cleans up."""

    def deadly(incoming: Any, view: Any) -> Any:
        if incoming.message.text.startswith("deadly"):
            raise Killed
        return real(incoming, view)

    async def no_cleaning(self: Decider, ahead: Any) -> None:
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    real = decide.decide
    monkeypatch.setattr(decide, "decide", deadly)
    monkeypatch.setattr(Decider, "_give_back", no_cleaning)
    await desk.accept([desk.arrival(mail("deadly")), desk.arrival(mail("fine", From="li@other.example"))])
    deaths = 0
    while await desk.counted("state IN ('accepted', 'claimed')"):
        assert deaths < 10, "it dies for ever"
        async with desk.deciding() as loop:
            idle = asyncio.create_task(desk.wait_until_idle())
            await asyncio.wait([loop, idle], return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()
            deaths += loop.done()
            if loop.done():
                loop.exception()
        desk.clock.at += MINUTE

    assert deaths == 1 + messages.MAX_ATTEMPTS
    assert await desk.messages("state") == ["parked", "done"]
    assert len(await desk.tickets()) == 2


# ---- the lease


async def test_g13_a_decider_that_was_replaced_in_the_middle_writes_nothing(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def replaced_meanwhile(_: Decider) -> None:
        async with desk.db.transaction() as other:
            await leases.acquire(other, decide.LEASE, "node2", desk.clock.at, is_alone=True)

    monkeypatch.setattr(Decider, "_let_arrivals_first", replaced_meanwhile)  # between reading and writing
    await desk.accept([desk.arrival(mail())])
    with pytest.raises(LeaseLost):
        await desk.settle()

    assert (await desk.tickets(), await desk.outbox(), await desk.told()) == ([], [], ["message_accepted"])
    monkeypatch.undo()
    desk.clock.at += timedelta(minutes=5)
    await desk.settle()
    assert len(await desk.tickets()) == 1


async def test_g12_what_was_claimed_and_not_decided_goes_back_when_it_stops(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_in, never = asyncio.Event(), asyncio.Event()

    async def stuck(*_: Any) -> Any:
        is_in.set()
        await never.wait()

    monkeypatch.setattr(Decider, "_let_arrivals_first", stuck)
    desk.batch = 2
    await desk.accept([desk.arrival(mail(f"{n}")) for n in range(5)])
    async with desk.deciding():
        await is_in.wait()
        await asyncio.sleep(0.05)
    async with desk.db.reading() as tx:
        holder = await leases.holder(tx, decide.LEASE)

    assert await desk.messages("state", "is_alone", "attempts") == [("accepted", 0, 0)] * 5
    assert holder is not None
    assert holder[0] == ""


async def test_a_long_parse_does_not_let_the_lease_lapse(desk: RunningDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "RENEW_EVERY", 0.01)
    until = []

    class Slow:
        async def parse(self, jobs: Any) -> Any:
            for _ in range(4):
                desk.clock.at += timedelta(seconds=50)
                await asyncio.sleep(0.05)
                async with desk.db.reading() as tx:
                    until.append((await leases.holder(tx, decide.LEASE) or ("", NOW))[1] - desk.clock.at)
            return await quick.parse(jobs)

    quick, desk.parsers = desk.parsers, Slow()
    await desk.takes(mail())

    assert min(until) > timedelta(seconds=45)


async def test_a_message_that_comes_while_the_decider_looks_does_not_wait(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = desk.db.read
    looked = 0

    async def and_then_one_comes(work: Any) -> Any:
        nonlocal looked
        found = await real(work)
        looked += work is messages.any_waiting
        if looked == 1 and work is messages.any_waiting:
            await desk.accept([desk.arrival(mail())])
        return found

    monkeypatch.setattr(desk.db, "read", and_then_one_comes)
    async with desk.deciding(), asyncio.timeout(2):
        while not await desk.tickets():
            await asyncio.sleep(0.01)


async def test_who_waits_for_the_decision_hears_the_ticket_and_the_agent(desk: RunningDesk) -> None:
    [receipt] = await desk.accept([desk.arrival(chat("v1", "1", "你好"), "website")])
    waiting = asyncio.ensure_future(receipt.decided)
    await desk.settle()

    decided = await waiting
    assert (decided.message_id, decided.ticket, decided.agent) == (receipt.id, 1001, (await desk.ticket()).agent)


async def test_urgent_channels_are_decided_before_mail_that_came_first(desk: RunningDesk) -> None:
    await desk.takes(mail(), desk.arrival(chat("v1", "1", "你好"), "website"), ring(desk, "newCall", 0))

    assert await desk.messages("ticket") == [1003, 1002, 1001]


async def test_a_hostile_sender_of_many_gets_a_ticket_each_and_no_storm(desk: RunningDesk) -> None:
    await desk.takes(*(mail(f"{n}") for n in range(30)))

    assert len(await desk.tickets()) == 30
    assert len(await desk.outbox("acknowledgement")) == 3


async def test_our_own_mail_coming_home_is_known_by_its_message_id(desk: RunningDesk) -> None:
    answer = await answered(desk)
    before = len(await desk.outbox())
    await desk.takes(mail("您好，可以更正。", From="客服 <support@firm.example>", Message_ID=answer.mail_id))

    assert (await desk.messages("outcome", "speaker"))[-1] == ("ignored", "system")
    assert len(await desk.outbox()) == before


async def test_an_envelope_that_says_null_sender_is_not_acknowledged(desk: RunningDesk) -> None:
    await desk.takes(desk.arrival(mail(), envelope=Envelope(mail_from="", rcpt_to=("support@firm.example",))))

    assert await desk.outbox("acknowledgement") == []
    assert len(await desk.tickets()) == 1
