"""The Telegram channel against a Bot API server: what is taken, sent and refused, and what no log shows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.mailbox import Ledger, running, secret_file, tools_for
from support.telegram import LEE, TOKEN, WANG, bot_api, telegram_settings, token_file

from channels import telegram
from channels.adapter import (
    Adapter,
    ChannelAway,
    ChannelSlowed,
    CheckLine,
    CheckState,
    DeliveryState,
    Fatal,
    LoginRefused,
    OutboundMessage,
    PermanentFailure,
    TemporaryFailure,
    UnknownDelivery,
)
from channels.http import Listener
from channels.message import Address, Scheme
from channels.settings import TelegramSettings
from channels.telegram_reading import read
from intake.demo.botapi import PER_SECOND, BotApi
from intake.logs import QUIET

SECRET = "canary-of-the-webhook-0123456789abcdef"


@pytest.fixture
async def server() -> AsyncIterator[BotApi]:
    async with bot_api() as api:
        yield api


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def bot(tmp_path: Path, server: BotApi, ledger: Ledger) -> AsyncIterator[Adapter]:
    adapter = telegram.build("tg", telegram_settings(tmp_path, server), tools_for(ledger))
    yield adapter
    assert adapter.close is not None
    await adapter.close()


def receiver(adapter: Adapter) -> Any:
    assert adapter.receiver is not None
    return adapter.receiver


async def send(adapter: Adapter, text: str, to: str = "7001", number: int = 1) -> Any:
    assert adapter.sender is not None
    person = Address(scheme=Scheme.TELEGRAM, value=to)
    return await adapter.sender.send(OutboundMessage(id=number, recipient=person, body=text.encode()))


async def refused(adapter: Adapter, ledger: Ledger) -> Exception:
    """How the receiver ends by itself."""
    with pytest.raises(Exception) as found:
        await asyncio.wait_for(receiver(adapter).receive(ledger.accept), 20)
    return found.value


# ---- taking


async def test_words_are_taken_and_then_confirmed(bot: Adapter, server: BotApi, ledger: Ledger) -> None:
    said = server.chats.says(WANG, "營業稅何時申報？")
    async with running(receiver(bot), ledger.accept):
        await ledger.holds(1)
        async with asyncio.timeout(10):
            while server.confirmed < 2:
                await asyncio.sleep(0.01)
    (arrival,) = ledger.arrivals.values()
    assert arrival.external_id == f"7001:{said['message_id']}"
    assert read(arrival.raw).text == "營業稅何時申報？"


async def test_ten_thousand_at_once_come_in_order(bot: Adapter, server: BotApi, ledger: Ledger) -> None:
    for number in range(10_000):
        server.chats.says(LEE, str(number))
    before = time.process_time()
    async with running(receiver(bot), ledger.accept):
        await ledger.holds(10_000)
    assert [read(a.raw).text for a in ledger.arrivals.values()] == [str(n) for n in range(10_000)]
    assert (time.process_time() - before) / 10_000 < 0.003


async def test_an_album_is_one_message_with_its_files(bot: Adapter, server: BotApi, ledger: Ledger) -> None:
    for number in range(3):
        picture = [server.chats.file(b"picture %d" % number, "p")]
        server.chats.says(WANG, photo=picture, media_group_id="A", **({"caption": "三張收據"} if not number else {}))
    async with running(receiver(bot), ledger.accept):
        await ledger.waits()
        await ledger.holds(1)
        server.chats.says(WANG, "還有")
        await ledger.holds(2)
    album = read(next(iter(ledger.arrivals.values())).raw)
    assert album.text == "三張收據"
    assert [a.size for a in album.attachments] == [9, 9, 9]


async def test_an_album_that_is_still_coming_is_waited_for(bot: Adapter, server: BotApi, ledger: Ledger) -> None:
    server.chats.says(WANG, photo=[server.chats.file(b"1", "p")], media_group_id="A")
    async with running(receiver(bot), ledger.accept):
        await asyncio.sleep(0.5)
        server.chats.says(WANG, photo=[server.chats.file(b"2", "p")], media_group_id="A")
        await ledger.holds(1)
    (arrival,) = ledger.arrivals.values()
    assert len(read(arrival.raw).attachments) == 2


async def test_a_file_of_25_mb_is_told_to_be_too_large_and_its_words_are_kept(
    bot: Adapter, server: BotApi, ledger: Ledger
) -> None:
    server.chats.says(WANG, document=server.chats.file(b"x" * 25_000_000, "帳冊.zip"), caption="十月帳冊")
    async with running(receiver(bot), ledger.accept):
        await ledger.holds(1)
        async with asyncio.timeout(10):
            while not server.chats.from_bot(WANG):
                await asyncio.sleep(0.01)
    (arrival,) = ledger.arrivals.values()
    assert read(arrival.raw).text == "十月帳冊\n📎 帳冊.zip (25.0 MB)"
    assert "20 MB" in server.chats.from_bot(WANG)[0]
    assert "帳冊.zip" in server.chats.from_bot(WANG)[0]


async def test_what_cannot_be_fetched_does_not_keep_back_the_words(
    bot: Adapter, server: BotApi, ledger: Ledger
) -> None:
    server.fail("file", 502, times=100)
    server.chats.says(WANG, document=server.chats.file(b"x", "a.pdf"), caption="看一下")
    server.chats.says(LEE, "hello")
    async with running(receiver(bot), ledger.accept):
        await ledger.holds(2)
    first, _ = (read(a.raw).text for a in ledger.arrivals.values())
    assert first.startswith("看一下\n📎 a.pdf")


async def test_an_unknown_kind_of_update_is_kept_and_stops_nothing(
    bot: Adapter, server: BotApi, ledger: Ledger
) -> None:
    server.chats.add_update(message={"strange": True})
    server.chats.says(LEE, "after it")
    async with running(receiver(bot), ledger.accept):
        await ledger.holds(2)
    kept, after = ledger.arrivals.values()
    assert kept.external_id == "update:1"
    assert read(after.raw).text == "after it"
    with pytest.raises(ValueError):
        read(kept.raw)


async def test_only_who_opens_the_chat_is_greeted_and_only_once(bot: Adapter, server: BotApi, ledger: Ledger) -> None:
    server.chats.says(LEE, "/start")
    server.chats.says(WANG, "在嗎")
    async with running(receiver(bot), ledger.accept):
        await ledger.holds(2)
        async with asyncio.timeout(10):
            while not server.chats.from_bot(LEE):
                await asyncio.sleep(0.01)
        server.chats.add_update(message=server.chats.chat(LEE.id).messages[0])
        server.chats.says(WANG, "?")
        await ledger.holds(3)
    assert len(server.chats.from_bot(LEE)) == 1
    assert server.chats.from_bot(WANG) == []


async def test_the_offset_is_forgotten_when_numbers_may_begin_anew(
    bot: Adapter, server: BotApi, ledger: Ledger
) -> None:
    ledger.cursors["tg", telegram.CURSOR] = f"5000 {int(time.time() - 7 * 86400)}"
    server.chats.says(LEE, "number one again")
    async with running(receiver(bot), ledger.accept):
        await ledger.holds(1)


# ---- failures of the line


@pytest.mark.parametrize(
    ("code", "expected"), [(401, LoginRefused), (409, ChannelAway), (429, ChannelSlowed), (502, TemporaryFailure)]
)
async def test_refusals_when_asking_are_for_the_supervisor(
    bot: Adapter, server: BotApi, ledger: Ledger, code: int, expected: type[Exception]
) -> None:
    server.fail("getUpdates", code, parameters={"retry_after": 7} if code == 429 else {})
    error = await refused(bot, ledger)
    assert type(error) is expected
    if isinstance(error, ChannelSlowed):
        assert error.retry_after == 7
    # and the next try finds everything
    server.chats.says(LEE, "still there")
    async with running(receiver(bot), ledger.accept):
        await ledger.holds(1)


async def test_a_second_reader_of_the_bot_is_said_in_words(bot: Adapter, server: BotApi, ledger: Ledger) -> None:
    task = asyncio.ensure_future(receiver(bot).receive(ledger.accept))
    await ledger.waits()
    while not server.called("getUpdates"):
        await asyncio.sleep(0.01)
    async with aiohttp.ClientSession() as other:
        await other.get(f"{server.base_url}/bot{TOKEN}/getUpdates")
    with pytest.raises(ChannelAway, match="another program reads this bot too"):
        await asyncio.wait_for(task, 10)


@pytest.mark.parametrize("written", ["", "nonsense", "123:", "abc:def", "12 3:x\ny"])
async def test_a_token_that_is_none_stops_the_channel_with_a_sentence(
    tmp_path: Path, server: BotApi, ledger: Ledger, written: str
) -> None:
    settings = telegram_settings(tmp_path, server)
    token_file(tmp_path, written)
    error = await refused(telegram.build("tg", settings, tools_for(ledger)), ledger)
    assert isinstance(error, Fatal)
    assert not written or written not in str(error)


async def test_no_log_shows_the_token(
    bot: Adapter, server: BotApi, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in QUIET:  # as the daemon has them: these libraries write whole addresses
        caplog.set_level(logging.WARNING, logger=name)
    server.chats.says(WANG, document=server.chats.file(b"x", "a"))
    async with running(receiver(bot), ledger.accept):
        await ledger.holds(1)
    await send(bot, "hi")
    server.fail("getUpdates", 0)
    said = [str(await refused(bot, ledger)), caplog.text]
    assert server.calls
    assert not [text for text in said if "canary" in text]


# ---- sending


async def test_words_arrive_and_say_which_message_they_are(bot: Adapter, server: BotApi) -> None:
    server.chats.says(WANG, "?")
    delivery = await send(bot, "您好，15 日前申報即可。")
    assert server.chats.from_bot(WANG) == ["您好，15 日前申報即可。"]
    assert delivery.state is DeliveryState.DELIVERED
    assert delivery.remote_id == f"7001:{server.chats.chat(7001).messages[-1]['message_id']}"


async def test_a_long_answer_goes_on_where_it_was_cut_off(bot: Adapter, server: BotApi) -> None:
    server.chats.says(WANG, "?")
    words = "\n".join(f"第 {n} 條" + "文" * 60 for n in range(150))
    await send(bot, "first")
    calls = len(server.called("sendMessage"))
    server.fail("sendMessage", 429, parameters={"retry_after": 2})
    with pytest.raises(ChannelSlowed):
        await send(bot, words, number=2)
    await send(bot, words, number=2)
    arrived = server.chats.from_bot(WANG)[1:]
    assert len(arrived) == len(server.called("sendMessage")) - calls - 1 > 1
    assert "\n".join(arrived) == words


@pytest.mark.parametrize(
    ("code", "expected"),
    [(400, PermanentFailure), (403, PermanentFailure), (429, ChannelSlowed), (502, TemporaryFailure)],
)
async def test_refusals_when_sending(bot: Adapter, server: BotApi, code: int, expected: type[Exception]) -> None:
    server.chats.says(WANG, "?")
    server.fail("sendMessage", code, parameters={"retry_after": 3} if code == 429 else {})
    with pytest.raises(expected):
        await send(bot, "hi")
    assert server.chats.from_bot(WANG) == []


async def test_a_line_cut_after_it_was_sent_is_unknown_and_never_doubled(bot: Adapter, server: BotApi) -> None:
    server.chats.says(WANG, "?")
    server.fail("sendMessage", 0, after=True)
    with pytest.raises(UnknownDelivery):
        await send(bot, "once")
    assert server.chats.from_bot(WANG) == ["once"]


async def test_with_nobody_there_the_whole_channel_waits(tmp_path: Path, ledger: Ledger) -> None:
    async with bot_api() as gone:
        settings = telegram_settings(tmp_path, gone)
    adapter = telegram.build("tg", settings, tools_for(ledger))
    with pytest.raises(ChannelAway):
        await send(adapter, "hi")
    assert adapter.close is not None
    await adapter.close()


@pytest.mark.parametrize("what", ["is_blocked", "is_gone"])
async def test_who_cannot_be_reached_any_more_is_a_failure_for_good(bot: Adapter, server: BotApi, what: str) -> None:
    server.chats.says(WANG, "?")
    setattr(server.chats.chat(WANG.id), what, True)
    with pytest.raises(PermanentFailure, match="blocked" if what == "is_blocked" else "deactivated"):
        await send(bot, "hi")


async def test_a_group_that_became_a_supergroup_is_followed(bot: Adapter, server: BotApi) -> None:
    server.chats.chat(-5).migrated_to = -1005
    server.chats.chat(-1005)
    await send(bot, "hi", to="-5")
    assert [m["text"] for m in server.chats.chat(-1005).messages] == ["hi"]


async def test_more_than_telegram_takes_in_a_second_slows_the_channel(tmp_path: Path, ledger: Ledger) -> None:
    async with bot_api(seconds=lambda: 1000.0) as server:  # all within one second
        server.chats.says(WANG, "?")
        bot = telegram.build("tg", telegram_settings(tmp_path, server), tools_for(ledger))
        sent = await asyncio.gather(*(send(bot, "hi", number=n) for n in range(40)), return_exceptions=True)
        assert bot.close is not None
        await bot.close()
    assert [type(one) for one in sent if isinstance(one, Exception)] == [ChannelSlowed] * (40 - PER_SECOND)
    assert len(server.chats.from_bot(WANG)) == PER_SECOND


# ---- being told


@pytest.fixture
async def told(tmp_path: Path, server: BotApi, ledger: Ledger) -> AsyncIterator[tuple[Adapter, str]]:
    """A running webhook, and where it is posted to."""
    listener = Listener("127.0.0.1", 0)
    settings = telegram_settings(
        tmp_path,
        server,
        webhook_path="/telegram",
        webhook_url="https://desk.firm.example/telegram",
        webhook_secret={"file": str(secret_file(tmp_path, SECRET))},
    )
    adapter = telegram.build("tg", settings, tools_for(ledger))
    assert adapter.routes is not None
    assert adapter.close is not None
    listener.mount(adapter.routes)
    await listener.start()
    async with running(receiver(adapter), ledger.accept):
        await ledger.waits()
        while not server.called("setWebhook"):
            await asyncio.sleep(0.01)
        yield adapter, f"http://127.0.0.1:{listener.port}/telegram"
    await listener.stop()
    await adapter.close()


async def post(url: str, body: bytes, secret: str | None = SECRET) -> int:
    headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_telegram_is_told_where_and_with_which_secret(told: tuple[Adapter, str], server: BotApi) -> None:
    (asked,) = server.called("setWebhook")
    assert asked["url"] == "https://desk.firm.example/telegram"
    assert asked["secret_token"] == SECRET


async def test_a_posted_update_is_kept_before_it_is_answered(
    told: tuple[Adapter, str], server: BotApi, ledger: Ledger
) -> None:
    server.chats.says(WANG, "你好")
    server._hook = told[1]  # the https before us is another program's
    assert await server.push() == [200]
    assert [read(raw).text for raw in ledger.raw] == ["你好"]
    assert server.chats.updates == []


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET[:-1], SECRET + "x", "é"])
async def test_a_forged_secret_is_not_found_and_keeps_nothing(
    told: tuple[Adapter, str], ledger: Ledger, secret: str | None
) -> None:
    assert await post(told[1], b'{"update_id":1,"message":{"chat":{"id":7001}}}', secret) == 404
    assert ledger.arrivals == {}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"update_id":"1"}'])
async def test_what_is_no_update_is_refused_in_words(told: tuple[Adapter, str], ledger: Ledger, body: bytes) -> None:
    assert await post(told[1], body) == 400
    assert ledger.arrivals == {}


async def test_a_store_that_is_full_says_come_again(told: tuple[Adapter, str], server: BotApi, ledger: Ledger) -> None:
    from channels.adapter import StoreUnavailable

    ledger.fails = StoreUnavailable("full")
    server.chats.says(WANG, "你好")
    server._hook = told[1]
    assert await server.push() == [503]
    ledger.fails = None
    assert await server.push() == [200]
    assert len(ledger.arrivals) == 1


# ---- before the start


async def check(adapter: Adapter) -> CheckLine:
    assert adapter.checker is not None
    (line,) = await adapter.checker.check()
    return line


async def test_check_names_the_bot(bot: Adapter) -> None:
    line = await check(bot)
    assert line.state is CheckState.OK
    assert line.found.startswith("@firm_desk_bot")


async def test_check_says_what_to_do_about_a_wrong_token(tmp_path: Path, server: BotApi, ledger: Ledger) -> None:
    settings = telegram_settings(tmp_path, server)
    token_file(tmp_path, "4242:AAother")
    line = await check(telegram.build("tg", settings, tools_for(ledger)))
    assert line.state is CheckState.BAD
    assert "does not know this token" in line.problem
    assert "@BotFather" in line.mend
    assert "AAother" not in str(line)


async def test_check_finds_a_webhook_that_stands_in_the_way(bot: Adapter, server: BotApi) -> None:
    server._hook = "https://elsewhere.example/canary"
    line = await check(bot)
    assert line.state is CheckState.BAD
    assert "webhook" in line.problem
    assert "canary" not in str(line)


async def test_check_says_when_nobody_is_there(tmp_path: Path, ledger: Ledger) -> None:
    async with bot_api() as gone:
        settings = telegram_settings(tmp_path, gone)
    line = await check(telegram.build("tg", settings, tools_for(ledger)))
    assert line.state is CheckState.BAD
    assert "cannot be reached" in line.problem


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_url": "http://elsewhere.example"},
        {"api_url": "api.telegram.org"},
        {"poll_wait": "2min"},
        {"webhook_path": "/telegram"},
        {"webhook_path": "telegram", "webhook_url": "https://a.example/", "webhook_secret": {"env": "X"}},
        {"webhook_path": "/t", "webhook_url": "http://a.example/", "webhook_secret": {"env": "X"}},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        TelegramSettings.model_validate({"token": {"env": "TOKEN"}} | wrong)
