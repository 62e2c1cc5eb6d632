"""A mail of 25 MB: how long the daemon's loop stands still while it comes in, is read, and goes out to its agent.

The loop is asked the time of day, so to speak: /healthz is fetched over one kept connection every few milliseconds, and
the slowest answer is the longest stall. The same is measured before, with nothing to do, for comparison.
"""

from __future__ import annotations

import base64
import http.client
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from benchmarks.mail import DESK, config
from benchmarks.process import Measured
from benchmarks.sink import Sink

EVERY = 0.003  # seconds between questions
SIZES = (25, 18)  # MB of the whole mail: one too large to be passed on with its files, and one that is passed on


class _Asking:
    """Asks /healthz until it is stopped; remembers how long each answer took."""

    def __init__(self, port: int) -> None:
        self.seconds: list[float] = []
        self._ends = threading.Event()
        self._port = port
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._ends.is_set():
            start = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            self.seconds.append(time.perf_counter() - start)
            time.sleep(EVERY)
        connection.close()

    @property
    def worst(self) -> float:
        """Milliseconds."""
        return round(max(self.seconds) * 1e3, 1)


def run(rounds: int = 3) -> Iterator[dict[str, Any]]:
    from support.dovecot import Dovecot
    from support.ports import free_ports

    with tempfile.TemporaryDirectory() as name, Dovecot({DESK: "secret"}) as dovecot, Sink() as sink:
        (http_port,) = free_ports(1)
        folder = Path(name) / "desk"
        folder.mkdir()
        (folder / "password").write_text("secret")
        with Measured(folder, config(dovecot.imap_port, sink.port, http_port, chat=True)) as daemon:
            daemon.wait_for('"started"')
            for size in SIZES:
                for number in range(rounds):
                    yield _measure(daemon, dovecot, http_port, size, f"{size}-{number}")


def _measure(daemon: Measured, dovecot: Any, http_port: int, size: int, name: str) -> dict[str, Any]:
    before = _delivered(daemon)
    with _Asking(http_port) as idle:
        time.sleep(2)
    raw = large_mail(size * 1_000_000, name)
    with dovecot.session(DESK) as imap, _Asking(http_port) as busy:
        start = time.monotonic()
        imap.append("INBOX", None, None, raw)
        while _delivered(daemon) == before:
            if time.monotonic() - start > 60:
                raise RuntimeError((daemon.folder / "log").read_text()[-2000:])
            time.sleep(0.05)
        seconds = time.monotonic() - start
        time.sleep(0.5)
    return {
        "MB": size,
        "longest stall ms": busy.worst,
        "with nothing to do ms": idle.worst,
        "to the agent's server s": round(seconds, 2),
        "peak MiB": round(daemon.cost()["rss"]),
    }


def _delivered(daemon: Measured) -> int:
    rows = daemon.query("SELECT count(*) FROM outbox WHERE state = 'delivered' AND purpose IN ('assignment', 'update')")
    return int(rows[0][0])


def large_mail(octets: int, name: str) -> bytes:
    """A mail of about so many octets, as a scanner or a phone sends it: a few words and three files."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = f"c{name}@customers.local", DESK, "帳冊"
    mail["Message-ID"], mail["Date"] = f"<large-{name}@customers.local>", "Mon, 23 Nov 2026 09:00:00 +0800"
    mail.set_content("請查收附件。\n")
    content = base64.b64encode(os.urandom(1024 * 1024)) * (octets // 3 * 3 // 4 // (1398104) + 1)
    for number in range(3):
        mail.add_attachment(
            content[: octets // 4 - 10_000], maintype="application", subtype="pdf", filename=f"{number}.pdf"
        )
    return mail.as_bytes()
