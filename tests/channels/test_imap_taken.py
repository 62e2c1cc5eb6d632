"""What is done to mail once it has been accepted: marked, flagged, moved or left, and what when the server will not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs
from support.imapscript import CAPABILITIES, ScriptedImap
from support.mailbox import Ledger, StandingClock, imap_settings, running, tools_for

from channels.adapter import StoreUnavailable
from channels.imap import ImapReceiver

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MAILS = [b"Subject: 1\r\n\r\none\r\n", b"Subject: 2\r\n\r\ntwo\r\n"]
WITH_MOVE = (*CAPABILITIES, "MOVE", "UIDPLUS")


def reader(server: ScriptedImap, ledger: Ledger, folder: Path, **changes: Any) -> ImapReceiver:
    settings = imap_settings(folder, server.port, **changes)
    return ImapReceiver("mail", settings, tools_for(ledger, StandingClock(NOON)))


async def reads(server: ScriptedImap, folder: Path, ledger: Ledger | None = None, **changes: Any) -> list[str]:
    """Read all there is: the reasons that were logged."""
    ledger = ledger or Ledger()
    ledger.notes.clear()
    with capture_logs() as lines:
        async with running(reader(server, ledger, folder, **changes), ledger.accept):
            await ledger.waits()
    assert ledger.raw == MAILS
    return [line["reason"] for line in lines if line["event"] == "mail_left_as_it_is"]


@pytest.mark.parametrize(
    ("after", "seen", "flagged"), [("seen", {1, 2}, set()), ("flag", set(), {1, 2}), ("leave", set(), set())]
)
async def test_taken_mail_is_marked_as_configured(
    after: str, seen: set[int], flagged: set[int], tmp_path: Path
) -> None:
    async with ScriptedImap(MAILS) as server:
        said = await reads(server, tmp_path, after_taking=after)

        assert (said, server.seen, server.keywords) == ([], seen, flagged)
        assert ("UID STORE 1:2 +FLAGS.SILENT ($Intake)" in server.commands) == (after == "flag")


@pytest.mark.parametrize(
    ("capabilities", "commands"),
    [
        (WITH_MOVE, ["UID MOVE 1:2"]),
        ((*CAPABILITIES, "UIDPLUS"), ["UID COPY 1:2", "UID STORE 1:2", "UID EXPUNGE 1:2"]),
    ],
)
async def test_taken_mail_is_moved_into_a_folder_that_is_made(
    capabilities: tuple[str, ...], commands: list[str], tmp_path: Path
) -> None:
    async with ScriptedImap(MAILS, capabilities=capabilities) as server:
        said = await reads(server, tmp_path, after_taking="move", move_to="已受理")

        assert (said, server.mails, server.elsewhere) == ([], {}, {'"&XfJT13QG-"': [1, 2]})
        done = [command for command in server.commands if command.startswith(tuple(commands))]
        assert len(done) == len(commands) + 1  # the first try showed that the folder is missing


async def test_without_move_and_uidplus_nobody_elses_mail_is_expunged(tmp_path: Path) -> None:
    async with ScriptedImap(MAILS) as server:
        said = await reads(server, tmp_path, after_taking="move")

        assert [reason.split(":")[0] for reason in said] == [
            'taken mail is copied to "Taken" and only flagged as deleted'
        ]
        assert (len(server.mails), server.deleted) == (2, {1, 2})
        assert not any("EXPUNGE" in command for command in server.commands)


@pytest.mark.parametrize(
    ("flags", "flagged"),
    [(r"\Seen \Deleted", set()), (r"\Seen $intake", {1, 2}), (None, {1, 2}), (r"\Seen \*", {1, 2})],
)
async def test_a_server_that_keeps_no_flags_of_ours_gets_its_own_and_that_is_said_once(
    flags: str | None, flagged: set[int], tmp_path: Path
) -> None:
    async with ScriptedImap(MAILS, permanent_flags=flags) as server:
        said = await reads(server, tmp_path, after_taking="flag", max_size=64 * 1024)

        assert (len(said), server.keywords, server.seen) == (0 if flagged else 1, flagged, {1, 2} - flagged)


async def test_a_folder_that_cannot_be_made_leaves_the_mail_where_it_is(tmp_path: Path) -> None:
    async with ScriptedImap(MAILS, capabilities=WITH_MOVE, answers={"CREATE": "NO [CANNOT] not here"}) as server:
        said = await reads(server, tmp_path, after_taking="move")

        assert (len(server.mails), server.seen) == (2, {1, 2})
        assert ["cannot be moved" in reason for reason in said] == [True]


async def test_a_server_that_flags_nothing_loses_nothing(tmp_path: Path) -> None:
    async with ScriptedImap(MAILS, answers={"UID STORE": "NO [OVERQUOTA] no room for flags"}) as server:
        said = await reads(server, tmp_path)

    assert said == ["taken mail is left as it is: UID STORE refused: NO [OVERQUOTA] no room for flags"]


async def test_nothing_is_moved_before_it_was_accepted(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.fails = StoreUnavailable("full")
    async with ScriptedImap(MAILS, capabilities=WITH_MOVE) as server:
        with pytest.raises(StoreUnavailable):
            await reader(server, ledger, tmp_path, after_taking="move").receive(ledger.accept)

        assert (len(server.mails), server.elsewhere) == (2, {})


async def test_what_was_accepted_and_not_moved_before_the_line_broke_is_moved_after(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap(MAILS, capabilities=WITH_MOVE) as server:
        async with running(reader(server, ledger, tmp_path, after_taking="leave"), ledger.accept):
            await ledger.waits()
        assert len(server.mails) == 2
        await reads(server, tmp_path, ledger, after_taking="move")

        assert (server.mails, [len(call) for call in ledger.calls]) == ({}, [2])


async def test_old_mail_that_was_left_alone_is_not_moved(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([b"old\r\n\r\n", *MAILS], capabilities=WITH_MOVE) as server:
        server.dates = {1: "03-Mar-2019 10:00:00 +0800"}
        for _ in range(2):
            await reads(server, tmp_path, ledger, after_taking="move", since="2026-11-01")

        assert list(server.mails) == [1]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"mark_seen": False}, "after_taking"),
        ({"after_taking": "move", "move_to": "inbox"}, "would come in again"),
        ({"after_taking": "move", "junk_folder": "Taken"}, "would come in again"),
        ({"junk_folder": "inbox"}, "take it out of folders"),
        ({"folders": ("INBOX", "Inbox")}, "twice"),
        ({"folders": ()}, "no folder"),
        ({"since": "yesterday"}, "not known"),
        ({"since": "2026-02-30"}, "not known"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(wrong: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=words):
        imap_settings(tmp_path, 993, **wrong)
