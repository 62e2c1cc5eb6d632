"""What waits for somebody who goes, and who could take it: the desk's facts in, names out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from support.deskrun import KEYRING, agent, policy
from support.storefacts import NOW, target, ticket

from routing.covering import could_take, next_due, shared_out, waiting_for
from routing.desk import Desk
from routing.loads import ONE
from routing.policy import Team
from routing.words import TargetKind, TicketState

HOUR = timedelta(hours=1)


def desk(*due: tuple[int, float | None], state: TicketState = TicketState.OPEN, **changes: Any) -> Desk:
    """A desk at which chen has these tickets: (number, hours until something is owed; None: nothing is)."""
    people = {name: agent(name, **changes.get(name, {})) for name in ("chen", "lin", "wu")}
    team = Team(name="desk", display_name="客服", members=("chen", "lin", "wu"))
    found = Desk(
        policy=policy(agents=people, teams={"desk": team}), keyring=KEYRING, now=NOW, next_ticket=1, next_customer=1
    )
    for number, hours in due:
        found.tickets[number] = ticket(number, agent="chen", team="desk", state=state)
        if hours is not None:
            found.targets[number] = [target(number, due_at=NOW + hours * HOUR)]
    return found


def numbers(tickets: list[Any]) -> list[int]:
    return [one.id for one in tickets]


def test_what_waits_comes_in_order_of_deadline_and_what_owes_nothing_last() -> None:
    one = desk((1, 5), (2, None), (3, 1), (4, 3))

    assert numbers(waiting_for(one, "chen")) == [3, 4, 1, 2]
    assert waiting_for(one, "lin") == []


def test_only_what_is_owed_until_then_is_asked_for() -> None:
    one = desk((1, 5), (2, None), (3, 1), (4, 3))

    assert numbers(waiting_for(one, "chen", NOW + 3 * HOUR)) == [3, 4]


def test_what_waits_for_the_customer_or_is_done_waits_for_nobody() -> None:
    states = (TicketState.WAITING, TicketState.ANSWERED, TicketState.CLOSED)

    assert [waiting_for(desk((1, 5), state=state), "chen") for state in states] == [
        [],
        [],
        [],
    ]


def test_of_several_promises_the_next_one_counts() -> None:
    one = desk((1, 5))
    one.targets[1].append(target(1, kind=TargetKind.RESOLUTION, due_at=NOW + 2 * HOUR))
    one.targets[1].append(target(1, kind=TargetKind.CALLBACK, due_at=NOW + HOUR, met_at=NOW))

    assert next_due(one, 1) == NOW + 2 * HOUR


def test_who_could_take_it_is_there_is_somebody_else_and_has_least_to_do() -> None:
    one = desk((1, 5))
    one.loads = {"lin": ONE, "chen": ONE}

    assert could_take(one, one.tickets[1], "chen") == ["wu", "lin"]
    one.presence["wu"] = False
    one.people.clear()
    assert could_take(one, one.tickets[1], "chen") == ["lin"]


def test_tickets_are_shared_out_and_not_heaped_on_one() -> None:
    one = desk(*((n, n) for n in range(1, 7)))

    given = shared_out(one, waiting_for(one, "chen"), "chen")

    names = [found.agent.name for _, found in given if found.agent is not None]
    assert sorted(names) == ["lin"] * 3 + ["wu"] * 3
    assert one.loads == {}  # nothing has been given yet


def test_where_nobody_is_there_nobody_gets_it() -> None:
    one = desk((1, 5))
    one.presence.update({"lin": False, "wu": False})

    assert [found.agent for _, found in shared_out(one, waiting_for(one, "chen"), "chen")] == [None]
