"""Recomputing: calendars or times of the policy have changed, and every promise that is open is counted again.

Driven by what the store says (a promise knows the version of the calendar it was counted with, the desk knows by which
times it last counted everything), so that dying in between loses nothing and doing it twice changes nothing. What is
past is never rewritten: a breach stays one, and no promise is moved to a moment that has gone by. Who was told a time
that a supervisor's word has moved is told the new one, once, in the transaction that moves it.

Where the file gives other times, promised words come sooner, never later: a customer may have been told when. What is
promised for the inside (solving, reporting back, a first opinion) moves both ways. A promise keeps the calendar that it
was counted in, whoever has the ticket now; one whose clock stands is counted again when it runs on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from channels.adapter import Clock
from channels.message import Medium
from intake import agents_chat
from intake.cards import Stationery
from intake.logs import tell
from intake.snapshot import Snapshot
from routing.calendars import NoOpenHours
from routing.desk import domain_of, mail_id
from routing.policy import Policy
from routing.records import Event, NewOutbox, Target, Ticket
from routing.sla import TargetPlan, next_response_for, targets_for, times_of
from routing.target_rules import RULED
from routing.words import OutboxState, Purpose, TargetKind, TicketState
from store import customers, deadlines, events, outbox, tickets
from store.engine import Database, Transaction
from store.numbers import keep, kept

log = structlog.get_logger(__name__)

AT_ONCE = 200  # promises in one transaction
TIMES = "times"  # under this name the store keeps by which times everything was counted last

#: A customer may have been told when he will hear.
_WORDS = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE, TargetKind.CALLBACK)

_TOLD = frozenset({OutboxState.DELIVERED, OutboxState.STORED, OutboxState.UNKNOWN})


async def recompute(db: Database, clock: Clock, snapshot: Snapshot) -> int:
    """Count again what was counted by other calendars, or by other times; how many promises moved."""
    moved = await _by_calendars(db, clock, snapshot) + await _by_times(db, clock, snapshot)
    if moved:
        log.info("promises_counted_again", moved=moved)
    return moved


async def _by_calendars(db: Database, clock: Clock, snapshot: Snapshot) -> int:
    """Those that another version of their calendar has counted.

    What moves by the file alone is not a supervisor's word's doing: nobody is written to for it.
    """
    moved, after = 0, (0, "", 0)
    while True:
        now, with_, plain = clock.now(), snapshot.stationery, snapshot.config.policy
        versions = {name: spec.version for name, spec in with_.policy.calendars.items()}
        async with db.reading() as tx:
            if not await deadlines.counted_otherwise(tx, versions, after, 1):
                break  # most looks find nothing: they must not cost a write
        async with db.transaction() as tx:
            stale = await deadlines.counted_otherwise(tx, versions, after, AT_ONCE)
            if not stale:
                break
            after = (stale[-1].ticket, stale[-1].kind.value, stale[-1].ordinal)
            found = await tickets.by_ids(tx, {t.ticket for t in stale})
            grades = await _grades(tx, found)
            changes = [
                (t, again(t, found[t.ticket], with_.policy, now, grades.get(t.ticket, "")))
                for t in stale
                if t.ticket in found
            ]
            await deadlines.move(tx, [(old, new) for old, new in changes if new != old])
            written = [_event(old, new, now) for old, new in changes if new.due_at != old.due_at]
            rows = await _letters(tx, changes, found, with_, plain, now, grades)
            await agents_chat.put(tx, rows, now, plain)
            await events.append(tx, written)
        tell(log, written)
        moved += len(written)
    return moved


async def _by_times(db: Database, clock: Clock, snapshot: Snapshot) -> int:
    """All that run, where the policy has given other times since everything was last counted."""
    policy = snapshot.stationery.policy
    version = times_version(policy)
    async with db.reading() as tx:
        if await kept(tx, TIMES) == version:
            return 0
    moved, after = 0, (0, "", 0)
    while True:
        now = clock.now()
        async with db.transaction() as tx:
            some = await deadlines.running(tx, after, AT_ONCE)
            found = await tickets.by_ids(tx, {t.ticket for t in some})
            grades = await _grades(tx, found)
            changes = [
                (t, by_times(t, found[t.ticket], policy, now, grades.get(t.ticket, "")))
                for t in some
                if t.ticket in found
            ]
            await deadlines.move(tx, [(old, new) for old, new in changes if new != old])
            written = [_event(old, new, now, "policy") for old, new in changes if new.due_at != old.due_at]
            await events.append(tx, written)
            if len(some) < AT_ONCE:
                await keep(tx, {TIMES: version})
        tell(log, written)
        moved += len(written)
        if len(some) < AT_ONCE:
            return moved
        after = (some[-1].ticket, some[-1].kind.value, some[-1].ordinal)


async def _grades(tx: Transaction, found: Mapping[int, Ticket]) -> dict[int, str]:
    """Ticket -> class of its customer."""
    known = await customers.by_ids(tx, {t.customer for t in found.values()})
    return {t.id: known[t.customer].grade for t in found.values() if t.customer in known}


def times_version(policy: Policy) -> int:
    """Changes whenever anything does that says how long something may take."""
    rings = sorted((c.name, c.region, c.rings, str(c.ring_cycle)) for c in policy.channels.values())
    parts = (
        sorted((key, str(budget)) for key, budget in policy.targets.items()),
        sorted((key, str(budget)) for key, budget in policy.supervisor_after.items()),
        sorted((key, str(budget)) for key, budget in policy.manager_after.items()),
        [
            (replace(rule, budgets={}), sorted((k, str(b)) for k, b in rule.budgets.items()))
            for rule in policy.target_rules
        ],
        rings,
        policy.region,
        sorted(team.name for team in policy.teams.values() if team.managers),
    )
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:15], 16)


def by_times(target: Target, ticket: Ticket, policy: Policy, now: datetime, grade: str = "") -> Target:
    """The promise with the times that the policy gives now; unchanged where that may not be."""
    if target.due_at <= now:
        return target
    try:
        plan = _plan(target, ticket, policy, grade, of_any_key=True)
    except NoOpenHours:
        return target
    if plan is None or plan.due_at <= now or (target.kind in _WORDS and plan.due_at > target.due_at):
        return target
    if (plan.key, str(plan.budget), plan.due_at) == (target.policy_key, target.budget, target.due_at) and all(
        getattr(target, name) == at for name, at in times_of(plan).items()
    ):
        return target
    return _moved(target, plan, now)


def again(target: Target, ticket: Ticket, policy: Policy, now: datetime, grade: str = "") -> Target:
    """The promise as this policy's calendars count it; unchanged where they cannot, or where it lies in the past."""
    try:
        plan = _plan(target, ticket, policy, grade)
    except NoOpenHours:
        return target
    if plan is None:
        return target
    if target.due_at <= now or plan.due_at <= now:
        return replace(target, calendar_version=plan.calendar_version)  # what is past stays as it was
    return _moved(target, plan, now)


def _moved(target: Target, plan: TargetPlan, now: datetime) -> Target:
    moved = replace(
        target,
        **times_of(plan),  # type: ignore[arg-type]
        policy_key=plan.key,
        budget=str(plan.budget),
        calendar_version=plan.calendar_version,
        policy_version=plan.policy_version,
    )
    return replace(moved, next_at=moved.next_after(now))


def _plan(target: Target, ticket: Ticket, policy: Policy, grade: str, *, of_any_key: bool = False) -> TargetPlan | None:
    """What would be promised now for the same thing, from the same moment, in the calendar that it was counted in.

    `of_any_key`: by whichever key of the policy gives it now; else by that which gave it.
    """
    spec = policy.calendars.get(target.calendar)
    if target.kind is TargetKind.NEXT_RESPONSE:
        medium = Medium(ticket.medium)
        return next_response_for(
            policy,
            channel=ticket.channel,
            medium=medium,
            urgent=ticket.is_urgent,
            at=target.started_at,
            team=ticket.team,
            kind=ticket.kind,
            topic=ticket.topic,
            grade=grade,
            spec=spec,
        )
    plans = targets_for(
        policy,
        channel=ticket.channel,
        medium=Medium(ticket.medium),
        kind=ticket.kind,
        urgent=ticket.is_urgent,
        at=target.started_at,
        team=ticket.team,
        topic=ticket.topic,
        grade=grade,
        missed_call=target.kind is TargetKind.CALLBACK,
        spec=spec,
    )
    mine = [plan for plan in plans if plan.kind is target.kind]
    same = next((plan for plan in mine if plan.key == target.policy_key), None)
    if same is not None or not of_any_key:
        return same
    if target.kind not in _WORDS:
        return next(iter(mine), None)
    # Words that were joined from another channel keep that channel's time: only rules give them another key.
    return next((plan for plan in mine if RULED in (plan.key[: len(RULED)], target.policy_key[: len(RULED)])), None)


def _event(old: Target, new: Target, now: datetime, why: str = "calendar") -> Event:
    data = {
        "target": old.kind.value,
        "ordinal": old.ordinal,
        "was_due_at": old.due_at.isoformat(),
        "due_at": new.due_at.isoformat(),
        "why": why,
        "calendar": new.calendar,
        "calendar_version": new.calendar_version,
        "key": new.policy_key,
        "budget": new.budget,
    }
    return Event(at=now, kind="target_moved", ticket=old.ticket, data=data)


async def _letters(
    tx: Transaction,
    changes: Sequence[tuple[Target, Target]],
    found: dict[int, Ticket],
    with_: Stationery,
    plain: Policy,
    now: datetime,
    grades: Mapping[int, str],
) -> list[NewOutbox]:
    """To each customer who was told a time that a supervisor's word moved: the new one."""
    rows = []
    for old, new in changes:
        ticket = found[old.ticket]
        is_later = old.kind is TargetKind.FIRST_RESPONSE and new.due_at > old.due_at
        if not is_later or ticket.state is not TicketState.OPEN:
            continue
        if again(old, ticket, plain, now, grades.get(ticket.id, "")).due_at >= new.due_at:
            continue  # the file says so too
        told = [i for i in await outbox.of_ticket(tx, ticket.id) if i.purpose is Purpose.ACKNOWLEDGEMENT]
        if not any(i.state in _TOLD and not i.recipe.get("postponed") for i in told):
            continue  # nobody told him a time
        channel = with_.policy.channels.get(ticket.channel)
        if channel is None:
            continue
        is_mail = channel.medium == Medium.EMAIL
        facts = ("postponed", ticket.id, new.due_at.isoformat())
        rows.append(
            NewOutbox(
                ticket=ticket.id,
                source=ticket.opened_by,
                channel=channel.name,
                address=ticket.contact,
                purpose=Purpose.ACKNOWLEDGEMENT,
                agent=None,
                recipe={
                    "message": ticket.opened_by,
                    "due_at": new.due_at.isoformat(),
                    "is_open": True,
                    "calendar": new.calendar,
                    "postponed": True,
                },
                mail_id=mail_id(with_.keyring, domain_of(channel), *facts) if is_mail else "",
            )
        )
    return rows
