"""The outbox: order for each recipient, one attempt in flight, and nobody blocks anybody else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from support.storefacts import MINUTE, NOW, outgoing

from routing.records import NewOutbox
from routing.words import OutboxState, Purpose
from store import outbox, sent
from store.engine import Database
from store.outbox import OutboxItem

LEASE = NOW + 15 * MINUTE


async def add(db: Database, *items: NewOutbox) -> list[int]:
    async with db.transaction() as tx:
        return [await outbox.add_one(tx, i, NOW) for i in items]


async def due(db: Database, limit: int = 50, at: object = NOW, not_by: tuple[str, ...] = ()) -> list[int]:
    async with db.reading() as tx:
        return [i.id for i in await outbox.due(tx, at, limit, not_by)]  # type: ignore[arg-type]


async def item(db: Database, number: int) -> OutboxItem:
    async with db.reading() as tx:
        found = await outbox.by_id(tx, number)
    assert found is not None
    return found


async def begin(db: Database, *numbers: int, data: bytes = b"octets") -> set[int]:
    items = [await item(db, n) for n in numbers]
    async with db.transaction() as tx:
        return await outbox.begin_attempts(tx, [(i, data) for i in items], NOW, LEASE)


async def fail(db: Database, number: int, state: OutboxState, again: object = None) -> None:
    async with db.transaction() as tx:
        await outbox.record_failure(tx, number, state, "why", again)  # type: ignore[arg-type]


async def test_what_is_put_in_comes_out_as_it_was(db: Database) -> None:
    [a] = await add(db, outgoing(answered_at=NOW - MINUTE, recipe={"words": "您好", "files": ["2"]}))

    found = await item(db, a)
    assert (found.recipe, found.answered_at, found.purpose, found.state, found.next_attempt_at, found.created_at) == (
        {"words": "您好", "files": ["2"]},
        NOW - MINUTE,
        Purpose.ANSWER,
        OutboxState.PENDING,
        NOW,
        NOW,
    )


async def test_answers_leave_before_assignments_before_notices(db: Database) -> None:
    purposes = [
        Purpose.TOLD,
        Purpose.WARNING,
        Purpose.BREACH,
        Purpose.ACKNOWLEDGEMENT,
        Purpose.UPDATE,
        Purpose.ASSIGNMENT,
        Purpose.ANSWER,
    ]
    ids = await add(db, *(outgoing(ticket=n, purpose=p) for n, p in enumerate(purposes)))

    assert await due(db) == list(reversed(ids))


async def test_of_a_lane_only_the_first_may_leave_and_others_do_not_wait_for_it(db: Database) -> None:
    a1, a2, b1, c1 = await add(
        db,
        outgoing(),
        outgoing(),
        outgoing(address="mailto:chen@firm.example"),
        outgoing(ticket=1002),
    )

    first = await due(db)
    await begin(db, a1)
    in_flight = await due(db)
    async with db.transaction() as tx:
        await outbox.record_delivered(tx, {a1: "250 ok"}, NOW)
    assert (first, in_flight, await due(db)) == ([a1, b1, c1], [b1, c1], [a2, b1, c1])


async def test_order_is_kept_while_the_first_waits_to_be_tried_again(db: Database) -> None:
    a1, a2 = await add(db, outgoing(), outgoing())
    await begin(db, a1)
    await fail(db, a1, OutboxState.PENDING, NOW + 5 * MINUTE)

    assert await due(db) == []
    assert await due(db, at=NOW + 5 * MINUTE) == [a1]
    assert a2 not in await due(db, at=NOW + 60 * MINUTE)


@pytest.mark.parametrize("state", [OutboxState.FAILED, OutboxState.UNKNOWN])
async def test_what_ended_for_good_blocks_nobody(db: Database, state: OutboxState) -> None:
    a1, a2 = await add(db, outgoing(), outgoing())
    await begin(db, a1)
    await fail(db, a1, state)

    assert await due(db) == [a2]


async def test_what_belongs_to_no_ticket_waits_for_nothing_but_itself(db: Database) -> None:
    mail = outgoing(ticket=None, address="mailto:boss@firm.example", purpose=Purpose.BREACH, agent="boss")
    first, second = await add(db, mail, replace(mail, mail_id="<b@firm.example>"))
    await fail(db, first, OutboxState.PENDING, NOW + 60 * MINUTE)

    assert await due(db) == [second]


async def test_what_matters_less_does_not_hold_back_what_matters_more(db: Database) -> None:
    note, words = await add(
        db,
        outgoing(purpose=Purpose.ACKNOWLEDGEMENT, agent=None, mail_id="<ack@firm.example>"),
        outgoing(mail_id="<b@firm.example>"),
    )
    await fail(db, note, OutboxState.PENDING, NOW + 60 * MINUTE)
    behind = await add(db, outgoing(purpose=Purpose.ACKNOWLEDGEMENT, agent=None, mail_id="<c@firm.example>"))

    assert await due(db) == [words]
    assert behind == [words + 1]


async def test_what_is_held_blocks_nobody(db: Database) -> None:
    _, a2 = await add(db, outgoing(held_reason="looks_like_note"), outgoing())

    assert await due(db) == [a2]


async def test_an_unknown_one_is_tried_once_more_in_its_turn(db: Database) -> None:
    a1, _ = await add(db, outgoing(), outgoing())
    await begin(db, a1)
    await fail(db, a1, OutboxState.UNKNOWN, LEASE)

    assert (await due(db), await due(db, at=LEASE)) == ([], [a1])
    assert (await item(db, a1)).unknowns == 1


async def test_what_is_meant_for_later_waits_and_so_does_a_resting_channel(db: Database) -> None:
    a, b = await add(db, outgoing(not_before=NOW + MINUTE), outgoing(ticket=2, channel="chat"))

    assert (await due(db), await due(db, at=NOW + MINUTE, not_by=("chat",))) == ([b], [a])
    async with db.reading() as tx:
        assert await outbox.next_at(tx) == NOW


async def test_the_limit_holds(db: Database) -> None:
    await add(db, *(outgoing(ticket=n) for n in range(5)))

    assert len(await due(db, limit=3)) == 3


# ---- attempts


async def test_g3_of_two_who_begin_the_same_attempt_one_has_it(db: Database) -> None:
    [a] = await add(db, outgoing())
    seen = await item(db, a)

    async def try_it() -> set[int]:
        async with db.transaction() as tx:
            return await outbox.begin_attempts(tx, [(seen, b"octets")], NOW, LEASE)

    got = await asyncio.gather(*(try_it() for _ in range(6)))
    assert sorted(map(len, got)) == [0, 0, 0, 0, 0, 1]
    assert ((await item(db, a)).state, (await item(db, a)).attempts) == (OutboxState.ATTEMPTING, 1)


async def test_g3_the_octets_of_the_first_attempt_stay_until_it_is_delivered(db: Database) -> None:
    [a] = await add(db, outgoing())
    await begin(db, a, data=b"first")
    await fail(db, a, OutboxState.PENDING, NOW)
    await begin(db, a, data=b"second")
    async with db.transaction() as tx:
        kept = await outbox.stored_bytes(tx, [a])
        await outbox.record_delivered(tx, {a: "250 ok"}, NOW + MINUTE)
        after = await outbox.stored_bytes(tx, [a])

    found = await item(db, a)
    assert (kept, after) == ({a: b"first"}, {})
    assert (found.state, found.delivered_at, found.remote_id, found.attempts, found.first_attempt_at, found.error) == (
        OutboxState.DELIVERED,
        NOW + MINUTE,
        "250 ok",
        2,
        NOW,
        None,
    )


async def test_what_is_kept_for_a_visitor_keeps_its_octets_until_he_has_seen_it(db: Database) -> None:
    [a] = await add(db, outgoing(channel="website", mail_id=""))
    await begin(db, a)
    async with db.transaction() as tx:
        await outbox.record_delivered(tx, {a: ""}, NOW, stored=True)
        stored = (await outbox.stored_bytes(tx, [a]), await outbox.due(tx, LEASE, 9))
        await outbox.record_seen(tx, a, "another", NOW)
    before = (await item(db, a)).state
    async with db.transaction() as tx:
        await outbox.record_seen(tx, a, "website", NOW + MINUTE)

    assert (stored, before) == (({a: b"octets"}, []), OutboxState.STORED)
    assert (await item(db, a)).state is OutboxState.DELIVERED


async def test_what_was_cut_off_is_found_at_once_by_who_is_alone_and_else_when_its_time_is_over(db: Database) -> None:
    [a] = await add(db, outgoing())
    await begin(db, a)
    async with db.reading() as tx:
        found = [
            [i.id for i in await outbox.cut_off(tx, at, everybody=everybody)]
            for at, everybody in ((NOW, True), (NOW, False), (LEASE, False))
        ]

    assert found == [[a], [], [a]]


async def test_a_row_being_attempted_sets_no_alarm_clock(db: Database) -> None:
    [a] = await add(db, outgoing())
    await begin(db, a)

    async with db.reading() as tx:
        assert await outbox.next_at(tx) is None


async def test_a_bounce_undoes_the_delivery(db: Database) -> None:
    [a] = await add(db, outgoing())
    await begin(db, a)
    async with db.transaction() as tx:
        await outbox.record_delivered(tx, {a: "250 ok"}, NOW)
        await outbox.record_bounce(tx, a, "5.1.1 no such user")

    found = await item(db, a)
    assert (found.state, found.delivered_at, found.error) == (OutboxState.FAILED, None, "5.1.1 no such user")


async def test_an_agents_latest_answer_that_waits_is_found_and_dropped(db: Database) -> None:
    held = {"held_reason": "looks_like_note"}
    numbers = await add(
        db,
        outgoing(**held),
        outgoing(**held, source=2),
        outgoing(**held, source=2, address="mailto:partner@example.com", recipe={"copy": True}),
        outgoing(**held, agent="lin"),
        outgoing(held_reason=outbox.CHANNEL_REMOVED, source=3),
    )
    async with db.transaction() as tx:
        found = await outbox.held(tx, [1001, 1002])
        await outbox.drop_held(tx, 1001, "chen")

    states = [(await item(db, n)).state.value for n in numbers]
    assert found == {(1001, "chen"): outgoing(**held, source=2), (1001, "lin"): outgoing(**held, agent="lin")}
    assert states == ["cancelled", "cancelled", "cancelled", "held", "held"]


LEE, WU = "mailto:lee@example.com", "mailto:wu@example.com"


def copied() -> list[NewOutbox]:
    recipe = {"words": "w", "to": "mailto:wang@example.com", "cc": [["", LEE], ["", WU]]}
    copies = [outgoing(address=a, recipe={**recipe, "copy": True}) for a in (LEE, WU)]
    return [outgoing(recipe=recipe), *copies]


async def waiting(db: Database) -> list[tuple[str, list[str]]]:
    """(address, whom its Cc names) of what may still leave."""
    async with db.reading() as tx:
        rows = await outbox.of_ticket(tx, 1001)
    return [(i.address, [a for _, a in i.recipe["cc"]]) for i in rows if i.state is OutboxState.PENDING]


async def test_who_was_taken_out_is_in_no_answer_that_waits(db: Database) -> None:
    numbers = await add(db, *copied())
    async with db.transaction() as tx:
        await outbox.leave_out(tx, 1001, WU, NOW)
    async with db.transaction() as tx:
        begun = await outbox.begin_attempts(tx, [(i, b"with his name") for i in await taken(db, numbers)], NOW, LEASE)

    assert await waiting(db) == [(outgoing().address, [LEE]), (LEE, [LEE])]
    assert begun == set(), "what was composed before does not leave"


async def taken(db: Database, numbers: list[int]) -> list[outbox.OutboxItem]:
    """Rows as they were read before anything happened to them."""
    return [replace(await item(db, n), state=OutboxState.PENDING) for n in numbers]


async def test_an_answer_that_has_begun_to_leave_keeps_its_octets_but_not_his_copy(db: Database) -> None:
    customer, _, _ = await add(db, *copied())
    await begin(db, customer)
    async with db.transaction() as tx:
        await outbox.leave_out(tx, 1001, WU, NOW)

    assert await waiting(db) == [(LEE, [LEE, WU])]


# ---- looking


async def test_rows_are_found_by_message_id_ticket_and_address(db: Database) -> None:
    a, b, c = await add(
        db,
        outgoing(),
        outgoing(ticket=1002, mail_id="<b@firm.example>", purpose=Purpose.ACKNOWLEDGEMENT),
        outgoing(address="web:v1", mail_id=""),
    )
    async with db.reading() as tx:
        by_id = await sent.of_mail_ids(tx, ["<b@firm.example>", "<x@y>"])
        of_ticket = await outbox.of_ticket(tx, 1001)
        to_visitor = await outbox.to_address(tx, "web:v1", [Purpose.ANSWER])

    assert (
        {k: [i.id for i in some] for k, some in by_id.items()},
        [i.id for i in of_ticket],
        [i.id for i in to_visitor],
    ) == (
        {"<b@firm.example>": [b]},
        [a, c],
        [c],
    )


async def test_a_transcript_is_the_latest_lines_oldest_first(db: Database) -> None:
    ids = await add(db, *(outgoing(address="web:v1") for _ in range(5)))

    async with db.reading() as tx:
        assert [i.id for i in await outbox.to_address(tx, "web:v1", [Purpose.ANSWER], 3)] == ids[2:]


async def test_the_summary_leaves_out_what_is_delivered(db: Database) -> None:
    a, _, _ = await add(db, outgoing(), outgoing(ticket=2), outgoing(held_reason="why"))
    await begin(db, a)
    async with db.transaction() as tx:
        await outbox.record_delivered(tx, {a: "ok"}, NOW)
        found = {r["state"]: r["count"] for r in await outbox.summary(tx)}

    assert found == {"held": 1, "pending": 1}
