"""An agent's mail: an answer to the customer, a note, a command; or none of these, and he is told why.

Speaking to a customer needs all three: a good token, a reference to that ticket, and evidence of who writes
(PROMISES.md, G8); and nothing internal may be left in the words (G15). What fails is held: nothing leaves, the event
says why, and the agent hears what would have happened, at his own mailbox and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace

from channels.message import Medium
from routing.acting import after_words, before_words, below, cannot, stays_closed
from routing.addressing import note_outsiders
from routing.answer_letters import (
    LIKE_A_NOTE,
    Way,
    drop_held,
    held_words,
    hold_words,
    send_words,
    way_to_customer,
)
from routing.commands import CommandName, Parsed, is_signature, parse
from routing.confirmed import on_confirmation
from routing.consulting import on_advice
from routing.deed import Below
from routing.desk import Decision, Desk, Incoming, Internal, domain_of, mail_id, reason_data
from routing.guard import GuardFacts, Inspection, inspect, is_only_signature
from routing.habits import read, written
from routing.holding import held, hold_and_tell, may_tell, tell_agent, tell_plainly
from routing.identity import SpeakerJudgement
from routing.policy import Agent, ChannelPolicy
from routing.reasons import Reason
from routing.records import NewOutbox, Ticket
from routing.threads import refers_to
from routing.tokens import (
    CONFIRM,
    CONSULT,
    REPLY,
    TokenVerdict,
    is_canary_of,
    judge,
    kind_of,
    tokens_in_recipients,
    tokens_in_references,
)
from routing.without_ticket import without_ticket
from routing.words import Outcome, Purpose, Speaker, TicketState

#: What the judge of tokens says -> what the agent is told. A forged token is, to him, none.
_TOLD = {
    "no_token": "no_token",
    "forged": "no_token",
    "foreign_agent": "not_your_ticket",
    "revoked": "revoked",
    "expired": "expired",
    "closed_ticket": "closed_ticket",
}


def unproven_agent(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> Decision:
    """It says it is from an agent and nothing proves that: nothing happens, and the real one hears of it."""
    agent = desk.policy.agents[judged.claims_agent]
    presented = tokens_in_recipients(incoming.message, incoming.envelope.rcpt_to)
    records = [desk.tokens[t] for t in presented if t in desk.tokens]
    his = next((r.ticket for r in records if r.agent == agent.name and r.revoked_at is None), None)
    # Without a token of his nothing would have left, and a stranger's words are not carried to him.
    words = incoming.message.text[:4000] if his is not None else ""
    told = may_tell(desk, agent, is_proven=False) and tell_plainly(
        incoming, desk, agent, "no_evidence", ticket=his, would_have_left=words
    )
    return held(incoming, desk, agent, None, "no_evidence", judged.reasons, told=told)


def from_agent(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> Decision:
    """Do what an agent's mail asks for, or hold it."""
    agent = judged.agent
    assert agent is not None
    channel = desk.channel(incoming.channel)
    token, verdict = _token(incoming, desk, channel, agent)
    if not verdict.ok:
        if verdict.reason in ("no_token", "forged") and (done := without_ticket(incoming, desk, judged)) is not None:
            return done
        code = _TOLD[verdict.reason]
        told = may_tell(desk, agent) and tell_plainly(
            incoming, desk, agent, code, would_have_left=incoming.message.text[:4000]
        )
        return held(incoming, desk, agent, None, code, judged.reasons, told=told)
    record = desk.tokens[token]
    if kind_of(record) == CONFIRM:
        return on_confirmation(incoming, desk, judged, record)
    ticket = desk.tickets[record.ticket]
    if not _refers(incoming, desk, ticket):
        return hold_and_tell(incoming, desk, agent, ticket, "no_reference", judged.reasons)
    if kind_of(record) == CONSULT:
        return on_advice(incoming, desk, judged, record)
    return _act(incoming, desk, agent, ticket, judged.reasons)


#: What a mail of an agent may be an answer to.
_PURPOSES = frozenset({REPLY, CONFIRM, CONSULT})


def _token(incoming: Incoming, desk: Desk, channel: ChannelPolicy, agent: Agent) -> tuple[str, TokenVerdict]:
    """The first token that counts; else the last one's verdict."""
    presented = list(tokens_in_recipients(incoming.message, incoming.envelope.rcpt_to))
    if channel.token_in == "references":  # noqa: S105
        presented += tokens_in_references(incoming.message, domain_of(channel))
    verdict, token = TokenVerdict(False, "no_token"), ""
    for token in presented:
        record = desk.tokens.get(token)
        ticket = desk.tickets.get(record.ticket) if record else None
        verdict = judge(
            desk.keyring,
            record if ticket or (record and kind_of(record) == CONFIRM) else None,
            speaker_agent=agent.name,
            ticket_closed_at=ticket.closed_at if ticket else None,
            now=desk.now,
            closed_days=desk.policy.closed_token_days,
            purposes=_PURPOSES,
        )
        if verdict.ok:
            break
    return token, verdict


def _refers(incoming: Incoming, desk: Desk, ticket: Ticket) -> bool:
    by_id = {key: number for key, (number, _) in desk.keys.items()}
    return refers_to(incoming.message, ticket.id, by_id, lambda found: is_canary_of(desk.keyring, found, ticket.id))


def _done(outcome: Outcome, agent: Agent, ticket: Ticket, reasons: tuple[Reason, ...]) -> Decision:
    """What became of an agent's mail about a ticket."""
    return Decision(
        outcome=outcome,
        speaker=Speaker.AGENT,
        ticket=ticket.id,
        customer=ticket.customer,
        agent=agent.name,
        reasons=reasons,
    )


# ---- doing it


def _act(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, reasons: tuple[Reason, ...]) -> Decision:
    asked = parse(incoming.message.text)
    facts = guard_facts(incoming, desk, agent, ticket)
    if asked.commands and is_only_signature(asked.rest, incoming.message, facts):
        asked = replace(asked, rest="")  # his program signs even a bare command
    names = {c.name for c in asked.commands}
    if asked.unknown:
        return hold_and_tell(
            incoming,
            desk,
            agent,
            ticket,
            "unknown_command",
            reasons,
            detail=asked.unknown[0][:200],
            meant=asked.meant,
            would_have_left=incoming.message.text.strip()[:4000],
        )
    if (refused := cannot(incoming, desk, agent, asked.commands, ticket.id, asked.rest)) is not None:
        code, line = refused
        return hold_and_tell(
            incoming, desk, agent, ticket, code, reasons, detail=line, would_have_left=asked.rest[:4000]
        )
    match below(asked.commands):
        case Below.BACK:
            return _set_aside(incoming, desk, agent, ticket, asked, reasons)
        case Below.INSIDE:
            return _inside(incoming, desk, agent, ticket, asked, reasons)
    if stays_closed(asked.commands, ticket) and (asked.rest or CommandName.SEND in names):
        return hold_and_tell(incoming, desk, agent, ticket, "closed_ticket", reasons, would_have_left=asked.rest[:4000])
    if CommandName.SEND in names and not asked.rest:
        return _release(incoming, desk, agent, ticket, asked, reasons)
    if asked.rest or not asked.commands:
        return _answer(incoming, desk, agent, ticket, asked, reasons)
    before_words(incoming, desk, agent, asked.commands, ticket.id)
    after_words(incoming, desk, agent, asked.commands, ticket.id)
    return _done(Outcome.NOTED, agent, ticket, reasons)


def _set_aside(
    incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, asked: Parsed, reasons: tuple[Reason, ...]
) -> Decision:
    """Commands that end a ticket: words beside them go to nobody, and come back to their author."""
    desk.put_key(incoming.message.message_id, ticket.id, is_ours=False)
    code = before_words(incoming, desk, agent, asked.commands, ticket.id, asked.rest)
    if asked.rest and code and not is_signature(asked.rest):
        tell_agent(incoming, desk, agent, ticket, code, would_have_left=asked.rest[:4000])
    return _done(Outcome.NOTED, agent, ticket, reasons)


def _inside(
    incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, asked: Parsed, reasons: tuple[Reason, ...]
) -> Decision:
    """Words for colleagues: they reach no customer, and are kept as a note."""
    before_words(incoming, desk, agent, asked.commands, ticket.id, asked.rest)
    after_words(incoming, desk, agent, asked.commands, ticket.id, asked.rest)
    return _note(incoming, desk, agent, desk.tickets[ticket.id], reasons)


def _answer(
    incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, asked: Parsed, reasons: tuple[Reason, ...]
) -> Decision:
    """Send the agent's words to the customer, if they came whole and nothing internal is in them.

    His commands are carried out once nothing can hold the mail any more, and before its recipients are settled.
    """
    words = asked.rest
    if incoming.message.is_cut:
        return hold_and_tell(incoming, desk, agent, ticket, "incomplete", reasons, would_have_left=words[:4000])
    drop_held(desk, ticket, agent)
    found = inspect(replace(incoming.message, text=words), guard_facts(incoming, desk, agent, ticket))
    if not found.is_clean:
        return _internal(incoming, desk, agent, ticket, found, reasons)
    if found.tail:
        desk.tails[agent.name] = desk.changes.tails[agent.name] = written(desk.tails.get(agent.name, ""), found.tail)
    way = way_to_customer(desk, ticket, asked.commands)
    if way is None:
        return hold_and_tell(incoming, desk, agent, ticket, "no_way", reasons, would_have_left=found.text[:4000])
    before_words(incoming, desk, agent, asked.commands, ticket.id, words)
    ticket = desk.tickets[ticket.id]
    answer = _words(incoming, desk, agent, ticket, found, way)
    if asked.looks_like_note:
        hold_words(desk, ticket, agent, answer)
        note_outsiders(incoming, desk, agent, ticket)
        return hold_and_tell(incoming, desk, agent, ticket, LIKE_A_NOTE, reasons, would_have_left=found.text[:4000])
    send_words(desk, ticket, answer, way)
    note_outsiders(incoming, desk, agent, ticket)
    reasons = (*reasons, *found.reasons)
    done = _answered(incoming, desk, agent, ticket, reasons, files=len(found.attachments), way=way)
    after_words(incoming, desk, agent, asked.commands, ticket.id, words)
    return done


def _internal(
    incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, found: Inspection, reasons: tuple[Reason, ...]
) -> Decision:
    """Something internal is left in the words, or nothing is left of them."""
    return hold_and_tell(
        incoming,
        desk,
        agent,
        ticket,
        "internal_survived" if found.survived else "empty_reply",
        (*reasons, *found.reasons),
        detail="; ".join(s for s in found.survived if not s.startswith("ik"))[:200],
        would_have_left=found.text[:4000],
    )


def _words(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, found: Inspection, way: Way) -> NewOutbox:
    """The agent's words as they go to the customer."""
    channel, address = way
    is_mail = channel.medium == Medium.EMAIL
    return NewOutbox(
        ticket=ticket.id,
        source=incoming.id,
        channel=channel.name,
        address=address,
        purpose=Purpose.ANSWER,
        agent=agent.name,
        recipe={
            "message": incoming.id,
            "words": found.text,
            "files": [a.path for a in found.attachments],
            "links": list(found.links),
        },
        mail_id=mail_id(desk.keyring, domain_of(channel), "answer", ticket.id, incoming.id) if is_mail else "",
        answered_at=incoming.received_at,
    )


def _answered(
    incoming: Incoming,
    desk: Desk,
    agent: Agent,
    ticket: Ticket,
    reasons: tuple[Reason, ...],
    *,
    files: int,
    way: Way,
) -> Decision:
    """Take note that an answer is on its way."""
    desk.put_key(incoming.message.message_id, ticket.id, is_ours=False)
    desk.put_ticket(
        replace(
            desk.tickets[ticket.id], state=TicketState.ANSWERED, agent=ticket.agent or agent.name, updated_at=desk.now
        )
    )
    desk.tell(
        "answer_queued",
        ticket=ticket.id,
        message=incoming.id,
        agent=agent.name,
        channel=way[0].name,
        answered_at=incoming.received_at.isoformat(),
        files=files,
        reasons=reason_data(reasons),
    )
    return _done(Outcome.ANSWERED, agent, ticket, reasons)


def guard_facts(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> GuardFacts:
    """What must not leave in this agent's answer on this ticket."""
    known = desk.internal.get(ticket.id, Internal())
    tokens = frozenset(r.token for r in desk.tokens.values() if r.ticket == ticket.id)
    mail = desk.mail_channel_of(ticket)
    return GuardFacts(
        internal_lines=known.lines,
        shown_lines=known.shown,
        customer_words=known.customer_words,
        known_attachments=known.files,
        marked_attachments=desk.marked.get(incoming.id, frozenset()),
        key_ids=frozenset(k.id for k in desk.keyring.all),
        tokens=tokens,
        internal_message_ids=frozenset(k for k, (n, ours) in desk.keys.items() if n == ticket.id and ours),
        private_addresses=frozenset(agent.addresses),
        private_numbers=frozenset(agent.phones),
        desk_address=mail.address if mail is not None else "",
        hotline=desk.policy.hotline,
        names=(agent.display_name,),
        signature=agent.signature,
        tails=read(desk.tails.get(agent.name, "")),
        tail_key=desk.keyring.current.secret,
    )


def _release(
    incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, asked: Parsed, reasons: tuple[Reason, ...]
) -> Decision:
    """`!send` alone: what was held for a question leaves after all, to those whom it concerns by now."""
    answer = held_words(desk, ticket, agent)
    if answer is None:
        return hold_and_tell(incoming, desk, agent, ticket, "empty_reply", reasons)
    way = way_to_customer(desk, ticket, asked.commands)
    if way is None:
        return hold_and_tell(
            incoming, desk, agent, ticket, "no_way", reasons, would_have_left=str(answer.recipe["words"])[:4000]
        )
    before_words(incoming, desk, agent, asked.commands, ticket.id)
    drop_held(desk, ticket, agent)
    send_words(desk, desk.tickets[ticket.id], answer, way)
    desk.put_ticket(replace(desk.tickets[ticket.id], state=TicketState.ANSWERED, updated_at=desk.now))
    desk.tell("held_released", ticket=ticket.id, message=incoming.id, agent=agent.name)
    after_words(incoming, desk, agent, asked.commands, ticket.id, str(answer.recipe["words"]))
    return _done(Outcome.ANSWERED, agent, ticket, reasons)


def _note(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket, reasons: tuple[Reason, ...]) -> Decision:
    desk.put_key(incoming.message.message_id, ticket.id, is_ours=False)
    desk.tell("note_recorded", ticket=ticket.id, message=incoming.id, agent=agent.name)
    return _done(Outcome.NOTED, agent, ticket, reasons)
