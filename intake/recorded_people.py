"""Recorded people: the customers that agents' `!record` names, by number, mail address or exact name."""

from __future__ import annotations

from collections.abc import Iterable

from routing.desk import Desk, Incoming
from routing.recording import people_named
from store import customers
from store.engine import Transaction


async def recorded_people(tx: Transaction, mails: Iterable[Incoming], desk: Desk) -> None:
    """Let the desk know them, with all their contacts. Only what agents write is looked at."""
    addresses: set[str] = set()
    names: set[str] = set()
    for one in mails:
        if desk.policy.agent_by_address(one.message.sender.value) is not None:
            theirs = people_named(one.message.text, desk.policy)
            addresses |= theirs[0]
            names |= theirs[1]
    if not addresses and not names:
        return
    desk.contacts.update(await customers.contacts(tx, addresses - set(desk.contacts)))
    wanted = {desk.contacts[address].customer for address in addresses if address in desk.contacts}
    found = [await customers.by_ids(tx, wanted - set(desk.customers)), await customers.named(tx, names)]
    for some in found:
        desk.customers.update({number: one for number, one in some.items() if number not in desk.customers})
    wanted |= set(found[1])
    desk.contacts_of.update(await customers.contacts_of(tx, wanted - set(desk.contacts_of)))
