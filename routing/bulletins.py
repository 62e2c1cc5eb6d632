"""Bulletins: what the supervisors of the desk are told that belongs to no ticket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from channels.message import Medium
from routing.desk import domain_of, mail_id
from routing.policy import Policy
from routing.records import NewOutbox
from routing.tokens import Keyring
from routing.words import Purpose


def bulletin(policy: Policy, keyring: Keyring, recipe: Mapping[str, Any], about: object) -> Sequence[NewOutbox]:
    """One mail to each supervisor of the default team; none where there is no mail channel or no supervisor.

    `about` tells this bulletin from the others of its code, such as a day: the Message-ID is made of it.
    """
    channel = next((c for c in policy.channels.values() if c.medium == Medium.EMAIL), None)
    if channel is None:
        return []
    team = policy.teams.get(policy.default_team)
    readers = [policy.agents[name] for name in (team.supervisors if team else ()) if name in policy.agents]
    return [
        NewOutbox(
            ticket=None,
            source=None,
            channel=channel.name,
            address=f"mailto:{reader.addresses[0]}",
            purpose=Purpose.TOLD,
            agent=reader.name,
            recipe=recipe,
            mail_id=mail_id(keyring, domain_of(channel), "bulletin", recipe["code"], reader.name, about),
        )
        for reader in readers
    ]
