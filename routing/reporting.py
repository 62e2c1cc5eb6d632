"""A report about one of our mails: delivery failed, is late, or was complained about. It opens no ticket of its own."""

from __future__ import annotations

from dataclasses import replace

from channels.message import Bounce, BounceKind
from routing.desk import Decision, Desk, Incoming, SentMail, reason_data
from routing.reasons import Reason
from routing.records import Target, Ticket
from routing.words import Outcome, Purpose, Speaker, TargetKind, TicketState
from routing.writing import send_to_agent


def on_report(incoming: Incoming, desk: Desk, reasons: tuple[Reason, ...]) -> Decision:
    """Match a report to what it is about, undo what that mail had met, and tell the agent."""
    bounce = incoming.message.bounce
    assert bounce is not None
    sent = desk.sent.get(bounce.original_message_id)
    ticket = desk.tickets.get(sent.ticket) if sent and sent.ticket is not None else None
    desk.tell(
        "report_received",
        message=incoming.id,
        ticket=ticket.id if ticket else None,
        outbox=sent.id if sent else None,
        report=bounce.kind.value,
        status=bounce.status,
        reasons=reason_data(reasons),
    )
    # Anybody who has seen a Message-ID of ours can write such a report, and as often as he likes.
    if sent is not None and sent.has_left and bounce.kind is BounceKind.FAILED:
        desk.sent[bounce.original_message_id] = replace(sent, has_left=False)
        _failed(incoming, desk, sent, bounce, ticket)
    return Decision(
        outcome=Outcome.BOUNCED,
        speaker=Speaker.MACHINE,
        ticket=ticket.id if ticket else None,
        customer=ticket.customer if ticket else None,
        reasons=reasons,
    )


def _failed(incoming: Incoming, desk: Desk, sent: SentMail, bounce: Bounce, ticket: Ticket | None) -> None:
    desk.changes.bounced.append((sent.id, f"{bounce.status} {bounce.reason}".strip()[:500]))
    desk.tell(
        "delivery_bounced",
        message=incoming.id,
        ticket=sent.ticket,
        outbox=sent.id,
        agent=sent.agent,
        purpose=sent.purpose.value,
        status=bounce.status,
    )
    if ticket is None:
        return
    if sent.purpose is Purpose.ANSWER:
        _reopen(desk, ticket)
        _tell_author(incoming, desk, ticket, sent, bounce)
    elif sent.purpose in (Purpose.ASSIGNMENT, Purpose.UPDATE):
        _tell_supervisors(incoming, desk, ticket, sent)


def _tell_supervisors(incoming: Incoming, desk: Desk, ticket: Ticket, sent: SentMail) -> None:
    """Work came back from its agent's mailbox: somebody else must see it."""
    desk.tell("agent_unreachable", ticket=ticket.id, message=incoming.id, agent=sent.agent, why="his mail came back")
    channel = desk.mail_channel_of(ticket)
    team = desk.policy.teams.get(ticket.team)
    for name in team.supervisors if team else ():
        supervisor = desk.policy.agents.get(name)
        if supervisor is not None and channel is not None and name != sent.agent:
            send_to_agent(desk, ticket, supervisor, channel, Purpose.ASSIGNMENT, message=ticket.opened_by)


def _reopen(desk: Desk, ticket: Ticket) -> None:
    """An answer that never arrived was no answer: the clock goes on with its old due time."""
    desk.put_ticket(replace(ticket, state=TicketState.OPEN, updated_at=desk.now, closed_at=None, closed_reason=None))
    met = [t for t in desk.targets.get(ticket.id, ()) if t.met_at is not None and t.kind in _ANSWERED_BY_WORDS]
    if not met:
        return
    latest: Target = max(met, key=lambda t: t.started_at)
    desk.changes.reopened.append(latest)
    desk.replace_target(latest, replace(latest, met_at=None, answered_at=None, next_at=latest.next_after(desk.now)))
    desk.tell(
        "target_reopened",
        ticket=ticket.id,
        target=latest.kind.value,
        ordinal=latest.ordinal,
        due_at=latest.due_at.isoformat(),
    )


_ANSWERED_BY_WORDS = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE)


def _tell_author(incoming: Incoming, desk: Desk, ticket: Ticket, sent: SentMail, bounce: Bounce) -> None:
    agent = desk.policy.agents.get(sent.agent or "")
    channel = desk.mail_channel_of(ticket)
    if agent is None or channel is None:
        return
    send_to_agent(
        desk,
        ticket,
        agent,
        channel,
        Purpose.TOLD,
        message=incoming.id,
        code="delivery_failed",
        detail=f"{bounce.status} {bounce.reason}".strip()[:300],
    )
