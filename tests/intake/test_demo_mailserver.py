"""The playground's mail server: a border server for a handful of people, on this machine only."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiosmtplib
import pytest

from channels.imap_client import open_imap
from channels.settings import ImapSettings, Secret
from intake.demo import mailserver
from intake.demo.mailserver import MISSING, DemoMailServer, DemoUnavailable

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
USERS = {
    "support@firm.example": "desk-word",
    "chen@firm.example": "chen-word",
    "wang@customer.example": "wang-word",
}


@pytest.fixture
async def server() -> AsyncIterator[DemoMailServer]:
    running = DemoMailServer(USERS, 0, 0, now=lambda: NOON)
    await running.start()
    yield running
    await running.stop()


def mail(sender: str, subject: str = "hello", extra: str = "") -> bytes:
    return (
        f"From: Somebody <{sender}>\r\nTo: support@firm.example\r\nSubject: {subject}\r\n{extra}"
        f"Message-ID: <{subject}@test.example>\r\n\r\nwords\r\n.a dot\r\n"
    ).encode()


async def send(
    server: DemoMailServer, raw: bytes, *to: str, login: str = "", sender: str = "x@customer.example"
) -> None:
    client = aiosmtplib.SMTP(hostname=server.host, port=server.smtp_port, use_tls=False, start_tls=False, timeout=5)
    async with client:
        if login:
            await client.login(login, USERS[login])
        await client.sendmail(sender, list(to), raw)


async def read(server: DemoMailServer, user: str, tmp_path: Path) -> list[bytes]:
    """Every mail of a user's INBOX, over IMAP."""
    word = tmp_path / "word"
    word.write_text(USERS[user])
    settings = ImapSettings(
        host=server.host, port=server.imap_port, security="none", username=user, password=Secret(file=word)
    )
    imap = await open_imap(settings)
    try:
        await imap.select("INBOX")
        return [*(await imap.bodies(await imap.search("ALL") or [1])).values()]
    finally:
        imap.abort()


def fields(raw: bytes, name: str) -> list[str]:
    head = raw.partition(b"\r\n\r\n")[0].decode()
    return [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith(f"{name.lower()}: ")]


async def test_a_mail_arrives_octet_for_octet_under_what_the_server_writes(
    server: DemoMailServer, tmp_path: Path
) -> None:
    raw = mail("x@customer.example")

    await send(server, raw, "support@firm.example")

    (got,) = await read(server, "support@firm.example", tmp_path)
    assert got.endswith(raw)
    assert fields(got, "Delivered-To") == ["support@firm.example"]
    names = [line.partition(b":")[0] for line in got.removesuffix(raw).split(b"\r\n") if line[:1].isalpha()]
    # RFC 8601 §4.1: the verdict stands above the trace line of its hop.
    assert names == [b"Return-Path", b"Delivered-To", b"Authentication-Results", b"Received"]
    assert b"\tby mail.firm.example with ESMTP id " in got


@pytest.mark.parametrize(
    ("login", "sender", "expected"),
    [
        (
            "chen@firm.example",
            "chen@firm.example",
            "mail.firm.example; auth=pass smtp.auth=chen@firm.example; dmarc=pass header.from=firm.example",
        ),
        (
            "chen@firm.example",
            "lin@firm.example",
            "mail.firm.example; auth=pass smtp.auth=chen@firm.example; dmarc=fail header.from=firm.example",
        ),
        (
            "wang@customer.example",
            "chen@firm.example",
            "mail.firm.example; auth=pass smtp.auth=wang@customer.example; dmarc=fail header.from=firm.example",
        ),
        ("", "chen@firm.example", "mail.firm.example; dmarc=fail header.from=firm.example"),
        ("", "x@elsewhere.example", "mail.firm.example; dmarc=none header.from=elsewhere.example"),
    ],
)
async def test_the_verdict_says_who_logged_in_and_whether_from_is_his(
    server: DemoMailServer, tmp_path: Path, login: str, sender: str, expected: str
) -> None:
    await send(server, mail(sender), "support@firm.example", login=login)

    (got,) = await read(server, "support@firm.example", tmp_path)
    assert fields(got, "Authentication-Results") == [expected]


async def test_two_senders_in_from_are_never_a_pass(server: DemoMailServer, tmp_path: Path) -> None:
    raw = mail("chen@firm.example>, <evil@customer.example")

    await send(server, raw, "support@firm.example", login="chen@firm.example")

    (got,) = await read(server, "support@firm.example", tmp_path)
    assert "dmarc=fail" in fields(got, "Authentication-Results")[0]


async def test_a_forged_verdict_in_the_servers_name_is_removed_and_others_stay(
    server: DemoMailServer, tmp_path: Path
) -> None:
    forged = "Authentication-Results: mail.firm.example;\r\n\tdmarc=pass header.from=firm.example\r\n"
    folded = "AUTHENTICATION-RESULTS :\r\n  Mail.Firm.Example; auth=pass smtp.auth=chen@firm.example\r\n"
    other = "Authentication-Results: mx.elsewhere.example; spf=pass\r\n"

    await send(server, mail("chen@firm.example", extra=forged + folded + other), "support@firm.example")

    (got,) = await read(server, "support@firm.example", tmp_path)
    assert fields(got, "Authentication-Results") == [
        "mail.firm.example; dmarc=fail header.from=firm.example",
        "mx.elsewhere.example; spf=pass",
    ]
    assert b"auth=pass" not in got


async def test_a_plus_address_reaches_its_user_and_keeps_its_plus(server: DemoMailServer, tmp_path: Path) -> None:
    await send(server, mail("x@customer.example"), "support+TOKEN@firm.example", "Support@Firm.Example")

    (got,) = await read(server, "support@firm.example", tmp_path)
    assert fields(got, "Delivered-To") in (["support+TOKEN@firm.example"], ["Support@Firm.Example"])


async def test_who_is_not_here_is_refused_for_good(server: DemoMailServer) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(server, mail("x@customer.example"), "nobody@firm.example")

    assert refused.value.recipients[0].code == 550


@pytest.mark.parametrize("mechanism", ["auth_plain", "auth_login"])
async def test_a_wrong_password_is_answered(server: DemoMailServer, mechanism: str) -> None:
    client = aiosmtplib.SMTP(hostname=server.host, port=server.smtp_port, use_tls=False, start_tls=False, timeout=5)

    async with client:
        await client.ehlo()
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await getattr(client, mechanism)("chen@firm.example", "guess")
        await getattr(client, mechanism)("chen@firm.example", "chen-word")


async def test_a_full_mailbox_says_so_and_takes_mail_again_when_there_is_room(
    server: DemoMailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailserver, "MAX_MAILS", 1)
    await send(server, mail("x@customer.example", "first"), "support@firm.example")

    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(server, mail("x@customer.example", "second"), "support@firm.example")
    monkeypatch.setattr(mailserver, "MAX_MAILS", 2)
    await send(server, mail("x@customer.example", "third"), "support@firm.example")

    assert refused.value.recipients[0].code == 452
    subjects = [fields(raw, "Subject") for raw in await read(server, "support@firm.example", tmp_path)]
    assert subjects == [["first"], ["third"]]


async def test_a_mail_that_does_not_fit_for_one_is_delivered_to_none(
    server: DemoMailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailserver, "MAX_MAILBOX", 10)

    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await send(server, mail("x@customer.example"), "support@firm.example", "chen@firm.example")

    assert refused.value.code == 452
    assert await read(server, "chen@firm.example", tmp_path) == []


async def test_each_delivery_is_told() -> None:
    told: list[str] = []
    server = DemoMailServer(USERS, 0, 0, now=lambda: NOON, delivered=told.append)
    await server.start()

    await send(server, mail("x@customer.example"), "support+T@firm.example", "chen@firm.example")
    await server.stop()

    assert sorted(told) == ["chen@firm.example", "support@firm.example"]


async def test_it_stops_while_clients_are_connected(server: DemoMailServer) -> None:
    imap = await asyncio.open_connection(server.host, server.imap_port)
    smtp = await asyncio.open_connection(server.host, server.smtp_port)
    for reader, _ in (imap, smtp):
        await reader.readline()

    async with asyncio.timeout(5):
        await server.stop()
        rest = [await reader.read() for reader, _ in (imap, smtp)]

    assert rest[0].startswith(b"* BYE")
    for _, writer in (imap, smtp):
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(server.host, server.imap_port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_it_stays_on_the_loopback(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        DemoMailServer(USERS, host=host, now=lambda: NOON)


@pytest.mark.parametrize("library", ["pymap.imap", "aiosmtpd.smtp"])
async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    server = DemoMailServer(USERS, 0, 0, now=lambda: NOON)

    with pytest.raises(DemoUnavailable) as refused:
        await server.start()

    assert str(refused.value) == MISSING
