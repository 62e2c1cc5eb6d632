"""Attacks by machines: loops, bombs in our name, reports that nobody sent (G7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from support.attackdesk import ATTACKER, RECEIVED, AttackedDesk, Letter, octets, reply, vouched
from support.deskrun import bounce
from support.handdesk import store

from channels.adapter import Envelope
from routing.records import NewOutbox
from routing.words import Purpose
from store import outbox

MEI = "mei@example.com"
VICTIM = "victim@example.net"
TO = "To: support@firm.example"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AttackedDesk]:
    async with store(tmp_path) as db:
        yield AttackedDesk(db)


def acknowledgements(letters: list[Letter]) -> list[str]:
    return [letter.to for letter in letters if letter.purpose == "acknowledgement"]


# ---- what a person may have written


async def test_an_absence_note_by_its_words_alone_of_somebody_we_never_wrote_to_is_seen(desk: AttackedDesk) -> None:
    await desk.takes(octets(RECEIVED, "From: new@customer.example", "Subject: Out of Office: an expense?", TO))
    letters = await desk.leaves()

    assert [letter.purpose for letter in letters] == ["assignment"]


@pytest.mark.parametrize(
    "subject",
    [
        *("出差中，請協助處理營業稅申報", "請假中, 請改寄發票到公司", "請假中：請改寄發票到公司", "出差中"),
        *("Out of office, please call me about the tax notice", "Out of office: please call me", "Out of office"),
    ],
)
async def test_g5_a_known_customer_who_writes_that_he_is_away_is_seen(desk: AttackedDesk, subject: str) -> None:
    await desk.opened()
    await desk.takes(octets(vouched("example.com"), RECEIVED, f"From: {MEI}", f"Subject: {subject}", TO, body="請協助"))

    assert (await desk.messages("outcome"))[-1] in ("opened", "added")


@pytest.mark.parametrize(
    ("subject", "body", "outcome"),
    [
        ("出差中", "11/24 回。", "ignored"),
        ("Out of Office", "Back on Monday.", "ignored"),
        ("出差中：請協助申報", "11/24 前。", "added"),
        ("出差中", "請協助申報營業稅。" * 100, "added"),
    ],
)
async def test_an_absence_note_by_its_words_alone_answers_us_is_short_and_says_no_more(
    desk: AttackedDesk, subject: str, body: str, outcome: str
) -> None:
    item = await desk.opened()
    await desk.takes(reply(item))
    [answer] = await desk.leaves()
    about = f"In-Reply-To: {answer.mail['Message-ID']}"
    await desk.takes(
        octets(vouched("example.com"), RECEIVED, f"From: {MEI}", f"Subject: {subject}", about, TO, body=body)
    )

    assert acknowledgements(await desk.leaves()) == []
    assert (await desk.messages("outcome"))[-1] == outcome


@pytest.mark.parametrize(
    ("sender", "about", "outcome"),
    [
        ("shop@news.example", "", "ignored"),
        (MEI, "", "opened"),  # her server puts a way to unsubscribe under all her mail
        ("shop@news.example", "In-Reply-To: {answer}", "opened"),
    ],
)
async def test_a_newsletter_is_recorded_and_a_customers_mail_that_looks_like_one_is_seen(
    desk: AttackedDesk, sender: str, about: str, outcome: str
) -> None:
    item = await desk.opened()
    await desk.takes(reply(item))
    [answer] = await desk.leaves()
    more = [about.format(answer=answer.mail["Message-ID"])] if about else []
    await desk.takes(octets(RECEIVED, "List-Unsubscribe: <https://x>", f"From: {sender}", *more, TO, body="hello"))

    assert acknowledgements(await desk.leaves()) == []
    assert (await desk.messages("outcome"))[-1] == outcome


# ---- bombs in our name


async def test_g7_a_forger_makes_us_send_three_mails_to_his_victim_and_no_more(desk: AttackedDesk) -> None:
    letters = []
    for hour in range(4):
        for n in range(10):
            await desk.takes(octets(RECEIVED, f"From: {VICTIM}", f"Subject: {hour} {n}", TO, body=f"{hour} {n}"))
        letters += await desk.leaves()
        desk.clock.at += timedelta(hours=1)

    assert acknowledgements(letters) == [VICTIM] * 3
    assert {letter.to for letter in letters} - {VICTIM} <= {"chen@firm.example", "lin@firm.example"}
    [reason] = {tuple(r["code"] for r in e["reasons"]) for e in await desk.why("acknowledgement_withheld")} - {
        ("peer_cap",)
    }
    assert reason == ("ack_cap",)


@pytest.mark.parametrize("how", ["name", "encoded name", "subject", "both"])
async def test_nothing_that_a_forger_wrote_reaches_his_victim(desk: AttackedDesk, how: str) -> None:
    name = "Call 0900 BUY or visit evil.example"
    lines = {
        "name": [f'From: "{name}" <{VICTIM}>', "Subject: x"],
        "encoded name": [f"From: =?utf-8?q?{name.replace(' ', '_')}?= <{VICTIM}>", "Subject: x"],
        "subject": [f"From: {VICTIM}", f"Subject: {name}"],
        "both": [f"From: Pay Mister Eve <{VICTIM}>", f"Subject: {name}"],
    }[how]
    await desk.takes(octets(RECEIVED, *lines, TO, body=name))
    [letter] = [letter for letter in await desk.leaves() if letter.to == VICTIM]

    for words in ("evil.example", "0900", "BUY", "Mister", "Eve"):
        assert words not in letter.text
    assert str(letter.mail["To"]) == VICTIM


async def test_a_ticket_is_acknowledged_once(desk: AttackedDesk) -> None:
    await desk.opened()
    for n in range(5):
        await desk.takes(
            octets(vouched("example.com"), RECEIVED, f"From: {MEI}", TO, "In-Reply-To: <a@example.com>", body=f"{n}")
        )
    letters = await desk.leaves()

    assert acknowledgements(letters) == []
    assert [letter.purpose for letter in letters] == ["update"]  # what waited for him leaves together


@pytest.mark.parametrize(
    "line", ["X-Spam-Flag: YES", "X-Spam-Status: Yes, score=9.1", "X-Spam: Yes", "x-spam-flag:   yes  "]
)
async def test_spam_is_not_answered(desk: AttackedDesk, line: str) -> None:
    await desk.takes(octets(line, vouched("example.com"), RECEIVED, f"From: {MEI}", TO, body="BUY"))

    assert acknowledgements(await desk.leaves()) == []


# ---- loops


AUTOMATIC = {
    "RFC 3834": "Auto-Submitted: auto-replied",
    "vacation": "Auto-Submitted: auto-replied (vacation)",
    "Precedence": "Precedence: bulk",
    "junk": "Precedence: junk",
    "responder": "X-Autoreply: yes",
    "null path": "Return-Path: <>",
    "Chinese subject": "Subject: =?utf-8?b?6Ieq5YuV5Zue6KaG77ya5Lyt5YGH5Lit?=",
    "English subject": "Subject: Automatic reply: your mail",
    "delivery report": "Auto-Submitted: auto-generated",
    "daemon": f"From: MAILER-DAEMON@example.com\r\nX-Was: {MEI}",
}


@pytest.mark.parametrize("line", AUTOMATIC.values(), ids=AUTOMATIC)
async def test_g7_a_hundred_automatic_replies_in_a_row_cause_no_mail_to_anybody_outside(
    desk: AttackedDesk, line: str
) -> None:
    await desk.opened()
    froms = [] if line.startswith("From") else [f"From: {MEI}"]
    letters = []
    for n in range(100):
        raw = octets(
            vouched("example.com"), RECEIVED, line, *froms, TO, f"Message-ID: <{n}@auto>", body=f"I am away {n}"
        )
        await desk.accept([desk.arrival(raw)])
    await desk.settle()
    letters = await desk.leaves()

    assert [letter.to for letter in letters if not letter.to.endswith("@firm.example")] == []
    is_by_words = line.startswith("Subject")  # and answers no mail of ours: a person may have written it
    if (
        not is_by_words
        and "generated" not in line
        and "daemon" not in line.lower()
        and "null" not in line
        and "<>" not in line
    ):
        assert letters == []
        assert len(await desk.why("message_ignored")) == 100


async def test_g7_two_desks_do_not_talk_to_each_other(desk: AttackedDesk) -> None:
    """The other is as good as we are: what we sent it comes back acknowledged, by machine and saying so."""
    await desk.takes(octets(RECEIVED, "From: desk@other.example", TO, "Message-ID: <1@other.example>", body="hello"))
    for turn in range(10):
        letters = [letter for letter in await desk.leaves() if letter.to == "desk@other.example"]
        if not letters:
            break
        await desk.takes(
            octets(
                RECEIVED,
                "From: desk@other.example",
                TO,
                f"Message-ID: <ack{turn}@other.example>",
                f"In-Reply-To: {letters[0].mail['Message-ID']}",
                "Auto-Submitted: auto-replied",
            )
        )
    assert turn == 1


async def test_g7_a_desk_that_does_not_say_it_is_one_gets_three_mails(desk: AttackedDesk) -> None:
    """No header, no reference, another subject each time: nothing tells it from a person but its number."""
    sent = 0
    await desk.takes(octets(RECEIVED, "From: desk@other.example", TO, body="hello"))
    for turn in range(60):
        letters = [letter for letter in await desk.leaves() if letter.to == "desk@other.example"]
        sent += len(letters)
        for _ in letters or [None]:
            await desk.takes(
                octets(RECEIVED, "From: desk@other.example", f"Subject: Ticket {turn}", TO, body=f"Thank you {turn}")
            )
        desk.clock.at += timedelta(minutes=1)

    assert sent == 3


async def test_g7_our_own_acknowledgement_coming_home_is_known_by_its_mark(desk: AttackedDesk) -> None:
    """Redirected by the customer's mailbox, under a new Message-ID and with another's From."""
    await desk.takes(octets(RECEIVED, f"From: {MEI}", TO, "Message-ID: <hers@example.com>", body="hello"))
    [ours] = [letter for letter in await desk.leaves() if letter.purpose == "acknowledgement"]
    head, _, rest = ours.body.partition(b"\r\n\r\n")
    kept = [
        line
        for line in head.split(b"\r\n")
        if not line.lower().startswith((b"from:", b"message-id:", b"auto-submitted:", b"x-auto"))
    ]
    again = b"\r\n".join([RECEIVED.encode(), b"From: someone@else.example", *kept]) + b"\r\n\r\n" + rest
    before = len(await desk.tickets())
    await desk.takes(again)

    assert await desk.leaves() == []
    assert len(await desk.tickets()) == before
    assert [e["verdict"] for e in await desk.why("message_ignored")] == ["own"]


@pytest.mark.parametrize("refers", [False, True])
async def test_a_mail_under_a_mark_copied_from_ours_is_seen_and_not_acknowledged(
    desk: AttackedDesk, refers: bool
) -> None:
    """A client that copies every header into the answer, or somebody who tries: neither mail may vanish."""
    await desk.takes(octets(RECEIVED, f"From: {MEI}", TO, "Message-ID: <hers@example.com>", body="hello"))
    [ours] = [letter for letter in await desk.leaves() if letter.purpose == "acknowledgement"]
    head = ours.body.partition(b"\r\n\r\n")[0].decode()
    [mark] = [line for line in head.split("\r\n") if line.lower().startswith("x-intake-loop:")]
    [its_id] = [line.partition(":")[2].strip() for line in head.split("\r\n") if line.lower().startswith("message-id:")]
    about = [f"In-Reply-To: {its_id}"] if refers else []
    await desk.takes(octets(RECEIVED, f"From: {MEI}", TO, "Message-ID: <new@example.com>", mark, *about, body="help"))
    letters = await desk.leaves()

    assert acknowledgements(letters) == []
    assert len(letters) == 1
    assert b"help" in letters[0].body
    assert await desk.why("message_ignored") == []


async def test_an_answer_to_the_id_that_a_relay_gave_our_mail_finds_its_ticket(desk: AttackedDesk) -> None:
    """The copy in the desk's own mailbox bears the relay's id and our mark."""
    item = await desk.opened()
    await desk.takes(reply(item))
    [ours] = [letter for letter in await desk.leaves() if letter.to == MEI]
    await desk.takes(ours.body.replace(str(ours.mail["Message-ID"]).encode(), b"<0100-new@email.relay.example>"))
    await desk.leaves()
    await desk.takes(
        octets(
            vouched("example.com"),
            RECEIVED,
            f"From: {MEI}",
            TO,
            "Subject: quite another",
            "In-Reply-To: <0100-new@email.relay.example>",
        )
    )

    assert [letter.purpose for letter in await desk.leaves() if letter.to != MEI] == ["update"]
    assert len(await desk.tickets()) == 1


async def test_an_invented_mark_hides_no_mail_from_people(desk: AttackedDesk) -> None:
    mark = "X-Intake-Loop: " + "a" * 16 + "." + "b" * 32
    await desk.takes(octets(mark, vouched("example.com"), RECEIVED, f"From: {MEI}", TO))

    assert [letter.purpose for letter in await desk.leaves()] == ["assignment"]


@pytest.mark.parametrize("is_vouched", [True, False])
@pytest.mark.parametrize("sender", ["support@firm.example", "tax@firm.example", "SUPPORT@FIRM.EXAMPLE"])
async def test_g7_a_mail_to_the_desk_from_the_desks_own_address_starts_nothing(
    desk: AttackedDesk, sender: str, is_vouched: bool
) -> None:
    evidence = [vouched("firm.example")] if is_vouched else []
    await desk.takes(octets(*evidence, RECEIVED, f"From: {sender}", TO, "Subject: x", body="hello"))
    letters = await desk.leaves()

    assert [letter.purpose for letter in letters] == ["assignment"]
    assert {letter.to for letter in letters} <= {"chen@firm.example", "lin@firm.example"}


async def answering_machine(desk: AttackedDesk, raw: Callable[[Letter, int], bytes], turns: int) -> int:
    """An agent's mailbox that answers each of our mails: how many it got."""
    got = 0
    for turn in range(turns):
        letters = [letter for letter in await desk.leaves() if letter.agent is not None]
        got += len(letters)
        for letter in letters:
            await desk.takes(raw(letter, turn))
    return got


@pytest.mark.parametrize("to", ["From", "Reply-To"])
async def test_g7_an_agents_responder_that_marks_nothing_does_not_go_round_with_us(desk: AttackedDesk, to: str) -> None:
    item = await desk.opened()
    await desk.takes(reply(item, "！結案"))
    await desk.leaves()
    await desk.takes(reply(item, "還有一件事"))  # closed: he is told, and his responder answers that

    def away(letter: Letter, turn: int) -> bytes:
        return octets(
            vouched("firm.example"),
            RECEIVED,
            f"From: {letter.agent}@firm.example",
            f"To: {letter.mail[to] or letter.mail['From']}",
            f"In-Reply-To: {letter.mail['Message-ID']}",
            f"Message-ID: <away{turn}@firm.example>",
            "Subject: Re: x",
            body="I am back on Monday.",
        )

    got = await answering_machine(desk, away, turns=60)

    assert got <= desk.policy.peer_cap
    assert [e["told"] for e in await desk.why("reply_held")][-1] is False
    assert {i.state.value for i in await desk.outbox("answer")} <= {"held", "cancelled"}  # nothing leaves


async def test_a_forger_cannot_use_up_what_an_agent_must_be_told(desk: AttackedDesk) -> None:
    item = await desk.opened()
    agent = f"{item.agent}@firm.example"
    for n in range(100):
        await desk.accept([desk.arrival(octets(RECEIVED, f"From: {agent}", TO, body=f"{n}"))])
    await desk.settle()
    assert 0 < len(await desk.leaves()) <= desk.policy.peer_cap // 2
    await desk.takes(reply(item, In_Reply_To=None))

    assert [(letter.purpose, letter.to) for letter in await desk.leaves()] == [("told", agent)]


async def test_g7_what_leaves_by_machine_says_so_and_what_goes_to_agents_returns_to_the_desk(
    desk: AttackedDesk,
) -> None:
    await desk.takes(octets(vouched("example.com"), RECEIVED, f"From: {MEI}", TO))
    for letter in await desk.leaves():
        is_to_agent = letter.purpose == "assignment"
        assert letter.mail["Auto-Submitted"] == ("auto-generated" if is_to_agent else "auto-replied")
        assert letter.envelope_from == ("support@firm.example" if is_to_agent else "")
        assert letter.mail["X-Intake-Loop"]


async def test_a_null_sender_in_the_envelope_is_not_answered(desk: AttackedDesk) -> None:
    for path in ("", "<>"):
        raw = octets(vouched("example.com"), RECEIVED, f"From: {MEI}", TO, body=f"path {path}")
        envelope = Envelope(mail_from=path, rcpt_to=("support@firm.example",))
        await desk.takes(desk.arrival(raw, envelope=envelope))

    assert acknowledgements(await desk.leaves()) == []


# ---- reports that nobody sent


async def answered(desk: AttackedDesk, words: str = "您好，可以更正。") -> Letter:
    item = await desk.opened()
    await desk.takes(reply(item, words))
    [letter] = await desk.leaves()
    assert letter.to == MEI
    return letter


async def test_a_report_about_somebody_elses_mail_tells_its_sender_nothing(desk: AttackedDesk) -> None:
    letter = await answered(desk)
    raw = bounce(str(letter.mail["Message-ID"])).replace(b"MAILER-DAEMON@mx.example.com", ATTACKER.encode())
    await desk.takes(raw.replace(b"550 no such user", b"see http://evil.example/ \xe2\x80\xae"))
    letters = await desk.leaves()

    assert [(one.purpose, one.to) for one in letters] == [("told", f"{letter.agent}@firm.example")]
    assert "\u202e" not in letters[0].text
    assert 'href="http://evil' not in letters[0].text
    assert await desk.messages("outcome") == ["opened", "answered", "bounced"]


@pytest.mark.parametrize(
    "known", ["<nothing@firm.example>", "", "<a@example.com>", "<told.1.delivery_failed@firm.example>"]
)
async def test_a_report_about_no_mail_of_ours_does_nothing(desk: AttackedDesk, known: str) -> None:
    await answered(desk)
    await desk.takes(bounce(known))

    assert await desk.leaves() == []
    assert (await desk.ticket()).state == "answered"


async def test_a_storm_of_reports_about_one_mail_is_one_report(desk: AttackedDesk) -> None:
    letter = await answered(desk)
    for n in range(50):
        await desk.accept([desk.arrival(bounce(str(letter.mail["Message-ID"]), f"5.1.{n}"))])
    await desk.settle()
    first = await desk.leaves()
    await desk.takes(bounce(str(letter.mail["Message-ID"]), "5.9.9"))

    assert [(one.purpose, one.to) for one in first] == [("told", f"{letter.agent}@firm.example")]
    assert await desk.leaves() == []
    assert len(await desk.why("report_received")) == 51
    assert len(await desk.why("target_reopened")) == 1


async def test_an_old_report_does_not_undo_a_later_answer(desk: AttackedDesk) -> None:
    first = await answered(desk)
    await desk.takes(bounce(str(first.mail["Message-ID"])))
    await desk.leaves()
    item = (await desk.outbox("told"))[-1]
    await desk.takes(reply(item, "改用這個說法。"))
    [second] = await desk.leaves()
    await desk.takes(bounce(str(first.mail["Message-ID"]), "5.2.2"))

    assert second.to == MEI
    assert (await desk.ticket()).state == "answered"
    assert [t.is_open for t in await desk.targets(1001)] == [False]


async def test_a_report_does_not_stop_what_has_not_left_yet(desk: AttackedDesk) -> None:
    """Some of our Message-IDs can be guessed; a notice to the supervisors must leave all the same."""
    row = NewOutbox(
        ticket=None,
        source=None,
        channel="mail",
        address="mailto:boss@firm.example",
        purpose=Purpose.TOLD,
        agent="boss",
        recipe={"code": "help"},
        mail_id="<unseen.7.boss@firm.example>",
    )
    async with desk.db.transaction() as tx:
        await outbox.add(tx, [row], desk.clock.at)
    await desk.takes(bounce(row.mail_id))

    assert [letter.to for letter in await desk.leaves()] == ["boss@firm.example"]


async def test_a_report_of_delay_or_success_changes_nothing(desk: AttackedDesk) -> None:
    letter = await answered(desk)
    for action in (b"delayed", b"delivered", b"relayed", b"expanded"):
        raw = bounce(str(letter.mail["Message-ID"]), "4.4.1").replace(b"Action: failed", b"Action: " + action)
        await desk.takes(raw.replace(b"Message-ID: <dsn", b"Message-ID: <" + action))

    assert await desk.leaves() == []
    assert (await desk.ticket()).state == "answered"


async def test_a_report_that_says_it_is_from_an_agent_is_a_report(desk: AttackedDesk) -> None:
    item = await desk.opened()
    raw = bounce(item.mail_id).replace(b"MAILER-DAEMON@mx.example.com", f"{item.agent}@firm.example".encode())
    await desk.takes(b"Authentication-Results: mx.firm.example; dmarc=pass header.from=firm.example\r\n" + raw)

    assert all(letter.to != MEI for letter in await desk.leaves())
    assert await desk.outbox("answer") == []
