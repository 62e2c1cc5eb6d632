"""A small firm with all three channels, for tests that feed its daemon and look at what it says.

    firm = Firm(folder, imap_port=dovecot.imap_port, smtp_port=sink.port)
    with serving(firm) as daemon:          # a Daemon, with HTTP
        daemon.health()["loops"]["support-mail"]
        daemon.ring("call-1")

`relay()` is a scripted relay in a thread of its own, which takes whatever is sent unless it is told otherwise.
Its calendar is always open, its agents have no limit, and it answers on a free port; every part of its configuration
may be wrong on purpose.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from support.daemon import PATIENCE, Daemon, wait_until
from support.ports import free_ports
from support.smtpscript import ScriptedSmtp

DRAIN = 10.0  # seconds
SITE = "http://www.firm.example"  # where the chat may be opened
SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"  # of the exchange: 43 characters, 256 bit

CONFIG = """
[desk]
firm = "安信財稅"
language = "zh-Hant"
region = "TW"
calendar = "always"
default_team = "tax"

[store]
url = "sqlite:///{folder}/intake.db"
state_dir = "{state}"

[http]
host = "127.0.0.1"
port = {http_port}

[log]
level = "{log_level}"
format = "json"

[tokens]
key = {{ file = "{token_key}" }}

[limits]
parser_workers = 1
free_space = {free_space}
free_space_share = {free_share}
drain_timeout = "{drain}"
automatic_per_hour = 0
ack_per_domain_and_day = 0
{limits}

[channels.support-mail]
type = "mail"
address = "support@firm.example"
display_name = "安信財稅客服"
token_in = "plus"
authserv_id = "mail.firm.example"
border_host = "mail.firm.example"

[channels.support-mail.imap]
host = "127.0.0.1"
port = {imap_port}
security = "none"
username = "support@firm.example"
password = {{ file = "{imap_password}" }}
folders = {folders}
since = "{since}"
{imap}

[channels.support-mail.smtp]
host = "127.0.0.1"
port = {smtp_port}
security = "none"
{smtp}

[channels.website]
type = "webchat"
path = "/chat"
origins = ["{site}"]

[channels.hotline]
type = "telephony"
path = "/phone"
secret = {{ file = "{phone_secret}" }}
region = "TW"
reply_channel = "support-mail"
users = {{ 201 = "chen" }}

[agents.chen]
display_name = "陳怡君"
addresses = ["chen@firm.example"]
complaints = true
capacity = 100000

[agents.wu]
display_name = "吳淑芬"
addresses = ["wu@firm.example"]
complaints = true
supervisor = true
capacity = 100000

[teams.tax]
display_name = "稅務組"
members = ["chen", "wu"]
supervisors = ["wu"]

[calendars.always]
timezone = "Asia/Taipei"
country = ""
hours = {{ mon-sun = ["00:00-24:00"] }}
{more}
"""


@dataclass
class Firm:
    """What is written into the configuration; every part may be wrong on purpose."""

    folder: Path
    imap_port: int
    smtp_port: int
    http_port: int = field(default_factory=lambda: free_ports(1)[0])
    password: str = "secret"
    folders: list[str] = field(default_factory=lambda: ["INBOX"])
    token_key: str = "0123456789abcdef" * 4
    state: Path | None = None
    smtp_password: str = ""  # with one, the daemon logs in
    since: str = "all"
    free_space: str | int = 0
    free_share: float = 0.0
    imap: str = ""  # further lines of each table
    smtp: str = ""
    limits: str = ""
    more: str = ""
    log_level: str = "info"

    @property
    def state_dir(self) -> Path:
        return self.state or self.folder / "var"

    @property
    def database(self) -> Path:
        return self.folder / "intake.db"

    def write(self) -> Path:
        """Write the files: the path of config.toml."""
        config = self.folder / "config.toml"
        config.write_text(
            CONFIG.format(
                folder=self.folder, state=self.state_dir, drain=f"{DRAIN:g}s", http_port=self.http_port,
                log_level=self.log_level,
                token_key=self._secret("token.key", self.token_key), limits=self.limits,
                free_space=json.dumps(self.free_space), free_share=self.free_share,
                imap_port=self.imap_port, imap_password=self._secret("imap.password", self.password),
                folders=json.dumps(self.folders), imap=self.imap, since=self.since,
                smtp_port=self.smtp_port, smtp=self.smtp + self._smtp_login(),
                phone_secret=self._secret("phone.secret", SECRET), site=SITE, more=self.more,
            ),
            encoding="utf-8",
        )  # fmt: skip
        return config

    def _smtp_login(self) -> str:
        if not self.smtp_password:
            return ""
        path = self._secret("smtp.password", self.smtp_password)
        return f'username = "support@firm.example"\npassword = {{ file = "{path}" }}\n'

    def _secret(self, name: str, value: str) -> Path:
        path = self.folder / name
        path.write_text(value + "\n")
        path.chmod(0o600)
        return path


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """The sentence of a refusal."""
        return str(json.loads(self.body)["error"])


class Desk(Daemon):
    """The firm's daemon, and its front door."""

    def __init__(self, firm: Firm, crash: str = "") -> None:
        super().__init__(firm.write(), crash, drain=DRAIN)
        self.firm = firm

    def get(self, path: str) -> Answer:
        return self._http(urllib.request.Request(f"http://127.0.0.1:{self.firm.http_port}{path}"))

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> Answer:
        where = f"http://127.0.0.1:{self.firm.http_port}{path}"
        return self._http(urllib.request.Request(where, data=body, headers={"Content-Type": content_type}))

    def _http(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, dict(refusal.headers), refusal.read())

    def health(self) -> dict[str, Any]:
        """/healthz, whatever its status."""
        told: dict[str, Any] = json.loads(self.get("/healthz").body)
        return told

    def ring(self, call: str, event: str = "newCall", secret: str = SECRET, **more: str) -> Answer:
        """One event of a call, as an exchange posts it."""
        caller = f"+8869{zlib.crc32(call.encode()) % 10**8:08}"  # somebody else for each call
        body = {"event": event, "direction": "in", "from": caller, "to": "0223450000", "callId": call} | more
        return self.post(f"/phone/{secret}", json.dumps(body).encode())

    def chat(self, words: str, line_id: str = "") -> dict[str, Any]:
        """A new visitor says one line: the frame that answers it, "ack" once it is kept. No loop may run here."""
        return asyncio.run(self._chat(words, line_id or f"line-{time.monotonic_ns()}"))

    async def _chat(self, words: str, line_id: str) -> dict[str, Any]:
        where = f"http://127.0.0.1:{self.firm.http_port}/chat/ws"
        async with (
            asyncio.timeout(PATIENCE),
            aiohttp.ClientSession() as browser,
            browser.ws_connect(where, headers={"Origin": SITE}) as page,
        ):
            await page.send_json({"type": "hello"})
            assert (await page.receive_json())["type"] == "welcome"
            await page.send_json({"type": "msg", "id": line_id, "text": words})
            answer: dict[str, Any] = await page.receive_json()
            return answer

    def complaints(self, *besides: str) -> list[str]:
        """The events that it logged as warnings or errors, each once, without those that the test knows of."""
        found = {str(line["event"]) for line in self.lines if line.get("level") in ("warning", "error", "critical")}
        return sorted(found - set(besides))

    def decided(self, count: int, seconds: float = PATIENCE) -> None:
        """Return once so many messages are in the store and none waits to be decided."""

        def look() -> bool:
            [found] = self.rows(
                "SELECT count(*) AS n, coalesce(sum(state IN ('accepted', 'claimed')), 0) AS waiting FROM message"
            )
            return found["n"] >= count and not found["waiting"]

        wait_until(look, f"{count} messages decided\n{self.story()}", seconds)


@contextmanager
def serving(firm: Firm, crash: str = "") -> Iterator[Desk]:
    """The firm's daemon, started; ended at the end."""
    desk = Desk(firm, crash)
    with desk:
        yield desk


@contextmanager
def relay(script: dict[str, list[str]] | None = None, **how: Any) -> Iterator[ScriptedSmtp]:
    """A scripted relay, for tests that do not run in a loop themselves."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)

    server = ScriptedSmtp(script or {}, **how)
    try:
        yield run(server.__aenter__())
    finally:
        run(server.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()
