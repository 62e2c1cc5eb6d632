"""Bringing a store to this version: whole or not at all, never backwards, and with a copy to go back to."""

from __future__ import annotations

import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from store import cursors, customers, sealed, upgrade
from store.engine import Database
from store.schema import Base
from store.upgrade import UpgradeRefused

KEY = ("mail", "INBOX")
HEAD = upgrade.head()  # before a test lets this version know a newer one
Usage = namedtuple("Usage", "total used free")

Fresh = Callable[[], Awaitable[Database]]


def newer_version(folder: Path, words: str) -> None:
    """A migrations folder with one more revision, 9001, in which `words` are run."""
    shutil.copytree(upgrade.HERE / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "migrations" / "versions" / "9001_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f'revision = "9001"\ndown_revision = "{HEAD}"\nbranch_labels = None\ndepends_on = None\n'
        f"def upgrade() -> None:\n    op.create_table('more', sa.Column('id', sa.Integer()))\n    {words}\n"
    )


@pytest.fixture
def newer(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on this version writes schema 9001."""
    folder = tmp_path_factory.mktemp("newer")
    newer_version(folder, "pass")
    monkeypatch.setattr(upgrade, "HERE", folder)


async def tables(db: Database) -> set[str]:
    async with db.reading() as tx:
        return await tx.connection.run_sync(lambda c: set(c.dialect.get_table_names(c)))


async def with_a_cursor(db: Database) -> None:
    async with db.transaction() as tx:
        await cursors.write(tx, {KEY: "7"})


async def test_an_empty_store_gets_every_table(fresh: Fresh) -> None:
    db = await fresh()

    assert await upgrade.revision(db) is None
    assert await upgrade.upgrade(db) == (None, upgrade.head())
    assert await tables(db) >= set(Base.metadata.tables)


async def test_a_store_of_this_version_is_left_as_it_is(db: Database) -> None:
    assert await upgrade.upgrade(db) == (upgrade.head(), upgrade.head())


async def test_the_migrations_make_the_tables_that_the_code_expects(db: Database) -> None:
    async with db.transaction() as tx:
        differences = await tx.connection.run_sync(
            lambda c: compare_metadata(MigrationContext.configure(c, opts={"compare_type": True}), Base.metadata)
        )

    assert differences == []


async def test_a_store_from_the_future_is_refused_untouched(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = await tables(db)

    with pytest.raises(UpgradeRefused, match=r"schema 9999.*written by a newer intake"):
        await upgrade.upgrade(db)
    assert (await tables(db), await upgrade.revision(db)) == (before, "9999")


async def test_a_migration_keeps_what_was_there(db: Database, newer: None) -> None:
    await with_a_cursor(db)

    assert await upgrade.upgrade(db) == (HEAD, "9001")
    assert "more" in await tables(db)
    async with db.reading() as tx:
        assert await cursors.read(tx, *KEY) == "7"


async def test_a_migration_that_fails_in_the_middle_has_not_happened(
    db: Database, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("broken")
    newer_version(folder, "raise LookupError('half-way')")
    monkeypatch.setattr(upgrade, "HERE", folder)
    before = await tables(db)

    with pytest.raises(LookupError):
        await upgrade.upgrade(db)
    assert (await tables(db), await upgrade.revision(db)) == (before, HEAD)


async def test_before_a_migration_a_copy_is_made_with_what_stood_in_the_log(sqlite: Database, newer: None) -> None:
    await with_a_cursor(sqlite)
    assert sqlite.path is not None
    assert sqlite.path.with_name("intake.db-wal").stat().st_size > 0

    await upgrade.upgrade(sqlite)
    copy = sqlite3.connect(sqlite.path.with_name("intake.db.before-9001"))
    kept = copy.execute("SELECT value FROM cursor").fetchall()
    known = {name for (name,) in copy.execute("SELECT name FROM sqlite_master")}
    copy.close()
    assert (kept, "more" in known) == ([("7",)], False)


async def test_no_copy_is_made_of_an_empty_store_nor_of_one_that_stays_as_it_is(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/deep/below/intake.db")
    await upgrade.upgrade(db)
    await upgrade.upgrade(db)
    await db.close()

    assert [p.name for p in (tmp_path / "deep/below").iterdir()] == ["intake.db"]


async def test_without_room_for_the_copy_nothing_is_changed(
    sqlite: Database, newer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_a_cursor(sqlite)
    monkeypatch.setattr(upgrade.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 4096))
    assert sqlite.path is not None
    before = await tables(sqlite)

    with pytest.raises(UpgradeRefused, match="Make room and start again; nothing was changed"):
        await upgrade.upgrade(sqlite)
    assert (await tables(sqlite), await upgrade.revision(sqlite)) == (before, HEAD)
    assert not list(sqlite.path.parent.glob("*before*"))


async def test_a_copy_that_does_not_verify_stops_the_upgrade(
    sqlite: Database, newer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_a_cursor(sqlite)
    counted = iter(({"cursor": 1}, {"cursor": 0}))
    monkeypatch.setattr(upgrade, "_rows", lambda _: next(counted))
    assert sqlite.path is not None

    with pytest.raises(UpgradeRefused, match="not as many rows"):
        await upgrade.upgrade(sqlite)
    assert await upgrade.revision(sqlite) == HEAD
    assert not list(sqlite.path.parent.glob("*before*"))


async def test_a_file_that_is_no_database_is_refused_with_a_clear_word(tmp_path: Path) -> None:
    path = tmp_path / "intake.db"
    path.write_bytes(b"these are somebody's notes, not a database\n" * 100)
    before = path.read_bytes()
    db = Database(f"sqlite:///{path}")

    with pytest.raises(UpgradeRefused, match="not a database"):
        await upgrade.upgrade(db)
    assert path.read_bytes() == before
    await db.close()


def test_the_names_of_the_migrations_are_their_revisions() -> None:
    scripts = ScriptDirectory(str(upgrade.HERE / "migrations"))

    assert sorted(script.revision for script in scripts.walk_revisions()) == upgrade.known()
    assert scripts.get_current_head() == upgrade.head()


async def test_a_store_of_the_first_version_keeps_its_customers_and_mails(
    fresh: Fresh, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("first")
    shutil.copytree(upgrade.HERE / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    for later in (folder / "migrations" / "versions").glob("000[2-9]_*.py"):
        later.unlink()
    db = await fresh()
    with monkeypatch.context() as patched:
        patched.setattr(upgrade, "HERE", folder)
        assert await upgrade.upgrade(db) == (None, "0001")
    async with db.transaction() as tx:
        await tx.execute(text("INSERT INTO raw (message, data) VALUES (7, :data)"), {"data": b"From: a@b.example"})
        await tx.execute(
            text(
                "INSERT INTO contact (address, customer, name, source, first_seen_at, is_verified) "
                "VALUES ('mailto:wang@a.example', 3, 'Wang', 'support', '2026-11-01 00:00:00+00:00', true)"
            )
        )

    assert await upgrade.upgrade(db) == ("0001", HEAD)
    async with db.reading() as tx:
        (contact,) = (await customers.contacts_of(tx, [3]))[3]
        raws = await sealed.raws(tx, [7])
    assert (contact.name, contact.is_verified, contact.reply_to, contact.spam_mark) == ("Wang", True, None, None)
    assert raws == {7: b"From: a@b.example"}
