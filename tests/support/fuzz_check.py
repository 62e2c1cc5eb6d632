"""What must hold of any octets whatever: nothing raises, all of it can be stored, none costs more than its length."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from channels import mime, normal_json
from channels.message import Message
from routing import threads, tokens
from routing.words import Standing

BASE_SECONDS = 0.050  # of processor time for one input, whatever it is
SECONDS_A_KIB = 0.003  # and for each KiB of it
ATTEMPTS = 3  # a slow one is measured again: the machine may have been busy

_NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
_KEYS = tokens.Keyring(tokens.Key(1, b"k" * 16))


class Wrong(AssertionError):
    """Something that must hold of every input does not."""


def check(raw: bytes) -> float:
    """Put a mail through everything that reads it before it is decided. Gives the seconds; raises Wrong, or theirs."""
    taken = _cpu(lambda: _all(raw))
    allowed = BASE_SECONDS + SECONDS_A_KIB * len(raw) / 1024
    for _ in range(ATTEMPTS - 1):
        if taken <= allowed:
            break
        taken = min(taken, _cpu(lambda: _all(raw)))
    if taken > allowed:
        raise Wrong(f"{taken * 1000:.0f} ms for {len(raw)} octets")
    return taken


def _cpu(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _all(raw: bytes) -> None:
    message = mime.parse(raw)
    _stored(message)
    _nothing_lost(message)
    _parts(raw, message)
    _stored(mime.headers_only(raw))
    _stored(mime.parse(raw[: len(raw) // 2], is_truncated=True))
    _threaded(message)


def _hold(claim: bool, what: str) -> None:
    if not claim:
        raise Wrong(what)


def _stored(message: Message) -> None:
    octets = normal_json.dumps(message)  # refuses lone surrogates
    _hold(normal_json.loads(octets) == message, "it comes back from the store as something else")
    _hold(b"\\u0000" not in octets and "\x00" not in octets.decode(), "a NUL, which PostgreSQL does not take")


def _nothing_lost(message: Message) -> None:
    whole = Counter(filter(str.strip, message.text_full.split("\n")))
    pieces = Counter(filter(str.strip, (*message.text.split("\n"), *message.quoted.split("\n"))))
    _hold(whole == pieces, "new and quoted words are not the whole")
    _hold(bool(message.text.strip()) or not message.text_full.strip(), "nothing was left of a text")


def _parts(raw: bytes, message: Message) -> None:
    octets = mime.parts_bytes(raw, [one.path for one in message.attachments])
    sizes = {path: len(content) for path, content in octets.items()}
    _hold(sizes == {one.path: one.size for one in message.attachments}, "a part has another size when it is fetched")


def _threaded(message: Message) -> None:
    keys = threads.lookup(message)
    _hold(
        len(keys.message_ids) <= threads.MAX_REFERENCES and len(keys.numbers) <= threads.MAX_NUMBERS, "unbounded keys"
    )
    ticket = threads.TicketFacts(ticket=1, customer=1, participants=frozenset({message.sender.key()}))
    facts = threads.ThreadFacts(
        now=_NOW,
        closed_days=30,
        tickets={1: ticket, **dict.fromkeys(keys.numbers, ticket)},
        by_message_id=dict.fromkeys(keys.message_ids[:3], 1),
        sender_customer=1,
        standing=Standing.VERIFIED,
    )
    found = threads.match(message, facts)
    _hold(found.ticket in (None, 1, *keys.numbers), "it joined a ticket that nobody found")
    threads.match(message, threads.ThreadFacts(now=_NOW, closed_days=30))
    threads.refers_to(message, 1, {}, lambda canary: tokens.is_canary_of(_KEYS, canary, 1))
    tokens.tokens_in_recipients(message)
    tokens.tokens_in_references(message, "f.example")
