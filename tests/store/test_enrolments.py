"""What agents' mails have shown, and probes, on both engines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from routing.records import Enrolment, Probe
from routing.tokens import TokenRecord, purpose_of_enrolment
from store import enrolments, tokens
from store.engine import Database

NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)
DAY = timedelta(days=1)
ROW = Enrolment(
    agent="chen",
    address="mailto:chen@firm.example",
    channel="mail",
    evidence="authserv",
    client="Outlook",
    first_seen_at=NOW,
    last_seen_at=NOW,
    message=7,
)
PROBE = Probe(channel="mail", kind="exchange-internal", nonce="ikp-1", sent_at=NOW)


async def test_a_row_is_replaced_and_others_stay(db: Database) -> None:
    later = replace(ROW, client="Outlook; iPhone Mail", last_seen_at=NOW + DAY)
    bare, lin = replace(ROW, evidence="none"), replace(ROW, agent="lin")
    async with db.transaction() as tx:
        await enrolments.put(tx, [ROW, bare, lin])
        await enrolments.put(tx, [later])

        assert await enrolments.of_agents(tx, ["chen", "nobody"]) == {"chen": [later, bare]}
        assert await enrolments.of_agents(tx, []) == {}


async def test_only_addresses_that_are_not_his_are_forgotten(db: Database) -> None:
    other = replace(ROW, address="mailto:chen1990@mail.example")
    async with db.transaction() as tx:
        await enrolments.put(tx, [ROW, other, replace(other, agent="lin")])

        assert await enrolments.forget_elsewhere(tx, "chen", [ROW.address]) == 1
        assert await enrolments.of_agents(tx, ["chen", "lin"]) == {"chen": [ROW], "lin": [replace(other, agent="lin")]}


async def test_serials_go_on_and_the_last_welcome_is_known(db: Database) -> None:
    record = TokenRecord(
        token="ikta", ticket=0, agent="chen", purpose=purpose_of_enrolment("chen"), serial=1, issued_at=NOW
    )
    async with db.transaction() as tx:
        assert await enrolments.next_serial(tx, "chen") == 1
        await tokens.add(tx, [record, replace(record, token="iktb", serial=2, issued_at=NOW + DAY)])

        assert await enrolments.next_serial(tx, "chen") == 3
        assert await enrolments.welcomed(tx, ["chen", "lin"]) == {"chen": NOW + DAY}
        assert await enrolments.welcomed(tx, []) == {}


async def test_a_probe_that_is_sent_again_keeps_its_last_answer_until_the_next(db: Database) -> None:
    seen = replace(PROBE, seen_at=NOW, result="stripped")
    again = replace(PROBE, nonce="ikp-2", sent_at=NOW + DAY)
    async with db.transaction() as tx:
        await enrolments.ask(tx, PROBE)
        await enrolments.answer(tx, [seen])

        assert await enrolments.ask(tx, again) == replace(again, seen_at=NOW, result="stripped")
        await enrolments.answer(tx, [replace(seen, result="kept")])  # of the one before: too late
        assert (await enrolments.probes(tx, PROBE.kind))["mail"].result == "stripped"
        assert await enrolments.probes(tx, "something else") == {}
