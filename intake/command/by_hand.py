"""What an operator changes by hand: a message set aside, a message put back; each with an event that says so.

The same functions serve the daemon's control socket and the command line that, with no daemon there, writes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from channels.adapter import Clock, StoreUnavailable
from intake.control import Handler, Refused
from routing.records import Event
from routing.words import MessageState
from store import events, messages
from store.engine import Database

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
        await messages.park(tx, message, reason[:MAX_REASON])
        data = {"reason": reason[:MAX_REASON], "was": state.value, "uid": uid}
        await events.append(tx, [Event(at=clock.now(), kind="message_parked_by_hand", message=message, data=data)])
    return {"message": message, "state": MessageState.PARKED.value, "was": state.value}


async def requeue(db: Database, clock: Clock, message: int, uid: int) -> dict[str, Any]:
    """Put a parked message back into the queue. Raises Refused, StoreUnavailable."""
    async with db.transaction() as tx:
        state = await messages.state_of(tx, message)
        if state is None:
            raise Refused("not_found", f"there is no message {message}")
        if not await messages.requeue(tx, message):
            raise Refused("wrong_state", f"message {message} is {state.value}, not parked")
        await events.append(tx, [Event(at=clock.now(), kind="message_requeued", message=message, data={"uid": uid})])
    return {"message": message, "state": MessageState.ACCEPTED.value}


def handlers(db: Database, clock: Clock, wake: Callable[[], None]) -> dict[str, Handler]:
    """For the daemon's ControlServer: `park` and `requeue`. `wake` tells the decider that there is work."""

    async def do_park(request: Mapping[str, Any]) -> Mapping[str, Any]:
        with_words = str(request.get("reason") or "").strip()
        if not with_words:
            raise Refused("no_reason", "say why it is parked")
        return await _kept(park(db, clock, _number(request), with_words, int(request["uid"])))

    async def do_requeue(request: Mapping[str, Any]) -> Mapping[str, Any]:
        result = await _kept(requeue(db, clock, _number(request), int(request["uid"])))
        wake()
        return result

    return {"park": do_park, "requeue": do_requeue}


async def _kept(work: Any) -> dict[str, Any]:
    try:
        done: dict[str, Any] = await work
    except StoreUnavailable as error:
        raise Refused("unavailable", f"the store is not there: {error}") from error
    return done


def _number(request: Mapping[str, Any]) -> int:
    number = request.get("message")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**63:
        raise Refused("no_number", "a message has a number, which `intake parked` lists")
    return number
