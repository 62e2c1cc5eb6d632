"""What keeps the daemon from starting is one sentence that says what to do: no traceback, and nothing is changed.

It runs as a process, for its exit code is part of what is promised: 2 is not worth a restart, 4 may be.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.start import Desk, Firm
from support.storefacts import NOW, arrival

from store import messages
from store.engine import Database
from store.seal import Seal
from store.upgrade import upgrade

pytestmark = pytest.mark.system

WRONG, NO_STORE = 2, 4
HELD = "another program holds it: end that one, and start again"


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    """Complete and right; its mail servers are not there, which keeps nothing from starting."""
    firm = Firm(tmp_path, imap_port=1, smtp_port=1)
    firm.write()
    return firm


def refused(firm: Firm) -> tuple[int, str]:
    """How the daemon ended, and the one thing it said about it."""
    desk = Daemon(firm.folder / "config.toml")
    desk.start(waits=False)
    code = desk.wait_end()
    said = [line for line in desk.lines if line["level"] in ("warning", "error", "critical")]

    assert "Traceback" not in desk.story(), desk.story()
    assert not any("exception" in line for line in desk.lines)
    if desk.noise:  # before there is a log
        assert said == []
        return code, "\n".join(desk.noise)
    assert [line["event"] for line in said] in (["not_started"], ["gave_up"]), desk.story()
    return code, str(said[0]["reason"])


# ---- the configuration


def test_everything_that_is_wrong_with_the_file_is_said_at_once(firm: Firm) -> None:
    config = firm.folder / "config.toml"
    text = config.read_text()
    text = text.replace('region = "TW"', 'regoin = "TW"', 1).replace('members = ["chen", "wu"]', 'members = ["chan"]')
    config.write_text(text.replace('since = "all"', 'since = "yesterday"'))
    (firm.folder / "phone.secret").unlink()

    code, said = refused(firm)

    assert code == WRONG
    assert 'desk.regoin: unknown key "regoin"\n    -> did you mean "region"?' in said
    assert 'teams.tax.members: there is no agent "chan"\n    -> did you mean "chen"?' in said
    assert "channels.support-mail.imap.since: this value is not known" in said


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda c: c.unlink(), "{config}: cannot read it: No such file or directory"),
        (lambda c: (c.unlink(), c.mkdir()), "{config}: cannot read it: Is a directory"),
        (lambda c: c.write_text("[desk\n"), "line 1, column 6: this is no TOML"),
        (lambda c: c.write_bytes('[desk]\nfirm = "安信"'.encode("big5")), "line 2: this is no UTF-8"),
        (lambda c: c.write_bytes(b"#" * 2_000_000), "{config}: this is larger than 1 MiB"),
    ],
    ids=["missing", "a folder", "no TOML", "no UTF-8", "too large"],
)
def test_a_file_that_cannot_be_read_is_named(firm: Firm, spoil: Callable[[Path], object], sentence: str) -> None:
    config = firm.folder / "config.toml"
    spoil(config)

    code, said = refused(firm)

    assert code == WRONG
    assert said.startswith(sentence.format(config=config))


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (None, "tokens.key: cannot read {key}: No such file or directory"),
        ("0123456789abcdef", "tokens.key: the key is shorter than 32 characters"),
        ("", "tokens.key: the secret is empty"),
    ],
    ids=["missing", "too short", "empty"],
)
def test_without_a_good_token_key_there_is_no_start(firm: Firm, key: str | None, sentence: str) -> None:
    path = firm.folder / "token.key"
    path.unlink() if key is None else path.write_text(key)

    code, said = refused(firm)

    assert code == WRONG
    assert said.startswith(sentence.format(key=path))


def test_a_guessable_path_secret_ends_it_and_is_not_shown(firm: Firm) -> None:
    (firm.folder / "phone.secret").write_text("abcd1234")

    code, said = refused(firm)

    assert code == WRONG
    secret = firm.folder / "phone.secret"
    assert said == (
        f"channels.hotline.secret: the path secret is 32 bit\n    -> make one with: intake secret new hotline >{secret}"
    )


# ---- the places


def test_a_taken_port_is_named(firm: Firm) -> None:
    with socket.create_server(("127.0.0.1", firm.http_port)):
        code, said = refused(firm)

    assert code == WRONG
    assert said.startswith(
        f"port {firm.http_port} on 127.0.0.1 is taken by another program: stop it, or choose another as http.port"
    )


def test_a_file_where_the_state_directory_should_be_is_named(firm: Firm) -> None:
    firm.state_dir.write_text("not a folder")

    code, said = refused(firm)

    assert code == WRONG
    assert said.startswith(f"{firm.state_dir}: File exists; a folder is wanted here")


def test_a_state_directory_that_may_not_be_written_is_named(firm: Firm) -> None:
    if os.geteuid() == 0:  # root may write anywhere but here
        firm.state = Path("/sys/kernel/intake")
        firm.write()
    else:
        firm.state_dir.mkdir(mode=0o555)

    code, said = refused(firm)

    assert code == WRONG
    assert re.fullmatch(rf"{firm.state_dir}\S*: [A-Z][\w -]+; the daemon's user must own it", said)


def test_a_second_daemon_of_one_store_says_which_is_the_first(firm: Firm) -> None:
    with Desk(firm) as first:
        code, said = refused(firm)

        assert code == WRONG
        assert said == f"another intake already runs (pid {first.pid}) with the state folder {firm.state_dir}"
        assert first.lives


def test_something_else_in_the_control_sockets_place_is_not_overwritten(firm: Firm) -> None:
    firm.state_dir.mkdir()
    (firm.state_dir / "control.sock").write_text("precious")

    code, said = refused(firm)

    assert (code, said) == (WRONG, f"{firm.state_dir}/control.sock is no socket: move it away")
    assert (firm.state_dir / "control.sock").read_text() == "precious"


# ---- the database


async def make(firm: Firm) -> None:
    """An empty store of this version, in one file."""
    db = Database(f"sqlite:///{firm.database}")
    await upgrade(db)
    await db.close()


async def test_a_database_from_the_future_is_left_alone(firm: Firm) -> None:
    await make(firm)
    with closing(sqlite3.connect(firm.database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = firm.database.read_bytes()

    code, said = refused(firm)

    assert code == WRONG
    assert re.match(r"the database is at schema 9999, which this version does not know \(it knows up to \d+\)", said)
    assert "Install that version again" in said
    assert firm.database.read_bytes() == before


async def test_a_damaged_database_is_left_as_it_is(firm: Firm) -> None:
    await make(firm)
    whole = firm.database.read_bytes()
    firm.database.write_bytes(whole[: 3 * 4096])
    before = firm.database.read_bytes()

    code, said = refused(firm)

    assert code == NO_STORE
    assert said.startswith("the store cannot be opened: database disk image is malformed; the file is damaged: keep it")
    assert firm.database.read_bytes() == before


def test_a_file_that_is_no_database_is_left_as_it_is(firm: Firm) -> None:
    firm.database.write_bytes(b"minutes of the meeting\n" * 500)

    code, said = refused(firm)

    assert code == WRONG
    assert said.startswith(f"{firm.database} is not a database of intake: name another file as the store")
    assert firm.database.read_bytes() == b"minutes of the meeting\n" * 500


async def test_a_database_that_another_program_holds_is_waited_for_and_then_named(firm: Firm) -> None:
    await make(firm)
    with closing(sqlite3.connect(firm.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        code, said = refused(firm)

    assert code == NO_STORE
    assert (
        said
        == "the store cannot be opened: database is locked; another program holds it: end that one, and start again"
    )


def test_a_database_server_that_is_not_there_is_worth_a_restart(firm: Firm) -> None:
    config = firm.folder / "config.toml"
    config.write_text(
        config.read_text().replace(f"sqlite:///{firm.database}", "postgresql://intake@127.0.0.1:1/intake")
    )

    code, said = refused(firm)

    assert code == NO_STORE
    assert said.startswith("the store cannot be opened: ")
    assert said.endswith("; start the database, or correct store.url")


async def test_a_store_that_another_key_sealed_is_not_opened(firm: Firm) -> None:
    (firm.folder / "store.key").write_text("n" * 43)
    config = firm.folder / "config.toml"
    config.write_text(config.read_text().replace("[store]", '[store]\nkey = { file = "store.key" }'))
    db = Database(f"sqlite:///{firm.database}", Seal(["k" * 43]))
    await upgrade(db)
    async with db.transaction() as tx:
        await messages.accept(tx, [arrival("u1")], NOW)
    await db.close()

    code, said = refused(firm)

    assert code == WRONG
    assert said == (
        f"what people wrote is sealed with the store key {Seal(['k' * 43]).current}, which [store] key does not hold: "
        "put that key back into its file, below the newer ones if there are any"
    )


async def test_a_key_that_only_what_waits_was_sealed_with_is_missed_too(firm: Firm) -> None:
    (firm.folder / "store.key").write_text("n" * 43)
    config = firm.folder / "config.toml"
    config.write_text(config.read_text().replace("[store]", '[store]\nkey = { file = "store.key" }'))
    db = Database(f"sqlite:///{firm.database}", Seal(["k" * 43]))
    await upgrade(db)
    for key, name in (("k", "u1"), ("n", "u2")):
        db.seal = Seal([key * 43])
        async with db.transaction() as tx:
            await messages.accept(tx, [arrival(name)], NOW)
    await db.close()

    code, said = refused(firm)

    assert code == WRONG
    assert f"the store key {Seal(['k' * 43]).current}, which [store] key does not hold" in said
