"""Encrypted mail: known and named, never opened. Its parts are passed on whole, as files.

Sources: RFC 8551 (S/MIME), RFC 3156 (PGP/MIME), RFC 4880 §6.2 (armour within a text).
"""

from __future__ import annotations

from collections.abc import Iterator

from channels.parts import Tree

PKCS7 = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_ARMOUR = "-----BEGIN PGP MESSAGE-----"


def notices(tree: Tree, words: str) -> Iterator[str]:
    """What of a mail is closed to us, in words for `Message.defects`."""
    for part in tree.parts:
        if part.media_type in PKCS7 and part.params.get("smime-type", "").lower() != "certs-only":
            yield "encrypted or sealed (S/MIME): it cannot be read here"
        elif "encrypted" in part.parents and part.media_type == "application/pgp-encrypted":
            yield "encrypted (PGP): it cannot be read here"
    if _ARMOUR in words:
        yield "encrypted (PGP): it cannot be read here"
