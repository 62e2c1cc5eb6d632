"""Telephony: durable webhook POSTs a second, answered 200 only after the commit."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.process import ROOT, Measured, wait_for_port

SECRET = "bench-0123456789abcdefghijklmnopqrstuv"
CONFIG = """
[desk]
firm = "Bench"
region = "TW"
calendar = "TW"
default_team = "all"
[store]
url = "sqlite:///intake.db"
state_dir = "state"
[http]
port = {http}
[log]
format = "json"
level = "{level}"
[limits]
free_space = "1MiB"
[tokens]
key = {{ file = "token.key" }}
[channels.hotline]
type = "telephony"
path = "/phone"
secret = {{ file = "hotline.secret" }}
[channels.website]
type = "webchat"
origins = ["http://127.0.0.1:{http}"]
[agents.chen]
display_name = "Chen"
addresses = ["chen@perf.local"]
capacity = 1000000
[teams.all]
display_name = "All"
members = ["chen"]
"""


def prepared(folder: Path, http: int) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hotline.secret").write_text(SECRET)
    (folder / "hotline.secret").chmod(0o600)
    return CONFIG.format(http=http, level="warning")


def run() -> Iterator[dict[str, Any]]:
    from support.ports import free_ports

    for connections in (64, 256):
        with tempfile.TemporaryDirectory() as name:
            (http,) = free_ports(1)
            folder = Path(name)
            with Measured(folder, prepared(folder, http)) as daemon:
                wait_for_port(http)
                before = daemon.cost()
                done = subprocess.run(
                    [
                        sys.executable,
                        str(ROOT / "benchmarks/load_http.py"),
                        f"http://127.0.0.1:{http}/phone/{SECRET}",
                        "--requests",
                        "20000",
                        "--connections",
                        str(connections),
                    ],
                    check=True,
                    capture_output=True,
                )
                after = daemon.cost()
                kept = daemon.query("SELECT count(*) FROM message")[0][0]
            figures = json.loads(done.stdout)
            yield {
                "connections": connections,
                "POST/s": round(figures["per_second"]),
                "p50 ms": figures["p50_ms"],
                "p99 ms": figures["p99_ms"],
                "cpu ms/POST": round((after["cpu"] - before["cpu"]) / 20000 * 1e3, 3),
                "peak MiB": round(after["rss"]),
                "rows kept": kept,
            }
