"""The telephone channel: an exchange posts what happens to a call, in the form it already sends to Zammad.

An event is answered 200 only once it is committed; while the store is down, or the receiver does not run, the
exchange hears 503 and Retry-After. A wrong secret, or a strange network, meets the same 404 as any path that
nobody serves. Most exchanges do not repeat what was refused, so nothing is refused that can be kept.
"""

from __future__ import annotations

import asyncio
import hmac
from datetime import datetime
from typing import Any

from aiohttp import hdrs, web

from channels.adapter import (
    Accept,
    Accepted,
    Adapter,
    Arrival,
    CheckLine,
    CheckState,
    Envelope,
    Fatal,
    StoreUnavailable,
    Tools,
)
from channels.call_events import (
    EventError,
    PostedEvent,
    canonical_json,
    external_id,
    parse_body,
    read,
    source_time,
)
from channels.http import Network, Refusal, is_within, not_found, parse_networks, peer, read_body, unavailable
from channels.message import CallEvent, Medium
from channels.path_secret import MIN_SECRET, new_secret, secret_bits, secret_problem
from channels.phone_numbers import is_region
from channels.settings import AS_THE_SERVICE, TelephonySettings

__all__ = ["TelephonyChecker", "TelephonyReceiver", "build", "new_secret", "read", "secret_bits"]

ACCEPT_TIMEOUT = 10.0  # s an event may wait for its commit; if it is kept after all, its repetition changes nothing
TURN = 30.0  # s between two signs of life of a receiver that only waits

_OK = b'{"status":"ok"}'


class TelephonyReceiver:
    """Serves POST PATH/SECRET; stores what comes while `receive` runs."""

    def __init__(self, name: str, settings: TelephonySettings, tools: Tools) -> None:
        self._name = name
        self._settings = settings
        self._tools = tools
        self._accept: Accept | None = None
        self._secret = b""  # read when first received: building does no input
        self._sources: tuple[Network, ...] = ()
        self._timeout = settings.body_timeout.total_seconds()
        #: agent -> how the exchange names his telephone; the first one written wins
        self._telephones = {agent: user for user, agent in reversed(settings.users.items())}
        self.taken = 0  # events stored since the start
        self.refused = 0  # requests with a wrong secret or from a strange network

    def mount(self, app: web.Application) -> None:
        """Put the route on the shared listener."""
        app.router.add_post(self._settings.path + "/{secret}", self.handle)

    async def receive(self, accept: Accept) -> None:
        """Take events until cancelled. Raises Fatal when the secret or the networks cannot be used."""
        self._secret, self._sources = self._load()
        self._accept = accept
        try:
            while True:
                note = f"waiting for calls, {self.taken} events taken, {self.refused} requests refused"
                self._tools.progress(note, 3 * TURN)
                await asyncio.sleep(TURN)
        finally:
            self._accept = None

    def _load(self) -> tuple[bytes, tuple[Network, ...]]:
        try:
            secret = self._settings.secret.read()
            sources = parse_networks(self._settings.sources)
        except (OSError, ValueError) as wrong:
            raise Fatal(f"{self._name}: {wrong}") from wrong
        if problem := secret_problem(secret):
            raise Fatal(f"{self._name}: {problem}: run `intake secret new {self._name}`")
        return secret.encode(), sources

    async def handle(self, request: web.Request) -> web.Response:
        """One event: 200 once it is kept; 400, 404, 408, 413, 503 with a sentence otherwise."""
        if not self._secret:
            raise unavailable("The telephone channel is starting.")
        if not self._is_known(request):
            self.refused += 1
            raise not_found()
        if self._accept is None:
            raise unavailable("The telephone channel is not running.")
        body = await read_body(request, self._settings.max_body, self._timeout)
        try:
            posted = parse_body(body, request.headers.get(hdrs.CONTENT_TYPE, ""))
        except EventError as wrong:
            raise Refusal(400, str(wrong)) from None
        accepted = await self._store(posted, peer(request), len(body))
        number = ""
        if posted.event is CallEvent.NEW and posted.is_inbound and _wants_dial(request):
            number = await self._telephone(accepted)
        return _dial(number) if number else web.Response(body=_OK, content_type="application/json")

    def _is_known(self, request: web.Request) -> bool:
        """True for the right secret from an allowed network; the secret is compared in constant time."""
        given = request.match_info["secret"].encode("utf-8", "replace")
        is_right = hmac.compare_digest(given, self._secret)
        return is_right and (not self._sources or is_within(peer(request), self._sources))

    async def _store(self, posted: PostedEvent, address: str, size: int) -> Accepted:
        """Commit one event. Raises Refusal 503 when it cannot be kept."""
        accept = self._accept  # the receiver may have stopped while the body came
        if accept is None:
            raise unavailable("The telephone channel is not running.")
        try:
            async with asyncio.timeout(ACCEPT_TIMEOUT):
                [accepted] = await accept([self._arrival(posted, self._tools.clock.now(), address, size)])
        except (StoreUnavailable, TimeoutError):
            raise unavailable("The event could not be stored; send it again.") from None
        self.taken += 1
        return accepted

    def _arrival(self, posted: PostedEvent, now: datetime, address: str, size: int) -> Arrival:
        source_at = source_time(posted, now)
        return Arrival(
            channel=self._name,
            medium=Medium.PHONE,
            external_id=external_id(posted),
            received_at=source_at or now,
            raw=canonical_json(posted, self._settings.region, now, source_at),
            envelope=Envelope(peer=address, source_size=size),
        )

    async def _telephone(self, accepted: Accepted) -> str:
        """The telephone of whoever should take the call, `""` if that is not known in time."""
        try:
            async with asyncio.timeout(self._settings.dial_wait.total_seconds()):
                # Others may wait for the same decision: giving up must not cancel it.
                decided = await asyncio.shield(asyncio.ensure_future(accepted.decided))
        except TimeoutError:
            return ""
        return self._telephones.get(decided.agent or "", "")


def _wants_dial(request: web.Request) -> bool:
    """True where the registered address ends in `?dial=1`: others would only wait for nothing."""
    return bool(request.query_string) and request.query.get("dial") == "1"


def _dial(number: str) -> web.Response:
    """Zammad's form of telling the exchange whom to ring."""
    return web.json_response({"action": "dial", "number": number})


class TelephonyChecker:
    """Looks at what the exchange needs: the secret, the networks, the region."""

    def __init__(self, name: str, settings: TelephonySettings) -> None:
        self._name = name
        self._settings = settings

    async def check(self) -> list[CheckLine]:
        """One line for each thing that is wrong, or one that says all is well. The secret is never shown."""
        found = [line for line in (self._secret(), self._sources(), self._region()) if line is not None]
        return found or [self._line(CheckState.OK)]

    def _secret(self) -> CheckLine | None:
        mend = f"intake secret new {self._name} (≥ {MIN_SECRET} bit)"
        try:
            problem = secret_problem(self._settings.secret.read())
            is_open = self._settings.secret.is_readable_by_others()
        except (OSError, ValueError) as wrong:
            mend = AS_THE_SERVICE if self._settings.secret.is_awaited else mend
            return self._line(CheckState.BAD, f"the path secret cannot be read: {wrong}", mend)
        if problem:
            return self._line(CheckState.BAD, problem, mend)
        if is_open:
            return self._line(
                CheckState.WARNING,
                "everybody on this machine can read the path secret",
                f"chmod 600 {self._settings.secret.path()}",
            )
        return None

    def _sources(self) -> CheckLine | None:
        try:
            parse_networks(self._settings.sources)
        except ValueError as wrong:
            return self._line(CheckState.BAD, f"sources: {wrong}", f"correct channels.{self._name}.sources")
        return None

    def _region(self) -> CheckLine | None:
        if is_region(self._settings.region):
            return None
        return self._line(
            CheckState.BAD,
            f'"{self._settings.region}" is no region with telephone numbers',
            f'write an ISO 3166-1 code such as "TW" in channels.{self._name}.region',
        )

    def _line(self, state: CheckState, problem: str = "", mend: str = "") -> CheckLine:
        found = f"generic CTI, POST {self._settings.path}/…"
        return CheckLine(subject="phone", name=self._name, found=found, state=state, problem=problem, mend=mend)


def build(name: str, settings: TelephonySettings, tools: Tools) -> Adapter:
    """The telephone channel of one exchange: it receives; nothing can be sent."""
    receiver = TelephonyReceiver(name, settings, tools)

    def routes(app: Any) -> None:
        receiver.mount(app)

    return Adapter(
        channel=name,
        medium=Medium.PHONE,
        receiver=receiver,
        checker=TelephonyChecker(name, settings),
        routes=routes,
    )
