"""A deed: what one command does, when, and what becomes of the words that stand below it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from routing.commands import Command, CommandName
from routing.desk import Desk, Incoming
from routing.policy import Agent
from routing.records import Ticket


class Below(StrEnum):
    """What the words below a command are. Of several commands the strictest counts: BACK, then INSIDE, then OUT."""

    OUT = "out"  # an answer to the customer
    INSIDE = "inside"  # for colleagues: they reach no customer
    BACK = "back"  # for nobody: they come back to their author


class Place(StrEnum):
    """Where a command may be given."""

    TICKET = "ticket"  # in answer to the mail about a ticket
    ANYWHERE = "anywhere"  # in a mail of its own as well; then evidence of its author is all it has (G8)


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One command of an agent's mail, and all that it is carried out with."""

    incoming: Incoming
    desk: Desk
    agent: Agent  # who gives it, by evidence
    command: Command
    number: int | None  # of the ticket whose mail he answers; None where he writes a mail of its own
    words: str = ""  # what stands below the commands, his signature apart

    @property
    def argument(self) -> str:
        return self.command.argument

    @property
    def ticket(self) -> Ticket:
        """The ticket as it stands now. Only for deeds of Place.TICKET, and where `number` is given."""
        assert self.number is not None, "this command is only carried out on a ticket"
        return self.desk.tickets[self.number]


#: What is told where a command has nothing to do with the words below it: to send them would be an accident.
WORDS_UNUSED = "words_unused"


def _nothing_against(act: Act) -> str:
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deed:
    """What a command does. Nothing of a mail is done unless everything in it can be.

    `why_not` gives the code of what the agent is told where it cannot be done ("" if it can): a key of `told.*` texts.
    `before` is done before the words below are sent, so that they go where it says; `after` when they are on their
    way. Both give "" or, where words come back, the code of what their author is told.
    """

    why_not: Callable[[Act], str] = _nothing_against
    before: Callable[[Act], str] | None = None
    after: Callable[[Act], str] | None = None
    below: Below = Below.OUT
    place: Place = Place.TICKET
    is_alone: bool = False  # it ends the ticket: what stands beside it would be done to one that nobody looks at
    not_with: frozenset[CommandName] = frozenset()  # what contradicts it
    for_supervisors: bool = False
    opens: bool = False  # a closed ticket is open afterwards
    takes_argument: bool = True  # False: words behind it on its line are a sentence, not a command
