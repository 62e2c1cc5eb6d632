"""Mail by push: 250 when it is kept and not before, 4xx for every fault of ours, and nobody from elsewhere."""

from __future__ import annotations

import asyncio
import os
import stat
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.lmtpclient import connected, handed_over
from support.mailbox import Ledger, running, tools_for
from support.ports import free_ports

from channels.adapter import Fatal, StoreUnavailable, TemporaryFailure
from channels.lmtp import LmtpReceiver, external_id, signed_in
from channels.settings import LmtpSettings

MAIL = b"From: wang@customer.example\r\nSubject: tax\r\n\r\nhello\r\n"


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


def receiver(ledger: Ledger, **changes: Any) -> tuple[LmtpReceiver, int]:
    (port,) = free_ports(1)
    facts: dict[str, Any] = {"port": port} | changes
    return LmtpReceiver("support", LmtpSettings(**facts), tools_for(ledger)), port


@pytest.fixture
async def port(ledger: Ledger) -> AsyncIterator[int]:
    """A receiver that listens."""
    adapter, port = receiver(ledger, max_size=100_000)
    async with running(adapter, ledger.accept):
        await listens(port)
        yield port


async def listens(port: int | str) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                client = await connected(port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            await client.answer()
            client.close()
            return


async def test_g1_it_says_250_only_once_it_is_kept(port: int, ledger: Ledger) -> None:
    ledger.delay = 0.3
    handing = asyncio.create_task(handed_over(port, MAIL))
    await ledger.until(lambda seen: bool(seen.calls))
    await asyncio.sleep(0.1)
    before = (handing.done(), len(ledger.arrivals))

    assert (before, await handing, len(ledger.arrivals)) == ((False, 0), ["250 2.0.0 kept as 1"], 1)


async def test_the_envelope_and_the_octets_come_through_as_they_were(port: int, ledger: Ledger) -> None:
    raw = b"Subject: \xe7\xa8\x85\r\n\r\n.\r\n..dots\r\n\x00 nul\r\nbare\nlf\r\n" + b"x" * 50_000 + b"\r\nend\r\n"
    await handed_over(port, raw, sender="wang@c.example", recipients=["a@firm.example", "b+tok@firm.example"])

    (arrival,) = ledger.arrivals.values()
    envelope = arrival.envelope
    assert arrival.raw == raw
    assert (envelope.mail_from, envelope.rcpt_to) == ("wang@c.example", ("a@firm.example", "b+tok@firm.example"))
    assert (envelope.source_size, envelope.peer, envelope.authenticated_as) == (len(raw), "127.0.0.1", "")


@pytest.mark.parametrize("count", [1, 3])
async def test_lmtp_answers_once_for_each_recipient(port: int, ledger: Ledger, count: int) -> None:
    answers = await handed_over(port, MAIL, recipients=[f"r{n}@firm.example" for n in range(count)])

    assert (answers, len(ledger.arrivals)) == (["250 2.0.0 kept as 1"] * count, 1)


@pytest.mark.parametrize("count", [1, 2])
async def test_mail_over_the_limit_is_refused_for_each_recipient_and_the_connection_lives(
    port: int, ledger: Ledger, count: int
) -> None:
    client = await connected(port)
    recipients = [f"r{n}@firm.example" for n in range(count)]
    await client.begin("a@c.example", recipients)
    client.write(MAIL + b"x" * 998 + b"\r\n" + (b"y" * 998 + b"\r\n") * 110)
    answers = [await client.answer() for _ in range(count)]

    assert [a[:3] for a in answers] == ["552"] * count
    assert (await client.say("NOOP"))[:3] == "250"
    client.close()
    assert ledger.calls == []


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        (StoreUnavailable("database or disk is full"), "451 4.3.1 the store cannot take it now, try again later: dat"),
        (RuntimeError("Peter's secret"), "451 4.3.0 it could not be taken in, try again later"),
    ],
)
async def test_g10_a_fault_of_ours_is_temporary_and_the_next_mail_may_pass(
    port: int, ledger: Ledger, failure: Exception, answer: str
) -> None:
    ledger.fails = failure
    refused = await handed_over(port, MAIL)
    ledger.fails = None

    assert refused[0].startswith(answer)
    assert await handed_over(port, MAIL) == ["250 2.0.0 kept as 1"]


async def test_a_mail_that_is_cut_off_was_never_there(port: int, ledger: Ledger) -> None:
    client = await connected(port)
    await client.begin("a@c.example", ["support@firm.example"])
    client.write(MAIL, with_dot=False)
    client.close()
    await handed_over(port, MAIL)

    assert len(ledger.calls) == 1


async def test_g2_the_same_mail_handed_over_again_has_the_same_id(port: int, ledger: Ledger) -> None:
    for sender in ("a@c.example", "a@c.example", "b@c.example"):
        await handed_over(port, MAIL, sender=sender)

    assert len(ledger.arrivals) == 2


def test_the_id_goes_by_all_of_it_but_the_order_of_recipients() -> None:
    same = external_id("a@b", ["x@y", "z@y"], MAIL)
    others = [
        external_id("", ["x@y", "z@y"], MAIL),
        external_id("a@b", ["x@y"], MAIL),
        external_id("a@b", [], MAIL[:-2]),
    ]

    assert external_id("a@b", ["z@y", "x@y"], MAIL) == same
    assert len({same, *others}) == 4


async def test_a_bare_dot_between_bare_line_feeds_ends_nothing(port: int, ledger: Ledger) -> None:
    raw = b"Subject: a\r\n\r\nx\n.\nMAIL FROM:<smuggled@evil.example>\r\n"
    await handed_over(port, raw)

    assert [a.raw for a in ledger.arrivals.values()] == [raw]


async def test_too_many_recipients_are_told_to_come_again(port: int) -> None:
    client = await connected(port)
    answers = await client.begin("a@c.example", [f"r{n}@firm.example" for n in range(101)])
    client.close()

    assert (answers[-3][:3], answers[-2]) == ("250", "452 4.5.3 too many recipients")


async def test_nobody_from_elsewhere_and_not_too_many_at_once(ledger: Ledger) -> None:
    adapter, port = receiver(ledger, sources=("10.1.2.0/24",))
    async with running(adapter, ledger.accept):
        await listens(port)
        client = await connected(port)
        strange = await client.answer()
        client.close()
    adapter, port = receiver(ledger, max_connections=1)
    async with running(adapter, ledger.accept):
        await listens(port)
        await asyncio.sleep(0.05)
        one, other = await connected(port), await connected(port)
        first, second = await one.answer(), await other.answer()
        one.close()
        other.close()

    assert (strange[:9], first[:3], second[:9]) == ("421 4.7.0", "220", "421 4.7.0")


async def test_a_socket_in_the_file_system_is_for_its_group_and_survives_a_crash(
    ledger: Ledger, tmp_path: Path
) -> None:
    path = tmp_path / "run" / "lmtp"
    for _ in range(2):
        adapter = LmtpReceiver("support", LmtpSettings(path=path), tools_for(ledger))
        async with running(adapter, ledger.accept):
            await listens(str(path))
            mode = stat.S_IMODE(path.stat().st_mode)
            answers = await handed_over(str(path), MAIL)
        path.unlink(missing_ok=True)
        os.mknod(path, stat.S_IFSOCK | 0o600)  # what a killed daemon leaves

    assert (mode, answers) == (0o660, ["250 2.0.0 kept as 1"])


async def test_what_is_no_socket_is_not_taken_away(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    path.write_text("somebody's notes")

    with pytest.raises(TemporaryFailure, match="something that is no socket lies there"):
        await LmtpReceiver("support", LmtpSettings(path=path), tools_for(ledger)).receive(ledger.accept)
    assert path.read_text() == "somebody's notes"


async def test_a_taken_port_is_named(ledger: Ledger, port: int) -> None:
    adapter = LmtpReceiver("support", LmtpSettings(port=port), tools_for(ledger))

    with pytest.raises(TemporaryFailure, match=f"127.0.0.1:{port}.*in use"):
        await adapter.receive(ledger.accept)


async def test_smtp_is_spoken_where_it_is_asked_for(ledger: Ledger) -> None:
    adapter, port = receiver(ledger, protocol="smtp")
    async with running(adapter, ledger.accept):
        await listens(port)
        answers = await handed_over(port, MAIL, recipients=["a@f.example", "b@f.example"], hello="EHLO mail")

    assert answers == ["250 2.0.0 kept as 1"]


TOP = b"Received: from pc (pc.firm.example [10.0.0.7])\r\n"
AUTH = b"\t(Authenticated sender: Chen@firm.example)\r\n"
BY = b"\tby mail.firm.example (Postfix) with ESMTPSA id 4A1\r\n\tfor <support@firm.example>; Mon, 23 Nov 2026\r\n"


@pytest.mark.parametrize(
    ("head", "login"),
    [
        (TOP + AUTH + BY, "chen@firm.example"),
        (b"Return-Path: <chen@firm.example>\r\nDelivered-To: x\r\n" + TOP + AUTH + BY, "chen@firm.example"),
        (TOP + BY, ""),
        (TOP + AUTH + BY.replace(b"ESMTPSA", b"ESMTPS"), ""),  # nobody signed in
        (TOP + BY + TOP + AUTH + BY, ""),  # the sender wrote the second one
        (
            b"Authentication-Results: m; dmarc=none\r\n\tx=y\r\nDKIM-Signature: v=1\r\n" + TOP + AUTH + BY,
            "chen@firm.example",
        ),
        (b"X-Found: x\r\n" + AUTH + BY + TOP + BY, ""),  # said of somebody, in another field
        (b"X-Found: x\r\n" + AUTH + BY, ""),
        (b"Subject: x\r\n\r\n" + TOP + AUTH + BY, ""),  # in the body
        (b"\n" + TOP + AUTH + BY, ""),
        (TOP.replace(b"pc (", b"(Authenticated sender: chen@firm.example) (") + BY, ""),  # a HELO may say so
        (TOP + b"\t(Authenticated sender: a) (Authenticated sender: b)\r\n" + BY, ""),
        (b"", ""),
    ],
)
def test_who_had_signed_in_is_read_where_only_the_server_writes(head: bytes, login: str) -> None:
    assert signed_in(head + b"From: chen@firm.example\r\n\r\n") == login


def test_reading_who_signed_in_is_linear() -> None:
    start = time.process_time()
    signed_in(b"Received: " + b"\r\n\t(Authenticated sender: " * 1_000_000)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({}, "give either path"),
        ({"port": 24, "path": "/run/x"}, "give either path"),
        ({"path": "/run/x", "protocol": "smtp"}, "speak LMTP, not SMTP"),
        ({"port": 24, "sources": ("firm",)}, '"firm" is no network'),
    ],
)
def test_a_wrong_table_is_refused_with_a_sentence(written: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LmtpSettings(**written)


async def test_a_place_that_may_not_be_opened_ends_it(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", refused)

    with pytest.raises(Fatal, match=r"127\.0\.0\.1:24 may not be opened: Permission denied"):
        await LmtpReceiver("support", LmtpSettings(port=24), tools_for(ledger)).receive(ledger.accept)


@pytest.mark.parametrize(
    "body",
    [b"\r\n" * 5_000_000, b".x\r\n" * 2_000_000, b"x" * 8_000_000, b"\n.\r\n" * 2_000_000, b"\r\n.\n" * 2_000_000],
    ids=["blank lines", "dots", "one line", "half ends", "other half ends"],
)
async def test_g9_a_mail_of_nothing_costs_its_size_and_nobody_waits_for_it(ledger: Ledger, body: bytes) -> None:
    adapter, port = receiver(ledger)
    raw = b"Subject: bomb\r\n\r\n" + body
    raw += b"" if raw.endswith(b"\r\n") else b"\r\n"
    async with running(adapter, ledger.accept):
        await listens(port)
        client = await connected(port)
        await client.begin("a@c.example", ["support@firm.example"])
        on_the_wire = raw.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        gaps: list[float] = []
        ticking = asyncio.create_task(_tick(gaps))
        tracemalloc.start()
        start = time.process_time()
        client.writer.write(on_the_wire)
        answer = await client.answer()
        cost, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        ticking.cancel()
        client.close()

    assert answer == "250 2.0.0 kept as 1"
    assert next(iter(ledger.arrivals.values())).raw == raw
    # The test's own side, in the same process, holds the mail once more on its way out.
    assert (cost < 3, peak < 6 * len(on_the_wire), max(gaps) < 0.5) == (True, True, True)


async def _tick(gaps: list[float]) -> None:
    """How long each turn of the loop took that was to take a millisecond."""
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        gaps.append(time.perf_counter() - start)


async def test_a_long_line_is_no_reason_to_refuse_a_mail(port: int, ledger: Ledger) -> None:
    raw = MAIL + b"x" * 90_000 + b"\r\n"

    assert await handed_over(port, raw) == ["250 2.0.0 kept as 1"]
    assert [a.raw for a in ledger.arrivals.values()] == [raw]


async def test_an_empty_mail_is_kept_too(port: int, ledger: Ledger) -> None:
    client = await connected(port)
    await client.begin("a@c.example", ["support@firm.example"])

    assert await client.say(".") == "250 2.0.0 kept as 1"
    client.close()
    assert [a.raw for a in ledger.arrivals.values()] == [b""]


async def test_who_goes_on_before_the_answer_is_answered_and_sent_away(port: int, ledger: Ledger) -> None:
    client = await connected(port)
    await client.begin("a@c.example", ["support@firm.example"])
    client.writer.write(MAIL + b".\r\nMAIL FROM:<smuggled@evil.example>\r\n")
    answer = await client.answer()

    assert answer == "250 2.0.0 kept as 1"
    with pytest.raises(EOFError):
        await client.answer()
    client.close()
    assert [a.raw for a in ledger.arrivals.values()] == [MAIL]
