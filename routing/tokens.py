"""Tokens and canaries: secret marks that say which ticket a mail belongs to, and that betray internal text.

A token is one of three things an agent's mail needs (PROMISES.md, G8); alone it proves nothing, because address
books remember addresses. It is never trusted for its shape: the store looks it up, and the HMAC is made again.
Mail systems may lower- or upper-case local parts, so tokens are compared in lower case. A canary is put into every
internal block; found in what would leave, it stops the mail (G15).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32decode, b32encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from channels.message import Message, Scheme
from routing.folding import fold, squeeze
from routing.policy import ChannelPolicy

MIN_SECRET = 16  # bytes
MAC = 16  # bytes: 128 bit
TOKEN_PREFIX = "ikt"  # noqa: S105
TOKEN_LENGTH = 31  # characters: the prefix and base32 of 1 + 16 bytes
CANARY_PREFIX = "ikc-"
CANARY_BITS = 80  # 16 characters of base32
MAX_LOCAL_PART = 64  # octets, RFC 5321 §4.5.3.1.1

PIECE = 512 * 1024  # octets of a file searched at a time
MAX_MARK = 40  # octets: longer than any token or canary

# 17 bytes fill 27.2 characters, so the last one holds a single bit: it is "a" or "q".
_TOKEN = re.compile(r"ikt[a-z2-7]{27}[aq]")
_CANARY = re.compile(r"ikc-[a-z2-7]{16}")
_TOKEN_OCTETS, _CANARY_OCTETS = (re.compile(one.pattern.encode()) for one in (_TOKEN, _CANARY))


@dataclass(frozen=True, slots=True)
class Key:
    """One secret of the desk. `id` is in clear in every token made with it."""

    id: int  # 0..255
    secret: bytes  # 16 bytes or more

    def __post_init__(self) -> None:
        if not 0 <= self.id <= 255:
            raise ValueError("a key id is a number from 0 to 255")
        if len(self.secret) < MIN_SECRET:
            raise ValueError(f"a key has {MIN_SECRET} bytes or more")

    def __repr__(self) -> str:
        return f"Key(id={self.id})"  # a secret must not reach a log by way of a traceback


@dataclass(frozen=True, slots=True)
class Keyring:
    """The key that new tokens are made with, and those whose tokens still count."""

    current: Key
    previous: tuple[Key, ...] = ()

    def __post_init__(self) -> None:
        if len({key.id for key in self.all}) != len(self.all):
            raise ValueError("two keys of the ring have the same id")

    @property
    def all(self) -> tuple[Key, ...]:
        return (self.current, *self.previous)

    @property
    def secrets(self) -> tuple[bytes, ...]:
        return tuple(key.secret for key in self.all)

    @classmethod
    def from_secret(cls, text: str) -> Keyring:
        """A ring from the key file: one secret a line, the current one first, blank lines and `#` comments apart.

        To change the key, write the new one above the old. Raises ValueError, without the secret in its words.
        """
        lines = [line.strip() for line in text.splitlines()]
        secrets = [line.encode() for line in lines if line and not line.startswith("#")]
        if not secrets:
            raise ValueError("the key file is empty")
        keys = [Key(hashlib.sha256(secret).digest()[0], secret) for secret in secrets]
        return cls(keys[0], tuple(keys[1:]))

    def by_id(self, key_id: int) -> Key | None:
        return next((key for key in self.all if key.id == key_id), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRecord:
    """A token as the store keeps it. `used_at` is of interest to single-use links alone."""

    token: str
    ticket: int
    agent: str
    purpose: str
    serial: int  # makes two tokens of one ticket, agent and purpose differ
    issued_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None


REPLY = "reply"  # purpose of a token that lets an agent answer a ticket
ADVISED = f"{REPLY}:advice"  # of one in a mail with a colleague's advice: who answers that may mean the colleague
CONFIRM = "confirm"  # of one that lets an agent answer a question of ours: "confirm:17"
CONSULT = "consult"  # of one that lets a senior advise a colleague: "consult:chen"; what he writes reaches no customer
ENROL = "enrol"  # of one in an agent's welcome: "enrol:chen"; it is of no ticket
ACT = "act"  # of one that stands in a link and does one thing, once: "act:close"
BIND = "bind"  # of one that makes the Telegram account which sends it an agent's, once: "bind:chen"
FILES = "files"  # of one that lets him fetch the files of a message: "files:42"


def purpose_of_files(message: int) -> str:
    """The purpose of a link to a message's files."""
    return f"{FILES}:{message}"


def purpose_of_act(command: str) -> str:
    """The purpose of a link that does what a command does."""
    return f"{ACT}:{command}"


def act_of(record: TokenRecord) -> str:
    """The command that a link was made for."""
    return record.purpose.partition(":")[2]


def message_of_files(record: TokenRecord) -> int:
    """The message whose files a link leads to."""
    return int(record.purpose.partition(":")[2])


def purpose_of_enrolment(agent: str) -> str:
    """The purpose of the token in an agent's welcome."""
    return f"{ENROL}:{agent}"


def purpose_of_binding(agent: str) -> str:
    """The purpose of the code by which an agent's Telegram account is made known."""
    return f"{BIND}:{agent}"


def kind_of(record: TokenRecord) -> str:
    """What a token is for: REPLY, CONFIRM, CONSULT, ENROL, BIND, ACT, FILES."""
    return record.purpose.partition(":")[0]


@dataclass(frozen=True, slots=True)
class TokenVerdict:
    """`reason` is "" when ok, else no_token, forged, foreign_agent, revoked, expired or closed_ticket."""

    ok: bool
    reason: str = ""


def mint(keyring: Keyring, *, ticket: int, agent: str, purpose: str, serial: int) -> str:
    """The token for these facts: always the same one, 31 characters of [a-z2-7]."""
    return _mint(keyring.current, ticket, agent, purpose, serial)


def issue(
    keyring: Keyring,
    *,
    ticket: int,
    agent: str,
    purpose: str,
    serial: int,
    now: datetime,
    counts_for: timedelta | None = None,
) -> TokenRecord:
    """The token for these facts, as the store keeps it: given out now."""
    return TokenRecord(
        token=mint(keyring, ticket=ticket, agent=agent, purpose=purpose, serial=serial),
        ticket=ticket,
        agent=agent,
        purpose=purpose,
        serial=serial,
        issued_at=now,
        expires_at=now + counts_for if counts_for is not None else None,
    )


def _mint(key: Key, ticket: int, agent: str, purpose: str, serial: int) -> str:
    if "\0" in agent or "\0" in purpose:
        raise ValueError("a name in a token holds no NUL")
    facts = f"token\0{ticket}\0{serial}\0{purpose}\0{agent}".encode()
    mac = hmac.digest(key.secret, facts, "sha256")[:MAC]
    return TOKEN_PREFIX + b32encode(bytes([key.id]) + mac).decode().rstrip("=").lower()


def is_genuine(keyring: Keyring, token: str, *, ticket: int, agent: str, purpose: str, serial: int) -> bool:
    """Whether we made this token for these facts, with any key of the ring. Constant time; never raises."""
    key = keyring.by_id(key_id_of(token))
    if key is None or "\0" in agent or "\0" in purpose:
        return False
    return hmac.compare_digest(_mint(key, ticket, agent, purpose, serial).encode(), token.lower().encode())


def key_id_of(token: str) -> int:
    """The id of the key that a token names, -1 if it has not the shape of one."""
    lower = token.lower()
    if not _TOKEN.fullmatch(lower):
        return -1
    return b32decode(lower[3:11].upper())[0]


def judge(
    keyring: Keyring,
    record: TokenRecord | None,
    *,
    speaker_agent: str,
    ticket_closed_at: datetime | None,
    now: datetime,
    closed_days: int,
    purposes: frozenset[str] = frozenset({REPLY}),
) -> TokenVerdict:
    """Whether a token that the store knows counts, in the mail of `speaker_agent`, at `now`.

    A token made for something else counts for nothing: a link to a file lets nobody write to a customer.
    `record` is what the store found under the presented token, None when it found nothing. Who the speaker is
    must have been shown by evidence before.
    """
    if record is None or kind_of(record) not in purposes:
        return TokenVerdict(False, "no_token")
    if not is_genuine(
        keyring,
        record.token,
        ticket=record.ticket,
        agent=record.agent,
        purpose=record.purpose,
        serial=record.serial,
    ):
        return TokenVerdict(False, "forged")
    if record.agent != speaker_agent:
        return TokenVerdict(False, "foreign_agent")
    if record.revoked_at is not None and record.revoked_at <= now:
        return TokenVerdict(False, "revoked")
    if record.expires_at is not None and record.expires_at <= now:
        return TokenVerdict(False, "expired")
    if ticket_closed_at is not None and now - ticket_closed_at > timedelta(days=closed_days):
        return TokenVerdict(False, "closed_ticket")
    return TokenVerdict(True)


def find_tokens(text: str) -> tuple[str, ...]:
    """Everything in `text` that has the shape of a token, lower case, each once, in order. Linear."""
    return tuple(dict.fromkeys(_TOKEN.findall(fold(text))))


def find_wrapped_tokens(text: str, key_ids: Iterable[int]) -> tuple[str, ...]:
    """Tokens in `text` even where a client wrapped, hyphenated or spread them.

    Once white space is gone, ordinary words run together ("Konflikt zwischen …"), so only tokens that name one of
    `key_ids` count here.
    """
    known = frozenset(key_ids)
    found = _TOKEN.findall(squeeze(text).replace("-", ""))
    return tuple(dict.fromkeys((*find_tokens(text), *(t for t in found if key_id_of(t) in known))))


def canary(keyring: Keyring, ticket: int) -> str:
    """The mark in every internal block of this ticket: "ikc-" and 16 characters, always the same."""
    return _canary(keyring.current, ticket)


def _canary(key: Key, ticket: int) -> str:
    mac = hmac.digest(key.secret, f"canary\0{ticket}".encode(), "sha256")[: CANARY_BITS // 8]
    return CANARY_PREFIX + b32encode(mac).decode().lower()


def is_canary_of(keyring: Keyring, found: str, ticket: int) -> bool:
    """Whether this canary marks that ticket, with any key of the ring: a quoted one refers to the ticket (G8)."""
    lower = found.lower().encode()
    return any(hmac.compare_digest(_canary(key, ticket).encode(), lower) for key in keyring.all)


def find_canaries(text: str) -> tuple[str, ...]:
    """Every canary in `text`, lower case, each once, even where a client wrapped or hyphenated it. Linear."""
    return tuple(dict.fromkeys((*_CANARY.findall(fold(text)), *_CANARY.findall(squeeze(text)))))


def is_marked(keyring: Keyring, content: bytes) -> bool:
    """Whether a canary or a token of ours stands in the octets of a file, in UTF-8 or UTF-16. Linear.

    What is packed or encrypted is not looked into. Looked at piece by piece: each step is short, however large it is.
    """
    ids = {key.id for key in keyring.all}
    tail = b""
    for start in range(0, len(content), PIECE):
        plain = tail + content[start : start + PIECE].replace(b"\0", b"").lower()
        if any(key_id_of(t[0].decode()) in ids for t in _TOKEN_OCTETS.finditer(plain)):
            return True
        if _CANARY_OCTETS.search(plain) is not None:
            return True
        tail = plain[-MAX_MARK:]  # what begins here may end in the next piece
    return False


def reply_address(channel: ChannelPolicy, token: str) -> str:
    """Where an agent's answer goes: `support+ikt…@firm`, `ikt…@token-domain`, or the desk's bare address.

    Raises ValueError when the local part would be longer than RFC 5321 allows.
    """
    local, _, domain = channel.address.rpartition("@")
    if channel.token_in == "references":  # noqa: S105
        return channel.address
    if channel.token_in == "subdomain":  # noqa: S105
        return f"{token}@{channel.token_domain or domain}"
    with_token = f"{local}+{token}"
    if len(with_token.encode()) > MAX_LOCAL_PART:
        raise ValueError(f"{channel.address} is too long to carry a token")
    return f"{with_token}@{domain}"


def tokens_in_recipients(message: Message, rcpt_to: Iterable[str] = ()) -> tuple[str, ...]:
    """Tokens in the local parts of the addresses a mail was sent to; the envelope's come first.

    Only a whole local part, or what stands after its first plus sign, is a token's place.
    """
    values = [*rcpt_to, *(r.address.value for r in message.recipients if r.address.scheme is Scheme.MAIL)]
    found: list[str] = []
    for value in values:
        local = value.strip().strip("<>").rpartition("@")[0]
        if not local.isascii():  # a Kelvin sign in lower case is a "k": what only looks like a token is none
            continue
        local = local.lower()
        found.extend(part for part in (local, local.partition("+")[2]) if _TOKEN.fullmatch(part))
    return tuple(dict.fromkeys(found))


def reference_message_id(token: str, domain: str) -> str:
    """The Message-ID that carries a token where addresses cannot vary (mode "references")."""
    return f"<{token}@{domain}>"


def token_of_reference(message_id: str, domain: str) -> str:
    """The token in a Message-ID that `reference_message_id` made, "" if there is none."""
    if not message_id.isascii():
        return ""
    local, _, at = message_id.strip().lower().removeprefix("<").removesuffix(">").rpartition("@")
    return local if at == domain.lower() and _TOKEN.fullmatch(local) else ""


def tokens_in_references(message: Message, domain: str) -> tuple[str, ...]:
    """Tokens in the Message-IDs that a mail answers, the nearest first."""
    ids = (*message.in_reply_to, *reversed(message.references))
    return tuple(dict.fromkeys(token for token in (token_of_reference(i, domain) for i in ids) if token))
