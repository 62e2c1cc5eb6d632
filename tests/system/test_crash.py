"""kill -9 at every point where it could hurt, and at random; SIGSTOP: nothing lost, nothing doubled (G1, G2, G3).

The driver finds every `crashpoint("name")` in the code, so that a new one is tried by itself. It runs the mail circle
with the daemon armed to kill itself there, starts it again, lets it settle, and asks the servers' own ledgers: what
lies in the mailboxes, on the disk of the mail server.
"""

from __future__ import annotations

import ast
import itertools
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.daemon import PATIENCE, ROOT, Daemon, wait_until
from support.firm import Firm, is_answer, is_automatic, plain, servers
from support.mailclients import CUSTOMERS, REPLIES, answer_address

pytestmark = pytest.mark.system


def crash_points() -> list[str]:
    """Every name that a crash point has in the product."""
    found = set()
    for package in ("intake", "channels", "routing", "store"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "crashpoint":
                    [argument] = node.args
                    assert isinstance(argument, ast.Constant), f"{path}: a crash point's name must be written out"
                    found.add(argument.value)
    return sorted(found)


CASES = [f"{name}:{nth}" for name in crash_points() for nth in (1, 2)]
#: Each case has a desk, agents and customers of its own, on servers that all share.
PLACES = {case: f"c{number}" for number, case in enumerate([*CASES, "random", "frozen"])}
LOAD = [f"load{n}@customer.example" for n in range(20)]


def _customers(place: str) -> list[str]:
    return [f"{name}-{place}@customer.example" for name in ("an", "bo")]


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    customers = [one for place in PLACES.values() for one in _customers(place)]
    with servers(PLACES.values(), [*customers, *LOAD]) as pair:
        yield pair


class Driver:
    """One desk whose daemon may die at any moment; it is started again, unarmed."""

    def __init__(self, firm: Firm, crash: str = "") -> None:
        self.firm = firm
        self.daemon = Daemon(firm.config, crash=crash, drain=20.0)
        self.deaths = 0
        self.offered: list[tuple[str, bytes]] = []  # what the border server took for the desk: (subject, octets)

    def revive(self) -> None:
        """Start it again if it has killed itself."""
        if not self.daemon.lives:
            assert self.daemon.wait_end() == -signal.SIGKILL, self.daemon.story()
            self.deaths += 1
            self.check_flags()
            self.daemon.start(waits=False)

    def write(self, sender: str, subject: str) -> None:
        self.firm.send(sender, self.firm.desk, CUSTOMERS["gmail"](sender, "王美玲", self.firm.desk, subject, "請問？"))

    def reply(self, mail: EmailMessage, words: str) -> None:
        raw = REPLIES["thunderbird"](mail, "陳怡君", self.firm.chen, words)
        self.firm.send(self.firm.chen, answer_address(mail), raw)

    def wait_for(self, user: str, wanted: Any) -> EmailMessage:
        return self.firm.box(user).wait_for(wanted, meanwhile=self.revive)

    def settle(self) -> None:
        """Until everything in the desk's mailbox is decided, and everything of that has left."""

        def is_settled() -> bool:
            self.revive()
            if not (self.firm.folder / "intake.db").exists():
                return False
            try:
                taken = self.daemon.rows("SELECT count(*) AS n FROM message")[0]["n"]
                return taken >= len(self.firm.box(self.firm.desk).mails()) and self.daemon.is_settled()
            except sqlite3.OperationalError:  # the tables are still being made
                return False

        wait_until(lambda: not self.firm.postfix.queue(), "the border server's queue is empty")
        wait_until(is_settled, f"the desk has settled\n{self.daemon.story()}")
        wait_until(lambda: not self.firm.postfix.queue(), "the border server's queue is empty")

    # ---- what the servers' ledgers say

    def check_flags(self) -> None:
        """G1: nothing has changed at the source but for what is committed. (A crash may lose a flag, never a mail.)"""
        kept = {int(row["external_id"].split(";")[2]) for row in self.daemon.rows("SELECT external_id FROM message")}
        assert set(self.firm.dovecot.seen(self.firm.desk)) <= kept

    def check_nothing_lost(self, subjects: set[str]) -> None:
        """Each of these mails has a ticket, and only one; each mail of the mailbox was taken once, octet for octet."""
        opened = [row["subject"] for row in self.daemon.rows("SELECT subject FROM ticket")]
        assert Counter(opened) == Counter(subjects)
        taken = self.daemon.rows("SELECT m.state, m.outcome, r.data FROM message m LEFT JOIN raw r ON r.message = m.id")
        assert {row["state"] for row in taken} == {"done"}
        assert "copy" not in {row["outcome"] for row in taken}
        given = self.firm.dovecot.fetch_all(self.firm.desk)
        assert sorted(row["data"] for row in taken) == sorted(given.values())
        self.check_flags()

    def check_nothing_doubled(self, users: list[str]) -> None:
        """Every row of the outbox reached its mailbox, once; twice at most, and the same, where that was unknown."""
        rows = {
            str(row["mail_id"]): row
            for row in self.daemon.rows("SELECT mail_id, address, purpose, ticket, unknowns, state FROM outbox")
        }
        assert {row["state"] for row in rows.values()} == {"delivered"}
        delivered: dict[str, list[EmailMessage]] = {mail_id: [] for mail_id in rows}
        for user in users:
            for mail in self.firm.box(user).mails():
                row = rows[str(mail["Message-ID"])]
                assert row["address"] == f"mailto:{user}"
                delivered[row["mail_id"]].append(mail)
        for mail_id, mails in delivered.items():
            most = 1 + min(rows[mail_id]["unknowns"], 1)
            assert 1 <= len(mails) <= most, (rows[mail_id], len(mails))
            assert len({_as_sent(mail) for mail in mails}) == 1
        effects = Counter(
            (row["ticket"], row["purpose"], row["address"])
            for row in rows.values()
            if row["purpose"] in ("assignment", "acknowledgement", "answer")
        )
        assert set(effects.values()) == {1}

    def check_notices(self) -> None:
        """Each promise was told of once for each reason, ever."""
        told = self.daemon.rows(
            "SELECT ticket, json_extract(data, '$.target') AS target, json_extract(data, '$.ordinal') AS ordinal, "
            "json_extract(data, '$.notice') AS notice FROM event WHERE kind IN ('target_breached', 'supervisor_told')"
        )
        assert told, "nothing was watched"
        assert max(Counter(tuple(row.values()) for row in told).values()) == 1


def _as_sent(mail: EmailMessage) -> str:
    """A mail without the lines that servers have written above it."""
    return "From:" + mail.as_string().partition("\nFrom:")[2]


@pytest.mark.parametrize("case", CASES)
def test_g1_g2_g3_killed_at_a_crash_point(both: Any, tmp_path: Path, case: str) -> None:
    place = PLACES[case]
    firm = Firm(
        tmp_path, *both, suffix=place, email_target="1s", more='[supervisor_after.first_response]\nemail = "2s"'
    )
    an, bo = _customers(place)
    driver = Driver(firm, crash=case)
    with driver.daemon.start(waits=False):
        driver.write(an, "first")
        assigned = driver.wait_for(firm.chen, lambda m: an in plain(m))
        driver.write(bo, "second")
        driver.reply(assigned, "好的，已經收到。")
        answer = driver.wait_for(an, is_answer)
        # Nobody answers the second: its promise is broken, and told twice.
        driver.wait_for(firm.wu, is_automatic)
        driver.settle()

        assert driver.deaths == 1, "the crash point was never reached: it proves nothing"
        driver.check_nothing_lost({"first", "second"})
        driver.check_nothing_doubled([firm.chen, firm.wu, an, bo])
        driver.check_notices()
        assert plain(answer).startswith("好的，已經收到。")


def test_g1_g2_g3_killed_at_random_under_load(both: Any, tmp_path: Path) -> None:
    dice = random.Random(20261123)
    driver = Driver(Firm(tmp_path, *both, suffix=PLACES["random"]))
    firm, daemon = driver.firm, driver.daemon
    sessions = []
    with daemon.start(waits=False):
        for wave in range(5):
            if not daemon.lives:
                daemon.start(waits=False)
            sessions.append(daemon.pid)
            for user in LOAD[wave * 4 : wave * 4 + 4]:
                driver.write(user, f"from {user}")
            daemon.wait_for("decider_started", since=_runs(daemon, wave))
            time.sleep(dice.uniform(0.0, 0.9))
            daemon.kill()
        daemon.start()
        sessions.append(daemon.pid)
        driver.settle()

        driver.check_nothing_lost({f"from {user}" for user in LOAD})
        driver.check_nothing_doubled([firm.chen, firm.wu, *LOAD])
        wait_until(lambda: _left_of(sessions[:-1]) == [], "no helper outlives its daemon")
        daemon.stop()
    verified = subprocess.run(
        [sys.executable, "-m", "intake", "verify", "--config", str(firm.config)],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert _left_of(sessions) == []


def _runs(daemon: Daemon, count: int) -> int:
    """The number of the line at which run `count` (from 0) begins."""
    begins = [n for n, line in enumerate(daemon.lines) if line.get("event") == "store_opened"]
    return begins[count] if len(begins) > count else len(daemon.lines)


def _left_of(sessions: list[int]) -> list[int]:
    """Processes of these sessions that still live."""
    left = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = status.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) in sessions and state != "Z":
            left.append(int(status.parent.name))
    return left


def test_a_daemon_that_stood_still_goes_on_where_it_was(both: Any, tmp_path: Path) -> None:
    driver = Driver(Firm(tmp_path, *both, suffix=PLACES["frozen"]))
    firm, daemon = driver.firm, driver.daemon
    an, bo = _customers(PLACES["frozen"])
    with daemon.start():
        for number, pause in zip(itertools.count(), (0.3, 0.6, 0.7), strict=False):
            driver.write(an, f"before {number}")
            time.sleep(pause)
            daemon.signal(signal.SIGSTOP)
            driver.write(bo, f"while it stands {number}")
            time.sleep(1.5)
            daemon.signal(signal.SIGCONT)
        driver.settle()

        assert driver.deaths == 0
        driver.check_nothing_lost({f"{when} {n}" for when in ("before", "while it stands") for n in range(3)})
        driver.check_nothing_doubled([firm.chen, firm.wu, an, bo])
        daemon.stop()
