"""The database: one writer, several readers, and what a transaction is.

The caller owns the transaction: `async with db.transaction() as tx`. What leaves the block without an exception is
on the disk (SQLite `synchronous=FULL`, PostgreSQL `synchronous_commit=on`) when the block has ended; anything else is
rolled back. A full disk, a locked file or a lost server is `StoreUnavailable`: nothing was kept, try later.

SQLite: one writer connection behind a lock, `BEGIN IMMEDIATE`, and every checkpoint from that connection alone,
because SQLite before 3.51.3 may lose commits in WAL mode when two connections checkpoint at once. Readers are apart
and never checkpoint. A task that is cancelled, wherever it stands, leaves nothing locked behind; one that is cancelled
while it commits may have committed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Dialect, Executable, Table, Update, bindparam, event
from sqlalchemy.engine import CursorResult, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

from channels.adapter import StoreUnavailable
from store import onehop
from store.seal import Seal

K = TypeVar("K")
T = TypeVar("T")

BUSY_TIMEOUT = 10_000  # ms; only another process can hold the lock that long
CHECKPOINT_PAGES = 10_000  # pages of 4 KiB in the log before the writer folds it in
READERS = 4  # connections that only read, on SQLite
CONNECTIONS = 8  # to a server, for everything
CONNECT_TIMEOUT = 10  # s, to a server

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
        return await _to_the_end(work)

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

    async def scalar(self, statement: Executable, params: Params | None = None) -> Any:
        """The first column of the first row, or None."""
        return (await self.execute(statement, params)).scalar()


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
    columns = tuple((n, _converter(table.c[n].type, dialect)) for n in names)
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
    return _Plan(compiled.string, tuple((n, _converter(compiled.binds[n].type, dialect)) for n in places))


def _converter(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """How the driver wants values of a type; None where it takes them as they are."""
    if dialect.name == "sqlite" and isinstance(kind, UTCDateTime):
        return _moment
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _moment(at: datetime | None) -> str | None:
    """An aware moment as SQLAlchemy writes it on SQLite, a quarter of the price."""
    if at is None:
        return None
    if at.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


class Database:
    """One desk's store, on SQLite or PostgreSQL. Building it connects to nothing."""

    def __init__(self, url: str, seal: Seal | None = None) -> None:
        self.seal = seal
        self.url = make_url(_with_driver(url))
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = _engine(self.url, size=1 if self.is_sqlite else CONNECTIONS, is_reader=False)
        self._reader = _engine(self.url, size=READERS, is_reader=True) if self.is_sqlite else self._writer
        # Whoever must wait for a connection waits here, where he can be cancelled; so no pool ever runs dry.
        self._to_write = asyncio.Semaphore(1 if self.is_sqlite else CONNECTIONS)
        self._to_read = asyncio.Semaphore(READERS) if self.is_sqlite else self._to_write

    @property
    def path(self) -> Path | None:
        """The file, for SQLite; None for a server."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Write. On SQLite one at a time, in the order of asking."""
        return self._begun(self._writer, self._to_write, is_reading=False)

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """Read, never waiting for the writer; on SQLite a consistent snapshot."""
        return self._begun(self._reader, self._to_read, is_reading=True)

    @asynccontextmanager
    async def _begun(
        self, engine: AsyncEngine, turn: asyncio.Semaphore, *, is_reading: bool
    ) -> AsyncIterator[Transaction]:
        async with turn:
            with _Translated():
                connection = await _to_the_end(engine.connect())
            try:
                with _Translated():
                    transaction = await _to_the_end(_begin(connection))
                try:
                    with _Translated():
                        yield Transaction(connection, self.url.get_backend_name(), self.seal, is_reading=is_reading)
                except BaseException:
                    with suppress(SQLAlchemyError, OSError):  # a lost server has rolled back already
                        await _to_the_end(_end(connection, transaction.rollback()))
                    raise
                with _Translated():
                    await _to_the_end(_end(connection, transaction.commit()))
            finally:
                await _to_the_end(connection.close())

    async def close(self) -> None:
        """Close readers first: the last connection to close folds in the log, and that must be the writer."""
        if self._reader is not self._writer:
            await self._reader.dispose()
        await self._writer.dispose()


async def _begin(connection: AsyncConnection) -> Any:
    transaction = connection.begin()
    await transaction.start()
    return transaction


async def _end(connection: AsyncConnection, ending: Awaitable[None]) -> None:
    """Commit or roll back. Where that fails nobody knows what is still open on the connection: it is thrown away."""
    try:
        await ending
    except BaseException:
        await connection.invalidate()
        raise


async def _to_the_end(work: Awaitable[T]) -> T:
    """Await `work` to its end even when cancelled meanwhile; then let the cancellation through.

    Half a BEGIN or half a COMMIT would leave the lock of the database held by nobody.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise
        await _patiently(task)
        if not task.cancelled() and task.exception() is None:
            undoing = asyncio.ensure_future(_undo(task.result()))
            await _patiently(undoing)
            undoing.exception()
        raise


async def _patiently(task: asyncio.Future[Any]) -> None:
    """Return when it is done, however often this is cancelled meanwhile."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(asyncio.wait([task]))


async def _undo(result: Any) -> None:
    """Give back what a cancelled caller will never see: a connection, or a begun transaction."""
    if isinstance(result, AsyncConnection):
        await result.close()
    elif hasattr(result, "rollback"):
        await result.rollback()


#: Primary result codes of SQLite: busy, locked, out of memory, read-only, input or output failed, corrupt, full,
#: cannot open, not a database. (https://www.sqlite.org/rescode.html)
_PASSING_SQLITE = frozenset({5, 6, 7, 8, 10, 11, 13, 14, 26})
#: SQLSTATE classes and codes: connection, resources (a full disk too), the server stops or starts, its system failed,
#: a deadlock, a lock not to be had, a server that only reads. (PostgreSQL manual, appendix A)
_PASSING_SERVER = ("08", "53", "57P", "58", "40", "55P03", "25006")


class _Translated:
    """Turns a driver's word for "not now" into StoreUnavailable; other errors pass as they are.

    It goes by codes, never by words: the words of an error may quote what a customer wrote.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DBAPIError):
            if _is_passing(error):
                raise StoreUnavailable(str(error.orig)) from error
            _without_values(error)
        elif isinstance(error, OSError):  # what a driver raises when there is nobody to connect to, or in time
            raise StoreUnavailable(str(error) or type(error).__name__) from error


_QUOTED = re.compile(r"(query argument \$\d+): .*", re.DOTALL)


def _without_values(error: DBAPIError) -> None:
    """Take people's words out of an error: PostgreSQL's driver quotes a value, and its cause a whole row."""
    error.args = tuple(_QUOTED.sub(r"\1", str(words)) for words in error.args)
    error.__cause__ = None


def _is_passing(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _PASSING_SQLITE
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(_PASSING_SERVER)


def _with_driver(url: str) -> str:
    for plain, driven in (("sqlite://", "sqlite+aiosqlite://"), ("postgresql://", "postgresql+asyncpg://")):
        if url.startswith(plain):
            return driven + url.removeprefix(plain)
    return url


def _engine(url: Any, *, size: int, is_reader: bool) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        options = {"timeout": CONNECT_TIMEOUT}
        return create_async_engine(
            url, pool_size=size, max_overflow=0, pool_pre_ping=True, connect_args=options, hide_parameters=True
        )
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,  # what is stored are people's words: they do not belong in a log
        pool_reset_on_return=None,  # every transaction here ends in a commit or a rollback of its own
        async_creator=lambda: onehop.connect(url.database),
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None  # BEGIN is ours: the driver's own loses updates silently
        for pragma in _pragmas(is_reader):
            cursor = dbapi.cursor()
            cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begins(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if is_reader else "BEGIN IMMEDIATE")

    return engine


def _pragmas(is_reader: bool) -> Iterable[str]:
    yield f"busy_timeout={BUSY_TIMEOUT}"
    if is_reader:
        yield "wal_autocheckpoint=0"  # all checkpoints come from the writer
        yield "query_only=ON"
        return
    yield "journal_mode=WAL"
    yield "synchronous=FULL"
    yield f"wal_autocheckpoint={CHECKPOINT_PAGES}"
    yield "cache_size=-8000"  # KiB
