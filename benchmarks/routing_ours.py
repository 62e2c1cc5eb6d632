"""The desk's own way of giving out work: the code of `routing/`, handed what the daemon would hand it."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import replace
from datetime import timedelta

from benchmarks.routing_day import Day, Seat, known_there
from benchmarks.routing_rivals import CAPACITY, is_on_the_line, open_tickets
from benchmarks.routing_world import HOUR, LOADS, MIDNIGHT, SPEC, TARGETS, Contact, moment
from routing.assigning_rules import AssigningRules
from routing.assignment import Assignment, Need, assign
from routing.crowd import AgentSnapshot, Crowd
from routing.handing_out import Waiting, hand_out
from routing.policy import Agent
from routing.rescuing import Held, rescue, rescue_at
from routing.words import Evidence

HEAD = 10  # of what waits, that is looked at when one person becomes free
ALL = 20_000  # … when it is anybody's turn, as at the opening

Given = list[tuple[Contact, int]]


class Ours:
    """Queue, choice and rescue; each may be left out, to see what it is worth."""

    def __init__(
        self,
        rules: AssigningRules | None = None,
        *,
        name: str = "ours",
        with_queue: bool = True,
        with_rescue: bool = True,
        with_own: bool = True,
    ) -> None:
        self.name = name
        self.rules = rules or AssigningRules()
        self.with_queue = with_queue
        self.with_rescue = with_rescue
        self.with_own = with_own
        self.rescued = 0

    def begin(self, day: Day) -> None:
        self.day = day
        self.agents = [self._agent(seat) for seat in day.seats]
        self.members = frozenset(agent.name for agent in self.agents)
        self.crowd = Crowd(self._stands(seat, 0.0) for seat in day.seats)
        self.waiting: list[tuple[float, int, Waiting]] = []  # by due time

    # ---- what the daemon would know

    def _agent(self, seat: Seat) -> Agent:
        worker = seat.worker
        return Agent(
            name=worker.name,
            display_name=worker.name,
            addresses=(f"{worker.name}@firm.example",),
            evidence=frozenset({Evidence.AUTHSERV}),
            languages=worker.languages,
            complaints=worker.complaints,
            capacity=CAPACITY,
        )

    def _stands(self, seat: Seat, now: float) -> AgentSnapshot:
        open_work = [*seat.inbox, *([seat.at_it] if seat.at_it is not None else [])]
        loads = [LOADS.of("phone" if one.is_missed else one.medium, one.kind) for one in open_work]
        there = known_there(seat, now)
        return AgentSnapshot(
            agent=self.agents[seat.worker.number],
            is_on_duty=there,
            open_tickets=open_tickets(seat),
            expected_minutes=sum(load.minutes for load in loads),
            last_assigned_at=moment(seat.last_given) if seat.last_given is not None else None,
            on_until=moment(_until(seat, now)) if there else None,
            last_act_at=moment(seat.last_act) if seat.last_act is not None else None,
            silent_since=moment(seat.silent_since) if seat.silent_since is not None else None,
            doubt_after=self.rules.doubt_after.total_seconds(),
            doubt_for=self.rules.doubt_for.total_seconds(),
            share_minutes=seat.done,
        )

    def _refresh(self, seat: Seat, now: float) -> None:
        self.crowd.put(self._stands(seat, now))

    def _need(self, contact: Contact) -> Need:
        return Need(
            members=self.members,
            language=contact.language,
            is_complaint=contact.kind == "complaint",
            preferred=contact.own if self.with_own else "",
            due_at=moment(contact.due),
            minutes=LOADS.first_of(contact.medium, ""),
            load=LOADS.of(contact.medium, contact.kind),
        )

    # ---- what happens

    def comes(self, contact: Contact, now: float) -> Given:
        one = Waiting(ticket=contact.number, need=self._need(contact), since=moment(contact.at))
        if contact.medium == "phone":
            engaged = frozenset(s.worker.name for s in self.day.seats if s.inbox or s.at_it if is_on_the_line(s))
            found = assign(self.crowd, _without(one.need, engaged), moment(now), self.rules)
            return self._noted([(contact, found)], now)
        if not self.with_queue:
            found = assign(self.crowd, one.need, moment(now), self.rules)
            if found.agent is not None:
                return self._noted([(contact, found)], now)
            self._keep(one)
            return []
        return self._handed_out([one], now, is_new=True)

    def hears(self, agent: int, now: float) -> None:
        self._refresh(self.day.seats[agent], now)

    def is_freer(self, agent: int, now: float) -> Given:
        seat = self.day.seats[agent]
        self._refresh(seat, now)
        if not self.waiting:
            return []
        return self._handed_out(self._head(now, HEAD), now, among=[seat.worker.name])

    def changes(self, now: float) -> Given:
        for seat in self.day.seats:
            self._refresh(seat, now)
        return self._handed_out(self._head(now, ALL), now)

    def wakes(self, now: float) -> Given:
        return self._handed_out(self._head(now, 8 * HEAD), now)

    def looks(self, contact: Contact, now: float) -> Given:
        assert contact.holder is not None
        holder = self.day.seats[contact.holder]
        self._refresh(holder, now)
        held = Held(agent=holder.worker.name, assigned_at=moment(contact.given), had_it=tuple(contact.had_it))
        found = rescue(self.crowd, self._need(contact), held, moment(now), self.rules)
        if found is None:
            if len(contact.had_it) < self.rules.max_rescues and now < contact.due:
                self._look_again(contact, now)
            return []
        self.rescued += 1
        contact.had_it.append(holder.worker.name)
        given = self._noted([(contact, found)], now)
        holder_open = [one for one in holder.inbox if one is not contact]
        if len(holder_open) != len(holder.inbox):
            holder.inbox[:] = holder_open
            self._refresh(holder, now)
        return given

    # ---- the queue

    def _keep(self, one: Waiting) -> None:
        insort(self.waiting, (_due(one), one.ticket, one))

    def _head(self, now: float, count: int) -> list[Waiting]:
        """Enough of the queue: what is late the longest, and the nearest deadlines that can be met."""
        place = bisect_left(self.waiting, (now, 0))
        some = [*self.waiting[: min(place, count)], *self.waiting[place : place + count]]
        kept = []
        for entry in some:
            contact = self.day.world.contacts[entry[1]]
            if contact.answered is not None or contact.holder is not None:
                self._drop(entry[2])
            else:
                kept.append(entry[2])
        return kept

    def _drop(self, one: Waiting) -> None:
        place = bisect_left(self.waiting, (_due(one), one.ticket))
        if place < len(self.waiting) and self.waiting[place][1] == one.ticket:
            del self.waiting[place]

    def _handed_out(
        self, some: list[Waiting], now: float, among: list[str] | None = None, *, is_new: bool = False
    ) -> Given:
        if not some:
            return []
        done = hand_out(self.crowd, some, moment(now), self.rules, among)
        if is_new:
            for one in done.kept:
                self._keep(one)
        else:
            for one, _ in done.given:
                self._drop(one)
        if done.next_at is not None:
            self.day.wake_at(max(now + 5, (done.next_at - MIDNIGHT).total_seconds()))
        contacts = self.day.world.contacts
        return self._noted([(contacts[one.ticket], found) for one, found in done.given], now)

    def _noted(self, found: list[tuple[Contact, Assignment]], now: float) -> Given:
        given: Given = []
        for contact, one in found:
            if one.agent is None:
                continue
            number = int(one.agent.name[1:])
            given.append((contact, number))
            seat = self.day.seats[number]
            before = self.crowd[one.agent.name]
            load = LOADS.of(contact.medium, contact.kind)
            seat.last_given = now
            if seat.silent_since is None:
                seat.silent_since = now
            self.crowd.put(
                AgentSnapshot(
                    agent=before.agent,
                    is_on_duty=before.is_on_duty,
                    open_tickets=before.open_tickets + 1,
                    expected_minutes=before.expected_minutes + load.minutes,
                    last_assigned_at=moment(now),
                    on_until=before.on_until,
                    last_act_at=before.last_act_at,
                    silent_since=moment(seat.silent_since),
                    doubt_after=before.doubt_after,
                    doubt_for=before.doubt_for,
                    share_minutes=before.share_minutes,
                )
            )
            if self.with_rescue and contact.medium != "phone":
                contact.given = now
                self._look_again(contact, now)
        return given

    def _look_again(self, contact: Contact, now: float) -> None:
        at = rescue_at(SPEC, TARGETS[contact.medium].unit, moment(now), moment(contact.due), self.rules)
        if at is not None:
            self.day.at((at - MIDNIGHT) / timedelta(seconds=1), "look", contact)


def _due(one: Waiting) -> float:
    return (one.need.due_at - MIDNIGHT).total_seconds() if one.need.due_at is not None else 0.0


def _without(need: Need, engaged: frozenset[str]) -> Need:
    return replace(need, excluded=engaged, preferred="" if need.preferred in engaged else need.preferred)


def _until(seat: Seat, now: float) -> float:
    """When his time on duty ends, by the roster."""
    start, _ = seat.worker.lunch
    midnight = now - now % (24 * HOUR)
    return midnight + (start if now % (24 * HOUR) < start else 18 * HOUR)
