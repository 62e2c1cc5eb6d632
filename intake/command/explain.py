"""`intake explain`: what the daemon would make of messages, and why; one object a line, in order, touching nothing.

Mails are parsed in the same workers as the daemon's, with the same limits: a mail that is a bomb costs a worker and
still gets its line. Each message meets an empty desk, or with --store the desk as it stands, and none sees another.
"""

from __future__ import annotations

import hashlib
import os
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from channels.adapter import Clock, Envelope
from channels.message import Address, Medium, Message, Scheme
from channels.mime import parts_bytes
from channels.parsing import ParseJob, ParserPool, unreadable
from channels.registry import readers
from intake import dates
from intake.command import explain_lines as lines
from intake.command.explained import explained, unexplained
from intake.command.failure import Exit, Failure
from intake.command.overlaid import overlaid, taught
from intake.command.plain_policy import channel_called, found, with_media
from intake.command.terminal import Screen
from intake.config import Config
from intake.gather import domains_of, gather, left_by_machine, people
from routing.desk import Desk, Incoming
from routing.forms import read_as_form
from routing.identity import KnownDomains
from routing.policy import ChannelPolicy, Policy
from routing.tokens import Keyring
from store.engine import Transaction
from store.numbers import FIRST

BATCH = 64  # files in memory
MAX_FILE = 30 * 1024 * 1024  # octets; of a larger mail the daemon, too, fetches the head alone
HEAD = 64 * 1024  # octets
MAX_TOLD = 20  # recipients, files, verdicts that are told on a terminal
MAX_LINE = 4 * 1024 * 1024  # octets of one line of --jsonl

Found = tuple[str, dict[str, Any]]  # what it is called, and the object


@dataclass(frozen=True, kw_only=True)
class Desks:
    """Makes the desk that a message meets."""

    policy: Policy
    keyring: Keyring
    domains: KnownDomains
    now: datetime
    tx: Transaction | None  # the store, where it is asked

    async def explain(self, incoming: Incoming) -> dict[str, Any]:
        incoming = read_as_form(incoming, self.policy)
        now = max(self.now, incoming.received_at)
        if self.tx is not None:
            desk = await gather(self.tx, [incoming], self.policy, self.keyring, now)
            await people(self.tx, desk)
            desk.ledger = await left_by_machine(self.tx, desk.now)
        else:
            first = FIRST["ticket"] + 1, FIRST["customer"] + 1
            desk = Desk(policy=self.policy, keyring=self.keyring, now=now, next_ticket=first[0], next_customer=first[1])
        desk.known_domains = self.domains
        return explained(incoming, desk)


async def run(args: Namespace, screen: Screen, clock: Clock) -> Exit:
    if bool(args.files) == bool(args.jsonl):
        raise Failure(Exit.USAGE, "name files, or --jsonl FILE", "intake explain mail.eml")
    policy, config = found(args)
    policy = with_media(await taught(await overlaid(policy, config), config))
    channel = channel_called(policy, args.channel) if args.channel else None
    async with AsyncExitStack() as stack:
        desks = Desks(
            policy=policy,
            keyring=_keyring(config, is_asked=args.store),
            domains=domains_of(policy),
            now=clock.now(),
            tx=await _store(stack, config) if args.store else None,
        )
        if args.jsonl:
            source = stack.enter_context(_opened(args.jsonl))
            told = of_lines(source, args.jsonl, desks, channel)
        else:
            pool = ParserPool(workers=max(1, (os.cpu_count() or 2) - 1))
            stack.push_async_callback(pool.close)
            told = of_files(args.files, desks, channel, pool)
        code = Exit.OK
        async for name, one in told:
            _print(screen, name, one, policy)
            if args.jsonl:
                screen.out.flush()  # whoever writes the lines may wait for each answer
            if one["reasons"][0]["code"] == "no_file":
                code = Exit.NOT_FOUND
    return code


async def _store(stack: AsyncExitStack, config: Config | None) -> Transaction:
    if config is None:
        raise Failure(Exit.USAGE, "--store needs a configuration that says where the store is", "add --config FILE")
    from intake.command.opened import reading

    return await stack.enter_async_context(reading(config))


def _keyring(config: Config | None, *, is_asked: bool) -> Keyring:
    """The desk's keys where they may be read: without them every agent's token looks forged."""
    try:
        if config is not None and config.tokens.key is not None:
            rest = (key.read() for key in config.tokens.previous_keys)
            return Keyring.from_secret("\n".join([config.tokens.key.read(), *rest]))
    except (OSError, ValueError) as error:
        if is_asked:
            sys.stderr.write(f"intake: without the token key agents' replies look forged: {error}\n")
    return Keyring.from_secret("explain: no key, so no token is genuine")


# ---- mails


async def of_files(
    files: list[str], desks: Desks, channel: ChannelPolicy | None, pool: ParserPool
) -> AsyncIterator[Found]:
    """Each file's object, in order."""
    medium = Medium(channel.medium) if channel else Medium.EMAIL
    read = _reader(medium) if medium is not Medium.EMAIL else None
    for start in range(0, len(files), BATCH):
        batch = [(name, _octets(name)) for name in files[start : start + BATCH]]
        if read is not None:
            parsed = [_pushed(read, octets) for _, octets in batch]
        else:
            parsed = await _mails([octets for _, octets in batch], pool)
        for (name, octets), (message, failure) in zip(batch, parsed, strict=True):
            if isinstance(octets, OSError):
                reason = {"code": "no_file", "sentence": f"{name}: {octets.strerror}.", "data": {}}
                yield name, {**unexplained(message, failure), "reasons": [reason]}
                continue
            message = _with_md5(message, octets)
            through = channel or _addressed(message, desks.policy)
            yield name, await desks.explain(_incoming(message, through, desks.now, failure))


def _with_md5(message: Message, raw: bytes) -> Message:
    """The daemon has no use for MD5 and does not pay for it; other systems' expectations name it."""
    octets = parts_bytes(raw, [a.path for a in message.attachments])
    files = tuple(
        replace(a, md5=hashlib.md5(octets[a.path], usedforsecurity=False).hexdigest()) for a in message.attachments
    )
    return replace(message, attachments=files) if files else message


def _octets(name: str) -> bytes | OSError:
    """The file, or as much as the daemon would fetch of it and an octet more, which says that it is too large."""
    try:
        if name == "-":
            octets = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with Path(name).open("rb") as file:
                octets = file.read(MAX_FILE + 1)
    except OSError as error:
        return error
    return octets


async def _mails(octets: list[bytes | OSError], pool: ParserPool) -> list[tuple[Message, str]]:
    jobs = [
        ParseJob(raw=one[:HEAD], is_truncated=True) if len(one) > MAX_FILE else ParseJob(raw=one)
        for one in octets
        if isinstance(one, bytes)
    ]
    parsed = iter(await pool.parse(jobs))
    found = []
    for one in octets:
        if isinstance(one, OSError):
            found.append((unreadable(b"", str(one.strerror)), str(one.strerror)))
        else:
            done = next(parsed)
            found.append((done.message, done.failure))
    return found


def _reader(medium: Medium) -> Callable[[bytes], Message]:
    read = readers().get(medium)
    if read is None:
        mend = f'intake explain --jsonl -, with {{"channel": "{medium.value}", "text": "…"}} a line'
        raise Failure(Exit.USAGE, f"files of {medium.value} cannot be read", mend)
    return read


def _pushed(read: Callable[[bytes], Message], octets: bytes | OSError) -> tuple[Message, str]:
    """What a push channel keeps: its canonical JSON."""
    if isinstance(octets, OSError):
        return unreadable(b"", str(octets.strerror)), str(octets.strerror)
    try:
        return read(octets), ""
    except ValueError as error:
        return unreadable(octets, str(error)[:400]), str(error)[:400]


def _addressed(message: Message, policy: Policy) -> ChannelPolicy:
    """The mail channel that it was sent to, else the first."""
    to = {r.address.value.lower() for r in message.recipients}
    mail = [c for c in policy.channels.values() if c.medium == Medium.EMAIL]
    return next((c for c in mail if c.address.lower() in to), mail[0])


# ---- lines


async def of_lines(source: BinaryIO, name: str, desks: Desks, channel: ChannelPolicy | None) -> AsyncIterator[Found]:
    """Each line's object, in order; blank lines are passed over."""
    for number, line in enumerate(_lines(source), 1):
        if not line.strip():
            continue
        label = f"{name}:{number}"
        try:
            yield label, await desks.explain(_of_line(line, desks, channel))
        except lines.NoMessage as error:
            stub = Message(medium=Medium.EMAIL, sender=Address(scheme=Scheme.MAIL, value=""), is_stub=True)
            yield label, unexplained(stub, str(error))


def _of_line(line: bytes, desks: Desks, channel: ChannelPolicy | None) -> Incoming:
    data = lines.fields(line)
    written = data.get("channel")
    if channel is None and not isinstance(written, str):
        raise lines.NoMessage('"channel" is missing: a channel of the configuration, or a medium')
    try:
        through = channel or channel_called(desks.policy, str(written))
    except Failure as failure:
        raise lines.NoMessage(f"{failure.words}: {failure.mend}") from None
    message = lines.message(data, Medium(through.medium), through.region or desks.policy.region)
    at = lines.moment(data, desks.policy.timezone)
    incoming = _incoming(message, through, at or desks.now, "")
    return replace(incoming, received_at=incoming.received_at.astimezone(UTC))


def _lines(source: BinaryIO) -> Iterator[bytes]:
    """Lines; the rest of one that is too long is skipped, and the line refused as no JSON."""
    while line := source.readline(MAX_LINE):
        is_whole = line.endswith(b"\n") or len(line) < MAX_LINE
        yield line if is_whole else b"{"
        while not is_whole and (rest := source.readline(MAX_LINE)):
            is_whole = rest.endswith(b"\n")


def _opened(name: str) -> BinaryIO:
    if name == "-":
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise Failure(Exit.NOT_FOUND, f"{name}: {error.strerror}") from error


def _incoming(message: Message, channel: ChannelPolicy, at: datetime, failure: str) -> Incoming:
    return Incoming(
        id=0,  # no message of the store has it
        channel=channel.name,
        medium=Medium(channel.medium),
        received_at=at,
        message=message,
        envelope=Envelope(),
        failure=failure,
    )


# ---- telling


def _print(screen: Screen, name: str, one: dict[str, Any], policy: Policy) -> None:
    if screen.is_json:
        screen.json(one)
        return
    message = one["message"]
    sender = message["from"]
    screen.line(screen.paint("bold", name))
    screen.wrapped(f"{sender['name']} <{sender['address']}>".strip(), first="  from     ", then=" " * 11)
    for label, value in _facts(message):
        screen.wrapped(value, first=f"  {label:<8} ", then=" " * 11)
    if one["kind"]:
        facts = [one["kind"], f"topic {(one['topic'] or 'none').replace('_', ' ')}", one["language"] or "no language"]
        facts += ["urgent"] if one["urgent"] else []
        screen.line(f"  ticket   {', '.join(facts)}; for {one['agent'] or 'nobody'}")
    for target in one["targets"]:
        due = dates.deadline(target["due_at"], policy.timezone, dates.EN, target["started_at"])
        screen.line(f"  promise  {target['target'].replace('_', ' ')} by {due} ({target['budget']})")
    for number, reason in enumerate(one["reasons"]):
        screen.wrapped(reason["sentence"], first="  because  - " if not number else " " * 11 + "- ", then=" " * 13)
    screen.line()


def _facts(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a reader of the mail would look for, in sentences; what is not there is left out."""
    for label in ("to", "cc"):
        if people := [f"{p['name']} <{p['address']}>".strip() for p in message[label][:MAX_TOLD]]:
            yield label, ", ".join(people)
    if message["subject"]:
        yield "subject", message["subject"]
    words = f"{len(message['text']):,} characters of new words"
    if message["quoted"]:
        words += f", {len(message['quoted']):,} quoted"
    yield "words", words + (", and those of attached mails" if message["enclosed"] else "")
    for file in message["attachments"][:MAX_TOLD]:
        place = ", within the text" if file["inline"] else ""
        yield "file", f"{file['name']} ({file['type']}, {file['size']:,} octets{place})"
    if (rest := len(message["attachments"]) - MAX_TOLD) > 0:
        yield "", f"and {rest} more files"
    if bounce := message["bounce"]:
        about = bounce["recipient"] or "somebody it does not name"
        yield "report", f"{bounce['kind']} for {about} {bounce['status']} {bounce['reason']}".rstrip()
    if message["auto_submitted"]:
        yield "machine", message["auto_submitted"]
    if message["spam"]:
        yield "spam", message["spam"]
    passed = [f"{v['method']}={v['result']} {v['domain']}".rstrip() for v in message["authentication"][:MAX_TOLD]]
    if passed:
        yield "claims", ", ".join(passed)
