"""A Bot API server of our own: what Telegram's does for a bot, on the loopback, with faults on demand.

It speaks the published Bot API over HTTP: `POST /bot<token>/<method>` with a form, a JSON body or parts, and
`GET /file/bot<token>/<path>`. What a person does in his Telegram is a method of `Chats`. Updates are kept until the bot
asks for a later offset, two pollers at one time are a conflict, limits are counted on a clock that can be moved, and
every method can be told to fail. It is what tests, and people without a token, talk to; nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import ClientSession, ClientTimeout, web

from intake.demo.botapi_chats import Chats, Refused

MAX_FILE = 20 * 1024 * 1024  # octets that a bot may fetch (core.telegram.org/bots/api#getfile)
MAX_UPLOAD = 50 * 1024 * 1024  # octets that a bot may send
MAX_POLL = 50.0  # seconds a getUpdates may wait
PER_SECOND = 30  # messages in all (core.telegram.org/bots/faq, "broadcasting")
PER_MINUTE_OF_GROUP = 20  # messages to one group


@dataclass
class Fault:
    """How a method fails, for a number of calls."""

    code: int  # of HTTP; 0: the line is cut without an answer
    times: int
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    after: bool = False  # it is carried out, and only the answer fails


class BotApi:
    """The server. `base_url` is what the bot is told; `chats` is what its people see and do."""

    def __init__(self, token: str, *, seconds: Callable[[], float], first_update: int = 1) -> None:
        self.token = token
        self.chats = Chats(seconds=seconds, first_update=first_update)
        self.calls: list[tuple[str, dict[str, Any]]] = []  # every call, in order, as it was asked
        self.confirmed = 0  # the bot has told that it has all updates below this
        self._seconds = seconds
        self._faults: dict[str, list[Fault]] = defaultdict(list)
        self._sent: deque[tuple[float, int]] = deque()  # (when, chat) of what went out
        self._poller: asyncio.Event | None = None
        self._runner: web.AppRunner | None = None
        self._secret = ""
        self._hook = ""
        self.port = 0

    # ---- as a server

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=MAX_UPLOAD)
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        app.router.add_get("/file/bot{token}/{path:.+}", self._file)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> BotApi:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, method: str, code: int, times: int = 1, description: str = "", **more: Any) -> None:
        """The next calls of a method fail: `parameters` and `after` as in Fault."""
        self._faults[method].append(Fault(code=code, times=times, description=description, **more))

    def called(self, method: str) -> list[dict[str, Any]]:
        """What was asked of a method, in order."""
        return [asked for name, asked in self.calls if name == method]

    # ---- one call

    async def _call(self, request: web.Request) -> web.StreamResponse:
        if not hmac.compare_digest(request.match_info["token"], self.token):
            return _refusal(Refused(401, "Unauthorized"))
        method = request.match_info["method"]
        asked = await _arguments(request)
        self.calls.append((method, asked))
        fault = self._fault(method)
        if fault is not None and not fault.after:
            return _failed(request, fault)
        try:
            result = await self._carried_out(method, asked)
        except Refused as refused:
            return _refusal(refused)
        except (KeyError, ValueError, TypeError) as wrong:
            return _refusal(Refused(400, f"Bad Request: {wrong}"))
        if fault is not None:
            return _failed(request, fault)
        return web.Response(body=orjson.dumps({"ok": True, "result": result}), content_type="application/json")

    def _fault(self, method: str) -> Fault | None:
        waiting = self._faults[method]
        if not waiting:
            return None
        waiting[0].times -= 1
        return waiting.pop(0) if waiting[0].times <= 0 else waiting[0]

    async def _carried_out(self, method: str, asked: Mapping[str, Any]) -> Any:
        if method == "getUpdates":
            return await self._updates(asked)
        own = getattr(self, f"_do_{method}", None)
        if own is not None:
            return own(asked)
        if method in self.chats.SENDS:
            self._is_within_limits(int(asked["chat_id"]))
            sent = self.chats.sent_by_bot(method, asked)
            self._sent.append((self._seconds(), int(asked["chat_id"])))
            return sent
        known = self.chats.METHODS.get(method)
        if known is None:
            raise Refused(404, "Not Found")
        return known(self.chats, asked)

    def _is_within_limits(self, chat: int) -> None:
        now = self._seconds()
        while self._sent and self._sent[0][0] <= now - 60:
            self._sent.popleft()
        if sum(1 for at, _ in self._sent if at > now - 1) >= PER_SECOND:
            raise Refused(429, "Too Many Requests: retry after 1", retry_after=1)
        to_group = [at for at, to in self._sent if to == chat] if chat < 0 else []
        if len(to_group) >= PER_MINUTE_OF_GROUP:
            wait = max(1, round(to_group[0] + 60 - now))
            raise Refused(429, f"Too Many Requests: retry after {wait}", retry_after=wait)

    # ---- updates

    async def _updates(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        if self._hook:
            raise Refused(409, "Conflict: can't use getUpdates method while webhook is active")
        if self._poller is not None:  # the older of two is told, as the real server does
            self._poller.set()
        other = self._poller = asyncio.Event()
        try:
            self._confirm(int(asked.get("offset", 0)))
            wanted = frozenset(asked.get("allowed_updates") or ())
            patience = min(float(asked.get("timeout", 0)), MAX_POLL)
            waits = [asyncio.ensure_future(e.wait()) for e in (other, self.chats.has_updates)]
            try:
                if not self.chats.updates and patience:
                    await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
            if other.is_set():
                raise Refused(409, "Conflict: terminated by other getUpdates request; one bot instance at a time")
            found = [u for u in self.chats.updates if not wanted or wanted & u.keys()]
            return found[: int(asked.get("limit", 100))]
        finally:
            if self._poller is other:
                self._poller = None

    def _confirm(self, offset: int) -> None:
        self.confirmed = max(self.confirmed, offset)
        self.chats.forget_before(self.confirmed)

    async def push(self) -> list[int]:
        """Post what waits to the webhook, as Telegram does; what is not answered 2xx stays. The status of each."""
        answers = []
        async with ClientSession(timeout=ClientTimeout(total=30)) as session:
            for update in list(self.chats.updates):
                headers = {"X-Telegram-Bot-Api-Secret-Token": self._secret} if self._secret else {}
                async with session.post(self._hook, json=update, headers=headers) as answer:
                    answers.append(answer.status)
                if not 200 <= answers[-1] < 300:
                    break
                self._confirm(update["update_id"] + 1)
        return answers

    def _do_setWebhook(self, asked: Mapping[str, Any]) -> bool:  # noqa: N802 (the API's own names)
        self._hook, self._secret = str(asked["url"]), str(asked.get("secret_token", ""))
        return True

    def _do_deleteWebhook(self, asked: Mapping[str, Any]) -> bool:  # noqa: N802
        self._hook = self._secret = ""
        if asked.get("drop_pending_updates"):
            self.chats.forget_before(self.chats.next_update)
        return True

    def _do_getWebhookInfo(self, _: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        waiting = len(self.chats.updates)
        return {"url": self._hook, "has_custom_certificate": False, "pending_update_count": waiting}

    # ---- files

    def _do_getFile(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        kept = self.chats.files.get(str(asked["file_id"]))
        if kept is None:
            raise Refused(400, "Bad Request: invalid file_id")
        if len(kept.content) > MAX_FILE:
            raise Refused(400, "Bad Request: file is too big")
        size = len(kept.content)
        return {"file_id": kept.id, "file_unique_id": kept.id, "file_size": size, "file_path": kept.path}

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.calls.append(("file", {"path": path}))
        fault = self._fault("file")
        if fault is not None:
            return _failed(request, fault)
        is_ours = hmac.compare_digest(request.match_info["token"], self.token)
        kept = next((f for f in self.chats.files.values() if f.path == path), None)
        if not is_ours or kept is None:
            return _refusal(Refused(404, "Not Found"))
        return web.Response(body=kept.content, content_type="application/octet-stream")


async def _arguments(request: web.Request) -> dict[str, Any]:
    """Query, form, parts or JSON: the API takes each. What looks like JSON in a form is read as such."""
    if request.content_type == "application/json":
        return dict(await request.json())
    asked: dict[str, Any] = {name: _read(value) for name, value in request.query.items()}
    for name, value in (await request.post()).items():
        asked[name] = value if isinstance(value, web.FileField) else _read(str(value))
    return asked


def _read(value: str) -> Any:
    if value[:1] in "[{" or value in ("true", "false"):
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def _refusal(refused: Refused) -> web.Response:
    said: dict[str, Any] = {"ok": False, "error_code": refused.code, "description": refused.description}
    if refused.parameters:
        said["parameters"] = refused.parameters
    return web.Response(status=refused.code, body=orjson.dumps(said), content_type="application/json")


def _failed(request: web.Request, fault: Fault) -> web.Response:
    if fault.code == 0:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    if fault.code >= 500:  # a proxy speaks, not the API
        return web.Response(status=fault.code, text="<html>Bad Gateway</html>", content_type="text/html")
    return _refusal(Refused(fault.code, fault.description or "Bad Request", **fault.parameters))
