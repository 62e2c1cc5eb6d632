"""Waiting: the customer owes us something. `!wait 3d`: nobody is reminded until then, and then the agent is.

A promised answer is not waived by it: where one is owed, `!wait` is refused unless the words that keep the promise
stand below it. Whatever the customer writes ends the waiting.
"""

from __future__ import annotations

from dataclasses import replace

from routing.commands import CommandName, parse
from routing.deed import Act
from routing.desk import Desk
from routing.once import asked_once, done_once
from routing.records import Reminder, Ticket
from routing.until import until
from routing.words import ReminderKind, TargetKind, TicketState

#: A person's words are owed by these.
_OWED = (TargetKind.FIRST_RESPONSE, TargetKind.CALLBACK)

#: Words beside these stay inside, or come back: they keep no promise.
_NOT_OUT = frozenset({CommandName.NOTE, CommandName.TO, CommandName.CONSULT, CommandName.SPLIT})


def owes_words(desk: Desk, ticket: Ticket) -> bool:
    """Whether the customer was promised an answer, and none is on its way."""
    is_owed = any(t.kind in _OWED for t in desk.open_targets(ticket.id))
    return is_owed and ticket.state is not TicketState.ANSWERED


@asked_once
def cannot_wait(act: Act) -> str:
    if act.ticket.state is TicketState.CLOSED:
        return "wait_closed"
    spec = act.desk.policy.calendar_of(act.ticket.channel, act.ticket.team)
    moment = until(spec, act.argument, act.incoming.received_at)
    if moment is None or moment <= act.desk.now:
        return "bad_wait"
    return "owes_answer" if owes_words(act.desk, act.ticket) and not _answers(act) else ""


def _answers(act: Act) -> bool:
    """Whether this very mail answers: by words that leave, or that were said elsewhere."""
    names = {c.name for c in parse(act.incoming.message.text).commands}
    if CommandName.SEND in names:
        return True  # the words that were held
    return bool(act.words) and (CommandName.RECORD in names or not names & _NOT_OUT)


@done_once
def waits(act: Act) -> str:
    """The ticket waits; of what was promised only the next words end with it."""
    desk, ticket = act.desk, act.ticket
    spec = desk.policy.calendar_of(ticket.channel, ticket.team)
    moment = until(spec, act.argument, act.incoming.received_at)
    assert moment is not None, "asked before"
    if ticket.state is TicketState.OPEN:
        for target in desk.open_targets(ticket.id):
            if target.kind is TargetKind.NEXT_RESPONSE:
                desk.withdraw(target, desk.now)
    desk.put_ticket(
        replace(desk.tickets[ticket.id], state=TicketState.WAITING, waits_until=moment, updated_at=desk.now)
    )
    desk.changes.reminders.append(
        Reminder(
            at=moment,
            kind=ReminderKind.WAIT_OVER.value,
            ticket=ticket.id,
            agent=ticket.agent or act.agent.name,
            data={"since": act.incoming.received_at.isoformat()},
        )
    )
    desk.tell(
        "waiting_begun", ticket=ticket.id, message=act.incoming.id, agent=act.agent.name, until_at=moment.isoformat()
    )
    return ""
