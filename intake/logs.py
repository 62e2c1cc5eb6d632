"""Structured logs: one line, one fact, past tense.

JSON lines on stdout for journald and jq; a console rendering on a terminal. Every event of the event log is also a log
line with the same name and fields, so that a message can be followed by its id. No bodies, addresses or secrets at
INFO. Writing goes through a queue and a thread of its own: a full disk or a slow terminal never reaches the caller.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import structlog

from routing.records import Event

MAX_FIELD = 2_000  # characters of one field
MAX_QUEUED = 20_000  # lines that may wait to be written; more are dropped and counted

#: Libraries whose INFO says too much: httpx logs a bot's token, aioimaplib the mails.
QUIET = ("httpx", "httpcore", "aioimaplib", "aiosmtplib", "aiohttp.access", "telegram", "alembic", "mail.log", "pymap")

#: Events that an operator must see although nothing crashed.
WARNINGS = frozenset(
    {
        "agent_unreachable",
        "assignment_failed",
        "complaint_received",
        "delivery_bounced",
        "delivery_failed",
        "delivery_unknown",
        "message_parked",
        "reply_held",
        "supervisor_missing",
        "manager_missing",
        "target_breached",
        "token_misused",
    }
)


#: Events that somebody must act on, and what to do.
ERRORS = {
    "automatic_stopped": "look for a mail loop or a flood of forged senders in `intake tickets` and `intake show`; it"
    " goes on by itself after a quiet hour; if this much mail is usual, raise [limits] automatic_per_hour",
}


class _Dropping(logging.handlers.QueueHandler):
    """Never blocks and never raises: what does not fit is counted."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            type(self).dropped += 1


class _Quiet(logging.StreamHandler):  # type: ignore[type-arg]
    """A full disk behind stdout must not become a traceback on stderr for every line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        _Dropping.dropped += 1


def nameless(words: str, limit: int = 300) -> str:
    """Somebody's words, cut to `limit` characters, without the addresses in them: the log names people by id."""
    return _ADDRESS.sub("…", words[:limit])


_ADDRESS = re.compile(r"[^\s<>:;,]+@[^\s<>:;,]+")


def _exception(_: Any, __: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A traceback at a bounded length: where it began, and how it ended, without addresses."""
    text = str(fields.get("exception", ""))
    if text:
        end = f"…{nameless(text[-MAX_FIELD:], MAX_FIELD)}" if len(text) > MAX_FIELD else ""
        fields["exception"] = nameless(text, MAX_FIELD) + end
    return fields


#: Line ends, colours, characters that turn the direction of reading: on a terminal they could draw another line.
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _written_out(text: str) -> str:
    return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(_: Any, __: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name, value in fields.items():
        if isinstance(value, str):
            # A traceback has lines; each is indented, so that none of them can pass for an entry of its own.
            lines = value.split("\n") if name == "exception" else [value]
            fields[name] = "\n    ".join(map(_written_out, lines))
    return fields


def _cap(_: Any, __: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name, value in fields.items():
        if isinstance(value, str) and len(value) > MAX_FIELD:
            fields[name] = value[:MAX_FIELD] + "…"
    return fields


class _Line:
    """A line that is ready to be written: the queue takes it in place of a record, at a tenth of the price."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _json(fields: Any, **_: Any) -> str:
    text = orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    # JSON lets them stand; they occur in strings alone, where the same is said in ASCII.
    return text if text.isascii() and "\x7f" not in text else _written_out(text)


class _Listener(logging.handlers.QueueListener):
    """Writes what is queued; flushes when nothing more waits."""

    def handle(self, record: Any) -> None:
        if not isinstance(record, _Line):
            super().handle(record)
            return
        try:
            sys.stdout.write(record.text + "\n")
            if self.queue.empty():  # type: ignore[attr-defined]
                sys.stdout.flush()
        except (OSError, ValueError):
            _Dropping.dropped += 1


_listener: logging.handlers.QueueListener | None = None
_lines: queue.Queue[Any] | None = None  # where finished lines go; None while lines are rendered for a terminal


def setup(level: str, style: str) -> None:
    """Begin to log. `style`: "json", "console", or "auto" for console on a terminal."""
    global _listener, _lines
    is_console = style == "console" or (style == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _cap,
        structlog.processors.format_exc_info,  # here: the thread that writes knows nothing of the exception
        _exception,
    ]
    last: list[Any] = (
        [_plain, structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]
        if is_console
        else [
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    )
    stop()
    waiting: queue.Queue[Any] = queue.Queue(MAX_QUEUED)
    output = _Quiet(sys.stdout)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers = [_Dropping(waiting)]
    set_level(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _listener = _Listener(waiting, output)
    _listener.start()
    _lines = None if is_console else waiting


def set_level(level: str) -> None:
    logging.getLogger().setLevel(level.upper())


def stop() -> None:
    """Write what is queued and end the thread."""
    global _listener, _lines
    _lines = None
    if _listener is not None:
        _listener.stop()
        _listener = None


def tell(log: Any, events: Sequence[Event] | Iterable[Event]) -> None:
    """Log events that were committed, each under its own name."""
    root = logging.getLogger()
    for event in events:
        level = _level(event.kind)
        if root.level > level:
            continue
        fields = _fields(event)
        if _lines is not None:
            _write(_lines, event, logging.getLevelName(level).lower(), fields)
        else:
            log.log(level, event.kind, **fields)


def _level(kind: str) -> int:
    return logging.ERROR if kind in ERRORS else logging.WARNING if kind in WARNINGS else logging.INFO


def _fields(event: Event) -> dict[str, Any]:
    """What a line says of an event: its columns, and its data without the long lists of why."""
    fields: dict[str, Any] = {"mend": ERRORS[event.kind]} if event.kind in ERRORS else {}
    for name in ("ticket", "message", "customer", "agent", "outbox"):
        value = getattr(event, name)
        if value is not None:
            fields[name] = value
    for name, value in event.data.items():
        if value is not None and name not in ("reasons", "candidates"):
            fields[name] = value[:MAX_FIELD] if isinstance(value, str) else value
    return fields


def _write(lines: queue.Queue[Any], event: Event, level: str, fields: dict[str, Any]) -> None:
    text = _json({"event": event.kind, "level": level, **fields, "at": event.at})
    try:
        lines.put_nowait(_Line(text))
    except queue.Full:
        _Dropping.dropped += 1
