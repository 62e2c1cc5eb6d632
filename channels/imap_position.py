"""How far a folder has been read: positions, what of the old mail is wanted, which mails are fetched together. Pure.

A position is the value of a folder's cursor and is committed with the mails that it covers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from channels.imap_words import UNDATED, Folder, Mark

BATCH_MAILS = 50  # one FETCH, and one commit
BATCH_OCTETS = 4 * 1024 * 1024  # of one FETCH; a larger mail is fetched alone. Two batches are in memory
HEAD = 64 * 1024  # octets that are fetched of a mail over the limit
REREAD = timedelta(days=1)  # before the newest mail we knew, when the server has numbered a folder anew
SKEW = timedelta(hours=1)  # a server's clock may be behind ours: mail that has just come must not pass for old

_NEVER_READ = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """How far a folder has been read; written as "UIDVALIDITY:UID:NEWEST:TURN:BEGAN:OLD_UID:FLOOR:BATCH_UID"."""

    uid_validity: int  # 0, which no server tells (RFC 3501 §9): the folder has not been opened yet
    uid: int  # the last one read
    newest: datetime = _NEVER_READ  # the latest INTERNALDATE read; where to go on when the UIDs are void
    turn: int = 0  # how often the server has gone back to lower UIDs under the same UIDVALIDITY
    began: datetime = UNDATED  # when this folder was first looked into; mail from before is backlog
    old_uid: int = 0  # the last one that lay there when it was first looked into, or numbered anew
    floor: datetime = UNDATED  # of the mails up to old_uid, those that came before it are left alone
    batch_uid: int = 0  # where the last batch began: it may have been accepted and not yet flagged

    @classmethod
    def before_any(cls, began: datetime) -> Position:
        """Of a folder that was to be read from `began` on, and could not be opened yet."""
        return cls(uid_validity=0, uid=0, began=began)

    @classmethod
    def parse(cls, value: str) -> Position:
        """Raises ValueError when it is none. What an older version has left out takes its usual value."""
        validity, uid, *rest = (int(part) for part in value.split(":"))
        newest, turn, began, old_uid, floor, batch_uid = (*rest, 0, 0, 0, 0, 0, 0)[:6]
        return cls(
            uid_validity=validity,
            uid=uid,
            newest=max(_NEVER_READ, datetime.fromtimestamp(newest, UTC)),
            turn=turn,
            began=datetime.fromtimestamp(began, UTC),
            old_uid=old_uid,
            floor=datetime.fromtimestamp(floor, UTC),
            batch_uid=batch_uid,
        )

    def __str__(self) -> str:
        began, newest, floor = (int(moment.timestamp()) for moment in (self.began, self.newest, self.floor))
        return f"{self.uid_validity}:{self.uid}:{newest}:{self.turn}:{began}:{self.old_uid}:{floor}:{self.batch_uid}"

    @property
    def is_before_any(self) -> bool:
        return self.uid_validity == 0

    def beyond(self, mark: Mark, now: datetime) -> Position:
        """The position once this mail has been read. A date in the future, which servers do tell, counts as now:
        else everything that comes before it would be passed over when the UIDs are void one day."""
        return replace(self, uid=max(self.uid, mark.uid), newest=max(self.newest, min(mark.received_at, now)))

    def external_id(self, folder: str, uid: int) -> str:
        """Unique for ever within a mailbox: "INBOX;1700000000;42"."""
        return f"{folder};{self.uid_validity};{uid}" + (f";{self.turn}" if self.turn else "")

    def wants(self, mark: Mark) -> bool:
        """False for mail that `since` leaves alone: old when the folder was first looked into."""
        return mark.uid > self.old_uid or mark.received_at >= self.floor

    def is_backlog(self, mark: Mark) -> bool:
        """True for mail from before the first start, also where it was put into the folder only later."""
        if mark.uid <= self.old_uid:
            return mark.received_at < self.began  # UNDATED lies before any beginning
        return UNDATED < mark.received_at < self.began - SKEW


def first_position(folder: Folder, last: int, since: date | Literal["now", "all"], began: datetime) -> Position:
    """Where to begin in a folder that was never looked into; `last` is the highest UID in it.

    What was there before the program first `began` is old mail. What came since is not, though it is looked at only
    now: days may lie between where the password was wrong or the server away. So "now" is a moment too, and UIDs, of
    which nothing is known from then, do not stand for it.
    """
    floor = UNDATED
    if isinstance(since, date):
        floor = max(UNDATED, datetime.combine(since, time(), UTC))
    elif since == "now":
        floor = began
    newest = began if since == "now" else _NEVER_READ
    return Position(uid_validity=folder.uid_validity, uid=0, newest=newest, began=began, old_uid=last, floor=floor)


def renumbered(known: Position, folder: Folder, last: int) -> Position | None:
    """Where to begin when the known UIDs are void; None when they still hold. `last` is the highest UID now.

    A new UIDVALIDITY voids them (RFC 3501 §2.3.1.1). So does a folder that was restored from a backup under
    its old UIDVALIDITY: it gives out UIDs a second time, which shows in a UIDNEXT below what has been read.

    The UIDs say nothing any more, dates still do: all from a day before the newest mail we knew is read again. What
    had been read is a copy by its content key, and ends as one; nothing in between is lost, however long we were
    away, and mail from before the first start is left alone. Where old mail was still being read, that begins anew.
    """
    if folder.uid_validity != known.uid_validity:
        turn = 0
    elif folder.uid_next is not None and folder.uid_next <= known.uid:
        turn = known.turn + 1
    else:
        return None
    floor = known.floor if known.uid < known.old_uid else max(UNDATED, known.newest - REREAD)
    return replace(
        known, uid_validity=folder.uid_validity, uid=0, turn=turn, old_uid=last, floor=floor, batch_uid=0
    )  # fmt: skip


def batches(marks: Iterable[Mark], max_size: int, one_at_a_time_until: int = 0) -> Iterator[list[Mark]]:
    """What to fetch with one command each, in order; a mail over `max_size` octets counts with its head.

    A mail of which the server tells no size may be of any: it is fetched alone.
    """
    batch: list[Mark] = []
    octets = 0
    for mark in marks:
        known = mark.size or max_size
        size = known if known <= max_size else HEAD
        is_alone = not mark.size or known > min(max_size, BATCH_OCTETS) or mark.uid <= one_at_a_time_until
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
