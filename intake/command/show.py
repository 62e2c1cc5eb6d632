"""`intake show N`: the whole story of a ticket, told from its events."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from channels.adapter import Clock
from intake import dates
from intake.command.failure import Exit, Failure
from intake.command.opened import reading
from intake.command.setting import configuration
from intake.command.spans import left, margin
from intake.command.story import Teller
from intake.command.terminal import Screen
from intake.command.tickets import as_json, called
from routing.records import Customer, Event, Target, Ticket
from store import customers, deadlines, events, messages, outbox, tickets
from store.engine import Transaction
from store.outbox import OutboxItem

MARGIN = 8  # columns of the clock differences
INDENT = " " * (MARGIN + 7)


@dataclass(frozen=True, kw_only=True)
class Story:
    """Everything that is told about one ticket."""

    ticket: Ticket
    customer: Customer | None
    targets: list[Target]
    outbox: list[OutboxItem]
    events: list[Event]


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    config, now = configuration(args.config), clock.now()
    async with reading(config) as tx:
        story = await gather(tx, args.ticket)
    if story is None:
        raise Failure(Exit.NOT_FOUND, f"there is no ticket #{args.ticket}", "intake tickets --all lists them")
    if screen.is_json:
        screen.json(_as_json(story))
        return Exit.OK
    _head(screen, story, config.policy.timezone, now)
    _told(screen, story.events, Teller(config.policy.timezone, now, args.language), with_why=args.why)
    return Exit.OK


async def gather(tx: Transaction, number: int) -> Story | None:
    """One ticket's records and its events, oldest first, with those of its messages from before it was known."""
    ticket = (await tickets.by_ids(tx, [number])).get(number)
    if ticket is None:
        return None
    told = await events.of_ticket(tx, number)
    theirs = {*await messages.of_ticket(tx, number), *(e.message for e in told if e.message is not None)}
    before = await events.of_messages(tx, sorted(theirs)) if theirs else []
    return Story(
        ticket=ticket,
        customer=(await customers.by_ids(tx, [ticket.customer])).get(ticket.customer),
        targets=(await deadlines.of_tickets(tx, [number])).get(number, []),
        outbox=await outbox.of_ticket(tx, number),
        events=sorted([*told, *before], key=lambda e: e.id or 0),
    )


def _as_json(story: Story) -> dict[str, Any]:
    open_targets = [t for t in story.targets if t.is_open]
    return {
        **as_json(story.ticket, open_targets[0] if open_targets else None),
        "customer": asdict(story.customer) if story.customer else {"id": story.ticket.customer},
        "targets": [asdict(t) for t in story.targets],
        "outbox": [_sent(item) for item in story.outbox],
        "events": [
            {
                "id": e.id,
                "at": e.at,
                "event": e.kind,
                "message": e.message,
                "customer": e.customer,
                "agent": e.agent,
                "outbox": e.outbox,
                **e.data,
            }
            for e in story.events
        ],
    }


def _sent(item: OutboxItem) -> dict[str, Any]:
    """Without recipe and Message-ID: they may hold a token."""
    names = ["id", "channel", "address", "purpose", "agent", "state", "created_at", "answered_at", "attempts"]
    names += ("next_attempt_at", "error", "held_reason", "delivered_at")
    return {name: getattr(item, name) for name in names}


# ---- for people


def _head(screen: Screen, story: Story, timezone: str, now: datetime) -> None:
    ticket = story.ticket
    name = called(ticket, story.customer.name if story.customer else "")
    subject = ticket.subject or f"({ticket.medium})"
    screen.wrapped(f"{name} · {subject}", first=screen.paint("bold", f"#{ticket.id}") + "  ", then="       ")
    facts = [
        ticket.state.value,
        ticket.kind.value + (", urgent" if ticket.is_urgent else ""),
        ticket.topic.replace("_", " ") or "no topic",
        f"by {ticket.channel}",
        f"team {ticket.team}",
        f"with {ticket.agent}" if ticket.agent else "with nobody",
        f"sender {ticket.standing}",
        *([f"follows #{ticket.follows}"] if ticket.follows else []),
    ]
    screen.wrapped(" · ".join(facts), first="       ", then="       ")
    for target in story.targets:
        due = dates.deadline(target.due_at, timezone, dates.EN, now)
        screen.line(f"       {_mark(screen, target, now)} {target.kind.value.replace('_', ' ')}: due {due}, "
                    f"{_outcome(target, now)}")  # fmt: skip
    screen.line()


def _mark(screen: Screen, target: Target, now: datetime) -> str:
    if target.withdrawn_at is not None:
        return "-"
    if target.is_open and target.paused_at is not None:
        return "="
    moment = target.met_at or now
    if moment > target.due_at:
        return screen.paint("red", "✗")
    return screen.paint("green", "✓") if target.met_at else screen.paint("yellow", "…")


def _outcome(target: Target, now: datetime) -> str:
    if target.withdrawn_at is not None:
        return "no longer owed"
    if target.met_at is None and target.paused_at is not None:
        return "its clock stands while the customer owes something"
    if target.met_at is None:
        return f"open, {left(target.due_at, now)}" + (" left" if now <= target.due_at else "")
    spare = target.due_at - target.met_at
    said = dates.span(spare, dates.EN)
    return f"met with {said} to spare" if spare >= timedelta(0) else f"met {said} late"


def _told(screen: Screen, told: list[Event], teller: Teller, *, with_why: bool) -> None:
    """One line per event: the difference to the one before, the time of day, the sentence."""
    zone = dates.zone(teller.timezone)
    before: Event | None = None
    day = None
    for event in told:
        local = event.at.astimezone(zone)
        if local.date() != day:
            day = local.date()
            screen.line(screen.paint("dim", f"{day:%a} {day.day} {day:%b %Y}"))
        difference = margin(event.at - before.at) if before is not None else ""
        screen.wrapped(teller.says(event), first=f"{difference:>{MARGIN}} {local:%H:%M} ", then=INDENT)
        if with_why:
            for reason in teller.why(event):
                screen.wrapped(reason, first=f"{INDENT}- ", then=f"{INDENT}  ")
        before = event
