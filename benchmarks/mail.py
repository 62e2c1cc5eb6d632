"""Mail: from a full IMAP mailbox to ticket, targets, assignment and the agent's outbox row, committed.

The relay's port is closed, so what is measured is taking in and deciding; the outbox keeps what it would send.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.process import ROOT, Measured

GENERATOR = ROOT.parent / "shared" / "perf" / "gen_corpus.py"
DESK = "support@perf.local"

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
[limits]
free_space = "1MiB"
automatic_per_hour = 0
ack_per_domain_and_day = 0
[tokens]
key = {{ file = "token.key" }}
[channels.support]
type = "mail"
address = "support@perf.local"
smtp = {{ host = "127.0.0.1", port = {smtp}, security = "none" }}
{way_in}
{agents}
[teams.all]
display_name = "All"
members = [{members}]
"""
MAILBOX = """[channels.support.imap]
host = "127.0.0.1"
port = {imap}
security = "none"
username = "support@perf.local"
password = {{ file = "password" }}
since = "all"
"""
DOOR = """[channels.support.lmtp]
port = {lmtp}
"""
AGENT = '[agents.a{n}]\ndisplay_name = "A{n}"\naddresses = ["a{n}@perf.local"]\ncapacity = 1000000\n'


def corpus(folder: Path) -> list[bytes]:
    """1,500 mails; made by the generator beside the checkout."""
    if not GENERATOR.exists():
        raise SystemExit(f"the mail bench needs {GENERATOR.name} beside the checkout")
    subprocess.run([sys.executable, str(GENERATOR), str(folder)], check=True, capture_output=True)
    return [file.read_bytes() for file in sorted(folder.glob("*.eml"))]


CHAT = '[channels.site]\ntype = "webchat"\norigins = ["http://127.0.0.1"]\nreply_channel = "support"\n'


def config(imap: int, smtp: int, http: int, agents: int = 20, *, chat: bool = False, lmtp: int = 0) -> str:
    """`chat`: with a web chat beside, so that there is a listener to ask how it goes. `lmtp`: no mailbox, a door."""
    text = CONFIG.format(
        way_in=DOOR.format(lmtp=lmtp) if lmtp else MAILBOX.format(imap=imap),
        smtp=smtp,
        http=http,
        agents="".join(AGENT.format(n=n) for n in range(agents)),
        members=", ".join(f'"a{n}"' for n in range(agents)),
    )
    return text + CHAT if chat else text


def run(rounds: int = 1) -> Iterator[dict[str, Any]]:
    from support.dovecot import Dovecot
    from support.ports import free_ports

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mails = corpus(folder / "corpus")
        with Dovecot({DESK: "secret"}) as dovecot:
            with dovecot.session(DESK) as imap:
                for raw in mails:
                    imap.append("INBOX", None, None, raw)
            for number in range(rounds):
                smtp, http = free_ports(2)
                yield _measure(folder / f"run{number}", config(dovecot.imap_port, smtp, http), len(mails))


def _measure(folder: Path, text: str, count: int) -> dict[str, Any]:
    folder.mkdir()
    (folder / "password").write_text("secret")
    with Measured(folder, text) as daemon:
        daemon.wait_for('"started"')
        before = daemon.cost()
        until = time.monotonic() + 120
        while (done := daemon.query("SELECT count(*) FROM message WHERE state IN ('done','parked')")[0][0]) < count:
            if time.monotonic() > until:
                raise RuntimeError(f"only {done} of {count}: " + (folder / "log").read_text()[-2000:])
            time.sleep(0.1)
        after = daemon.cost()
        first, last = daemon.query("SELECT min(accepted_at), max(decided_at) FROM message")[0]
        tickets = daemon.query("SELECT count(*) FROM ticket")[0][0]
        rows = daemon.query("SELECT count(*) FROM outbox WHERE purpose IN ('assignment','update')")[0][0]
    seconds = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
    return {
        "mails": count,
        "mails/s": round(count / seconds),
        "cpu ms/mail": round((after["cpu"] - before["cpu"]) / count * 1e3, 2),
        "parser ms/mail": round((after["parsers"] - before["parsers"]) / count * 1e3, 2),
        "peak MiB": round(after["rss"]),
        "tickets": tickets,
        "outbox rows to agents": rows,
    }
