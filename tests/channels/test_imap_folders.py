"""Folders by name, and what becomes of the others when one is not there; the one for junk, which is never touched."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.imapscript import ScriptedImap
from support.mailbox import Ledger, StandingClock, imap_settings, running, tools_for

from channels import imap as imap_module
from channels.adapter import TemporaryFailure
from channels.imap import ImapReceiver
from channels.imap_names import Listed, junk_among, listed, sent_among

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIRST, SECOND = b"Subject: 1\r\n\r\none\r\n", b"Subject: 2\r\n\r\ntwo\r\n"


def reader(server: ScriptedImap, ledger: Ledger, folder: Path, **changes: Any) -> ImapReceiver:
    settings = imap_settings(folder, server.port, **changes)
    return ImapReceiver("mail", settings, tools_for(ledger, StandingClock(NOON)))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b'() "/" INBOX', "INBOX"),
        (b'() "." "INBOX.a b"', "INBOX.a b"),
        (b'() "/" "with \\"quotes\\" and \\\\"', 'with "quotes" and \\'),
        (b'(\\HasNoChildren) "/" "&V4NXPpCuTvY-/&kPVO9g-"', "垃圾邮件/郵件"),
        (b'() "\\\\" "a\\\\b"', "a\\b"),
        (b"() NIL INBOX", "INBOX"),
        (b'() "/" broken&name', "broken&name"),
    ],
)
def test_a_folder_of_list(line: bytes, name: str) -> None:
    assert [folder.name for folder in listed([line])] == [name]


def test_a_folder_whose_name_comes_as_a_literal() -> None:
    assert [folder.name for folder in listed([b'() "/" {5}', bytearray(b"a (b)"), b"", b'() "/" INBOX'])] == [
        "INBOX",
        "a (b)",
    ]


def test_folders_that_hold_no_mail_are_left_out() -> None:
    assert listed([b'(\\Noselect) "/" All', b'(\\NonExistent) "/" Gone', b"no answer of LIST", bytearray(b"x")]) == []


def folder(name: str, *attributes: str, separator: str = "/") -> Listed:
    return Listed(name=name, attributes=frozenset(attributes), separator=separator)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ([folder("Spam"), folder("Werbung", "\\junk")], "Werbung"),
        ([folder("INBOX"), folder("Junk E-mail")], "Junk E-mail"),
        ([folder("INBOX.spam", separator=".")], "INBOX.spam"),
        ([folder("[Gmail]/Spam")], "[Gmail]/Spam"),
        ([folder("垃圾邮件")], "垃圾邮件"),
        ([folder("其他資料夾/垃圾信")], "其他資料夾/垃圾信"),
        ([folder("INBOX"), folder("Spamming customers"), folder("Spam.Archive")], None),
    ],
)
def test_which_folder_is_for_junk(folders: list[Listed], expected: str | None) -> None:
    assert junk_among(folders) == expected


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ([folder("INBOX"), folder("Sent")], "Sent"),
        ([folder("Sent"), folder("已寄", "\\sent")], "已寄"),
        ([folder("INBOX.Sent Items", separator=".")], "INBOX.Sent Items"),
        ([folder("[Gmail]/已傳送")], "[Gmail]/已傳送"),
        ([folder("寄件備份")], "寄件備份"),
        ([folder("INBOX"), folder("Unsent"), folder("Sent to Wang")], None),
    ],
)
def test_which_folder_is_for_sent_mail(folders: list[Listed], expected: str | None) -> None:
    assert sent_among(folders) == expected


class Office(ScriptedImap):
    """Several folders: each a list of mails of its own; what is not in `boxes` cannot be opened."""

    def __init__(self, boxes: dict[str, list[bytes]], **more: Any) -> None:
        super().__init__(**more)
        self.boxes = {name: dict(enumerate(mails, start=1)) for name, mails in boxes.items()}
        self.opened: list[str] = []

    def _select(self, name: str, writer: asyncio.StreamWriter, introduced: bool) -> str:
        wanted = self.commands[-1].split(" ", 1)[1].strip('"')
        self.opened.append(f"{name} {wanted}")
        if wanted not in self.boxes:
            return "NO [NONEXISTENT] no such folder"
        kept, self.mails = self.mails, self.boxes[wanted]
        words = super()._select(name, writer, introduced)
        self.mails = kept if wanted == "Junk" else self.mails
        return words


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    monkeypatch.setattr(imap_module, "LOOK_AGAIN", timedelta(milliseconds=50))
    monkeypatch.setattr(imap_module, "JUNK_AGAIN", timedelta(milliseconds=50))


async def test_a_folder_that_is_not_there_does_not_stop_the_others(tmp_path: Path, quickly: None) -> None:
    ledger = Ledger()
    async with Office({"INBOX": [FIRST]}) as server:
        receiver = reader(server, ledger, tmp_path, folders=("INBOX", "客服"))
        with capture_logs() as lines:
            async with running(receiver, ledger.accept) as task:
                await ledger.holds(1)
                while server.opened.count("SELECT &W6JnDQ-") < 3:
                    await asyncio.sleep(0.01)
                assert not task.done()
                server.boxes["&W6JnDQ-"] = {1: SECOND}
                await ledger.holds(2)

    told = [(line["event"], line["folder"]) for line in lines]
    assert told == [("folder_missing", "客服"), ("folder_found", "客服")]
    assert ledger.raw == [FIRST, SECOND]


async def test_what_is_missing_shows_in_the_health_of_the_channel(tmp_path: Path, quickly: None) -> None:
    ledger = Ledger()
    async with Office({"INBOX": [FIRST]}) as server:
        async with running(reader(server, ledger, tmp_path, folders=("客服", "INBOX")), ledger.accept):
            await ledger.until(lambda it: any("INBOX: waiting; cannot read 客服" in note for note, _ in it.notes))


async def test_when_no_folder_is_there_the_reading_fails(tmp_path: Path) -> None:
    ledger = Ledger()
    async with Office({}) as server:
        receiver = reader(server, ledger, tmp_path, folders=("INBOX", "客服"))
        for _ in range(2):
            with pytest.raises(TemporaryFailure, match="no such folder"):
                await asyncio.wait_for(receiver.receive(ledger.accept), 5)


@pytest.mark.parametrize("name", ["Junk", "auto"])
async def test_junk_is_read_from_now_on_and_never_changed(name: str, tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST], folders=['(\\Junk) "/" Junk', '() "/" INBOX']) as server:
        receiver = reader(server, ledger, tmp_path, junk_folder=name, after_taking="move", folders=("INBOX",))
        with capture_logs() as lines:
            async with running(receiver, ledger.accept):
                while server.commands.count("IDLE") < 2:
                    await asyncio.sleep(0.01)
                assert [(a.envelope.is_junk, a.external_id) for a in ledger.arrivals.values()] == [
                    (False, "INBOX;17;1")
                ]
                server.put(SECOND)  # there is one folder behind both names here
                await ledger.holds(3)

    assert [line for line in lines if line["folder"] == "Junk"] == []
    junk = [a for a in ledger.arrivals.values() if a.envelope.is_junk]
    assert [(a.external_id, a.cursor.name if a.cursor else "") for a in junk] == [("Junk;17;2", "Junk")]
    assert 'EXAMINE "Junk"' in server.commands
    assert 'SELECT "Junk"' not in server.commands


@pytest.mark.parametrize("name", ["Sent", "auto"])
async def test_sent_mail_is_read_from_now_on_and_never_changed(name: str, tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST], folders=['(\\Sent) "/" Sent', '() "/" INBOX']) as server:
        receiver = reader(server, ledger, tmp_path, sent_folder=name, after_taking="move", folders=("INBOX",))
        async with running(receiver, ledger.accept):
            while server.commands.count("IDLE") < 2:
                await asyncio.sleep(0.01)
            server.put(SECOND)  # there is one folder behind both names here
            await ledger.holds(3)

    sent = [a for a in ledger.arrivals.values() if a.envelope.is_sent]
    assert [(a.external_id, a.cursor.name if a.cursor else "") for a in sent] == [("Sent;17;2", "Sent")]
    assert 'SELECT "Sent"' not in server.commands


async def test_the_folders_for_junk_and_for_sent_mail_are_missed_each_by_itself(tmp_path: Path, quickly: None) -> None:
    ledger = Ledger()
    async with Office({"INBOX": [FIRST], "Sent": []}) as server:
        server.folders.append('(\\Sent) "/" Sent')
        with capture_logs() as lines:
            async with running(reader(server, ledger, tmp_path, junk_folder="auto", sent_folder="auto"), ledger.accept):
                await ledger.until(lambda it: ("mail", "Sent") in it.cursors)
                await asyncio.sleep(0.1)

    assert [(line["event"], line["folder"]) for line in lines] == [("folder_missing", "auto")]


@pytest.mark.parametrize(
    ("junk", "boxes", "answers"),
    [
        ("Junk", {"INBOX": [FIRST]}, {}),
        ("auto", {"INBOX": [FIRST]}, {}),
        ("Junk", {"INBOX": [FIRST], "Junk": []}, {"EXAMINE": "NO [SERVERBUG] broken"}),
        ("auto", {"INBOX": [FIRST]}, {"LIST": "NO [UNAVAILABLE] later"}),
    ],
)
async def test_nothing_that_happens_to_junk_stops_the_rest(
    junk: str, boxes: dict[str, list[bytes]], answers: dict[str, str], tmp_path: Path, quickly: None
) -> None:
    ledger = Ledger()
    async with Office(boxes, answers=answers) as server:
        with capture_logs() as lines:
            async with running(reader(server, ledger, tmp_path, junk_folder=junk), ledger.accept) as task:
                await ledger.holds(1)
                await asyncio.sleep(0.2)

                assert not task.done()
    assert [(line["event"], line["folder"]) for line in lines] == [("folder_missing", junk)]


async def test_junk_that_appears_later_is_found(tmp_path: Path, quickly: None) -> None:
    ledger = Ledger()
    async with Office({"INBOX": [FIRST], "Junk": [SECOND]}) as server:
        with capture_logs() as lines:
            async with running(reader(server, ledger, tmp_path, junk_folder="auto"), ledger.accept):
                await ledger.holds(1)
                server.folders.append('(\\Junk) "/" Junk')
                await ledger.until(lambda it: ("mail", "Junk") in it.cursors)
                await asyncio.sleep(0.05)

    assert [line["event"] for line in lines] == ["folder_missing", "folder_found"]
    assert ledger.raw == [FIRST]
