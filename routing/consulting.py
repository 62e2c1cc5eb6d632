"""Consulting: an agent asks a senior. What the senior writes is advice: it goes to who asked, and to no customer.

`!consult tax filing` or `!consult lin`, and the question below. The senior gets the ticket's mail with the question on
top and a token of its own purpose: whatever he answers by it, commands as well, is advice. If he does not answer in
time, who asked is told.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from routing.assignment import AgentSnapshot
from routing.calendars import due_at
from routing.deed import Act
from routing.desk import Decision, Desk, Incoming, domain_of, mail_id, reason_data
from routing.handing_over import colleague
from routing.holding import held, may_tell, tell_plainly
from routing.identity import SpeakerJudgement
from routing.joining import goes_on_as
from routing.naming import topic_called
from routing.once import asked_once, done_once
from routing.policy import Agent, ChannelPolicy
from routing.reasons import because
from routing.records import NewOutbox, Reminder, Ticket
from routing.sla import CONSULT_ANSWER, budget_of
from routing.tokens import CONSULT, TokenRecord, mint, reference_message_id
from routing.words import Outcome, Purpose, ReminderKind, Speaker
from routing.writing import send_to_agent

ADVICE = "advice"  # code of the mail by which it reaches who asked
MAX_QUESTION = 4_000  # characters
MAX_ADVICE = 20_000  # characters


# ---- asking


@asked_once
def cannot_consult(act: Act) -> str:
    if not act.words:
        return "consult_empty"
    named, topic = colleague(act.desk, act.argument), topic_called(act.desk.policy, act.argument)
    if named is not None and named.name == act.agent.name:
        return "consult_self"
    if named is None and topic is None:
        return "unknown_senior"
    found = named or _senior(act.desk, act.ticket, topic or "", act.agent)
    return "" if found is not None and act.desk.mail_channel_of(act.ticket) is not None else "no_senior"


@done_once
def consults(act: Act) -> str:
    desk, ticket = act.desk, act.ticket
    named = colleague(desk, act.argument)
    senior = named or _senior(desk, ticket, topic_called(desk.policy, act.argument) or "", act.agent)
    channel = desk.mail_channel_of(ticket)
    assert senior is not None, "asked before"
    assert channel is not None, "asked before"
    token = _ask(act, ticket, senior, channel)
    by = _answer_by(desk, ticket, act.incoming.received_at)
    desk.changes.reminders.append(
        Reminder(
            at=by,
            kind=ReminderKind.CONSULT.value,
            ticket=ticket.id,
            agent=act.agent.name,
            data={"senior": senior.name, "token": token},
        )
    )
    desk.tell(
        "consulted",
        ticket=ticket.id,
        message=act.incoming.id,
        agent=act.agent.name,
        senior=senior.name,
        answer_by_at=by.isoformat(),
    )
    if may_tell(desk, act.agent):
        tell_plainly(act.incoming, desk, act.agent, "consult_asked", ticket=ticket.id, detail=senior.display_name)
    return ""


def _senior(desk: Desk, ticket: Ticket, topic: str, asker: Agent) -> Agent | None:
    """Who knows the topic and is there, the least busy first; else a supervisor, of the ticket's team before others."""
    others = [one for one in desk.snapshot() if one.agent.name != asker.name]
    knowing = [one for one in others if topic in one.agent.topics and one.is_on_duty]
    if knowing:
        return min(knowing, key=_by_load).agent
    team = desk.policy.teams.get(ticket.team)
    leads = team.supervisors if team else ()
    seniors = [one for one in others if one.agent.is_supervisor or one.agent.name in leads]
    seniors.sort(key=lambda one: (not one.is_on_duty, one.agent.name not in leads, _by_load(one)))
    return seniors[0].agent if seniors else None


def _by_load(one: AgentSnapshot) -> tuple[int, str]:
    return one.open_tickets, one.agent.name


def _answer_by(desk: Desk, ticket: Ticket, at: datetime) -> datetime:
    spec = desk.policy.calendar_of(ticket.channel, ticket.team)
    return due_at(spec, at, budget_of(desk.policy, CONSULT_ANSWER))


def _ask(act: Act, ticket: Ticket, senior: Agent, channel: ChannelPolicy) -> str:
    """Send the senior the ticket's mail with the question; the token that he answers by."""
    desk, asker = act.desk, act.agent
    serial = ticket.token_serial + 1
    desk.put_ticket(replace(ticket, token_serial=serial))
    purpose = f"{CONSULT}:{asker.name}"
    token = mint(desk.keyring, ticket=ticket.id, agent=senior.name, purpose=purpose, serial=serial)
    desk.changes.tokens.append(
        TokenRecord(
            token=token, ticket=ticket.id, agent=senior.name, purpose=purpose, serial=serial, issued_at=desk.now
        )
    )
    domain = domain_of(channel)
    if channel.token_in == "references":  # noqa: S105
        this_id = reference_message_id(token, domain)
    else:
        this_id = mail_id(desk.keyring, domain, CONSULT, ticket.id, senior.name, serial)
    about = desk.latest_of(ticket)
    desk.send(
        NewOutbox(
            ticket=ticket.id,
            source=about,
            channel=channel.name,
            address=f"mailto:{senior.addresses[0]}",
            purpose=Purpose.ASSIGNMENT,
            agent=senior.name,
            recipe={
                "token": token,
                "message": about,
                "why": reason_data((because("consulted", agent=asker.name),)),
                "note": act.words[:MAX_QUESTION],
                "asker": asker.name,
            },
            mail_id=this_id,
        )
    )
    return token


# ---- advising


def on_advice(incoming: Incoming, desk: Desk, judged: SpeakerJudgement, record: TokenRecord) -> Decision:
    """A senior answers a colleague's question. `record` is a good token of his, of the purpose CONSULT.

    Nothing that he writes is carried out or sent to a customer: the words, commands among them, are what was asked for.
    """
    senior, ticket = judged.agent, goes_on_as(desk, desk.tickets[record.ticket])
    assert senior is not None
    asker = desk.policy.agents.get(record.purpose.partition(":")[2]) or desk.policy.agents.get(ticket.agent or "")
    words = incoming.message.text.strip()
    if not words and all(file.is_inline for file in incoming.message.attachments):
        return held(incoming, desk, senior, ticket, "advice_empty", judged.reasons, told=_tell(incoming, desk, senior))
    desk.put_key(incoming.message.message_id, ticket.id, is_ours=False)
    desk.changes.used_tokens.append(record.token)
    # What was asked for is passed on, once; more of it only as often as anything is told.
    readers = [one for one in _readers(desk, ticket, asker) if record.used_at is None or may_tell(desk, one)]
    desk.tell(
        "advice_given",
        ticket=ticket.id,
        message=incoming.id,
        agent=senior.name,
        asker=asker.name if asker is not None else "",
        told=bool(readers),
        reasons=reason_data(judged.reasons),
    )
    for reader in readers:
        _pass_on(incoming, desk, ticket, reader, senior, words[:MAX_ADVICE])
    return Decision(
        outcome=Outcome.NOTED,
        speaker=Speaker.AGENT,
        ticket=ticket.id,
        customer=ticket.customer,
        agent=senior.name,
        reasons=judged.reasons,
    )


def _readers(desk: Desk, ticket: Ticket, asker: Agent | None) -> list[Agent]:
    """Who reads it: whoever asked, or has the ticket; the team's supervisors where neither is here any more."""
    if asker is not None:
        return [asker]
    team = desk.policy.teams.get(ticket.team)
    return [desk.policy.agents[name] for name in (team.supervisors if team else ()) if name in desk.policy.agents]


def _tell(incoming: Incoming, desk: Desk, senior: Agent) -> bool:
    return may_tell(desk, senior) and tell_plainly(incoming, desk, senior, "advice_empty")


def _pass_on(incoming: Incoming, desk: Desk, ticket: Ticket, asker: Agent, senior: Agent, words: str) -> None:
    """The advice to who asked, in the ticket's conversation: to be answered from there if the ticket is still his."""
    channel = desk.mail_channel_of(ticket)
    if ticket.agent == asker.name and channel is not None:
        send_to_agent(
            desk,
            ticket,
            asker,
            channel,
            Purpose.TOLD,
            message=incoming.id,
            code=ADVICE,
            detail=senior.display_name,
            would_have_left=words,
        )
        return
    tell_plainly(incoming, desk, asker, ADVICE, ticket=ticket.id, detail=senior.display_name, would_have_left=words)
