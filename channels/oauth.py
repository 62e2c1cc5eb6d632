"""What is said to a token server and what its answers mean: OAuth 2.0 as mail needs it. Pure.

RFC 6749 (grants, refresh, errors), RFC 8628 (device codes), RFC 7636 (PKCE), RFC 7523 (Google's service accounts),
and the dialects of login.microsoftonline.com and oauth2.googleapis.com. No value here shows a secret in its repr.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

from channels.service_account import assertion
from channels.settings import OAuthSettings

MAX_WORDS = 300  # characters of a server's words that are kept
MAX_TOKEN = 16 * 1024  # characters; a server that sends more is confused
USUAL_LIFE = 3600.0  # seconds of an access token whose server does not say
RENEW_BEFORE = 300.0  # seconds before its end that an access token is renewed, or a fifth of its life if that is less
MIN_POLL, MAX_POLL = 1.0, 60.0  # seconds between two looks whether a device code was typed in

#: What may pass by itself (RFC 6749 §4.1.2.1, §5.2). Every other error waits for a person.
_PASSING = frozenset({"temporarily_unavailable", "server_error"})
_OUTLOOK = "https://outlook.office.com/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoints:
    """Where a provider is asked; "" where it has none."""

    token_url: str
    device_url: str
    login_url: str
    scope: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """A token for the mail servers, and perhaps a newer one for the next time."""

    access_token: str = field(repr=False)
    expires_in: float  # seconds
    refresh_token: str = field(default="", repr=False)  # "": the old one goes on
    refresh_expires_in: float | None = None  # seconds; None where the server does not say

    @property
    def usable_for(self) -> float:
        """Seconds after which it should be renewed; a server's clock and the way there take a part of its life."""
        return self.expires_in - min(RENEW_BEFORE, self.expires_in / 5)


@dataclass(frozen=True, kw_only=True, slots=True)
class NotGranted:
    """A refusal, in the server's words without anything secret."""

    error: str  # "invalid_grant"; "" where it said nothing that can be read
    words: str
    is_passing: bool  # trying again may help


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceCode:
    """What a person types in, and where."""

    device_code: str = field(repr=False)
    user_code: str
    url: str
    interval: float  # seconds between two looks
    expires_in: float  # seconds


def endpoints(settings: OAuthSettings) -> Endpoints:
    """The provider's addresses, or those that are written."""
    device = login = token = scope = ""
    if settings.provider == "google":
        token = "https://oauth2.googleapis.com/token"  # noqa: S105
        device = "https://oauth2.googleapis.com/device/code"
        login = "https://accounts.google.com/o/oauth2/v2/auth"
        scope = "https://mail.google.com/"
    elif settings.provider == "microsoft":
        base = f"https://login.microsoftonline.com/{quote(settings.tenant or 'organizations', safe='')}/oauth2/v2.0"
        token, device, login = f"{base}/token", f"{base}/devicecode", f"{base}/authorize"
        scope = f"offline_access {_OUTLOOK}IMAP.AccessAsUser.All {_OUTLOOK}SMTP.Send"
        if settings.way == "app-only":
            scope = "https://outlook.office365.com/.default"
    return Endpoints(
        token_url=settings.token_url or token,
        device_url=settings.device_url or device,
        login_url=settings.login_url or login,
        scope=settings.scope or scope,
    )


# ---- what is sent


def _client(settings: OAuthSettings, secret: str) -> dict[str, str]:
    return {"client_id": settings.client_id, **({"client_secret": secret} if secret else {})}


def _scope(settings: OAuthSettings) -> dict[str, str]:
    scope = endpoints(settings).scope
    return {"scope": scope} if scope else {}


def refresh_form(settings: OAuthSettings, secret: str, refresh_token: str) -> dict[str, str]:
    return {**_client(settings, secret), "grant_type": "refresh_token", "refresh_token": refresh_token}


def device_form(settings: OAuthSettings) -> dict[str, str]:
    return {"client_id": settings.client_id, **_scope(settings)}


def device_poll_form(settings: OAuthSettings, secret: str, device_code: str) -> dict[str, str]:
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    return {**_client(settings, secret), "grant_type": grant, "device_code": device_code}


def login_address(settings: OAuthSettings, redirect: str, state: str, verifier: str, username: str) -> str:
    """What a person opens in a browser (authorization code with PKCE)."""
    asked = {
        "client_id": settings.client_id,
        "response_type": "code",
        "redirect_uri": redirect,
        "state": state,
        "code_challenge": _base64(sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
        "login_hint": username,
        **_scope(settings),
    }
    if settings.provider == "google":
        asked |= {"access_type": "offline", "prompt": "consent"}  # else no refresh token, the second time
    url = endpoints(settings).login_url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"


def code_form(settings: OAuthSettings, secret: str, code: str, redirect: str, verifier: str) -> dict[str, str]:
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
    return {**_client(settings, secret), **grant}


def app_form(settings: OAuthSettings, secret: str, username: str, now: datetime) -> dict[str, str]:
    """For a program that needs nobody's consent but an administrator's. Raises ValueError for an unusable key."""
    if settings.provider == "google":
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return {"grant_type": grant, "assertion": assertion(_claims(settings, username, now), secret)}
    return {**_client(settings, secret), "grant_type": "client_credentials", **_scope(settings)}


def _claims(settings: OAuthSettings, username: str, now: datetime) -> dict[str, object]:
    """To act for the mailbox's owner, which an administrator has allowed (domain-wide delegation)."""
    began = int((now - timedelta(seconds=60)).timestamp())  # a clock that is ahead of Google's would be refused
    of = endpoints(settings)
    who = {"iss": settings.client_id, "sub": username, "scope": of.scope, "aud": of.token_url}
    return {**who, "iat": began, "exp": began + 3600}


def _base64(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


# ---- what is answered


def granted(status: int, body: bytes, secrets: Iterable[str]) -> Granted | NotGranted:
    """What a token server answered. `secrets` are left out of its words, should it repeat them."""
    answer = _object(body)
    access = answer.get("access_token")
    if status == 200 and isinstance(access, str) and access.isascii() and 0 < len(access) <= MAX_TOKEN:
        refresh = answer.get("refresh_token")
        lives = _seconds(answer.get("refresh_token_expires_in", answer.get("refresh_expires_in")))
        return Granted(
            access_token=access,
            expires_in=_seconds(answer.get("expires_in")) or USUAL_LIFE,
            refresh_token=refresh if isinstance(refresh, str) and len(refresh) <= MAX_TOKEN else "",
            refresh_expires_in=lives or None,  # Keycloak says 0 for one without an end
        )
    return _refusal(status, answer, secrets)


def device_code(status: int, body: bytes) -> DeviceCode | NotGranted:
    """What a device endpoint answered (RFC 8628 §3.2; Google writes `verification_url`)."""
    answer = _object(body)
    url = answer.get("verification_uri") or answer.get("verification_url")
    code, shown = answer.get("device_code"), answer.get("user_code")
    if status != 200 or not (isinstance(url, str) and isinstance(code, str) and isinstance(shown, str)):
        return _refusal(status, answer, ())
    return DeviceCode(
        device_code=code,
        user_code=plain(shown),
        url=plain(url),
        interval=min(MAX_POLL, max(MIN_POLL, _seconds(answer.get("interval")) or 5.0)),
        expires_in=_seconds(answer.get("expires_in")) or 900.0,
    )


def _refusal(status: int, answer: Mapping[str, Any], secrets: Iterable[str]) -> NotGranted:
    error = answer.get("error")
    said = answer.get("error_description") or answer.get("error_subtype")
    error, words = (one if isinstance(one, str) else "" for one in (error, said))
    for secret in filter(None, secrets):
        words, error = words.replace(secret, "…"), error.replace(secret, "…")
    error, words = plain(error)[:60], plain(words)
    for tail in ("Trace ID:", "Correlation ID:", "Timestamp:"):
        words = words.partition(tail)[0]  # Microsoft's numbers for its own log
    is_passing = status >= 500 or status in (408, 429) or not error or error in _PASSING
    return NotGranted(
        error=error, words=words.strip()[:MAX_WORDS] or ("" if error else f"HTTP {status}"), is_passing=is_passing
    )


def plain(words: str) -> str:
    """A server's words on one line, without what could move a cursor."""
    return " ".join("".join(c if c.isprintable() else " " for c in words[:4000]).split())


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(value: object) -> float:
    """A number of seconds, 0.0 for none; Microsoft's old endpoint writes it as text."""
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return seconds if 0 < seconds < 10**9 else 0.0


# ---- what mail servers are shown


def xoauth2(username: str, token: str) -> bytes:
    """The initial response of XOAUTH2, as Google and Microsoft document it."""
    return f"user={username}\x01auth=Bearer {token}\x01\x01".encode()


def oauthbearer(username: str, token: str, host: str, port: int) -> bytes:
    """The initial response of OAUTHBEARER (RFC 7628 §3.1), for servers that have no XOAUTH2."""
    name = username.replace("=", "=3D").replace(",", "=2C")
    return f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01".encode()
