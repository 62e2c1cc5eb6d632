"""The chat as a visitor has it, in a real Chromium: what he writes is kept, what he is told appears, nothing twice."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect
from support.needs import needs, program
from support.webchat_desk import Desk, open_desk

from channels.adapter import Accepted, Arrival, DeliveryState, StoreUnavailable

pytestmark = pytest.mark.system

ARGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"viewport": {"width": 390, "height": 780}, "is_mobile": True, "has_touch": True}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    needs("chromium")
    async with async_playwright() as playwright:
        it = await playwright.chromium.launch(executable_path=program("chromium"), args=ARGS)
        yield it
        await it.close()


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr("channels.webchat.BUSY_RETRY", 0.2)
    async with open_desk(tmp_path) as it:
        yield it


@contextlib.asynccontextmanager
async def visitor(browser: Browser, desk: Desk, path: str = "/chat", **context: Any) -> AsyncIterator[Page]:
    """A page with a profile of its own; a script error or a refusal by the content policy fails the test."""
    faults: list[str] = []
    options = {"locale": "zh-TW", "timezone_id": "Asia/Taipei", "reduced_motion": "reduce", **context}
    profile = await browser.new_context(**options)
    page = await profile.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
    await page.goto(desk.url + path)
    try:
        yield page
        assert faults == []
    finally:
        await profile.close()


def log(page: Page) -> Locator:
    return page.locator("#log .words")


async def write(page: Page, text: str) -> None:
    await page.locator("#text").fill(text)
    await page.locator("#text").press("Enter")


def texts(desk: Desk) -> list[str]:
    return [orjson.loads(arrival.raw)["text"] for arrival in desk.arrivals]


async def test_what_he_writes_gets_its_tick_only_when_it_is_kept(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk) as page:
        desk.gate.clear()
        await write(page, "營業稅什麼時候申報？")
        await expect(page.locator(".line.waiting .words")).to_have_text("營業稅什麼時候申報？")
        assert desk.arrivals == []
        desk.gate.set()

        await expect(page.locator(".line.stored")).to_have_count(1)
        await expect(page.get_by_role("img", name="已收到")).to_be_visible()
    assert texts(desk) == ["營業稅什麼時候申報？"]


async def test_an_answer_appears_with_its_author_and_is_delivered(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk) as page:
        await write(page, "請問")
        await desk.accepted(1)
        delivery = await desk.say(desk.session(), "一月十五日。\n見 https://f.example/vat 。", author="陳怡君")

        await expect(log(page)).to_have_text(["請問", "一月十五日。\n見 https://f.example/vat 。"], use_inner_text=True)
        await expect(page.locator(".theirs .who b")).to_have_text("陳怡君")
        await expect(page.locator(".theirs a")).to_have_attribute("href", "https://f.example/vat")
        # A second tick: a person has answered.
        await expect(page.get_by_role("img", name="已回覆")).to_be_visible()
    assert delivery.state is DeliveryState.DELIVERED


async def test_who_comes_back_is_shown_what_he_missed(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk) as page:
        await write(page, "請問")
        await desk.accepted(1)
        session = desk.session()
        await page.goto("about:blank")
        first = await desk.say(session, "一月十五日。")
        second = await desk.say(session, "之後會有滯納金。")
        await page.goto(f"{desk.url}/chat")

        await expect(log(page)).to_have_text(["請問", "一月十五日。", "之後會有滯納金。"])
        await expect(page.locator(".line.answered")).to_have_count(1)
        await page.reload()
        await expect(log(page)).to_have_count(3)
    assert [first.state, second.state] == [DeliveryState.STORED] * 2
    # Told once each, although the page was opened twice.
    assert desk.delivered == [("website", 1), ("website", 2)]


async def test_a_lost_connection_comes_back_with_what_was_missed(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk) as page:
        await write(page, "請問")
        await expect(page.locator(".line.stored")).to_have_count(1)
        await desk.stop_receiving()
        await expect(page.locator("#notice")).to_have_text("目前離線，您的訊息會先保留，連上後自動送出。")
        await write(page, "還在嗎？")
        await desk.say(desk.session(), "在的。")
        await desk.start_receiving()

        await expect(page.locator("#notice")).to_be_empty(timeout=15_000)
        await expect(page.locator(".line.waiting")).to_have_count(0)
        assert sorted(await log(page).all_inner_texts()) == sorted(["請問", "還在嗎？", "在的。"])
    assert texts(desk) == ["請問", "還在嗎？"]


async def test_offline_lines_are_kept_and_sent_once_in_order(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk) as page:
        await write(page, "一")
        await desk.accepted(1)
        await page.context.set_offline(True)
        await expect(page.locator("#notice")).to_contain_text("目前離線")
        await write(page, "二")
        await write(page, "三")
        await expect(page.locator(".line.waiting")).to_have_count(2)
        assert len(desk.arrivals) == 1
        await page.context.set_offline(False)

        await expect(page.locator(".line.stored")).to_have_count(3)
        await expect(page.locator("#notice")).to_be_empty()
    assert texts(desk) == ["一", "二", "三"]


async def test_unsent_lines_outlive_the_page(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk) as page:
        desk.is_down = True
        await write(page, "要留著")
        await expect(page.locator("#notice")).to_have_text("現在有點忙，您的訊息已保留，稍後自動再送。")
        await page.goto("about:blank")
        desk.is_down = False
        await page.goto(f"{desk.url}/chat")

        await expect(page.locator(".line.stored .words")).to_have_text("要留著")
        await page.reload()
        await expect(log(page)).to_have_text(["要留著"])
    assert texts(desk) == ["要留著"]


async def test_a_line_whose_ack_was_lost_is_sent_again_and_kept_once(
    browser: Browser, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    accept = desk.accept

    async def accept_and_lose_it_once(arrivals: Sequence[Arrival]) -> list[Accepted]:
        tries.append(arrivals[0].external_id)
        accepted = await accept(arrivals)
        if len(tries) == 1:
            raise StoreUnavailable("committed, but nobody heard")
        return accepted

    monkeypatch.setattr(desk, "accept", accept_and_lose_it_once)
    await desk.stop_receiving()
    await desk.start_receiving()
    async with visitor(browser, desk) as page:
        await write(page, "只有一次")

        await expect(page.locator(".line.stored .words")).to_have_text(["只有一次"])
    assert len(tries) == 2
    assert tries[0] == tries[1]
    assert texts(desk) == ["只有一次"]


async def test_enter_sends_shift_enter_breaks_and_composing_does_neither(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk) as page:
        field = page.locator("#text")
        await field.focus()
        keyboard = await page.context.new_cdp_session(page)
        composing = {"text": "ㄕㄨㄟˋ", "selectionStart": 4, "selectionEnd": 4}
        await keyboard.send("Input.imeSetComposition", composing)
        await page.keyboard.press("Enter")
        # Safari ends the composition first; its Enter says isComposing = false and keyCode 229.
        await field.evaluate("f => f.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229}))")
        assert await log(page).count() == 0
        await keyboard.send("Input.insertText", {"text": "稅"})
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("2")
        await page.keyboard.press("Enter")

        await desk.accepted(1)
        await expect(field).to_have_value("")
    [text] = texts(desk)
    assert text.endswith("稅\n2")
    assert len(text.splitlines()) == 2


async def test_markup_is_shown_as_text_from_either_side(browser: Browser, desk: Desk) -> None:
    evil = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    link = "javascript:document.title='taken'"
    async with visitor(browser, desk) as page:
        await write(page, evil)
        await desk.accepted(1)
        await desk.say(desk.session(), evil, author=f"<b>{link}</b>")
        await desk.say(desk.session(), link)

        await expect(log(page)).to_have_text([evil, evil, link])
        assert await page.locator("#log img, #log script, #log a, .who b b").count() == 0
        assert await page.title() == "Jade & Lin"


async def test_two_tabs_show_one_conversation(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk) as page:
        await write(page, "請問")
        await desk.accepted(1)
        second = await page.context.new_page()
        await second.goto(f"{desk.url}/chat")
        await expect(log(second)).to_have_text(["請問"])
        await write(second, "再請問")
        await desk.accepted(2)
        await desk.say(desk.session(), "在。")

        for tab in (page, second):
            await expect(log(tab)).to_have_text(["請問", "再請問", "在。"])
            await expect(tab.locator(".line.answered")).to_have_count(2)


async def test_the_widget_opens_fast_and_moves_nothing_of_the_site(
    browser: Browser, desk: Desk, record_property: Any
) -> None:
    async with visitor(browser, desk, path="/", viewport={"width": 1100, "height": 720}) as page:
        button = page.get_by_role("button", name="線上客服")
        await expect(button).to_be_visible()
        before = await page.locator("#words").bounding_box()
        # "ready": the script has run, the field can be typed into; nothing was loaded before the click.
        opened_in = await page.evaluate(
            """() => new Promise((done) => {
                const start = performance.now();
                addEventListener("message", (e) => e.data.intake === "ready" && done(performance.now() - start));
                intakeChat.open();
            })"""
        )
        record_property("opened_in_ms", opened_in)
        print(f"first load after the click: {opened_in:.0f} ms")
        panel = page.frame_locator("iframe")
        await expect(panel.locator("#text")).to_be_focused()
        box = await page.locator("iframe").bounding_box()
        shifts = await page.evaluate(
            """() => new Promise((done) => new PerformanceObserver((list) => done(list.getEntries().length))
                .observe({type: "layout-shift", buffered: true}) || setTimeout(() => done(0), 300))"""
        )

        assert box is not None
        assert (box["width"], box["height"]) == (380, 560)
        assert (await page.locator("#words").bounding_box(), shifts) == (before, 0)
        # The site's own styles do not reach inside.
        family = await panel.locator("h1").evaluate("e => getComputedStyle(e).fontFamily")
        assert "serif" not in family.split(", ")
        await page.keyboard.press("Escape")
        await expect(page.locator("iframe")).to_be_hidden()
        await expect(button).to_be_focused()
        assert opened_in < 2000  # far above the aim of 100, which a busy machine may miss


async def test_who_points_at_the_button_finds_the_panel_loaded(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk, path="/") as page:
        await page.get_by_role("button", name="線上客服").hover()
        field = page.frame_locator("iframe").locator("#text")
        await expect(field).to_be_attached()
        await expect(field).to_be_hidden()
        await page.get_by_role("button", name="線上客服").click()

        await expect(field).to_be_focused()


async def test_an_answer_to_a_closed_panel_is_counted_on_the_button(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk, path="/") as page:
        await page.get_by_role("button", name="線上客服").click()
        panel = page.frame_locator("iframe")
        await panel.locator("#text").fill("請問")
        await panel.locator("#send").click()
        await expect(panel.locator(".line.stored")).to_have_count(1)
        await panel.get_by_role("button", name="收起對話").click()
        # What comes before the panel knows that it is closed counts as seen.
        await expect(page.locator("iframe")).to_be_hidden()
        await page.wait_for_timeout(100)
        await desk.say(desk.session(), "在。")
        await expect(page.get_by_role("button", name="線上客服 (1 則新訊息)")).to_be_visible()
        # On the next page of the site too: what he wrote there is remembered, and so is an answer.
        await page.reload()
        await expect(page.locator("iframe")).to_be_attached()
        await expect(panel.locator(".words")).to_have_text(["請問", "在。"])
        await desk.say(desk.session(), "還有一件。")
        await page.get_by_role("button", name="線上客服 (1 則新訊息)").click()

        await expect(panel.locator(".words")).to_have_text(["請問", "在。", "還有一件。"])
        await expect(page.get_by_role("button", name="收起對話").first).to_be_visible()


async def test_on_a_phone_the_panel_is_the_screen(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk, path="/", **PHONE) as page:
        await page.get_by_role("button", name="線上客服").tap()
        await expect(page.frame_locator("iframe").locator("#firm")).to_be_visible()

        box = await page.locator("iframe").bounding_box()
        assert box == {"x": 0, "y": 0, "width": 390, "height": 780}


@pytest.mark.parametrize(
    ("locale", "data", "greeting", "label"),
    [
        ("zh-TW", "", "您好，請問有什麼可以幫忙？", "線上客服"),
        ("zh-HK", "", "您好，請問有什麼可以幫忙？", "線上客服"),
        ("zh-CN", "", "您好，请问有什么可以帮您？", "在线客服"),
        ("en-GB", "", "Hello, how can we help?", "Chat with us"),
        ("fr-FR", "", "Hello, how can we help?", "Chat with us"),
        ("en-GB", ' data-lang="zh-Hant"', "您好，請問有什麼可以幫忙？", "線上客服"),
    ],
)
async def test_he_is_spoken_to_in_his_language(
    browser: Browser, desk: Desk, locale: str, data: str, greeting: str, label: str
) -> None:
    desk.script_data = data
    async with visitor(browser, desk, path="/", locale=locale) as page:
        await page.get_by_role("button", name=label).click()

        await expect(page.frame_locator("iframe").locator("#hello")).to_have_text(greeting)


CONTRASTS = """() => {
  const rgb = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m[3] ?? 1]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const ground = (e) => !e ? [255, 255, 255, 1]
    : over(rgb(getComputedStyle(e).backgroundColor), ground(e.parentElement));
  const light = (c) => c.slice(0, 3).map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const found = {};
  for (const e of document.querySelectorAll("body *")) {
    const hasText = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!e.checkVisibility() || !(hasText || e.matches(".tick, textarea, #send"))) continue;
    const pairs = [[e, getComputedStyle(e).color]];
    if (e.matches("textarea")) pairs.push([e, getComputedStyle(e, "::placeholder").color]);
    for (const [el, colour] of pairs) {
      const back = ground(el), [a, b] = [light(over(rgb(colour), back)), light(back)].sort((x, y) => y - x);
      const name = `${e.tagName} ${e.id} ${e.getAttribute("class") || ""} ${colour}`;
      found[name] = (a + .05) / (b + .05);
    }
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_can_be_read(browser: Browser, desk: Desk, scheme: str) -> None:
    async with visitor(browser, desk, color_scheme=scheme, forced_colors="none") as page:
        empty = await page.evaluate(CONTRASTS)
        await write(page, "請問")
        await desk.accepted(1)
        await desk.say(desk.session(), "見 https://f.example/vat")
        desk.is_down = True
        await write(page, "謝謝")
        await expect(page.locator("#notice")).not_to_be_empty()
        await page.locator("#text").fill("再")
        await page.wait_for_timeout(300)
        full = await page.evaluate(CONTRASTS)

        assert len(empty | full) > 12
        assert {name: ratio for name, ratio in (empty | full).items() if ratio < 4.5} == {}


async def test_a_screen_reader_is_told_what_is_what(browser: Browser, desk: Desk) -> None:
    async with visitor(browser, desk, locale="en-GB") as page:
        await write(page, "Hello?")
        await desk.accepted(1)
        await desk.say(desk.session(), "Good day", author="Ann Chen")

        await expect(page.get_by_role("log")).to_contain_text("Good day")
        await expect(page.get_by_role("textbox", name="Write a message")).to_be_focused()
        await expect(page.get_by_role("button", name="Send")).to_be_disabled()
        await expect(page.get_by_role("img", name="Answered")).to_be_visible()
