"""The playground's mail client: reads over IMAP and sends over SMTP, as anybody's would.

One connection an act, for the mailboxes are on the same machine. Failure semantics: whatever the servers refuse is a
`TemporaryFailure` or `PermanentFailure` with a sentence; nothing is tried again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib

from channels.adapter import PermanentFailure, TemporaryFailure
from channels.imap_client import Imap, open_imap
from channels.settings import ImapSettings, Secret

MAX_LISTED = 50  # mails, the newest
LIST_OCTETS = 16 * 1024  # of a mail, for its line in the list
PATIENCE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a mailbox."""

    uid: int
    at: datetime  # when it came into the mailbox
    is_seen: bool
    head: bytes  # the first octets


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Where somebody's mailbox is."""

    address: str
    password: Path  # file
    host: str
    imap_port: int
    smtp_port: int

    @asynccontextmanager
    async def _inbox(self) -> AsyncIterator[Imap]:
        settings = ImapSettings(
            host=self.host,
            port=self.imap_port,
            security="none",
            username=self.address,
            password=Secret(file=self.password),
            command_timeout=PATIENCE,
        )
        imap = await open_imap(settings)
        try:
            await imap.select("INBOX")
            yield imap
        finally:
            imap.abort()

    async def listed(self) -> list[Listed]:
        """The newest mails, newest first."""
        async with self._inbox() as imap:
            uids = (await imap.search("ALL"))[-MAX_LISTED:]
            if not uids:
                return []
            unseen = {*await imap.search("UNSEEN")}
            heads = await imap.bodies(uids, LIST_OCTETS)
            marks = await imap.marks(uids)
        return [
            Listed(mark.uid, mark.received_at, mark.uid not in unseen, heads[mark.uid])
            for mark in reversed(marks)
            if mark.uid in heads
        ]

    async def opened(self, uid: int) -> bytes | None:
        """One mail, which then counts as read; None if it is not there any more."""
        async with self._inbox() as imap:
            if uid not in await imap.search("UID", str(uid)):
                return None
            bodies = await imap.bodies([uid])
            await imap.mark_seen([uid])
        return bodies.get(uid)

    async def send(self, mail: EmailMessage) -> None:
        """Hand a mail over, logged in as its author."""
        smtp = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.smtp_port,
            use_tls=False,
            start_tls=False,
            timeout=PATIENCE.total_seconds(),
        )
        try:
            async with smtp:
                await smtp.login(self.address, self.password.read_text("utf-8").strip())
                await smtp.send_message(mail)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            reasons = "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in refused.recipients)
            raise PermanentFailure(reasons) from refused
        except (aiosmtplib.SMTPException, OSError) as error:
            raise TemporaryFailure(f"{self.host}:{self.smtp_port}: {error}") from error
