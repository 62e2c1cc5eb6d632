"""The mailbox reader: mail waits on the server until it is accepted, then is flagged, and never before.

* Nothing is flagged or moved before `accept` has returned; if it raises, the connection is cut and the same mail is
  read again. The cursor is committed with the arrivals, so a restart goes on where the store stands.
* A connection that is lost, silent or confused is cut and said with TemporaryFailure; LoginRefused for a
  password that is not taken. One connection a folder; the first that fails ends them all.
* A folder that is not there (deleted, renamed) does not end the others: it is said once, and looked for again. The same
  holds for whatever happens to the folders for junk and for sent mail. Only when no other folder can be opened the
  reading fails.
* A mail larger than the limit arrives as its first octets. So does one that the server cannot give, or that
  has cost connections when fetched alone: it never blocks the next, and stays on the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from channels.adapter import Accept, Cursor, TemporaryFailure, Tools
from channels.imap_client import open_imap
from channels.imap_folder import FolderReader, known_position
from channels.imap_names import Listed, junk_among, sent_among
from channels.imap_position import Position
from channels.imap_words import FolderRefused
from channels.oauth_account import OAuthAccount
from channels.settings import ImapSettings

LOOK_AGAIN = timedelta(minutes=5)  # for a folder that is not there
JUNK_AGAIN = timedelta(minutes=15)  # for whatever is wrong with a folder beside; a login may have been refused
AUTO = "auto"
#: Cursors of folders whose names are not known yet, after what the server marks them with (RFC 6154 §2).
NAMELESS_JUNK, NAMELESS_SENT = "\\Junk", "\\Sent"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """A folder that is read beside those with mail for us, and never changed."""

    wanted: str  # its name, or "auto"
    nameless: str  # cursor while its name is not known
    among: Callable[[Sequence[Listed]], str | None]
    missing: str  # what to do where the server names none
    is_junk: bool = False
    is_sent: bool = False

    @property
    def shown(self) -> str:
        """What it is called in the log: two may be looked for."""
        return self.nameless if self.is_sent and self.wanted == AUTO else self.wanted


def beside(settings: ImapSettings) -> tuple[Beside, ...]:
    """The folders for junk and for sent mail, if they are to be read."""
    found: list[Beside] = []
    if settings.junk_folder is not None:
        why = "the server names no folder for junk: write its name as junk_folder"
        found.append(
            Beside(wanted=settings.junk_folder, nameless=NAMELESS_JUNK, among=junk_among, missing=why, is_junk=True)
        )
    if settings.sent_folder:
        why = "the server names no folder for sent mail: write its name as sent_folder"
        found.append(
            Beside(wanted=settings.sent_folder, nameless=NAMELESS_SENT, among=sent_among, missing=why, is_sent=True)
        )
    return tuple(found)


class ImapReceiver:
    """Reads the folders of one mailbox."""

    def __init__(self, channel: str, settings: ImapSettings, tools: Tools, account: OAuthAccount | None = None) -> None:
        self._channel = channel
        self._settings = settings
        self._account = account  # whose token signs in; None: the password does
        self._tools = tools
        # Servers date mail in whole seconds. What comes before we are connected is no old mail.
        self._began = tools.clock.now().replace(microsecond=0)
        self._readers = {folder: self._reader(folder) for folder in settings.folders}
        self._beside = beside(settings)
        self._away: dict[str, str] = {}  # folder that cannot be read -> why
        self._refused: set[str] = set()  # folders that could not be opened in this run
        self._said: set[tuple[str, str]] = set()  # (folder, sentence): each is said once

    async def receive(self, accept: Accept) -> None:
        self._refused.clear()
        for name in self._cursors():  # before anything is tried
            await self._known(name)
        work = [self._keep_reading(folder, accept) for folder in self._settings.folders]
        work += [self._keep_reading_beside(one, accept) for one in self._beside]
        # No TaskGroup: nested in the daemon's it can swallow a cancellation (python/cpython#116720).
        readers = [asyncio.create_task(one) for one in work]
        try:
            done, _ = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
            for reader in done:
                reader.result()
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    async def _keep_reading(self, folder: str, accept: Accept) -> None:
        while True:
            try:
                await self._readers[folder].read(accept, lambda: self._found(folder))
            except FolderRefused as refused:
                self._miss(folder, refused.reason, LOOK_AGAIN)
                self._refused.add(folder)
                if self._refused >= {*self._settings.folders}:
                    raise
                await asyncio.sleep(LOOK_AGAIN.total_seconds())

    async def _keep_reading_beside(self, one: Beside, accept: Accept) -> None:
        reader: FolderReader | None = None  # once it has been found
        while True:
            try:
                if reader is None:
                    reader = self._reader(await self._name_of(one), one)
                await reader.read(accept, lambda: self._found(one.shown))
            except TemporaryFailure as failure:  # whatever it is: the others are read on
                self._miss(one.shown, failure.reason, JUNK_AGAIN)
                if isinstance(failure, FolderRefused):
                    reader = None  # it may have another name by now
            await asyncio.sleep(JUNK_AGAIN.total_seconds())

    async def _name_of(self, one: Beside) -> str:
        if one.wanted != AUTO:
            return one.wanted
        began = (await self._known(one.nameless)).began
        imap = await open_imap(self._settings, self._account)
        try:
            name = one.among(await imap.folders())
        finally:
            imap.abort()
        if name is None or name in self._settings.folders:
            raise FolderRefused(one.missing)
        await known_position(self._tools, self._channel, name, began)
        # From now on a folder of yet another name has come later than this one.
        until = str(Position.before_any(self._tools.clock.now()))
        await self._tools.save_cursor(self._channel, Cursor(name=one.nameless, value=until))
        return name

    def _cursors(self) -> list[str]:
        unnamed = [one.nameless if one.wanted == AUTO else one.wanted for one in self._beside]
        return [*self._settings.folders, *unnamed]

    async def _known(self, cursor: str) -> Position:
        return await known_position(self._tools, self._channel, cursor, self._began)

    def _reader(self, folder: str, beside: Beside | None = None) -> FolderReader:
        return FolderReader(
            self._channel, folder, self._settings, self._tools,
            began=self._began, account=self._account, say=self._sayer(folder),
            is_junk=beside is not None and beside.is_junk, is_sent=beside is not None and beside.is_sent,
            note=lambda note, within: self._note(folder, note, within),
        )  # fmt: skip

    # ---- what is told

    def _note(self, folder: str, note: str, within: float) -> None:
        """Progress, with what is missing beside it, for /healthz."""
        missing = "".join(f"; cannot read {name}: {why[:100]}" for name, why in self._away.items())
        self._tools.progress(f"{folder}: {note}{missing}", within)

    def _sayer(self, folder: str) -> Callable[[str], None]:
        def say(sentence: str) -> None:
            if (folder, sentence) not in self._said:
                self._said.add((folder, sentence))
                log.warning("mail_left_as_it_is", channel=self._channel, folder=folder, reason=sentence)

        return say

    def _miss(self, folder: str, why: str, again: timedelta) -> None:
        """A folder cannot be read: that is said when it begins, not each time it is looked for."""
        if folder not in self._away:
            log.warning(
                "folder_missing", channel=self._channel, folder=folder, error=why, again_in_s=again.total_seconds()
            )
        self._away[folder] = why

    def _found(self, folder: str) -> None:
        self._refused.discard(folder)
        if self._away.pop(folder, None) is not None:
            log.warning("folder_found", channel=self._channel, folder=folder)
