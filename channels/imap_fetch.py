"""The octets of mails, by hook or by crook: whole, else the head, else the headers, else only that there is one.

A mail that costs connections is fetched alone, then in ever smaller parts: it never blocks the next, and a person sees
it all the same. What the server refuses only for now is not given up: RefusedByServer goes on to whoever reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from channels.adapter import TemporaryFailure
from channels.imap_client import MAX_UIDS_A_COMMAND, Imap, every
from channels.imap_position import HEAD
from channels.imap_words import Mark, RefusedByServer

MAX_LOSSES = 5  # connections that one mail alone may cost before only its head is asked for
LOSSES_A_RUNG = 2  # and then before even less is


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one mail."""

    mark: Mark
    octets: bytes
    is_head: bool  # only the beginning, or nothing; the rest stays on the server


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to ask for a mail."""

    first: int | None  # octets; None for all
    part: str = ""
    is_head: bool = False


WHOLE = Rung(None)
LESS_AND_LESS = (Rung(HEAD, is_head=True), Rung(None, "HEADER", is_head=True))


def ladder(mark: Mark, max_size: int, losses: int) -> list[Rung]:
    """What to ask for, one after the other as it is refused; the connections lost so far leave the first ones out."""
    if losses < MAX_LOSSES and (mark.size or 0) <= max_size:
        # Without a size, or when something is wrong with it, no more is taken than is known to fit.
        return [WHOLE if mark.size and not losses else Rung(max_size + 1), *LESS_AND_LESS]
    return list(LESS_AND_LESS[max(0, losses - MAX_LOSSES) // LOSSES_A_RUNG :])


class Fetcher:
    """Fetches from one folder; remembers over connections which mails have cost some."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._losses: dict[int, int] = {}  # UID -> connections lost while it was fetched alone
        self.one_at_a_time_until = 0  # a batch up to this UID has cost a connection

    def forget(self) -> None:
        """The UIDs are void."""
        self._losses.clear()
        self.one_at_a_time_until = 0

    async def fetch(self, imap: Imap, batch: Sequence[Mark]) -> list[Fetched]:
        """Each mail of a batch that is still there, in order."""
        if len(batch) == 1:
            return await self._alone(imap, batch[0])
        try:
            found = await imap.bodies([mark.uid for mark in batch])
        except RefusedByServer as refused:
            if refused.is_passing:
                raise
            found = {}
        except TemporaryFailure:
            self.one_at_a_time_until = batch[-1].uid
            raise
        # An empty answer for a mail that has a size is none; that the server forgets one is no reason to lose it.
        missing = [mark for mark in batch if not found.get(mark.uid)]
        there = await _still_there(imap, missing)
        fetched: list[Fetched] = []
        for mark in batch:
            if found.get(mark.uid):
                fetched.append(Fetched(mark, found[mark.uid], is_head=False))
            elif mark.uid in there:
                fetched += await self._alone(imap, mark)
        return fetched

    async def _alone(self, imap: Imap, mark: Mark) -> list[Fetched]:
        for rung in ladder(mark, self._max_size, self._losses.get(mark.uid, 0)):
            try:
                octets = (await imap.bodies([mark.uid], rung.first, rung.part)).get(mark.uid)
            except RefusedByServer as refused:
                if refused.is_passing:
                    raise
                continue
            except TemporaryFailure:
                self._losses[mark.uid] = self._losses.get(mark.uid, 0) + 1
                raise
            if octets:
                is_head = rung.is_head or len(octets) > self._max_size
                return [Fetched(mark, octets[:HEAD] if is_head else octets, is_head)]
        self._losses.pop(mark.uid, None)
        return [Fetched(mark, b"", is_head=True)] if await _still_there(imap, [mark]) else []


async def _still_there(imap: Imap, marks: Iterable[Mark]) -> set[int]:
    """Which of these mails has nobody taken away meanwhile?"""
    uids = [mark.uid for mark in marks]
    if not uids:
        return set()
    await imap.noop()  # what others have removed is told now
    found: set[int] = set()
    for some in every(uids, MAX_UIDS_A_COMMAND):
        found |= {*await imap.search("UID", ",".join(map(str, some)))}
    return found & {*uids}
