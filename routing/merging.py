"""Merging: two tickets are one matter. `!merge 1042`: this one ends, and goes on as #1042.

What the customer wrote here belongs there from now on, and so does what he was promised: of two first responses the
earlier one stands. Whoever gets copies here gets them there. Tickets of two customers are only joined after a question
that names both: from then on each reads what is answered to the other.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from channels.message import Scheme
from routing.commands import CommandName, bare, parse
from routing.confirming import ask
from routing.deed import Act
from routing.desk import Desk, Incoming
from routing.folding import fold
from routing.handing_over import taken_away
from routing.holding import may_tell, tell_plainly
from routing.joining import MERGED, goes_on_as, take_along
from routing.obstacles import may_act
from routing.once import asked_once, done_once
from routing.policy import Agent
from routing.recipients import answer_address, participant
from routing.reclassifying import become
from routing.records import Question, Target, Ticket
from routing.words import Kind, ParticipantRole, Purpose, QuestionKind, Standing, TargetKind, TicketState
from routing.writing import write_to_holder

_NUMBER = re.compile(r"[#＃]?\s*(\d{1,18})\Z")
_WORDS = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE, TargetKind.CALLBACK)


def number_in(argument: str) -> int | None:
    """The ticket that `!merge` names; None if it is no number."""
    found = _NUMBER.match(fold(argument.strip()))
    return int(found[1]) if found else None


def tickets_named(text: str) -> set[int]:
    """The tickets that the commands at the top of a mail name beside their own: they are read beforehand."""
    if not bare(text).startswith(("!", "！")):
        return set()
    named = (number_in(c.argument) for c in parse(text).commands if c.name in (CommandName.MERGE, CommandName.SAME))
    return {number for number in named if number is not None}


def tickets_of(question: Question) -> set[int]:
    """The tickets that a question is about, beside the one whose conversation it is in."""
    return {int(question.data[n]) for n in ("ticket", "into") if n in question.data}


# ---- as a deed


@asked_once
def cannot_merge(act: Act) -> str:
    return why_not(act.desk, act.ticket, number_in(act.argument))


def why_not(desk: Desk, ticket: Ticket, number: int | None) -> str:
    """The code of what is against merging a ticket into that one; "" if nothing is."""
    if number == ticket.id:
        return "merge_self"
    other = desk.tickets.get(number) if number is not None else None
    if other is None:
        return "merge_unknown"
    if any((t.closed_reason or "").startswith(MERGED) and t.closed_at for t in (ticket, other)):
        return "merge_merged"
    days = timedelta(days=desk.policy.closed_token_days)
    if other.closed_at is not None and desk.now - other.closed_at > days:
        return "merge_closed"
    return ""


@done_once
def merges(act: Act) -> str:
    number = number_in(act.argument)
    assert number is not None, "asked before"
    desk, ticket, other = act.desk, act.ticket, act.desk.tickets[number]
    if ticket.customer == other.customer:
        merge(act.incoming, desk, act.agent, ticket, other)
        return "merged_words"
    ask(
        act.incoming,
        desk,
        act.agent,
        QuestionKind.MERGE,
        {"ticket": ticket.id, "into": other.id},
        ticket=ticket.id,
        detail=_both(desk, ticket, other),
    )
    return "merge_asked_words"


def _both(desk: Desk, *both: Ticket) -> str:
    """`#1001 王美玲 → #1002 李大華`: who would read each other's answers."""
    return " → ".join(f"#{t.id} {_name(desk, t)}".rstrip() for t in both)


def _name(desk: Desk, ticket: Ticket) -> str:
    customer = desk.customers.get(ticket.customer)
    return (ticket.contact_name or (customer.name if customer else ""))[:80]


def confirmed_merge(incoming: Incoming, desk: Desk, agent: Agent, question: Question) -> None:
    """The agent has said that two customers' tickets are one matter."""
    ticket, number = desk.tickets.get(int(question.data["ticket"])), int(question.data["into"])
    code = "merge_unknown" if ticket is None else why_not(desk, ticket, number)
    if ticket is not None and not code and not may_act(desk, ticket, agent):
        if may_tell(desk, agent):
            tell_plainly(incoming, desk, agent, "not_yours_now", ticket=ticket.id, by=ticket.agent)
        return
    if ticket is None or code:
        if may_tell(desk, agent):
            tell_plainly(incoming, desk, agent, code, ticket=ticket.id if ticket else None)
        return
    merge(incoming, desk, agent, ticket, desk.tickets[number])


# ---- doing it


def merge(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, other: Ticket) -> None:
    """Let a ticket go on as another."""
    waits = ticket.state is TicketState.OPEN
    _let_in(incoming, desk, agent, ticket, other)
    # Where an answer is on its way, it keeps there what it keeps.
    owed = [] if ticket.state is TicketState.CLOSED else desk.open_targets(ticket.id)
    for target in owed:
        _hand_on(desk, other, target)
    _end(incoming, desk, agent, ticket, other)
    take_along(incoming, desk, ticket, other)
    desk.merge(ticket.id, other.id)
    current = desk.tickets[other.id]
    state = ticket.state if current.state is TicketState.CLOSED and ticket.state is not TicketState.CLOSED else None
    changed = replace(current, is_urgent=current.is_urgent or ticket.is_urgent, updated_at=desk.now)
    if waits or state is not None:
        changed = replace(changed, state=TicketState.OPEN if waits else state or changed.state)
    desk.put_ticket(changed)
    if ticket.kind is Kind.COMPLAINT:
        become(incoming, desk, agent, desk.tickets[other.id], Kind.COMPLAINT)
    write_to_holder(desk, desk.tickets[other.id], ticket.opened_by, Purpose.UPDATE, standing=Standing(ticket.standing))


def _let_in(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, other: Ticket) -> None:
    """Who got answers here gets them there, unless somebody took him out."""
    there = desk.participants.get(other.id, {})
    to = answer_address(other, desk.contacts.get(other.contact))
    here = {p.address: p.name for p in desk.participants.get(ticket.id, {}).values() if p.role == ParticipantRole.CC}
    if ticket.contact.startswith(f"{Scheme.MAIL.value}:"):
        here[ticket.contact] = ticket.contact_name
    new = {
        address: name
        for address, name in here.items()
        if address not in (other.contact, to)
        and (address not in there or there[address].role == ParticipantRole.LISTED)
    }
    for address, name in new.items():
        desk.put_participant(participant(other.id, address, name, ParticipantRole.CC, at=desk.now, agent=agent.name))
    if new:
        desk.tell("copies_changed", ticket=other.id, message=incoming.id, agent=agent.name, added=len(new), removed=0)


def _hand_on(desk: Desk, other: Ticket, target: Target) -> None:
    """End a promise here; what goes on there is broken there, or kept: not once more here. No clock stands on there."""
    target = desk.running(target)
    goes_on = _carry(desk, other, target)
    desk.withdraw(target, min(desk.now, target.due_at) if goes_on else desk.now)


def _carry(desk: Desk, other: Ticket, target: Target) -> bool:
    """What was promised here is promised there: by the earlier of two, if both were. True if it goes on as it was."""
    kinds = _WORDS if target.kind in _WORDS else (target.kind,)
    theirs = [t for t in desk.open_targets(other.id) if t.kind in kinds]
    if not theirs:
        before = [t.ordinal for t in desk.targets.get(other.id, ()) if t.kind is target.kind]
        moved = replace(target, ticket=other.id, ordinal=max(before, default=0) + 1)
        desk.put_target(moved)
        desk.tell(
            "target_set",
            ticket=other.id,
            target=moved.kind.value,
            ordinal=moved.ordinal,
            due_at=moved.due_at.isoformat(),
            started_at=moved.started_at.isoformat(),
            budget=moved.budget,
            key=moved.policy_key,
            calendar=moved.calendar,
            calendar_version=moved.calendar_version,
        )
        return True
    first = desk.running(min(theirs, key=lambda t: t.due_at))
    if target.due_at < first.due_at and first.breached_at is None:
        moved = replace(target, ticket=other.id, kind=first.kind, ordinal=first.ordinal)
        desk.move_target(first, moved, "merged")
        return True
    return False


def owe_there(desk: Desk, ticket: Ticket) -> None:
    """What was said on a joined ticket did not reach the customer after all: he waits on the one that it goes on as."""
    other = goes_on_as(desk, ticket)
    for target in desk.open_targets(ticket.id):
        _hand_on(desk, other, target)
    if other.state is TicketState.ANSWERED and any(t.kind in _WORDS for t in desk.open_targets(other.id)):
        desk.put_ticket(replace(desk.tickets[other.id], state=TicketState.OPEN, updated_at=desk.now))


def _end(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, other: Ticket) -> None:
    reason = f"{MERGED}{other.id}"
    desk.put_ticket(
        replace(
            desk.tickets[ticket.id],
            state=TicketState.CLOSED,
            closed_at=desk.now,
            closed_reason=reason,
            updated_at=desk.now,
        )
    )
    desk.tell("ticket_merged", ticket=ticket.id, message=incoming.id, agent=agent.name, into=other.id)
    desk.tell("ticket_joined", ticket=other.id, message=incoming.id, agent=agent.name, joined=ticket.id)
    taken_away(incoming, desk, ticket, agent)
