"""Complaints: who reads that we are sorry, what makes one of an ordinary ticket, and what agents' words teach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete
from support import handdesk
from support.attackdesk import AttackedDesk, reply
from support.deskrun import agent, mail, policy

from benchmarks.classify import shipped_policy
from intake.lessons import lessons
from routing.policy import Team
from routing.words import Kind, TargetKind
from store.sealed import NORMAL

AGENTS = {
    "chen": agent("chen", display_name="陳怡君"),
    "wu": agent("wu", display_name="吳淑芬", complaints=True),
    "boss": agent("boss", display_name="主管", is_supervisor=True),
}
TEAMS = {"desk": Team(name="desk", display_name="客服", members=("chen", "wu"), supervisors=("boss",))}
SHIPPED = shipped_policy()
CUSTOMER = "mei@example.com"
CLEAR = "我要投訴！打了七通電話都沒人接，一個禮拜沒有人回覆，這種服務太離譜了，請給我一個交代。"
MAYBE = "每天都找不到人處理這件事"
ASKING = "請問營業稅的申報書寄出了嗎？"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with handdesk.store(tmp_path) as db:
        yield AttackedDesk(
            db,
            policy=policy(
                agents=AGENTS, teams=TEAMS, topics=SHIPPED.topics, cues=SHIPPED.cues, weights=SHIPPED.weights
            ),
        )


async def writes(desk: AttackedDesk, words: str, after: timedelta = timedelta(0), number: int = 1) -> None:
    """The customer writes in one thread, some time after he last did."""
    desk.clock.at += after
    headers = {"Message_ID": f"<c{number}@example.com>"}
    if number > 1:
        headers["In_Reply_To"] = "<c1@example.com>"
    await desk.takes(mail(words, Subject="詢問", **headers))


async def read_by_customer(desk: AttackedDesk) -> list[str]:
    return [letter.plain for letter in await desk.leaves() if letter.to == CUSTOMER]


@pytest.mark.parametrize(("words", "is_sorry", "kind"), [(CLEAR, True, Kind.COMPLAINT), (MAYBE, False, Kind.COMPLAINT)])
async def test_only_who_clearly_complains_reads_that_we_are_sorry(
    desk: AttackedDesk, words: str, is_sorry: bool, kind: Kind
) -> None:
    await writes(desk, words)
    [told] = await read_by_customer(desk)

    ticket = await desk.ticket()
    assert (ticket.kind, ticket.agent) == (kind, "wu")  # certified, either way
    assert ("抱歉" in told) is is_sorry


async def test_whoever_asks_for_the_third_time_complains_without_saying_so(desk: AttackedDesk) -> None:
    desk.policy = replace(desk.policy, teams={"desk": replace(TEAMS["desk"], members=("chen",))})
    await writes(desk, ASKING)
    desk.policy = replace(desk.policy, teams=TEAMS)
    first = await desk.ticket()

    await writes(desk, "請問寄出了嗎？", timedelta(hours=1, minutes=10), 2)
    second = await desk.ticket()
    await writes(desk, "想再請問一下寄了沒", timedelta(hours=1, minutes=10), 3)

    assert (first.kind is Kind.COMPLAINT, second.kind is Kind.COMPLAINT) == (False, False)
    ticket = await desk.ticket()
    assert (ticket.kind, ticket.agent) == (Kind.COMPLAINT, "wu")
    [event] = await desk.why("complaint_implied")
    assert [reason["code"] for reason in event["reasons"]] == ["implied_asked"]
    owed = {target.kind for target in await desk.targets(ticket.id) if target.is_open}
    assert {TargetKind.INITIAL_OPINION, TargetKind.RESOLUTION} <= owed
    assert len(await read_by_customer(desk)) == 1  # what acknowledged his first mail, and no apology


async def test_thanks_after_a_late_answer_are_no_complaint(desk: AttackedDesk) -> None:
    await writes(desk, ASKING)
    await writes(desk, "謝謝你們的幫忙，服務很好，非常感謝", timedelta(days=2), 2)

    assert "complaint_implied" not in await desk.told()


async def test_what_agents_put_right_is_kept_by_id_and_learned_from(desk: AttackedDesk) -> None:
    await writes(desk, "凱旋方案要怎麼弄")
    was = (await desk.ticket()).topic
    [item] = await desk.outbox("assignment")

    await desk.takes(reply(item, "!topic payroll_social"))
    await desk.takes(reply(item, "!urgent"))
    rows = await desk.rows("SELECT field, ticket, was, became, agent FROM correction ORDER BY field")
    async with desk.db.reading() as tx:
        learned = await lessons(tx)

    number = (await desk.ticket()).id
    assert [tuple(row.values()) for row in rows] == [
        ("topic", number, was, "payroll_social", item.agent),
        ("urgent", number, "no", "yes", item.agent),
    ]
    assert "凯旋" in learned.weights["payroll_social"]


async def test_said_again_the_last_word_counts_and_back_again_teaches_nothing(desk: AttackedDesk) -> None:
    await writes(desk, "凱旋方案要怎麼弄")
    was = (await desk.ticket()).topic
    [item] = await desk.outbox("assignment")

    await desk.takes(reply(item, "!topic payroll_social"))
    await desk.takes(reply(item, "!topic invoice"))
    [row] = await desk.rows("SELECT was, became FROM correction")
    await desk.takes(reply(item, f"!topic {was}"))
    async with desk.db.reading() as tx:
        learned = await lessons(tx)

    assert tuple(row.values()) == (was, "invoice")
    assert not learned.weights


async def test_an_erased_message_takes_its_lesson_with_it(desk: AttackedDesk) -> None:
    await writes(desk, "凱旋方案要怎麼弄")
    [item] = await desk.outbox("assignment")
    await desk.takes(reply(item, "!topic payroll_social"))

    async with desk.db.transaction() as tx:
        await tx.execute(delete(NORMAL))
    async with desk.db.reading() as tx:
        learned = await lessons(tx)

    assert not learned.weights
