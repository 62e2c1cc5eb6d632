"""Numbers, tickets, customers, agents, tokens, calls and cursors: given back as they were given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest
from support.storefacts import MINUTE, NOW, ticket

from routing.records import Contact, Customer, StoredCall
from routing.tokens import TokenRecord
from routing.words import Kind, TicketState
from store import agents, calls, customers, numbers, tickets, tokens
from store.engine import Database

CLOSED = {"state": TicketState.CLOSED, "closed_at": NOW, "closed_reason": "closed by chen"}


# ---- numbers


async def test_numbers_follow_one_another_from_the_first(db: Database) -> None:
    async with db.transaction() as tx:
        taken = [await numbers.take(tx, "ticket", n) for n in (1, 0, 3)]
        first_customer = await numbers.take(tx, "customer", 1)

    assert [*taken[0], *taken[1], *taken[2]] == [1001, 1002, 1003, 1004]
    assert list(first_customer) == [1]


async def test_no_number_is_given_twice_to_those_who_ask_at_once(db: Database) -> None:
    async def some() -> list[int]:
        async with db.transaction() as tx:
            return list(await numbers.take(tx, "ticket", 3))

    given = [n for taken in await asyncio.gather(*(some() for _ in range(10))) for n in taken]
    assert sorted(given) == list(range(1001, 1031))


async def test_numbers_of_a_transaction_that_failed_are_given_again(db: Database) -> None:
    with pytest.raises(LookupError):  # noqa: PT012  # the end of the transaction is what raises
        async with db.transaction() as tx:
            await numbers.take(tx, "ticket", 5)
            raise LookupError
    async with db.transaction() as tx:
        assert list(await numbers.take(tx, "ticket", 1)) == [1001]


# ---- tickets


async def test_a_ticket_comes_back_as_it_was_written(db: Database) -> None:
    one = ticket(1001, follows=999, token_serial=3, is_urgent=True, agent=None)
    two = ticket(1002, **CLOSED)
    async with db.transaction() as tx:
        await tickets.add(tx, [one, two])
        found = await tickets.by_ids(tx, [1001, 1002, 5])

    assert found == {1001: one, 1002: two}


async def test_a_change_leaves_alone_what_is_frozen_at_the_opening(db: Database) -> None:
    one = ticket(1001)
    changed = replace(
        one,
        **CLOSED,
        agent="lin",
        team="night",
        kind=Kind.COMPLAINT,
        topic="payroll",
        is_urgent=True,
        standing="unverified",
        token_serial=9,
        updated_at=NOW + MINUTE,
    )
    async with db.transaction() as tx:
        await tickets.add(tx, [one])
        await tickets.change(tx, [replace(changed, contact="mailto:thief@example.com", subject="other", opened_by=9)])
        found = await tickets.by_ids(tx, [1001])

    assert found == {1001: changed}


async def test_the_open_tickets_of_customers_newest_first_and_the_loads_of_agents(db: Database) -> None:
    async with db.transaction() as tx:
        await tickets.add(
            tx,
            [
                ticket(1001),
                ticket(1002, state=TicketState.ANSWERED),
                ticket(1003, **CLOSED),
                ticket(1004, customer=2, agent=None),
                ticket(1005, customer=2, agent="lin", state=TicketState.WAITING),
                ticket(1006),
            ],
        )
        of_customers = await tickets.open_of_customers(tx, [1, 2, 3])
        loads = await tickets.open_loads(tx)
        listed = await tickets.listed(tx)
        everything = await tickets.listed(tx, only_open=False, limit=2)

    assert {c: [t.id for t in theirs] for c, theirs in of_customers.items()} == {
        1: [1006, 1002, 1001],
        2: [1005, 1004],
    }
    assert loads == {"chen": 2}
    assert [t.id for t in listed] == [1006, 1005, 1004, 1002, 1001]
    assert [t.id for t in everything] == [1006, 1005]


async def test_a_message_id_belongs_to_its_first_ticket_for_ever(db: Database) -> None:
    async with db.transaction() as tx:
        await tickets.add_keys(tx, [("<a@x>", 1001, False), ("<b@x>", 1001, True), ("<a@x>", 1002, False)])
        await tickets.add_keys(tx, [("<b@x>", 1003, False)])
        found = await tickets.by_keys(tx, ["<a@x>", "<b@x>", "<c@x>"])

    assert found == {"<a@x>": (1001, False), "<b@x>": (1001, True)}


async def test_the_latest_ticket_of_a_caller_or_a_session_moves_on(db: Database) -> None:
    async with db.transaction() as tx:
        await tickets.move_keys(tx, [("caller:hotline:+886212345678", 1001), ("caller:hotline:+886212345678", 1002)])
        await tickets.move_keys(tx, [("caller:hotline:+886212345678", 1003)])
        found = await tickets.by_keys(tx, ["caller:hotline:+886212345678"])

    assert found == {"caller:hotline:+886212345678": (1003, False)}


async def test_hundreds_of_keys_are_looked_up_at_once(db: Database) -> None:
    async with db.transaction() as tx:
        await tickets.add_keys(tx, [(f"<{n}@x>", n, False) for n in range(1200)])
        found = await tickets.by_keys(tx, [f"<{n}@x>" for n in range(1300)])

    assert len(found) == 1200


# ---- customers


def customer(number: int) -> Customer:
    return Customer(id=number, name="王美玲", language="zh-Hant", created_at=NOW, agent="chen")


def contact(address: str, of: int, at: datetime = NOW) -> Contact:
    return Contact(address=address, customer=of, name="王", source="mail", first_seen_at=at)


async def test_customers_and_their_contacts(db: Database) -> None:
    mail, phone = contact("mailto:mei@example.com", 1), contact("tel:+886212345678", 1, NOW - MINUTE)
    async with db.transaction() as tx:
        await customers.add(tx, [customer(1), customer(2)], [mail, phone])
        assert await customers.by_ids(tx, [1, 3]) == {1: customer(1)}
        assert await customers.contacts(tx, [mail.address, "mailto:x@y"]) == {mail.address: mail}
        assert await customers.contacts_of(tx, [1, 2]) == {1: [phone, mail]}


async def test_a_contact_stays_with_whom_it_belonged_to_first(db: Database) -> None:
    async with db.transaction() as tx:
        await customers.add(tx, [customer(1)], [contact("mailto:mei@example.com", 1)])
        await customers.add(tx, [customer(2)], [contact("mailto:mei@example.com", 2)])
        found = await customers.contacts(tx, ["mailto:mei@example.com"])

    assert found["mailto:mei@example.com"].customer == 1


async def test_somebody_vouched_for_an_address(db: Database) -> None:
    async with db.transaction() as tx:
        await customers.add(tx, [customer(1)], [contact("mailto:a@x", 1), contact("mailto:b@x", 1)])
        await customers.mark_verified(tx, [])
        await customers.mark_verified(tx, ["mailto:b@x"])
        found = await customers.contacts(tx, ["mailto:a@x", "mailto:b@x"])

    assert {a: c.is_verified for a, c in found.items()} == {"mailto:a@x": False, "mailto:b@x": True}


# ---- agents


async def test_getting_work_does_not_change_whether_an_agent_is_there(db: Database) -> None:
    async with db.transaction() as tx:
        await agents.assigned(tx, {"chen": NOW})
        await tx.execute(agents.AGENT.update().values(presence="off"))
        await agents.assigned(tx, {"chen": NOW + MINUTE, "lin": NOW})
        found = await agents.states(tx)

    assert {n: (s.presence, s.last_assigned_at) for n, s in found.items()} == {
        "chen": ("off", NOW + MINUTE),
        "lin": ("on", NOW),
    }


# ---- tokens


def token(word: str, **changes: object) -> TokenRecord:
    facts: dict[str, object] = {"ticket": 1001, "agent": "chen", "purpose": "reply", "serial": 1, "issued_at": NOW}
    return TokenRecord(token=word, **{**facts, **changes})  # type: ignore[arg-type]


async def test_tokens_are_kept_as_they_were_given_out(db: Database) -> None:
    one, two = token("ikta"), token("iktb", serial=2, expires_at=NOW, revoked_at=NOW, used_at=NOW)
    async with db.transaction() as tx:
        await tokens.add(tx, [one, two])
        await tokens.add(tx, [one])
        assert await tokens.by_tokens(tx, ["ikta", "iktb", "iktc"]) == {"ikta": one, "iktb": two}
        assert await tokens.by_tokens(tx, []) == {}


async def test_a_leavers_tokens_end_and_nobody_elses(db: Database) -> None:
    async with db.transaction() as tx:
        await tokens.add(tx, [token("ikta"), token("iktb", revoked_at=NOW), token("iktc", agent="lin")])
        count = await tokens.revoke_of_agent(tx, "chen", NOW + MINUTE)
        found = await tokens.all_of_ticket(tx, 1001)

    assert count == 1
    assert {t.token: t.revoked_at for t in found} == {"ikta": NOW + MINUTE, "iktb": NOW, "iktc": None}


# ---- calls


async def test_a_calls_story_is_replaced_by_the_newer_one_and_is_known_by_channel_and_id(db: Database) -> None:
    call = StoredCall(channel="hotline", call_id="7", ticket=None, facts="{}", next_at=NOW)
    later = replace(call, ticket=1001, facts='{"a": 1}', next_at=NOW + MINUTE)
    other = replace(call, channel="second")
    async with db.transaction() as tx:
        await calls.write(tx, [call, other])
        await calls.write(tx, [later])
        assert await calls.by_ids(tx, [("hotline", "7"), ("hotline", "8")]) == {("hotline", "7"): later}
        assert await calls.ripe(tx, NOW) == [other]
        assert await calls.next_at(tx) == NOW
        await calls.settle(tx, other)
        assert await calls.next_at(tx) == NOW + MINUTE
