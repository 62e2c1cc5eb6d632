"""The mailbox reader: mail waits on the server until it is accepted, then is flagged, and never before.

* Nothing is flagged before `accept` has returned; if it raises, the connection is cut and the same mail is
  read again. The cursor is committed with the arrivals, so a restart goes on where the store stands.
* A connection that is lost, silent or confused is cut and said with TemporaryFailure; LoginRefused for a
  password that is not taken. One connection a folder; the first that fails ends them all.
* A mail larger than the limit arrives as its first octets. So does one that the server cannot give, or that
  has cost `MAX_LOSSES` connections when fetched alone: it never blocks the next, and stays on the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from channels.adapter import Accept, Arrival, Cursor, Envelope, TemporaryFailure, Tools
from channels.imap_client import MAX_UIDS_A_COMMAND, TRANSFER_TIMES, Imap, every, open_imap
from channels.imap_words import UNDATED, Folder, Mark, RefusedByServer, since_date
from channels.message import Medium
from channels.settings import ImapSettings

BATCH_MAILS = 50  # one FETCH, and one commit
BATCH_OCTETS = 4 * 1024 * 1024  # of one FETCH; a larger mail is fetched alone. Two batches are in memory
HEAD = 64 * 1024  # octets that are fetched of a mail over the limit
MAX_LOSSES = 5  # connections that one mail alone may cost before only its head is asked for
REREAD = timedelta(days=1)  # before the newest mail we knew, when the server has numbered a folder anew

_BEGINNING = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """How far a folder has been read; the cursor's value is "UIDVALIDITY:UID:SECONDS:TURN"."""

    uid_validity: int
    uid: int  # the last one read
    newest: datetime  # the latest INTERNALDATE read; where to begin when the UIDs are worth nothing any more
    turn: int = 0  # how often the server has gone back to lower UIDs under the same UIDVALIDITY

    @classmethod
    def parse(cls, value: str) -> Position:
        """Raises ValueError when it is none."""
        validity, uid, *rest = (int(part) for part in value.split(":"))
        seconds, turn = (*rest, 0, 0)[:2]
        return cls(
            uid_validity=validity,
            uid=uid,
            newest=max(_BEGINNING, datetime.fromtimestamp(seconds, UTC)),
            turn=turn,
        )

    def __str__(self) -> str:
        return f"{self.uid_validity}:{self.uid}:{int(self.newest.timestamp())}:{self.turn}"

    def beyond(self, mark: Mark, now: datetime) -> Position:
        """The position once this mail has been read. A date in the future, which servers do tell, counts as now:
        else everything that comes before it would be passed over when the UIDs are void one day."""
        return replace(self, uid=max(self.uid, mark.uid), newest=max(self.newest, min(mark.received_at, now)))

    def external_id(self, folder: str, uid: int) -> str:
        """Unique for ever within a mailbox: "INBOX;1700000000;42"."""
        return f"{folder};{self.uid_validity};{uid}" + (f";{self.turn}" if self.turn else "")


def renumbered(known: Position, folder: Folder) -> Position | None:
    """Where to begin when the known UIDs are void; None when they still hold.

    A new UIDVALIDITY voids them (RFC 3501 §2.3.1.1). So does a folder that was restored from a backup under
    its old UIDVALIDITY: it gives out UIDs a second time, which shows in a UIDNEXT below what has been read.
    """
    if folder.uid_validity != known.uid_validity:
        return Position(uid_validity=folder.uid_validity, uid=0, newest=known.newest)
    if folder.uid_next is not None and folder.uid_next <= known.uid:
        return replace(known, uid=0, turn=known.turn + 1)
    return None


def batches(marks: Iterable[Mark], max_size: int, one_at_a_time_until: int = 0) -> Iterator[list[Mark]]:
    """What to fetch with one command each, in order; a mail over `max_size` octets counts with its head."""
    batch: list[Mark] = []
    octets = 0
    for mark in marks:
        size = mark.size if mark.size <= max_size else HEAD
        is_alone = mark.size > min(max_size, BATCH_OCTETS) or mark.uid <= one_at_a_time_until
        if batch and (is_alone or len(batch) == BATCH_MAILS or octets + size > BATCH_OCTETS):
            yield batch
            batch, octets = [], 0
        batch.append(mark)
        octets += size
        if is_alone:
            yield batch
            batch, octets = [], 0
    if batch:
        yield batch


class ImapReceiver:
    """Reads the folders of one mailbox."""

    def __init__(self, channel: str, settings: ImapSettings, tools: Tools) -> None:
        self._channel = channel
        self._settings = settings
        self._tools = tools
        command = settings.command_timeout.total_seconds()
        self._work_within = command * (TRANSFER_TIMES + 2)  # until the next progress note, while fetching
        self._wait_within = settings.idle_renew_every.total_seconds() + 4 * command  # and while idling
        self._one_at_a_time_until: dict[str, int] = {}  # folder -> UID: a batch up to there cost a connection
        self._losses: dict[tuple[str, int], int] = {}  # (folder, UID) -> connections lost while it was fetched alone

    async def receive(self, accept: Accept) -> None:
        # No TaskGroup: nested in the daemon's it can swallow a cancellation (python/cpython#116720).
        readers = [asyncio.create_task(self._read_folder(folder, accept)) for folder in self._settings.folders]
        try:
            done, _ = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
            for reader in done:
                reader.result()
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    async def _read_folder(self, folder: str, accept: Accept) -> None:
        self._tools.progress(f"{folder}: connecting", self._work_within)
        imap = await open_imap(self._settings)
        try:
            position = await self._begin(imap, folder, await imap.select(folder), accept)
            while True:
                uids = await imap.search("UID", f"{position.uid + 1}:*")
                # "n:*" always names the last mail, even one below n (RFC 3501 §6.4.8).
                position = await self._read(imap, folder, position, [u for u in uids if u > position.uid], accept)
                await self._wait(imap, folder)
        finally:
            imap.abort()

    async def _begin(self, imap: Imap, folder: str, opened: Folder, accept: Accept) -> Position:
        """Where to go on; at the first start from now on, unless all is wanted."""
        stored = await self._tools.read_cursor(self._channel, folder)
        last = await self._last_uid(imap, opened)
        if stored is None:
            first = Position(uid_validity=opened.uid_validity, uid=0, newest=_BEGINNING)
            if self._settings.since == "now":
                first = replace(first, uid=last, newest=self._tools.clock.now())
            return await self._save(folder, first)
        known = Position.parse(stored)
        anew = renumbered(known, opened)
        if anew is None:
            return known
        # The UIDs say nothing any more, dates still do: all from a day before the newest mail we knew is read
        # again. What had been read is a copy by its content key, and ends as one; nothing in between is lost,
        # however long we were away, and mail from before the first start is left alone.
        uids = await imap.search("SINCE", since_date(known.newest - REREAD))
        read = await self._read(imap, folder, anew, uids, accept)
        return await self._save(folder, replace(read, uid=max(read.uid, last)))

    async def _last_uid(self, imap: Imap, opened: Folder) -> int:
        if opened.uid_next is not None:
            return opened.uid_next - 1
        uids = await imap.search("UID", "*") if opened.exists else []
        return max(uids, default=0)

    async def _save(self, folder: str, position: Position) -> Position:
        await self._tools.save_cursor(self._channel, Cursor(name=folder, value=str(position)))
        return position

    async def _read(self, imap: Imap, folder: str, position: Position, uids: list[int], accept: Accept) -> Position:
        """Fetch and accept these mails; the next batch is fetched while one is being accepted."""
        source = self._fetched(imap, folder, position, uids)

        async def following() -> tuple[Position, list[Arrival], list[int]] | None:
            return await anext(source, None)

        ahead = asyncio.create_task(following())
        try:
            while (fetched := await ahead) is not None:
                ahead = asyncio.create_task(following())
                position, arrivals, taken = fetched
                self._tools.progress(f"{folder}: {len(arrivals)} fetched", self._work_within)
                await accept(arrivals)
                await self._flag(imap, taken)
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)
            await source.aclose()
        return position

    async def _fetched(
        self, imap: Imap, folder: str, position: Position, uids: list[int]
    ) -> AsyncGenerator[tuple[Position, list[Arrival], list[int]], None]:
        """Batches of arrivals, with the position after each and the UIDs in it."""
        careful = self._one_at_a_time_until.get(folder, 0)
        for some in every(uids, MAX_UIDS_A_COMMAND):
            for batch in batches(await imap.marks(some), self._settings.max_size, careful):
                arrivals: list[Arrival] = []
                for mark, octets, is_head in await self._octets(imap, folder, batch):
                    position = position.beyond(mark, self._tools.clock.now())
                    arrivals.append(self._arrival(folder, position, mark, octets, is_head))
                if arrivals:
                    yield position, arrivals, [mark.uid for mark in batch]

    async def _octets(self, imap: Imap, folder: str, batch: Sequence[Mark]) -> list[tuple[Mark, bytes, bool]]:
        """Each mail of a batch that is still there: its octets, and whether they are only its head."""
        alone = batch[0] if len(batch) == 1 else None
        is_head = alone is not None and self._only_head(folder, alone)
        try:
            found = await imap.bodies([mark.uid for mark in batch], first=HEAD if is_head else None)
        except RefusedByServer:
            if alone is None:
                return [whole for mark in batch for whole in await self._octets(imap, folder, [mark])]
            is_head, found = True, await self._whatever_comes(imap, alone)
        except TemporaryFailure:
            self._blame(folder, batch)
            raise
        if alone is not None:
            self._losses.pop((folder, alone.uid), None)
        return [(mark, found[mark.uid], is_head) for mark in batch if mark.uid in found]

    def _only_head(self, folder: str, mark: Mark) -> bool:
        return mark.size > self._settings.max_size or self._losses.get((folder, mark.uid), 0) >= MAX_LOSSES

    async def _whatever_comes(self, imap: Imap, mark: Mark) -> dict[int, bytes]:
        """The head of a mail that the server will not give whole; nothing at all still makes an arrival."""
        try:
            return await imap.bodies([mark.uid], first=HEAD)
        except RefusedByServer:
            return {mark.uid: b""}

    def _blame(self, folder: str, batch: Sequence[Mark]) -> None:
        """Remember what was being fetched when the connection went: first which batch, then which mail."""
        if len(batch) > 1:
            self._one_at_a_time_until[folder] = batch[-1].uid
        else:
            key = (folder, batch[0].uid)
            self._losses[key] = self._losses.get(key, 0) + 1

    def _arrival(self, folder: str, position: Position, mark: Mark, octets: bytes, is_head: bool) -> Arrival:
        now = self._tools.clock.now()
        return Arrival(
            channel=self._channel,
            medium=Medium.EMAIL,
            external_id=position.external_id(folder, mark.uid),
            # A server whose clock is ahead must not give us time that we do not have.
            received_at=min(mark.received_at, now) if mark.received_at > UNDATED else now,
            raw=octets,
            cursor=Cursor(name=folder, value=str(position)),
            envelope=Envelope(source_size=mark.size if is_head else len(octets), is_truncated=is_head),
        )

    async def _flag(self, imap: Imap, uids: list[int]) -> None:
        if not self._settings.mark_seen:
            return
        try:
            await imap.mark_seen(uids)
        except RefusedByServer:
            return  # a read-only folder: the flag is for people, the cursor is what counts

    async def _wait(self, imap: Imap, folder: str) -> None:
        """Return when mail may have come. An IDLE that has died without a word shows when it is renewed."""
        renew = self._settings.idle_renew_every.total_seconds()
        pause = self._settings.poll_every.total_seconds()
        self._tools.progress(f"{folder}: waiting", self._wait_within if imap.has_idle else pause + self._wait_within)
        if imap.has_idle:
            await imap.idle(renew)
        else:
            await asyncio.sleep(pause)
            await imap.noop()
