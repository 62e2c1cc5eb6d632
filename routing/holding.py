"""Holding an agent's mail: nothing leaves, the event says why, and he hears what would have happened.

He is told at his own mailbox and nowhere else, and not without bound: a machine that answers for him, or somebody who
writes in his name, must not make the desk write for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.message import Scheme
from routing.desk import Decision, Desk, Incoming, domain_of, mail_id, reason_data
from routing.policy import Agent
from routing.reasons import Reason
from routing.records import NewOutbox, Ticket
from routing.words import Outcome, Purpose, Speaker
from routing.writing import send_to_agent


def hold_and_tell(
    incoming: Incoming,
    desk: Desk,
    agent: Agent,
    ticket: Ticket,
    code: str,
    reasons: tuple[Reason, ...],
    *,
    detail: str = "",
    meant: str = "",
    would_have_left: str = "",
    **more: Any,
) -> Decision:
    """Nothing leaves, and he hears why. `more`: what else the mail to him is made from, as in `intake/told.py`."""
    told = tell_agent(
        incoming, desk, agent, ticket, code, detail=detail, meant=meant, would_have_left=would_have_left, **more
    )
    return held(incoming, desk, agent, ticket, code, reasons, told=told)


def may_tell(desk: Desk, agent: Agent, *, is_proven: bool = True) -> bool:
    """Whether his mail may cause another to him: a program that answers for him must not go round with us (G7).

    What is not proven to be his has only half of the allowance: a forger must not use up what he needs himself.
    """
    cap = desk.policy.peer_cap if is_proven else (desk.policy.peer_cap + 1) // 2
    count = desk.told.get(agent.name, 0)
    if count >= cap:
        return False
    desk.told[agent.name] = count + 1
    return True


def held(
    incoming: Incoming,
    desk: Desk,
    agent: Agent,
    ticket: Ticket | None,
    code: str,
    reasons: tuple[Reason, ...],
    *,
    told: bool,
) -> Decision:
    desk.tell(
        "reply_held",
        message=incoming.id,
        ticket=ticket.id if ticket else None,
        agent=agent.name,
        why=code,
        told=told,
        reasons=reason_data(reasons),
    )
    return Decision(
        outcome=Outcome.HELD,
        speaker=Speaker.AGENT,
        ticket=ticket.id if ticket else None,
        customer=ticket.customer if ticket else None,
        agent=agent.name,
        reasons=reasons,
    )


def tell_agent(
    incoming: Incoming,
    desk: Desk,
    agent: Agent,
    ticket: Ticket,
    code: str,
    *,
    detail: str = "",
    meant: str = "",
    would_have_left: str = "",
    **more: Any,
) -> bool:
    """Tell the agent about a ticket that is his, in its conversation; he may answer by replying. False: too often."""
    if not may_tell(desk, agent):
        return False
    channel = desk.channel(incoming.channel)
    send_to_agent(
        desk,
        desk.tickets.get(ticket.id, ticket),
        agent,
        channel,
        Purpose.TOLD,
        message=incoming.id,
        code=code,
        detail=detail,
        would_have_left=would_have_left,
        meant=meant,
        **more,
    )
    return True


def tell_plainly(
    incoming: Incoming,
    desk: Desk,
    agent: Agent,
    code: str,
    *,
    ticket: int | None = None,
    detail: str = "",
    meant: str = "",
    would_have_left: str = "",
    **more: Any,
) -> bool:
    """Tell an agent, with no reply address. A ticket is named only where it is, or was, his."""
    recipe = {"code": code, "detail": detail, "would_have_left": would_have_left, "meant": meant, **more}
    send_plainly(incoming, desk, agent, recipe, "told", incoming.id, agent.name, code, ticket=ticket)
    return True


def send_plainly(
    incoming: Incoming,
    desk: Desk,
    agent: Agent,
    recipe: Mapping[str, Any],
    *facts: object,
    ticket: int | None = None,
) -> None:
    """A mail to an agent's own mailbox that no token belongs to. `facts`: what its Message-ID is made of: asked for
    twice in one mail, it is sent once.
    """
    channel = desk.channel(incoming.channel)
    this_id = mail_id(desk.keyring, domain_of(channel), *facts)
    if any(item.mail_id == this_id for item in desk.changes.outbox):
        return
    desk.send(
        NewOutbox(
            ticket=ticket,
            source=incoming.id,
            channel=channel.name,
            address=f"{Scheme.MAIL.value}:{agent.addresses[0]}",
            purpose=Purpose.TOLD,
            agent=agent.name,
            recipe={"message": incoming.id, **recipe},
            mail_id=this_id,
        )
    )
