"""S/MIME that is signed in one piece (smime-type=signed-data): the mail within, found without checking who signed.

Outlook and Apple Mail write it. Only lengths are read, and none is believed that leads beyond the octets; a signature
proves nothing here, so what it says is not looked at. Source: RFC 5652 §5.1, in DER or, with open lengths, BER.
"""

from __future__ import annotations

MAX_PIECES = 100_000  # of an octet string that was written in pieces
_SEQUENCE, _OID, _OCTETS, _OCTETS_IN_PIECES, _CONTEXT_0 = 0x30, 0x06, 0x04, 0x24, 0xA0
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2
_DATA = bytes.fromhex("2a864886f70d010701")  # 1.2.840.113549.1.7.1


class _NotThis(Exception):
    """Something else than was looked for stands here."""


def signed_content(octets: bytes) -> bytes:
    """The mail that was signed; b"" for what is encrypted, detached, or no CMS at all."""
    try:
        position, _ = _enter(octets, 0, _SEQUENCE)
        position = _passed(octets, position, _OID, _SIGNED_DATA)
        position, _ = _enter(octets, position, _CONTEXT_0)
        position, _ = _enter(octets, position, _SEQUENCE)
        position = _skip(octets, position)  # version
        position = _skip(octets, position)  # digest algorithms
        position, _ = _enter(octets, position, _SEQUENCE)
        position = _passed(octets, position, _OID, _DATA)
        position, _ = _enter(octets, position, _CONTEXT_0)
        return _string(octets, position)
    except _NotThis:
        return b""


def _header(octets: bytes, position: int) -> tuple[int, int, int]:
    """(tag, where the contents begin, where they end: -1 if the length is open)."""
    if position + 2 > len(octets):
        raise _NotThis
    tag, length = octets[position], octets[position + 1]
    position += 2
    if length == 0x80:
        return tag, position, -1
    if length > 0x80:
        size = length & 0x7F
        if size > 4 or position + size > len(octets):
            raise _NotThis
        length = int.from_bytes(octets[position : position + size], "big")
        position += size
    if position + length > len(octets):
        raise _NotThis
    return tag, position, position + length


def _enter(octets: bytes, position: int, wanted: int) -> tuple[int, int]:
    tag, start, end = _header(octets, position)
    if tag != wanted:
        raise _NotThis
    return start, end


def _passed(octets: bytes, position: int, wanted: int, value: bytes) -> int:
    start, end = _enter(octets, position, wanted)
    if octets[start:end] != value:
        raise _NotThis
    return end


def _skip(octets: bytes, position: int) -> int:
    _, _, end = _header(octets, position)
    if end < 0:  # none of those that are skipped is written with an open length
        raise _NotThis
    return end


def _string(octets: bytes, position: int) -> bytes:
    """The contents of an octet string, whole or in pieces."""
    tag, start, end = _header(octets, position)
    if tag == _OCTETS and end >= 0:
        return octets[start:end]
    if tag != _OCTETS_IN_PIECES:
        raise _NotThis
    pieces: list[bytes] = []
    position = start
    while len(pieces) < MAX_PIECES and (end < 0 or position < end):
        tag, start, stop = _header(octets, position)
        if tag != _OCTETS or stop < 0:
            break  # the mark of the end
        pieces.append(octets[start:stop])
        position = stop
    return b"".join(pieces)
