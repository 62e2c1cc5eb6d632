"""The roster file and [assignment]: what becomes of them, and what is refused, with its row and its mend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from intake.config_assigning import AssignmentTable, rules
from intake.config_roster import roster
from intake.config_words import Problem
from routing.assigning_rules import Whom
from routing.roster import Roster

AGENTS = ("chen", "lin", "wu")
HEADER = "agent,what,from,until,name\n"
ZONE = "Asia/Taipei"  # UTC+8, no change of the clock


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def read(tmp_path: Path, text: str, name: str = "roster.csv") -> tuple[Roster, dict[str, str]]:
    """The roster, and path -> "message -> mend" of what is wrong."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    problems: list[Problem] = []
    found = roster(path, ZONE, AGENTS, problems)
    return found, {problem.path: f"{problem.message} -> {problem.mend}" for problem in problems}


CSV = (
    HEADER
    + "# the week of the 24th\n"
    + "chen,shift,2026-11-24 09:00,18:00,\n"
    + "chen,shift,2026-11-25 22:00,06:00,night\n"
    + "lin,shift,mon-fri 09:00,12:00,\n"
    + "lin,shift,mon-fri 13:00,18:00\n"
    + "lin,leave,2026-11-26,2026-11-27,\n"
    + "lin,on_call,2026-11-24 18:00,23:00,\n"
    + "lin,certificate,,2026-12-31,complaints\n"
    + "wu,language,,,en\n"
)
ICAL = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
SUMMARY:chen shift
DTSTART;TZID=Asia/Taipei:20261124T090000
DTEND;TZID=Asia/Taipei:20261124T180000
END:VEVENT
BEGIN:VEVENT
SUMMARY:chen
DTSTART:20261125T140000Z
DTEND:20261125T220000Z
END:VEVENT
BEGIN:VEVENT
SUMMARY:lin sh
 ift
DTSTART:20261102T090000
DTEND:20261102T120000
RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR
END:VEVENT
BEGIN:VEVENT
SUMMARY:lin shift
DTSTART:20261102T130000
DTEND:20261102T180000
RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;UNTIL=20271231
END:VEVENT
BEGIN:VEVENT
SUMMARY:lin leave
DTSTART;VALUE=DATE:20261126
DTEND;VALUE=DATE:20261128
END:VEVENT
END:VCALENDAR
"""

#: agent, moment (UTC), on duty, until when he is
DUTY = [
    ("chen", "2026-11-24T00:59", False, None),
    ("chen", "2026-11-24T01:00", True, "2026-11-24T10:00"),
    ("chen", "2026-11-24T10:00", False, None),
    ("chen", "2026-11-25T21:59", True, "2026-11-25T22:00"),  # a night that ends on the next day
    ("lin", "2026-11-24T03:59", True, "2026-11-24T04:00"),
    ("lin", "2026-11-24T04:30", False, None),  # between two shifts
    ("lin", "2026-11-24T05:00", True, "2026-11-24T10:00"),
    ("lin", "2026-11-26T02:00", False, None),  # on leave, both days
    ("lin", "2026-11-27T02:00", False, None),
    ("lin", "2026-11-28T02:00", False, None),  # a Saturday
    ("lin", "2026-11-30T02:00", True, "2026-11-30T04:00"),
]


@pytest.mark.parametrize(("name", "text"), [("roster.csv", CSV), ("roster.ics", ICAL)])
@pytest.mark.parametrize(("agent", "at", "is_on", "until"), DUTY)
def test_who_works_when(
    tmp_path: Path, name: str, text: str, agent: str, at: str, is_on: bool, until: str | None
) -> None:
    found, problems = read(tmp_path, text, name)

    duty = found.duty(agent, utc(at))

    assert problems == {}
    assert (duty.is_on, duty.ends_at) == (is_on, utc(until) if until else None)


def test_who_has_no_shift_works_by_the_calendar_and_leave_is_stronger(tmp_path: Path) -> None:
    found, _ = read(tmp_path, HEADER + "wu,leave,2026-11-24,2026-11-24,\n")

    at_work, away = found.duty("wu", utc("2026-11-25T02:00")), found.duty("wu", utc("2026-11-24T02:00"))

    assert (at_work.is_on, at_work.ends_at) == (True, None)
    assert (away.is_on, away.until) == (False, utc("2026-11-24T16:00"))
    assert found.duty("nobody's", utc("2026-11-24T02:00"), []).is_on is False


def test_the_other_rows(tmp_path: Path) -> None:
    found, _ = read(tmp_path, CSV)

    assert found.people["lin"].certificates == {"complaints": (None, utc("2026-12-31T16:00"))}
    assert found.people["wu"].languages == {"en"}
    assert found.duty("lin", utc("2026-11-24T12:00")).is_on_call
    assert not found.duty("lin", utc("2026-11-24T09:00")).is_on_call


REFUSED = [
    ("ho,shift,2026-11-24 09:00,18:00,", 2, 'there is no agent "ho" -> there is: chen, lin, wu'),
    ("chem,shift,2026-11-24 09:00,18:00,", 2, 'there is no agent "chem" -> did you mean "chen"?'),
    ("chen,shfit,2026-11-24 09:00,18:00,", 2, '"shfit" is nothing that a roster says -> did you mean "shift"?'),
    ("chen,shift,2026-11-24,18:00,", 2, '"2026-11-24" is no time -> write 2026-11-24 09:00, or mon-fri 09:00'),
    ("chen,shift,2026-11-24 09:00,25:00,", 2, '"25:00" is no time of day -> write 09:00'),
    ("chen,shift,2026-11-24 09:00,,", 2, '"" is no time -> write 2026-11-24 09:00, or mon-fri 09:00'),
    ("chen,shift,2026-11-24 09:00,2026-11-24 08:00,", 2, "it ends before it begins -> write an end that is later"),
    ("chen,shift,2026-11-24 09:00,2026-11-30 18:00,", 2, "it is longer than two days -> write one row for each shift"),
    ("chen,shift,funday 09:00,18:00,", 2, '"funday" are no weekdays -> write mon, mon-fri or mon+wed'),
    ("chen,leave,2026-11-24,,", 2, '"until" is missing -> write the last day of the leave'),
    ("chen,leave,24.11.2026,25.11.2026,", 2, '"24.11.2026" is no day -> write 2026-11-24'),
    (
        "chen,certificate,,2026-12-31,",
        2,
        "the certificate has no name -> write it into the last column, for example complaints",
    ),
    ("chen,language,,,fr", 2, '"fr" is no language of the desk -> one of zh-Hant, zh-Hans, en'),
    ("chen,shift,2026-11-24 09:00,18:00,a,b", 2, "this row has 6 columns -> there are 5"),
    (
        "chen,shift,2026-11-24 09:00,18:00,\nchen,shift,2026-11-24 17:00,20:00,",
        3,
        "two shifts of chen overlap, the other is in row 2: Tue 2026-11-24 17:00"
        " -> make one end before the other begins, or take one out",
    ),
    (
        "chen,shift,mon-fri 09:00,18:00,\nchen,shift,2026-11-24 17:00,20:00,",
        3,
        "two shifts of chen overlap, the other is in row 2: Tue 2026-11-24 17:00"
        " -> make one end before the other begins, or take one out",
    ),
    (
        "chen,shift,mon-fri 09:00,18:00,\nchen,shift,fri+sat 17:00,20:00,",
        3,
        "two shifts of chen overlap, the other is in row 2: Fri 2026-01-09 17:00"
        " -> make one end before the other begins, or take one out",
    ),
    (
        "chen,shift,2026-11-24 09:00,18:00,\nchen,shift,2026-11-24 09:00,18:00,",
        3,
        "this shift stands in row 2 already -> take one out",
    ),
]


@pytest.mark.parametrize(("rows", "row", "said"), REFUSED)
def test_a_wrong_row_is_refused_with_its_number_and_the_mend(tmp_path: Path, rows: str, row: int, said: str) -> None:
    found, problems = read(tmp_path, HEADER + rows + "\n")

    assert problems == {f"roster.file: roster.csv, row {row}": said}
    assert found.people == {}  # refused whole


@pytest.mark.parametrize(
    ("name", "text", "path", "said"),
    [
        ("r.csv", "", "roster.file: r.csv, row 1", "the file is empty -> the first row is agent,what,from,until,name"),
        (
            "r.csv",
            "agent;what\n",
            "roster.file: r.csv, row 1",
            "this is not the header -> the first row is agent,what,from,until,name",
        ),
        ("r.txt", HEADER, "roster.file", "r.txt is neither .csv nor .ics -> name one of these"),
        (
            "r.ics",
            HEADER,
            "roster.file: r.ics, line 1",
            "this is no iCalendar file -> its first line is BEGIN:VCALENDAR",
        ),
        (
            "r.ics",
            ICAL.replace("SUMMARY:chen shift", "SUMMARY:chem shift"),
            "roster.file: r.ics, line 3",
            'there is no agent "chem" -> did you mean "chen"?',
        ),
        (
            "r.ics",
            ICAL.replace("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR\n", "FREQ=DAILY;COUNT=3\n"),
            "roster.file: r.ics, line 13",
            'the rule "FREQ=DAILY;COUNT=3" is not read -> write FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR, or single events',
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, name: str, text: str, path: str, said: str) -> None:
    assert read(tmp_path, text, name)[1] == {path: said}


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    problems: list[Problem] = []

    roster(tmp_path / "none.csv", ZONE, AGENTS, problems)

    assert [problem.path for problem in problems] == ["roster.file"]
    assert "No such file" in problems[0].message


def test_assignment_as_it_is_written() -> None:
    problems: list[Problem] = []
    table = AssignmentTable.model_validate(
        {
            "weights": {"chat": 2, "complaint": 3},
            "minutes": {"email": 12},
            "start_within": "5min",
            "out_of_hours": "queue",
            "on_call": ["chen"],
            "overflow": {"team": 0.2, "supervisor": 0.9},
        }
    )

    found = rules(table, AGENTS, problems)

    assert problems == []
    assert found.loads.of("chat", "consultation").weight == 2
    assert found.loads.of("chat", "complaint").weight == 3
    assert found.loads.of("email", "business").minutes == 12
    assert found.start_within == timedelta(minutes=5)
    assert (found.queues_out_of_hours, found.on_call) == (True, ("chen",))
    assert [(step.whom, step.share) for step in found.steps] == [
        (Whom.OWN_AGENT, 0.0),
        (Whom.TEAM, 0.2),
        (Whom.OTHER_TEAM, 0.5),
        (Whom.SUPERVISOR, 0.9),
    ]


@pytest.mark.parametrize(
    ("written", "path", "said"),
    [
        ({"weights": {"chats": 2}}, "assignment.weights.chats", '"chats" is neither a medium nor a kind'),
        ({"on_call": ["ho"]}, "assignment.on_call", 'there is no agent "ho"'),
        (
            {"overflow": {"team": 0.6}},
            "assignment.overflow.other_team",
            "other_team (0.5) would be asked before team (0.6)",
        ),
    ],
)
def test_a_wrong_assignment_is_refused(written: dict[str, object], path: str, said: str) -> None:
    problems: list[Problem] = []

    rules(AssignmentTable.model_validate(written), AGENTS, problems)

    assert [(problem.path, problem.message) for problem in problems] == [(path, said)]
    assert problems[0].mend
