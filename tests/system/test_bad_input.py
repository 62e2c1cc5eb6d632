"""Bad input and bad luck while the daemon runs: a clear word, nothing lost, and the others go on being served.

What keeps it from starting is in tests/intake/test_bad_start.py, hostile mail in test_hostile_mail.py.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path

import aiohttp
import pytest
from support.daemon import wait_until
from support.dovecot import Dovecot
from support.needs import needs, program
from support.ports import free_ports
from support.smtpscript import ScriptedSmtp
from support.start import SECRET, SITE, Desk, Firm, relay, serving

pytestmark = pytest.mark.system

SUPPORT = "support@firm.example"
QUARTER = 900.0  # seconds that a refused login waits: trying a wrong password again locks accounts


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    needs("dovecot", "openssl")
    with Dovecot({SUPPORT: "secret"}) as server:
        yield server


@pytest.fixture
def sink() -> Iterator[ScriptedSmtp]:
    with relay() as server:
        yield server


def mail(name: str, sender: str = "mei@customer.example", head: str = "") -> bytes:
    return (
        f"{head}From: {sender}\r\nTo: {SUPPORT}\r\nSubject: {name}\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{name}@customer.example>\r\n\r\nhello\r\n"
    ).encode()


def subjects(desk: Desk) -> list[str]:
    return sorted(row["subject"] for row in desk.rows("SELECT subject FROM ticket WHERE medium = 'email'"))


def chat_and_telephone_are_served(desk: Desk) -> None:
    """A visitor's line is kept, a call is taken, and both have become tickets."""
    desk.decided(0)
    before = len(desk.rows("SELECT id FROM ticket WHERE medium IN ('chat', 'phone')"))

    assert desk.chat("在嗎")["type"] == "ack"
    assert desk.ring(f"another-{before}").status == 200
    wait_until(
        lambda: len(desk.rows("SELECT id FROM ticket WHERE medium IN ('chat', 'phone')")) >= before + 2,
        f"two more tickets\n{desk.story()}",
    )


def well(desk: Desk) -> list[str]:
    """The loops that are well."""
    return [name for name, loop in desk.health()["loops"].items() if loop["ok"]]


# ---- servers that are not there, or know us not


def test_a_wrong_imap_password_is_said_once_and_tried_again_after_a_quarter_of_an_hour(
    dovecot: Dovecot, sink: ScriptedSmtp, tmp_path: Path
) -> None:
    dovecot.append(SUPPORT, [mail("waits")])
    firm = Firm(tmp_path, imap_port=dovecot.imap_port, smtp_port=sink.port, password="not-the-one")
    words = f"127.0.0.1:{dovecot.imap_port} refused the login of {SUPPORT}: [AUTHENTICATIONFAILED]"

    with serving(firm) as desk:
        failed = desk.wait_for("loop_failed")
        health = desk.get("/healthz")

        assert failed["loop"] == "support-mail"
        assert failed["error"].startswith(words)
        assert failed["again_in_s"] == QUARTER
        assert health.status == 503
        assert desk.health()["loops"]["support-mail"]["note"].startswith(f"tries again in 900 s: {words}")
        assert [name for name in desk.health()["loops"] if name not in well(desk)] == ["support-mail"]
        chat_and_telephone_are_served(desk)
        assert "not-the-one" not in desk.story(10_000)
        desk.stop()

    firm.password = "secret"
    with serving(firm) as desk:
        desk.wait_for("ticket_opened", medium="email")
        assert subjects(desk) == ["waits"]
        assert desk.get("/healthz").status == 200


def test_a_wrong_smtp_password_rests_the_way_out_and_loses_nothing(dovecot: Dovecot, tmp_path: Path) -> None:
    with relay(passwords={SUPPORT: "the-one"}) as sink:
        firm = Firm(tmp_path, imap_port=dovecot.imap_port, smtp_port=sink.port, smtp_password="not-the-one")
        firm.limits = 'retries = ["100ms"]'
        with serving(firm) as desk:
            dovecot.append(SUPPORT, [mail("first"), mail("second"), mail("third")])
            delayed = desk.wait_for("delivery_delayed")
            desk.decided(3)
            tried = wait_until(lambda: sink.at_once == 0 and sink.connections, "the attempts are over")

            assert "535" in delayed["error"]
            [away] = desk.said("channel_away", level="warning")
            assert away["channel"] == "support-mail"
            assert away["error"].endswith("535 5.7.8 wrong password")
            assert desk.get("/healthz").status == 503
            told = desk.health()["loops"]["support-mail (sending)"]["note"]
            assert told.startswith(f"nothing can be sent: 127.0.0.1:{sink.port} refused the login of {SUPPORT}: 535 ")
            chat_and_telephone_are_served(desk)
            assert sink.connections == tried <= 6  # those that were on their way; of all that comes later none
            assert "not-the-one" not in desk.story(10_000)
            desk.stop()

        firm.smtp_password = "the-one"
        with serving(firm) as desk:
            desk.settle()
            assert desk.get("/healthz").status == 200
            assert desk.rows("SELECT DISTINCT state FROM outbox WHERE channel = 'support-mail'") == [
                {"state": "delivered"}
            ]


def test_closed_ports_are_tried_again_until_they_open(tmp_path: Path) -> None:
    needs("dovecot", "openssl")
    late = Dovecot({SUPPORT: "secret"})
    (smtp_port,) = free_ports(1)
    firm = Firm(tmp_path, imap_port=late.imap_port, smtp_port=smtp_port, limits='retries = ["100ms"]')

    with serving(firm) as desk:
        failed = desk.wait_for("loop_failed", loop="support-mail")
        assert f"127.0.0.1:{late.imap_port}" in failed["error"]
        assert "Connect call failed" in failed["error"]
        chat_and_telephone_are_served(desk)
        assert f"127.0.0.1:{smtp_port}" in desk.wait_for("delivery_delayed")["error"]

        with late:
            late.append(SUPPORT, [mail("after all")])
            desk.wait_for("ticket_opened", medium="email")
            assert subjects(desk) == ["after all"]
        desk.stop()

    with relay() as sink:
        firm.smtp_port = sink.port
        with serving(firm) as desk:
            wait_until(lambda: not desk.rows("SELECT id FROM outbox WHERE state = 'pending'"), "everything has left")


# ---- the store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB of its own."""
    needs("root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        [program("mount"), "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run([program("umount"), "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take the last octet that is free: the file that holds them."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 512, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def test_g10_on_a_full_disk_everybody_is_told_to_wait_and_all_is_well_once_there_is_room(
    dovecot: Dovecot, sink: ScriptedSmtp, small_disk: Path
) -> None:
    firm = Firm(small_disk, imap_port=dovecot.imap_port, smtp_port=sink.port)
    with serving(firm) as desk:
        dovecot.append(SUPPORT, [mail("before")])
        desk.wait_for("ticket_opened")
        desk.settle()
        filler = fill(small_disk)

        ringing = desk.ring("call-full")
        line = desk.chat("在嗎", "line-full-1")
        dovecot.append(SUPPORT, [mail("meanwhile"), mail("meanwhile too")])
        refused = desk.wait_for("intake_refused")
        wait_until(lambda: "support-mail" not in well(desk), "the mailbox is left alone")
        health = desk.health()

        assert (ringing.status, ringing.headers.get("Retry-After")) == (503, "5")
        assert ringing.error == "The event could not be stored; send it again."
        assert (line["type"], line["id"]) == ("busy", "line-full-1")
        assert "full" in refused["reason"]
        assert (health["ok"], health["refusing"]) == (False, refused["reason"])
        assert len(dovecot.seen(SUPPORT)) == 1
        assert [
            row["external_id"] for row in desk.rows("SELECT external_id FROM message WHERE medium <> 'email'")
        ] == []

        filler.unlink()
        wait_until(lambda: subjects(desk) == ["before", "meanwhile", "meanwhile too"], f"mail comes in\n{desk.story()}")
        assert desk.chat("在嗎", "line-full-1")["type"] == "ack"
        assert desk.ring("call-full").status == 200
        wait_until(lambda: desk.get("/healthz").status == 200, f"all is well again: {desk.health()}")
        assert desk.lives
        assert len(dovecot.seen(SUPPORT)) == 3
        desk.stop()


def test_g10_the_gate_closes_before_the_disk_is_full(dovecot: Dovecot, sink: ScriptedSmtp, tmp_path: Path) -> None:
    """More free space is asked for than any disk has: what is here may be finished, nothing new comes in."""
    firm = Firm(tmp_path, imap_port=dovecot.imap_port, smtp_port=sink.port, free_space="1000000GiB", free_share=0.999)
    dovecot.append(SUPPORT, [mail("waits")])

    with serving(firm) as desk:
        ringing, line = desk.ring("call-1"), desk.chat("在嗎")
        refused = desk.wait_for("intake_refused")
        wait_until(lambda: "support-mail" not in well(desk), "the mailbox is left alone")

        assert (ringing.status, line["type"]) == (503, "busy")
        assert f"MiB free on {tmp_path}, " in refused["reason"]
        assert refused["reason"].endswith("MiB wanted: make room")
        assert desk.health()["refusing"] == refused["reason"]
        assert dovecot.seen(SUPPORT) == []
        assert len(desk.said("intake_refused")) == 1  # however often it is asked
        desk.stop()


def test_a_store_that_another_program_holds_is_waited_for(dovecot: Dovecot, sink: ScriptedSmtp, tmp_path: Path) -> None:
    firm = Firm(tmp_path, imap_port=dovecot.imap_port, smtp_port=sink.port)
    with serving(firm) as desk:
        with closing(sqlite3.connect(firm.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            dovecot.append(SUPPORT, [mail("waits")])
            ringing = desk.ring("call-1")
            failed = desk.wait_for("loop_failed")
            health = desk.get("/healthz")
            other.execute("ROLLBACK")

        assert (ringing.status, ringing.headers.get("Retry-After")) == (503, "5")
        assert failed["error"] == "the store is not there: database is locked"
        assert (health.status, dovecot.seen(SUPPORT)) == (503, [])
        wait_until(lambda: subjects(desk) == ["waits"], f"mail comes in\n{desk.story()}")
        chat_and_telephone_are_served(desk)
        wait_until(lambda: desk.get("/healthz").status == 200, f"all is well again: {desk.health()}")
        desk.stop()


def test_a_damaged_store_takes_nothing_in_and_says_so_until_its_copy_is_put_back(
    dovecot: Dovecot, sink: ScriptedSmtp, tmp_path: Path
) -> None:
    firm = Firm(tmp_path, imap_port=dovecot.imap_port, smtp_port=sink.port)
    with serving(firm) as desk:
        assert desk.ring("call-1").status == 200
        desk.decided(1)
        [page] = desk.rows("SELECT rootpage FROM sqlite_master WHERE name = 'message'")
        desk.stop()
    whole = firm.database.read_bytes()
    start = (page["rootpage"] - 1) * 4096
    firm.database.write_bytes(whole[:start] + b"\xff" * 4096 + whole[start + 4096 :])

    with serving(firm) as desk:
        dovecot.append(SUPPORT, [mail("waits")])
        ringing, line = desk.ring("call-2"), desk.chat("在嗎")
        refused = desk.wait_for("intake_refused")
        assert (ringing.status, line["type"]) == (503, "busy")
        assert refused["reason"] == "database disk image is malformed"
        assert desk.health()["refusing"] == refused["reason"]
        assert [line for line in desk.lines if "exception" in line] == []
        assert dovecot.seen(SUPPORT) == []
        desk.kill()

    for beside in firm.folder.glob("intake.db-*"):
        beside.unlink()
    firm.database.write_bytes(whole)
    with serving(firm) as desk:
        desk.wait_for("ticket_opened", medium="email")
        assert subjects(desk) == ["waits"]
        chat_and_telephone_are_served(desk)


# ---- strangers


@pytest.fixture(scope="module")
def open_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Dovecot, ScriptedSmtp]]:
    """One daemon for those who try to get in."""
    needs("dovecot", "openssl")
    with Dovecot({SUPPORT: "secret"}) as dovecot, relay() as sink:
        firm = Firm(tmp_path_factory.mktemp("open"), imap_port=dovecot.imap_port, smtp_port=sink.port)
        with serving(firm) as desk:
            yield desk, dovecot, sink


def test_a_webhook_with_a_wrong_secret_is_no_path_at_all(open_desk: tuple[Desk, Dovecot, ScriptedSmtp]) -> None:
    desk = open_desk[0]
    wrong = SECRET[:-1] + "H"
    before = desk.rows("SELECT count(*) AS n FROM message")

    forged, nowhere = desk.ring("call-forged", secret=wrong), desk.post("/nowhere", b"{}")

    assert (forged.status, forged.body) == (nowhere.status, nowhere.body)
    assert (forged.status, forged.error) == (404, "There is nothing here.")
    assert desk.rows("SELECT count(*) AS n FROM message") == before
    assert desk.ring("call-true").status == 200
    assert wrong not in desk.story(10_000)
    assert SECRET not in desk.story(10_000)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"event": "newCall"}', 400), (b"\xff\xfe", 400), (b" " * 100_000, 413)],
    ids=["half a body", "a list", "no call", "no text", "100 KB"],
)
def test_a_webhook_that_says_nothing_sensible_is_refused_with_a_sentence(
    body: bytes, status: int, open_desk: tuple[Desk, Dovecot, ScriptedSmtp]
) -> None:
    desk = open_desk[0]

    answer = desk.post(f"/phone/{SECRET}", body)

    assert answer.status == status
    assert answer.error.endswith(".")
    chat_and_telephone_are_served(desk)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 1007),
        ("[]", 1007),
        ('{"type": "obey"}', 1008),
        (b"\x00\x01", 1003),
        ('{"type": "hello", "token": 7}', 1007),
        ('{"type": "hello", "token": "' + "x" * 20_000 + '"}', 1009),
    ],
    ids=["half a frame", "a list", "no hello", "octets", "a number for a token", "20 KB"],
)
def test_a_chat_frame_that_says_nothing_sensible_closes_that_socket_alone(
    frame: str | bytes, code: int, open_desk: tuple[Desk, Dovecot, ScriptedSmtp]
) -> None:
    desk = open_desk[0]

    assert asyncio.run(_close_code(desk, frame)) == code
    assert desk.chat("在嗎")["type"] == "ack"


async def _close_code(desk: Desk, frame: str | bytes) -> int | None:
    where = f"http://127.0.0.1:{desk.firm.http_port}/chat/ws"
    async with aiohttp.ClientSession() as browser, browser.ws_connect(where, headers={"Origin": SITE}) as page:
        await (page.send_str(frame) if isinstance(frame, str) else page.send_bytes(frame))
        async with asyncio.timeout(10):
            await page.receive()
        return page.close_code


def test_a_foreign_site_may_not_open_the_chat(open_desk: tuple[Desk, Dovecot, ScriptedSmtp]) -> None:
    desk = open_desk[0]

    async def refused() -> int:
        where = f"http://127.0.0.1:{desk.firm.http_port}/chat/ws"
        async with aiohttp.ClientSession() as browser:
            try:
                async with browser.ws_connect(where, headers={"Origin": "https://evil.example"}):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    assert asyncio.run(refused()) == 403
    assert desk.chat("在嗎")["type"] == "ack"


BORDER = "Received: from out.example by mail.firm.example; Mon, 23 Nov 2026 10:05:01 +0000\r\n"
PASS = "dmarc=pass header.from=firm.example\r\n"
#: How a forged mail begins: what a sender may have written is not above the border's line, or has not its name.
FORGED = {
    "no word": BORDER,
    "the word of a stranger": f"Authentication-Results: mail.evil.example; {PASS}{BORDER}",
    "a word of its own below the border": f"{BORDER}Authentication-Results: mail.firm.example; {PASS}",
}
TRUE = f"Authentication-Results: mail.firm.example; {PASS}{BORDER}"


def replied(name: str, head: str, open_desk: tuple[Desk, Dovecot, ScriptedSmtp]) -> tuple[int, int, str]:
    """A customer writes, and his agent's mail is answered: (ticket, message, agent).

    The answer has the right token and refers to the right mail; only who wrote it is in doubt.
    """
    desk, dovecot, sink = open_desk
    dovecot.append(SUPPORT, [mail(name, f"{name}@customer.example")])
    opened = desk.wait_for("ticket_opened", customer=_customer(desk, f"{name}@customer.example"))
    assignment = _assignment(desk, sink, opened["ticket"])
    agent = str(assignment["To"].addresses[0].addr_spec)
    reply = (
        f"{head}From: {agent}\r\nTo: {assignment['Reply-To']}\r\nSubject: Re: {name}\r\n"
        f"Message-ID: <reply-{name}@firm.example>\r\nIn-Reply-To: {assignment['Message-ID']}\r\n"
        f"Date: Mon, 23 Nov 2026 10:05:00 +0000\r\n\r\nPlease pay to our new account.\r\n"
    ).encode()
    dovecot.append(SUPPORT, [reply])
    return opened["ticket"], _message(desk, f"Re: {name}"), agent.partition("@")[0]


def received(name: str, sink: ScriptedSmtp) -> list[bytes]:
    """What reached the customer."""
    return [m.octets for m in list(sink.mails) if m.rcpt_to == f"{name}@customer.example"]


def words(octets: bytes) -> str:
    """The plain words of a mail, decoded."""
    part = email.message_from_bytes(octets, policy=email.policy.default).get_body(("plain",))
    return str(part.get_content()) if part is not None else ""


@pytest.mark.parametrize("how", FORGED)
def test_g8_a_forged_reply_of_an_agent_is_held_and_the_agent_told(
    how: str, open_desk: tuple[Desk, Dovecot, ScriptedSmtp]
) -> None:
    desk, _, sink = open_desk
    name = f"forged{list(FORGED).index(how)}"

    ticket, message, agent = replied(name, FORGED[how], open_desk)
    held = desk.wait_for("reply_held", message=message)
    desk.settle()

    told = desk.rows("SELECT agent, recipe FROM outbox WHERE purpose = 'told' AND source = ?", message)
    assert (held["why"], held["agent"]) == ("no_evidence", agent)
    assert desk.rows("SELECT id FROM outbox WHERE purpose = 'answer' AND source = ?", message) == []
    assert not any("new account" in words(octets) for octets in received(name, sink))
    assert [row["agent"] for row in told] == [agent]
    assert '"no_evidence"' in told[0]["recipe"]
    assert desk.rows("SELECT answered_at FROM target WHERE ticket = ?", ticket) == [{"answered_at": None}]
    chat_and_telephone_are_served(desk)


def test_the_same_reply_reaches_the_customer_when_the_border_vouches_for_it(
    open_desk: tuple[Desk, Dovecot, ScriptedSmtp],
) -> None:
    """So that the forged ones are held for what they are."""
    ticket, message, agent = replied("true", TRUE, open_desk)
    stamped = open_desk[0].wait_for("first_response_recorded", message=message)

    assert (stamped["ticket"], stamped["agent"]) == (ticket, agent)
    assert any("new account" in words(octets) for octets in received("true", open_desk[2]))


def _customer(desk: Desk, address: str) -> int:
    found = wait_until(
        lambda: desk.rows("SELECT customer FROM contact WHERE address = ?", f"mailto:{address}"), f"{address} is known"
    )
    return int(found[0]["customer"])


def _message(desk: Desk, subject: str) -> int:
    """The message whose raw bytes have this subject."""
    found = wait_until(
        lambda: desk.rows("SELECT message FROM raw WHERE instr(data, ?) > 0", f"Subject: {subject}\r\n".encode()),
        f"{subject} has arrived",
    )
    return int(found[0]["message"])


def _assignment(desk: Desk, sink: ScriptedSmtp, ticket: int) -> EmailMessage:
    """The mail that brought a ticket to its agent."""

    def look() -> EmailMessage | None:
        for sent in list(sink.mails):
            found = email.message_from_bytes(sent.octets, policy=email.policy.default)
            if f"[#{ticket}]" in found["Subject"] and found["Reply-To"]:
                return found  # type: ignore[return-value]
        return None

    found = wait_until(look, f"the assignment of {ticket}\n{desk.story()}")
    assert found is not None
    return found
