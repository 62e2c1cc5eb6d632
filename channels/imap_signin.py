"""Signing in to IMAP: by token, or by password in the way that this server and this password allow.

LOGIN with quoted strings is what every server knows. What is not ASCII needs AUTHENTICATE PLAIN (RFC 4616, UTF-8) or
literals; a server with LOGINDISABLED wants AUTHENTICATE; tokens go by XOAUTH2, or by OAUTHBEARER (RFC 7628).
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

from aioimaplib import aioimaplib as lib

from channels.adapter import LoginRefused, TemporaryFailure
from channels.imap_protocol import Client
from channels.imap_words import quoted
from channels.oauth import oauthbearer, xoauth2
from channels.oauth_account import OAuthAccount
from channels.settings import ImapSettings

MAX_WORDS = 200  # characters of a server's words that are kept

#: RFC 5530 §3: not about the password.
PASSING = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]")

_UNWRITABLE = re.compile("[\x00\r\n]")  # RFC 3501 §9, RFC 4616 §2: no way of writing these


async def secret_of(settings: ImapSettings, account: OAuthAccount | None) -> str:
    """The token or the password. Raises LoginRefused, ChannelAway for a token; OSError, ValueError for a password."""
    if account is not None:
        return await account.token()
    if settings.password is None:
        raise ValueError("neither a password nor oauth is configured")
    return settings.password.read()


async def sign_in(client: Client, username: str, secret: str, where: str, *, by_token: bool) -> str:
    """Sign in: "" when we are in, else the server's words. Raises LoginRefused, TemporaryFailure before asking."""
    if _UNWRITABLE.search(username + secret):
        raise LoginRefused(f"{where}: user name or password hold a line end, which no server takes")
    answer = await (_by_token if by_token else _by_password)(client, username, secret, where)
    if answer.result == "OK":
        client.protocol.state = lib.AUTH
        return ""
    words = bytes(answer.lines[-1]).decode("utf-8", "replace") if answer.lines else ""
    return words.replace(secret, "…")[:MAX_WORDS] or str(answer.result)


async def _by_token(client: Client, username: str, token: str, where: str) -> Any:
    if _offers(client, "AUTH=XOAUTH2"):
        return await _authenticate(client, "XOAUTH2", [xoauth2(username, token)])
    if _offers(client, "AUTH=OAUTHBEARER"):
        first = oauthbearer(username, token, client.host, client.port)
        # RFC 7628 §3.2.3: the question that comes before the refusal wants %x01.
        return await _authenticate(client, "OAUTHBEARER", [first], last=b64encode(b"\x01"))
    raise TemporaryFailure(f"{where}: the server offers no sign-in by token (AUTH=XOAUTH2)")


async def _by_password(client: Client, username: str, password: str, where: str) -> Any:
    is_plain = (username + password).isascii() and (username + password).isprintable()
    may_log_in = not _offers(client, "LOGINDISABLED")
    if may_log_in and is_plain:
        return await client.login(quoted(username), password)
    if _offers(client, "AUTH=PLAIN"):
        return await _authenticate(client, "PLAIN", [f"\0{username}\0{password}".encode()])
    if _offers(client, "AUTH=LOGIN"):
        return await _authenticate(client, "LOGIN", [username.encode(), password.encode()], is_asked=True)
    if may_log_in:
        return await _log_in_by_literals(client, username.encode(), password.encode())
    raise TemporaryFailure(f"{where}: the server takes no password in plain text; use tls or starttls")


def _offers(client: Client, capability: str) -> bool:
    return capability in {one.upper() for one in client.protocol.capabilities}


async def _authenticate(
    client: Client, mechanism: str, responses: list[bytes], last: bytes = b"", *, is_asked: bool = False
) -> Any:
    """AUTHENTICATE; the first response goes with it where the server takes that (SASL-IR, RFC 4959)."""
    protocol = client.protocol
    coded = [b64encode(response) for response in responses]
    words = [mechanism]
    if not is_asked and _offers(client, "SASL-IR"):
        words.append(coded.pop(0).decode())
    command = lib.Command("AUTHENTICATE", protocol.new_tag(), *words, loop=protocol.loop)
    return await protocol.ask_in_turns(command, coded, last)


async def _log_in_by_literals(client: Client, username: bytes, password: bytes) -> Any:
    """LOGIN with octets as they are; the server asks for each of them (RFC 3501 §7.5)."""
    protocol = client.protocol
    command = lib.Command("LOGIN", protocol.new_tag(), f"{{{len(username)}}}", loop=protocol.loop)
    return await protocol.ask_in_turns(command, [username + b" {%d}" % len(password), password])
