"""`intake parked`, `park`, `requeue`: what waits for an operator, and what he does about it."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import Any

from channels.adapter import Clock
from intake import dates
from intake.command import by_hand
from intake.command.failure import Exit, Failure
from intake.command.let_do import let_do
from intake.command.opened import reading
from intake.command.setting import configuration
from intake.command.terminal import Screen
from store import messages
from store.engine import Database

LIMIT = 1_000  # messages listed


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    """The list."""
    config, now = configuration(args.config), clock.now()
    async with reading(config) as tx:
        found = await messages.parked(tx, LIMIT)
    if screen.is_json:
        for one in found:
            screen.json(
                {
                    "message": one.id,
                    "channel": one.channel,
                    "received_at": one.received_at,
                    "reason": one.reason,
                    "ticket": one.ticket,
                }
            )
        return Exit.OK
    if not found:
        screen.line("No message is parked.")
        return Exit.OK
    rows = [
        (
            str(one.id),
            one.channel,
            dates.near(one.received_at, config.policy.timezone, dates.EN, now),
            f"#{one.ticket}" if one.ticket else "none",
            one.reason,
        )
        for one in found
    ]
    screen.table(("message", "channel", "received", "ticket", "why it is parked"), rows, flexible=4)
    screen.line(screen.paint("dim", "Put one back: intake requeue MESSAGE"))
    return Exit.OK


async def run_park(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    reason = " ".join(args.reason).strip()
    if not reason:
        raise Failure(Exit.USAGE, "say why it is parked", 'intake park 17 "the customer sent it by mistake"')

    async def alone(db: Database) -> dict[str, Any]:
        return await by_hand.park(db, clock, args.message, reason, os.getuid())

    done = await let_do(configuration(args.config), alone, "park", message=args.message, reason=reason)
    return _told(screen, done, f"Message {args.message} is parked.")


async def run_requeue(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    async def alone(db: Database) -> dict[str, Any]:
        return await by_hand.requeue(db, clock, args.message, os.getuid())

    done = await let_do(configuration(args.config), alone, "requeue", message=args.message)
    later = "" if done["by"] == "daemon" else " It is decided when the daemon runs again."
    return _told(screen, done, f"Message {args.message} is in the queue again.{later}")


def _told(screen: Screen, done: dict[str, Any], sentence: str) -> Exit:
    if screen.is_json:
        screen.json(done)
    else:
        screen.line(sentence)
    return Exit.OK
