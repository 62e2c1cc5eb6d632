"""A token server on loopback: device and browser codes, rotating refresh, app-only, and every refusal on demand.

    async with TokenServer() as server:
        OAuthSettings(provider="custom", client_id="desk", **server.addresses)
        refresh = server.grant()              # as if somebody had consented
        server.fails.append((503, {}))        # the next answer of /token
        server.consent()                      # whoever shows a device code is let in from now on

What was asked is in `asked`, a dict a request. `alive` are the access tokens that count; Dovecot may ask for them at
`introspection_url`. A refresh token that was replaced is refused from then on, as strict servers do.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

CLIENT = "desk-client"


class TokenServer:
    def __init__(self, *, rotates: bool = True, expires_in: int = 3600, user: str = "desk@firm.example") -> None:
        self.rotates = rotates
        self.expires_in = expires_in
        self.user = user
        self.extra: dict[str, Any] = {}  # into every granted answer
        self.secret = ""  # client_secret that must be shown
        self.asked: list[dict[str, str]] = []
        self.fails: list[tuple[int, Any]] = []  # the next answers of /token: a dict is sent as JSON, text as it is
        self.headers: dict[str, str] = {}  # of failing answers
        self.alive: dict[str, str] = {}  # access token -> user
        self.refresh: set[str] = set()
        self.consented = False
        self.waits: asyncio.Event | None = None  # until it is set nothing is answered
        self.introspected = 0
        self._codes: dict[str, str] = {}  # browser code -> challenge
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> TokenServer:
        app = web.Application()
        app.router.add_post("/token", self._token)
        app.router.add_post("/device", self._device)
        app.router.add_get("/introspect", self._introspect)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def addresses(self) -> dict[str, str]:
        """Keys of [channels.NAME.oauth]."""
        return {
            "token_url": f"{self.base}/token",
            "device_url": f"{self.base}/device",
            "login_url": f"{self.base}/login",
        }

    def grant(self) -> str:
        """A refresh token that counts."""
        token = f"refresh-canary-{next(self._numbers)}"
        self.refresh.add(token)
        return token

    def consent(self) -> None:
        self.consented = True

    def open_in_browser(self, address: str) -> str:
        """What a browser is sent back to, once the person behind it has said yes."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        code = f"code-{next(self._numbers)}"
        self._codes[code] = asked["code_challenge"]
        return f"{asked['redirect_uri']}?state={asked['state']}&code={code}"

    def revoke_access(self) -> None:
        """Every access token ends at once."""
        self.alive.clear()

    def _granted(self, *, with_refresh: bool = True) -> web.Response:
        access = f"access-canary-{next(self._numbers)}"
        self.alive[access] = self.user
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.expires_in, **self.extra}
        if with_refresh:
            answer["refresh_token"] = self.grant()
        return web.json_response(answer)

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form)
        if self.waits is not None:
            await self.waits.wait()
        if self.fails:
            status, answer = self.fails.pop(0)
            text = answer if isinstance(answer, str) else json.dumps(answer)
            return web.Response(status=status, text=text, headers=self.headers)
        if self.secret and form.get("client_secret") != self.secret:
            return _no("invalid_client", "AADSTS7000215: Invalid client secret provided.", status=401)
        grant = form["grant_type"].rpartition(":")[2]
        if grant == "refresh_token":
            if form["refresh_token"] not in self.refresh:
                return _no("invalid_grant", f"AADSTS700082: The refresh token {form['refresh_token']} has expired.")
            if self.rotates:
                self.refresh.discard(form["refresh_token"])
            return self._granted(with_refresh=self.rotates)
        if grant == "device_code":
            return self._granted() if self.consented else _no("authorization_pending", "")
        if grant == "authorization_code":
            challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
            if self._codes.pop(form["code"], "") != challenge.rstrip(b"=").decode():
                return _no("invalid_grant", "Malformed auth code.")
            return self._granted()
        if grant in ("client_credentials", "jwt-bearer"):
            return self._granted(with_refresh=False)
        return _no("unsupported_grant_type", "")

    async def _device(self, request: web.Request) -> web.Response:
        self.asked.append({name: str(value) for name, value in (await request.post()).items()})
        answer = {"device_code": "device-canary", "user_code": "ABCD-EFGH", "interval": 1, "expires_in": 900}
        return web.json_response({**answer, "verification_uri": "https://login.example/device"})

    async def _introspect(self, request: web.Request) -> web.Response:
        self.introspected += 1
        shown = request.query.get("token", "") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        user = self.alive.get(shown)
        return web.json_response({"active": user is not None, **({"email": user} if user else {})})


def _no(error: str, words: str, status: int = 400) -> web.Response:
    return web.json_response({"error": error, "error_description": words}, status=status)
