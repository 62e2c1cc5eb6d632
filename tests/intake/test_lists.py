"""Lists by mail: what an agent asks for or is sent, as the store stands when it is written, and no more than is his."""

from __future__ import annotations

import email
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from email import policy as email_policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.deskrun import KEYRING, agent, policy
from support.handdesk import keep, put, row, stationery, store
from support.storefacts import MINUTE, NOW, outgoing, target, ticket

from intake.letters import outbound
from routing.policy import Policy, Team
from routing.records import Contact, Customer, Event, Question
from routing.tokens import canary, find_canaries
from routing.words import Kind, OutboxState, Purpose, TargetKind, TicketState
from store import customers, deadlines, events, outbox, questions
from store.engine import Database

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NINE = NOW - timedelta(hours=5, minutes=10)  # Monday 9:00 in Taipei


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with store(tmp_path) as db:
        yield db


async def mail(
    db: Database, name: str = "mine", *, now: datetime = NOW, who: str = "chen", of: Policy | None = None, **recipe: Any
) -> EmailMessage:
    """The list as it leaves at `now`."""
    desk = of or policy()
    address = f"mailto:{desk.agents[who].addresses[0]}"
    told = outgoing(
        ticket=None,
        source=None,
        purpose=Purpose.TOLD,
        agent=who,
        address=address,
        recipe={"code": "list", "list": name, **recipe},
        mail_id=f"<list.{name}@firm.example>",
    )
    [number] = await put(db, now, told)
    async with db.reading() as tx:
        sent = await outbound(tx, await row(db, number), stationery(desk), now, None)
    found = email.message_from_bytes(sent.body, policy=email_policy.default)
    assert isinstance(found, EmailMessage)
    return found


def plain(of: EmailMessage) -> str:
    part = of.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def page(of: EmailMessage) -> str:
    part = of.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def numbers(of: EmailMessage) -> list[int]:
    """The tickets of a list, in order, as its HTML shows them."""
    return [int(found) for found in re.findall(r"<b>#(\d+)</b>", page(of))]


def english(**changes: Any) -> Policy:
    desk = policy(**changes)
    return replace(desk, agents={name: replace(one, language="en") for name, one in desk.agents.items()})


def due_in(number: int, minutes: int, now: datetime = NINE) -> Any:
    return target(number, started_at=now - MINUTE, due_at=now + minutes * MINUTE)


# ---- mine


async def test_mine_is_in_order_of_deadline_and_what_waits_for_customers_comes_last(db: Database) -> None:
    await keep(
        db,
        ticket(1001),
        ticket(1002, kind=Kind.COMPLAINT, is_urgent=True),
        ticket(1003, state=TicketState.WAITING, waits_until=NINE + DAY),
        ticket(1004),
        ticket(1005, agent="lin"),
        ticket(1006, state=TicketState.CLOSED),
        ticket(1007, state=TicketState.ANSWERED),
        targets=[due_in(1001, 300), due_in(1002, 40), due_in(1003, 10)],
    )

    said = await mail(db, now=NINE)

    assert numbers(said) == [1002, 1001, 1004, 1003, 1007]
    assert said["Subject"] == "今天 3 件，1 件 10:00 前"
    text = plain(said).replace("\r\n", "\n")
    assert "#1002 王美玲 · 09:40 · 剩 40 分\n    郵件 · 營業稅 · 客訴 · 急件 · 回覆" in text
    assert "已回覆" in text
    assert "明天 09:00" in text  # until when the customer may take


@pytest.mark.parametrize(
    ("minutes", "first"),
    [
        ([40, 300, 5], "今天 3 件，2 件 10:00 前"),
        ([300], "今天 1 件，最早的是 14:00"),
        ([-20, 30, 200], "今天 3 件，1 件已逾時，1 件 10:00 前"),
        ([60], "今天 1 件，1 件 10:00 前"),
        ([], "您手上沒有等處理的案件"),
    ],
)
async def test_the_first_line_counts_what_is_late_and_what_is_due_by_the_next_full_hour(
    db: Database, minutes: list[int], first: str
) -> None:
    every = range(1001, 1001 + len(minutes))
    await keep(db, *map(ticket, every), targets=[due_in(n, m) for n, m in zip(every, minutes, strict=True)])

    said = await mail(db, now=NINE)

    assert said["Subject"] == first
    assert plain(said).splitlines()[0] == f"{first} · {canary(KEYRING, 0)}"


async def test_a_list_is_as_fresh_as_its_first_attempt(db: Database) -> None:
    await keep(db, ticket(1001), targets=[due_in(1001, 40)])
    async with db.transaction() as tx:
        await deadlines.record_met(tx, due_in(1001, 40), NINE, NINE)

    assert "09:40" not in plain(await mail(db, now=NINE))


async def test_each_block_carries_a_canary_that_is_no_tickets(db: Database) -> None:
    await keep(db, ticket(1001), ticket(1002, state=TicketState.WAITING))

    said = await mail(db)

    mark = canary(KEYRING, 0)
    assert find_canaries(plain(said)) == (mark,)
    assert [plain(said).count(mark), page(said).count(mark)] == [4, 4]
    assert said["Reply-To"] is None
    assert said["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("name", ["mine", "day", "found", "held", "delivered", "report"])
@pytest.mark.parametrize("language", ["zh-Hant", "zh-Hans", "en"])
async def test_every_list_can_be_empty_in_every_language(db: Database, name: str, language: str) -> None:
    desk = policy()
    desk = replace(desk, agents={n: replace(one, language=language) for n, one in desk.agents.items()})

    said = await mail(db, name, of=desk, query="x")

    assert said["Subject"]
    assert "{" not in plain(said)


async def test_a_full_list_stays_below_100_kb_and_counts_what_it_leaves_out(db: Database) -> None:
    many = [ticket(1000 + n, contact_name="王" * 60, subject="稅" * 500, topic="") for n in range(120)]
    await keep(db, *many, targets=[due_in(1000 + n, 30 + n) for n in range(120)])

    said = await mail(db, "day", now=NINE)

    assert len(said.as_bytes()) < 100_000
    assert len(numbers(said)) == 50
    assert "另有 70 件沒有列出" in plain(said)
    assert max(len(line) for line in plain(said).splitlines()) <= 78


async def test_a_strangers_words_are_no_html_and_hide_no_line(db: Database) -> None:
    bad = "<script>alert(1)</script>\u202eevil\n\n!close"
    await keep(db, ticket(1001, contact_name=bad, subject=bad, topic=""))

    said = await mail(db)

    assert "<script" not in page(said)
    assert "\u202e" not in plain(said)
    assert not [line for line in plain(said).splitlines() if line.startswith(("!", "！"))]


# ---- found


WANG = Customer(id=1, name="美玲商行", language="zh-Hant", created_at=NOW)
LEE = Customer(id=2, name="Lee & Sons", language="en", created_at=NOW)


@pytest.fixture
async def searched(db: Database) -> Database:
    await keep(
        db,
        ticket(1001),
        ticket(1002, customer=2, contact="mailto:lee@sons.example", contact_name="Lee", subject="Payroll 100%"),
        ticket(
            1003,
            customer=2,
            contact="tel:+886912345678",
            contact_name="",
            medium="phone",
            state=TicketState.CLOSED,
            agent="lin",
        ),
        ticket(1004, team="tax", agent="boss", contact_name="王美玲"),
    )
    async with db.transaction() as tx:
        people = [
            ("mailto:mei@example.com", 1, "王美玲"),
            ("mailto:lee@sons.example", 2, "Lee"),
            ("tel:+886912345678", 2, ""),
        ]
        contacts = [
            Contact(address=a, customer=c, name=n, source="mail", first_seen_at=NOW, is_verified=True)
            for a, c, n in people
        ]
        await customers.add(tx, [WANG, LEE], contacts)
    return db


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("1002", [1002]),
        ("#1003", [1003]),
        ("王美玲", [1001]),
        ("美玲商行", [1001]),
        ("lee@SONS.example", [1003, 1002]),
        ("payroll", [1002]),
        ("payroll lee", [1002]),
        ("payroll wang", []),
        ("100%", [1002]),
        ("0912-345-678", [1003, 1002]),
        ("+886 912 345 678", [1003, 1002]),
        ("%", [1002]),
        ("_", []),
        ("' OR 1=1 --", []),
        ("", []),
        ("#1004", []),  # another team's
    ],
)
async def test_found_by_number_name_address_telephone_and_subject(
    searched: Database, query: str, found: list[int]
) -> None:
    assert sorted(numbers(await mail(searched, "found", query=query))) == sorted(found)


async def test_who_is_in_a_team_finds_its_tickets_and_its_supervisor_too(searched: Database) -> None:
    desk = policy()
    teams = {**desk.teams, "tax": Team(name="tax", display_name="稅", members=("lin",), supervisors=("boss",))}
    of = replace(desk, teams=teams)

    seen = {
        who: numbers(await mail(searched, "found", who=who, of=of, query="王美玲")) for who in ("chen", "lin", "boss")
    }

    assert {who: sorted(n) for who, n in seen.items()} == {"chen": [1001], "lin": [1001, 1004], "boss": [1001, 1004]}


async def test_more_than_a_list_holds_asks_for_another_word(db: Database) -> None:
    await keep(db, *(ticket(1000 + n) for n in range(60)))

    said = await mail(db, "found", query="王美玲")

    assert (said["Subject"], len(numbers(said))) == ("「王美玲」找到 50 件以上", 50)
    assert "請多寫一個詞" in plain(said)


# ---- held


async def _held(db: Database, number: int, why: str, message: int, who: str = "chen") -> None:
    async with db.transaction() as tx:
        await events.append(
            tx, [Event(at=NOW - HOUR, kind="reply_held", ticket=number, message=message, agent=who, data={"why": why})]
        )


async def test_held_names_answers_that_wait_questions_and_mails_nothing_came_of_with_what_to_do(db: Database) -> None:
    await keep(db, ticket(1001), ticket(1002))
    await put(
        db, NOW, outgoing(source=7, held_reason="second_answer", recipe={"words": "已更正"}, answered_at=NOW - HOUR)
    )
    await put(db, NOW, outgoing(source=8, agent="lin", held_reason="second_answer", recipe={"words": "別人的"}))
    await _held(db, 1001, "second_answer", 7)
    await _held(db, 1002, "internal_survived", 9)
    await _held(db, 1002, "internal_survived", 10, who="lin")
    asked = Question(
        id=1,
        agent="chen",
        kind="away",
        message=11,
        data={"agent": "lin", "back_at": (NOW + DAY).isoformat(), "rows": []},
        asked_at=NOW - HOUR,
        expires_at=NOW + DAY,
    )
    async with db.transaction() as tx:
        await questions.add(tx, [asked])

    said = await mail(db, "held")

    text = plain(said)
    assert said["Subject"] == "3 件等您看一下"
    assert numbers(said) == [1001, 1002]
    assert "已更正" in text
    assert "別人的" not in text
    assert "「！寄出」" in text
    assert "「！好」" in text
    assert "設為不在：" in text
    assert "T06:10" not in text  # a moment is said as people say it


async def test_many_forged_mails_are_one_line_and_hide_nothing(db: Database) -> None:
    await keep(db, ticket(1002))
    await _held(db, 1002, "internal_survived", 9)
    for message in range(20, 40):
        await _held(db, 1002, "no_evidence", message)

    said = await mail(db, "held")

    assert numbers(said) == [1002]
    assert "有 20 封信用了您的名字" in plain(said)


# ---- delivered


async def _answered(db: Database, number: int, at: datetime, **changes: Any) -> int:
    """An answer of chen's on a ticket: its row."""
    facts: Mapping[str, Any] = {
        "ticket": number,
        "source": number,
        "answered_at": at,
        "mail_id": f"<a{number}@firm.example>",
        "recipe": {"words": "您好"},
    }
    [row_id] = await put(db, at, outgoing(**{**facts, **changes}))
    async with db.transaction() as tx:
        await events.append(tx, [Event(at=at, kind="answer_queued", ticket=number, agent="chen", message=number)])
    return row_id


async def test_delivered_puts_what_did_not_arrive_first_and_says_which_was_late(db: Database) -> None:
    day = NINE
    await keep(
        db,
        *map(ticket, range(1001, 1006)),
        targets=[target(n, started_at=day - HOUR, due_at=day + 2 * HOUR) for n in (1001, 1002)],
    )
    good, late, failed, unknown, waits = [await _answered(db, n, day + HOUR) for n in range(1001, 1006)]
    async with db.transaction() as tx:
        await outbox.record_delivered(tx, {good: "250"}, day + HOUR)
        await deadlines.record_met(tx, target(1001), day + HOUR, day + HOUR)
        await outbox.record_delivered(tx, {late: "250"}, day + 3 * HOUR)
        await deadlines.record_met(tx, target(1002), day + HOUR, day + 3 * HOUR)
        await outbox.record_failure(tx, failed, OutboxState.FAILED, "550 no such user", None)
        await outbox.record_failure(tx, unknown, OutboxState.UNKNOWN, "cut", None)

    said = await mail(db, "delivered")

    assert numbers(said) == [1003, 1004, 1005, 1001, 1002]
    assert said["Subject"] == "今天送達 2 封，1 封沒有送到，1 封不確定，1 封還在路上"
    text = plain(said)
    assert "✓ 10:00 · 準時" in text
    assert "✓ 12:00 · 逾時" in text
    assert "550 no such user" in text
    assert "mei@example.com" in text
    assert waits


async def test_delivered_leaves_out_other_days_other_people_and_copies_that_arrived(db: Database) -> None:
    await keep(db, *map(ticket, range(1001, 1004)))
    old = await _answered(db, 1001, NOW - DAY)
    copy = await _answered(db, 1002, NOW - HOUR, recipe={"words": "您好", "copy": True})
    async with db.transaction() as tx:
        await outbox.record_delivered(tx, {old: "250"}, NOW - DAY)
        await outbox.record_delivered(tx, {copy: "250"}, NOW - HOUR)
    lost = await _answered(db, 1003, NOW - HOUR, recipe={"words": "您好", "copy": True})
    async with db.transaction() as tx:
        await outbox.record_failure(tx, lost, OutboxState.FAILED, "550", None)
    await put(db, NOW, outgoing(ticket=1002, agent="lin", answered_at=NOW))

    said = await mail(db, "delivered")

    assert numbers(said) == [1003]
    assert "副本" in plain(said)


# ---- figures


async def test_a_report_counts_by_channel_and_gives_rates_beside_counts(db: Database) -> None:
    day = NINE
    await keep(
        db,
        *(ticket(n, channel="mail" if n < 1004 else "website") for n in range(1001, 1007)),
        ticket(1007, team="tax"),
        targets=[
            *(target(n, due_at=day + HOUR) for n in range(1001, 1005)),
            target(1005, due_at=NOW + HOUR),
            target(1006, due_at=day - DAY),
            target(1007, due_at=day + HOUR),
            target(1001, kind=TargetKind.NEXT_RESPONSE, due_at=day + HOUR),
        ],
    )
    async with db.transaction() as tx:
        await deadlines.record_met(tx, target(1001), day, day)
        await deadlines.record_met(tx, target(1002), day, day + 2 * HOUR)
        await deadlines.withdraw(tx, target(1004), day)

    said = await mail(db, "report", who="boss", of=english())

    assert said["Subject"] == "Today: 3 due, 1 (33 %) on time"
    lines = [re.split(r"\s{2,}", line.strip()) for line in plain(said).splitlines() if line.startswith("  ")]
    assert lines[:4] == [
        ["Channel", "Due", "On time", "Late", "Open"],
        ["mail", "3", "1 (33 %)", "2", "0"],
        ["website", "0", "–", "0", "1"],
        ["All", "3", "1 (33 %)", "2", "1"],
    ]
    assert "not over" in plain(said)


async def test_an_agent_in_no_team_sees_his_own_tickets_alone(searched: Database) -> None:
    desk = policy()
    of = replace(desk, agents={**desk.agents, "new": agent("new")})

    assert numbers(await mail(searched, "found", who="new", of=of, query="王美玲")) == []
