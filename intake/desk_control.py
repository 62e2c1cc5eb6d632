"""What the command line may ask the running daemon for: how it is, and to park or requeue a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from intake.control import Refused
from intake.logs import tell
from routing.records import Event
from store import events, messages

if TYPE_CHECKING:
    from intake.daemon import Running

import structlog

log = structlog.get_logger(__name__)

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]


def handlers(running: Running) -> dict[str, Handler]:
    """Request -> what does it."""

    async def status(_: Mapping[str, Any]) -> dict[str, Any]:
        return running.health.report()

    async def park(request: Mapping[str, Any]) -> dict[str, Any]:
        number, reason = _number(request), str(request.get("reason", ""))[:400]
        if not reason:
            raise Refused("no_reason", "say why it is parked")
        return await _changed(running, number, "message_parked_by_hand", reason)

    async def requeue(request: Mapping[str, Any]) -> dict[str, Any]:
        result = await _changed(running, _number(request), "message_requeued", "")
        running.decider.wake()
        return result

    return {"status": status, "park": park, "requeue": requeue}


def _number(request: Mapping[str, Any]) -> int:
    number = request.get("message")
    if not isinstance(number, int):
        raise Refused("no_number", 'say which message: "message": 17')
    return number


async def _changed(running: Running, number: int, kind: str, reason: str) -> dict[str, Any]:
    now = running.clock.now()
    event = Event(at=now, kind=kind, message=number, data={"reason": reason} if reason else {})
    async with running.db.transaction() as tx:
        done = await (messages.park(tx, number, reason) if reason else messages.requeue(tx, number))
        if not done:
            raise Refused(
                "not_found", f"message {number} is not there" if reason else f"message {number} is not parked"
            )
        await events.append(tx, [event])
    tell(log, [event])
    return {"message": number}
