"""Sealed at rest: what people wrote is on the disk for the holder of the key alone, and nothing else is lost by it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from support.storefacts import NOW, arrival, finished

from store import messages
from store import sealed as stored
from store.engine import Database
from store.seal import Seal, SealBroken

SECRET, NEWER = "k" * 43, "n" * 43
CANARY = b"Subject: the balance sheet of Kingfisher Ltd\r\n\r\n8,123,456"


@pytest.fixture
def sealed(db: Database) -> Database:
    db.seal = Seal([SECRET])
    return db


async def taken_in(db: Database, external_id: str = "u1", raw: bytes = CANARY) -> int:
    """A message, accepted, claimed and decided with `raw` as its normal form too."""
    async with db.transaction() as tx:
        [(number, _)] = await messages.accept(tx, [replace(arrival(external_id), raw=raw)], NOW)
        await messages.claim(tx, 1, 10)
        await messages.finish(tx, [replace(finished(number), normal=b'{"text": "' + raw[-9:] + b'"}')], 1, NOW)
    return number


async def both(db: Database, number: int) -> tuple[bytes, bytes]:
    async with db.reading() as tx:
        return (await stored.raws(tx, [number]))[number], (await stored.normals(tx, [number]))[number]


async def on_the_disk(db: Database) -> bytes:
    async with db.reading() as tx:
        raws = [bytes(r["data"]) for r in await tx.rows(text("SELECT data FROM raw"))]
        return b"".join(raws + [bytes(r["data"]) for r in await tx.rows(text("SELECT data FROM normal"))])


async def test_what_was_written_comes_back_and_is_not_on_the_disk(sealed: Database) -> None:
    number = await taken_in(sealed)

    assert await both(sealed, number) == (CANARY, b'{"text": "8,123,456"}')
    kept = await on_the_disk(sealed)
    assert (b"Kingfisher" in kept, b"8,123,456" in kept) == (False, False)


async def test_not_one_file_of_the_store_holds_the_words(tmp_path: Path, sqlite: Database) -> None:
    sqlite.seal = Seal([SECRET])

    await taken_in(sqlite)
    files = [p for p in tmp_path.iterdir() if p.is_file()]
    assert [p.name for p in files if b"Kingfisher" in p.read_bytes()] == []


async def test_without_a_key_everything_stands_as_it_came(db: Database) -> None:
    number = await taken_in(db)

    assert await both(db, number) == (CANARY, b'{"text": "8,123,456"}')
    assert b"Kingfisher" in await on_the_disk(db)


async def test_what_lay_open_before_there_was_a_key_stays_readable(db: Database) -> None:
    number = await taken_in(db)
    db.seal = Seal([SECRET])
    later = await taken_in(db, "u2")

    assert await both(db, number) == await both(db, later)


async def test_a_new_key_above_the_old_one_opens_both(sealed: Database) -> None:
    old = await taken_in(sealed)
    sealed.seal = Seal.from_secret(f"# of november\n{NEWER}\n\n{SECRET}\n")
    new = await taken_in(sealed, "u2")

    assert await both(sealed, old) == await both(sealed, new)
    async with sealed.reading() as tx:
        assert await stored.wanted_keys(tx) == [Seal([NEWER]).current]


@pytest.mark.parametrize("seal", [None, Seal([NEWER])], ids=["no key", "another key"])
async def test_without_the_right_key_it_is_said_which_one_is_missing(sealed: Database, seal: Seal | None) -> None:
    number = await taken_in(sealed)
    wanted = Seal([SECRET]).current
    sealed.seal = seal

    async with sealed.reading() as tx:
        with pytest.raises(SealBroken, match=f"message {number} is sealed with the store key {wanted}"):
            await stored.raws(tx, [number])
        with pytest.raises(SealBroken, match=wanted):
            await stored.normals(tx, [number])


async def test_octets_moved_to_another_message_do_not_open(sealed: Database) -> None:
    one, other = await taken_in(sealed), await taken_in(sealed, "u2", CANARY[::-1])
    async with sealed.transaction() as tx:
        for table, column in (("raw", "data"), ("raw_key", "sealed_key")):
            await tx.execute(
                text(
                    f"UPDATE {table} SET {column} = "
                    f"(SELECT {column} FROM {table} WHERE message = :other) WHERE message = :one"
                ),
                {"one": one, "other": other},
            )

    async with sealed.reading() as tx:
        with pytest.raises(SealBroken, match=f"octets of message {one} were changed"):
            await stored.raws(tx, [one])
        assert (await stored.raws(tx, [other]))[other] == CANARY[::-1]


async def test_forgetting_a_messages_key_erases_its_words(sealed: Database) -> None:
    number = await taken_in(sealed)
    async with sealed.transaction() as tx:
        await tx.execute(text("UPDATE raw_key SET sealed_key = NULL"))

    async with sealed.reading() as tx:
        with pytest.raises(SealBroken, match=f"message {number} was erased"):
            await stored.normals(tx, [number])


async def test_one_that_does_not_open_keeps_the_others_from_nothing(sealed: Database) -> None:
    gone, kept = await taken_in(sealed), await taken_in(sealed, "u2")
    async with sealed.transaction() as tx:
        await tx.execute(text("UPDATE raw_key SET sealed_key = NULL WHERE message = :gone"), {"gone": gone})

    async with sealed.reading() as tx:
        for opened, closed in (
            await stored.raws_or_why(tx, [gone, kept]),
            await stored.normals_or_why(tx, [gone, kept]),
        ):
            assert ([*opened], [*closed]) == ([kept], [gone])


async def test_words_erased_while_they_were_decided_are_not_laid_open_by_the_decision(sealed: Database) -> None:
    async with sealed.transaction() as tx:
        [(number, _)] = await messages.accept(tx, [arrival("u1")], NOW)
        await messages.claim(tx, 1, 10)
        await tx.execute(text("UPDATE raw_key SET sealed_key = NULL"))
        await messages.finish(tx, [finished(number)], 1, NOW)

    async with sealed.reading() as tx:
        assert await tx.rows(text("SELECT data FROM normal")) == []


async def test_the_keys_to_go_on_are_those_of_the_newest_and_of_all_that_wait(sealed: Database) -> None:
    old, waits, new = Seal(["1" * 43]), Seal(["2" * 43]), Seal(["3" * 43])
    sealed.seal = old
    await taken_in(sealed, "done")
    sealed.seal = waits
    async with sealed.transaction() as tx:
        await messages.accept(tx, [arrival("waits")], NOW)
    sealed.seal = new
    async with sealed.transaction() as tx:
        [(number, _)] = await messages.accept(tx, [arrival("newest")], NOW)
        await messages.park(tx, number, "looked at")

    async with sealed.reading() as tx:
        assert await stored.wanted_keys(tx) == sorted([waits.current, new.current])


def test_a_key_tells_nothing_of_itself() -> None:
    seal = Seal([SECRET])

    assert re.fullmatch(r"Seal\([0-9a-f]{16}\)", repr(seal))
    assert SECRET not in repr(seal.new_key(1))


@pytest.mark.parametrize("content", ["", "\n# only a word\n"])
def test_an_empty_key_file_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="store's key is empty"):
        Seal.from_secret(content)
