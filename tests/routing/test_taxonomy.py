"""The taxonomy as data: complete, folded, and never the same word twice for one topic."""

from __future__ import annotations

import tomllib
from pathlib import Path

from routing import taxonomy
from routing.folding import fold
from routing.words import Kind

TABLE = tomllib.loads((Path(__file__).parents[2] / "intake/texts/taxonomy.toml").read_text("utf-8"))


def test_every_topic_has_a_name_in_three_languages_and_words_of_its_own() -> None:
    topics = taxonomy.topics(TABLE)

    assert len(topics) == 15
    for key, topic in topics.items():
        assert topic.key == key
        assert all(topic.names[language] for language in ("zh-Hant", "zh-Hans", "en"))
        assert topic.strong


def test_words_are_folded_as_messages_are_and_stand_once() -> None:
    groups = [words for topic in taxonomy.topics(TABLE).values() for words in (topic.strong, topic.weak)]
    groups += taxonomy.cues(TABLE).values()

    assert all(list(words) == list(dict.fromkeys(fold(word) for word in words)) for words in groups)
    assert "vat return" in taxonomy.topics(TABLE)["tax_filing"].strong


def test_there_are_cues_for_every_kind_for_urgency_and_against_complaints() -> None:
    assert set(taxonomy.cues(TABLE)) == {kind.value for kind in Kind} | {"urgent", "not_urgent", "not_complaint"}
