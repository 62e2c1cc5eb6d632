"""The control socket: how the command line speaks to the running daemon.

A Unix socket in the state directory, mode 0600; requests and answers are one JSON object a line. Only the daemon's
own user and root are heard, whatever the mode of the file says. A request is `{"do": NAME, …}`; the answer is
`{"ok": true, "result": {…}}` or `{"ok": false, "code": CODE, "words": SENTENCE}`. Nothing that is asked here waits
for a customer or a mail server; what is not answered in time is said so, and may have been done.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import structlog

NAME = "control.sock"

MAX_REQUEST = 64 * 1024  # octets of a line
MAX_ANSWER = 1024 * 1024  # octets of a line
MAX_CLIENTS = 16  # connections at once
IDLE_TIMEOUT = 10.0  # seconds between two requests of one connection
WORK_TIMEOUT = 20.0  # seconds for one request
ASK_TIMEOUT = 25.0  # seconds that a client waits
MAX_PATH = 100  # octets; the kernel takes 107

#: What a handler gets: the request's fields, with `uid` of the asking user set by the server.
Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]

log = structlog.get_logger(__name__)


class Refused(Exception):
    """The daemon will not do it: `code` for machines (not_found, wrong_state, unavailable …), words for people."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class DaemonAway(Exception):
    """Nobody listens: the daemon is not running, or runs with another state directory."""


class DaemonUnreachable(Exception):
    """Somebody is there, and we may not speak to him, or he says nothing that can be understood."""


class ControlServer:
    """Answers on a socket. A handler returns what can be written as JSON, or raises Refused."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = dict(handlers)
        self._users = {0, os.geteuid()}
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, in place of a socket that a dead daemon has left. Raises OSError, also when a live one is there."""
        if await _is_alive(self._path):
            raise OSError(f"somebody else listens on {self._path}")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        listening = _listening(self._path)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MAX_REQUEST)

    async def stop(self) -> None:
        """Hear nobody any more; requests in flight are cancelled."""
        if self._server is None:
            return
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._server = None
        with suppress(FileNotFoundError):
            # A successor may have put his own in place already.
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > MAX_CLIENTS:
                await _write(writer, _refusal("busy", "too many connections at once: try again"))
                return
            uid = _peer_uid(writer)
            if uid not in self._users:
                log.warning("control_refused", uid=uid)
                await _write(writer, _refusal("not_allowed", "only the daemon's own user and root may ask"))
                return
            while (line := await _line(reader)) is not None:
                await _write(writer, await self._answer(line, uid))
        except (ConnectionError, TimeoutError):
            return
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(self, line: bytes, uid: int) -> bytes:
        try:
            request = orjson.loads(line)
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict):
            return _refusal("no_request", 'a request is one JSON object a line: {"do": "status"}')
        handler = self._handlers.get(str(request.get("do")))
        if handler is None:
            return _refusal("unknown_request", f"there is: {', '.join(sorted(self._handlers))}")
        try:
            async with asyncio.timeout(WORK_TIMEOUT):
                result = await handler({**request, "uid": uid})
            answer = orjson.dumps({"ok": True, "result": result}, default=str)
        except Refused as refused:
            return _refusal(refused.code, refused.words)
        except TimeoutError:
            return _refusal("slow", f"it was not done within {WORK_TIMEOUT:g} s")
        except Exception as error:
            log.exception("control_failed", request=str(request["do"]))
            return _refusal("failed", f"the daemon failed at it: {type(error).__name__} (its log says more)")
        if len(answer) >= MAX_ANSWER:
            return _refusal("too_large", "the answer would be too large")
        return answer


async def ask(path: Path, do: str, *, timeout: float = ASK_TIMEOUT, **facts: Any) -> dict[str, Any]:
    """Ask the daemon: the result. Raises DaemonAway, DaemonUnreachable, Refused."""
    try:
        async with asyncio.timeout(timeout):
            with _reachable(path) as place:
                reader, writer = await asyncio.open_unix_connection(place, limit=MAX_ANSWER)
            try:
                await _write(writer, orjson.dumps({**facts, "do": do}, default=str))
                answer = await reader.readline()
            finally:
                writer.close()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise DaemonAway(f"no daemon listens on {path}") from error
    except PermissionError as error:
        raise DaemonUnreachable(f"{path}: only the daemon's own user and root may ask") from error
    except TimeoutError as error:
        raise DaemonUnreachable(f"the daemon did not answer within {timeout:g} s") from error
    except (OSError, ValueError) as error:
        raise DaemonUnreachable(f"the daemon could not be asked: {error}") from error
    return _result(answer)


def _result(answer: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(answer)
        if said["ok"]:
            return dict(said["result"])
        refused = Refused(str(said["code"]), str(said["words"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DaemonUnreachable("the daemon's answer could not be understood") from error
    raise refused


def _refusal(code: str, words: str) -> bytes:
    return orjson.dumps({"ok": False, "code": code, "words": words})


async def _line(reader: asyncio.StreamReader) -> bytes | None:
    """The next request, None at the end. A line without end is a request that nobody can read."""
    try:
        async with asyncio.timeout(IDLE_TIMEOUT):
            line = await reader.readline()
    except ValueError:  # longer than MAX_REQUEST
        raise ConnectionError("the request is too large") from None
    return line or None


async def _write(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line + b"\n")
    async with asyncio.timeout(IDLE_TIMEOUT):
        await writer.drain()


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    """Who is at the other end, as the kernel knows him."""
    peer: socket.socket = writer.get_extra_info("socket")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid


async def _is_alive(path: Path) -> bool:
    """Whether somebody accepts connections there. Raises OSError where something else than a socket is."""
    try:
        _refuse_other_than_socket(path)
        with _reachable(path) as place:
            _, writer = await asyncio.open_unix_connection(place)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    writer.close()
    return True


def _refuse_other_than_socket(path: Path) -> None:
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(f"{path} is no socket: move it away")


def _listening(path: Path) -> socket.socket:
    """A listening socket that nobody else could ever connect to, put in place at one stroke."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _reachable(fresh) as place:
            listening.bind(place)
        fresh.chmod(0o600)
        listening.listen(MAX_CLIENTS)
        fresh.rename(path)
    except OSError:
        listening.close()
        fresh.unlink(missing_ok=True)
        raise
    return listening


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A name of the path that is short enough for a socket: through the folder's descriptor where it must be."""
    if len(os.fsencode(path)) <= MAX_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
