"""Commands: what the first lines of an agent's mail ask for.

A line that begins with `!` (or `！`, as Chinese keyboards write it) is a command, as long as only commands stood
above it. A word that is not in the table stops everything: nothing is sent, and the agent gets his text back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from routing.folding import fold

MAX_COMMANDS = 10  # lines of one mail; more is no command block
MAX_LINE = 500  # characters of a command line


class CommandName(StrEnum):
    NOTE = "note"  # the whole mail stays inside
    CLOSE = "close"
    TO = "to"  # hand over to somebody
    SEND = "send"  # to the customer, after all
    HELP = "help"


#: How each command may be written, folded; to add a way of writing it, add it here.
NAMES: Mapping[CommandName, tuple[str, ...]] = {
    CommandName.NOTE: ("note", "備註", "备注", "內部", "内部", "記事", "记事"),
    CommandName.CLOSE: ("close", "結案", "结案", "關閉", "关闭"),
    CommandName.TO: ("to", "轉給", "转给", "轉交", "转交", "交給", "交给"),
    CommandName.SEND: ("send", "寄出", "送出", "發送", "发送", "寄給客戶", "发给客户"),
    CommandName.HELP: ("help", "說明", "说明", "幫助", "帮助"),
}
_BY_WORD = {word: name for name, words in NAMES.items() for word in words}
_CHINESE_FIRST = sorted((word for word in _BY_WORD if not word.isascii()), key=len, reverse=True)

#: A first line that reads like a note without being marked as one: the agent is asked before anything leaves.
_LIKE_A_NOTE = re.compile(
    r"\s*[\[【(（]?\s*(?:(?:備註|备注|內部|内部|僅供內部|仅供内部|不要寄|别发|別寄|給同事|给同事)|(?:note|fyi|internal|private)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Command:
    name: CommandName
    argument: str  # the agent's own spelling, trimmed; "" if none
    line: str  # as it was written


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    commands: tuple[Command, ...] = ()
    rest: str = ""  # the agent's words below the commands, unchanged but for blank lines at the ends
    unknown: tuple[str, ...] = ()  # lines that begin like a command and are none: nothing may be sent
    looks_like_note: bool = False  # ask: to the customer, or kept inside?


def parse(text: str) -> Parsed:
    """The commands at the top of a mail, and what stands below them. Never raises; linear."""
    lines = text.splitlines()
    commands: list[Command] = []
    unknown: list[str] = []
    below = 0
    for index, line in enumerate(lines):
        stripped = line.strip()
        if stripped and not stripped.startswith(("!", "！")):
            break
        below = index + 1
        if not stripped:
            continue
        command = _command(stripped)
        if command is None or len(commands) == MAX_COMMANDS:
            unknown.append(stripped[:MAX_LINE])
            break
        commands.append(command)
    rest = "\n".join(lines[below:]).strip("\n\r\t \u3000")
    first_line = next((line for line in lines if line.strip()), "")
    looks_like_note = not commands and not unknown and _LIKE_A_NOTE.match(first_line[:MAX_LINE]) is not None
    return Parsed(commands=tuple(commands), rest=rest, unknown=tuple(unknown), looks_like_note=looks_like_note)


_WORD = re.compile(r"[!！]\s*([^\s:：,，]*)[\s:：,，]*(.*)", re.DOTALL)


def _command(line: str) -> Command | None:
    if len(line) > MAX_LINE:
        return None
    found = _WORD.match(line)
    if found is None:
        return None
    word, argument = found[1], found[2].strip()
    name = _BY_WORD.get(fold(word))
    if name is not None:
        return Command(name, argument, line)
    # Chinese is written without spaces: `！轉給陳` is `轉給` and `陳`. Only where an argument has a meaning:
    # `！結案了嗎` asks something, and must not close the ticket.
    for start in _CHINESE_FIRST:
        if word.startswith(start) and _BY_WORD[start] in (CommandName.TO, CommandName.NOTE):
            return Command(_BY_WORD[start], f"{word[len(start) :]} {argument}".strip(), line)
    return None
