"""What the command line may ask the running daemon for: how it is, to park or requeue a message, to enrol an agent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from channels.adapter import StoreUnavailable
from intake.command import by_hand, enrol_by_hand
from intake.control import Handler, Refused

if TYPE_CHECKING:
    from intake.daemon import Running


def handlers(running: Running) -> dict[str, Handler]:
    """Request -> what does it."""

    async def status(_: Mapping[str, Any]) -> dict[str, Any]:
        return {"pid": os.getpid(), **running.health.report()}

    async def park(request: Mapping[str, Any]) -> dict[str, Any]:
        reason = str(request.get("reason") or "").strip()
        if not reason:
            raise Refused("no_reason", "say why it is parked")
        try:
            return await by_hand.park(running.db, running.clock, _number(request), reason, int(request["uid"]))
        except StoreUnavailable as error:
            raise Refused("unavailable", f"the store is not there: {error}") from error

    async def requeue(request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            result = await by_hand.requeue(running.db, running.clock, _number(request), int(request["uid"]))
        except StoreUnavailable as error:
            raise Refused("unavailable", f"the store is not there: {error}") from error
        running.decider.wake()
        return result

    async def enrol(request: Mapping[str, Any]) -> dict[str, Any]:
        with_, channel = running.snapshot.stationery, str(request.get("channel") or "")
        agent = str(request.get("agent") or "")
        try:
            result = await enrol_by_hand.enrol(
                running.db, running.clock, with_.policy, with_.keyring, agent, channel, int(request["uid"])
            )
        except StoreUnavailable as error:
            raise Refused("unavailable", f"the store is not there: {error}") from error
        running.deliverer.wake()
        return result

    async def probe(request: Mapping[str, Any]) -> dict[str, Any]:
        with_, channel = running.snapshot.stationery, str(request.get("channel") or "")
        try:
            return await enrol_by_hand.probe(
                running.db, running.clock, with_.policy, with_.keyring, channel, int(request["uid"])
            )
        except StoreUnavailable as error:
            raise Refused("unavailable", f"the store is not there: {error}") from error

    return {"status": status, "park": park, "requeue": requeue, "enrol": enrol, "probe": probe}


def _number(request: Mapping[str, Any]) -> int:
    number = request.get("message")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**63:
        raise Refused("no_number", 'say which message: "message": 17')
    return number
