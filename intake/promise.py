"""What may be promised to somebody who opens the chat: the target, but nothing sooner than agents do answer."""

from __future__ import annotations

from datetime import datetime, timedelta

from channels.message import MESSAGING, Medium
from intake import dates
from intake.cards import Stationery
from routing.calendars import is_open, next_opening
from routing.policy import Policy
from routing.reach import in_hours, likely, promised_by
from routing.sla import targets_for
from routing.words import Kind
from store import figures
from store.engine import Transaction

MEDIA = frozenset({Medium.CHAT, *MESSAGING})  # where people wait for an answer while they look on


async def measured(tx: Transaction, policy: Policy) -> dict[str, timedelta]:
    """How soon agents answer now, by channel; a channel of which too little is known is not there."""
    found = {}
    for channel, times in (await figures.answered_lately(tx, MEDIA)).items():
        reach = likely(in_hours(policy.calendar_of(channel), times))
        if reach is not None:
            found[channel] = reach
    return found


def chat_promise(with_: Stationery, channel: str, language: str, now: datetime, reach: timedelta | None = None) -> str:
    """ "Real people, answers within 1 minute", or when the desk opens; "" where nothing can be said.

    `reach`: how soon agents answer there as it was measured; nothing sooner is promised.
    """
    policy, texts = with_.policy, with_.texts
    tag = dates.language_of(language or policy.language)
    of_channel = policy.channels.get(channel)
    team = (of_channel.team if of_channel else "") or policy.default_team
    spec = policy.calendar_of(channel, team)
    if not is_open(spec, now):
        opens = dates.near(next_opening(spec, now), spec.timezone, tag, now)
        return texts.say("chat.closed", tag, opens_at=opens)
    plan = targets_for(policy, channel=channel, medium=Medium.CHAT, kind=Kind.CONSULTATION, urgent=False, at=now)[0]
    return texts.say("chat.open", tag, span=dates.span(promised_by(plan.due_at, now, reach) - now, tag))
