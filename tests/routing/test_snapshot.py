"""Everybody as he stands: what the desk knows of shifts, leave, certificates, work and signs of life."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from support.deskrun import KEYRING, agent, policy
from support.storefacts import NOW, ticket

from routing.assigning_rules import AssigningRules
from routing.desk import Desk
from routing.loads import Load, LoadRules
from routing.policy import Team
from routing.roster import Person, Roster, Stretch
from routing.words import TicketState

HOUR = timedelta(hours=1)
RULES = AssigningRules(loads=LoadRules(weights={"email": 2}, minutes={"email": 10.0}))


def desk(**people: Person) -> Desk:
    """A desk of chen, lin and wu, with a roster that says this of them."""
    team = Team(name="desk", display_name="客服", members=("chen", "lin", "wu"))
    told: dict[str, Any] = {"agents": {name: agent(name) for name in team.members}, "teams": {"desk": team}}
    made = replace(policy(**told), roster=Roster(people=people), assigning=RULES)
    return Desk(policy=made, keyring=KEYRING, now=NOW, next_ticket=1, next_customer=1)


def shift(start: timedelta, end: timedelta) -> Person:
    return Person(shifts=(Stretch(NOW + start, NOW + end),))


def on_duty(one: Desk) -> dict[str, bool]:
    return {each.agent.name: each.is_on_duty for each in one.snapshot()}


def test_shifts_and_leave_are_known_and_who_has_neither_is_there() -> None:
    leave = Person(leave=(Stretch(NOW - HOUR, NOW + HOUR),))
    one = desk(chen=shift(-HOUR, HOUR), lin=leave)

    assert on_duty(one) == {"chen": True, "lin": False, "wu": True}
    assert one.snapshot()["chen"].on_until == NOW + HOUR


def test_a_shift_that_ends_between_two_decisions_has_ended() -> None:
    one = desk(chen=shift(-HOUR, HOUR), lin=shift(HOUR, 2 * HOUR))
    before = on_duty(one)

    one.now = NOW + HOUR

    assert before == {"chen": True, "lin": False, "wu": True}
    assert on_duty(one) == {"chen": False, "lin": True, "wu": True}


def test_who_says_that_he_goes_is_gone_whatever_the_roster_says() -> None:
    one = desk(chen=shift(-HOUR, HOUR))
    one.presence["chen"] = False

    assert on_duty(one)["chen"] is False


def test_a_certificate_of_the_roster_with_its_end() -> None:
    one = desk(chen=Person(certificates={"complaints": (None, NOW), "audit": (NOW + HOUR, None)}))

    chen = one.snapshot()["chen"]

    assert chen.certificates == {"complaints"}  # the other has not begun
    assert chen.has_expired("complaints", NOW)
    assert not chen.has_expired("complaints", NOW - HOUR)


def test_what_waits_for_him_weighs_and_costs_until_it_is_answered() -> None:
    one = desk()
    one.put_ticket(ticket(1, agent="chen", team="desk", medium="email"))
    one.put_ticket(ticket(2, agent="chen", team="desk", medium="email"))
    busy = one.snapshot()["chen"]

    one.put_ticket(replace(one.tickets[1], state=TicketState.ANSWERED))
    done = one.snapshot()["chen"]

    assert (busy.open_tickets, busy.expected_minutes, busy.used, busy.share_minutes) == (2, 20.0, 4, 0.0)
    assert (done.open_tickets, done.expected_minutes, done.used, done.share_minutes) == (1, 10.0, 2, 10.0)
    assert one.loads["chen"] == Load(1, 10.0, 2)


def test_what_is_taken_from_him_he_has_not_done() -> None:
    one = desk()
    one.put_ticket(ticket(1, agent="chen", team="desk", medium="email"))

    one.put_ticket(replace(one.tickets[1], agent="lin"))

    assert {each.agent.name: each.share_minutes for each in one.snapshot()} == {"chen": 0.0, "lin": 0.0, "wu": 0.0}
    assert one.snapshot()["chen"].open_tickets == 0


def test_he_is_silent_from_the_first_thing_he_was_given_until_he_does_anything() -> None:
    one = desk()
    one.snapshot()
    one.note_assigned("chen")
    one.now = NOW + HOUR
    one.note_assigned("chen")
    silent = one.snapshot()["chen"]

    one.note_act("chen")
    acted = one.snapshot()["chen"]

    assert (silent.silent_since, silent.last_act_at) == (NOW, None)
    assert (acted.silent_since, acted.last_act_at) == (None, NOW + HOUR)
    assert one.changes.acted == {"chen": NOW + HOUR}


def test_with_a_queue_for_the_night_who_has_no_shift_works_by_his_calendar() -> None:
    one = desk(chen=shift(-HOUR, 20 * HOUR))
    one.policy = replace(one.policy, assigning=replace(RULES, queues_out_of_hours=True))
    spec = one.policy.calendars[one.policy.calendar]
    empty = replace(spec, week={}, exceptions={}, country="", version="never")
    one.policy = replace(one.policy, calendars={one.policy.calendar: empty})

    assert on_duty(one) == {"chen": True, "lin": False, "wu": False}
