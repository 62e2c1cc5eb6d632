"""The texts people read: every one in three languages, checked once, filled in without surprises.

`load` reads the file (the only input or output here, at start-up); everything that writes is handed the `Texts`.
A key that is unknown, a language that is missing, a placeholder that one language has and another has not, are
refused when loading, with the key. Values are filled in as they are: braces in them are never read again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from string import Formatter
from typing import Any

from intake.dates import LANGUAGES

#: In this order; to add one, add it here.
FILES = (
    "templates.toml",
    "templates_commands.toml",
    "templates_desk.toml",
    "templates_holding.toml",
    "templates_outside.toml",
    "templates_day.toml",
    "templates_enrolment.toml",
    "templates_overlay.toml",
)
_FIELD = {"zh-Hant": "zh_hant", "zh-Hans": "zh_hans", "en": "en"}


class TextsWrong(ValueError):
    """A text that cannot be used: the key is in the message."""


class Texts:
    """All texts of one snapshot. Immutable; `with_overrides` makes another."""

    def __init__(self, by_key: Mapping[str, Mapping[str, str]], *, is_checked: bool = False) -> None:
        """`by_key`: "ack.email" -> {"zh-Hant": …, "zh-Hans": …, "en": …}. Raises TextsWrong."""
        if not is_checked:
            for key, versions in by_key.items():
                _check(key, versions)
        self._texts: dict[tuple[str, str], str] = {
            (key, language): versions[language] for key, versions in by_key.items() for language in LANGUAGES
        }
        self._by_key = {key: dict(versions) for key, versions in by_key.items()}

    def say(self, key: str, language: str, **values: str) -> str:
        """The text in that language (zh-Hant, zh-Hans, en), filled in. KeyError where key or value is missing."""
        text = self._texts[key, language]
        return text.format_map(values) if "{" in text else text

    def has(self, key: str) -> bool:
        """True if there is such a text."""
        return key in self._by_key

    def placeholders(self, key: str) -> frozenset[str]:
        """What is filled into a text."""
        return frozenset(_placeholders(key, self._by_key[key]["en"]))

    def keys(self) -> tuple[str, ...]:
        """Every key, in the order of the file."""
        return tuple(self._by_key)

    def with_overrides(self, overrides: Mapping[str, Mapping[str, str]]) -> Texts:
        """The firm's own wording over ours: known keys only, any of the languages. Raises TextsWrong."""
        merged = dict(self._by_key)
        for key, versions in overrides.items():
            if key not in merged:
                raise TextsWrong(f"texts: there is no text {key!r} to replace")
            for language, text in versions.items():
                unknown = _placeholders(key, text) - _placeholders(key, merged[key]["en"])
                if language not in LANGUAGES or unknown:
                    raise TextsWrong(f"texts: {key} in {language} cannot be filled in ({', '.join(sorted(unknown))})")
            merged[key] = {**merged[key], **versions}
        return Texts(merged, is_checked=True)


def load() -> Texts:
    """The texts that come with the program: every file of them, each key once. Raises TextsWrong."""
    found: dict[str, dict[str, str]] = {}
    for name in FILES:
        source = resources.files("intake").joinpath("texts", name)
        more = _flatten(tomllib.loads(source.read_text(encoding="utf-8")))
        if twice := found.keys() & more.keys():
            raise TextsWrong(f"texts: {', '.join(sorted(twice))} of {name} stands in another file as well")
        found |= more
    return Texts(found)


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, dict[str, str]]:
    """Nested tables as "a.b.c" -> {language: text}; a table that holds a language is a text."""
    found: dict[str, dict[str, str]] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        if not isinstance(value, dict):
            raise TextsWrong(f"texts: {key} stands outside a text")
        if "en" in value:
            wrong = set(value) - set(_FIELD.values())
            if wrong:
                raise TextsWrong(f"texts: {key} has {', '.join(sorted(wrong))}, which is no language")
            found[key] = {language: value[field] for language, field in _FIELD.items() if field in value}
        else:
            found |= _flatten(value, f"{key}.")
    return found


def _check(key: str, versions: Mapping[str, str]) -> None:
    wanted: set[str] | None = None
    for language in LANGUAGES:
        if language not in versions:
            raise TextsWrong(f"texts: {key} has no {language}")
        if language not in _FIELD or not isinstance(versions[language], str):
            raise TextsWrong(f"texts: {key} in {language} is no text")
        fields = _placeholders(key, versions[language])
        if wanted is not None and fields != wanted:
            missing = ", ".join(sorted(fields ^ wanted))
            raise TextsWrong(f"texts: {key} in {language} does not have the same placeholders ({missing})")
        wanted = fields


def _placeholders(key: str, text: str) -> set[str]:
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise TextsWrong(f"texts: {key}: {error}") from error
    if any(spec or conversion for _, _, spec, conversion in parsed):
        raise TextsWrong(
            f"texts: {key} says how long or in which form something is filled in: only names may stand there"
        )
    names = {name for _, name, _, _ in parsed if name is not None}
    for name in names:
        # {name.attribute}, {0} and {} would reach into what is filled in.
        if not name.isidentifier():
            raise TextsWrong(f"texts: {key} has the placeholder {{{name}}}: only plain names may stand there")
    return names
