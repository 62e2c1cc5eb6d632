"""What the daemon would make of one message, and why, as one object; nothing is written and nothing is sent.

The shape is an interface: {"message", "customer", "kind", "topic", "urgent", "language", "targets", "agent",
"reasons"}, whatever the medium. `kind`, `topic` and `urgent` are null where no ticket would be touched. Keys are added,
never taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from channels.message import Address, Bounce, Medium, Message, Role, Verdict
from channels.mime import PARSER_VERSION
from routing.chain import decide
from routing.desk import Decision, Desk, Incoming
from routing.reasons import Reason, because, sentence
from routing.threads import lookup
from routing.tokens import find_canaries
from routing.words import Outcome

OUTCOMES = {
    Outcome.OPENED: "It would open a ticket.",
    Outcome.ADDED: "It would be added to ticket #{ticket}.",
    Outcome.ANSWERED: "An agent's answer: it would go to the customer of #{ticket}.",
    Outcome.ELSEWHERE: "An agent's words that the customer has had without us: they would be taken down.",
    Outcome.NOTED: "An agent's note or command on #{ticket}: it stays inside.",
    Outcome.HELD: "An agent's mail that would be held.",
    Outcome.CALL: "An event of a telephone call.",
    Outcome.COPY: "The same mail has come before: nothing would follow.",
    Outcome.IGNORED: "It would be recorded and not answered.",
    Outcome.BOUNCED: "A report about one of our mails: it would be recorded with it.",
    Outcome.JUNK: "Junk, of nobody we know: it would be counted, and told once a day.",
}


def explained(incoming: Incoming, desk: Desk) -> dict[str, Any]:
    """The object. The desk is used up: it has seen the message."""
    known = set(desk.tickets)
    try:
        decision = decide(incoming, desk)
    except Exception as error:  # noqa: BLE001  # what the daemon would park still gets its line
        return unexplained(incoming.message, f"{type(error).__name__}: {error}"[:400])
    ticket = desk.tickets.get(decision.ticket) if decision.ticket is not None else None
    joined = decision.ticket if decision.ticket in known else None
    return {
        "message": shown(incoming.message),
        "customer": _customer(decision, desk),
        "kind": ticket.kind.value if ticket else None,
        "topic": (ticket.topic or None) if ticket else None,
        "urgent": ticket.is_urgent if ticket else None,
        "language": incoming.message.language or (ticket.language if ticket else "") or None,
        "targets": list(_targets(desk)),
        "agent": ticket.agent if ticket else decision.agent,
        "reasons": list(_reasons(incoming, decision, desk, joined=joined)),
    }


def unexplained(message: Message, why: str) -> dict[str, Any]:
    """The object of a message about which nothing could be decided."""
    return {
        "message": shown(message),
        "customer": None,
        "kind": None,
        "topic": None,
        "urgent": None,
        "language": message.language or None,
        "targets": [],
        "agent": None,
        "reasons": [{"code": "unreadable", "sentence": f"It could not be read: {why}", "data": {"what": why}}],
    }


def shown(message: Message) -> dict[str, Any]:
    """The message as `explain` shows it: what was read, and what is only told by somebody."""
    return {
        "from": _person(message.sender),
        "to": [_person(r.address) for r in message.recipients if r.role is Role.TO],
        "cc": [_person(r.address) for r in message.recipients if r.role is Role.CC],
        "subject": message.subject,
        "text": message.text,
        "quoted": message.quoted,
        "text_full": message.text_full,
        "attachments": [
            {
                "name": a.name,
                "type": a.media_type,
                "size": a.size,
                "sha256": a.sha256,
                "md5": a.md5,
                "path": a.path,
                "content_id": a.content_id,
                "inline": a.is_inline,
            }
            for a in message.attachments
        ],
        "message_id": message.message_id,
        "in_reply_to": list(message.in_reply_to),
        "references": list(message.references),
        "auto_submitted": message.auto_submitted,
        "bounce": _bounce(message.bounce) if message.bounce else None,
        "recipients": [{"role": r.role.value, **_person(r.address)} for r in message.recipients],
        "reply_to": [_person(address) for address in message.reply_to],
        "from_count": message.from_count,
        "date": message.date_header,
        "language": message.language,
        "enclosed": message.enclosed,
        "html_characters": len(message.html),
        "thread": _thread(message),
        "spam": message.spam,
        "authentication": [_verdict(one) for one in message.authentication],
        "loop_marks": list(message.loop_marks),
        "automatic_id": message.automatic_id,
        "content_key": message.content_key,
        "defects": list(message.defects),
        "is_stub": message.is_stub,
        "is_cut": message.is_cut,
        "headers": [list(one) for one in message.source_headers],
        "parser_version": PARSER_VERSION if message.medium is Medium.EMAIL else None,
    }


def _bounce(bounce: Bounce) -> dict[str, str]:
    return {
        "kind": bounce.kind.value,
        "recipient": bounce.recipient,
        "status": bounce.status,
        "reason": bounce.reason,
        "original_message_id": bounce.original_message_id,
    }


def _thread(message: Message) -> dict[str, Any]:
    """By what it may be found to belong to a ticket; whether it does is decided, and told among the reasons."""
    keys = lookup(message)
    return {
        "message_ids": list(keys.message_ids),
        "numbers": list(keys.numbers),
        "canaries": list(find_canaries("\n".join((message.quoted, message.text_full)))),
    }


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        "by": one.by,
        "method": one.method,
        "result": one.result,
        "domain": one.domain,
        "is_trusted_position": one.is_trusted_position,
    }


def _person(address: Address) -> dict[str, str]:
    return {"address": address.value, "name": address.display_name}


def _customer(decision: Decision, desk: Desk) -> dict[str, Any] | None:
    customer = desk.customers.get(decision.customer) if decision.customer is not None else None
    if customer is None:
        return None
    is_new = any(c.id == customer.id for c in desk.changes.customers)
    return {"id": None if is_new else customer.id, "name": customer.name, "known": not is_new}


def _targets(desk: Desk) -> Iterator[dict[str, Any]]:
    for target in desk.changes.targets:
        yield {
            "target": target.kind.value,
            "due_at": target.due_at,
            "started_at": target.started_at,
            "budget": target.budget,
            "key": target.policy_key,
            "calendar": target.calendar,
        }


def _reasons(incoming: Incoming, decision: Decision, desk: Desk, *, joined: int | None) -> Iterator[dict[str, Any]]:
    """First what would become of it, then why, then the reasons of the assignment and of what is not done."""
    words = OUTCOMES[decision.outcome].format(ticket=joined or "?")
    yield {"code": decision.outcome.value, "sentence": words, "data": {}}
    for what in incoming.message.defects:
        yield {"code": "defect", "sentence": f"The mail is damaged: {what}.", "data": {"what": what}}
    seen: set[tuple[str, str]] = set()
    for reason in (*decision.reasons, *_of_events(desk)):
        told = sentence(reason, "en")
        if (reason.code, told) not in seen:
            seen.add((reason.code, told))
            yield {"code": reason.code, "sentence": told, "data": dict(reason.data)}


def _of_events(desk: Desk) -> Iterable[Reason]:
    for event in desk.changes.events:
        if event.kind in ("assigned", "assignment_failed", "acknowledgement_withheld"):
            for one in event.data.get("reasons", ()):
                data = one.get("data")
                yield Reason(str(one["code"]), str(one.get("words", "")), data if isinstance(data, Mapping) else {})
        elif event.kind == "reply_held":
            yield because("held", why=str(event.data.get("why", "")))
