"""The commands that look at a desk, and the two that change it: for people, for programs, and when things are wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.clidesk import NOW, Desk, mail, stand_still

from intake.command.terminal import MAX_COLUMNS, width
from intake.control import NAME, ControlServer, Refused
from intake.lockfile import single_instance
from routing.words import OutboxState
from store import events, messages, outbox

ROOT = Path(__file__).parents[2]
MEI = "王美玲 <mei@customer.example>"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    stand_still(monkeypatch)
    return Desk(tmp_path)


@pytest.fixture
def busy(desk: Desk) -> Desk:
    """Two tickets: #1001 is due in 2 h 20 min of open time, #1002 came yesterday and is overdue."""
    desk.take(mail(MEI, "營業稅申報", number=1), NOW - timedelta(hours=2))
    desk.take(mail("bob@other.example", "投訴 the invoice", "I want to complain about you", 2), NOW - timedelta(days=3))
    return desk


def sql(desk: Desk, statement: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(desk.store)) as db:
        found = db.execute(statement).fetchall()
        db.commit()
    return found


def park(desk: Desk, message: int, reason: str) -> None:
    async def work(db: Any) -> None:
        async with db.transaction() as tx:
            await messages.park(tx, message, reason)

    desk.within(work)


class Daemon:
    """Something that listens on the control socket, in a thread of its own."""

    def __init__(self, desk: Desk, answers: Mapping[str, Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._path = desk.folder / "var" / NAME
        self._answers = answers
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Daemon:
        self._stop = asyncio.Event()
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        async def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
            self.asked.append(dict(request))
            found = self._answers[request["do"]]
            if isinstance(found, Exception):
                raise found
            return dict(found)

        server = ControlServer(self._path, dict.fromkeys(self._answers, answer))
        await server.start()
        self._ready.set()
        await self._stop.wait()
        await server.stop()


# ---- tickets


def test_tickets_come_in_the_order_of_their_deadlines(busy: Desk) -> None:
    found = busy.lines("tickets")

    assert [t["ticket"] for t in found] == [1002, 1001]
    assert found[1]["contact_name"] == "王美玲"
    assert found[0]["due_at"] < "2026-11-23T06:10" < found[1]["due_at"]


SESSION = "a1b2c3d4e5f60718293a4b5c6d7e8f90"


def test_a_visitor_without_a_name_is_called_so_and_his_subject_is_read(desk: Desk) -> None:
    desk.take(mail("x@customer.example", "How do I correct an invoice of last year?"))
    sql(desk, f"UPDATE ticket SET contact = 'web:{SESSION}', contact_name = '', medium = 'chat'")
    sql(desk, "UPDATE customer SET name = ''")

    said = [desk.says(*words, "--text")[1] for words in (["tickets"], ["show", "1001"], ["status"])]

    assert [SESSION in out for out in said] == [False, False, False]
    assert [out.count("visitor") for out in said] == [1, 1, 1]
    assert "visitor   How do I correct an invoice" in said[0]
    assert said[1].startswith("#1001  visitor · How do I")


def test_a_long_address_leaves_room_for_the_subject(desk: Desk) -> None:
    desk.take(mail("somebody.with.a.very.long.name.indeed@mail.customer.example", "Invoice of last year"))

    [_, row] = desk.says("tickets", "--text")[1].splitlines()

    assert "somebody.with.a.very.lo…" in row
    assert "Invoice of" in row


def test_tickets_fit_the_terminal(busy: Desk) -> None:
    code, out, _ = busy.says("tickets", "--text")

    assert code == 0
    assert max(map(width, out.splitlines())) <= MAX_COLUMNS
    assert re.search(r"#1002 .* late$", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["--channel", "hotline"], []),
        (["--channel", "support-mail"], [1002, 1001]),
        (["--agent", "nobody"], []),
        (["--limit", "1"], [1002]),
    ],
)
def test_tickets_can_be_chosen(busy: Desk, words: list[str], numbers: list[int]) -> None:
    assert [t["ticket"] for t in busy.lines("tickets", *words)] == numbers


def test_no_tickets_is_said(desk: Desk) -> None:
    desk.make()

    assert desk.says("tickets", "--text") == (0, "No ticket is open.\n", "")
    assert desk.says("tickets", "--json") == (0, "", "")


# ---- show


def test_the_story_begins_before_the_ticket_was_known(busy: Desk) -> None:
    [story] = busy.lines("show", "#1001")

    assert [e["event"] for e in story["events"]][:3] == ["message_accepted", "customer_registered", "ticket_opened"]
    assert story["customer"]["name"] == "王美玲"
    assert [t["kind"] for t in story["targets"]] == ["first_response"]


def test_no_token_is_shown(busy: Desk) -> None:
    tokens = [row[0] for row in sql(busy, "SELECT token FROM token")]

    shown = "".join(busy.says("show", n, form, "--why")[1] for n in ("1001", "1002") for form in ("--json", "--text"))

    assert tokens
    assert not any(token in shown for token in tokens)
    assert "ikt" not in shown


def test_the_story_is_one_line_an_event_with_the_clock_in_the_margin(busy: Desk) -> None:
    _, out, _ = busy.says("show", "1001", "--text")

    story = out.partition("Mon 23 Nov 2026\n")[2].splitlines()
    assert story[0] == "         12:10 Message 1 came by support-mail (226 octets) and was kept."
    assert re.fullmatch(r"  \+00:00 12:10 The ticket was opened: .*, for team tax\.", story[2])
    assert max(map(width, out.splitlines())) <= MAX_COLUMNS


def test_why_tells_reasons_and_candidates(busy: Desk) -> None:
    without, with_why = (busy.says("show", "1001", "--text", *more)[1] for more in ([], ["--why"]))

    assert "A person wrote it." not in without
    assert "- A person wrote it.\n" in with_why
    assert "- chen was taken.\n" in with_why
    assert "- lin could take it as soon; it was another's turn.\n" in with_why
    assert "- 選了 chen。\n" in busy.says("show", "1001", "--text", "--why", "--language", "zh-Hant")[1]


def test_an_event_of_a_newer_version_is_told_by_its_name(busy: Desk) -> None:
    sql(busy, "UPDATE event SET kind = 'moon_risen', data = '{\"phase\": \"full\"}' WHERE kind = 'assigned'")

    assert "moon risen: phase full\n" in busy.says("show", "1001", "--text")[1]


def test_a_ticket_that_is_not_there(busy: Desk) -> None:
    code, out, err = busy.says("show", "7", "--text")

    assert (code, out) == (3, "")
    assert err == "intake: there is no ticket #7\n  -> intake tickets --all lists them\n"


# ---- status


def test_status_tells_what_waits_and_what_is_due(busy: Desk) -> None:
    busy.accept(mail(MEI, "again", number=3), NOW - timedelta(minutes=5))
    park(busy, 1, "poison")

    [found] = busy.lines("status")

    assert [(w["channel"], w["state"], w["count"]) for w in found["waiting"]] == [("support-mail", "accepted", 1)]
    assert found["parked"] == 1
    assert found["deadlines"][0]["ticket"] == 1002
    assert found["deadlines"][0]["minutes_left"] < 0
    assert found["daemon"] == {"alive": False, "why": "it is not running"}


def test_status_for_people(busy: Desk) -> None:
    park(busy, 1, "poison")

    _, out, _ = busy.says("status", "--text")

    assert out.startswith("daemon    not running  -> intake run\n")
    assert "1 message is parked  -> intake parked\n" in out
    assert max(map(width, out.splitlines())) <= MAX_COLUMNS


def test_status_of_a_daemon_with_trouble(busy: Desk) -> None:
    report = {
        "pid": 4711,
        "ok": False,
        "loops": {"support-mail": {"ok": False, "note": "tries again in 8 s: no route"}, "watcher": {"ok": True}},
    }
    with Daemon(busy, {"status": report}):
        _, out, _ = busy.says("status", "--text")

    assert out.startswith(
        "daemon    alive, with trouble  pid 4711\n        ✗ support-mail: tries again in 8 s: no route\n"
    )


def test_overdue_promises_stay_in_sight_when_all_has_been_told(busy: Desk) -> None:
    sql(busy, "UPDATE target SET next_at = NULL")

    assert len(busy.lines("status")[0]["deadlines"]) >= 2


# ---- parked, park, requeue


def test_parking_alone_and_putting_back(busy: Desk) -> None:
    assert busy.says("park", "1", "sent", "by", "mistake", "--text") == (0, "Message 1 is parked.\n", "")
    [parked] = busy.lines("parked")
    assert (parked["message"], parked["reason"], parked["ticket"]) == (1, "sent by mistake", 1001)

    later = "Message 1 is in the queue again. It is decided when the daemon runs again.\n"
    assert busy.says("requeue", "1", "--text") == (0, later, "")
    assert busy.lines("parked") == []

    async def told(db: Any) -> list[tuple[str, Mapping[str, Any]]]:
        async with db.reading() as tx:
            return [(e.kind, e.data) for e in await events.of_message(tx, 1)][-2:]

    uid = os.getuid()
    assert busy.within(told) == [
        ("message_parked_by_hand", {"reason": "sent by mistake", "was": "done", "uid": uid}),
        ("message_requeued", {"uid": uid}),
    ]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["requeue", "1"], 1, "message 1 is done, not parked"),
        (["requeue", "99"], 3, "there is no message 99"),
        (["park", "99", "why"], 3, "there is no message 99"),
        (["park", "1", " "], 2, "say why it is parked"),
        (["park", "1"], 2, "the following arguments are required: REASON"),
        (["requeue", "one"], 2, '"one" is no number'),
    ],
)
def test_what_cannot_be_parked_or_put_back(busy: Desk, words: list[str], code: int, said: str) -> None:
    ended, out, err = busy.says(*words)

    assert (ended, out) == (code, "")
    assert said in err


@pytest.mark.parametrize(
    ("speaker", "code", "said"),
    [("agent", 1, "message 1 is an agent's, and what it asked for is done"), ("customer", 0, "")],
)
def test_an_agents_message_that_was_acted_on_is_not_parked(busy: Desk, speaker: str, code: int, said: str) -> None:
    """Put back afterwards, it would be sent to the customer a second time."""
    sql(busy, f"UPDATE message SET speaker = '{speaker}' WHERE id = 1")

    ended, _, err = busy.says("park", "1", "why")

    assert (ended, said in err, len(busy.lines("parked"))) == (code, True, 1 if code == 0 else 0)


def test_an_agents_message_that_was_not_acted_on_yet_may_be_parked(busy: Desk) -> None:
    sql(busy, "UPDATE message SET speaker = 'agent', state = 'accepted' WHERE id = 1")

    assert busy.says("park", "1", "why")[0] == 0


def test_what_is_being_decided_is_left_alone(busy: Desk) -> None:
    sql(busy, "UPDATE message SET state = 'claimed' WHERE id = 1")

    code, _, err = busy.says("park", "1", "why")

    assert code == 1
    assert "being decided" in err
    assert sql(busy, "SELECT state FROM message WHERE id = 1") == [("claimed",)]


def test_a_running_daemon_does_it_itself(busy: Desk) -> None:
    with Daemon(busy, {"park": {"message": 1, "state": "parked"}}) as daemon:
        assert busy.lines("park", "1", "why") == [{"message": 1, "state": "parked", "by": "daemon"}]

    assert daemon.asked == [{"do": "park", "message": 1, "reason": "why", "uid": os.getuid()}]
    assert busy.lines("parked") == []


@pytest.mark.parametrize(("code", "exit_code"), [("not_found", 3), ("wrong_state", 1), ("unavailable", 5)])
def test_a_daemons_refusal_is_passed_on(busy: Desk, code: str, exit_code: int) -> None:
    with Daemon(busy, {"requeue": Refused(code, "because")}):
        assert busy.says("requeue", "1") == (exit_code, "", "intake: because\n")


def test_nothing_is_written_beside_a_daemon_that_does_not_answer(busy: Desk) -> None:
    with single_instance(busy.folder / "var"):
        code, _, err = busy.says("park", "1", "why")

    assert code == 5
    assert f"another intake already runs (pid {os.getpid()})" in err
    assert busy.lines("parked") == []


# ---- verify


def test_a_log_as_it_was_written(busy: Desk) -> None:
    [verdict] = busy.lines("verify")

    assert verdict["ok"]
    assert verdict["seals_held"] == verdict["events"] > 10
    assert busy.says("verify", "--text")[1] == f"✓ {verdict['events']} events are as they were written\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE event SET data = '{}' WHERE id = 4", "the event was changed"),
        ("DELETE FROM event WHERE id = 4", "the event was deleted"),
        ("DELETE FROM event_seal WHERE seq = 4", "seal 4 is missing"),
    ],
)
def test_a_log_that_was_changed(busy: Desk, change: str, words: str) -> None:
    sql(busy, change)

    code, out, _ = busy.says("verify", "--json")
    told = busy.says("verify", "--text")[1]

    assert code == 1
    assert json.loads(out)["fault"]["words"] == words
    assert json.loads(out)["seals_held"] == 3
    assert told.startswith(f"✗ {words}: event ")


# ---- the store


def test_no_store_yet(desk: Desk) -> None:
    for words in (["status"], ["tickets"], ["show", "1"], ["parked"], ["verify"], ["requeue", "1"]):
        code, out, err = desk.says(*words)
        assert (code, out) == (4, "")
        assert err == f"intake: there is no store yet at {desk.store}\n  -> start the daemon once: intake run\n"
    assert not desk.store.exists()


@pytest.mark.parametrize(
    ("revision", "words"),
    [("9999", "a newer intake wrote it"), ("0000", "this version wants")],
)
def test_a_store_of_another_version(busy: Desk, revision: str, words: str) -> None:
    sql(busy, f"UPDATE alembic_version SET version_num = '{revision}'")

    code, out, err = busy.says("tickets")

    assert (code, out) == (4, "")
    assert words in err


def test_an_empty_file_is_no_store(desk: Desk) -> None:
    desk.store.parent.mkdir()
    desk.store.touch()

    assert desk.says("status")[0] == 4


def test_a_file_that_is_no_database(desk: Desk) -> None:
    desk.store.parent.mkdir()
    desk.store.write_bytes(b"this is no database at all" * 100)

    code, _, err = desk.says("status")

    assert code == 4
    assert "Traceback" not in err


def test_looking_changes_nothing(busy: Desk) -> None:
    before = sql(busy, "SELECT count(*), max(id) FROM event"), busy.store.read_bytes()

    for words in (["status"], ["tickets"], ["show", "1001", "--why"], ["parked"], ["verify"]):
        assert busy.says(*words)[0] == 0

    assert (sql(busy, "SELECT count(*), max(id) FROM event"), busy.store.read_bytes()) == before


# ---- as a program


@contextlib.contextmanager
def intake(*words: str, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "intake", *words]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **how},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_closed_pipe_ends_it_quietly(busy: Desk) -> None:
    for _ in range(3):
        busy.accept(mail(MEI, "x" * 500, number=9), NOW)
    files = [str(busy.path)] * 2000
    with intake("explain", "--json", *files) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"message"')
        process.stdout.close()
        said = process.stderr.read()

        assert (process.wait(30), said) == (0, b"")


def test_ctrl_c_ends_it_quietly(busy: Desk) -> None:
    with intake("explain", "--jsonl", "-", "--json", "--config", str(busy.path)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b'{"channel": "chat", "text": "hi"}\n')
        process.stdin.flush()
        assert process.stdout.readline().startswith(b'{"message"')  # now it waits for the next line
        process.send_signal(signal.SIGINT)

        assert (process.wait(30), process.stderr.read()) == (130, b"")


def test_the_configuration_may_be_named_before_the_command_or_by_the_environment(busy: Desk) -> None:
    for words, environment in (
        (["--config", str(busy.path), "tickets"], {}),
        (["tickets", "--config", str(busy.path)], {}),
        (["tickets"], {"INTAKE_CONFIG": str(busy.path)}),
    ):
        with intake(*words, **environment) as process:
            out, err = process.communicate(timeout=30)

        assert (process.returncode, len(out.splitlines()), err) == (0, 2, b"")


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--help"], 0), (["show", "--help"], 0), (["--version"], 0), ([], 2), (["shaw"], 2), (["show"], 2)],
)
def test_help_and_what_is_no_command(words: list[str], code: int) -> None:
    with intake(*words) as process:
        out, err = process.communicate(timeout=30)

    assert process.returncode == code
    assert bool(out) is (code == 0)
    assert b"Traceback" not in err


def test_every_command_says_how_it_is_used() -> None:
    from intake.__main__ import COMMANDS
    from intake.command.arguments import parser

    [commands] = [a for a in parser()._actions if isinstance(a.choices, dict)]
    assert commands.choices is not None
    assert set(commands.choices) == {*COMMANDS, "run"}
    for name, command in dict(commands.choices).items():
        assert f"example:\n  intake {name}" in command.format_help()


def test_bounces_show_in_the_outbox_line(busy: Desk) -> None:
    async def fail(db: Any) -> None:
        async with db.transaction() as tx:
            await outbox.record_failure(tx, 1, OutboxState.FAILED, "550 no such user", None)

    busy.within(fail)

    assert "1 failed (oldest 2 h)" in busy.says("status", "--text")[1]
