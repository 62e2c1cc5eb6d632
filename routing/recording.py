"""Recording: what was said elsewhere, by telephone, on LINE, at the counter, is written down and counts as the answer.

`!record call` in answer to a ticket's mail, with what was said below: it stays inside, and what was owed is met as of
when the agent's mail came. In a mail of its own, `!record LINE 0912345678` opens a ticket for that customer, found by
number, mail address or exact name, or new. `open` behind it keeps the ticket open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, is_possible_number
from phonenumbers import parse as parse_number

from channels.message import Medium, Scheme, mailable
from routing.commands import CommandName, bare, parse
from routing.deed import Act
from routing.desk import Desk
from routing.folding import fold
from routing.holding import tell_agent
from routing.obstacles import holder_of
from routing.once import asked_once, done_once
from routing.opening import MAX_CHAT_SUBJECT, add_target
from routing.policy import Policy
from routing.recipients import is_inside
from routing.records import Contact, Customer, Target, Ticket
from routing.rules import classify
from routing.urgency import plans
from routing.words import Origin, Purpose, Standing, TargetKind, TicketState
from routing.writing import send_to_agent

MAX_WHO = 120  # characters
MAX_SHOWN = 4000  # characters of his words that a colleague is shown

#: How a way of speaking may be written, folded -> what the log calls it.
_WAYS = {
    **dict.fromkeys(("call", "phone", "tel", "電話", "电话", "來電", "来电", "通話", "通话"), "phone"),
    **dict.fromkeys(
        ("walk-in", "walkin", "visit", "現場", "现场", "臨櫃", "临柜", "來訪", "来访", "面談", "面谈"), "visit"
    ),
    **dict.fromkeys(("line", "賴"), "line"),
    **dict.fromkeys(("wecom", "企業微信", "企业微信", "wechat", "微信"), "wecom"),
    **dict.fromkeys(("whatsapp",), "whatsapp"),
    **dict.fromkeys(("telegram", "tg"), "telegram"),
    **dict.fromkeys(("mail", "email", "e-mail", "郵件", "邮件", "電郵", "电邮"), "email"),
    **dict.fromkeys(("fax", "傳真", "传真"), "fax"),
    **dict.fromkeys(("letter", "post", "信件", "郵寄", "邮寄"), "letter"),
    **dict.fromkeys(("sms", "簡訊", "短信"), "sms"),
}
_OPEN = frozenset({"open", "未結", "未结", "待辦", "待办", "不結", "不结"})
_MET = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE, TargetKind.CALLBACK)
_MAIL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{0,63}@[A-Za-z0-9.-]{1,255}")
_NUMBER = re.compile(r"\+?[0-9][0-9 ()./-]{5,30}\Z")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What stands behind `!record`."""

    way: str = "other"
    who: str = ""  # as written
    contact: str = ""  # "tel:+886…", "mailto:…"; "" where `who` is a name
    stays_open: bool = False


def asked_record(argument: str, policy: Policy) -> Recorded:
    """The way, the customer, and whether the ticket stays open."""
    words = argument[:MAX_WHO].split()
    stays_open = bool(words) and fold(words[-1]) in _OPEN
    words = words[:-1] if stays_open else words
    way = _WAYS.get(fold(words[0])) if words else None
    who = " ".join(words[1:] if way else words)
    return Recorded(way or "other", who, _contact(who, policy), stays_open)


def _contact(who: str, policy: Policy) -> str:
    if (mail := _MAIL.fullmatch(who.strip("<>"))) is not None:
        value = mail[0].lower().rstrip(".")
        return f"{Scheme.MAIL.value}:{value}" if mailable(value) and not is_inside(value, policy) else ""
    plain = fold(who)
    number = _e164(plain, policy.region) if _NUMBER.match(plain) else ""
    return f"{Scheme.PHONE.value}:{number}" if number else ""


def _e164(number: str, region: str) -> str:
    """The number as calls are known by; "" if it is none that could be dialled."""
    try:
        found = parse_number(number, region)
    except NumberParseException:
        return ""
    return format_number(found, PhoneNumberFormat.E164) if is_possible_number(found) else ""


def people_named(text: str, policy: Policy) -> tuple[set[str], set[str]]:
    """(contacts, names) of whom the commands at the top of a mail record something: they are read beforehand."""
    if not bare(text).startswith(("!", "！")):
        return set(), set()
    asked = [asked_record(c.argument, policy) for c in parse(text).commands if c.name is CommandName.RECORD]
    return {one.contact for one in asked if one.contact}, {one.who for one in asked if one.who and not one.contact}


# ---- as a deed


@asked_once
def cannot_record(act: Act) -> str:
    if not act.words:
        return "record_empty"
    if act.number is not None:
        return ""
    asked = asked_record(act.argument, act.desk.policy)
    if not asked.who or ("@" in asked.who and not asked.contact):
        return "record_who"
    return "record_several" if len(_called(act.desk, asked)) > 1 else ""


@done_once
def records(act: Act) -> str:
    asked = asked_record(act.argument, act.desk.policy)
    if act.number is not None:
        _on_ticket(act, act.ticket, asked)
    else:
        ticket = _opened(act, asked)
        _on_ticket(act, ticket, asked)
        tell_agent(act.incoming, act.desk, act.agent, act.desk.tickets[ticket.id], "recorded")
    return ""


def _on_ticket(act: Act, ticket: Ticket, asked: Recorded) -> None:
    """What was said counts as the answer, as of when the mail about it came."""
    desk, at = act.desk, act.incoming.received_at
    for target in list(desk.open_targets(ticket.id)):
        if target.kind in _MET and target.started_at <= at:
            desk.meet(target, at, at)
            _stamp(act, ticket, target)
    if ticket.state is not TicketState.CLOSED:
        state = TicketState.OPEN if asked.stays_open else TicketState.ANSWERED
        desk.put_ticket(
            replace(
                desk.tickets[ticket.id],
                state=state,
                agent=ticket.agent or act.agent.name,
                answered_by=act.agent.name,
                answered_at=at,
                updated_at=desk.now,
            )
        )
    _tell_holder(act, ticket)
    desk.put_key(act.incoming.message.message_id, ticket.id, is_ours=False)
    desk.tell(
        "answer_recorded",
        ticket=ticket.id,
        message=act.incoming.id,
        agent=act.agent.name,
        channel=act.incoming.channel,
        way=asked.way,
        answered_at=at.isoformat(),
        stays_open=asked.stays_open,
    )


def _tell_holder(act: Act, ticket: Ticket) -> None:
    """Who has the ticket must not answer what a colleague has talked over."""
    holder, channel = holder_of(act.desk, ticket), act.desk.mail_channel_of(ticket)
    if holder is None or holder.name == act.agent.name or channel is None or ticket.state is TicketState.CLOSED:
        return
    send_to_agent(
        act.desk,
        act.desk.tickets[ticket.id],
        holder,
        channel,
        Purpose.TOLD,
        message=act.incoming.id,
        code="recorded_by",
        by=act.agent.name,
        at=act.incoming.received_at.isoformat(),
        would_have_left=act.words[:MAX_SHOWN],
    )


def _stamp(act: Act, ticket: Ticket, target: Target) -> None:
    at = act.incoming.received_at
    kind = "first_response_recorded" if target.kind is TargetKind.FIRST_RESPONSE else "target_met"
    act.desk.tell(
        kind,
        ticket=ticket.id,
        message=act.incoming.id,
        agent=act.agent.name,
        target=target.kind.value,
        ordinal=target.ordinal,
        channel=ticket.channel,
        due_at=target.due_at.isoformat(),
        answered_at=at.isoformat(),
        delivered_at=at.isoformat(),
        margin_s=round((target.due_at - at).total_seconds(), 3),
    )


# ---- without a ticket


def _called(desk: Desk, asked: Recorded) -> list[Customer]:
    """The customers that are meant: one, none, or several of one name."""
    known = desk.contacts.get(asked.contact) if asked.contact else None
    if known is not None:
        return [desk.customers[known.customer]]
    return [] if asked.contact else [c for c in desk.customers.values() if c.name == asked.who]


def _customer(act: Act, asked: Recorded) -> Customer:
    desk = act.desk
    found = _called(desk, asked)
    if found:
        return found[0]
    customer = desk.new_customer(asked.who, desk.policy.language, act.agent.name)
    desk.tell("customer_registered", customer=customer.id, message=act.incoming.id, source="agent")
    if asked.contact:
        desk.new_contact(
            Contact(
                address=asked.contact,
                customer=customer.id,
                name=asked.who,
                source=f"agent:{act.agent.name}",
                first_seen_at=desk.now,
            )
        )
    return customer


def _opened(act: Act, asked: Recorded) -> Ticket:
    """A ticket of what was said, with everything that one promises: it is met a moment later."""
    desk, incoming = act.desk, act.incoming
    channel = desk.channel(incoming.channel)
    about = classify(replace(incoming.message, text=act.words, subject=""), desk.policy, channel)
    customer = _customer(act, asked)
    contacts = [c.address for c in desk.contacts_of.get(customer.id, ())]
    contact = asked.contact or next(iter(contacts), f"{Scheme.PHONE.value}:")
    is_mail = contact.startswith(f"{Scheme.MAIL.value}:")
    ticket = Ticket(
        id=desk.new_ticket_number(),
        state=TicketState.OPEN,
        kind=about.kind,
        topic=about.topic,
        is_urgent=about.urgent,
        channel=incoming.channel,
        medium=(Medium.EMAIL if is_mail else Medium.PHONE).value,
        customer=customer.id,
        contact=contact,
        contact_name=customer.name,
        standing=Standing.UNVERIFIED.value,
        subject=" ".join(act.words[:200].split())[:MAX_CHAT_SUBJECT],
        language=about.language or customer.language,
        team=about.team or channel.team or desk.policy.default_team,
        agent=act.agent.name,
        opened_by=incoming.id,
        opened_at=incoming.received_at,
        updated_at=desk.now,
        assigned_at=desk.now,
        origin=Origin.RECORDED.value,
    )
    desk.put_ticket(ticket)
    desk.tell(
        "ticket_recorded",
        ticket=ticket.id,
        message=incoming.id,
        agent=act.agent.name,
        customer=customer.id,
        kind_of_ticket=ticket.kind.value,
        topic=ticket.topic,
        urgent=ticket.is_urgent,
        team=ticket.team,
    )
    for plan in plans(desk, ticket, incoming.received_at):
        add_target(desk, ticket, plan, incoming.id)
    return ticket
