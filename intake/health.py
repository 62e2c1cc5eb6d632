"""Health: how every loop is, told honestly, for /healthz, the watchdog and `intake status`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from intake.accept import Acceptor
from intake.supervise import Supervisor
from intake.ways_out import WaysOut


class Health:
    """Looks at loops and acceptance; does no input or output."""

    def __init__(self, supervisor: Supervisor, acceptor: Acceptor, version: str, ways: Callable[[], WaysOut]) -> None:
        self._supervisor = supervisor
        self._acceptor = acceptor
        self._version = version
        self._ways = ways  # what is known of the channels that send

    def is_turning(self) -> bool:
        """Every loop turns, or waits for its next try: what feeds the watchdog."""
        return not self._supervisor.overdue()

    def report(self) -> dict[str, Any]:
        """`ok` is false where a channel is down, in or out, a loop is overdue, or nothing can be kept."""
        now = asyncio.get_running_loop().time()
        overdue = set(self._supervisor.overdue())
        loops = {
            p.name: {
                "note": p.note,
                "ok": p.name not in overdue and not p.is_waiting,
                **({"failures": p.failures, "error": p.last_error} if p.is_waiting else {}),
            }
            for p in self._supervisor.loops.values()
        }
        for channel, error in self._ways().away.items():
            loops[f"{channel} (sending)"] = {"note": f"nothing can be sent: {error[:200]}", "ok": False}
        accepted = {name: round(now - at, 1) for name, at in self._acceptor.last_accepted_at.items()}
        return {
            "ok": not self._acceptor.refused and all(loop["ok"] for loop in loops.values()),
            "version": self._version,
            "refusing": self._acceptor.refused,
            "loops": loops,
            "last_accepted_s_ago": accepted,
            "paced": {
                channel: {"for_s": round(wait.seconds, 1), "why": wait.why[:200], "answers_too": wait.is_for_all}
                for channel, wait in self._ways().waits().items()
            },
        }


def summary(report: Mapping[str, Any]) -> str:
    """One line for `systemctl status`."""
    bad = [f"{name}: {loop['note']}" for name, loop in report["loops"].items() if not loop["ok"]]
    if report["refusing"]:
        bad.insert(0, f"refusing: {report['refusing']}")
    return "; ".join(bad)[:200] or "all channels are served"
