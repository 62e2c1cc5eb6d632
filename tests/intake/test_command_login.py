"""`intake login`: by code, by browser, by an administrator; what is saved, what is shown, and what never is."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.clidesk import NOW, Desk, StandingClock, stand_still
from support.imapscript import ScriptedImap
from support.smtpscript import ScriptedSmtp
from support.tokenserver import CLIENT, TokenServer

from channels.oauth_file import read_login
from channels.settings import MailSettings, OAuthSettings
from intake.command import login
from intake.command.admin_commands import admin_commands
from intake.command.failure import Exit, Failure
from intake.command.terminal import Screen

IMAP_TOO = ("IMAP4rev1", "IDLE", "ID", "AUTH=XOAUTH2", "SASL-IR")


@pytest.fixture
async def servers() -> AsyncIterator[tuple[TokenServer, ScriptedImap, ScriptedSmtp]]:
    async with TokenServer() as tokens, ScriptedImap(capabilities=IMAP_TOO) as imap, ScriptedSmtp() as smtp:
        tokens.user = "support@firm.example"
        smtp.tokens = tokens.alive
        yield tokens, imap, smtp


def desk_of(servers: Any, folder: Path, **oauth: str) -> Desk:
    tokens, imap, smtp = servers
    desk = Desk(folder, imap=imap.port, smtp=smtp.port)
    keys = {"provider": "custom", "client_id": CLIENT, **tokens.addresses, **oauth}
    lines = "\n".join(f'{key} = "{value}"' if value[:1] != "{" else f"{key} = {value}" for key, value in keys.items())
    text = desk.path.read_text().replace('password = { file = "secrets/mail.password" }\n', "")
    table = f"[channels.support-mail.oauth]\n{lines}\n\n[channels.hotline]"
    desk.path.write_text(text.replace("[channels.hotline]", table))
    return desk


async def signed_in(desk: Desk, form: str = "text") -> tuple[int, str]:
    out = io.StringIO()
    args = Namespace(config=str(desk.path), channel="support-mail")
    code = await login.run(args, Screen(out, is_json=form == "json"), StandingClock())
    return code, out.getvalue()


async def test_by_code(servers: Any, tmp_path: Path) -> None:
    tokens, imap, _ = servers
    desk = desk_of(servers, tmp_path)
    tokens.consent()

    code, told = await signed_in(desk)

    kept = read_login(tmp_path / "var" / "oauth" / "support-mail.json")
    assert code == Exit.OK
    assert "Open https://login.example/device" in told
    assert "ABCD-EFGH" in told
    assert "✓" in told
    assert kept is not None
    assert (kept.client_id, kept.obtained_at, {kept.refresh_token}) == (CLIENT, NOW, tokens.refresh)
    assert [c.split()[:2] for c in imap.commands if c.startswith("AUTH")] == [["AUTHENTICATE", "XOAUTH2"]]
    assert "canary" not in told


async def test_it_waits_until_the_code_was_typed_in(servers: Any, tmp_path: Path) -> None:
    tokens, _, _ = servers
    tokens.fails = [(400, {"error": "authorization_pending"})]
    tokens.consent()

    code, told = await signed_in(desk_of(servers, tmp_path), "json")

    facts = [json.loads(line) for line in told.splitlines()]
    assert code == Exit.OK
    assert facts[0] == {"open": "https://login.example/device", "code": "ABCD-EFGH", "expires_in_s": 900.0}
    assert len([form for form in tokens.asked if "device_code" in form.get("grant_type", "")]) == 2


@pytest.mark.parametrize(
    ("answer", "said", "mend"),
    [
        ({"error": "access_denied"}, "whoever signed in said no", "intake login support-mail"),
        ({"error": "expired_token", "error_description": "too late"}, "expired_token: too late", "mail-servers.md"),
        (
            {"error": "invalid_client", "error_description": "AADSTS7000218: The request body must contain …"},
            "may not sign people in by code",
            "Allow public client flows",
        ),
    ],
)
async def test_a_no_is_said_with_what_helps(
    servers: Any, tmp_path: Path, answer: dict[str, str], said: str, mend: str
) -> None:
    tokens, _, _ = servers
    tokens.fails = [(400, answer)]

    with pytest.raises(Failure, match=re.escape(said)) as failed:
        await signed_in(desk_of(servers, tmp_path))

    assert failed.value.code == Exit.WRONG
    assert mend in failed.value.mend
    assert not (tmp_path / "var" / "oauth" / "support-mail.json").exists()


async def test_by_browser_on_another_machine(servers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is pasted; one that answers another sign-in is refused and asked for again."""
    tokens, _, _ = servers
    desk = desk_of(servers, tmp_path, flow="browser")
    reading, writing = os.pipe()
    with os.fdopen(reading) as typed, os.fdopen(writing, "w") as hand:
        monkeypatch.setattr("sys.stdin", typed)
        out = io.StringIO()
        args = Namespace(config=str(desk.path), channel="support-mail")
        signing = asyncio.create_task(login.run(args, Screen(out, is_json=True), StandingClock()))
        while not out.getvalue():
            await asyncio.sleep(0.01)
        address = json.loads(out.getvalue().splitlines()[0])["open"]
        hand.write("http://127.0.0.1:1/?state=another&code=canary\n")
        hand.flush()
        hand.write(tokens.open_in_browser(address) + "\n")
        hand.flush()
        code = await asyncio.wait_for(signing, 20)

    assert code == Exit.OK
    assert read_login(tmp_path / "var" / "oauth" / "support-mail.json") is not None
    assert "this is not the address" in out.getvalue()


async def test_by_browser_on_this_machine(servers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, _, _ = servers
    desk = desk_of(servers, tmp_path, flow="browser")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    out = io.StringIO()
    args = Namespace(config=str(desk.path), channel="support-mail")
    signing = asyncio.create_task(login.run(args, Screen(out, is_json=True), StandingClock()))
    while not out.getvalue():
        await asyncio.sleep(0.01)
    back = tokens.open_in_browser(json.loads(out.getvalue().splitlines()[0])["open"])
    host, _, path = back.removeprefix("http://").partition("/")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    for request in ("GET /favicon.ico", f"GET /{path}"):
        if writer.is_closing():
            break
        writer.write(f"{request} HTTP/1.1\r\n\r\n".encode())
        page = await reader.read()
        writer.close()
        reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.close()

    assert await asyncio.wait_for(signing, 20) == Exit.OK
    assert b"You are signed in" in page


async def test_for_an_application_the_administrators_commands_are_printed(servers: Any, tmp_path: Path) -> None:
    tokens, _, _ = servers
    (tmp_path / "app").write_text("secret-canary\n")
    desk = desk_of(servers, tmp_path, flow="app-only", client_secret=f'{{ file = "{tmp_path}/app" }}')

    code, told = await signed_in(desk)

    assert code == Exit.OK
    assert CLIENT in told
    assert "canary" not in told
    assert {form["grant_type"] for form in tokens.asked} == {"client_credentials"}


def test_the_commands_for_microsoft_name_mailbox_application_and_directory() -> None:
    oauth = OAuthSettings(
        provider="microsoft", client_id="1111-22", tenant="firm.example", flow="app-only", client_secret={"file": "x"}
    )
    server = {"host": "outlook.office365.com"}
    settings = MailSettings(
        address="help@firm.example", imap={**server, "username": "o'hara@firm.example"}, smtp=server, oauth=oauth
    )

    lines = "\n".join(admin_commands(settings, oauth)[1])

    for words in (
        "IMAP.AccessAsApp",
        "SMTP.SendAsApp",
        "New-ServicePrincipal -AppId '1111-22' -ObjectId $app.Id",
        "Add-MailboxPermission -Identity 'o''hara@firm.example' -User $app.Id -AccessRights FullAccess",
        "Add-RecipientPermission -Identity 'help@firm.example' -Trustee $app.Id -AccessRights SendAs",
        "https://login.microsoftonline.com/firm.example/adminconsent?client_id=1111-22",
    ):
        assert words in lines


async def test_a_mail_server_that_refuses_is_a_wrong_end(servers: Any, tmp_path: Path) -> None:
    tokens, _, smtp = servers
    smtp.script["AUTH"] = [
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox."
    ]
    tokens.consent()

    code, told = await signed_in(desk_of(servers, tmp_path), "json")

    [bad] = [one for one in map(json.loads, told.splitlines()) if one.get("state") == "bad"]
    assert code == Exit.WRONG
    assert bad["problem"].startswith("SMTP AUTH is off for this mailbox")
    assert "-SmtpClientAuthenticationDisabled $false" in bad["mend"]


@pytest.mark.parametrize(
    ("channel", "code", "said"),
    [
        ("nobody", Exit.NOT_FOUND, 'no channel "nobody"'),
        ("hotline", Exit.USAGE, "no mail channel"),
        ("support-mail", Exit.USAGE, "signs in with a password"),
    ],
)
def test_channels_that_nobody_signs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str, code: Exit, said: str
) -> None:
    stand_still(monkeypatch)

    ended, out, err = Desk(tmp_path).says("login", channel)

    assert (ended, out) == (code, "")
    assert said in err
