"""Enrolment: a welcome is answered, and what the answers carry is told, kept, and never more than it is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.attackdesk import RECEIVED, AttackedDesk, Letter, octets, reply, vouched
from support.deskrun import BORDER, KEYRING, agent, policy
from support.handdesk import store

from intake.command import enrol_by_hand
from intake.control import Refused
from routing.enrolled import Enrolled, Stage, enrolled
from routing.policy import Policy
from routing.probing import passed
from routing.words import Evidence
from store import enrolments
from store.outbox import OutboxItem

FIRM = vouched("firm.example")
DKIM = f"Authentication-Results: {BORDER}; dkim=pass header.d=firm.example"
OUTLOOK = "X-Mailer: Microsoft Outlook 16.0"
IPHONE = "X-Mailer: iPhone Mail (21A329)"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


async def welcomed(desk: AttackedDesk, name: str = "chen") -> tuple[OutboxItem, Letter]:
    """An operator has enrolled an agent, and the welcome has left."""
    await enrol_by_hand.enrol(desk.db, desk.clock, desk.policy, KEYRING, name, "mail", 0)
    [letter] = await desk.leaves()
    return (await desk.outbox("told"))[-1], letter


def answer(
    item: OutboxItem,
    *more: str,
    sender: str = "chen@firm.example",
    evidence: Sequence[str] = (FIRM, RECEIVED),
    refers: bool = True,
    words: str = "收到",
    number: int = 1,
) -> bytes:
    """A reply to a welcome, as a mail program writes it."""
    headers = [f"From: {sender}", f"To: support+{item.recipe['token']}@firm.example", "Subject: Re: welcome"]
    headers += [f"Message-ID: <answer.{number}@firm.example>", f"Date: Mon, 23 Nov 2026 14:09:{number:02} +0800"]
    if refers:
        headers += [f"In-Reply-To: {item.recipe['root']}", f"References: {item.recipe['root']}"]
    return octets(*evidence, *headers, *more, body=words)


async def standing(desk: AttackedDesk, name: str = "chen") -> Enrolled:
    async with desk.db.reading() as tx:
        rows = await enrolments.of_agents(tx, [name])
        probes = await enrolments.probes(tx, "exchange-internal")
    return enrolled(desk.policy.agents[name], rows.get(name, ()), lambda c: passed(probes.get(c), desk.clock.at))


def believing(*kinds: Evidence, **changes: Any) -> Policy:
    """The desk, with other proofs for chen."""
    it = policy()
    return replace(it, agents={**it.agents, "chen": agent("chen", evidence=frozenset(kinds), **changes)})


# ---- the welcome


@pytest.mark.parametrize(
    ("language", "subject", "said"),
    [
        ("zh-Hant", "請回覆這封信兩次：電腦一次，手機一次", ["直接按「回覆」", "！備註", "!help", "chen@firm.example"]),
        ("zh-Hans", "请回复这封邮件两次：电脑一次，手机一次", ["直接点“回复”", "！备注", "!help", "chen@firm.example"]),
        ("en", "Please reply to this mail twice", ["Press Reply", "!note", "!help", "chen@firm.example"]),
    ],
)
async def test_the_welcome_says_how_he_will_work(
    desk: AttackedDesk, language: str, subject: str, said: list[str]
) -> None:
    desk.policy = replace(desk.policy, agents={**desk.policy.agents, "chen": agent("chen", language=language)})

    item, letter = await welcomed(desk)

    assert (letter.to, letter.purpose) == ("chen@firm.example", "told")
    assert letter.mail["Subject"].startswith(subject)
    assert item.recipe["token"] in letter.mail["Reply-To"]
    assert letter.mail["Message-ID"] == item.recipe["root"]
    assert [one for one in said if one not in letter.plain or one not in letter.html] == []


async def test_nobody_else_is_enrolled(desk: AttackedDesk) -> None:
    with pytest.raises(Refused, match="no agent"):
        await enrol_by_hand.enrol(desk.db, desk.clock, desk.policy, KEYRING, "eve", "", 0)
    with pytest.raises(Refused, match="no mail channel"):
        await enrol_by_hand.enrol(desk.db, desk.clock, desk.policy, KEYRING, "chen", "website", 0)

    assert await desk.outbox() == []


# ---- answers


async def test_desktop_then_phone_and_nothing_is_missing(desk: AttackedDesk) -> None:
    item, _ = await welcomed(desk)

    await desk.takes(answer(item, OUTLOOK))
    [first] = await desk.leaves()
    await desk.takes(answer(item, IPHONE, number=2))
    [second] = await desk.leaves()

    assert "✓ 認得您從電腦（Microsoft Outlook 16.0）寄的信" in first.plain
    assert "公司郵件伺服器的驗證結果（authserv）" in first.plain
    assert "還差：手機" in first.plain
    assert "✓ 認得您從手機（iPhone Mail (21A329)）寄的信" in second.plain
    assert "都齊了" in second.plain
    assert await desk.tickets() == []
    so_far = await standing(desk)
    assert (so_far.stage, so_far.counted, so_far.missing) == (Stage.PROVEN, ("authserv",), ())
    assert [e["missing"] for e in await desk.why("agent_enrolled")] == [["phone"], []]


async def test_the_mail_that_tells_him_can_be_answered_as_well(desk: AttackedDesk) -> None:
    item, welcome = await welcomed(desk)
    await desk.takes(answer(item, OUTLOOK))
    [told] = await desk.leaves()

    assert told.mail["Reply-To"] == welcome.mail["Reply-To"]
    assert told.mail["References"] == welcome.mail["Message-ID"]


async def test_a_quote_is_a_reference_where_a_program_keeps_none(desk: AttackedDesk) -> None:
    item, letter = await welcomed(desk)
    quoted = "好\n\n" + "\n".join(f"> {line}" for line in letter.plain.splitlines())

    await desk.takes(answer(item, refers=False, words=quoted))

    assert (await standing(desk)).stage is Stage.PROVEN
    assert await desk.why("agent_enrolled") != []


async def test_the_address_alone_is_no_answer(desk: AttackedDesk) -> None:
    """Address books keep it: a mail to it that answers nothing is judged like any mail of his."""
    item, _ = await welcomed(desk)

    await desk.takes(answer(item, refers=False))

    assert await desk.why("agent_enrolled") == []
    assert (await desk.messages("outcome"))[-1] == "held"


@pytest.mark.parametrize(
    ("kinds", "evidence", "stage", "seen", "said"),
    [
        ((Evidence.AUTHSERV,), (DKIM, RECEIVED), Stage.OTHER, ("dkim-aligned",), "信上帶的是：公司網域的 DKIM 簽章"),
        ((Evidence.DKIM_ALIGNED,), (FIRM, RECEIVED), Stage.OTHER, ("authserv",), "設定要的是：公司網域的 DKIM 簽章"),
        ((Evidence.AUTHSERV,), (RECEIVED,), Stage.BARE, (), "信上沒有任何證明"),
        ((Evidence.AUTHSERV,), (RECEIVED, FIRM), Stage.BARE, (), "信上沒有任何證明"),
        ((Evidence.TOKEN_ONLY,), (RECEIVED,), Stage.BY_TOKEN, (), "只憑回信地址"),
        ((Evidence.AUTHSERV, Evidence.DKIM_ALIGNED), (DKIM, RECEIVED), Stage.PROVEN, ("dkim-aligned",), "✓"),
    ],
)
async def test_what_his_mail_carries_is_told_and_changes_no_rule(
    desk: AttackedDesk,
    kinds: tuple[Evidence, ...],
    evidence: tuple[str, ...],
    stage: Stage,
    seen: tuple[str, ...],
    said: str,
) -> None:
    desk.policy = believing(*kinds)
    item, _ = await welcomed(desk)

    await desk.takes(answer(item, OUTLOOK, evidence=evidence))
    [told] = await desk.leaves()

    so_far = await standing(desk)
    assert (so_far.stage, so_far.seen) == (stage, seen)
    assert said.replace(" ", "") in "".join(told.plain.split())
    assert told.to == "chen@firm.example"
    assert (await desk.why("agent_enrolled") != []) is (stage in (Stage.PROVEN, Stage.BY_TOKEN))


async def test_g8_no_evidence_stays_held_after_an_enrolment_without_any(desk: AttackedDesk) -> None:
    """It is a red line, never a silently weaker rule."""
    item, _ = await welcomed(desk)
    await desk.takes(answer(item, evidence=(RECEIVED,)))
    assignment = await desk.opened()
    assert assignment.agent is not None

    await desk.takes(reply(assignment, evidence=(RECEIVED,)))

    assert await desk.outbox("answer") == []
    assert [e["why"] for e in await desk.why("reply_held")][-1:] == ["no_evidence"]
    assert (await standing(desk)).stage is Stage.BARE


# ---- from elsewhere


async def test_g8_from_another_address_it_is_never_his(desk: AttackedDesk) -> None:
    item, _ = await welcomed(desk)
    private = answer(item, IPHONE, sender="chen1990@mail.example", evidence=(vouched("mail.example"), RECEIVED))

    await desk.takes(private)
    [told] = await desk.leaves()

    assert told.to == "chen@firm.example"
    assert "chen1990@mail.example" in told.plain
    assert "請把手機或電腦改用 chen@firm.example 這個帳號" in told.plain
    so_far = await standing(desk)
    assert (so_far.stage, so_far.rows, so_far.other_addresses) == (Stage.UNSEEN, (), ("chen1990@mail.example",))
    assert await desk.tickets() == []
    assert [e["why"] for e in await desk.why("enrolment_not_counted")] == ["elsewhere"]


async def test_g8_a_colleague_does_not_enrol_for_him(desk: AttackedDesk) -> None:
    item, _ = await welcomed(desk, "chen")

    await desk.takes(answer(item, sender="lin@firm.example"))

    assert (await standing(desk, "chen")).stage is Stage.UNSEEN
    assert await desk.why("agent_enrolled") == []


async def test_addresses_from_elsewhere_are_bounded_and_forgotten_with_the_next_welcome(desk: AttackedDesk) -> None:
    item, _ = await welcomed(desk)
    for number in range(20):
        await desk.takes(answer(item, sender=f"eve{number}@evil.example", number=number, evidence=(RECEIVED,)))

    told = len(await desk.outbox("told")) - 1
    assert len((await standing(desk)).other_addresses) == 8
    assert told <= 10  # half of an agent's allowance an hour

    await enrol_by_hand.enrol(desk.db, desk.clock, desk.policy, KEYRING, "chen", "", 0)

    assert (await standing(desk)).elsewhere == ()


async def test_the_log_names_nobody(desk: AttackedDesk) -> None:
    item, _ = await welcomed(desk)
    await desk.takes(answer(item, sender="chen1990@mail.example"), answer(item, OUTLOOK, number=2))

    assert "chen1990" not in str([(e.kind, e.data) for e in await desk.events()])
    assert "@" not in str([e.data for e in await desk.events() if "enrol" in e.kind or "evidence" in e.kind])


# ---- every other mail of his


async def test_his_daily_mail_is_noted_once_a_day(desk: AttackedDesk) -> None:
    item = await desk.opened()
    name = str(item.agent)
    await desk.takes(reply(item))
    first = (await standing(desk, name)).rows
    desk.clock.at += timedelta(hours=2)
    await desk.takes(reply(item, "再補充一點。"))
    again = (await standing(desk, name)).rows
    desk.clock.at += timedelta(days=1)
    await desk.takes(reply(item, "還有一點。"))
    later = (await standing(desk, name)).rows

    assert [row.evidence for row in first] == ["authserv"]
    assert again == first
    assert later[0].last_seen_at == desk.clock.at
    assert later[0].first_seen_at == first[0].first_seen_at
    assert len(await desk.why("evidence_seen")) == 1


async def test_g8_a_forger_makes_nobody_believe_that_his_mail_carries_nothing(desk: AttackedDesk) -> None:
    await desk.takes(octets(RECEIVED, "From: chen@firm.example", "To: support@firm.example", IPHONE))
    await desk.takes(
        octets(RECEIVED, "From: chen@firm.example", "X-MS-Exchange-Organization-AuthAs: Internal", body="x")
    )

    assert (await standing(desk)).rows == ()


async def test_a_customers_mail_asks_the_store_nothing_more(
    desk: AttackedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(tx: object, wanted: Sequence[str]) -> dict[str, Any]:
        assert not wanted
        return {}

    async def never(tx: object, kind: str) -> dict[str, Any]:
        raise AssertionError("no probe matters to a customer's mail")

    desk.policy = believing(Evidence.EXCHANGE_INTERNAL)
    monkeypatch.setattr(enrolments, "of_agents", none)
    monkeypatch.setattr(enrolments, "probes", never)

    await desk.opened()

    assert len(await desk.tickets()) == 1


# ---- leavers


async def test_g8_who_has_left_has_no_welcome_and_no_word(desk: AttackedDesk) -> None:
    item, _ = await welcomed(desk)
    assignment = await desk.opened()
    left = str(assignment.agent)
    letters = [answer(item)] if left == "chen" else []
    desk.policy = replace(desk.policy, agents={n: a for n, a in desk.policy.agents.items() if n != left})

    await desk.takes(reply(assignment), *letters)

    assert await desk.outbox("answer") == []
    assert await desk.why("agent_enrolled") == []
    async with desk.db.reading() as tx:
        assert await enrolments.of_agents(tx, [left]) == {}
    assert await desk.why("token_misused") != []


async def test_a_welcome_counts_for_thirty_days(desk: AttackedDesk) -> None:
    item, _ = await welcomed(desk)
    desk.clock.at += timedelta(days=30, minutes=1)

    await desk.takes(answer(item))

    assert await desk.why("agent_enrolled") == []


# ---- mail programs


async def test_a_programs_name_cannot_hide_anything(desk: AttackedDesk) -> None:
    item, _ = await welcomed(desk)

    await desk.takes(answer(item, "X-Mailer: Evil\u202e; <script>" + "x" * 400))
    [told] = await desk.leaves()

    [row] = (await standing(desk)).rows
    assert len(row.client) <= 40
    assert not re.search("[;\u202e]", row.client)
    assert "<script>" not in told.html


# ---- probes


MARK = "X-MS-Exchange-Organization-AuthAs: Internal"


async def asked(desk: AttackedDesk, channel: str = "mail") -> str:
    """An operator lets a probe be sent: its name."""
    done = await enrol_by_hand.probe(desk.db, desk.clock, desk.policy, KEYRING, channel, 0)
    return str(done["nonce"])


def probe(nonce: str, *headers: str) -> bytes:
    return octets(RECEIVED, *headers, *_about(nonce), body="a test")


def _about(nonce: str) -> list[str]:
    return [
        "From: probe@outside.example",
        f"Subject: {nonce}",
        "To: support@firm.example",
        f"Message-ID: <{nonce}@x.y>",
    ]


async def shown(desk: AttackedDesk) -> tuple[str | None, bool]:
    """(what the probe of the mail channel has shown, whether it counts)."""
    async with desk.db.reading() as tx:
        it = (await enrolments.probes(tx, "exchange-internal")).get("mail")
    return (it.result if it else None), passed(it, desk.clock.at)


@pytest.mark.parametrize(
    ("mails", "expected"),
    [
        ([[]], ("stripped", True)),
        ([["X-MS-Exchange-Organization-AuthAs: Anonymous"]], ("stripped", True)),
        ([[MARK]], ("kept", False)),
        ([[], [MARK]], ("kept", False)),
        ([[MARK], []], ("kept", False)),
        ([], (None, False)),
    ],
)
async def test_a_probe_is_noted_and_nobody_is_answered(
    desk: AttackedDesk, mails: list[list[str]], expected: tuple[str | None, bool]
) -> None:
    nonce = await asked(desk)

    for number, headers in enumerate(mails):
        await desk.takes(probe(nonce, *headers, f"X-Way: {number}").replace(b"a test", b"a test %d" % number))

    assert await shown(desk) == expected
    assert await desk.tickets() == []
    assert await desk.outbox() == []


async def test_a_probe_that_comes_late_or_elsewhere_shows_nothing(desk: AttackedDesk) -> None:
    late = await asked(desk)
    nonce = await asked(desk)

    await desk.takes(probe(late, MARK), desk.arrival(probe(nonce), "second"))

    assert await shown(desk) == (None, False)
    assert await desk.tickets() == []


async def test_a_name_that_we_did_not_give_is_a_customers_mail(desk: AttackedDesk) -> None:
    await asked(desk)
    await desk.takes(probe("ikp-" + "a" * 32))

    assert len(await desk.tickets()) == 1
    assert await shown(desk) == (None, False)


async def test_g8_the_mark_lets_him_answer_only_while_a_probe_stands(desk: AttackedDesk) -> None:
    internal = (MARK,)
    desk.policy = replace(
        desk.policy,
        agents={n: replace(a, evidence=frozenset({Evidence.EXCHANGE_INTERNAL})) for n, a in desk.policy.agents.items()},
    )
    item = await desk.opened()

    async def answers(words: str) -> int:
        await desk.takes(reply(item, words, evidence=internal))
        return len(await desk.outbox("answer"))

    assert await answers("還沒測試。") == 0
    await desk.takes(probe(await asked(desk)))
    assert await answers("測試過了。") == 1
    desk.clock.at += timedelta(days=91)
    assert await answers("太久了。") == 1
    await desk.takes(probe(await asked(desk), MARK))
    assert await answers("標記沒有拿掉。") == 1


async def test_an_unproven_mark_is_told_as_such(desk: AttackedDesk) -> None:
    desk.policy = believing(Evidence.EXCHANGE_INTERNAL)
    item, _ = await welcomed(desk)

    await desk.takes(answer(item, evidence=(MARK,)))
    [told] = await desk.leaves()

    assert (await standing(desk)).stage is Stage.UNPROBED
    assert "要先測試過" in told.plain
