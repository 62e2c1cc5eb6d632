"""Web chat: durable messages a second, acknowledged to the page only after the commit; what an idle socket costs."""

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

#: One visitor may say so much here; five a second, the default, would be what is measured.
UNBOUNDED = "[channels.website]\nmessages_per_second = 1000.0"


def run() -> Iterator[dict[str, Any]]:
    yield _measured("--sockets", "200", "--seconds", "8")
    yield _measured("--sockets", "2000", "--idle")


def _measured(*arguments: str) -> dict[str, Any]:
    from support.ports import free_ports

    with tempfile.TemporaryDirectory() as name:
        (http,) = free_ports(1)
        folder = Path(name)
        config = prepared(folder, http).replace("[channels.website]", UNBOUNDED)
        with Measured(folder, config) as daemon:
            wait_for_port(http)
            before = daemon.cost()
            url = f"http://127.0.0.1:{http}/chat"
            load = [sys.executable, str(ROOT / "benchmarks/load_chat.py"), url, "--pid", str(daemon.pid), *arguments]
            done = subprocess.run(load, check=True, stdout=subprocess.PIPE)
            after = daemon.cost()
        figures = json.loads(done.stdout)
        return {**figures, "cpu s": round(after["cpu"] - before["cpu"], 2), "peak MiB": round(after["rss"])}
