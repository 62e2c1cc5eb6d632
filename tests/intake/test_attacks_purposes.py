"""Attacks with a token that is genuine, but was given out for something else: it lets nobody speak to a customer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.attackdesk import ATTACKER, RECEIVED, AttackedDesk, octets, reply, vouched
from support.deskrun import KEYRING
from support.handdesk import store

from routing.tokens import ACT, CONFIRM, CONSULT, ENROL, FILES, REPLY, TokenRecord, issue
from store import tokens
from store.outbox import OutboxItem

OTHERS = {
    "a question's": f"{CONFIRM}:1",
    "a question's that nobody asked": f"{CONFIRM}:99",
    "a question's without a number": f"{CONFIRM}:x",
    "a senior's": f"{CONSULT}:lin",
    "a link's": f"{ACT}:mine",
    "a link's that is no command": f"{ACT}:rm",
    "of files": f"{FILES}:1",
    "of a welcome": f"{ENROL}:chen",
    "of no kind": "nothing",
}
WORDS = "您好，可以更正。"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


async def given(desk: AttackedDesk, item: OutboxItem, purpose: str, **changes: object) -> OutboxItem:
    """His mail as it would be with a token of that purpose in its address; the store knows the token."""
    facts = {"ticket": item.ticket, "agent": item.agent, "purpose": purpose, "serial": 77, "now": desk.clock.at}
    record: TokenRecord = issue(KEYRING, counts_for=timedelta(days=1), **(facts | changes))  # type: ignore[arg-type]
    async with desk.db.transaction() as tx:
        await tokens.add(tx, [record])
    return replace(item, recipe={**item.recipe, "token": record.token})


async def to_customers(desk: AttackedDesk) -> list[str]:
    letters = await desk.leaves()
    return [letter.to for letter in letters if not letter.to.endswith("@firm.example")]


@pytest.mark.parametrize("purpose", OTHERS.values(), ids=OTHERS)
async def test_g8_a_token_for_something_else_speaks_to_no_customer(desk: AttackedDesk, purpose: str) -> None:
    item = await given(desk, await desk.opened(), purpose)

    await desk.takes(reply(item, WORDS))

    assert await to_customers(desk) == []
    assert await desk.outbox("answer") == []
    assert await desk.counted("state = 'done'") == 2  # decided, not parked: the words are accounted for
    assert (await desk.events())[-1].kind != "message_accepted"


@pytest.mark.parametrize("purpose", [REPLY, *OTHERS.values()], ids=["a reply's", *OTHERS])
@pytest.mark.parametrize(
    "command", ["!close", "！結案", "!to boss", "!ok", "!merge 1002", "!send", "!cc eve@evil.example"]
)
async def test_g8_in_an_outsiders_hand_it_does_nothing(desk: AttackedDesk, purpose: str, command: str) -> None:
    item = await given(desk, await desk.opened(), purpose)
    before = await desk.tickets()
    lines = [f"From: 陳怡君 <{ATTACKER}>", f"To: support+{item.recipe['token']}@firm.example", "Subject: Re: 營業稅"]
    lines += [f"In-Reply-To: {item.mail_id}", "Message-ID: <e@evil.example>"]

    await desk.takes(octets(vouched("evil.example"), RECEIVED, *lines, body=f"{command}\n\n{WORDS}"))

    assert await desk.outbox("answer") == []
    assert set(await to_customers(desk)) <= {ATTACKER}  # he may be told that his mail has come, as anybody is
    after = {t.id: t for t in await desk.tickets()}
    assert [(after[t.id].state, after[t.id].agent, after[t.id].kind) for t in before] == [
        (t.state, t.agent, t.kind) for t in before
    ]


async def test_g8_a_reply_token_of_another_ticket_answers_neither(desk: AttackedDesk) -> None:
    item = await desk.opened()
    other = await given(desk, item, REPLY, ticket=4711)

    await desk.takes(reply(other, WORDS))

    assert await to_customers(desk) == []
    assert await desk.outbox("answer") == []
