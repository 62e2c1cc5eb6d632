"""What an agent may ask of the desk in a mail of his own, and who may not: octets in, what leaves, and the sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.attackdesk import AttackedDesk, Letter, reply
from support.deskrun import mail, texts
from support.handdesk import store

from routing.policy import Team
from routing.words import Evidence


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    """Ticket #1001 is somebody's of the team `desk`; `wu` works in another."""
    async with store(tmp_path) as db:
        desk = AttackedDesk(db)
        tw = replace(desk.policy.calendars["desk"], country="TW")
        placeholders = texts().placeholders("ack.email")
        wu = replace(desk.policy.agents["chen"], name="wu", display_name="Wu", addresses=("wu@firm.example",))
        desk.policy = replace(
            desk.policy,
            calendars={"desk": tw},
            rewordable={"ack.email": placeholders},
            agents={**desk.policy.agents, "wu": wu},
            teams={**desk.policy.teams, "tax": Team(name="tax", display_name="稅務", members=("wu",))},
        )
        await desk.opened()
        yield desk


async def says(desk: AttackedDesk, words: str, who: str, subject: str = "x", **headers: Any) -> list[Letter]:
    """What leaves when somebody mails something to the desk, in answer to nothing."""
    facts = {"From": f"{who}@firm.example", "Subject": subject, "Message_ID": f"<{abs(hash((words, who, subject)))}@f>"}
    await desk.takes(mail(words, **{**facts, **headers}))
    return await desk.leaves()


async def codes(desk: AttackedDesk) -> list[str]:
    """What agents were told: a list by its name, everything else by its code."""
    return [i.recipe.get("list") or i.recipe["code"] for i in await desk.outbox("told")]


#: (who, what he writes, what he gets): Chinese of both kinds and English, and marks and digits of full width.
ALLOWED = [
    ("chen", "!show 1001", "shown"),
    ("lin", "！看 1001", "shown"),
    ("boss", "！查看＃１００１", "shown"),
    ("boss", "!Show #1001", "shown"),
    ("chen", "!find 營業稅", "found"),
    ("chen", "！找王美玲", "found"),
    ("wu", "！搜索 王", "found"),
    ("chen", "!mine", "mine"),
    ("chen", "！我的", "mine"),
    ("chen", "！我的工单", "mine"),
    ("chen", "!held", "held"),
    ("chen", "！未寄", "held"),
    ("chen", "！待确认", "held"),
    ("chen", "!on", "mine"),
    ("chen", "！上线", "mine"),
    ("chen", "!off", "presence_off"),
    ("chen", "！下線", "presence_off"),
    ("chen", "！下班", "presence_off"),
    ("chen", "!break", "presence_break"),
    ("chen", "！休息 30分", "presence_break"),
    ("chen", "！午休30分钟", "presence_break"),
    ("chen", "!help", "help"),
    ("chen", "！帮助", "help"),
    ("boss", "!away chen today", "question"),
    ("boss", "！不在 Chen 今天", "question"),
    ("boss", "！请假 chen@firm.example 到 12/31", "question"),
    ("boss", "!holiday tomorrow TW", "question"),
    ("boss", "！放假 明天", "question"),
    ("boss", "！停班 明天 台湾", "question"),
    ("boss", "!report", "report"),
    ("boss", "!report week", "report"),
    ("boss", "！報表 本週", "report"),
    ("boss", "！报表 本周", "report"),
    ("boss", "!text ack.email en\n{greeting} {ref}，{deadline}。", "question"),
    ("boss", "！範本 ack.email 繁中\n{greeting} {ref}，{deadline}。", "question"),
]


@pytest.mark.parametrize(("who", "words", "gets"), ALLOWED)
async def test_who_may_gets_it(desk: AttackedDesk, who: str, words: str, gets: str) -> None:
    [letter] = await says(desk, words, who)

    assert await codes(desk) == [gets]
    assert letter.to == f"{who}@firm.example"


@pytest.mark.parametrize(("who", "words", "gets"), [row for row in ALLOWED if "\n" not in row[1]])
async def test_a_link_that_one_follows_asks_the_same_in_its_subject(
    desk: AttackedDesk, who: str, words: str, gets: str
) -> None:
    [letter] = await says(desk, "", who, subject=words)

    assert await codes(desk) == [gets]
    assert letter.to == f"{who}@firm.example"


#: (who, what he writes, the code of what he is told): a sentence for each, and nothing is done.
REFUSED = [
    ("wu", "!show 1001", "not_yours"),  # of another team: he is not told whether there is such a ticket
    ("wu", "！看 4711", "not_yours"),
    ("chen", "!show", "show_what"),
    ("chen", "！看 王美玲", "not_yours"),
    ("chen", "!find", "find_what"),
    ("chen", "!break until tomorrow", "wrong_break"),
    ("chen", "！休息 13:00", "wrong_break"),  # gone by
    ("chen", "!mine please", "unknown_command"),
    ("chen", "!shwo 1001", "unknown_command"),
    ("chen", "!away lin today", "supervisors_only"),
    ("chen", "！請假 lin 今天", "supervisors_only"),
    ("chen", "！放假 明天", "supervisors_only"),
    ("chen", "！报表", "supervisors_only"),
    ("chen", "!text ack.email en\nhello", "supervisors_only"),
    ("boss", "!away", "away_whom"),
    ("boss", "!away nobody today", "away_whom"),
    ("boss", "!away chen 2026-11-22", "away_whom"),
    ("boss", "!report someday", "report_when"),
    ("boss", "！放假", "bad_holiday"),
    ("boss", "!holiday tomorrow JP", "bad_holiday"),
    ("boss", "!text told.moved en\nhello", "no_such_text"),
    ("boss", "!ok", "no_question"),
    ("chen", "!close", "needs_ticket"),
    ("chen", "！轉給 lin", "needs_ticket"),
]


@pytest.mark.parametrize(("who", "words", "code"), REFUSED)
async def test_who_may_not_is_told_why_in_a_sentence(desk: AttackedDesk, who: str, words: str, code: str) -> None:
    [letter] = await says(desk, words, who)

    first = letter.plain.splitlines()[0].partition(" · ikc-")[0]
    assert await codes(desk) == [code]
    assert (letter.to, first) == (f"{who}@firm.example", texts().say(f"told.{code}.head", "zh-Hant"))
    assert "mei@example.com" not in letter.text
    assert not await desk.outbox("answer")


#: Everything that a forger would like to have done, or to have sent somewhere.
@pytest.mark.parametrize(("who", "words", "gets"), ALLOWED)
@pytest.mark.parametrize("is_subject", [False, True])
async def test_g8_nothing_is_done_for_whom_nothing_proves(
    desk: AttackedDesk, who: str, words: str, gets: str, is_subject: bool
) -> None:
    del gets
    command, _, below = words.partition("\n")
    letters = await says(desk, below if is_subject else words, who, command if is_subject else "x", vouched=False)

    assert await codes(desk) == ["no_evidence"]
    assert [letter.to for letter in letters] == [f"{who}@firm.example"]
    assert not {"presence_changed", "ticket_shown", "question_asked"} & set(await desk.told())
    assert "王美玲" not in "".join(letter.text for letter in letters).replace(words, "")


@pytest.mark.parametrize("words", ["!show 1001", "!mine", "！下線", "!find 王"])
async def test_g8_who_has_but_his_tokens_for_evidence_can_do_nothing_without_one(
    desk: AttackedDesk, words: str
) -> None:
    only = replace(desk.policy.agents["chen"], evidence=frozenset({Evidence.TOKEN_ONLY}))
    desk.policy = replace(desk.policy, agents={**desk.policy.agents, "chen": only})

    [letter] = await says(desk, words, "chen", vouched=False)

    assert "王美玲" not in letter.text.replace(words, "")
    assert len(await codes(desk)) == 1
    assert (await codes(desk))[0] in ("token_only", "no_evidence")


# ---- what touches others waits for his word, by a mail with a token


CONFIRMED = [
    ("！不在 chen 今天", "presence_changed", "away_done"),
    ("!holiday tomorrow TW", "holiday_said", "holiday_done"),
    ("!text ack.email en\nHello {greeting}: {ref}, {deadline}.", "text_replaced", "text_done"),
]


async def asked(desk: AttackedDesk, words: str) -> Any:
    await says(desk, words, "boss")
    return (await desk.outbox("told"))[-1]


@pytest.mark.parametrize(("words", "kind", "code"), CONFIRMED)
@pytest.mark.parametrize("yes", ["！好", "!ok", "！确认"])
async def test_g8_it_is_done_once_at_his_word_and_not_before(
    desk: AttackedDesk, words: str, kind: str, code: str, yes: str
) -> None:
    question = await asked(desk, words)
    assert kind not in await desk.told()

    await desk.takes(reply(question, yes))
    await desk.takes(reply(question, yes, Message_ID="<again@firm.example>"))

    assert (await desk.told()).count(kind) == 1
    assert code in await codes(desk)
    assert "question_done" in await codes(desk)


@pytest.mark.parametrize(("words", "kind", "code"), CONFIRMED)
@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": ()},  # nothing proves that it is his
        {"In_Reply_To": None},  # an address book may have chosen
        {"From": "chen@firm.example"},  # somebody else's answer
        {"To": "support@firm.example"},  # no token
    ],
    ids=["unproven", "unreferred", "another", "tokenless"],
)
async def test_g8_his_word_needs_all_three(
    desk: AttackedDesk, words: str, kind: str, code: str, changes: dict[str, Any]
) -> None:
    question = await asked(desk, words)

    await desk.takes(reply(question, "！好", **changes))

    assert kind not in await desk.told()
    assert code not in await codes(desk)
    assert "question_confirmed" not in await desk.told()


@pytest.mark.parametrize(("words", "kind", "code"), CONFIRMED)
@pytest.mark.parametrize("answer", ["!no", "！不要", "好的，謝謝", "！好 但是不要轉給 lin"])
async def test_no_and_whatever_is_no_clear_yes_does_nothing(
    desk: AttackedDesk, words: str, kind: str, code: str, answer: str
) -> None:
    question = await asked(desk, words)

    await desk.takes(reply(question, answer))

    assert kind not in await desk.told()
    assert code not in await codes(desk)


@pytest.mark.parametrize("answer", ["！好\n\n但是不要轉給 lin", "!no\n\n改天再說"])
async def test_what_is_written_below_a_yes_or_no_comes_back(desk: AttackedDesk, answer: str) -> None:
    """He wished something besides, and must not believe that somebody read it."""
    await desk.takes(reply(await asked(desk, "！不在 chen 今天"), answer))

    [letter] = [one for one in await desk.leaves() if "您寫的內容沒有寄出" in one.plain]
    assert (letter.to, answer.splitlines()[-1] in letter.plain) == ("boss@firm.example", True)


@pytest.mark.parametrize("signature", ["-- \nBoss", "--\nBoss 主管\nboss@firm.example"])
async def test_a_signature_below_a_yes_is_no_wish(desk: AttackedDesk, signature: str) -> None:
    await desk.takes(reply(await asked(desk, "！不在 chen 今天"), f"！好\n\n{signature}"))

    assert "away_done" in await codes(desk)
    assert "words_unused" not in await codes(desk)


@pytest.mark.parametrize("subject", ["！合併 1002", "!merge #1002", "！併案1002"])
async def test_what_a_subject_is_about_is_read_beforehand_like_what_a_text_is(desk: AttackedDesk, subject: str) -> None:
    """A command counts in the subject of an empty mail: everything that is read for commands is read for that one."""
    first = (await desk.outbox("assignment"))[0]
    await desk.opened(
        "From: 王美玲 <mei@example.com>", "Message-ID: <b@example.com>", "Subject: 勞保", body="請問勞保？"
    )

    await desk.takes(reply(first, "", Subject=subject))

    [one, two] = await desk.tickets()
    assert (one.state, one.closed_reason, two.state) == ("closed", "merged into #1002", "open")


async def test_what_is_asked_for_twice_in_one_mail_is_sent_once(desk: AttackedDesk) -> None:
    letters = await says(desk, "!on\n!mine\n！我的", "chen")

    assert [letter.to for letter in letters] == ["chen@firm.example"]
