"""Databases for the store's tests: SQLite always, and the same on a private PostgreSQL where there is one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import asyncpg
from support.needs import find, needs
from support.ports import free_ports

from store.engine import Database
from store.upgrade import upgrade

START_SECONDS = 60.0
STOP_SECONDS = 20.0
_numbers = count(1)  # of databases


class Postgres:
    """A server of our own in a temporary folder, on the loopback alone. As root it runs as the user postgres."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None
        self._has_template = False
        self.url = f"postgresql://intake@127.0.0.1:{self._port}"  # without a database name

    def make(self) -> None:
        """Make the empty cluster."""
        options = ["-U", "intake", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", "-D", str(self._data), *options)

    def start(self) -> None:
        """Start it and return once it answers. Raises RuntimeError with its log."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._folder),
            "fsync": "off",
            "max_connections": "60",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                _as_postgres([_binary("postgres"), "-D", str(self._data), "-p", str(self._port), *options]),
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        ready = [_binary("pg_isready"), "-h", "127.0.0.1", "-p", str(self._port), "-q"]
        while subprocess.run(ready, check=False).returncode:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.05)

    def start_if_stopped(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self.start()

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: `immediate` as a crash would, `fast` with a word to every client."""
        if self._process is None or self._process.poll() is not None:
            return
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")
        self._process.wait(STOP_SECONDS)

    def close(self) -> None:
        try:
            self.stop()
        except (subprocess.SubprocessError, OSError):
            if self._process is not None:
                self._process.kill()
                self._process.wait(STOP_SECONDS)

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(_as_postgres([_binary(program), *words]), check=True, capture_output=True, cwd=self._folder)

    async def tell(self, statement: str, database: str = "postgres") -> None:
        """Run one statement outside any transaction, as CREATE DATABASE wants it."""
        connection = await asyncpg.connect(f"{self.url}/{database}")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def empty_database(self) -> Database:
        """One with nothing in it."""
        name = f"test{next(_numbers)}"
        await self.tell(f"CREATE DATABASE {name}")
        return Database(f"{self.url}/{name}")

    async def migrated_database(self) -> Database:
        """One with the tables: copied, because that is faster than migrating."""
        if not self._has_template:
            await self.tell("CREATE DATABASE migrated")
            template = Database(f"{self.url}/migrated")
            await upgrade(template)
            await template.close()
            self._has_template = True
        name = f"test{next(_numbers)}"
        await self.tell(f"CREATE DATABASE {name} TEMPLATE migrated")
        return Database(f"{self.url}/{name}")


@contextlib.contextmanager
def private_postgres() -> Iterator[Postgres]:
    """A started server; skips by name where PostgreSQL is not installed."""
    needs("initdb", "postgres", *(["setpriv"] if os.getuid() == 0 else []))
    folder = Path(tempfile.mkdtemp(prefix="intake-pg-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = Postgres(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def _binary(name: str) -> str:
    return find(name) or name


def _as_postgres(command: list[str]) -> list[str]:
    """initdb and postgres refuse to run as root."""
    if os.getuid() != 0:
        return command
    return [find("setpriv") or "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
