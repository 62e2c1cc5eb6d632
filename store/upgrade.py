"""Bringing a store to this version's schema, with a verified copy first.

A database that a newer version has written is refused, untouched. Before a migration changes an existing SQLite file,
a copy is made beside it and checked (`intake.db.before-0002`); where there is no room for the copy, nothing is changed.
A migration runs in one transaction: it happens whole or not at all.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from store.engine import Database

HERE = Path(__file__).parent
MAGIC = b"SQLite format 3\0"


class UpgradeRefused(Exception):
    """The store cannot be brought to this version; the message says why and what to do."""


def _config(connection: Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE / "migrations"))
    config.attributes["connection"] = connection
    return config


def known() -> list[str]:
    """The revisions this version knows, oldest first: what its migrations are named for (`0001_the_first_tables.py`).

    Alembic itself is imported only where there is something to migrate: it costs 11 MiB and a quarter of a second.
    """
    return sorted(file.name.partition("_")[0] for file in (HERE / "migrations" / "versions").glob("[0-9]*_*.py"))


def head() -> str:
    """The revision this version writes."""
    return known()[-1]


async def revision(db: Database) -> str | None:
    """The revision a store is at; None for an empty one."""
    async with db.transaction() as tx:
        if not await tx.connection.run_sync(lambda c: inspect(c).has_table("alembic_version")):
            return None
        found = await tx.scalar(text("SELECT version_num FROM alembic_version"))
        return None if found is None else str(found)


async def upgrade(db: Database) -> tuple[str | None, str]:
    """Migrate to the newest schema: (revision before, revision now). Raises UpgradeRefused."""
    if db.path is not None:
        db.path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(db.path)
    before = await revision(db)
    now = head()
    if before == now:
        return before, now
    if before is not None:
        _refuse_newer(before)
        if db.path is not None:
            copy_verified(db.path, db.path.with_name(f"{db.path.name}.before-{now}"))
    async with db.transaction() as tx:
        await tx.connection.run_sync(_migrate)
    return before, now


def _migrate(connection: Connection) -> None:
    from alembic import command

    command.upgrade(_config(connection), "head")


def _refuse_foreign(path: Path) -> None:
    """Somebody else's file is left alone. The first 16 octets tell: https://www.sqlite.org/fileformat.html §1.3"""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise UpgradeRefused(
                f"{path} is not a database of intake: name another file as the store, or move it away."
            )


def _refuse_newer(found: str) -> None:
    if found not in known():
        raise UpgradeRefused(
            f"the database is at schema {found}, which this version does not know (it knows up to {head()}): "
            "it was written by a newer intake. Install that version again, or restore the copy made before the upgrade."
        )


def copy_verified(source: Path, target: Path) -> None:
    """Copy an SQLite database, log included, and check the copy. Raises UpgradeRefused; leaves no half copy."""
    wal = source.with_name(source.name + "-wal")
    needed = source.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
    free = shutil.disk_usage(source.parent).free
    if free < needed * 1.1:
        raise UpgradeRefused(
            f"no room for a copy of {source.name} before the upgrade: {needed / 2**20:.0f} MiB needed, "
            f"{free / 2**20:.0f} MiB free on {source.parent}. Make room and start again; nothing was changed."
        )
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        _copy(source, partial)
        partial.replace(target)
        _sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise UpgradeRefused(f"the copy before the upgrade failed ({error}); nothing was changed.") from error


def _sync(folder: Path) -> None:
    """After a power loss the copy must still be found under its name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: Path, target: Path) -> None:
    original, copy = sqlite3.connect(source), sqlite3.connect(target)
    try:
        original.backup(copy)
        verdict: Any = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the copy does not verify: {verdict}")
        if _rows(original) != _rows(copy):
            raise sqlite3.DatabaseError("the copy has not as many rows as the original")
    finally:
        original.close()
        copy.close()


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    names = [r[0] for r in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    return {n: connection.execute(f'SELECT count(*) FROM "{n}"').fetchone()[0] for n in names}  # noqa: S608
