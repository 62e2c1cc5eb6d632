"""What `intake check` says of a mail channel: really connect, really log in, change and send nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path

import aiosmtplib

from channels.adapter import CheckLine, CheckState, LoginRefused, TemporaryFailure
from channels.imap_client import Imap, open_imap
from channels.imap_position import Position
from channels.imap_words import RefusedByServer, since_date
from channels.settings import AS_THE_SERVICE, ImapSettings, MailSettings, Secret, SmtpSettings
from channels.smtp_connect import connect
from channels.tls import mend_for

MAX_NAMED = 12  # folders that are named when one is not found
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

ReadCursor = Callable[[str, str], Awaitable[str | None]]


class MailChecker:
    def __init__(self, channel: str, settings: MailSettings, read_cursor: ReadCursor) -> None:
        self._channel = channel
        self._settings = settings
        self._read_cursor = read_cursor

    async def check(self) -> list[CheckLine]:
        """One line when all is well, else one for each side; then warnings."""
        inward, outward = await self._inward(), await self._outward()
        lines = [inward, outward]
        if inward.state is CheckState.OK and outward.state is CheckState.OK:
            lines = [self._line(f"{inward.found}, {self._short(outward.found)}")]
        return lines + list(self._warnings())

    def _short(self, found: str) -> str:
        """ "smtp :587" where the relay is the mailbox's own host."""
        return found.replace(f"smtp {self._settings.imap.host}:", "smtp :")

    def _line(self, found: str, problem: str = "", mend: str = "", state: CheckState | None = None) -> CheckLine:
        state = state or (CheckState.BAD if problem else CheckState.OK)
        return CheckLine(subject="mail", name=self._channel, found=found, state=state, problem=problem, mend=mend)

    async def _inward(self) -> CheckLine:
        settings = self._settings.imap
        found = f"imap {settings.host}:{settings.port}"
        try:
            imap = await open_imap(settings)
        except TemporaryFailure as failure:
            return self._line(found, failure.reason, mend_of(failure, settings, settings.password))
        try:
            news = 0
            for folder in settings.folders:
                try:
                    news += await self._news(imap, folder)
                except RefusedByServer as refused:
                    mend = await folder_mend(imap)
                    return self._line(found, f'folder "{folder}": {refused.reason}', mend)
            facts = [imap.tls_version.replace("TLSv", "TLS ") or "no TLS"]
            facts += ["IDLE" if imap.has_idle else "no IDLE", f"{news} new"]
            return self._line(f"{found} ({', '.join(facts)})")
        except TemporaryFailure as failure:
            return self._line(found, failure.reason, "try again; if it stays, look into the server's log")
        finally:
            imap.abort()

    async def _news(self, imap: Imap, folder: str) -> int:
        """How many mails wait to be fetched."""
        opened = await imap.select(folder)
        stored = await self._read_cursor(self._channel, folder)
        if stored is None:
            since = self._settings.imap.since
            if isinstance(since, date):
                return len(await imap.search("SINCE", since_date(datetime.combine(since, time(), UTC))))
            return opened.exists if since == "all" else 0
        try:
            known = Position.parse(stored)
        except ValueError:
            return opened.exists
        if known.uid_validity != opened.uid_validity:
            return opened.exists
        return sum(uid > known.uid for uid in await imap.search("UID", f"{known.uid + 1}:*"))

    async def _outward(self) -> CheckLine:
        settings = self._settings.smtp
        found = f"smtp {settings.host}:{settings.port}"
        try:
            client = await connect(settings, self._settings.address)
        except TemporaryFailure as failure:
            return self._line(found, failure.reason, mend_of(failure, settings, settings.password))
        try:
            await client.noop()
            await client.quit(timeout=2.0)
        except (aiosmtplib.SMTPException, OSError) as error:
            return self._line(found, str(error), "try again; if it stays, look into the server's log")
        finally:
            client.close()
        return self._line(found)

    def _warnings(self) -> Iterator[CheckLine]:
        named: list[tuple[str, ImapSettings | SmtpSettings]] = [
            ("imap", self._settings.imap),
            ("smtp", self._settings.smtp),
        ]
        told: set[Path] = set()
        for side, settings in named:
            if settings.security == "none" and settings.host not in _LOOPBACK:
                yield self._warning(
                    f"{side} {settings.host}:{settings.port}",
                    "mail and password travel in plain text",
                    f'set {side}.security = "tls" or "starttls"',
                )
            path = _open_to_others(settings.password)
            if path is not None and path not in told:
                told.add(path)
                yield self._warning(str(path), "every user of this machine can read it", f"chmod 600 {path}")

    def _warning(self, found: str, problem: str, mend: str) -> CheckLine:
        return self._line(found, problem, mend, CheckState.WARNING)


def _open_to_others(secret: Secret | None) -> Path | None:
    try:
        return secret.path() if secret is not None and secret.is_readable_by_others() else None
    except OSError:
        return None  # it has been said already, as the reason why the login did not work


async def folder_mend(imap: Imap) -> str:
    """The names that would work."""
    try:
        names = await imap.folder_names()
    except TemporaryFailure:
        return "create the folder, or correct imap.folders"
    rest = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"set imap.folders to some of: {', '.join(names[:MAX_NAMED])}{rest}"


def mend_of(failure: TemporaryFailure, settings: ImapSettings | SmtpSettings, secret: Secret | None) -> str:
    """What to do about a connection that did not come about."""
    cause = failure.__cause__
    if isinstance(failure, LoginRefused):
        place = "" if secret is None else f" in {secret.file or f'the credential {secret.credential}'}"
        return f"check the user name and the password{place}; many providers want an app password"
    if cause is not None and (mend := mend_for(cause, settings.host)):
        return mend
    if isinstance(cause, FileNotFoundError) and secret is not None and secret.is_awaited:
        return AS_THE_SERVICE
    if isinstance(cause, FileNotFoundError | PermissionError | ValueError):
        return "put the password into that file, alone on one line, readable by the daemon"
    if "STARTTLS" in failure.reason:
        return 'set security = "tls" with its own port (imap 993, smtp 465), or ask the provider'
    return f"see that {settings.host} is the right host, {settings.port} its port, and no firewall stands between"
