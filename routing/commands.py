"""Commands: what the first lines of an agent's mail ask for.

A line that begins with `!` (or `！`, as Chinese keyboards write it) is a command, as long as only commands stood
above it. A word that is not in the table stops everything: nothing is sent, and the agent gets his text back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from routing.folding import UNSEEN, fold
from routing.like_a_note import reads_like_a_note

MAX_COMMANDS = 10  # lines of one mail; more is no command block
MAX_LINE = 500  # characters of a command line
MAX_WORD = 30  # characters of a mistyped word for which a likeness is looked for


def is_signature(words: str) -> bool:
    """Whether nothing but a signature stands below the commands (RFC 3676 §4.3, with or without its blank)."""
    return words.splitlines()[:1] in (["--"], ["-- "])


class CommandName(StrEnum):
    """What each of them does stands in `routing/deeds.py`."""

    # on the ticket whose mail is answered
    NOTE = "note"  # the whole mail stays inside
    CLOSE = "close"
    REOPEN = "reopen"
    WAIT = "wait"  # the customer owes us something
    TO = "to"  # hand over to somebody
    CONSULT = "consult"  # ask a senior
    SEND = "send"  # to the customer, after all
    UNDO = "undo"  # what waits a little does not go
    CC = "cc"  # who else gets the answers
    REPLY_TO = "replyto"  # where the customer's answers go
    URGENT = "urgent"
    TOPIC = "topic"
    KIND = "kind"
    COMPLAINT = "complaint"
    GOT = "got"  # a document has come
    JOIN = "join"  # let this sender into the ticket that he wrote to
    MERGE = "merge"  # two tickets are one matter
    SAME = "same"  # two tickets on two channels are one matter, answered once
    APART = "apart"  # they are not
    SPLIT = "split"  # one ticket is two matters
    SPAM = "spam"
    NOT_SPAM = "notspam"
    RECORD = "record"  # what was said elsewhere
    # wherever he writes from
    MINE = "mine"
    HELD = "held"  # what waits for his word
    FIND = "find"
    SHOW = "show"
    ON = "on"
    OFF = "off"
    BREAK = "break"
    OK = "ok"  # yes, do what you asked me about
    NO = "no"
    HELP = "help"
    # of supervisors
    AWAY = "away"
    HOLIDAY = "holiday"
    TEXT = "text"
    REPORT = "report"


#: How each command may be written, folded; to add a way of writing it, add it here.
NAMES: Mapping[CommandName, tuple[str, ...]] = {
    CommandName.NOTE: ("note", "備註", "备注", "內部", "内部", "記事", "记事"),
    CommandName.CLOSE: ("close", "結案", "结案", "關閉", "关闭", "辦結", "办结"),
    CommandName.REOPEN: ("reopen", "重開", "重开", "重新開啟", "重新打开"),
    CommandName.WAIT: ("wait", "等", "等待", "等客戶", "等客户"),
    CommandName.TO: ("to", "轉", "转", "轉給", "转给", "轉交", "转交", "交給", "交给"),
    CommandName.CONSULT: ("consult", "請教", "请教", "會診", "会诊"),
    CommandName.SEND: ("send", "寄出", "送出", "發送", "发送", "寄給客戶", "发给客户"),
    CommandName.UNDO: ("undo", "撤回", "收回", "取消寄出", "取消发送"),
    CommandName.CC: ("cc", "副本", "抄送"),
    CommandName.REPLY_TO: ("replyto", "reply-to", "回覆到", "回复到", "回信到"),
    CommandName.URGENT: ("urgent", "急件", "加急", "緊急", "紧急"),
    CommandName.TOPIC: ("topic", "主題", "主题", "類別", "类别"),
    CommandName.KIND: ("kind", "類型", "类型", "性質", "性质"),
    CommandName.COMPLAINT: ("complaint", "客訴", "客诉", "投訴", "投诉"),
    CommandName.GOT: ("got", "收到", "已收"),
    CommandName.JOIN: ("join", "併入", "并入", "加入"),
    CommandName.MERGE: ("merge", "合併", "合并", "併案", "并案"),
    CommandName.SAME: ("same", "同一件", "同一件事", "同案"),
    CommandName.APART: ("apart", "不同件", "不同案", "不是同一件", "不是同一件事"),
    CommandName.SPLIT: ("split", "分案", "拆分", "另案"),
    CommandName.SPAM: ("spam", "垃圾", "垃圾信", "垃圾郵件", "垃圾邮件"),
    CommandName.NOT_SPAM: ("notspam", "非垃圾", "非垃圾信", "非垃圾郵件", "非垃圾邮件", "不是垃圾", "不是垃圾信"),
    CommandName.RECORD: ("record", "記錄", "记录", "登記", "登记"),
    CommandName.MINE: ("mine", "我的", "我的案件", "我的工單", "我的工单"),
    CommandName.HELD: ("held", "未寄", "未发", "留著", "留着", "待確認", "待确认"),
    CommandName.FIND: ("find", "找", "查", "查找", "搜尋", "搜索"),
    CommandName.SHOW: ("show", "看", "查看", "顯示", "显示"),
    CommandName.ON: ("on", "上線", "上线", "上班"),
    CommandName.OFF: ("off", "下線", "下线", "下班"),
    CommandName.BREAK: ("break", "休息", "午休"),
    CommandName.OK: ("ok", "好", "確認", "确认", "同意", "是"),
    CommandName.NO: ("no", "不", "不要", "取消", "否"),
    CommandName.HELP: ("help", "說明", "说明", "幫助", "帮助"),
    CommandName.AWAY: ("away", "不在", "請假", "请假"),
    CommandName.HOLIDAY: ("holiday", "放假", "停班"),
    CommandName.TEXT: ("text", "範本", "范本", "文字"),
    CommandName.REPORT: ("report", "報表", "报表"),
}
_BY_WORD = {word: name for name, words in NAMES.items() for word in words}
_CHINESE_FIRST = sorted((word for word in _BY_WORD if not word.isascii()), key=len, reverse=True)


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
    meant: str = ""  # the command that an unknown one resembles, as it is typed
    looks_like_note: bool = False  # ask: to the customer, or kept inside?


def parse(text: str) -> Parsed:
    """The commands at the top of a mail, and what stands below them. Never raises; linear."""
    lines = text.splitlines()
    commands: list[Command] = []
    unknown: list[str] = []
    below = 0
    for index, line in enumerate(lines):
        stripped = bare(line)
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
    first_line = next((shown for line in lines if (shown := bare(line))), "")
    looks_like_note = not commands and not unknown and reads_like_a_note(first_line)
    return Parsed(
        commands=tuple(commands),
        rest=rest,
        unknown=tuple(unknown),
        meant=_meant(unknown[0]) if unknown else "",
        looks_like_note=looks_like_note,
    )


def bare(line: str) -> str:
    """The line without blanks, and without what nobody sees before it: a phone may put a mark in front of `!`."""
    seen = _BEFORE.match(line)
    return line[seen.end() if seen else 0 :].rstrip()


def _meant(line: str) -> str:
    """The command that a mistyped one resembles: `!clsoe` is shown `!close`; "" if none does."""
    found = _WORD.match(line[:MAX_LINE])
    word = fold(found[1])[:MAX_WORD] if found else ""
    near = next(iter(get_close_matches(word, _BY_WORD, n=1, cutoff=0.7)), "")
    return f"{'!' if near.isascii() else '！'}{near}" if near else ""


_OF_A_TICKET = (CommandName.JOIN, CommandName.MERGE, CommandName.SAME, CommandName.SHOW)
#: Chinese is written without spaces: `！轉給陳` is `轉給` and `陳`. What may run on behind each word: only what can be
#: its argument. `！結案了嗎` asks something, and must not close the ticket; `！副本給他` is a sentence.
_RUN_ON: Mapping[CommandName, re.Pattern[str]] = {
    **dict.fromkeys((CommandName.TO, CommandName.NOTE, CommandName.FIND), re.compile(r"(?s)")),
    **dict.fromkeys((CommandName.CC, CommandName.REPLY_TO), re.compile(r"[^@]*@")),
    **dict.fromkeys(_OF_A_TICKET, re.compile(r"[#＃]?\d+\Z")),
    CommandName.WAIT: re.compile(r"\d|[一二兩两三四五六七八九十][天日個个小週周星禮礼]"),
    CommandName.BREAK: re.compile(r"\d"),
}


def _takes(name: CommandName, run_on: str) -> bool:
    return name in _RUN_ON and _RUN_ON[name].match(run_on) is not None


_BEFORE = re.compile(rf"[\s{UNSEEN}]+")
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
    for start in _CHINESE_FIRST:
        rest = word[len(start) :]
        if word.startswith(start) and _takes(_BY_WORD[start], rest):
            return Command(_BY_WORD[start], f"{rest} {argument}".strip(), line)
    return None
