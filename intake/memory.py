"""What the daemon asks of allocator and collector: to be thrifty, and to leave alone what stays.

Both are hints: where they are not understood, nothing is lost.
"""

from __future__ import annotations

import ctypes
import gc

_M_ARENA_MAX = -8  # mallopt(3)
ARENAS = 2  # one each for the loop and for SQLite's threads; glibc's default keeps 8 a processor half empty


def be_thrifty() -> None:
    """Before any thread is started. A no-op where the C library is not glibc."""
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)
    except (OSError, AttributeError):
        return


def settle() -> None:
    """After everything is put together: what is here now stays, and the rest is looked at less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
