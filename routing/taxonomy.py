"""The taxonomy: topics and the words that are evidence for them, as data.

Pure: it is given the parsed table (`intake/texts/taxonomy.toml`) and returns frozen values, folded once, so that
matching compares like with like.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routing.folding import fold
from routing.policy import Topic
from routing.words import Kind

_NAMES = {"zh-Hant": "zh_hant", "zh-Hans": "zh_hans", "en": "en"}
_SCRIPTS = ("hant", "hans", "en")
#: Cues beside the kinds: what makes a ticket urgent, and what takes that or a complaint's words back.
_OTHER_CUES = ("urgent", "not_urgent", "not_complaint")


def topics(table: Mapping[str, Any]) -> dict[str, Topic]:
    """`[topic.KEY]` tables as `Topic`s, in the order of the file. Raises KeyError where a name is missing."""
    return {
        key: Topic(
            key=key,
            names={language: entry[field] for language, field in _NAMES.items()},
            strong=_words(entry, "_strong"),
            weak=_words(entry, "_weak"),
        )
        for key, entry in table["topic"].items()
    }


def cues(table: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Kind, "urgent", "not_urgent" or "not_complaint" -> cue words of all languages.

    Raises KeyError where one is missing.
    """
    found = {kind.value: _words(table["kind"][kind.value]) for kind in Kind}
    return found | {name: _words(table[name]) for name in _OTHER_CUES}


def _words(entry: Mapping[str, Any], suffix: str = "") -> tuple[str, ...]:
    """The words of all scripts, folded, each once; many are written alike in both Chinese scripts."""
    return tuple(dict.fromkeys(fold(word) for script in _SCRIPTS for word in entry[f"{script}{suffix}"]))
