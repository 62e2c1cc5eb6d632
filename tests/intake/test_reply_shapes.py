"""G15: an agent's reply from any mail program: nothing internal leaves, and the words arrive whole.

The shapes are made after documented markup (`support/replyshapes.py`): none of them was written by the program itself.
What they answer is a mail of ours, as it is composed, with the card, the history and a suggestion in it.
"""

from __future__ import annotations

import email
import re
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from functools import cache

import pytest
from support.letters import ACTIONS, CARD, EXCHANGES, SUGGESTION, WORDS, agent_facts
from support.replyshapes import AGENT, PICTURE, SHAPES, TABLE, Letter, Shape, Where, written

from channels import quotes
from channels.htmltext import to_text
from channels.message import Message
from channels.mime import parse, parts_bytes
from intake import texts_loader
from intake.compose import agent_mail
from intake.compose_reply import Carried, carry
from intake.mailbytes import File
from routing import commands
from routing.guard import GuardFacts, Inspection, inspect, is_only_signature
from routing.habits import Tail
from routing.masking import masks_of
from routing.tokens import Key, Keyring, canary, mint

TEXTS = texts_loader.load()
RING = Keyring(Key(7, b"a secret of sixteen or more"))
CANARY = canary(RING, 1042)
TOKEN = mint(RING, ticket=1042, agent="chen", purpose="answer", serial=1)
DESK, HOTLINE = "support@firm.example", "+886 2 2345 0000"
LANGUAGES = ("zh-Hant", "zh-Hans", "en")
ASKED = "請問 11/15 申報的那份還能更正嗎？需要我補什麼資料？"  # a line of the customer's

WRITTEN = {
    "zh-Hant": ("王小姐您好：", "", "可以更正，請補這兩份資料：", "一、發票影本", "二、原申報書", "", "謝謝您。"),
    "zh-Hans": ("王小姐您好：", "", "可以更正，请补这两份资料：", "一、发票复印件", "二、原申报表", "", "谢谢。"),
    "en": (
        "Dear Ms Wang,",
        "",
        "Yes, it can be corrected. Please send us:",
        "the invoice",
        "the return",
        "",
        "Thank you.",
    ),
}
SIGNATURE = (
    "陳怡君 Yi-Chun Chen",
    "誠信財稅顧問股份有限公司 稅務部 副理",
    "手機 0937-865-201 / +886 937 865 201",
    "電話 02-2345-0000 分機 203",
    "E-mail: chen@firm.example",
    "台北市信義路五段 7 號 10 樓",
    "www.firm.example",
    "本郵件可能含有機密資料，若您並非指定之收件人，請勿使用並請即刪除。",
    "This e-mail may be confidential. If you are not the intended recipient, please delete it.",
)


def letter(language: str, **changes: object) -> Letter:
    return Letter(words=WRITTEN[language], signature=SIGNATURE, **changes)  # type: ignore[arg-type]


@cache
def ours(language: str) -> EmailMessage:
    facts = agent_facts(language=language, canary=CANARY, reply_to=f"support+{TOKEN}@firm.example")
    message = email.message_from_bytes(agent_mail(facts, TEXTS), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def guard_facts(tails: tuple[Tail, ...] = ()) -> GuardFacts:
    """As `routing.answering` puts them together."""
    fixed = ("agent.card", "agent.history", "agent.actions", "agent.note", "agent.last.reply", "agent.last.no_address")
    return GuardFacts(
        internal_lines=tuple(f"{label}{colon}{value}" for label, value in CARD for colon in ("：", ": ")),
        shown_lines=(*(TEXTS.say(key, one) for key in fixed for one in LANGUAGES), *(e.text for e in EXCHANGES)),
        customer_words=tuple(line for line in WORDS.split("\n") if line),
        key_ids=frozenset({7}),
        tokens=frozenset({TOKEN}),
        internal_message_ids=frozenset({"<t.1042.a.1@firm.example>"}),
        private_addresses=frozenset({AGENT[1]}),
        private_numbers=frozenset({"+886937865201"}),
        desk_address=DESK,
        hotline=HOTLINE,
        names=(AGENT[0],),
        tails=tails,
        tail_key=b"k",
    )


def read(raw: bytes, facts: GuardFacts) -> tuple[Message, Inspection]:
    message = parse(raw)
    words = commands.parse(message.text).rest
    return message, inspect(replace(message, text=words), facts)


def carried(raw: bytes, message: Message, found: Inspection) -> Carried | str:
    contents = parts_bytes(raw, [a.path for a in found.attachments])
    files = [
        File(name=a.name, media_type=a.media_type, content=contents[a.path], content_id=a.content_id, is_inline=True)
        for a in found.attachments
    ]
    masks = masks_of([AGENT[1]], ["+886937865201"], DESK, HOTLINE)
    return carry(message.html, found.text, links=found.links, files=files, seed="<a@b>", masks=masks)


def bare(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def internals() -> list[str]:
    """What must never be read outside, apart from all that the guard knows: letters alone."""
    said = [CANARY, TOKEN, "chen@firm.example", "0937865201", "937865201", SUGGESTION.split("\n")[1]]
    said += [f"{label}{value}" for label, value in CARD if len(value) > 3]
    said += [EXCHANGES[1].text, *(a.typed + a.does for a in ACTIONS), "您負責營業稅", "僅供內部", "mei@example.com"]
    return [bare(one) for one in said]


def assert_nothing_internal(text: str) -> None:
    seen = bare(text)
    assert [one for one in internals() if one in seen] == []
    assert not re.search(r"ik[ct][-a-z2-7]{10}", text)


def whole(language: str) -> str:
    return bare("".join(WRITTEN[language]))


def outside(raw: bytes, facts: GuardFacts) -> tuple[Inspection, str]:
    """What the customer reads, by either way; "" if nothing leaves."""
    message, found = read(raw, facts)
    if not found.is_clean:
        return found, ""
    html = carried(raw, message, found)
    if isinstance(html, Carried):
        assert_nothing_internal(to_text(html.html) + html.plain)
        assert "firm.example" not in html.html.replace(DESK, "").replace("www.firm.example", "")
    assert_nothing_internal(found.text)
    return found, found.text


CASES = [(name, language) for name in SHAPES for language in LANGUAGES]
TAILED = {name for name, shape in SHAPES.items() if not shape.finds_signature}


def known_tails(shape: Shape, language: str) -> tuple[Tail, ...]:
    """How two earlier replies of the same program ended."""
    found = []
    for words in ("已收到您的文件。", "申報已完成，繳款書如附件。"):
        earlier = replace(letter(language), words=("您好：", words))
        found.append(read(written(shape, ours(language), language, Where.ABOVE, earlier), guard_facts())[1].tail)
    return tuple(found)


@pytest.mark.parametrize(("name", "language"), CASES)
def test_g15_above_the_card_the_words_arrive_whole_with_table_and_picture(name: str, language: str) -> None:
    shape = SHAPES[name]
    facts = guard_facts(known_tails(shape, language) if name in TAILED else ())
    raw = written(shape, ours(language), language, Where.ABOVE, letter(language, has_table=True))

    message, found = read(raw, facts)
    html = carried(raw, message, found)

    assert (found.survived, found.is_clean) == ((), True)
    table = bare("".join(cell for row in TABLE for cell in row))
    assert bare(found.text.replace(f"[cid:{PICTURE}]", "")) == whole(language) + table
    assert isinstance(html, Carried), html
    assert bare(to_text(html.html)) == whole(language) + table
    assert html.html.count("<td") == 6
    assert len(html.pictures) == 1
    assert_nothing_internal(html.html + html.plain + found.text)


@pytest.mark.parametrize("where", [Where.BELOW, Where.BETWEEN])
@pytest.mark.parametrize(("name", "language"), CASES)
def test_g15_below_and_between_the_words_arrive_whole_or_he_is_asked(name: str, language: str, where: Where) -> None:
    shape = SHAPES[name]
    facts = guard_facts(known_tails(shape, language) if name in TAILED else ())
    raw = written(shape, ours(language), language, where, letter(language), ASKED)

    found, text = outside(raw, facts)

    if shape.marks:
        assert (found.survived, found.is_clean) == ((), True)
        own = "\n".join(line for line in text.split("\n") if not line.startswith(">"))
        assert bare(own) == whole(language)
        quoted = [line.lstrip("> ") for line in text.split("\n") if line.startswith(">")]
        assert all(bare(line) in bare(WORDS) for line in quoted)
    else:
        assert not found.is_clean


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_bare_command_above_a_signature_says_nothing_to_the_customer(shape: Shape) -> None:
    facts = guard_facts(known_tails(shape, "zh-Hant") if not shape.finds_signature else ())
    only = Letter(words=(), signature=SIGNATURE, first="！結案")
    message = parse(written(shape, ours("zh-Hant"), "zh-Hant", Where.ABOVE, only))
    asked = commands.parse(message.text)

    assert [c.name for c in asked.commands] == [commands.CommandName.CLOSE]
    assert is_only_signature(asked.rest, message, facts)


# ---- what programs and servers on the way do to it

SPOILT = {
    "folded at 40 without marks": lambda text: "\n".join(
        line[i : i + 40] for line in text.split("\n") for i in range(0, max(1, len(line)), 40)
    ),
    "folded at 40, second halves marked": lambda text: "\n".join(
        ("> " if line.startswith(">") and i else "") + line[i : i + 40]
        for line in text.split("\n")
        for i in range(0, max(1, len(line)), 40)
    ),
    "every line marked once more": lambda text: "\n".join(f"> {line}" for line in text.split("\n")),
    "the marks taken off": lambda text: re.sub(r"^> ?", "", text, flags=re.M),
    "our rule drawn with hyphens": lambda text: text.replace("─", "-"),
    "our rule without its rule": lambda text: text.replace("─", ""),
    "our rule translated": lambda text: text.replace("以下僅供內部 · internal", "For internal use only below"),
    "our rule on two lines": lambda text: text.replace("以下僅供", "以下僅供\n"),
    "no blank lines": lambda text: re.sub(r"\n[> ]*(?=\n)", "", text),
    "headings translated": lambda text: re.sub(r"(?m)^(?:寄件者|From|发件人): ", "Absender: ", text).replace(
        "寫道", "說"
    ),
    "soft hyphens": lambda text: "\u00ad".join(text),
    "in full width": lambda text: text.translate({n: n + 0xFEE0 for n in range(0x30, 0x7B) if chr(n).isalnum()}),
    "only our own mail's middle": lambda text: "\n".join(text.split("\n")[12:-30]),
    "only its end": lambda text: "\n".join(text.split("\n")[-40:]),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("where", Where)
@pytest.mark.parametrize("name", ["gmail", "outlook", "outlook web", "apple mac", "thunderbird", "qq", "163"])
def test_g15_whatever_is_done_to_it_on_the_way_nothing_internal_leaves(name: str, where: Where, spoil: object) -> None:
    assert callable(spoil)
    raw = written(SHAPES[name], ours("zh-Hant"), "zh-Hant", where, letter("zh-Hant"), ASKED)
    text = spoil(parse(raw).text_full)

    for words in (text, quotes.split(text, AGENT[1]).new):
        found = inspect(replace(parse(raw), text=commands.parse(words).rest), guard_facts())
        if found.is_clean:
            assert_nothing_internal(found.text)
