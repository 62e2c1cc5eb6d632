"""`intake due --calendar`: budgets counted in a calendar, a table of them or one."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from support.clidesk import Desk, stand_still


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    stand_still(monkeypatch)
    return Desk(tmp_path)


def table(desk: Desk, monkeypatch: pytest.MonkeyPatch, octets: bytes, calendar: str = "CN") -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
    return desk.says("due", "--calendar", calendar, "--tsv", "-")


@pytest.mark.parametrize(
    ("calendar", "line", "due"),
    [
        ("CN", "2026-02-13T17:30+08:00\t8wh", "2026-02-14T18:00:00+08:00"),  # half an hour, and a make-up Saturday
        ("CN", "2026-02-13T09:30:00Z\t8wh", "2026-02-14T18:00:00+08:00"),
        ("CN", "2026-02-14 10:00\t5wd", "2026-02-28T18:00:00+08:00"),  # no offset: the calendar's own clock
        ("CN", "2026-09-30T10:00+08:00\t15d", "2026-10-16T00:00:00+08:00"),
        ("CN", "2026-11-19T12:00:30+08:00\t45s", "2026-11-19T12:01:15+08:00"),
        ("US", "2026-03-06T16:00-05:00\t2wh", "2026-03-09T10:00:00-04:00"),  # clocks change in between
        ("GB", "2026-10-24T12:00+01:00\t24h", "2026-10-25T11:00:00+00:00"),
        ("HK", "2026-04-02T17:00+08:00\t2wh", "2026-04-08T10:00:00+08:00"),
    ],
)
def test_a_line_comes_out_with_its_due_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, calendar: str, line: str, due: str
) -> None:
    assert table(desk, monkeypatch, f"{line}\n".encode(), calendar) == (0, f"{line}\t{due}\n", "")


def test_a_bad_line_is_named_by_its_number_and_the_others_are_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "\ufeff2026-11-19T09:00+08:00\t3wh\r",
        "soon\t8wh",
        "2026-11-19T09:00+08:00\t8mins",
        "2026-11-19T09:00+08:00",
        "",
        "9999-12-31T23:00+08:00\t15d\tlast",
        "0001-01-01T00:00+14:00\t8wh",
        "x" * 5000,
        "2026-11-19T09:00+08:00\t3wh\tseven",
    ]

    code, out, err = table(desk, monkeypatch, "\n".join(lines).encode())

    assert code == 1
    assert [line.split("\t")[2:] for line in out.splitlines()] == [
        ["2026-11-19T12:00:00+08:00"],
        *([""], [""], [""], [""], ["", "last"], [""], [""]),
        ["2026-11-19T12:00:00+08:00", "seven"],
    ]
    assert [line.split(":")[1] for line in err.splitlines() if line.startswith("intake")] == [
        f" line {number}" for number in range(2, 9)
    ]
    assert 'did you mean "8min"?' in err


def test_octets_that_are_no_text_are_a_bad_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = table(desk, monkeypatch, b"\xff\xfe\t8wh\n2026-11-19T09:00+08:00\t3wh\n")

    assert (code, len(out.splitlines())) == (1, 2)
    assert "line 1" in err


def test_a_table_that_runs_into_a_provisional_year_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = table(desk, monkeypatch, b"2026-12-31T17:30+08:00\t8wh\n")

    assert (code, out.count("\n")) == (0, 1)
    assert "2027 is provisional" in err


def test_a_file_by_name(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "some.tsv").write_text("2026-11-19T09:00+08:00\t3wh\n")

    code, out, _ = desk.says("due", "--calendar", "CN", "--tsv", str(tmp_path / "some.tsv"))

    assert (code, out) == (0, "2026-11-19T09:00+08:00\t3wh\t2026-11-19T12:00:00+08:00\n")


def test_one_budget_with_the_sum_of_its_stretches(desk: Desk) -> None:
    words = ["due", "--calendar", "CN", "--budget", "8wh", "--at", "2026-02-14 17:00", "--json"]
    [found] = desk.lines(*words[:-1])
    code, out, _ = desk.says(*words[:-1], "--text")

    assert found["due_at"] == "2026-02-24T09:30:00+00:00"
    assert [(i["counted_s"] / 3600, i["sum_s"] / 3600) for i in found["intervals"] if i["counted_s"]] == [
        *((1, 1), (3, 4), (4, 8)),
    ]
    assert found["intervals"][0]["why"] == "make-up workday"
    assert (code, out.splitlines()[-1].split()) == (
        0,
        ["Tue", "24", "Feb,", "13:30", "Tue", "24", "Feb,", "17:30", "4:00", "8:00", "open", "hours"],
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--calendar", "CM", "--budget", "8wh"], 3, 'there is no calendar "CM"\n  -> there is: CN, DE, GB, HK'),
        (["--calendar", "CN"], 2, "add --budget 8wh, or --tsv -"),
        (["--calendar", "CN", "--budget", "8 cups"], 2, '"8 cups" is no budget'),
        (["--calendar", "CN", "--tsv", "nowhere.tsv"], 3, "name a file, or - for standard input"),
        (["--channel", "email", "--tsv", "-"], 2, "write --calendar CN in place of --channel"),
        (["--channel", "email", "--calendar", "CN"], 2, "not allowed with argument"),
    ],
)
def test_what_cannot_be_counted(desk: Desk, words: list[str], code: int, said: str) -> None:
    ended, out, err = desk.says("due", *words)

    assert (ended, out) == (code, "")
    assert said in err
