"""Mail programs: which one wrote a mail, and on what kind of device. Of interest to people, evidence of nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from channels.message import Message

MAX_NAME = 40  # characters of a program's name that are kept
MAX_TAIL = 6  # lines at the end of the words in which a telephone names itself
MAX_LINE = 80  # characters of such a line

UNNAMED = "unnamed"  # a program that says nothing of itself, as it is kept


class Device(StrEnum):
    DESKTOP = "desktop"
    PHONE = "phone"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A mail program as its mails name it."""

    name: str  # safe to show, at most MAX_NAME characters, without ";"; UNNAMED where it says nothing
    device: Device


#: What stands in X-Mailer or User-Agent of programs on telephones; anything else that names itself has a desk.
_ON_PHONES = re.compile(
    r"iphone|ipad|android|(?:\b|_|mail|master)ios\b|k-9 mail|mobile|samsung|huawei|harmony|miui|blackberry",
    re.IGNORECASE,
)
#: What telephones put below the words, where their programs have no header: Outlook, Gmail, Apple, Chinese makers.
_SENT_FROM = re.compile(
    r"(?:sent from|get outlook for|發自|发自|從我的|从我的|傳送自|寄自|來自|来自|取得|获取|下載|下载|適用於|适用于)",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"(iphone|ipad|android|\bios\b|galaxy|huawei|xiaomi|honor|oppo|vivo|華為|华为|小米|榮耀|荣耀|手機|手机|mobile"
    r"|行動裝置|移动设备)",
    re.IGNORECASE,
)


def program_of(message: Message) -> Program:
    """The program that a mail's headers name, else the telephone that its last lines name."""
    for header in ("x-mailer", "user-agent"):
        for name, value in message.source_headers:
            if name.lower() == header and (shown := clean_name(value)):
                return Program(shown, Device.PHONE if _ON_PHONES.search(value[:200]) else Device.DESKTOP)
    for line in _tail(message):
        if len(line) <= MAX_LINE and _SENT_FROM.search(line) and (found := _PHONE.search(line)):
            return Program(clean_name(found[1]), Device.PHONE)
    return Program(UNNAMED, Device.UNKNOWN)


def _tail(message: Message) -> list[str]:
    """The lines between his words and what he quotes: such a line is taken for the beginning of either."""
    above = [line.strip() for line in message.text.splitlines() if line.strip()]
    below = [line.strip() for line in message.quoted[: MAX_LINE * MAX_TAIL * 2].splitlines() if line.strip()]
    return [*above[-MAX_TAIL:], *(line for line in below[:MAX_TAIL] if not line.startswith(">"))]


def device_of(name: str) -> Device:
    """The device of a program whose name was kept."""
    if name == UNNAMED or not name:
        return Device.UNKNOWN
    return Device.PHONE if _ON_PHONES.search(name) or _PHONE.search(name) else Device.DESKTOP


def clean_name(text: str) -> str:
    """A name that is safe to show on one line; what hides or turns text falls out, and so does our separator."""
    kept = "".join(c if c.isprintable() and c != ";" else " " for c in text[: MAX_NAME * 4])
    return " ".join(kept.split())[:MAX_NAME].strip()
