"""Writing to people: work to its agent, and to the customer that it came.

What is sent here is decided on; it is worded when it leaves. Every mail to an agent about a ticket carries a reply
address of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from channels.message import Medium, Scheme, mailable
from routing.breaker import may_not_acknowledge, note_acknowledged
from routing.calendars import is_open, next_opening
from routing.desk import Desk, Incoming, domain_of, mail_id, reason_data
from routing.evidence import Strength
from routing.junk import is_trusted
from routing.links import commands_of, new_links
from routing.policy import Agent, CalendarSpec, ChannelPolicy
from routing.reach import promised_by
from routing.reasons import Reason, because
from routing.records import NewOutbox, Target, Ticket
from routing.tokens import ADVISED, REPLY, TokenRecord, mint, purpose_of_files, reference_message_id
from routing.words import Kind, Origin, Purpose, Standing, TargetKind

TOO_OLD_TO_ACKNOWLEDGE = timedelta(hours=24)  # nobody wants to hear today that yesterday's mail came
MAX_FILES = 20 * 1024 * 1024  # octets of files in one mail to an agent; the rest he is named, and can fetch
FETCH_FOR = timedelta(days=7)  # that long a link to files counts


# ---- to the agent


def notify_agent(
    desk: Desk,
    ticket: Ticket,
    incoming: Incoming,
    purpose: Purpose,
    reasons: Iterable[Reason] = (),
    standing: Standing | None = None,
    **more: Any,
) -> None:
    """Put a ticket's message before whoever has it; before the team's supervisors when nobody has.

    `standing` is that of this message where it is not the one that opened the ticket: a thread that began with a
    verified mail may be gone on with by a forged one.
    """
    if incoming.via_form:
        more["via_form"] = True
    if incoming.envelope.is_junk:
        more["lay_in_junk"] = True
    if incoming.message.spam and not is_trusted(incoming, desk):
        more["called_spam"] = True
    if incoming.medium is Medium.EMAIL and sum(a.size for a in incoming.message.attachments) > MAX_FILES:
        more["has_large_files"] = True
    write_to_holder(desk, ticket, incoming.id, purpose, reasons, standing, **more)


def write_to_holder(
    desk: Desk,
    ticket: Ticket,
    message: int,
    purpose: Purpose,
    reasons: Iterable[Reason] = (),
    standing: Standing | None = None,
    **more: Any,
) -> None:
    """The same for a message that came earlier."""
    if standing:
        more["standing"] = standing.value
    channel = desk.mail_channel_of(ticket)
    if channel is None:
        desk.tell("agent_unreachable", ticket=ticket.id, message=message, agent=ticket.agent, why="no mail channel")
        return
    team = desk.policy.teams.get(ticket.team)
    own = desk.policy.agents.get(ticket.agent or "")  # None as well for one who has left
    supervisors = [desk.policy.agents[n] for n in (team.supervisors if team else ()) if n in desk.policy.agents]
    readers = [own] if own else supervisors
    for agent in readers:
        send_to_agent(desk, ticket, agent, channel, purpose, message=message, reasons=reasons, **more)
    if not readers:
        desk.tell("agent_unreachable", ticket=ticket.id, message=message, why="the team has no supervisor")


def send_to_agent(
    desk: Desk,
    ticket: Ticket,
    agent: Agent,
    channel: ChannelPolicy,
    purpose: Purpose,
    *,
    message: int | None,
    reasons: Iterable[Reason] = (),
    not_before: datetime | None = None,
    **more: Any,
) -> None:
    """One mail to one agent about one ticket, with a token of its own to answer by."""
    current = desk.tickets.get(ticket.id, ticket)
    serial = current.token_serial + 1
    desk.put_ticket(replace(current, token_serial=serial))
    kind = ADVISED if more.get("code") == "advice" else REPLY
    token = mint(desk.keyring, ticket=ticket.id, agent=agent.name, purpose=kind, serial=serial)
    desk.changes.tokens.append(
        TokenRecord(token=token, ticket=ticket.id, agent=agent.name, purpose=kind, serial=serial, issued_at=desk.now)
    )
    if message is not None and more.pop("has_large_files", False):
        more["files"] = _files_token(desk, ticket.id, agent.name, serial, message)
    if acts := new_links(desk, ticket.id, agent.name, serial, channel, commands_of(purpose, more.get("code"))):
        more["acts"] = acts
    domain = domain_of(channel)
    if channel.token_in == "references":  # noqa: S105
        this_id = reference_message_id(token, domain)
    else:
        this_id = mail_id(desk.keyring, domain, purpose.value, ticket.id, agent.name, serial)
    desk.send(
        NewOutbox(
            ticket=ticket.id,
            source=message,
            channel=channel.name,
            address=f"{Scheme.MAIL.value}:{agent.addresses[0]}",
            purpose=purpose,
            agent=agent.name,
            recipe={"token": token, "message": message, "why": reason_data(tuple(reasons)), **more},
            mail_id=this_id,
            not_before=not_before,
        )
    )


def _files_token(desk: Desk, ticket: int, agent: str, serial: int, message: int) -> str:
    """The token of a link to the files of a message, for one agent, for a week."""
    purpose = purpose_of_files(message)
    token = mint(desk.keyring, ticket=ticket, agent=agent, purpose=purpose, serial=serial)
    until = desk.now + FETCH_FOR
    record = TokenRecord(
        token=token, ticket=ticket, agent=agent, purpose=purpose, serial=serial, issued_at=desk.now, expires_at=until
    )
    desk.changes.tokens.append(record)
    return token


# ---- to the customer: the acknowledgement


def acknowledge(desk: Desk, ticket: Ticket, incoming: Incoming, strength: Strength = Strength.NONE) -> None:
    """Say at once that it came, its number, and until when a person answers; or record why not.

    `strength`: how surely it complains. Only who clearly does reads that we are sorry.
    """
    spec = desk.policy.calendar_of(ticket.channel, ticket.team)
    promise = next((t for t in desk.targets.get(ticket.id, ()) if t.kind is TargetKind.FIRST_RESPONSE), None)
    # Of what an agent passed on, nothing could be promised before he did.
    at = desk.now if ticket.origin == Origin.FORWARDED else incoming.received_at
    until = _promised(promise, spec, at) if promise is not None else None
    if until is not None and is_open(spec, at):
        until = promised_by(until, at, desk.reach.get(ticket.channel))
    refusal = _no_acknowledgement(desk, ticket, incoming, until)
    if refusal is not None:
        desk.tell("acknowledgement_withheld", ticket=ticket.id, message=incoming.id, reasons=reason_data((refusal,)))
        return
    if until is None:
        return
    channel = desk.channel(ticket.channel)
    this_id = (
        mail_id(desk.keyring, domain_of(channel), "acknowledgement", ticket.id)
        if incoming.medium is Medium.EMAIL
        else ""
    )
    note_acknowledged(desk, ticket.contact)
    desk.send(
        NewOutbox(
            ticket=ticket.id,
            source=incoming.id,
            channel=ticket.channel,
            address=ticket.contact,
            purpose=Purpose.ACKNOWLEDGEMENT,
            agent=None,
            recipe={
                "message": incoming.id,
                "due_at": until.isoformat(),
                "is_open": is_open(spec, at),
                "calendar": spec.name,
                **({"complaint": True} if strength is Strength.STRONG and ticket.kind is Kind.COMPLAINT else {}),
            },
            mail_id=this_id,
        )
    )


def _promised(target: Target, spec: CalendarSpec, received_at: datetime) -> datetime:
    """A time that can be kept: a target of the wall clock is promised from the next opening on, when it is closed."""
    if is_open(spec, received_at):
        return target.due_at
    opens = next_opening(spec, received_at)
    return target.due_at if target.due_at > opens else opens + (target.due_at - target.started_at)


def _no_acknowledgement(desk: Desk, ticket: Ticket, incoming: Incoming, until: datetime | None) -> Reason | None:
    """Why this sender gets no acknowledgement, or None."""
    if not desk.channel(ticket.channel).acknowledge:
        return because("ack_off")
    if incoming.medium is Medium.EMAIL and not mailable(incoming.message.sender.value):
        return because("ack_no_address")
    if ticket.matter is not None and ticket.matter != ticket.id:
        return because("ack_same_matter", ticket=ticket.matter)
    if incoming.envelope.is_backlog:
        return because("ack_backlog")
    if desk.now - incoming.received_at > TOO_OLD_TO_ACKNOWLEDGE:
        return because("ack_too_old")
    if until is not None and until <= desk.now:
        return because("ack_too_late")  # a time that can no longer be kept is promised to nobody
    return may_not_acknowledge(desk, ticket.contact)
