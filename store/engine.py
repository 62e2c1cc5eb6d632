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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from channels.adapter import StoreUnavailable
from store import onehop
from store.errand import driven
from store.seal import Seal
from store.shielded import to_the_end
from store.transaction import WANTED, AtOnce, Params, Transaction

__all__ = ["WANTED", "Database", "Params", "Transaction"]

T = TypeVar("T")

BUSY_TIMEOUT = 10_000  # ms; only another process can hold the lock that long
CHECKPOINT_PAGES = 10_000  # pages of 4 KiB in the log before the writer folds it in
READERS = 4  # connections that only read, on SQLite
CONNECTIONS = 8  # to a server, for everything
CONNECT_TIMEOUT = 10  # s, to a server


class Database:
    """One desk's store, on SQLite or PostgreSQL. Building it connects to nothing."""

    def __init__(self, url: str, seal: Seal | None = None) -> None:
        self.seal = seal
        self.url = make_url(_with_driver(url))
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = _engine(self.url, size=1 if self.is_sqlite else CONNECTIONS, is_reader=False)
        self._reader = _engine(self.url, size=READERS, is_reader=True) if self.is_sqlite else self._writer
        self._idle: dict[AsyncEngine, list[AsyncConnection]] = {self._reader: [], self._writer: []}
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

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """As `transaction()`, in one errand: what `work` gives, which awaits nothing but its transaction.

        Who is cancelled before the commit has begun has written nothing.
        """
        if not self.is_sqlite:
            async with self.transaction() as tx:
                return await work(tx)
        return await self._errand(work, self._writer, self._to_write, is_reading=False)

    async def read(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """As `reading()`, in one errand: what `work` gives, which awaits nothing but its transaction."""
        if not self.is_sqlite:
            async with self.reading() as tx:
                return await work(tx)
        return await self._errand(work, self._reader, self._to_read, is_reading=True)

    async def _errand(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        engine: AsyncEngine,
        turn: asyncio.Semaphore,
        *,
        is_reading: bool,
    ) -> T:
        async with turn:
            with _Translated():
                connection = await self._connected(engine)
            try:
                driver = (await connection.get_raw_connection()).driver_connection
                assert isinstance(driver, onehop.Connection)
                errand = _Errand(work, connection, self.seal, is_reading=is_reading)
                try:
                    with _Translated():
                        return await to_the_end(driver.hand_over(errand.run, driver), errand.give_up)
                finally:
                    if errand.is_broken:
                        await to_the_end(connection.invalidate())
            finally:
                await self._leave(connection, engine)

    async def _connected(self, engine: AsyncEngine) -> AsyncConnection:
        """A connection that nobody else has. SQLite's stay open; a server's are looked at before they are used."""
        idle = self._idle[engine]
        return idle.pop() if idle else await to_the_end(engine.connect())

    async def _leave(self, connection: AsyncConnection, engine: AsyncEngine) -> None:
        if self.is_sqlite and not connection.invalidated and not connection.in_transaction():
            self._idle[engine].append(connection)
        else:
            await to_the_end(connection.close())

    @asynccontextmanager
    async def _begun(
        self, engine: AsyncEngine, turn: asyncio.Semaphore, *, is_reading: bool
    ) -> AsyncIterator[Transaction]:
        async with turn:
            with _Translated():
                connection = await self._connected(engine)
            try:
                with _Translated():
                    transaction = await to_the_end(_begin(connection))
                try:
                    with _Translated():
                        yield Transaction(connection, self.url.get_backend_name(), self.seal, is_reading=is_reading)
                except BaseException:
                    with suppress(SQLAlchemyError, OSError):  # a lost server has rolled back already
                        await to_the_end(_end(connection, transaction.rollback()))
                    raise
                with _Translated():
                    await to_the_end(_end(connection, transaction.commit()))
            finally:
                await self._leave(connection, engine)

    async def close(self) -> None:
        """Close readers first: the last connection to close folds in the log, and that must be the writer."""
        for engine in dict.fromkeys((self._reader, self._writer)):
            while self._idle[engine]:
                await self._idle[engine].pop().close()
        if self._reader is not self._writer:
            await self._reader.dispose()
        await self._writer.dispose()


class _Errand(Generic[T]):
    """One transaction, in SQLite's thread."""

    def __init__(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        connection: AsyncConnection,
        seal: Seal | None,
        *,
        is_reading: bool,
    ) -> None:
        self._work = work
        self._connection = connection
        self._seal = seal
        self._is_reading = is_reading
        self._is_given_up = False
        self.is_broken = False  # it neither ended nor could be undone: nobody knows what is open on the connection

    def give_up(self) -> None:
        """Nobody wants it any more: what is not being committed yet is undone."""
        self._is_given_up = True

    def run(self, driver: onehop.Connection) -> T:
        errands = driver.errands()
        tx = AtOnce(self._connection, errands, self._seal, is_reading=self._is_reading)
        errands.begin("BEGIN" if self._is_reading else "BEGIN IMMEDIATE")
        try:
            result = driven(self._work(tx))
            self._only_if_wanted()
            errands.commit()
        except BaseException:
            try:
                errands.rollback()
            except DBAPIError:
                self.is_broken = True
            raise
        return result

    def _only_if_wanted(self) -> None:
        if self._is_given_up:
            raise _GivenUp


class _GivenUp(Exception):
    """Whoever wanted it was cancelled, and hears that alone."""


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
    for plain, full in (("sqlite://", "sqlite+aiosqlite://"), ("postgresql://", "postgresql+asyncpg://")):
        if url.startswith(plain):
            return full + url.removeprefix(plain)
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
