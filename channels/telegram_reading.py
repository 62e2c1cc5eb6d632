"""What somebody wrote to the bot, from the octets that were kept: raw to normal form, and the raw to keep.

An update is kept as its JSON, as it came. Where files were fetched with it, the raw is a multipart of RFC 2046 whose
first part is that JSON and whose others are the files: so they are found again by part path, as those of a mail are.
An album comes as several updates; they are kept, and read, as one message.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from channels import names
from channels.message import Address, Attachment, Medium, Message, Scheme, Verdict
from channels.webchat_reading import clean, safe_name

MAX_FILE = 20 * 1024 * 1024  # octets that Telegram hands to a bot (core.telegram.org/bots/api#getfile)

MARK = "X-Telegram"  # a header of our own, in which the marks of a message stand
EDITED, FORWARDED = "edited", "forwarded"

_BOUNDARY = b"=_intake-telegram"
_HEAD = (
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="' + _BOUNDARY + b'"\r\n\r\n'
    b"--" + _BOUNDARY + b"\r\nContent-Type: application/json\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
)

#: field of a message -> (what a file of it is called that has no name, its type where none is told)
_FILES = {
    "document": ("file", "application/octet-stream"),
    "photo": ("photo.jpg", "image/jpeg"),
    "voice": ("voice.ogg", "audio/ogg"),
    "audio": ("audio.mp3", "audio/mpeg"),
    "video": ("video.mp4", "video/mp4"),
    "video_note": ("video.mp4", "video/mp4"),
    "animation": ("animation.mp4", "video/mp4"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A file that a message speaks of and that is still at Telegram's."""

    file_id: str
    name: str
    media_type: str
    size: int  # octets, 0 where it is not told


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What became of a wanted file."""

    wanted: Wanted
    content: bytes | None  # None: it could not be had
    problem: str = ""  # why not: "too_large", "refused"


def thread_id(chat: object, number: object) -> str:
    """A message of a chat, in the form in which mails name each other."""
    return f"<tg.{chat}.{number}>"


def message_in(update: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The message that an update brings, new or edited; None for updates of other kinds. Never raises."""
    for name in ("message", "edited_message"):
        found = update.get(name)
        if isinstance(found, dict) and isinstance(found.get("chat"), dict):
            return found
    return None


def external_id(update: Mapping[str, Any]) -> str:
    """The id in the source: `chat:message[:edit_date]`, `cb:id`, else `update:id`."""
    pressed = update.get("callback_query")
    if isinstance(pressed, dict) and pressed.get("id"):
        return f"cb:{pressed['id']}"
    said = message_in(update)
    if said is None or "message_id" not in said:
        return f"update:{update.get('update_id')}"
    number = f"{said['chat'].get('id')}:{said['message_id']}"
    return f"{number}:{said.get('edit_date')}" if "edited_message" in update else number


def album_of(update: Mapping[str, Any]) -> str:
    """What joins the messages of one album; "" for any other."""
    said = message_in(update)
    group = said.get("media_group_id") if said is not None and "edited_message" not in update else None
    return f"{said['chat'].get('id')}:{group}" if said is not None and group else ""


def files_of(update: Mapping[str, Any]) -> list[Wanted]:
    """The files of a message, at most one for each kind; of a picture its largest size. Never raises."""
    said = message_in(update) or {}
    found = []
    for kind, (name, media_type) in _FILES.items():
        if kind == "document" and "animation" in said:
            continue  # the API tells an animation a second time as a document
        told = said.get(kind)
        if kind == "photo" and isinstance(told, list) and told:
            told = told[-1]
        if not isinstance(told, dict) or not isinstance(told.get("file_id"), str):
            continue
        type_ = str(told.get("mime_type") or media_type).lower()[:100]
        size = told.get("file_size")
        found.append(
            Wanted(
                file_id=told["file_id"],
                name=names.safe(str(told.get("file_name") or name), type_),
                media_type=type_,
                size=size if isinstance(size, int) else 0,
            )
        )
    return found


# ---- the raw


def raw_of(updates: Sequence[Mapping[str, Any]], fetched: Sequence[Fetched] = ()) -> bytes:
    """What is kept: the updates as they came, and the files that were had."""
    told = [
        {
            "name": f.wanted.name,
            "type": f.wanted.media_type,
            "size": f.wanted.size if f.content is None else len(f.content),
            "sha256": hashlib.sha256(f.content).hexdigest() if f.content is not None else "",
            "problem": f.problem,
        }
        for f in fetched
    ]
    head = orjson.dumps({"updates": list(updates), "files": told})
    had = [f for f in fetched if f.content is not None]
    if not had:
        return head
    pieces = [_HEAD, head]
    for one in had:
        assert one.content is not None
        pieces += [
            b"\r\n--" + _BOUNDARY + b"\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            base64.encodebytes(one.content).replace(b"\n", b"\r\n"),
        ]
    return b"".join([*pieces, b"\r\n--" + _BOUNDARY + b"--\r\n"])


def _head_of(raw: bytes) -> Any:
    if raw.startswith(_HEAD):
        raw = raw[len(_HEAD) : raw.index(b"\r\n", len(_HEAD))]  # JSON has its line ends escaped
    return orjson.loads(raw)


# ---- the normal form


def read(raw: bytes) -> Message:
    """The normal form of what was accepted. Raises ValueError for an update that is no message."""
    try:
        head = _head_of(raw)
        updates, files = head["updates"], head["files"]
        if isinstance(pressed := updates[0].get("callback_query"), dict):
            return _press(pressed)
        messages = [(u, said) for u in updates if (said := message_in(u)) is not None]
        if not messages:
            raise ValueError(f"an update of Telegram that is no message: {', '.join(sorted(updates[0]))[:200]}")
        return _with_files(_read(messages), files)
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"no message of Telegram: {error!r}") from error


def _read(messages: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Message:
    update, said = messages[0]
    chat = int(said["chat"]["id"])
    author = said.get("from") or said["chat"]
    words = clean("\n".join(filter(None, (_words(m) for _, m in messages))))
    is_edit = "edited_message" in update
    answered = said.get("reply_to_message")
    quoted = clean(_words(answered)) if isinstance(answered, dict) else ""
    return Message(
        medium=Medium.TELEGRAM,
        sender=Address(scheme=Scheme.TELEGRAM, value=str(chat), display_name=_name(author)),
        text=f"✎ {words}" if is_edit else words,
        quoted=quoted,
        text_full="\n\n".join(filter(None, (words, quoted))),
        message_id=external_id(update),
        in_reply_to=(thread_id(chat, answered["message_id"]),) if isinstance(answered, dict) else (),
        references=(str(chat),),
        language=_language(str(author.get("language_code") or "")),
        auto_submitted="auto-replied" if _is_start(said) else "",
        source_headers=tuple((MARK, mark) for mark in _marks(update, said)),
        authentication=(Verdict(by="telegram", method="user-id", result="pass"),),
    )


def _press(pressed: Mapping[str, Any]) -> Message:
    """A press of a button says what stands behind it, as a reply to the message that it stands under."""
    under = pressed["message"]
    author, chat = pressed["from"], int(under["chat"]["id"])
    words = clean(str(pressed.get("data") or ""))
    return Message(
        medium=Medium.TELEGRAM,
        # Who pressed, wherever it stands: in a group that is not the chat.
        sender=Address(scheme=Scheme.TELEGRAM, value=str(int(author["id"])), display_name=_name(author)),
        text=words,
        text_full=words,
        message_id=f"cb:{pressed['id']}",
        in_reply_to=(thread_id(chat, under["message_id"]),),
        references=(str(chat),),
        language=_language(str(author.get("language_code") or "")),
        auto_submitted="auto-replied",  # of somebody who is no agent it means nothing
        authentication=(Verdict(by="telegram", method="user-id", result="pass"),),
    )


def _is_start(said: Mapping[str, Any]) -> bool:
    """He has only opened the chat, perhaps by a link: the client writes this for him."""
    return str(said.get("text") or "").split(" ")[0] == "/start"


def _marks(update: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    """What cannot be seen in the words, and matters where they are commands."""
    holds = {EDITED: "edited_message" in update, FORWARDED: "forward_origin" in said or "forward_date" in said}
    return [mark for mark, is_so in holds.items() if is_so]


def _words(said: Mapping[str, Any]) -> str:
    """What a message says, to a reader: its words, and for what has none, what it is."""
    told = [str(said[name]) for name in ("text", "caption") if said.get(name)]
    if place := said.get("location"):
        venue = said.get("venue") or {}
        where = " ".join(filter(None, (str(venue.get("title", "")), str(venue.get("address", "")))))
        told.append(f"📍 {where} {place['latitude']}, {place['longitude']}".replace("  ", " "))
    if person := said.get("contact"):
        name = " ".join(filter(None, (person.get("first_name"), person.get("last_name"))))
        told.append(f"👤 {name} {person['phone_number']}")
    if sticker := said.get("sticker"):
        told.append(str(sticker.get("emoji") or "🙂"))
    if die := said.get("dice"):
        told.append(f"{die['emoji']} {die['value']}")
    if poll := said.get("poll"):
        told.append("\n".join([f"📊 {poll['question']}", *(f"· {o['text']}" for o in poll["options"])]))
    return "\n".join(told)


def _name(author: Mapping[str, Any]) -> str:
    whole = " ".join(str(author[n]) for n in ("first_name", "last_name") if author.get(n))
    return safe_name(whole or str(author.get("title") or ""))


def language_of(update: Mapping[str, Any]) -> str:
    """The language to speak to him in: his client's, or Chinese in its traditional form."""
    author = (message_in(update) or {}).get("from")
    return _language(str((author or {}).get("language_code") or "")) or "zh-Hant"


_SIMPLIFIED = ("zh-hans", "zh-cn", "zh-sg")


def _language(code: str) -> str:
    """The language of his client (IETF tag) as this desk writes it; "" for others: the words tell then."""
    lower = code.lower()
    if lower.startswith(_SIMPLIFIED):
        return "zh-Hans"
    if lower.startswith("zh"):
        return "zh-Hant"
    return "en" if lower.startswith("en") else ""


def _with_files(message: Message, files: Sequence[Mapping[str, Any]]) -> Message:
    attachments: list[Attachment] = []
    missing: list[str] = []
    for one in files:
        if one["problem"]:
            missing.append(f"📎 {one['name']} ({_size(one['size'])})")
            continue
        path = str(len(attachments) + 2)  # the first part is the JSON
        attachments.append(
            Attachment(path=path, name=one["name"], media_type=one["type"], size=one["size"], sha256=str(one["sha256"]))
        )
    words = "\n".join(filter(None, (message.text, *missing)))
    defects = tuple(f"{one['name']}: the file could not be had ({one['problem']})" for one in files if one["problem"])
    full = "\n".join(filter(None, (message.text_full, *missing)))
    return replace(message, text=words, text_full=full, attachments=tuple(attachments), defects=defects)


def _size(octets: int) -> str:
    return f"{octets / 1_000_000:.1f} MB" if octets >= 1_000_000 else f"{max(1, octets // 1000)} kB"
