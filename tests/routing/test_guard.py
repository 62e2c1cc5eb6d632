"""G15: nothing internal leaves; what leaves are the agent's words exactly."""

from __future__ import annotations

import re
import time
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.message import Address, Attachment, Medium, Message, Scheme
from intake import compose_facts, texts_loader
from routing.guard import MARK, MAX_TEXT, GuardFacts, inspect
from routing.tokens import Key, Keyring, canary, mint

RING = Keyring(Key(7, b"a secret of sixteen or more"))
CANARY = canary(RING, 1042)
TOKEN = mint(RING, ticket=1042, agent="chen", purpose="answer", serial=1)
ADDRESS = f"support+{TOKEN}@firm.example"
FIRST = f"15:30 前回覆 · 營業稅申報 · 王美玲 · {CANARY}"
GOES = "回覆將寄給 王美玲 <wang@customer.example> · ✓ 已確認寄件者"
CUSTOMER = ("您好，", "請問這期營業稅要繳多少？", "附件是 11 月的發票。")
CARD = ("客戶卡 · 僅供內部", "  統編    ****5678", "  等級    A", "  未結案件  #1042 郵件、#998 電話")
LAST = "直接回覆本信即可，內容會寄給客戶；第一行寫「！備註」則只留內部，不會寄出。"
INTERNAL = (FIRST, GOES, *CARD, LAST)
OUR_MAIL = (FIRST, "", GOES, "", *CUSTOMER, "", MARK, "", f"{CARD[0]} · {CANARY}", *CARD[1:], "", LAST)
FACTS = GuardFacts(
    internal_lines=INTERNAL,
    customer_words=CUSTOMER,
    key_ids=frozenset({7}),
    tokens=frozenset({TOKEN}),
    token_addresses=frozenset({ADDRESS}),
    internal_message_ids=frozenset({"<assign.1042.1@firm.example>"}),
    private_addresses=frozenset({"chen@private.example"}),
    private_numbers=frozenset({"+886 912-345-678"}),
    known_attachments=frozenset({"aa"}),
)
WORDS = "王小姐您好：\n\n這期應繳 12,345 元，  期限 11/15。\n\n謝謝"


def reply(text: str, *attachments: Attachment) -> Message:
    sender = Address(scheme=Scheme.MAIL, value="chen@firm.example")
    return Message(medium=Medium.EMAIL, sender=sender, text=text, attachments=attachments)


def quoted(lines: tuple[str, ...], mark: str = "> ") -> str:
    return "\n".join(mark + line for line in lines)


def test_the_mark_is_the_one_that_is_composed() -> None:
    assert compose_facts.MARK == MARK


def test_the_line_above_the_customers_words_is_known_in_every_language() -> None:
    texts = texts_loader.load()
    for language in ("zh-Hant", "zh-Hans", "en"):
        found = inspect(reply(f"好\n── {texts.say('agent.words', language)} · 王美玲 · 11月23日 ──\n好"), FACTS)

        assert found.survived[0].startswith("──")


# What real clients put round a reply. The parser takes most of it away before; the guard does not rely on that.
CLIENTS = {
    "nothing quoted": WORDS,
    "gmail": f"{WORDS}\n\n客服 #1042 <{ADDRESS}> 於 2026年11月23日 週一 下午3:30寫道：\n\n{quoted(OUR_MAIL)}",
    "gmail, wrapped": f"{WORDS}\n\nOn Mon, Nov 23, 2026 at 3:30 客服 #1042\n<{ADDRESS}>\nwrote:\n\n{quoted(OUR_MAIL)}",
    "apple": f"{WORDS}\n\n> On 23 Nov 2026, at 15:30, 客服 #1042 <{ADDRESS}> wrote:\n> \n{quoted(OUR_MAIL)}",
    "thunderbird, cjk": f"{WORDS}\n\n於 2026/11/23 下午 3:30, 客服 #1042 寫道:\n{quoted(OUR_MAIL)}",
    "outlook": (
        f"{WORDS}\n\n________________________________\n寄件者: 客服 #1042 <{ADDRESS}>\n寄件日期: 2026年11月23日 15:30\n"
        f"收件者: 陳 <chen@firm.example>\n主旨: [#1042] 王美玲 · 營業稅\n\n" + "\n".join(OUR_MAIL)
    ),
    "outlook, old": (
        f"{WORDS}\n\n-----Original Message-----\nFrom: 客服 #1042 <{ADDRESS}>\nSent: Monday, 3:30 PM\nTo: Chen\n"
        f"Subject: [#1042]\n\n" + "\n".join(OUR_MAIL)
    ),
    "qq": (
        f'{WORDS}\n\n------------------ 原始邮件 ------------------\n发件人: "客服 #1042" <{ADDRESS}>;\n'
        f'发送时间: 2026年11月23日(星期一) 下午3:30\n收件人: "chen"<chen@firm.example>;\n主题: [#1042]\n\n'
        + "\n".join(OUR_MAIL)
    ),
    "163": f'{WORDS}\n\n在 2026-11-23 15:30:00，"客服 #1042" <{ADDRESS}> 写道：\n\n{quoted(OUR_MAIL, "")}',
    "mark only": f"{WORDS}\n\n{MARK}\n\n{CARD[1]}",
    "windows line ends": WORDS.replace("\n", "\r\n") + f"\r\n\r\n{MARK}\r\n{CARD[1]}\r\n",
}


@pytest.mark.parametrize("client", CLIENTS)
def test_g15_the_words_leave_exactly_and_nothing_else(client: str) -> None:
    found = inspect(reply(CLIENTS[client]), FACTS)

    assert found.text == WORDS
    assert (found.survived, found.is_clean) == ((), True)


SURVIVORS = {
    "canary": f"{WORDS}\n{CANARY}",
    "canary wrapped": f"{WORDS}\n{CANARY[:9]}\n{CANARY[9:]}",
    "canary with soft hyphens": "\u00ad".join(f"好{CANARY}的"),
    "canary in capitals": CANARY.upper(),
    "canary of another ticket": canary(RING, 9),
    "token": f"請回 {TOKEN}",
    "token of another ticket": mint(RING, ticket=9, agent="lin", purpose="answer", serial=1).upper(),
    "token wrapped": f"{TOKEN[:12]}\n> {TOKEN[12:]}",
    "token address": f"請寄到 {ADDRESS}",
    "card line": f"{WORDS}\n  未結案件  #1042 郵件、#998 電話\n",
    "card line within a sentence": "您的未結案件 #1042 郵件、#998 電話，都在處理",
    "card line rewrapped": "未結案件\n#1042 郵件、\n#998 電話",
    "short card line": f"{WORDS}\n等級 A\n{WORDS}",
    "short card line in full width": "等級　Ａ",
    "quoted card": f"{WORDS}\n> 統編 ****5678\n",
    "deadline line": FIRST.removesuffix(f" · {CANARY}") + "\n" + GOES,
    "header block": "From: somebody\nTo: someone\nhello",
    "quoted header block": "> 寄件者: 客服\n> 收件者: 陳\n好",
    "internal message id": "參考 assign.1042.1@FIRM.example",
    "private address": "請寄到 Chen@private.example",
    "private number": "打我手機 0912 345 678",
    "private number with its country": "+886 (0)912-345-678 or 886912345678",
    "a colleague's mail, not marked as quoted": f"{WORDS}\n\n寄件者: 主管\n收件者: 陳\n\n這客戶很難纏，多收一點。",
    "the same, by another client": "-----Original Message-----\n這客戶很難纏",
    "the same, by a third": f"{WORDS}\n\nOn 23 Nov 2026, 主管 wrote:\n這客戶很難纏",
    "somebody else's quote": "> 老闆說可以便宜一點\n好",
    "half a token, the other taken away with a heading": (
        f"您好\n{ADDRESS[:30]}\n{ADDRESS[30:]} 於 2026年11月23日寫道：\n> 請問這期營業稅要繳多少？\n好"
    ),
    "bare attribution and our first line": f"{WORDS}\n\n第 23 日 客服 寫了以下\n{FIRST}",
}


@pytest.mark.parametrize("case", SURVIVORS)
def test_g15_what_is_internal_is_held(case: str) -> None:
    found = inspect(reply(SURVIVORS[case]), FACTS)

    assert found.is_clean is False
    assert found.survived
    assert found.reasons


ALLOWED = {
    "an inline answer": "> 請問這期營業稅要繳多少？\n12,345 元。\n> 附件是 11 月的發票。\n收到了。",
    "a re-wrapped inline quote": ">> 請問這期營業稅\n>> 要繳多少？\n12,345 元。",
    "the number of the ticket": "您的案號是 #1042，請放心。",
    "his own sentence about what was written": "您上次在信中寫道：\n發票遺失了。現在找到了嗎？",
    "a subject line of advice": "主旨：請寫「申請延期」\n內容自由發揮。",
    "a table": "項目\t金額\n營業稅\t12,345",
    "short inline answers": "> 請問這期營業稅要繳多少？\n好\n> 附件是 11 月的發票。\n好",
    "a rule of dashes": "─────\n合計 5 元",
    "part of a short card line": "信用等級 A 的公司可以申請",
    "other digits": "發票號碼 AB-87654321，統編 12345670",
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_his_own_leaves_unchanged(case: str) -> None:
    found = inspect(reply(ALLOWED[case]), FACTS)

    assert (found.text, found.survived, found.is_clean) == (ALLOWED[case], (), True)


def test_an_inline_answer_leaves_without_the_heading_of_the_quote() -> None:
    text = f"客服 #1042 <{ADDRESS}> 於 2026年11月23日 下午3:30寫道：\n> 請問這期營業稅要繳多少？\n12,345 元。"

    found = inspect(reply(text), FACTS)

    assert found.text == "> 請問這期營業稅要繳多少？\n12,345 元。"
    assert found.is_clean is True


def test_of_a_marked_quote_of_ours_only_the_customers_words_stay() -> None:
    marked = OUR_MAIL.index(CUSTOMER[1]) + 1
    text = f"{quoted(OUR_MAIL[:marked])}\n12,345 元。\n{quoted(OUR_MAIL[marked:])}\n\n謝謝您。\n"

    found = inspect(reply(text), FACTS)

    assert found.text == "> 您好，\n> 請問這期營業稅要繳多少？\n12,345 元。\n> 附件是 11 月的發票。\n\n謝謝您。"
    assert found.is_clean is True


DOUBTFUL = {
    "the second half of a line of ours, unmarked": f"> {FIRST}\n> 這客戶上次沒付款，先請示主管\n再回覆他。\n\n{WORDS}",
    "a line that follows the last marked one at once": f"{WORDS}\n{quoted(OUR_MAIL)}\n第一行寫備註則只留內部",
    "a line of ours below all that is marked": f"{WORDS}\n{quoted(OUR_MAIL)}\n\n{GOES}\n謝謝",
    "what he was shown, below all that is marked": f"{WORDS}\n{quoted(OUR_MAIL)}\n\n申報書與繳款書已一併寄給您。\n謝謝",
}


@pytest.mark.parametrize("text", DOUBTFUL.values(), ids=DOUBTFUL)
def test_g15_what_may_be_ours_between_marked_lines_is_asked_about(text: str) -> None:
    found = inspect(reply(text), replace(FACTS, shown_lines=("申報書與繳款書已一併寄給您。",)))

    assert found.is_clean is False


def test_words_written_below_our_mark_are_not_lost_silently() -> None:
    text = f"{WORDS}\n\n> {MARK}\n> {CARD[1]}\n這個統編要改\n> {LAST}"

    found = inspect(reply(text), FACTS)

    assert (found.text, found.survived, found.is_clean) == (WORDS, ("words_below",), False)


def test_a_signature_below_the_quote_is_no_answer() -> None:
    text = f"{WORDS}\n\n> {MARK}\n> {CARD[1]}\n> {LAST}\n\n-- \n陳小姐\n0912345678"

    found = inspect(reply(text), FACTS)

    assert (found.text, found.is_clean) == (WORDS, True)


@pytest.mark.parametrize(
    "signature",
    [
        "-- \n陳小姐\nchen@private.example\n手機：(0912) 345-678",
        "--\n\n陳小姐\n\n誠信財稅",
        "陳小姐\n\n誠信財稅　02-2345-6789",  # as it is configured
        "-- \n陳小姐\n誠信財稅 02-2345-6789",
    ],
)
def test_his_own_signature_stays_behind(signature: str) -> None:
    found = inspect(reply(f"{WORDS}\n{signature}"), replace(FACTS, signature=("陳小姐", "誠信財稅 02-2345-6789")))

    assert (found.text, found.is_clean) == (WORDS, True)
    assert "signature_cut" in [reason.code for reason in found.reasons]


@pytest.mark.parametrize(
    "below",
    [
        "--\n" + "\n".join(f"第 {n} 點說明" for n in range(13)),  # a rule of his own, and words below
        "--\n" + "說明" * 401,
        "陳小姐",  # the last of two configured lines
        "誠信財稅 02-2345-6789",
        "陳小姐 誠信財稅 02-2345-6789 謝謝",
    ],
)
def test_what_may_be_words_is_no_signature(below: str) -> None:
    found = inspect(reply(f"{WORDS}\n{below}"), replace(FACTS, signature=("陳小姐", "誠信財稅 02-2345-6789")))

    assert (found.text, found.is_clean) == (f"{WORDS}\n{below}", True)


def test_his_private_address_below_a_rule_of_his_is_taken_out() -> None:
    lines = [f"第 {n} 點說明" for n in range(13)]

    found = inspect(reply("\n".join([WORDS, "--", "chen@private.example", *lines])), FACTS)

    assert (found.text, found.is_clean) == ("\n".join([WORDS, "--", *lines]), True)


@pytest.mark.parametrize("text", ["", " \n\t\n", f"{MARK}\n{CARD[0]}", quoted(("",)), "-- \nchen@private.example"])
def test_an_empty_reply_is_held(text: str) -> None:
    found = inspect(reply(text), replace(FACTS, internal_lines=(*INTERNAL, "")))

    assert found.is_clean is False
    assert found.survived == ()
    assert "empty_reply" in [reason.code for reason in found.reasons]


def file(name: str, media_type: str, sha256: str = "bb") -> Attachment:
    return Attachment(path="2", name=name, media_type=media_type, size=9, sha256=sha256)


@pytest.mark.parametrize(
    ("one", "kept", "clean"),
    [
        (file("稅單.pdf", "application/pdf"), True, True),
        (file("客戶寄來的.png", "image/png", "aa"), False, True),
        (file("chen.vcf", "text/vcard"), False, True),
        (file("smime.p7s", "application/pkcs7-signature"), False, True),
        (file("mail", "message/rfc822"), False, False),
        (file("winmail.dat", "application/ms-tnef"), False, False),
        (file("FW.EML", "application/octet-stream"), False, False),
        (file("a.msg", "application/octet-stream"), False, False),
    ],
)
def test_g15_files_that_may_hold_internal_mail_hold_the_reply(one: Attachment, kept: bool, clean: bool) -> None:
    found = inspect(reply(WORDS, one), FACTS)

    assert (one in found.attachments, found.is_clean) == (kept, clean)


def test_a_file_alone_is_an_answer() -> None:
    found = inspect(reply("", file("稅單.pdf", "application/pdf")), FACTS)

    assert (found.text, len(found.attachments), found.is_clean) == ("", 1, True)


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_g15_whatever_ends_a_line_ends_it_for_the_guard(end: str) -> None:
    found = inspect(reply(f"您好{end}統編5678{end}0"), FACTS)

    assert not found.is_clean


# --- for any text ---

_PIECES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [*OUR_MAIL, *CUSTOMER, CANARY, TOKEN, ADDRESS, MARK, "-- ", "> ", ">", "\n", "wrote:", "From: a@b", "\u200b"]
    ),
    st.sampled_from([f"> {line}" for line in OUR_MAIL]),
    st.sampled_from([f"客服 #1042 <{ADDRESS}> 於 2026年11月23日寫道：", "-----Original Message-----", "於 1/1 寫道："]),
)


def _bare(text: str) -> str:
    """Letters and digits alone: written apart from the guard's own folding, to judge it."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).lower() if c.isalnum())


@settings(max_examples=400, deadline=None)
@given(st.lists(_PIECES, max_size=12), st.sampled_from(["\n", "", "\r\n", "\n> "]))
def test_g15_for_any_text_nothing_internal_leaves(pieces: list[str], between: str) -> None:
    found = inspect(reply(between.join(pieces)), FACTS)

    if found.is_clean:
        bare = _bare(found.text)
        assert _bare(CANARY) not in bare
        assert TOKEN not in bare
        lines = {_bare(line) for line in found.text.splitlines()}
        assert not [line for line in INTERNAL if _bare(line) in lines or (len(_bare(line)) > 9 and _bare(line) in bare)]
        assert not re.search("ikt[a-z2-7]{28}", bare)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.integers(min_value=0, max_value=len(OUR_MAIL)))
def test_g15_any_words_between_the_lines_of_our_mail(words: str, at: int) -> None:
    text = "\n".join((*OUR_MAIL[:at], words, *OUR_MAIL[at:]))

    found = inspect(reply(text), FACTS)

    leaves = found.text if found.is_clean else ""
    assert CANARY not in leaves.lower()
    assert not {line.strip() for line in INTERNAL} & {line.strip() for line in leaves.splitlines()}


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "Zs", "Po"]), min_size=1, max_size=300))
def test_any_plain_words_leave_exactly(words: str) -> None:
    found = inspect(reply(f"甲{words}乙\n\n{MARK}\n{CARD[1]}"), GuardFacts(internal_lines=INTERNAL))

    assert (found.text, found.is_clean) == (f"甲{words}乙", True)


@pytest.mark.parametrize(
    "piece",
    [
        "\n",
        ">",
        "> \n",
        "\n> a",
        " wrote:\n",
        "On 1/1 ",
        "於",
        "-",
        "--\n",
        "From: a\n",
        "─",
        "ikc-",
        "ikta",
        "0 ",
        "\u200b",
        "a\u0301\u0327",
        "寄件者: 客服\n主旨:",
    ],
)
def test_g9_a_hostile_reply_costs_little(piece: str) -> None:
    text = (piece * MAX_TEXT)[:MAX_TEXT]

    started = time.process_time()
    inspect(reply(text), FACTS)

    assert time.process_time() - started < 2.0


def test_g9_a_reply_beyond_the_limit_is_held() -> None:
    found = inspect(reply("好" * (MAX_TEXT + 1)), FACTS)

    assert (found.survived, found.is_clean) == (("too_long",), False)
