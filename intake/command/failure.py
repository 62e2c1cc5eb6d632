"""How a command ends: the exit codes, and a failure as a sentence with what to do about it."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the shell is told; docs/command-line.md lists them."""

    OK = 0
    WRONG = 1  # it was done, and something was found wrong
    USAGE = 2  # a wrong argument, or a configuration that cannot be used
    NOT_FOUND = 3  # no such ticket, message, channel or file
    STORE = 4  # the store is not there, not reachable, or of another version
    DAEMON = 5  # the daemon is needed and cannot be asked, or refused
    INTERRUPTED = 130  # Ctrl-C, as the shell says it


class Failure(Exception):
    """The command cannot go on. `mend` says what to do about it, as an instruction."""

    def __init__(self, code: Exit, words: str, mend: str = "") -> None:
        super().__init__(words)
        self.code = code
        self.words = words
        self.mend = mend
