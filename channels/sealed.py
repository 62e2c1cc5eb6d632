"""Encrypted mail: known and named, never opened. Its parts are passed on whole, as files.

Sources: RFC 8551 (S/MIME), RFC 3156 (PGP/MIME), RFC 4880 §6.2 (armour within a text).
"""

from __future__ import annotations

from collections.abc import Iterator

from channels.parts import Part

PKCS7 = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_ARMOUR = "-----BEGIN PGP MESSAGE-----"


def notices(part: Part) -> Iterator[str]:
    """What is closed to us in a part that could not be opened, in words for `Message.defects`."""
    if part.media_type in PKCS7 and part.params.get("smime-type", "").lower() != "certs-only":
        yield "encrypted (S/MIME): it cannot be read here"
    elif "encrypted" in part.parents and part.media_type == "application/pgp-encrypted":
        yield "encrypted (PGP): it cannot be read here"


def armour(words: str) -> Iterator[str]:
    """The same of words that are armoured octets."""
    if _ARMOUR in words:
        yield "encrypted (PGP): it cannot be read here"
