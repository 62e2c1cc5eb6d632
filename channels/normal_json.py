"""The normal form as JSON, there and back: what the store keeps and the parsing workers send.

`loads(dumps(message)) == message` for every message without lone surrogates, which no adapter makes. Fields at
their default are left out; fields unknown to this version are passed over, so that an older program can read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from channels.message import (
    Address,
    Attachment,
    Bounce,
    BounceKind,
    Call,
    CallEvent,
    Medium,
    Message,
    PassedOn,
    Recipient,
    Role,
    Scheme,
    Verdict,
)

_SCHEMES = {scheme.value: scheme for scheme in Scheme}
_ROLES = {role.value: role for role in Role}


def _defaults(record: type) -> tuple[tuple[str, Any], ...]:
    return tuple((f.name, f.default) for f in dataclasses.fields(record))


_MESSAGE_FIELDS = _defaults(Message)
_PASSED_ON = tuple(pair for pair in _defaults(PassedOn) if pair[0] != "original")
#: Strings, booleans, numbers: what JSON has itself.
_PLAIN = frozenset(
    {"subject", "text", "quoted", "text_full", "html", "message_id", "language", "content_key", "auto_submitted"}
    | {"spam", "from_count", "automatic_id", "is_absent_by_words", "is_stub", "enclosed"}
)
_STRINGS = frozenset({"in_reply_to", "references", "loop_marks", "defects"})


def dumps(message: Message) -> bytes:
    """One JSON object, UTF-8."""
    return orjson.dumps(_fields(message))


def _fields(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, default in _MESSAGE_FIELDS:
        value = getattr(message, name)
        if value != default:
            fields[name] = value
    if message.date_header is not None:
        fields["date_header"] = message.date_header.astimezone(UTC)
    if message.passed_on is not None:
        passed = message.passed_on
        others = {name: getattr(passed, name) for name, default in _PASSED_ON if getattr(passed, name) != default}
        fields["passed_on"] = {**others, "original": _fields(passed.original)}
    return fields


def loads(octets: bytes) -> Message:
    """The message. Raises ValueError, KeyError or TypeError for what `dumps` did not write."""
    stored = orjson.loads(octets)
    if not isinstance(stored, dict):
        raise TypeError("a message is a JSON object")
    return _message(stored)


def _message(stored: dict[str, Any]) -> Message:
    fields: dict[str, Any] = {
        "medium": Medium(stored["medium"]),
        "sender": _address(stored["sender"]),
    }
    for name, value in stored.items():
        if name in _PLAIN:
            fields[name] = value
        elif name in _STRINGS:
            fields[name] = tuple(value)
        elif name in _READERS:
            fields[name] = _READERS[name](value)
    return Message(**fields)


def _address(value: dict[str, str]) -> Address:
    return Address(scheme=_SCHEMES[value["scheme"]], value=value["value"], display_name=value.get("display_name", ""))


def _call(value: dict[str, Any]) -> Call:
    return Call(**{**value, "event": CallEvent(value["event"]), "users": tuple(value.get("users", ()))})


def _passed_on(value: dict[str, Any]) -> PassedOn:
    known = {name: value[name] for name, _ in _PASSED_ON if name in value}
    return PassedOn(original=_message(value["original"]), **known)


_READERS: dict[str, Callable[[Any], Any]] = {
    "recipients": lambda many: tuple(
        Recipient(role=_ROLES[one["role"]], address=_address(one["address"])) for one in many
    ),
    "reply_to": lambda many: tuple(map(_address, many)),
    "attachments": lambda many: tuple(Attachment(**one) for one in many),
    "date_header": datetime.fromisoformat,
    "bounce": lambda one: Bounce(**{**one, "kind": BounceKind(one["kind"])}),
    "authentication": lambda many: tuple(Verdict(**one) for one in many),
    "call": _call,
    "passed_on": _passed_on,
    "source_headers": lambda many: tuple((name, value) for name, value in many),
}
