"""A wrong account: a mail to an address that was given to an agent, from somebody who is none.

It may be his telephone, which writes from another account, or a customer to whom he passed our mail on. Nothing of it
counts as his: it is treated as any mail that comes in, and he hears where it came from, at his own mailbox.
"""

from __future__ import annotations

from routing.commands import parse
from routing.desk import Desk, Incoming
from routing.holding import may_tell, tell_plainly
from routing.links import with_subject
from routing.tokens import ACT, REPLY, kind_of, tokens_in_recipients


def note_wrong_account(incoming: Incoming, desk: Desk) -> None:
    """Tell whose address it is, of the first that counts still; not without bound.

    Of somebody who wrote before it is told only where he asks for something as agents do: a telephone does that each
    time from the same account, and a customer whom our mail was passed on to writes words. Of what the ticket's own
    customer writes it is never told.
    """
    known = desk.contacts.get(incoming.sender)
    if known is not None and not _commands(incoming):
        return
    for token in tokens_in_recipients(incoming.message, incoming.envelope.rcpt_to):
        record = desk.tokens.get(token)
        if record is None or record.revoked_at is not None or kind_of(record) not in (REPLY, ACT):
            continue
        agent, ticket = desk.policy.agents.get(record.agent), desk.tickets.get(record.ticket)
        if agent is None or ticket is None or (known is not None and known.customer == ticket.customer):
            return
        if may_tell(desk, agent, is_proven=False):
            sender = incoming.message.sender.value
            tell_plainly(incoming, desk, agent, "wrong_account", ticket=record.ticket, detail=sender)
        return


def _commands(incoming: Incoming) -> bool:
    asked = parse(with_subject(incoming).message.text)
    return bool(asked.commands or asked.unknown)
