"""How soon agents answer in the chat is measured, and the visitor is promised that, not what nobody keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from support import handdesk
from support.attackdesk import AttackedDesk
from support.deskrun import KEYRING, chat, deliver, policy, texts
from support.storefacts import NOW

from channels.adapter import CheckState
from intake.cards import Stationery
from intake.command import check_desk
from intake.promise import chat_promise, measured
from routing.reach import ENOUGH

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with handdesk.store(tmp_path) as db:
        made = AttackedDesk(db, policy=policy())
        made.clock.at = NOW - timedelta(hours=2)
        yield made


async def answered(desk: AttackedDesk, number: int, after: timedelta) -> None:
    """A visitor writes, and has his first answer after so long."""
    words = chat(f"s{number}", "m1", "請問營業稅怎麼申報？")
    await desk.takes(desk.arrival(words, "website", received_at=desk.clock.at))
    item = (await desk.outbox("assignment"))[-1]
    await deliver(desk.db, item, desk.clock.at + after)


async def test_after_ten_answers_that_took_six_minutes_six_minutes_are_promised(desk: AttackedDesk) -> None:
    for number in range(ENOUGH):
        await answered(desk, number, 6 * MINUTE)
    async with desk.db.reading() as tx:
        reach = await measured(tx, desk.policy)
    desk.clock.at = NOW

    await desk.takes(desk.arrival(chat("new", "m1", "在嗎？"), "website", received_at=NOW))

    told = (await desk.outbox("acknowledgement"))[-1]
    [target] = await desk.targets((await desk.tickets())[-1].id)
    assert reach == {"website": 6 * MINUTE}
    assert told.recipe["due_at"] == (NOW + 6 * MINUTE).isoformat()
    assert target.due_at == NOW + MINUTE  # what the firm owes does not move
    with_ = Stationery(policy=desk.policy, keyring=KEYRING, texts=texts())
    assert "6" in chat_promise(with_, "website", "zh-Hant", NOW, reach["website"])
    assert "1" in chat_promise(with_, "website", "zh-Hant", NOW)
    async with desk.db.reading() as tx:
        [line] = await check_desk._promised_too_soon(tx, desk.policy, NOW)
    assert (line.found, line.state) == ("website 60s", CheckState.WARNING)
    assert "6 min" in line.problem
    assert 'chat = "6min"' in line.mend


async def test_too_few_answers_are_believed_by_nobody(desk: AttackedDesk) -> None:
    for number in range(ENOUGH - 1):
        await answered(desk, number, 6 * MINUTE)

    async with desk.db.reading() as tx:
        assert await measured(tx, desk.policy) == {}
