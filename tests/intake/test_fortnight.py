"""A fortnight on a clock that jumps: every promise is told of at its moment, once, and never early.

When something is due is counted here once more, minute by minute, by nothing of the program.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support import handdesk
from support.attackdesk import RECEIVED, octets, reply, vouched
from support.days import Days
from support.deskrun import agent, chat, policy

from routing.policy import Team
from routing.records import Target
from routing.words import NoticeKind, TargetKind

TAIPEI = ZoneInfo("Asia/Taipei")
MINUTE = timedelta(minutes=1)
AGENTS = {name: agent(name, is_supervisor=name == "boss", complaints=True) for name in ("chen", "lin", "boss", "chief")}
TEAMS = {
    "desk": Team(name="desk", display_name="客服", members=("chen", "lin"), supervisors=("boss",), managers=("chief",))
}
CLOSED = date(2026, 11, 26)  # a day on which the office has a typhoon
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=TAIPEI)


def is_open(moment: datetime) -> bool:
    """Monday to Friday, 09:00 to 18:00, but not on the closed day."""
    local = moment.astimezone(TAIPEI)
    return local.weekday() < 5 and 9 <= local.hour < 18 and local.date() != CLOSED


def after_open_minutes(start: datetime, minutes: int) -> datetime:
    moment = start
    while minutes:
        minutes -= is_open(moment)
        moment += MINUTE
    return moment.astimezone(UTC)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Days]:
    base = policy(agents=AGENTS, teams=TEAMS)
    spec = replace(base.calendars["desk"], exceptions={CLOSED: ()}, version="c2")
    async with handdesk.store(tmp_path) as db:
        made = Days(db, policy=replace(base, calendars={"desk": spec}))
        made.clock.at = MONDAY.astimezone(UTC)
        yield made


async def writes(desk: Days, number: int) -> None:
    headers = [f"From: c{number}@example.com", f"Message-ID: <{number}@example.com>", "Subject: 營業稅"]
    raw = octets(vouched("example.com"), RECEIVED, *headers, "To: support@firm.example", body="請問營業稅怎麼申報？")
    await desk.takes(desk.arrival(raw, received_at=desk.clock.at))


async def first_of(desk: Days, ticket: int) -> Target:
    return next(t for t in await desk.targets(ticket) if t.kind is TargetKind.FIRST_RESPONSE)


async def test_g6_a_fortnight_in_which_some_mails_are_answered_and_some_are_not(desk: Days) -> None:
    begun: dict[int, datetime] = {}
    for day in range(12):
        for hour in (7, 16) if day % 2 else (10,):
            moment = MONDAY.replace(hour=hour, minute=23) + timedelta(days=day)
            await desk.until(moment.astimezone(UTC))
            await writes(desk, len(begun))
            begun[1001 + len(begun)] = moment
        if day % 4 == 1:  # what came late is answered at once, now and then
            item = (await desk.outbox("assignment"))[-1]
            await desk.takes(reply(item, "您好，期限是 15 日。"))
    await desk.until((MONDAY + timedelta(days=20)).astimezone(UTC))

    told = [(e, NoticeKind(e.data["notice"])) for e in await desk.events() if "notice" in e.data]
    for ticket, moment in begun.items():
        target = await first_of(desk, ticket)
        due = after_open_minutes(moment, 8 * 60)
        assert target.due_at == due, f"#{ticket}, begun {moment}"
        expected = {
            NoticeKind.WARN_50: after_open_minutes(moment, 4 * 60),
            NoticeKind.WARN_80: after_open_minutes(moment, 6 * 60 + 24),
            NoticeKind.BREACH: due,
            NoticeKind.SUPERVISOR: due,
            NoticeKind.MANAGER: after_open_minutes(due, 8 * 60),
        }
        met = target.met_at
        mine = [(kind, e.at) for e, kind in told if e.ticket == ticket]
        assert sorted(mine) == sorted((kind, at) for kind, at in expected.items() if met is None or at < met)
        assert target.breached_at == (None if met is not None and met <= due else due)
    answered = [t for t in begun if (await first_of(desk, t)).met_at is not None]
    assert len(answered) == 3


async def test_g6_an_outage_over_a_weekend_hides_and_invents_nothing(desk: Days) -> None:
    await writes(desk, 0)
    before = await first_of(desk, 1001)
    desk.clock.at = (MONDAY + timedelta(days=9)).astimezone(UTC)  # nothing ran for nine days

    await desk.until(desk.clock.at)

    [after] = [t for t in await desk.targets(1001) if t.kind is TargetKind.FIRST_RESPONSE]
    kinds = [e.data["notice"] for e in await desk.events() if "notice" in e.data]
    assert (after.due_at, after.breached_at) == (before.due_at, before.due_at)
    assert sorted(kinds) == sorted(kind.value for kind in NoticeKind if kind is not NoticeKind.OVERFLOW)


async def test_a_chat_at_night_is_told_of_by_the_wall_clock(desk: Days) -> None:
    at = datetime(2026, 11, 24, 2, 0, tzinfo=TAIPEI).astimezone(UTC)
    await desk.until(at)
    await desk.takes(desk.arrival(chat("s1", "m1", "在嗎？"), "website", received_at=at))

    await desk.until(at + timedelta(hours=1))

    heard = [(e.data["notice"], (e.at - at).total_seconds()) for e in await desk.events() if "notice" in e.data]
    assert heard == [("breach", 60), ("supervisor", 180), ("manager", 180 + 1800)]
