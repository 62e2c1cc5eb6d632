"""Pacing: how fast an account may send, and whether one more may leave now.

Pure: whoever asks brings the time, in seconds of a clock that is never set. Providers count what leaves in any minute
and in any 24 hours; so is it counted here, in sixtieths of the span, a sixtieth too long rather than too short. A
fifth of each span is kept for what cannot wait, so that a flood of notices does not use up the answers' share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

MINUTE = 60.0  # seconds
DAY = 86_400.0  # seconds
SLOTS = 60  # parts into which a span is divided to be counted
KEPT = 5  # of so many, one is kept for what cannot wait


@dataclass(frozen=True, slots=True)
class Pace:
    """What an account allows; 0 is no limit."""

    per_minute: int = 0  # messages
    per_day: int = 0  # recipients, in any 24 hours
    connections: int = 2  # at one time


#: What providers say of one account, or, where they say nothing firm, what is safe.
PROVIDERS = {
    # learn.microsoft.com, "Throttling limits for SMTP AUTH": 30 a minute, 10,000 recipients a day, 3 connections.
    "microsoft": Pace(30, 10_000, 3),
    # support.google.com/a/answer/166852: 2,000 messages a day for Workspace; nothing is said of minutes.
    "google": Pace(60, 2_000, 3),
    # The free mailboxes of NetEase and Tencent name no fixed figures (new accounts: some hundreds a day) and answer
    # MI:SFQ, "frequency limited" when it is too much; this stays below what is reported to be refused.
    "netease": Pace(10, 300, 1),
    "tencent": Pace(15, 400, 2),
    # Their services for firms share a quota over the domain, which the firm's administrator sees.
    "netease-business": Pace(20, 1_000, 2),
    "tencent-business": Pace(20, 1_000, 2),
}

#: The relay's host, or the end of it -> whose it is.
HOSTS = {
    "smtp.office365.com": "microsoft",
    "smtp-mail.outlook.com": "microsoft",
    "outlook.office365.com": "microsoft",
    "smtp.partner.outlook.cn": "microsoft",
    "smtp.gmail.com": "google",
    "smtp.googlemail.com": "google",
    "smtp.163.com": "netease",
    "smtp.126.com": "netease",
    "smtp.yeah.net": "netease",
    "smtp.188.com": "netease",
    "smtp.vip.163.com": "netease",
    "qiye.163.com": "netease-business",
    "ym.163.com": "netease-business",
    "smtp.qq.com": "tencent",
    "smtp.foxmail.com": "tencent",
    "exmail.qq.com": "tencent-business",
}


def provider_of(host: str) -> str:
    """Whose relay this is, a key of PROVIDERS; "" for one that nobody here knows."""
    name = host.lower().rstrip(".")
    return next((whose for end, whose in HOSTS.items() if name == end or name.endswith(f".{end}")), "")


def preset(host: str) -> Pace:
    """What the relay at this host allows; no limits where that is not known."""
    return PROVIDERS.get(provider_of(host), Pace())


@dataclass(frozen=True, slots=True)
class Window:
    """How many left within the last `span` seconds, of at most `limit`; 0 is no limit."""

    span: float
    limit: int
    slots: tuple[tuple[int, int], ...] = ()  # (number of the slot, how many), the oldest first

    def used(self, now: float) -> int:
        return sum(count for _, count in self._live(now))

    def room(self, now: float, *, is_urgent: bool) -> int:
        """How many may leave now."""
        return max(0, usable(self.limit, is_urgent=is_urgent) - self.used(now))

    def wait(self, now: float, *, is_urgent: bool) -> float:
        """Seconds until one may leave; 0.0: at once."""
        over = self.used(now) - usable(self.limit, is_urgent=is_urgent) + 1
        for number, count in self._live(now):
            if over <= 0:
                break
            over -= count
            if over <= 0:
                return (number + 1) * self._width + self.span - now
        return 0.0

    def counted(self, at: float, now: float, many: int = 1) -> Window:
        """As it is once `many` have left at a moment."""
        number = int(at // self._width)
        slots = dict(self._live(now))
        slots[number] = slots.get(number, 0) + many
        return replace(self, slots=tuple(sorted(slots.items())))

    def without(self, now: float) -> Window:
        """As it is after all if the latest did not leave."""
        live = list(self._live(now))
        if live:
            number, count = live.pop()
            live += [(number, count - 1)] if count > 1 else []
        return replace(self, slots=tuple(live))

    @property
    def _width(self) -> float:
        return self.span / SLOTS

    def _live(self, now: float) -> Iterable[tuple[int, int]]:
        # A slot is over when the last that may have left in it is older than the span.
        return ((number, count) for number, count in self.slots if (number + 1) * self._width + self.span > now)


def usable(limit: int, *, is_urgent: bool) -> int:
    """How much of a limit one may use: all of it, or what is not kept for the urgent."""
    return limit if is_urgent else limit - limit // KEPT


@dataclass(frozen=True, slots=True)
class Sent:
    """What an account has sent of late, against its pace."""

    minute: Window
    day: Window

    @classmethod
    def at(cls, pace: Pace, ages: Iterable[float] = (), now: float = 0.0) -> Sent:
        """`ages`: how many seconds ago each recipient of the last 24 hours was sent to."""
        sent = cls(Window(MINUTE, pace.per_minute), Window(DAY, pace.per_day))
        for seconds, many in Counter(int(age) for age in ages).items():
            # Counted as late in its second as it may have been.
            sent = sent.counted(now - seconds, now, many)
        return sent

    def _limits(self) -> tuple[Window, ...]:
        return tuple(window for window in (self.minute, self.day) if window.limit)

    def room(self, now: float, *, is_urgent: bool, most: int) -> int:
        """How many may leave now, `most` where nothing is limited."""
        return min([most, *(window.room(now, is_urgent=is_urgent) for window in self._limits())])

    def wait(self, now: float, *, is_urgent: bool) -> float:
        """Seconds until one may leave; 0.0: at once."""
        return max([0.0, *(window.wait(now, is_urgent=is_urgent) for window in self._limits())])

    def counted(self, at: float, now: float, many: int = 1) -> Sent:
        """As it is once one has left at a moment, or many."""
        return Sent(
            self.minute.counted(at, now, many) if self.minute.limit else self.minute,
            self.day.counted(at, now, many) if self.day.limit else self.day,
        )

    def not_taken(self, now: float) -> Sent:
        """As it is once the other side has refused the latest: it was an attempt, and is no recipient of the day."""
        return replace(self, day=self.day.without(now))

    def why(self, now: float, *, is_urgent: bool) -> str:
        """Which limit makes what is not urgent wait, in words; "" for none."""
        for window, unit in ((self.day, "24 hours"), (self.minute, "a minute")):
            if window.limit and window.wait(now, is_urgent=is_urgent) > 0:
                return f"{window.limit} in {unit} is this account's pace"
        return ""
