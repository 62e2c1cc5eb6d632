"""An agent's out-of-office reaches no customer; it is a hint, told to his supervisors once a day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.attackdesk import AttackedDesk
from support.deskrun import mail

from store.engine import Database
from store.outbox import OutboxItem
from store.upgrade import upgrade


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    db = Database(f"sqlite:///{tmp_path}/intake.db")
    await upgrade(db)
    yield AttackedDesk(db)
    await db.close()


async def opened(desk: AttackedDesk) -> OutboxItem:
    await desk.takes(mail(Message_ID="<a@example.com>"))
    await desk.leaves()
    [first] = await desk.outbox("assignment")
    return first


WORDS = "我 11/23 到 11/25 休假，急事請找林小姐。"
#: What programs write when their owner is away: all but the reference and the token, which they all send back.
NOTES = {
    "Exchange": {"Auto_Submitted": "auto-replied", "X_Auto_Response_Suppress": "All", "Subject": "自動回覆: 營業稅"},
    "Exchange, English": {"Auto_Submitted": "auto-replied", "Subject": "Automatic reply: [#1001] VAT"},
    "Gmail": {"Auto_Submitted": "auto-replied", "Precedence": "bulk", "Subject": "Re: 營業稅"},
    "vacation": {"Auto_Submitted": "auto-replied (vacation)", "Subject": "away from my mail"},
    "QQ": {"Subject": "自动回复:营业税"},
    "163": {"Subject": "自动回复：营业税", "X_Mailer": "Coremail Webmail Server"},
    "Foxmail": {"Subject": "自动答复: 营业税"},
    "Notes": {"Subject": "AUTO: 陳 is out of the office (returning 11/25/2026)"},
    "by its words alone": {"Subject": "不在辦公室"},
    "Outlook.com": {"Subject": "Out of Office: VAT"},
}


@pytest.mark.parametrize("headers", NOTES.values(), ids=NOTES)
@pytest.mark.parametrize("vouched", ["yes", "no"])
async def test_it_reaches_no_customer_and_his_supervisor_hears_of_it(
    desk: AttackedDesk, headers: dict[str, str], vouched: str
) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, WORDS, vouched=vouched, **headers))
    letters = await desk.leaves()

    [hint] = [e for e in await desk.events() if e.kind == "absence_hinted"]
    assert await desk.outbox("answer") == []
    assert [(one.purpose, one.agent, one.to) for one in letters] == [("told", "boss", "boss@firm.example")]
    assert (hint.agent, hint.data) == (first.agent, {"proven": vouched == "yes", "told": 1})
    assert WORDS not in letters[0].text
    [row] = await desk.outbox("told")
    assert row.recipe["code"] == ("absent" if vouched == "yes" else "absent_unproven")


async def test_who_supervises_the_team_that_he_works_in_is_not_told_of_himself(desk: AttackedDesk) -> None:
    team = replace(desk.policy.teams["desk"], members=("chen", "lin", "boss"), supervisors=("boss", "lin"))
    desk.policy = replace(desk.policy, teams={"desk": team})

    await desk.takes(mail(WORDS, From="boss@firm.example", Subject="自動回覆", Auto_Submitted="auto-replied"))

    assert [one.to for one in await desk.leaves()] == ["lin@firm.example"]


async def test_the_supervisor_reads_how_much_waits_and_until_when(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, WORDS, Auto_Submitted="auto-replied"))

    [letter] = await desk.leaves()
    assert f"{str(first.agent).capitalize()} 的信箱自動回覆了" in letter.plain
    assert "手上還有 1 件等著回覆，最早的期限是" in letter.plain.replace("\r\n", "")


async def test_once_a_day(desk: AttackedDesk) -> None:
    first = await opened(desk)
    for hours in (0, 5, 5, 15, 1):
        desk.clock.at += timedelta(hours=hours)
        one = await desk.reply_to(first, f"{WORDS} {desk.clock.at}", Auto_Submitted="auto-replied")
        await desk.takes(one, await desk.reply_to(first, f"{WORDS}! {desk.clock.at}", Auto_Submitted="auto-replied"))

    assert [e.at.hour for e in await desk.events() if e.kind == "absence_hinted"] == [6, 7]
    assert [t.recipe["code"] for t in await desk.outbox("told")] == ["absent"] * 2


async def test_a_supervisor_who_is_away_as_well_starts_no_loop(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, WORDS, Auto_Submitted="auto-replied"))
    [told] = await desk.outbox("told")
    away = mail(
        WORDS, From="boss@firm.example", In_Reply_To=told.mail_id, Auto_Submitted="auto-replied", Message_ID="<o@x>"
    )
    await desk.takes(away)

    assert len(await desk.outbox("told")) == 1


async def test_a_note_that_nothing_but_its_words_gives_away_is_asked_about(desk: AttackedDesk) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "您好，我目前休假中，將於 11/25 返回，急事請聯絡林小姐。"))

    [answer] = await desk.outbox("answer")
    assert (answer.state.value, answer.held_reason) == ("held", "looks_absent")
    assert [one.purpose for one in await desk.leaves()] == ["told"]


@pytest.mark.parametrize(
    "headers", [{"List_Id": "<news.firm.example>"}, {"Precedence": "bulk"}, {"Auto_Submitted": "auto-generated"}]
)
async def test_what_his_programs_send_is_no_hint(desk: AttackedDesk, headers: dict[str, str]) -> None:
    first = await opened(desk)
    await desk.takes(await desk.reply_to(first, "每週報表", **headers))

    assert "absence_hinted" not in await desk.told()
    assert await desk.outbox("told") == []


async def test_a_customers_absence_is_no_hint(desk: AttackedDesk) -> None:
    await opened(desk)
    await desk.takes(mail(WORDS, Auto_Submitted="auto-replied", In_Reply_To="<a@example.com>"))

    assert "absence_hinted" not in await desk.told()
