"""A complaint never comes to whom it is about, by whatever way, and he does not see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support import handdesk
from support.attackdesk import RECEIVED, octets, reply, vouched
from support.days import Days
from support.deskrun import agent, policy

from routing.policy import Team
from routing.records import Ticket

TAIPEI = ZoneInfo("Asia/Taipei")
MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=TAIPEI)
AGENTS = {name: agent(name, is_supervisor=name == "boss", complaints=True) for name in ("chen", "lin", "boss")}
TEAMS = {"desk": Team(name="desk", display_name="客服", members=("chen", "lin"), supervisors=("boss", "chen"))}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Days]:
    async with handdesk.store(tmp_path) as db:
        made = Days(db, policy=policy(agents=AGENTS, teams=TEAMS))
        made.clock.at = MONDAY
        yield made


async def complained(desk: Days) -> Ticket:
    """A ticket of chen's that is about chen: it goes to lin."""
    headers = ["From: wang@example.com", "Message-ID: <1@example.com>", "Subject: 發票"]
    raw = octets(vouched("example.com"), RECEIVED, *headers, "To: support@firm.example", body="發票開錯了，請更正。")
    await desk.takes(desk.arrival(raw, received_at=desk.clock.at))
    item = (await desk.outbox("assignment"))[-1]
    await desk.takes(desk.arrival(reply(item, f"!complaint {item.agent}"), received_at=desk.clock.at))
    await desk.leaves()
    return await ticket(desk)


async def ticket(desk: Days) -> Ticket:
    [found] = [t for t in await desk.tickets() if t.id == 1001]
    return found


async def command(desk: Days, name: str, words: str) -> None:
    item = next(i for i in reversed(await desk.outbox("assignment")) if i.agent == name)
    await desk.takes(desk.arrival(reply(item, words), received_at=desk.clock.at))
    await desk.leaves()


async def test_it_is_remembered_and_goes_to_somebody_else(desk: Days) -> None:
    found = await complained(desk)

    assert found.accused is not None
    assert found.agent is not None
    assert found.agent != found.accused


async def test_nobody_can_hand_it_back(desk: Days) -> None:
    before = await complained(desk)

    await command(desk, before.agent or "", f"!to {before.accused}")

    after = await ticket(desk)
    told = [i.recipe["code"] for i in await desk.outbox("told")]
    assert after.agent == before.agent
    assert "to_accused" in told


async def test_no_rescue_no_leave_and_no_queue_brings_it_back(desk: Days) -> None:
    before = await complained(desk)
    await command(desk, before.agent or "", "!off")

    await desk.until(MONDAY + timedelta(days=5))

    given = [e.agent for e in await desk.events() if e.kind in ("assigned", "ticket_rescued") and e.ticket == 1001]
    assert before.accused not in given[1:]
    assert (await ticket(desk)).agent != before.accused


async def test_he_is_told_of_no_breach_even_as_a_supervisor(desk: Days) -> None:
    before = await complained(desk)
    begun = len(await desk.outbox("breach"))

    await desk.until(MONDAY + timedelta(days=5))

    readers = {i.agent for i in (await desk.outbox("breach"))[begun:]}
    assert "boss" in readers
    assert before.accused not in readers


async def test_he_is_not_shown_it(desk: Days) -> None:
    before = await complained(desk)

    item = next(i for i in await desk.outbox("assignment") if i.agent == before.accused)
    for name in (before.accused, "boss"):
        plain = {
            "From": f"{name}@firm.example",
            "To": "support@firm.example",
            "In-Reply-To": None,
            "Message-ID": f"<{name}@f>",
        }
        raw = reply(item, "!show 1001", **plain)
        await desk.takes(desk.arrival(raw, received_at=desk.clock.at))

    assert [e.agent for e in await desk.events() if e.kind == "ticket_shown"] == ["boss"]
