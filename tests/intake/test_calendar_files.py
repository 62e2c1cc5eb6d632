"""Days of a calendar in files of their own: read in order, or refused with the place and what to write."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from intake.config import ConfigError, load
from routing.budgets import parse_budget
from routing.calendars import due_at, is_provisional
from routing.policy import CalendarSpec

DESK = """
[desk]
firm = "Lotus"
region = "CN"
[tokens]
key = { file = "token.key" }
[channels.site]
type = "webchat"
origins = ["https://www.firm.example"]
[agents.chen]
display_name = "陳"
addresses = ["chen@firm.example"]
[calendars.CN]
"""


def written(folder: Path, files: dict[str, str | bytes], more: str = "") -> Path:
    (folder / "token.key").write_text("0123456789abcdef" * 4 + "\n")
    for name, text in files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    path = folder / "config.toml"
    path.write_text(DESK + f"files = {list(files)}\n{more}".replace("'", '"'), encoding="utf-8")
    return path


def calendar(folder: Path, files: dict[str, str | bytes], more: str = "") -> CalendarSpec:
    return load(written(folder, files, more)).policy.calendars["CN"]


def opens(spec: CalendarSpec, day: date) -> list[str]:
    return [f"{w.start:%H:%M}-{w.end:%H:%M}" for w in spec.exceptions[day]]


ICS = """BEGIN:VCALENDAR
BEGIN:VEVENT
DTSTART;VALUE=DATE:20270205
DTEND;VALUE=DATE:20270207
SUMMARY:春节(休)
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20270220
SUMMARY:春节(班)
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20270720
SUMMARY:停班停課
END:VEVENT
END:VCALENDAR
"""


def test_each_kind_of_file_is_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "cn.toml": 'complete = [2027]\n[days]\n2027-02-06 = "workday"\n2027-02-08 = ["09:00-12:00"]\n',
        "own.csv": '\ufeffdate,what,note\r\n2027-03-01,closed,"搬家, 一天"\r\n2027-03-02,09:00-12:00;13:00-15:00,\r\n',
        "feed.ics": ICS.replace("\n", "\r\n").replace("20270205", "20270401").replace("20270207", "20270403"),
    }

    spec = calendar(tmp_path, files)

    assert opens(spec, date(2027, 2, 6)) == ["09:00-12:00", "13:30-18:00"]
    assert opens(spec, date(2027, 2, 8)) == ["09:00-12:00"]
    assert opens(spec, date(2027, 3, 1)) == []
    assert opens(spec, date(2027, 3, 2)) == ["09:00-12:00", "13:00-15:00"]
    assert [opens(spec, date(2027, 4, day)) for day in (1, 2)] == [[], []]
    assert date(2027, 4, 3) not in spec.exceptions
    assert opens(spec, date(2027, 2, 20)) == ["09:00-12:00", "13:30-18:00"]
    assert opens(spec, date(2027, 7, 20)) == []


def test_later_files_count_more_and_exceptions_most(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.csv": "date,what\n2027-03-01,closed\n2027-03-02,closed\n2027-03-03,closed\n",
        "b.csv": "date,what\n2027-03-02,workday\n2027-03-03,workday\n",
    }

    spec = calendar(tmp_path, files, 'exceptions = { 2027-03-03 = ["10:00-11:00"] }\n')

    assert [len(spec.exceptions[date(2027, 3, day)]) for day in (1, 2, 3)] == [0, 2, 1]


def test_a_year_whose_notice_is_loaded_is_provisional_no_more_and_counts_by_it(tmp_path: Path) -> None:
    guessed = calendar(tmp_path, {"none.csv": "date,what\n2030-01-02,closed\n"})
    loaded = calendar(tmp_path, {"cn.toml": 'complete = [2027]\n[days]\n2027-03-06 = "workday"\n'})
    friday = datetime(2027, 3, 5, 9, 30, tzinfo=UTC)  # 17:30; the Saturday behind it is worked by the notice alone

    assert (is_provisional(guessed, 2027), is_provisional(loaded, 2027)) == (True, False)
    assert is_provisional(loaded, 2028)
    assert guessed.version != loaded.version
    assert due_at(loaded, friday, parse_budget("4wh")) == datetime(2027, 3, 6, 6, 0, tzinfo=UTC)
    assert due_at(guessed, friday, parse_budget("4wh")) == datetime(2027, 3, 8, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "text", "where", "message", "mend"),
    [
        ("a.toml", "[days]\n2027-13-01 = 'closed'", "a.toml, days.2027-13-01", "is no date", "2027-02-13"),
        ("a.toml", "[days]\n2027-03-01 = 'shut'", "a.toml, days.2027-03-01", '"shut" is no exception', "closed"),
        ("a.toml", "[days]\n2027-03-01 = 3", "a.toml, days.2027-03-01", "this is no exception", "closed"),
        ("a.toml", "[days", "a.toml", "this is no TOML", "[days]"),
        ("a.toml", "[dayz]\n", "a.toml, dayz", 'unknown key "dayz"', "days"),
        ("a.toml", "complete = ['2027']", "a.toml, complete", "a list of years", "complete = [2027]"),
        ("a.toml", "[days]\n2027-03-01 = ['9-12']", "a.toml, days.2027-03-01", "no stretch of hours", "09:00-12:00"),
        (
            "a.toml",
            "[days]\n2027-03-01 = ['09:00-12:00', '11:00-13:00']",
            "a.toml, days.2027-03-01",
            "overlap",
            "end one",
        ),
        ("a.csv", "day,what\n", "a.csv, row 1", "this is not the header", "date,what,note"),
        ("a.csv", "date,what\n01.03.2027,closed\n", "a.csv, row 2", '"01.03.2027" is no date', "2027-02-13"),
        ("a.csv", "date,what\n2027-03-01\n", "a.csv, row 2", "does not say what the day is", "closed"),
        (
            "a.csv",
            "date,what\n2027-03-01,closed\n2027-03-01,workday\n",
            "a.csv, row 3",
            "stands in row 2 already",
            "once",
        ),
        ("a.csv", "date,what\n1969-03-01,closed\n", "a.csv, row 2", "out of range", "1970 to 2100"),
        ("a.csv", 'date,what\n2027-03-01,"closed\n', "a.csv, row", "this is no CSV", "double quotes"),
        ("a.csv", "date,what\n", "a.csv", "there is no day in it", "take it out"),
        ("a.csv", "date,what\n2027-03-01,closed,春節".encode("gb18030"), "a.csv, line 2", "this is no UTF-8", "UTF-8"),
        ("a.ics", "VEVENT", "a.ics, line 1", "no iCalendar", "BEGIN:VCALENDAR"),
        ("a.ics", ICS.replace(";VALUE=DATE:20270220", ":20270220T090000"), "a.ics, line 7", "part of a day", ".csv"),
        (
            "a.ics",
            ICS.replace("SUMMARY:停", "RRULE:FREQ=YEARLY\nSUMMARY:停"),
            "a.ics, line 11",
            "does not repeat",
            "each",
        ),
        ("a.ics", ICS.replace("20270207", "20270205"), "a.ics, line 2", "it runs from", "end after"),
        ("a.ics", ICS.replace("20270207", "20290207"), "a.ics, line 2", "it runs from", "within a year"),
        ("a.txt", "2027-03-01", "a.txt", "neither .toml, .csv nor .ics", "name it"),
        ("a.csv", b"x" * (1024 * 1024 + 1), "a.csv", "larger than 1 MiB", "leave out"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str | bytes, where: str, message: str, mend: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, {name: text}))

    found = [p for p in caught.value.problems if where in p.path]
    assert found, caught.value.problems
    assert any(message in p.message and mend in p.mend for p in found), found
    assert all(p.path.startswith("calendars.CN.files: ") for p in found)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, {"gone.csv": "date,what\n2027-03-01,closed\n"})
    (tmp_path / "gone.csv").unlink()

    with pytest.raises(ConfigError) as caught:
        load(path)

    [problem] = caught.value.problems
    assert (problem.path, problem.message) == (
        "calendars.CN.files: gone.csv",
        "it cannot be read: No such file or directory",
    )
