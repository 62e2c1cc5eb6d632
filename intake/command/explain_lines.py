"""A message of any medium, written as one JSON object, in normal form: what `explain --jsonl` reads.

`channel` and `text` are wanted; every other key may be left out, and keys that are not known are passed over:
`from`, `to`, `cc` (a text, or {"address", "name"}, or a list of them), `subject`, `quoted`, `html`, `at` (ISO 8601),
`language`, `message_id`, `in_reply_to`, `references`, `auto_submitted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from channels import quotes
from channels.language import guess
from channels.message import Address, Medium, Message, Recipient, Role, Scheme
from channels.phone_numbers import canonical
from intake.dates import LANGUAGES, language_of

MAX_TEXT = 1024 * 1024  # characters

_SCHEMES = {Medium.EMAIL: Scheme.MAIL, Medium.PHONE: Scheme.PHONE, Medium.TELEGRAM: Scheme.TELEGRAM}


class NoMessage(ValueError):
    """The line cannot be read as a message; the words say why."""


def fields(line: bytes) -> dict[str, Any]:
    """The object of one line. Raises NoMessage."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise NoMessage(f"the line is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise NoMessage('a message is one JSON object a line: {"channel": "chat", "text": "…"}')
    return found


def moment(data: Mapping[str, Any], timezone: str) -> datetime | None:
    """`at`, in the desk's time zone where it names none; None where it is left out. Raises NoMessage."""
    written = data.get("at")
    if written is None:
        return None
    try:
        at = datetime.fromisoformat(_text(data, "at"))
    except ValueError:
        raise NoMessage('"at" is no time: write for example 2026-11-23T17:40:00+08:00') from None
    return at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(timezone))


def message(data: Mapping[str, Any], medium: Medium, region: str) -> Message:
    """The normal form. Raises NoMessage."""
    sender = next(iter(_people(data, "from", medium, region)), _nobody(medium))
    full = _text(data, "text")[:MAX_TEXT]
    quoted = _text(data, "quoted")
    new = full
    if medium is Medium.EMAIL and not quoted:
        cut = quotes.split(full, sender.value)
        new, quoted = cut.new, cut.quoted
    recipients = [Recipient(role=Role.TO, address=a) for a in _people(data, "to", medium, region)]
    recipients += [Recipient(role=Role.CC, address=a) for a in _people(data, "cc", medium, region)]
    return Message(
        medium=medium,
        sender=sender,
        recipients=tuple(recipients),
        subject=_text(data, "subject"),
        text=new,
        quoted=quoted,
        text_full=full,
        html=_text(data, "html"),
        message_id=_text(data, "message_id"),
        in_reply_to=_texts(data, "in_reply_to"),
        references=_texts(data, "references"),
        language=_language(data, new),
        auto_submitted=_text(data, "auto_submitted"),
    )


def _language(data: Mapping[str, Any], text: str) -> str:
    written = _text(data, "language")
    if written:
        return written if written in LANGUAGES else language_of(written)
    return guess(text) or guess(_text(data, "subject"))


def _nobody(medium: Medium) -> Address:
    return Address(scheme=_SCHEMES.get(medium, Scheme.WEB), value="")


def _people(data: Mapping[str, Any], key: str, medium: Medium, region: str) -> Iterable[Address]:
    value = data.get(key)
    for one in value if isinstance(value, list) else [] if value is None else [value]:
        if isinstance(one, Mapping):
            yield _address(_text(one, "address"), _text(one, "name"), medium, region)
        elif isinstance(one, str):
            name, _, rest = one.rpartition("<")
            is_named = bool(rest) and one.rstrip().endswith(">")
            yield _address(rest.strip(" <>") if is_named else one, name.strip(' "') if is_named else "", medium, region)
        else:
            raise NoMessage(f'"{key}" is an address, {{"address", "name"}}, or a list of them')


def _address(value: str, name: str, medium: Medium, region: str) -> Address:
    scheme = _SCHEMES.get(medium, Scheme.WEB)
    value = value.strip()
    if scheme is Scheme.PHONE:
        value = canonical(value, region)
    elif scheme is Scheme.MAIL:
        value = value.lower()
    return Address(scheme=scheme, value=value, display_name=name)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NoMessage(f'"{key}" must be a text')
    return value


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = data.get(key)
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    raise NoMessage(f'"{key}" must be a text or a list of texts')
