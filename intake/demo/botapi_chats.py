"""What the Bot API server knows: people, chats, messages, files, and what a person does in his Telegram.

Shapes are those of the published Bot API (core.telegram.org/bots/api): a test reads each with the client library.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

MAX_TEXT = 4096  # UTF-16 units of a message (…/bots/api#sendmessage)
MAX_CAPTION = 1024  # UTF-16 units


class Refused(Exception):
    """An answer with `ok: false`; further arguments are its `parameters`."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


@dataclass(frozen=True)
class Person:
    """Somebody with a Telegram account."""

    id: int
    first_name: str
    last_name: str = ""
    username: str = ""
    language_code: str = "zh-hant"

    def as_user(self) -> dict[str, Any]:
        return {"id": self.id, "is_bot": False, **_given(self, "first_name", "last_name", "username", "language_code")}

    def as_chat(self) -> dict[str, Any]:
        return {"id": self.id, "type": "private", **_given(self, "first_name", "last_name", "username")}


@dataclass(frozen=True)
class KeptFile:
    id: str
    path: str
    content: bytes


@dataclass
class Chat:
    id: int
    messages: list[dict[str, Any]] = field(default_factory=list)  # everybody's, oldest first, as they stand now
    is_blocked: bool = False  # the person has blocked the bot
    is_gone: bool = False  # the account is deleted
    migrated_to: int = 0  # the group is a supergroup now


def _given(record: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names if getattr(record, name)}


def _chat_of(chat: Chat) -> dict[str, Any]:
    return {"id": chat.id, "type": "private" if chat.id > 0 else "supergroup"}


def units(text: str) -> int:
    """How long a text is for Telegram: UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


class Chats:
    """All of it, in memory. `seconds` tells the time since the epoch."""

    def __init__(self, *, seconds: Callable[[], float], first_update: int = 1) -> None:
        self.me = {
            "id": 4242,
            "is_bot": True,
            "first_name": "客服",
            "username": "firm_desk_bot",
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, KeptFile] = {}
        self.updates: list[dict[str, Any]] = []
        self.has_updates = asyncio.Event()
        self.next_update = first_update
        self._next_message = 100
        self._seconds = seconds

    # ---- updates

    def add_update(self, **update: Any) -> int:
        """Offer an update, of any shape; its number."""
        number = self.next_update
        self.next_update += 1
        self.updates.append({"update_id": number, **update})
        self.has_updates.set()
        return number

    def forget_before(self, number: int) -> None:
        self.updates = [u for u in self.updates if u["update_id"] >= number]
        if not self.updates:
            self.has_updates.clear()

    # ---- what people do

    def says(self, person: Person, text: str = "", **more: Any) -> dict[str, Any]:
        """A person writes to the bot; `more` are further fields of the message: photo, location …"""
        message = self.message(person, **({"text": text} if text else {}), **more)
        self.add_update(message=message)
        return message

    def message(self, person: Person, **fields: Any) -> dict[str, Any]:
        """A person's message in his chat with the bot, which the bot is not told of."""
        return self._message(person.as_user(), person.as_chat(), **fields)

    def edits(self, message: dict[str, Any], text: str) -> dict[str, Any]:
        message["text"], message["edit_date"] = text, int(self._seconds())
        self.add_update(edited_message=dict(message))
        return message

    def presses(self, person: Person, message: dict[str, Any], data: str) -> None:
        """A person presses a button under a message."""
        number = f"{self.next_update}{person.id}"
        pressed = {"id": number, "from": person.as_user(), "message": message, "chat_instance": "1", "data": data}
        self.add_update(callback_query=pressed)

    def file(self, content: bytes, name: str) -> dict[str, Any]:
        """A file that a person is about to send: the fields of a PhotoSize, Voice or Document."""
        number = f"file-{len(self.files) + 1}"
        self.files[number] = KeptFile(id=number, path=f"documents/{number}", content=content)
        return {"file_id": number, "file_unique_id": number, "file_size": len(content), "file_name": name}

    def chat(self, number: int) -> Chat:
        return self.chats.setdefault(number, Chat(id=number))

    def from_bot(self, person: Person) -> list[str]:
        """What a person reads of the bot, in order."""
        return [m.get("text", "") for m in self.chat(person.id).messages if m["from"]["is_bot"]]

    def _message(self, sender: dict[str, Any], chat: dict[str, Any], **fields: Any) -> dict[str, Any]:
        self._next_message += 1
        message = {
            "message_id": self._next_message,
            "from": sender,
            "chat": chat,
            "date": int(self._seconds()),
            **fields,
        }
        self.chat(chat["id"]).messages.append(message)
        return message

    # ---- what the bot asks

    SENDS: ClassVar[frozenset[str]] = frozenset({"sendMessage", "sendDocument"})  # what counts against the limits

    def sent_by_bot(self, method: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        chat = self._reachable(asked)
        if method == "sendDocument":
            return self._document_by_bot(chat, asked)
        text = str(asked.get("text", ""))
        if not text.strip():
            raise Refused(400, "Bad Request: message text is empty")
        if units(text) > MAX_TEXT:
            raise Refused(400, "Bad Request: message is too long")
        more = {"reply_markup": asked["reply_markup"]} if asked.get("reply_markup") else {}
        return self._message(dict(self.me), _chat_of(chat), text=text, **more)

    def _document_by_bot(self, chat: Chat, asked: Mapping[str, Any]) -> dict[str, Any]:
        given = asked["document"]
        content = given.file.read()
        if not content:
            raise Refused(400, "Bad Request: file must be non-empty")
        return self._message(dict(self.me), _chat_of(chat), document=self.file(content, given.filename))

    def _reachable(self, asked: Mapping[str, Any]) -> Chat:
        number = int(asked["chat_id"])
        chat = self.chats.get(number)
        if chat is None:
            raise Refused(400, "Bad Request: chat not found")
        if chat.is_blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        if chat.is_gone:
            raise Refused(403, "Forbidden: user is deactivated")
        if chat.migrated_to:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refused(400, words, migrate_to_chat_id=chat.migrated_to)
        return chat

    def get_me(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self.me)

    def chat_action(self, asked: Mapping[str, Any]) -> bool:
        self._reachable(asked)
        return True

    def answer_callback(self, _: Mapping[str, Any]) -> bool:
        return True

    METHODS: ClassVar[dict[str, Callable[[Chats, Mapping[str, Any]], Any]]] = {
        "getMe": get_me,
        "sendChatAction": chat_action,
        "answerCallbackQuery": answer_callback,
    }
