"""What people wrote, as it lies in the store: octets and normal forms, sealed where there is a key.

Each message is opened by itself: one whose key is gone, or whose octets were changed, keeps no other from being read.
Erased is a message whose row of `raw_key` holds no key any more; the row stays, to say that the octets are sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, text

from store.engine import WANTED, Transaction
from store.schema import MessageRow, NormalRow, RawKeyRow, RawRow
from store.seal import SEALED_MARK, DataKey, Erased, Seal, SealBroken

MESSAGE = MessageRow.__table__  # type: ignore[attr-defined]
RAW = RawRow.__table__  # type: ignore[attr-defined]
KEY = RawKeyRow.__table__  # type: ignore[attr-defined]
NORMAL = NormalRow.__table__  # type: ignore[attr-defined]

Opened = tuple[dict[int, bytes], dict[int, SealBroken]]  # what could be opened, and why the others could not


# ---- keep


async def keep_raws(tx: Transaction, new: Sequence[tuple[int, bytes]]) -> None:
    """Write the octets of new messages: (message, octets)."""
    seal = tx.seal
    if seal is None:
        await tx.insert(RAW, [{"message": number, "data": octets} for number, octets in new])
        return
    keys = {number: seal.new_key(number) for number, _ in new}
    await tx.insert(RAW, [{"message": n, "data": seal.close(keys[n], octets, n, "raw")} for n, octets in new])
    await tx.insert(KEY, [{"message": n, "key_id": k.key_id, "sealed_key": k.wrapped} for n, k in keys.items()])


async def keep_normals(tx: Transaction, made: Sequence[tuple[int, int, bytes]]) -> None:
    """Write normal forms: (message, parser version, JSON). Of a message whose key does not open, none is kept.

    Those are stubs that hold nothing, or words that somebody has erased in this moment: they must not lie open.
    """
    keys, broken = await _keys(tx, [number for number, _, _ in made]) if tx.seal is not None else ({}, {})
    rows = [
        {"message": number, "parser_version": version, "data": _sealed_normal(tx.seal, keys.get(number), number, data)}
        for number, version, data in made
        if number not in broken
    ]
    if rows:
        await tx.insert(NORMAL, rows, replace_at=("message",))


def _sealed_normal(seal: Seal | None, key: DataKey | None, number: int, data: bytes) -> bytes:
    if seal is None or key is None:  # accepted before there was a key: it lies open already
        return data
    return SEALED_MARK + seal.close(key, data, number, "normal")


# ---- read


_RAWS = (
    select(RAW.c.message, RAW.c.data, KEY.c.key_id, KEY.c.sealed_key)
    .select_from(RAW.outerjoin(KEY, KEY.c.message == RAW.c.message))
    .where(RAW.c.message.in_(WANTED))
)
_NORMALS = select(NORMAL.c.message, NORMAL.c.data).where(NORMAL.c.message.in_(WANTED))


async def raws(tx: Transaction, ids: Sequence[int]) -> dict[int, bytes]:
    """The octets of messages: {id: raw}. Raises SealBroken."""
    return _all_of(await raws_or_why(tx, ids))


async def raws_or_why(tx: Transaction, ids: Sequence[int]) -> Opened:
    """The octets of messages, each opened by itself: ({id: raw}, {id: why it stays closed})."""
    rows = await tx.rows(_RAWS, {"wanted": ids})
    opened: dict[int, bytes] = {}
    broken: dict[int, SealBroken] = {}
    for row in rows:
        number = row["message"]
        try:
            opened[number] = _raw(tx, row)
        except SealBroken as error:
            broken[number] = error
    return opened, broken


def _raw(tx: Transaction, row: Mapping[str, Any]) -> bytes:
    if row["key_id"] is None:
        return bytes(row["data"])
    seal, key = _key(tx, row)
    return seal.open(key, row["data"], row["message"], "raw")


async def normals(tx: Transaction, ids: Sequence[int]) -> dict[int, bytes]:
    """The stored normal forms: {id: JSON}. Raises SealBroken."""
    return _all_of(await normals_or_why(tx, ids))


async def normals_or_why(tx: Transaction, ids: Sequence[int]) -> Opened:
    """The stored normal forms, each opened by itself: ({id: JSON}, {id: why it stays closed})."""
    rows = await tx.rows(_NORMALS, {"wanted": ids})
    opened: dict[int, bytes] = {r["message"]: bytes(r["data"]) for r in rows}
    sealed = [number for number, data in opened.items() if data.startswith(SEALED_MARK)]
    if not sealed:
        return opened, {}
    keys, broken = await _keys(tx, sealed)
    for number in sealed:
        octets = opened.pop(number)[len(SEALED_MARK) :]
        if number not in keys:
            broken.setdefault(number, SealBroken(f"the key of message {number} is gone"))
            continue
        try:
            opened[number] = _seal(tx, number, keys[number].key_id).open(keys[number], octets, number, "normal")
        except SealBroken as error:
            broken[number] = error
    return opened, broken


def _all_of(found: Opened) -> dict[int, bytes]:
    opened, broken = found
    for error in broken.values():
        raise error
    return opened


# ---- keys


async def _keys(tx: Transaction, ids: Sequence[int]) -> tuple[dict[int, DataKey], dict[int, SealBroken]]:
    """The keys of messages that are sealed, and why some of them do not open; messages that lie open are in neither."""
    rows = await tx.rows(select(KEY).where(KEY.c.message.in_(ids)))
    keys: dict[int, DataKey] = {}
    broken: dict[int, SealBroken] = {}
    for row in rows:
        try:
            _, keys[row["message"]] = _key(tx, row)
        except SealBroken as error:
            broken[row["message"]] = error
    return keys, broken


def _key(tx: Transaction, row: Mapping[str, Any]) -> tuple[Seal, DataKey]:
    number, key_id, wrapped = row["message"], row["key_id"], row["sealed_key"]
    if wrapped is None:
        raise Erased(f"message {number} was erased: its key is gone")
    seal = _seal(tx, number, key_id)
    return seal, seal.unwrap(number, key_id, wrapped)


def _seal(tx: Transaction, number: int, key_id: str) -> Seal:
    if tx.seal is None:
        raise SealBroken(f"message {number} is sealed with the store key {key_id}, and [store] names no key")
    return tx.seal


async def wanted_keys(tx: Transaction) -> list[str]:
    """Which of the desk's keys must be there to go on: those of the newest message and of all that wait, sorted."""
    is_there = KEY.c.sealed_key.is_not(None)
    newest = await tx.scalar(select(KEY.c.key_id).where(is_there).order_by(KEY.c.message.desc()).limit(1))
    waiting = await tx.rows(
        select(KEY.c.key_id)
        .join(MESSAGE, MESSAGE.c.id == KEY.c.message)
        .where(text("message.state IN ('accepted', 'claimed')"), is_there)
        .distinct()
    )
    return sorted({str(key_id) for key_id in (newest, *(r["key_id"] for r in waiting)) if key_id is not None})
