"""The web chat's frames to the page: what we say, as octets ready to send."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from channels.adapter import TranscriptLine

_OURS = re.compile(r"o[0-9]{1,18}")


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
    shown: Iterable[TranscriptLine],
    *,
    token: str,
    has_more: bool,
    firm: str,
    promise: str,
    max_text: int,
    now: datetime,
) -> bytes:
    """The answer to `hello`. `promise` says when somebody answers, "" if nothing can be promised."""
    return orjson.dumps(
        {
            "type": "welcome",
            "token": token,
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
