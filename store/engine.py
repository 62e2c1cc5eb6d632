"""The database: one writer, several readers, and what a transaction is.

The caller owns the transaction: `async with db.transaction() as tx`. What leaves the block without an exception is
on the disk (SQLite `synchronous=FULL`, PostgreSQL `synchronous_commit=on`) when the block has ended; anything else is
rolled back. A full disk, a locked file or a lost server is `StoreUnavailable`: nothing was kept, try later.

SQLite: one writer connection behind a lock, `BEGIN IMMEDIATE`, and every checkpoint from that connection alone,
because SQLite before 3.51.3 may lose commits in WAL mode when two connections checkpoint at once. Readers are apart
and never checkpoint. A task that is cancelled while it waits for the lock leaves nothing locked behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Executable, event
from sqlalchemy.engine import CursorResult, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from channels.adapter import StoreUnavailable

T = TypeVar("T")

BUSY_TIMEOUT = 10_000  # ms; only another process can hold the lock that long
CHECKPOINT_PAGES = 2_000  # pages of 4 KiB in the log before the writer folds it in
READERS = 4  # connections

Params = Mapping[str, Any]


class Transaction:
    """What may be done inside `Database.transaction()` and `Database.reading()`."""

    def __init__(self, connection: AsyncConnection, dialect: str) -> None:
        self.connection = connection
        self.dialect = dialect

    async def execute(
        self, statement: Executable, params: Params | Sequence[Params] | None = None
    ) -> CursorResult[Any]:
        """Run one statement; a sequence of parameters runs it once for each."""
        return await self.connection.execute(statement, params)

    async def many(self, statement: Executable, rows: Sequence[Params]) -> None:
        """Run one statement for each row; nothing for none."""
        if rows:
            await self.connection.execute(statement, rows)

    async def rows(self, statement: Executable, params: Params | None = None) -> list[dict[str, Any]]:
        """All rows as plain dictionaries."""
        result = await self.connection.execute(statement, params)
        return [dict(row) for row in result.mappings()]

    async def scalar(self, statement: Executable, params: Params | None = None) -> Any:
        """The first column of the first row, or None."""
        return (await self.connection.execute(statement, params)).scalar()


class Database:
    """One desk's store, on SQLite or PostgreSQL. Building it connects to nothing."""

    def __init__(self, url: str) -> None:
        self.url = make_url(_with_driver(url))
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = _engine(self.url, size=1 if self.is_sqlite else 8, is_reader=False)
        self._reader = _engine(self.url, size=READERS, is_reader=True) if self.is_sqlite else self._writer
        self._lock = asyncio.Lock()

    @property
    def path(self) -> Path | None:
        """The file, for SQLite; None for a server."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Write. On SQLite one at a time, in the order of asking."""
        if not self.is_sqlite:
            async with self._begun(self._writer) as tx:
                yield tx
            return
        async with self._lock, self._begun(self._writer) as tx:
            yield tx

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Read a consistent snapshot; never waits for the writer."""
        async with self._begun(self._reader) as tx:
            yield tx

    @asynccontextmanager
    async def _begun(self, engine: AsyncEngine) -> AsyncIterator[Transaction]:
        with _Translated():
            connection = await _to_the_end(engine.connect())
        try:
            with _Translated():
                transaction = await _to_the_end(_begin(connection))
            try:
                with _Translated():
                    yield Transaction(connection, self.url.get_backend_name())
            except BaseException:
                await _to_the_end(transaction.rollback())
                raise
            with _Translated():
                await _to_the_end(transaction.commit())
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
        while not task.done():
            try:
                await asyncio.shield(asyncio.wait([task]))
            except asyncio.CancelledError:
                continue
        if not task.cancelled() and task.exception() is None:
            await _undo(task.result())
        raise


async def _undo(result: Any) -> None:
    """Give back what a cancelled caller will never see: a connection, or a begun transaction."""
    if isinstance(result, AsyncConnection):
        await result.close()
    elif hasattr(result, "rollback"):
        await result.rollback()


_PASSING = (
    "disk is full",
    "disk i/o error",
    "database is locked",
    "unable to open database",
    "readonly database",
    "connection",
    "shutting down",
    "starting up",
)


class _Translated:
    """Turns a driver's word for "not now" into StoreUnavailable; other errors pass as they are."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DBAPIError) and not isinstance(error, StoreUnavailable):
            words = str(error.orig).lower()
            if error.connection_invalidated or (
                isinstance(error, OperationalError | InterfaceError) and any(p in words for p in _PASSING)
            ):
                raise StoreUnavailable(str(error.orig)) from error
        elif isinstance(error, ConnectionError | TimeoutError | OSError) and not isinstance(error, StoreUnavailable):
            raise StoreUnavailable(str(error) or type(error).__name__) from error


def _with_driver(url: str) -> str:
    for plain, driven in (("sqlite://", "sqlite+aiosqlite://"), ("postgresql://", "postgresql+asyncpg://")):
        if url.startswith(plain):
            return driven + url.removeprefix(plain)
    return url


def _engine(url: Any, *, size: int, is_reader: bool) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_async_engine(url, pool_size=size, max_overflow=0, pool_pre_ping=True)
    engine = create_async_engine(url, poolclass=AsyncAdaptedQueuePool, pool_size=size, max_overflow=0)

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
    yield "cache_size=-16000"  # KiB
