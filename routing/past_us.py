"""Past us: an agent writes to a customer from his own mailbox, and the desk has a copy or sees it in a Sent folder.

What he wrote has reached the customer: it joins the customer's ticket and keeps what was promised there, as of when it
came, or opens a ticket whose last word is ours. Whom he put beside the customer he let in himself. Nothing is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from channels.message import Address, Medium, Role
from routing.desk import Decision, Desk, Incoming, reason_data
from routing.filters import is_own_mark
from routing.folding import fold
from routing.identity import SpeakerJudgement
from routing.opening import MAX_SUBJECT, customer_of
from routing.outsiders import outsiders
from routing.passing_on import belongs
from routing.policy import Agent
from routing.reasons import Reason, because
from routing.recipients import answer_address, is_inside, participant
from routing.records import Target, Ticket
from routing.rules import classify
from routing.threads import lookup
from routing.words import (
    Kind,
    Origin,
    Outcome,
    ParticipantRole,
    Purpose,
    Speaker,
    Standing,
    TargetKind,
    TicketState,
)
from routing.writing import send_to_agent

MAX_DATE_BEHIND = timedelta(days=1)  # that much earlier than it came a mail may say that it was written
MAX_SHOWN = 4000  # characters of his words that a colleague is shown
MAX_MARKS = 10  # loop marks looked at in one mail
_MET = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE)

COPY, SENT = "copy", "sent_folder"  # how we know of it


def to_customer(
    incoming: Incoming, desk: Desk, judged: SpeakerJudgement, agent: Agent, people: Sequence[Address]
) -> Decision:
    """An agent's proven mail to somebody outside: an answer on a ticket of theirs, or the beginning of one."""
    ticket, reason = _ticket_of(incoming, desk, people)
    if ticket is not None:
        return _answered(incoming, desk, agent, ticket, people, (*judged.reasons, reason), how=COPY)
    return _started(incoming, desk, agent, people, judged.reasons)


def from_sent_folder(incoming: Incoming, desk: Desk) -> Decision:
    """A mail from the Sent folder of the desk's own account: nobody outside can put one there.

    A person's who answers in the desk's name counts as an answer. Our own have our mark, or an id that we know.
    """
    message = incoming.message
    known = desk.keys.get(message.message_id)
    is_own = (known is not None and known[1]) or any(
        is_own_mark(desk.keyring.secrets, mark) for mark in message.loop_marks[:MAX_MARKS]
    )
    if is_own:
        return _left_alone(incoming, desk, because("own_sent"))
    if message.auto_submitted or message.bounce is not None or incoming.failure or incoming.envelope.is_backlog:
        return _left_alone(incoming, desk, because("not_a_persons"))
    if message.from_count != 1 or not is_inside(message.sender.value, desk.policy):
        return _left_alone(incoming, desk, because("not_the_desks"))
    people = outsiders(message, desk.policy)
    ticket, reason = _ticket_of(incoming, desk, people)
    if ticket is None:
        return _left_alone(incoming, desk, because("no_ticket_of_theirs"))
    return _answered(incoming, desk, _who_wrote(incoming, desk), ticket, people, (reason,), how=SENT)


def _left_alone(incoming: Incoming, desk: Desk, *reasons: Reason) -> Decision:
    desk.tell(
        "message_ignored",
        message=incoming.id,
        channel=incoming.channel,
        verdict="sent",
        reasons=reason_data(reasons),
    )
    return Decision(outcome=Outcome.IGNORED, speaker=Speaker.SYSTEM, reasons=reasons)


def _who_wrote(incoming: Incoming, desk: Desk) -> Agent | None:
    """Which agent wrote in the desk's name: his address, the one of Sender, or the name shown if it is just one's."""
    policy, message = desk.policy, incoming.message
    said = [value for name, value in message.source_headers if name.lower() == "sender"]
    named = _ADDRESS.findall(said[0].lower()) if len(said) == 1 else []
    for value in (message.sender.value, *(named if len(named) == 1 else ())):
        agent = policy.agent_by_address(value)
        if agent is not None:
            return agent
    shown = fold(message.sender.display_name).strip()
    same = [a for a in policy.agents.values() if shown and fold(a.display_name).strip() == shown]
    return same[0] if len(same) == 1 else None


_ADDRESS = re.compile(r"[^\s<>@,;:\"()]{1,64}@[^\s<>@,;:\"()]{1,255}")


# ---- which ticket


def _ticket_of(incoming: Incoming, desk: Desk, people: Sequence[Address]) -> tuple[Ticket | None, Reason]:
    """The ticket of one of these people that it belongs to: it refers to it, or it is his only one and of that subject.

    What refers to a ticket of somebody else is no answer to that: words of one customer are passed on to another.
    """
    if incoming.known_ticket in desk.tickets:  # an operator has put it back
        return desk.tickets[incoming.known_ticket], because("past_us_reference", ticket=incoming.known_ticket)
    nearest = next((desk.keys[i][0] for i in lookup(incoming.message).message_ids if i in desk.keys), None)
    ticket = desk.tickets.get(nearest) if nearest is not None else None
    if ticket is not None and any(belongs(str(one), ticket, desk) for one in people):
        return ticket, because("past_us_reference", ticket=ticket.id)
    customers = {desk.contacts[str(one)].customer for one in people if str(one) in desk.contacts}
    open_ones = [desk.tickets[n] for c in sorted(customers) for n in desk.open_of.get(c, ()) if n in desk.tickets]
    open_ones = [t for t in open_ones if t.state is not TicketState.CLOSED and t.medium == Medium.EMAIL]
    if len(open_ones) == 1 and _same_subject(open_ones[0].subject, incoming.message.subject):
        return open_ones[0], because("past_us_subject", ticket=open_ones[0].id)
    return None, because("past_us_new")


_PREFIX = re.compile(r"\s*(?:(?:re|aw|sv|fwd?|回[覆复復]|答[覆复]|回信|轉寄|转发|轉發)\s*[:：]|\[#?\d{1,9}\])\s*", re.I)


def _same_subject(one: str, other: str) -> bool:
    bare = _bare(one)
    return bool(bare) and bare == _bare(other)


def _bare(subject: str) -> str:
    subject = fold(subject[:MAX_SUBJECT])
    for _ in range(8):
        found = _PREFIX.match(subject)
        if found is None:
            break
        subject = subject[found.end() :]
    return " ".join(subject.split())


# ---- an answer


def _answered(
    incoming: Incoming,
    desk: Desk,
    agent: Agent | None,
    ticket: Ticket,
    people: Sequence[Address],
    reasons: tuple[Reason, ...],
    *,
    how: str,
) -> Decision:
    """Take down that the customer has his answer."""
    desk.put_key(incoming.message.message_id, ticket.id, is_ours=False)
    at = _written_at(incoming)
    is_first = (ticket.state, ticket.answered_by) != (TicketState.ANSWERED, agent.name if agent else None)
    desk.put_ticket(_with_answer(ticket, desk, agent, at))
    desk.tell(
        "answer_recorded",
        ticket=ticket.id,
        message=incoming.id,
        customer=ticket.customer,
        agent=agent.name if agent is not None else None,
        channel=incoming.channel,
        way="email",
        how=how,
        answered_at=at.isoformat(),
        reasons=reason_data(reasons),
    )
    for target in desk.open_targets(ticket.id):
        if target.kind in _MET and target.started_at <= incoming.received_at:
            _meet(incoming, desk, agent, target, max(at, target.started_at))
    _let_in(incoming, desk, agent, ticket, people)
    holder = desk.policy.agents.get(ticket.agent or "")
    if agent is not None and holder is not None and holder.name != agent.name and is_first:
        _tell_holder(incoming, desk, agent, holder, ticket, at)
    return Decision(
        outcome=Outcome.ELSEWHERE,
        speaker=Speaker.AGENT,
        ticket=ticket.id,
        customer=ticket.customer,
        agent=agent.name if agent is not None else None,
        reasons=reasons,
    )


def _with_answer(ticket: Ticket, desk: Desk, agent: Agent | None, at: datetime) -> Ticket:
    """A closed ticket stays closed: the customer's next words open it."""
    state = ticket.state if ticket.state is TicketState.CLOSED else TicketState.ANSWERED
    ticket = replace(
        ticket, state=state, answered_by=agent.name if agent is not None else None, answered_at=at, updated_at=desk.now
    )
    if agent is not None and ticket.agent not in desk.policy.agents:
        ticket = replace(ticket, agent=agent.name, assigned_at=desk.now)  # the first answer claims it
    return ticket


def _written_at(incoming: Incoming) -> datetime:
    """When he wrote it, if that can be believed; else when it came."""
    said, came = incoming.message.date_header, incoming.received_at
    return said if said is not None and came - MAX_DATE_BEHIND <= said <= came else came


def _meet(incoming: Incoming, desk: Desk, agent: Agent | None, target: Target, at: datetime) -> None:
    """It had reached the customer when it reached us, and that decides whether it was in time."""
    came = incoming.received_at
    desk.meet(target, at, came)
    desk.tell(
        "first_response_recorded" if target.kind is TargetKind.FIRST_RESPONSE else "target_met",
        ticket=target.ticket,
        message=incoming.id,
        agent=agent.name if agent is not None else None,
        target=target.kind.value,
        ordinal=target.ordinal,
        channel=incoming.channel,
        due_at=target.due_at.isoformat(),
        answered_at=at.isoformat(),
        delivered_at=came.isoformat(),
        margin_s=round((target.due_at - came).total_seconds(), 3),
    )


def _tell_holder(incoming: Incoming, desk: Desk, agent: Agent, holder: Agent, ticket: Ticket, at: datetime) -> None:
    channel = desk.mail_channel_of(ticket)
    if channel is None:
        return
    send_to_agent(
        desk,
        ticket,
        holder,
        channel,
        Purpose.TOLD,
        message=incoming.id,
        code="answered_by",
        by=agent.name,
        at=at.isoformat(),
        would_have_left=incoming.message.text[:MAX_SHOWN],
    )


def _let_in(incoming: Incoming, desk: Desk, agent: Agent | None, ticket: Ticket, people: Iterable[Address]) -> None:
    """Who stands beside the customer was put there by the agent himself: he gets copies from now on."""
    if agent is None:
        return  # nobody is known to have let them in
    there = desk.participants.get(ticket.id, {})
    to = answer_address(ticket, desk.contacts.get(ticket.contact))
    added = 0
    for one in people:
        known = there.get(str(one))
        if str(one) in (ticket.contact, to) or (known is not None and known.role == ParticipantRole.CC):
            continue
        desk.put_participant(
            participant(ticket.id, str(one), one.display_name, ParticipantRole.CC, at=desk.now, agent=agent.name)
        )
        added += 1
    if added:
        desk.tell("copies_changed", ticket=ticket.id, message=incoming.id, agent=agent.name, added=added, removed=0)


# ---- a beginning


def _started(
    incoming: Incoming, desk: Desk, agent: Agent, people: Sequence[Address], reasons: tuple[Reason, ...]
) -> Decision:
    """Open a ticket whose last word is ours: nothing is owed until the customer answers."""
    message = incoming.message
    channel = desk.channel(incoming.channel)
    who = _customer_among(incoming, desk, people)
    about = classify(message, desk.policy, channel)
    theirs = replace(incoming, message=replace(message, sender=who))
    customer = customer_of(theirs, desk, Standing.UNVERIFIED, message.language)
    reasons = (*reasons, because("started_by", agent=agent.name))
    ticket = Ticket(
        id=desk.new_ticket_number(),
        state=TicketState.ANSWERED,
        kind=Kind.CONSULTATION,  # his own words are no complaint of the customer's
        topic=about.topic,
        is_urgent=False,
        channel=incoming.channel,
        medium=incoming.medium.value,
        customer=customer.id,
        contact=str(who),
        contact_name=who.display_name or customer.name,
        standing=Standing.UNVERIFIED.value,
        subject=message.subject[:MAX_SUBJECT],
        language=message.language or customer.language or desk.policy.language,
        team=_team_of(desk, agent, channel.team),
        agent=agent.name,
        opened_by=incoming.id,
        opened_at=incoming.received_at,
        updated_at=desk.now,
        assigned_at=desk.now,
        answered_by=agent.name,
        answered_at=_written_at(incoming),
        origin=Origin.STARTED.value,
    )
    desk.put_ticket(ticket)
    desk.put_key(message.message_id, ticket.id, is_ours=False)
    desk.tell(
        "ticket_started",
        ticket=ticket.id,
        message=incoming.id,
        customer=customer.id,
        agent=agent.name,
        channel=ticket.channel,
        topic=ticket.topic,
        team=ticket.team,
        reasons=reason_data(reasons),
    )
    _let_in(incoming, desk, agent, ticket, people)
    return Decision(
        outcome=Outcome.ELSEWHERE,
        speaker=Speaker.AGENT,
        ticket=ticket.id,
        customer=customer.id,
        agent=agent.name,
        reasons=reasons,
    )


def _customer_among(incoming: Incoming, desk: Desk, people: Sequence[Address]) -> Address:
    """Whom he wrote to: of those in To somebody whom we know, else the first; of those in Cc only if To has nobody."""
    to = {r.address.key() for r in incoming.message.recipients if r.role is Role.TO}
    first = [one for one in people if one.key() in to] or list(people)
    return next((one for one in first if str(one) in desk.contacts), first[0])


def _team_of(desk: Desk, agent: Agent, wanted: str) -> str:
    """The channel's team, or the desk's, if he is of it; else one that he is of."""
    usual = wanted or desk.policy.default_team
    if agent.name in desk.policy.teams[usual].members:
        return usual
    return next((t.name for t in desk.policy.teams.values() if agent.name in t.members), usual)
