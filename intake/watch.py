"""Watch: every promise is looked at when its time comes, and what is to be told about it is told once.

One watcher sleeps until the next moment in the store: 50 % and 80 % of a budget of ten minutes and more, the due time,
the supervisor's. A notice is unique by target and kind, written in the transaction that puts its mail into the outbox:
it is told once, ever, across restarts. What comes due for one person within some minutes shares a mail
(`intake/gathered.py`). A late tick tells late, but a breach is recorded as of its due time, and nothing is told early.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from channels.adapter import Clock, ProgressNote
from channels.message import Medium
from intake import agents_chat
from intake.cards import Stationery
from intake.day_mail import DayMail, day_mails, mails_due, of_who_is_there
from intake.gathered import WINDOW, Sort, gathering, lately, mails_for, sort_of
from intake.junk_line import day_to_tell, junk_line
from intake.logs import tell
from intake.notice_rows import notice_row
from intake.reminding import remind
from routing.policy import Policy
from routing.records import Event, NewOutbox, Target, Ticket
from routing.words import NoticeKind
from store import deadlines, events, queues, reminders, tickets
from store.crashpoint import crashpoint
from store.engine import Database, Transaction

log = structlog.get_logger(__name__)

IDLE_POLL = 30.0  # seconds; a clock may be set, a wake-up lost
AT_ONCE = 500  # targets in one tick
LOOK_EVERY = timedelta(seconds=15)  # whether somebody's day has begun or ended

Told = tuple[Target, NoticeKind]


class Watcher:
    """The loop. `run` works until cancelled."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        stationery: Callable[[], Stationery],
        progress: ProgressNote,
        on_outbox: Callable[[], None],
        on_changed: Callable[[], None] = lambda: None,  # whose turn it is, or who is there
    ) -> None:
        self._db = db
        self._clock = clock
        self._stationery = stationery
        self._progress = progress
        self._on_outbox = on_outbox
        self._on_changed = on_changed
        self._remind_at: datetime | None = None  # the same of reminders
        self._woken = asyncio.Event()
        self._next_at: datetime | None = None  # when there is something to tell, as it was last looked up
        self._days_told: set[DayMail] = set()  # as far as this process knows
        self._days_looked_at: datetime | None = None
        self._junk_told = 0  # the day whose junk was told, as far as this process knows

    def wake(self) -> None:
        """There may be an earlier moment to wait for."""
        self._woken.set()

    async def run(self) -> None:
        while True:
            self._progress("watching", IDLE_POLL + 60.0)
            await self.tick()
            await self._rest()

    async def _rest(self) -> None:
        # Whatever was written since that was looked up has woken us.
        now, wait = self._clock.now(), IDLE_POLL
        for at in (self._next_at, self._remind_at):
            if at is not None:
                wait = min(wait, max((at - now).total_seconds(), 0.0))
        try:
            async with asyncio.timeout(wait):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def tick(self) -> int:
        """Tell everything that is due to be told by now; the number of notices."""
        await self._tell_junk()
        await self._tell_days()
        await self._remind()
        count = 0
        while True:
            now = self._clock.now()
            self._next_at = await self._db.read(deadlines.next_at)
            if self._next_at is None or self._next_at > now:
                return count  # most looks find nothing: they must not cost a write
            told = await self._db.write(partial(self._tell_ripe, now=now))
            if told is None:
                return count
            written, rows = told
            crashpoint("watch.after_commit")
            tell(log, written)
            count += len(written)
            if rows:
                self._on_outbox()

    async def _tell_ripe(self, tx: Transaction, now: datetime) -> tuple[list[Event], list[NewOutbox]] | None:
        """Tell what is ripe, in one errand of the store; None where nothing is: another node has told it."""
        ripe = await deadlines.ripe(tx, now, AT_ONCE)
        if not ripe:
            return None
        written, rows = await self._tell(tx, ripe, now)
        await agents_chat.put(tx, rows, now, self._stationery().policy)
        await events.append(tx, written)
        crashpoint("watch.before_commit")
        return written, rows

    async def _remind(self) -> None:
        """Do what was to be done by now, and is no promise."""
        while True:
            now = self._clock.now()
            self._remind_at = await self._db.read(reminders.next_at)
            if self._remind_at is None or self._remind_at > now:
                return
            async with self._db.transaction() as tx:
                ripe = await reminders.ripe(tx, now)
                if not ripe:
                    return  # another node has them
                done = await remind(tx, ripe, self._stationery(), now)
                await reminders.done(tx, ripe, now)
                await agents_chat.put(tx, done.rows, now, self._stationery().policy)
                await events.append(tx, done.events)
                crashpoint("watch.before_commit")
            crashpoint("watch.after_commit")
            tell(log, done.events)
            if done.is_counted_anew:
                self._on_changed()
            if done.rows:
                self._on_outbox()

    async def _tell_junk(self) -> None:
        """When the desk opens: what lay in the junk folder since it last did."""
        now, with_ = self._clock.now(), self._stationery()
        day = day_to_tell(with_, now)
        if day is None or day == self._junk_told:
            return
        async with self._db.transaction() as tx:
            written, rows = await junk_line(tx, with_, day, now)
            await agents_chat.put(tx, rows, now, self._stationery().policy)
            await events.append(tx, written)
        self._junk_told = day
        tell(log, written)
        if rows:
            self._on_outbox()

    async def _tell_days(self) -> None:
        """When somebody's day begins or ends: what waits for him, what of his was delivered."""
        now, with_ = self._clock.now(), self._stationery()
        if self._days_looked_at is not None and timedelta() <= now - self._days_looked_at < LOOK_EVERY:
            return
        self._days_looked_at = now
        due = [one for one in mails_due(with_, now) if one not in self._days_told]
        if not due:
            return
        async with self._db.reading() as tx:
            due = await of_who_is_there(tx, due, now)
        if not due:
            return
        async with self._db.transaction() as tx:
            written, rows = await day_mails(tx, with_, due, now)
            await agents_chat.put(tx, rows, now, self._stationery().policy)
            await events.append(tx, written)
            crashpoint("day.before_commit")
        crashpoint("day.after_commit")
        self._days_told = {one for one in self._days_told if one.day >= min(d.day for d in due) - 1} | set(due)
        tell(log, written)
        if rows:
            self._on_outbox()

    async def _tell(
        self, tx: Transaction, ripe: Sequence[Target], now: datetime
    ) -> tuple[list[Event], list[NewOutbox]]:
        due: list[Told] = [(t, kind) for t in ripe for at, kind in t.notices() if at <= now]
        fresh = await deadlines.record_told(tx, due, now)
        breached = [t for t, kind in fresh if kind is NoticeKind.BREACH]
        await deadlines.record_breach(tx, breached)
        await deadlines.look_again(tx, [(t, t.next_after(now)) for t in ripe])
        found = await tickets.by_ids(tx, [t.ticket for t in ripe])
        policy = self._stationery().policy
        written = [
            _event(t, kind, found[t.ticket], now, is_read=bool(_readers(policy, found[t.ticket], kind)))
            for t, kind in fresh
        ]
        return written, await self._rows(tx, fresh, found, now)

    async def _rows(
        self, tx: Transaction, fresh: Sequence[Told], found: dict[int, Ticket], now: datetime
    ) -> list[NewOutbox]:
        """The mails to be written: what was told to somebody a moment ago decides whether this waits for more."""
        with_ = self._stationery()
        channel = next((c for c in with_.policy.channels.values() if c.medium == Medium.EMAIL), None)
        if channel is None:
            return []
        lines: dict[tuple[str, Sort], list[dict[str, Any]]] = defaultdict(list)
        for target, kind in _worth_telling(fresh):
            for name in _readers(with_.policy, found[target.ticket], kind):
                lines[name, sort_of(kind)].append(_line(target, kind))
        rows = []
        for (name, sort), notices in lines.items():
            address = f"mailto:{with_.policy.agents[name].addresses[0]}"
            recent = lately(await queues.lately(tx, address, [sort.purpose], now - WINDOW), sort, now)
            joined = gathering(recent, now)
            if joined is not None:
                recent.remove(joined)
                if not await queues.take_back(tx, joined):  # it is being sent in this moment
                    recent, joined = [*recent, joined], None
            mails = mails_for(sort, notices, recent, joined, now)
            rows += [await notice_row(tx, mail, name, sort, with_, channel, now) for mail in mails]
        return rows


def _line(target: Target, kind: NoticeKind) -> dict[str, Any]:
    """A notice as a recipe holds it."""
    return {
        "ticket": target.ticket,
        "notice": kind.value,
        "target": target.kind.value,
        "ordinal": target.ordinal,
        "due_at": target.due_at.isoformat(),
    }


_ORDER = list(NoticeKind)
#: Told to others than who has the ticket.
_ABOVE = (NoticeKind.SUPERVISOR, NoticeKind.MANAGER)


def _worth_telling(fresh: Sequence[Told]) -> list[Told]:
    """After an outage several notices of one target come together: each reader needs the latest only."""
    latest: dict[tuple[Target, NoticeKind | None], NoticeKind] = {}
    for target, kind in fresh:
        key = (target, kind if kind in _ABOVE else None)
        if key not in latest or _ORDER.index(kind) > _ORDER.index(latest[key]):
            latest[key] = kind
    return [(target, kind) for (target, _), kind in latest.items()]


def _readers(policy: Policy, ticket: Ticket, kind: NoticeKind) -> list[str]:
    """Who is told: the agent who has the ticket, then the team's supervisors, at last its managers."""
    team = policy.teams.get(ticket.team)
    there = [n for n in policy.agents if n != ticket.accused]  # not whom a complaint is about
    if kind is NoticeKind.MANAGER:
        return [n for n in (team.managers if team else ()) if n in there]
    if kind is NoticeKind.SUPERVISOR:
        return [n for n in (team.supervisors if team else ()) if n in there]
    return [ticket.agent] if ticket.agent and ticket.agent in policy.agents else []


def _event(target: Target, kind: NoticeKind, ticket: Ticket, now: datetime, *, is_read: bool) -> Event:
    names = {
        NoticeKind.WARN_50: "target_warned",
        NoticeKind.WARN_80: "target_warned",
        NoticeKind.BREACH: "target_breached",
        NoticeKind.SUPERVISOR: "supervisor_told" if is_read else "supervisor_missing",
        NoticeKind.MANAGER: "manager_told" if is_read else "manager_missing",
    }
    data: dict[str, Any] = {
        "target": target.kind.value,
        "ordinal": target.ordinal,
        "notice": kind.value,
        "due_at": target.due_at.isoformat(),
        "channel": ticket.channel,
        "late_s": round((now - target.due_at).total_seconds(), 3),
    }
    return Event(at=now, kind=names[kind], ticket=ticket.id, agent=ticket.agent, data=data)
