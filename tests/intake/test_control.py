"""The control socket and the lock: who is heard, what is answered, and what a dead daemon leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from intake import control
from intake.control import ControlServer, DaemonAway, DaemonUnreachable, Refused, ask
from intake.lockfile import NAME as LOCK
from intake.lockfile import AlreadyRuns, single_instance

ROOT = Path(__file__).parents[2]


async def echo(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return request


async def refuse(request: Mapping[str, Any]) -> Mapping[str, Any]:
    raise Refused("not_found", f"there is no message {request['message']}")


async def fail(request: Mapping[str, Any]) -> Mapping[str, Any]:
    raise RuntimeError("a secret detail")


async def enormous(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"text": "x" * control.MAX_ANSWER}


async def endless(request: Mapping[str, Any]) -> Mapping[str, Any]:
    await asyncio.Event().wait()
    return {}


HANDLERS = {"echo": echo, "refuse": refuse, "fail": fail, "enormous": enormous, "endless": endless}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / control.NAME


@pytest.fixture
async def server(path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, HANDLERS)
    await server.start()
    yield server
    await server.stop()


async def said(path: Path, octets: bytes) -> list[bytes]:
    """What the server answers to octets sent as they are, line by line, until it closes."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=control.MAX_ANSWER)
    writer.write(octets)
    writer.write_eof()
    answers = (await asyncio.wait_for(reader.read(), 10)).splitlines()
    writer.close()
    return answers


async def test_a_handler_answers_and_is_told_who_asks(server: ControlServer, path: Path) -> None:
    answer = await ask(path, "echo", message=5, words="案件", uid=12345)

    assert answer == {"do": "echo", "message": 5, "words": "案件", "uid": os.geteuid()}


async def test_the_socket_is_for_its_owner_alone(server: ControlServer, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == [control.NAME]


@pytest.mark.parametrize(
    ("do", "code", "words"),
    [
        ("refuse", "not_found", "there is no message 7"),
        ("fail", "failed", "the daemon failed at it: RuntimeError (its log says more)"),
        ("enormous", "too_large", "the answer would be too large"),
        ("nonsense", "unknown_request", "there is: echo, endless, enormous, fail, refuse"),
    ],
)
async def test_what_cannot_be_done_is_refused(
    server: ControlServer, path: Path, do: str, code: str, words: str
) -> None:
    with pytest.raises(Refused) as caught:
        await ask(path, do, message=7)

    assert (caught.value.code, caught.value.words) == (code, words)


@pytest.mark.parametrize("line", [b"hello\n", b"[1]\n", b'"do"\n', b"\xff\xfe\n", b"{\n"])
async def test_what_is_no_request_is_refused(server: ControlServer, path: Path, line: bytes) -> None:
    [answer] = await said(path, line)

    assert json.loads(answer)["code"] == "no_request"


async def test_several_requests_share_a_connection(server: ControlServer, path: Path) -> None:
    answers = await said(path, b'{"do":"echo","n":1}\n{"do":"nonsense"}\n{"do":"echo","n":2}\n')

    assert [json.loads(a)["ok"] for a in answers] == [True, False, True]


async def test_a_request_without_end_ends_the_connection(server: ControlServer, path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"x" * (control.MAX_REQUEST * 3))

    answer = await asyncio.wait_for(reader.read(), 10)

    assert answer == b""
    writer.close()


async def test_a_silent_client_is_let_go(server: ControlServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_unix_connection(str(path))

    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_a_slow_handler_is_given_up(server: ControlServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "WORK_TIMEOUT", 0.05)

    with pytest.raises(Refused) as caught:
        await ask(path, "endless")

    assert caught.value.code == "slow"


async def test_clients_beyond_the_limit_hear_that_it_is_busy(
    server: ControlServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "MAX_CLIENTS", 0)

    [answer] = await said(path, b"")

    assert json.loads(answer)["code"] == "busy"


async def test_another_user_is_not_heard(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_peer_uid", lambda writer: os.geteuid() + 4711)
    server = ControlServer(path, HANDLERS)
    await server.start()

    try:
        [answer] = await said(path, b"")
        assert json.loads(answer)["code"] == "not_allowed"
    finally:
        await server.stop()


async def test_the_kernel_says_who_asks() -> None:
    """A process of another user is known by its own uid, not by what it says."""
    if os.geteuid():
        pytest.skip("needs root to become another user")
    name = f"\0intake-test-{os.getpid()}"
    code = f"import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect({name!r}); os.read(0, 1)"

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
        peer, _ = listening.accept()
        with peer:

            class Writer:
                def get_extra_info(self, name: str) -> socket.socket:
                    return peer

            assert control._peer_uid(Writer()) == 65534  # type: ignore[arg-type]
            child.communicate(b"x", timeout=10)


async def test_the_socket_of_a_dead_daemon_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(DaemonAway):
        await ask(path, "echo")

    server = ControlServer(path, HANDLERS)
    await server.start()

    assert (await ask(path, "echo"))["do"] == "echo"
    await server.stop()


async def test_the_socket_of_a_live_daemon_is_left_alone(server: ControlServer, path: Path) -> None:
    with pytest.raises(OSError, match="somebody else listens"):
        await ControlServer(path, {}).start()

    assert (await ask(path, "echo"))["do"] == "echo"


async def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")

    with pytest.raises(FileExistsError):
        await ControlServer(path, {}).start()

    assert path.read_text() == "precious"


async def test_after_stop_nothing_is_left(path: Path) -> None:
    server = ControlServer(path, HANDLERS)
    await server.start()
    waiting = asyncio.create_task(ask(path, "endless"))
    while not server._clients:
        await asyncio.sleep(0)
    await server.stop()

    with pytest.raises(DaemonUnreachable):
        await waiting
    with pytest.raises(DaemonAway):
        await ask(path, "echo")
    assert list(path.parent.iterdir()) == []


async def test_a_daemon_that_says_nothing_is_said_so(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        with pytest.raises(DaemonUnreachable, match="did not answer within"):
            await ask(path, "echo", timeout=0.05)


async def test_a_folder_deeper_than_socket_names_reach(tmp_path: Path) -> None:
    path = tmp_path.joinpath(*["a-rather-long-name-of-a-folder"] * 5, control.NAME)
    server = ControlServer(path, HANDLERS)
    await server.start()

    assert (await ask(path, "echo"))["do"] == "echo"
    await server.stop()


# ---- the lock


def test_only_one_holds_the_lock_and_the_other_is_told_whom(tmp_path: Path) -> None:
    with single_instance(tmp_path / "var"), pytest.raises(AlreadyRuns) as caught, single_instance(tmp_path / "var"):
        pass

    assert (
        str(caught.value) == f"another intake already runs (pid {os.getpid()}) with the state folder {tmp_path / 'var'}"
    )


def test_the_lock_is_free_again_when_its_holder_was_killed(tmp_path: Path) -> None:
    code = (
        "import pathlib, time\nfrom intake.lockfile import single_instance\n"
        f"with single_instance(pathlib.Path({str(tmp_path)!r})):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(AlreadyRuns) as caught, single_instance(tmp_path):
        pass
    assert caught.value.pid == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=10)

    with single_instance(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"


def test_the_lock_made_by_root_belongs_to_the_daemons_user(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    os.chown(tmp_path, 65534, 65534)

    with single_instance(tmp_path):
        assert (tmp_path / LOCK).stat().st_uid == 65534
