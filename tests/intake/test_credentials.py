"""What ends is said in time, once a mark, across restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from support.clidesk import Desk

from channels.oauth_file import SavedLogin, write_login
from intake import credentials
from intake.credentials import has_dates, look
from store.engine import Database

NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)

OAUTH = """
[channels.support-mail.oauth]
provider = "google"
client_id = "x"
secret_expires_on = {on}
"""


class Clock:
    at = NOW

    def now(self) -> datetime:
        return self.at

    async def sleep_until(self, when: datetime) -> None:
        raise NotImplementedError


def desk_with(folder: Path, on: str) -> Desk:
    desk = Desk(folder)
    text = desk.path.read_text().replace('security = "none"', 'security = "tls"')
    text = text.replace('password = { file = "secrets/mail.password" }\n', "")
    desk.path.write_text(text + OAUTH.format(on=on))
    desk.make()
    return desk


def said(desk: Desk, days: int) -> list[tuple[str, int]]:
    """What one look says so many days from NOW, by a process of its own."""
    clock = Clock()
    clock.at = NOW + timedelta(days=days)

    async def once(db: Database) -> None:
        await look(db, clock, desk.config)

    lines: list[dict[str, Any]] = []
    # Not structlog's own capture: what ran before may have configured loggers that are kept.
    with patch.object(credentials.log, "warning", lambda event, **fields: lines.append({"event": event, **fields})):
        desk.within(once)
    assert {line["event"] for line in lines} <= {"credential_expiring"}
    return [(line["what"], line["days"]) for line in lines]


def test_each_mark_is_said_once(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "2027-01-31")  # in 69 days

    told = {day: lines for day in (0, 38, 39, 40, 61, 62, 63, 67, 68, 69, 70) if (lines := said(desk, day))}

    assert told == {
        39: [("client secret", 30)],
        62: [("client secret", 7)],
        68: [("client secret", 1)],
        69: [("client secret", 0)],
    }


def test_a_renewed_secret_begins_anew(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "2026-11-29")
    first = said(desk, 0)
    desk.path.write_text(desk.path.read_text().replace("2026-11-29", "2026-11-30"))

    assert (first, said(desk, 0), said(desk, 0)) == ([("client secret", 6)], [("client secret", 7)], [])


def test_a_login_that_its_server_ends_is_said(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "2029-01-01")
    login = SavedLogin(
        client_id="x", refresh_token="r", obtained_at=NOW, used_at=NOW, expires_at=NOW + timedelta(days=7)
    )
    write_login(tmp_path / "var" / "oauth" / "support-mail.json", login)

    assert said(desk, 0) == [("saved login", 7)]


def test_a_desk_with_passwords_has_no_dates(tmp_path: Path) -> None:
    assert not has_dates(Desk(tmp_path).config)
