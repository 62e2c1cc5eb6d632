"""A small desk over a real store: accept raw messages, let the decider work, look at what was written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import cache
from typing import Any

import orjson
from sqlalchemy import text
from support.storefacts import NOW, HandClock

from channels import mime
from channels.adapter import Accepted, Arrival, Envelope
from channels.message import Medium
from channels.normal_json import dumps
from channels.parsing import Parsed, ParseJob
from channels.registry import readers
from intake import texts_loader
from intake.accept import Acceptor, DecisionBoard, SpaceGate
from intake.decide import Decider
from intake.letters import Stationery
from intake.texts_loader import Texts
from routing.policy import Agent, CalendarSpec, ChannelPolicy, Policy, Team, Window
from routing.records import Event, Target, Ticket
from routing.sla import DEFAULT_SUPERVISOR_AFTER, DEFAULT_TARGETS
from routing.tokens import Key, Keyring
from routing.words import Evidence
from store import deadlines, events, outbox, tickets
from store.engine import Database
from store.outbox import OutboxItem

BORDER = "mx.firm.example"
DESK = "support@firm.example"
KEYRING = Keyring(Key(7, b"a key for the tests of the desk"))
PATIENCE = 15.0  # seconds
_OFFICE = (Window(time(9), time(18)),)


def agent(name: str, **changes: Any) -> Agent:
    facts: dict[str, Any] = {
        "name": name,
        "display_name": name.capitalize(),
        "addresses": (f"{name}@firm.example",),
        "evidence": frozenset({Evidence.AUTHSERV}),
    }
    return Agent(**(facts | changes))


@cache
def texts() -> Texts:
    """The texts that come with the program: read once, for they do not change."""
    return texts_loader.load()


def policy(**changes: Any) -> Policy:
    facts: dict[str, Any] = {
        "version": "p1",
        "firm": "誠信財稅",
        "language": "zh-Hant",
        "region": "TW",
        "hotline": "",
        "calendar": "desk",
        "timezone": "Asia/Taipei",
        "agents": {"chen": agent("chen"), "lin": agent("lin"), "boss": agent("boss", is_supervisor=True)},
        "teams": {"desk": Team(name="desk", display_name="客服", members=("chen", "lin"), supervisors=("boss",))},
        "default_team": "desk",
        "calendars": {
            "desk": CalendarSpec(
                name="desk", timezone="Asia/Taipei", week=dict.fromkeys(range(5), _OFFICE), version="c1"
            )
        },
        "targets": DEFAULT_TARGETS,
        "supervisor_after": DEFAULT_SUPERVISOR_AFTER,
        "rules": (),
        "channels": {
            "mail": ChannelPolicy(
                name="mail", medium="email", address=DESK, authserv_id=BORDER, border_host=BORDER, display_name="客服"
            ),
            "second": ChannelPolicy(
                name="second", medium="email", address="tax@firm.example", authserv_id=BORDER, border_host=BORDER
            ),
            "website": ChannelPolicy(name="website", medium="chat", reply_channel="mail"),
            "hotline": ChannelPolicy(
                name="hotline",
                medium="phone",
                reply_channel="mail",
                phone_users={"101": "chen", "102": "lin"},
                machine_numbers=frozenset({"queue"}),
            ),
        },
    }
    return Policy(**(facts | changes))


def mail(words: str = "請問營業稅怎麼申報？", *, vouched: bool = True, **headers: str) -> bytes:
    """A mail as the border server hands it on; `vouched`: it found DMARC to pass for the domain of From."""
    named = {name.replace("_", "-").title().replace("Message-Id", "Message-ID"): v for name, v in headers.items()}
    sender = named.setdefault("From", "王美玲 <mei@example.com>")
    named = {"To": DESK, "Subject": "營業稅", "Date": "Mon, 23 Nov 2026 14:05:00 +0800", **named}
    domain = sender.rpartition("@")[2].rstrip(">")
    top = []
    if vouched:
        top.append(f"Authentication-Results: {BORDER}; dmarc=pass header.from={domain}")
    top.append(f"Received: from out.example by {BORDER} with ESMTPS; Mon, 23 Nov 2026 14:05:01 +0800")
    lines = [*top, *(f"{name}: {value}" for name, value in named.items() if value)]
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
    return ("\r\n".join(lines) + "\r\n\r\n" + words.replace("\n", "\r\n") + "\r\n").encode()


def bounce(original_message_id: str, status: str = "5.1.1") -> bytes:
    """A report of non-delivery (RFC 3464) about one of our mails."""
    return "\r\n".join(
        [
            f"Received: from out.example by {BORDER}; Mon, 23 Nov 2026 14:20:01 +0800",
            "From: MAILER-DAEMON@mx.example.com",
            f"To: {DESK}",
            "Subject: Undelivered Mail Returned to Sender",
            f"Message-ID: <dsn.{original_message_id.strip('<>')}.{status}>",
            "Date: Mon, 23 Nov 2026 14:20:00 +0800",
            "Auto-Submitted: auto-replied",
            "MIME-Version: 1.0",
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
            "",
            "--b",
            "Content-Type: text/plain",
            "",
            "It could not be delivered.",
            "--b",
            "Content-Type: message/delivery-status",
            "",
            "Reporting-MTA: dns; mx.example.com",
            "",
            "Final-Recipient: rfc822; mei@example.com",
            "Action: failed",
            f"Status: {status}",
            "Diagnostic-Code: smtp; 550 no such user",
            "",
            "--b",
            "Content-Type: text/rfc822-headers",
            "",
            f"Message-ID: {original_message_id}",
            f"From: {DESK}",
            "Subject: Re: x",
            "",
            "--b--",
            "",
        ]
    ).encode()


def chat(session: str, client_id: str, words: str) -> bytes:
    return orjson.dumps({"session": session, "client_id": client_id, "text": words, "name": "訪客", "language": ""})


def call(event: str, call_id: str = "c1", **changes: Any) -> bytes:
    facts: dict[str, Any] = {
        "call_id": call_id,
        "cause": "",
        "direction": "in",
        "event": event,
        "from": "+886912345678",
        "from_raw": "0912345678",
        "received_at": NOW,
        "source_at": NOW,
        "time_raw": "",
        "to": "+886223456789",
        "to_raw": "0223456789",
        "users": [],
    }
    return orjson.dumps(facts | changes)


class Parsers:
    """Reads mail in this process; as quick as a test needs it."""

    async def parse(self, jobs: Sequence[ParseJob]) -> list[Parsed]:
        messages = [mime.parse(j.raw, is_truncated=j.is_truncated) for j in jobs]
        return [Parsed(m, dumps(m)) for m in messages]


@dataclass
class RunningDesk:
    """Accepts and decides over a store; what it was told to do next is counted."""

    db: Database
    policy: Policy = field(default_factory=policy)
    clock: HandClock = field(default_factory=HandClock)
    parsers: Any = field(default_factory=Parsers)
    batch: int = 50
    owner: str = "node1"

    def __post_init__(self) -> None:
        self.board = DecisionBoard()
        self.woken = {"outbox": 0, "targets": 0}
        self.decider = self._decider()
        self.accept = Acceptor(self.db, self.clock, self.board, SpaceGate(None, 0, 0), lambda: self.decider.wake())
        self._count = 0

    def _decider(self) -> Decider:
        def counter(name: str) -> Any:
            def count() -> None:
                self.woken[name] += 1

            return count

        return Decider(
            self.db,
            self.clock,
            KEYRING,
            lambda: self.policy,
            self.parsers,
            readers(),
            self.board,
            owner=self.owner,
            progress=lambda note, within: None,
            on_outbox=counter("outbox"),
            on_targets=counter("targets"),
            stationery=lambda: Stationery(policy=self.policy, keyring=KEYRING, texts=texts()),
            batch=self.batch,
        )

    def arrival(self, raw: bytes, channel: str = "mail", **changes: Any) -> Arrival:
        self._count += 1
        facts: dict[str, Any] = {
            "channel": channel,
            "medium": Medium(self.policy.channels[channel].medium),
            "external_id": f"{self.owner}:{self._count}",
            "received_at": self.clock.at - timedelta(minutes=1),
            "raw": raw,
        }
        return Arrival(**(facts | changes))

    async def takes(self, *arrivals: Arrival | bytes) -> list[Accepted]:
        """Accept, and let it be decided."""
        receipts = await self.accept([a if isinstance(a, Arrival) else self.arrival(a) for a in arrivals])
        await self.settle()
        return receipts

    async def settle(self) -> None:
        """Let the decider work until nothing waits. Raises what ended it."""
        async with self.deciding() as loop:
            idle = asyncio.ensure_future(self.wait_until_idle())
            await asyncio.wait([loop, idle], return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()
            (ended,) = await asyncio.gather(idle, return_exceptions=True)
            if isinstance(ended, TimeoutError):
                raise ended

    @contextlib.asynccontextmanager
    async def deciding(self) -> AsyncIterator[asyncio.Task[None]]:
        """The decider's loop, as long as the block lasts. A fresh one, as after a restart."""
        self.decider = self._decider()
        task = asyncio.create_task(self.decider.run())
        try:
            yield task
        finally:
            task.cancel()
            (ended,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def does_duties(self) -> None:
        """One look for what is due that no message says."""
        self.decider = self._decider()
        await self.decider._take_lease()
        await self.decider._do_duties()
        await self.decider._give_back(None)

    async def wait_until_idle(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.counted("state IN ('accepted', 'claimed')"):
                await asyncio.sleep(0.005)

    # ---- looking

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        async with self.db.reading() as tx:
            return await tx.rows(text(statement), values)

    async def counted(self, where: str) -> int:
        return int((await self.rows(f"SELECT count(*) AS n FROM message WHERE {where}"))[0]["n"])

    async def messages(self, *columns: str) -> list[Any]:
        """One column's values, or several's as tuples, in the order of arrival."""
        found = await self.rows(f"SELECT {', '.join(columns)} FROM message ORDER BY id")
        return [next(iter(r.values())) if len(columns) == 1 else tuple(r.values()) for r in found]

    async def tickets(self) -> list[Ticket]:
        async with self.db.reading() as tx:
            return list(reversed(await tickets.listed(tx, only_open=False)))

    async def ticket(self) -> Ticket:
        [only] = await self.tickets()
        return only

    async def targets(self, number: int) -> list[Target]:
        async with self.db.reading() as tx:
            return (await deadlines.of_tickets(tx, [number])).get(number, [])

    async def outbox(self, *purposes: str) -> list[OutboxItem]:
        rows = await self.rows("SELECT id FROM outbox ORDER BY id")
        async with self.db.reading() as tx:
            found = [await outbox.by_id(tx, r["id"]) for r in rows]
        return [i for i in found if i is not None and (not purposes or i.purpose.value in purposes)]

    async def events(self) -> list[Event]:
        async with self.db.reading() as tx:
            return await events.after(tx, 0, 10_000)

    async def told(self) -> list[str]:
        return [e.kind for e in await self.events()]

    # ---- an agent

    async def reply_to(self, item: OutboxItem, words: str, **headers: str) -> bytes:
        """An agent's plain reply to a mail of ours: token in To, reference, evidence. Change what a test is about."""
        token = item.recipe["token"]
        facts: Mapping[str, str] = {
            "From": f"{item.agent}@firm.example",
            "To": f"support+{token}@firm.example",
            "Subject": "Re: 營業稅",
            "In_Reply_To": item.mail_id,
            "Message_ID": f"<reply.{item.id}.{abs(hash(words)) % 10**6}@firm.example>",
        }
        vouched = headers.pop("vouched", "yes") == "yes"
        return mail(words, vouched=vouched, **{**facts, **headers})


async def deliver(db: Database, item: OutboxItem, at: datetime) -> None:
    """Mark a row as handed over, and the answer's promises as kept, as the outbox worker does."""
    async with db.transaction() as tx:
        await outbox.record_delivered(tx, {item.id: "250 ok"}, at)
        assert item.ticket is not None
        for target in (await deadlines.of_tickets(tx, [item.ticket], only_open=True)).get(item.ticket, []):
            if target.kind.value in ("first_response", "next_response"):
                await deadlines.record_met(tx, target, item.answered_at or at, at)


def envelope(**facts: Any) -> Envelope:
    return Envelope(**facts)
