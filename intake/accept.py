"""Accept: what arrives is on the disk before anybody is told that we have it.

Raw bytes, cursor and event of an arrival are committed in one transaction. Concurrent callers share a commit (group
commit): one fsync for a batch, not for a message. If the commit fails, every caller of the batch gets
`StoreUnavailable`, tells its source nothing, and the source will offer the message again. A caller that is cancelled
while it waits changes nothing: its arrivals may be kept, and the source offers them once more as duplicates.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog

from channels.adapter import Accepted, Arrival, Clock, Decided, StoreUnavailable
from intake.logs import tell
from routing.records import Event
from store import messages
from store.crashpoint import crashpoint
from store.engine import Database, Transaction

log = structlog.get_logger(__name__)

MAX_GROUP = 400  # arrivals in one commit
MAX_GROUP_BYTES = 16 * 1024 * 1024  # octets of raw bytes in one commit, unless one alone is larger
SPACE_CHECK_EVERY = 5.0  # seconds
RECENT_DECISIONS = 4096  # kept for whoever asks a moment late


class SpaceGate:
    """Refuses to take more in when the disk is nearly full, while there is still room to finish what is here."""

    def __init__(self, folder: Path | None, min_bytes: int, min_share: float) -> None:
        self._folder = folder
        self._min_bytes = min_bytes
        self._min_share = min_share
        self._looked_at = float("-inf")
        self._refusal: str | None = None

    def refusal(self) -> str | None:
        """Why nothing may be accepted now, or None. Looks at the disk every few seconds at most."""
        if self._folder is None:
            return None
        moment = asyncio.get_running_loop().time()
        if moment - self._looked_at >= SPACE_CHECK_EVERY:
            self._looked_at = moment
            self._refusal = self._look()
        return self._refusal

    def _look(self) -> str | None:
        assert self._folder is not None
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError as error:
            return f"nobody can tell how much room there is on {self._folder}: {error}"
        # The smaller of the two: 5 % of a large disk would be absurdly much.
        needed = min(self._min_bytes, int(usage.total * self._min_share))
        if usage.free >= needed:
            return None
        return f"{usage.free / 2**20:.0f} MiB free on {self._folder}, {needed / 2**20:.0f} MiB wanted: make room"


class DecisionBoard:
    """Who waits to hear what became of a message. Remembers the latest for who asks a moment late."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Decided]] = {}
        self._recent: OrderedDict[int, Decided] = OrderedDict()

    def expect(self, message_id: int) -> Awaitable[Decided]:
        """An awaitable that is made only when somebody awaits it: mail never does."""
        return _Later(self, message_id)

    def future(self, message_id: int) -> asyncio.Future[Decided]:
        found = self._waiting.get(message_id)
        if found is None and message_id in self._recent:
            found = asyncio.get_running_loop().create_future()
            found.set_result(self._recent[message_id])
        elif found is None:
            found = self._waiting[message_id] = asyncio.get_running_loop().create_future()
            found.add_done_callback(lambda _: self._waiting.pop(message_id, None))
        return found

    def tell(self, decided: Decided) -> None:
        self._recent[decided.message_id] = decided
        if len(self._recent) > RECENT_DECISIONS:
            self._recent.popitem(last=False)
        future = self._waiting.get(decided.message_id)
        if future is not None and not future.done():
            future.set_result(decided)


class _Later:
    def __init__(self, board: DecisionBoard, message_id: int) -> None:
        self._board = board
        self._message_id = message_id

    def __await__(self):  # type: ignore[no-untyped-def]
        # Shielded: one who waits no longer must not end the waiting of another who was given the same message.
        return asyncio.shield(self._board.future(self._message_id)).__await__()


class Acceptor:
    """Implements `channels.adapter.Accept` over the store."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        board: DecisionBoard,
        gate: SpaceGate,
        wake: Callable[[], None],
    ) -> None:
        self._db = db
        self._clock = clock
        self._board = board
        self._gate = gate
        self._wake = wake  # tells the decider that there is work
        self._pending: list[tuple[Sequence[Arrival], asyncio.Future[list[Accepted]]]] = []
        self._committer: asyncio.Task[None] | None = None
        self.last_accepted_at: dict[str, float] = {}  # channel -> loop time, for /healthz
        self.refused: str | None = None  # why the last commit failed; None after a good one

    def is_pressed(self) -> bool:
        """Whether arrivals are being committed right now: their senders wait for us."""
        return self._committer is not None and not self._committer.done()

    async def __call__(self, arrivals: Sequence[Arrival]) -> list[Accepted]:
        """Commit arrivals, all or nothing, in order. Raises StoreUnavailable."""
        if not arrivals:
            return []
        refusal = self._gate.refusal()
        if refusal:
            self._note_refusal(refusal)
            raise StoreUnavailable(refusal)
        future: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        self._pending.append((arrivals, future))
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit_pending(), name="accept")
        return await future

    async def _commit_pending(self) -> None:
        """Commit group after group until nobody waits. Whoever comes during a commit is in the next."""
        while self._pending:
            group = self._next_group()
            try:
                receipts = await self._commit([a for arrivals, _ in group for a in arrivals])
            except StoreUnavailable as error:
                self._note_refusal(str(error))
                self._fail(group, error)
            except Exception as error:
                log.exception("accept_failed")
                self._fail(group, StoreUnavailable(f"{type(error).__name__}: {error}"))
            else:
                self.refused = None
                self._tell(group, receipts)
                self._wake()

    def _next_group(self) -> list[tuple[Sequence[Arrival], asyncio.Future[list[Accepted]]]]:
        group: list[tuple[Sequence[Arrival], asyncio.Future[list[Accepted]]]] = []
        count, octets = 0, 0
        for arrivals, future in self._pending:
            count += len(arrivals)
            octets += sum(len(a.raw) for a in arrivals)
            if group and (count > MAX_GROUP or octets > MAX_GROUP_BYTES):
                break
            group.append((arrivals, future))
        del self._pending[: len(group)]
        return group

    async def _commit(self, arrivals: Sequence[Arrival]) -> list[Accepted]:
        now = self._clock.now()

        async def keep(tx: Transaction) -> list[tuple[int, bool]]:
            kept = await messages.accept(tx, arrivals, now)
            crashpoint("accept.before_commit")
            return kept

        receipts = await self._db.write(keep)
        crashpoint("accept.after_commit")
        return [Accepted(number, is_duplicate, self._board.expect(number)) for number, is_duplicate in receipts]

    def _tell(
        self,
        group: Sequence[tuple[Sequence[Arrival], asyncio.Future[list[Accepted]]]],
        receipts: Sequence[Accepted],
    ) -> None:
        start, moment, now = 0, asyncio.get_running_loop().time(), self._clock.now()
        taken: list[Event] = []
        for arrivals, future in group:
            mine = list(receipts[start : start + len(arrivals)])
            start += len(arrivals)
            for arrival, receipt in zip(arrivals, mine, strict=True):
                self.last_accepted_at[arrival.channel] = moment
                if not receipt.is_duplicate:
                    taken.append(messages.accepted(receipt.id, arrival, now))
            if not future.done():
                future.set_result(mine)
        tell(log, taken)

    @staticmethod
    def _fail(
        group: Sequence[tuple[Sequence[Arrival], asyncio.Future[list[Accepted]]]], error: StoreUnavailable
    ) -> None:
        for _, future in group:
            if not future.done():
                future.set_exception(StoreUnavailable(str(error)))

    def _note_refusal(self, reason: str) -> None:
        if self.refused != reason:  # once, not for every message that comes back
            log.error("intake_refused", reason=reason)
        self.refused = reason
