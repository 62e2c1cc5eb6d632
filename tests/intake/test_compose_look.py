"""Mails to agents and customers in a real browser: nothing sticks out on a phone, nothing is fetched, dark is dark."""

from __future__ import annotations

import base64
import email
import re
from collections.abc import Iterator
from email import policy
from typing import Any

import pytest
from support.letters import agent_facts, customer_facts, list_facts, notice_facts, told_facts
from support.needs import needs, program

from intake import texts_loader
from intake.compose import Action, Carried, agent_mail, carry, customer_answer, notice_mail, told_mail
from intake.compose_lists import list_mail
from intake.mailbytes import File

pytestmark = pytest.mark.system
TEXTS = texts_loader.load()
HTML = (
    '<table width="2000" style="width:2000px"><tr><td>wide</td></tr></table><p>' + "x" * 400 + "</p>"
    '<img src="https://remote.example/p.gif" width="3000"><pre>' + "y" * 300 + "</pre>"
)


def _page(raw: bytes) -> str:
    body = email.message_from_bytes(raw, policy=policy.default).get_body(("html",))  # type: ignore[attr-defined]
    return str(body.get_content())


LETTERS = {
    "zh-Hant": ["王小姐您好：", "明細如下，請留意：", "項目", "金額", "營業稅", "說明在這裡", "請準備：", "發票影本"],
    "zh-Hans": ["王女士您好：", "明细如下，请留意：", "项目", "金额", "增值税", "说明在这里", "请准备：", "发票复印件"],
    "en": [
        "Dear Ms Wang,",
        "Please note the figures:",
        "Item",
        "Amount",
        "VAT",
        "Read more",
        "We need:",
        "the invoice",
    ],
}
PICTURE = File(
    name="a.png",
    media_type="image/png",
    content=bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c63646060f80f0001050101270c3a1b0000000049454e44ae426082"
    ),
    content_id="i1@x",
)


def _letter(language: str) -> str:
    """An answer with everything that a client writes: a table, a list, a link, a wide picture, lines without end."""
    hello, note, item, amount, tax, more, need, invoice = LETTERS[language]
    cell = '<td style="border:solid windowtext 1.0pt;padding:0cm 5.4pt 0cm 5.4pt" width="400"><p class=MsoNormal>'
    html = (
        f"<p class=MsoNormal>{hello}</p><p class=MsoNormal>&nbsp;</p><p class=MsoNormal>{note}"
        f"<b>86,400</b></p><p class=MsoNormal>&nbsp;</p>"
        f'<table class=MsoTableGrid border=1 width="900" style="border-collapse:collapse">'
        f"<tr>{cell}<b>{item}</b></p></td>{cell}<b>{amount}</b></p></td></tr>"
        f"<tr>{cell}{tax}</p></td>{cell}1,200</p></td></tr></table>"
        f'<p><a href="https://tax.example/{"x" * 90}">{more}</a> {"z" * 300}</p>'
        f'<p>{need}</p><ul><li>{invoice}</li></ul><p><img src="cid:i1@x" width="880"></p><pre>{"y " * 200}</pre>'
    )
    words = f"{hello} {note} 86,400 {item} {amount} {tax} 1,200 {more} {'z' * 300} {need} {invoice} {'y ' * 200}"
    links = (f"https://tax.example/{'x' * 90}",)
    carried = carry(html, words, links=links, files=(PICTURE,), seed="x")
    assert isinstance(carried, Carried)
    return _page(customer_answer(customer_facts(language=language, carried=carried, words=words), TEXTS))


LINK = Action(typed="！寄出", does="還是寄給客戶", mailto="mailto:a@b.example?subject=!send")
PAGES = {
    **{f"letter in {language}": _letter(language) for language in LETTERS},
    "ticket": _page(agent_mail(agent_facts(), TEXTS)),
    "strange": _page(agent_mail(agent_facts(words_html=HTML, customer_contact="a" * 110 + "@example.com"), TEXTS)),
    "english": _page(agent_mail(agent_facts(language="en", topic="VAT " * 20), TEXTS)),
    "notices": _page(notice_mail(notice_facts(), TEXTS)),
    "list": _page(list_mail(list_facts())),
    "told with a link": _page(told_mail(told_facts(actions=(LINK,)), TEXTS)),
    "told": _page(told_mail(told_facts(detail="z" * 250), TEXTS)),
}


PIXEL = "data:image/png;base64," + base64.b64encode(PICTURE.content).decode()


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

    page.set_content(re.sub(r'src="cid:[^"]*"', f'src="{PIXEL}"', PAGES[name]))

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in requests if url != PIXEL] == []
    # The least contrast between any text and the ground behind it (WCAG 2.1 asks for 4.5).
    assert page.evaluate(CONTRAST) >= 4.5
    context.close()


CONTRAST = """() => {
  const lum = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
      if (c !== 'rgba(0, 0, 0, 0)') return c; }
      // The canvas, which follows `color-scheme`.
      const dark = matchMedia('(prefers-color-scheme: dark)').matches && document.querySelector('[name=color-scheme]');
      return dark ? 'rgb(18, 18, 18)' : 'rgb(255, 255, 255)' };
  let least = 21;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) { const e = walk.currentNode.parentElement; if (!walk.currentNode.data.trim()) continue;
      const a = lum(getComputedStyle(e).color), b = lum(ground(e));
      least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)); }
  return least }"""
