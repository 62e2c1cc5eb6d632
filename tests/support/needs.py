"""What a test needs of the machine: a skip that names it, or a failure where nothing may be missing.

`needs("dovecot", "postfix")` at the top of a fixture or test skips with the reason when one is absent. With
CI=true in the environment an absence is a failure: a skipped proof must not look like a proof.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

#: name -> the program that must be there
PROGRAMS = {
    "dovecot": "dovecot",
    "postfix": "postfix",
    "openssl": "openssl",
    "setpriv": "setpriv",
    "chromium": "chromium",
    "systemd-analyze": "systemd-analyze",
    "strace": "strace",
    "tmux": "tmux",
    "neomutt": "neomutt",
}
#: Debian keeps a database server's own programs apart, a folder for each version; the newest first.
_POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: p.parent.name.zfill(4), reverse=True)
SEARCHED = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/local/sbin", *map(str, _POSTGRESQL)]
)


def find(name: str) -> str | None:
    """The path of a program, also of one that only root has on its PATH; None if it is not here."""
    return shutil.which(PROGRAMS.get(name, name), path=SEARCHED)


def program(name: str) -> str:
    """The path of a program, also of one that only root has on its PATH. Raises FileNotFoundError."""
    found = find(name)
    if found is None:
        raise FileNotFoundError(name)
    return found


def missing(*names: str) -> str:
    """What is absent, as a sentence; "" when all is there. "root" is a name too."""
    absent = []
    for name in names:
        if name == "root":
            if os.geteuid() != 0:
                absent.append("root")
        elif find(name) is None:
            absent.append(name)
    return f"needs {', '.join(absent)}" if absent else ""


def needs(*names: str) -> None:
    """Skip by name, or with CI=true fail, unless all of this is here."""
    reason = missing(*names)
    if not reason:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and nothing may be skipped here (CI=true)", pytrace=False)
    pytest.skip(reason)
