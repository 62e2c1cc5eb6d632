"""What an operator changes by hand: a message set aside, a message put back; each with an event that says so.

Made for the daemon's control socket, and for the command line, which with no daemon there writes alone.
"""

from __future__ import annotations

from typing import Any

import structlog

from channels.adapter import Clock
from intake.control import Refused
from intake.logs import tell
from routing.records import Event
from routing.words import MessageState, Speaker
from store import events, messages
from store.engine import Database

log = structlog.get_logger(__name__)

MAX_REASON = 400  # characters


async def park(db: Database, clock: Clock, message: int, reason: str, uid: int) -> dict[str, Any]:
    """Set a message aside. Raises Refused, StoreUnavailable."""
    async with db.transaction() as tx:
        state = await messages.state_of(tx, message)
        if state is None:
            raise Refused("not_found", f"there is no message {message}")
        if state is MessageState.CLAIMED:
            # Its decision may be committed the next moment, and would win.
            raise Refused("wrong_state", f"message {message} is being decided: try again in a moment")
        if state is MessageState.PARKED:
            raise Refused("wrong_state", f"message {message} is parked already")
        if state is MessageState.DONE and await messages.speaker_of(tx, message) == Speaker.AGENT:
            # Put back, it would be sent to the customer a second time.
            raise Refused("wrong_state", f"message {message} is an agent's, and what it asked for is done")
        await messages.park(tx, message, reason[:MAX_REASON])
        data = {"reason": reason[:MAX_REASON], "was": state.value, "uid": uid}
        event = Event(at=clock.now(), kind="message_parked_by_hand", message=message, data=data)
        await events.append(tx, [event])
    tell(log, [event])
    return {"message": message, "state": MessageState.PARKED.value, "was": state.value}


async def requeue(db: Database, clock: Clock, message: int, uid: int) -> dict[str, Any]:
    """Put a parked message back into the queue. Raises Refused, StoreUnavailable."""
    async with db.transaction() as tx:
        state = await messages.state_of(tx, message)
        if state is None:
            raise Refused("not_found", f"there is no message {message}")
        if not await messages.requeue(tx, message):
            raise Refused("wrong_state", f"message {message} is {state.value}, not parked")
        event = Event(at=clock.now(), kind="message_requeued", message=message, data={"uid": uid})
        await events.append(tx, [event])
    tell(log, [event])
    return {"message": message, "state": MessageState.ACCEPTED.value}
