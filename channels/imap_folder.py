"""Reading one folder: where to go on, what to fetch, when to look again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from channels.adapter import Accept, Arrival, Cursor, Envelope, Tools
from channels.imap_client import MAX_UIDS_A_COMMAND, TRANSFER_TIMES, Imap, every, open_imap
from channels.imap_fetch import Fetched, Fetcher
from channels.imap_position import Position, batches, first_position, renumbered
from channels.imap_taken import tidy
from channels.imap_words import UNDATED, Folder, FolderRefused, RefusedByServer, since_date
from channels.message import Medium
from channels.oauth_account import OAuthAccount
from channels.settings import ImapSettings

SEARCH_SPAN = 10_000  # UIDs that are asked for at one time where many may wait; the answer is one line
OPEN_AGAIN = timedelta(hours=1)  # a folder that was made anew under its old name shows only when it is opened again
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Batch:
    """What was fetched together."""

    position: Position  # once it has been accepted
    arrivals: list[Arrival]
    uids: list[int]


async def known_position(tools: Tools, channel: str, name: str, began: datetime) -> Position:
    """How far this folder, or whatever else a cursor is called after, has been read. Where nothing is known, it was
    to be read from `began` on: that is written down, so that no start that fails loses what comes meanwhile."""
    stored = await tools.read_cursor(channel, name)
    if stored is not None:
        return Position.parse(stored)
    position = Position.before_any(began)
    await tools.save_cursor(channel, Cursor(name=name, value=str(position)))
    return position


class FolderReader:
    """One folder of a mailbox. `read` may be called again after it has failed."""

    def __init__(
        self, channel: str, folder: str, settings: ImapSettings, tools: Tools, *,
        began: datetime, account: OAuthAccount | None = None, is_junk: bool = False, is_sent: bool = False,
        say: Callable[[str], None], note: Callable[[str, float], None],
    ) -> None:  # fmt: skip
        self.folder = folder
        self._channel = channel
        self._settings = settings
        self._account = account
        self._tools = tools
        self._began = began
        self._is_junk = is_junk
        self._is_sent = is_sent
        self._is_aside = is_junk or is_sent  # nothing in it is changed, and what lay there before is left alone
        self._say = say
        self._note = note
        command = settings.command_timeout.total_seconds()
        self._work_within = command * (TRANSFER_TIMES + 2)  # until the next progress note, while fetching
        self._wait_within = settings.idle_renew_every.total_seconds() + 4 * command  # and while idling
        self._fetcher = Fetcher(settings.max_size)
        self._opened: Folder  # as SELECT showed it last

    async def read(self, accept: Accept, opened: Callable[[], None]) -> None:
        """Read until something fails; `opened` is told whenever the folder could be opened.

        Raises FolderRefused when the folder is not there, any other TemporaryFailure when the server is not.
        """
        self._note("connecting", self._work_within)
        imap = await open_imap(self._settings, self._account)
        clock = asyncio.get_running_loop()
        try:
            while True:
                position = await self._open(imap, accept, opened)
                until = clock.time() + OPEN_AGAIN.total_seconds()
                while clock.time() < until:
                    uids = await imap.search("UID", f"{position.uid + 1}:*")
                    # "n:*" always names the last mail, even one below n (RFC 3501 §6.4.8).
                    position = await self._take(imap, position, [u for u in uids if u > position.uid], accept)
                    await self._wait(imap)
        finally:
            imap.abort()

    # ---- where to go on

    async def _open(self, imap: Imap, accept: Accept, opened: Callable[[], None]) -> Position:
        """Open the folder and read what lies there; the position after it."""
        try:
            self._opened = await imap.select(self.folder, read_only=self._is_aside)
        except RefusedByServer as refused:
            if refused.is_passing:
                raise
            raise FolderRefused(f'folder "{self.folder}": {refused.reason}') from refused
        opened()
        last = await self._last_uid(imap)
        known = await known_position(self._tools, self._channel, self.folder, self._began)
        if known.is_before_any:
            since: date | Literal["now", "all"] = "now" if self._is_aside else self._settings.since
            position = first_position(self._opened, last, since, known.began)
            await self._save(position)
        else:
            anew = renumbered(known, self._opened, last)
            if anew is None:
                await self._tidy_again(imap, known)
            else:
                self._fetcher.forget()
                await self._save(anew)
            position = anew or known
        return await self._catch_up(imap, position, last, accept)

    async def _last_uid(self, imap: Imap) -> int:
        if self._opened.uid_next is not None:
            return self._opened.uid_next - 1
        uids = await imap.search("UID", "*") if self._opened.exists else []
        return max(uids, default=0)

    async def _save(self, position: Position) -> None:
        await self._tools.save_cursor(self._channel, Cursor(name=self.folder, value=str(position)))

    async def _tidy_again(self, imap: Imap, position: Position) -> None:
        """The last batch may have been accepted without being flagged: the line, or we, went away in between."""
        if not position.batch_uid or self._is_aside or self._settings.after_taking == "leave":
            return
        uids = await imap.search("UID", f"{position.batch_uid}:{position.uid}")
        for some in every(uids, MAX_UIDS_A_COMMAND):
            taken = [mark.uid for mark in await imap.marks(some) if position.wants(mark)]
            await tidy(imap, self._opened, taken, self._settings, self._say)

    async def _catch_up(self, imap: Imap, position: Position, last: int, accept: Accept) -> Position:
        """Read up to `last` in spans, so that 200,000 waiting mails are never one answer."""
        span = SEARCH_SPAN
        first = position.uid + 1
        while first <= last:
            is_old = first <= position.old_uid  # of what came later everything is wanted, whatever its date
            end = min(last, first + span - 1, position.old_uid if is_old else last)
            criteria = ["UID", f"{first}:{end}"]
            if is_old and position.floor > UNDATED:
                # A day sooner: the server takes the date in whatever time zone it likes (RFC 3501 §6.4.4).
                criteria += ["SINCE", since_date(position.floor - DAY)]
            uids = await imap.search(*criteria)
            first = end + 1
            # Few UIDs are left of many: wider steps there.
            span = span * 2 if len(uids) < span // 8 else max(SEARCH_SPAN, span // 2)
            position = await self._take(imap, position, uids, accept)
        if position.uid < last:
            # The last ones have been left alone, or somebody has taken them away.
            position = replace(position, uid=last)
            await self._save(position)
        return position

    # ---- fetch, accept, flag

    async def _take(self, imap: Imap, position: Position, uids: list[int], accept: Accept) -> Position:
        """Fetch and accept these mails; the next batch is fetched while one is being accepted."""
        source = self._fetched(imap, position, uids)

        async def following() -> Batch | None:
            return await anext(source, None)

        ahead = asyncio.create_task(following())
        try:
            while (batch := await ahead) is not None:
                ahead = asyncio.create_task(following())
                self._note(f"{len(batch.arrivals)} fetched", self._work_within)
                await accept(batch.arrivals)
                position = batch.position
                if not self._is_aside:
                    await tidy(imap, self._opened, batch.uids, self._settings, self._say)
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)
            await source.aclose()
        return position

    async def _fetched(self, imap: Imap, position: Position, uids: list[int]) -> AsyncGenerator[Batch, None]:
        for some in every(uids, MAX_UIDS_A_COMMAND):
            wanted = [mark for mark in await imap.marks(some) if position.wants(mark)]
            for marks in batches(wanted, self._settings.max_size, self._fetcher.one_at_a_time_until):
                position = replace(position, batch_uid=marks[0].uid)
                arrivals: list[Arrival] = []
                for one in await self._fetcher.fetch(imap, marks):
                    position = position.beyond(one.mark, self._tools.clock.now())
                    arrivals.append(self._arrival(position, one))
                if arrivals:
                    yield Batch(position, arrivals, [mark.uid for mark in marks])

    def _arrival(self, position: Position, one: Fetched) -> Arrival:
        now = self._tools.clock.now()
        mark = one.mark
        return Arrival(
            channel=self._channel,
            medium=Medium.EMAIL,
            external_id=position.external_id(self.folder, mark.uid),
            # A server whose clock is ahead must not give us time that we do not have.
            received_at=min(mark.received_at, now) if mark.received_at > UNDATED else now,
            raw=one.octets,
            cursor=Cursor(name=self.folder, value=str(position)),
            envelope=Envelope(
                source_size=(mark.size or len(one.octets)) if one.is_head else len(one.octets),
                is_truncated=one.is_head,
                is_backlog=position.is_backlog(mark),
                is_junk=self._is_junk,
                is_sent=self._is_sent,
            ),
        )

    # ---- wait

    async def _wait(self, imap: Imap) -> None:
        """Return when mail may have come. An IDLE that has died without a word shows when it is renewed."""
        renew = self._settings.idle_renew_every.total_seconds()
        pause = self._settings.poll_every.total_seconds()
        self._note("waiting", self._wait_within if imap.has_idle else pause + self._wait_within)
        if imap.has_idle:
            await imap.idle(renew)
        else:
            await asyncio.sleep(pause)
            await imap.noop()
