"""An agent's mail: an answer to the customer, a note, a command; or none of these, and he is told why.

Speaking to a customer needs all three: a good token, a reference to that ticket, and evidence of who writes
(PROMISES.md, G8); and nothing internal may be left in the words (G15). What fails is held: nothing leaves, the event
says why, and the agent hears what would have happened, at his own mailbox and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace

from routing.acting import before_words, below, cannot
from routing.answer_letters import drop_held, held_words
from routing.commands import CommandName, Parsed, is_signature, parse
from routing.confirmed import on_confirmation
from routing.consulting import on_advice
from routing.deed import Below, Place
from routing.deeds import DEEDS
from routing.desk import Decision, Desk, Incoming, domain_of
from routing.guard import is_only_signature
from routing.holding import held, hold_and_tell, may_tell, tell_agent, tell_plainly
from routing.identity import SpeakerJudgement
from routing.joining import goes_on_as
from routing.links import by_subject, follow, why_not_followed
from routing.obstacles import AFTER_ADVICE, MERGED_ON, NO_REFERENCE, Obstacle, holder_of, may_act
from routing.policy import Agent, ChannelPolicy
from routing.records import Ticket
from routing.speaking import AgentMail, guard_facts, release, speak
from routing.threads import refers_to
from routing.tokens import (
    ACT,
    ADVISED,
    CONFIRM,
    CONSULT,
    REPLY,
    TokenRecord,
    TokenVerdict,
    is_canary_of,
    judge,
    kind_of,
    tokens_in_recipients,
    tokens_in_references,
)
from routing.without_ticket import without_ticket
from routing.words import Outcome

#: What the judge of tokens says -> what the agent is told. A forged token is, to him, none.
_TOLD = {
    "no_token": "no_token",
    "forged": "no_token",
    "foreign_agent": "not_your_ticket",
    "revoked": "revoked",
    "expired": "expired",
    "closed_ticket": "closed_long",
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
        incoming, desk, agent, "no_evidence", ticket=his, detail=incoming.message.sender.value, would_have_left=words
    )
    return held(incoming, desk, agent, None, "no_evidence", judged.reasons, told=told)


def from_agent(incoming: Incoming, desk: Desk, judged: SpeakerJudgement) -> Decision:
    """Do what an agent's mail asks for, or hold it."""
    agent = judged.agent
    assert agent is not None
    if incoming.told_off:
        told = may_tell(desk, agent) and tell_plainly(
            incoming, desk, agent, incoming.told_off, would_have_left=incoming.message.text[:4000]
        )
        return held(incoming, desk, agent, None, incoming.told_off, judged.reasons, told=told)
    incoming = by_subject(incoming, desk, agent)
    channel = desk.channel(incoming.channel)
    token, verdict = _token(incoming, desk, channel, agent)
    if not verdict.ok:
        if verdict.reason in ("no_token", "forged") and (done := without_ticket(incoming, desk, judged)) is not None:
            return done
        if (
            verdict.reason == "revoked"
            and (back := _takes_back(incoming, desk, judged, desk.tokens[token])) is not None
        ):
            return back
        code = _TOLD[verdict.reason]
        told = may_tell(desk, agent) and tell_plainly(
            incoming, desk, agent, code, would_have_left=incoming.message.text[:4000]
        )
        return held(incoming, desk, agent, None, code, judged.reasons, told=told)
    record = desk.tokens[token]
    if kind_of(record) == CONFIRM:
        return on_confirmation(incoming, desk, judged, record)
    written_on = desk.tickets[record.ticket]
    ticket = goes_on_as(desk, written_on)
    refers = _refers(incoming, desk, {written_on.id, ticket.id})
    if kind_of(record) == ACT:
        if code := why_not_followed(incoming, record):
            words = incoming.message.text.strip()[:4000]
            return hold_and_tell(incoming, desk, agent, ticket, code, judged.reasons, would_have_left=words)
        follow(desk, record)
        refers = True  # its own token, used once, stands in for the reference
    if kind_of(record) == CONSULT:
        if refers:
            return on_advice(incoming, desk, judged, record)
        return hold_and_tell(incoming, desk, agent, ticket, "no_reference_here", judged.reasons)
    asked = _asked(incoming, desk, agent, ticket)
    mail = AgentMail(
        incoming=incoming,
        desk=desk,
        agent=agent,
        number=written_on.id if _calls_back_there(desk, written_on, agent, asked) else ticket.id,
        asked=asked,
        reasons=judged.reasons,
        doubts=(*_joined_to_anothers(written_on, ticket), *_after_advice(record)),
    )
    if not refers:
        return _unreferred(mail)
    moves = next((c.line for c in asked.commands if c.name in _OF_ONE_TICKET), "")
    if moves and written_on.id != ticket.id:
        return mail.comes_back("merged", asked.rest[:4000], detail=str(ticket.id))
    return _act(mail)


def _takes_back(incoming: Incoming, desk: Desk, judged: SpeakerJudgement, record: TokenRecord) -> Decision | None:
    """Who was taken off a ticket may still call back what he said there; None if he asks for anything else."""
    agent = judged.agent
    assert agent is not None
    asked = parse(incoming.message.text)
    is_undo = [c.name for c in asked.commands] == [CommandName.UNDO] and not asked.unknown
    waits = record.agent == agent.name and (record.ticket, agent.name) in desk.waiting
    if not is_undo or not waits or kind_of(record) != REPLY or not _refers(incoming, desk, {record.ticket}):
        return None
    mail = AgentMail(
        incoming=incoming, desk=desk, agent=agent, number=record.ticket, asked=asked, reasons=judged.reasons
    )
    done = _act(mail)
    desk.revoke(record.ticket, agent.name)  # he is told of it, and speaks for it no more than before
    return done


# ---- written on a ticket that goes on as another

#: What ends, moves or measures a ticket: asked for on one that has gone on as another, it may not be meant for that.
_OF_ONE_TICKET = frozenset(
    {
        *(CommandName.CLOSE, CommandName.REOPEN, CommandName.WAIT, CommandName.TO, CommandName.COMPLAINT),
        *(CommandName.KIND, CommandName.TOPIC, CommandName.MERGE, CommandName.SPLIT, CommandName.JOIN),
        *(CommandName.SPAM, CommandName.NOT_SPAM),
    }
)


def _calls_back_there(desk: Desk, written_on: Ticket, agent: Agent, asked: Parsed) -> bool:
    """Whether he calls back what he had said before the tickets were joined."""
    return any(c.name is CommandName.UNDO for c in asked.commands) and (written_on.id, agent.name) in desk.waiting


def _joined_to_anothers(written_on: Ticket, ticket: Ticket) -> tuple[Obstacle, ...]:
    """Words for one customer would go to another one as well, since their tickets were joined: he is asked."""
    if written_on.customer == ticket.customer:
        return ()
    return (Obstacle(code=MERGED_ON, key=f"{MERGED_ON}:{ticket.id}"),)


def _after_advice(record: TokenRecord) -> tuple[Obstacle, ...]:
    """He pressed Reply in a mail with a colleague's advice: he may be thanking the colleague."""
    return (Obstacle(code=AFTER_ADVICE),) if record.purpose == ADVISED else ()


#: What a mail of an agent may be an answer to.
_PURPOSES = frozenset({REPLY, CONFIRM, CONSULT, ACT})


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
            ticket_closed_at=goes_on_as(desk, ticket).closed_at if ticket else None,
            now=desk.now,
            closed_days=desk.policy.closed_token_days,
            purposes=_PURPOSES,
        )
        if verdict.ok:
            break
    return token, verdict


def _refers(incoming: Incoming, desk: Desk, numbers: set[int]) -> bool:
    """Whether it answers a mail of that ticket, or of the one that it goes on as: its keys went there with it."""
    by_id = {key: number for key, (number, _) in desk.keys.items()}

    def is_canary(found: str) -> bool:
        return any(is_canary_of(desk.keyring, found, number) for number in numbers)

    return any(refers_to(incoming.message, number, by_id, is_canary) for number in sorted(numbers))


def _asked(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> Parsed:
    """What his mail asks for. His program signs even a bare command: those are no words of his."""
    asked = parse(incoming.message.text)
    if not asked.commands:
        return asked
    is_bare = is_only_signature(asked.rest, incoming.message, guard_facts(incoming, desk, agent, ticket))
    return replace(asked, rest="") if is_bare else asked


# ---- doing it


def _unreferred(mail: AgentMail) -> Decision:
    """It went to a ticket's address and answers no mail of it: an address book may have chosen (G8). He is asked."""
    if mail.asked.unknown or not {c.name for c in mail.asked.commands} <= {CommandName.SEND} or not mail.asked.rest:
        return mail.comes_back("no_reference_here", mail.incoming.message.text.strip()[:4000])
    return speak(mail, (Obstacle(code=NO_REFERENCE),))


def _act(mail: AgentMail) -> Decision:
    asked, names = mail.asked, {c.name for c in mail.asked.commands}
    if asked.unknown:
        return mail.comes_back(
            "unknown_command",
            mail.incoming.message.text.strip()[:4000],
            detail=asked.unknown[0][:200],
            meant=asked.meant,
        )
    if (refused := _refused(mail)) is not None:
        return refused
    match below(asked.commands):
        case Below.BACK:
            return _set_aside(mail)
        case Below.INSIDE:
            return _inside(mail)
    waited = held_words(mail.desk, mail.ticket, mail.agent)
    opens_it = CommandName.REOPEN in names and waited is not None and waited.held_reason == "closed_ticket"
    if not asked.rest and (CommandName.SEND in names or opens_it):
        return release(mail)
    if asked.rest or not asked.commands:
        return speak(mail)
    mail.does_before()
    mail.does_after()
    return mail.done(Outcome.NOTED)


#: What an agent may ask for on a ticket that is a colleague's: it is about his own words alone.
_ANYBODYS = frozenset({CommandName.NOTE, CommandName.SEND, CommandName.UNDO})


def _refused(mail: AgentMail) -> Decision | None:
    """Why nothing of this mail is done: a command of it cannot be, or is not his to give."""
    words = mail.asked.rest[:4000]
    refused = cannot(mail.incoming, mail.desk, mail.agent, mail.asked.commands, mail.number, mail.asked.rest)
    if refused is not None:
        code, line = refused
        return mail.comes_back(code, words, detail=line)
    holder = holder_of(mail.desk, mail.ticket)
    if holder is None or may_act(mail.desk, mail.ticket, mail.agent):
        return None
    for command in mail.asked.commands:
        if command.name not in _ANYBODYS and DEEDS[command.name].place is Place.TICKET:
            return mail.comes_back("not_yours_now", words, detail=command.line[:200], by=holder.name)
    return None


def _set_aside(mail: AgentMail) -> Decision:
    """Commands that end a ticket: words beside them go to nobody, and come back to their author."""
    incoming, desk, words = mail.incoming, mail.desk, mail.asked.rest
    desk.put_key(incoming.message.message_id, mail.number, is_ours=False)
    code = before_words(incoming, desk, mail.agent, mail.asked.commands, mail.number, words)
    mail.does_after()
    if words and code and not is_signature(words):
        tell_agent(incoming, desk, mail.agent, mail.ticket, code, would_have_left=words[:4000])
    return mail.done(Outcome.NOTED)


def _inside(mail: AgentMail) -> Decision:
    """Words for colleagues: they reach no customer, and are kept as a note. Without any, what waits becomes one."""
    mail.does_before(mail.asked.rest)
    mail.does_after(mail.asked.rest)
    noted = mail.incoming.id
    waited = held_words(mail.desk, mail.ticket, mail.agent)
    if waited is not None and not mail.asked.rest and CommandName.NOTE in {c.name for c in mail.asked.commands}:
        drop_held(mail.desk, mail.ticket, mail.agent)
        noted = waited.source or noted
    mail.desk.put_key(mail.incoming.message.message_id, mail.number, is_ours=False)
    asked_by = mail.incoming.id
    mail.desk.tell("note_recorded", ticket=mail.number, message=noted, agent=mail.agent.name, asked_by=asked_by)
    return mail.done(Outcome.NOTED)
