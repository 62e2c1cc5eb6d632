"""A mail server's side of LMTP (RFC 2033), as raw as a test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

PATIENCE = 20.0  # seconds


class Lmtp:
    """One connection; `say` sends a line and gives the answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> str:
        """One answer, its last line. Raises EOFError when the other side is gone."""
        while True:
            async with asyncio.timeout(PATIENCE):
                line = (await self.reader.readline()).decode("utf-8", "replace").rstrip("\r\n")
            if not line:
                raise EOFError
            if line[3:4] != "-":
                return line

    async def say(self, line: str) -> str:
        self.writer.write(f"{line}\r\n".encode())
        await self.writer.drain()
        return await self.answer()

    async def begin(self, sender: str, recipients: Sequence[str], hello: str = "LHLO mail.firm.example") -> list[str]:
        """Up to the answer to DATA; all answers."""
        answers = [await self.answer(), await self.say(hello), await self.say(f"MAIL FROM:<{sender}>")]
        answers += [await self.say(f"RCPT TO:<{one}>") for one in recipients]
        return [*answers, await self.say("DATA")]

    def write(self, raw: bytes, *, with_dot: bool = True) -> None:
        """The octets as they go over the wire."""
        stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in raw.split(b"\r\n"))
        self.writer.write(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + (b".\r\n" if with_dot else b""))

    def close(self) -> None:
        self.writer.close()


async def connected(port: int | str) -> Lmtp:
    """To a port of the loopback, or to a socket in the file system."""
    if isinstance(port, str):
        return Lmtp(*await asyncio.open_unix_connection(port))
    return Lmtp(*await asyncio.open_connection("127.0.0.1", port))


async def handed_over(
    port: int | str,
    raw: bytes,
    *,
    sender: str = "wang@customer.example",
    recipients: Sequence[str] = ("support@firm.example",),
    hello: str = "LHLO mail.firm.example",
) -> list[str]:
    """Hand over one mail: the answers to its final dot, one a recipient. Raises OSError, EOFError."""
    client = await connected(port)
    try:
        answers = await client.begin(sender, recipients, hello)
        if not answers[-1].startswith("354"):
            return answers[-1:]
        client.write(raw)
        await client.writer.drain()
        count = len(recipients) if hello.startswith("LHLO") else 1
        return [await client.answer() for _ in range(count)]
    finally:
        client.close()
