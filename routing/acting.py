"""Acting: what an agent's commands do to a ticket, beside words to its customer.

Who gets the answer is changed before the words below are sent, so that they go there; closing comes after them. What
cannot be done stops the whole mail before anything has happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

from routing.addressing import (
    asked_address,
    asked_copies,
    change_copies,
    change_reply_to,
    tell_recipients,
)
from routing.commands import Command, CommandName
from routing.desk import Desk, Incoming
from routing.holding import tell_agent
from routing.joining import other_of
from routing.marking import SPAM, mark_not_spam
from routing.policy import Agent
from routing.records import Ticket
from routing.words import TargetKind, TicketState

_ADDRESSING = frozenset({CommandName.CC, CommandName.REPLY_TO})
#: They end the ticket: what stands beside them would be done to one that nobody looks at any more.
_ALONE = frozenset({CommandName.JOIN, CommandName.SPAM})
#: Whoever hands over leaves these to his colleague.
_NOT_HANDING_OVER = frozenset({CommandName.CLOSE, CommandName.SEND})


def cannot(desk: Desk, commands: Sequence[Command], ticket: Ticket) -> tuple[str, str] | None:
    """(what the agent is told, the line) of the first command that cannot be done; None if all can."""
    names = {c.name for c in commands}
    for command in commands:
        if _is_at_odds(command.name, names - {command.name}):
            return "not_together", command.line[:200]
        code = _why_not(desk, command, ticket)
        if code:
            return code, command.line[:200]
    return None


def _is_at_odds(name: CommandName, others: Set[CommandName]) -> bool:
    return bool(others) and (name in _ALONE or (name is CommandName.TO and bool(others & _NOT_HANDING_OVER)))


def stays_closed(commands: Iterable[Command], ticket: Ticket) -> bool:
    """Whether the ticket is closed, and none of these opens it again."""
    opens = ticket.closed_reason == SPAM and any(c.name is CommandName.NOT_SPAM for c in commands)
    return ticket.state is TicketState.CLOSED and not opens


def _why_not(desk: Desk, command: Command, ticket: Ticket) -> str:
    if command.name is CommandName.CC and asked_copies(command.argument, desk.policy) is None:
        return "bad_address"
    if command.name is CommandName.REPLY_TO:
        contact = desk.contacts.get(ticket.contact)
        return "no_reply_to" if asked_address(command.argument, contact, desk.policy) is None else ""
    if command.name is CommandName.JOIN and other_of(desk, ticket, command.argument) is None:
        return "no_other"
    return ""


def before_words(incoming: Incoming, desk: Desk, agent: Agent, commands: Iterable[Command], number: int) -> None:
    """Do what decides where the words below go, or whether they may go at all."""
    for command in commands:
        ticket = desk.tickets[number]
        if command.name is CommandName.CC:
            asked = asked_copies(command.argument, desk.policy)
            assert asked is not None, "cannot() was asked before"
            change_copies(incoming, desk, agent, ticket, asked)
        elif command.name is CommandName.REPLY_TO:
            address = asked_address(command.argument, desk.contacts.get(ticket.contact), desk.policy)
            assert address is not None, "cannot() was asked before"
            change_reply_to(incoming, desk, agent, ticket, address)
        elif command.name is CommandName.NOT_SPAM:
            mark_not_spam(incoming, desk, agent, ticket)


def after_words(
    incoming: Incoming, desk: Desk, agent: Agent, commands: Iterable[Command], number: int, *, is_bare: bool
) -> None:
    """Do what comes after the words. `is_bare`: there were none, so he is shown who would get them."""
    names = [command.name for command in commands]
    if CommandName.CLOSE in names:
        close(incoming, desk, agent, desk.tickets[number])
    if CommandName.HELP in names:
        tell_agent(incoming, desk, agent, desk.tickets[number], CommandName.HELP.value)
    if is_bare and _ADDRESSING & set(names):
        tell_recipients(incoming, desk, agent, desk.tickets[number])


def close(incoming: Incoming, desk: Desk, agent: Agent, ticket: Ticket) -> None:
    """Close it. Promises of words end with it, unless an answer is on its way and will meet them."""
    closed = replace(
        ticket,
        state=TicketState.CLOSED,
        closed_at=desk.now,
        closed_reason=f"closed by {agent.name}",
        updated_at=desk.now,
    )
    desk.put_ticket(closed)
    is_answered = ticket.state is TicketState.ANSWERED
    for target in desk.open_targets(ticket.id):
        if target.kind is TargetKind.RESOLUTION:
            desk.meet(target, desk.now, desk.now)
        elif not is_answered or target.kind.value not in ("first_response", "next_response"):
            desk.withdraw(target, desk.now)
    desk.tell("ticket_closed", ticket=ticket.id, message=incoming.id, agent=agent.name, reason="closed by agent")
