"""The watcher: each notice once, ever, never early; a breach as of its due time, however late it is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.deskrun import agent, policy
from support.handdesk import keep, rows, stationery, store, story, target_of
from support.storefacts import MINUTE, NOW, HandClock, target, ticket

from intake.letters import NothingToSay, outbound
from intake.watch import Watcher
from routing.policy import Policy
from routing.records import Target
from routing.words import OutboxState, Purpose, TargetKind
from store import deadlines, outbox, tickets
from store.engine import Database
from store.outbox import OutboxItem

DUE = NOW + 60 * MINUTE
HALF, EIGHTY, SUPERVISOR = NOW + 30 * MINUTE, NOW + 48 * MINUTE, NOW + 90 * MINUTE
SECOND = timedelta(seconds=1)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        yield db


class Watched:
    """A store, a clock, and a watcher that may be a new one at any time."""

    def __init__(self, db: Database, of: Policy | None = None) -> None:
        self.db = db
        self.clock = HandClock(NOW)
        self.policy = of
        self.woken = 0

    def _wake(self) -> None:
        self.woken += 1

    def watcher(self) -> Watcher:
        return Watcher(self.db, self.clock, lambda: stationery(self.policy), lambda note, within: None, self._wake)

    async def at(self, moment: datetime) -> list[str]:
        """What is told in a tick at that moment, by a watcher that was started just now."""
        self.clock.at = moment
        before = len(await story(self.db))
        count = await self.watcher().tick()
        told = (await story(self.db))[before:]
        assert len(told) == count
        return [str(event.data["notice"]) for event in told]

    async def mails(self) -> list[tuple[str, str, list[tuple[int, str]]]]:
        """(to whom, why, [(ticket, notice)]) of each mail in the outbox."""
        return [
            (item.agent or "", item.purpose.value, [(n["ticket"], n["notice"]) for n in item.recipe["notices"]])
            for item in await rows(self.db)
        ]


@pytest.fixture
async def one(db: Database) -> Watched:
    """A ticket of chen's, due in an hour; the supervisor hears of it half an hour later."""
    await keep(db, ticket(), targets=[target()])
    return Watched(db)


async def test_g6_each_notice_is_told_at_its_time_and_once_ever_across_restarts(one: Watched) -> None:
    moments = [NOW, HALF - SECOND, HALF, HALF, EIGHTY - SECOND, EIGHTY, DUE - SECOND, DUE, DUE + SECOND]
    moments += [SUPERVISOR - SECOND, SUPERVISOR, SUPERVISOR + timedelta(days=30)]

    told = [await one.at(moment) for moment in moments]

    assert told == [[], [], ["warn_50"], [], [], ["warn_80"], [], ["breach"], [], [], ["supervisor"], []]
    assert await one.mails() == [
        ("chen", "warning", [(1001, "warn_50")]),
        ("chen", "warning", [(1001, "warn_80")]),
        ("chen", "breach", [(1001, "breach")]),
        ("boss", "breach", [(1001, "supervisor")]),
    ]
    assert one.woken == 4


async def test_g6_a_clock_that_is_set_back_tells_nothing_twice(one: Watched) -> None:
    told = [await one.at(moment) for moment in (DUE, NOW, HALF, EIGHTY, DUE, SUPERVISOR)]

    assert told == [["warn_50", "warn_80", "breach"], [], [], [], [], ["supervisor"]]


async def test_g6_a_late_tick_records_the_breach_as_of_its_due_time(one: Watched) -> None:
    late = DUE + timedelta(hours=9)

    told = await one.at(late)

    [breach] = [event for event in await story(one.db) if event.kind == "target_breached"]
    assert told == ["warn_50", "warn_80", "breach", "supervisor"]
    assert (await target_of(one.db, 1001)).breached_at == DUE
    assert (breach.at, breach.data["due_at"], breach.data["late_s"]) == (late, DUE.isoformat(), 9 * 3600.0)


async def test_after_an_outage_each_reader_gets_the_latest_word_only(one: Watched) -> None:
    await one.at(SUPERVISOR)

    assert await one.mails() == [
        ("chen", "breach", [(1001, "breach")]),
        ("boss", "breach", [(1001, "supervisor")]),
    ]


async def test_the_events_name_ticket_agent_and_times(one: Watched) -> None:
    await one.at(HALF)

    [event] = await story(one.db)
    assert (event.kind, event.ticket, event.agent, event.at) == ("target_warned", 1001, "chen", HALF)
    assert event.data == {
        "target": "first_response",
        "ordinal": 1,
        "notice": "warn_50",
        "due_at": DUE.isoformat(),
        "channel": "mail",
        "late_s": -1800.0,
    }


@pytest.mark.parametrize("how", ["met", "withdrawn"])
async def test_a_promise_that_is_kept_or_withdrawn_is_silent(one: Watched, how: str) -> None:
    async with one.db.transaction() as tx:
        if how == "met":
            await deadlines.record_met(tx, target(), NOW + MINUTE, NOW + MINUTE)
        else:
            await deadlines.withdraw(tx, target(), NOW + MINUTE)

    assert await one.at(SUPERVISOR) == []
    assert (await target_of(one.db, 1001)).breached_at is None


async def test_met_late_is_a_breach_without_a_word_from_the_watcher(one: Watched) -> None:
    async with one.db.transaction() as tx:
        await deadlines.record_met(tx, target(), DUE + SECOND, DUE + SECOND)

    assert await one.at(SUPERVISOR) == []
    assert (await target_of(one.db, 1001)).breached_at == DUE


async def test_g6_a_promise_reopened_by_a_bounce_after_its_due_time_is_told_at_once(one: Watched) -> None:
    """As the decision writes it: nothing was told of it, for it was thought to be kept."""
    async with one.db.transaction() as tx:
        await deadlines.record_met(tx, target(), NOW + MINUTE, NOW + MINUTE)
        await deadlines.reopen(tx, target(), target().notices()[0][0])

    assert await one.at(DUE + MINUTE) == ["warn_50", "warn_80", "breach"]
    assert (await target_of(one.db, 1001)).breached_at == DUE


async def test_a_short_promise_is_not_warned_of(db: Database) -> None:
    short = target(due_at=NOW + MINUTE, warn_50_at=None, warn_80_at=None, supervisor_at=NOW + 3 * MINUTE)
    await keep(db, ticket(), targets=[replace(short, next_at=short.due_at)])
    desk = Watched(db)

    told = [await desk.at(NOW + seconds * SECOND) for seconds in (30, 59, 60, 179, 180)]

    assert told == [[], [], ["breach"], [], ["supervisor"]]


async def test_the_supervisor_may_hear_before_the_time_is_over(db: Database) -> None:
    early = target(supervisor_at=NOW + 40 * MINUTE)
    await keep(db, ticket(), targets=[early])
    desk = Watched(db)

    told = [await desk.at(NOW + minutes * MINUTE) for minutes in (30, 40, 48, 60)]

    assert told == [["warn_50"], ["supervisor"], ["warn_80"], ["breach"]]


async def test_what_comes_due_together_for_one_person_shares_a_mail(db: Database) -> None:
    numbers = range(1001, 1007)
    people = {number: "chen" if number % 2 else "lin" for number in numbers}
    matters = [ticket(number, agent=people[number]) for number in numbers]
    await keep(db, *matters, targets=[target(number) for number in numbers])
    desk = Watched(db)

    await desk.at(SUPERVISOR)

    assert sorted(await desk.mails()) == [
        ("boss", "breach", [(number, "supervisor") for number in numbers]),
        ("chen", "breach", [(1001, "breach"), (1003, "breach"), (1005, "breach")]),
        ("lin", "breach", [(1002, "breach"), (1004, "breach"), (1006, "breach")]),
    ]
    assert {item.ticket for item in await rows(db)} == {None}  # a list belongs to no ticket's conversation


async def test_two_promises_of_one_ticket_share_its_conversation(db: Database) -> None:
    both = [target(), target(kind=TargetKind.INITIAL_OPINION)]
    await keep(db, ticket(), targets=both)
    desk = Watched(db)

    await desk.at(HALF)

    assert await desk.mails() == [("chen", "warning", [(1001, "warn_50"), (1001, "warn_50")])]
    assert [item.ticket for item in await rows(db)] == [1001]


async def test_every_notice_has_a_message_id_of_its_own_that_does_not_change(one: Watched) -> None:
    for moment in (HALF, EIGHTY, DUE, SUPERVISOR):
        await one.at(moment)

    ids = [item.mail_id for item in await rows(one.db)]
    assert len(set(ids)) == 4
    assert all(i.startswith("<") and i.endswith("@firm.example>") for i in ids)


async def test_a_ticket_without_an_agent_is_the_supervisors_alone(db: Database) -> None:
    await keep(db, ticket(agent=None), targets=[target()])
    desk = Watched(db)

    told = [await desk.at(moment) for moment in (HALF, EIGHTY, DUE, SUPERVISOR)]

    assert told == [["warn_50"], ["warn_80"], ["breach"], ["supervisor"]]
    assert await desk.mails() == [("boss", "breach", [(1001, "supervisor")])]


async def test_somebody_who_has_left_gets_no_mail_and_the_breach_stands(db: Database) -> None:
    await keep(db, ticket(agent="gone"), targets=[target()])
    desk = Watched(db)

    await desk.at(DUE)

    assert await desk.mails() == []
    assert (await target_of(db, 1001)).breached_at == DUE


@pytest.mark.parametrize("supervisors", [(), ("gone",)], ids=["none", "one who has left"])
async def test_a_team_without_a_supervisor_is_not_said_to_have_been_told(
    db: Database, supervisors: tuple[str, ...]
) -> None:
    teams = {"desk": replace(policy().teams["desk"], supervisors=supervisors)}
    await keep(db, ticket(), targets=[target()])
    desk = Watched(db, policy(teams=teams))

    await desk.at(SUPERVISOR)

    kinds = [e.kind for e in await story(db)]
    assert kinds == ["target_warned", "target_warned", "target_breached", "supervisor_missing"]
    assert {who for who, _, _ in await desk.mails()} == {"chen"}


async def test_g6_the_managers_hear_last_and_once_and_nobody_else_hears_it_again(db: Database) -> None:
    teams = {"desk": replace(policy().teams["desk"], managers=("lin",))}
    people = policy().agents | {"lin": agent("lin")}
    later = SUPERVISOR + 60 * MINUTE
    await keep(db, ticket(), targets=[target(manager_at=later)])
    desk = Watched(db, policy(teams=teams, agents=people))
    moments = [SUPERVISOR, later - SECOND, later, later, later + timedelta(days=9)]

    told = [await desk.at(moment) for moment in moments]

    assert told == [["warn_50", "warn_80", "breach", "supervisor"], [], ["manager"], [], []]
    assert [who for who, _, notices in await desk.mails() if (1001, "manager") in notices] == ["lin"]
    assert (await story(db))[-1].kind == "manager_told"


async def test_a_promise_kept_between_the_look_and_the_writing_is_neither_breached_nor_armed_again(
    one: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another node may do it on PostgreSQL: the row that the watcher read is not the one it writes."""
    look = deadlines.ripe

    async def overtaken(tx: Any, now: datetime, limit: int) -> list[Target]:
        found = await look(tx, now, limit)
        for each in found:
            await deadlines.record_met(tx, each, DUE, DUE)
        return found

    monkeypatch.setattr("intake.watch.deadlines.ripe", overtaken)
    await one.at(DUE)

    found = await target_of(one.db, 1001)
    assert (found.met_at, found.breached_at, found.next_at) == (DUE, None, None)


async def test_a_policy_without_a_mail_channel_still_records_breaches(db: Database) -> None:
    chat_only = policy(channels={"website": policy().channels["website"]}, agents={"chen": agent("chen")})
    await keep(db, ticket(), targets=[target()])
    desk = Watched(db, chat_only)

    assert await desk.at(DUE) == ["warn_50", "warn_80", "breach"]
    assert await rows(db) == []
    assert (await target_of(db, 1001)).breached_at == DUE


async def test_more_than_fit_into_one_tick_are_all_told(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intake.watch.AT_ONCE", 4)
    numbers = range(1001, 1012)
    await keep(db, *(ticket(n) for n in numbers), targets=[target(n) for n in numbers])
    desk = Watched(db)

    assert await desk.at(HALF) == ["warn_50"] * len(numbers)


async def test_what_cannot_be_committed_is_told_at_the_next_tick(one: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(name: str) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("intake.watch.crashpoint", full)
    with pytest.raises(Exception, match="no space left"):
        await one.at(HALF)
    monkeypatch.undo()

    assert await rows(one.db) == []
    assert await one.at(HALF + MINUTE) == ["warn_50"]


async def test_the_loop_sleeps_until_the_next_moment_and_wakes_for_an_earlier_one(one: Watched) -> None:
    watcher = one.watcher()
    task = asyncio.create_task(watcher.run())
    try:
        await asyncio.sleep(0.05)
        quiet = await rows(one.db)
        one.clock.at = HALF
        watcher.wake()
        async with asyncio.timeout(5):
            while not await rows(one.db):
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert quiet == []
    assert [item.purpose for item in await rows(one.db)] == [Purpose.WARNING]


def test_the_facts_of_these_tests_are_what_they_say() -> None:
    facts: Target = target()

    assert [at for at, _ in facts.notices()] == [HALF, EIGHTY, DUE, SUPERVISOR]


# ---- several for one person


def _due(number: int, minutes: int, **changes: Any) -> Target:
    """Due so many minutes from NOW; warned of once, at half its hour."""
    due = NOW + minutes * MINUTE
    half = due - 30 * MINUTE
    facts: dict[str, Any] = {
        "due_at": due,
        "warn_50_at": half,
        "warn_80_at": None,
        "supervisor_at": due + timedelta(days=1),
        "next_at": half,
    }
    return target(number, **(facts | changes))


async def _warned(db: Database, *halves: float, **changes: Any) -> Watched:
    """Tickets of chen's from #1001 on, half of whose hour is over at these minutes."""
    numbers = range(1001, 1001 + len(halves))
    await keep(db, *map(ticket, numbers))
    async with db.transaction() as tx:
        await deadlines.add(tx, [_due(n, int(m) + 30, **changes) for n, m in zip(numbers, halves, strict=True)])
    return Watched(db)


async def _live(db: Database) -> list[OutboxItem]:
    return [item for item in await rows(db) if item.state is not OutboxState.CANCELLED]


async def _waiting(db: Database) -> list[tuple[list[int], float]]:
    """([tickets], minutes after NOW at which it may leave) of each mail."""
    return [
        ([n["ticket"] for n in item.recipe["notices"]], ((item.next_attempt_at or NOW) - NOW) / MINUTE)
        for item in await _live(db)
    ]


async def test_warnings_within_ten_minutes_are_one_list_and_the_first_is_told_at_once(db: Database) -> None:
    desk = await _warned(db, 10, 12, 15, 19)

    for minute in (10, 12, 15, 19):
        await desk.at(NOW + minute * MINUTE)

    assert await _waiting(db) == [([1001], 10), ([1001, 1002, 1003, 1004], 20)]
    assert [item.ticket for item in await _live(db)] == [1001, None]


async def test_warnings_farther_apart_stay_in_their_conversations(db: Database) -> None:
    desk = await _warned(db, 10, 21, 32)

    for minute in (10, 21, 32):
        await desk.at(NOW + minute * MINUTE)

    assert [item.ticket for item in await _live(db)] == [1001, 1002, 1003]


async def test_two_warnings_of_one_ticket_stay_in_its_conversation(db: Database) -> None:
    await keep(
        db, ticket(), targets=[target(warn_50_at=NOW + MINUTE, warn_80_at=NOW + 3 * MINUTE, next_at=NOW + MINUTE)]
    )
    desk = Watched(db)

    await desk.at(NOW + MINUTE)
    await desk.at(NOW + 3 * MINUTE)

    assert [item.ticket for item in await _live(db)] == [1001, 1001]


async def test_a_list_of_warnings_leaves_half_of_the_time_that_is_left(db: Database) -> None:
    desk = await _warned(db, 10)
    await keep(db, ticket(1002), targets=[_due(1002, 16, warn_50_at=NOW + 12 * MINUTE, next_at=NOW + 12 * MINUTE)])

    await desk.at(NOW + 10 * MINUTE)
    await desk.at(NOW + 12 * MINUTE)

    assert await _waiting(db) == [([1001], 10), ([1001, 1002], 14)]


async def test_g6_nothing_joins_a_list_that_is_being_sent(db: Database) -> None:
    desk = await _warned(db, 10, 12, 15)
    await desk.at(NOW + 10 * MINUTE)
    await desk.at(NOW + 12 * MINUTE)
    gathering = (await _live(db))[-1]
    async with db.transaction() as tx:
        begun = await outbox.begin_attempts(tx, [(gathering, b"x")], NOW + 15 * MINUTE, NOW + 60 * MINUTE)

    await desk.at(NOW + 15 * MINUTE)

    assert begun == {gathering.id}
    assert [numbers for numbers, _ in await _waiting(db)] == [[1001], [1001, 1002], [1001, 1002, 1003]]


async def test_g6_an_attempt_on_a_row_that_was_taken_back_meanwhile_does_not_leave(db: Database) -> None:
    desk = await _warned(db, 10, 12, 15)
    await desk.at(NOW + 10 * MINUTE)
    await desk.at(NOW + 12 * MINUTE)
    seen = (await _live(db))[-1]
    await desk.at(NOW + 15 * MINUTE)

    async with db.transaction() as tx:
        begun = await outbox.begin_attempts(tx, [(seen, b"x")], NOW + 15 * MINUTE, NOW + 60 * MINUTE)

    assert begun == set()


@pytest.mark.parametrize("where", ["watch.before_commit", "watch.after_commit"])
async def test_g6_killed_while_a_list_gathers_every_warning_is_in_it_once(
    db: Database, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await _warned(db, 10, 12, 15)
    await desk.at(NOW + 10 * MINUTE)
    await desk.at(NOW + 12 * MINUTE)

    def dies(here: str) -> None:
        if here == where:
            raise OSError("killed")

    monkeypatch.setattr("intake.watch.crashpoint", dies)
    with pytest.raises(Exception, match="killed"):
        await desk.at(NOW + 15 * MINUTE)
    monkeypatch.undo()
    desk.clock.at = NOW + 16 * MINUTE
    await desk.watcher().tick()

    assert await _waiting(db) == [([1001], 10), ([1001, 1002, 1003], 20)]


async def _breached(db: Database, *minutes: int) -> Watched:
    """Tickets of nobody's, each due at one of these minutes: the supervisor hears of it then."""
    numbers = range(1001, 1001 + len(minutes))
    await keep(
        db,
        *(ticket(n, agent=None) for n in numbers),
        targets=[
            _due(n, m, warn_50_at=None, supervisor_at=NOW + m * MINUTE, next_at=NOW + m * MINUTE)
            for n, m in zip(numbers, minutes, strict=True)
        ],
    )
    return Watched(db)


async def test_five_breaches_are_told_one_by_one_at_once_and_what_comes_then_is_one_table(db: Database) -> None:
    desk = await _breached(db, *range(1, 10), 12)

    for minute in range(1, 13):
        await desk.at(NOW + minute * MINUTE)

    sent = await _live(db)
    assert await _waiting(db) == [
        *(([1000 + n], float(n)) for n in range(1, 6)),
        ([1006, 1007, 1008, 1009], 11),
        ([1010], 13),  # more than five within ten minutes still
    ]
    assert [item.ticket for item in sent[:5]] == [1001, 1002, 1003, 1004, 1005]
    assert sent[5].ticket is None


async def test_after_an_outage_the_supervisor_gets_one_table_at_once(db: Database) -> None:
    desk = await _breached(db, *range(1, 31))

    await desk.at(NOW + 40 * MINUTE)

    assert [(len(numbers), leaves) for numbers, leaves in await _waiting(db)] == [(30, 40)]


async def test_g6_each_escalation_is_told_once_ever_however_the_watcher_is_restarted(db: Database) -> None:
    """A minute a tick for half an hour, each tick by a new watcher; what may leave has left before the next."""
    desk = await _breached(db, *(n % 17 + 1 for n in range(40)))
    told: list[int] = []
    for minute in range(31):
        now = NOW + minute * MINUTE
        await desk.at(now)
        async with db.transaction() as tx:
            due = await outbox.due(tx, now, 500)
            await outbox.begin_attempts(tx, [(item, b"x") for item in due], now, now + MINUTE)
            await outbox.record_delivered(tx, {item.id: "250" for item in due}, now)
        told += [n["ticket"] for item in due for n in item.recipe["notices"]]

    assert sorted(told) == [1001 + n for n in range(40)]
    assert len(await _live(db)) < 20


async def test_what_was_told_of_is_worded_as_it_stands_when_it_leaves(db: Database) -> None:
    """Of a list of warnings what was answered, is overdue or another's by then is left out; of none, none leaves."""
    desk = await _warned(db, 10, 12, 13, 14)
    for minute in (10, 12, 13, 14):
        await desk.at(NOW + minute * MINUTE)
    listed = (await _live(db))[-1]
    async with db.transaction() as tx:
        await deadlines.record_met(tx, _due(1001, 40), NOW + 15 * MINUTE, NOW + 15 * MINUTE)
        await tickets.change(tx, [ticket(1002, agent="lin")])

    async def shown(now: datetime) -> str:
        async with db.reading() as tx:
            return (await outbound(tx, listed, stationery(), now, None)).body.decode()

    left = await shown(NOW + 20 * MINUTE)
    assert [number for number in range(1001, 1005) if f"#{number}" in left] == [1003, 1004]
    with pytest.raises(NothingToSay):
        await shown(NOW + 44 * MINUTE)


async def test_a_warning_that_is_no_news_any_more_does_not_leave(one: Watched) -> None:
    await one.at(HALF)
    [item] = await rows(one.db)

    async with one.db.reading() as tx:
        with pytest.raises(NothingToSay):
            await outbound(tx, item, stationery(), DUE, b"composed before the deadline")
