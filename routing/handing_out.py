"""Handing out: what waits in the desk's queue, in which order, and to whom it goes when somebody is free.

Pure. The nearest deadline goes first, among what can still be in time; what is too late already goes after that, but
is not overtaken for ever. Nobody is given more than he can begin within some minutes, so that a night's mail is
spread over the first hour and not over the first minute; what has time gives way to what has none while few are free.
At the latest when somebody must begin to be in time, it is given to whoever is free first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from routing.assigning_rules import AssigningRules
from routing.assignment import Assignment, Need, assign, with_more
from routing.crowd import AgentSnapshot, Crowd

#: So long at most is what is late overtaken by what is not.
MAX_OVERTAKEN = timedelta(minutes=30)
MAX_TRIES = 30  # of what waits, one after the other, that nobody free may take: then the rest waits as well

_DEFAULTS = AssigningRules()


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A ticket in the queue."""

    ticket: int
    need: Need  # `due_at` and `minutes` say how urgent it is
    since: datetime  # when it came

    def latest(self) -> datetime:
        """When somebody must be given it to be in time. Without a deadline: at once."""
        if self.need.due_at is None:
            return self.since
        return self.need.due_at - timedelta(minutes=self.need.minutes)


@dataclass(frozen=True, slots=True)
class HandedOut:
    given: tuple[tuple[Waiting, Assignment], ...]  # in the order in which they were given
    kept: tuple[Waiting, ...]  # in the order in which they wait
    next_at: datetime | None  # when the next of those must be looked at, if nobody is free before; None: not at all


def queue_order(waiting: Iterable[Waiting], now: datetime) -> list[Waiting]:
    """What can still be in time by its deadline, then what cannot, by how long that has been so.

    What has been late for `MAX_OVERTAKEN` goes before everything.
    """
    return sorted(waiting, key=lambda one: _order(one, now))


def _order(one: Waiting, now: datetime) -> tuple[int, datetime, int]:
    due = one.need.due_at
    if due is None:
        return 1, one.since, one.ticket
    can_be_in_time = now + timedelta(minutes=one.need.minutes) <= due
    if can_be_in_time:
        return 1, due, one.ticket
    return (0 if now >= due + MAX_OVERTAKEN else 2), due, one.ticket


def hand_out(
    snapshot: Crowd | Iterable[AgentSnapshot],
    waiting: Iterable[Waiting],
    now: datetime,
    rules: AssigningRules = _DEFAULTS,
    among: Iterable[str] | None = None,
) -> HandedOut:
    """What is given to whom at this moment. `among`: only these have become free, nobody else is looked at."""
    everybody = snapshot if isinstance(snapshot, Crowd) else Crowd(snapshot)
    keep_free = rules.reserve * everybody.on_duty
    free = everybody.free
    crowd = everybody.copy() if among is None else Crowd(everybody[name] for name in among)
    given: list[tuple[Waiting, Assignment]] = []
    kept: list[Waiting] = []
    tries = 0
    for one in queue_order(waiting, now):
        latest = one.latest()
        must = _must(one, now)
        gives_way = latest - now >= rules.long_time and free <= keep_free
        if not must and (tries >= MAX_TRIES or gives_way):
            kept.append(one)
            continue
        found = assign(crowd, replace(one.need, may_wait=not must), now, rules)
        if found.agent is None or (found.is_late and now < (one.need.due_at or now)):
            tries += 1
            kept.append(one)
            continue
        tries = 0
        given.append((one, found))
        before = crowd[found.agent.name]
        after = with_more(before, one.need, now)
        crowd.put(after)
        free += after.is_free - before.is_free
    return HandedOut(tuple(given), tuple(kept), _next_at(kept, now, rules))


def _must(one: Waiting, now: datetime) -> bool:
    """Its last moment has come, or it has been late too long: then it goes behind other work if there is no better."""
    due = one.need.due_at
    return due is None or one.latest() <= now < due or now >= due + MAX_OVERTAKEN


def _next_at(kept: Iterable[Waiting], now: datetime, rules: AssigningRules) -> datetime | None:
    """The next latest moment, or the moment from which something may use the reserve."""
    moments = (at for one in kept for at in (one.latest() - rules.long_time, one.latest()) if at > now)
    return min(moments, default=None)
