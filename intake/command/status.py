"""`intake status`: what waits, what falls due next, what is still to leave, and whether the daemon lives."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime, timedelta
from typing import Any

from channels.adapter import Clock
from intake import control, dates
from intake.command.failure import Exit
from intake.command.opened import reading
from intake.command.setting import configuration
from intake.command.spans import left, minutes_left
from intake.command.terminal import Screen, fit
from intake.command.tickets import WHO, called
from intake.config import Config
from routing.records import Target, Ticket
from routing.words import TicketState
from store import agents, deadlines, leases, messages, outbox, queues, tickets
from store.engine import Transaction

NEXT_DEADLINES = 5
MAX_REFUSED = 5  # lines of what did not leave
LEASE = "decider"  # who decides at this moment
ABSENCE_SHOWN = timedelta(hours=24)  # a hint older than that says nothing of today
ASK_TIMEOUT = 3.0  # seconds; a daemon that hangs must not hide the store


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    config = configuration(args.config)
    daemon = await ask_daemon(config)
    now = clock.now()
    async with reading(config) as tx:
        found = await gather(tx, now)
    if screen.is_json:
        screen.json({"at": now, "daemon": daemon, **found})
        return Exit.OK
    _daemon(screen, daemon, found["decider"], now)
    _waiting(screen, found["waiting"], now)
    _deadlines(screen, found["deadlines"], config, now)
    _absences(screen, found["absence_hints"], config, now)
    _outbox(screen, found["outbox"], now)
    _refused(screen, found["refused"])
    _queue(screen, found["queue"], daemon.get("paced", {}), now)
    if found["parked"]:
        many = "message is" if found["parked"] == 1 else "messages are"
        screen.line(screen.paint("yellow", f"{found['parked']} {many} parked") + "  -> intake parked")
    return Exit.OK


async def ask_daemon(config: Config) -> dict[str, Any]:
    """What the daemon says of itself: {"alive": …}, with `why` where it says nothing."""
    try:
        said = await control.ask(config.store.state_dir / control.NAME, "status", timeout=ASK_TIMEOUT)
    except control.DaemonAway:
        return {"alive": False, "why": "it is not running"}
    except (control.DaemonUnreachable, control.Refused) as error:
        return {"alive": None, "why": str(error)}
    return {"alive": True, **said}


async def gather(tx: Transaction, now: datetime) -> dict[str, Any]:
    """The store's part, as it is printed for programs."""
    waiting = await messages.waiting(tx)
    due = await deadlines.open_by_due(tx, NEXT_DEADLINES)
    theirs = await tickets.by_ids(tx, [t.ticket for t in due])
    holder = await leases.holder(tx, LEASE)
    return {
        "waiting": [row for row in waiting if row["state"] != "parked"],
        "parked": sum(row["count"] for row in waiting if row["state"] == "parked"),
        "deadlines": [_deadline(t, theirs.get(t.ticket), now) for t in due],
        "absence_hints": await _hints(tx, now),
        "outbox": await outbox.summary(tx),
        "refused": await queues.refused(tx, MAX_REFUSED),
        "queue": await queues.waiting(tx),
        "decider": {"owner": holder[0], "until": holder[1]} if holder and holder[0] else None,
    }


async def _hints(tx: Transaction, now: datetime) -> list[dict[str, Any]]:
    """For whom a machine has answered lately, and how many tickets wait for them."""
    hinted = await agents.hinted_since(tx, now - ABSENCE_SHOWN)
    loads = await tickets.open_loads(tx) if hinted else {}
    return [{"agent": name, "at": at, "open_tickets": loads.get(name, 0)} for name, at in hinted.items()]


def _deadline(target: Target, ticket: Ticket | None, now: datetime) -> dict[str, Any]:
    return {
        "ticket": target.ticket,
        "target": target.kind.value,
        "due_at": target.due_at,
        "minutes_left": minutes_left(target.due_at, now),
        "agent": ticket.agent if ticket else None,
        "channel": ticket.channel if ticket else None,
        "urgent": ticket.is_urgent if ticket else False,
        "state": ticket.state if ticket else TicketState.CLOSED,
        "contact_name": ticket.contact_name if ticket else "",
        "who": called(ticket) if ticket else "",
    }


# ---- for people


def _daemon(screen: Screen, daemon: dict[str, Any], decider: dict[str, Any] | None, now: datetime) -> None:
    if daemon["alive"] is None:
        screen.line(f"daemon    {screen.paint('yellow', 'no word')}: {daemon['why']}")
    elif not daemon["alive"]:
        elsewhere = f"; {decider['owner']} decides" if decider and decider["until"] > now else ""
        screen.line(f"daemon    {screen.paint('red', 'not running')}{elsewhere}  -> intake run")
    else:
        facts = [f"pid {daemon['pid']}" if "pid" in daemon else "", str(daemon.get("version", ""))]
        said = (
            screen.paint("green", "alive") if daemon.get("ok", True) else screen.paint("yellow", "alive, with trouble")
        )
        screen.line(f"daemon    {said}  {'  '.join(f for f in facts if f)}".rstrip())
        if daemon.get("refusing"):
            screen.wrapped(f"nothing is taken in: {daemon['refusing']}", first="          ", then="          ")
        for name, loop in dict(daemon.get("loops", {})).items():
            if not loop.get("ok", True):
                screen.wrapped(f"{name}: {loop.get('note', '')}", first="        ✗ ", then="          ")


def _waiting(screen: Screen, waiting: list[dict[str, Any]], now: datetime) -> None:
    if not waiting:
        screen.line("waiting   nothing")
        return
    screen.line("waiting   oldest first")
    oldest_first = sorted(waiting, key=lambda row: row["oldest"])
    rows = [(r["channel"], r["state"], str(r["count"]), dates.span(now - r["oldest"], dates.EN)) for r in oldest_first]
    screen.table(("channel", "state", "messages", "oldest"), rows, flexible=0, indent="  ")


def _deadlines(screen: Screen, due: list[dict[str, Any]], config: Config, now: datetime) -> None:
    if not due:
        screen.line("due       nothing")
        return
    screen.line("due       next")
    rows = [
        (
            f"#{d['ticket']}{' !' if d['urgent'] else ''}",
            fit(d["who"], WHO),
            d["target"].replace("_", " "),
            dates.deadline_near(d["due_at"], config.policy.timezone, dates.EN, now),
            left(d["due_at"], now),
            d["agent"] or "nobody",
        )
        for d in due
    ]
    screen.table(("ticket", "customer", "target", "due", "left", "agent"), rows, flexible=1, indent="  ")


def _absences(screen: Screen, hints: list[dict[str, Any]], config: Config, now: datetime) -> None:
    """A hint, no more: whether they are away, the roster says."""
    for hint in hints:
        at = dates.near(hint["at"], config.policy.timezone, dates.EN, now)
        many = "ticket waits" if hint["open_tickets"] == 1 else "tickets wait"
        said = f"{hint['agent']}: an out-of-office note came {at}; {hint['open_tickets']} {many}"
        screen.wrapped(said, first="away?     ", then="          ")


def _outbox(screen: Screen, rows: list[dict[str, Any]], now: datetime) -> None:
    if not rows:
        screen.line("outbox    nothing is left to send")
        return
    said = [f"{r['count']} {r['state']} (oldest {dates.span(now - r['oldest'], dates.EN)})" for r in rows]
    screen.wrapped(", ".join(said), first="outbox    ", then="          ")


def _refused(screen: Screen, rows: list[dict[str, Any]]) -> None:
    """What did not leave, in the words of the server that would not have it, and where its story stands."""
    for row in rows:
        where = f"  -> intake show {row['ticket']}" if row["ticket"] else ""
        words = f"{row['channel']}, {row['purpose']}, {row['state']}: {row['error']}{where}"
        screen.wrapped(words, first="          ", then="            ")


def _queue(screen: Screen, rows: list[dict[str, Any]], paced: dict[str, Any], now: datetime) -> None:
    """What is still to leave, by channel and purpose, the oldest of each, and which channels make it wait."""
    if rows:
        said = [(r["channel"], r["purpose"], str(r["count"]), dates.span(now - r["oldest"], dates.EN)) for r in rows]
        screen.table(("channel", "to send", "waiting", "oldest"), said, flexible=0, indent="  ")
    for channel, wait in paced.items():
        until = timedelta(seconds=float(wait["for_s"]))
        what = "nothing leaves" if wait["answers_too"] else "only answers and assignments leave"
        words = f"{channel} is paced: {what} for another {dates.span(until, dates.EN)}: {wait['why']}"
        screen.wrapped(words, first="          ", then="          ")
