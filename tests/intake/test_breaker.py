"""The breaker: a flood stops the acknowledgements, tells the supervisors once, and costs nobody his ticket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.attackdesk import RECEIVED, AttackedDesk, Letter, octets, reply, vouched
from support.deskrun import DESK, policy
from support.handdesk import store

from intake import decide
from intake.logs import ERRORS
from store.numbers import kept

CAP = 6
HOUR = timedelta(hours=1)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db, policy=policy(automatic_per_hour=CAP))


async def flood(desk: AttackedDesk, count: int, name: str = "u") -> list[Letter]:
    for n in range(count):
        raw = octets(RECEIVED, f"From: {name}{n}@{name}{n}.example", f"To: {DESK}", f"Message-ID: <{name}{n}@x>")
        await desk.accept([desk.arrival(raw)])
    await desk.settle()
    return await desk.leaves()


def of(letters: list[Letter], purpose: str) -> list[str]:
    return [letter.to for letter in letters if letter.purpose == purpose]


async def test_g7_a_flood_stops_acknowledgements_and_nothing_else(desk: AttackedDesk) -> None:
    letters = await flood(desk, 20)

    assert len(of(letters, "acknowledgement")) == CAP
    assert len(of(letters, "assignment")) == 20
    assert of(letters, "told") == ["boss@firm.example"]
    assert len(await desk.tickets()) == 20
    assert {r["code"] for e in await desk.why("acknowledgement_withheld") for r in e["reasons"]} == {"ack_stopped"}


async def test_the_alarm_says_what_happened_and_what_to_do(desk: AttackedDesk) -> None:
    [alarm] = [letter for letter in await flood(desk, 10) if letter.purpose == "told"]

    assert f"一小時超過 {CAP} 封" in str(alarm.mail["Subject"])
    assert "automatic_per_hour" in alarm.plain
    assert "automatic_per_hour" in ERRORS["automatic_stopped"]


async def test_it_is_said_once_also_over_a_restart(desk: AttackedDesk) -> None:
    await flood(desk, 10)  # every settle is a new decider, as after a restart
    letters = await flood(desk, 10, "again")

    assert of(letters, "acknowledgement") == of(letters, "told") == []
    assert await desk.why("automatic_stopped") == [{"cap": CAP}]


async def test_people_answer_while_it_is_stopped(desk: AttackedDesk) -> None:
    await flood(desk, 10)
    item = await desk.opened("From: mei@example.com", "Message-ID: <a@example.com>")
    await desk.takes(reply(item))

    assert [(letter.purpose, letter.to) for letter in await desk.leaves()] == [("answer", "mei@example.com")]


async def test_it_goes_on_by_itself_after_a_quiet_hour(desk: AttackedDesk) -> None:
    await flood(desk, 10)
    desk.clock.at += HOUR - timedelta(minutes=1)
    early = await flood(desk, 1, "early")
    desk.clock.at += timedelta(minutes=2)
    late = await flood(desk, 1, "late")

    assert (of(early, "acknowledgement"), of(late, "acknowledgement")) == ([], ["late0@late0.example"])
    assert len(await desk.why("automatic_resumed")) == 1
    async with desk.db.reading() as tx:
        assert await kept(tx, "automatic_stopped") == 0


async def test_it_stays_stopped_in_a_flood_when_others_change_what_waits(desk: AttackedDesk) -> None:
    """Somebody is back, a wait is over: loads are counted anew, and what was asked for is not forgotten."""
    async with desk.deciding():
        for minute in range(70):
            desk.clock.at += timedelta(minutes=1)
            for n in range(2):
                raw = octets(RECEIVED, f"From: u@u{minute}x{n}.example", f"To: {DESK}", f"Message-ID: <{minute}.{n}@x>")
                await desk.accept([desk.arrival(raw)])
            await desk.wait_until_idle()
            desk.decider.recount()

    assert await desk.why("automatic_resumed") == []
    assert len(await desk.outbox("acknowledgement")) == CAP


async def test_what_is_decided_again_is_counted_once(desk: AttackedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that failed is decided again, each alone: its acknowledgements had not left."""
    failures = iter([True])

    async def fails_once(*args: Any) -> None:
        if next(failures, False):
            raise ValueError("a fault of ours")
        await write(*args)

    write = decide.write
    monkeypatch.setattr(decide, "write", fails_once)
    letters = await flood(desk, CAP)

    assert len(of(letters, "acknowledgement")) == CAP


async def test_without_a_cap_nothing_stops(desk: AttackedDesk) -> None:
    desk.policy = policy(automatic_per_hour=0)

    assert len(of(await flood(desk, 20), "acknowledgement")) == 20


async def test_one_mailbox_under_many_names_gets_three(desk: AttackedDesk) -> None:
    desk.policy = policy()
    letters = []
    for n in range(6):
        raw = octets(vouched("example.com"), RECEIVED, f"From: victim+{n}@example.com", f"To: {DESK}", body=f"{n}")
        await desk.takes(raw)
        letters += await desk.leaves()

    assert of(letters, "acknowledgement") == [f"victim+{n}@example.com" for n in range(3)]


@pytest.mark.parametrize(("is_vouched", "count"), [(False, 4), (True, 7)])
async def test_unknown_addresses_of_one_domain_share_what_they_get(
    desk: AttackedDesk, is_vouched: bool, count: int
) -> None:
    desk.policy = replace(policy(), ack_per_domain_and_day=4)
    top = [vouched("example.com")] if is_vouched else []
    letters = []
    for n in range(7):
        await desk.takes(octets(*top, RECEIVED, f"From: u{n}@example.com", f"To: {DESK}", body=f"{n}"))
        letters += await desk.leaves()

    assert len(of(letters, "acknowledgement")) == count
