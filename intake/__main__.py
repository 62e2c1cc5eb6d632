"""The command line: `intake COMMAND …`. What each command does is in `intake/command/`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module

import structlog

from intake.command.arguments import parsed
from intake.command.failure import Exit, Failure
from intake.command.terminal import Screen

#: command -> module and coroutine that does it; imported only when asked for
COMMANDS = {
    "check": ("check", "run"),
    "status": ("status", "run"),
    "tickets": ("tickets", "run"),
    "show": ("show", "run"),
    "parked": ("parked", "run"),
    "park": ("parked", "run_park"),
    "requeue": ("parked", "run_requeue"),
    "verify": ("verify", "run"),
    "explain": ("explain", "run"),
    "due": ("due", "run"),
    "secret": ("secret", "run"),
    "login": ("login", "run"),
    "enrol": ("enrol", "run"),
}


def main(words: Sequence[str] | None = None) -> int:
    """Do what was written on the command line: the exit code."""
    args = parsed(words)
    try:
        code = asyncio.run(_run(args))
        sys.stdout.flush()
        return code
    except Failure as failure:
        sys.stdout.flush()
        print(f"intake: {failure.words}" + (f"\n  -> {failure.mend}" if failure.mend else ""), file=sys.stderr)  # noqa: T201
        return failure.code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # `| head` has what it wanted. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK


async def _run(args: Namespace) -> int:
    from intake import daemon

    if args.command == "run":
        from intake.command.setting import config_path

        return await daemon.run(config_path(args.config), demo=args.demo)
    _be_quiet()
    # asyncio's own handler would wait for the event loop's turn, which a read of standard input never gives it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module, name = COMMANDS[args.command]
    command = getattr(import_module(f"intake.command.{module}"), name)
    return int(await command(args, Screen.of(sys.stdout, wants=args.form), daemon.Clock()))


def _be_quiet() -> None:
    """What libraries log is the daemon's business: here it would stand among the answers."""
    logging.getLogger().addHandler(logging.NullHandler())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


if __name__ == "__main__":
    sys.exit(main())
