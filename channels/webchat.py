"""The web chat: a websocket shell round `channels.webchat_session`, and the way to a visitor's open page.

Failure semantics. A visitor's line is acknowledged after `accept` has returned; if that raises StoreUnavailable
or takes longer than ACCEPT_TIMEOUT, the page is told `busy`, keeps the line and sends it again under the same id.
A line of ours counts as delivered when a page of that visitor says it shows it. With no page open, or none
answering within GOT_TIMEOUT, it is STORED: the transcript gives it to him when he returns, and his page's word
then reaches `Tools.on_delivered`. Losing power loses nothing but open sockets, which come back by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from channels import webchat_frames as frames
from channels import webchat_session as protocol
from channels.adapter import (
    Accept,
    Adapter,
    Delivery,
    DeliveryState,
    Envelope,
    OutboundMessage,
    PermanentFailure,
    StoreUnavailable,
    Tools,
    TranscriptLine,
)
from channels.http import peer
from channels.message import Medium, Scheme
from channels.settings import WebchatSettings
from channels.webchat_check import Checker
from channels.webchat_page import serving
from channels.webchat_reading import clean, read
from channels.webchat_tokens import key_file, new_session, session_key

__all__ = ["build", "read"]

HELLO_TIMEOUT = 10.0  # seconds a fresh socket may be silent
ACCEPT_TIMEOUT = 10.0  # seconds a visitor's line may wait for its commit
GOT_TIMEOUT = 10.0  # seconds a page has to say that it shows a line
PUSH_TIMEOUT = 5.0  # seconds a page may take to read a frame
CLOSE_TIMEOUT = 3.0  # seconds a page may take to say goodbye
BUSY_RETRY = 5.0  # seconds after which a page tries again
TURN = 30.0  # seconds between two notes of progress
PAGE_LINES = 200  # what `transcript` gives at most

TRY_AGAIN_LATER = 1013  # registered with IANA for RFC 6455
SERVICE_RESTART = 1012


def build(name: str, settings: WebchatSettings, tools: Tools) -> Adapter:
    """The adapter of one chat. Does no input or output."""
    chat = Chat(name, settings, tools)
    return Adapter(
        channel=name,
        medium=Medium.CHAT,
        receiver=chat,
        sender=chat,
        checker=Checker(name, settings, tools.state_dir),
        routes=chat.mount,
        close=chat.close,
    )


class _Visitor:
    """Everybody on one session: his open pages, his allowance, our lines that wait for his page's word."""

    __slots__ = ("awaiting", "bucket", "sockets")

    def __init__(self, rate: float) -> None:
        self.bucket = protocol.Bucket(rate)
        self.sockets: list[_Socket] = []
        self.awaiting: dict[int, asyncio.Future[bool]] = {}  # by outbox row; True once shown


class _Socket:
    """One open page."""

    __slots__ = ("talk", "visitor", "ws")

    def __init__(self, ws: web.WebSocketResponse[bool], talk: protocol.Conversation) -> None:
        self.ws = ws
        self.talk = talk
        self.visitor: _Visitor | None = None

    async def say(self, frame: bytes) -> bool:
        """Send; False if the page is gone or does not read."""
        try:
            async with asyncio.timeout(PUSH_TIMEOUT):
                await self.ws.send_frame(frame, WSMsgType.TEXT)
        except (ConnectionError, TimeoutError):
            return False
        return True


class Chat:
    """Receiver and sender of one chat channel; the protocol decides, this class carries frames."""

    def __init__(self, name: str, settings: WebchatSettings, tools: Tools) -> None:
        self._name = name
        self._settings = settings
        self._tools = tools
        self._origins = frozenset(settings.origins)
        self._max_text = protocol.longest_text(settings.max_frame)
        self._accept: Accept | None = None
        self._rules: protocol.Rules | None = None
        self._sockets: set[_Socket] = set()
        self._visitors: dict[str, _Visitor] = {}  # by session; only those with an open page

    async def receive(self, accept: Accept) -> None:
        """Let visitors in until cancelled. Raises Fatal if the session key cannot be had."""
        self._rules = protocol.Rules(
            channel=self._name,
            key=session_key(self._settings, key_file(self._tools.state_dir, self._name)),
            max_text=self._max_text,
            new_session=new_session,
        )
        self._accept = accept
        try:
            while True:
                self._tools.progress(f"{len(self._sockets)} pages open", TURN * 2)
                await asyncio.sleep(TURN)
        finally:
            self._accept = None
            await self.close()

    async def close(self) -> None:
        """Say goodbye to every page; each will come back by itself."""
        # A page that does not answer would hold aiohttp's own cleanup for over a minute.
        goodbyes = (s.ws.close(code=SERVICE_RESTART, message=b"restarting") for s in tuple(self._sockets))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT + 1):
                await asyncio.gather(*goodbyes, return_exceptions=True)

    def mount(self, app: web.Application) -> None:
        """Add the chat's addresses to the listener."""
        path = self._settings.path
        serving.mount(app, path, self._settings.firm, self._settings.origins)
        app.router.add_get(f"{path}/ws", self._connect)
        app.on_shutdown.append(self._on_shutdown)

    async def _on_shutdown(self, _: web.Application) -> None:
        await self.close()

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        origins = request.headers.getall("Origin", [])
        # No cookies are used, yet a foreign site must not speak in a visitor's name (RFC 6455 §10.2).
        if len(origins) != 1 or origins[0] not in self._origins:
            raise web.HTTPForbidden(text="This site may not open the chat: its origin is not listed.\n")
        if self._accept is None or self._rules is None:
            raise web.HTTPServiceUnavailable(text="Not taking messages yet.\n", headers={"Retry-After": "5"})
        ws = web.WebSocketResponse(
            heartbeat=self._settings.heartbeat.total_seconds(),
            max_msg_size=self._settings.max_frame,
            timeout=CLOSE_TIMEOUT,
            compress=False,  # a deflate window would cost every idle page more than all the rest of it
            decode_text=False,
        )
        await ws.prepare(request)
        if len(self._sockets) >= self._settings.max_sockets:
            await ws.close(code=TRY_AGAIN_LATER, message=b"too many visitors")
            return ws
        socket = _Socket(ws, protocol.Conversation(self._rules, Envelope(peer=peer(request))))
        self._sockets.add(socket)
        try:
            await self._listen(socket)
        finally:
            self._leave(socket)
        return ws

    async def _listen(self, socket: _Socket) -> None:
        """Take frame after frame; the next is read only when the last is dealt with."""
        ws, talk = socket.ws, socket.talk
        tick = asyncio.get_running_loop().time
        now = self._tools.clock.now
        patience: float | None = HELLO_TIMEOUT
        while not ws.closed:
            try:
                frame = await ws.receive(timeout=patience)
            except TimeoutError:
                await ws.close(code=protocol.POLICY, message=b"say hello first")
                return
            if frame.type is WSMsgType.TEXT:
                effect = talk.take(frame.data, now(), tick())
            elif frame.type is WSMsgType.BINARY:
                effect = protocol.Close(protocol.UNSUPPORTED, "text frames only")
            else:
                return
            patience = None
            await self._act(socket, effect)

    def _leave(self, socket: _Socket) -> None:
        self._sockets.discard(socket)
        visitor = socket.visitor
        if visitor is None:
            return
        visitor.sockets.remove(socket)
        if not visitor.sockets:
            self._visitors.pop(socket.talk.session, None)
            for waiting in visitor.awaiting.values():
                if not waiting.done():
                    waiting.set_result(False)

    async def _act(self, socket: _Socket, effect: protocol.Effect) -> None:
        match effect:
            case protocol.Keep():
                await self._keep(socket, effect)
            case protocol.Say(frame):
                await socket.say(frame)
            case protocol.Seen(outbox_ids):
                await self._seen(socket, outbox_ids)
            case protocol.Greet():
                await self._greet(socket, effect)
            case protocol.Recall(after):
                await self._recall(socket, after)
            case protocol.Close(code, reason):
                await socket.ws.close(code=code, message=reason.encode())

    async def _keep(self, socket: _Socket, keep: protocol.Keep) -> None:
        accept, visitor = self._accept, socket.visitor
        if accept is None or visitor is None:
            await socket.say(frames.busy(BUSY_RETRY, keep.client_id))
            return
        try:
            async with asyncio.timeout(ACCEPT_TIMEOUT):
                [accepted] = await accept([keep.arrival])
        except (StoreUnavailable, TimeoutError):
            await socket.say(frames.busy(BUSY_RETRY, keep.client_id))
            return
        await socket.say(frames.ack(keep.client_id, accepted.id))
        if len(visitor.sockets) > 1:
            line = TranscriptLine(
                id=f"m{accepted.id}",
                is_from_visitor=True,
                text=clean(keep.text),
                at=keep.arrival.received_at,
                client_id=keep.client_id,
            )
            await _say_to([s for s in visitor.sockets if s is not socket], frames.line(line))

    async def _greet(self, socket: _Socket, greet: protocol.Greet) -> None:
        # Enter first, then read: a line pushed meanwhile comes before `welcome`, and the page sorts that out.
        visitor = self._visitors.get(greet.session)
        if visitor is None:
            visitor = self._visitors[greet.session] = _Visitor(self._settings.messages_per_second)
        visitor.sockets.append(socket)
        socket.visitor = visitor
        socket.talk.admit(visitor.bucket)
        try:
            lines = [] if greet.is_new else await self._tools.transcript(greet.session, greet.after)
            promise = self._tools.chat_promise
            promised = await promise(self._name, greet.language) if promise else ""
        except StoreUnavailable:
            await socket.say(frames.busy(BUSY_RETRY))
            await socket.ws.close(code=TRY_AGAIN_LATER, message=b"try again later")
            return
        socket.talk.offer(frames.ours(lines))
        await socket.say(
            frames.welcome(
                lines,
                token=greet.token,
                has_more=len(lines) >= PAGE_LINES,
                firm=self._settings.firm,
                promise=promised,
                max_text=self._max_text,
                now=self._tools.clock.now(),
            )
        )

    async def _recall(self, socket: _Socket, after: str) -> None:
        try:
            lines = await self._tools.transcript(socket.talk.session, after)
        except StoreUnavailable:
            await socket.say(frames.busy(BUSY_RETRY))
            return
        socket.talk.offer(frames.ours(lines))
        await socket.say(frames.lines(lines, len(lines) >= PAGE_LINES))

    async def _seen(self, socket: _Socket, outbox_ids: Sequence[int]) -> None:
        visitor, told = socket.visitor, self._tools.on_delivered
        recorded: list[int] = []
        for outbox_id in outbox_ids:
            waiting = visitor.awaiting.get(outbox_id) if visitor else None
            if waiting is not None:
                if not waiting.done():
                    waiting.set_result(True)
            elif told is not None:
                try:
                    await told(self._name, outbox_id)
                except StoreUnavailable:
                    break
            recorded.append(outbox_id)
        if recorded:
            socket.talk.confirmed(recorded)
            await socket.say(frames.seen(recorded))

    async def send(self, message: OutboundMessage) -> Delivery:
        """Show one line to a visitor, or leave it to his return. The remote id is the line's."""
        if message.recipient.scheme is not Scheme.WEB:
            raise PermanentFailure(f"{message.recipient.scheme} is not a visitor of the web chat")
        line = TranscriptLine(
            id=f"o{message.id}",
            is_from_visitor=False,
            text=message.body.decode(),
            at=message.sent_at or self._tools.clock.now(),
            author=message.author,
        )
        visitor = self._visitors.get(message.recipient.value)
        is_shown = visitor is not None and await self._show(visitor, message.id, line)
        return Delivery(state=DeliveryState.DELIVERED if is_shown else DeliveryState.STORED, remote_id=line.id)

    async def _show(self, visitor: _Visitor, outbox_id: int, line: TranscriptLine) -> bool:
        """True as soon as one of his pages says that it shows the line."""
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        visitor.awaiting[outbox_id] = waiting
        for socket in visitor.sockets:
            socket.talk.offer([line.id])
        try:
            async with asyncio.timeout(GOT_TIMEOUT):
                if not await _say_to(visitor.sockets, frames.line(line)):
                    return False
                return await waiting
        except TimeoutError:
            return False
        finally:
            del visitor.awaiting[outbox_id]


async def _say_to(sockets: Sequence[_Socket], frame: bytes) -> bool:
    """True if at least one page took it. One that does not read holds up the others only PUSH_TIMEOUT."""
    if len(sockets) == 1:
        return await sockets[0].say(frame)
    return any(await asyncio.gather(*(s.say(frame) for s in sockets)))
