"""The snapshot: configuration, policy and texts as they count now; replaced as a whole between batches.

The file says most of it. On top of it lies what supervisors have said (`!holiday`, `!text`), row by row in the store: a
row that does not fit any more (a text that a newer version has not) is left out and named in the log, never a reason
not to start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from intake import texts_loader
from intake.cards import Stationery
from intake.config import Config
from intake.texts_loader import Texts, TextsWrong
from routing.learned import NOTHING, Learned
from routing.overlaying import TEXT, with_days_off
from routing.policy import Policy
from routing.records import Overlay
from routing.tokens import Keyring

log = structlog.get_logger(__name__)

REWORDABLE = ("ack.", "greeting.", "answer.")  # how the keys of texts begin that customers read


class Snapshot:
    """What may change while it runs."""

    def __init__(
        self, config: Config, keyring: Keyring, overlays: Sequence[Overlay] = (), learned: Learned = NOTHING
    ) -> None:
        self.config = config
        self.keyring = keyring
        self.overlays = tuple(overlays)
        self.learned = learned
        self.stationery = _stationery(config, keyring, overlays, learned)

    @property
    def policy(self) -> Policy:
        """The policy of the file with what was said on top of it."""
        return self.stationery.policy

    def replace(self, config: Config) -> None:
        """Another file counts from now on. Raises nothing once it was read."""
        stationery = _stationery(config, self.keyring, self.overlays, self.learned)
        self.config, self.stationery = config, stationery

    def overlay(self, overlays: Sequence[Overlay]) -> bool:
        """What supervisors have said counts from now on; False if that is nothing new."""
        if tuple(overlays) == self.overlays:
            return False
        self.stationery = _stationery(self.config, self.keyring, overlays, self.learned)
        self.overlays = tuple(overlays)
        return True

    def learn(self, learned: Learned) -> None:
        """What agents have put right counts from now on; promises are as they were."""
        self.stationery = replace(self.stationery, policy=replace(self.policy, learned=learned))
        self.learned = learned


def _stationery(config: Config, keyring: Keyring, overlays: Sequence[Overlay], learned: Learned) -> Stationery:
    # Without a public_url nobody outside this machine could follow a link; in the playground nobody is.
    links = config.http.public_url or (config.http.address() if config.is_demo else "")
    texts = _reworded(texts_loader.load(), overlays)
    policy = replace(with_days_off(config.policy, overlays), rewordable=_rewordable(texts), learned=learned)
    return Stationery(policy=policy, keyring=keyring, texts=texts, links=links)


def _rewordable(texts: Texts) -> dict[str, frozenset[str]]:
    return {key: texts.placeholders(key) for key in texts.keys() if key.startswith(REWORDABLE)}  # noqa: SIM118


def _reworded(texts: Texts, overlays: Sequence[Overlay]) -> Texts:
    said: dict[tuple[str, str], str] = {}
    for overlay in overlays:
        if overlay.kind == TEXT:
            said[overlay.key, overlay.language] = str(overlay.value.get("text", ""))
    for (key, language), words in said.items():
        if not words:  # taken back: the program's own text
            continue
        try:
            texts = texts.with_overrides({key: {language: words}})
        except TextsWrong as error:
            log.error("text_left_out", key=key, language=language, reason=str(error))  # noqa: TRY400
    return texts
