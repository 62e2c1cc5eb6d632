"""Results: what follows an attempt. Its row, the promise it keeps, and who must hear of it.

Everything is written in the caller's transaction. An answer that was handed over stamps the ticket's target: met if
that was by due_at, and late otherwise. What failed for good, or is unknown for good, is told to the agent whose words
it were; work that did not reach its agent is put before the supervisors.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channels.adapter import (
    AccountRefused,
    Delivery,
    DeliveryState,
    PermanentFailure,
    TemporaryFailure,
    UnknownDelivery,
)
from channels.message import Medium
from intake import agents_chat
from intake.bundle import Bundle
from intake.cards import Stationery
from intake.logs import nameless
from intake.pauses import run_on
from routing.backoff import RetrySchedule, next_attempt
from routing.records import Event, NewOutbox, Target, Ticket
from routing.words import OutboxState, Purpose, TargetKind
from store import deadlines, merging, outbox, queues, tickets
from store.engine import Transaction
from store.outbox import HandedOver, OutboxItem


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one attempt ended."""

    item: OutboxItem
    at: datetime  # when it was known
    delivery: Delivery | None = None
    failure: TemporaryFailure | PermanentFailure | UnknownDelivery | None = None


@dataclass(frozen=True, kw_only=True)
class Consequences:
    """How results are followed up: when to try again, and by what policy people are told."""

    stationery: Callable[[], Stationery]
    schedule: RetrySchedule
    unknown_retry_after: timedelta
    on_reopened: Callable[[], None] = lambda: None  # a ticket waits for its agent again
    on_kept: Callable[[], None] = lambda: None  # a promise was kept: its matter may wait on another channel

    async def of_all(self, tx: Transaction, results: Sequence[Result]) -> list[Event]:
        """As `of` for each of them; what was handed over is written together."""
        await outbox.record_handed_over(tx, [_handed_over(r.item, r.delivery, r.at) for r in results if r.delivery])
        written: list[Event] = []
        for result in results:
            if result.delivery is not None:
                written += await self._after_delivery(tx, result.item, result.delivery, result.at)
            else:
                written += await self.of(tx, result)
        return written

    async def of(self, tx: Transaction, result: Result) -> list[Event]:
        """Write down what became of an attempt, as of when it was known; the events, which the caller appends."""
        item, failure, now = result.item, result.failure, result.at
        if failure is None:
            assert result.delivery is not None
            return await self.delivered(tx, item, result.delivery, now)
        if isinstance(failure, UnknownDelivery):
            return await self.unknown(tx, item, failure.reason, now)
        if isinstance(failure, PermanentFailure):
            return await self.give_up(tx, item, failure.reason, now)
        return await self._later(tx, item, failure, now)

    async def delivered(self, tx: Transaction, item: OutboxItem, delivery: Delivery, now: datetime) -> list[Event]:
        await outbox.record_handed_over(tx, [_handed_over(item, delivery, now)])
        return await self._after_delivery(tx, item, delivery, now)

    async def _after_delivery(
        self, tx: Transaction, item: OutboxItem, delivery: Delivery, now: datetime
    ) -> list[Event]:
        if delivery.remote_mail_id and item.ticket is not None:
            # Whoever answers refers to the id that he was shown, which is the provider's.
            await tickets.add_keys(tx, [(delivery.remote_mail_id, item.ticket, True)])
        written = [_event("delivered", item, now, state=delivery.state.value, attempts=item.attempts + 1)]
        # The promise is the customer's: that somebody got a copy keeps none.
        is_answer = item.purpose is Purpose.ANSWER and item.ticket is not None and not item.recipe.get("copy")
        if is_answer and (kept := await _stamp(tx, item, now)):
            written += kept
            self.on_kept()
        return written

    async def _later(self, tx: Transaction, item: OutboxItem, failure: TemporaryFailure, now: datetime) -> list[Event]:
        at = next_attempt(item.attempts + 1, item.first_attempt_at or now, now, self.schedule, chance=random.random)
        if failure.retry_after is not None and at is not None:
            at = max(at, now + timedelta(seconds=failure.retry_after))
        if at is None and isinstance(failure, AccountRefused):
            at = now + self.schedule.then_every  # no mail is given up for what is said of our account
        if at is None:
            return await self.give_up(tx, item, failure.reason, now)
        await outbox.record_failure(tx, item.id, OutboxState.PENDING, failure.reason, at)
        return [
            _event(
                "delivery_delayed",
                item,
                now,
                error=nameless(failure.reason),
                attempts=item.attempts + 1,
                next_at=at.isoformat(),
            )
        ]

    async def unknown(self, tx: Transaction, item: OutboxItem, reason: str, now: datetime) -> list[Event]:
        is_final = item.unknowns >= 1
        at = None if is_final else now + self.unknown_retry_after
        await outbox.record_failure(tx, item.id, OutboxState.UNKNOWN, reason, at)
        written = [_event("delivery_unknown", item, now, error=nameless(reason), final=is_final)]
        if is_final:
            await self._tell_author(tx, item, "delivery_unknown", reason, now)
            written += await self._reopen(tx, item, "delivery_unknown", now)
            written += await self._tell_supervisors(tx, item, now)
        return written

    async def give_up(self, tx: Transaction, item: OutboxItem, reason: str, now: datetime) -> list[Event]:
        await outbox.record_failure(tx, item.id, OutboxState.FAILED, reason, None)
        written = [_event("delivery_failed", item, now, error=nameless(reason))]
        if (mailed := agents_chat.by_mail(item, self.stationery().policy)) is not None:
            await outbox.add(tx, [mailed], now)  # past his wish: he does not hear of it there
            return written
        await self._tell_author(tx, item, "delivery_failed", reason, now)
        written += await self._reopen(tx, item, "delivery_failed", now)
        written += await self._tell_supervisors(tx, item, now)
        return written

    async def _reopen(self, tx: Transaction, item: OutboxItem, why: str, now: datetime) -> list[Event]:
        """An answer that did not arrive was no answer: its ticket is the agent's again. Its clock never stopped."""
        if item.purpose is not Purpose.ANSWER or item.ticket is None or item.recipe.get("copy"):
            return []
        onward = await merging.goes_on_as(tx, item.ticket)
        if not await tickets.reopen(tx, onward, now):
            return []
        self.on_reopened()
        ticket = (await tickets.by_ids(tx, [onward]))[onward]
        ran = await run_on(tx, ticket, self.stationery().policy, now, now)  # it may have waited for the customer
        return [_event("ticket_reopened", replace(item, ticket=onward), now, why=why), *ran]

    # ---- what is not attempted

    def bundled(self, bundle: Bundle, now: datetime) -> list[Event]:
        """What became part of another mail."""
        return [_event("delivery_bundled", item, now, into=bundle.into.id) for item in bundle.merged]

    def dropped(self, items: Sequence[OutboxItem], now: datetime) -> list[Event]:
        """Warnings of what was answered, or overdue, before they left."""
        return [_event("warning_dropped", item, now) for item in items]

    async def hold(self, tx: Transaction, items: Sequence[OutboxItem], now: datetime) -> list[Event]:
        """Rows whose channel is no longer in the configuration: they leave once it is back."""
        if not items:
            return []
        for channel in sorted({item.channel for item in items}):
            its = [item for item in items if item.channel == channel]
            why = f"there is no channel {channel!r} in the configuration any more: this leaves once it is back"
            await queues.hold_for_channel(tx, its, why)
        return [_event("delivery_held", item, now, why="channel_removed") for item in items]

    async def channel_is_back(self, tx: Transaction, channels: Sequence[str], now: datetime) -> list[Event]:
        """What waited for a channel that is in the configuration again may leave."""
        items = await queues.channel_is_back(tx, channels, now)
        return [_event("delivery_resumed", item, now) for item in items]

    # ---- telling people

    async def _tell_author(self, tx: Transaction, item: OutboxItem, code: str, reason: str, now: datetime) -> None:
        """An agent hears that his words may not have arrived."""
        policy = self.stationery().policy
        agent = policy.agents.get(item.agent or "")
        channel = next((c for c in policy.channels.values() if c.medium == Medium.EMAIL), None)
        if agent is None or channel is None or item.purpose is not Purpose.ANSWER:
            return
        if item.recipe.get("copy"):
            code, reason = "copy_undelivered", f"{item.address.partition(':')[2]}: {reason}"
        await agents_chat.put(
            tx,
            [
                NewOutbox(
                    ticket=item.ticket,
                    source=item.source,
                    channel=channel.name,
                    address=f"mailto:{agent.addresses[0]}",
                    purpose=Purpose.TOLD,
                    agent=agent.name,
                    recipe={
                        "message": item.source,
                        "code": code,
                        "detail": reason[:300],
                        "would_have_left": str(item.recipe.get("words", ""))[:4000],
                    },
                    mail_id=f"<told.{item.id}.{code}@{channel.address.rpartition('@')[2]}>",
                )
            ],
            now,
            policy,
        )

    async def _tell_supervisors(self, tx: Transaction, item: OutboxItem, now: datetime) -> list[Event]:
        """Work that may not have reached its agent: somebody else must see it."""
        if item.purpose not in (Purpose.ASSIGNMENT, Purpose.UPDATE):
            return []
        policy = self.stationery().policy
        ticket = (await tickets.by_ids(tx, [item.ticket])).get(item.ticket) if item.ticket is not None else None
        channel = next((c for c in policy.channels.values() if c.medium == Medium.EMAIL), None)
        if ticket is None or channel is None:
            return []
        targets = (await deadlines.of_tickets(tx, [ticket.id], only_open=True)).get(ticket.id, [])
        rows = [
            NewOutbox(
                ticket=None,
                source=item.source,
                channel=channel.name,
                address=f"mailto:{policy.agents[name].addresses[0]}",
                purpose=Purpose.BREACH,
                agent=name,
                recipe={"notices": [notice(ticket, targets, now)]},
                mail_id=f"<unseen.{item.id}.{name}@{channel.address.rpartition('@')[2]}>",
            )
            for name in supervisors(policy.teams, ticket)
            if name in policy.agents and name != item.agent
        ]
        await agents_chat.put(tx, rows, now, policy)
        return [
            Event(
                at=now,
                kind="agent_unreachable",
                ticket=ticket.id,
                agent=item.agent,
                data={"why": f"the {item.purpose.value} could not be delivered", "told": [r.agent for r in rows]},
            )
        ]


def _handed_over(item: OutboxItem, delivery: Delivery, at: datetime) -> HandedOver:
    return HandedOver(
        id=item.id,
        at=at,
        remote_id=delivery.remote_id,
        remote_mail_id=delivery.remote_mail_id or None,
        is_stored=delivery.state is DeliveryState.STORED,
        keeps_bytes=not item.mail_id,
    )


def supervisors(teams: Mapping[str, object], ticket: Ticket) -> Sequence[str]:
    """Who is told about a ticket beside its agent."""
    team = teams.get(ticket.team)
    return tuple(getattr(team, "supervisors", ()))


def notice(ticket: Ticket, targets: Sequence[Target], now: datetime) -> dict[str, object]:
    """What a supervisor is told of a ticket that nobody has seen."""
    target = targets[0] if targets else None
    return {
        "ticket": ticket.id,
        "notice": "supervisor",
        "target": (target.kind if target else TargetKind.FIRST_RESPONSE).value,
        "due_at": (target.due_at if target else now).isoformat(),
    }


_MET_BY_WORDS = (TargetKind.FIRST_RESPONSE, TargetKind.NEXT_RESPONSE)


async def _stamp(tx: Transaction, item: OutboxItem, now: datetime) -> list[Event]:
    """A person's words have reached the customer: the promises of words are kept, in time or late."""
    assert item.ticket is not None
    # Where the ticket was joined to another meanwhile, that one promises what it had promised.
    onward = await merging.goes_on_as(tx, item.ticket)
    item, answered_at = replace(item, ticket=onward), item.answered_at or now
    written = []
    for target in (await deadlines.of_tickets(tx, [onward], only_open=True)).get(onward, []):
        # What was asked after we took the answer in is not answered by it, however long it was on its way. Our own
        # clock decides: the mail server's may be behind, and a promise that was kept must not look broken.
        if target.kind not in _MET_BY_WORDS or target.started_at > item.created_at:
            continue
        if not await deadlines.record_met(tx, target, answered_at, now):
            continue
        is_first = target.kind is TargetKind.FIRST_RESPONSE
        written.append(
            _event(
                "first_response_recorded" if is_first else "target_met",
                item,
                now,
                target=target.kind.value,
                ordinal=target.ordinal,
                due_at=target.due_at.isoformat(),
                answered_at=answered_at.isoformat(),
                delivered_at=now.isoformat(),
                margin_s=round((target.due_at - now).total_seconds(), 3),
            )
        )
    return written


def _event(kind: str, item: OutboxItem, now: datetime, **data: object) -> Event:
    return Event(
        at=now,
        kind=kind,
        ticket=item.ticket,
        message=item.source,
        agent=item.agent,
        outbox=item.id,
        data={"channel": item.channel, "purpose": item.purpose.value, **data},
    )
