"""Agents in Telegram: whose account wrote, and whether what goes to an agent leaves there, by mail, or both ways.

Everything that writes to agents writes mails; where such a mail goes is settled here alone, when it is put into the
outbox. The letter itself is the same (`letters`), said in a chat's form (`compose_chat`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from channels.message import Medium, Scheme
from routing.by_chat import as_his_mail
from routing.desk import Incoming
from routing.enrolling import LETTER as ENROLMENT
from routing.policy import ChannelPolicy, Policy
from routing.records import NewOutbox
from routing.words import Purpose
from store import enrolments, outbox, sent
from store.engine import Transaction
from store.outbox import OutboxItem

MAILED = "mailed_by"  # in the recipe of a row for Telegram: the mail channel that it would have left by
TO_CUSTOMERS = frozenset({Purpose.ANSWER, Purpose.ACKNOWLEDGEMENT})


def mails(policy: Policy) -> ChannelPolicy | None:
    """The desk's first mail channel: what agents say by Telegram is judged as if it had come there."""
    return next((c for c in policy.channels.values() if c.medium == Medium.EMAIL), None)


async def of_agents(tx: Transaction, batch: Sequence[Incoming], policy: Policy) -> list[Incoming]:
    """The batch, in which what agents wrote by Telegram is theirs; all else as it was."""
    channel = mails(policy)
    senders = {one.sender for one in batch if one.medium is Medium.TELEGRAM}
    if channel is None or not senders:
        return list(batch)
    accounts: dict[tuple[str, str], str] = {}
    for name, address, bound_on in await enrolments.bound(tx, addresses=senders):
        accounts.setdefault((address, bound_on), name)
    found = []
    for one in batch:
        agent = policy.agents.get(accounts.get((one.sender, one.channel), ""))
        if agent is None or one.medium is not Medium.TELEGRAM:
            found.append(one)
            continue
        by = channel
        token = ""
        answered = await sent.of_mail_ids(tx, one.message.in_reply_to)
        for item in (item for items in answered.values() for item in items):
            if item.agent == agent.name and item.address == one.sender:
                token = str(item.recipe.get("token", ""))
                by = policy.channels.get(str(item.recipe.get(MAILED, "")), channel)
        found.append(as_his_mail(one, agent, by, token))
    return found


async def put(tx: Transaction, rows: Sequence[NewOutbox], now: datetime, policy: Policy) -> None:
    """Put rows into the outbox, each to where its reader wants it."""
    wanting = {r.agent for r in rows if _goes_inside(r) and _work_by(policy, r.agent) != "mail"}
    accounts: dict[str, tuple[str, str]] = {}
    if wanting:
        for name, address, by in await enrolments.bound(tx, agents=[n for n in wanting if n]):
            if by in policy.channels:
                accounts.setdefault(name, (address, by))
    await outbox.add(tx, [one for row in rows for one in _ways(row, accounts, policy)], now)


def _goes_inside(row: NewOutbox) -> bool:
    return (
        row.purpose not in TO_CUSTOMERS
        and row.agent is not None
        and row.address.startswith(f"{Scheme.MAIL.value}:")
        and row.recipe.get("code") != ENROLMENT  # about his mailbox, and with a code for it alone
    )


def _work_by(policy: Policy, name: str | None) -> str:
    agent = policy.agents.get(name or "")
    return agent.work_by if agent is not None else "mail"


def _ways(row: NewOutbox, accounts: Mapping[str, tuple[str, str]], policy: Policy) -> list[NewOutbox]:
    way = _work_by(policy, row.agent)
    if row.agent is None or row.agent not in accounts or way == "mail" or not _goes_inside(row):
        return [row]
    address, channel = accounts[row.agent]
    there = replace(row, channel=channel, address=address, recipe={**row.recipe, MAILED: row.channel})
    # A notice has no words in it: they are read in the mailbox.
    is_both = way == "both" or policy.channels[channel].content != "full"
    return [row, there] if is_both else [there]


def by_mail(item: OutboxItem, policy: Policy) -> NewOutbox | None:
    """The mail in place of what could not reach an agent by Telegram; None for any other row."""
    agent, channel = policy.agents.get(item.agent or ""), str(item.recipe.get(MAILED, ""))
    if agent is None or channel not in policy.channels or item.address.startswith(f"{Scheme.MAIL.value}:"):
        return None
    recipe: dict[str, Any] = {key: value for key, value in item.recipe.items() if key != MAILED}
    return NewOutbox(
        ticket=item.ticket,
        source=item.source,
        channel=channel,
        address=f"{Scheme.MAIL.value}:{agent.addresses[0]}",
        purpose=item.purpose,
        agent=agent.name,
        recipe=recipe,
        mail_id=item.mail_id,
    )
