"""Loops: how much leaves by machine, to one mailbox, to one domain and altogether."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.deskrun import policy
from support.storefacts import MINUTE, NOW

from routing.loops import MAX_REMEMBERED, Ledger, mailbox_of, refusal
from routing.records import Contact

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def contact(address: str, *, verified: bool = False, days_known: int = 0) -> Contact:
    return Contact(
        address=address,
        customer=1,
        name="",
        source="mail",
        first_seen_at=NOW - days_known * DAY,
        is_verified=verified,
    )


def refused(ledger: Ledger, address: str, known: Contact | None = None, *, complained: bool = False) -> str | None:
    found = refusal(ledger, policy(), address, known, complained, NOW)
    return found.code if found else None


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("mailto:victim+1@example.com", "victim@example.com"),
        ("mailto:Victim+a+b@Example.com", "victim@example.com"),
        ("mailto:v.ic.tim+x@gmail.com", "victim@gmail.com"),
        ("mailto:first.last@example.com", "first.last@example.com"),
        ("mailto:+only@example.com", "+only@example.com"),
        ("web:v1", "v1"),
    ],
)
def test_addresses_of_one_mailbox_are_one(address: str, mailbox: str) -> None:
    assert mailbox_of(address) == mailbox


def test_a_mailbox_gets_three_a_day_whatever_stands_after_its_plus() -> None:
    ledger = Ledger()
    for n in range(3):
        ledger.note(NOW - 2 * MINUTE, f"mailto:victim+{n}@example.com", is_unknown=False)

    assert refused(ledger, "mailto:victim+9@example.com") == "ack_cap"
    assert refused(ledger, "mailto:other@example.com") is None


def test_a_day_later_it_may_be_written_to_again() -> None:
    ledger = Ledger()
    for n in range(3):
        ledger.note(NOW - DAY, f"mailto:victim+{n}@example.com", is_unknown=True)

    assert refused(ledger, "mailto:victim@example.com") is None
    assert (ledger.by_mailbox, ledger.by_domain, len(ledger.left)) == ({}, {}, 0)


@pytest.mark.parametrize(
    ("known", "code"),
    [
        (None, "ack_domain_cap"),
        (contact("mailto:new@example.com"), "ack_domain_cap"),
        (contact("mailto:new@example.com", verified=True), None),
        (contact("mailto:new@example.com", days_known=2), None),
    ],
)
def test_a_domain_whose_addresses_nobody_knows_gets_fifty_a_day(known: Contact | None, code: str | None) -> None:
    ledger = Ledger()
    for n in range(50):
        ledger.note(NOW - MINUTE, f"mailto:u{n}@example.com", is_unknown=True)

    assert refused(ledger, "mailto:new@example.com", known) == code
    assert refused(ledger, "mailto:new@elsewhere.example", known) is None


def test_known_addresses_do_not_use_up_what_a_domain_may_get() -> None:
    ledger = Ledger()
    for n in range(200):
        ledger.note(NOW - MINUTE, f"mailto:u{n}@example.com", is_unknown=False)

    assert refused(ledger, "mailto:new@example.com") is None


def test_who_has_complained_gets_nothing() -> None:
    assert refused(Ledger(), "mailto:mei@example.com", complained=True) == "ack_complained"


def test_the_breaker_opens_once_above_the_rate() -> None:
    ledger = Ledger()

    said = [ledger.ask(NOW, 5) for _ in range(20)]

    assert said == [""] * 5 + ["stopped"] + [""] * 14
    assert ledger.stopped_at == NOW


def test_it_closes_after_a_quiet_hour_and_not_before() -> None:
    ledger = Ledger()
    for _ in range(6):
        ledger.ask(NOW, 5)
    early, late = NOW + 59 * MINUTE, NOW + HOUR + MINUTE
    ledger.forget(early)
    before = ledger.ask(early, 5)
    ledger.forget(late)

    assert (before, ledger.ask(late, 5), ledger.stopped_at) == ("", "resumed", None)


def test_it_stays_open_while_as_much_is_asked_for() -> None:
    ledger = Ledger()
    said = []
    for minute in range(600):
        at = NOW + minute * MINUTE / 2
        ledger.forget(at)
        said.append(ledger.ask(at, 60))

    assert [word for word in said if word] == ["stopped"]


@pytest.mark.parametrize("stopped", [True, False])
def test_no_rate_is_no_breaker(stopped: bool) -> None:
    ledger = Ledger(stopped_at=NOW if stopped else None)

    said = [ledger.ask(NOW, 0) for _ in range(1000)]

    assert said == ["resumed" if stopped else ""] + [""] * 999
    assert len(ledger.asked) <= 2


def test_what_is_remembered_is_bounded() -> None:
    ledger = Ledger()
    for n in range(MAX_REMEMBERED + 10):
        ledger.note(NOW, f"mailto:u{n}@example.com", is_unknown=True)

    assert len(ledger.left) == len(ledger.by_mailbox) == ledger.by_domain["example.com"] == MAX_REMEMBERED
