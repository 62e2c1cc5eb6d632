"""For any argument: a command that changes a ticket sends a customer nothing by itself, and is done once.

The same mail decided a second time, as after `intake requeue`, changes nothing and writes to nobody but, where it was
refused, to its author.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import handdesk
from support.attackdesk import AttackedDesk, reply
from support.deskrun import agent, mail, policy
from support.storefacts import NOW

from routing.commands import NAMES, CommandName
from routing.deed import Below
from routing.deeds import DEEDS
from routing.policy import Team, Topic
from store import messages

AGENTS = {
    "chen": agent("chen"),
    "lin": agent("lin", topics=("invoice",), complaints=True),
    "boss": agent("boss", is_supervisor=True),
}
POLICY = policy(
    agents=AGENTS,
    teams={"desk": Team(name="desk", display_name="客服", members=("chen",), supervisors=("boss",))},
    topics={"invoice": Topic(key="invoice", names={"zh-Hant": "發票", "zh-Hans": "发票", "en": "Invoices"})},
    peer_cap=100_000,
)
COMMANDS = (
    *(CommandName.WAIT, CommandName.URGENT, CommandName.TOPIC, CommandName.KIND, CommandName.COMPLAINT),
    *(CommandName.GOT, CommandName.MERGE, CommandName.SPLIT, CommandName.RECORD, CommandName.CONSULT),
)
#: What each of them understands, and what none does.
ARGUMENTS = (
    *("", "no", "3d", "3天", "週五", "2026-12-01", "invoice", "發票", "feedback", "客訴", "complaint", "lin", "Lin"),
    *("boss", "存摺、身分證", "a, b", "1001", "#1002", "1003", "call 0912345678", "LINE 王美玲 open", "<script>"),
    *(
        "eve@evil.example",
        "mei@example.com",
        "\u202e1002",
        "￥＃",
        "-",
        "，，",
        "{detail}",
        "ikc-aaaaaaaaaaaaaaaa",
        "';",
    ),
)
LETTERS = "aZ09 一三天週五陳發票，、#＃@.+-!！\u200b\u3000%{}\"'\\🙂"


def arguments(seed: int) -> list[str]:
    chance = random.Random(seed)
    return [*ARGUMENTS, *("".join(chance.choices(LETTERS, k=chance.randint(1, 40))) for _ in range(30))]


def batched(values: list[str], size: int) -> list[list[str]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with handdesk.store(tmp_path) as db:
        yield AttackedDesk(db, policy=POLICY)


async def matters(desk: AttackedDesk) -> dict[str, Any]:
    """Everything that a command may change, but how often its author was told that it cannot be."""
    found: dict[str, Any] = {
        "tickets": [replace(t, token_serial=0, updated_at=NOW) for t in await desk.tickets()],
        "targets": [await desk.targets(t.id) for t in await desk.tickets()],
        "outbox": await desk.rows("SELECT ticket, address, purpose FROM outbox WHERE purpose <> 'told' ORDER BY id"),
    }
    for table in ("document", "reminder", "question", "customer", "contact", "participant"):
        found[table] = await desk.rows(f"SELECT * FROM {table}")
    found["thread_key"] = await desk.rows("SELECT key, ticket FROM thread_key WHERE NOT is_ours ORDER BY key")
    # Whoever has lost the ticket by his own command has no word on it any more: his mail belongs to none then.
    found["message"] = await desk.rows("SELECT id, ticket FROM message WHERE speaker = 'customer' ORDER BY id")
    return found


async def written_to(desk: AttackedDesk) -> list[Any]:
    """Every row that goes to somebody outside the firm, held ones as well."""
    return await desk.rows("SELECT id, address, purpose FROM outbox WHERE address NOT LIKE '%@firm.example'")


async def decide_again(desk: AttackedDesk, since: int) -> None:
    """All messages after one are put back by an operator."""
    async with desk.db.transaction() as tx:
        for number in await desk.messages("id"):
            if number > since:
                await messages.park(tx, number, "to be looked at again")
                assert await messages.requeue(tx, number)
    await desk.settle()


@pytest.mark.parametrize("name", COMMANDS)
async def test_by_itself_it_sends_no_customer_anything_and_it_is_done_once(
    desk: AttackedDesk, name: CommandName
) -> None:
    item = await desk.opened()
    await desk.takes(mail("另一件事", From="李大華 <lee@example.com>", Message_ID="<x@example.com>"))
    await desk.takes(mail("發票遺失", In_Reply_To="<a@example.com>", Message_ID="<b@example.com>"))
    await desk.leaves()
    [update] = await desk.outbox("update")
    words = "" if DEEDS[name].below is Below.OUT else "\n\n談過了。"
    written = NAMES[name]

    answered = update if name is CommandName.SPLIT else item
    before, outside = max(await desk.messages("id")), await written_to(desk)

    for some in batched(arguments(seed=len(name.value)), 8):
        lines = [f"！{written[number % len(written)]} {argument}" for number, argument in enumerate(some)]
        await desk.takes(*(reply(answered, line + words) for line in lines))
    once = await matters(desk)
    await decide_again(desk, before)

    assert await matters(desk) == once
    assert await written_to(desk) == outside


async def test_a_record_of_its_own_opens_one_ticket_however_often_it_is_decided(desk: AttackedDesk) -> None:
    facts = {"From": "chen@firm.example", "Message_ID": "<own@firm.example>", "Subject": "x"}
    await desk.takes(mail("!record call 0912345678\n\n談過了。", **facts))
    once = await matters(desk)

    await decide_again(desk, 0)

    assert len(once["tickets"]) == 1
    assert await matters(desk) == once
