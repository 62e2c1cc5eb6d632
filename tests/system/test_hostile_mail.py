"""Hostile mail in a real mailbox: each is kept, decided and seen by a person, and other mail flows within seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.daemon import wait_until
from support.dovecot import Dovecot
from support.needs import needs
from support.start import Desk, Firm, relay, serving

from channels.imap_position import HEAD

pytestmark = pytest.mark.system

SUPPORT = "support@firm.example"
MIB = 1024 * 1024
SECONDS = 10.0  # within which other mail must have been decided; it takes one
PEAK = 400 * MIB  # octets of memory that the daemon may ever have had, beside its parsing workers


def mail(subject: bytes, rest: bytes) -> bytes:
    name = b"".join(subject.split())[:20]
    return (
        b"From: somebody@elsewhere.example\r\nTo: support@firm.example\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        b"Message-ID: <" + name + b"@elsewhere.example>\r\nSubject: " + subject + b"\r\n" + rest
    )


def nested(levels: int) -> bytes:
    opened = b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n'
    return b"".join(opened % (n, n) for n in range(levels)) + b"Content-Type: text/plain\r\n\r\nhello\r\n"


def files(count: int) -> bytes:
    one = b'--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="%d.pdf"\r\n\r\nx\r\n'
    return (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"".join(one % n for n in range(count)) + b"--b--\r\n"
    )


BOMBS: dict[str, Callable[[], bytes]] = {
    "39 KiB of semicolons": lambda: mail(
        b"semicolons", b"Content-Type: text/plain" + b";" * 39 * 1024 + b"\r\n\r\nx\r\n"
    ),
    "a subject of 1 MB": lambda: mail(b"y" * MIB, b"\r\nhello\r\n"),
    "1,000 nested multiparts": lambda: mail(b"nested", nested(1000)),
    "10,000 attachments": lambda: mail(b"files", files(10_000)),
    "20,000 senders": lambda: mail(b"senders", b"From: " + b"a@b.example, " * 20_000 + b"\r\n\r\nhello\r\n"),
    "20,000 references": lambda: mail(
        b"references", b"References:" + b"".join(b" <%d@x.example>\r\n" % n for n in range(20_000)) + b"\r\nhello\r\n"
    ),
    "200,000 open elements": lambda: mail(b"html", b"Content-Type: text/html\r\n\r\n" + b"<div>" * 200_000 + b"\r\n"),
    "a million quotes": lambda: mail(b"quotes", b"\r\n" + b"> " * 1_000_000 + b"\r\n"),
    "NULs": lambda: mail(b"N\x00UL", b"\r\nhel\x00lo\x00\r\n"),
    "no header at all": lambda: b"\r\n\r\nhello\r\n",
    "only a header": lambda: b"Subject: nothing else",
    "every octet": lambda: mail(b"octets", b"\r\n" + bytes(range(256)) * 100 + b"\r\n"),
}


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    needs("dovecot", "openssl")
    with Dovecot({SUPPORT: "secret"}) as server:
        yield server


@pytest.fixture(scope="module")
def desk(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with relay() as sink:
        firm = Firm(tmp_path_factory.mktemp("hostile"), imap_port=dovecot.imap_port, smtp_port=sink.port)
        with serving(firm) as desk:
            yield desk


def count(desk: Desk) -> int:
    return int(desk.rows("SELECT count(*) AS n FROM message")[0]["n"])


def ordinary(number: int) -> bytes:
    return mail(b"ordinary %d" % number, b"\r\nhello\r\n")


@pytest.mark.parametrize("name", BOMBS)
def test_g9_a_bomb_is_kept_and_seen_and_holds_up_nobody(name: str, desk: Desk, dovecot: Dovecot) -> None:
    before = count(desk)
    bomb = BOMBS[name]()

    dovecot.append(SUPPORT, [bomb, ordinary(before)])
    desk.decided(before + 2, SECONDS)

    kept, other = desk.rows(
        "SELECT external_id, state, ticket, outcome, data FROM message JOIN raw ON raw.message = message.id"
        " WHERE message.id > ? ORDER BY message.id",
        before,
    )
    opened = desk.rows("SELECT agent FROM ticket WHERE id IN (?, ?)", kept["ticket"], other["ticket"])
    fetched = dovecot.fetch_all(SUPPORT)[int(kept["external_id"].split(";")[2])]
    assert [(row["state"], row["outcome"]) for row in (kept, other)] == [("done", "opened")] * 2
    assert len([row["agent"] for row in opened if row["agent"]]) == 2
    assert kept["data"] == fetched
    desk.settle()
    assert desk.complaints() == [], desk.story()
    assert desk.rows("SELECT state FROM outbox WHERE state <> 'delivered'") == []


def test_g9_a_mail_of_40_mb_is_a_ticket_at_once_and_stays_whole_on_the_server(desk: Desk, dovecot: Dovecot) -> None:
    before = count(desk)
    octets = (b"QUFB" * 18 + b"\r\n") * (40 * MIB // 74)
    head = (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nplease see the file'
    )
    part = b"\r\n--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    large = mail(b"large", head + part + octets + b"--b--\r\n")

    dovecot.append(SUPPORT, [large, ordinary(before)])
    desk.decided(before + 2, SECONDS)

    kept, other = desk.rows(
        "SELECT state, ticket, is_truncated, size, data FROM message JOIN raw ON raw.message = message.id"
        " WHERE message.id > ? ORDER BY message.id",
        before,
    )
    [ticket] = desk.rows("SELECT subject, agent, state FROM ticket WHERE id = ?", kept["ticket"])
    assert (kept["state"], kept["is_truncated"], kept["size"]) == ("done", 1, len(large))
    assert kept["data"] == large[:HEAD]
    assert (ticket["subject"], ticket["state"], bool(ticket["agent"])) == ("large", "open", True)
    assert other["state"] == "done"
    assert large in dovecot.fetch_all(SUPPORT).values()
    assert desk.complaints() == [], desk.story()


def test_g4_a_mail_that_the_parser_dies_of_is_parked_with_a_ticket(dovecot: Dovecot, tmp_path: Path) -> None:
    """The limit of memory is set so low that a file of 20 MB, well below what is fetched, is too much."""
    encoded = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + (b"QUFB" * 18 + b"\r\n") * (28 * MIB // 74)
    heavy_mail = mail(b"heavy", b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + encoded + b"--b--\r\n")
    with relay() as sink:
        firm = Firm(tmp_path, imap_port=dovecot.imap_port, smtp_port=sink.port, since="now")
        firm.limits = 'parser_memory = "64MiB"'
        with serving(firm) as desk:
            wait_until(lambda: "waiting" in desk.health()["loops"]["support-mail"]["note"], "the mailbox is read")
            dovecot.append(SUPPORT, [heavy_mail, ordinary(9999)])
            desk.decided(2)

            heavy, other = desk.rows("SELECT id, state, reason, ticket FROM message ORDER BY id")
            [ticket] = desk.rows("SELECT agent FROM ticket WHERE id = ?", heavy["ticket"])
            [parked] = desk.said("message_parked")
            assert (heavy["state"], other["state"]) == ("parked", "done")
            assert heavy["reason"]
            assert parked["reason"] == heavy["reason"]
            assert parked["ticket"] == heavy["ticket"]
            assert ticket["agent"]
            assert desk.complaints("message_parked") == []


def test_g9_all_of_it_costs_a_bounded_amount_of_memory(desk: Desk) -> None:
    status = Path(f"/proc/{desk.pid}/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024

    assert peak < PEAK
