"""Decide: one decider at a time for the desk takes what waits and writes what becomes of it.

claim -> parse -> gather -> fold -> commit, a batch at a time; while one batch is decided the next is being parsed.
Ticket, targets, outbox rows, reasons and events of a batch commit together, under a lease whose fencing token
refuses a decider that was replaced. Dying anywhere loses nothing: what was claimed is claimed again, each alone. A
message that fails alone three times is parked with its reason, and a stub of a ticket lets a person see it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import structlog

from channels.adapter import Clock, Decided, ProgressNote, StoreUnavailable
from channels.message import Address, Medium, Message, Scheme
from channels.mime import PARSER_VERSION
from channels.normal_json import dumps
from channels.parsing import ParseJob, ParserPool
from intake import duties
from intake.accept import DecisionBoard
from intake.agents_chat import of_agents
from intake.cards import Stationery, files_with_marks, guarded
from intake.gather import domains_of, gather, left_by_machine, people
from intake.logs import tell
from intake.promise import measured
from intake.split_source import source_of
from intake.writing import take_numbers, write
from routing.chain import decide, note_decided
from routing.crowd import Crowd
from routing.desk import Decision, Desk, Incoming
from routing.forms import read_as_form
from routing.joining import goes_on_as
from routing.links import with_subject
from routing.loads import Load
from routing.loops import Ledger
from routing.merging import tickets_named
from routing.policy import Policy
from routing.records import Event
from routing.relief import arm
from routing.splitting import asks_to_split
from routing.tokens import Keyring
from routing.words import Outcome, Speaker
from store import events, leases, messages, sealed
from store.crashpoint import crashpoint
from store.engine import Database, Transaction
from store.messages import Claimed, Finished
from store.seal import SealBroken

log = structlog.get_logger(__name__)

LEASE = "decider"
MEASURE_EVERY = timedelta(minutes=10)  # how soon agents answer
LOOK_EVERY = 5.0  # seconds between looks for what is due, unless somebody calls
LOOK_AFTER_FAILURE = 60.0  # seconds
IDLE_POLL = 5.0  # seconds; a wake-up may be lost between nodes, so look anyway
MAX_YIELD = 0.2  # seconds a decision waits while arrivals are committed one group after another
YIELD_STEP = 0.004  # seconds
MAX_WAIT_FOR_LEASE = 10.0  # seconds between tries while another node decides
RENEW_EVERY = 15.0  # seconds; mails that are bombs may take their workers minutes

DEADLY = f"the program ended {messages.MAX_ATTEMPTS} times while this was being decided alone"

Reader = Callable[[bytes], Message]
Parsed = tuple[Incoming, bytes]  # with the normal form as it is stored


class Decider:
    """The loop. `run` works until cancelled; whatever it had claimed and not decided goes back."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        keyring: Keyring,
        policy: Callable[[], Policy],
        parsers: ParserPool,
        readers: Mapping[Medium, Reader],
        board: DecisionBoard,
        owner: str,
        progress: ProgressNote,
        on_outbox: Callable[[], None],
        on_targets: Callable[[], None],
        stationery: Callable[[], Stationery],
        is_pressed: Callable[[], bool] = lambda: False,
        on_overlays: Callable[[], Coroutine[Any, Any, None]] | None = None,
        batch: int = 50,
    ) -> None:
        self._db = db
        self._clock = clock
        self._keyring = keyring
        self._policy = policy
        self._parsers = parsers
        self._readers = readers
        self._board = board
        self._owner = owner
        self._progress = progress
        self._on_outbox = on_outbox
        self._on_targets = on_targets
        self._is_pressed = is_pressed
        self._on_overlays = on_overlays
        self._batch = batch
        self._stationery = stationery
        self._woken = asyncio.Event()
        self._epoch = 0
        self._loads: dict[str, Load] | None = None  # None: to be counted
        self._counted_by = ""  # the policy's version
        self._done_on: date | None = None
        self._done_today: dict[str, float] = {}  # agent -> minutes of work
        self._is_miscounted = False  # asked for by others, heeded when a batch is gathered
        self._ledger: Ledger | None = None  # None: to be made
        self._asked: deque[datetime] = deque()  # of the ledger before this batch
        self._domains: tuple[str, Any] = ("", None)
        self._is_called = True  # at the start there may be something
        self._look_at = 0.0  # seconds of the loop's clock
        self._renew_at = 0.0  # the same; the lease
        self._is_busy = False
        self.reach: Mapping[str, timedelta] = {}  # channel -> how soon agents answer there
        self._measured_at: datetime | None = None
        self.decided = 0  # messages, since the start

    def is_busy(self) -> bool:
        """Whether messages wait."""
        return self._is_busy

    def recount(self) -> None:
        """Somebody else has changed whether tickets wait for their agents: loads are counted anew."""
        self._is_miscounted = True

    def wake(self) -> None:
        """There may be something to decide."""
        self._woken.set()

    async def run(self) -> None:
        await self._take_lease()
        self._loads = self._ledger = None
        self._asked = deque()
        ahead: asyncio.Task[list[tuple[Claimed, Parsed]]] | None = None
        try:
            while True:
                self._progress("deciding", 60.0)
                await self._do_duties()
                batch = await ahead if ahead is not None else await self._claim_and_parse()
                ahead = None
                octets = sum(claimed.size for claimed, _ in batch)
                self._is_busy = len(batch) >= self._batch // 2 or octets >= messages.MAX_BATCH_BYTES // 2
                if not batch:
                    await self._rest()
                    continue
                # A message that came by itself is not delayed by a look whether more wait.
                if not batch[0][0].is_alone and (self._is_busy or self._woken.is_set()):
                    ahead = asyncio.create_task(self._claim_and_parse(), name="parse ahead")
                await self._decide(batch)
        finally:
            await self._give_back(ahead)

    # ---- duties

    def call(self) -> None:
        """Something may be due that no message says."""
        self._is_called = True
        self._woken.set()

    async def _do_duties(self) -> None:
        """What is due between messages; looked for now and then, and when somebody calls."""
        clock = asyncio.get_running_loop().time()
        if not self._is_called and clock < self._look_at:
            return
        self._is_called, self._look_at = False, clock + LOOK_EVERY
        try:
            await self._done(self._policy(), self._clock.now())
        except (StoreUnavailable, leases.LeaseLost, asyncio.CancelledError):
            self._forget()
            raise
        except Exception:  # messages are decided all the same, and it is tried again
            self._forget()
            self._look_at = clock + LOOK_AFTER_FAILURE
            log.exception("duty_failed")

    async def _done(self, policy: Policy, now: datetime) -> None:
        due = await self._db.read(lambda tx: duties.look(tx, policy, self._keyring, now, self._people))
        if due.next_at is not None:
            self._look_at = min(self._look_at, asyncio.get_running_loop().time() + (due.next_at - now).total_seconds())
        desk = due.desk
        if desk is None:
            return
        async with self._db.transaction() as tx:
            await leases.fence(tx, LEASE, self._owner, self._epoch, now)
            await write(tx, desk.changes, now, desk.policy)
            crashpoint("duties.before_commit")
        crashpoint("duties.after_commit")
        self._after(desk, [])

    # ---- the lease

    async def _take_lease(self) -> None:
        while True:
            now = self._clock.now()
            async with self._db.transaction() as tx:
                epoch = await leases.acquire(tx, LEASE, self._owner, now, is_alone=self._db.is_sqlite)
                if epoch is not None:
                    cut_off = await messages.recover(tx)
                    break
            self._progress("another node decides", 60.0)
            await asyncio.sleep(MAX_WAIT_FOR_LEASE)
        self._epoch = epoch
        log.info("decider_started", epoch=epoch, cut_off=cut_off)

    async def _rest(self) -> None:
        self._progress("nothing to decide", 60.0)
        try:
            left = self._look_at - asyncio.get_running_loop().time()
            async with asyncio.timeout(min(max(left, 0.0), IDLE_POLL)):
                await self._woken.wait()
        except TimeoutError:
            if asyncio.get_running_loop().time() < self._renew_at:
                return  # something is due
            async with self._db.transaction() as tx:
                await leases.fence(tx, LEASE, self._owner, self._epoch, self._clock.now())
            self._renew_at = asyncio.get_running_loop().time() + IDLE_POLL

    async def _give_back(self, ahead: asyncio.Task[list[tuple[Claimed, Parsed]]] | None) -> None:
        """What was claimed ahead and not decided goes back as it was; the lease too."""
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)
        try:
            async with self._db.transaction() as tx:
                await messages.give_back_all(tx, self._epoch)
                await leases.release(tx, LEASE, self._owner, self._clock.now())
        except StoreUnavailable:
            log.warning("lease_not_released", why="the store is not there; it lapses by itself")

    # ---- claim and parse

    async def _claim_and_parse(self) -> list[tuple[Claimed, Parsed]]:
        is_certain = self._woken.is_set()
        # Before looking: who wakes us while we look brings what that look does not see.
        self._woken.clear()
        # A look that finds nothing must not cost a write transaction.
        if not is_certain and not await self._db.read(messages.any_waiting):
            return []
        claimed, raw, closed = await self._db.write(self._claim)
        if not claimed:
            return []
        crashpoint("claim.after_commit")
        parsed = await self._while_renewing(self._parse(claimed, raw, closed))
        return list(zip(claimed, parsed, strict=True))

    async def _claim(self, tx: Transaction) -> tuple[list[Claimed], dict[int, bytes], dict[int, SealBroken]]:
        await leases.fence(tx, LEASE, self._owner, self._epoch, self._clock.now())
        claimed = await messages.claim(tx, self._epoch, self._batch)
        raw, closed = await sealed.raws_or_why(tx, [c.id for c in claimed]) if claimed else ({}, {})
        crashpoint("claim.before_commit")
        return claimed, raw, closed

    async def _while_renewing(self, work: Coroutine[Any, Any, list[Parsed]]) -> list[Parsed]:
        """Await long work; the lease does not lapse meanwhile. Raises LeaseLost if it is gone all the same."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait([task], timeout=RENEW_EVERY))[0]:
                self._progress("parsing", 60.0)
                async with self._db.transaction() as tx:
                    await leases.fence(tx, LEASE, self._owner, self._epoch, self._clock.now())
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _parse(
        self, claimed: Sequence[Claimed], raw: Mapping[int, bytes], closed: Mapping[int, SealBroken]
    ) -> list[Parsed]:
        if claimed[0].attempts > messages.MAX_ATTEMPTS:
            stub = _unread(claimed[0])
            return [(_incoming(claimed[0], stub, DEADLY), dumps(stub))]
        mails = [c for c in claimed if c.medium is Medium.EMAIL and c.id not in closed]
        jobs = [ParseJob(raw=raw[c.id], is_truncated=c.is_truncated) for c in mails]
        from_workers = dict(zip((c.id for c in mails), await self._parsers.parse(jobs) if jobs else [], strict=True))
        result: list[Parsed] = []
        for one in claimed:
            if one.id in closed:
                stub = _unread(one)
                result.append((_incoming(one, stub, f"could not be opened: {closed[one.id]}"[:400]), dumps(stub)))
            elif one.id in from_workers:
                done = from_workers[one.id]
                result.append((_incoming(one, _told_apart(one, done.message, raw[one.id]), done.failure), done.normal))
            else:
                message, failure = self._read(one, raw[one.id])
                result.append((_incoming(one, message, failure), dumps(message)))
        return result

    def _read(self, one: Claimed, raw: bytes) -> tuple[Message, str]:
        """The normal form of what a push channel had checked before it was accepted; else a stub, and why."""
        reader = self._readers.get(one.medium)
        if reader is None:
            return _unread(one), f"nobody reads {one.medium.value} here"
        try:
            return reader(raw), ""
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not hold up those behind it (G4)
            return _unread(one), f"{type(error).__name__}: {error}"[:400]

    # ---- decide

    async def _decide(self, batch: Sequence[tuple[Claimed, Parsed]]) -> None:
        one, (incoming, normal) = batch[0]
        if one.attempts > messages.MAX_ATTEMPTS:
            # It was claimed alone often enough and nobody lived to say what was wrong with it.
            log.error("message_parked", message=one.id, channel=one.channel, reason=DEADLY)
            await self._park(incoming, normal, DEADLY, with_stub=one.attempts == messages.MAX_ATTEMPTS + 1)
            return
        try:
            await self._decide_together(batch)
        except (StoreUnavailable, leases.LeaseLost, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001  # the loop's one broad catch: it names the message and parks it
            self._forget()
            await self._blame(batch, error)

    async def _blame(self, batch: Sequence[tuple[Claimed, Parsed]], error: Exception) -> None:
        """A batch failed: each of it is tried alone. What failed alone often enough is parked, and seen by a person."""
        one, (incoming, normal) = batch[0]
        if len(batch) == 1 and one.attempts >= messages.MAX_ATTEMPTS:
            reason = f"{type(error).__name__}: {error}"[:400]
            log.error("message_parked", message=one.id, channel=one.channel, reason=reason)
            await self._park(incoming, normal, reason)
            return
        if len(batch) == 1:
            log.warning(
                "decision_failed", message=one.id, attempt=one.attempts, error=f"{type(error).__name__}: {error}"
            )
        async with self._db.transaction() as tx:
            await leases.fence(tx, LEASE, self._owner, self._epoch, self._clock.now())
            await messages.give_back(tx, [c.id for c, _ in batch], epoch=self._epoch, alone=True)
        self.wake()  # whoever looked ahead saw nothing of them

    async def _park(self, incoming: Incoming, normal: bytes, reason: str, *, with_stub: bool = True) -> None:
        """Park it with its raw bytes and reason; a stub of a ticket is opened where even that works."""
        stub = replace(incoming, message=_stub(incoming.message), failure=reason)
        try:
            if with_stub:
                await self._decide_together([(None, (stub, normal))], parked=reason)
                return
        except (StoreUnavailable, leases.LeaseLost):
            raise
        except Exception:
            self._forget()
            log.exception("stub_failed", message=incoming.id)
        now = self._clock.now()
        async with self._db.transaction() as tx:
            await leases.fence(tx, LEASE, self._owner, self._epoch, now)
            await messages.park(tx, incoming.id, reason)
            await events.append(
                tx, [Event(at=now, kind="message_parked", message=incoming.id, data={"reason": reason})]
            )
        self._board.tell(Decided(message_id=incoming.id, ticket=None, agent=None))

    async def _decide_together(self, batch: Sequence[tuple[Claimed | None, Parsed]], parked: str | None = None) -> None:
        policy, now = self._policy(), self._clock.now()
        incoming = [read_as_form(parsed[0], policy) for _, parsed in batch]
        if any(one.medium is Medium.TELEGRAM for one in incoming):
            incoming = await self._db.read(lambda tx: of_agents(tx, incoming, policy))
        judged = incoming
        desk = await self._db.read(lambda tx: self._gather(tx, judged, policy, now))
        desk.known_domains = self._known_domains(policy)
        first = desk.numbers()
        finished: list[Finished] = []
        for one, (_, normal) in zip(incoming, (parsed for _, parsed in batch), strict=True):
            decision = decide(one, desk)
            note_decided(one, decision, desk)
            park_it = parked or one.failure or None
            if park_it:
                desk.tell("message_parked", message=one.id, ticket=decision.ticket, reason=park_it[:400])
            finished.append(_finished(one, decision, normal, policy, park_it))
        arm(desk)
        await self._let_arrivals_first()

        async def keep(tx: Transaction) -> None:
            await leases.fence(tx, LEASE, self._owner, self._epoch, now)
            await take_numbers(tx, desk, first)
            await write(tx, desk.changes, now, desk.policy)
            await messages.finish(tx, finished, self._epoch, now)
            crashpoint("decide.before_commit")

        await self._db.write(keep)
        crashpoint("decide.after_commit")
        self._after(desk, finished)
        if (desk.changes.overlays or desk.changes.corrections) and self._on_overlays is not None:
            await self._on_overlays()  # before the next batch is decided

    async def _gather(self, tx: Transaction, incoming: Sequence[Incoming], policy: Policy, now: datetime) -> Desk:
        """A desk that can decide about a batch, with what only agents' mails ask for."""
        desk = await gather(tx, incoming, policy, self._keyring, now)
        await self._people(tx, desk)
        for number in _answered_by_agents(desk, incoming):
            desk.internal[number] = await guarded(tx, number, self._stationery(), now)
        for one in incoming:
            if one.message.attachments and desk.tokens and policy.agent_by_address(one.message.sender.value):
                desk.marked[one.id] = await files_with_marks(tx, one.id, one.message, self._keyring)
            if asks_to_split(with_subject(one).message.text) and (source := await source_of(tx, one)) is not None:
                desk.sources[one.id] = source
        return desk

    async def _let_arrivals_first(self) -> None:
        """A sender who waits for his receipt goes before a decision, but not for long."""
        clock = asyncio.get_running_loop()
        until = clock.time() + MAX_YIELD
        while self._is_pressed() and clock.time() < until:  # noqa: ASYNC110  # a group takes milliseconds
            await asyncio.sleep(YIELD_STEP)

    def _forget(self) -> None:
        """The batch that failed never was: loads and acknowledgements are counted anew."""
        self._loads = self._ledger = None

    async def _people(self, tx: Transaction, desk: Desk) -> None:
        """Loads are counted once and then kept: only this decider changes tickets, and writes by machine."""
        if self._counted_by != desk.policy.version:  # other people, other shifts, other weights
            self._counted_by, self._is_miscounted = desk.policy.version, True
        if self._is_miscounted:
            self._is_miscounted, self._loads = False, None
        if self._loads is None:
            await people(tx, desk)
            self._loads, self._presence, self._last = desk.loads, desk.presence, desk.last_assigned
            self._acts, self._silent = desk.last_act, desk.silent
            self._snapshots = Crowd()
        if self._measured_at is None or abs(desk.now - self._measured_at) >= MEASURE_EVERY:
            self.reach, self._measured_at = await measured(tx, desk.policy), desk.now
        desk.reach = self.reach
        if self._ledger is None:
            self._ledger = await left_by_machine(tx, desk.now)
            self._ledger.asked = self._asked or self._ledger.asked
        self._asked = self._ledger.asked.copy()  # what was only asked for stands nowhere else
        desk.ledger = self._ledger
        desk.loads, desk.presence, desk.last_assigned = self._loads, self._presence, self._last
        desk.last_act, desk.silent, desk.people = self._acts, self._silent, self._snapshots
        if self._done_on != desk.now.date():
            self._done_on, self._done_today = desk.now.date(), {}
            self._snapshots.clear()
        desk.done = self._done_today

    def _known_domains(self, policy: Policy) -> Any:
        if self._domains[0] != policy.version:
            self._domains = (policy.version, domains_of(policy))
            self._snapshots.clear()  # other people, or the same with other skills
        return self._domains[1]

    def _after(self, desk: Desk, finished: Sequence[Finished]) -> None:
        self.decided += len(finished)
        tell(log, desk.changes.events)
        for one in finished:
            ticket = desk.tickets.get(one.ticket) if one.ticket is not None else None
            self._board.tell(Decided(message_id=one.id, ticket=one.ticket, agent=ticket.agent if ticket else None))
        if desk.changes.presence or any(one.speaker == Speaker.AGENT.value for one in finished):
            self._is_called = True  # somebody may be free for what nobody has
        if desk.changes.outbox:
            self._on_outbox()
        if desk.changes.targets or desk.changes.reopened or desk.changes.moved_targets or desk.changes.reminders:
            self._on_targets()


def _answered_by_agents(desk: Desk, batch: Sequence[Incoming]) -> set[int]:
    """The tickets that agents may answer in this batch: of their mails, and what those are joined to."""
    theirs = {record.ticket for record in desk.tokens.values()}
    named = {n for one in batch for n in tickets_named(one.message.text)} if theirs else set()
    onward = {goes_on_as(desk, desk.tickets[number]).id for number in theirs if number in desk.tickets}
    return theirs | onward | (named & desk.tickets.keys())


def _incoming(one: Claimed, message: Message, failure: str) -> Incoming:
    return Incoming(
        id=one.id,
        channel=one.channel,
        medium=one.medium,
        received_at=one.received_at,
        message=message,
        envelope=one.envelope,
        known_ticket=one.ticket,
        failure=failure,
    )


def _told_apart(one: Claimed, message: Message, raw: bytes) -> Message:
    """A mail with neither Message-ID nor Date: all its octets and the second in which it came tell it from others.

    In another folder, or after a UIDVALIDITY change, it has both still: then it is a copy, and nobody is asked twice.
    """
    if message.content_key and one.is_truncated:
        # Only its head was hashed: two large mails with equal heads are two mails.
        sized = f"{message.content_key}\n{one.size}".encode()
        return replace(message, content_key=hashlib.sha256(sized).hexdigest())
    if message.content_key:
        return message
    # Of a mail that the server does not give, only its place is known: two of them are two.
    came = str(int(one.received_at.timestamp())) if raw else f"{one.channel} {one.external_id}"
    return replace(message, content_key=hashlib.sha256(came.encode() + b"\n" + raw).hexdigest())


def _unread(one: Claimed) -> Message:
    """The stub of what could not be read: nothing is known but the way it came."""
    scheme = _SCHEMES.get(one.medium, Scheme.MAIL)
    return Message(medium=one.medium, sender=Address(scheme=scheme, value=""), from_count=0, is_stub=True)


_SCHEMES = {Medium.CHAT: Scheme.WEB, Medium.PHONE: Scheme.PHONE, Medium.TELEGRAM: Scheme.TELEGRAM}


def _stub(message: Message) -> Message:
    """The least of a message that a ticket can be opened for."""
    return Message(
        medium=message.medium,
        sender=message.sender,
        subject=message.subject[:200],
        message_id=message.message_id,
        is_stub=True,
        from_count=message.from_count,
        authentication=message.authentication,
        source_headers=message.source_headers,
    )


def _finished(one: Incoming, decision: Decision, normal: bytes, policy: Policy, parked: str | None) -> Finished:
    # Somebody who takes a mail out of the junk folder wants it taken in: what lay there makes it no copy.
    is_copy = decision.outcome in (Outcome.COPY, Outcome.JUNK)
    return Finished(
        id=one.id,
        outcome=decision.outcome.value,
        speaker=decision.speaker.value,
        ticket=decision.ticket,
        customer=decision.customer,
        agent=decision.agent,
        sender=one.sender if decision.speaker is not Speaker.SYSTEM else "",
        content_key=None if is_copy else (one.message.content_key or None),
        copy_of=decision.copy_of,
        policy_version=policy.version,
        normal=normal if decision.stands_for is None else dumps(decision.stands_for),
        parser_version=PARSER_VERSION,
        parked=parked,
    )
