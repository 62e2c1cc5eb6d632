"""Which ticket a message belongs to: by what an outsider cannot know, and only for who belongs to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from channels.message import Address, Medium, Message, Scheme
from routing.threads import Lookup, ThreadFacts, ThreadKey, TicketFacts, lookup, match, refers_to
from routing.words import Standing, TicketState

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
WANG = ("mailto", "wang@customer.example")
OURS = "<answer.1042@firm.example>"
TICKET = TicketFacts(ticket=1042, customer=5, participants=frozenset({WANG}))
FACTS = ThreadFacts(
    now=NOW,
    closed_days=30,
    tickets={1042: TICKET, 7: replace(TICKET, ticket=7)},
    by_message_id={OURS: 1042},
    sender_customer=5,
    standing=Standing.VERIFIED,
)


def mail(sender: str = "wang@customer.example", **fields: object) -> Message:
    plain = Message(medium=Medium.EMAIL, sender=Address(scheme=Scheme.MAIL, value=sender), subject="Re: 營業稅")
    return replace(plain, **fields)  # type: ignore[arg-type]


def closed(days: int, ticket: int = 1042) -> ThreadFacts:
    told = replace(TICKET, ticket=ticket, state=TicketState.CLOSED, closed_at=NOW - timedelta(days=days, seconds=1))
    return replace(FACTS, tickets={ticket: told})


REPLY = mail(in_reply_to=(OURS,))
STRANGER = mail("eve@evil.example", in_reply_to=(OURS,))
COLLEAGUE = mail("lee@customer.example", references=("<x@y>", OURS))
NUMBERED = mail(subject="Re: [＃1042] 營業稅")

CASES = [
    ("a reply", REPLY, FACTS, (1042, ThreadKey.IN_REPLY_TO, True, None)),
    (
        "a reply, not vouched for",
        REPLY,
        replace(FACTS, standing=Standing.UNVERIFIED),
        (1042, ThreadKey.IN_REPLY_TO, False, None),
    ),
    ("a colleague of the customer", COLLEAGUE, FACTS, (1042, ThreadKey.REFERENCES, True, None)),
    (
        "somebody who was let in",
        replace(STRANGER, sender=Address(scheme=Scheme.MAIL, value="lee@elsewhere.example")),
        replace(
            FACTS,
            sender_customer=6,
            tickets={1042: replace(TICKET, participants=frozenset({WANG, ("mailto", "lee@elsewhere.example")}))},
        ),
        (1042, ThreadKey.IN_REPLY_TO, True, None),
    ),
    ("nothing known", mail(in_reply_to=("<other@x>",)), FACTS, (None, ThreadKey.NONE, False, None)),
    ("closed 29 days ago", REPLY, closed(29), (1042, ThreadKey.IN_REPLY_TO, True, None)),
    ("closed 30 days ago and longer", REPLY, closed(30), (None, ThreadKey.IN_REPLY_TO, False, 1042)),
    ("a token", mail("chen@firm.example"), replace(FACTS, by_token=7), (7, ThreadKey.TOKEN, True, None)),
    ("a number, verified", NUMBERED, FACTS, (1042, ThreadKey.SUBJECT_NUMBER, False, None)),
    ("a number of nothing", mail(subject="#9"), FACTS, (None, ThreadKey.NONE, False, None)),
    ("a number, long closed", NUMBERED, closed(99), (None, ThreadKey.SUBJECT_NUMBER, False, 1042)),
    ("a chat goes on", mail(), replace(FACTS, by_session=7), (7, ThreadKey.SESSION, True, None)),
    ("a chat, long closed", mail(), replace(closed(99, 7), by_session=7), (None, ThreadKey.SESSION, False, 7)),
    ("a call's next event", mail(), replace(closed(99, 7), by_call=7), (7, ThreadKey.CALL, True, None)),
    ("he calls again", mail(), replace(FACTS, by_caller=7), (7, ThreadKey.CALLER, False, None)),
    ("he calls after closing", mail(), replace(closed(1, 7), by_caller=7), (None, ThreadKey.NONE, False, None)),
]


@pytest.mark.parametrize(("name", "message", "facts", "expected"), CASES, ids=[case[0] for case in CASES])
def test_which_ticket(
    name: str, message: Message, facts: ThreadFacts, expected: tuple[int | None, ThreadKey, bool, int | None]
) -> None:
    found = match(message, facts)

    assert (found.ticket, found.by, found.is_certain, found.points_at) == expected
    assert found.is_stranger is False
    assert found.reasons


@pytest.mark.parametrize(
    ("name", "message", "facts"),
    [
        ("unknown sender", STRANGER, replace(FACTS, sender_customer=None)),
        ("another customer", STRANGER, replace(FACTS, sender_customer=6)),
        (
            "ticket of nobody yet",
            COLLEAGUE,
            replace(FACTS, sender_customer=None, tickets={1042: replace(TICKET, customer=None)}),
        ),
        ("look-alike", REPLY, replace(FACTS, standing=Standing.LOOKALIKE)),
        ("two senders", replace(REPLY, from_count=2), FACTS),
    ],
)
def test_attack_customer_swap_a_stranger_waits_for_the_agents_word(
    name: str, message: Message, facts: ThreadFacts
) -> None:
    found = match(message, facts)

    assert (found.ticket, found.is_stranger, found.points_at) == (None, True, 1042)


@pytest.mark.parametrize(
    ("sender", "facts"),
    [
        ("eve@evil.example", replace(FACTS, sender_customer=None)),
        ("eve@evil.example", replace(FACTS, sender_customer=6)),
        ("wang@customer.example", replace(FACTS, standing=Standing.UNVERIFIED)),
        ("wang@customer.example", replace(FACTS, standing=Standing.LOOKALIKE)),
    ],
)
def test_attack_ticket_read_by_guess_a_number_alone_joins_nothing(sender: str, facts: ThreadFacts) -> None:
    found = match(mail(sender, subject="#1042"), facts)

    assert (found.ticket, found.points_at, found.is_stranger) == (None, 1042, False)
    assert [reason.code for reason in found.reasons] == ["number_alone"]


def test_what_the_store_is_asked_for_is_bounded_and_nearest_first() -> None:
    message = mail(
        subject="Re: #12 和 ＃１３ [#14] #15 #1234567890",
        in_reply_to=("<9@x>",),
        references=(*(f"<{n}@x>" for n in range(100)),),
    )

    asked = lookup(message)

    assert asked.numbers == (12, 13, 14)
    assert asked.message_ids[:3] == ("<9@x>", "<99@x>", "<98@x>")
    assert len(asked.message_ids) == 50
    assert lookup(mail()) == Lookup((), ())


def test_g8_an_agent_refers_to_a_ticket_by_id_or_by_its_quoted_canary() -> None:
    mark = "ikc-abcdefghijklmnop"
    by_id = {OURS: 1042}

    def refers(message: Message, ticket: int = 1042) -> bool:
        return refers_to(message, ticket, by_id, lambda found: found == mark)

    assert refers(REPLY) is True
    assert refers(REPLY, 7) is False
    assert refers(mail(quoted=f"> 客戶卡 {mark[:9]}\n> {mark[9:]}")) is True
    assert refers(mail(quoted="> ikc-aaaaaaaaaaaaaaaa")) is False
    assert refers(mail()) is False
