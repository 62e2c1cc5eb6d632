"""One day of the desk, event by event: customers come, people work as they really do, somebody decides who gets what.

The same agents behave the same whoever decides: a ringing telephone first, then conversations by how long they have
waited, then calls to be returned, then mails by their deadline; a mail is written in pieces of three minutes. A
decider sees only what the desk sees: who should be there, what each has open, when he last did something.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.routing_world import (
    CALLBACK,
    CLOSES,
    HOUR,
    LOADS,
    OPENS,
    PIECE,
    RINGS_FOR,
    Contact,
    Worker,
    World,
    slowness,
)

NOBODY: list[tuple[Contact, int]] = []


class Decider(Protocol):
    """Who gives out work. Each answer is (contact, agent's number); what is not given waits with the decider."""

    name: str

    def begin(self, day: Day) -> None: ...

    def comes(self, contact: Contact, now: float) -> list[tuple[Contact, int]]: ...

    def hears(self, agent: int, now: float) -> None:
        """A customer has written again, to whom he talks with."""

    def is_freer(self, agent: int, now: float) -> list[tuple[Contact, int]]: ...

    def changes(self, now: float) -> list[tuple[Contact, int]]:
        """Somebody's time on duty has begun or ended."""

    def wakes(self, now: float) -> list[tuple[Contact, int]]:
        """A moment it asked for."""

    def looks(self, contact: Contact, now: float) -> list[tuple[Contact, int]]:
        """The moment has come at which it wanted to see what became of a contact."""


@dataclass(slots=True)
class Seat:
    """An agent at his desk, and what the desk knows of him."""

    worker: Worker
    inbox: list[Contact] = field(default_factory=list)  # what waits for him
    at_it: Contact | None = None
    last_act: float | None = None
    last_given: float | None = None
    silent_since: float | None = None
    is_off: bool = False  # he has said so, or a supervisor has
    minutes: float = 0.0  # worked
    done: float = 0.0  # minutes that the desk counts for what he has answered
    count: int = 0  # of contacts that he answered first


class Day:
    """Runs a world with a decider. `run` fills the contacts in."""

    def __init__(self, world: World, decider: Decider) -> None:
        self.world = world
        self.decider = decider
        self.seats = [Seat(worker) for worker in world.workers]
        self.now = 0.0
        self._events: list[tuple[float, int, str, object]] = []
        self._number = 0
        self._wakes_at = float("inf")

    def at(self, when: float, what: str, about: object = None) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, what, about))

    def wake_at(self, when: float) -> None:
        if when < self._wakes_at:
            self._wakes_at = when
            self.at(when, "wake")

    def run(self) -> None:
        for contact in self.world.contacts:
            contact.ready = contact.at
            self.at(contact.at, "comes", contact)
        for day in range(self.world.days):
            for hour in (OPENS, 11.5 * HOUR, 12.5 * HOUR, 13.5 * HOUR, CLOSES):
                self.at(day * 24 * HOUR + hour, "changes")
        for seat in self.seats:
            if seat.worker.says_off is not None:
                self.at(seat.worker.says_off, "off", seat)
        self.decider.begin(self)
        while self._events:
            self.now, _, what, about = heapq.heappop(self._events)
            if self.now > self.world.ends:
                return
            getattr(self, f"_{what}")(about)

    # ---- what happens

    def _comes(self, contact: Contact) -> None:
        self._give(self.decider.comes(contact, self.now))
        if contact.medium == "phone":
            self.at(self.now + RINGS_FOR, "hangs_up", contact)

    def _changes(self, _: object) -> None:
        self._give(self.decider.changes(self.now))

    def _wake(self, _: object) -> None:
        self._wakes_at = float("inf")
        self._give(self.decider.wakes(self.now))

    def _look(self, contact: Contact) -> None:
        if contact.answered is None and contact.holder is not None:
            self._give(self.decider.looks(contact, self.now))

    def _off(self, seat: Seat) -> None:
        """He is gone, and the desk knows: what he has not begun is given to others, whoever decides."""
        seat.is_off = True
        left, seat.inbox = [c for c in seat.inbox if c.turn == 0], [c for c in seat.inbox if c.turn]
        for contact in left:
            contact.holder = None
        self._give(self.decider.changes(self.now))
        for contact in left:
            self._give(self.decider.comes(contact, self.now))

    def _hangs_up(self, contact: Contact) -> None:
        """Nobody took it: it becomes a call to be returned."""
        if contact.answered is not None:
            return
        contact.is_missed = True
        contact.ready, contact.due = self.now, self.now + CALLBACK
        if contact.holder is not None:
            self._poke(self.seats[contact.holder])

    def _writes(self, contact: Contact) -> None:
        """The customer's next line, to whom he talks with."""
        assert contact.holder is not None
        seat = self.seats[contact.holder]
        contact.ready = self.now
        seat.inbox.append(contact)
        self.decider.hears(seat.worker.number, self.now)
        self._poke(seat)

    def _poke_later(self, seat: Seat) -> None:
        self._poke(seat)

    # ---- giving

    def _give(self, given: list[tuple[Contact, int]]) -> None:
        for contact, agent in given:
            if contact.holder is not None:
                before = self.seats[contact.holder]
                if before.at_it is contact:
                    continue  # he is writing at this moment: his answer will be the first
                before.inbox = [c for c in before.inbox if c is not contact]
            seat = self.seats[agent]
            contact.holder, contact.given = agent, self.now
            seat.last_given = self.now
            if seat.silent_since is None:
                seat.silent_since = self.now
            seat.inbox.append(contact)
            self._poke(seat)

    # ---- working

    def _poke(self, seat: Seat) -> None:
        if seat.at_it is not None or not seat.inbox:
            return
        now = self.now
        for start, end in seat.worker.away:
            if start <= now < end:
                if end < self.world.days * 24 * HOUR:
                    self.at(end, "poke_later", seat)
                return
        best: Contact | None = None
        rank: tuple[int, float] = (9, 0.0)
        sees = float("inf")
        for one in seat.inbox:
            visible = one.given + one.sees if one.turn == 0 and not one.left else one.ready
            if visible > now:
                sees = min(sees, visible)
                continue
            if one.medium == "phone":
                mine = (0, one.at) if not one.is_missed else (2, one.at)
            elif one.medium == "email":
                mine = (3, one.due)
            else:
                mine = (1, one.ready)
            if mine < rank:
                best, rank = one, mine
        if best is not None:
            self._begin(seat, best)
        elif sees < float("inf"):
            self.at(sees, "poke_later", seat)

    def _begin(self, seat: Seat, contact: Contact) -> None:
        seat.at_it = contact
        seat.inbox.remove(contact)
        if not contact.left:
            contact.left = contact.work[contact.turn] * slowness(seat.worker, self.now)
        if contact.medium == "phone" and contact.answered is None and not contact.is_missed:
            self._answered(contact, seat)
            self._acts(seat)
        length = min(contact.left, PIECE) if contact.medium == "email" else contact.left
        contact.left -= length
        seat.minutes += length / 60
        self.at(self.now + length, "ends", (seat, contact))

    def _answered(self, contact: Contact, seat: Seat) -> None:
        if contact.answered is None:
            contact.answered, contact.answered_by = self.now, seat.worker.number
            seat.count += 1

    def _acts(self, seat: Seat) -> None:
        seat.last_act = self.now
        seat.silent_since = None

    def _ends(self, about: tuple[Seat, Contact]) -> None:
        seat, contact = about
        seat.at_it = None
        if contact.left > 1e-6:
            seat.inbox.append(contact)
            self._poke(seat)
            return
        contact.left = 0.0
        if contact.is_missed and contact.answered is None:
            contact.answered_by = seat.worker.number
            contact.answered = self.now
        self._answered(contact, seat)
        self._acts(seat)
        seat.done += LOADS.of(contact.medium, contact.kind).minutes
        contact.holder = seat.worker.number
        contact.turn += 1
        if contact.turn < len(contact.work):
            self.at(self.now + contact.thinks[contact.turn - 1], "writes", contact)
        else:
            contact.is_done = True
        self._give(self.decider.is_freer(seat.worker.number, self.now))
        self._poke(seat)


def known_there(seat: Seat, now: float) -> bool:
    """By the roster, and by what he has said: all that a desk can know."""
    day = now % (24 * HOUR)
    start, end = seat.worker.lunch
    return OPENS <= day < CLOSES and not start <= day < end and not seat.is_off
