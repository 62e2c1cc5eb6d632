"""A small IMAP server with the faults of real ones, each on demand; one folder, any password but "wrong".

    async with ScriptedImap([b"Subject: 1\\r\\n\\r\\n"], refuses={7}) as server:
        connect to 127.0.0.1:server.port; server.put(b"…") delivers one more mail, and says so to whom is in IDLE

It speaks just enough of RFC 3501 for our reader. What it was told is in `commands`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import date, datetime
from types import TracebackType

CAPABILITIES = ("IMAP4rev1", "IDLE", "ID")


class ScriptedImap:
    def __init__(
        self,
        mails: Iterable[bytes] = (),
        *,
        capabilities: tuple[str, ...] = CAPABILITIES,
        greeting: bytes = b"* OK ready",
        refuses: Iterable[int] = (),  # UIDs for which FETCH of the whole is answered NO
        refuses_head: Iterable[int] = (),  # UIDs for which even the head is refused
        cuts: Iterable[int] = (),  # UIDs whose whole FETCH breaks the connection, always
        wants_id: bool = False,  # SELECT is refused before ID, as at 163
        read_only: bool = False,
        flood: int = 0,  # untagged lines in one piece before every SEARCH answer
        refuses_header: Iterable[int] = (),  # UIDs for which the header is refused as well
        empty: Iterable[int] = (),  # UIDs for which every FETCH of the body says OK and nothing else
        cuts_head: Iterable[int] = (),  # UIDs whose head breaks the connection too
        cuts_header: Iterable[int] = (),  # and those whose header does
        folders: Iterable[str] = (),  # LIST lines: '(\\Junk) "/" "&V4NXPpCuTvY-"'
        permanent_flags: str | None = r"\Seen \Deleted \*",  # None: the server does not tell
        tells_next: bool = True,  # UIDNEXT
        answers: dict[str, str] | None = None,  # command (BODY: FETCH of one) -> what is said in place of OK
        trickles: float = 0.0,  # seconds between two pieces of 16 octets of a FETCH answer
    ) -> None:
        self.mails = dict(enumerate(mails, start=1))
        self.capabilities = capabilities
        self.greeting = greeting
        self.refuses, self.refuses_head, self.cuts = set(refuses), set(refuses_head), set(cuts)
        self.refuses_header, self.empty = set(refuses_header), set(empty)
        self.cuts_head, self.cuts_header = set(cuts_head), set(cuts_header)
        self.folders, self.permanent_flags, self.tells_next = list(folders), permanent_flags, tells_next
        self.answers = dict(answers or {})
        self.trickles = trickles
        self.wants_id = wants_id
        self.read_only = read_only
        self.flood = flood
        self.validity = 17
        self.date = "23-Nov-2026 09:00:00 +0800"
        self.dates: dict[int, str] = {}  # INTERNALDATE of a UID where it is another
        self.marks: dict[int, str] = {}  # what FETCH tells of a UID in place of its size and date
        self.seen: set[int] = set()
        self.keywords: set[int] = set()  # mails that bear a flag of ours
        self.deleted: set[int] = set()
        self.elsewhere: dict[str, list[int]] = {}  # folder made by CREATE -> UIDs that were copied or moved there
        self.commands: list[str] = []
        self.connections = 0
        self.port = 0
        self._untold: bytes | None = None
        self._unannounced = False  # a mail came while nobody was in IDLE
        self._idlers: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ScriptedImap:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def put(self, raw: bytes) -> None:
        self.mails[max(self.mails, default=0) + 1] = raw
        self._unannounced = not self._idlers
        for writer in self._idlers:
            writer.write(b"* %d EXISTS\r\n" % len(self.mails))

    def put_before_next_store(self, raw: bytes) -> None:
        self._untold = raw

    def say(self, line: bytes, leave: bool = False) -> None:
        """An untagged line to everybody in IDLE; with `leave` the connection is closed after it."""
        for writer in list(self._idlers):
            writer.write(line + b"\r\n")
            if leave:
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        self.connections += 1
        try:
            writer.write(self.greeting + b"\r\n")
            introduced = False
            while line := await reader.readline():
                tag, _, rest = line.decode().strip().partition(" ")
                self.commands.append(rest)
                introduced = introduced or rest.startswith("ID ")
                if not await self._do(tag, rest, reader, writer, introduced):
                    return
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            self._idlers.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _do(
        self, tag: str, rest: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, introduced: bool
    ) -> bool:
        """Answer one command; False to break the connection."""
        verb = [*rest.split(" ", 2), "", ""]
        name = " ".join(verb[:2]) if verb[0] == "UID" else verb[0]
        words = self.answers.get("BODY" if name == "UID FETCH" and "BODY" in rest else name, "OK done")
        if not words.startswith("OK"):
            pass
        elif name == "CAPABILITY":
            writer.write(b"* CAPABILITY " + " ".join(self.capabilities).encode() + b"\r\n")
        elif name == "LOGIN" and '"wrong"' in rest:
            words = "NO [AUTHENTICATIONFAILED] wrong"
        elif name in ("SELECT", "EXAMINE"):
            words = self._select(name, writer, introduced)
        elif name == "LIST":
            writer.write("".join(f"* LIST {line}\r\n" for line in self.folders).encode())
        elif name == "UID SEARCH":
            writer.write(b"".join(b"* %d EXPUNGE\r\n" % n for n in range(self.flood)))
            writer.write(b"* SEARCH" + b"".join(b" %d" % uid for uid in self._search(verb[2])) + b"\r\n")
        elif name == "UID FETCH":
            return await self._fetch(tag, verb[2], writer)
        elif name == "UID STORE":
            words = self._store(verb[2], writer)
        elif name in ("UID MOVE", "UID COPY"):
            words = self._put_elsewhere(name, verb[2])
        elif name == "UID EXPUNGE":
            for uid in {*self._wanted(verb[2])} & self.deleted:
                del self.mails[uid]
        elif name == "CREATE":
            self.elsewhere[rest.split(" ", 1)[1]] = []
        elif name == "IDLE":
            writer.write(b"+ idling\r\n")
            if self._unannounced:
                writer.write(b"* %d EXISTS\r\n" % len(self.mails))
                self._unannounced = False
            self._idlers.add(writer)
            done = await reader.readline()
            self._idlers.discard(writer)
            if not done:
                return False
        writer.write(f"{tag} {words}\r\n".encode())
        return True

    def _select(self, name: str, writer: asyncio.StreamWriter, introduced: bool) -> str:
        if self.wants_id and not introduced:
            return "NO SELECT Unsafe Login"
        following = max(self.mails, default=0) + 1
        lines = [f"{len(self.mails)} EXISTS", f"OK [UIDVALIDITY {self.validity}] x"]
        lines += [f"OK [UIDNEXT {following}] x"] * self.tells_next
        if self.permanent_flags is not None:
            lines.append(f"OK [PERMANENTFLAGS ({self.permanent_flags})] x")
        writer.write("".join(f"* {line}\r\n" for line in lines).encode())
        return "OK [READ-ONLY] done" if self.read_only or name == "EXAMINE" else "OK [READ-WRITE] done"

    def _search(self, criteria: str) -> list[int]:
        found = re.search(r"UID (\S+)", criteria)
        uids = self._wanted(found[1]) if found else list(self.mails)
        since = re.search(r"SINCE (\S+)", criteria)
        if since:
            day = datetime.strptime(since[1], "%d-%b-%Y").date()  # noqa: DTZ007  # a day without a time
            uids = [uid for uid in uids if self._day(uid) >= day]
        return uids

    def _day(self, uid: int) -> date:
        return datetime.strptime(self.dates.get(uid, self.date).split()[0], "%d-%b-%Y").date()  # noqa: DTZ007  # a day without a time

    def _wanted(self, words: str) -> list[int]:
        uids: list[int] = []
        last = max(self.mails, default=0)
        for run in words.split(" ", 1)[0].split(","):
            ends = [last if end == "*" else int(end) for end in run.split(":")]  # "n:*" always names the last one
            uids += [uid for uid in range(min(ends), max(ends) + 1) if uid in self.mails]
        return uids

    async def _fetch(self, tag: str, words: str, writer: asyncio.StreamWriter) -> bool:
        uids = self._wanted(words)
        partial = re.search(r"<0\.(\d+)>", words)
        is_header = "[HEADER]" in words
        is_head = bool(partial) and int(partial[1]) <= 64 * 1024  # type: ignore[index]
        refused = self.refuses_header if is_header else self.refuses_head if is_head else self.refuses
        cut = self.cuts_header if is_header else self.cuts_head if is_head else self.cuts
        if "BODY" in words and refused & set(uids):
            writer.write(f"{tag} NO [SERVERBUG] cannot read that mail\r\n".encode())
            return True
        for uid in uids:
            if "BODY" not in words:
                date = self.dates.get(uid, self.date)
                told = self.marks.get(uid, f'RFC822.SIZE {len(self.mails[uid])} INTERNALDATE "{date}"')
                writer.write(f"* {uid} FETCH (UID {uid} {told})\r\n".encode())
                continue
            if uid in self.empty:
                continue
            if uid in cut:
                writer.write(b"* %d FETCH (UID %d BODY[] {%d}\r\nonly a" % (uid, uid, len(self.mails[uid])))
                return False
            octets = self.mails[uid][: int(partial[1])] if partial else self.mails[uid]
            part = b"BODY[HEADER]" if is_header else b"BODY[]<0>" if partial else b"BODY[]"
            octets = octets.split(b"\r\n\r\n")[0] + b"\r\n\r\n" if is_header else octets
            await self._send(writer, b"* %d FETCH (UID %d %s {%d}\r\n%s)\r\n" % (uid, uid, part, len(octets), octets))
        writer.write(f"{tag} OK done\r\n".encode())
        return True

    async def _send(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        step = 16 if self.trickles else len(answer)
        for start in range(0, len(answer), step):
            writer.write(answer[start : start + step])
            if self.trickles:
                await writer.drain()
                await asyncio.sleep(self.trickles)

    def _put_elsewhere(self, name: str, words: str) -> str:
        folder = words.split(" ", 1)[1]
        if folder not in self.elsewhere:
            return "NO [TRYCREATE] no such folder"
        uids = self._wanted(words)
        self.elsewhere[folder] += uids
        if name == "UID MOVE":
            for uid in uids:
                del self.mails[uid]
        return "OK done"

    def _store(self, words: str, writer: asyncio.StreamWriter) -> str:
        if self.read_only:
            return "NO [READ-ONLY] not here"
        flagged = self.deleted if "Deleted" in words else self.seen if "Seen" in words else self.keywords
        flagged |= set(self._wanted(words))
        if self._untold is not None:
            self.mails[max(self.mails) + 1], self._untold = self._untold, None
            writer.write(b"* %d EXISTS\r\n" % len(self.mails))
        return "OK done"
