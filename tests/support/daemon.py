"""The daemon as a process of its own: started with a configuration, listened to, stopped, killed, frozen.

    with Daemon(config_path) as daemon:            # waits until it says "started"
        line = daemon.wait_for("ticket_opened", ticket=1001)
        daemon.stop()                              # SIGTERM; fails unless it ends with 0 in time
    Daemon(path, crash="decide.after_commit:2")    # kills itself there (INTAKE_CRASH)

Its JSON log lines are read as they come, over restarts too: `lines`. `rows(sql)` looks into its SQLite store beside
it. Everything is bounded; only processes that were started here are ended, by their number.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
#: Seconds for whatever is waited for; far above what it takes, since the machine may be busy.
PATIENCE = 30.0
T = TypeVar("T")


def wait_until(look: Callable[[], T], what: str, seconds: float = PATIENCE, every: float = 0.05) -> T:
    """The first thing found that is not false. Raises AssertionError, which says what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(every)


class Daemon:
    """One daemon to a configuration; may be started again after it has ended."""

    def __init__(self, config: Path, crash: str = "", drain: float = 25.0) -> None:
        self.config = config
        self.drain = drain  # seconds that SIGTERM may take, as the configuration says
        self.lines: list[dict[str, Any]] = []  # of all runs, in order
        self.noise: list[str] = []  # what it said that is no JSON line; the last lines of stderr
        self._crash = crash
        self._process: subprocess.Popen[str] | None = None
        self._said = threading.Condition()
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> Daemon:
        if self._process is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            sys.stderr.write(self.story())
        self.kill()

    # ---- starting and ending

    def start(self, *, crash: str = "", waits: bool = True) -> Daemon:
        """Start it; `waits` until it serves. A crash point is armed for this run only."""
        assert not self.lives, "it runs already"
        if self._process is not None:
            self.wait_end()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("INTAKE_", "NOTIFY_", "WATCHDOG_"))}
        armed, self._crash = crash or self._crash, ""
        if armed:
            environment["INTAKE_CRASH"] = armed
        began = len(self.lines)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "intake", "run", "--config", str(self.config)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            encoding="utf-8", errors="replace", cwd=ROOT, env=environment, start_new_session=True,
        )  # fmt: skip
        self._readers = [
            threading.Thread(target=self._read_lines, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_noise, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        if waits:
            try:
                self.wait_for("started", since=began)
            except BaseException:
                self.kill()
                raise
        return self

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, "it was never started"
        return self._process.pid

    def stop(self) -> None:
        """SIGTERM: it must end with 0 within its drain time."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        code = self.wait_end(self.drain + 5.0)
        took = time.monotonic() - began
        assert code == 0, f"ended with {code}\n{self.story()}"
        assert took < self.drain, f"took {took:.1f} s of {self.drain:g}\n{self.story()}"

    def kill(self) -> None:
        """SIGKILL, now."""
        if self.lives:
            self.signal(signal.SIGKILL)
        if self._process is not None:
            self.wait_end(10.0)

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait_end(self, seconds: float = PATIENCE) -> int:
        """How it ended: the exit code, or minus the signal's number. Its last words have been read then."""
        assert self._process is not None
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.wait(10.0)
            raise AssertionError(f"still there after {seconds:g} s\n{self.story()}") from None
        for reader in self._readers:
            reader.join(10.0)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        return code

    # ---- listening

    def _read_lines(self, stream: Any) -> None:
        for text in stream:
            try:
                line = json.loads(text)
            except ValueError:
                self.noise.append(text.rstrip())
                continue
            with self._said:
                self.lines.append(line)
                self._said.notify_all()
        with self._said:
            self._said.notify_all()

    def _read_noise(self, stream: Any) -> None:
        for text in stream:
            self.noise.append(text.rstrip())

    def said(self, event: str, since: int = 0, **fields: Any) -> list[dict[str, Any]]:
        """The lines of that event with those fields, from line `since` on."""
        return [
            line
            for line in self.lines[since:]
            if line.get("event") == event and all(line.get(name) == value for name, value in fields.items())
        ]

    def wait_for(self, event: str, since: int = 0, seconds: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """The first such line, also one that was said before. Raises AssertionError when it ends or nothing comes."""
        deadline = time.monotonic() + seconds
        with self._said:
            while True:
                found = self.said(event, since, **fields)
                if found:
                    return found[0]
                left = deadline - time.monotonic()
                if left <= 0 or not (self.lives or any(r.is_alive() for r in self._readers)):
                    break
                self._said.wait(min(left, 0.5))
        raise AssertionError(f"never said: {event} {fields}\n{self.story()}")

    def story(self, last: int = 60) -> str:
        """What it said of late, for a failing test."""
        said = [json.dumps(line, ensure_ascii=False) for line in self.lines[-last:]]
        return "\n".join(["--- the daemon said:", *said, "--- and beside that:", *self.noise[-30:], ""])

    # ---- looking into its store

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """What a reader of its own finds in the store now; the daemon's writer is not disturbed."""
        path = self.config.parent / "intake.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]

    def is_settled(self) -> bool:
        """True when nothing waits to be decided or sent."""
        waiting = self.rows(
            "SELECT (SELECT count(*) FROM message WHERE state IN ('accepted', 'claimed')) AS messages, "
            "(SELECT count(*) FROM outbox WHERE next_attempt_at IS NOT NULL) AS outbox"
        )
        return waiting == [{"messages": 0, "outbox": 0}]

    def settle(self, seconds: float = PATIENCE) -> None:
        wait_until(self.is_settled, "nothing waits any more", seconds)
