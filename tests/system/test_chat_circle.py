"""The chat circle, end to end: a visitor types in a real Chromium, an agent answers by mail, the page shows it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect
from support.daemon import Daemon
from support.firm import Firm, is_automatic, plain, servers
from support.mailclients import REPLIES, answer_address
from support.needs import needs, program

pytestmark = pytest.mark.system

ARGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
T = TypeVar("T")


@pytest.fixture(scope="module")
def both() -> Iterator[Any]:
    needs("chromium")
    with servers() as pair:
        yield pair


@pytest.fixture
def firm(both: Any, tmp_path: Path) -> Firm:
    return Firm(tmp_path, *both)


@pytest.fixture
def daemon(firm: Firm) -> Iterator[Daemon]:
    with Daemon(firm.config, drain=20.0) as running:
        yield running
        print(running.story())
    assert running.noise == []  # no traceback, no warning


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        it = await playwright.chromium.launch(executable_path=program("chromium"), args=ARGS)
        yield it
        await it.close()


@asynccontextmanager
async def visitor(browser: Browser, firm: Firm) -> AsyncIterator[Page]:
    """A page in a profile of its own, which remembers the session."""
    profile = await browser.new_context(locale="zh-TW", timezone_id="Asia/Taipei", reduced_motion="reduce")
    page = await profile.new_page()
    await page.goto(f"{firm.url}/chat")
    try:
        yield page
    finally:
        await profile.close()


async def write(page: Page, text: str) -> None:
    await page.locator("#text").fill(text)
    await page.locator("#text").press("Enter")


def his(page: Page) -> Locator:
    return page.locator(".line:not(.theirs) .words")


def ours(page: Page) -> Locator:
    return page.locator(".theirs .words")


async def waiting(function: Any, *arguments: Any, **named: Any) -> Any:
    """What blocks must not stand in the way of the browser's messages."""
    return await asyncio.to_thread(function, *arguments, **named)


async def mail_about(firm: Firm, words: str) -> EmailMessage:
    mail: EmailMessage = await waiting(firm.box(firm.chen).wait_for, lambda m: words in plain(m))
    return mail


async def reply(firm: Firm, mail: EmailMessage, words: str, client: str = "outlook") -> None:
    raw = REPLIES[client](mail, "陳怡君", firm.chen, words)
    await waiting(firm.send, firm.chen, answer_address(mail), raw)


def number_of(mail: EmailMessage) -> int:
    return int(re.findall(r"#(\d+)", str(mail["Subject"]))[0])


async def test_an_agents_mail_appears_in_the_open_page(browser: Browser, firm: Firm, daemon: Daemon) -> None:
    async with visitor(browser, firm) as page:
        await write(page, "請問營業稅這期什麼時候截止？")
        await expect(page.locator(".line.stored .words")).to_have_text("請問營業稅這期什麼時候截止？", timeout=15_000)
        kept = daemon.rows("SELECT count(*) AS n FROM message WHERE medium = 'chat'")
        asked = await mail_about(firm, "營業稅這期什麼時候截止")
        await expect(ours(page)).to_have_count(1, timeout=15_000)  # received, number, by when
        acknowledgement = await ours(page).first.inner_text()
        await reply(firm, asked, "您好，這期截止日是 15 日。")

        await expect(ours(page)).to_have_count(2, timeout=15_000)
        await expect(ours(page).last).to_have_text("您好，這期截止日是 15 日。")
        await expect(page.locator(".theirs .who b").last).to_have_text("陳怡君")
        everything = await page.content()
    stamp = await waiting(daemon.wait_for, "first_response_recorded", ticket=number_of(asked))
    await waiting(daemon.settle)

    assert kept == [{"n": 1}]  # the tick came after the commit
    assert f"#{number_of(asked)}" in acknowledgement
    assert -60 < stamp["margin_s"] < 60
    assert all(is_automatic(m) for m in firm.box(firm.chen).mails())
    assert firm.chen not in everything
    assert "ikc-" not in everything
    assert "以下僅供內部" not in everything


async def test_who_went_away_finds_the_answer_when_he_comes_back(browser: Browser, firm: Firm, daemon: Daemon) -> None:
    async with visitor(browser, firm) as page:
        await write(page, "請問可以補件嗎？")
        asked = await mail_about(firm, "請問可以補件嗎")
        await expect(ours(page)).to_have_count(1, timeout=15_000)
        await page.goto("about:blank")
        await reply(firm, asked, "可以，請在週五前補上。", "gmail")
        # Kept for him, the visitor gone, counts as delivered: the promise is kept.
        stamp = await waiting(daemon.wait_for, "first_response_recorded", ticket=number_of(asked))
        stored = daemon.rows("SELECT state FROM outbox WHERE purpose = 'answer'")
        await page.goto(f"{firm.url}/chat")

        await expect(ours(page)).to_have_count(2, timeout=15_000)
        await expect(ours(page).last).to_have_text("可以，請在週五前補上。")
        await expect(his(page)).to_have_text(["請問可以補件嗎？"])
        await write(page, "謝謝，明天寄出。")
        update = await mail_about(firm, "謝謝，明天寄出。")
        await page.reload()
        await expect(ours(page)).to_have_count(2, timeout=15_000)
    await waiting(daemon.settle)

    assert stored == [{"state": "stored"}]
    assert stamp["margin_s"] > -60
    assert daemon.rows("SELECT state FROM outbox WHERE purpose = 'answer'") == [{"state": "delivered"}]
    assert number_of(update) == number_of(asked)
    assert len(daemon.rows("SELECT id FROM ticket")) == 1


async def test_a_restart_loses_neither_line_nor_page(browser: Browser, firm: Firm, daemon: Daemon) -> None:
    """The daemon is killed while the page is open: the page comes back by itself, and everything is there once."""
    async with visitor(browser, firm) as page:
        await write(page, "第一句")
        await expect(page.locator(".line.stored")).to_have_count(1, timeout=15_000)
        await expect(ours(page)).to_have_count(1, timeout=15_000)
        asked = await mail_about(firm, "第一句")
        await waiting(daemon.kill)
        await expect(page.locator("#notice")).not_to_be_empty(timeout=15_000)
        await write(page, "第二句")
        await reply(firm, asked, "兩句都收到了。", "thunderbird")
        await waiting(daemon.start)

        await expect(page.locator(".line.waiting")).to_have_count(0, timeout=30_000)
        await expect(ours(page)).to_have_count(2, timeout=30_000)
        await expect(his(page)).to_have_text(["第一句", "第二句"])
        await expect(ours(page).last).to_have_text("兩句都收到了。")
    await waiting(daemon.settle)  # the tick of the second line is for its commit, not for its decision
    said = daemon.rows("SELECT ticket FROM message WHERE medium = 'chat' AND outcome IN ('opened', 'added')")
    assert len(said) == 2
    assert len({row["ticket"] for row in said}) == 1
