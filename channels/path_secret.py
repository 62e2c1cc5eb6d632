"""The secret at the end of an exchange's address: made, and measured before anybody relies on it.

Light on purpose: the configuration is checked with it before any network library is imported.
"""

from __future__ import annotations

import math
import re
import secrets

MIN_SECRET = 128  # bit
MIN_DISTINCT = 8  # different characters: fewer were typed, not drawn

_URL_SAFE = re.compile(r"[A-Za-z0-9_-]+")


def new_secret() -> str:
    """A path secret of 256 bit."""
    return secrets.token_urlsafe(32)


def secret_bits(secret: str) -> int:
    """How many bits somebody must guess at most: by length and alphabet (10, 16 or 64 characters)."""
    if not _URL_SAFE.fullmatch(secret) or len(set(secret)) < MIN_DISTINCT:
        return 0
    alphabet = 10 if secret.isdigit() else 16 if re.fullmatch("[0-9a-f]+|[0-9A-F]+", secret) else 64
    return math.floor(len(secret) * math.log2(alphabet))


def secret_problem(secret: str) -> str:
    """What is wrong with a path secret, `""` if nothing is."""
    if not _URL_SAFE.fullmatch(secret):
        return "the path secret may have only letters, digits, - and _"
    if len(set(secret)) < MIN_DISTINCT:
        return "the path secret repeats a few characters"
    bits = secret_bits(secret)
    return f"the path secret is {bits} bit" if bits < MIN_SECRET else ""
