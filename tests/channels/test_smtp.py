"""Sending by SMTP: what each refusal, silence and cut means, and which octets leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.mailbox import secret_file
from support.smtpscript import CUT, SILENT, TAKE_AND_CUT, ScriptedSmtp

from channels.adapter import (
    ChannelAway,
    DeliveryState,
    LoginRefused,
    OutboundMessage,
    PermanentFailure,
    TemporaryFailure,
    UnknownDelivery,
)
from channels.message import Address, Scheme
from channels.settings import SmtpSettings
from channels.smtp import PIECE, SmtpSender, failure_of, pieces, stuffed

SMALL = b"Subject: hello\r\n\r\nGood day.\r\n"
#: larger than what the kernel takes in one go, so that a cut can fall within it
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcd\r\n" * 4 * 1024 * 1024


def outbound(body: bytes = SMALL, to: str = "wang@customer.example", sender: str = "desk@firm.example") -> Any:
    recipient = Address(scheme=Scheme.MAIL, value=to)
    return OutboundMessage(id=1, recipient=recipient, body=body, envelope_from=sender, message_id="<1@firm.example>")


def settings(port: int, **changes: Any) -> SmtpSettings:
    usual = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "connect_timeout": timedelta(seconds=5),
        "command_timeout": timedelta(milliseconds=300),
        "data_timeout": timedelta(milliseconds=600),
    }
    return SmtpSettings.model_validate(usual | changes)


@asynccontextmanager
async def sending(server: ScriptedSmtp, **changes: Any) -> AsyncIterator[SmtpSender]:
    sender = SmtpSender(settings(server.port, **changes), desk="desk@firm.example")
    try:
        yield sender
    finally:
        await sender.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (421, TemporaryFailure),
        (451, TemporaryFailure),
        (452, TemporaryFailure),
        (550, PermanentFailure),
        (552, PermanentFailure),
        (554, PermanentFailure),
        (530, LoginRefused),
        (535, LoginRefused),
        (354, TemporaryFailure),
        (99, TemporaryFailure),
    ],
)
def test_code_means(code: int, expected: type[Exception]) -> None:
    assert type(failure_of(code, "words", "RCPT TO")) is expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"a\r\n\r\nb\r\n", b"a\r\n\r\nb\r\n"),
        (b".a\r\n..b\r\nc.\r\n", b"..a\r\n...b\r\nc.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n"),
        (b"a\n.\nMAIL FROM:<x>\n", b"a\r\n..\r\nMAIL FROM:<x>\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n"),
        (b"no end", b"no end\r\n"),
    ],
)
def test_octets_on_the_wire(octets: bytes, expected: bytes) -> None:
    assert stuffed(octets) == expected


async def test_octets_arrive_as_they_were_given() -> None:
    body = b"Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\n\xe4\xbd\xa0\xe5\xa5\xbd \x00 three\r\n"
    async with ScriptedSmtp() as server, sending(server) as sender:
        delivery = await sender.send(outbound(body))

        assert delivery.state is DeliveryState.DELIVERED
        assert delivery.remote_id == "250 2.0.0 queued as 1"
        assert [(mail.mail_from, mail.rcpt_to, mail.octets) for mail in server.mails] == [
            ("desk@firm.example", "wang@customer.example", body)
        ]
        assert f"MAIL FROM:<desk@firm.example> SIZE={len(body)} BODY=8BITMIME" in server.verbs


@pytest.mark.parametrize(
    ("verb", "step", "expected"),
    [
        ("GREETING", "421 4.3.2 too busy", ChannelAway),
        ("GREETING", "554 5.3.2 go away", ChannelAway),
        ("GREETING", CUT, ChannelAway),
        ("EHLO", "421 4.3.2 later", ChannelAway),
        ("EHLO", CUT, ChannelAway),
        ("EHLO", SILENT, ChannelAway),
        ("MAIL", "451 4.3.0 later", TemporaryFailure),
        ("MAIL", "550 5.7.1 not you", PermanentFailure),
        ("MAIL", "530 5.7.0 log in first", LoginRefused),
        ("MAIL", CUT, TemporaryFailure),
        ("MAIL", SILENT, TemporaryFailure),
        ("RCPT", "450 4.2.0 greylisted", TemporaryFailure),
        ("RCPT", "550 5.1.1 unknown", PermanentFailure),
        ("RCPT", CUT, TemporaryFailure),
        ("RCPT", SILENT, TemporaryFailure),
        ("DATA", "451 4.3.0 later", TemporaryFailure),
        ("DATA", "554 5.5.1 no", PermanentFailure),
        ("DATA", CUT, TemporaryFailure),
        ("DATA", SILENT, TemporaryFailure),
        (".", "451 4.3.0 later", TemporaryFailure),
        (".", "554 5.7.1 spam", PermanentFailure),
        (".", CUT, UnknownDelivery),
        (".", TAKE_AND_CUT, UnknownDelivery),
        (".", SILENT, UnknownDelivery),
        (".", "what?", UnknownDelivery),
        (".", "150 hm", UnknownDelivery),
    ],
)
async def test_what_a_failure_means_at_each_verb(verb: str, step: str, expected: type[Exception]) -> None:
    async with ScriptedSmtp({verb: [step]}) as server, sending(server) as sender:
        with pytest.raises(expected) as failure:
            await sender.send(outbound())

        assert type(failure.value) is expected
        assert (await sender.send(outbound())).state is DeliveryState.DELIVERED


#: "there is no such user" in GBK, as relays in China say it; in our hands each octet is a surrogate
GBK = "用户不存在".encode("gbk").decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("verb", "code", "expected"),
    [
        ("GREETING", 554, ChannelAway),
        ("EHLO", 550, ChannelAway),
        ("AUTH", 535, LoginRefused),
        ("AUTH", 454, ChannelAway),
        ("MAIL", 451, TemporaryFailure),
        ("MAIL", 421, TemporaryFailure),
        ("RCPT", 550, PermanentFailure),
        ("DATA", 451, TemporaryFailure),
        (".", 554, PermanentFailure),
        (".", 150, UnknownDelivery),
    ],
)
async def test_a_refusal_that_is_no_utf_8_can_be_written_down(
    verb: str, code: int, expected: type[Exception], tmp_path: Path
) -> None:
    login = {"username": "desk@firm.example", "password": {"file": str(secret_file(tmp_path))}}
    passwords = {"desk@firm.example": "secret"}
    async with (
        ScriptedSmtp({verb: [f"{code} {GBK}"]}, passwords=passwords) as server,
        sending(server, **login) as sender,
    ):
        with pytest.raises(expected) as failure:
            await sender.send(outbound())

    assert type(failure.value) is expected
    assert str(code) in str(failure.value)
    assert str(failure.value).encode()  # raises where there are surrogates


async def test_a_receipt_that_is_no_utf_8_can_be_written_down() -> None:
    async with ScriptedSmtp({".": [f"250 {GBK}"]}) as server, sending(server) as sender:
        delivery = await sender.send(outbound())

    assert delivery.state is DeliveryState.DELIVERED
    assert delivery.remote_id.encode().startswith(b"250 ")


async def test_a_cut_within_the_message_is_temporary_because_the_final_dot_was_never_written() -> None:
    patience = {"data_timeout": timedelta(seconds=20)}
    async with ScriptedSmtp({"BODY": [CUT]}) as server, sending(server, **patience) as sender:
        with pytest.raises(TemporaryFailure, match=r"within the message|before the final dot"):
            await sender.send(outbound(LARGE))

        assert server.mails == []


async def test_a_refusal_in_the_midst_of_the_message_is_heard() -> None:
    script = {"BODY": ["552 5.3.4 too large"]}
    patience = {"data_timeout": timedelta(seconds=20)}
    async with ScriptedSmtp(script) as server, sending(server, **patience) as sender:
        with pytest.raises((PermanentFailure, TemporaryFailure)):
            await sender.send(outbound(LARGE))

        assert server.mails == []


async def test_a_large_message_arrives_whole() -> None:
    patience = {"data_timeout": timedelta(seconds=60)}
    async with ScriptedSmtp() as server, sending(server, **patience) as sender:
        await sender.send(outbound(LARGE[:8_000_010]))

        assert server.mails[0].octets == LARGE[:8_000_010] + b"\r\n"


async def test_nobody_listens() -> None:
    async with ScriptedSmtp() as server:
        port = server.port
    sender = SmtpSender(settings(port), desk="desk@firm.example")

    with pytest.raises(TemporaryFailure):
        await sender.send(outbound())


async def test_the_null_return_path_is_kept_where_the_relay_takes_it() -> None:
    async with ScriptedSmtp() as server, sending(server) as sender:
        await sender.send(outbound(sender=""))

        assert server.mails[0].mail_from == ""


@pytest.mark.parametrize(
    "words", ["550 5.7.1 no null", "550 5.7.60 SMTP; Client does not have permissions to send as this sender"]
)
async def test_the_desk_stands_in_where_the_relay_refuses_the_null_return_path(words: str) -> None:
    async with ScriptedSmtp({"MAIL": [words]}) as server, sending(server) as sender:
        await sender.send(outbound(sender=""))

        assert [mail.mail_from for mail in server.mails] == ["desk@firm.example"]
        assert server.connections == 1


async def test_a_temporary_refusal_of_the_null_return_path_is_only_temporary() -> None:
    async with ScriptedSmtp({"MAIL": ["451 4.3.0 later"]}) as server, sending(server) as sender:
        with pytest.raises(TemporaryFailure):
            await sender.send(outbound(sender=""))

        assert server.mails == []


async def test_a_wrong_password_is_tried_once(tmp_path: Path) -> None:
    login = {"username": "desk", "password": {"file": str(secret_file(tmp_path, "wrong"))}}
    async with ScriptedSmtp(passwords={"desk": "right"}) as server, sending(server, **login) as sender:
        with pytest.raises(LoginRefused, match="535"):
            await sender.send(outbound())

        assert sum(line.startswith("AUTH") for line in server.verbs) == 1


async def test_a_temporary_failure_of_the_login_is_not_a_wrong_password(tmp_path: Path) -> None:
    login = {"username": "desk", "password": {"file": str(secret_file(tmp_path, "right"))}}
    script = {"AUTH": ["454 4.7.0 the directory is down"]}
    async with ScriptedSmtp(script, passwords={"desk": "right"}) as server, sending(server, **login) as sender:
        with pytest.raises(TemporaryFailure) as failure:
            await sender.send(outbound())
        assert type(failure.value) is ChannelAway

        assert (await sender.send(outbound())).state is DeliveryState.DELIVERED


async def test_one_connection_carries_mail_after_mail_and_survives_a_refused_recipient() -> None:
    async with ScriptedSmtp({"RCPT": ["250 ok", "550 5.1.1 unknown"]}) as server, sending(server) as sender:
        await sender.send(outbound())
        with pytest.raises(PermanentFailure):
            await sender.send(outbound())
        await sender.send(outbound())

        assert (server.connections, len(server.mails)) == (1, 2)


async def test_a_kept_connection_that_was_dropped_is_replaced_at_once() -> None:
    async with ScriptedSmtp() as server, sending(server) as sender:
        await sender.send(outbound())
        server.drop_all()
        await sender.send(outbound())

        assert (server.connections, len(server.mails)) == (2, 2)


@pytest.mark.parametrize("step", [CUT, "421 4.4.2 idle too long"])
async def test_a_kept_connection_that_dies_at_mail_from_is_replaced_at_once(step: str) -> None:
    async with ScriptedSmtp({"MAIL": ["250 ok", step]}) as server, sending(server) as sender:
        await sender.send(outbound())
        await sender.send(outbound())

        assert (server.connections, len(server.mails)) == (2, 2)


async def test_parallel_sends_share_at_most_two_connections() -> None:
    patience = {"command_timeout": timedelta(seconds=10), "data_timeout": timedelta(seconds=10)}
    async with ScriptedSmtp() as server, sending(server, **patience) as sender:
        await asyncio.gather(*(sender.send(outbound()) for _ in range(40)))

        assert (len(server.mails), server.most_at_once, server.connections) == (40, 2, 2)


async def test_cancelled_after_the_dot_leaves_a_sender_that_works() -> None:
    patience = {"data_timeout": timedelta(seconds=30)}
    async with ScriptedSmtp({".": [SILENT]}) as server, sending(server, **patience) as sender:
        task = asyncio.create_task(sender.send(outbound()))
        while "DATA" not in server.verbs:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (await sender.send(outbound())).state is DeliveryState.DELIVERED
        assert server.connections == 2


@pytest.mark.parametrize("to", ["a@b.example> RCPT TO:<c@d.example", "a\r\nDATA@b.example", "a b@c.example"])
async def test_an_address_cannot_carry_a_command(to: str) -> None:
    async with ScriptedSmtp() as server, sending(server) as sender:
        with pytest.raises(PermanentFailure):
            await sender.send(outbound(to=to))

        assert not any(line.startswith("RCPT") for line in server.verbs)


@pytest.mark.parametrize(
    ("to", "extensions", "expected"),
    [
        ("wang@公司.example", (), "wang@xn--55qx5d.example"),
        ("王@公司.example", ("SMTPUTF8", "8BITMIME"), "王@公司.example"),
    ],
)
async def test_an_address_beyond_ascii(to: str, extensions: tuple[str, ...], expected: str) -> None:
    async with ScriptedSmtp(extensions=("X", *extensions)) as server, sending(server) as sender:
        await sender.send(outbound(to=to))

        assert server.mails[0].rcpt_to == expected


async def test_a_local_part_beyond_ascii_where_the_relay_takes_none() -> None:
    async with ScriptedSmtp() as server, sending(server) as sender:
        with pytest.raises(PermanentFailure, match="does not take"):
            await sender.send(outbound(to="王@customer.example"))


async def test_no_starttls_on_offer_is_no_reason_to_go_on_in_plain_text() -> None:
    async with ScriptedSmtp() as server, sending(server, security="starttls") as sender:
        with pytest.raises(TemporaryFailure, match="STARTTLS"):
            await sender.send(outbound())

        assert not any(line.startswith("MAIL") for line in server.verbs)


@pytest.mark.parametrize("octets", [0, 1, PIECE, PIECE + 1, 3 * PIECE + 5])
@pytest.mark.parametrize("line", [b".\r\n", b"x" * 75 + b"\r\n", b"no end", b".\n", b"\r\n.\r\n"])
def test_a_message_in_pieces_is_the_same_message_on_the_wire(octets: int, line: bytes) -> None:
    body = (line * (octets // len(line) + 1))[:octets]

    assert b"".join(pieces(body)) == body
    assert b"".join(map(stuffed, pieces(body))) == stuffed(body)
