"""Signing in to mail servers: by token, by any password that a person may have, and what a server's no means."""

from __future__ import annotations

import asyncio
import re
import tempfile
import tomllib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from support.dovecot import Dovecot
from support.mailbox import Ledger, tools_for
from support.needs import needs
from support.smtpscript import ScriptedSmtp
from support.tokenserver import CLIENT, TokenServer

from channels.adapter import ChannelAway, LoginRefused, TemporaryFailure
from channels.credential_dates import endings
from channels.imap import ImapReceiver
from channels.imap_client import open_imap
from channels.oauth_account import OAuthAccount
from channels.oauth_file import SavedLogin, write_login
from channels.settings import ImapSettings, MailSettings, OAuthSettings, SmtpSettings
from channels.signin_words import Login, advice
from channels.smtp_connect import connect
from intake.supervise import Supervisor

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
DESK, OTHER = "desk@firm.example", "other@firm.example"

#: What people choose as a password, and what breaks programs.
PASSWORDS = [
    'quote"d',
    "back\\slash",
    "two words",
    "密碼🔑",
    "pässword",
    "{5}",
    "*)(%",
    "~!@#$^&-_=+[]|;',.<>/?",
]


class StandingClock:
    def now(self) -> datetime:
        return NOW

    async def sleep_until(self, when: datetime) -> None:
        raise NotImplementedError


def account(server: TokenServer, folder: Path, user: str = DESK) -> OAuthAccount:
    path = folder / "login.json"
    login = SavedLogin(client_id=CLIENT, refresh_token=server.grant(), obtained_at=NOW, used_at=NOW)
    write_login(path, login)
    settings = OAuthSettings(provider="custom", client_id=CLIENT, **server.addresses)
    return OAuthAccount("support-mail", settings, user, path, StandingClock())


def imap_at(port: int, folder: Path, password: str = "", user: str = DESK, **changes: Any) -> ImapSettings:
    (folder / "password").write_text(password or "unused", encoding="utf-8")
    return ImapSettings(
        host="127.0.0.1", port=port, security="none", username=user, password={"file": folder / "password"}, **changes
    )


class LoginServer:
    """Greets, and lets in by AUTHENTICATE or LOGIN; what it understood is in `seen`."""

    def __init__(self, *capabilities: str, refuses: str = "", after: tuple[str, ...] = ("IDLE",)) -> None:
        self.capabilities = ("IMAP4rev1", *capabilities)
        self.after = ("IMAP4rev1", *after)
        self.refuses = refuses  # words of the NO
        self.question = b""  # asked before a NO
        self.seen: list[Any] = []
        self.lines: list[str] = []
        self._open: list[asyncio.StreamWriter] = []
        self._tasks: list[Any] = []

    async def __aenter__(self) -> LoginServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        self._tasks.append(asyncio.current_task())
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        is_in = False
        while line := (await reader.readline()).decode():
            self.lines.append(line.strip())
            tag, verb, *rest = line.split()
            words = "OK done"
            if verb == "CAPABILITY":
                offered = self.after if is_in else self.capabilities
                writer.write(f"* CAPABILITY {' '.join(offered)}\r\n".encode())
            elif verb == "AUTHENTICATE":
                await self._authenticate(rest, reader, writer)
            elif verb == "LOGIN" and line.rstrip().endswith("}"):
                await self._by_literals(line, reader, writer)
            elif verb == "LOGIN":
                self.seen.append(line.split(" ", 2)[2].strip())
            if verb in ("AUTHENTICATE", "LOGIN"):
                is_in = not self.refuses
                words = f"NO {self.refuses}" if self.refuses else words
                if self.refuses and self.question:
                    writer.write(b"+ " + self.question + b"\r\n")
                    self.seen.append((await reader.readline()).strip())
            writer.write(f"{tag} {words}\r\n".encode())
        writer.close()

    async def _authenticate(self, rest: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        responses = [b64decode(one) for one in rest[1:]]
        while len(responses) < (2 if rest[0] == "LOGIN" else 1):
            writer.write(b"+ \r\n")
            responses.append(b64decode(await reader.readline()))
        self.seen.append((rest[0], *responses))

    async def _by_literals(self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = []
        while line.rstrip().endswith("}"):
            writer.write(b"+ go on\r\n")
            size = int(line.rstrip()[line.rindex("{") + 1 : -1])
            found.append(await reader.readexactly(size))
            line = (await reader.readline()).decode()
        self.seen.append(tuple(found))


async def let_in(server: LoginServer, folder: Path, password: str, user: str = DESK) -> bool:
    imap = await open_imap(imap_at(server.port, folder, password, user, command_timeout="3s"))
    try:
        return imap.has_idle
    finally:
        imap.abort()


# ---- passwords


@pytest.mark.parametrize(
    ("capabilities", "password", "seen"),
    [
        ((), "plain", f'"{DESK}" "plain"'),
        (("AUTH=PLAIN", "SASL-IR"), "plain", f'"{DESK}" "plain"'),
        (("AUTH=PLAIN", "SASL-IR"), "密碼", ("PLAIN", f"\0{DESK}\0密碼".encode())),
        (("AUTH=PLAIN",), "tab\there", ("PLAIN", f"\0{DESK}\0tab\there".encode())),
        (("AUTH=PLAIN",), "密碼", ("PLAIN", f"\0{DESK}\0密碼".encode())),
        (("AUTH=LOGIN",), "密碼", ("LOGIN", DESK.encode(), "密碼".encode())),
        ((), "密碼", (DESK.encode(), "密碼".encode())),
        (("LOGINDISABLED", "AUTH=PLAIN"), "plain", ("PLAIN", f"\0{DESK}\0plain".encode())),
        (("LOGINDISABLED", "AUTH=LOGIN"), "plain", ("LOGIN", DESK.encode(), b"plain")),
        (("logindisabled", "auth=plain", "sasl-ir"), "plain", ("PLAIN", f"\0{DESK}\0plain".encode())),
    ],
)
async def test_the_way_that_this_server_and_this_password_allow(
    tmp_path: Path, capabilities: tuple[str, ...], password: str, seen: Any
) -> None:
    async with LoginServer(*capabilities) as server:
        has_idle = await let_in(server, tmp_path, password)

    assert server.seen == [seen]
    assert has_idle  # it is offered only to those who are in: capabilities are asked for again


async def test_a_server_that_takes_no_password_is_no_wrong_password(tmp_path: Path) -> None:
    async with LoginServer("LOGINDISABLED") as server:
        with pytest.raises(TemporaryFailure, match="no password in plain text") as away:
            await let_in(server, tmp_path, "plain")

    assert not isinstance(away.value, LoginRefused)
    assert server.seen == []


async def test_a_line_end_in_a_password_is_never_sent(tmp_path: Path) -> None:
    async with LoginServer() as server:
        with pytest.raises(LoginRefused, match="line end"):
            await let_in(server, tmp_path, 'x"\r\na1 DELETE INBOX\r\nx')

    assert [line for line in server.lines if "CAPABILITY" not in line] == []


async def test_a_password_that_the_server_repeats_is_not_told(tmp_path: Path) -> None:
    async with LoginServer(refuses="[AUTHENTICATIONFAILED] wrong password: canary-42") as server:
        with pytest.raises(LoginRefused, match="wrong password: …"):
            await let_in(server, tmp_path, "canary-42")


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    needs("dovecot", "openssl")
    with Dovecot({DESK: "secret", OTHER: "secret"}) as running:
        yield running


@pytest.mark.system
@pytest.mark.parametrize("number", range(len(PASSWORDS)))
async def test_a_real_server_takes_any_password(dovecot: Dovecot, tmp_path: Path, number: int) -> None:
    password = PASSWORDS[number]
    user = f"user{number}@firm.example"
    dovecot.add_user(user, password)

    imap = await open_imap(imap_at(dovecot.imap_port, tmp_path, password, user))

    assert (await imap.select("INBOX")).exists == 0
    imap.abort()
    with pytest.raises(LoginRefused):
        await open_imap(imap_at(dovecot.imap_port, tmp_path, password + "x", user))


# ---- tokens


@pytest.mark.parametrize(
    ("capabilities", "mechanism", "shown"),
    [
        (("AUTH=XOAUTH2", "AUTH=OAUTHBEARER", "SASL-IR"), "XOAUTH2", b"user="),
        (("AUTH=XOAUTH2",), "XOAUTH2", b"user="),
        (("AUTH=OAUTHBEARER", "SASL-IR"), "OAUTHBEARER", b"n,a="),
    ],
)
async def test_a_token_is_shown_as_the_server_wants_it(
    tmp_path: Path, capabilities: tuple[str, ...], mechanism: str, shown: bytes
) -> None:
    async with TokenServer() as tokens, LoginServer(*capabilities) as server:
        one = account(tokens, tmp_path)
        (await open_imap(imap_at(server.port, tmp_path), one)).abort()

        [(said, response)] = server.seen
        token = await one.token()

    assert said == mechanism
    assert response.startswith(shown + DESK.encode())
    assert f"auth=Bearer {token}\x01\x01".encode() in response


@pytest.mark.parametrize(("mechanism", "word"), [("XOAUTH2", b""), ("OAUTHBEARER", b64encode(b"\x01"))])
async def test_the_question_before_a_refusal_is_answered(tmp_path: Path, mechanism: str, word: bytes) -> None:
    """Else both sides wait for ever."""
    async with TokenServer() as tokens, LoginServer(f"AUTH={mechanism}", refuses="AUTHENTICATE failed.") as server:
        server.question = b64encode(b'{"status":"400"}')
        with pytest.raises(LoginRefused, match="AUTHENTICATE failed"):
            await open_imap(imap_at(server.port, tmp_path, command_timeout="3s"), account(tokens, tmp_path))

    assert server.seen[-1] == word


async def test_a_server_without_tokens(tmp_path: Path) -> None:
    async with TokenServer() as tokens, LoginServer("AUTH=PLAIN") as server:
        with pytest.raises(TemporaryFailure, match="no sign-in by token"):
            await open_imap(imap_at(server.port, tmp_path), account(tokens, tmp_path))

    assert server.seen == []


@pytest.mark.parametrize("way", ["XOAUTH2", "OAUTHBEARER"])
async def test_a_relay_takes_the_token_and_refuses_another(tmp_path: Path, way: str) -> None:
    async with TokenServer() as tokens, ScriptedSmtp(tokens=tokens.alive, token_ways=way) as relay:
        one = account(tokens, tmp_path)
        settings = SmtpSettings(host="127.0.0.1", port=relay.port, security="none")
        (await connect(settings, DESK, one)).close()
        tokens.revoke_access()
        with pytest.raises(LoginRefused, match="535") as refused:
            await connect(settings, DESK, one)
        client = await connect(settings, DESK, one)  # with a new token, without waiting for the old one's end
        client.close()

    assert "canary" not in str(refused.value)
    assert len(tokens.asked) == 2


BY_TOKEN = """
auth_mechanisms = plain login xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""
TOKENS = """
introspection_url = {url}
introspection_mode = get
force_introspection = yes
username_attribute = email
active_attribute = active
active_value = true
"""


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[TokenServer, Dovecot]]:
    """Dovecot asks the token server whether a token counts."""
    needs("dovecot", "openssl")
    async with TokenServer() as tokens:
        folder = Path(tempfile.mkdtemp(prefix="dovecot-"))  # not under pytest's own, which only root may enter
        (folder / "oauth2.conf").write_text(TOKENS.format(url=f"{tokens.base}/introspect?token="))
        with Dovecot({DESK: "secret"}, folder, more=BY_TOKEN.format(folder=folder)) as running:
            yield tokens, running


@pytest.mark.system
async def test_a_real_server_asks_the_token_server(both: tuple[TokenServer, Dovecot], tmp_path: Path) -> None:
    tokens, dovecot = both
    one = account(tokens, tmp_path)

    imap = await open_imap(imap_at(dovecot.imap_port, tmp_path), one)
    assert (await imap.select("INBOX")).exists == 0
    imap.abort()

    tokens.revoke_access()
    with pytest.raises(LoginRefused) as refused:
        await asyncio.wait_for(open_imap(imap_at(dovecot.imap_port, tmp_path), one), 15)
    (await open_imap(imap_at(dovecot.imap_port, tmp_path), one)).abort()

    assert "canary" not in str(refused.value)
    assert tokens.introspected >= 3


@pytest.mark.system
async def test_reading_goes_on_when_a_token_ends(both: tuple[TokenServer, Dovecot], tmp_path: Path) -> None:
    """The session is closed, as Gmail does at a token's end: the next one has a new token, and no mail is lost."""
    tokens, dovecot = both
    one, ledger = account(tokens, tmp_path), Ledger()
    settings = imap_at(dovecot.imap_port, tmp_path, since="all")
    supervisor = Supervisor(chance=lambda: 0.01)
    receiver = ImapReceiver("mail", settings, tools_for(ledger), one)
    reading = asyncio.create_task(supervisor.keep("mail", lambda: receiver.receive(ledger.accept)))
    try:
        dovecot.deliver(DESK, b"Subject: before\r\n\r\n.\r\n")
        await until(lambda: len(ledger.arrivals) == 1)
        tokens.revoke_access()
        one._token.minted_at -= 3600  # type: ignore[union-attr]
        await asyncio.to_thread(dovecot.restart)
        dovecot.deliver(DESK, b"Subject: after\r\n\r\n.\r\n")
        await until(lambda: len(ledger.arrivals) == 2)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    assert len(tokens.asked) == 2


@pytest.mark.system
async def test_one_mailbox_that_is_refused_never_stops_another(dovecot: Dovecot, tmp_path: Path) -> None:
    ledger, supervisor = Ledger(), Supervisor()
    (tmp_path / "wrong").mkdir()
    wrong = imap_at(dovecot.imap_port, tmp_path / "wrong", "not it", OTHER)
    right = imap_at(dovecot.imap_port, tmp_path, "secret", since="all")
    receivers = {
        "wrong": ImapReceiver("wrong", wrong, tools_for(Ledger())),
        "right": ImapReceiver("right", right, tools_for(ledger)),
    }
    async with asyncio.TaskGroup() as group:
        loops = [
            group.create_task(supervisor.keep(n, lambda r=r: r.receive(ledger.accept))) for n, r in receivers.items()
        ]
        await until(lambda: "wrong" in supervisor.loops and supervisor.loops["wrong"].is_waiting)
        dovecot.deliver(DESK, b"Subject: still read\r\n\r\n.\r\n")
        await until(lambda: len(ledger.arrivals) == 1)
        for loop in loops:
            loop.cancel()

    assert "refused the login of other@firm.example" in supervisor.loops["wrong"].last_error
    assert supervisor.loops["wrong"].failures == 1
    assert not supervisor.loops["right"].is_waiting


async def until(holds: Any, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


# ---- settings


SERVER = {"host": "mail.firm.example", "username": DESK}
OAUTH = {"provider": "google", "client_id": "x"}


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"imap": SERVER, "smtp": {"host": "x.example"}}, "imap: give password"),
        ({"imap": {**SERVER, "password": {"file": "p"}}, "smtp": {"host": "x.example"}, "oauth": OAUTH}, "not both"),
        ({"imap": {**SERVER, "security": "none"}, "smtp": {"host": "x.example"}, "oauth": OAUTH}, "plain text"),
        ({"imap": SERVER, "smtp": SERVER, "oauth": {**OAUTH, "signs_in": ["imap"]}}, "smtp: give both"),
        ({"imap": SERVER, "smtp": {"host": "x.example"}, "oauth": {**OAUTH, "signs_in": ["smtp"]}}, "imap: give"),
    ],
)
def test_each_side_has_one_way_in(tables: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MailSettings(address=DESK, **tables)


def test_the_relay_is_shown_the_mailboxs_name_unless_another_is_written() -> None:
    whole = MailSettings(address=DESK, imap=SERVER, smtp={"host": "x.example"}, oauth=OAUTH)
    own = MailSettings(address=DESK, imap=SERVER, smtp={"host": "x.example", "username": "relay"}, oauth=OAUTH)
    none = MailSettings(address=DESK, imap=SERVER, smtp={"host": "x"}, oauth={**OAUTH, "signs_in": ["imap"]})

    assert [s.signed_in_smtp.username for s in (whole, own, none)] == [DESK, "relay", None]


# ---- what a server's no means


MICROSOFT = Login(
    channel="desk", host="outlook.office365.com", username=DESK, client_id="1-2", tenant="firm.example", by_token=True
)
APP = replace(MICROSOFT, is_app_only=True)
PASSWORD = replace(MICROSOFT, by_token=False)
GMAIL = Login(channel="desk", host="imap.gmail.com", username=DESK)
QQ = Login(channel="desk", host="imap.exmail.qq.com", username=DESK)
NETEASE = Login(channel="desk", host="imap.163.com", username=DESK)


@pytest.mark.parametrize(
    ("login", "words", "problem", "mend"),
    [
        (MICROSOFT, "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. "
         "Visit https://aka.ms/smtp_auth_disabled", "SMTP AUTH is off for this mailbox", "Set-CASMailbox"),
        (MICROSOFT, "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
         "Visit https://aka.ms/smtp_auth_disabled", "SMTP AUTH is off for the whole", "Set-CASMailbox"),
        (PASSWORD, "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
         "takes no passwords", "[channels.desk.oauth]"),
        (MICROSOFT, "invalid_grant: AADSTS65001: The user or administrator has not consented to use the application",
         "nobody has consented", "login.microsoftonline.com/firm.example/adminconsent?client_id=1-2"),
        (MICROSOFT, "invalid_request: AADSTS90002: Tenant 'firm.exmple' not found.", "no such directory", "tenant"),
        (APP, "invalid_client: AADSTS7000222: The provided client secret keys for app '1-2' are expired.",
         "client secret has expired", "secret_expires_on"),
        (APP, "invalid_client: AADSTS7000215: Invalid client secret provided.", "secret is wrong", "Value"),
        (APP, "unauthorized_client: AADSTS700016: Application with identifier '1-2' was not found in the directory",
         "does not know the application", "client_id"),
        (MICROSOFT, "invalid_grant: AADSTS50057: The user account is disabled.", "is disabled", "enable"),
        (MICROSOFT, "invalid_grant: AADSTS700082: The refresh token has expired due to inactivity.",
         "saved login has expired", "intake login desk"),
        (MICROSOFT, "invalid_grant: AADSTS50173: The provided grant has expired due to it being revoked",
         "password was changed", "intake login desk"),
        (APP, "A1 NO AUTHENTICATE failed.", "application may not use it", "New-ServicePrincipal"),
        (APP, "BAD User is authenticated but not connected.", "no right to this mailbox", "Add-MailboxPermission"),
        (MICROSOFT, "BAD User is authenticated but not connected.", "IMAP is off", "-ImapEnabled $true"),
        (PASSWORD, "NO LOGIN failed.", "no passwords for IMAP", "[channels.desk.oauth]"),
        (APP, "535 5.7.3 Authentication unsuccessful [TY2PR0101CA0012.apcprd01.prod.exchangelabs.com]",
         "may not send from this mailbox", "SMTP.SendAsApp"),
        (APP, "554 5.2.252 SendAsDenied; desk@firm.example not allowed to send as help@firm.example", "SendAs",
         "Add-RecipientPermission"),
        (MICROSOFT, "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "SendAs", "-Trustee"),
        (GMAIL, "[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "neither this password", "apppasswords"),
        (replace(GMAIL, by_token=True), "[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "not desk@firm.example",
         "IMAP on"),
        (GMAIL, "[ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833",
         "wants an app password", "apppasswords"),
        (GMAIL, "534-5.7.9 Application-specific password required.", "wants an app password", "oauth"),
        (GMAIL, "[WEBALERT https://accounts.google.com/signin/continue?sarp=1] Web login required.", "with a browser",
         "browser"),
        (GMAIL, "534-5.7.14 <https://accounts.google.com/signin> Please log in via your web browser", "with a browser",
         "confirm"),
        (GMAIL, "[ALERT] Your account is not enabled for IMAP use.", "IMAP is off", "settings"),
        (QQ, "535 Login Fail. Please enter your authorization code to login. More information in "
         "http://service.mail.qq.com", "authorisation code", "授权码"),
        (QQ, "535 Login fail. Account is abnormal, service is not open", "IMAP/SMTP is off", "on"),
        (NETEASE, "SELECT Unsafe Login. Please contact kefu@188.com for help", "not allowed this program", "IMAP on"),
        (NETEASE, "NO LOGIN Login error or password error", "want an authorisation code", "授权码"),
        (NETEASE, "550 User has no permission", "IMAP/SMTP is off", "both on"),
        (NETEASE, "535 Error: authentication failed", "want an authorisation code", "授权码"),
    ],
)  # fmt: skip
def test_a_servers_no_in_plain_words(login: Login, words: str, problem: str, mend: str) -> None:
    found = advice(f"mail.example:993 refused the login of {DESK}: {words}", login)

    assert found is not None
    assert problem in found.problem
    assert mend in found.mend
    assert "{" not in found.problem + found.mend


@pytest.mark.parametrize(
    "words",
    [
        "[AUTHENTICATIONFAILED] Authentication failed.",
        "[Errno 111] Connect call failed",
        "no answer within 30 s",
        "421 4.7.0 try again later",
        "certificate verify failed: Hostname mismatch",
    ],
)
def test_what_is_not_in_the_table_is_left_in_the_servers_words(words: str) -> None:
    assert advice(words, Login(channel="desk", host="mail.firm.example", username=DESK)) is None


# ---- ends


@pytest.mark.parametrize(
    ("on", "mark", "said"),
    [
        (date(2026, 12, 24), None, "in 31 days"),
        (date(2026, 12, 23), 30, "in 30 days"),
        (date(2026, 12, 1), 30, "in 8 days"),
        (date(2026, 11, 30), 7, "in 7 days"),
        (date(2026, 11, 24), 1, "tomorrow"),
        (date(2026, 11, 23), 0, "today"),
        (date(2026, 11, 1), 0, "ended on"),
    ],
)
def test_an_end_is_said_in_time(on: date, mark: int | None, said: str) -> None:
    settings = OAuthSettings(provider="google", client_id="x", secret_expires_on=on)

    [ending] = endings("desk", settings, None)

    assert ending.mark(NOW) == mark
    assert said in ending.sentence(NOW)


@pytest.mark.parametrize(
    ("provider", "changes", "ends_on"),
    [
        ("microsoft", {}, date(2027, 2, 21)),  # unused for 90 days
        ("google", {}, date(2027, 5, 22)),
        ("google", {"expires_at": datetime(2026, 11, 30, tzinfo=UTC)}, date(2026, 11, 30)),
        ("google", {"expires_at": datetime(2026, 11, 23, 6, 30, tzinfo=UTC), "slides": True}, date(2027, 5, 22)),
    ],
)
def test_a_saved_login_ends_as_its_server_says_or_when_it_is_not_used(
    provider: Any, changes: dict[str, Any], ends_on: date
) -> None:
    login = SavedLogin(client_id="x", refresh_token="r", obtained_at=NOW, used_at=NOW, **changes)

    [ending] = endings("desk", OAuthSettings(provider=provider, client_id="x"), login)

    assert (ending.what, ending.ends_on) == ("saved login", ends_on)


async def test_an_away_token_server_is_no_refusal(tmp_path: Path) -> None:
    async with TokenServer() as tokens, LoginServer("AUTH=XOAUTH2") as server:
        one = account(tokens, tmp_path)
        tokens.fails = [(503, "")]
        with pytest.raises(ChannelAway) as away:
            await open_imap(imap_at(server.port, tmp_path), one)

    assert not isinstance(away.value, LoginRefused)
    assert server.lines == []  # nobody knocks without a token


PAGE = Path(__file__).parents[2] / "docs" / "mail-servers.md"
EXAMPLES = re.findall(r"(?ms)^```toml\n(.*?)^```", PAGE.read_text("utf-8"))


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_what_the_page_says_to_write_is_accepted(number: int) -> None:
    [settings] = tomllib.loads(EXAMPLES[number])["channels"].values()

    assert MailSettings.model_validate(settings).type == "mail"


def test_the_page_has_an_example_for_every_provider() -> None:
    assert len(EXAMPLES) == 9
