"""`intake verify`: whether the event log is as it was written, by recomputing its hash chain."""

from __future__ import annotations

from argparse import Namespace

from channels.adapter import Clock
from intake.command.failure import Exit
from intake.command.opened import reading
from intake.command.setting import configuration
from intake.command.terminal import Screen
from store import events


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    config = configuration(args.config)
    async with reading(config) as tx:
        written, sealed = await events.counts(tx)

        def progress(held: int) -> None:
            if screen.is_terminal and not screen.is_json and sealed > held:
                screen.out.write(f"\r{held:,} of {sealed:,} seals hold …\x1b[K")
                screen.out.flush()

        held, fault = await events.verify(tx, progress=progress)
    if screen.is_terminal and not screen.is_json:
        screen.out.write("\r\x1b[K")
    if screen.is_json:
        found = {"seal": fault.seq, "event": fault.event, "words": fault.words} if fault else None
        screen.json({"ok": fault is None, "events": written, "seals_held": held, "unsealed": written - sealed,
                     "fault": found})  # fmt: skip
    elif fault is not None:
        screen.line(f"{screen.paint('red', '✗')} {fault.words}: event {fault.event}, seal {fault.seq}")
        screen.line(f"  {held:,} seals before it hold; nothing after it is proven")
        screen.line("  -> keep a copy of the store as it is, and compare it with the last backup")
    else:
        rest = f", {written - sealed:,} not sealed yet" if written > sealed else ""
        screen.line(f"{screen.paint('green', '✓')} {held:,} events are as they were written{rest}")
    return Exit.OK if fault is None else Exit.WRONG
