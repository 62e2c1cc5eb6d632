"""What supervisors have said on top of the file, as commands count with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from intake.command.failure import Failure
from intake.command.opened import reading
from intake.config import Config
from intake.lessons import lessons
from routing.overlaying import DayOff, days_off, with_days_off
from routing.policy import Policy
from routing.records import Overlay
from store import overlays


async def said(config: Config | None) -> list[Overlay]:
    """The rows that count; none where there is no store yet, or none that this version can read."""
    if config is None:
        return []
    try:
        async with reading(config) as tx:
            return await overlays.current(tx)
    except Failure:
        return []


async def overlaid(policy: Policy, config: Config | None) -> Policy:
    """The policy with the days off that supervisors have said."""
    return with_days_off(policy, await said(config))


async def taught(policy: Policy, config: Config | None) -> Policy:
    """The policy with what agents have put right."""
    if config is None:
        return policy
    try:
        async with reading(config) as tx:
            return replace(policy, learned=await lessons(tx))
    except Failure:
        return policy


async def ahead(config: Config, now: datetime) -> list[DayOff]:
    """The days off from today on, in order."""
    today = now.astimezone(ZoneInfo(config.policy.timezone)).date()
    return sorted((off for off in days_off(await said(config)) if off.day >= today), key=lambda off: off.key())
