"""winmail.dat and rich text, made for tests: what Outlook writes, record by record."""

from __future__ import annotations

import struct

STRING, UNICODE, BINARY, OBJECT, LONG = 0x1E, 0x1F, 0x102, 0x0D, 0x03
IMESSAGE = bytes.fromhex("0703020000000000c000000000000046")


def record(level: int, attribute: int, data: bytes, kind: int = 6) -> bytes:
    return struct.pack("<BHHI", level, attribute, kind, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def properties(*many: tuple[int, int, bytes]) -> bytes:
    """(identity, type, value) of each; of variable types one value."""
    out = struct.pack("<I", len(many))
    for name, kind, value in many:
        out += struct.pack("<HH", kind, name)
        if kind == LONG:
            out += value
        else:
            out += struct.pack("<II", 1, len(value)) + value + b"\0" * (-len(value) % 4)
    return out


def attachment(name: bytes, content: bytes, *more: tuple[int, int, bytes]) -> bytes:
    out = record(2, 0x9002, b"\0" * 14) + record(2, 0x8010, name + b"\0", 1)
    if content:
        out += record(2, 0x800F, content)
    return out + (record(2, 0x9005, properties(*more)) if more else b"")


def winmail(*mail: tuple[int, int, bytes], files: bytes = b"", code_page: int = 1252, body: bytes = b"") -> bytes:
    out = struct.pack("<IH", 0x223E9F78, 7)
    out += record(1, 0x9006, struct.pack("<I", 0x10000), 8) + record(1, 0x9007, struct.pack("<II", code_page, 0))
    out += record(1, 0x800C, body, 2) if body else b""
    return out + (record(1, 0x9003, properties(*mail)) if mail else b"") + files


def packed(rtf: bytes) -> bytes:
    """Compressed rich text that repeats nothing: every octet as itself."""
    body = b"".join(b"\0" + rtf[n : n + 8] for n in range(0, len(rtf), 8))
    return struct.pack("<II4sI", len(body) + 12, len(rtf), b"LZFu", 0) + body
