"""Ways out: what is known of each channel that sends: its hands, its pace, and whether it rests.

Kept in memory and counted in seconds of a clock that is never set, so that a time of day put back lengthens no rest.
Channels of one account are one way out: what its provider says to one of them is said to all. No input or output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from channels.adapter import (
    AccountRefused,
    ChannelAway,
    ChannelSlowed,
    LoginRefused,
    PermanentFailure,
    TemporaryFailure,
    UnknownDelivery,
)
from channels.pacing import Pace, Sent
from routing.backoff import growing
from routing.words import URGENT
from store.outbox import OutboxItem

log = structlog.get_logger(__name__)

PARALLEL = 16  # messages that a sender is handed at one time, unless its adapter says otherwise
REST_AFTER_LOGIN_REFUSED = timedelta(minutes=15)
REST_AFTER_LOST = timedelta(seconds=5)  # a channel whose server is away is left alone for a moment
REST_AFTER_SLOWED = (timedelta(minutes=1), timedelta(minutes=30))  # the first, and the longest
REST_AFTER_REFUSED = (timedelta(minutes=15), timedelta(hours=1))  # the account is refused: the first, and the longest
FORGOTTEN_AFTER = timedelta(hours=1)  # without another word of the kind the next rest is a first one again

Failure = TemporaryFailure | PermanentFailure | UnknownDelivery


@dataclass(frozen=True, kw_only=True)
class WayOut:
    """One channel's, as it was built."""

    parallel: int = PARALLEL
    pace: Pace | None = None  # None: as fast as it can
    account: str = ""  # "": one of its own


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Why something waits for its way out, and for how long."""

    seconds: float
    why: str
    is_for_all: bool  # False: answers and assignments may still leave


@dataclass
class _Account:
    """What its channels share."""

    hands: int
    sent: Sent
    busy: int = 0
    rests_until: float = 0.0
    is_doubtful: bool = False  # the last could not be brought: one at a time
    is_probing: bool = False  # and that one is under way
    slowed_by: str = ""  # the provider's words
    times: int = 0  # rests of the growing kind, one soon after the other
    rested_at: float = 0.0


class WaysOut:
    """All of them."""

    def __init__(self, ways: Mapping[str, WayOut], ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._name = {channel: way.account or channel for channel, way in ways.items()}
        self._accounts: dict[str, _Account] = {}
        for channel, way in ways.items():
            known = self._accounts.get(self._name[channel])
            hands = max(way.parallel, known.hands if known else 0)
            self._accounts[self._name[channel]] = _Account(hands, known.sent if known else Sent.at(way.pace or Pace()))
        self.away: dict[str, str] = {}  # channel -> why nothing can be sent by it; for /healthz

    def of(self, channel: str) -> _Account:
        return self._accounts[self._name[channel]]

    # ---- beginning

    def forget_attempts(self) -> None:
        """Those that were under way are not ours any more."""
        for account in self._accounts.values():
            account.busy, account.is_probing = 0, False

    def counted_by_day(self) -> dict[str, tuple[list[str], int]]:
        """{account: (its channels, its recipients a day)}, where a day is limited."""
        limited = {name: a.sent.day.limit for name, a in self._accounts.items() if a.sent.day.limit}
        return {name: ([c for c, own in self._name.items() if own == name], most) for name, most in limited.items()}

    def remember(self, account: str, ages: Iterable[float]) -> None:
        """What left before this start: how many seconds ago each."""
        now, known = self._ticks(), self._accounts[account]
        pace = Pace(per_minute=known.sent.minute.limit, per_day=known.sent.day.limit)
        known.sent = Sent.at(pace, ages, now)

    # ---- what may be begun

    def closed(self) -> set[str]:
        """Channels that are handed nothing now: resting, being probed, hands full, or at the end of their pace."""
        return {c for c, name in self._name.items() if self._room(self._accounts[name], is_urgent=True) <= 0}

    def for_urgent_only(self) -> set[str]:
        """Channels that have but the share left that is kept for what cannot wait."""
        return {c for c, name in self._name.items() if self._room(self._accounts[name], is_urgent=False) <= 0}

    def _room(self, account: _Account, *, is_urgent: bool) -> int:
        now = self._ticks()
        if account.rests_until > now or account.is_probing:
            return 0
        hands = (1 if account.is_doubtful else account.hands) - account.busy
        return account.sent.room(now, is_urgent=is_urgent, most=hands)

    def fit(self, items: Sequence[OutboxItem]) -> list[OutboxItem]:
        """So many of a channel as it has hands for and its pace allows. Of one that is gone, all: they are held."""
        kept: list[OutboxItem] = []
        taken: Counter[str] = Counter()
        for item in items:
            name = self._name.get(item.channel)
            if name is not None:
                # What was taken here is not counted yet: it must fit into both shares beside it.
                if taken[name] >= self._room(self._accounts[name], is_urgent=item.purpose in URGENT):
                    continue
                taken[name] += 1
            kept.append(item)
        return kept

    def opens_in(self) -> float | None:
        """Seconds until some way opens, or opens wider, by itself; None: none will."""
        now = self._ticks()
        waits = []
        for account in self._accounts.values():
            if account.rests_until > now:
                waits.append(account.rests_until - now)
            waits += [w for u in (True, False) if (w := account.sent.wait(now, is_urgent=u)) > 0]
        return min(waits, default=None)

    # ---- what becomes of it

    def began(self, channel: str) -> None:
        account, now = self.of(channel), self._ticks()
        account.is_probing = account.is_doubtful
        account.busy += 1
        account.sent = account.sent.counted(now, now)

    def ended(self, channel: str) -> None:
        self.of(channel).busy -= 1

    def learn(self, channel: str, failure: Failure | None) -> None:
        """What a result says of its way out; known at once, before anything else is begun there."""
        account, now = self.of(channel), self._ticks()
        account.is_probing = False
        if isinstance(failure, TemporaryFailure | PermanentFailure):
            account.sent = account.sent.not_taken(now)
        if not isinstance(failure, ChannelAway):
            self._is_back(channel)
            return
        account.is_doubtful = True
        account.rests_until = max(account.rests_until, now + self._rest(account, failure).total_seconds())
        if isinstance(failure, ChannelSlowed):
            if not account.slowed_by:
                log.warning("channel_slowed", channel=channel, error=failure.reason)
            account.slowed_by = failure.reason
            return
        # Once, however long it is away and however much waits for it.
        if channel not in self.away:
            if isinstance(failure, AccountRefused):
                log.warning("account_refused", channel=channel, error=failure.reason)
            else:
                log.warning("channel_away", channel=channel, error=failure.reason)
        for other in self._beside(channel):
            self.away[other] = failure.reason

    def _is_back(self, channel: str) -> None:
        account = self.of(channel)
        account.is_doubtful, account.slowed_by = False, ""
        for other in self._beside(channel):
            if self.away.pop(other, None) is not None:
                log.info("channel_back", channel=other)

    def _beside(self, channel: str) -> list[str]:
        """The channels of the same account, itself among them."""
        return [other for other, name in self._name.items() if name == self._name[channel]]

    def _rest(self, account: _Account, failure: ChannelAway) -> timedelta:
        if isinstance(failure, LoginRefused):
            return REST_AFTER_LOGIN_REFUSED
        if not isinstance(failure, ChannelSlowed | AccountRefused):
            return REST_AFTER_LOST
        now = self._ticks()
        if now < account.rests_until:  # said by another that had been begun before: it is the same word
            return timedelta(seconds=account.rests_until - now)
        is_soon = account.times and now - account.rested_at < FORGOTTEN_AFTER.total_seconds()
        account.times = account.times + 1 if is_soon else 1
        first, longest = REST_AFTER_SLOWED if isinstance(failure, ChannelSlowed) else REST_AFTER_REFUSED
        rest = growing(account.times, first, longest)
        if failure.retry_after is not None:
            rest = max(rest, timedelta(seconds=failure.retry_after))
        account.rested_at = now + rest.total_seconds()
        return rest

    # ---- what is told of it

    def waits(self) -> dict[str, Wait]:
        """Channels that send nothing, or only what is urgent, for a time that is known."""
        now = self._ticks()
        found = {}
        for channel, name in self._name.items():
            account = self._accounts[name]
            if account.rests_until > now:
                why = account.slowed_by or self.away.get(channel, "")
                found[channel] = Wait(seconds=account.rests_until - now, why=why, is_for_all=True)
            elif (seconds := account.sent.wait(now, is_urgent=False)) > 0:
                is_for_all = account.sent.wait(now, is_urgent=True) > 0
                why = account.sent.why(now, is_urgent=False)
                found[channel] = Wait(seconds=seconds, why=why, is_for_all=is_for_all)
        return found
