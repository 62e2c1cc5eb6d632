"""Mail in and out against a real Dovecot and a real Postfix, with the faults that real lines have."""

from __future__ import annotations

import asyncio
import random
import smtplib
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.dovecot import Dovecot
from support.faultproxy import FaultProxy
from support.mailbox import Ledger, imap_settings, mail_settings, running, secret_file, tools_for
from support.needs import needs
from support.postfix import Postfix

from channels.adapter import CheckState, DeliveryState, LoginRefused, OutboundMessage, TemporaryFailure
from channels.imap import ImapReceiver
from channels.imap_position import HEAD
from channels.mail import build
from channels.message import Address, Scheme
from channels.settings import SmtpSettings
from channels.smtp import SmtpSender

pytestmark = pytest.mark.system

DESK = "desk@firm.example"
USERS = {DESK: "secret", "chen@firm.example": "secret", "wang@customer.example": "secret"}
QUICK = {"idle_renew_every": timedelta(milliseconds=300), "command_timeout": timedelta(seconds=1)}


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    needs("dovecot", "openssl")
    with Dovecot(USERS) as server:
        yield server


@pytest.fixture
def postfix(dovecot: Dovecot) -> Iterator[Postfix]:
    needs("root", "postfix")
    with Postfix(dovecot, verified={"chen@firm.example"}, catch_all={"reply.firm.example": DESK}) as server:
        yield server


def reader(port: int, ledger: Ledger, folder: Path, **changes: Any) -> ImapReceiver:
    return ImapReceiver("mail", imap_settings(folder, port, **changes), tools_for(ledger))


def some_mails(count: int) -> list[bytes]:
    """Mails of many shapes: from a line to a megabyte, 8-bit octets, parentheses, braces, dots, IMAP's words."""
    dice = random.Random(42)
    traps = [
        b")",
        b"(",
        b"{12}",
        b"A1 OK done",
        b"* 3 EXISTS",
        b"* BYE",
        b"+ go",
        b".",
        b"..",
        b'\\"',
        b"\xb4\xfa\xa6\xa1",
    ]
    mails = []
    for number in range(count):
        words = [dice.choice(traps) + b" " + dice.randbytes(dice.randrange(30)).hex().encode() for _ in range(20)]
        if number % 100 == 7:
            words.append(b"x" * 70 + b"\r\n" * 3 + b"y" * dice.randrange(1_000_000))
        mails.append(b"Subject: mail %d\r\n\r\n" % number + b"\r\n".join(words) + b"\r\n")
    return mails


async def off_loop(function: Any, *arguments: Any) -> Any:
    """The servers' helpers block: not in our loop."""
    return await asyncio.to_thread(function, *arguments)


async def test_1500_mails_arrive_as_the_servers_fetch_gives_them_and_once(dovecot: Dovecot, tmp_path: Path) -> None:
    await off_loop(dovecot.append, DESK, some_mails(1500))
    ledger = Ledger()
    async with running(reader(dovecot.imap_port, ledger, tmp_path), ledger.accept):
        await ledger.holds(1500, seconds=60)
        await ledger.waits()
    offered = sum(len(call) for call in ledger.calls)
    async with running(reader(dovecot.imap_port, ledger, tmp_path), ledger.accept):
        await asyncio.sleep(0.2)

    given = await off_loop(dovecot.fetch_all, DESK)
    assert ledger.raw == [given[uid] for uid in sorted(given)]
    assert (offered, sum(len(call) for call in ledger.calls)) == (1500, 1500)
    assert await off_loop(dovecot.seen, DESK) == sorted(given)


async def test_a_delivered_mail_wakes_the_reader_from_idle(dovecot: Dovecot, tmp_path: Path) -> None:
    ledger = Ledger()
    async with running(reader(dovecot.imap_port, ledger, tmp_path, since="now"), ledger.accept):
        await ledger.waits()
        began = time.monotonic()
        await off_loop(dovecot.deliver, DESK, b"Subject: new\r\n\r\nhello\r\n")
        await ledger.holds(1, seconds=10)

    assert time.monotonic() - began < 5  # Dovecot itself waits half a second


async def test_a_server_restarted_in_mid_fetch_loses_nothing_and_doubles_nothing(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    await off_loop(dovecot.append, DESK, some_mails(600))
    ledger = Ledger()
    ledger.delay = 0.05
    async with running(reader(dovecot.imap_port, ledger, tmp_path), ledger.accept) as task:
        await ledger.holds(100)
        await off_loop(dovecot.kill)
        with pytest.raises(TemporaryFailure):
            await asyncio.wait_for(task, 10)
    accepted = len(ledger.arrivals)
    assert 100 <= accepted < 600
    await off_loop(dovecot.start)
    async with running(reader(dovecot.imap_port, ledger, tmp_path), ledger.accept):
        await ledger.holds(600)

    given = await off_loop(dovecot.fetch_all, DESK)
    assert ledger.raw == [given[uid] for uid in sorted(given)]


async def test_bye_in_idle_is_noticed_at_once(dovecot: Dovecot, tmp_path: Path) -> None:
    ledger = Ledger()
    async with running(reader(dovecot.imap_port, ledger, tmp_path), ledger.accept) as task:
        await ledger.waits()
        await asyncio.sleep(0.1)
        await off_loop(dovecot.stop)

        with pytest.raises(TemporaryFailure):
            await asyncio.wait_for(task, 2)


async def test_a_silently_dead_idle_is_found_when_it_is_renewed(dovecot: Dovecot, tmp_path: Path) -> None:
    ledger = Ledger()
    async with (
        FaultProxy(("127.0.0.1", dovecot.imap_port)) as proxy,
        running(reader(proxy.port, ledger, tmp_path, **QUICK), ledger.accept) as task,
    ):
        await ledger.waits()
        proxy.stall()

        with pytest.raises(TemporaryFailure, match=r"no answer within 1 s|did not begin"):
            await asyncio.wait_for(task, 5)


async def test_a_line_that_breaks_within_a_mail_only_delays_it(dovecot: Dovecot, tmp_path: Path) -> None:
    mails = some_mails(120)
    await off_loop(dovecot.append, DESK, mails)
    ledger = Ledger()
    async with FaultProxy(("127.0.0.1", dovecot.imap_port)) as proxy:
        receiver = reader(proxy.port, ledger, tmp_path)
        proxy.cut_after = 60_000
        failures = 0
        while len(ledger.arrivals) < 120 and failures < 40:
            async with running(receiver, ledger.accept) as task:
                waiting = asyncio.ensure_future(ledger.holds(120))
                await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if task.done():
                    failures += 1
                    proxy.cut_after = 60_000 * (1 + failures)
                    assert isinstance(task.exception(), TemporaryFailure)

    given = await off_loop(dovecot.fetch_all, DESK)
    assert failures > 0
    assert ledger.raw == [given[uid] for uid in sorted(given)]


async def test_a_new_uidvalidity_reads_again_what_is_recent_and_loses_nothing(dovecot: Dovecot, tmp_path: Path) -> None:
    await off_loop(dovecot.append, DESK, [b"Subject: old\r\n\r\n1\r\n"], "INBOX", '"01-Jan-2020 12:00:00 +0000"')
    await off_loop(dovecot.append, DESK, [b"Subject: recent\r\n\r\n2\r\n"])
    ledger = Ledger()
    async with running(reader(dovecot.imap_port, ledger, tmp_path), ledger.accept):
        await ledger.waits()
    await off_loop(dovecot.append, DESK, [b"Subject: while away\r\n\r\n3\r\n"])
    await off_loop(dovecot.stop)
    dovecot.renumber(DESK)
    await off_loop(dovecot.start)
    async with running(reader(dovecot.imap_port, ledger, tmp_path), ledger.accept):
        await ledger.holds(4)
        await asyncio.sleep(0.2)
        await off_loop(dovecot.append, DESK, [b"Subject: after\r\n\r\n4\r\n"])
        await ledger.holds(5)

    subjects = [raw.split(b"\r\n")[0].removeprefix(b"Subject: ").decode() for raw in ledger.raw]
    assert (subjects[:2], sorted(subjects[2:])) == (["old", "recent"], ["after", "recent", "while away"])


async def test_a_40_mb_mail_arrives_as_its_head_and_stays_where_it_is(dovecot: Dovecot, tmp_path: Path) -> None:
    large = b"Subject: large\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * (40_000_000 // 72)
    await off_loop(dovecot.append, DESK, [b"Subject: a\r\n\r\n\r\n", large, b"Subject: b\r\n\r\n\r\n"])
    ledger = Ledger()
    async with running(reader(dovecot.imap_port, ledger, tmp_path), ledger.accept):
        await ledger.holds(3)

    arrival = list(ledger.arrivals.values())[1]
    assert (arrival.raw, arrival.envelope.is_truncated, arrival.envelope.source_size) == (
        large[:HEAD],
        True,
        len(large),
    )
    assert len((await off_loop(dovecot.fetch_all, DESK))[2]) == len(large)


async def test_a_wrong_password_is_no_ordinary_failure(dovecot: Dovecot, tmp_path: Path) -> None:
    ledger = Ledger()
    wrong = {"password": {"file": str(secret_file(tmp_path, "wrong"))}}

    with pytest.raises(LoginRefused):
        await reader(dovecot.imap_port, ledger, tmp_path, **wrong).receive(ledger.accept)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_tls_with_our_own_authority_and_refusal_without(security: str, dovecot: Dovecot, tmp_path: Path) -> None:
    assert dovecot.certificates is not None
    await off_loop(dovecot.append, DESK, [b"Subject: a\r\n\r\n\r\n"])
    port = dovecot.imaps_port if security == "tls" else dovecot.imap_port
    ledger = Ledger()
    secure = {"security": security, "host": "localhost"}
    with pytest.raises(TemporaryFailure, match="certificate"):
        await reader(port, ledger, tmp_path, **secure).receive(ledger.accept)
    trusted = secure | {"ca_file": str(dovecot.certificates.authority)}
    async with running(reader(port, ledger, tmp_path, **trusted), ledger.accept):
        await ledger.holds(1)


def mail_to(recipient: str, subject: str, sender: str = DESK) -> OutboundMessage:
    fixed = "Date: Mon, 23 Nov 2026 09:00:00 +0800\r\nMessage-ID: <1@firm.example>\r\n"
    body = f"From: {DESK}\r\nTo: {recipient}\r\n{fixed}Subject: {subject}\r\n\r\n.a line\r\n".encode()
    address = Address(scheme=Scheme.MAIL, value=recipient)
    return OutboundMessage(id=1, recipient=address, body=body, envelope_from=sender)


async def arrived(dovecot: Dovecot, user: str, count: int = 1) -> list[bytes]:
    async with asyncio.timeout(15):
        while len(found := await off_loop(dovecot.fetch_all, user)) < count:
            await asyncio.sleep(0.05)
    return list(found.values())


async def test_a_mail_goes_out_through_postfix_into_the_customers_mailbox(dovecot: Dovecot, postfix: Postfix) -> None:
    assert dovecot.certificates is not None
    settings = SmtpSettings.model_validate(
        {
            "host": "localhost",
            "port": postfix.port,
            "security": "starttls",
            "ca_file": str(dovecot.certificates.authority),
        }
    )
    sender = SmtpSender(settings, desk=DESK)
    first = await sender.send(mail_to("wang@customer.example", "one"))
    second = await sender.send(mail_to("wang@customer.example", "two", sender=""))
    await sender.close()

    assert (first.state, second.state) == (DeliveryState.DELIVERED, DeliveryState.DELIVERED)
    assert "queued" in first.remote_id
    # Two mails of two submissions may overtake each other in Postfix.
    one, two = sorted(await arrived(dovecot, "wang@customer.example", 2), key=lambda mail: b"Subject: two" in mail)
    assert one.endswith(b"Subject: one\r\n\r\n.a line\r\n")
    assert two.startswith(b"Return-Path: <>\r\n")
    async with asyncio.timeout(5):
        while "starttls=1 mail=2 rcpt=2 data=2 quit=1" not in postfix.log:
            await asyncio.sleep(0.05)


FORGED = b"Authentication-Results: mail.firm.example; dmarc=pass header.from=firm.example"


@pytest.mark.parametrize(
    ("sender", "verdict"), [("chen@firm.example", b"dmarc=pass"), ("evil@elsewhere.example", b"dmarc=none")]
)
async def test_the_border_says_who_is_genuine_and_takes_out_what_others_say(
    sender: str, verdict: bytes, dovecot: Dovecot, postfix: Postfix
) -> None:
    raw = FORGED + b"\r\nFrom: chen@firm.example\r\nSubject: reply\r\n\r\n\r\n"
    with smtplib.SMTP("127.0.0.1", postfix.port) as smtp:
        smtp.sendmail(sender, ["desk+token@firm.example"], raw)

    (mail,) = await arrived(dovecot, DESK)
    found = [line for line in mail.split(b"\r\n") if line.startswith(b"Authentication-Results: mail.firm.example")]
    assert (len(found), verdict in found[0]) == (1, True)
    assert mail.index(found[0]) < mail.index(b"by mail.firm.example (Postfix)")


async def test_a_subdomain_reaches_the_desk_and_an_unknown_domain_bounces(dovecot: Dovecot, postfix: Postfix) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port) as smtp:
        smtp.sendmail(DESK, ["token@reply.firm.example"], b"Subject: by subdomain\r\n\r\n")
        smtp.sendmail(DESK, ["who@nowhere.example"], b"Subject: lost\r\n\r\n")

    mails = await arrived(dovecot, DESK, 2)
    assert any(b"Subject: by subdomain" in mail for mail in mails)
    assert any(b"report-type=delivery-status" in mail for mail in mails)


async def test_check_shows_one_line_when_all_is_well(dovecot: Dovecot, postfix: Postfix, tmp_path: Path) -> None:
    assert dovecot.certificates is not None
    await off_loop(dovecot.append, DESK, some_mails(3))
    secure = {"host": "localhost", "ca_file": str(dovecot.certificates.authority)}
    settings = mail_settings(
        tmp_path,
        {"port": dovecot.imaps_port, "security": "tls", **secure},
        {"port": postfix.port, "security": "starttls", **secure},
    )
    checker = build("support", settings, tools_for(Ledger())).checker
    assert checker is not None

    (line,) = await checker.check()

    expected = f"imap localhost:{dovecot.imaps_port} (TLS 1.3, IDLE, 3 new), smtp :{postfix.port}"
    assert (line.subject, line.name, line.found, line.state) == ("mail", "support", expected, CheckState.OK)


async def test_check_warns_of_a_folder_for_junk_that_is_not_there(
    dovecot: Dovecot, postfix: Postfix, tmp_path: Path
) -> None:
    plain = {"host": "127.0.0.1", "security": "none"}
    imap = {"port": dovecot.imap_port, **plain, "junk_folder": "Nowhere"}
    checker = build(
        "support", mail_settings(tmp_path, imap, {"port": postfix.port, **plain}), tools_for(Ledger())
    ).checker
    assert checker is not None

    (line, warning) = await checker.check()

    assert (line.state, warning.state) == (CheckState.OK, CheckState.WARNING)
    assert warning.found == 'junk_folder "Nowhere"'
    # The inbox is never proposed; what else there is, tests beside this one have made.
    assert warning.mend.startswith(("set imap.junk_folder to one of: ", "make the folder in the mailbox"))
    assert "INBOX" not in warning.mend


@pytest.mark.parametrize(
    ("imap", "mend"),
    [
        ({"folders": ("Inkasten",)}, "set imap.folders to some of: INBOX"),
        ({"security": "tls", "host": "localhost"}, 'set security = "starttls"'),
        ({"security": "starttls", "host": "localhost"}, "set ca_file"),
    ],
)
async def test_check_says_what_to_do(imap: dict[str, Any], mend: str, dovecot: Dovecot, tmp_path: Path) -> None:
    settings = mail_settings(tmp_path, {"port": dovecot.imap_port, **imap}, {"port": dovecot.imap_port})
    checker = build("support", settings, tools_for(Ledger())).checker
    assert checker is not None

    inward = (await checker.check())[0]

    assert (inward.state, mend in inward.mend) == (CheckState.BAD, True), inward
