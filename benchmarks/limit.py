"""The straight-line limit beside which the mail bench is read: one thread, no daemon, nothing decided or sent."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.mail import GENERATOR, corpus


def run() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "corpus"
        corpus(folder)
        for parser, group in (("default", "1"), ("compat32", "20")):
            script = GENERATOR.with_name("straight_line.py")
            done = subprocess.run(
                [sys.executable, str(script), str(folder), "--parser", parser, "--group", group],
                check=True,
                capture_output=True,
                text=True,
            )
            yield {"straight line": done.stdout.strip()}
