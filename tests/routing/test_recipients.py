"""Who gets an answer, who is only listed, and what an agent's words about it mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.deskrun import policy

from channels.message import Address, Medium, Message, Recipient, Role, Scheme
from routing.addressing import Copies, asked_address, asked_copies
from routing.recipients import MAX_COPIES, MAX_NAMED, answer_address, asked_reply_to, copies, listed, named_in
from routing.records import Contact, Participant, Ticket
from routing.words import Kind, ParticipantRole, ReplyToState, TicketState

NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)
POLICY = policy()
MEI = "mailto:mei@example.com"
LEE = "mailto:lee@example.com"


def address(value: str, name: str = "") -> Address:
    return Address(scheme=Scheme.MAIL, value=value, display_name=name)


def mail(*named: str, cc: tuple[str, ...] = (), reply_to: tuple[str, ...] = ()) -> Message:
    recipients = [Recipient(role=Role.TO, address=address(one)) for one in named]
    recipients += [Recipient(role=Role.CC, address=address(one)) for one in cc]
    return Message(
        medium=Medium.EMAIL,
        sender=address("mei@example.com"),
        recipients=tuple(recipients),
        reply_to=tuple(map(address, reply_to)),
    )


TICKET = Ticket(
    id=1001, state=TicketState.OPEN, kind=Kind.CONSULTATION, topic="", is_urgent=False, channel="mail", medium="email",
    customer=1, contact=MEI, contact_name="王美玲", standing="verified", subject="x", language="zh-Hant", team="desk",
    agent="chen", opened_by=1, opened_at=NOW, updated_at=NOW,
)  # fmt: skip
CONTACT = Contact(address=MEI, customer=1, name="王美玲", source="mail", first_seen_at=NOW)


def someone(value: str, role: ParticipantRole) -> Participant:
    return Participant(ticket=1001, address=f"mailto:{value}", name="", role=role, source="mail", added_at=NOW)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (mail("support@firm.example", "lee@example.com"), ["lee@example.com"]),
        (mail("lee@example.com", cc=("lee@example.com", "wu@x.example")), ["lee@example.com", "wu@x.example"]),
        (mail("support+iktaaaa@firm.example", "SUPPORT@firm.example", "tax@firm.example"), []),
        (mail(cc=("chen@firm.example", "lin+x@firm.example", "mei@example.com")), []),
        (mail(cc=("no address", "a@b@c", "x\n@y.example", "")), []),
    ],
)
def test_whom_a_mail_names(message: Message, expected: list[str]) -> None:
    assert [a.value for a in named_in(message, POLICY)] == expected


def test_of_a_mail_to_thousands_a_bounded_number_is_looked_at() -> None:
    assert len(named_in(mail(cc=tuple(f"p{n}@x.example" for n in range(5_000))), POLICY)) == MAX_NAMED


def test_an_envelopes_recipient_is_not_named() -> None:
    hidden = Recipient(role=Role.ENVELOPE, address=address("bcc@example.com"))

    assert named_in(replace(mail(), recipients=(hidden,)), POLICY) == ()


@pytest.mark.parametrize(
    ("reply_to", "expected"),
    [
        ((), None),
        (("mei@example.com",), None),
        (("new@evil.example",), "new@evil.example"),
        (("new@evil.example", "mei@example.com"), None),
        (("support@firm.example",), None),
        (("chen@firm.example",), None),
        (("no address",), None),
    ],
)
def test_where_a_mail_asks_for_its_answer(reply_to: tuple[str, ...], expected: str | None) -> None:
    found = asked_reply_to(mail(reply_to=reply_to), POLICY)

    assert (found.value if found else None) == expected


@pytest.mark.parametrize(
    ("state", "asked", "expected"),
    [
        (None, None, MEI),
        (ReplyToState.ASKED, LEE, MEI),
        (ReplyToState.REFUSED, LEE, MEI),
        (ReplyToState.CONFIRMED, LEE, LEE),
        (ReplyToState.CONFIRMED, "mailto:no address", MEI),
    ],
)
def test_where_the_answer_goes(state: str | None, asked: str | None, expected: str) -> None:
    assert answer_address(TICKET, replace(CONTACT, reply_to=asked, reply_to_state=state)) == expected


def test_who_gets_a_copy_and_who_does_not() -> None:
    people = {
        p.address: p
        for p in (
            someone("lee@example.com", ParticipantRole.CC),
            someone("mei@example.com", ParticipantRole.CC),
            someone("eve@evil.example", ParticipantRole.LISTED),
            someone("old@example.com", ParticipantRole.REMOVED),
        )
    }

    assert [p.address for p in copies(people, MEI)] == [LEE]
    assert [p.address for p in listed(people, MEI)] == ["mailto:eve@evil.example"]


def test_copies_of_one_answer_are_bounded() -> None:
    people = {str(n): someone(f"p{n}@x.example", ParticipantRole.CC) for n in range(100)}

    assert len(copies(people)) == MAX_COPIES


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("lee@example.com", Copies((LEE,))),
        ("李經理 <Lee@Example.com>", Copies((LEE,))),
        ("lee@example.com<mailto:lee@example.com>", Copies((LEE,))),
        ("-lee@example.com", Copies((), (LEE,))),
        ("－lee@example.com", Copies((), (LEE,))),
        ("-lee@example.com<mailto:lee@example.com>", Copies((), (LEE,))),
        ("lee@example.com、-old@x.example", Copies((LEE,), ("mailto:old@x.example",))),
        ("lee-li@x.example", Copies(("mailto:lee-li@x.example",))),
        ("", None),
        ("李經理", None),
        ("chen@firm.example", None),
        ("support@firm.example", None),
        ("lee@example.com, lin@firm.example", None),
        (" ".join(f"p{n}@x.example" for n in range(MAX_COPIES + 1)), None),
    ],
)
def test_whom_a_command_names(argument: str, expected: Copies | None) -> None:
    assert asked_copies(argument, POLICY) == expected


ASKED = replace(CONTACT, reply_to=LEE, reply_to_state="asked")


@pytest.mark.parametrize(
    ("argument", "contact", "expected"),
    [
        ("", ASKED, LEE),
        ("", CONTACT, None),
        ("no", ASKED, ""),
        ("不要", ASKED, ""),
        ("no", CONTACT, None),
        ("new@example.com", CONTACT, "mailto:new@example.com"),
        ("chen@firm.example", CONTACT, None),
        ("亂寫", ASKED, None),
        ("", None, None),
    ],
)
def test_where_a_command_sends_answers(argument: str, contact: Contact | None, expected: str | None) -> None:
    assert asked_address(argument, contact, POLICY) == expected
