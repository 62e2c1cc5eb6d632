"""Headings of quotes: what mail programs write above a mail that they quote, in Chinese, English and some others.

For the guard: what is found here is either taken away with what follows it, or holds the reply. The parser has its own,
more hesitant eye for quotes (`channels/quote_heads.py`); neither relies on the other. Linear.
"""

from __future__ import annotations

import re

MAX_HEADING = 500  # characters of a line that may be a heading

HEADER = re.compile(
    r"[\s>*]*(?:from|sent|date|to|cc|subject|reply-to|importance|寄件者|寄件人|發件人|发件人|發送者|发送者"
    r"|傳送時間|傳送日期|寄件日期|發送時間|发送时间|发送日期|日期|時間|时间|收件者|收件人|副本|抄送|抄送人"
    r"|主旨|主題|主题|回覆至|回复至)[ \t*　]{0,4}[:：]",
    re.IGNORECASE,
)
_FROM = re.compile(r"[\s>*]*(?:from|寄件者|寄件人|發件人|发件人|發送者|发送者)[ \t*　]{0,4}[:：]", re.IGNORECASE)
_ORIGINAL = re.compile(
    r"[\s>]*[-_=─*—]{2,40}\s*(?:original (?:message|appointment)|(?:end )?forwarded message(?: from .{0,200}?)?"
    r"|原始(?:郵件|邮件|訊息|信件|消息)"
    r"|(?:轉寄|轉發|转发)(?:的)?(?:郵件|邮件|信件)|(?:回复的|回覆的)?原(?:邮件|郵件)(?:信息)?)\s*[-_=─*—]{0,40}\s*$",
    re.IGNORECASE,
)
_WROTE = re.compile(r"(?:wrote|writes|寫道|写道|寫到|写到|schrieb|a écrit|escribió)\s{0,4}[:：]\s*$", re.IGNORECASE)
_WHEN_OR_WHO = re.compile(r"@|\d{1,4}\s?[-/.年:月]\s?\d{1,2}|\b[a-z]{3,9}\.?,? \d{1,4}", re.IGNORECASE)
_ON = re.compile(r"[\s>]*(?:on|at|am|le|el)\b|.{0,120}(?:於|于|在)\s*\d", re.IGNORECASE)


def headings(lines: list[str]) -> list[tuple[int, int]]:
    """(first, after the last) line of every heading that introduces a quote, in order."""
    found: list[tuple[int, int]] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        if len(line) <= MAX_HEADING:
            if _ORIGINAL.match(line):
                end = _end_of_headers(lines, index + 1)
                found.append((index, end))
                index = end
                continue
            if _FROM.match(line) and (end := _end_of_headers(lines, index)) - index >= 2:
                found.append((index, end))
                index = end
                continue
            if _WROTE.search(line) and (start := _start_of_attribution(lines, index)) >= 0:
                found.append((start, index + 1))
        index += 1
    return found


def _end_of_headers(lines: list[str], start: int) -> int:
    end = start
    while end < len(lines) and HEADER.match(lines[end]):
        end += 1
    return end


def _start_of_attribution(lines: list[str], end: int) -> int:
    """Where "On … wrote:" begins, wrapped over three lines at most; -1 where it is the agent's own sentence."""
    for start in range(end, max(end - 3, -1), -1):
        if not lines[start].strip() or len(lines[start]) > MAX_HEADING:
            break
        if _ON.match(lines[start]) and _WHEN_OR_WHO.search(" ".join(lines[start : end + 1])):
            return _with_address(lines, start, end)
    return _with_address(lines, end, end) if "@" in lines[end] else -1


_DESK_NAME = re.compile(r"#\d{1,19}\b")


def _with_address(lines: list[str], start: int, end: int) -> int:
    """The attribution's first line, where the address in angle brackets stands before the date, and was folded."""
    joined = " ".join(lines[start : end + 1])
    while (
        start and end - start < 4 and joined.count("<") <= joined.count(">") and not ("<" in joined and "@" in joined)
    ):
        above = lines[start - 1].strip("> \t")
        if not above.endswith(">") and above.count("<") <= above.count(">"):
            break
        start -= 1
        joined = f"{above} {joined}"
    is_folded = (
        lines[start].strip("> \t").startswith("<") and start and _DESK_NAME.search(lines[start - 1][:MAX_HEADING])
    )
    return start - 1 if is_folded else start
