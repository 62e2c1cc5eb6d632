"""What supervisors have said counts for the command line too."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
from support.clidesk import Desk, stand_still

from routing.overlaying import DayOff
from routing.records import Overlay
from store import overlays
from store.engine import Database

AT = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    stand_still(monkeypatch)
    return Desk(tmp_path)


def say(desk: Desk, *offs: DayOff) -> None:
    rows = [
        Overlay(id=n, kind="holiday", key=off.key(), value=dict(off.value()), agent="boss", at=AT)
        for n, off in enumerate(offs, 1)
    ]

    async def add(db: Database) -> None:
        async with db.transaction() as tx:
            await overlays.add(tx, rows)

    desk.within(add)


def test_due_counts_a_day_off_that_a_supervisor_said(desk: Desk) -> None:
    words = ("due", "--channel", "email", "--at", "2026-11-25 17:40")
    before = desk.lines(*words)[0]["targets"][0]["due_at"]

    say(desk, DayOff(date(2026, 11, 26), "TW"))

    assert before == "2026-11-26T09:40:00+00:00"
    assert desk.lines(*words)[0]["targets"][0]["due_at"] == "2026-11-27T09:40:00+00:00"


def test_check_names_the_days_off_that_were_said(desk: Desk) -> None:
    say(desk, DayOff(date(2099, 11, 26), "TW"), DayOff(date(2099, 12, 1), "TW", time(12)), DayOff(AT.date(), "TW"))

    _, out, _ = desk.says("check", "--text")

    assert "TW closed on 11-26, as a supervisor said" in out
    assert "TW closed on 12-01 from 12:00, as a supervisor said" in out
