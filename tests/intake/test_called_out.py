"""At night: what is urgent goes to who is on call, what is not waits, and nobody is woken for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support import handdesk
from support.attackdesk import RECEIVED, octets, vouched
from support.days import Days
from support.deskrun import agent, policy

from routing.assigning_rules import AssigningRules
from routing.policy import Policy, Rule, Team
from routing.records import Ticket
from routing.roster import Person, Roster, Stretch

NIGHT = datetime(2026, 11, 24, 2, 0, tzinfo=ZoneInfo("Asia/Taipei")).astimezone(UTC)
HOURS = timedelta(hours=6)
AGENTS = {name: agent(name, is_supervisor=name == "boss") for name in ("chen", "lin", "boss")}
TEAMS = {"desk": Team(name="desk", display_name="客服", members=("chen", "lin"), supervisors=("boss",))}
URGENT = "急件！請今天一定要回覆，稅單馬上到期，非常緊急！"
CALM = "請問營業稅怎麼申報？"


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Callable[..., Days]]:
    async with handdesk.store(tmp_path) as db:

        def make(at: datetime = NIGHT, roster: Roster | None = None, **rules: object) -> Days:
            base: Policy = policy(agents=AGENTS, teams=TEAMS)
            ruled = replace(
                base,
                assigning=AssigningRules(**rules),  # type: ignore[arg-type]
                roster=roster or Roster(),
                rules=(Rule(name="urgent", words=("急件",), urgent=True),),
            )
            desk = Days(db, policy=ruled)
            desk.clock.at = at
            return desk

        yield make


async def writes(desk: Days, body: str, number: int = 1) -> Ticket:
    headers = [f"From: c{number}@example.com", f"Message-ID: <{number}@example.com>", "Subject: 稅單"]
    raw = octets(vouched("example.com"), RECEIVED, *headers, "To: support@firm.example", body=body)
    await desk.takes(desk.arrival(raw, received_at=desk.clock.at))
    await desk.does_duties()
    return max(await desk.tickets(), key=lambda t: t.id)


@pytest.mark.parametrize("queues", [False, True])
async def test_urgent_at_night_is_for_who_is_on_call(made: Callable[..., Days], queues: bool) -> None:
    desk = made(on_call=("lin",), queues_out_of_hours=queues)

    found = await writes(desk, URGENT)

    reasons = [r["code"] for e in await desk.events() if e.kind == "assigned" for r in e.data["reasons"]]
    assert (found.is_urgent, found.agent) == (True, "lin")
    assert "on_call" in reasons


async def test_what_is_not_urgent_waits_for_the_opening(made: Callable[..., Days]) -> None:
    desk = made(on_call=("lin",), queues_out_of_hours=True)

    found = await writes(desk, CALM)
    await desk.until(NIGHT.replace(hour=1) + timedelta(hours=4))  # ten in the morning in Taipei … after the opening

    [after] = [t for t in await desk.tickets() if t.id == found.id]
    assert found.agent is None
    assert after.agent in ("chen", "lin")


async def test_by_day_nobody_is_called_out(made: Callable[..., Days]) -> None:
    desk = made(at=NIGHT + timedelta(hours=9), on_call=("boss",))

    found = await writes(desk, URGENT)

    assert found.agent in ("chen", "lin")


async def test_the_roster_says_who_is_on_call_tonight(made: Callable[..., Days]) -> None:
    tonight = Person(on_call=(Stretch(NIGHT - HOURS, NIGHT + HOURS),))
    desk = made(
        on_call=("lin",), queues_out_of_hours=True, roster=Roster(timezone="Asia/Taipei", people={"boss": tonight})
    )

    found = await writes(desk, URGENT)

    assert found.agent == "boss"


async def test_with_nobody_on_call_the_supervisors_hear_of_it(made: Callable[..., Days]) -> None:
    desk = made(queues_out_of_hours=True)

    found = await writes(desk, URGENT)

    assert found.agent is None
    assert [e.kind for e in await desk.events() if e.kind == "supervisors_asked"] == ["supervisors_asked"]
