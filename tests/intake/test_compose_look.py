"""The agent's mail in a real browser: nothing sticks out on a phone, nothing is fetched, dark is dark."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email import policy
from typing import Any

import pytest
from support.letters import agent_facts, notice_facts, told_facts
from support.needs import needs, program

from intake import texts_loader
from intake.compose import agent_mail, notice_mail, told_mail

pytestmark = pytest.mark.system
TEXTS = texts_loader.load()
HTML = (
    '<table width="2000" style="width:2000px"><tr><td>wide</td></tr></table><p>' + "x" * 400 + "</p>"
    '<img src="https://remote.example/p.gif" width="3000"><pre>' + "y" * 300 + "</pre>"
)


def _page(raw: bytes) -> str:
    body = email.message_from_bytes(raw, policy=policy.default).get_body(("html",))  # type: ignore[attr-defined]
    return str(body.get_content())


PAGES = {
    "ticket": _page(agent_mail(agent_facts(), TEXTS)),
    "strange": _page(agent_mail(agent_facts(words_html=HTML, customer_contact="a" * 110 + "@example.com"), TEXTS)),
    "english": _page(agent_mail(agent_facts(language="en", topic="VAT " * 20), TEXTS)),
    "notices": _page(notice_mail(notice_facts(), TEXTS)),
    "told": _page(told_mail(told_facts(detail="z" * 250), TEXTS)),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    needs("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.mark.parametrize("name", list(PAGES))
@pytest.mark.parametrize("width", [360, 900])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_mail_fits_the_window_and_fetches_nothing(browser: Any, name: str, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 600}, color_scheme=scheme)
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))

    page.set_content(PAGES[name])

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert requests == []
    # The least contrast between any text and the ground behind it (WCAG 2.1 asks for 4.5).
    assert page.evaluate(CONTRAST) >= 4.5
    context.close()


CONTRAST = """() => {
  const lum = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
      if (c !== 'rgba(0, 0, 0, 0)') return c; } return 'rgb(255, 255, 255)' };
  let least = 21;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) { const e = walk.currentNode.parentElement; if (!walk.currentNode.data.trim()) continue;
      const a = lum(getComputedStyle(e).color), b = lum(ground(e));
      least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)); }
  return least }"""
