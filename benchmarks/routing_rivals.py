"""Ways of giving out work: three that are usual, and what a desk could do that knew everything.

The usual ones know what ours knows of people: who should be there by the roster and what he has said, skills,
certificates, how much each has open, and that a telephone is engaged. They give what comes at once to one of those
with room, and keep what nobody has room for in a queue, oldest first, for whoever has room next.
"""

from __future__ import annotations

import heapq
from collections import deque

from benchmarks.routing_day import NOBODY, Day, Seat, known_there
from benchmarks.routing_world import HOUR, Contact

CAPACITY = 20  # open tickets at one time, of everybody, whoever decides: the default of docs/configuration.md


class Usual:
    """What the three have in common."""

    name = ""

    def begin(self, day: Day) -> None:
        self.day = day
        self.queue: deque[Contact] = deque()
        self.able: dict[tuple[str, bool], list[Seat]] = {}
        for seat in day.seats:
            for language in seat.worker.languages:
                for certified in {False, seat.worker.complaints}:
                    self.able.setdefault((language, certified), []).append(seat)

    def comes(self, contact: Contact, now: float) -> list[tuple[Contact, int]]:
        seat = self.best(contact, now)
        if seat is None:
            self.queue.append(contact)
            return NOBODY
        return [(contact, seat.worker.number)]

    def hears(self, agent: int, now: float) -> None:
        """Nothing is kept of it: what each has open is counted anew each time."""

    def is_freer(self, agent: int, now: float) -> list[tuple[Contact, int]]:
        seat = self.day.seats[agent]
        while self.queue and self.queue[0].answered is not None:
            self.queue.popleft()
        if not self.queue or not self.has_room(seat, now):
            return NOBODY
        for contact in self.queue:
            if contact.answered is None and may_take(seat, contact):
                self.queue.remove(contact)
                return [(contact, agent)]
        return NOBODY

    def changes(self, now: float) -> list[tuple[Contact, int]]:
        waiting, self.queue = self.queue, deque()
        given = []
        for contact in waiting:
            seat = self.best(contact, now)
            if seat is None:
                self.queue.append(contact)
            else:
                seat.inbox.append(contact)  # so that the next one sees it
                given.append((contact, seat.worker.number))
        for contact, agent in given:
            self.day.seats[agent].inbox.remove(contact)
        return given

    def wakes(self, now: float) -> list[tuple[Contact, int]]:
        return NOBODY

    def looks(self, contact: Contact, now: float) -> list[tuple[Contact, int]]:
        return NOBODY

    def has_room(self, seat: Seat, now: float) -> bool:
        return known_there(seat, now) and open_tickets(seat) < CAPACITY

    def of(self, contact: Contact) -> list[Seat]:
        return self.able.get((contact.language, contact.kind == "complaint"), [])

    def may_ring(self, seat: Seat, contact: Contact) -> bool:
        return contact.medium != "phone" or not is_on_the_line(seat)

    def best(self, contact: Contact, now: float) -> Seat | None:
        raise NotImplementedError


class RoundRobin(Usual):
    name = "round robin"

    def begin(self, day: Day) -> None:
        super().begin(day)
        self.turn: dict[int, int] = {}

    def best(self, contact: Contact, now: float) -> Seat | None:
        seats = self.of(contact)
        turn = self.turn.get(id(seats), 0)
        for step in range(len(seats)):
            seat = seats[(turn + step) % len(seats)]
            if self.has_room(seat, now) and self.may_ring(seat, contact):
                self.turn[id(seats)] = turn + step + 1
                return seat
        return None


class LeastLoaded(Usual):
    name = "least loaded"

    def best(self, contact: Contact, now: float) -> Seat | None:
        best: Seat | None = None
        rank = (CAPACITY, 0.0)
        for seat in self.of(contact):
            mine = (len(seat.inbox) + (seat.at_it is not None), seat.last_given or 0.0)
            if mine < rank and known_there(seat, now) and self.may_ring(seat, contact):
                best, rank = seat, mine
        return best


class LongestIdle(Usual):
    name = "longest idle"

    def best(self, contact: Contact, now: float) -> Seat | None:
        """Nobody's work first, and of these whose last act or work lies longest back; else the same among all."""
        best: Seat | None = None
        rank = (True, float("inf"))
        for seat in self.of(contact):
            count = len(seat.inbox) + (seat.at_it is not None)
            if count >= CAPACITY:
                continue
            mine = (count > 0, max(seat.last_act or 0.0, seat.last_given or 0.0))
            if mine < rank and known_there(seat, now) and self.may_ring(seat, contact):
                best, rank = seat, mine
        return best


def open_tickets(seat: Seat) -> int:
    """That wait for him, as the desk sees it: what he is at is one of them until he has answered."""
    return len(seat.inbox) + (seat.at_it is not None)


def is_on_the_line(seat: Seat) -> bool:
    """An exchange knows that, whoever decides; and that it rings there already."""
    if seat.at_it is not None and seat.at_it.medium == "phone":
        return True
    return any(one.medium == "phone" and not one.is_missed for one in seat.inbox)


def may_take(seat: Seat, contact: Contact) -> bool:
    if contact.kind == "complaint" and not seat.worker.complaints:
        return False
    return contact.language in seat.worker.languages


class KnowsAll:
    """An upper mark, not a way to work: it knows who is really there, how long each thing takes, and who is quick.

    Whoever is free takes the nearest deadline that he can still meet; nobody begins a mail that has time while fewer
    than half are free. It is no proof of what cannot be exceeded: it does not know who will write next.
    """

    name = "oracle"

    def begin(self, day: Day) -> None:
        self.day = day
        self.waiting: dict[tuple[str, bool, bool], list[tuple[float, int, Contact]]] = {}
        for seat in day.seats:
            for _, end in seat.worker.away:
                day.at(end, "changes")

    def comes(self, contact: Contact, now: float) -> list[tuple[Contact, int]]:
        if contact.medium != "email":
            best: Seat | None = None
            rank = (9.0, 0.0)
            for seat in self._free(now):
                mine = (float(len(seat.worker.languages) + seat.worker.complaints), seat.worker.pace)
                if mine < rank and may_take(seat, contact):
                    best, rank = seat, mine
            if best is not None:
                return [(contact, best.worker.number)]
        key = (contact.language, contact.kind == "complaint", contact.medium == "email")
        heapq.heappush(self.waiting.setdefault(key, []), (contact.due, contact.number, contact))
        return self.changes(now) if contact.medium == "email" else NOBODY

    def hears(self, agent: int, now: float) -> None:
        """It looks for itself."""

    def _free(self, now: float) -> list[Seat]:
        return [s for s in self.day.seats if s.at_it is None and not s.inbox and is_really_there(s, now)]

    def is_freer(self, agent: int, now: float) -> list[tuple[Contact, int]]:
        seat = self.day.seats[agent]
        if not is_really_there(seat, now):
            return NOBODY
        found = self._nearest(seat, now, len(self._free(now)))
        return [(found, agent)] if found is not None else NOBODY

    def _nearest(self, seat: Seat, now: float, free: int) -> Contact | None:
        best: list[tuple[float, int, Contact]] | None = None
        for (language, is_complaint, is_mail), heap in self.waiting.items():
            if language not in seat.worker.languages or (is_complaint and not seat.worker.complaints):
                continue
            while heap and (heap[0][2].answered is not None or heap[0][2].is_missed or _is_too_late(heap[0][2], now)):
                heapq.heappop(heap)  # it would be late: that time is better spent on another
            if not heap or (is_mail and heap[0][0] - now > HOUR and free * 2 < len(self.day.seats)):
                continue
            if best is None or heap[0][0] < best[0][0]:
                best = heap
        return heapq.heappop(best)[2] if best else None

    def changes(self, now: float) -> list[tuple[Contact, int]]:
        given = []
        free = self._free(now)
        for place, seat in enumerate(free):
            found = self._nearest(seat, now, len(free) - place)
            if found is not None:
                given.append((found, seat.worker.number))
        return given

    def wakes(self, now: float) -> list[tuple[Contact, int]]:
        return NOBODY

    def looks(self, contact: Contact, now: float) -> list[tuple[Contact, int]]:
        return NOBODY


def _is_too_late(contact: Contact, now: float) -> bool:
    return now + (0.0 if contact.medium == "phone" else contact.work[0]) > contact.due


def is_really_there(seat: Seat, now: float) -> bool:
    return not any(start <= now < end for start, end in seat.worker.away)
