"""G8: a token is what we made for these facts, or nothing; a canary is found however it was wrapped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.message import Address, Medium, Message, Recipient, Role, Scheme
from routing.policy import ChannelPolicy
from routing.tokens import (
    PIECE,
    Key,
    Keyring,
    TokenRecord,
    canary,
    find_canaries,
    find_tokens,
    find_wrapped_tokens,
    is_canary_of,
    is_genuine,
    is_marked,
    judge,
    key_id_of,
    mint,
    reference_message_id,
    reply_address,
    token_of_reference,
    tokens_in_recipients,
    tokens_in_references,
)

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
RING = Keyring(Key(7, b"a secret of sixteen or more"))
NEWER = Keyring(Key(8, b"another secret, also long"), (RING.current,))
STRANGER = Keyring(Key(7, b"the attacker's own secret"))
FACTS = {"ticket": 1042, "agent": "chen", "purpose": "reply", "serial": 3}
TOKEN = mint(RING, **FACTS)  # type: ignore[arg-type]
RECORD = TokenRecord(token=TOKEN, issued_at=NOW - timedelta(days=1), **FACTS)  # type: ignore[arg-type]
MAIL = ChannelPolicy(name="mail", medium="email", address="support@firm.example")


def test_a_token_is_fixed_in_length_and_fits_a_local_part() -> None:
    address = reply_address(MAIL, TOKEN)

    assert len(TOKEN) == 31
    assert mint(RING, **FACTS) == TOKEN  # type: ignore[arg-type]
    assert address == f"support+{TOKEN}@firm.example"
    assert len(address.partition("@")[0].encode()) <= 64


@pytest.mark.parametrize(
    "changed", [{"ticket": 1043}, {"agent": "lin"}, {"purpose": "link"}, {"serial": 4}, {"ticket": 104, "serial": 23}]
)
def test_g8_a_token_counts_for_no_other_facts(changed: dict[str, object]) -> None:
    assert is_genuine(RING, TOKEN, **FACTS) is True  # type: ignore[arg-type]
    assert is_genuine(RING, TOKEN, **{**FACTS, **changed}) is False  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ring", "token", "expected"),
    [
        (RING, TOKEN.upper(), True),  # some mail systems write local parts so
        (RING, TOKEN.title(), True),
        (NEWER, TOKEN, True),  # the key was changed since
        (Keyring(NEWER.current), TOKEN, False),  # and the old one is gone
        (STRANGER, TOKEN, False),
        (RING, mint(STRANGER, **FACTS), False),  # type: ignore[arg-type]
        (RING, TOKEN[:-1] + ("q" if TOKEN[-1] == "a" else "a"), False),
        (RING, TOKEN[:-1] + "b", False),  # decodes to the same octets, is not the same token
        (RING, "", False),
        (RING, "ikt\0", False),
        (RING, "ikt" + "é" * 28, False),
    ],
)
def test_g8_only_our_keys_make_tokens(ring: Keyring, token: str, expected: bool) -> None:
    assert is_genuine(ring, token, **FACTS) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "agent", "closed_at", "reason"),
    [
        (RECORD, "chen", None, ""),
        (None, "chen", None, "no_token"),
        (replace(RECORD, ticket=1), "chen", None, "forged"),
        (replace(RECORD, token=TOKEN[:5] + "zzzz" + TOKEN[9:]), "chen", None, "forged"),
        (RECORD, "lin", None, "foreign_agent"),
        (replace(RECORD, expires_at=NOW), "chen", None, "expired"),
        (replace(RECORD, expires_at=NOW + timedelta(seconds=1)), "chen", None, ""),
        (replace(RECORD, revoked_at=NOW - timedelta(days=1)), "chen", None, "revoked"),
        (RECORD, "chen", NOW - timedelta(days=30), ""),
        (RECORD, "chen", NOW - timedelta(days=30, seconds=1), "closed_ticket"),
        (replace(RECORD, used_at=NOW), "chen", None, ""),  # an answer may be followed by another
    ],
)
def test_g8_what_a_known_token_is_worth(
    record: TokenRecord | None, agent: str, closed_at: datetime | None, reason: str
) -> None:
    verdict = judge(RING, record, speaker_agent=agent, ticket_closed_at=closed_at, now=NOW, closed_days=30)

    assert (verdict.ok, verdict.reason) == (not reason, reason)


@pytest.mark.parametrize(
    ("recipients", "rcpt", "expected"),
    [
        ((f"support+{TOKEN}@firm.example",), (), (TOKEN,)),
        ((f"SUPPORT+{TOKEN.upper()}@FIRM.EXAMPLE",), (), (TOKEN,)),
        ((), (f"<{TOKEN}@reply.firm.example>",), (TOKEN,)),
        (("support@firm.example",), (), ()),
        ((f"x{TOKEN}@firm.example",), (), ()),
        ((f"support@{TOKEN}.example",), (), ()),
        ((f"support+{TOKEN}@firm.example",), (f"support+{TOKEN}@firm.example",), (TOKEN,)),
    ],
)
def test_tokens_are_read_from_where_they_were_put(
    recipients: tuple[str, ...], rcpt: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    to = tuple(Recipient(role=Role.TO, address=Address(scheme=Scheme.MAIL, value=v)) for v in recipients)
    message = Message(medium=Medium.EMAIL, sender=Address(scheme=Scheme.MAIL, value="a@b.example"), recipients=to)

    assert tokens_in_recipients(message, rcpt) == expected


def test_where_the_answer_goes_in_each_mode() -> None:
    by_domain = replace(MAIL, token_in="subdomain", token_domain="reply.firm.example")
    by_reference = replace(MAIL, token_in="references")
    too_long = replace(MAIL, address="the-whole-service-department-here@firm.example")

    assert reply_address(by_domain, TOKEN) == f"{TOKEN}@reply.firm.example"
    assert reply_address(by_reference, TOKEN) == "support@firm.example"
    with pytest.raises(ValueError, match="too long"):
        reply_address(too_long, TOKEN)


def test_a_message_id_carries_a_token_and_gives_it_back() -> None:
    message_id = reference_message_id(TOKEN, "firm.example")
    reply = Message(
        medium=Medium.EMAIL,
        sender=Address(scheme=Scheme.MAIL, value="chen@firm.example"),
        in_reply_to=(message_id.upper(),),
        references=("<1@customer.example>", f"<{TOKEN}@elsewhere.example>", message_id),
    )

    assert token_of_reference(message_id, "firm.example") == TOKEN
    assert token_of_reference(message_id, "elsewhere.example") == ""
    assert token_of_reference(f"<x{TOKEN}@firm.example>", "firm.example") == ""
    assert tokens_in_references(reply, "firm.example") == (TOKEN,)


def _everywhere(text: str, between: str) -> str:
    return between.join(text)


@pytest.mark.parametrize(
    "between", ["", "\u00ad", "\u200b", "\ufeff", "\n> ", "\r\n>> ", " ", "\u2060\n", "\u3000", "=\n"]
)
def test_g15_marks_are_found_however_a_client_wrapped_them(between: str) -> None:
    mark = canary(RING, 1042)
    spread = f"前 {_everywhere(mark, between)} 後 {_everywhere(TOKEN, between)}。"

    assert find_canaries(spread) == (mark,)
    assert find_wrapped_tokens(spread, {7}) == (TOKEN,)


@pytest.mark.parametrize("hyphen", ["\u2010", "\u2011", "\u2013", "\uff0d", "\u2212"])
def test_g15_a_canary_is_found_with_another_hyphen(hyphen: str) -> None:
    mark = canary(RING, 1042)

    assert find_canaries(mark.replace("-", hyphen).upper()) == (mark,)


def test_ordinary_words_that_run_together_are_no_token() -> None:
    text = "Der Konflikt zwischen den beiden Parteien ist seit langem bekannt und wird nie gelöst"

    assert find_wrapped_tokens(text, {7}) == ()
    assert find_tokens(f"({TOKEN.upper()}),{TOKEN}") == (TOKEN,)


@given(st.text(), st.text())
def test_a_canary_between_any_texts_is_found(before: str, after: str) -> None:
    mark = canary(RING, 5)

    assert mark in find_canaries(f"{before}{mark}{after}")


def test_a_canary_marks_one_ticket_and_outlives_a_change_of_keys() -> None:
    mark = canary(RING, 1042)

    assert mark == canary(RING, 1042)
    assert is_canary_of(NEWER, mark.upper(), 1042) is True
    assert is_canary_of(NEWER, mark, 1043) is False
    assert is_canary_of(STRANGER, mark, 1042) is False
    assert canary(NEWER, 1042) != mark


def test_a_key_file_holds_the_current_key_first() -> None:
    ring = Keyring.from_secret("# changed 2026-11\nthe new secret, long enough\n\nthe old secret, long enough\n")
    old = Keyring.from_secret("the old secret, long enough")

    assert ring.previous == (old.current,)
    assert key_id_of(mint(ring, **FACTS)) == ring.current.id  # type: ignore[arg-type]
    assert "secret" not in repr(ring)


@pytest.mark.parametrize("text", ["", "\n# only a comment\n", "short", "long enough, but the second\nis short"])
def test_a_bad_key_file_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="key") as refusal:
        Keyring.from_secret(text)

    assert "short" not in str(refusal.value)


@pytest.mark.parametrize("ids", [(256,), (-1,), (3, 3)])
def test_key_ids_are_octets_and_differ(ids: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="id"):
        Keyring(Key(ids[0], b"x" * 16), tuple(Key(i, b"y" * 16) for i in ids[1:]))


@pytest.mark.parametrize("at", [PIECE - 62, PIECE - 30, PIECE - 1, PIECE, 0, 3 * PIECE])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_mark_is_found_wherever_it_stands_in_a_large_file(at: int, encoding: str) -> None:
    token = mint(RING, ticket=1, agent="chen", purpose="reply", serial=1)
    filling = b"x" * at

    assert is_marked(RING, filling + token.encode(encoding) + b"y" * 100)
    assert is_marked(RING, filling + canary(RING, 1).encode(encoding) + b"y" * 100)
    assert not is_marked(RING, filling + token[:-1].encode(encoding) + b"!" * 100)
