"""What `intake enrol` changes: a welcome is put into the outbox, or a probe is named before it is sent.

Made for the daemon's control socket, and for the command line, which with no daemon there writes alone.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import structlog

from channels.adapter import Clock
from channels.message import Medium, Scheme
from intake.control import Refused
from intake.logs import tell
from routing.enrolling import binding_code, welcome
from routing.policy import ChannelPolicy, Policy
from routing.probing import KIND, make_nonce
from routing.records import Event, Probe
from routing.tokens import Keyring
from store import enrolments, events, outbox, tokens
from store.engine import Database

log = structlog.get_logger(__name__)

SEED = 10  # octets of chance in the name of a probe


async def enrol(
    db: Database, clock: Clock, policy: Policy, keyring: Keyring, name: str, channel: str, uid: int
) -> dict[str, Any]:
    """Have a welcome sent to an agent. `channel`: "" for the desk's first mail channel. Raises Refused.

    Addresses from which his welcomes were answered, and which are not his, are forgotten: he begins anew.
    """
    agent = policy.agents.get(name)
    if agent is None:
        raise Refused("not_found", f'there is no agent "{name}"')
    by, now = mail_channel(policy, channel), clock.now()
    async with db.transaction() as tx:
        serial = await enrolments.next_serial(tx, name)
        record, letter = welcome(agent, by, keyring, serial, now)
        await enrolments.forget_elsewhere(tx, name, [f"{Scheme.MAIL.value}:{one}" for one in agent.addresses])
        codes = []
        if any(c.medium == Medium.TELEGRAM for c in policy.channels.values()):
            codes.append(binding_code(agent, keyring, serial, now))
            letter = replace(letter, recipe={**letter.recipe, "code_for_telegram": codes[0].token})
        await tokens.add(tx, [record, *codes])
        await outbox.add(tx, [letter], now)
        event = Event(at=now, kind="enrolment_asked", agent=name, data={"channel": by.name, "uid": uid})
        await events.append(tx, [event])
    tell(log, [event])
    return {"agent": name, "channel": by.name, "address": agent.addresses[0]}


async def probe(db: Database, clock: Clock, policy: Policy, keyring: Keyring, channel: str, uid: int) -> dict[str, Any]:
    """Name the next probe of a channel; whoever asked sends it. Raises Refused."""
    by, now = mail_channel(policy, channel), clock.now()
    async with db.transaction() as tx:
        nonce = make_nonce(keyring, secrets.token_bytes(SEED))
        await enrolments.ask(tx, Probe(channel=by.name, kind=KIND, nonce=nonce, sent_at=now))
        event = Event(at=now, kind="probe_sent", data={"channel": by.name, "header": KIND, "uid": uid})
        await events.append(tx, [event])
    tell(log, [event])
    return {"channel": by.name, "address": by.address, "nonce": nonce}


def mail_channel(policy: Policy, name: str) -> ChannelPolicy:
    """The mail channel of that name; without one the desk's first. Raises Refused."""
    mail = {c.name: c for c in policy.channels.values() if c.medium == Medium.EMAIL}
    if name in mail:
        return mail[name]
    if name or not mail:
        raise Refused("not_found", f'there is no mail channel "{name}"' if name else "there is no mail channel")
    return next(iter(mail.values()))
