"""The story of a ticket says how long something took as people say it, not in seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from intake.command.story import Teller
from routing.records import Event

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(("late", "said"), [(9802, "2 h 43 min"), (90, "1 min"), (200_000, "2 d 7 h")])
def test_how_late_a_mail_was_passed_on_is_said_in_hours(late: int, said: str) -> None:
    data = {"written_at": (NOW - timedelta(seconds=late)).isoformat(), "late_by_us_s": late, "attached": False}
    event = Event(kind="mail_passed_on", at=NOW, agent="lin", data=data)

    assert Teller("Asia/Taipei", NOW).says(event).endswith(f": late by us by {said}.")
