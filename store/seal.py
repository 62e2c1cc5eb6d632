"""Sealing: the words of people at rest, readable only with the desk's key.

Each message has a key of its own, wrapped by the desk's; to erase a message's octets for good it is enough to forget
its wrapped key. AES-256-GCM throughout (NIST SP 800-38D), with what the octets belong to as associated data: a row
that was moved to another message does not open. Where no key is configured nothing is sealed, and what was written
before a key was configured stays readable as it is.

Power loss: a row is sealed before it is committed, so there is no moment at which it lies open. A lost key loses the
words it sealed: it belongs into the backup of the secrets, not into the backup of the store.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

NONCE = 12  # octets
DATA_KEY = 32  # octets
SEALED_MARK = b"\x01"  # how a sealed normal form begins; an open one begins with "{"


class SealBroken(Exception):
    """Sealed octets cannot be opened: their key is not here, or they were changed. Names the message, not the words."""


class Erased(SealBroken):
    """The key of a message was forgotten on purpose: nobody opens it any more."""


@dataclass(frozen=True, slots=True, repr=False)
class DataKey:
    """The key of one message: in clear, and wrapped for its row."""

    octets: bytes
    key_id: str  # of the desk's key that wraps it
    wrapped: bytes


class Seal:
    """The desk's keys: the one that seals, and those that still open."""

    def __init__(self, secrets: list[str]) -> None:
        """`secrets`: the current one first. Raises ValueError for none."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 10 MiB that only a sealed store needs

        if not secrets:
            raise ValueError("the file of the store's key is empty")
        self._cipher: Any = AESGCM
        self._keys: dict[str, bytes] = {}
        for secret in secrets:
            key = hashlib.sha256(b"intake store seal\0" + secret.encode()).digest()
            self._keys[hashlib.sha256(key).hexdigest()[:16]] = key
        self.current = next(iter(self._keys))

    @classmethod
    def from_secret(cls, text: str) -> Seal:
        """From the key file: one secret a line, the current one first, blank lines and `#` comments apart."""
        lines = [line.strip() for line in text.splitlines()]
        return cls([line for line in lines if line and not line.startswith("#")])

    def __repr__(self) -> str:
        return f"Seal({self.current})"  # a secret must not reach a log by way of a traceback

    def knows(self, key_id: str) -> bool:
        return key_id in self._keys

    def new_key(self, message: int) -> DataKey:
        """A key for one message."""
        octets = os.urandom(DATA_KEY)
        wrapped = self._close(self._keys[self.current], octets, b"key:%d" % message)
        return DataKey(octets=octets, key_id=self.current, wrapped=wrapped)

    def unwrap(self, message: int, key_id: str, wrapped: bytes) -> DataKey:
        """The key of one message. Raises SealBroken."""
        key = self._keys.get(key_id)
        if key is None:
            raise SealBroken(f"message {message} is sealed with the store key {key_id}, which is not configured")
        octets = self._open(key, wrapped, b"key:%d" % message, message)
        return DataKey(octets=octets, key_id=key_id, wrapped=wrapped)

    def close(self, key: DataKey, octets: bytes, message: int, what: str) -> bytes:
        """Sealed octets; `what` says which of a message's octets they are: "raw", "normal"."""
        return self._close(key.octets, octets, f"{what}:{message}".encode())

    def open(self, key: DataKey, sealed: bytes, message: int, what: str) -> bytes:
        """The octets as they were. Raises SealBroken."""
        return self._open(key.octets, sealed, f"{what}:{message}".encode(), message)

    def _close(self, key: bytes, octets: bytes, about: bytes) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + bytes(self._cipher(key).encrypt(nonce, octets, about))

    def _open(self, key: bytes, sealed: bytes, about: bytes, message: int) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return bytes(self._cipher(key).decrypt(sealed[:NONCE], sealed[NONCE:], about))
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"the sealed octets of message {message} were changed") from error
