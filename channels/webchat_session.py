"""The web chat's frame protocol: what a frame from the page means, decided without any input or output.

A `Conversation` is one socket. It is fed text frames and answers each with exactly one effect, which the
shell (`channels.webchat`) carries out. Frames are JSON objects with a `type`; docs/protocols-webchat.md lists them.

Positions. A line's id is also its position in the transcript: ``m<message id>`` for a visitor's line,
``o<outbox id>`` for one of ours. `after` is the id of the last line the page surely has ("" for none). Ids do not
sort by themselves: whoever keeps the transcript knows the order and answers with what comes after that line.

Failure semantics. A malformed frame closes the socket (1003, 1007) and nothing of it is kept. Too fast is told
(`slow_down`) and closes only the socket of one who does not listen (1008). A token that was not signed here is no
error: its bearer is a new visitor, and sees nobody else's lines.
"""

from __future__ import annotations

import base64
import hmac
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from channels.adapter import Arrival, Envelope, TranscriptLine
from channels.message import Address, Medium, Message, Scheme, Verdict

MAX_TEXT = 4000  # characters of one line
FRAME_OVERHEAD = 512  # octets of a `msg` frame beside its text
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
_OURS = re.compile(r"o[0-9]{1,18}")
#: C0 and C1 controls but tab and line feed; a database or a terminal may stumble over them.
_CONTROLS = {c: None for c in (*range(0x20), *range(0x7F, 0xA0)) if c not in (0x09, 0x0A)}


# --- who somebody is ---------------------------------------------------------------------------------------------


def sign(key: bytes, channel: str, session: str) -> str:
    """The token that proves a session id to be ours; it is bound to one channel."""
    mac = hmac.digest(key, f"intake webchat\0{channel}\0{session}".encode(), "sha256")
    return f"{session}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def session_of(key: bytes, channel: str, token: str) -> str | None:
    """The session id in a token, None if the token was not signed with this key for this channel."""
    session = token.partition(".")[0]
    is_ours = hmac.compare_digest(sign(key, channel, session).encode(), token.encode())
    return session if is_ours else None


# --- how fast somebody may be ------------------------------------------------------------------------------------


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


# --- what a frame asks for ---------------------------------------------------------------------------------------


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


# --- what we say -------------------------------------------------------------------------------------------------


def milliseconds(at: datetime) -> int:
    """Times in frames: milliseconds since 1970, which the page shows in its own time zone."""
    return round(at.timestamp() * 1000)


def _line(line: TranscriptLine) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": line.id, "text": line.text, "at": milliseconds(line.at)}
    if line.is_from_visitor:
        shown["client"] = line.client_id
    else:
        shown["author"] = line.author
    return shown


def ours(lines: Iterable[TranscriptLine]) -> list[str]:
    """The ids of the lines that the page is to confirm."""
    return [line.id for line in lines if not line.is_from_visitor and _OURS.fullmatch(line.id)]


def line(shown: TranscriptLine) -> bytes:
    """One new line. A visitor's line carries `client`, one of ours `author`."""
    return orjson.dumps({"type": "line", **_line(shown)})


def lines(shown: Iterable[TranscriptLine], has_more: bool) -> bytes:
    """A stretch of the transcript, oldest first; `more`: ask again with `since`."""
    return orjson.dumps({"type": "lines", "lines": [_line(each) for each in shown], "more": has_more})


def welcome(
    greet: Greet,
    shown: Iterable[TranscriptLine],
    *,
    has_more: bool,
    firm: str,
    promise: str,
    max_text: int,
    now: datetime,
) -> bytes:
    """The answer to `hello`. `promise` is a sentence on when somebody answers, "" if nothing can be promised."""
    return orjson.dumps(
        {
            "type": "welcome",
            "token": greet.token,
            "lines": [_line(each) for each in shown],
            "more": has_more,
            "firm": firm,
            "promise": promise,
            "max_text": max_text,
            "now": milliseconds(now),
        }
    )


def ack(client_id: str, message_id: int) -> bytes:
    """The line is on the disk; a repeated line gets the same octets."""
    return b'{"type":"ack","id":"%b","line":"m%d"}' % (client_id.encode(), message_id)


def seen(outbox_ids: Iterable[int]) -> bytes:
    """These confirmations are recorded."""
    return orjson.dumps({"type": "seen", "ids": [f"o{i}" for i in outbox_ids]})


def slow_down(wait: float, client_id: str = "") -> bytes:
    """Not kept: send it again after so many seconds."""
    return orjson.dumps({"type": "slow_down", "id": client_id, "retry_ms": int(wait * 1000) + 1})


def busy(wait: float, client_id: str = "") -> bytes:
    """Not kept, the store cannot take it: try again later."""
    return orjson.dumps({"type": "busy", "id": client_id, "retry_ms": int(wait * 1000)})


def refused(client_id: str, reason: str) -> bytes:
    """Not kept and never will be: `too_long` or `empty`."""
    return orjson.dumps({"type": "refused", "id": client_id, "reason": reason})


# --- raw -> normal form ------------------------------------------------------------------------------------------


def read(raw: bytes) -> Message:
    """The normal form of an accepted line. Raises ValueError for anything this module has not written."""
    data = orjson.loads(raw)
    try:
        session, client_id, text = data["session"], data["client_id"], data["text"]
        name, language = data.get("name", ""), data.get("language", "")
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"no chat line: {error!r}") from error
    if not all(isinstance(each, str) for each in (session, client_id, text, name, language)):
        raise ValueError("no chat line: a field is not a text")
    words = clean(text)
    return Message(
        medium=Medium.CHAT,
        sender=Address(scheme=Scheme.WEB, value=session, display_name=_safe_name(name)),
        text=words,
        text_full=words,
        message_id=f"{session}:{client_id}",
        references=(session,),
        language=language,
        authentication=(Verdict(by="webchat", method="token", result="pass"),),
    )


def clean(text: str) -> str:
    """The words without control characters; line ends as line feeds."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS).strip()


def _safe_name(name: str) -> str:
    """Without control, bidi and zero-width characters."""
    folded = unicodedata.normalize("NFKC", name)
    return " ".join("".join(c for c in folded if unicodedata.category(c)[0] != "C").split())[:MAX_NAME]
