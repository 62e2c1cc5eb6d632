"""What `intake check` says of a mail channel: really connect, really log in, change and send nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

import aiosmtplib

from channels.adapter import CheckLine, CheckState, Clock, LoginRefused, TemporaryFailure
from channels.credential_dates import endings
from channels.imap import AUTO, beside
from channels.imap_client import MAX_UIDS_A_COMMAND, Imap, every, open_imap
from channels.imap_position import Position
from channels.imap_words import RefusedByServer, since_date
from channels.oauth_account import OAuthAccount
from channels.oauth_file import read_login
from channels.settings import AS_THE_SERVICE, ImapSettings, LmtpSettings, MailSettings, Secret, SmtpSettings
from channels.signin_words import Advice, Login, advice
from channels.smtp_connect import MAX_REPLY, connect
from channels.tls import mend_for

KNOCK = 5.0  # seconds a door may take to greet
MAX_NAMED = 12  # folders that are named when one is not found
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Side = Literal["imap", "smtp"]
ReadCursor = Callable[[str, str], Awaitable[str | None]]


class MailChecker:
    def __init__(
        self,
        channel: str,
        settings: MailSettings,
        read_cursor: ReadCursor,
        account: OAuthAccount | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._account = account  # whose token signs in where the settings say so
        self._clock = clock
        self._channel = channel
        self._settings = settings
        self._read_cursor = read_cursor
        self._missing: list[tuple[str, str, str]] = []  # (key, name, what to do) of folders beside that are not there

    async def check(self) -> list[CheckLine]:
        """One line when all is well, else one for each side; then warnings."""
        inward, outward = await self._inward(), await self._outward()
        lines = [inward, outward]
        if inward.state is CheckState.OK and outward.state is CheckState.OK:
            lines = [self._line(f"{inward.found}, {self._short(outward.found)}")]
        return lines + list(self._warnings())

    def _short(self, found: str) -> str:
        """ "smtp :587" where the relay is the mailbox's own host."""
        mailbox = self._settings.imap
        return found.replace(f"smtp {mailbox.host}:", "smtp :") if mailbox is not None else found

    def _line(self, found: str, problem: str = "", mend: str = "", state: CheckState | None = None) -> CheckLine:
        state = state or (CheckState.BAD if problem else CheckState.OK)
        return CheckLine(subject="mail", name=self._channel, found=found, state=state, problem=problem, mend=mend)

    async def _inward(self) -> CheckLine:
        """The mailbox, the door, or both on one line; what is wrong with one of them by itself."""
        door = await self._door(self._settings.lmtp) if self._settings.lmtp is not None else None
        if self._settings.imap is None or (door is not None and door.state is CheckState.BAD):
            assert door is not None
            return door
        mailbox = await self._mailbox(self._settings.imap)
        if door is None or mailbox.state is CheckState.BAD:
            return mailbox
        return self._line(f"{mailbox.found}, {door.found}")

    async def _door(self, settings: LmtpSettings) -> CheckLine:
        """Whether the door is open; while the daemon does not run, it is shut."""
        found = f"{settings.protocol} {settings.place}"
        try:
            async with asyncio.timeout(KNOCK):
                reader, writer = await _knock(settings)
                greeting = await reader.readline()
                writer.close()
        except (TimeoutError, OSError):
            return self._line(f"{found} (open while the daemon runs)")
        if greeting.startswith(b"220"):
            return self._line(f"{found} (open)")
        words = greeting.decode("ascii", "replace").strip() or "it says nothing"
        return self._line(found, f"somebody else answers there: {words[:100]}", "give the door a place of its own")

    async def _mailbox(self, settings: ImapSettings) -> CheckLine:
        found = f"imap {settings.host}:{settings.port}"
        try:
            imap = await open_imap(settings, self._account_for("imap"))
        except TemporaryFailure as failure:
            return self._refused("imap", found, failure, settings)
        try:
            news = 0
            for folder in settings.folders:
                try:
                    news += await self._news(imap, folder, settings)
                except RefusedByServer as refused:
                    mend = await folder_mend(imap)
                    return self._line(found, f'folder "{folder}": {refused.reason}', mend)
            self._missing = await _missing(imap, settings)
            facts = [imap.tls_version.replace("TLSv", "TLS ") or "no TLS"]
            facts += ["IDLE" if imap.has_idle else "no IDLE", f"{news} new"]
            return self._line(f"{found} ({', '.join(facts)})")
        except TemporaryFailure as failure:
            return self._line(found, failure.reason, "try again; if it stays, look into the server's log")
        finally:
            imap.abort()

    async def _news(self, imap: Imap, folder: str, settings: ImapSettings) -> int:
        """How many mails wait to be fetched."""
        opened = await imap.select(folder)
        stored = await self._read_cursor(self._channel, folder)
        try:
            known = Position.parse(stored) if stored is not None else None
        except ValueError:
            return opened.exists
        if known is None or known.is_before_any:
            since = settings.since
            if isinstance(since, date):
                return len(await imap.search("SINCE", since_date(datetime.combine(since, time(), UTC))))
            if since == "all":
                return opened.exists
            return await _come_since(imap, known.began) if known is not None else 0
        if known.uid_validity != opened.uid_validity:
            return opened.exists
        return sum(uid > known.uid for uid in await imap.search("UID", f"{known.uid + 1}:*"))

    async def _outward(self) -> CheckLine:
        settings = self._settings.signed_in_smtp
        found = f"smtp {settings.host}:{settings.port}"
        try:
            client = await connect(settings, self._settings.address, self._account_for("smtp"))
        except TemporaryFailure as failure:
            return self._refused("smtp", found, failure, settings)
        try:
            if (words := await may_send(client, self._settings.address)) and (known := self._advice("smtp", words)):
                return self._line(found, f"{known.problem}: {words}", known.mend)
            await client.noop()
            await client.quit(timeout=2.0)
        except (aiosmtplib.SMTPException, OSError) as error:
            return self._line(found, str(error), "try again; if it stays, look into the server's log")
        finally:
            client.close()
        return self._line(found)

    def _account_for(self, side: Side) -> OAuthAccount | None:
        oauth = self._settings.oauth
        return self._account if oauth is not None and side in oauth.signs_in else None

    def _refused(
        self, side: Side, found: str, failure: TemporaryFailure, settings: ImapSettings | SmtpSettings
    ) -> CheckLine:
        """Why there is no connection: in the table's words where the server's are known."""
        known = self._advice(side, failure.reason)
        if known is not None:
            return self._line(found, f"{known.problem}: {failure.reason}", known.mend)
        return self._line(found, failure.reason, mend_of(failure, settings, settings.password))

    def _advice(self, side: Side, words: str) -> Advice | None:
        settings, oauth = self._settings, self._settings.oauth
        host = settings.imap.host if side == "imap" and settings.imap else settings.smtp.host
        login = Login(
            channel=self._channel,
            host=f"{host} {oauth.provider if oauth else ''}",
            username=settings.login_name if side == "imap" else settings.signed_in_smtp.username or "",
            client_id=oauth.client_id if oauth else "",
            tenant=oauth.tenant if oauth else "",
            is_app_only=oauth is not None and oauth.way == "app-only",
            by_token=self._account_for(side) is not None,
        )
        return advice(words, login)

    def _endings(self) -> Iterator[CheckLine]:
        """Credentials that end soon."""
        if self._account is None or self._clock is None:
            return
        try:
            login = read_login(self._account.path)
        except (OSError, ValueError):
            login = None  # it has been said already, as the reason why the login did not work
        now = self._clock.now()
        for ending in endings(self._channel, self._account.settings, login):
            if ending.mark(now) is not None:
                yield self._warning("oauth", ending.sentence(now), ending.mend)

    def _warnings(self) -> Iterator[CheckLine]:
        yield from self._endings()
        for key, name, mend in self._missing:
            yield self._warning(f'{key} "{name}"', f"there is no such {_FOR[key]}: it is not read", mend)
        named: list[tuple[str, ImapSettings | SmtpSettings]] = [
            *([("imap", self._settings.imap)] if self._settings.imap is not None else []),
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


async def may_send(client: aiosmtplib.SMTP, address: str) -> str:
    """What the relay says against mail from this address to itself, "" for nothing; none is sent."""
    said = ""
    for verb, words in ((b"MAIL", f"FROM:<{address}>"), (b"RCPT", f"TO:<{address}>")):
        if not address.isascii():
            break
        answer = await client.execute_command(verb, words.encode())
        if answer.code >= 500:
            said = f"{answer.code} {answer.message}"[:MAX_REPLY]
            break
    await client.rset()
    return said


async def _knock(settings: LmtpSettings) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if settings.path is not None:
        return await asyncio.open_unix_connection(str(settings.path))
    return await asyncio.open_connection(settings.host, settings.port)


async def _come_since(imap: Imap, began: datetime) -> int:
    # A day sooner: the server takes the date in whatever time zone it likes (RFC 3501 §6.4.4).
    uids = await imap.search("SINCE", since_date(began - timedelta(days=1)))
    count = 0
    for some in every(uids, MAX_UIDS_A_COMMAND):
        count += sum(mark.received_at >= began for mark in await imap.marks(some))
    return count


_FOR = {"junk_folder": "folder for junk", "sent_folder": "folder for sent mail"}


async def _missing(imap: Imap, settings: ImapSettings) -> list[tuple[str, str, str]]:
    """What to do about a folder for junk or for sent mail that is not there: (key, name as configured, what to do)."""
    wanted = beside(settings)
    if not wanted:
        return []
    folders = await imap.folders()
    names = [folder.name for folder in folders]
    found: list[tuple[str, str, str]] = []
    for one in wanted:
        name = one.among(folders) if one.wanted == AUTO else one.wanted
        key = "junk_folder" if one.is_junk else "sent_folder"
        if name not in names:
            found.append((key, one.wanted, beside_mend(key, names)))
    return found


def beside_mend(key: str, names: list[str]) -> str:
    """What to do about it; the inbox is neither junk nor sent mail, so it is never proposed."""
    others = [name for name in names if name.upper() != "INBOX"]
    if not others:
        return f"make the folder in the mailbox, or take imap.{key} out"
    return f"set imap.{key} to one of: {', '.join(others[:MAX_NAMED])}"


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
        if secret is None:
            return "see docs/mail-servers.md, then: intake check"
        place = f" in {secret.file or f'the credential {secret.credential}'}"
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
