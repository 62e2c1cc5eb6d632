"""A transaction: what may be asked of the store and written to it, statement by statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

from sqlalchemy import BindParameter, Delete, Dialect, Executable, Select, Table, Update, bindparam
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from store.errand import Errands, going_in
from store.seal import Seal
from store.shielded import to_the_end

K = TypeVar("K")
T = TypeVar("T")

Params = Mapping[str, Any]

#: For `column.in_(WANTED)` in a statement that is made once: making and looking up a new one costs more than it does.
WANTED: BindParameter[Any] = bindparam("wanted", expanding=True)


class Transaction:
    """What may be done inside `Database.transaction()` and `Database.reading()`."""

    def __init__(
        self, connection: AsyncConnection, dialect: str, seal: Seal | None = None, *, is_reading: bool = False
    ) -> None:
        self.connection = connection
        self.dialect = dialect
        self.seal = seal  # None: what people wrote is kept as it came
        self._read: dict[str, dict[Any, Any]] | None = {} if is_reading else None  # what -> key -> found, or None

    async def execute(
        self, statement: Executable, params: Params | Sequence[Params] | None = None
    ) -> CursorResult[Any]:
        """Run one statement; a sequence of parameters runs it once for each."""
        return await self._whole(self.connection.execute(statement, params))

    async def _whole(self, work: Awaitable[T]) -> T:
        """Await one statement."""
        if self.dialect != "sqlite":
            return await work  # the server may be asked to stop, and rolls back by itself when the line is cut
        # A statement that is cancelled half-way makes SQLAlchemy throw the connection away, and cancelled once more it
        # forgets to close it: the lock would be held until the program ends. A statement of ours is short.
        return await to_the_end(work)

    async def many(self, statement: Executable, rows: Sequence[Params]) -> None:
        """Run one statement for each row; nothing for none."""
        if rows:
            await self.execute(statement, rows)

    async def repeat(self, constant: Update, rows: Sequence[Params]) -> None:
        """As `many`, at a third of its price, for a statement that is made once: its plan is kept by its identity."""
        if rows:
            plan = _repeated(constant, tuple(rows[0]), self.connection.dialect)
            await self._whole(self.connection.exec_driver_sql(plan.sql, plan.of(rows)))

    async def insert(
        self, table: Table, rows: Sequence[Params], *, keep_first: bool = False, replace_at: tuple[str, ...] = ()
    ) -> None:
        """Insert many rows, all with the same columns, at a third of the price of a statement's own parameters.

        `keep_first`: a row that is there already stays as it is, and nothing is said. `replace_at`: a row that is
        there with the same values in these columns is given the others.
        """
        if rows:
            plan = _plan(table, tuple(rows[0]), self.connection.dialect, keep_first, replace_at)
            await self._whole(self.connection.exec_driver_sql(plan.sql, plan.of(rows)))

    async def rows(self, statement: Executable, params: Params | None = None) -> list[dict[str, Any]]:
        """All rows as plain dictionaries."""
        result = await self.execute(statement, params)
        names = tuple(result.keys())
        return [dict(zip(names, row, strict=True)) for row in result]

    async def once(
        self, what: str, keys: Iterable[K], read: Callable[[list[K]], Awaitable[Mapping[K, T]]]
    ) -> dict[K, T]:
        """What `read` finds for these keys. While a transaction only reads, it is asked once for each of them.

        So a batch is read with one query and then asked for one by one. Callers must not change what they are given.
        """
        wanted = list(dict.fromkeys(keys))
        if self._read is None:
            return dict(await read(wanted)) if wanted else {}
        known = self._read.setdefault(what, {})
        if missing := [key for key in wanted if key not in known]:
            found = await read(missing)
            known.update((key, found.get(key)) for key in missing)
        return {key: known[key] for key in wanted if known[key] is not None}

    async def changed(self, statement: Update | Delete, params: Params | None = None) -> int:
        """Run a statement that is made once; how many rows it has changed or deleted."""
        return int((await self.execute(statement, params)).rowcount)

    async def scalar(self, statement: Executable, params: Params | None = None) -> Any:
        """The first column of the first row, or None."""
        return (await self.execute(statement, params)).scalar()


class AtOnce(Transaction):
    """A transaction inside an errand: its statements are run at once, where SQLite is. Nothing here ever waits."""

    def __init__(self, connection: AsyncConnection, errands: Errands, seal: Seal | None, *, is_reading: bool) -> None:
        super().__init__(connection, "sqlite", seal, is_reading=is_reading)
        self._errands = errands

    async def execute(
        self, statement: Executable, params: Params | Sequence[Params] | None = None
    ) -> CursorResult[Any]:
        return cast(CursorResult[Any], self._errands.execute(statement, params))

    async def repeat(self, constant: Update, rows: Sequence[Params]) -> None:
        if rows:
            plan = _repeated(constant, tuple(rows[0]), self._errands.dialect)
            self._errands.many(plan.sql, plan.of(rows))

    async def insert(
        self, table: Table, rows: Sequence[Params], *, keep_first: bool = False, replace_at: tuple[str, ...] = ()
    ) -> None:
        if rows:
            plan = _plan(table, tuple(rows[0]), self._errands.dialect, keep_first, replace_at)
            self._errands.many(plan.sql, plan.of(rows))

    async def rows(self, statement: Executable, params: Params | None = None) -> list[dict[str, Any]]:
        return self._errands.rows(statement, params)

    async def changed(self, statement: Update | Delete, params: Params | None = None) -> int:
        return self._errands.changed(statement, params)

    async def scalar(self, statement: Executable, params: Params | None = None) -> Any:
        if not isinstance(statement, Select):
            return await super().scalar(statement, params)
        found = self._errands.rows(statement, params)
        return next(iter(found[0].values())) if found else None


@dataclass(frozen=True)
class _Plan:
    """How rows are written, on one database."""

    sql: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]  # (name, how the driver wants it)

    def of(self, rows: Sequence[Params]) -> list[tuple[Any, ...]]:
        """What the driver is given."""
        return [tuple([convert(row[name]) if convert else row[name] for name, convert in self.columns]) for row in rows]


@lru_cache(maxsize=200)
def _plan(
    table: Table, names: tuple[str, ...], dialect: Dialect, keep_first: bool, replace_at: tuple[str, ...]
) -> _Plan:
    columns = tuple((n, going_in(table.c[n].type, dialect)) for n in names)
    is_sqlite = dialect.name == "sqlite"
    places = ", ".join("?" if is_sqlite else f"${i}" for i in range(1, len(names) + 1))
    written = ", ".join(f'"{n}"' for n in names)
    # Names are our own columns': nothing here comes from outside.
    sql = f'INSERT INTO "{table.name}" ({written}) VALUES ({places})'  # noqa: S608
    if replace_at:
        others = ", ".join(f'"{n}" = excluded."{n}"' for n in names if n not in replace_at)
        sql += f" ON CONFLICT ({', '.join(replace_at)}) DO UPDATE SET {others}"
    return _Plan(sql + (" ON CONFLICT DO NOTHING" if keep_first else ""), columns)


@lru_cache(maxsize=50)
def _repeated(constant: Update, names: tuple[str, ...], dialect: Dialect) -> _Plan:
    compiled = constant.compile(dialect=dialect, column_keys=list(names))
    assert isinstance(compiled, SQLCompiler)
    places = compiled.positiontup or []
    assert set(places) == set(names), "every parameter of a repeated statement stands in its rows"
    return _Plan(compiled.string, tuple((n, going_in(compiled.binds[n].type, dialect)) for n in places))
