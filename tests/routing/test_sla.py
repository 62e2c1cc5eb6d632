"""Targets: which promise a ticket gets, until when, and how it stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from channels.message import Medium
from routing.budgets import parse_budget
from routing.policy import CalendarSpec, ChannelPolicy, Policy, Team, Window
from routing.sla import (
    DEFAULT_SUPERVISOR_AFTER,
    DEFAULT_TARGETS,
    TargetPlan,
    TargetState,
    next_response_for,
    state,
    targets_for,
)
from routing.words import Kind, TargetKind

TAIPEI = ZoneInfo("Asia/Taipei")
OFFICE = (Window(time(9), time(12)), Window(time(13), time(18)))
DESK = CalendarSpec(name="desk", timezone="Asia/Taipei", week=dict.fromkeys(range(5), OFFICE), version="c1")
DAILY = CalendarSpec(
    name="daily", timezone="Asia/Taipei", week=dict.fromkeys(range(7), (Window(time(8), time(20)),)), version="c2"
)
POLICY = Policy(
    version="p1",
    firm="Firm",
    language="zh-Hant",
    region="TW",
    hotline="",
    calendar="desk",
    timezone="Asia/Taipei",
    agents={},
    teams={"night": Team(name="night", display_name="Night", members=(), calendar="daily")},
    default_team="",
    calendars={"desk": DESK, "daily": DAILY},
    targets=DEFAULT_TARGETS,
    supervisor_after=DEFAULT_SUPERVISOR_AFTER,
    rules=(),
    channels={},
)
MONDAY = datetime(2026, 11, 23, 9, tzinfo=TAIPEI)


def plans(policy: Policy = POLICY, **more: Any) -> dict[TargetKind, TargetPlan]:
    asked: dict[str, Any] = {
        "channel": "",
        "medium": Medium.EMAIL,
        "kind": Kind.CONSULTATION,
        "urgent": False,
        "at": MONDAY,
    }
    return {plan.kind: plan for plan in targets_for(policy, **asked | more)}


def due(plan: TargetPlan) -> str:
    return f"{plan.due_at.astimezone(TAIPEI):%d %H:%M:%S}"


def with_target(key: str, text: str) -> Policy:
    return replace(POLICY, targets={**POLICY.targets, key: parse_budget(text)})


@pytest.mark.parametrize(
    ("asked", "key", "expected"),
    [
        ({}, "first_response.email", "23 18:00:00"),
        ({"urgent": True}, "first_response.email", "23 14:00:00"),
        ({"kind": Kind.BUSINESS}, "first_response.email", "23 18:00:00"),
        ({"kind": Kind.COMPLAINT}, "complaint.answer", "23 11:00:00"),
        ({"kind": Kind.COMPLAINT, "urgent": True}, "complaint.answer", "23 11:00:00"),
        ({"medium": Medium.CHAT}, "first_response.chat", "23 09:01:00"),
        ({"medium": Medium.CHAT, "urgent": True}, "first_response.chat", "23 09:01:00"),
        ({"medium": Medium.CHAT, "kind": Kind.COMPLAINT}, "first_response.chat", "23 09:01:00"),
        ({"medium": Medium.CHAT, "at": MONDAY.replace(hour=3)}, "first_response.chat", "23 03:01:00"),
        ({"medium": Medium.LINE}, "first_response.messaging", "23 09:03:00"),
        ({"medium": Medium.LINE, "urgent": True}, "first_response.messaging", "23 09:01:30"),
        ({"medium": Medium.TELEGRAM, "at": MONDAY.replace(hour=3)}, "first_response.messaging", "23 09:03:00"),
        ({"medium": Medium.PHONE}, "first_response.phone", "23 09:00:09"),
        ({"medium": Medium.PHONE, "urgent": True}, "first_response.phone", "23 09:00:09"),
        ({"medium": Medium.PHONE, "kind": Kind.COMPLAINT}, "first_response.phone", "23 09:00:09"),
    ],
)
def test_the_first_response_goes_by_medium(asked: dict[str, Any], key: str, expected: str) -> None:
    plan = plans(**asked)[TargetKind.FIRST_RESPONSE]

    assert (plan.key, due(plan)) == (key, expected)


def test_a_complaint_gets_the_earlier_of_its_own_answer_and_the_usual_one() -> None:
    quick = with_target("first_response.email", "1wh")

    assert plans(quick, kind=Kind.COMPLAINT)[TargetKind.FIRST_RESPONSE].key == "first_response.email"


def test_a_missed_call_is_called_back_within_half_an_open_hour() -> None:
    at_lunch = plans(medium=Medium.PHONE, missed_call=True, at=MONDAY.replace(hour=11, minute=50))
    at_night = plans(medium=Medium.PHONE, missed_call=True, at=MONDAY.replace(hour=22))

    assert set(at_lunch) == {TargetKind.CALLBACK}
    assert due(at_lunch[TargetKind.CALLBACK]) == "23 13:20:00"
    assert due(at_night[TargetKind.CALLBACK]) == "24 09:30:00"


def test_wall_clock_written_for_a_callback_still_runs_in_open_hours_only() -> None:
    plan = plans(with_target("phone.callback", "15min"), missed_call=True, at=MONDAY.replace(hour=22))

    assert due(plan[TargetKind.CALLBACK]) == "24 09:15:00"
    assert str(plan[TargetKind.CALLBACK].budget) == "15min in hours"


@pytest.mark.parametrize(
    ("region", "seconds"),
    [
        ("CN", 15),
        ("HK", 12),
        ("TW", 9),
        ("US", 18),
        ("GB", 9),
        ("SG", 9),
        ("JP", 9),
        ("DE", 15),
        ("FR", 15),
        ("NZ", 15),
    ],
)
def test_three_rings_last_as_long_as_the_country_rings(region: str, seconds: int) -> None:
    policy = replace(POLICY, region=region)

    plan = plans(policy, medium=Medium.PHONE)[TargetKind.FIRST_RESPONSE]

    assert plan.due_at - plan.started_at == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("settings", "target", "seconds", "written"),
    [
        ({"region": "CN"}, None, 15, "3 rings x 5s"),
        ({"region": "CN", "rings": 4}, None, 20, "4 rings x 5s"),
        ({"ring_cycle": timedelta(seconds=2.5)}, None, 7.5, "3 rings x 2.5s"),
        ({}, "20s", 20, "20s"),
        ({"ring_cycle": timedelta(seconds=4)}, "20s", 12, "3 rings x 4s"),
    ],
)
def test_a_setting_overrides_the_country(
    settings: dict[str, Any], target: str | None, seconds: float, written: str
) -> None:
    policy = with_target("first_response.phone", target) if target else POLICY
    policy = replace(policy, channels={"hotline": ChannelPolicy(name="hotline", medium="phone", **settings)})

    plan = plans(policy, channel="hotline", medium=Medium.PHONE)[TargetKind.FIRST_RESPONSE]

    assert plan.due_at - plan.started_at == timedelta(seconds=seconds)
    assert str(plan.budget) == written


@pytest.mark.parametrize(
    ("asked", "kind", "key", "expected"),
    [
        ({"kind": Kind.FEEDBACK}, TargetKind.REPORT_BACK, "feedback.report_back", "30 18:00:00"),
        ({"kind": Kind.COMPLAINT}, TargetKind.INITIAL_OPINION, "complaint.initial_opinion", "24 18:00:00"),
        (
            {"kind": Kind.COMPLAINT, "urgent": True},
            TargetKind.INITIAL_OPINION,
            "complaint.initial_opinion_urgent",
            "23 14:00:00",
        ),
        ({"kind": Kind.COMPLAINT}, TargetKind.RESOLUTION, "complaint.resolution", "07 18:00:00"),
    ],
)
def test_complaints_and_feedback_have_further_targets(
    asked: dict[str, Any], kind: TargetKind, key: str, expected: str
) -> None:
    plan = plans(**asked)[kind]

    assert (plan.key, due(plan)) == (key, expected)


def test_in_taiwan_a_complaint_is_settled_within_fifteen_days_even_when_ten_working_days_last_longer() -> None:
    taiwan = replace(
        POLICY, calendars={"desk": replace(DESK, country="TW"), "daily": DAILY}
    )  # Lunar New Year 2026: 14 to 22 February
    at = datetime(2026, 2, 12, 10, tzinfo=TAIPEI)

    here = plans(taiwan, kind=Kind.COMPLAINT, at=at)[TargetKind.RESOLUTION]
    there = plans(replace(taiwan, region="HK"), kind=Kind.COMPLAINT, at=at)[TargetKind.RESOLUTION]

    assert (here.key, due(here)) == ("complaint.resolution_tw", "28 00:00:00")
    assert (there.key, due(there)) == ("complaint.resolution", "06 18:00:00")


def test_nothing_but_the_first_response_is_promised_to_a_question() -> None:
    assert set(plans(kind=Kind.CONSULTATION)) == set(plans(kind=Kind.BUSINESS)) == {TargetKind.FIRST_RESPONSE}


def test_the_channels_calendar_comes_before_the_teams_before_the_desks() -> None:
    by_channel = replace(POLICY, channels={"mail": ChannelPolicy(name="mail", medium="email", calendar="desk")})

    used = [
        plans()[TargetKind.FIRST_RESPONSE],
        plans(team="night")[TargetKind.FIRST_RESPONSE],
        plans(by_channel, channel="mail", team="night")[TargetKind.FIRST_RESPONSE],
    ]

    assert [(p.calendar, p.calendar_version, p.policy_version) for p in used] == [
        ("desk", "c1", "p1"),
        ("daily", "c2", "p1"),
        ("desk", "c1", "p1"),
    ]
    assert due(used[1]) == "23 17:00:00"


def test_warnings_come_at_half_and_at_eighty_percent_of_the_open_hours() -> None:
    plan = plans(at=MONDAY.replace(hour=11))[TargetKind.FIRST_RESPONSE]  # 8wh: 1 h, lunch, 5 h, night, 2 h

    assert plan.warn_50_at == MONDAY.replace(hour=16)
    assert plan.warn_80_at == MONDAY + timedelta(days=1, minutes=24)
    assert plan.due_at == MONDAY + timedelta(days=1, hours=2)


@pytest.mark.parametrize(("text", "is_warned"), [("10min", True), ("599s", False), ("0.1wh", False), ("1wd", True)])
def test_only_budgets_of_ten_minutes_and_more_are_warned_about(text: str, is_warned: bool) -> None:
    plan = plans(with_target("first_response.email", text))[TargetKind.FIRST_RESPONSE]

    assert (plan.warn_50_at is not None, plan.warn_80_at is not None) == (is_warned, is_warned)


def test_the_supervisor_hears_at_the_breach_unless_the_policy_says_when() -> None:
    mail = plans()[TargetKind.FIRST_RESPONSE]
    chat = plans(medium=Medium.CHAT)[TargetKind.FIRST_RESPONSE]

    assert mail.supervisor_at == mail.due_at
    assert chat.supervisor_at - chat.started_at == timedelta(seconds=180)


def test_a_supervisor_of_a_promise_in_hours_is_not_woken_at_night() -> None:
    policy = with_target("first_response.chat", "60s in hours")
    night = MONDAY.replace(hour=20)

    plan = plans(policy, medium=Medium.CHAT, at=night)[TargetKind.FIRST_RESPONSE]

    assert plan.supervisor_at == plan.due_at + timedelta(seconds=120)


def test_an_urgent_ticket_halves_the_supervisors_wait_too() -> None:
    policy = replace(POLICY, supervisor_after={"first_response.email": parse_budget("6wh")})

    plan = plans(policy, urgent=True)[TargetKind.FIRST_RESPONSE]

    assert plan.supervisor_at == MONDAY.replace(hour=12)


def test_half_of_days_is_half_of_the_open_time_they_stand_for() -> None:
    plan = plans(with_target("first_response.email", "1wd"), urgent=True)[TargetKind.FIRST_RESPONSE]

    assert due(plan) == "23 18:00:00"  # received at opening, due at tomorrow's closing: 16 open hours
    assert str(plan.budget) == "half of 1wd"


def test_further_words_start_a_clock_as_long_as_the_first() -> None:
    plan = next_response_for(POLICY, channel="", medium=Medium.EMAIL, urgent=True, at=MONDAY)

    assert (plan.kind, due(plan)) == (TargetKind.NEXT_RESPONSE, "23 14:00:00")


@pytest.mark.parametrize(
    ("now", "met", "expected"),
    [
        ("12:59:59", None, TargetState.CALM),
        ("14:00:00", None, TargetState.HALF),
        ("16:24:00", None, TargetState.SHORT),
        ("18:00:00", None, TargetState.SHORT),  # the last moment still counts
        ("18:00:01", None, TargetState.OVERDUE),
        ("20:00:00", "18:00:00", TargetState.MET),
        ("20:00:00", "18:00:01", TargetState.MET_LATE),
        ("10:00:00", "11:00:00", TargetState.CALM),  # not yet met at that moment
    ],
)
def test_how_a_target_stands(now: str, met: str | None, expected: TargetState) -> None:
    plan = plans()[TargetKind.FIRST_RESPONSE]
    clock = [datetime.combine(MONDAY.date(), time.fromisoformat(text), TAIPEI) if text else None for text in (now, met)]

    assert clock[0] is not None
    assert state(plan, clock[0], clock[1]) == expected


def managed(**more: Any) -> Policy:
    return replace(POLICY, teams={"night": replace(POLICY.teams["night"], managers=("boss",))}, **more)


@pytest.mark.parametrize(
    ("medium", "heard", "managers"),
    [
        (Medium.EMAIL, "23 17:00", "24 13:00"),  # 8wh by the team's 08:00-20:00, and 8wh again
        (Medium.CHAT, "23 09:03", "23 09:33"),  # a minute once more would be no time to do anything in
    ],
)
def test_the_managers_hear_when_as_much_time_has_gone_by_again(medium: Medium, heard: str, managers: str) -> None:
    plan = plans(managed(), medium=medium, team="night")[TargetKind.FIRST_RESPONSE]

    assert plan.manager_at is not None
    shown = [f"{at.astimezone(TAIPEI):%d %H:%M}" for at in (plan.supervisor_at, plan.manager_at)]
    assert shown == [heard, managers]


def test_the_policy_says_when_the_managers_hear_and_in_hours_they_sleep_at_night() -> None:
    after = {"first_response.email": parse_budget("13h")}

    plan = plans(managed(manager_after=after), team="night")[TargetKind.FIRST_RESPONSE]

    assert plan.manager_at is not None
    # Three hours are left of the day, twelve of the next have to give ten.
    assert f"{plan.manager_at.astimezone(TAIPEI):%d %H:%M}" == "24 18:00"


def test_a_team_without_managers_tells_none() -> None:
    assert plans(team="night")[TargetKind.FIRST_RESPONSE].manager_at is None
