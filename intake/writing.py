"""Writing: everything that decisions change, kind by kind, in the transaction in which their messages are done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update

from intake import agents_chat
from routing.desk import Changes, Desk
from routing.policy import Policy
from store import (
    agents,
    calls,
    corrections,
    customers,
    deadlines,
    documents,
    enrolments,
    events,
    leases,
    merging,
    messages,
    outbox,
    overlays,
    participants,
    questions,
    reminders,
    sent,
    tickets,
    tokens,
)
from store.engine import Transaction
from store.numbers import COUNTER, FIRST, keep


async def take_numbers(tx: Transaction, desk: Desk, first: Mapping[str, int]) -> None:
    """Take the numbers that the batch gave out. Raises if somebody else has taken them meanwhile."""
    for name, next_free in desk.numbers().items():
        began = first[name]
        if began == next_free:
            continue
        if began - 1 == FIRST[name]:  # perhaps the first of all
            await tx.insert(COUNTER, [{"name": name, "value": FIRST[name]}], keep_first=True)
        done = await tx.execute(
            update(COUNTER).where(COUNTER.c.name == name, COUNTER.c.value == began - 1).values(value=next_free - 1)
        )
        if done.rowcount != 1:
            raise leases.LeaseLost(f"the numbers of {name}s")


async def write(tx: Transaction, changes: Changes, now: Any, policy: Policy) -> None:
    """Everything that a batch of decisions changes, in one transaction that the caller owns."""
    await customers.add(tx, changes.customers, changes.contacts)
    await customers.grade(tx, changes.graded)
    await customers.mark_verified(tx, changes.verified)
    await customers.record_complaints(tx, changes.complained, now)
    await customers.change_contacts(tx, list(changes.changed_contacts.values()))
    await tickets.add(tx, list(changes.opened.values()))
    await tickets.change(tx, list(changes.changed.values()))
    await tickets.name(tx, list(changes.named.values()))
    await deadlines.add(tx, changes.targets)
    for target in changes.reopened:
        # What came due meanwhile is told at once: an answer that never arrived must not hide a breach (G6).
        await deadlines.reopen(tx, target, now if target.due_at <= now else target.next_after(now))
    await deadlines.move(tx, changes.clocked)
    for target, answered_at, met_at in changes.met:
        await deadlines.record_met(tx, target, answered_at, met_at)
    for target, at in changes.withdrawn_targets:
        await deadlines.withdraw(tx, target, at)
    await participants.put(tx, list(changes.participants.values()))
    for ticket, address in changes.uncopied:
        await outbox.leave_out(tx, ticket, address, now)
    await deadlines.move(tx, changes.moved_targets)
    await deadlines.record_told(tx, changes.noticed, now)
    for ticket, agent, rows in changes.cancelled:
        await outbox.call_back(tx, ticket, agent, rows, now)
    for ticket, agent in changes.dropped:
        await outbox.drop_held(tx, ticket, agent)
    for number, words in changes.bounced:
        await outbox.record_bounce(tx, number, words)
    for number, words in changes.complaints:
        await sent.record_complaint(tx, number, words)
    await keep(tx, changes.counters)
    for ticket, agent in changes.revoked:
        await tokens.revoke(tx, ticket, agent, now)
    await tokens.add(tx, changes.tokens)
    await tokens.use(tx, changes.used_tokens, now)
    await agents_chat.put(tx, changes.outbox, now, policy)
    await tickets.add_keys(tx, changes.keys)
    await tickets.move_keys(tx, changes.moved_keys.items())
    await documents.add(tx, changes.documents)
    await corrections.put(tx, changes.corrections)
    for ticket, into in changes.merged:
        await merging.merge(tx, ticket, into)
    await messages.move(tx, changes.moved_messages)
    await calls.write(tx, list(changes.calls.values()))
    await agents.assigned(tx, changes.assigned)
    await agents.acted(tx, changes.acted)
    await agents.present(tx, changes.presence)
    await agents.hinted(tx, changes.absence_hints, now)
    await agents.signed(tx, changes.tails, now)
    await questions.add(tx, changes.questions)
    await questions.answer(tx, changes.answered)
    await reminders.add(tx, changes.reminders)
    await overlays.add(tx, changes.overlays)
    await enrolments.put(tx, list(changes.enrolments.values()))
    await enrolments.answer(tx, list(changes.probes.values()))
    await events.append(tx, changes.events)
