"""A small IMAP server with the faults of real ones, each on demand; one folder, any password but "wrong".

    async with ScriptedImap([b"Subject: 1\\r\\n\\r\\n"], refuses={7}) as server:
        connect to 127.0.0.1:server.port; server.put(b"…") delivers one more mail, and says so to whom is in IDLE

It speaks just enough of RFC 3501 for our reader. What it was told is in `commands`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
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
    ) -> None:
        self.mails = dict(enumerate(mails, start=1))
        self.capabilities = capabilities
        self.greeting = greeting
        self.refuses, self.refuses_head, self.cuts = set(refuses), set(refuses_head), set(cuts)
        self.wants_id = wants_id
        self.read_only = read_only
        self.flood = flood
        self.validity = 17
        self.date = "23-Nov-2026 09:00:00 +0800"
        self.dates: dict[int, str] = {}  # INTERNALDATE of a UID where it is another
        self.marks: dict[int, str] = {}  # what FETCH tells of a UID in place of its size and date
        self.seen: set[int] = set()
        self.commands: list[str] = []
        self.connections = 0
        self.port = 0
        self._untold: bytes | None = None
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
        verb = rest.split(" ", 2)
        name = " ".join(verb[:2]) if verb[0] == "UID" else verb[0]
        words = "OK done"
        if name == "CAPABILITY":
            writer.write(b"* CAPABILITY " + " ".join(self.capabilities).encode() + b"\r\n")
        elif name == "LOGIN" and '"wrong"' in rest:
            words = "NO [AUTHENTICATIONFAILED] wrong"
        elif name == "SELECT":
            words = self._select(writer, introduced)
        elif name == "UID SEARCH":
            writer.write(b"".join(b"* %d EXPUNGE\r\n" % n for n in range(self.flood)))
            writer.write(b"* SEARCH" + b"".join(b" %d" % uid for uid in self._search(verb[2])) + b"\r\n")
        elif name == "UID FETCH":
            return self._fetch(tag, verb[2], writer)
        elif name == "UID STORE":
            words = self._store(verb[2], writer)
        elif name == "IDLE":
            writer.write(b"+ idling\r\n")
            self._idlers.add(writer)
            done = await reader.readline()
            self._idlers.discard(writer)
            if not done:
                return False
        writer.write(f"{tag} {words}\r\n".encode())
        return True

    def _select(self, writer: asyncio.StreamWriter, introduced: bool) -> str:
        if self.wants_id and not introduced:
            return "NO SELECT Unsafe Login"
        following = max(self.mails, default=0) + 1
        lines = [f"{len(self.mails)} EXISTS", f"OK [UIDVALIDITY {self.validity}] x", f"OK [UIDNEXT {following}] x"]
        writer.write("".join(f"* {line}\r\n" for line in lines).encode())
        return "OK [READ-ONLY] done" if self.read_only else "OK [READ-WRITE] done"

    def _search(self, criteria: str) -> list[int]:
        found = re.search(r"UID (\d+):\*", criteria)
        if found and self.mails:
            first = min(int(found[1]), max(self.mails))  # "n:*" always names the last one
            return [uid for uid in self.mails if uid >= first]
        return list(self.mails)

    def _wanted(self, words: str) -> list[int]:
        uids: list[int] = []
        for run in words.split(" ", 1)[0].split(","):
            first, _, last = run.partition(":")
            uids += [uid for uid in range(int(first), int(last or first) + 1) if uid in self.mails]
        return uids

    def _fetch(self, tag: str, words: str, writer: asyncio.StreamWriter) -> bool:
        uids = self._wanted(words)
        partial = re.search(r"<0\.(\d+)>", words)
        refused = self.refuses_head if partial else self.refuses
        if "BODY" in words and refused & set(uids):
            writer.write(f"{tag} NO [SERVERBUG] cannot read that mail\r\n".encode())
            return True
        for uid in uids:
            if "BODY" not in words:
                date = self.dates.get(uid, self.date)
                told = self.marks.get(uid, f'RFC822.SIZE {len(self.mails[uid])} INTERNALDATE "{date}"')
                writer.write(f"* {uid} FETCH (UID {uid} {told})\r\n".encode())
                continue
            if uid in self.cuts and not partial:
                writer.write(b"* %d FETCH (UID %d BODY[] {%d}\r\nonly a" % (uid, uid, len(self.mails[uid])))
                return False
            octets = self.mails[uid][: int(partial[1])] if partial else self.mails[uid]
            part = b"BODY[]<0>" if partial else b"BODY[]"
            writer.write(b"* %d FETCH (UID %d %s {%d}\r\n%s)\r\n" % (uid, uid, part, len(octets), octets))
        writer.write(f"{tag} OK done\r\n".encode())
        return True

    def _store(self, words: str, writer: asyncio.StreamWriter) -> str:
        if self.read_only:
            return "NO [READ-ONLY] not here"
        self.seen |= set(self._wanted(words))
        if self._untold is not None:
            self.mails[max(self.mails) + 1], self._untold = self._untold, None
            writer.write(b"* %d EXISTS\r\n" % len(self.mails))
        return "OK done"
