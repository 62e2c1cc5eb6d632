"""Structured logs: one line, one fact, past tense.

JSON lines on stdout for journald and jq; a console rendering on a terminal. Every event of the event log is also a log
line with the same name and fields, so that a message can be followed by its id. No bodies, addresses or secrets at
INFO. Writing goes through a queue and a thread of its own: a full disk or a slow terminal never reaches the caller.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
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
    {"target_breached", "message_parked", "assignment_failed", "agent_unreachable", "reply_held", "delivery_bounced",
     "delivery_failed", "delivery_unknown", "token_misused"}
)  # fmt: skip


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


def _cap(_: Any, __: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name, value in fields.items():
        if isinstance(value, str) and len(value) > MAX_FIELD:
            fields[name] = value[:MAX_FIELD] + "…"
    return fields


def _json(fields: Any, **_: Any) -> str:
    return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


_listener: logging.handlers.QueueListener | None = None


def setup(level: str, style: str) -> None:
    """Begin to log. `style`: "json", "console", or "auto" for console on a terminal."""
    global _listener
    is_console = style == "console" or (style == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _cap,
    ]
    last = (
        [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]
        if is_console
        else [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    )
    stop()
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(MAX_QUEUED)
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
    _listener = logging.handlers.QueueListener(waiting, output)
    _listener.start()


def set_level(level: str) -> None:
    logging.getLogger().setLevel(level.upper())


def stop() -> None:
    """Write what is queued and end the thread."""
    global _listener
    if _listener is not None:
        _listener.stop()
        _listener = None


def tell(log: Any, events: Sequence[Event] | Iterable[Event]) -> None:
    """Log events that were committed, each under its own name."""
    for event in events:
        fields = {
            name: value
            for name, value in (
                ("ticket", event.ticket),
                ("message", event.message),
                ("customer", event.customer),
                ("agent", event.agent),
                ("outbox", event.outbox),
            )
            if value is not None
        }
        fields.update({k: v for k, v in event.data.items() if k not in ("reasons", "candidates") and v is not None})
        if event.kind in WARNINGS:
            log.warning(event.kind, **fields)
        else:
            log.info(event.kind, **fields)
