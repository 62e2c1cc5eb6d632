"""Starting the playground: its secrets, its mail server, its page, and what it says to a newcomer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from intake.config import Config
from intake.demo.mailserver import DemoMailServer, DemoUnavailable, PortRefused
from intake.demo.people import FOLDER, PEOPLE, Part, prepare
from intake.demo.playground import Playground
from intake.not_started import NotStarted, of_address
from store import events
from store.engine import Database


class DemoDesk:
    """The playground beside a running daemon."""

    def __init__(
        self, folder: Path, mail: DemoMailServer, now: Callable[[], datetime], passwords: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.mail = mail
        self.now = now
        self.passwords = passwords

    def token_key(self) -> str:
        return (self.folder / "token.key").read_text("utf-8").strip()

    def page(self, db: Database, config: Config) -> Playground:
        async def events_after(seq: int) -> Sequence[Mapping[str, Any]]:
            async with db.reading() as tx:
                found = await events.after(tx, seq) if seq else await events.latest(tx, 200)
            return [
                {
                    "seq": e.id, "at": e.at, "kind": e.kind, "message": e.message, "ticket": e.ticket,
                    "agent": e.agent, "data": e.data,
                }
                for e in found
            ]  # fmt: skip

        phone = next((c for c in config.channels.values() if c.type == "telephony"), None)
        chat = next((c for c in config.channels.values() if c.type == "webchat"), None)
        return Playground(
            host=config.http.host,
            events_after=events_after,
            mail=self.mail,
            folder=self.folder,
            now=self.now,
            channels={name: c.medium for name, c in config.policy.channels.items()},
            chat_path=chat.path if chat else "/chat",
            phone_path=phone.path if phone else "/phone",
            phone_users={agent: user for user, agent in phone.users.items()} if phone else None,
            hotline=config.policy.hotline,
            timezone=config.policy.timezone,
        )

    def greet(self, config: Config) -> None:
        """Say where everything is and what to try."""
        at = f"http://{config.http.host}:{config.http.port}"
        agents = [p for p in PEOPLE if p.part is Part.AGENT]
        lines = [
            "",
            f"  The playground (a demo)   {at}/",
            f"  The web chat by itself    {at}/chat",
            f"  Health                    {at}/healthz",
            f"  Mailboxes                 IMAP {self.mail.host}:{self.mail.imap_port}, no TLS",
            f"                            SMTP {self.mail.host}:{self.mail.smtp_port}, no TLS",
            *(f"    {p.name}  {p.address}  password {self.passwords[p.address]}" for p in agents),
            "",
            "  Try: open the playground, write in the chat, send a mail as the customer, ring the hotline;",
            "  then answer as the agent: his reply appears in the chat or in the customer's mailbox.",
            "  Ctrl-C ends it. What the desk knows is kept under var/; the mailboxes start empty again.",
            "",
        ]
        sys.stderr.write("\n".join(lines) + "\n")


async def start(config: Config, now: Callable[[], datetime], stack: AsyncExitStack) -> DemoDesk:
    """Make the secrets, start the mail server. Raises NotStarted where a port is taken or the extra is missing."""
    passwords = await asyncio.to_thread(prepare, config.store.state_dir)
    name, desk = next(((n, c) for n, c in config.channels.items() if c.type == "mail"), ("", None))
    mail = DemoMailServer(
        passwords,
        imap_port=desk.imap.port if desk and desk.imap else 1143,
        smtp_port=desk.smtp.port if desk else 1025,
        now=now,
    )
    try:
        await mail.start()
    except DemoUnavailable as error:
        raise NotStarted(str(error)) from error
    except PortRefused as error:
        raise NotStarted(of_address(error, mail.host, error.port, f"channels.{name}.{error.side}.port")) from error
    stack.push_async_callback(mail.stop)
    return DemoDesk(config.store.state_dir / FOLDER, mail, now, passwords)
