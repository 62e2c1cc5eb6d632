"""Free ports on the loopback, for servers that must be told theirs; and waiting until one listens."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable


def free_ports(count: int) -> list[int]:
    """Ports that nobody had a moment ago; all different."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def wait_for_port(port: int, seconds: float = 10.0, still_lives: Callable[[], bool] = lambda: True) -> None:
    """Return once something accepts there. Raises TimeoutError, or RuntimeError when the server has died."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if not still_lives():
                raise RuntimeError("the server has ended") from None
            time.sleep(0.02)
    raise TimeoutError(f"nothing listens on {port}")
