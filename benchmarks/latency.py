"""Latency: from the moment a mail is accepted until its agent's server has the mail about it.

Mail is handed over by LMTP, so that no mailbox's own delay is in it, and a server that takes everything stands for the
relay. First as much as comes through, sending included; then half of that, evenly, and each mail's time is taken
from the store: `outbox.delivered_at` less `message.accepted_at`.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.mail import DESK, config, corpus
from benchmarks.process import Measured, wait_for_port
from benchmarks.sink import Sink

CONNECTIONS = 8  # of the mail server that hands over
AT_FULL = 1500  # mails
SECONDS = 15.0  # at half load
PATIENCE = 180.0  # seconds

_FROM = re.compile(rb"^From:[^\n]*\n(?:[ \t][^\n]*\n)*", re.M)
_ID = re.compile(rb"^Message-ID:[^\n]*\n(?:[ \t][^\n]*\n)*", re.M | re.I)


def run(rounds: int = 1) -> Iterator[dict[str, Any]]:
    from support.ports import free_ports

    with tempfile.TemporaryDirectory() as name, Sink() as sink:
        folder = Path(name)
        mails = corpus(folder / "corpus")
        for number in range(rounds):
            lmtp, http = free_ports(2)
            with Measured(folder / f"run{number}", config(0, sink.port, http, lmtp=lmtp)) as daemon:
                daemon.wait_for('"started"')
                wait_for_port(lmtp)
                yield _measure(daemon, lmtp, mails)


def _measure(daemon: Measured, port: int, mails: Sequence[bytes]) -> dict[str, Any]:
    asyncio.run(_hand_over(port, [_new(mails[n % len(mails)], n) for n in range(AT_FULL)], None))
    _wait_until_sent(daemon, AT_FULL)
    rate = _sustained(daemon)
    count = int(rate / 2 * SECONDS)
    first = daemon.query("SELECT max(id) FROM message")[0][0]
    before = daemon.cost()
    late = asyncio.run(
        _hand_over(port, [_new(mails[n % len(mails)], n) for n in range(AT_FULL, AT_FULL + count)], rate / 2)
    )
    _wait_until_sent(daemon, AT_FULL + count)
    after = daemon.cost()
    took = sorted(_milliseconds(daemon, first))
    return {
        "sustained mails/s": round(rate),
        "pushed mails/s": round(rate / 2),
        "mails": len(took),
        "p50 ms": round(took[len(took) // 2], 1),
        "p99 ms": round(took[len(took) * 99 // 100], 1),
        "worst ms": round(took[-1], 1),
        "cpu ms/mail": round((after["cpu"] - before["cpu"]) / count * 1e3, 2),
        "peak MiB": round(after["rss"]),
        "worst lateness of the push ms": round(late * 1e3, 1),
    }


def _new(raw: bytes, number: int) -> bytes:
    """The same mail from somebody else: a customer of his own, so that nobody writes too much."""
    raw = _FROM.sub(b"From: C%d <c%d@customers%d.local>\n" % (number, number, number % 500), raw, count=1)
    raw = _ID.sub(b"Message-ID: <latency-%d@customers.local>\n" % number, raw, count=1)
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


async def _hand_over(port: int, mails: Sequence[bytes], rate: float | None) -> float:
    """Hand them over, so many a second or as fast as they are taken; by how many seconds one began too late."""
    waiting = iter(enumerate(mails))
    start = time.monotonic()
    late = 0.0

    async def one_connection() -> None:
        nonlocal late
        from support.lmtpclient import connected

        client = await connected(port)
        await client.answer()
        await client.say("LHLO mail.perf.local")
        for number, raw in waiting:
            if rate is not None:
                due = start + number / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                late = max(late, time.monotonic() - due)
            await client.say("MAIL FROM:<someone@customers.local>")
            await client.say(f"RCPT TO:<{DESK}>")
            await client.say("DATA")
            client.write(raw)
            if not (said := await client.answer()).startswith("250"):
                raise RuntimeError(said)
        client.close()

    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))
    return late


def _wait_until_sent(daemon: Measured, count: int) -> None:
    """Until so many mails are decided and nothing is left to send."""
    until = time.monotonic() + PATIENCE
    while (
        daemon.query("SELECT count(*) FROM message WHERE state = 'done'")[0][0] < count
        or daemon.query("SELECT count(*) FROM outbox WHERE next_attempt_at IS NOT NULL")[0][0]
    ):
        if time.monotonic() > until:
            raise RuntimeError((daemon.folder / "log").read_text()[-2000:])
        time.sleep(0.2)


_TO_AGENTS = "outbox.state = 'delivered' AND outbox.purpose IN ('assignment', 'update')"


def _sustained(daemon: Measured) -> float:
    """Mails a second, from the first accepted to the last one's delivery to its agent."""
    first, last, count = daemon.query(
        "SELECT min(message.accepted_at), max(outbox.delivered_at), count(*)"
        f" FROM outbox JOIN message ON message.id = outbox.source WHERE {_TO_AGENTS}"
    )[0]
    return float(count / (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds())


def _milliseconds(daemon: Measured, after: int) -> list[float]:
    rows = daemon.query(
        "SELECT message.accepted_at, outbox.delivered_at FROM outbox JOIN message ON message.id = outbox.source"
        f" WHERE {_TO_AGENTS} AND message.id > {after}"
    )
    return [(datetime.fromisoformat(b) - datetime.fromisoformat(a)).total_seconds() * 1e3 for a, b in rows]
