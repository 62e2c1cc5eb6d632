"""Passing on: an agent forwards a customer's mail to the desk, and a ticket opens for whoever had written it.

Its clock begins when that mail had been written: it is late by us. The block of headers proves nothing of its sender,
nor does an attached mail: he is not verified, whoever passes him on. The agent's own words stay inside. Where it is
not clear whose mail it is, or from when, a ticket without a customer is put before the agent, and he is asked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from channels.adapter import Envelope
from channels.message import Address, Message, PassedOn, Scheme, mailable
from routing.commands import CommandName, parse
from routing.confirming import ask
from routing.desk import Decision, Desk, Incoming
from routing.holding import may_tell, tell_plainly
from routing.identity import SpeakerJudgement, standing
from routing.opening import PassedBy, customer_of, from_customer
from routing.outsiders import is_ours
from routing.policy import Agent, Policy
from routing.reasons import because
from routing.recipients import answer_address
from routing.records import Question, Ticket
from routing.words import Origin, Outcome, ParticipantRole, Purpose, QuestionKind, Speaker, Standing, TicketState
from routing.writing import send_to_agent, write_to_holder

MAX_LATE = timedelta(days=60)  # older mail is passed on for another reason than to be answered
SKEW = timedelta(minutes=10)  # that far the clock of whoever wrote the mail may be ahead
MAX_NOTE = 4000  # characters of the agent's own words
MAX_SHOWN = 4000  # characters of what he is asked about

_VOUCHING = frozenset({"authentication-results", "received"})


def pass_on(incoming: Incoming, desk: Desk, judged: SpeakerJudgement, agent: Agent) -> Decision:
    """Take in what he passes on."""
    passed = incoming.message.passed_on
    assert passed is not None
    written_at = _written_at(passed, incoming, desk.policy)
    doubt = _doubt(passed, written_at, incoming, desk)
    if doubt or written_at is None:
        return _ask(incoming, desk, judged, agent, passed, doubt)
    original = _as_original(incoming, passed, min(written_at, incoming.received_at))
    known = _already_here(original, desk)
    if known is not None:
        return _noted(incoming, desk, judged, agent, passed, known)
    how_far, why = standing(original.message, desk.channel(incoming.channel), desk.known_domains)
    decision = from_customer(
        original,
        desk,
        how_far,
        (*judged.reasons, because("passed_on", agent=agent.name), why),
        may_acknowledge=_is_a_persons(original.message),
        passed=PassedBy(agent=agent.name, note=passed.note[:MAX_NOTE]),
    )
    _tell(incoming, desk, agent, decision, passed, original.received_at)
    return replace(decision, agent=agent.name, stands_for=original.message)


def _tell(
    incoming: Incoming, desk: Desk, agent: Agent, decision: Decision, passed: PassedOn, written_at: datetime
) -> None:
    desk.tell(
        "mail_passed_on",
        ticket=decision.ticket,
        message=incoming.id,
        customer=decision.customer,
        agent=agent.name,
        written_at=written_at.isoformat(),
        late_by_us_s=round((incoming.received_at - written_at).total_seconds()),
        attached=passed.is_attached,
    )


# ---- whose it is, and from when


def _written_at(passed: PassedOn, incoming: Incoming, policy: Policy) -> datetime | None:
    """When it was written; None where that cannot be read, or is not to be believed."""
    moment = passed.original.date_header
    if moment is None and passed.local_time:
        moment = datetime.fromisoformat(passed.local_time).replace(tzinfo=ZoneInfo(policy.timezone))
    if moment is None or not incoming.received_at - MAX_LATE <= moment <= incoming.received_at + SKEW:
        return None
    return moment


def _doubt(passed: PassedOn, written_at: datetime | None, incoming: Incoming, desk: Desk) -> str:
    """Why the agent must be asked; "" if it is clear whose mail this is and from when."""
    sender = passed.original.sender.value
    if not mailable(sender) or passed.original.from_count != 1:
        return "no_sender"
    if is_ours(sender, desk.policy):
        return "ours"
    if passed.count > 1:
        return "several"
    return "no_time" if written_at is None else ""


def _as_original(incoming: Incoming, passed: PassedOn, written_at: datetime) -> Incoming:
    """As it might have come by itself. Nothing that the block or the attached mail says of its own way counts."""
    told = passed.original
    message = replace(
        told,
        reply_to=(),
        authentication=(),
        spam="",
        loop_marks=(),
        passed_on=None,
        source_headers=tuple((n, v) for n, v in told.source_headers if n.lower() not in _VOUCHING),
    )
    return replace(
        incoming,
        message=message,
        received_at=written_at,
        envelope=Envelope(source_size=incoming.envelope.source_size, is_backlog=incoming.envelope.is_backlog),
    )


def _is_a_persons(message: Message) -> bool:
    """Whether a machine may write back: an attached mail tells more of itself than words do."""
    return not message.auto_submitted and message.bounce is None and not message.automatic_id


# ---- it is here already


def _already_here(original: Incoming, desk: Desk) -> Ticket | None:
    """The ticket to which this very mail came by itself. Its id may be known to others: its sender must belong."""
    message = original.message
    known = desk.keys.get(message.message_id) if message.message_id else None
    numbers = [known[0]] if known is not None and not known[1] else []
    if message.content_key in desk.content and desk.content[message.content_key][1] is not None:
        numbers.append(desk.content[message.content_key][1] or 0)
    found = (desk.tickets[n] for n in numbers if n in desk.tickets)
    return next((ticket for ticket in found if belongs(str(message.sender), ticket, desk)), None)


def belongs(address: str, ticket: Ticket, desk: Desk) -> bool:
    """Whether an address is of a ticket: its customer's, where he is answered, or that of somebody let in."""
    contact = desk.contacts.get(address)
    if contact is not None and contact.customer == ticket.customer:
        return True
    if address in (ticket.contact, answer_address(ticket, desk.contacts.get(ticket.contact))):
        return True
    one = desk.participants.get(ticket.id, {}).get(address)
    return one is not None and one.role == ParticipantRole.CC


def _noted(
    incoming: Incoming, desk: Desk, judged: SpeakerJudgement, agent: Agent, passed: PassedOn, ticket: Ticket
) -> Decision:
    """The customer had written to us as well: nothing is opened twice. Words beside it go to whoever has the ticket."""
    desk.put_key(incoming.message.message_id, ticket.id, is_ours=False)
    desk.tell("note_recorded", ticket=ticket.id, message=incoming.id, agent=agent.name, asked_by=incoming.id)
    holder = desk.policy.agents.get(ticket.agent or "")
    if may_tell(desk, agent):
        by = holder.display_name if holder is not None else ""
        tell_plainly(incoming, desk, agent, "already_here", ticket=ticket.id, detail=_named(ticket, by))
    channel = desk.mail_channel_of(ticket)
    if passed.note and holder is not None and holder.name != agent.name and channel is not None:
        send_to_agent(
            desk, ticket, holder, channel, Purpose.TOLD, message=incoming.id, code="passed_note",
            by=agent.name, would_have_left=passed.note[:MAX_NOTE],
        )  # fmt: skip
    return Decision(
        outcome=Outcome.NOTED,
        speaker=Speaker.AGENT,
        ticket=ticket.id,
        customer=ticket.customer,
        agent=agent.name,
        reasons=judged.reasons,
    )


def _named(ticket: Ticket, by: str) -> str:
    return f"#{ticket.id}" + (f" ({by})" if by else "")


# ---- the agent is asked


def _ask(
    incoming: Incoming, desk: Desk, judged: SpeakerJudgement, agent: Agent, passed: PassedOn, doubt: str
) -> Decision:
    """Put it before him as a ticket that is nobody's yet, and ask whose it is. Its clock runs meanwhile."""
    told = passed.original
    stub = _as_original(incoming, passed, incoming.received_at)
    nobody = Address(scheme=Scheme.MAIL, value="", display_name=told.sender.display_name)
    stub = replace(stub, message=replace(stub.message, sender=nobody, recipients=(), message_id="", in_reply_to=()))
    stub = replace(stub, message=replace(stub.message, references=()))
    decision = from_customer(
        stub,
        desk,
        Standing.UNVERIFIED,
        (*judged.reasons, because("passed_on_doubt", why=doubt)),
        may_acknowledge=False,
        passed=PassedBy(agent=agent.name, note=passed.note[:MAX_NOTE], stays_his=True),
    )
    written_at = _written_at(passed, incoming, desk.policy)
    ask(
        incoming,
        desk,
        agent,
        QuestionKind.FORWARD,
        {
            "why": doubt,
            "guess": "" if doubt in ("no_sender", "ours") else told.sender.value,
            "written_at": written_at.isoformat() if written_at is not None else "",
        },
        ticket=decision.ticket,
        preview=told.text_full[:MAX_SHOWN],
        detail=told.subject[:120],
    )
    desk.tell("passed_on_in_doubt", ticket=decision.ticket, message=incoming.id, agent=agent.name, why=doubt)
    return replace(decision, agent=agent.name, stands_for=stub.message)


def said_sender(incoming: Incoming, desk: Desk, question: Question) -> Address | None:
    """Whom the agent names behind `!ok`, or accepts with `!ok` alone; None if that is nobody who can be answered."""
    commands = parse(incoming.message.text).commands
    argument = next((c.argument for c in commands if c.name is CommandName.OK), "")
    value = argument.strip(" <>\t,;，；。").lower().removeprefix("mailto:") or str(question.data.get("guess", ""))
    if not mailable(value) or is_ours(value, desk.policy):
        return None
    return Address(scheme=Scheme.MAIL, value=value)


def name_sender(incoming: Incoming, desk: Desk, agent: Agent, question: Question) -> None:
    """The agent has said whose mail it is: the ticket is that customer's from now on."""
    sender = said_sender(incoming, desk, question)
    ticket = desk.tickets.get(question.ticket or 0)
    assert sender is not None, "asked before"
    if ticket is None or ticket.origin != Origin.FORWARDED or ticket.contact.partition(":")[2]:
        return  # it has been settled otherwise
    sender = replace(sender, display_name=ticket.contact_name)
    mail = replace(incoming, message=Message(medium=incoming.medium, sender=sender))
    how_far, _ = standing(mail.message, desk.channel(incoming.channel), desk.known_domains)
    customer = customer_of(mail, desk, how_far, ticket.language)
    named = replace(
        ticket,
        customer=customer.id,
        contact=str(sender),
        contact_name=ticket.contact_name or customer.name,
        standing=how_far.value,
        updated_at=desk.now,
    )
    desk.put_ticket(named)
    desk.changes.named[named.id] = named
    desk.tell("sender_named", ticket=named.id, message=incoming.id, customer=customer.id, agent=agent.name)
    if named.state is not TicketState.CLOSED:
        write_to_holder(desk, desk.tickets[named.id], question.message, Purpose.ASSIGNMENT, standing=how_far)
