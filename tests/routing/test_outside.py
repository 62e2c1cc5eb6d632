"""What an agent's own mail concerns: decided in memory, for any block that anybody can type."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deskrun import DESK, KEYRING, agent, policy

from channels import mime
from channels.adapter import Envelope
from channels.message import Address, Medium, Message, PassedOn, Scheme
from routing.desk import Desk, Incoming
from routing.identity import SpeakerJudgement
from routing.outside import outside
from routing.outsiders import is_ours, outsiders
from routing.passing_on import said_sender
from routing.past_us import _same_subject, from_sent_folder
from routing.records import Question
from routing.words import Evidence, Outcome, Purpose, Speaker

NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)
POLICY = policy()


def desk(**changes: Any) -> Desk:
    facts: dict[str, Any] = {"policy": POLICY, "keyring": KEYRING, "now": NOW, "next_ticket": 1001, "next_customer": 1}
    return Desk(**(facts | changes))


def judged(evidence: Evidence | None = Evidence.AUTHSERV, name: str = "chen") -> SpeakerJudgement:
    return SpeakerJudgement(speaker=Speaker.AGENT, agent=POLICY.agents[name], evidence=evidence)


def incoming(body: str, *, to: Sequence[str] = (DESK,), cc: Sequence[str] = (), subject: str = "Fwd: x") -> Incoming:
    lines = ["From: chen@firm.example", f"To: {', '.join(to)}", f"Subject: {subject}", "Message-ID: <f@firm.example>"]
    lines += [f"Cc: {', '.join(cc)}"] if cc else []
    lines += ["Date: Mon, 23 Nov 2026 14:08:00 +0800", "Content-Type: text/plain; charset=utf-8"]
    raw = "\r\n".join([*lines, "", body]).encode("utf-8", "replace")
    return Incoming(
        id=1, channel="mail", medium=Medium.EMAIL, received_at=NOW - timedelta(minutes=1), message=mime.parse(raw)
    )


BLOCK = "---------- Forwarded message ---------\nFrom: {sender}\nDate: {date}\nSubject: {subject}\nTo: {to}\n\n{words}"


def block(**changes: str) -> str:
    facts = {"sender": "Mei <mei@example.com>", "date": "Mon, Nov 23, 2026 at 1:05 PM", "subject": "tax"}
    return BLOCK.format(**(facts | {"to": "chen@firm.example", "words": "When is it due?"} | changes))


@pytest.mark.parametrize("evidence", [None, Evidence.TOKEN_ONLY])
def test_g8_without_evidence_nothing_comes_of_it(evidence: Evidence | None) -> None:
    here = desk()

    assert outside(incoming(block()), here, judged(evidence)) is None
    assert outside(incoming("hello", to=("mei@example.com",), cc=(DESK,)), here, judged(evidence)) is None
    assert not here.changes.events


@pytest.mark.parametrize(
    ("to", "cc", "subject", "expected"),
    [
        ((DESK,), (), "Fwd: x", Outcome.OPENED),
        ((DESK,), ("mei@example.com",), "Fwd: x", Outcome.OPENED),  # he lets the customer know that he did
        (("lin@firm.example", DESK), (), "Fwd: x", Outcome.OPENED),
        (("wu@other.example",), (DESK,), "Fwd: x", Outcome.ELSEWHERE),  # passed on to somebody outside
        (("mei@example.com",), (DESK,), "Re: x", Outcome.ELSEWHERE),
        (("mei@example.com", DESK), (), "x", Outcome.ELSEWHERE),
    ],
)
def test_for_whom_it_is_decides_what_it_is(
    to: tuple[str, ...], cc: tuple[str, ...], subject: str, expected: Outcome
) -> None:
    decision = outside(incoming(block(), to=to, cc=cc, subject=subject), desk(), judged())

    assert decision is not None
    assert decision.outcome is expected


@pytest.mark.parametrize(("to", "body"), [((DESK,), "hello"), (("lin@firm.example",), "hello")])
def test_a_mail_to_us_alone_that_passes_nothing_on_is_none_of_these(to: tuple[str, ...], body: str) -> None:
    assert outside(incoming(body, to=to, subject="hello"), desk(), judged()) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DESK, True),
        ("support+ikt234@firm.example", True),
        ("chen@firm.example", True),
        ("accounts@firm.example", True),
        ("ACCOUNTS@FIRM.EXAMPLE", True),
        ("mei@example.com", False),
        ("mei@sub.firm.example", False),
        ("mei@firm.example.evil.example", False),
    ],
)
def test_who_is_one_of_us(value: str, expected: bool) -> None:
    assert is_ours(value, POLICY) is expected


def test_at_a_public_provider_nobody_is_a_colleague() -> None:
    firm = policy(agents={"chen": agent("chen", addresses=("chen.tax@gmail.com",))})

    assert is_ours("chen.tax@gmail.com", firm)
    assert not is_ours("mei@gmail.com", firm)
    mail = incoming("x", to=("mei@gmail.com", "chen.tax@gmail.com")).message
    assert [one.value for one in outsiders(mail, firm)] == ["mei@gmail.com"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("營業稅", "Re: 營業稅", True),
        ("營業稅", "回覆: RE：Fw: 營業稅", True),
        ("Re: 營業稅 ", "[#1042] 營業稅", True),
        ("Tax  return", "tax return", True),
        ("營業稅", "營業稅 2", False),
        ("", "", False),
        ("Re:", "Re: Re:", False),
    ],
)
def test_subjects_are_the_same_but_for_what_programs_put_before_them(one: str, other: str, expected: bool) -> None:
    assert _same_subject(one, other) is expected


@pytest.mark.parametrize(
    ("line", "guess", "expected"),
    [
        ("!ok mei@example.com", "", "mei@example.com"),
        ("！好 <Mei@Example.com>", "", "mei@example.com"),
        ("!ok mailto:mei@example.com", "", "mei@example.com"),
        ("！確認：mei@example.com。", "", "mei@example.com"),
        ("!ok", "mei@example.com", "mei@example.com"),
        ("!ok wu@other.example", "mei@example.com", "wu@other.example"),
        ("!ok", "", None),
        ("!ok Mei", "mei@example.com", None),
        ("!ok mei@example.com, wu@other.example", "", None),
        (f"!ok {DESK}", "", None),
        ("!ok a\r\nBcc: x@evil.example", "", None),
    ],
)
def test_whom_an_agent_names(line: str, guess: str, expected: str | None) -> None:
    question = Question(
        id=1, agent="chen", kind="forward", message=1, data={"guess": guess}, asked_at=NOW, expires_at=NOW
    )
    mail = Message(medium=Medium.EMAIL, sender=Address(scheme=Scheme.MAIL, value="chen@firm.example"), text=line)
    reply = Incoming(id=2, channel="mail", medium=Medium.EMAIL, received_at=NOW, message=mail)

    found = said_sender(reply, desk(), question)

    assert (found.value if found else None) == expected


# --- for any block --------------------------------------------------------------------------------------------------

_ADDRESSES = st.sampled_from(
    ["mei@example.com", DESK, "lin@firm.example", "x@firm.example", "a@b.example,c@d.example", "王", "", "<>", "@"]
)
_VALUES = st.one_of(_ADDRESSES, st.text(max_size=60))
_DATES = st.one_of(
    st.sampled_from(
        ["Mon, Nov 23, 2026 at 1:05 PM", "2026年11月23日 下午1:05", "1/2/2026 13:05", "2031-01-01 00:00", ""]
    ),
    st.text(max_size=40),
)


@settings(max_examples=300, deadline=None)
@given(sender=_VALUES, date=_DATES, subject=st.text(max_size=80), to=_VALUES, words=st.text(max_size=200))
def test_whatever_a_block_says_an_agent_is_no_customer_and_nobody_is_written_to_but_its_writer(
    sender: str, date: str, subject: str, to: str, words: str
) -> None:
    here = desk()

    decision = outside(incoming(block(sender=sender, date=date, subject=subject, to=to, words=words)), here, judged())

    assert decision is not None  # it says that it is a forward: nothing of it is lost
    [ticket] = here.tickets.values()
    value = ticket.contact.partition(":")[2]
    assert not value or not is_ours(value, POLICY)
    assert NOW - timedelta(days=60, minutes=1) <= ticket.opened_at <= NOW
    inside = {f"mailto:{address}" for one in POLICY.agents.values() for address in one.addresses}
    for row in here.changes.outbox:
        assert row.address in inside or (row.purpose is Purpose.ACKNOWLEDGEMENT and row.address == ticket.contact)
    told = [row for row in here.changes.outbox if row.purpose in (Purpose.ASSIGNMENT, Purpose.TOLD)]
    assert told  # a person sees it (G5)
    assert [p.role for people in here.participants.values() for p in people.values() if p.role == "cc"] == []
    assert not ticket.is_urgent or here.targets[ticket.id]
    assert all("\n" not in one and "\r" not in one for one in (ticket.subject, ticket.contact_name, ticket.contact))


@settings(max_examples=200, deadline=None)
@given(body=st.one_of(st.text(max_size=300), _VALUES.map(lambda one: block(sender=one))), loop=st.text(max_size=40))
def test_whatever_lies_in_the_sent_folder_nothing_is_sent_for_it(body: str, loop: str) -> None:
    here = desk()
    mail = incoming(body, to=("mei@example.com",))

    decision = from_sent_folder(
        Incoming(
            id=1,
            channel="mail",
            medium=Medium.EMAIL,
            received_at=NOW,
            message=mail.message,
            envelope=Envelope(is_sent=True),
        ),
        here,
    )

    assert decision.outcome is Outcome.IGNORED
    assert here.changes.outbox == []


def test_an_attached_mail_with_two_senders_is_asked_about() -> None:
    sender = Address(scheme=Scheme.MAIL, value="mei@example.com")
    original = Message(medium=Medium.EMAIL, sender=sender, from_count=2, date_header=NOW - timedelta(hours=1))
    mail = Message(
        medium=Medium.EMAIL,
        sender=Address(scheme=Scheme.MAIL, value="chen@firm.example"),
        passed_on=PassedOn(original=original, is_attached=True),
    )
    here = desk()

    outside(Incoming(id=1, channel="mail", medium=Medium.EMAIL, received_at=NOW, message=mail), here, judged())

    assert [q.data["why"] for q in here.changes.questions] == ["no_sender"]


def test_what_vouches_for_an_attached_mail_vouches_for_nobody() -> None:
    """Anybody can write the headers of a file."""
    sender = Address(scheme=Scheme.MAIL, value="mei@example.com")
    original = Message(
        medium=Medium.EMAIL,
        sender=sender,
        date_header=NOW - timedelta(hours=1),
        source_headers=(
            ("Authentication-Results", "mx.firm.example; dmarc=pass header.from=example.com"),
            ("Received", "from x by mx.firm.example"),
        ),
    )
    mail = Message(
        medium=Medium.EMAIL,
        sender=Address(scheme=Scheme.MAIL, value="chen@firm.example"),
        passed_on=PassedOn(original=original, is_attached=True),
    )
    here = desk()

    outside(Incoming(id=1, channel="mail", medium=Medium.EMAIL, received_at=NOW, message=mail), here, judged())

    [ticket] = here.tickets.values()
    assert ticket.standing == "unverified"
    assert here.contacts["mailto:mei@example.com"].is_verified is False
