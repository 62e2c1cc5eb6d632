"""While the customer owes us something a promise of ours stands still: nobody is warned, and it runs on by itself."""

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
from routing.records import Target
from routing.words import TargetKind, TicketState

TAIPEI = ZoneInfo("Asia/Taipei")
AGENTS = {name: agent(name, is_supervisor=name == "boss") for name in ("chen", "boss")}
TEAMS = {"desk": Team(name="desk", display_name="客服", members=("chen",), supervisors=("boss",))}
MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=TAIPEI)  # the desk works from 09:00 to 18:00, Monday to Friday


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Days]:
    async with handdesk.store(tmp_path) as db:
        made = Days(db, policy=policy(agents=AGENTS, teams=TEAMS))
        made.clock.at = MONDAY
        yield made


def on(day: int, hour: int, minute: int = 0) -> datetime:
    """Of that November and December: 23 is its Monday, 30 the next, 32 the second of December."""
    return MONDAY.replace(hour=hour, minute=minute) + timedelta(days=day - 23)


async def writes(desk: Days, number: int, *more: str) -> None:
    headers = ["From: wang@example.com", f"Message-ID: <{number}@example.com>", "Subject: 建議", *more]
    raw = octets(vouched("example.com"), RECEIVED, *headers, "To: support@firm.example", body="網站很難用，希望改進。")
    await desk.takes(desk.arrival(raw, received_at=desk.clock.at))


async def report_back(desk: Days) -> Target:
    [found] = [t for t in await desk.targets(1001) if t.kind is TargetKind.REPORT_BACK]
    return found


async def agent_says(desk: Days, words: str) -> None:
    item = (await desk.outbox("assignment"))[-1]
    await desk.takes(desk.arrival(reply(item, words), received_at=desk.clock.at))
    await desk.leaves()


async def begun(desk: Days, wait: str = "!wait 30d") -> Target:
    """A suggestion that is to be reported back by Monday the 30th; on Tuesday its agent begins to wait."""
    await writes(desk, 1)
    await desk.until(on(24, 10))
    await agent_says(desk, f"!kind feedback\n{wait}\n您好，請提供畫面。")
    return await report_back(desk)


async def test_a_pause_is_silent_and_his_answer_lets_the_clock_run_on(desk: Days) -> None:
    stopped = await begun(desk)
    await desk.until(on(33, 9))  # past the first deadline
    silent = [e for e in await desk.events() if e.kind.startswith("target_breached") or "notice" in e.data]
    await writes(desk, 2, "In-Reply-To: <1@example.com>")
    runs = await report_back(desk)
    await desk.until(on(60, 9))

    assert stopped.paused_at == on(24, 10)
    assert stopped.due_at == on(30, 18)
    assert [e for e in silent if e.data.get("target") == "report_back"] == []
    # Four closings were to come after Tuesday's: from Thursday the 3rd on they are Friday's, Monday's …
    assert (runs.paused_at, runs.due_at) == (None, on(33 + 6, 18))
    broken = [e for e in await desk.events() if e.kind == "target_breached" and e.data["target"] == "report_back"]
    assert [e.at for e in broken] == [on(39, 18)]
    assert [e.data["due_at"] for e in await desk.events() if e.kind == "target_resumed"] == [runs.due_at.isoformat()]


async def test_a_wait_that_is_over_lets_it_run_on_from_that_moment(desk: Days) -> None:
    await begun(desk, "!wait 12/2")
    await desk.until(on(32, 10))

    runs = await report_back(desk)

    [ticket] = [t for t in await desk.tickets() if t.id == 1001]
    assert ticket.state is TicketState.OPEN
    assert (runs.paused_at, runs.due_at) == (None, on(38, 18))


async def test_an_outage_that_slept_through_it_all_hides_no_breach(desk: Days) -> None:
    await begun(desk, "!wait 12/2")
    desk.clock.at = on(45, 9)  # nothing ran for two weeks

    await desk.until(desk.clock.at)

    runs = await report_back(desk)
    assert runs.due_at == runs.breached_at == on(38, 18)
    broken = [e for e in await desk.events() if e.kind == "target_breached" and e.data["target"] == "report_back"]
    assert len(broken) == 1


async def test_an_answer_that_came_during_an_outage_counts_from_when_it_came(desk: Days) -> None:
    await begun(desk)
    desk.clock.at = on(40, 9)
    headers = ["From: wang@example.com", "Message-ID: <2@example.com>", "In-Reply-To: <1@example.com>"]
    raw = octets(vouched("example.com"), RECEIVED, *headers, "To: support@firm.example", body="附上畫面。")
    await desk.takes(desk.arrival(raw, received_at=on(26, 11)))
    await desk.until(desk.clock.at)

    runs = await report_back(desk)

    assert runs.due_at == runs.breached_at == on(32, 18)


@pytest.mark.parametrize("words", ["!close", "我們查過了，今晚修好。"])
async def test_whatever_ends_the_waiting_ends_the_pause(desk: Days, words: str) -> None:
    await begun(desk)
    await desk.until(on(25, 10))
    await agent_says(desk, words)

    after = await report_back(desk)

    assert after.paused_at is None
    assert after.withdrawn_at is not None if words == "!close" else after.due_at >= on(30, 18)


async def test_g6_a_ticket_that_waits_and_is_joined_to_another_leaves_no_clock_standing(desk: Days) -> None:
    await begun(desk)
    await desk.until(on(25, 10))
    headers = ["From: wang@example.com", "Message-ID: <9@example.com>", "Subject: 發票"]
    raw = octets(vouched("example.com"), RECEIVED, *headers, "To: support@firm.example", body="請問發票怎麼開？")
    await desk.takes(desk.arrival(raw, received_at=desk.clock.at))
    item = next(i for i in reversed(await desk.outbox("assignment")) if i.ticket == 1001)
    await desk.takes(desk.arrival(reply(item, "!merge 1002"), received_at=desk.clock.at))

    carried = [t for t in await desk.targets(1002) if t.kind is TargetKind.REPORT_BACK]
    assert [(t.paused_at, t.due_at) for t in carried] == [(None, on(31, 18))]
    assert carried[0].next_at is not None


async def test_what_is_no_longer_owed_while_it_waits_was_never_late(desk: Days) -> None:
    await begun(desk)
    await desk.until(on(33, 9))
    await agent_says(desk, "!kind consultation")

    after = await report_back(desk)

    assert (after.withdrawn_at, after.breached_at) == (on(33, 9), None)
    assert [e for e in await desk.events() if e.kind == "target_breached" and e.data["target"] == "report_back"] == []
