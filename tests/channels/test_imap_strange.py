"""Servers that cannot, will not, or say what is not so: every mail still comes, or its head, or that it is there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.imapscript import ScriptedImap
from support.mailbox import Ledger, StandingClock, imap_settings, running, tools_for

from channels import imap_protocol
from channels.adapter import TemporaryFailure
from channels.imap import ImapReceiver
from channels.imap_fetch import LESS_AND_LESS, MAX_LOSSES, WHOLE, Rung, ladder
from channels.imap_position import HEAD
from channels.imap_words import Mark, RefusedByServer

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIRST, SECOND = b"Subject: 1\r\n\r\none\r\n", b"Subject: 2\r\n\r\ntwo\r\n"


def reader(server: ScriptedImap, ledger: Ledger, folder: Path, **changes: Any) -> ImapReceiver:
    settings = imap_settings(folder, server.port, **changes)
    return ImapReceiver("mail", settings, tools_for(ledger, StandingClock(NOON)))


MAX = 1_000_000
HEADER = LESS_AND_LESS[1:]


@pytest.mark.parametrize(
    ("size", "losses", "expected"),
    [
        (1000, 0, [WHOLE, *LESS_AND_LESS]),
        (MAX, 0, [WHOLE, *LESS_AND_LESS]),
        (MAX + 1, 0, [*LESS_AND_LESS]),
        (None, 0, [Rung(MAX + 1), *LESS_AND_LESS]),
        (1000, 1, [Rung(MAX + 1), *LESS_AND_LESS]),
        (1000, MAX_LOSSES, [*LESS_AND_LESS]),
        (1000, MAX_LOSSES + 2, [*HEADER]),
        (MAX + 1, 1, [*LESS_AND_LESS]),
        (1000, MAX_LOSSES + 4, []),
        (1000, 99, []),
    ],
)
def test_ever_less_is_asked_for_as_it_costs_more(size: int | None, losses: int, expected: list[Rung]) -> None:
    assert ladder(Mark(uid=1, size=size, received_at=NOON), MAX, losses) == expected


async def until_it_stays(receiver: ImapReceiver, ledger: Ledger, count: int) -> int:
    """Start the reader again as the supervisor does, until it holds so many: how often it failed."""
    for failures in range(30):
        async with running(receiver, ledger.accept) as task:
            holding = asyncio.ensure_future(ledger.holds(count))
            await asyncio.wait({task, holding}, return_when=asyncio.FIRST_COMPLETED)
            if holding.done():
                return failures
            holding.cancel()
            assert isinstance(task.exception(), TemporaryFailure)
    raise AssertionError("it never came")


@pytest.mark.parametrize(
    ("more", "raw"),
    [
        ({}, SECOND),
        ({"cuts_head": {2}}, b"Subject: 2\r\n\r\n"),
        ({"cuts_head": {2}, "cuts_header": {2}}, b""),
    ],
    ids=["the head comes", "the header comes", "nothing comes"],
)
async def test_a_mail_that_breaks_every_connection_still_opens_a_ticket(
    more: dict[str, Any], raw: bytes, tmp_path: Path
) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST, SECOND, FIRST], cuts={2}, **more) as server:
        await until_it_stays(reader(server, ledger, tmp_path), ledger, 3)

    found = [(a.raw, a.envelope.is_truncated, a.envelope.source_size) for a in ledger.arrivals.values()]
    assert found[1] == (raw, True, len(SECOND))
    assert [octets for octets, _, _ in found] == [FIRST, raw, FIRST]


@pytest.mark.parametrize("told", ['INTERNALDATE "23-Nov-2026 09:00:00 +0800"', "RFC822.SIZE 0", "FLAGS ()"])
async def test_a_large_mail_without_a_size_is_never_fetched_beyond_the_limit(told: str, tmp_path: Path) -> None:
    ledger = Ledger()
    large = b"Subject: large\r\n\r\n" + b"x" * 9_000_000
    async with ScriptedImap([FIRST, large, SECOND]) as server:
        server.marks = {2: told}
        async with running(reader(server, ledger, tmp_path, max_size=100_000), ledger.accept):
            await ledger.holds(3)

        assert "UID FETCH 2 (UID BODY.PEEK[]<0.100001>)" in server.commands
    found = [(len(a.raw), a.envelope.is_truncated) for a in ledger.arrivals.values()]
    assert found == [(len(FIRST), False), (HEAD, True), (len(SECOND), False)]


async def test_a_size_told_far_too_small_costs_a_connection_and_no_mail(tmp_path: Path) -> None:
    ledger = Ledger()
    large = b"Subject: large\r\n\r\n" + b"x" * 9_000_000
    async with ScriptedImap([FIRST, large, SECOND]) as server:
        server.marks = {2: 'RFC822.SIZE 90 INTERNALDATE "23-Nov-2026 09:00:00 +0800"'}
        failures = await until_it_stays(reader(server, ledger, tmp_path, max_size=100_000), ledger, 3)

    assert failures <= 2
    found = [(len(a.raw), a.envelope.is_truncated) for a in ledger.arrivals.values()]
    assert found == [(len(FIRST), False), (HEAD, True), (len(SECOND), False)]


async def test_many_sizes_told_too_small_together_never_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap_protocol, "MAX_LINE", 200_000)
    ledger = Ledger()
    mails = [b"Subject: %d\r\n\r\n" % n + b"x" * 90_000 for n in range(20)]
    async with ScriptedImap(mails) as server:
        server.marks = dict.fromkeys(range(1, 21), 'RFC822.SIZE 90 INTERNALDATE "23-Nov-2026 09:00:00 +0800"')
        failures = await until_it_stays(reader(server, ledger, tmp_path, max_size=100_000), ledger, 20)

    assert (failures, ledger.raw) == (1, mails)


@pytest.mark.parametrize("size", [1, 2])
async def test_a_size_told_a_little_wrong_takes_nothing_from_the_mail(size: int, tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST, SECOND]) as server:
        server.marks = {2: f'RFC822.SIZE {size} INTERNALDATE "23-Nov-2026 09:00:00 +0800"'}
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(2)

    assert [(a.raw, a.envelope.is_truncated) for a in ledger.arrivals.values()] == [(FIRST, False), (SECOND, False)]


async def test_a_mail_that_is_there_and_of_which_nothing_comes_is_not_forgotten(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST, SECOND, FIRST], empty={2}) as server:
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(3)

    assert [(a.raw, a.envelope.is_truncated) for a in ledger.arrivals.values()] == [
        (FIRST, False),
        (b"", True),
        (FIRST, False),
    ]


@pytest.mark.parametrize("gone", [{2}, {1, 2, 3}])
async def test_mails_that_somebody_takes_away_between_size_and_octets_are_let_go(
    gone: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST, SECOND, FIRST]) as server:
        fetch = server._fetch

        async def fetched(tag: str, words: str, writer: asyncio.StreamWriter) -> bool:
            if "BODY" in words:
                for uid in gone & server.mails.keys():
                    del server.mails[uid]
                if gone & {*map(int, words.split(" ")[0].replace(":", ",").split(","))}:
                    writer.write(f"{tag} NO [EXPUNGEISSUED] some are gone\r\n".encode())
                    return True
            return await fetch(tag, words, writer)

        monkeypatch.setattr(server, "_fetch", fetched)
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.waits()

    assert ledger.raw == [raw for uid, raw in enumerate([FIRST, SECOND, FIRST], start=1) if uid not in gone]


NOT_NOW = [
    "NO [UNAVAILABLE] Server unavailable. 15",
    "NO [INUSE] mailbox is locked",
    "NO [LIMIT] too many commands",
    "NO [OVERQUOTA] Account exceeded command or bandwidth limits",
    "BAD User is authenticated but not connected.",
    "NO Request is throttled. Suggested Backoff Time: 1000 milliseconds",
]


@pytest.mark.parametrize("words", NOT_NOW)
@pytest.mark.parametrize("command", ["SELECT", "UID SEARCH", "UID FETCH", "BODY"])
@pytest.mark.parametrize("count", [1, 3])
async def test_what_is_refused_for_now_is_asked_for_again_and_said_in_the_servers_words(
    command: str, words: str, count: int, tmp_path: Path
) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST] * count, answers={command: words}) as server:
        receiver = reader(server, ledger, tmp_path)
        with pytest.raises(TemporaryFailure) as caught:
            await asyncio.wait_for(receiver.receive(ledger.accept), 5)
        assert words.split(" ", 1)[1][:60] in str(caught.value)
        assert (ledger.raw, isinstance(caught.value, RefusedByServer)) == ([], True)
        server.answers.clear()
        async with running(receiver, ledger.accept):
            await ledger.holds(count)

    assert [(a.raw, a.envelope.is_truncated) for a in ledger.arrivals.values()] == [(FIRST, False)] * count


async def test_a_server_that_trickles_is_waited_for(tmp_path: Path) -> None:
    """Longer in all than a command may take: what counts is that octets come."""
    ledger = Ledger()
    mail = b"Subject: slow\r\n\r\n" + b"x" * 400
    patience = {"command_timeout": timedelta(milliseconds=200)}
    async with ScriptedImap([mail], trickles=0.02) as server:
        async with running(reader(server, ledger, tmp_path, **patience), ledger.accept):
            await ledger.holds(1)

    assert ledger.raw == [mail]


async def test_a_server_that_falls_silent_in_a_mail_is_found_at_once(tmp_path: Path) -> None:
    """Within one command's time, not within that of a whole transfer."""
    ledger = Ledger()
    patience = {"command_timeout": timedelta(milliseconds=300)}
    async with ScriptedImap([b"Subject: slow\r\n\r\n" + b"x" * 400], trickles=60) as server:
        with pytest.raises(TemporaryFailure, match="no answer"):
            await asyncio.wait_for(reader(server, ledger, tmp_path, **patience).receive(ledger.accept), 3)


async def test_a_mail_announced_and_taken_away_before_it_was_read(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST]) as server, running(reader(server, ledger, tmp_path), ledger.accept):
        await ledger.waits()
        while "IDLE" not in server.commands:
            await asyncio.sleep(0.01)
        server.say(b"* 2 EXISTS")
        server.say(b"* 2 EXPUNGE")
        while server.commands.count("IDLE") < 2:
            await asyncio.sleep(0.01)
        server.put(SECOND)
        await ledger.holds(2)

    assert ledger.raw == [FIRST, SECOND]
