"""Asked about: the tickets that agents' commands concern, beside those whose mails they answer.

What an agent asks to be shown, and what waits for somebody who goes or is said to be away: deciding needs all of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from channels.message import Medium
from routing.absences import absence_in
from routing.commands import CommandName, parse
from routing.desk import Desk, Incoming
from routing.looking import number_in
from routing.words import QuestionKind
from store import listing
from store.engine import Transaction

MAX_WAITING = 200  # tickets of one agent: who has more is not relieved by machine


async def asked_about(tx: Transaction, batch: Iterable[Incoming], desk: Desk) -> set[int]:
    """The numbers of these tickets, read or to be read; some may not exist."""
    numbers: set[int] = set()
    whose = {str(q.data["agent"]) for q in desk.questions.values() if q.kind == QuestionKind.AWAY}
    for one in batch:
        agent = desk.policy.agent_by_address(one.message.sender.value) if one.medium is Medium.EMAIL else None
        if agent is None:
            continue
        for command in parse(one.message.text).commands:
            match command.name:
                case CommandName.SHOW if (number := number_in(command.argument)) is not None:
                    numbers.add(number)
                case CommandName.OFF | CommandName.BREAK:
                    whose.add(agent.name)
                case CommandName.AWAY if (absence := absence_in(command.argument, desk)) is not None:
                    whose.add(absence.agent.name)
    for name in sorted(whose):
        numbers.update(t.id for t in await listing.open_of_agent(tx, name, MAX_WAITING))
    return numbers
