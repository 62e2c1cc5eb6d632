"""Sending by SMTP, verb by verb: 4xx, 5xx, silence and a cut, from the greeting to QUIT, and what each costs.

Every case is followed by another mail: whatever a relay did, the next one finds a sender that works, and nothing that
was refused or cut before the final dot was taken.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Certificates, make_certificates
from support.mailbox import secret_file
from support.needs import needs
from support.smtpscript import CUT, SILENT, TAKE_AND_CUT, ScriptedSmtp

from channels.adapter import (
    AccountRefused,
    ChannelAway,
    ChannelSlowed,
    DeliveryState,
    LoginRefused,
    OutboundMessage,
    PermanentFailure,
    TemporaryFailure,
    UnknownDelivery,
)
from channels.message import Address, Scheme
from channels.settings import SmtpSettings
from channels.smtp import Connections, SmtpSender
from channels.smtp_connect import connect

DELIVERED = None  # nothing is raised


def outbound(number: int = 1) -> OutboundMessage:
    return OutboundMessage(
        id=number,
        recipient=Address(scheme=Scheme.MAIL, value="wang@customer.example"),
        body=b"Subject: hello\r\n\r\nGood day.\r\n",
        envelope_from="desk@firm.example",
        message_id=f"<{number}@firm.example>",
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    needs("openssl")
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def login(certificates: Certificates, tmp_path: Path) -> dict[str, Any]:
    return {
        "security": "starttls",
        "host": "localhost",
        "ca_file": certificates.authority,
        "username": "desk",
        "password": {"file": str(secret_file(tmp_path, "right"))},
    }


def server_side(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


def settings(port: int, **changes: Any) -> SmtpSettings:
    usual = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "connect_timeout": timedelta(seconds=2),
        "command_timeout": timedelta(milliseconds=500),
        "data_timeout": timedelta(milliseconds=600),
    }
    return SmtpSettings.model_validate(usual | changes)


async def outcome(sender: SmtpSender) -> type[Exception] | None:
    try:
        await sender.send(outbound())
    except Exception as error:  # its type is what is looked at
        return type(error)
    return DELIVERED


@pytest.mark.parametrize(
    ("verb", "step", "expected"),
    [
        ("GREETING", "421 4.3.2 Server busy", ChannelSlowed),
        ("GREETING", "554 5.7.1 sending limit exceeded", AccountRefused),
        ("GREETING", "554 5.3.2 go away", ChannelAway),
        ("GREETING", CUT, ChannelAway),
        ("EHLO", "451 4.3.0 later", ChannelAway),
        ("EHLO", "550 5.7.1 no", ChannelAway),
        ("STARTTLS", "454 4.7.0 TLS not available", ChannelAway),
        ("STARTTLS", "501 5.5.2 no", ChannelAway),
        ("STARTTLS", CUT, ChannelAway),
        ("STARTTLS", SILENT, ChannelAway),
        ("AUTH", "454 4.7.0 Too many login attempts, please try again later", ChannelSlowed),
        ("AUTH", "454 4.7.0 the directory is down", ChannelAway),
        ("AUTH", "421 4.7.0 later", ChannelAway),
        ("AUTH", "535 5.7.8 wrong password", LoginRefused),
        ("AUTH", "534 5.7.9 use another way", LoginRefused),
        ("AUTH", CUT, ChannelAway),
        ("AUTH", SILENT, ChannelAway),
        ("MAIL", "432 4.3.2 Concurrent connections limit exceeded", ChannelSlowed),
        ("MAIL", "451 4.3.0 later", TemporaryFailure),
        ("MAIL", "550 5.1.8 Access denied, bad outbound sender", AccountRefused),
        ("MAIL", "550 5.7.1 not you", PermanentFailure),
        ("RCPT", "452 4.5.3 Too many recipients", ChannelSlowed),
        ("RCPT", "450 4.2.0 greylisted", TemporaryFailure),
        ("RCPT", "550 5.4.5 Daily user sending quota exceeded", AccountRefused),
        ("RCPT", "550 5.1.1 unknown", PermanentFailure),
        ("DATA", "421 4.7.28 unusual rate of mail", ChannelSlowed),
        ("DATA", "451 4.3.0 later", TemporaryFailure),
        ("DATA", "554 5.5.1 no", PermanentFailure),
        ("DATA", CUT, TemporaryFailure),
        (".", "554 DT:SPM 163 smtp1", ChannelSlowed),
        (".", "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException", AccountRefused),
        (".", "452 4.3.1 no space", TemporaryFailure),
        (".", "552 5.3.4 too large", PermanentFailure),
        (".", CUT, UnknownDelivery),
        (".", TAKE_AND_CUT, UnknownDelivery),
        (".", SILENT, UnknownDelivery),
    ],
)
async def test_over_tls_with_a_login_each_verb_means_what_it_means(
    certificates: Certificates, login: dict[str, Any], verb: str, step: str, expected: type[Exception]
) -> None:
    tls = server_side(certificates)
    async with ScriptedSmtp({verb: [step]}, passwords={"desk": "right"}, starttls=tls) as server:
        sender = SmtpSender(settings(server.port, **login), desk="desk@firm.example")
        found = await outcome(sender)
        taken = len(server.mails)
        after = await outcome(sender)
        await sender.close()

    assert (found, after) == (expected, DELIVERED)
    assert taken == (1 if step == TAKE_AND_CUT else 0)


@pytest.mark.parametrize("step", ["451 4.3.0 no", "502 5.5.1 no RSET here", CUT, SILENT])
async def test_a_relay_that_cannot_reset_costs_a_connection_and_no_mail(step: str) -> None:
    async with ScriptedSmtp({"RCPT": ["550 5.1.1 unknown"], "RSET": [step]}) as server:
        sender = SmtpSender(settings(server.port), desk="desk@firm.example")
        found = [await outcome(sender), await outcome(sender)]
        await sender.close()

    assert (found, server.connections, len(server.mails)) == ([PermanentFailure, DELIVERED], 2, 1)


@pytest.mark.parametrize("step", ["421 4.3.0 no", "500 5.5.1 what?", CUT, SILENT])
async def test_a_relay_that_takes_no_leave_keeps_nobody(step: str) -> None:
    async with ScriptedSmtp({"QUIT": [step]}) as server:
        sender = SmtpSender(settings(server.port), desk="desk@firm.example")
        found = await outcome(sender)
        await sender.close()

    assert (found, len(server.mails), server.verbs[-1]) == (DELIVERED, 1, "QUIT")


async def test_two_channels_of_one_account_open_no_more_connections_than_it_allows() -> None:
    async with ScriptedSmtp() as server:
        slow = {"command_timeout": timedelta(seconds=10), "data_timeout": timedelta(seconds=10), "connections": 3}
        line = Connections(3)
        one, other = (SmtpSender(settings(server.port, **slow), name, line) for name in ("a@x.example", "b@x.example"))
        await asyncio.gather(*(sender.send(outbound()) for sender in (one, other) for _ in range(20)))
        await one.close()
        await other.close()

    assert (len(server.mails), server.most_at_once) == (40, 3)


async def test_the_id_that_a_relay_puts_for_ours_is_learned_by_the_name_of_the_relay() -> None:
    words = "250 2.0.0 OK <SEYPR02MB1@SEYPR02MB1.apcprd02.prod.outlook.com> [Hostname=SEYPR02MB1]"
    async with ScriptedSmtp({".": [words, words]}) as server:
        ours = SmtpSender(settings(server.port), desk="desk@firm.example")
        unknown = await ours.send(outbound())
        await ours.close()
        theirs = SmtpSender(settings(server.port), desk="desk@firm.example")
        theirs._settings = settings(server.port).model_copy(update={"host": "smtp.office365.com"})
        theirs._connections.keep(await _connected(server.port))
        learned = await theirs.send(outbound(2))
        await theirs.close()

    assert (unknown.state, unknown.remote_mail_id) == (DeliveryState.DELIVERED, "")
    assert learned.remote_mail_id == "<SEYPR02MB1@SEYPR02MB1.apcprd02.prod.outlook.com>"


async def _connected(port: int) -> Any:
    return await connect(settings(port), "desk@firm.example")
