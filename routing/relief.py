"""Relief: what nobody has is given to somebody, and what will be late with one goes to another who can make it.

Both change the desk as a message would. A ticket that is rescued is lost to who had it: he is told, and it never goes
back to him. When to look is kept with the promise (`rescue_at`), and is set whenever
somebody gets the ticket; after a look that left it where it is, for half of what is left then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from channels.message import Medium, Scheme
from routing.assignment import Assignment
from routing.budgets import parse_budget
from routing.calendars import NoOpenHours, is_open, next_opening
from routing.called_out import called_out
from routing.desk import Desk, domain_of, mail_id, reason_data
from routing.handing_out import HandedOut, Waiting, hand_out
from routing.needs import need_of, own_agent
from routing.overflowing import Unassigned, Whom, asked, next_step
from routing.policy import Agent, BudgetUnit
from routing.records import NewOutbox, Target, Ticket
from routing.rescuing import Held, rescue, rescue_at
from routing.words import NoticeKind, Purpose, TargetKind, TicketState
from routing.writing import send_to_agent, write_to_holder

#: Promises of a person's words: those that somebody else can still keep.
_WORDS = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE, TargetKind.CALLBACK)


# ---- when to look


def arm(desk: Desk) -> None:
    """Set when to look at the promises of every ticket that somebody was given in this batch."""
    for number in desk.newly_held:
        ticket = desk.tickets.get(number)
        if ticket is None or ticket.agent is None or ticket.state is TicketState.CLOSED:
            continue
        for target in desk.open_targets(number):
            _look_again(desk, ticket, target)
    desk.newly_held.clear()


def _look_again(desk: Desk, ticket: Ticket, target: Target) -> None:
    """Half of what is left from now on; never where nothing is left, or the telephone rings."""
    at = None
    if target.kind in _WORDS and (target.kind is TargetKind.CALLBACK or ticket.medium != Medium.PHONE):
        spec = desk.policy.calendars.get(target.calendar) or desk.policy.calendar_of(ticket.channel, ticket.team)
        try:
            at = rescue_at(spec, _unit(target), desk.now, target.due_at, desk.policy.assigning)
        except NoOpenHours:
            at = None
    if at != target.rescue_at:
        desk.rearm(target, replace(target, rescue_at=at))


def _unit(target: Target) -> BudgetUnit:
    """How the time of a stored promise is counted; rings are seconds."""
    try:
        return parse_budget(target.budget).unit
    except ValueError:
        return BudgetUnit.WALL


# ---- rescue


def relieve(
    desk: Desk, ripe: Iterable[Target], seen: Mapping[tuple[int, str], datetime], had: Mapping[int, tuple[str, ...]]
) -> None:
    """Look at the promises whose time to look has come.

    `seen`: (ticket, agent) -> his last act on it; `had`: ticket -> from whom it was taken.
    """
    for target in ripe:
        ticket = desk.tickets.get(target.ticket)
        if ticket is None or ticket.agent is None or ticket.state is not TicketState.OPEN:
            desk.rearm(target, replace(target, rescue_at=None))
            continue
        held = Held(
            agent=ticket.agent,
            assigned_at=ticket.assigned_at or target.started_at,
            seen_at=seen.get((ticket.id, ticket.agent)),
            had_it=had.get(ticket.id, ()),
        )
        found = rescue(desk.snapshot(), need_of(desk, ticket), held, desk.now, desk.policy.assigning)
        if found is None or found.agent is None:
            _look_again(desk, ticket, target)
            continue
        _take_over(desk, ticket, target, found, found.agent)


def _take_over(desk: Desk, ticket: Ticket, target: Target, found: Assignment, other: Agent) -> None:
    first = desk.policy.agents.get(ticket.agent or "")
    desk.tell(
        "ticket_rescued",
        ticket=ticket.id,
        agent=other.name,
        taken_from=ticket.agent,
        target=target.kind.value,
        ordinal=target.ordinal,
        due_at=target.due_at.isoformat(),
        reasons=reason_data(found.reasons),
        candidates=[list(c) for c in found.candidates],
    )
    _give(desk, ticket, found, other)
    if first is not None:
        _tell_first(desk, ticket, first, other)


def _tell_first(desk: Desk, ticket: Ticket, first: Agent, other: Agent) -> None:
    """`已轉給陳，您不用回`. His reply addresses live on: what he is just writing waits for a word of his."""
    channel = desk.mail_channel_of(ticket)
    if channel is None:
        return
    desk.send(
        NewOutbox(
            ticket=ticket.id,
            source=ticket.opened_by,
            channel=channel.name,
            address=f"{Scheme.MAIL.value}:{first.addresses[0]}",
            purpose=Purpose.TOLD,
            agent=first.name,
            recipe={"message": ticket.opened_by, "code": "moved", "detail": other.display_name},
            mail_id=mail_id(desk.keyring, domain_of(channel), "rescued", ticket.id, first.name, desk.now),
        )
    )


def _give(desk: Desk, ticket: Ticket, found: Assignment, agent: Agent) -> None:
    current = desk.tickets.get(ticket.id, ticket)
    desk.put_ticket(replace(current, agent=agent.name, assigned_at=desk.now, updated_at=desk.now))
    desk.note_assigned(agent.name)
    channel = desk.mail_channel_of(ticket)
    if channel is None:
        desk.tell("agent_unreachable", ticket=ticket.id, agent=agent.name, why="no mail channel")
        return
    send_to_agent(
        desk,
        desk.tickets[ticket.id],
        agent,
        channel,
        Purpose.ASSIGNMENT,
        message=desk.latest_of(ticket),
        reasons=found.reasons,
    )


# ---- what nobody has


def hand_out_all(desk: Desk, unassigned: Iterable[Ticket], told: Iterable[int]) -> HandedOut:
    """Give what waits to whoever is free, the nearest deadline first; in time, tell the supervisors of the rest.

    `told`: tickets of which the supervisors have been told.
    """
    known, waiting = set(told), []
    for ticket in unassigned:
        facts = facts_of(desk, ticket)
        called = called_out(desk, ticket)
        if called is not None:
            _hand_to(desk, ticket, called)
            continue
        need = need_of(desk, ticket, members=_members(desk, ticket, asked(facts, desk.now, desk.policy.assigning)))
        waiting.append(Waiting(ticket=ticket.id, need=need, since=facts.started_at))
        step = next_step(facts, desk.now, desk.policy.assigning)
        while step is not None and step.at <= desk.now and step.whom is not Whom.SUPERVISOR:
            facts = replace(facts, taken=(*facts.taken, step.whom))
            step = next_step(facts, desk.now, desk.policy.assigning)
        if step is not None and step.at <= desk.now and ticket.id not in known:
            tell_supervisors(desk, ticket)
    handed = hand_out(desk.snapshot(), waiting, desk.now, desk.policy.assigning)
    for one, found in handed.given:
        assert found.agent is not None, "given to somebody"
        _hand_to(desk, desk.tickets[one.ticket], found)
    return handed


def _hand_to(desk: Desk, ticket: Ticket, found: Assignment) -> None:
    assert found.agent is not None, "given to somebody"
    desk.tell(
        "assigned",
        ticket=ticket.id,
        agent=found.agent.name,
        reasons=reason_data(found.reasons),
        candidates=[list(c) for c in found.candidates],
    )
    _give(desk, ticket, found, found.agent)


def facts_of(desk: Desk, ticket: Ticket) -> Unassigned:
    """A ticket that nobody has, as overflow looks at it."""
    spec = desk.policy.calendar_of(ticket.channel, ticket.team)
    owed = [t for t in desk.open_targets(ticket.id) if t.kind in _WORDS]
    is_open_now = is_open(spec, desk.now)
    return Unassigned(
        started_at=min((t.started_at for t in owed), default=ticket.opened_at),
        due_at=min((t.due_at for t in owed), default=None),
        own_agent=own_agent(desk, ticket),
        is_urgent=ticket.is_urgent,
        is_open=is_open_now,
        opens_at=None if is_open_now else _opening(desk, ticket),
    )


def _opening(desk: Desk, ticket: Ticket) -> datetime | None:
    try:
        return next_opening(desk.policy.calendar_of(ticket.channel, ticket.team), desk.now)
    except NoOpenHours:
        return None


def _members(desk: Desk, ticket: Ticket, whom: frozenset[Whom]) -> frozenset[str]:
    """Everybody who may be given it by now."""
    policy = desk.policy
    team = policy.teams.get(ticket.team) or policy.teams[policy.default_team]
    found: set[str] = set()
    if Whom.OWN_AGENT in whom:
        found.update({own_agent(desk, ticket)} - {""})
    if Whom.TEAM in whom:
        found.update(team.members)
    if Whom.OTHER_TEAM in whom:
        found.update(name for other in policy.teams.values() for name in other.members)
    if Whom.ON_CALL in whom:
        found.update(policy.assigning.on_call)
    return frozenset(found)


def tell_supervisors(desk: Desk, ticket: Ticket) -> None:
    """Nobody has it, and time runs: the team's supervisors get it, once."""
    desk.tell("supervisors_asked", ticket=ticket.id, team=ticket.team)
    target = next((t for t in desk.open_targets(ticket.id) if t.kind in _WORDS), None)
    if target is not None:
        desk.changes.noticed.append((target, NoticeKind.OVERFLOW))
    write_to_holder(desk, desk.tickets.get(ticket.id, ticket), desk.latest_of(ticket), Purpose.ASSIGNMENT)
