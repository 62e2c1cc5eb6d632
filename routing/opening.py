"""A customer's message: it joins its ticket or opens one, with targets, an agent, and an acknowledgement.

What opens here is seen by a person, whatever it is (PROMISES.md, G5); what is sent back by machine is decided apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from channels.message import MESSAGING, Medium, Message, Scheme
from routing.assignment import assign
from routing.called_out import called_out
from routing.desk import Decision, Desk, Incoming, reason_data
from routing.evidence import Strength
from routing.matters import join_matter, same_matter
from routing.needs import need_of
from routing.reasons import Reason, because
from routing.recipients import note_people, note_reply_to
from routing.records import Contact, Customer, Target, Ticket
from routing.rules import Classification, classify
from routing.sla import TargetPlan, next_response_for, targets_for, times_of
from routing.statutes import tied
from routing.target_rules import class_of
from routing.threads import ThreadFacts, ThreadMatch, TicketFacts, lookup, match
from routing.words import Origin, Outcome, ParticipantRole, Purpose, Speaker, Standing, TargetKind, TicketState
from routing.writing import acknowledge, notify_agent

MAX_SUBJECT = 300  # characters
MAX_CHAT_SUBJECT = 40  # characters of a chat's first line that stand for a subject


@dataclass(frozen=True, kw_only=True, slots=True)
class PassedBy:
    """An agent passed a customer's mail on."""

    agent: str
    note: str = ""  # his own words above it: they stay inside
    stays_his: bool = False  # whose mail it is, he alone can tell


def session_key(incoming: Incoming) -> str:
    """The key of a chat's latest ticket; "" for other media, and where it cannot be told who speaks."""
    is_chat = incoming.medium is Medium.CHAT or incoming.medium in MESSAGING
    who = incoming.message.sender.value
    return f"session:{incoming.channel}:{who}" if is_chat and who else ""


def from_customer(
    incoming: Incoming,
    desk: Desk,
    standing: Standing,
    reasons: tuple[Reason, ...],
    *,
    may_acknowledge: bool,
    passed: PassedBy | None = None,
) -> Decision:
    """Take in what a customer (or a machine that a person must see) has sent; `passed`: it came by way of an agent."""
    found = _match(incoming, desk, standing)
    reasons = (*reasons, *found.reasons)
    if found.ticket is not None:
        return _added(incoming, desk, found, standing, reasons, note=passed.note if passed else "")
    return _opened(incoming, desk, found, standing, reasons, may_acknowledge=may_acknowledge, passed=passed)


# ---- which ticket


def _match(incoming: Incoming, desk: Desk, standing: Standing) -> ThreadMatch:
    if incoming.known_ticket is not None and incoming.known_ticket in desk.tickets:
        return ThreadMatch(ticket=incoming.known_ticket, is_certain=True)
    passed = _passed_on_before(incoming, desk)
    if passed is not None:
        return ThreadMatch(ticket=passed.id, is_certain=True, reasons=(because("passed_on_before", ticket=passed.id),))
    contact = desk.contacts.get(incoming.sender)
    wanted = lookup(incoming.message)
    by_id = {i: desk.keys[i][0] for i in wanted.message_ids if i in desk.keys}
    session = desk.keys.get(session_key(incoming))
    numbers: set[int] = {*by_id.values(), *wanted.numbers, *([session[0]] if session else [])}
    facts = ThreadFacts(
        now=desk.now,
        closed_days=desk.policy.closed_token_days,
        tickets={n: _facts(desk.tickets[n], desk) for n in numbers if n in desk.tickets},
        by_message_id={i: n for i, n in by_id.items() if n in desk.tickets},
        by_session=session[0] if session and session[0] in desk.tickets else None,
        sender_customer=contact.customer if contact else None,
        standing=standing,
    )
    return match(incoming.message, facts)


def _passed_on_before(incoming: Incoming, desk: Desk) -> Ticket | None:
    """The ticket that an agent has opened by passing this very mail on: its sender's, who wrote to us as well."""
    number, is_ours = desk.keys.get(incoming.message.message_id, (0, True))
    ticket = desk.tickets.get(number)
    if is_ours or ticket is None or ticket.origin != Origin.FORWARDED or ticket.contact != incoming.sender:
        return None
    return ticket


def _facts(ticket: Ticket, desk: Desk) -> TicketFacts:
    let_in = (p.address for p in desk.participants.get(ticket.id, {}).values() if p.role == ParticipantRole.CC)
    addresses = (one.partition(":") for one in (ticket.contact, *let_in))
    return TicketFacts(
        ticket=ticket.id,
        customer=ticket.customer,
        participants=frozenset((scheme, value) for scheme, _, value in addresses),
        state=ticket.state,
        closed_at=ticket.closed_at,
    )


# ---- joining


def _added(
    incoming: Incoming,
    desk: Desk,
    found: ThreadMatch,
    standing: Standing,
    reasons: tuple[Reason, ...],
    *,
    note: str = "",
) -> Decision:
    ticket = desk.tickets[found.ticket]  # type: ignore[index]
    was = ticket.state
    ticket = replace(ticket, state=TicketState.OPEN, updated_at=desk.now, closed_at=None, closed_reason=None)
    if ticket.agent not in desk.policy.agents:  # nobody has it, or who had it has left
        ticket = _assign(incoming, desk, replace(ticket, agent=None))[0]
    desk.put_ticket(ticket)
    _remember(incoming, desk, ticket)
    note_people(incoming, desk, ticket, standing)
    note_reply_to(incoming, desk, standing)
    desk.tell(
        "message_added",
        ticket=ticket.id,
        message=incoming.id,
        customer=ticket.customer,
        channel=incoming.channel,
        standing=standing.value,
        reopened=was is TicketState.CLOSED,
        reasons=reason_data(reasons),
    )
    # An answer that is still on its way ends the promises made before it was written; these words came after.
    words = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE)
    if was is not TicketState.OPEN or not any(t.kind in words for t in desk.open_targets(ticket.id)):
        plan = next_response_for(
            desk.policy,
            channel=incoming.channel,
            medium=incoming.medium,
            urgent=ticket.is_urgent,
            at=promised_from(incoming, desk),
            team=ticket.team,
            kind=ticket.kind,
            topic=ticket.topic,
            grade=desk.grade_of(ticket),
        )
        add_target(desk, ticket, plan, incoming.id)
    more: dict[str, Any] = {"note": note} if note else {}
    notify_agent(desk, ticket, incoming, Purpose.UPDATE, standing=standing, **more)
    return Decision(
        outcome=Outcome.ADDED, speaker=Speaker.CUSTOMER, ticket=ticket.id, customer=ticket.customer, reasons=reasons
    )


def _remember(incoming: Incoming, desk: Desk, ticket: Ticket) -> None:
    desk.put_key(incoming.message.message_id, ticket.id, is_ours=False)
    desk.move_key(session_key(incoming), ticket.id)


# ---- opening


def _opened(
    incoming: Incoming,
    desk: Desk,
    found: ThreadMatch,
    standing: Standing,
    reasons: tuple[Reason, ...],
    *,
    may_acknowledge: bool,
    passed: PassedBy | None = None,
) -> Decision:
    channel = desk.channel(incoming.channel)
    about = classify(incoming.message, desk.policy, channel)
    if passed is not None and not about.agent:
        about = replace(about, agent=passed.agent)  # he knows the customer
    customer = customer_of(incoming, desk, standing, about.language)
    ticket = Ticket(
        id=desk.new_ticket_number(),
        state=TicketState.OPEN,
        kind=about.kind,
        topic=about.topic,
        is_urgent=about.urgent,
        channel=incoming.channel,
        medium=incoming.medium.value,
        customer=customer.id,
        contact=incoming.sender,
        contact_name=incoming.message.sender.display_name or customer.name,
        standing=standing.value,
        subject=_subject(incoming.message),
        language=about.language or customer.language or desk.policy.language,
        team=about.team or channel.team or desk.policy.default_team,
        agent=passed.agent if passed is not None and passed.stays_his else None,
        opened_by=incoming.id,
        opened_at=incoming.received_at,
        updated_at=desk.now,
        follows=found.points_at,
        origin=Origin.FORWARDED.value if passed is not None else "",
    )
    reasons = (*reasons, *about.reasons)
    ticket = tied(desk.policy, ticket, desk.now)
    if (same := same_matter(desk, ticket)) is not None:
        ticket = join_matter(desk, ticket, same)
        reasons = (*reasons, because("same_matter", ticket=same.id))
    decision = open_ticket(
        incoming, desk, ticket, reasons, about=about, may_acknowledge=may_acknowledge, points=_points(found),
        passed=passed,
    )  # fmt: skip
    note_people(incoming, desk, ticket, standing)
    note_reply_to(incoming, desk, standing)
    return decision


def _points(found: ThreadMatch) -> str:
    """Why a new ticket points at an older one: "stranger", "number", "closed"; "" if it points at none."""
    if found.points_at is None:
        return ""
    if found.is_stranger:
        return "stranger"
    return "number" if any(r.code == "number_alone" for r in found.reasons) else "closed"


def _subject(message: Message) -> str:
    """His own subject; of a chat, how it begins."""
    return (message.subject or " ".join(message.text[:200].split())[:MAX_CHAT_SUBJECT])[:MAX_SUBJECT]


def open_ticket(
    incoming: Incoming,
    desk: Desk,
    ticket: Ticket,
    reasons: tuple[Reason, ...],
    *,
    about: Classification | None = None,
    is_ringing: bool = False,
    may_acknowledge: bool,
    points: str = "",
    passed: PassedBy | None = None,
) -> Decision:
    """Register a new ticket with everything that belongs to it. While it `is_ringing`, nobody is written to.

    `points`: why it points at an older one, for the agent's card; `passed`: by way of whom it came.
    """
    desk.tell(
        "ticket_opened",
        ticket=ticket.id,
        message=incoming.id,
        customer=ticket.customer,
        channel=ticket.channel,
        medium=ticket.medium,
        kind_of_ticket=ticket.kind.value,
        topic=ticket.topic,
        urgent=ticket.is_urgent,
        team=ticket.team,
        standing=ticket.standing,
        follows=ticket.follows,
        matter=ticket.matter,
        statute=ticket.statute,
        policy=desk.policy.version,
        origin=ticket.origin,
        reasons=reason_data(reasons),
    )
    plans = () if is_ringing else _plans(incoming, desk, ticket)
    assignment_reasons: tuple[Reason, ...] = ()
    if ticket.agent is None:
        ticket, assignment_reasons = _assign(incoming, desk, ticket, about, plans[0].due_at if plans else None)
    if passed is not None:
        is_his = ticket.agent == passed.agent
        why = because("passed_on_his", agent=passed.agent) if is_his else because("passed_on", agent=passed.agent)
        assignment_reasons = (*assignment_reasons, why)
    desk.put_ticket(ticket)
    _remember(incoming, desk, ticket)
    if not is_ringing:
        for plan in plans:
            add_target(desk, ticket, plan, incoming.id)
        note = passed.note if passed is not None else ""
        more: dict[str, Any] = {name: said for name, said in (("points", points), ("note", note)) if said}
        notify_agent(desk, ticket, incoming, Purpose.ASSIGNMENT, assignment_reasons, **more)
    if may_acknowledge:
        acknowledge(desk, ticket, incoming, about.complaint_strength if about is not None else Strength.NONE)
    return Decision(
        outcome=Outcome.OPENED, speaker=Speaker.CUSTOMER, ticket=ticket.id, customer=ticket.customer, reasons=reasons
    )


def _plans(incoming: Incoming, desk: Desk, ticket: Ticket) -> tuple[TargetPlan, ...]:
    return targets_for(
        desk.policy,
        channel=ticket.channel,
        medium=Medium(ticket.medium),
        kind=ticket.kind,
        urgent=ticket.is_urgent,
        at=promised_from(incoming, desk),
        team=ticket.team,
        topic=ticket.topic,
        grade=desk.grade_of(ticket),
    )


def customer_of(incoming: Incoming, desk: Desk, standing: Standing, language: str) -> Customer:
    """The customer whose contact the sender is; a new one if nobody knows him. Of his class, if he has one."""
    customer = _known_or_new(incoming, desk, standing, language)
    grade = class_of(desk.policy.classes, incoming.message.sender.value, standing)
    if not grade or grade == customer.grade:
        return customer
    desk.tell("customer_graded", customer=customer.id, message=incoming.id, grade=grade, was=customer.grade)
    return desk.grade(customer, grade)


def _known_or_new(incoming: Incoming, desk: Desk, standing: Standing, language: str) -> Customer:
    is_withheld = not incoming.message.sender.value  # no two withheld numbers are known to be one person
    known = None if is_withheld else desk.contacts.get(incoming.sender)
    if known is not None:
        if standing is Standing.VERIFIED and not known.is_verified:
            desk.changes.verified.add(known.address)
        return desk.customers[known.customer]
    name = incoming.message.sender.display_name or _shown(incoming.message)
    customer = desk.new_customer(name[:200], language or desk.policy.language)
    desk.tell("customer_registered", customer=customer.id, message=incoming.id, source=incoming.channel)
    if is_withheld:
        return customer
    desk.new_contact(
        Contact(
            address=incoming.sender,
            customer=customer.id,
            name=name[:200],
            source=incoming.channel,
            first_seen_at=desk.now,
            is_verified=standing is Standing.VERIFIED,
        )
    )
    return customer


def _shown(message: Message) -> str:
    """What to call somebody who gave no name."""
    if message.sender.scheme is Scheme.WEB:
        return ""
    return message.sender.value


# ---- targets


def promised_from(incoming: Incoming, desk: Desk) -> datetime:
    """When the clock of a message begins: as it came; of what lay there before the desk began to read, now.

    Nobody could have answered that in time: no promise of it may be broken before it was made.
    """
    return desk.now if incoming.envelope.is_backlog else incoming.received_at


def add_target(desk: Desk, ticket: Ticket, plan: TargetPlan, message: int) -> Target:
    """Promise something on a ticket."""
    ordinal = 1 + sum(1 for t in desk.targets.get(ticket.id, ()) if t.kind is plan.kind)
    target = Target(
        ticket=ticket.id,
        kind=plan.kind,
        ordinal=ordinal,
        policy_key=plan.key,
        budget=str(plan.budget),
        calendar=plan.calendar,
        calendar_version=plan.calendar_version,
        policy_version=plan.policy_version,
        started_at=plan.started_at,
        **times_of(plan),  # type: ignore[arg-type]
        next_at=None,
    )
    target = replace(target, next_at=target.notices()[0][0])
    desk.put_target(target)
    desk.tell(
        "target_set",
        ticket=ticket.id,
        message=message,
        target=plan.kind.value,
        ordinal=ordinal,
        due_at=plan.due_at.isoformat(),
        started_at=plan.started_at.isoformat(),
        budget=str(plan.budget),
        key=plan.key,
        calendar=plan.calendar,
        calendar_version=plan.calendar_version,
    )
    return target


# ---- the agent


def _assign(
    incoming: Incoming,
    desk: Desk,
    ticket: Ticket,
    about: Classification | None = None,
    due_at: datetime | None = None,
) -> tuple[Ticket, tuple[Reason, ...]]:
    """Find somebody for a ticket; it stays with nobody, and says so, when there is nobody."""
    wanted = {"preferred": about.agent} if about and about.agent else {}
    found = called_out(desk, ticket, due_at) or assign(
        desk.snapshot(), need_of(desk, ticket, due_at=due_at, **wanted), desk.now, desk.policy.assigning
    )
    if found.agent is None:
        desk.tell(
            "assignment_failed",
            ticket=ticket.id,
            message=incoming.id,
            team=ticket.team,
            reasons=reason_data(found.reasons),
            candidates=[list(c) for c in found.candidates],
        )
        return ticket, found.reasons
    desk.note_assigned(found.agent.name)
    desk.tell(
        "assigned",
        ticket=ticket.id,
        message=incoming.id,
        agent=found.agent.name,
        reasons=reason_data(found.reasons),
        candidates=[list(c) for c in found.candidates],
    )
    return replace(ticket, agent=found.agent.name, assigned_at=desk.now), found.reasons
