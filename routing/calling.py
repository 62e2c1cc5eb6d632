"""A telephone event: the call's story goes on, and its ticket, targets and people with it.

Events come in any order and repeated; the facts of a call are the same whatever the order (routing.calls), and what is
done here is made from the facts, never from the event: a ticket for every incoming call, the first response met by a
person who answered, a callback owed when it is over and nobody did.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any

from channels.message import Address, CallEvent, Medium, Scheme
from routing.breaker import may_not_acknowledge, note_acknowledged
from routing.calls import CallFacts, apply, needs_callback
from routing.desk import Decision, Desk, Incoming, domain_of, mail_id
from routing.handing_over import taken_away
from routing.opening import add_target, customer_of, open_ticket
from routing.policy import ChannelPolicy
from routing.reasons import because
from routing.records import NewOutbox, StoredCall, Target, Ticket
from routing.sla import TargetPlan, targets_for
from routing.words import (
    Kind,
    Outcome,
    Purpose,
    Speaker,
    Standing,
    TargetKind,
    TicketState,
)
from routing.writing import notify_agent


def caller_key(channel: str, number: str) -> str:
    """The key of the latest ticket of a telephone number; "" for a withheld one."""
    return f"caller:{channel}:{number}" if number else ""


def on_call(incoming: Incoming, desk: Desk) -> Decision:
    """Fold one event into its call, and do what follows."""
    call = incoming.message.call
    assert call is not None
    channel = desk.channel(incoming.channel)
    stored = desk.calls.get((incoming.channel, call.call_id))
    before = loads(stored.facts) if stored else None
    facts = apply(before, call, incoming.received_at, channel.machine_numbers)
    ticket = desk.tickets.get(stored.ticket) if stored and stored.ticket else None
    desk.tell(
        "call_event_recorded",
        message=incoming.id,
        ticket=ticket.id if ticket else None,
        channel=incoming.channel,
        call_event=call.event.value,
        inbound=facts.is_inbound,
    )
    if facts.is_inbound:
        ticket = _inbound(incoming, desk, channel, facts, before, ticket)
    else:
        ticket = _outbound(incoming, desk, channel, facts)
    desk.put_call(
        StoredCall(
            channel=incoming.channel, call_id=call.call_id, ticket=ticket.id if ticket else None, facts=dumps(facts)
        )
    )
    return Decision(
        outcome=Outcome.CALL,
        speaker=Speaker.CUSTOMER if facts.is_inbound else Speaker.AGENT,
        ticket=ticket.id if ticket else None,
        customer=ticket.customer if ticket else None,
        agent=_who(channel, facts),
    )


_MET_BY_A_VOICE = (TargetKind.FIRST_RESPONSE, TargetKind.CALLBACK)

# ---- incoming calls


def _inbound(
    incoming: Incoming,
    desk: Desk,
    channel: ChannelPolicy,
    facts: CallFacts,
    before: CallFacts | None,
    ticket: Ticket | None,
) -> Ticket:
    if ticket is None:
        ticket = _ticket_for(incoming, desk, facts)
    ticket = _ring_target(incoming, desk, channel, facts, ticket)
    if facts.first_human_answer_at is not None:
        is_news = before is None or before.first_human_answer_at != facts.first_human_answer_at
        return _answered(incoming, desk, channel, facts, ticket, is_news=is_news)
    if needs_callback(facts):
        return _missed(incoming, desk, facts, ticket)
    return ticket


def _ticket_for(incoming: Incoming, desk: Desk, facts: CallFacts) -> Ticket:
    """The caller's open telephone ticket, or a new one."""
    known = desk.keys.get(caller_key(incoming.channel, facts.from_number))
    if known is not None:
        ticket = desk.tickets.get(known[0])
        if ticket is not None and ticket.state is not TicketState.CLOSED:
            desk.tell("call_joined", ticket=ticket.id, message=incoming.id, reasons=[{"code": "joined_caller"}])
            return ticket
    caller = replace(
        incoming, message=replace(incoming.message, sender=Address(scheme=Scheme.PHONE, value=facts.from_number))
    )
    customer = customer_of(caller, desk, Standing.UNVERIFIED, desk.policy.language)
    ticket = Ticket(
        id=desk.new_ticket_number(),
        state=TicketState.OPEN,
        kind=Kind.CONSULTATION,
        topic="",
        is_urgent=False,
        channel=incoming.channel,
        medium=Medium.PHONE.value,
        customer=customer.id,
        contact=f"{Scheme.PHONE.value}:{facts.from_number}",
        contact_name=customer.name,
        standing=Standing.UNVERIFIED.value,
        subject="",
        language=customer.language,
        team=desk.channel(incoming.channel).team or desk.policy.default_team,
        agent=None,
        opened_by=incoming.id,
        opened_at=incoming.received_at,
        updated_at=desk.now,
    )
    decision = open_ticket(caller, desk, ticket, (), may_acknowledge=False, is_ringing=True)
    ticket = desk.tickets[decision.ticket or 0]
    desk.move_key(caller_key(incoming.channel, facts.from_number), ticket.id)
    return ticket


def _ring_target(incoming: Incoming, desk: Desk, channel: ChannelPolicy, facts: CallFacts, ticket: Ticket) -> Ticket:
    """The three rings, once it is known when the caller first heard ringing."""
    is_settled = facts.is_over or facts.first_human_answer_at is not None
    if facts.rang_at is None or (is_settled and facts.rang_for is None):
        return ticket
    if any(t.kind is TargetKind.FIRST_RESPONSE and t.started_at == facts.rang_at for t in _of(desk, ticket)):
        return ticket
    plan = targets_for(
        desk.policy,
        channel=incoming.channel,
        medium=Medium.PHONE,
        kind=Kind.CONSULTATION,
        urgent=False,
        at=facts.rang_at,
        team=ticket.team,
        grade=desk.grade_of(ticket),
    )[0]
    # Told after the hangup it is called off at once, but three rings that nobody answered stay a breach.
    add_target(desk, ticket, plan, incoming.id)
    return ticket


def _answered(
    incoming: Incoming, desk: Desk, channel: ChannelPolicy, facts: CallFacts, ticket: Ticket, *, is_news: bool
) -> Ticket:
    """A person took the call: the promise is kept at that moment, and the ticket is his."""
    at = facts.first_human_answer_at
    assert at is not None
    for target in _of(desk, ticket):
        if target.kind is TargetKind.FIRST_RESPONSE and target.withdrawn_at and target.started_at == facts.rang_at:
            target = desk.restore(target)  # the hangup was told before the answer: the call was not missed
        if not target.is_open:
            continue
        if target.kind in _MET_BY_A_VOICE and target.started_at <= at:
            desk.meet(target, at, at)
            _stamped(desk, incoming, ticket, target, at, _who(channel, facts))
        elif target.kind is TargetKind.CALLBACK and target.started_at == facts.hung_up_at:
            desk.withdraw(target, at)  # this call's answer was only told late: nobody owes a callback for it
    if not is_news:
        return ticket  # what came after this answer, another missed call perhaps, stands
    agent = _who(channel, facts)
    changed = replace(ticket, updated_at=desk.now, state=TicketState.ANSWERED, agent=agent or ticket.agent)
    if changed.agent != ticket.agent or changed.state is not ticket.state:
        desk.put_ticket(changed)
        desk.tell("call_answered", ticket=ticket.id, message=incoming.id, agent=agent, answered_at=at.isoformat())
        taken_away(incoming, desk, ticket, desk.policy.agents.get(agent or ""))
        return changed
    return ticket


def _missed(incoming: Incoming, desk: Desk, facts: CallFacts, ticket: Ticket) -> Ticket:
    """It is over and nobody answered: a callback is owed, its holder hears of it, the caller too where we can."""
    at = facts.hung_up_at
    assert at is not None
    for target in desk.open_targets(ticket.id):
        if target.kind is TargetKind.FIRST_RESPONSE:
            desk.withdraw(target, at)
    if any(t.kind is TargetKind.CALLBACK for t in desk.open_targets(ticket.id)):
        if incoming.message.call and incoming.message.call.event is CallEvent.HANGUP:
            notify_agent(desk, ticket, incoming, Purpose.UPDATE)
        return ticket
    if any(t.kind is TargetKind.CALLBACK and t.started_at == at for t in _of(desk, ticket)):
        return ticket
    plan: TargetPlan = targets_for(
        desk.policy,
        channel=incoming.channel,
        medium=Medium.PHONE,
        kind=Kind.CONSULTATION,
        urgent=False,
        at=at,
        team=ticket.team,
        grade=desk.grade_of(ticket),
        missed_call=True,
    )[0]
    if ticket.state is not TicketState.OPEN:
        ticket = replace(ticket, state=TicketState.OPEN, updated_at=desk.now)
        desk.put_ticket(ticket)
    target = add_target(desk, ticket, plan, incoming.id)
    desk.tell("call_missed", ticket=ticket.id, message=incoming.id, missed_at=at.isoformat(), cause=facts.cause)
    notify_agent(desk, ticket, incoming, Purpose.ASSIGNMENT)
    _note_to_caller(incoming, desk, ticket, target)
    return desk.tickets[ticket.id]


def _note_to_caller(incoming: Incoming, desk: Desk, ticket: Ticket, target: Target) -> None:
    """A first note on a text channel that is already on record; where there is none, that is recorded."""
    mail = next(
        (c for c in desk.contacts_of.get(ticket.customer, ()) if c.address.startswith(f"{Scheme.MAIL.value}:")), None
    )
    channel = desk.mail_channel_of(ticket)
    why = may_not_acknowledge(desk, mail.address) if mail and channel else because("no_text_channel")
    if mail is None or channel is None or why is not None:
        desk.tell("note_not_possible", ticket=ticket.id, message=incoming.id, why=why.code if why else "")
        return
    note_acknowledged(desk, mail.address)
    spec = desk.policy.calendar_of(ticket.channel, ticket.team)
    desk.send(
        NewOutbox(
            ticket=ticket.id,
            source=incoming.id,
            channel=channel.name,
            address=mail.address,
            purpose=Purpose.ACKNOWLEDGEMENT,
            agent=None,
            recipe={
                "message": incoming.id,
                "due_at": target.due_at.isoformat(),
                "is_open": True,
                "calendar": spec.name,
                "missed_call": True,
            },
            mail_id=mail_id(desk.keyring, domain_of(channel), "missed", ticket.id, incoming.id),
        )
    )


# ---- outgoing calls


def _outbound(incoming: Incoming, desk: Desk, channel: ChannelPolicy, facts: CallFacts) -> Ticket | None:
    """A call of ours: answered by the other side, it meets the callback owed to that number."""
    known = desk.keys.get(caller_key(incoming.channel, facts.to_number))
    ticket = desk.tickets.get(known[0]) if known else None
    if ticket is None or facts.first_human_answer_at is None:
        return ticket
    at = facts.first_human_answer_at
    for target in desk.open_targets(ticket.id):
        if target.kind is TargetKind.CALLBACK and target.started_at <= at:
            desk.meet(target, at, at)
            _stamped(desk, incoming, ticket, target, at, _who(channel, facts))
            ticket = replace(desk.tickets[ticket.id], state=TicketState.ANSWERED, updated_at=desk.now)
            desk.put_ticket(ticket)
    return ticket


# ---- both


def _of(desk: Desk, ticket: Ticket) -> list[Target]:
    return list(desk.targets.get(ticket.id, ()))


def _who(channel: ChannelPolicy, facts: CallFacts) -> str | None:
    """The agent behind the exchange's name for who answered."""
    return next((channel.phone_users[u] for u in facts.answered_by if u in channel.phone_users), None)


def _stamped(desk: Desk, incoming: Incoming, ticket: Ticket, target: Target, at: datetime, agent: str | None) -> None:
    kind = "first_response_recorded" if target.kind is TargetKind.FIRST_RESPONSE else "target_met"
    if agent in desk.policy.agents:
        desk.note_act(agent or "")  # who speaks on the telephone is there
    desk.tell(
        kind,
        ticket=ticket.id,
        message=incoming.id,
        agent=agent,
        target=target.kind.value,
        ordinal=target.ordinal,
        channel=ticket.channel,
        due_at=target.due_at.isoformat(),
        answered_at=at.isoformat(),
        delivered_at=at.isoformat(),
        margin_s=round((target.due_at - at).total_seconds(), 3),
    )


def dumps(facts: CallFacts) -> str:
    """A call's facts as JSON for the store."""
    return json.dumps(
        {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(facts).items()}, sort_keys=True
    )


def loads(text: str) -> CallFacts:
    """A call's facts back from the store."""
    data: dict[str, Any] = json.loads(text)
    for field in fields(CallFacts):
        value = data.get(field.name)
        if isinstance(value, str) and field.name.endswith("_at"):
            data[field.name] = datetime.fromisoformat(value)
        elif isinstance(value, list):
            data[field.name] = tuple(value)
    data["described_by"] = CallEvent(data["described_by"])
    return CallFacts(**data)
