"""The end and the change of a running daemon: SIGTERM drains and exits 0 (G12), SIGHUP takes a new policy or none."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.daemon import Daemon, wait_until
from support.driver import Driver
from support.firm import Firm, is_automatic, servers
from support.mailclients import CUSTOMERS
from support.smtpscript import SILENT, ScriptedSmtp

pytestmark = pytest.mark.system

PLACES = ["load", "slow", "idle", "hup", "wrong"]
LOAD = [f"load{n}@customer.example" for n in range(40)]
MEI = "mei@customer.example"


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    with servers(PLACES, [*LOAD, MEI]) as pair:
        yield pair


def test_g12_sigterm_under_load_ends_with_zero_and_nothing_is_lost_or_doubled(both: Any, tmp_path: Path) -> None:
    driver = Driver(Firm(tmp_path, *both, suffix="load"))
    firm, daemon = driver.firm, driver.daemon
    with daemon.start():
        # In the thick of it: some are being read, some decided, and letters leave.
        moments = (("message_accepted", 0), ("message_accepted", 0.01), ("ticket_opened", 0), ("ticket_opened", 0.03))
        for wave, (event, pause) in enumerate(moments):
            some = LOAD[wave * 10 : wave * 10 + 10]
            began = len(daemon.lines)
            firm.send_all(
                (u, firm.desk, CUSTOMERS["gmail"](u, "王美玲", firm.desk, f"from {u}", "請問？")) for u in some
            )
            daemon.wait_for(event, since=began)
            time.sleep(pause)
            daemon.stop()
            left = daemon.rows("SELECT state FROM message WHERE state = 'claimed'")
            assert left + daemon.rows("SELECT state FROM outbox WHERE state = 'attempting'") == []
            assert daemon.rows("SELECT owner FROM lease WHERE name = 'decider'") == [{"owner": ""}]
            driver.check_flags()
            daemon.start()
        driver.settle()
        daemon.stop()

    driver.check_nothing_lost({f"from {user}" for user in LOAD})
    driver.check_nothing_doubled([firm.chen, firm.wu, *LOAD])
    driver.check_nothing_unknown()
    assert daemon.noise == []


async def test_g12_a_relay_that_never_answers_does_not_hold_up_the_end(both: Any, tmp_path: Path) -> None:
    """What cannot end in time stays unknown; after the restart it is sent once more, with the same octets."""
    async with ScriptedSmtp({".": [SILENT]}) as relay:
        firm = Firm(tmp_path, *both, suffix="slow", smtp_port=relay.port, drain="3s")
        with Daemon(firm.config, drain=4.0) as daemon:
            raw = CUSTOMERS["gmail"](MEI, "王美玲", firm.desk, "slow", "請問？")
            await asyncio.to_thread(firm.send, MEI, firm.desk, raw)
            await until(lambda: "DATA" in relay.verbs)
            await asyncio.sleep(0.2)
            await asyncio.to_thread(daemon.stop)
            attempting = daemon.rows("SELECT mail_id FROM outbox WHERE state = 'attempting'")
            await asyncio.to_thread(daemon.start)
            await asyncio.to_thread(daemon.settle)
            await asyncio.to_thread(daemon.stop)
            unknown = daemon.rows("SELECT mail_id FROM outbox WHERE unknowns = 1")

    assert attempting == unknown
    assert len(unknown) == 1
    assert sorted(mail.rcpt_to for mail in relay.mails) == sorted([firm.chen, MEI])


async def until(holds: Any, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_g12_open_chats_and_idle_mailboxes_do_not_hold_up_the_end(
    both: Any, tmp_path: Path, number: signal.Signals
) -> None:
    firm = Firm(tmp_path, *both, suffix="idle")
    with Daemon(firm.config, drain=20.0) as daemon:
        async with aiohttp.ClientSession(headers={"Origin": firm.url}) as visitor:
            chats = [await visitor.ws_connect(f"{firm.url}/chat/ws") for _ in range(3)]
            await chats[0].send_json({"type": "hello", "token": "", "after": "", "language": "zh-Hant"})
            await chats[0].receive(timeout=10)
            began = time.monotonic()
            daemon.signal(number)
            told = [await chat.receive(timeout=10) for chat in chats]
            code = await asyncio.to_thread(daemon.wait_end)
            took = time.monotonic() - began

    assert code == 0
    assert took < 6
    assert {message.type for message in told} == {aiohttp.WSMsgType.CLOSE}
    assert daemon.said("stopped") != []


def test_g12_sigterm_while_it_still_begins_is_heard(both: Any, tmp_path: Path) -> None:
    """Whatever it is doing just then: connecting, logging in, taking the lease. Milliseconds after it says so."""
    firm = Firm(tmp_path, *both, suffix="idle")
    daemon = Daemon(firm.config, drain=5.0)
    with daemon:
        for pause in (0.0, 0.005, 0.01, 0.015, 0.02, 0.03):
            if not daemon.lives:
                daemon.start()
            time.sleep(pause)
            daemon.stop()


def test_a_second_daemon_on_one_store_is_refused(both: Any, tmp_path: Path) -> None:
    firm = Firm(tmp_path, *both, suffix="idle")
    with Daemon(firm.config, drain=20.0) as first:
        second = Daemon(firm.config)
        with second.start(waits=False):
            code = second.wait_end()

        assert code == 2
        assert second.said("not_started") != []
        assert str(first.pid) in second.said("not_started")[0]["reason"]
        assert first.lives
        first.stop()


def test_sighup_changes_agents_and_targets_and_names_what_needs_a_restart(both: Any, tmp_path: Path) -> None:
    driver = Driver(Firm(tmp_path, *both, suffix="hup"))
    firm, daemon = driver.firm, driver.daemon
    with daemon.start():
        driver.write(MEI, "before")
        before = daemon.wait_for("ticket_opened")
        firm.config.write_text(
            firm.config.read_text()
            .replace('members = ["chen"]', 'members = ["lin"]')
            .replace('email = "8h"', 'email = "2h"')
        )
        daemon.signal(signal.SIGHUP)
        reloaded = daemon.wait_for("reloaded")
        driver.write(LOAD[0], "after")
        after = daemon.wait_for("ticket_opened", policy=reloaded["policy"])
        assigned = daemon.wait_for("assigned", ticket=after["ticket"])
        target = daemon.wait_for("target_set", ticket=after["ticket"])
        daemon.wait_for("promises_counted_again")
        firm.write(http_port=firm.http_port + 1, email_target="1h")
        began = len(daemon.lines)
        daemon.signal(signal.SIGHUP)
        again = daemon.wait_for("reloaded", since=began)
        daemon.wait_for("promises_counted_again", since=began)
        driver.settle()
        daemon.stop()

    assert before["policy"] != reloaded["policy"]
    assert reloaded["needs_a_restart"] == []
    assert assigned["agent"] == "lin"
    due, started = (datetime.fromisoformat(target[name]) for name in ("due_at", "started_at"))
    assert due - started == timedelta(hours=2)
    assert "http.port" in again["needs_a_restart"]
    assert again["policy"] not in (before["policy"], reloaded["policy"])
    # Who was given it before keeps it; what he was promised comes sooner, and the log keeps the old deadlines.
    statement = "SELECT agent, budget FROM target JOIN ticket ON id = ticket WHERE ticket = ?"
    [old] = daemon.rows(statement, before["ticket"])
    assert old == {"agent": "chen", "budget": "1h"}
    moved = daemon.rows("SELECT data FROM event WHERE kind = 'target_moved' AND ticket = ?", before["ticket"])
    assert len(moved) == 2


def test_a_wrong_file_is_refused_whole(both: Any, tmp_path: Path) -> None:
    driver = Driver(Firm(tmp_path, *both, suffix="wrong"))
    firm, daemon = driver.firm, driver.daemon
    with daemon.start():
        good = firm.config.read_text()
        for wrong in (
            good.replace('members = ["chen"]', 'members = ["lin"]').replace('email = "8h"', 'email = "8 parsecs"'),
            good.replace('members = ["chen"]', 'members = ["nobody"]'),
            good + "\n[[[",
        ):
            began = len(daemon.lines)
            firm.config.write_text(wrong)
            daemon.signal(signal.SIGHUP)
            assert daemon.wait_for("reload_refused", since=began)["problems"]
        firm.config.unlink()
        began = len(daemon.lines)
        daemon.signal(signal.SIGHUP)
        daemon.wait_for("reload_refused", since=began)
        driver.write(LOAD[1], "unchanged")
        assigned = daemon.wait_for("assigned")
        firm.box(LOAD[1]).wait_for(is_automatic)
        wait_until(daemon.is_settled, "it is settled")
        daemon.stop()

    assert assigned["agent"] == "chen"
    assert daemon.said("reloaded") == []
