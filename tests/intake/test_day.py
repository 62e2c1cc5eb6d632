"""The mails of a day: one at its opening and one at its closing, to who has anything to read, once, ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.deskrun import policy
from support.handdesk import keep, rows, stationery, store, story
from support.storefacts import MINUTE, HandClock, target, ticket

from intake.letters import outbound
from intake.watch import Watcher
from routing.policy import Policy
from routing.records import Event, Presence
from routing.words import TicketState
from store import agents, events
from store.engine import Database

TAIPEI = ZoneInfo("Asia/Taipei")
MONDAY = date(2026, 11, 23)
DAY = timedelta(days=1)


def at(clock: str, day: date = MONDAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), TAIPEI).astimezone(UTC)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        yield db


class Desk:
    """Watchers over one store; each `at` is a new one, as after a restart, unless it is told to stay."""

    def __init__(self, db: Database, of: Policy | None = None) -> None:
        self.db, self.policy, self.clock = db, of or policy(), HandClock(at("08:00"))

    def watcher(self) -> Watcher:
        return Watcher(self.db, self.clock, lambda: stationery(self.policy), lambda note, within: None, lambda: None)

    async def at(self, *moments: datetime, watcher: Watcher | None = None) -> list[tuple[str, str]]:
        """(to whom, which list) of the mails written at these moments."""
        before = len(await rows(self.db))
        for moment in moments:
            self.clock.at = moment
            await (watcher or self.watcher()).tick()
        return [(i.agent or "", i.recipe["list"]) for i in (await rows(self.db))[before:] if "list" in i.recipe]

    async def first_line(self, moment: datetime) -> str:
        """The subject of the last mail, as it would leave now."""
        item = (await rows(self.db))[-1]
        async with self.db.reading() as tx:
            sent = await outbound(tx, item, stationery(self.policy), moment, None)
        import email
        from email import policy as email_policy

        return str(email.message_from_bytes(sent.body, policy=email_policy.default)["Subject"])


@pytest.fixture
async def desk(db: Database) -> Desk:
    """chen has two open tickets; lin one that waits for its customer; boss none."""
    quiet = {"next_at": None, "warn_50_at": None, "warn_80_at": None, "supervisor_at": None}
    await keep(
        db,
        ticket(1001),
        ticket(1002),
        ticket(1003, agent="lin", state=TicketState.WAITING),
        targets=[target(1001, due_at=at("09:40"), **quiet), target(1002, due_at=at("15:00"), **quiet)],
    )
    return Desk(db)


async def test_at_the_opening_who_has_open_tickets_gets_them_once(desk: Desk) -> None:
    told = [await desk.at(at(clock)) for clock in ("08:59", "09:00", "09:01", "10:30", "11:59")]

    assert told == [[], [("chen", "day")], [], [], []]
    assert await desk.first_line(at("09:00")) == "今天 2 件，1 件 10:00 前"
    assert [(e.kind, e.agent, e.data["list"]) for e in await story(desk.db)] == [("day_told", "chen", "day")]


async def test_a_daemon_started_before_noon_sends_it_and_one_started_later_does_not(desk: Desk) -> None:
    assert await desk.at(at("12:01")) == []
    assert await desk.at(at("10:30", MONDAY + DAY)) == [("chen", "day")]


async def test_each_day_has_its_own_and_days_of_rest_have_none(desk: Desk) -> None:
    watcher = desk.watcher()
    days = [MONDAY + n * DAY for n in range(8)]

    told = [len(await desk.at(at("09:00", day), at("09:30", day), watcher=watcher)) for day in days]

    assert told == [1, 1, 1, 1, 1, 0, 0, 1]


async def test_a_clock_that_is_set_back_sends_none_twice(desk: Desk) -> None:
    assert await desk.at(at("09:00", MONDAY + DAY)) == [("chen", "day")]
    assert await desk.at(at("09:00"), at("09:10", MONDAY + DAY)) == []


async def test_two_nodes_at_one_time_send_one(desk: Desk) -> None:
    one, other = desk.watcher(), desk.watcher()

    assert await desk.at(at("09:00"), watcher=one) == [("chen", "day")]
    assert await desk.at(at("09:00"), watcher=other) == []


async def test_who_is_away_gets_it_when_he_comes_before_noon(desk: Desk) -> None:
    async def presence(state: str, until: datetime | None) -> None:
        async with desk.db.transaction() as tx:
            await agents.present(tx, {"chen": Presence(state=state, since=at("08:00"), until=until)})

    watcher = desk.watcher()
    await presence("off", at("10:00"))

    assert await desk.at(at("09:00"), at("09:30"), watcher=watcher) == []
    assert await desk.at(at("10:00"), at("10:30"), watcher=watcher) == [("chen", "day")]
    await presence("off", None)
    assert await desk.at(at("09:00", MONDAY + DAY), at("12:00", MONDAY + DAY)) == []


async def test_who_had_nothing_at_the_opening_gets_none_for_what_comes_later(desk: Desk) -> None:
    watcher = desk.watcher()
    await desk.at(at("09:00"), watcher=watcher)
    await keep(desk.db, ticket(1009, agent="lin"))

    assert await desk.at(at("09:30"), watcher=watcher) == []


async def test_it_may_be_turned_off(db: Database) -> None:
    await keep(db, ticket(1001))
    quiet = Desk(db, replace(policy(), day_mail=False, delivered_mail=False))
    await _wrote(db, at("10:00"))

    assert await quiet.at(at("09:00"), at("18:00")) == []


@pytest.mark.parametrize("name", ["day.before_commit", "day.after_commit"])
async def test_g6_killed_in_between_it_is_sent_once(desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(here: str) -> None:
        if here == name:
            raise OSError("killed")

    monkeypatch.setattr("intake.watch.crashpoint", dies)
    with pytest.raises(Exception, match="killed"):
        await desk.at(at("09:00"))
    monkeypatch.undo()
    await desk.at(at("09:01"), at("09:02"))

    assert [i.recipe["list"] for i in await rows(desk.db)] == ["day"]


async def _wrote(db: Database, when: datetime, who: str = "chen") -> None:
    async with db.transaction() as tx:
        await events.append(tx, [Event(at=when, kind="answer_queued", ticket=1001, agent=who, message=1)])


async def test_at_the_closing_who_answered_gets_what_became_of_it_once(desk: Desk) -> None:
    await _wrote(desk.db, at("10:00"))

    told = [await desk.at(at(clock)) for clock in ("17:59", "18:00", "18:01", "20:59")]

    assert told == [[], [("chen", "delivered")], [], []]
    assert (await rows(desk.db))[-1].recipe["since"] == at("18:00", MONDAY - 3 * DAY).isoformat()


async def test_an_answer_of_the_evening_is_told_with_the_next_day(desk: Desk) -> None:
    await desk.at(at("18:00"))
    await _wrote(desk.db, at("19:30"))

    assert await desk.at(at("20:00")) == []
    assert await desk.at(at("18:10", MONDAY + DAY)) == [("chen", "delivered")]


async def test_who_answered_nothing_that_day_is_told_nothing(desk: Desk) -> None:
    await _wrote(desk.db, at("10:00", MONDAY - 4 * DAY))

    assert await desk.at(at("18:00"), at("18:00") + MINUTE) == []
