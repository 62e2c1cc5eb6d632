"""What a telephone exchange posts, as canonical JSON and as a message; pure.

The form is the one exchanges already send to Zammad (generic CTI): JSON, urlencoded or multipart fields. What
makes an event worthless (no call id, no such event) is refused with the field's name; what is merely odd (an
unreadable time, a number that is none) is kept as sent, for a call must not be lost over it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import orjson

from channels.message import Address, Call, CallEvent, Medium, Message, Recipient, Role, Scheme
from channels.phone_numbers import canonical

MAX_FIELDS = 100  # of a form
MAX_CALL_ID = 250  # characters, as in Zammad
MAX_TEXT = 200  # characters of any other value
MAX_USERS = 50  # users of one event
MAX_EXTERNAL_ID = 400  # characters
#: A source time further off is a wrong clock, not a late delivery: arrival counts instead.
MAX_AHEAD = timedelta(minutes=5)
MAX_BEHIND = timedelta(hours=24)
_MILLISECONDS = 1e11  # epoch values above are milliseconds: as seconds they would lie in the year 5138

_EVENTS = {event.value.lower(): event for event in CallEvent}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BOUNDARY = re.compile(r'boundary="?([^";]{1,100})"?', re.IGNORECASE)
_PART_NAME = re.compile(rb'\bname="([^"\r\n]{1,100})"', re.IGNORECASE)
_EPOCH = re.compile(r"\d{1,20}(\.\d{1,9})?")
_INDEX = re.compile(r"\[\d*\]$")


class EventError(ValueError):
    """The event cannot be understood; the words name the field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PostedEvent:
    """One event as the exchange sent it, checked but not interpreted."""

    call_id: str
    event: CallEvent
    is_inbound: bool
    from_raw: str
    to_raw: str
    users: tuple[str, ...] = ()
    cause: str = ""
    time_raw: str = ""


def parse_body(body: bytes, content_type: str = "") -> PostedEvent:
    """The event in a request's body. Raises EventError."""
    fields = _fields(body, content_type)
    event = _EVENTS.get(_text(fields, "event").lower())
    if event is None:
        raise EventError('The field "event" must be "newCall", "answer" or "hangup".')
    direction = _text(fields, "direction").lower()
    if direction not in ("in", "out"):
        raise EventError('The field "direction" must be "in" or "out".')
    return PostedEvent(
        call_id=_call_id(fields),
        event=event,
        is_inbound=direction == "in",
        from_raw=_text(fields, "from"),
        to_raw=_text(fields, "to"),
        users=_users(fields),
        cause=_text(fields, "cause"),
        time_raw=_text(fields, "timestamp") or _text(fields, "time"),
    )


def external_id(posted: PostedEvent) -> str:
    """What is the same for a repeated event and differs for every other: call id, event, and who answered.

    A call that is handed on is answered by several; a call that was forwarded is hung up twice.
    """
    parts = [posted.call_id, posted.event.value]
    if posted.event is CallEvent.ANSWER and posted.users:
        parts.append("+".join(posted.users))
    if posted.event is CallEvent.HANGUP and posted.cause == "forwarded":
        parts.append(posted.cause)
    found = ":".join(parts)
    if len(found) <= MAX_EXTERNAL_ID:
        return found
    return f"{posted.call_id}:{posted.event.value}:{hashlib.sha256(found.encode()).hexdigest()}"


def source_time(posted: PostedEvent, now: datetime) -> datetime | None:
    """When the exchange says it happened, not later than `now`; None if it does not say, or says nonsense."""
    said = _instant(posted.time_raw)
    if said is None or not now - MAX_BEHIND <= said <= now + MAX_AHEAD:
        return None
    return min(said, now)


def canonical_json(posted: PostedEvent, region: str, received_at: datetime, source_at: datetime | None) -> bytes:
    """What is stored: sorted keys, numbers as sent and in canonical form, both times."""
    return orjson.dumps(
        {
            "call_id": posted.call_id,
            "cause": posted.cause,
            "direction": "in" if posted.is_inbound else "out",
            "event": posted.event.value,
            "from": canonical(posted.from_raw, region),
            "from_raw": posted.from_raw,
            "received_at": received_at,
            "source_at": source_at,
            "time_raw": posted.time_raw,
            "to": canonical(posted.to_raw, region),
            "to_raw": posted.to_raw,
            "users": posted.users,
        },
        option=orjson.OPT_SORT_KEYS,
    )


def read(raw: bytes) -> Message:
    """The normal form of stored canonical JSON. Raises ValueError when it is something else.

    A caller who withheld his number has an empty address: it says nothing about who he is.
    """
    try:
        event = orjson.loads(raw)
        call = Call(
            call_id=str(event["call_id"]),
            event=CallEvent(event["event"]),
            is_inbound=event["direction"] == "in",
            from_number=str(event["from"]),
            to_number=str(event["to"]),
            users=tuple(str(user) for user in event["users"]),
            cause=str(event["cause"]),
            has_source_time=event["source_at"] is not None,
        )
    except (KeyError, TypeError) as missing:
        raise ValueError(f"no call event: {missing}") from missing
    called = Address(scheme=Scheme.PHONE, value=call.to_number)
    return Message(
        medium=Medium.PHONE,
        sender=Address(scheme=Scheme.PHONE, value=call.from_number),
        recipients=(Recipient(role=Role.TO, address=called),) if call.to_number else (),
        message_id=call.call_id,
        references=(call.call_id,),
        call=call,
    )


def _fields(body: bytes, content_type: str) -> dict[str, Any]:
    """The posted fields by lower-case name; `user[]` and `user[0]` are `user`, repeated ones a list."""
    if body.lstrip()[:1] in (b"{", b"["):  # exchanges often declare JSON as a form, or not at all
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as wrong:
            raise EventError(f"The body is not JSON: {wrong}.") from None
        if not isinstance(found, dict):
            raise EventError('The body must be one JSON object, {"event": …}.')
        return {_INDEX.sub("", name).lower(): value for name, value in found.items()}
    pairs = _multipart(body, content_type) if "multipart/" in content_type.lower() else _urlencoded(body)
    fields: dict[str, Any] = {}
    for name, value in pairs:
        key = _INDEX.sub("", name).lower()
        if key == "user":
            fields.setdefault(key, []).append(value)
        else:
            fields.setdefault(key, value)
    if not fields:
        raise EventError('The body is empty; the field "event" is missing.')
    return fields


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("utf-8", "replace").strip(), max_num_fields=MAX_FIELDS)
    except ValueError:
        raise EventError(f"The body has more than {MAX_FIELDS} fields.") from None


def _multipart(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """The text fields of multipart/form-data (RFC 7578), as curl --form writes them."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise EventError("The Content-Type multipart/form-data names no boundary.")
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode("utf-8", "replace"), MAX_FIELDS + 2)
    if len(parts) > MAX_FIELDS + 2:
        raise EventError(f"The body has more than {MAX_FIELDS} fields.")
    found = []
    for part in parts[1:]:
        head, blank, value = part.partition(b"\r\n\r\n")
        name = _PART_NAME.search(head)
        if blank and name is not None:
            found.append((name[1].decode("utf-8", "replace"), value.decode("utf-8", "replace")))
    return found


def _text(fields: Mapping[str, Any], name: str) -> str:
    """A field as one line of text, `""` when it is absent. Raises EventError for a list and the like."""
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, float) and name in ("timestamp", "time"):
        return repr(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise EventError(f'The field "{name}" must be text.')
    return _CONTROL.sub("", str(value))[:MAX_TEXT].strip()


def _call_id(fields: Mapping[str, Any]) -> str:
    """`callId` or `call_id`: refused rather than cut, since it alone joins the events of a call."""
    value = fields.get("callid") or fields.get("call_id")
    if value is None or value == "":
        raise EventError('The field "callId" is missing.')
    # A fraction such as Asterisk's 1699999999.10 loses its last digit as a number.
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise EventError('The field "callId" must be text: write it in quotation marks.')
    text = str(value).strip()
    if not text or len(text) > MAX_CALL_ID or _CONTROL.search(text):
        raise EventError(f'The field "callId" must be 1 to {MAX_CALL_ID} characters without control characters.')
    return text


def _users(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """`user` and `answeringNumber`, each once, in the order sent."""
    value = fields.get("user")
    listed: Iterable[Any] = value if isinstance(value, list) else (value,)
    if not all(user is None or (isinstance(user, str | int) and not isinstance(user, bool)) for user in listed):
        raise EventError('The field "user" must be text or a list of texts.')
    named = [_text({"user": user}, "user") for user in listed] + [_text(fields, "answeringnumber")]
    return tuple(dict.fromkeys(user for user in named if user))[:MAX_USERS]


def _instant(text: str) -> datetime | None:
    """Epoch seconds or milliseconds, or ISO 8601 with a zone; None for anything else.

    A time without a zone is of no use: exchanges mean their own wall clock by it, and do not say which.
    """
    if not text:
        return None
    try:
        if _EPOCH.fullmatch(text):
            seconds = float(text)
            return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS else seconds, UTC)
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):
        return None
