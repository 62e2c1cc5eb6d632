"""Bundling: a visitor's lines reach his agent as few mails, all of them, in order, and the first of them at once."""

from __future__ import annotations

import email
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from email import policy as mail_policy
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.deskrun import RunningDesk, chat
from support.handdesk import keep, put, rows, store, story
from support.post import SESSION, Post, to_agent
from support.storefacts import MINUTE, NOW, target, ticket

from channels.adapter import TemporaryFailure
from channels.message import Medium
from channels.pacing import Pace
from intake.bundle import bundle_of
from intake.ways_out import WayOut
from routing.records import NewOutbox
from routing.words import OutboxState, Purpose
from store import queues
from store.engine import Database

SECOND = timedelta(seconds=1)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        await keep(db, ticket(medium="chat", channel="website"), ticket(1002), targets=[target(), target(1002)])
        yield db


@pytest.fixture
def post(db: Database) -> Post:
    return Post(db)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


def line(number: int, **changes: Any) -> NewOutbox:
    facts: dict[str, Any] = {
        "purpose": Purpose.UPDATE,
        "source": number,
        "mail_id": f"<u{number}@firm.example>",
        "recipe": {"token": f"t{number}", "message": number, "why": []},
    }
    return to_agent(**(facts | changes))


async def states(post: Post) -> dict[int, OutboxState]:
    return {item.id: item.state for item in await rows(post.db)}


def slow(post: Post) -> Any:
    return post.worker(ways={"mail": WayOut(parallel=4, pace=Pace(per_minute=1))})


async def test_lines_that_wait_for_a_slow_account_leave_as_one_with_the_newest_token(post: Post) -> None:
    await put(post.db, NOW, to_agent(mail_id="<assignment@firm.example>"), *(line(n) for n in range(2, 7)))
    worker = slow(post)

    async with post.working(worker):
        await post.idle(worker)
        post.clock.at = NOW + 2 * MINUTE
        await post.idle(worker)

    left = {item.id: item for item in await rows(post.db)}
    told = [(e.kind, e.outbox, e.data.get("into")) for e in await story(post.db) if e.kind == "delivery_bundled"]
    assert [message.id for message in post.mail.sent] == [1, 6]
    assert (left[6].state, left[6].recipe["token"], left[6].recipe["messages"]) == (
        OutboxState.DELIVERED,
        "t6",
        [2, 3, 4, 5, 6],
    )
    assert {left[n].state for n in range(2, 6)} == {OutboxState.CANCELLED}
    assert {left[n].error for n in range(2, 6)} == {"bundled into 6"}
    assert told == [("delivery_bundled", n, 6) for n in range(2, 6)]


async def test_a_chats_first_line_leaves_at_once_and_those_of_the_next_seconds_together(post: Post) -> None:
    worker = post.worker()
    sent: list[list[int]] = []

    async with post.working(worker):
        await put(post.db, NOW, to_agent(mail_id="<assignment@firm.example>"))
        await post.idle(worker)
        sent.append([m.id for m in post.mail.sent])
        for second in (1, 2, 3):
            post.clock.at = NOW + second * SECOND
            await put(post.db, post.clock.at, line(second))
            await post.idle(worker)
        sent.append([m.id for m in post.mail.sent])
        post.clock.at = NOW + 5 * SECOND
        await post.idle(worker)
        sent.append([m.id for m in post.mail.sent])
        post.clock.at = NOW + 60 * SECOND
        await put(post.db, post.clock.at, line(9))
        await post.idle(worker)
        sent.append([m.id for m in post.mail.sent])

    assert sent == [[1], [1], [1, 4], [1, 4, 5]]


async def test_without_a_pause_each_line_leaves_by_itself(post: Post) -> None:
    worker = post.worker(bundle_chat=timedelta(0))

    async with post.working(worker):
        for second in (1, 2, 3):
            post.clock.at = NOW + second * SECOND
            await put(post.db, post.clock.at, line(second))
            await post.idle(worker)

    assert [m.id for m in post.mail.sent] == [1, 2, 3]


async def test_a_mails_follow_up_waits_for_no_more_when_the_line_is_free(post: Post) -> None:
    worker = post.worker()

    async with post.working(worker):
        for n in (1, 2):
            await put(post.db, NOW, line(n, ticket=1002))
            await post.idle(worker)

    assert [m.id for m in post.mail.sent] == [1, 2]


async def test_what_differs_in_more_than_its_words_stays_apart(post: Post) -> None:
    forged = {"token": "t3", "message": 3, "why": [], "standing": "unverified"}
    with_files = {"token": "t4", "message": 4, "why": [], "files": "link"}
    await put(
        post.db,
        NOW,
        line(1, ticket=1002),
        line(2, ticket=1002),
        line(3, ticket=1002, recipe=forged),
        line(4, ticket=1002, recipe=with_files),
        line(5, ticket=1002),
        line(6, ticket=1002),
    )

    await post.at(NOW)

    assert [m.id for m in post.mail.sent] == [2, 3, 4, 6]


async def test_what_was_tried_before_is_sent_as_it_was(post: Post) -> None:
    post.mail.next = [TemporaryFailure("451 later")]
    await put(post.db, NOW, line(1, ticket=1002), line(2, ticket=1002))
    await post.at(NOW)
    await put(post.db, NOW, line(3, ticket=1002))

    await post.at(NOW + 2 * MINUTE)

    bodies = [m.body for m in post.mail.sent]
    assert [m.id for m in post.mail.sent] == [2, 2, 3]
    assert bodies[0] == bodies[1]


async def test_a_bundle_that_somebody_else_has_begun_is_not_sent_twice(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node took the first line between the look and the writing."""
    await put(post.db, NOW, line(1, ticket=1002), line(2, ticket=1002))
    merge = queues.merge
    overtaken = 0

    async def late(tx: Any, into: Any, merged: Any) -> bool:
        nonlocal overtaken
        overtaken += 1
        return False if overtaken == 1 else await merge(tx, into, merged)

    monkeypatch.setattr("intake.deliver.queues.merge", late)
    await post.at(NOW)

    assert overtaken == 2
    assert [m.id for m in post.mail.sent] == [2]
    assert await states(post) == {1: OutboxState.CANCELLED, 2: OutboxState.DELIVERED}


def test_one_alone_is_no_bundle() -> None:
    assert bundle_of([]) is None


async def test_the_agent_reads_all_the_lines_in_order_each_with_its_time(tmp_path: Path) -> None:
    async with store(tmp_path) as db:
        desk, post = RunningDesk(db), Post(db)
        said = ["您好，想問營業稅", "第二句：上個月的", "third: <b>also</b> this", "最後一句"]
        for n, words in enumerate(said):
            raw = chat(SESSION, f"c{n}", words)
            await desk.takes(desk.arrival(raw, "website", medium=Medium.CHAT, received_at=NOW + n * SECOND))

        await post.at(NOW)
        await post.at(NOW + 6 * SECOND)

    mails = [email.message_from_bytes(m.body, policy=mail_policy.default) for m in post.mail.sent]
    text = [str(mail.get_body(("plain",)).get_content()) for mail in mails]  # type: ignore[union-attr]
    [first, rest] = [t for t in text if "營業稅" in t or "第二句" in t]
    assert said[0] in first
    assert said[1] not in first
    places = [rest.index(words) for words in said[1:]]
    assert places == sorted(places)
    assert rest.count("14:10") >= 3
