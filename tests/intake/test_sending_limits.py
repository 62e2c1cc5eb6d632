"""Sending limits: what an account is too slow for waits in order, and no mail fails for what is said of the account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.handdesk import HandSender, keep, put, row, rows, stationery, store, story, target_of
from support.post import Post, answer, chat_answer, to_agent
from support.storefacts import MINUTE, NOW, outgoing, target, ticket

from channels.adapter import AccountRefused, ChannelSlowed, LoginRefused, PermanentFailure, TemporaryFailure
from channels.pacing import Pace
from intake.deliver import Deliverer
from intake.ways_out import WayOut
from routing.words import OutboxState, Purpose, TicketState
from store import tickets
from store.engine import Database

SECOND = timedelta(seconds=1)
DUE = NOW + 60 * MINUTE
ACK = {"due_at": DUE.isoformat(), "is_open": True, "calendar": "desk"}


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        await keep(db, ticket(), targets=[target()])
        yield db


@pytest.fixture
def post(db: Database) -> Post:
    return Post(db)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intake.results.random.random", lambda: 0.0)


def letters(purpose: Purpose, count: int) -> list[Any]:
    """So many of a kind, each for itself."""
    made = []
    for n in range(count):
        own = {"mail_id": f"<{purpose.value}.{n}@firm.example>"}
        if purpose is Purpose.ANSWER:
            made.append(answer(**own, address=f"mailto:a{n}@example.com"))
        elif purpose is Purpose.ACKNOWLEDGEMENT:
            made.append(answer(**own, purpose=purpose, agent=None, recipe=ACK, address=f"mailto:k{n}@example.com"))
        elif purpose in (Purpose.ASSIGNMENT, Purpose.UPDATE):
            made.append(to_agent(**own, purpose=purpose, address=f"mailto:chen+{purpose.value}{n}@firm.example"))
        else:
            recipe: dict[str, Any] = {"code": "help"} if purpose is Purpose.TOLD else {"notices": _NOTICES[purpose]}
            made.append(to_agent(**own, ticket=None, purpose=purpose, recipe=recipe))
    return made


#: A warning of what was answered meanwhile does not leave: this ticket waits.
_WAITS = {"ticket": 1003, "notice": "warn_50", "target": "first_response", "ordinal": 1, "due_at": NOW.isoformat()}
_NOTICES: dict[Purpose, list[dict[str, Any]]] = {Purpose.WARNING: [_WAITS], Purpose.BREACH: []}


def paced(post: Post, **pace: int) -> Deliverer:
    return post.worker(ways={"mail": WayOut(parallel=4, pace=Pace(**pace), account="one")})


# ---- the pace, and the order of what waits


async def test_200_that_wait_for_a_slow_account_leave_in_order_and_at_its_pace(post: Post) -> None:
    await keep(post.db, ticket(1003), targets=[target(1003)])
    kinds = [Purpose.TOLD, Purpose.WARNING, Purpose.BREACH, Purpose.ACKNOWLEDGEMENT]
    kinds += [Purpose.ASSIGNMENT, Purpose.ANSWER]
    waiting = [letter for kind in kinds for letter in letters(kind, 33)]
    await put(post.db, NOW, *waiting, *letters(Purpose.UPDATE, 2))
    worker = paced(post, per_minute=30)
    left: list[int] = []

    async with post.working(worker):
        for minute in range(12):
            post.clock.at = NOW + minute * (MINUTE + 2 * SECOND)
            await post.idle(worker)
            left.append(len(post.mail.sent))

    by_id = {item.id: item.purpose for item in await rows(post.db)}
    order = [by_id[message.id] for message in post.mail.sent]
    assert left[0] == 30
    assert all(b - a <= 30 for a, b in pairwise(left))
    assert len(order) == 200
    assert order == sorted(order, key=list(Purpose).index)
    assert {item.attempts for item in await rows(post.db)} == {1}


async def test_what_waits_for_the_pace_was_not_attempted_and_its_channel_says_until_when(post: Post) -> None:
    await put(post.db, NOW, *letters(Purpose.ANSWER, 3))
    worker = paced(post, per_minute=2)

    async with post.working(worker):
        await post.idle(worker)
        third = await row(post.db, 3)
        waits = worker.ways.waits()
        away = dict(worker.ways.away)

    assert (third.state, third.attempts, third.next_attempt_at, third.error) == (OutboxState.PENDING, 0, NOW, None)
    assert (waits["mail"].why, waits["mail"].is_for_all, away) == ("2 in a minute is this account's pace", True, {})
    assert 59 <= waits["mail"].seconds <= 61


async def test_an_answer_finds_room_though_notices_have_used_their_share(post: Post) -> None:
    await put(post.db, NOW, *letters(Purpose.TOLD, 40))
    worker = paced(post, per_minute=30)

    async with post.working(worker):
        await post.idle(worker)
        notices = len(post.mail.sent)
        [number] = await put(post.db, NOW, answer())
        await post.idle(worker)

    assert (notices, (await row(post.db, number)).state) == (24, OutboxState.DELIVERED)


async def test_a_days_count_goes_on_after_a_restart(post: Post) -> None:
    await put(post.db, NOW, *letters(Purpose.ANSWER, 12))
    worker = paced(post, per_day=10)
    async with post.working(worker):
        await post.idle(worker)
    first = len(post.mail.sent)

    post.clock.at = NOW + 60 * MINUTE
    again = paced(post, per_day=10)
    async with post.working(again):
        await post.idle(again)
        after_the_restart = len(post.mail.sent)
        post.clock.at = NOW + timedelta(hours=24.5)
        await post.idle(again)

    assert (first, after_the_restart, len(post.mail.sent)) == (10, 10, 12)


async def test_two_channels_of_one_account_share_its_pace(post: Post) -> None:
    other = HandSender()
    own = {"parallel": 4, "pace": Pace(per_minute=4), "account": "one"}
    worker = Deliverer(
        post.db,
        post.clock,
        {"mail": post.mail, "second": other, "website": post.chat},
        lambda: stationery(post.policy),
        post._turn,
        schedule=post.worker()._consequences.schedule,
        unknown_retry_after=15 * MINUTE,
        ways={"mail": WayOut(**own), "second": WayOut(**own)},  # type: ignore[arg-type]
        ticks=post.ticks,
    )
    await put(post.db, NOW, *letters(Purpose.ANSWER, 3))
    await put(post.db, NOW, *(answer(channel="second", address=f"mailto:s{n}@example.com") for n in range(3)))
    await put(post.db, NOW, chat_answer())

    async with post.working(worker):
        await post.idle(worker)

    assert (len(post.mail.sent) + len(other.sent), len(post.chat.sent)) == (4, 1)


@pytest.mark.parametrize(("purpose", "count", "limit"), [(Purpose.ANSWER, 3, 2), (Purpose.TOLD, 9, 10)])
async def test_a_paced_account_costs_no_looking(post: Post, purpose: Purpose, count: int, limit: int) -> None:
    await put(post.db, NOW, *letters(purpose, count))
    worker = paced(post, per_minute=limit)
    async with post.working(worker):
        await post.idle(worker)
        before = post.turns
        await asyncio.sleep(0.3)

    assert post.turns - before <= 1


# ---- what is said of the account


async def test_a_provider_that_says_slow_down_is_left_alone_longer_each_time(post: Post) -> None:
    await put(post.db, NOW, *letters(Purpose.ANSWER, 2))
    post.mail.always = ChannelSlowed("RCPT TO: 451 4.7.500 Server busy")
    worker = post.worker(ways={"mail": WayOut(parallel=1)})
    tries: list[int] = []

    with capture_logs() as logs:
        async with post.working(worker):
            for minute in (0, 0.9, 1.01, 2.9, 3.02, 6.9, 7.03):
                post.clock.at = NOW + minute * MINUTE
                await post.idle(worker)
                tries.append(len(post.mail.sent))
            away = dict(worker.ways.away)
            waits = worker.ways.waits()["mail"]

    assert tries == [1, 1, 2, 2, 3, 3, 4]
    assert [line["event"] for line in logs if line["event"].startswith("channel_")] == ["channel_slowed"]
    assert (away, waits.why) == ({}, "RCPT TO: 451 4.7.500 Server busy")


async def test_mails_do_not_fail_because_the_account_may_not_send_however_long(post: Post) -> None:
    refused = AccountRefused("message: 550 5.4.5 Daily user sending quota exceeded")
    [number] = await put(post.db, NOW, answer())
    post.mail.always = refused
    worker = post.worker()

    with capture_logs() as logs:
        async with post.working(worker):
            for hours in range(0, 24 * 7, 2):
                post.clock.at = NOW + timedelta(hours=hours)
                await post.idle(worker)
            state, away = (await row(post.db, number)).state, dict(worker.ways.away)
            post.mail.always = None
            post.clock.at += timedelta(hours=5)
            await post.idle(worker)

    assert (state, away) == (OutboxState.PENDING, {"mail": refused.reason})
    assert (await row(post.db, number)).state is OutboxState.DELIVERED
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["account_refused"]
    assert await post.told() == []


async def test_a_rest_is_not_lengthened_by_a_clock_that_is_set_back(post: Post) -> None:
    await put(post.db, NOW, answer(), *letters(Purpose.ANSWER, 1))
    post.mail.next = [LoginRefused("535 5.7.8 wrong password")]
    worker = post.worker(ways={"mail": WayOut(parallel=1)})

    async with post.working(worker):
        await post.idle(worker)
        tried = len(post.mail.sent)
        # A quarter of an hour later the clock is put back by three hours.
        post.ahead = (timedelta(hours=3) + 15 * MINUTE + SECOND).total_seconds()
        post.clock.at = NOW - timedelta(hours=3) + 15 * MINUTE + SECOND
        late = await put(post.db, post.clock.at, answer(address="mailto:late@example.com"))
        await post.idle(worker)

    assert tried == 1
    assert late[0] in [message.id for message in post.mail.sent]


# ---- answers that did not arrive


@pytest.mark.parametrize("was", [TicketState.ANSWERED, TicketState.CLOSED])
@pytest.mark.parametrize("how", ["refused", "tried for too long"])
async def test_an_answer_refused_for_good_opens_its_ticket_again_with_its_clock(
    post: Post, was: TicketState, how: str
) -> None:
    await keep(post.db, ticket(1002, state=was), targets=[target(1002)])
    await put(post.db, NOW, answer(ticket=1002))
    recounted: list[str] = []
    worker = post.worker(on_reopened=lambda: recounted.append("!"))
    post.mail.always = PermanentFailure("550 5.1.1 no such user") if how == "refused" else TemporaryFailure("451 later")

    async with post.working(worker):
        for hours in (0, 24 * 4, 24 * 4 + 23, 24 * 5 - 1, 24 * 5):
            post.clock.at = NOW + timedelta(hours=hours)
            await post.idle(worker)

    async with post.db.reading() as tx:
        now = (await tickets.by_ids(tx, [1002]))[1002]
    [reopened] = [e for e in await story(post.db) if e.kind == "ticket_reopened"]
    assert (now.state, now.closed_at, recounted) == (TicketState.OPEN, None, ["!"])
    assert (await target_of(post.db, 1002)).is_open
    assert (reopened.ticket, reopened.agent, reopened.data["why"]) == (1002, "chen", "delivery_failed")
    assert await post.told() == [("chen", "delivery_failed")]


async def test_a_copy_that_is_refused_reopens_nothing_and_one_that_arrives_keeps_no_promise(post: Post) -> None:
    await keep(post.db, ticket(1002, state=TicketState.ANSWERED), targets=[target(1002)])
    copy = {"words": "您好", "copy": True}
    await put(
        post.db,
        NOW,
        answer(ticket=1002, recipe=copy, address="mailto:one@example.com"),
        answer(ticket=1002, recipe=copy, address="mailto:two@example.com"),
    )
    post.mail.next = [PermanentFailure("550 5.1.1 no such user")]

    await post.at(NOW)

    async with post.db.reading() as tx:
        now = (await tickets.by_ids(tx, [1002]))[1002]
    assert (now.state, (await target_of(post.db, 1002)).met_at) == (TicketState.ANSWERED, None)


# ---- a channel that is gone


async def test_what_was_to_leave_by_a_channel_that_is_gone_waits_until_it_is_back(post: Post) -> None:
    [number] = await put(post.db, NOW, outgoing(channel="second", source=None))

    await post.at(NOW)
    held = await row(post.db, number)
    senders = {"mail": post.mail, "second": post.mail}
    again = Deliverer(
        post.db,
        post.clock,
        senders,
        lambda: stationery(post.policy),
        post._turn,
        schedule=post.worker()._consequences.schedule,
        unknown_retry_after=15 * MINUTE,
        ticks=post.ticks,
    )
    await post.at(NOW + 60 * MINUTE, again)

    kinds = [e.kind for e in await story(post.db) if e.kind.startswith("deliver")]
    assert (held.state, held.held_reason, held.next_attempt_at) == (OutboxState.HELD, "channel_removed", None)
    assert "there is no channel 'second' in the configuration any more" in str(held.error)
    assert (await row(post.db, number)).state is OutboxState.DELIVERED
    assert kinds == ["delivery_held", "delivery_resumed", "delivered"]
