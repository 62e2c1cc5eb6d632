"""The playground: one page on the daemon's own listener, on which the whole circle is seen; clearly a demo.

The page writes as a customer, rings as the exchange and reads and answers as the agents do: by IMAP and SMTP, through
the playground's mail server. It sees of the daemon the event log and nothing else. It holds every mailbox, so it is
for this machine alone: loopback only, no foreign Host (DNS rebinding), posts from the page itself only.

Failure semantics: what a server refuses is shown as its sentence and not tried again; a lost event stream is taken up
again by the browser.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import orjson
from aiohttp import hdrs, web

from channels.adapter import PermanentFailure, TemporaryFailure
from channels.http import Refusal, json_response, not_found, read_body
from intake.demo import letters
from intake.demo.client import Account
from intake.demo.mailserver import DemoMailServer
from intake.demo.news import EventsAfter, News
from intake.demo.people import PEOPLE, Part, Person

MAX_BODY = 128 * 1024  # octets of a post
BODY_TIMEOUT = 10.0  # seconds
MAX_CC = 500  # characters
CALL_TIMEOUT = 10.0  # seconds for the daemon's answer to the exchange
NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: A mail's HTML: no scripts, nothing from elsewhere, no way out of its frame.
MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
FILES = {
    "/": ("index.html", "text/html"),
    "/demo/page.css": ("page.css", "text/css"),
    "/demo/page.js": ("page.js", "text/javascript"),
    "/demo/words.js": ("words.js", "text/javascript"),
}


class Playground:
    """The page and what it asks for. Raises ValueError where the listener could be reached from outside.

    `folder` is the state directory's `demo`, `channels` is channel -> medium, `phone_path` where the exchange posts to
    (without the secret), `phone_users` is an agent's key -> how the exchange names him.
    """

    def __init__(
        self,
        *,
        host: str,
        events_after: EventsAfter,
        mail: DemoMailServer,
        folder: Path,
        now: Callable[[], datetime],
        channels: Mapping[str, str],
        chat_path: str = "/chat",
        phone_path: str = "/phone",
        phone_users: Mapping[str, str] | None = None,
        hotline: str = "",
        timezone: str = "Asia/Taipei",
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"{host} can be reached from outside: the playground stays on the loopback")
        self._host = host
        self._events_after = events_after
        self._mail = mail
        self._folder = folder
        self._now = now
        self._channels = dict(channels)
        self._chat_path = chat_path
        self._phone_path = phone_path
        self._phone_users = dict(phone_users or {})
        self._hotline = hotline
        self._zone = ZoneInfo(timezone)
        self._people = {person.key: person for person in PEOPLE}
        self._news = News(events_after)
        mail.delivered = self._mail_came

    def routes(self, app: web.Application) -> None:
        """Put the page on the shared listener."""
        page = resources.files("intake.demo") / "page"
        for path, (name, media_type) in FILES.items():
            app.router.add_get(path, self._file((page / name).read_bytes(), media_type))
        get, post = app.router.add_get, app.router.add_post
        get("/demo/setup", self._guarded(self._setup))
        get("/demo/events", self._guarded(self._stream))
        get("/demo/mail/{key}", self._guarded(self._list))
        get("/demo/mail/{key}/{uid:[0-9]{1,10}}", self._guarded(self._open))
        get("/demo/mail/{key}/{uid:[0-9]{1,10}}/html", self._guarded(self._html))
        post("/demo/mail/{key}", self._guarded(self._send))
        post("/demo/call", self._guarded(self._call))
        app.on_shutdown.append(self._news.close)

    # --- who may ask --------------------------------------------------------------------------------------------------

    def _guarded(self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._refuse_strangers(request)
            try:
                return await handler(request)
            except PermanentFailure as refused:
                raise Refusal(422, refused.reason) from refused
            except TemporaryFailure as failed:
                raise Refusal(502, failed.reason) from failed

        return handle

    def _refuse_strangers(self, request: web.Request) -> None:
        """A site on the internet may point its name at this machine: only our own names count, and our own page."""
        here = request.transport.get_extra_info("sockname") if request.transport else None
        if not here or not ipaddress.ip_address(here[0]).is_loopback:
            raise not_found()
        if request.host.rpartition(":")[0] not in NAMES:
            raise Refusal(403, "The playground answers only under this machine's own name.")
        if request.method == "POST":
            is_ours = request.headers.get(hdrs.ORIGIN) == f"http://{request.host}"
            if not is_ours or request.content_type != "application/json":
                raise Refusal(403, "Only the playground's own page may post here.")

    def _file(self, body: bytes, media_type: str) -> Any:
        headers = {
            hdrs.CONTENT_TYPE: f"{media_type}; charset=utf-8",
            hdrs.CACHE_CONTROL: "no-cache",
            "Content-Security-Policy": PAGE_POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",
        }

        async def handle(request: web.Request) -> web.StreamResponse:
            name, _, port = request.host.rpartition(":")
            if request.path == "/" and name in NAMES and name.strip("[]") != self._host:
                # The chat takes sockets from one origin: everybody comes by the same name.
                host = f"[{self._host}]" if ":" in self._host else self._host
                raise web.HTTPFound(f"http://{host}:{port}/")
            return web.Response(body=body, headers=headers)

        return self._guarded(handle)

    # --- what there is ------------------------------------------------------------------------------------------------

    async def _setup(self, request: web.Request) -> web.Response:
        people = [{**asdict(person), "key": person.key} for person in PEOPLE]
        ports = {"imap": self._mail.imap_port, "smtp": self._mail.smtp_port}
        desk = next(person.address for person in PEOPLE if person.part is Part.DESK)
        return _fresh(
            {
                "people": people,
                "desk": desk,
                "hotline": self._hotline,
                "channels": self._channels,
                "chat": self._chat_path,
                "ports": ports,
                "passwords": str(self._folder),
                "timezone": self._zone.key,
            }
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        return await self._news.stream(request, self._now)

    def _mail_came(self, address: str) -> None:
        self._news.mail_came(address.partition("@")[0])

    # --- mail ---------------------------------------------------------------------------------------------------------

    def _account(self, request: web.Request) -> tuple[Person, Account]:
        person = self._people.get(request.match_info["key"])
        if person is None or person.part is Part.DESK:  # the desk's mailbox is the daemon's
            raise not_found()
        account = Account(
            address=person.address,
            password=self._folder / f"{person.key}.password",
            host=self._mail.host,
            imap_port=self._mail.imap_port,
            smtp_port=self._mail.smtp_port,
        )
        return person, account

    async def _list(self, request: web.Request) -> web.Response:
        _, account = self._account(request)
        lines = []
        for one in await account.listed():
            letter = letters.read(one.head)
            lines.append(
                {
                    "uid": one.uid,
                    "at": one.at,
                    "is_seen": one.is_seen,
                    "from": letter.sender,
                    "subject": letter.subject,
                    "preview": letter.preview,
                }
            )
        return _fresh(lines)

    async def _letter(self, request: web.Request, account: Account, uid: int) -> letters.Letter:
        raw = await account.opened(uid)
        if raw is None:
            raise not_found()
        return letters.read(raw)

    async def _open(self, request: web.Request) -> web.Response:
        _, account = self._account(request)
        letter = await self._letter(request, account, int(request.match_info["uid"]))
        shown = asdict(letter)
        shown["has_html"] = bool(shown.pop("html"))
        return _fresh(shown)

    async def _html(self, request: web.Request) -> web.Response:
        _, account = self._account(request)
        letter = await self._letter(request, account, int(request.match_info["uid"]))
        return web.Response(
            text=letter.html,
            content_type="text/html",
            headers={"Content-Security-Policy": MAIL_POLICY, hdrs.CACHE_CONTROL: "no-store"},
        )

    async def _send(self, request: web.Request) -> web.Response:
        person, account = self._account(request)
        asked = await _asked(request)
        text = _text(asked, "text")
        writer = letters.Writer(
            name=person.name,
            address=person.address,
            at=self._now().astimezone(self._zone),
            message_id=f"<{secrets.token_hex(12)}@{person.address.rpartition('@')[2]}>",
        )
        try:
            if isinstance(asked.get("reply"), int):
                original = await self._letter(request, account, asked["reply"])
                mail = letters.reply(writer, original, text)
            else:
                cc = str(asked.get("cc") or "").strip()[:MAX_CC]
                mail = letters.new(writer, self._desk(), _text(asked, "subject"), text, cc)
        except ValueError as wrong:
            raise Refusal(400, str(wrong)) from None
        await account.send(mail)
        return json_response({"sent": True}, 201)

    def _desk(self) -> str:
        return next(person.address for person in PEOPLE if person.part is Part.DESK)

    # --- the telephone ------------------------------------------------------------------------------------------------

    async def _call(self, request: web.Request) -> web.Response:
        """Do as the exchange would: post the event to the daemon's own webhook."""
        asked = await _asked(request)
        secret = (self._folder / "hotline.secret").read_text("utf-8").strip()
        is_out = asked.get("direction") == "out"
        event: dict[str, Any] = {
            "event": _text(asked, "event"),
            "direction": "out" if is_out else "in",
            "callId": _text(asked, "call_id"),
            "from": self._hotline if is_out else str(asked.get("from") or "anonymous"),
            "to": _text(asked, "to") if is_out else self._hotline,
        }
        if agent := str(asked.get("agent") or ""):
            event["user"] = self._phone_users.get(agent, agent)
        if cause := str(asked.get("cause") or ""):
            event["cause"] = cause
        assert request.transport is not None
        port = request.transport.get_extra_info("sockname")[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        url = f"http://{host}:{port}{self._phone_path}/{secret}"
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.post(url, json=event) as answer,
            ):
                told = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            # The address holds the secret: only the kind of failure is told.
            raise Refusal(502, f"The telephone webhook did not answer ({type(error).__name__}).") from None
        return web.Response(body=told, status=answer.status, content_type="application/json")


async def _asked(request: web.Request) -> dict[str, Any]:
    """The posted object. Raises Refusal 400 for anything else."""
    body = await read_body(request, MAX_BODY, BODY_TIMEOUT)
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        asked = None
    if not isinstance(asked, dict):
        raise Refusal(400, "Post one JSON object.")
    return asked


def _text(asked: Mapping[str, Any], name: str) -> str:
    """A field that must not be empty. Raises Refusal 400."""
    value = asked.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refusal(400, f'The field "{name}" is missing.')
    return value.strip()


def _fresh(data: Any) -> web.Response:
    response = json_response(data)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response
