"""The transcript: what a visitor's page shows, in order, to him alone, and nothing that is not for his eyes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest
from support.databases import Postgres, private_postgres
from support.deskrun import policy
from support.handdesk import put, store
from support.storefacts import MINUTE, NOW, arrival, outgoing

from channels.adapter import TranscriptLine
from channels.message import Medium
from intake.transcript import MAX_LINES, transcript
from routing.records import NewOutbox
from routing.words import OutboxState, Purpose
from store import messages, outbox
from store.engine import Database
from store.upgrade import upgrade

SESSION = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        yield db


async def says(db: Database, at: datetime, *words: str, session: str = SESSION, channel: str = "website") -> list[int]:
    """The visitor's lines, committed together: their numbers."""
    arrivals = []
    for number, said in enumerate(words):
        client_id = f"line-{at.timestamp():.0f}-{number}"
        raw = orjson.dumps({"session": session, "client_id": client_id, "text": said})
        arrivals.append(arrival(f"{session}:{client_id}", raw, channel=channel, medium=Medium.CHAT))
    async with db.transaction() as tx:
        return [number for number, _ in await messages.accept(tx, arrivals, at)]


def line(words: str = "您好", session: str = SESSION, **changes: object) -> NewOutbox:
    facts = {"channel": "website", "address": f"web:{session}", "mail_id": "", "recipe": {"words": words}}
    return outgoing(**(facts | changes))


async def answered(db: Database, at: datetime, words: str, state: OutboxState, **changes: object) -> int:
    """A line of ours in some state, worded as it left."""
    [number] = await put(db, at, line(words, **changes))
    item = await _item(db, number)
    async with db.transaction() as tx:
        await outbox.begin_attempts(tx, [(item, words.encode())], at, at + MINUTE)
        if state in (OutboxState.DELIVERED, OutboxState.STORED):
            is_stored = state is OutboxState.STORED
            await outbox.record_delivered(tx, {number: f"o{number}"}, at, stored=is_stored, keep_bytes=True)
        elif state is not OutboxState.ATTEMPTING:
            await outbox.record_failure(tx, number, state, "so", None)
    return number


async def _item(db: Database, number: int) -> outbox.OutboxItem:
    async with db.reading() as tx:
        found = await outbox.by_id(tx, number)
    assert found is not None
    return found


async def shown(db: Database, after: str = "", session: str = SESSION) -> list[TranscriptLine]:
    return await transcript(db, policy(), "website", session, after)


def words(lines: list[TranscriptLine]) -> list[str]:
    return [each.text for each in lines]


async def test_both_sides_in_the_order_in_which_they_spoke(db: Database) -> None:
    [question] = await says(db, NOW, "請問營業稅")
    answer = await answered(db, NOW + MINUTE, "您好", OutboxState.DELIVERED)
    [thanks] = await says(db, NOW + 2 * MINUTE, "謝謝")

    assert await shown(db) == [
        TranscriptLine(
            id=f"m{question}",
            is_from_visitor=True,
            text="請問營業稅",
            at=NOW,
            client_id=f"line-{NOW.timestamp():.0f}-0",
        ),
        TranscriptLine(id=f"o{answer}", is_from_visitor=False, text="您好", at=NOW + MINUTE, author="Chen"),
        TranscriptLine(
            id=f"m{thanks}",
            is_from_visitor=True,
            text="謝謝",
            at=NOW + 2 * MINUTE,
            client_id=f"line-{(NOW + 2 * MINUTE).timestamp():.0f}-0",
        ),
    ]


async def test_lines_that_were_committed_together_stay_in_order_beyond_the_ninth(db: Database) -> None:
    said = [f"第 {n} 行" for n in range(1, 13)]
    await says(db, NOW, *said)

    assert words(await shown(db)) == said


async def test_after_a_line_only_what_came_later(db: Database) -> None:
    await says(db, NOW, "一")
    number = await answered(db, NOW + MINUTE, "二", OutboxState.DELIVERED)
    await says(db, NOW + 2 * MINUTE, "三")

    assert words(await shown(db, after=f"o{number}")) == ["三"]
    assert words(await shown(db, after="m999999")) == ["一", "二", "三"]  # a position that nobody gave out


@pytest.mark.parametrize(
    ("state", "is_shown"),
    [
        (OutboxState.ATTEMPTING, True),
        (OutboxState.STORED, True),
        (OutboxState.UNKNOWN, True),
        (OutboxState.DELIVERED, True),
        (OutboxState.FAILED, False),
        (OutboxState.CANCELLED, False),
    ],
)
async def test_only_what_left_or_may_have_left_is_shown(db: Database, state: OutboxState, is_shown: bool) -> None:
    await answered(db, NOW, "您好", state)

    assert words(await shown(db)) == (["您好"] if is_shown else [])


@pytest.mark.parametrize("state", [OutboxState.STORED, OutboxState.UNKNOWN, OutboxState.ATTEMPTING])
async def test_what_no_page_has_confirmed_comes_again_wherever_the_page_stands(
    db: Database, state: OutboxState
) -> None:
    await answered(db, NOW, "您不在時的回覆", state)
    await answered(db, NOW, "看過的", OutboxState.DELIVERED)
    [last] = await says(db, NOW + MINUTE, "我回來了")

    assert words(await shown(db, after=f"m{last}")) == ["您不在時的回覆"]


async def test_what_waits_or_is_held_is_not_shown(db: Database) -> None:
    await put(db, NOW, line("還沒送"), line("要主管看", held_reason="looks_like_note"))

    assert await shown(db) == []


async def test_nothing_internal_is_shown(db: Database) -> None:
    """What is said to agents about this visitor goes to other addresses; even if it did not, it is no line."""
    inside = [p for p in Purpose if p not in (Purpose.ANSWER, Purpose.ACKNOWLEDGEMENT)]
    for purpose in inside:
        await answered(db, NOW, f"內部 {purpose.value}", OutboxState.DELIVERED, purpose=purpose)

    assert await shown(db) == []


async def test_a_visitor_sees_nobody_elses_lines(db: Database) -> None:
    await says(db, NOW, "別人的", session=OTHER)
    await answered(db, NOW, "給別人的", OutboxState.DELIVERED, address=f"web:{OTHER}")
    await says(db, NOW, "別的網站", channel="second-site")
    await says(db, NOW, "我的")

    assert words(await shown(db)) == ["我的"]
    assert await shown(db, session="") == []
    assert await shown(db, session=SESSION[:-1]) == []


async def test_who_speaks_is_the_agent_or_the_firm(db: Database) -> None:
    await answered(db, NOW, "人", OutboxState.DELIVERED)
    await answered(db, NOW + MINUTE, "離職的人", OutboxState.DELIVERED, agent="gone")
    await answered(db, NOW + 2 * MINUTE, "收到", OutboxState.DELIVERED, agent=None, purpose=Purpose.ACKNOWLEDGEMENT)

    assert [each.author for each in await shown(db)] == ["Chen", "誠信財稅", "誠信財稅"]


async def test_a_long_chat_shows_its_latest_lines(db: Database) -> None:
    said = [f"第 {n} 行" for n in range(MAX_LINES + 60)]
    await says(db, NOW, *said)
    await answered(db, NOW + MINUTE, "最後一行", OutboxState.DELIVERED)

    found = words(await shown(db))
    assert (len(found), found[-1], found[0]) == (MAX_LINES, "最後一行", said[-MAX_LINES + 1])


async def test_the_day_after_it_is_still_there(db: Database) -> None:
    await says(db, NOW, "昨天")
    await answered(db, NOW + timedelta(days=1), "今天", OutboxState.STORED)

    assert words(await shown(db)) == ["昨天", "今天"]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with private_postgres() as server:
        yield server


async def test_a_database_that_sorts_as_people_do_finds_the_same_lines(postgres: Postgres) -> None:
    """Where a firm's PostgreSQL has a language's collation, punctuation sorts elsewhere, or not at all."""
    collation = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
    await postgres.tell(f"CREATE DATABASE people {collation}")
    db = Database(f"{postgres.url}/people")
    try:
        await upgrade(db)
        await says(db, NOW, "別人的", session=OTHER)
        await says(db, NOW, "一", "二")
        await answered(db, NOW + MINUTE, "三", OutboxState.DELIVERED)

        assert words(await shown(db)) == ["一", "二", "三"]
        assert words(await shown(db, session=OTHER)) == ["別人的"]
    finally:
        await db.close()
