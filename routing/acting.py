"""Acting: an agent's commands are carried out, as `routing/deeds.py` says.

Nothing of a mail is done unless all of it can be. Where the words below go is settled by the commands together; what
decides where they go is done before they leave, the rest after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from routing.commands import Command
from routing.deed import Act, Below, Place
from routing.deeds import DEEDS
from routing.desk import Desk, Incoming
from routing.policy import Agent


def cannot(
    incoming: Incoming, desk: Desk, agent: Agent, commands: Sequence[Command], number: int | None, words: str
) -> tuple[str, str] | None:
    """(what the agent is told, the line) of the first command that cannot be done; None if all can."""
    names = {c.name for c in commands}
    for command in commands:
        deed, others = DEEDS[command.name], names - {command.name}
        code = ""
        if (deed.is_alone and others) or deed.not_with & others:
            code = "not_together"
        elif command.argument and not deed.takes_argument:
            # On a ticket it may be the beginning of what the customer is to read: it must not be lost.
            code = "words_behind" if deed.place is Place.TICKET else "unknown_command"
        elif deed.for_supervisors and not agent.is_supervisor:
            code = "supervisors_only"
        elif deed.place is Place.TICKET and number is None:
            code = "needs_ticket"
        else:
            code = deed.why_not(_act(incoming, desk, agent, command, number, words))
        if code:
            return code, command.line[:200]
    return None


def _act(incoming: Incoming, desk: Desk, agent: Agent, command: Command, number: int | None, words: str) -> Act:
    return Act(incoming=incoming, desk=desk, agent=agent, command=command, number=number, words=words)


def below(commands: Iterable[Command]) -> Below:
    """What the words below these commands are: the strictest of what each says."""
    said = {DEEDS[c.name].below for c in commands}
    return next((one for one in (Below.BACK, Below.INSIDE) if one in said), Below.OUT)


def opens(commands: Iterable[Command]) -> bool:
    """Whether one of these opens a closed ticket."""
    return any(DEEDS[c.name].opens for c in commands)


def before_words(
    incoming: Incoming, desk: Desk, agent: Agent, commands: Iterable[Command], number: int | None, words: str = ""
) -> str:
    """Do what decides where the words below go, or whether they may go at all.

    The code of what their author is told where they come back; "" else.
    """
    told = ""
    for command in commands:
        do = DEEDS[command.name].before
        if do is not None:
            told = do(_act(incoming, desk, agent, command, number, words)) or told
    return told


def after_words(
    incoming: Incoming, desk: Desk, agent: Agent, commands: Iterable[Command], number: int | None, words: str = ""
) -> None:
    """Do what comes after the words, in the order in which it was asked for."""
    for command in commands:
        do = DEEDS[command.name].after
        if do is not None:
            do(_act(incoming, desk, agent, command, number, words))
