"""What a batch of decisions must know: read from the store, a query for each kind of fact, not for each message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from channels.message import Medium, Scheme
from intake.asked_about import asked_about
from intake.recorded_people import recorded_people
from routing.addressing import named_in_commands
from routing.by_chat import codes_in
from routing.calling import caller_key
from routing.desk import Desk, Incoming, SentMail
from routing.filters import is_own_mark
from routing.identity import KnownDomains
from routing.joining import MAX_JOINED, goes_on_as, joined_to
from routing.links import with_subject
from routing.loads import NOTHING, added
from routing.loops import DAY, HOUR, STOPPED, Ledger
from routing.merging import tickets_named, tickets_of
from routing.opening import session_key
from routing.outsiders import outsiders
from routing.policy import Policy
from routing.probing import KIND as PROBE_KIND
from routing.probing import nonce_in
from routing.recipients import asked_reply_to, named_in
from routing.records import Question
from routing.threads import lookup
from routing.tokens import CONFIRM, ENROL, Keyring, kind_of, tokens_in_recipients, tokens_in_references
from routing.undoing import asks_for_undo
from routing.words import Evidence, OutboxState, TicketState
from store import (
    agents,
    askings,
    calls,
    customers,
    deadlines,
    enrolments,
    messages,
    outbox,
    participants,
    questions,
    sent,
    tickets,
    tokens,
)
from store.engine import Transaction
from store.numbers import COUNTER, FIRST, kept

PEER_WINDOW = timedelta(hours=1)
ASKED_WINDOW = timedelta(days=14)  # what was asked before that is another matter


async def gather(tx: Transaction, batch: Sequence[Incoming], policy: Policy, keyring: Keyring, now: datetime) -> Desk:
    """A desk that can decide about these messages."""
    batch = [with_subject(one) for one in batch]
    counters = {r["name"]: r["value"] for r in await tx.rows(select(COUNTER))}
    desk = Desk(
        policy=policy,
        keyring=keyring,
        now=now,
        next_ticket=counters.get("ticket", FIRST["ticket"]) + 1,
        next_customer=counters.get("customer", FIRST["customer"]) + 1,
        next_question=counters.get("question", FIRST["question"]) + 1,
        next_overlay=counters.get("overlay", FIRST["overlay"]) + 1,
    )
    senders = {i.sender for i in batch if i.message.call is None} | _callers(batch)
    mails = [i for i in batch if i.medium is Medium.EMAIL]
    desk.content = await messages.by_content_key(tx, _content_keys(batch))
    desk.keys = await tickets.by_keys(tx, _thread_keys(batch))
    presented = _tokens(mails, policy) | {code for one in batch for code in codes_in(one)}
    desk.tokens = await tokens.by_tokens(tx, presented) if presented else {}
    desk.questions = await _questions(tx, desk)
    acted_on = {record.ticket for record in desk.tokens.values()}
    desk.held = await outbox.held(tx, acted_on)
    desk.spoken = await messages.last_words(tx, acted_on)
    if acted_on and any(asks_for_undo(i.message.text) for i in mails):
        _answers(desk, await outbox.answers(tx, acted_on))
    if mails:
        people = [i.sender for i in mails]
        desk.peers = await messages.recent_by_sender(tx, people, now - PEER_WINDOW)
        claimed = [a.name for i in mails if (a := policy.agent_by_address(i.message.sender.value))]
        # Who answers a welcome from elsewhere names himself in its token alone.
        welcomed = {r.agent for r in desk.tokens.values() if kind_of(r) == ENROL}
        desk.told = await outbox.told_since(tx, {*claimed, *welcomed}, now - PEER_WINDOW)
        desk.enrolments = await enrolments.of_agents(tx, {*claimed, *welcomed})
        if _may_hang_on_a_probe(mails, claimed, policy, keyring):
            desk.probes = await enrolments.probes(tx, PROBE_KIND)
        desk.tails = await agents.tails(tx, claimed) if claimed else {}
        desk.hinted = await agents.last_hints(tx, claimed) if claimed else {}
    desk.contacts = await customers.contacts(tx, senders | _named(mails, policy))
    by_agents = concerned_by_agents(mails, policy)
    known = {c.customer for c in desk.contacts.values() if c.address in senders | by_agents}
    desk.customers = await customers.by_ids(tx, known)
    if known and any(i.message.call for i in batch):
        desk.contacts_of = await customers.contacts_of(tx, known)
    desk.complained = await sent.complained(
        tx, senders | {c.address for some in desk.contacts_of.values() for c in some}
    )
    await _calls(tx, batch, desk)
    await _sent(tx, batch, desk)
    await _tickets(tx, batch, desk, known, {c.customer for c in desk.contacts.values() if c.address in by_agents})
    await recorded_people(tx, mails, desk)
    await _joined(tx, desk, acted_on)
    return desk


async def _joined(tx: Transaction, desk: Desk, acted_on: set[int]) -> None:
    """What waits on the tickets that those of agents' mails went on as."""
    onward = {goes_on_as(desk, desk.tickets[number]).id for number in acted_on if number in desk.tickets} - acted_on
    if onward:
        desk.held |= await outbox.held(tx, onward)
        desk.spoken |= await messages.last_words(tx, onward)


def _content_keys(batch: Iterable[Incoming]) -> list[str]:
    """Of the messages, and of those that they pass on."""
    passed = [i.message.passed_on.original for i in batch if i.message.passed_on is not None]
    keys = (m.content_key for m in (*(i.message for i in batch), *passed))
    return list(dict.fromkeys(key for key in keys if key))


def _may_hang_on_a_probe(mails: Iterable[Incoming], claimed: Iterable[str], policy: Policy, keyring: Keyring) -> bool:
    """Whether it matters what our probes have shown: an agent's evidence needs one, or one comes in."""
    if any(Evidence.EXCHANGE_INTERNAL in policy.agents[name].evidence for name in claimed):
        return True
    return any(nonce_in(one.message, keyring.secrets) for one in mails)


def _answers(desk: Desk, items: Iterable[outbox.OutboxItem]) -> None:
    """Which answers may be called back, and when the last of the others left."""
    for item in items:
        his = (item.ticket or 0, item.agent or "")
        waits = item.state is OutboxState.PENDING and not item.attempts
        if waits and item.next_attempt_at is not None and item.next_attempt_at > desk.now:
            desk.waiting.setdefault(his, []).append(outbox.as_new(item))
        elif (left := item.first_attempt_at or item.next_attempt_at) is not None:
            desk.left[his] = left


def concerned_by_agents(mails: Iterable[Incoming], policy: Policy) -> set[str]:
    """Whose mail agents pass on, and to whom they have written themselves: their tickets are asked for."""
    found: set[str] = set()
    for one in mails:
        if one.envelope.is_sent or policy.agent_by_address(one.message.sender.value) is not None:
            found.update(map(str, outsiders(one.message, policy)))
            if one.message.passed_on is not None:
                found.add(str(one.message.passed_on.original.sender))
            found.update(named_in_commands(one.message.text))
    return found


def _named(mails: Iterable[Incoming], policy: Policy) -> set[str]:
    """Whom mails name beside their sender, where they ask for answers, and whom an agent's commands are about."""
    found: set[str] = set()
    for one in mails:
        found.update(map(str, named_in(one.message, policy)))
        found.update(named_in_commands(one.message.text))
        if (asked := asked_reply_to(one.message, policy)) is not None:
            found.add(str(asked))
        if one.message.passed_on is not None:
            original = one.message.passed_on.original
            found.update(map(str, (original.sender, *named_in(original, policy))))
    return found


def _callers(batch: Sequence[Incoming]) -> set[str]:
    found = set()
    for one in batch:
        call = one.message.call
        if call is not None:
            found |= {f"{Scheme.PHONE.value}:{call.from_number}", f"{Scheme.PHONE.value}:{call.to_number}"}
    return found


def _thread_keys(batch: Sequence[Incoming]) -> set[str]:
    keys: set[str] = set()
    for one in batch:
        keys.update(lookup(one.message).message_ids)
        keys.add(one.message.message_id)
        if one.message.passed_on is not None:
            keys.update(lookup(one.message.passed_on.original).message_ids)
            keys.add(one.message.passed_on.original.message_id)
        keys.add(session_key(one))
        call = one.message.call
        if call is not None:
            keys.update(caller_key(one.channel, n) for n in (call.from_number, call.to_number))
    keys.discard("")
    return keys


def _tokens(mails: Iterable[Incoming], policy: Policy) -> set[str]:
    found: set[str] = set()
    for one in mails:
        found.update(tokens_in_recipients(one.message, one.envelope.rcpt_to))
        channel = policy.channels.get(one.channel)
        if channel is not None and channel.token_in == "references":  # noqa: S105
            found.update(tokens_in_references(one.message, channel.address.rpartition("@")[2]))
    return found


async def _questions(tx: Transaction, desk: Desk) -> dict[int, Question]:
    """What the tokens of the batch would confirm."""
    numbers = (r.purpose.partition(":")[2] for r in desk.tokens.values() if kind_of(r) == CONFIRM)
    return await questions.by_ids(tx, [int(number) for number in numbers if number.isdecimal()])


async def _calls(tx: Transaction, batch: Sequence[Incoming], desk: Desk) -> None:
    wanted = {(i.channel, i.message.call.call_id) for i in batch if i.message.call}
    if wanted:
        desk.calls = await calls.by_ids(tx, wanted)


async def _sent(tx: Transaction, batch: Sequence[Incoming], desk: Desk) -> None:
    """What reports are about: by the Message-ID that came back, else by our mark and whom it went to."""
    bounces = [i.message.bounce for i in batch if i.message.bounce]
    wanted = {b.original_message_id for b in bounces} - {""}
    marks = {
        b.loop_mark.partition(".")[0]: f"{Scheme.MAIL.value}:{b.recipient}"
        for b in bounces
        if b.recipient and is_own_mark(desk.keyring.secrets, b.loop_mark)
    }
    marked = await sent.of_marks(tx, marks)
    for mail_id, items in (await sent.of_mail_ids(tx, wanted | set(marked.values()))).items():
        desk.sent[mail_id] = tuple(_sent_mail(item, mail_id) for item in items)
    # A mark is looked up by its digest, which no Message-ID looks like.
    desk.sent.update({digest: desk.sent[mail_id] for digest, mail_id in marked.items() if mail_id in desk.sent})


def _sent_mail(item: outbox.OutboxItem, mail_id: str) -> SentMail:
    return SentMail(
        id=item.id,
        ticket=item.ticket,
        purpose=item.purpose,
        agent=item.agent,
        address=item.address,
        mail_id=mail_id,
        has_left=item.state in outbox.HAVE_LEFT,
        is_copy=bool(item.recipe.get("copy")),
        answered_at=item.answered_at,
    )


async def _tickets(
    tx: Transaction, batch: Sequence[Incoming], desk: Desk, customers_known: set[int], by_agents: set[int]
) -> None:
    numbers = {ticket for ticket, _ in desk.keys.values()}
    numbers |= {record.ticket for record in desk.tokens.values()}
    numbers |= {n for i in batch for n in lookup(i.message).numbers}
    numbers |= {i.known_ticket for i in batch if i.known_ticket is not None}
    numbers |= {ticket for _, ticket in desk.content.values() if ticket is not None}
    numbers |= {c.ticket for c in desk.calls.values() if c.ticket is not None}
    numbers |= {s.ticket for some in desk.sent.values() for s in some if s.ticket is not None}
    named = {n for i in batch for n in tickets_named(i.message.text)}
    named |= {n for question in desk.questions.values() for n in tickets_of(question)}
    asked = await asked_about(tx, batch, desk)
    returned = {s.ticket for some in desk.sent.values() for s in some if s.ticket is not None}
    desk.spoken.update(await messages.last_words(tx, (asked | returned) - set(desk.spoken)))
    named |= asked
    numbers |= named
    desk.tickets = await tickets.by_ids(tx, numbers)
    acted = {record.ticket for record in desk.tokens.values()} | named
    for _ in range(MAX_JOINED):
        joined = {n for t in desk.tickets.values() if (n := joined_to(t)) is not None} - numbers
        if not joined:
            break
        desk.tickets.update(await tickets.by_ids(tx, joined))
        numbers |= joined
        acted |= joined
    pointed_at = {t.follows for t in desk.tickets.values() if t.id in acted and t.follows is not None}
    if pointed_at - numbers:
        desk.tickets.update(await tickets.by_ids(tx, pointed_at - numbers))
        numbers |= pointed_at
    for customer, theirs in (await tickets.open_of_customers(tx, customers_known)).items():
        desk.open_of[customer] = [t.id for t in theirs]
        desk.tickets.update({t.id: t for t in theirs})
        if customer in by_agents:  # what he wrote or passed on may belong to any of them
            numbers |= set(desk.open_of[customer])
            acted |= set(desk.open_of[customer])
    if by_agents:
        acted |= {ticket for ticket, _ in desk.keys.values()}
    desk.participants = await participants.of_tickets(tx, numbers)
    # What an agent does on a ticket concerns its contact: where he wants his answers, whether he is a sender of junk.
    acted_on = {t.contact for t in desk.tickets.values() if t.id in acted | pointed_at}
    desk.contacts.update(await customers.contacts(tx, acted_on - set(desk.contacts)))
    missing = {t.customer for t in desk.tickets.values()} - set(desk.customers)
    desk.customers.update(await customers.by_ids(tx, missing))
    waiting = {t.id for t in desk.tickets.values() if t.state is TicketState.WAITING}  # their clocks may run on
    desk.targets = await deadlines.of_tickets(tx, numbers | waiting)
    desk.asked = await askings.lately(tx, {ticket for ticket, _ in desk.keys.values()}, desk.now - ASKED_WINDOW)
    # A telephone carries no words back: an answer goes to another of the customer's contacts.
    called = {t.customer for t in desk.tickets.values() if t.medium == Medium.PHONE} - set(desk.contacts_of)
    desk.contacts_of.update(await customers.contacts_of(tx, called))


async def people(tx: Transaction, desk: Desk) -> None:
    """How busy and how present everybody is: it outlives a batch."""
    rules = desk.policy.assigning.loads
    for agent, medium, kind, count in await tickets.open_work(tx):
        desk.loads[agent] = added(desk.loads.get(agent, NOTHING), rules.of(medium, kind), count)
    for name, state in (await agents.states(tx)).items():
        desk.presence[name] = state.presence == "on"
        if state.last_assigned_at is not None:
            desk.last_assigned[name] = state.last_assigned_at
        if state.last_act_at is not None:
            desk.last_act[name] = state.last_act_at
        if state.last_assigned_at is not None and (not state.last_act_at or state.last_assigned_at > state.last_act_at):
            desk.silent[name] = state.last_assigned_at


async def left_by_machine(tx: Transaction, now: datetime) -> Ledger:
    """What the outbox knows of the last day. What was only asked for it does not know: keep the ledger once made."""
    stopped = await kept(tx, STOPPED)
    ledger = Ledger(stopped_at=datetime.fromtimestamp(stopped, UTC) if stopped else None)
    for at, address, is_unknown in await sent.acknowledged_since(tx, now - DAY):
        ledger.note(at, address, is_unknown=is_unknown)
        if at > now - HOUR:
            ledger.asked.append(at)
    return ledger


def domains_of(policy: Policy) -> KnownDomains:
    """The firm's own domains, which nobody outside should resemble."""
    addresses = [c.address for c in policy.channels.values() if c.address]
    addresses += [a for agent in policy.agents.values() for a in agent.addresses]
    return KnownDomains.of(addresses)
