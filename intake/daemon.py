"""The daemon: everything is put together here, started in order, and ended in order.

Config (exit 2 if wrong: a restart cannot help) -> store, verified copy, migrations -> adapters, listener (503 until its
receivers run) -> READY=1 -> one flat group of loops -> on SIGTERM receivers stop first, workers finish, the store
closes last.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import structlog

from channels import registry
from channels.adapter import Adapter, Cursor, Fatal, Tools, TranscriptLine
from channels.http import Listener
from channels.parsing import ParserPool
from intake import logs, not_started
from intake.accept import Acceptor, DecisionBoard, SpaceGate
from intake.config import Config, diff_restart, load, reloaded
from intake.config_words import ConfigError
from intake.control import ControlServer
from intake.credentials import has_dates, watch_credentials
from intake.decide import Decider
from intake.deliver import Deliverer
from intake.desk_control import handlers
from intake.files_page import FilesPage
from intake.health import Health, summary
from intake.lessons import lessons
from intake.lockfile import AlreadyRuns, single_instance
from intake.memory import be_thrifty, settle
from intake.not_started import NotStarted
from intake.notify import notify, reloading, watchdog_interval
from intake.promise import chat_promise
from intake.recompute import recompute
from intake.sealing import keep_sealed
from intake.snapshot import Snapshot
from intake.supervise import Supervisor
from intake.transcript import transcript
from intake.watch import Watcher
from intake.ways_out import WayOut
from routing.backoff import RetrySchedule
from routing.tokens import Keyring
from store import cursors, overlays, sealed
from store.engine import Database
from store.seal import SealBroken
from store.upgrade import UpgradeRefused, upgrade

log = structlog.get_logger(__name__)

EXIT_OK, EXIT_WRONG, EXIT_NO_STORE = 0, 2, 4
RECOUNT_POLL = 60.0  # seconds between looks at what other nodes heard
CANCEL_AGAIN = 3.0  # seconds; on Python 3.11 a library's wait_for may swallow a cancellation (python/cpython#86296)


class Clock:
    """The time of day. Nobody else asks for it."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, when: datetime) -> None:
        # In short sleeps: a clock that was set must not be slept through.
        while (left := (when - self.now()).total_seconds()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, 60.0))


async def run(path: Path, *, demo: bool = False) -> int:
    """Run until SIGTERM or SIGINT: the exit code."""
    try:
        config = load(path, demo=demo)
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        return EXIT_WRONG
    be_thrifty()
    logs.setup(config.log.level, config.log.format)
    os.umask(0o077)  # what it writes is customers' words: for its own user alone
    try:
        with single_instance(config.store.state_dir):
            return await _run(config, demo=demo)
    except (AlreadyRuns, NotStarted) as error:
        log.error("not_started", reason=str(error))  # noqa: TRY400
        return EXIT_WRONG
    except OSError as error:
        log.error("not_started", reason=not_started.of_file(error))  # noqa: TRY400
        return EXIT_WRONG
    finally:
        logs.stop()


async def _run(config: Config, *, demo: bool) -> int:
    async with AsyncExitStack() as stack:
        playground = await _playground(config, stack) if demo else None
        try:
            keyring = _keyring(config, playground)
            db = Database(config.store.full_url(), config.store.seal())
            stack.push_async_callback(db.close)
            before, now = await upgrade(db)
            await _see_that_it_opens(db)
        except (UpgradeRefused, SealBroken, ValueError) as error:
            log.error("not_started", reason=str(error))  # noqa: TRY400
            return EXIT_WRONG
        except ConnectionError as error:
            log.error("not_started", reason=not_started.of_store(error))  # noqa: TRY400
            return EXIT_NO_STORE
        except OSError as error:
            log.error("not_started", reason=not_started.of_file(error))  # noqa: TRY400
            return EXIT_WRONG
        except Exception as error:  # noqa: BLE001  # whatever the driver raises for a store that is not there
            log.error("not_started", reason=not_started.of_store(error))  # noqa: TRY400
            return EXIT_NO_STORE
        log.info("store_opened", backend=db.url.get_backend_name(), schema=now, was=before)
        async with db.reading() as tx:
            said = await overlays.current(tx)
            learned = await lessons(tx)
        desk = Running(Snapshot(config, keyring, said, learned), db, playground)
        return await desk.run(stack)


async def _see_that_it_opens(db: Database) -> None:
    """Raises SealBroken where the newest message, or one that waits, was sealed with a key that is not here."""
    async with db.reading() as tx:
        wanted = await sealed.wanted_keys(tx)
    missing = [key_id for key_id in wanted if db.seal is None or not db.seal.knows(key_id)]
    if not missing:
        return
    raise SealBroken(
        f"what people wrote is sealed with the store key {' and '.join(missing)}, which [store] key does not hold: "
        "put that key back into its file, below the newer ones if there are any"
    )


def _keyring(config: Config, playground: Any) -> Keyring:
    key = config.tokens.key
    text = playground.token_key() if playground and key is None else key.read() if key else ""
    return Keyring.from_secret("\n".join([text, *(k.read() for k in config.tokens.previous_keys)]))


async def _playground(config: Config, stack: AsyncExitStack) -> Any:
    from intake.demo.start import start

    return await start(config, Clock().now, stack)


class Running:
    """One daemon, put together."""

    def __init__(self, snapshot: Snapshot, db: Database, playground: Any) -> None:
        config = snapshot.config
        self.clock = Clock()
        self.db = db
        self.snapshot = snapshot
        self.supervisor = Supervisor()
        self.playground = playground
        self.stopping = asyncio.Event()
        self.recount = asyncio.Event()
        self.board = DecisionBoard()
        limits = config.limits
        self.parsers = ParserPool(
            workers=limits.parser_workers or max(1, (os.cpu_count() or 2) - 1),
            cpu_seconds=limits.parser_cpu.total_seconds(),
            memory=limits.parser_memory,
        )
        self.gate = SpaceGate(db.path.parent if db.path else None, limits.free_space, limits.free_space_share)
        self.acceptor = Acceptor(db, self.clock, self.board, self.gate, self._wake_decider)
        self.adapters = self._build(config)
        self.deliverer = Deliverer(
            db,
            self.clock,
            {a.channel: a.sender for a in self.adapters if a.sender},
            lambda: self.snapshot.stationery,
            self.supervisor.progress("outbox"),
            schedule=RetrySchedule(first=limits.retries, then_every=limits.retry_every, give_up_after=limits.retry_for),
            unknown_retry_after=limits.unknown_retry_after,
            drain=limits.drain_timeout * 0.8,
            is_alone=db.is_sqlite,
            ways={a.channel: _way_out(a) for a in self.adapters if a.sender},
            bundle_chat=limits.bundle_chat,
            on_reopened=lambda: self.decider.recount(),
            on_kept=lambda: self.decider.call(),
        )
        self.watcher = Watcher(
            db,
            self.clock,
            lambda: self.snapshot.stationery,
            self.supervisor.progress("watcher"),
            self.deliverer.wake,
            on_changed=lambda: self.decider.recount(),
        )
        self.decider = Decider(
            db,
            self.clock,
            snapshot.keyring,
            lambda: self.snapshot.policy,
            self.parsers,
            registry.readers(),
            self.board,
            owner=f"{socket.gethostname()}:{os.getpid()}",
            progress=self.supervisor.progress("decider"),
            on_outbox=self.deliverer.wake,
            on_targets=self.watcher.wake,
            batch=limits.batch_size,
            stationery=lambda: self.snapshot.stationery,
            is_pressed=self.acceptor.is_pressed,
            on_overlays=self._overlaid,
        )
        self.health = Health(self.supervisor, self.acceptor, version_of(), lambda: self.deliverer.ways)
        self.listener = self._listener(config)
        self.control = ControlServer(config.store.state_dir / "control.sock", handlers(self))

    def _wake_decider(self) -> None:
        self.decider.wake()

    # ---- putting together

    def _build(self, config: Config) -> list[Adapter]:
        shared: dict[tuple[Any, ...], Any] = {}
        return [
            registry.build(name, settings, self._tools(name, config, shared))
            for name, settings in config.channels.items()
        ]

    def _tools(self, name: str, config: Config, shared: dict[tuple[Any, ...], Any]) -> Tools:
        return Tools(
            clock=self.clock,
            progress=self.supervisor.progress(name),
            progress_of=lambda way: self.supervisor.progress(f"{name} ({way})"),
            read_cursor=self._read_cursor,
            save_cursor=self._save_cursor,
            transcript=lambda session, after: self._transcript(name, session, after),
            state_dir=str(config.store.state_dir),
            on_delivered=self._on_delivered,
            chat_promise=self._chat_promise,
            shared=shared,
        )

    async def _read_cursor(self, channel: str, name: str) -> str | None:
        async with self.db.reading() as tx:
            return await cursors.read(tx, channel, name)

    async def _save_cursor(self, channel: str, cursor: Cursor) -> None:
        async with self.db.transaction() as tx:
            await cursors.write(tx, {(channel, cursor.name): cursor.value})

    async def _transcript(self, channel: str, session: str, after: str) -> list[TranscriptLine]:
        return await transcript(self.db, self.snapshot.policy, channel, session, after)

    async def _chat_promise(self, channel: str, language: str) -> str:
        reach = self.decider.reach.get(channel)
        return chat_promise(self.snapshot.stationery, channel, language, self.clock.now(), reach)

    async def _on_delivered(self, channel: str, number: int) -> None:
        """The visitor has come back, and his page has shown what was kept for him, or cut off on its way."""
        await self.deliverer.seen(channel, number)

    def _listener(self, config: Config) -> Listener | None:
        mounts = [a.routes for a in self.adapters if a.routes]
        if self.snapshot.stationery.links:
            mounts.append(FilesPage(self.db, self.clock, lambda: self.snapshot.stationery).routes)
        if not mounts and self.playground is None:
            return None
        listener = Listener(config.http.host, config.http.port, proxies=config.http.proxies)
        for mount in mounts:
            listener.mount(mount)
        listener.serve_health(self.health.report)
        if self.playground is not None:
            listener.mount(self.playground.page(self.db, config).routes)
        return listener

    async def _overlaid(self) -> None:
        """A supervisor has said something on top of the file, or an agent put something right: it counts from now."""
        async with self.db.reading() as tx:
            said = await overlays.current(tx)
            learned = await lessons(tx)
        self.snapshot.learn(learned)
        if self.snapshot.overlay(said):
            log.info("overlaid", policy=self.snapshot.policy.version, said=len(said))
            self.recount.set()

    async def _keep_counted(self) -> None:
        """Whenever calendars may have changed, what was promised by the old ones is counted again."""
        note = self.supervisor.progress("recount")
        while True:
            self.recount.clear()
            note("counting promises again", 600.0)
            if await recompute(self.db, self.clock, self.snapshot):
                self.watcher.wake()
                self.deliverer.wake()
            note("nothing to count", RECOUNT_POLL + 60.0)
            with suppress(TimeoutError):
                async with asyncio.timeout(RECOUNT_POLL):
                    await self.recount.wait()
            if not self.db.is_sqlite:  # another node may have heard a supervisor
                await self._overlaid()

    # ---- running

    async def run(self, stack: AsyncExitStack) -> int:
        """Start everything, wait for the end, end everything."""
        try:
            await self._start(stack)
        except OSError as error:
            http = self.snapshot.config.http
            log.error("not_started", reason=not_started.of_address(error, http.host, http.port, "http.port"))  # noqa: TRY400
            return EXIT_WRONG
        self._listen_to_signals()
        settle()
        notify("READY=1", "STATUS=serving")
        log.info("started", version=version_of(), channels=[a.channel for a in self.adapters])
        if self.playground is not None:
            self.playground.greet(self.snapshot.config)
        code = EXIT_OK
        try:
            await self._loops()
        except* Fatal as fatal:
            log.error("gave_up", reason="; ".join(str(e) for e in fatal.exceptions))  # noqa: TRY400
            code = EXIT_WRONG
        log.info("stopped")
        return code

    async def _start(self, stack: AsyncExitStack) -> None:
        await self.parsers.start()
        stack.push_async_callback(self.parsers.close)
        for adapter in self.adapters:
            if adapter.close:
                stack.push_async_callback(adapter.close)
        if self.listener is not None:
            await self.listener.start()
            stack.push_async_callback(self.listener.stop)
        await self.control.start()
        stack.push_async_callback(self.control.stop)

    async def _loops(self) -> None:
        """One flat group (a nested one can swallow a cancellation on 3.11): a task for each loop."""
        receiving, working = [], []
        async with asyncio.TaskGroup() as group:

            def keep(name: str, loop: Callable[[], Awaitable[Any]]) -> asyncio.Task[None]:
                return group.create_task(self.supervisor.keep(name, loop), name=name)

            for adapter in self.adapters:
                if adapter.receiver is not None:
                    receiver = adapter.receiver
                    receiving.append(keep(adapter.channel, lambda r=receiver: r.receive(self.acceptor)))  # type: ignore[misc]
                if adapter.door is not None:
                    door = adapter.door
                    receiving.append(keep(f"{adapter.channel} (door)", lambda r=door: r.receive(self.acceptor)))  # type: ignore[misc]
            working.append(keep("decider", self.decider.run))
            working.append(keep("watcher", self.watcher.run))
            working.append(keep("recount", self._keep_counted))
            working.append(
                keep("sealer", lambda: keep_sealed(self.db, self.supervisor.progress("sealer"), self.decider.is_busy))
            )
            if has_dates(self.snapshot.config):
                note = self.supervisor.progress("credentials")
                working.append(
                    keep("credentials", lambda: watch_credentials(self.db, self.clock, self.snapshot.config, note))
                )
            sending = keep("outbox", self.deliverer.run)
            feeding = group.create_task(self._feed_watchdog(), name="watchdog")
            await self.stopping.wait()
            notify("STOPPING=1", "STATUS=finishing what is in hand")
            log.info("stopping")
            self.deliverer.begin_nothing_new()
            await _ended(receiving, again_every=CANCEL_AGAIN)
            # Side by side: all of it must fit into the time that systemd gives (TimeoutStopSec=).
            closing = [group.create_task(self.listener.stop())] if self.listener is not None else []
            await _ended(working)
            await _ended([sending])
            if closing:
                await asyncio.wait(closing)
            await _ended([feeding])

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    async def _feed_watchdog(self) -> None:
        """Tell systemd that every loop turns, and how it goes; silent as soon as one is overdue."""
        interval = watchdog_interval()
        was = ""
        while True:
            if self.health.is_turning():
                status = summary(self.health.report())
                notify("WATCHDOG=1", *([f"STATUS={status}"] if status != was else []))
                was = status
            else:
                log.error("loop_overdue", loops=self.supervisor.overdue())
            await asyncio.sleep(min(interval / 3, 20.0) if interval else 20.0)

    def reload(self) -> None:
        """SIGHUP: what may change changes as one snapshot; a wrong file is refused whole."""
        old = self.snapshot.config
        notify(*reloading())
        try:
            new = load(old.path, demo=old.is_demo)
            changed = reloaded(old, new)
        except ConfigError as error:
            log.error("reload_refused", problems=[str(p) for p in error.problems])  # noqa: TRY400
        else:
            self.snapshot.replace(changed)
            self.recount.set()
            logs.set_level(changed.log.level)
            log.info("reloaded", policy=changed.policy.version, needs_a_restart=diff_restart(old, new))
        finally:
            notify("READY=1")


def _way_out(adapter: Adapter) -> WayOut:
    return WayOut(parallel=adapter.parallel, pace=adapter.pace, account=adapter.account)


async def _ended(tasks: Sequence[asyncio.Task[None]], again_every: float | None = None) -> None:
    """Cancel tasks and wait until they have cleaned up; those that had not heard it are cancelled again."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_every)


def version_of() -> str:
    try:
        return version("intake-desk")
    except PackageNotFoundError:
        return "unpackaged"
