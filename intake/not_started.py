"""Why the daemon did not start: one sentence for the operator, with what to do about it."""

from __future__ import annotations

import errno


class NotStarted(Exception):
    """Something without which there is no start; its text is the sentence for the operator."""


#: What a driver says -> what to do.
_STORE = (
    ("locked", "another program holds it: end that one, and start again"),
    ("malformed", "the file is damaged: keep it, and put its latest copy or backup in its place"),
    ("disk is full", "make room on its disk"),
    ("readonly", "the daemon's user must own it and its folder"),
    ("unable to open", "the daemon's user must own it and its folder"),
    ("connect", "start the database, or correct store.url"),
    ("password", "correct store.password"),
)


def of_file(error: OSError) -> str:
    """A file or folder that cannot be made or opened."""
    place = f"{error.filename}: " if error.filename else ""
    reason = f"{place}{error.strerror or error}"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return f"{reason}; the daemon's user must own it"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{reason}; a folder is wanted here: move the file away, or name another folder"
    if isinstance(error, FileNotFoundError):
        return f"{reason}; make it and give it to the daemon's user, or name another in the configuration"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{reason}; make room on its disk"
    return reason


def of_address(error: OSError, host: str, port: int, setting: str) -> str:
    """An address that cannot be listened on, or a socket or worker; `setting` names the port: "http.port"."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program: stop it, or choose another as {setting}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: correct {setting.removesuffix('port')}host"
    if error.errno == errno.EACCES and port < 1024:
        return f"port {port} is kept for root: choose one above 1023 as {setting}"
    return of_file(error) if error.filename else str(error)


def of_store(error: Exception) -> str:
    """A store that is there and cannot be used. The driver's first line is enough: the rest is SQL."""
    words = str(getattr(error, "orig", None) or error).splitlines()[0] if str(error) else type(error).__name__
    mend = next((mend for said, mend in _STORE if said in words.lower()), "")
    return f"the store cannot be opened: {words}" + (f"; {mend}" if mend else "")
