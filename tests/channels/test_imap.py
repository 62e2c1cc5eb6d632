"""Reading a mailbox: what is fetched, in which order it is told, and what a strange server cannot do to us."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.imapscript import ScriptedImap
from support.mailbox import Ledger, StandingClock, imap_settings, mail_settings, running, secret_file, tools_for

from channels.adapter import CheckState, LoginRefused, StoreUnavailable, TemporaryFailure
from channels.imap import ImapReceiver
from channels.imap_fetch import MAX_LOSSES
from channels.imap_names import decode_folder, encode_folder, listed
from channels.imap_position import BATCH_MAILS, BATCH_OCTETS, HEAD, REREAD, Position, batches, renumbered
from channels.imap_words import (
    Folder,
    Mark,
    internal_date,
    literals,
    marks,
    numbers,
    uid_set,
)
from channels.mail import build

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIRST, SECOND = b"Subject: 1\r\n\r\none\r\n", b"Subject: 2\r\n\r\ntwo\r\n"


def reader(server: ScriptedImap, ledger: Ledger, folder: Path, **changes: Any) -> ImapReceiver:
    settings = imap_settings(folder, server.port, **changes)
    return ImapReceiver("mail", settings, tools_for(ledger, StandingClock(NOON)))


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", "INBOX"),
        ("A & B", "A &- B"),
        ("客服/郵件", "&W6JnDQ-/&kPVO9g-"),
        ("Entwürfe", "Entw&APw-rfe"),
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("😀", "&2D3eAA-"),
    ],
)
def test_folders_travel_in_modified_utf_7(name: str, wire: str) -> None:
    assert (encode_folder(name), decode_folder(wire)) == (wire, name)


@pytest.mark.parametrize(
    ("uids", "expected"), [([7], "7"), ([3, 4, 5, 9], "3:5,9"), ([1, 3, 5], "1,3,5"), ([1, 2], "1:2")]
)
def test_uid_set(uids: list[int], expected: str) -> None:
    assert uid_set(uids) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"17-Jul-1996 02:44:25 -0700", datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)),
        (b" 1-jan-2026 00:00:00 +0800", datetime(2025, 12, 31, 16, tzinfo=UTC)),
        (b"31-Dec-2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b"23-Nov-2026 09:00:00 -0330", datetime(2026, 11, 23, 12, 30, tzinfo=UTC)),
    ],
)
def test_internal_date(text: bytes, expected: datetime) -> None:
    assert internal_date(text) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"1 FETCH (UID 5 BODY[] {3}", bytearray(b"abc"), b")"], {5: b"abc"}),
        ([b"1 FETCH (BODY[] {3}", bytearray(b"abc"), b" UID 5)"], {5: b"abc"}),
        ([b"1 FETCH (BODY[] {7}", bytearray(b" UID 9 "), b" UID 5)"], {5: b" UID 9 "}),
        ([b"1 FETCH (UID 5 BODY[] NIL)", b'2 FETCH (UID 6 BODY[] "")'], {5: b"", 6: b""}),
        ([b'1 FETCH (BODY[] "say \\"UID 9\\"" UID 5)'], {5: b'say "UID 9"'}),
        ([b"1 FETCH (FLAGS (\\Seen))", b"2 FETCH (UID 6 BODY[]<0> {1}", bytearray(b"x"), b")"], {6: b"x"}),
        ([b"1 FETCH (UID 5 FLAGS (\\Seen))"], {}),
    ],
)
def test_octets_of_a_fetch_answer(lines: list[bytes], expected: dict[int, bytes]) -> None:
    assert literals(lines) == expected


def test_a_size_answer_in_any_order_and_a_flag_update_between() -> None:
    lines = [
        b'1 FETCH (INTERNALDATE "23-Nov-2026 09:00:00 +0800" RFC822.SIZE 12 UID 5)',
        b"2 FETCH (UID 6 FLAGS (\\Seen))",
    ]

    assert marks(lines) == [Mark(uid=5, size=12, received_at=datetime(2026, 11, 23, 1, tzinfo=UTC))]


def test_search_answers_are_sorted_and_joined() -> None:
    assert numbers([b"9 2 5", b"3 2"]) == [2, 3, 5, 9]


def test_folders_of_a_list_answer() -> None:
    lines = [b'(\\HasNoChildren) "/" INBOX', b'(\\Noselect) "/" All', b'() "/" "A \\"b\\""', b'() NIL "&W6JnDQ-"']

    assert [folder.name for folder in listed(lines)] == ['A "b"', "INBOX", "客服"]


def mark(uid: int, size: int = 1000) -> Mark:
    return Mark(uid=uid, size=size, received_at=NOON)


@pytest.mark.parametrize(
    ("sizes", "careful", "expected"),
    [
        ([1000] * (BATCH_MAILS + 1), 0, [BATCH_MAILS, 1]),
        ([BATCH_OCTETS // 2, BATCH_OCTETS // 2, 1], 0, [2, 1]),
        ([10, BATCH_OCTETS + 1, 10], 0, [1, 1, 1]),
        ([10, 31 << 20, 10], 0, [1, 1, 1]),
        ([10] * 4, 2, [1, 1, 2]),
        ([], 0, []),
    ],
)
def test_batches(sizes: list[int], careful: int, expected: list[int]) -> None:
    made = list(batches([mark(uid, size) for uid, size in enumerate(sizes, start=1)], 30 << 20, careful))

    assert [len(batch) for batch in made] == expected
    assert [one.uid for batch in made for one in batch] == list(range(1, len(sizes) + 1))


def test_a_position_is_written_and_read() -> None:
    position = Position(uid_validity=17, uid=42, newest=NOON, turn=1)

    assert Position.parse(str(position)) == position


def test_a_date_in_the_future_does_not_hide_what_comes_before_it() -> None:
    position = Position(uid_validity=17, uid=42, newest=NOON)

    moved = position.beyond(Mark(uid=43, size=1, received_at=NOON + timedelta(days=9_000)), NOON + timedelta(hours=1))

    assert (moved.uid, moved.newest) == (43, NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("validity", "uid_next", "expected"),
    [
        (17, 43, None),
        (17, None, None),
        (18, 5, Position(uid_validity=18, uid=0, newest=NOON, old_uid=40, floor=NOON - REREAD)),
        (17, 42, Position(uid_validity=17, uid=0, newest=NOON, turn=1, old_uid=40, floor=NOON - REREAD)),
    ],
)
def test_when_uids_are_void(validity: int, uid_next: int | None, expected: Position | None) -> None:
    known = Position(uid_validity=17, uid=42, newest=NOON)

    opened = Folder(uid_validity=validity, uid_next=uid_next, exists=9, is_read_only=False)
    assert renumbered(known, opened, 40) == expected


async def test_mail_is_flagged_only_after_it_was_accepted(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST]) as server:
        flagged_at_accept: list[set[int]] = []

        async def accept(arrivals: Any) -> Any:
            flagged_at_accept.append(set(server.seen))
            return await ledger.accept(arrivals)

        async with running(reader(server, ledger, tmp_path), accept):
            await ledger.waits()

        assert (flagged_at_accept, server.seen) == ([set()], {1})
        (arrival,) = ledger.arrivals.values()
        assert (arrival.external_id, arrival.raw) == ("INBOX;17;1", FIRST)
        assert arrival.received_at == datetime(2026, 11, 23, 1, tzinfo=UTC)
        assert ledger.cursors["mail", "INBOX"].startswith("17:1:")


async def test_nothing_is_flagged_when_the_store_is_down(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.fails = StoreUnavailable("full")
    async with ScriptedImap([FIRST]) as server:
        with pytest.raises(StoreUnavailable):
            await reader(server, ledger, tmp_path).receive(ledger.accept)

        assert (server.seen, Position.parse(ledger.cursors["mail", "INBOX"]).uid) == (set(), 0)


async def test_the_first_start_leaves_old_mail_alone_and_remembers_where_it_began(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST]) as server:
        receiver = reader(server, ledger, tmp_path, since="now")
        async with running(receiver, ledger.accept):
            await ledger.waits()
        server.put(SECOND)  # while nobody was there
        async with running(receiver, ledger.accept):
            await ledger.holds(1)

        assert ledger.raw == [SECOND]


async def test_a_push_wakes_the_reader(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST]) as server, running(reader(server, ledger, tmp_path), ledger.accept):
        await ledger.waits()
        while "IDLE" not in server.commands:
            await asyncio.sleep(0.01)
        server.say(b"* OK still here")
        server.put(SECOND)
        await ledger.holds(2, seconds=5)


async def test_a_mail_that_was_announced_outside_idle_is_not_slept_over(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST]) as server:
        server.put_before_next_store(SECOND)
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(2, seconds=5)


async def test_a_server_without_idle_is_polled(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST], capabilities=("IMAP4rev1",)) as server:
        poll = {"poll_every": timedelta(milliseconds=50)}
        async with running(reader(server, ledger, tmp_path, **poll), ledger.accept):
            await ledger.waits()
            server.put(SECOND)
            await ledger.holds(2, seconds=5)

        assert "IDLE" not in server.commands


async def test_idle_is_renewed(tmp_path: Path) -> None:
    ledger = Ledger()
    renew = {"idle_renew_every": timedelta(milliseconds=50)}
    async with ScriptedImap() as server, running(reader(server, ledger, tmp_path, **renew), ledger.accept):
        async with asyncio.timeout(5):
            while server.commands.count("IDLE") < 3:
                await asyncio.sleep(0.01)


async def test_bye_in_idle_ends_the_reading_at_once(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap() as server, running(reader(server, ledger, tmp_path), ledger.accept) as task:
        while "IDLE" not in server.commands:
            await asyncio.sleep(0.01)
        server.say(b"* BYE shutting down", leave=True)

        with pytest.raises(TemporaryFailure, match="shutting down"):
            await asyncio.wait_for(task, 5)


@pytest.mark.parametrize("greeting", [b"* BYE too many connections", b"HTTP/1.1 400 Bad Request"])
async def test_a_strange_greeting_is_a_failure_that_can_be_read(greeting: bytes, tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap(greeting=greeting) as server:
        with pytest.raises(TemporaryFailure, match=greeting.decode()[2:12]):
            await reader(server, ledger, tmp_path).receive(ledger.accept)


async def test_nobody_listens(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap() as server:
        pass

    with pytest.raises(TemporaryFailure):
        await reader(server, ledger, tmp_path).receive(ledger.accept)


async def test_a_wrong_password_is_said_as_one(tmp_path: Path) -> None:
    ledger = Ledger()
    wrong = {"password": {"file": str(secret_file(tmp_path, "wrong"))}}
    async with ScriptedImap() as server:
        with pytest.raises(LoginRefused, match="desk@"):
            await reader(server, ledger, tmp_path, **wrong).receive(ledger.accept)


async def test_no_starttls_on_offer_sends_no_password(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap() as server:
        with pytest.raises(TemporaryFailure, match="STARTTLS"):
            await reader(server, ledger, tmp_path, security="starttls").receive(ledger.accept)

        assert not any(command.startswith("LOGIN") for command in server.commands)


async def test_a_server_that_wants_to_know_who_we_are_is_told(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST], wants_id=True) as server:
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(1, seconds=5)


async def test_a_read_only_folder_is_read_all_the_same(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST, SECOND], read_only=True) as server:
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.waits()

    assert ledger.raw == [FIRST, SECOND]


async def test_nothing_is_flagged_unless_wanted(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST]) as server:
        async with running(reader(server, ledger, tmp_path, after_taking="leave"), ledger.accept):
            await ledger.waits()

        assert (server.seen, ledger.raw) == (set(), [FIRST])


async def test_a_mail_over_the_limit_arrives_as_its_head(tmp_path: Path) -> None:
    ledger = Ledger()
    large = b"Subject: large\r\n\r\n" + b"x" * 200_000
    async with ScriptedImap([FIRST, large, SECOND]) as server:
        async with running(reader(server, ledger, tmp_path, max_size=100_000), ledger.accept):
            await ledger.holds(3)

    found = [(len(a.raw), a.envelope.is_truncated, a.envelope.source_size) for a in ledger.arrivals.values()]
    assert found == [(len(FIRST), False, len(FIRST)), (HEAD, True, len(large)), (len(SECOND), False, len(SECOND))]


@pytest.mark.parametrize(("refuses_head", "expected"), [((), FIRST), ((2,), b"")])
async def test_a_mail_that_the_server_cannot_give_never_blocks_the_next(
    refuses_head: tuple[int, ...], expected: bytes, tmp_path: Path
) -> None:
    ledger = Ledger()
    mails = [SECOND, FIRST, SECOND]
    async with ScriptedImap(mails, refuses={2}, refuses_head=refuses_head, refuses_header=refuses_head) as server:
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(3)

    assert ledger.raw == [SECOND, expected, SECOND]
    assert [a.envelope.is_truncated for a in ledger.arrivals.values()] == [False, True, False]


async def test_a_mail_that_breaks_every_connection_arrives_as_its_head_in_the_end(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST, SECOND, FIRST], cuts={2}) as server:
        receiver = reader(server, ledger, tmp_path)
        for _ in range(1 + MAX_LOSSES):
            with pytest.raises(TemporaryFailure):
                await receiver.receive(ledger.accept)
        async with running(receiver, ledger.accept):
            await ledger.holds(3)

    assert [(a.raw, a.envelope.is_truncated) for a in ledger.arrivals.values()] == [
        (FIRST, False),
        (SECOND, True),
        (FIRST, False),
    ]


async def test_thousands_of_lines_in_one_piece_do_no_harm(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST], flood=30_000) as server:
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(1, seconds=10)


async def test_a_clock_that_is_ahead_at_the_server_gives_no_time_we_do_not_have(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST]) as server:
        server.date = "24-Dec-2026 09:00:00 +0800"
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(1)

    assert [arrival.received_at for arrival in ledger.arrivals.values()] == [NOON]


IMPOSSIBLE_DATES = [
    "30-Feb-2026 09:00:00 +0800",
    "31-Dec-9999 23:00:00 -0800",
    "01-Jan-0001 00:00:00 +0800",
    "00-Jan-1900 00:00:00 +0000",
    "23-Foo-2026 09:00:00 +0800",
    "01-Jan-1970 00:00:00 +0000",
    "",
]


@pytest.mark.parametrize("date", IMPOSSIBLE_DATES)
async def test_a_mail_with_an_impossible_date_came_just_now_and_holds_up_nobody(date: str, tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST, SECOND, FIRST]) as server:
        server.dates = {2: date}
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(3)

    usual = datetime(2026, 11, 23, 1, tzinfo=UTC)
    assert ledger.raw == [FIRST, SECOND, FIRST]
    assert [a.received_at for a in ledger.arrivals.values()] == [usual, NOON, usual]


@pytest.mark.parametrize(
    "told",
    [
        "FLAGS (\\Seen)",
        "RFC822.SIZE 17",
        'INTERNALDATE "23-Nov-2026 09:00:00 +0800"',
        "RFC822.SIZE NIL INTERNALDATE NIL",
    ],
    ids=["flags alone", "no date", "no size", "nil"],
)
async def test_a_mail_of_which_the_server_tells_no_size_or_date_is_read_all_the_same(told: str, tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST, SECOND, FIRST]) as server:
        server.marks = {2: told}
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(3)

    assert ledger.raw == [FIRST, SECOND, FIRST]
    told_at = datetime(2026, 11, 23, 1, tzinfo=UTC) if "+0800" in told else NOON
    assert [(a.received_at, a.envelope.is_truncated) for a in ledger.arrivals.values()][1] == (told_at, False)


async def test_a_mail_that_vanished_before_it_was_fetched_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST, SECOND, FIRST]) as server:
        everything = server._search

        def search(criteria: str) -> list[int]:
            found = everything(criteria)
            server.mails.pop(2, None)
            return found

        monkeypatch.setattr(server, "_search", search)
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.waits()

    assert ledger.raw == [FIRST, FIRST]


async def test_a_folder_restored_under_its_old_uidvalidity_loses_nothing(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST, SECOND, SECOND]) as server:
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(3)
        server.mails = {1: FIRST, 2: b"Subject: new, with an old UID\r\n\r\n"}
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(5)

    assert [key for _, key in ledger.arrivals][3:] == ["INBOX;17;1;1", "INBOX;17;2;1"]


async def test_the_first_folder_that_fails_ends_them_all(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST]) as server:
        receiver = reader(server, ledger, tmp_path, folders=("INBOX", "客服"))
        async with running(receiver, ledger.accept) as task:
            while server.commands.count("IDLE") < 2:
                await asyncio.sleep(0.01)
            assert 'SELECT "&W6JnDQ-"' in server.commands
            server._idlers.pop().close()

            with pytest.raises(TemporaryFailure):
                await asyncio.wait_for(task, 5)


async def test_every_turn_says_when_the_next_will_be(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap([FIRST]) as server, running(reader(server, ledger, tmp_path), ledger.accept):
        await ledger.waits()

    assert [note for note, _ in ledger.notes] == ["INBOX: connecting", "INBOX: 1 fetched", "INBOX: waiting"]
    waiting = ledger.notes[-1][1]
    assert waiting <= timedelta(minutes=5).total_seconds()


async def test_check_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    ledger = Ledger()
    password = secret_file(tmp_path, "wrong")
    password.chmod(0o644)
    async with ScriptedImap() as server:
        settings = mail_settings(
            tmp_path, {"port": server.port, "password": {"file": str(password)}}, {"port": 1, "host": "127.0.0.1"}
        )
        adapter = build("support", settings, tools_for(ledger))
        assert adapter.checker is not None

        inward, outward, secret = await adapter.checker.check()

    assert (inward.state, "password" in inward.mend) == (CheckState.BAD, True)
    assert (outward.state, "port" in outward.mend) == (CheckState.BAD, True)
    assert (secret.state, secret.mend) == (CheckState.WARNING, f"chmod 600 {password}")
