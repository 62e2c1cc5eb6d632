"""What a border server writes on a mail: no input can make it say something else in its own name."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from intake.demo.border import Hop, from_addresses, split, stamped, without_own_verdicts

HOP = Hop(
    host="mail.firm.example",
    home=frozenset({"firm.example"}),
    login="chen@firm.example",
    mail_from="chen@firm.example",
    recipient="support@firm.example",
    helo="laptop",
    peer="127.0.0.1",
    id="abc",
    at=datetime(2026, 11, 23, tzinfo=UTC),
)


@given(st.binary(max_size=400))
@example(b"")
@example(b"\r\n\r\n")
@example(b"From: a@b\n\nbody\r\n")
@example(b"Authentication-Results: mail.firm.example; dmarc=pass")
def test_no_octet_below_the_head_is_touched(raw: bytes) -> None:
    head, rest = split(raw)

    assert head + rest == raw
    assert stamped(raw, HOP).endswith(rest)


def test_a_body_that_looks_like_a_verdict_stays() -> None:
    raw = b"From: a@b.example\r\n\r\nAuthentication-Results: mail.firm.example; auth=pass\r\n"

    assert stamped(raw, HOP).endswith(raw)


def test_a_head_without_verdicts_stays_as_it_is() -> None:
    head = b"From: a@b.example\r\nX-Odd:\r\n folded\r\n\tmore\r\nno colon here\r\nSubject: mail.firm.example\r\n"

    assert without_own_verdicts(head, "mail.firm.example") == head


def test_the_envelope_cannot_write_header_fields() -> None:
    hop = Hop(
        host=HOP.host,
        home=HOP.home,
        login="",
        mail_from="x@y>\r\nX-Evil: 1",
        recipient="support@firm.example\r\nX-Evil: 2",
        helo="h\r\nX-Evil: 3",
        peer="p\r\nX-Evil: 4",
        id="abc",
        at=HOP.at,
    )

    written = stamped(b'From: "a" <a@b\x00.example>\r\n\r\n', hop).decode()

    assert [line for line in written.split("\r\n") if line.startswith("X-Evil")] == []


def test_addresses_of_every_from_field_count() -> None:
    head = b"From: Chen <chen@firm.example>\r\nFROM: evil@x.example\r\nSender: y@z.example\r\n"

    assert from_addresses(head) == ["chen@firm.example", "evil@x.example"]
