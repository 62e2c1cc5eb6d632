"""An agent's HTML: the words that may leave and no others, with tables, links and pictures, of any client."""

from __future__ import annotations

import time
from typing import Any

import pytest

from channels.htmltext import to_text
from intake.compose_reply import Carried, carry
from intake.mailbytes import File
from routing.guard import MARK
from routing.masking import masks_of

CARD = f"""<table><tr><td>15:30 前回覆 · 營業稅 ikc-abcdefghijklmnop</td></tr><tr><td>王美玲您好，發票</td></tr>
<tr><td>{MARK}</td></tr><tr><td>統一編號</td><td>2468••••</td></tr></table><img src="cid:c1">
<a href="mailto:support+ikt@x">！結案</a>"""
PNG = File(name="圖.png", media_type="image/png", content=b"\x89PNG", content_id="image001.png@01DC", is_inline=True)
TABLE = (
    '<table class=MsoTableGrid border=1 style="border-collapse:collapse"><tr><td style="border:solid windowtext 1.0pt">'
    "<p class=MsoNormal>項目</p></td><td align=right><p class=MsoNormal>金額</p></td></tr>"
    "<tr><td><p class=MsoNormal>營業稅</p></td><td align=right><p class=MsoNormal>1,200</p></td></tr></table>"
)


def carried(html: str, words: str, **changes: Any) -> Carried:
    found = carry(html, words, **({"links": (), "files": (), "seed": "<a@b>"} | changes))
    assert isinstance(found, Carried), found
    return found


def refused(html: str, words: str, **changes: Any) -> str:
    found = carry(html, words, **({"links": (), "files": (), "seed": "<a@b>"} | changes))
    assert isinstance(found, str), found
    return found


#: What clients put between the new words and what they quote.
CLIENTS = {
    "Gmail": (
        '<div dir="ltr">{own}</div><br><div class="gmail_quote">'
        '<div class="gmail_attr">客服 &lt;a@b&gt; 於 2026年11月23日 週一 寫道：<br></div>'
        '<blockquote class="gmail_quote">{card}</blockquote></div>'
    ),
    "Outlook for Windows": (
        "<div class=WordSection1>{own}<p class=MsoNormal><o:p>&nbsp;</o:p></p><div>"
        '<div style="border:none;border-top:solid #E1E1E1 1.0pt"><p class=MsoNormal><b>寄件者:</b> 客服 #1042'
        "<br><b>主旨:</b> x</p></div></div>{card}</div>"
    ),
    "Outlook on the web": (
        '{own}<div id="appendonsend"></div><hr style="display:inline-block;width:98%">'
        '<div id="divRplyFwdMsg"><b>From:</b> 客服</div>{card}'
    ),
    "Apple Mail": (
        '<body>{own}<br><div><blockquote type="cite"><div>On Nov 23, 2026, at 14:10, 客服 wrote:'
        "</div>{card}</blockquote></div></body>"
    ),
    "Thunderbird": (
        '<p>{own}</p><div class="moz-cite-prefix">Am 23.11.26 um 14:10 schrieb 客服:<br></div>'
        '<blockquote type="cite">{card}</blockquote>'
    ),
    "QQ": (
        "<div>{own}</div><div><includetail>"
        '<div style="font-size:12px">------------------&nbsp;原始邮件&nbsp;------------------</div><div>'
        "<b>发件人:</b>客服</div></includetail></div>{card}"
    ),
    "163": (
        '<div>{own}</div><div id="isReplyContent"><p>在 2026-11-23 14:10:00，"客服" &lt;a@b&gt; 写道：</p>'
        "<blockquote>{card}</blockquote></div>"
    ),
    "Foxmail": (
        "<div>{own}</div><div><hr></div><div>a@b.example</div><blockquote><div><b>发件人：</b>客服</div>{card}"
        "</blockquote>"
    ),
    "something unheard of": "<main>{own}</main><aside>{card}</aside>",
    "quoted above": "<blockquote>{card}</blockquote><div>{own}</div>",
}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_what_any_client_quotes_stays_behind_and_the_table_goes_along(client: str) -> None:
    own = f"<div>王小姐您好：</div><div><b>明細</b>如下</div>{TABLE}<div>謝謝</div>"
    words = "王小姐您好：\n\n明細如下\n\n項目\t金額\n營業稅\t1,200\n\n謝謝"

    page = carried(client.format(own=own, card=CARD), words).html

    assert "".join(to_text(page).replace("|", "").split()) == "王小姐您好：明細如下項目金額營業稅1,200謝謝"
    assert page.count("<td") == 4
    assert "<b>明細</b>" in page
    for gone in ("ikc-", "2468", "2026", "support+", "<hr", "客服", "cid:", "Mso"):
        assert gone not in page


@pytest.mark.parametrize("words", ["您好：\n明細\n謝謝", "您好：\n\n*明細*\n\n  謝謝", "您好：明細\n謝謝"])
def test_the_plain_part_may_be_wrapped_and_marked_otherwise(words: str) -> None:
    assert "<b>明細</b>" in carried("<p>您好：</p><p><b>明細</b></p><p>謝謝</p>", words).html


def test_commands_at_the_top_stay_behind() -> None:
    page = carried("<div>！結案</div><div><br></div><div>您好，<i>已辦妥</i>。</div>", "您好，已辦妥。").html

    assert page == "<div>您好，<i>已辦妥</i>。</div>"


def test_words_between_the_customers_quoted_lines_are_carried_without_the_heading() -> None:
    html = (
        "<p>您好</p><div>On Mon, mei wrote:</div><blockquote type=cite><p>問題一</p></blockquote><p>答一</p>"
        "<blockquote type=cite><p>問題二</p></blockquote><p>答二</p>"
    )

    page = carried(html, "您好\n> 問題一\n答一\n> 問題二\n答二").html

    assert "wrote" not in page
    assert page.count("<blockquote>") == 2


# ---- lists, links, pictures


def test_lists_are_kept_whatever_mark_the_plain_part_has() -> None:
    html = "<p>請準備：</p><ol><li>發票</li><li>申報書</li></ol><ul><li>印章</li></ul>"

    for words in (
        "請準備：\n\n1. 發票\n2. 申報書\n\n- 印章",
        "請準備：\n\n  1.  發票\n  2.  申報書\n\n  *   印章",
        "請準備：\n1. 發票\n2. 申報書\no   印章",
        "請準備：\n發票\n申報書\n印章",
    ):
        assert carried(html, words).html == html


def test_outlooks_lists_of_letters_in_a_font_of_pictures_become_bullets() -> None:
    html = (
        "<p class=MsoListParagraph style='margin-left:24.0pt;text-indent:-24.0pt'><![if !supportLists]>"
        "<span style='font-family:Wingdings'>l<span style='font:7.0pt \"Times New Roman\"'>&nbsp; </span></span>"
        "<![endif]>發票</p>"
    )

    for words in ("l   發票", "發票", "•  發票"):
        assert carried(html, words).html == '<p style="margin:0;margin-left:24.0pt">•&nbsp;發票</p>'


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ('<p>見<a href="https://a.example/x?a=1&amp;b=2">說明</a>。</p>', "見說明<https://a.example/x?a=1&b=2>。"),
        ('<p>見<a href="https://a.example/x?a=1&amp;b=2">說明</a>。</p>', "見說明\n<https://a.example/x?a=1&b=2> 。"),
        ('<p>見<a href="https://a.example/x?a=1&amp;b=2">說明</a>。</p>', "見說明。"),
    ],
)
def test_a_cleared_link_is_kept_and_the_plain_part_tells_where_it_leads(html: str, words: str) -> None:
    found = carried(html, words, links=("https://a.example/x?a=1&b=2",))

    assert found.html == html
    assert found.plain == "見說明 <https://a.example/x?a=1&b=2>。"


def test_a_link_that_was_not_cleared_keeps_the_html_back() -> None:
    assert refused('<a href="https://a.example/">x</a>', "x", links=("https://b.example/",)) == "link"
    assert refused('<a href="mailto:support+ikt@firm.example">x</a>', "x") == "link"


def test_a_link_to_nowhere_is_its_words() -> None:
    for href in ("#top", "foo", "file:///c:/secret", "javascript:alert(1)", "data:text/html,x", "//evil.example/x"):
        assert carried(f'<p><a href="{href}">x</a></p>', "x").html == "<p>x</p>"


def test_a_cleared_picture_is_shown_where_it_stood_under_an_id_of_ours() -> None:
    html = '<p>看下圖</p><img src="cid:image001.png@01DC" alt="Card 2468" width="300"><p>謝謝</p>' + CARD

    found = carried(html, "看下圖\n[cid:image001.png@01DC]\n謝謝", files=(PNG,))

    [picture] = found.pictures
    assert picture.content_id != PNG.content_id
    assert f'<img src="cid:{picture.content_id}" alt="" width="300"' in found.html
    assert "2468" not in found.html
    assert found.plain == "看下圖\n\n[圖.png]\n\n謝謝"
    assert carried(html, "看下圖\n謝謝", files=(PNG,), seed="<a@b>") == found


@pytest.mark.parametrize("after", ["", CARD, "<div>On Mon, x wrote:</div>"])
def test_a_picture_at_the_end_of_his_words_is_his(after: str) -> None:
    found = carried(f'<div>看圖</div><div><img src="cid:image001.png@01DC"></div>{after}', "看圖", files=(PNG,))

    assert len(found.pictures) == 1


def test_a_picture_that_only_the_quote_shows_is_left_out() -> None:
    found = carried(f'<p>好的</p><p>On Mon wrote:</p><img src="cid:image001.png@01DC">{CARD}', "好的", files=(PNG,))

    assert found.pictures == ()
    assert "image001.png@01DC" in found.left_out


def test_pictures_that_are_fetched_or_not_cleared_are_not_shown() -> None:
    html = (
        '<p>您好<img src="https://track.example/p.gif"><img src="cid:unknown"><img src="data:image/png;base64,aWtj">'
        '<img src="file:///c:/x.png"></p><div style="background:url(https://x.example/)">謝謝</div>'
    )

    assert carried(html, "您好\n謝謝", files=(PNG,)).html == "<p>您好</p><div>謝謝</div>"


def test_a_smile_at_either_end_is_kept() -> None:
    assert "👍" in carried(f"<div>好的</div><div>👍</div>{CARD}", "好的\n👍").html
    assert "👍" in carried("<div>！結案</div><div>👍</div><div>好的</div>", "👍\n好的").html


# ---- the plain part


def test_a_table_of_figures_is_aligned_for_those_who_read_text() -> None:
    found = carried(f"<p>如下</p>{TABLE}<p>謝謝</p>", "如下\n項目\t金額\n營業稅\t1,200\n謝謝")

    assert found.plain == "如下\n\n項目     金額\n營業稅  1,200\n\n謝謝"


# ---- what must not leave


SECRET = "統一編號24681357"
HIDING = {
    "a comment": f"<p>您好<!-- {SECRET} --></p>",
    "a conditional comment": f"<p>您好<!--[if mso]><p>{SECRET}</p><![endif]--></p>",
    "an attribute": f'<p data-x="{SECRET}" title="{SECRET}" id="{SECRET}" lang="{SECRET}">您好</p>',
    "the text for a picture": f'<p>您好<img alt="{SECRET}" src="cid:x" title="{SECRET}"></p>',
    "a class": f'<p class="Mso {SECRET}">您好</p>',
    "CSS content": f'<style>p:after{{content:"{SECRET}"}}</style><p style="content:\'{SECRET}\'">您好</p>',
    "a CSS value": f'<p style="font-family:{SECRET};--x:{SECRET};color:{SECRET};border:{SECRET}">您好</p>',
    "the title": f"<html><head><title>{SECRET}</title></head><body><p>您好</p></body></html>",
    "template": f"<p>您好</p><template><p>{SECRET}</p></template>",
    "svg": f"<p>您好</p><svg><text>{SECRET}</text><desc>{SECRET}</desc></svg>",
    "math": f"<p>您好</p><math><mtext>{SECRET}</mtext></math>",
    "a script": f"<p>您好</p><script>var x='{SECRET}'</script>",
    "noscript": f"<p>您好</p><noscript>{SECRET}</noscript>",
    "a form": (
        f'<p>您好</p><form action="https://x/{SECRET}"><input value="{SECRET}"><select><option>{SECRET}</select></form>'
    ),
    "an anchor": f'<p><a name="{SECRET}" href="#{SECRET}">您好</a></p>',
    "a relative link": f'<p><a href="{SECRET}">您好</a></p>',
    "base64 data": f'<p>您好</p><img src="data:text/plain;base64,{SECRET}"><a href="data:,{SECRET}"></a>',
    "meta and base": f'<base href="https://x/{SECRET}"><meta name="x" content="{SECRET}"><p>您好</p>',
    "an unknown element": f'<x-y z="{SECRET}"><p>您好</p></x-y>',
    "MSO xml": f"<p>您好</p><xml><o:x>{SECRET}</o:x></xml>",
}
SHOWN = {
    "plainly below": f"<p>您好</p><p>{SECRET}</p>",
    "white on white": f'<p>您好</p><p style="color:#fff">{SECRET}</p>',
    "in no size": f'<p>您好</p><p style="font-size:0;display:none;opacity:0">{SECRET}</p>',
    "with invisible characters": "<p>您好</p><p>" + "\u200b".join(SECRET) + "</p>",
    "in nested tables": f"<table><tr><td><p>您好</p><table><tr><td>{SECRET}</td></tr></table></td></tr></table>",
    "in a text area": f"<p>您好</p><textarea>{SECRET}</textarea>",
    "in marquee": f"<p>您好</p><marquee>{SECRET}</marquee>",
    "before": f"<p>{SECRET}</p><p>您好</p>",
}


@pytest.mark.parametrize("html", [*HIDING.values(), *SHOWN.values()], ids=[*HIDING, *SHOWN])
@pytest.mark.parametrize("after", ["", CARD])
def test_g15_nothing_that_the_words_do_not_say_leaves_in_the_html(html: str, after: str) -> None:
    found = carry(html + after, "您好", links=(), files=(), seed="x")

    if isinstance(found, Carried):
        text = found.html + found.plain
        assert "".join(filter(str.isalnum, to_text(found.html))) == "您好"
        assert "24681357" not in "".join(filter(str.isalnum, text))
        assert "統一" not in text


@pytest.mark.parametrize(
    "html",
    [
        f"<p>您好 {SECRET}</p>",
        f"<p>您好</p><p>{SECRET}</p><p>謝謝</p>".replace("</p><p>", ""),
        f'<p>您好<span style="display:none">{SECRET}</span></p>',
        f'<p>您<span style="color:#fff;font-size:1px">{SECRET}</span>好</p>',
        "<p>您\u200b好 x</p>",
    ],
)
def test_g15_a_line_that_says_more_than_the_cleared_words_keeps_the_html_back(html: str) -> None:
    assert refused(html, "您好") == "words_differ"


def test_g15_zero_width_letters_cannot_spell_anything_between_the_words() -> None:
    page = carried("<p>您\u200b\u2060\U000e0041\ufeff\u202e好</p>", "您好").html

    assert page == "<p>您好</p>"


def test_g15_something_of_ours_within_cleared_words_is_found_once_more() -> None:
    """The guard holds such words; if ever it did not, the HTML does not leave all the same."""
    assert refused("<p>ikc-abcdefghijklmnop</p>", "ikc-abcdefghijklmnop") == "internal"
    link = "https://x.example/?a=%69kc-abcdefghijklmnop"
    assert refused(f'<p><a href="{link}">x</a></p>', "x", links=(link,)) == "internal"


def test_words_without_letters_go_alone() -> None:
    assert refused("<p>👍</p>", "👍") == "no_letters"


@pytest.mark.parametrize(
    "bomb",
    [
        "<div>" * 100_000,
        "<table><tr><td>" * 400 + "x",
        "您好<br>" * 60_000,
        "<p>您</p>" * 40_000,
        "<" * 250_000,
        "<p " + "style='color:red' " * 10_000 + ">您好</p>",
        "您好" + "<a href='https://x.example/'>" * 5_000,
    ],
)
def test_g9_a_bomb_costs_little(bomb: str) -> None:
    began = time.process_time()

    carry(bomb, "您好\n" * 50, links=(), files=(), seed="x")
    carry(bomb, "您" * 10_000 + "好", links=(), files=(), seed="x")

    assert time.process_time() - began < 6


def test_g9_words_full_of_optional_stretches_cost_little() -> None:
    began = time.process_time()

    for words in ("[a]" * 60_000, "<http:" * 30_000, "1. " * 60_000, "[" * 100_000, "\n1. a" * 30_000):
        carry("<p>" + "a" * 60_000 + "</p>", words, links=(), files=(), seed="x")

    assert time.process_time() - began < 6


# ---- masks

MASKS = masks_of(["chen@firm.example"], ["+886937865201"], "support@firm.example", "02-2345-0000")
OWN = (
    '<p>請寄 <a href="mailto:Chen@firm.example?subject=x">chen@firm.example</a></p><p>或打 <b>0937-865-201</b>'
    ' <a href="tel:+886937865201">手機</a></p><p>謝謝</p>'
)


def test_his_address_and_number_are_replaced_in_the_page_and_behind_its_links() -> None:
    words = "請寄 support@firm.example<mailto:support@firm.example?subject=x>\n或打 02-2345-0000 手機\n謝謝"

    found = carried(OWN, words, masks=MASKS, links=("mailto:support@firm.example?subject=x",))

    assert found.html == (
        '<p>請寄 <a href="mailto:support@firm.example?subject=x">support@firm.example</a></p>'
        "<p>或打 <b>02-2345-0000</b> 手機</p><p>謝謝</p>"
    )
    assert "chen" not in (found.html + found.plain).lower()


@pytest.mark.parametrize("number", ["0937-<b>865</b>-201", "0937<br>865201", "0937\u200b865<i></i>201"])
def test_g15_a_number_that_the_page_cuts_into_pieces_keeps_the_page_back(number: str) -> None:
    assert refused(f"<p>或打 {number}</p>", "或打 02-2345-0000", masks=MASKS) == "words_differ"


def test_g15_without_masks_the_page_is_not_the_masked_words() -> None:
    assert refused("<p>請寄 chen@firm.example</p>", "請寄 support@firm.example") == "words_differ"
