"""G15 for any text: whatever stands between card and quote, before, after or among them, nothing of ours leaves.

What is judged is judged apart from the guard: letters and digits of the finished words, by a folding of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from channels import quotes
from channels.message import Address, Medium, Message, Scheme
from routing import commands, guard, own_lines, quote_headings
from routing.guard import MARK, GuardFacts, inspect
from routing.tokens import Key, Keyring, canary, mint

RING = Keyring(Key(7, b"a secret of sixteen or more"))
CANARY = canary(RING, 1042)
TOKEN = mint(RING, ticket=1042, agent="chen", purpose="answer", serial=1)
ADDRESS = f"support+{TOKEN}@firm.example"
CUSTOMER = ("您好，", "請問這期營業稅要繳多少？", "附件是 11 月的發票。", "王美玲")
HEAD = ("15:30 前回覆 · 營業稅申報 · 王美玲", "", f"回覆將寄給 王美玲 <wang@customer.example> · {CANARY}")
CARD = ("統一編號  2468••••", "未結案件  #1031 發票申購（等客戶）", "上次聯絡  11月20日（週五）10:12 · 電話")
NOTE = "這客戶上次沒付款，先請示主管再回覆他。"
LAST = "直接回覆本信即可，內容會寄給客戶；第一行寫「！備註」則只留內部，不會寄出。"
OURS = (
    *HEAD,
    "",
    *CUSTOMER,
    "",
    MARK,
    "",
    f"【同事的備註】 {CANARY}",
    f"  {NOTE}",
    "",
    f"【客戶資料】 {CANARY}",
    *CARD,
    "",
    LAST,
)
FACTS = GuardFacts(
    internal_lines=(*CARD, NOTE),
    shown_lines=(LAST, *HEAD),
    customer_words=CUSTOMER,
    key_ids=frozenset({7}),
    tokens=frozenset({TOKEN}),
    canaries=frozenset({CANARY}),
    token_addresses=frozenset({ADDRESS}),
    internal_message_ids=frozenset({"assign.1042.1@firm.example"}),
    private_addresses=frozenset({"chen@private.example"}),
    private_numbers=frozenset({"+886937865201"}),
    desk_address="support@firm.example",
)

HEADINGS = (
    f"客服 #1042 <{ADDRESS}> 於 2026年11月23日 週一 下午3:30寫道：",
    f"On Mon, Nov 23, 2026 at 3:30 客服 #1042\n<{ADDRESS}>\nwrote:",
    f"寄件者: 客服 #1042 <{ADDRESS}>\n寄件日期: 2026年11月23日\n收件者: 陳\n主旨: x",
    f"-----Original Message-----\nFrom: 客服 <{ADDRESS}>\nSent: Monday\nTo: Chen\nSubject: x",
    "------------------ 原始邮件 ------------------",
)
UNSEEN = ("\u00ad", "\u200b", "\u2060", "\u200d", "\ufeff", "\u00a0")


def marked(lines: tuple[str, ...] | list[str], mark: str = "> ") -> str:
    return "\n".join(mark + line for line in lines)


def folded(text: str, at: int, mark: str = "") -> str:
    return "\n".join(
        line[i : i + at] if not i else mark + line[i : i + at]
        for line in text.split("\n")
        for i in range(0, max(1, len(line)), at)
    )


#: What programs do to what they quote.
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "marked": lambda text: marked(text.split("\n")),
    "marked twice": lambda text: marked(text.split("\n"), ">> "),
    "marked in full width": lambda text: marked(text.split("\n"), "＞"),
    "with a bar": lambda text: marked(text.split("\n"), "| "),
    "folded": partial(folded, at=30),
    "folded, then marked": lambda text: marked(folded(text, 33).split("\n")),
    "marked, then folded": lambda text: folded(marked(text.split("\n")), 31),
    "marked, folded, marked": lambda text: folded(marked(text.split("\n")), 29, "> "),
    "soft hyphens": "\u00ad".join,
    "zero width": "\u200b".join,
    "no blank lines": lambda text: re.sub(r"\n+", "\n", text),
    "no rule": lambda text: text.replace("─", ""),
    "a rule of hyphens": lambda text: text.replace("─", "-"),
    "upper case": str.upper,
    "indented": lambda text: marked(text.split("\n"), "    "),
    "blanks taken out": lambda text: text.replace(" ", ""),
    "starred": lambda text: re.sub(r"([^\n]+)", r"*\1*", text),
}

_OWN = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="> \n-─_*|：:您好謝xX0@<>.＞　\u200b\u00ad", max_size=40),
    st.sampled_from(
        ["您好，已更正。", "好", "謝謝\n陳", "-- \n陳怡君", "王小姐：\n\n可以。", "見下方", "From: a@b", *CUSTOMER]
    ),
)
_PIECE = st.one_of(
    _OWN,
    st.builds(
        lambda way, start, end: WAYS[way]("\n".join(OURS[min(start, end) : max(start, end)])),
        st.sampled_from(sorted(WAYS)),
        st.integers(0, len(OURS)),
        st.integers(0, len(OURS)),
    ),
    st.builds(lambda way: WAYS[way]("\n".join(OURS)), st.sampled_from(sorted(WAYS))),
    st.sampled_from([*HEADINGS, *map(marked, (HEADINGS[:1], HEADINGS[2:3]))]),
    st.sampled_from([CANARY, TOKEN, ADDRESS, MARK, f"> {MARK}", *CARD, NOTE, *(f"> {line}" for line in OURS)]),
    st.sampled_from(UNSEEN),
)
MAILS = st.builds(
    lambda pieces, between: between.join(pieces),
    st.lists(_PIECE, min_size=1, max_size=7),
    st.sampled_from(["\n", "\n\n", "", "\r\n", "\n> "]),
)


def bare(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).lower() if c.isalnum())


INTERNAL = tuple(map(bare, (*CARD, NOTE)))


def leak(text: str) -> str:
    """What of ours the text shows; "" if nothing. Half a mark says whose it is."""
    seen = bare(text)
    for secret in (CANARY, TOKEN):
        body = bare(secret)[4:]
        if any(body[i : i + 10] in seen for i in range(len(body) - 9)):
            return secret
    return next((line for line in INTERNAL if line in seen), "") or next(iter(re.findall("ikt[a-z2-7]{29}", seen)), "")


def leaves(text: str) -> str:
    """What leaves of a reply whose whole text this is, by the parser's way or without it; "" if it is held."""
    sender = Address(scheme=Scheme.MAIL, value="chen@private.example")
    for words in (text, quotes.split(text.replace("\r\n", "\n"), "chen@private.example").new):
        found = inspect(Message(medium=Medium.EMAIL, sender=sender, text=commands.parse(words).rest), FACTS)
        if found.is_clean and leak(found.text):
            return found.text
    return ""


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MAILS)
@example(f"您好\n{ADDRESS[:30]}\n{ADDRESS[30:]} 於 2026年11月23日寫道：\n> 請問這期營業稅要繳多少？\n好")
def test_g15_for_any_text_round_the_card_nothing_of_ours_leaves(text: str) -> None:
    assert leaves(text) == ""


@settings(max_examples=300, deadline=None)
@given(_OWN, _OWN, _OWN, st.sampled_from(sorted(WAYS)), st.sampled_from(HEADINGS), st.integers(0, len(OURS)))
def test_g15_for_any_words_above_below_and_between(
    above: str, between: str, below: str, way: str, heading: str, at: int
) -> None:
    upper, lower = (WAYS[way]("\n".join(lines)) for lines in (OURS[:at], OURS[at:]))

    assert leaves(f"{above}\n\n{heading}\n\n{upper}\n{between}\n{lower}\n\n{below}") == ""
    assert leaves(f"{upper}\n{between}\n{lower}\n{below}") == ""


BROKEN: dict[str, dict[str, Any]] = {
    "it takes a mark for words": {"find_canaries": lambda text: (), "_halves": lambda *_: []},
    "it looks for lines as they stand": {"_shows": lambda line, letters, lines: False},
    "it does not know our rule, nor our marks": {
        "is_mark": lambda line: False,
        "find_canaries": lambda text: (),
        "_halves": lambda *_: [],
    },
    "it looks for tokens without unfolding": {
        "find_wrapped_tokens": lambda text, ids: (),
        "_halves": lambda *_: [],
        "squeeze": lambda text: text.lower(),
    },
    "it sees no halves": {"_halves": lambda *_: [], "_with_address": lambda lines, start, end: start},
    "it searches nothing": {"_survivors": lambda *_: []},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_guard_that_is_broken_is_found_out(broken: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, instead in broken.items():
        for module in (guard, own_lines, quote_headings):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, instead)
    split = f"您好\n{ADDRESS[:30]}\n{ADDRESS[30:]} 於 2026年11月23日寫道：\n> 請問這期營業稅要繳多少？\n好"
    folded_token = f"您好 {TOKEN[:14]}\n{TOKEN[14:]} 好"

    if any(map(leaves, (split, folded_token))):
        return
    try:
        find(MAILS, lambda text: leaves(text) != "", settings=settings(max_examples=1500, deadline=None, database=None))
    except NoSuchExample:
        pytest.fail("the property holds for a guard that does not guard")
