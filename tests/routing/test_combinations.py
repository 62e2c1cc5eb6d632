"""Commands together: whatever stands beside words, they reach the customer only where every command lets them."""

from __future__ import annotations

import asyncio
import copy
import tempfile
from functools import cache
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.deskrun import KEYRING, RunningDesk, mail
from support.storefacts import NOW

from channels import mime
from channels.message import Medium
from intake.gather import gather, people
from routing.chain import decide
from routing.commands import NAMES, CommandName, parse
from routing.deed import Below
from routing.deeds import DEEDS
from routing.desk import Desk, Incoming
from routing.words import Outcome, Purpose
from store.engine import Database
from store.upgrade import upgrade

WORDS = "您好，可以更正。"
#: A good argument for those that need one: what would be refused proves nothing.
ARGUMENT = {
    CommandName.TO: "lin",
    CommandName.CC: "lee@example.org",
    CommandName.REPLY_TO: "no",
    CommandName.WAIT: "3d",
    CommandName.TOPIC: "vat",
    CommandName.KIND: "business",
    CommandName.GOT: "存摺",
    CommandName.RECORD: "call",
    CommandName.FIND: "王",
    CommandName.SHOW: "1001",
    CommandName.AWAY: "lin today",
    CommandName.HOLIDAY: "tomorrow TW",
}
#: Beside these, words go to nobody outside. Written out: a slip in the table must not change what is asked for here.
NOT_TO_CUSTOMERS = {
    *(CommandName.NOTE, CommandName.TO, CommandName.CONSULT, CommandName.RECORD, CommandName.UNDO),
    *(CommandName.MERGE, CommandName.SPLIT, CommandName.JOIN, CommandName.SPAM, CommandName.OK, CommandName.NO),
    *(CommandName.MINE, CommandName.HELD, CommandName.FIND, CommandName.SHOW),
    *(CommandName.ON, CommandName.OFF, CommandName.BREAK),
    *(CommandName.AWAY, CommandName.REPORT, CommandName.HOLIDAY, CommandName.TEXT, CommandName.HELP),
}


@cache
def at_the_desk() -> tuple[Desk, str, str, str]:
    """A desk with one ticket of chen's or lin's: (the desk, whose, his token, what he answers)."""

    async def made() -> tuple[Desk, str, str, str]:
        with tempfile.TemporaryDirectory() as folder:
            db = Database(f"sqlite:///{folder}/intake.db")
            await upgrade(db)
            running = RunningDesk(db)
            await running.takes(mail(Message_ID="<a@example.com>"))
            [item] = await running.outbox("assignment")
            one = _incoming(await running.reply_to(item, "！撤回"))
            async with db.reading() as tx:
                desk = await gather(tx, [one], running.policy, KEYRING, NOW)
                await people(tx, desk)
            await db.close()
            return desk, str(item.agent), str(item.recipe["token"]), item.mail_id

    return asyncio.run(made())


def _incoming(raw: bytes) -> Incoming:
    return Incoming(id=9, channel="mail", medium=Medium.EMAIL, received_at=NOW, message=mime.parse(raw))


def what_leaves(text: str) -> tuple[list[str], list[str], Outcome]:
    """(words that would leave, words that are held, the outcome) of a mail of the holder."""
    desk, whose, token, answered = at_the_desk()
    desk = copy.deepcopy(desk)
    raw = mail(
        text, From=f"{whose}@firm.example", To=f"support+{token}@firm.example", In_Reply_To=answered, Message_ID="<r@x>"
    )
    decision = decide(_incoming(raw), desk)
    rows = [row for row in desk.changes.outbox if row.purpose is Purpose.ANSWER and not row.recipe.get("copy")]
    leaving = [str(row.recipe["words"]) for row in rows if row.held_reason is None]
    return leaving, [str(row.recipe["words"]) for row in rows if row.held_reason], decision.outcome


def line(name: CommandName, word: str = "", mark: str = "!") -> str:
    return f"{mark}{word or NAMES[name][0]} {ARGUMENT.get(name, '')}".strip()


def test_the_table_says_the_same() -> None:
    assert {n for n, deed in DEEDS.items() if deed.below is not Below.OUT} | {CommandName.OK, CommandName.NO} == (
        NOT_TO_CUSTOMERS
    )


@pytest.mark.parametrize("first", CommandName)
def test_no_pair_of_commands_sends_words_that_one_of_them_keeps(first: CommandName) -> None:
    for second in CommandName:
        leaving, held, _ = what_leaves(f"{line(first)}\n{line(second)}\n\n{WORDS}")

        if {first, second} & NOT_TO_CUSTOMERS:
            assert (leaving, held) == ([], []), (first, second)
        else:
            assert leaving in ([], [WORDS]), (first, second)


def test_single_commands_do_what_the_table_says_of_words() -> None:
    leave = {name for name in CommandName if what_leaves(f"{line(name)}\n\n{WORDS}")[0] == [WORDS]}

    assert leave >= {CommandName.CLOSE, CommandName.SEND, CommandName.CC, CommandName.WAIT, CommandName.URGENT}
    assert not leave & NOT_TO_CUSTOMERS


def test_no_command_alone_sends_anything() -> None:
    for name in CommandName:
        assert what_leaves(line(name))[:2] == ([], []), name


spelled = st.sampled_from([(name, word) for name in CommandName for word in NAMES[name]])
marks = st.sampled_from(["!", "！", "! ", "！ ", " ！", "\u200b!", "\ufeff！"])


def widened(word: str) -> str:
    """As Chinese keyboards write Latin letters: full width."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(spelled, marks, st.sampled_from([str, str.upper, widened])), min_size=1, max_size=4))
def test_any_spelling_of_any_commands_in_any_order(
    given_lines: list[tuple[tuple[CommandName, str], str, type[str]]],
) -> None:
    lines = [line(name, shape(word), mark) for (name, word), mark, shape in given_lines]
    leaving, held, _ = what_leaves("\n".join(lines) + f"\n\n{WORDS}")

    names = {name for (name, _), _, _ in given_lines}
    assert [c.name for c in parse("\n".join(lines)).commands] == [name for (name, _), _, _ in given_lines]
    assert leaving in ([], [WORDS])
    if names & NOT_TO_CUSTOMERS:
        assert (leaving, held) == ([], [])


@st.composite
def typos(draw: st.DrawFn) -> str:
    """A command's word with one slip of the fingers."""
    word = draw(st.sampled_from([w for words in NAMES.values() for w in words if len(w) > 1]))
    at = draw(st.integers(0, len(word) - 1))
    slip = draw(st.sampled_from(["leave out", "twice", "other", "swap"]))
    if slip == "leave out":
        return word[:at] + word[at + 1 :]
    if slip == "twice":
        return word[: at + 1] + word[at:]
    if slip == "swap" and at:
        return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
    return word[:at] + draw(st.sampled_from("qxz了的嗎")) + word[at + 1 :]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(typos(), st.lists(spelled, max_size=2), st.booleans())
def test_a_mistyped_command_sends_nothing_and_does_nothing(
    word: str, others: list[tuple[CommandName, str]], comes_first: bool
) -> None:
    good = [line(name, spelling) for name, spelling in others]
    lines = [f"！{word}", *good] if comes_first else [*good, f"！{word}"]
    if not parse("\n".join(lines)).unknown:
        return  # the slip made another command, or an argument of one: the tests above hold
    leaving, held, outcome = what_leaves("\n".join(lines) + f"\n\n{WORDS}")

    assert (leaving, held, outcome) == ([], [], Outcome.HELD)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=40))
def test_no_line_behind_a_mark_ever_reaches_the_customer(rest: str) -> None:
    first = " ".join(rest.split())
    leaving, held, _ = what_leaves(f"！{first}\n\n{WORDS}")

    assert all("！" not in words and "!" not in words for words in (*leaving, *held))
    assert leaving in ([], [WORDS])


def test_of_three_commands_the_strictest_decides() -> None:
    out, kept = [CommandName.URGENT, CommandName.TOPIC], [CommandName.NOTE]
    for order in permutations([*out, *kept]):
        assert what_leaves("\n".join(map(line, order)) + f"\n\n{WORDS}")[0] == []
