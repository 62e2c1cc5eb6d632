"""Notice rows: a notice as the outbox holds it. One about a single ticket stands in that ticket's conversation, and can
be answered like any mail of it; a supervisor's has links by which he takes the ticket or gives it to a colleague.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from intake.cards import Stationery
from intake.gathered import UNTIL, Mail, Sort
from routing.commands import CommandName
from routing.desk import domain_of, mail_id
from routing.links import LINK_FOR
from routing.policy import ChannelPolicy
from routing.records import NewOutbox
from routing.tokens import REPLY, TokenRecord, issue, purpose_of_act, reference_message_id
from store import tickets, tokens
from store.engine import Transaction

_BELOW = 2**30  # serials of notices lie below those of reminders, which lie below those of decisions


async def notice_row(
    tx: Transaction, mail: Mail, name: str, sort: Sort, with_: Stationery, channel: ChannelPolicy, now: datetime
) -> NewOutbox:
    """The row; its tokens and its place in the conversation are written. The caller owns the transaction."""
    domain = domain_of(channel)
    keys = [(n["ticket"], n["target"], n.get("ordinal"), n["notice"]) for n in mail.notices]
    this_id = mail_id(with_.keyring, domain, "notice", name, sort.purpose.value, keys)
    recipe: dict[str, Any] = {"notices": list(mail.notices)}
    if mail.until:
        recipe[UNTIL] = mail.until.isoformat()
    if mail.ticket is not None:
        reply = _token(with_, mail.ticket, name, REPLY, this_id, now)
        given = [reply]
        recipe["token"] = reply.token
        if channel.token_in == "references":  # noqa: S105
            this_id = reference_message_id(reply.token, domain)
        elif sort is Sort.SUPERVISOR:
            link = _token(with_, mail.ticket, name, purpose_of_act(CommandName.TO.value), this_id, now)
            given.append(link)
            recipe["acts"] = {CommandName.TO.value: link.token}
        await tokens.add(tx, given)
        await tickets.add_keys(tx, [(this_id, mail.ticket, True)])
    return NewOutbox(
        ticket=mail.ticket,
        source=None,
        channel=channel.name,
        address=f"mailto:{with_.policy.agents[name].addresses[0]}",
        purpose=sort.purpose,
        agent=name,
        recipe=recipe,
        mail_id=this_id,
        not_before=mail.not_before,
    )


def _token(with_: Stationery, ticket: int, agent: str, purpose: str, about: str, now: datetime) -> TokenRecord:
    serial = -_BELOW - int.from_bytes(hashlib.sha256(about.encode()).digest()[:4]) % _BELOW
    ends = None if purpose == REPLY else LINK_FOR
    return issue(with_.keyring, ticket=ticket, agent=agent, purpose=purpose, serial=serial, now=now, counts_for=ends)
