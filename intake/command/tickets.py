"""`intake tickets`: who is waiting for whom, the nearest deadline first."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime
from typing import Any

from channels.adapter import Clock
from channels.message import Scheme
from intake import dates
from intake.command.failure import Exit
from intake.command.opened import reading
from intake.command.setting import configuration
from intake.command.spans import left
from intake.command.terminal import Screen, fit
from routing.records import Target, Ticket
from store import deadlines, tickets

WHO = 24  # columns at most for the customer: the subject says more


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    config, now = configuration(args.config), clock.now()
    async with reading(config) as tx:
        found = await tickets.found(
            tx, only_open=not args.all, agent=args.agent or "", channel=args.channel or "", limit=args.limit + 1
        )
        is_cut = len(found) > args.limit
        found = found[: args.limit]
        targets = await deadlines.of_tickets(tx, [t.id for t in found], only_open=True)
    nearest = {number: some[0] for number, some in targets.items()}
    found.sort(key=lambda t: _order(t, nearest.get(t.id)))
    if screen.is_json:
        for ticket in found:
            screen.json(as_json(ticket, nearest.get(ticket.id)))
        return Exit.OK
    if not found:
        screen.line("There is no ticket." if args.all else "No ticket is open.")
        return Exit.OK
    rows = [_row(ticket, nearest.get(ticket.id), config.policy.timezone, now) for ticket in found]
    screen.table(("ticket", "state", "kind", "customer", "subject", "agent", "due", "left"), rows, flexible=4)
    if is_cut:
        screen.line(screen.paint("dim", f"The newest {args.limit}; more with --limit."))
    return Exit.OK


def called(ticket: Ticket, name: str = "") -> str:
    """The customer for people: his name, else his address or number; `name` is what his record says.

    Of a chat without a name there is only the number of a session, which tells nobody anything.
    """
    scheme, _, value = ticket.contact.partition(":")
    return ticket.contact_name or name or ("visitor" if scheme == Scheme.WEB else value)


def _order(ticket: Ticket, target: Target | None) -> tuple[bool, float, int]:
    return (target is None, target.due_at.timestamp() if target else 0.0, ticket.id)


def as_json(ticket: Ticket, target: Target | None) -> dict[str, Any]:
    """One ticket with its nearest open target, as it is printed for programs."""
    return {
        "ticket": ticket.id,
        "state": ticket.state,
        "kind": ticket.kind,
        "topic": ticket.topic,
        "urgent": ticket.is_urgent,
        "channel": ticket.channel,
        "medium": ticket.medium,
        "customer": ticket.customer,
        "contact": ticket.contact,
        "contact_name": ticket.contact_name,
        "standing": ticket.standing,
        "subject": ticket.subject,
        "language": ticket.language,
        "team": ticket.team,
        "agent": ticket.agent,
        "opened_at": ticket.opened_at,
        "updated_at": ticket.updated_at,
        "closed_at": ticket.closed_at,
        "closed_reason": ticket.closed_reason,
        "follows": ticket.follows,
        "target": target.kind if target else None,
        "due_at": target.due_at if target else None,
    }


def _row(ticket: Ticket, target: Target | None, timezone: str, now: datetime) -> tuple[str, ...]:
    due = dates.deadline_near(target.due_at, timezone, dates.EN, now) if target else ""
    return (
        f"#{ticket.id}{' !' if ticket.is_urgent else ''}",
        ticket.state.value,
        ticket.kind.value,
        fit(called(ticket), WHO),
        ticket.subject or f"({ticket.medium})",
        ticket.agent or "nobody",
        due,
        left(target.due_at, now) if target else "",
    )
