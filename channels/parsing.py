"""Parsing in processes that can be killed: a mail that is a bomb costs a worker, never the daemon.

A mail is retried once, alone in a fresh worker, if its worker died under it; one that used up its CPU time is
not retried. Then only its headers are read, again in a fresh worker, and at last it becomes a stub that tells
nothing but the failure. The others of its batch are not touched: answers come in order, so it is always known
which mail was being read. A cancelled `parse` kills the workers it was using; they are replaced when needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from channels import normal_json
from channels.message import Address, Medium, Message, Scheme
from channels.parsing_worker import HEADERS_ONLY, IN, OUT, TRUNCATED

MIB = 1024 * 1024
CPU_SECONDS = 5.0  # of one mail
WALL_SECONDS = 60.0  # of one mail: a worker that neither works nor answers
MEMORY = 512 * MIB  # octets of address space of one worker
MAX_ANSWER = 64 * MIB  # octets; texts are capped far below
START_SECONDS = 30.0
WATCH_EVERY = 0.1  # seconds between looks at a busy worker
WINDOW_MAILS = 16  # handed to one worker ahead of its answers
WINDOW_OCTETS = 2 * MIB
_PIPE = 1 * MIB  # octets that the kernel may hold between daemon and worker
_TICK = os.sysconf("SC_CLK_TCK")  # per second: the unit of /proc/PID/stat
_TRIES = 2  # a worker may die for a reason of its own once


@dataclass(frozen=True, slots=True)
class ParseJob:
    """One mail to read."""

    raw: bytes
    is_truncated: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """What became of it. With a failure, the message is a stub."""

    message: Message
    normal: bytes  # normal_json of the message
    failure: str = ""


class WorkerDied(Exception):
    """The worker ended under a mail, or was ended. `is_final`: trying the same again cannot help."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


@dataclass(slots=True)
class _Task:
    """One mail of one call, with what has been tried."""

    job: ParseJob
    tries: int = 0
    failure: str = ""
    result: Parsed | None = None

    @property
    def is_plain(self) -> bool:
        return not self.tries and not self.failure

    @property
    def flags(self) -> int:
        return HEADERS_ONLY if self.failure else TRUNCATED if self.job.is_truncated else 0


class ParserPool:
    """Workers that read mail. `parse` may be called from several tasks at a time."""

    def __init__(
        self,
        workers: int = 1,
        *,
        cpu_seconds: float = CPU_SECONDS,
        wall_seconds: float = WALL_SECONDS,
        memory: int = MEMORY,
        command: Sequence[str] | None = None,
    ) -> None:
        self._size = max(1, workers)
        self._limits = _Limits(cpu_seconds, wall_seconds)
        self._command = tuple(command or worker_command(memory))
        self._idle: list[_Worker] = []
        self._alive: list[_Worker] = []  # idle, busy, and those killed whose end has not been seen
        self._free = asyncio.Semaphore(self._size)
        self._is_closed = False

    async def start(self) -> None:
        """Start the workers, so that the first mail need not wait. Raises OSError if none can be started."""
        while len(self._alive) < self._size:
            self._idle.append(await self._new_worker())

    async def close(self) -> None:
        """End all workers; calls in flight fail with RuntimeError."""
        self._is_closed = True
        for worker in self._alive:
            worker.kill()
        for worker in self._alive:
            await worker.gone()
        self._alive.clear()
        self._idle.clear()

    async def parse(self, jobs: Sequence[ParseJob]) -> list[Parsed]:
        """The normal form of each mail, in order, whatever the mails are. Raises OSError without workers."""
        tasks = [_Task(job) for job in jobs]
        waiting = deque(tasks)
        if min(self._size, len(tasks)) == 1:
            await self._work_off(waiting)
        elif tasks:
            await self._share(waiting, min(self._size, len(tasks)))
        return [cast(Parsed, task.result) for task in tasks]

    async def _share(self, waiting: deque[_Task], workers: int) -> None:
        # No TaskGroup: nested in the daemon's, it can swallow a cancellation (python/cpython#116720).
        helpers = [asyncio.create_task(self._work_off(waiting)) for _ in range(workers)]
        try:
            await asyncio.gather(*helpers)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _work_off(self, waiting: deque[_Task]) -> None:
        """Take mails as long as there are any: one worker's share of a batch."""
        await self._free.acquire()
        try:
            while waiting:
                try:
                    async with self._worker() as worker:
                        await _feed(worker, waiting, self._limits)
                except WorkerDied as death:
                    if self._is_closed:
                        raise RuntimeError("the parsing workers were closed") from death
                    # What it had not answered is in `waiting` again; the culprit is at its head.
                    _blame(waiting, death)
        finally:
            self._free.release()

    @contextlib.asynccontextmanager
    async def _worker(self) -> AsyncIterator[_Worker]:
        """A worker for one's own; dead or interrupted in the midst of a mail, it is not used again."""
        if self._is_closed:
            raise RuntimeError("the parsing workers were closed")
        while self._idle and not self._idle[-1].is_usable:
            self._idle.pop()
        worker = self._idle.pop() if self._idle else await self._new_worker()
        try:
            yield worker
        except BaseException:
            worker.kill()
            raise
        finally:
            if worker.is_usable:
                self._idle.append(worker)

    async def _new_worker(self) -> _Worker:
        """A worker that has said it is there. Raises OSError if none can be started."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(START_SECONDS):
            _, worker = await loop.subprocess_exec(
                _Worker,
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"LC_ALL": "C.UTF-8"},  # nothing of ours: an environment may hold secrets
                cwd="/",
                close_fds=True,
            )
        self._alive = [one for one in self._alive if not one.is_gone]
        self._alive.append(worker)
        try:
            await worker.receive(_Limits(START_SECONDS, START_SECONDS))
        except BaseException as error:
            worker.kill()
            if isinstance(error, WorkerDied):
                raise OSError(f"no worker to parse mail can be started: {error.reason}") from error
            raise
        return worker


def worker_command(memory: int) -> tuple[str, ...]:
    """How a worker is started: isolated, from this interpreter, finding the same modules as this process."""
    root = str(Path(__file__).resolve().parent.parent)
    places = [os.path.abspath(place) for place in sys.path if place and os.path.exists(place)]
    if root not in places:
        places.append(root)
    program = f"import sys; sys.path[:] = {places!r}; from channels.parsing_worker import main; main({memory})"
    return (sys.executable, "-I", "-S", "-c", program)


@dataclass(frozen=True, slots=True)
class _Limits:
    cpu_seconds: float
    wall_seconds: float


async def _feed(worker: _Worker, waiting: deque[_Task], limits: _Limits) -> None:
    """Keep one worker fed until nothing waits. When it dies, what it owes is put back, in order.

    A mail that has already cost a worker is handed over alone.
    """
    sent: deque[_Task] = deque()
    octets = 0
    try:
        while waiting or sent:
            while waiting and len(sent) < WINDOW_MAILS and octets < WINDOW_OCTETS:
                if sent and not (waiting[0].is_plain and sent[-1].is_plain):
                    break
                task = waiting.popleft()
                sent.append(task)
                octets += len(task.job.raw)
                worker.send(task.job.raw, task.flags)
            normal, failure = await worker.receive(limits)
            sent[0].result = _parsed(sent[0], normal, failure)
            octets -= len(sent.popleft().job.raw)
    finally:
        waiting.extendleft(reversed(sent))


def _parsed(task: _Task, normal: bytes, failure: str) -> Parsed:
    try:
        message = normal_json.loads(normal)
    except (ValueError, KeyError, TypeError) as error:
        raise WorkerDied("the parser's answer was no message", is_final=True) from error
    return Parsed(message, normal, task.failure or failure)


def _blame(waiting: deque[_Task], death: WorkerDied) -> None:
    """Decide what is tried next with the mail that a worker died of."""
    if not waiting:
        return
    task = waiting[0]
    if task.failure:  # not even its headers could be read
        message = unreadable(task.job.raw, task.failure)
        task.result = Parsed(message, normal_json.dumps(message), task.failure)
        waiting.popleft()
        return
    task.tries += 1
    if death.is_final or task.tries >= _TRIES:
        task.failure = death.reason


def unreadable(raw: bytes, failure: str) -> Message:
    """The stub of a mail of which nothing could be read; its octets alone tell it from others."""
    return Message(
        medium=Medium.EMAIL,
        sender=Address(scheme=Scheme.MAIL, value=""),
        from_count=0,
        content_key=hashlib.sha256(raw).hexdigest(),
        defects=(f"could not be read: {failure}",),
        is_stub=True,
    )


class _Worker(asyncio.SubprocessProtocol):
    """One process, from the daemon's side."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.SubprocessTransport | None = None
        self._pid = 0
        self._answers: deque[tuple[bytes, str]] = deque()
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._is_dead = False
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._owed = 1  # answers; the first says that it is there
        self._cpu_at_answer = 0.0

    # --- called by asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._pid = self._transport.get_pid()
        pipe = self._transport.get_pipe_transport(0)
        if pipe is not None:
            with contextlib.suppress(OSError):  # beyond what an ordinary user may have: the default will do
                fcntl.fcntl(pipe.get_extra_info("pipe").fileno(), fcntl.F_SETPIPE_SZ, _PIPE)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._buffer += data
        position = 0
        while len(self._buffer) - position >= OUT.size:
            normal, failure = OUT.unpack_from(self._buffer, position)
            end = position + OUT.size + normal + failure
            if end - position > MAX_ANSWER:
                self.kill()
                return
            if len(self._buffer) < end:
                break
            middle = position + OUT.size + normal
            self._answers.append(
                (bytes(self._buffer[position + OUT.size : middle]), self._buffer[middle:end].decode("utf-8"))
            )
            position = end
        if position:
            del self._buffer[:position]
            self._wake()

    def process_exited(self) -> None:
        self._is_dead = True
        if self._transport is not None:
            self._transport.close()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._gone.done():
            self._gone.set_result(None)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        # A broken pipe to a worker that died: what matters is that it is gone, and process_exited tells that.
        if fd == 1:
            self._wake()

    # --- called by the pool ---

    @property
    def is_usable(self) -> bool:
        return not self._is_dead and not self._owed

    @property
    def is_gone(self) -> bool:
        """The process has ended and its pipes are closed."""
        return self._gone.done()

    def send(self, raw: bytes, flags: int) -> None:
        """Hand over one mail; does not wait."""
        if not self._owed:
            self._cpu_at_answer = self._cpu()
        self._owed += 1
        pipe = self._transport.get_pipe_transport(0) if self._transport else None
        if pipe is not None and not self._is_dead:
            writer = cast(asyncio.WriteTransport, pipe)
            writer.write(IN.pack(len(raw), flags))
            writer.write(raw)

    async def receive(self, limits: _Limits) -> tuple[bytes, str]:
        """The next answer. Raises WorkerDied when the worker ends, or overruns a limit and is killed."""
        until = self._loop.time() + limits.wall_seconds
        while not self._answers:
            if self._is_dead:
                raise WorkerDied("the parser died of it", is_final=False)
            await self._wait(WATCH_EVERY)
            if self._answers or self._is_dead:
                continue
            if self._cpu() - self._cpu_at_answer > limits.cpu_seconds:
                self.kill()
                raise WorkerDied(f"it took more than {limits.cpu_seconds:g} s of CPU time", is_final=True)
            if self._loop.time() > until:
                self.kill()
                raise WorkerDied(f"no answer within {limits.wall_seconds:g} s", is_final=False)
        self._owed -= 1
        if not self._answers:
            self._cpu_at_answer = self._cpu()
        return self._answers.popleft()

    def kill(self) -> None:
        """End the process, now."""
        if self._transport is not None:
            with contextlib.suppress(ProcessLookupError):
                self._transport.kill()
            # Not closed here: that would reap it before its watcher does, who then complains. `process_exited` closes.
        self._owed += 1  # never usable again

    async def gone(self) -> None:
        """Wait until the process has ended."""
        await asyncio.shield(self._gone)

    async def _wait(self, seconds: float) -> None:
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _cpu(self) -> float:
        """Seconds of CPU time the process has used; 0 once it is gone."""
        try:
            with open(f"/proc/{self._pid}/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _TICK
