"""The Telegram circle, end to end: a customer writes to the bot, an agent answers by mail, he reads it there once.

The daemon runs as a process; Telegram is the Bot API server of our own, Postfix and Dovecot are real.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.daemon import Daemon, wait_until
from support.firm import Firm, plain, servers
from support.mailclients import REPLIES, answer_address
from support.telegram import TOKEN, WANG, Telegram, telegram_server, token_file

pytestmark = pytest.mark.system

TABLE = """
[channels.tg]
type = "telegram"
token = {{ file = "{token}" }}
api_url = "{url}"
firm = "誠信會計師事務所"
poll_wait = "5s"
"""
QUESTION = "請問這期營業稅什麼時候截止？"
ANSWER = "王小姐您好：\n\n這期截止日是 15 日。\n請先把發票寄給我們。"


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    with servers() as pair:
        yield pair


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    with telegram_server() as server:
        yield server


@pytest.fixture
def firm(both: Any, telegram: Telegram, tmp_path: Path) -> Firm:
    more = TABLE.format(token=token_file(tmp_path), url=telegram.api.base_url)
    return Firm(tmp_path, *both, more=more)


def asked(firm: Firm, words: str = QUESTION) -> EmailMessage:
    """The mail by which an agent hears of it."""
    return firm.box(firm.chen).wait_for(lambda m: words in plain(m) and "#" in str(m["Subject"]))


def reply(firm: Firm, mail: EmailMessage, words: str) -> None:
    firm.send(firm.chen, answer_address(mail), REPLIES["gmail"](mail, "陳怡君", firm.chen, words))


def test_an_answer_by_mail_is_read_in_telegram_once(firm: Firm, telegram: Telegram) -> None:
    with Daemon(firm.config) as daemon:
        telegram.says(WANG, "/start")
        telegram.says(WANG, QUESTION)
        mail = asked(firm)
        ticket = int(re.findall(r"#(\d+)", str(mail["Subject"]))[0])
        reply(firm, mail, ANSWER)
        stamp = daemon.wait_for("first_response_recorded", ticket=ticket)
        daemon.settle()
        greeting, receipt, answer = telegram.reads(WANG)
        assert "誠信會計師事務所" in greeting
        assert f"#{ticket}" in receipt or str(ticket) in receipt
        assert answer == ANSWER
        assert stamp["channel"] == "tg"
        # the opening of the chat is no question, and nothing of ours is in his chat
        assert [r["n"] for r in daemon.rows("SELECT count(*) AS n FROM ticket")] == [1]
        assert TOKEN.partition(":")[2] not in daemon.story(100_000)
    assert daemon.noise == []


def test_a_picture_reaches_the_agent_as_a_file(firm: Firm, telegram: Telegram) -> None:
    content = b"\x89PNG\r\n\x1a\n" + bytes(2000)
    with Daemon(firm.config) as daemon:
        told = telegram.does(lambda api: api.chats.file(content, "receipt.png"))
        telegram.says(WANG, document=told | {"mime_type": "image/png"}, caption="這張可以扣抵嗎？")
        mail = asked(firm, "這張可以扣抵嗎？")
        files = [(p.get_filename(), p.get_payload(decode=True)) for p in mail.walk() if p.get_filename()]
        assert files == [("receipt.png", content)]
    assert daemon.noise == []


def test_who_has_blocked_the_bot_is_a_failure_that_the_agent_is_told(firm: Firm, telegram: Telegram) -> None:
    with Daemon(firm.config) as daemon:
        telegram.says(WANG, QUESTION)
        mail = asked(firm)
        daemon.settle()
        telegram.does(lambda api: setattr(api.chats.chat(WANG.id), "is_blocked", True))
        reply(firm, mail, ANSWER)
        told = firm.box(firm.chen).wait_for(lambda m: m["Subject"] == mail["Subject"] and "blocked" in plain(m))
        assert ANSWER.splitlines()[0] in plain(told)
        assert daemon.said("first_response_recorded") == []


def test_killed_again_and_again_nothing_is_lost_and_nothing_doubled(firm: Firm, telegram: Telegram) -> None:
    words = [f"第 {n} 個問題" for n in range(60)]
    daemon = Daemon(firm.config)
    daemon.start()
    try:
        for number, one in enumerate(words):
            telegram.says(WANG, one)
            if number % 20 == 10:
                wait_until(lambda: telegram.api.called("getUpdates"), "it asks")
                daemon.kill()
                daemon.start()
        wait_until(lambda: len(daemon.rows("SELECT id FROM message WHERE medium = 'telegram'")) >= 60, "all are there")
        daemon.settle()
        kept = daemon.rows("SELECT external_id FROM message WHERE channel = 'tg' ORDER BY id")
        assert len(kept) == len({row["external_id"] for row in kept}) == 60
        assert len([t for t in telegram.reads(WANG) if "收到" in t]) <= 3  # acknowledgements: once for a ticket
    finally:
        daemon.stop()
