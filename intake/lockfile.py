"""One daemon to a store: a lock on a file, held as long as the process lives.

The kernel lets go of it when the process ends, however it ends: nothing stale is ever left. The file itself stays,
with the number of the process that last held it. It matters on SQLite alone; nodes that share a PostgreSQL have
leases for that, and state directories of their own.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "intake.lock"


class AlreadyRuns(Exception):
    """Somebody else holds the lock. `pid` is 0 where he has not said who he is."""

    def __init__(self, pid: int, state_dir: Path) -> None:
        who = "another intake already runs" + (f" (pid {pid})" if pid else "")
        super().__init__(f"{who} with the state folder {state_dir}")
        self.pid = pid


@contextmanager
def single_instance(state_dir: Path) -> Iterator[None]:
    """Hold the lock of a state directory, which is made where it is missing. Raises AlreadyRuns, OSError."""
    state_dir.mkdir(parents=True, exist_ok=True)
    # O_CLOEXEC: a parsing worker that outlives the daemon by a moment must not hold it.
    descriptor = os.open(state_dir / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, state_dir)
        _give_to_the_owner_of(state_dir, descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, state_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.pread(descriptor, 20, 0).strip()
        raise AlreadyRuns(int(written) if written.isdigit() else 0, state_dir) from None


def _give_to_the_owner_of(folder: Path, descriptor: int) -> None:
    """What root makes on the command line, the daemon's user must be able to open tomorrow."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
