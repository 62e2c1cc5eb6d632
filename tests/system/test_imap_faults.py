"""The mailbox reader against a real Dovecot over a line that fails: every mail is taken once, none is lost.

What is read a second time (new UIDs, a folder made anew) ends as a copy by its content key; here that is the octets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.dovecot import Dovecot
from support.faultproxy import FaultProxy
from support.mailbox import Ledger, imap_settings, tools_for
from support.needs import needs

from channels import imap as imap_module
from channels.adapter import TemporaryFailure
from channels.imap import ImapReceiver
from channels.imap_names import encode_folder
from channels.imap_position import Position
from channels.imap_words import quoted

pytestmark = pytest.mark.system

DESK = "desk@firm.example"
LINES = {"idle_renew_every": timedelta(milliseconds=400), "command_timeout": timedelta(seconds=1)}
OLD = '"03-Mar-2019 10:00:00 +0800"'


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    needs("dovecot", "openssl")
    with Dovecot({DESK: "secret"}) as server:
        yield server


def mails(first: int, last: int) -> list[bytes]:
    return [b"Subject: %d\r\nX-Fill: %s\r\n\r\nmail %d\r\n" % (n, b"x" * 500, n) for n in range(first, last + 1)]


class Desk:
    """A reader that is started again whenever it fails, as the supervisor does; and what it took."""

    def __init__(self, port: int, folder: Path, **changes: Any) -> None:
        self.ledger = Ledger()
        self.failures = 0
        self._receiver = ImapReceiver("mail", imap_settings(folder, port, **(LINES | changes)), tools_for(self.ledger))

    async def run(self) -> None:
        while True:
            try:
                await self._receiver.receive(self.ledger.accept)
            except TemporaryFailure:
                self.failures += 1
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def taken(self) -> list[bytes]:
        """Each mail once: what is read again is a copy."""
        return [*dict.fromkeys(self.ledger.raw)]

    async def has(self, expected: list[bytes], seconds: float = 15) -> None:
        await self.ledger.until(lambda ledger: {*expected} <= {*ledger.raw}, seconds)

    async def is_quiet(self) -> None:
        """Return once nothing new has come for a moment."""
        count = -1
        while count != len(self.ledger.calls):
            count = len(self.ledger.calls)
            await asyncio.sleep(0.5)


async def off_loop(function: Any, *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments)


async def test_a_half_open_line_in_mid_fetch_is_left_within_one_command(dovecot: Dovecot, tmp_path: Path) -> None:
    await off_loop(dovecot.append, DESK, mails(1, 300))
    async with FaultProxy(("127.0.0.1", dovecot.imap_port)) as proxy:
        proxy.stall_after = 60_000
        desk = Desk(proxy.port, tmp_path)
        async with desk.at_work():
            await desk.ledger.holds(20)
            while not desk.failures:
                await asyncio.sleep(0.02)
            proxy.stall_after = None
            await desk.has(mails(1, 300))

    assert (desk.ledger.raw, proxy.connections >= 2) == (mails(1, 300), True)


async def test_a_dead_idle_is_left_and_what_came_meanwhile_is_taken(dovecot: Dovecot, tmp_path: Path) -> None:
    await off_loop(dovecot.append, DESK, mails(1, 3))
    async with FaultProxy(("127.0.0.1", dovecot.imap_port)) as proxy:
        desk = Desk(proxy.port, tmp_path)
        async with desk.at_work():
            await desk.has(mails(1, 3))
            await desk.ledger.waits()
            proxy.stall()
            await off_loop(dovecot.append, DESK, mails(4, 6))
            while not desk.failures:
                await asyncio.sleep(0.02)
            proxy.resume()
            await desk.has(mails(1, 6))

    assert desk.ledger.raw == mails(1, 6)


async def test_a_server_that_is_killed_again_and_again_in_mid_fetch(dovecot: Dovecot, tmp_path: Path) -> None:
    await off_loop(dovecot.append, DESK, mails(1, 400))
    # The lines are cut, none falls silent: a slow server is given its time, so that only the kills count.
    desk = Desk(dovecot.imap_port, tmp_path, command_timeout=timedelta(seconds=15))
    desk.ledger.delay = 0.05
    async with desk.at_work():
        for so_many in (50, 150, 250):
            await desk.ledger.holds(so_many)
            await off_loop(dovecot.kill)
            await off_loop(dovecot.start)
        await desk.has(mails(1, 400))

    assert desk.ledger.raw == mails(1, 400)
    assert desk.failures >= 3


async def test_a_new_uidvalidity_while_it_reads(dovecot: Dovecot, tmp_path: Path) -> None:
    await off_loop(dovecot.append, DESK, mails(1, 200))
    desk = Desk(dovecot.imap_port, tmp_path)
    desk.ledger.delay = 0.1
    async with desk.at_work():
        await desk.ledger.holds(50)
        await off_loop(dovecot.stop)
        dovecot.renumber(DESK)
        await off_loop(dovecot.start)
        await off_loop(dovecot.append, DESK, mails(201, 210))
        await desk.has(mails(1, 210))
        await desk.is_quiet()

    assert sorted(desk.taken) == sorted(mails(1, 210))
    assert max(Counter(desk.ledger.raw).values()) <= 2


async def test_a_folder_that_is_deleted_and_made_anew(
    dovecot: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap_module, "LOOK_AGAIN", timedelta(milliseconds=200))
    monkeypatch.setattr("channels.imap_folder.OPEN_AGAIN", timedelta(seconds=1))
    name = "客服/一組"
    wire = quoted(encode_folder(name))

    def make(numbers: tuple[int, int]) -> None:
        with dovecot.session(DESK) as session:
            session.create(wire)
        dovecot.append(DESK, mails(*numbers), wire)

    def delete() -> None:
        with dovecot.session(DESK) as session:
            session.delete(wire)

    await off_loop(make, (1, 5))
    desk = Desk(dovecot.imap_port, tmp_path, folders=("INBOX", name))
    async with desk.at_work():
        await desk.has(mails(1, 5))
        await off_loop(delete)
        await off_loop(dovecot.append, DESK, mails(100, 102))
        await desk.has(mails(100, 102))
        await off_loop(make, (4, 9))  # two of them were there before
        await desk.has(mails(4, 9))
        await desk.is_quiet()

    assert sorted(desk.taken) == sorted(mails(1, 9) + mails(100, 102))


@pytest.mark.parametrize("name", ["Kunden, neu", 'the "big" ones', "a\\b", "客服 & 郵件", "A (1) {2} *3%"])
async def test_folders_of_every_name(name: str, dovecot: Dovecot, tmp_path: Path) -> None:
    wire = quoted(encode_folder(name))

    def make() -> bool:
        with dovecot.session(DESK) as session:
            return bool(session.create(wire)[0] == "OK")

    if not await off_loop(make):
        pytest.skip("Dovecot itself refuses this name")
    await off_loop(dovecot.append, DESK, mails(1, 2), wire)
    desk = Desk(dovecot.imap_port, tmp_path, folders=(name,))
    async with desk.at_work():
        await desk.has(mails(1, 2))

    assert desk.failures == 0


@pytest.mark.parametrize("without", [(), ("MOVE",), ("MOVE", "UIDPLUS")])
async def test_taken_mail_is_moved_and_comes_in_once(
    without: tuple[str, ...], dovecot: Dovecot, tmp_path: Path
) -> None:
    dovecot.forget_capabilities(*without)
    await off_loop(dovecot.append, DESK, mails(1, 120))
    desk = Desk(dovecot.imap_port, tmp_path, after_taking="move", move_to="已受理/Taken")
    async with desk.at_work():
        await desk.has(mails(1, 120))
        await desk.is_quiet()

    left = await off_loop(dovecot.fetch_all, DESK)
    moved = await off_loop(dovecot.fetch_all, DESK, '"&XfJT13QG-/Taken"')
    assert (desk.ledger.raw, desk.failures) == (mails(1, 120), 0)
    assert [*moved.values()] == mails(1, 120)
    assert len(left) == (120 if "UIDPLUS" in without else 0)


async def test_taken_mail_is_flagged_with_our_own_flag(dovecot: Dovecot, tmp_path: Path) -> None:
    await off_loop(dovecot.append, DESK, mails(1, 3))
    desk = Desk(dovecot.imap_port, tmp_path, after_taking="flag")
    async with desk.at_work():
        await desk.has(mails(1, 3))
        await desk.is_quiet()

    with dovecot.session(DESK) as session:
        session.select("INBOX", readonly=True)
        flagged = session.uid("search", "KEYWORD", "$Intake")[1][0].split()
        seen = session.uid("search", "SEEN")[1][0].split()
    assert (len(flagged), seen) == (3, [])


async def test_junk_is_read_and_nothing_in_it_changes(dovecot: Dovecot, tmp_path: Path) -> None:
    """Dovecot names it as such (SPECIAL-USE); it goes away, and comes again; the inbox goes on all the while."""
    await off_loop(dovecot.append, DESK, mails(1, 2), "Spamverdacht", OLD)
    desk = Desk(dovecot.imap_port, tmp_path, junk_folder="auto")
    async with desk.at_work():
        await desk.ledger.until(lambda ledger: ("mail", "Spamverdacht") in ledger.cursors)
        await desk.ledger.waits()
        await off_loop(dovecot.append, DESK, mails(3, 3), "Spamverdacht")
        await off_loop(dovecot.append, DESK, mails(10, 10))
        await desk.has(mails(3, 3) + mails(10, 10))

    found = [(a.raw, a.envelope.is_junk) for a in desk.ledger.arrivals.values()]
    assert sorted(found) == sorted([(mails(3, 3)[0], True), (mails(10, 10)[0], False)])
    assert await off_loop(dovecot.seen, DESK, "Spamverdacht") == []


async def test_of_5000_old_mails_none_is_read_and_then_all(dovecot: Dovecot, tmp_path: Path) -> None:
    await off_loop(dovecot.fill, DESK, 5_000)
    desk = Desk(dovecot.imap_port, tmp_path, since="now", command_timeout=timedelta(seconds=10))
    async with desk.at_work():
        await desk.ledger.waits()
    began = Position.parse(desk.ledger.cursors["mail", "INBOX"])
    assert (desk.ledger.raw, began.uid) == ([], 5_000)

    everything = Desk(dovecot.imap_port, tmp_path, since="all", command_timeout=timedelta(seconds=10))
    async with everything.at_work():
        await everything.ledger.holds(5_000)
    assert {a.envelope.is_backlog for a in everything.ledger.arrivals.values()} == {True}
