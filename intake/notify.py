"""Talking to systemd: READY=1 and its like, over the socket it names. Without one, nothing happens (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time


def notify(*lines: str) -> None:
    """Send state lines. Never raises: a manager that does not listen must not stop the daemon."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract socket
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
            s.sendto("\n".join(lines).encode(), address)
    except OSError:
        return


def reloading() -> tuple[str, ...]:
    """The lines that begin a reload."""
    return ("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_interval() -> float | None:
    """How often systemd wants to hear that we live, in seconds; None if it does not ask."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", "")
    if not usec.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1_000_000
