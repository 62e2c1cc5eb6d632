"""Statutory dates: the official ones of China and Taiwan, day by day."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deskrun import policy as desk_policy
from support.storefacts import ticket

from intake.config_calendars import built_in
from routing.policy import Filing, Policy
from routing.statutes import BadFiling, filing_of, filings, next_statute, statute, tied

CALENDARS = built_in()
KNOWN = filings(tomllib.loads(resources.files("intake").joinpath("texts", "filings.toml").read_text("utf-8")))


def filing(region: str) -> Filing:
    found = filing_of(KNOWN, region, "tax_filing")
    assert found is not None
    return found


# Month by month; whoever has the notices of the State Taxation Administration at hand compares them here.
OFFICIAL_CN = {
    2025: ("01-15", "02-20", "03-17", "04-18", "05-22", "06-16", "07-15", "08-15", "09-15", "10-27", "11-17", "12-15"),
    2026: ("01-20", "02-24", "03-16", "04-20", "05-22", "06-15", "07-15", "08-17", "09-15", "10-26", "11-16", "12-15"),
}


@pytest.mark.parametrize(("year", "month"), [(y, m) for y in OFFICIAL_CN for m in range(1, 13)])
def test_china_files_until_the_official_date(year: int, month: int) -> None:
    found = statute(filing("CN"), CALENDARS["CN"], year, month)

    assert (f"{found.day:%m-%d}", found.key) == (OFFICIAL_CN[year][month - 1], f"CN/filing/{year}-{month:02}")


def test_taiwan_files_in_odd_months_and_rest_on_the_last_day_moves_it() -> None:
    days, at = [], datetime(2025, 12, 31, 16, tzinfo=UTC)  # midnight in Taipei
    for _ in range(6):
        found = next_statute(filing("TW"), CALENDARS["TW"], at)
        days.append(f"{found.day:%m-%d}")
        at = found.at

    assert days == ["01-15", "03-16", "05-15", "07-15", "09-15", "11-16"]


@pytest.mark.parametrize(
    ("at", "key"),
    [
        ("2026-11-16T23:59:59+08:00", "CN/filing/2026-11"),
        ("2026-11-17T00:00:00+08:00", "CN/filing/2026-12"),
        ("2026-12-16T00:00:00+08:00", "CN/filing/2027-01"),
    ],
)
def test_a_date_lasts_until_the_midnight_that_closes_it(at: str, key: str) -> None:
    found = next_statute(filing("CN"), CALENDARS["CN"], datetime.fromisoformat(at))

    assert (found.key, found.is_provisional) == (key, "2027" in key)


@given(
    st.sampled_from(("CN", "TW")),
    st.datetimes(datetime(2012, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_the_next_date_is_ahead_within_a_period_and_a_working_day(region: str, at: datetime) -> None:
    found = next_statute(filing(region), CALENDARS[region], at)

    assert at < found.at < at + timedelta(days=100)
    assert found.day.day >= 15 or found.day.month != int(found.key[-2:])
    earlier = next_statute(filing(region), CALENDARS[region], at - timedelta(days=1))
    assert earlier.at <= found.at


def test_no_filing_for_other_topics_and_regions() -> None:
    assert filing_of(KNOWN, "CN", "general") is None
    assert filing_of(KNOWN, "DE", "tax_filing") is None


GOOD: dict[str, Any] = {"calendar": "CN", "topics": ["a"], "months": [1], "day": 15, "breaks": 0}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"months": [13]}, "XX.vat.months"),
        ({"months": []}, "XX.vat.months"),
        ({"day": 31}, "XX.vat.day"),
        ({"day": "15"}, "XX.vat.day"),
        ({"calendar": None}, "XX.vat.calendar"),
    ],
)
def test_a_rule_that_gives_no_date_is_refused(change: dict[str, Any], path: str) -> None:
    with pytest.raises(BadFiling) as refused:
        filings({"XX": {"vat": GOOD | change}})

    assert refused.value.path == path
    assert refused.value.mend


def test_every_shipped_rule_names_a_calendar_and_topics_that_are_there() -> None:
    topics = tomllib.loads(resources.files("intake").joinpath("texts", "taxonomy.toml").read_text("utf-8"))["topic"]

    assert all(one.calendar in CALENDARS and set(one.topics) <= set(topics) for one in KNOWN)
    assert statute(filing("TW"), CALENDARS["TW"], 2026, 11).day == date(2026, 11, 16)


# ---- on a ticket


def with_filings(**changes: Any) -> Policy:
    return replace(
        desk_policy(), filings=KNOWN, filing_calendars={name: CALENDARS[name] for name in ("CN", "TW")}, **changes
    )


@pytest.mark.parametrize(
    ("region", "topic", "expected"),
    [
        ("TW", "tax_filing", ("TW/filing/2027-01", "2027-01-15T16:00")),
        ("CN", "tax_filing", ("CN/filing/2026-12", "2026-12-15T16:00")),
        ("CN", "invoice", (None, None)),
        ("HK", "tax_filing", (None, None)),
    ],
)
def test_a_ticket_is_tied_to_the_next_return_of_its_topic_and_region(
    region: str, topic: str, expected: tuple[str | None, str | None]
) -> None:
    found = tied(with_filings(region=region), ticket(topic=topic), datetime(2026, 11, 24, 2, 0, tzinfo=UTC))

    at = f"{found.statutory_at:%Y-%m-%dT%H:%M}" if found.statutory_at is not None else None
    assert (found.statute, at) == expected


def test_another_topic_unties_it() -> None:
    at = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    was = tied(with_filings(region="CN"), ticket(topic="tax_filing"), at)

    now = tied(with_filings(region="CN"), replace(was, topic="invoice"), at)

    assert (now.statute, now.statutory_at) == (None, None)
