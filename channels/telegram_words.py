"""What the Telegram channel says of itself: a greeting, a file that was too large; and how a long text is cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.telegram_reading import MAX_FILE, files_of, language_of, message_in

MAX_TEXT = 4096  # UTF-16 units of one message (core.telegram.org/bots/api#sendmessage)

_GREETING = {
    "zh-Hant": "您好，這裡是{firm}。請直接寫下您的問題，也可以傳照片或檔案，會由專人回覆您。",
    "zh-Hans": "您好，这里是{firm}。请直接写下您的问题，也可以发照片或文件，会由专人回复您。",
    "en": "Hello, this is {firm}. Please write your question here, and send photos or files if you like. "
    "A person will answer you.",
}
_NO_NAME = {"zh-Hant": "客服", "zh-Hans": "客服", "en": "our customer desk"}
_TOO_LARGE = {
    "zh-Hant": "「{name}」超過 20 MB，我們在這裡收不到。"
    "麻煩您改用電子郵件寄來，或分成幾個小一點的檔案；您寫的內容都已收到。",
    "zh-Hans": "“{name}”超过 20 MB，我们在这里收不到。"
    "麻烦您改用电子邮件发来，或分成几个小一点的文件；您写的内容都已收到。",
    "en": "“{name}” is larger than 20 MB, so it could not reach us here. Please e-mail it, or split it into smaller "
    "files. We have received everything you wrote.",
}


def kindly(update: Mapping[str, Any], firm: str) -> str:
    """What to say at once to who has only opened the chat, or sent what Telegram does not hand over; "" for nothing."""
    said = message_in(update)
    if said is None or "edited_message" in update:
        return ""
    language = language_of(update)
    if said.get("text") == "/start":
        return _GREETING[language].format(firm=firm or _NO_NAME[language])
    large = [one.name for one in files_of(update) if one.size > MAX_FILE]
    return _TOO_LARGE[language].format(name=large[0]) if large else ""


def pieces(text: str) -> list[str]:
    """The text in parts that Telegram takes, cut at a line or a space where there is one; never within a character."""
    found = []
    rest = text.strip()
    while _units(rest) > MAX_TEXT:
        end = _fits(rest)
        cuts = (rest.rfind(between, end // 2, end) for between in ("\n", " "))
        cut = next((one for one in cuts if one > 0), end)
        found.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*found, rest] if rest else found or ["…"]


def _fits(text: str) -> int:
    """How many characters of a text fit into one message."""
    units = 0
    for position, character in enumerate(text):
        units += 2 if ord(character) > 0xFFFF else 1
        if units > MAX_TEXT:
            return position
    return len(text)


def _units(text: str) -> int:
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)
