"""Letting something be done: by the daemon where one runs, else by the command itself, under the daemon's own lock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from intake import control
from intake.command.failure import Exit, Failure
from intake.command.opened import database
from intake.config import Config
from intake.lockfile import AlreadyRuns, single_instance
from store.engine import Database

_EXITS = {"not_found": Exit.NOT_FOUND, "wrong_state": Exit.WRONG, "no_reason": Exit.USAGE, "no_number": Exit.USAGE}


async def let_do(
    config: Config, alone: Callable[[Database], Awaitable[dict[str, Any]]], what: str, **facts: Any
) -> dict[str, Any]:
    """Let the daemon do it; with no daemon there, do it alone under the lock that keeps a daemon away."""
    try:
        try:
            return {**await control.ask(config.store.state_dir / control.NAME, what, **facts), "by": "daemon"}
        except control.DaemonAway:
            return {**await _alone(config, alone), "by": "command line"}
    except control.DaemonUnreachable as error:
        raise Failure(Exit.DAEMON, str(error), "see its log: journalctl -u intake") from error
    except control.Refused as refused:
        raise Failure(_EXITS.get(refused.code, Exit.DAEMON), refused.words) from refused


async def _alone(config: Config, work: Callable[[Database], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    async with database(config) as db:
        try:
            with single_instance(config.store.state_dir):
                return await work(db)
        except AlreadyRuns as error:
            mend = "it does not answer on its control socket: see its log"
            raise Failure(Exit.DAEMON, str(error), mend) from error
        except OSError as error:
            mend = "run it as the daemon's user, or as root"
            words = f"{config.store.state_dir} may not be written: {error.strerror}"
            raise Failure(Exit.STORE, words, mend) from error
