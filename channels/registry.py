"""Which type in config.toml is which adapter: a table someone can read.

Adding a channel: its settings in `settings.py`, its adapter in a module of its own, one line here.
Builders import their libraries when called, so that reading a configuration costs no network library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from channels.adapter import Adapter, Tools
from channels.message import Medium, Message


def _mail(name: str, settings: Any, tools: Tools) -> Adapter:
    from channels.mail import build

    return build(name, settings, tools)


def _webchat(name: str, settings: Any, tools: Tools) -> Adapter:
    from channels.webchat import build

    return build(name, settings, tools)


def _telephony(name: str, settings: Any, tools: Tools) -> Adapter:
    from channels.telephony import build

    return build(name, settings, tools)


def _telegram(name: str, settings: Any, tools: Tools) -> Adapter:
    from channels.telegram import build

    return build(name, settings, tools)


Builder = Callable[[str, Any, Tools], Adapter]

BUILDERS: dict[str, Builder] = {
    "mail": _mail,
    "webchat": _webchat,
    "telephony": _telephony,
    "telegram": _telegram,
}

MEDIA: dict[str, Medium] = {
    "mail": Medium.EMAIL,
    "webchat": Medium.CHAT,
    "telephony": Medium.PHONE,
    "telegram": Medium.TELEGRAM,
}


def readers() -> dict[Medium, Callable[[bytes], Message]]:
    """How the raw bytes of a push channel are read; mail is parsed in a worker instead."""
    from channels.call_events import read as read_call
    from channels.telegram_reading import read as read_update
    from channels.webchat_reading import read as read_chat

    return {Medium.CHAT: read_chat, Medium.PHONE: read_call, Medium.TELEGRAM: read_update}


def build(name: str, settings: Any, tools: Tools) -> Adapter:
    """The adapter for one channel of the configuration. Does no input or output."""
    return BUILDERS[settings.type](name, settings, tools)
