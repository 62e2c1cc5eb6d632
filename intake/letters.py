"""Letters: from a row of the outbox and what the store knows to the octets that leave.

Composed at the first attempt and then stored, so that every further attempt sends identical bytes. Everything is read
in the caller's transaction; the wording itself is `compose`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import bindparam, select

from channels.adapter import OutboundMessage
from channels.message import Address, Medium, Scheme
from intake import compose, dates
from intake.action_links import actions
from intake.agents_chat import MAILED
from intake.beside import LARGE, beside
from intake.cards import (
    Matter,
    Stationery,
    card_of,
    customer_name,
    exchanges_of,
    files_of,
    frozen_name,
    frozen_subject,
    matter_of,
    message_of,
    messages_of,
    shown_contact,
    topic_name,
    value_of,
)
from intake.compose_chat import buttons_in_chat, letter_in_chat, notice_in_chat
from intake.compose_welcome import EnrolMail, enrol_facts, enrol_mail
from intake.compose_words import unfolded
from intake.left_out import all_arrived, arrived_of, left_out, link_to_files
from intake.list_reader import show_link
from intake.lists import CODE as LIST
from intake.lists import list_letter
from intake.rescues import rescues
from intake.said import Said, said_by
from intake.shown import about_last_words, is_shown, standing_of, stands, story_of
from intake.told_holding import holding_of
from intake.told_words import told_words
from intake.who_gets_it import recipients_of
from routing.calendars import next_opening
from routing.commands import CommandName as Name
from routing.consulting import ADVICE
from routing.desk import domain_of, mail_id
from routing.enrolling import LETTER as ENROLMENT
from routing.enrolling import NO_TICKET
from routing.filters import loop_mark
from routing.masking import Masks, masks_of
from routing.policy import Agent, ChannelPolicy
from routing.presence import ON
from routing.reasons import Reason
from routing.records import Ticket
from routing.tokens import canary, reply_address
from routing.words import Kind, NoticeKind, Origin, Purpose, Standing, TargetKind
from routing.writing import MAX_FILES
from store import agents, customers, deadlines, participants, tickets
from store.engine import Transaction
from store.messages import MESSAGE
from store.outbox import OutboxItem
from store.seal import SealBroken

log = structlog.get_logger(__name__)


class NothingToSay(Exception):
    """What this row was to tell is no news any more: it does not leave."""


async def outbound(
    tx: Transaction, item: OutboxItem, with_: Stationery, now: datetime, body: bytes | None
) -> OutboundMessage:
    """What is handed to the channel's sender. `body`: the stored bytes of an earlier attempt, if there was one.

    Raises NothingToSay for a warning of what was answered meanwhile, or is overdue: the breach tells that.
    """
    channel = with_.policy.channels[item.channel]
    scheme, _, value = item.address.partition(":")
    is_inside = item.purpose not in (Purpose.ANSWER, Purpose.ACKNOWLEDGEMENT)
    if is_inside and item.agent not in with_.policy.agents:
        raise LookupError(f"{item.agent} is no agent any more")  # also where the letter was written before he left
    if item.purpose is Purpose.WARNING and not await _still_ahead(tx, item, now):
        raise NothingToSay
    if body is None and channel.medium == Medium.TELEGRAM and is_inside:
        body = await _in_chat(tx, item, with_, channel, now)
    elif body is None:
        body = await _compose(tx, item, with_, channel, now)
    agent = with_.policy.agents.get(item.agent or "")
    is_automatic = item.purpose is Purpose.ACKNOWLEDGEMENT
    return OutboundMessage(
        id=item.id,
        recipient=Address(scheme=Scheme(scheme), value=value),
        body=body,
        message_id=item.mail_id,
        # G7: an acknowledgement leaves with a null return path; what goes to agents returns to the desk.
        envelope_from="" if is_automatic and channel.null_return_path else channel.address,
        author=agent.display_name if agent and item.purpose is Purpose.ANSWER else channel.display_name,
        # By our clock, like the visitor's own lines: a mail server tells whole seconds, of a clock of its own, and a
        # line that sorts before one which the page has confirmed would never be confirmed itself.
        sent_at=item.created_at,
        ticket=item.ticket,
        files=await _files_in_chat(tx, item, channel),
        buttons=_buttons(item, channel, with_),
    )


async def _in_chat(
    tx: Transaction, item: OutboxItem, with_: Stationery, channel: ChannelPolicy, now: datetime
) -> bytes:
    """A letter to an agent as his chat shows it: the mail that he would have got, without what only a mail needs."""
    by = with_.policy.channels.get(str(item.recipe.get(MAILED, "")))
    if by is None:
        raise LookupError(f"{item.recipe.get(MAILED)} is no channel any more")
    with unfolded():
        mail = await _compose(tx, item, with_, by, now)
    if channel.content != "full":
        agent = with_.policy.agents[item.agent or ""]
        return notice_in_chat(item.ticket, dates.language_of(agent.language), with_.texts)
    return letter_in_chat(mail, dates.language_of(with_.policy.agents[item.agent or ""].language), with_.texts)


async def _files_in_chat(tx: Transaction, item: OutboxItem, channel: ChannelPolicy) -> tuple[tuple[str, bytes], ...]:
    """What goes beside the words: an answer's files to a customer, a message's to its agent."""
    if channel.medium != Medium.TELEGRAM:
        return ()
    wanted: set[str] | None = None
    if item.purpose is Purpose.ANSWER:
        wanted = set(item.recipe.get("files", ()))
    elif item.purpose not in (Purpose.ASSIGNMENT, Purpose.UPDATE) or channel.content != "full":
        return ()
    files = await files_of(tx, item.source, wanted, None if wanted is not None else MAX_FILES)
    return tuple((file.name, file.content) for file in files if not file.is_inline)


def _buttons(item: OutboxItem, channel: ChannelPolicy, with_: Stationery) -> tuple[tuple[str, str], ...]:
    """What may be pressed under a ticket's message in an agent's chat."""
    agent = with_.policy.agents.get(item.agent or "")
    about_it = item.purpose in (Purpose.ASSIGNMENT, Purpose.UPDATE) and item.ticket is not None
    if agent is None or channel.medium != Medium.TELEGRAM or channel.content != "full" or not about_it:
        return ()
    return buttons_in_chat(dates.language_of(agent.language), with_.texts)


async def _compose(
    tx: Transaction, item: OutboxItem, with_: Stationery, channel: ChannelPolicy, now: datetime
) -> bytes:
    matter = await matter_of(tx, item.ticket) if item.ticket is not None else None
    if item.purpose is Purpose.TOLD and item.recipe.get("code") == ENROLMENT:
        return _enrolment(item, with_, channel, now)
    if item.purpose is Purpose.TOLD and item.recipe.get("code") == LIST:
        desk = _desk_to(item, with_, channel, with_.policy.agents[item.agent or ""], None, now)
        return await list_letter(tx, item, with_, channel, desk, now)
    if is_shown(item) and matter is not None:
        return await _to_agent(tx, await about_last_words(tx, item), with_, channel, matter, now)
    if item.purpose is Purpose.TOLD:
        return await _told(tx, item, with_, channel, matter, now)
    if item.purpose in (Purpose.WARNING, Purpose.BREACH):
        return await _notice(tx, item, with_, channel, now)
    assert matter is not None, "an outbox row of this purpose belongs to a ticket"
    if item.purpose is Purpose.ANSWER:
        return await _answer(tx, item, with_, channel, matter)
    if item.purpose is Purpose.ACKNOWLEDGEMENT:
        return await _acknowledgement(tx, item, with_, channel, matter, now)
    return await _to_agent(tx, item, with_, channel, matter, now)


async def foresee(tx: Transaction, items: Sequence[OutboxItem]) -> None:
    """Read what composing these will ask for, with one query a kind: `Transaction.once` then has it."""
    found = await tickets.by_ids(tx, (i.ticket for i in items if i.ticket is not None))
    theirs = {ticket.customer for ticket in found.values()}
    await customers.by_ids(tx, theirs)
    await customers.contacts_of(tx, theirs)
    await customers.contacts(tx, {ticket.contact for ticket in found.values()})
    await deadlines.of_tickets(tx, found)
    await participants.of_tickets(tx, found)
    sources = {i.source for i in items if i.source is not None and i.purpose in _ABOUT_A_MESSAGE}
    await all_arrived(tx, sources)
    with suppress(SealBroken):  # which of them it is, composing that one will tell
        await messages_of(tx, sources)


_ABOUT_A_MESSAGE = (Purpose.ASSIGNMENT, Purpose.UPDATE, Purpose.ACKNOWLEDGEMENT)


def _octets_in(files: Sequence[compose.File]) -> int:
    return sum(len(file.content) for file in files)


# ---- to the customer


async def _answer(
    tx: Transaction, item: OutboxItem, with_: Stationery, channel: ChannelPolicy, matter: Matter
) -> bytes:
    words = str(item.recipe["words"])
    if channel.medium != Medium.EMAIL:
        return compose.customer_text(words)
    ticket = matter.ticket
    files = await files_of(tx, item.source, set(item.recipe.get("files", ())))
    to = str(item.recipe.get("to", item.address))
    agent = with_.policy.agents.get(item.agent or "")
    masks = masks_of(agent.addresses, agent.phones, channel.address, with_.policy.hotline) if agent else Masks()
    facts = compose.CustomerMail(
        firm=with_.policy.firm,
        desk_address=channel.address,
        desk_name=channel.display_name or with_.policy.firm,
        to=(ticket.contact_name if ticket.medium == Medium.EMAIL else "", value_of(to)),
        cc=tuple((name, value_of(address)) for name, address in item.recipe.get("cc", ())),
        language=dates.language_of(ticket.language),
        message_id=item.mail_id,
        date=item.created_at,
        loop=loop_mark(with_.keyring.current.secret, item.mail_id),
        customer_subject=_subject_to_customer(ticket),
        # Every copy is composed by itself, to the same octets: what came after these words is not looked at.
        **await _thread(tx, ticket.id, before=item.source),
        words=words,
        carried=await _carried(tx, item, words, files, masks),
        author=agent.display_name if agent else "",
        signature=with_.policy.signatures.get(dates.language_of(ticket.language), ""),
        files=files,
    )
    return await beside(_octets_in(facts.files), compose.customer_answer, facts, with_.texts)


def _subject_to_customer(ticket: Ticket) -> str:
    """What the customer may read over an answer: never what an agent wrote down for himself."""
    return "" if ticket.origin == Origin.RECORDED else ticket.subject


async def _carried(
    tx: Transaction, item: OutboxItem, words: str, files: tuple[compose.File, ...], masks: Masks
) -> compose.Carried | None:
    """What of his HTML goes along with an agent's words; None where he wrote none, or it is not these words."""
    source = await message_of(tx, item.source)
    if source is None or not source.html:
        return None
    links = tuple(item.recipe.get("links", ()))
    # In a thread: a large page takes a good part of a second.
    carried = await beside(
        LARGE,  # whatever its size
        compose.carry,
        source.html,
        words,
        links=links,
        files=files,
        seed=item.mail_id,
        masks=masks,
    )
    if isinstance(carried, str):
        log.info("html_not_carried", ticket=item.ticket, outbox=item.id, message=item.source, why=carried)
        return None
    return carried


async def _acknowledgement(
    tx: Transaction, item: OutboxItem, with_: Stationery, channel: ChannelPolicy, matter: Matter, now: datetime
) -> bytes:
    ticket, policy = matter.ticket, with_.policy
    spec = policy.calendars[item.recipe["calendar"]]
    is_mail = channel.medium == Medium.EMAIL
    thread = await _thread(tx, ticket.id) if ticket.medium == Medium.EMAIL else {}
    facts = compose.Acknowledgement(
        firm=policy.firm,
        desk_address=channel.address or "-",
        desk_name=channel.display_name or policy.firm,
        to=(ticket.contact_name, value_of(item.address)),
        language=dates.language_of(ticket.language),
        message_id=item.mail_id,
        date=item.created_at,
        customer_subject=_subject_to_customer(ticket),
        **thread,
        ticket=ticket.id,
        due_at=datetime.fromisoformat(item.recipe["due_at"]),
        now=now,
        timezone=spec.timezone,
        standing=Standing(ticket.standing),
        medium=Medium(ticket.medium),
        # An apology is never sent by guess: what only may be a complaint is acknowledged neutrally.
        kind=Kind.COMPLAINT if item.recipe.get("complaint") else Kind.CONSULTATION,
        is_postponed=bool(item.recipe.get("postponed")),
        elsewhere=Medium(item.recipe["elsewhere"]) if item.recipe.get("elsewhere") else None,
        opens_at=None if item.recipe["is_open"] else next_opening(spec, item.created_at),
        hotline=policy.hotline,
        loop=loop_mark(with_.keyring.current.secret, item.mail_id) if is_mail else "",
    )
    return compose.acknowledgement(facts, with_.texts) if is_mail else compose.acknowledgement_text(facts, with_.texts)


_NEVER = 2**62  # the number of no message
_LAST_MAIL = (
    select(MESSAGE.c.id)
    .where(MESSAGE.c.ticket == bindparam("the_ticket"), MESSAGE.c.id < bindparam("before"))
    .where(MESSAGE.c.medium == Medium.EMAIL.value, MESSAGE.c.speaker == "customer")
    .order_by(MESSAGE.c.id.desc())
    .limit(1)
)


async def _thread(tx: Transaction, number: int, before: int | None = None) -> dict[str, Any]:
    """What a mail on this ticket refers to: the customer's last mail, and the mails that one referred to."""
    row = await tx.scalar(_LAST_MAIL, {"the_ticket": number, "before": before if before is not None else _NEVER})
    last = await message_of(tx, row) if row is not None else None
    if last is None or not last.message_id:
        return {}
    return {
        "in_reply_to": last.message_id,
        "references": (*last.references, last.message_id),
        "thread_index": next((value for name, value in last.source_headers if name == "Thread-Index"), ""),
    }


# ---- to the agent


async def _to_agent(
    tx: Transaction, item: OutboxItem, with_: Stationery, channel: ChannelPolicy, matter: Matter, now: datetime
) -> bytes:
    ticket, policy = matter.ticket, with_.policy
    agent = policy.agents[item.agent or ""]
    language = dates.language_of(agent.language)
    said = await said_by(tx, item, with_, policy.timezone, language, now)
    target = next((t for t in matter.targets if t.is_open and t.paused_at is None), None)
    who = await recipients_of(tx, item, matter, said.source, with_, language)
    reasons = [Reason(r["code"], r.get("words", ""), r.get("data", {})) for r in item.recipe.get("why", ())]
    state, holder = stands(item, ticket, with_, language)
    asker = policy.agents.get(str(item.recipe.get("asker", "")))  # advice is wanted, and no answer to the customer
    facts = compose.AgentMail(
        **_desk_to(item, with_, channel, agent, ticket, now),
        mail_kind=_KIND[item.purpose],
        ticket=ticket.id,
        customer_subject=frozen_subject(ticket, with_, language),
        subject_name=frozen_name(ticket, with_, language),
        customer_name=customer_name(matter, with_, language),
        customer_contact=shown_contact(ticket),
        medium=Medium(ticket.medium),
        kind=ticket.kind,
        topic=topic_name(policy, ticket.topic, language),
        words=said.words,
        words_html=said.html,
        channel=ticket.channel,
        standing=await standing_of(tx, item, ticket) if ticket.medium == Medium.EMAIL else None,
        is_urgent=ticket.is_urgent,
        target=target.kind if target else TargetKind.FIRST_RESPONSE,
        started_at=target.started_at if target else None,
        due_at=target.due_at if target else None,
        state=state,
        why_you=holder or why_you(reasons, with_, language),
        **who,
        received_at=_written_at(ticket, item, said),
        files=said.files,
        left_out=said.left_out,
        files_link=link_to_files(item, with_, language, now),
        note=str(item.recipe.get("note", "")),
        card=await card_of(tx, matter, with_, language, now),
        exchanges=await exchanges_of(tx, ticket, with_, language, before=said.first),
        story=await story_of(tx, item, with_, language, now),
        actions=actions(() if asker else _OFFERED, item, with_, channel, language),
        asks=(asker.display_name, str(item.recipe.get("note", ""))) if asker else ("", ""),
        thread_index=compose.thread_index(ticket.opened_at, channel.address, ticket.id),
    )
    return await beside(_octets_in(facts.files), compose.agent_mail, facts, with_.texts)


def _written_at(ticket: Ticket, item: OutboxItem, said: Said) -> datetime | None:
    """When the customer's words came; what an agent passed on, when they had been written."""
    if ticket.origin == Origin.FORWARDED and item.source == ticket.opened_by:
        return ticket.opened_at
    at: datetime | None = said.arrived.get("received_at")
    return at


def why_you(reasons: list[Reason], with_: Stationery, language: str) -> str:
    """Why this agent got it, said to him: of the reasons, the last that can be."""
    for reason in reversed(reasons):
        if with_.texts.has(f"why_you.{reason.code}"):
            by = with_.policy.agents.get(str(reason.data.get("agent", "")))
            return with_.texts.say(f"why_you.{reason.code}", language, agent=by.display_name if by else "")
    return ""


_OFFERED = (Name.NOTE, Name.CLOSE, Name.WAIT, Name.TO, Name.CC, Name.MINE, Name.HELP)
_KIND = {
    Purpose.ASSIGNMENT: compose.MailKind.ASSIGNMENT,
    Purpose.UPDATE: compose.MailKind.UPDATE,
    Purpose.TOLD: compose.MailKind.ASSIGNMENT,  # a ticket that somebody asked to see
}


def _desk_to(
    item: OutboxItem,
    with_: Stationery,
    channel: ChannelPolicy,
    agent: Agent,
    ticket: Ticket | None,
    now: datetime,
) -> dict[str, Any]:
    """What every mail to an agent begins with."""
    token = item.recipe.get("token", "")
    domain = domain_of(channel)
    root = (mail_id(with_.keyring, domain, "root", ticket.id),) if ticket else ()
    return {
        "desk_address": channel.address,
        "desk_name": channel.display_name or with_.policy.firm,
        "agent_name": agent.display_name,
        "agent_address": agent.addresses[0],
        "language": dates.language_of(agent.language),
        "timezone": with_.policy.timezone,
        "now": now,
        "date": item.created_at,
        "message_id": item.mail_id,
        "reply_to": reply_address(channel, token) if token else "",
        "references": root,
        "loop": loop_mark(with_.keyring.current.secret, item.mail_id),
        "canary": canary(with_.keyring, ticket.id if ticket else NO_TICKET),
    }


def _enrolment(item: OutboxItem, with_: Stationery, channel: ChannelPolicy, now: datetime) -> bytes:
    """An agent's welcome, or what his answer to it has shown: one conversation."""
    agent, root = with_.policy.agents[item.agent or ""], str(item.recipe["root"])
    common = _desk_to(item, with_, channel, agent, None, now)
    common |= {"references": (root,) if root != item.mail_id else ()}
    return enrol_mail(EnrolMail(**common, **enrol_facts(item.recipe)), with_.texts)


async def _told(
    tx: Transaction,
    item: OutboxItem,
    with_: Stationery,
    channel: ChannelPolicy,
    matter: Matter | None,
    now: datetime,
) -> bytes:
    agent = with_.policy.agents[item.agent or ""]
    ticket = matter.ticket if matter else None
    language = dates.language_of(agent.language)
    said = await told_words(tx, item, with_, channel, language, now)
    holding = await holding_of(tx, item, with_, language, now)
    files, missing = await _files_of_advice(tx, item, with_, language)
    return compose.told_mail(
        compose.ToldMail(
            **{**_desk_to(item, with_, channel, agent, ticket, now), **said.desk},
            told=compose.Told(item.recipe["code"]),
            ticket=ticket.id if ticket else None,
            subject_name=frozen_name(ticket, with_, language) if ticket else "",
            customer_subject=frozen_subject(ticket, with_, language) if ticket else None,
            detail=said.detail,
            would_have_left=said.quoted,
            caption=said.caption,
            is_supervisor=agent.is_supervisor,
            values=holding.values,
            also=(*holding.also, *missing),
            files=files,
            newer=holding.newer,
            actions=actions(_offered(item), item, with_, channel, language),
            thread_index=compose.thread_index(ticket.opened_at, channel.address, ticket.id) if ticket else b"",
        ),
        with_.texts,
    )


def _offered(item: OutboxItem) -> tuple[Name, ...]:
    """What a mail that tells something has links for."""
    if item.recipe["code"] in _AWAY:
        return (Name.ON, Name.MINE)
    return (Name.SEND,) if item.recipe.get("acts") else ()


_AWAY = frozenset({"presence_off", "presence_break", "away_you"})


async def _files_of_advice(
    tx: Transaction, item: OutboxItem, with_: Stationery, language: str
) -> tuple[tuple[compose.File, ...], tuple[str, ...]]:
    """(a senior's files, which go along with his words; a sentence on those that do not)."""
    if item.recipe["code"] != ADVICE:
        return (), ()
    files = await files_of(tx, item.source, limit=MAX_FILES)
    missing = left_out(await message_of(tx, item.source), await arrived_of(tx, item.source), files, with_, language)
    return files, (missing,) if missing else ()


async def _still_ahead(tx: Transaction, item: OutboxItem, now: datetime) -> list[dict[str, Any]]:
    """Of the promises that a warning names those that are still his, open, and not overdue."""
    told = list(item.recipe["notices"])
    promises = await deadlines.of_tickets(tx, {n["ticket"] for n in told}, only_open=True)
    his = await tickets.by_ids(tx, promises)
    ahead = {
        (t.ticket, t.kind.value, t.ordinal): t
        for number, targets in promises.items()
        if number in his and his[number].agent == item.agent
        for t in targets
        if t.due_at > now
    }
    keys = [(n, (n["ticket"], n["target"], n.get("ordinal"))) for n in told]
    return [{**n, "due_at": ahead[key].due_at.isoformat()} for n, key in keys if key in ahead]


async def _notice(tx: Transaction, item: OutboxItem, with_: Stationery, channel: ChannelPolicy, now: datetime) -> bytes:
    """Warnings and breaches: one line each, several in one mail as a table."""
    agent = with_.policy.agents[item.agent or ""]
    language = dates.language_of(agent.language)
    lines = []
    only: Ticket | None = None
    notices = item.recipe["notices"]
    away = {name: one.presence for name, one in (await agents.states(tx)).items() if one.presence != ON}
    if item.purpose is Purpose.WARNING:
        notices = await _still_ahead(tx, item, now)
    for told in notices:
        matter = await matter_of(tx, told["ticket"])
        if matter is None:
            continue
        ticket = only = matter.ticket
        holder = with_.policy.agents.get(ticket.agent or "")
        lines.append(
            compose.NoticeLine(
                ticket=ticket.id,
                customer_name=customer_name(matter, with_, language),
                medium=Medium(ticket.medium),
                notice=NoticeKind(told["notice"]),
                target=TargetKind(told["target"]),
                due_at=datetime.fromisoformat(told["due_at"]),
                holder=holder.display_name if holder else "",
                topic=topic_name(with_.policy, ticket.topic, language),
                reason=with_.texts.say(f"notice.away.{away[holder.name]}", language)
                if holder and holder.name in away
                else "",
                show=show_link(channel, ticket.id),
            )
        )
    is_one = len({line.ticket for line in lines}) == 1
    one = only if is_one else None
    return compose.notice_mail(
        compose.NoticeMail(
            **_desk_to(item, with_, channel, agent, one, now),
            lines=tuple(lines),
            subject_name=frozen_name(one, with_, language) if one else "",
            customer_subject=frozen_subject(one, with_, language) if one else None,
            thread_index=compose.thread_index(one.opened_at, channel.address, one.id) if one else b"",
            actions=await rescues(tx, item, one, with_, channel, language) if one else (),
        ),
        with_.texts,
    )
