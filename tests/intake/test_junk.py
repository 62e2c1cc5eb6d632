"""Junk: whom we know is brought in with a note, the rest is one line a day and no ticket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from support.attackdesk import RECEIVED, AttackedDesk, Letter, octets, reply, vouched
from support.deskrun import DESK, KEYRING, bounce
from support.handdesk import store

from channels.adapter import Envelope
from intake import texts_loader
from intake.cards import Stationery
from intake.watch import Watcher

MEI = "mei@example.com"
TO = f"To: {DESK}"
JUNK = Envelope(is_junk=True)
DAY = timedelta(days=1)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


async def takes_junk(desk: AttackedDesk, *headers: str, body: str = "BUY") -> list[Letter]:
    await desk.takes(desk.arrival(octets(*headers, TO, body=body), envelope=JUNK))
    return await desk.leaves()


async def marked(desk: AttackedDesk, mark: str, address: str = MEI) -> None:
    async with desk.db.transaction() as tx:
        await tx.execute(text(f"UPDATE contact SET spam_mark = '{mark}' WHERE address = 'mailto:{address}'"))


def told_at_opening(desk: AttackedDesk) -> Watcher:
    """A watcher that was started just now."""

    def stationery() -> Stationery:
        return Stationery(policy=desk.policy, keyring=KEYRING, texts=texts_loader.load())

    return Watcher(desk.db, desk.clock, stationery, lambda note, within: None, lambda: None)


async def tells(desk: AttackedDesk, at: datetime) -> list[Letter]:
    desk.clock.at = at
    await told_at_opening(desk).tick()
    return [letter for letter in await desk.leaves() if letter.purpose == "told"]


# ---- the junk folder


async def test_a_stranger_in_the_junk_folder_opens_nothing(desk: AttackedDesk) -> None:
    letters = await takes_junk(desk, RECEIVED, "From: eve@evil.example", "Subject: BUY")

    assert letters == []
    assert await desk.tickets() == []
    assert await desk.messages("outcome", "ticket", "customer") == [("junk", None, None)]
    assert [e["reasons"][0]["code"] for e in await desk.why("junk_seen")] == ["junk_folder"]


async def test_a_customers_mail_is_brought_in_from_the_junk_folder_and_says_so(desk: AttackedDesk) -> None:
    await desk.opened()
    letters = await takes_junk(desk, RECEIVED, f"From: {MEI}", "Message-ID: <b@example.com>", body="又有問題")

    assert [letter.purpose for letter in letters] == ["assignment"]
    assert "垃圾信匣" in letters[0].plain
    assert "垃圾信匣" in letters[0].html
    assert await desk.messages("outcome") == ["opened", "opened"]


async def test_an_answer_to_our_mail_is_brought_in_whoever_sends_it(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item))
    [answer] = await desk.leaves()
    about = f"In-Reply-To: {answer.mail['Message-ID']}"
    await takes_junk(desk, RECEIVED, "From: husband@home.example", about, body="thank you")

    assert (await desk.messages("outcome"))[-1] in ("added", "opened")


async def test_naming_a_mail_that_is_not_ours_brings_nothing_in(desk: AttackedDesk) -> None:
    await desk.opened()
    await takes_junk(desk, RECEIVED, "From: eve@evil.example", "In-Reply-To: <a@example.com>")

    assert (await desk.messages("outcome"))[-1] == "junk"


async def test_an_agents_answer_in_the_junk_folder_is_his_with_token_and_evidence(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(desk.arrival(reply(item), envelope=JUNK))

    assert [letter.purpose for letter in await desk.leaves()] == ["answer"]


@pytest.mark.parametrize("change", [{"evidence": (RECEIVED,)}, {"To": DESK}])
async def test_who_only_says_that_he_is_an_agent_is_junk_there(desk: AttackedDesk, change: dict[str, Any]) -> None:
    item = await desk.opened()
    await desk.takes(desk.arrival(reply(item, **change), envelope=JUNK))

    assert await desk.leaves() == []
    assert (await desk.messages("outcome"))[-1] == "junk"


async def test_a_report_in_the_junk_folder_is_a_report(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item))
    [answer] = await desk.leaves()
    await desk.takes(desk.arrival(bounce(str(answer.mail["Message-ID"])), envelope=JUNK))

    assert (await desk.ticket()).state == "open"


async def test_what_somebody_takes_out_of_the_junk_folder_is_no_copy(desk: AttackedDesk) -> None:
    lines = (RECEIVED, "From: new@customer.example", "Message-ID: <n@customer.example>", "Subject: 營業稅")
    await takes_junk(desk, *lines, body="請問")
    await desk.takes(octets(*lines, TO, body="請問"))

    assert await desk.messages("outcome") == ["junk", "opened"]


# ---- an agent's word on a sender


async def test_a_sender_whom_an_agent_called_junk_opens_nothing(desk: AttackedDesk) -> None:
    await desk.opened()
    await marked(desk, "spam")
    await desk.takes(octets(vouched("example.com"), RECEIVED, f"From: {MEI}", TO, "Message-ID: <b@example.com>"))

    assert (await desk.messages("outcome"))[-1] == "junk"
    assert [e["reasons"][0]["code"] for e in await desk.why("junk_seen")] == ["marked_sender"]


@pytest.mark.parametrize(("is_vouched", "outcome"), [(True, "added"), (False, "junk")])
async def test_a_marked_sender_goes_on_with_an_open_ticket_only_verified(
    desk: AttackedDesk, is_vouched: bool, outcome: str
) -> None:
    await desk.opened()
    await marked(desk, "spam")
    top = [vouched("example.com")] if is_vouched else []
    await desk.takes(octets(*top, RECEIVED, f"From: {MEI}", TO, "In-Reply-To: <a@example.com>", body="還有"))

    assert (await desk.messages("outcome"))[-1] == outcome


@pytest.mark.parametrize(("mark", "acknowledged"), [("", 0), ("not_spam", 1)])
async def test_the_providers_verdict_gives_way_to_an_agents(desk: AttackedDesk, mark: str, acknowledged: int) -> None:
    await desk.opened()
    if mark:
        await marked(desk, mark)
    spam = octets("X-Spam-Flag: YES", vouched("example.com"), RECEIVED, f"From: {MEI}", TO, "Message-ID: <b@x>")
    await desk.takes(spam)
    letters = await desk.leaves()
    [work] = [letter for letter in letters if letter.purpose == "assignment"]

    assert len([letter for letter in letters if letter.purpose == "acknowledgement"]) == acknowledged
    assert ("郵件商判為垃圾信" in work.plain) is (not mark)


# ---- one line a day


async def test_the_supervisors_hear_once_a_day_when_the_desk_opens(desk: AttackedDesk) -> None:
    for n in range(3):
        await takes_junk(
            desk, RECEIVED, "From: eve@evil.example", f"Subject: BUY {n} at https://evil.example/x", body=f"{n}"
        )
    await takes_junk(desk, RECEIVED, "From: mallory@evil.example", "Subject: =?utf-8?b?4oCuaGk=?=")
    midnight = desk.clock.at.replace(hour=16, minute=30) + timedelta(0)  # 00:30 in Taipei
    opening = midnight.replace(hour=1, minute=5) + DAY  # 09:05 the next day
    closed = await tells(desk, midnight)
    first = await tells(desk, opening)
    await takes_junk(desk, RECEIVED, "From: eve@evil.example", body="later that day")
    again = await tells(desk, opening + timedelta(hours=3))

    assert (closed, again) == ([], [])
    [line] = first
    assert line.to == "boss@firm.example"
    assert "4 封" in str(line.mail["Subject"])
    assert "eve@evil.example (3) · BUY 2 at …" in line.plain
    assert "https://" not in line.plain
    assert "\u202e" not in line.plain
    assert await desk.why("junk_told") == [{"count": 4, "senders": 2, "told": ["boss"]}]


async def test_what_was_told_is_not_told_again_and_no_junk_is_no_line(desk: AttackedDesk) -> None:
    await takes_junk(desk, RECEIVED, "From: eve@evil.example")
    opening = desk.clock.at.replace(hour=1, minute=5) + DAY
    first = await tells(desk, opening)
    nothing = await tells(desk, opening + DAY)
    await takes_junk(desk, RECEIVED, "From: eve@evil.example", body="more")
    one = await tells(desk, opening + 2 * DAY)

    assert [len(first), len(nothing), len(one)] == [1, 0, 1]
    assert [e["count"] for e in await desk.why("junk_told")] == [1, 1]


async def test_at_most_ten_senders_are_listed(desk: AttackedDesk) -> None:
    for n in range(12):
        await takes_junk(desk, RECEIVED, f"From: eve{n:02}@evil.example", body=f"{n}")
    [line] = await tells(desk, desk.clock.at.replace(hour=1, minute=5) + DAY)

    assert line.plain.count("@evil.example") == 10
    assert "12 封" in line.plain


# ---- an agent calls a mail junk that nobody vouched for


FORGED = (RECEIVED, f"From: {MEI}", "Message-ID: <forged@evil.example>", "Subject: invoice")


async def called_junk(desk: AttackedDesk, ticket: int, words: str = "") -> None:
    [work] = [i for i in await desk.outbox("assignment") if i.ticket == ticket]
    await desk.takes(reply(work, f"！垃圾\n{words}"))


async def writes(desk: AttackedDesk, *, is_vouched: bool, name: str = "true") -> str:
    top = [vouched("example.com")] if is_vouched else []
    await desk.takes(octets(*top, RECEIVED, f"From: {MEI}", TO, f"Message-ID: <{name}@example.com>", body=name))
    return str((await desk.messages("outcome"))[-1])


@pytest.mark.parametrize("is_vouched", [True, False])
async def test_a_forged_mail_called_junk_silences_no_customer(desk: AttackedDesk, is_vouched: bool) -> None:
    item = await desk.opened()
    await desk.takes(reply(item))
    await desk.takes(reply(item, "！結案"))
    desk.clock.at += timedelta(minutes=5)
    await desk.takes(octets(*FORGED, TO))
    await called_junk(desk, 1002)

    assert [t.closed_reason for t in await desk.tickets()][-1] == "spam"
    assert await writes(desk, is_vouched=is_vouched) == "opened"


async def test_an_agent_who_wrote_beside_it_hears_that_the_sender_is_not_marked(desk: AttackedDesk) -> None:
    await desk.opened()
    desk.clock.at += timedelta(minutes=5)
    await desk.takes(octets(*FORGED, TO))
    await desk.leaves()
    await called_junk(desk, 1002, "請勿再寄。")
    [told] = [letter for letter in await desk.leaves() if letter.purpose == "told"]

    assert "冒名" in told.plain
    assert [e["remembered"] for e in await desk.why("marked_spam")] == [""]


@pytest.mark.parametrize(("is_vouched", "outcome"), [(True, "opened"), (False, "junk")])
async def test_a_mark_on_mail_of_a_stranger_counts_against_no_verified_mail(
    desk: AttackedDesk, is_vouched: bool, outcome: str
) -> None:
    await desk.takes(octets(*FORGED, TO))
    await called_junk(desk, 1001)

    assert await writes(desk, is_vouched=is_vouched) == outcome


async def test_a_mark_on_verified_mail_counts_against_all(desk: AttackedDesk) -> None:
    await desk.opened()
    await called_junk(desk, 1001)

    assert await writes(desk, is_vouched=True) == "junk"
