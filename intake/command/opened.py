"""The store as a command reads it: as it stands, without waiting for the daemon and without changing anything."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import inspect, text

from channels.adapter import StoreUnavailable
from intake.command.failure import Exit, Failure
from intake.config import Config
from store import upgrade
from store.engine import Database, Transaction


@asynccontextmanager
async def database(config: Config) -> AsyncIterator[Database]:
    """The store of a configuration. Raises Failure where there is none, or none of this version."""
    db = Database(_url(config))
    _refuse_missing(db.path)
    try:
        async with db.reading() as tx:
            found = await revision_of(tx)
        refuse_other_version(found)
        yield db
    except StoreUnavailable as error:
        raise unreachable(config, error) from error
    finally:
        await db.close()


@asynccontextmanager
async def reading(config: Config) -> AsyncIterator[Transaction]:
    """A snapshot of the store. Raises Failure."""
    async with database(config) as db, db.reading() as tx:
        yield tx


async def revision_of(tx: Transaction) -> str | None:
    """The schema that a store is at; None for an empty one."""
    if not await tx.connection.run_sync(lambda c: inspect(c).has_table("alembic_version")):
        return None
    found = await tx.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


def refuse_other_version(found: str | None) -> None:
    """Raises Failure unless the store is of this version."""
    known = upgrade.head()
    if found == known:
        return
    if found is None:
        raise Failure(Exit.STORE, "the store is empty", "start the daemon once: intake run")
    if found > known:
        words = f"the store is at schema {found}; this version knows up to {known}: a newer intake wrote it"
        raise Failure(Exit.STORE, words, "run the command of the version that the daemon runs")
    words = f"the store is at schema {found}, this version wants {known}"
    raise Failure(Exit.STORE, words, "start the daemon once: it makes a copy and brings the store up to date")


def unreachable(config: Config, error: StoreUnavailable) -> Failure:
    """What to say of a store that does not answer."""
    path = Database(config.store.url).path
    if path is not None and path.exists() and not os.access(path, os.R_OK):
        return Failure(Exit.STORE, f"{path} may not be read", "run it as the daemon's user, or as root")
    mend = "run it as the daemon's user, or as root" if path is not None else "see that the server runs and lets us in"
    return Failure(Exit.STORE, f"the store cannot be read: {error}", mend)


def _url(config: Config) -> str:
    try:
        return config.store.full_url()
    except (OSError, ValueError) as error:
        raise Failure(Exit.STORE, f"the store's password cannot be read: {error}", "run it as root") from error


def _refuse_missing(path: Path | None) -> None:
    if path is None:
        return
    try:
        is_there = path.exists()
    except PermissionError:
        raise Failure(Exit.STORE, f"{path} may not be read", "run it as the daemon's user, or as root") from None
    if not is_there:
        raise Failure(Exit.STORE, f"there is no store yet at {path}", "start the daemon once: intake run")
