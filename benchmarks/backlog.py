"""A mailbox that is full at the first start: how soon new mail is read, and what reading all the old costs.

Small mails lie in Dovecot as files that it has never seen, so its own first look is counted too. The relay's port is
closed. With `since = "all"` every mail is decided on as well; what is slower than fetching is deciding.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.mail import DESK, config
from benchmarks.process import Measured

SIZE = 200_000  # mails
RECENT = 1_000  # of them are wanted where `since` is a date
PATIENCE = 3600.0  # seconds


def run(size: int = SIZE) -> Iterator[dict[str, Any]]:
    from support.dovecot import BEGAN, STEP, Dovecot
    from support.ports import free_ports

    day = (datetime.fromtimestamp(BEGAN, UTC) + timedelta(seconds=(size - RECENT) * STEP)).date()
    with tempfile.TemporaryDirectory() as name, Dovecot({DESK: "secret"}) as dovecot:
        dovecot.fill(DESK, size)
        for since in ("now", day.isoformat(), "all"):
            smtp, http = free_ports(2)
            text = config(dovecot.imap_port, smtp, http).replace('since = "all"', f'since = "{since}"')
            folder = Path(name) / since
            folder.mkdir()
            (folder / "password").write_text("secret")
            began = time.monotonic()
            with Measured(folder, text) as daemon:
                daemon.wait_for('"started"')
                started = time.monotonic()
                _until(daemon, "SELECT count(*) FROM cursor", 1)
                begun = time.monotonic()
                dovecot.append(DESK, [b"From: new@customer.example\r\nSubject: new %s\r\n\r\nnew\r\n" % since.encode()])
                _until(daemon, "SELECT count(*) FROM message WHERE external_id LIKE '%;' || " + str(_last(dovecot)), 1)
                read = time.monotonic()
                _until(daemon, "SELECT count(*) FROM message WHERE state IN ('accepted','claimed')", 0)
                decided = time.monotonic()
                (taken,) = daemon.query("SELECT count(*) FROM message")[0]
                (late,) = daemon.query("SELECT count(*) FROM target WHERE due_at < started_at")[0]
                (thanked,) = daemon.query("SELECT count(*) FROM outbox WHERE purpose = 'acknowledgement'")[0]
                yield {
                    "since": since,
                    "lying there": size,
                    "start s": round(started - began, 1),
                    "first look s": round(begun - started, 1),
                    "until new mail is read s": round(read - begun, 1),
                    "decided s": round(decided - begun, 1),
                    "taken": taken,
                    "acknowledged": thanked,
                    "late at birth": late,
                    "peak MiB": round(daemon.cost()["rss"]),
                }


def _last(dovecot: Any) -> int:
    with dovecot.session(DESK) as imap:
        imap.select("INBOX", readonly=True)
        return int(imap.response("UIDNEXT")[1][0]) - 1


def _until(daemon: Measured, statement: str, count: int) -> None:
    until = time.monotonic() + PATIENCE
    while daemon.query(statement)[0][0] != count:
        if time.monotonic() > until:
            raise RuntimeError((daemon.folder / "log").read_text(errors="replace")[-2000:])
        time.sleep(0.1)
