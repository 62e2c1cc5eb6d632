"""Mail by push, with the daemon as a process: nothing lost and nothing doubled when it is killed, stopped, or full.

First as raw as LMTP is, then behind a real Postfix: the whole circle through the door, with agents who are known by
having signed in there.
"""

from __future__ import annotations

import asyncio
import json
import random
import smtplib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.daemon import PATIENCE, ROOT, Daemon, wait_until
from support.firm import PASSWORD, Firm, is_answer, is_automatic, people, plain, servers
from support.lmtpclient import connected
from support.mailclients import CUSTOMERS, REPLIES, answer_address
from support.needs import program
from support.ports import free_ports, wait_for_port
from support.queueclient import QueueClient

pytestmark = pytest.mark.system

#: Desks whose mail Postfix hands over at a socket; the others are called at a port.
DOORS = ["circle", "full", "both"]
PLACES = [*DOORS, *[f"k{n}" for n in range(3)], "random", "end", "held", "away", "check"]
MEI = "mei@customer.example"
ANNA = "anna@customer.example"  # who writes only where the whole circle is looked at
BO = "bo@customer.example"  # likewise, by both ways
LOAD = [f"load{n}@customer.example" for n in range(60)]


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    with servers(PLACES, [MEI, ANNA, BO, *LOAD], doors=DOORS) as pair:
        yield pair


class Desk:
    """A firm whose mail comes by a door, and its daemon."""

    def __init__(self, both: Any, folder: Path, suffix: str, **changes: Any) -> None:
        self.port = 0
        if suffix in DOORS:
            self.place = str(both[1].door(people(suffix)[0]))
            lmtp = f'path = "{self.place}"'
        else:
            (self.port,) = free_ports(1)
            self.place = "127.0.0.1"
            lmtp = f"port = {self.port}"
        facts: dict[str, Any] = {"lmtp": lmtp, "imap": None} | changes
        self.firm = Firm(folder, *both, suffix=suffix, **facts)
        self.daemon = Daemon(self.firm.config, drain=20.0)

    def queue(self) -> QueueClient:
        """A mail server at this door."""
        return QueueClient(self.place, self.port)

    def mail(self, subject: str, sender: str = MEI, words: str = "請問？") -> bytes:
        return CUSTOMERS["gmail"](sender, "王美玲", self.firm.desk, subject, words)

    def settle(self, count: int) -> None:
        """Until so many mails have been decided, and everything of them has left."""
        wait_until(lambda: self.taken() >= count, f"{count} mails taken\n{self.daemon.story()}")
        self.daemon.settle()
        wait_until(lambda: not self.firm.postfix.queue(), "the border server's queue is empty")

    def taken(self) -> int:
        return int(self.daemon.rows("SELECT count(*) AS n FROM message")[0]["n"])

    def tickets(self) -> list[str]:
        """The subjects of all tickets."""
        return sorted(row["subject"] for row in self.daemon.rows("SELECT subject FROM ticket"))

    def raws(self) -> list[bytes]:
        """The octets of every message, which were all decided."""
        rows = self.daemon.rows("SELECT m.state, r.data FROM message m LEFT JOIN raw r ON r.message = m.id")
        assert {row["state"] for row in rows} <= {"done"}
        return sorted(row["data"] for row in rows)

    def got(self, user: str) -> list[str]:
        """The Message-IDs of all that this user was sent."""
        return [str(mail["Message-ID"]) for mail in self.firm.box(user).mails()]


# ---- killed


@pytest.mark.parametrize(
    ("number", "crash"), [(0, "accept.before_commit:1"), (1, "accept.before_commit:2"), (2, "accept.after_commit:2")]
)
def test_g1_g2_killed_before_250_the_mail_comes_again_and_is_one(
    both: Any, tmp_path: Path, number: int, crash: str
) -> None:
    """Before the commit nothing was kept, after it all was: the server that heard no 250 cannot tell, and need not."""
    desk = Desk(both, tmp_path, f"k{number}")
    queue = desk.queue()
    for subject in ("first", "second"):
        queue.put(MEI, desk.firm.desk, desk.mail(subject))
    with desk.daemon.start(crash=crash, waits=False), queue.running():
        assert desk.daemon.wait_end() == -9, "the crash point was never reached"
        heard = len(queue.kept)
        in_store = desk.taken()
        desk.daemon.start()
        queue.wait_until_empty()
        desk.settle(2)
        raws, tickets = desk.raws(), desk.tickets()
        desk.daemon.stop()

    # The nth mail was killed: those before it were answered, and it was kept or it was not.
    nth, is_kept = int(crash[-1]), "after" in crash
    assert (heard, in_store) == (nth - 1, nth - 1 + is_kept)
    assert len(queue.kept) == 2
    assert tickets == ["first", "second"]
    assert raws == sorted(one.raw for one in queue.kept)
    assert len(desk.got(desk.firm.chen)) == len(set(desk.got(desk.firm.chen)))
    assert len(desk.firm.box(desk.firm.chen).all(lambda m: "#" in str(m["Subject"]))) == 2
    assert desk.daemon.said("message_accepted", channel="mail") != []


def test_g1_g2_killed_at_random_under_load(both: Any, tmp_path: Path) -> None:
    dice = random.Random(20261124)
    desk = Desk(both, tmp_path, "random")
    queues = [desk.queue() for _ in range(3)]
    for number, user in enumerate(LOAD):
        queues[number % 3].put(user, desk.firm.desk, desk.mail(f"from {user}", user))
    with desk.daemon, ExitStack() as stack:
        for queue in queues:
            stack.enter_context(queue.running())
        for wave in range(3):
            reached = (wave + 1) * len(LOAD) // 5
            wait_until(lambda n=reached: sum(len(q.kept) for q in queues) >= n, "some are taken", every=0.002)
            time.sleep(dice.uniform(0.0, 0.03))
            desk.daemon.kill()
            heard = {one.raw for queue in queues for one in queue.kept}
            stored = {row["data"] for row in desk.daemon.rows("SELECT data FROM raw")}
            assert heard <= stored, "250 was said of a mail that is not there"
            desk.daemon.start()
        for queue in queues:
            queue.wait_until_empty()
        desk.settle(len(LOAD))
        desk.daemon.stop()

    kept = [one.raw for queue in queues for one in queue.kept]
    assert Counter(desk.raws()) == Counter(kept)
    assert desk.tickets() == sorted(f"from {user}" for user in LOAD)
    effects = desk.daemon.rows("SELECT count(*) AS n FROM outbox GROUP BY ticket, purpose, address HAVING n > 1")
    assert effects == []


# ---- stopped


def test_g12_sigterm_while_mails_are_handed_over(both: Any, tmp_path: Path) -> None:
    """What was answered is there, what was not comes again; and one who says nothing more does not hold up the end."""
    desk = Desk(both, tmp_path, "end", drain="10s")
    queues = [desk.queue() for _ in range(3)]
    for number, user in enumerate(LOAD[:30]):
        queues[number % 3].put(user, desk.firm.desk, desk.mail(f"from {user}", user))
    took = []
    with desk.daemon, ExitStack() as stack:
        wait_for_port(desk.port)
        slow = smtplib.LMTP("127.0.0.1", desk.port, timeout=PATIENCE)
        slow.ehlo()
        slow.mail(MEI)
        slow.rcpt(desk.firm.desk)
        slow.putcmd("data")
        assert slow.getreply()[0] == 354
        slow.send(desk.mail("never ended"))
        for queue in queues:
            stack.enter_context(queue.running())
        for wave in range(2):
            reached = (wave + 1) * 10
            wait_until(lambda n=reached: sum(len(q.kept) for q in queues) >= n, "some are taken", every=0.002)
            began = time.monotonic()
            desk.daemon.stop()
            took.append(time.monotonic() - began)
            heard = {one.raw for queue in queues for one in queue.kept}
            assert heard <= {row["data"] for row in desk.daemon.rows("SELECT data FROM raw")}
            desk.daemon.start()
        for queue in queues:
            queue.wait_until_empty()
        desk.settle(30)
        desk.daemon.stop()
        slow.close()

    assert max(took) < 6  # seconds
    assert desk.tickets() == sorted(f"from {user}" for user in LOAD[:30])
    assert desk.raws() == sorted(one.raw for queue in queues for one in queue.kept)
    assert desk.daemon.noise == []


async def test_g12_a_mail_that_is_being_kept_hears_250_before_the_line_is_closed(both: Any, tmp_path: Path) -> None:
    """SIGTERM comes between its last line and the commit, which another writer holds up for a moment."""
    import signal
    import sqlite3

    desk = Desk(both, tmp_path, "held")
    with desk.daemon:
        await asyncio.to_thread(wait_for_port, desk.port)
        client = await connected(desk.port)
        await client.begin(MEI, [desk.firm.desk])
        holder = sqlite3.connect(tmp_path / "intake.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        client.write(desk.mail("held"))
        await client.writer.drain()
        await asyncio.sleep(0.3)
        desk.daemon.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        holder.execute("COMMIT")
        holder.close()
        answer = await client.answer()
        with pytest.raises(EOFError):
            await client.answer()
        client.close()
        code = await asyncio.to_thread(desk.daemon.wait_end)

    assert (answer[:3], code) == ("250", 0)
    assert desk.taken() == 1
    assert desk.daemon.noise == []


# ---- behind a real Postfix


def sign_in_and_send(firm: Firm, sender: str, recipient: str, raw: bytes, *, login: str = "") -> None:
    """As an agent's mail client does: signed in at the firm's own server. The envelope says nothing about him."""
    with smtplib.SMTP("127.0.0.1", firm.postfix.port, timeout=30) as smtp:
        smtp.login(login or sender, PASSWORD)
        smtp.sendmail("bounces@unknown.example", [recipient], raw)


@pytest.fixture(scope="module")
def circle(both: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk at a socket, and an agent whom nothing proves but having signed in."""
    desk = Desk(both, tmp_path_factory.mktemp("circle"), "circle", chen='evidence = ["lmtp-authenticated"]')
    with desk.daemon:
        yield desk
        desk.daemon.stop()
    assert desk.daemon.noise == []


def asked(desk: Desk, subject: str) -> EmailMessage:
    """A customer writes; the mail that his agent gets."""
    desk.firm.send(ANNA, desk.firm.desk, desk.mail(subject, ANNA))
    return desk.firm.box(desk.firm.chen).wait_for(lambda m: subject in str(m["Subject"]))


def test_the_whole_circle_through_the_door(circle: Desk) -> None:
    firm = circle.firm
    before = time.monotonic()
    mail = asked(circle, "by push")
    took = time.monotonic() - before
    reply = REPLIES["outlook"](mail, "陳怡君", firm.chen, "您好，可以。")
    sign_in_and_send(firm, firm.chen, answer_address(mail), reply)
    answer = firm.box(ANNA).wait_for(lambda m: is_answer(m) and "by push" in str(m["Subject"]))
    again = REPLIES["gmail"](answer, "王美玲", ANNA, "謝謝您。")
    firm.send(ANNA, firm.desk, again)
    update = firm.box(firm.chen).wait_for(lambda m: "謝謝您。" in plain(m))
    circle.daemon.settle()

    assert took < 3.0  # the mailbox alone would wait half a second for IDLE
    assert "+ikt" in answer_address(mail)
    assert plain(answer).startswith("您好，可以。")
    assert "by push" in str(update["Subject"])
    assert circle.tickets().count("by push") == 1
    assert firm.box(firm.desk).mails() == []  # nothing went to the mailbox


@pytest.mark.parametrize("how", ["nobody", "a colleague", "his HELO says so"])
def test_g8_a_reply_by_somebody_who_did_not_sign_in_as_him_is_held(circle: Desk, how: str) -> None:
    firm = circle.firm
    mail = asked(circle, f"forged by {how}")
    reply = REPLIES["gmail"](mail, "陳怡君", firm.chen, "請匯款到新帳戶。")
    forged = (
        f"Received: from pc (pc [10.0.0.7])\r\n\t(Authenticated sender: {firm.chen})\r\n"
        f"\tby mail.firm.example (Postfix) with ESMTPSA id 4A1; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    ).encode() + reply
    began = len(circle.daemon.lines)
    if how == "a colleague":
        sign_in_and_send(firm, firm.chen, answer_address(mail), forged, login=firm.lin)
    elif how == "nobody":
        firm.send(firm.chen, answer_address(mail), forged)
    else:
        hello = f"pc (Authenticated sender: {firm.chen}) with ESMTPSA"
        with smtplib.SMTP("127.0.0.1", firm.postfix.port, local_hostname=hello, timeout=30) as smtp:
            smtp.sendmail(firm.chen, [answer_address(mail)], forged)
    held = circle.daemon.wait_for("reply_held", since=began)
    circle.daemon.settle()

    assert held["why"] == "no_evidence"
    assert firm.box(ANNA).all(lambda m: "匯款" in plain(m)) == []


def test_g10_a_full_store_lets_the_mail_wait_in_postfixs_queue(both: Any, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        [program("mount"), "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        _full(Desk(both, disk, "full"), disk / "filler")
    finally:
        subprocess.run([program("umount"), "--lazy", str(disk)], check=True)


def _full(desk: Desk, filler: Path) -> None:
    firm = desk.firm
    with desk.daemon:
        firm.send(MEI, firm.desk, desk.mail("before"))
        desk.settle(1)
        _fill(filler)
        large = desk.mail("while it is full", words="請問？" + "資料" * 20_000)
        firm.send(MEI, firm.desk, large)
        refused = desk.daemon.wait_for("intake_refused")
        wait_until(lambda: "451 4.3.1" in firm.postfix.log, "Postfix hears that it must wait")
        waiting, kept = firm.postfix.queue(), desk.taken()
        filler.unlink()
        firm.postfix.flush()
        desk.settle(2)
        tickets = desk.tickets()
        desk.daemon.stop()

    assert "full" in refused["reason"]
    assert ('"queue_name": "deferred"' in waiting or '"queue_name": "active"' in waiting, kept) == (True, 1)
    assert tickets == ["before", "while it is full"]
    assert firm.box(MEI).all(lambda m: "mailer-daemon" in str(m["From"]).lower()) == []


def _fill(path: Path) -> None:
    """Until nothing more fits on its disk."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def test_a_shut_door_costs_time_and_nothing_else(both: Any, tmp_path: Path) -> None:
    """Mailbox and door in one channel: what comes by both is one mail, of customers and of agents."""
    desk = Desk(both, tmp_path, "both", imap="")
    firm = desk.firm
    firm.send(BO, firm.desk, desk.mail("while the daemon is down", BO))
    wait_until(lambda: "deferred" in firm.postfix.queue(), "it waits for the door")
    with desk.daemon:
        firm.postfix.flush()
        mail = firm.box(firm.chen).wait_for(lambda m: "while the daemon is down" in str(m["Subject"]))
        _by_mailbox_too(desk, 1)
        reply = REPLIES["thunderbird"](mail, "陳怡君", firm.chen, "好的。")
        firm.send(firm.chen, answer_address(mail), reply)
        firm.box(BO).wait_for(is_answer)
        _by_mailbox_too(desk, 2)
        desk.settle(4)
        outcomes = Counter(row["outcome"] for row in desk.daemon.rows("SELECT outcome FROM message"))
        answers = desk.daemon.rows("SELECT id FROM outbox WHERE purpose = 'answer'")
        acks = firm.box(BO).all(lambda m: is_automatic(m) and "while the daemon is down" in str(m["Subject"]))
        desk.daemon.stop()

    assert desk.tickets() == ["while the daemon is down"]
    assert (outcomes["copy"], len(answers), len(acks)) == (2, 1, 1)
    assert len(firm.box(firm.desk).mails()) == 2


def _by_mailbox_too(desk: Desk, count: int) -> None:
    """The newest mail that was handed over is delivered to the mailbox as well, as an alias to both does."""
    [newest] = desk.daemon.rows(
        "SELECT r.data FROM raw r JOIN message m ON m.id = r.message WHERE m.external_id LIKE 'lmtp;%' "
        "ORDER BY m.id DESC LIMIT 1"
    )
    desk.firm.dovecot.deliver(desk.firm.desk, newest["data"], BO)
    wait_until(lambda: desk.taken() >= 2 * count, f"{2 * count} taken\n{desk.daemon.story()}")


def test_a_mailbox_that_is_away_does_not_shut_the_door(both: Any, tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    desk = Desk(both, tmp_path, "away", imap="", imap_port=nobody)
    queue = desk.queue()
    queue.put(MEI, desk.firm.desk, desk.mail("by the door"))
    with desk.daemon, queue.running():
        desk.daemon.wait_for("loop_failed", loop="mail")
        queue.wait_until_empty()
        desk.settle(1)
        loops = _health(desk.firm.url)["loops"]
        desk.daemon.stop()

    assert desk.tickets() == ["by the door"]
    assert (loops["mail"]["ok"], loops["mail (door)"]["ok"]) == (False, True)
    assert loops["mail (door)"]["note"] == f"listening at 127.0.0.1:{desk.port}"


def _health(url: str) -> Any:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as unwell:
        with unwell:
            return json.load(unwell)


# ---- looked at


def test_check_says_whether_the_door_is_open(both: Any, tmp_path: Path) -> None:
    desk = Desk(both, tmp_path, "check")

    def check() -> str:
        done = subprocess.run(
            [sys.executable, "-m", "intake", "check", "--config", str(desk.firm.config)],
            cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        return " ".join((done.stdout + done.stderr).split())

    shut = check()
    with desk.daemon:
        wait_for_port(desk.port)
        is_open = check()
        desk.daemon.stop()

    place = f"lmtp 127.0.0.1:{desk.port}"
    assert f"{place} (open while the daemon runs)" in shut
    assert f"{place} (open)" in is_open
