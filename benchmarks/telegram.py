"""Telegram: updates a second that are taken, decided and confirmed; what each costs, what many open tickets hold."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.phone import CONFIG
from benchmarks.process import Measured, wait_for_port

MANY = 10_000  # updates that wait when the daemon starts
PEOPLE = 1_000  # who sent them: one open ticket each

TABLE = """
[channels.tg]
type = "telegram"
token = {{ file = "bot.token" }}
api_url = "{url}"
"""


def run() -> Iterator[dict[str, Any]]:
    from support.ports import free_ports
    from support.telegram import TOKEN, telegram_server

    from intake.demo.botapi_chats import Person

    with tempfile.TemporaryDirectory() as name, telegram_server() as server:
        (http,) = free_ports(1)
        folder = Path(name)
        for secret, words in (("hotline.secret", "bench-0123456789abcdefghijklmnopqrstuv"), ("bot.token", TOKEN)):
            (folder / secret).write_text(words)
            (folder / secret).chmod(0o600)
        config = CONFIG.format(http=http, level="warning") + TABLE.format(url=server.api.base_url)
        with Measured(folder, config) as daemon:
            wait_for_port(http)
            time.sleep(2)  # what a start costs is another figure
            before, began = daemon.cost(), time.monotonic()
            people = [Person(id=10_000 + n, first_name=f"客戶{n}") for n in range(PEOPLE)]
            for number in range(MANY):
                server.says(people[number % PEOPLE], f"第 {number} 個問題：營業稅怎麼申報？")
            while int(daemon.query("SELECT count(*) FROM message WHERE state = 'done'")[0][0]) < MANY:
                time.sleep(0.2)
            took, after = time.monotonic() - began, daemon.cost()
            tickets = daemon.query("SELECT count(*) FROM ticket")[0][0]
        yield {
            "updates": MANY,
            "updates/s": round(MANY / took),
            "cpu ms/update": round((after["cpu"] - before["cpu"]) / MANY * 1e3, 2),
            "tickets open": tickets,
            "MiB before": round(before["rss"]),
            "peak MiB": round(after["rss"]),
        }
