"""For all tests: nothing but what every one of them needs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _no_environment_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees none of the settings that the daemon takes from its surroundings."""
    for name in [*os.environ]:
        if name.startswith(("INTAKE_", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _a_log_that_hears_everything() -> Iterator[None]:
    """A command that ran in this process says nothing but its answer; the next test's log must not be as silent."""
    yield
    structlog.reset_defaults()
