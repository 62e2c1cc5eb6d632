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


def is_signature(words: str) -> bool:
    """Whether nothing but a signature stands below the commands (RFC 3676 §4.3, with or without its blank)."""
    return words.splitlines()[:1] in (["--"], ["-- "])


class CommandName(StrEnum):
    NOTE = "note"  # the whole mail stays inside
    CLOSE = "close"
    TO = "to"  # hand over to somebody
    SEND = "send"  # to the customer, after all
    CC = "cc"  # who else gets the answers
    REPLY_TO = "replyto"  # where the customer's answers go
    JOIN = "join"  # let this sender into the ticket that he wrote to
    SPAM = "spam"
    NOT_SPAM = "notspam"
    HELP = "help"


#: How each command may be written, folded; to add a way of writing it, add it here.
NAMES: Mapping[CommandName, tuple[str, ...]] = {
    CommandName.NOTE: ("note", "備註", "备注", "內部", "内部", "記事", "记事"),
    CommandName.CLOSE: ("close", "結案", "结案", "關閉", "关闭"),
    CommandName.TO: ("to", "轉給", "转给", "轉交", "转交", "交給", "交给"),
    CommandName.SEND: ("send", "寄出", "送出", "發送", "发送", "寄給客戶", "发给客户"),
    CommandName.CC: ("cc", "副本", "抄送"),
    CommandName.REPLY_TO: ("replyto", "reply-to", "回覆到", "回复到", "回信到"),
    CommandName.JOIN: ("join", "併入", "并入", "加入", "併案", "并案"),
    CommandName.SPAM: ("spam", "垃圾", "垃圾信", "垃圾郵件", "垃圾邮件"),
    CommandName.NOT_SPAM: ("notspam", "非垃圾", "非垃圾信", "非垃圾郵件", "非垃圾邮件", "不是垃圾", "不是垃圾信"),
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


def _takes(name: CommandName, run_on: str) -> bool:
    """Whether what runs on behind a Chinese word can be its argument: `！副本給他` is a sentence."""
    if name in (CommandName.CC, CommandName.REPLY_TO):
        return "@" in run_on
    if name is CommandName.JOIN:
        return run_on.lstrip("#＃").isdecimal()
    return name in (CommandName.TO, CommandName.NOTE)


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
        rest = word[len(start) :]
        if word.startswith(start) and _takes(_BY_WORD[start], rest):
            return Command(_BY_WORD[start], f"{rest} {argument}".strip(), line)
    return None
