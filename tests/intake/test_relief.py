"""Relief on the desk: what would be late goes to who can make it, and what nobody has is handed out in time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support import handdesk
from support.attackdesk import AttackedDesk, reply
from support.deskrun import agent, policy
from support.storefacts import NOW

from routing.policy import Team
from routing.records import Presence, Ticket
from routing.words import TargetKind
from store import agents as people


class Killed(BaseException):
    """What a kill is to the loops: nothing of theirs catches it."""


AGENTS = {name: agent(name, is_supervisor=name == "boss") for name in ("chen", "lin", "wu", "boss")}
TEAMS = {"desk": Team(name="desk", display_name="客服", members=("chen", "lin", "wu"), supervisors=("boss",))}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with handdesk.store(tmp_path) as db:
        yield AttackedDesk(db, policy=policy(agents=AGENTS, teams=TEAMS))


async def present(desk: AttackedDesk, **states: str) -> None:
    async with desk.db.transaction() as tx:
        await people.present(tx, {name: Presence(state=state, since=desk.clock.at) for name, state in states.items()})


async def ticket_of(desk: AttackedDesk, number: int = 1001) -> Ticket:
    return next(t for t in await desk.tickets() if t.id == number)


async def at(desk: AttackedDesk, moment: datetime) -> list[tuple[str, str]]:
    """What leaves to agents after a look at that moment: (to whom, why)."""
    desk.clock.at = moment
    await desk.does_duties()
    return [(str(letter.agent), letter.purpose) for letter in await desk.leaves()]


async def look_at(desk: AttackedDesk, number: int = 1001) -> datetime:
    [target] = [t for t in await desk.targets(number) if t.kind is TargetKind.FIRST_RESPONSE]
    assert target.rescue_at is not None
    return target.rescue_at


async def test_a_mail_whose_agent_shows_no_sign_of_life_goes_to_another_at_half_of_its_time(
    desk: AttackedDesk,
) -> None:
    item = await desk.opened()
    first, moment = str(item.agent), await look_at(desk)
    before = await at(desk, moment - timedelta(seconds=1))

    told = await at(desk, moment)

    assert f"{moment:%d %H:%M}" == "24 01:09"  # four of its eight open hours
    assert await look_at(desk) > moment
    taken = (await ticket_of(desk)).agent
    assert before == []
    assert taken not in (first, None)
    assert sorted(told) == sorted([(str(taken), "assignment"), (first, "told")])
    [why] = await desk.why("ticket_rescued")
    assert (why["taken_from"], why["reasons"][0]["code"]) == (first, "rescued")


async def test_it_never_goes_back_and_not_more_often_than_the_rules_say(desk: AttackedDesk) -> None:
    await desk.opened()
    holders = [(await ticket_of(desk)).agent]
    for _ in range(6):
        [target] = await desk.targets(1001)
        if target.rescue_at is None:
            break
        await at(desk, target.rescue_at)
        if (await ticket_of(desk)).agent != holders[-1]:
            holders.append((await ticket_of(desk)).agent)

    assert len(holders) == len(set(holders))
    assert 2 <= len(holders) <= 1 + desk.policy.assigning.max_rescues


async def test_who_is_at_it_keeps_it(desk: AttackedDesk) -> None:
    item = await desk.opened()
    desk.clock.at = NOW + timedelta(minutes=5)
    await desk.takes(reply(item, "！備註\n\n先查一下。"))
    await desk.leaves()

    told = await at(desk, await look_at(desk))

    assert (await ticket_of(desk)).agent == item.agent
    assert told == []
    assert await desk.why("ticket_rescued") == []


async def test_an_answer_that_is_written_while_it_is_taken_away_is_held_and_sent_at_a_word(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await at(desk, await look_at(desk))

    await desk.takes(reply(item, "您好，期限是 15 日。"))

    assert all(i.held_reason for i in await desk.outbox("answer"))
    assert (await desk.outbox("told"))[-1].recipe["code"] == "not_holder"


async def test_nobody_else_can_so_it_stays_where_it_is(desk: AttackedDesk) -> None:
    await present(desk, lin="off", wu="off")
    item = await desk.opened()
    assert item.agent == "chen"

    told = await at(desk, await look_at(desk))

    assert (await ticket_of(desk)).agent == "chen"
    assert told == []


async def test_g6_a_rescue_moves_no_deadline(desk: AttackedDesk) -> None:
    await desk.opened()
    [before] = await desk.targets(1001)

    await at(desk, await look_at(desk))

    [after] = await desk.targets(1001)
    assert (after.due_at, after.started_at, after.next_at) == (before.due_at, before.started_at, before.next_at)


async def test_what_nobody_could_take_is_given_to_the_first_who_is_back_nearest_deadline_first(
    desk: AttackedDesk,
) -> None:
    await present(desk, chen="off", lin="off", wu="off")
    for number in (1, 2):
        await desk.opened("From: a@example.com", f"Message-ID: <{number}@example.com>", "Subject: 營業稅")
    assert {t.agent for t in await desk.tickets()} == {None}
    await present(desk, lin="on")

    told = await at(desk, NOW + timedelta(minutes=3))

    assert [t.agent for t in await desk.tickets()][:1] == ["lin"]
    assert ("lin", "assignment") in told


async def test_supervisors_who_got_it_at_once_are_not_asked_again(desk: AttackedDesk) -> None:
    await present(desk, chen="off", lin="off", wu="off")
    await desk.opened()
    assert [i.agent for i in await desk.outbox("assignment")] == ["boss"]

    for minutes in (10, 240, 400, 470):
        await at(desk, NOW + timedelta(minutes=minutes))

    assert [i.agent for i in await desk.outbox("assignment")] == ["boss"]


@pytest.mark.parametrize("point", ["duties.before_commit", "duties.after_commit"])
async def test_killed_around_the_commit_it_is_rescued_once(
    desk: AttackedDesk, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    item = await desk.opened()
    moment = await look_at(desk)

    def dies(name: str) -> None:
        if name == point:
            raise Killed

    monkeypatch.setattr("intake.decide.crashpoint", dies)
    with pytest.raises(Killed):
        await at(desk, moment)
    monkeypatch.undo()
    assert ((await ticket_of(desk)).agent == item.agent) is (point == "duties.before_commit")

    await at(desk, moment)
    await at(desk, moment + timedelta(seconds=1))

    assert len(await desk.why("ticket_rescued")) == 1


async def test_a_team_of_one_has_nobody_to_rescue_it(desk: AttackedDesk) -> None:
    desk.policy = replace(desk.policy, teams={"desk": replace(TEAMS["desk"], members=("chen",))})
    await desk.opened()

    assert await at(desk, await look_at(desk)) == []
