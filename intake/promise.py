"""What may be promised to somebody who opens the chat: computed from target and calendar, or nothing."""

from __future__ import annotations

from datetime import datetime

from channels.message import Medium
from intake import dates
from intake.cards import Stationery
from routing.calendars import is_open, next_opening
from routing.sla import targets_for
from routing.words import Kind


def chat_promise(with_: Stationery, channel: str, language: str, now: datetime) -> str:
    """ "Real people, answers within 1 minute", or when the desk opens; "" where nothing can be said."""
    policy, texts = with_.policy, with_.texts
    tag = dates.language_of(language or policy.language)
    of_channel = policy.channels.get(channel)
    team = (of_channel.team if of_channel else "") or policy.default_team
    spec = policy.calendar_of(channel, team)
    if not is_open(spec, now):
        opens = dates.near(next_opening(spec, now), spec.timezone, tag, now)
        return texts.say("chat.closed", tag, opens_at=opens)
    plan = targets_for(policy, channel=channel, medium=Medium.CHAT, kind=Kind.CONSULTATION, urgent=False, at=now)[0]
    return texts.say("chat.open", tag, span=dates.span(plan.due_at - now, tag))
