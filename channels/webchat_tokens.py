"""Who a visitor is: a session id that we have signed, and the key that signs it.

The key is the configured one, else one in the state directory that is made at the first start. Whoever has it can
take any visitor's place, so it is written readable by us alone. A new key makes every visitor a new one.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import secrets
from pathlib import Path

from channels.adapter import Fatal
from channels.settings import WebchatSettings

MIN_KEY = 16  # octets


def new_session() -> str:
    """A fresh session id: 128 random bits."""
    return secrets.token_hex(16)


def sign(key: bytes, channel: str, session: str) -> str:
    """The token that proves a session id to be ours; it is bound to one channel."""
    mac = hmac.digest(key, f"intake webchat\0{channel}\0{session}".encode(), "sha256")
    return f"{session}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def session_of(key: bytes, channel: str, token: str) -> str | None:
    """The session id in a token, None if the token was not signed with this key for this channel."""
    session = token.partition(".")[0]
    is_ours = hmac.compare_digest(sign(key, channel, session).encode(), token.encode())
    return session if is_ours else None


def key_file(state_dir: str, channel: str) -> Path:
    """Where the key lies that we have made ourselves."""
    return Path(state_dir) / f"webchat-{channel}.key"


def session_key(settings: WebchatSettings, made: Path) -> bytes:
    """The configured key, else the one in the file `made`, which is written if need be. Raises Fatal."""
    try:
        if settings.session_key is None and not made.exists():
            _make_key(made)
        return read_key(settings, made)
    except (OSError, ValueError) as error:
        raise Fatal(f"chat: the session key cannot be had: {error}") from error


def read_key(settings: WebchatSettings, made: Path) -> bytes:
    """The key as it is. Raises OSError, ValueError; Fatal when it is too short."""
    text = settings.session_key.read() if settings.session_key else made.read_text("ascii").strip()
    key = text.encode()
    if len(key) < MIN_KEY:
        raise Fatal(f"chat: the session key has {len(key)} octets, at least {MIN_KEY} are needed")
    return key


def _make_key(path: Path) -> None:
    """Write a new key whole or not at all, readable by us alone; who comes second keeps the first one's."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
