"""A Google service account's signed claim: a JSON Web Token by RS256 (RFC 7523, RFC 7515). Pure."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping


def assertion(claims: Mapping[str, object], key_file: str) -> str:
    """The claims, signed with the key of the JSON file that Google gave out. Raises ValueError for an unusable one."""
    # Here, and not above: it costs tens of milliseconds, and few need it.
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key: object = None
    try:
        written = json.loads(key_file)
        key = load_pem_private_key(str(written["private_key"]).encode(), None)
    except (ValueError, TypeError, LookupError):
        pass  # what was read is never repeated: it is the key
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("this is no key file of a service account: put the JSON there that Google gave out")  # noqa: TRY004
    head = {"alg": "RS256", "typ": "JWT", "kid": str(written.get("private_key_id", ""))}
    signed = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
    return f"{signed}.{_base64(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def _base64(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()
