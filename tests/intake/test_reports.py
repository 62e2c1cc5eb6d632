"""Reports: which of our mails came back, what that undoes, and what a complaint ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from support.attackdesk import RECEIVED, AttackedDesk, Letter, octets, reply, vouched
from support.deskrun import DESK, agent, bounce
from support.handdesk import store

from routing.policy import Policy

MEI = "mei@example.com"
PARTNER = "partner@example.com"
TO = f"To: {DESK}"

COMPLAINT = """\
From: feedback@provider.example
To: support@firm.example
Subject: FW: x
Message-ID: <{n}@provider.example>
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b

words
--b
Content-Type: message/feedback-report

Feedback-Type: {kind}
Original-Rcpt-To: {to}

--b
Content-Type: text/rfc822-headers

Message-ID: {id}

--b--
"""


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


def complaint(letter: Letter, kind: str = "abuse", n: int = 1) -> bytes:
    return COMPLAINT.format(id=letter.mail["Message-ID"], to=letter.to, kind=kind, n=n).encode()


def about(letter: Letter, to: str, *, status: str = "5.1.1") -> bytes:
    return bounce(str(letter.mail["Message-ID"]), status).replace(b"rfc822; mei@example.com", f"rfc822; {to}".encode())


async def answered_with_a_copy(desk: AttackedDesk) -> tuple[Letter, Letter]:
    """An answer that went to the customer and to somebody whom the agent let in: (hers, his)."""
    item = await desk.opened()
    await desk.takes(reply(item, f"!cc {PARTNER}\n\n您好，可以更正。"))
    letters = {letter.to: letter for letter in await desk.leaves() if letter.purpose == "answer"}
    return letters[MEI], letters[PARTNER]


async def answered(desk: AttackedDesk) -> Letter:
    item = await desk.opened()
    await desk.takes(reply(item))
    [letter] = await desk.leaves()
    return letter


# ---- which mail it is about


async def test_of_one_answer_the_row_that_came_back_is_the_one_that_failed(desk: AttackedDesk) -> None:
    hers, his = await answered_with_a_copy(desk)
    assert hers.mail["Message-ID"] == his.mail["Message-ID"]
    await desk.takes(about(hers, PARTNER))

    states = {item.address: item.state.value for item in await desk.outbox("answer")}
    assert states == {f"mailto:{MEI}": "delivered", f"mailto:{PARTNER}": "failed"}
    assert (await desk.ticket()).state == "answered"
    assert [letter.purpose for letter in await desk.leaves()] == ["told"]
    assert [item.recipe["code"] for item in await desk.outbox("told")][-1] == "copy_undelivered"


@pytest.mark.parametrize("to", [MEI, "her.other.name@store.example"])
async def test_the_customers_own_row_opens_the_ticket_again(desk: AttackedDesk, to: str) -> None:
    """Also where her provider names her otherwise: a person looks, rather than nobody."""
    hers, _ = await answered_with_a_copy(desk)
    await desk.takes(about(hers, to))

    states = {item.address: item.state.value for item in await desk.outbox("answer")}
    assert states == {f"mailto:{MEI}": "failed", f"mailto:{PARTNER}": "delivered"}
    assert (await desk.ticket()).state == "open"


async def test_a_report_that_returns_only_our_mark_is_matched_by_it(desk: AttackedDesk) -> None:
    await desk.takes(octets(RECEIVED, f"From: {MEI}", TO, "Message-ID: <a@example.com>", body="hello"))
    [ours] = [letter for letter in await desk.leaves() if letter.purpose == "acknowledgement"]
    mark = str(ours.mail["X-Intake-Loop"])
    raw = bounce("<lost@relay.example>").replace(b"Message-ID: <lost@relay.example>", f"X-Intake-Loop: {mark}".encode())
    await desk.takes(raw)

    [event] = [e for e in await desk.events() if e.kind == "delivery_bounced"]
    assert event.data["purpose"] == "acknowledgement"


async def test_a_mark_that_is_not_ours_matches_nothing(desk: AttackedDesk) -> None:
    await desk.takes(octets(RECEIVED, f"From: {MEI}", TO, "Message-ID: <a@example.com>", body="hello"))
    [ours] = [letter for letter in await desk.leaves() if letter.purpose == "acknowledgement"]
    forged = str(ours.mail["X-Intake-Loop"]).partition(".")[0] + "." + "0" * 32
    raw = bounce("<lost@relay.example>").replace(
        b"Message-ID: <lost@relay.example>", f"X-Intake-Loop: {forged}".encode()
    )
    await desk.takes(raw)

    assert await desk.why("delivery_bounced") == []
    assert len(await desk.why("report_received")) == 1


async def test_a_report_under_the_id_that_the_provider_put_is_matched(desk: AttackedDesk) -> None:
    letter = await answered(desk)
    async with desk.db.transaction() as tx:
        await tx.execute(
            text("UPDATE outbox SET remote_mail_id = '<theirs@provider.example>' WHERE purpose = 'answer'")
        )
    await desk.takes(bounce("<theirs@provider.example>"))

    assert letter.to == MEI
    assert [item.state.value for item in await desk.outbox("answer")] == ["failed"]
    assert (await desk.ticket()).state == "open"


async def test_an_answer_that_arrived_before_stays_met_when_a_second_one_comes_back(desk: AttackedDesk) -> None:
    item = await desk.opened()
    await desk.takes(reply(item))
    await desk.leaves()
    desk.clock.at += (await desk.targets(1001))[0].due_at - desk.clock.at
    later = "Tue, 24 Nov 2026 14:09:00 +0800"
    await desk.takes(desk.arrival(reply(item, "補充一點。", Date=later), received_at=desk.clock.at))
    [second] = [letter for letter in await desk.leaves() if letter.purpose == "answer"]
    await desk.takes(bounce(str(second.mail["Message-ID"])))

    assert [target.is_open for target in await desk.targets(1001)] == [False]
    assert (await desk.ticket()).state == "open"


# ---- what it brings about


async def test_an_acknowledgement_that_comes_back_warns_the_agent_once(desk: AttackedDesk) -> None:
    await desk.takes(octets(RECEIVED, f"From: {MEI}", TO, "Message-ID: <a@example.com>", body="hello"))
    [ours] = [letter for letter in await desk.leaves() if letter.purpose == "acknowledgement"]
    await desk.takes(about(ours, MEI), about(ours, MEI, status="5.2.2"))
    letters = await desk.leaves()

    assert [(letter.purpose, letter.to) for letter in letters] == [("told", "chen@firm.example")]
    assert MEI in letters[0].plain
    assert [t.is_open for t in await desk.targets(1001)] == [True]


async def test_two_dead_mailboxes_do_not_have_each_other_told_for_ever(desk: AttackedDesk) -> None:
    desk.policy = _two_supervisors(desk)
    await desk.opened()
    for _ in range(8):
        waiting = [item for item in await desk.outbox("assignment") if item.state.value == "delivered"]
        await desk.takes(*(bounce(item.mail_id) for item in waiting))
        await desk.leaves()

    assert sorted(item.agent or "" for item in await desk.outbox("assignment")) == ["boss", "chen", "head"]


def _two_supervisors(desk: AttackedDesk) -> Policy:
    team = replace(desk.policy.teams["desk"], supervisors=("boss", "head"))
    people = {**desk.policy.agents, "head": agent("head", is_supervisor=True)}
    return replace(desk.policy, agents=people, teams={"desk": team})


# ---- complaints


async def test_who_calls_our_mail_junk_gets_no_more_acknowledgements(desk: AttackedDesk) -> None:
    letter = await answered(desk)
    await desk.takes(complaint(letter))
    await desk.takes(octets(RECEIVED, f"From: {MEI}", TO, "Message-ID: <new@example.com>", body="another matter"))
    letters = await desk.leaves()

    assert [one.to for one in letters if one.to == MEI] == []
    assert [r["code"] for e in await desk.why("acknowledgement_withheld") for r in e["reasons"]][-1] == "ack_complained"
    assert await desk.messages("outcome") == ["opened", "answered", "bounced", "opened"]
    assert len(await desk.why("complaint_received")) == 1


async def test_what_befalls_the_mail_later_does_not_make_a_complaint_forgotten(desk: AttackedDesk) -> None:
    letter = await answered(desk)
    await desk.takes(complaint(letter))
    await desk.takes(about(letter, MEI))  # it came back as well: the row says that from now on
    await desk.takes(octets(RECEIVED, f"From: {MEI}", TO, "Message-ID: <new@example.com>", body="another matter"))

    assert [one.to for one in await desk.leaves() if one.to == MEI] == []
    assert [r["code"] for e in await desk.why("acknowledgement_withheld") for r in e["reasons"]][-1] == "ack_complained"


async def test_people_still_answer_who_has_complained(desk: AttackedDesk) -> None:
    letter = await answered(desk)
    await desk.takes(complaint(letter))
    await desk.takes(
        octets(vouched("example.com"), RECEIVED, f"From: {MEI}", TO, "Message-ID: <n@example.com>", body="又有問題")
    )
    await desk.leaves()
    item = (await desk.outbox("assignment", "update"))[-1]
    await desk.takes(reply(item, "您好，這樣就可以。"))

    assert [(one.purpose, one.to) for one in await desk.leaves()] == [("answer", MEI)]


@pytest.mark.parametrize("kind", ["auth-failure", "not-spam", "virus"])
async def test_a_report_that_is_no_complaint_ends_nothing(desk: AttackedDesk, kind: str) -> None:
    letter = await answered(desk)
    await desk.takes(complaint(letter, kind))

    assert await desk.why("complaint_received") == []
    assert len(await desk.why("report_received")) == 1


async def test_a_complaint_about_a_mail_that_we_never_sent_is_recorded_and_that_is_all(desk: AttackedDesk) -> None:
    raw = COMPLAINT.format(id="<x@nowhere>", to=MEI, kind="abuse", n=1).encode()
    await desk.takes(raw)
    await desk.takes(octets(RECEIVED, f"From: {MEI}", TO, "Message-ID: <a@example.com>", body="hello"))

    assert [one.to for one in await desk.leaves() if one.purpose == "acknowledgement"] == [MEI]
    assert (await desk.messages("outcome", "ticket"))[0] == ("bounced", None)
