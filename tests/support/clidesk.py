"""A small desk for the command line's tests: a configuration, and a store in which real decisions were written.

desk = Desk(tmp_path)
desk.take(mail("mei@customer.example", "營業稅"), at=NOW)    # accepted and decided, as the daemon does
code, out, err = desk.says("show", "1001", "--text")
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from channels import mime
from channels.adapter import Arrival
from channels.message import Medium
from channels.normal_json import dumps
from intake import daemon
from intake.__main__ import main
from intake.config import Config, load
from intake.gather import domains_of, gather, left_by_machine, people
from intake.writing import write
from routing.chain import decide
from routing.desk import Incoming
from routing.tokens import Keyring
from store import events, messages
from store.engine import Database
from store.messages import Finished
from store.numbers import take
from store.upgrade import upgrade

NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)  # Monday 14:10 in Taipei
T = TypeVar("T")

CONFIG = """\
[desk]
firm = "安信財稅"
region = "TW"

[store]
url = "sqlite:///var/intake.db"
state_dir = "var"

[http]
port = {port}

[tokens]
key = {{ file = "secrets/token.key" }}

[channels.support-mail]
type = "mail"
address = "support@firm.example"
authserv_id = "mail.firm.example"
[channels.support-mail.imap]
host = "127.0.0.1"
port = {imap}
security = "none"
username = "support@firm.example"
password = {{ file = "secrets/mail.password" }}
[channels.support-mail.smtp]
host = "127.0.0.1"
port = {smtp}
security = "none"

[channels.hotline]
type = "telephony"
secret = {{ file = "secrets/hotline.secret" }}

[agents.chen]
display_name = "陳怡君"
addresses = ["chen@firm.example"]
topics = ["tax_filing", "general"]
{agents}

[agents.lin]
display_name = "林志豪"
addresses = ["lin@firm.example"]

[teams.tax]
display_name = "稅務組"
members = ["chen", "lin"]
supervisors = ["lin"]
{more}
"""


class StandingClock:
    """What the commands are shown as the time."""

    def now(self) -> datetime:
        return NOW

    async def sleep_until(self, when: datetime) -> None:
        raise NotImplementedError


def mail(sender: str, subject: str, text: str = "請問怎麼辦？", number: int = 1) -> bytes:
    lines = [
        f"From: {sender}",
        "To: support@firm.example",
        f"Subject: {subject}",
        f"Message-ID: <{number}@customer.example>",
        "Date: Mon, 23 Nov 2026 14:10:00 +0800",
        "Content-Type: text/plain; charset=utf-8",
        "",
        text,
    ]
    return "\r\n".join(lines).encode()


class Desk:
    """One configuration with its store, in a folder of its own."""

    def __init__(
        self, folder: Path, *, imap: int = 1, smtp: int = 1, port: int = 0, agents: str = "", more: str = ""
    ) -> None:
        self.folder = folder
        self.path = folder / "config.toml"
        self.path.write_text(CONFIG.format(imap=imap, smtp=smtp, port=port, agents=agents, more=more))
        secrets = folder / "secrets"
        secrets.mkdir(exist_ok=True)
        for name, text in (("token.key", "k" * 43), ("mail.password", "secret"), ("hotline.secret", SECRET)):
            (secrets / name).write_text(text + "\n")
            (secrets / name).chmod(0o600)
        self._numbers = itertools.count(1)

    @property
    def config(self) -> Config:
        return load(self.path, secrets=False)

    @property
    def store(self) -> Path:
        return self.folder / "var" / "intake.db"

    def says(self, *words: str) -> tuple[int, str, str]:
        """What a command ends with and prints: (exit code, stdout, stderr)."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([*words, "--config", str(self.path)])
            except SystemExit as ended:
                code = int(ended.code or 0)
        return int(code), out.getvalue(), err.getvalue()

    def lines(self, *words: str) -> list[Any]:
        """The objects that a command prints, one a line; it must end with 0."""
        code, out, err = self.says(*words, "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def make(self) -> None:
        """An empty store of this version."""
        self.within(lambda db: upgrade(db))

    def within(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Do something with the store."""

        async def run() -> T:
            db = Database(self.config.store.full_url())
            if not self.store.exists():
                await upgrade(db)
            try:
                return await work(db)
            finally:
                await db.close()

        return asyncio.run(run())

    def accept(self, raw: bytes, at: datetime = NOW) -> int:
        """Keep one mail: its number."""
        arrival = Arrival(
            channel="support-mail",
            medium=Medium.EMAIL,
            external_id=f"INBOX;1;{next(self._numbers)}",
            received_at=at,
            raw=raw,
        )

        async def work(db: Database) -> int:
            async with db.transaction() as tx:
                return (await messages.accept(tx, [arrival], at))[0][0]

        return self.within(work)

    def take(self, raw: bytes, at: datetime = NOW) -> int:
        """Keep one mail and decide about it: the ticket's number."""
        number = self.accept(raw, at)
        return self.within(lambda db: self._decide(db, number, raw, at))

    async def _decide(self, db: Database, number: int, raw: bytes, at: datetime) -> int:
        policy, message = self.config.policy, mime.parse(raw)
        one = Incoming(id=number, channel="support-mail", medium=Medium.EMAIL, received_at=at, message=message)
        async with db.transaction() as tx:
            desk = await gather(tx, [one], policy, Keyring.from_secret("k" * 43), at)
            await people(tx, desk)
            desk.ledger = await left_by_machine(tx, desk.now)
            desk.known_domains = domains_of(policy)
            first = desk.numbers()
            decision = decide(one, desk)
            for name, next_free in desk.numbers().items():
                await take(tx, name, next_free - first[name])
            await write(tx, desk.changes, at, desk.policy)
            await messages.finish(tx, [self._finished(number, decision, message, policy.version)], 0, at)
            await events.seal(tx)
        assert decision.ticket is not None
        return decision.ticket

    @staticmethod
    def _finished(number: int, decision: Any, message: Any, version: str) -> Finished:
        return Finished(
            id=number,
            outcome=decision.outcome.value,
            speaker=decision.speaker.value,
            ticket=decision.ticket,
            customer=decision.customer,
            agent=decision.agent,
            sender=str(message.sender),
            content_key=message.content_key,
            copy_of=None,
            policy_version=version,
            normal=dumps(message),
            parser_version=mime.PARSER_VERSION,
        )


SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


def stand_still(monkeypatch: Any) -> None:
    """Let every command see NOW."""
    monkeypatch.setattr(daemon, "Clock", StandingClock)
