"""The durable queue: everything once, in order, by one decider; and poison alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text
from support.storefacts import MINUTE, NOW, arrival, finished, with_cursor

from channels.adapter import Envelope
from channels.message import Medium
from store import cursors, events, messages, sealed
from store.engine import Database, Transaction


async def accept(db: Database, *external_ids: str, **changes: object) -> list[int]:
    async with db.transaction() as tx:
        return [i for i, _ in await messages.accept(tx, [arrival(e, **changes) for e in external_ids], NOW)]


async def claim(db: Database, epoch: int = 1, limit: int = 50) -> list[str]:
    async with db.transaction() as tx:
        return [c.external_id for c in await messages.claim(tx, epoch, limit)]


async def column(db: Database, name: str) -> list[object]:
    async with db.reading() as tx:
        return [r[name] for r in await tx.rows(text(f"SELECT {name} FROM message ORDER BY id"))]


# ---- accept


async def test_what_is_accepted_is_kept_with_its_octets_cursor_and_event(db: Database) -> None:
    raw = bytes(range(256)) * 3
    envelope = Envelope(mail_from="a@b.example", rcpt_to=("c@d.example", "ü@d.example"), source_size=999)
    one = replace(with_cursor("u1", "1"), raw=raw, envelope=envelope)

    async with db.transaction() as tx:
        [(number, is_duplicate)] = await messages.accept(tx, [one], NOW)
    async with db.transaction() as tx:
        kept = await sealed.raws(tx, [number])
        told = await events.of_message(tx, number)
        position = await cursors.read(tx, "mail", "INBOX")
        [claimed] = await messages.claim(tx, 1, 10)
    assert (is_duplicate, kept, position) == (False, {number: raw}, "1")
    assert [(e.kind, e.data["octets"], e.data["behind_source_s"]) for e in told] == [("message_accepted", 768, 60.0)]
    assert (claimed.envelope, claimed.size, claimed.received_at, claimed.accepted_at, claimed.medium) == (
        envelope,
        999,
        NOW - MINUTE,
        NOW,
        Medium.EMAIL,
    )


async def test_g2_a_message_read_twice_is_one_message_in_one_batch_and_across_batches(db: Database) -> None:
    async with db.transaction() as tx:
        first = await messages.accept(tx, [arrival(e) for e in ("a", "b", "a")], NOW)
    async with db.transaction() as tx:
        second = await messages.accept(tx, [arrival(e) for e in ("b", "c", "a", "c")], NOW)
        told = await events.after(tx, 0)
        kept = await sealed.raws(tx, range(1, 20))

    ids = {"a": first[0][0], "b": first[1][0], "c": second[1][0]}
    assert first == [(ids["a"], False), (ids["b"], False), (ids["a"], True)]
    assert second == [(ids["b"], True), (ids["c"], False), (ids["a"], True), (ids["c"], True)]
    assert [e.message for e in told] == [ids["a"], ids["b"], ids["c"]]
    assert sorted(kept) == sorted(ids.values())


async def test_g2_the_first_octets_stay_when_a_source_gives_others_under_the_same_id(db: Database) -> None:
    [number] = await accept(db, "a", raw=b"first")
    await accept(db, "a", raw=b"second")

    async with db.reading() as tx:
        assert await sealed.raws(tx, [number]) == {number: b"first"}


async def test_the_same_id_of_two_channels_is_two_messages(db: Database) -> None:
    assert await accept(db, "a") != await accept(db, "a", channel="other")


async def test_ids_grow_in_the_order_of_arrival_however_many_come(db: Database) -> None:
    names = [f"u{n:04}" for n in range(1500)]

    ids = await accept(db, *names)
    assert ids == sorted(ids)
    assert await column(db, "external_id") == names


async def test_hundreds_of_duplicates_are_recognised(db: Database) -> None:
    names = [f"u{n:04}" for n in range(450)]
    ids = await accept(db, *names)

    assert await accept(db, *reversed(names)) == list(reversed(ids))


async def test_without_the_commit_neither_message_nor_cursor_are_there(db: Database) -> None:
    with pytest.raises(LookupError):  # noqa: PT012  # the end of the transaction is what raises
        async with db.transaction() as tx:
            await messages.accept(tx, [with_cursor("a", "1")], NOW)
            raise LookupError
    async with db.reading() as tx:
        assert await cursors.read(tx, "mail", "INBOX") is None
    assert await column(db, "id") == []


async def test_the_cursor_moves_on_with_duplicates_too_and_the_last_one_counts(db: Database) -> None:
    await accept(db, "a")

    async with db.transaction() as tx:
        await messages.accept(tx, [with_cursor("a", "1"), with_cursor("b", "2")], NOW)
        assert await cursors.read(tx, "mail", "INBOX") == "2"


async def test_a_source_whose_clock_is_ahead_cannot_say_that_it_came_later_than_it_did(db: Database) -> None:
    await accept(db, "a", received_at=NOW + 60 * MINUTE)

    async with db.transaction() as tx:
        [one] = await messages.claim(tx, 1, 1)
    assert one.received_at == NOW


# ---- claim


async def test_phone_comes_before_chat_before_messaging_before_mail_and_each_oldest_first(db: Database) -> None:
    for number, medium in enumerate((Medium.EMAIL, Medium.TELEGRAM, Medium.CHAT, Medium.LINE, Medium.PHONE) * 2):
        await accept(db, f"{medium.value}{number}", medium=medium)

    assert await claim(db) == [
        *("phone4", "phone9", "chat2", "chat7"),
        *("telegram1", "line3", "telegram6", "line8", "email0", "email5"),
    ]


async def test_what_is_claimed_is_not_claimed_again(db: Database) -> None:
    await accept(db, *"abc")

    assert (await claim(db, limit=2), await claim(db, limit=2), await claim(db, limit=2)) == (["a", "b"], ["c"], [])


async def test_a_batch_is_bounded_in_octets_but_one_message_always_comes(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MAX_BATCH_BYTES", 100)
    await accept(db, "huge", raw=b"x" * 500)
    await accept(db, *"ab", raw=b"x" * 50)
    await accept(db, "c", raw=b"x")

    assert [await claim(db) for _ in range(4)] == [["huge"], ["a", "b"], ["c"], []]


async def test_after_its_batch_failed_each_is_claimed_alone_and_those_behind_it_together(db: Database) -> None:
    ids = await accept(db, *"abcd")
    await claim(db, limit=2)
    async with db.transaction() as tx:
        await messages.give_back(tx, ids[:2], epoch=1, alone=True)

    # What goes ahead of them would have been decided before; nobody waits behind one that is tried alone.
    assert [await claim(db) for _ in range(4)] == [["a"], ["b"], ["c", "d"], []]


async def test_only_attempts_made_alone_count(db: Database) -> None:
    ids = await accept(db, "a")
    seen = []
    for is_alone in (False, True, True):
        async with db.transaction() as tx:
            [one] = await messages.claim(tx, 1, 10)
            seen.append((one.is_alone, one.attempts))
            await messages.give_back(tx, ids, epoch=1, alone=is_alone or not seen[1:])
    async with db.transaction() as tx:
        [one] = await messages.claim(tx, 1, 10)

    assert [*seen, (one.is_alone, one.attempts)] == [(False, 0), (True, 1), (True, 2), (True, 3)]


async def test_what_a_dead_decider_had_claimed_comes_back_alone(db: Database) -> None:
    await accept(db, *"abc")
    await claim(db, epoch=1, limit=2)
    async with db.transaction() as tx:
        count = await messages.recover(tx)

    assert (count, [await claim(db, epoch=2) for _ in range(4)]) == (2, [["a"], ["b"], ["c"], []])


async def test_what_a_decider_gives_back_when_it_stops_is_as_it_was(db: Database) -> None:
    await accept(db, *"abc")
    await claim(db, epoch=1, limit=1)
    await claim(db, epoch=2, limit=1)
    async with db.transaction() as tx:
        count = await messages.give_back_all(tx, 2)

    assert (count, await claim(db, epoch=3)) == (1, ["b", "c"])


async def test_stopping_while_one_is_tried_alone_is_no_attempt(db: Database) -> None:
    ids = await accept(db, "a")
    await claim(db)
    async with db.transaction() as tx:
        await messages.give_back(tx, ids, epoch=1, alone=True)
    attempts = []
    for _ in range(5):
        async with db.transaction() as tx:
            [one] = await messages.claim(tx, 1, 1)
            attempts.append(one.attempts)
            await messages.give_back_all(tx, 1)

    assert attempts == [1] * 5


async def test_a_decider_that_was_replaced_gives_back_nothing_of_its_successor(db: Database) -> None:
    ids = await accept(db, "a")
    await claim(db, epoch=1)
    async with db.transaction() as tx:
        await messages.recover(tx)
    await claim(db, epoch=2)
    async with db.transaction() as tx:
        await messages.give_back(tx, ids, epoch=1, alone=True)

    assert await claim(db, epoch=2) == []


# ---- finish


async def finish(db: Database, *done: messages.Finished, epoch: int = 1) -> None:
    async with db.transaction() as tx:
        await messages.finish(tx, done, epoch, NOW)


async def test_what_is_finished_waits_no_longer_and_keeps_its_normal_form(db: Database) -> None:
    a, b = await accept(db, *"ab")
    await claim(db)
    await finish(db, finished(a, normal=b"1"), finished(b, normal=b"2", parked="too deep"))

    assert await column(db, "state") == ["done", "parked"]
    async with db.reading() as tx:
        assert not await messages.any_waiting(tx)
        assert await sealed.normals(tx, [a, b]) == {a: b"1", b: b"2"}
        assert [(p.id, p.reason, p.ticket) for p in await messages.parked(tx)] == [(b, "too deep", 1001)]


async def test_a_stale_epoch_finishes_nothing(db: Database) -> None:
    [a] = await accept(db, "a")
    await claim(db, epoch=2)

    await finish(db, finished(a), epoch=1)
    assert await column(db, "state") == ["claimed"]


async def test_deciding_again_writes_a_new_normal_form(db: Database) -> None:
    [a] = await accept(db, "a")
    await claim(db)
    await finish(db, finished(a, normal=b"1", parked="why"))
    async with db.transaction() as tx:
        await messages.requeue(tx, a)
    await claim(db)
    await finish(db, finished(a, normal=b"2"))

    async with db.reading() as tx:
        assert await sealed.normals(tx, [a]) == {a: b"2"}


async def test_words_known_already_are_found_by_their_key(db: Database) -> None:
    a, b = await accept(db, *"ab")
    await claim(db)
    await finish(db, finished(a, content_key="k1", ticket=7), finished(b, content_key=None))

    async with db.reading() as tx:
        assert await messages.by_content_key(tx, ["k1", "k2"]) == {"k1": (a, 7)}
        assert await messages.by_content_key(tx, []) == {}


async def test_two_messages_cannot_have_the_same_content_key(db: Database) -> None:
    a, b = await accept(db, *"ab")
    await claim(db)

    with pytest.raises(Exception, match=r"(?i)unique"):
        await finish(db, finished(a, content_key="k1"), finished(b, content_key="k1"))
    assert await column(db, "state") == ["claimed", "claimed"]


async def test_how_much_somebody_has_sent_lately(db: Database) -> None:
    old, new, other = (
        *await accept(db, "old", received_at=NOW - 90 * MINUTE),
        *await accept(db, "new"),
        *await accept(db, "other"),
    )
    await claim(db)
    await finish(db, finished(old), finished(new), finished(other, sender="mailto:li@example.com"))

    async with db.reading() as tx:
        found = await messages.recent_by_sender(tx, ["mailto:mei@example.com", "mailto:no@x"], NOW - 60 * MINUTE)
    assert found == {"mailto:mei@example.com": 1}


# ---- park and requeue


async def test_parking_and_requeueing(db: Database) -> None:
    [a] = await accept(db, "a")
    async with db.transaction() as tx:
        parked = await messages.park(tx, a, "x" * 9_000), await messages.park(tx, 999, "nobody")
        [listed] = await messages.parked(tx)
    nothing = await claim(db)
    async with db.transaction() as tx:
        requeued = [await messages.requeue(tx, a), await messages.requeue(tx, a), await messages.requeue(tx, 999)]

    assert (parked, len(listed.reason), nothing) == ((True, False), 500, [])
    assert (requeued, await claim(db)) == ([True, False, False], ["a"])


async def test_what_was_parked_while_it_was_being_decided_stays_parked(db: Database) -> None:
    [a] = await accept(db, "a")
    await claim(db)
    async with db.transaction() as tx:
        await messages.park(tx, a, "let me look")
    await finish(db, finished(a))

    assert await column(db, "state") == ["parked"]


async def test_requeued_starts_from_scratch_and_knows_its_ticket(db: Database) -> None:
    [a] = await accept(db, "a")
    await claim(db)
    await finish(db, finished(a, parked="why", ticket=1042))
    async with db.transaction() as tx:
        await messages.requeue(tx, a)
        [one] = await messages.claim(tx, 1, 1)

    assert (one.is_alone, one.attempts, one.ticket) == (True, 1, 1042)


async def test_what_waits_is_counted_by_channel_and_state(db: Database) -> None:
    await accept(db, *"abc")
    await accept(db, "x", channel="phone", medium=Medium.PHONE)
    await claim(db, limit=2)

    async with db.reading() as tx:
        found = {(r["channel"], r["state"]): (r["count"], r["oldest"]) for r in await messages.waiting(tx)}
    assert found == {("mail", "accepted"): (2, NOW), ("mail", "claimed"): (1, NOW), ("phone", "claimed"): (1, NOW)}


# ---- the cost of looking


async def plan(tx: Transaction, statement: str) -> str:
    return " ".join(str(r["detail"]) for r in await tx.rows(text(f"EXPLAIN QUERY PLAN {statement}")))


async def test_looking_for_work_does_not_read_the_whole_table(sqlite: Database) -> None:
    statement = messages._WAITING.compile(
        dialect=sqlite._writer.dialect, compile_kwargs={"render_postcompile": True}
    ).string
    assert "'accepted'" in statement, "a bound value cannot choose a partial index"
    async with sqlite.reading() as tx:
        found = await tx.rows(text(f"EXPLAIN QUERY PLAN {statement.replace('?', '50')}"))

    assert "ix_message_waiting" in " ".join(str(r["detail"]) for r in found)
