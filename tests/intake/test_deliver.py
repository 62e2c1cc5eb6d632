"""The outbox worker: at least once, in order, each failure treated as what it is, and the promise stamped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from support.deskrun import policy
from support.handdesk import keep, put, row, rows, store, story, target_of
from support.post import CHEN, Post, answer, chat_answer, to_agent
from support.storefacts import MINUTE, NOW, target, ticket

from channels.adapter import (
    ChannelAway,
    Delivery,
    DeliveryState,
    LoginRefused,
    OutboundMessage,
    PermanentFailure,
    StoreUnavailable,
    TemporaryFailure,
    UnknownDelivery,
)
from intake.ways_out import PARALLEL, WayOut
from routing.backoff import RetrySchedule
from routing.records import Target
from routing.words import OutboxState, Purpose, TargetKind
from store import deadlines, outbox
from store.engine import Database

DUE = NOW + 60 * MINUTE


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        await keep(db, ticket(), targets=[target()])
        yield db


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What is logged is not painted: tracebacks for a terminal take seconds."""
    with capture_logs():
        yield


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at their times to the second."""
    monkeypatch.setattr("intake.results.random.random", lambda: 0.0)


@pytest.fixture
def post(db: Database) -> Post:
    return Post(db)


def test_g3_the_schedule_is_the_promised_one() -> None:
    assert RetrySchedule().first == (MINUTE, 5 * MINUTE, 15 * MINUTE, 60 * MINUTE)
    assert (RetrySchedule().then_every, RetrySchedule().give_up_after) == (timedelta(hours=4), timedelta(days=5))


# ---- delivered, and the stamp


async def test_what_was_handed_over_is_done_and_its_octets_are_dropped(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())

    await post.at(NOW)

    done = await row(post.db, number)
    async with post.db.reading() as tx:
        kept = await outbox.stored_bytes(tx, [number])
    assert (done.state, done.attempts, done.delivered_at) == (OutboxState.DELIVERED, 1, NOW)
    assert (done.remote_id, done.next_attempt_at, kept) == ("250 queued as 1", None, {})
    assert post.mail.recipients == ["mei@example.com"]


@pytest.mark.parametrize(
    ("delivered_at", "breached_at", "margin"),
    [(DUE - MINUTE, None, 60.0), (DUE, None, 0.0), (DUE + MINUTE, DUE, -60.0)],
    ids=["in time", "at the last moment", "late"],
)
async def test_an_answer_stamps_the_first_response_with_both_times(
    post: Post, delivered_at: datetime, breached_at: datetime | None, margin: float
) -> None:
    await put(post.db, NOW, answer())

    await post.at(delivered_at)

    stamped = await target_of(post.db, 1001)
    [event] = [e for e in await story(post.db) if e.kind == "first_response_recorded"]
    assert (stamped.answered_at, stamped.met_at, stamped.breached_at) == (NOW - MINUTE, delivered_at, breached_at)
    assert (event.ticket, event.agent, event.data["margin_s"]) == (1001, "chen", margin)
    assert event.data["answered_at"] == (NOW - MINUTE).isoformat()
    assert event.data["delivered_at"] == delivered_at.isoformat()


async def test_an_answer_kept_for_a_chat_visitor_counts_as_delivered_and_keeps_its_words(post: Post) -> None:
    [number] = await put(post.db, NOW, chat_answer())
    post.chat.next = [DeliveryState.STORED]

    await post.at(NOW + MINUTE)

    kept = await row(post.db, number)
    async with post.db.reading() as tx:
        octets = await outbox.stored_bytes(tx, [number])
    assert (kept.state, kept.next_attempt_at) == (OutboxState.STORED, None)
    assert octets == {number: "您好".encode()}
    assert (await target_of(post.db, 1001)).met_at == NOW + MINUTE


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.ANSWER])
async def test_nothing_but_a_persons_words_keeps_the_promise(post: Post, purpose: Purpose) -> None:
    warned = {"ticket": 1001, "notice": "warn_50", "target": "first_response", "ordinal": 1, "due_at": DUE.isoformat()}
    recipe: dict[str, Any] = {"token": "", "message": None, "why": [], "code": "help", "notices": [warned]}
    recipe |= {"due_at": DUE.isoformat(), "is_open": True, "calendar": "desk"}
    await put(post.db, NOW, to_agent(purpose=purpose, recipe=recipe))

    await post.at(NOW + MINUTE)

    [item] = await rows(post.db)
    assert item.state is OutboxState.DELIVERED
    assert (await target_of(post.db, 1001)).met_at is None


async def test_what_was_asked_after_the_answer_is_not_answered_by_it(post: Post) -> None:
    """The answer waits for a greylisting server while the customer asks again."""
    later = target(
        kind=TargetKind.NEXT_RESPONSE, started_at=NOW + MINUTE, due_at=DUE + MINUTE, next_at=NOW + 31 * MINUTE
    )
    await put(post.db, NOW, answer())
    await keep(post.db, targets=[later])

    await post.at(NOW + 5 * MINUTE)

    async with post.db.reading() as tx:
        found: list[Target] = (await deadlines.of_tickets(tx, [1001]))[1001]
    assert {t.kind: t.met_at for t in found} == {
        TargetKind.FIRST_RESPONSE: NOW + 5 * MINUTE,
        TargetKind.NEXT_RESPONSE: None,
    }


async def test_one_answer_is_counted_once(post: Post) -> None:
    await put(post.db, NOW, answer(), answer(mail_id="<second@firm.example>"))

    await post.at(NOW + MINUTE)

    assert [e.kind for e in await story(post.db)].count("first_response_recorded") == 1
    assert len(post.mail.sent) == 2


# ---- temporary


async def test_g3_a_temporary_failure_is_tried_again_at_growing_distances_for_five_days(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    post.mail.always = TemporaryFailure("451 greylisted")

    moments = [NOW]
    while True:
        await post.at(moments[-1])
        item = await row(post.db, number)
        if item.next_attempt_at is None:
            break
        assert item.state is OutboxState.PENDING
        moments.append(item.next_attempt_at)

    waits = [later - earlier for earlier, later in pairwise(moments)]
    assert waits[:5] == [MINUTE, 5 * MINUTE, 15 * MINUTE, 60 * MINUTE, timedelta(hours=4)]
    assert set(waits[4:]) == {timedelta(hours=4)}
    assert timedelta(days=4, hours=20) < moments[-1] - NOW <= timedelta(days=5)
    assert (item.state, item.error, item.attempts) == (OutboxState.FAILED, "451 greylisted", len(moments))
    assert await post.told() == [("chen", "delivery_failed")]
    assert len({m.body for m in post.mail.sent if m.id == number}) == 1
    assert (await target_of(post.db, 1001)).met_at is None


async def test_nothing_is_tried_before_its_time(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    post.mail.next = [TemporaryFailure("451 later")]

    await post.at(NOW)
    await post.at(NOW + MINUTE - timedelta(milliseconds=1))
    before = (await row(post.db, number)).attempts
    await post.at(NOW + MINUTE)

    assert (before, (await row(post.db, number)).state) == (1, OutboxState.DELIVERED)


async def test_a_server_that_names_a_time_is_given_it(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    post.mail.next = [TemporaryFailure("slow down", retry_after=600.0)]

    await post.at(NOW)

    assert (await row(post.db, number)).next_attempt_at == NOW + 10 * MINUTE


# ---- permanent


async def test_a_permanent_failure_is_told_to_the_agent_at_once_with_his_words(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    post.mail.next = [PermanentFailure("RCPT TO: 550 5.1.1 no such user")]

    await post.at(NOW)

    failed, told = await rows(post.db)
    assert (failed.id, failed.state, failed.next_attempt_at) == (number, OutboxState.FAILED, None)
    assert (told.purpose, told.address, told.state) == (Purpose.TOLD, CHEN, OutboxState.DELIVERED)
    assert told.recipe["code"] == "delivery_failed"
    assert told.recipe["detail"] == "RCPT TO: 550 5.1.1 no such user"
    assert told.recipe["would_have_left"] == "您好"
    assert post.mail.recipients == ["mei@example.com", "chen@firm.example"]
    assert [e.kind for e in await story(post.db)] == ["delivery_failed", "delivered"]


async def test_an_acknowledgement_that_fails_troubles_nobody(post: Post) -> None:
    recipe = {"due_at": DUE.isoformat(), "is_open": True, "calendar": "desk"}
    await put(post.db, NOW, answer(purpose=Purpose.ACKNOWLEDGEMENT, agent=None, recipe=recipe))
    post.mail.next = [PermanentFailure("550 no")]

    await post.at(NOW)

    assert [(i.purpose, i.state) for i in await rows(post.db)] == [(Purpose.ACKNOWLEDGEMENT, OutboxState.FAILED)]


@pytest.mark.parametrize("purpose", [Purpose.ASSIGNMENT, Purpose.UPDATE])
@pytest.mark.parametrize("how", ["refused", "unknown for good"])
async def test_g5_work_that_may_not_have_reached_its_agent_is_shown_to_a_supervisor(
    post: Post, purpose: Purpose, how: str
) -> None:
    await put(post.db, NOW, to_agent(purpose=purpose))
    if how == "refused":
        post.mail.next = [PermanentFailure("550 mailbox gone")]
        await post.at(NOW)
    else:
        post.mail.next = [UnknownDelivery("cut"), UnknownDelivery("cut")]
        await post.at(NOW)
        await post.at(NOW + 15 * MINUTE)

    seen = [(i.agent, i.purpose, i.state) for i in (await rows(post.db))[1:]]
    unreachable = [e for e in await story(post.db) if e.kind == "agent_unreachable"]
    assert seen == [("boss", Purpose.BREACH, OutboxState.DELIVERED)]
    assert [(e.ticket, e.agent, e.data["told"]) for e in unreachable] == [(1001, "chen", ["boss"])]


# ---- unknown


async def test_g3_unknown_waits_15_minutes_is_tried_once_with_the_same_octets_and_is_then_final(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    post.mail.next = [UnknownDelivery("lost after the dot"), UnknownDelivery("lost again")]

    await post.at(NOW)
    first = await row(post.db, number)
    await post.at(NOW + 15 * MINUTE - timedelta(seconds=1))
    await post.at(NOW + 15 * MINUTE)
    final = await row(post.db, number)
    await post.at(NOW + timedelta(days=30))

    attempts = [m for m in post.mail.sent if m.id == number]
    assert (first.state, first.next_attempt_at) == (OutboxState.UNKNOWN, NOW + 15 * MINUTE)
    assert (final.state, final.next_attempt_at, final.unknowns) == (OutboxState.UNKNOWN, None, 2)
    assert len(attempts) == 2
    assert attempts[0].body == attempts[1].body
    assert attempts[0].message_id == attempts[1].message_id == "<a@firm.example>"
    assert await post.told() == [("chen", "delivery_unknown")]
    assert [e.data["final"] for e in await story(post.db) if e.kind == "delivery_unknown"] == [False, True]
    assert (await target_of(post.db, 1001)).met_at is None


async def test_unknown_and_then_delivered_is_delivered_and_tells_nobody(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    post.mail.next = [UnknownDelivery("lost after the dot")]

    await post.at(NOW)
    before = (await target_of(post.db, 1001)).met_at
    await post.at(NOW + 15 * MINUTE)

    assert before is None
    assert (await row(post.db, number)).state is OutboxState.DELIVERED
    assert (await target_of(post.db, 1001)).met_at == NOW + 15 * MINUTE
    assert await post.told() == []


async def test_whatever_else_a_sender_raises_may_have_left_all_the_same(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    post.mail.next = [ZeroDivisionError("a mistake of ours")]

    await post.at(NOW)

    found = await row(post.db, number)
    assert (found.state, found.error) == (OutboxState.UNKNOWN, "ZeroDivisionError: a mistake of ours")


async def test_g3_what_was_cut_off_by_the_end_of_the_program_is_unknown_and_leaves_with_the_same_octets(
    post: Post,
) -> None:
    [number] = await put(post.db, NOW, answer())
    item = await row(post.db, number)
    async with post.db.transaction() as tx:
        await outbox.begin_attempts(tx, [(item, b"the octets that left\r\n")], NOW, NOW + 15 * MINUTE)

    await post.at(NOW + MINUTE)
    cut_off = await row(post.db, number)
    await post.at(NOW + 16 * MINUTE)

    assert (cut_off.state, cut_off.next_attempt_at) == (OutboxState.UNKNOWN, NOW + 16 * MINUTE)
    assert cut_off.error == "the program ended during the attempt"
    assert [m.body for m in post.mail.sent] == [b"the octets that left\r\n"]
    assert (await row(post.db, number)).state is OutboxState.DELIVERED


async def test_g13_another_nodes_attempt_is_left_alone_until_its_lease_is_over(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    item = await row(post.db, number)
    async with post.db.transaction() as tx:
        await outbox.begin_attempts(tx, [(item, b"octets")], NOW, NOW + 15 * MINUTE)

    await post.at(NOW + MINUTE, post.worker(is_alone=False))
    during = (await row(post.db, number)).state
    await post.at(NOW + 15 * MINUTE, post.worker(is_alone=False))

    assert (during, (await row(post.db, number)).state) == (OutboxState.ATTEMPTING, OutboxState.UNKNOWN)


# ---- order, and who does not hold up whom


async def test_order_is_kept_for_one_ticket_and_recipient(post: Post) -> None:
    first, second = await put(post.db, NOW, answer(), answer(mail_id="<second@firm.example>"))
    post.mail.next = [TemporaryFailure("451 later")]

    await post.at(NOW)
    waiting = (await row(post.db, second)).attempts
    await post.at(NOW + MINUTE)

    assert waiting == 0
    assert [m.id for m in post.mail.sent] == [first, first, second]
    assert post.mail.most_at_once == 1


@pytest.mark.parametrize("blocker", ["held", "failed", "unknown for good", "another lane"])
async def test_what_does_not_move_any_more_holds_up_nobody(post: Post, blocker: str) -> None:
    first = answer(held_reason="looks_like_note" if blocker == "held" else None)
    if blocker == "another lane":
        first = answer(address="mailto:mei2@example.com")
    await put(post.db, NOW, first, answer(mail_id="<second@firm.example>"))
    if blocker == "failed":
        post.mail.next = [PermanentFailure("550 no")]
    if blocker == "unknown for good":
        async with post.db.transaction() as tx:
            await outbox.record_failure(tx, 1, OutboxState.UNKNOWN, "lost", None)
    if blocker == "another lane":
        post.mail.next = [TemporaryFailure("451 later")]

    await post.at(NOW)

    assert (await row(post.db, 2)).state is OutboxState.DELIVERED


async def test_one_row_that_cannot_be_made_stops_no_other(post: Post) -> None:
    broken, nowhere, good = await put(
        post.db,
        NOW,
        answer(recipe={}, address="mailto:one@example.com"),
        answer(channel="gone", address="mailto:two@example.com"),
        answer(address="mailto:three@example.com"),
    )

    await post.at(NOW)

    states = {i.id: (i.state, i.error) for i in await rows(post.db) if i.id <= good}
    assert states[good] == (OutboxState.DELIVERED, None)
    assert states[nowhere][0] is OutboxState.HELD
    assert states[broken][0] is OutboxState.FAILED
    assert str(states[broken][1]).startswith("it could not be composed: ")


async def test_a_refused_login_rests_its_channel_and_no_other(post: Post) -> None:
    await put(post.db, NOW, answer(), answer(address="mailto:two@example.com"), chat_answer())
    post.mail.always = LoginRefused("535 5.7.8 wrong password")
    worker = post.worker()

    async with post.working(worker):
        await post.idle(worker)
        at_first = len(post.mail.sent)
        post.clock.at = NOW + 14 * MINUTE
        await post.idle(worker)
        resting = len(post.mail.sent)
        post.mail.always = None
        post.clock.at = NOW + 16 * MINUTE
        await post.idle(worker)

    assert (at_first, resting) == (at_first, at_first)
    assert at_first <= 2
    assert [i.state for i in await rows(post.db)] == [OutboxState.DELIVERED] * 3
    assert len(post.chat.sent) == 1


async def test_a_server_that_is_away_is_tried_with_one_mail_and_not_with_all(post: Post) -> None:
    await put(post.db, NOW, *(answer(address=f"mailto:{n}@example.com") for n in range(50)))
    post.mail.always = ChannelAway("connection refused")
    worker = post.worker()

    async with post.working(worker):
        for seconds in range(0, 50, 10):
            post.clock.at = NOW + timedelta(seconds=seconds)
            await post.idle(worker)

    assert len(post.mail.sent) <= PARALLEL + 4


async def test_g11_a_channel_that_is_away_is_known_with_its_reason_until_it_is_back(post: Post) -> None:
    await put(post.db, NOW, answer(), chat_answer())
    post.mail.next = [ChannelAway("connection refused")]
    worker = post.worker()

    async with post.working(worker):
        await post.idle(worker)
        away = dict(worker.ways.away)
        post.clock.at = NOW + MINUTE
        await post.idle(worker)

    assert (away, worker.ways.away) == ({"mail": "connection refused"}, {})


async def test_no_more_than_so_many_leave_at_one_time(post: Post) -> None:
    await put(post.db, NOW, *(answer(address=f"mailto:{n}@example.com") for n in range(40)))
    post.mail.waits = asyncio.Event()
    worker = post.worker()

    async with post.working(worker):
        await post.idle(worker)
        waiting = len(post.mail.sent)
        post.mail.waits.set()
        await post.idle(worker)

    assert (waiting, post.mail.most_at_once, len(post.mail.sent)) == (PARALLEL, PARALLEL, 40)


async def test_what_is_said_to_customers_leaves_before_what_is_said_by_machines(post: Post) -> None:
    recipe = {"due_at": DUE.isoformat(), "is_open": True, "calendar": "desk"}
    machine = answer(purpose=Purpose.ACKNOWLEDGEMENT, agent=None, recipe=recipe, address="mailto:two@example.com")
    await put(post.db, NOW, machine, answer())

    await post.at(NOW)

    assert post.mail.recipients == ["mei@example.com", "two@example.com"]


@pytest.mark.parametrize("why", ["a lane that waits", "a channel that rests", "all hands busy"])
async def test_waiting_costs_no_looking(post: Post, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """What is overdue and may not leave yet must not be looked for twenty times a second, for days."""
    looks = 0
    due = outbox.due

    async def counted(*arguments: Any, **more: Any) -> Any:
        nonlocal looks
        looks += 1
        return await due(*arguments, **more)

    await put(post.db, NOW, answer(), answer(mail_id="<second@firm.example>"))
    if why == "a lane that waits":
        post.mail.next = [UnknownDelivery("lost")]
    elif why == "a channel that rests":
        post.mail.next = [LoginRefused("535 no")]
    else:
        post.mail.waits = asyncio.Event()
    worker = post.worker()

    async with post.working(worker):
        await post.idle(worker)
        monkeypatch.setattr("intake.deliver.outbox.due", counted)
        await asyncio.sleep(0.5)

    assert looks <= 2


# ---- the end, and a store that is not there


async def test_g12_what_is_being_handed_over_at_the_end_is_finished_and_written_down(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    post.mail.waits = asyncio.Event()
    worker = post.worker(drain=timedelta(seconds=5))

    async with post.working(worker):
        await post.idle(worker)
        asyncio.get_running_loop().call_later(0.1, post.mail.waits.set)

    assert (await row(post.db, number)).state is OutboxState.DELIVERED


async def test_g12_what_does_not_end_in_time_is_unknown_at_the_next_start(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    post.mail.waits = asyncio.Event()

    await post.at(NOW)
    ended = (await row(post.db, number)).state
    post.mail.waits.set()
    await post.at(NOW + MINUTE)

    assert (ended, (await row(post.db, number)).state) == (OutboxState.ATTEMPTING, OutboxState.UNKNOWN)


async def test_a_result_that_could_not_be_written_is_written_when_the_store_is_back_and_nothing_leaves_twice(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    [number] = await put(post.db, NOW, answer())

    def full(name: str) -> None:
        if name == "record.before_commit":
            raise StoreUnavailable("database or disk is full")

    monkeypatch.setattr("intake.deliver.crashpoint", full)
    worker = post.worker()
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(worker.run(), 10)
    monkeypatch.undo()
    monkeypatch.setattr("intake.results.random.random", lambda: 0.0)

    await post.at(NOW + MINUTE, worker)

    assert (await row(post.db, number)).state is OutboxState.DELIVERED
    assert len(post.mail.sent) == 1
    assert [e.kind for e in await story(post.db)] == ["delivered", "first_response_recorded"]


async def test_what_cannot_be_written_before_it_leaves_does_not_leave(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(post.db, NOW, answer())

    def full(name: str) -> None:
        if name == "attempt.before_commit":
            raise StoreUnavailable("database or disk is full")

    monkeypatch.setattr("intake.deliver.crashpoint", full)
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(post.worker().run(), 10)

    assert post.mail.sent == []
    assert [(i.state, i.attempts) for i in await rows(post.db)] == [(OutboxState.PENDING, 0)]


async def test_a_held_row_does_not_leave(post: Post) -> None:
    [number] = await put(post.db, NOW, answer(held_reason="looks_like_note"))
    await post.at(NOW)
    await post.at(NOW + MINUTE)

    assert (post.mail.sent, (await row(post.db, number)).state) == ([], OutboxState.HELD)


async def test_the_octets_are_in_the_store_before_a_socket_opens(post: Post) -> None:
    [number] = await put(post.db, NOW, answer())
    post.mail.waits = asyncio.Event()
    worker = post.worker()

    async with post.working(worker):
        await post.idle(worker)
        async with post.db.reading() as tx:
            kept = await outbox.stored_bytes(tx, [number])
            state = await tx.scalar(text("SELECT state FROM outbox"))
        post.mail.waits.set()
        await post.idle(worker)

    assert (kept, state) == ({number: post.mail.sent[0].body}, "attempting")


# ---- a relay's odd words, and results that cannot be written down


@pytest.mark.parametrize("failure", [TemporaryFailure, PermanentFailure, UnknownDelivery])
async def test_a_result_whose_words_cannot_be_stored_stops_no_other(post: Post, failure: type[Exception]) -> None:
    """Octets of a reply that are no UTF-8 reach us as surrogates, which no store takes."""
    poisoned, good = await put(post.db, NOW, answer(), answer(address="mailto:two@example.com", mail_id="<2@f.x>"))
    post.mail.next = [failure("550 \udcd3\udcc3\udcbb\udca7")]

    await post.at(NOW)

    sad, glad = await row(post.db, poisoned), await row(post.db, good)
    assert (sad.state, glad.state) == (OutboxState.UNKNOWN, OutboxState.DELIVERED)
    assert (sad.error or "").isascii()
    assert (await target_of(post.db, 1001)).met_at == NOW


async def test_c15_a_promise_is_met_when_the_answer_was_handed_over_not_when_that_could_be_written(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    [number] = await put(post.db, NOW, answer())

    def away(name: str) -> None:
        if name == "record.before_commit":
            raise StoreUnavailable("the store is away")

    monkeypatch.setattr("intake.deliver.crashpoint", away)
    worker = post.worker()
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(worker.run(), 10)
    monkeypatch.setattr("intake.deliver.crashpoint", lambda name: None)

    await post.at(DUE + MINUTE, worker)

    found = await target_of(post.db, 1001)
    assert (found.met_at, found.breached_at) == (NOW, None)
    assert (await row(post.db, number)).delivered_at == NOW


async def test_the_log_of_a_failed_delivery_names_no_address_and_the_row_keeps_all_the_words(post: Post) -> None:
    words = "550 5.1.1 <mei@example.com>: no mailbox for Mei.Wang@example.com, ask postmaster@example.com"
    later, never, maybe = await put(
        post.db, NOW, *(answer(address=f"mailto:{n}@example.com", mail_id=f"<{n}@firm.example>") for n in "abc")
    )
    post.mail.next = [TemporaryFailure(words), PermanentFailure(words), UnknownDelivery(words)]

    await post.at(NOW)

    told = [e for e in await story(post.db) if e.kind in ("delivery_delayed", "delivery_failed", "delivery_unknown")]
    assert sorted(e.kind for e in told) == ["delivery_delayed", "delivery_failed", "delivery_unknown"]
    assert {e.data["error"] for e in told} == {"550 5.1.1 <…>: no mailbox for …, ask …"}
    assert [(await row(post.db, n)).error for n in (later, never, maybe)] == [words] * 3


# ---- channels that are not in each other's way


async def test_a_channel_that_was_being_probed_when_the_worker_ended_is_probed_again_by_its_next_run(
    post: Post,
) -> None:
    first, second = await put(post.db, NOW, answer(), answer(address="mailto:two@example.com", mail_id="<2@f.x>"))
    post.mail.always = ChannelAway("connection refused")
    worker = post.worker()
    await post.at(NOW, worker)
    tried = len(post.mail.sent)
    post.mail.always, post.mail.waits = None, asyncio.Event()
    await post.at(NOW + 5 * MINUTE, worker)
    probes = len(post.mail.sent) - tried
    post.mail.waits = None

    await post.at(NOW + 30 * MINUTE, worker)

    states = {(await row(post.db, n)).state for n in (first, second)}
    assert probes == 1
    assert states == {OutboxState.UNKNOWN, OutboxState.DELIVERED}  # the probe that was cut off, and the other


async def test_a_relay_that_falls_mute_does_not_keep_the_chat_waiting(post: Post) -> None:
    """However much mail there is: a visitor sits before his page."""
    await put(post.db, NOW, *(answer(address=f"mailto:{n}@example.com", mail_id=f"<{n}@f.x>") for n in range(120)))
    [line] = await put(post.db, NOW, chat_answer())
    post.mail.waits = asyncio.Event()
    worker = post.worker(ways={"mail": WayOut(parallel=4)})

    async with post.working(worker):
        await post.idle(worker)
        shown, mails = (await row(post.db, line)).state, post.mail.most_at_once
        [later] = await put(post.db, NOW, chat_answer(address="web:fedcba9876543210"))
        await post.idle(worker)
        shown_later = (await row(post.db, later)).state

    assert (mails, shown, shown_later) == (4, OutboxState.DELIVERED, OutboxState.DELIVERED)


async def test_a_relay_that_is_lost_while_others_of_its_mails_hang_does_not_keep_the_chat_waiting(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(post.db, NOW, *(answer(address=f"mailto:{n}@example.com", mail_id=f"<{n}@f.x>") for n in range(120)))
    hangs = asyncio.Event()

    async def send(message: OutboundMessage) -> Delivery:
        post.mail.sent.append(message)
        if len(post.mail.sent) == 1:
            raise ChannelAway("connection reset")
        await hangs.wait()
        raise AssertionError

    monkeypatch.setattr(post.mail, "send", send)
    worker = post.worker(ways={"mail": WayOut(parallel=4)})

    async with post.working(worker):
        await post.idle(worker)
        post.clock.at = NOW + MINUTE
        [line] = await put(post.db, NOW, chat_answer())
        await post.idle(worker)
        shown = (await row(post.db, line)).state

    assert (shown, len(post.mail.sent)) == (OutboxState.DELIVERED, 4)


@pytest.mark.parametrize("is_alone", [True, False])
async def test_what_another_node_left_in_the_middle_is_taken_up_without_a_restart(
    post: Post, monkeypatch: pytest.MonkeyPatch, is_alone: bool
) -> None:
    monkeypatch.setattr("intake.deliver.STOCK_EVERY", 0.0)
    worker = post.worker(is_alone=is_alone)
    async with post.working(worker):
        await post.idle(worker)
        [number] = await put(post.db, NOW + MINUTE, answer())
        item = await row(post.db, number)
        async with post.db.transaction() as tx:
            await outbox.begin_attempts(tx, [(item, b"octets")], NOW, NOW + 15 * MINUTE)
        post.clock.at = NOW + 15 * MINUTE - timedelta(seconds=1)
        await post.idle(worker)
        during = (await row(post.db, number)).state
        post.clock.at = NOW + 15 * MINUTE
        await post.idle(worker)
        after = (await row(post.db, number)).state

    # Who is alone is at it himself: there nobody else's time can be over.
    assert (during, after) == (OutboxState.ATTEMPTING, OutboxState.ATTEMPTING if is_alone else OutboxState.UNKNOWN)


async def test_an_acknowledgement_that_cannot_leave_does_not_hold_back_the_answer(post: Post) -> None:
    recipe = {"due_at": DUE.isoformat(), "is_open": True, "calendar": "desk"}
    machine = answer(purpose=Purpose.ACKNOWLEDGEMENT, agent=None, recipe=recipe, mail_id="<ack@firm.example>")
    [acknowledgement] = await put(post.db, NOW, machine)
    post.mail.next = [TemporaryFailure("451 greylisted")]
    await post.at(NOW)
    [words] = await put(post.db, NOW, answer())

    await post.at(NOW + timedelta(seconds=1))

    assert (await row(post.db, acknowledgement)).state is OutboxState.PENDING
    assert (await row(post.db, words)).state is OutboxState.DELIVERED


# ---- what a page has shown, and who has left


@pytest.mark.parametrize("state", ["cut off by a crash", "not yet found by the next start"])
async def test_a_line_that_was_cut_off_and_is_then_seen_on_the_page_keeps_the_promise_as_of_then(
    post: Post, state: str
) -> None:
    [number] = await put(post.db, NOW, chat_answer())
    item = await row(post.db, number)
    async with post.db.transaction() as tx:
        await outbox.begin_attempts(tx, [(item, "您好".encode())], NOW, NOW + 45 * MINUTE)
    if state == "cut off by a crash":
        await post.at(NOW + MINUTE)
    post.clock.at = NOW + 2 * MINUTE

    worker = post.worker()
    await worker.seen("mail", number)  # of another channel: says nothing about this row
    before = (await row(post.db, number)).state
    await worker.seen("website", number)
    await worker.seen("website", number)
    await post.at(NOW + 60 * MINUTE, worker)

    shown, met = await row(post.db, number), await target_of(post.db, 1001)
    assert before is not OutboxState.DELIVERED
    assert (shown.state, shown.delivered_at, met.met_at) == (OutboxState.DELIVERED, NOW + 2 * MINUTE, NOW + 2 * MINUTE)
    assert [e.kind for e in await story(post.db)].count("first_response_recorded") == 1
    assert post.chat.sent == []


async def test_a_line_that_was_kept_and_counted_is_not_counted_again_when_it_is_seen(post: Post) -> None:
    [number] = await put(post.db, NOW, chat_answer())
    post.chat.next = [DeliveryState.STORED]
    worker = post.worker()
    await post.at(NOW + MINUTE, worker)
    post.clock.at = NOW + 10 * MINUTE

    await worker.seen("website", number)

    assert ((await row(post.db, number)).state, (await target_of(post.db, 1001)).met_at) == (
        OutboxState.DELIVERED,
        NOW + MINUTE,
    )
    assert [e.kind for e in await story(post.db)] == ["delivered", "first_response_recorded"]


async def test_who_has_left_the_firm_gets_no_mail_though_it_was_composed_before(post: Post) -> None:
    [number] = await put(post.db, NOW, to_agent())
    post.mail.next = [TemporaryFailure("451 greylisted")]
    await post.at(NOW)
    composed = [m.body for m in post.mail.sent]
    post.policy = policy(agents={name: a for name, a in post.policy.agents.items() if name != "chen"})

    await post.at(NOW + MINUTE)

    assert len(composed) == 1
    assert (await row(post.db, number)).state is OutboxState.FAILED
    assert "chen@firm.example" not in post.mail.recipients[1:]


# ---- the end of the program


async def test_g12_once_the_program_is_ending_nothing_new_is_begun_and_what_is_in_hand_is_finished(post: Post) -> None:
    [first] = await put(post.db, NOW, answer())
    post.mail.waits = asyncio.Event()
    worker = post.worker(drain=timedelta(seconds=5))

    async with post.working(worker):
        await post.idle(worker)
        worker.begin_nothing_new()
        [second] = await put(post.db, NOW, answer(address="mailto:two@example.com", mail_id="<2@firm.example>"))
        await post.idle(worker)
        post.mail.waits.set()
        await post.idle(worker)

    assert post.mail.recipients == ["mei@example.com"]
    assert [(i.id, i.state, i.attempts) for i in await rows(post.db)] == [
        (first, OutboxState.DELIVERED, 1),
        (second, OutboxState.PENDING, 0),
    ]


@pytest.mark.parametrize("was", [OutboxState.PENDING, OutboxState.UNKNOWN])
async def test_g12_what_was_begun_and_handed_to_nobody_is_put_back_as_it_was(
    post: Post, monkeypatch: pytest.MonkeyPatch, was: OutboxState
) -> None:
    [number] = await put(post.db, NOW, answer())
    if was is OutboxState.UNKNOWN:
        post.mail.next = [UnknownDelivery("lost after the dot")]
        await post.at(NOW)
    sent = len(post.mail.sent)
    before = await row(post.db, number)
    post.clock.at = NOW + 15 * MINUTE

    def ends(name: str) -> None:
        if name == "attempt.after_commit":
            raise asyncio.CancelledError

    monkeypatch.setattr("intake.deliver.crashpoint", ends)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(post.worker().run(), 10)
    monkeypatch.setattr("intake.deliver.crashpoint", lambda name: None)
    after = await row(post.db, number)
    await post.at(NOW + 16 * MINUTE)

    assert (before.state, after.state) == (was, was)
    assert (after.attempts, after.unknowns, after.next_attempt_at) == (
        before.attempts,
        before.unknowns,
        NOW + 15 * MINUTE,
    )
    assert ((await row(post.db, number)).state, len(post.mail.sent)) == (OutboxState.DELIVERED, sent + 1)
