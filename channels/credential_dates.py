"""When a channel's credentials end, as far as anybody can know; and on which days that is said. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from channels.oauth_file import SavedLogin
from channels.settings import OAuthSettings

MARKS = (30, 7, 1, 0)  # days ahead; 0 is on the day and after it

#: A refresh token that is not used ends after so many days. The running daemon uses it every hour.
#: learn.microsoft.com/entra/identity-platform/refresh-tokens, developers.google.com/identity/protocols/oauth2
IDLE_DAYS = {"microsoft": 90, "google": 180}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """One credential, and its end."""

    what: str  # "client secret", "saved login"
    ends_on: date
    mend: str  # an instruction

    def days_left(self, now: datetime) -> int:
        """Whole days until its day, by UTC; negative after it."""
        return (self.ends_on - now.date()).days

    def mark(self, now: datetime) -> int | None:
        """The last of MARKS that has been reached; None while it is far away."""
        left = self.days_left(now)
        return min((mark for mark in MARKS if left <= mark), default=None)

    def sentence(self, now: datetime) -> str:
        left = self.days_left(now)
        if left < 0:
            return f"the {self.what} ended on {self.ends_on}"
        when = "today" if left == 0 else "tomorrow" if left == 1 else f"in {left} days"
        return f"the {self.what} ends {when}, on {self.ends_on}"


def endings(channel: str, settings: OAuthSettings, login: SavedLogin | None) -> list[Ending]:
    """Every end that is known: of the client secret as configured, of the saved login as its server tells it."""
    found = []
    if settings.secret_expires_on is not None:
        mend = f"make a new secret at the provider, and set channels.{channel}.oauth.secret_expires_on"
        found.append(Ending(what="client secret", ends_on=settings.secret_expires_on, mend=mend))
    if login is not None and settings.way != "app-only":
        ends = _end_of(login, settings.provider)
        if ends is not None:
            found.append(Ending(what="saved login", ends_on=ends.date(), mend=f"intake login {channel}"))
    return found


def _end_of(login: SavedLogin, provider: str) -> datetime | None:
    if login.expires_at is not None and not login.slides:
        return login.expires_at
    idle = IDLE_DAYS.get(provider)
    return None if idle is None else login.used_at + timedelta(days=idle)
