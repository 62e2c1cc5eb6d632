"""Places where the program may be killed on purpose, so that a test can prove nothing is lost there.

`INTAKE_CRASH=name[:n]` kills the process with SIGKILL the n-th time (default: first) that `crashpoint(name)` is
reached. Without the variable a crash point costs one comparison.
"""

from __future__ import annotations

import os
import signal

_ARMED, _, _COUNT = os.environ.get("INTAKE_CRASH", "").partition(":")
_left = int(_COUNT or 1)


def crashpoint(name: str) -> None:
    """Die here if this point is armed."""
    global _left
    if name != _ARMED:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
