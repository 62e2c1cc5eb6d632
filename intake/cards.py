"""Cards: what is known of a ticket and its customer, read for whoever writes about it.

All of it is internal: it goes to agents, and `guarded` says what of it must not come out again in an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import bindparam, func, or_, select

from channels.message import Medium, Message, Scheme
from channels.mime import parts_bytes
from channels.normal_json import loads
from intake import compose, dates
from intake.beside import beside
from intake.compose import File
from intake.texts_loader import Texts
from routing.desk import Internal
from routing.matters import may_be_same
from routing.policy import Policy
from routing.records import Customer, Target, Ticket
from routing.tokens import Keyring, is_marked
from routing.words import Outcome, Purpose
from store import customers, deadlines, documents, sealed, tickets
from store.engine import WANTED, Transaction
from store.messages import MESSAGE
from store.outbox import OUTBOX
from store.sealed import NORMAL

MAX_EXCHANGES = 3
MAX_GUARDED = 50  # messages of the customer whose words an answer may quote
MAX_GUARDED_OCTETS = 8 * 1024 * 1024  # of their normal forms; the latest is always looked at
MAX_GUARDED_TEXT = 200_000  # characters of those words: as much as a reply may have


@dataclass(frozen=True, kw_only=True)
class Stationery:
    """What every letter of a snapshot is written with."""

    policy: Policy
    keyring: Keyring
    texts: Texts
    links: str = ""  # where the world reaches our pages: "https://desk.firm.example"; "": nobody can follow a link


@dataclass(frozen=True, kw_only=True)
class Matter:
    """A ticket with everything that is written about it."""

    ticket: Ticket
    customer: Customer | None
    targets: list[Target]


async def matter_of(tx: Transaction, number: int) -> Matter | None:
    """Read a ticket's matter; None if there is no such ticket."""
    ticket = (await tickets.by_ids(tx, [number])).get(number)
    if ticket is None:
        return None
    customer = (await customers.by_ids(tx, [ticket.customer])).get(ticket.customer)
    targets = (await deadlines.of_tickets(tx, [number])).get(number, [])
    return Matter(ticket=ticket, customer=customer, targets=targets)


# ---- what is told of a customer


def topic_name(policy: Policy, key: str, language: str) -> str:
    topic = policy.topics.get(key)
    return topic.names.get(language, key) if topic else ""


def customer_name(matter: Matter, with_: Stationery, language: str) -> str:
    name = matter.ticket.contact_name or (matter.customer.name if matter.customer else "")
    return name or with_.texts.say("card.visitor", language)


def frozen_name(ticket: Ticket, with_: Stationery, language: str) -> str:
    """The customer as every mail on this ticket names him in its subject: another subject is another conversation."""
    return ticket.contact_name or with_.texts.say("card.visitor", language)


def frozen_subject(ticket: Ticket, with_: Stationery, language: str) -> str:
    """The customer's own subject; for a call, that it was one."""
    return with_.texts.say("word.call", language) if ticket.medium == Medium.PHONE else ticket.subject


def shown_contact(ticket: Ticket) -> str:
    """The contact as a person reads it; a chat session has no address that says anything."""
    return "" if ticket.medium == Medium.CHAT else value_of(ticket.contact)


def value_of(address: str) -> str:
    return address.partition(":")[2]


async def card_of(
    tx: Transaction, matter: Matter, with_: Stationery, language: str, now: datetime
) -> tuple[tuple[str, str], ...]:
    """The customer card: name, contacts, class, language, last contact, open tickets on every channel."""
    ticket, texts = matter.ticket, with_.texts
    contacts = (await customers.contacts_of(tx, [ticket.customer])).get(ticket.customer, [])
    shown = [value_of(c.address) for c in contacts if not c.address.startswith(f"{Scheme.WEB.value}:")]
    others = (await tickets.open_of_customers(tx, [ticket.customer])).get(ticket.customer, [])
    last = await tx.scalar(_LAST_ELSEWHERE, {"the_customer": ticket.customer, "the_ticket": ticket.id})
    rows = [
        (texts.say("card.name", language), customer_name(matter, with_, language)),
        (texts.say("card.contacts", language), "、".join(shown)),
        (texts.say("card.class", language), matter.customer.grade if matter.customer is not None else ""),
        (texts.say("card.language", language), texts.say(_SPEAKS[dates.language_of(ticket.language)], language)),
        (
            texts.say("card.last", language),
            dates.moment(last, with_.policy.timezone, language, now)
            if last
            else texts.say("card.first_time", language),
        ),
        (
            texts.say("card.open", language),
            _tickets_named((t for t in others if t.id != ticket.id), with_, language),
        ),
    ]
    same = await tickets.of_matter(tx, ticket.matter) if ticket.matter is not None else []
    if ticket.statutory_at is not None:
        zone = dates.zone(with_.policy.timezone)
        day = (ticket.statutory_at - timedelta(seconds=1)).astimezone(zone).date()
        rows.append((texts.say("card.filing", language), dates.day(day, language, now)))
    rows += _of_matter(ticket, same, others, with_, language)
    papers = [document.item for document in await documents.of_ticket(tx, ticket.id)]
    rows.append((texts.say("card.got", language), "、".join(papers)))
    return tuple((label, value) for label, value in rows if value)


def _of_matter(
    ticket: Ticket, same: Iterable[Ticket], others: Iterable[Ticket], with_: Stationery, language: str
) -> list[tuple[str, str]]:
    """Which other ticket is the same matter, or may be, and what to type."""
    say = with_.texts.say
    if linked := [t for t in same if t.id != ticket.id]:
        named = _tickets_named(linked, with_, language)
        return [(say("card.matter", language), say("card.matter_is", language, tickets=named))]
    perhaps = [t for t in others if may_be_same(ticket, t)][:1]
    if not perhaps:
        return []
    named, number = _tickets_named(perhaps, with_, language), str(perhaps[0].id)
    return [(say("card.matter_perhaps", language), say("card.matter_ask", language, tickets=named, number=number))]


def _tickets_named(several: Iterable[Ticket], with_: Stationery, language: str) -> str:
    return "、".join(f"#{t.id} {with_.texts.say(f'word.medium.{t.medium}', language)}" for t in several)


_LAST_ELSEWHERE = (
    select(MESSAGE.c.received_at)
    .where(MESSAGE.c.customer == bindparam("the_customer"), MESSAGE.c.ticket != bindparam("the_ticket"))
    .order_by(MESSAGE.c.id.desc())
    .limit(1)
)
_SPEAKS = {"zh-Hant": "card.speaks_hant", "zh-Hans": "card.speaks_hans", "en": "card.speaks_en"}


_SAID_BEFORE = (
    select(MESSAGE.c.id, MESSAGE.c.received_at, MESSAGE.c.outcome, MESSAGE.c.agent)
    .where(MESSAGE.c.ticket.in_(WANTED), MESSAGE.c.id < bindparam("before"))
    .where(or_(MESSAGE.c.speaker == "customer", MESSAGE.c.outcome == Outcome.ELSEWHERE.value))
    .order_by(MESSAGE.c.id.desc())
    .limit(MAX_EXCHANGES)
)
_ANSWERED = (
    select(OUTBOX.c.agent, OUTBOX.c.answered_at, OUTBOX.c.recipe)
    .where(OUTBOX.c.ticket.in_(WANTED), OUTBOX.c.purpose == Purpose.ANSWER.value, OUTBOX.c.answered_at.is_not(None))
    .where(OUTBOX.c.recipe.not_like('%"copy":true%'))  # the same words once
    .order_by(OUTBOX.c.id.desc())
    .limit(MAX_EXCHANGES)
)


async def exchanges_of(
    tx: Transaction, ticket: Ticket, with_: Stationery, language: str, before: int | None
) -> tuple[compose.Exchange, ...]:
    """What was said on a ticket before a message, oldest first: the last three."""
    about = await _told_as_one(tx, ticket)
    rows = await tx.rows(_SAID_BEFORE, {"wanted": about, "before": before or 0})
    spoken = await messages_of(tx, [r["id"] for r in rows])
    said = [
        compose.Exchange(
            who=_said_by(r, spoken[r["id"]], ticket, with_) or with_.texts.say("card.visitor", language),
            at=r["received_at"],
            text=spoken[r["id"]].text,
        )
        for r in rows
        if r["id"] in spoken and spoken[r["id"]].text
    ]
    said += [
        compose.Exchange(
            who=ticket.contact_name or with_.texts.say("card.visitor", language),
            at=r["received_at"],
            text=with_.texts.say("card.gone", language),
        )
        for r in rows
        if r["id"] not in spoken
    ]
    for row in await tx.rows(_ANSWERED, {"wanted": about}):
        agent = with_.policy.agents.get(row["agent"] or "")
        words = _loads(row["recipe"]).get("words", "")
        said.append(
            compose.Exchange(who=agent.display_name if agent else str(row["agent"]), at=row["answered_at"], text=words)
        )
    return tuple(sorted(said, key=lambda e: e.at)[-MAX_EXCHANGES:])


async def _told_as_one(tx: Transaction, ticket: Ticket) -> tuple[int, ...]:
    """The ticket, and the closed one that it goes on from if that is the same customer's. Never a stranger's."""
    older = (await tickets.by_ids(tx, [ticket.follows])).get(ticket.follows) if ticket.follows is not None else None
    if older is None or older.customer != ticket.customer:
        return (ticket.id,)
    return (ticket.id, older.id)


def _said_by(row: Mapping[str, Any], message: Message, ticket: Ticket, with_: Stationery) -> str:
    """Who said it: the customer or somebody beside him; or an agent, who had written past us."""
    if row["outcome"] != Outcome.ELSEWHERE:
        return _who(message, ticket, with_.policy)
    agent = with_.policy.agents.get(row["agent"] or "")
    return agent.display_name if agent is not None else message.sender.display_name or with_.policy.firm


def _who(message: Message, ticket: Ticket, policy: Policy) -> str:
    """Who said it: others may speak on a ticket beside its customer."""
    forms = (c.web_forms for c in policy.channels.values())
    is_his = str(message.sender) == ticket.contact or any(message.sender.value in form for form in forms)
    if message.medium is not Medium.EMAIL or is_his or not message.sender.value:
        return ticket.contact_name
    return message.sender.display_name or message.sender.value


def _loads(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(text)
    return loaded


async def message_of(tx: Transaction, number: int | None) -> Message | None:
    return (await messages_of(tx, [number])).get(number) if number is not None else None


async def messages_of(tx: Transaction, numbers: Iterable[int]) -> dict[int, Message]:
    """The normal forms that are stored, read; of what was erased, or cannot be opened, there is none."""

    async def read(wanted: list[int]) -> dict[int, Message]:
        found, _ = await sealed.normals_or_why(tx, wanted)
        return {number: loads(data) for number, data in found.items()}

    return await tx.once("message", numbers, read)


async def files_of(
    tx: Transaction, number: int | None, wanted: set[str] | None = None, limit: int | None = None
) -> tuple[File, ...]:
    """The files of a mail, by part path; all of them for None. With a limit, those that fit into so many octets.

    Raises SealBroken where files are wanted that nobody can open: an answer does not leave without them.
    """
    message = await message_of(tx, number)
    if message is None and wanted and number is not None:
        await sealed.normals(tx, [number])
    if message is None or not message.attachments:
        return ()
    assert number is not None
    chosen, octets = [], 0
    for attachment in message.attachments:
        if wanted is not None and attachment.path not in wanted:
            continue
        if limit is not None and octets + attachment.size > limit:
            continue
        octets += attachment.size
        chosen.append(attachment)
    opened, closed = await sealed.raws_or_why(tx, [number])
    if number in closed:
        if wanted is None:
            return ()  # whoever shows the mail names them as left out
        raise closed[number]
    raw = opened[number]
    contents = await beside(len(raw), parts_bytes, raw, [a.path for a in chosen])
    return tuple(
        File(
            name=attachment.name,
            media_type=attachment.media_type,
            content=contents[attachment.path],
            content_id=attachment.content_id,
            is_inline=attachment.is_inline,
        )
        for attachment in chosen
    )


async def files_with_marks(tx: Transaction, number: int, message: Message, keyring: Keyring) -> frozenset[str]:
    """The paths of an agent's files in which our mark or a token stands: his mail from us, saved as text or a page."""
    raw = (await sealed.raws(tx, [number]))[number]

    def marked() -> frozenset[str]:
        contents = parts_bytes(raw, [a.path for a in message.attachments])
        return frozenset(path for path, content in contents.items() if is_marked(keyring, content))

    return await beside(len(raw), marked)


#: Sentences of every mail to an agent.
_FIXED = ("agent.card", "agent.history", "agent.actions", "agent.note", "agent.last.reply", "agent.last.no_address")


async def guarded(tx: Transaction, number: int, with_: Stationery, now: datetime) -> Internal:
    """What an answer on a ticket is searched for, and what it may quote."""
    matter = await matter_of(tx, number)
    if matter is None:
        return Internal()
    lines: list[str] = []
    for language in dates.LANGUAGES:
        card = await card_of(tx, matter, with_, language, now)
        lines += [f"{label}{colon}{value}" for label, value in card for colon in ("：", ": ")]
    notes = await tx.rows(
        select(OUTBOX.c.recipe)
        .where(OUTBOX.c.ticket == number, OUTBOX.c.purpose.in_([Purpose.ASSIGNMENT.value, Purpose.UPDATE.value]))
        .order_by(OUTBOX.c.id.desc())
        .limit(MAX_GUARDED)
    )
    lines += [line for row in notes for line in str(_loads(row["recipe"]).get("note", "")).splitlines()]
    answered = await tx.rows(_ANSWERED, {"wanted": await _told_as_one(tx, matter.ticket)})
    shown = [line for row in answered for line in str(_loads(row["recipe"]).get("words", "")).splitlines()]
    shown += [with_.texts.say(key, language) for key in _FIXED for language in dates.LANGUAGES]
    shown += await _past_us(tx, number)
    said = [loads(data) for data in (await _latest_of_customer(tx, number)).values()]
    words = "\n".join(m.text for m in said)[:MAX_GUARDED_TEXT]
    return Internal(
        lines=tuple(dict.fromkeys(lines)),
        shown=tuple(dict.fromkeys(shown)),
        customer_words=tuple(line for line in words.splitlines() if line.strip()),
        files=frozenset(a.sha256 for m in said for a in m.attachments),
    )


async def _past_us(tx: Transaction, number: int) -> list[str]:
    """What agents have written to the customer past us, line by line, the latest first."""
    rows = await tx.rows(
        select(MESSAGE.c.id)
        .where(MESSAGE.c.ticket == number, MESSAGE.c.outcome == Outcome.ELSEWHERE.value)
        .order_by(MESSAGE.c.id.desc())
        .limit(MAX_EXCHANGES)
    )
    found = await messages_of(tx, [r["id"] for r in rows])
    return [line for message in found.values() for line in message.text[:MAX_GUARDED_TEXT].splitlines()]


async def _latest_of_customer(tx: Transaction, number: int) -> dict[int, bytes]:
    """The normal forms of the customer's latest messages, as many as may be looked at: he decides how long they are."""
    rows = await tx.rows(
        select(MESSAGE.c.id, func.length(NORMAL.c.data).label("octets"))
        .join(NORMAL, NORMAL.c.message == MESSAGE.c.id)
        .where(MESSAGE.c.ticket == number, MESSAGE.c.speaker == "customer")
        .order_by(MESSAGE.c.id.desc())
        .limit(MAX_GUARDED)
    )
    chosen: list[int] = []
    octets = 0
    for row in rows:
        octets += row["octets"]
        if chosen and octets > MAX_GUARDED_OCTETS:
            break
        chosen.append(row["id"])
    # What nobody can open, nobody can quote: an answer may then repeat less, never more.
    found, _ = await sealed.normals_or_why(tx, chosen)
    return {i: found[i] for i in chosen if i in found}
