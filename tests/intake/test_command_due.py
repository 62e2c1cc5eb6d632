"""`intake due`: every deadline with the stretches of time that it counted."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.clidesk import Desk, stand_still

from channels.message import Medium
from routing.words import Kind


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    stand_still(monkeypatch)
    return Desk(tmp_path)


def test_a_deadline_can_be_checked_with_a_pencil(desk: Desk) -> None:
    [found] = desk.lines("due", "--channel", "email", "--at", "2026-11-27 17:40")

    [target] = found["targets"]
    assert (found["channel"], found["timezone"], found["at"]) == (
        *("support-mail", "Asia/Taipei", "2026-11-27T09:40:00+00:00"),
    )
    assert (target["target"], target["budget"], target["due_at"]) == (
        *("first_response", "8wh", "2026-11-30T09:40:00+00:00"),
    )
    assert [(i["counted_s"] / 3600, i["why"]) for i in target["intervals"]] == [
        (pytest.approx(1 / 3), "open hours"),
        (0, "rest day"),
        (0, "rest day"),
        (3, "open hours"),
        (pytest.approx(14 / 3), "open hours"),
    ]


@pytest.mark.parametrize("medium", list(Medium))
@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("urgent", [[], ["--urgent"]])
def test_the_last_stretch_ends_at_the_deadline(desk: Desk, medium: Medium, kind: Kind, urgent: list[str]) -> None:
    words = ["--channel", medium.value, "--kind", kind.value, "--at", "2026-12-24T11:00:00+08:00", *urgent]
    [found] = desk.lines("due", *words)

    assert found["targets"]
    for target in found["targets"]:
        stretches = target["intervals"]
        assert stretches[-1]["end"] == target["due_at"]
        assert stretches[0]["start"] == "2026-12-24T03:00:00+00:00"
        ordered = [datetime.fromisoformat(i[side]) for i in stretches for side in ("start", "end")]
        assert ordered == sorted(ordered)
        if "wh" in target["budget"] and "%" not in target["budget"] and "half" not in target["budget"]:
            counted = timedelta(seconds=sum(i["counted_s"] for i in stretches))
            assert counted == timedelta(hours=float(target["budget"].removesuffix("wh")))


def test_for_people(desk: Desk) -> None:
    code, out, _ = desk.says("due", "--channel", "email", "--at", "2026-12-24 17:00", "--urgent", "--text")

    assert code == 0
    assert out == (
        "An urgent consultation by support-mail at Thu 24 Dec, 17:00 (Asia/Taipei), calendar TW:\n\n"
        "first response by Mon 28 Dec, 12:00  (half of 8wh, first_response.email)\n"
        "  from               to                     counts  together  why\n"
        "  Thu 24 Dec, 17:00  Thu 24 Dec, 18:00      1:00    1:00      open hours\n"
        "  Fri 25 Dec, 00:00  the end of Fri 25 Dec  -       1:00      public holiday: 行憲紀念日\n"
        "  Sat 26 Dec, 00:00  the end of Sat 26 Dec  -       1:00      rest day\n"
        "  Sun 27 Dec, 00:00  the end of Sun 27 Dec  -       1:00      rest day\n"
        "  Mon 28 Dec, 09:00  Mon 28 Dec, 12:00      3:00    4:00      open hours\n"
        "  the agent is warned Mon 28 Dec, 10:00 and Mon 28 Dec, 11:12; the supervisor hears of it at the deadline\n"
    )


def test_a_provisional_year_is_said(desk: Desk) -> None:
    desk.path.write_text(desk.path.read_text().replace('region = "TW"', 'region = "CN"'))

    [found] = desk.lines("due", "--channel", "email", "--at", "2026-12-31 17:00")

    assert found["provisional_years"] == [2027]
    assert "! 2027 is provisional" in desk.says("due", "--channel", "email", "--at", "2026-12-31 17:00", "--text")[1]
    assert desk.lines("due", "--channel", "email", "--at", "2026-11-23 10:00")[0]["provisional_years"] == []


def test_a_missed_call_owes_a_callback(desk: Desk) -> None:
    [found] = desk.lines("due", "--channel", "hotline", "--missed-call", "--at", "2026-11-23 14:00")

    assert [(t["target"], t["due_at"]) for t in found["targets"]] == [("callback", "2026-11-23T06:30:00+00:00")]


def test_now_unless_a_time_is_said(desk: Desk) -> None:
    assert desk.lines("due", "--channel", "chat")[0]["at"] == "2026-11-23T06:10:00+00:00"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--channel", "pigeon"], 3, 'there is no channel "pigeon"\n  -> there is: chat, email, hotline'),
        (["--channel", "email", "--at", "noon"], 2, '"noon" is no time'),
        (["--channel", "email", "--kind", "praise"], 2, "invalid choice: 'praise'"),
        ([], 2, "--channel"),
    ],
)
def test_what_cannot_be_computed(desk: Desk, words: list[str], code: int, said: str) -> None:
    ended, out, err = desk.says("due", *words)

    assert (ended, out) == (code, "")
    assert said in err
