"""The saved login of a channel: its refresh token, in a file of its own that the daemon's user alone may read.

Written at one stroke and to the disk, under a lock that other processes keep as well: `intake login` and `intake check`
run beside the daemon, and a token that was exchanged twice may be worth nothing any more.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from channels.oauth import Granted

LOCK_WITHIN = 60.0  # seconds; longer than a token server may take to answer
SLID = timedelta(minutes=5)  # by which an end must have moved to count as put off
LOCK_LOOK = 0.05  # seconds between two looks whether the lock is free


@dataclass(frozen=True, kw_only=True)
class SavedLogin:
    """What is kept between two runs."""

    client_id: str  # whom it was given to; another one cannot use it
    refresh_token: str = field(repr=False)
    obtained_at: datetime  # aware UTC; when a person consented
    used_at: datetime  # aware UTC; the last time it was good for something
    expires_at: datetime | None = None  # aware UTC; where the server says so
    slides: bool = False  # each use has put that end off

    def after(self, granted: Granted, now: datetime) -> SavedLogin:
        """The same, once it has been used."""
        fresh = replace(self, refresh_token=granted.refresh_token or self.refresh_token, used_at=now)
        if granted.refresh_expires_in is None:
            return fresh
        expires = now + timedelta(seconds=granted.refresh_expires_in)
        slides = self.slides or (self.expires_at is not None and expires > self.expires_at + SLID)
        return replace(fresh, expires_at=expires, slides=slides)


def read_login(path: Path) -> SavedLogin | None:
    """What is saved; None where nothing is. Raises OSError, and ValueError for what is no login."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        kept = json.loads(text)
        expires = kept.get("expires_at")
        return SavedLogin(
            client_id=str(kept["client_id"]),
            refresh_token=str(kept["refresh_token"]),
            obtained_at=datetime.fromisoformat(kept["obtained_at"]),
            used_at=datetime.fromisoformat(kept["used_at"]),
            expires_at=datetime.fromisoformat(expires) if expires else None,
            slides=bool(kept.get("slides")),
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        # Without its cause, which would quote what was read.
        raise ValueError(f"{path} holds no saved login") from None


def write_login(path: Path, login: SavedLogin) -> None:
    """Replace what is saved, at one stroke, mode 0600; on the disk when this returns. Raises OSError."""
    kept = {
        "client_id": login.client_id,
        "refresh_token": login.refresh_token,
        "obtained_at": login.obtained_at.isoformat(),
        "used_at": login.used_at.isoformat(),
        "expires_at": login.expires_at.isoformat() if login.expires_at else None,
        "slides": login.slides,
    }
    _folder(path)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            _give_to_owner(file.fileno(), path)
            json.dump(kept, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:  # Ctrl-C too
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Nobody else exchanges this login meanwhile. Raises OSError, TimeoutError."""
    _folder(path)
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _give_to_owner(descriptor, lock)
        try:
            async with asyncio.timeout(LOCK_WITHIN):
                while not _taken(descriptor):  # noqa: ASYNC110
                    await asyncio.sleep(LOCK_LOOK)
        except TimeoutError:
            raise TimeoutError(f"another process keeps {lock.name}") from None
        yield
    finally:
        os.close(descriptor)  # and with it the lock


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _folder(path: Path) -> None:
    """Made where it is not there, for whom its parent belongs to: `intake login` runs as root, the daemon does not."""
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            owner = path.parent.parent.stat()
            os.chown(path.parent, owner.st_uid, owner.st_gid)


def _give_to_owner(descriptor: int, path: Path) -> None:
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
