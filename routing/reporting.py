"""A report about one of our mails: delivery failed, is late, or was complained about. It opens no ticket of its own.

A report proves nothing: whoever has seen a Message-ID of ours can write one. It may undo a delivery once a row, and
what it brings about is bounded by what we had sent; about a mail that we never sent it is recorded, and that is all.
"""

from __future__ import annotations

from dataclasses import replace

from channels.message import Bounce, BounceKind, Scheme
from routing.desk import Decision, Desk, Incoming, SentMail, reason_data
from routing.joining import goes_on_as
from routing.merging import owe_there
from routing.reasons import Reason
from routing.records import Target, Ticket
from routing.words import Outcome, Purpose, Speaker, TargetKind, TicketState
from routing.writing import send_to_agent

#: Feedback types (RFC 5965 §3.5, RFC 6591) by which nobody says that he wants no such mail.
_NO_COMPLAINTS = frozenset({"auth-failure", "dmarc", "not-spam", "other", "virus"})


def on_report(incoming: Incoming, desk: Desk, reasons: tuple[Reason, ...]) -> Decision:
    """Match a report to what it is about, undo what that mail had met, and tell the agent."""
    bounce = incoming.message.bounce
    assert bounce is not None
    sent = _about(bounce, desk)
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
    # A delayed mail may arrive yet and a delivered one has: neither changes what was promised.
    if sent is not None and sent.has_left and bounce.kind is BounceKind.FAILED:
        _come_back(desk, sent)
        _failed(incoming, desk, sent, bounce, ticket)
    if sent is not None and bounce.kind is BounceKind.COMPLAINT and bounce.reason.lower() not in _NO_COMPLAINTS:
        _complained(incoming, desk, sent, bounce, ticket)
    return Decision(
        outcome=Outcome.BOUNCED,
        speaker=Speaker.MACHINE,
        ticket=ticket.id if ticket else None,
        customer=ticket.customer if ticket else None,
        reasons=reasons,
    )


def _about(bounce: Bounce, desk: Desk) -> SentMail | None:
    """Of the rows of one Message-ID the one to the address that is reported on; where none is, the customer's own.

    A customer whose mail is passed on by his provider is reported on under a name that we do not know.
    """
    rows = desk.sent.get(bounce.original_message_id) or desk.sent.get(bounce.loop_mark.partition(".")[0]) or ()
    named = f"{Scheme.MAIL.value}:{bounce.recipient}".lower()
    for row in rows:
        if row.address.lower() == named:
            return row
    return next((row for row in rows if not row.is_copy), rows[0] if rows else None)


def _come_back(desk: Desk, sent: SentMail) -> None:
    """What came back once cannot come back again, in this batch either."""
    for key, rows in desk.sent.items():
        desk.sent[key] = tuple(replace(row, has_left=False) if row.id == sent.id else row for row in rows)


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
        if not sent.is_copy:  # the promise was the customer's
            _reopen(desk, ticket, sent)
        ticket = goes_on_as(desk, ticket)
        _tell_agent(incoming, desk, ticket, sent, bounce, "copy_undelivered" if sent.is_copy else "delivery_failed")
    elif sent.purpose is Purpose.ACKNOWLEDGEMENT:
        # His answer would come back too: he should know before he writes it.
        author = replace(sent, agent=ticket.agent)
        _tell_agent(incoming, desk, ticket, author, bounce, "acknowledgement_failed")
    elif sent.purpose in (Purpose.ASSIGNMENT, Purpose.UPDATE):
        _tell_supervisors(incoming, desk, ticket, sent)


def _complained(incoming: Incoming, desk: Desk, sent: SentMail, bounce: Bounce, ticket: Ticket | None) -> None:
    """Whoever calls our mail junk gets nothing automatic any more; what people write to him leaves as before."""
    if sent.purpose not in (Purpose.ANSWER, Purpose.ACKNOWLEDGEMENT) or sent.address in desk.complained:
        return
    desk.complained.add(sent.address)
    desk.changes.complained.add(sent.address)
    desk.changes.complaints.append((sent.id, bounce.reason or "abuse"))
    desk.tell(
        "complaint_received",
        message=incoming.id,
        ticket=sent.ticket,
        customer=ticket.customer if ticket else None,
        outbox=sent.id,
        feedback=bounce.reason[:80],
    )


def _tell_supervisors(incoming: Incoming, desk: Desk, ticket: Ticket, sent: SentMail) -> None:
    """Work came back from its agent's mailbox: somebody else must see it."""
    desk.tell("agent_unreachable", ticket=ticket.id, message=incoming.id, agent=sent.agent, why="his mail came back")
    channel = desk.mail_channel_of(ticket)
    team = desk.policy.teams.get(ticket.team)
    supervisors = team.supervisors if team else ()
    if sent.agent in supervisors and sent.agent != ticket.agent:
        return  # he was told in another's stead: two dead mailboxes would have each other told for ever
    for name in supervisors:
        supervisor = desk.policy.agents.get(name)
        if supervisor is not None and channel is not None and name != sent.agent:
            send_to_agent(desk, ticket, supervisor, channel, Purpose.ASSIGNMENT, message=desk.latest_of(ticket))


def _reopen(desk: Desk, ticket: Ticket, sent: SentMail) -> None:
    """An answer that never arrived was no answer: the clock goes on with its old due time."""
    onward = goes_on_as(desk, ticket)
    desk.put_ticket(replace(onward, state=TicketState.OPEN, updated_at=desk.now, closed_at=None, closed_reason=None))
    _owe_again(desk, ticket, sent)
    if onward.id != ticket.id:
        owe_there(desk, ticket)


def _owe_again(desk: Desk, ticket: Ticket, sent: SentMail) -> None:
    """What it had met is open again, with its old deadline."""
    met = [t for t in desk.targets.get(ticket.id, ()) if t.met_at is not None and t.kind in _ANSWERED_BY_WORDS]
    if sent.answered_at is not None:
        # Another answer may have arrived before: what that one met stays met.
        met = [t for t in met if t.answered_at == sent.answered_at]
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


def _tell_agent(incoming: Incoming, desk: Desk, ticket: Ticket, sent: SentMail, bounce: Bounce, code: str) -> None:
    agent = desk.policy.agents.get(sent.agent or "")
    channel = desk.mail_channel_of(ticket)
    if agent is None or channel is None:
        return
    what = f"{bounce.status} {bounce.reason}".strip()
    send_to_agent(
        desk,
        ticket,
        agent,
        channel,
        Purpose.TOLD,
        message=incoming.id,
        code=code,
        detail=f"{sent.address.partition(':')[2]}: {what}"[:300],
    )
