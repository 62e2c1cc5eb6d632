"""`intake explain`: one object a line, in order, whatever the files are; nothing is touched."""

from __future__ import annotations

import hashlib
import io
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.clidesk import NOW, Desk, mail, stand_still

from intake.command import explain

KEYS = ["message", "customer", "kind", "topic", "urgent", "language", "targets", "agent", "reasons"]
MESSAGE_KEYS = [
    *("from", "to", "cc", "subject", "text", "quoted", "text_full", "attachments"),
    *("message_id", "in_reply_to", "references", "auto_submitted", "bounce"),
    *("recipients", "reply_to", "from_count", "date", "language", "enclosed", "html_characters", "thread", "spam"),
    *("authentication", "loop_marks", "automatic_id", "content_key", "defects", "is_stub", "is_cut", "headers"),
    "parser_version",
]
MEI = "=?utf-8?b?546L576O546y?= <Mei@Customer.example>"

WITH_FILE = b"""\
From: Mei <mei@customer.example>\r
To: Support <support@firm.example>, b@firm.example\r
Cc: boss@customer.example\r
Subject: =?utf-8?b?54eR5qWt56iF?=\r
Message-ID: <2@customer.example>\r
In-Reply-To: <1@firm.example>\r
References: <0@firm.example> <1@firm.example>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/plain; charset=utf-8\r
\r
New words.\r
\r
On Mon, 23 Nov 2026, Support wrote:\r
> old words\r
--b\r
Content-Type: application/pdf; name="a.pdf"\r
Content-Disposition: attachment; filename="a.pdf"\r
\r
octets\r
--b--\r
"""

BOUNCE = b"""\
From: MAILER-DAEMON@mail.firm.example\r
To: support@firm.example\r
Subject: Undelivered Mail\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r
\r
--b\r
\r
It came back.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mail.firm.example\r
\r
Final-Recipient: rfc822; gone@customer.example\r
Action: failed\r
Status: 5.1.1\r
Diagnostic-Code: smtp; 550 no such user\r
\r
--b--\r
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    stand_still(monkeypatch)
    return Desk(tmp_path)


def files(desk: Desk, *mails: bytes) -> list[str]:
    paths = [desk.folder / f"{number}.eml" for number in range(len(mails))]
    for path, raw in zip(paths, mails, strict=True):
        path.write_bytes(raw)
    return [str(path) for path in paths]


def explained(desk: Desk, *mails: bytes) -> list[Any]:
    return desk.lines("explain", *files(desk, *mails))


def lines_explained(desk: Desk, *messages: Any, words: tuple[str, ...] = ()) -> list[Any]:
    path = desk.folder / "messages.jsonl"
    path.write_text("".join(m if isinstance(m, str) else json.dumps(m) + "\n" for m in messages))
    return desk.lines("explain", "--jsonl", str(path), *words)


def test_the_object_is_as_it_was_agreed(desk: Desk) -> None:
    [one] = explained(desk, mail(MEI, "營業稅申報"))

    assert list(one) == KEYS
    assert list(one["message"]) == MESSAGE_KEYS
    assert one["message"]["from"] == {"address": "mei@customer.example", "name": "王美玲"}
    assert (one["kind"], one["topic"], one["urgent"], one["language"]) == (
        "consultation",
        "tax_filing",
        False,
        "zh-Hant",
    )
    assert one["customer"] == {"id": None, "name": "王美玲", "known": False}
    assert one["agent"] == "chen"
    assert [(t["target"], t["budget"], t["due_at"]) for t in one["targets"]] == [
        ("first_response", "8wh", "2026-11-24T06:10:00+00:00")
    ]
    assert one["reasons"][0] == {"code": "opened", "sentence": "It would open a ticket.", "data": {}}
    assert all(list(r) == ["code", "sentence", "data"] for r in one["reasons"])


def test_the_message_is_told_whole(desk: Desk) -> None:
    [one] = explained(desk, WITH_FILE)

    message = one["message"]
    assert message["to"] == [
        {"address": "support@firm.example", "name": "Support"},
        {"address": "b@firm.example", "name": ""},
    ]
    assert message["cc"] == [{"address": "boss@customer.example", "name": ""}]
    assert message["text"] == "New words."
    assert "old words" in message["quoted"]
    assert "New words." in message["text_full"]
    assert "old words" in message["text_full"]
    assert message["message_id"] == "<2@customer.example>"
    assert message["in_reply_to"] == ["<1@firm.example>"]
    assert message["references"] == ["<0@firm.example>", "<1@firm.example>"]
    assert message["attachments"] == [
        {
            "name": "a.pdf",
            "type": "application/pdf",
            "size": 6,
            "sha256": hashlib.sha256(b"octets").hexdigest(),
            "md5": hashlib.md5(b"octets", usedforsecurity=False).hexdigest(),
            "path": "2",
            "content_id": "",
            "inline": False,
        }
    ]
    assert [(r["role"], r["address"]) for r in message["recipients"]] == [
        ("to", "support@firm.example"),
        ("to", "b@firm.example"),
        ("cc", "boss@customer.example"),
    ]
    assert message["thread"] == {
        "message_ids": ["<1@firm.example>", "<0@firm.example>"],
        "numbers": [],
        "canaries": [],
    }
    assert (message["from_count"], message["defects"], message["is_cut"]) == (1, [], False)


def test_a_report_and_an_absence_note(desk: Desk) -> None:
    absence = b"Auto-Submitted: auto-replied\r\n" + mail(MEI, "Out of office", number=5)

    report, note = explained(desk, BOUNCE, absence)

    assert report["message"]["bounce"]["kind"] == "failed"
    assert report["message"]["bounce"]["recipient"] == "gone@customer.example"
    assert report["message"]["bounce"]["status"] == "5.1.1"
    assert (report["kind"], report["customer"], report["targets"]) == (None, None, [])
    assert note["message"]["auto_submitted"].startswith("auto-replied")
    assert [r["reasons"][0]["code"] for r in (report, note)] == ["bounced", "ignored"]


def test_every_file_gets_its_line_in_order(desk: Desk) -> None:
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(2000))
    rest = files(desk, b"", b"\x00\xff" * 1000, b"From: a@b.example\r\n" + deep, mail(MEI, "the last"))
    names = [rest[0], str(desk.folder), str(desk.folder / "gone.eml"), *rest[1:]]

    code, out, err = desk.says("explain", "--json", *names)

    found = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (3, "")
    assert [list(one) for one in found] == [KEYS] * 6
    assert found[1]["reasons"][0]["sentence"].endswith("Is a directory.")
    assert found[2]["reasons"][0]["sentence"].endswith("No such file or directory.")
    assert found[5]["message"]["subject"] == "the last"


def test_what_breaks_the_decision_still_gets_its_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("intake.command.explained.decide", broken)
    [one] = explained(desk, mail(MEI, "fine"))

    assert one["message"]["subject"] == "fine"
    assert one["reasons"] == [
        {
            "code": "unreadable",
            "sentence": "It could not be read: RuntimeError: a bug",
            "data": {"what": "RuntimeError: a bug"},
        }
    ]


def test_a_mail_over_the_limit_is_told_by_its_head(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "MAX_FILE", 2000)
    monkeypatch.setattr(explain, "HEAD", 1000)
    [one] = explained(desk, mail(MEI, "large", "x" * 3000))

    assert one["message"]["subject"] == "large"
    assert any(r["code"] == "defect" and "larger than the limit" in r["sentence"] for r in one["reasons"])


def test_messages_do_not_see_one_another(desk: Desk) -> None:
    twice = [one["reasons"][0]["code"] for one in explained(desk, mail(MEI, "same"), mail(MEI, "same"))]

    assert twice == ["opened", "opened"]


def test_an_empty_desk_unless_the_store_is_asked(desk: Desk) -> None:
    first = mail(MEI, "營業稅申報", number=1)
    desk.take(first)
    answer = mail(MEI, "Re: 營業稅申報", number=2).replace(b"To:", b"In-Reply-To: <1@customer.example>\r\nTo:", 1)
    before = desk.store.read_bytes()

    [new] = desk.lines("explain", *files(desk, answer))
    same, joined = desk.lines("explain", "--store", *files(desk, first, answer))

    assert new["reasons"][0]["code"] == "opened"
    assert new["customer"]["known"] is False
    assert same["reasons"][0]["code"] == "copy"
    assert joined["reasons"][0]["sentence"] == "It would be added to ticket #1001."
    assert joined["customer"] == {"id": 1, "name": "王美玲", "known": True}
    assert desk.store.read_bytes() == before


def test_without_a_store_that_is_wanted(desk: Desk) -> None:
    code, out, err = desk.says("explain", "--store", *files(desk, mail(MEI, "x")))

    assert (code, out) == (4, "")
    assert "there is no store yet" in err


def test_without_any_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from intake.__main__ import main

    stand_still(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("intake.command.setting.SYSTEM_WIDE", tmp_path / "nowhere.toml")
    (tmp_path / "a.eml").write_bytes(mail(MEI, "營業稅申報"))

    assert main(["explain", "a.eml"]) == 0

    one = json.loads(capsys.readouterr().out)
    assert (one["kind"], one["topic"], one["agent"]) == ("consultation", "tax_filing", None)
    assert one["targets"][0]["calendar"] == "TW"


def test_standard_input_is_a_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(mail(MEI, "from stdin"))

    monkeypatch.setattr("sys.stdin", Input())

    [one] = desk.lines("explain", "-")

    assert one["message"]["subject"] == "from stdin"


def test_events_of_a_call_are_read_by_their_channel(desk: Desk) -> None:
    event = {"call_id": "1", "event": "newCall", "direction": "in", "from": "+886912345678", "to": "100",
             "users": [], "cause": "", "source_at": None}  # fmt: skip
    path = desk.folder / "call.json"
    path.write_text(json.dumps(event))

    [one] = desk.lines("explain", "--channel", "hotline", str(path))

    assert one["reasons"][0]["code"] == "call"
    assert one["message"]["from"]["address"] == "+886912345678"


def test_for_people_the_reasons_are_sentences(desk: Desk) -> None:
    code, out, _ = desk.says("explain", "--text", *files(desk, mail(MEI, "營業稅申報")))

    assert code == 0
    assert "  ticket   consultation, topic tax filing, zh-Hant; for chen\n" in out
    assert "  promise  first response by Tue 24 Nov, 14:10 (8wh)\n" in out
    assert "  because  - It would open a ticket.\n           - A person wrote it.\n" in out


# ---- lines


@pytest.mark.parametrize("channel", ["email", "chat", "phone", "telegram", "line", "wecom", "whatsapp", "hotline"])
def test_every_medium_gives_the_same_object(desk: Desk, channel: str) -> None:
    [one] = lines_explained(desk, {"channel": channel, "text": "營業稅怎麼申報？"})

    assert list(one) == KEYS
    assert (one["kind"], one["topic"], one["language"]) == ("consultation", "tax_filing", "zh-Hant")
    assert len(one["targets"]) == 1


def test_what_else_is_known_of_a_line(desk: Desk) -> None:
    [one] = lines_explained(
        desk,
        {
            "channel": "support-mail",
            "from": "王美玲 <Mei@Customer.example>",
            "to": [{"address": "support@firm.example", "name": "Support"}],
            "subject": "invoice",
            "text": "New words.\n\nOn Mon, 23 Nov 2026, Support wrote:\n> old words\n",
            "at": "2026-11-20T17:00:00",
            "references": "<1@x> <2@x>",
            "never heard of": 1,
        },
    )

    assert one["message"]["from"] == {"address": "mei@customer.example", "name": "王美玲"}
    assert one["message"]["to"] == [{"address": "support@firm.example", "name": "Support"}]
    assert one["message"]["text"] == "New words."
    assert one["message"]["references"] == ["<1@x>", "<2@x>"]
    assert one["targets"][0]["started_at"] == "2026-11-20T09:00:00+00:00"


def test_the_medium_counts_for_the_promise(desk: Desk) -> None:
    keys = [
        one["targets"][0]["key"]
        for one in lines_explained(desk, *({"channel": c, "text": "hi"} for c in ("email", "chat", "phone", "line")))
    ]

    assert keys == ["first_response.email", "first_response.chat", "first_response.phone", "first_response.messaging"]


def test_numbers_of_callers_are_canonical(desk: Desk) -> None:
    [one] = lines_explained(desk, {"channel": "phone", "text": "…", "from": "0912 345 678"})

    assert one["message"]["from"]["address"] == "+886912345678"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("no json\n", "the line is no JSON"),
        ("[1]\n", "a message is one JSON object a line"),
        ('{"text": "x"}\n', '"channel" is missing'),
        ('{"channel": "pigeon", "text": "x"}\n', 'there is no channel "pigeon"'),
        ('{"channel": "chat", "text": 5}\n', '"text" must be a text'),
        ('{"channel": "chat", "text": "x", "at": "noon"}\n', '"at" is no time'),
        ('{"channel": "chat", "text": "x", "from": 5}\n', '"from" is an address'),
        ("\x00\n", "the line is no JSON"),
    ],
)
def test_a_line_that_cannot_be_read_still_gives_its_line(desk: Desk, line: str, why: str) -> None:
    found = lines_explained(desk, line, "\n", {"channel": "chat", "text": "the next"})

    assert [list(one) for one in found] == [KEYS] * 2
    assert found[0]["reasons"][0]["code"] == "unreadable"
    assert why in found[0]["reasons"][0]["sentence"]
    assert found[1]["message"]["text"] == "the next"


def test_a_line_without_end_takes_no_memory(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "MAX_LINE", 1000)
    found = lines_explained(desk, {"channel": "chat", "text": "x" * 5000}, {"channel": "chat", "text": "next"})

    assert [one["reasons"][0]["code"] for one in found] == ["unreadable", "opened"]


def test_a_channel_for_all_lines(desk: Desk) -> None:
    [one] = lines_explained(desk, {"text": "hi"}, words=("--channel", "chat"))

    assert one["targets"][0]["key"] == "first_response.chat"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "name files, or --jsonl FILE"),
        (["a.eml", "--jsonl", "-"], 2, "name files, or --jsonl FILE"),
        (["a.eml", "--channel", "pigeon"], 3, 'there is no channel "pigeon"'),
        (["a.eml", "--channel", "wecom"], 2, "files of wecom cannot be read"),
        (["--jsonl", "/nowhere/at/all"], 3, "No such file"),
    ],
)
def test_what_cannot_be_explained(desk: Desk, words: list[str], code: int, said: str) -> None:
    ended, out, err = desk.says("explain", *words)

    assert (ended, out) == (code, "")
    assert said in err


def test_a_wrong_configuration_is_not_passed_over(desk: Desk) -> None:
    desk.path.write_text("nonsense = 1")

    code, _, err = desk.says("explain", *files(desk, mail(MEI, "x")))

    assert code == 2
    assert 'unknown table "nonsense"' in err


def test_a_thousand_files_take_seconds(desk: Desk) -> None:
    import time

    names = files(desk, *(mail(MEI, f"subject {n}", number=n) for n in range(1000)))
    began = time.monotonic()

    found = desk.lines("explain", *names)

    assert [one["message"]["subject"] for one in found] == [f"subject {n}" for n in range(1000)]
    assert timedelta(seconds=time.monotonic() - began) < timedelta(seconds=60)


def test_the_parsing_workers_are_gone_afterwards(desk: Desk) -> None:
    explained(desk, mail(MEI, "x"))

    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children if Path(f"/proc/{pid}").exists()]
    assert [c for c in commands if b"parsing_worker" in c] == []


def test_now_is_the_desks_clock(desk: Desk) -> None:
    [one] = explained(desk, mail(MEI, "x"))

    assert one["targets"][0]["started_at"] == NOW.isoformat()
