"""Web chat: durable messages a second, acknowledged to the page only after the commit; and what an idle socket costs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.phone import prepared
from benchmarks.process import ROOT, Measured, wait_for_port


def run() -> Iterator[dict[str, Any]]:
    from support.ports import free_ports

    with tempfile.TemporaryDirectory() as name:
        (http,) = free_ports(1)
        folder = Path(name)
        with Measured(folder, prepared(folder, http).replace("[channels.website]", "[channels.website]\nmessages_per_second = 1000.0")) as daemon:
            wait_for_port(http)
            before = daemon.cost()
            done = subprocess.run(
                [sys.executable, str(ROOT / "benchmarks/load_chat.py"), f"ws://127.0.0.1:{http}/chat/ws", *ARGUMENTS],
                check=True,
                capture_output=True,
            )
            after = daemon.cost()
        figures = json.loads(done.stdout)
        yield {**figures, "daemon cpu s": round(after["cpu"] - before["cpu"], 2), "peak MiB": round(after["rss"])}


ARGUMENTS: list[str] = []
