"""The Telegram channel: customers write to a bot, and read the answers there.

Updates are read by our own loop, or posted to our listener. They are accepted first; only then does Telegram hear the
offset behind them, or 200. Files are fetched before that, since Telegram keeps them for us no longer than it likes.
While the store is down nothing is confirmed, so everything comes again.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from aiohttp import web
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputFile
from telegram.error import ChatMigrated, TelegramError

from channels.adapter import (
    Accept,
    Accepted,
    Adapter,
    Arrival,
    Cursor,
    Delivery,
    DeliveryState,
    Envelope,
    Fatal,
    OutboundMessage,
    StoreUnavailable,
    Tools,
)
from channels.http import Refusal, not_found, peer, read_body, unavailable
from channels.message import Medium
from channels.pacing import Pace
from channels.path_secret import secret_problem
from channels.settings import TelegramSettings
from channels.telegram_api import ALLOWED, BATCH, Api
from channels.telegram_check import TelegramChecker
from channels.telegram_reading import album_of, external_id, files_of, message_in, raw_of, thread_id
from channels.telegram_words import kindly, pieces

CURSOR = "updates"
OFFSET_LASTS = timedelta(days=6)  # after a week of silence Telegram counts anew (…/bots/api#update)
ALBUM_WAIT = 1.0  # seconds for the rest of an album
MAX_AT_ONCE = 32 * 1024 * 1024  # octets of raw that are committed together
ACCEPT_TIMEOUT = 10.0  # s a posted update may wait for its commit
TURN = 30.0  # s between two signs of life of a receiver that only waits
UPLOAD = 120.0  # seconds the octets of a file may take
MAX_UPDATE = 1024 * 1024  # octets of a posted update
BODY_TIMEOUT = 15.0  # seconds
PACE = Pace(per_minute=1200)  # of 30 a second (core.telegram.org/bots/faq), with room for what is tried again

Update = dict[str, Any]
_Group = tuple[Update, ...]  # what becomes one arrival: an update, or those of an album


def grouped(updates: Sequence[Update]) -> list[_Group]:
    """Albums joined, in order. Others may write between two pictures of one: it then stands where it begins."""
    found: list[list[Update]] = []
    albums: dict[str, list[Update]] = {}
    for one in updates:
        album = album_of(one)
        if album and album in albums:
            albums[album].append(one)
            continue
        found.append([one])
        if album:
            albums[album] = found[-1]
    return [tuple(group) for group in found]


def read_up_to(groups: Sequence[_Group]) -> list[int]:
    """For each, the first number that is not committed with it and those before it: an album may reach over others."""
    offset = max((int(one["update_id"]) for group in groups for one in group), default=-1) + 1
    found = []
    for group in reversed(groups):
        found.append(offset)
        offset = min(offset, *(int(one["update_id"]) for one in group))
    return found[::-1]


class TelegramReceiver:
    """Reads one bot's updates, by asking or by being told."""

    def __init__(self, name: str, settings: TelegramSettings, tools: Tools, api: Api) -> None:
        self._name = name
        self._settings = settings
        self._tools = tools
        self._api = api
        self._accept: Accept | None = None
        self._secret = b""
        self.taken = 0  # arrivals since the start
        self.refused = 0  # posts with a wrong secret

    async def receive(self, accept: Accept) -> None:
        """Take updates until cancelled. Raises Fatal for a token or secret that cannot be used."""
        if self._settings.webhook_path is None:
            try:
                await self._poll(accept)
            finally:
                await self._api.stop_asking()
        else:
            await self._be_told(accept)

    # ---- asking

    async def _poll(self, accept: Accept) -> None:
        self._api.open()
        offset = await self._stored_offset()
        wait = int(self._settings.poll_wait.total_seconds())
        while True:
            self._tools.progress(f"waiting for updates, {self.taken} taken", wait + 2 * TURN)
            updates = await self._whole(await self._api.updates(offset, wait), offset)
            if not updates:
                offset = 0  # what lies behind us is forgotten there; numbers may begin anew
                continue
            await self._take(updates, accept)
            offset = max(int(one["update_id"]) for one in updates) + 1

    async def _stored_offset(self) -> int:
        """Where to go on: what was committed is not taken in a second time, even if an album has grown since."""
        number, _, at = (await self._tools.read_cursor(self._name, CURSOR) or "").partition(" ")
        if not number.isdigit() or not at.isdigit():
            return 0
        since = self._tools.clock.now() - datetime.fromtimestamp(int(at), UTC)
        return int(number) if since < OFFSET_LASTS else 0

    async def _whole(self, updates: list[Update], offset: int) -> list[Update]:
        """The same, with the rest of an album still coming; one that begins at the end of a full batch waits."""
        while updates and (album := album_of(updates[-1])):
            if len(updates) >= BATCH:
                before = [one for one in updates if album_of(one) != album]
                return before or updates
            await asyncio.sleep(ALBUM_WAIT)
            again = await self._api.updates(offset, 0)
            if len(again) <= len(updates):
                break
            updates = again
        return updates

    async def _take(self, updates: Sequence[Update], accept: Accept) -> None:
        """Commit them in order, in portions that fit into memory; each carries how far all has been read with it."""
        groups = grouped(updates)
        portion: list[tuple[_Group, Arrival]] = []
        octets = 0
        for group, behind in zip(groups, read_up_to(groups), strict=True):
            arrival = await self._arrival(group, behind)
            portion.append((group, arrival))
            octets += len(arrival.raw)
            if octets >= MAX_AT_ONCE:
                await self._keep(portion, accept)
                portion, octets = [], 0
        if portion:
            await self._keep(portion, accept)

    async def _keep(self, portion: Sequence[tuple[_Group, Arrival]], accept: Accept) -> list[Accepted]:
        accepted = await accept([arrival for _, arrival in portion])
        self.taken += len(portion)
        for (group, _), one in zip(portion, accepted, strict=True):
            if not one.is_duplicate:
                await self._be_kind(group)
        return accepted

    async def _arrival(self, group: _Group, behind: int | None, address: str = "") -> Arrival:
        fetched = [await self._api.fetch(wanted) for one in group for wanted in files_of(one)]
        now = self._tools.clock.now()
        raw = raw_of(group, fetched)
        stamp = int(now.timestamp())
        return Arrival(
            channel=self._name,
            medium=Medium.TELEGRAM,
            external_id=external_id(group[0]),
            received_at=_told_at(group[0], now),
            raw=raw,
            cursor=Cursor(name=CURSOR, value=f"{behind} {stamp}") if behind is not None else None,
            envelope=Envelope(peer=address, source_size=len(raw)),
        )

    async def _be_kind(self, group: _Group) -> None:
        """Greet who has only opened the chat; say which file was too large. A courtesy: it may fail."""
        for one in group:
            if isinstance(pressed := one.get("callback_query"), dict):
                with suppress(TelegramError):  # the small clock on the button ends
                    await self._api.open().answer_callback_query(str(pressed.get("id")))
            words = kindly(one, self._settings.firm)
            said = message_in(one)
            if words and said is not None:
                try:
                    await self._api.open().send_message(said["chat"]["id"], words)
                except TelegramError:
                    return

    # ---- being told

    def mount(self, app: web.Application) -> None:
        """Put the route on the shared listener."""
        if self._settings.webhook_path is not None:
            app.router.add_post(self._settings.webhook_path, self.handle)

    async def _be_told(self, accept: Accept) -> None:
        assert self._settings.webhook_secret is not None, "the settings ask for both"
        try:
            secret = self._settings.webhook_secret.read()
        except (OSError, ValueError) as wrong:
            raise Fatal(f"{self._name}: the webhook's secret cannot be read: {wrong}") from wrong
        if problem := secret_problem(secret):
            raise Fatal(f"{self._name}: {problem}: run `intake secret new {self._name}`")
        bot = self._api.open()
        self._secret = secret.encode()
        self._accept = accept
        try:
            await bot.set_webhook(
                self._settings.webhook_url, secret_token=secret, allowed_updates=list(ALLOWED), max_connections=8
            )
            while True:
                self._tools.progress(f"waiting for posts, {self.taken} taken, {self.refused} refused", 3 * TURN)
                await asyncio.sleep(TURN)
        except TelegramError as error:
            raise self._api.failure(error) from None
        finally:
            self._accept = None

    async def handle(self, request: web.Request) -> web.Response:
        """One update: 200 once it is kept; 404 for a wrong secret, 400 for no update, 503 while it cannot be kept."""
        if self._accept is None:
            raise unavailable("The Telegram channel is not running.")
        given = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self._secret):
            self.refused += 1
            raise not_found()
        body = await read_body(request, MAX_UPDATE, BODY_TIMEOUT)
        try:
            update = orjson.loads(body)
        except ValueError:
            raise Refusal(400, "The body is no JSON.") from None
        if not isinstance(update, dict) or not isinstance(update.get("update_id"), int):
            raise Refusal(400, "The body is no update: it has no update_id.")
        group: _Group = (update,)
        arrival = await self._arrival(group, None, peer(request))
        accept = self._accept
        if accept is None:
            raise unavailable("The Telegram channel is not running.")
        try:
            async with asyncio.timeout(ACCEPT_TIMEOUT):
                await self._keep([(group, arrival)], accept)
        except (StoreUnavailable, TimeoutError):
            raise unavailable("The update could not be stored; send it again.") from None
        return web.Response()


def _told_at(update: Mapping[str, Any], now: datetime) -> datetime:
    """When Telegram took it in: of an edit, the edit; never later than now."""
    said = message_in(update) or {}
    told = said.get("edit_date") if "edited_message" in update else said.get("date")
    try:
        return min(datetime.fromtimestamp(told, UTC), now) if isinstance(told, int) and told > 0 else now
    except (OverflowError, OSError, ValueError):
        return now


class TelegramSender:
    """Sends words to a chat, in as many messages as Telegram's limit asks for."""

    def __init__(self, api: Api) -> None:
        self._api = api
        #: outbox row -> pieces of it that have arrived: a second attempt goes on behind them
        self._arrived: dict[int, int] = {}

    async def send(self, message: OutboundMessage) -> Delivery:
        chat = int(message.recipient.value)
        words = pieces(message.body.decode())
        if message.files and not message.body.strip():
            words = []
        # Files first: what is replied to, and pressed under, is the message that comes last.
        parts: list[str | tuple[str, bytes]] = [*message.files, *words]
        number = 0
        for position in range(self._arrived.get(message.id, 0), len(parts)):
            part, is_last = parts[position], position == len(parts) - 1
            try:
                if isinstance(part, tuple):
                    number = await self._hand(chat, *part)
                else:
                    number = await self._say(chat, part, _keyboard(message.buttons) if is_last else None)
            except TelegramError as error:
                raise self._api.failure(error, handed_over=True) from None
            self._arrived[message.id] = position + 1
        self._arrived.pop(message.id, None)
        return Delivery(
            state=DeliveryState.DELIVERED, remote_id=f"{chat}:{number}", remote_mail_id=thread_id(chat, number)
        )

    async def _say(self, chat: int, words: str, keyboard: InlineKeyboardMarkup | None) -> int:
        bot = self._api.open()
        try:
            sent = await bot.send_message(chat, words, reply_markup=keyboard)
        except ChatMigrated as moved:
            sent = await bot.send_message(moved.new_chat_id, words, reply_markup=keyboard)
        return sent.message_id

    async def _hand(self, chat: int, name: str, content: bytes) -> int:
        bot = self._api.open()
        file = InputFile(content, filename=name)
        try:
            sent = await bot.send_document(chat, file, write_timeout=UPLOAD)
        except ChatMigrated as moved:
            sent = await bot.send_document(moved.new_chat_id, file, write_timeout=UPLOAD)
        return sent.message_id


def _keyboard(buttons: Sequence[tuple[str, str]]) -> InlineKeyboardMarkup | None:
    """In rows of three, as a telephone's width wants it."""
    if not buttons:
        return None
    keys = [InlineKeyboardButton(label, callback_data=says) for label, says in buttons]
    return InlineKeyboardMarkup([keys[at : at + 3] for at in range(0, len(keys), 3)])


def build(name: str, settings: TelegramSettings, tools: Tools) -> Adapter:
    """The channel of one bot."""
    api = Api(name, settings)
    receiver = TelegramReceiver(name, settings, tools, api)

    def routes(app: Any) -> None:
        receiver.mount(app)

    return Adapter(
        channel=name,
        medium=Medium.TELEGRAM,
        receiver=receiver,
        sender=TelegramSender(api),
        checker=TelegramChecker(name, settings),
        routes=routes if settings.webhook_path is not None else None,
        close=api.close,
        parallel=8,
        pace=PACE,
    )
