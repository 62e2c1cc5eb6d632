"""Believable rows for the store's tests; change what a test is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from channels.adapter import Arrival, Clock, Cursor
from channels.message import Medium
from routing.records import NewOutbox, Target, Ticket
from routing.words import Kind, Purpose, TargetKind, TicketState
from store.messages import Finished

NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)  # Monday 14:10 in Taipei
MINUTE = timedelta(minutes=1)


class HandClock(Clock):
    """Shows what a test sets it to."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    async def sleep_until(self, when: datetime) -> None:
        self.at = max(self.at, when)


def arrival(external_id: str, raw: bytes = b"Subject: x\r\n\r\nwords\r\n", **changes: Any) -> Arrival:
    facts: dict[str, Any] = {
        "channel": "mail",
        "medium": Medium.EMAIL,
        "external_id": external_id,
        "received_at": NOW - MINUTE,
        "raw": raw,
    }
    return Arrival(**(facts | changes))


def with_cursor(external_id: str, value: str, **changes: Any) -> Arrival:
    return arrival(external_id, cursor=Cursor(name="INBOX", value=value), **changes)


def finished(number: int, **changes: Any) -> Finished:
    facts: dict[str, Any] = {
        "id": number,
        "outcome": "opened",
        "speaker": "customer",
        "ticket": 1001,
        "customer": 1,
        "agent": None,
        "sender": "mailto:mei@example.com",
        "content_key": None,
        "copy_of": None,
        "policy_version": "p1",
        "normal": b"{}",
        "parser_version": 1,
    }
    return Finished(**(facts | changes))


def ticket(number: int = 1001, **changes: Any) -> Ticket:
    facts: dict[str, Any] = {
        "id": number,
        "state": TicketState.OPEN,
        "kind": Kind.CONSULTATION,
        "topic": "vat",
        "is_urgent": False,
        "channel": "mail",
        "medium": "email",
        "customer": 1,
        "contact": "mailto:mei@example.com",
        "contact_name": "王美玲",
        "standing": "verified",
        "subject": "營業稅",
        "language": "zh-Hant",
        "team": "desk",
        "agent": "chen",
        "opened_by": 1,
        "opened_at": NOW,
        "updated_at": NOW,
    }
    return Ticket(**(facts | changes))


def target(number: int = 1001, **changes: Any) -> Target:
    facts: dict[str, Any] = {
        "ticket": number,
        "kind": TargetKind.FIRST_RESPONSE,
        "ordinal": 1,
        "policy_key": "first_response.email",
        "budget": "60min",
        "calendar": "desk",
        "calendar_version": "c1",
        "policy_version": "p1",
        "started_at": NOW,
        "due_at": NOW + 60 * MINUTE,
        "warn_50_at": NOW + 30 * MINUTE,
        "warn_80_at": NOW + 48 * MINUTE,
        "supervisor_at": NOW + 90 * MINUTE,
        "next_at": NOW + 30 * MINUTE,
    }
    return Target(**(facts | changes))


def outgoing(**changes: Any) -> NewOutbox:
    facts: dict[str, Any] = {
        "ticket": 1001,
        "source": 1,
        "channel": "mail",
        "address": "mailto:mei@example.com",
        "purpose": Purpose.ANSWER,
        "agent": "chen",
        "recipe": {"message": 1, "words": "您好"},
        "mail_id": "<a@firm.example>",
    }
    return NewOutbox(**(facts | changes))
