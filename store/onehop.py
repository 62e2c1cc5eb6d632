"""SQLite in its thread, one hop a statement.

aiosqlite hands every cursor, execute, fetch and close to its thread one by one: four hops for a statement, each of
which waits for the event loop's turn and for the interpreter's lock. Here the cursor is made where it is asked for,
executing and fetching are one errand, and closing is left to the cursor's end.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import aiosqlite

from store.errand import Errands

T = TypeVar("T")


class Cursor:
    """What SQLAlchemy's adapter needs of a cursor, and no more."""

    def __init__(self, connection: Connection, cursor: sqlite3.Cursor) -> None:
        self._connection = connection
        self._cursor = cursor
        self._rows: list[Any] = []

    async def __aenter__(self) -> Cursor:
        return self

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        self._rows = await self._connection.errand(self._run, sql, parameters)
        return self

    def _run(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """In the thread: execute, and fetch what there is."""
        self._cursor.execute(sql, parameters)
        return self._cursor.fetchall() if self._cursor.description else []

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Cursor:
        await self._connection.errand(self._cursor.executemany, sql, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Nothing to do: all rows are fetched. A statement that a cancelled task left running ends by itself."""


class Connection(aiosqlite.Connection):
    """An aiosqlite connection whose cursors hop once, and whose thread runs whole transactions."""

    _errands: Errands | None = None

    def cursor(self) -> Cursor:  # type: ignore[override]
        return Cursor(self, self._conn.cursor())

    async def errand(self, work: Callable[..., T], *given: Any) -> T:
        """Have something done in the thread."""
        return cast(T, await self._execute(work, *given))  # type: ignore[no-untyped-call]

    def hand_over(self, work: Callable[..., T], *given: Any) -> asyncio.Future[T]:
        """As `errand`, and nobody need be a task to wait for it."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._running or self._connection is None:
            future.set_exception(sqlite3.ProgrammingError("the connection is closed"))
        else:
            self._tx.put_nowait((future, partial(work, *given)))
        return future

    def errands(self) -> Errands:
        """What whole transactions are run with. Called in the thread alone."""
        if self._errands is None:
            self._errands = Errands(self._conn)
        return self._errands


def connect(path: str) -> Connection:
    """A connection to be awaited. The file must be ours to read."""
    connection = Connection(lambda: sqlite3.connect(path, check_same_thread=False), iter_chunk_size=64)
    connection._thread.daemon = True  # a program that ends without closing must not hang
    return connection
