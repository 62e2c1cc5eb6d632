"""The store's tests run on both engines: `db` is a migrated, empty store on SQLite, then on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from support.databases import Postgres, private_postgres

from store.engine import Database
from store.upgrade import upgrade

ENGINES = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server a session (each worker of a parallel run has its own); nobody stops it."""
    with private_postgres() as server:
        yield server


@pytest.fixture(params=ENGINES)
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated store."""
    if request.param == "postgresql":
        database = await request.getfixturevalue("postgres").migrated_database()
    else:
        database = Database(f"sqlite:///{tmp_path}/intake.db")
        await upgrade(database)
    yield database
    await database.close()


@pytest.fixture(params=ENGINES)
async def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[Database]]]:
    """Makes databases in which there is nothing yet."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made: list[Database] = []

    async def make() -> Database:
        path = f"sqlite:///{tmp_path}/store{len(made)}.db"
        made.append(await server.empty_database() if server else Database(path))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated store on SQLite, for what only that engine can show."""
    database = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(database)
    yield database
    await database.close()
