"""The daemon as a process to be measured: started, watched, asked what it cost, ended by its number."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parent.parent
TICK = os.sysconf("SC_CLK_TCK")


class Measured:
    """One daemon in a folder, with `config` as its file."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        (folder / "token.key").write_text("benchmark-key-0123456789abcdef0123456789abcdef\n")
        (folder / "token.key").chmod(0o600)
        (folder / "config.toml").write_text(config)
        self._log = (folder / "log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Measured:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "intake", "run", "--config", str(self.folder / "config.toml")],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=self._log,
            stderr=self._log,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._log.close()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_for(self, word: str, seconds: float = 30) -> None:
        """Until the log says it."""
        until = time.monotonic() + seconds
        while word not in (self.folder / "log").read_text(errors="replace"):
            if time.monotonic() > until or self._process is None or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text(errors="replace")[-3000:])
            time.sleep(0.05)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Read the store from outside."""
        with sqlite3.connect(f"file:{self.folder / 'intake.db'}?mode=ro", uri=True, timeout=5) as db:
            db.execute("PRAGMA wal_autocheckpoint=0")
            return db.execute(statement).fetchall()

    def cost(self) -> Mapping[str, float]:
        """CPU seconds of the daemon and of its parsers, and its peak memory in MiB."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {
            "cpu": _cpu(pid),
            "parsers": sum(_cpu(int(child)) for child in children),
            "rss": _peak(pid),
        }


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _peak(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def wait_for_port(port: int, seconds: float = 20) -> None:
    """Until somebody listens."""
    until = time.monotonic() + seconds
    while True:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > until:
            raise RuntimeError(f"nobody listens on port {port}")
        time.sleep(0.05)
