"""The Telegram circle, end to end: a customer writes to the bot, an agent answers by mail, he reads it there once.

The daemon runs as a process; Telegram is the Bot API server of our own, Postfix and Dovecot are real.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.daemon import Daemon, wait_until
from support.firm import Firm, plain, servers
from support.mailclients import REPLIES, answer_address
from support.telegram import TOKEN, WANG, Telegram, telegram_server, token_file

from intake.demo.botapi import BotApi
from intake.demo.botapi_chats import Person

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


# ---- an agent who works there

CHEN = Person(id=8001, first_name="怡君", last_name="陳")
EVE = Person(id=8666, first_name="怡君", last_name="陳", username="chen")


def code_of(firm: Firm, before: int) -> str:
    """The code in a welcome that came after `before` mails."""

    def look() -> str:
        for mail in firm.box(firm.chen).mails()[before:]:
            if found := re.search(r"/start\s+(ikt\w+)", plain(mail)):
                return found[1]
        return ""

    return wait_until(look, "a welcome with a code")


def cli(firm: Firm, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "intake", *words, "--config", str(firm.config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def enrolled(firm: Firm, daemon: Daemon, telegram: Telegram) -> str:
    """Chen's account is made known as the README says; the code that did it."""
    before = len(firm.box(firm.chen).mails())
    said = cli(firm, "enrol", "chen")
    assert said.returncode == 0, said.stderr
    code = code_of(firm, before)
    telegram.says(CHEN, f"/start {code}")
    daemon.wait_for("agent_bound", agent="chen")
    return code


def in_chat(telegram: Telegram, words: str, person: Person = CHEN) -> dict[str, Any]:
    """The newest message of the bot's in somebody's chat that says so."""

    def look() -> dict[str, Any] | None:
        found = telegram.does(
            lambda api: [
                m for m in api.chats.chat(person.id).messages if m["from"]["is_bot"] and words in m.get("text", "")
            ]
        )
        return found[-1] if found else None

    found = wait_until(look, f"{words!r} in the chat")
    assert found is not None
    return found


@pytest.fixture
def chat_firm(both: Any, telegram: Telegram, tmp_path: Path) -> Firm:
    more = TABLE.format(token=token_file(tmp_path), url=telegram.api.base_url)
    return Firm(tmp_path, *both, more=more, chen='work_by = "telegram"')


def test_an_agent_answers_in_his_own_chat(chat_firm: Firm, telegram: Telegram) -> None:
    with Daemon(chat_firm.config) as daemon:
        code = enrolled(chat_firm, daemon, telegram)
        assert '"telegram":"tg:8001"' in cli(chat_firm, "enrol").stdout
        telegram.says(WANG, QUESTION)
        card = in_chat(telegram, QUESTION)
        assert "王" in card["text"]
        assert "ikt" not in card["text"]
        telegram.says(CHEN, ANSWER, reply_to_message=card)
        wait_until(lambda: ANSWER in telegram.reads(WANG), "the customer reads it")
        stamp = daemon.wait_for("first_response_recorded")
        assert stamp["agent"] == "chen"

        # a note stays inside, and so does what is a reply to nothing
        telegram.says(CHEN, "！備註\n他上次也遲繳", reply_to_message=card)
        daemon.wait_for("note_recorded", agent="chen")
        telegram.says(CHEN, "這句是寫給誰的")
        in_chat(telegram, "這句是寫給誰的")
        # what is edited or forwarded is no word of his
        since = len(daemon.said("reply_held"))
        said = telegram.says(CHEN, "更正：20 日", reply_to_message=card)
        wait_until(lambda: "更正：20 日" in telegram.reads(WANG), "the second answer")
        telegram.does(lambda api: api.chats.edits(said, "更正：25 日"))
        telegram.says(CHEN, "！結案", forward_origin={"type": "hidden_user", "sender_user_name": "x", "date": 1})
        wait_until(lambda: len(daemon.said("reply_held")) >= since + 2, "both are held")
        # a button does what it says, once, and so does a command with nothing around it
        telegram.does(lambda api: api.chats.presses(CHEN, card, "!close"))
        daemon.wait_for("ticket_closed", agent="chen")
        # the code counts once
        telegram.says(EVE, f"/start {code}")
        assert daemon.wait_for("binding_refused")["why"] == "used"
        daemon.settle()
        reads = telegram.reads(WANG)
        assert [words for words in reads if "遲繳" in words or "寫給誰" in words or "25 日" in words] == []
        assert len([words for words in reads if words == ANSWER]) == 1
        assert telegram.reads(EVE) == []
    assert daemon.noise == []


def test_files_go_both_ways(chat_firm: Firm, telegram: Telegram) -> None:
    photo, form = b"\x89PNG\r\n\x1a\n" + bytes(3000), b"%PDF-1.7 " + bytes(5000)
    with Daemon(chat_firm.config) as daemon:
        enrolled(chat_firm, daemon, telegram)
        told = telegram.does(lambda api: api.chats.file(photo, "receipt.png"))
        telegram.says(WANG, document=told | {"mime_type": "image/png"}, caption=QUESTION)
        card = in_chat(telegram, QUESTION)
        assert files_in_chat(telegram, CHEN) == [("receipt.png", photo)]
        told = telegram.does(lambda api: api.chats.file(form, "申請書.pdf"))
        telegram.says(CHEN, document=told | {"mime_type": "application/pdf"}, caption="請填這張", reply_to_message=card)
        wait_until(lambda: "請填這張" in telegram.reads(WANG), "the customer reads it")
        assert files_in_chat(telegram, WANG) == [("申請書.pdf", form)]
        daemon.settle()
    assert daemon.noise == []


def files_in_chat(telegram: Telegram, person: Person) -> list[tuple[str, bytes]]:
    def look(api: BotApi) -> list[tuple[str, bytes]]:
        sent = [m["document"] for m in api.chats.chat(person.id).messages if m["from"]["is_bot"] and "document" in m]
        return [(d["file_name"], api.chats.files[d["file_id"]].content) for d in sent]

    return telegram.does(look)


def test_who_is_not_bound_is_a_customer_whatever_he_is_called(chat_firm: Firm, telegram: Telegram) -> None:
    with Daemon(chat_firm.config) as daemon:
        enrolled(chat_firm, daemon, telegram)
        telegram.says(WANG, QUESTION)
        card = in_chat(telegram, QUESTION)
        telegram.says(EVE, "！結案", reply_to_message=card)
        daemon.wait_for("ticket_opened", since=0)
        telegram.does(lambda api: api.chats.presses(EVE, card, "!close"))
        daemon.settle()
        assert daemon.said("ticket_closed") == []
        assert not [w for w in telegram.reads(EVE) if QUESTION in w]


def test_who_has_left_is_an_agent_no_more(chat_firm: Firm, telegram: Telegram) -> None:
    with Daemon(chat_firm.config) as daemon:
        enrolled(chat_firm, daemon, telegram)
        telegram.says(WANG, QUESTION)
        card = in_chat(telegram, QUESTION)
        daemon.settle()
        daemon.stop()
        text = chat_firm.config.read_text()
        chat_firm.config.write_text(text.replace("[agents.chen]", "[agents.chan]").replace('"chen"', '"chan"'))
        daemon.start()
        telegram.says(CHEN, ANSWER, reply_to_message=card)
        wait_until(lambda: len(daemon.rows("SELECT id FROM message WHERE state = 'done'")) >= 3, "it is decided")
        daemon.settle()
        assert ANSWER not in telegram.reads(WANG)


def test_who_blocks_the_bot_gets_his_work_by_mail(chat_firm: Firm, telegram: Telegram) -> None:
    with Daemon(chat_firm.config) as daemon:
        enrolled(chat_firm, daemon, telegram)
        telegram.does(lambda api: setattr(api.chats.chat(CHEN.id), "is_blocked", True))
        telegram.says(WANG, QUESTION)
        mail = asked(chat_firm)
        reply(chat_firm, mail, ANSWER)
        wait_until(lambda: ANSWER in telegram.reads(WANG), "the customer reads it")


def test_both_ways_one_answer_counts_once(both: Any, telegram: Telegram, tmp_path: Path) -> None:
    more = TABLE.format(token=token_file(tmp_path), url=telegram.api.base_url)
    firm = Firm(tmp_path, *both, more=more, chen='work_by = "both"')
    with Daemon(firm.config) as daemon:
        enrolled(firm, daemon, telegram)
        telegram.says(WANG, QUESTION)
        card, mail = in_chat(telegram, QUESTION), asked(firm)
        telegram.says(CHEN, ANSWER, reply_to_message=card)
        wait_until(lambda: ANSWER in telegram.reads(WANG), "the customer reads it")
        daemon.wait_for("first_response_recorded")
        reply(firm, mail, "！結案")
        daemon.wait_for("ticket_closed")
        daemon.settle()
        assert len(daemon.said("first_response_recorded")) == 1
        assert telegram.reads(WANG).count(ANSWER) == 1


def test_where_words_may_not_go_through_telegram_only_a_notice_does(
    both: Any, telegram: Telegram, tmp_path: Path
) -> None:
    more = TABLE.format(token=token_file(tmp_path), url=telegram.api.base_url) + 'content = "notice"\n'
    firm = Firm(tmp_path, *both, more=more, chen='work_by = "telegram"')
    with Daemon(firm.config) as daemon:
        enrolled(firm, daemon, telegram)
        telegram.says(WANG, QUESTION)
        asked(firm)
        in_chat(telegram, "信箱")
        assert not [words for words in telegram.reads(CHEN) if QUESTION in words or "王" in words]
