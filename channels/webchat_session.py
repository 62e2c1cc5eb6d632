"""The web chat's frame protocol: what a frame from the page means, decided without any input or output.

A `Conversation` is one socket. It is fed text frames and answers each with exactly one effect, which the shell
(`channels.webchat`) carries out. Frames are JSON objects with a `type`; docs/protocols-webchat.md lists them.

Positions. A line's id is also its position in the transcript: ``m<message id>`` for a visitor's line,
``o<outbox id>`` for one of ours. `after` is the id of the last line the page surely has ("" for none). Ids do
not sort by themselves: whoever keeps the transcript knows the order and answers with what comes after it.

Failure semantics. A malformed frame closes the socket (1003, 1007) and nothing of it is kept. Too fast is told
(`slow_down`) and closes only the socket of one who does not listen (1008). A token that was not signed here is
no error: its bearer is a new visitor, and sees nobody else's lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from channels.adapter import Arrival, Envelope
from channels.message import Medium
from channels.webchat_frames import refused, slow_down
from channels.webchat_reading import clean
from channels.webchat_tokens import session_of, sign

MAX_TEXT = 4000  # characters of one line
FRAME_OVERHEAD = 640  # octets of a `msg` frame beside its text
OCTETS_A_CHARACTER = 3  # at most, of a UTF-16 unit in JSON as browsers write it
MAX_NAME = 60  # characters
MAX_PAGE = 300  # characters of the address of the page the visitor is on
MAX_POSITION = 64  # characters
MAX_GOT = 200  # ids in one `got` frame
MAX_OFFERED = 1000  # lines of ours that one page may leave unconfirmed
MAX_STRIKES = 50  # frames in a row that achieve nothing, before the socket is closed
BURST_SECONDS = 2.0  # of allowance that a quiet visitor may spend at once

UNSUPPORTED = 1003  # RFC 6455 §7.4.1
MALFORMED = 1007
POLICY = 1008

LANGUAGES = frozenset({"zh-Hant", "zh-Hans", "en"})
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Bucket:
    """A token bucket: `rate` a second, after a rest `rate * BURST_SECONDS` at once."""

    __slots__ = ("_at", "_level", "_rate", "_size")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._size = max(1.0, rate * BURST_SECONDS)
        self._level = self._size
        self._at = 0.0

    def take(self, tick: float) -> float:
        """Take one; 0.0 if there was one, else the seconds until there is. `tick` is a monotonic time."""
        self._level = min(self._size, self._level + max(0.0, tick - self._at) * self._rate)
        self._at = tick
        if self._level >= 1.0:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self._rate


@dataclass(frozen=True, slots=True)
class Greet:
    """Answer with `welcome` and the lines after a position."""

    session: str
    token: str
    is_new: bool  # there can be no lines yet
    after: str
    language: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Accept this, and say `ack` only then."""

    client_id: str
    text: str
    arrival: Arrival


@dataclass(frozen=True, slots=True)
class Recall:
    """Answer with `lines` after a position."""

    after: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The page has shown these lines of ours."""

    outbox_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Say:
    """Send this frame."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """End the socket."""

    code: int  # RFC 6455 §7.4
    reason: str  # at most 123 octets of UTF-8


Effect = Greet | Keep | Recall | Seen | Say | Close


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What is the same for every socket of a channel."""

    channel: str  # name in config.toml
    key: bytes  # signs visitor tokens
    max_text: int  # characters
    new_session: Callable[[], str]  # 128 random bits, as 32 hex digits


def longest_text(max_frame: int) -> int:
    """How many characters surely fit into a frame of so many octets."""
    return min(MAX_TEXT, (max_frame - FRAME_OVERHEAD) // OCTETS_A_CHARACTER)


class Conversation:
    """One socket: who speaks on it, and which of our lines he has not confirmed yet."""

    __slots__ = ("_bucket", "_envelope", "_offered", "_rules", "_strikes", "session")

    def __init__(self, rules: Rules, envelope: Envelope) -> None:
        self._rules = rules
        self._envelope = envelope
        self._bucket: Bucket | None = None
        self._offered: set[str] | None = None  # made when needed: most sockets are idle
        self._strikes = 0
        self.session = ""  # "" before `hello`

    def admit(self, bucket: Bucket) -> None:
        """Use the visitor's allowance, which his other tabs draw on too."""
        self._bucket = bucket

    def offer(self, line_ids: Iterable[str]) -> None:
        """Remember lines of ours on their way to this page: it may confirm these and no others."""
        offered = self._offered if self._offered is not None else set()
        for line_id in line_ids:
            if len(offered) < MAX_OFFERED:
                offered.add(line_id)
        self._offered = offered or None

    def take(self, frame: bytes | str, now: datetime, tick: float) -> Effect:
        """What one text frame asks for. `now` is aware UTC, `tick` a monotonic time in seconds."""
        try:
            data = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return Close(MALFORMED, "not JSON")
        if type(data) is not dict:
            return Close(MALFORMED, "not an object")
        kind = data.get("type")
        if kind == "hello":
            return self._hello(data)
        if self._bucket is None:
            return Close(POLICY, "say hello first")
        if kind == "msg":
            return self._msg(data, now, tick, self._bucket)
        if kind == "got":
            return self._got(data)
        if kind == "since":
            return self._since(data, tick, self._bucket)
        return Close(UNSUPPORTED, "unknown type of frame")

    def _hello(self, data: dict[str, Any]) -> Effect:
        token, after = data.get("token") or "", data.get("after") or ""
        if self.session:
            return Close(POLICY, "hello was said already")
        if not isinstance(token, str) or not _is_position(after):
            return Close(MALFORMED, "hello: token and after are texts")
        rules = self._rules
        known = session_of(rules.key, rules.channel, token) if token else None
        self.session = known or rules.new_session()
        return Greet(
            session=self.session,
            token=token if known else sign(rules.key, rules.channel, self.session),
            is_new=known is None,
            after=after if known else "",
            language=_language(data),
        )

    def _msg(self, data: dict[str, Any], now: datetime, tick: float, bucket: Bucket) -> Effect:
        client_id, text = data.get("id"), data.get("text")
        if not isinstance(client_id, str) or not _CLIENT_ID.fullmatch(client_id) or not isinstance(text, str):
            return Close(MALFORMED, "msg: id is 8 to 64 of A-Z a-z 0-9 _ -, text is a text")
        if wait := bucket.take(tick):
            return self._strike(Say(slow_down(wait, client_id)))
        if len(text) > self._rules.max_text:
            return self._strike(Say(refused(client_id, "too_long")))
        if not clean(text):
            return self._strike(Say(refused(client_id, "empty")))
        self._strikes = 0
        raw = {
            "session": self.session,
            "client_id": client_id,
            "text": text,
            "at": now,
            "language": _language(data),
        }
        for name, limit in (("name", MAX_NAME), ("page", MAX_PAGE)):
            value = data.get(name)
            if isinstance(value, str) and value:
                raw[name] = value[:limit]
        arrival = Arrival(
            channel=self._rules.channel,
            medium=Medium.CHAT,
            external_id=f"{self.session}:{client_id}",
            received_at=now,
            raw=orjson.dumps(raw, option=orjson.OPT_SORT_KEYS),
            envelope=self._envelope,
        )
        return Keep(client_id, text, arrival)

    def _got(self, data: dict[str, Any]) -> Effect:
        ids = data.get("ids")
        if not isinstance(ids, list) or len(ids) > MAX_GOT:
            return Close(MALFORMED, f"got: ids is a list of at most {MAX_GOT}")
        offered = self._offered or set()
        mine = tuple(dict.fromkeys(i for i in ids if isinstance(i, str) and i in offered))
        if not mine:
            return self._strike(Seen(()))
        self._strikes = 0
        return Seen(tuple(int(i[1:]) for i in mine))

    def confirmed(self, outbox_ids: Iterable[int]) -> None:
        """These are recorded: the page may not, and need not, confirm them again."""
        if self._offered is not None:
            self._offered.difference_update(f"o{i}" for i in outbox_ids)
            self._offered = self._offered or None

    def _since(self, data: dict[str, Any], tick: float, bucket: Bucket) -> Effect:
        after = data.get("after")
        if not _is_position(after):
            return Close(MALFORMED, "since: after is a text")
        if wait := bucket.take(tick):
            return self._strike(Say(slow_down(wait)))
        return Recall(str(after))

    def _strike(self, effect: Effect) -> Effect:
        self._strikes += 1
        return Close(POLICY, "too many frames") if self._strikes > MAX_STRIKES else effect


def _is_position(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_POSITION


def _language(data: dict[str, Any]) -> str:
    language = data.get("language")
    return language if isinstance(language, str) and language in LANGUAGES else ""
