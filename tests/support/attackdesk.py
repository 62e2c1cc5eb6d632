"""A desk under attack: raw octets in at one end, what would have left at the other; nothing in between is played."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

from support.deskrun import BORDER, KEYRING, PATIENCE, RunningDesk, texts

from channels.adapter import Delivery, DeliveryState, OutboundMessage
from intake.cards import Stationery
from intake.deliver import Deliverer
from routing.backoff import RetrySchedule
from routing.records import Event
from routing.words import OutboxState
from store.outbox import OutboxItem

RECEIVED = f"Received: from out.example by {BORDER} with ESMTPS; Mon, 23 Nov 2026 14:05:01 +0800"
ATTACKER = "eve@evil.example"


def vouched(domain: str, *, by: str = BORDER, result: str = "pass") -> str:
    """What a border server writes above its own Received line."""
    return f"Authentication-Results: {by}; dmarc={result} header.from={domain}"


def octets(*headers: str, body: str | bytes = "words", kind: str = "text/plain; charset=utf-8") -> bytes:
    """A mail exactly as written: nothing is added, ordered or escaped but the type of the body."""
    text = body if isinstance(body, bytes) else body.replace("\r\n", "\n").replace("\n", "\r\n").encode()
    head = "\r\n".join([*headers, "MIME-Version: 1.0", f"Content-Type: {kind}"])
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + text + b"\r\n"


@dataclass(frozen=True)
class Letter:
    """One thing that left the desk."""

    channel: str
    to: str  # the envelope's recipient
    envelope_from: str
    body: bytes
    purpose: str
    agent: str | None
    ticket: int | None

    @property
    def mail(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.body, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def text(self) -> str:
        """Every header and every word of it, as its reader's program shows them."""
        return "\n".join([*(f"{name}: {value}" for name, value in self.mail.items()), self.plain, self.html])

    @property
    def plain(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.mail.get_body(preferencelist=(kind,))
        return str(part.get_content()) if part is not None else ""

    @property
    def files(self) -> list[tuple[str, str, str]]:
        """(name, type, disposition) of everything that is no wording."""
        named = [p for p in self.mail.walk() if p.get_content_disposition() in ("attachment", "inline")]
        return [(p.get_filename() or "", p.get_content_type(), str(p.get_content_disposition())) for p in named]


@dataclass
class Keeper:
    """A sender that keeps what would have left; `failing` is raised instead where it is given."""

    kept: list[OutboundMessage] = field(default_factory=list)
    failing: Exception | None = None

    async def send(self, message: OutboundMessage) -> Delivery:
        if self.failing is not None:
            raise self.failing
        self.kept.append(message)
        return Delivery(state=DeliveryState.DELIVERED, remote_id="250 ok")


@dataclass
class AttackedDesk(RunningDesk):
    """`takes` decides, `leaves` sends: both are the daemon's own loops."""

    keeper: Keeper = field(default_factory=Keeper)

    async def leaves(self) -> list[Letter]:
        """Send everything that may leave now: what has left since the last call."""
        before = len(self.keeper.kept)
        deliverer = Deliverer(
            self.db,
            self.clock,
            dict.fromkeys(self.policy.channels, self.keeper),
            lambda: Stationery(policy=self.policy, keyring=KEYRING, texts=texts()),
            lambda note, within: None,
            schedule=RetrySchedule(first=(timedelta(minutes=1),), then_every=timedelta(hours=4)),
            unknown_retry_after=timedelta(minutes=15),
        )
        loop = asyncio.create_task(deliverer.run())
        try:
            async with asyncio.timeout(PATIENCE):
                while await self._waiting() and not loop.done():
                    await asyncio.sleep(0.005)
        finally:
            loop.cancel()
            (ended,) = await asyncio.gather(loop, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended
        return [await self._letter(m) for m in self.keeper.kept[before:]]

    async def _waiting(self) -> int:
        """Rows that may leave now, or are just leaving."""
        now, rows = self.clock.at, await self.outbox()
        leaving = [r for r in rows if r.state is OutboxState.ATTEMPTING]  # their next_attempt_at is a lease's end
        waiting = [r for r in rows if r.state is OutboxState.PENDING and r.next_attempt_at and r.next_attempt_at <= now]
        return len(leaving) + len(waiting)

    async def _letter(self, message: OutboundMessage) -> Letter:
        item = next(i for i in await self.outbox() if i.id == message.id)
        return Letter(
            channel=item.channel,
            to=message.recipient.value,
            envelope_from=message.envelope_from,
            body=message.body,
            purpose=item.purpose.value,
            agent=item.agent,
            ticket=item.ticket,
        )

    async def opened(
        self, *headers: str, body: str = "請問營業稅怎麼申報？", domain: str = "example.com"
    ) -> OutboxItem:
        """A customer's verified mail has come in and been handed to an agent: the row of his assignment."""
        given = list(headers) or ["From: 王美玲 <mei@example.com>", "Message-ID: <a@example.com>", "Subject: 營業稅"]
        await self.takes(octets(vouched(domain), RECEIVED, *given, "To: support@firm.example", body=body))
        await self.leaves()
        return (await self.outbox("assignment"))[-1]

    async def why(self, kind: str) -> list[Mapping[str, Any]]:
        """What the events of a kind say, oldest first."""
        return [e.data for e in await self.events() if e.kind == kind]

    async def last(self) -> Event:
        return (await self.events())[-1]


def reply(
    item: OutboxItem,
    words: str | bytes = "您好，可以更正。",
    *,
    kind: str = "text/plain; charset=utf-8",
    evidence: Sequence[str] = (vouched("firm.example"), RECEIVED),
    **changes: str | None,
) -> bytes:
    """An agent's answer as his client writes it: token, reference, evidence. None leaves a header out."""
    headers: dict[str, str | None] = {
        "From": f"{item.agent}@firm.example",
        "To": f"support+{item.recipe['token']}@firm.example",
        "Subject": "Re: 營業稅",
        "Date": "Mon, 23 Nov 2026 14:09:00 +0800",
        "In-Reply-To": item.mail_id,
        "Message-ID": f"<reply.{item.id}.{abs(hash((words, tuple(evidence), *changes.items()))) % 10**9}@firm.example>",
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return octets(*evidence, *lines, body=words, kind=kind)
