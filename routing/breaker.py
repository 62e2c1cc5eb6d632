"""The breaker: whether one more acknowledgement may leave, and who is told when they stop.

Nothing is lost while they are stopped: tickets open, people are written to, answers leave. Each acknowledgement that
stays behind is recorded with its ticket.
"""

from __future__ import annotations

from routing import loops
from routing.bulletins import bulletin
from routing.desk import Desk
from routing.loops import STOPPED, is_unknown
from routing.reasons import Reason, because


def may_not_acknowledge(desk: Desk, address: str) -> Reason | None:
    """Why nothing automatic may be written to an address now ("mailto:…"), or None. Counts that it was asked for."""
    contact = desk.contacts.get(address)
    refused = loops.refusal(desk.ledger, desk.policy, address, contact, address in desk.complained, desk.now)
    if refused is not None:
        return refused
    changed = desk.ledger.ask(desk.now, desk.policy.automatic_per_hour)
    if changed == "stopped":
        _stopped(desk)
    elif changed == "resumed":
        desk.changes.counters[STOPPED] = 0
        desk.tell("automatic_resumed", withheld=desk.ledger.withheld)
    if desk.ledger.stopped_at is None:
        return None
    desk.ledger.withheld += 1
    return because("ack_stopped", cap=desk.policy.automatic_per_hour)


def note_acknowledged(desk: Desk, address: str) -> None:
    """An acknowledgement leaves for an address."""
    desk.ledger.note(desk.now, address, is_unknown=is_unknown(desk.contacts.get(address), desk.now))


def _stopped(desk: Desk) -> None:
    since = int(desk.now.timestamp())
    desk.changes.counters[STOPPED] = since
    desk.tell("automatic_stopped", cap=desk.policy.automatic_per_hour)
    recipe = {"code": "automatic_stopped", "detail": str(desk.policy.automatic_per_hour)}
    for item in bulletin(desk.policy, desk.keyring, recipe, since):
        desk.send(item)
