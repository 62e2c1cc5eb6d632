"""Reaching the relay: connect, encrypt, log in. Whatever fails here is temporary: no message was begun."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable
from typing import TypeVar

import aiosmtplib

from channels.adapter import AccountRefused, ChannelAway, ChannelSlowed, LoginRefused, TemporaryFailure
from channels.oauth import oauthbearer, xoauth2
from channels.oauth_account import OAuthAccount
from channels.settings import SmtpSettings
from channels.smtp_words import About, about
from channels.tls import client_context

MAX_REPLY = 300  # characters of the relay's words that are kept

T = TypeVar("T")

_KINDS = {About.PACE: ChannelSlowed, About.ACCOUNT: AccountRefused}


async def connect(settings: SmtpSettings, desk: str, account: OAuthAccount | None = None) -> aiosmtplib.SMTP:
    """A greeted, secured, logged-in connection. With an account its token signs in, else the password.

    Raises LoginRefused when the password or token is not taken, TemporaryFailure for anything else; where the network
    or the certificate was to blame, that error is its `__cause__`.
    """
    where = f"{settings.host}:{settings.port}"
    try:
        secret = await account.token() if account else settings.password.read() if settings.password else None
        tls = None if settings.security == "none" else await client_context(settings.ca_file)
    except (OSError, ValueError) as error:
        raise ChannelAway(f"{where}: {error}") from error
    client = aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        use_tls=settings.security == "tls",
        start_tls=False,
        tls_context=tls,
        timeout=settings.command_timeout.total_seconds(),
        # Not the host's own name: looking that up may wait for a name server.
        local_hostname=_host_name(desk),
    )
    try:
        await _checked(where, client.connect(timeout=settings.connect_timeout.total_seconds()))
        await _checked(where, client.ehlo())
        if settings.security == "starttls":
            await _start_tls(client, where)
        if account is not None and secret is not None:
            await _log_in_by_token(client, account, settings.username or account.username, secret, where)
        elif settings.username is not None and secret is not None:
            await _log_in(client, settings.username, secret, where, is_private=tls is not None)
    except BaseException:
        client.close()
        raise
    return client


def _host_name(desk: str) -> str:
    domain = desk.rpartition("@")[2]
    return domain if domain.isascii() else "localhost"


async def _start_tls(client: aiosmtplib.SMTP, where: str) -> None:
    if not client.supports_extension("starttls"):
        raise ChannelAway(f"{where}: the server does not offer STARTTLS")
    await _checked(where, client.starttls())
    await _checked(where, client.ehlo())


async def _log_in(client: aiosmtplib.SMTP, username: str, password: str, where: str, is_private: bool) -> None:
    try:
        if is_private and "plain" in client.supported_auth_methods:
            # One method alone: the library would try a wrong password once by each, and lock the account.
            await _checked(where, client.auth_plain(username, password))
        else:
            await _checked(where, client.login(username, password))
    except TemporaryFailure as failure:
        cause = failure.__cause__
        if isinstance(cause, aiosmtplib.SMTPAuthenticationError) and cause.code >= 500:
            words = f"{where} refused the login of {username}: {cause.code} {cause.message}"
            raise LoginRefused(_plain(words)) from cause
        raise


async def _log_in_by_token(
    client: aiosmtplib.SMTP, account: OAuthAccount, username: str, token: str, where: str
) -> None:
    methods = {method.lower() for method in client.server_auth_methods}
    if "xoauth2" in methods:
        words, last = [b"XOAUTH2", b64encode(xoauth2(username, token))], b""
    elif "oauthbearer" in methods:
        first = oauthbearer(username, token, client.hostname or "", client.port or 0)
        words, last = [b"OAUTHBEARER", b64encode(first)], b64encode(b"\x01")  # RFC 7628 §3.2.3
    else:
        raise ChannelAway(f"{where}: the server offers no sign-in by token (AUTH XOAUTH2)")
    answer = await _checked(where, client.execute_command(b"AUTH", *words))
    if answer.code == 334:  # why it will be refused, in base64; the refusal itself comes after a word from us
        answer = await _checked(where, client.execute_command(last))
    if answer.code == 235:
        return
    said = _plain(f"{answer.code} {answer.message}".replace(token, "…"))
    if answer.code < 500:
        raise ChannelAway(f"{where}: {said}")
    if account.refused(token):
        raise ChannelAway(f"{where} takes the token no more, a new one is fetched: {said}")
    raise LoginRefused(f"{where} refused the login of {username}: {said}")


async def _checked(where: str, asking: Awaitable[T]) -> T:
    """What was asked for; any way of failing is temporary here, before a message is begun."""
    try:
        return await asking
    except aiosmtplib.SMTPResponseException as error:
        kind = _KINDS.get(about(error.message), ChannelAway)
        raise kind(_plain(f"{where}: {error.code} {error.message}")) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        # The library wraps what went wrong below; the certificate is what an operator must hear of.
        raise ChannelAway(_plain(f"{where}: {error}")) from (error.__cause__ or error)


def _plain(words: str) -> str:
    """A server's words as text that can be stored, bounded; see `channels.smtp.plain`."""
    return words.encode("utf-8", "replace").decode()[:MAX_REPLY]
