"""What an agent's first lines ask for, in the words and on the keyboards people have."""

from __future__ import annotations

import time

import pytest

from routing.commands import NAMES, Command, CommandName, parse

CLOSE, NOTE, TO, SEND, HELP = (
    CommandName.CLOSE, CommandName.NOTE, CommandName.TO, CommandName.SEND, CommandName.HELP,
)  # fmt: skip
CC, REPLY_TO, JOIN = CommandName.CC, CommandName.REPLY_TO, CommandName.JOIN
SPAM, NOT_SPAM = CommandName.SPAM, CommandName.NOT_SPAM


def asked(text: str) -> list[tuple[CommandName, str]]:
    return [(command.name, command.argument) for command in parse(text).commands]


@pytest.mark.parametrize(
    ("text", "expected", "rest"),
    [
        ("！結案", [(CLOSE, "")], ""),
        ("!close", [(CLOSE, "")], ""),
        ("! Close\n", [(CLOSE, "")], ""),
        ("！结案\n\n好的，謝謝。\n", [(CLOSE, "")], "好的，謝謝。"),
        ("\n\n  !ｃｌｏｓｅ", [(CLOSE, "")], ""),
        ("！備註 客戶怕罰款\n先別催", [(NOTE, "客戶怕罰款")], "先別催"),
        ("！備註：客戶怕罰款", [(NOTE, "客戶怕罰款")], ""),
        ("!note  two  blanks ", [(NOTE, "two  blanks")], ""),
        ("！轉給陳", [(TO, "陳")], ""),
        ("！转交　林 经理", [(TO, "林 经理")], ""),
        ("!to chen", [(TO, "chen")], ""),
        ("！備註\n！轉給 陳\n請接手", [(NOTE, ""), (TO, "陳")], "請接手"),
        ("!help", [(HELP, "")], ""),
        ("！寄出", [(SEND, "")], ""),
        ("！副本 lee@example.com\n您好", [(CC, "lee@example.com")], "您好"),
        ("！副本lee@example.com", [(CC, "lee@example.com")], ""),
        ("！抄送：-lee@example.com", [(CC, "-lee@example.com")], ""),
        ("!cc lee@example.com, wu@example.com", [(CC, "lee@example.com, wu@example.com")], ""),
        ("！回覆到", [(REPLY_TO, "")], ""),
        ("！回复到 不", [(REPLY_TO, "不")], ""),
        ("!replyto no", [(REPLY_TO, "no")], ""),
        ("！併入", [(JOIN, "")], ""),
        ("！加入 #1001", [(JOIN, "#1001")], ""),
        ("！并入1001", [(JOIN, "1001")], ""),
        ("！垃圾信", [(SPAM, "")], ""),
        ("!spam", [(SPAM, "")], ""),
        ("！非垃圾\n您好", [(NOT_SPAM, "")], "您好"),
        ("!NotSpam", [(NOT_SPAM, "")], ""),
        ("您好，\n！結案", [], "您好，\n！結案"),
        ("您好！\n內容", [], "您好！\n內容"),
        ("", [], ""),
    ],
)
def test_what_the_first_lines_ask_for(text: str, expected: list[tuple[CommandName, str]], rest: str) -> None:
    found = parse(text)

    assert asked(text) == expected
    assert (found.rest, found.unknown) == (rest, ())


@pytest.mark.parametrize(
    "text",
    [
        "！結按\n內容",
        "!clsoe",
        "!",
        "！！！急",
        "!important",
        "！結案了嗎",
        "！副本給他",
        "！加入會員嗎",
        "！垃圾桶在哪",
        "！回覆到哪裡去",
        "!tomorrow",
        "！結案\n！亂寫\n內容",
        "!" + "a" * 600,
    ],
)
def test_a_word_that_is_not_in_the_table_stops_everything(text: str) -> None:
    assert len(parse(text).unknown) == 1


def test_more_commands_than_anybody_needs_are_refused() -> None:
    found = parse("!close\n" * 11)

    assert (len(found.commands), found.unknown) == (10, ("!close",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("備註：客戶怕罰款", True),
        ("备注 客户", True),
        ("【內部】先別回", True),
        ("內部：先別回", True),
        ("note: he is angry", True),
        ("Note that he is angry", True),  # asking costs a second, a note sent costs a customer
        ("\nFYI\n見下", True),
        ("internal only", True),
        ("！備註 客戶", False),
        ("Noted, thank you", False),
        ("noteworthy", False),
        ("您好，備註欄請填統編", False),
        ("internally we agreed", False),
        ("", False),
    ],
)
def test_a_note_without_its_mark_is_asked_about(text: str, expected: bool) -> None:
    assert parse(text).looks_like_note is expected


def test_the_line_is_kept_as_it_was_written() -> None:
    assert parse("  ！ＮＯＴＥ  Wang  ").commands == (Command(NOTE, "Wang", "！ＮＯＴＥ  Wang"),)


def test_every_command_can_be_written_in_both_scripts_and_english() -> None:
    assert set(NAMES) == set(CommandName)
    for words in NAMES.values():
        assert any(word.isascii() for word in words)
        assert any(not word.isascii() for word in words)


@pytest.mark.parametrize("piece", ["!", "！備註", "\n", "!a\n", " ", "\u3000", "!\n", "[("])
def test_a_hostile_text_costs_little(piece: str) -> None:
    started = time.process_time()
    parse(piece * 100_000)

    assert time.process_time() - started < 0.5
