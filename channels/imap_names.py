"""Folders by name: how they travel, what LIST tells of them, and which is for junk, which for sent mail. Pure."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

_LISTED = re.compile(rb'^\(([^)]*)\) (?:"((?:[^"\\]|\\.)*)"|NIL) (.+)$')


def encode_folder(name: str) -> str:
    """Modified UTF-7, in which folders are named on the wire (RFC 3501 §5.1.3)."""
    out: list[str] = []
    for run in re.findall(r"[\x20-\x7e]+|[^\x20-\x7e]+", name):
        if " " <= run[0] <= "~":
            out.append(run.replace("&", "&-"))
        else:
            coded = b64encode(run.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
            out.append(f"&{coded.decode()}-")
    return "".join(out)


def decode_folder(name: str) -> str:
    """The name a person knows; as it stands where it is no modified UTF-7."""

    def plain(found: re.Match[str]) -> str:
        coded = found.group(1).replace(",", "/")
        return b64decode(coded + "=" * (-len(coded) % 4)).decode("utf-16-be") if coded else "&"

    try:
        return re.sub(r"&([A-Za-z0-9+,]*)-", plain, name)
    except ValueError:
        return name


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One line of LIST."""

    name: str  # decoded
    attributes: frozenset[str]  # in lower case: "\\junk", "\\noselect"
    separator: str  # between a folder and those below it; "" where there is none


def listed(lines: Sequence[bytes | bytearray]) -> list[Listed]:
    """What LIST told, without the folders that hold no mail, sorted by name. Names may come as literals."""
    folders: list[Listed] = []
    for number, line in enumerate(lines):
        found = None if isinstance(line, bytearray) else _LISTED.match(line)
        if found is None:
            continue
        attributes = frozenset(found[1].decode("ascii", "replace").lower().split())
        if attributes & {"\\noselect", "\\nonexistent"}:
            continue
        name = found[3].decode("ascii", "replace")
        following = lines[number + 1] if number + 1 < len(lines) else b""
        if name.startswith("{") and isinstance(following, bytearray):
            name = following.decode("ascii", "replace")
        elif name.startswith('"') and name.endswith('"'):
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        separator = (found[2] or b"").decode("ascii", "replace")[-1:]
        folders.append(Listed(name=decode_folder(name), attributes=attributes, separator=separator))
    return sorted(folders, key=lambda folder: folder.name)


#: What providers call the folder for junk, where they do not mark it as theirs (RFC 6154): by its last part.
JUNK_NAMES = frozenset(
    {"junk", "spam", "junk e-mail", "junk email", "junk mail", "bulk mail", "bulk", "quarantine"}
    | {"垃圾邮件", "垃圾郵件", "垃圾箱", "垃圾信件", "垃圾信", "广告邮件", "廣告郵件", "迷惑メール", "spamverdacht"}
)  # fmt: skip


#: The same for what was sent from the account.
SENT_NAMES = frozenset(
    {"sent", "sent items", "sent mail", "sent messages", "sent-mail", "sent objects"}
    | {"已发送", "已發送", "已傳送", "已传送", "已发送邮件", "已傳送郵件", "已发邮件", "已寄出", "寄件備份"}
    | {"寄件備份匣", "已傳送的郵件", "已送郵件", "送信済み", "送信済みアイテム", "送信済みメール"}
    | {"gesendet", "gesendete elemente", "gesendete objekte"}
)  # fmt: skip


def junk_among(folders: Sequence[Listed]) -> str | None:
    """The folder that the provider keeps for junk: the one it says is, else one with such a name."""
    return _marked(folders, "\\junk", JUNK_NAMES)


def sent_among(folders: Sequence[Listed]) -> str | None:
    """The folder in which the account's own sent mail is kept, found alike."""
    return _marked(folders, "\\sent", SENT_NAMES)


def _marked(folders: Sequence[Listed], mark: str, names: frozenset[str]) -> str | None:
    for folder in folders:
        if mark in folder.attributes:
            return folder.name
    for folder in folders:
        last = folder.name.rsplit(folder.separator, 1)[-1] if folder.separator else folder.name
        if last.lower() in names:
            return folder.name
    return None
