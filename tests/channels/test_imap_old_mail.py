"""What lies in a mailbox at the first start: left alone, or read, oldest first, and never taken for new."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.imapscript import ScriptedImap
from support.mailbox import Ledger, StandingClock, imap_settings, mail_settings, running, tools_for

from channels.adapter import StoreUnavailable, TemporaryFailure
from channels.imap import NAMELESS_JUNK, ImapReceiver
from channels.imap_position import Position, first_position
from channels.imap_words import UNDATED, Folder, Mark
from channels.mail import build

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OLD = "03-Mar-2019 10:00:00 +0800"
EARLY = "23-Nov-2026 19:59:59 +0800"  # a second before noon UTC
LATE = "23-Nov-2026 20:30:00 +0800"
A_MAIL = b"Subject: one of many\r\n\r\nx\r\n"


def reader(server: ScriptedImap, ledger: Ledger, folder: Path, **changes: Any) -> ImapReceiver:
    settings = imap_settings(folder, server.port, **changes)
    return ImapReceiver("mail", settings, tools_for(ledger, StandingClock(NOON)))


def numbered(count: int) -> list[bytes]:
    return [b"Subject: %d\r\n\r\n" % number for number in range(1, count + 1)]


def read_uids(ledger: Ledger) -> list[int]:
    return [int(external_id.split(";")[2]) for _, external_id in ledger.arrivals]


# ---- positions


@pytest.mark.parametrize(
    "position",
    [
        Position(uid_validity=17, uid=42, newest=NOON, turn=1),
        Position(uid_validity=17, uid=42, newest=NOON, began=NOON, old_uid=40, floor=NOON, batch_uid=41),
        Position.before_any(NOON),
    ],
)
def test_a_position_is_written_and_read(position: Position) -> None:
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("value", ["17:42", "17:42:1795435200", "17:42:1795435200:2"])
def test_a_position_of_an_older_version_is_read_and_calls_nothing_old(value: str) -> None:
    position = Position.parse(value)

    mark = Mark(uid=50, size=1, received_at=NOON - timedelta(days=400))
    assert (position.uid, position.wants(mark), position.is_backlog(mark)) == (42, True, False)


@pytest.mark.parametrize("value", ["", "17", "a:b", "17:42:x"])
def test_what_is_no_position_is_said(value: str) -> None:
    with pytest.raises(ValueError, match=r"literal|unpack"):
        Position.parse(value)


FOLDER = Folder(uid_validity=17, uid_next=101, exists=100, is_read_only=False)
MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "uid", "received_at", "wanted", "is_backlog"),
    [
        ("all", 1, NOON - timedelta(days=9000), True, True),
        ("all", 1, UNDATED, True, True),
        ("all", 101, UNDATED, True, False),  # without a date, but it came after the start
        (date(2026, 11, 1), 1, MIDNIGHT, True, True),
        (date(2026, 11, 1), 1, MIDNIGHT - timedelta(seconds=1), False, True),
        (date(2026, 11, 1), 101, MIDNIGHT - timedelta(days=9), True, True),  # put there later; nobody is thanked for it
        (date(2026, 11, 1), 1, UNDATED, False, True),
        (date(2027, 1, 1), 101, NOON + timedelta(minutes=1), True, False),
        ("now", 100, NOON - timedelta(seconds=1), False, True),
        ("now", 100, NOON, True, False),  # it came before we were connected
        ("now", 101, NOON - timedelta(minutes=50), True, False),  # the server's clock is behind
        ("now", 101, NOON - timedelta(minutes=70), True, True),
        ("all", 100, NOON, True, False),  # it came while we began
    ],
)
def test_what_of_the_old_mail_is_wanted_and_what_is_backlog(
    since: Any, uid: int, received_at: datetime, wanted: bool, is_backlog: bool
) -> None:
    position = first_position(FOLDER, 100, since, NOON)
    mark = Mark(uid=uid, size=1, received_at=received_at)

    assert (position.wants(mark), position.is_backlog(mark)) == (wanted, is_backlog)


# ---- 200,000 old mails


async def test_200_000_old_mails_are_left_alone_at_once(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap() as server:
        server.mails = dict.fromkeys(range(1, 200_001), A_MAIL)
        server.date = OLD
        server.dates = dict.fromkeys(range(199_901, 200_001), EARLY)
        async with running(reader(server, ledger, tmp_path, since="now"), ledger.accept):
            await ledger.waits(seconds=5)
            server.put(b"Subject: new\r\n\r\n")
            await ledger.holds(1)

        assert ledger.raw == [b"Subject: new\r\n\r\n"]
        before = server.commands[: server.commands.index("UID SEARCH UID 200001:*")]
        searches = [command for command in before if "SEARCH" in command]
        assert [command for command in searches if not command.endswith("SINCE 22-Nov-2026")] == []
        assert len(searches) == 5
        # Of what came yesterday and today the exact time is asked for.
        assert [command for command in before if "FETCH" in command and "199901:200000" not in command] == []


async def test_of_200_000_old_mails_those_from_a_day_on_are_read_in_bounded_steps(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap() as server:
        server.mails = dict.fromkeys(range(1, 200_001), A_MAIL)
        server.date = OLD
        wanted = range(199_900, 200_001)
        server.dates = dict.fromkeys(wanted, "05-Nov-2026 10:00:00 +0800")
        async with running(reader(server, ledger, tmp_path, since="2026-11-01"), ledger.accept):
            await ledger.waits(seconds=15)

        assert read_uids(ledger) == list(wanted)
        fetched = [command for command in server.commands if "BODY" in command]
        assert len(fetched) == 3


async def test_a_very_sparse_mailbox_takes_few_steps(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap() as server:
        server.mails = {1: A_MAIL, 2_000_000: A_MAIL}
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.waits()

        assert read_uids(ledger) == [1, 2_000_000]
        assert sum("SEARCH" in command for command in server.commands) < 12


async def test_old_mail_is_read_oldest_first_and_marked_as_old(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap(numbered(120)) as server:
        server.date = OLD
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.waits()
            server.dates[121] = "23-Nov-2026 20:00:00 +0800"
            server.put(b"Subject: new\r\n\r\n")
            await ledger.holds(121)

    assert read_uids(ledger) == list(range(1, 122))
    assert [a.envelope.is_backlog for a in ledger.arrivals.values()] == [True] * 120 + [False]


async def test_reading_old_mail_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap(numbered(300)) as server:
        server.date = OLD
        server.dates = dict.fromkeys(range(120, 301), "05-Nov-2026 10:00:00 +0800")
        server.dates[290] = OLD  # moved in later, but old: not wanted, before and after a restart
        receiver = reader(server, ledger, tmp_path, since="2026-11-01")
        async with running(receiver, ledger.accept):
            await ledger.holds(40)
            ledger.fails = StoreUnavailable("full")
            await asyncio.sleep(0.05)
        ledger.fails = None
        assert len(ledger.arrivals) < 180
        async with running(reader(server, ledger, tmp_path, since="2026-11-01"), ledger.accept):
            await ledger.holds(180)
            await asyncio.sleep(0.05)

    assert read_uids(ledger) == [uid for uid in range(120, 301) if uid != 290]
    assert {a.envelope.is_backlog for a in ledger.arrivals.values()} == {True}


async def test_a_day_begins_at_midnight_utc_whatever_the_zone_the_server_writes(tmp_path: Path) -> None:
    ledger = Ledger()
    dates = {
        1: "31-Oct-2026 12:00:00 +0000",
        2: "01-Nov-2026 06:00:00 +0800",
        3: "31-Oct-2026 20:00:00 -0800",
        4: "01-Nov-2026 00:00:00 +0000",
    }
    async with ScriptedImap(numbered(4)) as server:
        server.dates = dates
        async with running(reader(server, ledger, tmp_path, since="2026-11-01"), ledger.accept):
            await ledger.waits()

    assert read_uids(ledger) == [3, 4]


async def test_old_mail_that_is_put_there_while_nobody_looked_is_taken(tmp_path: Path) -> None:
    """What came after the first start is wanted, whatever its date; also where the old had not been read to its end."""
    ledger = Ledger()
    ledger.fails = StoreUnavailable("full")
    async with ScriptedImap(numbered(2)) as server:
        server.dates = {1: OLD, 2: "05-Nov-2026 10:00:00 +0800", 3: OLD}
        receiver = reader(server, ledger, tmp_path, since="2026-11-01")
        with pytest.raises(StoreUnavailable):
            await receiver.receive(ledger.accept)
        ledger.fails = None
        server.put(b"Subject: 3\r\n\r\n")
        async with running(receiver, ledger.accept):
            await ledger.holds(2)

    assert read_uids(ledger) == [2, 3]
    assert [a.envelope.is_backlog for a in ledger.arrivals.values()] == [True, True]


async def test_a_new_uidvalidity_while_old_mail_is_read_begins_with_it_anew(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap(numbered(200)) as server:
        server.date = OLD
        server.dates = {1: "05-Nov-2026 10:00:00 +0800"}  # the newest came first: dates say nothing of what was read
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(50)
            ledger.fails = StoreUnavailable("full")
            await asyncio.sleep(0.05)
        ledger.fails = None
        known = len(ledger.arrivals)
        assert known < 200
        server.validity = 18
        async with running(reader(server, ledger, tmp_path), ledger.accept):
            await ledger.holds(known + 200)

    assert sorted(set(ledger.raw)) == sorted(numbered(200))
    assert {a.envelope.is_backlog for a in ledger.arrivals.values()} == {True}


async def test_a_reading_anew_that_is_broken_off_does_not_bring_in_what_is_old(tmp_path: Path) -> None:
    """First nothing old is wanted; then come new UIDs, and the line breaks while the recent mail is read again."""
    ledger = Ledger()
    async with ScriptedImap(numbered(100)) as server:
        server.date = OLD
        receiver = reader(server, ledger, tmp_path, since="now")
        async with running(receiver, ledger.accept):
            await ledger.waits()
        server.validity = 18
        server.mails = dict(enumerate(numbered(400), start=1))
        server.dates = dict.fromkeys(range(1, 401, 2), "23-Nov-2026 20:00:00 +0800")  # these came while we were away
        async with running(receiver, ledger.accept):
            await ledger.holds(50)
            ledger.fails = StoreUnavailable("full")
            await asyncio.sleep(0.05)
        ledger.fails = None
        assert len(ledger.arrivals) < 200
        async with running(receiver, ledger.accept):
            await ledger.holds(200)
            await asyncio.sleep(0.05)

    assert read_uids(ledger) == list(range(1, 401, 2))


async def test_a_server_that_tells_no_uidnext(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap(numbered(3), tells_next=False) as server:
        async with running(reader(server, ledger, tmp_path, since="now"), ledger.accept):
            await ledger.waits()
            server.put(b"Subject: new\r\n\r\n")
            await ledger.holds(1)

    assert read_uids(ledger) == [4]


def test_what_came_while_we_were_still_connecting_is_no_old_mail() -> None:
    position = first_position(FOLDER, 100, "all", NOON)

    assert not position.is_backlog(Mark(uid=100, size=1, received_at=NOON + timedelta(seconds=1)))
    assert position.is_backlog(Mark(uid=99, size=1, received_at=NOON - timedelta(seconds=1)))


# ---- a first start that fails


REFUSED = {"LOGIN": "NO [AUTHENTICATIONFAILED] not yet"}


async def fails(receiver: ImapReceiver, ledger: Ledger) -> None:
    with pytest.raises(TemporaryFailure):
        await receiver.receive(ledger.accept)


@pytest.mark.parametrize("since", ["now", "all", "2026-11-23"])
@pytest.mark.parametrize("is_restarted", [False, True])
async def test_mail_that_came_while_the_first_start_was_refused_is_read(
    since: str, is_restarted: bool, tmp_path: Path
) -> None:
    """One lay there before; two come while the password is wrong, one once it is right."""
    ledger = Ledger()
    clock = StandingClock(NOON)
    async with ScriptedImap(numbered(1), answers=dict(REFUSED)) as server:
        settings = imap_settings(tmp_path, server.port, since=since)
        server.dates = dict(enumerate((OLD, LATE, LATE, LATE), start=1))
        receiver = ImapReceiver("mail", settings, tools_for(ledger, clock))
        await fails(receiver, ledger)
        clock.shows = NOON + timedelta(hours=2)
        for raw in numbered(3)[1:]:
            server.put(raw)
        if is_restarted:
            receiver = ImapReceiver("mail", settings, tools_for(ledger, clock))
            await fails(receiver, ledger)
        server.answers.clear()
        async with running(receiver, ledger.accept):
            await ledger.waits()
            server.put(numbered(4)[3])
            await ledger.until(lambda it: numbered(4)[3] in it.raw)

    assert read_uids(ledger) == ([1, 2, 3, 4] if since == "all" else [2, 3, 4])
    assert {
        a.envelope.is_backlog for uid, a in zip(read_uids(ledger), ledger.arrivals.values(), strict=True) if uid > 1
    } == {False}


async def test_a_server_that_was_away_at_the_first_start(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap(numbered(2), greeting=b"* BYE come again") as server:
        server.dates = {1: EARLY, 2: LATE}
        await fails(reader(server, ledger, tmp_path, since="now"), ledger)
        server.greeting = b"* OK ready"
        later = StandingClock(NOON + timedelta(days=1))
        settings = imap_settings(tmp_path, server.port, since="now")
        async with running(ImapReceiver("mail", settings, tools_for(ledger, later)), ledger.accept):
            await ledger.waits()

    assert read_uids(ledger) == [2]
    assert Position.parse(ledger.cursors["mail", "INBOX"]).began == NOON


@pytest.mark.parametrize("junk", ["Junk", "auto"])
async def test_junk_that_came_while_the_first_start_was_refused_is_read(junk: str, tmp_path: Path) -> None:
    """Also where its name is known only once the server can be reached. The inbox is read from its first mail on."""
    ledger = Ledger()
    clock = StandingClock(NOON)
    listed = ['(\\Junk) "/" Junk', '() "/" INBOX']
    async with ScriptedImap(numbered(2), answers=dict(REFUSED), folders=listed) as server:
        server.dates = {1: EARLY, 2: LATE}
        settings = imap_settings(tmp_path, server.port, junk_folder=junk)
        await fails(ImapReceiver("mail", settings, tools_for(ledger, clock)), ledger)
        clock.shows = NOON + timedelta(hours=2)
        server.answers.clear()
        async with running(ImapReceiver("mail", settings, tools_for(ledger, clock)), ledger.accept):
            await ledger.holds(3)
            await asyncio.sleep(0.05)

    assert sorted(external_id for _, external_id in ledger.arrivals) == ["INBOX;17;1", "INBOX;17;2", "Junk;17;2"]


async def test_junk_under_a_new_name_is_read_from_when_the_old_one_was_known(tmp_path: Path) -> None:
    ledger = Ledger()
    clock = StandingClock(NOON)
    async with ScriptedImap(numbered(1), folders=['(\\Junk) "/" Junk']) as server:
        settings = imap_settings(tmp_path, server.port, junk_folder="auto", folders=("INBOX",))
        server.dates = {1: LATE, 2: "24-Nov-2026 20:30:00 +0800"}
        async with running(ImapReceiver("mail", settings, tools_for(ledger, clock)), ledger.accept):
            await ledger.holds(2)
        clock.shows = NOON + timedelta(days=1)
        async with running(ImapReceiver("mail", settings, tools_for(ledger, clock)), ledger.accept):
            await ledger.until(lambda it: Position.parse(it.cursors["mail", NAMELESS_JUNK]).began == clock.shows)
        server.folders = ['(\\Junk) "/" Spam']
        server.put(numbered(2)[1])
        async with running(ImapReceiver("mail", settings, tools_for(ledger, clock)), ledger.accept):
            await ledger.holds(4)
            await asyncio.sleep(0.05)

    assert sorted(i for _, i in ledger.arrivals if not i.startswith("INBOX")) == ["Junk;17;1", "Spam;17;2"]


@pytest.mark.parametrize(("since", "news"), [("now", 2), ("all", 3), ("2026-11-24", 1)])
async def test_check_counts_what_waits_after_a_first_start_that_failed(since: str, news: int, tmp_path: Path) -> None:
    ledger = Ledger()
    async with ScriptedImap(numbered(3)) as server:
        server.dates = {1: EARLY, 2: LATE, 3: "24-Nov-2026 20:30:00 +0800"}
        ledger.cursors["mail", "INBOX"] = str(Position.before_any(NOON))
        settings = mail_settings(tmp_path, {"port": server.port, "since": since}, {"port": 1})
        checker = build("mail", settings, tools_for(ledger)).checker
        assert checker is not None

        inward = (await checker.check())[0]

    assert inward.found.endswith(f", {news} new)")
