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
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemon import PATIENCE, ROOT, Daemon, wait_until
from support.driver import Driver
from support.firm import Firm, is_answer, is_automatic, plain, servers

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


#: What happens at fixed times, or hours after something, is killed on a clock that is set: tests/intake/test_day.py,
#: test_relief.py, test_matters.py.
ON_A_SET_CLOCK = {"day.before_commit", "day.after_commit", "duties.before_commit", "duties.after_commit"}
CASES = [f"{name}:{nth}" for name in crash_points() if name not in ON_A_SET_CLOCK for nth in (1, 2)]
#: Each case has a desk, agents and customers of its own, on servers that all share.
PLACES = {case: f"c{number}" for number, case in enumerate([*CASES, "random", "frozen", "deadly"])}
LOAD = [f"load{n}@customer.example" for n in range(20)]


def _customers(place: str) -> list[str]:
    return [f"{name}-{place}@customer.example" for name in ("an", "bo")]


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    customers = [one for place in PLACES.values() for one in _customers(place)]
    with servers(PLACES.values(), [*customers, *LOAD]) as pair:
        yield pair


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
        driver.wait_for_event("supervisor_told", "second")
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
            driver.check_flags()
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


def test_g4_a_message_that_ends_the_daemon_is_set_aside_and_the_next_is_served(both: Any, tmp_path: Path) -> None:
    """Every run dies while it decides the first mail, until that one is parked; then nobody waits for it any more."""
    an, bo = _customers(PLACES["deadly"])
    driver = Driver(Firm(tmp_path, *both, suffix=PLACES["deadly"]))
    daemon = driver.daemon
    driver.write(an, "deadly")
    with daemon:
        daemon.kill()
        for _ in range(7):
            daemon.start(crash="decide.before_commit", waits=False)
            wait_until(lambda: not daemon.lives or _parked(daemon), "it dies, or gives up on the mail")
            daemon.kill()
            if _parked(daemon):
                break
        daemon.start()
        driver.write(bo, "harmless")
        driver.firm.box(bo).wait_for(is_automatic)
        driver.settle()
        parked = _parked(daemon)

    assert [(row["raw"] is not None, "ended" in row["reason"]) for row in parked] == [(True, True)]


def _parked(daemon: Daemon) -> list[dict[str, Any]]:
    return daemon.rows(
        "SELECT m.reason, r.data AS raw FROM message m LEFT JOIN raw r ON r.message = m.id WHERE m.state = 'parked'"
    )
