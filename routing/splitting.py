"""Splitting: one ticket is two matters. `!split` in answer to the customer's message that is about something else.

That message becomes a ticket of its own that points at the old one: the same customer, the same agent, promises of its
own from when it came. Its sender is written nothing by itself; words below the command come back to their author.
"""

from __future__ import annotations

from dataclasses import replace

from routing.commands import CommandName, bare, parse
from routing.deed import Act
from routing.desk import Desk, Incoming, Source
from routing.once import asked_once, done_once
from routing.opening import MAX_CHAT_SUBJECT, MAX_SUBJECT, add_target, promised_from
from routing.policy import Agent
from routing.reasons import because
from routing.records import Ticket
from routing.rules import classify
from routing.urgency import plans
from routing.words import Origin, Purpose, Standing, TargetKind, TicketState
from routing.writing import write_to_holder


def asks_to_split(text: str) -> bool:
    """Whether the message that a mail answers must be read as well."""
    return bare(text).startswith(("!", "！")) and any(c.name is CommandName.SPLIT for c in parse(text).commands)


@asked_once
def cannot_split(act: Act) -> str:
    source = act.desk.sources.get(act.incoming.id)
    if source is None:
        return "split_none"
    moved = {message for message, _ in act.desk.changes.moved_messages}
    if source.ticket != act.ticket.id or source.message.id in moved:
        return "split_gone"
    return "split_opening" if source.message.id == act.ticket.opened_by else ""


@done_once
def splits(act: Act) -> str:
    source = act.desk.sources[act.incoming.id]
    split(act.incoming, act.desk, act.agent, act.ticket, source)
    return "split_words"


def split(incoming: Incoming, desk: Desk, agent: Agent, old: Ticket, source: Source) -> Ticket:
    """Let a customer's message be a ticket of its own: the new one."""
    theirs = source.message
    # A reply bears the old matter's subject: what the words themselves say counts.
    about = classify(replace(theirs.message, subject=""), desk.policy, desk.channel(theirs.channel))
    subject = theirs.message.subject or " ".join(theirs.message.text[:200].split())[:MAX_CHAT_SUBJECT]
    new = replace(
        old,
        id=desk.new_ticket_number(),
        state=TicketState.OPEN,
        kind=about.kind,
        topic=about.topic,
        is_urgent=about.urgent,
        standing=(source.standing or Standing(old.standing)).value,
        subject=(subject or ("" if old.origin == Origin.RECORDED else old.subject))[:MAX_SUBJECT],
        agent=old.agent if old.agent in desk.policy.agents else agent.name,
        opened_by=theirs.id,
        opened_at=theirs.received_at,
        updated_at=desk.now,
        closed_at=None,
        closed_reason=None,
        follows=old.id,
        token_serial=0,
        assigned_at=desk.now,
        answered_by=None,
        answered_at=None,
        waits_until=None,
        origin=Origin.SPLIT.value,
        matter=None,  # what is answered on the others is not this
        statute=None,
        statutory_at=None,
    )
    desk.put_ticket(new)
    desk.changes.moved_messages.append((theirs.id, new.id))
    desk.move_key(theirs.message.message_id, new.id)
    desk.tell(
        "ticket_split",
        ticket=new.id,
        message=incoming.id,
        agent=agent.name,
        customer=new.customer,
        source=theirs.id,
        follows=old.id,
        kind_of_ticket=new.kind.value,
        topic=new.topic,
        urgent=new.is_urgent,
        team=new.team,
    )
    desk.tell("message_taken_out", ticket=old.id, message=theirs.id, agent=agent.name, into=new.id)
    for plan in plans(desk, new, promised_from(theirs, desk)):
        add_target(desk, new, plan, theirs.id)
    _owe_no_more(desk, old, source)
    write_to_holder(desk, desk.tickets[new.id], theirs.id, Purpose.ASSIGNMENT, (because("split_from", ticket=old.id),))
    return desk.tickets[new.id]


def _owe_no_more(desk: Desk, old: Ticket, source: Source) -> None:
    """The promise that this message began is kept on its own ticket, if nothing was written after it on the old one."""
    if not source.is_latest:
        return
    words = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE)
    for target in desk.open_targets(old.id):
        if target.kind is TargetKind.NEXT_RESPONSE and target.started_at == promised_from(source.message, desk):
            desk.withdraw(target, desk.now)
    current = desk.tickets[old.id]
    if current.state is TicketState.OPEN and not any(t.kind in words for t in desk.open_targets(old.id)):
        desk.put_ticket(replace(current, state=TicketState.ANSWERED, updated_at=desk.now))
