"""Exchange's mark of internal mail: where it counts, and what a probe of ours shows about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from channels import mime
from channels.message import Message
from routing.identity import agent_evidence, claims_internal, is_internal, shown_by
from routing.policy import Agent, ChannelPolicy
from routing.probing import ANSWER_WITHIN, COUNTS_FOR, KEPT, STRIPPED, make_nonce, nonce_in, passed, shortcoming
from routing.records import Probe
from routing.tokens import Key, Keyring
from routing.words import Evidence

NOW = datetime(2026, 11, 23, 6, 10, tzinfo=UTC)
RING = Keyring(Key(1, b"a key for the tests of probes"))
CHEN = Agent(
    name="chen",
    display_name="陳怡君",
    addresses=("chen@firm.example",),
    evidence=frozenset({Evidence.EXCHANGE_INTERNAL}),
)
TENANT = ChannelPolicy(name="mail", medium="email", address="support@firm.example")
BORDER = replace(TENANT, border_host="mx.firm.example")

INTERNAL = "X-MS-Exchange-Organization-AuthAs: Internal"
ANONYMOUS = "X-MS-Exchange-Organization-AuthAs: Anonymous"
HOP = "Received: from a.prod.example by b.prod.example with HTTPS; Mon, 23 Nov 2026 14:05:01 +0800"
BY_BORDER = "Received: from out.example by mx.firm.example with ESMTPS; Mon, 23 Nov 2026 14:05:00 +0800"


def mail(*headers: str, sender: str = "chen@firm.example") -> Message:
    lines = [*headers, f"From: {sender}", "To: support@firm.example", "Message-ID: <1@firm.example>", "", "words", ""]
    return mime.parse("\r\n".join(lines).encode())


@pytest.mark.parametrize(
    ("name", "headers", "channel", "counts"),
    [
        ("below Exchange's own lines, as it writes it", [HOP, INTERNAL], TENANT, True),
        ("in any letters", [HOP, INTERNAL.lower()], TENANT, True),
        ("none", [HOP], TENANT, False),
        ("of a mail from outside", [HOP, ANONYMOUS], TENANT, False),
        ("twice", [HOP, INTERNAL, INTERNAL], TENANT, False),
        ("both", [HOP, ANONYMOUS, INTERNAL], TENANT, False),
        ("something like it", [HOP, f"{INTERNAL}; really"], TENANT, False),
        ("above what the border wrote", [INTERNAL, BY_BORDER], BORDER, True),
        ("below what the border wrote: it came from outside", [HOP, BY_BORDER, INTERNAL], BORDER, False),
        ("a forged one below the real one", [INTERNAL, BY_BORDER, INTERNAL], BORDER, True),
        ("it never came by the border", [HOP, INTERNAL], BORDER, True),
    ],
)
def test_g8_where_the_mark_of_internal_mail_stands(
    name: str, headers: list[str], channel: ChannelPolicy, counts: bool
) -> None:
    assert is_internal(mail(*headers), channel) is counts


def test_g8_the_mark_is_shown_and_counts_only_after_a_probe() -> None:
    message = mail(HOP, INTERNAL)

    assert shown_by(message, "", CHEN, TENANT) == (Evidence.EXCHANGE_INTERNAL,)
    assert agent_evidence(message, "", CHEN, TENANT) is None
    assert agent_evidence(message, "", CHEN, TENANT, is_stripped=True) is Evidence.EXCHANGE_INTERNAL


@pytest.mark.parametrize(
    "message",
    [
        mail(HOP, INTERNAL, sender="lin@firm.example"),
        mail(HOP, INTERNAL, "From: eve@evil.example"),
        mail(HOP, INTERNAL, sender="chen@firm.example <eve@evil.example>"),
    ],
)
def test_g8_the_mark_makes_nobody_else_of_him(message: Message) -> None:
    assert agent_evidence(message, "", CHEN, TENANT, is_stripped=True) is None


def test_g8_a_passed_probe_is_no_evidence_where_another_kind_is_configured() -> None:
    strict = replace(CHEN, evidence=frozenset({Evidence.AUTHSERV}))

    assert agent_evidence(mail(HOP, INTERNAL), "", strict, TENANT, is_stripped=True) is None


@pytest.mark.parametrize(
    ("headers", "claims"),
    [
        ([INTERNAL], True),
        ([BY_BORDER, INTERNAL], True),
        ([ANONYMOUS, INTERNAL], True),
        ([ANONYMOUS], False),
        ([], False),
    ],
)
def test_a_header_that_survives_anywhere_was_kept(headers: list[str], claims: bool) -> None:
    assert claims_internal(mail(*headers)) is claims


# ---- the probe


def probe(**changes: object) -> Probe:
    facts = {"channel": "mail", "kind": "exchange-internal", "nonce": "n", "sent_at": NOW}
    return Probe(**(facts | changes))  # type: ignore[arg-type]


SEEN = NOW + timedelta(seconds=20)
LATER = NOW + timedelta(days=1)
OLD = NOW - timedelta(days=30)


@pytest.mark.parametrize(
    ("name", "it", "now", "why"),
    [
        ("none", None, NOW, "never"),
        ("taken out", probe(seen_at=SEEN, result=STRIPPED), LATER, ""),
        ("kept", probe(seen_at=SEEN, result=KEPT), LATER, KEPT),
        ("on its way", probe(), SEEN, "waiting"),
        ("never came", probe(), LATER, "unanswered"),
        ("too old", probe(seen_at=SEEN, result=STRIPPED), SEEN + COUNTS_FOR, "old"),
        ("asked again, the old answer counts on", probe(seen_at=OLD, result=STRIPPED), SEEN, ""),
        ("asked again, and it never came", probe(seen_at=OLD, result=STRIPPED), NOW + ANSWER_WITHIN * 2, "unanswered"),
        ("asked again after a bad answer", probe(seen_at=OLD, result=KEPT), SEEN, "waiting"),
    ],
)
def test_g8_what_a_probe_has_to_show(name: str, it: Probe | None, now: datetime, why: str) -> None:
    assert shortcoming(it, now) == why
    assert passed(it, now) is (why == "")


def test_a_probe_is_known_by_its_name_alone() -> None:
    nonce = make_nonce(RING, b"0123456789")
    named = replace(mail(), message_id=f"<{nonce}@outside.example>")
    titled = replace(mail(), subject=f"Fwd: intake enrol --probe {nonce.upper()}")

    assert nonce_in(named, RING.secrets) == nonce
    assert nonce_in(titled, RING.secrets) == nonce


@pytest.mark.parametrize("subject", ["", "ikp-" + "a" * 32, "ikp-", "x" * 10_000 + "ikp-" + "b" * 32])
def test_a_name_that_we_did_not_give_is_no_probe(subject: str) -> None:
    assert nonce_in(replace(mail(), subject=subject), RING.secrets) == ""


def test_a_probe_of_an_older_key_is_still_known() -> None:
    nonce = make_nonce(RING, b"0123456789")
    newer = Keyring(Key(2, b"a newer key for the tests"), (RING.current,))

    assert nonce_in(replace(mail(), subject=nonce), newer.secrets) == nonce
    assert nonce_in(replace(mail(), subject=nonce), (newer.current.secret,)) == ""
