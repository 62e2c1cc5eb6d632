"""The table of deeds: every command has one, can be typed in both scripts, and is explained in three languages."""

from __future__ import annotations

from itertools import combinations

import pytest

from intake import texts_loader
from intake.dates import LANGUAGES
from routing.commands import NAMES, CommandName, parse
from routing.deed import Place
from routing.deeds import DEEDS
from routing.folding import fold

TEXTS = texts_loader.load()


@pytest.mark.parametrize("name", list(CommandName))
def test_every_command_has_a_deed(name: CommandName) -> None:
    assert name in DEEDS


@pytest.mark.parametrize("name", list(CommandName))
def test_every_command_can_be_typed_in_both_scripts(name: CommandName) -> None:
    assert [word.isascii() for word in NAMES[name]].count(True) >= 1
    assert [word.isascii() for word in NAMES[name]].count(False) >= 1
    assert [fold(word) for word in NAMES[name]] == list(NAMES[name])


def test_no_word_is_two_commands() -> None:
    twice = [(a, b, set(NAMES[a]) & set(NAMES[b])) for a, b in combinations(CommandName, 2)]

    assert [one for one in twice if one[2]] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", list(CommandName))
def test_what_help_says_can_be_typed(name: CommandName, language: str) -> None:
    typed = TEXTS.say(f"action.typed_{name.value}", language)

    [command] = parse(typed).commands
    assert command.name is name
    assert TEXTS.has(f"action.{name.value}")


@pytest.mark.parametrize("name", list(CommandName))
def test_what_contradicts_itself_is_a_command(name: CommandName) -> None:
    assert name not in DEEDS[name].not_with
    assert set(DEEDS[name].not_with) <= set(CommandName)


def test_only_supervisors_close_the_desk_or_speak_for_others() -> None:
    theirs = {name for name, deed in DEEDS.items() if deed.for_supervisors}

    assert theirs == {CommandName.AWAY, CommandName.HOLIDAY, CommandName.TEXT, CommandName.REPORT}
    assert all(DEEDS[name].place is Place.ANYWHERE for name in theirs)
