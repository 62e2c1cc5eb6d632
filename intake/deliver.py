"""Deliver: what is in the outbox leaves, in order for each recipient, and what became of it is written down.

The attempt and the octets are committed before a socket is opened; the result is committed as soon as it is known. A
temporary failure is tried again (1, 5, 15, 60 min, then every 4 h for 5 days); a permanent one is told to the agent at
once. Whoever died in between, or lost the connection after the last octet, leaves a delivery *unknown*: 15 minutes
later it is tried once more with the same octets, then it is unknown for good and the agent is told. What follows from
a result stands in `results`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from channels.adapter import (
    Clock,
    Delivery,
    DeliveryState,
    OutboundMessage,
    PermanentFailure,
    ProgressNote,
    Sender,
    StoreUnavailable,
    TemporaryFailure,
    UnknownDelivery,
)
from channels.pacing import DAY
from intake.bundle import Bundle
from intake.cards import Stationery
from intake.gathering import Gathering
from intake.letters import NothingToSay, foresee, outbound
from intake.logs import tell
from intake.results import Consequences, Result
from intake.ways_out import WayOut, WaysOut
from routing.backoff import RetrySchedule
from routing.records import Event
from routing.words import OutboxState
from store import events, outbox, queues
from store.crashpoint import crashpoint
from store.engine import Database, Transaction
from store.outbox import OutboxItem

log = structlog.get_logger(__name__)

MAX_IN_FLIGHT = 48  # attempts at one time, over all channels
ATTEMPT_LEASE = timedelta(minutes=45)  # longer than the slowest hand-over: ten minutes each for octets and answer
STOCK_EVERY = 60.0  # seconds between looks for what another node has left
IDLE_POLL = 5.0  # seconds


class Deliverer:
    """The outbox worker. `run` works until cancelled."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        senders: Mapping[str, Sender],
        stationery: Callable[[], Stationery],
        progress: ProgressNote,
        *,
        schedule: RetrySchedule,
        unknown_retry_after: timedelta,
        drain: timedelta = timedelta(seconds=20),
        is_alone: bool = True,
        ways: Mapping[str, WayOut] | None = None,
        bundle_chat: timedelta = timedelta(seconds=5),
        on_reopened: Callable[[], None] = lambda: None,
        on_kept: Callable[[], None] = lambda: None,
        ticks: Callable[[], float] | None = None,
    ) -> None:
        """`ticks` counts seconds and is never set: the event loop's clock, unless a test brings one."""

        self._db = db
        self._clock = clock
        self._senders = senders
        self._ticks = ticks or asyncio.get_running_loop().time
        self._ways = WaysOut({name: (ways or {}).get(name, WayOut()) for name in senders}, self._ticks)
        self._gathering = Gathering(bundle_chat, self._ticks)
        self._stationery = stationery
        self._progress = progress
        self._consequences = Consequences(
            stationery=stationery,
            schedule=schedule,
            unknown_retry_after=unknown_retry_after,
            on_reopened=lambda: self._follow(on_reopened),
            on_kept=lambda: self._follow(on_kept),
        )
        self._following: list[Callable[[], None]] = []  # who hears of what is being written, once it is committed
        self._drain = drain
        self._is_alone = is_alone  # no other node sends: what is being attempted at the start was cut off
        self._woken = asyncio.Event()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._results: list[Result] = []
        self._begun: dict[int, OutboxItem] = {}  # committed as attempts, and nobody is at it yet
        self._is_ending = False
        self._stock_at = 0.0
        self._remembers = False  # what left before this start was looked up

    @property
    def ways(self) -> WaysOut:
        """What is known of each channel: away, paced, resting; for /healthz."""
        return self._ways

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    def begin_nothing_new(self) -> None:
        """The program is ending: what is in hand may be finished, the rest waits for the next start."""
        self._is_ending = True

    async def run(self) -> None:
        self._ways.forget_attempts()
        await self._record()  # what an earlier run knew and could not write down is not unknown
        await self._take_stock()
        await self._remember()
        try:
            while True:
                self._progress("sending", 60.0)
                await self._record()  # before looking: somebody may have been written to
                is_more = await self._start_some()
                if not is_more and not self._results:
                    await self._rest()
        finally:
            await self._finish()

    async def _finish(self) -> None:
        """What is being handed over may end; then it is written down. What cannot end in time stays unknown."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=self._drain.total_seconds())
        for task in self._in_flight:
            task.cancel()
        try:
            await self._record()
            await self._put_back()
        except StoreUnavailable:
            log.exception("deliveries_not_recorded", count=len(self._results))

    async def _put_back(self) -> None:
        """Rows that were begun and handed to nobody, because the end came in between, are as good as never begun."""
        if not self._begun:
            return
        now = self._clock.now()
        async with self._db.transaction() as tx:
            for item in self._begun.values():
                await outbox.put_back(tx, item, now)
        self._begun.clear()

    async def _rest(self) -> None:
        """Sleep until something may leave. What waits for its lane, its channel or a free hand is not looked for."""
        now = self._clock.now()
        if not self._is_alone and self._ticks() >= self._stock_at:
            await self._take_stock()
        closed, urgent = self._ways.closed(), self._ways.for_urgent_only()
        next_at = await self._db.read(lambda tx: outbox.next_at(tx, closed, urgent))
        waits = [self._ways.opens_in(), (next_at - now).total_seconds() if next_at else None]
        wait = IDLE_POLL
        if len(self._in_flight) < MAX_IN_FLIGHT:
            wait = min([wait, *(max(seconds, 0.05) for seconds in waits if seconds is not None)])
        try:
            async with asyncio.timeout(wait):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    # ---- attempting

    async def _take_stock(self) -> None:
        """Rows that were being attempted when the program died: nobody knows whether they arrived."""
        now = self._clock.now()
        self._stock_at = self._ticks() + STOCK_EVERY
        async with self._db.transaction() as tx:
            written = await self._consequences.channel_is_back(tx, list(self._senders), now)
            lost = await outbox.cut_off(tx, now, everybody=self._is_alone)
            for item in lost:
                written += await self._consequences.unknown(tx, item, "the program ended during the attempt", now)
            await events.append(tx, written)
        self._tell(written)

    async def _remember(self) -> None:
        """What left in the 24 hours before this start counts against a day's limit."""
        if self._remembers:
            return
        now = self._clock.now()
        since = now - timedelta(seconds=DAY)
        for account, (channels, most) in self._ways.counted_by_day().items():
            async with self._db.reading() as tx:
                left = await queues.left_since(tx, channels, since, most)
            self._ways.remember(account, [max((now - at).total_seconds(), 0.0) for at in left])
        self._remembers = True

    async def _start_some(self) -> bool:
        """Begin what may leave. False where all of that is begun: what comes later wakes us."""
        free = MAX_IN_FLIGHT - len(self._in_flight)
        if free <= 0 or self._is_ending:
            return False
        now = self._clock.now()
        closed, urgent = self._ways.closed(), self._ways.for_urgent_only()
        found = await self._db.read(lambda tx: outbox.due(tx, now, free, closed, urgent))
        items = self._ways.fit(found)
        if not items:
            return False
        some = await self._db.read(lambda tx: self._looked_up(tx, items, now))
        try:
            await self._begin(some, now)
        except _Overtaken:
            return True  # another node has begun one of them: look again
        for item, message in some.ready:
            if item.id in self._begun:
                self._ways.began(item.channel)
                task = asyncio.create_task(self._attempt(item, message), name=f"send {item.id}")
                self._in_flight.add(task)
                task.add_done_callback(self._in_flight.discard)
        # Of the rows of a lane one was found, and what could not be sent may have told somebody.
        is_more = len(found) == free or some.is_about_others
        self._begun.clear()
        return is_more

    async def _looked_up(self, tx: Transaction, items: Sequence[OutboxItem], now: datetime) -> _Some:
        items, bundles, later = await self._gathering.look(tx, items, now)
        gone = [item for item in items if item.channel not in self._senders]
        items = [item for item in items if item.channel in self._senders]
        stored = await outbox.stored_bytes(tx, [i.id for i in items if i.attempts])
        await foresee(tx, items)
        composed = [(i, await self._compose(tx, i, stored.get(i.id), now)) for i in items]
        return _Some(
            ready=[(item, message) for item, message in composed if isinstance(message, OutboundMessage)],
            broken=[(item, message) for item, message in composed if isinstance(message, str)],
            stale=[item for item, message in composed if message is None],
            gone=gone,
            bundles=bundles,
            later=later,
        )

    async def _begin(self, some: _Some, now: datetime) -> None:
        """Write down what is being attempted, and what is not. Raises _Overtaken, and nothing was written."""
        written = await self._db.write(lambda tx: self._write_attempts(tx, some, now))
        crashpoint("attempt.after_commit")
        self._tell(written)

    async def _write_attempts(self, tx: Transaction, some: _Some, now: datetime) -> list[Event]:
        written: list[Event] = []
        for bundle in some.bundles:
            if not await queues.merge(tx, bundle.into, bundle.merged):
                raise _Overtaken
            written += self._consequences.bundled(bundle, now)
        for until, items in some.later.items():
            await queues.defer(tx, items, until)
        bodies = [(item, message.body) for item, message in some.ready]
        ours = await outbox.begin_attempts(tx, bodies, now, now + ATTEMPT_LEASE)
        for item, reason in some.broken:
            written += await self._consequences.give_up(tx, item, reason, now)
        written += self._consequences.dropped(await queues.drop(tx, some.stale), now)
        written += await self._consequences.hold(tx, some.gone, now)
        await events.append(tx, written)
        self._begun = {item.id: item for item, _ in some.ready if item.id in ours}
        crashpoint("attempt.before_commit")
        return written

    async def _compose(
        self, tx: Transaction, item: OutboxItem, body: bytes | None, now: datetime
    ) -> OutboundMessage | str | None:
        """The message, or why it cannot be made, or None where it has nothing to say any more.

        One that cannot be made must not stop the others.
        """
        try:
            return await outbound(tx, item, self._stationery(), now, body)
        except NothingToSay:
            return None
        except StoreUnavailable:
            raise
        except Exception as error:  # names the row, gives it up, and tells
            log.exception("composing_failed", outbox=item.id, ticket=item.ticket)
            return f"it could not be composed: {type(error).__name__}: {error}"

    async def _attempt(self, item: OutboxItem, message: OutboundMessage) -> None:
        """One hand-over; its result waits to be written down."""
        try:
            delivery = await self._senders[item.channel].send(message)
            crashpoint("send.after")
            result = Result(item=item, at=self._clock.now(), delivery=delivery)
        except (TemporaryFailure, PermanentFailure, UnknownDelivery) as failure:
            result = Result(item=item, at=self._clock.now(), failure=failure)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # unknown is temporary, but whether it left is unknown too
            log.exception("sending_failed", outbox=item.id, channel=item.channel)
            why = UnknownDelivery(f"{type(error).__name__}: {error}")
            result = Result(item=item, at=self._clock.now(), failure=why)
        finally:
            self._ways.ended(item.channel)
        self._ways.learn(item.channel, result.failure)
        self._results.append(result)
        self._woken.set()

    async def seen(self, channel: str, number: int) -> None:
        """A chat's page has shown a line: that is delivery, if nobody has written it down yet."""
        now = self._clock.now()
        async with self._db.transaction() as tx:
            item = await outbox.by_id(tx, number)
            if item is None or item.channel != channel or item.state is OutboxState.DELIVERED:
                return
            written: list[Event] = []
            if item.delivered_at is None and item.state is not OutboxState.HELD:
                written = await self._consequences.delivered(tx, item, Delivery(state=DeliveryState.DELIVERED), now)
                await events.append(tx, written)
            else:
                await outbox.record_seen(tx, number, channel, now)
        self._tell(written)

    # ---- recording

    def _follow(self, call: Callable[[], None]) -> None:
        """Called from within an errand of the store, where nothing of the event loop may be touched."""
        self._following.append(call)

    def _tell(self, written: Sequence[Event]) -> None:
        """What was committed is logged, and whoever must do something about it hears of it."""
        tell(log, written)
        following, self._following = self._following, []
        for call in dict.fromkeys(following):
            call()

    async def _record(self) -> None:
        """Write down every result that is known, in one transaction; where one of them cannot be, each by itself."""
        if not self._results:
            return
        results = list(self._results)
        try:
            await self._write_down(results)
        except (StoreUnavailable, asyncio.CancelledError):
            raise
        except Exception:  # one poisoned result must not stop all sending
            log.exception("results_not_recorded", outbox=[r.item.id for r in results])
            for result in results:
                await self._write_down_alone(result)
        del self._results[: len(results)]

    async def _write_down_alone(self, result: Result) -> None:
        try:
            await self._write_down([result])
        except (StoreUnavailable, asyncio.CancelledError):
            raise
        except Exception as error:  # its words, then, are what cannot be written
            log.exception("result_not_recorded", outbox=result.item.id)
            why = UnknownDelivery(type(error).__name__)
            await self._write_down([Result(item=result.item, at=result.at, failure=why)])

    async def _write_down(self, results: Sequence[Result]) -> None:
        async def keep(tx: Transaction) -> list[Event]:
            follows = await self._consequences.of_all(tx, results)
            await events.append(tx, follows)
            crashpoint("record.before_commit")
            return follows

        written = await self._db.write(keep)
        crashpoint("record.after_commit")
        self._tell(written)


@dataclass(frozen=True, kw_only=True)
class _Some:
    """What became of some rows when they were looked at: who may leave, and who may not."""

    ready: Sequence[tuple[OutboxItem, OutboundMessage]]
    broken: Sequence[tuple[OutboxItem, str]]  # and why
    stale: Sequence[OutboxItem]
    gone: Sequence[OutboxItem]
    bundles: Sequence[Bundle]
    later: Mapping[datetime, Sequence[OutboxItem]]

    @property
    def is_about_others(self) -> bool:
        """Whether what is written of these may let others leave, or make new ones."""
        return bool(self.broken or self.stale or self.gone or self.later or self.bundles)


class _Overtaken(Exception):
    """What was to be bundled is being sent by somebody else."""
