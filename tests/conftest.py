"""For all tests: nothing but what every one of them needs."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_environment_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees none of the settings that the daemon takes from its surroundings."""
    for name in [*os.environ]:
        if name.startswith(("INTAKE_", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_")):
            monkeypatch.delenv(name)
