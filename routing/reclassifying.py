"""Reclassifying: an agent says what a ticket really is about: its topic, its kind, that it is a complaint.

A kind has promises of its own: those of the new one are made, from when the ticket began, and those that only the old
one had are no longer owed. A complaint goes to somebody certified, who is not the one it is about; nothing is said to
the customer by itself. Every change is kept as an event with what it was before.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from routing.assignment import Need, assign
from routing.deed import Act
from routing.desk import Desk, Incoming, reason_data
from routing.handing_over import colleague
from routing.holding import tell_plainly
from routing.naming import kind_called, topic_called
from routing.once import asked_once, done_once
from routing.opening import add_target
from routing.policy import Agent
from routing.reasons import Reason, because
from routing.records import Ticket
from routing.sooner import bring_forward
from routing.statutes import tied
from routing.urgency import plan_of, plans
from routing.words import Kind, Purpose, TargetKind, TicketState
from routing.writing import send_to_agent

#: A person's words: owed whatever the kind is.
_WORDS = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE, TargetKind.CALLBACK)


# ---- topic


@asked_once
def unknown_topic(act: Act) -> str:
    return "" if topic_called(act.desk.policy, act.argument) is not None else "unknown_topic"


@done_once
def names_topic(act: Act) -> str:
    topic = topic_called(act.desk.policy, act.argument)
    assert topic is not None, "asked before"
    was = act.ticket
    if was.topic != topic:
        changed = tied(act.desk.policy, replace(was, topic=topic), act.desk.now)
        act.desk.put_ticket(replace(changed, updated_at=act.desk.now))
        _tell(act.incoming, act.desk, act.agent, was)
    return ""


# ---- kind


@asked_once
def unknown_kind(act: Act) -> str:
    return "" if kind_called(act.argument) is not None else "unknown_kind"


@done_once
def names_kind(act: Act) -> str:
    kind = kind_called(act.argument)
    assert kind is not None, "asked before"
    become(act.incoming, act.desk, act.agent, act.ticket, kind)
    return ""


@asked_once
def unknown_accused(act: Act) -> str:
    return "unknown_accused" if act.argument and colleague(act.desk, act.argument) is None else ""


@done_once
def complains(act: Act) -> str:
    """It is a complaint; `!complaint NAME`: about that colleague."""
    accused = colleague(act.desk, act.argument) if act.argument else None
    become(act.incoming, act.desk, act.agent, act.ticket, Kind.COMPLAINT, accused=accused.name if accused else "")
    return ""


def become(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, kind: Kind, *, accused: str = "") -> None:
    """Let a ticket be of a kind from now on. `accused`: the agent that a complaint is about."""
    if ticket.kind is not kind:
        desk.put_ticket(replace(ticket, kind=kind, updated_at=desk.now))
        _tell(incoming, desk, agent, ticket, accused)
        if ticket.state is not TicketState.CLOSED:
            promise_as(incoming, desk, desk.tickets[ticket.id])
    if accused and desk.tickets[ticket.id].accused != accused:
        desk.put_ticket(replace(desk.tickets[ticket.id], accused=accused))
    if kind is Kind.COMPLAINT and ticket.state is not TicketState.CLOSED:
        give_to_certified(incoming, desk, desk.tickets[ticket.id], by=agent.name, accused=accused)


def _tell(incoming: Incoming, desk: Desk, agent: Agent, was: Ticket, accused: str = "") -> None:
    now = desk.tickets[was.id]
    if now.topic != was.topic:
        desk.correct(was, "topic", was.topic, now.topic, agent.name)
    if now.kind is not was.kind:
        desk.correct(was, "kind", was.kind.value, now.kind.value, agent.name)
    desk.tell(
        "reclassified",
        ticket=was.id,
        message=incoming.id,
        agent=agent.name,
        was_kind=was.kind.value,
        was_topic=was.topic,
        kind_of_ticket=now.kind.value,
        topic=now.topic,
        about=accused,
    )


def promise_as(incoming: Incoming, desk: Desk, ticket: Ticket) -> None:
    """Promise what the ticket's kind promises, from its beginning; what is only promised of others is not owed."""
    mine = desk.targets.get(ticket.id, [])
    began = min((t.started_at for t in mine if t.kind in _WORDS), default=ticket.opened_at)
    wanted = plans(desk, ticket, began)
    for target in list(desk.open_targets(ticket.id)):
        if target.kind not in _WORDS and target.kind not in {plan.kind for plan in wanted}:
            desk.withdraw(target, desk.now)
    for plan in wanted:
        theirs = [t for t in desk.targets.get(ticket.id, ()) if t.kind is plan.kind and t.withdrawn_at is None]
        if not theirs and plan.kind not in _WORDS:
            add_target(desk, ticket, plan, incoming.id)
        for target in theirs:
            bring_forward(desk, target, partial(plan_of, desk, ticket, plan.kind), "kind")


# ---- who may handle a complaint


def give_to_certified(
    incoming: Incoming, desk: Desk, ticket: Ticket, *, by: str = "", accused: str = "", reasons: tuple[Reason, ...] = ()
) -> None:
    """Let somebody have it who is certified and not accused; its team's supervisors where there is nobody.

    `by`: the agent who says that it is a complaint; "" where only the circumstances do, for `reasons`: then whoever has
    it keeps it where nobody is certified, and the supervisors read it.
    """
    accused = accused or ticket.accused or ""
    holder = desk.policy.agents.get(ticket.agent or "")
    if holder is not None and holder.complaints and holder.name != accused:
        return
    team = desk.policy.teams.get(ticket.team) or desk.policy.teams[desk.policy.default_team]
    found = assign(
        desk.snapshot(),
        Need(
            members=frozenset(team.members),
            topic=ticket.topic,
            language=ticket.language,
            is_complaint=True,
            excluded=frozenset({accused} - {""}),
        ),
    )
    others = [n for n in team.supervisors if n in desk.policy.agents and n != accused]
    # It must not stay with him whom it is about because nobody above him is of this team.
    others = others or [a.name for a in desk.policy.agents.values() if a.is_supervisor and a.name != accused]
    if found.agent is None:
        desk.tell(
            "assignment_failed",
            ticket=ticket.id,
            message=incoming.id,
            team=team.name,
            reasons=reason_data(found.reasons),
            candidates=[list(c) for c in found.candidates],
        )
        if not others or (holder is not None and holder.name in others):
            return  # nobody would have it then
    readers = [found.agent] if found.agent is not None else [desk.policy.agents[n] for n in others]
    if by or found.agent is not None or holder is None:
        _move(incoming, desk, ticket, found.agent, holder, readers)
    reasons = (*reasons, *found.reasons)
    if found.agent is not None:
        desk.tell(
            "assigned",
            ticket=ticket.id,
            message=incoming.id,
            agent=found.agent.name,
            by=by,
            reasons=reason_data(reasons),
            candidates=[list(c) for c in found.candidates],
        )
        if by:
            reasons = (because("handed_over", agent=by),)
    channel = desk.mail_channel_of(ticket)
    if channel is None:
        desk.tell("agent_unreachable", ticket=ticket.id, message=incoming.id, why="no mail channel")
        return
    for reader in readers:
        current = desk.tickets[ticket.id]
        latest = desk.latest_of(ticket)
        send_to_agent(desk, current, reader, channel, Purpose.ASSIGNMENT, message=latest, reasons=reasons)


def _move(
    incoming: Incoming, desk: Desk, ticket: Ticket, new: Agent | None, holder: Agent | None, readers: list[Agent]
) -> None:
    """Take it from who has it, who hears of that and speaks for it no longer."""
    changed = replace(desk.tickets[ticket.id], agent=None, state=TicketState.OPEN, updated_at=desk.now)
    if new is not None:
        changed = replace(changed, agent=new.name, assigned_at=desk.now)
    desk.put_ticket(changed)
    if new is not None:
        desk.note_assigned(new.name)
    if holder is not None and holder not in readers:
        desk.revoke(ticket.id, holder.name)
        shown = "、".join(reader.display_name for reader in readers)
        tell_plainly(incoming, desk, holder, "moved", ticket=ticket.id, detail=shown)
