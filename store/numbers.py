"""Numbers given out inside a transaction: tickets and customers. Gaps are allowed, repeats are not."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.engine import Transaction
from store.schema import CounterRow

COUNTER = CounterRow.__table__  # type: ignore[attr-defined]

#: The first ticket is #1001: a number that can be said on the telephone and does not look like a test.
FIRST = {"ticket": 1000, "customer": 0, "question": 0, "overlay": 0}

_TAKE = (
    update(COUNTER)
    .where(COUNTER.c.name == bindparam("the_name"))
    .values(value=COUNTER.c.value + bindparam("how_many"))
    .returning(COUNTER.c.value)
)


async def keep(tx: Transaction, values: Mapping[str, int]) -> None:
    """Remember numbers by name, in place of what stood there."""
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    for name, value in values.items():
        statement = dialect.insert(COUNTER).values(name=name, value=value)
        await tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


async def advance(tx: Transaction, name: str, value: int) -> bool:
    """Remember a number that only grows; False if it, or a larger one, was there: of several, one is told True."""
    dialect = sqlite if tx.dialect == "sqlite" else postgresql
    statement = dialect.insert(COUNTER).values(name=name, value=value)
    made = await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"value": value}, where=COUNTER.c.value < value
        ).returning(COUNTER.c.value)
    )
    return made.first() is not None


async def kept(tx: Transaction, name: str) -> int:
    """A number that was remembered; 0 if none was."""
    return int(await tx.scalar(select(COUNTER.c.value).where(COUNTER.c.name == name)) or 0)


async def take(tx: Transaction, name: str, how_many: int) -> range:
    """The next `how_many` numbers of a sequence."""
    if how_many == 0:
        return range(0)
    row = (await tx.execute(_TAKE, {"the_name": name, "how_many": how_many})).first()
    if row is None:
        dialect = sqlite if tx.dialect == "sqlite" else postgresql
        await tx.execute(dialect.insert(COUNTER).on_conflict_do_nothing(), {"name": name, "value": FIRST[name]})
        return await take(tx, name, how_many)
    last = int(row[0])
    return range(last - how_many + 1, last + 1)
