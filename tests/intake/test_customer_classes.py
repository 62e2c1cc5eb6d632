"""Customers of a class are promised other times; nobody gets into a class by writing its address into From."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import handdesk
from support.attackdesk import RECEIVED, octets, reply, vouched
from support.days import Days
from support.deskrun import NOW, agent, policy

from routing.budgets import parse_budget
from routing.policy import CustomerClass, TargetRule
from routing.words import TargetKind

VIP = CustomerClass(name="vip", senders=("@big.example",))
SOON = TargetRule(name="vip", classes=("vip",), budgets={"first_response": parse_budget("1wh")})


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Days]:
    ruled = replace(policy(agents={"chen": agent("chen")}), classes=(VIP,), target_rules=(SOON,))
    async with handdesk.store(tmp_path) as db:
        made = Days(db, policy=ruled)
        made.clock.at = NOW
        yield made


async def writes(desk: Days, number: int, *evidence: str, sender: str = "mei@big.example") -> None:
    headers = [f"From: {sender}", f"Message-ID: <{number}@big.example>", "Subject: 發票"]
    raw = octets(*evidence, RECEIVED, *headers, "To: support@firm.example", body="請問發票怎麼開？")
    await desk.takes(desk.arrival(raw, received_at=desk.clock.at))


async def keys(desk: Days) -> list[str]:
    found = []
    for ticket in sorted(await desk.tickets(), key=lambda t: t.id):
        found += [t.policy_key for t in await desk.targets(ticket.id) if t.kind is TargetKind.FIRST_RESPONSE]
    return found


async def test_the_first_vouched_mail_makes_the_class_and_it_stays(desk: Days) -> None:
    await writes(desk, 1)
    await writes(desk, 2, vouched("big.example"))
    await writes(desk, 3)

    assert await keys(desk) == [
        "first_response.email",
        "target_rules.vip/first_response",
        "target_rules.vip/first_response",
    ]
    assert [e.data["grade"] for e in await desk.events() if e.kind == "customer_graded"] == ["vip"]


async def test_the_card_says_it_and_the_guard_knows_the_line(desk: Days) -> None:
    await writes(desk, 1, vouched("big.example"))

    [letter] = [one for one in await desk.leaves() if one.to == "chen@firm.example"]
    assert "類別" in letter.plain
    item = (await desk.outbox("assignment"))[-1]
    await desk.takes(reply(item, "您好，已更正。\n類別：vip"))
    assert [one for one in await desk.leaves() if one.to == "mei@big.example"] == []
    assert [e.kind for e in await desk.events() if e.kind == "reply_held"] == ["reply_held"]


async def test_somebody_else_is_of_no_class(desk: Days) -> None:
    await writes(desk, 1, vouched("small.example"), sender="mei@small.example")

    assert await keys(desk) == ["first_response.email"]
