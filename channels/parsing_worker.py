"""The process that mail is parsed in: frames in on standard input, normal forms out on standard output.

It may be killed at any moment and nothing is lost but its turn. It holds no secret, no connection and no file.
In: 4 octets length of the mail, 1 octet of flags, the mail. Out, after one empty answer, in the same order: 4 octets
length of the normal form, 4 octets length of the failure, then both (UTF-8). Numbers are big-endian.
"""

from __future__ import annotations

import resource
import sys
from struct import Struct
from typing import BinaryIO

from channels import mime, normal_json
from channels.message import Message

IN = Struct(">IB")
OUT = Struct(">II")
TRUNCATED = 1
HEADERS_ONLY = 2
MAX_FAILURE = 500  # characters


def answer(raw: bytes, flags: int) -> tuple[bytes, str]:
    """The normal form as JSON, and in words what went wrong; then the form is of the headers alone."""
    try:
        return normal_json.dumps(_read(raw, flags)), ""
    except Exception as error:  # noqa: BLE001  # whatever a mail does to the parser, it is still told of
        failure = f"{type(error).__name__}: {error}"[:MAX_FAILURE]
    return normal_json.dumps(mime.headers_only(raw)), failure.encode("utf-8", "replace").decode("utf-8")


def _read(raw: bytes, flags: int) -> Message:
    if flags & HEADERS_ONLY:
        return mime.headers_only(raw)
    return mime.parse(raw, is_truncated=bool(flags & TRUNCATED))


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Say with an empty answer that we are there, then answer frames until the source ends."""
    sink.write(OUT.pack(0, 0))
    sink.flush()
    while len(frame := source.read(IN.size)) == IN.size:
        length, flags = IN.unpack(frame)
        raw = source.read(length)
        if len(raw) < length:
            return
        normal, failure = answer(raw, flags)
        words = failure.encode("utf-8")
        sink.write(OUT.pack(len(normal), len(words)) + normal + words)
        sink.flush()


def main(memory: int) -> None:
    """Limit this process to `memory` octets of address space, then serve standard input."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    serve(sys.stdin.buffer, sys.stdout.buffer)
