"""Signatures by the markup of mail programs and by the line of a telephone; what people say stays."""

from __future__ import annotations

import time

import pytest

from routing.signatures import is_telephones, marked_blocks, without_signature

LINES = ("陳怡君", "誠信財稅 02-2345-0000", "www.firm.example")
HTML = "<br>".join(LINES)
WORDS = ["王小姐您好：", "", "可以更正。"]

MARKED = {
    "Gmail": f'<span class="gmail_signature_prefix">-- </span><br><div dir="ltr" class="gmail_signature">{HTML}</div>',
    "Gmail's app": f'<div data-smartmail="gmail_signature" dir="auto">{HTML}</div>',
    "Outlook on the web": f'<div id="Signature"><div><p>{HTML}</p></div></div>',
    "Outlook, taken over by Outlook": f'<div id="x_Signature" class="x_elementToProof">{HTML}</div>',
    "Outlook's app": f'<div class="ms-outlook-ios-signature" id="ms-outlook-mobile-signature">{HTML}</div>',
    "Outlook for Windows": (
        f'<p class=MsoNormal><a name="_MailAutoSig"><span lang=EN>{LINES[0]}</span></a></p>'
        + "".join(f"<p class=MsoNormal><span style='mso-bookmark:_MailAutoSig'>{line}</span></p>" for line in LINES[1:])
    ),
    "Outlook for Mac": f"<div id=MAC_OUTLOOK_SIGNATURE>{HTML}</div>",
    "Apple's telephones": f'<br id="lineBreakAtBeginningOfSignature"><div dir="ltr">{HTML}</div>',
    "Apple's telephones, older": f'<div id="AppleMailSignature" dir="ltr">{HTML}</div>',
    "Thunderbird": f'<pre class="moz-signature" cols="72">-- \n{HTML}</pre>',
    "QQ": f'<div><sign signid="1"><div>{HTML}</div></sign></div>',
    "QQ on the web": f'<div class="qqmail_sign" id="wemailsigcontent" signid="200">{HTML}</div>',
    "Foxmail": f'<hr id="FMSigSeperator" size="1"><div><span id="_FoxFROMNAME"><div>{HTML}</div></span></div>',
    "NetEase": f'<div id="imail_signature" class="ntes-signature">{HTML}</div>',
    "with a comment and a style": f'<div id="Signature"><style>p{{}}</style><!-- x --><p>{HTML}</p></div>',
}


@pytest.mark.parametrize("html", MARKED.values(), ids=MARKED)
@pytest.mark.parametrize("rule", [(), ("-- ",), ("--",), ("",)])
def test_a_marked_signature_is_cut_wherever_it_stands(html: str, rule: tuple[str, ...]) -> None:
    blocks = marked_blocks(f"<div>{'<br>'.join(WORDS)}</div>{html}")

    assert blocks
    kept, cut = without_signature([*WORDS, "", *rule, *LINES], (), blocks)
    assert [line for line in kept if line] == [WORDS[0], WORDS[2]]
    assert cut == 3 + any(rule)
    assert without_signature([*WORDS, *LINES, "另外：補件"], (), blocks)[0] == [*WORDS, "另外：補件"]


@pytest.mark.parametrize(
    "plain",
    [
        ("*陳怡君*", "誠信財稅", "02-2345-0000", "www.firm.example<http://www.firm.example/>"),
        ("陳怡君誠信財稅 02-2345-0000 www.firm.example",),
        ("陳怡君", "[cid:logo.png]", "誠信財稅 02-2345-0000", "[image: logo]", "www.firm.example"),
    ],
)
def test_the_plain_part_may_write_it_otherwise(plain: tuple[str, ...]) -> None:
    kept, _ = without_signature([*WORDS, *plain], (), marked_blocks(MARKED["Gmail"]))

    assert kept == WORDS


UNTOUCHED = {
    "words typed into the block": (
        MARKED["Outlook's app"].replace(HTML, "可以更正。<br>陳怡君"),
        ["可以更正。", "陳怡君"],
    ),
    "the block is said elsewhere too": (MARKED["Gmail"], ["陳怡君", "會與您聯絡。"]),
    "only part of it": (MARKED["Gmail"], [*WORDS, *LINES[:2]]),
    "quoted": (MARKED["Gmail"], [*WORDS, *(f"> {line}" for line in LINES)]),
    "within a line": (MARKED["Gmail"], [*WORDS, "請記下 " + " ".join(LINES) + " 謝謝"]),
    "no signature of these": ('<div class="signature_note">可以更正。</div>', [*WORDS]),
}


@pytest.mark.parametrize(("html", "lines"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_is_not_the_block_whole_stays(html: str, lines: list[str]) -> None:
    assert without_signature(lines, (), marked_blocks(html)) == (lines, 0)


TELEPHONES = """\
Sent from my iPhone
Sent from my iPad
Sent from Outlook for iOS
Get Outlook for iOS<https://aka.ms/o0ukef>
Get Outlook for Android
Sent from Yahoo Mail on Android
Sent via the Samsung Galaxy S24, an AT&T 5G smartphone
Sent from Mail for Windows
Sent from my Galaxy
Sent from my mobile
(Sent from my Pixel 8)
從我的 iPhone 傳送
從我的iPad傳送
自我的 iPhone 傳送
从我的 iPhone 发送
发自我的iPhone
發自我的 iPhone
发自我的手机
發自我的手機
发自我的华为手机
发自我的小米手机
寄自我的 iPhone
來自我的 iPhone
来自我的手机
取得 Outlook for iOS
取得 Android 版 Outlook
获取 Outlook for iOS
获取适用于 iOS 的 Outlook
下載 Outlook for iOS
取得 Outlook for iOS<https://aka.ms/o0ukef>
來自 Outlook for Android
从 Windows 版邮件发送
從 Samsung 裝置傳送
来自 Android 网易邮箱
发自 网易邮箱大师
发自网易邮箱手机版
来自QQ邮箱手机版
来自 Foxmail for iPhone
签名由 网易邮箱大师 定制
""".splitlines()
SENTENCES = """\
Sent from the office this morning by courier
Get the form from the tax office
從我的信箱寄出
寄自台北國稅局
来自客户的邮件已转给同事
發自內心感謝您
從明天起由林小姐為您服務
取得核准後會通知您
下載申報書後請簽名
自我檢查表如附件，請填寫
Sent from my point of view, it is fine
請打我的手機
从下周起改由手机通知您办理进度，谢谢配合
好
""".splitlines()


@pytest.mark.parametrize("line", TELEPHONES)
def test_a_telephones_line_is_known_and_cut(line: str) -> None:
    assert is_telephones(line)
    assert without_signature([*WORDS, "", line, ""])[0] == [*WORDS, ""]
    assert without_signature([line]) == ([line], 0)
    assert without_signature([*WORDS, line, "還有一件事"])[0] == [*WORDS, line, "還有一件事"]


@pytest.mark.parametrize("line", SENTENCES)
def test_a_persons_sentence_is_none(line: str) -> None:
    assert not is_telephones(line)


def test_a_telephones_line_below_a_signature_below_another() -> None:
    lines = [*WORDS, *LINES, "", "--", "林", "", "Sent from my iPhone"]

    assert without_signature(lines, LINES)[0] == WORDS


@pytest.mark.parametrize(
    "page",
    [
        '<div class="gmail_signature">' * 20_000,
        "<div>" * 100_000 + '<div id="Signature">' * 30,
        '<a name="_MailAutoSig">' * 20_000,
        "<!--" * 100_000,
        '<div id="Signature"><style>' * 15_000,
        "<" * 500_000,
        '<div class="' * 40_000,
        '<div id="Signature">' + "a<b" * 150_000,
    ],
)
def test_g9_a_hostile_page_costs_little(page: str) -> None:
    began = time.process_time()

    blocks = marked_blocks(page)
    without_signature(["a"] * 50_000, (), [*blocks, "aaaa"])

    assert time.process_time() - began < 4
