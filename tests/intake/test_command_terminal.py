"""The terminal: columns are counted as it counts them, and a stranger's words move no cursor."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from intake.command.spans import left, margin
from intake.command.terminal import MAX_COLUMNS, Screen, fit, padded, width, wrap


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("plain", 5),
        ("王美玲", 6),
        ("#1042 王美玲", 12),
        ("e\u0301", 1),  # combining
        ("a\u200bb", 2),  # zero width
        ("ＡＢ", 4),  # full width
        ("ｱ", 1),  # half width
        ("✓", 1),
        ("\x1b[31m紅\x1b[0m", 2),
        ("", 0),
    ],
)
def test_a_chinese_character_takes_two_columns(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("short", 8, "short"),
        ("a longer text", 8, "a longe…"),
        ("王美玲小姐", 10, "王美玲小姐"),
        ("王美玲小姐", 9, "王美玲小…"),
        ("王美玲小姐", 8, "王美玲…"),  # half a character cannot be shown
    ],
)
def test_a_text_is_cut_within_its_columns(text: str, columns: int, shown: str) -> None:
    assert fit(text, columns) == shown
    assert width(shown) <= columns


def test_padding_counts_columns() -> None:
    assert padded("王", 4) == "王  "


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 100, ["one two three"]),
        ("營業稅申報怎麼辦", 8, ["營業稅申", "報怎麼辦"]),
        ("請問，稅呢？", 4, ["請", "問，", "稅", "呢？"]),
        ("unbreakable", 4, ["unbr", "eaka", "ble"]),
        ("", 10, [""]),
    ],
)
def test_lines_are_broken_at_spaces_and_beside_wide_characters(text: str, columns: int, lines: list[str]) -> None:
    assert wrap(text, columns) == lines


def test_wrapped_lines_are_indented_within_the_columns() -> None:
    lines = wrap("word " * 60 + "營業稅申報" * 20, 40, "first: ", "  ")

    assert lines[0].startswith("first: word")
    assert all(line.startswith("  ") for line in lines[1:])
    assert max(map(width, lines)) <= 40


def test_a_table_fits_and_is_aligned() -> None:
    out = io.StringIO()
    rows = [("#1", "王美玲", "營業稅申報" * 30, "chen"), ("#1042", "Bob", "short", "林志豪")]

    Screen(out, is_json=False).table(("ticket", "customer", "subject", "agent"), rows, flexible=2)

    lines = out.getvalue().splitlines()
    assert max(map(width, lines)) <= MAX_COLUMNS
    assert (
        len({width(line[: line.rindex(last)]) for line, last in zip(lines, ("agent", "chen", "林志豪"), strict=True)})
        == 1
    )


def test_a_strangers_words_move_no_cursor() -> None:
    out = io.StringIO()

    Screen(out, is_json=False).table(("subject",), [("a\x1b[2Jb\r\nc\x9b1m\u202egnp",)], flexible=0)

    assert out.getvalue().splitlines()[1] == "a [2Jb c 1mgnp"


@pytest.mark.parametrize(
    ("wants", "is_terminal", "is_json"),
    [("", True, False), ("", False, True), ("json", True, True), ("text", False, False)],
)
def test_programs_get_json_and_people_sentences(wants: str, is_terminal: bool, is_json: bool) -> None:
    assert Screen.of(Terminal() if is_terminal else io.StringIO(), wants=wants).is_json is is_json


@pytest.mark.parametrize(
    ("environment", "is_terminal", "has_colour"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours_only_on_a_terminal_that_wants_them(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], is_terminal: bool, has_colour: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    screen = Screen.of(Terminal() if is_terminal else io.StringIO(), wants="text")

    assert (screen.paint("red", "x") != "x") is has_colour


def test_json_is_one_line_whatever_is_in_it() -> None:
    out = io.StringIO()

    Screen(out, is_json=True).json({"at": datetime(2026, 11, 23, tzinfo=UTC), "odd": "\udcff\n\u2028", 1: ("案",)})

    [line] = out.getvalue().split("\n")[:-1]
    assert json.loads(line) == {"at": "2026-11-23T00:00:00+00:00", "odd": "?\n\u2028", "1": ["案"]}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(12, "+00:12"), (0, "+00:00"), (-5, "-00:05"), (3599, "+59:59"), (3600, "+1h00m"), (187_200, "+2d04h")],
)
def test_differences_fit_the_margin(seconds: int, said: str) -> None:
    assert margin(timedelta(seconds=seconds)) == said


def test_what_is_left_may_be_late() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)

    assert left(now + timedelta(minutes=12), now) == "12 min"
    assert left(now - timedelta(minutes=4), now) == "4 min late"
