"""Loops: how much may leave by machine, to one mailbox, to one domain, and altogether.

A loop that nobody foresaw, or a flood from forged senders, must not turn the desk into a machine that writes to the
world: above a rate the acknowledgements stop by themselves, once and with an alarm, and go on by themselves after a
quiet hour. What people write never stops. The ledger is kept from batch to batch by the one decider, and is made again
from the outbox when it starts. Pure: the time is handed in.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from routing.policy import Policy
from routing.reasons import Reason, because
from routing.records import Contact

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MAX_REMEMBERED = 100_000  # acknowledgements of one day that are counted by mailbox and domain
STOPPED = "automatic_stopped"  # name of the counter that says since when (seconds of the epoch), 0 if they leave

#: Providers whose mailboxes take dots for nothing.
_DOTLESS = frozenset({"gmail.com", "googlemail.com"})


def mailbox_of(address: str) -> str:
    """The mailbox behind "mailto:victim+1@example.com": what stands after a plus is the reader's own (RFC 5233)."""
    local, mark, domain = address.partition(":")[2].lower().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _DOTLESS:
        local = local.replace(".", "")
    return f"{local}{mark}{domain}"


def domain_of_address(address: str) -> str:
    return address.lower().rpartition("@")[2]


def is_unknown(contact: Contact | None, now: datetime) -> bool:
    """Nobody we had to do with before today, and nobody vouches for his address: it may be anybody's."""
    return contact is None or (not contact.is_verified and now - contact.first_seen_at < DAY)


@dataclass
class Ledger:
    """What left by machine lately."""

    stopped_at: datetime | None = None
    withheld: int = 0  # since it stopped, as far as this process has seen
    asked: deque[datetime] = field(default_factory=deque)  # of the last hour, whether it left or not
    left: deque[tuple[datetime, str, str]] = field(default_factory=deque)  # of the last day: (at, mailbox, domain)
    by_mailbox: Counter[str] = field(default_factory=Counter)
    by_domain: Counter[str] = field(default_factory=Counter)  # only of unknown senders

    def note(self, at: datetime, address: str, *, is_unknown: bool) -> None:
        """An acknowledgement leaves for an address."""
        mailbox, domain = mailbox_of(address), domain_of_address(address) if is_unknown else ""
        self.left.append((at, mailbox, domain))
        self.by_mailbox[mailbox] += 1
        if domain:
            self.by_domain[domain] += 1
        while len(self.left) > MAX_REMEMBERED:
            self._forget_one()

    def forget(self, now: datetime) -> None:
        """What is older than it counts."""
        while self.left and self.left[0][0] <= now - DAY:
            self._forget_one()
        while self.asked and self.asked[0] <= now - HOUR:
            self.asked.popleft()

    def _forget_one(self) -> None:
        _, mailbox, domain = self.left.popleft()
        for counter, key in ((self.by_mailbox, mailbox), (self.by_domain, domain)):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]

    def ask(self, now: datetime, per_hour: int) -> str:
        """Count one more wish to write by machine: "stopped" or "resumed" when that changes something, else ""."""
        self.asked.append(now)
        while len(self.asked) > 2 * max(per_hour, 1):
            self.asked.popleft()
        if not per_hour:
            return self._resume()
        if self.stopped_at is None:
            if len(self.asked) <= per_hour:
                return ""
            self.stopped_at, self.withheld = now, 0
            return "stopped"
        is_quiet = now - self.stopped_at >= HOUR and len(self.asked) <= (per_hour + 1) // 2
        return self._resume() if is_quiet else ""

    def _resume(self) -> str:
        was, self.stopped_at = self.stopped_at, None
        return "resumed" if was else ""


def refusal(
    ledger: Ledger, policy: Policy, address: str, contact: Contact | None, has_complained: bool, now: datetime
) -> Reason | None:
    """Why nothing automatic may be written to an address, or None. The rate over all is asked apart, and last."""
    ledger.forget(now)
    if has_complained:
        return because("ack_complained")
    count = ledger.by_mailbox[mailbox_of(address)]
    if count >= policy.ack_per_address_and_day:
        return because("ack_cap", count=count)
    cap = policy.ack_per_domain_and_day
    domain = domain_of_address(address)
    if cap and is_unknown(contact, now) and ledger.by_domain[domain] >= cap:
        return because("ack_domain_cap", count=ledger.by_domain[domain], domain=domain)
    return None
